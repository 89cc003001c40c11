"""An auto order that is established on an order which had none: without items, to be given some."""

from msgspec.structs import replace

from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.heads import Head, State
from chalicelib.domain.orders import Order

# The contract's: an older card is not trusted to be charged again without the customer.
YOUNGER_THAN_DAYS = 60
AT = "/reference_order_id"


def established(order: Order, now: Instant, oid: int, code: str) -> tuple[AutoOrder, Head, Order]:
    """Document, head, and the order that knows its auto order. Raises Invalid with all that stands against it."""
    problems = _problems(order, now)
    if problems:
        raise Invalid(problems)
    document = AutoOrder(
        auto_order_oid=oid,
        auto_order_code=code,
        merchant_id=order.merchant_id,
        original_order_id=order.order_id,
        items=[],
        customer_profile_oid=order.customer_profile_oid,
    )
    return document, Head(status="active", state=State()), replace(order, auto_order_oid=oid)


def _problems(order: Order, now: Instant) -> list[Problem]:
    found: list[Problem] = []

    def against(code: str, message: str) -> None:
        found.append(Problem(pointer=AT, code=code, message=message))

    if order.run is not None:
        against("is_rebill", f"is a rebill of auto order {order.auto_order_oid}: name a regular order")
    elif order.auto_order_oid is not None:
        against("duplicate", f"has the auto order {order.auto_order_oid} already: update that one")
    payment = order.payment
    if payment is None or payment.payment_status != "Processed":
        against("not_paid", "must be paid for: payment_status 'Processed'")
    if payment is None or payment.credit_card is None or payment.credit_card.stored_card is None:
        against("no_card", "must have been paid by a credit card that can be charged again")
    placed = order.creation_dts
    if placed is None or (now - placed).total_seconds() >= YOUNGER_THAN_DAYS * 24 * 3600:
        against("too_old", f"must be less than {YOUNGER_THAN_DAYS} days old")
    return found
