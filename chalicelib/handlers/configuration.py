"""Settings over HTTP: every section of the merchant's with the schema of its form, and the test clock.

Each section is one noun with an ETag. A PUT changes the keys that it names (arrays whole); with If-Match it changes
the version that was read, or nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import available_timezones

from chalicelib.domain.customer_values import CustomerProfileSettings
from chalicelib.domain.loyalty import LoyaltyProgram
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.pricing_tiers import PricingTiers
from chalicelib.domain.rotating import RotatingGateways
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.shipping import ShippingSettings
from chalicelib.domain.taxes import TaxSettings
from chalicelib.domain.wire import whole
from chalicelib.flows import pricing_tiers, travel
from chalicelib.flows.configure import configure, section
from chalicelib.flows.ports import S
from chalicelib.gateways.countries import countries
from chalicelib.handlers.http import Ask, Door, one

door = Door("configuration")

READ = "configuration_read"
WRITE = "configuration_write"


def _section(
    noun: type[S],
    name: str,
    about: str,
    changes: str,
    *,
    read: str | None = None,
    change: Callable[..., tuple[S, int]] = configure,
) -> None:
    """The three doors of a section: what it says, a change of it, and the schema that its form is made from. ``name``
    of its calls; ``read`` where the contract has a call of that name."""

    def get(ask: Ask) -> dict[str, Any]:
        return _answer(ask, *section(ask.shop, noun))

    def update(ask: Ask) -> dict[str, Any]:
        return _answer(ask, *change(ask.shop, noun, ask.raw(), version=ask.if_match()))

    def schema(ask: Ask) -> dict[str, Any]:
        return one("schema", form_schema(noun, _lists(ask)))

    get.__name__, update.__name__, schema.__name__ = read or f"get_{name}", f"update_{name}", f"get_{name}_schema"
    path = f"/configuration/{noun.section}"
    door("GET", path, READ, summary=f"Retrieve {about}", gives=noun)(get)
    door("PUT", path, WRITE, summary=changes, takes=noun, gives=noun)(update)
    told = f"The JSON schema of {about}, to make a form from"
    door("GET", f"{path}/schema", READ, summary=told, gives={"schema": dict[str, Any]})(schema)


def _answer(ask: Ask, noun: S, version: int) -> dict[str, Any]:
    ask.etag(version)
    return one(noun.section, whole(noun, ask.form))


_section(
    Merchant,
    "merchant",
    "the merchant section",
    "Change the merchant section; the currency stays as the shop was founded",
)
_section(
    AutoOrderProcessing,
    "auto_order_processing",
    "the rules of auto order processing",
    "Change rules of auto order processing",
)
_section(ShippingSettings, "shipping_methods", "the shipping methods", "Replace the shipping methods")
_section(TaxSettings, "taxes", "the tax rates", "Replace the tax rates")
_section(
    CustomerProfileSettings,
    "customer_profile_settings",
    "the lists of customer profiles",
    "Change the lists of customer profiles",
)
_section(
    RotatingGateways,
    "rotating_transaction_gateways",
    "the rotating transaction gateways",
    "Replace the rotating transaction gateways",
)
_section(
    LoyaltyProgram,
    "loyalty_program",
    "the loyalty program",
    "Change the loyalty program; what was earned under other terms stays",
)
_section(
    PricingTiers,
    "pricing_tiers",
    "the pricing tiers",
    "Replace the pricing tiers; one that keeps its oid is the same tier",
    read="get_pricing_tiers_section",
    change=lambda shop, _, raw, version: pricing_tiers.change(shop, raw, version=version),
)


# Lists of the shop's own and of the world's, from which a field of a form is chosen (``choices``).
Lists = Mapping[str, Callable[[], Sequence[Any]]]


def _lists(ask: Ask) -> Lists:
    return {
        "countries": countries,
        "time_zones": lambda: sorted(name for name in available_timezones() if "/" in name or name == "UTC"),
        "payment_accounts": lambda: [(code, code) for code in sorted(ask.shop.payments)],
    }


def form_schema(type_: type[Any], lists: Lists | None = None) -> dict[str, Any]:
    """A section's schema as one object, its fields in their order. ``x-ui`` says how they stand on a form; what stands
    on none, though the noun has it, is left out."""
    from chalicelib.handlers import openapi

    definitions = openapi.components([type_], "#/$defs/")
    for noun in openapi.structs_in(type_):
        described = definitions[noun.__name__]
        groups = [dict(zip(("name", "title", "help"), group, strict=True)) for group in getattr(noun, "groups", ())]
        described["x-ui"] = {"groups": groups}
        for name in getattr(noun, "off_form", ()):
            described["properties"].pop(name)
        for field in described["properties"].values():
            choices = field.get("x-ui", {}).get("choices")
            if isinstance(choices, str) and choices in (lists or {}):
                field["x-ui"] = {**field["x-ui"], "choices": (lists or {})[choices]()}
    schema = definitions.pop(type_.__name__)
    told = str([schema, definitions])
    named = {name: noun for name, noun in definitions.items() if f"'#/$defs/{name}'" in told}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "$defs": named}


@door(
    "POST",
    "/configuration/test_clock",
    WRITE,
    summary="Move the clock of a shop in test mode, and do all that comes due on the way",
    takes=travel.Advance,
)
def advance_test_clock(ask: Ask) -> dict[str, Any]:
    return one("test_clock", travel.advance(ask.shop, ask.raw()))
