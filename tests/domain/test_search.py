"""Searching: what a row holds, what a query means, and in what order the rows come."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ultracart.api.auto_order_api import AutoOrderApi
from ultracart.api.item_api import ItemApi
from ultracart.api.order_api import OrderApi
from ultracart.model.auto_order_query import AutoOrderQuery as SdkAutoOrderQuery
from ultracart.model.order_query import OrderQuery as SdkOrderQuery

from chalicelib.domain.auto_orders import AutoOrder, AutoOrderItem
from chalicelib.domain.criteria import question_of
from chalicelib.domain.dates import parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.heads import Head
from chalicelib.domain.items import Item
from chalicelib.domain.money import Currency
from chalicelib.domain.orders import (
    Order,
    OrderBilling,
    OrderCheckout,
    OrderItem,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderShipping,
    OrderSummary,
)
from chalicelib.domain.rows import Row
from chalicelib.domain.search import (
    COLUMNS,
    LAST_VERSION,
    LONGEST_TEXT,
    SORT_FIELDS,
    UNAVAILABLE,
    AutoOrderQuery,
    ItemQuery,
    Kind,
    OrderQuery,
    Query,
    auto_order_query,
    auto_order_query_of,
    item_query_of,
    matcher,
    order_query,
    order_query_of,
    row_of_auto_order,
    row_of_item,
    row_of_order,
    shortened,
    sort,
    sorting,
    version_of_auto_order,
    version_of_item,
)

ZONE = "America/New_York"
NOW = parse_instant("2027-03-01T12:00:00Z")
PLACED = parse_instant("2027-01-31T15:00:00Z")
PAID = parse_instant("2027-01-31T15:00:05Z")
SHIPS = parse_instant("2027-03-31T04:00:00Z")  # midnight in New York
# What rows are meant to weigh, typically; the figure of a search is made of it.
TYPICAL_BYTES = 280


def order(**fields: Any) -> Order:
    """A typical order; blocks are given whole."""
    typical: dict[str, Any] = {
        "order_id": "DEMO-0009104390",
        "creation_dts": PLACED,
        "current_stage": "Shipping Department",
        "customer_profile_oid": 1234567890,
        "billing": billing(),
        "shipping": OrderShipping(**address(), day_phone="678-415-3823"),
        "payment": OrderPayment(
            payment_dts=PAID,
            payment_method="Credit Card",
            credit_card=OrderPaymentCreditCard(card_type="VISA", card_expiration_month=2, card_expiration_year=2028),
        ),
        "items": [OrderItem(merchant_item_id="BONE"), OrderItem(merchant_item_id="BALL")],
        "summary": OrderSummary(total=Currency("77.00")),
        "checkout": OrderCheckout(screen_branding_theme_code="DFLT", storefront_host_name="shop.example.com"),
    }
    return Order(**typical | fields)


def address(**fields: str | None) -> dict[str, Any]:
    return {
        "first_name": "Ann",
        "last_name": "Lee",
        "city": "Duluth",
        "state_region": "GA",
        "postal_code": "30097",
        "country_code": "US",
    } | fields


def billing(**fields: Any) -> OrderBilling:
    return OrderBilling(**address() | {"email": "ann.lee@example.com", "day_phone": "678-415-3823"} | fields)


def auto_order(**fields: Any) -> AutoOrder:
    typical: dict[str, Any] = {
        "auto_order_oid": 1987654321,
        "auto_order_code": "C63HK7RM2R",
        "original_order_id": "DEMO-0009104390",
        "status": "active",
        "customer_profile_oid": 1234567890,
        "items": [entry()],
    }
    return AutoOrder(**typical | fields)


def entry(**fields: Any) -> AutoOrderItem:
    typical: dict[str, Any] = {"original_item_id": "BONE", "next_item_id": "BONE", "next_shipment_dts": SHIPS}
    return AutoOrderItem(**typical | fields)


def auto_order_row(noun: AutoOrder | None = None, original: Order | None = None) -> Row:
    return row_of_auto_order(noun or auto_order(), original or order(), NOW)


def finds_auto_order(row: Row, **criteria: Any) -> bool:
    return matcher("auto_order", AutoOrderQuery(**criteria), ZONE)(stored(row))


def finds_order(row: Row, **criteria: Any) -> bool:
    return matcher("order", OrderQuery(**criteria), ZONE)(stored(row))


def stored(row: Row) -> Row:
    """The row as it comes back from where it is kept."""
    kept: Row = json.loads(json.dumps(row))
    return kept


def refused(act: Callable[[], object]) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as invalid:
        act()
    return [(problem.pointer, problem.code) for problem in invalid.value.problems]


# --- rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [auto_order_row(), row_of_order(order())], ids=["auto order", "order"])
def test_a_typical_row_weighs_about_250_bytes(row: Row) -> None:
    assert 150 < len(json.dumps(row, separators=(",", ":"))) < TYPICAL_BYTES


def test_a_row_of_nothing_is_empty_and_found_by_nothing_but_the_empty_query() -> None:
    assert row_of_order(Order()) == []
    assert finds_order([])
    assert not finds_order([], first_name="Ann")
    assert not finds_order([], creation_date_begin="2000-01-01")
    assert not finds_order([], total=Decimal(0))


def test_a_shipping_address_that_is_the_billing_address_takes_no_room_and_is_found() -> None:
    columns = COLUMNS["order"]
    row = row_of_order(order())
    assert row[columns.index("shipping")] == 0
    by_city = sorting("order", "shipping.city")
    other = row_of_order(order(billing=billing(city="Athens"), shipping=OrderShipping(city="Zurich")))
    assert [name for name, _ in sort("order", [("1", other), ("2", row)], by_city)] == ["2", "1"]


def test_a_row_that_was_written_before_a_column_was_added_still_reads() -> None:
    row = auto_order_row()
    shorter = row[: COLUMNS["auto_order"].index("billing.email")]
    assert finds_auto_order(shorter, last_name="Lee")
    assert not finds_auto_order(shorter, email="ann.lee@example.com")


@given(st.text(max_size=3 * LONGEST_TEXT), st.text(max_size=3 * LONGEST_TEXT))
def test_shortening_keeps_equal_texts_equal_and_different_texts_different(one: str, other: str) -> None:
    assert (shortened(one) == shortened(other)) == (one == other)
    assert len(shortened(one)) <= LONGEST_TEXT


def test_texts_that_begin_alike_and_are_too_long_for_a_row_are_told_apart() -> None:
    long = "The very long name of a company that has many words"
    row = row_of_order(order(billing=billing(company=long[:50]), checkout=OrderCheckout(custom_field8="x" * 200)))
    assert finds_order(row, company=long[:50])
    assert not finds_order(row, company=long[:49])
    assert finds_order(row, custom_field_8="x" * 200)
    assert not finds_order(row, custom_field_8="x" * 199)


# --- auto orders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("criterion", "value", "other"),
    [
        ("auto_order_code", "C63HK7RM2R", "C63HK7RM2S"),
        ("card_type", "VISA", "MasterCard"),
        ("city", "Duluth", "DULUTH"),
        ("company", "Widgets", "widgets"),
        ("country_code", "US", "CA"),
        ("customer_profile_oid", 1234567890, 1234567891),
        ("email", "ann.lee@example.com", "ann@example.com"),
        ("first_name", "Ann", "ann"),
        ("item_id", "BALL", "LEASH"),
        ("last_name", "Lee", "Le"),
        ("next_item_id", "BONE-2", "BONE"),
        ("next_shipment_date_begin", "2027-03-31", "2027-04-01"),
        ("next_shipment_date_end", "2027-03-31", "2027-03-30"),
        ("original_item_id", "BONE", "BALL"),
        ("original_order_date_begin", "2027-01-31", "2027-02-01"),
        ("original_order_date_end", "2027-01-31", "2027-01-30"),
        ("original_order_id", "DEMO-0009104390", "DEMO-0009104391"),
        ("phone", "678-415-3823", "6784153823"),
        ("postal_code", "30097", "30098"),
        ("state", "GA", "Georgia"),
        ("status", "active", "canceled"),
        ("card_expires_date_begin", "2028-02-29", "2028-03-01"),
        ("card_expires_date_end", "2028-02-29", "2028-02-28"),
        ("condition", "retrying", "paused"),
        ("next_attempt_date_begin", "2027-03-31", "2027-04-01"),
        ("next_attempt_date_end", "2027-03-31", "2027-03-30"),
    ],
)
def test_each_criterion_of_an_auto_order_finds_what_it_names_and_nothing_else(
    criterion: str, value: Any, other: Any
) -> None:
    noun = auto_order(items=[entry(next_item_id="BONE-2")], credit_card_attempt=1, next_attempt=SHIPS)
    row = auto_order_row(noun, order(billing=billing(company="Widgets")))
    assert finds_auto_order(row, **{criterion: value})
    assert not finds_auto_order(row, **{criterion: other})


def test_an_auto_order_is_found_by_how_it_stands_while_it_is_active() -> None:
    paused = auto_order(items=[entry(paused=True)])
    assert finds_auto_order(auto_order_row(paused), condition="paused")
    assert not finds_auto_order(auto_order_row(auto_order(items=[entry(paused=True), entry()])), condition="paused")
    held = row_of_auto_order(paused, order(), NOW, held=True)
    assert finds_auto_order(held, condition="held")
    assert finds_auto_order(held, condition="paused")
    ended = auto_order(status="canceled", items=[entry(paused=True)], credit_card_attempt=2, next_attempt=SHIPS)
    row = row_of_auto_order(ended, order(), NOW, held=True)
    assert not any(finds_auto_order(row, condition=one) for one in ("retrying", "held", "paused"))
    assert not finds_auto_order(row, next_attempt_date_begin="2000-01-01")
    wrong = refused(lambda: auto_order_query_of({"condition": "sad"}))
    assert wrong == [("/condition", "not_allowed_value")]
    assert refused(lambda: auto_order_query({"condition": "held"})) == [("/condition", "unknown_field")]


def test_all_criteria_must_hold() -> None:
    row = auto_order_row()
    assert finds_auto_order(row, first_name="Ann", status="active", original_item_id="BONE")
    assert not finds_auto_order(row, first_name="Ann", status="canceled", original_item_id="BONE")


def test_texts_are_case_sensitive_but_an_email_is_the_same_in_any_case() -> None:
    row = auto_order_row(original=order(billing=billing(email="Ann.LEE@Example.com")))
    assert finds_auto_order(row, email="ann.lee@example.COM ")
    assert not finds_auto_order(row, last_name="LEE")


def test_an_address_is_searched_as_a_whole_in_billing_or_in_shipping() -> None:
    row = auto_order_row(
        original=order(
            billing=billing(first_name="Ann", last_name="Smith", city="Athens"),
            shipping=OrderShipping(**address(first_name="Bob", last_name="Lee", city="Duluth")),
        )
    )
    assert finds_auto_order(row, first_name="Ann", last_name="Smith", city="Athens")
    assert finds_auto_order(row, first_name="Bob", last_name="Lee", city="Duluth")
    assert not finds_auto_order(row, first_name="Ann", last_name="Lee")
    assert not finds_auto_order(row, last_name="Smith", city="Duluth")


def test_every_phone_of_the_order_is_found() -> None:
    row = auto_order_row(
        original=order(
            billing=billing(day_phone="1", evening_phone="2", cell_phone="3"),
            shipping=OrderShipping(day_phone="4", evening_phone="5"),
        )
    )
    assert [finds_auto_order(row, phone=phone) for phone in "123456"] == [True] * 5 + [False]


def test_one_of_several_items_is_enough_and_each_range_holds_for_one_of_them() -> None:
    early, late = SHIPS, parse_instant("2027-06-01T04:00:00Z")
    items = [entry(next_shipment_dts=early), entry(original_item_id="BALL", next_item_id="X", next_shipment_dts=late)]
    row = auto_order_row(auto_order(items=items))
    assert finds_auto_order(row, original_item_id="BALL")
    assert finds_auto_order(row, next_item_id="X")
    assert finds_auto_order(row, next_shipment_date_begin="2027-05-01", next_shipment_date_end="2027-07-01")
    # Between the two there is none, though one begins before and the other ends after.
    assert not finds_auto_order(row, next_shipment_date_begin="2027-04-10", next_shipment_date_end="2027-05-01")


def test_the_items_of_the_original_order_are_found_also_where_they_are_the_auto_orders_own() -> None:
    bought_more, same = auto_order_row(), auto_order_row(original=order(items=[OrderItem(merchant_item_id="BONE")]))
    assert [finds_auto_order(bought_more, item_id=item) for item in ("BONE", "BALL", "X")] == [True, True, False]
    assert [finds_auto_order(same, item_id=item) for item in ("BONE", "BALL", "X")] == [True, False, False]


def test_an_auto_order_without_items_has_no_next_shipment() -> None:
    row = auto_order_row(auto_order(items=[]))
    assert finds_auto_order(row, status="active")
    assert not finds_auto_order(row, next_shipment_date_begin="2000-01-01")


def test_since_asks_for_when_a_change_could_be_seen() -> None:
    def since(text: str) -> bool:
        return matcher("auto_order", auto_order_query_of({"_since": text}), ZONE)(auto_order_row())

    assert since("2027-03-01T12:00:00Z")
    assert since("2027-03-01")
    assert not since("2027-03-01T12:00:01Z")


# --- dates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        ("2027-01-31T15:00:00Z", "2027-01-31T15:00:00Z", True),
        ("2027-01-31T10:00:00-05:00", "2027-01-31T10:00:00.999-05:00", True),
        ("2027-01-31T10:00:00.0000000-05:00", None, True),
        ("2027-01-31T15:00:01Z", None, False),
        (None, "2027-01-31T14:59:59Z", False),
        ("2027-01-31", "2027-01-31", True),
        ("2027-02-01", "2027-01-31", False),
        (None, "2027-01-30", False),
        (None, "1970-01-01T00:00:00Z", False),
        ("1960-01-01", None, True),
    ],
)
def test_both_ends_of_a_range_are_in_it(begin: str | None, end: str | None, found: bool) -> None:
    assert finds_order(row_of_order(order()), creation_date_begin=begin, creation_date_end=end) is found


def test_a_bare_day_is_the_merchants_day() -> None:
    late = order(creation_dts=parse_instant("2027-02-01T04:59:59Z"))  # the last second of January in New York
    query = OrderQuery(creation_date_begin="2027-01-31", creation_date_end="2027-01-31")
    assert matcher("order", query, ZONE)(row_of_order(late))
    assert not matcher("order", query, "UTC")(row_of_order(late))


def test_a_day_of_a_clock_change_has_its_23_or_25_hours() -> None:
    query = OrderQuery(creation_date_begin="2027-11-07", creation_date_end="2027-11-07")
    fits = matcher("order", query, ZONE)
    start = parse_instant("2027-11-07T04:00:00Z")
    hours = [fits(row_of_order(order(creation_dts=start + timedelta(hours=hour)))) for hour in range(-1, 26)]
    assert hours == [False] + [True] * 25 + [False]


@pytest.mark.parametrize(
    "text", ["yesterday", "2027-02-30", "2027-01-31T00:00:00", "9999-12-31", "0001-01-01T00:00:00+14:00", "31/01/2027"]
)
def test_what_is_no_date_is_refused_by_name(text: str) -> None:
    query = OrderQuery(creation_date_end=text, payment_date_begin=text if text != "9999-12-31" else None)
    problems = refused(lambda: matcher("order", query, ZONE))
    assert ("/creation_date_end", "invalid") in problems
    assert len(problems) == (1 if text == "9999-12-31" else 2)
    assert refused(lambda: matcher("item", ItemQuery(since="x"), ZONE)) == [("/_since", "invalid")]


# --- orders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("criterion", "value", "other"),
    [
        ("cc_email", "Bob@example.com", "ann.lee@example.com"),
        ("city", "Duluth", "Dulut"),
        ("company", "Widgets", "Widget"),
        ("country_code", "US", "us"),
        ("creation_date_begin", "2027-01-31", "2027-02-01"),
        ("current_stage", "Shipping Department", "Completed Order"),
        ("customer_profile_oid", 1234567890, 1),
        ("email", "ANN.LEE@example.com", "bob@example.com"),
        ("first_name", "Ann", "Anne"),
        ("item_id", "BALL", "LEASH"),
        ("last_name", "Lee", "lee"),
        ("order_id", "DEMO-0009104390", "DEMO-9104390"),
        ("payment_date_end", "2027-01-31", "2027-01-30"),
        ("payment_method", "Credit Card", "PayPal"),
        ("phone", "678-415-3823", "415"),
        ("postal_code", "30097", "30097-1234"),
        ("refund_date_begin", "2027-03-01", "2027-03-02"),
        ("screen_branding_theme_code", "DFLT", "dflt"),
        ("shipment_date_begin", "2027-02-02", "2027-02-03"),
        ("state_region", "GA", "AL"),
        ("storefront_host_name", "shop.example.com", "example.com"),
        ("total", Decimal(77), Decimal("77.01")),
        *((f"custom_field_{number}", f"value {number}", "value") for number in range(1, 11)),
    ],
)
def test_each_criterion_of_an_order_finds_what_it_names_and_nothing_else(
    criterion: str, value: Any, other: Any
) -> None:
    fields = {f"custom_field{number}": f"value {number}" for number in range(1, 11)}
    row = row_of_order(
        order(
            billing=billing(company="Widgets", cc_emails=["eve@example.com", "bob@example.com"]),
            shipping=OrderShipping(**address(), shipping_date=parse_instant("2027-02-02T15:00:00Z")),
            refund_dts=NOW,
            checkout=OrderCheckout(
                screen_branding_theme_code="DFLT", storefront_host_name="shop.example.com", **fields
            ),
        )
    )
    assert finds_order(row, **{criterion: value})
    assert not finds_order(row, **{criterion: other})


def test_an_order_that_cost_nothing_is_found_by_its_total() -> None:
    assert finds_order(row_of_order(order(summary=OrderSummary(total=Currency("0.00")))), total=Decimal(0))


def test_the_contracts_spelling_of_google_pay_means_google_pay() -> None:
    row = row_of_order(order())
    row[COLUMNS["order"].index("payment.payment_method")] = "Google Pay"
    assert finds_order(row, payment_method=" Google Pay")
    assert finds_order(row, payment_method="Google Pay")


# --- items -----------------------------------------------------------------------------------------------------------


def test_items_are_found_by_category_and_by_since() -> None:
    inside = row_of_item(Item(merchant_item_id="BONE", parent_category_path="/dogs"), NOW)
    at_the_root = row_of_item(Item(merchant_item_id="BALL"), NOW)

    def found(**parameters: str) -> list[bool]:
        fits = matcher("item", item_query_of(parameters), ZONE)
        return [fits(stored(inside)), fits(stored(at_the_root))]

    assert found() == [True, True]
    assert found(parent_category_path="/dogs") == [True, False]
    assert found(parent_category_path="/") == [False, True]
    assert found(_since="2027-03-02") == [False, False]
    assert found(_placeholders="True") == [True, True]
    assert refused(lambda: found(_placeholders="maybe")) == [("/_placeholders", "wrong_type")]
    assert refused(lambda: found(parent_category_id="0")) == [("/parent_category_id", "not_available")]


# --- queries as they come in -----------------------------------------------------------------------------------------


def test_the_queries_have_the_contracts_fields_and_lengths() -> None:
    for ours, theirs in ((AutoOrderQuery, SdkAutoOrderQuery), (OrderQuery, SdkOrderQuery)):
        assert set(ours.__struct_fields__) - ours.own == set(theirs.openapi_types)
        for (name,), rule in theirs.validations.items():
            parse = auto_order_query if ours is AutoOrderQuery else _order_query_with_an_id
            too_long = {name: "x" * (rule["max_length"] + 1)}
            assert refused(lambda parse=parse, body=too_long: parse(body)) == [(f"/{name}", "out_of_range")]
            if name not in UNAVAILABLE:
                assert parse({name: "x" * rule["max_length"]})


def _order_query_with_an_id(body: dict[str, Any]) -> OrderQuery:
    return order_query({"order_id": "DEMO-1", **body})


@pytest.mark.parametrize(
    ("api", "method", "parse"),
    [
        (AutoOrderApi, "get_auto_orders", auto_order_query_of),
        (OrderApi, "get_orders", order_query_of),
        (ItemApi, "get_items", item_query_of),
    ],
)
def test_every_parameter_of_the_contracts_get_is_taken_or_refused_as_not_available(
    api: type, method: str, parse: Callable[[dict[str, str]], Query]
) -> None:
    names = getattr(api(), f"{method}_endpoint").attribute_map.values()
    assert len(set(names)) > 5
    values = {"status": "active", "total": "1", "payment_method": "Credit Card", "current_stage": "Hold"}
    values |= {"country_code": "US", "_placeholders": "False"}
    for name in names:
        if name in UNAVAILABLE:
            assert refused(lambda name=name: parse({name: "1"})) == [(f"/{name}", "not_available")]
        else:
            parse({name: values.get(name, "1")})


def test_a_criterion_that_cannot_be_answered_yet_is_refused_by_its_name() -> None:
    body = {
        "card_bin": "427162",
        "card_last4": "6258",
        "payment_transaction_filters": [{"name": "authcode", "value": "100304"}],
        "rma": "R1",
        "email": "ann.lee@example.com",
    }
    assert refused(lambda: order_query(body)) == [
        ("/card_bin", "not_available"),
        ("/card_last4", "not_available"),
        ("/payment_transaction_filters", "not_available"),
        ("/rma", "not_available"),
    ]


def test_an_order_query_that_asks_nothing_is_refused_but_a_get_without_parameters_lists_all() -> None:
    for body in ({}, {"query_target": "cache"}, {"email": None}, {"email": ""}):
        assert refused(lambda body=body: order_query(body)) == [("", "required")]
    assert finds_order(row_of_order(order()))
    assert matcher("order", order_query_of({"_limit": "10", "_offset": "0", "_expand": "item"}), ZONE)([])
    assert auto_order_query({}) == AutoOrderQuery()


def test_the_query_target_changes_nothing() -> None:
    one, other = (order_query({"email": "a@b", "query_target": target}) for target in ("origin", "cache"))
    assert question_of(one, ()) == question_of(other, ())
    assert refused(lambda: order_query({"email": "a@b", "query_target": "moon"})) == [
        ("/query_target", "not_allowed_value")
    ]


def test_what_is_not_known_is_refused_with_all_other_problems() -> None:
    assert sorted(refused(lambda: auto_order_query({"colour": "red", "status": "paused"}))) == [
        ("/colour", "unknown_field"),
        ("/status", "not_allowed_value"),
    ]
    parameters = {"colour": "red", "since": "2027-01-01", "customer_profile_oid": "x", "country_code": "USA"}
    assert sorted(refused(lambda: auto_order_query_of(parameters))) == [
        ("/colour", "unknown_parameter"),
        ("/country_code", "out_of_range"),
        ("/customer_profile_oid", "wrong_type"),
        ("/since", "unknown_parameter"),
    ]
    assert refused(lambda: auto_order_query({"since": "2027-01-01"})) == [("/since", "unknown_field")]


def test_parameters_are_texts_and_become_what_the_query_holds() -> None:
    query = order_query_of({"total": "77.00", "customer_profile_oid": "12", "first_name": "", "city": "Duluth"})
    assert query == OrderQuery(total=Decimal("77.00"), customer_profile_oid=12, city="Duluth")
    for text in ("NaN", "1e3", "-1", "٣", "1_000", "Infinity"):
        assert refused(lambda text=text: order_query_of({"total": text})) == [("/total", "wrong_type")]


# --- order -----------------------------------------------------------------------------------------------------------


def names(kind: Kind, rows: dict[str, Row], wanted: str | None) -> list[str]:
    return [name for name, _ in sort(kind, list(rows.items()), sorting(kind, wanted))]


def people(*pairs: tuple[str | None, str | None]) -> dict[str, Row]:
    """Orders 1, 2, ... of people with these last and first names."""
    return {
        str(number): row_of_order(Order(billing=OrderBilling(last_name=last, first_name=first)))
        for number, (last, first) in enumerate(pairs, start=1)
    }


def test_rows_are_sorted_by_several_fields_up_or_down() -> None:
    rows = people(("Lee", "Ann"), ("Adams", "Eve"), ("Lee", "Bob"), ("Adams", "Zoe"))
    assert names("order", rows, "billing.last_name,billing.first_name") == ["2", "4", "1", "3"]
    assert names("order", rows, "+billing.last_name,-billing.first_name") == ["4", "2", "3", "1"]
    assert names("order", rows, "-billing.last_name,billing.first_name") == ["1", "3", "2", "4"]
    # The plus of a client that does not escape it arrives as a blank.
    assert names("order", rows, " billing.last_name, -billing.first_name") == ["4", "2", "3", "1"]


def test_rows_without_a_value_come_last_up_and_down() -> None:
    rows = people((None, "a"), ("Lee", "b"), (None, "c"), ("Adams", "d"))
    assert names("order", rows, "billing.last_name") == ["4", "2", "1", "3"]
    assert names("order", rows, "-billing.last_name") == ["2", "4", "1", "3"]


def test_people_read_a_list_whatever_the_case() -> None:
    assert names("order", people(("de Boer", "a"), ("Cole", "b"), ("DeVito", "c")), "billing.last_name") == [
        "2",
        "1",
        "3",
    ]


def test_without_a_wish_auto_orders_come_by_oid_orders_by_creation_and_items_by_id() -> None:
    assert names("auto_order", {"10": [], "9": [], "100": []}, None) == ["9", "10", "100"]
    days = {name: row_of_order(order(creation_dts=moment)) for name, moment in (("A", NOW), ("B", PLACED), ("C", NOW))}
    assert names("order", days, "") == ["B", "A", "C"]
    assert names("item", {"b": [], "B": [], "a": []}, None) == ["B", "a", "b"]


def test_an_auto_order_is_sorted_by_its_next_shipment_the_earliest_of_its_items() -> None:
    later = parse_instant("2027-04-15T04:00:00Z")
    latest = parse_instant("2027-06-01T04:00:00Z")
    rows = {
        "1": auto_order_row(auto_order(items=[entry(next_shipment_dts=later)])),
        "2": auto_order_row(auto_order(items=[entry(next_shipment_dts=latest), entry(next_shipment_dts=SHIPS)])),
        "3": auto_order_row(auto_order(items=[])),
    }
    assert names("auto_order", rows, "next_shipment_dts") == ["2", "1", "3"]
    assert names("auto_order", rows, "-next_shipment_dts") == ["1", "2", "3"]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_sort_field_is_one_that_rows_hold(kind: Kind) -> None:
    bought = order(
        billing=billing(company="Widgets", cc_emails=["eve@example.com"]),
        shipping=OrderShipping(**address(company="Gadgets")),
    )
    item = Item(
        merchant_item_id="BONE", merchant_item_oid=7, description="x", creation_dts=PLACED, last_modified_dts=NOW
    )
    full = {
        "auto_order": auto_order_row(auto_order(next_attempt=SHIPS), bought),
        "order": row_of_order(bought),
        "item": row_of_item(item, NOW),
    }[kind]
    for field in SORT_FIELDS[kind]:
        assert names(kind, {"1": [], "2": full}, field) == ["2", "1"]


def test_the_contracts_sort_fields_of_auto_orders_are_all_there() -> None:
    places = ["company", "first_name", "last_name", "city", "state_region", "postal_code", "country_code"]
    contract = ["auto_order_code", "order_id", "creation_dts", "payment.payment_dts", "next_shipment_dts"]
    contract += [f"shipping.{name}" for name in places]
    contract += [
        f"billing.{name}" for name in (*places, "state", "phone", "email", "cc_email") if name != "state_region"
    ]
    contract += ["checkout.screen_branding_theme_code"]
    assert len(sorting("auto_order", ",".join(contract))) == 23


def test_a_field_that_cannot_be_sorted_by_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="'colour' cannot be sorted by") as invalid:
        sorting("order", "order_id,-colour")
    assert [(problem.pointer, problem.code) for problem in invalid.value.problems] == [("/_sort", "unknown_field")]
    assert refused(lambda: sorting("order", "order_id,-order_id")) == [("/_sort", "conflict")]
    assert refused(lambda: sorting("auto_order", "billing.state,billing.state_region")) == [("/_sort", "conflict")]
    assert refused(lambda: sorting("order", "next_shipment_dts")) == [("/_sort", "unknown_field")]
    assert refused(lambda: sorting("order", "+-order_id")) == [("/_sort", "unknown_field")]


def test_a_sort_of_a_thousand_wrong_fields_does_not_answer_a_thousand_problems() -> None:
    assert len(refused(lambda: sorting("order", ",".join(f"x{number}" for number in range(1000))))) == 100


# --- questions and versions ------------------------------------------------------------------------------------------


def test_the_same_question_has_the_same_text_and_another_has_another() -> None:
    one = auto_order_query({"first_name": "Ann", "status": "active"})
    same = auto_order_query_of({"status": "active", "first_name": "Ann", "last_name": ""})
    by_name = sorting("auto_order", "+billing.last_name")
    assert question_of(one, by_name) == question_of(same, sorting("auto_order", "billing.last_name"))
    others = [
        question_of(one, ()),
        question_of(one, sorting("auto_order", "-billing.last_name")),
        question_of(auto_order_query({"first_name": "Ann"}), by_name),
        question_of(auto_order_query({"last_name": "Ann", "status": "active"}), by_name),
        question_of(auto_order_query_of({"status": "active", "first_name": "Ann", "_since": "2027-01-01"}), by_name),
    ]
    assert len({question_of(one, by_name), *others}) == 6


def test_the_version_of_an_auto_order_rises_with_every_change_of_any_part() -> None:
    def version(head: Head, document: int = 1, original: int = 2) -> int:
        return version_of_auto_order(head, document, original)

    claimed = Head(status="active", run=3, fence=8)
    declined = Head(status="active", run=3, fence=8, round=1)
    disabled = Head(status="disabled", run=3, fence=8, round=15)
    restarted = Head(status="active", run=3, fence=8, revision=1)
    paid = Head(status="active", run=4, fence=8, revision=1)
    rising = [version(head) for head in (claimed, declined, disabled, restarted, paid)]
    rising += [version(paid, document=2), version(paid, document=2, original=3), LAST_VERSION]
    assert rising == sorted(set(rising))


def test_what_was_read_half_before_and_half_after_an_edit_is_older_than_what_was_read_after() -> None:
    before, after = Head(status="active", revision=1), Head(status="active", revision=2)
    whole = version_of_auto_order(after, 6, 3)
    assert version_of_auto_order(after, 5, 3) < whole
    assert version_of_auto_order(before, 6, 3) < whole
    assert version_of_auto_order(after, 6, 2) < whole


def test_an_item_that_is_made_again_under_its_old_id_is_newer_than_the_one_that_was_deleted() -> None:
    edited = version_of_item(NOW, 7)
    deleted = version_of_item(parse_instant("2027-03-02T00:00:00Z"), 8)
    again = version_of_item(parse_instant("2027-03-02T00:00:01Z"), 1)
    assert edited < deleted < again < LAST_VERSION
    assert version_of_item(NOW, 7) < version_of_item(NOW, 8) < version_of_item(NOW, 5000)
