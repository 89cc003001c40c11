"""Customer profiles as rows of a table, for a spreadsheet: which columns there are, what stands in a cell, and what a
changed cell means. Columns are made from the noun's fields, so a new field has a column by itself.

A row is a profile. A plain field is a column of its name, a block's field is ``tax_codes_sovos_customer_code``. The
entries of a list are numbered, ``billing_1_city``, the default address first; what comes after the last number is JSON
in ``billing_more``. Tags stand in one cell, between semicolons. Texts stand as they are, instants in UTC, true and
false in words, and nothing is an empty cell. So a cell that was not touched says what it said, to the letter.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, get_args, get_origin

import msgspec

from chalicelib.domain import wire
from chalicelib.domain.customers import OF_REVIEWS, SENT_BACK, Customer
from chalicelib.domain.dates import instant
from chalicelib.domain.errors import Invalid, Problem

# Entries of a list that have columns of their own: every copy address, and more addresses than anybody but a dealer
# has. A table of a hundred numbered addresses could be neither read nor sorted.
MAXIMUM_NUMBERED = 10
# The only column without which no row can be told from another.
KEY = "email"
OID = "customer_profile_oid"
# Never in a file: what is computed beside the profile, what is only ever said, cards, and what has a door of its own.
LEFT_OUT = SENT_BACK | Customer.write_only | {"cards", "merchant_id"}
# In a file to be read, and never taken from one.
SHOWN_ONLY = (OID, "signup_dts", "last_modified_by", "last_modified_dts")
# Inside of blocks and entries: what the server numbers, derives or sets.
SERVERS = frozenset(
    {
        OID,
        "customer_billing_oid",
        "customer_profile_email_oid",
        "customer_profile_property_oid",
        "customer_shipping_oid",
        "customer_software_entitlement_oid",
        "day_phone_e164",
        "evening_phone_e164",
        "last_update_dts",
        "last_used_dts",
        *OF_REVIEWS,
    }
)
DEFAULTS = ("default_billing", "default_shipping")
BETWEEN = "; "
TRUE, FALSE = frozenset({"true", "yes", "y", "1", "on"}), frozenset({"false", "no", "n", "0", "off"})
WHOLE = re.compile(r"([+-]?\d{1,20})(?:\.0+)?")
NUMBER = re.compile(r"[+-]?\d{1,20}(?:\.\d{1,20})?")


class Column(msgspec.Struct, frozen=True):
    """One column. ``field`` is the profile's; ``inner`` the block's or entry's; ``number`` the entry's, from 0.

    ``type_``: what its cells are. ``form``: ``plain``, ``joined`` (a list in one cell), or ``more`` (a list's end)."""

    name: str
    field: str
    type_: Any = str
    inner: str = ""
    number: int = -1
    form: str = "plain"


class _List(msgspec.Struct, frozen=True):
    """A field that is a list of nouns, and the fields of each that have columns."""

    field: str
    inner: tuple[tuple[str, Any], ...]

    @property
    def joined(self) -> bool:
        return len(self.inner) == 1


# --- columns ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _shape() -> tuple[tuple[Column, ...], tuple[_List, ...]]:
    """The columns of everything but lists, in their order, and the lists."""
    plain: list[Column] = []
    blocks: list[Column] = []
    lists: list[_List] = []
    for name, bare in wire.fields_of(Customer):
        if name in LEFT_OUT:
            continue
        if get_origin(bare) is list:
            inner = [(n, t) for n, t in wire.fields_of(get_args(bare)[0]) if n not in SERVERS]
            lists.append(_List(name, tuple(inner)))
        elif isinstance(bare, type) and issubclass(bare, msgspec.Struct):
            inner = [(n, t) for n, t in wire.fields_of(bare) if n not in SERVERS]
            blocks += [Column(f"{name}_{n}", name, t, n) for n, t in inner]
        else:
            plain.append(Column(name, name, bare))
    first = [KEY, OID]
    plain.sort(key=lambda column: first.index(column.name) if column.name in first else len(first))
    return (*plain, *blocks), tuple(lists)


def _of_list(listed: _List, length: int) -> list[Column]:
    """The columns of a list whose longest has so many entries: one entry's at least."""
    if listed.joined:
        ((inner, type_),) = listed.inner
        return [Column(listed.field, listed.field, type_, inner, form="joined")]
    numbers = range(max(1, min(length, MAXIMUM_NUMBERED)))
    found = [
        Column(f"{listed.field}_{n + 1}_{inner}", listed.field, t, inner, n)
        for n in numbers
        for inner, t in listed.inner
    ]
    more = [Column(f"{listed.field}_more", listed.field, form="more")] if length > MAXIMUM_NUMBERED else []
    return found + more


def columns(lengths: Mapping[str, int]) -> list[Column]:
    """All columns of a table whose longest lists have these lengths."""
    plain, lists = _shape()
    return [*plain, *(column for listed in lists for column in _of_list(listed, lengths.get(listed.field, 0)))]


@lru_cache(maxsize=1)
def known() -> dict[str, Column]:
    """Every column that any table can have, by its name."""
    lengths = {listed.field: MAXIMUM_NUMBERED + 1 for listed in _shape()[1]}
    return {column.name: column for column in columns(lengths)}


def lengths_of(customer: Customer) -> dict[str, int]:
    """How long the profile's lists are."""
    return {listed.field: len(getattr(customer, listed.field) or ()) for listed in _shape()[1]}


# --- from a profile to its cells --------------------------------------------------------------------------------------


def cells_of(customer: Customer) -> dict[str, str]:
    """What stands in the profile's row, by column; empty cells are left out."""
    plain, lists = _shape()
    cells: dict[str, str] = {}
    for column in plain:
        value = getattr(customer, column.field)
        if column.inner and value is not None:
            value = getattr(value, column.inner)
        if value is not None and (text := _text(value)):
            cells[column.name] = text
    for listed in lists:
        entries = getattr(customer, listed.field)
        if entries:
            cells |= _cells_of_list(listed, entries)
    return cells


def _cells_of_list(listed: _List, entries: list[Any]) -> dict[str, str]:
    if listed.joined:
        ((inner, _),) = listed.inner
        return {listed.field: _joined(getattr(entry, inner) or "" for entry in entries)}
    rows = [
        {name: text for name, _ in listed.inner if (text := _text(getattr(entry, name)))}
        for entry in sorted(entries, key=lambda entry: not _is_default(entry))
    ]
    cells = {
        f"{listed.field}_{number + 1}_{name}": text
        for number, row in enumerate(rows[:MAXIMUM_NUMBERED])
        for name, text in row.items()
    }
    if rows[MAXIMUM_NUMBERED:]:
        cells[f"{listed.field}_more"] = json.dumps(rows[MAXIMUM_NUMBERED:], ensure_ascii=False)
    return cells


def _is_default(entry: Any) -> bool:
    return any((entry.get(name) if isinstance(entry, dict) else getattr(entry, name, None)) for name in DEFAULTS)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return str(instant(value))
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _joined(texts: Iterable[str]) -> str:
    return BETWEEN.join(text.replace("\\", "\\\\").replace(";", "\\;") for text in texts)


def _parted(text: str) -> list[str]:
    """The texts that stand in one cell: parted at semicolons, blanks around them aside; ``\\;`` is no end."""
    parts = re.findall(r"(?:[^;\\]|\\.|\\$)+", text, re.DOTALL)
    texts = [re.sub(r"\\(.)", r"\1", part.strip(), flags=re.DOTALL) for part in parts]
    return [one for one in texts if one]


# --- from cells to a profile ------------------------------------------------------------------------------------------


class Edit(msgspec.Struct, frozen=True):
    """One cell that says something else than the profile."""

    column: str
    before: str
    after: str


def edits_of(before: Customer | None, cells: Mapping[str, str], *, blanks_keep: bool) -> list[Edit]:
    """What a row says otherwise than the profile does, cell by cell. A cell that is written another way and means the
    same (TRUE, 12.0, another line end) is no edit; neither is what is shown only, or the address by which the row was
    found. ``blanks_keep``: an empty cell says nothing; else it says that there is nothing."""
    old = cells_of(before) if before else {}
    told = []
    for name, text in cells.items():
        was = old.get(name, "")
        if text == was or name in SHOWN_ONLY or (before is not None and name == KEY):
            continue
        if (not text and blanks_keep) or _same(known()[name], was, text):
            continue
        told.append(Edit(name, was, text))
    return told


def _same(column: Column, one: str, other: str) -> bool:
    if column.form == "joined":
        return _parted(one) == _parted(other)
    if column.form == "more" or not one or not other:
        return not one and not other
    return bool(_value(column.type_, one) == _value(column.type_, other))


def changed(before: Customer | None, edits: Iterable[Edit]) -> Customer:
    """The profile with the edited cells. Raises Invalid whose pointers are names of columns."""
    kept = {} if before is None else wire.plain(before)
    raw = {name: value for name, value in kept.items() if name not in LEFT_OUT}
    lists = {listed.field: listed for listed in _shape()[1]}
    touched: dict[str, list[tuple[Column, str]]] = {}
    for edit in edits:
        column = known()[edit.column]
        if column.field in lists:
            touched.setdefault(column.field, []).append((column, edit.after))
        elif column.inner:
            block = raw.setdefault(column.field, {})
            _put(block, column.inner, column.type_, edit.after)
            if not block:
                del raw[column.field]
        else:
            _put(raw, column.field, column.type_, edit.after)
    for field, cells in touched.items():
        entries = _edited_list(lists[field], raw.pop(field, []), cells)
        if entries:
            raw[field] = entries
    try:
        customer = wire.noun(raw, Customer)
    except Invalid as invalid:
        raise Invalid([in_columns(problem) for problem in invalid.problems]) from None
    return (
        msgspec.structs.replace(customer, **{name: getattr(before, name) for name in LEFT_OUT}) if before else customer
    )


def _edited_list(listed: _List, entries: list[dict[str, Any]], cells: list[tuple[Column, str]]) -> list[dict[str, Any]]:
    """The entries, default first, with what the cells say; those of which nothing is left are gone."""
    if listed.joined:
        ((inner, _),) = listed.inner
        return [{inner: text} for text in _parted(cells[-1][1])]
    entries = sorted(entries, key=lambda entry: not _is_default(entry))
    for column, text in cells:
        if column.form == "more":
            entries = _with_more(listed, entries, column, text)
            continue
        entries += [{} for _ in range(column.number + 1 - len(entries))]
        _put(entries[column.number], column.inner, column.type_, text)
    names = [name for name, _ in listed.inner]
    return [entry for entry in entries if any(entry.get(name) not in (None, "") for name in names)]


def _with_more(listed: _List, entries: list[dict[str, Any]], column: Column, text: str) -> list[dict[str, Any]]:
    types = dict(listed.inner)
    try:
        rows = msgspec.json.decode(text, type=list[dict[str, str]]) if text else []
    except msgspec.DecodeError:
        rows = [{"": ""}]
    if not all(name in types for row in rows for name in row):
        raise Invalid.one(column.name, "invalid", "must be a list of objects of texts, as an export writes it")
    last = entries[MAXIMUM_NUMBERED:] + [{} for _ in rows]
    done = []
    for row, entry in zip(rows, last, strict=False):
        made = {name: value for name, value in entry.items() if name not in types}
        for name, value in row.items():
            _put(made, name, types[name], value)
        done.append(made)
    first = entries[:MAXIMUM_NUMBERED]
    return [*first, *({} for _ in range(MAXIMUM_NUMBERED - len(first))), *done]


def _put(inside: dict[str, Any], name: str, type_: Any, text: str) -> None:
    if text:
        inside[name] = _raw(type_, text)
    else:
        inside.pop(name, None)


def _raw(type_: Any, text: str) -> Any:
    """The value as a request would send it; what cannot be one stays a text, of which the noun then says why."""
    value = _value(type_, text)
    return value if isinstance(value, bool | int | Decimal) else text.strip() if type_ is not str else text


def _value(type_: Any, text: str) -> Any:
    """What a cell means, so that two ways to write it can be told to be one."""
    if type_ is str:
        return text.replace("\r\n", "\n")
    text = text.strip()
    if type_ is bool:
        return True if text.lower() in TRUE else False if text.lower() in FALSE else text
    if type_ is int:
        whole = WHOLE.fullmatch(text)
        return int(whole[1]) if whole else text
    if type_ is Decimal:
        return Decimal(text) if NUMBER.fullmatch(text) else text
    if isinstance(type_, type) and issubclass(type_, datetime):
        try:
            return instant(datetime.fromisoformat(text))
        except ValueError:
            return text
    return text


def in_columns(problem: Problem) -> Problem:
    """A problem of the noun, told of the column in which it stands."""
    parts = problem.pointer.removeprefix("/").split("/")
    if len(parts) > 1 and parts[1].isdigit():
        parts[1] = str(int(parts[1]) + 1)
    for length in range(len(parts), 0, -1):
        name = "_".join(parts[:length])
        if name in known():
            return msgspec.structs.replace(problem, pointer=name)
    return msgspec.structs.replace(problem, pointer=parts[0])


# --- what a spreadsheet would run -------------------------------------------------------------------------------------

# A cell that begins with one of these is a formula to some program, in either width.
FORMULA = frozenset("=+-@|%\t\r\n\uff1d\uff0b\uff0d\uff20\uff5c\uff05")
GUARD = "'"


def guarded(text: str) -> str:
    """The text with an apostrophe before it where a program might run it; ``unguarded`` takes exactly that away."""
    return GUARD + text if text.lstrip(GUARD)[:1] in FORMULA else text


def unguarded(text: str) -> str:
    bare = text.lstrip(GUARD)
    return text[1:] if len(bare) < len(text) and bare[:1] in FORMULA else text


def armoured(text: str) -> str:
    """The text for a cell that is a text by its type, which no program runs: it has an apostrophe only where
    ``unguarded`` would take one away."""
    return GUARD + text if unguarded(text) != text else text


# --- names of columns, as others write them ---------------------------------------------------------------------------

# What other systems, and the contract's own import, call what we have under another name.
SYNONYMS = {
    "e_mail": KEY,
    "email_address": KEY,
    "e_mail_address": KEY,
    "mail": KEY,
    "customer_email": KEY,
    "customer_profile_id": OID,
    "profile_id": OID,
    "customer_id": OID,
    "address": "billing_1_address1",
    "address_1": "billing_1_address1",
    "address_2": "billing_1_address2",
    "street": "billing_1_address1",
    "firstname": "billing_1_first_name",
    "lastname": "billing_1_last_name",
    "surname": "billing_1_last_name",
    "phone": "billing_1_day_phone",
    "telephone": "billing_1_day_phone",
    "state": "billing_1_state_region",
    "region": "billing_1_state_region",
    "province": "billing_1_state_region",
    "zip": "billing_1_postal_code",
    "zip_code": "billing_1_postal_code",
    "postcode": "billing_1_postal_code",
    "country": "billing_1_country_code",
    "birthday": "birth_date",
    "date_of_birth": "birth_date",
    "notes": "business_notes",
    "merchant_notes": "automatic_merchant_notes",
    "tag": "tags",
    "website": "website_url",
    "affiliate_id": "affiliate_oid",
    "tax_number": "tax_id",
}


def guess(header: str) -> str:
    """The column that a heading means, or nothing."""
    name = re.sub(r"[^a-z0-9]+", "_", header.strip().lower()).strip("_")
    for one in (
        name,
        SYNONYMS.get(name, ""),
        f"billing_1_{name}",
        re.sub(r"^(billing|shipping)_(?!\d)", r"\1_1_", name),
    ):
        if one in known():
            return one
    inner = re.fullmatch(r"(billing|shipping)_(.+)", name)
    other = SYNONYMS.get(inner[2], "") if inner else ""
    found = other.replace("billing_", f"{inner[1]}_", 1) if inner and other.startswith("billing_1_") else ""
    return found if found in known() else ""
