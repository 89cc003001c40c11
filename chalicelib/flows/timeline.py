"""The timeline, put together: rows of its own, attempts that made no order and paid runs, the latest first.

Each of the three is walked in its own order and a page takes what is latest of them; so nothing is left out or seen
twice, whatever happens between two pages.
"""

from collections.abc import Iterator
from heapq import merge
from typing import Any

from chalicelib.domain import timeline
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.heads import Head
from chalicelib.domain.rebills import rebill_order_id
from chalicelib.domain.timeline import TimelineEntry
from chalicelib.flows.ports import Shop

# Where a page goes on: the last row, the last attempt and the last run that were shown.
Cursor = dict[str, Any]


def timeline_of(
    shop: Shop, document: AutoOrder, head: Head, limit: int, cursor: Cursor | None = None
) -> tuple[list[TimelineEntry], Cursor | None]:
    """One page, full unless it is the last, and where the next one goes on."""
    place = dict(cursor or {"log": "", "attempt": "", "run": head.run})
    oid = document.auto_order_oid or 0
    # One more of each than the page takes, to know whether anything follows.
    sources: tuple[Iterator[tuple[TimelineEntry, str, Any]], ...] = (
        ((e, "log", sk) for sk, e in shop.auto_orders.logs_before(oid, place["log"], limit + 1)),
        (
            (timeline.of_attempt(row), "attempt", sk)
            for sk, row in shop.auto_orders.attempts_before(oid, place["attempt"], limit + 1)
        ),
        _paid_runs(shop, document, int(place["run"]), limit + 1),
    )
    found: list[TimelineEntry] = []
    for entry, source, key in merge(*sources, key=lambda one: one[0].log_dts, reverse=True):
        if len(found) == limit:
            return found, place
        found.append(entry)
        place[source] = key
    return found, None


def _paid_runs(shop: Shop, document: AutoOrder, before: int, limit: int) -> Iterator[tuple[TimelineEntry, str, Any]]:
    """The orders of the runs before that one, backwards. Runs that made none leave gaps, so they are asked for again
    and again until there are enough or the first run is reached."""
    run, count = before, 0
    while run > 1 and count < limit:
        first = max(1, run - limit)
        ids = [rebill_order_id(document.original_order_id or "", number) for number in range(run - 1, first - 1, -1)]
        for order in shop.orders.get_many(ids):
            count += 1
            yield timeline.of_order(order), "run", order.run
        run = first
