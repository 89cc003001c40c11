"""Sales tax: of the merchant's rates the most specific one counts."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import wire
from chalicelib.domain.errors import Invalid
from chalicelib.domain.orders import OrderBilling, OrderShipping
from chalicelib.domain.taxes import TaxRate, TaxSettings, rate_for, validate


def rate(percent: str, country: str = "US", **fields: Any) -> TaxRate:
    return TaxRate(country_code=country, rate=Decimal(percent), **fields)


RATES = TaxSettings(
    rates=[
        rate("1"),
        rate("4", state_region="NY"),
        rate("8", postal_prefix="10"),
        rate("8.5", postal_prefix="10", state_region="NY"),
        rate("8.875", postal_prefix="100"),
        rate("0", state_region="OR"),
        rate("20", "GB", tax_shipping=True),
        rate("0", "GB", postal_prefix="BT1 1"),
    ]
)


@pytest.mark.parametrize(
    ("country", "state", "postal", "expected"),
    [
        ("US", "NY", "10001", "8.875"),
        ("US", "NY", "10-001", "8.875"),
        ("US", "NY", "10900", "8.5"),
        ("US", "CT", "10900", "8"),
        ("US", "NY", "14201", "4"),
        ("US", " ny ", "14201", "4"),
        ("US", "NY", None, "4"),
        ("US", "TX", "75001", "1"),
        ("US", None, None, "1"),
        ("US", "OR", "97201", "0"),
        ("GB", None, "SW1A 1AA", "20"),
        ("GB", None, "bt11 2ab", "0"),
        ("GB", None, "BT2 7AA", "20"),
        ("DE", None, "10115", None),
        (None, "NY", "10001", None),
    ],
)
def test_the_longest_postal_prefix_counts_then_the_state_then_the_country(
    country: str | None, state: str | None, postal: str | None, expected: str | None
) -> None:
    found = rate_for(RATES, OrderShipping(country_code=country, state_region=state, postal_code=postal))
    assert (found.rate if found else None) == (None if expected is None else Decimal(expected))


def test_nothing_is_taxed_without_rates_or_without_an_address() -> None:
    assert rate_for(TaxSettings(), OrderBilling(country_code="US")) is None
    assert rate_for(RATES, None) is None


@given(
    order=st.permutations(RATES.rates or []),
    state=st.sampled_from(["NY", "OR", "TX", None]),
    postal=st.sampled_from(["10001", "10900", "97201", None]),
)
def test_the_order_of_the_rates_does_not_matter(order: list[TaxRate], state: str | None, postal: str | None) -> None:
    place = OrderShipping(country_code="US", state_region=state, postal_code=postal)
    assert rate_for(TaxSettings(rates=order), place) == rate_for(RATES, place)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        (RATES.rates, []),
        ([rate("1"), rate("2", "CA"), rate("3")], [("/rates/2", "conflict")]),
        ([rate("1", state_region="NY"), rate("2", state_region="ny ")], [("/rates/1", "conflict")]),
        ([rate("1", "GB", postal_prefix="SW1A 1"), rate("2", "GB", postal_prefix="sw1a1")], [("/rates/1", "conflict")]),
        ([rate("1", postal_prefix="10"), rate("2", postal_prefix="10", state_region="NY")], []),
        ([rate("1", postal_prefix=" - ")], [("/rates/0/postal_prefix", "invalid")]),
        ([rate("1", state_region=" ")], [("/rates/0/state_region", "invalid")]),
    ],
)
def test_no_place_has_two_rates(rates: list[TaxRate], expected: list[tuple[str, str]]) -> None:
    found: list[tuple[str, str]] = []
    try:
        validate(TaxSettings(rates=rates))
    except Invalid as invalid:
        found = [(problem.pointer, problem.code) for problem in invalid.problems]
    assert found == expected


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (b'{"rates":[{"rate":5}]}', "/rates/0/country_code"),
        (b'{"rates":[{"country_code":"US"}]}', "/rates/0/rate"),
        (b'{"rates":[{"country_code":"US","rate":100.5}]}', "/rates/0/rate"),
        (b'{"rates":[{"country_code":"US","rate":-1}]}', "/rates/0/rate"),
        (b'{"rates":[{"country_code":"US","rate":1,"city":"X"}]}', "/rates/0/city"),
    ],
)
def test_a_request_that_does_not_fit_is_told_where(raw: bytes, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        wire.noun(wire.parse(raw), TaxSettings)
    assert [problem.pointer for problem in refused.value.problems] == [pointer]


def test_the_settings_survive_being_kept() -> None:
    assert wire.load(wire.kept(RATES), TaxSettings) == RATES
