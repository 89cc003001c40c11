"""The merchant's settings: one section at a time, each under its version."""

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import customer_values, loyalty, merchants, pricing_tiers, rotating, settings, shipping, taxes
from chalicelib.domain.customer_values import CustomerProfileSettings
from chalicelib.domain.drafts import changed
from chalicelib.domain.errors import Contended, Invalid, Refused, Stale
from chalicelib.domain.loyalty import LoyaltyProgram
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.pricing_tiers import PricingTiers
from chalicelib.domain.rotating import RotatingGateways
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.shipping import ShippingSettings
from chalicelib.domain.taxes import TaxSettings
from chalicelib.flows.ports import Kept, S, Shop

# A change that met a faster writer is laid over what stands now.
MOST_TRIES = 5

RULES: dict[type, Callable[[Any], None]] = {
    Merchant: merchants.validate,
    AutoOrderProcessing: settings.validate,
    ShippingSettings: shipping.validate,
    TaxSettings: taxes.validate,
    RotatingGateways: rotating.validate,
    LoyaltyProgram: loyalty.validate,
    CustomerProfileSettings: customer_values.validate,
    PricingTiers: pricing_tiers.validate,
}


def section(shop: Shop, type_: type[S]) -> tuple[S, int]:
    """The section as it stands and its version, 0 where it was never saved."""
    kept = shop.configuration.section(type_)
    noun: S = _owned(shop, kept.noun)
    return noun, kept.version


def configure(
    shop: Shop,
    type_: type[S],
    raw: Any,
    *,
    version: int | None = None,
    rule: Callable[[S], None] = lambda after: None,
    finish: Callable[[S, S], S] = lambda after, before: after,
) -> tuple[S, int]:
    """The section with the request laid over it, and its version. What changes nothing writes nothing; what the
    request says is null is blank again.

    ``version`` is the one that If-Match named, if it did; ``rule`` is one more that raises Invalid; ``finish`` adds
    what only the server sets. Raises Stale, and Invalid with all problems.
    """
    for _ in range(MOST_TRIES):
        kept = shop.configuration.section(type_)
        if version is not None and version != kept.version:
            raise Stale(f"The section is at version {kept.version} now.")
        before: S = _owned(shop, kept.noun)
        asked = changed(_blanked(before, raw), raw, RULES[type_], partial(_same_currency, kept), rule)
        after = finish(asked, before)
        if after == before and kept.version:
            return before, kept.version
        try:
            shop.write(shop.configuration.save(after, kept.version))
        except Refused:
            continue
        return after, kept.version + 1
    raise Contended("the section is being changed by others; try again")


def _blanked(noun: S, raw: Any) -> S:
    """The section without what the request says is null. No client's SDK knows sections, so nobody sends a null for
    what he has not heard of."""
    named = raw if isinstance(raw, dict) else {}
    gone = [name for name in noun.__struct_fields__ if name not in noun.read_only and named.get(name, noun) is None]
    found: S = replace(noun, **dict.fromkeys(gone))
    return found


def _owned(shop: Shop, noun: Any) -> Any:
    """Whose section it is, said by the shop where nobody saved it yet."""
    return replace(noun, merchant_id=shop.merchant_id) if isinstance(noun, Merchant) else noun


def _same_currency(kept: Kept[Any], after: Any) -> None:
    """Every price, order and auto order is in the shop's currency without saying so. Raises Invalid."""
    if not isinstance(after, Merchant) or not kept.version:
        return
    currency = kept.noun.currency()
    if after.currency() != currency:
        message = f"is {currency} since the shop was founded, and so is every price and every order; found another shop"
        raise Invalid.one("/currency_code", "read_only", message)
