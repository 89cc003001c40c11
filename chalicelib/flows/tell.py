"""The relay: an event row becomes list rows, day totals, points, mails and webhook deliveries; then it is told.

Every step may happen twice and leaves the same behind; the event stays due until the last of them is written.
"""

import logging
from dataclasses import replace
from typing import Any, cast

from chalicelib.domain import search, webhooks
from chalicelib.domain.auto_orders import assembled
from chalicelib.domain.customer_search import row_of_customer
from chalicelib.domain.dates import local_date
from chalicelib.domain.errors import NotFound, Refused
from chalicelib.domain.events import Event, Happening, NounKind
from chalicelib.domain.mails import waiting_name
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import minor_units
from chalicelib.domain.problems import problems_of
from chalicelib.domain.reports import declined_on, paid_on, revenue_on
from chalicelib.domain.wire import Form, render
from chalicelib.flows import digest, merge_profiles, privacy, reward, show
from chalicelib.flows.customers_auto_orders import end_others
from chalicelib.flows.facts import with_step_items
from chalicelib.flows.notify import plan_mails
from chalicelib.flows.ports import AutoOrders, Change, Orders, Shop
from chalicelib.flows.refund_others import given_back, refund_others
from chalicelib.flows.report import cancel_rows
from chalicelib.flows.sweep import DELIVER_QUEUE

log = logging.getLogger(__name__)


def told_now(shop: Shop, event_id: str | None) -> None:
    """Tell an API call's event at once, so that lists show what was just written. Where that fails the relay does it
    within a minute; the call itself has succeeded."""
    if event_id is None:
        return
    try:
        tell(shop, event_id)
    except Exception:
        log.exception("event is left to the relay", extra={"event_id": event_id})


def tell(shop: Shop, event_id: str) -> bool:
    """Tell everybody of one event. False where it was told before, or is not there."""
    found = shop.events.find(event_id)
    if found is None or not found[1]:
        return False
    event = found[0]
    merchant = shop.configuration.remembered(Merchant)
    telling = _reading_once(shop)
    _plan_mails(telling, event)
    for position, problem in enumerate(problems_of(event)):
        digest.note(shop, f"{event.event_id}#{position}", problem, merchant)
    _plan_deliveries(telling, event, merchant.form())
    for kind, name in event.nouns() if event.webhook_oid is None else ():
        _note(telling, event, kind, name, merchant.zone_name())
    end_others(shop, event)
    refund_others(shop, event)
    merge_profiles.go_on(shop, event)
    privacy.go_on(shop, event)
    reward.earn(shop, event)
    day = local_date(event.dts, merchant.zone_name()).isoformat()
    amounts = _amounts(event, merchant)
    changes: list[Change] = [shop.lists.counted(day, amounts)] if amounts else []
    changes += _gateway_changes(shop, event, merchant)
    changes += given_back(shop, event)
    changes += cancel_rows(shop, event, merchant.zone_name())
    try:
        shop.write(*changes, shop.events.told(event_id, shop.clock.now()))
    except Refused:
        return False
    return True


class _ReadOnce:
    """A store whose nouns are read once while an event is told: receivers and lists are told the same, at one price.
    What changes meanwhile has an event of its own."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._known: dict[tuple[str, object], Any] = {}

    def read(self, name: object) -> Any:
        return self._once("read", name)

    def get(self, name: object) -> Any:
        return self.find(name) or self._store.get(name)

    def find(self, name: object) -> Any:
        return self._once("find", name)

    def _once(self, verb: str, name: object) -> Any:
        if (verb, name) not in self._known:
            self._known[verb, name] = getattr(self._store, verb)(name)
        return self._known[verb, name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _reading_once(shop: Shop) -> Shop:
    auto_orders, orders = cast(AutoOrders, _ReadOnce(shop.auto_orders)), cast(Orders, _ReadOnce(shop.orders))
    return replace(shop, auto_orders=auto_orders, orders=orders)


def _plan_mails(shop: Shop, event: Event) -> None:
    planned = plan_mails(shop, event)
    for mail in planned:
        _once(shop, [shop.mails.planned(mail)])
    subjects = [waiting_name(mail) for mail in planned if mail.state == "planned"]
    if subjects:
        shop.queue.send(DELIVER_QUEUE, [{"merchant_id": shop.merchant_id, "subject": name} for name in subjects])


def _plan_deliveries(shop: Shop, event: Event, form: Form) -> None:
    endpoints = [k.noun for k in shop.webhooks.all() if event.webhook_oid in (None, k.noun.webhook_oid)]
    if not endpoints:
        return
    for position, happening in enumerate(event.happenings):
        rendered: dict[str, Any] = {}
        for endpoint in endpoints:
            expansion = webhooks.subscribes(endpoint, happening.name)
            if expansion is None:
                continue
            if expansion not in rendered:
                rendered[expansion] = _shown(shop, happening, expansion, form)
            delivery = webhooks.planned(
                endpoint,
                webhooks.delivery_id(event.event_id, position),
                happening.name,
                rendered[expansion],
                shop.clock.now(),
                order_ids=_order_ids(happening, rendered[expansion]),
            )
            _once(shop, shop.deliveries.planned(delivery))


def _once(shop: Shop, changes: list[Change]) -> None:
    """What is planned already stays as it is."""
    try:
        shop.write(*changes)
    except Refused:
        return


def _order_ids(happening: Happening, rendered: Any) -> list[str]:
    if happening.kind == "order":
        return [happening.id]
    original = rendered.get("original_order_id") if isinstance(rendered, dict) else None
    return [original] if original else []


def _shown(shop: Shop, happening: Happening, expansion: str, form: Form) -> Any:
    """The noun as it stands when it is told; only its name where it is gone."""
    expand = [name.strip() for name in expansion.split(",") if name.strip()]
    try:
        match happening.kind:
            case "auto_order":
                return show.auto_order(shop, int(happening.id), expand, form)[0]
            case "order":
                return show.order(shop, shop.orders.get(happening.id).noun, expand, form)
            case "item":
                return render(shop.items.get(happening.id).noun, form, expand)
            case "customer":
                return render(shop.customers.get(happening.id).noun, form, expand)
    except NotFound:
        name = happening.id
        return {_NAMES[happening.kind]: int(name) if happening.kind in ("auto_order", "customer") else name}


_NAMES = {
    "auto_order": "auto_order_oid",
    "order": "order_id",
    "item": "merchant_item_id",
    "customer": "customer_profile_oid",
}


def _note(shop: Shop, event: Event, kind: NounKind, name: str, zone_name: str) -> None:
    """Make the noun's list row say what the noun says now."""
    now = shop.clock.now()
    try:
        match kind:
            case "auto_order":
                document, head = shop.auto_orders.read(int(name))
                original = shop.orders.get(document.noun.original_order_id or "")
                wanted = [entry.original_item_id or "" for entry in document.noun.items or []]
                items = {i.merchant_item_id or "": i for i in shop.items.get_many(list(dict.fromkeys(wanted)))}
                noun = assembled(document.noun, head, with_step_items(shop, items), zone_name, now)
                row = search.row_of_auto_order(noun, original.noun, now, held=head.state.held is not None)
                version = search.version_of_auto_order(head, document.version, original.version)
                shop.lists.note(kind, name, row, version, new=_new(event, kind, name))
            case "order":
                order = shop.orders.get(name)
                row = search.row_of_order(order.noun)
                shop.lists.note(kind, name, row, order.version, new=_new(event, kind, name))
            case "item":
                item = shop.items.get(name)
                version = search.version_of_item(item.noun.last_modified_dts or event.dts, item.version)
                shop.lists.note(kind, name, search.row_of_item(item.noun, now), version, new=_new(event, kind, name))
            case "customer":
                customer = shop.customers.get(name)
                row = row_of_customer(customer.noun, now)
                shop.lists.note_keyed(kind, name, row, customer.version, new=_new(event, kind, name))
    except NotFound:
        if kind == "item":
            shop.lists.drop(kind, name, search.version_of_item(event.dts, event.seq))
        elif kind == "customer":
            # An event of this profile alone has its version, after which an import that is undone may bring it back.
            # One that went into another comes back never.
            alone = [happening.id for happening in event.happenings] == [name]
            shop.lists.note_keyed(kind, name, None, event.seq if alone else search.LAST_VERSION)


def _new(event: Event, kind: NounKind, name: str) -> bool:
    """Whether the event made the noun, so that there is hardly a row of it yet."""
    made = f"{kind}_create"
    return any(happening.name == made and happening.id == name for happening in event.happenings)


def _gateway_changes(shop: Shop, event: Event, merchant: Merchant) -> list[Change]:
    """What the event adds to the usage of its rotating gateway."""
    if event.gateway is None:
        return []
    if event.failed:
        return shop.usage.declined(event.gateway)
    day = local_date(event.dts, merchant.zone_name())
    units = minor_units(event.revenue - event.credit, merchant.currency())
    return shop.usage.took(event.gateway, day, units, auto_order=event.rebills > 0)


def _amounts(event: Event, merchant: Merchant) -> dict[str, int]:
    """What the event adds to its day: counts, and revenue in the smallest coin."""
    amounts = {
        "revenue": minor_units(event.revenue, merchant.currency()),
        "orders": event.orders,
        "rebills": event.rebills,
        "declines": event.declines,
        "rebill_revenue": minor_units(event.revenue, merchant.currency()) if event.rebills else 0,
    }
    if event.attempt and event.declines:
        amounts[declined_on(event.attempt)] = event.declines
    elif event.attempt:
        amounts |= {paid_on(event.attempt): event.orders, revenue_on(event.attempt): amounts["revenue"]}
    return {name: amount for name, amount in amounts.items() if amount}
