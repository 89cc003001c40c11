"""Each rule of an auto order's item and of its catalogue item, on, off and at its edge: what the plan makes of it, that
explain says so, and what is counted when the run is paid."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain import rebills, wire
from chalicelib.domain.auto_orders import (
    AutoOrderAddonItem,
    AutoOrderAddonItemOption,
    AutoOrderItem,
    AutoOrderItemOption,
    AutoOrderProperty,
    assembled,
)
from chalicelib.domain.dates import Instant, local_date, midnight, parse_instant
from chalicelib.domain.heads import Head, ItemProgress, claimed
from chalicelib.domain.items import (
    ItemAutoOrder,
    ItemAutoOrderStep,
    ItemAutoOrderStepArbitraryUnitCostSchedule,
    ItemAutoOrderStepGrandfatherPricing,
    ItemPhysical,
    Weight,
)
from chalicelib.domain.made_orders import rebill_order, receivable_order
from chalicelib.domain.payments import Approved, Declined, FrozenPlan, NotSent, PlanLine
from chalicelib.domain.rebills import Facts, Go, Look, Planned, Postpone, next_billing, next_window, plan, settle
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.shipping import ShippingMethod, ShippingSettings
from tests.domain.test_rebills import NEW_YORK, NOW, approval, attempt_of, facts, item, row, step

SOFT = Declined(code="05", reason="no")


def at(day: str) -> Instant:
    return midnight(date.fromisoformat(day), NEW_YORK)


def until(day: str) -> ItemAutoOrderStep:
    return ItemAutoOrderStep(type="pause until", pause_until_date=at(day))


def boxed(*steps: ItemAutoOrderStep, **more: Any) -> Facts:
    """A box with automatic steps, bought on 31 January."""
    return facts(row(of="BOX", frequency=None), items={"BOX": item("BOX", *steps), "TEA": item("TEA")}, **more)


def settled(of: Facts, outcome: Any = Approved, now: Instant = NOW) -> Facts:
    """Claimed and settled at that moment."""
    attempt = attempt_of(of, now)
    open_ = replace(of, head=claimed(of.head, attempt, now))
    head = settle(open_, attempt, approval(attempt) if outcome is Approved else outcome, now).head
    return replace(of, head=head)


def frozen(of: Facts, now: Instant = NOW) -> FrozenPlan:
    decision = plan(of, now).decision
    assert isinstance(decision, Go), decision
    return decision.plan


def said(planned: Planned, code: str) -> tuple[str | None, dict[str, Any]]:
    """The setting of the reason of that code, and its parameters."""
    [reason] = [one for one in planned.reasons if one.code == code]
    return reason.setting, reason.params


def next_day(of: Facts) -> date:
    noun = assembled(of.auto_order, of.head, of.items, NEW_YORK, NOW)
    shipment = (noun.items or [])[0].next_shipment_dts
    assert shipment is not None
    return local_date(shipment, NEW_YORK)


# --- explain ---------------------------------------------------------------------------------------------------------

KIT = step("Weekly", 2)
KIT.type = "kit only"
PRICES = step(
    arbitrary_unit_cost=Decimal(7),
    grandfather_pricing=[ItemAutoOrderStepGrandfatherPricing(on_or_before_date=at("2027-01-31"), unit_cost=Decimal(6))],
)
BOUGHT = {"1": ItemProgress(anchor=date(2027, 1, 31), first_order_dts=at("2027-01-31"))}


@pytest.mark.parametrize(
    ("of", "code", "setting", "params"),
    [
        (facts(row(paused=True)), "item_paused", "paused", {}),
        (facts(row(no_order_after_dts=at("2027-02-27"))), "item_ended", "no_order_after_dts", {}),
        (boxed(step("Weekly", 1), progress={"1": ItemProgress(anchor=date(2027, 1, 31), billed=1)}),
         "item_ended", None, {}),
        (facts(row(frequency="Every 2 Months")), "item_not_due", "frequency", {"next": date(2027, 3, 31)}),
        (boxed(ItemAutoOrderStep(type="pause", pause_days=3), step()), "item_waits", "pause_days",
         {"next": date(2027, 3, 3)}),
        (boxed(until("2027-06-01"), step()), "item_waits", "pause_until_date", {"next": date(2027, 6, 1)}),
        (boxed(ItemAutoOrderStep(type="pause until", pause_until_day_of_month=15, pause_until_minimum_delay_days=20),
               step()), "item_waits", "pause_until_day_of_month", {"next": date(2027, 3, 15)}),
        (boxed(KIT, step()), "kit_steps_passed_over", "type", {"steps": 1}),
        (facts(row(arbitrary_quantity=Decimal(3))), "quantity_override", "arbitrary_quantity",
         {"arbitrary_quantity": Decimal(3)}),
        (facts(row(arbitrary_item_id="TEA")), "item_override", "arbitrary_item_id", {"arbitrary_item_id": "TEA"}),
        (facts(row(frequency="Every...", arbitrary_schedule_days=28)), "days_override", "arbitrary_schedule_days",
         {"arbitrary_schedule_days": 28}),
        (facts(row(options=[AutoOrderItemOption(label="Grind", value="Fine")])), "options", "options", {"options": 1}),
        (facts(row(properties=[AutoOrderProperty(name="roast", value="dark")])), "properties", "properties",
         {"properties": 1}),
        (facts(row(arbitrary_percentage_discount=Decimal(25))), "line_discount", "arbitrary_percentage_discount", {}),
        (facts(row(arbitrary_unit_cost=Decimal(5))), "unit_cost_override", "arbitrary_unit_cost",
         {"unit_cost": Decimal(5)}),
        (facts(), "item_unit_cost", None, {"unit_cost": Decimal(10)}),
        (boxed(step(arbitrary_unit_cost=Decimal(7))), "step_unit_cost", "arbitrary_unit_cost",
         {"unit_cost": Decimal(7)}),
        (boxed(PRICES, progress=BOUGHT), "grandfather_pricing", "grandfather_pricing", {"unit_cost": Decimal(6)}),
    ],
)  # fmt: skip
def test_every_rule_of_an_item_is_told_with_its_field(
    of: Facts, code: str, setting: str | None, params: dict[str, Any]
) -> None:
    found, told = said(plan(of, NOW), code)
    assert found == setting
    assert told["auto_order_item_oid"] == 1 if "auto_order_item_oid" in told else code == "line_discount"
    assert params.items() <= told.items()


def test_a_rule_that_is_off_is_not_told() -> None:
    codes = {reason.code for reason in plan(facts(), NOW).reasons}
    assert codes == {"item_due", "item_unit_cost", "nothing_ships", "no_tax_here", "total"}


# --- overrides -------------------------------------------------------------------------------------------------------


def lines(of: Facts, now: Instant = NOW) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    return [(line.item_id, line.quantity, line.unit_cost, line.discount) for line in frozen(of, now).lines]


@pytest.mark.parametrize(
    ("of", "line"),
    [
        (row(), ("COFFEE", 1, 10, 0)),
        (row(arbitrary_quantity=Decimal(3)), ("COFFEE", 3, 10, 0)),
        (row(arbitrary_item_id="TEA"), ("TEA", 1, 10, 0)),
        (row(arbitrary_unit_cost=Decimal(0)), ("COFFEE", 1, 0, 0)),
        (row(arbitrary_percentage_discount=Decimal("12.5")), ("COFFEE", 1, 10, Decimal("1.25"))),
        (row(arbitrary_percentage_discount=Decimal(100)), ("COFFEE", 1, 10, 10)),
        (row(frequency="Every...", arbitrary_schedule_days=28), ("COFFEE", 1, 10, 0)),
    ],
)
def test_an_override_changes_the_line_that_is_charged(of: AutoOrderItem, line: tuple[Any, ...]) -> None:
    assert lines(facts(of)) == [line]


def test_an_override_for_the_next_two_orders_holds_for_two_paid_ones_and_for_no_decline() -> None:
    of = facts(row(arbitrary_unit_cost=Decimal(5), frequency="Weekly"), settings=AutoOrderProcessing())
    of.head.state.items["1"] = ItemProgress(
        anchor=date(2027, 2, 21), billed_day=date(2027, 2, 21), unit_cost_remaining=2
    )
    now, costs = NOW, []
    for outcome in (SOFT, Approved, Approved, Approved):
        now = next_billing(of, max(now, of.head.due_dts or now))
        costs.append(lines(of, now)[0][2])
        of = settled(of, outcome, now)
    assert costs == [5, 5, 5, 10]
    noun = assembled(of.auto_order, of.head, of.items, NEW_YORK, now)
    assert ((noun.items or [])[0].arbitrary_unit_cost, (noun.items or [])[0].arbitrary_unit_cost_remaining_orders) == (
        None,
        None,
    )


def test_an_override_that_was_set_while_a_charge_was_under_way_is_not_used_up_by_it() -> None:
    """The order was charged at the old price; two more are still to cost what was said."""
    of = facts()
    attempt = attempt_of(of)
    head = claimed(of.head, attempt, NOW)
    head.revision += 1
    head.state.items["1"].unit_cost_remaining = 2
    meanwhile = replace(of, head=head, auto_order=replace(of.auto_order, items=[row(arbitrary_unit_cost=Decimal(5))]))
    assert settle(meanwhile, attempt, approval(attempt), NOW).head.state.items["1"].unit_cost_remaining == 2


def test_coming_rebills_show_the_override_as_long_as_it_lasts() -> None:
    of = facts(row(arbitrary_unit_cost=Decimal(5)))
    of.head.state.items["1"].unit_cost_remaining = 2
    noun = assembled(of.auto_order, of.head, of.items, NEW_YORK, NOW, future=True)
    assert [one.unit_cost for one in (noun.items or [])[0].future_schedules or []][:4] == [5, 5, 10, 10]


# --- prices of a step ------------------------------------------------------------------------------------------------


def by_retry(**more: Any) -> Facts:
    rows = [
        ItemAutoOrderStepArbitraryUnitCostSchedule(retry_days=days, arbitrary_unit_cost=Decimal(cost))
        for days, cost in ((3, 8), (6, 5))
    ]
    return boxed(step(arbitrary_unit_cost_schedules=rows), **more)


def test_each_retry_costs_what_its_days_say_and_a_paid_run_ends_the_discount() -> None:
    of, now, costs = by_retry(settings=AutoOrderProcessing(delay_between_retries_days=3, number_of_retries=5)), NOW, []
    for _ in range(3):
        planned = plan(of, now)
        costs.append(frozen(of, now).total)
        setting = {reason.code: reason.setting for reason in planned.reasons}.get("retry_discount")
        assert setting == ("arbitrary_unit_cost_schedules" if of.head.round else None)
        of = settled(of, SOFT, now)
        assert of.head.state.first_decline_dts == NOW
        now = of.head.state.next_attempt or now
    assert costs == [10, 8, 5]
    noun = assembled(of.auto_order, of.head, of.items, NEW_YORK, now, future=True)
    assert [one.unit_cost for one in (noun.items or [])[0].future_schedules or []][:2] == [5, 10]
    of = settled(of, Approved, now)
    assert (of.head.round, of.head.state.first_decline_dts) == (0, None)
    assert frozen(of, at("2027-03-31")).total == 10


def test_a_run_that_lost_its_items_forgets_its_first_decline() -> None:
    of = settled(by_retry(), SOFT)
    assert rebills.closed_run(of, NOW).state.first_decline_dts is None


# --- pushed back by the catalogue ------------------------------------------------------------------------------------


def paused(of: Facts, name: str, on: bool = True) -> Facts:
    """The same with the rebilling of an item paused in the catalogue, or not any more."""
    found = of.items[name]
    tab = replace(found.auto_order or ItemAutoOrder(), auto_order_paused=on)
    return replace(of, items={**of.items, name: replace(found, auto_order=tab)})


def pushed(of: Facts, now: Instant) -> Facts:
    decision = plan(of, now).decision
    assert isinstance(decision, Postpone), decision
    return replace(of, head=rebills.postponed(of, decision, now))


def test_what_is_due_of_a_paused_item_is_pushed_back_to_the_next_midnight() -> None:
    of = paused(facts(), "COFFEE")
    planned = plan(of, NOW)
    assert said(planned, "item_pushed_back") == (
        "auto_order_paused",
        {"auto_order_item_oid": 1, "day": date(2027, 2, 28), "to": date(2027, 3, 1)},
    )
    after = pushed(of, NOW)
    assert next_day(after) == date(2027, 3, 1)
    assert after.head.due_dts == at("2027-03-01")
    assert (after.head.run, after.head.round, after.head.fence) == (1, 0, of.head.fence + 1)
    assert of.head.state.items["1"].anchor == date(2027, 1, 31), "what was read stays as it was"


def test_it_is_pushed_back_a_day_at_a_time_and_billed_at_the_midnight_after_the_pause_each_occurrence_once() -> None:
    of = paused(facts(), "COFFEE")
    for days in range(10):
        of = pushed(of, at((date(2027, 2, 28) + timedelta(days=days)).isoformat()))
    assert next_day(of) == date(2027, 3, 10)
    of = paused(of, "COFFEE", on=False)
    assert isinstance(plan(of, rebills.later(at("2027-03-10"), seconds=-1)).decision, Look)
    line = frozen(of, at("2027-03-10")).lines[0]
    assert (line.occurrence, line.skipped, line.day) == (1, 0, date(2027, 3, 10))
    of = settled(of, Approved, at("2027-03-10"))
    assert next_day(of) == date(2027, 4, 10), "all later dates have shifted with it"


def test_what_is_not_due_yet_is_left_alone() -> None:
    of = paused(facts(), "COFFEE")
    planned = plan(of, at("2027-02-27"))
    assert isinstance(planned.decision, Look)
    assert planned.decision.at == NOW


def test_after_days_without_a_look_an_item_that_is_paused_no_more_is_billed_for_its_own_date() -> None:
    line = frozen(paused(paused(facts(), "COFFEE"), "COFFEE", on=False), at("2027-03-03")).lines[0]
    assert (line.occurrence, line.day) == (1, date(2027, 2, 28))


@pytest.mark.parametrize("skips", [True, False])
def test_missed_occurrences_of_a_paused_item_are_put_off_and_not_lost(skips: bool) -> None:
    of = facts(row(frequency="Weekly"), settings=AutoOrderProcessing(do_not_bill_prior_missed_shipments=skips))
    of.head.state.items["1"] = ItemProgress(anchor=date(2027, 2, 7), billed_day=date(2027, 2, 7))
    of = pushed(paused(of, "COFFEE"), NOW)
    of = paused(of, "COFFEE", on=False)
    line = frozen(of, at("2027-03-01")).lines[0]
    assert (line.occurrence, line.skipped) == (1, 0)


def test_the_others_are_billed_while_one_is_pushed_back() -> None:
    of = paused(facts(row(), row(2, "TEA")), "TEA")
    assert [line.item_id for line in frozen(of).lines] == ["COFFEE"]
    of = settled(of)
    assert of.head.state.items["2"].billed == 0
    of = pushed(of, NOW)
    assert of.head.state.items["2"].next_day == date(2027, 3, 1)


def test_the_item_that_a_step_sends_may_be_paused_too() -> None:
    of = boxed(step())
    assert isinstance(plan(of, NOW).decision, Go)
    assert isinstance(plan(paused(of, "TEA"), NOW).decision, Postpone)
    assert isinstance(plan(paused(of, "BOX"), NOW).decision, Postpone)


def test_a_run_whose_item_is_paused_between_two_tries_is_closed_and_then_pushed_back() -> None:
    of = settled(facts(), SOFT)
    retry = of.head.state.next_attempt or NOW
    of = paused(of, "COFFEE")
    assert isinstance(plan(of, retry).decision, rebills.CloseRun)
    of = replace(of, head=rebills.closed_run(of, retry))
    assert pushed(of, retry).head.round == 0


def test_nobody_is_told_of_a_shipment_that_is_pushed_back_and_nothing_looks_for_ever() -> None:
    of = paused(boxed(step(preshipment_notice_days=5)), "BOX")
    planned = plan(of, at("2027-02-24"))
    assert isinstance(planned.decision, Look)
    assert planned.decision.at == at("2027-02-25"), "the pause may end before the notice is in vain"
    assert isinstance(plan(paused(of, "BOX", on=False), at("2027-02-25")).decision, rebills.Remind)


# --- add-ons ---------------------------------------------------------------------------------------------------------


def gift(item_id: str = "TEA", **more: Any) -> AutoOrderAddonItem:
    return AutoOrderAddonItem(item_id=item_id, **more)


def with_gifts(of: Facts, *gifts: AutoOrderAddonItem) -> Facts:
    """The same with add-ons of the whole auto order."""
    return replace(of, auto_order=replace(of.auto_order, add_ons=list(gifts)))


def test_add_ons_come_along_at_the_items_price_or_their_own() -> None:
    of = facts(row(add_ons=[gift(quantity=2)]))
    of = with_gifts(of, gift("CUP", arbitrary_unit_cost=Decimal(0)))
    of = replace(of, items={**of.items, "CUP": item("CUP", cost="3")})
    assert lines(of) == [("COFFEE", 1, 10, 0), ("TEA", 2, 10, 0), ("CUP", 1, 0, 0)]
    found = frozen(of)
    assert [(line.oid, line.occurrence, line.add_on) for line in found.lines] == [
        (1, 1, False),
        (1, 0, True),
        (0, 0, True),
    ]
    assert found.total == 30
    told = [(reason.setting, reason.params) for reason in plan(of, NOW).reasons if reason.code == "add_on"]
    assert told == [("add_ons", {"item_id": "TEA", "auto_order_item_oid": 1}), ("add_ons", {"item_id": "CUP"})]


def test_an_add_on_alone_makes_nothing_due() -> None:
    of = with_gifts(facts(row(frequency="Every 2 Months", add_ons=[gift()])), gift("CUP"))
    assert isinstance(plan(of, NOW).decision, Look)


def test_an_add_on_of_an_item_comes_along_with_that_item_only() -> None:
    of = facts(row(), row(2, "TEA", "Every 2 Months", add_ons=[gift("COFFEE")]))
    assert [line.item_id for line in frozen(of).lines] == ["COFFEE"]


def test_an_add_on_is_counted_down_once_for_each_paid_run_and_by_nothing_else() -> None:
    of = with_gifts(facts(row(frequency="Weekly", add_ons=[gift(next_x_orders=1)])), gift(next_x_orders=2))
    of.head.state.items["1"] = ItemProgress(anchor=date(2027, 2, 21), billed_day=date(2027, 2, 21))
    now, along = NOW, []
    for outcome in (SOFT, NotSent(reason="down"), None, Approved, Approved, Approved):
        now = max(now, of.head.due_dts or now)
        along.append(sum(line.add_on for line in frozen(of, now).lines))
        of = settled(of, outcome, now)
    assert along == [2, 2, 2, 2, 1, 0]
    assert (of.head.state.add_ons, of.head.state.items["1"].add_ons) == ({"TEA": 0}, {"TEA": 0})
    assert of.head.state.items["1"].number_of_rebills == 3, "an add-on is no rebill of its item"


def test_an_add_on_for_all_orders_is_not_counted() -> None:
    of = settled(with_gifts(facts(row(add_ons=[gift()])), gift()))
    assert (of.head.state.add_ons, of.head.state.items["1"].add_ons) == ({}, {})


def test_an_add_on_that_is_not_sold_any_more_is_left_out_with_a_reason_and_counts_no_order() -> None:
    for items in ({"COFFEE": item("COFFEE")}, {"COFFEE": item("COFFEE"), "TEA": replace(item("TEA"), inactive=True)}):
        of = with_gifts(facts(items=items), gift(next_x_orders=2))
        planned = plan(of, NOW)
        assert said(planned, "add_on_unavailable") == ("add_ons", {"item_id": "TEA"})
        assert [line.item_id for line in frozen(of).lines] == ["COFFEE"]
        attempt = attempt_of(of)
        assert rebills.left_out(of, attempt) == ["TEA"]
        assert settled(of).head.state.add_ons == {}


def test_what_an_edit_took_out_meanwhile_is_neither_counted_nor_missed() -> None:
    of = with_gifts(facts(), gift(next_x_orders=2))
    attempt = attempt_of(of)
    head = claimed(of.head, attempt, NOW)
    head.revision += 1
    without = replace(of, head=head, auto_order=replace(of.auto_order, add_ons=[gift("CUP", next_x_orders=1)]))
    assert settle(without, attempt, approval(attempt), NOW).head.state.add_ons == {}
    assert rebills.left_out(without, attempt) == []


def test_what_went_to_accounts_receivable_is_counted_then_and_not_again_when_it_is_paid() -> None:
    rules = AutoOrderProcessing(number_of_retries=1, send_failures_to_accounts_receivable=True)
    of = with_gifts(facts(row(arbitrary_unit_cost=Decimal(5)), settings=rules), gift(next_x_orders=2))
    of.head.state.items["1"].unit_cost_remaining = 2
    attempt = attempt_of(of)
    done = settle(replace(of, head=claimed(of.head, attempt, NOW)), attempt, SOFT, NOW)
    assert done.receivable is not None
    counted = (done.head.state.add_ons, done.head.state.items["1"].unit_cost_remaining)
    assert counted == ({"TEA": 1}, 1)
    order = receivable_order(of, done.receivable, attempt.run, "no", NOW)
    paid = rebills.collected(done.head, order, NOW)
    assert (paid.state.add_ons, paid.state.items["1"].unit_cost_remaining) == counted
    assert [one.number_of_rebills for one in paid.state.items.values()] == [1], "the add-on is no rebill"


def test_a_cancel_items_order_misses_no_add_ons() -> None:
    of = with_gifts(facts(), gift())
    attempt = replace(attempt_of(of), kind="cancel_item")
    attempt.plan.lines = [PlanLine(item_id="FEE", quantity=Decimal(1), unit_cost=Decimal(9))]
    assert rebills.left_out(of, attempt) == []


def test_an_add_on_ships_free_where_it_says_so() -> None:
    tea = replace(item("TEA"), physical=ItemPhysical(weight=Weight(uom="LB", value=Decimal(1))))
    post = ShippingSettings(methods=[ShippingMethod(shipping_method="Post", per_item=Decimal(4))])
    cheapest = AutoOrderProcessing(ship_via_lowest_cost_method=True)
    found = {}
    for free in (True, False, None):
        of = with_gifts(facts(settings=cheapest, shipping=post), gift(free_shipping=free))
        of = replace(of, items={**of.items, "TEA": tea})
        found[free] = frozen(of).shipping - frozen(of).shipping_discount
    assert found == {True: 0, False: 4, None: 4}


def test_the_order_shows_the_options_and_properties_of_its_items_and_the_options_of_add_ons() -> None:
    of = facts(
        row(
            options=[AutoOrderItemOption(label="Grind", value="Fine")],
            properties=[AutoOrderProperty(name="roast", value="dark")],
            add_ons=[gift(options=[AutoOrderAddonItemOption(label="Leaf", value="Loose")])],
        )
    )
    attempt = attempt_of(of)
    order = rebill_order(of, attempt, approval(attempt), NOW, late=False)
    coffee, tea = order.items or []
    assert coffee.item_reference_oid == 1
    assert [(one.label, one.value) for one in coffee.options or []] == [("Grind", "Fine")]
    assert [(one.name, one.value) for one in coffee.properties or []] == [("roast", "dark")]
    assert tea.item_reference_oid is None, "an add-on is no item of the auto order"
    assert [(one.label, one.value) for one in tea.options or []] == [("Leaf", "Loose")]
    assert tea.properties is None


def test_counts_of_add_ons_add_a_few_bytes_to_a_head() -> None:
    bare = Head(status="active")
    counted = Head(status="active")
    counted.state.add_ons = {"SINGLE-ORIGIN-ROAST1": 12}
    assert len(wire.kept(counted.state)) - len(wire.kept(bare.state)) <= 50


# --- the window that opens next --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "now", "opens", "closes"),
    [
        ((None, None), "2027-03-01T12:00", "2027-03-02T00:00", "2027-03-03T00:00"),
        (("06:00", "12:00"), "2027-03-01T05:00", "2027-03-01T06:00", "2027-03-01T12:00"),
        (("06:00", "12:00"), "2027-03-01T07:00", "2027-03-02T06:00", "2027-03-02T12:00"),
        (("22:00", "04:00"), "2027-03-01T23:00", "2027-03-02T22:00", "2027-03-03T04:00"),
    ],
)
def test_the_window_opens_next_after_now_and_a_whole_day_at_midnight(
    window: tuple[str | None, str | None], now: str, opens: str, closes: str
) -> None:
    settings = AutoOrderProcessing(window_start=window[0], window_end=window[1])
    found = next_window(parse_instant(f"{now}:00-05:00"), settings, "America/New_York")
    assert found == (parse_instant(f"{opens}:00-05:00"), parse_instant(f"{closes}:00-05:00"))
