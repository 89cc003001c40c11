"""Gift certificates: who may spend them and until when; what is on them stands in their ledger. Field names are the
contract's.

The **internal** certificate of a customer is his cashback and store credit: one ledger, shown two ways.
"""

from base64 import b32encode
from collections.abc import Iterable
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, ClassVar

from msgspec import Meta
from msgspec.structs import replace

from chalicelib.domain.dates import Instant, later
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Amount, Days, Oid, OrderId, Text10, Text20, Text50, Text100, Text2000
from chalicelib.domain.ledgers import Entry, Ledger, oid_of
from chalicelib.domain.money import LARGEST, ZERO, quantise, total_of
from chalicelib.domain.wire import Noun, Words

CODE_LETTERS = 16
# "Expiring" store credit is what is gone within these days (the contract's own figure).
EXPIRING_DAYS = 30

Change = Annotated[Decimal, Meta(extra={"ge": -LARGEST, "le": LARGEST})]
Description = Annotated[str, Meta(min_length=1, max_length=50)]


class GiftCertificateLedgerEntry(Noun):
    read_only: ClassVar[frozenset[str]] = frozenset({"gift_certificate_ledger_oid", "gift_certificate_oid"})

    words: ClassVar[Words] = {
        "amount": ("Amount", "More on the certificate, or less with a minus before it."),
        "description": ("What for", "It stands in the ledger."),
        "entry_dts": ("When", "Blank: now."),
        "reference_order_id": ("Order", "The order that it belongs to, if it does."),
    }

    amount: Change | None = None
    description: Text50 | None = None
    entry_dts: Instant | None = None
    gift_certificate_ledger_oid: Oid | None = None
    gift_certificate_oid: Oid | None = None
    reference_order_id: OrderId | None = None


class GiftCertificate(Noun):
    """``remaining_balance`` and ``ledger_entries`` are read from the ledger; an update may send them back as they were
    read. The code stays: customers have it in their hands."""

    read_only: ClassVar[frozenset[str]] = frozenset(
        {
            "code",
            "customer_profile_oid",
            "deleted",
            "gift_certificate_oid",
            "internal",
            "ledger_entries",
            "merchant_id",
            "original_balance",
            "reference_order_id",
            "remaining_balance",
        }
    )

    words: ClassVar[Words] = {
        "activated": ("Active", "It can pay. What is not active keeps what is on it."),
        "email": ("E-mail of its owner", "Who it belongs to; anybody who has the code can pay with it."),
        "expiration_dts": ("Expires", "From this moment on it pays nothing. Blank: never."),
        "merchant_note": ("Notes", "Shown to nobody but you."),
    }

    activated: bool | None = None
    code: Text20 | None = None
    customer_profile_oid: Oid | None = None
    deleted: bool | None = None
    email: Text100 | None = None
    expiration_dts: Instant | None = None
    gift_certificate_oid: Oid | None = None
    internal: bool | None = None
    ledger_entries: list[GiftCertificateLedgerEntry] | None = None
    merchant_id: Text10 | None = None
    merchant_note: Text2000 | None = None
    original_balance: Decimal | None = None
    reference_order_id: OrderId | None = None
    remaining_balance: Decimal | None = None


class GiftCertificateCreateRequest(Noun):
    words: ClassVar[Words] = {
        "amount": ("Amount", "What is on it at first."),
        "email": ("E-mail of its owner", "Blank: whoever has the code."),
        "expiration_dts": ("Expires", "Blank: never."),
        "initial_ledger_description": ("What for", "The first line of its ledger. Blank: Created."),
        "merchant_note": ("Notes", "Shown to nobody but you."),
    }

    amount: Amount
    email: Text100 | None = None
    expiration_dts: Instant | None = None
    initial_ledger_description: Text50 | None = None
    merchant_note: Text2000 | None = None


class GiftCertificateQuery(Noun):
    code: Text20 | None = None
    email: Text100 | None = None
    expiration_dts_end: Instant | None = None
    expiration_dts_start: Instant | None = None
    original_balance_end: Decimal | None = None
    original_balance_start: Decimal | None = None
    reference_order_id: OrderId | None = None
    remaining_balance_end: Decimal | None = None
    remaining_balance_start: Decimal | None = None


class AdjustInternalCertificateRequest(Noun):
    adjustment_amount: Change
    description: Description
    entry_dts: Instant | None = None
    expiration_days: Days | None = None
    order_id: OrderId | None = None
    vesting_days: Days | None = None


class CustomerStoreCreditAddRequest(Noun):
    amount: Amount
    description: Description | None = None
    expiration_days: Days | None = None
    vesting_days: Days | None = None


class CustomerStoreCreditLedgerEntry(Noun):
    action: str | None = None
    amount: Decimal | None = None
    description: Text50 | None = None
    entry_dts: Instant | None = None
    gift_certificate_ledger_oid: int | None = None
    gift_certificate_oid: int | None = None
    reference_order_id: str | None = None


class CustomerStoreCredit(Noun):
    """``total`` is all that was ever credited."""

    available: Decimal
    expiring: Decimal
    future_ledgers: list[CustomerStoreCreditLedgerEntry]
    past_ledgers: list[CustomerStoreCreditLedgerEntry]
    total: Decimal
    vesting: Decimal


# --- rules -----------------------------------------------------------------------------------------------------------


def ledger_id(oid: int) -> str:
    return f"certificate#{oid}"


def code_of(word: str) -> str:
    """A code that nobody guesses: sixteen letters and digits out of a random word, none of them 0, 1, 8 or 9."""
    return b32encode(sha256(word.encode()).digest()).decode()[:CODE_LETTERS]


def code_key(code: str) -> str:
    """Codes are compared without blanks and dashes, in upper case."""
    return code.strip().upper().replace("-", "").replace(" ", "")


def why_not_usable(certificate: GiftCertificate, now: Instant) -> str | None:
    """Why nothing can be paid with it now; None where something can."""
    if certificate.deleted:
        return "The gift certificate was deleted."
    if not certificate.activated:
        return "The gift certificate is not activated."
    if certificate.expiration_dts is not None and certificate.expiration_dts <= now:
        return f"The gift certificate expired at {certificate.expiration_dts}."
    return None


def validate_days(vesting: int | None, expiration: int | None) -> None:
    """What expires before it can be spent is of no use. Raises Invalid."""
    if expiration and (vesting or 0) >= expiration:
        message = f"must be more than the {vesting} days of vesting, or 0 for never"
        raise Invalid.one("/expiration_days", "conflict", message)


def amount_of(amount: Decimal | None, pointer: str, currency: str) -> Decimal:
    """The amount in whole coins. Raises Invalid where it is none, or nothing."""
    if amount is None:
        raise Invalid.one(pointer, "required", "is required")
    whole = quantise(amount, currency)
    if whole != amount:
        raise Invalid.one(pointer, "invalid", f"has more places than {currency} has coins")
    if not whole:
        raise Invalid.one(pointer, "out_of_range", "may not be 0")
    return whole


def validate_update(certificate: GiftCertificate) -> None:
    """Raises Invalid where an internal certificate would leave its customer."""
    if certificate.internal and certificate.activated is False:
        message = "the internal certificate is the customer's store credit and stays active"
        raise Invalid(problems=[Problem(pointer="/activated", code="conflict", message=message)])


def matches(certificate: GiftCertificate, query: GiftCertificateQuery) -> bool:
    """Whether it meets all criteria; ranges take both ends."""
    return (
        (query.code is None or code_key(certificate.code or "") == code_key(query.code))
        and (query.email is None or (certificate.email or "").lower() == query.email.strip().lower())
        and query.reference_order_id in (None, certificate.reference_order_id)
        and _within(certificate.expiration_dts, query.expiration_dts_start, query.expiration_dts_end)
        and _within(certificate.original_balance, query.original_balance_start, query.original_balance_end)
        and _within(certificate.remaining_balance, query.remaining_balance_start, query.remaining_balance_end)
    )


def _within(value: Decimal | Instant | None, first: Decimal | Instant | None, last: Decimal | Instant | None) -> bool:
    if first is None and last is None:
        return True
    if value is None:
        return False
    return (first is None or value >= first) and (last is None or value <= last)  # type: ignore[operator]


# --- shown -----------------------------------------------------------------------------------------------------------


def shown(certificate: GiftCertificate, ledger: Ledger, entries: Iterable[Entry]) -> GiftCertificate:
    """The certificate with what is on it."""
    oid = certificate.gift_certificate_oid
    return replace(
        certificate,
        remaining_balance=ledger.balance,
        ledger_entries=[
            GiftCertificateLedgerEntry(
                amount=entry.posting.amount,
                description=entry.posting.description,
                entry_dts=entry.posting.dts,
                gift_certificate_ledger_oid=entry.oid(),
                gift_certificate_oid=oid,
                reference_order_id=entry.posting.order_id,
            )
            for entry in entries
        ],
    )


def store_credit(ledger: Ledger, entries: Iterable[Entry], oid: int | None, now: Instant) -> CustomerStoreCredit:
    """The internal certificate as store credit: what is there, what comes and what goes."""
    soon = later(now, days=EXPIRING_DAYS)
    past = [
        CustomerStoreCreditLedgerEntry(
            action=entry.posting.type,
            amount=entry.posting.amount,
            description=entry.posting.description,
            entry_dts=entry.posting.dts,
            gift_certificate_ledger_oid=entry.oid(),
            gift_certificate_oid=oid,
            reference_order_id=entry.posting.order_id,
        )
        for entry in entries
    ]
    future = [
        CustomerStoreCreditLedgerEntry(
            action="Vesting",
            amount=one.posting.amount,
            description=one.posting.description,
            entry_dts=one.posting.dts,
            gift_certificate_ledger_oid=oid_of(ledger.ledger_id, one.posting.cause),
            gift_certificate_oid=oid,
            reference_order_id=one.posting.order_id,
        )
        for one in ledger.pending
    ]
    future += [
        CustomerStoreCreditLedgerEntry(
            action="Expiring", amount=-lot.left, description="Expires", entry_dts=lot.expires, gift_certificate_oid=oid
        )
        for lot in ledger.lots
        if lot.expires is not None
    ]
    return CustomerStoreCredit(
        available=ledger.available(),
        expiring=total_of(lot.left for lot in ledger.lots if lot.expires is not None and lot.expires <= soon),
        future_ledgers=sorted(future, key=lambda line: str(line.entry_dts)),
        past_ledgers=past,
        total=ledger.credited,
        vesting=max(ledger.coming(), ZERO),
    )
