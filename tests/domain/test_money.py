"""Money: one place that rounds, and parts that add up to the last coin."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.money import EXPONENTS, Currency, formatted, minor_units, quantise, split, total_of

CURRENCIES = st.sampled_from(["USD", "JPY", "KWD"])
AMOUNTS = st.decimals(min_value=0, max_value=100_000, places=3)


def coin(currency: str) -> Decimal:
    return Decimal(1).scaleb(-EXPONENTS.get(currency, 2))


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("1.005", "USD", "1.01"),
        ("1.004999", "USD", "1.00"),
        ("-1.005", "USD", "-1.01"),
        ("1999.5", "JPY", "2000"),
        ("1.0005", "KWD", "1.001"),
        ("3", "EUR", "3.00"),
    ],
)
def test_amounts_round_half_up_to_the_smallest_coin(amount: str, currency: str, rounded: str) -> None:
    assert str(quantise(Decimal(amount), currency)) == rounded


def test_what_rounds_to_nothing_has_no_sign() -> None:
    assert str(quantise(Decimal("-0.001"), "USD")) == "0.00"


@pytest.mark.parametrize(
    ("amount", "currency", "units"), [("17.95", "USD", 1795), ("1795", "JPY", 1795), ("1.795", "KWD", 1795)]
)
def test_gateways_get_the_smallest_coins(amount: str, currency: str, units: int) -> None:
    assert minor_units(Decimal(amount), currency) == units


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1234.5", "USD", "$1,234.50"),
        ("-0.5", "USD", "-$0.50"),
        ("-0.001", "USD", "$0.00"),
        ("1234.5", "JPY", "¥1,235"),
        ("1.5", "KWD", "KWD 1.500"),
    ],
)
def test_amounts_are_written_with_sign_symbol_and_separators(amount: str, currency: str, text: str) -> None:
    assert formatted(Decimal(amount), currency) == text


def test_a_currency_is_its_value() -> None:
    assert Currency("1.50") + 1 == Decimal("2.50")
    assert total_of([Currency("1.50"), Decimal(2)]) == Decimal("3.50")
    assert total_of([]) == 0


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        ("10.00", ["1", "1", "1"], ["3.34", "3.33", "3.33"]),
        ("0.01", ["1", "5"], ["0.00", "0.01"]),
        ("0.02", ["1", "1", "1"], ["0.00", "0.01", "0.01"]),
        ("5.00", ["0", "0"], ["5.00", "0"]),
        ("-10.00", ["1", "1", "1"], ["-3.34", "-3.33", "-3.33"]),
    ],
)
def test_a_split_gives_the_odd_coins_to_the_heaviest(amount: str, weights: list[str], parts: list[str]) -> None:
    found = split(Decimal(amount), [Decimal(weight) for weight in weights], "USD")
    assert found == [Decimal(part) for part in parts]


def test_a_split_over_nothing_is_nothing() -> None:
    assert split(Decimal(5), [], "USD") == []


def test_an_amount_finer_than_a_coin_is_rounded_before_it_is_split() -> None:
    assert split(Decimal("10.005"), [Decimal(1), Decimal(2)], "USD") == [Decimal("3.34"), Decimal("6.67")]
    assert split(Decimal("10.005"), [Decimal(0)], "USD") == [Decimal("10.01")]


@given(amount=AMOUNTS, weights=st.lists(AMOUNTS, min_size=1, max_size=12), currency=CURRENCIES)
def test_the_parts_of_a_split_add_up_in_whole_coins(amount: Decimal, weights: list[Decimal], currency: str) -> None:
    parts = split(amount, weights, currency)
    assert len(parts) == len(weights)
    assert total_of(parts) == quantise(amount, currency)
    assert all(part % coin(currency) == 0 and part >= 0 for part in parts)


@given(
    shares=st.lists(st.integers(min_value=0, max_value=500), min_size=1, max_size=12),
    portion=st.integers(min_value=0, max_value=100),
    currency=CURRENCIES,
)
def test_no_part_is_more_than_its_weight_where_the_amount_is_not(
    shares: list[int], portion: int, currency: str
) -> None:
    weights = [share * coin(currency) for share in shares]
    amount = quantise(total_of(weights) * portion / 100, currency)
    assert all(part <= weight for part, weight in zip(split(amount, weights, currency), weights, strict=True))
