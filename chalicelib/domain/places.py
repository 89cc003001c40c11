"""Where the setting stands that a reason names: so that who reads why can go there and change it."""

from typing import Literal

from chalicelib.domain.auto_orders import AutoOrder, AutoOrderItem
from chalicelib.domain.coupons import Coupon, CouponAmountOffSubtotal
from chalicelib.domain.customers import Customer
from chalicelib.domain.items import (
    Item,
    ItemAutoOrder,
    ItemAutoOrderStep,
    ItemPaymentProcessing,
    ItemShipping,
)
from chalicelib.domain.pricing_tiers import OWN, PricingTier
from chalicelib.domain.rebills import Reason
from chalicelib.domain.rotating import RotatingGateway, RotatingGateways
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.shipping import ShippingMethod, ShippingSettings
from chalicelib.domain.taxes import TaxSettings
from chalicelib.domain.wire import Noun

Place = Literal[
    "auto_order_processing",
    "auto_order_item",
    "auto_order",
    "item",
    "coupon",
    "shipping_methods",
    "taxes",
    "rotating_transaction_gateways",
    "customer",
    "pricing_tier",
]
# The nouns that hold the settings of each place. Where two places know a name, the first
# is meant, but for ``OTHERWISE``.
HOLDERS: dict[Place, tuple[type[Noun], ...]] = {
    "auto_order_processing": (AutoOrderProcessing,),
    "auto_order_item": (AutoOrderItem,),
    "auto_order": (AutoOrder,),
    "item": (Item, ItemAutoOrder, ItemAutoOrderStep, ItemPaymentProcessing, ItemShipping),
    "coupon": (Coupon, CouponAmountOffSubtotal),
    "shipping_methods": (ShippingSettings, ShippingMethod),
    "taxes": (TaxSettings,),
    "rotating_transaction_gateways": (RotatingGateways, RotatingGateway),
    "customer": (Customer,),
    "pricing_tier": (PricingTier,),
}
# Reasons whose setting another place knows by the same name.
OTHERWISE: dict[str, Place] = {
    "coupon_other_currency": "coupon",
    "step_unit_cost": "item",
    "kit_steps_passed_over": "item",
    "shipping_free_items": "item",
    "gateways_on_standby": "rotating_transaction_gateways",
    "no_gateway_active": "rotating_transaction_gateways",
}
# What an item has and the auto order too: a reason that names no item means the auto order's.
OF_BOTH = frozenset(AutoOrder.__struct_fields__) & frozenset(AutoOrderItem.__struct_fields__)


def place_of(reason: Reason) -> Place | None:
    """Where the setting stands; None where the reason names none."""
    if reason.setting is None:
        return None
    owner, dot, _ = reason.setting.partition(".")
    if dot:
        return "customer" if owner == OWN else "pricing_tier"
    if reason.code in OTHERWISE:
        return OTHERWISE[reason.code]
    if reason.setting in HOLDERS:
        return reason.setting
    if "auto_order_item_oid" not in reason.params and reason.setting in OF_BOTH:
        return "auto_order"
    return next((place for place in HOLDERS if holds(place, reason.setting)), None)


def holds(place: Place, setting: str) -> bool:
    """Whether the setting is a field of the place."""
    name = setting.rpartition(".")[2]
    return setting == place or any(name in noun.__struct_fields__ for noun in HOLDERS[place])
