"""All doors: the blueprints of every resource."""

from chalice.app import Blueprint

from chalicelib.handlers import (
    admin,
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
    notices,
    orders,
    pages,
    reconciliation,
    reports,
    sign_in,
    storefront,
    users,
    webhooks,
)

DOORS = (
    admin.door,
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
    notices.door,
    orders.door,
    pages.door,
    reconciliation.door,
    reports.door,
    sign_in.door,
    storefront.door,
    users.door,
    webhooks.door,
)


def blueprints() -> list[Blueprint]:
    return [door.blueprint for door in DOORS]
