"""Auto orders over HTTP: read, search, change, pause, bill by hand; and why, and what comes."""

from typing import Any

from chalicelib import wiring
from chalicelib.domain import search
from chalicelib.domain.actions import AutoOrderActionRequest
from chalicelib.domain.auto_orders import AutoOrder, AutoOrderAddonItem, AutoOrderEmail, AutoOrderProperty
from chalicelib.domain.batches import AutoOrderQueryBatch, AutoOrdersRequest, Batch, wanted_oids
from chalicelib.domain.consolidation import AutoOrderConsolidate
from chalicelib.domain.dates import Instant, parse_instant
from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.domain.item_cancels import AutoOrderItemCancelRequest
from chalicelib.domain.payment_updates import AutoOrderPaymentUpdateRequest
from chalicelib.domain.settings import AutoOrderCancelReason, AutoOrderProcessing
from chalicelib.domain.timeline import TimelineEntry
from chalicelib.domain.wire import Noun, noun, whole
from chalicelib.flows import act, batches, edit, explain, show
from chalicelib.flows.consolidate import consolidate
from chalicelib.flows.end_item import end_item
from chalicelib.flows.establish import establish
from chalicelib.flows.find import find
from chalicelib.flows.rebill import Rebilled, rebill, too_close
from chalicelib.flows.tell import told_now
from chalicelib.flows.timeline import timeline_of
from chalicelib.flows.travel import NEXT_RUN
from chalicelib.flows.update_payment import update_payment
from chalicelib.handlers import cursors
from chalicelib.handlers.http import Ask, Door, many, oid_of, one

door = Door("auto_orders")

NOUN = "auto order"
EXPANSIONS = ("_expand",)
PAGING = ("_limit", "_offset", "_sort", "_expand")
ONE = "/auto_order/auto_orders/{auto_order_oid}"
ITEM = ONE + "/items/{auto_order_item_oid}"
BY_ORDER = "/auto_order/auto_orders/reference_order_id/{reference_order_id}"
MANY = "/auto_order/auto_orders/batch"
DEFAULT_NEXT_ORDERS = 4


class AutoOrderPropertiesUpdateRequest(Noun):
    """All properties as they are to be: the list replaces the one that stands."""

    properties: list[AutoOrderProperty]


class AutoOrderAddonItemsUpdateRequest(Noun):
    """All add-ons as they are to be: the list replaces the one that stands."""

    add_on_items: list[AutoOrderAddonItem]


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
    BY_ORDER,
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
    return _changed(ask, oid, ask.raw())


def _changed(ask: Ask, oid: int, raw: Any) -> dict[str, Any]:
    told_now(ask.shop, edit.update(ask.shop, oid, raw, actor=ask.actor, version=ask.if_match()))
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
    told_now(ask.shop, edit.pause(ask.shop, oid, actor=ask.actor))
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
    edit.note_rebill_asked(ask.shop, oid, head, actor=ask.actor)
    return _billed(ask, oid, rebill(ask.shop, oid, by_hand=True))


def _billed(ask: Ask, oid: int, billed: Rebilled) -> dict[str, Any]:
    answer = _answer(ask, oid)
    answer["rebill_attempted"] = billed.attempted
    answer["rebill_success"] = billed.success
    if billed.order_id:
        answer["rebill_order_id"] = billed.order_id
    if billed.failure_reason:
        answer["failure_reason"] = billed.failure_reason
    return answer


@door(
    "PUT",
    ONE + "/payment",
    "auto_order_write",
    summary="Replace the card by a token's, reactivate what declines disabled, and with attempt_rebill bill at once; "
    "the same token again charges nothing more",
    takes=AutoOrderPaymentUpdateRequest,
    query=EXPANSIONS,
)
def update_auto_order_payment(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    oid = oid_of(auto_order_oid, NOUN)
    return _billed(ask, oid, update_payment(ask.shop, oid, ask.raw(), actor=ask.actor))


@door(
    "POST",
    ONE + "/reset_attempts",
    "auto_order_write",
    summary="Count the declined attempts from nought again (credit_card_attempt); the date of the next one stays",
    gives=AutoOrder,
    query=EXPANSIONS,
)
def reset_auto_order_attempts(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    oid = oid_of(auto_order_oid, NOUN)
    told_now(ask.shop, edit.reset_attempts(ask.shop, oid, actor=ask.actor))
    return _answer(ask, oid)


@door(
    "GET",
    ONE + "/update_billing_url",
    "auto_order_read",
    summary="Make a link by which the customer can set another card, good for 30 days",
    gives={"update_billing_url": str},
)
def get_auto_order_update_billing_url(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    oid = oid_of(auto_order_oid, NOUN)
    ask.shop.auto_orders.read(oid)
    return one("update_billing_url", show.update_billing_url(ask.shop, oid))


@door(
    "GET",
    ONE + "/emails",
    "auto_order_read",
    summary="Retrieve the mails about an auto order and its latest orders, those that were kept back with their reason",
    gives={"emails": list[AutoOrderEmail]},
)
def get_auto_order_emails(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    kept, head = ask.shop.auto_orders.read(oid_of(auto_order_oid, NOUN))
    return one("emails", whole(show.emails(ask.shop, kept.noun, head), ask.form))


@door(
    "GET",
    "/auto_order/auto_orders/cancel_reasons",
    "auto_order_read",
    summary="Retrieve the reasons of which one must be named to cancel",
    gives={"cancelReasons": list[AutoOrderCancelReason]},
)
def get_auto_order_cancel_reasons(ask: Ask) -> dict[str, Any]:
    reasons = ask.shop.configuration.section(AutoOrderProcessing).noun.cancel_reasons or []
    return one("cancelReasons", whole(reasons, ask.form))


# --- parts of it -----------------------------------------------------------------------------------------------------


@door(
    "PUT",
    ONE + "/properties",
    "auto_order_write",
    summary="Replace the properties of an auto order",
    takes=AutoOrderPropertiesUpdateRequest,
    gives=AutoOrder,
    query=EXPANSIONS,
)
def update_auto_order_properties(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    noun(ask.raw(), AutoOrderPropertiesUpdateRequest)
    return _changed(ask, oid_of(auto_order_oid, NOUN), {"properties": ask.raw()["properties"]})


@door(
    "PUT",
    ITEM + "/properties",
    "auto_order_write",
    summary="Replace the properties of an auto order's item",
    takes=AutoOrderPropertiesUpdateRequest,
    gives=AutoOrder,
    query=EXPANSIONS,
)
def update_auto_order_item_properties(ask: Ask, auto_order_oid: str, auto_order_item_oid: str) -> dict[str, Any]:
    noun(ask.raw(), AutoOrderPropertiesUpdateRequest)
    return _item_changed(ask, auto_order_oid, auto_order_item_oid, "properties", "properties")


@door(
    "PUT",
    ITEM + "/add_ons",
    "auto_order_write",
    summary="Replace the add-ons of an auto order's item",
    takes=AutoOrderAddonItemsUpdateRequest,
    gives=AutoOrder,
    query=EXPANSIONS,
)
def update_auto_order_item_add_ons(ask: Ask, auto_order_oid: str, auto_order_item_oid: str) -> dict[str, Any]:
    noun(ask.raw(), AutoOrderAddonItemsUpdateRequest)
    return _item_changed(ask, auto_order_oid, auto_order_item_oid, "add_ons", "add_on_items")


def _item_changed(ask: Ask, auto_order_oid: str, auto_order_item_oid: str, field: str, said: str) -> dict[str, Any]:
    oid, item_oid = oid_of(auto_order_oid, NOUN), oid_of(auto_order_item_oid, "auto order item")
    told_now(ask.shop, edit.update_item(ask.shop, oid, item_oid, field, said, ask.raw()[said], actor=ask.actor))
    return _answer(ask, oid)


@door(
    "POST",
    BY_ORDER + "/items/original/{original_item_id}/cancel",
    "auto_order_write",
    summary="End an item (mode end, the default) or take it away (mode remove), and append others in its place",
    takes=AutoOrderItemCancelRequest,
    gives=AutoOrder,
    query=EXPANSIONS,
)
def cancel_auto_order_item_by_reference_order_id(
    ask: Ask, reference_order_id: str, original_item_id: str
) -> dict[str, Any]:
    raw = ask.raw() if ask.has_body() else {}
    oid, event_id = end_item(ask.shop, reference_order_id, original_item_id, raw, actor=ask.actor)
    told_now(ask.shop, event_id)
    return _answer(ask, oid)


# --- made, and put together ------------------------------------------------------------------------------------------


@door(
    "POST",
    BY_ORDER,
    "auto_order_write",
    summary="Establish an auto order without items on a paid order, less than 60 days old and paid by card",
    gives=AutoOrder,
    query=EXPANSIONS,
)
def establish_auto_order_by_reference_order_id(ask: Ask, reference_order_id: str) -> dict[str, Any]:
    oid, event_id = establish(ask.shop, reference_order_id, actor=ask.actor)
    told_now(ask.shop, event_id)
    return _answer(ask, oid)


@door(
    "PUT",
    ONE + "/consolidate",
    "auto_order_write",
    summary="Move all items of up to 20 auto orders of the same customer to this one; those become merged",
    takes=AutoOrderConsolidate,
    gives=AutoOrder,
    query=EXPANSIONS,
)
def consolidate_auto_orders(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    oid = oid_of(auto_order_oid, NOUN)
    for event_id in consolidate(ask.shop, oid, ask.raw(), actor=ask.actor):
        told_now(ask.shop, event_id)
    return _answer(ask, oid)


# --- many at once ----------------------------------------------------------------------------------------------------


@door(
    "POST",
    MANY,
    "auto_order_read",
    summary="Retrieve up to 200 auto orders by their oids; those that do not exist are left out",
    takes=AutoOrderQueryBatch,
    gives=list[AutoOrder],
    query=EXPANSIONS,
)
def get_auto_orders_batch(ask: Ask) -> dict[str, Any]:
    return one("auto_orders", show.auto_orders(ask.shop, wanted_oids(ask.raw()), ask.expand, ask.form))


@door(
    "PUT",
    MANY,
    "auto_order_write",
    summary="Update up to 20 auto orders, all or none; with _async up to 100, one after the other (answers the batch)",
    takes=AutoOrdersRequest,
    query=("_async", "_placeholders", *EXPANSIONS),
)
def update_auto_orders_batch(ask: Ask) -> dict[str, Any]:
    ask.flag("_placeholders")
    if ask.flag("_async"):
        return one("batch", whole(batches.queue_many(ask.shop, ask.raw(), actor=ask.actor), ask.form))
    oids, events = batches.update_many(ask.shop, ask.raw(), actor=ask.actor)
    for event_id in events:
        told_now(ask.shop, event_id)
    return one("auto_orders", show.auto_orders(ask.shop, oids, ask.expand, ask.form))


@door(
    "GET",
    "/auto_order/batches/{batch_id}",
    "auto_order_read",
    summary="Retrieve how far an update of many auto orders has come, and what stood against any of them",
    gives=Batch,
)
def get_auto_order_batch(ask: Ask, batch_id: str) -> dict[str, Any]:
    return one("batch", whole(batches.batch(ask.shop, batch_id), ask.form))


@door(
    "POST",
    "/auto_order/actions",
    "auto_order_write",
    summary="Skip or move the next shipment of up to 20 auto orders, pause them, let them go on or cancel them, each "
    "with its own outcome; up to 100 with _async by the workers, or with dry_run only told",
    takes=AutoOrderActionRequest,
    gives=Batch,
    query=("dry_run", "_async"),
)
def act_on_auto_orders(ask: Ask) -> dict[str, Any]:
    if ask.flag("dry_run"):
        return one("batch", whole(act.look(ask.shop, ask.raw()), ask.form))
    if ask.flag("_async"):
        return one("batch", whole(batches.queue_actions(ask.shop, ask.raw(), actor=ask.actor), ask.form))
    done, events = act.act_now(ask.shop, ask.raw(), actor=ask.actor)
    for event_id in events:
        told_now(ask.shop, event_id)
    return one("batch", whole(done, ask.form))


# --- why, what was, and what comes -----------------------------------------------------------------------------------


@door(
    "GET",
    ONE + "/timeline",
    "auto_order_read",
    summary="Retrieve what happened to an auto order, the latest first: each change with who made it, before and "
    "after, and each decision of its periods with the rules that had a say",
    gives={"timeline": list[TimelineEntry]},
    query=("_limit", cursors.PARAMETER),
)
def get_auto_order_timeline(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    kept, head = ask.shop.auto_orders.read(oid_of(auto_order_oid, NOUN))
    limit, _ = ask.page()
    entries, cursor = timeline_of(ask.shop, kept.noun, head, limit, cursors.asked(ask))
    answer = one("timeline", whole(entries, ask.form))
    answer["metadata"].update(cursors.next_page(ask, cursor))
    return answer


@door(
    "GET",
    ONE + "/explain",
    "auto_order_read",
    summary="Why: what would be done with the auto order at an instant (or next_run), rule by rule, each with its "
    "setting",
    query=("at",),
)
def explain_auto_order(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    oid, next_run = oid_of(auto_order_oid, NOUN), ask.query.get("at") == NEXT_RUN
    at = None if next_run else _instant(ask, "at")
    return one("explanation", explain.explained(ask.shop, oid, at, next_run=next_run))


@door(
    "GET",
    ONE + "/next_orders",
    "auto_order_read",
    summary="The orders that an auto order makes next, 4 or _limit of them, with their totals; nothing is charged",
    query=("_limit",),
)
def get_auto_order_next_orders(ask: Ask, auto_order_oid: str) -> dict[str, Any]:
    most = min(ask.page()[0], explain.MOST_NEXT_ORDERS) if "_limit" in ask.query else DEFAULT_NEXT_ORDERS
    return one("next_orders", explain.next_orders(ask.shop, oid_of(auto_order_oid, NOUN), most))


@door(
    "POST",
    "/auto_order/rehearsal",
    "auto_order_read",
    summary="Everything that would be billed or held until an instant (not named: the end of the window that opens "
    "next), with totals and a digest; nothing is charged",
    query=("until",),
)
def rehearse(ask: Ask) -> dict[str, Any]:
    until = _instant(ask, "until") or explain.tonight(ask.shop)
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
