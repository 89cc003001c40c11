"""Searching without a scan: what a list row holds of a noun, which rows a query means, and the order they come in.

A row is one packed list: a cell a column, 0 where there is nothing, trailing zeros left out, instants as epoch seconds.
Columns never move and never go; a new one goes to the end, so that rows which were written before it still read.

Texts match exactly and case-sensitively, as the contract has it; e-mail addresses alone match in any case, as they are
unique in any case. Criteria of an address (names, company, city, ...) must all hold in one address, billing's or
shipping's: who asks for Ann Lee does not mean Ann Smith who sends to Bob Lee. Missing values sort last, either way.
"""

from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache, partial
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Literal, get_args

from msgspec import Meta

from chalicelib.domain import criteria, wire
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.criteria import Sorting, asked, available, from_parameters, moment
from chalicelib.domain.customers import normalised_email
from chalicelib.domain.dates import Instant, instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import (
    Amount,
    Oid,
    Text2,
    Text10,
    Text20,
    Text25,
    Text30,
    Text32,
    Text50,
    Text100,
    Text200,
)
from chalicelib.domain.heads import Head
from chalicelib.domain.items import Item
from chalicelib.domain.orders import Order, OrderBilling, OrderCheckout, OrderPayment, OrderShipping, Stage
from chalicelib.domain.rows import Row, Test, all_of, at, sort_key, trimmed, within
from chalicelib.domain.wire import Noun

Kind = Literal["auto_order", "order", "item"]
# How an active auto order stands: a declined charge is tried again, something keeps it from being billed, all its items
# are paused.
Condition = Literal["retrying", "held", "paused"]

# A longer text is kept as its beginning and a hash: it still matches exactly, and a row stays about 250 bytes.
LONGEST_TEXT = 40
BEGINNING = 24
HASH_DIGITS = 10
# More rounds than this no run has (each is a charge that was tried), so that a new run outweighs the last one's rounds.
ROUNDS = 1000
# The version of the row of a noun that is gone for good: above all others.
LAST_VERSION = 10**15
CUSTOM_FIELDS = range(1, 11)

# --- rows ------------------------------------------------------------------------------------------------------------

ADDRESS = ("first_name", "last_name", "company", "city", "state_region", "postal_code", "country_code")
# ``shipping`` is a list of its own, and nothing where it is the billing address again.
PEOPLE = (*(f"billing.{name}" for name in ADDRESS), "shipping", "billing.phone", "billing.email", "billing.cc_email")

COLUMNS: dict[Kind, tuple[str, ...]] = {
    "auto_order": (
        "auto_order_code",
        "order_id",
        "status",
        "customer_profile_oid",
        "noted_dts",
        "creation_dts",
        "payment.payment_dts",
        "next_shipment_dts",
        "original_item_id",
        "next_item_id",
        "payment.card_type",
        "checkout.screen_branding_theme_code",
        *PEOPLE,
        # The items of the original order, where they are not the auto order's.
        "item_id",
        "card_expires_dts",
        "next_attempt",
        "condition",
    ),
    "order": (
        "order_id",
        "current_stage",
        "customer_profile_oid",
        "creation_dts",
        "payment.payment_dts",
        "shipping.shipping_date",
        "refund_dts",
        "payment.payment_method",
        "summary.total",
        "item_id",
        "checkout.screen_branding_theme_code",
        "checkout.storefront_host_name",
        *PEOPLE,
        *(f"custom_field_{number}" for number in CUSTOM_FIELDS),
    ),
    "item": (
        "merchant_item_id",
        "merchant_item_oid",
        "noted_dts",
        "creation_dts",
        "last_modified_dts",
        "parent_category_path",
        "description",
    ),
}
ROOT_CATEGORY = "/"


def row_of_auto_order(auto_order: AutoOrder, original: Order, noted: Instant, *, held: bool = False) -> Row:
    """The row of an assembled auto order. ``noted`` is now: what ``_since`` asks for is when a change could be seen
    here first, so that who asks again and again from where he stopped misses none. ``held``: it waits until somebody
    mends what keeps it from being billed."""
    entries = auto_order.items or []
    own = _distinct(entry.original_item_id for entry in entries)
    bought = _distinct(line.merchant_item_id for line in original.items or [])
    payment = original.payment or OrderPayment()
    return _row(
        "auto_order",
        {
            "auto_order_code": auto_order.auto_order_code,
            "order_id": auto_order.original_order_id,
            "status": auto_order.status,
            "customer_profile_oid": auto_order.customer_profile_oid or original.customer_profile_oid,
            "noted_dts": noted,
            "creation_dts": original.creation_dts,
            "payment.payment_dts": payment.payment_dts,
            "next_shipment_dts": sorted({e.next_shipment_dts for e in entries if e.next_shipment_dts is not None}),
            "original_item_id": own,
            "next_item_id": _distinct(entry.next_item_id for entry in entries),
            "payment.card_type": payment.credit_card.card_type if payment.credit_card else None,
            "checkout.screen_branding_theme_code": _checkout(original).screen_branding_theme_code,
            **_people(original),
            "item_id": bought if set(bought) != set(own) else None,
            "card_expires_dts": _expires(payment),
            "next_attempt": auto_order.next_attempt if auto_order.status == "active" else None,
            "condition": _conditions(auto_order, held=held),
        },
    )


def _expires(payment: OrderPayment) -> Instant | None:
    """Within the last day of the card's last good month, wherever the shop is."""
    card = payment.credit_card
    if card is None or not (card.card_expiration_year and card.card_expiration_month):
        return None
    year, month = card.card_expiration_year, card.card_expiration_month
    return instant(datetime(year, month, monthrange(year, month)[1], 12, tzinfo=UTC))


def _conditions(auto_order: AutoOrder, *, held: bool) -> list[Condition]:
    """How an active auto order stands, beyond its status."""
    if auto_order.status != "active":
        return []
    entries = auto_order.items or []
    found: dict[Condition, bool] = {
        "retrying": bool(auto_order.credit_card_attempt),
        "held": held,
        "paused": bool(entries) and all(entry.paused for entry in entries),
    }
    return [name for name, is_so in found.items() if is_so]


def row_of_order(order: Order) -> Row:
    payment, checkout = order.payment or OrderPayment(), _checkout(order)
    total = order.summary.total if order.summary else None
    return _row(
        "order",
        {
            "order_id": order.order_id,
            "current_stage": order.current_stage,
            "customer_profile_oid": order.customer_profile_oid,
            "creation_dts": order.creation_dts,
            "payment.payment_dts": payment.payment_dts,
            "shipping.shipping_date": order.shipping.shipping_date if order.shipping else None,
            "refund_dts": order.refund_dts,
            "payment.payment_method": payment.payment_method,
            "summary.total": None if total is None else f"{total:f}",
            "item_id": _distinct(line.merchant_item_id for line in order.items or []),
            "checkout.screen_branding_theme_code": checkout.screen_branding_theme_code,
            "checkout.storefront_host_name": checkout.storefront_host_name,
            **_people(order),
            **{f"custom_field_{number}": getattr(checkout, f"custom_field{number}") for number in CUSTOM_FIELDS},
        },
    )


def row_of_item(item: Item, noted: Instant) -> Row:
    """The row of a catalogue item. ``noted`` as in ``row_of_auto_order``."""
    return _row(
        "item",
        {
            "merchant_item_id": item.merchant_item_id,
            "merchant_item_oid": item.merchant_item_oid,
            "noted_dts": noted,
            "creation_dts": item.creation_dts,
            "last_modified_dts": item.last_modified_dts,
            "parent_category_path": item.parent_category_path or ROOT_CATEGORY,
            "description": item.description,
        },
    )


def version_of_auto_order(head: Head, document_version: int, original_version: int) -> int:
    """The version of an auto order's row: rises with every change of what it is put together from. The three are not
    read at one instant; a mixture of old and new is less than all new, so it never stays."""
    return ROUNDS * (head.fence + head.revision + head.run + document_version + original_version) + head.round


def version_of_item(changed: Instant, version: int) -> int:
    """The version of an item's row: rises even where an item is deleted and another is made of the same id.
    ``changed`` is its ``last_modified_dts``; of a deleted one, when that was, and the version after its last."""
    return int(changed.timestamp()) * ROUNDS + min(version, ROUNDS - 1)


def _row(kind: Kind, cells: Mapping[str, Any]) -> Row:
    return trimmed([_cell(cells[name]) for name in COLUMNS[kind]])


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return shortened(value) or 0
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, list):
        return [_cell(entry) for entry in value] or 0
    return value or 0


def shortened(text: str) -> str:
    """A text as a row holds it: equal texts stay equal, and different ones different."""
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:BEGINNING]}…{sha256(text.encode()).hexdigest()[:HASH_DIGITS]}"


def _beginning(cell: str) -> str:
    """What a row holds of the text itself."""
    cut = len(cell) == BEGINNING + 1 + HASH_DIGITS and cell[BEGINNING] == "…"
    return cell[:BEGINNING] if cut else cell


def _people(order: Order) -> dict[str, Any]:
    billing, shipping = order.billing or OrderBilling(), order.shipping or OrderShipping()
    billed = [getattr(billing, name) for name in ADDRESS]
    shipped = [getattr(shipping, name) for name in ADDRESS]
    phones = (billing.day_phone, billing.evening_phone, billing.cell_phone, shipping.day_phone, shipping.evening_phone)
    return {
        **{f"billing.{name}": value for name, value in zip(ADDRESS, billed, strict=True)},
        "shipping": shipped if any(shipped) and shipped != billed else None,
        "billing.phone": _distinct(phones),
        "billing.email": normalised_email(billing.email) if billing.email else None,
        "billing.cc_email": _distinct(normalised_email(email) for email in billing.cc_emails or []),
    }


def _checkout(order: Order) -> OrderCheckout:
    return order.checkout or OrderCheckout()


def _distinct(texts: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


@lru_cache(maxsize=256)
def _reader(kind: Kind, column: str) -> Callable[[Row], Any]:
    """How a column is read from a row: its value, or None."""
    columns = COLUMNS[kind]
    if column in columns:
        return partial(at, columns.index(column))
    name = column.removeprefix("shipping.")
    own = partial(at, ADDRESS.index(name))
    shipping, same = partial(at, columns.index("shipping")), partial(at, columns.index(f"billing.{name}"))

    def shipped(row: Row) -> Any:
        address = shipping(row)
        return own(address) if address else same(row)

    return shipped


# --- queries ---------------------------------------------------------------------------------------------------------


# Criteria of auto orders that the contract does not know.
OF_AUTO_ORDERS = (
    "card_expires_date_begin",
    "card_expires_date_end",
    "condition",
    "next_attempt_date_begin",
    "next_attempt_date_end",
)


class AutoOrderQuery(Noun):
    """``item_id`` means that the original order held the item. What the contract does not know comes with GET only:
    ``since``, ``condition`` (``retrying``, ``held``, ``paused``), when the card expires and when it is tried again."""

    own: ClassVar[frozenset[str]] = frozenset({"since", *OF_AUTO_ORDERS})

    auto_order_code: Text200 | None = None
    card_type: Text100 | None = None
    city: Text200 | None = None
    company: Text200 | None = None
    country_code: Text2 | None = None
    customer_profile_oid: Oid | None = None
    email: Text100 | None = None
    first_name: Text200 | None = None
    item_id: Text200 | None = None
    last_name: Text200 | None = None
    next_item_id: Text200 | None = None
    next_shipment_date_begin: Text50 | None = None
    next_shipment_date_end: Text50 | None = None
    original_item_id: Text200 | None = None
    original_order_date_begin: Text50 | None = None
    original_order_date_end: Text50 | None = None
    original_order_id: Text200 | None = None
    phone: Text25 | None = None
    postal_code: Text200 | None = None
    state: Text200 | None = None
    status: Literal["active", "canceled", "disabled", "merged"] | None = None

    card_expires_date_begin: str | None = None
    card_expires_date_end: str | None = None
    condition: str | None = None
    next_attempt_date_begin: str | None = None
    next_attempt_date_end: str | None = None
    since: str | None = None


class OrderQueryPaymentTransactionFilter(Noun):
    name: Text200 | None = None
    value: Text200 | None = None


QueriedPaymentMethod = Literal[
    "Affirm",
    "Amazon",
    "Amazon SC",
    "Cash",
    "Check",
    "COD",
    "Credit Card",
    "eCheck",
    "LoanHero",
    "Money Order",
    "PayPal",
    "Purchase Order",
    "Quote Request",
    "Unknown",
    "Wire Transfer",
    "Venmo",
    "Apple Pay",
    " Google Pay",  # the contract's own spelling
    "Google Pay",
    "PayPal Fastlane",
]


class OrderQuery(Noun):
    """``query_target`` is taken and means nothing: origin and cache are the same here."""

    card_bin: Annotated[str, Meta(max_length=6)] | None = None
    card_last4: Annotated[str, Meta(max_length=4)] | None = None
    cc_email: Text100 | None = None
    channel_partner_code: Text200 | None = None
    channel_partner_order_id: Text200 | None = None
    city: Text32 | None = None
    company: Text50 | None = None
    country_code: Text2 | None = None
    creation_date_begin: Text50 | None = None
    creation_date_end: Text50 | None = None
    current_stage: Stage | None = None
    custom_field_1: Text200 | None = None
    custom_field_2: Text200 | None = None
    custom_field_3: Text200 | None = None
    custom_field_4: Text200 | None = None
    custom_field_5: Text200 | None = None
    custom_field_6: Text200 | None = None
    custom_field_7: Text200 | None = None
    custom_field_8: Text200 | None = None
    custom_field_9: Text200 | None = None
    custom_field_10: Text200 | None = None
    customer_profile_oid: Oid | None = None
    email: Text100 | None = None
    first_name: Text30 | None = None
    item_id: Text200 | None = None
    last_name: Text30 | None = None
    order_id: Text200 | None = None
    payment_date_begin: Text50 | None = None
    payment_date_end: Text50 | None = None
    payment_method: QueriedPaymentMethod | None = None
    payment_transaction_filters: list[OrderQueryPaymentTransactionFilter] | None = None
    phone: Text25 | None = None
    postal_code: Text20 | None = None
    purchase_order_number: Text200 | None = None
    query_target: Literal["origin", "cache"] | None = None
    refund_date_begin: Text50 | None = None
    refund_date_end: Text50 | None = None
    rma: Text30 | None = None
    screen_branding_theme_code: Text10 | None = None
    shipment_date_begin: Text50 | None = None
    shipment_date_end: Text50 | None = None
    shipped_on_date_begin: Text50 | None = None
    shipped_on_date_end: Text50 | None = None
    state_region: Text32 | None = None
    storefront_host_name: Text200 | None = None
    total: Amount | None = None


class ItemQuery(Noun):
    """Items are asked for with GET only. The root category is ``/``. ``merchant_item_id_or_description``, of our own
    and after the one of coupons, is looked for within either, in any case; of a long description within the beginning,
    which is all that a row keeps."""

    own: ClassVar[frozenset[str]] = frozenset({"since"})

    merchant_item_id_or_description: Text50 | None = None
    parent_category_id: Text20 | None = None
    parent_category_path: Text200 | None = None

    since: str | None = None


Query = AutoOrderQuery | OrderQuery | ItemQuery

# Criteria of the contract on which nothing is kept yet: refused by name, never ignored.
UNAVAILABLE = (
    "card_bin",
    "card_last4",
    "channel_partner_code",
    "channel_partner_order_id",
    "parent_category_id",
    "payment_transaction_filters",
    "purchase_order_number",
    "rma",
    "shipped_on_date_begin",
    "shipped_on_date_end",
)
# A list of objects has no form as a parameter.
NOT_IN_GET = frozenset({"payment_transaction_filters"})


def auto_order_query(raw: Any) -> AutoOrderQuery:
    """The query in a request's body. With nothing in it, all auto orders are meant. Raises Invalid."""
    return wire.noun(raw, AutoOrderQuery)


def order_query(raw: Any) -> OrderQuery:
    """The query in a request's body. Raises Invalid: for what is not available, and where nothing is asked."""
    query = available(wire.noun(raw, OrderQuery), UNAVAILABLE)
    if not asked(query):
        raise Invalid.one("", "required", "a query names at least one criterion; GET /order/orders lists all orders")
    return query


def auto_order_query_of(parameters: Mapping[str, str]) -> AutoOrderQuery:
    """The query in the parameters of a GET. Raises Invalid naming what is not known."""
    own = {"_since": "since", **{name: name for name in OF_AUTO_ORDERS}}
    query = from_parameters(parameters, AutoOrderQuery, own=own)
    if query.condition and query.condition not in get_args(Condition):
        message = f"allowed are {', '.join(get_args(Condition))}"
        raise Invalid.one("/condition", "not_allowed_value", message)
    return query


def order_query_of(parameters: Mapping[str, str]) -> OrderQuery:
    """The query in the parameters of a GET; without any, all orders are meant. Raises Invalid."""
    query = from_parameters(parameters, OrderQuery, own={}, not_in_get=NOT_IN_GET, unavailable=UNAVAILABLE)
    return available(query, UNAVAILABLE)


def item_query_of(parameters: Mapping[str, str]) -> ItemQuery:
    """The query in the parameters of a GET. ``_placeholders`` is for pages that edit items; it finds no others."""
    rest = dict(parameters)
    if rest.pop("_placeholders", "false").lower() not in ("true", "false"):
        raise Invalid.one("/_placeholders", "wrong_type", "must be true or false")
    query = from_parameters(rest, ItemQuery, own={"_since": "since"}, unavailable=UNAVAILABLE)
    return available(query, UNAVAILABLE)


# --- matching --------------------------------------------------------------------------------------------------------

# Criteria and their columns, where the two have different names.
CRITERIA: dict[Kind, dict[str, str]] = {
    "auto_order": {
        "original_order_id": "order_id",
        "card_type": "payment.card_type",
        "phone": "billing.phone",
        "email": "billing.email",
        "state": "state_region",
    },
    "order": {
        "payment_method": "payment.payment_method",
        "total": "summary.total",
        "screen_branding_theme_code": "checkout.screen_branding_theme_code",
        "storefront_host_name": "checkout.storefront_host_name",
        "phone": "billing.phone",
        "email": "billing.email",
        "cc_email": "billing.cc_email",
    },
    "item": {},
}
# Ranges: ``<name>_date_begin`` and ``<name>_date_end``.
RANGES: dict[Kind, dict[str, str]] = {
    "auto_order": {
        "next_shipment": "next_shipment_dts",
        "original_order": "creation_dts",
        "next_attempt": "next_attempt",
        "card_expires": "card_expires_dts",
    },
    "order": {
        "creation": "creation_dts",
        "payment": "payment.payment_dts",
        "shipment": "shipping.shipping_date",
        "refund": "refund_dts",
    },
    "item": {},
}
EMAILS = frozenset({"email", "cc_email"})
ITEM_TEXTS = ("merchant_item_id", "description")


def matcher(kind: Kind, query: Query, zone_name: str) -> Test:
    """What tells whether a row is meant. Dates are ISO 8601 with an offset, or bare days in the merchant's zone; both
    ends of a range are in it. Raises Invalid with all problems."""
    wanted = asked(query)
    tests: list[Test] = []
    problems: list[Problem] = []
    for name, column in RANGES[kind].items():
        ends = [wanted.pop(f"{name}_date_begin", None), wanted.pop(f"{name}_date_end", None)]
        if any(ends):
            begin = moment(ends[0], f"{name}_date_begin", zone_name, problems)
            end = moment(ends[1], f"{name}_date_end", zone_name, problems, last=True)
            tests.append(within(_reader(kind, column), begin, end))
    if since := wanted.pop("since", None):
        tests.append(within(_reader(kind, "noted_dts"), moment(since, "_since", zone_name, problems), None))
    if problems:
        raise Invalid(problems)
    if either := wanted.pop("merchant_item_id_or_description", None):
        tests.append(partial(_within_either, [_reader(kind, name) for name in ITEM_TEXTS], either.casefold()))
    columns = {CRITERIA[kind].get(name, name): _sought(name, value) for name, value in wanted.items()}
    address = {column: columns.pop(column) for column in ADDRESS if column in columns}
    if address:
        tests.append(_lives(kind, address))
    tests += [_equals(kind, column, value) for column, value in columns.items()]
    return partial(all_of, tests)


def _sought(name: str, value: Any) -> Any:
    """The value as a row would hold it."""
    if name in EMAILS:
        value = normalised_email(value)
    if name == "payment_method":
        value = value.strip()
    return shortened(value) if isinstance(value, str) else value


def _equals(kind: Kind, column: str, value: Any) -> Test:
    read = _reader(kind, column)
    if isinstance(value, Decimal):
        return lambda row: (found := read(row)) is not None and Decimal(found) == value
    if kind == "auto_order" and column == "item_id":
        own = _reader(kind, "original_item_id")
        return lambda row: value in (read(row) or own(row) or ())

    return partial(_holds, read, value)


def _holds(read: Callable[[Row], Any], value: Any, row: Row) -> bool:
    found = read(row)
    return value in found if isinstance(found, list) else bool(found == value)


def _within_either(reads: Iterable[Callable[[Row], Any]], text: str, row: Row) -> bool:
    return any(text in _beginning(read(row) or "").casefold() for read in reads)


def _lives(kind: Kind, address: Mapping[str, Any]) -> Test:
    """All criteria of the address hold in one of the two."""
    billed, shipped = (
        partial(all_of, [partial(_is, _reader(kind, f"{place}.{column}"), value) for column, value in address.items()])
        for place in ("billing", "shipping")
    )
    return lambda row: billed(row) or shipped(row)


def _is(read: Callable[[Row], Any], value: Any, row: Row) -> bool:
    return bool(read(row) == value)


# --- shapes ----------------------------------------------------------------------------------------------------------
#
# A shape is a value of one field with the names of all that have it, so that a search for that value reads those alone.
# It only narrows: what it leads to is matched by its row like everything else. Fields that a rebill does not move; the
# next shipment moves with each, and would cost every rebill two more write units.

# Criteria and their columns, the one that finds the fewest first.
SHAPES: dict[Kind, dict[str, str]] = {
    "auto_order": {
        "email": "billing.email",
        "phone": "billing.phone",
        "postal_code": "postal_code",
        "last_name": "last_name",
        "company": "company",
        "original_item_id": "original_item_id",
    },
}
Shape = tuple[str, str]


def shapes_of(kind: Kind, row: Row) -> frozenset[Shape]:
    """(field, value) of every shape that the row stands in."""
    found = set()
    for field, column in SHAPES.get(kind, {}).items():
        columns = [f"billing.{column}", f"shipping.{column}"] if column in ADDRESS else [column]
        for one in columns:
            value = _reader(kind, one)(row)
            found |= {(field, each) for each in (value if isinstance(value, list) else [value]) if each}
    return frozenset(found)


def shapes_asked(kind: Kind, query: Query) -> list[Shape]:
    """The shapes that hold all that the query can mean, the one that probably holds the fewest first."""
    wanted = asked(query)
    return [(field, _sought(field, wanted[field])) for field in SHAPES.get(kind, {}) if field in wanted]


# --- order -----------------------------------------------------------------------------------------------------------

_OF_PEOPLE = (
    *(f"{place}.{name}" for place in ("shipping", "billing") for name in ADDRESS),
    "billing.phone",
    "billing.email",
    "billing.cc_email",
)
SORT_FIELDS: dict[Kind, tuple[str, ...]] = {
    "auto_order": (
        "auto_order_code",
        "order_id",
        *_OF_PEOPLE,
        "creation_dts",
        "payment.payment_dts",
        "checkout.screen_branding_theme_code",
        "next_shipment_dts",
        "next_attempt",
        "card_expires_dts",
    ),
    "order": (
        "order_id",
        *_OF_PEOPLE,
        "creation_dts",
        "payment.payment_dts",
        "checkout.screen_branding_theme_code",
    ),
    "item": ("merchant_item_id", "merchant_item_oid", "description", "creation_dts", "last_modified_dts"),
}
# The contract's other word for a field.
SORT_ALIASES = {"billing.state": "billing.state_region"}


def sorting(kind: Kind, text: str | None) -> Sorting:
    """What ``_sort`` asks for. Raises Invalid by name."""
    return criteria.sorting(text, SORT_FIELDS[kind], SORT_ALIASES)


def sort(kind: Kind, rows: list[tuple[str, Row]], wanted: Sorting) -> list[tuple[str, Row]]:
    """The rows, each with its name, in the wanted order; where that leaves it open, auto orders by oid, orders by
    creation, items by id."""
    creation = _reader("order", "creation_dts")
    if kind == "auto_order":
        done = sorted(rows, key=lambda named: int(named[0]))
    elif kind == "order":
        done = sorted(rows, key=lambda named: (creation(named[1]) or 0, named[0]))
    else:
        done = sorted(rows, key=lambda named: named[0])
    for field, descending in reversed(wanted):
        done.sort(key=partial(sort_key, _reader(kind, field), descending), reverse=descending)
    return done
