"""Customer profiles: each change one transaction over the profile, its unique e-mail address and its event."""

from functools import partial
from typing import Any

from msgspec.structs import replace

from chalicelib.domain.customer_values import CustomerProfileSettings
from chalicelib.domain.customers import (
    Customer,
    CustomerCard,
    QuickCustomer,
    WholesaleSignedUp,
    WholesaleSignup,
    customer_names,
    normalised_email,
    normalised_password,
    numbered,
    said,
    stamped,
    validate,
)
from chalicelib.domain.dates import Instant
from chalicelib.domain.drafts import changed, made
from chalicelib.domain.errors import Contended, Invalid, NotFound, Problem, Refused, Stale
from chalicelib.domain.events import Event, Happening, Notice, event_id
from chalicelib.domain.mails import APPROVED
from chalicelib.domain.payments import StoredCard
from chalicelib.flows import merge_profiles, privacy
from chalicelib.flows.ports import Change, Kept, Shop
from chalicelib.flows.pricing_tiers import signup_tiers, with_tiers
from chalicelib.flows.tell import told_now

# An oid that is taken by chance is drawn again: of 2,000 million, so twice in a row never happens.
DRAWS = 5
# A change that met a faster writer is laid over what stands now.
MOST_TRIES = 5
# Auto orders that stand in the way and are told by their code.
MOST_TOLD = 5
# What changes with every change: a PUT may send it back as it was read.
MOVING = ("last_modified_by", "last_modified_dts")
EMAIL = "email"
# Who acts where the customer does himself.
CUSTOMER = "customer"
# An office signs up its branches; a machine fills a shop with dealers that there are not.
SIGNUP_TRIES, SIGNUP_SECONDS = 10, 3600
# The position of the change that looks for a merge.
LAST_OF_DELETE = 4


def customer_by_email(shop: Shop, email: str) -> Kept[Customer]:
    """Raises NotFound."""
    name = shop.customers.name_by(EMAIL, normalised_email(email))
    found = shop.customers.find(name) if name is not None else None
    if found is None:
        raise NotFound("customer", email)
    return found


def insert_customer(shop: Shop, raw: Any, *, by: str = "") -> tuple[Customer, int]:
    """A new profile and its version; ``by`` is who made it. Raises Invalid with all problems."""
    return _inserted(shop, made(raw, Customer, validate, partial(_card_rules, shop)), by)


def quick_add(shop: Shop, raw: Any, *, by: str = "") -> tuple[Customer, int]:
    """A new profile of the little that is asked at the desk, password and all. Raises Invalid with all problems."""
    asked = made(raw, QuickCustomer, lambda asked: validate(asked.profile()))
    return _inserted(shop, asked.profile(), by)


def sign_up(shop: Shop, raw: Any, address: str) -> WholesaleSignedUp:
    """A dealer signs himself up. An address that has a profile stays as it is, and nothing tells that it had one.

    Raises TooMany, and Invalid with all problems.
    """
    asked = made(raw, WholesaleSignup, lambda asked: validate(asked.profile()))
    settings = shop.configuration.section(CustomerProfileSettings).noun
    if not settings.wholesale_signup:
        raise Invalid.one("", "not_available", "the shop takes no wholesale signups")
    shop.limits.take(f"wholesale_signup#address#{address}", SIGNUP_TRIES, SIGNUP_SECONDS, shop.clock.now())
    approve = bool(settings.wholesale_signup_needs_approval)
    profile = replace(
        asked.profile(),
        pricing_tiers=signup_tiers(shop, asked.pricing_tier_name),
        send_signup_notification=True,
        unapproved=approve or None,
    )
    try:
        _inserted(shop, profile, CUSTOMER)
    except Invalid as invalid:
        if [problem.code for problem in invalid.problems] != ["duplicate"]:
            raise
    return WholesaleSignedUp(email=asked.email, needs_approval=approve)


def _inserted(shop: Shop, asked: Customer, by: str) -> tuple[Customer, int]:
    now = shop.clock.now()
    bare = replace(
        with_tiers(shop, _with_cards(shop, _without_said(asked)), None),
        merchant_id=shop.merchant_id,
        signup_dts=now,
        last_modified_by=by or None,
        last_modified_dts=now,
    )
    hashed = _hashed(shop, asked.password) if asked.password else None
    for _ in range(DRAWS):
        customer = stamped(numbered(bare, None, shop.oids), None, now)
        oid = customer.customer_profile_oid or 0
        event = _event(shop, customer, "customer_create", 1, now)
        if asked.send_signup_notification:
            event.notices = [Notice(template="signup", kind="customer", id=str(oid))]
        try:
            shop.write(
                shop.customers.inserted(oid, customer),
                _address(shop, customer),
                shop.events.happened(event),
                *([shop.customer_passwords.set(oid, hashed, shop.word(), now, None)] if hashed else []),
            )
        except Refused as refused:
            if refused.change == 1:
                raise _taken(customer) from None
            continue
        told_now(shop, event.event_id)
        return customer, 1
    raise Contended("no free oid was found; try again")


def update_customer(
    shop: Shop, oid: int, raw: Any, *, by: str = "", version: int | None = None
) -> tuple[Customer, int]:
    """The profile with the request laid over it, and its version. What changes nothing writes nothing.

    ``version`` is the one that If-Match named, if it did. Raises NotFound, Stale, and Invalid with all problems.
    """
    for _ in range(MOST_TRIES):
        kept = shop.customers.get(oid)
        if version is not None and version != kept.version:
            raise Stale(f"The customer is at version {kept.version} now.")
        before, now = kept.noun, shop.clock.now()
        asked = changed(before, said(raw), validate, _no_signup, partial(_card_rules, shop), moving=MOVING)
        whole = with_tiers(shop, _with_cards(shop, _without_said(asked)), before)
        customer = stamped(numbered(whole, before, shop.oids), before, now)
        password = _new_password(shop, oid, asked.password, now)
        if customer == before and not password:
            return before, kept.version
        customer = replace(customer, last_modified_by=by or None, last_modified_dts=now)
        event = _event(shop, customer, "customer_update", kept.version + 1, now)
        if before.unapproved and not customer.unapproved:
            event.notices = [Notice(template="signup", kind="customer", id=str(oid), facts={APPROVED: "yes"})]
        renamed = _normalised(before) != _normalised(customer)
        changes: list[Change] = [
            shop.customers.replaced(oid, customer, kept.version),
            shop.events.happened(event),
        ]
        if renamed:
            changes += [_address(shop, customer), shop.customers.unnamed(EMAIL, _normalised(before))]
        try:
            shop.write(*changes, *password)
        except Refused as refused:
            if renamed and refused.change == 2:
                raise _taken(customer) from None
            continue
        told_now(shop, event.event_id)
        return customer, kept.version + 1
    raise Contended("the customer is being changed by others; try again")


def delete_customer(shop: Shop, oid: int, *, version: int | None = None) -> None:
    """The profile goes, its password with it, and its address is free. His orders and ledgers stay as they are.

    Raises NotFound, Stale, and Invalid while an active auto order is his: it would go on billing somebody whom nobody
    knows.
    """
    for _ in range(MOST_TRIES):
        kept = shop.customers.get(oid)
        if version is not None and version != kept.version:
            raise Stale(f"The customer is at version {kept.version} now.")
        _refuse_active(shop, kept.noun)
        event = _event(shop, kept.noun, "customer_delete", kept.version + 1, shop.clock.now())
        try:
            shop.write(
                shop.customers.removed(oid, kept.version),
                shop.customers.unnamed(EMAIL, _normalised(kept.noun)),
                shop.customer_passwords.gone(oid),
                shop.events.happened(event),
                shop.merges.none(oid),
            )
        except Refused as refused:
            if refused.change == LAST_OF_DELETE:
                raise Contended(merge_profiles.BUSY) from None
            continue
        told_now(shop, event.event_id)
        return
    raise Contended("the customer is being changed by others; try again")


def written(shop: Shop, customer: Customer, over: int, *, at: int = 0) -> bool:
    """Whether exactly this profile stands, put over exactly that version; 0: where none stood, at version ``at`` (its
    first). For who has thought it through before: nothing is asked here, and its address stays. The same again is as
    once; False where somebody else was first."""
    oid, version = customer.customer_profile_oid or 0, at or over + 1
    event = _event(shop, customer, "customer_update" if over else "customer_create", version, shop.clock.now())
    changes: list[Change] = [shop.customers.replaced(oid, customer, over), shop.events.happened(event)]
    if not over:
        changes[0] = shop.customers.inserted(oid, customer, version=version)
        changes.append(_address(shop, customer))
    try:
        shop.write(*changes)
    except Refused:
        found = shop.customers.find(oid)
        if found is None or (found.version, found.noun) != (version, customer):
            return False
    told_now(shop, event.event_id)
    return True


def merge_customer(shop: Shop, oid: int, raw: Any, *, by: str = "") -> None:
    """The profile that the request names goes into this one: at once where that takes no longer than a call may, else
    the relay goes on with it. Raises NotFound, Contended, and Invalid with all problems."""
    name, source = merge_profiles.begin(shop, oid, raw, by=by)
    told_now(shop, name)
    told_now(shop, merge_profiles.ended_id(shop, source, oid))


def erase_customer(shop: Shop, oid: int, *, by: str = "") -> None:
    """The customer is forgotten: at once where that takes no longer than a call may, else the relay goes on with it.
    Raises NotFound, Contended, and Invalid while an active auto order is his."""
    name = privacy.begin(shop, oid, by=by)
    told_now(shop, name)
    told_now(shop, privacy.ended_id(shop, oid))


def _refuse_active(shop: Shop, customer: Customer) -> None:
    names = customer_names(customer.customer_profile_oid, customer.email)
    found = shop.auto_orders.read_many([number for _, number in shop.auto_orders.of_customer(names)])
    codes = [kept.noun.auto_order_code or "" for kept, head in found if head.status == "active"]
    if codes:
        told = ", ".join(codes[:MOST_TOLD]) + (" and more" if len(codes) > MOST_TOLD else "")
        raise Invalid.one("", "active_auto_orders", f"the customer has active auto orders; cancel them first: {told}")


def _address(shop: Shop, customer: Customer) -> Change:
    return shop.customers.named(EMAIL, _normalised(customer), str(customer.customer_profile_oid))


def _normalised(customer: Customer) -> str:
    return normalised_email(customer.email or "")


def _taken(customer: Customer) -> Invalid:
    message = f"there is a customer with {_normalised(customer)} already; addresses are compared in lower case"
    return Invalid.one("/email", "duplicate", message)


def _event(shop: Shop, customer: Customer, name: str, version: int, now: Instant) -> Event:
    oid = str(customer.customer_profile_oid)
    return Event(
        event_id=event_id(shop.merchant_id, f"customer#{oid}", f"{name}#{version}"),
        dts=now,
        happenings=[Happening(name=name, kind="customer", id=oid)],
        seq=version,
    )


# --- the password ----------------------------------------------------------------------------------------------------


def _without_said(asked: Customer) -> Customer:
    """The profile as it is kept: without what is only ever said."""
    return replace(asked, password=None, send_signup_notification=None)


def _no_signup(asked: Customer) -> None:
    if asked.send_signup_notification:
        message = "is sent when a profile is made; for a link to set a password there is a call of its own"
        raise Invalid.one("/send_signup_notification", "not_available", message)


def _hashed(shop: Shop, password: str) -> str:
    return shop.passwords.hash(normalised_password(password))


def _new_password(shop: Shop, oid: int, password: str | None, now: Instant) -> list[Change]:
    """The change that sets it; none where none was sent, or it is the same."""
    if password is None:
        return []
    standing = shop.customer_passwords.find(oid)
    if standing and shop.passwords.fits(standing.hashed, normalised_password(password)):
        return []
    return [shop.customer_passwords.set(oid, _hashed(shop, password), shop.word(), now, standing)]


# --- cards -----------------------------------------------------------------------------------------------------------


def _card_rules(shop: Shop, customer: Customer) -> None:
    """Every token that is sent stands for a card. Raises Invalid with all problems."""
    now = shop.clock.now()
    added = [card.card_number_token for card in customer.cards or [] if card.card_number_token]
    if added and shop.configuration.section(CustomerProfileSettings).noun.allow_storing_credit_cards is False:
        raise Invalid.one("/cards", "not_available", "the shop stores no cards in profiles")
    problems = [
        Problem(
            pointer=f"/cards/{position}/card_number_token",
            code="unknown",
            message="is not a card token, or it has expired (2 hours)",
        )
        for position, card in enumerate(customer.cards or [])
        if card.card_number_token and shop.card_tokens.find(card.card_number_token, now) is None
    ]
    if problems:
        raise Invalid(problems)


def _with_cards(shop: Shop, customer: Customer) -> Customer:
    """The profile with the cards that its tokens stand for; nothing else that was said of such a card counts."""
    if not customer.cards:
        return customer
    now = shop.clock.now()
    cards: list[CustomerCard] = []
    for card in customer.cards:
        token = card.card_number_token
        found = shop.card_tokens.find(token, now) if token else None
        if found is not None:
            stored = [StoredCard(**one) for one in found["stored"]]
            card = CustomerCard(  # noqa: PLW2901  # the card itself, in the place of its token
                customer_profile_credit_card_id=card.customer_profile_credit_card_id,
                card_type=found["card_type"],
                card_number=found["card_number"],
                card_expiration_month=found["card_expiration_month"],
                card_expiration_year=found["card_expiration_year"],
                stored_card=stored[0],
                other_stored_cards=stored[1:] or None,
            )
        cards.append(card)
    return replace(customer, cards=cards)
