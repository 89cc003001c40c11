"""Two workers on one auto order, in every order in which their steps can fall: one charge, one order."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.flows import edit
from chalicelib.flows.rebill import rebill
from chalicelib.gateways.sandbox import PROFILES
from chalicelib.stores.sqlite import SqliteTables
from tests.steps import Stepped, merges, run
from tests.worlds import World

PORT_STEPS = frozenset({"get", "get_many", "write"})
GATEWAY_STEPS = frozenset({"charge", "look_up"})
# The calls of one clean rebill: three reads, the claim, the charge, the settling.
CALLS = 6


def a_due_world(profile: str = "full") -> tuple[World, int]:
    world = World(
        capabilities=PROFILES[profile],
        port=Stepped(SqliteTables(), PORT_STEPS),
        gateway=lambda sandbox: Stepped(sandbox, GATEWAY_STEPS),
    ).open()
    oid = world.subscribe()
    due = world.next_due()
    assert due is not None
    world.clock.go(due)
    return world, oid


def visit(world: World, oid: int) -> Callable[[], Any]:
    return lambda: rebill(world.shop, oid)


def test_a_clean_rebill_takes_the_calls_that_the_schedules_are_made_for() -> None:
    world, oid = a_due_world()
    # One switch starts the worker, one lets each call go on.
    assert run([visit(world, oid)], []) == [CALLS + 1]


@pytest.mark.parametrize("profile", ["full", "lookup"])
def test_two_workers_in_all_924_orders_charge_once(profile: str) -> None:
    count = 0
    for order in merges(CALLS, CALLS):
        world, oid = a_due_world(profile)
        run([visit(world, oid), visit(world, oid)], [0, 1, *order])
        world.check(oid)
        assert len(world.rebills(oid)) == 1
        assert len(world.sandbox.captures()) == 2
        count += 1
    assert count == 924
    print(f"{profile}: {count} interleavings of two workers, each one charge")


def test_a_cancel_in_every_order_with_a_rebill_is_charged_at_most_once_and_never_after_the_cancel() -> None:
    charged = 0
    for order in merges(CALLS, 4):
        world, oid = a_due_world()
        posts_at_cancel: list[int] = []
        run([visit(world, oid), canceling(world, oid, posts_at_cancel)], [0, 1, *order])
        world.travel(3)
        world.check(oid)
        head = world.head(oid)
        assert (head.status, head.due_dts, head.attempt) == ("canceled", None, None)
        assert world.sandbox.posts() <= 2
        charged += len(world.rebills(oid))
        if posts_at_cancel == [1] and not world.rebills(oid):
            assert world.sandbox.posts() == 1
    assert charged > 0


def canceling(world: World, oid: int, posts_at_cancel: list[int]) -> Callable[[], None]:
    """Cancel, and note how often the gateway had been asked by then (once for the purchase)."""

    def cancel() -> None:
        edit.update(world.shop, oid, {"enabled": False, "canceled_by_user": "customer"})
        posts_at_cancel.append(world.sandbox.posts())

    return cancel
