"""Webhooks over HTTP: the official client's nine calls, and our own: send again, list and replay the dead, rotate the
secret.

The signing secret is shown in the answer that makes it, and basic credentials in the answer of the insert; never again.
"""
# ruff: noqa: N803 - views take the parts of the path by the contract's names, which are camelCase here

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from chalicelib import wiring
from chalicelib.domain import webhooks
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.domain.fields import Text50, Text2000
from chalicelib.domain.webhooks import Delivery, DeliveryLog, Webhook, WebhookEventCategory, WebhookLogSummary
from chalicelib.domain.wire import Noun, refuse_owned, whole
from chalicelib.flows import endpoints
from chalicelib.flows.deliver import register, replay_dead, resend, rotate_secret, send_test
from chalicelib.handlers import cursors
from chalicelib.handlers.http import Ask, Door, many, oid_of, one, page_of

door = Door("webhooks")

NOUN = "webhook"
READ = "webhook_read"
WRITE = "webhook_write"
ALL = "/webhook/webhooks"
ONE = ALL + "/{webhookOid}"
LOGS = ONE + "/logs"
LOG = LOGS + "/{requestId}"
DEAD = ONE + "/dead"
PLACEHOLDERS = ("_placeholders",)
PAGING = ("_limit", "_offset")
BY_CURSOR = ("_limit", cursors.PARAMETER)
SORTABLE = ("webhook_url", "disabled")
CRITERIA = ("requestId", "beginDate", "endDate", "status", "success", "event", "orderId", "duration")
# The contract names it, and nothing here can search it: bodies stand apart from their logs.
NOT_AVAILABLE = "request"
# Ids of requests and events are shorter; what is longer names nothing.
LONGEST_NAME = 100
# Logs are walked from the newest; so far, a megabyte or ten, and the dates must say where.
MAXIMUM_WALK = 10_000
WALK_PAGE = 200
# A replay stops after so many seconds or deliveries, well before API Gateway does; who asks again gets the rest.
REPLAY_SECONDS = 15
MAXIMUM_REPLAY = 500


class WebhookReflow(Noun):
    event_name: Text50 | None = None
    queued: bool | None = None


class DeadDelivery(Noun):
    """A delivery that is not tried any more, and why."""

    event_id: Text50 | None = None
    event_names: list[str] | None = None
    order_ids: list[str] | None = None
    first_dts: Instant | None = None
    ended_dts: Instant | None = None
    tries: int | None = None
    resends: int | None = None
    reason: Text2000 | None = None


class Replay(Noun):
    """``replayed``: how many deliveries wait to be tried now; ``more``: call again for the rest."""

    replayed: int
    more: bool


class Resend(Noun):
    """``event_id``: the webhook-id under which the receiver gets it once more."""

    event_id: str
    queued: bool


def _answer(ask: Ask, webhook: Webhook, *, secret: bool = False, password: bool = False) -> dict[str, Any]:
    shown = webhooks.shown(webhook, placeholders=ask.flag("_placeholders"), secret=secret, password=password)
    return one("webhook", whole(shown, ask.form))


# --- endpoints -------------------------------------------------------------------------------------------------------


@door(
    "GET",
    ALL,
    READ,
    summary="Retrieve webhooks",
    gives=list[Webhook],
    query=(*PAGING, "_sort", *PLACEHOLDERS),
)
def get_webhooks(ask: Ask) -> dict[str, Any]:
    ask.only(*PAGING, "_sort", *PLACEHOLDERS)
    limit, offset = ask.page()
    placeholders = ask.flag("_placeholders")
    found = _sorted([kept.noun for kept in ask.shop.webhooks.all()], ask.query.get("_sort", ""))
    page = [
        replace(
            webhooks.shown(webhook, placeholders=placeholders),
            pending=ask.shop.deliveries.number_pending(webhook.webhook_oid or 0),
        )
        for webhook in page_of(found, limit, offset)
    ]
    return many("webhooks", [whole(w, ask.form) for w in page], limit=limit, offset=offset, total=len(found))


def _sorted(found: list[Webhook], text: str) -> list[Webhook]:
    """By ``_sort``; where that leaves it open by the address, then those that are enabled first."""
    asked = [part.strip() for part in text.split(",") if part.strip()]
    names = [part.lstrip("+-").strip() for part in asked]
    if unknown := [name for name in names if name not in SORTABLE]:
        message = f"'{unknown[0][:80]}' cannot be sorted by; these can: {', '.join(SORTABLE)}"
        raise Invalid.one("/_sort", "unknown_field", message)
    by_name: dict[str, Callable[[Webhook], Any]] = {
        "webhook_url": lambda webhook: webhook.webhook_url or "",
        "disabled": lambda webhook: bool(webhook.disabled),
    }
    found = sorted(found, key=lambda webhook: tuple(by_name[name](webhook) for name in SORTABLE))
    for part, name in reversed(list(zip(asked, names, strict=True))):
        found.sort(key=by_name[name], reverse=part.startswith("-"))
    return found


@door(
    "POST",
    ALL,
    WRITE,
    summary="Insert a webhook; shows its signing secret, and basic credentials that were made for it, this once",
    takes=Webhook,
    gives=Webhook,
    query=PLACEHOLDERS,
)
def insert_webhook(ask: Ask) -> dict[str, Any]:
    refuse_owned(ask.raw(), Webhook)
    made = register(ask.shop, ask.body(Webhook), wiring.house().outbound_allow)
    return _answer(ask, made, secret=True, password=True)


@door(
    "PUT",
    ONE,
    WRITE,
    summary="Update a webhook: only the keys present change, arrays whole; enabling it forgives its failures",
    takes=Webhook,
    gives=Webhook,
    query=PLACEHOLDERS,
)
def update_webhook(ask: Ask, webhookOid: str) -> dict[str, Any]:
    oid = oid_of(webhookOid, NOUN)
    allowed = wiring.house().outbound_allow
    webhook, version = endpoints.change(ask.shop, oid, ask.raw(), allowed, version=ask.if_match())
    ask.etag(version)
    pending = ask.shop.deliveries.number_pending(oid)
    return _answer(ask, replace(webhook, pending=pending))


@door("DELETE", ONE, WRITE, summary="Delete a webhook")
def delete_webhook(ask: Ask, webhookOid: str) -> None:
    endpoints.remove(ask.shop, oid_of(webhookOid, NOUN), version=ask.if_match())


@door(
    "DELETE",
    ALL,
    WRITE,
    summary="Delete the webhook whose webhook_url is the body's",
    takes=Webhook,
    gives=Webhook,
)
def delete_webhook_by_url(ask: Ask) -> dict[str, Any]:
    url = ask.body(Webhook).webhook_url
    if not url:
        raise Invalid.one("/webhook_url", "required", "is required")
    return _answer(ask, endpoints.remove_by_url(ask.shop, url))


@door(
    "GET",
    "/webhook/webhook_event_categories",
    READ,
    summary="Retrieve every event that a webhook can subscribe to",
    gives={"event_categories": list[WebhookEventCategory]},
)
def get_webhook_event_categories(ask: Ask) -> dict[str, Any]:
    return one("event_categories", whole(webhooks.catalogue(), ask.form))


@door(
    "POST",
    ONE + "/rotate_secret",
    WRITE,
    summary="Make a new signing secret, shown this once; the old one signs beside it for a day, at_once not at all",
    gives=Webhook,
    query=("at_once",),
)
def rotate_webhook_secret(ask: Ask, webhookOid: str) -> dict[str, Any]:
    at_once = ask.flag("at_once")
    return _answer(ask, rotate_secret(ask.shop, oid_of(webhookOid, NOUN), at_once=at_once), secret=True)


# --- what was delivered ----------------------------------------------------------------------------------------------


@door(
    "GET",
    LOGS,
    READ,
    summary="Retrieve the log summaries of a webhook, the newest first; duration: that many milliseconds or more",
    gives={"webhook_log_summaries": list[WebhookLogSummary]},
    query=(*CRITERIA, "_since", *PAGING),
)
def get_webhook_log_summaries(ask: Ask, webhookOid: str) -> dict[str, Any]:
    oid = ask.shop.webhooks.get(oid_of(webhookOid, NOUN)).noun.webhook_oid or 0
    if ask.query.get(NOT_AVAILABLE):
        raise Invalid.one(f"/{NOT_AVAILABLE}", "not_available", "requests cannot be searched; leave it out")
    ask.only(*CRITERIA, "_since", *PAGING, untold=(NOT_AVAILABLE,))
    limit, offset = ask.page()
    found = _logs(ask, oid, offset + limit + 1)
    page = [whole(log.summary(), ask.form) for log in page_of(found, limit, offset)]
    answer = many("webhook_log_summaries", page, limit=limit, offset=offset, total=None)
    return _with_more(answer, found, limit, offset)


@door(
    "GET",
    LOG,
    READ,
    summary="Retrieve a log: what was sent, and what came back",
    gives={"webhook_log": DeliveryLog},
)
def get_webhook_log(ask: Ask, webhookOid: str, requestId: str) -> dict[str, Any]:
    oid = ask.shop.webhooks.get(oid_of(webhookOid, NOUN)).noun.webhook_oid or 0
    log = ask.shop.deliveries.log(oid, _name(requestId, "webhook log"))
    if log is None:
        raise NotFound("webhook log", requestId)
    return one("webhook_log", whole(log, ask.form))


def _logs(ask: Ask, oid: int, most: int) -> list[DeliveryLog]:
    """The newest logs that meet all criteria, ``most`` of them. Raises Invalid for a criterion that is none, and where
    too many have to be looked at."""
    since, until = _span(ask)
    meant = _Criteria(ask)
    if request_id := ask.query.get("requestId"):
        log = ask.shop.deliveries.log(oid, request_id[:LONGEST_NAME])
        logs = [] if log is None or log.delivery_dts is None else [log]
        return [
            log
            for log in logs
            if meant.holds(log)
            and (since is None or since <= (log.delivery_dts or since))
            and (until is None or (log.delivery_dts or until) < until)
        ]
    found: list[DeliveryLog] = []
    walked, cursor = 0, None
    while len(found) < most:
        logs, cursor = ask.shop.deliveries.logs(oid, since=since, until=until, limit=WALK_PAGE, cursor=cursor)
        found += [log for log in logs if meant.holds(log)]
        if cursor is None:
            break
        walked += WALK_PAGE
        if walked >= MAXIMUM_WALK:
            raise _too_far("beginDate and endDate")
    return found[:most]


class _Criteria:
    """What the query asks of a log, apart from its time."""

    def __init__(self, ask: Ask) -> None:
        self._event = ask.query.get("event")
        self._order_id = ask.query.get("orderId")
        self._status = _number(ask, "status")
        self._duration = _number(ask, "duration")
        self._success = ask.flag("success") if ask.query.get("success") else None

    def holds(self, log: DeliveryLog) -> bool:
        return (
            (not self._event or self._event in (log.event_names or []))
            and (not self._order_id or self._order_id in (log.order_ids or []))
            and (self._status is None or self._status == log.status_code)
            and (self._duration is None or self._duration <= (log.duration or 0))
            and (self._success is None or self._success is log.success)
        )


def _span(ask: Ask) -> tuple[Instant | None, Instant | None]:
    """From when, and until before when. A day alone is the merchant's, and the last one counts to its end."""
    begins = [ask.moment(name) for name in ("beginDate", "_since")]
    return max((b for b in begins if b is not None), default=None), ask.moment("endDate", last=True)


def _number(ask: Ask, name: str) -> int | None:
    text = ask.query.get(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Invalid.one(f"/{name}", "wrong_type", "must be a whole number, zero or more")
    return int(text)


@door(
    "POST",
    ONE + "/reflow/{eventName}",
    WRITE,
    summary="Send the event for everything that exists, to this webhook: item_update or order_create",
    gives={"reflow": WebhookReflow},
)
def resend_event(ask: Ask, webhookOid: str, eventName: str) -> dict[str, Any]:
    endpoints.reflow(ask.shop, oid_of(webhookOid, NOUN), eventName)
    return one("reflow", whole(WebhookReflow(event_name=eventName, queued=True), ask.form))


# --- what was not ----------------------------------------------------------------------------------------------------


@door(
    "POST",
    LOG + "/resend",
    WRITE,
    summary="Send a delivery again, the same id and body: by the request_id of a log, or the event_id of a dead one",
    gives={"resend": Resend},
)
def resend_webhook_delivery(ask: Ask, webhookOid: str, requestId: str) -> dict[str, Any]:
    oid = oid_of(webhookOid, NOUN)
    event_id = resend(ask.shop, oid, _name(requestId, "delivery"), _who(ask))
    return one("resend", whole(Resend(event_id=event_id, queued=True), ask.form))


@door(
    "POST",
    ONE + "/test",
    WRITE,
    summary="Send a test event, webhook_test, to the webhook: signed and logged as all others are",
    gives={"resend": Resend},
)
def send_test_webhook_event(ask: Ask, webhookOid: str) -> dict[str, Any]:
    event_id = send_test(ask.shop, oid_of(webhookOid, NOUN), _who(ask))
    return one("resend", whole(Resend(event_id=event_id, queued=True), ask.form))


@door(
    "GET",
    DEAD,
    READ,
    summary="Retrieve the deliveries that are not tried any more, the last to die first",
    gives={"dead_deliveries": list[DeadDelivery]},
    query=BY_CURSOR,
)
def get_dead_webhook_deliveries(ask: Ask, webhookOid: str) -> dict[str, Any]:
    oid = ask.shop.webhooks.get(oid_of(webhookOid, NOUN)).noun.webhook_oid or 0
    ask.only(*BY_CURSOR)
    limit, _ = ask.page()
    found: list[Delivery] = []
    cursor = cursors.asked(ask)
    while True:
        dead, cursor = ask.shop.deliveries.dead(oid, limit=limit - len(found), cursor=cursor)
        found += dead
        if cursor is None or len(found) == limit:
            break
    answer = one("dead_deliveries", [whole(_dead(delivery), ask.form) for delivery in found])
    answer["metadata"].update(cursors.next_page(ask, cursor))
    return answer


def _dead(delivery: Delivery) -> DeadDelivery:
    return DeadDelivery(
        event_id=delivery.event_id,
        event_names=delivery.event_names,
        order_ids=delivery.order_ids,
        first_dts=delivery.first_dts,
        ended_dts=delivery.ended_dts,
        tries=delivery.tries,
        resends=delivery.resends,
        reason=delivery.reason,
    )


@door(
    "POST",
    DEAD + "/replay",
    WRITE,
    summary="Send again what is not tried any more; more: there may be some left, so call again",
    gives={"replay": Replay},
)
def replay_dead_webhook_deliveries(ask: Ask, webhookOid: str) -> dict[str, Any]:
    oid = oid_of(webhookOid, NOUN)
    until = ask.time_left() - REPLAY_SECONDS
    replayed, cursor = replay_dead(ask.shop, oid, _who(ask))
    while cursor is not None and replayed < MAXIMUM_REPLAY and ask.time_left() > until:
        count, cursor = replay_dead(ask.shop, oid, _who(ask), cursor)
        replayed += count
    return one("replay", whole(Replay(replayed=replayed, more=cursor is not None), ask.form))


# --- inside ----------------------------------------------------------------------------------------------------------


def _who(ask: Ask) -> str:
    return ask.access.name if ask.access else "nobody"


def _name(text: str, noun: str) -> str:
    if len(text) > LONGEST_NAME:
        raise NotFound(noun, text[:LONGEST_NAME])
    return text


def _with_more(answer: dict[str, Any], found: list[Any], limit: int, offset: int) -> dict[str, Any]:
    """How many there are in all nobody has counted; whether there are more is known."""
    result_set = answer["metadata"]["result_set"]
    result_set["more"] = len(found) > offset + limit
    if result_set["more"]:
        result_set["next_offset"] = offset + limit
    return answer


def _too_far(name: str) -> Invalid:
    message = f"this is more than {MAXIMUM_WALK:,} entries back; narrow it by {name}"
    return Invalid.one("/_offset", "too_far", message)
