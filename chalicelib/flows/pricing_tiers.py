"""The shop's pricing tiers, changed all together under one version; and which of them a request names for a profile."""

from typing import Any

from msgspec.structs import replace

from chalicelib.domain.customers import Customer, CustomerPricingTier
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.pricing_tiers import PricingTiers, numbered, refuse_currency
from chalicelib.flows.configure import configure
from chalicelib.flows.ports import Shop


def change(shop: Shop, raw: Any, *, version: int | None = None) -> tuple[PricingTiers, int]:
    """The tiers with the request laid over them, and their version. What changes nothing writes nothing. A tier that is
    left out is gone: who was in it buys by his other terms.

    Raises Stale, and Invalid with all problems.
    """
    currency = shop.configuration.section(Merchant).noun.currency()
    return configure(
        shop,
        PricingTiers,
        raw,
        version=version,
        rule=lambda section: refuse_currency(section, currency),
        finish=lambda after, before: numbered(after, before, shop.oids),
    )


def with_tiers(shop: Shop, wanted: Customer, before: Customer | None) -> Customer:
    """The profile whose tiers are named by oid or by name, with both. One that the profile had and the shop has no more
    may stay. Raises Invalid for one that there is not."""
    if not wanted.pricing_tiers:
        return wanted
    section = shop.configuration.section(PricingTiers).noun
    known, had = section.by_oid(), {one.pricing_tier_oid for one in (before and before.pricing_tiers) or []}
    by_name = {(tier.name or "").casefold(): oid for oid, tier in known.items()}
    problems, found = [], {}
    for position, one in enumerate(wanted.pricing_tiers):
        oid = one.pricing_tier_oid or by_name.get((one.name or "").strip().casefold())
        if oid in known:
            found[oid] = CustomerPricingTier(pricing_tier_oid=oid, name=known[oid].name)
        elif oid is not None and oid in had:
            found[oid] = one
        else:
            field = "pricing_tier_oid" if one.pricing_tier_oid else "name"
            names = ", ".join(tier.name or "" for tier in known.values()) or "none"
            message = f"there is no such pricing tier; there are: {names}"
            problems.append(Problem(pointer=f"/pricing_tiers/{position}/{field}", code="unknown", message=message))
    if problems:
        raise Invalid(problems)
    return replace(wanted, pricing_tiers=list(found.values()))


def signup_tiers(shop: Shop, chosen: str | None) -> list[CustomerPricingTier] | None:
    """The tiers of who signs up for wholesale: those that all are in, and the one that he has chosen. Raises Invalid
    for one that nobody may choose."""
    tiers = shop.configuration.section(PricingTiers).noun.tiers or []
    found = [tier for tier in tiers if tier.default_on_wholesale_signup]
    offered = {(tier.name or "").casefold(): tier for tier in tiers if tier.display_on_wholesale_signup}
    if chosen is not None:
        if chosen.strip().casefold() not in offered:
            names = ", ".join(tier.name or "" for tier in offered.values()) or "none"
            raise Invalid.one("/pricing_tier_name", "unknown", f"may be one of: {names}")
        found.append(offered[chosen.strip().casefold()])
    oids = list(dict.fromkeys(tier.pricing_tier_oid for tier in found))
    return [CustomerPricingTier(pricing_tier_oid=oid) for oid in oids] or None


def with_names(shop: Shop, noun: Customer) -> Customer:
    """The profile's tiers by the names that they have now."""
    known = shop.configuration.remembered(PricingTiers).by_oid()
    named = [
        replace(one, name=known[one.pricing_tier_oid].name) if one.pricing_tier_oid in known else one
        for one in noun.pricing_tiers or []
    ]
    return replace(noun, pricing_tiers=named or noun.pricing_tiers)
