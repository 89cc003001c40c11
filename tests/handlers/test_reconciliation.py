"""The day reports over HTTP: begun by hand, shown as they stand, the difference 0 where all is well."""

from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.payments import Charge, StoredCard
from chalicelib.flows.reconcile import BY_HAND, begin, go_on
from tests.houses import TestHouse

PATH = "/rest/v2/configuration/reconciliation"
CART = {
    "items": [{"merchant_item_id": "TEA", "quantity": 1}],
    "billing": {"email": "ada@example.com", "country_code": "US"},
}
CARD = {"card_number": "4111111111111111", "card_expiration_month": 12, "card_expiration_year": 2040}


@pytest.fixture
def key(house: TestHouse) -> str:
    key = house.found(time_zone="America/New_York")
    item = {"merchant_item_id": "TEA", "pricing": {"cost": 9.5}}
    assert house.call("POST", "/rest/v2/item/items", item, key=key).status == 200
    return key


def paid(house: TestHouse, key: str) -> str:
    browser = house.key(kind="browser")
    token = house.call("POST", "/storefront/card_tokens", CARD, key=browser).json["card_token"]
    order = CART | {"payment": {"credit_card": {"card_number_token": token}}}
    order_id = house.call("POST", "/rest/v2/order/orders", order, key=key).json["order"]["order_id"]
    assert house.call("POST", f"/rest/v2/order/orders/{order_id}/process_payment", {}, key=key).json["success"]
    return str(order_id)


def taken_elsewhere(house: TestHouse) -> None:
    card = StoredCard(gateway="sandbox", reference="sandbox_approve", fingerprint="f")
    amount = Decimal("12.34")
    asked = Charge(key="bo_x", amount=amount, currency_code="USD", card=card, order_id="DEMO-9", first=False)
    house.sandbox.charge(asked)


def walk(house: TestHouse) -> None:
    for queue, message in house.sent.take():
        assert queue == "reconcile"
        go_on(house.open_shop(message["merchant_id"]), message["gateway"], message["day"])


def shown(house: TestHouse, key: str, **query: str) -> Any:
    reply = house.call("GET", PATH, key=key, query=query)
    assert reply.status == 200, reply.body
    return reply.json["reconciliations"]


def test_a_walk_is_begun_by_hand_and_its_report_shows_a_difference_of_zero(house: TestHouse, key: str) -> None:
    paid(house, key)
    assert shown(house, key) == []
    begun = house.call("POST", PATH, {"gateway": "sandbox"}, key=key)
    fresh = {
        "gateway": "sandbox",
        "reconciliation_date": "2027-01-31",
        "since_dts": "2027-01-28T15:00:00-05:00",
        "until_dts": "2027-01-31T15:00:00-05:00",
        "number_of_captures": 0,
        "number_of_matched": 0,
        "number_of_repaired": 0,
        "number_of_given_back": 0,
        "number_of_returned": 0,
        "number_of_held": 0,
        "difference": {"USD": 0},
        "held_captures": [],
    }
    metadata = {"payload_name": "reconciliation"}
    assert begun.json == {"reconciliation": fresh, "success": True, "metadata": metadata}
    assert shown(house, key) == [fresh]
    walk(house)
    [report] = shown(house, key)
    done = {"finished_dts": "2027-01-31T15:00:00-05:00", "number_of_captures": 1, "number_of_matched": 1}
    assert report == fresh | done
    assert report["difference"] == {"USD": 0}


def test_a_capture_that_is_held_is_shown_with_its_reason(house: TestHouse, key: str) -> None:
    paid(house, key)
    taken_elsewhere(house)
    begin(house.open_shop("DEMO"))
    walk(house)
    [report] = shown(house, key)
    assert (report["number_of_captures"], report["number_of_held"]) == (2, 1)
    assert report["difference"] == {"USD": 12.34}
    [held] = report["held_captures"]
    assert held["reason"] == "no order and no attempt of ours is known for it"
    capture = {"key": "bo_x", "amount": 12.34, "currency_code": "USD", "order_id": "DEMO-9"}
    assert capture.items() <= held["capture"].items()


def test_reports_are_shown_since_a_day_the_newest_first_page_by_page(house: TestHouse, key: str) -> None:
    for _ in range(35):
        begin(house.open_shop("DEMO"))
        walk(house)
        house.clock.pass_(days=1)
    assert len(shown(house, key)) == 30, "the last thirty days, where nobody says since when"
    assert len(shown(house, key, since="2027-01-01")) == 35
    days = [report["reconciliation_date"] for report in shown(house, key, since="2027-03-04")]
    assert days == ["2027-03-06", "2027-03-05", "2027-03-04"]
    first = house.call("GET", PATH, key=key, query={"since": "2027-03-04", "_limit": "2"})
    cursor = first.json["metadata"]["next_cursor"]
    rest = shown(house, key, since="2027-03-04", cursor=cursor)
    assert [report["reconciliation_date"] for report in rest] == ["2027-03-04"]


@pytest.mark.parametrize(
    ("query", "problems"),
    [
        ({"since": "yesterday"}, {"/since": "invalid"}),
        ({"since": "2027-02-30"}, {"/since": "invalid"}),
        ({"_limit": "all"}, {"/_limit": "wrong_type"}),
        ({"cursor": "made up"}, {"/cursor": "cursor_invalid"}),
        (
            {"gateway": "stripe", "until": "2027-01-31"},
            {"/gateway": "unknown_parameter", "/until": "unknown_parameter"},
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    house: TestHouse, key: str, query: dict[str, str], problems: dict[str, str]
) -> None:
    reply = house.call("GET", PATH, key=key, query=query)
    assert (reply.status, reply.problems) == (400, problems)


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"/gateway": "required"}),
        ({"gateway": ""}, {"/gateway": "out_of_range"}),
        ({"gateway": "stripe"}, {"/gateway": "unknown"}),
        ({"gateway": "sandbox", "since": "2027-01-01"}, {"/since": "unknown_field"}),
    ],
)
def test_a_walk_that_cannot_be_begun_leaves_nothing(
    house: TestHouse, key: str, body: dict[str, Any], problems: dict[str, str]
) -> None:
    before = house.everything()
    reply = house.call("POST", PATH, body, key=key)
    assert (reply.status, reply.problems) == (400, problems)
    assert house.everything() == before
    assert not house.sent.take()


def test_walks_by_hand_are_limited(house: TestHouse, key: str) -> None:
    for _ in range(BY_HAND):
        assert house.call("POST", PATH, {"gateway": "sandbox"}, key=key).status == 200
    reply = house.call("POST", PATH, {"gateway": "sandbox"}, key=key)
    assert reply.status == 429
    assert int(reply.headers["Retry-After"]) > 0


def test_each_merchant_sees_his_own_reports(house: TestHouse, key: str) -> None:
    other = house.found("OTHER")
    begin(house.open_shop("DEMO"))
    walk(house)
    assert len(shown(house, key)) == 1
    assert shown(house, other) == []
