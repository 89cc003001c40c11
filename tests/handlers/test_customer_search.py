"""Finding customers over HTTP: criteria with wildcards, words, pages, and what a list shows of each."""

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.houses import Reply, TestHouse

CUSTOMERS = "/rest/v2/customer/customers"


def people(house: TestHouse, key: str) -> dict[str, int]:
    """Four customers, by their first names; their oids."""
    found: dict[str, int] = {}
    for first, email, address in (
        ("Yann", "Yann@gmail.com", {"last_name": "Lee", "city": "Duluth", "day_phone": "(678) 555-0100"}),
        ("Yolanda", "yo@GMAIL.com", {"last_name": "García", "company": "Acme Widgets", "postal_code": "30097"}),
        ("Bo", "bo@gmail.com", {"last_name": "LEE", "city": "Rome"}),
        ("Zoë", "zoe@example.com", {"last_name": "Leeds"}),
    ):
        body = {"email": email, "billing": [{"first_name": first, **address}]}
        reply = house.call("POST", CUSTOMERS, body, key=key)
        found[first] = reply.json["customer"]["customer_profile_oid"]
    return found


def oids(reply: Reply) -> list[int]:
    assert reply.status == 200, reply.body
    return [customer["customer_profile_oid"] for customer in reply.json["customers"]]


@pytest.mark.parametrize(
    ("criteria", "names"),
    [
        ({}, ["Yann", "Yolanda", "Bo", "Zoë"]),
        ({"email": "Y*@gmail.com"}, ["Yann", "Yolanda"]),
        ({"email": "*@Gmail.com"}, ["Yann", "Yolanda", "Bo"]),
        ({"email": "ZOE@example.com"}, ["Zoë"]),
        ({"billing_last_name": "lee"}, ["Yann", "Bo"]),
        ({"billing_last_name": "LEE*", "_sort": "-email"}, ["Zoë", "Yann", "Bo"]),
        ({"billing_last_name": "garcia"}, []),
        ({"billing_last_name": "GARCÍA"}, ["Yolanda"]),
        ({"billing_day_phone": "678-555*"}, ["Yann"]),
        ({"billing_city": "rome"}, ["Bo"]),
        ({"billing_company": "acme*", "billing_postal_code": "30097"}, ["Yolanda"]),
        ({"signup_dts_start": "2027-02-01"}, []),
        ({"_since": "2027-01-31"}, ["Yann", "Yolanda", "Bo", "Zoë"]),
        ({"_sort": "billing.first_name"}, ["Bo", "Yann", "Yolanda", "Zoë"]),
    ],
)
def test_criteria_find_who_is_meant_by_get_and_by_query(
    house: TestHouse, key: str, criteria: dict[str, str], names: list[str]
) -> None:
    known = people(house, key)
    wanted = [known[name] for name in names]
    assert oids(house.call("GET", CUSTOMERS, key=key, query=criteria)) == wanted
    body = {name: value for name, value in criteria.items() if not name.startswith("_")}
    paging = {name: value for name, value in criteria.items() if name.startswith("_")}
    assert oids(house.call("POST", f"{CUSTOMERS}/query", body, key=key, query=paging)) == wanted


def test_a_query_names_several_addresses_and_tags(house: TestHouse, key: str) -> None:
    known = people(house, key)
    house.call("PUT", f"{CUSTOMERS}/{known['Bo']}", {"tags": [{"tag_value": "VIP"}, {"tag_value": "new"}]}, key=key)

    def found(**body: Any) -> list[int]:
        return oids(house.call("POST", f"{CUSTOMERS}/query", body, key=key))

    assert found(emails=["bo@gmail.com", "z*"], email="yo@gmail.com", query_target="cache") == [
        known["Yolanda"],
        known["Bo"],
        known["Zoë"],
    ]
    assert found(all_tags=["vip", "n*"]) == found(any_tags=["vip", "old"]) == [known["Bo"]]
    assert found(all_tags=["vip", "old"]) == []


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("lee", ["Yann", "Bo", "Zoë"]),
        ("LEE yann", ["Yann"]),
        ("duluth lee", ["Yann"]),
        ("widgets", ["Yolanda"]),
        ("Y*@gmail.com", ["Yann", "Yolanda"]),
        ("555-0100", ["Yann"]),
        ("nobody", []),
    ],
)
def test_words_find_who_has_them(house: TestHouse, key: str, words: str, names: list[str]) -> None:
    known = people(house, key)
    reply = house.call("GET", f"{CUSTOMERS}/search", key=key, query={"search_string": words})
    assert oids(reply) == [known[name] for name in names]


@pytest.mark.parametrize(
    ("path", "query", "pointer", "code"),
    [
        ("", {"email": "*a*"}, "/email", "not_allowed_value"),
        ("", {"billing_city": "*x"}, "/billing_city", "not_allowed_value"),
        ("", {"billing_day_phone": "none"}, "/billing_day_phone", "invalid"),
        ("", {"pricing_tier_oid": "gold"}, "/pricing_tier_oid", "wrong_type"),
        ("", {"colour": "red"}, "/colour", "unknown_parameter"),
        ("", {"emails": "a@b.org"}, "/emails", "unknown_parameter"),
        ("", {"_sort": "tags"}, "/_sort", "unknown_field"),
        ("", {"_since": "soon"}, "/_since", "invalid"),
        ("", {"_expand": "orders_summary"}, "/_limit", "out_of_range"),
        ("/search", {"search_string": "*a*"}, "/search_string", "not_allowed_value"),
        ("/search", {"email": "a@b.org"}, "/email", "unknown_parameter"),
    ],
)
def test_what_cannot_be_searched_is_refused_by_name(
    house: TestHouse, key: str, path: str, query: dict[str, str], pointer: str, code: str
) -> None:
    reply = house.call("GET", CUSTOMERS + path, key=key, query=query)
    assert (reply.status, reply.problems) == (400, {pointer: code})


def test_a_query_says_what_it_does_not_know(house: TestHouse, key: str) -> None:
    reply = house.call("POST", f"{CUSTOMERS}/query", {"colour": "red", "emails": "a@b.org"}, key=key)
    assert (reply.status, reply.problems) == (400, {"/colour": "unknown_field", "/emails": "wrong_type"})
    reply = house.call("POST", f"{CUSTOMERS}/query", {}, key=key, query={"email": "a@b.org"})
    assert (reply.status, reply.problems) == (400, {"/email": "unknown_parameter"})


def test_pages_say_how_many_there_are_and_where_to_go_on(house: TestHouse, key: str) -> None:
    known = list(people(house, key).values())
    query = {"_limit": "3", "_sort": "customer_profile_oid"}
    first = house.call("GET", CUSTOMERS, key=key, query=query)
    assert oids(first) == known[:3]
    result_set = {"count": 3, "limit": 3, "offset": 0, "total_records": 4, "more": True, "next_offset": 3}
    assert first.json["metadata"] == {"payload_name": "customers", "result_set": result_set}
    second = house.call("GET", CUSTOMERS, key=key, query=query | {"_offset": "3"})
    assert (oids(second), second.json["metadata"]["result_set"]["more"]) == (known[3:], False)


def test_a_list_shows_the_blocks_that_are_asked_for(house: TestHouse, key: str) -> None:
    people(house, key)
    query = {"email": "bo@gmail.com", "_expand": "billing,orders_summary", "_limit": "50"}
    [customer] = house.call("GET", CUSTOMERS, key=key, query=query).json["customers"]
    assert customer["billing"][0]["last_name"] == "LEE"
    assert customer["orders_summary"]["order_count"] == 0
    [bare] = house.call("GET", CUSTOMERS, key=key, query={"email": "bo@gmail.com"}).json["customers"]
    assert "billing" not in bare


def test_a_change_is_found_at_once_and_who_is_deleted_is_not(house: TestHouse, key: str) -> None:
    known = people(house, key)
    house.call("PUT", f"{CUSTOMERS}/{known['Bo']}", {"email": "bo@example.org"}, key=key)
    assert oids(house.call("GET", CUSTOMERS, key=key, query={"email": "bo@gmail.com"})) == []
    assert oids(house.call("GET", CUSTOMERS, key=key, query={"email": "*.org"})) == [known["Bo"]]
    assert house.call("DELETE", f"{CUSTOMERS}/{known['Bo']}", key=key).status == 204
    for query in ({}, {"email": "bo*"}, {"billing_city": "rome"}):
        assert known["Bo"] not in oids(house.call("GET", CUSTOMERS, key=key, query=query))


def test_one_who_is_deleted_between_two_pages_leaves_no_short_page(house: TestHouse, key: str) -> None:
    known = list(people(house, key).values())
    house.call("GET", CUSTOMERS, key=key, query={"_limit": "2"})
    house.call("DELETE", f"{CUSTOMERS}/{known[3]}", key=key)
    page = house.call("GET", CUSTOMERS, key=key, query={"_limit": "2", "_offset": "2"}).json["customers"]
    assert [customer.get("email") for customer in page] == ["bo@gmail.com", None]
    assert page[1] == {"customer_profile_oid": known[3]}


def test_another_merchants_customers_are_never_found(house: TestHouse, key: str) -> None:
    people(house, key)
    theirs = house.found("OTHER")
    for query in ({}, {"email": "y*"}, {"billing_city": "rome"}, {"billing_last_name": "lee"}):
        assert oids(house.call("GET", CUSTOMERS, key=theirs, query=query)) == []
    assert oids(house.call("GET", f"{CUSTOMERS}/search", key=theirs, query={"search_string": "lee"})) == []
    assert oids(house.call("POST", f"{CUSTOMERS}/query", {"email": "bo@gmail.com"}, key=theirs)) == []


def test_customers_of_a_pricing_tier_are_found_by_its_oid_and_by_the_name_that_it_has_now(
    house: TestHouse, key: str
) -> None:
    known = people(house, key)
    tiers = "/rest/v2/configuration/pricing_tiers"
    kept = house.call("PUT", tiers, {"tiers": [{"name": "Gold"}, {"name": "Silver"}]}, key=key).json["pricing_tiers"]
    gold, silver = kept["tiers"]
    house.call("PUT", f"{CUSTOMERS}/{known['Bo']}", {"pricing_tiers": [{"name": "Gold"}]}, key=key)

    def found(**query: str) -> list[int]:
        return oids(house.call("GET", CUSTOMERS, key=key, query=query))

    assert found(pricing_tier_oid=str(gold["pricing_tier_oid"])) == found(pricing_tier_name="G*") == [known["Bo"]]
    assert found(pricing_tier_oid=str(silver["pricing_tier_oid"])) == found(pricing_tier_name="silver") == []
    house.call("PUT", tiers, {"tiers": [gold | {"name": "Best friends"}]}, key=key)
    assert (found(pricing_tier_name="best*"), found(pricing_tier_name="gold")) == ([known["Bo"]], [])
    house.call("PUT", tiers, {"tiers": []}, key=key)
    assert found(pricing_tier_name="gold") == found(pricing_tier_name="G*", email="bo*") == [known["Bo"]]


# --- for the DataTables plugin ---------------------------------------------------------------------------------------

COLUMNS = ("email", "billing.0.first_name", "billing.last_name", "signup_dts")
TABLE = f"{CUSTOMERS}/dataTables"


def form(**fields: str) -> bytes:
    """A request as the plugin writes it."""
    sent = {"draw": "3", "start": "0", "length": "10", "search[value]": "", "search[regex]": "false"}
    for position, name in enumerate(COLUMNS):
        sent |= {f"columns[{position}][data]": name, f"columns[{position}][search][value]": ""}
    return urlencode(sent | fields).encode()


@pytest.mark.parametrize(
    ("fields", "names", "filtered"),
    [
        ({}, ["Yann", "Yolanda", "Bo", "Zoë"], 4),
        ({"search[value]": "lee"}, ["Yann", "Bo", "Zoë"], 3),
        ({"columns[0][search][value]": "y"}, ["Yann", "Yolanda"], 2),
        ({"columns[0][search][value]": "*@gmail.com", "columns[2][search][value]": "LEE"}, ["Yann", "Bo"], 2),
        ({"order[0][column]": "0", "order[0][dir]": "desc"}, ["Zoë", "Yolanda", "Yann", "Bo"], 4),
        ({"order[0][column]": "1", "order[0][dir]": "asc"}, ["Bo", "Yann", "Yolanda", "Zoë"], 4),
        ({"start": "1", "length": "2"}, ["Yolanda", "Bo"], 4),
        ({"length": "-1"}, ["Yann", "Yolanda", "Bo", "Zoë"], 4),
    ],
)
def test_a_table_is_drawn_page_by_page(
    house: TestHouse, key: str, fields: dict[str, str], names: list[str], filtered: int
) -> None:
    known = people(house, key)
    reply = house.call("POST", TABLE, form(**fields), key=key)
    assert (reply.status, oids_of(reply)) == (200, [known[name] for name in names]), reply.body
    told = {name: value for name, value in reply.json.items() if name != "data"}
    assert told == {"draw": 3, "recordsFiltered": filtered, "recordsTotal": 4}


def test_a_table_may_ask_in_json_and_with_nothing_at_all(house: TestHouse, key: str) -> None:
    known = people(house, key)
    column = {"data": "billing.last_name", "search": {"value": "leeds", "regex": False}}
    body = {"draw": 1, "columns": [column], "order": [{"column": 0, "dir": "asc"}], "start": 0, "length": 5}
    assert oids_of(house.call("POST", TABLE, body, key=key)) == [known["Zoë"]]
    everybody = house.call("POST", TABLE, key=key, query={"_expand": "billing"})
    assert oids_of(everybody) == list(known.values())
    assert everybody.json["data"][0]["billing"][0]["last_name"] == "Lee"


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        (form(**{"columns[3][search][value]": "2027"}), {"/columns/3/search": "unknown_field"}),
        (form(**{"search[value]": "l.*e", "search[regex]": "true"}), {"/search/regex": "not_allowed_value"}),
        (form(**{"order[0][column]": "9"}), {"/order/0": "unknown_field"}),
        (form(start="-5", length="many"), {"/start": "wrong_type", "/length": "wrong_type"}),
        (form(**{"columns[1][search][value]": "*x"}), {"/billing_first_name": "not_allowed_value"}),
        (form(search="x"), {"": "malformed_form"}),
        ({"colour": "red"}, {"/colour": "unknown_field"}),
        (b"a=1&" * 2000, {"": "malformed_form"}),
        (b"[]", {"": "wrong_type"}),
    ],
)
def test_what_a_table_cannot_ask_is_refused_by_name(
    house: TestHouse, key: str, body: Any, problems: dict[str, str]
) -> None:
    reply = house.call("POST", TABLE, body, key=key)
    assert (reply.status, reply.problems) == (400, problems)


def oids_of(reply: Reply) -> list[int]:
    return [customer["customer_profile_oid"] for customer in reply.json["data"]]


# --- values while somebody types -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "values"),
    [
        ({"category": "last_name", "matches": "l"}, {"lee": "Lee", "leeds": "Leeds"}),
        ({"category": "last_name", "matches": "LEE*", "max_hits": 1}, {"lee": "Lee"}),
        ({"category": "last_name", "matches": "garcía"}, {"garcía": "García"}),
        ({"category": "email", "matches": "y"}, {"yann@gmail.com": "Yann@gmail.com", "yo@gmail.com": "yo@GMAIL.com"}),
        ({"category": "phone", "matches": "678-5"}, {"6785550100": "(678) 555-0100"}),
        ({"category": "company"}, {"acme widgets": "Acme Widgets"}),
        ({"category": "postal_code", "matches": "9"}, {}),
    ],
)
def test_values_that_begin_so_are_offered_as_customers_write_them(
    house: TestHouse, key: str, asked: dict[str, Any], values: dict[str, str]
) -> None:
    people(house, key)
    reply = house.call("POST", "/rest/v2/customer/search", asked, key=key)
    assert reply.status == 200, reply.body
    assert {entry["key"]: entry["value"] for entry in reply.json["values"]} == values


@pytest.mark.parametrize(
    ("asked", "problems"),
    [
        ({"matches": "x"}, {"/category": "required"}),
        ({"category": "tags"}, {"/category": "not_allowed_value"}),
        ({"category": "email", "subcategory": "x", "storefront_oid": 1},
         {"/subcategory": "not_available", "/storefront_oid": "not_available"}),
        ({"category": "email", "max_hits": 101}, {"/max_hits": "out_of_range"}),
    ],
)  # fmt: skip
def test_values_of_what_has_no_keys_are_refused_by_name(
    house: TestHouse, key: str, asked: dict[str, Any], problems: dict[str, str]
) -> None:
    reply = house.call("POST", "/rest/v2/customer/search", asked, key=key)
    assert (reply.status, reply.problems) == (400, problems)
