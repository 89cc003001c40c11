"""How a search is asked for, whatever is searched: criteria in the parameters of a GET, dates, and a wish for an order.

What is not known, or not to be had, is refused by name with all problems at once, never ignored.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.dates import Instant, instant, midnight, parse_instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.wire import Noun

Q = TypeVar("Q", bound=Noun)

# Parameters of a GET that are no criteria: whoever answers reads them.
NO_CRITERIA = ("_limit", "_offset", "_sort", "_expand")
# The target of a query (origin, cache) is taken and means nothing: the two are the same here.
MEANS_NOTHING = frozenset({"query_target"})
NUMBERS: dict[str, tuple[re.Pattern[str], Callable[[str], Any]]] = {
    "customer_profile_oid": (re.compile(r"[0-9]{1,10}"), int),
    "pricing_tier_oid": (re.compile(r"[0-9]{1,10}"), int),
    "total": (re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?"), Decimal),
}
BARE_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def from_parameters(
    parameters: Mapping[str, str],
    type_: type[Q],
    *,
    own: Mapping[str, str],
    not_in_get: frozenset[str] = frozenset(),
    unavailable: Iterable[str] = (),
) -> Q:
    """The query in the parameters of a GET; an empty one is none. Raises Invalid naming what is not known.

    ``own``: parameters that are fields under another name and are taken as they come. ``not_in_get``: fields that have
    no form as a parameter. ``unavailable``: known and refused later, so not among those that are allowed.
    """
    criteria = {name: text for name, text in parameters.items() if name not in NO_CRITERIA and name not in own}
    known = frozenset(type_.__struct_fields__) - frozenset(own.values()) - not_in_get
    allowed = ", ".join(sorted({*known, *own, *NO_CRITERIA} - set(unavailable)))
    message = f"is not a parameter here; these are: {allowed}"
    problems = [problem(name[:80], "unknown_parameter", message) for name in criteria if name not in known]
    raw = {name: _raw(name, text, problems) for name, text in criteria.items() if name in known and text}
    try:
        query = wire.noun(raw, type_)
    except Invalid as invalid:
        raise Invalid([*problems, *invalid.problems]) from None
    if problems:
        raise Invalid(problems)
    return replace(query, **{field: parameters.get(name) for name, field in own.items()})


def _raw(name: str, text: str, problems: list[Problem]) -> Any:
    """The value as a body would hold it."""
    if name not in NUMBERS:
        return text
    pattern, number = NUMBERS[name]
    if pattern.fullmatch(text):
        return number(text)
    problems.append(problem(name, "wrong_type", "must be a number"))
    return None


def available(query: Q, unavailable: Iterable[str]) -> Q:
    """The query, where it asks for nothing on which nothing is kept. Raises Invalid."""
    problems = [
        problem(name, "not_available", "cannot be searched by yet; leave it out")
        for name in asked(query)
        if name in unavailable
    ]
    if problems:
        raise Invalid(problems)
    return query


def asked(query: Noun) -> dict[str, Any]:
    """The criteria that the query names. An empty text is none, as in a form that is left blank."""
    values = {name: getattr(query, name) for name in query.__struct_fields__ if name not in MEANS_NOTHING}
    return {name: value for name, value in values.items() if value not in (None, "")}


def moment(
    text: str | None, name: str, zone_name: str, problems: list[Problem], *, last: bool = False
) -> Instant | None:
    """A day in the merchant's zone or ISO 8601 with an offset. Of a bare day the first second, or the ``last``."""
    if not text:
        return None
    try:
        if not BARE_DAY.fullmatch(text):
            # A plus sign that was not percent-encoded arrives as a blank.
            return parse_instant(text.replace(" ", "+"))
        day = date.fromisoformat(text)
        if last:
            return instant(midnight(day + timedelta(days=1), zone_name) - timedelta(seconds=1))
        return midnight(day, zone_name)
    except (ValueError, OverflowError):
        message = "must be a day, as in 2027-01-31, or ISO 8601 with an offset, as in 2027-01-31T00:00:00-05:00"
        problems.append(problem(name, "invalid", message))
        return None


# (field, descending)
Sorting = tuple[tuple[str, bool], ...]


def sorting(text: str | None, fields: Sequence[str], aliases: Mapping[str, str]) -> Sorting:
    """What ``_sort`` asks for: fields, comma separated, ``-`` before those that go down. Raises Invalid by name."""
    found: dict[str, bool] = {}
    problems: list[Problem] = []
    # A plus that nobody escaped arrives as a blank.
    for part in filter(None, (part.strip() for part in (text or "").split(","))):
        name = part.removeprefix("-") if part.startswith("-") else part.removeprefix("+")
        field = aliases.get(name, name)
        if field not in fields:
            message = f"'{name[:80]}' cannot be sorted by; these can: {', '.join(fields)}"
            problems.append(problem("_sort", "unknown_field", message))
        elif field in found:
            problems.append(problem("_sort", "conflict", f"'{name}' stands there twice"))
        else:
            found[field] = part.startswith("-")
    if problems:
        raise Invalid(problems[: wire.MAXIMUM_PROBLEMS])
    return tuple(found.items())


def question_of(query: Noun, wanted: Sorting) -> str:
    """The same text for the same criteria in the same order: what a result set is the answer to."""
    return wire.digest_text([asked(query), wanted]).decode()


def problem(name: str, code: str, message: str) -> Problem:
    return Problem(pointer=f"/{name}", code=code, message=message)
