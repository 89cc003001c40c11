"""Finding: the first page asks the list rows, the pages after it are cut from what the first one found."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.domain import search
from chalicelib.domain.merchants import Merchant

if TYPE_CHECKING:
    from chalicelib.flows.ports import Shop


@dataclass(frozen=True)
class Found:
    """The names on one page, and how many the search found in all."""

    names: list[str]
    total: int


def find(shop: "Shop", kind: search.Kind, query: search.Query, sort: str | None, offset: int, limit: int) -> Found:
    """One page of what the query means, full unless it is the last; ``offset`` beyond the end finds nothing.

    A search from the beginning looks anew, so it sees what is new. Pages after the first come from the answer that it
    remembered, so nothing is seen twice or skipped while others write; when that has expired, it is looked up anew.
    Raises Invalid: a criterion, a date or a sort field that is not one.
    """
    sorting = search.sorting(kind, sort)
    question = search.question_of(query, sorting)
    now = shop.clock.now()
    if offset > 0 and (page := shop.lists.remembered(kind, question, now, offset, limit)) is not None:
        return Found(*page)
    meant = search.matcher(kind, query, shop.configuration.section(Merchant).noun.zone_name())
    rows = [(name, row) for name, row in shop.lists.rows(kind) if meant(row)]
    names = [name for name, _ in search.sort(kind, rows, sorting)]
    shop.lists.remember(kind, question, names, now)
    return Found(names[offset : offset + limit], len(names))
