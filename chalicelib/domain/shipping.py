"""Shipping methods: where each goes, what it costs for a parcel, and which of them is the cheapest.

A method's name, ``shipping_method``, is the very text that an order's ``shipping.shipping_method`` holds.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, ClassVar, Protocol

import msgspec
from msgspec import Meta

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Amount, CountryCode, Quantity, on_form
from chalicelib.domain.money import ZERO, quantise
from chalicelib.domain.wire import Noun, Words

# A shopper chooses from one list; nobody reads more. Bounds the section's document with the two below.
MAXIMUM_METHODS = 50
MAXIMUM_STEPS = 50
# Every country there is, and every state of those few that have them in addresses.
MAXIMUM_COUNTRIES = 250
MAXIMUM_STATES = 500

# A state by its country, as in US-NY: the same letters mean other places elsewhere (CA-ON, AU-WA and US-WA).
StateCode = Annotated[str, Meta(pattern=r"^[A-Z]{2}-\S(.{0,30}\S)?$", examples=["US-NY"])]
MethodName = Annotated[str, Meta(min_length=1, max_length=50)]

# Shown at a field where its value is so.
RENAMED = {
    "changed": True,
    "message": "Auto orders keep the old name: their rebills are held, unless they go by the lowest cost method.",
}
NOT_OFFERED = {
    "is": False,
    "message": "Rebills of auto orders that go by it are held, unless they go by the lowest cost method.",
}


class Place(Protocol):
    """The part of an address that shipping and tax look at: an order's shipping or billing block is one."""

    @property
    def country_code(self) -> str | None: ...

    @property
    def state_region(self) -> str | None: ...

    @property
    def postal_code(self) -> str | None: ...


class WeightStep(Noun):
    """What a parcel of up to so many pounds adds to the cost. Without a weight: any; only the last step may be so."""

    words: ClassVar[Words] = {
        "cost": ("Cost", "What such a parcel adds.", {"unit": "currency"}),
        "up_to_pounds": ("Up to", "Blank: any weight; only the last step may be so.", {"unit": "pounds"}),
    }

    cost: Amount
    up_to_pounds: Quantity | None = None


class ShippingMethod(Noun):
    """Cost = ``per_order`` + ``per_item`` for each unit + the cost of the first weight step that holds the parcel;
    nothing where the order reaches ``free_over_amount``. A parcel heavier than the last step does not go this way.

    ``states`` narrows: in a country of which it names states, only those are served; the others are served whole.
    """

    groups: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("method", "", ""),
        ("cost", "Cost", "The cost of an order, of each unit and of the weight add up."),
        ("places", "Where it goes", ""),
    )

    words: ClassVar[Words] = {
        "shipping_method": (
            "Name",
            "As shoppers choose it and as orders carry it.",
            {"group": "method", "warnings": [RENAMED]},
        ),
        "enabled": (
            "Enabled",
            "Off: kept, but not offered.",
            {"group": "method", "blank": True, "warnings": [NOT_OFFERED]},
        ),
        "per_order": ("Per order", "Charged once an order.", {"group": "cost", "unit": "currency", "blank": 0}),
        "per_item": ("Per item", "Added for each unit that ships.", {"group": "cost", "unit": "currency", "blank": 0}),
        "free_over_amount": (
            "Free over",
            "Free where the subtotal after discounts reaches this. Blank: never.",
            {"group": "cost", "unit": "currency"},
        ),
        "qualifies_for_free_shipping": (
            "Qualifies for free shipping",
            "Items with free shipping go free by this method.",
            {"group": "cost", "blank": True},
        ),
        "weight_steps": (
            "Weight steps",
            "From light to heavy; heavier than the last step: not by this method. Blank: any weight.",
            {"group": "cost", "entry": "weight step", "ordered": True},
        ),
        "countries": (
            "Countries",
            "ISO codes with commas between, as in US, CA. Blank: everywhere.",
            {"group": "places", "widget": "words"},
        ),
        "states": (
            "States",
            "As in US-NY: only these states of that country, which must stand in the countries. Blank: all.",
            {"group": "places", "widget": "words"},
        ),
    }

    shipping_method: MethodName
    enabled: bool | None = None
    per_order: Amount | None = None
    per_item: Amount | None = None
    free_over_amount: Amount | None = None
    qualifies_for_free_shipping: bool | None = None
    weight_steps: Annotated[list[WeightStep], Meta(max_length=MAXIMUM_STEPS)] | None = None
    countries: Annotated[list[CountryCode], Meta(max_length=MAXIMUM_COUNTRIES)] | None = None
    states: Annotated[list[StateCode], Meta(max_length=MAXIMUM_STATES)] | None = None


class ShippingSettings(Noun):
    """The shop's shipping methods. None at all: the shop ships everything free and names no method."""

    section: ClassVar[str] = "shipping_methods"

    methods: (
        Annotated[
            list[ShippingMethod],
            Meta(
                max_length=MAXIMUM_METHODS,
                title="Shipping methods",
                description="How orders go out and at what cost, in the order in which shoppers see them. None: "
                "everything ships free, and orders name no method.",
                extra_json_schema=on_form(
                    entry="shipping method",
                    summary=["shipping_method", "per_order", "per_item", "countries", "enabled"],
                    ordered=True,
                ),
            ),
        ]
        | None
    ) = None


class Parcel(msgspec.Struct, kw_only=True, frozen=True):
    """What ships: its weight, its number of units, and the order's subtotal after discounts."""

    pounds: Decimal
    units: Decimal
    subtotal: Decimal


class Quote(msgspec.Struct, kw_only=True, frozen=True):
    """A method that can be had and what it costs here; ``discount`` is the part of the cost that is waived."""

    method: ShippingMethod
    cost: Decimal
    discount: Decimal = ZERO

    def name(self) -> str:
        return self.method.shipping_method

    def to_pay(self) -> Decimal:
        return self.cost - self.discount


def ship_to(shipping: Place | None, billing: Place | None) -> Place | None:
    """Where an order goes: to its shipping address where that names a country, else to the billing address."""
    return shipping if shipping is not None and shipping.country_code else billing or shipping


def serves(method: ShippingMethod, place: Place | None) -> bool:
    """Whether the method goes there. An unknown country is served only by methods that go everywhere."""
    if not method.countries:
        return True
    country = place.country_code if place is not None else None
    if place is None or country not in method.countries:
        return False
    named = {state.casefold() for state in method.states or [] if state.startswith(f"{country}-")}
    return not named or f"{country}-{(place.state_region or '').strip()}".casefold() in named


def cost(method: ShippingMethod, parcel: Parcel, currency_code: str) -> Decimal | None:
    """What the parcel costs by this method; None where it is too heavy for it."""
    step = _step_cost(method, parcel.pounds)
    if step is None:
        return None
    if method.free_over_amount is not None and parcel.subtotal >= method.free_over_amount:
        return ZERO
    return quantise((method.per_order or ZERO) + (method.per_item or ZERO) * parcel.units + step, currency_code)


def available(settings: ShippingSettings, place: Place | None, parcel: Parcel, currency_code: str) -> list[Quote]:
    """The methods that take this parcel there, each with its cost, in the order of the settings."""
    quotes = []
    for method in settings.methods or []:
        price = cost(method, parcel, currency_code) if method.enabled is not False and serves(method, place) else None
        if price is not None:
            quotes.append(Quote(method=method, cost=price))
    return quotes


def cheapest(quotes: Iterable[Quote]) -> Quote | None:
    """The least to pay; among equals what costs least before discounts (the shop pays that), then the first by name."""
    return min(quotes, key=lambda quote: (quote.to_pay(), quote.cost, quote.name()), default=None)


def validate(settings: ShippingSettings) -> None:
    """Rules between the fields. Raises Invalid with all problems."""
    problems: list[Problem] = []
    names = [method.shipping_method for method in settings.methods or []]
    for position, method in enumerate(settings.methods or []):
        at = f"/methods/{position}"
        if method.shipping_method != method.shipping_method.strip():
            problems.append(
                Problem(pointer=f"{at}/shipping_method", code="invalid", message="may not begin or end with a space")
            )
        if method.shipping_method in names[:position]:
            problems.append(Problem(pointer=f"{at}/shipping_method", code="conflict", message="stands there twice"))
        if method.free_over_amount == 0:
            problems.append(
                Problem(
                    pointer=f"{at}/free_over_amount",
                    code="out_of_range",
                    message="must be more than 0; a method that is always free has no costs",
                )
            )
        problems += _state_problems(method, at)
        problems += _step_problems(method, at)
    if problems:
        raise Invalid(problems)


def _state_problems(method: ShippingMethod, at: str) -> list[Problem]:
    countries = method.countries or []
    return [
        Problem(
            pointer=f"{at}/states/{position}",
            code="conflict",
            message=f"{state[:2]} must stand in the countries of this method",
        )
        for position, state in enumerate(method.states or [])
        if state[:2] not in countries
    ]


def _step_problems(method: ShippingMethod, at: str) -> list[Problem]:
    problems: list[Problem] = []
    steps = method.weight_steps or []
    for position, step in enumerate(steps):
        pointer = f"{at}/weight_steps/{position}/up_to_pounds"
        before = steps[position - 1].up_to_pounds if position else None
        if step.up_to_pounds is None and position != len(steps) - 1:
            problems.append(
                Problem(pointer=pointer, code="required", message="only the last step may go without a weight")
            )
        elif step.up_to_pounds is not None and before is not None and step.up_to_pounds <= before:
            problems.append(
                Problem(pointer=pointer, code="conflict", message="must be more than that of the step before it")
            )
    return problems


def _step_cost(method: ShippingMethod, pounds: Decimal) -> Decimal | None:
    if not method.weight_steps:
        return ZERO
    for step in method.weight_steps:
        if step.up_to_pounds is None or pounds <= step.up_to_pounds:
            return step.cost
    return None
