"""The ledger: what was added to a balance and taken from it, entry by entry, none of them ever changed.

One ledger is one customer's points or one gift certificate's money. Its **entries** are the past: numbered, each with
the balance after it and the hash of the entry before, so that a changed, missing or moved one is found. Its **head** is
what stands now: the balance, the **lots** that it consists of (by the day on which they expire), the **holds** on it,
and what is **pending** (vesting, or scheduled for a day).

    balance = sum of the entries = lots + holds - debt

What expires first is spent first, so with one period for all it is first in, first out. A debt comes only from taking
back what a refunded order had earned, when it is spent already; what comes in next pays it off.

Amounts are Decimals: whole points, or money in the merchant's currency. Everything here is a value: an act gives the
ledger after it and the entries to append.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Literal

import msgspec
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.fields import LARGEST_OID
from chalicelib.domain.money import ZERO, total_of

# The head is written with every entry, so it stays small: 25 KB with all of these. Lots past the bound become one with
# the next, which expires later; a customer never loses by it.
MOST_LOTS = 200
MOST_PENDING = 100
MOST_HOLDS = 40
# Entries of one transaction (a transaction has 100 changes): a ledger that slept for years catches up in several.
MOST_AT_ONCE = 25

Type = Literal[
    "Earned", "Signup", "Refund", "Redeemed", "Used", "Expired", "Withdrawn", "Merged", "Credit", "Debit", "Adjustment"
]


class Lot(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """So much of the balance that expires at this moment; never where it has none."""

    left: Decimal
    expires: Instant | None = None


class Posting(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """What is to be posted. ``cause`` is why: each posts once. ``amount`` is signed; ``expires`` is of what it adds."""

    cause: str
    type: Type
    description: str
    amount: Decimal
    dts: Instant
    created_dts: Instant
    expires: Instant | None = None
    order_id: str | None = None
    reward: str | None = None
    by: str | None = None
    notes: str | None = None


class Pending(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """A posting that waits for its day, which is ``posting.dts``: vesting, or scheduled by a person."""

    state: Literal["Vesting", "Scheduled"]
    posting: Posting


class Hold(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """So much is kept for the payment attempt of this key: out of the lots, still in the balance."""

    key: str
    parts: list[Lot]
    held_dts: Instant

    @property
    def amount(self) -> Decimal:
        return total_of(part.left for part in self.parts)


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """One line of the past. ``before`` is the hash of the entry before it, of the ledger's own name for the first."""

    ledger_id: str
    seq: int
    before: str
    balance: Decimal
    posting: Posting

    def oid(self) -> int:
        return oid_of(self.ledger_id, self.posting.cause)


class Ledger(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """The head. ``credited`` is all that was ever added, ``hash`` that of the last entry. ``moved_to``: all of it went
    to another ledger, and so does what is still to come."""

    ledger_id: str
    seq: int = 0
    hash: str = ""
    balance: Decimal = ZERO
    credited: Decimal = ZERO
    lots: list[Lot] = []
    holds: list[Hold] = []
    pending: list[Pending] = []
    moved_to: str | None = None

    def available(self) -> Decimal:
        """What can be spent now."""
        return total_of(lot.left for lot in self.lots)

    def held(self) -> Decimal:
        return total_of(hold.amount for hold in self.holds)

    def debt(self) -> Decimal:
        return self.available() + self.held() - self.balance

    def coming(self) -> Decimal:
        """What is pending, all together."""
        return total_of(one.posting.amount for one in self.pending)

    def due(self) -> Instant | None:
        """When something happens by itself next."""
        moments = [one.posting.dts for one in self.pending] + [lot.expires for lot in self.lots if lot.expires]
        return min(moments, default=None)

    def hold(self, key: str) -> Hold | None:
        return next((hold for hold in self.holds if hold.key == key), None)

    def waiting(self, cause: str) -> Pending | None:
        return next((one for one in self.pending if one.posting.cause == cause), None)


Step = tuple[Ledger, list[Entry]]


def oid_of(ledger_id: str, cause: str) -> int:
    """The number by which an entry, or what is pending, is known outside: the same for the same cause."""
    return int(sha256(f"{ledger_id}\x1f{cause}".encode()).hexdigest()[:12], 16) % LARGEST_OID + 1


# --- what happens by itself ------------------------------------------------------------------------------------------


def caught_up(ledger: Ledger, now: Instant, most: int = MOST_AT_ONCE) -> Step:
    """The ledger after what came due by now, in the order of the days; ``most`` entries at a time."""
    entries: list[Entry] = []
    while len(entries) < most:
        due = ledger.due()
        if due is None or due > now:
            break
        ledger, entry = _next(ledger, due, now)
        entries.append(entry)
    return ledger, entries


def _next(ledger: Ledger, due: Instant, now: Instant) -> tuple[Ledger, Entry]:
    """What vests on a day may still pay for what expires on it, so pending comes first."""
    for one in ledger.pending:
        if one.posting.dts == due:
            rest = [other for other in ledger.pending if other is not one]
            posting = replace(one.posting, created_dts=now)
            if posting.amount < 0:
                # Scheduled by a person: it takes what there is on its day, never more.
                posting = replace(posting, amount=-min(-posting.amount, ledger.available()))
            return _posted(replace(ledger, pending=rest), posting)
    lot = next(lot for lot in ledger.lots if lot.expires == due)
    cause = f"expired#{due}#{ledger.seq + 1}"
    expiry = Posting(
        cause=cause, type="Expired", description="Expired", amount=-lot.left, dts=due, created_dts=now, expires=due
    )
    return _posted(ledger, expiry, own=True)


# --- what somebody does ----------------------------------------------------------------------------------------------


def posted(ledger: Ledger, posting: Posting, *, below_zero: bool = False) -> Step:
    """The ledger with one more entry. Raises Invalid where it takes more than is available, unless ``below_zero``."""
    if posting.amount < 0 and not below_zero and -posting.amount > ledger.available():
        raise not_enough(ledger, -posting.amount)
    after, entry = _posted(ledger, posting)
    return after, [entry]


def waiting(ledger: Ledger, one: Pending) -> Step:
    """The ledger with something more that waits for its day. Raises Invalid where too much waits already."""
    if len(ledger.pending) >= MOST_PENDING:
        raise Invalid.one("", "too_many", f"{MOST_PENDING} entries wait already; withdraw some, or come back later")
    pending = sorted([*ledger.pending, one], key=lambda other: other.posting.dts)
    return replace(ledger, pending=pending), []


def withdrawn(ledger: Ledger, cause: str, posting: Posting) -> Step:
    """What waits is not posted after all; an entry of nothing says who took it away. Raises Invalid where nothing of
    that cause waits (it was posted, or withdrawn before)."""
    if ledger.waiting(cause) is None:
        raise Invalid.one("", "not_pending", "nothing of that kind waits any more: it was posted or withdrawn")
    rest = [one for one in ledger.pending if one.posting.cause != cause]
    return posted(replace(ledger, pending=rest), replace(posting, amount=ZERO))


def taken_back(ledger: Ledger, earned: str, posting: Posting) -> Step:
    """Some of what one cause earned is taken away again, whatever has become of it: what is pending shrinks, then the
    lot of its day, then the others; what is spent already becomes a debt."""
    one, missing = ledger.waiting(earned), -posting.amount
    if one is not None:
        left = one.posting.amount - missing
        shrunk = [replace(one, posting=replace(one.posting, amount=left))] if left > 0 else []
        at = ledger.pending.index(one)
        return replace(ledger, pending=[*ledger.pending[:at], *shrunk, *ledger.pending[at + 1 :]]), []
    ledger, entry = _posted(ledger, posting, own=True)
    return ledger, [entry]


def held(ledger: Ledger, key: str, amount: Decimal, now: Instant) -> Ledger:
    """So much is kept for the key. The same key again changes nothing. Raises Invalid where there is not enough."""
    standing = ledger.hold(key)
    if standing is not None:
        if standing.amount != amount:
            raise Invalid.one("", "conflict", f"{standing.amount} is held under that key already, not {amount}")
        return ledger
    if amount <= 0:
        raise Invalid.one("", "out_of_range", "what is held must be more than nothing")
    if amount > ledger.available():
        raise not_enough(ledger, amount)
    if len(ledger.holds) >= MOST_HOLDS:
        raise Invalid.one("", "too_many", f"{MOST_HOLDS} payments hold this balance at once; wait until one is done")
    lots, parts = _without(ledger.lots, amount)
    return replace(ledger, lots=lots, holds=[*ledger.holds, Hold(key=key, parts=parts, held_dts=now)])


def released(ledger: Ledger, key: str) -> Ledger:
    """What was held is free again; what expired meanwhile expires now. Nothing is held: nothing changes."""
    hold = ledger.hold(key)
    if hold is None:
        return ledger
    rest = [other for other in ledger.holds if other is not hold]
    lots, debt = ledger.lots, ledger.debt()
    for part in hold.parts:
        lots = _with(lots, part.left - min(part.left, debt), part.expires)
        debt -= min(part.left, debt)
    return replace(ledger, holds=rest, lots=lots)


def spent(ledger: Ledger, key: str, posting: Posting) -> Step:
    """What was held is gone. Raises Invalid where nothing is held under the key."""
    hold = ledger.hold(key)
    if hold is None:
        raise Invalid.one("", "not_held", "nothing is held under that key")
    rest = [other for other in ledger.holds if other is not hold]
    ledger, entry = _appended(replace(ledger, holds=rest), replace(posting, amount=-hold.amount))
    return ledger, [entry]


def merged(source: Ledger, target: Ledger, out: Posting, into: Posting) -> tuple[Step, Step]:
    """All of one ledger goes to another: its lots with their days, its debt, what is pending. Raises Invalid where a
    payment still holds some of it."""
    if source.holds:
        raise Invalid.one("", "held", "a payment holds some of this balance; try again when it is done")
    amount, debt = source.balance, source.debt() + target.debt()
    left, entry = _appended(replace(source, lots=[], pending=[]), replace(out, amount=-amount))
    lots = target.lots
    for lot in source.lots:
        lots = _with(lots, lot.left, lot.expires)
    lots, _ = _without(lots, min(debt, total_of(lot.left for lot in lots)))
    pending = sorted([*target.pending, *source.pending], key=lambda one: one.posting.dts)
    after, added = _appended(replace(target, lots=lots, pending=pending), replace(into, amount=amount))
    after = replace(after, credited=target.credited + source.credited)
    return (replace(left, moved_to=target.ledger_id), [entry]), (after, [added])


def not_enough(ledger: Ledger, wanted: Decimal) -> Invalid:
    return Invalid.one("", "not_enough", f"{wanted:f} is more than the {ledger.available():f} that are available")


# --- inside ----------------------------------------------------------------------------------------------------------


def _posted(ledger: Ledger, posting: Posting, *, own: bool = False) -> tuple[Ledger, Entry]:
    """``own``: what is taken is of the posting's own day first."""
    amount = posting.amount
    if amount > 0:
        lots = _with(ledger.lots, amount - min(amount, ledger.debt()), posting.expires)
    else:
        first = (posting.expires,) if own else ()
        lots, _ = _without(ledger.lots, min(-amount, ledger.available()), first)
    return _appended(replace(ledger, lots=lots), posting)


def _appended(ledger: Ledger, posting: Posting) -> tuple[Ledger, Entry]:
    entry = Entry(
        ledger_id=ledger.ledger_id,
        seq=ledger.seq + 1,
        before=ledger.hash or beginning(ledger.ledger_id),
        balance=ledger.balance + posting.amount,
        posting=posting,
    )
    after = replace(
        ledger,
        seq=entry.seq,
        hash=hash_of(wire.kept(entry)),
        balance=entry.balance,
        credited=ledger.credited + max(posting.amount, ZERO),
    )
    return after, entry


def _with(lots: list[Lot], amount: Decimal, expires: Instant | None) -> list[Lot]:
    """The lots with so much more; what a debt took of it is none of theirs."""
    if not amount:
        return lots
    left = {lot.expires: lot.left for lot in lots}
    left[expires] = left.get(expires, ZERO) + amount
    lots = _in_order(Lot(left=amount, expires=day) for day, amount in left.items())
    while len(lots) > MOST_LOTS:
        first, second, *others = lots
        lots = [replace(second, left=first.left + second.left), *others]
    return lots


def _without(lots: Sequence[Lot], amount: Decimal, first: Sequence[Instant | None] = ()) -> tuple[list[Lot], list[Lot]]:
    """(the lots that stay, the parts that were taken): what expires ``first``, then in the order of the days."""
    order = sorted(lots, key=lambda lot: lot.expires not in first)
    kept: list[Lot] = []
    parts: list[Lot] = []
    for lot in order:
        part = min(lot.left, amount)
        amount -= part
        if part:
            parts.append(Lot(left=part, expires=lot.expires))
        if lot.left > part:
            kept.append(Lot(left=lot.left - part, expires=lot.expires))
    return _in_order(kept), parts


def _in_order(lots: Iterable[Lot]) -> list[Lot]:
    return sorted(lots, key=lambda lot: (lot.expires is None, str(lot.expires)))


# --- is it all there -------------------------------------------------------------------------------------------------


class Finding(msgspec.Struct, kw_only=True, frozen=True):
    """Something is wrong with the entry of this number; 0 is the head."""

    seq: int
    message: str


def beginning(ledger_id: str) -> str:
    """What the first entry follows: so an entry of another ledger fits nowhere."""
    return hash_of(ledger_id)


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def verified(ledger: Ledger, texts: Sequence[str]) -> list[Finding]:
    """What is wrong with a ledger, given the kept texts of its entries in the order of their keys; nothing where every
    entry is there as it was written."""
    findings: list[Finding] = []
    before, balance = beginning(ledger.ledger_id), ZERO
    for number, text in enumerate(texts, start=1):
        try:
            entry = wire.load(text, Entry)
        except (msgspec.DecodeError, ValueError) as error:
            findings.append(Finding(seq=number, message=f"cannot be read: {error}"))
            before = hash_of(text)
            continue
        balance += entry.posting.amount
        if entry.ledger_id != ledger.ledger_id:
            findings.append(Finding(seq=number, message=f"belongs to the ledger {entry.ledger_id}"))
        if entry.seq != number:
            findings.append(Finding(seq=number, message=f"is the entry {entry.seq}"))
        if entry.before != before:
            findings.append(Finding(seq=number, message="does not follow the entry before it as that one stands"))
        if entry.balance != balance:
            findings.append(
                Finding(seq=number, message=f"says {entry.balance:f}, but the entries add up to {balance:f}")
            )
            balance = entry.balance
        before = hash_of(text)
    if ledger.seq != len(texts):
        findings.append(Finding(seq=0, message=f"there are {len(texts)} entries of {ledger.seq}"))
    if (ledger.hash or beginning(ledger.ledger_id)) != before:
        findings.append(Finding(seq=0, message="the last entry is not the one that was written last"))
    if ledger.balance != balance:
        findings.append(Finding(seq=0, message=f"the balance is {ledger.balance:f}, the entries say {balance:f}"))
    if ledger.debt() < 0 or (ledger.debt() > 0 and ledger.lots):
        findings.append(Finding(seq=0, message="lots, holds and debt do not make up the balance"))
    return findings
