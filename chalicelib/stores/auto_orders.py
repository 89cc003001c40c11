"""Auto orders as they are kept: head and document side by side, attempts that made no order, edits' logs."""

from collections.abc import Sequence

from chalicelib.domain.access import key_hash
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.dates import Instant, parse_instant
from chalicelib.domain.errors import NotFound
from chalicelib.domain.heads import Head
from chalicelib.domain.payment_updates import PaymentUpdate
from chalicelib.domain.payments import ClosedAttempt
from chalicelib.domain.timeline import TimelineEntry
from chalicelib.stores import heads
from chalicelib.stores.port import MAXIMUM_PAGE, Absent, Change, Cursor, Equals, Present, Put, Record, TablePort
from chalicelib.stores.records import (
    DOCUMENT,
    Versioned,
    claimed,
    inserted,
    known_by,
    noun_of,
    pk,
    replaced,
    text_of,
    versioned,
)
from chalicelib.stores.tables import PK, SK

TABLE = "auto_orders"
# The row that says by which order a customer has an item that is sold one per customer.
SOLE = "one_per_customer"
# Attempts of one auto order that are read together at most.
MAXIMUM_ROWS = 200
ATTEMPT = "attempt"
LOG = "log"
# A row that leads to nothing any more.
GONE = "gone"


class AutoOrders:
    """One merchant's auto orders."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def read(self, oid: int) -> tuple[Versioned[AutoOrder], Head]:
        """Document and head as they stand, in one round trip. Raises NotFound.

        A batch read is no snapshot: it may give the document before an edit and the head after it, and a claim under
        that head would pass. Every edit adds one to the version of the one and the revision of the other; where they
        are out of step the document is read once more, later than the head.
        """
        key = pk(self._merchant_id, oid)
        records = self._port.get_many(TABLE, [(key, heads.HEAD), (key, DOCUMENT)], consistent=True)
        if len(records) != 2:
            raise NotFound("auto order", oid)
        document, head = versioned(records[1], AutoOrder), heads.head_of(records[0])
        if document is not None and document.version != head.revision + 1:
            document = versioned(self._port.get(TABLE, key, DOCUMENT, consistent=True), AutoOrder)
        if document is None:
            raise NotFound("auto order", oid)
        return document, head

    def read_many(self, oids: list[int]) -> list[tuple[Versioned[AutoOrder], Head]]:
        """Those that exist, in order; 50 at a time (two records each)."""
        found: list[tuple[Versioned[AutoOrder], Head]] = []
        for start in range(0, len(oids), 50):
            keys = [
                (pk(self._merchant_id, oid), sk) for oid in oids[start : start + 50] for sk in (heads.HEAD, DOCUMENT)
            ]
            by_key = {(str(r[PK]), str(r[SK])): r for r in self._port.get_many(TABLE, keys, consistent=True)}
            for oid in oids[start : start + 50]:
                key = pk(self._merchant_id, oid)
                head, document = by_key.get((key, heads.HEAD)), by_key.get((key, DOCUMENT))
                if head and document:
                    found.append(
                        (Versioned(noun_of(document, AutoOrder), int(document["version"])), heads.head_of(head))
                    )
        return found

    def head(self, oid: int) -> Head | None:
        record = self._port.get(TABLE, pk(self._merchant_id, oid), heads.HEAD, consistent=True)
        return heads.head_of(record) if record else None

    def oid_by_code(self, code: str) -> int | None:
        return self._oid("code", code)

    def oid_by_original_order(self, order_id: str) -> int | None:
        return self._oid("original_order", order_id)

    def _oid(self, by: str, value: str) -> int | None:
        record = self._port.get(TABLE, pk(self._merchant_id, by, value), by, consistent=True)
        return int(record["oid"]) if record else None

    def begun(self, document: AutoOrder, head: Head) -> list[Change]:
        """A new auto order: document, head, and the rows that find it by code and by original order."""
        oid = document.auto_order_oid or 0
        return [
            inserted(TABLE, pk(self._merchant_id, oid), DOCUMENT, document),
            heads.begun(TABLE, self._merchant_id, str(oid), head),
            claimed(TABLE, pk(self._merchant_id, "code", document.auto_order_code), "code", oid=oid),
            claimed(
                TABLE, pk(self._merchant_id, "original_order", document.original_order_id), "original_order", oid=oid
            ),
        ]

    def listed(self, oid: int, customers: Sequence[str], began: Instant) -> list[Change]:
        """The rows that find an auto order by what its customer is known by (``domain.customers.customer_names``)."""
        keys = [self._customer(name) for name in customers]
        return [Put(TABLE, {PK: key, SK: str(oid), "began_dts": str(began)}) for key in keys]

    def _customer(self, name: str) -> str:
        return pk(self._merchant_id, "customer", known_by(self._merchant_id, name))

    def unlisted(self, oid: int, customers: Sequence[str]) -> list[Change]:
        """It is found by these names no more. The rows stay, for nobody may delete here."""
        return [Put(TABLE, {PK: self._customer(name), SK: str(oid), GONE: 1}) for name in customers]

    def of_customer(self, customers: Sequence[str]) -> list[tuple[Instant, int]]:
        """When each auto order of a customer began and its oid, oldest first, whatever became of it."""
        found: set[tuple[Instant, int]] = set()
        for name in customers:
            cursor: Cursor | None = None
            while True:
                page = self._port.query(TABLE, self._customer(name), limit=MAXIMUM_PAGE, cursor=cursor, consistent=True)
                standing = [row for row in page.records if GONE not in row]
                found |= {(parse_instant(str(row["began_dts"])), int(row[SK])) for row in standing}
                cursor = page.cursor
                if cursor is None:
                    break
        return sorted(found)

    def sole_order(self, customer: str, item_id: str) -> str | None:
        """The order by which the customer has, or is about to get, an item of which he may have one."""
        record = self._port.get(TABLE, self._sole(customer, item_id), SOLE, consistent=True)
        return str(record["order_id"]) if record else None

    def made_sole(self, customer: str, item_id: str, order_id: str, instead_of: str | None) -> Change:
        """From now on it is this order; refused where it is not ``instead_of`` any more."""
        record: Record = {PK: self._sole(customer, item_id), SK: SOLE, "order_id": order_id}
        return Put(TABLE, record, when=(Equals("order_id", instead_of) if instead_of else Absent(),))

    def _sole(self, customer: str, item_id: str) -> str:
        return pk(self._merchant_id, SOLE, item_id, known_by(self._merchant_id, customer))

    def moved(self, oid: int, before: Head, after: Head) -> Change:
        return heads.moved(TABLE, self._merchant_id, str(oid), before, after)

    def edited(self, document: AutoOrder, version: int) -> Change:
        return replaced(TABLE, pk(self._merchant_id, document.auto_order_oid), DOCUMENT, document, version)

    def closed(self, oid: int, row: ClosedAttempt) -> Change:
        """An attempt that made no order, kept for ever beside its auto order. The same attempt writes the same row."""
        attempt = row.attempt
        return Put(
            TABLE,
            {
                PK: pk(self._merchant_id, oid),
                SK: _attempt_sk(attempt.run, attempt.tries),
                DOCUMENT: text_of(row),
            },
        )

    def logged(self, oid: int, entry: TimelineEntry, seq: int, event_id: str) -> Change:
        """A row of the timeline. Those of one second follow each other by ``seq``, the event's."""
        sk = f"{LOG}#{entry.log_dts}#{seq:010d}#{event_id}"
        return Put(TABLE, {PK: pk(self._merchant_id, oid), SK: sk, DOCUMENT: text_of(entry)})

    def relogged(self, oid: int, place: str, entry: TimelineEntry) -> Change:
        """A row of the timeline, written anew in its place."""
        return Put(TABLE, {PK: pk(self._merchant_id, oid), SK: place, DOCUMENT: text_of(entry)}, when=(Present(),))

    def attempts(self, oid: int) -> list[ClosedAttempt]:
        """Attempts that made no order, oldest first."""
        page = self._port.query(TABLE, pk(self._merchant_id, oid), prefix=f"{ATTEMPT}#", limit=MAXIMUM_ROWS)
        return [noun_of(record, ClosedAttempt) for record in page.records]

    def attempt(self, oid: int, run: int, tries: int) -> ClosedAttempt | None:
        """What became of one attempt, where it made no order."""
        record = self._port.get(TABLE, pk(self._merchant_id, oid), _attempt_sk(run, tries), consistent=True)
        return noun_of(record, ClosedAttempt) if record else None

    def payment_updated(self, oid: int, token: str, update: PaymentUpdate) -> Change:
        """The card of that token is the auto order's from now on; refused where it became so before."""
        record: Record = {PK: pk(self._merchant_id, oid), SK: _payment_sk(token), DOCUMENT: text_of(update)}
        return Put(TABLE, record, when=(Absent(),))

    def payment_update(self, oid: int, token: str) -> PaymentUpdate | None:
        record = self._port.get(TABLE, pk(self._merchant_id, oid), _payment_sk(token), consistent=True)
        return noun_of(record, PaymentUpdate) if record else None

    def attempts_before(self, oid: int, before: str, limit: int) -> list[tuple[str, ClosedAttempt]]:
        """Attempts that made no order, latest first, each with the text that stands for its place; ``before`` is such
        a place, or nothing."""
        return [(sk, noun_of(record, ClosedAttempt)) for sk, record in self._before(oid, ATTEMPT, before, limit)]

    def logs_before(self, oid: int, before: str, limit: int) -> list[tuple[str, TimelineEntry]]:
        """The same of the timeline's own rows."""
        return [(sk, noun_of(record, TimelineEntry)) for sk, record in self._before(oid, LOG, before, limit)]

    def _before(self, oid: int, kind: str, before: str, limit: int) -> list[tuple[str, Record]]:
        found: list[tuple[str, Record]] = []
        cursor: Cursor | None = None
        while len(found) < limit:
            page = self._port.query(
                TABLE,
                pk(self._merchant_id, oid),
                at_least=f"{kind}#",
                # The mark after "#" is greater than every place of the kind.
                less_than=before or f"{kind}$",
                limit=limit - len(found),
                cursor=cursor,
                descending=True,
            )
            found += [(str(record[SK]), record) for record in page.records]
            cursor = page.cursor
            if cursor is None:
                break
        return found


def _payment_sk(token: str) -> str:
    """Kept by the token's hash, as everywhere."""
    return f"payment#{key_hash(token)}"


def _attempt_sk(run: int, tries: int) -> str:
    return f"{ATTEMPT}#{run:06d}#{tries:06d}"
