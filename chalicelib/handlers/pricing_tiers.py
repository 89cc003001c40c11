"""Pricing tiers over HTTP: the contract reads them, the shop's own call writes all of them together."""

from typing import Any

from chalicelib.domain.pricing_tiers import PricingTier, PricingTiers
from chalicelib.domain.wire import render, whole
from chalicelib.flows.configure import section
from chalicelib.flows.pricing_tiers import change
from chalicelib.handlers.http import Ask, Door, one

door = Door("pricing_tiers")

TIERS = "/configuration/pricing_tiers"


def _answer(ask: Ask, noun: PricingTiers, version: int) -> dict[str, Any]:
    ask.etag(version)
    return one(noun.section, whole(noun, ask.form))


@door("GET", TIERS, "configuration_read", summary="Retrieve the pricing tiers", gives=PricingTiers)
def get_pricing_tiers_section(ask: Ask) -> dict[str, Any]:
    return _answer(ask, *section(ask.shop, PricingTiers))


@door(
    "PUT",
    TIERS,
    "configuration_write",
    summary="Replace the pricing tiers; one that keeps its oid is the same tier",
    takes=PricingTiers,
    gives=PricingTiers,
)
def update_pricing_tiers(ask: Ask) -> dict[str, Any]:
    return _answer(ask, *change(ask.shop, ask.raw(), version=ask.if_match()))


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
