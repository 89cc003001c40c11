"""Finding customers: by the keys alone where they say all, else by the rows to which keys lead, else by all rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.domain import customer_search
from chalicelib.domain.criteria import Sorting, question_of
from chalicelib.domain.customer_search import KIND, CustomerQuery, KeyValue, Lookup, LookupRequest
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import Invalid
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.pricing_tiers import PricingTiers
from chalicelib.domain.rows import Test
from chalicelib.flows.find import MOST_SHAPED, Found, Looked, page_of

if TYPE_CHECKING:
    from chalicelib.flows.ports import Shop


class Bounds(msgspec.Struct, frozen=True):
    """``found``: names that a search holds in memory at once, twice the shop that the figures are made for. ``rows``:
    above this many single rows all rows together cost less. ``keys``: a way that leads to more without an end is given
    up where rows must be read besides; so many are 200 read units."""

    found: int = 200_000
    rows: int = MOST_SHAPED
    keys: int = 20_000


BOUNDS = Bounds()


def find_customers(
    shop: "Shop", query: CustomerQuery, sort: str | None, offset: int, limit: int, bounds: Bounds = BOUNDS
) -> Found:
    """One page of the customers that are meant, full unless it is the last; names are oids as texts.

    Reads as ``find`` does: from the beginning anew, later pages from what was found. Raises Invalid: a criterion, a
    pattern, a date or a sort field that is not one.
    """
    wanted = customer_search.sorting(sort)
    return page_of(shop, KIND, question_of(query, wanted), offset, limit, lambda: _looked(shop, query, wanted, bounds))


def all_customers(shop: "Shop", query: CustomerQuery, bounds: Bounds = BOUNDS) -> list[str]:
    """The names of all that are meant, in no order that counts. Raises Invalid as ``find_customers`` does."""
    return _looked(shop, query, customer_search.sorting(None), bounds)[0]


def matcher(shop: "Shop", query: CustomerQuery) -> Test:
    """What tells whether a row is meant. Raises Invalid: a criterion, a pattern or a date that is not one."""
    zone_name = shop.configuration.section(Merchant).noun.zone_name()
    return customer_search.matcher(query, zone_name, _tier_names(shop) if query.pricing_tier_name else None)


def _looked(shop: "Shop", query: CustomerQuery, wanted: Sorting, bounds: Bounds) -> Looked:
    meant = matcher(shop, query)
    by_keys = _by_keys(shop, query, wanted, bounds)
    if by_keys is not None:
        return by_keys, False
    narrowed = _narrowed(shop, query, bounds)
    every = shop.lists.rows(KIND) if narrowed is None else shop.lists.rows_of(KIND, narrowed)
    rows = [(name, row) for name, row in every if meant(row)]
    return [name for name, _ in customer_search.sort(rows, wanted)], narrowed is None


def _tier_names(shop: "Shop") -> dict[int, str]:
    tiers = shop.configuration.section(PricingTiers).noun.by_oid()
    return {oid: tier.name or "" for oid, tier in tiers.items()}


def _by_keys(shop: "Shop", query: CustomerQuery, wanted: Sorting, bounds: Bounds) -> list[str] | None:
    """The oids in their order, where keys alone say who is meant."""
    lookups = customer_search.decides(query, wanted)
    if lookups is None:
        return None
    found = _walked(shop, lookups, bounds.found, bounds.found)
    if found is None:
        what = f"more than {bounds.found:,} customers are meant, too many to list"
        raise Invalid.one("", "too_many_rows", f"{what}: name another criterion")
    return customer_search.sort_keys(found, wanted)


def _narrowed(shop: "Shop", query: CustomerQuery, bounds: Bounds) -> list[str] | None:
    """The oids of all that the query can mean, where keys lead to few enough."""
    for lookups in customer_search.lookups(query):
        found = _walked(shop, lookups, bounds.rows, bounds.keys)
        if found is not None:
            return list(found)
    return None


def _walked(shop: "Shop", lookups: Sequence[Lookup], most: int, most_keys: int) -> dict[str, str] | None:
    """Oids and the values by which they were found; None where they are more than ``most``."""
    found: dict[str, str] = {}
    for lookup in lookups:
        one = _of_one(shop, lookup, most, most_keys)
        if one is None:
            return None
        found |= one
    return found if len(found) <= most else None


def _of_one(shop: "Shop", lookup: Lookup, most: int, most_keys: int) -> dict[str, str] | None:
    """The ways are walked in turn, a page each, until one of them has ended: nobody knows beforehand which is the
    narrowest, and so all of them together cost little more than that one."""
    found: list[dict[str, str]] = [{} for _ in lookup.ways]
    cursors: list[Any] = [None for _ in lookup.ways]
    read = 0
    while True:
        for position, way in enumerate(lookup.ways):
            keys, cursor = shop.lists.keys(KIND, way.field, way.begins, whole=way.whole, cursor=cursors[position])
            found[position] |= {
                name: customer_search.value_of(way, value)
                for value, places, name in keys
                if lookup.accepts(way, value, places)
            }
            if cursor is None:
                return found[position]
            if len(found[position]) > most:
                return None
            cursors[position] = cursor
            read += len(keys)
            if read > most_keys * len(lookup.ways):
                return None


def values(shop: "Shop", asked_for: LookupRequest, bounds: Bounds = BOUNDS) -> list[KeyValue]:
    """The distinct values of a field that begin so, in their order, each as somebody who has it writes it."""
    way = customer_search.way_of(asked_for)
    names: dict[str, str] = {}
    cursor: Any = None
    read = 0
    while True:
        keys, cursor = shop.lists.keys(KIND, way.field, way.begins, cursor=cursor)
        for value, _, name in keys:
            if len(names) < asked_for.max_hits:
                names.setdefault(value, name)
        read += len(keys)
        if cursor is None or len(names) == asked_for.max_hits or read > bounds.keys:
            break
    customers = {
        noun.customer_profile_oid: noun for noun in shop.customers.get_many(list(dict.fromkeys(names.values())))
    }
    return [
        KeyValue(key=value, value=customer_search.written(customers.get(int(name)) or Customer(), way.field, value))
        for value, name in names.items()
    ]
