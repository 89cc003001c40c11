"""How somebody likes to see a list: the columns of each screen, and named views of it. Everybody has their own.

A view is a search that is kept under a name: what it asks for is held against the search itself, so that every view
that was saved can be opened.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from chalicelib.domain import customer_search, search, wire
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.customers import Customer
from chalicelib.domain.drafts import problems_of
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Text100, Text200
from chalicelib.domain.items import Item
from chalicelib.domain.orders import Order
from chalicelib.domain.wire import Noun

Screen = Literal["auto_orders", "customers", "items", "orders"]
SCREENS: tuple[Screen, ...] = get_args(Screen)

# More than these nobody finds again in a menu, or across a table.
MOST_VIEWS = 20
MOST_COLUMNS = 60
MOST_FILTERS = 40


class ViewFilter(Noun):
    """A criterion as the search takes it as a parameter: ``billing_last_name``, ``Lee*``."""

    name: Text100
    value: Text200


class View(Noun):
    """``sort`` is what ``_sort`` takes."""

    name: Annotated[str, Meta(min_length=1, max_length=50)]
    columns: Annotated[list[Text100], Meta(max_length=MOST_COLUMNS)] | None = None
    filters: Annotated[list[ViewFilter], Meta(max_length=MOST_FILTERS)] | None = None
    sort: Text200 | None = None


class ScreenViews(Noun):
    """What one person keeps of one screen. ``columns`` are those of the list where no view is open; a column is a field
    of the noun, or one of a block: ``billing.last_name``."""

    read_only: ClassVar[frozenset[str]] = frozenset({"owner", "screen"})

    columns: Annotated[list[Text100], Meta(max_length=MOST_COLUMNS)] | None = None
    owner: Text200 | None = None
    screen: Screen | None = None
    views: Annotated[list[View], Meta(max_length=MOST_VIEWS)] | None = None


NOUNS: dict[Screen, type[Noun]] = {"auto_orders": AutoOrder, "customers": Customer, "items": Item, "orders": Order}
# Dates of a view are only held against their form, so any zone will do.
ANY_ZONE = "UTC"


def validate(kept: ScreenViews) -> None:
    """Raises Invalid with all problems: a column, a criterion or an order that the screen does not know, a name that
    two views have."""
    screen = kept.screen or "customers"
    problems = list(_of_columns(screen, kept.columns, "/columns"))
    names: set[str] = set()
    for position, view in enumerate(kept.views or []):
        pointer = f"/views/{position}"
        if view.name.casefold() in names:
            problems.append(Problem(pointer=f"{pointer}/name", code="duplicate", message="another view has that name"))
        names.add(view.name.casefold())
        problems += _of_columns(screen, view.columns, f"{pointer}/columns")
        problems += _of_search(screen, view, pointer)
    if problems:
        raise Invalid(problems[: wire.MAXIMUM_PROBLEMS])


def _of_columns(screen: Screen, columns: list[str] | None, pointer: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for position, column in enumerate(columns or []):
        where = f"{pointer}/{position}"
        if not _is_field(NOUNS[screen], column):
            message = f"'{column}' is no field of what {screen.replace('_', ' ')} show"
            yield Problem(pointer=where, code="unknown_field", message=message)
        elif column in seen:
            yield Problem(pointer=where, code="duplicate", message="stands there twice")
        seen.add(column)


def _is_field(noun: Any, column: str) -> bool:
    """Whether the path of a column leads to a field that may be shown."""
    name, _, rest = column.partition(".")
    hidden = {*getattr(noun, "own", ()), *getattr(noun, "write_only", ())}
    if name not in noun.__struct_fields__ or name in hidden:
        return False
    return not rest or any(_is_field(one, rest) for one in _structs(_hints(noun)[name]))


@cache
def _hints(noun: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(noun)


def _structs(hint: Any) -> Iterator[type[msgspec.Struct]]:
    """The nouns that a field's type speaks of."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for inner in get_args(hint):
        yield from _structs(inner)


def _of_search(screen: Screen, view: View, pointer: str) -> Iterator[Problem]:
    filters: dict[str, str] = {}
    for position, entry in enumerate(view.filters or []):
        if entry.name in filters:
            yield Problem(pointer=f"{pointer}/filters/{position}", code="duplicate", message="stands there twice")
        filters[entry.name] = entry.value
    for found in problems_of(lambda: _searched(screen, filters)):
        yield Problem(pointer=f"{pointer}/filters{found.pointer}", code=found.code, message=found.message)
    for found in problems_of(lambda: _sorted(screen, view.sort)):
        yield Problem(pointer=f"{pointer}/sort", code=found.code, message=found.message)


KINDS: dict[Screen, tuple[search.Kind, Callable[[Mapping[str, str]], Any]]] = {
    "auto_orders": ("auto_order", search.auto_order_query_of),
    "items": ("item", search.item_query_of),
    "orders": ("order", search.order_query_of),
}


def _searched(screen: Screen, filters: Mapping[str, str]) -> None:
    if screen == "customers":
        customer_search.matcher(customer_search.customer_query_of(filters), ANY_ZONE)
        return
    kind, query_of = KINDS[screen]
    search.matcher(kind, query_of(filters), ANY_ZONE)


def _sorted(screen: Screen, text: str | None) -> None:
    if screen == "customers":
        customer_search.sorting(text)
        return
    search.sorting(KINDS[screen][0], text)
