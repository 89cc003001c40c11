"""Delivering webhooks: claim, post, mark. Post first, mark after: a crash sends the same again, and loses nothing."""

import logging
from collections.abc import Callable
from typing import Any

from chalicelib.domain import webhooks
from chalicelib.domain.errors import Contended, Invalid, NotFound, Refused
from chalicelib.domain.problems import DEAD_DELIVERY, WEBHOOK_DISABLED, ShopProblem
from chalicelib.domain.webhooks import Answer, Delivery, DeliveryLog, Webhook
from chalicelib.flows import digest
from chalicelib.flows.ports import Kept, Shop

log = logging.getLogger(__name__)

# How often a write is tried again when somebody else was first. Many deliveries to one endpoint count on one record.
MOST_TRIES = 8
# The guarded door's own bound (15 s), its name resolution, and the writes after it.
POST_AND_MARK_SECONDS = 20
# Deliveries that one call replays at most; it says where to go on.
REPLAY_AT_ONCE = 100
USER_AGENT = "Backroom-Webhooks/1"
NOT_SENT_AGAIN = {
    "too_large": "its body was too large for the endpoint; there is nothing to send",
    "too_old": f"it is older than {webhooks.SENT_AGAIN_DAYS} days; reflow its event instead",
}


def deliver(shop: Shop, webhook_oid: int, event_id: str) -> None:
    """Try a delivery that is due. A message that comes twice, or late, finds nothing to do."""
    now = shop.clock.now()
    found = shop.deliveries.find(webhook_oid, event_id)
    if found is None or not found.noun.ready(now):
        return
    endpoint = shop.webhooks.find(webhook_oid)
    stop = webhooks.reason_to_stop(endpoint.noun if endpoint else None)
    if not stop and not found.noun.body:
        stop = "it waited so long that its body is not kept any more"
    if endpoint is None or stop:
        _moved(shop, found, webhooks.ended(found.noun, "dead", now, stop))
        return
    until = webhooks.paused_until(endpoint.noun, now)
    if until is not None:
        _moved(shop, found, webhooks.held_back(found.noun, until, _chance(shop)))
        return
    if shop.time_left() < POST_AND_MARK_SECONDS:
        return  # it stays due
    claimed = webhooks.claimed(found.noun, now)
    try:
        shop.write(shop.deliveries.claimed(claimed, found.version))
    except Refused:
        return  # another worker is on it
    _post(shop, found.noun, claimed, found.version + 1, endpoint)


def _post(shop: Shop, before: Delivery, claimed: Delivery, version: int, endpoint: Kept[Webhook]) -> None:
    webhook = endpoint.noun
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
    authorization = webhooks.basic_authorization(webhook)
    if authorization:
        headers["Authorization"] = authorization
    now = shop.clock.now()
    headers |= shop.http.signed(before.event_id, before.body, webhook.live_secrets(now))
    answer = shop.http.post(webhook.webhook_url or "", before.body.encode(), headers)
    request = webhooks.request_id(now, shop.word())
    tried = webhooks.log_of(before, webhook, answer, headers, request, now)
    after = _marked(shop, claimed, version, answer, tried)
    _count(shop, endpoint, answer, after)


def _marked(shop: Shop, claimed: Delivery, version: int, answer: Answer, tried: DeliveryLog) -> Delivery:
    """Write down what came of the post: a success whoever has the delivery now, a failure only where it is still
    ours."""
    delivery, chance = claimed, _chance(shop)
    for _ in range(MOST_TRIES):
        after = webhooks.tried(delivery, answer, shop.clock.now(), chance)
        try:
            shop.write(*shop.deliveries.tried(after, version, tried))
        except Contended:
            continue
        except Refused:
            current = shop.deliveries.find(claimed.webhook_oid, claimed.event_id)
            if current is None or current.noun.state == "delivered" or not answer.ok:
                shop.write(shop.deliveries.noted(tried))
                return after
            delivery, version = current.noun, current.version
            continue
        if after.state == "dead":
            message = after.reason or "it could not be delivered"
            _note(shop, f"{after.event_id}#{after.webhook_oid}", after.webhook_oid, DEAD_DELIVERY, message)
        return after
    raise Contended(f"delivery {claimed.event_id} could not be marked in {MOST_TRIES} tries")


def _count(shop: Shop, endpoint: Kept[Webhook], answer: Answer, after: Delivery) -> None:
    """Failures in a row, the pause and the end of an endpoint. Under a rush of writes the count may miss one."""
    standing: Kept[Webhook] | None = endpoint
    for _ in range(MOST_TRIES):
        if standing is None:
            return
        counted = webhooks.counted(standing.noun, answer, after, shop.clock.now())
        if counted is standing.noun:
            return
        try:
            shop.write(shop.webhooks.replaced(counted, standing.version))
        except (Refused, Contended):
            standing = shop.webhooks.find(after.webhook_oid)
            continue
        if counted.disabled and not standing.noun.disabled:
            log.warning("webhook disabled", extra={"webhook_oid": after.webhook_oid, "reason": counted.disabled_reason})
            reason = counted.disabled_reason or "it failed too often"
            _note(shop, f"webhook#{after.webhook_oid}", after.webhook_oid, WEBHOOK_DISABLED, reason)
        return
    log.warning("webhook not counted", extra={"webhook_oid": after.webhook_oid})


def _note(shop: Shop, name: str, webhook_oid: int, code: str, message: str) -> None:
    problem = ShopProblem(dts=shop.clock.now(), about=f"webhook#{webhook_oid}", code=code, message=message)
    digest.note(shop, name, problem)


def _moved(shop: Shop, found: Kept[Delivery], after: Delivery) -> None:
    try:
        shop.write(*shop.deliveries.moved(after, found.version))
    except Refused:
        return  # another worker has it


def _chance(shop: Shop) -> float:
    """In [0, 1), out of the shop's random 31-bit numbers."""
    return (next(shop.oids) % 1000) / 1000


# --- by hand ---------------------------------------------------------------------------------------------------------


def resend(shop: Shop, webhook_oid: int, name: str, by: str) -> str:
    """Send a delivery again: the same id and body, with all its tries. ``name``: the event id of the delivery or the
    request id of one of its logs; ``by`` who asks. Returns the event id. Raises NotFound, and Invalid where the
    endpoint is disabled, the delivery too old, or the body was too large from the start."""
    webhook = _open(shop, webhook_oid)
    logged = shop.deliveries.log(webhook_oid, name)
    event_id = logged.event_id if logged else name
    why_not = _resend(shop, webhook, event_id, by)
    if why_not:
        raise Invalid.one("", why_not, NOT_SENT_AGAIN[why_not])
    return event_id


def replay_dead(shop: Shop, webhook_oid: int, by: str, cursor: Any = None) -> tuple[int, Any]:
    """Send again what is on the endpoint's dead list and was ever a message, REPLAY_AT_ONCE of it. Returns how many,
    and where to go on or None."""
    webhook = _open(shop, webhook_oid)
    dead, cursor = shop.deliveries.dead(webhook_oid, limit=REPLAY_AT_ONCE, cursor=cursor)
    return sum(not _resend(shop, webhook, delivery.event_id, by) for delivery in dead), cursor


def _open(shop: Shop, webhook_oid: int) -> Webhook:
    webhook = shop.webhooks.get(webhook_oid).noun
    if webhook.disabled:
        raise Invalid.one("/disabled", "disabled", "nothing is sent to a webhook that is disabled; enable it first")
    return webhook


def _resend(shop: Shop, webhook: Webhook, event_id: str, by: str) -> str:
    """Why it cannot be sent again, a name of NOT_SENT_AGAIN; empty where it is. Raises NotFound."""
    for _ in range(MOST_TRIES):
        found = shop.deliveries.find(webhook.webhook_oid or 0, event_id)
        if found is None:
            raise NotFound("delivery", event_id)
        now = shop.clock.now()
        if webhooks.too_old(found.noun, now):
            return "too_old"
        if not found.noun.body:
            return "too_large"
        request = webhooks.request_id(now, shop.word())
        asked = webhooks.resend_log(found.noun, webhook, request, by, now)
        try:
            shop.write(*shop.deliveries.tried(webhooks.resent(found.noun, now), found.version, asked))
        except (Refused, Contended):
            continue
        return ""
    raise Contended(f"delivery {event_id} could not be set to be sent again")


def rotate_secret(shop: Shop, webhook_oid: int, *, at_once: bool = False) -> Webhook:
    """A new signing secret; the old one signs beside it for a day, or not at all any more (``at_once``: it has
    leaked). The answer shows it (``webhooks.shown`` with ``secret``). Raises NotFound and Invalid."""

    def change(webhook: Webhook) -> Webhook:
        return webhooks.rotated(webhook, _secret(shop), shop.clock.now(), at_once=at_once)

    return _changed(shop, webhook_oid, change)


def register(shop: Shop, webhook: Webhook, allowed: frozenset[str] = frozenset()) -> Webhook:
    """A new endpoint; the answer shows its secret and its password (``webhooks.shown``). Raises Invalid."""
    made = webhooks.begun(
        webhook,
        oid=next(shop.oids),
        merchant_id=shop.merchant_id,
        secret=_secret(shop),
        username=shop.word(),
        password=shop.word(),
        now=shop.clock.now(),
        allowed=allowed,
    )
    shop.write(shop.webhooks.inserted(made))
    return made


def _changed(shop: Shop, webhook_oid: int, change: Callable[[Webhook], Webhook]) -> Webhook:
    for _ in range(MOST_TRIES):
        found = shop.webhooks.get(webhook_oid)
        after = change(found.noun)
        try:
            shop.write(shop.webhooks.replaced(after, found.version))
        except (Refused, Contended):
            continue
        return after
    raise Contended(f"webhook {webhook_oid} could not be changed")


def _secret(shop: Shop) -> str:
    """A word holds 192 bits of chance; two are more than the 256 that a secret holds."""
    return webhooks.secret_text([shop.word(), shop.word()])
