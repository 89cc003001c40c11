"""Settings over HTTP: the merchant's sections, the form of one of them, and the test clock.

Each section is one noun with an ETag. A PUT changes the keys that it names (arrays whole); with If-Match it changes
the version that was read, or nothing.
"""

from typing import Any

import msgspec

from chalicelib.domain.customer_values import CustomerProfileSettings
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.rotating import RotatingGateways
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.shipping import ShippingSettings
from chalicelib.domain.taxes import TaxSettings
from chalicelib.domain.wire import whole
from chalicelib.flows import travel
from chalicelib.flows.configure import configure, section
from chalicelib.flows.ports import S
from chalicelib.handlers.http import Ask, Door, one

door = Door("configuration")

READ = "configuration_read"
WRITE = "configuration_write"
MERCHANT = "/configuration/merchant"
AUTO_ORDER_PROCESSING = "/configuration/auto_order_processing"
SHIPPING_METHODS = "/configuration/shipping_methods"
TAXES = "/configuration/taxes"
PROFILES = "/configuration/customer_profiles"
GATEWAYS = "/configuration/rotating_transaction_gateways"


def _answer(ask: Ask, noun: S, version: int) -> dict[str, Any]:
    ask.etag(version)
    return one(noun.section, whole(noun, ask.form))


def _changed(ask: Ask, type_: type[S]) -> dict[str, Any]:
    return _answer(ask, *configure(ask.shop, type_, ask.raw(), version=ask.if_match()))


@door("GET", MERCHANT, READ, summary="Retrieve the merchant section", gives=Merchant)
def get_merchant(ask: Ask) -> dict[str, Any]:
    return _answer(ask, *section(ask.shop, Merchant))


@door(
    "PUT",
    MERCHANT,
    WRITE,
    summary="Change the merchant section; the currency stays as the shop was founded",
    takes=Merchant,
    gives=Merchant,
)
def update_merchant(ask: Ask) -> dict[str, Any]:
    return _changed(ask, Merchant)


@door(
    "GET",
    AUTO_ORDER_PROCESSING,
    READ,
    summary="Retrieve the rules of auto order processing",
    gives=AutoOrderProcessing,
)
def get_auto_order_processing(ask: Ask) -> dict[str, Any]:
    return _answer(ask, *section(ask.shop, AutoOrderProcessing))


@door(
    "PUT",
    AUTO_ORDER_PROCESSING,
    WRITE,
    summary="Change rules of auto order processing",
    takes=AutoOrderProcessing,
    gives=AutoOrderProcessing,
)
def update_auto_order_processing(ask: Ask) -> dict[str, Any]:
    return _changed(ask, AutoOrderProcessing)


@door("GET", SHIPPING_METHODS, READ, summary="Retrieve the shipping methods", gives=ShippingSettings)
def get_shipping_methods(ask: Ask) -> dict[str, Any]:
    return _answer(ask, *section(ask.shop, ShippingSettings))


@door(
    "PUT",
    SHIPPING_METHODS,
    WRITE,
    summary="Replace the shipping methods",
    takes=ShippingSettings,
    gives=ShippingSettings,
)
def update_shipping_methods(ask: Ask) -> dict[str, Any]:
    return _changed(ask, ShippingSettings)


@door("GET", TAXES, READ, summary="Retrieve the tax rates", gives=TaxSettings)
def get_taxes(ask: Ask) -> dict[str, Any]:
    return _answer(ask, *section(ask.shop, TaxSettings))


@door("PUT", TAXES, WRITE, summary="Replace the tax rates", takes=TaxSettings, gives=TaxSettings)
def update_taxes(ask: Ask) -> dict[str, Any]:
    return _changed(ask, TaxSettings)


@door("GET", PROFILES, READ, summary="Retrieve the lists of customer profiles", gives=CustomerProfileSettings)
def get_customer_profile_settings(ask: Ask) -> dict[str, Any]:
    return _answer(ask, *section(ask.shop, CustomerProfileSettings))


@door(
    "PUT",
    PROFILES,
    WRITE,
    summary="Change the lists of customer profiles",
    takes=CustomerProfileSettings,
    gives=CustomerProfileSettings,
)
def update_customer_profile_settings(ask: Ask) -> dict[str, Any]:
    return _changed(ask, CustomerProfileSettings)


@door("GET", GATEWAYS, READ, summary="Retrieve the rotating transaction gateways", gives=RotatingGateways)
def get_rotating_transaction_gateways(ask: Ask) -> dict[str, Any]:
    return _answer(ask, *section(ask.shop, RotatingGateways))


@door(
    "PUT",
    GATEWAYS,
    WRITE,
    summary="Replace the rotating transaction gateways",
    takes=RotatingGateways,
    gives=RotatingGateways,
)
def update_rotating_transaction_gateways(ask: Ask) -> dict[str, Any]:
    return _changed(ask, RotatingGateways)


@door(
    "GET",
    AUTO_ORDER_PROCESSING + "/schema",
    READ,
    summary="The JSON schema of the rules of auto order processing, to make a form from",
)
def get_auto_order_processing_schema(ask: Ask) -> dict[str, Any]:
    return one("schema", form_schema())


def form_schema() -> dict[str, Any]:
    """The section's schema as one object, its rules in their order."""
    described = msgspec.json.schema(AutoOrderProcessing)
    definitions = _without_null(described["$defs"])
    schema: dict[str, Any] = definitions.pop(AutoOrderProcessing.__name__)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "$defs": definitions}


def _without_null(schema: Any) -> Any:
    """What may be left out is left out: an answer never says null, and neither does its schema."""
    if isinstance(schema, list):
        return [_without_null(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    rest = [entry for entry in schema.get("anyOf", []) if entry != {"type": "null"}]
    if len(rest) == 1:
        return _without_null(rest[0])
    return {name: _without_null(value) for name, value in schema.items() if value is not None}


@door(
    "POST",
    "/configuration/test_clock",
    WRITE,
    summary="Move the clock of a shop in test mode, and do all that comes due on the way",
    takes=travel.Advance,
)
def advance_test_clock(ask: Ask) -> dict[str, Any]:
    return one("test_clock", travel.advance(ask.shop, ask.raw()))
