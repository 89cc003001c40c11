"""Ending one item of an auto order: softly, by a date after which it is not billed, or by taking it away."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import MAXIMUM_ITEMS, AutoOrder, AutoOrderItem, now_or_before
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, NotFound, Problem
from chalicelib.domain.fields import Oid
from chalicelib.domain.heads import State
from chalicelib.domain.items import Item
from chalicelib.domain.wire import Noun


class AutoOrderItemCancelRequest(Noun):
    """``auto_order_item_oid`` says which, where several items have one original_item_id. ``append_items`` are added in
    the same moment, or nothing happens."""

    append_items: Annotated[list[AutoOrderItem], Meta(max_length=MAXIMUM_ITEMS)] | None = None
    auto_order_item_oid: Oid | None = None
    mode: Literal["end", "remove"] | None = None
    no_orders_after_dts: Instant | None = None


def requested(raw: Any) -> AutoOrderItemCancelRequest:
    """Raises Invalid with all problems."""
    request = wire.noun(raw, AutoOrderItemCancelRequest)
    if request.mode == "remove" and request.no_orders_after_dts is not None:
        message = "goes with mode 'end' only: what is removed has no date"
        raise Invalid.one("/no_orders_after_dts", "conflict", message)
    return request


def chosen(stands: AutoOrder, original_item_id: str, request: AutoOrderItemCancelRequest) -> AutoOrderItem:
    """The item that is meant. Raises NotFound, and Invalid where it is not said clearly which."""
    entries = stands.items or []
    if request.auto_order_item_oid is not None:
        found = [entry for entry in entries if entry.auto_order_item_oid == request.auto_order_item_oid]
        if not found:
            raise Invalid.one("/auto_order_item_oid", "unknown", f"is no item of it; these are: {_oids(entries)}")
        if found[0].original_item_id != original_item_id:
            message = f"is the item {found[0].original_item_id}, not {original_item_id}"
            raise Invalid.one("/auto_order_item_oid", "conflict", message)
        return found[0]
    found = [entry for entry in entries if entry.original_item_id == original_item_id]
    if not found:
        raise NotFound("auto order item", original_item_id)
    if len(found) > 1:
        message = f"is required, for several items are {original_item_id}; they are: {_oids(found)}"
        raise Invalid.one("/auto_order_item_oid", "required", message)
    return found[0]


def _oids(entries: list[AutoOrderItem]) -> str:
    return ", ".join(str(entry.auto_order_item_oid) for entry in entries) or "none"


def changed_items(
    stands: AutoOrder,
    state: State,
    entry: AutoOrderItem,
    request: AutoOrderItemCancelRequest,
    items: Mapping[str, Item],
    now: Instant,
    zone_name: str,
) -> tuple[list[AutoOrderItem], int]:
    """All items as they are to be, and how many of them were there before. Ending what has ended already changes
    nothing; items cannot be appended to that. Raises Invalid."""
    rest = [other for other in stands.items or [] if other is not entry]
    appended = request.append_items or []
    if request.mode == "remove":
        return [*rest, *appended], len(rest)
    over = entry.no_order_after_dts is not None and entry.no_order_after_dts <= now
    if over and request.no_orders_after_dts in (None, entry.no_order_after_dts):
        if appended:
            message = f"the item has ended already, on {entry.no_order_after_dts}: add items by an update"
            raise Invalid([Problem(pointer="/append_items", code="conflict", message=message)])
        return [*(stands.items or [])], len(rest) + 1
    progress = state.items.get(str(entry.auto_order_item_oid))
    item = items.get(entry.original_item_id or "")
    last = request.no_orders_after_dts or now_or_before(entry, progress, item, now, zone_name)
    ended = replace(entry, no_order_after_dts=last, cancel_dts=entry.cancel_dts or now)
    kept = [ended if other is entry else other for other in stands.items or []]
    return [*kept, *appended], len(kept)
