"""Two at one auto order or one unpaid order, in every order in which their steps can fall: one charge, one order."""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.flows import edit
from chalicelib.flows.purchase import pay
from chalicelib.flows.rebill import rebill
from tests.balances import nothing_held, paying_with
from tests.scenes import CANCEL, Stage, cloned, one_rebill, paid_once
from tests.steps import Stepped, merges, run

PORT_STEPS = frozenset({"get", "get_many", "write"})
GATEWAY_STEPS = frozenset({"charge", "look_up"})
# The calls of one clean rebill: three reads, the claim, the charge, the settling. Of an edit: three reads, the prices
# of what is wanted, the write. Of a look that finds the capture: three reads, the look-up, the settling. Of a first
# payment, but for what it reads of the configuration: a read, the claim, the charge, the settling, and how it stands.
CALLS, EDIT_CALLS, LOOK_CALLS, PAY_CALLS = 6, 5, 5, 5


def a_stage(name: str, *besides: str) -> tuple[Stage, Any]:
    stage, subject, _ = cloned(
        name,
        lambda tables: Stepped(tables, PORT_STEPS, frozenset(besides)),
        lambda sandbox: Stepped(sandbox, GATEWAY_STEPS),
    )
    return stage, subject


def an_order_to_be_paid() -> tuple[Stage, str]:
    return a_stage("purchase, full, approve", "configuration")


def visit(stage: Stage, oid: int) -> Callable[[], Any]:
    return lambda: rebill(stage.shop, oid)


def an_unheard_capture(profile: str) -> tuple[Stage, int]:
    """A rebill that was captured and not heard of, to be looked at now."""
    stage, oid = a_stage(f"rebill, {profile}, timeout_after_capture")
    stage.next = "timeout_after_capture"
    stage.visit(oid)
    due = stage.head(oid).due_dts
    assert due is not None
    stage.clock.go(due)
    return stage, oid


def test_the_calls_are_those_that_the_schedules_are_made_for() -> None:
    # One switch starts the worker, one lets each call go on.
    stage, oid = a_stage("rebill, full, approve")
    assert run([visit(stage, oid)], []) == [CALLS + 1]
    stage, oid = a_stage("rebill, full, approve")
    assert run([lambda: edit.update(stage.shop, oid, CANCEL)], []) == [EDIT_CALLS + 1]
    stage, oid = an_unheard_capture("full")
    assert run([visit(stage, oid)], []) == [LOOK_CALLS + 1]
    stage, order_id = an_order_to_be_paid()
    assert run([lambda: pay(stage.shop, order_id)], []) == [PAY_CALLS + 1]


@pytest.mark.parametrize("profile", ["full", "lookup"])
def test_two_workers_in_all_924_orders_charge_once(profile: str) -> None:
    count = 0
    for order in merges(CALLS, CALLS):
        stage, oid = a_stage(f"rebill, {profile}, approve")
        run([visit(stage, oid), visit(stage, oid)], [0, 1, *order])
        one_rebill(stage, oid)
        assert len(stage.sandbox.captures()) == 2
        count += 1
    assert count == 924
    print(f"{profile}: {count} interleavings of two workers, each one charge")


def test_two_who_look_at_an_open_attempt_in_all_252_orders_record_it_once() -> None:
    count = 0
    for order in merges(LOOK_CALLS, LOOK_CALLS):
        stage, oid = an_unheard_capture("full")
        run([visit(stage, oid), visit(stage, oid)], [0, 1, *order])
        one_rebill(stage, oid)
        assert stage.sandbox.posts() == 2
        count += 1
    assert count == 252
    print(f"{count} interleavings of two looks at one open attempt, each one order")


def test_two_who_pay_for_one_order_in_all_252_orders_charge_once() -> None:
    count = 0
    for order in merges(PAY_CALLS, PAY_CALLS):
        stage, order_id = an_order_to_be_paid()
        paying = [lambda: pay(stage.shop, order_id)] * 2  # noqa: B023  # they are run at once
        run(paying, [0, 1, *order])
        paid_once(stage, order_id)
        assert len(stage.sandbox.captures()) == 1
        count += 1
    assert count == 252
    print(f"{count} interleavings of two payments of one order, each one charge")


def test_a_rebill_and_a_cancel_in_all_462_orders_charge_at_most_once_and_never_after_the_cancel() -> None:
    charged = count = 0
    for order in merges(CALLS, EDIT_CALLS):
        stage, oid = a_stage("rebill, full, approve")
        posts_at_cancel: list[int] = []
        run([visit(stage, oid), canceling(stage, oid, posts_at_cancel)], [0, 1, *order])
        stage.travel(3)
        stage.check(oid)
        head = stage.head(oid)
        assert (head.status, head.due_dts, head.attempt) == ("canceled", None, None)
        assert stage.sandbox.posts() <= 2
        charged += len(stage.rebills(oid))
        if posts_at_cancel == [1] and not stage.rebills(oid):
            assert stage.sandbox.posts() == 1
        count += 1
    assert count == 462
    assert charged > 0
    print(f"{count} interleavings of a worker and a cancel, none charged after it")


def canceling(stage: Stage, oid: int, posts_at_cancel: list[int]) -> Callable[[], None]:
    """Cancel, and note how often the gateway had been asked by then (once for the purchase)."""

    def cancel() -> None:
        edit.update(stage.shop, oid, CANCEL)
        posts_at_cancel.append(stage.sandbox.posts())

    return cancel


# Of a payment with a certificate, at its ledger: the certificate, what is on it, that again for the claim, the claim;
# and for the settling: the ledger, the settling.
BALANCE_CALLS = 6
OTHERS = ("configuration", "orders", "customers", "auto_orders", "documents", "lists")


def two_orders_with_one_certificate() -> tuple[Stage, list[str]]:
    stage, paying, _ = cloned(
        "certificate, approve",
        lambda tables: Stepped(tables, frozenset({"get", "write"}), frozenset(OTHERS)),
        lambda sandbox: sandbox,
    )
    code = stage.shop.orders.get(paying.of).noun.gift_certificate.gift_certificate_code
    return stage, [paying.of, stage.place({"TEA": None}, **paying_with(code))]


def test_the_calls_at_a_ledger_are_those_that_the_schedules_are_made_for() -> None:
    stage, (order_id, _) = two_orders_with_one_certificate()
    assert run([lambda: pay(stage.shop, order_id)], []) == [BALANCE_CALLS + 1]


def test_two_orders_that_spend_one_certificate_in_all_924_orders_never_spend_more_than_is_on_it() -> None:
    count, spent = 0, Counter[Decimal]()
    for order in merges(BALANCE_CALLS, BALANCE_CALLS):
        stage, (first, second) = two_orders_with_one_certificate()
        run([lambda: pay(stage.shop, first), lambda: pay(stage.shop, second)], [0, 1, *order])  # noqa: B023
        orders = [stage.shop.orders.get(order_id).noun for order_id in (first, second)]
        assert [order.payment.payment_status for order in orders if order.payment] == ["Processed"] * 2
        assert sum(order.certificate_amount() for order in orders) == 10
        assert sum(order.money() for order in orders) == sum(capture.amount for capture in stage.sandbox.captures())
        nothing_held(stage)
        spent[orders[0].certificate_amount()] += 1
        count += 1
    assert count == 924
    assert len(spent) > 1, "each of them was first sometimes"
    print(f"{count} interleavings of two orders with one certificate: {dict(spent)} were spent by the first")
