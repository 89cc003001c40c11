"""Auto orders: the standing instruction to order again. One noun, put together from document, head and original order.

The document changes only when somebody edits; what every run moves stands in the head (``domain.heads``).
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from chalicelib.domain.dates import Instant, local_date, midnight
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import (
    Amount,
    ItemId,
    Oid,
    Percentage,
    Quantity,
    Text20,
    Text50,
    Text100,
    Text200,
    Text1024,
    Text2000,
)
from chalicelib.domain.heads import Head, ItemProgress, State
from chalicelib.domain.items import Item, ItemAutoOrderStep
from chalicelib.domain.orders import Order
from chalicelib.domain.schedule import ARBITRARY, DAYS, LAST_YEAR, MONTHS, Frequency, add_months
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.wire import Noun

# An auto order of more items is a shop of its own; bounds the head and the transaction.
MAXIMUM_ITEMS = 100
# The contract shows the next ten rebills.
FUTURE_SCHEDULES = 10
# No schedule is followed further than this many occurrences: a weekly one reaches it after 190 years.
MAXIMUM_OCCURRENCES = 10_000
# An attempt by hand keeps this distance from the last billing and from the scheduled one (the contract's figures).
REBILL_APART_HOURS = 24
REBILL_AHEAD_MINUTES = 5


class AutoOrderItemOption(Noun):
    label: Text50 | None = None
    value: Text1024 | None = None


class AutoOrderItemSimpleSchedule(Noun):
    frequency: Frequency | None = None
    item_id: Text20 | None = None
    repeat_count: int | None = None


class AutoOrderItemFutureSchedule(Noun):
    item_id: Text20 | None = None
    rebill_count: int | None = None
    shipment_dts: Instant | None = None
    unit_cost: Amount | None = None


class AutoOrderProperty(Noun):
    name: Text100 | None = None
    value: Annotated[str, Meta(max_length=3800)] | None = None


class AutoOrderAddonItem(Noun):
    item_id: ItemId | None = None
    quantity: int | None = None
    next_x_orders: int | None = None


class AutoOrderLog(Noun):
    log_dts: Instant | None = None
    log_message: Text1024 | None = None


class AutoOrderEmail(Noun):
    """A mail as the contract shows it. Whether it arrived, bounced or was read is not known here, so not said."""

    email: str | None = None
    internal: bool | None = None
    message_id: str | None = None
    send_dts: Instant | None = None
    skip_reason: str | None = None
    skipped: bool | None = None
    smtp_response: str | None = None
    subject: str | None = None


class AutoOrderManagement(Noun):
    update_billing_url: Text2000 | None = None


class AutoOrderItem(Noun):
    add_ons: list[AutoOrderAddonItem] | None = None
    arbitrary_item_id: ItemId | None = None
    arbitrary_percentage_discount: Percentage | None = None
    arbitrary_quantity: Quantity | None = None
    arbitrary_schedule_days: Annotated[int, Meta(ge=1, le=3650)] | None = None
    arbitrary_unit_cost: Amount | None = None
    arbitrary_unit_cost_remaining_orders: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    auto_order_item_oid: Oid | None = None
    calculated_next_shipment_dts: Instant | None = None
    cancel_dts: Instant | None = None
    cancel_reason: Text200 | None = None
    first_order_dts: Instant | None = None
    frequency: Frequency | None = None
    future_schedules: list[AutoOrderItemFutureSchedule] | None = None
    last_order_dts: Instant | None = None
    life_time_value: Decimal | None = None
    next_item_id: Text20 | None = None
    next_preshipment_notice_dts: Instant | None = None
    next_shipment_dts: Instant | None = None
    no_order_after_dts: Instant | None = None
    number_of_rebills: int | None = None
    options: Annotated[list[AutoOrderItemOption], Meta(max_length=50)] | None = None
    original_item_id: ItemId | None = None
    original_quantity: Quantity | None = None
    paused: bool | None = None
    preshipment_notice_sent: bool | None = None
    properties: Annotated[list[AutoOrderProperty], Meta(max_length=50)] | None = None
    rebill_value: Decimal | None = None
    remaining_repeat_count: int | None = None
    simple_schedule: AutoOrderItemSimpleSchedule | None = None


class AutoOrder(Noun):
    expansions: ClassVar[dict[str, str]] = {"items": "items"}
    deep: ClassVar[dict[str, str]] = {
        "items.future_schedules": "future_schedules",
        "items.sample_schedule": "simple_schedule",
    }
    own: ClassVar[frozenset[str]] = frozenset({"customer_profile_oid"})
    read_only: ClassVar[frozenset[str]] = frozenset(
        {
            "merchant_id",
            "auto_order_oid",
            "auto_order_code",
            "original_order_id",
            "disabled_dts",
            "failure_reason",
            "completed",
            "emails",
            "logs",
            "management",
            "rebill_orders",
            "merged_dts",
            "merged_into_auto_order_oid",
        }
    )

    add_ons: list[AutoOrderAddonItem] | None = None
    auto_order_code: Text20 | None = None
    auto_order_oid: Oid | None = None
    cancel_after_next_x_orders: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    cancel_reason: Text200 | None = None
    canceled_by_user: Text100 | None = None
    canceled_dts: Instant | None = None
    completed: bool | None = None
    credit_card_attempt: int | None = None
    disabled_dts: Instant | None = None
    emails: list[AutoOrderEmail] | None = None
    enabled: bool | None = None
    failure_reason: Text1024 | None = None
    items: Annotated[list[AutoOrderItem], Meta(max_length=MAXIMUM_ITEMS)] | None = None
    logs: list[AutoOrderLog] | None = None
    management: AutoOrderManagement | None = None
    merchant_id: Text20 | None = None
    merged_dts: Instant | None = None
    merged_into_auto_order_oid: Oid | None = None
    next_attempt: Instant | None = None
    original_order: Order | None = None
    original_order_id: Text50 | None = None
    override_affiliate_id: Oid | None = None
    properties: Annotated[list[AutoOrderProperty], Meta(max_length=100)] | None = None
    rebill_orders: list[Order] | None = None
    rotating_transaction_gateway_code: Text50 | None = None
    status: Literal["active", "canceled", "disabled", "merged"] | None = None

    customer_profile_oid: int | None = None


# --- the schedule of an item -----------------------------------------------------------------------------------------


class Occurrence(msgspec.Struct, kw_only=True, frozen=True):
    """One rebill to come of one item."""

    number: int
    day: date
    item_id: str
    step: ItemAutoOrderStep | None = None
    repeats_left: int | None = None


def occurrences(entry: AutoOrderItem, progress: ItemProgress, item: Item | None) -> Iterator[Occurrence]:
    """The occurrences after the last one that is done with, in order, with their dates.

    A frequency on the auto order's item sets the pace; else the catalogue item's automatic steps do. Nothing comes
    where there is neither, or where the steps have run out.
    """
    return _counted(entry, _pinned(entry, progress, item), item)


def _pinned(entry: AutoOrderItem, progress: ItemProgress, item: Item | None) -> ItemProgress:
    """Where the schedule counts from. The catalogue's steps may have been changed since the next date was told: then
    that date stays and the new pace counts from it, so nothing of the past falls due and nothing is put off. Where
    none was told (the catalogue lacked the item for a while), the new pace counts from what was billed last."""
    coming, told, billed = next(_counted(entry, progress, item), None), progress.next_day, progress.billed_day
    if coming is not None and told is not None and coming.day != told:
        return replace(progress, anchor=told, at=progress.billed + 1)
    if coming is not None and told is None and billed is not None and coming.day <= billed:
        return replace(progress, anchor=billed, at=progress.billed)
    return progress


def _counted(entry: AutoOrderItem, progress: ItemProgress, item: Item | None) -> Iterator[Occurrence]:
    """The occurrences that are not done with, counted from the anchor. Those that are done with are passed over a
    stretch at a time: a weekly auto order of three years has 150 behind it, and a plan counts a dozen times."""
    months = days = 0
    for stretch in _stretches(entry, item):
        # Occurrence ``at`` falls on the anchor, so no time is counted up to it.
        before = max(progress.at, stretch.first - 1)
        if stretch.first > progress.at:
            days += stretch.pause
        for number in range(max(stretch.first, progress.at, progress.billed + 1), stretch.last + 1):
            step, ahead = stretch.step, number - before
            day = add_months(progress.anchor, months + stretch.months * ahead)
            day += timedelta(days=days + stretch.days * ahead)
            if day.year > LAST_YEAR:
                return
            item_id = entry.arbitrary_item_id or (step and step.recurring_merchant_item_id) or entry.original_item_id
            repeats = step.repeat_count if step else None
            yield Occurrence(
                number=number,
                day=day,
                item_id=item_id or "",
                step=step,
                repeats_left=repeats - (number - stretch.first) if repeats else None,
            )
        passed = max(0, stretch.last - before)
        months, days = months + stretch.months * passed, days + stretch.days * passed


class _Stretch(msgspec.Struct, kw_only=True, frozen=True):
    """Occurrences of one pace, from ``first`` to ``last``: so many months and days between two of them, and ``pause``
    days more before the first."""

    first: int
    last: int
    months: int
    days: int
    pause: int = 0
    step: ItemAutoOrderStep | None = None


def _stretches(entry: AutoOrderItem, item: Item | None) -> Iterator[_Stretch]:
    """Every occurrence from 1, in order."""
    override = _interval(entry.frequency, entry.arbitrary_schedule_days) if entry.frequency else None
    steps = item.steps() if item else []
    if not steps and override:
        yield _Stretch(first=1, last=MAXIMUM_OCCURRENCES, months=override[0], days=override[1])
    number, pause = 0, 0
    while steps and number < MAXIMUM_OCCURRENCES:
        before = number
        for step in steps:
            if step.type == "pause":
                pause += step.pause_days or 0
            elif step.type == "item" and number < MAXIMUM_OCCURRENCES:
                months, days = override or _interval(step.schedule, step.arbitrary_schedule_days)
                last = min(MAXIMUM_OCCURRENCES, number + (step.repeat_count or MAXIMUM_OCCURRENCES))
                yield _Stretch(first=number + 1, last=last, months=months, days=days, pause=pause, step=step)
                number, pause = last, 0
        if steps[-1].type != "loop" or number == before:
            return


_Interval = tuple[int, int]


def _interval(frequency: str | None, days: int | None) -> _Interval:
    if frequency in MONTHS:
        return MONTHS[frequency], 0
    if frequency == ARBITRARY:
        return 0, max(1, days or 1)
    return 0, DAYS[frequency or "Weekly"]


def is_unknown(entry: AutoOrderItem, items: Mapping[str, Item]) -> bool:
    """Whether nobody can say when the item rebills: the catalogue sets its pace and lacks it. It may come back."""
    return entry.frequency is None and (entry.original_item_id or "") not in items


def advance(
    entry: AutoOrderItem,
    progress: ItemProgress,
    item: Item | None,
    occurrence: int,
    day: date,
    claimed_day: date,
    *,
    edited: bool,
) -> None:
    """The occurrence, scheduled for that day, is done with: paid by a charge that was claimed on the other.

    Where the schedule has been changed since, the charge counts for its occurrence all the same. ``edited``: somebody
    has edited the auto order; then the first date after the claim that it has now comes next: a new date stays the
    customer's. Else it was the catalogue, whose new pace counts on from the day that was billed.
    """
    if occurrence <= progress.billed:
        return
    pinned = _pinned(entry, progress, item)
    progress.anchor, progress.at = pinned.anchor, pinned.at
    stands = next((one.day for one in occurrences(entry, progress, item) if one.number >= occurrence), None)
    ahead = next((one.day for one in occurrences(entry, progress, item) if one.day > claimed_day), None)
    if stands is not None and stands != day:
        if not edited:
            progress.anchor, progress.at = day, occurrence
        elif ahead is not None:
            progress.anchor, progress.at, day = ahead, occurrence + 1, claimed_day
    progress.billed, progress.billed_day, progress.next_day = occurrence, day, None
    after = next(occurrences(entry, progress, item), None)
    progress.next_day = after.day if after else None


def next_occurrence(
    entry: AutoOrderItem, progress: ItemProgress, item: Item | None, zone_name: str
) -> Occurrence | None:
    """The one that comes next, or None where the item has ended: steps done, or past its 'no order after'."""
    for occurrence in occurrences(entry, progress, item):
        ends = entry.no_order_after_dts
        return None if ends is not None and midnight(occurrence.day, zone_name) > ends else occurrence
    return None


def unit_cost(
    entry: AutoOrderItem, progress: ItemProgress, occurrence: Occurrence, item: Item, now: Instant
) -> Decimal:
    """What one costs on this rebill: the override while it lasts, the step's cost, else the item's own price now."""
    override = entry.arbitrary_unit_cost
    left = progress.unit_cost_remaining
    if override is not None and (left is None or left > 0):
        return override
    if occurrence.step is not None and occurrence.step.arbitrary_unit_cost is not None:
        return occurrence.step.arbitrary_unit_cost
    return item.unit_cost(now, on_auto_order=True)


# --- the noun, put together ------------------------------------------------------------------------------------------


def assembled(
    document: AutoOrder, head: Head, items: Mapping[str, Item], zone_name: str, now: Instant, *, future: bool = False
) -> AutoOrder:
    """The auto order as clients see it. ``items`` are catalogue items by id; ``future`` adds the coming rebills."""
    state = head.state
    return replace(
        document,
        status=head.status if head.status in ("active", "canceled", "disabled", "merged") else None,
        enabled=head.status == "active",
        credit_card_attempt=head.round,
        next_attempt=state.next_attempt,
        failure_reason=state.failure_reason,
        disabled_dts=state.disabled_dts,
        completed=state.completed or None,
        cancel_after_next_x_orders=state.cancel_after_next_x_orders,
        items=[_assembled_item(entry, state, items, zone_name, now, future=future) for entry in document.items or []],
    )


def _assembled_item(
    entry: AutoOrderItem, state: State, items: Mapping[str, Item], zone_name: str, now: Instant, *, future: bool
) -> AutoOrderItem:
    progress = state.items.get(str(entry.auto_order_item_oid))
    if progress is None:
        return entry
    item = items.get(entry.original_item_id or "")
    coming = next(occurrences(entry, progress, item), None)
    still = next_occurrence(entry, progress, item, zone_name)
    steps = [step for step in item.steps() if step.type == "item"] if item else []
    notice = coming.step.preshipment_notice_days if coming and coming.step else None
    left = progress.unit_cost_remaining
    spent = left == 0
    return replace(
        entry,
        arbitrary_unit_cost=None if spent else entry.arbitrary_unit_cost,
        arbitrary_unit_cost_remaining_orders=None if spent else left,
        number_of_rebills=progress.number_of_rebills,
        rebill_value=progress.rebill_value,
        life_time_value=progress.rebill_value + progress.original_value,
        first_order_dts=progress.first_order_dts,
        last_order_dts=progress.last_order_dts,
        next_shipment_dts=midnight(coming.day, zone_name) if coming else None,
        calculated_next_shipment_dts=midnight(still.day, zone_name) if still else None,
        next_item_id=coming.item_id if coming else None,
        remaining_repeat_count=coming.repeats_left if coming else None,
        preshipment_notice_sent=progress.noticed >= coming.number if coming and notice is not None else None,
        next_preshipment_notice_dts=(
            midnight(coming.day - timedelta(days=notice), zone_name) if coming and notice is not None else None
        ),
        simple_schedule=(
            AutoOrderItemSimpleSchedule(
                frequency=steps[0].schedule,
                item_id=steps[0].recurring_merchant_item_id,
                repeat_count=steps[0].repeat_count,
            )
            if len(steps) == 1 and item and len(item.steps()) == 1
            else None
        ),
        future_schedules=_future(entry, progress, items, zone_name, now) if future else None,
    )


def _future(
    entry: AutoOrderItem, progress: ItemProgress, items: Mapping[str, Item], zone_name: str, now: Instant
) -> list[AutoOrderItemFutureSchedule]:
    found: list[AutoOrderItemFutureSchedule] = []
    item = items.get(entry.original_item_id or "")
    for occurrence in occurrences(entry, progress, item):
        ends = entry.no_order_after_dts
        if len(found) == FUTURE_SCHEDULES or (ends is not None and midnight(occurrence.day, zone_name) > ends):
            break
        rebilled = items.get(occurrence.item_id)
        left = progress.unit_cost_remaining
        ahead = replace(progress, unit_cost_remaining=None if left is None else max(0, left - len(found)))
        found.append(
            AutoOrderItemFutureSchedule(
                item_id=occurrence.item_id,
                rebill_count=progress.number_of_rebills + len(found) + 1,
                shipment_dts=midnight(occurrence.day, zone_name),
                unit_cost=unit_cost(entry, ahead, occurrence, rebilled, now) if rebilled else None,
            )
        )
    return found


# --- its beginning ---------------------------------------------------------------------------------------------------

AUTO_ORDER_CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def begun(
    order: Order, items: Mapping[str, Item], paid: Instant, oids: Iterator[int], zone_name: str
) -> "tuple[AutoOrder, Head] | None":
    """The auto order that a paid order starts, or None where none of its lines rebills.

    The anchor is the local date of the first payment. ``oids`` gives the oid of the auto order, then of each item.
    """
    anchor = local_date(paid, zone_name)
    oid = next(oids)
    entries: list[AutoOrderItem] = []
    progress: dict[str, ItemProgress] = {}
    for line in order.items or []:
        item = items.get(line.merchant_item_id or "")
        if not (line.auto_order_schedule or (item and item.steps())):
            continue
        entry = AutoOrderItem(
            auto_order_item_oid=next(oids),
            original_item_id=line.merchant_item_id,
            original_quantity=line.quantity,
            frequency=line.auto_order_schedule,
            options=[AutoOrderItemOption(label=o.label, value=o.value) for o in line.options or []] or None,
        )
        line.item_reference_oid = entry.auto_order_item_oid
        entries.append(entry)
        begins = ItemProgress(
            anchor=anchor,
            billed_day=anchor,
            first_order_dts=paid,
            last_order_dts=paid,
            original_value=Decimal(line.total_cost_with_discount or 0),
            paid=None if line.unit_cost_with_discount is None else Decimal(line.unit_cost_with_discount),
        )
        first = next(occurrences(entry, begins, item), None)
        begins.next_day = first.day if first else None
        progress[str(entry.auto_order_item_oid)] = begins
    if not entries:
        return None
    document = AutoOrder(
        auto_order_oid=oid,
        merchant_id=order.merchant_id,
        original_order_id=order.order_id,
        items=entries,
        customer_profile_oid=order.customer_profile_oid,
    )
    return document, Head(status="active", state=State(items=progress, last_order_dts=paid))


# --- its edits -------------------------------------------------------------------------------------------------------

# Fields of an item that the document keeps; all others are computed or stand in the head.
KEPT_ITEM_FIELDS = (
    "add_ons",
    "arbitrary_item_id",
    "arbitrary_percentage_discount",
    "arbitrary_quantity",
    "arbitrary_schedule_days",
    "arbitrary_unit_cost",
    "auto_order_item_oid",
    "cancel_dts",
    "cancel_reason",
    "frequency",
    "no_order_after_dts",
    "options",
    "original_item_id",
    "original_quantity",
    "paused",
    "properties",
)
# Computed item fields that a client may send back as it read them; they are never taken.
COUNTERS = ("number_of_rebills", "last_order_dts")


class Edited(msgspec.Struct, kw_only=True):
    document: AutoOrder
    head: Head
    canceled: bool = False
    disabled: bool = False


def edited(
    before: AutoOrder,
    wanted: AutoOrder,
    head: Head,
    items: Mapping[str, Item],
    settings: AutoOrderProcessing,
    now: Instant,
    zone_name: str,
    oids: Iterator[int],
    *,
    by_customer: bool = False,
) -> Edited:
    """What an edit makes of document and head. ``before`` is the assembled noun as it stands, ``wanted`` the same with
    the request laid over it. ``by_customer``: he can name only the reasons that he is shown. Raises Invalid with all
    problems: a stale copy, a past date, an unknown item, ...
    """
    problems = _stale(before, wanted)
    if wanted.add_ons:
        problems.append(Problem(pointer="/add_ons", code="not_available", message="add-ons are not available yet"))
    state = replace(head.state, items={key: replace(p) for key, p in head.state.items.items()})
    known = {entry.auto_order_item_oid: entry for entry in before.items or []}
    entries: list[AutoOrderItem] = []
    seen: set[int] = set()
    for position, entry in enumerate(wanted.items or []):
        at = f"/items/{position}"
        old = known.get(entry.auto_order_item_oid) if entry.auto_order_item_oid else None
        problems += _item_problems(entry, old, items, at)
        if entry.auto_order_item_oid in seen:
            # One item in two rows would be billed twice in one order.
            problems.append(Problem(pointer=f"{at}/auto_order_item_oid", code="conflict", message="stands there twice"))
        if problems:
            continue
        seen.add(entry.auto_order_item_oid or 0)
        item_oid = entry.auto_order_item_oid if old else next(oids)
        progress = state.items.setdefault(str(item_oid), ItemProgress(anchor=local_date(now, zone_name)))
        problems += _reschedule(entry, old, progress, now, zone_name, at)
        left = entry.arbitrary_unit_cost_remaining_orders
        progress.unit_cost_remaining = left if entry.arbitrary_unit_cost is not None else None
        entries.append(replace(_kept_item(entry), auto_order_item_oid=item_oid))
    problems += _cancel_problems(before, wanted, settings.reasons(to_customers=by_customer))
    if problems:
        raise Invalid(problems)
    gone = set(state.items) - {str(entry.auto_order_item_oid) for entry in entries}
    for key in gone:
        del state.items[key]
    document = replace(
        wanted,
        items=entries,
        original_order=None,
        status=None,
        enabled=None,
        credit_card_attempt=None,
        next_attempt=None,
        failure_reason=None,
        disabled_dts=None,
        completed=None,
        cancel_after_next_x_orders=None,
        logs=None,
        rebill_orders=None,
    )
    state.cancel_after_next_x_orders = wanted.cancel_after_next_x_orders
    if state.next_attempt is not None and wanted.next_attempt is not None:
        state.next_attempt = wanted.next_attempt
    changed = Edited(document=document, head=replace(head, state=state, revision=head.revision + 1))
    _switch(before, wanted, changed, now)
    if wanted.status not in (before.status, changed.head.status):
        message = "follows from enabled, cancel_reason and canceled_by_user: set those"
        raise Invalid.one("/status", "read_only", message)
    return changed


def _kept_item(entry: AutoOrderItem) -> AutoOrderItem:
    return AutoOrderItem(**{name: getattr(entry, name) for name in KEPT_ITEM_FIELDS})


def _stale(before: AutoOrder, wanted: AutoOrder) -> list[Problem]:
    """A copy that was read before a rebill may not be written over what the rebill moved."""
    message = "was read before a rebill: read the auto order again and repeat the change"
    problems = []
    if wanted.credit_card_attempt is not None and wanted.credit_card_attempt != before.credit_card_attempt:
        problems.append(Problem(pointer="/credit_card_attempt", code="stale", message=message))
    known = {entry.auto_order_item_oid: entry for entry in before.items or []}
    for position, entry in enumerate(wanted.items or []):
        old = known.get(entry.auto_order_item_oid) if entry.auto_order_item_oid else None
        for name in COUNTERS:
            value = getattr(entry, name)
            if value is not None and old is not None and value != getattr(old, name):
                problems.append(Problem(pointer=f"/items/{position}/{name}", code="stale", message=message))
    return problems


def _item_problems(
    entry: AutoOrderItem, old: AutoOrderItem | None, items: Mapping[str, Item], at: str
) -> list[Problem]:
    def problem(name: str, code: str, message: str) -> Problem:
        return Problem(pointer=f"{at}/{name}", code=code, message=message)

    found = []
    if entry.auto_order_item_oid and old is None:
        found.append(
            problem("auto_order_item_oid", "unknown", "is no item of this auto order; leave it out to add one")
        )
    if entry.add_ons:
        found.append(problem("add_ons", "not_available", "add-ons are not available yet"))
    if not entry.original_item_id:
        found.append(problem("original_item_id", "required", "is required"))
    for name in ("original_item_id", "arbitrary_item_id"):
        value = getattr(entry, name)
        if value and value not in items and (old is None or value != getattr(old, name)):
            found.append(problem(name, "unknown", f"there is no item {value}"))
    if not (entry.original_quantity or entry.arbitrary_quantity):
        found.append(problem("original_quantity", "required", "is required"))
    item = items.get(entry.original_item_id or "")
    if entry.frequency == ARBITRARY and not entry.arbitrary_schedule_days:
        found.append(problem("arbitrary_schedule_days", "required", f"'{ARBITRARY}' needs a number of days"))
    paced = old is None or (entry.frequency, entry.original_item_id) != (old.frequency, old.original_item_id)
    if paced and entry.frequency is None and item is not None and not item.steps():
        # Only where the edit says so: an item whose steps the catalogue has lost must not keep anybody from canceling.
        found.append(problem("frequency", "required", "the item has no automatic schedule: choose a frequency"))
    return found


def _reschedule(
    entry: AutoOrderItem,
    old: AutoOrderItem | None,
    progress: ItemProgress,
    now: Instant,
    zone_name: str,
    at: str,
) -> list[Problem]:
    """Take a new date, frequency or item: a new anchor, counted on from the occurrence that comes next. A new pace
    alone keeps the date that the customer was told, and counts from it; what had ended begins again today, or on the
    day after the one that was billed last."""
    moved = entry.next_shipment_dts is not None and (old is None or entry.next_shipment_dts != old.next_shipment_dts)
    paced = old is not None and any(
        getattr(entry, name) != getattr(old, name)
        for name in ("frequency", "arbitrary_schedule_days", "original_item_id")
    )
    if not (moved or paced or old is None):
        return []
    today = local_date(now, zone_name)
    told = entry.next_shipment_dts or (old.next_shipment_dts if old else None)
    day = local_date(told, zone_name) if told else today
    if told is None and progress.billed_day is not None:
        day = max(today, progress.billed_day + timedelta(days=1))
    if moved and day < today:
        return [Problem(pointer=f"{at}/next_shipment_dts", code="past_date", message="must be today or later")]
    if moved and progress.billed_day is not None and day <= progress.billed_day:
        return [
            Problem(
                pointer=f"{at}/next_shipment_dts",
                code="already_billed",
                message=f"must be after {progress.billed_day}, the date that was billed last",
            )
        ]
    progress.anchor, progress.at, progress.next_day = day, progress.billed + 1, None
    return []


def _cancel_problems(before: AutoOrder, wanted: AutoOrder, reasons: list[str]) -> list[Problem]:
    if not (reasons and _cancels(before, wanted)):
        return []
    if wanted.cancel_reason in reasons:
        return []
    allowed = ", ".join(f"'{reason}'" for reason in reasons)
    return [Problem(pointer="/cancel_reason", code="not_allowed_value", message=f"is required; allowed are {allowed}")]


def _cancels(before: AutoOrder, wanted: AutoOrder) -> bool:
    """Whether the edit cancels: it ends what is enabled and names a reason or who wants it so. What is disabled
    already can still be canceled."""
    named = wanted.cancel_reason or wanted.canceled_by_user or wanted.status == "canceled"
    if not named or wanted.enabled:
        return False
    newly = wanted.status == "canceled" or not (before.cancel_reason or before.canceled_by_user)
    return bool(before.enabled) or (before.status == "disabled" and newly)


def _switch(before: AutoOrder, wanted: AutoOrder, changed: Edited, now: Instant) -> None:
    """Enabled to not: a cancellation or a disable. Not to enabled: a restart."""
    head, document = changed.head, changed.document
    if _cancels(before, wanted):
        head.status, head.state.failed, changed.canceled = "canceled", False, True
        document.canceled_dts = wanted.canceled_dts or now
    elif before.enabled and wanted.enabled is False:
        head.status, head.state.failed, changed.disabled = "disabled", False, True
        head.state.disabled_dts = now
    elif not before.enabled and wanted.enabled:
        head.status = "active"
        head.round = 0
        head.state.failed = False
        head.state.tried = []
        head.state.next_attempt = head.state.failure_reason = head.state.disabled_dts = None
        head.state.completed = False
        head.state.cancel_item = None
        document.canceled_dts = document.cancel_reason = document.canceled_by_user = None
