"""Packed rows: how a list row is read, told apart and ordered, whatever kind of noun it is of.

A row is a list: a cell a column, 0 where there is nothing, trailing zeros left out, instants as epoch seconds.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from chalicelib.domain.dates import Instant

Row = list[Any]
Test = Callable[[Row], bool]

FOR_EVER = 2**63


def trimmed(row: Row) -> Row:
    """The row without the zeros at its end."""
    last = max((position for position, cell in enumerate(row) if cell != 0), default=-1)
    return row[: last + 1]


def at(position: int, row: Row) -> Any:
    """What stands there, or None."""
    return (row[position] or None) if position < len(row) else None


# These run a hundred thousand times a search, hence loops where a generator would read better.


def all_of(tests: Sequence[Test], row: Row) -> bool:
    for test in tests:  # noqa: SIM110
        if not test(row):
            return False
    return True


def within(read: Callable[[Row], Any], begin: Instant | None, end: Instant | None) -> Test:
    """Whether a moment of the row (or one of several) lies between the two, both of them in it."""
    first = -FOR_EVER if begin is None else int(begin.timestamp())
    last = FOR_EVER if end is None else int(end.timestamp())
    return partial(_within, read, first, last)


def _within(read: Callable[[Row], Any], begin: int, end: int, row: Row) -> bool:
    found = read(row)
    if isinstance(found, list):
        return any(begin <= moment <= end for moment in found)
    return found is not None and begin <= found <= end


def sort_key(read: Callable[[Row], Any], descending: bool, named: tuple[str, Row]) -> tuple[bool, Any]:
    """What a row with its noun's name is sorted by: texts in any case, a missing value last, either way."""
    value = read(named[1])
    if isinstance(value, list):
        value = value[0]
    if isinstance(value, str):
        value = value.casefold()
    return (value is None) != descending, 0 if value is None else value
