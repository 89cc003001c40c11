"""The charge protocol: claim, send, settle, resolve. One for all money; what differs stands in a ``Work``.

An unknown outcome is never a decline. Whoever learns an outcome may record it; conditions make it once. Safety lies in
the open attempt, the fence, the owner and the key; the lease only saves work.
"""

import logging
from typing import Protocol

from msgspec.structs import replace

from chalicelib.domain.dates import Instant, later
from chalicelib.domain.errors import Contended, Refused
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
    FrozenPlan,
    Kind,
    NotFound,
    NotSent,
    Outcome,
    Pending,
    StoredCard,
    Unknown,
    attempt_key,
    look_again_seconds,
)
from chalicelib.flows.ports import Change, Shop

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

Known = Approved | Declined | ActionNeeded | NotSent


class Work(Protocol):
    """One thing that may be charged: an auto order's run, or an unpaid order."""

    kind: Kind
    head: Head

    def refresh(self) -> None:
        """Read everything again, consistently."""

    def subject(self) -> str: ...
    def order_id(self, run: int) -> str: ...
    def fits(self) -> bool:
        """Whether the status still allows that money is sent for."""

    def moved(self, before: Head, after: Head) -> Change: ...
    def settled(self, attempt: Attempt, outcome: Known | None, now: Instant) -> list[Change]:
        """All changes that record the outcome, the head first. None: nothing was charged."""

    def late(self, attempt: Attempt, approved: Approved, now: Instant) -> list[Change] | None:
        """The changes that give a capture its order though its attempt was closed; None where its run is paid for
        or another attempt for it is open."""

    def refunded(self, attempt: Attempt, reason: str, now: Instant) -> list[Change]:
        """The changes that record that a second capture of a paid run was given back, or could not be."""

    def reviewed(self, before: Head, after: Head, now: Instant) -> list[Change]:
        """The changes that announce a payment that nobody but a person can decide on."""


def charge(shop: Shop, work: Work, plan: FrozenPlan, card: StoredCard | None, *, first: bool) -> Outcome | None:
    """Claim, send, settle. Returns the outcome, or None where somebody else was faster.

    A plan that costs nothing is settled without a gateway.
    """
    if shop.time_left() < GATEWAY_TIMEOUT_SECONDS + SETTLE_SECONDS:
        raise Contended("too little time is left for a gateway call")
    attempt = _claim(shop, work, plan, card)
    if attempt is None:
        return None
    if card is None:
        approved = Approved(transaction_id="", amount=plan.total, currency_code=plan.currency)
        record(shop, work, attempt, approved)
        return approved
    outcome = _send(shop, work, attempt, first=first)
    if outcome is not None:
        record(shop, work, attempt, outcome)
    return outcome


def _claim(shop: Shop, work: Work, plan: FrozenPlan, card: StoredCard | None) -> Attempt | None:
    now, head = shop.clock.now(), work.head
    tries = head.tries + 1
    gateway = card.gateway if card else ""
    attempt = Attempt(
        kind=work.kind,
        key=attempt_key(shop.merchant_id, work.subject(), head.run, head.round, tries, gateway),
        owner=shop.word(),
        gateway=gateway,
        run=head.run,
        round=head.round,
        tries=tries,
        revision=head.revision,
        claimed_dts=now,
        first_sent_dts=now,
        card=card,
        plan=plan,
    )
    after = claimed(head, attempt, now)
    return attempt if _moved(shop, work, after, attempt.owner) else None


def _moved(shop: Shop, work: Work, after: Head, owner: str) -> bool:
    """Write the head with a permission to send. A refusal is first asked: was that me? (an answer may get lost)"""
    try:
        shop.write(work.moved(work.head, after))
    except Refused:
        work.refresh()
        return work.head.attempt is not None and work.head.attempt.owner == owner
    work.head = after
    return True


def _send(shop: Shop, work: Work, attempt: Attempt, *, first: bool) -> Outcome | None:
    """Ask the gateway. None: the permission to send was lost, or there is too little time; nothing was sent."""
    if not may_send(attempt, shop.clock.now()):
        again = _authorised_again(shop, work)
        if again is None:
            return None
        attempt = again
    if shop.time_left() < GATEWAY_TIMEOUT_SECONDS + SETTLE_SECONDS:
        return NotSent(reason="too little time was left to send")
    if attempt.card is None:
        return None
    outcome = shop.gateway(attempt.gateway).charge(
        Charge(
            key=attempt.key,
            amount=attempt.plan.total,
            currency_code=attempt.plan.currency,
            card=attempt.card,
            order_id=work.order_id(attempt.run),
            first=first,
        )
    )
    return _checked(outcome, attempt)


def _checked(outcome: Outcome, attempt: Attempt) -> Outcome:
    """A capture of another amount than was asked is not an approval: a person decides."""
    if isinstance(outcome, Approved) and outcome.amount != attempt.plan.total:
        log.error("gateway took another amount", extra={"key": attempt.key})
        return Unknown(reason=f"the gateway says it took {outcome.amount}, asked were {attempt.plan.total}")
    return outcome


def _authorised_again(shop: Shop, work: Work) -> Attempt | None:
    """A fresh, conditional permission to send the open attempt; None where anything has moved since it was read."""
    if work.head.attempt is None or not work.fits() or work.head.revision != work.head.attempt.revision:
        return None
    owner = shop.word()
    if not _moved(shop, work, reauthorised(work.head, owner, shop.clock.now()), owner):
        return None
    return work.head.attempt


# --- recording -------------------------------------------------------------------------------------------------------


def record(shop: Shop, work: Work, attempt: Attempt, outcome: Outcome) -> None:
    """Write down what became of the attempt: by whom it was learnt does not matter."""
    if isinstance(outcome, Unknown | Pending):
        _look_again(shop, work, attempt, pending=isinstance(outcome, Pending))
        return
    _record(shop, work, attempt, outcome)


def _record(shop: Shop, work: Work, attempt: Attempt, outcome: Known | None) -> None:
    for _ in range(MOST_TRIES):
        stands = work.head.attempt
        if stands is None or stands.key != attempt.key:
            if isinstance(outcome, Approved):
                _late_capture(shop, work, attempt, outcome)
            return
        if isinstance(outcome, NotSent) and stands.owner != attempt.owner:
            return  # true of this send only: somebody else was given permission since, and may have sent
        try:
            shop.write(*work.settled(stands, outcome, shop.clock.now()))
        except Refused:
            work.refresh()
            continue
        return
    raise Contended(f"the outcome of {attempt.key} could not be recorded in {MOST_TRIES} tries")


def _late_capture(shop: Shop, work: Work, attempt: Attempt, approved: Approved) -> None:
    """An approval for an attempt that is closed. A run that is not paid gets its order; a second capture of a paid
    run is given back and announced."""
    for _ in range(MOST_TRIES):
        standing = shop.orders.find(work.order_id(attempt.run))
        if standing is not None and standing.noun.charge_key == attempt.key:
            return
        changes = work.late(attempt, approved, shop.clock.now())
        if changes is None:
            break
        try:
            shop.write(*changes)
        except Refused:
            work.refresh()
            continue
        log.warning("late capture got its order", extra={"key": attempt.key})
        return
    back = shop.gateway(attempt.gateway).refund(attempt.key)
    reason = "given back" if isinstance(back, Approved) else f"could not be given back yet: {back}"
    log.error("second capture of a paid run", extra={"key": attempt.key, "refund": reason})
    shop.write(*work.refunded(attempt, reason, shop.clock.now()))


def _look_again(
    shop: Shop, work: Work, attempt: Attempt, *, pending: bool = False, missing: int = 0, seconds: int | None = None
) -> None:
    """Leave the attempt open and look at it later. ``due_dts`` stays set as long as an attempt is open."""
    for _ in range(MOST_TRIES):
        stands = work.head.attempt
        if stands is None or stands.key != attempt.key:
            return
        now = shop.clock.now()
        again = later(now, seconds=look_again_seconds(stands.looks) if seconds is None else seconds)
        waiting = replace(
            stands, looks=stands.looks + 1, pending=pending or stands.pending, missing=missing, look_dts=again
        )
        after = replace(work.head, attempt=waiting, lease_until=None, due_dts=again)
        try:
            shop.write(work.moved(work.head, after))
        except Refused:
            work.refresh()
            continue
        work.head = after
        return
    raise Contended(f"{attempt.key} could not be set to be looked at again")


# --- resolving -------------------------------------------------------------------------------------------------------


def resolve(shop: Shop, work: Work) -> None:
    """Find out what became of an open attempt: ask the gateway by key, and only then decide."""
    attempt, now = work.head.attempt, shop.clock.now()
    if attempt is None or work.head.leased(now) or (attempt.look_dts is not None and now < attempt.look_dts):
        return
    if attempt.card is None:
        _record(shop, work, attempt, _nothing_to_pay(attempt))
        return
    gateway = shop.gateway(attempt.gateway)
    can = gateway.capabilities
    found = gateway.look_up(attempt.key) if can.lookup else NotFound()
    if isinstance(found, Approved):
        found = _checked_found(found, attempt)
    if isinstance(found, Approved | Declined | ActionNeeded):
        _record(shop, work, attempt, found)
    elif isinstance(found, Unknown | Pending):
        _look_again(shop, work, attempt, pending=isinstance(found, Pending))
    elif _may_post_again(work, attempt, can, now):
        _post_again(shop, work, attempt)
    elif not can.lookup:
        _review(shop, work, attempt, now)
    else:
        _wait_or_close(shop, work, attempt, can, now)


def _nothing_to_pay(attempt: Attempt) -> Approved:
    return Approved(transaction_id="", amount=attempt.plan.total, currency_code=attempt.plan.currency)


def _checked_found(found: Approved, attempt: Attempt) -> Approved | Unknown:
    checked = _checked(found, attempt)
    return checked if isinstance(checked, Approved) else Unknown(reason="another amount")


def _may_post_again(work: Work, attempt: Attempt, can: Capabilities, now: Instant) -> bool:
    """The same key again: only inside the gateway's own window, and only while nobody has changed anything."""
    if attempt.pending or attempt.review_dts is not None:
        return False
    age = (now - attempt.first_sent_dts).total_seconds()
    in_window = age < can.idempotency_window - min(WINDOW_MARGIN_SECONDS, can.idempotency_window // 4)
    return in_window and work.fits() and work.head.revision == attempt.revision


def _post_again(shop: Shop, work: Work, attempt: Attempt) -> None:
    again = _authorised_again(shop, work)
    if again is None:
        return
    outcome = _send(shop, work, again, first=again.kind == "purchase")
    if outcome is None:
        return
    if isinstance(outcome, NotSent):
        # This post did not go out; the first one may have.
        outcome = Unknown(reason=outcome.reason)
    record(shop, work, attempt, outcome)


def _review(shop: Shop, work: Work, attempt: Attempt, now: Instant) -> None:
    """There is nothing to ask and nothing that may be repeated: shown and announced, never charged again by itself."""
    if attempt.review_dts is not None:
        _look_again(shop, work, attempt)
        return
    again = later(now, seconds=look_again_seconds(attempt.looks))
    reviewed = replace(attempt, review_dts=now, looks=attempt.looks + 1, look_dts=again)
    after = replace(work.head, attempt=reviewed, lease_until=None, due_dts=again)
    try:
        shop.write(*work.reviewed(work.head, after, now))
    except Refused:
        work.refresh()
        return
    work.head = after


def _wait_or_close(shop: Shop, work: Work, attempt: Attempt, can: Capabilities, now: Instant) -> None:
    """The gateway does not know the key. Wait until a capture would surely show, ask twice, then believe it."""
    quarantine = QUARANTINE_SECONDS + can.lookup_lag
    age = int((now - attempt.claimed_dts).total_seconds())
    if age < quarantine:
        _look_again(shop, work, attempt, seconds=quarantine - age)
    elif attempt.missing + 1 < LOOKS_THAT_FIND_NOTHING:
        _look_again(shop, work, attempt, missing=attempt.missing + 1, seconds=SECOND_LOOK_SECONDS)
    else:
        _record(shop, work, attempt, None)
