"""Auto orders: the standing instruction to order again. One noun, put together from document, head and original order.

The document changes only when somebody edits; what every run moves stands in the head (``domain.heads``).
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from itertools import chain, takewhile
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from chalicelib.domain.dates import Instant, later, local_date, midnight
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import (
    LARGEST_OID,
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
from chalicelib.domain.orders import MAXIMUM_LINES, Order
from chalicelib.domain.schedule import ARBITRARY, DAYS, LAST_YEAR, MONTHS, Frequency, add_months, day_of_month_from
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.wire import Noun

# An auto order of more items is a shop of its own; bounds the head and the transaction.
MAXIMUM_ITEMS = 100
# Add-ons of one item or of the whole auto order: a gift or two in any shop; bounds head and order.
MAXIMUM_ADD_ONS = 20
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


class AutoOrderAddonItemOption(Noun):
    label: Text50 | None = None
    value: Text1024 | None = None


class AutoOrderAddonItem(Noun):
    """What comes along with the next ``next_x_orders`` rebills (absent: with all). It never makes a rebill due. In the
    document ``next_x_orders`` is what was said; what is left of it stands in the head, under the item's id."""

    arbitrary_unit_cost: Amount | None = None
    free_shipping: bool | None = None
    item_id: ItemId | None = None
    next_x_orders: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    options: Annotated[list[AutoOrderAddonItemOption], Meta(max_length=50)] | None = None
    quantity: Annotated[int, Meta(ge=1, le=100_000)] | None = None


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


AddOns = Annotated[list[AutoOrderAddonItem], Meta(max_length=MAXIMUM_ADD_ONS)]


class AutoOrderItem(Noun):
    add_ons: AddOns | None = None
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
    """What was set once is taken back by 0 (``override_affiliate_id``, ``cancel_after_next_x_orders``), a blank
    (``rotating_transaction_gateway_code``) or an empty list: null counts as absent."""

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
            "cancel_downgrade",
            "cancel_upgrade",
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

    add_ons: AddOns | None = None
    auto_order_code: Text20 | None = None
    auto_order_oid: Oid | None = None
    cancel_after_next_x_orders: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    cancel_downgrade: bool | None = None
    cancel_reason: Text200 | None = None
    cancel_upgrade: bool | None = None
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
    override_affiliate_id: Annotated[int, Meta(ge=0, le=LARGEST_OID)] | None = None
    properties: Annotated[list[AutoOrderProperty], Meta(max_length=100)] | None = None
    rebill_orders: list[Order] | None = None
    rotating_transaction_gateway_code: Text50 | None = None
    status: Literal["active", "canceled", "disabled", "merged"] | None = None

    customer_profile_oid: int | None = None


# --- the schedule of an item -----------------------------------------------------------------------------------------


class Occurrence(msgspec.Struct, kw_only=True, frozen=True):
    """One rebill to come of one item. ``pause``: the step whose pause is what it waits for."""

    number: int
    day: date
    item_id: str
    step: ItemAutoOrderStep | None = None
    repeats_left: int | None = None
    pause: ItemAutoOrderStep | None = None


def occurrences(
    entry: AutoOrderItem, progress: ItemProgress, item: Item | None, zone_name: str
) -> Iterator[Occurrence]:
    """The occurrences after the last one that is done with, in order, with their dates.

    A frequency on the auto order's item sets the pace; else the catalogue item's automatic steps do. Nothing comes
    where there is neither, or where the steps have run out.
    """
    found = _counted(entry, progress, item, zone_name)
    coming = next(found, None)
    count = _pinned(progress, coming)
    if count is not progress:
        return _counted(entry, count, item, zone_name)
    return chain([coming] if coming else [], found)


def _pinned(progress: ItemProgress, coming: Occurrence | None) -> ItemProgress:
    """Where the schedule counts from; ``coming`` is what comes next as it was counted until now. The catalogue's steps
    may have been changed since the next date was told: then that date stays and the new pace counts from it, so nothing
    of the past falls due and nothing is put off. Where none was told (the catalogue lacked the item for a while), the
    new pace counts from what was billed last."""
    told, billed = progress.next_day, progress.billed_day
    if coming is not None and told is not None and coming.day != told:
        return _anchored(progress, told, progress.billed + 1)
    if coming is not None and told is None and billed is not None and coming.day <= billed:
        return _anchored(progress, billed, progress.billed)
    return progress


def _anchored(progress: ItemProgress, day: date, at: int) -> ItemProgress:
    """Counted on from occurrence ``at``, which falls on that date of the schedule. Where its month was too short for
    the schedule's day of the month, that day comes back in the months to come: 31 Jan, 28 Feb, 31 Mar."""
    wanted = progress.anchor_day or progress.anchor.day
    cut = wanted > day.day and add_months(day, 0, wanted) == day
    return replace(progress, anchor=day, at=at, anchor_day=wanted if cut else None)


def _counted(entry: AutoOrderItem, progress: ItemProgress, item: Item | None, zone_name: str) -> Iterator[Occurrence]:
    """The occurrences that are not done with, counted from the anchor. Those that are done with are passed over a
    stretch at a time: a weekly auto order of three years has 150 behind it, and a plan counts a dozen times."""
    walk = _Walk(base=progress.anchor, day_of_month=progress.anchor_day or progress.anchor.day)
    for stretch in _stretches(entry, item):
        # Occurrence ``at`` falls on the anchor, so no time is counted up to it.
        before, pause = max(progress.at, stretch.first - 1), None
        if stretch.first > progress.at:
            pause, ended_on_it = walk.wait(stretch.pauses, zone_name)
            before += ended_on_it
        for number in range(max(stretch.first, progress.at, progress.billed + 1), stretch.last + 1):
            step, ahead = stretch.step, number - before
            day = walk.ahead(stretch.months * ahead, stretch.days * ahead)
            if day is None:
                return
            item_id = entry.arbitrary_item_id or (step and step.recurring_merchant_item_id) or entry.original_item_id
            repeats = step.repeat_count if step else None
            yield Occurrence(
                number=number,
                day=day,
                item_id=item_id or "",
                step=step,
                repeats_left=repeats - (number - stretch.first) if repeats else None,
                pause=pause if number == stretch.first else None,
            )
        passed = max(0, stretch.last - before)
        walk.months, walk.days = walk.months + stretch.months * passed, walk.days + stretch.days * passed


_NO_PAUSES: tuple[ItemAutoOrderStep, ...] = ()


class _Stretch(msgspec.Struct, kw_only=True, frozen=True):
    """Occurrences of one pace, from ``first`` to ``last``: so many months and days between two of them, and ``pauses``
    before the first."""

    first: int
    last: int
    months: int
    days: int
    pauses: tuple[ItemAutoOrderStep, ...] = _NO_PAUSES
    step: ItemAutoOrderStep | None = None


class _Walk(msgspec.Struct, kw_only=True):
    """A way along the calendar: months and days are counted from ``base`` in one sum, so nothing drifts where steps
    mix both. A pause until a date is a new base."""

    base: date
    day_of_month: int
    months: int = 0
    days: int = 0

    def ahead(self, months: int, days: int) -> date | None:
        """The day so much further on; None past the year to which schedules are followed."""
        months, days = self.months + months, self.days + days
        if self.base.year + months // 12 + days // 366 > LAST_YEAR:
            return None
        day = add_months(self.base, months, self.day_of_month) + timedelta(days=days)
        return day if day.year <= LAST_YEAR else None

    def wait(self, pauses: tuple[ItemAutoOrderStep, ...], zone_name: str) -> tuple[ItemAutoOrderStep | None, bool]:
        """Go past the pauses. Returns the one that was waited for, and whether it was until a date that was yet to
        come: then the next occurrence is on that date, and not an interval later."""
        waited, on_it = None, False
        for pause in pauses:
            if pause.type == "pause":
                self.days += pause.pause_days or 0
                waited = pause
            elif (begins := self.ahead(0, 0)) and (ends := _pause_ends(pause, begins, zone_name)):
                self.base, self.day_of_month = ends, pause.pause_until_day_of_month or ends.day
                self.months = self.days = 0
                waited, on_it = pause, True
        return waited, on_it


def _pause_ends(step: ItemAutoOrderStep, begins: date, zone_name: str) -> date | None:
    """The date until which a 'pause until' that begins on that date lasts; None where its date is not to come."""
    if step.pause_until_day_of_month is not None:
        delay = max(1, step.pause_until_minimum_delay_days or 0)
        return day_of_month_from(begins + timedelta(days=delay), step.pause_until_day_of_month)
    ends = local_date(step.pause_until_date, zone_name) if step.pause_until_date else begins
    return ends if ends > begins else None


def _stretches(entry: AutoOrderItem, item: Item | None) -> Iterator[_Stretch]:
    """Every occurrence from 1, in order."""
    override = _interval(entry.frequency, entry.arbitrary_schedule_days) if entry.frequency else None
    steps = item.steps() if item else []
    if not steps and override:
        yield _Stretch(first=1, last=MAXIMUM_OCCURRENCES, months=override[0], days=override[1])
    number, pauses = 0, _NO_PAUSES
    while steps and number < MAXIMUM_OCCURRENCES:
        before = number
        for step in steps:
            if step.type in ("pause", "pause until"):
                pauses = (*pauses, step)
            elif step.type == "item" and number < MAXIMUM_OCCURRENCES:
                months, days = override or _interval(step.schedule, step.arbitrary_schedule_days)
                last = min(MAXIMUM_OCCURRENCES, number + (step.repeat_count or MAXIMUM_OCCURRENCES))
                yield _Stretch(first=number + 1, last=last, months=months, days=days, pauses=pauses, step=step)
                number, pauses = last, _NO_PAUSES
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
    zone_name: str,
    edited: bool,
) -> None:
    """The occurrence, scheduled for that day, is done with: paid by a charge that was claimed on the other.

    Where the schedule has been changed since, the charge counts for its occurrence all the same. ``edited``: somebody
    has edited the auto order; then the first date after the claim that it has now comes next: a new date stays the
    customer's. Else it was the catalogue, whose new pace counts on from the day that was billed.
    """
    if occurrence <= progress.billed:
        return
    count = _pinned(progress, next(_counted(entry, progress, item, zone_name), None))
    stands = next((one.day for one in _counted(entry, count, item, zone_name) if one.number >= occurrence), None)
    ahead = next((one.day for one in _counted(entry, count, item, zone_name) if one.day > claimed_day), None)
    if stands is not None and stands != day:
        if not edited:
            count = _anchored(count, day, occurrence)
        elif ahead is not None:
            count, day = _anchored(count, ahead, occurrence + 1), claimed_day
    progress.anchor, progress.at, progress.anchor_day = count.anchor, count.at, count.anchor_day
    progress.billed, progress.billed_day, progress.next_day = occurrence, day, None
    after = next(occurrences(entry, progress, item, zone_name), None)
    progress.next_day = after.day if after else None


def next_occurrence(
    entry: AutoOrderItem, progress: ItemProgress, item: Item | None, zone_name: str
) -> Occurrence | None:
    """The one that comes next, or None where the item has ended: steps done, or past its 'no order after'."""
    coming = next(occurrences(entry, progress, item, zone_name), None)
    return None if coming is None or is_past_end(entry, coming, zone_name) else coming


def is_past_end(entry: AutoOrderItem, occurrence: Occurrence, zone_name: str) -> bool:
    """Whether 'no order after' forbids it."""
    ends = entry.no_order_after_dts
    return ends is not None and midnight(occurrence.day, zone_name) > ends


class Cost(msgspec.Struct, kw_only=True, frozen=True):
    """What one costs on a rebill and which rule says so; ``setting`` is its field, None for the item's own price."""

    unit_cost: Decimal
    rule: Literal["unit_cost_override", "retry_discount", "grandfather_pricing", "step_unit_cost", "item_unit_cost"]
    setting: str | None = None


def cost_of(
    entry: AutoOrderItem,
    progress: ItemProgress,
    occurrence: Occurrence,
    item: Item,
    now: Instant,
    zone_name: str,
    *,
    retry_days: int | None,
) -> Cost:
    """What one costs on this rebill: the customer's own override while it lasts; else the grandfathered cost, the
    step's cost or the item's own price now, and less on a retry where the step says so. ``retry_days``: days since the
    run's first decline, None where there was none."""
    left = progress.unit_cost_remaining
    if entry.arbitrary_unit_cost is not None and (left is None or left > 0):
        return Cost(unit_cost=entry.arbitrary_unit_cost, rule="unit_cost_override", setting="arbitrary_unit_cost")
    step = occurrence.step or ItemAutoOrderStep()
    since = local_date(progress.first_order_dts, zone_name) if progress.first_order_dts else occurrence.day
    kept = _grandfathered(step, since, zone_name)
    if kept is not None:
        cost = Cost(unit_cost=kept, rule="grandfather_pricing", setting="grandfather_pricing")
    elif step.arbitrary_unit_cost is not None:
        cost = Cost(unit_cost=step.arbitrary_unit_cost, rule="step_unit_cost", setting="arbitrary_unit_cost")
    else:
        cost = Cost(unit_cost=item.unit_cost(now, on_auto_order=True), rule="item_unit_cost")
    on_retry = _on_retry(step, retry_days)
    if on_retry is not None and on_retry < cost.unit_cost:
        return Cost(unit_cost=on_retry, rule="retry_discount", setting="arbitrary_unit_cost_schedules")
    return cost


def _grandfathered(step: ItemAutoOrderStep, since: date, zone_name: str) -> Decimal | None:
    """What one costs for who bought the item first on that date: the earliest date that fits decides."""
    rows = [
        (local_date(row.on_or_before_date, zone_name), row.unit_cost)
        for row in step.grandfather_pricing or []
        if row.on_or_before_date is not None and row.unit_cost is not None
    ]
    return next((cost for until, cost in sorted(rows) if since <= until), None)


def _on_retry(step: ItemAutoOrderStep, days: int | None) -> Decimal | None:
    """What one costs so many days after the first decline: the row of the most days that have passed."""
    rows = [
        (row.retry_days, row.arbitrary_unit_cost)
        for row in step.arbitrary_unit_cost_schedules or []
        if row.retry_days is not None and row.arbitrary_unit_cost is not None
    ]
    passed = [row for row in sorted(rows) if days is not None and row[0] <= days]
    return passed[-1][1] if passed else None


def retry_days(head: Head, moment: Instant, zone_name: str) -> int | None:
    """Local days from the open run's first decline to that moment; None where it has not been declined."""
    first = head.state.first_decline_dts
    if not head.round or first is None:
        return None
    return max(0, (local_date(moment, zone_name) - local_date(first, zone_name)).days)


# --- add-ons ---------------------------------------------------------------------------------------------------------


def standing_add_ons(add_ons: list[AutoOrderAddonItem] | None, left: Mapping[str, int]) -> list[AutoOrderAddonItem]:
    """The add-ons that still go into an order, each with the number of orders that is left of it. ``left``: what the
    head has counted down; the others have been in no order since they were named."""
    found = [replace(a, next_x_orders=left.get(a.item_id or "", a.next_x_orders)) for a in add_ons or []]
    return [add_on for add_on in found if add_on.next_x_orders != 0]


def add_ons_at(auto_order: AutoOrder, oid: int) -> list[AutoOrderAddonItem]:
    """The add-ons of the item of that oid; those of the whole auto order for 0."""
    if not oid:
        return auto_order.add_ons or []
    return next((e.add_ons or [] for e in auto_order.items or [] if e.auto_order_item_oid == oid), [])


def counted_down(left: Mapping[str, int], add_ons: list[AutoOrderAddonItem], item_id: str) -> dict[str, int]:
    """One order less is left of an add-on that was in an order; one that goes into all orders is not counted."""
    said = next((add_on.next_x_orders for add_on in add_ons if add_on.item_id == item_id), None)
    return {**left, item_id: max(0, left.get(item_id, said) - 1)} if said is not None else {**left}


# --- the noun, put together ------------------------------------------------------------------------------------------


def assembled(
    document: AutoOrder, head: Head, items: Mapping[str, Item], zone_name: str, now: Instant, *, future: bool = False
) -> AutoOrder:
    """The auto order as clients see it. ``items`` are catalogue items by id; ``future`` adds the coming rebills."""
    state = head.state
    entries = document.items or []
    return replace(
        document,
        add_ons=standing_add_ons(document.add_ons, state.add_ons) or None,
        status=head.status if head.status in ("active", "canceled", "disabled", "merged") else None,
        enabled=head.status == "active",
        credit_card_attempt=head.round,
        next_attempt=state.next_attempt,
        failure_reason=state.failure_reason,
        disabled_dts=state.disabled_dts,
        completed=state.completed or None,
        cancel_after_next_x_orders=state.cancel_after_next_x_orders,
        items=[_assembled_item(entry, head, items, zone_name, now, future=future) for entry in entries],
    )


def _assembled_item(
    entry: AutoOrderItem, head: Head, items: Mapping[str, Item], zone_name: str, now: Instant, *, future: bool
) -> AutoOrderItem:
    progress = head.state.items.get(str(entry.auto_order_item_oid))
    if progress is None:
        return entry
    item = items.get(entry.original_item_id or "")
    coming = next(occurrences(entry, progress, item, zone_name), None)
    still = None if coming is None or is_past_end(entry, coming, zone_name) else coming
    steps = [step for step in item.steps() if step.type == "item"] if item else []
    notice = coming.step.preshipment_notice_days if coming and coming.step else None
    left = progress.unit_cost_remaining
    spent = left == 0
    return replace(
        entry,
        add_ons=standing_add_ons(entry.add_ons, progress.add_ons) or None,
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
        future_schedules=_future(entry, progress, head, items, zone_name, now) if future else None,
    )


def _future(
    entry: AutoOrderItem,
    progress: ItemProgress,
    head: Head,
    items: Mapping[str, Item],
    zone_name: str,
    now: Instant,
) -> list[AutoOrderItemFutureSchedule]:
    found: list[AutoOrderItemFutureSchedule] = []
    today = local_date(now, zone_name)
    for occurrence in occurrences(entry, progress, items.get(entry.original_item_id or ""), zone_name):
        if len(found) == FUTURE_SCHEDULES or is_past_end(entry, occurrence, zone_name):
            break
        rebilled = items.get(occurrence.item_id)
        left = progress.unit_cost_remaining
        ahead = replace(progress, unit_cost_remaining=None if left is None else max(0, left - len(found)))
        in_open_run = not found and occurrence.day <= today
        days = retry_days(head, max(now, head.state.next_attempt or now), zone_name) if in_open_run else None
        cost = cost_of(entry, ahead, occurrence, rebilled, now, zone_name, retry_days=days) if rebilled else None
        found.append(
            AutoOrderItemFutureSchedule(
                item_id=occurrence.item_id,
                rebill_count=progress.number_of_rebills + len(found) + 1,
                shipment_dts=midnight(occurrence.day, zone_name),
                unit_cost=cost.unit_cost if cost else None,
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
            properties=[AutoOrderProperty(name=p.name, value=p.value) for p in line.properties or []] or None,
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
        first = next(occurrences(entry, begins, item, zone_name), None)
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
    problems = _stale(before, wanted) + _add_on_problems(wanted.add_ons, before.add_ons, items, "/add_ons")
    problems += _too_many_lines(wanted)
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
        problems += _reschedule(entry, old, progress, _catalogued(old or entry, items), now, zone_name, at)
        progress.unit_cost_remaining = entry.arbitrary_unit_cost_remaining_orders
        progress.add_ons = {}
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
        override_affiliate_id=wanted.override_affiliate_id or None,
        rotating_transaction_gateway_code=wanted.rotating_transaction_gateway_code or None,
    )
    state.cancel_after_next_x_orders = wanted.cancel_after_next_x_orders or None
    state.add_ons = {}
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
    found += _add_on_problems(entry.add_ons, old.add_ons if old else None, items, f"{at}/add_ons")
    left = entry.arbitrary_unit_cost_remaining_orders
    if left is not None and entry.arbitrary_unit_cost is None:
        message = "is required: the number of orders says how long it lasts"
        found.append(problem("arbitrary_unit_cost", "required", message))
    elif left == 0:
        message = "must be at least 1; leave it out for the rest of the auto order"
        found.append(problem("arbitrary_unit_cost_remaining_orders", "out_of_range", message))
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


def _catalogued(entry: AutoOrderItem, items: Mapping[str, Item]) -> Item | None:
    return items.get(entry.original_item_id or "")


def _add_on_problems(
    add_ons: list[AutoOrderAddonItem] | None,
    before: list[AutoOrderAddonItem] | None,
    items: Mapping[str, Item],
    at: str,
) -> list[Problem]:
    """Each names an item that is sold (or was named before), and no item stands twice in one place: it is counted by
    its name."""
    known = {add_on.item_id for add_on in before or []}
    found: list[Problem] = []
    seen: set[str] = set()
    for position, add_on in enumerate(add_ons or []):
        pointer, name = f"{at}/{position}/item_id", add_on.item_id
        item = items.get(name or "")
        if not name:
            found.append(Problem(pointer=pointer, code="required", message="is required"))
        elif name not in known and (item is None or item.inactive):
            found.append(Problem(pointer=pointer, code="unknown", message=f"there is no item {name} that is sold"))
        elif name in seen:
            message = "stands there twice; say the quantity once"
            found.append(Problem(pointer=pointer, code="conflict", message=message))
        seen.add(name or "")
    return found


def _too_many_lines(wanted: AutoOrder) -> list[Problem]:
    """A rebill with every item and every add-on must fit into one order."""
    entries = wanted.items or []
    lines = len(entries) + sum(len(entry.add_ons or []) for entry in entries) + len(wanted.add_ons or [])
    if lines <= MAXIMUM_LINES:
        return []
    message = f"items and add-ons make {lines} lines; an order has {MAXIMUM_LINES} at most"
    return [Problem(pointer="/add_ons", code="too_many", message=message)]


def _reschedule(
    entry: AutoOrderItem,
    old: AutoOrderItem | None,
    progress: ItemProgress,
    item: Item | None,
    now: Instant,
    zone_name: str,
    at: str,
) -> list[Problem]:
    """Take a new date, frequency or item: a new anchor, counted on from the occurrence that comes next. A new pace
    alone keeps the date that the customer was told, and counts from it; what had ended begins again today, or on the
    day after the one that was billed last. ``item`` is the catalogue's of the schedule as it stood.

    A later date of the schedule itself skips what lies before it: what was to come first comes then, and the dates
    after it are the schedule's own."""
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
    anew = ItemProgress(anchor=day, at=progress.billed + 1)
    if old is not None and told and (not moved or _is_scheduled(old, progress, item, day, zone_name)):
        anew = _anchored(progress, day, progress.billed + 1)
    progress.anchor, progress.at, progress.anchor_day = anew.anchor, anew.at, anew.anchor_day
    progress.next_day = None
    return []


def _is_scheduled(entry: AutoOrderItem, progress: ItemProgress, item: Item | None, day: date, zone_name: str) -> bool:
    """Whether the day is one of those that the schedule has."""
    dates = (one.day for one in occurrences(entry, progress, item, zone_name))
    return day in takewhile(lambda one: one <= day, dates)


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
        document.cancel_upgrade = document.cancel_downgrade = None


# --- its customer buys something else --------------------------------------------------------------------------------


class Bought(msgspec.Struct, kw_only=True, frozen=True):
    """What an order means for the auto orders that its customer had before. ``began``: items that it put on an auto
    order. ``cancels``: an item of it that cancels all other auto orders, if there is one."""

    began: frozenset[str]
    cancels: str | None = None


# What replaces an item that nothing replaces.
NEITHER = ("", "")


def owned(document: AutoOrder, head: Head, now: Instant) -> frozenset[str]:
    """The items that an auto order brings its customer again: none where it is not active."""
    entries = document.items or [] if head.status == "active" else []
    ends = [(entry.original_item_id or "", entry.no_order_after_dts) for entry in entries]
    return frozenset(item_id for item_id, end in ends if end is None or end > now)


def superseded(
    document: AutoOrder, head: Head, items: Mapping[str, Item], bought: Bought, now: Instant, zone_name: str
) -> Edited | None:
    """What the purchase makes of an earlier auto order of the same customer; None: it stays as it is.

    An item whose catalogue tab names what was put on an auto order as its upgrade or downgrade rebills no more; where
    nothing else would rebill either, the auto order is canceled. No cancel item is charged: the customer goes on.
    """
    if head.status != "active" and not (head.status == "disabled" and head.state.failed):
        return None
    entries = document.items or []
    going_on = [entry for entry in entries if _goes_on(entry, head, items, zone_name)]
    kinds = {entry.auto_order_item_oid: _replaced_by(entry, items, bought.began) for entry in going_on}
    replacing = [(kind, item_id) for kind, item_id in kinds.values() if kind]
    if not (bought.cancels or replacing):
        return None
    state = replace(head.state, items={key: replace(p) for key, p in head.state.items.items()})
    done = Edited(document=replace(document), head=replace(head, state=state, revision=head.revision + 1))
    reason = f"Replaced by {replacing[0][1]}" if replacing else f"Canceled by {bought.cancels}"
    if bought.cancels or len(replacing) == len(going_on):
        done.canceled, done.head.status, state.failed = True, "canceled", False
        done.document.canceled_dts = now
        done.document.cancel_reason = reason
        done.document.cancel_upgrade = any(kind == "upgrade" for kind, _ in replacing) or None
        done.document.cancel_downgrade = any(kind == "downgrade" for kind, _ in replacing) or None
        return done
    done.document.items = [
        _ended(entry, head, items, reason, now, zone_name)
        if kinds.get(entry.auto_order_item_oid, NEITHER)[0]
        else entry
        for entry in entries
    ]
    return done


def _replaced_by(entry: AutoOrderItem, items: Mapping[str, Item], began: frozenset[str]) -> tuple[str, str]:
    """Whether what began is an upgrade or a downgrade of the item, and which one it is; empty where it is neither."""
    item = _catalogued(entry, items)
    tab = item.auto_order if item else None
    for kind, others in (
        ("upgrade", tab.auto_order_upgrade_items if tab else None),
        ("downgrade", tab.auto_order_downgrade_items if tab else None),
    ):
        named = [other for other in others or [] if other in began]
        if named:
            return kind, named[0]
    return NEITHER


def _goes_on(entry: AutoOrderItem, head: Head, items: Mapping[str, Item], zone_name: str) -> bool:
    """Whether the item rebills once more, or would if nobody had paused it or the catalogue knew it."""
    progress = head.state.items.get(str(entry.auto_order_item_oid))
    if progress is None:
        return False
    coming = next_occurrence(entry, progress, _catalogued(entry, items), zone_name)
    return coming is not None or is_unknown(entry, items)


def _ended(
    entry: AutoOrderItem, head: Head, items: Mapping[str, Item], reason: str, now: Instant, zone_name: str
) -> AutoOrderItem:
    progress = head.state.items.get(str(entry.auto_order_item_oid))
    ends = now_or_before(entry, progress, _catalogued(entry, items), now, zone_name)
    return replace(entry, cancel_dts=now, cancel_reason=reason, no_order_after_dts=ends)


def now_or_before(
    entry: AutoOrderItem, progress: ItemProgress | None, item: Item | None, now: Instant, zone_name: str
) -> Instant:
    """When an item ends that ends now. Where an occurrence is due that nobody has paid for yet (a charge that is tried
    again, say), it is the second before that: who ends an item is not billed for it any more."""
    coming = next(occurrences(entry, progress, item, zone_name), None) if progress else None
    return min(now, later(midnight(coming.day, zone_name), seconds=-1)) if coming else now
