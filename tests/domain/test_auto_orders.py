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
    Edited,
    advance,
    assembled,
    begun,
    edited,
    is_unknown,
    next_occurrence,
    occurrences,
    unit_cost,
)
from chalicelib.domain.dates import Instant, local_date, midnight, parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.heads import Head, ItemProgress, State
from chalicelib.domain.items import Item, ItemAutoOrder, ItemAutoOrderStep, ItemPricing
from chalicelib.domain.orders import Order, OrderItem
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


LOOP = ItemAutoOrderStep(type="loop")


def entry(frequency: Any = None, oid: int = 1, of: str = "COFFEE", **more: Any) -> AutoOrderItem:
    return AutoOrderItem(
        auto_order_item_oid=oid, original_item_id=of, original_quantity=Decimal(1), frequency=frequency, **more
    )


def began(day: str = "2027-01-31", **more: Any) -> ItemProgress:
    anchor = date.fromisoformat(day)
    return ItemProgress(**({"anchor": anchor, "billed_day": anchor} | more))


def days_of(of: AutoOrderItem, progress: ItemProgress, item_: Item | None = None, count: int = 4) -> list[str]:
    return [one.day.isoformat() for one in islice(occurrences(of, progress, item_), count)]


# --- following a schedule --------------------------------------------------------------------------------------------


def test_a_frequency_of_its_own_sets_the_pace_whatever_the_catalogue_says() -> None:
    weekly = item("COFFEE", rebill("Weekly"))
    assert days_of(entry("Monthly"), began(), weekly) == ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]
    assert days_of(entry("Monthly"), began(), None) == ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]
    assert days_of(entry(), began(), weekly, 2) == ["2027-02-07", "2027-02-14"]
    assert days_of(entry(), began(), None) == []


def test_steps_pause_repeat_and_loop_and_their_months_and_days_never_drift() -> None:
    programme = item("COFFEE", rebill("Weekly", 2), rest(3), rebill("Monthly", 1, of="TEA"), LOOP)
    found = list(islice(occurrences(entry(), began(), programme), 6))
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
    found = list(islice(occurrences(entry("Monthly"), progress, None), 3))
    assert [(one.number, one.day.isoformat()) for one in found] == [
        (5, "2027-06-30"),
        (6, "2027-07-30"),
        (7, "2027-08-30"),
    ]


def test_no_order_after_ends_it_on_that_date() -> None:
    for ends, coming in (("2027-02-28T00:00:00-05:00", True), ("2027-02-27T23:59:59-05:00", False)):
        of = entry("Monthly", no_order_after_dts=parse_instant(ends))
        assert (next_occurrence(of, began(), None, ZONE) is not None) == coming


STEPS = st.lists(
    st.one_of(
        st.builds(rebill, st.sampled_from(["Weekly", "Monthly", "Every 45 Days", "Yearly"]), st.integers(1, 4)),
        st.builds(rest, st.integers(1, 40)),
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
    found = list(islice(occurrences(of, progress, item("COFFEE", *steps)), 20))
    assert [one.number for one in found] == list(range(billed + 1, billed + 1 + len(found)))
    assert all(earlier.day < later.day for earlier, later in pairwise(found))
    whole = islice(occurrences(of, ItemProgress(anchor=anchor), item("COFFEE", *steps)), billed + len(found))
    assert [one.day for one in whole][billed:] == [one.day for one in found], "dates do not depend on what was billed"


# --- the catalogue changes its mind ----------------------------------------------------------------------------------


@given(STEPS, STEPS, ANCHORS, st.integers(1, 12))
def test_a_new_pace_in_the_catalogue_keeps_the_told_date_and_falls_due_never_in_the_past(
    before: list[ItemAutoOrderStep], after: list[ItemAutoOrderStep], anchor: date, billed: int
) -> None:
    old, new = item("COFFEE", *before), item("COFFEE", *after)
    progress, of = ItemProgress(anchor=anchor, billed_day=anchor), entry()
    for _ in range(billed):
        coming = next(occurrences(of, progress, old), None)
        if coming is None:
            return
        advance(of, progress, old, coming.number, coming.day, coming.day, edited=False)
    told = next(occurrences(of, progress, old), None)
    found = list(islice(occurrences(of, progress, new), 3))
    if told and found:
        assert progress.billed_day is not None
        assert found[0].day == told.day > progress.billed_day
        advance(of, progress, new, found[0].number, found[0].day, found[0].day, edited=False)
        assert [one.day for one in islice(occurrences(of, progress, new), 2)] == [one.day for one in found[1:]]


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
    dates = {one.number: one.day for one in islice(occurrences(of, progress, catalogue), 60)}
    number = 0
    for jump in jumps:
        number += jump
        if number + 1 not in dates:
            return
        claimed = dates[number] + timedelta(days=late)
        advance(of, progress, catalogue, number, dates[number], claimed, edited=False)
        assert (progress.billed, progress.billed_day) == (number, dates[number])
        assert progress.next_day == dates[number + 1]
        assert next(occurrences(of, progress, catalogue)).day == dates[number + 1]
    before = replace(progress)
    advance(of, progress, catalogue, number, dates[number], dates[number], edited=False)
    assert progress == before, "a second time changes nothing"


def test_an_item_that_ended_while_it_was_charged_is_done_with_all_the_same() -> None:
    progress = began(billed=2)
    advance(entry(), progress, item("COFFEE", rebill("Weekly", 2)), 3, TODAY, TODAY, edited=True)
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
    advance(of, progress, None, occurrence, date.fromisoformat(day), TODAY, edited=is_edited)
    assert progress.billed == occurrence
    assert days_of(of, progress, None, 1) == [following]


# --- what one costs --------------------------------------------------------------------------------------------------


def test_an_override_holds_while_it_lasts_then_the_steps_price_then_the_items() -> None:
    of = entry("Weekly", arbitrary_unit_cost=Decimal(5))
    one = next(occurrences(of, began(), None))
    stepped = replace(one, step=rebill("Weekly", arbitrary_unit_cost=Decimal(7)))
    for left, occurrence, cost in ((None, one, 5), (2, one, 5), (0, one, 10), (0, stepped, 7), (1, stepped, 5)):
        assert unit_cost(of, began(unit_cost_remaining=left), occurrence, item(), NOW) == cost


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
        ({"add_ons": [{"item_id": "TEA", "quantity": 1}]}, "/items/0/add_ons", "not_available"),
    ],
)
def test_a_row_that_cannot_be_is_refused_by_name(change: dict[str, Any], pointer: str, code: str) -> None:
    standing = Standing()
    standing.head.state.items["1"].last_order_dts = NOW
    assert (pointer, code) in standing.refused(items=standing.rows(**change))


def test_a_copy_that_was_read_before_a_decline_is_refused() -> None:
    standing = Standing(round=1)
    assert standing.refused(credit_card_attempt=0, cancel_reason="x") == [("/credit_card_attempt", "stale")]


def test_add_ons_are_refused_wherever_they_are_sent() -> None:
    standing = Standing()
    addon = wire.plain(AutoOrderAddonItem(item_id="TEA", quantity=1))
    assert standing.refused(add_ons=[addon]) == [("/add_ons", "not_available")]


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
    coming = next(occurrences((standing.document.items or [])[0], progress, ITEMS["COFFEE"]))
    assert (coming.number, coming.day > TODAY) == (4, True)
