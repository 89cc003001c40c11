"""All doors: the blueprints of every resource."""

from chalice.app import Blueprint

from chalicelib.handlers import (
    admin,
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
    my_account,
    notices,
    orders,
    pages,
    pricing_tiers,
    reconciliation,
    reports,
    sign_in,
    storefront,
    transfers,
    users,
    views,
    webhooks,
)

DOORS = (
    admin.door,
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
    my_account.door,
    notices.door,
    orders.door,
    pages.door,
    pricing_tiers.door,
    reconciliation.door,
    reports.door,
    sign_in.door,
    storefront.door,
    transfers.door,
    users.door,
    views.door,
    webhooks.door,
)


def blueprints() -> list[Blueprint]:
    return [door.blueprint for door in DOORS]
