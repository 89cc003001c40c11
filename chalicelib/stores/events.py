"""The outbox: event rows written with the change, due until everybody has been told."""

from chalicelib.domain.dates import Instant
from chalicelib.domain.events import Event
from chalicelib.stores.port import Change, Present, Put, Record, TablePort, Update
from chalicelib.stores.records import DOCUMENT, due_attributes, kept_for, noun_of, pk, text_of
from chalicelib.stores.tables import PK, SK

TABLE = "events"
ROW = "event"
# What happened is looked at while somebody asks why, at most until the quarter's books are closed; what it led to
# (orders, timeline, ledgers, mails) has records of its own.
KEEP_DAYS = 100


class Events:
    """One merchant's outbox."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def happened(self, event: Event) -> Change:
        """The event row: due at once. The same transition writes the same row again, which changes nothing."""
        record: Record = {PK: pk(self._merchant_id, event.event_id), SK: ROW, DOCUMENT: text_of(event)}
        return Put(TABLE, record | due_attributes(event.dts, self._merchant_id, event.event_id))

    def find(self, event_id: str) -> tuple[Event, bool] | None:
        """The event, and whether it still waits to be told."""
        record = self._port.get(TABLE, pk(self._merchant_id, event_id), ROW, consistent=True)
        return (noun_of(record, Event), "due_key" in record) if record else None

    def told(self, event_id: str, now: Instant) -> Change:
        """Everybody knows, and the row may go after a while: refused where it was told before."""
        return Update(
            TABLE,
            pk(self._merchant_id, event_id),
            ROW,
            set=kept_for(KEEP_DAYS, now),
            remove=("due_shard", "due_key"),
            when=(Present("due_key"),),
        )
