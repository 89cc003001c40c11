"""Auto orders: how an item's schedule is followed, how one begins, and what an edit may and may not do."""

import itertools
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import (
    AutoOrder,
    AutoOrderAddonItem,
    AutoOrderItem,
    Bought,
    Edited,
    Occurrence,
    advance,
    assembled,
    begun,
    cost_of,
    edited,
    is_unknown,
    next_occurrence,
    occurrences,
    owned,
    retry_days,
    superseded,
)
from chalicelib.domain.dates import Instant, local_date, midnight, parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.heads import Head, ItemProgress, State
from chalicelib.domain.items import (
    Item,
    ItemAutoOrder,
    ItemAutoOrderStep,
    ItemAutoOrderStepArbitraryUnitCostSchedule,
    ItemAutoOrderStepGrandfatherPricing,
    ItemPricing,
)
from chalicelib.domain.orders import MAXIMUM_LINES, Order, OrderItem, OrderItemOption, OrderItemProperty
from chalicelib.domain.settings import AutoOrderCancelReason, AutoOrderProcessing

ZONE = "America/New_York"
NOW = parse_instant("2027-01-31T15:00:00-05:00")
TODAY = date(2027, 1, 31)


def item(item_id: str = "COFFEE", *steps: ItemAutoOrderStep, cost: str = "10") -> Item:
    tab = ItemAutoOrder(auto_order_upsell=True, steps=list(steps)) if steps else None
    return Item(merchant_item_id=item_id, pricing=ItemPricing(cost=Decimal(cost)), auto_order=tab)


def rebill(schedule: Any, times: int | None = None, of: str = "COFFEE", **more: Any) -> ItemAutoOrderStep:
    return ItemAutoOrderStep(type="item", recurring_merchant_item_id=of, schedule=schedule, repeat_count=times, **more)


def rest(days: int) -> ItemAutoOrderStep:
    return ItemAutoOrderStep(type="pause", pause_days=days)


def until(day: str) -> ItemAutoOrderStep:
    return ItemAutoOrderStep(type="pause until", pause_until_date=midnight(date.fromisoformat(day), ZONE))


def until_the(day: int, delay: int | None = None) -> ItemAutoOrderStep:
    return ItemAutoOrderStep(type="pause until", pause_until_day_of_month=day, pause_until_minimum_delay_days=delay)


LOOP = ItemAutoOrderStep(type="loop")


def entry(frequency: Any = None, oid: int = 1, of: str = "COFFEE", **more: Any) -> AutoOrderItem:
    return AutoOrderItem(
        auto_order_item_oid=oid, original_item_id=of, original_quantity=Decimal(1), frequency=frequency, **more
    )


def began(day: str = "2027-01-31", **more: Any) -> ItemProgress:
    anchor = date.fromisoformat(day)
    return ItemProgress(**({"anchor": anchor, "billed_day": anchor} | more))


def days_of(of: AutoOrderItem, progress: ItemProgress, item_: Item | None = None, count: int = 4) -> list[str]:
    return [one.day.isoformat() for one in islice(occurrences(of, progress, item_, ZONE), count)]


# --- following a schedule --------------------------------------------------------------------------------------------


def test_a_frequency_of_its_own_sets_the_pace_whatever_the_catalogue_says() -> None:
    weekly = item("COFFEE", rebill("Weekly"))
    assert days_of(entry("Monthly"), began(), weekly) == ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]
    assert days_of(entry("Monthly"), began(), None) == ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]
    assert days_of(entry(), began(), weekly, 2) == ["2027-02-07", "2027-02-14"]
    assert days_of(entry(), began(), None) == []


def test_steps_pause_repeat_and_loop_and_their_months_and_days_never_drift() -> None:
    programme = item("COFFEE", rebill("Weekly", 2), rest(3), rebill("Monthly", 1, of="TEA"), LOOP)
    found = list(islice(occurrences(entry(), began(), programme, ZONE), 6))
    assert [(one.number, one.day.isoformat(), one.item_id, one.repeats_left) for one in found] == [
        (1, "2027-02-07", "COFFEE", 2),
        (2, "2027-02-14", "COFFEE", 1),
        (3, "2027-03-17", "TEA", 1),
        (4, "2027-03-24", "COFFEE", 2),
        (5, "2027-03-31", "COFFEE", 1),
        (6, "2027-05-04", "TEA", 1),
    ]


def test_steps_that_run_out_end_the_item() -> None:
    assert len(days_of(entry(), began(), item("COFFEE", rebill("Weekly", 3)), 99)) == 3
    assert days_of(entry(), began(billed=3), item("COFFEE", rebill("Weekly", 3))) == []
    assert days_of(entry(), began(), item("COFFEE", rest(5), LOOP)) == []


def test_a_new_date_is_the_next_ones_and_the_others_count_from_it() -> None:
    progress = began(billed=4, at=5, anchor=date(2027, 6, 30))
    found = list(islice(occurrences(entry("Monthly"), progress, None, ZONE), 3))
    assert [(one.number, one.day.isoformat()) for one in found] == [
        (5, "2027-06-30"),
        (6, "2027-07-30"),
        (7, "2027-08-30"),
    ]


def test_no_order_after_ends_it_on_that_date() -> None:
    for ends, coming in (("2027-02-28T00:00:00-05:00", True), ("2027-02-27T23:59:59-05:00", False)):
        of = entry("Monthly", no_order_after_dts=parse_instant(ends))
        assert (next_occurrence(of, began(), None, ZONE) is not None) == coming


@pytest.mark.parametrize(
    ("steps", "dates"),
    [
        ([until("2027-03-10"), rebill("Monthly")], ["2027-03-10", "2027-04-10", "2027-05-10"]),
        ([until("2027-02-01"), rebill("Monthly")], ["2027-02-01", "2027-03-01", "2027-04-01"]),
        ([until("2027-01-31"), rebill("Monthly")], ["2027-02-28", "2027-03-31", "2027-04-30"]),
        ([until("2026-12-24"), rebill("Monthly")], ["2027-02-28", "2027-03-31", "2027-04-30"]),
        ([rebill("Weekly", 1), until("2027-12-24"), rebill("Weekly")], ["2027-02-07", "2027-12-24", "2027-12-31"]),
        ([until("2027-03-10"), rest(5), rebill("Weekly")], ["2027-03-15", "2027-03-22", "2027-03-29"]),
        ([rest(60), until("2027-03-10"), rebill("Weekly")], ["2027-04-08", "2027-04-15", "2027-04-22"]),
        ([until("2027-03-10"), rebill("Weekly", 1), LOOP], ["2027-03-10", "2027-03-17", "2027-03-24"]),
    ],
    ids=[
        "the rebill is on that date and the others count from it",
        "also the day after the order",
        "the day of the order itself has come already",
        "a date that is past is no pause",
        "between two steps",
        "a pause after it is added",
        "a pause before it may outlast it",
        "in a loop it is a pause once",
    ],
)
def test_a_pause_until_a_date_ends_with_a_rebill_on_it(steps: list[ItemAutoOrderStep], dates: list[str]) -> None:
    assert days_of(entry(), began(), item("COFFEE", *steps), 3) == dates


@pytest.mark.parametrize(
    ("began_on", "day", "delay", "dates"),
    [
        ("2027-01-20", 15, None, ["2027-02-15", "2027-03-15", "2027-04-15"]),
        ("2027-01-14", 15, None, ["2027-01-15", "2027-02-15", "2027-03-15"]),
        ("2027-01-15", 15, None, ["2027-02-15", "2027-03-15", "2027-04-15"]),
        ("2027-01-14", 15, 2, ["2027-02-15", "2027-03-15", "2027-04-15"]),
        ("2027-01-05", 15, 10, ["2027-01-15", "2027-02-15", "2027-03-15"]),
        ("2027-01-06", 15, 10, ["2027-02-15", "2027-03-15", "2027-04-15"]),
        ("2027-01-31", 31, 7, ["2027-02-28", "2027-03-31", "2027-04-30"]),
        ("2027-01-10", 30, 30, ["2027-02-28", "2027-03-30", "2027-04-30"]),
        ("2027-01-31", 1, 40, ["2027-04-01", "2027-06-01", "2027-08-01"]),
    ],
)
def test_a_pause_until_a_day_of_the_month_ends_on_the_next_one_that_is_far_enough_away(
    began_on: str, day: int, delay: int | None, dates: list[str]
) -> None:
    """In a loop: every rebill is on that day, on the last of months that are too short for it."""
    club = item("COFFEE", until_the(day, delay), rebill("Every...", 1, arbitrary_schedule_days=3), LOOP)
    assert days_of(entry(), began(began_on), club, 3) == dates


def test_what_repeats_after_a_pause_until_the_31st_keeps_the_31st() -> None:
    club = item("COFFEE", until_the(31), rebill("Monthly"))
    assert days_of(entry(), began("2027-01-31"), club) == ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]


def test_the_date_of_a_pause_is_the_merchants() -> None:
    evening = parse_instant("2027-03-10T02:00:00Z")
    club = item("COFFEE", ItemAutoOrderStep(type="pause until", pause_until_date=evening), rebill("Weekly"))
    for zone_name, day in ((ZONE, "2027-03-09"), ("UTC", "2027-03-10"), ("Asia/Tokyo", "2027-03-10")):
        assert next(occurrences(entry(), began(), club, zone_name)).day.isoformat() == day


def test_a_frequency_of_its_own_paces_the_steps_and_their_pauses_stay() -> None:
    programme = item("COFFEE", rebill("Weekly", 1), until("2027-06-01"), rebill("Weekly", 2), rest(3), rebill("Weekly"))
    assert days_of(entry("Monthly"), began(), programme) == ["2027-02-28", "2027-06-01", "2027-07-01", "2027-08-04"]


def test_what_comes_after_a_pause_says_which_one_it_waits_for() -> None:
    pauses = (rest(3), until("2027-06-01"), until_the(15), until("2027-01-01"))
    for pause, waits in zip(pauses, (True, True, True, False), strict=True):
        coming = next(occurrences(entry(), began(), item("COFFEE", pause, rebill("Weekly")), ZONE))
        assert coming.pause == (pause if waits else None)


def test_steps_for_kits_pace_nothing_and_an_item_that_has_no_others_begins_no_auto_order() -> None:
    kit = rebill("Weekly", 2)
    kit.type = "kit only"
    assert days_of(entry(), began(), item("COFFEE", kit, rebill("Monthly")), 2) == ["2027-02-28", "2027-03-31"]
    order = Order(items=[OrderItem(merchant_item_id="COFFEE", quantity=Decimal(1))])
    assert begun(order, {"COFFEE": item("COFFEE", kit)}, NOW, itertools.count(7), ZONE) is None
    assert begun(order, {"COFFEE": item("COFFEE", kit, rebill("Monthly"))}, NOW, itertools.count(7), ZONE)


STEPS = st.lists(
    st.one_of(
        st.builds(rebill, st.sampled_from(["Weekly", "Monthly", "Every 45 Days", "Yearly"]), st.integers(1, 4)),
        st.builds(rest, st.integers(1, 40)),
        st.builds(until, st.dates(date(2024, 1, 1), date(2045, 12, 31)).map(date.isoformat)),
        st.builds(until_the, st.integers(1, 31), st.none() | st.integers(0, 60)),
    ),
    min_size=1,
    max_size=5,
).map(lambda steps: [*steps, LOOP])
PACES = st.sampled_from(["Weekly", "Monthly", "Every 28 Days", "Every 3 Months", "Yearly"])
ANCHORS = st.dates(date(2024, 1, 1), date(2040, 12, 31))


@given(STEPS, ANCHORS, st.integers(0, 30), st.one_of(st.none(), PACES))
def test_occurrences_are_numbered_without_a_gap_and_their_dates_only_go_forward(
    steps: list[ItemAutoOrderStep], anchor: date, billed: int, pace: Any
) -> None:
    of, progress = entry(pace), ItemProgress(anchor=anchor, billed=billed)
    found = list(islice(occurrences(of, progress, item("COFFEE", *steps), ZONE), 20))
    assert [one.number for one in found] == list(range(billed + 1, billed + 1 + len(found)))
    assert all(earlier.day < later.day for earlier, later in pairwise(found))
    whole = islice(occurrences(of, ItemProgress(anchor=anchor), item("COFFEE", *steps), ZONE), billed + len(found))
    assert [one.day for one in whole][billed:] == [one.day for one in found], "dates do not depend on what was billed"


# --- the catalogue changes its mind ----------------------------------------------------------------------------------


@given(STEPS, STEPS, ANCHORS, st.integers(1, 12))
def test_a_new_pace_in_the_catalogue_keeps_the_told_date_and_falls_due_never_in_the_past(
    before: list[ItemAutoOrderStep], after: list[ItemAutoOrderStep], anchor: date, billed: int
) -> None:
    old, new = item("COFFEE", *before), item("COFFEE", *after)
    progress, of = ItemProgress(anchor=anchor, billed_day=anchor), entry()
    for _ in range(billed):
        coming = next(occurrences(of, progress, old, ZONE), None)
        if coming is None:
            return
        advance(of, progress, old, coming.number, coming.day, coming.day, zone_name=ZONE, edited=False)
    told = next(occurrences(of, progress, old, ZONE), None)
    found = list(islice(occurrences(of, progress, new, ZONE), 3))
    if told and found:
        assert progress.billed_day is not None
        assert found[0].day == told.day > progress.billed_day
        advance(of, progress, new, found[0].number, found[0].day, found[0].day, zone_name=ZONE, edited=False)
        assert [one.day for one in islice(occurrences(of, progress, new, ZONE), 2)] == [one.day for one in found[1:]]


def test_an_item_that_the_catalogue_lacks_is_unknown_only_where_the_catalogue_sets_its_pace() -> None:
    assert is_unknown(entry(), {})
    assert not is_unknown(entry("Weekly"), {})
    assert not is_unknown(entry(), {"COFFEE": item()})


# --- an occurrence is done with --------------------------------------------------------------------------------------


@given(STEPS, ANCHORS, st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(0, 10))
def test_what_is_done_with_is_billed_on_its_date_and_the_rest_keeps_its_dates(
    steps: list[ItemAutoOrderStep], anchor: date, jumps: list[int], late: int
) -> None:
    """A jump of more than one passes over missed occurrences."""
    catalogue, of = item("COFFEE", *steps), entry()
    progress = ItemProgress(anchor=anchor, billed_day=anchor)
    dates = {one.number: one.day for one in islice(occurrences(of, progress, catalogue, ZONE), 60)}
    number = 0
    for jump in jumps:
        number += jump
        if number + 1 not in dates:
            return
        claimed = dates[number] + timedelta(days=late)
        advance(of, progress, catalogue, number, dates[number], claimed, zone_name=ZONE, edited=False)
        assert (progress.billed, progress.billed_day) == (number, dates[number])
        assert progress.next_day == dates[number + 1]
        assert next(occurrences(of, progress, catalogue, ZONE)).day == dates[number + 1]
    before = replace(progress)
    advance(of, progress, catalogue, number, dates[number], dates[number], zone_name=ZONE, edited=False)
    assert progress == before, "a second time changes nothing"


def test_an_item_that_ended_while_it_was_charged_is_done_with_all_the_same() -> None:
    progress = began(billed=2)
    advance(entry(), progress, item("COFFEE", rebill("Weekly", 2)), 3, TODAY, TODAY, zone_name=ZONE, edited=True)
    assert (progress.billed, progress.billed_day, progress.next_day) == (3, TODAY, None)


def moved(at: int, anchor: date) -> ItemProgress:
    """Billed three times, and since then dated anew (or, ``at`` 0, never)."""
    return ItemProgress(anchor=anchor, at=at, billed=3, billed_day=date(2026, 12, 31))


@pytest.mark.parametrize(
    ("progress", "occurrence", "day", "is_edited", "following"),
    [
        (moved(at=4, anchor=date(2027, 3, 20)), 4, "2027-01-31", True, "2027-03-20"),
        (moved(at=4, anchor=date(2027, 3, 20)), 7, "2027-01-31", True, "2027-03-20"),
        (moved(at=4, anchor=date(2027, 1, 31)), 4, "2027-01-29", True, "2027-02-28"),
        (moved(at=4, anchor=date(2027, 1, 10)), 7, "2027-01-31", True, "2027-02-10"),
        (moved(at=4, anchor=date(2027, 2, 1)), 4, "2027-01-31", False, "2027-02-28"),
        (moved(at=0, anchor=date(2026, 1, 1)), 4, "2027-01-10", False, "2027-02-10"),
    ],
    ids=[
        "re-dated: the new date comes next",
        "re-dated while missed ones were passed over",
        "re-dated to today: that is what was billed",
        "another pace while missed ones were passed over",
        "not edited, but the merchant's days were moved: the date is not billed again",
        "not edited, but the catalogue's pace was changed: it counts on from what was billed",
    ],
)
def test_what_was_moved_while_it_was_charged(
    progress: ItemProgress, occurrence: int, day: str, is_edited: bool, following: str
) -> None:
    of = entry("Monthly")
    advance(of, progress, None, occurrence, date.fromisoformat(day), TODAY, zone_name=ZONE, edited=is_edited)
    assert progress.billed == occurrence
    assert days_of(of, progress, None, 1) == [following]


# --- what one costs --------------------------------------------------------------------------------------------------


def test_an_override_holds_while_it_lasts_then_the_steps_price_then_the_items() -> None:
    of = entry("Weekly", arbitrary_unit_cost=Decimal(5))
    one = next(occurrences(of, began(), None, ZONE))
    stepped = replace(one, step=rebill("Weekly", arbitrary_unit_cost=Decimal(7)))
    for left, occurrence, cost in ((None, one, 5), (2, one, 5), (0, one, 10), (0, stepped, 7), (1, stepped, 5)):
        found = cost_of(of, began(unit_cost_remaining=left), occurrence, item(), NOW, ZONE, retry_days=None)
        assert found.unit_cost == cost


GRANDFATHERED = ItemAutoOrderStep(
    type="item",
    arbitrary_unit_cost=Decimal(9),
    grandfather_pricing=[
        ItemAutoOrderStepGrandfatherPricing(
            on_or_before_date=midnight(date(2026, day, 1), ZONE), unit_cost=Decimal(cost)
        )
        for day, cost in ((6, 7), (3, 5))
    ],
)


def costs(step: ItemAutoOrderStep, retry_days: int | None = None, of: AutoOrderItem | None = None, **more: Any) -> Any:
    one = Occurrence(number=1, day=date(2027, 2, 28), item_id="COFFEE", step=step)
    found = cost_of(of or entry(), began(**more), one, item(), NOW, ZONE, retry_days=retry_days)
    return int(found.unit_cost), found.rule, found.setting


@pytest.mark.parametrize(
    ("bought", "cost", "rule"),
    [
        ("2026-02-28T23:59:59-05:00", 5, "grandfather_pricing"),
        ("2026-03-01T23:59:59-05:00", 5, "grandfather_pricing"),
        ("2026-03-02T00:00:00-05:00", 7, "grandfather_pricing"),
        ("2026-06-01T23:59:59-04:00", 7, "grandfather_pricing"),
        ("2026-06-02T00:00:00-04:00", 9, "step_unit_cost"),
        (None, 9, "step_unit_cost"),
    ],
)
def test_who_bought_on_or_before_a_date_keeps_its_price_and_the_earliest_date_counts(
    bought: str | None, cost: int, rule: str
) -> None:
    """Local dates. Who has not bought it yet (the merchant has added it) buys it with the rebill."""
    first = parse_instant(bought) if bought else None
    assert costs(GRANDFATHERED, first_order_dts=first)[:2] == (cost, rule)


BY_RETRY = [
    ItemAutoOrderStepArbitraryUnitCostSchedule(retry_days=days, arbitrary_unit_cost=Decimal(cost))
    for days, cost in ((6, 4), (3, 8), (9, 6))
]


@pytest.mark.parametrize(
    ("days", "cost"), [(None, 10), (0, 10), (2, 10), (3, 8), (5, 8), (6, 4), (8, 4), (9, 6), (400, 6)]
)
def test_a_retry_costs_what_its_days_since_the_first_decline_say(days: int | None, cost: int) -> None:
    found = costs(ItemAutoOrderStep(type="item", arbitrary_unit_cost_schedules=BY_RETRY), days)
    assert found[0] == cost
    assert (found[1] == "retry_discount") == (cost != 10)


def test_a_discount_by_retry_only_ever_lowers_the_price_and_an_override_stands_over_it() -> None:
    dear = replace(GRANDFATHERED, arbitrary_unit_cost_schedules=BY_RETRY)
    old = parse_instant("2026-01-01T00:00:00Z")
    assert costs(dear, 3, first_order_dts=old)[:2] == (5, "grandfather_pricing"), "8 would be more"
    assert costs(dear, 6, first_order_dts=old) == (4, "retry_discount", "arbitrary_unit_cost_schedules")
    own = entry(arbitrary_unit_cost=Decimal(20))
    assert costs(dear, 6, of=own) == (20, "unit_cost_override", "arbitrary_unit_cost")
    assert costs(dear, 6, of=own, unit_cost_remaining=0)[:2] == (4, "retry_discount")


def test_days_since_the_first_decline_are_local_and_none_where_the_run_has_had_none() -> None:
    first = parse_instant("2027-02-28T23:30:00-05:00")
    head = Head(status="active", round=1, state=State(first_decline_dts=first))
    for moment, days in (("2027-02-28T23:59:00-05:00", 0), ("2027-03-01T00:00:00-05:00", 1)):
        assert retry_days(head, parse_instant(moment), ZONE) == days
    assert retry_days(replace(head, round=0), NOW, ZONE) is None
    assert retry_days(Head(status="active", round=1), NOW, ZONE) is None


# --- how one begins --------------------------------------------------------------------------------------------------


def test_it_begins_with_the_lines_that_rebill_on_the_local_date_of_the_payment() -> None:
    order = Order(
        order_id="DEMO-1",
        items=[
            OrderItem(merchant_item_id="COFFEE", quantity=Decimal(2), auto_order_schedule="Monthly"),
            OrderItem(merchant_item_id="TEA", quantity=Decimal(1)),
            OrderItem(merchant_item_id="BOX", quantity=Decimal(1)),
            OrderItem(merchant_item_id="GONE", quantity=Decimal(1), auto_order_schedule="Weekly"),
        ],
    )
    items = {"COFFEE": item(), "TEA": item("TEA"), "BOX": item("BOX", rebill("Weekly"))}
    late = parse_instant("2027-01-31T23:30:00-05:00")
    found = begun(order, items, late, itertools.count(7), ZONE)
    assert found is not None
    document, head = found
    assert [(one.original_item_id, one.auto_order_item_oid) for one in document.items or []] == [
        ("COFFEE", 8),
        ("BOX", 9),
        ("GONE", 10),
    ]
    assert [line.item_reference_oid for line in order.items or []] == [8, None, 9, 10]
    assert {key: (p.anchor, p.billed_day, p.next_day) for key, p in head.state.items.items()} == {
        "8": (TODAY, TODAY, date(2027, 2, 28)),
        "9": (TODAY, TODAY, date(2027, 2, 7)),
        "10": (TODAY, TODAY, date(2027, 2, 7)),
    }
    assert begun(Order(items=[OrderItem(merchant_item_id="TEA")]), items, late, itertools.count(7), ZONE) is None


def test_options_and_properties_of_a_line_stand_on_its_auto_order_item() -> None:
    line = OrderItem(
        merchant_item_id="COFFEE",
        quantity=Decimal(1),
        auto_order_schedule="Monthly",
        options=[OrderItemOption(label="Grind", value="Fine")],
        properties=[OrderItemProperty(name="roast", value="dark", display=True)],
    )
    found = begun(Order(items=[line]), {"COFFEE": item()}, NOW, itertools.count(7), ZONE)
    assert found
    [row] = found[0].items or []
    assert [(option.label, option.value) for option in row.options or []] == [("Grind", "Fine")]
    assert [(one.name, one.value) for one in row.properties or []] == [("roast", "dark")]


# --- edits -----------------------------------------------------------------------------------------------------------

ITEMS = {"COFFEE": item(), "TEA": item("TEA"), "BOX": item("BOX", rebill("Weekly"))}


class Standing:
    """An auto order of coffee, monthly, billed three times, the last on 31 January; the next is on 28 February."""

    def __init__(self, of: AutoOrderItem | None = None, **head: Any) -> None:
        progress = began("2026-10-31", billed=3, billed_day=TODAY, next_day=date(2027, 2, 28), number_of_rebills=3)
        self.settings = AutoOrderProcessing()
        self.document = AutoOrder(auto_order_oid=5, original_order_id="DEMO-1", items=[of or entry("Monthly")])
        self.head = replace(Head(status="active", state=State(items={"1": progress})), **head)

    @property
    def noun(self) -> AutoOrder:
        return assembled(self.document, self.head, ITEMS, ZONE, NOW)

    def edit(self, now: Instant = NOW, **raw: Any) -> Edited:
        before = self.noun
        wanted = wire.overlay(before, raw)
        done = edited(before, wanted, self.head, ITEMS, self.settings, now, ZONE, itertools.count(50))
        self.document, self.head = done.document, done.head
        return done

    def rows(self, **changes: Any) -> list[dict[str, Any]]:
        return [{**wire.plain(row), **changes} for row in self.noun.items or []]

    def refused(self, now: Instant = NOW, **raw: Any) -> list[tuple[str, str]]:
        before = (self.document, self.head)
        with pytest.raises(Invalid) as found:
            self.edit(now, **raw)
        assert (self.document, self.head) == before
        return [(problem.pointer, problem.code) for problem in found.value.problems]

    def next_day(self, oid: int = 1) -> str:
        row = next(row for row in self.noun.items or [] if row.auto_order_item_oid == oid)
        assert row.next_shipment_dts is not None
        return local_date(row.next_shipment_dts, ZONE).isoformat()


def at(day: str) -> str:
    return str(midnight(date.fromisoformat(day), ZONE))


def test_every_edit_raises_the_revision_and_touches_no_number_of_the_charge_protocol() -> None:
    standing = Standing(run=4, round=2, tries=7, fence=9)
    before = standing.head
    after = standing.edit(items=standing.rows(original_quantity=3)).head
    assert after.revision == before.revision + 1
    assert (after.run, after.round, after.tries, after.fence) == (4, 2, 7, 9)
    assert after.state == before.state


@pytest.mark.parametrize(
    ("day", "code"),
    [
        ("2027-01-30", "past_date"),
        ("2027-01-31", "already_billed"),
        ("2027-02-01", None),
        ("2027-02-28", None),
        ("2030-02-28", None),
    ],
)
def test_a_date_may_be_set_from_the_day_after_the_one_that_was_billed_last(day: str, code: str | None) -> None:
    standing = Standing()
    if code:
        assert standing.refused(items=standing.rows(next_shipment_dts=at(day))) == [
            ("/items/0/next_shipment_dts", code)
        ]
    else:
        standing.edit(items=standing.rows(next_shipment_dts=at(day)))
        assert standing.next_day() == day


def test_the_date_that_was_billed_last_cannot_be_set_however_much_later_it_is_tried() -> None:
    """A charge that was claimed ahead of its item's next date, say, leaves a billed date in the future."""
    standing = Standing()
    standing.head.state.items["1"].billed_day = date(2027, 2, 10)
    assert standing.refused(items=standing.rows(next_shipment_dts=at("2027-02-10")))
    standing.edit(items=standing.rows(next_shipment_dts=at("2027-02-11")))


@pytest.mark.parametrize("said", [True, False], ids=["the date is sent back", "the date is left out"])
def test_a_new_pace_keeps_the_date_that_was_told_and_counts_from_it(said: bool) -> None:
    standing = Standing()
    rows = standing.rows(frequency="Weekly")
    if not said:
        rows = [{"auto_order_item_oid": 1, "original_item_id": "COFFEE", "original_quantity": 1, "frequency": "Weekly"}]
    standing.edit(items=rows)
    of, progress = (standing.document.items or [])[0], standing.head.state.items["1"]
    assert days_of(of, progress, ITEMS["COFFEE"], 2) == ["2027-02-28", "2027-03-07"]


def test_what_had_ended_and_gets_a_new_pace_begins_again_but_not_on_the_date_that_was_billed() -> None:
    standing = Standing(entry(of="BOX"))
    box = item("BOX", rebill("Weekly", 3))
    before = assembled(standing.document, standing.head, {"BOX": box}, ZONE, NOW)
    assert before.items is not None
    assert before.items[0].next_shipment_dts is None
    wanted = replace(before, items=[replace(before.items[0], frequency="Weekly")])
    for now, day in ((NOW, date(2027, 2, 1)), (parse_instant("2027-05-05T12:00:00-04:00"), date(2027, 5, 5))):
        done = edited(before, wanted, standing.head, ITEMS, standing.settings, now, ZONE, itertools.count(50))
        assert done.head.state.items["1"].anchor == day


def test_a_new_item_begins_on_its_date_or_today_and_knows_nothing_of_the_past() -> None:
    standing = Standing()
    new = {"original_item_id": "TEA", "original_quantity": 1, "frequency": "Weekly", "number_of_rebills": 99}
    standing.edit(items=[*standing.rows(), new, {**new, "next_shipment_dts": at("2027-03-03")}])
    assert [standing.next_day(oid) for oid in (1, 50, 51)] == ["2027-02-28", "2027-01-31", "2027-03-03"]
    assert standing.head.state.items["50"].number_of_rebills == 0


def test_a_removed_item_is_forgotten_and_does_not_come_back_under_its_oid() -> None:
    standing = Standing()
    rows = standing.rows()
    standing.edit(items=[])
    assert standing.head.state.items == {}
    assert standing.refused(items=rows)[0] == ("/items/0/auto_order_item_oid", "unknown")


def test_one_item_in_two_rows_is_refused_for_it_would_be_billed_twice() -> None:
    standing = Standing()
    assert standing.refused(items=standing.rows() * 2) == [("/items/1/auto_order_item_oid", "conflict")]


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"number_of_rebills": 2}, "/items/0/number_of_rebills", "stale"),
        ({"last_order_dts": "2026-12-31T05:00:00Z"}, "/items/0/last_order_dts", "stale"),
        ({"original_item_id": "NONE"}, "/items/0/original_item_id", "unknown"),
        ({"arbitrary_item_id": "NONE"}, "/items/0/arbitrary_item_id", "unknown"),
        ({"frequency": "Every..."}, "/items/0/arbitrary_schedule_days", "required"),
    ],
)
def test_a_row_that_cannot_be_is_refused_by_name(change: dict[str, Any], pointer: str, code: str) -> None:
    standing = Standing()
    standing.head.state.items["1"].last_order_dts = NOW
    assert (pointer, code) in standing.refused(items=standing.rows(**change))


def test_a_copy_that_was_read_before_a_decline_is_refused() -> None:
    standing = Standing(round=1)
    assert standing.refused(credit_card_attempt=0, cancel_reason="x") == [("/credit_card_attempt", "stale")]


def test_an_item_whose_steps_the_catalogue_has_lost_keeps_nobody_from_canceling() -> None:
    standing = Standing(entry())
    standing.edit(enabled=False, canceled_by_user="customer")
    assert standing.head.status == "canceled"
    assert standing.refused(items=standing.rows(original_item_id="TEA")) == [("/items/0/frequency", "required")]


@pytest.mark.parametrize(
    ("status", "failed", "raw", "after"),
    [
        ("active", False, {"enabled": False}, "disabled"),
        ("active", False, {"enabled": False, "cancel_reason": "dear"}, "canceled"),
        ("active", False, {"enabled": False, "canceled_by_user": "customer"}, "canceled"),
        ("active", False, {"enabled": False, "status": "canceled"}, "canceled"),
        ("active", False, {"cancel_reason": "dear"}, "active"),
        ("active", False, {"enabled": True, "status": "active"}, "active"),
        ("disabled", True, {"canceled_by_user": "customer"}, "canceled"),
        ("disabled", True, {"enabled": False, "cancel_reason": "dear"}, "canceled"),
        ("disabled", True, {"status": "canceled"}, "canceled"),
        ("disabled", True, {"enabled": True}, "active"),
        ("disabled", True, {"enabled": True, "status": "active"}, "active"),
        ("disabled", False, {"enabled": False}, "disabled"),
        ("canceled", False, {"enabled": True}, "active"),
        ("canceled", False, {"enabled": False, "cancel_reason": "dear"}, "canceled"),
    ],
)
def test_who_enables_disables_and_cancels(status: Any, failed: bool, raw: dict[str, Any], after: str) -> None:
    standing = Standing(status=status, round=3)
    standing.head.state.failed, standing.head.state.failure_reason = failed, "no"
    done = standing.edit(**raw)
    assert standing.head.status == after
    assert not standing.head.state.failed
    assert done.canceled == (after == "canceled" != status)
    assert done.disabled == (after == "disabled" != status)
    if after == "active" != status:
        state = standing.head.state
        assert (standing.head.round, state.next_attempt, state.failure_reason) == (0, None, None)
        assert standing.document.cancel_reason is None
    if done.canceled:
        assert standing.document.canceled_dts == NOW


@pytest.mark.parametrize(
    "raw", [{"status": "canceled"}, {"status": "disabled"}, {"enabled": False, "status": "merged"}]
)
def test_a_status_that_would_not_follow_is_refused_so_that_nobody_believes_it(raw: dict[str, Any]) -> None:
    assert ("/status", "read_only") in Standing().refused(**raw)


def test_where_there_are_cancel_reasons_one_of_them_is_named() -> None:
    for standing in (Standing(), Standing(status="disabled")):
        standing.settings = AutoOrderProcessing(cancel_reasons=[AutoOrderCancelReason(reason="too dear")])
        assert standing.refused(enabled=False, canceled_by_user="c") == [("/cancel_reason", "not_allowed_value")]
        standing.edit(enabled=False, canceled_by_user="c", cancel_reason="too dear")
        assert standing.head.status == "canceled"


def test_a_restart_keeps_the_schedule_and_the_keys_apart() -> None:
    standing = Standing(status="canceled", run=4, round=2, tries=6)
    progress = replace(standing.head.state.items["1"])
    standing.edit(enabled=True)
    assert standing.head.state.items["1"] == progress
    assert (standing.head.run, standing.head.tries) == (4, 6)


def test_a_price_override_is_kept_counted_and_cleared() -> None:
    standing = Standing()
    standing.edit(items=standing.rows(arbitrary_unit_cost=5, arbitrary_unit_cost_remaining_orders=2))
    assert standing.head.state.items["1"].unit_cost_remaining == 2
    standing.edit(items=standing.rows(original_quantity=2))
    assert standing.head.state.items["1"].unit_cost_remaining == 2
    standing.head.state.items["1"].unit_cost_remaining = 0
    row = standing.rows()[0]
    assert not {"arbitrary_unit_cost", "arbitrary_unit_cost_remaining_orders"} & {k for k, v in row.items() if v}
    standing.edit(items=standing.rows())
    assert (standing.document.items or [])[0].arbitrary_unit_cost is None


WISHES: list[Callable[[Standing], dict[str, Any]]] = [
    lambda s: {"items": s.rows(frequency="Weekly")},
    lambda s: {"items": s.rows(next_shipment_dts=at("2027-02-14"))},
    lambda s: {"items": s.rows(paused=True)},
    lambda s: {"items": s.rows(original_item_id="TEA")},
    lambda s: {"enabled": False},
    lambda s: {"enabled": True},
    lambda s: {"cancel_after_next_x_orders": 2},
]


@given(st.lists(st.sampled_from(WISHES), max_size=8))
def test_no_series_of_edits_makes_a_date_due_that_was_billed(
    wishes: list[Callable[[Standing], dict[str, Any]]],
) -> None:
    standing = Standing()
    for wish in wishes:
        standing.edit(**wish(standing))
    progress = standing.head.state.items["1"]
    assert (progress.billed, progress.billed_day) == (3, TODAY)
    coming = next(occurrences((standing.document.items or [])[0], progress, ITEMS["COFFEE"], ZONE))
    assert (coming.number, coming.day > TODAY) == (4, True)


# --- skipping --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frequency", "told", "chosen", "after"),
    [
        ("Monthly", "2027-02-28", "2027-03-31", ["2027-03-31", "2027-04-30", "2027-05-31"]),
        ("Monthly", "2027-02-28", "2027-04-30", ["2027-04-30", "2027-05-31", "2027-06-30"]),
        ("Monthly", "2027-02-28", "2027-03-30", ["2027-03-30", "2027-04-30", "2027-05-30"]),
        ("Monthly", "2027-02-28", "2027-02-27", ["2027-02-27", "2027-03-27", "2027-04-27"]),
        ("Every 2 Months", "2027-02-28", "2027-04-30", ["2027-04-30", "2027-06-30", "2027-08-31"]),
        ("Weekly", "2027-02-07", "2027-02-14", ["2027-02-14", "2027-02-21", "2027-02-28"]),
        ("Weekly", "2027-02-07", "2027-02-10", ["2027-02-10", "2027-02-17", "2027-02-24"]),
    ],
    ids=[
        "to the next date: the 31st stays the 31st",
        "over two, to a month's end that is not its day",
        "to a day of its own choice, which all others follow",
        "sooner",
        "every two months",
        "weekly, to the next",
        "weekly, to another weekday",
    ],
)
def test_a_later_date_of_the_schedule_skips_what_lies_before_it_and_nothing_else(
    frequency: Any, told: str, chosen: str, after: list[str]
) -> None:
    standing = Standing(entry(frequency))
    anchor = date(2026, 10, 31) if frequency == "Monthly" else TODAY
    standing.head.state.items["1"] = ItemProgress(
        anchor=anchor if frequency != "Every 2 Months" else date(2026, 8, 31),
        billed=3,
        billed_day=TODAY,
        at=3 if frequency == "Weekly" else 0,
        next_day=date.fromisoformat(told),
    )
    assert standing.next_day() == told
    standing.edit(items=standing.rows(next_shipment_dts=at(chosen)))
    [row], progress = standing.document.items or [], standing.head.state.items["1"]
    found = list(islice(occurrences(row, progress, ITEMS["COFFEE"], ZONE), 3))
    assert [one.day.isoformat() for one in found] == after
    assert [one.number for one in found] == [4, 5, 6], "what was to come first comes then"


def test_a_new_pace_from_a_months_end_keeps_the_31st() -> None:
    standing = Standing()
    standing.edit(items=standing.rows(frequency="Every 2 Months"))
    [row], progress = standing.document.items or [], standing.head.state.items["1"]
    assert days_of(row, progress, ITEMS["COFFEE"]) == ["2027-02-28", "2027-04-30", "2027-06-30", "2027-08-31"]


def test_a_skip_in_a_programme_puts_off_what_comes_and_drops_no_step() -> None:
    programme = item("BOX", rebill("Monthly", 1, of="TEA"), rebill("Monthly", 1))
    standing = Standing(entry(of="BOX"))
    standing.head.state.items["1"] = ItemProgress(anchor=TODAY, billed_day=TODAY, next_day=date(2027, 2, 28))
    before = assembled(standing.document, standing.head, {"BOX": programme}, ZONE, NOW)
    rows = [replace(row, next_shipment_dts=midnight(date(2027, 3, 31), ZONE)) for row in before.items or []]
    items = {**ITEMS, "BOX": programme}
    done = edited(
        before, replace(before, items=rows), standing.head, items, standing.settings, NOW, ZONE, itertools.count(50)
    )
    found = list(occurrences(rows[0], done.head.state.items["1"], programme, ZONE))
    assert [(one.item_id, one.day.isoformat()) for one in found] == [("TEA", "2027-03-31"), ("COFFEE", "2027-04-30")]


# --- overrides and add-ons -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"arbitrary_unit_cost_remaining_orders": 2}, "/items/0/arbitrary_unit_cost", "required"),
        ({"arbitrary_unit_cost": 5, "arbitrary_unit_cost_remaining_orders": 0},
         "/items/0/arbitrary_unit_cost_remaining_orders", "out_of_range"),
        ({"add_ons": [{"quantity": 1}]}, "/items/0/add_ons/0/item_id", "required"),
        ({"add_ons": [{"item_id": "NONE"}]}, "/items/0/add_ons/0/item_id", "unknown"),
        ({"add_ons": [{"item_id": "TEA"}, {"item_id": "TEA", "quantity": 2}]},
         "/items/0/add_ons/1/item_id", "conflict"),
    ],
)  # fmt: skip
def test_an_override_or_an_add_on_that_cannot_be_is_refused_by_name(
    change: dict[str, Any], pointer: str, code: str
) -> None:
    assert Standing().refused(items=Standing().rows(**change)) == [(pointer, code)]


def test_add_ons_of_the_auto_order_are_held_to_the_same_rules() -> None:
    standing = Standing()
    assert standing.refused(add_ons=[{"item_id": "NONE"}, {"item_id": "TEA"}, {"item_id": "TEA"}]) == [
        ("/add_ons/0/item_id", "unknown"),
        ("/add_ons/2/item_id", "conflict"),
    ]
    for wrong in ({"next_x_orders": 0}, {"quantity": 0}):
        assert standing.refused(add_ons=[{"item_id": "TEA", **wrong}]) == [
            (f"/add_ons/0/{next(iter(wrong))}", "out_of_range")
        ]


def test_add_ons_are_shown_with_the_orders_that_are_left_and_are_gone_when_there_are_none() -> None:
    standing = Standing()
    standing.edit(
        add_ons=[{"item_id": "TEA", "next_x_orders": 2}, {"item_id": "BOX"}],
        items=standing.rows(add_ons=[{"item_id": "TEA", "next_x_orders": 1, "arbitrary_unit_cost": 0}]),
    )
    standing.head.state.add_ons = {"TEA": 1}
    noun = standing.noun
    assert [(a.item_id, a.next_x_orders) for a in noun.add_ons or []] == [("TEA", 1), ("BOX", None)]
    assert [(a.item_id, a.next_x_orders) for a in (noun.items or [])[0].add_ons or []] == [("TEA", 1)]
    standing.head.state.add_ons, standing.head.state.items["1"].add_ons = {"TEA": 0}, {"TEA": 0}
    assert [a.item_id for a in standing.noun.add_ons or []] == ["BOX"]
    assert (standing.noun.items or [])[0].add_ons is None


def test_an_edit_of_something_else_keeps_what_is_left_of_the_add_ons() -> None:
    standing = Standing()
    standing.edit(add_ons=[{"item_id": "TEA", "next_x_orders": 3}])
    standing.head.state.add_ons = {"TEA": 1}
    standing.edit(items=standing.rows(original_quantity=2))
    assert [(a.item_id, a.next_x_orders) for a in standing.noun.add_ons or []] == [("TEA", 1)]
    assert standing.head.state.add_ons == {}, "the document says it now"


def test_a_number_of_orders_that_is_said_anew_counts_from_then() -> None:
    standing = Standing()
    for said in (3, 2):
        gifts = [{"item_id": "TEA", "next_x_orders": said}]
        standing.edit(add_ons=gifts, items=standing.rows(add_ons=gifts))
        for shown in (standing.noun.add_ons, (standing.noun.items or [])[0].add_ons):
            assert [add_on.next_x_orders for add_on in shown or []] == [said]
        standing.head.state.add_ons, standing.head.state.items["1"].add_ons = {"TEA": 1}, {"TEA": 1}


def test_an_add_on_that_is_not_sold_any_more_keeps_nobody_from_editing() -> None:
    standing = Standing()
    standing.document.add_ons = [AutoOrderAddonItem(item_id="GONE")]
    standing.edit(items=standing.rows(original_quantity=2))
    assert standing.refused(add_ons=[{"item_id": "ELSE"}]) == [("/add_ons/0/item_id", "unknown")]


def test_all_items_and_add_ons_fit_into_one_order() -> None:
    standing = Standing()
    items = {**ITEMS, **{f"GIFT{number}": item(f"GIFT{number}") for number in range(20)}}
    new = {"original_item_id": "TEA", "original_quantity": 1, "frequency": "Weekly"}
    gifts = [{"item_id": f"GIFT{number}"} for number in range(20)]
    before = standing.noun
    rows = [{**new, "add_ons": gifts} for _ in range(MAXIMUM_LINES // 21)]
    full = [*standing.rows(), *rows, *[new] * (MAXIMUM_LINES % 21 - 1)]

    def edit(rows: list[Any]) -> Edited:
        wanted = wire.overlay(before, {"items": rows})
        return edited(before, wanted, standing.head, items, standing.settings, NOW, ZONE, itertools.count(50))

    assert len(edit(full).document.items or []) == len(full)
    with pytest.raises(Invalid) as refused:
        edit([*full, new])
    assert [(one.pointer, one.code) for one in refused.value.problems] == [("/add_ons", "too_many")]


# --- its customer buys something else --------------------------------------------------------------------------------


def with_tab(item_id: str, **tab: Any) -> Item:
    return replace(item(item_id), auto_order=ItemAutoOrder(**tab))


LADDER = {
    "SMALL": with_tab("SMALL", auto_order_upgrade_items=["BIG"]),
    "BIG": with_tab("BIG", auto_order_downgrade_items=["SMALL"]),
    "TEA": item("TEA"),
}


def held(*rows: AutoOrderItem, **head: Any) -> tuple[AutoOrder, Head]:
    progress = {
        str(row.auto_order_item_oid): ItemProgress(anchor=TODAY, billed_day=TODAY, number_of_rebills=1) for row in rows
    }
    document = AutoOrder(auto_order_oid=5, original_order_id="DEMO-1", items=list(rows))
    return document, replace(Head(status="active", state=State(items=progress)), **head)


def ends(document: AutoOrder, head: Head, *began_: str, cancels: str | None = None) -> Edited | None:
    bought = Bought(began=frozenset(began_), cancels=cancels)
    return superseded(document, head, LADDER, bought, NOW, ZONE)


SMALL, BIG = entry("Monthly", of="SMALL"), entry("Monthly", of="BIG")
TEA = entry("Monthly", oid=2, of="TEA")


@pytest.mark.parametrize(
    ("row", "bought", "flags"),
    [
        (SMALL, ["BIG"], (True, None)),
        (BIG, ["SMALL"], (None, True)),
        (SMALL, ["SMALL"], None),
        (SMALL, ["TEA"], None),
        (TEA, ["BIG"], None),
        (SMALL, [], None),
    ],
)
def test_who_begins_an_upgrade_or_a_downgrade_loses_the_auto_order_of_what_it_replaces(
    row: AutoOrderItem, bought: list[str], flags: tuple[bool | None, bool | None] | None
) -> None:
    document, head = held(row)
    done = ends(document, head, *bought)
    if flags is None:
        assert done is None
        return
    assert done
    assert (done.document.cancel_upgrade, done.document.cancel_downgrade) == flags
    assert (done.head.status, done.canceled, done.document.canceled_dts) == ("canceled", True, NOW)
    assert done.document.cancel_reason == f"Replaced by {bought[0]}"
    assert (done.head.revision, head.revision, head.status) == (1, 0, "active"), "what was read stays as it was"


def test_an_auto_order_with_other_items_goes_on_without_the_one_that_is_replaced() -> None:
    document, head = held(SMALL, TEA)
    done = ends(document, head, "BIG")
    assert done
    assert (done.head.status, done.canceled, done.document.cancel_upgrade) == ("active", False, None)
    small, tea = done.document.items or []
    assert (small.cancel_dts, small.cancel_reason) == (NOW, "Replaced by BIG")
    assert next_occurrence(small, done.head.state.items["1"], LADDER["SMALL"], ZONE) is None
    assert tea == TEA
    assert ends(done.document, done.head, "BIG") is None, "what has ended does not end again"


def test_what_is_replaced_rebills_no_more_though_it_is_due_already() -> None:
    document, head = held(SMALL, TEA)
    head.state.items["1"] = ItemProgress(anchor=date(2026, 12, 31), billed_day=date(2026, 12, 31))
    assert next_occurrence(SMALL, head.state.items["1"], None, ZONE).day == TODAY  # type: ignore[union-attr]
    done = ends(document, head, "BIG")
    assert done
    assert next_occurrence((done.document.items or [])[0], done.head.state.items["1"], None, ZONE) is None


def test_where_the_other_items_have_ended_too_the_auto_order_is_canceled_but_not_where_one_is_paused() -> None:
    over = replace(TEA, no_order_after_dts=NOW)
    done = ends(*held(SMALL, over), "BIG")
    assert done
    assert done.head.status == "canceled"
    done = ends(*held(SMALL, replace(TEA, paused=True)), "BIG")
    assert done
    assert done.head.status == "active"


@pytest.mark.parametrize(
    ("head", "ended"),
    [
        ({"status": "active"}, True),
        ({"status": "disabled", "state": State(failed=True)}, True),
        ({"status": "disabled"}, False),
        ({"status": "canceled"}, False),
        ({"status": "merged"}, False),
    ],
    ids=["active", "disabled by declines: a new card would enable it", "disabled by somebody", "canceled", "merged"],
)
def test_an_item_that_cancels_other_auto_orders_cancels_what_would_bill_again(
    head: dict[str, Any], ended: bool
) -> None:
    done = ends(*held(TEA, **head), cancels="ALONE")
    assert (done is not None) == ended
    if done:
        assert (done.head.status, done.head.state.failed) == ("canceled", False)
        assert done.document.cancel_reason == "Canceled by ALONE"
        assert (done.document.cancel_upgrade, done.document.cancel_downgrade) == (None, None)


def test_a_restart_forgets_that_it_was_an_upgrade() -> None:
    standing = Standing(status="canceled")
    standing.document.cancel_upgrade = True
    assert standing.refused(cancel_upgrade=False) == [("/cancel_upgrade", "read_only")]
    standing.edit(enabled=True)
    assert standing.document.cancel_upgrade is None


def test_what_an_active_auto_order_brings_is_owned_until_it_has_ended() -> None:
    document, head = held(SMALL, replace(TEA, no_order_after_dts=NOW))
    assert owned(document, head, NOW) == {"SMALL"}
    assert owned(document, replace(head, status="canceled"), NOW) == frozenset()
    later_end = replace(TEA, no_order_after_dts=parse_instant("2027-02-01T00:00:00Z"))
    assert owned(*held(later_end), NOW) == {"TEA"}
