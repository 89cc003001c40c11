"""The cancel item: what a customer is charged once more who cancels before the minimums that the item's auto-order tab
sets. Where several minimums are set, all must be reached; where none is set, canceling always costs."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec

from chalicelib.domain.auto_orders import AutoOrderItem, cost_of, occurrences
from chalicelib.domain.dates import Instant
from chalicelib.domain.heads import ItemProgress, State
from chalicelib.domain.items import Item, ItemAutoOrder


class Owed(msgspec.Struct, kw_only=True, frozen=True):
    """An item of an auto order whose cancel item is owed."""

    entry: AutoOrderItem
    tab: ItemAutoOrder
    progress: ItemProgress


def owed(entries: list[AutoOrderItem], state: State, items: Mapping[str, Item]) -> Iterator[Owed]:
    """The items of an auto order whose cancel item is owed, were it canceled as it stands."""
    for entry in entries:
        progress = state.items.get(str(entry.auto_order_item_oid))
        item = items.get(entry.original_item_id or "")
        tab = item.auto_order if item else None
        if tab is None or progress is None or not tab.auto_order_cancel_item_id:
            continue
        minimums = _minimums(tab, progress)
        if not minimums or any(reached < least for least, reached in minimums):
            yield Owed(entry=entry, tab=tab, progress=progress)


def cost(one: Owed, cancel_item: Item, items: Mapping[str, Item], now: Instant, zone_name: str) -> Decimal:
    """What it costs: the cancel item's price, or what is missing to the minimums where the tab says so."""
    if one.tab.auto_order_cancel_charge_minimum_balance:
        return _minimum_balance(one, items, now, zone_name)
    return cancel_item.unit_cost(now, on_auto_order=True)


def _minimums(tab: ItemAutoOrder, progress: ItemProgress) -> list[tuple[Decimal, Decimal]]:
    """(least, reached) of each minimum that is set: rebills, their value, and both with the original order's."""
    rebills, value = Decimal(progress.number_of_rebills), progress.rebill_value
    pairs = (
        (tab.auto_order_cancel_minimum_rebill_count, rebills),
        (tab.auto_order_cancel_minimum_life_time_count, rebills + _bought(progress)),
        (tab.auto_order_cancel_minimum_rebill_value, value),
        (tab.auto_order_cancel_minimum_life_time_value, value + progress.original_value),
    )
    return [(Decimal(least), reached) for least, reached in pairs if least]


def _bought(progress: ItemProgress) -> int:
    """One where the item stood on the original order, none where it was added later."""
    return int(progress.original_value > 0)


def _minimum_balance(one: Owed, items: Mapping[str, Item], now: Instant, zone_name: str) -> Decimal:
    """What is missing to the minimums, the dearest of them: a missing rebill is worth what the next one costs."""
    entry, tab, progress = one.entry, one.tab, one.progress
    rebills, value = progress.number_of_rebills, progress.rebill_value
    each = Decimal(0)
    coming = next(occurrences(entry, progress, items.get(entry.original_item_id or ""), zone_name), None)
    rebilled = items.get(coming.item_id) if coming else None
    if coming is not None and rebilled is not None:
        quantity = entry.arbitrary_quantity or entry.original_quantity or Decimal(1)
        next_one = cost_of(entry, progress, coming, rebilled, now, zone_name, retry_days=None)
        each = next_one.unit_cost * quantity
    missing_rebills = (tab.auto_order_cancel_minimum_rebill_count or 0) - rebills
    missing_orders = (tab.auto_order_cancel_minimum_life_time_count or 0) - rebills - _bought(progress)
    return max(
        each * max(missing_rebills, missing_orders, 0),
        (tab.auto_order_cancel_minimum_rebill_value or Decimal(0)) - value,
        (tab.auto_order_cancel_minimum_life_time_value or Decimal(0)) - value - progress.original_value,
        Decimal(0),
    )
