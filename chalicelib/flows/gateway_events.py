"""What a gateway tells us by itself: a reason to look, never something to believe.

Whatever the event says, the gateway is asked by key, and the answer goes the way of every answer. So an event that
comes twice, late, or not at all makes no difference but to how soon we know. The gateway waits for our answer, so it is
asked by a worker afterwards.
"""

import logging

from chalicelib.domain.errors import NotFound
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.payments import ActionNeeded, Approved, Declined
from chalicelib.flows import charge
from chalicelib.flows.ports import Payments, Shop
from chalicelib.flows.reconcile import agrees, find_attempt
from chalicelib.flows.returns import came_back
from chalicelib.flows.sweep import REBILL_QUEUE

log = logging.getLogger(__name__)

# Of a message: which work it is for.
HINT = "hint"
# A gateway tells of some events for each charge, from a few addresses: these are ten and a hundred a second, more than
# the smallest account charges. What is refused comes again.
ADDRESS_EVENTS, SHOP_EVENTS, EVENTS_SECONDS = 6_000, 60_000, 600


def heard(shop: Shop, gateway: str, body: bytes, signature_header: str, address: str) -> bool:
    """An event for the gateway account of that code. True where it is to be looked into.

    Raises NotFound where there is no such merchant or account, TooMany, and Unauthorised where the signature is not the
    gateway's.
    """
    if not shop.configuration.section(Merchant).version:
        raise NotFound("gateway", gateway)
    now = shop.clock.now()
    shop.limits.take(f"gateway_event#address#{address}", ADDRESS_EVENTS, EVENTS_SECONDS, now)
    shop.limits.take("gateway_event#shop", SHOP_EVENTS, EVENTS_SECONDS, now)
    account = shop.payments.get(gateway)
    if account is None:
        raise NotFound("gateway", gateway)
    hint = account.hint(body, signature_header)
    if hint is None or (not hint.returned and _has_its_order(shop, hint.order_id, hint.key)):
        return False
    message = {"merchant_id": shop.merchant_id, "kind": HINT, "id": hint.order_id, "key": hint.key, "gateway": gateway}
    shop.queue.send(REBILL_QUEUE, [message])
    return True


def look_into(shop: Shop, gateway: str, order_id: str, key: str) -> bool:
    """Ask the gateway what became of that charge. True where it led to an outcome that was recorded.

    Raises NotFound where there is no such account any more.
    """
    account = shop.gateway(gateway)
    if _has_its_order(shop, order_id, key):
        return _look_into_its_debit(shop, account, order_id, key)
    standing = find_attempt(shop, order_id, key)
    if standing is None:
        # A capture that has neither order nor attempt is found by the reconciliation.
        log.info("a gateway's event is about no attempt that stands", extra={"key": key})
        return False
    work, attempt, closed = standing.work, standing.attempt, standing.closed
    if closed is not None and closed.outcome == "late_refunded":
        return False
    found = account.look_up(key)
    if isinstance(found, Approved):
        if not agrees(attempt, found):
            log.error("gateway took another amount", extra={"key": key})
            return False
    elif not isinstance(found, Declined | ActionNeeded) or closed is not None or work.head.leased(shop.clock.now()):
        # Nothing that is certain, or somebody is at it and hears it too.
        return False
    charge.record(shop, work, attempt, found)
    return True


def _look_into_its_debit(shop: Shop, account: Payments, order_id: str, key: str) -> bool:
    """A settled debit may have come back; a card's charge that was taken back is for a person, at the gateway."""
    order = shop.orders.get(order_id).noun
    if order.payment is None or order.payment.payment_method != "eCheck" or key in (order.returned or []):
        return False
    found = account.look_up(key)
    if not isinstance(found, Declined) or not found.returned:
        return False
    why_not = came_back(shop, order_id, key, found)
    if why_not is not None:
        log.error("a debit that came back is left to the reconciliation", extra={"key": key, "reason": why_not})
    return why_not is None


def _has_its_order(shop: Shop, order_id: str, key: str) -> bool:
    order = shop.orders.find(order_id)
    return order is not None and order.noun.charge_key == key
