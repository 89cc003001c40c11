"""What DynamoDB bills, by its published rules: how large a record is and how many units a call takes."""

from collections.abc import Iterable
from functools import lru_cache
from math import ceil

from chalicelib.stores.port import Record, Value
from chalicelib.stores.tables import PK, SK, Index

WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096
# A transaction prepares and commits: each of its changes to a table is billed twice (index entries are not).
TRANSACTION_FACTOR = 2


def value_bytes(value: Value) -> int:
    """A text is its UTF-8 bytes; a number is one byte for each two significant digits, and one."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    return _number_bytes(value)


@lru_cache(maxsize=4096)
def _number_bytes(number: int) -> int:
    digits = str(abs(number)).rstrip("0") or "0"
    return (len(digits) + 1) // 2 + 1 + (1 if number < 0 else 0)


def record_bytes(record: Record) -> int:
    size = 0
    for name, value in record.items():
        size += len(name) if name.isascii() else len(name.encode())
        size += len(value) if isinstance(value, str) and value.isascii() else value_bytes(value)
    return size


def write_units(size: int) -> int:
    return max(1, ceil(size / WRITE_UNIT_BYTES))


def read_units(size: int, *, consistent: bool) -> float:
    whole = max(1, ceil(size / READ_UNIT_BYTES))
    return float(whole) if consistent else whole / 2


def index_entry(record: Record | None, index: Index) -> Record | None:
    """The keys-only entry of the record in the index, or None where the record does not stand in it."""
    if record is None or index.hash not in record or index.range not in record:
        return None
    return {name: record[name] for name in (PK, SK, index.hash, index.range)}


def change_units(size: int, entries: Iterable[Record], *, in_transaction: bool) -> float:
    """One change: ``size`` is that of the record before it or after it, whichever is larger; ``entries`` are those of
    an index that go or come, each on top."""
    units = write_units(size) * (TRANSACTION_FACTOR if in_transaction else 1)
    return float(units + sum(write_units(record_bytes(entry)) for entry in entries))


def refused_units(found: Record | None, *, in_transaction: bool) -> float:
    """A refused single write is billed by the record that stood there. What a cancelled transaction consumes is not
    published, nor reported by the call: it counts nothing."""
    return 0.0 if in_transaction else float(write_units(record_bytes(found) if found else 0))
