"""Searching customer profiles without a scan: what a row holds of a profile, what a query means, and which keys lead
to the profiles that are meant.

Texts match in any case and any Unicode form, blanks at the ends and double ones aside; phone numbers by their digits.
A ``*`` at the end stands for any rest; in an e-mail address it may stand anywhere, once. E-mail addresses are in lower
case and not case-folded, as they are unique. All criteria of one address (names, company, city, ...) must hold in one
and the same: who asks for Ann Lee does not mean Ann Smith who also has a Bob Lee in the book.

``search_customers`` looks for words: each must begin a word of the e-mail address, a name, a company, a city or a
postal code; a word of three digits or more may also stand anywhere in a phone number; one with an ``@``, or with a
``*`` before its end, is (the beginning of) an e-mail address.

A *key* is a value of one field with the name of the profile that has it, kept in the order of the values: all that
begins in the same way is read as one. Where a query asks for one such field and nothing else, its keys say who is meant
and no row is read; else they say who can be meant, and the rows decide.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from chalicelib.domain import criteria, wire
from chalicelib.domain.criteria import Sorting, asked, from_parameters, moment, problem
from chalicelib.domain.customers import Customer, CustomerBilling, CustomerShipping, normalised_email
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Oid, Text2, Text20, Text25, Text30, Text32, Text50, Text100
from chalicelib.domain.rows import Row, Test, all_of, at, sort_key, trimmed, within
from chalicelib.domain.wire import Noun

KeyedKind = Literal["customer"]
KIND: KeyedKind = "customer"
# Texts are compared by so many characters, more than any field takes (only folding can make one longer): a key of
# four bytes each stays below the engine's limit.
LONGEST = 200
# E-mail addresses, or tags, that one query names: each address is a look of its own.
MOST_NAMED = 100
# Words of one search: nobody remembers more of a customer.
MOST_WORDS = 10
# Fewer digits stand in nearly every phone number.
FEWEST_DIGITS = 3
ANY = "*"

# --- rows ------------------------------------------------------------------------------------------------------------

ADDRESS = (
    "first_name",
    "last_name",
    "company",
    "city",
    "state",
    "postal_code",
    "country_code",
    "day_phone",
    "evening_phone",
)
PHONES = frozenset({"day_phone", "evening_phone"})
# ``shipping`` is SAME where it is the billing addresses again. Columns never move and never go.
COLUMNS = (
    "email",
    "signup_dts",
    "last_modified_dts",
    "noted_dts",
    "qb_class",
    "quickbooks_code",
    "pricing_tiers",
    "tags",
    "billing",
    "shipping",
)
SIDES = ("billing", "shipping")
SAME = 1


def row_of_customer(customer: Customer, noted: Instant) -> Row:
    """The row of a profile. ``noted`` is now: what ``_since`` asks for is when a change could be seen here first, so
    that who asks again and again from where he stopped misses none."""
    billing, shipping = _addresses(customer.billing), _addresses(customer.shipping)
    tiers = customer.pricing_tiers or []
    cells = {
        "email": _email(customer.email),
        "signup_dts": _seconds(customer.signup_dts),
        "last_modified_dts": _seconds(customer.last_modified_dts),
        "noted_dts": _seconds(noted),
        "qb_class": folded(customer.qb_class),
        "quickbooks_code": folded(customer.qb_code),
        "pricing_tiers": [[tier.pricing_tier_oid or 0, folded(tier.name)] for tier in tiers],
        "tags": _distinct(folded(tag.tag_value) for tag in customer.tags or []),
        "billing": billing,
        "shipping": SAME if shipping and shipping == billing else shipping,
    }
    return trimmed([cells[column] or 0 for column in COLUMNS])


def _addresses(entries: Sequence[CustomerBilling | CustomerShipping] | None) -> list[Row]:
    """Each distinct address once, the default one first."""
    first = sorted(entries or [], key=lambda entry: not _is_default(entry))
    rows = [trimmed([_folds(name)(_field(entry, name)) or 0 for name in ADDRESS]) for entry in first]
    return [row for position, row in enumerate(rows) if row and row not in rows[:position]]


def _is_default(entry: CustomerBilling | CustomerShipping) -> bool:
    flag = entry.default_billing if isinstance(entry, CustomerBilling) else entry.default_shipping
    return bool(flag)


def _field(entry: CustomerBilling | CustomerShipping, name: str) -> str | None:
    found: str | None = getattr(entry, "state_region" if name == "state" else name)
    return found


def folded(text: str | None) -> str:
    """A text as it is compared: in any case, in one Unicode form, without needless blanks."""
    if not text:
        return ""
    one = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(one.split())[:LONGEST]


def _email(text: str | None) -> str:
    return normalised_email(text)[:LONGEST] if text else ""


def digits_of(text: str | None) -> str:
    """The digits of a phone number, whatever script they are in."""
    return "".join(str(unicodedata.decimal(one)) for one in text or "" if one.isdecimal())


def _folds(name: str) -> Callable[[str | None], str]:
    if name == "email":
        return _email
    return digits_of if name in PHONES else folded


def _seconds(when: Instant | None) -> int:
    return int(when.timestamp()) if when else 0


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _column(name: str) -> Callable[[Row], Any]:
    return partial(at, COLUMNS.index(name))


def _addresses_of(side: str) -> Callable[[Row], list[Row]]:
    read, same = _column(side), _column("billing")

    def addresses(row: Row) -> list[Row]:
        found = read(row)
        return (same(row) if found == SAME else found) or []

    return addresses


# --- queries ---------------------------------------------------------------------------------------------------------


class CustomerQuery(Noun):
    """``query_target`` is taken and means nothing: origin and cache are the same here. ``search_string`` and ``since``
    come with GET only."""

    own: ClassVar[frozenset[str]] = frozenset({"search_string", "since"})

    all_tags: Annotated[list[Annotated[str, Meta(max_length=250)]], Meta(max_length=MOST_NAMED)] | None = None
    any_tags: Annotated[list[Annotated[str, Meta(max_length=250)]], Meta(max_length=MOST_NAMED)] | None = None
    billing_city: Text32 | None = None
    billing_company: Text50 | None = None
    billing_country_code: Text2 | None = None
    billing_day_phone: Text25 | None = None
    billing_evening_phone: Text25 | None = None
    billing_first_name: Text30 | None = None
    billing_last_name: Text30 | None = None
    billing_postal_code: Text20 | None = None
    billing_state: Text32 | None = None
    email: Text100 | None = None
    emails: Annotated[list[Text100], Meta(max_length=MOST_NAMED)] | None = None
    last_modified_dts_end: Text50 | None = None
    last_modified_dts_start: Text50 | None = None
    pricing_tier_name: Text50 | None = None
    pricing_tier_oid: Oid | None = None
    qb_class: Text100 | None = None
    query_target: Literal["origin", "cache"] | None = None
    quickbooks_code: Text100 | None = None
    shipping_city: Text32 | None = None
    shipping_company: Text50 | None = None
    shipping_country_code: Text2 | None = None
    shipping_day_phone: Text25 | None = None
    shipping_evening_phone: Text25 | None = None
    shipping_first_name: Text30 | None = None
    shipping_last_name: Text30 | None = None
    shipping_postal_code: Text20 | None = None
    shipping_state: Text32 | None = None
    signup_dts_end: Text50 | None = None
    signup_dts_start: Text50 | None = None

    search_string: str | None = None
    since: str | None = None


# A list has no form as a parameter.
NOT_IN_GET = frozenset({"all_tags", "any_tags", "emails"})
# What ``search_customers`` takes beside the words.
WITH_WORDS = ("signup_dts_start", "signup_dts_end", "_since")
RANGES = ("last_modified_dts", "signup_dts")
SINCE = {"_since": "since"}


def customer_query(raw: Any, since: str | None) -> CustomerQuery:
    """The query in a request's body. With nothing in it, all customers are meant. Raises Invalid."""
    return msgspec.structs.replace(wire.noun(raw, CustomerQuery), since=since)


def customer_query_of(parameters: Mapping[str, str]) -> CustomerQuery:
    """The query in the parameters of a GET. Raises Invalid naming what is not known."""
    return from_parameters(parameters, CustomerQuery, own=SINCE, not_in_get=NOT_IN_GET | {"search_string"})


def words_query_of(parameters: Mapping[str, str]) -> CustomerQuery:
    """The query of a search for words. Raises Invalid naming what is not known."""
    others = frozenset(CustomerQuery.__struct_fields__) - {"search_string", "since", *WITH_WORDS}
    words = {"search_string": "search_string"}
    return from_parameters(parameters, CustomerQuery, own=SINCE | words, not_in_get=others)


# --- patterns --------------------------------------------------------------------------------------------------------


class Pattern(msgspec.Struct, frozen=True):
    """A text as it is compared, or the beginning and the end of one."""

    begins: str
    ends: str = ""
    wild: bool = False

    def matches(self, text: str) -> bool:
        if not self.wild:
            return text == self.begins
        return (
            len(text) >= len(self.begins) + len(self.ends) and text.startswith(self.begins) and text.endswith(self.ends)
        )


def _pattern(field: str, name: str, text: str, problems: list[Problem]) -> Pattern:
    """What the criterion called ``name`` asks of such a field."""
    folds = _folds(field)
    begins, star, ends = text.partition(ANY)
    if ANY in ends or (ends.strip() and folds is not _email):
        within_it = "one * is allowed, anywhere in it, as in Y*@gmail.com"
        allowed = within_it if folds is _email else "a * is allowed at its end only, as in Smi*"
        problems.append(problem(name, "not_allowed_value", allowed))
    elif folds is digits_of and not digits_of(begins) and text.strip() != ANY:
        problems.append(problem(name, "invalid", "holds no digit; phone numbers are compared by their digits"))
    return Pattern(folds(begins), folds(ends) if folds is _email else "", bool(star))


def _emails(wanted: Mapping[str, Any], problems: list[Problem]) -> list[Pattern]:
    """One address and several are the same criterion: one of them must be the customer's."""
    named = [("email", wanted["email"])] if "email" in wanted else []
    named += [(f"emails/{position}", text) for position, text in enumerate(wanted.get("emails", [])) if text.strip()]
    return [_pattern("email", name, text, problems) for name, text in named]


# --- matching --------------------------------------------------------------------------------------------------------


def matcher(query: CustomerQuery, zone_name: str, tier_names: Mapping[int, str] | None = None) -> Test:
    """What tells whether a row is meant. Dates are ISO 8601 with an offset, or bare days in the merchant's zone; both
    ends of a range are in it. ``tier_names``: what the shop's pricing tiers are called by now, by their oids; one that
    the shop has no more is called as it was. Raises Invalid with all problems."""
    wanted = asked(query)
    tests: list[Test] = []
    problems: list[Problem] = []
    for name in RANGES:
        ends = [wanted.pop(f"{name}_start", None), wanted.pop(f"{name}_end", None)]
        if any(ends):
            begin = moment(ends[0], f"{name}_start", zone_name, problems)
            tests.append(within(_column(name), begin, moment(ends[1], f"{name}_end", zone_name, problems, last=True)))
    if since := wanted.pop("since", None):
        tests.append(within(_column("noted_dts"), moment(since, "_since", zone_name, problems), None))
    if emails := _emails(wanted, problems):
        tests.append(_any_of(_column("email"), emails))
    if oid := wanted.get("pricing_tier_oid"):
        tests.append(partial(_is_in, oid))
    if text := wanted.get("pricing_tier_name"):
        named = _pattern("pricing_tier_name", "pricing_tier_name", text, problems)
        tests.append(_is_in_one(named, {oid: folded(name) for oid, name in (tier_names or {}).items()}))
    for name in ("qb_class", "quickbooks_code"):
        if name in wanted:
            tests.append(_any_of(_column(name), [_pattern(name, name, wanted[name], problems)]))
    for side in SIDES:
        names = {name: wanted[f"{side}_{name}"] for name in ADDRESS if f"{side}_{name}" in wanted}
        patterns = {ADDRESS.index(n): _pattern(n, f"{side}_{n}", text, problems) for n, text in names.items()}
        if patterns:
            tests.append(_lives(_addresses_of(side), patterns))
    tags = {
        name: [
            _pattern("tags", f"{name}/{position}", text, problems) for position, text in enumerate(wanted.get(name, []))
        ]
        for name in ("all_tags", "any_tags")
    }
    tests += [_any_of(_column("tags"), [each]) for each in tags["all_tags"]]
    if tags["any_tags"]:
        tests.append(_any_of(_column("tags"), tags["any_tags"]))
    if words := _words(wanted.get("search_string", ""), problems):
        tests.append(_says(words))
    if problems:
        raise Invalid(problems[: wire.MAXIMUM_PROBLEMS])
    return partial(all_of, tests)


def _any_of(read: Callable[[Row], Any], patterns: Sequence[Pattern]) -> Test:
    def meant(row: Row) -> bool:
        found = read(row)
        texts = found if isinstance(found, list) else [found] if found else []
        return any(pattern.matches(text) for text in texts for pattern in patterns)

    return meant


_tiers = _column("pricing_tiers")


def _is_in(oid: int, row: Row) -> bool:
    return any(tier[0] == oid for tier in _tiers(row) or ())


def _is_in_one(pattern: Pattern, names: Mapping[int, str]) -> Test:
    return lambda row: any(pattern.matches(names.get(oid, name)) for oid, name in _tiers(row) or ())


def _lives(addresses: Callable[[Row], list[Row]], patterns: Mapping[int, Pattern]) -> Test:
    def meant(row: Row) -> bool:
        return any(
            all((text := at(position, address)) and pattern.matches(text) for position, pattern in patterns.items())
            for address in addresses(row)
        )

    return meant


# --- words -----------------------------------------------------------------------------------------------------------

WORDED = tuple(ADDRESS.index(name) for name in ("first_name", "last_name", "company", "city", "postal_code"))
NUMBERED = tuple(ADDRESS.index(name) for name in sorted(PHONES))
OF_A_NUMBER = re.compile(r"[\d+().\-/]+")


class Word(msgspec.Struct, frozen=True):
    """``address``: what the e-mail address must be; else ``text``, which must begin a word, or ``digits``, which must
    stand in a phone number."""

    text: str = ""
    digits: str = ""
    address: Pattern | None = None


def _words(text: str, problems: list[Problem]) -> list[Word]:
    if len(text) > LONGEST or len(text.split()) > MOST_WORDS:
        problems.append(
            problem("search_string", "out_of_range", f"may have {MOST_WORDS} words at most, {LONGEST} letters")
        )
        return []
    found: list[Word] = []
    for part in text.split():
        bare = part.removesuffix(ANY)
        if ANY in bare or "@" in bare:
            found.append(
                Word(address=_pattern("email", "search_string", part if ANY in bare else bare + ANY, problems))
            )
        elif bare:
            digits = digits_of(bare) if OF_A_NUMBER.fullmatch(bare) else ""
            found.append(Word(text=folded(bare), digits=digits if len(digits) >= FEWEST_DIGITS else ""))
    return found


def _says(words: Sequence[Word]) -> Test:
    """Every word is found somewhere; what is cheap is asked first, since this runs a hundred thousand times."""
    email, billing, shipping = _column("email"), _addresses_of("billing"), _column("shipping")
    patterns = [word.address for word in words if word.address]
    texts = [(word.text, re.compile(rf"(?<![^\W_]){re.escape(word.text)}"), word.digits) for word in words if word.text]

    def meant(row: Row) -> bool:
        own = email(row) or ""
        if not all(pattern.matches(own) for pattern in patterns):
            return False
        if not texts:
            return True
        also = shipping(row)
        addresses = [*billing(row), *(also if isinstance(also, list) else ())]
        hay = own if own.isascii() else folded(own)
        for address in addresses:
            hay += "\n" + "\n".join([address[position] or "" for position in WORDED if position < len(address)])
        phones: list[str] | None = None
        for text, begins_a_word, digits in texts:
            if text in hay and begins_a_word.search(hay):
                continue
            if not digits:
                return False
            if phones is None:
                phones = [at(position, address) or "" for address in addresses for position in NUMBERED]
            if not any(digits in phone for phone in phones):
                return False
        return True

    return meant


# --- keys ------------------------------------------------------------------------------------------------------------

REVERSED = "email_reversed"
# Fields with keys, and what of a row stands in them: criteria by field and place. A key says in which places of the
# profile its value stands, so one is enough for an address that is both billing's and shipping's.
PLACES: dict[str, tuple[str, str]] = {
    "billing_day_phone": ("phone", "d"),
    "billing_evening_phone": ("phone", "e"),
    "billing_postal_code": ("postal_code", "b"),
    "billing_last_name": ("last_name", "b"),
    "billing_company": ("company", "b"),
    "shipping_day_phone": ("phone", "D"),
    "shipping_evening_phone": ("phone", "E"),
    "shipping_postal_code": ("postal_code", "s"),
    "shipping_last_name": ("last_name", "s"),
    "shipping_company": ("company", "s"),
}
# (field, value)
Key = tuple[str, str]


def keys_of(row: Row) -> dict[Key, str]:
    """Every key of a row, with the places where its value stands."""
    found: dict[Key, str] = {}
    if email := _column("email")(row):
        found |= {("email", email): "", (REVERSED, email[::-1]): ""}
    for criterion, (field, place) in PLACES.items():
        side, _, name = criterion.partition("_")
        for address in _addresses_of(side)(row):
            if (value := at(ADDRESS.index(name), address)) and place not in found.get((field, value), ""):
                found[field, value] = found.get((field, value), "") + place
    return found


class Way(msgspec.Struct, frozen=True):
    """Keys of a field that begin in this way, or are ``whole`` so."""

    field: str
    begins: str
    whole: bool = False


class Lookup(msgspec.Struct, frozen=True):
    """Who has a value: each of the ``ways`` leads to all of them, and to others, whom ``accepts`` tells apart."""

    ways: tuple[Way, ...]
    pattern: Pattern
    place: str = ""

    def accepts(self, way: Way, value: str, places: str) -> bool:
        return self.place in places and self.pattern.matches(value_of(way, value))


def value_of(way: Way, value: str) -> str:
    """The field's own value in a key."""
    return value[::-1] if way.field == REVERSED else value


def lookups(query: CustomerQuery) -> list[list[Lookup]]:
    """Ways to all that the query can mean, the one that probably leads to the fewest first; the profiles of one way are
    those of any of its lookups."""
    wanted, ignored = asked(query), list[Problem]()
    found: list[list[Lookup]] = []
    if emails := _emails(wanted, ignored):
        found.append([_by_email(pattern) for pattern in emails])
    found += [[_by_email(word.address)] for word in _words(wanted.get("search_string", ""), ignored) if word.address]
    for criterion, (field, place) in PLACES.items():
        if criterion in wanted:
            pattern = _pattern(criterion.partition("_")[2], criterion, wanted[criterion], ignored)
            found.append([Lookup((Way(field, pattern.begins, not pattern.wild),), pattern, place)])
    return found


def _by_email(pattern: Pattern) -> Lookup:
    ways = [Way("email", pattern.begins, not pattern.wild)]
    if pattern.ends:
        ways = [*(ways if pattern.begins else []), Way(REVERSED, pattern.ends[::-1])]
    return Lookup(tuple(ways), pattern)


EVERYBODY = [Lookup((Way("email", ""),), Pattern("", wild=True))]


def decides(query: CustomerQuery, wanted: Sorting) -> list[Lookup] | None:
    """The lookups whose keys say all: who is meant, and in which order. None where rows must be read."""
    named = asked(query)
    if not named:
        return EVERYBODY if _from_keys(wanted) else None
    found = lookups(query)
    if len(found) != 1:
        return None
    whole = named.keys() <= {"email", "emails"} or (len(named) == 1 and len(named.get("search_string", "").split()) < 2)
    by_email = found[0][0].ways[0].field in ("email", REVERSED)
    return found[0] if whole and (not wanted or (by_email and _from_keys(wanted))) else None


def _from_keys(wanted: Sorting) -> bool:
    return not wanted or [field for field, _ in wanted] == ["email"]


# --- values ----------------------------------------------------------------------------------------------------------

# What a form may offer while somebody types: the fields with keys.
CATEGORIES = ("email", "last_name", "company", "phone", "postal_code")
DEFAULT_HITS = 10
MOST_HITS = 100


class LookupRequest(Noun):
    """Which values of a field begin with ``matches``: what a form offers while somebody types."""

    category: str
    matches: Text100 | None = None
    max_hits: Annotated[int, Meta(ge=1, le=MOST_HITS)] = DEFAULT_HITS
    storefront_host_name: Text100 | None = None
    storefront_oid: int | None = None
    subcategory: Text100 | None = None


class KeyValue(Noun):
    """``key`` is the value as it is compared, ``value`` as a customer has it."""

    description: str | None = None
    key: str | None = None
    value: str | None = None


def lookup_request(raw: Any) -> LookupRequest:
    """Raises Invalid: a category that has no keys, or what no value says anything of."""
    asked_for = wire.noun(raw, LookupRequest)
    if asked_for.category not in CATEGORIES:
        raise Invalid.one("/category", "not_allowed_value", f"allowed are {', '.join(CATEGORIES)}")
    return criteria.available(asked_for, ("storefront_host_name", "storefront_oid", "subcategory"))


def way_of(asked_for: LookupRequest) -> Way:
    """The keys of those values. A ``*`` at the end is what is meant in any case."""
    name = "day_phone" if asked_for.category == "phone" else asked_for.category
    return Way(asked_for.category, _folds(name)((asked_for.matches or "").removesuffix(ANY)))


def written(customer: Customer, field: str, value: str) -> str:
    """The value as the customer has it; as it is compared where the customer has another by now."""
    if field == "email":
        return customer.email or value if _email(customer.email) == value else value
    names = sorted(PHONES) if field == "phone" else [field]
    entries: list[CustomerBilling | CustomerShipping] = [*(customer.billing or []), *(customer.shipping or [])]
    texts = [(name, _field(entry, name)) for entry in entries for name in names]
    return next((text for name, text in texts if text and _folds(name)(text) == value), value)


# --- order -----------------------------------------------------------------------------------------------------------

OID = "customer_profile_oid"
SORT_FIELDS = (
    "email",
    OID,
    "signup_dts",
    "last_modified_dts",
    "qb_class",
    "quickbooks_code",
    *(f"{side}.{name}" for side in SIDES for name in ADDRESS),
)
# Other words for a field: the noun's, and those of the criteria.
SORT_ALIASES = {
    "qb_code": "quickbooks_code",
    **{f"{side}.state_region": f"{side}.state" for side in SIDES},
    **{f"{side}_{name}": f"{side}.{name}" for side in SIDES for name in ADDRESS},
}


def sorting(text: str | None) -> Sorting:
    """What ``_sort`` asks for. Raises Invalid by name."""
    return criteria.sorting(text, SORT_FIELDS, SORT_ALIASES)


def sort(rows: list[tuple[str, Row]], wanted: Sorting) -> list[tuple[str, Row]]:
    """The rows, each with its profile's oid, in the wanted order; where that leaves it open, by oid. Addresses sort by
    the first, which is the default one."""
    done = sorted(rows, key=lambda named: int(named[0]))
    for field, descending in reversed(wanted):
        if field == OID:
            done.sort(key=lambda named: int(named[0]), reverse=descending)
        else:
            done.sort(key=partial(sort_key, _sorted_by(field), descending), reverse=descending)
    return done


def sort_keys(values: Mapping[str, str], wanted: Sorting) -> list[str]:
    """Oids with their e-mail addresses, in the order that ``sort`` would give them."""
    done = sorted(values, key=int)
    for _, descending in wanted:
        done.sort(key=lambda name: values[name].casefold(), reverse=descending)
    return done


def _sorted_by(field: str) -> Callable[[Row], Any]:
    side, _, name = field.partition(".")
    if not name:
        return _column(field)
    addresses, position = _addresses_of(side), ADDRESS.index(name)

    def first(row: Row) -> Any:
        found = addresses(row)
        return at(position, found[0]) if found else None

    return first
