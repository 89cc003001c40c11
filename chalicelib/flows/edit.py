"""Editing an auto order: one transaction over document, head, original order, log and event, each under its version."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import AutoOrder, AutoOrderLog, Edited, assembled, edited
from chalicelib.domain.cancel_items import owed
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Contended, Invalid, Problem, Refused, Stale
from chalicelib.domain.events import Event, Happening, event_id
from chalicelib.domain.heads import Head
from chalicelib.domain.orders import Order
from chalicelib.domain.rebills import Facts, next_look
from chalicelib.flows.facts import facts_of, read_facts
from chalicelib.flows.ports import Change, Kept, Shop

# An edit that met a faster writer is thought out again on what stands now.
MOST_TRIES = 5
# Blocks of the original order that an auto order's edit may change: where it goes and who is billed.
EDITABLE_BLOCKS = ("billing", "shipping")


def update(shop: Shop, oid: int, raw: Any, *, version: int | None = None) -> str:
    """Lay the request over the auto order as it stands and store it. Returns the id of the event.

    ``version`` is the one that If-Match named, if it did. Raises NotFound, Stale, and Invalid with all problems.
    """
    if not isinstance(raw, dict):
        raise Invalid.one("", "wrong_type", "the body must be an object")
    return _update(shop, oid, lambda stands: raw, version) or ""


def cancel(shop: Shop, oid: int, *, by: str, reason: str | None = None) -> str | None:
    """Cancel an auto order. What is canceled already stays as it is. Returns the id of the event, if there is one."""

    def request(stands: AutoOrder) -> dict[str, Any] | None:
        if stands.status not in ("active", "disabled") or stands.canceled_dts is not None:
            return None
        return {"enabled": False, "canceled_by_user": by} | ({"cancel_reason": reason} if reason else {})

    return _update(shop, oid, request, None)


def pause(shop: Shop, oid: int) -> str | None:
    """Pause every item. Pausing what is paused changes nothing. Returns the id of the event, if there is one."""
    return _update(shop, oid, _paused, None)


def _paused(stands: AutoOrder) -> dict[str, Any] | None:
    """The request that pauses every item and leaves all else of it as it stands."""
    entries = stands.items or []
    if entries and all(entry.paused for entry in entries):
        return None
    return {"items": [wire.plain(replace(entry, paused=True)) for entry in entries]}


def _update(
    shop: Shop, oid: int, request: Callable[[AutoOrder], dict[str, Any] | None], version: int | None
) -> str | None:
    """``request`` says what is to change of the auto order as it stands; None: nothing."""
    for _ in range(MOST_TRIES):
        facts, document, original = read_facts(shop, oid)
        if version is not None and document.version != version:
            raise Stale(f"The auto order is at version {document.version} now.")
        stands = assembled(facts.auto_order, facts.head, facts.items, facts.zone_name(), shop.clock.now())
        raw = request(stands)
        if raw is None:
            return None
        event, changes = _changes(shop, oid, raw, stands, facts, document, original)
        try:
            shop.write(*changes)
        except Refused:
            continue
        return event.event_id
    raise Contended("the auto order is being changed by others; try again")


def _changes(
    shop: Shop,
    oid: int,
    raw: dict[str, Any],
    before: AutoOrder,
    facts: Facts,
    document: Kept[AutoOrder],
    original: Kept[Order],
) -> tuple[Event, list[Change]]:
    now, zone_name = shop.clock.now(), facts.zone_name()
    wanted = wire.overlay(before, {name: value for name, value in raw.items() if name != "original_order"})
    ordered = _original(original.noun, raw.get("original_order"))
    facts = facts_of(shop, wanted, facts.head, ordered or original.noun)
    done = edited(before, wanted, facts.head, facts.items, facts.settings, now, zone_name, shop.oids)
    if done.canceled and before.enabled and any(owed(done.document.items or [], done.head.state, facts.items)):
        done.head.state.cancel_item = "canceled"
    after = _due(replace(facts, auto_order=done.document, head=done.head), now)
    changes: list[Change] = [
        shop.auto_orders.moved(oid, facts.head, after),
        shop.auto_orders.edited(done.document, document.version),
    ]
    if ordered is not None:
        changes.append(shop.orders.edited(ordered, original.version))
    event = _event(shop, oid, done, after, now, changed_order=ordered is not None)
    log = AutoOrderLog(log_dts=now, log_message=_message(done, raw))
    return event, [*changes, shop.auto_orders.logged(oid, log, event.event_id), shop.events.happened(event)]


def _due(facts: Facts, now: Instant) -> Head:
    """When to look next: at once where an attempt is open, for the edit may forbid what it would do."""
    head = facts.head
    if head.attempt is None:
        return replace(head, due_dts=next_look(facts, head, now))
    return replace(head, due_dts=now, attempt=replace(head.attempt, look_dts=None, missing=0))


def _original(order: Order, raw: Any) -> Order | None:
    """The original order with new addresses; None where the request does not speak of it."""
    if raw is None:
        return None
    changed = wire.overlay(order, raw)
    other = [
        name
        for name in wire.plain(changed)
        if name not in EDITABLE_BLOCKS and wire.plain(changed).get(name) != wire.plain(order).get(name)
    ]
    if other:
        raise Invalid(
            [
                Problem(
                    pointer=f"/original_order/{name}",
                    code="read_only",
                    message=f"only {' and '.join(EDITABLE_BLOCKS)} of the original order can be changed here",
                )
                for name in other
            ]
        )
    return changed if changed != order else None


def _event(shop: Shop, oid: int, done: Edited, after: Head, now: Instant, *, changed_order: bool) -> Event:
    name = "auto_order_cancel" if done.canceled else "auto_order_disable" if done.disabled else "auto_order_update"
    happenings = [Happening(name=name, kind="auto_order", id=str(oid))]
    if changed_order:
        order_id = done.document.original_order_id or ""
        happenings.append(Happening(name="order_update", kind="order", id=order_id))
    return Event(
        event_id=event_id(shop.merchant_id, f"auto_order#{oid}", f"edited#{after.revision}"),
        dts=now,
        happenings=happenings,
        seq=after.fence + after.revision + after.run,
    )


def _message(done: Edited, raw: dict[str, Any]) -> str:
    if done.canceled:
        who = done.document.canceled_by_user or "the merchant"
        return f"Canceled by {who}: {done.document.cancel_reason or 'no reason given'}"
    if done.disabled:
        return "Disabled"
    return ("Changed " + ", ".join(sorted(raw)))[:1000]
