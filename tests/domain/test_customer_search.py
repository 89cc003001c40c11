"""Searching customers: what a row holds, what patterns and words mean, which keys lead where, and the order."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ultracart.api.customer_api import CustomerApi
from ultracart.model.customer_query import CustomerQuery as SdkCustomerQuery

from chalicelib.domain.criteria import question_of
from chalicelib.domain.customer_search import (
    LONGEST,
    MOST_WORDS,
    CustomerQuery,
    customer_query,
    customer_query_of,
    decides,
    digits_of,
    folded,
    keys_of,
    lookups,
    matcher,
    row_of_customer,
    sort,
    sorting,
    words_query_of,
)
from chalicelib.domain.customers import (
    Customer,
    CustomerBilling,
    CustomerPricingTier,
    CustomerShipping,
    CustomerTag,
)
from chalicelib.domain.dates import parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.rows import Row

ZONE = "America/New_York"
NOW = parse_instant("2027-03-01T12:00:00Z")
ADDRESS: dict[str, Any] = {
    "first_name": "Ann",
    "last_name": "Lee",
    "company": "Acme Widgets, Inc.",
    "city": "Saint Petersburg",
    "state_region": "FL",
    "postal_code": "33701-1234",
    "country_code": "US",
    "day_phone": "(678) 555-0100",
    "evening_phone": "678.555.0199",
}
# What rows are meant to weigh, typically; the figure of a search is made of it.
TYPICAL_BYTES = 250


def customer(**fields: Any) -> Customer:
    typical: dict[str, Any] = {
        "customer_profile_oid": 1234567890,
        "email": "Ann.Lee@Example.com",
        "signup_dts": parse_instant("2026-01-31T15:00:00Z"),
        "last_modified_dts": parse_instant("2027-01-31T15:00:00Z"),
        "billing": [CustomerBilling(**ADDRESS)],
        "shipping": [CustomerShipping(**ADDRESS)],
        "tags": [CustomerTag(tag_value="VIP"), CustomerTag(tag_value="Whole sale")],
        "pricing_tiers": [CustomerPricingTier(pricing_tier_oid=7, name="Gold Dealers")],
        "qb_class": "Retail",
        "qb_code": "LEE, ANN",
    }
    return Customer(**typical | fields)


def row_of(noun: Customer) -> Row:
    """The row as it comes back from where it is kept."""
    kept: Row = json.loads(json.dumps(row_of_customer(noun, NOW)))
    return kept


def finds(noun: Customer | None = None, **criteria: Any) -> bool:
    return matcher(CustomerQuery(**criteria), ZONE)(row_of(noun or customer()))


def hears(words: str, noun: Customer | None = None) -> bool:
    return finds(noun, search_string=words)


def refused(act: Callable[[], object]) -> dict[str, str]:
    with pytest.raises(Invalid) as invalid:
        act()
    return {problem.pointer: f"{problem.code}: {problem.message}" for problem in invalid.value.problems}


# --- rows ------------------------------------------------------------------------------------------------------------


def test_a_typical_row_weighs_about_250_bytes() -> None:
    assert 150 < len(json.dumps(row_of(customer()), separators=(",", ":"))) < TYPICAL_BYTES


def test_a_row_of_nothing_is_found_by_nothing_but_the_empty_query() -> None:
    bare = Customer(email="a@b.org")
    assert finds(bare)
    for criteria in ({"billing_last_name": "*"}, {"shipping_company": "*"}, {"any_tags": ["*"]}, {"qb_class": "x"}):
        assert not finds(bare, **criteria)
    assert not finds(bare, signup_dts_start="2000-01-01")


@given(st.text(max_size=300))
def test_folding_twice_is_folding_once_and_stays_short(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert len(folded(text)) <= LONGEST


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GARCÍA", "garci\u0301a"),
        ("Straße", "STRASSE"),
        ("Ａｃｍｅ", "acme"),  # full width
        ("  Two   words ", "two WORDS"),
    ],
)
def test_texts_are_compared_in_any_case_and_any_form(one: str, other: str) -> None:
    assert folded(one) == folded(other)
    assert finds(customer(billing=[CustomerBilling(company=one)]), billing_company=other)


def test_phone_numbers_are_compared_by_their_digits_in_any_script() -> None:
    assert digits_of("+1 (678) 555-0100 x٢") == "167855501002"
    assert finds(billing_day_phone="678 555 0100", billing_evening_phone="6785550199")
    assert finds(billing_day_phone="678-555*")
    assert not finds(billing_day_phone="678-555-01")


# --- criteria --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("criterion", "value", "other"),
    [
        ("email", "ann.LEE@example.com", "ann.lee@example.org"),
        ("email", "A*@example.com", "B*@example.com"),
        ("email", "*@EXAMPLE.com", "*@example.org"),
        ("email", "ann*", "bob*"),
        ("emails", ["nobody@x.org", "ann*"], ["nobody@x.org"]),
        ("all_tags", ["vip", "WHOLE SALE"], ["vip", "retail"]),
        ("all_tags", ["v*", "whole*"], ["sale*"]),
        ("any_tags", ["retail", "Vip"], ["retail", "vips"]),
        ("qb_class", "retail", "reta"),
        ("quickbooks_code", "lee, *", "lee, b*"),
        ("pricing_tier_oid", 7, 8),
        ("pricing_tier_name", "gold*", "silver*"),
        *(
            (f"{side}_{name}", value, other)
            for side in ("billing", "shipping")
            for name, value, other in (
                ("first_name", "ann", "an"),
                ("last_name", "L*", "M*"),
                ("company", "ACME*", "Widgets*"),
                ("city", "saint  petersburg", "saint"),
                ("state", "fl", "ga"),
                ("postal_code", "33701*", "33702*"),
                ("country_code", "us", "ca"),
                ("day_phone", "6785550100", "6785550199"),
                ("evening_phone", "6785550199", "6785550100"),
            )
        ),
        ("signup_dts_start", "2026-01-31", "2026-02-01"),
        ("signup_dts_end", "2026-01-31", "2026-01-30"),
        ("last_modified_dts_start", "2027-01-31T10:00:00-05:00", "2027-01-31T10:00:01-05:00"),
        ("last_modified_dts_end", "2027-01-31", "2027-01-31T09:59:59-05:00"),
        ("since", "2027-03-01T12:00:00Z", "2027-03-01T12:00:01Z"),
    ],
)
def test_each_criterion_finds_who_is_meant_and_nobody_else(criterion: str, value: Any, other: Any) -> None:
    assert finds(**{criterion: value})
    assert not finds(**{criterion: other})


def test_every_criterion_of_the_contract_is_known() -> None:
    ours = set(CustomerQuery.__struct_fields__) - CustomerQuery.own
    assert ours == set(SdkCustomerQuery.openapi_types)
    api = CustomerApi()
    taken = {*api.get_customers_endpoint.attribute_map.values()}
    assert customer_query_of(dict.fromkeys(taken, "")) == CustomerQuery(since="")
    taken = {*api.search_customers_endpoint.attribute_map.values()}
    assert words_query_of(dict.fromkeys(taken, "")) == CustomerQuery(since="", search_string="")


def test_the_two_targets_of_a_query_are_the_same_here() -> None:
    for target in ("origin", "cache"):
        query = customer_query({"query_target": target}, None)
        assert question_of(query, ()) == question_of(CustomerQuery(), ())
    assert "/query_target" in refused(lambda: customer_query({"query_target": "moon"}, None))


def test_criteria_of_an_address_hold_in_one_and_the_same() -> None:
    book = customer(
        billing=[CustomerBilling(first_name="Ann", last_name="Smith"), CustomerBilling(first_name="Bob", city="Rome")],
        shipping=[CustomerShipping(first_name="Bob", last_name="Lee")],
    )
    assert finds(book, billing_first_name="Ann", billing_last_name="Smith", shipping_last_name="Lee")
    assert finds(book, billing_city="rome")
    assert not finds(book, billing_first_name="Bob", billing_last_name="Smith")
    assert not finds(book, billing_last_name="Lee")


@pytest.mark.parametrize("name", ["billing_last_name", "shipping_day_phone", "qb_class", "pricing_tier_name"])
@pytest.mark.parametrize("pattern", ["*5", "5*5", "*5*", "5**"])
def test_a_star_that_is_not_at_the_end_is_refused_with_what_is_allowed(name: str, pattern: str) -> None:
    problems = refused(lambda: finds(**{name: pattern}))
    assert problems == {f"/{name}": "not_allowed_value: a * is allowed at its end only, as in Smi*"}


@pytest.mark.parametrize("pattern", ["*a*", "a*b*c", "**"])
def test_a_second_star_in_an_address_is_refused_with_what_is_allowed(pattern: str) -> None:
    allowed = "not_allowed_value: one * is allowed, anywhere in it, as in Y*@gmail.com"
    assert refused(lambda: finds(email=pattern)) == {"/email": allowed}
    assert refused(lambda: finds(emails=["ann*", pattern])) == {"/emails/1": allowed}
    assert refused(lambda: hears(pattern)) == {"/search_string": allowed}


def test_what_stands_before_the_star_and_after_it_does_not_overlap() -> None:
    assert finds(customer(email="ab@b.org"), email="ab@*@b.org") is False
    assert finds(customer(email="ab@b@b.org"), email="ab@*@b.org")


def test_everything_that_is_wrong_is_told_at_once() -> None:
    problems = refused(lambda: finds(email="**", billing_city="*x", billing_day_phone="none", signup_dts_end="soon"))
    assert {pointer: text.partition(":")[0] for pointer, text in problems.items()} == {
        "/email": "not_allowed_value",
        "/billing_city": "not_allowed_value",
        "/billing_day_phone": "invalid",
        "/signup_dts_end": "invalid",
    }


@pytest.mark.parametrize("name", ["all_tags", "colour", "search_string", "emails"])
def test_what_is_no_parameter_is_refused_by_name(name: str) -> None:
    assert refused(lambda: customer_query_of({name: "x"})).keys() == {f"/{name}"}


def test_a_search_for_words_takes_no_other_criteria_than_dates() -> None:
    assert refused(lambda: words_query_of({"search_string": "x", "email": "y"})).keys() == {"/email"}


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "lee",
        "LEE ann",
        "Ann Lee",
        "widgets",
        "acme inc",
        "saint pet",
        "petersburg",
        "33701",
        "1234",
        "ann.lee",
        "example",
        "ann.lee@",
        "A*@example.com",
        "*@example.com",
        "555-0100",
        "(678) 555",
        "0199",
        "wid*",
        "*",
        "",
    ],
)
def test_words_find_whoever_has_them_all_in_any_order_and_case(words: str) -> None:
    assert hears(words)


@pytest.mark.parametrize(
    "words", ["leeds", "nn", "ann smith", "etersburg", "lee@", "B*@example.com", "555-0101", "fl", "vip", "00"]
)
def test_words_find_nobody_who_lacks_one_of_them(words: str) -> None:
    assert not hears(words)


def test_words_are_found_in_any_address_of_the_book_and_in_any_form() -> None:
    book = customer(shipping=[CustomerShipping(last_name="Großmann", company="O'Neill", day_phone="01234")])
    for words in ("GROSSMANN", "neill", "123 großmann"):
        assert hears(words, book)
        assert not hears(words)


def test_words_are_found_in_an_address_in_any_form_too() -> None:
    assert hears("STRASSE", customer(email="Ann.Straße@example.com"))


def test_more_words_or_letters_than_anybody_remembers_are_refused() -> None:
    assert hears(" ".join(["lee"] * MOST_WORDS))
    assert refused(lambda: hears(" ".join(["lee"] * (MOST_WORDS + 1)))).keys() == {"/search_string"}
    assert refused(lambda: hears("x" * (LONGEST + 1))).keys() == {"/search_string"}


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_profile_has_a_key_for_each_value_with_the_places_where_it_stands() -> None:
    noun = customer(shipping=[CustomerShipping(**ADDRESS | {"last_name": "Roe", "evening_phone": "678-555-0100"})])
    assert keys_of(row_of(noun)) == {
        ("email", "ann.lee@example.com"): "",
        ("email_reversed", "moc.elpmaxe@eel.nna"): "",
        ("last_name", "lee"): "b",
        ("last_name", "roe"): "s",
        ("company", "acme widgets, inc."): "bs",
        ("postal_code", "33701-1234"): "bs",
        ("phone", "6785550100"): "dDE",
        ("phone", "6785550199"): "e",
    }


@pytest.mark.parametrize(
    ("criteria", "sort", "by_keys"),
    [
        ({}, None, True),
        ({}, "-email", True),
        ({}, "signup_dts", False),
        ({"since": "2027-01-01"}, None, False),
        ({"email": "a*"}, "email", True),
        ({"emails": ["a*", "*b"]}, None, True),
        ({"email": "a*"}, "billing.city", False),
        ({"billing_last_name": "Lee"}, None, True),
        ({"billing_last_name": "Lee"}, "email", False),
        ({"billing_last_name": "Lee", "billing_city": "Rome"}, None, False),
        ({"billing_last_name": "Lee", "billing_postal_code": "1"}, None, False),
        ({"billing_city": "Rome"}, None, False),
        ({"search_string": "Y*@gmail.com"}, None, True),
        ({"search_string": "Y*@gmail.com lee"}, None, False),
        ({"search_string": "lee"}, None, False),
    ],
)
def test_keys_alone_decide_where_one_field_that_has_them_is_asked_for(
    criteria: dict[str, Any], sort: str | None, by_keys: bool
) -> None:
    assert (decides(CustomerQuery(**criteria), sorting(sort)) is not None) == by_keys


def test_a_pattern_in_an_address_has_a_way_from_each_end() -> None:
    def ways(pattern: str) -> list[tuple[str, str, bool]]:
        [[lookup]] = lookups(CustomerQuery(email=pattern))
        return [(way.field, way.begins, way.whole) for way in lookup.ways]

    assert ways("Y*@gmail.com") == [("email", "y", False), ("email_reversed", "moc.liamg@", False)]
    assert ways("*@gmail.com") == [("email_reversed", "moc.liamg@", False)]
    assert ways("Y*") == [("email", "y", False)]
    assert ways("y@gmail.com") == [("email", "y@gmail.com", True)]


# --- order -----------------------------------------------------------------------------------------------------------


def test_rows_come_by_oid_and_in_the_order_that_is_asked_for() -> None:
    def placed(oid: int, email: str, city: str | None) -> tuple[str, Row]:
        books = [CustomerBilling(city="Aachen"), CustomerBilling(city=city, default_billing=True)] if city else None
        return str(oid), row_of(Customer(email=email, billing=books))

    rows = [placed(20, "b@x.org", "Rome"), placed(3, "C@x.org", None), placed(100, "a@x.org", "athens")]

    def names(text: str | None) -> list[int]:
        return [int(name) for name, _ in sort(rows, sorting(text))]

    assert names(None) == [3, 20, 100]
    assert names("-customer_profile_oid") == [100, 20, 3]
    assert names("email") == [100, 20, 3]
    assert names("-email") == [3, 20, 100]
    # By the default address, missing ones last, either way.
    assert names("billing.city") == names("billing_city") == [100, 20, 3]
    assert names("-billing.city,email") == [20, 100, 3]


def test_a_field_that_cannot_be_sorted_by_is_refused_with_those_that_can() -> None:
    [text] = refused(lambda: sorting("tags")).values()
    assert "billing.last_name" in text
    assert refused(lambda: sorting("email,-email")).keys() == {"/_sort"}
