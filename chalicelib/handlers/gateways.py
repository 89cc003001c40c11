"""What payment gateways tell us by themselves, over HTTP. There is no key: the signature is its authority."""

from typing import Any

from chalicelib import wiring
from chalicelib.domain.errors import NotFound
from chalicelib.flows.found_shop import MERCHANT_ID
from chalicelib.flows.gateway_events import heard
from chalicelib.handlers.http import SIGNED, Ask, Door, done

door = Door("gateways")

BASE = "/gateways"
SIGNATURE = "stripe-signature"


@door(
    "POST",
    "/{merchant_id}/{code}/events",
    SIGNED,
    summary="Take an event of a gateway account; it is a hint to ask the gateway, which is done afterwards",
    takes=dict[str, Any],
    base=BASE,
)
def take_gateway_event(ask: Ask, merchant_id: str, code: str) -> dict[str, Any]:
    body = ask.sent()
    if not MERCHANT_ID.fullmatch(merchant_id):
        raise NotFound("gateway", code)
    heard(wiring.open_shop(merchant_id, ask.time_left), code, body, ask.header(SIGNATURE) or "", ask.address)
    return done()
