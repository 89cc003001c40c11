"""A customer cancels: what it ends and costs, from when on he may, and what he must say. The merchant always may."""

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import islice
from typing import Annotated, NamedTuple

from msgspec import Meta

from chalicelib.domain.auto_orders import AutoOrder, AutoOrderItem, is_past_end, is_unknown, occurrences
from chalicelib.domain.dates import Instant, local_date, midnight
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Amount, OrderId, Quantity, Text100, Text200, Text1024
from chalicelib.domain.heads import Head
from chalicelib.domain.letters import day_words
from chalicelib.domain.orders import Order
from chalicelib.domain.pricing import Line
from chalicelib.domain.rebills import Facts
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.wire import Noun


class CancelRequest(Noun):
    """``token`` of the link; ``cancel_reason`` one of those that the link's page shows, where it shows any."""

    token: Annotated[str, Meta(min_length=1, max_length=500)]
    cancel_reason: Text200 | None = None


class CancelLinkRequest(Noun):
    """Whose auto order: the address that its mails go to, and one of its orders or its own code."""

    email: Annotated[str, Meta(min_length=3, max_length=100)]
    order_id: OrderId


class CancellationItem(Noun):
    """One thing that would not come any more."""

    item_id: str
    description: str | None = None
    quantity: Quantity | None = None
    next_shipment_dts: Instant | None = None


class CancellationCharge(Noun):
    """What canceling now costs, before shipping and tax."""

    item_id: str
    description: str | None = None
    cost: Amount | None = None


class CancellationReason(Noun):
    """``cancel_reason`` is what the request names, ``description`` how it is worded for customers."""

    cancel_reason: str
    description: Text1024


class Cancellation(Noun):
    """What the holder of a link sees. ``may_cancel`` is False before ``earliest_cancel_dts``, and where nothing is left
    to cancel."""

    auto_order_code: str | None = None
    status: str | None = None
    may_cancel: bool | None = None
    earliest_cancel_dts: Instant | None = None
    reason_required: bool | None = None
    cancel_reasons: list[CancellationReason] | None = None
    items: list[CancellationItem] | None = None
    charges: list[CancellationCharge] | None = None
    canceled_dts: Instant | None = None
    support_email: Text100 | None = None


class Skip(NamedTuple):
    """The shipment that could be left out instead: its day, the day on which something comes then, and the new date of
    each item, by oid, that was to come on it."""

    day: date
    next_day: date
    days: dict[int, date]


class Coming(NamedTuple):
    """The next shipment: its day, and the items, by oid, that come on it."""

    day: date
    oids: list[int]


def coming_of(facts: Facts, now: Instant) -> Coming | None:
    """The shipment that its customer can still have otherwise. None where nothing is to come, where it is to come today
    and while a billing is under way."""
    head = facts.head
    if head.status != "active" or head.attempt is not None or head.round or head.state.next_attempt is not None:
        return None
    coming = _next_two(facts)
    day = min((days[0] for days in coming.values()), default=None)
    if day is None or day <= local_date(now, facts.zone_name()):
        return None
    return Coming(day, [oid for oid, days in coming.items() if days[0] == day])


def skip_of(facts: Facts, now: Instant) -> Skip | None:
    """None where there is no such shipment, and where an item has none after it."""
    next_one = coming_of(facts, now)
    if next_one is None:
        return None
    coming = _next_two(facts)
    skipped = {oid: coming[oid][1:] for oid in next_one.oids}
    if not all(skipped.values()):
        return None
    moved = {oid: days[0] for oid, days in skipped.items()}
    others = [days[0] for oid, days in coming.items() if oid not in moved]
    return Skip(next_one.day, min([*moved.values(), *others]), moved)


def is_skipped(facts: Facts, day: date) -> bool:
    """Whether nothing comes on that day any more and nothing of it was billed."""
    billed = any(progress.billed_day == day for progress in facts.head.state.items.values())
    return not billed and all(days[0] > day for days in _next_two(facts).values())


def _next_two(facts: Facts) -> dict[int, list[date]]:
    """The days of the next two shipments of each item of which anything comes, by oid."""
    zone_name = facts.zone_name()
    coming: dict[int, list[date]] = {}
    for entry in facts.auto_order.items or []:
        progress = facts.head.state.items.get(str(entry.auto_order_item_oid))
        if progress is None or entry.paused or is_unknown(entry, facts.items):
            continue
        walk = islice(occurrences(entry, progress, facts.items.get(entry.original_item_id or ""), zone_name), 2)
        if days := [one.day for one in walk if not is_past_end(entry, one, zone_name)]:
            coming[entry.auto_order_item_oid or 0] = days
    return coming


def last_shipment(orders: Iterable[Order], head: Head) -> Instant | None:
    """The latest shipping date among the orders of an auto order; where nothing of it was ever tracked, its last
    billing."""
    shipped = [order.shipping.shipping_date for order in orders if order.shipping and order.shipping.shipping_date]
    return max(shipped) if shipped else head.state.last_order_dts


def prohibited_until(
    settings: AutoOrderProcessing, shipped: Instant | None, now: Instant, zone_name: str
) -> date | None:
    """The first day on which the customer may cancel, where that is still to come."""
    days = settings.prohibit_cancellation_until_days
    if not days or shipped is None:
        return None
    first = local_date(shipped, zone_name) + timedelta(days=days)
    return first if local_date(now, zone_name) < first else None


def shown(facts: Facts, noun: AutoOrder, charges: list[Line], shipped: Instant | None, now: Instant) -> Cancellation:
    """What canceling would do. ``noun`` is put together with its dates; ``charges`` are cancel items that are owed."""
    settings, zone_name = facts.settings, facts.zone_name()
    ends = noun.status in ("active", "disabled")
    until = prohibited_until(settings, shipped, now, zone_name) if ends else None
    worded = [
        CancellationReason(cancel_reason=one.reason, description=one.myaccount_alternate_description or one.reason)
        for one in settings.cancel_reasons or []
        if one.reason in settings.reasons(to_customers=True)
    ]
    return Cancellation(
        auto_order_code=noun.auto_order_code,
        status=noun.status,
        may_cancel=ends and until is None,
        earliest_cancel_dts=midnight(until, zone_name) if until else None,
        reason_required=bool(worded),
        cancel_reasons=worded or None,
        items=[item_shown(facts, entry) for entry in noun.items or []] if ends else None,
        charges=[
            CancellationCharge(
                item_id=line.item.merchant_item_id or "", description=line.item.description, cost=line.unit_cost
            )
            for line in charges
        ]
        or None,
        canceled_dts=noun.canceled_dts,
        support_email=facts.merchant.support_email,
    )


def item_shown(facts: Facts, entry: AutoOrderItem) -> CancellationItem:
    """An item, put together with its dates, as its customer sees it."""
    item_id = entry.next_item_id or entry.original_item_id or ""
    item = facts.items.get(item_id)
    return CancellationItem(
        item_id=item_id,
        description=item.description if item else None,
        quantity=entry.arbitrary_quantity or entry.original_quantity,
        next_shipment_dts=None if entry.paused else entry.calculated_next_shipment_dts,
    )


def refuse(settings: AutoOrderProcessing, reason: str | None, until: date | None) -> None:
    """Raises Invalid with all problems, in words for the customer."""
    problems: list[Problem] = []
    if until is not None:
        message = f"You can cancel this auto order from {day_words(until)} on."
        problems.append(Problem(pointer="", code="prohibited_until", message=message))
    allowed = settings.reasons(to_customers=True)
    if allowed and reason not in allowed:
        named = ", ".join(f"'{one}'" for one in allowed)
        message = f"is required; allowed are {named}"
        problems.append(Problem(pointer="/cancel_reason", code="not_allowed_value", message=message))
    if not allowed and reason is not None:
        problems.append(Problem(pointer="/cancel_reason", code="not_allowed_value", message="no reason is asked for"))
    if problems:
        raise Invalid(problems)
