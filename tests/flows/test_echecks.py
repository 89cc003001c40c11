"""E-checks: accepted today, settled or returned days later; presented again only as the clearing house allows."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain.errors import Invalid
from chalicelib.domain.orders import Order, OrderBilling, OrderItem, OrderPayment, OrderPaymentECheck
from chalicelib.domain.payments import Pending
from chalicelib.domain.storefront import BankAccountRequest
from chalicelib.flows import place_order
from chalicelib.flows.purchase import pay
from chalicelib.gateways.sandbox import PROFILES
from tests.worlds import World

ABA = "021000021"
GOOD, POOR, CLOSED = "000123456789", "000111111113", "000111111116"


def place(world: World, account: str = GOOD, schedule: Any = "Monthly", **said: Any) -> str:
    request = BankAccountRequest(bank_aba_code=ABA, bank_account_number=account, bank_account_name="Ada Byron")
    token, _ = place_order.bank_account_token(world.shop, request)
    order = Order(
        items=[OrderItem(merchant_item_id="COFFEE", quantity=Decimal(1), auto_order_schedule=schedule)],
        billing=OrderBilling(email="ada@example.com", country_code="US", postal_code="10001"),
        payment=OrderPayment(payment_method="eCheck", echeck=OrderPaymentECheck(bank_account_token=token)),
        **said,
    )
    return place_order.place(world.shop, order, by_shopper=False).noun.order_id or ""


def a_subscriber(world: World) -> int:
    order_id = place(world)
    assert isinstance(pay(world.shop, order_id), Pending)
    world.travel(3, twice=True)
    return world.shop.auto_orders.oid_by_original_order(order_id) or 0


def put_account(world: World, oid: int, account: str) -> None:
    shop = world.shop
    original = shop.orders.get(world.document(oid).original_order_id or "")
    assert original.noun.payment is not None
    assert original.noun.payment.echeck is not None
    original.noun.payment.echeck.stored_account = world.sandbox.tokenise_account(ABA, account)
    shop.write(shop.orders.edited(original.noun, original.version))


def test_an_e_check_begins_its_auto_order_when_it_is_settled_and_rebills_wait_for_theirs() -> None:
    world = World().open()
    oid = a_subscriber(world)
    order = world.shop.orders.get(world.document(oid).original_order_id or "").noun
    assert order.payment is not None
    assert order.payment.echeck is not None
    assert order.payment.echeck.bank_account_number == "XXXXXXXXXXXX6789"
    world.travel(60, twice=True)
    assert len(world.rebills(oid)) == 2
    world.check(oid)


def test_what_is_returned_for_lack_of_funds_is_presented_twice_more_and_no_oftener() -> None:
    world = World().open(number_of_retries=10, delay_between_retries_days=1)
    oid = a_subscriber(world)
    put_account(world, oid, POOR)
    world.travel(60, twice=True)
    head = world.head(oid)
    assert (head.status, head.round) == ("disabled", 3)
    assert [row.code for row in world.shop.auto_orders.attempts(oid)] == ["R01", "R01", "R01"]
    assert len({row.attempt.plan.total for row in world.shop.auto_orders.attempts(oid)}) == 1


def test_any_other_return_is_final() -> None:
    world = World().open(number_of_retries=10, delay_between_retries_days=1)
    oid = a_subscriber(world)
    put_account(world, oid, CLOSED)
    world.travel(40, twice=True)
    head = world.head(oid)
    assert (head.status, head.round, head.state.refused_card is not None) == ("disabled", 1, True)


def test_prohibited_e_checks_are_refused_for_auto_orders_and_taken_for_others() -> None:
    world = World().open(prohibit_echecks=True)
    with pytest.raises(Invalid, match="not accepted for auto orders"):
        place(world)
    assert place(world, schedule=None)


def test_a_rebill_by_e_check_fails_once_they_are_prohibited() -> None:
    world = World().open()
    oid = a_subscriber(world)
    world.rules(prohibit_echecks=True, number_of_retries=1)
    world.travel(40)
    assert world.rebills(oid) == []
    assert world.head(oid).state.failure_reason == "E-checks are not accepted for auto orders."


def test_a_routing_number_with_a_wrong_check_digit_is_refused() -> None:
    request = BankAccountRequest(bank_aba_code="021000022", bank_account_number=GOOD, bank_account_name="Ada")
    with pytest.raises(Invalid, match="check digit"):
        place_order.bank_account_token(World().open().shop, request)


def test_a_gateway_that_debits_no_accounts_says_so() -> None:
    world = World(capabilities=replace(PROFILES["full"], echecks=False)).open()
    request = BankAccountRequest(bank_aba_code=ABA, bank_account_number=GOOD, bank_account_name="Ada")
    with pytest.raises(Invalid, match="debits no bank accounts"):
        place_order.bank_account_token(world.shop, request)


def test_the_token_of_a_card_is_no_token_of_an_account_nor_the_other_way_round() -> None:
    world = World().open()
    order = Order(
        items=[OrderItem(merchant_item_id="COFFEE", quantity=Decimal(1))],
        payment=OrderPayment(payment_method="eCheck", echeck=OrderPaymentECheck(bank_account_token=world.card())),
    )
    with pytest.raises(Invalid, match="no token of a bank account"):
        place_order.place(world.shop, order, by_shopper=False)


def test_an_account_number_shows_in_no_text_of_its_request() -> None:
    request = BankAccountRequest(bank_aba_code=ABA, bank_account_number=GOOD, bank_account_name="Ada")
    assert GOOD not in repr(request)
    assert GOOD not in str(request)
