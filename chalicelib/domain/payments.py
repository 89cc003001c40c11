"""What a gateway is asked and what it may answer. A decline is an answer; so is not knowing.

The attempt is one Struct for all money: its key says *what* is charged, its owner *who* may send.
"""

from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal

import msgspec

from chalicelib.domain.dates import Instant
from chalicelib.domain.fields import Month, Text30, Year
from chalicelib.domain.money import ZERO, total_of
from chalicelib.domain.wire import Noun

# What an attempt moves: a run of an auto order, its cancel item, a first payment, a rebill that waits in Accounts
# Receivable; the authorisation of a future amount, which stays open, and of a test amount, which is voided; a refund.
Kind = Literal["rebill", "cancel_item", "purchase", "receivable", "auth_future", "auth_test", "void", "refund"]
CardType = Literal["AMEX", "Diners Club", "Discover", "JCB", "MasterCard", "VISA"]

# A send must follow its claim within this time, or be authorised again: a worker that was frozen may not wake and send.
SEND_WITHIN_SECONDS = 10
# The longest that a gateway call may take. No send with less of the function's time left than this.
GATEWAY_TIMEOUT_SECONDS = 20
# Longer than the function (60 s) and the gateway call together: after it the worker that claimed is surely gone.
LEASE_SECONDS = 360
# A capture may show this long after its request at the latest: the slowest gateway's own ceiling and its list lag.
QUARANTINE_SECONDS = 1800
# When to look again at an open attempt whose outcome is not known: 5 looks in the first day, then daily for a month.
LOOK_AGAIN_SECONDS = (60, 300, 900, 3600, 4 * 3600, 12 * 3600) + (24 * 3600,) * 30
# A charge that surely was not sent is tried again at the next sweep but one.
NOT_SENT_AGAIN_SECONDS = 600


class StoredCard(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How to charge a card or a bank account again: the gateway's own reference, never the number. ``fingerprint`` is a
    keyed hash."""

    gateway: str
    reference: str
    fingerprint: str
    network_transaction_id: str | None = None


class Card(Noun):
    """What may be shown of a card."""

    card_expiration_month: Month
    card_expiration_year: Year
    card_type: CardType
    last_four: Text30


class Charge(msgspec.Struct, kw_only=True, frozen=True):
    """What the gateway is asked to take. ``first`` marks a customer-initiated charge; later ones are the merchant's."""

    key: str
    amount: Decimal
    currency_code: str
    card: StoredCard
    order_id: str
    first: bool


class Refund(msgspec.Struct, kw_only=True, frozen=True):
    """What the gateway is asked to give back, under a key of its own, of the capture that was made under ``of``."""

    key: str
    of: str
    amount: Decimal
    currency_code: str
    order_id: str


class Approved(msgspec.Struct, kw_only=True, frozen=True, tag=True):
    """Done as asked: captured, authorised, given back or voided. ``amount`` is what the gateway says it was about:
    checked against what was asked."""

    transaction_id: str
    amount: Decimal
    currency_code: str
    network_transaction_id: str | None = None


# What a gateway answers that is to let go of an authorisation which it does not know.
NOTHING_HELD = Approved(transaction_id="", amount=ZERO, currency_code="")


class Declined(msgspec.Struct, kw_only=True, frozen=True, tag=True):
    """The bank said no. ``hard``: never again with this card. ``advice``: Mastercard's merchant advice code.
    ``returned``: a debit that was settled and has come back since."""

    code: str
    reason: str
    hard: bool = False
    advice: str = ""
    returned: bool = False


class NotSent(msgspec.Struct, kw_only=True, frozen=True, tag=True):
    """Surely nothing was sent or begun (refused connection, bad credentials, rate limit): not counted as a try."""

    reason: str


class Pending(msgspec.Struct, kw_only=True, frozen=True, tag=True):
    """Accepted, to be settled or returned later (e-check)."""

    transaction_id: str


class ActionNeeded(msgspec.Struct, kw_only=True, frozen=True, tag=True):
    """The bank wants to see the customer: counts as a soft decline, the customer gets the link."""

    reason: str
    url: str


class Unknown(msgspec.Struct, kw_only=True, frozen=True, tag=True):
    """No answer, or one that says nothing. Never a decline."""

    reason: str


class NotFound(msgspec.Struct, kw_only=True, frozen=True, tag=True):
    """The gateway's answer to a look-up by key: it has no such charge (yet)."""


Outcome = Approved | Declined | NotSent | Pending | ActionNeeded | Unknown
Found = Approved | Declined | Pending | ActionNeeded | NotFound | Unknown


class Capabilities(msgspec.Struct, kw_only=True, frozen=True):
    """What a gateway declares it can do. Not declared means it cannot.

    ``idempotency_window``: seconds in which the same key surely gives the same charge; 0 is none.
    ``lookup``: it can be asked by key. ``lookup_lag``: seconds until a capture shows there. ``refund``: captures can be
    given back, whole or in part. ``authorise``: an amount can be authorised without being captured, and voided.
    ``numbers``: it takes card numbers from us; else cards come by its own form. ``echecks``: it debits bank accounts.
    """

    idempotency_window: int = 0
    lookup: bool = False
    lookup_lag: int = 0
    refund: bool = False
    authorise: bool = False
    numbers: bool = False
    echecks: bool = False


# An attempt rides in the head, which is written with every step of the protocol: short names keep it below two KB.
SHORT_LINE = {
    "item_id": "i",
    "quantity": "q",
    "unit_cost": "c",
    "oid": "o",
    "occurrence": "n",
    "day": "d",
    "skipped": "s",
    "discount": "off",
    "override": "x",
    "add_on": "a",
}
SHORT_SPEND = {"oid": "o", "amount": "a", "code": "c"}
SHORT_USE = {"code": "c", "most": "m", "customers": "of"}
SHORT_PLAN = {"currency": "in", "discount": "off", "shipping_method": "method", "shipping_discount": "shipping_off"}
SHORT_ATTEMPT = {
    "claimed_dts": "claimed",
    "first_sent_dts": "sent",
    "look_dts": "look",
    "review_dts": "review",
    "revision": "rev",
}


class PlanLine(msgspec.Struct, kw_only=True, omit_defaults=True, rename=SHORT_LINE):
    """One line of a frozen plan. For a rebill ``oid`` is the auto order item, ``occurrence`` what of it is billed and
    ``day`` the date that it was scheduled for; ``skipped`` counts missed ones before it that are passed over.
    ``override``: it costs what the item's override says, so one order less of it is left. ``add_on``: it only came
    along, with the item of that oid or (0) with the whole order; no occurrence is billed by it."""

    item_id: str
    quantity: Decimal
    unit_cost: Decimal
    oid: int = 0
    occurrence: int = 0
    day: date | None = None
    skipped: int = 0
    discount: Decimal = ZERO
    override: bool = False
    add_on: bool = False


class Spend(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename=SHORT_SPEND):
    """So much of a plan's total is paid from the ledger of the gift certificate of that oid, not by the gateway.
    ``code`` is what the customer named; his own store credit has none."""

    oid: int
    amount: Decimal
    code: str = ""


class Use(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename=SHORT_USE):
    """One use of a coupon that may not be used at will. ``most``: uses in all, 0 where they are not counted;
    ``customers``: the names of the customer who may use it once, none where anybody may more often."""

    code: str
    most: int = 0
    customers: list[str] = []


class FrozenPlan(msgspec.Struct, kw_only=True, omit_defaults=True, rename=SHORT_PLAN):
    """All that an order's money is made of, fixed before anything is sent. Nothing of it is computed again.

    ``spends`` pay for some of the total; the gateway is asked for the rest."""

    lines: list[PlanLine]
    subtotal: Decimal
    total: Decimal
    currency: str
    discount: Decimal = ZERO
    coupons: list[str] = []
    shipping_method: str | None = None
    shipping: Decimal = ZERO
    shipping_discount: Decimal = ZERO
    tax: Decimal = ZERO
    tax_rate: Decimal = ZERO
    tax_shipping: bool = False
    taxable: Decimal = ZERO
    spends: list[Spend] = []
    uses: list[Use] = []

    def spent(self) -> Decimal:
        """What balances pay."""
        return total_of(spend.amount for spend in self.spends)

    def rest(self) -> Decimal:
        """What the gateway is asked for."""
        return self.total - self.spent()


class Attempt(msgspec.Struct, kw_only=True, omit_defaults=True, rename=SHORT_ATTEMPT):
    """One attempt to move money, written before anything is sent, carried by a head until its outcome is known.

    ``revision`` is the head's when it was claimed: an edit since then forbids sending again. ``looks`` counts how
    often the resolver asked; ``missing`` how often a look-up after the quarantine found nothing; before ``look_dts``
    it does not ask again, whoever comes by. ``amount`` is what is asked for where that is not the plan's rest (a test
    authorisation); ``of`` the key of the capture or the authorisation that a refund or a void is about.
    """

    kind: Kind
    key: str
    owner: str
    gateway: str
    run: int
    round: int
    tries: int
    revision: int
    claimed_dts: Instant
    first_sent_dts: Instant
    card: StoredCard | None
    plan: FrozenPlan
    looks: int = 0
    missing: int = 0
    look_dts: Instant | None = None
    pending: bool = False
    review_dts: Instant | None = None
    amount: Decimal | None = None
    of: str = ""

    def is_free(self) -> bool:
        """It costs nothing, so no gateway is asked."""
        return not self.gateway

    def asked(self) -> Decimal:
        """The amount that the gateway is asked for."""
        return self.plan.rest() if self.amount is None else self.amount


class ClosedAttempt(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of an attempt that made no order: its outcome beside its plan. ``reasons``: rules that had a say in
    the plan, as plain values."""

    attempt: Attempt
    closed_dts: Instant
    outcome: Literal["declined", "not_sent", "not_charged", "late_refunded", "authorised", "voided", "refunded"]
    reason: str
    hard: bool = False
    code: str = ""
    reasons: list[dict[str, Any]] = []


def attempt_key(merchant_id: str, subject: str, run: int, round_: int, tries: int, gateway: str) -> str:
    """The idempotency key: the same for every send of one attempt, another for every other."""
    text = "\x1f".join((merchant_id, subject, str(run), str(round_), str(tries), gateway))
    return "bo_" + sha256(text.encode()).hexdigest()[:40]


def look_again_seconds(looks: int) -> int:
    return LOOK_AGAIN_SECONDS[min(looks, len(LOOK_AGAIN_SECONDS) - 1)]


def card_type_of(number: str) -> CardType | None:
    """The brand by the number's first digits; None where it is none that a merchant account takes."""
    ranges: tuple[tuple[int, int, int, CardType], ...] = (
        (4, 4, 1, "VISA"),
        (51, 55, 2, "MasterCard"),
        (2221, 2720, 4, "MasterCard"),
        (34, 34, 2, "AMEX"),
        (37, 37, 2, "AMEX"),
        (300, 305, 3, "Diners Club"),
        (36, 36, 2, "Diners Club"),
        (38, 39, 2, "Diners Club"),
        (6011, 6011, 4, "Discover"),
        (644, 649, 3, "Discover"),
        (65, 65, 2, "Discover"),
        (3528, 3589, 4, "JCB"),
    )
    for low, high, digits, name in ranges:
        if low <= int(number[:digits]) <= high:
            return name
    return None


def luhn(number: str) -> bool:
    """The check digit that every card number ends in."""
    total = 0
    for position, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
