"""Finding coupons: which of them a query means, and the order they come in.

A merchant's coupons are few and read as they are, so a text is looked for within its field and in any case; a code and
a type are meant as a whole. Dates are bare days in the merchant's zone or ISO 8601 with an offset; both ends of a range
are in it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chalicelib.domain import wire
from chalicelib.domain.coupons import Coupon, code_key, has_expired
from chalicelib.domain.criteria import NO_CRITERIA, moment, problem
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Oid, Text50, Text100
from chalicelib.domain.wire import Noun

# A range's ends have one name as parameters of a GET and another in the body of a query: the contract's.
FIELD_OF = {
    "start_date_begin": "start_dts_begin",
    "start_date_end": "start_dts_end",
    "expiration_date_begin": "expiration_dts_begin",
    "expiration_date_end": "expiration_dts_end",
}
CRITERIA_OF_GET = ("coupon_type", "description", "exclude_expired", "merchant_code", *FIELD_OF)
SORT_FIELDS = ("merchant_code", "coupon_oid", "coupon_type", "description", "expiration_dts", "start_dts")
# There are no affiliates yet.
UNAVAILABLE = "affiliate_oid"


class CouponQuery(Noun):
    affiliate_oid: Oid | None = None
    coupon_type: Text100 | None = None
    description: Text50 | None = None
    exclude_expired: bool | None = None
    expiration_dts_begin: Text50 | None = None
    expiration_dts_end: Text50 | None = None
    merchant_code: Text50 | None = None
    merchant_code_or_description: Text50 | None = None
    start_dts_begin: Text50 | None = None
    start_dts_end: Text50 | None = None


def query_of(parameters: Mapping[str, str]) -> CouponQuery:
    """The query in the parameters of a GET; an empty one is none. Raises Invalid naming what is not known."""
    problems: list[Problem] = []
    raw: dict[str, Any] = {}
    for name, text in parameters.items():
        if name in NO_CRITERIA or not text:
            continue
        if name == UNAVAILABLE:
            problems.append(_not_available())
        elif name not in CRITERIA_OF_GET:
            allowed = ", ".join((*CRITERIA_OF_GET, *NO_CRITERIA))
            problems.append(problem(name[:80], "unknown_parameter", f"is not a parameter here; these are: {allowed}"))
        elif name != "exclude_expired":
            raw[FIELD_OF.get(name, name)] = text
        elif text.lower() in ("true", "false"):
            raw[name] = text.lower() == "true"
        else:
            problems.append(problem(name, "not_allowed_value", "allowed are true and false"))
    try:
        query = wire.noun(raw, CouponQuery)
    except Invalid as invalid:
        raise Invalid([*problems, *invalid.problems]) from None
    if problems:
        raise Invalid(problems)
    return query


def search(
    coupons: Sequence[Coupon], query: CouponQuery, sort: str | None, *, now: Instant, zone_name: str
) -> list[Coupon]:
    """The coupons that are meant, in the wanted order; where that leaves it open, by their codes.

    Raises Invalid with all problems.
    """
    problems: list[Problem] = []
    keys = _sorting(sort or "", problems)
    tests = _tests(query, now, zone_name, problems)
    if problems:
        raise Invalid(problems)
    found = sorted((c for c in coupons if all(test(c) for test in tests)), key=lambda c: code_key(c.code()))
    for name, descending in reversed(keys.items()):
        # What has no value stands last, either way.
        there = [coupon for coupon in found if getattr(coupon, name) is not None]
        there.sort(key=lambda c: _comparable(getattr(c, name)), reverse=descending)  # used at once
        found = there + [coupon for coupon in found if getattr(coupon, name) is None]
    return found


# --- inside ----------------------------------------------------------------------------------------------------------

Test = Callable[[Coupon], bool]


def _tests(query: CouponQuery, now: Instant, zone_name: str, problems: list[Problem]) -> list[Test]:
    tests: list[Test] = []
    if query.affiliate_oid is not None:
        problems.append(_not_available())
    if (code := query.merchant_code) and (key := code_key(code)):
        tests.append(lambda c: code_key(c.code()) == key)
    if kind := query.coupon_type:
        tests.append(lambda c: c.coupon_type == kind)
    if text := query.description:
        tests.append(lambda c: _within(text, c.description))
    if either := query.merchant_code_or_description:
        tests.append(lambda c: _within(either, c.merchant_code) or _within(either, c.description))
    if query.exclude_expired:
        tests.append(lambda c: not has_expired(c, now))
    for name in ("start_dts", "expiration_dts"):
        ends = [getattr(query, f"{name}_{end}") for end in ("begin", "end")]
        if any(ends):
            begin = moment(ends[0], f"{name}_begin", zone_name, problems)
            end = moment(ends[1], f"{name}_end", zone_name, problems, last=True)
            tests.append(_between(name, begin, end))
    return tests


def _within(text: str, field: str | None) -> bool:
    return text.casefold() in (field or "").casefold()


def _between(name: str, begin: Instant | None, end: Instant | None) -> Test:
    def between(coupon: Coupon) -> bool:
        found = getattr(coupon, name)
        return found is not None and (begin is None or begin <= found) and (end is None or found <= end)

    return between


def _sorting(text: str, problems: list[Problem]) -> dict[str, bool]:
    """Field to whether it goes down."""
    found: dict[str, bool] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name = part.removeprefix("-").removeprefix("+")
        if name not in SORT_FIELDS:
            message = f"'{name[:80]}' cannot be sorted by; these can: {', '.join(SORT_FIELDS)}"
            problems.append(problem("_sort", "unknown_field", message))
        found.setdefault(name, part.startswith("-"))
    return found


def _comparable(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _not_available() -> Problem:
    return problem(UNAVAILABLE, "not_available", "cannot be searched by yet; leave it out")
