"""Money of the other kinds goes the way of a rebill: the cancel item, Accounts Receivable, authorisation tests,
refunds. Stories, and a cut at every call of each."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain import refunds
from chalicelib.domain.dates import later
from chalicelib.domain.errors import Contended, Invalid
from chalicelib.domain.items import ItemAutoOrder
from chalicelib.domain.money import Currency
from chalicelib.domain.orders import Order, OrderItem, OrderSummary
from chalicelib.domain.payments import Approved, Declined, Unknown
from chalicelib.domain.rebills import plan
from chalicelib.flows import edit
from chalicelib.flows.explain import rehearsed
from chalicelib.flows.facts import read_facts
from chalicelib.flows.purchase import pay
from chalicelib.flows.rebill import rebill
from chalicelib.flows.refund import refund, refundable
from chalicelib.flows.refund_preview import preview
from chalicelib.gateways.sandbox import PROFILES
from chalicelib.stores.sqlite import SqliteTables
from tests.balances import (
    a_certificate,
    a_customer_with,
    balance_of,
    credit_of,
    nothing_held,
    paying_with,
    wanting,
)
from tests.cutting import SIDES, Crash, CutGateway, CutPort, Scissors, Side
from tests.flows.test_crashes import put_card
from tests.worlds import World

DECLINES = "4000000000000002"
LOST = "4000000000009987"
GOOD = "4111111111111111"
CANCEL = {"enabled": False, "canceled_by_user": "jane"}


def with_fee(world: World, **tab: Any) -> World:
    """Coffee whose cancel item is the FEE of 25.00."""
    world.sell("FEE", "25.00", ItemAutoOrder())
    world.sell(
        "PLAN",
        "10.00",
        ItemAutoOrder(auto_orderable=True, auto_order_schedules=["Monthly"], auto_order_cancel_item_id="FEE", **tab),
    )
    return world


def status(world: World, order_id: str) -> tuple[str, str]:
    order = world.shop.orders.get(order_id).noun
    assert order.payment is not None
    return str(order.current_stage), str(order.payment.payment_status)


def counted(world: World, oid: int) -> list[tuple[int, Decimal]]:
    return [(p.number_of_rebills, p.rebill_value) for p in world.head(oid).state.items.values()]


def codes(world: World, oid: int) -> list[str]:
    return [reason.code for reason in plan(read_facts(world.shop, oid)[0], world.clock.now()).reasons]


# --- the cancel item -------------------------------------------------------------------------------------------------


def test_canceling_before_the_minimum_charges_the_cancel_item_once() -> None:
    world = with_fee(World().open(), auto_order_cancel_minimum_rebill_count=2)
    oid = world.subscribe({"PLAN": "Monthly"})
    edit.update(world.shop, oid, CANCEL)
    assert codes(world, oid)[0] == "cancel_item_owed"
    world.travel(100, twice=True)
    orders = world.rebills(oid)
    assert [[line.merchant_item_id for line in order.items or []] for order in orders] == [["FEE"]]
    assert world.head(oid).status == "canceled"
    assert world.head(oid).due_dts is None
    assert counted(world, oid) == [(0, Decimal(0))]
    world.check(oid)


def test_canceling_after_the_minimum_charges_nothing() -> None:
    world = with_fee(World().open(), auto_order_cancel_minimum_rebill_count=2)
    oid = world.subscribe({"PLAN": "Monthly"})
    world.travel(65)
    assert len(world.rebills(oid)) == 2
    edit.update(world.shop, oid, CANCEL)
    world.travel(10)
    assert len(world.rebills(oid)) == 2
    assert world.head(oid).due_dts is None


def test_the_balance_of_a_minimum_is_what_its_missing_rebills_would_have_cost() -> None:
    world = with_fee(
        World().open(), auto_order_cancel_minimum_rebill_count=3, auto_order_cancel_charge_minimum_balance=True
    )
    oid = world.subscribe({"PLAN": "Monthly"})
    world.travel(32)
    edit.update(world.shop, oid, CANCEL)
    world.travel(1)
    assert [order.summary.total for order in world.rebills(oid) if order.summary] == [Decimal(10), Decimal(20)]


def test_of_several_minimums_all_must_be_reached() -> None:
    world = with_fee(
        World().open(),
        auto_order_cancel_minimum_life_time_count=2,
        auto_order_cancel_minimum_life_time_value=Decimal("20.01"),
    )
    oid = world.subscribe({"PLAN": "Monthly"})
    world.travel(32)
    edit.update(world.shop, oid, CANCEL)
    world.travel(1)
    assert len(world.rebills(oid)) == 2


def test_a_cancel_item_that_is_declined_is_not_tried_again_and_the_merchant_is_told() -> None:
    world = with_fee(World().open())
    oid = world.subscribe({"PLAN": "Monthly"})
    put_card(world, oid, DECLINES)
    edit.update(world.shop, oid, CANCEL)
    world.travel(30, twice=True)
    assert world.sandbox.posts() == 2
    assert world.rebills(oid) == []
    assert [mail.template for mail in world.shop.mails.of(f"auto_order#{oid}")] == ["canceled", "held"]


def test_a_restart_before_the_cancel_item_was_charged_forgives_it() -> None:
    world = with_fee(World().open())
    oid = world.subscribe({"PLAN": "Monthly"})
    edit.update(world.shop, oid, CANCEL)
    edit.update(world.shop, oid, {"enabled": True})
    world.travel(20)
    assert world.rebills(oid) == []
    assert world.head(oid).status == "active"


def test_what_a_disable_ends_owes_no_cancel_item() -> None:
    world = with_fee(World().open())
    oid = world.subscribe({"PLAN": "Monthly"})
    edit.update(world.shop, oid, {"enabled": False})
    world.travel(5)
    assert world.rebills(oid) == []


def test_a_cancel_item_that_left_the_catalogue_is_dropped() -> None:
    world = with_fee(World().open())
    oid = world.subscribe({"PLAN": "Monthly"})
    fee = world.shop.items.get("FEE")
    world.shop.write(world.shop.items.removed("FEE", fee.version))
    edit.update(world.shop, oid, CANCEL)
    world.travel(5)
    assert world.rebills(oid) == []
    assert world.head(oid).due_dts is None


def test_a_rebill_under_way_when_its_auto_order_is_canceled_is_known_before_the_cancel_item_is_charged() -> None:
    world = with_fee(World(behave=lambda charge, posts: "timeout_after_capture" if posts == 1 else None).open())
    order_id = world.place({"PLAN": "Monthly"})
    pay(world.shop, order_id)
    world.travel(1)
    oid = world.shop.auto_orders.oid_by_original_order(order_id) or 0
    world.clock.go(world.next_due() or world.clock.now())
    assert not world.visit(oid).success
    edit.update(world.shop, oid, CANCEL)
    world.travel(2, twice=True)
    assert [len(order.items or []) for order in world.rebills(oid)] == [1, 1]
    assert [order.items[0].merchant_item_id for order in world.rebills(oid) if order.items] == ["PLAN", "FEE"]
    world.check(oid)


def test_after_the_last_decline_the_cancel_item_is_tried_where_the_merchant_wants_it() -> None:
    refused = {"until": 3}
    world = with_fee(
        World(behave=lambda charge, posts: "decline" if charge.amount == 10 and refused["until"] else None).open(
            try_cancel_item_after_max_retries=True, number_of_retries=2, delay_between_retries_days=1
        )
    )
    refused["until"] = 0
    oid = world.subscribe({"PLAN": "Monthly"})
    refused["until"] = 3
    world.travel(40, twice=True)
    head = world.head(oid)
    assert [order.items[0].merchant_item_id for order in world.rebills(oid) if order.items] == ["FEE"]
    assert (head.status, head.state.failed, head.due_dts) == ("disabled", True, None)
    world.check(oid)


def test_a_rehearsal_counts_the_cancel_item_that_is_owed_and_drops_what_is_not() -> None:
    world = with_fee(World().open())
    owing, dropped = (world.subscribe({"PLAN": "Monthly"}) for _ in range(2))
    for oid in (owing, dropped):
        edit.update(world.shop, oid, CANCEL)
    put_card(world, dropped, GOOD)
    shop = world.shop
    original = shop.orders.get(world.document(dropped).original_order_id or "")
    assert original.noun.payment is not None
    original.noun.payment.credit_card = None
    shop.write(shop.orders.edited(original.noun, original.version))
    rehearsal = rehearsed(shop, world.backroom, later(world.clock.now(), days=2))
    assert [(line["auto_order_oid"], line["items"], line["day"]) for line in rehearsal["billed"]] == [
        (owing, ["FEE"], "2027-01-31")
    ]


# --- Accounts Receivable ---------------------------------------------------------------------------------------------

TO_RECEIVABLES = {
    "send_failures_to_accounts_receivable": True,
    "number_of_retries": 2,
    "delay_between_retries_days": 1,
}


def a_failed_run(card: str = DECLINES, **rules: Any) -> tuple[World, int, str]:
    world = World().open(**(TO_RECEIVABLES | rules))
    oid = world.subscribe()
    put_card(world, oid, card)
    world.travel(40, twice=True)
    return world, oid, f"{world.document(oid).original_order_id}-001"


def test_a_run_that_failed_for_good_becomes_an_unpaid_order_and_its_items_go_on() -> None:
    world, oid, order_id = a_failed_run()
    head = world.head(oid)
    assert status(world, order_id) == ("Accounts Receivable", "Declined")
    assert (head.status, head.run, head.round) == ("disabled", 2, 0)
    assert head.state.receivables == [order_id]
    assert counted(world, oid) == [(0, Decimal(0))], "it is counted when it is paid"
    edit.update(world.shop, oid, {"enabled": True})
    put_card(world, oid, GOOD)
    world.travel(30)
    assert world.rebill_days(oid)[1:] == ["2027-03-31"], "the failed occurrence is not billed again"
    world.check(oid)


def test_without_the_setting_nothing_goes_to_accounts_receivable() -> None:
    world, oid, _ = a_failed_run(send_failures_to_accounts_receivable=False)
    assert world.rebills(oid) == []
    assert world.head(oid).run == 1


def test_a_payment_rule_that_fails_the_last_round_hands_the_run_over_too() -> None:
    world = World().open(**TO_RECEIVABLES)
    oid = world.subscribe()
    world.rules(**TO_RECEIVABLES, restrict_visa=True)
    world.travel(40)
    assert status(world, f"{world.document(oid).original_order_id}-001") == ("Accounts Receivable", "Declined")


def test_the_last_attempt_says_in_its_explanation_what_a_decline_leads_to() -> None:
    world = World().open(**TO_RECEIVABLES)
    oid = world.subscribe()
    put_card(world, oid, DECLINES)
    world.clock.go(world.next_due() or world.clock.now())
    assert "then_receivable" not in codes(world, oid)
    world.work()
    world.clock.go(world.next_due() or world.clock.now())
    assert [code for code in codes(world, oid) if code in ("last_attempt", "then_receivable")] == [
        "last_attempt",
        "then_receivable",
    ]


def test_an_order_in_accounts_receivable_that_is_paid_is_counted_once_at_its_auto_order() -> None:
    world, oid, order_id = a_failed_run()
    pay_with(world, order_id, GOOD)
    assert status(world, order_id) == ("Shipping Department", "Processed")
    assert counted(world, oid) == [(1, Decimal("17.95"))]
    assert world.head(oid).state.receivables == []
    assert pay(world.shop, order_id) is None
    assert counted(world, oid) == [(1, Decimal("17.95"))]
    assert len(world.sandbox.captures()) == 2
    world.check(oid)


def pay_with(world: World, order_id: str, number: str) -> None:
    shop = world.shop
    order = shop.orders.get(order_id)
    assert order.noun.payment is not None
    assert order.noun.payment.credit_card is not None
    order.noun.payment.credit_card.stored_card = shop.gateway().tokenise(number, 12, 2040)
    shop.write(shop.orders.edited(order.noun, order.version))
    assert isinstance(pay(shop, order_id), Approved)


@pytest.mark.parametrize(("left", "then"), [(2, ("active", 1)), (1, ("canceled", None))])
def test_an_order_in_accounts_receivable_is_one_of_those_after_which_it_is_canceled_once_it_is_paid(
    left: int, then: tuple[str, int | None]
) -> None:
    world, oid, order_id = a_failed_run()
    edit.update(world.shop, oid, {"enabled": True, "cancel_after_next_x_orders": left})
    assert world.head(oid).state.cancel_after_next_x_orders == left, "nothing is counted before it is paid"
    pay_with(world, order_id, GOOD)
    assert pay(world.shop, order_id) is None
    world.work()
    head = world.head(oid)
    assert (head.status, head.state.cancel_after_next_x_orders) == then
    canceled = then[0] == "canceled"
    assert (head.due_dts is None) is canceled
    mails = [mail.template for mail in world.shop.mails.of(f"auto_order#{oid}")]
    assert mails.count("canceled") == int(canceled)
    world.travel(60)
    assert len(world.rebills(oid)) == (1 if canceled else 2)
    world.check(oid)


def test_a_card_that_the_bank_refused_for_good_is_not_sent_for_a_receivable_either() -> None:
    world, _, order_id = a_failed_run(LOST)
    posts = world.sandbox.posts()
    assert isinstance(pay(world.shop, order_id), Declined)
    assert world.sandbox.posts() == posts


def test_a_cancel_item_that_is_declined_after_the_last_round_leaves_the_run_to_accounts_receivable() -> None:
    world = with_fee(World().open(**TO_RECEIVABLES, try_cancel_item_after_max_retries=True))
    oid = world.subscribe({"PLAN": "Monthly"})
    put_card(world, oid, DECLINES)
    world.travel(40, twice=True)
    order_id = f"{world.document(oid).original_order_id}-001"
    assert status(world, order_id) == ("Accounts Receivable", "Declined")
    order = world.shop.orders.get(order_id).noun
    assert [line.merchant_item_id for line in order.items or []] == ["PLAN"]
    assert world.head(oid).due_dts is None


# --- authorisation tests of orders that cost nothing -----------------------------------------------------------------


def a_trial(world: World, **tab: Any) -> str:
    world.sell("TRIAL", "0.00", ItemAutoOrder(auto_orderable=True, auto_order_schedules=["Monthly"], **tab))
    return world.place({"TRIAL": "Monthly"})


def test_the_card_of_an_order_that_costs_nothing_is_tested_with_a_dollar_that_is_let_go() -> None:
    world = World().open(auth_test_zero_dollar_orders=True)
    order_id = a_trial(world)
    assert isinstance(pay(world.shop, order_id), Approved)
    assert status(world, order_id) == ("Shipping Department", "Processed")
    assert [(hold.amount, hold.voided_dts is not None) for hold in world.sandbox.holds()] == [(Decimal(1), True)]
    assert world.sandbox.captures() == []
    assert world.shop.auto_orders.oid_by_original_order(order_id) is not None


def test_without_the_setting_nothing_is_tested() -> None:
    world = World().open()
    pay(world.shop, a_trial(world))
    assert world.sandbox.holds() == []


def test_a_gateway_that_cannot_authorise_tests_nothing() -> None:
    world = World(capabilities=PROFILES["neither"]).open(auth_test_zero_dollar_orders=True)
    order_id = a_trial(world)
    assert isinstance(pay(world.shop, order_id), Approved)
    assert world.sandbox.holds() == []


def test_a_future_amount_is_authorised_first_and_stays_open() -> None:
    world = World().open(auth_test_zero_dollar_orders=True)
    order_id = a_trial(world, auth_future_amount=Decimal("39.95"), auth_test_amount=Decimal("2.50"))
    pay(world.shop, order_id)
    assert [(hold.amount, hold.voided_dts is not None) for hold in world.sandbox.holds()] == [
        (Decimal("39.95"), False),
        (Decimal("2.50"), True),
    ]
    world.travel(60, twice=True)
    assert world.sandbox.captures() == [], "what was authorised for the future is never captured"


def test_where_the_test_amount_is_declined_the_future_amount_is_let_go_and_nothing_begins() -> None:
    world = World(behave=lambda charge, posts: "decline" if charge.amount == 1 else None).open(
        auth_test_zero_dollar_orders=True
    )
    order_id = a_trial(world, auth_future_amount=Decimal("39.95"))
    assert isinstance(pay(world.shop, order_id), Declined)
    world.travel(2)
    assert [hold.voided_dts is not None for hold in world.sandbox.holds()] == [True]
    assert world.shop.auto_orders.oid_by_original_order(order_id) is None


def test_a_void_that_gets_lost_is_tried_again_until_its_outcome_is_known() -> None:
    world = World(behave_back=lambda key, posts: "timeout_before_capture" if posts == 1 else None).open(
        auth_test_zero_dollar_orders=True
    )
    order_id = a_trial(world)
    pay(world.shop, order_id)
    assert [hold.voided_dts for hold in world.sandbox.holds()] == [None]
    world.travel(1, twice=True)
    assert [hold.voided_dts is not None for hold in world.sandbox.holds()] == [True]
    head = world.shop.orders.read(order_id)[1]
    assert head is not None
    assert (head.attempt, head.due_dts) == (None, None)


# --- refunds ---------------------------------------------------------------------------------------------------------


def totals(world: World, order_id: str, **figures: str) -> refunds.Refunded:
    summary = OrderSummary(**{name: Currency(value) for name, value in figures.items()})
    return refunds.asked(world.shop.orders.get(order_id).noun, Order(summary=summary))


def test_a_refund_in_parts_gives_back_the_difference_to_what_was_given_back_before() -> None:
    world = World().open()
    order_id = world.order({"COFFEE": "Monthly"})
    refund(world.shop, order_id, totals(world, order_id, total_refunded="5.00"))
    refund(world.shop, order_id, totals(world, order_id, total_refunded="17.95"))
    assert [one.amount for one in world.sandbox.refunds()] == [Decimal("5.00"), Decimal("12.95")]
    order = world.shop.orders.get(order_id).noun
    assert status(world, order_id) == ("Shipping Department", "Refunded")
    assert order.summary is not None
    assert order.summary.total_refunded == Decimal("17.95")


def test_what_a_refund_would_give_back_is_told_before_and_its_figures_are_the_request() -> None:
    world = World().open()
    order_id = world.order({"COFFEE": "Monthly", "TEA": None})
    half = Order(items=[OrderItem(item_index=2, quantity_refunded=Decimal(1), total_refunded=Currency("9.50"))])
    for request, amount in ((half, "9.50"), (None, "17.95")):
        told = preview(world.shop, order_id, request)
        assert (told.to_refund, told.money, told.store_credit) == (Decimal(amount), Decimal(amount), 0)
        assert (told.why_not, told.why_manual, told.other_auto_orders) == (None, None, None)
        assert told.order
        wanted = refunds.asked(world.shop.orders.get(order_id).noun, told.order)
        refund(world.shop, order_id, wanted)
        assert world.sandbox.refunds()[-1].amount == Decimal(amount)
    assert preview(world.shop, order_id, None).why_not == "The order has been refunded in full."
    unpaid = world.place({"COFFEE": "Monthly"})
    assert "Payment has not been processed" in (preview(world.shop, unpaid, None).why_not or "")


def test_what_a_gateway_cannot_give_back_is_told_before() -> None:
    world = World(capabilities=PROFILES["neither"]).open()
    told = preview(world.shop, world.order({"COFFEE": "Monthly"}), None)
    assert "cannot give back; refund there, then manually here" in (told.why_manual or "")


def test_the_same_refund_sent_again_gives_back_nothing() -> None:
    world = World().open()
    order_id = world.order({"COFFEE": "Monthly"})
    wanted = totals(world, order_id, total_refunded="5.00")
    assert isinstance(refund(world.shop, order_id, wanted), Approved)
    assert refund(world.shop, order_id, totals(world, order_id, total_refunded="5.00")) is None
    assert len(world.sandbox.refunds()) == 1


def test_the_order_of_a_rebill_is_refunded_by_its_own_capture() -> None:
    world = World().open()
    oid = world.subscribe()
    world.travel(32)
    order_id = world.rebills(oid)[0].order_id or ""
    assert refundable(world.shop, world.shop.orders.get(order_id).noun)
    refund(world.shop, order_id, totals(world, order_id, total_refunded="17.95"))
    assert [one.of for one in world.sandbox.refunds()] == [world.shop.orders.get(order_id).noun.charge_key]
    assert not refundable(world.shop, world.shop.orders.get(order_id).noun)


def test_a_manual_refund_asks_no_gateway() -> None:
    world = World(capabilities=PROFILES["neither"]).open()
    order_id = world.order({"COFFEE": "Monthly"})
    with pytest.raises(Invalid, match="manual"):
        refund(world.shop, order_id, totals(world, order_id, total_refunded="5.00"))
    refund(world.shop, order_id, totals(world, order_id, total_refunded="5.00"), manual=True)
    assert world.sandbox.refunds() == []
    assert status(world, order_id) == ("Shipping Department", "Processed")


def test_a_refund_of_which_nobody_knows_is_found_out_and_stands_in_the_way_of_the_next() -> None:
    world = World(behave_back=lambda key, posts: "timeout_after_capture" if posts == 1 else None).open()
    order_id = world.order({"COFFEE": "Monthly"})
    assert isinstance(refund(world.shop, order_id, totals(world, order_id, total_refunded="5.00")), Unknown)
    with pytest.raises(Contended):
        refund(world.shop, order_id, totals(world, order_id, total_refunded="6.00"))
    world.travel(1, twice=True)
    assert [one.amount for one in world.sandbox.refunds()] == [Decimal("5.00")]
    order = world.shop.orders.get(order_id).noun
    assert order.summary is not None
    assert order.summary.total_refunded == Decimal("5.00")


def test_what_was_not_paid_or_is_given_back_already_is_not_refunded() -> None:
    world = World().open()
    unpaid = world.place({"COFFEE": "Monthly"})
    with pytest.raises(Invalid, match="Payment has not been processed on this order"):
        refund(world.shop, unpaid, totals(world, unpaid, total_refunded="5.00"))


@pytest.mark.parametrize(
    ("request_", "pointers"),
    [
        (Order(summary=OrderSummary(total_refunded=Currency("17.96"))), ["/summary/total_refunded"]),
        (Order(summary=OrderSummary(total_refunded=Currency("1.00"))), ["/summary/total_refunded"]),
        (Order(summary=OrderSummary(tax_refunded=Currency("0.01"))), ["/summary/tax_refunded"]),
        (Order(items=[OrderItem(item_index=2)]), ["/items"]),
        (Order(items=[OrderItem(item_index=1, quantity_refunded=Decimal(2))]), ["/items/0/quantity_refunded"]),
        (Order(items=[OrderItem(item_index=1, total_refunded=Currency("18.00"))]),
         ["/items/0/total_refunded", "/summary/subtotal_refunded", "/summary/total_refunded"]),
        (Order(summary=OrderSummary(total_refunded=Currency("9.00"), other_refunded=Currency("3.00"))),
         ["/summary/total_refunded"]),
    ],
)  # fmt: skip
def test_figures_that_cannot_be_are_refused_by_name(request_: Order, pointers: list[str]) -> None:
    world = World().open()
    order_id = world.order({"COFFEE": "Monthly"})
    refund(world.shop, order_id, totals(world, order_id, total_refunded="2.00"))
    with pytest.raises(Invalid) as refused:
        refunds.asked(world.shop.orders.get(order_id).noun, request_)
    assert [problem.pointer for problem in refused.value.problems] == pointers


def test_lines_that_are_given_back_make_the_subtotal_that_is() -> None:
    world = World().open()
    order_id = world.order({"COFFEE": "Monthly", "TEA": None})
    line = OrderItem(item_index=2, quantity_refunded=Decimal(1), total_refunded=Currency("9.50"), refund_reason="cold")
    refund(world.shop, order_id, refunds.asked(world.shop.orders.get(order_id).noun, Order(items=[line])))
    order = world.shop.orders.get(order_id).noun
    assert order.summary is not None
    assert (order.summary.subtotal_refunded, order.summary.total_refunded) == (Decimal("9.50"), Decimal("9.50"))
    assert [line.refund_reason for line in order.items or []] == [None, "cold"]


# --- a cut at every call ---------------------------------------------------------------------------------------------

Scene = tuple[World, Callable[[], object], Callable[[str], None]]


def cut_world(scissors: Scissors, profile: str, **rules: Any) -> World:
    return World(
        capabilities=PROFILES[profile],
        port=CutPort(SqliteTables(), scissors),
        gateway=lambda sandbox: CutGateway(sandbox, scissors),
    ).open(**rules)


def canceling(scissors: Scissors, profile: str) -> Scene:
    world = with_fee(cut_world(scissors, profile))
    oid = world.subscribe({"PLAN": "Monthly"})
    edit.update(world.shop, oid, CANCEL)

    def check(cut: str) -> None:
        assert [o.items[0].merchant_item_id for o in world.rebills(oid) if o.items] == ["FEE"], cut
        world.check(oid)

    return world, lambda: rebill(world.shop, oid), check


def handing_over(scissors: Scissors, profile: str) -> Scene:
    world = cut_world(scissors, profile, **(TO_RECEIVABLES | {"number_of_retries": 1}))
    oid = world.subscribe()
    put_card(world, oid, DECLINES)
    world.clock.go(world.next_due() or world.clock.now())

    def check(cut: str) -> None:
        order_id = f"{world.document(oid).original_order_id}-001"
        assert status(world, order_id) == ("Accounts Receivable", "Declined"), cut
        assert world.head(oid).state.receivables == [order_id], cut

    return world, lambda: rebill(world.shop, oid), check


def collecting(scissors: Scissors, profile: str) -> Scene:
    world, act, _ = handing_over(scissors, profile)
    act()
    oid = next(iter(world.shop.orders.get(name).noun.auto_order_oid for name in ids(world)), None) or 0
    order_id = f"{world.document(oid).original_order_id}-001"
    order = world.shop.orders.get(order_id)
    assert order.noun.payment is not None
    assert order.noun.payment.credit_card is not None
    order.noun.payment.credit_card.stored_card = world.sandbox.tokenise(GOOD, 12, 2040)
    world.shop.write(world.shop.orders.edited(order.noun, order.version))

    def check(cut: str) -> None:
        world.check(oid)
        if status(world, order_id)[1] == "Processed":
            assert counted(world, oid) == [(1, Decimal("17.95"))], cut
        else:
            # Cut before anything was sent: nobody has asked again.
            assert counted(world, oid) == [(0, Decimal(0))], cut

    return world, lambda: pay(world.shop, order_id), check


def ids(world: World) -> list[str]:
    return [name for name in ("DEMO-0000001005", "DEMO-0000001003", "DEMO-0000001004") if world.shop.orders.find(name)]


def auth_testing(scissors: Scissors, profile: str) -> Scene:
    world = cut_world(scissors, profile, auth_test_zero_dollar_orders=True)
    order_id = a_trial(world, auth_future_amount=Decimal("39.95"))

    def check(cut: str) -> None:
        head = world.shop.orders.read(order_id)[1]
        assert head is not None
        assert head.attempt is None, cut
        left = [hold.amount for hold in world.sandbox.holds() if hold.voided_dts is None]
        assert left in ([], [Decimal("39.95")]), f"{cut}: {left} stays authorised"

    return world, lambda: pay(world.shop, order_id), check


def giving_back(scissors: Scissors, profile: str) -> Scene:
    world = cut_world(scissors, profile)
    order_id = world.order({"COFFEE": "Monthly"})

    def check(cut: str) -> None:
        order, head = world.shop.orders.read(order_id)
        assert head is not None
        assert head.attempt is None, cut
        given = sum((one.amount for one in world.sandbox.refunds()), Decimal(0))
        assert refunds.given_back(order.noun) == given, cut
        assert given in (Decimal(0), Decimal("5.00")), cut

    def act() -> object:
        return refund(world.shop, order_id, totals(world, order_id, total_refunded="5.00"))

    return world, act, check


def giving_back_to_balances(scissors: Scissors, profile: str) -> Scene:
    """Of 17.95 a certificate paid 10, store credit 6 and the card 1.95; 12.50 are given back."""
    world = cut_world(scissors, profile)
    a_customer_with(world, "6")
    code = a_certificate(world, "10")
    order_id = world.order({"COFFEE": "Monthly"}, **wanting("6"), **paying_with(code))

    def check(cut: str) -> None:
        order = world.shop.orders.get(order_id).noun
        money = sum((one.amount for one in world.sandbox.refunds()), Decimal(0))
        given = (money, balance_of(world, code), credit_of(world))
        assert given in ((0, 0, 0), (Decimal("1.95"), 10, Decimal("0.55"))), cut
        assert refunds.given_back(order) == sum(given), cut
        nothing_held(world)

    return world, lambda: refund(world.shop, order_id, totals(world, order_id, total_refunded="12.50")), check


def auth_testing_with_a_certificate(scissors: Scissors, profile: str) -> Scene:
    """An order that a certificate pays whole; the card of its auto order is tested."""
    world = cut_world(scissors, profile, auth_test_zero_dollar_orders=True)
    code = a_certificate(world, "20")
    order_id = world.place({"COFFEE": "Monthly"}, **paying_with(code))

    def check(cut: str) -> None:
        order, head = world.shop.orders.read(order_id)
        assert head is not None
        assert head.attempt is None, cut
        assert balance_of(world, code) == (Decimal("2.05") if head.status == "paid" else 20), cut
        assert order.noun.money() == (0 if head.status == "paid" else Decimal("17.95")), cut
        assert [hold for hold in world.sandbox.holds() if hold.voided_dts is None] == [], cut
        assert world.sandbox.captures() == [], cut
        nothing_held(world)

    return world, lambda: pay(world.shop, order_id), check


SCENES = {
    scene.__name__: scene
    for scene in (
        canceling,
        handing_over,
        collecting,
        auth_testing,
        auth_testing_with_a_certificate,
        giving_back,
        giving_back_to_balances,
    )
}


def with_cuts(name: str, profile: str, *cuts: tuple[int, Side]) -> Scissors:
    scissors = Scissors()
    world, act, check = SCENES[name](scissors, profile)
    scissors.arm(*cuts)
    for _ in range(2):
        try:
            act()
        except (Crash, Contended, Invalid):
            continue
    reached, calls = scissors.reached, scissors.calls
    scissors.arm()
    world.travel(3, twice=True)
    check(f"{name}, {profile}, cut {cuts}")
    scissors.reached, scissors.calls = reached, calls
    return scissors


@pytest.mark.parametrize("profile", ["full", "keys", "lookup"])
@pytest.mark.parametrize("name", SCENES)
def test_a_cut_at_any_single_call_moves_the_money_once(name: str, profile: str) -> None:
    clean = with_cuts(name, profile)
    cut = sum(
        with_cuts(name, profile, (number, side)).reached for number in range(1, clean.calls + 1) for side in SIDES
    )
    print(f"{name}, {profile}: {cut} cuts of {clean.calls} calls")
