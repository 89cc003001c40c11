"""Webhook endpoints by hand: change one, delete one, send it once more what exists already."""

from typing import Any

from chalicelib.domain import search, webhooks
from chalicelib.domain.dates import later
from chalicelib.domain.errors import Contended, Invalid, Refused, Stale
from chalicelib.domain.events import REFLOWABLE, Event, Happening, event_id
from chalicelib.domain.webhooks import Webhook
from chalicelib.flows.ports import Kept, Shop

# How often a write is tried again when somebody else was first: every failed delivery counts on the same record.
MOST_TRIES = 8
# Nouns of one event row of a reflow: the relay tells a row in a few seconds, and looks at its time in between.
REFLOW_PAGE = 100
# The rows of a reflow come due one after the other: 600 nouns a minute leave the relay most of its time for what
# happens meanwhile, and ten deliveries a second are no flood to a receiver.
REFLOW_SECONDS_PER_PAGE = 10
# A reflow is queued within one call (a thousand small writes at most); who has more reads them page by page.
MAXIMUM_REFLOW = 100_000
# Each reflow may be many deliveries, so a loop that asks for it is stopped.
REFLOWS_PER_HOUR = 10

REFLOWS: dict[str, search.Kind] = {"item_update": "item", "order_create": "order"}


def change(
    shop: Shop, webhook_oid: int, raw: Any, allowed: frozenset[str] = frozenset(), version: int | None = None
) -> tuple[Webhook, int]:
    """The endpoint after a partial update, and its version. ``allowed`` as in ``webhooks.target_of``.

    Raises NotFound, Stale (``version`` is no longer the one that stands) and Invalid.
    """

    for _ in range(MOST_TRIES):
        found = _read(shop, webhook_oid, version)
        after = webhooks.edited(found.noun, raw, shop.clock.now(), allowed)
        try:
            shop.write(shop.webhooks.replaced(after, found.version))
        except (Refused, Contended):
            continue
        return after, found.version + 1
    raise Contended(f"webhook {webhook_oid} could not be changed")


def remove(shop: Shop, webhook_oid: int, version: int | None = None) -> Webhook:
    """The endpoint is no more; what waits for it ends on its next try. Returns it as it was. Raises NotFound, Stale."""
    for _ in range(MOST_TRIES):
        found = _read(shop, webhook_oid, version)
        try:
            shop.write(shop.webhooks.removed(webhook_oid, found.version))
        except (Refused, Contended):
            continue
        return found.noun
    raise Contended(f"webhook {webhook_oid} could not be deleted")


def remove_by_url(shop: Shop, url: str) -> Webhook:
    """The same for the one endpoint with exactly this address. Raises Invalid where there is none, or more than one."""
    oids = [kept.noun.webhook_oid or 0 for kept in shop.webhooks.all() if kept.noun.webhook_url == url]
    if not oids:
        raise Invalid.one("/webhook_url", "not_found", "no webhook has this address")
    if len(oids) > 1:
        named = ", ".join(str(oid) for oid in sorted(oids))
        raise Invalid.one("/webhook_url", "ambiguous", f"several webhooks have this address; delete by oid: {named}")
    return remove(shop, oids[0])


def _read(shop: Shop, webhook_oid: int, version: int | None) -> Kept[Webhook]:
    found = shop.webhooks.get(webhook_oid)
    if version is not None and found.version != version:
        raise Stale(f"The webhook is at version {found.version} now.")
    return found


def reflow(shop: Shop, webhook_oid: int, event_name: str) -> int:
    """Queue the event for every noun there is, to this endpoint alone: event rows that the relay tells one after the
    other, so the endpoint gets each noun as it stands by then. Returns how many.

    Raises NotFound, TooMany, and Invalid for an event that is not sent again or not subscribed to.
    """
    if event_name not in REFLOWABLE:
        allowed = ", ".join(sorted(REFLOWABLE))
        message = f"'{event_name[:50]}' is not sent again for what exists; these are: {allowed}"
        raise Invalid.one("/eventName", "not_available", message)
    webhook = shop.webhooks.get(webhook_oid).noun
    if stop := webhooks.reason_to_stop(webhook):
        raise Invalid.one("/disabled", "disabled", f"nothing is sent to it: {stop}")
    if webhooks.subscribes(webhook, event_name) is None:
        raise Invalid.one("/eventName", "not_subscribed", f"the webhook is not subscribed to {event_name}")
    now = shop.clock.now()
    shop.limits.take(f"reflow#{webhook_oid}", REFLOWS_PER_HOUR, 3600, now)
    kind = REFLOWS[event_name]
    names = _names(shop, kind)
    word = shop.word()
    for page, start in enumerate(range(0, len(names), REFLOW_PAGE)):
        row = Event(
            event_id=event_id(shop.merchant_id, f"webhook#{webhook_oid}", f"reflow#{event_name}#{word}#{page}"),
            dts=later(now, seconds=page * REFLOW_SECONDS_PER_PAGE),
            happenings=[Happening(name=event_name, kind=kind, id=name) for name in names[start : start + REFLOW_PAGE]],
            webhook_oid=webhook_oid,
        )
        shop.write(shop.events.happened(row))
    return len(names)


def _names(shop: Shop, kind: search.Kind) -> list[str]:
    """Of every noun of the kind: orders as they were placed, items by their ids."""
    names = [name for name, _ in search.sort(kind, list(shop.lists.rows(kind)), ())]
    if len(names) > MAXIMUM_REFLOW:
        message = f"there are {len(names):,} of them, more than {MAXIMUM_REFLOW:,}; read them page by page instead"
        raise Invalid.one("", "too_many", message)
    return names
