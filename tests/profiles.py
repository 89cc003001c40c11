"""Profiles by the thousand, with everything that can stand in one: made from the noun's fields, so a new field comes by
itself.

for customer in some_profiles(Random(7), 1000): ...
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from random import Random
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from chalicelib.domain.customer_search import row_of_customer
from chalicelib.domain.customers import Customer, normalised_email, numbered
from chalicelib.domain.dates import Instant, parse_instant
from chalicelib.domain.sheets import LEFT_OUT, SERVERS, SHOWN_ONLY
from chalicelib.flows.ports import Shop

# What a spreadsheet would run, cut, round, or take for something else.
HARD = (
    "=1+1", "+4930901820", "-5", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1", "'=1", "''@", "'", "007", "1e5", "TRUE", "yes",
    "2027-01-31", "1/2", "a\r\nb", "a;b", "a,b", '"quoted"', "a\\;b", "  blanks  ", "Ä\u0308 é 北京 🎁 שרה", "_x000D_",
    "_x005F_x000D_", "\x01", "NULL", "#N/A", "|cmd", "%x", "\u2028", "{}", "<b>&amp;</b>", "null", "\u00a0",
)  # fmt: skip
LONG_LISTS = 13


def some_profiles(chance: Random, number: int) -> Iterator[Customer]:
    oids = iter(range(10_001, 10_000_000))
    for position in range(number):
        made = _noun(Customer, chance, full=chance.choice((0.03, 0.2, 0.6)))
        made.email = f"{chance.choice(('u', '+u', '=u', 'Ü'))}{position}@example.com"
        made.no_free_shipping = None
        made.maximum_item_count = None
        for name in ("default_billing", "default_shipping"):
            for entry in getattr(made, name.removeprefix("default_")) or []:
                setattr(entry, name, None)
            for entry in (getattr(made, name.removeprefix("default_")) or [])[-1:]:
                setattr(entry, name, chance.choice((True, False, None)))
        yield numbered(made, None, oids)


def kept(shop: Shop, customers: Iterator[Customer]) -> None:
    """Put them into the shop, with their addresses and their rows: without events, since nobody is to hear of them."""
    for customer in customers:
        oid = str(customer.customer_profile_oid)
        email = normalised_email(customer.email or "")
        shop.write(shop.customers.inserted(oid, customer), shop.customers.named("email", email, oid))
        shop.lists.note_keyed("customer", oid, row_of_customer(customer, shop.clock.now()), 1, new=True)


def _noun(type_: Any, chance: Random, full: float) -> Any:
    made = {}
    for name, hint in get_type_hints(type_, include_extras=True).items():
        if name.startswith("__") or (get_origin(hint) is not UnionType and get_origin(hint) is not Union):
            continue
        skipped = name in SERVERS or (type_ is Customer and name in LEFT_OUT | set(SHOWN_ONLY))
        if not skipped and (chance.random() < full or name in ("name", "email", "tag_value", "pricing_tier_oid")):
            made[name] = _value(next(part for part in get_args(hint) if part is not type(None)), chance, full)
    return type_(**made)


def _value(hint: Any, chance: Random, full: float) -> Any:
    metas: list[msgspec.Meta] = []
    while get_origin(hint) is Annotated:
        hint, *more = get_args(hint)
        metas += more
    if get_origin(hint) is Literal:
        return chance.choice(get_args(hint))
    if get_origin(hint) is list:
        most = min(LONG_LISTS, *(meta.max_length or LONG_LISTS for meta in metas), LONG_LISTS)
        inner = get_args(hint)[0]
        return [_value(inner, chance, full) for _ in range(chance.randint(1, most))]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _noun(hint, chance, max(full, 0.3))
    if hint is bool:
        return chance.random() < 0.5
    if hint is int:
        return chance.randint(1, 1_000_000)
    if hint is Decimal:
        return Decimal(chance.randint(0, 999_999)).scaleb(-chance.randint(0, 2))
    if hint is Instant:
        return parse_instant(f"20{chance.randint(10, 60)}-0{chance.randint(1, 9)}-1{chance.randint(0, 9)}T05:00:00Z")
    if hint is date:
        return date(chance.randint(1900, 2060), chance.randint(1, 12), chance.randint(1, 28))
    return _text(chance, metas)


def _text(chance: Random, metas: list[msgspec.Meta]) -> str:
    if any(meta.pattern == "^[A-Z]{2}$" for meta in metas):
        return chance.choice(("US", "DE", "NA"))
    if any(meta.pattern for meta in metas):
        return f"A{chance.randint(1, 9999)}"
    most = min(meta.max_length or 100 for meta in metas) if metas else 100
    text = chance.choice(HARD) if chance.random() < 0.5 else f"text {chance.randint(1, 999)}"
    return text[:most] or "x"
