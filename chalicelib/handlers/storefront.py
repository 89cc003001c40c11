"""A shopper's calls, from a browser: a token for a card or a payment method, an order that is paid at once, an item.

They are opened by the browser key, which may stand in a page's source, and are answered to pages of the merchant's
allowed origins only. An order's answer is the contract's ``{order, success, metadata}`` and two fields of our own:
``payment_outcome`` (approved, declined, action_needed, charged_later, not_known_yet, not_sent) and ``payment_message``
to show to the shopper; with action_needed also ``payment_url``. ``success`` says that the order stands, also where its
card was declined: then its ``payment.payment_status`` is Declined, and another card means another order.
"""

from typing import Any

from chalice.app import Response

from chalicelib.domain.consents import Seen
from chalicelib.domain.orders import Order
from chalicelib.domain.placing import StorefrontOrder
from chalicelib.domain.storefront import (
    TOLD,
    BankAccountRequest,
    BankAccountToken,
    CardRequest,
    CardToken,
    PaymentMethodRequest,
    StorefrontItem,
)
from chalicelib.domain.wire import whole
from chalicelib.flows import show, storefront
from chalicelib.handlers.http import OPEN, STOREFRONT, Ask, Door, one

door = Door("storefront")

BASE = "/storefront"
BANK_ACCOUNT_TOKENS = "/bank_account_tokens"
CARD_TOKENS = "/card_tokens"
PAYMENT_METHODS = "/payment_methods"
ORDERS = "/orders"
ITEM = "/items/{merchant_item_id}"
# What of an order is shown to whoever placed it: all that he said, and what it costs.
SHOWN = ("auto_order", "billing", "coupon", "gift_certificate", "item", "payment", "shipping", "summary", "taxes")
PREFLIGHT_SECONDS = 600


@door(
    "POST",
    CARD_TOKENS,
    STOREFRONT,
    summary="Exchange a card for a token that is valid two hours; the number is not kept, a CVV not taken",
    takes=CardRequest,
    gives=CardToken,
    base=BASE,
)
def create_card_token(ask: Ask) -> dict[str, Any]:
    token = storefront.card_token(ask.shop, ask.raw(), ask.address)
    return {**whole(token, ask.form), "success": True, "metadata": {}}


@door(
    "POST",
    PAYMENT_METHODS,
    STOREFRONT,
    summary="Exchange the payment method that a gateway's own form made for a card token",
    takes=PaymentMethodRequest,
    gives=CardToken,
    base=BASE,
)
def create_payment_method_token(ask: Ask) -> dict[str, Any]:
    token = storefront.payment_method_token(ask.shop, ask.raw(), ask.address)
    return {**whole(token, ask.form), "success": True, "metadata": {}}


@door(
    "POST",
    BANK_ACCOUNT_TOKENS,
    STOREFRONT,
    summary="Exchange a bank account for a token that is valid two hours; the number is not kept",
    takes=BankAccountRequest,
    gives=BankAccountToken,
    base=BASE,
)
def create_bank_account_token(ask: Ask) -> dict[str, Any]:
    token = storefront.bank_account_token(ask.shop, ask.raw(), ask.address)
    return {**whole(token, ask.form), "success": True, "metadata": {}}


@door(
    "POST",
    ORDERS,
    STOREFRONT,
    summary="Place and pay an order. Needs an Idempotency-Key; the same again answers the order as it now stands",
    takes=StorefrontOrder,
    gives=Order,
    base=BASE,
)
def place_order(ask: Ask) -> dict[str, Any]:
    seen = Seen(ip_address=ask.source_ip, user_agent=ask.header("user-agent") or "")
    order, outcome, url = storefront.buy(ask.shop, ask.raw(), ask.header("idempotency-key"), ask.address, seen)
    answer = one("order", show.order(ask.shop, order, SHOWN, ask.form))
    answer |= {"payment_outcome": outcome, "payment_message": TOLD[outcome]}
    return answer | {"payment_url": url} if url else answer


@door("GET", ITEM, STOREFRONT, summary="What a shopper may see of an item", gives=StorefrontItem, base=BASE)
def get_storefront_item(ask: Ask, merchant_item_id: str) -> dict[str, Any]:
    return one("item", whole(storefront.item(ask.shop, merchant_item_id), ask.form))


# --- preflights ------------------------------------------------------------------------------------------------------
#
# A browser asks before it sends our headers, and sends no key with the question: so any page is told what may be asked,
# and the answer itself goes to the merchant's allowed origins only.

ALLOWED = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "x-ultracart-browser-key, content-type, idempotency-key",
    "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
}


def preflight(methods: str) -> Response:
    return Response(body="", status_code=204, headers={**ALLOWED, "Access-Control-Allow-Methods": methods})


@door("OPTIONS", CARD_TOKENS, OPEN, summary="Preflight of a card token", base=BASE)
def preflight_card_token(ask: Ask) -> Response:
    return preflight("POST")


@door("OPTIONS", BANK_ACCOUNT_TOKENS, OPEN, summary="Preflight of a bank account token", base=BASE)
def preflight_bank_account_token(ask: Ask) -> Response:
    return preflight("POST")


@door("OPTIONS", PAYMENT_METHODS, OPEN, summary="Preflight of a payment method", base=BASE)
def preflight_payment_method(ask: Ask) -> Response:
    return preflight("POST")


@door("OPTIONS", ORDERS, OPEN, summary="Preflight of an order", base=BASE)
def preflight_order(ask: Ask) -> Response:
    return preflight("POST")


@door("OPTIONS", ITEM, OPEN, summary="Preflight of an item", base=BASE)
def preflight_item(ask: Ask, merchant_item_id: str) -> Response:
    return preflight("GET")
