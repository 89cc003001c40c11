"""The rebill worker's stories: dates, retries, the window, missed shipments, edits that come in between."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from chalicelib.domain.dates import parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.items import ItemAutoOrder, ItemAutoOrderStep
from chalicelib.domain.payments import Charge
from chalicelib.flows import edit, show
from chalicelib.flows.rebill import rebill
from tests.flows.test_crashes import put_card
from tests.worlds import World

DECLINES = "4000000000000002"
LOST = "4000000000009987"


def shown_items(world: World, oid: int) -> list[dict[str, Any]]:
    shop = world.shop
    form = shop.configuration.price_list([], [])[0].form()
    items: list[dict[str, Any]] = show.auto_order(shop, oid, ["items"], form)[0]["items"]
    return items


def item_oid(world: World, oid: int, item_id: str) -> int:
    return next(e.auto_order_item_oid or 0 for e in world.document(oid).items or [] if e.original_item_id == item_id)


# --- dates -----------------------------------------------------------------------------------------------------------


def test_a_monthly_order_of_the_31st_is_billed_on_the_last_days_of_months_and_returns_to_the_31st() -> None:
    world = World().open()
    oid = world.subscribe()
    world.travel(92, twice=True)
    assert world.rebill_days(oid) == ["2027-02-28", "2027-03-31", "2027-04-30"]
    world.check(oid)


def test_a_year_of_weeks_is_52_orders_across_both_clock_changes() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    world.travel(364)
    days = world.rebill_days(oid)
    assert (len(days), days[0], days[-1]) == (52, "2027-02-07", "2028-01-30")
    world.check(oid)


def test_two_frequencies_that_cross_share_one_order_on_that_day_and_bill_each_occurrence_once() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Monthly", "TEA": "Every 2 Months"})
    world.travel(62, twice=True)
    lines = [[line.merchant_item_id for line in order.items or []] for order in world.rebills(oid)]
    assert lines == [["COFFEE"], ["COFFEE", "TEA"]]
    world.check(oid)


def test_automatic_steps_pace_and_change_the_item_and_end_the_auto_order_when_they_run_out() -> None:
    world = World().open()
    steps = [
        ItemAutoOrderStep(type="item", recurring_merchant_item_id="TEA", schedule="Weekly", repeat_count=2),
        ItemAutoOrderStep(type="pause", pause_days=3),
        ItemAutoOrderStep(
            type="item",
            recurring_merchant_item_id="COFFEE",
            schedule="Monthly",
            repeat_count=1,
            arbitrary_unit_cost=Decimal(5),
        ),
    ]
    world.sell("TRIAL", "1.00", ItemAutoOrder(auto_order_upsell=True, steps=steps))
    oid = world.subscribe({"TRIAL": None})
    world.travel(120)
    assert world.rebill_days(oid) == ["2027-02-07", "2027-02-14", "2027-03-17"]
    assert [order.summary.total for order in world.rebills(oid) if order.summary] == [
        Decimal("9.5"),
        Decimal("9.5"),
        Decimal(5),
    ]
    head = world.head(oid)
    assert (head.status, head.state.completed, head.due_dts) == ("disabled", True, None)


def test_a_preshipment_notice_goes_out_once_and_before_the_rebill() -> None:
    world = World().open()
    step = ItemAutoOrderStep(
        type="item", recurring_merchant_item_id="TEA", schedule="Monthly", preshipment_notice_days=5
    )
    world.sell("BOX", "1.00", ItemAutoOrder(auto_order_upsell=True, steps=[step]))
    oid = world.subscribe({"BOX": None})
    world.travel(22, twice=True)
    assert not any(mail.template == "preshipment_notice" for mail in world.shop.mails.of(f"auto_order#{oid}"))
    world.travel(2, twice=True)
    mails = [mail for mail in world.shop.mails.of(f"auto_order#{oid}") if mail.template == "preshipment_notice"]
    assert len(mails) == 1
    assert world.rebills(oid) == []
    world.travel(4, twice=True)
    assert world.rebill_days(oid) == ["2027-02-28"]


# --- the window ------------------------------------------------------------------------------------------------------


def test_nothing_is_billed_outside_the_window_and_all_that_waits_is_billed_when_it_opens() -> None:
    world = World().open(window_start="09:00", window_end="14:00")
    oid = world.subscribe()
    world.clock.go(parse_instant("2027-02-28T08:59:59-05:00"))
    world.work()
    assert world.rebills(oid) == []
    assert world.head(oid).due_dts == parse_instant("2027-02-28T09:00:00-05:00")
    world.clock.go(parse_instant("2027-02-28T09:00:00-05:00"))
    world.work()
    assert len(world.rebills(oid)) == 1


def test_a_window_may_cross_midnight() -> None:
    world = World().open(window_start="22:00", window_end="04:00")
    oid = world.subscribe()
    world.clock.go(parse_instant("2027-02-28T00:00:00-05:00"))
    world.work()
    assert len(world.rebills(oid)) == 1


# --- declines --------------------------------------------------------------------------------------------------------


def test_declines_are_tried_as_often_and_as_far_apart_as_the_settings_say_then_the_auto_order_is_disabled() -> None:
    world = World().open(number_of_retries=3, delay_between_retries_days=2)
    oid = world.subscribe()
    put_card(world, oid, DECLINES)
    world.travel(40, twice=True)
    head = world.head(oid)
    attempts = world.shop.auto_orders.attempts(oid)
    days = [row.closed_dts.astimezone().date().isoformat() for row in attempts]
    assert len(days) == 3
    assert [row.attempt.round for row in attempts] == [0, 1, 2]
    gaps = [(b.closed_dts - a.closed_dts).days for a, b in pairwise(attempts)]
    assert gaps == [2, 2]
    assert (head.status, head.round, head.state.failure_reason) == ("disabled", 3, "The bank declined the charge.")
    assert len({row.attempt.key for row in attempts}) == 3
    world.check(oid)


def test_blank_means_three_attempts_three_days_apart() -> None:
    world = World().open()
    oid = world.subscribe()
    put_card(world, oid, DECLINES)
    world.travel(60)
    attempts = world.shop.auto_orders.attempts(oid)
    assert [(row.closed_dts - attempts[0].closed_dts).days for row in attempts] == [0, 3, 6]


def test_a_success_after_a_decline_sets_the_count_back_and_keeps_the_schedule() -> None:
    world = World().open()
    oid = world.subscribe()
    put_card(world, oid, DECLINES)
    world.travel(29)
    assert world.head(oid).round == 1
    put_card(world, oid, "4111111111111111")
    world.travel(35)
    head = world.head(oid)
    assert (head.round, head.state.failure_reason, head.state.next_attempt) == (0, None, None)
    assert world.rebill_days(oid) == ["2027-03-03", "2027-03-31"]
    world.check(oid)


def test_a_hard_decline_ends_the_rounds_and_the_card_is_never_sent_again() -> None:
    world = World().open(number_of_retries=5)
    oid = world.subscribe()
    put_card(world, oid, LOST)
    world.travel(40)
    posts = world.sandbox.posts()
    assert (world.head(oid).status, world.head(oid).round) == ("disabled", 1)
    edit.update(world.shop, oid, {"enabled": True})
    world.travel(40)
    assert world.sandbox.posts() == posts
    assert world.head(oid).status == "disabled"


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"restrict_visa": True}, "VISA is not accepted for auto orders."),
        ({"prohibit_credit_cards_that_expire_in_months": 1}, None),
    ],
    ids=["a restricted brand", "a card that is good long enough"],
)
def test_payment_rules_stop_a_rebill_before_anything_is_sent(rules: dict[str, Any], reason: str | None) -> None:
    world = World().open(**rules)
    oid = world.subscribe()
    before = world.sandbox.posts()
    world.travel(30)
    if reason is None:
        assert len(world.rebills(oid)) == 1
    else:
        assert world.sandbox.posts() == before
        assert world.head(oid).state.failure_reason == reason
        assert world.head(oid).round == 1


# --- the job was off -------------------------------------------------------------------------------------------------


def off_for(days: int, **rules: Any) -> tuple[World, int]:
    """The whole back room stood still for so many days, after two weekly rebills."""
    world = World().open(**rules)
    oid = world.subscribe({"COFFEE": "Weekly"})
    world.travel(15)
    world.clock.pass_(days=days)
    return world, oid


@pytest.mark.parametrize("skips", [True, False])
def test_after_two_days_off_what_is_merely_late_is_billed_under_either_setting(skips: bool) -> None:
    world = World().open(do_not_bill_prior_missed_shipments=skips)
    oid = world.subscribe({"COFFEE": "Weekly"})
    world.travel(13)
    world.clock.pass_(days=2)
    world.travel(0)
    assert world.rebill_days(oid) == ["2027-02-07", "2027-02-15"]
    world.travel(6)
    assert world.rebill_days(oid)[2:] == ["2027-02-21"]
    world.check(oid)


def test_after_forty_days_off_missed_shipments_are_passed_over_where_the_merchant_does_not_bill_them() -> None:
    world, oid = off_for(40, do_not_bill_prior_missed_shipments=True)
    world.travel(0)
    assert world.rebill_days(oid) == ["2027-02-07", "2027-02-14", "2027-03-27"]
    world.travel(6)
    assert world.rebill_days(oid)[3:] == ["2027-03-28"]
    world.check(oid)


def test_after_forty_days_off_missed_shipments_are_billed_oldest_first_one_a_day_where_he_does() -> None:
    world, oid = off_for(40)
    world.travel(0)
    assert len(world.rebills(oid)) == 3
    world.travel(3)
    assert len(world.rebills(oid)) == 6
    world.travel(20)
    days = world.rebill_days(oid)
    assert len(days) == len(set(days)), "two orders on one day"
    assert days[2:8] == ["2027-03-27", "2027-03-28", "2027-03-29", "2027-03-30", "2027-03-31", "2027-04-01"]
    world.check(oid)


# --- edits in between ------------------------------------------------------------------------------------------------


class Between:
    """A gateway that lets something happen just before it is asked."""

    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway
        self.happen: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)

    def charge(self, charge: Charge) -> Any:
        happen, self.happen = self.happen, None
        if happen:
            happen()
        return self._gateway.charge(charge)


def a_world_with_edits() -> tuple[World, int, Between]:
    made: list[Between] = []

    def between(gateway: Any) -> Between:
        made.append(Between(gateway))
        return made[-1]

    world = World(gateway=between).open()
    oid = world.subscribe({"COFFEE": "Monthly", "TEA": "Monthly"})
    due = world.next_due()
    assert due
    world.clock.go(due)
    return world, oid, made[-1]


def test_a_cancel_between_claim_and_send_keeps_the_capture_as_a_late_order_and_nothing_more_is_charged() -> None:
    world, oid, gateway = a_world_with_edits()
    gateway.happen = lambda: edit.update(world.shop, oid, {"enabled": False, "canceled_by_user": "customer"})
    world.work(twice=True)
    orders = world.rebills(oid)
    assert [order.late for order in orders] == [True]
    assert world.head(oid).status == "canceled"
    world.travel(90)
    assert len(world.rebills(oid)) == 1
    assert world.head(oid).due_dts is None
    world.check(oid)


def test_an_item_re_dated_between_claim_and_send_is_billed_once_and_next_on_its_new_date() -> None:
    world, oid, gateway = a_world_with_edits()

    def re_date() -> None:
        items = [
            {**item, "next_shipment_dts": "2027-03-15T00:00:00-04:00"} if item["original_item_id"] == "COFFEE" else item
            for item in shown_items(world, oid)
        ]
        edit.update(world.shop, oid, {"items": plain_items(items)})

    gateway.happen = re_date
    world.work(twice=True)
    assert len(world.rebills(oid)) == 1
    world.travel(20)
    assert world.rebill_days(oid) == ["2027-02-28", "2027-03-15"]
    world.check(oid)


def test_an_item_removed_between_claim_and_send_is_in_the_order_that_was_frozen_and_in_no_later_one() -> None:
    world, oid, gateway = a_world_with_edits()

    def remove() -> None:
        items = [item for item in shown_items(world, oid) if item["original_item_id"] == "COFFEE"]
        edit.update(world.shop, oid, {"items": plain_items(items)})

    gateway.happen = remove
    world.work()
    world.travel(35)
    lines = [[line.merchant_item_id for line in order.items or []] for order in world.rebills(oid)]
    assert lines == [["COFFEE", "TEA"], ["COFFEE"]]
    world.check(oid)


def test_an_item_added_during_a_retry_joins_the_open_run() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Monthly"})
    put_card(world, oid, DECLINES)
    world.travel(29)
    assert world.head(oid).round == 1
    added = {"original_item_id": "TEA", "original_quantity": 1, "frequency": "Monthly"}
    edit.update(world.shop, oid, {"items": [*plain_items(shown_items(world, oid)), added]})
    put_card(world, oid, "4111111111111111")
    world.travel(5)
    lines = [sorted(line.merchant_item_id or "" for line in order.items or []) for order in world.rebills(oid)]
    assert lines == [["COFFEE", "TEA"]]
    world.check(oid)


def test_a_run_that_loses_all_its_items_during_a_retry_closes_without_a_charge() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Monthly"})
    put_card(world, oid, DECLINES)
    world.travel(29)
    posts = world.sandbox.posts()
    items = [{**item, "next_shipment_dts": "2027-04-30T00:00:00-04:00"} for item in shown_items(world, oid)]
    edit.update(world.shop, oid, {"items": plain_items(items)})
    world.travel(10)
    head = world.head(oid)
    assert (world.sandbox.posts(), head.run, head.round, head.state.failure_reason) == (posts, 2, 0, None)


def test_a_stale_copy_written_after_a_rebill_is_refused_naming_the_field() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    stale = plain_items(shown_items(world, oid))
    world.travel(8)
    with pytest.raises(Invalid) as refused:
        edit.update(world.shop, oid, {"items": stale})
    assert {problem.pointer for problem in refused.value.problems} >= {
        "/items/0/number_of_rebills",
        "/items/0/last_order_dts",
    }


def test_a_date_may_not_be_set_to_or_before_the_one_that_was_billed_last() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    world.clock.go(parse_instant("2027-02-07T06:00:00-05:00"))
    world.work()
    items = [{**item, "next_shipment_dts": "2027-02-07T00:00:00-05:00"} for item in shown_items(world, oid)]
    with pytest.raises(Invalid) as refused:
        edit.update(world.shop, oid, {"items": plain_items(items)})
    assert [problem.code for problem in refused.value.problems] == ["already_billed"]


def test_an_attempt_by_hand_bills_a_failed_run_at_once_and_only_once() -> None:
    world = World().open()
    oid = world.subscribe()
    put_card(world, oid, DECLINES)
    world.travel(29)
    put_card(world, oid, "4111111111111111")
    billed = rebill(world.shop, oid, by_hand=True)
    assert (billed.attempted, billed.success) == (True, True)
    assert not rebill(world.shop, oid, by_hand=True).success
    world.check(oid)


def test_pausing_every_item_stops_the_rebills_and_taking_it_back_starts_them_again() -> None:
    world = World().open(do_not_bill_prior_missed_shipments=True)
    oid = world.subscribe({"COFFEE": "Weekly"})
    edit.pause(world.shop, oid)
    world.travel(30)
    assert world.rebills(oid) == []
    items = [{**item, "paused": False} for item in shown_items(world, oid)]
    edit.update(world.shop, oid, {"items": plain_items(items)})
    world.travel(1)
    assert len(world.rebills(oid)) == 1
    world.check(oid)


def plain_items(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items as a client sends them back: what it read, dates as texts, amounts as numbers."""
    return [dict(item) for item in items]
