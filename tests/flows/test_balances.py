"""Paying with balances: gift certificates, store credit and limited coupons, held for an attempt, spent once, free
again where nothing was paid."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import refunds
from chalicelib.domain.dates import later
from chalicelib.domain.errors import Contended, Invalid
from chalicelib.domain.gift_certificates import ledger_id
from chalicelib.domain.loyalty import LoyaltyProgram
from chalicelib.domain.money import Currency
from chalicelib.domain.orders import (
    Order,
    OrderBilling,
    OrderCoupon,
    OrderGiftCertificate,
    OrderItem,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderSummary,
)
from chalicelib.domain.payments import Approved, Charge, Declined
from chalicelib.flows import edit, gift_certificates, ledgers, place_order, profiles, refund, reward
from chalicelib.flows.catalogue import delete_coupon, insert_coupon
from chalicelib.flows.charge import record
from chalicelib.flows.configure import configure
from chalicelib.flows.coupon_codes import generate
from chalicelib.flows.explain import explained, rehearsed
from chalicelib.flows.gift_certificates import store_credit_token
from chalicelib.flows.purchase import PaymentOf, pay
from chalicelib.flows.rebill import BEING_BILLED
from chalicelib.flows.reconcile import reconcile
from chalicelib.flows.storefront import buy
from chalicelib.gateways.sandbox import PROFILES, TEST_CARDS
from chalicelib.stores.sqlite import SqliteTables
from tests.balances import (
    ADA,
    a_certificate,
    a_customer_with,
    balance_of,
    certificate_oid,
    credit_of,
    more_credit,
    nothing_held,
    paying_with,
    wanting,
)
from tests.flows.test_charge import CANCEL, Watched, once
from tests.flows.test_crashes import put_card
from tests.scenes import Stage
from tests.worlds import World

NUMBERS = {behaviour: number for number, behaviour in reversed(TEST_CARDS.items())}
MONTHLY: dict[str, str | None] = {"COFFEE": "Monthly"}


def order_of(world: World, order_id: str) -> Order:
    return world.shop.orders.get(order_id).noun


def totals(order: Order) -> tuple[Decimal, ...]:
    """(what it cost, by certificate, by store credit, by the gateway)"""
    return order.total(), order.certificate_amount(), order.store_credit(), order.money()


def put_first_card(world: World, order_id: str, behaviour: str) -> None:
    """Another card on an order that was placed."""
    kept = world.shop.orders.get(order_id)
    assert kept.noun.payment is not None
    assert kept.noun.payment.credit_card is not None
    kept.noun.payment.credit_card.stored_card = world.sandbox.tokenise(NUMBERS[behaviour], 12, 2040)
    world.shop.write(world.shop.orders.edited(kept.noun, kept.version))


# --- a first order ---------------------------------------------------------------------------------------------------


def test_a_gift_certificate_pays_what_is_on_it_and_the_card_the_rest() -> None:
    world = World().open()
    code = a_certificate(world, "10")
    order_id = world.order(MONTHLY, **paying_with(code))
    order = order_of(world, order_id)
    assert totals(order) == (Decimal("17.95"), Decimal(10), 0, Decimal("7.95"))
    assert [capture.amount for capture in world.sandbox.captures()] == [Decimal("7.95")]
    assert balance_of(world, code) == 0
    oid = world.shop.auto_orders.oid_by_original_order(order_id)
    assert oid is not None
    world.check(oid)
    (_, used) = world.shop.ledgers.entries(ledger_id(certificate_oid(world, code)), limit=5)[0][::-1]
    assert (used.posting.type, used.posting.order_id, used.posting.amount) == ("Used", order_id, -10)
    assert ledgers.verify(world.shop, ledger_id(certificate_oid(world, code))) == []


def test_an_order_that_a_certificate_pays_whole_needs_no_gateway_and_no_card() -> None:
    world = World().open()
    code = a_certificate(world, "50")
    order_id = world.place({"TEA": None}, card=None, **paying_with(code))
    assert isinstance(pay(world.shop, order_id), Approved)
    assert pay(world.shop, order_id) is None
    assert world.sandbox.posts() == 0
    assert totals(order_of(world, order_id)) == (Decimal("9.50"), Decimal("9.50"), 0, 0)
    assert balance_of(world, code) == Decimal("40.50")


def test_without_a_card_a_certificate_must_pay_it_all() -> None:
    world = World().open()
    code = a_certificate(world, "5")
    order_id = world.place({"TEA": None}, card=None, **paying_with(code))
    with pytest.raises(Invalid, match="no card"):
        pay(world.shop, order_id)
    assert balance_of(world, code) == 5
    nothing_held(world)


def test_a_merchant_names_how_much_store_credit_pays_and_certificates_go_first() -> None:
    world = World().open()
    a_customer_with(world, "30")
    code = a_certificate(world, "10")
    order_id = world.order({"COFFEE": None}, **wanting("6"), **paying_with(code))
    assert totals(order_of(world, order_id)) == (Decimal("17.95"), 10, 6, Decimal("1.95"))
    assert (balance_of(world, code), credit_of(world)) == (0, 24)


def used_code(world: World) -> str:
    code = a_certificate(world, "9.50")
    world.order({"TEA": None}, **paying_with(code))
    return code


def expired(world: World) -> str:
    code = a_certificate(world, "5", expiration_dts=str(later(world.clock.now(), days=1)))
    world.clock.pass_(days=1)
    return code


def inactive(world: World) -> str:
    code = a_certificate(world, "5")
    gift_certificates.update(world.shop, certificate_oid(world, code), {"activated": False})
    return code


def deleted(world: World) -> str:
    code = a_certificate(world, "5")
    gift_certificates.delete(world.shop, certificate_oid(world, code))
    return code


def of_a_customer(world: World) -> str:
    oid = gift_certificates.internal(world.shop, a_customer_with(world, "5"))
    return str(world.shop.certificates.get(oid).noun.code)


def of_another_shop(world: World) -> str:
    other = world.house.open_shop("OTHER")
    return str(gift_certificates.create(other, {"amount": 5}, by="bob").code)


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (lambda world: "NO-SUCH", "unknown"),
        (of_another_shop, "unknown"),
        (of_a_customer, "unknown"),
        (expired, "not_usable"),
        (inactive, "not_usable"),
        (deleted, "not_usable"),
        (used_code, "used_up"),
    ],
)
def test_a_code_that_pays_nothing_is_refused_by_name(made: Any, code: str) -> None:
    world = World().open()
    named = made(world)
    with pytest.raises(Invalid) as refused:
        world.place({"TEA": None}, **paying_with(named))
    assert [(p.pointer, p.code) for p in refused.value.problems] == [("/gift_certificate/gift_certificate_code", code)]


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"gift_certificate": OrderGiftCertificate()}, "/gift_certificate/gift_certificate_code"),
        (
            {"gift_certificate": OrderGiftCertificate(gift_certificate_code="A", gift_certificate_oid=7)},
            "/gift_certificate/gift_certificate_oid",
        ),
        (
            {"gift_certificate": OrderGiftCertificate(gift_certificate_code="A", gift_certificate_amount=Currency(7))},
            "/gift_certificate/gift_certificate_amount",
        ),
        (wanting("30.01"), "/summary/internal_gift_certificate_amount"),
        (wanting("-1"), "/summary/internal_gift_certificate_amount"),
        (
            {"summary": OrderSummary(internal_gift_certificate_refunded=Currency(1))},
            "/summary/internal_gift_certificate_refunded",
        ),
    ],
)
def test_what_cannot_pay_is_refused_by_name(said: dict[str, Any], pointer: str) -> None:
    world = World().open()
    a_customer_with(world, "30")
    with pytest.raises(Invalid) as refused:
        world.place({"TEA": None}, **said)
    assert pointer in [problem.pointer for problem in refused.value.problems]


def test_a_certificate_that_ends_before_the_payment_pays_nothing_and_the_card_pays_all() -> None:
    world = World().open()
    code = a_certificate(world, "5", expiration_dts=str(later(world.clock.now(), days=1)))
    order_id = world.place({"TEA": None}, **paying_with(code))
    assert order_of(world, order_id).certificate_amount() == 5
    world.clock.pass_(days=2)
    assert isinstance(pay(world.shop, order_id), Approved)
    assert totals(order_of(world, order_id)) == (Decimal("9.50"), 0, 0, Decimal("9.50"))


@pytest.mark.parametrize("behaviour", ["decline", "lost_card", "not_sent", "action_needed"])
def test_where_nothing_is_charged_all_is_free_again(behaviour: str) -> None:
    world = World().open()
    code = a_certificate(world, "5")
    order_id = world.order({"TEA": None}, card=NUMBERS[behaviour], **paying_with(code))
    assert order_of(world, order_id).payment.payment_status != "Processed"  # type: ignore[union-attr]
    assert balance_of(world, code) == 5
    nothing_held(world)


def test_two_orders_that_race_for_one_certificate_never_spend_more_than_is_on_it() -> None:
    gateways: list[Watched] = []

    def watched(sandbox: Any) -> Watched:
        gateways.append(Watched(sandbox, "charge"))
        return gateways[0]

    stage = World(gateway=watched).open()
    code = a_certificate(stage, "5")
    first, second = (stage.place({"TEA": None}, **paying_with(code)) for _ in range(2))
    gateways[0].before = once(lambda: pay(stage.shop, second))
    pay(stage.shop, first)
    assert [order_of(stage, one).certificate_amount() for one in (first, second)] == [5, 0]
    assert balance_of(stage, code) == 0
    assert stage.taken() == 14
    stage.tell_all()
    nothing_held(stage)


def opens_an_attempt(name: str, *changes: Any) -> bool:
    return name == "write" and any("attempt_key" in getattr(change, "set", ()) for change in changes)


def test_a_balance_that_goes_between_the_plan_and_the_claim_is_planned_anew() -> None:
    port = Watched(SqliteTables(), "write")
    world = World(port=port).open()  # type: ignore[arg-type]  # all else is the tables'
    code = a_certificate(world, "12")
    first, second = (world.place({"TEA": None}, **paying_with(code)) for _ in range(2))
    port.before = once(lambda: pay(world.shop, second), when=opens_an_attempt)
    assert isinstance(pay(world.shop, first), Approved)
    assert totals(order_of(world, second)) == (Decimal("9.50"), Decimal("9.50"), 0, 0)
    assert totals(order_of(world, first)) == (Decimal("9.50"), Decimal("2.50"), 0, 7)
    assert balance_of(world, code) == 0
    nothing_held(world)


def test_a_balance_that_only_moved_between_the_plan_and_the_claim_is_held_all_the_same() -> None:
    port = Watched(SqliteTables(), "write")
    world = World(port=port).open()  # type: ignore[arg-type]  # all else is the tables'
    code = a_certificate(world, "5")
    order_id = world.place({"TEA": None}, **paying_with(code))
    more = {"amount": 1, "description": "Sorry"}
    act = lambda: gift_certificates.add_entry(world.shop, certificate_oid(world, code), more, by="bob")  # noqa: E731
    port.before = once(act, when=opens_an_attempt)
    pay(world.shop, order_id)
    assert totals(order_of(world, order_id)) == (Decimal("9.50"), 5, 0, Decimal("4.50"))
    assert balance_of(world, code) == 1


def test_who_never_gets_hold_of_a_balance_is_told_to_try_again_and_nothing_is_charged() -> None:
    port = Watched(SqliteTables(), "write")
    world = World(port=port).open()  # type: ignore[arg-type]  # all else is the tables'
    code = a_certificate(world, "500")
    order_id = world.place({"TEA": None}, **paying_with(code))
    less = {"amount": -1, "description": "Spent"}

    def spends(name: str, *changes: Any) -> None:
        if opens_an_attempt(name, *changes):
            gift_certificates.add_entry(world.shop, certificate_oid(world, code), less, by="bob")

    port.before = spends
    with pytest.raises(Contended):
        pay(world.shop, order_id)
    assert world.sandbox.posts() == 0
    nothing_held(world)


# --- what nobody knows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", ["timeout_after_capture", "timeout_before_capture"])
def test_what_became_of_a_charge_decides_over_its_hold_and_until_then_it_stays(behaviour: str) -> None:
    world = World(capabilities=PROFILES["lookup"]).open()
    code = a_certificate(world, "5")
    order_id = world.order({"TEA": None}, card=NUMBERS[behaviour], **paying_with(code))
    ledger = ledgers.current(world.shop, ledger_id(certificate_oid(world, code)))
    assert (ledger.balance, ledger.held(), ledger.available()) == (5, 5, 0)
    world.travel(2, twice=True)
    order, paid = order_of(world, order_id), behaviour == "timeout_after_capture"
    assert balance_of(world, code) == (0 if paid else 5)
    assert order.money() == (Decimal("4.50") if paid else Decimal("9.50"))
    nothing_held(world)


def late_capture(world: World, order_id: str) -> None:
    """A capture of the order's first attempt shows, long after it was closed."""
    attempt = world.shop.orders.attempts(order_id)[0].attempt
    assert attempt.card is not None
    answer = world.sandbox.charge(
        Charge(
            key=attempt.key,
            amount=attempt.asked(),
            currency_code="USD",
            card=attempt.card,
            order_id=order_id,
            first=True,
        )
    )
    assert isinstance(answer, Approved)
    record(world.shop, PaymentOf(world.shop, order_id), attempt, answer)


def an_order_given_up(stage: Stage, code: str, there: int = 5) -> str:
    """Its charge was not heard of, and not found."""
    stage.next = "timeout_before_capture"
    order_id = stage.order({"TEA": None}, **paying_with(code))
    stage.travel(2)
    assert stage.shop.orders.attempts(order_id)[0].outcome == "not_charged"
    assert balance_of(stage, code) == there
    return order_id


def test_a_capture_that_comes_late_spends_what_is_still_there() -> None:
    world = Stage("lookup").open()
    code = a_certificate(world, "5")
    order_id = an_order_given_up(world, code)
    late_capture(world, order_id)
    order = order_of(world, order_id)
    assert totals(order) == (Decimal("9.50"), 5, 0, Decimal("4.50"))
    assert order.late
    assert balance_of(world, code) == 0
    world.travel(1, twice=True)
    assert reconcile(world.shop, "sandbox").difference == {"USD": 0}
    assert held_mails(world, order_id) == []


def test_of_a_capture_that_comes_late_what_is_gone_is_announced_and_never_taken() -> None:
    world = Stage("lookup").open()
    code = a_certificate(world, "5")
    order_id = an_order_given_up(world, code)
    gift_certificates.add_entry(
        world.shop, certificate_oid(world, code), {"amount": -3, "description": "Spent elsewhere"}, by="bob"
    )
    for _ in range(2):
        late_capture(world, order_id)
    order = order_of(world, order_id)
    assert (order.certificate_amount(), order.money(), order.paid()) == (2, Decimal("4.50"), Decimal("6.50"))
    assert balance_of(world, code) == 0
    assert len(held_mails(world, order_id)) == 1
    assert f"$3.00 of gift certificate {code}" in held_mails(world, order_id)[0]
    assert reconcile(world.shop, "sandbox").difference == {"USD": 0}


def test_a_second_capture_of_what_is_paid_for_is_given_back_and_spends_nothing() -> None:
    stage = Stage("lookup").open()
    code = a_certificate(stage, "8")
    order_id = an_order_given_up(stage, code, 8)
    assert isinstance(pay(stage.shop, order_id), Approved)
    assert balance_of(stage, code) == 0
    late_capture(stage, order_id)
    assert stage.taken() == Decimal("1.50")
    assert totals(order_of(stage, order_id)) == (Decimal("9.50"), 8, 0, Decimal("1.50"))
    assert balance_of(stage, code) == 0


def held_mails(world: World, order_id: str) -> list[str]:
    world.tell_all()
    mails = [mail for mail in world.shop.mails.of(f"order#{order_id}") if mail.template == "held"]
    return [str(mail) for mail in mails]


# --- rebills ---------------------------------------------------------------------------------------------------------

CREDIT = {"use_store_credit_for_rebills": True}


def a_subscriber_with(world: World, credit: str, **rules: Any) -> int:
    """A customer with store credit and an auto order of coffee that is due now."""
    world.open(**rules)
    a_customer_with(world, credit)
    oid = world.subscribe(MONTHLY)
    world.tell_all()
    world.clock.go(world.bills_at(oid))
    return oid


@pytest.mark.parametrize(("rules", "used"), [({}, 0), ({"use_store_credit_for_rebills": False}, 0), (CREDIT, 10)])
def test_rebills_are_paid_with_store_credit_where_the_merchant_wants_it(rules: dict[str, Any], used: int) -> None:
    world = World()
    oid = a_subscriber_with(world, "10", **rules)
    told = explained(world.shop, oid, None)
    assert ("use_store_credit_for_rebills" in [reason.get("setting") for reason in told["reasons"]]) == bool(used)
    assert (told["plan"]["total"], told["plan"]["charged"]) == (Decimal("17.95"), Decimal("17.95") - used)
    assert world.visit(oid).success
    (order,) = world.rebills(oid)
    assert totals(order) == (Decimal("17.95"), 0, used, Decimal("17.95") - used)
    assert credit_of(world) == 10 - used
    world.check(oid)
    nothing_held(world)


def test_store_credit_pays_run_after_run_until_it_is_used_up_and_a_run_that_it_pays_whole_asks_no_gateway() -> None:
    world = World()
    oid = a_subscriber_with(world, "20", **CREDIT)
    rehearsal = rehearsed(world.shop, world.backroom, later(world.clock.now(), days=70))
    world.travel(70, twice=True)
    orders = world.rebills(oid)
    assert [order.store_credit() for order in orders] == [Decimal("17.95"), Decimal("2.05"), 0]
    assert [order.money() for order in orders] == [0, Decimal("15.90"), Decimal("17.95")]
    assert world.sandbox.posts() == 3, "one first order and two rebills"
    assert rehearsal["number_of_orders"] == 3
    assert credit_of(world) == 0
    world.check(oid)
    nothing_held(world)


def test_a_rebill_that_store_credit_pays_whole_asks_nothing_of_the_card() -> None:
    world = World()
    oid = a_subscriber_with(world, "50", **CREDIT, restrict_visa=True)
    assert world.visit(oid).success
    assert world.rebills(oid)[0].money() == 0


def test_a_rebill_that_store_credit_pays_whole_is_told_as_paid_and_earns() -> None:
    world = World()
    oid = a_subscriber_with(world, "50", **CREDIT)
    configure(world.shop, LoyaltyProgram, {"active": True, "points_per_dollar": 1})
    world.house.memory.clear()
    assert world.visit(oid).success
    events = [found[0] for row in world.due("events") if (found := world.shop.events.find(row.subject))]
    assert "order_payment_process" in [happening.name for event in events for happening in event.happenings]
    world.tell_all()
    name = int(world.shop.customers.name_by("email", ADA) or 0)
    assert ledgers.current(world.shop, reward.points_id(name)).balance == 17


def test_each_round_of_a_declined_run_holds_anew_and_what_goes_to_receivables_is_paid_with_credit_too() -> None:
    world = World()
    rules = {"number_of_retries": 2, "delay_between_retries_days": 1, "send_failures_to_accounts_receivable": True}
    oid = a_subscriber_with(world, "10", **CREDIT, **rules)
    put_card(world, oid, NUMBERS["decline"])
    world.travel(3, twice=True)
    assert [row.attempt.plan.spent() for row in world.shop.auto_orders.attempts(oid)] == [10, 10]
    assert credit_of(world) == 10
    nothing_held(world)
    (order_id,) = world.head(oid).state.receivables
    put_first_card(world, order_id, "approve")
    assert isinstance(pay(world.shop, order_id), Approved)
    assert totals(order_of(world, order_id)) == (Decimal("17.95"), 0, 10, Decimal("7.95"))
    assert credit_of(world) == 0


def test_who_only_types_an_address_never_spends_its_owners_store_credit() -> None:
    world = World().open(**CREDIT)
    ada = a_customer_with(world, "10")
    lines = {"items": [{"merchant_item_id": "COFFEE", "quantity": 1, "auto_order_schedule": "Monthly"}]}
    said = lines | {"billing": {"email": ADA, "country_code": "US"}}
    seen: list[Decimal] = []
    for number in range(2):
        more = {"store_credit_token": store_credit_token(world.shop, ada)[0]} if number else {}
        order, _, _ = buy(world.shop, said | more | {"card_token": world.card()}, f"key-{number}", "192.0.2.1")
        more_credit(world, "10")
        assert order.auto_order_oid is not None
        world.clock.go(world.bills_at(order.auto_order_oid))
        assert world.visit(order.auto_order_oid).success
        (rebill,) = world.rebills(order.auto_order_oid)
        seen += [order.store_credit(), rebill.store_credit()]
    assert seen == [0, 0, Decimal("17.95"), Decimal("12.05")], "the merchant's word, and nobody else's"


def test_store_credit_follows_its_owner_into_another_profile() -> None:
    world = World()
    oid = a_subscriber_with(world, "10", **CREDIT)
    name = int(world.shop.customers.name_by("email", ADA) or 0)
    grace = profiles.insert_customer(world.shop, {"email": "grace@example.com"})[0].customer_profile_oid or 0
    gift_certificates.add_store_credit(world.shop, grace, {"amount": 5}, by="bob")
    reward.merge(world.shop, name, grace, by="bob")
    assert world.visit(oid).success
    assert world.rebills(oid)[0].store_credit() == 15
    assert gift_certificates.store_credit(world.shop, grace).available == 0


def test_store_credit_of_a_profile_that_had_none_is_that_of_the_one_it_went_into() -> None:
    world = World().open(**CREDIT)
    name = profiles.insert_customer(world.shop, {"email": ADA})[0].customer_profile_oid or 0
    oid = world.subscribe(MONTHLY)
    grace = profiles.insert_customer(world.shop, {"email": "grace@example.com"})[0].customer_profile_oid or 0
    gift_certificates.add_store_credit(world.shop, grace, {"amount": 5}, by="bob")
    reward.merge(world.shop, name, grace, by="bob")
    world.clock.go(world.bills_at(oid))
    assert world.visit(oid).success
    assert world.rebills(oid)[0].store_credit() == 5


def test_a_cancel_while_nobody_knows_keeps_the_hold_until_it_is_known() -> None:
    stage = Stage("lookup")
    oid = a_subscriber_with(stage, "10", **CREDIT)
    stage.next = "timeout_before_capture"
    stage.visit(oid)
    edit.update(stage.shop, oid, CANCEL)
    stage.visit(oid)
    assert credit_of(stage) == 0
    stage.travel(2, twice=True)
    assert stage.head(oid).attempt is None
    assert credit_of(stage) == 10
    assert stage.rebills(oid) == []
    nothing_held(stage)


def test_a_rebill_whose_credit_is_spent_elsewhere_before_its_claim_is_planned_anew_and_not_for_ever() -> None:
    port = Watched(SqliteTables(), "write")
    world = World(port=port)  # type: ignore[arg-type]  # all else is the tables'
    oid = a_subscriber_with(world, "10", **CREDIT)
    customer = int(world.shop.customers.name_by("email", ADA) or 0)
    less = {"adjustment_amount": -1, "description": "Spent elsewhere"}
    spends = lambda: gift_certificates.adjust(world.shop, customer, less, by="bob")  # noqa: E731
    port.before = lambda name, *changes: spends() if opens_an_attempt(name, *changes) else None
    posts = world.sandbox.posts()
    assert world.visit(oid).failure_reason == BEING_BILLED
    assert (credit_of(world), world.sandbox.posts()) == (7, posts)
    nothing_held(world)
    port.before = once(spends, when=opens_an_attempt)
    assert world.visit(oid).success
    assert totals(world.rebills(oid)[0]) == (Decimal("17.95"), 0, 6, Decimal("11.95"))
    assert credit_of(world) == 0


def test_what_is_canceled_before_store_credit_has_paid_it_whole_is_not_paid() -> None:
    port = Watched(SqliteTables(), "write")
    world = World(port=port)  # type: ignore[arg-type]  # all else is the tables'
    oid = a_subscriber_with(world, "50", **CREDIT)
    port.after = once(lambda: edit.update(world.shop, oid, CANCEL), when=opens_an_attempt)
    assert not world.visit(oid).success
    assert (credit_of(world), world.rebills(oid)) == (50, [])
    assert world.head(oid).attempt is None
    nothing_held(world)


def test_an_attempt_that_is_authorised_again_keeps_its_hold() -> None:
    stage = Stage("full")
    oid = a_subscriber_with(stage, "10", **CREDIT)
    stage.next = "timeout_before_capture"
    stage.visit(oid)
    before = stage.head(oid).attempt
    stage.travel(1, twice=True)
    assert before is not None
    (order,) = stage.rebills(oid)
    assert (order.charge_key, order.store_credit(), credit_of(stage)) == (before.key, 10, 0)
    assert [row.attempt.key for row in stage.shop.auto_orders.attempts(oid)] == []


def test_a_restored_house_looks_back_with_the_hold_in_place() -> None:
    world = World()
    oid = a_subscriber_with(world, "10", **CREDIT)
    world.house.asks_first = True
    assert world.visit(oid).success
    assert credit_of(world) == 0
    nothing_held(world)


# --- given back ------------------------------------------------------------------------------------------------------


def give_back(world: World, order_id: str, total: str, **said: str) -> None:
    named = {name: Currency(amount) for name, amount in said.items()}
    request = Order(summary=OrderSummary(total_refunded=Currency(total), **named))
    wanted = refunds.asked(order_of(world, order_id), request)
    refund.refund(world.shop, order_id, wanted)


def paid_with_all(world: World) -> tuple[str, str]:
    """An order of 17.95, of which a certificate paid 10 and store credit 6. Returns its id and the code."""
    a_customer_with(world, "30")
    code = a_certificate(world, "10")
    return world.order({"COFFEE": None}, **wanting("6"), **paying_with(code)), code


def test_a_refund_gives_money_back_first_then_the_certificate_then_store_credit_each_once() -> None:
    world = World().open()
    order_id, code = paid_with_all(world)
    came: list[tuple[Decimal, ...]] = []
    for total in ("1", "1", "5", "5", "13.95", "17.95", "17.95"):
        give_back(world, order_id, total)
        back = sum((one.amount for one in world.sandbox.refunds()), Decimal(0))
        came.append((back, balance_of(world, code), credit_of(world)))
    rest = Decimal("1.95")
    assert came == [
        (1, 0, 24),
        (1, 0, 24),
        (rest, Decimal("3.05"), 24),
        (rest, Decimal("3.05"), 24),
        (rest, 10, 26),
        (rest, 10, 30),
        (rest, 10, 30),
    ]
    order = order_of(world, order_id)
    assert order.payment is not None
    assert (order.payment.payment_status, order.store_credit_refunded()) == ("Refunded", 6)
    with pytest.raises(Invalid, match="at most"):
        give_back(world, order_id, "18")
    nothing_held(world)


def test_a_refund_that_names_store_credit_gives_it_there() -> None:
    world = World().open()
    order_id, code = paid_with_all(world)
    give_back(world, order_id, "5", internal_gift_certificate_refunded="5")
    assert (balance_of(world, code), credit_of(world), world.taken()) == (0, 29, Decimal("1.95"))
    for total, credit in (("6", "7"), ("6", "4"), ("5.50", "6")):
        with pytest.raises(Invalid):
            give_back(world, order_id, total, internal_gift_certificate_refunded=credit)
    give_back(world, order_id, "17.95")
    assert (balance_of(world, code), credit_of(world)) == (10, 30)


def test_two_refunds_at_once_give_back_once() -> None:
    port = Watched(SqliteTables(), "write")
    world = World(port=port).open()  # type: ignore[arg-type]  # all else is the tables'
    order_id, code = paid_with_all(world)
    port.before = once(lambda: give_back(world, order_id, "17.95"), when=lambda name, *changes: len(changes) == 1)
    give_back(world, order_id, "17.95")
    assert (balance_of(world, code), credit_of(world)) == (10, 30)
    assert sum(one.amount for one in world.sandbox.refunds()) == Decimal("1.95")


def test_store_credit_that_comes_back_lasts_as_long_as_what_is_earned_now() -> None:
    world = World().open()
    configure(world.shop, LoyaltyProgram, {"active": True, "expiration_days": 30})
    a_customer_with(world, "6", expiration_days=2)
    order_id = world.order({"TEA": None}, **wanting("6"))
    world.clock.pass_(days=10)
    give_back(world, order_id, "9.50")
    assert credit_of(world) == 6
    world.clock.pass_(days=31)
    assert credit_of(world) == 0


# --- coupons ---------------------------------------------------------------------------------------------------------


def a_coupon(world: World, **said: Any) -> str:
    raw = {"merchant_code": "TEN", "percent_off_subtotal": {"discount_percent": 10}, **said}
    return insert_coupon(world.shop, raw)[0].code()


def with_coupon(code: str = "TEN") -> dict[str, Any]:
    return {"coupons": [OrderCoupon(coupon_code=code)]}


def refused_coupon(act: Any) -> str:
    with pytest.raises(Invalid) as refused:
        act()
    (problem,) = refused.value.problems
    assert problem.pointer == "/coupons/0/coupon_code"
    return problem.code


@pytest.mark.parametrize(
    ("said", "code"), [({"usable_by": "OncePerCustomer"}, "coupon_used_up"), ({"maximum_uses": 1}, "coupon_exhausted")]
)
def test_a_coupon_is_used_as_often_as_it_may_be_and_by_what_was_paid(said: dict[str, Any], code: str) -> None:
    world = World().open()
    a_coupon(world, **said)
    first, second, third = (world.place({"TEA": None}, **with_coupon()) for _ in range(3))
    put_first_card(world, first, "decline")
    assert isinstance(pay(world.shop, first), Declined)
    assert isinstance(pay(world.shop, second), Approved), "the declined one gave its use back"
    assert refused_coupon(lambda: pay(world.shop, third)) == "coupon_used_up"
    assert refused_coupon(lambda: world.place({"TEA": None}, **with_coupon("ten"))) == code
    assert len(world.sandbox.captures()) == 1


def test_a_coupon_that_was_used_on_the_first_order_goes_on_on_its_rebills() -> None:
    world = World().open()
    a_coupon(world, usable_by="OncePerCustomer", maximum_uses=1)
    order_id = world.order(MONTHLY, **with_coupon())
    oid = world.shop.auto_orders.oid_by_original_order(order_id)
    assert oid is not None
    world.travel(70, twice=True)
    assert [order.total() for order in world.rebills(oid)] == [Decimal("16.15")] * 2


def test_another_customer_may_use_what_one_has_used_once() -> None:
    world = World().open()
    a_coupon(world, usable_by="OncePerCustomer")
    world.order({"TEA": None}, **with_coupon())
    order = Order(
        items=[OrderItem(merchant_item_id="TEA", quantity=Decimal(1))],
        billing=OrderBilling(email="grace@example.com", country_code="US", postal_code="10001"),
        payment=OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=world.card())),
        **with_coupon(),
    )
    kept = place_order.place(world.shop, order, by_shopper=False)
    assert isinstance(pay(world.shop, kept.noun.order_id or ""), Approved)


def test_two_orders_that_race_for_the_last_use_pay_one_with_it() -> None:
    port = Watched(SqliteTables(), "write")
    world = World(port=port).open()  # type: ignore[arg-type]  # all else is the tables'
    a_coupon(world, maximum_uses=2)
    world.order({"TEA": None}, **with_coupon())
    first, second = (world.place({"TEA": None}, **with_coupon()) for _ in range(2))
    port.before = once(lambda: pay(world.shop, second), when=opens_an_attempt)
    assert refused_coupon(lambda: pay(world.shop, first)) == "coupon_used_up"
    assert len(world.sandbox.captures()) == 2


@pytest.mark.parametrize("captured", [True, False])
def test_a_use_stays_taken_while_nobody_knows_whether_it_was_paid(captured: bool) -> None:
    stage = Stage("lookup").open()
    a_coupon(stage, maximum_uses=1, usable_by="OncePerCustomer")
    stage.next = "timeout_after_capture" if captured else "timeout_before_capture"
    stage.order({"TEA": None}, **with_coupon())
    refused_coupon(lambda: stage.place({"TEA": None}, **with_coupon()))
    stage.travel(2, twice=True)
    if captured:
        refused_coupon(lambda: stage.place({"TEA": None}, **with_coupon()))
    else:
        assert isinstance(pay(stage.shop, stage.place({"TEA": None}, **with_coupon())), Approved)


def a_reward(world: World, **coupon: Any) -> str:
    """A customer's points become a code for one order. Returns the code."""
    a_coupon(world, **coupon)
    reward_ = {"loyalty_reward_id": "TEN", "points": 5, "reward_type": "coupon", "coupon_code": "ten", "active": True}
    configure(world.shop, LoyaltyProgram, {"active": True, "signup_points": 20, "rewards": [reward_]})
    world.house.memory.clear()
    oid = a_customer_with(world, "1")
    world.tell_all()
    return str(reward.redeem(world.shop, oid, {"loyalty_reward_id": "TEN"}, by="bob", key="k").coupon_code)


def test_a_reward_that_is_a_coupon_is_used_for_one_order_and_not_on_its_rebills() -> None:
    world = World().open()
    code = a_reward(world, usable_by="UniqueCode")
    name = int(world.shop.customers.name_by("email", ADA) or 0)
    again = reward.redeem(world.shop, name, {"loyalty_reward_id": "TEN"}, by="bob", key="k")
    assert again.coupon_code == code
    (shown,) = reward.of_customer(world.shop, name).redemptions or []
    assert (shown.coupon_code, shown.coupon_used, shown.gift_certificate_code) == (code, False, None)
    assert refused_coupon(lambda: world.place({"TEA": None}, **with_coupon("TEN"))) == "coupon_unique_code"
    first, second = (world.place(MONTHLY, **with_coupon(code.lower())) for _ in range(2))
    assert isinstance(pay(world.shop, first), Approved)
    assert refused_coupon(lambda: pay(world.shop, second)) == "coupon_used_up"
    assert refused_coupon(lambda: world.place({"TEA": None}, **with_coupon(code))) == "coupon_exhausted"
    order = order_of(world, first)
    assert order.total() == Decimal("16.15")
    assert order.coupons == [OrderCoupon(base_coupon_code="TEN", coupon_code=code)]
    (shown,) = reward.of_customer(world.shop, name).redemptions or []
    assert shown.coupon_used
    oid = world.shop.auto_orders.oid_by_original_order(first)
    assert oid is not None
    world.travel(40, twice=True)
    assert [one.total() for one in world.rebills(oid)] == [Decimal("17.95")]


def test_a_reward_whose_coupon_is_gone_takes_no_points() -> None:
    world = World().open()
    a_reward(world)
    delete_coupon(world.shop, world.shop.coupons.get("TEN").noun.coupon_oid or 0)
    name = int(world.shop.customers.name_by("email", ADA) or 0)
    with pytest.raises(Invalid, match="not there any more"):
        reward.redeem(world.shop, name, {"loyalty_reward_id": "TEN"}, by="bob", key="other")
    assert reward.of_customer(world.shop, name).current_points == 15


def test_codes_for_one_order_end_when_they_say_so() -> None:
    world = World().open()
    a_coupon(world)
    asked = {"quantity": 3, "expiration_seconds": 60, "prefix": "may-"}
    codes, _ = generate(world.shop, world.shop.coupons.get("TEN").noun, asked)
    assert len(set(codes)) == 3
    assert all(code.startswith("MAY-") for code in codes)
    assert isinstance(pay(world.shop, world.place({"TEA": None}, **with_coupon(codes[0]))), Approved)
    world.clock.pass_(seconds=60)
    assert refused_coupon(lambda: world.place({"TEA": None}, **with_coupon(codes[1]))) == "coupon_expired"


# --- crowds and chance -----------------------------------------------------------------------------------------------


def test_a_crowd_that_pays_with_one_certificate_and_one_coupon_never_spends_more_than_there_is(tmp_path: Path) -> None:
    world = World(port=SqliteTables(tmp_path / "shop.sqlite")).open()
    code = a_certificate(world, "100")
    a_coupon(world, maximum_uses=20)
    ids = [world.place({"TEA": None}, **paying_with(code), **with_coupon()) for _ in range(40)]

    def pays(order_id: str) -> None:
        shop = world.house.open_shop("DEMO")
        for _ in range(100):
            with suppress(Contended):
                with suppress(Invalid):
                    pay(shop, order_id)
                return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pays, ids))
    orders = [order_of(world, order_id) for order_id in ids]
    paid = [order for order in orders if order.payment and order.payment.payment_status == "Processed"]
    assert len(paid) == 20
    assert sum(order.certificate_amount() for order in paid) == 100 - balance_of(world, code) == 100
    assert sum(order.money() for order in paid) == world.taken()
    nothing_held(world)


@settings(max_examples=60, deadline=None)
@given(
    cents=st.integers(1, 3000),
    credit=st.integers(0, 3000),
    wanted=st.integers(0, 3000),
    back=st.lists(st.integers(0, 1795), max_size=4),
)
def test_certificate_credit_and_money_add_up_to_the_total_and_come_back_to_what_they_were(
    cents: int, credit: int, wanted: int, back: list[int]
) -> None:
    world = World().open()
    code = a_certificate(world, f"{cents / 100:.2f}")
    more: dict[str, Any] = {}
    if credit:
        a_customer_with(world, f"{credit / 100:.2f}")
        more = wanting(f"{min(wanted, credit) / 100:.2f}")
    order_id = world.order({"COFFEE": None}, **paying_with(code), **more)
    order = order_of(world, order_id)
    total, certificate, own, money = totals(order)
    assert certificate + own + money == total == order.paid()
    assert min(certificate, own, money) >= 0
    assert world.taken() == money
    assert (balance_of(world, code), credit_of(world) if credit else 0) == (
        Decimal(cents) / 100 - certificate,
        Decimal(credit) / 100 - own,
    )
    for one in [*sorted(back), 1795]:
        give_back(world, order_id, f"{one / 100:.2f}")
        stands = order_of(world, order_id)
        returned = sum((one.amount for one in world.sandbox.refunds()), Decimal(0))
        assert returned + stands.certificate_refunded() + stands.store_credit_refunded() == Decimal(one) / 100
    assert balance_of(world, code) == Decimal(cents) / 100
    assert not credit or credit_of(world) == Decimal(credit) / 100
    nothing_held(world)
