"""The sandbox gateway: test cards for every outcome, and a ledger file of its own that says what was really taken.

A merchant's test mode charges here, and the tests take its ledger as the oracle. It keeps no card number: what a number
would do is read off once, when the card is stored.
"""

import hmac
import json
import sqlite3
import threading
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Literal

from chalicelib.domain.captures import Capture, CapturePage, Hint
from chalicelib.domain.dates import Instant, later, parse_instant
from chalicelib.domain.errors import Unauthorised
from chalicelib.domain.payments import (
    ActionNeeded,
    Approved,
    Capabilities,
    Charge,
    Declined,
    Found,
    NotFound,
    NotSent,
    Outcome,
    Pending,
    StoredCard,
    Unknown,
)

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
DECLINES: dict[str, Declined] = {
    "decline": Declined(code="05", reason="The bank declined the charge."),
    "insufficient_funds": Declined(code="51", reason="Insufficient funds."),
    "try_again_later": Declined(code="91", reason="The bank could not be reached."),
    "lost_card": Declined(code="41", reason="The card was reported lost.", hard=True),
    "stolen_card": Declined(code="43", reason="The card was reported stolen.", hard=True),
    "closed_account": Declined(code="46", reason="The account is closed.", hard=True),
}
# A slow gateway captures this long after it was asked, when nobody listens any more.
SLOW_SECONDS = 30
# A pending payment (an e-check) is settled after this long.
PENDING_SECONDS = 24 * 3600
# One page of the list of captures.
CAPTURES_PAGE = 100
# Of gateways as they are: both, keys only, look-up only, neither.
PROFILES: dict[str, Capabilities] = {
    "full": Capabilities(idempotency_window=24 * 3600, lookup=True, refund=True),
    "keys": Capabilities(idempotency_window=24 * 3600, refund=True),
    "lookup": Capabilities(lookup=True, lookup_lag=600, refund=True),
    "neither": Capabilities(),
}
SCHEMA = """
create table if not exists card (reference text primary key, behaviour text not null);
create table if not exists request (key text primary key, posts integer not null, body text not null);
create table if not exists capture (
  number integer primary key autoincrement, key text not null, amount text not null, currency text not null,
  order_id text not null, transaction_id text not null, captured_dts text not null, refunded_dts text
);
create index if not exists capture_by_key on capture (key);
"""


class Sandbox:
    """One sandbox account. ``behave`` lets a test decide what a post does, whatever the card says."""

    def __init__(
        self,
        path: str | Path = ":memory:",
        *,
        now: Callable[[], Instant],
        code: str = "sandbox",
        capabilities: Capabilities = PROFILES["full"],
        behave: Callable[[Charge, int], Behaviour | None] | None = None,
    ) -> None:
        self._now = now
        self._code = code
        self._capabilities = capabilities
        self._behave = behave
        self._lock = threading.RLock()
        self._db = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None, timeout=10)
        self._db.execute("pragma journal_mode=wal")
        self._db.executescript(SCHEMA)

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

    # --- charging ----------------------------------------------------------------------------------------------------

    def charge(self, charge: Charge) -> Outcome:
        """Take the amount, or not, as the card (or the test) says. With keys the same key takes it once."""
        with self._lock, self._db:
            self._db.execute("begin immediate")
            posts = self._posts(charge)
            behaviour = (self._behave and self._behave(charge, posts)) or self._card(charge.card.reference)
            if self._capabilities.idempotency_window and (standing := self._find(charge.key)):
                if not self._same_body(charge):
                    return Declined(code="key_reused", reason="The key was used with another body.", hard=True)
                return self._approved(standing)
            return self._act(charge, behaviour, posts)

    def _act(self, charge: Charge, behaviour: Behaviour, posts: int) -> Outcome:
        if behaviour in DECLINES:
            return DECLINES[behaviour]
        match behaviour:
            case "not_sent":
                return NotSent(reason="the gateway refused the connection")
            case "action_needed":
                return ActionNeeded(reason="The bank wants to see the customer.", url="https://bank.example/verify")
            case "pending":
                self._take(charge, later(self._now(), seconds=PENDING_SECONDS))
                return Pending(transaction_id=f"sb_{charge.key[-12:]}")
            case "timeout_before_capture" if posts == 1:
                return Unknown(reason="timed out")
            case "timeout_after_capture" | "duplicate_answer" if posts == 1:
                self._take(charge, self._now())
                return Unknown(reason="timed out" if behaviour == "timeout_after_capture" else "suspected duplicate")
            case "slow" if posts == 1:
                self._take(charge, later(self._now(), seconds=SLOW_SECONDS))
                return Unknown(reason="timed out")
        return self._approved(self._take(charge, self._now()))

    def look_up(self, key: str) -> Found:
        if not self._capabilities.lookup:
            return Unknown(reason="this gateway cannot be asked")
        with self._lock:
            standing = self._find(key)
        now, lag = self._now(), self._capabilities.lookup_lag
        if standing is None:
            return NotFound()
        if standing.captured_dts > now:
            known = (standing.captured_dts - now).total_seconds() > SLOW_SECONDS
            return Pending(transaction_id=standing.transaction_id) if known else NotFound()
        if later(standing.captured_dts, seconds=lag) > now:
            return NotFound()
        return self._approved(standing)

    def refund(self, key: str) -> Outcome:
        """Give back what was taken under the key, once."""
        if not self._capabilities.refund:
            return NotSent(reason="this gateway cannot refund")
        with self._lock, self._db:
            standing = self._find(key)
            if standing is None:
                return Declined(code="unknown", reason="There is no such charge.")
            if standing.refunded_dts is None:
                self._db.execute("update capture set refunded_dts = ? where key = ?", (str(self._now()), key))
            return self._approved(standing)

    def captures_since(self, since: Instant, cursor: str | None = None) -> CapturePage:
        """What was taken since then, oldest first; it shows there as late as in a look-up."""
        shown = later(self._now(), seconds=-self._capabilities.lookup_lag)
        with self._lock:
            rows = self._db.execute(
                f"select number, {COLUMNS} from capture"
                " where number > ? and captured_dts >= ? and captured_dts <= ? order by number limit ?",
                (int(cursor or 0), str(since), str(shown), CAPTURES_PAGE + 1),
            ).fetchall()
        page = rows[:CAPTURES_PAGE]
        return CapturePage(
            captures=[_capture(row[1:]) for row in page],
            cursor=str(page[-1][0]) if len(rows) > CAPTURES_PAGE else None,
        )

    def hint(self, body: bytes, signature: str) -> Hint | None:
        raise Unauthorised("The sandbox sends no events.")

    # --- the oracle --------------------------------------------------------------------------------------------------

    def captures(self) -> list[Capture]:
        """Everything that was ever taken, oldest first."""
        with self._lock:
            rows = self._db.execute(f"select {COLUMNS} from capture order by number").fetchall()
        return [_capture(row) for row in rows]

    def posts(self) -> int:
        """How often anybody posted a charge."""
        with self._lock:
            return int(self._db.execute("select coalesce(sum(posts), 0) from request").fetchone()[0])

    # --- inside ------------------------------------------------------------------------------------------------------

    def _posts(self, charge: Charge) -> int:
        self._db.execute(
            "insert into request values (?, 1, ?) on conflict (key) do update set posts = posts + 1",
            (charge.key, _body(charge)),
        )
        return int(self._db.execute("select posts from request where key = ?", (charge.key,)).fetchone()[0])

    def _same_body(self, charge: Charge) -> bool:
        row = self._db.execute("select body from request where key = ?", (charge.key,)).fetchone()
        return row is not None and row[0] == _body(charge)

    def _card(self, reference: str) -> Behaviour:
        row = self._db.execute("select behaviour from card where reference = ?", (reference,)).fetchone()
        return row[0] if row else "approve"

    def _find(self, key: str) -> Capture | None:
        row = self._db.execute(f"select {COLUMNS} from capture where key = ? order by number", (key,)).fetchone()
        return _capture(row) if row else None

    def _take(self, charge: Charge, when: Instant) -> Capture:
        count = self._db.execute("select count(*) from capture where key = ?", (charge.key,)).fetchone()[0]
        transaction_id = f"sb_{charge.key[-12:]}_{count + 1}"
        self._db.execute(
            "insert into capture (key, amount, currency, order_id, transaction_id, captured_dts) values (?,?,?,?,?,?)",
            (charge.key, str(charge.amount), charge.currency_code, charge.order_id, transaction_id, str(when)),
        )
        return Capture(
            key=charge.key,
            amount=charge.amount,
            currency=charge.currency_code,
            order_id=charge.order_id,
            transaction_id=transaction_id,
            captured_dts=when,
        )

    def _approved(self, capture: Capture) -> Approved:
        return Approved(
            transaction_id=capture.transaction_id,
            amount=capture.amount,
            currency_code=capture.currency,
            network_transaction_id=_network_transaction_id(capture.key),
        )


COLUMNS = "key, amount, currency, order_id, transaction_id, captured_dts, refunded_dts"


def _capture(row: tuple[str, str, str, str, str, str, str | None]) -> Capture:
    return Capture(
        key=row[0],
        amount=Decimal(row[1]),
        currency=row[2],
        order_id=row[3],
        transaction_id=row[4],
        captured_dts=parse_instant(row[5]),
        refunded_dts=parse_instant(row[6]) if row[6] else None,
        network_transaction_id=_network_transaction_id(row[0]),
    )


def _network_transaction_id(key: str) -> str:
    return f"net_{key[-12:]}"


def _body(charge: Charge) -> str:
    return json.dumps([str(charge.amount), charge.currency_code, charge.card.reference, charge.order_id])
