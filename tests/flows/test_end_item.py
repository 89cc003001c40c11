"""Ending an item by its original order: softly or for good, the right one, with what takes its place or not at all."""

from typing import Any

import pytest

from chalicelib.domain.auto_orders import AutoOrderItem
from chalicelib.domain.dates import parse_instant
from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.flows.end_item import end_item
from chalicelib.flows.update_payment import update_payment
from tests.worlds import World

TEA = {"original_item_id": "TEA", "original_quantity": 1, "frequency": "Monthly"}


def a_pair() -> tuple[World, int, str]:
    """Coffee every week and tea every month. Returns the auto order and its original order."""
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly", "TEA": "Monthly"})
    return world, oid, world.document(oid).original_order_id or ""


def item(world: World, oid: int, item_id: str) -> AutoOrderItem:
    return next(entry for entry in world.document(oid).items or [] if entry.original_item_id == item_id)


def refused(world: World, oid: int, item_id: str, raw: dict[str, Any]) -> dict[str, str]:
    order_id = world.document(oid).original_order_id or ""
    before = (world.head(oid), world.document(oid))
    with pytest.raises(Invalid) as found:
        end_item(world.shop, order_id, item_id, raw)
    assert (world.head(oid), world.document(oid)) == before
    return {problem.pointer: problem.code for problem in found.value.problems}


def billed(world: World, oid: int) -> list[str]:
    return [line.merchant_item_id or "" for order in world.rebills(oid) for line in order.items or []]


def test_without_a_mode_it_ends_now_stays_for_the_reports_and_is_billed_no_more() -> None:
    world, oid, order_id = a_pair()
    world.travel(8)
    end_item(world.shop, order_id, "COFFEE", {})
    ended = item(world, oid, "COFFEE")
    assert (ended.no_order_after_dts, ended.cancel_dts) == (world.clock.now(), world.clock.now())
    world.travel(24)
    assert billed(world, oid) == ["COFFEE", "TEA"]


def test_an_item_whose_charge_is_being_tried_again_is_not_charged_after_its_end() -> None:
    world, oid, order_id = a_pair()
    update_payment(world.shop, oid, {"card_number_token": world.card("4000000000000002")})
    world.travel(8)
    assert world.head(oid).round == 1
    posts = world.sandbox.posts()
    end_item(world.shop, order_id, "COFFEE", {"mode": "end"})
    world.travel(10)
    head = world.head(oid)
    assert (world.sandbox.posts(), head.round, head.state.next_attempt) == (posts, 0, None)


def test_a_date_of_its_own_lets_it_run_until_then() -> None:
    world, oid, order_id = a_pair()
    end_item(world.shop, order_id, "COFFEE", {"no_orders_after_dts": "2027-02-14T12:00:00-05:00"})
    assert item(world, oid, "COFFEE").no_order_after_dts == parse_instant("2027-02-14T12:00:00-05:00")
    world.travel(25)
    assert billed(world, oid) == ["COFFEE", "COFFEE"]


def test_removed_it_is_gone_and_what_is_appended_takes_its_place_even_where_it_is_the_same() -> None:
    world, oid, order_id = a_pair()
    old = item(world, oid, "TEA").auto_order_item_oid
    end_item(world.shop, order_id, "TEA", {"mode": "remove", "append_items": [TEA]})
    new = item(world, oid, "TEA").auto_order_item_oid
    assert old != new
    assert str(old) not in world.head(oid).state.items
    end_item(world.shop, order_id, "TEA", {"mode": "remove", "append_items": [TEA]})
    assert item(world, oid, "TEA").auto_order_item_oid not in (old, new)
    assert len(world.document(oid).items or []) == 2


def test_what_cannot_be_appended_is_named_where_it_stands_and_nothing_is_ended() -> None:
    world, oid, _ = a_pair()
    raw = {"append_items": [TEA, {"original_item_id": "CAKE", "original_quantity": 1, "frequency": "Monthly"}]}
    assert refused(world, oid, "COFFEE", raw) == {"/append_items/1/original_item_id": "unknown"}
    assert refused(world, oid, "COFFEE", raw | {"mode": "remove"}) == {"/append_items/1/original_item_id": "unknown"}


def test_ending_what_has_ended_changes_nothing_and_takes_no_more_items() -> None:
    world, oid, order_id = a_pair()
    end_item(world.shop, order_id, "COFFEE", {})
    before = (world.head(oid), world.document(oid))
    world.clock.pass_(hours=1)
    assert end_item(world.shop, order_id, "COFFEE", {}) == (oid, None)
    assert (world.head(oid), world.document(oid)) == before
    assert refused(world, oid, "COFFEE", {"append_items": [TEA]}) == {"/append_items": "conflict"}


def test_of_several_items_of_one_id_the_oid_says_which() -> None:
    world, oid, order_id = a_pair()
    end_item(world.shop, order_id, "COFFEE", {"mode": "remove", "append_items": [TEA]})
    first, second = [entry.auto_order_item_oid for entry in world.document(oid).items or []]
    assert refused(world, oid, "TEA", {}) == {"/auto_order_item_oid": "required"}
    assert refused(world, oid, "COFFEE", {"auto_order_item_oid": second}) == {"/auto_order_item_oid": "conflict"}
    assert refused(world, oid, "TEA", {"auto_order_item_oid": 99}) == {"/auto_order_item_oid": "unknown"}
    end_item(world.shop, order_id, "TEA", {"auto_order_item_oid": second})
    ends = [entry.no_order_after_dts is not None for entry in world.document(oid).items or []]
    assert ends == [False, True]
    assert first != second


def test_modes_items_and_orders_that_are_none_are_refused() -> None:
    world, oid, order_id = a_pair()
    assert refused(world, oid, "TEA", {"mode": "pause"}) == {"/mode": "not_allowed_value"}
    dated = {"mode": "remove", "no_orders_after_dts": "2027-02-14T12:00:00-05:00"}
    assert refused(world, oid, "TEA", dated) == {"/no_orders_after_dts": "conflict"}
    for order, name in ((order_id, "CAKE"), ("DEMO-0", "TEA")):
        with pytest.raises(NotFound):
            end_item(world.shop, order, name, {})
