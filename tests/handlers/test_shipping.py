"""Orders are marked shipped by an update: once, told once, and nothing else of them changes."""

from typing import Any

import pytest

from tests.houses import TestHouse

PAID = "Shipping Department"
SHIPPED = "Completed Order"
NUMBERS = {"shipping": {"tracking_numbers": ["9400 1000", "9400 1001"]}}
EXPAND = "?_expand=shipping,current_stage_histories,summary,payment,item,billing,auto_order,checkout"


@pytest.fixture
def key(house: TestHouse) -> str:
    return house.found(name="Demo Shop", sender_email="shop@example.com", support_email="help@example.com")


def place_one(house: TestHouse, key: str) -> str:
    """The path of an unpaid order of two of an item, 9.50 each, that comes every month."""
    tab = {"auto_orderable": True, "auto_order_schedules": ["Monthly"]}
    item = {"merchant_item_id": "TEA", "description": "Tea", "pricing": {"cost": 9.5}, "auto_order": tab}
    house.call("POST", "/rest/v2/item/items", item, key=key)
    card = {"card_number": "4111111111111111", "card_expiration_month": 12, "card_expiration_year": 2040}
    token = house.call("POST", "/storefront/card_tokens", card, key=house.key(kind="browser")).json["card_token"]
    order = {
        "items": [{"merchant_item_id": "TEA", "quantity": 2, "auto_order_schedule": "Monthly"}],
        "billing": {"email": "jane@example.com", "first_name": "Jane", "country_code": "US"},
        "shipping": {"country_code": "US", "state_region": "NY", "postal_code": "10001"},
        "payment": {"credit_card": {"card_number_token": token}},
    }
    reply = house.call("POST", "/rest/v2/order/orders", order, key=key)
    assert reply.status == 200, reply.body
    return f"/rest/v2/order/orders/{reply.json['order']['order_id']}"


@pytest.fixture
def placed(house: TestHouse, key: str) -> str:
    return place_one(house, key)


@pytest.fixture
def paid(house: TestHouse, key: str, placed: str) -> str:
    assert house.call("POST", f"{placed}/process_payment", {}, key=key).json["success"]
    house.clock.pass_(days=2)
    return placed


def shown(house: TestHouse, key: str, path: str) -> Any:
    return house.call("GET", path + EXPAND, key=key).json["order"]


def mails(house: TestHouse, path: str) -> list[tuple[str, str]]:
    order_id = path.rsplit("/", 1)[1]
    return [(mail.template, mail.state) for mail in house.open_shop("DEMO").mails.of(f"order#{order_id}")]


def events(house: TestHouse) -> list[str]:
    return sorted(name for name in house.events() if name.startswith("order_"))


def test_tracking_numbers_mark_a_paid_order_shipped_today(house: TestHouse, key: str, paid: str) -> None:
    before = events(house)
    reply = house.call("PUT", paid + EXPAND, NUMBERS, key=key)
    assert reply.status == 200, reply.body
    order = reply.json["order"]
    assert order["current_stage"] == SHIPPED
    assert order["shipping"]["tracking_numbers"] == ["9400 1000", "9400 1001"]
    assert order["shipping"]["shipping_date"] == "2027-02-02T15:00:00-05:00"
    assert order["shipping"]["postal_code"] == "10001"
    assert order["current_stage_histories"][-1] == {
        "before_stage": PAID,
        "after_stage": SHIPPED,
        "transition_dts": "2027-02-02T15:00:00-05:00",
    }
    assert [name for name in events(house) if name not in before] == ["order_ship"]
    assert events(house).count("order_stage_change") == before.count("order_stage_change") + 1
    assert mails(house, paid) == [("receipt", "planned"), ("shipment", "planned")]


def test_a_shipping_date_does_so_too_and_is_kept(house: TestHouse, key: str, paid: str) -> None:
    body = {"shipping": {"shipping_date": "2027-02-01T10:00:00-05:00"}}
    order = house.call("PUT", paid + EXPAND, body, key=key).json["order"]
    assert (order["current_stage"], order["shipping"]["shipping_date"]) == (SHIPPED, "2027-02-01T10:00:00-05:00")


def test_the_stage_alone_does_so_for_what_has_no_numbers(house: TestHouse, key: str, paid: str) -> None:
    order = house.call("PUT", paid + EXPAND, {"current_stage": SHIPPED}, key=key).json["order"]
    assert (order["current_stage"], order["shipping"]["shipping_date"]) == (SHIPPED, "2027-02-02T15:00:00-05:00")


def test_the_same_request_twice_ships_and_tells_once(house: TestHouse, key: str, paid: str) -> None:
    first = house.call("PUT", paid + EXPAND, NUMBERS, key=key)
    told, sent = events(house), mails(house, paid)
    house.clock.pass_(days=1)
    again = house.call("PUT", paid + EXPAND, NUMBERS, key=key)
    assert (again.json, again.headers["ETag"]) == (first.json, first.headers["ETag"])
    assert (events(house), mails(house, paid)) == (told, sent)


def test_the_order_as_it_was_read_with_numbers_added_may_be_sent_back_whole(
    house: TestHouse, key: str, paid: str
) -> None:
    order = shown(house, key, paid)
    order["shipping"]["tracking_numbers"] = ["9400 1000"]
    reply = house.call("PUT", paid, order, key=key)
    assert reply.status == 200, reply.body
    assert reply.json["order"]["current_stage"] == SHIPPED


def test_numbers_that_are_mended_later_are_an_update_and_no_second_shipment(
    house: TestHouse, key: str, paid: str
) -> None:
    house.call("PUT", paid, NUMBERS, key=key)
    house.clock.pass_(days=1)
    order = house.call("PUT", paid + EXPAND, {"shipping": {"tracking_numbers": ["9400 2"]}}, key=key).json["order"]
    assert order["shipping"]["tracking_numbers"] == ["9400 2"]
    assert order["shipping"]["shipping_date"] == "2027-02-02T15:00:00-05:00"
    assert len(order["current_stage_histories"]) == 3
    assert (events(house).count("order_ship"), events(house).count("order_update")) == (1, 1)
    assert mails(house, paid).count(("shipment", "planned")) == 1


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"shipping": {"shipping_date": "2027-02-03T00:00:00-05:00"}}, "/shipping/shipping_date", "future_date"),
        ({"shipping": {"shipping_date": "2027-01-30T23:59:59-05:00"}}, "/shipping/shipping_date", "past_date"),
        ({"current_stage": "Rejected"}, "/current_stage", "not_allowed_value"),
        ({"billing": {"email": "other@example.com"}}, "/billing/email", "read_only"),
        ({"shipping": {"postal_code": "10002"}}, "/shipping/postal_code", "read_only"),
        ({"summary": {"total": 1}}, "/summary/total", "read_only"),
        ({"items": []}, "/items", "read_only"),
        ({"payment": {"payment_status": "Refunded"}}, "/payment/payment_status", "read_only"),
        ({"merchant_id": "OTHER"}, "/merchant_id", "read_only"),
        ({"charge_key": "x"}, "/charge_key", "unknown_field"),
    ],
)
def test_all_else_of_an_order_is_refused_by_name(
    house: TestHouse, key: str, paid: str, body: dict[str, Any], pointer: str, code: str
) -> None:
    before = shown(house, key, paid)
    reply = house.call("PUT", paid, body, key=key)
    assert (reply.status, reply.problems) == (400, {pointer: code})
    assert shown(house, key, paid) == before


def test_a_date_of_today_and_of_the_day_of_the_order_are_taken(house: TestHouse, key: str, paid: str) -> None:
    for day in ("2027-02-02T23:59:59-05:00", "2027-01-31T00:00:00-05:00"):
        assert house.call("PUT", paid, {"shipping": {"shipping_date": day}}, key=key).status == 200


def test_what_is_not_paid_for_cannot_be_shipped(house: TestHouse, key: str, placed: str) -> None:
    reply = house.call("PUT", placed, NUMBERS, key=key)
    assert reply.problems == {"/shipping/tracking_numbers": "not_shippable"}
    assert "Accounts Receivable" in reply.message("/shipping/tracking_numbers")


def test_an_order_that_somebody_has_changed_since_is_not_written_over(house: TestHouse, key: str, paid: str) -> None:
    etag = house.call("GET", paid, key=key).headers["ETag"]
    assert house.call("PUT", paid, NUMBERS, key=key, headers={"If-Match": str(etag)}).status == 200
    other = {"shipping": {"tracking_numbers": ["9400 2"]}}
    assert house.call("PUT", paid, other, key=key, headers={"If-Match": str(etag)}).status == 412


def test_an_order_that_is_not_there_is_not_shipped(house: TestHouse, key: str) -> None:
    reply = house.call("PUT", "/rest/v2/order/orders/NONE", NUMBERS, key=key)
    assert (reply.status, reply.json["code"]) == (400, "not_found")


def test_no_shipment_notice_of_rebills_where_the_setting_says_so_and_it_is_recorded(
    house: TestHouse, key: str, paid: str
) -> None:
    house.call("PUT", "/rest/v2/configuration/auto_order_processing", {"skip_shipment_notification": True}, key=key)
    house.call("PUT", paid, NUMBERS, key=key)
    assert ("shipment", "planned") in mails(house, paid), "the first order is no rebill"
    rebill = rebilled(house, paid)
    assert house.call("PUT", rebill, NUMBERS, key=key).status == 200
    (notice,) = [mail for mail in shop_mails(house, rebill) if mail.template == "shipment"]
    assert (notice.state, notice.skip_reason) == (
        "skipped",
        "the setting skip_shipment_notification: no shipment notices for rebills",
    )
    house.call("PUT", "/rest/v2/configuration/auto_order_processing", {"skip_shipment_notification": False}, key=key)
    second = rebilled(house, paid, run=2)
    house.call("PUT", second, NUMBERS, key=key)
    assert ("shipment", "planned") in mails(house, second)


def rebilled(house: TestHouse, path: str, run: int = 1) -> str:
    """The path of a rebill's order, billed a month later."""
    from chalicelib.flows.rebill import rebill

    shop = house.open_shop("DEMO")
    oid = shop.auto_orders.oid_by_original_order(path.rsplit("/", 1)[1])
    assert oid is not None
    while shop.auto_orders.read(oid)[1].run <= run:
        house.clock.go(shop.auto_orders.read(oid)[1].due_dts or house.clock.now())
        rebill(shop, oid)
    house.relay()
    return f"{path}-{run:03d}"


def shop_mails(house: TestHouse, path: str) -> Any:
    return house.open_shop("DEMO").mails.of(f"order#{path.rsplit('/', 1)[1]}")
