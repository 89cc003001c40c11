"""Customer profiles over HTTP: one profile for an address, cards as tokens only."""

from typing import Any

import pytest

from chalicelib.domain.customers import Customer
from tests.houses import TestHouse

CUSTOMERS = "/rest/v2/customer/customers"
JANE = {"email": "Jane@Example.com", "billing": [{"first_name": "Jane", "country_code": "US"}]}


def token(house: TestHouse, number: str = "4111111111111111") -> str:
    card = {"card_number": number, "card_expiration_month": 12, "card_expiration_year": 2030}
    reply = house.call("POST", "/storefront/card_tokens", card, key=house.key(kind="browser"))
    return str(reply.json["card_token"])


def test_a_profile_is_inserted_and_read_back_by_oid_and_by_address_in_any_case(house: TestHouse, key: str) -> None:
    made = house.call("POST", CUSTOMERS, JANE, key=key, query={"_expand": "billing"})
    assert (made.status, made.headers["ETag"]) == (200, '"1"')
    assert made.json["customer"] == {
        "billing": [
            {"country_code": "US", "customer_billing_oid": 1002, "customer_profile_oid": 1001, "first_name": "Jane"}
        ],
        "customer_profile_oid": 1001,
        "email": "Jane@Example.com",
        "last_modified_by": "test",
        "last_modified_dts": "2027-01-31T15:00:00-05:00",
        "merchant_id": "DEMO",
        "signup_dts": "2027-01-31T15:00:00-05:00",
    }
    for path in ("/1001", "/by_email/jane%40example.com", "/by_email/JANE%40EXAMPLE.COM"):
        assert house.call("GET", CUSTOMERS + path, key=key, query={"_expand": "billing"}).json == made.json
    assert "billing" not in house.call("GET", f"{CUSTOMERS}/1001", key=key).json["customer"]
    assert house.events() == ["customer_create"]


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"/email": "required"}),
        (JANE | {"email": "a\nb@example.com"}, {"/email": "invalid"}),
        (JANE | {"email": "x" * 101}, {"/email": "out_of_range"}),
        (JANE | {"password": "secret"}, {"/password": "out_of_range"}),
        (JANE | {"nickname": "JJ"}, {"/nickname": "unknown_field"}),
        (JANE | {"orders": [], "last_modified_by": "me"}, {"/orders": "read_only", "/last_modified_by": "read_only"}),
        (JANE | {"customer_profile_oid": 5}, {"/customer_profile_oid": "read_only"}),
        (JANE | {"billing": [{"country_code": "usa", "city": "x" * 33}]},
         {"/billing/0/country_code": "out_of_range", "/billing/0/city": "out_of_range"}),
        (JANE | {"cards": [{"card_number_token": "card_nobody"}]}, {"/cards/0/card_number_token": "unknown"}),
        (JANE | {"cards": [{"card_number": "4111111111111111"}]}, {"/cards/0/card_number_token": "required"}),
        (JANE | {"cards": [{"stored_card": {"gateway": "x", "reference": "y", "fingerprint": "z"}}]},
         {"/cards/0/stored_card": "unknown_field"}),
        (JANE | {"tags": [{}], "properties": [{"value": "x"}]},
         {"/tags/0/tag_value": "required", "/properties/0/name": "required"}),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_by_name_and_leaves_nothing(
    house: TestHouse, key: str, body: dict[str, Any], problems: dict[str, str]
) -> None:
    before = house.everything()
    reply = house.call("POST", CUSTOMERS, body, key=key)
    assert (reply.status, reply.problems) == (400, problems)
    assert house.everything() == before


def test_an_address_has_one_profile(house: TestHouse, key: str) -> None:
    house.call("POST", CUSTOMERS, JANE, key=key)
    before = house.everything()
    reply = house.call("POST", CUSTOMERS, {"email": " jane@example.COM "}, key=key)
    assert (reply.status, reply.problems) == (400, {"/email": "duplicate"})
    assert house.everything() == before


def test_a_new_address_leaves_the_old_one_free(house: TestHouse, key: str) -> None:
    house.call("POST", CUSTOMERS, JANE, key=key)
    house.clock.pass_(hours=1)
    changed = house.call("PUT", f"{CUSTOMERS}/1001", {"email": "jane@example.org"}, key=key)
    assert changed.json["customer"]["last_modified_dts"] == "2027-01-31T16:00:00-05:00"
    assert house.call("GET", f"{CUSTOMERS}/by_email/jane%40example.com", key=key).status == 404
    found = house.call("GET", f"{CUSTOMERS}/by_email/jane%40example.org", key=key).json["customer"]
    assert found["customer_profile_oid"] == 1001
    assert house.call("POST", CUSTOMERS, JANE, key=key).status == 200
    assert sorted(house.events()) == ["customer_create", "customer_create", "customer_update"]


def test_the_same_address_in_another_case_is_no_new_one(house: TestHouse, key: str) -> None:
    house.call("POST", CUSTOMERS, JANE, key=key)
    reply = house.call("PUT", f"{CUSTOMERS}/1001", {"email": "jane@EXAMPLE.com"}, key=key)
    assert (reply.status, reply.json["customer"]["email"]) == (200, "jane@EXAMPLE.com")


def test_a_profile_does_not_take_the_address_of_another(house: TestHouse, key: str) -> None:
    house.call("POST", CUSTOMERS, JANE, key=key)
    joe = house.call("POST", CUSTOMERS, {"email": "joe@example.com"}, key=key).json["customer"]["customer_profile_oid"]
    reply = house.call("PUT", f"{CUSTOMERS}/{joe}", {"email": "JANE@example.com"}, key=key)
    assert (reply.status, reply.problems) == (400, {"/email": "duplicate"})
    assert house.call("GET", f"{CUSTOMERS}/by_email/joe%40example.com", key=key).status == 200


def test_a_profile_that_was_read_can_be_sent_back_twice(house: TestHouse, key: str) -> None:
    read = house.call("POST", CUSTOMERS, JANE, key=key, query={"_expand": "billing"}).json["customer"]
    house.clock.pass_(hours=1)
    replies = [house.call("PUT", f"{CUSTOMERS}/1001", read | {"fax": "1"}, key=key) for _ in range(2)]
    assert [(reply.status, reply.headers["ETag"]) for reply in replies] == [(200, '"2"'), (200, '"2"')]


def test_an_array_replaces_and_the_other_blocks_stay(house: TestHouse, key: str) -> None:
    house.call("POST", CUSTOMERS, JANE | {"tags": [{"tag_value": "vip"}]}, key=key)
    body = {"billing": [{"customer_billing_oid": 1002, "first_name": "Janet"}, {"first_name": "Joe"}]}
    customer = house.call("PUT", f"{CUSTOMERS}/1001", body, key=key, query={"_expand": "billing,tags"}).json["customer"]
    assert [(entry["customer_billing_oid"], entry["first_name"]) for entry in customer["billing"]] == [
        (1002, "Janet"),
        (1003, "Joe"),
    ]
    assert customer["tags"] == [{"tag_value": "vip"}]


def test_all_that_was_read_may_be_sent_back_and_what_is_computed_of_it_is_not_read(house: TestHouse, key: str) -> None:
    blocks = {"reviewer": {"nickname": "JJ"}, "tax_codes": {"taxjar_customer_id": "7"}, "edi": {"store_number": "4"}}
    house.call("POST", CUSTOMERS, JANE | blocks, key=key)
    read = house.call("GET", f"{CUSTOMERS}/1001", key=key, query={"_expand": ",".join(Customer.__struct_fields__)})
    computed = {"orders_summary": {"order_count": 7}, "quotes": [], "activity": {"active": True}}
    back = house.call("PUT", f"{CUSTOMERS}/1001", read.json["customer"] | computed, key=key)
    assert (back.status, back.headers["ETag"]) == (200, '"1"')


def test_who_changed_a_profile_last_is_told(house: TestHouse, key: str) -> None:
    house.call("POST", CUSTOMERS, JANE, key=key)
    assert house.call("GET", f"{CUSTOMERS}/1001", key=key).json["customer"]["last_modified_by"] == "test"


def test_a_change_of_a_version_that_is_past_is_refused(house: TestHouse, key: str) -> None:
    house.call("POST", CUSTOMERS, JANE, key=key)
    house.call("PUT", f"{CUSTOMERS}/1001", {"fax": "1"}, key=key, headers={"If-Match": '"1"'})
    assert house.call("PUT", f"{CUSTOMERS}/1001", {"fax": "2"}, key=key, headers={"If-Match": '"1"'}).status == 412


# --- quick add -------------------------------------------------------------------------------------------------------


def test_what_a_merge_patch_says_is_null_is_taken_from_a_profile(house: TestHouse, key: str) -> None:
    house.call("POST", CUSTOMERS, JANE | {"fax": "1", "website_url": "x.example"}, key=key)
    patch = {"Content-Type": "application/merge-patch+json"}
    # What is computed for an answer may be sent back and is not read, a null of it neither.
    body = {"fax": None, "customer_profile_oid": None, "orders_summary": None}
    assert house.call("PUT", f"{CUSTOMERS}/1001", body, key=key).json["customer"]["fax"] == "1"
    customer = house.call("PUT", f"{CUSTOMERS}/1001", body, key=key, headers=patch).json["customer"]
    assert "fax" not in customer
    assert (customer["website_url"], customer["customer_profile_oid"]) == ("x.example", 1001)
    refused = house.call("PUT", f"{CUSTOMERS}/1001", {"email": None}, key=key, headers=patch)
    assert refused.problems == {"/email": "required"}


def test_at_the_desk_an_address_and_a_password_make_a_profile(house: TestHouse, key: str) -> None:
    body = {
        "email": "ada@example.com",
        "password": "three words apart",
        "first_name": "Ada",
        "phone": "+1 212 555 0100",
    }
    made = house.call("POST", f"{CUSTOMERS}/quick_add", body, key=key, query={"_expand": "billing"})
    assert made.status == 200
    customer = made.json["customer"]
    assert customer["email"] == "ada@example.com"
    assert customer["billing"][0]["day_phone_e164"] == "+12125550100"
    assert customer["billing"][0]["default_billing"] is True
    assert "password" not in customer


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"/email": "required", "/password": "required"}),
        ({"email": "a@b.c"}, {"/password": "required"}),
        ({"email": "a@b.c", "password": "short"}, {"/password": "out_of_range"}),
        ({"email": "ada.b@example.com", "password": "ADA.B@example.com"}, {"/password": "invalid"}),
        ({"email": "a@b.c", "password": "line\nbreak and more"}, {"/password": "invalid"}),
        ({"email": "a@b.c", "password": "three words apart", "last_name": "x" * 31}, {"/last_name": "out_of_range"}),
    ],
)
def test_at_the_desk_address_and_password_are_required(
    house: TestHouse, key: str, body: dict[str, Any], problems: dict[str, str]
) -> None:
    before = house.everything()
    reply = house.call("POST", f"{CUSTOMERS}/quick_add", body, key=key)
    assert (reply.status, reply.problems) == (400, problems)
    assert house.everything() == before


# --- cards -----------------------------------------------------------------------------------------------------------


def test_a_card_comes_as_a_token_and_is_shown_masked(house: TestHouse, key: str) -> None:
    body = JANE | {"cards": [{"card_number_token": token(house)}]}
    card = house.call("POST", CUSTOMERS, body, key=key, query={"_expand": "cards"}).json["customer"]["cards"][0]
    assert card == {
        "card_expiration_month": 12,
        "card_expiration_year": 2030,
        "card_number": "XXXXXXXXXXXX1111",
        "card_type": "VISA",
        "customer_profile_credit_card_id": 1003,
        "customer_profile_oid": 1001,
    }
    assert "4111111111111111" not in house.everything()


def test_a_card_stays_where_a_profile_is_sent_back_and_goes_where_it_is_left_out(house: TestHouse, key: str) -> None:
    body = JANE | {"cards": [{"card_number_token": token(house)}]}
    read = house.call("POST", CUSTOMERS, body, key=key, query={"_expand": "cards"}).json["customer"]
    house.call("PUT", f"{CUSTOMERS}/1001", read | {"fax": "1"}, key=key)
    assert house.open_shop("DEMO").customers.get(1001).noun.cards[0].stored_card is not None  # type: ignore[index]
    house.call("PUT", f"{CUSTOMERS}/1001", {"cards": []}, key=key)
    assert not house.open_shop("DEMO").customers.get(1001).noun.cards


def test_a_stored_card_is_not_changed(house: TestHouse, key: str) -> None:
    body = JANE | {"cards": [{"card_number_token": token(house)}]}
    house.call("POST", CUSTOMERS, body, key=key)
    cards = [{"customer_profile_credit_card_id": 1003, "card_expiration_year": 2040}]
    reply = house.call("PUT", f"{CUSTOMERS}/1001", {"cards": cards}, key=key)
    assert reply.problems == {"/cards/0/card_expiration_year": "read_only"}


def test_a_token_is_good_for_two_hours(house: TestHouse, key: str) -> None:
    body = JANE | {"cards": [{"card_number_token": token(house)}]}
    house.clock.pass_(hours=2)
    assert house.call("POST", CUSTOMERS, body, key=key).problems == {"/cards/0/card_number_token": "unknown"}


def test_another_merchants_customers_are_as_if_they_were_not_there(house: TestHouse, key: str) -> None:
    house.call("POST", CUSTOMERS, JANE | {"cards": [{"card_number_token": token(house)}]}, key=key)
    other = house.found("OTHER")
    assert house.call("GET", f"{CUSTOMERS}/1001", key=other).status == 404
    assert house.call("GET", f"{CUSTOMERS}/by_email/jane%40example.com", key=other).status == 404
    assert house.call("PUT", f"{CUSTOMERS}/1001", {"fax": "1"}, key=other).status == 400
    stolen = {"email": "eve@example.com", "cards": [{"card_number_token": token(house)}]}
    assert house.call("POST", CUSTOMERS, stolen, key=other).problems == {"/cards/0/card_number_token": "unknown"}
    assert house.call("POST", CUSTOMERS, JANE, key=other).status == 200, "the address is unique within a shop"
