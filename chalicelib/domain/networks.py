"""What the card networks and the clearing house forbid, as code: no setting goes past it.

Sources, as payment providers publish them: Visa's decline categories and its 15 attempts in 30 days for one card and
amount; Mastercard's merchant advice 03 and 21, and its 10 attempts in 24 hours and 35 in 30 days for one card; Nacha's
two re-presentments of a returned debit, and of no other return than R01 and R09.
"""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import msgspec

from chalicelib.domain.dates import Instant, instant
from chalicelib.domain.orders import OrderPayment
from chalicelib.domain.payments import Declined

# Visa's category 1: the issuer will never approve.
VISA_NEVER_AGAIN = frozenset({"04", "07", "12", "14", "15", "41", "43", "46", "57", "R0", "R1", "R3"})
# Mastercard's advice: do not try again; the customer stopped it.
MASTERCARD_NEVER_AGAIN = frozenset({"03", "21"})
# Returns of a debit that may be presented again: insufficient and uncollected funds.
RETURNS_WORTH_ANOTHER = frozenset({"R01", "R09"})
# Presentations of one debit: the first and two more.
PRESENTATIONS = 3
# From its first presentation on: after it a debit is never presented again.
REPRESENTED_DAYS = 180
# (attempts, in the last so many hours, of the same amount only) for each network that has ceilings.
CEILINGS: dict[str, tuple[tuple[int, int, bool], ...]] = {
    "VISA": ((15, 30 * 24, True),),
    "MasterCard": ((10, 24, False), (35, 30 * 24, False)),
}
# The longest that any ceiling looks back, and the most declines that matter to any.
REMEMBERED_DAYS = 30
MOST_DECLINES = 35


class CardDecline(msgspec.Struct, kw_only=True, frozen=True):
    """One attempt that a card's bank declined."""

    dts: Instant
    amount: Decimal


def never_again(payment: OrderPayment | None, declined: Declined) -> bool:
    """Whether the bank, the network or the clearing house forbids to try the card or account again, whatever is set."""
    if declined.hard:
        return True
    if payment is not None and payment.payment_method == "eCheck":
        return declined.code.startswith("R") and declined.code not in RETURNS_WORTH_ANOTHER
    card_type = payment.card_type() if payment else None
    if card_type == "VISA":
        return declined.code in VISA_NEVER_AGAIN
    return card_type == "MasterCard" and declined.advice in MASTERCARD_NEVER_AGAIN


def was_last(payment: OrderPayment | None, attempts: int) -> bool:
    """Whether a debit was presented as often as it may be; ``attempts`` are those so far. Cards know no such number."""
    return payment is not None and payment.payment_method == "eCheck" and attempts >= PRESENTATIONS


def worth_another(code: str, presentations: int) -> bool:
    """Whether a debit that came back with this code may be presented again; ``presentations`` are those so far."""
    return code in RETURNS_WORTH_ANOTHER and presentations < PRESENTATIONS


def why_not_presented(presentations: int, first: Instant | None, now: Instant) -> str | None:
    """Why a debit may not be presented again, though its last return did not forbid it."""
    if presentations >= PRESENTATIONS:
        return f"The debit was presented {presentations} times, and may not be any more."
    if first is not None and now - first > timedelta(days=REPRESENTED_DAYS):
        return f"The debit was presented first more than {REPRESENTED_DAYS} days ago, and may not be any more."
    return None


def allowed_from(
    card_type: str | None, amount: Decimal, declines: Sequence[CardDecline], now: Instant
) -> Instant | None:
    """From when the card may be tried again where a ceiling is reached; None: now."""
    latest: Instant | None = None
    for most, hours, same_amount in CEILINGS.get(card_type or "", ()):
        since = now - timedelta(hours=hours)
        counted = sorted(one.dts for one in declines if one.dts > since and (not same_amount or one.amount == amount))
        if len(counted) >= most:
            free = instant(counted[len(counted) - most] + timedelta(hours=hours))
            latest = max(latest, free) if latest else free
    return latest
