"""The charge protocol: claim, send, settle, resolve. One for all money, in and out; what differs stands in a ``Work``.

An unknown outcome is never a decline. Whoever learns an outcome may record it; conditions make it once. Safety lies in
the open attempt, the fence, the owner and the key; the lease only saves work.
"""

import logging
from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

import msgspec
from msgspec.structs import replace

from chalicelib.domain.dates import Instant, later
from chalicelib.domain.errors import Contended, Refused, Short
from chalicelib.domain.heads import Head, claimed, may_send, reauthorised
from chalicelib.domain.payments import (
    GATEWAY_TIMEOUT_SECONDS,
    QUARANTINE_SECONDS,
    ActionNeeded,
    Approved,
    Attempt,
    Capabilities,
    Charge,
    Declined,
    Found,
    FrozenPlan,
    Kind,
    NotFound,
    NotSent,
    Outcome,
    Pending,
    Refund,
    StoredCard,
    Unknown,
    attempt_key,
    look_again_seconds,
)
from chalicelib.flows import balances
from chalicelib.flows.ports import Change, Payments, Shop

log = logging.getLogger(__name__)

# Conditions refuse a settling at most once for each writer that was faster; more than this is a loop.
MOST_TRIES = 8
# The key window is left this long before its end: the clock of the gateway is not ours.
WINDOW_MARGIN_SECONDS = 3600
# After the quarantine a look-up must find nothing twice, this far apart, before "not charged" is believed.
SECOND_LOOK_SECONDS = 600
LOOKS_THAT_FIND_NOTHING = 2
# Time that a function keeps for settling after the gateway's answer.
SETTLE_SECONDS = 10
# A permission to send may grow old while it is asked for; who needs more than this many is too slow to send at all.
MOST_PERMISSIONS = 3
# A refund is by key and given once, so it may be asked for again at once.
REFUND_TRIES = 3
# Tries of a forgotten time that surely were not sent have used up numbers too: so many of them are looked past.
LOOKED_PAST = 2
TO_BE_GIVEN_BACK = "to be given back"
CANNOT_BE_FOUND_OUT = "A payment's outcome cannot be found out; please decide."

# The customer is there and asks for it; all other charges are the merchant's.
CUSTOMER_INITIATED: frozenset[Kind] = frozenset({"purchase", "auth_future", "auth_test"})
AUTHORISATIONS: frozenset[Kind] = frozenset({"auth_future", "auth_test"})

Known = Approved | Declined | ActionNeeded | NotSent


class Asked(msgspec.Struct, kw_only=True, frozen=True):
    """What is to be claimed: which kind of money, for which plan, at which gateway account.

    ``card`` None with a ``gateway`` is money that goes back (no card is asked for); without one it costs nothing.
    """

    kind: Kind
    plan: FrozenPlan
    gateway: str = ""
    card: StoredCard | None = None
    amount: Decimal | None = None
    of: str = ""


class Work(Protocol):
    """One thing that money moves for: an auto order's run, an unpaid order, a paid order's refund."""

    head: Head

    def refresh(self) -> None:
        """Read everything again, consistently."""

    def subject(self) -> str: ...
    def order_id(self, run: int) -> str: ...
    def paid_order(self, attempt: Attempt) -> str:
        """The id of the order that the attempt pays for; another one than before where ``refused`` avoids its id."""

    def fits(self, kind: Kind) -> bool:
        """Whether the status still allows that money of that kind moves."""

    def moved(self, before: Head, after: Head) -> Change: ...
    def writable(self, attempt: Attempt, now: Instant) -> None:
        """Raises Invalid where what an approval makes (an order, mostly) could not be kept."""

    def settled(self, attempt: Attempt, outcome: Known | None, now: Instant) -> list[Change]:
        """All changes that record the outcome, the head first. None: nothing was charged."""

    def refused(self, refusal: Refused) -> bool:
        """The changes of ``settled`` or ``late`` were refused; what follows is thought out anew. True where what stood
        in the way is now avoided."""

    def paid_by(self, attempt: Attempt) -> bool:
        """Whether what the attempt has moved is recorded already."""

    def late(self, attempt: Attempt, approved: Approved, now: Instant, *, missing: str) -> list[Change] | None:
        """The changes that give a capture its order though its attempt was closed; None where its run is paid for,
        another attempt for it is open, or somebody is giving it back (that is read later than the head). ``missing``:
        what the merchant is told of balances that can pay no more."""

    def refunded(self, attempt: Attempt, reason: str, now: Instant, *, telling: str) -> list[Change]:
        """The changes that record what becomes of a second capture of a paid run, and tell the merchant so."""

    def reviewed(self, before: Head, after: Head, message: str, now: Instant) -> list[Change]:
        """The changes that announce a payment that nobody but a person can decide on."""


def charge(shop: Shop, work: Work, asked: Asked) -> Outcome | None:
    """Claim, send, settle. Returns the outcome, or None where somebody else was faster.

    A plan of which nothing is left to be charged is settled without a gateway. Raises Contended where too little time
    is left, Short where a balance is not what the plan counted on, Invalid where the order could not be kept; nothing
    is claimed then.
    """
    if not has_time(shop):
        raise Contended("too little time is left for a gateway call")
    before = _remembered(shop, work, asked) if shop.asks_first and asked.gateway else None
    attempt = _claim(shop, work, asked, before.tries if before else work.head.tries + 1)
    if attempt is None:
        return None
    if attempt.is_free():
        return record(shop, work, attempt, _nothing_to_pay(attempt))
    if before is not None:
        return _taken_over(shop, work, attempt, before)
    sent, outcome = _send(shop, work, attempt)
    return record(shop, work, sent, outcome) if outcome is not None else None


def has_time(shop: Shop) -> bool:
    """Whether enough of the function's time is left to ask a gateway and to write down its answer."""
    return shop.time_left() >= GATEWAY_TIMEOUT_SECONDS + SETTLE_SECONDS


def _claim(shop: Shop, work: Work, asked: Asked, tries: int) -> Attempt | None:
    now = shop.clock.now()
    attempt = _attempt(shop, work, asked, tries, now)
    work.writable(attempt, now)
    if _opened(shop, work, claimed(work.head, attempt, now), attempt):
        return attempt
    # Claimed, and changed before anybody could send: it is closed where it is ours.
    _record(shop, work, attempt, NotSent(reason="it was changed at this moment"))
    return None


def _opened(shop: Shop, work: Work, after: Head, attempt: Attempt) -> bool:
    """Write the claim, with all that the plan spends of balances in the same transaction. Where only a balance has
    moved, it is looked at once more whether there still is enough of it."""
    for _ in range(MOST_TRIES):
        try:
            return _moved(shop, work, after, attempt, balances.holding(shop, attempt))
        except _BalanceMoved:
            continue
    raise Short(f"the balances of {attempt.key} are being spent by others")


class _BalanceMoved(Exception):
    """The head would have let the attempt claim; what its plan spends has moved."""


def _attempt(shop: Shop, work: Work, asked: Asked, tries: int, now: Instant) -> Attempt:
    head = work.head
    return Attempt(
        kind=asked.kind,
        key=attempt_key(shop.merchant_id, work.subject(), head.run, head.round, tries, asked.gateway),
        owner=shop.word(),
        gateway=asked.gateway,
        run=head.run,
        round=head.round,
        tries=tries,
        revision=head.revision,
        claimed_dts=now,
        first_sent_dts=now,
        card=asked.card,
        plan=asked.plan,
        amount=asked.amount,
        of=asked.of,
    )


def _moved(shop: Shop, work: Work, after: Head, attempt: Attempt, holds: Sequence[Change] = ()) -> bool:
    """Write the head with a permission to send. A refusal is first asked: was that me? (an answer may get lost)
    What was changed since is not sent, whoever wrote the permission."""
    try:
        shop.write(work.moved(work.head, after), *holds)
    except Refused as refusal:
        if refusal.change > 0:
            raise _BalanceMoved from refusal  # the head comes first, so it has not moved
        work.refresh()
        return _is_mine(work, attempt) and _is_unchanged(work)
    work.head = after
    return True


def _is_mine(work: Work, attempt: Attempt) -> bool:
    stands = work.head.attempt
    return stands is not None and (stands.key, stands.owner) == (attempt.key, attempt.owner)


def _is_unchanged(work: Work) -> bool:
    """Whether the open attempt may still be sent: status and revision are those that it was claimed under."""
    stands = work.head.attempt
    return stands is not None and work.fits(stands.kind) and work.head.revision == stands.revision


def _send(shop: Shop, work: Work, attempt: Attempt) -> tuple[Attempt, Outcome | None]:
    """Ask the gateway. Returns the attempt as it was last permitted to be sent, and the answer; None where somebody
    else was given permission, or has closed it."""
    for _ in range(MOST_PERMISSIONS):
        if may_send(attempt, shop.clock.now()):
            break
        again = _authorised_again(shop, work)
        if again is None:
            return attempt, NotSent(reason="it was changed at this moment") if _is_mine(work, attempt) else None
        attempt = again
    else:
        return attempt, NotSent(reason="the permission to send grew old again and again")
    if not has_time(shop):
        return attempt, NotSent(reason="too little time was left to send")
    return attempt, _asked(shop.gateway(attempt.gateway), attempt, work.order_id(attempt.run))


def _asked(gateway: Payments, attempt: Attempt, order_id: str) -> Outcome:
    """The one place where money is moved."""
    if attempt.kind == "refund":
        return gateway.refund_part(_refund(attempt, order_id))
    if attempt.kind == "void":
        return gateway.void(attempt.of)
    if attempt.card is None:
        return NotSent(reason="there is no card to ask for")
    wanted = Charge(
        key=attempt.key,
        amount=attempt.asked(),
        currency_code=attempt.plan.currency,
        card=attempt.card,
        order_id=order_id,
        first=attempt.kind in CUSTOMER_INITIATED,
    )
    return gateway.authorise(wanted) if attempt.kind in AUTHORISATIONS else gateway.charge(wanted)


def _refund(attempt: Attempt, order_id: str) -> Refund:
    return Refund(
        key=attempt.key,
        of=attempt.of,
        amount=attempt.asked(),
        currency_code=attempt.plan.currency,
        order_id=order_id,
    )


def _authorised_again(shop: Shop, work: Work) -> Attempt | None:
    """A fresh, conditional permission to send the open attempt; None where anything has moved since it was read."""
    if not _is_unchanged(work):
        return None
    after = reauthorised(work.head, shop.word(), shop.clock.now())
    if after.attempt is None or not _moved(shop, work, after, after.attempt):
        return None
    return work.head.attempt


# --- after tables were restored ---------------------------------------------------------------------------------------


class Remembered(msgspec.Struct, kw_only=True, frozen=True):
    """What a gateway account says of an attempt that the tables do not know (any more)."""

    gateway: str
    tries: int
    found: Known | Pending


def _remembered(shop: Shop, work: Work, asked: Asked) -> Remembered | None:
    """Tables that went back in time have forgotten attempts, but run, round and try make the same keys again: so each
    account is asked for them, before anything is claimed. None: nobody knows of one.

    Raises Contended where it cannot be known at this moment; nothing may be sent then.
    """
    for code in sorted(shop.payments, key=lambda code: code != asked.gateway):
        for tries in range(work.head.tries + 1, work.head.tries + 2 + LOOKED_PAST):
            found = _looked_back(shop, work, replace(asked, gateway=code), tries)
            if code == asked.gateway and found is not None:
                return Remembered(gateway=code, tries=tries, found=found)
            if isinstance(found, Approved | Pending):
                return Remembered(gateway=code, tries=work.head.tries + 1, found=found)
    if not has_time(shop):
        raise Contended("too little time is left for a gateway call")
    return None


def _looked_back(shop: Shop, work: Work, asked: Asked, tries: int) -> Known | Pending | None:
    gateway = shop.payments.get(asked.gateway)
    if gateway is None or not gateway.capabilities.lookup or not has_time(shop):
        raise Contended(f"tables were restored, and {asked.gateway} cannot be asked what it has charged since")
    found = _looked_up(gateway, _attempt(shop, work, asked, tries, shop.clock.now()), work.order_id(work.head.run))
    if isinstance(found, Unknown):
        raise Contended(f"tables were restored, and {asked.gateway} does not say what it has charged since")
    return None if isinstance(found, NotFound) else found


def _taken_over(shop: Shop, work: Work, attempt: Attempt, before: Remembered) -> Outcome:
    """What the attempt's own account knows is recorded; what another one took is for a person."""
    if before.gateway == attempt.gateway:
        return record(shop, work, attempt, before.found)
    told = f"Tables were restored, and the gateway {before.gateway} has charged this already; please decide."
    _review(shop, work, attempt, told)
    return Unknown(reason=told)


# --- recording -------------------------------------------------------------------------------------------------------


def record(shop: Shop, work: Work, attempt: Attempt, outcome: Outcome) -> Outcome:
    """Write down what became of the attempt: by whom it was learnt does not matter. Returns what it counts as."""
    if isinstance(outcome, Approved) and not _is_as_asked(outcome, attempt):
        _review(shop, work, attempt, f"The gateway took {outcome.amount} {outcome.currency_code}; please decide.")
        return Unknown(reason="the gateway took another amount than was asked")
    if isinstance(outcome, Unknown | Pending):
        _look_again(shop, work, attempt, pending=isinstance(outcome, Pending))
    else:
        return _record(shop, work, attempt, outcome) or NotSent(reason="it was changed at this moment")
    return outcome


def _is_as_asked(approved: Approved, attempt: Attempt) -> bool:
    """A capture of another amount than was asked is not an approval: a person decides. A void is about no amount."""
    same_currency = approved.currency_code.upper() == attempt.plan.currency.upper()
    return attempt.kind == "void" or (approved.amount == attempt.asked() and same_currency)


def _record(shop: Shop, work: Work, attempt: Attempt, outcome: Known | None) -> Known | None:
    """Returns what was recorded."""
    for _ in range(MOST_TRIES):
        stands = work.head.attempt
        if stands is None or stands.key != attempt.key:
            if isinstance(outcome, Approved):
                _late_capture(shop, work, attempt, outcome)
            return outcome
        if stands.is_free() and isinstance(outcome, Approved) and not _is_unchanged(work):
            outcome = None  # nobody was asked: what was changed or canceled meanwhile does not happen
        if (outcome is None or isinstance(outcome, NotSent)) and stands.owner != attempt.owner:
            return outcome  # true of what was known then: somebody else was given permission since, and may have sent
        try:
            now = shop.clock.now()
            changes, paid = work.settled(stands, outcome, now), isinstance(outcome, Approved)
            shop.write(*changes, *balances.closing(shop, stands, work.paid_order(stands), now, paid=paid))
        except (Refused, Contended) as error:
            _think_again(work, error)
            continue
        return outcome
    raise Contended(f"the outcome of {attempt.key} could not be recorded in {MOST_TRIES} tries")


def _think_again(work: Work, error: Refused | Contended) -> None:
    work.refresh()
    if isinstance(error, Refused):
        work.refused(error)


def _late_capture(shop: Shop, work: Work, attempt: Attempt, approved: Approved) -> None:
    """An approval for an attempt that is closed. A run that is not paid gets its order; a second capture of a paid
    run is announced and given back."""
    work.refresh()
    for _ in range(MOST_TRIES):
        if attempt.is_free() or work.paid_by(attempt):
            return
        now = shop.clock.now()
        try:
            left = balances.late(shop, attempt, work.paid_order(attempt), now)
            paying = replace(attempt, plan=left.plan, amount=attempt.asked())
            changes = work.late(paying, approved, now, missing=left.missing)
            shop.write(*(_giving_back(work, attempt, now) if changes is None else [*changes, *left.changes]))
        except (Refused, Contended) as error:
            _think_again(work, error)
            continue
        if changes is None:
            _give_back(shop, work, attempt)
        else:
            log.warning("late capture got its order", extra={"key": attempt.key})
        return
    raise Contended(f"the late capture of {attempt.key} could not be recorded in {MOST_TRIES} tries")


def _giving_back(work: Work, attempt: Attempt, now: Instant) -> list[Change]:
    """Written down first: whoever dies while it is given back leaves a word of it. The head moves with it: of two who
    hear of one capture, one would give it back and the other, a moment later, give it its order."""
    telling = "A run that is paid for was captured once more. The second capture is being given back; please check."
    fenced = replace(work.head, fence=work.head.fence + 1)
    return [work.moved(work.head, fenced), *work.refunded(attempt, TO_BE_GIVEN_BACK, now, telling=telling)]


def _give_back(shop: Shop, work: Work, attempt: Attempt) -> None:
    gateway = shop.payments.get(attempt.gateway)
    back: Outcome = NotSent(reason="there is no such gateway")
    for _ in range(REFUND_TRIES if gateway else 0):
        if gateway is not None:
            back = gateway.void(attempt.key) if attempt.kind in AUTHORISATIONS else gateway.refund(attempt.key)
        if not isinstance(back, Unknown):
            break
    done = isinstance(back, Approved)
    reason = "given back" if done else f"could not be given back: {getattr(back, 'reason', back)}"
    log.error("second capture of a paid run", extra={"key": attempt.key, "refund": reason})
    telling = "" if done else f"A second capture of a paid run {reason}. Please give it back at the gateway."
    shop.write(*work.refunded(attempt, reason, shop.clock.now(), telling=telling))


def _look_again(
    shop: Shop, work: Work, attempt: Attempt, *, pending: bool = False, missing: int = 0, seconds: int | None = None
) -> None:
    """Leave the attempt open and look at it later. ``due_dts`` stays set as long as an attempt is open."""
    for _ in range(MOST_TRIES):
        stands = work.head.attempt
        if stands is None or stands.key != attempt.key or (stands.owner != attempt.owner and not pending):
            return
        now = shop.clock.now()
        again = later(now, seconds=look_again_seconds(stands.looks) if seconds is None else seconds)
        waiting = replace(
            stands, looks=stands.looks + 1, pending=pending or stands.pending, missing=missing, look_dts=again
        )
        after = replace(work.head, attempt=waiting, lease_until=None, due_dts=again)
        try:
            shop.write(work.moved(work.head, after))
        except (Refused, Contended):
            work.refresh()
            continue
        work.head = after
        return
    raise Contended(f"{attempt.key} could not be set to be looked at again")


def _review(shop: Shop, work: Work, attempt: Attempt, message: str) -> None:
    """There is nothing to ask and nothing that may be repeated: shown and announced, never charged again by itself."""
    for _ in range(MOST_TRIES):
        stands = work.head.attempt
        if stands is None or stands.key != attempt.key:
            log.error("nothing stands open to be reviewed", extra={"key": attempt.key})
            return
        if stands.review_dts is not None:
            _look_again(shop, work, stands)
            return
        now = shop.clock.now()
        again = later(now, seconds=look_again_seconds(stands.looks))
        reviewed = replace(stands, review_dts=now, looks=stands.looks + 1, look_dts=again)
        after = replace(work.head, attempt=reviewed, lease_until=None, due_dts=again)
        try:
            shop.write(*work.reviewed(work.head, after, message, now))
        except (Refused, Contended):
            work.refresh()
            continue
        work.head = after
        return
    raise Contended(f"{attempt.key} could not be set to be reviewed")


# --- resolving -------------------------------------------------------------------------------------------------------


def resolve(shop: Shop, work: Work) -> None:
    """Find out what became of an open attempt: ask the gateway by key, and only then decide."""
    attempt, now = work.head.attempt, shop.clock.now()
    if attempt is None or work.head.leased(now) or (attempt.look_dts is not None and now < attempt.look_dts):
        return
    if attempt.is_free():
        # Nothing was sent, and nothing needs to be.
        _record(shop, work, attempt, _nothing_to_pay(attempt))
        return
    gateway = shop.payments.get(attempt.gateway)
    if gateway is None:
        _review(shop, work, attempt, f"There is no gateway {attempt.gateway} to ask about a payment; please decide.")
        return
    if attempt.kind == "void":
        # To let go twice is to let go once.
        _post_again(shop, work, attempt)
        return
    can = gateway.capabilities
    found = _looked_up(gateway, attempt, work.order_id(attempt.run)) if can.lookup else NotFound()
    if not isinstance(found, NotFound):
        record(shop, work, attempt, found)
    elif attempt.review_dts is not None:
        _look_again(shop, work, attempt)
    elif _may_post_again(work, attempt, can, now):
        _post_again(shop, work, attempt)
    elif not can.lookup:
        _review(shop, work, attempt, CANNOT_BE_FOUND_OUT)
    else:
        _wait_or_close(shop, work, attempt, can, now)


def _looked_up(gateway: Payments, attempt: Attempt, order_id: str) -> Found:
    if attempt.kind == "refund":
        return gateway.look_up_refund(_refund(attempt, order_id))
    return gateway.look_up(attempt.key)


def _nothing_to_pay(attempt: Attempt) -> Approved:
    return Approved(transaction_id="", amount=attempt.asked(), currency_code=attempt.plan.currency)


def _may_post_again(work: Work, attempt: Attempt, can: Capabilities, now: Instant) -> bool:
    """The same key again: only inside the gateway's own window, and only while nobody has changed anything."""
    if attempt.pending or attempt.review_dts is not None:
        return False
    age = (now - attempt.first_sent_dts).total_seconds()
    in_window = age < can.idempotency_window - min(WINDOW_MARGIN_SECONDS, can.idempotency_window // 4)
    return in_window and _is_unchanged(work)


def _post_again(shop: Shop, work: Work, attempt: Attempt) -> None:
    again = _authorised_again(shop, work)
    if again is None:
        return
    sent, outcome = _send(shop, work, again)
    if isinstance(outcome, NotSent):
        # This post did not go out; the first one may have.
        outcome = Unknown(reason=outcome.reason)
    if outcome is not None:
        record(shop, work, sent, outcome)


def _wait_or_close(shop: Shop, work: Work, attempt: Attempt, can: Capabilities, now: Instant) -> None:
    """The gateway does not know the key. Wait until a capture would surely show, ask twice, then believe it; but what
    the gateway once called pending did reach it, and a person decides where it is gone."""
    quarantine = QUARANTINE_SECONDS + can.lookup_lag
    age = int((now - attempt.claimed_dts).total_seconds())
    if age < quarantine:
        _look_again(shop, work, attempt, seconds=quarantine - age)
    elif attempt.missing + 1 < LOOKS_THAT_FIND_NOTHING:
        _look_again(shop, work, attempt, missing=attempt.missing + 1, seconds=SECOND_LOOK_SECONDS)
    elif attempt.pending:
        _review(shop, work, attempt, "The gateway does not know a pending payment any more; please decide.")
    else:
        _record(shop, work, attempt, None)
