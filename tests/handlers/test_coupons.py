"""Coupons over HTTP: codes in any case, one kind each, and a list that is right at once."""

from typing import Any

import pytest

from chalicelib.flows.catalogue import MAXIMUM_COUPONS
from tests.houses import TestHouse

COUPONS = "/rest/v2/coupon/coupons"
TEN = {"merchant_code": "Ten", "description": "Ten off", "percent_off_subtotal": {"discount_percent": 10}}


def codes(reply: Any) -> list[str]:
    assert reply.status == 200, reply.body
    return [coupon["merchant_code"] for coupon in reply.json["coupons"]]


def test_a_coupon_is_inserted_and_read_back_whole_by_oid_and_by_code_in_any_case(house: TestHouse, key: str) -> None:
    made = house.call("POST", COUPONS, TEN, key=key)
    assert (made.status, made.headers["ETag"]) == (200, '"1"')
    assert made.json["coupon"] == TEN | {
        "coupon_oid": 1001,
        "coupon_type": "percent_off_subtotal",
        "calculated_description": "10% off the subtotal",
    }
    for path in ("/1001", "/merchant_code/Ten", "/merchant_code/tEN", "/merchant_code/%20ten%20"):
        assert house.call("GET", COUPONS + path, key=key).json == made.json


def test_whether_a_code_is_taken_can_be_asked(house: TestHouse, key: str) -> None:
    house.call("POST", COUPONS, TEN, key=key)
    for code, exists in (("TEN", True), ("ELEVEN", False)):
        reply = house.call("GET", f"{COUPONS}/merchant_code/{code}/exists", key=key)
        assert reply.json == {"exists": exists, "success": True, "metadata": {}}


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"/merchant_code": "required", "": "required"}),
        (TEN | {"merchant_code": "X" * 21}, {"/merchant_code": "out_of_range"}),
        (TEN | {"merchant_code": " TEN"}, {"/merchant_code": "invalid"}),
        (TEN | {"percent_off_subtotal": {"discount_percent": 101}},
         {"/percent_off_subtotal/discount_percent": "out_of_range"}),
        (TEN | {"percent_off_subtotal": {"discount_percent": -1}},
         {"/percent_off_subtotal/discount_percent": "out_of_range"}),
        (TEN | {"percent_off_subtotal": {"discount_percent": "1e-99999999"}},
         {"/percent_off_subtotal/discount_percent": "wrong_type"}),
        (TEN | {"free_shipping": {}}, {"/percent_off_subtotal": "conflict"}),
        (TEN | {"usable_by": "Nobody"}, {"/usable_by": "not_allowed_value"}),
        (TEN | {"usable_by": "OncePerNewCustomer"}, {"/usable_by": "not_available"}),
        (TEN | {"coupon_oid": 5, "coupon_type": "x"}, {"/coupon_oid": "read_only", "/coupon_type": "read_only"}),
        (TEN | {"no_discount": {}}, {"/no_discount": "unknown_field"}),
        (TEN | {"start_dts": "2027-02-01T00:00:00Z", "expiration_dts": "2027-01-01T00:00:00Z"},
         {"/expiration_dts": "conflict"}),
        ({"merchant_code": "FIVE", "amount_off_subtotal": {"discount_amount": 5, "currency_code": "EUR"}},
         {"/amount_off_subtotal/currency_code": "not_allowed_value"}),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_by_name_and_leaves_nothing(
    house: TestHouse, key: str, body: dict[str, Any], problems: dict[str, str]
) -> None:
    before = house.everything()
    reply = house.call("POST", COUPONS, body, key=key)
    assert (reply.status, reply.problems) == (400, problems)
    assert house.everything() == before


def test_a_code_is_taken_in_any_case(house: TestHouse, key: str) -> None:
    house.call("POST", COUPONS, TEN, key=key)
    before = house.everything()
    reply = house.call("POST", COUPONS, TEN | {"merchant_code": "TEN"}, key=key)
    assert (reply.status, reply.problems) == (400, {"/merchant_code": "duplicate"})
    assert house.everything() == before


def test_a_shop_has_so_many_coupons_and_no_more(house: TestHouse, key: str) -> None:
    shop = house.open_shop("DEMO")
    for number in range(MAXIMUM_COUPONS - 1):
        shop.write(shop.coupons.listed(f"CODE{number}"))
    assert house.call("POST", COUPONS, TEN, key=key).status == 200
    reply = house.call("POST", COUPONS, TEN | {"merchant_code": "TWENTY"}, key=key)
    assert (reply.status, reply.problems) == (400, {"": "too_many"})


# --- changes ---------------------------------------------------------------------------------------------------------


def test_a_coupon_that_was_read_can_be_changed_and_sent_back_twice(house: TestHouse, key: str) -> None:
    read = house.call("POST", COUPONS, TEN, key=key).json["coupon"]
    body = read | {"percent_off_subtotal": {"discount_percent": 15}}
    replies = [house.call("PUT", f"{COUPONS}/1001", body, key=key) for _ in range(2)]
    assert [(reply.status, reply.headers["ETag"]) for reply in replies] == [(200, '"2"'), (200, '"2"')]
    assert replies[0].json["coupon"]["calculated_description"] == "15% off the subtotal"


def test_another_kind_takes_the_place_of_the_old_one(house: TestHouse, key: str) -> None:
    house.call("POST", COUPONS, TEN, key=key)
    coupon = house.call("PUT", f"{COUPONS}/1001", {"free_shipping": {}}, key=key).json["coupon"]
    assert (coupon["coupon_type"], "percent_off_subtotal" in coupon) == ("free_shipping", False)
    both = {"free_shipping": {}, "amount_off_subtotal": {"discount_amount": 5}}
    assert house.call("PUT", f"{COUPONS}/1001", both, key=key).problems == {"/free_shipping": "conflict"}


def test_a_coupon_keeps_its_code_and_its_oid(house: TestHouse, key: str) -> None:
    house.call("POST", COUPONS, TEN, key=key)
    reply = house.call("PUT", f"{COUPONS}/1001", {"merchant_code": "TWENTY", "coupon_oid": 7}, key=key)
    assert reply.problems == {"/merchant_code": "read_only", "/coupon_oid": "read_only"}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_change_of_a_version_that_is_past_is_refused(house: TestHouse, key: str, method: str) -> None:
    house.call("POST", COUPONS, TEN, key=key)
    house.call("PUT", f"{COUPONS}/1001", {"description": "new"}, key=key, headers={"If-Match": '"1"'})
    stale = house.call(method, f"{COUPONS}/1001", {"description": "newer"}, key=key, headers={"If-Match": '"1"'})
    assert stale.status == 412
    assert house.call("GET", f"{COUPONS}/1001", key=key).json["coupon"]["description"] == "new"


def test_a_deleted_coupon_is_gone_everywhere_and_its_code_is_free(house: TestHouse, key: str) -> None:
    house.call("POST", COUPONS, TEN, key=key)
    assert house.call("DELETE", f"{COUPONS}/1001", key=key).status == 204
    assert house.call("GET", f"{COUPONS}/1001", key=key).status == 404
    assert house.call("GET", f"{COUPONS}/merchant_code/TEN", key=key).status == 404
    assert codes(house.call("GET", COUPONS, key=key)) == []
    assert house.call("POST", COUPONS, TEN, key=key).json["coupon"]["coupon_oid"] == 1002


# --- the list --------------------------------------------------------------------------------------------------------


@pytest.fixture
def full(house: TestHouse, key: str) -> TestHouse:
    house.call("POST", COUPONS, TEN, key=key)
    house.call(
        "POST",
        COUPONS,
        {
            "merchant_code": "SPRING",
            "description": "Five off in spring",
            "start_dts": "2027-03-01T00:00:00-05:00",
            "expiration_dts": "2027-05-31T23:59:59-04:00",
            "amount_off_subtotal": {"discount_amount": 5},
        },
        key=key,
    )
    old = {"merchant_code": "old", "expiration_dts": "2026-12-31T00:00:00-05:00", "free_shipping": {}}
    house.call("POST", COUPONS, old, key=key)
    return house


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["old", "SPRING", "Ten"]),
        ({"merchant_code": "spring"}, ["SPRING"]),
        ({"merchant_code": "SPR"}, []),
        ({"description": "OFF"}, ["SPRING", "Ten"]),
        ({"coupon_type": "free_shipping"}, ["old"]),
        ({"exclude_expired": "True"}, ["SPRING", "Ten"]),
        ({"start_date_begin": "2027-03-01", "start_date_end": "2027-03-01"}, ["SPRING"]),
        ({"expiration_date_begin": "2027-01-01T00:00:00+00:00"}, ["SPRING"]),
        ({"expiration_date_end": "2027-01-01"}, ["old"]),
        ({"_sort": "-merchant_code"}, ["Ten", "SPRING", "old"]),
        ({"_sort": "expiration_dts"}, ["old", "SPRING", "Ten"]),
        ({"_sort": "-expiration_dts,coupon_oid"}, ["SPRING", "old", "Ten"]),
        ({"_limit": "1", "_offset": "1"}, ["SPRING"]),
    ],
)
def test_coupons_are_found(full: TestHouse, key: str, query: dict[str, str], found: list[str]) -> None:
    assert codes(full.call("GET", COUPONS, key=key, query=query)) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, ["old", "SPRING", "Ten"]),
        ({"merchant_code_or_description": "te"}, ["Ten"]),
        ({"merchant_code_or_description": "SPRING", "exclude_expired": True}, ["SPRING"]),
        ({"start_dts_begin": "2027-01-01"}, ["SPRING"]),
    ],
)
def test_coupons_are_found_by_query(full: TestHouse, key: str, body: dict[str, Any], found: list[str]) -> None:
    reply = full.call("POST", f"{COUPONS}/query", body, key=key)
    assert codes(reply) == found
    assert reply.json["metadata"]["result_set"]["total_records"] == len(found)


def test_a_list_that_cannot_be_had_is_refused_by_name(full: TestHouse, key: str) -> None:
    query = {"colour": "red", "affiliate_oid": "5", "exclude_expired": "maybe"}
    assert full.call("GET", COUPONS, key=key, query=query).problems == {
        "/colour": "unknown_parameter",
        "/affiliate_oid": "not_available",
        "/exclude_expired": "not_allowed_value",
    }
    query = {"_sort": "colour", "start_date_begin": "soon", "expiration_date_end": "9999-12-31"}
    assert full.call("GET", COUPONS, key=key, query=query).problems == {
        "/_sort": "unknown_field",
        "/start_dts_begin": "invalid",
        "/expiration_dts_end": "invalid",
    }
    assert full.call("POST", f"{COUPONS}/query", {"affiliate_oid": 5}, key=key).problems == {
        "/affiliate_oid": "not_available"
    }


def test_another_merchants_coupons_are_as_if_they_were_not_there(full: TestHouse, key: str) -> None:
    other = full.found("OTHER")
    assert codes(full.call("GET", COUPONS, key=other)) == []
    assert full.call("GET", f"{COUPONS}/1001", key=other).status == 404
    assert full.call("GET", f"{COUPONS}/merchant_code/TEN", key=other).status == 404
    assert full.call("PUT", f"{COUPONS}/1001", {"description": "mine"}, key=other).status == 400
    assert full.call("DELETE", f"{COUPONS}/1001", key=other).status == 400
    assert codes(full.call("GET", COUPONS, key=key)) == ["old", "SPRING", "Ten"]
