"""Programmes as customers live them: the catalogue pauses, a retry costs less, a gift comes along, a date skipped."""

from decimal import Decimal
from typing import Any

from chalicelib.domain.dates import local_date, parse_instant
from chalicelib.domain.items import ItemAutoOrder, ItemAutoOrderStep, ItemAutoOrderStepArbitraryUnitCostSchedule
from chalicelib.flows import edit, explain
from chalicelib.flows.sweep import sweep
from tests.flows.test_crashes import put_card
from tests.flows.test_rebill import DECLINES, shown_items
from tests.worlds import NEW_YORK, World


def lines(world: World, oid: int) -> list[list[str]]:
    return [[line.merchant_item_id or "" for line in order.items or []] for order in world.rebills(oid)]


def changed(world: World, item_id: str, **tab: Any) -> None:
    """The catalogue item with other rules in its auto-order tab."""
    shop = world.shop
    kept = shop.items.get(item_id)
    rules = kept.noun.auto_order or ItemAutoOrder()
    for name, value in tab.items():
        setattr(rules, name, value)
    kept.noun.auto_order = rules
    shop.write(shop.items.replaced(item_id, kept.noun, kept.version))


def next_day(world: World, oid: int) -> str:
    return str(shown_items(world, oid)[0]["next_shipment_dts"])[:10]


# --- paused by the catalogue -----------------------------------------------------------------------------------------


def test_while_the_catalogue_pauses_an_item_its_date_moves_on_a_day_at_a_time_and_then_it_is_billed() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    changed(world, "COFFEE", auto_order_paused=True)
    world.travel(6)
    assert next_day(world, oid) == "2027-02-07", "not due yet: its date stands"
    world.travel(20, twice=True)
    assert (world.rebills(oid), next_day(world, oid)) == ([], "2027-02-27")
    changed(world, "COFFEE", auto_order_paused=False)
    world.travel(15, twice=True)
    assert world.rebill_days(oid) == ["2027-02-27", "2027-03-06", "2027-03-13"]
    world.check(oid)


def test_a_day_of_the_catalogues_pause_costs_what_a_look_costs_and_is_told_once() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    world.tell_all()
    changed(world, "COFFEE", auto_order_paused=True)
    told, writes = [], []
    for _ in range(4):
        world.clock.go(world.head(oid).due_dts or world.clock.now())
        world.tables.meter.reset()
        sweep(world.backroom)
        for _, message in world.queue.take():
            world.deliver(message)
        writes.append([call.verb for call in world.tables.meter.calls if call.writes])
        told.append(len(world.due("events")))
        world.tell_all()
    assert told == [1, 0, 0, 0]
    assert writes == [["update", "transaction"], *[["update", "update"]] * 3]
    assert local_date(world.head(oid).due_dts or world.clock.now(), NEW_YORK).isoformat() == "2027-02-11"


# --- prices by retry -------------------------------------------------------------------------------------------------


def test_a_retry_is_captured_at_the_price_of_its_day_and_the_next_month_at_the_full_one() -> None:
    world = World().open(number_of_retries=4, delay_between_retries_days=3)
    by_retry = [ItemAutoOrderStepArbitraryUnitCostSchedule(retry_days=6, arbitrary_unit_cost=Decimal(8))]
    step = ItemAutoOrderStep(
        type="item", recurring_merchant_item_id="TEA", schedule="Monthly", arbitrary_unit_cost_schedules=by_retry
    )
    world.sell("CLUB", "1.00", ItemAutoOrder(auto_order_upsell=True, steps=[step]))
    oid = world.subscribe({"CLUB": None})
    put_card(world, oid, DECLINES)
    world.travel(32)
    assert [row.attempt.plan.total for row in world.shop.auto_orders.attempts(oid)] == [Decimal("9.50")] * 2
    put_card(world, oid, "4111111111111111")
    world.travel(30)
    totals = [order.summary.total for order in world.rebills(oid) if order.summary]
    assert (world.rebill_days(oid), totals) == (["2027-03-06", "2027-03-31"], [Decimal(8), Decimal("9.50")])
    world.check(oid)


# --- what comes along ------------------------------------------------------------------------------------------------


def test_a_gift_comes_along_with_the_next_two_orders_and_is_then_forgotten() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    edit.update(world.shop, oid, {"add_ons": [{"item_id": "TEA", "next_x_orders": 2, "arbitrary_unit_cost": 0}]})
    world.travel(22, twice=True)
    assert lines(world, oid) == [["COFFEE", "TEA"], ["COFFEE", "TEA"], ["COFFEE"]]
    assert {order.summary.total for order in world.rebills(oid) if order.summary} == {Decimal("17.95")}
    world.check(oid)


def test_a_declined_order_keeps_its_gift_for_the_one_that_is_paid() -> None:
    world = World().open(delay_between_retries_days=1)
    oid = world.subscribe({"COFFEE": "Monthly"})
    edit.update(world.shop, oid, {"add_ons": [{"item_id": "TEA", "next_x_orders": 1}]})
    put_card(world, oid, DECLINES)
    world.travel(29)
    put_card(world, oid, "4111111111111111")
    world.travel(33)
    assert lines(world, oid) == [["COFFEE", "TEA"], ["COFFEE"]]


def test_a_gift_that_is_not_sold_any_more_holds_nobody_up_and_the_merchant_is_told() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    edit.update(world.shop, oid, {"add_ons": [{"item_id": "TEA", "next_x_orders": 1}]})
    tea = world.shop.items.get("TEA")
    tea.noun.inactive = True
    world.shop.write(world.shop.items.replaced("TEA", tea.noun, tea.version))
    world.travel(8)
    assert lines(world, oid) == [["COFFEE"]]
    event = [row for row in world.shop.mails.of(f"auto_order#{oid}") if row.template == "held"]
    assert [mail.facts["code"] for mail in event] == ["add_on_unavailable"]
    assert "without TEA" in event[0].facts["message"]
    tea = world.shop.items.get("TEA")
    tea.noun.inactive = False
    world.shop.write(world.shop.items.replaced("TEA", tea.noun, tea.version))
    world.travel(7)
    assert lines(world, oid)[1:] == [["COFFEE", "TEA"]], "the order without it was not counted"


def test_explain_shows_what_comes_along_and_why() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    edit.update(world.shop, oid, {"add_ons": [{"item_id": "TEA", "next_x_orders": 1}]})
    told = explain.explained(world.shop, oid, parse_instant("2027-02-07T05:00:00Z"))
    assert [(line["item_id"], line["add_on"]) for line in told["plan"]["items"]] == [("COFFEE", False), ("TEA", True)]
    [reason] = [reason for reason in told["reasons"] if reason["code"] == "add_on"]
    assert (reason["setting"], reason["setting_of"]) == ("add_ons", "auto_order")
    assert reason["params"] == {"item_id": "TEA", "remaining_orders": 1}


# --- a date skipped --------------------------------------------------------------------------------------------------


def test_a_skipped_date_is_not_billed_and_the_31st_stays_the_31st() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Monthly"})
    items = [{**item, "next_shipment_dts": "2027-03-31T00:00:00-04:00"} for item in shown_items(world, oid)]
    edit.update(world.shop, oid, {"items": items})
    world.travel(122, twice=True)
    assert world.rebill_days(oid) == ["2027-03-31", "2027-04-30", "2027-05-31"]
    world.check(oid)


# --- a programme -----------------------------------------------------------------------------------------------------


def test_a_club_that_ships_on_the_fifteenth_does_so_whenever_somebody_joins() -> None:
    world = World().open()
    steps = [
        ItemAutoOrderStep(type="pause until", pause_until_day_of_month=15, pause_until_minimum_delay_days=10),
        ItemAutoOrderStep(type="item", recurring_merchant_item_id="TEA", schedule="Monthly", repeat_count=1),
        ItemAutoOrderStep(type="loop"),
    ]
    world.sell("CLUB", "1.00", ItemAutoOrder(auto_order_upsell=True, steps=steps))
    early = world.subscribe({"CLUB": None})
    world.travel(7)
    late = world.subscribe({"CLUB": None})
    world.travel(70)
    assert world.rebill_days(early) == ["2027-02-15", "2027-03-15", "2027-04-15"]
    assert world.rebill_days(late) == ["2027-03-15", "2027-04-15"]
    world.check(early, late)
