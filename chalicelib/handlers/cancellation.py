"""A customer cancels by a link: a page of the shop's asks what would happen, and posts what he decides.

The token is the one in the mail's link; it opens one auto order until it expires. GET changes nothing, so programs that
open every link of a mail do no harm. Whoever has no mail at hand asks for another link: it goes to the address of the
order, and the answer is the same whether there is such an order or not.
"""

from typing import Any

from chalice.app import Response

from chalicelib.domain.cancellation import Cancellation, CancelLinkRequest, CancelRequest
from chalicelib.domain.errors import Invalid
from chalicelib.domain.wire import whole
from chalicelib.flows import cancel
from chalicelib.handlers.configuration import READ
from chalicelib.handlers.http import OPEN, STOREFRONT, Ask, Door, done, one
from chalicelib.handlers.storefront import BASE, preflight

door = Door("cancellation")

CANCEL = "/auto_orders/cancel"
CANCEL_LINK = "/auto_orders/cancel_link"


def _answer(ask: Ask, noun: Cancellation) -> dict[str, Any]:
    return one("cancellation", whole(noun, ask.form))


@door(
    "GET",
    CANCEL,
    STOREFRONT,
    summary="What canceling by a link would do: what ends, what it costs, from when on, for which reasons",
    gives=Cancellation,
    query=("token",),
    base=BASE,
)
def get_cancellation(ask: Ask) -> dict[str, Any]:
    token = ask.query.get("token", "")
    if not token:
        raise Invalid.one("/token", "required", "is required: the token of the link")
    return _answer(ask, cancel.shown(ask.shop, token))


@door(
    "POST",
    CANCEL,
    STOREFRONT,
    summary="Cancel by a link; the same again changes nothing. Refused, with the date, while the merchant prohibits it",
    takes=CancelRequest,
    gives=Cancellation,
    base=BASE,
)
def cancel_by_link(ask: Ask) -> dict[str, Any]:
    return _answer(ask, cancel.cancel(ask.shop, ask.raw()))


@door(
    "POST",
    CANCEL_LINK,
    STOREFRONT,
    summary="Ask for a link that cancels: it is mailed to the address of the order, if that is the one named",
    takes=CancelLinkRequest,
    base=BASE,
)
def ask_for_cancel_link(ask: Ask) -> dict[str, Any]:
    cancel.ask_for_link(ask.shop, ask.raw(), ask.address)
    return done()


@door("OPTIONS", CANCEL, OPEN, summary="Preflight of a cancellation", base=BASE)
def preflight_cancellation(ask: Ask) -> Response:
    return preflight("GET, POST")


@door("OPTIONS", CANCEL_LINK, OPEN, summary="Preflight of a cancel link", base=BASE)
def preflight_cancel_link(ask: Ask) -> Response:
    return preflight("POST")


@door(
    "GET",
    "/configuration/auto_order_processing/links",
    READ,
    summary="The links to the page on which customers ask for their cancel link, with HTML to copy",
)
def get_auto_order_processing_links(ask: Ask) -> dict[str, Any]:
    return one("links", cancel.links(ask.shop, ask.merchant.allowed_origins or []))
