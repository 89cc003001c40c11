"""What a shopper agreed to is written with his order, shown to the merchant, and never changed."""

from typing import Any

import pytest

from tests.houses import Reply, TestHouse

CONSENT = {"terms": "I agree to be charged every month until I cancel.", "terms_version": "2027-01"}
AGENT = "Mozilla/5.0 (a browser)"


@pytest.fixture
def key(house: TestHouse) -> str:
    key = house.found()
    steps = [
        {"type": "item", "recurring_merchant_item_id": "TEA", "schedule": "Monthly", "arbitrary_unit_cost": 12},
    ]
    for item in (
        {
            "merchant_item_id": "TEA",
            "pricing": {"cost": 9.5, "auto_order_cost": 8.5},
            "auto_order": {"auto_orderable": True, "auto_order_schedules": ["Monthly"]},
        },
        {
            "merchant_item_id": "TRIAL",
            "pricing": {"cost": 1},
            "auto_order": {"auto_order_upsell": True, "steps": steps},
        },
        {"merchant_item_id": "CUP", "pricing": {"cost": 5}},
    ):
        assert house.call("POST", "/rest/v2/item/items", item, key=key).status == 200
    return key


def order(house: TestHouse, lines: dict[str, str | None], key: str = "k" * 20, **more: Any) -> Reply:
    browser = house.key(kind="browser")
    card = {"card_number": "4111111111111111", "card_expiration_month": 12, "card_expiration_year": 2040}
    token = house.call("POST", "/storefront/card_tokens", card, key=browser).json["card_token"]
    body = {
        "items": [
            {"merchant_item_id": name, "quantity": 2} | ({"auto_order_schedule": schedule} if schedule else {})
            for name, schedule in lines.items()
        ],
        "billing": {"email": "jane@example.com", "country_code": "US"},
        "card_token": token,
        **more,
    }
    headers = {"Idempotency-Key": key, "User-Agent": AGENT}
    return house.call("POST", "/storefront/orders", body, key=browser, headers=headers, address="2001:db8::17")


def oid_of(reply: Reply) -> str:
    assert reply.status == 200, reply.body
    return str(reply.json["order"]["auto_order"]["auto_order_oid"])


def consent(house: TestHouse, key: str, oid: str) -> Reply:
    return house.call("GET", f"/rest/v2/auto_order/auto_orders/{oid}/consent", key=key)


def test_the_terms_the_schedule_the_moment_and_the_address_are_recorded(house: TestHouse, key: str) -> None:
    placed = order(house, {"TEA": "Monthly", "TRIAL": None, "CUP": None}, auto_order_consent=CONSENT)
    assert consent(house, key, oid_of(placed)).json["consent"] == {
        "order_id": placed.json["order"]["order_id"],
        "accepted_dts": "2027-01-31T15:00:00-05:00",
        "ip_address": "2001:db8::17",
        "user_agent": AGENT,
        "terms": CONSENT["terms"],
        "terms_version": "2027-01",
        "currency_code": "USD",
        "items": [
            {
                "merchant_item_id": "TEA",
                "quantity": 2,
                "cost": 8.5,
                "auto_order_schedule": "Monthly",
                "auto_order_cost": 8.5,
            },
            {
                "merchant_item_id": "TRIAL",
                "quantity": 2,
                "cost": 1,
                "steps": [
                    {
                        "type": "item",
                        "recurring_merchant_item_id": "TEA",
                        "schedule": "Monthly",
                        "arbitrary_unit_cost": 12,
                    }
                ],
            },
        ],
    }


def test_what_the_catalogue_and_the_order_become_later_changes_nothing_of_the_record(
    house: TestHouse, key: str
) -> None:
    oid = oid_of(order(house, {"TEA": "Monthly"}, auto_order_consent=CONSENT))
    before = consent(house, key, oid).json
    item_oid = house.open_shop("DEMO").items.get("TEA").noun.merchant_item_oid
    house.call("PUT", f"/rest/v2/item/items/{item_oid}", {"pricing": {"auto_order_cost": 99}}, key=key)
    path = f"/rest/v2/auto_order/auto_orders/{oid}"
    assert house.call("PUT", path, {"enabled": False, "canceled_by_user": "anna"}, key=key).status == 200
    assert consent(house, key, oid).json == before


def test_the_same_order_sent_twice_has_one_record_of_its_first_time(house: TestHouse, key: str) -> None:
    body = {"auto_order_consent": CONSENT, "card_token": "same"}
    browser = house.key(kind="browser")
    card = {"card_number": "4111111111111111", "card_expiration_month": 12, "card_expiration_year": 2040}
    body["card_token"] = house.call("POST", "/storefront/card_tokens", card, key=browser).json["card_token"]
    first = order(house, {"TEA": "Monthly"}, **body)
    house.clock.pass_(minutes=5)
    again = order(house, {"TEA": "Monthly"}, **body)
    assert oid_of(again) == oid_of(first)
    assert consent(house, key, oid_of(first)).json["consent"]["accepted_dts"] == "2027-01-31T15:00:00-05:00"


def test_another_consent_under_the_same_key_is_another_request(house: TestHouse, key: str) -> None:
    browser = house.key(kind="browser")
    card = {"card_number": "4111111111111111", "card_expiration_month": 12, "card_expiration_year": 2040}
    token = house.call("POST", "/storefront/card_tokens", card, key=browser).json["card_token"]
    order(house, {"TEA": "Monthly"}, card_token=token, auto_order_consent=CONSENT)
    other = order(house, {"TEA": "Monthly"}, card_token=token, auto_order_consent=CONSENT | {"terms": "Other"})
    assert other.problems == {"": "idempotency_key_reused"}


def test_without_a_consent_nothing_is_recorded_and_nothing_is_pretended(house: TestHouse, key: str) -> None:
    oid = oid_of(order(house, {"TEA": "Monthly"}))
    assert consent(house, key, oid).status == 404


def test_where_nothing_is_billed_again_there_is_nothing_to_agree_to(house: TestHouse, key: str) -> None:
    placed = order(house, {"CUP": None}, auto_order_consent=CONSENT)
    assert placed.status == 200
    assert house.open_shop("DEMO").orders.consent(placed.json["order"]["order_id"]) is None


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"terms_version": "1"}, "/auto_order_consent/terms"),
        ({"terms": ""}, "/auto_order_consent/terms"),
        ({"terms": "x" * 20_001}, "/auto_order_consent/terms"),
        (CONSENT | {"ip_address": "1.2.3.4"}, "/auto_order_consent/ip_address"),
        (CONSENT | {"accepted_dts": "2020-01-01T00:00:00Z"}, "/auto_order_consent/accepted_dts"),
    ],
)
def test_a_consent_says_what_was_shown_and_nothing_of_when_or_where(
    house: TestHouse, key: str, said: dict[str, Any], pointer: str
) -> None:
    reply = order(house, {"TEA": "Monthly"}, auto_order_consent=said)
    assert (reply.status, list(reply.problems)) == (400, [pointer])


def test_another_shops_key_reads_no_consent(house: TestHouse, key: str) -> None:
    oid = oid_of(order(house, {"TEA": "Monthly"}, auto_order_consent=CONSENT))
    assert consent(house, house.found("OTHER"), oid).status == 404
