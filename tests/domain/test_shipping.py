"""Shipping methods: where they go, what they cost, which is the cheapest."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import wire
from chalicelib.domain.errors import Invalid
from chalicelib.domain.orders import OrderBilling, OrderShipping
from chalicelib.domain.shipping import (
    Parcel,
    Quote,
    ShippingMethod,
    ShippingSettings,
    WeightStep,
    available,
    cheapest,
    cost,
    serves,
    ship_to,
    validate,
)

HOME = OrderShipping(country_code="US", state_region="NY", postal_code="10001")


def method(name: str = "Post", **fields: Any) -> ShippingMethod:
    return ShippingMethod(shipping_method=name, **fields)


def parcel(pounds: str = "1", units: str = "1", subtotal: str = "10") -> Parcel:
    return Parcel(pounds=Decimal(pounds), units=Decimal(units), subtotal=Decimal(subtotal))


def step(cost_: str, up_to: str | None = None) -> WeightStep:
    return WeightStep(cost=Decimal(cost_), up_to_pounds=Decimal(up_to) if up_to else None)


def quote(name: str, cost_: str, discount: str = "0") -> Quote:
    return Quote(method=method(name), cost=Decimal(cost_), discount=Decimal(discount))


def problems(*methods: ShippingMethod) -> list[tuple[str, str]]:
    try:
        validate(ShippingSettings(methods=list(methods)))
    except Invalid as invalid:
        return [(problem.pointer, problem.code) for problem in invalid.problems]
    return []


# --- where ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("countries", "states", "country", "state", "goes"),
    [
        (None, None, "JP", None, True),
        (None, None, None, None, True),
        (["US"], None, "US", "NY", True),
        (["US"], None, "CA", "ON", False),
        (["US"], None, None, None, False),
        (["US"], ["US-NY", "US-NJ"], "US", "NY", True),
        (["US"], ["US-NY"], "US", " ny ", True),
        (["US"], ["US-NY"], "US", "CA", False),
        (["US"], ["US-NY"], "US", None, False),
        (["US", "CA"], ["US-NY"], "CA", "ON", True),
        (["US", "CA"], ["US-WA"], "CA", "WA", True),
    ],
)
def test_a_method_goes_where_its_countries_and_their_states_say(
    countries: list[str] | None, states: list[str] | None, country: str | None, state: str | None, goes: bool
) -> None:
    place = OrderShipping(country_code=country, state_region=state)
    assert serves(method(countries=countries, states=states), place) is goes


def test_without_an_address_only_a_method_that_goes_everywhere_will_do() -> None:
    assert serves(method(), None)
    assert not serves(method(countries=["US"]), None)


def test_an_order_goes_to_its_shipping_address_else_to_its_billing_address() -> None:
    billing = OrderBilling(country_code="CA")
    assert ship_to(HOME, billing) is HOME
    assert ship_to(OrderShipping(shipping_method="Post"), billing) is billing
    assert ship_to(None, billing) is billing
    assert ship_to(HOME, None) is HOME
    assert ship_to(None, None) is None


# --- what it costs --------------------------------------------------------------------------------------------------

STEPS = [step("3", "1"), step("5", "5"), step("9", "20")]


@pytest.mark.parametrize(
    ("fields", "pounds", "units", "subtotal", "expected"),
    [
        ({}, "3", "2", "10", "0"),
        ({"per_order": Decimal("4.5")}, "3", "2", "10", "4.50"),
        ({"per_item": Decimal("1.25")}, "3", "3", "10", "3.75"),
        ({"per_order": Decimal(4), "per_item": Decimal(1)}, "3", "2", "10", "6"),
        ({"weight_steps": STEPS}, "0.5", "1", "10", "3"),
        ({"weight_steps": STEPS}, "1", "1", "10", "3"),
        ({"weight_steps": STEPS}, "1.001", "1", "10", "5"),
        ({"weight_steps": STEPS}, "20", "1", "10", "9"),
        ({"weight_steps": STEPS}, "20.01", "1", "10", None),
        ({"weight_steps": [*STEPS, step("30")]}, "500", "1", "10", "30"),
        ({"weight_steps": STEPS, "per_order": Decimal(2), "per_item": Decimal(1)}, "4", "3", "10", "10"),
        ({"per_order": Decimal(4), "free_over_amount": Decimal(50)}, "3", "1", "49.99", "4"),
        ({"per_order": Decimal(4), "free_over_amount": Decimal(50)}, "3", "1", "50", "0"),
        ({"weight_steps": STEPS, "free_over_amount": Decimal(50)}, "21", "1", "50", None),
        ({"per_item": Decimal("0.333")}, "3", "2.5", "10", "0.83"),
    ],
)
def test_a_method_costs_its_parts(
    fields: dict[str, Any], pounds: str, units: str, subtotal: str, expected: str | None
) -> None:
    found = cost(method(**fields), parcel(pounds, units, subtotal), "USD")
    assert found == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(("currency", "expected"), [("JPY", "3"), ("USD", "2.50"), ("KWD", "2.500")])
def test_the_cost_is_in_whole_coins(currency: str, expected: str) -> None:
    assert cost(method(per_order=Decimal("2.5")), parcel(), currency) == Decimal(expected)


def test_what_can_be_had_is_what_is_enabled_goes_there_and_takes_the_weight() -> None:
    settings = ShippingSettings(
        methods=[
            method("Off", enabled=False),
            method("Abroad", countries=["CA"]),
            method("Light", weight_steps=[step("1", "0.5")]),
            method("Ground", enabled=True, per_order=Decimal(5)),
            method("Air", countries=["US"], per_order=Decimal(9)),
        ]
    )
    quotes = available(settings, HOME, parcel("1"), "USD")
    assert [(each.name(), each.cost) for each in quotes] == [("Ground", Decimal(5)), ("Air", Decimal(9))]
    assert available(ShippingSettings(), HOME, parcel(), "USD") == []


# --- the cheapest ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quotes", "name"),
    [
        ([quote("A", "9"), quote("B", "5")], "B"),
        ([quote("B", "5"), quote("A", "5")], "A"),
        ([quote("A", "5"), quote("B", "9", "8")], "B"),
        ([quote("A", "9", "9"), quote("B", "5", "5")], "B"),
    ],
)
def test_the_cheapest_is_the_least_to_pay_then_the_least_cost_then_the_first_name(
    quotes: list[Quote], name: str
) -> None:
    found = cheapest(quotes)
    assert found is not None
    assert found.name() == name


def test_of_no_methods_none_is_the_cheapest() -> None:
    assert cheapest([]) is None


COSTS = st.integers(0, 20).map(Decimal)
QUOTES = st.lists(
    st.builds(
        lambda name, cost_, share: Quote(method=method(name), cost=cost_, discount=cost_ * share),
        st.sampled_from("ABCDEF"),
        COSTS,
        st.sampled_from([Decimal(0), Decimal("0.5"), Decimal(1)]),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda each: each.name(),
)


@given(quotes=QUOTES, data=st.data())
def test_the_cheapest_is_the_same_in_whichever_order_they_stand(quotes: list[Quote], data: st.DataObject) -> None:
    found = cheapest(quotes)
    assert found is not None
    assert found == cheapest(data.draw(st.permutations(quotes)))
    assert all(found.to_pay() <= each.to_pay() for each in quotes)


# --- rules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        ([method("A"), method("B")], []),
        ([method("A"), method("B"), method("A")], [("/methods/2/shipping_method", "conflict")]),
        ([method("A ")], [("/methods/0/shipping_method", "invalid")]),
        ([method(free_over_amount=Decimal(0))], [("/methods/0/free_over_amount", "out_of_range")]),
        ([method(weight_steps=STEPS)], []),
        ([method(weight_steps=[*STEPS, step("9")])], []),
        ([method(weight_steps=[step("9"), *STEPS])], [("/methods/0/weight_steps/0/up_to_pounds", "required")]),
        (
            [method(weight_steps=[step("1", "5"), step("2", "5")])],
            [("/methods/0/weight_steps/1/up_to_pounds", "conflict")],
        ),
        ([method(countries=["US"], states=["US-NY"])], []),
        ([method(states=["US-NY"])], [("/methods/0/states/0", "conflict")]),
        ([method(countries=["US"], states=["US-NY", "CA-ON"])], [("/methods/0/states/1", "conflict")]),
    ],
)
def test_methods_that_break_a_rule_are_refused_where_they_break_it(
    methods: list[ShippingMethod], expected: list[tuple[str, str]]
) -> None:
    assert problems(*methods) == expected


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (b'{"methods":[{}]}', "/methods/0/shipping_method"),
        (b'{"methods":[{"shipping_method":""}]}', "/methods/0/shipping_method"),
        (b'{"methods":[{"shipping_method":"A","countries":["us"]}]}', "/methods/0/countries/0"),
        (b'{"methods":[{"shipping_method":"A","states":["NY"]}]}', "/methods/0/states/0"),
        (b'{"methods":[{"shipping_method":"A","per_order":-1}]}', "/methods/0/per_order"),
        (
            b'{"methods":[{"shipping_method":"A","weight_steps":[{"up_to_pounds":1}]}]}',
            "/methods/0/weight_steps/0/cost",
        ),
        (b'{"methods":[{"shipping_method":"A","carrier":"UPS"}]}', "/methods/0/carrier"),
    ],
)
def test_a_request_that_does_not_fit_is_told_where(raw: bytes, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        wire.noun(wire.parse(raw), ShippingSettings)
    assert [problem.pointer for problem in refused.value.problems] == [pointer]


def test_the_settings_survive_being_kept() -> None:
    settings = ShippingSettings(
        methods=[method("Post", countries=["US"], states=["US-NY"], per_order=Decimal("4.50"), weight_steps=STEPS)]
    )
    assert wire.load(wire.kept(settings), ShippingSettings) == settings
