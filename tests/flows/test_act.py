"""Acting on many auto orders: what is told before is what is done, each has its own outcome, and nothing is done twice
however often it is asked for."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import islice
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replace_noun

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import occurrences
from chalicelib.domain.batches import Batch, BatchEntry
from chalicelib.domain.dates import local_date
from chalicelib.domain.errors import Invalid
from chalicelib.domain.fields import LARGEST_OID
from chalicelib.domain.schedule import Frequency
from chalicelib.domain.settings import AutoOrderCancelReason
from chalicelib.flows import edit
from chalicelib.flows.act import act_now, look
from chalicelib.flows.batches import batch, make, queue_actions
from chalicelib.flows.sweep import sweep
from tests.worlds import NEW_YORK, World

NAME = "page-0123456789"
FREQUENCIES: list[Frequency] = ["Weekly", "Biweekly", "Monthly", "Every 45 Days", "Every 2 Months", "Yearly"]


def some(number: int, frequency: str = "Monthly") -> tuple[World, list[int]]:
    world, chance = World().open(), Random(7)
    world.house.oids = lambda: iter(lambda: chance.randrange(1, LARGEST_OID), 0)
    oids = [world.subscribe() for _ in range(number)]
    for oid in oids if frequency != "Monthly" else []:
        (item,) = edit.standing(world.shop, oid).noun.items or []
        edit.update(world.shop, oid, {"items": [wire.plain(replace_noun(item, frequency=frequency))]})
    return world, oids


def asked(action: str, oids: list[int], told: Batch | None = None, **more: Any) -> dict[str, Any]:
    """The request; with the shipments that a look has told."""
    days = {entry.auto_order_oid: entry.shipment_date for entry in (told.auto_orders or [] if told else [])}
    rows = [{"auto_order_oid": oid, **({"shipment_date": str(days[oid])} if days.get(oid) else {})} for oid in oids]
    return {"action": action, "auto_orders": rows, **more}


def entry(found: Batch, position: int = 0) -> BatchEntry:
    return (found.auto_orders or [])[position]


def code(found: Batch, position: int = 0) -> str:
    (problem, *_) = entry(found, position).problems or []
    return problem.code


def next_day(world: World, oid: int) -> date:
    (item, *_) = edit.standing(world.shop, oid).noun.items or []
    assert item.next_shipment_dts is not None
    return local_date(item.next_shipment_dts, NEW_YORK)


def work(world: World, times: int = 1) -> None:
    for _, message in world.queue.take() * times:
        make(world.shop, message["id"])


@settings(max_examples=12, deadline=None)
@given(frequency=st.sampled_from(FREQUENCIES), skips=st.integers(1, 4), twice=st.booleans())
def test_skipping_goes_from_date_to_date_of_the_items_own_schedule(frequency: str, skips: int, twice: bool) -> None:
    world, (oid,) = some(1, frequency)
    facts = edit.standing(world.shop, oid).facts
    (item,), (progress,) = facts.auto_order.items or [], facts.head.state.items.values()
    days = [one.day for one in islice(occurrences(item, progress, facts.items["COFFEE"], NEW_YORK), skips + 1)]
    for position in range(skips):
        told = look(world.shop, asked("skip", [oid]))
        assert (entry(told).shipment_date, entry(told).next_date) == (days[position], days[position + 1])
        for _ in range(2 if twice else 1):
            act_now(world.shop, asked("skip", [oid], told))
        assert next_day(world, oid) == days[position + 1]


@settings(max_examples=12, deadline=None)
@given(frequency=st.sampled_from(FREQUENCIES), later=st.integers(1, 365))
def test_a_shipment_that_is_moved_comes_on_that_day_and_once(frequency: str, later: int) -> None:
    world, (oid,) = some(1, frequency)
    day = next_day(world, oid)
    told = look(world.shop, asked("reschedule", [oid], days_later=later))
    assert (entry(told).state, entry(told).next_date) == ("ready", day + timedelta(days=later))
    assert next_day(world, oid) == day, "looking moves nothing"
    request = asked("reschedule", [oid], told, days_later=later)
    states = [entry(act_now(world.shop, request)[0]).state for _ in range(2)]
    assert (states, next_day(world, oid)) == (["done", "unchanged"], day + timedelta(days=later))
    back = asked("reschedule", [oid], look(world.shop, asked("skip", [oid])), to_date=str(day))
    states = [entry(act_now(world.shop, back)[0]).state for _ in range(2)]
    assert (states, next_day(world, oid)) == (["done", "unchanged"], day)


@settings(max_examples=25, deadline=None)
@given(
    frequencies=st.lists(st.sampled_from(FREQUENCIES), min_size=2, max_size=3),
    acts=st.lists(st.tuples(st.booleans(), st.integers(1, 40), st.booleans()), min_size=1, max_size=5),
)
def test_only_what_comes_on_the_day_is_touched_and_no_date_comes_twice_or_again(
    frequencies: list[Frequency], acts: list[tuple[bool, int, bool]]
) -> None:
    """Several items of different pace: the shipment is what comes on one day; all else keeps its dates."""
    world, (oid,) = some(1)
    tea = [{"original_item_id": "TEA", "original_quantity": 1, "frequency": pace} for pace in frequencies[1:]]
    (coffee,) = edit.standing(world.shop, oid).noun.items or []
    edit.update(world.shop, oid, {"items": [wire.plain(replace_noun(coffee, frequency=frequencies[0])), *tea]})
    world.clock.pass_(days=1)
    world.work()
    for skips, days_later, twice in acts:
        before = dates(world, oid)
        day = min(before.values())
        told = look(
            world.shop, asked("skip" if skips else "reschedule", [oid], **({} if skips else {"days_later": days_later}))
        )
        if entry(told).state == "refused":
            assert code(told) == "due"
            return
        request = asked("skip" if skips else "reschedule", [oid], told, **({} if skips else {"days_later": days_later}))
        for _ in range(2 if twice else 1):
            act_now(world.shop, request)
        after = dates(world, oid)
        assert entry(told).shipment_date == day
        assert {item for item in before if before[item] != after[item]} == {i for i, on in before.items() if on == day}
        assert all(after[item] > day for item in after)
        if skips:
            assert min(after.values()) == entry(told).next_date
        else:
            assert all(after[item] == day + timedelta(days=days_later) for item, on in before.items() if on == day)


def dates(world: World, oid: int) -> dict[int, date]:
    found = edit.standing(world.shop, oid).noun.items or []
    return {
        one.auto_order_item_oid or 0: local_date(one.next_shipment_dts, NEW_YORK)
        for one in found
        if one.next_shipment_dts
    }


def test_messages_that_get_lost_are_sent_again_until_it_is_done() -> None:
    world, oids = some(2)
    queue_actions(world.shop, asked("pause", oids, batch_id=NAME))
    assert len(world.queue.take()) == 2
    world.clock.pass_(minutes=7)
    sweep(world.backroom)
    work(world)
    assert batch(world.shop, NAME).number_done == 2


def test_three_are_paused_by_the_workers_once_each_however_often_it_is_asked_and_told() -> None:
    world, oids = some(3)
    request = asked("pause", oids, batch_id=NAME)
    assert look(world.shop, request).number_ready == 3
    begun = queue_actions(world.shop, request, actor="olga")
    assert (begun.batch_id, begun.number_waiting) == (NAME, 3)
    queue_actions(world.shop, request)
    work(world, times=2)
    done = queue_actions(world.shop, request)
    assert (done.number_done, done.number_waiting, world.queue.take()) == (3, 0, []), "a name is begun once"
    assert {world.head(oid).revision for oid in oids} == {1}
    assert {world.shop.auto_orders.logs_before(oid, "", 1)[0][1].actor for oid in oids} == {"olga"}
    assert look(world.shop, request).number_unchanged == 3
    resumed, events = act_now(world.shop, asked("resume", oids))
    assert (resumed.number_done, len(events)) == (3, 3)


def test_a_name_that_is_asked_for_twice_at_the_same_moment_is_begun_once() -> None:
    world, oids = some(2)
    request = asked("pause", oids, batch_id=NAME)

    class Late:
        """The batches as a request reads them that comes at the same moment as another."""

        def __init__(self) -> None:
            self.looked = False

        def __getattr__(self, name: str) -> Any:
            return getattr(world.shop.batches, name)

        def of(self, batch_id: str) -> Any:
            found = world.shop.batches.of(batch_id) if self.looked else []
            if not self.looked:
                queue_actions(world.shop, request)
                work(world)
            self.looked = True
            return found

    told = queue_actions(replace(world.shop, batches=Late()), request)
    assert (told.number_done, told.number_waiting, world.queue.take()) == (2, 0, [])


def test_a_name_is_good_for_one_request() -> None:
    world, oids = some(2)
    queue_actions(world.shop, asked("pause", oids[:1], batch_id=NAME))
    for other in (asked("pause", oids, batch_id=NAME), asked("cancel", oids[:1], batch_id=NAME)):
        with pytest.raises(Invalid) as found:
            queue_actions(world.shop, other)
        assert [(p.pointer, p.code) for p in found.value.problems] == [("/batch_id", "conflict")]


def test_a_worker_that_dies_after_the_edit_finds_nothing_left_to_do() -> None:
    world, (oid,) = some(1)
    day = next_day(world, oid)
    told = look(world.shop, asked("skip", [oid]))
    queue_actions(world.shop, asked("skip", [oid], told, batch_id=NAME))
    one = world.shop.batches.find(NAME, 0)
    assert one is not None
    edit.skip(world.shop, oid, day)
    after = next_day(world, oid)
    work(world)
    assert (entry(batch(world.shop, NAME)).state, next_day(world, oid)) == ("unchanged", after)


def test_each_that_cannot_be_acted_on_says_why_and_holds_up_none_of_the_others() -> None:
    world, oids = some(5)
    good, canceled, paused, due, gone = *oids[:4], 99
    edit.cancel(world.shop, canceled, by="ops")
    edit.pause(world.shop, paused)
    edit.reschedule(world.shop, due, next_day(world, due), next_day(world, due) - timedelta(days=20))
    world.clock.pass_(days=8)
    told = look(world.shop, asked("skip", [good, canceled, paused, due, gone]))
    assert [one.state for one in told.auto_orders or []] == ["ready", *["refused"] * 4]
    assert [code(told, at) for at in range(1, 5)] == ["not_active", "paused", "due", "unknown"]
    assert (told.number_ready, told.number_refused) == (1, 4)
    request = asked("skip", [good, canceled, paused, due, gone], told)
    for row in request["auto_orders"]:
        row.setdefault("shipment_date", "2027-02-28")
    done, events = act_now(world.shop, request)
    assert [one.state for one in done.auto_orders or []] == ["done", *["refused"] * 4]
    assert len(events) == 1
    canceling = look(world.shop, asked("cancel", [good, canceled]))
    assert [one.state for one in canceling.auto_orders or []] == ["ready", "unchanged"]


def test_what_ends_with_its_next_shipment_is_not_skipped_for_good_by_mistake() -> None:
    world, (oid,) = some(1)
    (item,) = edit.standing(world.shop, oid).noun.items or []
    row = {"auto_order_item_oid": item.auto_order_item_oid, "original_item_id": "COFFEE", "original_quantity": 1}
    row |= {"frequency": "Monthly", "no_order_after_dts": str(item.next_shipment_dts)}
    edit.update(world.shop, oid, {"items": [row]})
    assert code(look(world.shop, asked("skip", [oid]))) == "last_shipment"


def test_a_shipment_that_was_billed_meanwhile_is_not_the_one_that_was_meant() -> None:
    world, (oid,) = some(1)
    told = look(world.shop, asked("skip", [oid]))
    world.clock.go(edit.standing(world.shop, oid).noun.items[0].next_shipment_dts)  # type: ignore[index, arg-type]
    world.work()
    after = next_day(world, oid)
    for action, more in (("skip", {}), ("reschedule", {"days_later": 3})):
        done, _ = act_now(world.shop, asked(action, [oid], told, **more))
        assert code(done) == "stale"
    assert next_day(world, oid) == after


def test_canceling_many_asks_for_the_reason_that_canceling_one_asks_for() -> None:
    world, oids = some(2)
    world.rules(cancel_reasons=[AutoOrderCancelReason(reason="Too dear")])
    assert code(look(world.shop, asked("cancel", oids))) == "not_allowed_value"
    done, events = act_now(world.shop, asked("cancel", oids, cancel_reason="Too dear"))
    assert (done.number_done, len(events)) == (2, 2)
    assert [world.document(oid).cancel_reason for oid in oids] == ["Too dear"] * 2


def test_what_is_wrong_with_the_request_is_named_all_at_once_and_nothing_is_begun() -> None:
    world, (oid,) = some(1)
    rows = [{"auto_order_oid": oid}, {"auto_order_oid": oid}]
    wrong = {
        "/to_date": {"action": "reschedule", "auto_orders": rows[:1]},
        "/auto_orders/0/shipment_date": {"action": "skip", "auto_orders": rows[:1]},
        "/auto_orders/1/auto_order_oid": {"action": "pause", "auto_orders": rows},
        "/cancel_reason": {"action": "pause", "auto_orders": rows[:1], "cancel_reason": "x"},
        "/auto_orders": {"action": "pause", "auto_orders": [{"auto_order_oid": n} for n in range(1, 22)]},
        "/action": {"action": "burn", "auto_orders": rows[:1]},
        "/batch_id": {"action": "pause", "auto_orders": rows[:1], "batch_id": "a#b"},
    }
    for pointer, raw in wrong.items():
        with pytest.raises(Invalid) as found:
            act_now(world.shop, raw)
        assert pointer in {problem.pointer for problem in found.value.problems}, pointer
    past = {"action": "reschedule", "auto_orders": rows[:1], "to_date": "2027-01-30"}
    with pytest.raises(Invalid, match="today or later"):
        look(world.shop, past)
    with pytest.raises(Invalid):
        queue_actions(world.shop, asked("pause", list(range(1, 102))))
    assert world.head(oid).revision == 0


def test_who_is_faster_is_not_written_over() -> None:
    """Another edit between reading and writing: the act is thought out anew on what stands then."""
    world, (oid,) = some(1)
    told = look(world.shop, asked("skip", [oid]))
    moved = next_day(world, oid) + timedelta(days=3)

    class Interrupted:
        """The shop's auto orders, written to while somebody moves the shipment."""

        def __init__(self) -> None:
            self.times = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(world.shop.auto_orders, name)

        def moved(self, *args: Any) -> Any:
            if not self.times:
                self.times += 1
                edit.reschedule(world.shop, oid, next_day(world, oid), moved)
            return world.shop.auto_orders.moved(*args)

    shop = replace(world.shop, auto_orders=Interrupted())  # type: ignore[arg-type]
    done, events = act_now(shop, asked("skip", [oid], told))
    assert (entry(done).state, events, next_day(world, oid)) == ("unchanged", [], moved)
