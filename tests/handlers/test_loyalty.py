"""Loyalty and gift certificates over HTTP: whose they are, and what their calls refuse."""

import pytest

from chalicelib.handlers.http import ROUTES
from tests.houses import TestHouse

CUSTOMERS = "/rest/v2/customer/customers"
CERTIFICATES = "/rest/v2/gift_certificate/gift_certificates"
PROGRAM = "/rest/v2/configuration/loyalty_program"


def test_another_merchants_customers_and_certificates_are_not_there(house: TestHouse) -> None:
    key, other = house.found(), house.found("OTHER")
    for one in (key, other):
        assert house.call("PUT", PROGRAM, {"active": True}, key=one).status == 200
    oid = house.call("POST", CUSTOMERS, {"email": "ada@example.com"}, key=key).json["customer"]["customer_profile_oid"]
    entry = {"type": "Credit", "description": "Goodwill", "loyalty_points": 5, "ledger_dts": "2027-03-01T00:00:00Z"}
    made = house.call("POST", f"{CUSTOMERS}/{oid}/loyalty/ledger_entries", entry, key=key).json["loyalty_balance"]
    house.call("POST", f"{CUSTOMERS}/{oid}/store_credit", {"amount": 5}, key=key)
    certificate = house.call("POST", CERTIFICATES, {"amount": 5, "email": "ada@example.com"}, key=key).json
    number, code = (certificate["gift_certificate"][name] for name in ("gift_certificate_oid", "code"))
    before = house.everything()
    one = f"{CUSTOMERS}/{oid}"
    calls = [
        ("GET", f"{one}/loyalty", None),
        ("GET", f"{one}/loyalty/past_ledger", None),
        ("GET", f"{one}/loyalty/future_ledger", None),
        ("GET", f"{one}/loyalty/verification", None),
        ("GET", f"{one}/store_credit", None),
        ("POST", f"{one}/store_credit", {"amount": 5}),
        ("POST", f"{one}/adjust_loyalty_points", {"description": "x", "loyalty_points": 5}),
        ("POST", f"{one}/adjust_cashback_balance", {"description": "x", "adjustment_amount": 5}),
        ("POST", f"{one}/loyalty/ledger_entries", entry),
        ("DELETE", f"{one}/loyalty/future_ledger/{made['loyalty_ledger_oid']}", None),
        ("POST", f"{CERTIFICATES}/{number}", None),
        ("POST", f"{CERTIFICATES}/by_code/{code}", None),
        ("PUT", f"{CERTIFICATES}/{number}", {"merchant_note": "x"}),
        ("POST", f"{CERTIFICATES}/{number}/ledger_entry", {"amount": 5, "description": "x"}),
        ("DELETE", f"{CERTIFICATES}/{number}", None),
    ]
    for method, path, body in calls:
        reply = house.call(method, path, body, key=other)
        assert reply.status == (404 if method == "GET" else 400), path
        assert reply.json["code"] == "not_found", path
    for path, body in ((f"{CERTIFICATES}/by_email/ada@example.com", None), (f"{CERTIFICATES}/query", {"code": code})):
        assert house.call("POST", path, body, key=other).json["gift_certificates"] == []
    assert house.everything() == before


def test_the_programme_is_one_section_under_its_version(house: TestHouse) -> None:
    key = house.found()
    assert house.call("GET", PROGRAM, key=key).json["loyalty_program"] == {}
    reply = house.call("PUT", PROGRAM, {"active": True, "points_per_dollar": 1.5}, key=key)
    assert (reply.status, reply.headers["ETag"]) == (200, '"1"')
    assert house.call("PUT", PROGRAM, {"active": False}, key=key, headers={"If-Match": '"7"'}).status == 412
    reply = house.call("PUT", PROGRAM, {"points_per_dollar": -1, "vesting_days": "x", "point": 1}, key=key)
    assert reply.problems == {
        "/points_per_dollar": "out_of_range",
        "/vesting_days": "wrong_type",
        "/point": "unknown_field",
    }


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ({"amount": 0}, "/amount"),
        ({"amount": -5}, "/amount"),
        ({"amount": 1.234}, "/amount"),
        ({}, "/amount"),
        ({"amount": 5, "expiration_dts": "2020-01-01T00:00:00Z"}, "/expiration_dts"),
        ({"amount": 5, "code": "MINE"}, "/code"),
    ],
)
def test_a_certificate_needs_an_amount_in_whole_coins_and_a_date_to_come(
    house: TestHouse, raw: dict[str, object], pointer: str
) -> None:
    reply = house.call("POST", CERTIFICATES, raw, key=house.found())
    assert reply.status == 400
    assert pointer in reply.problems


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ({"adjustment_amount": 0, "description": "x"}, "/adjustment_amount"),
        ({"adjustment_amount": 5}, "/description"),
        ({"adjustment_amount": 5, "description": "x" * 51}, "/description"),
        ({"adjustment_amount": 5, "description": "x", "vesting_days": 9, "expiration_days": 9}, "/expiration_days"),
        ({"adjustment_amount": -5, "description": "x", "vesting_days": 9}, "/vesting_days"),
        ({"adjustment_amount": 5, "description": "x", "entry_dts": "2037-01-01T00:00:00Z"}, "/entry_dts"),
    ],
)
def test_an_adjustment_of_cashback_says_what_is_wrong_with_it(
    house: TestHouse, raw: dict[str, object], pointer: str
) -> None:
    key = house.found()
    oid = house.call("POST", CUSTOMERS, {"email": "ada@example.com"}, key=key).json["customer"]["customer_profile_oid"]
    reply = house.call("POST", f"{CUSTOMERS}/{oid}/adjust_cashback_balance", raw, key=key)
    assert reply.status == 400
    assert pointer in reply.problems


def test_points_are_not_moved_where_the_programme_gives_cashback(house: TestHouse) -> None:
    key = house.found()
    oid = house.call("POST", CUSTOMERS, {"email": "ada@example.com"}, key=key).json["customer"]["customer_profile_oid"]
    house.call("PUT", PROGRAM, {"active": True, "reward_type": "cashback"}, key=key)
    asked = {"description": "x", "loyalty_points": 5}
    reply = house.call("POST", f"{CUSTOMERS}/{oid}/adjust_loyalty_points", asked, key=key)
    assert reply.problems == {"": "not_available"}
    assert "adjust_cashback_balance" in reply.message("")


def test_a_person_who_enters_points_is_named_and_cannot_be_forged(house: TestHouse) -> None:
    key = house.found()
    oid = house.call("POST", CUSTOMERS, {"email": "ada@example.com"}, key=key).json["customer"]["customer_profile_oid"]
    house.call("PUT", PROGRAM, {"active": True}, key=key)
    entry = {"type": "Credit", "description": "Goodwill", "loyalty_points": 5}
    path = f"{CUSTOMERS}/{oid}/loyalty/ledger_entries"
    assert house.call("POST", path, entry | {"created_by": "somebody else"}, key=key).status == 400
    assert house.call("POST", path, entry, key=key).status == 200
    lines = house.call("GET", f"{CUSTOMERS}/{oid}/loyalty/past_ledger", key=key).json["past_ledger"]
    assert [line["created_by"] for line in lines] == ["test"]


def test_what_would_be_on_a_certificate_is_told_before_and_the_same_key_adds_an_entry_once(house: TestHouse) -> None:
    key = house.found()
    made = house.call("POST", CERTIFICATES, {"amount": 25}, key=key).json["gift_certificate"]
    path = f"{CERTIFICATES}/{made['gift_certificate_oid']}"
    entry = {"amount": -10, "description": "Paid at the stall"}
    before = house.everything()
    told = house.call("POST", f"{path}/ledger_entry", entry, key=key, query={"dry_run": "true"})
    assert told.json["gift_certificate"]["remaining_balance"] == 15
    assert house.everything() == before
    too_much = house.call("POST", f"{path}/ledger_entry", entry | {"amount": -26}, key=key, query={"dry_run": "true"})
    assert too_much.status == 400
    for _ in range(2):
        done = house.call("POST", f"{path}/ledger_entry", entry, key=key, headers={"Idempotency-Key": "pressed twice"})
        assert done.json["gift_certificate"]["remaining_balance"] == 15
    assert len(house.call("POST", path, key=key).json["gift_certificate"]["ledger_entries"]) == 2


def test_no_call_changes_or_removes_an_entry() -> None:
    ledgers = ("past_ledger", "ledger_entries", "ledger_entry")
    found = [route for route in ROUTES if route.path.rpartition("/")[2] in ledgers or "/past_ledger/" in route.path]
    assert {(route.method, route.path.rpartition("/")[2]) for route in found} == {
        ("GET", "past_ledger"),
        ("POST", "ledger_entries"),
        ("POST", "ledger_entry"),
    }
