"""Many edits in one request: all thought through before the first is written, and those for later made once each."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from chalicelib.domain.batches import GIVEN_UP_SECONDS, Batch, wanted_oids
from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.domain.fields import LARGEST_OID
from chalicelib.domain.settings import AutoOrderCancelReason
from chalicelib.flows import edit
from chalicelib.flows.batches import batch, make, queue_many, update_many
from chalicelib.flows.sweep import sweep
from tests.worlds import World


def some(number: int) -> tuple[World, list[int]]:
    world, chance = World().open(), Random(7)
    # Oids that count up make codes that come again after thirty.
    world.house.oids = lambda: iter(lambda: chance.randrange(1, LARGEST_OID), 0)
    return world, [world.subscribe() for _ in range(number)]


def tagged(oids: list[int], value: str = "x") -> dict[str, Any]:
    return {"autoOrders": [{"auto_order_oid": oid, "properties": [{"name": "tag", "value": value}]} for oid in oids]}


def tags(world: World, oids: list[int]) -> list[str]:
    return [
        (world.document(oid).properties or [])[0].value or "" if world.document(oid).properties else "" for oid in oids
    ]


def refused(world: World, raw: Any, *, later: bool = False) -> dict[str, str]:
    with pytest.raises(Invalid) as found:
        (queue_many if later else update_many)(world.shop, raw)
    assert world.queue.take() == []
    return {problem.pointer: problem.code for problem in found.value.problems}


def work(world: World, messages: list[tuple[str, dict[str, str]]]) -> None:
    for queue, message in messages:
        assert (queue, message["kind"]) == ("rebill", "edit")
        make(world.shop, message["id"])


def counts(found: Batch) -> tuple[int | None, ...]:
    return found.number_of_auto_orders, found.number_waiting, found.number_done, found.number_refused


def test_twenty_are_changed_at_once_and_the_same_again_changes_nothing() -> None:
    world, oids = some(20)
    done, events = update_many(world.shop, tagged(oids))
    assert (done, len(events), tags(world, oids)) == (oids, 20, ["x"] * 20)
    heads = [world.head(oid) for oid in oids]
    assert update_many(world.shop, tagged(oids)) == (oids, [])
    assert [world.head(oid) for oid in oids] == heads


def test_where_one_breaks_a_rule_none_is_changed_and_all_that_is_wrong_is_named() -> None:
    world, oids = some(3)
    raw = tagged([*oids, 99])
    raw["autoOrders"][1]["items"] = [{"original_item_id": "CAKE", "original_quantity": 1, "frequency": "Monthly"}]
    raw["autoOrders"][2]["next_attempt"] = "2027-03-01T00:00:00-05:00"
    for later in (False, True):
        assert refused(world, raw, later=later) == {
            "/autoOrders/1/items/0/original_item_id": "unknown",
            "/autoOrders/2/next_attempt": "not_available",
            "/autoOrders/3/auto_order_oid": "unknown",
        }
    assert tags(world, oids) == ["", "", ""]


def test_each_is_named_once() -> None:
    world, (oid,) = some(1)
    raw = tagged([oid, oid])
    raw["autoOrders"].append({"properties": []})
    assert refused(world, raw) == {
        "/autoOrders/1/auto_order_oid": "conflict",
        "/autoOrders/2/auto_order_oid": "required",
    }
    assert refused(world, {}) == {"/autoOrders": "required"}
    assert refused(world, {"auto_orders": []}) == {"/auto_orders": "unknown_field"}


@pytest.mark.parametrize(("number", "later", "fits"), [(20, False, True), (21, False, False), (101, True, False)])
def test_more_than_twenty_at_once_or_a_hundred_later_are_refused(number: int, later: bool, fits: bool) -> None:
    world, oids = some(1)
    raw = tagged([*oids, *range(1, number)])
    found = refused(world, raw, later=later)
    assert (found.get("/autoOrders") != "too_many") is fits


def test_a_hundred_for_later_are_made_by_the_workers_each_once_however_often_they_are_told() -> None:
    world, oids = some(100)
    queued = queue_many(world.shop, tagged(oids), actor="key ops")
    assert counts(queued) == (100, 100, 0, 0)
    assert tags(world, oids[:1]) == [""]
    messages = world.queue.take()
    work(world, messages[:50] * 2)
    assert counts(batch(world.shop, queued.batch_id or "")) == (100, 50, 50, 0)
    work(world, messages)
    assert counts(batch(world.shop, queued.batch_id or "")) == (100, 0, 100, 0)
    assert tags(world, oids) == ["x"] * 100
    assert {world.head(oid).revision for oid in oids} == {1}
    assert {world.shop.auto_orders.logs_before(oid, "", 1)[0][1].actor for oid in oids} == {"key ops"}


def test_messages_that_get_lost_are_sent_again_by_the_sweep_until_the_edits_are_made() -> None:
    world, oids = some(2)
    queue_many(world.shop, tagged(oids))
    work(world, world.queue.take()[:1])
    sweep(world.backroom)
    assert world.queue.take() == []
    world.clock.pass_(minutes=7)
    sweep(world.backroom)
    messages = world.queue.take()
    assert len(messages) == 1
    work(world, messages)
    assert tags(world, oids) == ["x", "x"]
    world.clock.pass_(minutes=7)
    sweep(world.backroom)
    assert world.queue.take() == []


def test_the_same_request_again_is_the_same_batch_begun_anew_and_changes_nothing_more() -> None:
    world, oids = some(2)
    first = queue_many(world.shop, tagged(oids))
    work(world, world.queue.take())
    again = queue_many(world.shop, tagged(oids))
    assert (again.batch_id, counts(again)) == (first.batch_id, (2, 2, 0, 0))
    work(world, world.queue.take())
    assert counts(batch(world.shop, first.batch_id or "")) == (2, 0, 2, 0)
    assert {world.head(oid).revision for oid in oids} == {1}
    assert queue_many(world.shop, tagged(oids, "y")).batch_id != first.batch_id


def test_what_is_asked_for_anew_while_it_is_made_is_made_once_more() -> None:
    world, (oid,) = some(1)
    queued = queue_many(world.shop, tagged([oid]))
    one = world.shop.batches.find(queued.batch_id or "", 0)
    assert one is not None
    queue_many(world.shop, tagged([oid]))
    edit.update(world.shop, oid, {"properties": []})

    class Anew:
        """The batch as a worker read it before it was asked for anew."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.shop.batches, name)

        def find(self, batch_id: str, position: int) -> Any:
            return one

    make(replace(world.shop, batches=Anew()), f"{queued.batch_id}#0")
    assert counts(batch(world.shop, queued.batch_id or "")) == (1, 1, 0, 0)
    make(world.shop, f"{queued.batch_id}#0")
    assert counts(batch(world.shop, queued.batch_id or "")) == (1, 0, 1, 0)


def test_what_turns_out_wrong_later_stands_in_the_batch() -> None:
    world, oids = some(2)
    raw = {"autoOrders": [{"auto_order_oid": oid, "canceled_by_user": "ops", "enabled": False} for oid in oids]}
    queued = queue_many(world.shop, raw)
    world.rules(cancel_reasons=[AutoOrderCancelReason(reason="Too dear")])
    messages = world.queue.take()
    work(world, messages[:1])
    found = batch(world.shop, queued.batch_id or "")
    assert counts(found) == (2, 1, 0, 1)
    (entry, _) = found.auto_orders or []
    assert [(problem.pointer, problem.code) for problem in entry.problems or []] == [
        ("/cancel_reason", "not_allowed_value")
    ]
    world.clock.pass_(seconds=GIVEN_UP_SECONDS + 1)
    work(world, messages[1:])
    assert counts(batch(world.shop, queued.batch_id or "")) == (2, 0, 0, 2)
    assert [world.head(oid).status for oid in oids] == ["active", "active"]


def test_names_that_name_no_batch_do_nothing() -> None:
    world, _ = some(0)
    for name in ("", "x", "x#y", "x#1"):
        make(world.shop, name)
    with pytest.raises(NotFound):
        batch(world.shop, "x")


def test_a_batch_to_read_names_two_hundred_at_most_and_each_once() -> None:
    assert wanted_oids({"auto_order_oids": [3, 1, 3]}) == [3, 1]
    assert len(wanted_oids({"auto_order_oids": list(range(1, 201))})) == 200
    for raw in ({}, {"auto_order_oids": []}, {"auto_order_oids": list(range(1, 202))}, {"auto_order_oids": ["a"]}):
        with pytest.raises(Invalid):
            wanted_oids(raw)
