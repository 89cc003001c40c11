"""What a gateway tells us by itself: a reason to look, never something to believe.

Whatever the event says, the gateway is asked by key, and the answer goes the way of every answer. So an event that
comes twice, late, or not at all makes no difference but to how soon we know.
"""

import logging

from chalicelib.domain.errors import NotFound
from chalicelib.domain.payments import ActionNeeded, Approved, Declined
from chalicelib.flows import charge
from chalicelib.flows.ports import Shop
from chalicelib.flows.reconcile import agrees, find_attempt

log = logging.getLogger(__name__)


def heard(shop: Shop, gateway: str, body: bytes, signature_header: str) -> bool:
    """An event of the gateway account of that code. True where it led to an outcome that was recorded.

    Raises NotFound where there is no such account, Unauthorised where the signature is not the gateway's.
    """
    account = shop.payments.get(gateway)
    if account is None:
        raise NotFound("gateway", gateway)
    hint = account.hint(body, signature_header)
    if hint is None:
        return False
    order = shop.orders.find(hint.order_id)
    if order is not None and order.noun.charge_key == hint.key:
        return False
    standing = find_attempt(shop, hint.order_id, hint.key)
    if standing is None:
        # A capture that has neither order nor attempt is found by the reconciliation.
        log.info("a gateway's event is about no attempt that stands", extra={"key": hint.key})
        return False
    work, attempt, closed = standing.work, standing.attempt, standing.closed
    if closed is not None and closed.outcome == "late_refunded":
        return False
    found = account.look_up(hint.key)
    if isinstance(found, Approved):
        if not agrees(attempt, found):
            log.error("gateway took another amount", extra={"key": hint.key})
            return False
    elif not isinstance(found, Declined | ActionNeeded) or closed is not None or work.head.leased(shop.clock.now()):
        # Nothing that is certain, or somebody is at it and hears it too.
        return False
    charge.record(shop, work, attempt, found)
    return True
