"""Finding: the first page asks the list rows, narrowed where a code, an order or a shape leads to them; the pages after
it are cut from what the first one found."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from chalicelib.domain import search
from chalicelib.domain.criteria import question_of
from chalicelib.domain.merchants import Merchant

if TYPE_CHECKING:
    from chalicelib.flows.ports import Shop


# Above this the list rows are read whole: 1,000 single rows cost 500 read units, 100,000 of them together 4,100.
MOST_SHAPED = 1000


class Found(msgspec.Struct, frozen=True):
    """The names on one page, and how many the search found in all."""

    names: list[str]
    total: int


Looked = tuple[list[str], bool]


def find(shop: "Shop", kind: search.Kind, query: search.Query, sort: str | None, offset: int, limit: int) -> Found:
    """One page of what the query means, full unless it is the last; ``offset`` beyond the end finds nothing.

    A search from the beginning looks anew, so it sees what is new. Pages after the first come from the answer that it
    remembered, so nothing is seen twice or skipped while others write; when that has expired, it is looked up anew.
    Raises Invalid: a criterion, a date or a sort field that is not one.
    """
    sorting = search.sorting(kind, sort)

    def look() -> Looked:
        meant = search.matcher(kind, query, shop.configuration.section(Merchant).noun.zone_name())
        narrowed = _narrowed(shop, kind, query)
        every = shop.lists.rows(kind) if narrowed is None else shop.lists.rows_of(kind, narrowed)
        rows = [(name, row) for name, row in every if meant(row)]
        return [name for name, _ in search.sort(kind, rows, sorting)], narrowed is None

    return page_of(shop, kind, question_of(query, sorting), offset, limit, look)


def page_of(shop: "Shop", kind: str, question: str, offset: int, limit: int, look: Callable[[], Looked]) -> Found:
    """A page of what was found for the question, or of what ``look`` finds: all names in their order, and whether they
    were dear. What was dear, or has another page, is remembered."""
    now = shop.clock.now()
    if offset > 0 and (page := shop.lists.remembered(kind, question, now, offset, limit)) is not None:
        return Found(*page)
    names, dear = look()
    if dear or offset + limit < len(names):
        shop.lists.remember(kind, question, names, now)
    return Found(names[offset : offset + limit], len(names))


def _narrowed(shop: "Shop", kind: search.Kind, query: search.Query) -> list[str] | None:
    """The names of all that the query can mean, where something finds them without reading every row."""
    if isinstance(query, search.AutoOrderQuery) and (query.auto_order_code or query.original_order_id):
        by_code, by_order = shop.auto_orders.oid_by_code, shop.auto_orders.oid_by_original_order
        code, order_id = query.auto_order_code, query.original_order_id
        oid = by_code(code) if code else by_order(order_id or "")
        return [] if oid is None else [str(oid)]
    for shape in search.shapes_asked(kind, query):
        names = shop.lists.shaped(kind, shape, MOST_SHAPED)
        if names is not None:
            return names
    return None
