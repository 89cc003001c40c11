"""Webhook deliveries: a row each, due while it is to be tried, and for each endpoint a list of what was tried, of what
waits after a failure and of what is dead."""

from msgspec.structs import replace

from chalicelib.domain.dates import Instant, parse_instant
from chalicelib.domain.webhooks import SENT_AGAIN_DAYS, Delivery, DeliveryLog, stamp
from chalicelib.stores.port import MAXIMUM_GET_MANY, MAXIMUM_PAGE, Change, Cursor, Delete, Put, Record, TablePort
from chalicelib.stores.records import (
    DOCUMENT,
    VERSION,
    Versioned,
    due_attributes,
    inserted,
    kept_for,
    noun_of,
    pk,
    replaced,
    text_of,
)
from chalicelib.stores.tables import PK, SK

TABLE = "deliveries"
DELIVERY = "delivery"
BODY = "body"
# Every try writes the delivery's row twice (claim and outcome), so it is kept below 1 KB, one write unit: a body up to
# this rides on it, a larger one has a row of its own that is written once.
LARGEST_BODY_ON_THE_ROW = 400
# As long as a delivery may be sent again, its week of tries, and as much again for queues that stand still.
KEEP_DAYS = SENT_AGAIN_DAYS + 14
# What a log shows of a request (the contract's figure).
MAXIMUM_REQUEST = 100_000


class Deliveries:
    """One merchant's deliveries."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    # --- one delivery ------------------------------------------------------------------------------------------------

    def planned(self, delivery: Delivery) -> list[Change]:
        """A new delivery, at most three changes; refused where the same happening was planned before."""
        key = self._key(delivery.webhook_oid, delivery.event_id)
        listed, changes = self._listed(delivery, pending="")
        changes.insert(0, inserted(TABLE, key, DELIVERY, self._document(listed), **self._attributes(listed)))
        if not _rides(delivery.body):
            changes.append(Put(TABLE, {PK: key, SK: BODY, BODY: delivery.body, **_kept(delivery)}))
        return changes

    def find(self, webhook_oid: int, event_id: str) -> Versioned[Delivery] | None:
        """The delivery with its body, as it stands."""
        key = self._key(webhook_oid, event_id)
        records = {r[SK]: r for r in self._port.get_many(TABLE, [(key, DELIVERY), (key, BODY)], consistent=True)}
        row = records.get(DELIVERY)
        if row is None:
            return None
        return Versioned(_delivery_of(row, str(records.get(BODY, row).get(BODY, ""))), int(row[VERSION]))

    def claimed(self, delivery: Delivery, version: int) -> Change:
        """Only its times move; refused where anybody has moved it since."""
        key = self._key(delivery.webhook_oid, delivery.event_id)
        return replaced(TABLE, key, DELIVERY, self._document(delivery), version, **self._attributes(delivery))

    def moved(self, delivery: Delivery, version: int) -> list[Change]:
        """The delivery after a decision, and its place in the lists of what waits and what is dead."""
        listed, changes = self._listed(delivery, pending=f"pending#{delivery.event_id}")
        return [self.claimed(listed, version), *changes]

    def tried(self, delivery: Delivery, version: int, log: DeliveryLog) -> list[Change]:
        """The same after a try, with its log."""
        return [*self.moved(delivery, version), self.noted(log)]

    # --- lists of an endpoint ----------------------------------------------------------------------------------------

    def noted(self, log: DeliveryLog) -> Change:
        """A log. The request stands with the delivery, once for all its tries."""
        record: Record = {PK: self._list(log.webhook_oid), SK: f"log#{log.request_id}", DOCUMENT: text_of(log)}
        return Put(TABLE, record | (kept_for(KEEP_DAYS, log.delivery_dts) if log.delivery_dts else {}))

    def log(self, webhook_oid: int, request_id: str) -> DeliveryLog | None:
        """One log, with what was sent."""
        record = self._port.get(TABLE, self._list(webhook_oid), f"log#{request_id}", consistent=True)
        if record is None:
            return None
        log = noun_of(record, DeliveryLog)
        delivery = self.find(webhook_oid, log.event_id)
        return replace(log, request=delivery.noun.body[:MAXIMUM_REQUEST]) if delivery else log

    def logs(
        self,
        webhook_oid: int,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int = 100,
        cursor: Cursor | None = None,
    ) -> tuple[list[DeliveryLog], Cursor | None]:
        """Logs without their requests, the newest first, of ``since <= delivery_dts < until``. A page may be short or
        empty and still have a cursor."""
        page = self._port.query(
            TABLE,
            self._list(webhook_oid),
            at_least=f"log#{stamp(since)}" if since else "log#",
            less_than=f"log#{stamp(until)}" if until else "log$",
            limit=limit,
            cursor=cursor,
            descending=True,
            consistent=True,
        )
        return [noun_of(record, DeliveryLog) for record in page.records], page.cursor

    def number_pending(self, webhook_oid: int) -> int:
        """How many wait after a failure or for the end of a pause; 1,000 stands for that many or more."""
        return self._number(webhook_oid, "pending#", MAXIMUM_PAGE)

    def number_dead(self, webhook_oid: int, most: int) -> int:
        """How many are not tried any more; ``most`` stands for that many or more."""
        return self._number(webhook_oid, "dead#", most)

    def pending(
        self, webhook_oid: int, *, limit: int = 100, cursor: Cursor | None = None
    ) -> tuple[list[Delivery], Cursor | None]:
        """What waits after a failure or for the end of a pause, for looking at: bodies may be left out."""
        return self._marked(webhook_oid, "pending#", limit, cursor)

    def dead(
        self, webhook_oid: int, *, limit: int = 100, cursor: Cursor | None = None
    ) -> tuple[list[Delivery], Cursor | None]:
        """What is not tried any more, the last to die first, for looking at: bodies may be left out."""
        return self._marked(webhook_oid, "dead#", limit, cursor)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _number(self, webhook_oid: int, prefix: str, most: int) -> int:
        page = self._port.query(TABLE, self._list(webhook_oid), prefix=prefix, limit=most, consistent=True)
        return len(page.records)

    def _marked(
        self, webhook_oid: int, prefix: str, limit: int, cursor: Cursor | None
    ) -> tuple[list[Delivery], Cursor | None]:
        page = self._port.query(
            TABLE,
            self._list(webhook_oid),
            prefix=prefix,
            limit=limit,
            cursor=cursor,
            descending=True,
            consistent=True,
        )
        keys = [(self._key(webhook_oid, str(record[SK]).rsplit("#", 1)[1]), DELIVERY) for record in page.records]
        found: list[Delivery] = []
        for start in range(0, len(keys), MAXIMUM_GET_MANY):
            rows = self._port.get_many(TABLE, keys[start : start + MAXIMUM_GET_MANY], consistent=True)
            found += [_delivery_of(row, str(row.get(BODY, ""))) for row in rows]
        return found, page.cursor

    def _listed(self, delivery: Delivery, *, pending: str) -> tuple[Delivery, list[Change]]:
        """The delivery with the marker that its state asks for, and what makes the lists say so."""
        wanted = ""
        if delivery.state == "pending":
            wanted = pending
        elif delivery.state == "dead":
            wanted = f"dead#{delivery.ended_dts}#{delivery.event_id}"
        if wanted == delivery.marker:
            return delivery, []
        changes: list[Change] = []
        key = self._list(delivery.webhook_oid)
        if delivery.marker:
            changes.append(Delete(TABLE, key, delivery.marker))
        if wanted:
            kept: Record = {} if delivery.state == "pending" else _kept(delivery)
            changes.append(Put(TABLE, {PK: key, SK: wanted, **kept}))
        return replace(delivery, marker=wanted), changes

    def _document(self, delivery: Delivery) -> Delivery:
        """Without what stands as an attribute."""
        return replace(delivery, body="", due_dts=None)

    def _attributes(self, delivery: Delivery) -> Record:
        subject = f"{delivery.webhook_oid}/{delivery.event_id}"
        due = (delivery.due_dts or delivery.next_dts) if delivery.state == "pending" else None
        attributes = due_attributes(due, self._merchant_id, subject) or _kept(delivery)
        return attributes | {BODY: delivery.body} if _rides(delivery.body) else attributes

    def _key(self, webhook_oid: int, event_id: str) -> str:
        return pk(self._merchant_id, "webhook", webhook_oid, event_id)

    def _list(self, webhook_oid: int | None) -> str:
        return pk(self._merchant_id, "webhook", webhook_oid)


def _kept(delivery: Delivery) -> Record:
    return kept_for(KEEP_DAYS, delivery.first_dts)


def _rides(body: str) -> bool:
    return len(body.encode()) <= LARGEST_BODY_ON_THE_ROW


def _delivery_of(row: Record, body: str) -> Delivery:
    due = str(row["due_key"]).split("#", 1)[0] if "due_key" in row else None
    return replace(noun_of(row, Delivery), body=body, due_dts=parse_instant(due) if due else None)
