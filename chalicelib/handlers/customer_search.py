"""Finding customers over HTTP: by criteria with wildcards, and by words."""

from typing import Any
from urllib.parse import parse_qsl

from chalicelib.domain import customer_search
from chalicelib.domain.criteria import asked
from chalicelib.domain.customer_search import CustomerQuery, KeyValue, LookupRequest
from chalicelib.domain.customers import Customer
from chalicelib.domain.data_tables import DataTablesServerSideResponse, tree_of, wanted_of
from chalicelib.domain.errors import Invalid
from chalicelib.domain.wire import whole
from chalicelib.flows import show_profile
from chalicelib.flows.find import Found
from chalicelib.flows.find_customers import find_customers, values
from chalicelib.handlers.http import MAXIMUM_LIMIT, Ask, Door, many, one

door = Door("customer_search")

PAGING = ("_limit", "_offset", "_sort", "_expand")
SINCE = "_since"
# Fields of the plugin's form: each of the columns that a table may have takes six.
MOST_FIELDS = 1000


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


@door(
    "POST",
    "/customer/customers/dataTables",
    "customer_read",
    summary="Retrieve customers for the DataTables plugin: its form or JSON; bare, without the envelope",
    gives=DataTablesServerSideResponse,
    query=("_expand",),
)
def get_customers_for_data_tables(ask: Ask) -> dict[str, Any]:
    ask.only("_expand")
    body = ask.sent()
    wanted = wanted_of(ask.raw() if body.lstrip()[:1] in (b"{", b"[") else _form(body))
    limit = min(wanted.length or MAXIMUM_LIMIT, MAXIMUM_LIMIT)
    found, rendered = _shown(ask, wanted.query, wanted.sort, limit, wanted.start)
    # What is known of everybody is asked for as a later page is: mostly it is remembered.
    everybody = find_customers(ask.shop, CustomerQuery(), None, 1, 1) if asked(wanted.query) else found
    return {
        "data": rendered,
        "draw": wanted.draw,
        "recordsFiltered": found.total,
        "recordsTotal": everybody.total,
    }


def _form(body: bytes) -> dict[str, Any]:
    try:
        return tree_of(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise Invalid.one("", "malformed_form", f"is no form of at most {MOST_FIELDS} fields") from None


@door(
    "POST",
    "/customer/search",
    "customer_read",
    summary="Retrieve the values of a field that begin in a way: what a form offers while somebody types",
    takes=LookupRequest,
    gives={"values": list[KeyValue]},
)
def search_customer_profile_values(ask: Ask) -> dict[str, Any]:
    found = values(ask.shop, customer_search.lookup_request(ask.raw()))
    return one("values", whole(found, ask.form))


def _found(ask: Ask, query: CustomerQuery) -> dict[str, Any]:
    limit, offset = ask.page()
    found, rendered = _shown(ask, query, ask.query.get("_sort"), limit, offset)
    return many("customers", rendered, limit=limit, offset=offset, total=found.total)


def _shown(
    ask: Ask, query: CustomerQuery, sort: str | None, limit: int, offset: int
) -> tuple[Found, list[dict[str, Any]]]:
    computed = sorted({name.partition(".")[0] for name in ask.expand} & show_profile.COMPUTED)
    if computed and limit > show_profile.MOST_COMPUTED:
        message = f"may be {show_profile.MOST_COMPUTED} at most where {', '.join(computed)} are shown"
        raise Invalid.one("/_limit", "out_of_range", message)
    found = find_customers(ask.shop, query, sort, offset, limit)
    return found, show_profile.customers(ask.shop, [int(name) for name in found.names], ask.expand, ask.form)
