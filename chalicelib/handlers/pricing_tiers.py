"""Pricing tiers as the contract reads them; they are written together, as a section of the settings."""

from typing import Any

from chalicelib.domain.pricing_tiers import PricingTier, PricingTiers
from chalicelib.domain.wire import render
from chalicelib.flows.configure import section
from chalicelib.handlers.http import Ask, Door, one

door = Door("pricing_tiers")


@door(
    "GET",
    "/item/pricing_tiers",
    "item_read",
    summary="Retrieve the pricing tiers, as the contract has them",
    gives={"pricingTiers": list[PricingTier]},
    query=("_expand",),
)
def get_pricing_tiers(ask: Ask) -> dict[str, Any]:
    noun, _ = section(ask.shop, PricingTiers)
    return one("pricingTiers", [render(tier, ask.form, ask.expand) for tier in noun.tiers or []])
