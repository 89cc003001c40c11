"""Items over HTTP: the catalogue."""

from typing import Any

from chalicelib.domain import search
from chalicelib.domain.items import Item
from chalicelib.domain.wire import render
from chalicelib.flows import catalogue
from chalicelib.flows.find import find
from chalicelib.handlers.http import Ask, Door, many, oid_of, one

door = Door("items")

NOUN = "item"
ONE = "/item/items/{merchant_item_oid}"
# ``_placeholders`` asks for empty blocks in a form that edits items: taken, and nothing is left to fill in here.
EXPANSIONS = ("_expand", "_placeholders")
PAGING = ("parent_category_path", "_limit", "_offset", "_since", "_sort", *EXPANSIONS)


def _answer(ask: Ask, item: Item, version: int) -> dict[str, Any]:
    ask.etag(version)
    return one("item", render(item, ask.form, ask.expand))


@door("POST", "/item/items", "item_write", summary="Insert an item", takes=Item, gives=Item, query=EXPANSIONS)
def insert_item(ask: Ask) -> dict[str, Any]:
    return _answer(ask, *catalogue.insert_item(ask.shop, ask.raw()))


@door("GET", ONE, "item_read", summary="Retrieve an item", gives=Item, query=EXPANSIONS)
def get_item(ask: Ask, merchant_item_oid: str) -> dict[str, Any]:
    kept = catalogue.item_by_oid(ask.shop, oid_of(merchant_item_oid, NOUN))
    return _answer(ask, kept.noun, kept.version)


@door(
    "GET",
    "/item/items/merchant_item_id/{merchant_item_id}",
    "item_read",
    summary="Retrieve an item by its merchant_item_id",
    gives=Item,
    query=EXPANSIONS,
)
def get_item_by_merchant_item_id(ask: Ask, merchant_item_id: str) -> dict[str, Any]:
    kept = ask.shop.items.get(merchant_item_id)
    return _answer(ask, kept.noun, kept.version)


@door("GET", "/item/items", "item_read", summary="Retrieve items", gives=list[Item], query=PAGING)
def get_items(ask: Ask) -> dict[str, Any]:
    limit, offset = ask.page()
    found = find(ask.shop, "item", search.item_query_of(ask.query), ask.query.get("_sort", ""), offset, limit)
    items = [render(item, ask.form, ask.expand) for item in ask.shop.items.get_many(found.names)]
    return many("items", items, limit=limit, offset=offset, total=found.total)


@door(
    "PUT",
    ONE,
    "item_write",
    summary="Update an item: only the keys present change, arrays whole; merchant_item_id stays",
    takes=Item,
    gives=Item,
    query=EXPANSIONS,
)
def update_item(ask: Ask, merchant_item_oid: str) -> dict[str, Any]:
    oid = oid_of(merchant_item_oid, NOUN)
    return _answer(ask, *catalogue.update_item(ask.shop, oid, ask.raw(), version=ask.if_match()))


@door("DELETE", ONE, "item_write", summary="Delete an item")
def delete_item(ask: Ask, merchant_item_oid: str) -> None:
    catalogue.delete_item(ask.shop, oid_of(merchant_item_oid, NOUN), version=ask.if_match())
