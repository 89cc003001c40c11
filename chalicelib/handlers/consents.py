"""What a customer agreed to, over HTTP: the record of an auto order, as it was written with its first order."""

from typing import Any

from chalicelib.domain.consents import AutoOrderConsent
from chalicelib.domain.errors import NotFound
from chalicelib.domain.wire import whole
from chalicelib.handlers.http import Ask, Door, oid_of, one

door = Door("consents")


@door(
    "GET",
    "/auto_order/auto_orders/{auto_order_oid}/consent",
    "auto_order_read",
    summary="What the customer agreed to at enrolment: terms, schedule, prices, when, from which address",
    gives=AutoOrderConsent,
)
def get_auto_order_consent(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    document, _ = ask.shop.auto_orders.read(oid_of(auto_order_oid, "auto order"))
    consent = ask.shop.orders.consent(document.noun.original_order_id or "")
    if consent is None:
        raise NotFound("recorded consent of auto order", auto_order_oid)
    return one("consent", whole(consent, ask.form))
