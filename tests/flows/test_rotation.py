"""Several gateway accounts: a definite decline is passed on to the next one, what nobody knows never is."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.payments import Approved, Charge, Declined
from chalicelib.domain.rebills import plan
from chalicelib.domain.rotating import RotatingGateway, RotatingGateways
from chalicelib.flows.facts import read_facts
from chalicelib.flows.purchase import pay
from chalicelib.gateways.sandbox import Behaviour
from tests.worlds import World

Acts = Callable[[Charge, int], Behaviour | None]


class Mood:
    """What an account does with the charges that come while it is in that mood."""

    def __init__(self) -> None:
        self.does: Behaviour | None = None

    def __call__(self, charge: Charge, posts: int) -> Behaviour | None:
        return self.does


def a_rotation(first: Acts, second: Acts, **rules: Any) -> World:
    """Two accounts; the sandbox takes everything that is not passed on."""
    world = World(behave=first, others={"backup": second}).open(**rules)
    shop = world.shop
    profiles = RotatingGateways(
        gateways=[RotatingGateway(code="sandbox"), RotatingGateway(code="backup", status="standby")]
    )
    shop.write(shop.configuration.save(profiles, 0))
    return world


def taken(world: World) -> dict[str, int]:
    return {code: len(account.captures()) for code, account in {"sandbox": world.sandbox, **world.others}.items()}


def test_a_declined_rebill_is_asked_of_the_next_account_at_once_and_costs_no_round() -> None:
    mood = Mood()
    world = a_rotation(mood, Mood())
    oid = world.subscribe()
    mood.does = "decline"
    world.travel(29, twice=True)
    assert taken(world) == {"sandbox": 1, "backup": 1}
    head = world.head(oid)
    assert (head.run, head.round, head.state.tried) == (2, 0, [])
    order = world.rebills(oid)[0]
    assert order.payment is not None
    assert order.payment.rotating_transaction_gateway_code == "backup"
    assert [row.outcome for row in world.shop.auto_orders.attempts(oid)] == ["declined"]
    world.check(oid)


def test_a_delayed_cascade_waits_six_hours_whatever_the_window() -> None:
    mood = Mood()
    world = a_rotation(
        mood, Mood(), delay_rotating_transaction_gateway_cascade=True, window_start="00:00", window_end="04:00"
    )
    oid = world.subscribe()
    mood.does = "decline"
    world.clock.go(world.next_due() or world.clock.now())
    world.work()
    before = world.clock.now()
    assert taken(world) == {"sandbox": 1, "backup": 0}
    waiting = world.head(oid).state.next_attempt
    assert waiting is not None
    assert "next_gateway_later" in [reason.code for reason in plan(read_facts(world.shop, oid)[0], before).reasons]
    assert world.next_due() == waiting
    world.clock.go(waiting)
    world.work()
    assert taken(world) == {"sandbox": 1, "backup": 1}
    world.check(oid)


def test_a_charge_of_which_nobody_knows_is_never_asked_of_another_account() -> None:
    mood = Mood()
    world = a_rotation(mood, Mood())
    oid = world.subscribe()
    mood.does = "timeout_after_capture"
    world.travel(30, twice=True)
    assert taken(world) == {"sandbox": 2, "backup": 0}
    world.check(oid)


@pytest.mark.parametrize("behaviour", ["lost_card", "action_needed"])
def test_a_hard_decline_or_a_wish_to_see_the_customer_is_not_passed_on(behaviour: Behaviour) -> None:
    mood = Mood()
    world = a_rotation(mood, Mood())
    oid = world.subscribe()
    mood.does = behaviour
    world.travel(29)
    assert taken(world) == {"sandbox": 1, "backup": 0}
    assert world.head(oid).round == 1


def test_where_every_account_declines_one_round_is_used_up_and_the_next_begins_anew() -> None:
    first, second = Mood(), Mood()
    world = a_rotation(first, second)
    oid = world.subscribe()
    first.does = second.does = "decline"
    world.travel(29)
    head = world.head(oid)
    assert (head.round, head.tries, head.state.tried) == (1, 2, [])
    first.does = second.does = None
    world.travel(5)
    assert taken(world) == {"sandbox": 2, "backup": 0}
    world.check(oid)


def test_a_first_payment_is_passed_on_too_and_its_rebills_stay_there_where_the_merchant_wants_it() -> None:
    first = Mood()
    first.does = "decline"
    world = a_rotation(first, Mood(), use_same_rotating_transaction_gateway_for_rebills=True)
    order_id = world.place({"COFFEE": "Monthly"})
    assert isinstance(pay(world.shop, order_id), Approved)
    first.does = None
    world.travel(30)
    assert taken(world) == {"sandbox": 0, "backup": 2}


def test_a_first_payment_that_every_account_declines_is_declined_once() -> None:
    first, second = Mood(), Mood()
    first.does = second.does = "decline"
    world = a_rotation(first, second)
    order_id = world.place({"COFFEE": "Monthly"})
    assert isinstance(pay(world.shop, order_id), Declined)
    head = world.shop.orders.read(order_id)[1]
    assert head is not None
    assert (head.round, head.tries, head.state.tried) == (1, 2, [])


def test_an_account_rests_after_as_many_declines_in_a_row_as_it_says() -> None:
    first = Mood()
    world = World(behave=first, others={"backup": None}).open()
    shop = world.shop
    profiles = [
        RotatingGateway(code="sandbox", deactivate_after_failures=2),
        RotatingGateway(code="backup", status="standby"),
    ]
    shop.write(shop.configuration.save(RotatingGateways(gateways=profiles), 0))
    first.does = "decline"
    for _ in range(3):
        world.order({"COFFEE": None})
        world.tell_all()
    assert world.sandbox.posts() == 2
    assert taken(world) == {"sandbox": 0, "backup": 3}


def test_a_limit_of_a_day_counts_what_was_taken_and_ends_with_the_day() -> None:
    world = World(others={"backup": None}).open()
    shop = world.shop
    profiles = [
        RotatingGateway(code="sandbox", maximum_daily=Decimal("20.00")),
        RotatingGateway(code="backup", traffic_percentage=Decimal(0)),
    ]
    shop.write(shop.configuration.save(RotatingGateways(gateways=profiles), 0))
    for _ in range(2):
        world.order({"COFFEE": None})
        world.tell_all()
    assert taken(world) == {"sandbox": 1, "backup": 1}
    world.clock.pass_(days=1)
    world.order({"COFFEE": None})
    assert taken(world) == {"sandbox": 2, "backup": 1}


# --- the networks' ceilings ------------------------------------------------------------------------------------------


def test_a_visa_card_that_was_declined_15_times_in_30_days_waits_until_the_first_of_them_is_forgotten() -> None:
    mood = Mood()
    world = World(behave=mood).open(number_of_retries=15, delay_between_retries_days=1)
    oids = [world.subscribe() for _ in range(2)]
    mood.does = "decline"
    world.travel(36)
    assert world.sandbox.posts() - len(oids) == 15, "both together"
    reasons = [reason.code for reason in plan(read_facts(world.shop, oids[0])[0], world.clock.now()).reasons]
    assert reasons[-1] == "network_ceiling"
    mood.does = None
    world.travel(31)
    assert all(world.rebills(oid) for oid in oids)
    world.check(*oids)


def test_an_order_that_is_paid_by_hand_stops_at_the_ceiling_too() -> None:
    mood = Mood()
    mood.does = "decline"
    world = World(behave=mood).open()
    order_id = world.place({"COFFEE": None})
    answers = [pay(world.shop, order_id) for _ in range(17)]
    assert world.sandbox.posts() == 15
    assert isinstance(answers[-1], Declined)
    assert answers[-1].code == "network_ceiling"


def test_a_decline_that_the_network_calls_final_ends_the_rounds() -> None:
    mood = Mood()
    world = World(behave=mood).open()
    oid = world.subscribe()
    mood.does = "lost_card"
    world.travel(40)
    head = world.head(oid)
    assert (head.status, head.round, head.state.refused_card is not None) == ("disabled", 1, True)
