"""Orders over HTTP: insert, read, search, pay."""

from typing import Any

from chalicelib.domain import search
from chalicelib.domain.errors import Invalid
from chalicelib.domain.events import event_id
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import Outcome, Pending, Unknown
from chalicelib.domain.wire import Noun, refuse_owned, whole
from chalicelib.flows import place_order, purchase, show
from chalicelib.flows.find import find
from chalicelib.flows.rebill import NOT_KNOWN_YET
from chalicelib.flows.tell import told_now
from chalicelib.handlers.http import Ask, Door, many, one

door = Door("orders")

EXPANSIONS = ("_expand",)
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
        told_now(ask.shop, event_id(ask.shop.merchant_id, f"order#{order_id}", "paid"))
    else:
        answer["error"] = {"developer_message": _why(outcome), "user_message": _why(outcome)}
    return answer


def _why(outcome: Outcome | None) -> str:
    if outcome is None or isinstance(outcome, Unknown | Pending):
        return NOT_KNOWN_YET
    return str(getattr(outcome, "reason", NOT_KNOWN_YET))
