"""What a form for a customer profile offers: the merchant's own lists, and what the world has. Field names are the
contract's."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, ClassVar, get_args, get_type_hints

from msgspec import Meta

from chalicelib.domain.customers import MAXIMUM_ADDRESSES
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.loyalty import LoyaltyProgram, ManualEntry
from chalicelib.domain.payments import CardType
from chalicelib.domain.wire import Noun, Words

# Cards are issued for ten years at most; some merchants' own cards for longer.
CARD_YEARS = 20
# A form's list that is longer is no list to choose from.
MAXIMUM_CHOICES = 200
# Addresses there need their state; elsewhere a form may do without.
WITH_STATES = frozenset({"AU", "CA", "US"})

# Shown at a field where its value is so.
NOBODY_SIGNS_IN = {
    "is": False,
    "message": "Customers cannot look after their auto orders at a storefront any more; links in mails still work.",
}
NO_GUESTS = {"is": True, "message": "Who has no profile yet must sign up before he can order."}

Term = Annotated[str, Meta(min_length=1, max_length=31)]
SalesRep = Annotated[str, Meta(min_length=1, max_length=10)]


class CustomerProfileSettings(Noun):
    """The rules of profiles, and the merchant's own lists for them (QuickBooks Terms and Lists)."""

    section: ClassVar[str] = "customer_profiles"

    groups: ClassVar[tuple[tuple[str, str, str], ...]] = (
        (
            "profiles",
            "Customer profiles",
            "Whether customers have profiles at storefronts, and what they may keep there.",
        ),
        ("wholesale", "Wholesale signup", "How dealers become customers."),
        ("lists", "QuickBooks lists", "What the form of a profile offers to choose from."),
    )

    words: ClassVar[Words] = {
        "enable_customer_profiles": (
            "Enable customer profiles",
            "Off: nobody signs in, asks for a password or signs up at a storefront.",
            {"group": "profiles", "blank": True, "warnings": [NOBODY_SIGNS_IN]},
        ),
        "require_customer_profile": (
            "Require a customer profile",
            "No guests: who orders has a profile with that address.",
            {"group": "profiles", "warnings": [NO_GUESTS]},
        ),
        "allow_storing_credit_cards": (
            "Allow storing credit cards",
            "Off: profiles take no new cards.",
            {"group": "profiles", "blank": True},
        ),
        "limit_checkout_address_book": (
            "Limit the checkout address book",
            "Of each address book the default and the latest are offered, so many. Blank: all.",
            {"group": "profiles", "unit": "addresses"},
        ),
        "wholesale_signup": (
            "Wholesale signup",
            "Storefronts may sign dealers up, into the tiers that say so.",
            {"group": "wholesale"},
        ),
        "wholesale_signup_needs_approval": (
            "Approve wholesale signups",
            "A dealer's tiers act once somebody has approved him.",
            {"group": "wholesale"},
        ),
        "terms": (
            "Payment terms",
            "Offered as the terms of a profile, one a line.",
            {"group": "lists", "widget": "lines"},
        ),
        "qb_classes": (
            "QuickBooks classes",
            "Offered as the class of a profile, one a line.",
            {"group": "lists", "widget": "lines"},
        ),
        "sales_rep_codes": (
            "Sales representatives",
            "Codes that are offered as the sales representative of a profile, one a line.",
            {"group": "lists", "widget": "lines"},
        ),
    }

    enable_customer_profiles: bool | None = None
    require_customer_profile: bool | None = None
    allow_storing_credit_cards: bool | None = None
    limit_checkout_address_book: Annotated[int, Meta(ge=1, le=MAXIMUM_ADDRESSES)] | None = None
    wholesale_signup: bool | None = None
    wholesale_signup_needs_approval: bool | None = None
    terms: Annotated[list[Term], Meta(max_length=MAXIMUM_CHOICES)] | None = None
    qb_classes: Annotated[list[Term], Meta(max_length=MAXIMUM_CHOICES)] | None = None
    sales_rep_codes: Annotated[list[SalesRep], Meta(max_length=MAXIMUM_CHOICES)] | None = None

    def enabled(self) -> bool:
        return self.enable_customer_profiles is not False

    def refuse_disabled(self) -> None:
        """Raises Invalid where there are no profiles at storefronts."""
        if not self.enabled():
            raise Invalid.one("", "not_available", "customer profiles are not enabled")


class Country(Noun):
    iso_2_code: str
    name: str


class CustomerAffiliate(Noun):
    affiliate_oid: int | None = None
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None


class CustomerEditorValues(Noun):
    """``affiliates`` and ``edi_channel_partners`` are empty: there are none here."""

    affiliates: list[CustomerAffiliate]
    card_exp_months: list[str]
    card_exp_years: list[str]
    card_types: list[str]
    countries: list[Country]
    edi_channel_partners: list[str]
    loyalty_ledger_descriptions: list[str]
    loyalty_program_type: str
    qb_classes: list[str]
    sales_rep_codes: list[str]
    state_optional_countries: list[Country]
    terms: list[str]


def validate(settings: CustomerProfileSettings) -> None:
    """Raises Invalid with all problems."""
    problems = []
    for name in ("require_customer_profile", "wholesale_signup"):
        if getattr(settings, name) and not settings.enabled():
            message = "customer profiles are not enabled: set enable_customer_profiles too"
            problems.append(Problem(pointer=f"/{name}", code="conflict", message=message))
    if settings.wholesale_signup_needs_approval and not settings.wholesale_signup:
        message = "there is no wholesale signup to approve: set wholesale_signup too"
        problems.append(Problem(pointer="/wholesale_signup_needs_approval", code="conflict", message=message))
    for name in ("qb_classes", "sales_rep_codes", "terms"):
        entries = getattr(settings, name) or []
        for position, entry in enumerate(entries):
            if entry in entries[:position]:
                problems.append(Problem(pointer=f"/{name}/{position}", code="conflict", message="stands there twice"))
    if problems:
        raise Invalid(problems)


def editor_values(
    settings: CustomerProfileSettings,
    program: LoyaltyProgram,
    countries: Iterable[tuple[str, str]],
    today: date,
) -> CustomerEditorValues:
    """``countries`` are (code, name)."""
    known = [Country(iso_2_code=code, name=name) for code, name in countries]
    return CustomerEditorValues(
        affiliates=[],
        card_exp_months=[f"{month:02d}" for month in range(1, 13)],
        card_exp_years=[str(year) for year in range(today.year, today.year + CARD_YEARS)],
        card_types=list(get_args(CardType)),
        countries=known,
        edi_channel_partners=[],
        loyalty_ledger_descriptions=list(get_args(get_type_hints(ManualEntry)["type"])),
        loyalty_program_type=program.kind(),
        qb_classes=settings.qb_classes or [],
        sales_rep_codes=settings.sales_rep_codes or [],
        state_optional_countries=[one for one in known if one.iso_2_code not in WITH_STATES],
        terms=settings.terms or [],
    )
