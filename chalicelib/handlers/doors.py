"""All doors: the blueprints of every resource."""

from chalice.app import Blueprint

from chalicelib.handlers import (
    auto_orders,
    cancellation,
    configuration,
    consents,
    coupons,
    customers,
    docs,
    gateways,
    gift_certificates,
    items,
    loyalty,
    my_account,
    notices,
    orders,
    pages,
    reconciliation,
    reports,
    storefront,
    webhooks,
)

DOORS = (
    auto_orders.door,
    cancellation.door,
    configuration.door,
    consents.door,
    coupons.door,
    customers.door,
    docs.door,
    gateways.door,
    gift_certificates.door,
    items.door,
    loyalty.door,
    my_account.door,
    notices.door,
    orders.door,
    pages.door,
    reconciliation.door,
    reports.door,
    storefront.door,
    webhooks.door,
)


def blueprints() -> list[Blueprint]:
    return [door.blueprint for door in DOORS]
