"""The test clock: every due moment in order, what was billed told beside what was rehearsed, and no loop for ever."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.dates import Instant, instant, parse_instant
from chalicelib.domain.errors import Contended, Invalid
from chalicelib.domain.payments import Charge
from chalicelib.flows import edit
from chalicelib.flows.ports import Backroom, Shop
from chalicelib.flows.travel import MOST_VISITS_A_DAY, advance
from tests.worlds import World

# A world works until nothing is due; more rounds than this mean that it never rests.
ROUNDS = 20


class Passing:
    """The world's own clock as a test clock; ``moments`` is the way it went."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.moments: list[Instant] = []

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()

    def set(self, now: Instant) -> None:
        self._world.clock.go(now)
        self.moments.append(self._world.clock.now())

    def run_due(self) -> None:
        for _ in range(ROUNDS):
            now = self._world.clock.now()
            if not (self._world.due("auto_orders", now) or self._world.due("orders", now)):
                break
            self._world.work()
        self._world.tell_all()

    def backroom(self) -> Backroom:
        return self._world.backroom


def travelling(world: World) -> tuple[Shop, Passing]:
    passing = Passing(world)
    return replace(world.shop, travel=passing), passing


def refusal(shop: Shop, raw: Any) -> tuple[str, str]:
    with pytest.raises(Invalid) as refused:
        advance(shop, raw)
    problem = refused.value.problems[0]
    return problem.pointer, problem.code


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_a_shop_without_a_test_clock_refuses() -> None:
    assert refusal(World().open().shop, {"advance_days": 1}) == ("", "not_in_test_mode")


@pytest.mark.parametrize(
    ("raw", "pointer", "code"),
    [
        ({}, "", "conflict"),
        ({"advance_days": 1, "advance_to": "next_run"}, "", "conflict"),
        ({"advance_days": 0}, "/advance_days", "out_of_range"),
        ({"advance_days": 401}, "/advance_days", "out_of_range"),
        ({"advance_days": True}, "/advance_days", "wrong_type"),
        ({"advance_to": "tomorrow"}, "/advance_to", "invalid"),
        ({"advance_to": "2027-01-31T14:00:00-05:00"}, "/advance_to", "past_date"),
        ({"advance_to": "2029-01-31T15:00:00-05:00"}, "/advance_to", "out_of_range"),
        ({"days": 3}, "/days", "unknown_field"),
    ],
)
def test_a_request_that_is_none_is_refused_by_name(raw: Any, pointer: str, code: str) -> None:
    shop, passing = travelling(World().open())
    assert refusal(shop, raw) == (pointer, code)
    assert passing.moments == []


def test_what_is_paused_whole_does_not_keep_the_next_run_from_being_found() -> None:
    world = World().open()
    paused, coming = world.subscribe(), world.subscribe({"TEA": "Monthly"})
    edit.pause(world.shop, paused)
    shop, _ = travelling(world)
    assert advance(shop, {"advance_to": "next_run"})["number_of_orders"] == 1
    assert len(world.rebills(coming)) == 1
    edit.pause(world.shop, coming)
    assert refusal(shop, {"advance_to": "next_run"}) == ("/advance_to", "nothing_due")


def test_nothing_is_due_is_said() -> None:
    shop, _ = travelling(World().open())
    assert refusal(shop, {"advance_to": "next_run"}) == ("/advance_to", "nothing_due")


def test_who_may_not_be_alone_does_not_move_the_clock() -> None:
    class Busy(Passing):
        def alone(self) -> AbstractContextManager[None]:
            raise Contended("somebody travels")

    world = World().open()
    busy = Busy(world)
    with pytest.raises(Contended):
        advance(replace(world.shop, travel=busy), {"advance_days": 1})
    assert busy.moments == []


# --- where it goes ----------------------------------------------------------------------------------------------------


def test_it_goes_through_every_due_moment_in_order_and_on_to_the_end() -> None:
    world = World().open()
    start = world.clock.now()
    world.subscribe({"COFFEE": "Monthly"})
    world.subscribe({"TEA": "Weekly"})
    shop, passing = travelling(world)
    advance(shop, {"advance_days": 30})
    assert passing.moments == sorted(passing.moments)
    assert passing.moments[-1] == world.clock.now() == instant(start + timedelta(days=30))
    days = [moment.isoformat()[:13] for moment in passing.moments[:-1]]
    assert days == ["2027-02-07T05", "2027-02-14T05", "2027-02-21T05", "2027-02-28T05"]


def test_next_run_goes_to_the_next_auto_order_and_bills_it() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Monthly"})
    shop, _ = travelling(world)
    told = advance(shop, {"advance_to": "next_run"})
    assert told["to"] == "2027-02-28T00:00:00-05:00"
    assert [order["auto_order_oid"] for order in told["orders"]] == [oid]


def test_what_is_due_already_is_no_part_of_the_journey() -> None:
    world = World().open()
    world.subscribe({"COFFEE": "Monthly"})
    world.clock.pass_(days=30)
    shop, _ = travelling(world)
    told = advance(shop, {"advance_days": 1})
    assert (told["number_of_orders"], told["rehearsal"]["number_of_orders"]) == (0, 0)


# --- what it tells ----------------------------------------------------------------------------------------------------


def test_what_was_billed_is_what_was_rehearsed() -> None:
    world = World().open()
    monthly = world.subscribe({"COFFEE": "Monthly"})
    weekly = world.subscribe({"TEA": "Weekly"})
    both = world.subscribe({"COFFEE": "Every 2 Months", "TEA": "Monthly"})
    shop, _ = travelling(world)
    told = advance(shop, {"advance_days": 90})
    world.check(monthly, weekly, both)
    runs = {oid: sum(order["auto_order_oid"] == oid for order in told["orders"]) for oid in (monthly, weekly, both)}
    assert runs == {monthly: 3, weekly: 12, both: 3}
    assert told["number_of_orders"] == 18
    assert told["rehearsal"]["same"] is True
    assert told["digest"] == told["rehearsal"]["digest"]
    assert told["total"] == told["rehearsal"]["total"] == sum(order["total"] for order in told["orders"])
    assert (told["number_of_declines"], told["stuck"], told["held"]) == (0, [], [])


def test_a_decline_is_a_difference_to_the_rehearsal() -> None:
    def behave(charge: Charge, posts: int) -> Any:
        return "insufficient_funds" if charge.order_id.endswith("-001") else None

    world = World(behave=behave).open()
    oid = world.subscribe({"COFFEE": "Monthly"})
    shop, _ = travelling(world)
    told = advance(shop, {"advance_days": 29})
    assert (told["number_of_orders"], told["number_of_declines"]) == (0, 1)
    assert told["retrying"] == [
        {"auto_order_oid": oid, "credit_card_attempt": 1, "reason": "Insufficient funds."},
    ]
    assert told["rehearsal"]["same"] is False
    assert (told["rehearsal"]["missing"], told["rehearsal"]["extra"]) == ([oid], [])
    assert told["digest"] != told["rehearsal"]["digest"]
    later = advance(shop, {"advance_days": 10})
    assert later["number_of_declines"] == 2
    assert later["disabled"] == [{"auto_order_oid": oid, "reason": "Insufficient funds."}]
    assert later["retrying"] == []


def test_what_is_held_is_told_with_its_reason() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Monthly"})
    kept = world.shop.items.get("COFFEE")
    kept.noun.inactive = True
    world.shop.write(world.shop.items.replaced("COFFEE", kept.noun, kept.version))
    shop, _ = travelling(world)
    told = advance(shop, {"advance_days": 35})
    assert told["held"] == [{"auto_order_oid": oid, "code": "item_unavailable"}]
    assert told["rehearsal"]["same"] is True


def test_an_outcome_that_is_not_known_is_told_as_such() -> None:
    def behave(charge: Charge, posts: int) -> Any:
        return "pending" if charge.order_id.endswith("-001") else None

    world = World(behave=behave).open()
    oid = world.subscribe({"COFFEE": "Monthly"})
    shop, _ = travelling(world)
    told = advance(shop, {"advance_to": "next_run"})
    assert told["outcome_not_known"] == [oid]
    settled = advance(shop, {"advance_days": 3})
    assert (settled["outcome_not_known"], settled["number_of_orders"]) == ([], 1)


def test_a_record_that_gets_nowhere_is_noted_and_passed_by() -> None:
    def behave(charge: Charge, posts: int) -> Any:
        return "not_sent" if charge.order_id.endswith("-001") else None

    world = World(behave=behave).open()
    poison = world.subscribe({"COFFEE": "Monthly"})
    shop, passing = travelling(world)
    told = advance(shop, {"advance_days": 60})
    assert [(stuck["table"], stuck["subject"]) for stuck in told["stuck"]] == [("auto_orders", str(poison))]
    assert len(passing.moments) <= MOST_VISITS_A_DAY + 2
    assert world.clock.now() == parse_instant("2027-04-01T20:00:00Z")


def test_another_merchants_records_are_no_moments_of_this_journey() -> None:
    world = World().open()
    oid = world.subscribe({"TEA": "Weekly"})
    other = world.house.open_shop("OTHER")
    document, head = world.shop.auto_orders.read(oid)
    other.write(*other.auto_orders.begun(document.noun, head))
    shop, passing = travelling(world)
    assert advance(shop, {"advance_days": 6})["number_of_orders"] == 0
    assert len(passing.moments) == 1
