"""Auto orders over HTTP: read, search, change, pause, bill by hand; and why, and what comes."""

from typing import Any

from chalicelib import wiring
from chalicelib.domain import search
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.dates import Instant, parse_instant
from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.flows import edit, explain, show
from chalicelib.flows.find import find
from chalicelib.flows.rebill import rebill, too_close
from chalicelib.flows.tell import told_now
from chalicelib.handlers.http import Ask, Door, many, oid_of, one

door = Door("auto_orders")

NOUN = "auto order"
EXPANSIONS = ("_expand",)
PAGING = ("_limit", "_offset", "_sort", "_expand")
ONE = "/auto_order/auto_orders/{auto_order_oid}"


def _answer(ask: Ask, oid: int) -> dict[str, Any]:
    rendered, version = show.auto_order(ask.shop, oid, ask.expand, ask.form)
    ask.etag(version)
    return one("auto_order", rendered)


@door("GET", ONE, "auto_order_read", summary="Retrieve an auto order", gives=AutoOrder, query=EXPANSIONS)
def get_auto_order(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    return _answer(ask, oid_of(auto_order_oid, NOUN))


@door(
    "GET",
    "/auto_order/auto_orders/code/{auto_order_code}",
    "auto_order_read",
    summary="Retrieve an auto order by its code",
    gives=AutoOrder,
    query=EXPANSIONS,
)
def get_auto_order_by_code(ask: Ask, auto_order_code: str) -> dict[str, Any]:
    oid = ask.shop.auto_orders.oid_by_code(auto_order_code)
    if oid is None:
        raise NotFound(NOUN, auto_order_code)
    return _answer(ask, oid)


@door(
    "GET",
    "/auto_order/auto_orders/reference_order_id/{reference_order_id}",
    "auto_order_read",
    summary="Retrieve an auto order by its original order",
    gives=AutoOrder,
    query=EXPANSIONS,
)
def get_auto_order_by_reference_order_id(ask: Ask, reference_order_id: str) -> dict[str, Any]:
    oid = ask.shop.auto_orders.oid_by_original_order(reference_order_id)
    if oid is None:
        raise NotFound(NOUN, reference_order_id)
    return _answer(ask, oid)


@door(
    "GET",
    "/auto_order/auto_orders",
    "auto_order_read",
    summary="Retrieve auto orders",
    gives=list[AutoOrder],
    query=PAGING,
)
def get_auto_orders(ask: Ask) -> dict[str, Any]:
    return _found(ask, search.auto_order_query_of(ask.query))


@door(
    "POST",
    "/auto_order/auto_orders/query",
    "auto_order_read",
    summary="Retrieve auto orders by query",
    takes=search.AutoOrderQuery,
    gives=list[AutoOrder],
    query=PAGING,
)
def get_auto_orders_by_query(ask: Ask) -> dict[str, Any]:
    return _found(ask, search.auto_order_query(ask.raw()))


def _found(ask: Ask, query: search.AutoOrderQuery) -> dict[str, Any]:
    limit, offset = ask.page()
    found = find(ask.shop, "auto_order", query, ask.query.get("_sort", ""), offset, limit)
    rendered = show.auto_orders(ask.shop, [int(name) for name in found.names], ask.expand, ask.form)
    return many("auto_orders", rendered, limit=limit, offset=offset, total=found.total)


@door(
    "PUT",
    ONE,
    "auto_order_write",
    summary="Update an auto order: only the keys present change, arrays whole",
    takes=AutoOrder,
    gives=AutoOrder,
    query=("validate_original_order", *EXPANSIONS),
)
def update_auto_order(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    oid = oid_of(auto_order_oid, NOUN)
    told_now(ask.shop, edit.update(ask.shop, oid, ask.raw(), version=ask.if_match()))
    return _answer(ask, oid)


@door(
    "PUT",
    ONE + "/pause",
    "auto_order_write",
    summary="Pause every item of an auto order",
    takes=AutoOrder,
    gives=AutoOrder,
    query=EXPANSIONS,
)
def pause_auto_order(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    oid = oid_of(auto_order_oid, NOUN)
    told_now(ask.shop, edit.pause(ask.shop, oid))
    return _answer(ask, oid)


@door(
    "POST",
    ONE + "/rebill",
    "auto_order_write",
    summary="Attempt a failed rebill now; refused within 24 hours of a billing or 5 minutes before a scheduled one",
    query=EXPANSIONS,
)
def attempt_auto_order_rebill(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    oid = oid_of(auto_order_oid, NOUN)
    _, head = ask.shop.auto_orders.read(oid)
    if reason := too_close(head, ask.shop.clock.now()):
        raise Invalid.one("", "too_close", reason)
    billed = rebill(ask.shop, oid, by_hand=True)
    answer = _answer(ask, oid)
    answer["rebill_attempted"] = billed.attempted
    answer["rebill_success"] = billed.success
    if billed.order_id:
        answer["rebill_order_id"] = billed.order_id
    if billed.failure_reason:
        answer["failure_reason"] = billed.failure_reason
    return answer


@door(
    "GET",
    ONE + "/explain",
    "auto_order_read",
    summary="Why: what would be done with the auto order at an instant, rule by rule, each with its setting",
    query=("at",),
)
def explain_auto_order(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    return one("explanation", explain.explained(ask.shop, oid_of(auto_order_oid, NOUN), _instant(ask, "at")))


@door(
    "POST",
    "/auto_order/rehearsal",
    "auto_order_read",
    summary="Everything that would be billed or held until an instant, with totals and a digest; nothing is charged",
    query=("until",),
)
def rehearse(ask: Ask) -> dict[str, Any]:
    until = _instant(ask, "until")
    if until is None:
        raise Invalid.one("/until", "required", "until when; ISO 8601 with an offset")
    return one("rehearsal", explain.rehearsed(ask.shop, wiring.house().backroom(ask.time_left), until))


def _instant(ask: Ask, name: str) -> Instant | None:
    text = ask.query.get(name)
    if text is None:
        return None
    try:
        # A plus sign that was not percent-encoded arrives as a space.
        return parse_instant(text.replace(" ", "+"))
    except ValueError as error:
        raise Invalid.one(f"/{name}", "invalid", str(error)) from None
