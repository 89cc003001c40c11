"""The table port on SQLite: the embedded engine. Same conditions, same atomicity, same cursors as DynamoDB.

It computes the units that DynamoDB would have billed, and applies index entries through a queue whose lag tests
choose, so that reading one's own index entry too early is caught.
"""

import json
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from chalicelib.domain.errors import Contended, Refused
from chalicelib.stores.port import (
    MAXIMUM_CHANGES,
    MAXIMUM_GET_MANY,
    MAXIMUM_PAGE,
    MAXIMUM_RECORD_BYTES,
    Absent,
    AtLeast,
    Call,
    Change,
    Check,
    Condition,
    Cursor,
    Delete,
    Equals,
    LessThan,
    Meter,
    OneOf,
    Page,
    Present,
    Put,
    Record,
    Update,
)
from chalicelib.stores.tables import BY_NAME, PK, SK, Index, Table
from chalicelib.stores.units import change_units, index_entry, read_units, record_bytes

SCHEMA = """
create table if not exists record (
  name text not null, pk text not null, sk text not null, body text not null, primary key (name, pk, sk)
) without rowid;
create table if not exists entry (
  name text not null, index_name text not null, hash text not null, range text not null,
  pk text not null, sk text not null, primary key (name, index_name, hash, range, pk, sk)
) without rowid;
create table if not exists lag (
  number integer primary key autoincrement, due real not null, name text not null, index_name text not null,
  gone text, come text
);
"""
# Another process may hold the file for the length of one transaction; longer than this something is stuck.
BUSY_SECONDS = 10


class SqliteTables:
    """``path`` is a file, or ``:memory:``. ``index_lag`` gives the seconds until an index entry shows; 0 is at once."""

    def __init__(
        self,
        path: str | Path = ":memory:",
        *,
        index_lag: Callable[[], float] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.meter = Meter()
        self._lag = index_lag
        self._now = now
        self._lock = threading.RLock()
        self._db = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None, timeout=BUSY_SECONDS)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full" if str(path) != ":memory:" else "pragma synchronous=off")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, table: str, pk: str, sk: str, *, consistent: bool = False) -> Record | None:
        _known(table)
        with self._lock:
            record = self._read(table, pk, sk)
        self._bill("get", table, reads=read_units(record_bytes(record) if record else 0, consistent=consistent))
        return record

    def get_many(self, table: str, keys: Sequence[tuple[str, str]], *, consistent: bool = False) -> list[Record]:
        _known(table)
        if len(keys) > MAXIMUM_GET_MANY:
            raise ValueError(f"get_many takes {MAXIMUM_GET_MANY} keys at most, got {len(keys)}")
        if len(set(keys)) != len(keys):
            raise ValueError("get_many takes no key twice")
        if not keys:
            return []
        with self._lock:
            found = [record for pk, sk in keys if (record := self._read(table, pk, sk)) is not None]
        missing = len(keys) - len(found)
        reads = sum(read_units(record_bytes(record), consistent=consistent) for record in found)
        self._bill("get_many", table, reads=reads + missing * read_units(0, consistent=consistent))
        return found

    def query(
        self,
        table: str,
        hash_value: str,
        *,
        index: str = "",
        prefix: str = "",
        at_least: str = "",
        less_than: str = "",
        limit: int = 100,
        cursor: Cursor | None = None,
        descending: bool = False,
        consistent: bool = False,
    ) -> Page:
        described = _known(table)
        if not 1 <= limit <= MAXIMUM_PAGE:
            raise ValueError(f"a page holds 1 to {MAXIMUM_PAGE} records, not {limit}")
        if prefix and (at_least or less_than):
            raise ValueError("ask for a prefix or for a range, not both")
        if index and consistent:
            raise ValueError("an index cannot be read consistently")
        wanted = _index(described, index) if index else None
        with self._lock:
            self._apply_lag()
            rows = self._select(described, wanted, hash_value, prefix, at_least, less_than, cursor, descending, limit + 1)
        more, rows = len(rows) > limit, rows[:limit]
        size = sum(record_bytes(row) for row in rows)
        self._bill("query", table, reads=read_units(size, consistent=consistent))
        last = rows[-1] if rows and more else None
        names = (PK, SK, wanted.hash, wanted.range) if wanted else (PK, SK)
        return Page(rows, {name: last[name] for name in names} if last else None)

    def _select(
        self,
        table: Table,
        index: Index | None,
        hash_value: str,
        prefix: str,
        at_least: str,
        less_than: str,
        cursor: Cursor | None,
        descending: bool,
        limit: int,
    ) -> list[Record]:
        source = "entry where name = ? and index_name = ? and hash = ?" if index else "record where name = ? and pk = ?"
        column = "range" if index else "sk"
        given: list[object] = [table.name, index.name, hash_value] if index else [table.name, hash_value]
        sql = [f"select * from {source}"]
        if prefix:
            at_least, less_than = prefix, prefix + "\U0010ffff"
        if at_least:
            sql.append(f"and {column} >= ?")
            given.append(at_least)
        if less_than:
            sql.append(f"and {column} < ?")
            given.append(less_than)
        order = "desc" if descending else "asc"
        if cursor:
            compare = "<" if descending else ">"
            if index:
                sql.append(f"and (range, pk, sk) {compare} (?, ?, ?)")
                given += [cursor[index.range], cursor[PK], cursor[SK]]
            else:
                sql.append(f"and sk {compare} ?")
                given.append(cursor[SK])
        keys = ("range", "pk", "sk") if index else ("sk",)
        sql.append("order by " + ", ".join(f"{key} {order}" for key in keys) + " limit ?")
        given.append(limit)
        rows = self._db.execute(" ".join(sql), given).fetchall()
        if index is None:
            return [json.loads(row[3]) for row in rows]
        return [{PK: row[4], SK: row[5], index.hash: row[2], index.range: row[3]} for row in rows]

    # --- writing -----------------------------------------------------------------------------------------------------

    def write(self, *changes: Change) -> None:
        _checked(changes)
        with self._lock, self._transaction():
            self._apply_lag()
            pairs: list[tuple[Change, Record | None, Record | None]] = []
            for position, change in enumerate(changes):
                pk, sk = key_of(change)
                before = self._read(change.table, pk, sk)
                if not all(holds(condition, before) for condition in change.when):
                    raise Refused(position, before)
                pairs.append((change, before, applied(change, before)))
            units = 0.0
            for change, before, after in pairs:
                units += self._apply(change, before, after, in_transaction=len(changes) > 1)
        verb = "transaction" if len(changes) > 1 else type(changes[0]).__name__.lower()
        self.meter.count(Call(verb, tuple(change.table for change in changes), writes=units))

    def _apply(self, change: Change, before: Record | None, after: Record | None, *, in_transaction: bool) -> float:
        table = _known(change.table)
        pk, sk = key_of(change)
        if isinstance(change, Check):
            return change_units(table, before, before, in_transaction=True)
        if after is None:
            self._db.execute("delete from record where name = ? and pk = ? and sk = ?", (table.name, pk, sk))
        else:
            if record_bytes(after) > MAXIMUM_RECORD_BYTES:
                raise ValueError(f"a record holds {MAXIMUM_RECORD_BYTES} bytes at most")
            body = json.dumps(after, ensure_ascii=False, separators=(",", ":"))
            self._db.execute("insert or replace into record values (?, ?, ?, ?)", (table.name, pk, sk, body))
        for index in table.indexes:
            self._reindex(table, index, index_entry(before, index), index_entry(after, index))
        return change_units(table, before, after, in_transaction=in_transaction)

    def _reindex(self, table: Table, index: Index, gone: Record | None, come: Record | None) -> None:
        if gone == come:
            return
        lag = self._lag() if self._lag else 0.0
        waiting = self._db.execute("select 1 from lag limit 1").fetchone()
        if lag <= 0 and not waiting:
            self._move(table, index, gone, come)
            return
        self._db.execute(
            "insert into lag (due, name, index_name, gone, come) values (?, ?, ?, ?, ?)",
            (
                self._now() + lag,
                table.name,
                index.name,
                json.dumps(gone) if gone else None,
                json.dumps(come) if come else None,
            ),
        )

    def _apply_lag(self) -> None:
        """Index entries show in the order in which they were written, each when its lag is over."""
        if self._lag is None:
            return
        rows = self._db.execute("select number, due, name, index_name, gone, come from lag order by number").fetchall()
        for number, due, name, index_name, gone, come in rows:
            if due > self._now():
                return
            table = _known(name)
            index = _index(table, index_name)
            self._move(table, index, json.loads(gone) if gone else None, json.loads(come) if come else None)
            self._db.execute("delete from lag where number = ?", (number,))

    def _move(self, table: Table, index: Index, gone: Record | None, come: Record | None) -> None:
        if gone:
            self._db.execute(
                "delete from entry where name = ? and index_name = ? and hash = ? and range = ? and pk = ? and sk = ?",
                (table.name, index.name, gone[index.hash], gone[index.range], gone[PK], gone[SK]),
            )
        if come:
            self._db.execute(
                "insert or replace into entry values (?, ?, ?, ?, ?, ?)",
                (table.name, index.name, come[index.hash], come[index.range], come[PK], come[SK]),
            )

    def _read(self, table: str, pk: str, sk: str) -> Record | None:
        row = self._db.execute(
            "select body from record where name = ? and pk = ? and sk = ?", (table, pk, sk)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def _bill(self, verb: str, table: str, *, reads: float) -> None:
        self.meter.count(Call(verb, (table,), reads=reads))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("begin immediate")
        except sqlite3.OperationalError as error:
            raise Contended(str(error)) from error
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")


# --- the rules that a change obeys; pure ----------------------------------------------------------------------------


def key_of(change: Change) -> tuple[str, str]:
    if isinstance(change, Put):
        return str(change.record[PK]), str(change.record[SK])
    return change.pk, change.sk


def holds(condition: Condition, record: Record | None) -> bool:
    match condition:
        case Absent(name=""):
            return record is None
        case Absent(name=name):
            return record is None or name not in record
        case Present(name=""):
            return record is not None
        case Present(name=name):
            return record is not None and name in record
    value = record.get(condition.name) if record else None
    match condition:
        case Equals(value=wanted):
            return value is not None and _same(value, wanted)
        case OneOf(values=wanted_values):
            return value is not None and any(_same(value, wanted) for wanted in wanted_values)
        case LessThan(value=bound):
            return _ordered(value, bound) and _key(value) < _key(bound)
        case AtLeast(value=bound):
            return _ordered(value, bound) and _key(value) >= _key(bound)


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _ordered(value: object, bound: object) -> bool:
    return value is not None and type(value) is type(bound)


def _key(value: object) -> bytes | int:
    return value.encode() if isinstance(value, str) else int(str(value))


def applied(change: Change, before: Record | None) -> Record | None:
    """The record after the change."""
    match change:
        case Put(record=record):
            return dict(record)
        case Delete():
            return None
        case Check():
            return before
        case Update():
            after: Record = dict(before) if before else {PK: change.pk, SK: change.sk}
            after.update(change.set)
            for name in change.remove:
                after.pop(name, None)
            for name, amount in change.add.items():
                old = after.get(name, 0)
                if not isinstance(old, int):
                    raise ValueError(f"{name} is not a number and cannot be added to")
                after[name] = old + amount
            return after


def _checked(changes: tuple[Change, ...]) -> None:
    if not changes:
        raise ValueError("nothing to write")
    if len(changes) > MAXIMUM_CHANGES:
        raise ValueError(f"a transaction holds {MAXIMUM_CHANGES} changes at most, got {len(changes)}")
    keys = [(change.table, *key_of(change)) for change in changes]
    if len(set(keys)) != len(keys):
        raise ValueError("a transaction may change a record once only")
    for change in changes:
        table = _known(change.table)
        named: list[tuple[str, object]] = []
        if isinstance(change, Put):
            named = list(change.record.items())
        elif isinstance(change, Update):
            named = list(change.set.items())
            touched = [*change.set, *change.remove, *change.add]
            if len(set(touched)) != len(touched):
                raise ValueError("an update may name an attribute once only")
            if PK in touched or SK in touched:
                raise ValueError("a key cannot be changed")
        for name, value in named:
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise ValueError(f"{name} must be a text or a whole number, not {type(value).__name__}")
        if not all(key_of(change)):
            raise ValueError("a key must not be empty")
        for index in table.indexes:
            for name, value in named:
                if name in (index.hash, index.range) and (not isinstance(value, str) or not value):
                    raise ValueError(f"{name} is a key of the index {index.name}: it must be a text, not empty")


def _known(table: str) -> Table:
    if table not in BY_NAME:
        raise ValueError(f"there is no table {table}")
    return BY_NAME[table]


def _index(table: Table, name: str) -> Index:
    for index in table.indexes:
        if index.name == name:
            return index
    raise ValueError(f"table {table.name} has no index {name}")


def seeded_lag(seed: int, longest_seconds: float) -> Callable[[], float]:
    """A lag that differs from entry to entry and is the same for the same seed."""
    chance = random.Random(seed)
    return lambda: chance.uniform(0, longest_seconds)
