"""Editing an auto order: one transaction over document, head, original order, timeline and event, each under its
version. What changes nothing writes nothing, so the same request may come twice."""

from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.actions import all_paused, sent_on
from chalicelib.domain.auto_orders import AutoOrder, Edited, assembled, edited
from chalicelib.domain.cancel_items import owed
from chalicelib.domain.cancellation import coming_of, skip_of
from chalicelib.domain.dates import Instant
from chalicelib.domain.edit_requests import prepared
from chalicelib.domain.errors import Contended, Invalid, NotFound, Problem, Refused, Stale
from chalicelib.domain.events import Event, Happening, Notice, event_id
from chalicelib.domain.heads import Head
from chalicelib.domain.orders import Order
from chalicelib.domain.rebills import Facts, next_look
from chalicelib.domain.timeline import SYSTEM, Kind, changed_entry, differences, order_differences
from chalicelib.flows.facts import facts_of, read_facts
from chalicelib.flows.ports import Change, Kept, Shop

# An edit that met a faster writer is thought out again on what stands now.
MOST_TRIES = 5
# Blocks of the original order that an auto order's edit may change: where it goes and who is billed.
EDITABLE_BLOCKS = ("billing", "shipping")


class Standing(NamedTuple):
    """An auto order as it was read to be changed. ``noun`` is the assembled one, as clients see it."""

    oid: int
    facts: Facts
    document: Kept[AutoOrder]
    original: Kept[Order]
    noun: AutoOrder
    now: Instant


class Thought(NamedTuple):
    """What a change comes to: its event, and all that is written with it."""

    event: Event
    changes: list[Change]


Think = Callable[[Standing], Thought | None]


def update(shop: Shop, oid: int, raw: Any, *, actor: str = SYSTEM, version: int | None = None) -> str | None:
    """Lay the request over the auto order as it stands and store it. Returns the id of the event, if there is one.

    ``version`` is the one that If-Match named, if it did. Raises NotFound, Stale, and Invalid with all problems.
    """
    return change(shop, oid, lambda stands: laid_over(shop, stands, _object(raw), actor), version=version)


def cancel(shop: Shop, oid: int, *, by: str, reason: str | None = None, by_customer: bool = False) -> str | None:
    """Cancel an auto order. What is canceled already stays as it is. Returns the id of the event, if there is one.
    ``by_customer``: he can name the reasons only that he is shown."""

    def think(stands: Standing) -> Thought | None:
        if stands.noun.status not in ("active", "disabled") or stands.noun.canceled_dts is not None:
            return None
        said = {"enabled": False, "canceled_by_user": by} | ({"cancel_reason": reason} if reason else {})
        return laid_over(shop, stands, said, by, by_customer=by_customer)

    return change(shop, oid, think)


def rehearsed(shop: Shop, oid: int, raw: Any) -> None:
    """Raises what ``update`` would raise now; writes nothing."""
    laid_over(shop, standing(shop, oid), _object(raw), SYSTEM)


def pause(shop: Shop, oid: int, *, paused: bool = True, actor: str = SYSTEM) -> str | None:
    """Pause every item, or go on with every one. Pausing what is paused changes nothing. Returns the id of the event,
    if there is one."""
    return change(shop, oid, lambda stands: laid_over(shop, stands, all_paused(stands.noun, paused=paused), actor))


def skip(shop: Shop, oid: int, day: date, *, actor: str = SYSTEM) -> str | None:
    """Leave out what is to be sent on that day; what comes next keeps its date. Where nothing comes on it (any more),
    nothing changes: the same request sent twice skips once. Returns the id of the event, if there is one."""

    def think(stands: Standing) -> Thought | None:
        wanted = skip_of(stands.facts, stands.now)
        if wanted is None or wanted.day != day:
            return None
        return laid_over(shop, stands, sent_on(stands.noun, wanted.days, stands.facts.zone_name()), actor)

    return change(shop, oid, think)


def reschedule(shop: Shop, oid: int, day: date, to: date, *, actor: str = SYSTEM) -> str | None:
    """Send on another day what is to be sent on that one; what comes later is counted from there. Where nothing comes
    on it (any more), nothing changes: the same request sent twice moves once. Returns the id of the event, if there is
    one. Raises Invalid for a day that is no day to send on."""

    def think(stands: Standing) -> Thought | None:
        wanted = coming_of(stands.facts, stands.now)
        if wanted is None or wanted.day != day:
            return None
        days = dict.fromkeys(wanted.oids, to)
        return laid_over(shop, stands, sent_on(stands.noun, days, stands.facts.zone_name()), actor)

    return change(shop, oid, think)


def reset_attempts(shop: Shop, oid: int, *, actor: str = SYSTEM) -> str | None:
    """Count the failed attempts of the open run from nought again; the date of the next one stays as it was told."""

    def think(stands: Standing) -> Thought | None:
        refuse_merged(stands)
        head = stands.facts.head
        return None if head.round == 0 else composed(shop, stands, head=replace(head, round=0), actor=actor)

    return change(shop, oid, think)


def update_item(
    shop: Shop, oid: int, item_oid: int, field: str, said_as: str, value: Any, *, actor: str = SYSTEM
) -> str | None:
    """Replace one field of one item. ``said_as`` is the request's name for it, so that what is wrong is named there.
    Raises NotFound, and Invalid with all problems."""

    def think(stands: Standing) -> Thought | None:
        entries = stands.noun.items or []
        place = next((at for at, entry in enumerate(entries) if entry.auto_order_item_oid == item_oid), None)
        if place is None:
            raise NotFound("auto order item", item_oid)
        rows = [wire.plain(entry) for entry in entries]
        rows[place][field] = value
        try:
            return laid_over(shop, stands, {"items": rows}, actor)
        except Invalid as invalid:
            at, named = f"/items/{place}/{field}", f"/{said_as}"
            problems = [replace(p, pointer=p.pointer.replace(at, named, 1)) for p in invalid.problems]
            raise Invalid(problems) from None

    return change(shop, oid, think)


def note_rebill_asked(shop: Shop, oid: int, head: Head, *, actor: str) -> None:
    """Who asked for an attempt by hand; what came of it tells itself."""
    entry = changed_entry("rebill_asked", shop.clock.now(), actor, [], message="A rebill was asked for by hand")
    seq = head.fence + head.revision + head.run
    shop.write(shop.auto_orders.logged(oid, entry, seq, shop.word()))


def change(shop: Shop, oid: int, think: Think, *, version: int | None = None) -> str | None:
    """Read, think, write; again where somebody was faster. Returns the id of the event; None: nothing was to change."""
    for _ in range(MOST_TRIES):
        stands = standing(shop, oid)
        if version is not None and stands.document.version != version:
            raise Stale(f"The auto order is at version {stands.document.version} now.")
        thought = think(stands)
        if thought is None:
            return None
        try:
            shop.write(*thought.changes)
        except Refused:
            continue
        return thought.event.event_id
    raise Contended("the auto order is being changed by others; try again")


def standing(shop: Shop, oid: int) -> Standing:
    """Raises NotFound."""
    facts, document, original = read_facts(shop, oid, to_charge=False)
    now = shop.clock.now()
    noun = assembled(facts.auto_order, facts.head, facts.items, facts.zone_name(), now)
    return Standing(oid, facts, document, original, noun, now)


def refuse_merged(stands: Standing) -> None:
    """Raises Invalid for an auto order whose items stand in another."""
    if stands.facts.head.status == "merged":
        target = stands.noun.merged_into_auto_order_oid
        raise Invalid.one("/status", "merged", f"it was merged into auto order {target}: change that one")


def composed(
    shop: Shop,
    stands: Standing,
    *,
    head: Head,
    actor: str,
    document: AutoOrder | None = None,
    order: Order | None = None,
    facts: Facts | None = None,
    kind: Kind = "edited",
    event_name: str = "auto_order_update",
    transition: str = "",
    message: str = "",
    reason: str | None = None,
    more: list[Change] | None = None,
) -> Thought | None:
    """The change that makes the auto order this document and head and its original order this one; None where nobody
    would see a difference. ``head`` comes with the revision that was read; ``facts`` where the new document's items
    are in the catalogue already read; ``more`` is written with it."""
    zone_name, before = stands.facts.zone_name(), stands.facts.head
    document = document or stands.document.noun
    head = replace(head, revision=before.revision + 1)
    known = facts or stands.facts
    noun = assembled(document, head, known.items, zone_name, stands.now)
    if noun == stands.noun and order is None:
        return None
    after = due_after(
        replace(known, auto_order=document, head=head, original=order or stands.original.noun), stands.now
    )
    changes = differences(stands.noun, noun, zone_name)
    if order is not None:
        changes += order_differences(stands.original.noun, order, zone_name)
    entry = changed_entry(kind, stands.now, actor, changes, message=message, reason=reason)
    happenings = [Happening(name=event_name, kind="auto_order", id=str(stands.oid))]
    if order is not None:
        happenings.append(Happening(name="order_update", kind="order", id=document.original_order_id or ""))
    event = happened(shop, stands.oid, transition or f"edited#{after.revision}", after, stands.now, happenings)
    if event_name == "auto_order_cancel":
        event.notices = [Notice(template="canceled", kind="auto_order", id=str(stands.oid))]
    written: list[Change] = [
        shop.auto_orders.moved(stands.oid, before, after),
        shop.auto_orders.edited(document, stands.document.version),
        shop.auto_orders.logged(stands.oid, entry, event.seq, event.event_id),
        shop.events.happened(event),
        *(more or []),
    ]
    if order is not None:
        written.append(shop.orders.edited(order, stands.original.version))
    return Thought(event, written)


def due_after(facts: Facts, now: Instant) -> Head:
    """When to look next: at once where an attempt is open, for the edit may forbid what it would do."""
    head = facts.head
    if head.attempt is None:
        return replace(head, due_dts=next_look(facts, head, now))
    return replace(head, due_dts=now, attempt=replace(head.attempt, look_dts=None, missing=0))


def happened(shop: Shop, oid: int, transition: str, after: Head, now: Instant, happenings: list[Happening]) -> Event:
    return Event(
        event_id=event_id(shop.merchant_id, f"auto_order#{oid}", transition),
        dts=now,
        happenings=happenings,
        seq=after.fence + after.revision + after.run,
    )


# --- one edit --------------------------------------------------------------------------------------------------------


def _object(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Invalid.one("", "wrong_type", "the body must be an object")
    return raw


def laid_over(
    shop: Shop, stands: Standing, raw: dict[str, Any], actor: str, *, by_customer: bool = False
) -> Thought | None:
    """The edit that a request comes to. Raises Invalid with all problems."""
    said = prepared(raw, stands.noun, stands.facts.head.state, stands.now, stands.facts.zone_name())
    return edited_by(shop, stands, said, actor, by_customer=by_customer)


def edited_by(
    shop: Shop,
    stands: Standing,
    said: dict[str, Any],
    actor: str,
    *,
    message: str = "",
    by_customer: bool = False,
) -> Thought | None:
    """The edit that lays what was said over the auto order. Raises Invalid with all problems."""
    facts, zone_name, now = stands.facts, stands.facts.zone_name(), stands.now
    wanted = wire.overlay(stands.noun, {name: value for name, value in said.items() if name != "original_order"})
    ordered = _original(stands.original.noun, said.get("original_order"))
    facts = facts_of(shop, wanted, facts.head, ordered or stands.original.noun, to_charge=False)
    rules = (facts.settings, now, zone_name, shop.oids)
    done = edited(stands.noun, wanted, facts.head, facts.items, *rules, by_customer=by_customer)
    if done.canceled and stands.noun.enabled and any(owed(done.document.items or [], done.head.state, facts.items)):
        done.head.state.cancel_item = "canceled"
    kind, event_name = _named(stands.noun, done)
    thought = composed(
        shop,
        stands,
        document=done.document,
        head=done.head,
        order=ordered,
        facts=facts,
        actor=actor,
        kind=kind,
        event_name=event_name,
        message=message or _message(done),
        reason=done.document.cancel_reason if done.canceled else None,
    )
    if thought is not None:
        refuse_merged(stands)
    return thought


def _original(order: Order, raw: Any) -> Order | None:
    """The original order with new addresses; None where the request does not speak of it. A text that is left blank is
    taken away, for nothing of an address can be said by leaving it out."""
    if raw is None:
        return None
    said, blanks = _without_blanks(raw)
    try:
        changed = wire.overlay(order, said)
    except Invalid as invalid:
        raise Invalid([replace(p, pointer=f"/original_order{p.pointer}") for p in invalid.problems]) from None
    for block, names in blanks.items():
        if (address := getattr(changed, block)) is not None:
            address = replace(address, **dict.fromkeys(names))
            changed = replace(changed, **{block: None if address == type(address)() else address})
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


def _without_blanks(raw: Any) -> tuple[Any, dict[str, list[str]]]:
    """The request without the blank texts of addresses, and their names by block."""
    if not isinstance(raw, dict):
        return raw, {}
    said, blanks = dict(raw), {}
    for block in EDITABLE_BLOCKS:
        if isinstance(raw.get(block), dict):
            said[block] = {name: value for name, value in raw[block].items() if value != ""}
            blanks[block] = [name for name, value in raw[block].items() if value == ""]
    return said, blanks


def _named(before: AutoOrder, done: Edited) -> tuple[Kind, str]:
    """What the edit is called in the timeline, and its event."""
    if done.canceled:
        return "canceled", "auto_order_cancel"
    if done.disabled:
        return "disabled", "auto_order_disable"
    return ("enabled" if done.head.status == "active" and not before.enabled else "edited"), "auto_order_update"


def _message(done: Edited) -> str:
    if done.canceled:
        who = done.document.canceled_by_user or "the merchant"
        return f"Canceled by {who}: {done.document.cancel_reason or 'no reason given'}"
    return "Disabled" if done.disabled else ""
