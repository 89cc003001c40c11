"""Gift certificates: made, changed, looked up; and the internal one of a customer, which is his cashback and store
credit. What is on them moves by their ledgers (``flows.ledgers``)."""

from decimal import Decimal
from functools import partial
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import gift_certificates as rules
from chalicelib.domain import ledgers
from chalicelib.domain.customers import normalised_email
from chalicelib.domain.dates import Instant, later
from chalicelib.domain.drafts import changed, made
from chalicelib.domain.errors import Contended, Invalid, NotFound, Refused, Stale
from chalicelib.domain.gift_certificates import (
    AdjustInternalCertificateRequest,
    CustomerStoreCredit,
    CustomerStoreCreditAddRequest,
    GiftCertificate,
    GiftCertificateCreateRequest,
    GiftCertificateLedgerEntry,
    GiftCertificateQuery,
    amount_of,
    code_key,
    ledger_id,
)
from chalicelib.domain.ledgers import Ledger, Pending, Posting, Step
from chalicelib.domain.links import STORE_CREDIT_SECONDS
from chalicelib.domain.loyalty import expires_on, vests_on
from chalicelib.domain.merchants import Merchant
from chalicelib.flows import ledgers as posting
from chalicelib.flows.ports import Change, Kept, Shop

# A code or an oid that is taken by chance is drawn again.
DRAWS = 5
MOST_TRIES = 5
# Entries that an answer lists, the latest.
MOST_LISTED = 500
# A query that names neither code nor e-mail reads every certificate that was made by hand or by a reward.
MOST_READ = 5_000
# Certificates of one address: who has more is a reseller, and asks by code.
MOST_OF_ONE = 200
CODE = "code"
CUSTOMER = "customer"
NOUN = "gift certificate"


# --- made and changed ------------------------------------------------------------------------------------------------


def create(shop: Shop, raw: Any, *, by: str) -> GiftCertificate:
    """A new certificate with its first entry. Raises Invalid with all problems."""
    merchant, now = shop.configuration.section(Merchant).noun, shop.clock.now()
    asked = made(raw, GiftCertificateCreateRequest, partial(_create_rules, merchant.currency(), now))
    for _ in range(DRAWS):
        certificate, changes = drawn(
            shop,
            asked.amount,
            now,
            description=asked.initial_ledger_description or "Created",
            by=by,
            email=asked.email,
            expiration_dts=asked.expiration_dts,
            merchant_note=asked.merchant_note,
        )
        try:
            shop.write(*changes)
        except Refused:
            # Was that me? The answer may have got lost, and the word of the code is nobody else's.
            standing = shop.certificates.find(certificate.gift_certificate_oid)
            if standing is None or standing.noun.code != certificate.code:
                continue
        return shown(shop, certificate)
    raise Contended("no free code was found; try again")


def drawn(
    shop: Shop, amount: Decimal, now: Instant, *, description: str, by: str, **said: Any
) -> tuple[GiftCertificate, list[Change]]:
    """A certificate under a fresh oid and code with so much on it, and the changes that make it."""
    oid = next(shop.oids)
    certificate = GiftCertificate(
        activated=True,
        code=rules.code_of(shop.word()),
        gift_certificate_oid=oid,
        merchant_id=shop.merchant_id,
        original_balance=amount,
        **said,
    )
    one = Posting(
        cause="created", type="Credit", description=description, amount=amount, dts=now, created_dts=now, by=by
    )
    ledger, entries = ledgers.posted(Ledger(ledger_id=ledger_id(oid)), one)
    changes = [
        shop.certificates.inserted(oid, certificate),
        shop.certificates.named(CODE, certificate.code, str(oid)),
        shop.certificates.listed(oid),
        *shop.ledgers.moved(0, ledger, entries),
    ]
    if certificate.email:
        changes.append(shop.ledgers.addressed(normalised_email(certificate.email), oid))
    return certificate, changes


def _create_rules(currency: str, now: Instant, asked: GiftCertificateCreateRequest) -> None:
    amount_of(asked.amount, "/amount", currency)
    if asked.expiration_dts is not None and asked.expiration_dts <= now:
        raise Invalid.one("/expiration_dts", "past_date", f"must be later than now, {now}")


def update(shop: Shop, oid: int, raw: Any, *, version: int | None = None) -> tuple[GiftCertificate, int]:
    """The certificate with the request laid over it. What changes nothing writes nothing.

    Raises NotFound, Stale, and Invalid with all problems.
    """
    for _ in range(MOST_TRIES):
        kept = shop.certificates.get(oid)
        if version is not None and version != kept.version:
            raise Stale(f"The gift certificate is at version {kept.version} now.")
        before = shown(shop, kept.noun)
        after = changed(before, raw, rules.validate_update)
        if after == before:
            return before, kept.version
        bare = replace(after, ledger_entries=None, remaining_balance=None)
        changes = [shop.certificates.replaced(oid, bare, kept.version)]
        if after.email and after.email != before.email:
            changes.append(shop.ledgers.addressed(normalised_email(after.email), oid))
        try:
            shop.write(*changes)
        except Refused:
            continue
        return after, kept.version + 1
    raise Contended("the gift certificate is being changed by others; try again")


def delete(shop: Shop, oid: int, *, version: int | None = None) -> None:
    """Nothing can be paid with it any more; its ledger and its code are kept. Raises NotFound, Stale, Invalid."""
    for _ in range(MOST_TRIES):
        kept = shop.certificates.get(oid)
        if version is not None and version != kept.version:
            raise Stale(f"The gift certificate is at version {kept.version} now.")
        if kept.noun.internal:
            raise Invalid.one("", "internal", "it is the customer's store credit; take what is on it by an entry")
        if kept.noun.deleted:
            return
        gone = replace(kept.noun, deleted=True, activated=False)
        try:
            shop.write(shop.certificates.replaced(oid, gone, kept.version))
        except Refused:
            continue
        return
    raise Contended("the gift certificate is being changed by others; try again")


def add_entry(
    shop: Shop, oid: int, raw: Any, *, by: str, key: str | None = None, dry_run: bool = False
) -> GiftCertificate:
    """One more entry of the ledger; the same ``key`` again adds none. ``dry_run`` only says what would be on it. Raises
    NotFound; Invalid where it takes more than there is."""
    merchant, now = shop.configuration.section(Merchant).noun, shop.clock.now()
    entry = made(raw, GiftCertificateLedgerEntry, partial(_entry_rules, merchant.currency(), now))
    certificate = shop.certificates.get(oid).noun
    if certificate.deleted:
        raise Invalid.one("", "deleted", "the gift certificate was deleted")
    amount = entry.amount or Decimal(0)
    one = Posting(
        cause=f"manual#{sha256(key.encode()).hexdigest()[:32] if key else shop.word()}",
        type="Used" if amount < 0 and entry.reference_order_id else "Adjustment",
        description=entry.description or "",
        amount=amount,
        dts=entry.entry_dts or now,
        created_dts=now,
        order_id=entry.reference_order_id,
        by=by,
    )
    if dry_run:
        would = posting.rehearse(shop, ledger_id(oid), lambda ledger: ledgers.posted(ledger, one))
        return replace(shown(shop, certificate), remaining_balance=would.balance)
    posting.post(shop, ledger_id(oid), one)
    return shown(shop, certificate)


def _entry_rules(currency: str, now: Instant, entry: GiftCertificateLedgerEntry) -> None:
    amount_of(entry.amount, "/amount", currency)
    if not (entry.description or "").strip():
        raise Invalid.one("/description", "required", "say what it is for")
    if entry.entry_dts is not None and entry.entry_dts > now:
        raise Invalid.one("/entry_dts", "out_of_range", f"may not be later than now, {now}")


# --- looked up -------------------------------------------------------------------------------------------------------


def shown(shop: Shop, certificate: GiftCertificate) -> GiftCertificate:
    """With what is on it now."""
    name = ledger_id(certificate.gift_certificate_oid or 0)
    return rules.shown(certificate, *posting.with_latest(shop, name, MOST_LISTED))


def by_code(shop: Shop, code: str) -> Kept[GiftCertificate]:
    """Raises NotFound."""
    name = shop.certificates.name_by(CODE, code_key(code))
    found = shop.certificates.find(name) if name is not None else None
    if found is None:
        raise NotFound(NOUN, code)
    return found


def by_email(shop: Shop, email: str) -> list[GiftCertificate]:
    """All that have this owner, in the order of their oids; none is no error."""
    wanted = normalised_email(email)
    oids = shop.ledgers.oids_by_email(wanted, MOST_OF_ONE)
    found = shop.certificates.get_many([str(oid) for oid in oids])
    return [shown(shop, one) for one in found if not one.deleted and normalised_email(one.email or "") == wanted]


def by_query(shop: Shop, query: GiftCertificateQuery) -> list[GiftCertificate]:
    """All that meet the criteria, without their entries, in the order of their oids. Internal ones are found at their
    customers. Raises Invalid where more would have to be read than a request may."""
    certificates = _narrowed(shop, query)
    names = [ledger_id(one.gift_certificate_oid or 0) for one in certificates]
    standing = shop.ledgers.read_many(names)
    told = [
        replace(one, remaining_balance=standing[name].balance)
        for one, name in zip(certificates, names, strict=True)
        if name in standing
    ]
    return [one for one in told if rules.matches(one, query)]


def _narrowed(shop: Shop, query: GiftCertificateQuery) -> list[GiftCertificate]:
    if query.code is not None:
        name = shop.certificates.name_by(CODE, code_key(query.code))
        names = [] if name is None else [name]
    elif query.email is not None:
        names = [str(oid) for oid in shop.ledgers.oids_by_email(normalised_email(query.email), MOST_OF_ONE)]
    else:
        names = shop.certificates.names()
    if len(names) > MOST_READ:
        message = f"there are more than {MOST_READ} gift certificates; name a code or an e-mail address"
        raise Invalid.one("", "too_many", message)
    found = [one for one in shop.certificates.get_many(names) if not one.deleted and not one.internal]
    return sorted(found, key=lambda one: one.gift_certificate_oid or 0)


# --- the internal one: cashback and store credit ---------------------------------------------------------------------


def internal_oid(shop: Shop, customer_profile_oid: int) -> int | None:
    name = shop.certificates.name_by(CUSTOMER, customer_profile_oid)
    return int(name) if name else None


def internal(shop: Shop, customer_profile_oid: int) -> int:
    """The oid of the customer's internal certificate, which is made where there is none. The profile must exist:
    raises NotFound."""
    for _ in range(DRAWS):
        if (standing := internal_oid(shop, customer_profile_oid)) is not None:
            return standing
        customer, oid = shop.customers.get(customer_profile_oid).noun, next(shop.oids)
        certificate = GiftCertificate(
            activated=True,
            code=rules.code_of(shop.word()),
            customer_profile_oid=customer_profile_oid,
            email=customer.email,
            gift_certificate_oid=oid,
            internal=True,
            merchant_id=shop.merchant_id,
            original_balance=Decimal(0),
        )
        try:
            shop.write(
                shop.certificates.inserted(oid, certificate),
                shop.certificates.named(CODE, certificate.code, str(oid)),
                shop.certificates.named(CUSTOMER, customer_profile_oid, str(oid)),
            )
        except Refused:
            continue
        return oid
    raise Contended("no free code was found; try again")


def store_credit(shop: Shop, customer_profile_oid: int) -> CustomerStoreCredit:
    """All zeros where there never was any. Raises NotFound."""
    shop.customers.get(customer_profile_oid)
    oid = internal_oid(shop, customer_profile_oid)
    if oid is None:
        return rules.store_credit(Ledger(ledger_id=""), [], None, shop.clock.now())
    ledger, entries = posting.with_latest(shop, ledger_id(oid), MOST_LISTED)
    return rules.store_credit(ledger, entries, oid, shop.clock.now())


def store_credit_token(shop: Shop, customer_profile_oid: int) -> tuple[str, Instant]:
    """What lets a shopper pay with the customer's store credit: the merchant's own shop, which has seen who he is, asks
    for it. An e-mail address alone, which anybody may type, does not. Raises NotFound."""
    shop.customers.get(customer_profile_oid)
    token = shop.links.sign("store_credit", str(customer_profile_oid), STORE_CREDIT_SECONDS)
    return token, later(shop.clock.now(), seconds=STORE_CREDIT_SECONDS)


def add_store_credit(shop: Shop, customer_profile_oid: int, raw: Any, *, by: str) -> None:
    """Raises NotFound, and Invalid with all problems."""
    currency = shop.configuration.section(Merchant).noun.currency()
    asked = made(raw, CustomerStoreCreditAddRequest, partial(_credit_rules, currency))
    _adjust(
        shop,
        customer_profile_oid,
        AdjustInternalCertificateRequest(
            adjustment_amount=asked.amount,
            description=asked.description or "Store credit",
            expiration_days=asked.expiration_days,
            vesting_days=asked.vesting_days,
        ),
        by=by,
    )


def adjust(shop: Shop, customer_profile_oid: int, raw: Any, *, by: str) -> tuple[Decimal, Decimal]:
    """(what was asked for, the balance after it). Raises NotFound, and Invalid with all problems."""
    currency, now = shop.configuration.section(Merchant).noun.currency(), shop.clock.now()
    asked = made(raw, AdjustInternalCertificateRequest, partial(_adjust_rules, currency, now))
    return asked.adjustment_amount, _adjust(shop, customer_profile_oid, asked, by=by).balance


def _credit_rules(currency: str, asked: CustomerStoreCreditAddRequest) -> None:
    amount_of(asked.amount, "/amount", currency)
    rules.validate_days(asked.vesting_days, asked.expiration_days)


def _adjust_rules(currency: str, now: Instant, asked: AdjustInternalCertificateRequest) -> None:
    amount_of(asked.adjustment_amount, "/adjustment_amount", currency)
    rules.validate_days(asked.vesting_days, asked.expiration_days)
    if asked.adjustment_amount < 0 and (asked.vesting_days or asked.expiration_days):
        raise Invalid.one("/vesting_days", "conflict", "what is taken away neither vests nor expires")
    if asked.entry_dts is not None and asked.entry_dts > now:
        raise Invalid.one("/entry_dts", "out_of_range", f"may not be later than now, {now}")


def _adjust(shop: Shop, customer: int, asked: AdjustInternalCertificateRequest, *, by: str) -> Ledger:
    now, zone_name = shop.clock.now(), shop.configuration.section(Merchant).noun.zone_name()
    since = asked.entry_dts or now
    vests = vests_on(since, asked.vesting_days or 0, zone_name)
    one = Posting(
        cause=f"manual#{shop.word()}",
        type="Adjustment",
        description=asked.description,
        amount=asked.adjustment_amount,
        dts=vests or since,
        created_dts=now,
        expires=expires_on(since, asked.expiration_days or 0, zone_name),
        order_id=asked.order_id,
        by=by,
    )
    name = ledger_id(internal(shop, customer))
    return posting.change(shop, name, partial(added, one=one, now=now), cause=one.cause).ledger


def added(ledger: Ledger, one: Posting, now: Instant) -> Step:
    """Posted now, or waiting for the day on which it vests. Too much waits already: it is not made to wait."""
    if one.dts > now and one.amount > 0 and len(ledger.pending) < ledgers.MOST_PENDING:
        return ledgers.waiting(ledger, Pending(state="Vesting", posting=one))
    return ledgers.posted(ledger, replace(one, dts=min(one.dts, now)))
