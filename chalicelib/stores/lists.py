"""List rows that searches read instead of scanning, the result sets that pages are cut from, and the day totals."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any

from chalicelib.domain import customer_search, search, wire
from chalicelib.domain.customer_search import Key, KeyedKind
from chalicelib.domain.dates import Instant, later
from chalicelib.domain.errors import Contended, Invalid, Refused
from chalicelib.domain.heads import shard_of
from chalicelib.domain.search import Kind
from chalicelib.stores.port import (
    MAXIMUM_CHANGES,
    MAXIMUM_GET_MANY,
    MAXIMUM_PAGE,
    Absent,
    Change,
    Check,
    Condition,
    Cursor,
    Delete,
    Equals,
    LessThan,
    Put,
    Record,
    TablePort,
    Update,
)
from chalicelib.stores.records import VERSION, pk
from chalicelib.stores.tables import PK, SK

TABLE = "lists"
ROW = "row"
PLACES = "places"
KEYS: dict[KeyedKind, Callable[[list[Any]], dict[Key, str]]] = {"customer": customer_search.keys_of}
# Spread of the rows of one kind, so that no one partition takes all writes. A new number means that all rows are
# written anew.
BUCKETS = 16
# A search holds the rows that it found in memory at once: twice the shop that the figures are made for.
MAXIMUM_ROWS = 200_000
# A write is refused where the row is not there yet, then where somebody else was first to put it; it is never gone
# again.
MOST_TRIES = 3

RESULTS = "documents"
RESULT = "result"
HEAD = "head"
RESULT_SECONDS = 15 * 60
# Names of one record of a result set: 66 KB of the longest; a page reads one record or two, whatever the set holds.
CHUNK = 2000

DAY = "day"


class Lists:
    """One merchant's lists."""

    def __init__(self, port: TablePort, merchant_id: str, *, maximum_rows: int = MAXIMUM_ROWS) -> None:
        self._port = port
        self._merchant_id = merchant_id
        self._maximum_rows = maximum_rows

    # --- list rows ---------------------------------------------------------------------------------------------------

    def note(self, kind: str, name: str, row: list[Any], version: int, *, new: bool = False) -> bool:
        """Make the row of a noun say what the noun says. Replaces what is older or of the same version, so a worker
        that was late never wins. Returns whether it was written.

        A write of its own, never part of a transaction: one that has nothing to do would break it. It costs one write
        unit, and one more where ``new`` was guessed wrong (there is no condition for "absent or older"). A kind that
        has shapes costs a read, and a write for each shape that the row enters or leaves.
        """
        if kind in search.SHAPES:
            return self._noted_with_shapes(kind, name, row, version, new=new)
        return self._noted(kind, name, {ROW: wire.kept(row)}, version, new=new)

    def _noted_with_shapes(self, kind: Kind, name: str, row: list[Any], version: int, *, new: bool) -> bool:
        key = self._bucket(kind, name)
        for _ in range(MOST_TRIES):
            before = None if new else self._port.get(TABLE, key, name, consistent=True)
            if before is not None and int(before[VERSION]) > version:
                return False
            old = search.shapes_of(kind, _row_of(before)) if before else frozenset()
            now = search.shapes_of(kind, row)
            # Entered before the row says so and left after it: who dies in between leaves a name too many, which its
            # row tells apart, and never one too few. The row follows exactly the one that was read, so no two workers
            # reckon from the same one.
            for shape in now - old:
                self._entered(kind, shape, name, version)
            condition: Condition = Absent() if before is None else Equals(VERSION, int(before[VERSION]))
            record: Record = {PK: key, SK: name, VERSION: version, ROW: wire.kept(row)}
            try:
                self._port.write(Put(TABLE, record, when=(condition,)))
            except Refused:
                new = False
                continue
            for shape in old - now:
                self._left(kind, shape, name, version)
            return True
        raise Contended(f"the list row of {kind} {name} is being written by others")

    def _entered(self, kind: Kind, shape: search.Shape, name: str, version: int) -> None:
        """Mostly it is not there; else the later version stays, so that an old leave does not take it away."""
        record: Record = {PK: self._shape(kind, shape), SK: name, VERSION: version}
        condition: Condition = Absent()
        for _ in range(2 * MOST_TRIES):
            try:
                self._port.write(Put(TABLE, record, when=(condition,)))
            except Refused as refused:
                if refused.found is not None and int(refused.found[VERSION]) >= version:
                    return
                # It may come and go while we look: somebody leaves where we enter.
                condition = Absent() if refused.found is None else LessThan(VERSION, version)
                continue
            return
        raise Contended(f"the shape of {kind} {name} is being written by others")

    def _left(self, kind: Kind, shape: search.Shape, name: str, version: int) -> None:
        with suppress(Refused):
            self._port.write(Delete(TABLE, self._shape(kind, shape), name, when=(LessThan(VERSION, version),)))

    def shaped(self, kind: Kind, shape: search.Shape, most: int) -> list[str] | None:
        """The names of all that stand in the shape, and perhaps of some that did; None where they are more than
        that."""
        found: list[str] = []
        for record in self._all(self._shape(kind, shape)):
            if len(found) == most:
                return None
            found.append(str(record[SK]))
        return found

    def rows_of(self, kind: Kind | KeyedKind, names: list[str]) -> Iterator[tuple[str, list[Any]]]:
        """The rows of these, in no order; those that are there."""
        for start in range(0, len(names), MAXIMUM_GET_MANY):
            keys = [(self._bucket(kind, name), name) for name in names[start : start + MAXIMUM_GET_MANY]]
            for record in self._port.get_many(TABLE, keys):
                if ROW in record:
                    yield str(record[SK]), _row_of(record)

    def drop(self, kind: str, name: str, version: int) -> bool:
        """The noun is no more. Its version stays behind, so that a late worker cannot bring the row back."""
        return self._noted(kind, name, {}, version, new=False)

    def _noted(self, kind: str, name: str, attributes: Record, version: int, *, new: bool) -> bool:
        record: Record = {PK: self._bucket(kind, name), SK: name, VERSION: version, **attributes}
        for _ in range(MOST_TRIES):
            condition: Condition = Absent() if new else LessThan(VERSION, version + 1)
            try:
                self._port.write(Put(TABLE, record, when=(condition,)))
            except Refused as refused:
                if refused.found is not None and int(refused.found[VERSION]) > version:
                    return False
                new = refused.found is None
                continue
            return True
        raise Contended(f"the list row of {kind} {name} is being written by others")

    def rows(self, kind: Kind | KeyedKind) -> Iterator[tuple[str, list[Any]]]:
        """Every row of the kind with its noun's name, in no order, as of a moment ago: rows follow the events anyway,
        and reading them so is half the price. Raises Invalid where there are too many to search."""
        seen = 0
        for bucket in range(BUCKETS):
            for record in self._all(pk(self._merchant_id, kind, f"{bucket:02d}")):
                if ROW not in record:
                    continue
                seen += 1
                if seen > self._maximum_rows:
                    what = (
                        f"the shop has more than {self._maximum_rows:,} {kind.replace('_', ' ')}s, too many to search"
                    )
                    raise Invalid.one("", "too_many_rows", f"{what}: read them by their ids")
                yield str(record[SK]), _row_of(record)

    def _shape(self, kind: Kind, shape: search.Shape) -> str:
        return pk(self._merchant_id, kind, *shape)

    def _bucket(self, kind: str, name: str) -> str:
        return pk(self._merchant_id, kind, shard_of(self._merchant_id, f"{kind}#{name}", BUCKETS))

    def _all(self, hash_value: str, at_least: str = "", less_than: str = "") -> Iterator[Record]:
        cursor = None
        while True:
            page = self._port.query(
                TABLE, hash_value, at_least=at_least, less_than=less_than, limit=MAXIMUM_PAGE, cursor=cursor
            )
            yield from page.records
            cursor = page.cursor
            if cursor is None:
                return

    # --- keys --------------------------------------------------------------------------------------------------------

    def note_keyed(self, kind: KeyedKind, name: str, row: list[Any] | None, version: int, *, new: bool = False) -> bool:
        """As ``note``, for kinds whose keys alone can answer a search: row and keys are one transaction, so a key says
        what its row says. None: the noun is no more; its version stays.

        Costs a read where it is not ``new``; one write unit where no key changes, else two for the row and two for
        each key that comes, goes, or stands in other places.
        """
        where, keys_of = self._bucket(kind, name), KEYS[kind]
        record: Record = {PK: where, SK: name, VERSION: version}
        if row is not None:
            record[ROW] = wire.kept(row)
        for _ in range(MOST_TRIES):
            before = None if new else self._port.get(TABLE, where, name, consistent=True)
            if before is not None and int(before[VERSION]) > version:
                return False
            condition: Condition = Absent() if before is None else Equals(VERSION, int(before[VERSION]))
            come, gone = self._moved(kind, name, keys_of(_row_of(before)) if before else {}, keys_of(row or []))
            # A dealer's address book may have more keys than a transaction has room: they come before the row says so
            # and go after it, so whoever dies in between leaves a key too many, and never one too few.
            room = MAXIMUM_CHANGES - 1
            least = max(0, room - len(come))
            try:
                self._beside(come[room:], Check(TABLE, where, name, when=(condition,)))
                self._port.write(Put(TABLE, record, when=(condition,)), *come[:room], *gone[:least])
            except Refused:
                new = False
                continue
            with suppress(Refused):
                self._beside(gone[least:], Check(TABLE, where, name, when=(Equals(VERSION, version),)))
            return True
        raise Contended(f"the list row of {kind} {name} is being written by others")

    def _moved(
        self, kind: KeyedKind, name: str, old: Mapping[Key, str], now: Mapping[Key, str]
    ) -> tuple[list[Change], list[Change]]:
        """What writes the keys that come, and what deletes those that go."""
        come: list[Change] = []
        for (field, value), places in now.items():
            if old.get((field, value)) != places:
                key: Record = {PK: self._keys(kind, field), SK: f"{value}#{name}"}
                come.append(Put(TABLE, key | ({PLACES: places} if places else {})))
        gone: list[Change] = [
            Delete(TABLE, self._keys(kind, field), f"{value}#{name}")
            for field, value in old
            if (field, value) not in now
        ]
        return come, gone

    def _beside(self, changes: list[Change], check: Check) -> None:
        room = MAXIMUM_CHANGES - 1
        for start in range(0, len(changes), room):
            self._port.write(check, *changes[start : start + room])

    def keys(
        self, kind: KeyedKind, field: str, begins: str, *, whole: bool = False, cursor: Cursor | None = None
    ) -> tuple[list[tuple[str, str, str]], Cursor | None]:
        """(value, places, name) of the keys that begin so, in the order of their values: a page of them, and where to
        go on. ``whole``: of those that are so, and of the few others that go on with a ``#``."""
        key, prefix = self._keys(kind, field), f"{begins}#" if whole else begins
        page = self._port.query(TABLE, key, prefix=prefix, limit=MAXIMUM_PAGE, cursor=cursor)
        found: list[tuple[str, str, str]] = []
        for record in page.records:
            value, _, name = str(record[SK]).rpartition("#")
            found.append((value, str(record.get(PLACES, "")), name))
        return found, page.cursor

    def _keys(self, kind: KeyedKind, field: str) -> str:
        """One partition for each field, in the order of the values: any beginning is one range of it, and DynamoDB
        splits what grows hot by its range keys."""
        return pk(self._merchant_id, kind, field)

    # --- result sets -------------------------------------------------------------------------------------------------

    def remember(self, kind: str, question: str, names: list[str], now: Instant) -> None:
        """Keep what was found for a question, in its order. The head is written last and names the set that it is the
        head of, so two who ask the same at once never mix their answers."""
        key = self._result(kind, question)
        expires = int(later(now, seconds=RESULT_SECONDS).timestamp())
        texts = [wire.kept(names[start : start + CHUNK]) for start in range(0, len(names), CHUNK)]
        digest = sha256("".join(texts).encode()).hexdigest()
        for number, text in enumerate(texts[1:], start=1):
            self._port.write(Put(RESULTS, {PK: key, SK: _chunk(digest, number), "names": text, "expires": expires}))
        first = texts[0] if texts else "[]"
        head: Record = {PK: key, SK: HEAD, "found": digest, "total": len(names), "names": first, "expires": expires}
        self._port.write(Put(RESULTS, head))

    def remembered(
        self, kind: str, question: str, now: Instant, offset: int, limit: int
    ) -> tuple[list[str], int] | None:
        """The names of one page and how many there are in all; None where nothing is remembered, or no longer."""
        key = self._result(kind, question)
        head = self._port.get(RESULTS, key, HEAD, consistent=True)
        if head is None or int(head["expires"]) <= int(now.timestamp()):
            return None
        total = int(head["total"])
        last = min(offset + limit, total) - 1
        names: list[str] = []
        first_chunk = offset // CHUNK
        for number in range(first_chunk, last // CHUNK + 1):
            sk = _chunk(str(head["found"]), number)
            record = self._port.get(RESULTS, key, sk, consistent=True) if number else head
            if record is None:
                return None
            names += wire.load(str(record["names"]), list[str])
        start = offset - first_chunk * CHUNK
        return names[start : start + limit], total

    def _result(self, kind: str, question: str) -> str:
        return pk(self._merchant_id, RESULT, sha256(f"{kind}\x1f{question}".encode()).hexdigest())

    # --- day totals --------------------------------------------------------------------------------------------------

    def counted(self, day: str, amounts: Mapping[str, int]) -> Change:
        """Add to the totals of a day (ISO, the merchant's). Belongs into the transaction that marks the event as told,
        or it would be added twice."""
        return Update(TABLE, pk(self._merchant_id, DAY), day, add=dict(amounts))

    def days(self, first: str, last: str) -> list[tuple[str, dict[str, int]]]:
        """The totals of the days from ``first`` to ``last``, oldest first; days without any are left out."""
        # A day's name is followed by nothing, so the first text after it is longer.
        records = self._all(pk(self._merchant_id, DAY), at_least=first, less_than=f"{last}~")
        return [
            (str(record[SK]), {name: int(value) for name, value in record.items() if name not in (PK, SK)})
            for record in records
        ]


def _row_of(record: Record) -> list[Any]:
    """The row that a record holds; an empty one where its noun is gone."""
    return wire.load(str(record[ROW]), list[Any]) if ROW in record else []


def _chunk(digest: str, number: int) -> str:
    return f"{digest}#{number:04d}"
