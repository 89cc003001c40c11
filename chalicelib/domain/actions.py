"""What is done to many auto orders by one request: their next shipment is skipped or moved, they are paused, go on or
are canceled. What it comes to for each is known before it is done.

A shipment is meant by its day: where it is skipped or moved already, the same request again changes nothing.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.cancellation import coming_of, is_skipped, skip_of
from chalicelib.domain.dates import Instant, local_date, midnight
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Oid, Text200
from chalicelib.domain.rebills import Facts
from chalicelib.domain.wire import Noun

Name = Literal["skip", "reschedule", "pause", "resume", "cancel"]
# What is done to one shipment: the request says which.
OF_A_SHIPMENT: frozenset[Name] = frozenset({"skip", "reschedule"})
# Of one request: each auto order costs a handful of reads, and the answer must come within the half minute that a
# gateway waits. Those that are done at once, and those that are looked at or left to the workers.
MOST_AT_ONCE = 20
MOST_LATER = 100
AT = "/auto_orders"


class AutoOrderActionEntry(Noun):
    """``shipment_date``: the shipment to skip or to move, as a dry run told it."""

    auto_order_oid: Oid
    shipment_date: date | None = None


class AutoOrderActionRequest(Noun):
    """``to_date`` or ``days_later`` says where a shipment is moved to. ``batch_id`` is the client's own name for what
    it asks to be done later: the same name again is the same batch."""

    action: Name
    auto_orders: Annotated[list[AutoOrderActionEntry], Meta(min_length=1, max_length=MOST_LATER)]
    batch_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{8,50}$")] | None = None
    cancel_reason: Text200 | None = None
    days_later: Annotated[int, Meta(ge=1, le=365)] | None = None
    to_date: date | None = None


class Act(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What is to be done to one auto order."""

    action: Name
    shipment_date: date | None = None
    to_date: date | None = None
    days_later: int | None = None
    cancel_reason: str | None = None


class Effect(NamedTuple):
    """What an act comes to: the edit that it is (None: nothing is to change), the shipment that does not come as it was
    told, and when something comes then."""

    said: dict[str, Any] | None
    shipment_date: date | None = None
    next_date: date | None = None


def wanted_acts(raw: Any, *, dry: bool, later: bool, today: date) -> tuple[AutoOrderActionRequest, list[Act]]:
    """The request, and what is to be done to each auto order, in order. Raises Invalid with all problems of form."""
    request = wire.noun(raw, AutoOrderActionRequest)
    moves = request.action == "reschedule"
    problems = list(_strangers(request))
    if moves and (request.to_date is None) == (request.days_later is None):
        problems.append(Problem(pointer="/to_date", code="required", message="is required, or days_later: one of them"))
    if moves and request.to_date is not None and request.to_date < today:
        problems.append(Problem(pointer="/to_date", code="past_date", message="must be today or later"))
    if not (dry or later) and len(request.auto_orders) > MOST_AT_ONCE:
        message = f"may hold {MOST_AT_ONCE} auto orders at most, or {MOST_LATER} with _async=true"
        problems.append(Problem(pointer=AT, code="too_many", message=message))
    seen: set[int] = set()
    for position, entry in enumerate(request.auto_orders):
        if entry.auto_order_oid in seen:
            at = f"{AT}/{position}/auto_order_oid"
            problems.append(Problem(pointer=at, code="conflict", message="stands there twice"))
        seen.add(entry.auto_order_oid)
        if request.action in OF_A_SHIPMENT and entry.shipment_date is None and not dry:
            message = "is required: which shipment is meant, as dry_run=true tells it"
            problems.append(Problem(pointer=f"{AT}/{position}/shipment_date", code="required", message=message))
    if problems:
        raise Invalid(problems[: wire.MAXIMUM_PROBLEMS])
    acts = [
        Act(
            action=request.action,
            shipment_date=entry.shipment_date,
            to_date=request.to_date,
            days_later=request.days_later,
            cancel_reason=request.cancel_reason,
        )
        for entry in request.auto_orders
    ]
    return request, acts


def _strangers(request: AutoOrderActionRequest) -> list[Problem]:
    """What is said and means nothing with this action."""
    belongs = {"to_date": "reschedule", "days_later": "reschedule", "cancel_reason": "cancel"}
    return [
        Problem(pointer=f"/{name}", code="not_available", message=f"goes with the action {action} alone")
        for name, action in belongs.items()
        if getattr(request, name) is not None and request.action != action
    ]


def effect(act: Act, facts: Facts, noun: AutoOrder, now: Instant) -> Effect:
    """What the act comes to now. ``noun`` is the auto order, put together. Raises Invalid: why it cannot be done."""
    if noun.status == "merged":
        raise Invalid.one("", "merged", f"it was merged into auto order {noun.merged_into_auto_order_oid}")
    coming = coming_of(facts, now)
    day = coming.day if coming else None
    if act.action == "cancel":
        return _canceled(act, noun, day)
    if noun.status != "active":
        raise Invalid.one("", "not_active", f"it is {noun.status}")
    if act.action in ("pause", "resume"):
        return _switched(noun, paused=act.action == "pause", day=day)
    if coming is None:
        raise Invalid([_why_nothing(facts, noun, now)])
    if act.shipment_date is not None and act.shipment_date != coming.day:
        if is_skipped(facts, act.shipment_date) or act.to_date == coming.day:
            return Effect(None, act.shipment_date, coming.day)
        raise Invalid.one("/shipment_date", "stale", f"its next shipment is on {coming.day} now")
    zone_name = facts.zone_name()
    if act.action == "skip":
        skip = skip_of(facts, now)
        if skip is None:
            raise Invalid.one("", "last_shipment", "nothing comes after its next shipment: pause or cancel it instead")
        return Effect(sent_on(noun, skip.days, zone_name), skip.day, skip.next_day)
    to = act.to_date or coming.day + timedelta(days=act.days_later or 0)
    if to == coming.day:
        return Effect(None, coming.day, to)
    return Effect(sent_on(noun, dict.fromkeys(coming.oids, to), zone_name), coming.day, to)


def _canceled(act: Act, noun: AutoOrder, day: date | None) -> Effect:
    if noun.status == "canceled":
        return Effect(None)
    said: dict[str, Any] = {"enabled": False, "status": "canceled"}
    return Effect(said | ({"cancel_reason": act.cancel_reason} if act.cancel_reason else {}), day)


def _switched(noun: AutoOrder, *, paused: bool, day: date | None) -> Effect:
    entries = noun.items or []
    if not entries:
        raise Invalid.one("", "no_items", "it has no items")
    if all(bool(entry.paused) is paused for entry in entries):
        return Effect(None)
    return Effect(all_paused(noun, paused=paused), day)


def _why_nothing(facts: Facts, noun: AutoOrder, now: Instant) -> Problem:
    """Why the next shipment of an active auto order cannot be had otherwise."""
    head = facts.head
    if head.attempt is not None:
        return Problem(pointer="", code="attempt_open", message="a charge of it is under way")
    if head.round or head.state.next_attempt is not None:
        return Problem(pointer="", code="retrying", message="a charge was declined and is tried again")
    entries = noun.items or []
    if entries and all(entry.paused for entry in entries):
        return Problem(pointer="", code="paused", message="it is paused")
    today = local_date(now, facts.zone_name())
    dates = [e.calculated_next_shipment_dts for e in entries if e.calculated_next_shipment_dts and not e.paused]
    if dates and local_date(min(dates), facts.zone_name()) <= today:
        return Problem(
            pointer="", code="due", message="its shipment is due today or overdue: it is billed at any moment"
        )
    return Problem(pointer="", code="nothing_comes", message="nothing of it is to come")


# --- the edits that they are -----------------------------------------------------------------------------------------


def all_paused(stands: AutoOrder, *, paused: bool) -> dict[str, Any]:
    """The request that pauses every item, or lets every one go on, and leaves all else as it stands."""
    return {"items": [wire.plain(replace(entry, paused=paused)) for entry in stands.items or []]}


def sent_on(stands: AutoOrder, days: Mapping[int, date], zone_name: str) -> dict[str, Any]:
    """The request that sends these items, by oid, on these days, and leaves all else as it stands."""
    rows = []
    for entry in stands.items or []:
        to = days.get(entry.auto_order_item_oid or 0)
        rows.append(wire.plain(replace(entry, next_shipment_dts=midnight(to, zone_name)) if to else entry))
    return {"items": rows}
