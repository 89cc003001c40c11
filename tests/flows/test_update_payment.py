"""Another card: replaced once, charged once, however often and from wherever the same request comes."""

from functools import partial
from typing import Any

import pytest

from chalicelib.domain.dates import later
from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.flows import edit
from chalicelib.flows.rebill import BILLED_LATELY, NOT_KNOWN_YET, Rebilled, rebill
from chalicelib.flows.update_payment import TOO_LATE, update_payment
from tests.cutting import SIDES, Crash, CutGateway, CutPort, Scissors, Side
from tests.steps import Stepped, run
from tests.worlds import World

GOOD = "4111111111111111"
OTHER = "5555555555554444"
DECLINES = "4000000000000002"
LOST = "4000000000009987"
SILENT = "4000000000000119"
UNSENT = "4000000000000101"


def a_failed_one(card: str = DECLINES, **rules: Any) -> tuple[World, int]:
    """An auto order whose first rebill was declined for good, three days ago."""
    world = World().open(number_of_retries=1, **rules)
    oid = world.subscribe({"COFFEE": "Weekly"})
    update_payment(world.shop, oid, {"card_number_token": world.card(card)})
    world.travel(10)
    assert world.head(oid).status == "disabled"
    return world, oid


def asked(token: str, **more: Any) -> dict[str, Any]:
    return {"card_number_token": token, "attempt_rebill": True, **more}


def refused(world: World, oid: int, raw: dict[str, Any]) -> dict[str, str]:
    before = (world.head(oid), world.document(oid))
    with pytest.raises(Invalid) as found:
        update_payment(world.shop, oid, raw)
    assert (world.head(oid), world.document(oid)) == before
    return {problem.pointer: problem.code for problem in found.value.problems}


def test_a_new_card_replaces_that_of_the_original_order_and_reactivates_what_declines_had_disabled() -> None:
    world, oid = a_failed_one()
    before, version = world.head(oid), world.shop.auto_orders.read(oid)[0].version
    assert update_payment(world.shop, oid, {"card_number_token": world.card(OTHER)}) == Rebilled()
    head, original = world.head(oid), world.shop.orders.get(world.document(oid).original_order_id or "").noun
    assert original.payment is not None
    assert original.payment.credit_card is not None
    assert original.payment.credit_card.card_type == "MasterCard"
    assert (head.status, head.round, head.state.failed, head.state.failure_reason) == ("active", 0, False, None)
    assert (head.revision, world.shop.auto_orders.read(oid)[0].version) == (before.revision + 1, version + 1)
    world.travel(1)
    assert len(world.rebills(oid)) == 1
    world.check(oid)


def test_attempt_rebill_bills_what_is_due_at_once() -> None:
    world, oid = a_failed_one()
    billed = update_payment(world.shop, oid, asked(world.card(OTHER)))
    assert (billed.attempted, billed.success, billed.order_id) == (True, True, world.rebills(oid)[0].order_id)
    world.check(oid)


@pytest.mark.parametrize("second", [OTHER, DECLINES, SILENT, UNSENT])
def test_the_same_token_again_charges_nothing_more_and_says_what_became_of_it(second: str) -> None:
    world, oid = a_failed_one()
    token = world.card(second)
    first = update_payment(world.shop, oid, asked(token))
    posts, head, document = world.sandbox.posts(), world.head(oid), world.document(oid)
    again = update_payment(world.shop, oid, asked(token))
    assert world.sandbox.posts() == posts
    assert (world.head(oid), world.document(oid)) == (head, document)
    assert (again.success, again.order_id, again.failure_reason) == (
        first.success,
        first.order_id,
        first.failure_reason,
    )
    assert again.attempted == first.attempted


def test_an_outcome_that_is_not_known_is_said_to_be_so_and_told_when_it_is() -> None:
    world, oid = a_failed_one()
    token = world.card("4000000000000259")
    assert update_payment(world.shop, oid, asked(token)).failure_reason == NOT_KNOWN_YET
    assert update_payment(world.shop, oid, asked(token)).failure_reason == NOT_KNOWN_YET
    world.clock.pass_(minutes=10)
    world.work()
    again = update_payment(world.shop, oid, asked(token))
    assert (again.success, again.order_id) == (True, world.rebills(oid)[0].order_id)
    world.check(oid)


def test_the_same_token_with_attempt_rebill_after_one_without_charges_then() -> None:
    world, oid = a_failed_one()
    token = world.card(OTHER)
    update_payment(world.shop, oid, {"card_number_token": token})
    assert world.rebills(oid) == []
    assert update_payment(world.shop, oid, asked(token)).success
    assert update_payment(world.shop, oid, asked(token)).success
    world.check(oid)


def test_an_old_token_does_not_bring_its_card_back() -> None:
    world, oid = a_failed_one()
    old = world.card(DECLINES)
    update_payment(world.shop, oid, {"card_number_token": old})
    update_payment(world.shop, oid, {"card_number_token": world.card(OTHER)})
    update_payment(world.shop, oid, {"card_number_token": old})
    payment = world.shop.orders.get(world.document(oid).original_order_id or "").noun.payment
    assert payment is not None
    assert payment.credit_card is not None
    assert payment.credit_card.card_type == "MasterCard"


def test_after_the_tokens_two_hours_the_stored_outcome_is_told_and_nothing_is_begun() -> None:
    world = World().open()
    oid = world.subscribe()
    token = world.card(OTHER)
    assert update_payment(world.shop, oid, asked(token)).failure_reason == "item not due"
    world.clock.go(later(world.clock.now(), days=28))
    posts = world.sandbox.posts()
    assert update_payment(world.shop, oid, asked(token)).failure_reason == TOO_LATE
    assert world.sandbox.posts() == posts


def test_what_was_billed_within_a_day_is_not_billed_again_by_a_new_card() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    world.clock.pass_(days=60)
    world.visit(oid)
    billed = update_payment(world.shop, oid, asked(world.card(OTHER)))
    assert (billed.attempted, billed.success, billed.failure_reason) == (False, False, BILLED_LATELY)
    assert len(world.rebills(oid)) == 1


def test_a_retry_that_has_a_date_keeps_it_and_its_count() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    update_payment(world.shop, oid, {"card_number_token": world.card(DECLINES)})
    world.travel(7)
    before = world.head(oid)
    assert (before.round, before.state.next_attempt is not None) == (1, True)
    update_payment(world.shop, oid, {"card_number_token": world.card(OTHER)})
    head = world.head(oid)
    assert (head.round, head.state.next_attempt) == (1, before.state.next_attempt)


def test_a_card_that_the_bank_refused_for_good_is_refused_and_another_is_taken() -> None:
    world, oid = a_failed_one(LOST)
    assert refused(world, oid, asked(world.card(LOST))) == {"/card_number_token": "card_refused"}
    assert update_payment(world.shop, oid, asked(world.card(OTHER))).success
    assert world.head(oid).state.refused_card is None


def test_a_canceled_auto_order_gets_the_card_and_stays_canceled() -> None:
    world, oid = a_failed_one()
    edit.update(world.shop, oid, {"canceled_by_user": "customer"})
    billed = update_payment(world.shop, oid, asked(world.card(OTHER)))
    assert (world.head(oid).status, billed.success, world.rebills(oid)) == ("canceled", False, [])


def test_numbers_of_cards_and_their_verification_numbers_are_refused_by_name() -> None:
    world, oid = a_failed_one()
    raw = {"card_number_token": "4111 1111-11111111", "card_verification_number_token": "123"}
    assert refused(world, oid, raw) == {
        "/card_number_token": "raw_card_number",
        "/card_verification_number_token": "not_available",
    }
    assert refused(world, oid, {}) == {"/card_number_token": "required"}
    assert refused(world, oid, {"card_number": GOOD}) == {"/card_number": "unknown_field"}
    assert refused(world, oid, {"card_number_token": "card_made-up"}) == {"/card_number_token": "unknown"}


def test_a_date_that_is_not_the_tokens_and_a_brand_that_is_not_taken_are_refused() -> None:
    world, oid = a_failed_one(restrict_mastercard=True)
    token = world.card(OTHER)
    raw = {"card_number_token": token, "card_expiration_month": 11, "card_expiration_year": 2040}
    assert refused(world, oid, raw) == {
        "/card_expiration_month": "conflict",
        "/card_number_token": "card_type_restricted",
    }
    with pytest.raises(NotFound):
        update_payment(world.shop, 99, {"card_number_token": token})


def test_what_the_timeline_and_all_that_is_kept_say_of_the_card_is_no_number() -> None:
    world, oid = a_failed_one()
    update_payment(world.shop, oid, {"card_number_token": world.card(OTHER)}, actor="key ops")
    (_, entry), *_ = world.shop.auto_orders.logs_before(oid, "", 10)
    assert (entry.kind, entry.actor) == ("payment", "key ops")
    said = {change.field: (change.before, change.after) for change in entry.changes or []}
    assert said["original_order/payment/credit_card"] == ("VISA 0002, 12/2040", "MasterCard 4444, 12/2040")
    assert said["status"] == ("disabled", "active")


# --- at the same time, and cut off -----------------------------------------------------------------------------------

STEPS = frozenset({"get", "get_many", "write", "charge"})


def answering(world: World, oid: int, token: str, answers: list[Rebilled]) -> None:
    answers.append(update_payment(world.shop, oid, asked(token)))


@pytest.mark.parametrize("card", [OTHER, DECLINES])
def test_the_same_request_stopped_anywhere_while_its_twin_runs_to_the_end_is_one_charge(card: str) -> None:
    steps = 0
    while True:
        world, oid = a_failed_one()
        token = world.card(card)
        before = world.sandbox.posts()
        world.house.port = Stepped(world.tables, STEPS)
        world.gateway = Stepped(world.sandbox, STEPS)
        answers: list[Rebilled] = []
        twins = [partial(answering, world, oid, token, answers)] * 2
        _, taken = run(twins, [*[1] * steps, *[0] * 1000])
        world.house.port = world.tables
        assert world.sandbox.posts() - before == 1
        assert len(answers) == 2
        assert all(answer.attempted for answer in answers)
        assert {answer.success for answer in answers} <= {card == OTHER, False}
        world.check(oid)
        if steps > taken:
            break
        steps += 1
    assert steps > 20


@pytest.mark.parametrize("card", [OTHER, DECLINES, SILENT])
@pytest.mark.parametrize("side", SIDES)
def test_cut_off_at_any_call_and_sent_again_it_charges_at_most_once(card: str, side: Side) -> None:
    reached = 1
    while True:
        scissors = Scissors()
        world, oid = a_failed_one()
        token = world.card(card)
        before = world.sandbox.posts()
        world.house.port = CutPort(world.tables, scissors)
        world.gateway = CutGateway(world.sandbox, scissors)
        scissors.arm((reached, side))
        try:
            update_payment(world.shop, oid, asked(token))
        except Crash:
            update_payment(world.shop, oid, asked(token))
        if not scissors.reached:
            break
        update_payment(world.shop, oid, asked(token))
        scissors.arm()
        assert world.sandbox.posts() - before <= 1
        head = world.head(oid)
        assert head.due_dts is not None or head.status != "active"
        for _ in range(4):
            world.clock.pass_(minutes=30)
            world.work()
        world.check(oid, at_rest=False)
        assert len(world.rebills(oid)) == (1 if card == OTHER else 0) or card == SILENT
        reached += 1
    assert reached > 8


def test_by_hand_where_something_has_moved_on_nothing_is_done() -> None:
    world, oid = a_failed_one()
    head = world.head(oid)
    posts = world.sandbox.posts()
    assert not rebill(world.shop, oid, by_hand=True, only_at=(head.run, head.tries - 1)).attempted
    assert world.sandbox.posts() == posts


# --- what waits in Accounts Receivable -------------------------------------------------------------------------------

TO_RECEIVABLES: dict[str, Any] = {"send_failures_to_accounts_receivable": True}


def a_receivable(world: World, oid: int) -> str:
    [order_id] = world.head(oid).state.receivables
    return order_id


def test_a_new_card_is_charged_for_what_waits_in_accounts_receivable_and_no_item_again() -> None:
    world, oid = a_failed_one(**TO_RECEIVABLES)
    order_id = a_receivable(world, oid)
    billed = update_payment(world.shop, oid, asked(world.card(OTHER)))
    assert (billed.attempted, billed.success) == (True, True)
    head = world.head(oid)
    assert (head.status, head.state.receivables) == ("active", [])
    order = world.shop.orders.get(order_id).noun
    assert order.payment is not None
    assert order.payment.payment_status == "Processed"
    world.travel(7)
    billed_days = [line.run for line in world.rebills(oid)]
    assert billed_days == sorted(set(billed_days))
    world.check(oid)


def test_without_a_charge_being_asked_for_the_receivable_has_the_card_and_waits() -> None:
    world, oid = a_failed_one(**TO_RECEIVABLES)
    order_id = a_receivable(world, oid)
    update_payment(world.shop, oid, {"card_number_token": world.card(OTHER)})
    order, head = world.shop.orders.read(order_id)
    assert order.noun.payment is not None
    assert order.noun.payment.credit_card is not None
    assert order.noun.payment.credit_card.card_type == "MasterCard"
    assert head is not None
    assert (head.status, head.round) == ("unpaid", 0)


@pytest.mark.parametrize("second", [OTHER, DECLINES, SILENT])
def test_the_same_request_twice_charges_a_receivable_once(second: str) -> None:
    world, oid = a_failed_one(**TO_RECEIVABLES)
    order_id = a_receivable(world, oid)
    request = asked(world.card(second))
    for _ in range(2):
        update_payment(world.shop, oid, request)
    posts = world.sandbox.posts()
    update_payment(world.shop, oid, request)
    world.travel(3, twice=True)
    captured = [capture for capture in world.sandbox.captures() if capture.order_id == order_id]
    assert len(captured) <= 1
    assert second == SILENT or world.sandbox.posts() - posts <= 1
    world.check(oid)
