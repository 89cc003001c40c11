"""Ledgers: read, think, write under the version that was read; and once more where somebody was faster.

What came due meanwhile is posted first, in the same transaction, so nobody spends what has expired. A cause that has
posted before posts nothing: its row is put with the entry, or neither is.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from chalicelib.domain import ledgers
from chalicelib.domain.errors import Contended, Invalid, Refused, Short
from chalicelib.domain.ledgers import MOST_AT_ONCE, Entry, Finding, Ledger, Pending, Posting, Step
from chalicelib.flows.ports import Change, Kept, Shop

# Tries of a change that meets faster writers: each of them got something done, so twenty losses in a row mean a crowd.
MOST_TRIES = 20
# Steps in which a ledger that nobody looked at for years catches up.
MOST_STEPS = 200

Think = Callable[[Ledger], Step]
Also = Callable[[Ledger, list[Entry]], Sequence[Change]]


class Moved(msgspec.Struct, kw_only=True, frozen=True):
    """The ledger after a change. ``new``: it was made now, not by an earlier call of the same cause."""

    ledger: Ledger
    entries: list[Entry]
    new: bool


def current(shop: Shop, ledger_id: str) -> Ledger:
    """As it stands now: what is due and not posted yet is counted in."""
    return _current(shop.ledgers.read(ledger_id).noun, shop)[0]


def with_latest(shop: Shop, ledger_id: str, most: int) -> tuple[Ledger, list[Entry]]:
    """As it stands now, and its latest entries, the oldest first."""
    kept = shop.ledgers.read(ledger_id).noun
    ledger, coming = _current(kept, shop)
    found, _ = shop.ledgers.entries(ledger_id, limit=most) if kept.seq else ([], None)
    return ledger, [*reversed(found), *coming][-most:]


def rehearse(shop: Shop, ledger_id: str, think: Think) -> Ledger:
    """What the ledger would be after a change; nothing is written. Raises what the change would raise."""
    return think(current(shop, ledger_id))[0]


def change(
    shop: Shop,
    ledger_id: str,
    think: Think,
    *,
    cause: str | None = None,
    also: Also = lambda ledger, entries: (),
    first: Sequence[Change] = (),
) -> Moved:
    """Make a change, once for its cause. ``first`` are changes whose refusal means that somebody else has done it all;
    ``also`` are written with it whatever it came to.

    Raises what ``think`` raises, and Contended where others are always faster.
    """
    guards = [*first, *([shop.ledgers.caused(ledger_id, cause)] if cause else [])]
    for _ in range(MOST_TRIES):
        kept = _caught_up(shop, ledger_id)
        if kept.noun.moved_to is not None:
            if cause and shop.ledgers.has_caused(ledger_id, cause):
                return Moved(ledger=kept.noun, entries=[], new=False)
            return change(shop, kept.noun.moved_to, think, cause=cause, also=also, first=first)
        before, due = ledgers.caught_up(kept.noun, shop.clock.now())
        try:
            after, new = think(before)
        except Invalid:
            # The same call may have come before and used up what it now lacks.
            if cause and shop.ledgers.has_caused(ledger_id, cause):
                return Moved(ledger=before, entries=[], new=False)
            raise
        changes = [*guards, *also(after, new)]
        if after != kept.noun:
            changes += shop.ledgers.moved(kept.version, after, [*due, *new])
        if not changes:
            return Moved(ledger=after, entries=[], new=False)
        try:
            shop.write(*changes)
        except Refused as refused:
            if refused.change < len(guards):
                return Moved(ledger=current(shop, ledger_id), entries=[], new=False)
            continue
        return Moved(ledger=after, entries=new, new=True)
    raise Contended("the ledger is being changed by others; try again")


def post(shop: Shop, ledger_id: str, posting: Posting, *, below_zero: bool = False) -> Moved:
    """Append one entry, once for its cause. Raises Invalid where it takes more than there is."""
    return change(
        shop,
        ledger_id,
        lambda ledger: ledgers.posted(ledger, posting, below_zero=below_zero),
        cause=posting.cause,
    )


def wait(shop: Shop, ledger_id: str, one: Pending) -> Moved:
    """Let a posting wait for its day, once for its cause."""
    return change(shop, ledger_id, lambda ledger: ledgers.waiting(ledger, one), cause=one.posting.cause)


def merge(shop: Shop, source_id: str, target_id: str, *, by: str, also: Sequence[Change] = ()) -> bool:
    """All of one ledger goes to another, once; what is still to come for it goes there too. Returns whether it was
    done now. Raises Invalid where a payment holds some of it, or the target has gone itself."""
    now = shop.clock.now()
    out = Posting(
        cause=f"merged#{target_id}",
        type="Merged",
        description="Merged into another profile",
        amount=Decimal(0),
        dts=now,
        created_dts=now,
        by=by,
    )
    into = msgspec.structs.replace(out, cause=f"merged#{source_id}", description="Merged from another profile")
    for _ in range(MOST_TRIES):
        source, target = _caught_up(shop, source_id), _caught_up(shop, target_id)
        if source.noun.moved_to == target_id:
            return False
        if source.noun.moved_to is not None or target.noun.moved_to is not None or source_id == target_id:
            raise Invalid.one("", "conflict", "one of the two has been merged into another already")
        before, source_due = ledgers.caught_up(source.noun, now)
        standing, target_due = ledgers.caught_up(target.noun, now)
        (left, gone), (after, come) = ledgers.merged(before, standing, out, into)
        try:
            shop.write(
                *shop.ledgers.moved(source.version, left, [*source_due, *gone]),
                *shop.ledgers.moved(target.version, after, [*target_due, *come]),
                *also,
            )
        except Refused:
            continue
        return True
    raise Contended("the ledger is being changed by others; try again")


# --- for payment attempts --------------------------------------------------------------------------------------------
#
# These are changes, to be written with the one that claims the attempt, or closes it: so a hold stands exactly as long
# as its attempt is open, and what allows an attempt to be closed once allows its hold to be spent once.


def holding(shop: Shop, ledger_id: str, key: str, amount: Decimal) -> list[Change]:
    """Keep so much for the payment attempt of this key. Raises Short where there is not enough."""
    kept, before, due = _standing(shop, ledger_id)
    try:
        after = ledgers.held(before, key, amount, shop.clock.now())
    except Invalid as error:
        raise Short(str(error)) from error
    return shop.ledgers.moved(kept.version, after, due)


def spending(shop: Shop, ledger_id: str, key: str, posting: Posting) -> list[Change] | None:
    """The attempt took the money: what was held is gone. ``posting`` says what it was for; its amount follows from the
    hold. None where nothing is held under the key."""
    kept, before, due = _standing(shop, ledger_id)
    if before.hold(key) is None:
        return None
    after, new = ledgers.spent(before, key, posting)
    return shop.ledgers.moved(kept.version, after, [*due, *new])


def releasing(shop: Shop, ledger_id: str, key: str) -> list[Change]:
    """The attempt is over and took nothing: what was held is free again. None where nothing is held."""
    kept, before, due = _standing(shop, ledger_id)
    if before.hold(key) is None:
        return []
    return shop.ledgers.moved(kept.version, ledgers.released(before, key), due)


def taking(shop: Shop, ledger_id: str, posting: Posting) -> tuple[Decimal, list[Change]]:
    """Take what nobody holds any more, as far as it is there: (how much that is, the changes)."""
    kept, before, due = _standing(shop, ledger_id)
    there = min(-posting.amount, before.available())
    if there <= 0:
        return Decimal(0), []
    after, new = ledgers.posted(before, msgspec.structs.replace(posting, amount=-there))
    return there, shop.ledgers.moved(kept.version, after, [*due, *new])


def adding(shop: Shop, ledger_id: str, posting: Posting) -> list[Change]:
    """Put something back, with what says that it is given back."""
    kept, before, due = _standing(shop, ledger_id)
    after, new = ledgers.posted(before, posting)
    return shop.ledgers.moved(kept.version, after, [*due, *new])


def _standing(shop: Shop, ledger_id: str) -> tuple[Kept[Ledger], Ledger, list[Entry]]:
    """The ledger as it is kept, or the one that all of it has gone to; as it stands now, and what came due."""
    kept = _caught_up(shop, ledger_id)
    while kept.noun.moved_to is not None:
        kept = _caught_up(shop, kept.noun.moved_to)
    return kept, *ledgers.caught_up(kept.noun, shop.clock.now())


# --- by itself -------------------------------------------------------------------------------------------------------


def post_due(shop: Shop, ledger_id: str) -> int:
    """Post everything that is due, by a message or the sweep; coming again is harmless. Returns how many entries."""
    before = shop.ledgers.read(ledger_id).noun.seq
    return change(shop, ledger_id, lambda ledger: (ledger, [])).ledger.seq - before


def _caught_up(shop: Shop, ledger_id: str) -> Kept[Ledger]:
    """The ledger with so little due that it fits into the transaction of a change."""
    for _ in range(MOST_STEPS):
        kept: Kept[Ledger] = shop.ledgers.read(ledger_id)
        after, entries = ledgers.caught_up(kept.noun, shop.clock.now())
        if len(entries) < MOST_AT_ONCE:
            return kept
        try:
            shop.write(*shop.ledgers.moved(kept.version, after, entries))
        except Refused:
            continue
    raise Contended("the ledger is being changed by others; try again")


def _current(ledger: Ledger, shop: Shop) -> Step:
    return ledgers.caught_up(ledger, shop.clock.now(), most=MOST_AT_ONCE * MOST_STEPS)


# --- is it all there -------------------------------------------------------------------------------------------------


def verify(shop: Shop, ledger_id: str) -> list[Finding]:
    """What is wrong with the ledger; nothing where every entry stands as it was written."""
    for _ in range(MOST_TRIES):
        before = shop.ledgers.read(ledger_id)
        texts = shop.ledgers.texts(ledger_id)
        if shop.ledgers.read(ledger_id).version == before.version:
            return ledgers.verified(before.noun, texts)
    raise Contended("the ledger is being changed by others; try again")
