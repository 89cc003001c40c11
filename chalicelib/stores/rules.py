"""The rules that a call on the table port obeys on either engine: what a key, a value, a change and a query may be.

Pure. The limits are DynamoDB's own, held by both engines so that the embedded one accepts nothing that production
refuses. Breaking one is a mistake in our own code, never in a shopper's input, hence ValueError.
"""

from collections.abc import Sequence
from functools import lru_cache

from chalicelib.stores.port import (
    MAXIMUM_CHANGES,
    MAXIMUM_DIGITS,
    MAXIMUM_GET_MANY,
    MAXIMUM_HASH_BYTES,
    MAXIMUM_ONE_OF,
    MAXIMUM_PAGE,
    MAXIMUM_RANGE_BYTES,
    MAXIMUM_RECORD_BYTES,
    MAXIMUM_TRANSACTION_BYTES,
    Absent,
    Change,
    Check,
    Condition,
    Cursor,
    OneOf,
    Present,
    Put,
    Record,
    Update,
)
from chalicelib.stores.tables import BY_NAME, PK, SK, Index, Table
from chalicelib.stores.units import record_bytes

_TOO_LARGE = 10**MAXIMUM_DIGITS
# Conditions that hold no value; a union would be made anew at each look.
_OF_THE_WHOLE = (Absent, Present)


def known_table(name: str) -> Table:
    if name not in BY_NAME:
        raise ValueError(f"there is no table {name}")
    return BY_NAME[name]


def known_index(table: Table, name: str) -> Index:
    for index in table.indexes:
        if index.name == name:
            return index
    raise ValueError(f"table {table.name} has no index {name}")


def key_of(change: Change) -> tuple[str, str]:
    if isinstance(change, Put):
        return str(change.record[PK]), str(change.record[SK])
    return change.pk, change.sk


def verb_of(changes: Sequence[Change]) -> str:
    """How the meter names the call. A check alone is a transaction too: DynamoDB has no other call for it."""
    if len(changes) > 1 or isinstance(changes[0], Check):
        return "transaction"
    return type(changes[0]).__name__.lower()


def cursor_names(index: Index | None) -> tuple[str, ...]:
    """The attributes that say where a page ended."""
    return (PK, SK, index.hash, index.range) if index else (PK, SK)


# --- reading ---------------------------------------------------------------------------------------------------------


def check_get(table: str, pk: str, sk: str) -> None:
    known_table(table)
    _check_key(PK, pk, MAXIMUM_HASH_BYTES)
    _check_key(SK, sk, MAXIMUM_RANGE_BYTES)


def check_get_many(table: str, keys: Sequence[tuple[str, str]]) -> None:
    known_table(table)
    if len(keys) > MAXIMUM_GET_MANY:
        raise ValueError(f"get_many takes {MAXIMUM_GET_MANY} keys at most, got {len(keys)}")
    if len(set(keys)) != len(keys):
        raise ValueError("get_many takes no key twice")
    for pk, sk in keys:
        check_get(table, pk, sk)


def check_query(
    table: str,
    hash_value: str,
    *,
    index: str,
    prefix: str,
    at_least: str,
    less_than: str,
    limit: int,
    cursor: Cursor | None,
    consistent: bool,
) -> tuple[Table, Index | None]:
    """The table and the index that the query names, once its arguments are found in order."""
    described = known_table(table)
    wanted = known_index(described, index) if index else None
    if not 1 <= limit <= MAXIMUM_PAGE:
        raise ValueError(f"a page holds 1 to {MAXIMUM_PAGE} records, not {limit}")
    if prefix and (at_least or less_than):
        raise ValueError("ask for a prefix or for a range, not both")
    if wanted and consistent:
        raise ValueError("an index cannot be read consistently")
    hash_name, range_name = (wanted.hash, wanted.range) if wanted else (PK, SK)
    _check_key(hash_name, hash_value, MAXIMUM_HASH_BYTES)
    for bound in (prefix, at_least, less_than):
        if bound:
            _check_key(range_name, bound, MAXIMUM_RANGE_BYTES)
    if cursor is not None:
        if set(cursor) != set(cursor_names(wanted)) or cursor[hash_name] != hash_value:
            raise ValueError("the cursor is of another query")
        ended = cursor[range_name]
        # Up to and with the upper bound: a page that DynamoDB ended on it may have left that record out.
        if not isinstance(ended, str) or not ended.startswith(prefix) or not at_least <= ended <= (less_than or ended):
            raise ValueError("the cursor lies outside the range asked for")
    return described, wanted


def is_empty(at_least: str, less_than: str) -> bool:
    """No range key can lie between these bounds, so there is nothing to ask."""
    return bool(less_than) and at_least >= less_than


# --- writing ---------------------------------------------------------------------------------------------------------


def check_changes(changes: Sequence[Change]) -> None:
    if not changes:
        raise ValueError("nothing to write")
    if len(changes) > MAXIMUM_CHANGES:
        raise ValueError(f"a transaction holds {MAXIMUM_CHANGES} changes at most, got {len(changes)}")
    carried = sum(_check_change(change) for change in changes)
    keys = {(change.table, *key_of(change)) for change in changes}
    if len(keys) != len(changes):
        raise ValueError("a transaction may change a record once only")
    if len(changes) > 1:
        check_transaction_bytes(carried)


def check_record_bytes(size: int) -> None:
    if size > MAXIMUM_RECORD_BYTES:
        raise ValueError(f"a record holds {MAXIMUM_RECORD_BYTES} bytes at most, not {size}")


def check_transaction_bytes(size: int) -> None:
    if size > MAXIMUM_TRANSACTION_BYTES:
        raise ValueError(f"the records of a transaction hold {MAXIMUM_TRANSACTION_BYTES} bytes at most, not {size}")


def _check_change(change: Change) -> int:
    """The bytes that the change carries: no more than the record that it makes."""
    table = known_table(change.table)
    for condition in change.when:
        _check_condition(condition)
    if isinstance(change, Put):
        carried: Record = change.record
    else:
        carried = {PK: change.pk, SK: change.sk}
    _check_key(PK, carried.get(PK), MAXIMUM_HASH_BYTES)
    _check_key(SK, carried.get(SK), MAXIMUM_RANGE_BYTES)
    if isinstance(change, Update):
        _check_update(table, change)
        carried |= change.set
    if isinstance(change, Check) and not change.when:
        raise ValueError("a check must hold a condition")
    for name, value in carried.items():
        _check_name(name)
        _check_value(name, value)
    for index in table.indexes:
        for name, longest in ((index.hash, MAXIMUM_HASH_BYTES), (index.range, MAXIMUM_RANGE_BYTES)):
            if name in carried:
                _check_key(name, carried[name], longest)
    size = record_bytes(carried)
    check_record_bytes(size)
    return size


def _check_update(table: Table, change: Update) -> None:
    touched = [*change.set, *change.remove, *change.add]
    if not touched:
        raise ValueError("an update must change something")
    if len(set(touched)) != len(touched):
        raise ValueError("an update may name an attribute once only")
    if PK in touched or SK in touched:
        raise ValueError("a key cannot be changed")
    for name in change.remove:
        _check_name(name)
    for name, amount in change.add.items():
        _check_name(name)
        if isinstance(amount, bool) or not isinstance(amount, int):
            raise ValueError(f"only a whole number can be added to {name}, not {type(amount).__name__}")
        _check_value(name, amount)
        if any(name in (index.hash, index.range) for index in table.indexes):
            raise ValueError(f"{name} is the key of an index: a text, nothing can be added to it")


def _check_condition(condition: Condition) -> None:
    if isinstance(condition, _OF_THE_WHOLE):
        # Without a name it is about the whole record.
        if condition.name:
            _check_name(condition.name)
        return
    _check_name(condition.name)
    if isinstance(condition, OneOf):
        if not 1 <= len(condition.values) <= MAXIMUM_ONE_OF:
            raise ValueError(f"one of 1 to {MAXIMUM_ONE_OF} values, not {len(condition.values)}")
        for value in condition.values:
            _check_value(condition.name, value)
    else:
        _check_value(condition.name, condition.value)


@lru_cache(maxsize=1024)
def _check_name(name: str) -> None:
    # PynamoDB reads brackets in a name as the position in a list.
    if not name or "[" in name or "]" in name:
        raise ValueError(f"{name!r} cannot be the name of an attribute")


def _check_value(name: str, value: object) -> None:
    if isinstance(value, str):
        if not value.isascii():
            value.encode()  # a lone surrogate is no text; UnicodeEncodeError is a ValueError
    elif isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be a text or a whole number, not {type(value).__name__}")
    elif abs(value) >= _TOO_LARGE:
        raise ValueError(f"{name} has more than {MAXIMUM_DIGITS} digits")


def _check_key(name: str, value: object, longest: int) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is a key: it must be a text, not empty")
    # A character is four bytes at most: mostly there is nothing to be written out.
    if 4 * len(value) > longest and len(value.encode()) > longest:
        raise ValueError(f"{name} is a key: it holds {longest} bytes at most")
