"""Finding customers over HTTP: by criteria with wildcards, and by words."""

from typing import Any

from chalicelib.domain import customer_search
from chalicelib.domain.customer_search import CustomerQuery
from chalicelib.domain.customers import Customer
from chalicelib.flows import show
from chalicelib.flows.find_customers import find_customers
from chalicelib.handlers.http import Ask, Door, many

door = Door("customer_search")

PAGING = ("_limit", "_offset", "_sort", "_expand")
SINCE = "_since"


@door(
    "GET",
    "/customer/customers",
    "customer_read",
    summary="Retrieve customers; a * stands for the rest of a text",
    gives=list[Customer],
    query=PAGING,
)
def get_customers(ask: Ask) -> dict[str, Any]:
    return _found(ask, customer_search.customer_query_of(ask.query))


@door(
    "POST",
    "/customer/customers/query",
    "customer_read",
    summary="Retrieve customers by query; a * stands for the rest of a text",
    takes=CustomerQuery,
    gives=list[Customer],
    query=(SINCE, *PAGING),
)
def get_customers_by_query(ask: Ask) -> dict[str, Any]:
    ask.only(SINCE, *PAGING)
    return _found(ask, customer_search.customer_query(ask.raw(), ask.query.get(SINCE)))


@door(
    "GET",
    "/customer/customers/search",
    "customer_read",
    summary="Search for customers by the words that one remembers of them",
    gives=list[Customer],
    query=("search_string", *customer_search.WITH_WORDS, *PAGING),
)
def search_customers(ask: Ask) -> dict[str, Any]:
    return _found(ask, customer_search.words_query_of(ask.query))


def _found(ask: Ask, query: CustomerQuery) -> dict[str, Any]:
    limit, offset = ask.page()
    found = find_customers(ask.shop, query, ask.query.get("_sort"), offset, limit)
    rendered = show.customers(ask.shop, [int(name) for name in found.names], ask.expand, ask.form)
    return many("customers", rendered, limit=limit, offset=offset, total=found.total)
