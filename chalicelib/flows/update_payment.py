"""Another card for an auto order: the card of its original order is replaced, and that of its orders in Accounts
Receivable; the open run and those orders are charged to it at once where that is asked. One card token does all of it
at most once."""

from typing import Any

from msgspec.structs import replace

from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.dates import later
from chalicelib.domain.errors import Invalid, Problem, Refused
from chalicelib.domain.heads import Head
from chalicelib.domain.orders import Order, OrderPayment, OrderPaymentCreditCard
from chalicelib.domain.payment_updates import (
    AutoOrderPaymentUpdateRequest,
    PaymentUpdate,
    refuse_card,
    requested,
    with_card,
    with_new_card,
)
from chalicelib.domain.payments import Approved, ClosedAttempt, Declined
from chalicelib.domain.rebills import rebill_order_id
from chalicelib.domain.rotating import MAXIMUM_GATEWAYS
from chalicelib.domain.timeline import SYSTEM
from chalicelib.flows import edit, place_order, purchase
from chalicelib.flows.ports import Shop
from chalicelib.flows.rebill import BEING_BILLED, BILLED_LATELY, NOT_KNOWN_YET, Rebilled, billed_lately, rebill
from chalicelib.flows.tell import told_now

POINTER = "/card_number_token"
# An order that is written by others as often as this is left to the next request.
MOST_TRIES = 5
TOO_LATE = "the time in which this token may be charged is over; nothing was charged"


def update_payment(shop: Shop, oid: int, raw: Any, *, actor: str = SYSTEM) -> Rebilled:
    """Replace the card and, with ``attempt_rebill``, charge what is due to it. The same token again replaces nothing
    and charges nothing more: it is answered what became of the first time.

    Raises NotFound, and Invalid with all problems.
    """
    request = requested(raw)
    token = request.card_number_token or ""
    event_id = edit.change(shop, oid, lambda stands: _replaced(shop, stands, request, token, actor))
    billed = Rebilled()
    update = shop.auto_orders.payment_update(oid, token)
    if request.attempt_rebill and update is not None:
        billed = _charged(shop, oid, update)
    billed = _receivables(shop, oid, billed, charge_them=bool(request.attempt_rebill))
    told_now(shop, event_id)
    return billed


def _receivables(shop: Shop, oid: int, billed: Rebilled, *, charge_them: bool) -> Rebilled:
    """The same card for what waits in Accounts Receivable, one order after the other: each is its own run's claim, so
    paying it bills no item again. What this card was declined for once is not tried again by the same request."""
    document, head = shop.auto_orders.read(oid)
    names = head.state.receivables
    original = shop.orders.get(document.noun.original_order_id or "").noun if names else None
    card = original.payment.credit_card if original and original.payment else None
    for order_id in names:
        if card is None or not _takes_card(shop, order_id, card) or not charge_them:
            continue
        outcome = purchase.pay(shop, order_id, again=False)
        if isinstance(outcome, Approved) and not billed.success:
            billed = Rebilled(attempted=True, success=True, order_id=order_id)
        elif isinstance(outcome, Declined) and not billed.attempted:
            billed = Rebilled(attempted=True, failure_reason=outcome.reason)
    return billed


def _takes_card(shop: Shop, order_id: str, card: OrderPaymentCreditCard) -> bool:
    """Whether the unpaid order has the card now; not while what became of another charge for it is unknown."""
    for _ in range(MOST_TRIES):
        order, head = shop.orders.read(order_id)
        if head is None or head.status != "unpaid" or head.attempt is not None:
            return False
        has = order.noun.payment.credit_card if order.noun.payment else None
        if has is not None and has.stored_card == card.stored_card:
            return True
        state = replace(head.state, refused_card=None, tried=[])
        after = replace(head, state=state, round=0, revision=head.revision + 1)
        try:
            shop.write(
                shop.orders.moved(order_id, head, after),
                shop.orders.edited(with_card(order.noun, card), order.version),
            )
        except Refused:
            continue
        return True
    return False


def _replaced(
    shop: Shop, stands: edit.Standing, request: AutoOrderPaymentUpdateRequest, token: str, actor: str
) -> edit.Thought | None:
    """None where this token has replaced the card before."""
    if shop.auto_orders.payment_update(stands.oid, token) is not None:
        return None
    edit.refuse_merged(stands)
    card = _card(shop, token)
    facts = stands.facts
    refuse_card(request, card, facts.head, facts.settings)
    update = PaymentUpdate(
        dts=stands.now,
        until=later(stands.now, seconds=place_order.CARD_TOKEN_SECONDS),
        run=facts.head.run,
        tries=facts.head.tries,
    )
    return edit.composed(
        shop,
        stands,
        head=with_new_card(facts.head),
        order=with_card(stands.original.noun, card),
        actor=actor,
        kind="payment",
        more=[shop.auto_orders.payment_updated(stands.oid, token, update)],
    )


def _card(shop: Shop, token: str) -> OrderPaymentCreditCard:
    """Raises Invalid for a token that stands for no card, or for one that nobody here could charge."""
    asked = OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=token))
    try:
        payment = place_order.with_card(shop, asked)
    except Invalid as invalid:
        raise Invalid([replace(problem, pointer=POINTER) for problem in invalid.problems]) from None
    card = payment.credit_card if payment else None
    if card is None or card.stored_card is None:
        raise Invalid([Problem(pointer=POINTER, code="unknown", message="is not a card token")])
    if card.stored_card.gateway not in shop.payments:
        message = f"there is no payment gateway {card.stored_card.gateway} any more"
        raise Invalid([Problem(pointer=POINTER, code="not_available", message=message)])
    return card


def _charged(shop: Shop, oid: int, update: PaymentUpdate) -> Rebilled:
    """What became of the charge after this update; where nobody has begun one, it is made now."""
    document, head = shop.auto_orders.read(oid)
    became = _became(shop, document.noun, head, update)
    if became is not None:
        return became
    now = shop.clock.now()
    if now >= update.until:
        return Rebilled(failure_reason=TOO_LATE)
    if billed_lately(head, now):
        return Rebilled(failure_reason=BILLED_LATELY)
    billed = rebill(shop, oid, by_hand=True, only_at=(update.run, update.tries))
    if billed.failure_reason != BEING_BILLED:
        return billed
    # Somebody else, the sweep or the same request, was at it first: theirs is the charge that follows the card.
    document, head = shop.auto_orders.read(oid)
    return _became(shop, document.noun, head, update) or billed


def _became(shop: Shop, document: AutoOrder, head: Head, update: PaymentUpdate) -> Rebilled | None:
    """None where nothing was tried since."""
    if (head.run, head.tries) == (update.run, update.tries):
        return None
    if head.run > update.run and (order := _order_of_run(shop, document, head, update)):
        return _of_order(order)
    row = _last_try(shop, document.auto_order_oid or 0, update)
    if head.run == update.run and head.attempt is not None and (row is None or head.round == row.attempt.round):
        return Rebilled(attempted=True, failure_reason=NOT_KNOWN_YET)
    if row is not None:
        return Rebilled(attempted=row.outcome != "not_sent", failure_reason=row.reason)
    if head.run > update.run:
        return Rebilled(failure_reason="nothing was due any more")
    # A payment rule forbade it: a round is used up and nothing was sent.
    return Rebilled(attempted=True, failure_reason=head.state.failure_reason or "nothing was charged")


def _order_of_run(shop: Shop, document: AutoOrder, head: Head, update: PaymentUpdate) -> Order | None:
    """The order of the run that was open then. Where somebody has taken its id, the run has the next that was free."""
    for run in range(update.run, head.run):
        found = shop.orders.find(rebill_order_id(document.original_order_id or "", run))
        if found is None or found.noun.auto_order_oid == document.auto_order_oid:
            return found.noun if found else None
    return None


def _last_try(shop: Shop, oid: int, update: PaymentUpdate) -> ClosedAttempt | None:
    """What became of the try that followed, where it made no order; of those that other gateway accounts were asked in
    the same round, the last one."""
    last: ClosedAttempt | None = None
    for tries in range(update.tries + 1, update.tries + 1 + MAXIMUM_GATEWAYS):
        row = shop.auto_orders.attempt(oid, update.run, tries)
        if row is None or (last is not None and row.attempt.round != last.attempt.round):
            break
        last = row
    return last


def _of_order(order: Order) -> Rebilled:
    """Paid, or handed to Accounts Receivable because a payment rule forbade the charge."""
    payment = order.payment or OrderPayment()
    if payment.payment_status == "Processed":
        return Rebilled(attempted=True, success=True, order_id=order.order_id)
    details = [detail for one in payment.transactions or [] for detail in one.details or [] if detail.name == "Reason"]
    return Rebilled(attempted=True, failure_reason=details[0].value if details else "it was not paid")
