"""The sandbox gateway: test cards for every outcome, and a ledger file of its own that says what was really taken.

A merchant's test mode charges here, and the tests take its ledger as the oracle. It keeps no card number: what a number
would do is read off once, when the card is stored.
"""

import hmac
import json
import threading
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Literal, get_args

import msgspec

from chalicelib.domain.captures import Capture, CapturePage, Hint
from chalicelib.domain.dates import Instant, later, parse_instant
from chalicelib.domain.errors import Invalid, Unauthorised
from chalicelib.domain.money import ZERO, total_of
from chalicelib.domain.payments import (
    NOTHING_HELD,
    ActionNeeded,
    Approved,
    Capabilities,
    Card,
    Charge,
    Declined,
    Found,
    NotFound,
    NotSent,
    Outcome,
    Pending,
    Refund,
    StoredCard,
    Unknown,
)
from chalicelib.gateways.embedded import opened

Behaviour = Literal[
    "approve",
    "decline",
    "insufficient_funds",
    "try_again_later",
    "lost_card",
    "stolen_card",
    "closed_account",
    "not_sent",
    "pending",
    "action_needed",
    "timeout_before_capture",
    "timeout_after_capture",
    "slow",
    "duplicate_answer",
    "returned_r01",
    "returned_r02",
    "comes_back_r01",
    "comes_back_r10",
]

# What each test number does; any other number is approved. All pass the check digit.
TEST_CARDS: dict[str, Behaviour] = {
    "4111111111111111": "approve",
    "4242424242424242": "approve",
    "5555555555554444": "approve",
    "378282246310005": "approve",
    "6011111111111117": "approve",
    "30569309025904": "approve",
    "3530111333300000": "approve",
    "4000000000000002": "decline",
    "4000000000009995": "insufficient_funds",
    "4000000000000127": "try_again_later",
    "4000000000009987": "lost_card",
    "4000000000009979": "stolen_card",
    "4000000000000069": "closed_account",
    "4000000000000101": "not_sent",
    "4000000000000077": "pending",
    "4000002500003155": "action_needed",
    "4000000000000119": "timeout_before_capture",
    "4000000000000259": "timeout_after_capture",
    "4000000000002685": "slow",
    "4000000000000341": "duplicate_answer",
}
# What each test account does; any other account is debited, pending for a day.
TEST_ACCOUNTS: dict[str, Behaviour] = {
    "000123456789": "pending",
    "000111111113": "returned_r01",
    "000111111116": "returned_r02",
    # These are settled like any other, and come back two days later.
    "000222222227": "comes_back_r01",
    "000222222236": "comes_back_r10",
}
# The clearing house's codes of a debit that the bank sends back.
RETURN_REASONS = {
    "R01": "Insufficient funds.",
    "R02": "The account is closed.",
    "R09": "Uncollected funds.",
    "R10": "The customer says that he has not authorised it.",
}
# Before it is settled, and after.
RETURNS = {"returned_r01": "R01", "returned_r02": "R02"}
COME_BACK = {"comes_back_r01": "R01", "comes_back_r10": "R10"}
DECLINES: dict[str, Declined] = {
    "decline": Declined(code="05", reason="The bank declined the charge."),
    "insufficient_funds": Declined(code="51", reason="Insufficient funds."),
    "try_again_later": Declined(code="91", reason="The bank could not be reached."),
    "lost_card": Declined(code="41", reason="The card was reported lost.", hard=True),
    "stolen_card": Declined(code="43", reason="The card was reported stolen.", hard=True),
    "closed_account": Declined(code="46", reason="The account is closed.", hard=True),
}
# These befall the first request only: asked again, it is approved.
ONCE: frozenset[Behaviour] = frozenset({"timeout_before_capture", "timeout_after_capture", "duplicate_answer", "slow"})
# A slow gateway captures this long after it was asked, when nobody listens any more.
SLOW_SECONDS = 30
# A pending payment (an e-check) is settled after this long.
PENDING_SECONDS = 24 * 3600
# A settled debit that comes back does so this long after.
COMES_BACK_SECONDS = 2 * 24 * 3600
# One page of the list of captures.
CAPTURES_PAGE = 100
# Of gateways as they are: both, keys only, look-up only, neither.
PROFILES: dict[str, Capabilities] = {
    "full": Capabilities(
        idempotency_window=24 * 3600, lookup=True, refund=True, authorise=True, numbers=True, echecks=True
    ),
    "keys": Capabilities(idempotency_window=24 * 3600, refund=True, authorise=True, numbers=True, echecks=True),
    "lookup": Capabilities(lookup=True, lookup_lag=600, refund=True, authorise=True, numbers=True, echecks=True),
    "neither": Capabilities(numbers=True, echecks=True),
}
SCHEMA = """
create table if not exists card (reference text primary key, behaviour text not null);
create table if not exists request (key text primary key, posts integer not null, body text not null);
create table if not exists capture (
  number integer primary key autoincrement, key text not null, amount text not null, currency text not null,
  order_id text not null, transaction_id text not null, captured_dts text not null, refunded_dts text,
  account text not null default ''
);
create index if not exists capture_by_key on capture (key);
create table if not exists returned (key text primary key, behaviour text not null, returned_dts text not null);
create table if not exists come_back (key text primary key, return_code text not null, returned_dts text not null);
create table if not exists hold (
  number integer primary key autoincrement, key text not null, amount text not null, currency text not null,
  order_id text not null, transaction_id text not null, authorised_dts text not null, voided_dts text,
  account text not null default ''
);
create index if not exists hold_by_key on hold (key);
create table if not exists refund (
  key text primary key, "of" text not null, amount text not null, currency text not null, order_id text not null,
  refunded_dts text not null
);
create index if not exists refund_by_capture on refund ("of");
"""

KEY_REUSED = Declined(code="key_reused", reason="The key was used with another body.", hard=True)
VOIDED = Declined(code="voided", reason="The authorisation was let go of.")
IS_A_CAPTURE = Declined(code="captured", reason="The key names a charge, which is given back and not voided.")
NO_CHARGE = Declined(code="unknown", reason="There is no such charge.")
OTHER_CURRENCY = Declined(code="other_currency", reason="The charge was made in another currency.")
NO_AMOUNT = Declined(code="no_amount", reason="What is given back must be more than nothing.")
TOO_MUCH = Declined(code="too_much", reason="It is more than is left of the charge.")

Ledger = Literal["capture", "hold"]


class Hold(msgspec.Struct, kw_only=True, frozen=True):
    """An amount that was authorised and not captured. ``voided_dts``: when it was let go of."""

    key: str
    amount: Decimal
    currency_code: str
    order_id: str
    transaction_id: str
    authorised_dts: Instant
    voided_dts: Instant | None = None


class GivenBack(msgspec.Struct, kw_only=True, frozen=True):
    """A refund, whole or in part, of what was captured under the key ``of``."""

    key: str
    of: str
    amount: Decimal
    currency_code: str
    order_id: str
    refunded_dts: Instant


class Sandbox:
    """One sandbox account of the merchant ``shop``; accounts may share a ledger file, and each lists its own captures.
    ``behave`` lets a test decide what a post does, whatever the card says; ``behave_back`` what becomes of a refund or
    a void, by its key and how often it was posted: each time, whatever stands."""

    def __init__(
        self,
        path: str | Path = ":memory:",
        *,
        now: Callable[[], Instant],
        code: str = "sandbox",
        shop: str = "",
        capabilities: Capabilities = PROFILES["full"],
        behave: Callable[[Charge, int], Behaviour | None] | None = None,
        behave_back: Callable[[str, int], Behaviour | None] | None = None,
    ) -> None:
        self._now = now
        self._code = code
        self._account = f"{shop}/{code}"
        self._capabilities = capabilities
        self._behave = behave
        self._behave_back = behave_back
        self._posts_back: Counter[str] = Counter()
        self._lock = threading.RLock()
        self._db = opened(path, SCHEMA)
        for ledger in get_args(Ledger):
            if "account" not in {row[1] for row in self._db.execute(f"pragma table_info({ledger})")}:
                # A file of the time when it had one account.
                self._db.execute(f"alter table {ledger} add column account text not null default ''")

    @property
    def code(self) -> str:
        return self._code

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # --- cards -------------------------------------------------------------------------------------------------------

    def tokenise(self, number: str, month: int, year: int) -> StoredCard:
        """Store what the card will do; the number itself is forgotten."""
        behaviour = TEST_CARDS.get(number, "approve")
        fingerprint = hmac.new(self._code.encode(), number.encode(), sha256).hexdigest()[:32]
        reference = f"sandbox_{behaviour}_{fingerprint[:12]}"
        with self._lock:
            self._db.execute("insert or ignore into card values (?, ?)", (reference, behaviour))
        return StoredCard(gateway=self._code, reference=reference, fingerprint=fingerprint)

    def tokenise_account(self, aba_code: str, number: str) -> StoredCard:
        """Store what a debit of the account will do; the number itself is forgotten."""
        if not self._capabilities.echecks:
            raise Invalid.one("/bank_account_number", "not_available", "this gateway debits no bank accounts")
        behaviour = TEST_ACCOUNTS.get(number, "pending")
        fingerprint = hmac.new(self._code.encode(), f"{aba_code}/{number}".encode(), sha256).hexdigest()[:32]
        reference = f"sandbox_account_{behaviour}_{fingerprint[:12]}"
        with self._lock:
            self._db.execute("insert or ignore into card values (?, ?)", (reference, behaviour))
        return StoredCard(gateway=self._code, reference=reference, fingerprint=fingerprint)

    def card_of(self, payment_method_id: str) -> tuple[StoredCard, Card]:
        """Raises Invalid: there is no form that would make a payment method."""
        message = "the sandbox has no form of its own; send a test card's number for a card token"
        raise Invalid.one("/payment_method", "not_accepted", message)

    # --- charging ----------------------------------------------------------------------------------------------------

    def charge(self, charge: Charge) -> Outcome:
        """Take the amount, or not, as the card (or the test) says. With keys the same key takes it once."""
        return self._asked(charge, "capture")

    def authorise(self, charge: Charge) -> Outcome:
        """Hold the amount, or not, as the card (or the test) says, and capture nothing."""
        if not self._capabilities.authorise:
            return NotSent(reason="this gateway cannot authorise")
        return self._asked(charge, "hold")

    def _asked(self, charge: Charge, ledger: Ledger) -> Outcome:
        with self._lock, self._db:
            self._db.execute("begin immediate")
            posts = self._posts(charge, ledger)
            behaviour = (self._behave and self._behave(charge, posts)) or self._card(charge.card.reference)
            keys = self._capabilities.idempotency_window
            if keys and (standing := self._find(charge.key) or self._held(charge.key)):
                return self._approved(standing) if self._same_body(charge, ledger) else KEY_REUSED
            if posts > 1 and behaviour in ONCE:
                behaviour = "approve"
            return self._act(behaviour, charge.key, partial(self._enter, ledger, charge))

    def _act(self, behaviour: Behaviour, key: str, act: Callable[[Instant], Outcome]) -> Outcome:
        """What the behaviour answers; ``act`` does what was asked, as of that moment."""
        if behaviour in DECLINES:
            return DECLINES[behaviour]
        now = self._now()
        match behaviour:
            case "not_sent":
                return NotSent(reason="the gateway refused the connection")
            case "action_needed":
                return ActionNeeded(reason="The bank wants to see the customer.", url="https://bank.example/verify")
            case "pending":
                done = act(later(now, seconds=PENDING_SECONDS))
                return Pending(transaction_id=f"sb_{key[-12:]}") if isinstance(done, Approved) else done
            case "returned_r01" | "returned_r02":
                returned = str(later(now, seconds=PENDING_SECONDS))
                self._db.execute("insert or ignore into returned values (?, ?, ?)", (key, behaviour, returned))
                return Pending(transaction_id=f"sb_{key[-12:]}")
            case "comes_back_r01" | "comes_back_r10":
                settles = later(now, seconds=PENDING_SECONDS)
                done = act(settles)
                if isinstance(done, Approved):
                    self._back(key, COME_BACK[behaviour], later(settles, seconds=COMES_BACK_SECONDS))
                return Pending(transaction_id=f"sb_{key[-12:]}") if isinstance(done, Approved) else done
            case "timeout_before_capture":
                return Unknown(reason="timed out")
            case "timeout_after_capture" | "duplicate_answer":
                act(now)
                return Unknown(reason="timed out" if behaviour == "timeout_after_capture" else "suspected duplicate")
            case "slow":
                act(later(now, seconds=SLOW_SECONDS))
                return Unknown(reason="timed out")
        return act(now)

    def look_up(self, key: str) -> Found:
        if not self._capabilities.lookup:
            return Unknown(reason="this gateway cannot be asked")
        with self._lock:
            standing = self._find(key) or self._held(key)
        if standing is None:
            return self._returned(key) or NotFound()
        if isinstance(standing, Capture):
            if (
                standing.returned_dts
                and later(standing.returned_dts, seconds=self._capabilities.lookup_lag) <= self._now()
            ):
                return Declined(code=standing.return_code, reason=standing.return_reason, returned=True)
            return self._hidden(standing.captured_dts, standing.transaction_id) or self._approved(standing)
        if standing.voided_dts is not None and standing.voided_dts <= self._now():
            return VOIDED
        return self._hidden(standing.authorised_dts, standing.transaction_id) or self._approved(standing)

    def _returned(self, key: str) -> Pending | Declined | None:
        """A debit that the bank sends back a day later."""
        with self._lock:
            row = self._db.execute("select behaviour, returned_dts from returned where key = ?", (key,)).fetchone()
        if row is None:
            return None
        if parse_instant(row[1]) > self._now():
            return Pending(transaction_id=f"sb_{key[-12:]}")
        code = RETURNS[row[0]]
        return Declined(code=code, reason=RETURN_REASONS[code])

    def _hidden(self, when: Instant, transaction_id: str) -> Pending | NotFound | None:
        """Why what takes effect at that moment does not show yet; None where it does."""
        now = self._now()
        if when > now:
            known = (when - now).total_seconds() > SLOW_SECONDS
            return Pending(transaction_id=transaction_id) if known else NotFound()
        return NotFound() if later(when, seconds=self._capabilities.lookup_lag) > now else None

    # --- giving back and letting go ----------------------------------------------------------------------------------

    def refund(self, key: str) -> Outcome:
        """Give back what is left of what was taken under the key, once."""
        return self._asked_back(key, partial(self._give_the_rest, key))

    def refund_part(self, refund: Refund) -> Outcome:
        """Give back the amount, once for its key, and never more than was captured in all."""
        return self._asked_back(refund.key, partial(self._give, refund))

    def _asked_back(self, key: str, act: Callable[[Instant], Outcome]) -> Outcome:
        if not self._capabilities.refund:
            return NotSent(reason="this gateway cannot refund")
        with self._lock, self._db:
            self._db.execute("begin immediate")
            return self._act(self._behaves_back(key), key, act)

    def _behaves_back(self, key: str) -> Behaviour:
        self._posts_back[key] += 1
        return (self._behave_back and self._behave_back(key, self._posts_back[key])) or "approve"

    def _give(self, refund: Refund, when: Instant) -> Approved | Declined:
        standing = self._refunded(refund.key)
        if standing is not None:
            asked = (refund.of, refund.amount, refund.currency_code, refund.order_id)
            same = asked == (standing.of, standing.amount, standing.currency_code, standing.order_id)
            return _back(standing) if same else KEY_REUSED
        captures = self._captures(refund.of)
        if not captures:
            return NO_CHARGE
        if captures[0].currency_code != refund.currency_code:
            return OTHER_CURRENCY
        if refund.amount <= 0:
            return NO_AMOUNT
        left = self._left(captures)
        return TOO_MUCH if refund.amount > left else self._given(refund, left, when)

    def _give_the_rest(self, key: str, when: Instant) -> Approved | Declined:
        captures = self._captures(key)
        if not captures:
            return NO_CHARGE
        left = self._left(captures)
        if left > 0:
            first = captures[0]
            number = len(self._given_of(key)) + 1
            rest = Refund(
                key=f"{key}_rest_{number}",
                of=key,
                amount=left,
                currency_code=first.currency_code,
                order_id=first.order_id,
            )
            self._given(rest, left, when)
        return self._approved(captures[0])

    def _left(self, captures: list[Capture]) -> Decimal:
        """What is left of the captures of one key. In files older than the ledger of refunds only the mark says it."""
        if all(capture.refunded_dts or capture.returned_dts for capture in captures):
            return ZERO
        given = self._given_of(captures[0].key)
        return total_of(capture.amount for capture in captures) - total_of(back.amount for back in given)

    def _given(self, refund: Refund, left: Decimal, when: Instant) -> Approved:
        back = GivenBack(
            key=refund.key,
            of=refund.of,
            amount=refund.amount,
            currency_code=refund.currency_code,
            order_id=refund.order_id,
            refunded_dts=when,
        )
        self._db.execute(
            "insert into refund values (?,?,?,?,?,?)",
            (back.key, back.of, str(back.amount), back.currency_code, back.order_id, str(when)),
        )
        if refund.amount == left:
            self._db.execute(
                "update capture set refunded_dts = ? where key = ? and refunded_dts is null", (str(when), refund.of)
            )
        return _back(back)

    def look_up_refund(self, refund: Refund) -> Found:
        if not self._capabilities.lookup:
            return Unknown(reason="this gateway cannot be asked")
        with self._lock:
            standing = self._refunded(refund.key)
        if standing is None:
            return NotFound()
        approved = _back(standing)
        return self._hidden(standing.refunded_dts, approved.transaction_id) or approved

    def void(self, key: str) -> Outcome:
        """Let go of what is held under the key. A hold that is still on its way here is not known, and stays."""
        if not self._capabilities.authorise:
            return NotSent(reason="this gateway cannot authorise")
        with self._lock, self._db:
            self._db.execute("begin immediate")
            return self._act(self._behaves_back(key), key, partial(self._let_go, key))

    def _let_go(self, key: str, when: Instant) -> Approved | Declined:
        if self._find(key) is not None:
            return IS_A_CAPTURE
        now = self._now()
        known = "key = ? and (authorised_dts <= ? or authorised_dts > ?)"
        named = (key, str(now), str(later(now, seconds=SLOW_SECONDS)))
        row = self._db.execute(f"select {HOLD_COLUMNS} from hold where {known} order by number", named).fetchone()
        if row is None:
            return NOTHING_HELD
        self._db.execute(f"update hold set voided_dts = ? where voided_dts is null and {known}", (str(when), *named))
        return self._approved(_hold(row))

    # --- what was taken ----------------------------------------------------------------------------------------------

    def captures_since(self, since: Instant, cursor: str | None = None) -> CapturePage:
        """What this account took, or the bank took back, since then, oldest first; it shows there as late as in a
        look-up."""
        shown = later(self._now(), seconds=-self._capabilities.lookup_lag)
        with self._lock:
            rows = self._db.execute(
                f"select number, {COLUMNS} from {CAPTURES}"
                " where account = ? and number > ? and (captured_dts between ? and ? or returned_dts between ? and ?)"
                " order by number limit ?",
                (self._account, int(cursor or 0), *(str(since), str(shown)) * 2, CAPTURES_PAGE + 1),
            ).fetchall()
        page = rows[:CAPTURES_PAGE]
        return CapturePage(
            captures=[_capture(row[1:], shown) for row in page],
            cursor=str(page[-1][0]) if len(rows) > CAPTURES_PAGE else None,
        )

    def hint(self, body: bytes, signature: str) -> Hint | None:
        raise Unauthorised("The sandbox sends no events.")

    # --- the oracle --------------------------------------------------------------------------------------------------

    def captures(self) -> list[Capture]:
        """Everything that was ever taken, oldest first."""
        with self._lock:
            rows = self._db.execute(f"select {COLUMNS} from {CAPTURES} order by number").fetchall()
        return [_capture(row, self._now()) for row in rows]

    def come_back(self, key: str, code: str) -> None:
        """From now on the bank has taken the capture back."""
        with self._lock, self._db:
            self._back(key, code, self._now())

    def refunds(self) -> list[GivenBack]:
        """Everything that was ever given back, oldest first."""
        with self._lock:
            rows = self._db.execute(f"select {REFUND_COLUMNS} from refund order by rowid").fetchall()
        return [_given_back(row) for row in rows]

    def holds(self) -> list[Hold]:
        """Everything that was ever authorised, oldest first."""
        with self._lock:
            rows = self._db.execute(f"select {HOLD_COLUMNS} from hold order by number").fetchall()
        return [_hold(row) for row in rows]

    def posts(self) -> int:
        """How often anybody posted a charge or an authorisation."""
        with self._lock:
            return int(self._db.execute("select coalesce(sum(posts), 0) from request").fetchone()[0])

    # --- inside ------------------------------------------------------------------------------------------------------

    def _posts(self, charge: Charge, ledger: Ledger) -> int:
        row = self._db.execute(
            "insert into request values (?, 1, ?) on conflict (key) do update set posts = posts + 1 returning posts",
            (charge.key, _body(charge, ledger)),
        ).fetchone()
        return int(row[0])

    def _same_body(self, charge: Charge, ledger: Ledger) -> bool:
        row = self._db.execute("select body from request where key = ?", (charge.key,)).fetchone()
        return row is not None and row[0] == _body(charge, ledger)

    def _card(self, reference: str) -> Behaviour:
        row = self._db.execute("select behaviour from card where reference = ?", (reference,)).fetchone()
        return row[0] if row else "approve"

    def _find(self, key: str) -> Capture | None:
        return next(iter(self._captures(key)), None)

    def _captures(self, key: str) -> list[Capture]:
        rows = self._db.execute(f"select {COLUMNS} from {CAPTURES} where key = ? order by number", (key,)).fetchall()
        return [_capture(row, self._now()) for row in rows]

    def _back(self, key: str, code: str, when: Instant) -> None:
        self._db.execute("insert or ignore into come_back values (?, ?, ?)", (key, code, str(when)))

    def _held(self, key: str) -> Hold | None:
        """The hold under the key; of several, one that was not let go of."""
        row = self._db.execute(
            f"select {HOLD_COLUMNS} from hold where key = ? order by voided_dts is not null, number", (key,)
        ).fetchone()
        return _hold(row) if row else None

    def _refunded(self, key: str) -> GivenBack | None:
        row = self._db.execute(f"select {REFUND_COLUMNS} from refund where key = ?", (key,)).fetchone()
        return _given_back(row) if row else None

    def _given_of(self, key: str) -> list[GivenBack]:
        rows = self._db.execute(f'select {REFUND_COLUMNS} from refund where "of" = ?', (key,)).fetchall()
        return [_given_back(row) for row in rows]

    def _enter(self, ledger: Ledger, charge: Charge, when: Instant) -> Approved:
        count = self._db.execute(f"select count(*) from {ledger} where key = ?", (charge.key,)).fetchone()[0]
        transaction_id = f"sb_{charge.key[-12:]}_{count + 1}"
        said = (charge.key, str(charge.amount), charge.currency_code, charge.order_id, transaction_id, str(when))
        self._db.execute(f"insert into {ledger} values (null,?,?,?,?,?,?,null,?)", (*said, self._account))
        return Approved(
            transaction_id=transaction_id,
            amount=charge.amount,
            currency_code=charge.currency_code,
            network_transaction_id=_network_transaction_id(charge.key),
        )

    def _approved(self, entry: Capture | Hold) -> Approved:
        return Approved(
            transaction_id=entry.transaction_id,
            amount=entry.amount,
            currency_code=entry.currency_code,
            network_transaction_id=_network_transaction_id(entry.key),
        )


COLUMNS = "key, amount, currency, order_id, transaction_id, captured_dts, refunded_dts, returned_dts, return_code"
HOLD_COLUMNS = "key, amount, currency, order_id, transaction_id, authorised_dts, voided_dts"
CAPTURES = "capture left join come_back using (key)"
REFUND_COLUMNS = 'key, "of", amount, currency, order_id, refunded_dts'


def _capture(row: tuple[str, str, str, str, str, str, str | None, str | None, str | None], now: Instant) -> Capture:
    """``now``: what comes back later has not come back yet."""
    back = parse_instant(row[7]) if row[7] and parse_instant(row[7]) <= now else None
    return Capture(
        key=row[0],
        amount=Decimal(row[1]),
        currency_code=row[2],
        order_id=row[3],
        transaction_id=row[4],
        captured_dts=parse_instant(row[5]),
        refunded_dts=parse_instant(row[6]) if row[6] else None,
        returned_dts=back,
        return_code=(back and row[8]) or "",
        return_reason=RETURN_REASONS.get((back and row[8]) or "", ""),
        network_transaction_id=_network_transaction_id(row[0]),
    )


def _hold(row: tuple[str, str, str, str, str, str, str | None]) -> Hold:
    return Hold(
        key=row[0],
        amount=Decimal(row[1]),
        currency_code=row[2],
        order_id=row[3],
        transaction_id=row[4],
        authorised_dts=parse_instant(row[5]),
        voided_dts=parse_instant(row[6]) if row[6] else None,
    )


def _given_back(row: tuple[str, str, str, str, str, str]) -> GivenBack:
    return GivenBack(
        key=row[0],
        of=row[1],
        amount=Decimal(row[2]),
        currency_code=row[3],
        order_id=row[4],
        refunded_dts=parse_instant(row[5]),
    )


def _back(given: GivenBack) -> Approved:
    return Approved(transaction_id=f"sb_{given.key[-12:]}", amount=given.amount, currency_code=given.currency_code)


def _network_transaction_id(key: str) -> str:
    return f"net_{key[-12:]}"


def _body(charge: Charge, ledger: Ledger) -> str:
    """A charge's as it always was: files are older than holds."""
    body = [str(charge.amount), charge.currency_code, charge.card.reference, charge.order_id]
    return json.dumps(body if ledger == "capture" else [*body, ledger])
