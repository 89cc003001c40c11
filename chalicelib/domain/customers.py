"""Customer profiles: who buys, their addresses, stored cards and standing wishes. Field names are the contract's."""

import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Annotated, ClassVar, TypeVar

from msgspec import Meta
from msgspec.structs import replace

from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import (
    CountryCode,
    Month,
    Oid,
    Text10,
    Text20,
    Text25,
    Text30,
    Text32,
    Text50,
    Text100,
    Text2000,
    Year,
)
from chalicelib.domain.payments import CardType, StoredCard
from chalicelib.domain.wire import Noun

# An address book longer than this is a dealer's, who orders for others; bounds the document.
MAXIMUM_ADDRESSES = 100
# Cards that one profile keeps: nobody pays with more, and a longer list smells of card testing.
MAXIMUM_CARDS = 20
MAXIMUM_CC_EMAILS = 10
MAXIMUM_PROPERTIES = 100
MAXIMUM_TAGS = 100

# The contract's own samples use addresses without an "@", so only the length is bounded here.
Email = Annotated[str, Meta(min_length=1, max_length=100)]


class CustomerBilling(Noun):
    address1: Text50 | None = None
    address2: Text50 | None = None
    city: Text32 | None = None
    company: Text50 | None = None
    country_code: CountryCode | None = None
    customer_billing_oid: Oid | None = None
    customer_profile_oid: Oid | None = None
    day_phone: Text25 | None = None
    default_billing: bool | None = None
    evening_phone: Text25 | None = None
    first_name: Text30 | None = None
    last_name: Text30 | None = None
    last_used_dts: Instant | None = None
    postal_code: Text20 | None = None
    state_region: Text32 | None = None
    tax_county: Text32 | None = None
    title: Text50 | None = None


class CustomerShipping(Noun):
    address1: Text50 | None = None
    address2: Text50 | None = None
    city: Text32 | None = None
    company: Text50 | None = None
    country_code: CountryCode | None = None
    customer_profile_oid: Oid | None = None
    customer_shipping_oid: Oid | None = None
    day_phone: Text25 | None = None
    default_shipping: bool | None = None
    evening_phone: Text25 | None = None
    first_name: Text30 | None = None
    last_name: Text30 | None = None
    last_used_dts: Instant | None = None
    postal_code: Text20 | None = None
    state_region: Text32 | None = None
    tax_county: Text32 | None = None
    title: Text50 | None = None


class CustomerCard(Noun):
    """A stored card: masked. ``stored_card`` is how it is charged, ``other_stored_cards`` how at further gateway
    accounts; they are never shown or taken."""

    own: ClassVar[frozenset[str]] = frozenset({"stored_card", "other_stored_cards"})

    card_expiration_month: Month | None = None
    card_expiration_year: Year | None = None
    card_number: Text20 | None = None
    card_number_token: Text100 | None = None
    card_type: CardType | None = None
    customer_profile_credit_card_id: Oid | None = None
    customer_profile_oid: Oid | None = None
    last_used_dts: Instant | None = None
    stored_card: StoredCard | None = None
    other_stored_cards: list[StoredCard] | None = None


class CustomerEmail(Noun):
    customer_profile_email_oid: Oid | None = None
    email: Email | None = None
    label: Text100 | None = None
    receipt_notification: bool | None = None
    refund_notification: bool | None = None
    shipment_notification: bool | None = None


class CustomerProperty(Noun):
    customer_profile_property_oid: Oid | None = None
    expiration_dts: Instant | None = None
    name: Text100 | None = None
    value: Annotated[str, Meta(max_length=1500)] | None = None


class CustomerTag(Noun):
    tag_value: Annotated[str, Meta(max_length=250)] | None = None


class Customer(Noun):
    """A profile. What the contract has and is not here (``password`` among it) is refused by name, not ignored."""

    # Each block is asked for by its own name; to have expansions marks a whole noun.
    expansions: ClassVar[dict[str, str]] = {"billing": "billing"}
    read_only: ClassVar[frozenset[str]] = frozenset(
        {"customer_profile_oid", "merchant_id", "signup_dts", "last_modified_dts"}
    )

    automatic_merchant_notes: Text2000 | None = None
    billing: Annotated[list[CustomerBilling], Meta(max_length=MAXIMUM_ADDRESSES)] | None = None
    birth_date: date | None = None
    business_notes: Text2000 | None = None
    cards: Annotated[list[CustomerCard], Meta(max_length=MAXIMUM_CARDS)] | None = None
    cc_emails: Annotated[list[CustomerEmail], Meta(max_length=MAXIMUM_CC_EMAILS)] | None = None
    customer_profile_oid: Oid | None = None
    do_not_send_mail: bool | None = None
    email: Email | None = None
    fax: Text32 | None = None
    free_shipping: bool | None = None
    last_modified_dts: Instant | None = None
    merchant_id: Text10 | None = None
    properties: Annotated[list[CustomerProperty], Meta(max_length=MAXIMUM_PROPERTIES)] | None = None
    referral_source: Text50 | None = None
    shipping: Annotated[list[CustomerShipping], Meta(max_length=MAXIMUM_ADDRESSES)] | None = None
    signup_dts: Instant | None = None
    tags: Annotated[list[CustomerTag], Meta(max_length=MAXIMUM_TAGS)] | None = None
    tax_exempt: bool | None = None
    website_url: Text100 | None = None


def normalised_email(email: str) -> str:
    """The address as it is unique by: without blanks around it, one Unicode form, lower case.

    Lower case, not case-folded: folding would make one of two addresses that differ in a letter (straße, strasse).
    """
    return unicodedata.normalize("NFC", email.strip().lower())


def customer_names(profile_oid: int | None, email: str | None) -> list[str]:
    """What a buyer is known by, the surest first: the e-mail address and the profile, where there are any. Somebody
    who made a profile after the first order, or gave the profile another address, is still known by the other."""
    names = [f"email#{normalised_email(email)}"] if email and email.strip() else []
    return [*names, f"profile#{profile_oid}"] if profile_oid else names


def validate(customer: Customer) -> None:
    """Rules between the fields. Raises Invalid with all problems."""
    problems = _email_problems(customer.email, "/email")
    for position, entry in enumerate(customer.cc_emails or []):
        problems += _email_problems(entry.email, f"/cc_emails/{position}/email")
    for position, found in enumerate(customer.properties or []):
        if not found.name:
            problems.append(_problem(f"/properties/{position}/name", "required", "is required"))
    for position, tag in enumerate(customer.tags or []):
        if not tag.tag_value:
            problems.append(_problem(f"/tags/{position}/tag_value", "required", "is required"))
    problems += _one_default([entry.default_billing for entry in customer.billing or []], "billing")
    problems += _one_default([entry.default_shipping for entry in customer.shipping or []], "shipping")
    if problems:
        raise Invalid(problems)


def numbered(wanted: Customer, before: Customer | None, oids: Iterator[int]) -> Customer:
    """The profile with the oids that the server sets in every list, and with the stored cards that no request carries.

    An entry with a known oid keeps it, one without gets the next of ``oids``. A new card must have been turned into a
    stored one already. Raises Invalid: an oid that is not of this profile, a changed card, a card without its token.
    """
    old = before or Customer()
    profile = wanted.customer_profile_oid or old.customer_profile_oid or next(oids)
    problems: list[Problem] = []
    billing = _numbered("billing", "customer_billing_oid", wanted.billing, old.billing, oids, problems)
    shipping = _numbered("shipping", "customer_shipping_oid", wanted.shipping, old.shipping, oids, problems)
    cards = _numbered("cards", "customer_profile_credit_card_id", wanted.cards, old.cards, oids, problems)
    cards = _with_stored_cards(cards, old.cards or [], problems)
    emails = _numbered("cc_emails", "customer_profile_email_oid", wanted.cc_emails, old.cc_emails, oids, problems)
    properties = _numbered(
        "properties", "customer_profile_property_oid", wanted.properties, old.properties, oids, problems
    )
    if problems:
        raise Invalid(problems)
    return replace(
        wanted,
        customer_profile_oid=profile,
        billing=None if billing is None else [replace(one, customer_profile_oid=profile) for one in billing],
        shipping=None if shipping is None else [replace(one, customer_profile_oid=profile) for one in shipping],
        cards=None if cards is None else [replace(one, customer_profile_oid=profile) for one in cards],
        cc_emails=emails,
        properties=properties,
    )


E = TypeVar("E", CustomerBilling, CustomerShipping, CustomerCard, CustomerEmail, CustomerProperty)


def _numbered(
    name: str,
    oid_name: str,
    wanted: list[E] | None,
    before: list[E] | None,
    oids: Iterator[int],
    problems: list[Problem],
) -> list[E] | None:
    known = {getattr(entry, oid_name) for entry in before or []}
    seen: set[int] = set()
    done: list[E] = []
    for position, entry in enumerate(wanted or []):
        oid = getattr(entry, oid_name)
        if oid is not None and (oid not in known or oid in seen):
            message = "stands there twice" if oid in seen else "is not of this profile; leave it out to add an entry"
            problems.append(_problem(f"/{name}/{position}/{oid_name}", "unknown", message))
        done.append(replace(entry, **{oid_name: oid or _fresh(oids, known | seen)}))
        seen.add(getattr(done[-1], oid_name))
    return None if wanted is None else done


def _fresh(oids: Iterator[int], taken: set[int]) -> int:
    return next(oid for oid in oids if oid not in taken)


def _with_stored_cards(
    cards: list[CustomerCard] | None, before: Sequence[CustomerCard], problems: list[Problem]
) -> list[CustomerCard] | None:
    known = {card.customer_profile_credit_card_id: card for card in before}
    done: list[CustomerCard] = []
    for position, card in enumerate(cards or []):
        old = known.get(card.customer_profile_credit_card_id)
        if old is None and card.stored_card is None:
            message = "is required: a card is added by the token of the hosted fields, never by its number"
            problems.append(_problem(f"/cards/{position}/card_number_token", "required", message))
        for name in ("card_number", "card_type", "card_expiration_month", "card_expiration_year"):
            if old is not None and getattr(card, name) not in (None, getattr(old, name)):
                message = "a stored card cannot be changed: remove it and add the new one"
                problems.append(_problem(f"/cards/{position}/{name}", "read_only", message))
        done.append(old if old is not None else replace(card, card_number_token=None))
    return None if cards is None else done


def _email_problems(email: str | None, pointer: str) -> list[Problem]:
    if not email or not email.strip():
        return [_problem(pointer, "required", "is required")]
    if any(unicodedata.category(character).startswith("C") for character in email):
        return [_problem(pointer, "invalid", "may hold no line breaks and no other invisible characters")]
    return []


def _one_default(flags: Sequence[bool | None], name: str) -> list[Problem]:
    positions = [position for position, flag in enumerate(flags) if flag]
    return [
        _problem(f"/{name}/{position}/default_{name}", "conflict", "another address is the default already")
        for position in positions[1:]
    ]


def _problem(pointer: str, code: str, message: str) -> Problem:
    return Problem(pointer=pointer, code=code, message=message)
