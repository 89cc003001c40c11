"""The narrow table port: all that the stores need of a database. Two adapters speak it: dynamodb.py and sqlite.py.

A record is its keys ``pk`` and ``sk``, whatever a condition or an index needs as attributes, and one ``document``
text. Values are texts and whole numbers. ``write`` takes one change, or several as one transaction; it raises
``Refused`` where a condition did not hold and ``Contended`` where the engine asks to try again.

Conditions and changes are Structs, as nouns are: a dataclass takes a millisecond of every cold start to be made.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

Value = str | int
Record = dict[str, Value]
Cursor = dict[str, Value]

# DynamoDB's own limits, held by both engines so that the embedded one accepts nothing that production refuses.
MAXIMUM_CHANGES = 100
MAXIMUM_GET_MANY = 100
MAXIMUM_PAGE = 1000
MAXIMUM_PAGE_BYTES = 1024 * 1024
MAXIMUM_RECORD_BYTES = 400 * 1024
MAXIMUM_TRANSACTION_BYTES = 4 * 1024 * 1024
MAXIMUM_HASH_BYTES = 2048
MAXIMUM_RANGE_BYTES = 1024
MAXIMUM_DIGITS = 38
MAXIMUM_ONE_OF = 100


# --- conditions: a closed set ----------------------------------------------------------------------------------------


class Absent(msgspec.Struct, frozen=True):
    """No such record; with a name: the record (there or not) lacks that attribute."""

    name: str = ""


class Present(msgspec.Struct, frozen=True):
    """The record exists; with a name: it exists and has that attribute."""

    name: str = ""


class Equals(msgspec.Struct, frozen=True):
    """The record has that attribute with exactly this value. A version check is ``Equals("version", n)``."""

    name: str
    value: Value


class OneOf(msgspec.Struct, frozen=True):
    name: str
    values: tuple[Value, ...]


class LessThan(msgspec.Struct, frozen=True):
    """The record has that attribute and it is less (texts by their UTF-8 bytes)."""

    name: str
    value: Value


class AtLeast(msgspec.Struct, frozen=True):
    name: str
    value: Value


Condition = Absent | Present | Equals | OneOf | LessThan | AtLeast


# --- changes ---------------------------------------------------------------------------------------------------------


class Put(msgspec.Struct, frozen=True):
    """Write the whole record (``record`` holds its pk and sk)."""

    table: str
    record: Record
    when: tuple[Condition, ...] = ()


class Update(msgspec.Struct, frozen=True):
    """Change attributes of one record; it is created where it did not exist and the conditions allow that."""

    table: str
    pk: str
    sk: str
    set: Mapping[str, Value] = msgspec.field(default_factory=dict)
    remove: tuple[str, ...] = ()
    add: Mapping[str, int] = msgspec.field(default_factory=dict)
    when: tuple[Condition, ...] = ()


class Delete(msgspec.Struct, frozen=True):
    table: str
    pk: str
    sk: str
    when: tuple[Condition, ...] = ()


class Check(msgspec.Struct, frozen=True):
    """Part of a transaction that changes nothing and only holds a condition."""

    table: str
    pk: str
    sk: str
    when: tuple[Condition, ...]


Change = Put | Update | Delete | Check


# --- the port --------------------------------------------------------------------------------------------------------


class Page(msgspec.Struct, frozen=True):
    """Records in key order and where to go on; ``cursor`` is None on the last page.

    A page may be short, or even empty, with a cursor: go on until it is None.
    """

    records: list[Record]
    cursor: Cursor | None


class Call(msgspec.Struct):
    """One call as DynamoDB would bill it. ``writes``/``reads`` in capacity units."""

    verb: str
    tables: tuple[str, ...]
    writes: float = 0.0
    reads: float = 0.0


class Meter(msgspec.Struct):
    """What the calls since ``reset`` consumed: one entry a round trip."""

    calls: list[Call] = msgspec.field(default_factory=list)
    # The meter of a long-lived process must not grow for ever; a budget test never comes near this.
    limit: int = 10_000

    @property
    def full(self) -> bool:
        return len(self.calls) >= self.limit

    def count(self, call: Call) -> None:
        if not self.full:
            self.calls.append(call)

    def reset(self) -> None:
        self.calls.clear()


class TablePort(Protocol):
    meter: Meter

    def get(self, table: str, pk: str, sk: str, *, consistent: bool = False) -> Record | None: ...

    def get_many(self, table: str, keys: Sequence[tuple[str, str]], *, consistent: bool = False) -> list[Record]:
        """The records that exist, in the order of ``keys``. Up to MAXIMUM_GET_MANY keys, none of them twice."""
        ...

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
        """Records of one hash value in range order: all, those whose range key starts with ``prefix``, or those in
        ``at_least <= range < less_than`` (either bound may be left out; not together with ``prefix``).

        With ``index`` the hash and range are the index's, and a record holds only the table's and the index's keys.
        ``consistent`` is for the table itself; an index is always a little behind.
        """
        ...

    def write(self, *changes: Change) -> None:
        """One change, or several as one transaction (all or none; never two on one record).

        Raises Refused(change, found) and Contended; ValueError where the change itself breaks a limit.

        A single change whose answer was lost is sent again: it may be refused by the record that it wrote itself, so
        who must know compares ``found``; and an ``add`` that no condition guards may add twice. A transaction is
        applied once.
        """
        ...
