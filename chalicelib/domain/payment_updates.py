"""Another card for an auto order: what a request may say, what it makes of the head, and what is kept of it so that the
same request sent twice charges once.
"""

from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Month, Text100, Year
from chalicelib.domain.heads import Head
from chalicelib.domain.orders import Order, OrderPayment, OrderPaymentCreditCard
from chalicelib.domain.payments import CardType
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.wire import Noun

# Card numbers have 12 to 19 digits; no token of ours is digits alone.
FEWEST_DIGITS = 12


class AutoOrderPaymentUpdateRequest(Noun):
    """The card comes as a token of its number; the token says brand and date itself."""

    attempt_rebill: bool | None = None
    card_expiration_month: Month | None = None
    card_expiration_year: Year | None = None
    card_number_token: Text100 | None = None
    card_type: CardType | None = None
    card_verification_number_token: Text100 | None = None


# How setting another card by a link ended: paid, declined, nobody knows yet, set with nothing due, or set and not
# charged at this moment.
CardOutcome = Literal["approved", "declined", "not_known_yet", "saved", "not_charged"]


class Billing(msgspec.Struct, kw_only=True):
    """What the holder of a link sees: the card that is charged, and what is charged to a new one at once.
    ``takes_card`` is False where no gateway account of the shop takes numbers, ``ended`` where nothing
    will be charged any more; ``due`` None: what became of a charge is not known."""

    code: str
    items: list[tuple[str, str]]
    due: Decimal | None
    takes_card: bool
    ended: bool
    card: str | None = None
    expires: str | None = None


class PaymentUpdate(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One replaced card, kept under its token: the run and its tries as they stood then. The charge that follows is the
    try after; so whoever comes with the same token again can be told what became of it. Until ``until`` it is charged
    where nobody has begun to."""

    dts: Instant
    until: Instant
    run: int
    tries: int


def requested(raw: Any) -> AutoOrderPaymentUpdateRequest:
    """Raises Invalid with all problems. Numbers of cards and their verification numbers are never taken."""
    request = wire.noun(raw, AutoOrderPaymentUpdateRequest)
    problems = []
    digits = "".join(c for c in request.card_number_token or "" if c not in " -")
    if not digits:
        message = "is required: a token of POST /storefront/card_tokens"
        problems.append(Problem(pointer="/card_number_token", code="required", message=message))
    elif digits.isdecimal() and len(digits) >= FEWEST_DIGITS:
        message = "must be a token of POST /storefront/card_tokens; card numbers are refused here"
        problems.append(Problem(pointer="/card_number_token", code="raw_card_number", message=message))
    if request.card_verification_number_token is not None:
        message = "is never taken: no charge here needs a verification number; leave it out"
        problems.append(Problem(pointer="/card_verification_number_token", code="not_available", message=message))
    if problems:
        raise Invalid(problems)
    return request


def refuse_card(
    request: AutoOrderPaymentUpdateRequest, card: OrderPaymentCreditCard, head: Head, settings: AutoOrderProcessing
) -> None:
    """Raises Invalid for a card that could not be charged, and for a date that is not the token's."""
    problems = []
    for name in ("card_expiration_month", "card_expiration_year"):
        said, is_ = getattr(request, name), getattr(card, name)
        if said is not None and said != is_:
            message = f"the token was made for {is_}: leave it out, or make another token"
            problems.append(Problem(pointer=f"/{name}", code="conflict", message=message))
    if card.card_type and settings.restricts(card.card_type):
        message = f"{card.card_type} is not accepted for auto orders"
        problems.append(Problem(pointer="/card_number_token", code="card_type_restricted", message=message))
    fingerprint = card.stored_card.fingerprint if card.stored_card else None
    if fingerprint is not None and head.state.refused_card == fingerprint:
        message = "the bank refused this card for good; another is needed"
        problems.append(Problem(pointer="/card_number_token", code="card_refused", message=message))
    if problems:
        raise Invalid(problems)


def with_card(order: Order, card: OrderPaymentCreditCard) -> Order:
    """The original order with another card: what its rebills are charged to."""
    payment = replace(order.payment or OrderPayment(), credit_card=card, echeck=None, payment_method="Credit Card")
    return replace(order, payment=payment)


def with_new_card(head: Head) -> Head:
    """The head after its card was replaced: what the bank said of the old one is forgotten, and what declines had
    disabled is active again, its attempts counted anew, its cancel item forgiven. A retry that has a date keeps it."""
    state = replace(head.state, refused_card=None, tried=[])
    if head.status != "disabled" or not state.failed:
        return replace(head, state=state)
    state = replace(state, failed=False, next_attempt=None, failure_reason=None, disabled_dts=None, cancel_item=None)
    return replace(head, status="active", round=0, state=state)
