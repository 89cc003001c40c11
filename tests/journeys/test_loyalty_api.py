"""Loyalty, store credit, all eight calls of GiftCertificateApi, and paying with them, by the unmodified SDK."""

import json
from http.client import HTTPConnection
from typing import Any

import pytest
from ultracart.apis import CouponApi, CustomerApi, GiftCertificateApi, ItemApi, OrderApi
from ultracart.exceptions import ApiException
from ultracart.models import (
    AdjustInternalCertificateRequest,
    AdjustLoyaltyPointsRequest,
    Coupon,
    CouponCodesRequest,
    CouponPercentOffSubtotal,
    Currency,
    Customer,
    CustomerStoreCreditAddRequest,
    GiftCertificateCreateRequest,
    GiftCertificateLedgerEntry,
    GiftCertificateQuery,
    Item,
    ItemAutoOrder,
    ItemPricing,
    Order,
    OrderBilling,
    OrderGiftCertificate,
    OrderItem,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderProcessPaymentRequest,
    OrderSummary,
)

from tests.running import PATIENCE, Running


@pytest.fixture(scope="module")
def customers(client: Any) -> Any:
    return CustomerApi(client)


@pytest.fixture(scope="module")
def certificates(client: Any) -> Any:
    return GiftCertificateApi(client)


def ask(shop: Running, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """A call that the official clients do not have."""
    connection = HTTPConnection("127.0.0.1", shop.port, timeout=PATIENCE)
    text = None if body is None else json.dumps(body)
    connection.request(method, f"/rest/v2{path}", text, {"x-ultracart-simple-key": shop.key})
    answer = connection.getresponse()
    found = answer.read()
    connection.close()
    return answer.status, json.loads(found) if found else None


def refused(act: Any) -> str:
    with pytest.raises(ApiException) as error:
        act()
    assert error.value.status in (400, 404)
    return str(error.value.body)


def test_loyalty_by_the_official_client(shop: Running, customers: Any) -> None:
    oid = customers.insert_customer(Customer(email="ada@example.com")).customer.customer_profile_oid
    fifty = AdjustLoyaltyPointsRequest(loyalty_points=50, description="Goodwill")
    assert "Loyalty is not available" in refused(lambda: customers.adjust_loyalty_points(oid, fifty))
    assert "Loyalty is not available" in refused(lambda: customers.get_customer_loyalty(oid))

    reward = {"loyalty_reward_id": "FIVE", "points": 30, "amount": 5, "active": True, "expiration_days": 90}
    program = {"active": True, "points_per_dollar": 1, "vesting_days": 14, "rewards": [reward]}
    assert ask(shop, "PUT", "/configuration/loyalty_program", program)[0] == 200
    answer = customers.adjust_loyalty_points(oid, fifty)
    assert (answer.current_points, answer.pending_points, answer.loyalty_points) == (0, 50, 50)
    now = AdjustLoyaltyPointsRequest(loyalty_points=40, description="Goodwill", vesting_days=0)
    assert customers.adjust_loyalty_points(oid, now).current_points == 40
    assert "loyalty_points" in refused(
        lambda: customers.adjust_loyalty_points(oid, AdjustLoyaltyPointsRequest(loyalty_points=0, description="x"))
    )

    status, redeemed = ask(
        shop, "POST", f"/customer/customers/{oid}/loyalty/redemptions", {"loyalty_reward_id": "FIVE"}
    )
    assert status == 200
    loyalty = customers.get_customer_loyalty(oid).customer_loyalty
    assert (loyalty.current_points, loyalty.pending_points) == (10, 50)
    assert loyalty.internal_gift_certificate_balance == "0.00"
    assert [entry.loyalty_points for entry in loyalty.ledger_entries] == [40, -30, 50]
    assert loyalty.ledger_entries[2].vesting_dts
    assert loyalty.ledger_entries[0].created_by
    assert loyalty.redemptions[0].remaining_balance == 5
    code = redeemed["customer_loyalty_redemption"]["gift_certificate_code"]
    assert loyalty.redemptions[0].gift_certificate_code == code
    assert refused(lambda: customers.get_customer_loyalty(999))


def test_the_ledgers_as_the_editor_shows_them(shop: Running, customers: Any) -> None:
    ask(shop, "PUT", "/configuration/loyalty_program", {"active": True, "expiration_days": 60, "vesting_days": 14})
    oid = customers.insert_customer(Customer(email="grace@example.com")).customer.customer_profile_oid
    one = f"/customer/customers/{oid}/loyalty"
    entry = {"type": "Credit", "description": "Goodwill", "loyalty_points": 25, "notes": "parcel was late"}
    status, rehearsed = ask(shop, "POST", f"{one}/ledger_entries?dry_run=true", entry)
    assert (status, rehearsed["loyalty_balance"]["current_points"], rehearsed["loyalty_balance"]["saved"]) == (
        200,
        25,
        False,
    )
    assert ask(shop, "GET", f"{one}/past_ledger")[1]["past_ledger"] == []
    for _ in range(3):
        assert ask(shop, "POST", f"{one}/ledger_entries", entry)[0] == 200
    status, page = ask(shop, "GET", f"{one}/past_ledger?_limit=2")
    assert [(line["balance"], line["type"]) for line in page["past_ledger"]] == [(75, "Credit"), (50, "Credit")]
    assert page["past_ledger"][0]["notes"] == "parcel was late"
    status, page = ask(shop, "GET", f"{one}/past_ledger?_limit=2&cursor={page['next_cursor']}")
    assert [line["balance"] for line in page["past_ledger"]] == [25]

    customers.adjust_loyalty_points(oid, AdjustLoyaltyPointsRequest(loyalty_points=5, description="Review"))
    status, future = ask(shop, "GET", f"{one}/future_ledger")
    assert [(line["type"], line["loyalty_points"], line["status"]) for line in future["future_ledger"]] == [
        ("Pending Earn", 5, "Pending"),
        ("Expiration", -75, "Scheduled"),
    ]
    number = future["future_ledger"][0]["loyalty_ledger_oid"]
    status, answer = ask(shop, "DELETE", f"{one}/future_ledger/{number}")
    assert (status, answer["loyalty_balance"]["pending_points"]) == (200, 0)
    assert ask(shop, "GET", f"{one}/verification")[1]["verified"] is True
    status, answer = ask(shop, "POST", f"{one}/ledger_entries", {"type": "Debit", "loyalty_points": 1.5})
    assert {problem["pointer"] for problem in answer["problems"]} == {"/description", "/loyalty_points"}


def test_store_credit_and_cashback_are_one_certificate_by_the_official_client(
    customers: Any, certificates: Any
) -> None:
    oid = customers.insert_customer(Customer(email="joan@example.com")).customer.customer_profile_oid
    assert customers.get_customer_store_credit(oid).customer_store_credit.total == 0
    add = CustomerStoreCreditAddRequest(amount=12.5, description="Sorry", vesting_days=0, expiration_days=20)
    assert customers.add_customer_store_credit(oid, add).success
    later = CustomerStoreCreditAddRequest(amount=3.0, description="Sorry", vesting_days=5)
    customers.add_customer_store_credit(oid, later)
    answer = customers.adjust_internal_certificate(
        oid, AdjustInternalCertificateRequest(adjustment_amount=-2.25, description="Correction")
    )
    assert (answer.adjustment_amount, answer.balance_amount) == (-2.25, 10.25)
    credit = customers.get_customer_store_credit(oid).customer_store_credit
    assert (credit.available, credit.vesting, credit.expiring, credit.total) == (10.25, 3, 10.25, 12.5)
    assert [line.amount for line in credit.past_ledgers] == [12.5, -2.25]
    assert sorted(line.action for line in credit.future_ledgers) == ["Expiring", "Vesting"]
    found = certificates.get_gift_certificate_by_oid(credit.past_ledgers[0].gift_certificate_oid).gift_certificate
    assert (found.internal, found.customer_profile_oid, found.remaining_balance) == (True, oid, 10.25)
    assert "not_enough" in refused(
        lambda: customers.adjust_internal_certificate(
            oid, AdjustInternalCertificateRequest(adjustment_amount=-99.0, description="x")
        )
    )


def test_all_eight_calls_about_gift_certificates(certificates: Any) -> None:
    asked = GiftCertificateCreateRequest(
        amount=25.0,
        email="Ada@example.com",
        expiration_dts="2037-01-01T00:00:00-05:00",
        initial_ledger_description="Birthday",
        merchant_note="from the raffle",
    )
    made = certificates.create_gift_certificate(asked).gift_certificate
    oid, code = made.gift_certificate_oid, made.code
    assert (made.original_balance, made.remaining_balance, made.activated, len(code)) == (25, 25, True, 16)

    entry = GiftCertificateLedgerEntry(amount=-10.0, description="Used in the shop")
    assert certificates.add_gift_certificate_ledger_entry(oid, entry).gift_certificate.remaining_balance == 15
    too_much = GiftCertificateLedgerEntry(amount=-15.01, description="Used in the shop")
    assert "not_enough" in refused(lambda: certificates.add_gift_certificate_ledger_entry(oid, too_much))

    found = certificates.get_gift_certificate_by_oid(oid).gift_certificate
    assert [line.amount for line in found.ledger_entries] == [25, -10]
    dashed = "-".join(code[at : at + 4] for at in range(0, 16, 4)).lower()
    assert certificates.get_gift_certificate_by_code(dashed).gift_certificate.gift_certificate_oid == oid
    by_email = certificates.get_gift_certificates_by_email("ada@example.com").gift_certificates
    assert oid in [one.gift_certificate_oid for one in by_email]

    query = GiftCertificateQuery(remaining_balance_start=14.0, remaining_balance_end=16.0)
    answer = certificates.get_gift_certificates_by_query(query)
    assert [one.gift_certificate_oid for one in answer.gift_certificates] == [oid]
    assert answer.metadata.result_set.total_records == 1
    assert certificates.get_gift_certificates_by_query(GiftCertificateQuery(code=code)).gift_certificates
    assert not certificates.get_gift_certificates_by_query(GiftCertificateQuery(code="NONE")).gift_certificates

    # As the client got it, with one thing changed.
    found.merchant_note = "paid out"
    assert certificates.update_gift_certificate(oid, found).gift_certificate.merchant_note == "paid out"
    found.remaining_balance = 99.0
    assert "/remaining_balance" in refused(lambda: certificates.update_gift_certificate(oid, found))

    assert certificates.delete_gift_certificate(oid) is None
    assert certificates.get_gift_certificate_by_oid(oid).gift_certificate.deleted
    more = GiftCertificateLedgerEntry(amount=1.0, description="x")
    assert "deleted" in refused(lambda: certificates.add_gift_certificate_ledger_entry(oid, more))
    assert not certificates.get_gift_certificates_by_email("ada@example.com").gift_certificates[1:]


def a_card(shop: Running) -> str:
    connection = HTTPConnection("127.0.0.1", shop.port, timeout=PATIENCE)
    card = {"card_number": "4111111111111111", "card_expiration_month": 12, "card_expiration_year": 2040}
    headers = {"x-ultracart-browser-key": shop.browser_key, "Content-Type": "application/json"}
    connection.request("POST", "/storefront/card_tokens", json.dumps(card), headers)
    token = json.loads(connection.getresponse().read())["card_token"]
    connection.close()
    return str(token)


def test_orders_and_rebills_are_paid_with_balances_by_the_official_client(
    shop: Running, client: Any, customers: Any, certificates: Any
) -> None:
    orders, email = OrderApi(client), "mary@example.com"
    tab = ItemAutoOrder(auto_orderable=True, auto_order_schedules=["Monthly"])
    pricing = ItemPricing(cost=20.0)
    ItemApi(client).insert_item(Item(merchant_item_id="TEA", pricing=pricing, auto_order=tab))
    oid = customers.insert_customer(Customer(email=email)).customer.customer_profile_oid
    customers.add_customer_store_credit(oid, CustomerStoreCreditAddRequest(amount=30.0, description="Sorry"))
    made = certificates.create_gift_certificate(GiftCertificateCreateRequest(amount=5.0)).gift_certificate
    status, _ = ask(shop, "PUT", "/configuration/auto_order_processing", {"use_store_credit_for_rebills": True})
    assert status == 200

    def wanted(credit: float) -> Any:
        return Order(
            billing=OrderBilling(email=email, country_code="US", postal_code="10001"),
            items=[OrderItem(merchant_item_id="TEA", quantity=1.0, auto_order_schedule="Monthly")],
            gift_certificate=OrderGiftCertificate(gift_certificate_code=made.code.lower()),
            summary=OrderSummary(internal_gift_certificate_amount=Currency(value=credit)),
            payment=OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=a_card(shop))),
        )

    assert "/summary/internal_gift_certificate_amount" in refused(lambda: orders.insert_order(wanted(30.5)))
    shown = "payment,payment.transaction,summary,gift_certificate"
    order = orders.insert_order(wanted(4.0), expand=shown).order
    assert order.payment.payment_status == "Unprocessed"
    assert order.gift_certificate.gift_certificate_amount.value == 5
    assert orders.process_payment(order.order_id, OrderProcessPaymentRequest()).success
    paid = orders.get_order(order.order_id, expand=shown).order
    assert (paid.summary.total.value, paid.summary.internal_gift_certificate_amount.value) == (20, 4)
    assert (paid.gift_certificate.gift_certificate_oid, paid.gift_certificate.gift_certificate_code) == (
        made.gift_certificate_oid,
        made.code,
    )
    details = {detail.name: detail.value for detail in paid.payment.transactions[0].details}
    assert details["Amount"] == "11.00"
    used = certificates.get_gift_certificate_by_oid(made.gift_certificate_oid).gift_certificate
    assert (used.remaining_balance, used.ledger_entries[-1].reference_order_id) == (0, order.order_id)

    status, _ = ask(shop, "POST", "/configuration/test_clock", {"advance_days": 62})
    assert status == 200
    rebills = [orders.get_order(f"{order.order_id}-{run:03d}", expand="summary").order for run in (1, 2)]
    assert [rebill.summary.internal_gift_certificate_amount.value for rebill in rebills] == [20, 6]
    assert customers.get_customer_store_credit(oid).customer_store_credit.available == 0

    for _ in range(2):
        back = orders.refund_order(order.order_id, Order(summary=OrderSummary(total_refunded=Currency(value=20.0))))
    assert back.order.order_id == order.order_id
    after = orders.get_order(order.order_id, expand=shown).order
    assert (after.payment.payment_status, after.summary.internal_gift_certificate_refunded.value) == ("Refunded", 4)
    assert customers.get_customer_store_credit(oid).customer_store_credit.available == 4
    assert certificates.get_gift_certificate_by_oid(made.gift_certificate_oid).gift_certificate.remaining_balance == 5


def test_codes_for_one_order_by_the_official_client(client: Any) -> None:
    coupons = CouponApi(client)
    off = CouponPercentOffSubtotal(discount_percent=10.0)
    made = coupons.insert_coupon(Coupon(merchant_code="BASE", percent_off_subtotal=off, usable_by="UniqueCode")).coupon
    codes = coupons.generate_coupon_codes(made.coupon_oid, CouponCodesRequest(quantity=2)).coupon_codes
    ends = CouponCodesRequest(quantity=1, expiration_dts="2037-01-01T00:00:00-05:00")
    answer = coupons.generate_one_time_codes_by_merchant_code("BASE", ends)
    assert len({*codes, *answer.coupon_codes}) == 3
    assert answer.expiration_dts.startswith("2037-01-01")
    assert "quantity" in refused(
        lambda: coupons.generate_coupon_codes(made.coupon_oid, CouponCodesRequest(quantity=101))
    )
