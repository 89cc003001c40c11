"""All doors: the blueprints of every resource."""

from chalice.app import Blueprint

from chalicelib.handlers import (
    auto_orders,
    cancellation,
    configuration,
    consents,
    coupons,
    customer_search,
    customers,
    docs,
    gateways,
    gift_certificates,
    items,
    loyalty,
    notices,
    orders,
    pages,
    pricing_tiers,
    reconciliation,
    reports,
    storefront,
    transfers,
    views,
    webhooks,
)

DOORS = (
    auto_orders.door,
    cancellation.door,
    configuration.door,
    consents.door,
    coupons.door,
    customer_search.door,
    customers.door,
    docs.door,
    gateways.door,
    gift_certificates.door,
    items.door,
    loyalty.door,
    notices.door,
    orders.door,
    pages.door,
    pricing_tiers.door,
    reconciliation.door,
    reports.door,
    storefront.door,
    transfers.door,
    views.door,
    webhooks.door,
)


def blueprints() -> list[Blueprint]:
    return [door.blueprint for door in DOORS]
