"""The sweep: what is due goes to its queue as an id. Send first, then push: a crash in between costs a message, never
an auto order."""

import logging
from collections.abc import Callable

from chalicelib.domain.dates import Instant, later
from chalicelib.domain.payments import LEASE_SECONDS
from chalicelib.domain.waiting import DueRow
from chalicelib.flows.ports import Backroom

log = logging.getLogger(__name__)

# Rows of one page of the due index, and messages of one batch to a queue (SQS takes ten).
PAGE = 100
BATCH = 10
# A sweep stops this long before its function is ended, so that no batch is sent without being pushed.
STOP_BEFORE_SECONDS = 15
REBILL_QUEUE = "rebill"
DELIVER_QUEUE = "deliver"
# What a message of the rebill queue is about, by the table that it is due in.
EDIT = "edit"
LEDGER = "ledger"
KINDS = {"auto_orders": "auto_order", "orders": "order", "documents": EDIT, "ledgers": LEDGER}


def sweep(backroom: Backroom) -> int:
    """Every due auto order, every unpaid order with an open attempt, every edit of a batch that waits, and every
    ledger in which something vests or expires: one message each. Returns how many."""
    return sum(_queue_due(backroom, table, REBILL_QUEUE, _visit) for table in KINDS)


def sweep_deliveries(backroom: Backroom) -> int:
    """Every due webhook delivery and mail: one message each."""
    return _queue_due(backroom, "deliveries", DELIVER_QUEUE, _delivery)


def _visit(row: DueRow) -> dict[str, str]:
    return {"merchant_id": row.merchant_id, "kind": KINDS[row.table], "id": row.subject}


def _delivery(row: DueRow) -> dict[str, str]:
    return {"merchant_id": row.merchant_id, "subject": row.subject}


def _queue_due(backroom: Backroom, table: str, queue: str, message: Callable[[DueRow], dict[str, str]]) -> int:
    until, sent = backroom.latest_now(), 0
    ready: list[DueRow] = []

    def send(batch: list[DueRow]) -> int:
        backroom.queue.send(queue, [message(row) for row in batch])
        for row in batch:
            backroom.waiting.push(row, _lease_end(backroom, row))
        return len(batch)

    for shard in backroom.shuffled(backroom.waiting.shards()):
        cursor = None
        while True:
            if backroom.time_left() < STOP_BEFORE_SECONDS:
                log.warning("sweep stopped for lack of time", extra={"table": table})
                return sent
            rows, cursor = backroom.waiting.due(table, shard, until, PAGE, cursor)
            ready += [row for row in rows if row.due <= backroom.now_of(row.merchant_id)]
            # What is not yet a batch waits for the next shard's: a request to the queue costs the same for one and ten.
            while len(ready) >= BATCH:
                sent += send(ready[:BATCH])
                del ready[:BATCH]
            if cursor is None:
                break
    return sent + (send(ready) if ready else 0)


def _lease_end(backroom: Backroom, row: DueRow) -> Instant:
    return later(backroom.now_of(row.merchant_id), seconds=LEASE_SECONDS)


def events_due(backroom: Backroom, tell: Callable[[str, str], None]) -> int:
    """Every event that waits in the outbox is told; one that fails stays for the next relay and holds nobody up."""
    until, told = backroom.latest_now(), 0
    for shard in backroom.shuffled(backroom.waiting.shards()):
        cursor = None
        while True:
            if backroom.time_left() < STOP_BEFORE_SECONDS:
                return told
            rows, cursor = backroom.waiting.due("events", shard, until, PAGE, cursor)
            for row in rows:
                if row.due > backroom.now_of(row.merchant_id):
                    continue
                try:
                    tell(row.merchant_id, row.subject)
                    told += 1
                except Exception:
                    log.exception("event could not be told", extra={"event_id": row.subject})
                    backroom.waiting.push(row, _lease_end(backroom, row))
            if cursor is None:
                break
    return told
