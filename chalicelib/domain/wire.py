"""How nouns come in and go out: request text to noun, noun to stored text, noun to the answer a client reads.

A noun is a ``msgspec.Struct``; a field that is absent is never sent as null (one null breaks the official SDK).
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from chalicelib.domain.dates import Instant, instant, parse_instant, shown
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.money import Currency, formatted, quantise

# A request may nest this deep; an order needs 6. Deeper is an attack on the parser's stack.
MAXIMUM_DEPTH = 32
# Problems listed in one answer: enough to mend a form in one go, bounded so that an answer stays small.
MAXIMUM_PROBLEMS = 100
# Numbers longer than this are no amount of anything, and their arithmetic would be slow.
MAXIMUM_DIGITS = 20
# More than money comes in, in any currency.
LARGEST_AMOUNT = Decimal(9999999999)
# JSON writes a character of the higher planes as two halves; one alone can be neither stored nor sent.
HALF = re.compile(r"\\u[dD][89a-fA-F]")


# Of a field: its title, its help, and how it stands on a form (``fields.on_form``; ``names``: the values that are
# offered, each with how it is called).
Words = dict[str, tuple[Any, ...]]


class Noun(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What all nouns share. ``expansions``: the ``_expand`` names that differ from their field;
    ``deep``: dotted expansions (``payment.transaction``) and the field that needs them; ``own``: fields that
    are kept but never shown or taken; ``read_only``: fields that the server sets: a request may send them back but not
    change them; ``write_only``: fields that a request may set and no answer shows; ``words``: what forms and the schema
    call fields that do not say it themselves, by their names on the wire (a dict costs a cold start nothing)."""

    expansions: ClassVar[dict[str, str]] = {}
    deep: ClassVar[dict[str, str]] = {}
    own: ClassVar[frozenset[str]] = frozenset()
    read_only: ClassVar[frozenset[str]] = frozenset()
    write_only: ClassVar[frozenset[str]] = frozenset()
    words: ClassVar[Words] = {}


T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)


class Form(msgspec.Struct, kw_only=True, frozen=True):
    """The merchant's way of writing: the zone of instants and the currency of amounts."""

    zone_name: str
    currency_code: str


# --- in -------------------------------------------------------------------------------------------------------------


def parse(body: bytes) -> Any:
    """Read a request's JSON: no duplicate keys, no NaN, bounded depth; amounts stay exact.

    Raises Invalid that says where and what.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid.one("", "malformed_json", "the body must be UTF-8") from None
    if _depth(text) > MAXIMUM_DEPTH:
        raise Invalid.one("", "too_deep", f"the body may nest {MAXIMUM_DEPTH} levels at most")
    try:
        found = json.loads(
            text, parse_float=_number, parse_int=_integer, parse_constant=_constant, object_pairs_hook=_no_twice
        )
    except json.JSONDecodeError as error:
        raise Invalid.one(
            "", "malformed_json", f"the body is not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        ) from None
    if HALF.search(text) and not _encodable(found):
        raise Invalid.one("", "malformed_json", "the body holds half of a character (a surrogate without its other)")
    return found


def noun(raw: Any, type_: type[T]) -> T:
    """The noun that the raw object describes. Raises Invalid with all problems, each with its pointer."""
    first = ""
    try:
        found = msgspec.convert(raw, type_, dec_hook=_into)
        if not (_has_own(cast(Any, type_)) or _has_bounds(cast(Any, type_))):
            return found
    except msgspec.ValidationError as error:
        first = str(error)
    problems = list(_problems(raw, type_, ""))[:MAXIMUM_PROBLEMS]
    if not problems and not first:
        return found
    raise Invalid(problems or [Problem(pointer="", code="invalid", message=first)])


def overlay(stored: S, raw: Any) -> S:
    """A partial update: the keys present replace (objects key by key, arrays whole); the rest stays as stored.

    An explicit null counts as absent. Server-owned fields may be sent back but not changed.
    """
    type_ = type(stored)
    if not isinstance(raw, dict):
        raise Invalid.one("", "wrong_type", "the body must be an object")
    noun(raw, type_)
    merged = msgspec.convert(_merged(plain(stored), raw), type_, dec_hook=_into)
    problems = [
        Problem(pointer=f"/{name}", code="read_only", message="is set by the server and cannot be changed")
        for name in _read_only(type_)
        if raw.get(name) is not None and getattr(noun({name: raw[name]}, type_), name) != getattr(stored, name)
    ]
    if problems:
        raise Invalid(problems)
    return merged


class Patch(dict[str, Any]):
    """A request that takes away what it says is null, as RFC 7396 has it."""


def blanked(stored: S, raw: Any) -> S:
    """The noun without what a ``Patch`` says is null, at any depth; what only the server sets stays."""
    gone: dict[str, Any] = {}
    for field in msgspec.structs.fields(type(stored)):
        value, name = getattr(stored, field.name), field.encode_name
        if value is None or name not in raw or field.name in getattr(stored, "read_only", ()):
            continue
        if raw[name] is None and field.default is None:
            gone[field.name] = None
        elif isinstance(raw[name], dict) and isinstance(value, msgspec.Struct):
            gone[field.name] = blanked(value, raw[name])
    return msgspec.structs.replace(stored, **gone)


def refuse_owned(raw: Any, type_: type[msgspec.Struct]) -> None:
    """For an insert: a field that only the server sets may not be sent with a value."""
    named = [name for name in sorted(_read_only(type_)) if isinstance(raw, dict) and raw.get(name) is not None]
    if named:
        raise Invalid(
            [Problem(pointer=f"/{n}", code="read_only", message="is set by the server; leave it out") for n in named]
        )


# --- kept -----------------------------------------------------------------------------------------------------------


def kept(value: Any) -> str:
    """The noun as the text that a record's ``document`` holds."""
    return _ENCODER.encode(value).decode()


def load(text: str | bytes, type_: type[T]) -> T:
    """The noun back from its stored text."""
    return cast(T, _decoder(cast(Any, type_)).decode(text))


def plain(value: Any) -> Any:
    """The noun as dicts, lists and Decimals: what a comparison or an overlay works on."""
    return msgspec.to_builtins(value, enc_hook=_kept_value, builtin_types=(Decimal,))


def fields_of(type_: type[msgspec.Struct]) -> list[tuple[str, Any]]:
    """The fields of a noun, each with its type, bare of None and of bounds."""
    return [(name, _bare(hint)) for name, _, hint in _fields(type_)]


# --- out ------------------------------------------------------------------------------------------------------------


def render(value: Any, form: Form, expand: Iterable[str] = ()) -> Any:
    """The noun as clients read it: instants with the merchant's offset, amounts as Currency objects.

    Blocks (objects and arrays) at the top are left out unless ``expand`` names them; unknown names are ignored, as
    the contract has it.
    """
    return _rendered(value, form, frozenset(expand), top=True)


def whole(value: Any, form: Form) -> Any:
    """The noun with all its blocks: for answers that know no expansions."""
    return _rendered(value, form, frozenset(), top=False)


def to_json(answer: Any) -> bytes:
    """The text of a rendered answer; Decimals as numbers."""
    return _ENCODER.encode(answer)


def digest_text(answer: Any) -> bytes:
    """JSON with sorted keys: the same bytes for the same content."""
    return msgspec.json.Encoder(decimal_format="number", enc_hook=_kept_value, order="sorted").encode(answer)


# --- inside ---------------------------------------------------------------------------------------------------------


def _number(text: str) -> Decimal:
    if len(text) > MAXIMUM_DIGITS + 8:
        raise Invalid.one("", "number_too_long", f"numbers may have {MAXIMUM_DIGITS} digits at most: {text[:24]}…")
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    # 1e-99999999 is short here and a hundred megabytes where it is written out.
    if not isinstance(exponent, int) or abs(exponent) > MAXIMUM_DIGITS + 8:
        raise Invalid.one("", "number_too_long", f"numbers may have {MAXIMUM_DIGITS} digits at most: {text[:24]}")
    return number


def _integer(text: str) -> int:
    if len(text) > MAXIMUM_DIGITS:
        raise Invalid.one("", "number_too_long", f"numbers may have {MAXIMUM_DIGITS} digits at most: {text[:24]}…")
    return int(text)


def _constant(name: str) -> None:
    raise Invalid.one("", "malformed_json", f"{name} is not a JSON number")


def _encodable(value: Any) -> bool:
    """Whether every text in it, names too, is one of whole characters."""
    if isinstance(value, dict):
        return all(_encodable(name) and _encodable(entry) for name, entry in value.items())
    if isinstance(value, list):
        return all(map(_encodable, value))
    return not isinstance(value, str) or not any("\ud800" <= character <= "\udfff" for character in value)


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        told = ", ".join(twice).encode("utf-8", "replace").decode()
        raise Invalid.one("", "duplicate_key", f"these keys stand twice in one object: {told}")
    return found


def _depth(text: str) -> int:
    """How deep brackets nest outside of strings, without parsing (the parser itself recurses)."""
    deepest = depth = 0
    inside = escaped = False
    for character in text:
        if inside:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside = False
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _into(type_: type, raw: Any) -> Any:
    if type_ is Currency:
        value = raw.get("value") if isinstance(raw, dict) else raw
        if not isinstance(value, Decimal) and (isinstance(value, bool) or not isinstance(value, int)):
            raise ValueError("must be an amount: a number, or an object with a number in `value`")
        amount = Currency(value)
        if not amount.is_finite() or abs(amount) > LARGEST_AMOUNT:
            raise ValueError("is not an amount that money comes in")
        return amount
    if type_ is Instant:
        if not isinstance(raw, str):
            raise ValueError("must be ISO 8601 with an offset, as in 2027-01-31T00:00:00-05:00")
        return parse_instant(raw)
    raise NotImplementedError(type_)


def _kept_value(value: Any) -> Any:
    if isinstance(value, Currency):
        return Decimal(value)
    if isinstance(value, datetime):
        return str(instant(value))
    raise NotImplementedError(type(value))


_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=_kept_value)


@lru_cache(maxsize=256)
def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_, dec_hook=_into, float_hook=Decimal)


@lru_cache(maxsize=256)
def _fields(type_: type[msgspec.Struct]) -> tuple[tuple[str, str, Any], ...]:
    """(attribute, wire name, type) of each field."""
    hints = get_type_hints(type_, include_extras=True)
    return tuple((f.name, f.encode_name, hints[f.name]) for f in msgspec.structs.fields(type_))


@lru_cache(maxsize=256)
def _required(type_: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(f.encode_name for f in msgspec.structs.fields(type_) if f.required)


def _read_only(type_: type[msgspec.Struct]) -> frozenset[str]:
    return getattr(type_, "read_only", frozenset())


def _own(type_: type[msgspec.Struct]) -> frozenset[str]:
    return getattr(type_, "own", frozenset())


@lru_cache(maxsize=256)
def _never_shown(type_: type[msgspec.Struct]) -> frozenset[str]:
    return _own(type_) | getattr(type_, "write_only", frozenset())


@lru_cache(maxsize=256)
def _has_own(type_: Any) -> bool:
    """Whether the noun, or a noun in it, has fields that no request may name (msgspec alone would take them)."""
    bare = _bare(type_)
    if get_origin(bare) is list:
        return _has_own(get_args(bare)[0])
    if not (isinstance(bare, type) and issubclass(bare, msgspec.Struct)):
        return False
    return bool(_own(bare)) or any(_has_own(hint) for _, _, hint in _fields(bare))


def _merged(stored: dict[str, Any], raw: dict[str, Any]) -> dict[str, Any]:
    merged = dict(stored)
    for name, value in raw.items():
        if value is None:
            continue
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


@lru_cache(maxsize=1024)
def _bare(type_: Any) -> Any:
    """The type without ``| None`` and ``Annotated``."""
    while True:
        if get_origin(type_) is Annotated:
            type_ = get_args(type_)[0]
        elif get_origin(type_) in (Union, UnionType):
            rest = [part for part in get_args(type_) if part is not NoneType]
            if len(rest) != 1:
                return type_
            type_ = rest[0]
        else:
            return type_


def _problems(raw: Any, type_: Any, pointer: str) -> Iterable[Problem]:
    """Every rule that ``raw`` breaks, field by field (msgspec itself stops at the first)."""
    bare = _bare(type_)
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct) and isinstance(raw, dict):
        yield from _struct_problems(raw, bare, pointer)
        return
    if get_origin(bare) is list and isinstance(raw, list):
        found = False
        for position, entry in enumerate(raw):
            for problem in _problems(entry, get_args(bare)[0], f"{pointer}/{position}"):
                found = True
                yield problem
        if found:
            return
    if bare is Decimal and isinstance(raw, str):
        # msgspec reads it; but a text has no bounds on its digits, and the contract has numbers.
        yield Problem(pointer=pointer, code="wrong_type", message="must be a number, not a text")
        return
    try:
        value = msgspec.convert(raw, type_, dec_hook=_into)
    except msgspec.ValidationError as error:
        yield _told(str(error), type_, pointer)
        return
    if isinstance(value, Decimal) and not value.is_finite():
        yield Problem(pointer=pointer, code="invalid", message="is not a number")
        return
    for sign, bound in _bounds(type_).items() if value is not None else ():
        if not {"ge": value >= bound, "gt": value > bound, "le": value <= bound}[sign]:
            mark = {"ge": "at least", "gt": "more than", "le": "at most"}[sign]
            yield Problem(pointer=pointer, code="out_of_range", message=f"must be {mark} {bound}")


def _struct_problems(raw: dict[str, Any], type_: type[msgspec.Struct], pointer: str) -> Iterable[Problem]:
    fields = {wire: hint for name, wire, hint in _fields(type_) if name not in _own(type_)}
    for name in sorted(_required(type_) - set(raw)):
        yield Problem(pointer=f"{pointer}/{name}", code="required", message="is required")
    for name, value in raw.items():
        if name not in fields:
            yield Problem(
                pointer=f"{pointer}/{_escaped(name)}",
                code="unknown_field",
                message=f"is not a field here; these are: {', '.join(sorted(fields))}",
            )
        else:
            yield from _problems(value, fields[name], f"{pointer}/{name}")


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")[:80]


# What msgspec says, in words for whoever fills in a form.
_TYPES = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "date": "a date, as in 2027-01-31",
    "null": "null",
}
_BOUNDS = {">=": "at least", ">": "more than", "<=": "at most", "<": "less than"}
_LENGTH = re.compile(r"Expected `\w+` of length (>=|<=) (\d+)")
_BOUND = re.compile(r"Expected `\w+` (>=|<=|>|<) (-?[\d.]+)")
_PATTERN = re.compile(r"Expected `str` matching regex '(.*)'")
_WRONG = re.compile(r"Expected `(\w+)(?: \| null)?`, got `(\w+)`")


def _told(text: str, type_: Any, pointer: str) -> Problem:
    bare = _bare(type_)
    text = text.split(" - at `$", maxsplit=1)[0]
    if get_origin(bare) is Literal:
        allowed = ", ".join(f"'{value}'" for value in get_args(bare))
        return Problem(pointer=pointer, code="not_allowed_value", message=f"allowed are {allowed}")
    if found := _LENGTH.match(text):
        unit = "entries" if "array" in text else "characters"
        return Problem(pointer=pointer, code="out_of_range", message=f"must have {_BOUNDS[found[1]]} {found[2]} {unit}")
    if found := _BOUND.match(text):
        return Problem(pointer=pointer, code="out_of_range", message=f"must be {_BOUNDS[found[1]]} {found[2]}")
    if found := _PATTERN.match(text):
        examples = [example for meta in _metas(type_) for example in meta.examples or ()]
        told = f"must be written as in {' or '.join(examples)}" if examples else f"must look like {found[1]}"
        return Problem(pointer=pointer, code="out_of_range", message=told)
    if found := _WRONG.match(text):
        wanted, got = _TYPES.get(found[1], found[1]), _TYPES.get(found[2], found[2])
        return Problem(pointer=pointer, code="wrong_type", message=f"must be {wanted}, not {got}")
    code = "invalid" if bare in (Currency, Instant) else "wrong_type"
    return Problem(pointer=pointer, code=code, message=text.replace("`", "'"))


def _rendered(value: Any, form: Form, expand: frozenset[str], *, top: bool) -> Any:
    if isinstance(value, msgspec.Struct):
        return _rendered_struct(value, form, expand, top=top)
    if isinstance(value, Currency):
        shown_value = quantise(value, form.currency_code)
        return {
            "value": shown_value,
            "localized": shown_value,
            "localized_formatted": formatted(value, form.currency_code),
        }
    if isinstance(value, datetime):
        return shown(value.replace(tzinfo=value.tzinfo or UTC), form.zone_name)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_rendered(entry, form, expand, top=top) for entry in value]
    if isinstance(value, dict):
        return {key: _rendered(entry, form, expand, top=top) for key, entry in value.items()}
    return value


def _rendered_struct(value: msgspec.Struct, form: Form, expand: frozenset[str], *, top: bool) -> dict[str, Any]:
    type_ = type(value)
    aliases: dict[str, str] = getattr(type_, "expansions", {})
    deep: dict[str, str] = getattr(type_, "deep", {})
    answer: dict[str, Any] = {}
    for name, wire, _ in _fields(type_):
        entry = getattr(value, name)
        if entry is None or name in _never_shown(type_):
            continue
        expansion = aliases.get(name, wire)
        if _block(entry):
            if top and expansion not in expand:
                continue
            inner = frozenset(e[len(expansion) + 1 :] for e in expand if e.startswith(expansion + "."))
            if _nested_noun(entry):
                answer[wire] = _rendered(entry, form, inner, top=True)
                continue
            shown_entry = _rendered(entry, form, inner, top=False)
            answer[wire] = _without(shown_entry, expansion, deep, inner) if top else shown_entry
        else:
            answer[wire] = _rendered(entry, form, frozenset(), top=False)
    return answer


def _without(shown_entry: Any, expansion: str, deep: dict[str, str], inner: frozenset[str]) -> Any:
    """Leave the dotted blocks out that were not asked for."""
    names = {path[len(expansion) + 1 :]: name for path, name in deep.items() if path.startswith(expansion + ".")}
    hidden = {name for path, name in names.items() if path not in inner}
    if not hidden:
        return shown_entry
    if isinstance(shown_entry, list):
        return [{k: v for k, v in entry.items() if k not in hidden} for entry in shown_entry]
    return {k: v for k, v in shown_entry.items() if k not in hidden}


def _block(entry: Any) -> bool:
    return isinstance(entry, msgspec.Struct | list | dict)


def _nested_noun(entry: Any) -> bool:
    """A whole noun inside another (``original_order``, ``rebill_orders``) has expansions of its own."""
    first = entry[0] if isinstance(entry, list) and entry else entry
    return bool(getattr(type(first), "expansions", None))


@lru_cache(maxsize=1024)
def _bounds(type_: Any) -> dict[str, Any]:
    return {sign: bound for meta in _metas(type_) for sign, bound in (meta.extra or {}).items()}


def _metas(type_: Any) -> Iterable[msgspec.Meta]:
    """What is said of a field beside its type, from the inside out."""
    if isinstance(type_, msgspec.Meta):
        yield type_
    elif get_origin(type_) in (Annotated, Union, UnionType):
        for part in get_args(type_):
            yield from _metas(part)


@lru_cache(maxsize=256)
def _has_bounds(type_: Any) -> bool:
    if _bounds(type_):
        return True
    bare = _bare(type_)
    if get_origin(bare) is list:
        return _has_bounds(get_args(bare)[0])
    return (
        isinstance(bare, type) and issubclass(bare, msgspec.Struct) and any(_has_bounds(h) for _, _, h in _fields(bare))
    )
