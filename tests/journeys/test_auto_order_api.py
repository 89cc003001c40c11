"""All twenty calls of the unmodified official SDK's AutoOrderApi against the running shop: it reads each reply."""

import json
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import ultracart
from ultracart.apis import AutoOrderApi, ItemApi, OrderApi
from ultracart.exceptions import ApiException
from ultracart.models import (
    AutoOrder,
    AutoOrderAddonItem,
    AutoOrderAddonItemsUpdateRequest,
    AutoOrderConsolidate,
    AutoOrderItem,
    AutoOrderItemCancelRequest,
    AutoOrderItemOption,
    AutoOrderPaymentUpdateRequest,
    AutoOrderPropertiesUpdateRequest,
    AutoOrderProperty,
    AutoOrderQuery,
    AutoOrderQueryBatch,
    AutoOrdersRequest,
    Item,
    ItemAutoOrder,
    ItemPricing,
    Order,
    OrderAssignToAffiliateRequest,
    OrderBilling,
    OrderItem,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderProcessPaymentRequest,
    OrderShipping,
)

from tests.running import PATIENCE, Running

GOOD, OTHER, DECLINES = "4111111111111111", "5555555555554444", "4000000000000002"
# Every expansion of an auto order, and some of the orders' inside.
EVERYTHING = (
    "items,items.future_schedules,items.sample_schedule,items.properties,items.options,original_order,"
    "original_order.auto_order,original_order.billing,original_order.checkout,original_order.coupon,"
    "original_order.item,original_order.payment,original_order.payment.transaction,original_order.shipping,"
    "original_order.summary,original_order.taxes,rebill_orders,rebill_orders.item,rebill_orders.payment,"
    "rebill_orders.payment.transaction,rebill_orders.summary,logs,properties,add_ons,emails,management"
)


@pytest.fixture(scope="module")
def client(client: Any) -> Any:
    """The client of a shop that sells tea and coffee."""
    tab = ItemAutoOrder(auto_orderable=True, auto_order_schedules=["Weekly", "Monthly"])
    for name, cost in (("TEA", 9.5), ("COFFEE", 17.95)):
        ItemApi(client).insert_item(Item(merchant_item_id=name, pricing=ItemPricing(cost=cost), auto_order=tab))
    return client


@pytest.fixture(scope="module")
def api(client: Any) -> Any:
    return AutoOrderApi(client)


@pytest.fixture
def bought(shop: Running, client: Any) -> "Shopper":
    return Shopper(shop, client)


class Shopper:
    """Buys. Each call is another order; all are one customer's, whose name is the test's."""

    def __init__(self, shop: Running, client: Any) -> None:
        self.shop, self.client = shop, client

    def token(self, number: str = GOOD) -> str:
        card = {"card_number": number, "card_expiration_month": 12, "card_expiration_year": 2040}
        connection = HTTPConnection("127.0.0.1", self.shop.port, timeout=PATIENCE)
        connection.request(
            "POST", "/storefront/card_tokens", json.dumps(card), {"x-ultracart-browser-key": self.shop.browser_key}
        )
        token: str = json.loads(connection.getresponse().read())["card_token"]
        connection.close()
        return token

    def order(self, schedule: str | None = "Monthly", *, item: str = "TEA", last_name: str = "Byron") -> str:
        """A paid order. Returns its id."""
        line = OrderItem(merchant_item_id=item, quantity=1.0)
        if schedule:
            line.auto_order_schedule = schedule
        address = {"first_name": "Ada", "last_name": last_name, "country_code": "US", "postal_code": "10001"}
        payment = OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=self.token()))
        order = Order(
            items=[line],
            billing=OrderBilling(email="ada@example.com", city="Duluth", day_phone="678-555-0100", **address),
            shipping=OrderShipping(**address),
            payment=payment,
        )
        orders = OrderApi(self.client)
        order_id: str = orders.insert_order(order).order.order_id
        orders.process_payment(order_id, OrderProcessPaymentRequest())
        return order_id

    def subscription(self, schedule: str = "Monthly", **more: Any) -> Any:
        return AutoOrderApi(self.client).get_auto_order_by_reference_order_id(self.order(schedule, **more)).auto_order

    def travel(self, days: int) -> None:
        path = "/rest/v2/configuration/test_clock"
        status, answer = self.shop.ask("POST", path, {"advance_days": days})
        assert status == 200, answer


def refusal(call: Any) -> dict[str, str]:
    """Pointer to code of every problem, out of the SDK's exception."""
    with pytest.raises(ApiException) as refused:
        call()
    assert refused.value.status == 400
    body = json.loads(refused.value.body)
    assert refused.value.headers["UC-REST-ERROR"]
    return {problem["pointer"]: problem["code"] for problem in body["problems"]}


def test_the_contract_has_these_twenty_calls_and_each_is_made_below() -> None:
    calls = {
        name.removesuffix("_endpoint") for name in vars(AutoOrderApi(ultracart.ApiClient())) if "_endpoint" in name
    }
    assert len(calls) == 20
    made = Path(__file__).read_text()
    assert {name for name in calls if f"api.{name}(" in made} == calls


def test_one_is_read_by_oid_code_and_original_order_with_everything_that_can_be_shown(
    api: Any, bought: Shopper
) -> None:
    order_id = bought.order("Weekly")
    oid = api.get_auto_order_by_reference_order_id(order_id).auto_order.auto_order_oid
    bought.travel(8)
    whole = api.get_auto_order(oid, expand=EVERYTHING).auto_order
    assert api.get_auto_order_by_code(whole.auto_order_code).auto_order.auto_order_oid == oid
    assert (whole.status, whole.enabled, whole.original_order_id) == ("active", True, order_id)
    (item,) = whole["items"]
    assert (len(item.future_schedules), item.number_of_rebills, item.life_time_value) == (10, 1, 19.0)
    assert whole.original_order.payment.credit_card.card_number == "XXXXXXXXXXXX1111"
    assert whole.original_order.auto_order.auto_order_oid == oid
    (rebilled,) = whole.rebill_orders
    assert (rebilled.order_id, rebilled.summary.total.value) == (f"{order_id}-001", 9.5)
    assert [log.log_message.split()[0] for log in whole.logs] == ["Begun", "Billed"]
    assert "token=" in whole.management.update_billing_url
    assert whole.emails
    bare = api.get_auto_order(oid).auto_order
    assert not hasattr(bare, "items") or "items" not in bare.to_dict()


def test_what_was_read_whole_is_sent_back_changed_and_again_without_a_second_change(api: Any, bought: Shopper) -> None:
    oid = bought.subscription("Weekly").auto_order_oid
    bought.travel(8)
    whole = api.get_auto_order(oid, expand=EVERYTHING).auto_order
    unchanged = api.update_auto_order(oid, whole, validate_original_order="No", expand=EVERYTHING).auto_order
    assert len(unchanged.logs) == len(whole.logs)
    whole["items"][0].arbitrary_quantity = 3.0
    whole.original_order.billing.city = "Athens"
    for _ in range(2):
        changed = api.update_auto_order(oid, whole, expand=EVERYTHING).auto_order
        assert changed["items"][0].arbitrary_quantity == 3.0
        assert changed.original_order.billing.city == "Athens"
        assert len(changed.logs) == len(whole.logs) + 1
    wrong = AutoOrder(items=[AutoOrderItem(original_item_id="CAKE", original_quantity=1.0, frequency="Monthly")])
    assert refusal(lambda: api.update_auto_order(oid, wrong)) == {"/items/0/original_item_id": "unknown"}


def test_the_five_statuses_of_the_page_are_set_and_taken_back(api: Any, bought: Shopper) -> None:
    oid = bought.subscription().auto_order_oid
    for change, status in (
        (AutoOrder(enabled=False), "disabled"),
        (AutoOrder(enabled=True), "active"),
        (AutoOrder(enabled=False, canceled_by_user="customer", cancel_reason="too much tea"), "canceled"),
        (AutoOrder(enabled=True), "active"),
        (AutoOrder(enabled=False, canceled_by_user="ops"), "canceled"),
        (AutoOrder(enabled=True), "active"),
        (AutoOrder(cancel_after_next_x_orders=2), "active"),
    ):
        assert api.update_auto_order(oid, change).auto_order.status == status
    assert api.get_auto_order(oid).auto_order.cancel_after_next_x_orders == 2


def test_every_item_is_paused_by_one_call(api: Any, bought: Shopper) -> None:
    oid = bought.subscription().auto_order_oid
    for _ in range(2):
        assert api.pause_auto_order(oid, AutoOrder(), expand="items").auto_order["items"][0].paused is True


def test_auto_orders_are_found_by_every_parameter_and_every_field_of_a_query(api: Any, bought: Shopper) -> None:
    found = bought.subscription("Weekly", item="COFFEE", last_name="Lovelace")
    oid, order_id = found.auto_order_oid, found.original_order_id
    whole = api.get_auto_order(oid, expand="items,original_order").auto_order
    placed = whole.original_order.creation_dts
    ships = whole["items"][0].next_shipment_dts
    people = {"first_name": "Ada", "last_name": "Lovelace", "city": "Duluth", "postal_code": "10001"}
    people |= {"country_code": "US", "phone": "678-555-0100", "email": "ADA@example.com"}
    both = {
        "auto_order_code": found.auto_order_code,
        "original_order_id": order_id,
        "original_order_date_begin": placed,
        "original_order_date_end": placed,
        "next_shipment_date_begin": ships,
        "next_shipment_date_end": ships,
        "card_type": "VISA",
        "item_id": "COFFEE",
        "status": "active",
        **people,
    }
    absent = {"company": "Nobody Inc", "state": "GA"}
    for name, value in both.items():
        answer = api.get_auto_orders(**{name: value}, limit=200)
        assert oid in [one.auto_order_oid for one in answer.auto_orders], name
    for name, value in absent.items():
        assert api.get_auto_orders(**{name: value}).auto_orders == [], name
    assert len({*both, *absent}) == 18
    since = api.get_auto_orders(since=placed, limit=200, sort="-creation_dts").auto_orders
    assert oid in [one.auto_order_oid for one in since]
    assert api.get_auto_orders(since="2999-01-01T00:00:00+00:00").auto_orders == []
    queries = both | {"original_item_id": "COFFEE", "next_item_id": "COFFEE"}
    for name, value in queries.items():
        answer = api.get_auto_orders_by_query(AutoOrderQuery(**{name: value}), limit=200)
        assert oid in [one.auto_order_oid for one in answer.auto_orders], name
    for name, value in {**absent, "customer_profile_oid": 1}.items():
        assert api.get_auto_orders_by_query(AutoOrderQuery(**{name: value})).auto_orders == [], name
    assert len({*queries, *absent, "customer_profile_oid"}) == len(AutoOrderQuery.openapi_types) == 21
    narrow = api.get_auto_orders_by_query(AutoOrderQuery(**both), expand="items").auto_orders
    assert [one.auto_order_oid for one in narrow] == [oid]


def test_lists_come_in_full_pages_until_the_last_and_say_how_many_there_are(api: Any, bought: Shopper) -> None:
    wanted = {bought.subscription(last_name="Pages").auto_order_oid for _ in range(5)}
    found: list[int] = []
    while True:
        answer = api.get_auto_orders(last_name="Pages", limit=2, offset=len(found), sort="-creation_dts,order_id")
        chunk = [one.auto_order_oid for one in answer.auto_orders]
        assert answer.metadata.result_set.total_records == 5
        found += chunk
        if len(chunk) < 2:
            break
    assert (len(found), set(found)) == (5, wanted)
    assert refusal(lambda: api.get_auto_orders(sort="colour")) == {"/_sort": "unknown_field"}


def test_many_are_read_and_updated_at_once(api: Any, bought: Shopper) -> None:
    oids = [bought.subscription().auto_order_oid for _ in range(3)]
    answer = api.get_auto_orders_batch(AutoOrderQueryBatch(auto_order_oids=oids[::-1]), expand="items")
    assert [one.auto_order_oid for one in answer.auto_orders] == oids[::-1]
    many = AutoOrderQueryBatch(auto_order_oids=list(range(1, 202)))
    assert refusal(lambda: api.get_auto_orders_batch(many)) == {"/auto_order_oids": "too_many"}
    changes = [AutoOrder(auto_order_oid=oid, override_affiliate_id=5) for oid in oids]
    request = AutoOrdersRequest(auto_orders=changes)
    for _ in range(2):
        updated = api.update_auto_orders_batch(request, expand="items", placeholders=False)
        assert [one.override_affiliate_id for one in updated.auto_orders] == [5, 5, 5]
    one_too_many = AutoOrdersRequest(auto_orders=[AutoOrder(auto_order_oid=n) for n in range(1, 22)])
    assert refusal(lambda: api.update_auto_orders_batch(one_too_many)) == {"/autoOrders": "too_many"}


def test_a_hundred_are_left_to_the_workers_and_the_answer_is_read_all_the_same(api: Any, bought: Shopper) -> None:
    oids = [bought.subscription().auto_order_oid for _ in range(2)]
    changes = [AutoOrder(auto_order_oid=oid, override_affiliate_id=6) for oid in oids]
    answer = api.update_auto_orders_batch(AutoOrdersRequest(auto_orders=changes), _async=True)
    batch = answer["batch"]
    assert (answer.success, batch["number_of_auto_orders"]) == (True, 2)
    bought.travel(1)  # everything that waits is done on the way
    status, told = bought.shop.ask("GET", f"/rest/v2/auto_order/batches/{batch['batch_id']}")
    assert (status, told["batch"]["number_done"]) == (200, 2)
    assert {api.get_auto_order(oid).auto_order.override_affiliate_id for oid in oids} == {6}


def test_who_sent_an_order_is_credited_for_its_rebills_until_the_merchant_names_another(
    client: Any, api: Any, bought: Shopper
) -> None:
    orders = OrderApi(client)
    order_id = bought.order("Weekly")
    request = OrderAssignToAffiliateRequest(affiliate_id=7, affiliate_sub_id="spring")
    for _ in range(2):
        (sent,) = orders.assign_to_affiliate(order_id, request, expand="affiliate").order.affiliates
        assert (sent.affiliate_oid, sent.sub_id) == (7, "spring")
    oid = api.get_auto_order_by_reference_order_id(order_id).auto_order.auto_order_oid
    bought.travel(8)
    api.update_auto_order(oid, AutoOrder(override_affiliate_id=9))
    bought.travel(7)
    shown = api.get_auto_order(oid, expand="rebill_orders,rebill_orders.affiliate").auto_order
    assert [[one.affiliate_oid for one in order.affiliates] for order in shown.rebill_orders] == [[7], [9]]
    (first,) = orders.get_order(f"{order_id}-001", expand="affiliate").order.affiliates
    assert first.sub_id == "spring"
    assert "ledger_entries" not in first.to_dict()
    by_email = OrderAssignToAffiliateRequest(affiliate_email="jo@example.com")
    refused = refusal(lambda: orders.assign_to_affiliate(order_id, by_email))
    assert refused == {"/affiliate_email": "not_available", "/affiliate_id": "required"}


def test_what_failed_is_billed_by_hand_and_not_within_a_day_of_a_billing(api: Any, bought: Shopper) -> None:
    found = bought.subscription("Weekly")
    oid = found.auto_order_oid
    declining = AutoOrderPaymentUpdateRequest(card_number_token=bought.token(DECLINES))
    api.update_auto_order_payment(oid, declining)
    bought.travel(8)
    failed = api.attempt_auto_order_rebill(oid, expand="items")
    assert (failed.rebill_attempted, failed.rebill_success) == (True, False)
    assert failed.failure_reason == "The bank declined the charge."
    api.update_auto_order_payment(oid, AutoOrderPaymentUpdateRequest(card_number_token=bought.token()))
    billed = api.attempt_auto_order_rebill(oid)
    assert (billed.rebill_success, billed.rebill_order_id) == (True, f"{found.original_order_id}-001")
    assert refusal(lambda: api.attempt_auto_order_rebill(oid)) == {"": "too_close"}


def test_a_new_card_reactivates_bills_at_once_and_sent_again_charges_nothing_more(api: Any, bought: Shopper) -> None:
    found = bought.subscription("Weekly")
    oid = found.auto_order_oid
    api.update_auto_order_payment(oid, AutoOrderPaymentUpdateRequest(card_number_token=bought.token(DECLINES)))
    bought.travel(16)
    assert api.get_auto_order(oid).auto_order.status == "disabled"
    request = AutoOrderPaymentUpdateRequest(
        card_number_token=bought.token(OTHER),
        card_expiration_month=12,
        card_expiration_year=2040,
        card_type="MasterCard",
        attempt_rebill=True,
    )
    for _ in range(3):
        answer = api.update_auto_order_payment(oid, request, expand=EVERYTHING)
        assert (answer.rebill_attempted, answer.rebill_success) == (True, True)
        assert answer.rebill_order_id == f"{found.original_order_id}-001"
        assert answer.auto_order.status == "active"
        assert len(answer.auto_order.rebill_orders) == 1
    raw = AutoOrderPaymentUpdateRequest(card_number_token=GOOD, card_verification_number_token="123")
    assert refusal(lambda: api.update_auto_order_payment(oid, raw)) == {
        "/card_number_token": "raw_card_number",
        "/card_verification_number_token": "not_available",
    }


def test_several_become_one_that_bills_their_items_and_each_date_once(api: Any, bought: Shopper) -> None:
    target = bought.subscription("Weekly", item="COFFEE").auto_order_oid
    sources = [bought.subscription("Weekly").auto_order_oid for _ in range(2)]
    bought.travel(8)
    before = {oid: api.get_auto_order(oid, expand="items").auto_order["items"][0] for oid in [target, *sources]}
    request = AutoOrderConsolidate(source_auto_order_oids=sources)
    for _ in range(2):
        merged = api.consolidate_auto_orders(target, request, expand="items").auto_order
        assert [item.to_dict() for item in merged["items"]] == [item.to_dict() for item in before.values()]
    for oid in sources:
        source = api.get_auto_order(oid, expand="items").auto_order
        assert (source.status, source.merged_into_auto_order_oid, source["items"]) == ("merged", target, [])
        assert source.merged_dts
    bought.travel(7)
    orders = [api.get_auto_order(oid, expand="rebill_orders,rebill_orders.item").auto_order for oid in before]
    assert [len(one.rebill_orders) for one in orders] == [2, 1, 1]
    assert len(orders[0].rebill_orders[1]["items"]) == 3
    assert refusal(lambda: api.update_auto_order(sources[0], AutoOrder(enabled=True))) == {"/status": "merged"}


def test_a_regular_order_gets_an_auto_order_to_which_items_are_added(api: Any, bought: Shopper) -> None:
    order_id = bought.order(schedule=None)
    made = api.establish_auto_order_by_reference_order_id(order_id, expand="items,original_order").auto_order
    assert (made["items"], made.original_order.order_id, made.status) == ([], order_id, "active")
    added = AutoOrderItem(
        original_item_id="TEA",
        original_quantity=2.0,
        frequency="Every...",
        arbitrary_schedule_days=9,
        options=[AutoOrderItemOption(label="size", value="large")],
    )
    for _ in range(2):
        now = api.update_auto_order(made.auto_order_oid, AutoOrder(items=[added]), expand="items").auto_order
        assert len(now["items"]) == 1
    again = refusal(lambda: api.establish_auto_order_by_reference_order_id(order_id))
    assert again == {"/reference_order_id": "duplicate"}


def test_an_item_is_ended_or_taken_away_by_the_orders_id_and_others_take_its_place(api: Any, bought: Shopper) -> None:
    order_id = bought.order("Weekly")
    ended = api.cancel_auto_order_item_by_reference_order_id(order_id, "TEA", expand="items").auto_order
    assert ended["items"][0].no_order_after_dts == ended["items"][0].cancel_dts
    order_id = bought.order("Weekly")
    until = (datetime.fromisoformat(ended["items"][0].cancel_dts) + timedelta(days=20)).isoformat()
    request = AutoOrderItemCancelRequest(mode="end", no_orders_after_dts=until)
    later = api.cancel_auto_order_item_by_reference_order_id(
        order_id, "TEA", auto_order_item_cancel_request=request, expand="items"
    ).auto_order
    assert datetime.fromisoformat(later["items"][0].no_order_after_dts) == datetime.fromisoformat(until)
    coffee = AutoOrderItem(original_item_id="COFFEE", original_quantity=1.0, frequency="Monthly")
    swap = AutoOrderItemCancelRequest(mode="remove", append_items=[coffee])
    swapped = api.cancel_auto_order_item_by_reference_order_id(
        order_id, "TEA", auto_order_item_cancel_request=swap, expand="items"
    ).auto_order
    assert [item.original_item_id for item in swapped["items"]] == ["COFFEE"]


def test_reasons_mails_and_the_link_are_read(api: Any, bought: Shopper) -> None:
    oid = bought.subscription().auto_order_oid
    rules = {"cancel_reasons": [{"reason": "Too dear", "visible_in_myaccount": True}]}
    status, _ = bought.shop.ask("PUT", "/rest/v2/configuration/auto_order_processing", rules)
    assert status == 200
    try:
        (reason,) = api.get_auto_order_cancel_reasons().cancel_reasons
        assert (reason.reason, reason.visible_in_myaccount) == ("Too dear", True)
        nameless = AutoOrder(enabled=False, canceled_by_user="ops")
        assert refusal(lambda: api.update_auto_order(oid, nameless)) == {"/cancel_reason": "not_allowed_value"}
    finally:
        bought.shop.ask("PUT", "/rest/v2/configuration/auto_order_processing", {"cancel_reasons": []})
    answer = api.get_auto_order_update_billing_url(oid)
    assert answer.update_billing_url.startswith("http")
    bought.travel(1)
    emails = api.get_auto_order_emails(oid).emails
    assert emails
    assert all(mail.skipped is not None for mail in emails)


def test_properties_of_an_auto_order_and_of_an_item_are_replaced(api: Any, bought: Shopper) -> None:
    oid = bought.subscription().auto_order_oid
    item_oid = api.get_auto_order(oid, expand="items").auto_order["items"][0].auto_order_item_oid
    request = AutoOrderPropertiesUpdateRequest(properties=[AutoOrderProperty(name="gift", value="yes")])
    for _ in range(2):
        shown = api.update_auto_order_properties(oid, request, expand="properties,items,logs").auto_order
        assert [(one.name, one.value) for one in shown.properties] == [("gift", "yes")]
        assert len(shown.logs) == 2
        shown = api.get_auto_order(oid, expand="logs").auto_order
    shown = api.update_auto_order_item_properties(oid, item_oid, request, expand="items").auto_order
    assert shown["items"][0].properties[0].name == "gift"


def test_add_ons_of_an_item_come_with_its_next_orders_and_no_more(api: Any, bought: Shopper) -> None:
    found = bought.subscription("Weekly")
    oid = found.auto_order_oid
    item_oid = api.get_auto_order(oid, expand="items").auto_order["items"][0].auto_order_item_oid
    cup = AutoOrderAddonItem(item_id="COFFEE", quantity=2, next_x_orders=1, arbitrary_unit_cost=3.5)
    request = AutoOrderAddonItemsUpdateRequest(add_on_items=[cup])
    for _ in range(2):
        shown = api.update_auto_order_item_add_ons(oid, item_oid, request, expand="items,logs").auto_order
        (add_on,) = shown["items"][0].add_ons
        assert (add_on.item_id, add_on.quantity, add_on.next_x_orders) == ("COFFEE", 2, 1)
        assert len(shown.logs) == 2
    bought.travel(15)
    orders = api.get_auto_order(oid, expand="rebill_orders,rebill_orders.item").auto_order.rebill_orders
    assert [[line.merchant_item_id for line in order["items"]] for order in orders] == [["TEA", "COFFEE"], ["TEA"]]
    wrong = AutoOrderAddonItemsUpdateRequest(add_on_items=[AutoOrderAddonItem(item_id="CAKE", quantity=1)])
    assert refusal(lambda: api.update_auto_order_item_add_ons(oid, item_oid, wrong)) == {
        "/add_on_items/0/item_id": "unknown"
    }
    none = AutoOrderAddonItemsUpdateRequest(add_on_items=[])
    emptied = api.update_auto_order_item_add_ons(oid, item_oid, none, expand="items").auto_order["items"][0]
    assert "add_ons" not in emptied.to_dict()
