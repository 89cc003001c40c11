"""A request to change an auto order, before it is laid over what stands: what may be sent back as it was read, what is
computed and cannot be said, and which new items are old ones in a request that was sent twice.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import COUNTERS, AutoOrder, AutoOrderItem
from chalicelib.domain.dates import Instant, local_date, parse_instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.heads import ItemProgress, State

# Records beside the auto order that an answer shows. A client that sends back all it has read may send them too; they
# are not read, for they are not the auto order's to change.
SENT_BACK = frozenset({"logs", "emails", "rebill_orders", "management"})
# The same inside an item: lists that follow from its schedule.
SENT_BACK_OF_ITEMS = frozenset({"future_schedules", "simple_schedule"})
# And inside the original order: what an answer puts there to show this auto order once more.
SENT_BACK_OF_ORDERS = frozenset({"auto_order"})
# What follows from other fields, and which: sent back as it was read it is fine, changed it is refused by name.
COMPUTED = {
    "calculated_next_shipment_dts": "next_shipment_dts and no_order_after_dts",
    "first_order_dts": "the orders that were billed",
    "life_time_value": "the orders that were billed",
    "next_item_id": "the item's steps; arbitrary_item_id sets another",
    "next_preshipment_notice_dts": "next_shipment_dts and the step's preshipment_notice_days",
    "preshipment_notice_sent": "the notices that were sent",
    "rebill_value": "the orders that were billed",
    "remaining_repeat_count": "the item's steps",
}


def prepared(raw: Mapping[str, Any], stands: AutoOrder, state: State, now: Instant, zone_name: str) -> dict[str, Any]:
    """The request as it may be laid over the auto order as it stands. Raises Invalid with all problems.

    What is malformed is left as it is: the noun's own rules say so better.
    """
    said = {name: value for name, value in raw.items() if name not in SENT_BACK}
    if isinstance(said.get("original_order"), dict):
        order = said["original_order"]
        said["original_order"] = {name: order[name] for name in order if name not in SENT_BACK_OF_ORDERS}
    problems = _of_next_attempt(said, stands, state, now, zone_name)
    if isinstance(said.get("items"), list):
        rows = [_without_lists(row) for row in said["items"]]
        known = {entry.auto_order_item_oid or 0: entry for entry in stands.items or []}
        problems += _of_computed(rows, known)
        said["items"] = _recognised(rows, known, state, zone_name)
    if problems:
        raise Invalid(problems[: wire.MAXIMUM_PROBLEMS])
    return said


def _without_lists(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    return {name: value for name, value in row.items() if name not in SENT_BACK_OF_ITEMS}


def _of_next_attempt(
    said: dict[str, Any], stands: AutoOrder, state: State, now: Instant, zone_name: str
) -> list[Problem]:
    """The date of the next attempt can be moved while a charge that failed waits to be tried again."""
    try:
        wanted = parse_instant(said.get("next_attempt") or "")
    except (TypeError, ValueError):
        return []
    if wanted == stands.next_attempt:
        return []
    if state.next_attempt is None:
        message = "no charge waits to be tried again: move the items' next_shipment_dts instead"
        return [Problem(pointer="/next_attempt", code="not_available", message=message)]
    if local_date(wanted, zone_name) < local_date(now, zone_name):
        return [Problem(pointer="/next_attempt", code="past_date", message="must be today or later")]
    return []


def _of_computed(rows: list[Any], known: Mapping[int, AutoOrderItem]) -> list[Problem]:
    problems = []
    for position, row in enumerate(rows):
        entry = _item_of(row)
        old = known.get(entry.auto_order_item_oid or 0) if entry else None
        if entry is None or old is None or any(_differs(entry, old, name) for name in COUNTERS):
            continue  # a copy that was read before a rebill is refused for that
        for name, source in COMPUTED.items():
            if _differs(entry, old, name):
                message = f"cannot be set: it follows from {source} (if that was not meant, read the auto order again)"
                problems.append(Problem(pointer=f"/items/{position}/{name}", code="read_only", message=message))
    return problems


def _differs(entry: AutoOrderItem, old: AutoOrderItem, name: str) -> bool:
    value = getattr(entry, name)
    return value is not None and value != getattr(old, name)


def _recognised(rows: list[Any], known: Mapping[int, AutoOrderItem], state: State, zone_name: str) -> list[Any]:
    """Items without an oid are new; but where the same request comes twice they are there already, and stay the same
    items, with all that has been billed of them."""
    named = {row.get("auto_order_item_oid") for row in rows if isinstance(row, dict)}
    free = [entry for oid, entry in known.items() if oid not in named]
    found = []
    for row in rows:
        new = _item_of(row)
        twin = None
        if new is not None and new.auto_order_item_oid is None:
            twin = next((entry for entry in free if _is_same(new, entry, state, zone_name)), None)
        if twin is None:
            found.append(row)
            continue
        free.remove(twin)
        found.append({**row, "auto_order_item_oid": twin.auto_order_item_oid})
        if new is not None and new.next_shipment_dts != twin.next_shipment_dts:
            # Its date has been billed meanwhile; the next one stays.
            found[-1].pop("next_shipment_dts", None)
    return found


def _is_same(new: AutoOrderItem, old: AutoOrderItem, state: State, zone_name: str) -> bool:
    """Whether all that the new item says is what the old one says. One that was bought with the original order is
    never meant."""
    progress = state.items.get(str(old.auto_order_item_oid))
    if progress is None or progress.original_value or (progress.first_order_dts and not progress.number_of_rebills):
        return False
    for name in new.__struct_fields__:
        value = getattr(new, name)
        if value is None or value == getattr(old, name):
            continue
        if name == "next_shipment_dts" and _is_billed(value, progress, zone_name):
            continue
        return False
    return True


def _is_billed(told: Instant, progress: ItemProgress, zone_name: str) -> bool:
    return progress.billed_day is not None and local_date(told, zone_name) <= progress.billed_day


def _item_of(row: Any) -> AutoOrderItem | None:
    """The row as an item; None where it is none."""
    try:
        return wire.noun(row, AutoOrderItem)
    except (Invalid, msgspec.ValidationError):
        return None
