"""Debits that come back after they were settled: the order is unpaid again, what it had added to anything is gone."""

import itertools
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import refunds
from chalicelib.domain.captures import Hint, Reconciliation
from chalicelib.domain.dates import local_date
from chalicelib.domain.errors import Invalid
from chalicelib.domain.events import Event, event_id
from chalicelib.domain.items import ItemAutoOrder
from chalicelib.domain.made_orders import plan_of
from chalicelib.domain.money import Currency
from chalicelib.domain.orders import Order, OrderSummary
from chalicelib.domain.payments import Approved, Attempt, Declined, Pending
from chalicelib.flows import reconcile, report, reward, ship
from chalicelib.flows.charge import record
from chalicelib.flows.edit import update
from chalicelib.flows.gateway_events import heard, look_into
from chalicelib.flows.purchase import PaymentOf, look_at, pay
from chalicelib.flows.rebill import RunOf
from chalicelib.flows.refund import refund
from chalicelib.flows.returns import came_back
from chalicelib.flows.update_payment import update_payment
from chalicelib.stores.sqlite import SqliteTables
from tests.balances import a_certificate, a_customer_with, balance_of, credit_of, more_credit, nothing_held, paying_with
from tests.cutting import SIDES, Crash, CutPort, Scissors, Side
from tests.flows.test_echecks import CLOSED, POOR, a_subscriber, place, put_account
from tests.flows.test_reconcile import CutLister
from tests.flows.test_reward import a_world as a_loyal_world
from tests.flows.test_reward import points
from tests.steps import Stepped, merges, run
from tests.worlds import MERCHANT, NEW_YORK, World

BOUNCES, DISPUTED = "000222222227", "000222222236"
RECEIVABLES = {"send_failures_to_accounts_receivable": True}
BACK = Declined(code="R01", reason="Insufficient funds.", returned=True)


def rebilled(world: World) -> tuple[int, str, str]:
    """A subscriber by e-check whose first rebill is settled: the auto order, the rebill's order, and its key."""
    oid = a_subscriber(world)
    due = world.bills_at(oid)
    world.clock.go(due)
    world.visit(oid)
    world.travel(2)
    [order] = world.rebills(oid)
    assert order.charge_key
    return oid, order.order_id or "", order.charge_key


def first_payment(world: World, account: str = "") -> tuple[int, str, str]:
    oid = a_subscriber(world)
    order_id = world.document(oid).original_order_id or ""
    return oid, order_id, key_of(world, order_id)


def key_of(world: World, order_id: str) -> str:
    return world.shop.orders.get(order_id).noun.charge_key or ""


def walk(world: World) -> Reconciliation:
    """The day's walk past what the gateway took; everybody is told of what it led to."""
    found = reconcile.reconcile(world.shop, "sandbox")
    world.tell_all()
    return found


def bounce(world: World, key: str, code: str = "R01") -> Reconciliation:
    world.sandbox.come_back(key, code)
    return walk(world)


def stands(world: World, order_id: str) -> tuple[str, str]:
    order = world.shop.orders.get(order_id).noun
    assert order.payment
    return str(order.current_stage), str(order.payment.payment_status)


def counted(world: World, oid: int) -> tuple[int, Decimal, Decimal]:
    [progress] = world.head(oid).state.items.values()
    return progress.number_of_rebills, progress.rebill_value, progress.original_value


def totals(world: World) -> dict[str, int]:
    """The day totals, added up; what has come to nothing left out."""
    found: Counter[str] = Counter()
    for _, amounts in world.shop.lists.days("2027-01-01", "2028-12-31"):
        found.update(amounts)
    return {name: amount for name, amount in found.items() if amount}


def event_of(world: World, order_id: str, key: str) -> Event:
    found = world.shop.events.find(event_id(MERCHANT, f"order#{order_id}", f"returned#{key}"))
    assert found
    return found[0]


def problems(world: World) -> list[tuple[str, str]]:
    return [(one.about, one.code) for one in world.shop.problems.of(local_date(world.clock.now(), NEW_YORK), 20)]


def refused_by(outcome: object) -> str:
    assert isinstance(outcome, Declined), outcome
    return outcome.reason


# --- where the amount goes -------------------------------------------------------------------------------------------


def test_a_rebill_whose_debit_comes_back_waits_in_accounts_receivable_where_the_merchant_wants_that() -> None:
    world = World().open(**RECEIVABLES)
    oid, order_id, key = rebilled(world)
    assert counted(world, oid) == (1, Decimal("17.95"), Decimal("17.95"))
    assert bounce(world, key).number_of_returned == 1
    assert stands(world, order_id) == ("Accounts Receivable", "Declined")
    head = world.head(oid)
    assert (head.status, head.state.receivables) == ("active", [order_id])
    assert counted(world, oid) == (0, Decimal(0), Decimal("17.95"))
    [row] = [entry for _, entry in world.shop.auto_orders.logs_before(oid, "", 20) if entry.kind == "returned"]
    assert (row.log_message or "").startswith(f"The debit of 17.95 USD for order {order_id} came back")
    world.travel(40)
    assert len(world.rebills(oid)) == 2, "the auto order goes on, and no date is billed twice"
    world.check(oid)


def test_without_that_setting_it_has_failed_and_the_auto_order_is_disabled() -> None:
    world = World().open()
    oid, order_id, key = rebilled(world)
    bounce(world, key)
    assert stands(world, order_id) == ("Rejected", "Declined")
    head = world.head(oid)
    assert (head.status, head.state.failed, head.due_dts, head.state.receivables) == ("disabled", True, None, [])
    assert head.state.failure_reason == f"The debit of order {order_id} came back: Insufficient funds."
    assert pay(world.shop, order_id) is None, "nobody pays it any more"
    names = [one.name for one in event_of(world, order_id, key).happenings]
    assert names == [
        "order_payment_failed",
        "order_stage_change",
        "order_reject",
        "auto_order_decline",
        "auto_order_disable",
    ]
    world.check(oid)


def test_a_first_payment_that_comes_back_waits_for_another_and_begins_nothing_anew() -> None:
    world = World().open()
    oid, order_id, key = first_payment(world)
    bounce(world, key)
    assert stands(world, order_id) == ("Accounts Receivable", "Declined")
    assert (world.head(oid).status, world.head(oid).state.receivables) == ("active", [order_id])
    assert counted(world, oid) == (0, Decimal(0), Decimal(0))
    assert isinstance(pay(world.shop, order_id), Pending)
    world.travel(2, twice=True)
    assert stands(world, order_id) == ("Shipping Department", "Processed")
    assert counted(world, oid) == (0, Decimal(0), Decimal("17.95"))
    assert world.head(oid).state.receivables == []
    assert world.shop.auto_orders.oid_by_original_order(order_id) == oid
    assert totals(world) == {"revenue": 1795, "orders": 1}
    world.check(oid)


def test_an_order_that_begins_no_auto_order_waits_too_and_is_paid_once() -> None:
    world = World().open()
    order_id = place(world, schedule=None)
    pay(world.shop, order_id)
    world.travel(2)
    bounce(world, key_of(world, order_id))
    assert stands(world, order_id) == ("Accounts Receivable", "Declined")
    pay(world.shop, order_id)
    world.travel(2, twice=True)
    assert stands(world, order_id)[1] == "Processed"
    assert world.taken() == Decimal("17.95")
    assert totals(world) == {"revenue": 1795, "orders": 1}


def test_what_was_shipped_goes_back_to_where_it_was_when_it_is_paid_after_all() -> None:
    world = World().open()
    _, order_id, key = first_payment(world)
    ship.update(world.shop, order_id, {"current_stage": "Completed Order"})
    bounce(world, key)
    pay(world.shop, order_id)
    world.travel(2)
    assert stands(world, order_id) == ("Completed Order", "Processed")


def test_a_new_card_is_charged_for_it() -> None:
    world = World().open(**RECEIVABLES)
    oid, order_id, key = rebilled(world)
    bounce(world, key, "R10")
    assert world.head(oid).status == "disabled"
    update_payment(world.shop, oid, {"card_number_token": world.card(), "attempt_rebill": True})
    world.tell_all()
    assert stands(world, order_id) == ("Shipping Department", "Processed")
    assert world.head(oid).status == "active"
    assert counted(world, oid)[:2] == (1, Decimal("17.95"))
    world.check(oid)


def test_one_that_is_sold_once_a_customer_can_be_paid_again() -> None:
    world = World().open()
    tab = ItemAutoOrder(auto_orderable=True, auto_order_schedules=["Monthly"], auto_order_upsell_one_per_customer=True)
    item = world.shop.items.get("COFFEE")
    item.noun.auto_order = tab
    world.shop.write(world.shop.items.replaced("COFFEE", item.noun, item.version))
    oid, order_id, key = first_payment(world)
    bounce(world, key)
    assert isinstance(pay(world.shop, order_id), Pending)
    world.travel(2)
    assert stands(world, order_id)[1] == "Processed"
    world.check(oid)


# --- where balances paid a part --------------------------------------------------------------------------------------


def parts(world: World, order_id: str) -> tuple[Decimal, ...]:
    """What of an order a certificate paid, store credit, and the bank."""
    order = world.shop.orders.get(order_id).noun
    return order.certificate_amount(), order.store_credit(), order.money()


def test_what_a_gift_certificate_paid_stays_paid_and_the_debit_alone_is_owed_again() -> None:
    world = World().open()
    code = a_certificate(world, "10")
    order_id = place(world, **paying_with(code))
    pay(world.shop, order_id)
    world.travel(2)
    paid = parts(world, order_id)
    assert paid == (Decimal(10), 0, Decimal("7.95"))
    for _ in range(2):
        bounce(world, key_of(world, order_id))
        assert (stands(world, order_id)[1], parts(world, order_id)) == ("Declined", paid)
        assert isinstance(pay(world.shop, order_id), Pending)
        world.travel(2, twice=True)
        assert (stands(world, order_id)[1], parts(world, order_id)) == ("Processed", paid)
    assert world.taken() == Decimal("7.95")
    assert balance_of(world, code) == 0
    nothing_held(world)


def test_what_store_credit_paid_of_a_rebill_stays_paid() -> None:
    world = World().open(**RECEIVABLES, use_store_credit_for_rebills=True)
    a_customer_with(world, "10")
    oid = a_subscriber(world)
    world.clock.go(world.bills_at(oid))
    world.visit(oid)
    world.travel(2)
    [order] = world.rebills(oid)
    order_id = order.order_id or ""
    paid = parts(world, order_id)
    assert paid == (0, Decimal(10), Decimal("7.95"))
    bounce(world, order.charge_key or "")
    assert (stands(world, order_id), credit_of(world)) == (("Accounts Receivable", "Declined"), 0)
    more_credit(world, "3")
    assert isinstance(pay(world.shop, order_id), Pending)
    world.travel(2, twice=True)
    assert (stands(world, order_id)[1], parts(world, order_id)) == ("Processed", paid)
    assert credit_of(world) == 3
    nothing_held(world)
    world.check(oid)


# --- how often a debit may be presented ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["R02", "R03", "R10", "R29"])
def test_other_codes_are_never_presented_again_and_end_the_auto_order(code: str) -> None:
    world = World().open(**RECEIVABLES)
    oid, order_id, key = rebilled(world)
    bounce(world, key, code)
    assert world.head(oid).status == "disabled"
    assert stands(world, order_id) == ("Accounts Receivable", "Declined")
    posts = world.sandbox.posts()
    assert "another is needed" in refused_by(pay(world.shop, order_id))
    assert world.sandbox.posts() == posts


def test_one_without_funds_is_presented_twice_more_and_no_oftener() -> None:
    world = World().open(**RECEIVABLES)
    oid, order_id, key = rebilled(world)
    keys = [key]
    for number in (1, 2, 3):
        bounce(world, keys[-1])
        assert world.head(oid).status == ("active" if number < 3 else "disabled")
        if number < 3:
            assert isinstance(pay(world.shop, order_id), Pending)
            world.travel(2)
            keys.append(key_of(world, order_id))
    posts = world.sandbox.posts()
    assert isinstance(pay(world.shop, order_id), Declined)
    assert world.sandbox.posts() == posts
    assert world.shop.orders.get(order_id).noun.returned == keys
    assert len(set(keys)) == 3
    assert world.taken() == Decimal("17.95"), "the first order's; nothing of this one"


def test_presentations_before_it_was_settled_count_too() -> None:
    world = World().open(**RECEIVABLES, number_of_retries=5, delay_between_retries_days=2)
    oid = a_subscriber(world)
    put_account(world, oid, POOR)
    world.clock.go(world.bills_at(oid))
    world.travel(5)
    assert [row.code for row in world.shop.auto_orders.attempts(oid)] == ["R01", "R01"]
    # There is money on the account for a while.
    world.sandbox._db.execute("update card set behaviour = 'pending'")
    world.travel(3)
    [order] = world.rebills(oid)
    bounce(world, order.charge_key or "")
    assert "another is needed" in refused_by(pay(world.shop, order.order_id or ""))
    assert world.head(oid).status == "disabled"


def test_a_run_that_was_handed_over_after_three_presentations_is_not_debited_a_fourth_time() -> None:
    world = World().open(**RECEIVABLES, number_of_retries=10, delay_between_retries_days=1)
    oid = a_subscriber(world)
    put_account(world, oid, POOR)
    world.travel(45)
    [order_id] = world.head(oid).state.receivables
    posts = world.sandbox.posts()
    assert "presented 3 times" in refused_by(pay(world.shop, order_id))
    assert world.sandbox.posts() == posts


def test_after_half_a_year_it_is_not_presented_any_more() -> None:
    world = World().open(**RECEIVABLES)
    oid, order_id, key = rebilled(world)
    update(world.shop, oid, {"enabled": False, "canceled_by_user": "jane"})
    bounce(world, key)
    world.clock.pass_(days=178)
    assert isinstance(pay(world.shop, order_id), Pending)
    world.travel(2)
    bounce(world, key_of(world, order_id))
    world.clock.pass_(days=1)
    assert "more than 180 days ago" in refused_by(pay(world.shop, order_id))


# --- what else follows -----------------------------------------------------------------------------------------------


def test_the_totals_and_reports_lose_what_the_payment_had_added() -> None:
    world = World().open(**RECEIVABLES)
    _, order_id, key = rebilled(world)
    before = totals(world)
    assert before == {
        "revenue": 3590,
        "orders": 2,
        "rebills": 1,
        "rebill_revenue": 1795,
        "paid_on_1": 1,
        "revenue_on_1": 1795,
    }
    world.clock.pass_(days=1)
    bounce(world, key)
    bounce(world, key)
    assert totals(world) == {"revenue": 1795, "orders": 1}
    today = local_date(world.clock.now(), NEW_YORK)
    [row] = report.recovery(world.shop, today, today).attempts
    assert (row.paid, row.revenue) == (-1, Decimal("-17.95"))
    pay(world.shop, order_id)
    world.travel(2, twice=True)
    assert totals(world) == {"revenue": 3590, "orders": 2, "rebills": 1, "rebill_revenue": 1795}
    bounce(world, key_of(world, order_id))
    assert totals(world) == {"revenue": 1795, "orders": 1}


def test_the_merchant_and_the_customer_are_told_once() -> None:
    world = World().open(**RECEIVABLES)
    oid, order_id, key = rebilled(world)
    for _ in range(3):
        bounce(world, key)
        came_back(world.shop, order_id, key, BACK)
    assert problems(world) == [(f"order#{order_id}", "debit_returned")]
    mails = [(mail.template, mail.about) for mail in world.shop.mails.of(f"order#{order_id}")]
    assert mails.count(("held", f"order#{order_id}")) == 1
    asked = [mail.template for mail in world.shop.mails.of(f"auto_order#{oid}")]
    assert asked.count("update_billing") == 1
    assert [one.name for one in event_of(world, order_id, key).happenings] == [
        "order_payment_failed",
        "order_stage_change",
        "auto_order_decline",
    ]


def test_what_the_order_had_earned_is_taken_back_and_earned_again_when_it_is_paid() -> None:
    world, customer = a_loyal_world()
    order_id = place(world, schedule=None)
    pay(world.shop, order_id)
    world.travel(2, twice=True)
    assert points(world, customer) == (17, 0)
    for _ in range(2):
        bounce(world, key_of(world, order_id))
    assert points(world, customer) == (0, 0)
    pay(world.shop, order_id)
    world.travel(2, twice=True)
    assert points(world, customer) == (17, 0)
    bounce(world, key_of(world, order_id))
    assert points(world, customer) == (0, 0)
    entries, _ = world.shop.ledgers.entries(reward.points_id(customer), limit=20)
    assert sorted(int(entry.posting.amount) for entry in entries) == [-17, -17, 17, 17]


def test_an_order_of_which_a_part_was_refunded_says_that_the_customer_has_that_twice() -> None:
    world = World().open(**RECEIVABLES)
    _, order_id, key = rebilled(world)
    order = world.shop.orders.get(order_id).noun
    refund(world.shop, order_id, refunds.whole(order, "cold"))
    world.tell_all()
    bounce(world, key)
    assert stands(world, order_id) == ("Accounts Receivable", "Declined")
    words = event_of(world, order_id, key).notices[0].facts["message"]
    assert "17.95 USD of it had been refunded, so the customer has that twice." in words
    assert "revenue" not in totals(world), "the first order's, less what was given back and came back all the same"


def test_while_the_outcome_of_a_refund_is_not_known_it_is_held_and_recorded_the_day_after() -> None:
    unknown = {"timeout_before_capture"}
    world = World(behave_back=lambda key, posts: "timeout_before_capture" if unknown else None).open(**RECEIVABLES)
    _, order_id, key = rebilled(world)
    refund(world.shop, order_id, refunds.whole(world.shop.orders.get(order_id).noun, "cold"))
    found = bounce(world, key)
    assert (found.number_of_returned, found.number_of_held) == (0, 1)
    assert problems(world) == [(f"order#{order_id}", "capture_without_order")]
    unknown.clear()
    world.travel(1)
    assert walk(world).number_of_returned == 1
    assert stands(world, order_id) == ("Accounts Receivable", "Declined")


def test_a_cards_charge_that_the_bank_took_back_is_held_and_told_and_its_order_stays() -> None:
    world = World().open()
    oid = world.subscribe()
    [capture] = world.sandbox.captures()
    for _ in range(2):
        found = bounce(world, capture.key, "4837")
    assert (found.number_of_held, found.difference) == (1, {"USD": Decimal("-17.95")})
    assert "a chargeback" in found.held_captures[0].reason
    assert stands(world, capture.order_id) == ("Shipping Department", "Processed")
    assert problems(world) == [(f"order#{capture.order_id}", "capture_without_order")]
    assert world.head(oid).status == "active"


# --- who hears of it -------------------------------------------------------------------------------------------------


class Herald:
    """The sandbox, with events of its own: the key and the order of a debit that came back."""

    def __init__(self, sandbox: Any) -> None:
        self._sandbox = sandbox

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sandbox, name)

    def hint(self, body: bytes, signature: str) -> Hint:
        key, order_id = body.decode().split()
        return Hint(key=key, order_id=order_id, returned=True)


def test_an_event_of_the_gateway_is_looked_into_though_the_order_is_paid_and_is_not_believed() -> None:
    world = World(gateway=Herald).open(**RECEIVABLES)
    _, order_id, key = rebilled(world)
    world.queue.take()

    def told() -> bool:
        assert heard(world.shop, "sandbox", f"{key} {order_id}".encode(), "", "127.0.0.1")
        [(_, message)] = world.queue.take()
        return look_into(world.shop, "sandbox", message["id"], message["key"])

    assert not told()
    assert stands(world, order_id)[1] == "Processed", "the gateway says that it stands"
    world.sandbox.come_back(key, "R01")
    assert [told(), told()] == [True, False]
    assert stands(world, order_id) == ("Accounts Receivable", "Declined")
    found = walk(world)
    assert (found.number_of_returned, found.number_of_held, found.difference["USD"]) == (1, 0, Decimal(0))


def test_one_that_was_taken_long_ago_shows_in_the_walk_of_the_day_on_which_it_came_back() -> None:
    world = World().open(**RECEIVABLES)
    oid, order_id, key = rebilled(world)
    update(world.shop, oid, {"enabled": False, "canceled_by_user": "jane"})
    world.travel(50)
    found = bounce(world, key, "R10")
    assert (found.number_of_captures, found.number_of_returned, found.difference["USD"]) == (1, 1, Decimal(0))
    assert stands(world, order_id) == ("Accounts Receivable", "Declined")
    world.travel(4)
    assert walk(world).number_of_captures == 0


def test_the_sandbox_plays_accounts_whose_debits_come_back_after_two_days() -> None:
    for account, code in ((BOUNCES, "R01"), (DISPUTED, "R10")):
        world = World().open()
        order_id = place(world, account)
        pay(world.shop, order_id)
        world.travel(2)
        key = key_of(world, order_id)
        assert stands(world, order_id)[1] == "Processed"
        assert isinstance(world.sandbox.look_up(key), Approved)
        world.travel(2)
        found = world.sandbox.look_up(key)
        assert isinstance(found, Declined)
        assert (found.code, found.returned) == (code, True)
        assert walk(world).number_of_returned == 1
        assert stands(world, order_id) == ("Accounts Receivable", "Declined")


def test_one_that_comes_back_before_anybody_knew_that_it_was_settled_is_an_ordinary_decline() -> None:
    world = World().open(number_of_retries=3)
    oid = a_subscriber(world)
    put_account(world, oid, CLOSED)
    world.sandbox._db.execute("update card set behaviour = 'comes_back_r01'")
    world.clock.go(world.bills_at(oid))
    world.visit(oid)
    assert world.head(oid).attempt
    world.clock.pass_(days=4)
    assert walk(world).number_of_returned == 1
    head = world.head(oid)
    assert (head.attempt, head.round, world.rebills(oid)) == (None, 1, [])
    world.check(oid)


@pytest.mark.parametrize("work_of", ["run", "payment"])
def test_who_hears_late_that_it_was_approved_gives_back_nothing_and_records_nothing(work_of: str) -> None:
    world = World().open(**RECEIVABLES)
    oid, order_id, key = rebilled(world) if work_of == "run" else first_payment(world)
    capture = next(one for one in world.sandbox.captures() if one.key == key)
    work: Any = RunOf(world.shop, oid) if work_of == "run" else PaymentOf(world.shop, order_id)
    attempt = _attempt(world, oid, order_id, key, run=1)
    approved = Approved(
        transaction_id=capture.transaction_id, amount=capture.amount, currency_code=capture.currency_code
    )
    bounce(world, key)
    before = kept(world)
    record(world.shop, work, attempt, approved)
    assert kept(world) == before
    pay(world.shop, order_id)
    world.travel(2)
    before = kept(world)
    record(world.shop, work, attempt, approved)
    assert kept(world) == before
    assert world.sandbox.refunds() == []


def _attempt(world: World, oid: int, order_id: str, key: str, run: int) -> Any:
    order = world.shop.orders.get(order_id).noun
    assert order.payment
    now = world.clock.now()
    return Attempt(
        kind="rebill" if order.run else "purchase",
        key=key,
        owner="late",
        gateway="sandbox",
        run=run,
        round=0,
        tries=1,
        revision=0,
        claimed_dts=now,
        first_sent_dts=now,
        card=order.payment.stored()[0],
        plan=plan_of(order),
    )


def kept(world: World) -> list[Any]:
    db = world.tables._db  # type: ignore[attr-defined]
    return [*db.execute("select * from record order by 1, 2, 3")]


# --- in any order ----------------------------------------------------------------------------------------------------


def net_of(world: World) -> Decimal:
    """What stays of all that was taken at the gateway, to the coin."""
    taken = sum((one.amount for one in world.sandbox.captures() if one.returned_dts is None), Decimal(0))
    # What was given back of a debit that came back is gone all the same.
    return taken - sum((one.amount for one in world.sandbox.refunds()), Decimal(0))


def part_back(world: World, order_id: str) -> None:
    order = world.shop.orders.get(order_id).noun
    left = Decimal("17.95") - refunds.given_back(order)
    total = refunds.given_back(order) + min(left, Decimal("6.66"))
    with suppress(Invalid):
        refund(world.shop, order_id, refunds.asked(order, Order(summary=OrderSummary(total_refunded=Currency(total)))))


@given(steps=st.lists(st.sampled_from(["pay", "bounce", "bounce twice", "refund", "tell"]), max_size=7))
@settings(max_examples=20, deadline=None)
def test_payments_returns_and_refunds_in_any_order_leave_totals_and_points_as_the_gateway_has_it(
    steps: list[str],
) -> None:
    world, customer = a_loyal_world()
    order_id = place(world, schedule=None)
    for step in ["pay", *steps, "tell"]:
        key = key_of(world, order_id)
        match step:
            case "pay":
                pay(world.shop, order_id)
                world.clock.pass_(hours=25)
                look_at(world.shop, order_id)
            case "bounce" | "bounce twice" if key:
                world.sandbox.come_back(key, "R01")
                for _ in range(2 if step == "bounce twice" else 1):
                    reconcile.reconcile(world.shop, "sandbox")
            case "refund":
                part_back(world, order_id)
            case _:
                world.tell_all()
    order, ledger = world.shop.orders.get(order_id).noun, points(world, customer)
    assert order.payment
    paid = order.payment.payment_status in ("Processed", "Refunded")
    assert totals(world).get("revenue", 0) == int(100 * net_of(world))
    assert totals(world).get("orders", 0) == int(paid)
    assert ledger[0] == (int(17 * (Decimal("17.95") - refunds.given_back(order)) / Decimal("17.95")) if paid else 0)


# --- two at once, and a cut at every call ----------------------------------------------------------------------------

PORT_STEPS = frozenset({"get", "get_many", "query", "write"})
# The order with its head, the auto order's head, attempts of both, the rule, the payment's events, the write.
CALLS = 8


@cache
def came_back_in(prepare: Callable[[World], tuple[int, str, str]]) -> tuple[World, tuple[int, str, str]]:
    """A shop in which a settled debit has come back, and nobody has heard of it."""
    world = World().open(**RECEIVABLES)
    made = prepare(world)
    world.sandbox.come_back(made[2], "R01")
    return world, made


def cloned(
    made: World, port: Callable[[SqliteTables], Any], gateway: Any = None, kind: type[World] = World, **named: Any
) -> World:
    """The shop once more, with what a test puts before its tables and its gateway."""
    tables = SqliteTables()
    tables.meter.limit = 0
    assert isinstance(made.tables, SqliteTables)
    made.tables._db.backup(tables._db)
    world = kind(port=port(tables), gateway=gateway, start=made.clock.moment, **named)
    made.sandbox._db.backup(world.sandbox._db)
    world._numbers, world._words = itertools.count(500_001), itertools.count(500_001)
    # Only where anything stands: to ask the rest would be empty queries.
    world.house.shuffled = lambda shards: [
        row[0] for row in tables._db.execute("select distinct hash from entry order by hash")
    ]
    return world


def test_of_two_who_hear_of_it_at_once_one_records_it() -> None:
    """A sample of the orders in which their calls can fall."""
    played = 0
    made, (oid, order_id, key) = came_back_in(rebilled)
    alone = cloned(made, lambda tables: Stepped(tables, PORT_STEPS))
    assert run([lambda: came_back(alone.shop, order_id, key, BACK)], []) == [CALLS + 1]
    for order in itertools.islice(merges(CALLS, CALLS), 0, None, 103):
        world = cloned(made, lambda tables: Stepped(tables, PORT_STEPS))
        hears = lambda: came_back(world.shop, order_id, key, BACK)  # noqa: B023,E731
        run([hears, hears], [0, 1, *order])
        world.tell_all()
        assert world.shop.orders.get(order_id).noun.returned == [key]
        assert counted(world, oid)[0] == 0
        assert totals(world) == {"revenue": 1795, "orders": 1}
        assert world.head(oid).state.receivables == [order_id]
        played += 1
    print(f"settled debits that came back: two heard of each in {played} orders, each recorded once")


def returned_with_cuts(prepare: Callable[[World], tuple[int, str, str]], *cuts: tuple[int, Side]) -> Scissors:
    scissors = Scissors()
    made, (oid, order_id, key) = came_back_in(prepare)
    world = cloned(made, lambda tables: CutPort(tables, scissors), lambda sandbox: CutLister(sandbox, scissors))
    scissors.arm(*cuts)
    calls = 0
    for _ in range(3):
        try:
            walk(world)
        except Crash:
            continue
        finally:
            calls = calls or scissors.calls
    reached = scissors.reached
    scissors.arm()
    walk(world)
    assert world.shop.orders.get(order_id).noun.returned == [key], cuts
    assert stands(world, order_id) == ("Accounts Receivable", "Declined"), cuts
    assert totals(world).get("orders", 0) == totals(world).get("revenue", 0) // 1795, cuts
    assert world.head(oid).state.receivables == [order_id], cuts
    assert problems(world) == [(f"order#{order_id}", "debit_returned")], cuts
    assert world.due("events") == [], cuts
    rows = [entry for _, entry in world.shop.auto_orders.logs_before(oid, "", 20) if entry.kind == "returned"]
    assert len(rows) == 1, cuts
    scissors.reached, scissors.calls = reached, calls
    return scissors


@pytest.mark.parametrize("prepare", [rebilled, first_payment])
def test_a_cut_at_any_call_of_the_walk_that_hears_of_it_records_it_once(
    prepare: Callable[[World], tuple[int, str, str]],
) -> None:
    clean = returned_with_cuts(prepare)
    numbers = range(1, clean.calls + 1)
    cut = sum(returned_with_cuts(prepare, (number, side)).reached for number in numbers for side in SIDES)
    print(f"a settled debit that came back: {cut} cuts of {clean.calls} calls, each recorded once")
    assert cut == clean.calls * len(SIDES)
