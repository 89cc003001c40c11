"""The table port on SQLite: the embedded engine. Same conditions, same atomicity, same cursors as DynamoDB.

It computes the units that DynamoDB would have billed, and applies index entries through a queue whose lag tests
choose, so that reading one's own index entry too early is caught.
"""

import math
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import msgspec

from chalicelib.domain.errors import Contended, Refused
from chalicelib.stores.port import (
    MAXIMUM_DIGITS,
    MAXIMUM_PAGE_BYTES,
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
from chalicelib.stores.rules import (
    check_changes,
    check_get,
    check_get_many,
    check_query,
    check_record_bytes,
    check_transaction_bytes,
    cursor_names,
    is_empty,
    key_of,
    known_index,
    known_table,
    verb_of,
)
from chalicelib.stores.tables import PK, SK, TABLES, Index, Table
from chalicelib.stores.units import change_units, index_entry, read_units, record_bytes, refused_units

T = TypeVar("T")

SCHEMA = """
create table if not exists record (
  name text not null, pk text not null, sk text not null, body text not null, primary key (name, pk, sk)
);
create table if not exists entry (
  name text not null, index_name text not null, hash text not null, range text not null,
  pk text not null, sk text not null, primary key (name, index_name, hash, range, pk, sk)
) without rowid;
create table if not exists lag (
  number integer primary key autoincrement, due real not null, name text not null, index_name text not null,
  gone text, come text
);
"""
GET = "select body from record where name = ? and pk = ? and sk = ?"
EXPIRED = "select name, pk, sk from record where name = ? and json_extract(body, ?) < ?"
DELETE = "delete from record where name = ? and pk = ? and sk = ?"
# Not `insert or replace`: that moves the row to the end of the file, and both its old page and its new one are written.
PUT = "insert into record values (?, ?, ?, ?) on conflict do update set body = excluded.body"
# Another process may hold the file for the length of one transaction; longer than this something is stuck.
BUSY_SECONDS = 10
# Pages that are kept in memory: the busy ones of a shop of some thousand auto orders. SQLite's own figure is 2 MB.
CACHE_KILOBYTES = 16_000


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
        # Before this no entry that waits can show, so nobody need look.
        self._next_entry = math.inf
        self._lock = threading.RLock()
        self._db = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None, timeout=BUSY_SECONDS)
        self._db.execute("pragma journal_mode=wal")
        # As gateways/embedded.py, which opens the same file, says and gives the reasons.
        self._db.execute("pragma synchronous=normal")
        self._db.execute("pragma wal_autocheckpoint=8000")
        self._db.execute(f"pragma cache_size=-{CACHE_KILOBYTES}")
        self._db.executescript(SCHEMA)
        with self._lock:
            # What an earlier run left waiting: its clock says nothing now, and by now every entry has come.
            self._as_one(lambda: self._apply_lag(everything=True))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, table: str, pk: str, sk: str, *, consistent: bool = False) -> Record | None:
        check_get(table, pk, sk)
        with self._lock:
            record = self._read(table, pk, sk)
        self._bill_reads("get", table, [record], consistent=consistent)
        return record

    def get_many(self, table: str, keys: Sequence[tuple[str, str]], *, consistent: bool = False) -> list[Record]:
        check_get_many(table, keys)
        if not keys:
            return []
        with self._lock:
            records = [self._read(table, pk, sk) for pk, sk in keys]
        self._bill_reads("get_many", table, records, consistent=consistent)
        return [record for record in records if record is not None]

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
        described, wanted = check_query(
            table,
            hash_value,
            index=index,
            prefix=prefix,
            at_least=at_least,
            less_than=less_than,
            limit=limit,
            cursor=cursor,
            consistent=consistent,
        )
        if is_empty(at_least, less_than):
            return Page([], None)
        with self._lock:
            self._apply_lag()
            records, size, cut = self._select(
                described, wanted, hash_value, prefix, at_least, less_than, cursor, descending, limit
            )
        if not self.meter.full:
            self._bill("query", table, reads=read_units(size, consistent=consistent))
        # As DynamoDB does, a page that is full has a cursor, whether or not anything comes after it.
        last = records[-1] if cut or len(records) == limit else None
        return Page(records, {name: last[name] for name in cursor_names(wanted)} if last else None)

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
    ) -> tuple[list[Record], int, bool]:
        """The records of a page, their bytes, and whether the page was cut for its size."""
        given: list[object] = [table.name, index.name, hash_value] if index else [table.name, hash_value]
        if prefix:
            at_least, less_than = prefix, _after(prefix)
        given += [bound for bound in (at_least, less_than) if bound]
        if cursor:
            given += [cursor[index.range], cursor[PK], cursor[SK]] if index else [cursor[SK]]
        given.append(limit)
        sql = _page_of(index is not None, bool(at_least), bool(less_than), cursor is not None, descending)
        records: list[Record] = []
        whole = 0
        rows = self._db.execute(sql, given)
        for row in rows:
            if index is None:
                record = _record_of(row[3])
            else:
                record = {PK: row[4], SK: row[5], index.hash: row[2], index.range: row[3]}
            size = record_bytes(record)
            if whole + size > MAXIMUM_PAGE_BYTES:
                # What is not read to its end keeps the file's past alive.
                rows.close()
                return records, whole, True
            records.append(record)
            whole += size
        return records, whole, False

    # --- sweeping ----------------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> int:
        """Delete what has expired by ``now`` (epoch seconds), as DynamoDB does by itself, one record at a time so that
        nobody waits long. Returns how many."""
        with self._lock:
            found = [
                key
                for table in TABLES
                if table.expires
                for key in self._db.execute(EXPIRED, (table.name, f"$.{table.expires}", now)).fetchall()
            ]
        for name, pk, sk in found:
            self.write(Delete(name, pk, sk))
        return len(found)

    # --- writing -----------------------------------------------------------------------------------------------------

    def write(self, *changes: Change) -> None:
        check_changes(changes)
        verb, tables = verb_of(changes), [change.table for change in changes]
        in_transaction = verb == "transaction"
        try:
            with self._lock:
                units = self._as_one(lambda: self._write(changes, in_transaction=in_transaction))
        except Refused as refused:
            self._bill(verb, *tables, writes=refused_units(refused.found, in_transaction=in_transaction))
            raise
        self._bill(verb, *tables, writes=units)

    def _write(self, changes: Sequence[Change], *, in_transaction: bool) -> float:
        self._apply_lag()
        pairs: list[tuple[Change, Record | None, Record | None]] = []
        for position, change in enumerate(changes):
            before = self._read(change.table, *key_of(change))
            if not all(holds(condition, before) for condition in change.when):
                raise Refused(position, before)
            pairs.append((change, before, applied(change, before)))
        units, whole, counts = 0.0, 0, not self.meter.full
        for change, before, after in pairs:
            becomes = record_bytes(after) if after else 0
            was = record_bytes(before) if before and (counts or not after) else 0
            check_record_bytes(becomes)
            whole += becomes or was
            entries = self._apply(change, before, after)
            if counts:
                units += change_units(max(was, becomes), entries, in_transaction=in_transaction)
        if in_transaction:
            check_transaction_bytes(whole)
        return units

    def _apply(self, change: Change, before: Record | None, after: Record | None) -> list[Record]:
        """The index entries that went or came."""
        if isinstance(change, Check):
            return []
        table, key = known_table(change.table), key_of(change)
        if after is None:
            self._db.execute(DELETE, (table.name, *key))
        else:
            self._db.execute(PUT, (table.name, *key, _text_of(after)))
        moved: list[Record] = []
        for index in table.indexes:
            gone, come = index_entry(before, index), index_entry(after, index)
            if gone != come:
                self._reindex(table, index, gone, come)
                moved += [entry for entry in (gone, come) if entry]
        return moved

    def _reindex(self, table: Table, index: Index, gone: Record | None, come: Record | None) -> None:
        # Without a lag none waits either: what an earlier run left waiting has come when the file was opened.
        lag = self._lag() if self._lag else 0.0
        if lag <= 0 and (self._lag is None or not self._db.execute("select 1 from lag limit 1").fetchone()):
            self._move(table, index, gone, come)
            return
        due = self._now() + lag
        self._next_entry = min(self._next_entry, due)
        self._db.execute(
            "insert into lag (due, name, index_name, gone, come) values (?, ?, ?, ?, ?)",
            (
                due,
                table.name,
                index.name,
                _text_of(gone) if gone else None,
                _text_of(come) if come else None,
            ),
        )

    def _apply_lag(self, *, everything: bool = False) -> None:
        """Index entries show in the order in which they were written, each when its lag is over."""
        if self._next_entry == math.inf and not everything:
            return  # none waits: no need to look at the clock
        now = self._now()
        if now < self._next_entry and not everything:
            return
        self._next_entry = math.inf
        rows = self._db.execute("select number, due, name, index_name, gone, come from lag order by number").fetchall()
        for number, due, name, index_name, gone, come in rows:
            if due > now and not everything:
                self._next_entry = due
                return
            table = known_table(name)
            index = known_index(table, index_name)
            self._move(table, index, _record_of(gone) if gone else None, _record_of(come) if come else None)
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
        row = self._db.execute(GET, (table, pk, sk)).fetchone()
        return _record_of(row[0]) if row else None

    def _bill_reads(self, verb: str, table: str, records: Sequence[Record | None], *, consistent: bool) -> None:
        """One that is not there costs the least. What a full meter would not count is not computed either."""
        if not self.meter.full:
            sizes = [record_bytes(record) if record else 0 for record in records]
            self._bill(verb, table, reads=sum(read_units(size, consistent=consistent) for size in sizes))

    def _bill(self, verb: str, *tables: str, reads: float = 0.0, writes: float = 0.0) -> None:
        self.meter.count(Call(verb, tables, writes=writes, reads=reads))

    def _as_one(self, act: Callable[[], T]) -> T:
        """What it does, in one transaction."""
        try:
            self._db.execute("begin immediate")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise Contended(str(error)) from error
        try:
            done = act()
            self._db.execute("commit")
        except BaseException:
            # Entries that were shown in it wait again.
            self._next_entry = -math.inf
            # A full disk may have ended the transaction already.
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise
        return done


@lru_cache(maxsize=32)
def _page_of(of_index: bool, at_least: bool, less_than: bool, goes_on: bool, descending: bool) -> str:
    """The statement of a query with these bounds."""
    sql = "select * from " + (
        "entry where name = ? and index_name = ? and hash = ?" if of_index else "record where name = ? and pk = ?"
    )
    column, keys = ("range", ("range", "pk", "sk")) if of_index else ("sk", ("sk",))
    sql += f" and {column} >= ?" * at_least + f" and {column} < ?" * less_than
    if goes_on:
        sql += f" and ({', '.join(keys)}) {'<' if descending else '>'} ({', '.join('?' * len(keys))})"
    order = "desc" if descending else "asc"
    return sql + " order by " + ", ".join(f"{key} {order}" for key in keys) + " limit ?"


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Record)


def _text_of(record: Record) -> str:
    return _ENCODER.encode(record).decode()


def _record_of(text: str) -> Record:
    return _DECODER.decode(text)


# --- conditions and changes; pure ------------------------------------------------------------------------------------


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
            return _less(value, bound) is True
        case AtLeast(value=bound):
            return _less(value, bound) is False


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _less(value: object, bound: object) -> bool | None:
    """None where the two cannot be compared: a missing value, or a text and a number."""
    if isinstance(value, str) and isinstance(bound, str):
        return value.encode() < bound.encode()
    if isinstance(value, int) and isinstance(bound, int):
        return value < bound
    return None


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
                after[name] = total = old + amount
                if abs(total) >= 10**MAXIMUM_DIGITS:
                    raise ValueError(f"{name} would have more than {MAXIMUM_DIGITS} digits")
            return after


def _after(prefix: str) -> str:
    """The first text that follows every text with this prefix; empty where nothing does."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return ""
    # Between U+D7FF and U+E000 lie the surrogates, which no text holds.
    return kept[:-1] + ("\ue000" if kept[-1] == "\ud7ff" else chr(ord(kept[-1]) + 1))


def seeded_lag(seed: int, longest_seconds: float) -> Callable[[], float]:
    """A lag that differs from entry to entry and is the same for the same seed."""
    chance = random.Random(seed)
    return lambda: chance.uniform(0, longest_seconds)
