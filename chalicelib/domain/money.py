"""Money: Decimal in the merchant's currency, rounded in this one place."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

# ISO 4217 exponents that are not 2, for the currencies a shop may pick.
EXPONENTS = {"JPY": 0, "KRW": 0, "CLP": 0, "VND": 0, "ISK": 0, "BHD": 3, "KWD": 3, "JOD": 3, "TND": 3}
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CAD": "CA$", "AUD": "A$"}
ZERO = Decimal(0)
# The largest amount a field takes: far above any order, far below what a gateway's integers hold.
LARGEST = Decimal("9999999.99")


class Currency(Decimal):
    """An amount that the wire shows as ``{value, localized, localized_formatted}``; stored as its value."""


def quantise(amount: Decimal, currency_code: str) -> Decimal:
    """Round half up to the currency's smallest coin. What rounds to nothing loses its sign: JSON would show -0.00."""
    return amount.quantize(_coin(currency_code), ROUND_HALF_UP) + 0


@lru_cache(maxsize=64)
def _coin(currency_code: str) -> Decimal:
    """The currency's smallest."""
    return Decimal(1).scaleb(-EXPONENTS.get(currency_code, 2))


def minor_units(amount: Decimal, currency_code: str) -> int:
    """The amount in the smallest coin, as gateways want it: 17.95 USD is 1795."""
    return int(quantise(amount, currency_code).scaleb(EXPONENTS.get(currency_code, 2)))


def from_minor_units(units: int, currency_code: str) -> Decimal:
    """The amount of that many smallest coins: 1795 USD is 17.95."""
    return Decimal(units).scaleb(-EXPONENTS.get(currency_code, 2))


def total_of(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)


def formatted(amount: Decimal, currency_code: str) -> str:
    """``$1,234.50``: what ``localized_formatted`` shows."""
    rounded = quantise(amount, currency_code)
    sign = "-" if rounded < 0 else ""
    return f"{sign}{SYMBOLS.get(currency_code, currency_code + ' ')}{abs(rounded):,}"


def split(amount: Decimal, weights: list[Decimal], currency_code: str) -> list[Decimal]:
    """Share ``amount``, rounded, over ``weights`` in whole coins that add up; the odd ones go to the heaviest parts.

    No part is more than its weight where the amount is not more than the weights. With no weight at all everything
    goes to the first part.
    """
    amount = quantise(amount, currency_code)
    whole = total_of(weights)
    if not weights:
        return []
    if whole == 0:
        return [amount] + [ZERO] * (len(weights) - 1)
    parts = [quantise(amount * weight / whole, currency_code) for weight in weights]
    coin = _coin(currency_code)
    missing = amount - total_of(parts)
    order = sorted(range(len(parts)), key=lambda i: weights[i], reverse=True)
    step = coin if missing > 0 else -coin
    for i in range(int(abs(missing) / coin)):
        parts[order[i % len(order)]] += step
    return parts
