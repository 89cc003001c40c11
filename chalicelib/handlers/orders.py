"""Orders over HTTP: insert, read, search, pay, ship."""

from typing import Any

from chalicelib.domain import refunds, search
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.events import event_id
from chalicelib.domain.made_orders import paid_transition
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import Approved, Outcome, Pending, Unknown
from chalicelib.domain.placing import OrderAssignToAffiliateRequest
from chalicelib.domain.wire import Noun, refuse_owned, render, whole
from chalicelib.flows import assign, edit, place_order, purchase, refund, refund_preview, ship, show
from chalicelib.flows.find import find
from chalicelib.flows.rebill import NOT_KNOWN_YET
from chalicelib.flows.tell import told_now
from chalicelib.handlers.http import Ask, Door, done, many, one

door = Door("orders")

EXPANSIONS = ("_expand",)
REFUND_FLAGS = (
    "auto_order_cancel",
    "issue_store_credit",
    "manual_refund",
    "reject_after_refund",
    "reverse_affiliate_transactions",
    "skip_customer_notification",
)
PAGING = ("_limit", "_offset", "_sort", "_expand")


class OrderProcessPaymentRequest(Noun):
    amount: float | None = None
    card_verification_number_token: str | None = None


@door("POST", "/order/orders", "order_write", summary="Insert an order", takes=Order, gives=Order, query=EXPANSIONS)
def insert_order(ask: Ask) -> dict[str, Any]:
    raw = ask.raw()
    refuse_owned(raw, Order)
    kept = place_order.place(ask.shop, ask.body(Order), by_shopper=False, idempotency_key=ask.header("idempotency-key"))
    told_now(ask.shop, event_id(ask.shop.merchant_id, f"order#{kept.noun.order_id}", "created"))
    return one("order", show.order(ask.shop, kept.noun, ask.expand, ask.form))


@door("GET", "/order/orders/{order_id}", "order_read", summary="Retrieve an order", gives=Order, query=EXPANSIONS)
def get_order(ask: Ask, order_id: str) -> dict[str, Any]:
    kept = ask.shop.orders.get(order_id)
    ask.etag(kept.version)
    return one("order", show.order(ask.shop, kept.noun, ask.expand, ask.form))


@door(
    "PUT",
    "/order/orders/{order_id}",
    "order_write",
    summary="Mark an order shipped, by tracking numbers or a shipping date; nothing else of it can be changed",
    takes=Order,
    gives=Order,
    query=EXPANSIONS,
)
def update_order(ask: Ask, order_id: str) -> dict[str, Any]:
    ship.update(ask.shop, order_id, ask.raw(), version=ask.if_match())
    answer: dict[str, Any] = get_order(ask, order_id)
    return answer


@door("GET", "/order/orders", "order_read", summary="Retrieve orders", gives=list[Order], query=PAGING)
def get_orders(ask: Ask) -> dict[str, Any]:
    return _found(ask, search.order_query_of(ask.query))


@door(
    "POST",
    "/order/orders/query",
    "order_read",
    summary="Retrieve orders by query",
    takes=search.OrderQuery,
    gives=list[Order],
    query=PAGING,
)
def get_orders_by_query(ask: Ask) -> dict[str, Any]:
    return _found(ask, search.order_query(ask.raw()))


def _found(ask: Ask, query: search.OrderQuery) -> dict[str, Any]:
    limit, offset = ask.page()
    found = find(ask.shop, "order", query, ask.query.get("_sort", ""), offset, limit)
    orders = ask.shop.orders.get_many(found.names)
    rendered = [show.order(ask.shop, order, ask.expand, ask.form) for order in orders]
    return many("orders", rendered, limit=limit, offset=offset, total=found.total)


@door(
    "POST",
    "/order/orders/{order_id}/process_payment",
    "order_write",
    summary="Charge an unpaid order; an unknown outcome is answered as such, never as a decline",
    takes=OrderProcessPaymentRequest,
)
def process_payment(ask: Ask, order_id: str) -> dict[str, Any]:
    kept = ask.shop.orders.get(order_id)
    request = ask.body(OrderProcessPaymentRequest) if ask.has_body() else OrderProcessPaymentRequest()
    total = kept.noun.summary.total if kept.noun.summary else None
    if request.amount is not None and total is not None and f"{request.amount:.2f}" != f"{total:.2f}":
        raise Invalid.one("/amount", "not_available", f"only the whole total of {total} can be charged")
    outcome = purchase.pay(ask.shop, order_id)
    after = ask.shop.orders.get(order_id).noun
    paid = after.payment is not None and after.payment.payment_status == "Processed"
    answer: dict[str, Any] = {"success": paid, "metadata": {"payload_name": "payment_transaction"}}
    transactions = after.payment.transactions if after.payment else None
    if transactions and transactions[0].transaction_timestamp:
        answer["payment_transaction"] = whole(transactions[0], ask.form)
    if paid:
        told_now(ask.shop, event_id(ask.shop.merchant_id, f"order#{order_id}", paid_transition(after)))
    else:
        answer["error"] = {"developer_message": _why(outcome), "user_message": _why(outcome)}
    return answer


def _why(outcome: Outcome | None) -> str:
    if outcome is None or isinstance(outcome, Unknown | Pending):
        return NOT_KNOWN_YET
    return str(getattr(outcome, "reason", NOT_KNOWN_YET))


@door(
    "POST",
    "/order/orders/{order_id}/assignToAffiliate",
    "order_write",
    summary="Assign an order to the affiliate who sent it; rebills to come name him too",
    takes=OrderAssignToAffiliateRequest,
    gives=Order,
    query=EXPANSIONS,
)
def assign_to_affiliate(ask: Ask, order_id: str) -> dict[str, Any]:
    assign.assign_to_affiliate(ask.shop, order_id, ask.body(OrderAssignToAffiliateRequest))
    answer: dict[str, Any] = get_order(ask, order_id)
    return answer


class OrderRefundable(Noun):
    """Whether an order can be refunded; the contract answers its fields beside the envelope's."""

    refundable: bool | None = None
    manual_because_multiple_charges: bool | None = None


@door(
    "GET",
    "/order/orders/{order_id}/refundable",
    "order_read",
    summary="Whether an order can be refunded",
)
def is_refundable_order(ask: Ask, order_id: str) -> dict[str, Any]:
    answer = OrderRefundable(
        refundable=refund.refundable(ask.shop, ask.shop.orders.get(order_id).noun),
        manual_because_multiple_charges=False,
    )
    return {**done(), **whole(answer, ask.form)}


@door(
    "POST",
    "/order/orders/{order_id}/refund_preview",
    "order_read",
    summary="What a refund would come to, without a body that of all that is left: the figures to send (for a quantity "
    "alone its amount, and the discount's share), where it goes, and the orders of other auto orders that go back with "
    "it; nothing is given back",
    takes=Order,
    gives=refunds.RefundPreview,
)
def preview_refund(ask: Ask, order_id: str) -> dict[str, Any]:
    told = refund_preview.preview(ask.shop, order_id, ask.body(Order) if ask.has_body() else None)
    return one("refund_preview", render(told, ask.form, ("order", "order.item", "order.summary", "other_auto_orders")))


@door(
    "PUT",
    "/order/orders/{order_id}/refund",
    "order_write",
    summary="Refund an order: each figure is the total that is to have been given back, so a repeat gives back nothing",
    takes=Order,
    gives=Order,
    query=(*REFUND_FLAGS, "auto_order_cancel_reason", *EXPANSIONS),
)
def refund_order(ask: Ask, order_id: str) -> dict[str, Any]:
    problems = [
        Problem(pointer=f"/{name}", code="not_available", message="is not available yet; leave it out or false")
        for name in ("issue_store_credit", "reverse_affiliate_transactions")
        if ask.flag(name)
    ]
    if problems:
        raise Invalid(problems)
    order = ask.shop.orders.get(order_id).noun
    wanted = refunds.asked(order, ask.body(Order))
    wanted.by_user, wanted.reject = ask.by, ask.flag("reject_after_refund")
    cancels, reason = ask.flag("auto_order_cancel"), ask.query.get("auto_order_cancel_reason")
    if cancels and order.auto_order_oid:
        # What would not be canceled is said before money moves.
        refund_preview.rehearse_cancel(ask.shop, order.auto_order_oid, by=ask.by, reason=reason)
    outcome = refund.refund(ask.shop, order_id, wanted, manual=ask.flag("manual_refund"))
    if outcome is not None and not isinstance(outcome, Approved):
        raise Invalid.one("", "not_refunded", _why(outcome))
    kept = ask.shop.orders.get(order_id)
    if cancels and kept.noun.auto_order_oid:
        told_now(ask.shop, edit.cancel(ask.shop, kept.noun.auto_order_oid, by=ask.by, reason=reason))
    return one("order", show.order(ask.shop, kept.noun, ask.expand, ask.form))
