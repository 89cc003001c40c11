"""The main job on the production adapter: an order, its auto order, rebills by sweep and worker, on ministack."""

from itertools import count

import pytest

from chalicelib.stores.dynamodb import DynamoTables
from chalicelib.stores.port import Call
from chalicelib.stores.sqlite import SqliteTables
from chalicelib.wiring import House
from tests.flows.test_crashes import put_card
from tests.ministack import nowhere_else
from tests.worlds import World

numbers = count(1)


@pytest.fixture
def world(ministack: str) -> World:
    """A shop in tables of its own."""
    with nowhere_else():
        tables = DynamoTables(f"journey-{next(numbers)}-", region="us-east-1", endpoint=ministack)
        tables.create_tables()
    return World(port=tables).open(number_of_retries=2, delay_between_retries_days=1)


def test_two_months_of_rebills_every_message_twice(world: World) -> None:
    oid = world.subscribe({"COFFEE": "Monthly", "TEA": "Monthly"})
    world.travel(60, twice=True)
    assert world.rebill_days(oid) == ["2027-02-28", "2027-03-31"]
    world.check(oid)


def test_declines_disable_and_leave_the_due_index(world: World) -> None:
    oid = world.subscribe({"TEA": "Weekly"})
    put_card(world, oid, "4000000000000002")
    world.travel(10, twice=True)
    head = world.head(oid)
    assert (head.status, head.round, head.due_dts) == ("disabled", 2, None)
    assert len(world.shop.auto_orders.attempts(oid)) == 2
    world.check(oid)


def write_units(world: World, house: House) -> list[Call]:
    oid = world.subscribe({"COFFEE": "Monthly", "TEA": "Monthly"})
    world.tell_all()
    due = world.next_due()
    assert due is not None
    world.clock.go(due)
    house.port.meter.reset()
    world.work()
    world.check(oid)
    return [call for call in house.port.meter.calls if call.writes]


def test_a_rebill_writes_the_same_units_on_both_engines(world: World) -> None:
    embedded = World(port=SqliteTables()).open(number_of_retries=2, delay_between_retries_days=1)
    ours = write_units(embedded, embedded.house)
    theirs = write_units(world, world.house)
    assert [(call.verb, call.writes) for call in theirs] == [(call.verb, call.writes) for call in ours]
