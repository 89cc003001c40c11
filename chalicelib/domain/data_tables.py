"""What the DataTables plugin asks of a server: a page of a table of customers, with what was typed over it.

It comes as a form (``search[value]=Lee``) or as JSON of the same names. What was typed over the table are words; what
was typed over a column is the beginning of its field, or a pattern where there is a ``*`` in it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from chalicelib.domain import wire
from chalicelib.domain.criteria import problem
from chalicelib.domain.customer_search import ANY, SORT_ALIASES, SORT_FIELDS, CustomerQuery
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.wire import Noun

LARGEST = 1_000_000
PARTS = re.compile(r"[^\[\]]+")
# ``_`` is the plugin's own, against caches.
KNOWN = ("columns", "draw", "length", "order", "search", "start", "_")
TRUE = ("true", "1", True)


class DataTablesServerSideResponse(
    Noun, rename={"records_filtered": "recordsFiltered", "records_total": "recordsTotal"}
):
    """Bare, without the envelope. ``draw`` is the request's own number."""

    data: list[Customer] | None = None
    draw: int | None = None
    records_filtered: int | None = None
    records_total: int | None = None


class Wanted(msgspec.Struct, frozen=True):
    """``length``: None where the table says nothing of it."""

    query: CustomerQuery
    sort: str
    draw: int
    start: int
    length: int | None


def wanted_of(raw: Any) -> Wanted:
    """What a request asks for; an empty one asks for everybody. Raises Invalid with all problems."""
    if not isinstance(raw, dict):
        raise Invalid.one("", "wrong_type", "the body must be an object, or a form")
    problems = [
        problem(str(name)[:80], "unknown_field", f"is not asked here; these are: {', '.join(KNOWN)}")
        for name in raw
        if name not in KNOWN
    ]
    columns = [_object(column) for column in _listed(raw.get("columns"))]
    criteria: dict[str, str] = {}
    for position, column in enumerate(columns):
        if text := _text(column, f"columns/{position}/search", problems):
            name = _criterion(column)
            if name not in CustomerQuery.__struct_fields__:
                message = f"'{str(column.get('data'))[:80]}' cannot be searched by"
                problems.append(problem(f"columns/{position}/search", "unknown_field", message))
            criteria[name] = text if ANY in text else text + ANY
    words = _text(raw, "search", problems)
    order = _sorting(raw, columns, problems)
    numbers = {name: _number(raw, name, problems) for name in ("draw", "start", "length")}
    if problems:
        raise Invalid(problems[: wire.MAXIMUM_PROBLEMS])
    query = msgspec.structs.replace(wire.noun(criteria, CustomerQuery), search_string=words or None)
    return Wanted(query, order, numbers["draw"] or 0, numbers["start"] or 0, numbers["length"])


def tree_of(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """What a form means: its names are paths, columns[0][search][value]. Its lists are objects by their positions.
    Raises Invalid."""
    found: dict[str, Any] = {}
    for name, text in pairs:
        inside: Any = found
        *path, last = PARTS.findall(name) or [name]
        for part in path:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                raise _torn(name)
        if isinstance(inside.get(last), dict):
            raise _torn(name)
        inside[last] = text
    return found


def _torn(name: str) -> Invalid:
    return Invalid.one("", "malformed_form", f"'{name[:80]}' is a field and has fields")


def _listed(found: Any) -> list[Any]:
    if isinstance(found, dict):
        return [found[key] for key in sorted(found, key=lambda key: int(key) if key.isdecimal() else 0)]
    return found if isinstance(found, list) else []


def _object(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _text(inside: Mapping[str, Any], pointer: str, problems: list[Problem]) -> str:
    """What was typed. Expressions are refused: a customer's text may not decide how long we look."""
    typed = _object(inside.get("search"))
    text = str(typed.get("value") or "").strip()
    if text and typed.get("regex") in TRUE:
        problems.append(problem(f"{pointer}/regex", "not_allowed_value", "expressions are not searched by; use a *"))
    return text


def _criterion(column: Mapping[str, Any]) -> str:
    name = str(column.get("data") or "").replace(".0.", ".")
    field = SORT_ALIASES.get(name, name)
    return field.replace(".", "_")


def _sorting(raw: Mapping[str, Any], columns: list[Mapping[str, Any]], problems: list[Problem]) -> str:
    parts: list[str] = []
    for position, entry in enumerate(_object(one) for one in _listed(raw.get("order"))):
        number = str(entry.get("column", ""))
        column = columns[int(number)] if number.isdecimal() and int(number) < len(columns) else {}
        name = str(column.get("data") or "").replace(".0.", ".")
        if SORT_ALIASES.get(name, name) not in SORT_FIELDS:
            message = f"'{name[:80]}' cannot be sorted by; these can: {', '.join(SORT_FIELDS)}"
            problems.append(problem(f"order/{position}", "unknown_field", message))
        parts.append(f"-{name}" if entry.get("dir") == "desc" else name)
    return ",".join(dict.fromkeys(parts))


def _number(raw: Mapping[str, Any], name: str, problems: list[Problem]) -> int | None:
    text = str(raw.get(name, ""))
    # All there are: as many as a page may have.
    if text in ("", "-1"):
        return None
    if not text.isdecimal() or int(text[:9]) > LARGEST or len(text) > 9:
        problems.append(problem(name, "wrong_type", f"must be a whole number from 0 to {LARGEST:,}"))
        return None
    return int(text)
