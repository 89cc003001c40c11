"""Refunds: what is to have been given back of an order when all is done.

Every figure is a TOTAL, as the contract has it: what the refund operation gives back is the difference to what was
given back before. So the same request sent twice gives back once.
"""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Oid, OrderId, Text50, Text100
from chalicelib.domain.money import ZERO, Currency, quantise, total_of
from chalicelib.domain.orders import (
    Order,
    OrderCurrentStageHistory,
    OrderInternal,
    OrderItem,
    OrderPayment,
    OrderSummary,
)
from chalicelib.domain.wire import Noun

# (what was given back, what it is a part of): no part gives back more than was paid for it.
PARTS = (
    ("subtotal_refunded", "subtotal"),
    ("subtotal_discount_refunded", "subtotal_discount"),
    ("shipping_handling_refunded", "shipping_handling_total"),
    ("tax_refunded", "tax"),
)


class RefundedLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A line of the order, by its index from 1."""

    item_index: int
    quantity: Decimal = ZERO
    total: Decimal = ZERO
    refund_reason: Text50 | None = None
    return_reason: Text50 | None = None


class Refunded(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The order's refunded totals as they are to be. ``other`` is what belongs to no part. Of ``total`` so much goes to
    the ``gift_certificate`` and to the ``store_credit`` that it came from; the rest is money.
    ``because`` is the order whose refund asked for this one."""

    total: Decimal
    subtotal_refunded: Decimal = ZERO
    subtotal_discount_refunded: Decimal = ZERO
    shipping_handling_refunded: Decimal = ZERO
    tax_refunded: Decimal = ZERO
    other: Decimal = ZERO
    gift_certificate: Decimal = ZERO
    store_credit: Decimal = ZERO
    lines: list[RefundedLine] = []
    refund_reason: Text50 | None = None
    by_user: Text100 | None = None
    reject: bool = False
    because: str | None = None

    def money(self) -> Decimal:
        return self.total - self.gift_certificate - self.store_credit


class OtherRefund(Noun):
    """The order of another auto order of the customer's that would go back as well, and so much of it."""

    amount: Currency | None = None
    auto_order_oid: Oid | None = None
    order_id: OrderId | None = None


class RefundPreview(Noun):
    """What a refund would come to. ``order`` has its figures as the refund takes them. ``to_refund`` is what would be
    given back by it now: as ``money``, to the ``gift_certificate`` and to the ``store_credit`` that it came from.
    ``why_not``: nothing can be; ``why_manual``: it must be given back elsewhere and is only written down here."""

    gift_certificate: Currency | None = None
    money: Currency | None = None
    order: Order | None = None
    other_auto_orders: list[OtherRefund] | None = None
    paid: Currency | None = None
    refunded: Currency | None = None
    store_credit: Currency | None = None
    to_refund: Currency | None = None
    why_manual: str | None = None
    why_not: str | None = None


def given_back(order: Order) -> Decimal:
    """What was given back of the order so far."""
    return (order.summary.total_refunded if order.summary else None) or ZERO


def money_given_back(order: Order) -> Decimal:
    """What of that was money."""
    return given_back(order) - order.certificate_refunded() - order.store_credit_refunded()


def why_not_refundable(order: Order) -> str | None:
    """Why nothing can be given back of the order; None where something can."""
    paid = order.payment is not None and order.payment.payment_status in ("Processed", "Refunded")
    if not paid:
        return "Payment has not been processed on this order.  No refund can be issued."
    if order.paid() <= 0:
        return "The order cost nothing.  No refund can be issued."
    if given_back(order) >= order.paid():
        return "The order has been refunded in full."
    return None


def is_whole(order: Order) -> bool:
    """Whether all of the order was given back."""
    total = (order.summary.total if order.summary else None) or ZERO
    return total > 0 and given_back(order) >= total


def refunded_items(order: Order) -> list[str]:
    """The items of which something was given back: by their line, or with the whole order."""
    lines = [line for line in order.items or [] if is_whole(order) or line.quantity_refunded or line.total_refunded]
    return list(dict.fromkeys(line.merchant_item_id or "" for line in lines))


def newly_refunded(before: Order, after: Order) -> list[str]:
    """The items that a refund is the first one of."""
    known = refunded_items(before)
    return [item_id for item_id in refunded_items(after) if item_id not in known]


def whole(order: Order, reason: str) -> Refunded:
    """The refunded totals where everything is given back, whatever was given back before."""
    stands = order.summary or OrderSummary()
    shipping = (stands.shipping_handling_total or ZERO) - (stands.shipping_handling_total_discount or ZERO)
    currency = order.currency_code or "USD"
    lines = [
        OrderItem(
            item_index=line.item_index,
            quantity_refunded=line.quantity,
            total_refunded=Currency(quantise((line.cost or ZERO) * (line.quantity or ZERO), currency)),
        )
        for line in order.items or []
    ]
    summary = OrderSummary(
        subtotal_refunded=stands.subtotal,
        subtotal_discount_refunded=stands.subtotal_discount,
        shipping_handling_refunded=Currency(max(shipping, stands.shipping_handling_refunded or ZERO)),
        tax_refunded=stands.tax,
        total_refunded=stands.total,
    )
    return asked(order, Order(items=lines, summary=summary, refund_reason=reason))


def asked(order: Order, request: Order) -> Refunded:
    """The refunded totals that the request asks for, laid over those that stand.

    Absent figures stay as they are; without ``total_refunded`` the total is the sum of the parts, with it the rest is
    ``other_refunded``. Raises Invalid with all problems.
    """
    problems: list[Problem] = []
    currency = order.currency_code or "USD"
    before, wanted = order.summary or OrderSummary(), request.summary or OrderSummary()
    lines = _lines(order, request, currency, problems)
    figures: dict[str, Decimal] = {}
    for name, of in PARTS:
        stands, limit = getattr(before, name) or ZERO, abs(getattr(before, of) or ZERO)
        value = getattr(wanted, name)
        if name == "subtotal_refunded" and value is None and request.items is not None:
            value = total_of(line.total for line in lines)
        figures[name] = _figure(f"/summary/{name}", value, stands, limit, currency, problems)
    parts = total_of(figures.values()) - 2 * figures["subtotal_discount_refunded"]
    other, total = _total(order, wanted, parts, currency, problems)
    certificate, credit = (ZERO, ZERO) if problems else _to_balances(order, wanted, total, currency, problems)
    if problems:
        raise Invalid(problems)
    return Refunded(
        total=total,
        other=other,
        gift_certificate=certificate,
        store_credit=credit,
        lines=lines,
        refund_reason=request.refund_reason or order.refund_reason,
        subtotal_refunded=figures["subtotal_refunded"],
        subtotal_discount_refunded=figures["subtotal_discount_refunded"],
        shipping_handling_refunded=figures["shipping_handling_refunded"],
        tax_refunded=figures["tax_refunded"],
    )


def _to_balances(
    order: Order, wanted: OrderSummary, total: Decimal, currency: str, problems: list[Problem]
) -> tuple[Decimal, Decimal]:
    """(what the gift certificate, what the store credit is to have got back). Money goes back first, then what the gift
    certificate paid, then store credit; a request that names the store credit's part is followed."""
    certificate, credit = order.certificate_refunded(), order.store_credit_refunded()
    left = total - given_back(order)
    named = wanted.internal_gift_certificate_refunded
    if named is not None:
        pointer = "/summary/internal_gift_certificate_refunded"
        part = _figure(pointer, named, credit, order.store_credit(), currency, problems)
        credit, left = part, left - (part - credit)
    if left < 0:
        message = "what goes to store credit is more than what is given back in all"
        problems.append(Problem(pointer="/summary/total_refunded", code="conflict", message=message))
        return certificate, credit
    left -= min(left, max(order.money() - money_given_back(order), ZERO))
    part = min(left, order.certificate_amount() - certificate)
    certificate, left = certificate + part, left - part
    if named is None:
        part = min(left, order.store_credit() - credit)
        credit, left = credit + part, left - part
    if left:
        message = f"{left} is more than money and gift certificate paid; let more of it go to store credit"
        problems.append(Problem(pointer="/summary/total_refunded", code="conflict", message=message))
    return certificate, credit


def _total(
    order: Order, wanted: OrderSummary, parts: Decimal, currency: str, problems: list[Problem]
) -> tuple[Decimal, Decimal]:
    """(other, total). What belongs to no part may be less than nothing where a restocking fee is kept."""
    before = order.summary or OrderSummary()
    other = before.other_refunded or ZERO
    if wanted.other_refunded is not None:
        other = quantise(wanted.other_refunded, currency)
    total = parts + other
    if wanted.total_refunded is not None:
        named = quantise(wanted.total_refunded, currency)
        if wanted.other_refunded is not None and named != total:
            message = f"is {named}, but the refunded parts add up to {total}"
            problems.append(Problem(pointer="/summary/total_refunded", code="conflict", message=message))
        other, total = named - parts, named
    _figure("/summary/total_refunded", total, before.total_refunded or ZERO, order.paid(), currency, problems)
    return other, total


def _figure(
    pointer: str, value: Decimal | None, stands: Decimal, limit: Decimal, currency: str, problems: list[Problem]
) -> Decimal:
    if value is None:
        return stands
    value = quantise(value, currency)
    if value < stands:
        message = f"is a total and cannot become less: {stands} was given back already"
        problems.append(Problem(pointer=pointer, code="too_small", message=message))
    elif value > limit:
        problems.append(Problem(pointer=pointer, code="too_large", message=f"at most {limit} can be given back"))
    return value


def _lines(order: Order, request: Order, currency: str, problems: list[Problem]) -> list[RefundedLine]:
    stands = {line.item_index or 0: line for line in order.items or []}
    wanted = {line.item_index or 0: line for line in request.items or []}
    for index in sorted(set(wanted) - set(stands)):
        message = f"the order has no line {index}; lines count from 1"
        problems.append(Problem(pointer="/items", code="unknown", message=message))
    return [_line(line, wanted.get(index) or OrderItem(), currency, problems) for index, line in stands.items()]


def _line(line: OrderItem, wanted: OrderItem, currency: str, problems: list[Problem]) -> RefundedLine:
    at = f"/items/{(line.item_index or 1) - 1}"
    quantity = wanted.quantity_refunded if wanted.quantity_refunded is not None else line.quantity_refunded or ZERO
    bought = line.quantity or ZERO
    if not (line.quantity_refunded or ZERO) <= quantity <= bought:
        message = f"is a total from {line.quantity_refunded or ZERO} to {bought}"
        problems.append(Problem(pointer=f"{at}/quantity_refunded", code="out_of_range", message=message))
    # The subtotal is before the order's discounts; a coupon's share goes back by `subtotal_discount_refunded`.
    limit = quantise((line.cost or ZERO) * bought, currency)
    stands = line.total_refunded or ZERO
    return RefundedLine(
        item_index=line.item_index or 0,
        quantity=quantity,
        total=_figure(f"{at}/total_refunded", wanted.total_refunded, stands, limit, currency, problems),
        refund_reason=wanted.refund_reason or line.refund_reason,
        return_reason=wanted.return_reason or line.return_reason,
    )


def proposed(order: Order, request: Order) -> Order:
    """The request with what it leaves open: a line that names a quantity alone goes back at its cost, and of the
    order's discount the share of what goes back of the subtotal."""
    if request.items is None:
        return request
    currency, stands = order.currency_code or "USD", order.summary or OrderSummary()
    lines = {line.item_index: line for line in order.items or []}
    items = [_at_its_cost(one, lines.get(one.item_index), currency) for one in request.items]
    summary, subtotal, discount = (
        request.summary or OrderSummary(),
        stands.subtotal,
        abs(stands.subtotal_discount or ZERO),
    )
    if subtotal and discount and summary.subtotal_discount_refunded is None:
        back = {index: line.total_refunded or ZERO for index, line in lines.items()}
        back |= {one.item_index: one.total_refunded for one in items if one.total_refunded is not None}
        share = quantise(discount * min(total_of(back.values()) / subtotal, Decimal(1)), currency)
        before = stands.subtotal_discount_refunded or ZERO
        summary = replace(summary, subtotal_discount_refunded=Currency(max(share, before)))
    return replace(request, items=items, summary=summary)


def _at_its_cost(wanted: OrderItem, line: OrderItem | None, currency: str) -> OrderItem:
    if line is None or wanted.quantity_refunded is None or wanted.total_refunded is not None:
        return wanted
    cost = quantise((line.cost or ZERO) * wanted.quantity_refunded, currency)
    return replace(wanted, total_refunded=Currency(max(cost, line.total_refunded or ZERO)))


def figures(refunded: Refunded) -> Order:
    """The request that asks for these totals."""
    parts = {name: Currency(getattr(refunded, name)) for name, _ in PARTS}
    return Order(
        items=[
            OrderItem(item_index=line.item_index, quantity_refunded=line.quantity, total_refunded=Currency(line.total))
            for line in refunded.lines
        ],
        summary=OrderSummary(
            **parts,
            other_refunded=Currency(refunded.other),
            internal_gift_certificate_refunded=Currency(refunded.store_credit),
            total_refunded=Currency(refunded.total),
        ),
    )


def preview(order: Order, wanted: Refunded) -> RefundPreview:
    """What these totals would give back of the order now."""
    money = wanted.money() - money_given_back(order)
    certificate = wanted.gift_certificate - order.certificate_refunded()
    credit = wanted.store_credit - order.store_credit_refunded()
    return RefundPreview(
        gift_certificate=Currency(certificate),
        money=Currency(money),
        order=figures(wanted),
        paid=Currency(order.paid()),
        refunded=Currency(given_back(order)),
        store_credit=Currency(credit),
        to_refund=Currency(money + certificate + credit),
    )


def is_same(order: Order, refunded: Refunded) -> bool:
    """Whether the order says all that already."""
    figures = replace(refunded, by_user=None, reject=False, because=None)
    return figures == asked(order, Order()) and (not refunded.reject or order.current_stage == "Rejected")


def applied(order: Order, refunded: Refunded, now: Instant | None) -> Order:
    """The order after the refund."""
    by_index = {line.item_index: line for line in refunded.lines}
    before, block = order.summary or OrderSummary(), order.gift_certificate
    whole = refunded.total >= order.paid()
    return replace(
        order,
        gift_certificate=replace(block, refunded=_shown(refunded.gift_certificate)) if block else None,
        summary=replace(
            before,
            subtotal_refunded=_shown(refunded.subtotal_refunded),
            subtotal_discount_refunded=_shown(refunded.subtotal_discount_refunded),
            shipping_handling_refunded=_shown(refunded.shipping_handling_refunded),
            tax_refunded=_shown(refunded.tax_refunded),
            other_refunded=_shown(refunded.other),
            internal_gift_certificate_refunded=_shown(refunded.store_credit),
            total_refunded=_shown(refunded.total),
        ),
        items=[_applied_line(line, by_index.get(line.item_index or 0)) for line in order.items or []],
        payment=_payment(order, whole=whole),
        internal=replace(order.internal or OrderInternal(), refund_by_user=refunded.by_user),
        refund_dts=now,
        refund_reason=refunded.refund_reason,
        **_rejected(order, now) if refunded.reject else {},
    )


def _payment(order: Order, *, whole: bool) -> OrderPayment:
    """A refund that is learnt of after the order's debit came back does not make the order paid."""
    payment = order.payment or OrderPayment()
    if order.returned and payment.payment_status == "Declined":
        return payment
    return replace(payment, payment_status="Refunded" if whole else "Processed")


def _rejected(order: Order, now: Instant | None) -> dict[str, object]:
    if order.current_stage == "Rejected":
        return {}
    history = OrderCurrentStageHistory(before_stage=order.current_stage, after_stage="Rejected", transition_dts=now)
    histories = [*(order.current_stage_histories or []), history]
    return {"current_stage": "Rejected", "current_stage_histories": histories, "reject_dts": now}


def _applied_line(line: OrderItem, refunded: RefundedLine | None) -> OrderItem:
    if refunded is None:
        return line
    return replace(
        line,
        quantity_refunded=refunded.quantity or None,
        total_refunded=_shown(refunded.total),
        refund_reason=refunded.refund_reason,
        return_reason=refunded.return_reason,
    )


def _shown(amount: Decimal) -> Currency | None:
    return Currency(amount) if amount else None


def learnt_late(order: Order, amount: Decimal, by_user: str | None) -> Refunded:
    """The totals where a refund that was given up turns out to have been made: nobody knows its parts any more."""
    stands = asked(order, Order())
    return replace(stands, total=stands.total + amount, other=stands.other + amount, by_user=by_user)
