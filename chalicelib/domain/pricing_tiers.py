"""Pricing tiers, and by which terms a customer buys: his own and those of his tiers. Field names are the contract's."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Amount, Count, Oid, Percentage, Text3, Text50, Text100, Text10000, on_form
from chalicelib.domain.money import ZERO
from chalicelib.domain.wire import Noun, Words

# A shop has a handful of tiers; all of them are read with every order of a customer with a profile.
MAXIMUM_TIERS = 50
# What the contract has and nothing here would act on: refused where it is set, by name.
UNAVAILABLE = (
    "approval_notification",
    "default_shipping_method_oid",
    "exclude_from_free_promotion",
    "realtime_percentage_discount",
    "restrict_to_distribution_center_oid",
    "signup_notification",
    "suppress_mailing_list",
)


KEPT = "Kept for the systems that read it; nothing here goes by it."
# Shown at the discount where it is so.
MORE_THAN_HALF = {"above": 50, "message": "Its customers pay less than half: is the point where it belongs?"}


class PricingTierNotification(Noun):
    format: Annotated[str, Meta(max_length=16)] | None = None
    subject: Text100 | None = None
    text: Text10000 | None = None


class PricingTier(Noun):
    """Terms by which its customers buy. Payment by COD and purchase order, handling, QuickBooks and buySAFE are kept
    for whoever asks; the rest acts where an order is priced."""

    groups: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("tier", "", ""),
        ("price", "Price", ""),
        ("orders", "What may be ordered", "Of the terms of a customer's tiers and his own the strictest binds."),
        ("payment", "Payment and taxes", ""),
        ("shipping", "Shipping", ""),
        ("signup", "Wholesale signup", ""),
        ("kept", "For other systems", "Kept for whoever reads them; nothing here goes by them."),
    )
    off_form: ClassVar[frozenset[str]] = frozenset({*UNAVAILABLE, "currency_code", "pricing_tier_oid"})

    words: ClassVar[Words] = {
        "allow_3rd_party_billing": ("Allow third-party billing", KEPT, {"group": "kept"}),
        "allow_cod": ("Allow C.O.D.", KEPT, {"group": "kept"}),
        "allow_purchase_order": ("Allow purchase orders", KEPT, {"group": "kept"}),
        "allow_quote_request": ("Allow quote requests", KEPT, {"group": "kept"}),
        "auto_approve_cod": ("Approve C.O.D. by itself", KEPT, {"group": "kept"}),
        "auto_approve_purchase_order": ("Approve purchase orders by itself", KEPT, {"group": "kept"}),
        "default_on_wholesale_signup": (
            "Default on wholesale signup",
            "Who signs up for wholesale is in it.",
            {"group": "signup"},
        ),
        "default_percentage_discount": (
            "Discount",
            "Of every line at the catalogue's price. Of several tiers the largest counts.",
            {"group": "price", "unit": "%", "warnings": [MORE_THAN_HALF]},
        ),
        "default_tier": (
            "Default tier",
            "Every customer with a profile is in it who is in no other.",
            {"group": "tier"},
        ),
        "display_on_wholesale_signup": (
            "Display on wholesale signup",
            "Who signs up for wholesale may choose it.",
            {"group": "signup"},
        ),
        "exempt_loyalty_rewards": ("No loyalty", "Its customers earn nothing.", {"group": "price"}),
        "exempt_shipping_handling_charge": ("Exempt from shipping and handling charges", KEPT, {"group": "kept"}),
        "free_shipping": ("Free shipping", "From the minimum on, where there is one.", {"group": "shipping"}),
        "free_shipping_minimum": (
            "Free shipping from",
            "Subtotal after discounts. Blank: always.",
            {"group": "shipping", "unit": "currency"},
        ),
        "maximum_item_count": (
            "Most items",
            "In one order. Blank or 0: no limit.",
            {"group": "orders", "unit": "items"},
        ),
        "minimum_item_count": ("Least items", "In one order. Blank: any.", {"group": "orders", "unit": "items"}),
        "minimum_subtotal": ("Least subtotal", "Of one order. Blank: any.", {"group": "orders", "unit": "currency"}),
        "name": ("Name", "Unique. Who signs up for wholesale reads it.", {"group": "tier"}),
        "no_coupons": ("No coupons", "Coupons do not count.", {"group": "price"}),
        "no_free_shipping": ("No free shipping", "Whatever coupons, items and methods say.", {"group": "shipping"}),
        "no_realtime_charge": (
            "No realtime charge",
            "An order waits in Accounts Receivable until somebody charges it.",
            {"group": "payment"},
        ),
        "not_valid_when_coupon_present": (
            "Not with coupons",
            "The discount does not go together with a coupon.",
            {"group": "price"},
        ),
        "suppress_buysafe": ("Suppress buySAFE", KEPT, {"group": "kept"}),
        "tax_exempt": ("Tax exempt", "Its customers pay no tax.", {"group": "payment"}),
        "track_separately": ("Track separately in QuickBooks", KEPT, {"group": "kept"}),
    }

    allow_3rd_party_billing: bool | None = None
    allow_cod: bool | None = None
    allow_purchase_order: bool | None = None
    allow_quote_request: bool | None = None
    approval_notification: PricingTierNotification | None = None
    auto_approve_cod: bool | None = None
    auto_approve_purchase_order: bool | None = None
    currency_code: Text3 | None = None
    default_on_wholesale_signup: bool | None = None
    default_percentage_discount: Percentage | None = None
    default_shipping_method_oid: Oid | None = None
    default_tier: bool | None = None
    display_on_wholesale_signup: bool | None = None
    exclude_from_free_promotion: bool | None = None
    exempt_loyalty_rewards: bool | None = None
    exempt_shipping_handling_charge: bool | None = None
    free_shipping: bool | None = None
    free_shipping_minimum: Amount | None = None
    maximum_item_count: Count | None = None
    minimum_item_count: Count | None = None
    minimum_subtotal: Amount | None = None
    name: Annotated[Text50, Meta(min_length=1)] | None = None
    no_coupons: bool | None = None
    no_free_shipping: bool | None = None
    no_realtime_charge: bool | None = None
    not_valid_when_coupon_present: bool | None = None
    pricing_tier_oid: Oid | None = None
    realtime_percentage_discount: Percentage | None = None
    restrict_to_distribution_center_oid: Oid | None = None
    signup_notification: PricingTierNotification | None = None
    suppress_buysafe: bool | None = None
    suppress_mailing_list: bool | None = None
    tax_exempt: bool | None = None
    track_separately: bool | None = None


class PricingTiers(Noun):
    """The section: all tiers of the shop, in their order."""

    section: ClassVar[str] = "pricing_tiers"

    tiers: (
        Annotated[
            list[PricingTier],
            Meta(
                max_length=MAXIMUM_TIERS,
                title="Pricing tiers",
                description="Terms by which customers buy. A tier that is removed is gone from its customers too.",
                extra_json_schema=on_form(
                    entry="pricing tier",
                    summary=["name", "default_percentage_discount", "free_shipping", "tax_exempt", "default_tier"],
                    key=["pricing_tier_oid"],
                    parts=["name"],
                    ordered=True,
                ),
            ),
        ]
        | None
    ) = None

    def by_oid(self) -> dict[int, PricingTier]:
        return {tier.pricing_tier_oid or 0: tier for tier in self.tiers or []}


def validate(section: PricingTiers) -> None:
    """Raises Invalid with all problems."""
    problems: list[Problem] = []
    tiers = section.tiers or []
    names = [(tier.name or "").strip().casefold() for tier in tiers]
    for position, tier in enumerate(tiers):
        at = f"/tiers/{position}"
        if not names[position]:
            problems.append(_problem(f"{at}/name", "required", "is required"))
        elif names[position] in names[:position]:
            problems.append(_problem(f"{at}/name", "conflict", "another tier has this name"))
        if tier.default_tier and any(other.default_tier for other in tiers[:position]):
            problems.append(_problem(f"{at}/default_tier", "conflict", "another tier is the default already"))
        if tier.free_shipping and tier.no_free_shipping:
            problems.append(_problem(f"{at}/no_free_shipping", "conflict", "cannot be true while free_shipping is"))
        least, most = tier.minimum_item_count or 0, tier.maximum_item_count
        if most and least > most:
            message = f"is less than minimum_item_count ({least})"
            problems.append(_problem(f"{at}/maximum_item_count", "conflict", message))
        for name in UNAVAILABLE:
            if getattr(tier, name):
                message = "is not available here: nothing would act on it; leave it out"
                problems.append(_problem(f"{at}/{name}", "not_available", message))
    if problems:
        raise Invalid(problems)


def refuse_currency(section: PricingTiers, currency_code: str) -> None:
    """All prices are in the shop's currency. Raises Invalid."""
    problems = [
        _problem(f"/tiers/{position}/currency_code", "not_available", f"all prices here are in {currency_code}")
        for position, tier in enumerate(section.tiers or [])
        if tier.currency_code not in (None, "", currency_code)
    ]
    if problems:
        raise Invalid(problems)


def numbered(section: PricingTiers, before: PricingTiers, oids: Iterator[int]) -> PricingTiers:
    """The section with an oid for each tier. Raises Invalid for an oid that is none of its own."""
    known, problems, done = before.by_oid(), [], []
    taken: set[int] = set()
    for position, tier in enumerate(section.tiers or []):
        oid = tier.pricing_tier_oid
        if oid is not None and (oid not in known or oid in taken):
            message = "stands there twice" if oid in taken else "is no tier of the shop; leave it out to add one"
            problems.append(_problem(f"/tiers/{position}/pricing_tier_oid", "unknown", message))
        oid = oid or next(one for one in oids if one not in known and one not in taken)
        taken.add(oid)
        done.append(replace(tier, pricing_tier_oid=oid))
    if problems:
        raise Invalid(problems)
    return replace(section, tiers=done or section.tiers)


# --- by which terms somebody buys ------------------------------------------------------------------------------------


class CustomerTerms(msgspec.Struct, kw_only=True, frozen=True):
    """By which terms a customer buys; nobody's are all off. ``by`` is the setting that decided each."""

    percentage_discount: Decimal = ZERO
    discount_with_coupons: bool = True
    tier: str = ""
    free_shipping: bool = False
    free_shipping_minimum: Decimal = ZERO
    no_free_shipping: bool = False
    no_coupons: bool = False
    no_realtime_charge: bool = False
    tax_exempt: bool = False
    exempt_loyalty_rewards: bool = False
    minimum_subtotal: Decimal = ZERO
    minimum_item_count: int = 0
    maximum_item_count: int | None = None
    by: Mapping[str, str] = {}


NOBODY = CustomerTerms()
OWN = "customer"


def tiers_of(customer: Customer, section: PricingTiers) -> list[PricingTier]:
    """The tiers that the customer is in: his own that there are, or else the default one. Who is not approved yet is in
    none."""
    if customer.unapproved:
        return []
    known = section.by_oid()
    own = [known[one.pricing_tier_oid or 0] for one in customer.pricing_tiers or [] if one.pricing_tier_oid in known]
    return own or [tier for tier in section.tiers or [] if tier.default_tier]


def terms_of(customer: Customer, section: PricingTiers) -> CustomerTerms:
    """His own terms and those of all his tiers. Of what is good for him the best counts (the largest discount, the
    lowest minimum for free shipping), of what binds him the strictest; his own word on free shipping is the last."""
    tiers = tiers_of(customer, section)
    sources: list[tuple[str, Customer | PricingTier]] = [(OWN, customer)]
    sources += [(tier.name or "", tier) for tier in tiers]
    by: dict[str, str] = {}

    def flag(name: str) -> bool:
        found = next((source for source, noun in sources if getattr(noun, name, None)), None)
        if found is not None:
            by[name] = found
        return found is not None

    best = max(tiers, key=lambda tier: tier.default_percentage_discount or ZERO, default=PricingTier())
    free = [
        (noun.free_shipping_minimum or ZERO, source)
        for source, noun in ([sources[0]] if customer.free_shipping else sources)
        if noun.free_shipping
    ]
    minimum, by_free = min(free, default=(ZERO, ""))
    none = flag("no_free_shipping") and not customer.free_shipping
    if free:
        by["free_shipping"] = by_free
    return CustomerTerms(
        percentage_discount=best.default_percentage_discount or ZERO,
        discount_with_coupons=not best.not_valid_when_coupon_present,
        tier=best.name or "",
        free_shipping=bool(free) and not none,
        free_shipping_minimum=minimum,
        no_free_shipping=none,
        no_coupons=flag("no_coupons"),
        no_realtime_charge=flag("no_realtime_charge"),
        tax_exempt=flag("tax_exempt"),
        exempt_loyalty_rewards=any(tier.exempt_loyalty_rewards for tier in tiers),
        minimum_subtotal=_strictest(sources, "minimum_subtotal", by) or ZERO,
        minimum_item_count=int(_strictest(sources, "minimum_item_count", by) or 0),
        maximum_item_count=_least(noun.maximum_item_count for _, noun in sources),
        by=by,
    )


def _strictest(sources: list[tuple[str, Customer | PricingTier]], name: str, by: dict[str, str]) -> Decimal | None:
    found = [(Decimal(value), source) for source, noun in sources if (value := getattr(noun, name))]
    if not found:
        return None
    amount, by[name] = max(found)
    return amount


def _least(counts: Iterable[int | None]) -> int | None:
    return min((count for count in counts if count), default=None)


def refused(terms: CustomerTerms, subtotal: Decimal, units: Decimal, currency: str) -> list[Problem]:
    """What keeps an order from being placed: too little of it, or too much."""
    problems = []
    if subtotal < terms.minimum_subtotal:
        message = f"the subtotal must be at least {terms.minimum_subtotal:f} {currency}; it is {subtotal:f}"
        problems.append(_problem("/items", "minimum_subtotal", message))
    if units < terms.minimum_item_count:
        message = f"must be at least {terms.minimum_item_count} in all; there are {units.normalize():f}"
        problems.append(_problem("/items", "minimum_item_count", message))
    if terms.maximum_item_count is not None and units > terms.maximum_item_count:
        message = f"may be {terms.maximum_item_count} in all at most; there are {units.normalize():f}"
        problems.append(_problem("/items", "maximum_item_count", message))
    return problems


def _problem(pointer: str, code: str, message: str) -> Problem:
    return Problem(pointer=pointer, code=code, message=message)
