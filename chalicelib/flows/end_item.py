"""Ending one item of an auto order that is named by its original order, with items that take its place."""

from typing import Any

from msgspec.structs import replace

from chalicelib.domain import item_cancels, wire
from chalicelib.domain.errors import Invalid, NotFound, Problem
from chalicelib.domain.item_cancels import AutoOrderItemCancelRequest
from chalicelib.domain.timeline import SYSTEM
from chalicelib.flows import edit
from chalicelib.flows.ports import Shop


def end_item(
    shop: Shop, reference_order_id: str, original_item_id: str, raw: Any, *, actor: str = SYSTEM
) -> tuple[int, str | None]:
    """End or remove the item and append the others, in one edit. Returns the oid and the id of the event, if there is
    one. Raises NotFound, and Invalid with all problems; nothing has happened then."""
    request = item_cancels.requested(raw)
    oid = shop.auto_orders.oid_by_original_order(reference_order_id)
    if oid is None:
        raise NotFound("auto order of the order", reference_order_id)
    return oid, edit.change(shop, oid, lambda stands: _ended(shop, stands, original_item_id, request, actor))


def _ended(
    shop: Shop, stands: edit.Standing, original_item_id: str, request: AutoOrderItemCancelRequest, actor: str
) -> edit.Thought | None:
    facts = stands.facts
    entry = item_cancels.chosen(stands.noun, original_item_id, request)
    entries, before = item_cancels.changed_items(
        stands.noun, facts.head.state, entry, request, facts.items, stands.now, facts.zone_name()
    )
    words = "removed" if request.mode == "remove" else "ended"
    message = f"Item {original_item_id} ({entry.auto_order_item_oid}) {words}"
    try:
        return edit.edited_by(shop, stands, {"items": wire.plain(entries)}, actor, message=message)
    except Invalid as invalid:
        raise Invalid([_in_request(problem, before) for problem in invalid.problems]) from None


def _in_request(problem: Problem, before: int) -> Problem:
    """What is wrong with an appended item, with its place in the request."""
    parts = problem.pointer.split("/")
    if len(parts) < 3 or parts[1] != "items" or not parts[2].isdecimal() or int(parts[2]) < before:
        return problem
    pointer = "/".join(["", "append_items", str(int(parts[2]) - before), *parts[3:]])
    return replace(problem, pointer=pointer)
