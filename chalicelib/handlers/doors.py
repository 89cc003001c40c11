"""All doors: the blueprints of every resource."""

from chalice.app import Blueprint

from chalicelib.handlers import (
    auto_orders,
    configuration,
    coupons,
    customers,
    docs,
    gateways,
    items,
    orders,
    reconciliation,
    reports,
    storefront,
    webhooks,
)

DOORS = (
    auto_orders.door,
    configuration.door,
    coupons.door,
    customers.door,
    docs.door,
    gateways.door,
    items.door,
    orders.door,
    reconciliation.door,
    reports.door,
    storefront.door,
    webhooks.door,
)


def blueprints() -> list[Blueprint]:
    return [door.blueprint for door in DOORS]
