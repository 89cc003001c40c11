"""Customer profiles: who buys, their addresses, stored cards and standing wishes. Field names are the contract's."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import (
    Amount,
    Count,
    CountryCode,
    Month,
    Oid,
    OrderId,
    Text10,
    Text20,
    Text25,
    Text30,
    Text32,
    Text50,
    Text100,
    Text512,
    Text2000,
    Year,
)
from chalicelib.domain.loyalty import CustomerLoyalty
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import CardType, StoredCard
from chalicelib.domain.wire import Noun

# An address book longer than this is a dealer's, who orders for others; bounds the document.
MAXIMUM_ADDRESSES = 100
# Cards that one profile keeps: nobody pays with more, and a longer list smells of card testing.
MAXIMUM_CARDS = 20
MAXIMUM_CC_EMAILS = 10
MAXIMUM_PROPERTIES = 100
MAXIMUM_TAGS = 100
# Files that one profile keeps: certificates of resale and the like, one a year and state.
MAXIMUM_ATTACHMENTS = 50
# Tiers that one profile is in: a price is looked for in each of them.
MAXIMUM_PRICING_TIERS = 20
# Licences that one profile owns; each is some 300 bytes of the document.
MAXIMUM_SOFTWARE_ENTITLEMENTS = 100
# The contract's most; the least is what guessing at the login's own pace does not find.
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 30
# Password notices of one request: each reads a profile and writes a mail, all within one call.
MAXIMUM_NOTICES = 100
# E.164 numbers have at most 15 digits; shorter than 8 is nobody's number with its country.
E164_DIGITS = range(8, 16)
# Countries of the North American plan that shops of the contract's home write without their +1.
NORTH_AMERICA = frozenset({"CA", "US"})

# The contract's own samples use addresses without an "@", so only the length is bounded here.
Email = Annotated[str, Meta(min_length=1, max_length=100)]
Password = Annotated[str, Meta(min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD)]

Token = Annotated[str, Meta(min_length=1, max_length=500)]

# What an answer computes or reads from records beside the profile, and files, which have doors of their own. A client
# that sends back all it has read may send it too; it is not read, for it is not the request's to change.
SENT_BACK = frozenset({"activity", "attachments", "loyalty", "orders", "orders_summary", "quotes", "quotes_summary"})
# What is said of a reviewer by his reviews; nobody sets it.
OF_REVIEWS = (
    "average_overall_rating",
    "first_review",
    "last_review",
    "number_helpful_review_votes",
    "rank",
    "reviews_contributed",
)


class CustomerBilling(Noun):
    address1: Text50 | None = None
    address2: Text50 | None = None
    city: Text32 | None = None
    company: Text50 | None = None
    country_code: CountryCode | None = None
    customer_billing_oid: Oid | None = None
    customer_profile_oid: Oid | None = None
    day_phone: Text25 | None = None
    day_phone_e164: Text25 | None = None
    default_billing: bool | None = None
    evening_phone: Text25 | None = None
    evening_phone_e164: Text25 | None = None
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
    day_phone_e164: Text25 | None = None
    default_shipping: bool | None = None
    evening_phone: Text25 | None = None
    evening_phone_e164: Text25 | None = None
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


class CustomerEDI(Noun):
    channel_partner_oid: Oid | None = None
    distribution_center_number: Text50 | None = None
    store_number: Text50 | None = None


class CustomerPricingTier(Noun):
    """A tier that the customer is in, by its oid or by its name; shown with both."""

    name: Text50 | None = None
    pricing_tier_oid: Oid | None = None


class CustomerPrivacy(Noun):
    """What the customer has opted in to; ``last_update_dts`` is when that was last changed."""

    read_only: ClassVar[frozenset[str]] = frozenset({"last_update_dts"})

    last_update_dts: Instant | None = None
    marketing: bool | None = None
    preference: bool | None = None
    statistics: bool | None = None


class CustomerReviewer(Noun):
    """How the customer is shown beside reviews. What follows from reviews (``OF_REVIEWS``) is never taken."""

    read_only: ClassVar[frozenset[str]] = frozenset(OF_REVIEWS)

    auto_approve: bool | None = None
    average_overall_rating: Decimal | None = None
    expert: bool | None = None
    first_review: Instant | None = None
    last_review: Instant | None = None
    location: Text50 | None = None
    nickname: Text50 | None = None
    number_helpful_review_votes: int | None = None
    rank: int | None = None
    reviews_contributed: int | None = None


class CustomerSoftwareEntitlement(Noun):
    activation_code: Text50 | None = None
    activation_dts: Instant | None = None
    customer_software_entitlement_oid: Oid | None = None
    expiration_dts: Instant | None = None
    purchased_via_item_description: Text512 | None = None
    purchased_via_item_id: Text20 | None = None
    purchased_via_order_id: OrderId | None = None
    software_sku: Text30 | None = None


class CustomerTaxCodes(Noun):
    avalara_customer_code: Text50 | None = None
    avalara_entity_use_code: Text50 | None = None
    sovos_customer_code: Text50 | None = None
    taxjar_customer_id: Text50 | None = None
    taxjar_exemption_type: Text50 | None = None


class CustomerAttachment(Noun):
    """A file that was put to the profile; the file itself stands elsewhere and has doors of its own. ``file_size``: in
    bytes."""

    customer_profile_attachment_oid: Oid | None = None
    description: Text100 | None = None
    file_name: Text100 | None = None
    file_size: int | None = None
    mime_type: Text100 | None = None
    upload_dts: Instant | None = None


class CustomerOrdersSummary(Noun):
    first_order_dts: Instant | None = None
    last_order_dts: Instant | None = None
    order_count: int | None = None
    total: Decimal | None = None


class CustomerQuotesSummary(Noun):
    first_quote_dts: Instant | None = None
    last_quote_dts: Instant | None = None
    quote_count: int | None = None
    total: Decimal | None = None


class Activity(Noun):
    """``ts`` is in milliseconds since 1970."""

    action: str | None = None
    channel: str | None = None
    metric: str | None = None
    storefront_oid: int | None = None
    subject: str | None = None
    ts: int | None = None
    type: str | None = None
    uuid: str | None = None


class ListSegmentMembership(Noun):
    name: str | None = None
    type: str | None = None
    uuid: str | None = None


class Metric(Noun):
    all_time: Decimal | None = None
    all_time_formatted: str | None = None
    last_30: Decimal | None = None
    last_30_formatted: str | None = None
    name: str | None = None
    prior_30: Decimal | None = None
    prior_30_formatted: str | None = None
    type: str | None = None


class ModelProperty(Noun):
    name: str | None = None
    value: str | None = None


class CustomerActivity(Noun):
    active: bool | None = None
    activities: list[Activity] | None = None
    global_unsubscribed: bool | None = None
    global_unsubscribed_dts: Instant | None = None
    last_activity_dts: Instant | None = None
    memberships: list[ListSegmentMembership] | None = None
    metrics: list[Metric] | None = None
    properties_list: list[ModelProperty] | None = None
    sms: str | None = None
    sms_stop: bool | None = None
    spam_complaint: bool | None = None
    spam_complaint_dts: Instant | None = None


class KeptPassword(msgspec.Struct, kw_only=True, frozen=True):
    """What is kept of a password. ``stamp`` is another random word with every change: a link that sets a password is
    made for one of them, so it is good once."""

    hashed: str
    stamp: str


def password_subject(oid: int, standing: KeptPassword | None) -> str:
    """What a link stands for that sets a password: the profile, and the password that it replaces."""
    return f"{oid}#{standing.stamp if standing else ''}"


class EmailVerifyTokenRequest(Noun):
    email: Email
    password: Annotated[str, Meta(max_length=LONGEST_PASSWORD)] | None = None


class EmailVerifyTokenValidateRequest(Noun):
    token: Token


class MagicLinkRequest(Noun):
    token: Token


class SignedInCustomer(Noun):
    """What a storefront needs to greet somebody; nothing that is the shop's own business."""

    customer_profile_oid: int | None = None
    email: str | None = None
    billing: list[CustomerBilling] | None = None
    first_name: str | None = None
    shipping: list[CustomerShipping] | None = None
    unapproved: bool | None = None


def signed_in(customer: "Customer", most_addresses: int | None) -> SignedInCustomer:
    """``most_addresses`` of each book are shown: the default one, then the latest. None: all."""
    billing, shipping = (customer.billing or [])[::-1], (customer.shipping or [])[::-1]
    billing.sort(key=lambda one: not one.default_billing)
    shipping.sort(key=lambda one: not one.default_shipping)
    return SignedInCustomer(
        billing=billing[:most_addresses] or None,
        shipping=shipping[:most_addresses] or None,
        customer_profile_oid=customer.customer_profile_oid,
        email=customer.email,
        first_name=first_name_of(customer) or None,
        unapproved=customer.unapproved,
    )


class SetPasswordRequest(Noun):
    token: Token
    password: Password


class CustomerEmailRequest(Noun):
    email: Email


class PasswordNoticeRequest(Noun):
    customer_profile_oids: Annotated[list[Oid], Meta(min_length=1, max_length=MAXIMUM_NOTICES)]


class PasswordNotices(Noun):
    """What became of each profile: a notice goes to it (one a day), it has a password, or there is none."""

    sent: list[int]
    has_password: list[int]
    unknown: list[int]


class QuickCustomer(Noun):
    """The little that a new profile is made of at the shop's desk."""

    email: Email
    password: Password
    company: Text50 | None = None
    first_name: Text30 | None = None
    last_name: Text30 | None = None
    phone: Text25 | None = None

    def profile(self) -> "Customer":
        billing = CustomerBilling(
            company=self.company,
            day_phone=self.phone,
            default_billing=True,
            first_name=self.first_name,
            last_name=self.last_name,
        )
        return Customer(email=self.email, password=self.password, billing=[billing])


class WholesaleSignup(Noun):
    """What a dealer says of himself at a storefront. ``pricing_tier_name``: of those that signups may choose."""

    email: Email
    password: Password
    company: Text50 | None = None
    first_name: Text30 | None = None
    last_name: Text30 | None = None
    phone: Text25 | None = None
    pricing_tier_name: Text50 | None = None
    referral_source: Text50 | None = None
    tax_id: Annotated[str, Meta(max_length=15)] | None = None
    website_url: Text100 | None = None

    def profile(self) -> "Customer":
        quick = QuickCustomer(
            company=self.company,
            email=self.email,
            first_name=self.first_name,
            last_name=self.last_name,
            password=self.password,
            phone=self.phone,
        )
        return replace(
            quick.profile(),
            referral_source=self.referral_source,
            tax_id=self.tax_id,
            website_url=self.website_url,
        )


class WholesaleSignedUp(Noun):
    """Whether the dealer's terms act at once. Nothing tells whether the address had a profile before."""

    email: str
    needs_approval: bool


class Customer(Noun):
    """A profile. What an answer computes (``SENT_BACK``, but for ``attachments``) never stands in the document;
    ``password`` and ``send_signup_notification`` are taken and kept elsewhere or not at all."""

    # Each block is asked for by its own name; to have expansions marks a whole noun.
    expansions: ClassVar[dict[str, str]] = {"billing": "billing"}
    read_only: ClassVar[frozenset[str]] = SENT_BACK | {
        "customer_profile_oid",
        "last_modified_by",
        "last_modified_dts",
        "merchant_id",
        "signup_dts",
    }
    write_only: ClassVar[frozenset[str]] = frozenset({"password", "send_signup_notification"})

    activity: CustomerActivity | None = None
    affiliate_oid: Oid | None = None
    allow_3rd_party_billing: bool | None = None
    allow_cod: bool | None = None
    allow_drop_shipping: bool | None = None
    allow_purchase_order: bool | None = None
    allow_quote_request: bool | None = None
    allow_selection_of_address_type: bool | None = None
    attachments: Annotated[list[CustomerAttachment], Meta(max_length=MAXIMUM_ATTACHMENTS)] | None = None
    auto_approve_cod: bool | None = None
    auto_approve_purchase_order: bool | None = None
    automatic_merchant_notes: Text2000 | None = None
    billing: Annotated[list[CustomerBilling], Meta(max_length=MAXIMUM_ADDRESSES)] | None = None
    birth_date: date | None = None
    business_notes: Text2000 | None = None
    cards: Annotated[list[CustomerCard], Meta(max_length=MAXIMUM_CARDS)] | None = None
    cc_emails: Annotated[list[CustomerEmail], Meta(max_length=MAXIMUM_CC_EMAILS)] | None = None
    customer_profile_oid: Oid | None = None
    dhl_account_number: Text20 | None = None
    dhl_duty_account_number: Text20 | None = None
    do_not_send_mail: bool | None = None
    edi: CustomerEDI | None = None
    email: Email | None = None
    exempt_shipping_handling_charge: bool | None = None
    fax: Text32 | None = None
    fedex_account_number: Text20 | None = None
    free_shipping: bool | None = None
    free_shipping_minimum: Amount | None = None
    last_modified_by: Text100 | None = None
    last_modified_dts: Instant | None = None
    loyalty: CustomerLoyalty | None = None
    maximum_item_count: Count | None = None
    merchant_id: Text10 | None = None
    minimum_item_count: Count | None = None
    minimum_subtotal: Amount | None = None
    no_coupons: bool | None = None
    no_free_shipping: bool | None = None
    no_realtime_charge: bool | None = None
    orders: list[Order] | None = None
    orders_summary: CustomerOrdersSummary | None = None
    password: Password | None = None
    pricing_tiers: Annotated[list[CustomerPricingTier], Meta(max_length=MAXIMUM_PRICING_TIERS)] | None = None
    privacy: CustomerPrivacy | None = None
    properties: Annotated[list[CustomerProperty], Meta(max_length=MAXIMUM_PROPERTIES)] | None = None
    qb_class: Text100 | None = None
    qb_code: Text100 | None = None
    qb_tax_exemption_reason_code: Count | None = None
    quickbooks_online_customer_id: Text50 | None = None
    quotes: list[Order] | None = None
    quotes_summary: CustomerQuotesSummary | None = None
    referral_source: Text50 | None = None
    reviewer: CustomerReviewer | None = None
    sales_rep_code: Text10 | None = None
    send_signup_notification: bool | None = None
    shipping: Annotated[list[CustomerShipping], Meta(max_length=MAXIMUM_ADDRESSES)] | None = None
    signup_dts: Instant | None = None
    software_entitlements: (
        Annotated[list[CustomerSoftwareEntitlement], Meta(max_length=MAXIMUM_SOFTWARE_ENTITLEMENTS)] | None
    ) = None
    suppress_buysafe: bool | None = None
    tags: Annotated[list[CustomerTag], Meta(max_length=MAXIMUM_TAGS)] | None = None
    tax_codes: CustomerTaxCodes | None = None
    tax_exempt: bool | None = None
    tax_id: Annotated[str, Meta(max_length=15)] | None = None
    terms: Text50 | None = None
    track_separately: bool | None = None
    unapproved: bool | None = None
    ups_account_number: Text20 | None = None
    website_url: Text100 | None = None


def normalised_email(email: str) -> str:
    """The address as it is unique by: without blanks around it, one Unicode form, lower case.

    Lower case, not case-folded: folding would make one of two addresses that differ in a letter (straße, strasse).
    """
    return unicodedata.normalize("NFC", email.strip().lower())


def first_name_of(customer: Customer) -> str:
    """As he is greeted: by his default billing address, else the first."""
    addresses = sorted(customer.billing or [], key=lambda one: not one.default_billing)
    return (addresses[0].first_name or "") if addresses else ""


def normalised_password(password: str) -> str:
    """One form of what may be typed in two: letters with their marks apart, or in one."""
    return unicodedata.normalize("NFC", password)


def customer_names(profile_oid: int | None, email: str | None) -> list[str]:
    """What a buyer is known by, the surest first: the e-mail address and the profile, where there are any. Somebody
    who made a profile after the first order, or gave the profile another address, is still known by the other."""
    names = [f"email#{normalised_email(email)}"] if email and email.strip() else []
    return [*names, f"profile#{profile_oid}"] if profile_oid else names


def validate(customer: Customer) -> None:
    """Rules between the fields. Raises Invalid with all problems."""
    problems = _email_problems(customer.email, "/email")
    if customer.password is not None:
        problems += _password_problems(customer.password, customer.email)
    for position, entry in enumerate(customer.cc_emails or []):
        problems += _email_problems(entry.email, f"/cc_emails/{position}/email")
    for position, found in enumerate(customer.properties or []):
        if not found.name:
            problems.append(_problem(f"/properties/{position}/name", "required", "is required"))
    for position, tag in enumerate(customer.tags or []):
        if not tag.tag_value:
            problems.append(_problem(f"/tags/{position}/tag_value", "required", "is required"))
    for position, tier in enumerate(customer.pricing_tiers or []):
        if tier.pricing_tier_oid is None and not tier.name:
            message = "is required, or the name"
            problems.append(_problem(f"/pricing_tiers/{position}/pricing_tier_oid", "required", message))
    problems += _wish_problems(customer)
    problems += _one_default([entry.default_billing for entry in customer.billing or []], "billing")
    problems += _one_default([entry.default_shipping for entry in customer.shipping or []], "shipping")
    if problems:
        raise Invalid(problems)


def said(raw: Any) -> Any:
    """A request to change a profile without what a client may send back and we do not read."""
    return type(raw)({name: raw[name] for name in raw if name not in SENT_BACK}) if isinstance(raw, dict) else raw


def stamped(wanted: Customer, before: Customer | None, now: Instant) -> Customer:
    """The profile with the instant of a change of its privacy."""
    old = before.privacy if before else None
    if wanted.privacy is None or wanted.privacy == old:
        return wanted
    return replace(wanted, privacy=replace(wanted.privacy, last_update_dts=now))


def e164(phone: str | None, country_code: str | None) -> str | None:
    """The phone number in its international form where it says its country, or the address does for North America.

    >>> e164("(212) 555-0100", "US")
    '+12125550100'
    >>> e164("+49 30 901820", None)
    '+4930901820'
    """
    text = (phone or "").strip()
    digits = re.sub(r"\D", "", text)
    if re.search(r"[^\d\s()+./-]", text) or not digits.isascii():
        return None
    if text.startswith("+"):
        return f"+{digits}" if len(digits) in E164_DIGITS and "+" not in text[1:] else None
    if country_code in NORTH_AMERICA and "+" not in text and len(digits) - digits.startswith("1") == 10:
        return f"+1{digits[-10:]}"
    return None


def numbered(wanted: Customer, before: Customer | None, oids: Iterator[int]) -> Customer:
    """The profile with the oids that the server sets in every list, with what it derives, and with the stored cards
    that no request carries.

    An entry with a known oid keeps it, one without gets the next of ``oids``. A new card must have been turned into a
    stored one already. Raises Invalid: an oid that is not of this profile, a changed card, a card without its token,
    something derived that was changed.
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
    entitlements = _numbered(
        "software_entitlements",
        "customer_software_entitlement_oid",
        wanted.software_entitlements,
        old.software_entitlements,
        oids,
        problems,
    )
    billing = _with_phones("billing", billing, old.billing or [], problems)
    shipping = _with_phones("shipping", shipping, old.shipping or [], problems)
    problems += _set_by_us(wanted, old)
    if problems:
        raise Invalid(problems)
    return replace(
        wanted,
        customer_profile_oid=profile,
        software_entitlements=entitlements,
        billing=None if billing is None else [replace(one, customer_profile_oid=profile) for one in billing],
        shipping=None if shipping is None else [replace(one, customer_profile_oid=profile) for one in shipping],
        cards=None if cards is None else [replace(one, customer_profile_oid=profile) for one in cards],
        cc_emails=emails,
        properties=properties,
    )


E = TypeVar(
    "E",
    CustomerBilling,
    CustomerShipping,
    CustomerCard,
    CustomerEmail,
    CustomerProperty,
    CustomerSoftwareEntitlement,
)
A = TypeVar("A", CustomerBilling, CustomerShipping)


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


def _with_phones(name: str, entries: list[A] | None, before: Sequence[A], problems: list[Problem]) -> list[A] | None:
    """The addresses with their phone numbers' international form. As it was read it may be sent back, also beside a
    new number; another is refused."""
    read = {text for entry in before for text in (entry.day_phone_e164, entry.evening_phone_e164)}
    done: list[A] = []
    for position, entry in enumerate(entries or []):
        day = e164(entry.day_phone, entry.country_code)
        evening = e164(entry.evening_phone, entry.country_code)
        for field, derived in (("day_phone_e164", day), ("evening_phone_e164", evening)):
            if getattr(entry, field) not in {None, derived} | read:
                message = "follows from the phone number and the country"
                problems.append(_problem(f"/{name}/{position}/{field}", "read_only", message))
        done.append(replace(entry, day_phone_e164=day, evening_phone_e164=evening))
    return None if entries is None else done


def _set_by_us(wanted: Customer, old: Customer) -> list[Problem]:
    """What nobody but we set, inside of blocks that are his."""
    problems = []
    privacy, reviewer = wanted.privacy or CustomerPrivacy(), wanted.reviewer or CustomerReviewer()
    if privacy.last_update_dts != (old.privacy or CustomerPrivacy()).last_update_dts:
        message = "is set by the server when the choices change"
        problems.append(_problem("/privacy/last_update_dts", "read_only", message))
    for name in OF_REVIEWS:
        if getattr(reviewer, name) is not None:
            problems.append(_problem(f"/reviewer/{name}", "read_only", "follows from reviews"))
    return problems


def _wish_problems(customer: Customer) -> list[Problem]:
    """Standing wishes that speak against each other."""
    problems = []
    if customer.free_shipping and customer.no_free_shipping:
        problems.append(_problem("/no_free_shipping", "conflict", "cannot be true while free_shipping is"))
    least, most = customer.minimum_item_count or 0, customer.maximum_item_count
    if most and least > most:
        problems.append(_problem("/maximum_item_count", "conflict", f"is less than minimum_item_count ({least})"))
    return problems


def _email_problems(email: str | None, pointer: str) -> list[Problem]:
    if not email or not email.strip():
        return [_problem(pointer, "required", "is required")]
    if any(unicodedata.category(character).startswith("C") for character in email):
        return [_problem(pointer, "invalid", "may hold no line breaks and no other invisible characters")]
    return []


def _password_problems(password: str, email: str | None) -> list[Problem]:
    if any(unicodedata.category(character).startswith("C") for character in password):
        return [_problem("/password", "invalid", "may hold no line breaks and no other invisible characters")]
    if normalised_email(password) == normalised_email(email or ""):
        return [_problem("/password", "invalid", "may not be the e-mail address")]
    return []


def _one_default(flags: Sequence[bool | None], name: str) -> list[Problem]:
    positions = [position for position, flag in enumerate(flags) if flag]
    return [
        _problem(f"/{name}/{position}/default_{name}", "conflict", "another address is the default already")
        for position in positions[1:]
    ]


def _problem(pointer: str, code: str, message: str) -> Problem:
    return Problem(pointer=pointer, code=code, message=message)
