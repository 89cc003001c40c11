"""A shop with very many auto orders of which few are due, and what a sweep of it costs."""

from collections.abc import Iterator
from datetime import timedelta
from time import perf_counter

import msgspec

from chalicelib.domain.dates import Instant, instant
from chalicelib.flows.sweep import sweep
from chalicelib.stores.port import Record
from chalicelib.stores.records import due_attributes, pk
from chalicelib.stores.sqlite import PUT, SqliteTables
from chalicelib.stores.tables import BY_DUE, PK, SK
from tests.worlds import MERCHANT, World

TABLE = "auto_orders"
DUE = 500
FEW, MANY = 10_000, 200_000
# Those that are not due come due one a minute, from a day after the sweep.
FIRST_OF_THE_OTHERS = timedelta(days=1)


class Swept(msgspec.Struct, kw_only=True, frozen=True):
    """One sweep. ``round_trips``: calls of the tables and sends to the queue. ``seconds``: by the clock."""

    stored: int
    messages: int
    reads: float
    writes: float
    round_trips: int
    seconds: float


def swept(stored: int) -> Swept:
    """Sweep a shop that holds so many auto orders, 500 of them due."""
    tables = SqliteTables()
    world = World(port=tables).open()
    oid = world.subscribe()
    head = tables.get(TABLE, pk(MERCHANT, oid), "head")
    assert head is not None
    _store(tables, _heads(head, stored - 1, world.clock.now()))
    assert tables.get(TABLE, pk(MERCHANT, 1), "head", consistent=True) is not None
    sends = world.queue.sends
    tables.meter.reset()
    began = perf_counter()
    sweep(world.backroom)
    seconds = perf_counter() - began
    calls, messages = tables.meter.calls, world.queue.take()
    found = Swept(
        stored=stored,
        messages=len(messages),
        reads=sum(call.reads for call in calls),
        writes=sum(call.writes for call in calls),
        round_trips=len(calls) + world.queue.sends - sends,
        seconds=seconds,
    )
    tables.close()
    return found


def _heads(template: Record, number: int, now: Instant) -> Iterator[Record]:
    """Heads like the template's, the first of them due."""
    for oid in range(1, number + 1):
        ahead = FIRST_OF_THE_OTHERS + timedelta(minutes=oid)
        due = instant(now - timedelta(seconds=oid)) if oid <= DUE else instant(now + ahead)
        yield {**template, PK: pk(MERCHANT, oid), **due_attributes(due, MERCHANT, str(oid))}


def _store(tables: SqliteTables, records: Iterator[Record]) -> None:
    """As the port writes them, in one go: one by one they would take longer than everything that is measured."""
    encode = msgspec.json.encode
    kept = list(records)
    with tables._db as db:
        db.execute("begin")
        db.executemany(PUT, ((TABLE, r[PK], r[SK], encode(r).decode()) for r in kept))
        db.executemany(
            "insert into entry values (?, ?, ?, ?, ?, ?)",
            ((TABLE, BY_DUE.name, r[BY_DUE.hash], r[BY_DUE.range], r[PK], r[SK]) for r in kept),
        )
