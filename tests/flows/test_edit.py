"""Editing: the same request twice is one change, what is computed cannot be said, and each change is told."""

from typing import Any

import pytest

from chalicelib.domain import wire
from chalicelib.domain.errors import Invalid
from chalicelib.domain.timeline import TimelineEntry
from chalicelib.flows import edit
from chalicelib.flows.update_payment import update_payment
from tests.worlds import World

DECLINES = "4000000000000002"
TEA = {"original_item_id": "TEA", "original_quantity": 1, "frequency": "Weekly"}


def a_world(**rules: Any) -> tuple[World, int]:
    world = World().open(**rules)
    return world, world.subscribe({"COFFEE": "Weekly"})


def rows(world: World, oid: int, **changes: Any) -> list[dict[str, Any]]:
    """The items as a client has read them, changed."""
    return [{**wire.plain(row), **changes} for row in edit.standing(world.shop, oid).noun.items or []]


def refused(world: World, oid: int, raw: dict[str, Any]) -> dict[str, str]:
    before = (world.head(oid), world.document(oid))
    with pytest.raises(Invalid) as found:
        edit.update(world.shop, oid, raw)
    assert (world.head(oid), world.document(oid)) == before
    return {problem.pointer: problem.code for problem in found.value.problems}


def latest(world: World, oid: int) -> TimelineEntry:
    ((_, entry),) = world.shop.auto_orders.logs_before(oid, "", 1)
    return entry


def rowcount(world: World, oid: int) -> int:
    return len(world.shop.auto_orders.logs_before(oid, "", 100))


def a_retrying_one() -> tuple[World, int]:
    """Declined once, yesterday; to be tried again in two days."""
    world, oid = a_world()
    update_payment(world.shop, oid, {"card_number_token": world.card(DECLINES)})
    world.travel(8)
    assert world.head(oid).round == 1
    return world, oid


# --- taken back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "nothing"),
    [
        ("override_affiliate_id", 77, 0),
        ("rotating_transaction_gateway_code", "north", ""),
        ("cancel_after_next_x_orders", 3, 0),
        ("properties", [{"name": "a", "value": "b"}], []),
        ("add_ons", [{"item_id": "CUP"}], []),
    ],
)
def test_what_was_set_can_be_taken_back_and_null_says_nothing(name: str, value: Any, nothing: Any) -> None:
    world, oid = a_world()
    world.sell("CUP", "4.00")
    edit.update(world.shop, oid, {name: value})
    assert edit.update(world.shop, oid, {name: None}) is None
    assert edit.update(world.shop, oid, {name: nothing}) is not None
    assert not getattr(edit.standing(world.shop, oid).noun, name)
    (change,) = latest(world, oid).changes or []
    assert (change.field.partition("/")[0], change.after) == (name, None)
    assert edit.update(world.shop, oid, {name: nothing}) is None


def test_a_line_of_an_address_that_is_left_blank_is_gone_and_a_blank_shipping_address_is_none() -> None:
    world, oid = a_world()
    said = {"billing": {"address2": "Floor 2", "city": "Duluth"}, "shipping": {"city": "Athens", "country_code": "US"}}
    edit.update(world.shop, oid, {"original_order": said})
    blank = {"billing": {"address2": ""}, "shipping": {"city": "", "country_code": ""}}
    assert edit.update(world.shop, oid, {"original_order": blank}) is not None
    original = world.shop.orders.get(world.document(oid).original_order_id or "").noun
    assert original.billing is not None
    assert (original.billing.address2, original.billing.city) == (None, "Duluth")
    assert original.shipping is None or original.shipping.country_code is None
    assert edit.update(world.shop, oid, {"original_order": blank}) is None
    assert refused(world, oid, {"original_order": {"billing": {"country_code": "usa"}}}) == {
        "/original_order/billing/country_code": "out_of_range"
    }


# --- once and no more ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        {"enabled": False, "cancel_reason": "too much coffee", "canceled_by_user": "ops"},
        {"enabled": False},
        {"cancel_after_next_x_orders": 3},
        {"override_affiliate_id": 77},
        {"properties": [{"name": "a", "value": "b"}]},
        {"original_order": {"billing": {"city": "Duluth"}}},
        {"items": [{**TEA, "next_shipment_dts": "2027-03-01T00:00:00-05:00"}]},
    ],
)
def test_the_same_request_twice_is_one_change_one_row_and_one_event(raw: dict[str, Any]) -> None:
    world, oid = a_world()
    assert edit.update(world.shop, oid, raw) is not None
    before = (world.head(oid), world.shop.auto_orders.read(oid)[0], rowcount(world, oid), len(world.due("events")))
    world.clock.pass_(seconds=3)
    assert edit.update(world.shop, oid, raw) is None
    after = (world.head(oid), world.shop.auto_orders.read(oid)[0], rowcount(world, oid), len(world.due("events")))
    assert after == before
    assert before[2] == 2


def test_what_a_client_has_read_can_be_sent_back_whole_and_changes_nothing() -> None:
    world, oid = a_world()
    world.travel(8)
    noun = edit.standing(world.shop, oid).noun
    original = wire.plain(world.shop.orders.get(noun.original_order_id or "").noun)
    shown = {name: original[name] for name in ("billing", "shipping", "order_id", "current_stage", "items", "summary")}
    lists = {"logs": [{"log_message": "x"}], "emails": [], "rebill_orders": [{"order_id": "X"}], "management": {}}
    assert edit.update(world.shop, oid, {**wire.plain(noun), **lists, "original_order": shown}) is None


def test_a_new_item_in_a_request_that_comes_twice_stays_the_same_item_even_where_it_was_billed_in_between() -> None:
    world, oid = a_world()
    raw = {"items": [*rows(world, oid), {**TEA, "next_shipment_dts": "2027-02-01T00:00:00-05:00"}]}
    edit.update(world.shop, oid, raw)
    tea = world.document(oid).items or []
    edit.update(world.shop, oid, raw)
    assert world.document(oid).items == tea
    world.travel(1)
    assert len(world.rebills(oid)) == 1
    edit.update(world.shop, oid, raw)
    world.travel(1)
    assert len(world.rebills(oid)) == 1
    assert world.document(oid).items == tea


def test_two_new_items_that_say_the_same_are_two_items_and_stay_two() -> None:
    world, oid = a_world()
    raw = {"items": [*rows(world, oid), TEA, TEA]}
    edit.update(world.shop, oid, raw)
    oids = [entry.auto_order_item_oid for entry in world.document(oid).items or []]
    assert len(set(oids)) == 3
    edit.update(world.shop, oid, raw)
    assert [entry.auto_order_item_oid for entry in world.document(oid).items or []] == oids


def test_an_item_of_the_original_order_is_replaced_by_a_new_one_that_says_the_same() -> None:
    world, oid = a_world()
    (old,) = world.document(oid).items or []
    edit.update(world.shop, oid, {"items": [{**TEA, "original_item_id": "COFFEE"}]})
    (new,) = world.document(oid).items or []
    assert new.auto_order_item_oid != old.auto_order_item_oid


# --- what cannot be said ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("life_time_value", 1000),
        ("rebill_value", 1000),
        ("next_item_id", "TEA"),
        ("calculated_next_shipment_dts", "2027-05-01T00:00:00-04:00"),
        ("first_order_dts", "2020-05-01T00:00:00-04:00"),
    ],
)
def test_what_follows_from_other_fields_cannot_be_set(name: str, value: Any) -> None:
    world, oid = a_world()
    assert refused(world, oid, {"items": rows(world, oid, **{name: value})}) == {f"/items/0/{name}": "read_only"}


def test_the_next_attempt_can_be_moved_while_one_waits_and_not_into_the_past() -> None:
    world, oid = a_retrying_one()
    assert refused(world, oid, {"next_attempt": "2027-02-07T12:00:00-05:00"}) == {"/next_attempt": "past_date"}
    edit.update(world.shop, oid, {"next_attempt": "2027-03-01T09:00:00-05:00"})
    assert str(world.head(oid).due_dts) == "2027-03-01T14:00:00Z"
    posts = world.sandbox.posts()
    world.travel(20)
    assert world.sandbox.posts() == posts
    world.travel(1)
    assert world.sandbox.posts() == posts + 1


def test_where_no_attempt_waits_there_is_none_to_be_moved() -> None:
    world, oid = a_world()
    assert refused(world, oid, {"next_attempt": "2027-02-03T00:00:00-05:00"}) == {"/next_attempt": "not_available"}


def test_attempts_are_counted_from_nought_again_only_where_that_is_asked_for() -> None:
    world, oid = a_retrying_one()
    before = world.head(oid)
    assert refused(world, oid, {"credit_card_attempt": 0}) == {"/credit_card_attempt": "stale"}
    assert edit.reset_attempts(world.shop, oid, actor="key ops") is not None
    head = world.head(oid)
    assert (head.round, head.state.next_attempt, head.due_dts) == (0, before.state.next_attempt, before.due_dts)
    assert [(c.field, c.before, c.after) for c in latest(world, oid).changes or []] == [
        ("credit_card_attempt", "1", "0")
    ]
    assert edit.reset_attempts(world.shop, oid) is None
    posts = world.sandbox.posts()
    world.travel(10)
    assert (world.sandbox.posts() - posts, world.head(oid).status) == (3, "disabled")


def test_a_run_whose_attempts_were_reset_and_that_loses_its_items_closes() -> None:
    world, oid = a_retrying_one()
    edit.reset_attempts(world.shop, oid)
    edit.pause(world.shop, oid)
    run = world.head(oid).run
    world.travel(3)
    head = world.head(oid)
    assert (head.run, head.state.next_attempt) == (run + 1, None)
    assert latest(world, oid).kind == "run_closed"


# --- what is told ----------------------------------------------------------------------------------------------------


def test_each_change_is_told_with_who_made_it_and_what_stood_there_before() -> None:
    world, oid = a_world()
    (item,) = world.document(oid).items or []
    at = f"items/{item.auto_order_item_oid}"
    items = rows(world, oid, frequency="Monthly", arbitrary_unit_cost=0, next_shipment_dts="2027-02-09T00:00:00-05:00")
    raw = {
        "items": [*items, TEA],
        "override_affiliate_id": 7,
        "original_order": {"billing": {"city": "Duluth", "email": "ada@example.org"}},
    }
    edit.update(world.shop, oid, raw, actor="key ops")
    entry = latest(world, oid)
    new = (world.document(oid).items or [])[1].auto_order_item_oid
    assert (entry.kind, entry.actor) == ("edited", "key ops")
    assert {c.field: (c.before, c.after) for c in entry.changes or []} == {
        "override_affiliate_id": (None, "7"),
        f"{at}/frequency": ("Weekly", "Monthly"),
        f"{at}/arbitrary_unit_cost": (None, "0"),
        f"{at}/next_shipment_dts": ("2027-02-07T00:00:00-05:00", "2027-02-09T00:00:00-05:00"),
        f"items/{new}": (None, "TEA"),
        "original_order/billing/city": (None, "Duluth"),
        "original_order/billing/email": ("ada@example.com", "ada@example.org"),
    }
    assert "frequency: Weekly → Monthly" in (entry.log_message or "")
    assert "(by key ops)" in (entry.log_message or "")


def test_a_cancel_a_disable_and_a_restart_are_called_so_and_carry_their_reason() -> None:
    world, oid = a_world()
    edit.update(world.shop, oid, {"enabled": False})
    assert latest(world, oid).kind == "disabled"
    world.clock.pass_(seconds=1)
    edit.update(world.shop, oid, {"enabled": True}, actor="key ops")
    assert (latest(world, oid).kind, latest(world, oid).actor) == ("enabled", "key ops")
    world.clock.pass_(seconds=1)
    edit.update(world.shop, oid, {"enabled": False, "cancel_reason": "moving", "canceled_by_user": "customer"})
    entry = latest(world, oid)
    assert (entry.kind, entry.reason) == ("canceled", "moving")
    assert (entry.log_message or "").startswith("Canceled by customer: moving")
    assert ("status", "active", "canceled") in [(c.field, c.before, c.after) for c in entry.changes or []]


def test_an_edit_of_a_hundred_fields_tells_forty_and_how_many_more() -> None:
    world, oid = a_world()
    many = [{**TEA, "options": [{"label": "size", "value": str(number)}]} for number in range(60)]
    edit.update(world.shop, oid, {"items": [*rows(world, oid), *many]})
    entry = latest(world, oid)
    assert len(entry.changes or []) == 40
    assert len(entry.log_message or "") <= 1024


def test_a_long_value_is_told_by_its_beginning() -> None:
    world, oid = a_world()
    edit.update(world.shop, oid, {"properties": [{"name": "note", "value": "x" * 3000}]})
    (change,) = latest(world, oid).changes or []
    assert len(change.after or "") == 200
    assert (world.document(oid).properties or [])[0].value == "x" * 3000
