"""Each capture of the gateway has its order, gets one, is given back, or is held and told: none is passed over."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.domain.captures import MAXIMUM_HELD, CapturePage, Reconciliation
from chalicelib.domain.dates import local_date, parse_instant
from chalicelib.domain.errors import Contended, Invalid, NotFound, TooMany
from chalicelib.domain.items import ItemAutoOrder
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.payments import Approved, Charge, Refund, StoredCard
from chalicelib.domain.payments import NotFound as NoSuchCharge
from chalicelib.flows import purchase
from chalicelib.flows.reconcile import BY_HAND, MAXIMUM_VISITS, begin, begin_anew, every_merchant, go_on, reconcile
from chalicelib.gateways.sandbox import CAPTURES_PAGE, PROFILES, Behaviour, Sandbox
from chalicelib.stores.sqlite import SqliteTables
from tests.cutting import SIDES, Crash, CutGateway, CutPort, Scissors, Side
from tests.flows.test_crashes import put_card
from tests.worlds import MERCHANT, NEW_YORK, START, World

GOOD, TIMES_OUT_AFTER = "4111111111111111", "4000000000000259"


def walked(world: World, **named: Any) -> Reconciliation:
    return reconcile(world.shop, "sandbox", **named)


def since_the_start(world: World) -> Reconciliation:
    """A walk over all that was ever taken, however long ago."""
    now = world.clock.now()
    day = local_date(now, NEW_YORK)
    report = Reconciliation(gateway="sandbox", reconciliation_date=day, since_dts=START, until_dts=now)
    return walked(world, so_far=report)


def kept(world: World) -> list[Any]:
    """Every record and every index entry."""
    db = world.tables._db  # type: ignore[attr-defined]
    return [*db.execute("select * from record order by 1, 2, 3"), *db.execute("select * from entry order by 1, 2, 3")]


def numbers(report: Reconciliation) -> tuple[int, int, int, int, int]:
    return (
        report.number_of_captures,
        report.number_of_matched,
        report.number_of_repaired,
        report.number_of_given_back,
        report.number_of_held,
    )


class Forgetful:
    """The sandbox, whose look-ups find nothing while ``forgets``: its captures show in its list only."""

    def __init__(self, sandbox: Any) -> None:
        self.sandbox = sandbox
        self.forgets = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sandbox, name)

    def look_up(self, key: str) -> Any:
        return NoSuchCharge() if self.forgets else self.sandbox.look_up(key)


def a_rebill_that_times_out(world: World) -> int:
    """A subscriber whose first rebill was captured, and nobody heard of it."""
    oid = world.subscribe()
    put_card(world, oid, TIMES_OUT_AFTER)
    world.tell_all()
    due = world.next_due()
    assert due is not None
    world.clock.go(due)
    world.visit(oid)
    assert world.head(oid).attempt is not None
    assert not world.rebills(oid)
    return oid


# --- all is well ------------------------------------------------------------------------------------------------------


def test_where_all_is_well_every_capture_is_matched_and_the_difference_is_zero() -> None:
    world = World().open()
    oids = [world.subscribe({"COFFEE": "Weekly"}), world.subscribe({"TEA": "Weekly", "COFFEE": "Monthly"})]
    world.order({"TEA": None})
    seen = 0
    for _ in range(40):
        world.travel(1)
        report = walked(world)
        assert report.balanced()
        assert report.number_of_matched == report.number_of_captures
        seen += report.number_of_captures
    assert seen > 2 * 4 * 3, "each capture is walked past on three days"
    world.check(*oids)


def test_the_difference_is_counted_to_the_coin_in_its_currency() -> None:
    world = World().open()
    world.order({"COFFEE": None})
    report = walked(world)
    assert report.difference == {"USD": Decimal(0)}
    assert (report.cursor, report.problem, report.held_captures) == (None, None, [])
    assert (str(report.reconciliation_date), report.finished_dts) == ("2027-01-31", START)


def test_a_payment_that_is_pending_is_no_capture_until_it_is_settled() -> None:
    world = World().open()
    order_id = world.order({"COFFEE": None}, "4000000000000077")
    assert numbers(walked(world)) == (0, 0, 0, 0, 0)
    world.clock.pass_(days=1, seconds=1)
    assert numbers(walked(world)) == (1, 0, 1, 0, 0)
    assert world.shop.orders.get(order_id).noun.payment.payment_status == "Processed"  # type: ignore[union-attr]


def given_back(world: World, of: str, amount: str) -> None:
    """A part of the capture of that key, as the merchant gives it back."""
    key = f"bo_back_{len(world.sandbox.refunds())}"
    back = Refund(key=key, of=of, amount=Decimal(amount), currency_code="USD", order_id="DEMO-1")
    assert isinstance(world.sandbox.refund_part(back), Approved)


def test_a_capture_that_is_given_back_in_part_is_matched_to_the_coin_until_all_of_it_is_given_back() -> None:
    world = World().open()
    for item in ("COFFEE", "TEA"):
        world.order({item: None})
    coffee = world.sandbox.captures()[0].key
    given_back(world, coffee, "5.00")
    given_back(world, coffee, "12.94")
    report = walked(world)
    assert numbers(report) == (2, 2, 0, 0, 0)
    assert (report.balanced(), report.difference) == (True, {"USD": Decimal(0)})
    given_back(world, coffee, "0.01")
    report = walked(world)
    assert numbers(report) == (2, 1, 0, 1, 0)
    assert (report.balanced(), report.difference) == (True, {"USD": Decimal(0)})


def test_a_capture_whose_answer_was_lost_gets_its_order_although_a_part_was_given_back_by_hand() -> None:
    world = World().open()
    oid = a_rebill_that_times_out(world)
    given_back(world, world.sandbox.captures()[-1].key, "5.00")
    assert numbers(walked(world)) == (1, 0, 1, 0, 0)
    assert len(world.rebills(oid)) == 1
    report = walked(world)
    assert numbers(report) == (1, 1, 0, 0, 0)
    assert report.balanced()


@pytest.mark.parametrize("profile", ["full", "keys", "lookup"])
def test_an_authorisation_is_no_capture_neither_open_nor_let_go_of(profile: str) -> None:
    world = World(capabilities=PROFILES[profile]).open()
    order_id = world.order({"COFFEE": None})
    authorised = [charged(order_id, key, "1.00") for key in ("bo_open", "bo_let_go_of")]
    for one in authorised:
        assert isinstance(world.sandbox.authorise(one), Approved)
    world.sandbox.void("bo_let_go_of")
    world.clock.pass_(hours=1)
    before = kept(world)
    report = walked(world)
    assert numbers(report) == (1, 1, 0, 0, 0)
    assert (report.balanced(), report.difference) == (True, {"USD": Decimal(0)})
    assert kept(world) == before


def test_what_was_only_authorised_makes_no_order_where_somebody_captures_it_by_hand() -> None:
    world = World().open(auth_test_zero_dollar_orders=True)
    tab = ItemAutoOrder(auto_orderable=True, auto_order_schedules=["Monthly"], auth_future_amount=Decimal("39.95"))
    world.sell("TRIAL", "0.00", tab)
    order_id = world.order({"TRIAL": "Monthly"})
    assert [hold.voided_dts is None for hold in world.sandbox.holds()] == [True, False]
    assert numbers(walked(world)) == (0, 0, 0, 0, 0)
    columns = "key, amount, currency, order_id, transaction_id"
    with world.sandbox._db as db:
        db.execute(f"insert into capture select number, {columns}, authorised_dts, null, account from hold")
    report = walked(world)
    assert numbers(report) == (2, 0, 0, 0, 2)
    assert report.difference == {"USD": Decimal("40.95")}
    assert {held.reason for held in report.held_captures} == {
        "its order says 0 USD",
        "it was authorised only, and captured by somebody else",
    }
    assert world.shop.orders.get(order_id).noun.summary.total == 0  # type: ignore[union-attr]
    world.tell_all()
    before = kept(world)
    assert numbers(walked(world)) == (2, 0, 0, 0, 2)
    assert kept(world) == before


# --- repaired ---------------------------------------------------------------------------------------------------------


def test_a_capture_whose_answer_was_lost_is_recorded_on_its_open_attempt() -> None:
    world = World().open()
    oid = a_rebill_that_times_out(world)
    report = walked(world)
    assert numbers(report) == (1, 0, 1, 0, 0)
    assert report.balanced()
    [order] = world.rebills(oid)
    assert order.charge_key == world.sandbox.captures()[-1].key
    assert not order.late
    head = world.head(oid)
    assert (head.attempt, head.run) == (None, 2)
    world.tell_all()
    before = kept(world)
    again = walked(world)
    assert numbers(again) == (1, 1, 0, 0, 0)
    assert kept(world) == before
    world.travel(40, twice=True)
    world.check(oid)
    assert len(world.rebills(oid)) == 2


def test_a_lost_first_payment_is_recorded_and_begins_its_auto_order() -> None:
    world = World().open()
    order_id = world.order({"COFFEE": "Monthly"}, TIMES_OUT_AFTER)
    assert world.shop.auto_orders.oid_by_original_order(order_id) is None
    assert numbers(walked(world)) == (1, 0, 1, 0, 0)
    oid = world.shop.auto_orders.oid_by_original_order(order_id)
    assert oid is not None
    order = world.shop.orders.get(order_id).noun
    assert order.payment is not None
    assert order.payment.credit_card is not None
    assert order.payment.credit_card.stored_card is not None
    assert order.payment.credit_card.stored_card.network_transaction_id
    before = kept(world)
    assert numbers(walked(world)) == (1, 1, 0, 0, 0)
    assert kept(world) == before
    world.check(oid)


def test_a_capture_that_shows_after_its_attempt_was_closed_gets_its_order_flagged_late() -> None:
    world = World(capabilities=PROFILES["lookup"], gateway=Forgetful).open()
    oid = a_rebill_that_times_out(world)
    cancel(world, oid)
    world.travel(1, twice=True)
    assert world.head(oid).attempt is None
    assert [row.outcome for row in world.shop.auto_orders.attempts(oid)] == ["not_charged"]
    assert numbers(walked(world)) == (1, 0, 1, 0, 0)
    [order] = world.rebills(oid)
    assert order.late
    assert world.head(oid).status == "canceled"
    before = kept(world)
    assert numbers(walked(world)) == (1, 1, 0, 0, 0)
    assert kept(world) == before
    world.check(oid)


def test_a_second_capture_of_a_paid_run_is_given_back() -> None:
    world = World(capabilities=PROFILES["lookup"], gateway=Forgetful).open()
    oid = a_rebill_that_times_out(world)
    put_card(world, oid, "4111111111111111")
    world.travel(1, twice=True)
    assert len(world.sandbox.captures()) == 3, "closed as not charged, it was charged once more"
    report = walked(world)
    assert numbers(report) == (2, 1, 0, 1, 0)
    assert report.balanced()
    assert [capture.refunded_dts is None for capture in world.sandbox.captures()] == [True, False, True]
    world.tell_all()
    before = kept(world)
    assert numbers(walked(world)) == (2, 1, 0, 1, 0)
    assert kept(world) == before
    world.check(oid)
    assert len(world.rebills(oid)) == 1


@pytest.mark.parametrize("paid_again", [False, True])
def test_a_first_payment_that_shows_after_its_attempt_was_closed_pays_its_order_or_is_given_back(
    paid_again: bool,
) -> None:
    world = World(capabilities=PROFILES["lookup"], gateway=Forgetful).open()
    order_id = world.order({"COFFEE": None}, TIMES_OUT_AFTER)
    world.travel(1, twice=True)
    assert [row.outcome for row in world.shop.orders.attempts(order_id)] == ["not_charged"]
    if paid_again:
        purchase.pay(world.shop, order_id)
        world.clock.pass_(hours=1)
        world.work()
        world.gateway.forgets = False
        world.travel(1)
    report = walked(world)
    assert numbers(report) == ((2, 1, 0, 1, 0) if paid_again else (1, 0, 1, 0, 0))
    assert report.balanced()
    [net] = [capture for capture in world.sandbox.captures() if capture.refunded_dts is None]
    assert world.shop.orders.get(order_id).noun.charge_key == net.key


def test_a_record_that_is_busy_is_left_to_the_next_walk_and_not_told() -> None:
    def busy(*changes: Any) -> None:
        raise Contended("somebody is at it")

    world = World().open()
    oid = a_rebill_that_times_out(world)
    world.tell_all()
    report = reconcile(dataclasses.replace(world.shop, write=busy), "sandbox")
    assert numbers(report) == (1, 0, 0, 0, 1)
    assert not world.due("events")
    assert numbers(walked(world)) == (1, 0, 1, 0, 0)
    world.check(oid)


def test_one_capture_that_cannot_be_recorded_does_not_keep_the_others_from_it() -> None:
    world = World().open()
    oid = a_rebill_that_times_out(world)
    fine = world.order({"TEA": None}, TIMES_OUT_AFTER)
    original = world.document(oid).original_order_id
    db = world.tables._db  # type: ignore[attr-defined]
    db.execute("delete from record where name = 'orders' and pk = ? and sk = 'document'", (f"{MERCHANT}#{original}",))
    report = walked(world)
    assert numbers(report) == (2, 0, 1, 0, 1)
    assert [held.capture.order_id for held in report.held_captures] == [f"{original}-001"]
    assert world.shop.orders.get(fine).noun.charge_key


# --- held -------------------------------------------------------------------------------------------------------------


def taken_elsewhere(world: World, order_id: str, key: str = "bo_nobodys", amount: str = "12.34") -> None:
    """A capture under a key that no attempt has."""
    world.sandbox.charge(charged(order_id, key, amount))


def charged(order_id: str, key: str, amount: str) -> Charge:
    return Charge(
        key=key,
        amount=Decimal(amount),
        currency_code="USD",
        card=StoredCard(gateway="sandbox", reference="sandbox_approve", fingerprint="f"),
        order_id=order_id,
        first=False,
    )


@pytest.mark.parametrize(
    "order_id",
    ["DEMO-9999999999", "DEMO-9999999999-001", "not one of ours", "DEMO#1", "", "{original}", "{original}-001"],
)
def test_a_capture_that_nobody_knows_is_held_and_told_once(order_id: str) -> None:
    world = World().open()
    original = world.document(world.subscribe()).original_order_id
    taken_elsewhere(world, order_id.format(original=original))
    world.tell_all()
    report = walked(world)
    assert numbers(report) == (2, 1, 0, 0, 1)
    assert not report.balanced()
    assert report.difference == {"USD": Decimal("12.34")}
    [held] = report.held_captures
    assert (held.capture.key, held.reason) == ("bo_nobodys", "no order and no attempt of ours is known for it")
    assert len(world.due("events")) == 1
    world.tell_all()
    before = kept(world)
    assert numbers(walked(world)) == (2, 1, 0, 0, 1)
    assert kept(world) == before
    assert not world.due("events")


def test_what_is_held_is_told_by_mail_to_the_merchant() -> None:
    world = World().open()
    shop = world.shop
    merchant = shop.configuration.section(Merchant)
    merchant.noun.support_email = merchant.noun.sender_email = "owner@example.com"
    shop.write(shop.configuration.save(merchant.noun, merchant.version))
    original = world.document(world.subscribe()).original_order_id
    world.tell_all()
    world.queue.take()
    taken_elsewhere(world, f"{original}-007")
    for _ in range(2):
        walked(world)
        world.tell_all()
    [mail] = [mail for mail in shop.mails.of(f"order#{original}") if mail.template == "held"]
    assert (mail.state, mail.email) == ("planned", "owner@example.com")
    assert f"took 12.34 USD for order {original}-007" in mail.facts["message"]


def test_a_capture_of_another_amount_than_its_order_says_is_held() -> None:
    world = World().open()
    world.order({"COFFEE": None})
    with world.sandbox._db as db:
        db.execute("update capture set amount = '1795.00'")
    report = walked(world)
    assert numbers(report) == (1, 0, 0, 0, 1)
    assert report.difference == {"USD": Decimal("1777.05")}
    assert report.held_captures[0].reason == "its order says 17.95 USD"


@pytest.mark.parametrize("column", ["amount = '0.01'", "currency = 'JPY'"])
def test_a_capture_of_another_amount_than_was_asked_makes_no_order(column: str) -> None:
    world = World().open()
    oid = a_rebill_that_times_out(world)
    with world.sandbox._db as db:
        db.execute(f"update capture set {column} where key = ?", (world.sandbox.captures()[-1].key,))
    report = walked(world)
    assert numbers(report) == (1, 0, 0, 0, 1)
    assert report.held_captures[0].reason == "asked were 17.95 USD"
    assert not world.rebills(oid)


def test_two_captures_under_one_key_are_never_both_matched() -> None:
    world = World(capabilities=PROFILES["neither"]).open()
    order_id = world.order({"COFFEE": None})
    [capture] = world.sandbox.captures()
    taken_elsewhere(world, order_id, capture.key, "17.95")
    report = walked(world)
    assert numbers(report) == (2, 1, 0, 0, 1)
    assert report.difference == {"USD": Decimal("17.95")}
    assert report.held_captures[0].reason == f"its order was paid with {capture.transaction_id}"


def test_a_second_capture_that_cannot_be_given_back_is_held_and_asked_for_once() -> None:
    world = World(capabilities=type(PROFILES["lookup"])(lookup=True), gateway=Forgetful).open()
    oid = a_rebill_that_times_out(world)
    put_card(world, oid, "4111111111111111")
    world.travel(1, twice=True)
    report = walked(world)
    assert numbers(report) == (2, 1, 0, 0, 1)
    assert report.held_captures[0].reason.startswith("could not be given back")
    world.tell_all()
    again = walked(world)
    world.tell_all()
    before = kept(world)
    assert numbers(again) == numbers(walked(world)) == (2, 1, 0, 0, 1)
    assert kept(world) == before


# --- pages and time ---------------------------------------------------------------------------------------------------


def many(world: World, count: int) -> None:
    """Captures with orders that stand for them: copies of one, under keys and ids of their own."""
    order_id = world.order({"COFFEE": None})
    shop = world.shop
    order = shop.orders.get(order_id).noun
    payment = order.payment
    assert payment is not None
    payment.transactions = None
    for number in range(count):
        order.order_id, order.charge_key = f"DEMO-{number}", f"bo_{number}"
        shop.write(shop.orders.placed(order))
        taken_elsewhere(world, order.order_id, order.charge_key, "17.95")


def test_every_page_is_walked() -> None:
    world = World().open()
    many(world, 2 * CAPTURES_PAGE + 50)
    report = walked(world)
    assert report.balanced()
    assert numbers(report) == (251, 251, 0, 0, 0)


def test_a_walk_that_runs_out_of_time_is_gone_on_with_and_counts_each_capture_once() -> None:
    world = World().open()
    many(world, 2 * CAPTURES_PAGE)
    left = itertools.chain([40.0, 10.0, 40.0, 40.0], itertools.repeat(60.0))
    shop = world.house.open_shop(MERCHANT, time_left=lambda: next(left))
    first = reconcile(shop, "sandbox")
    assert (first.problem, first.finished_dts) == (None, None)
    assert not first.balanced()
    assert first.number_of_captures == CAPTURES_PAGE
    last = reconcile(shop, "sandbox", first)
    assert last.balanced()
    assert numbers(last) == (201, 201, 0, 0, 0)


def test_a_page_whose_repairs_run_out_of_time_is_walked_again() -> None:
    world = World().open()
    for _ in range(3):
        world.order({"COFFEE": None}, TIMES_OUT_AFTER)
    left = itertools.chain([60.0, 60.0, 10.0], itertools.repeat(60.0))
    shop = world.house.open_shop(MERCHANT, time_left=lambda: next(left))
    first = reconcile(shop, "sandbox")
    assert (first.finished_dts, first.number_of_captures) == (None, 0)
    last = reconcile(shop, "sandbox", first)
    assert last.balanced()
    assert last.number_of_captures == 3
    assert all(capture.order_id for capture in world.sandbox.captures())


def test_a_gateway_that_does_not_answer_is_said_and_asked_again_from_there() -> None:
    class Unreadable(Forgetful):
        def __init__(self, sandbox: Any) -> None:
            super().__init__(sandbox)
            self.pages = 0

        def captures_since(self, since: Any, cursor: str | None = None) -> CapturePage:
            self.pages += 1
            if self.pages == 2:
                return CapturePage(captures=[], cursor=cursor, problem="timed out")
            page: CapturePage = self.sandbox.captures_since(since, cursor)
            return page

    world = World(gateway=Unreadable).open()
    many(world, CAPTURES_PAGE + 10)
    report = walked(world)
    assert (report.problem, report.number_of_captures) == ("timed out", CAPTURES_PAGE)
    report = walked(world, so_far=report)
    assert report.balanced()
    assert report.number_of_captures == CAPTURES_PAGE + 11


# --- cut anywhere -----------------------------------------------------------------------------------------------------


class CutLister(CutGateway):
    """Its list is under the scissors too."""

    def captures_since(self, since: Any, cursor: str | None = None) -> Any:
        def act() -> Any:
            return self._gateway.captures_since(since, cursor)

        return self._scissors.call("captures", act, lambda: CapturePage(captures=[], cursor=cursor, problem="lost"))


class OneByOne(CutLister):
    """Its pages hold one capture each."""

    def captures_since(self, since: Any, cursor: str | None = None) -> Any:
        page, number = super().captures_since(since), int(cursor or 0)
        rest = page.captures[number:]
        return CapturePage(captures=rest[:1], cursor=str(number + 1) if rest[1:] else None, problem=page.problem)


class ForgetfulCutLister(CutLister):
    """Nobody but the list knows of a capture."""

    def look_up(self, key: str) -> Any:
        return NoSuchCharge()


def broken_worlds() -> Iterator[tuple[str, Callable[[Scissors], tuple[World, int]]]]:
    def lost(scissors: Scissors) -> tuple[World, int]:
        world = cut_world(scissors, CutLister, "full")
        return world, a_rebill_that_times_out(world)

    def late(scissors: Scissors) -> tuple[World, int]:
        world = cut_world(scissors, ForgetfulCutLister, "lookup")
        oid = a_rebill_that_times_out(world)
        cancel(world, oid)
        world.travel(1)
        return world, oid

    def second(scissors: Scissors) -> tuple[World, int]:
        world = cut_world(scissors, ForgetfulCutLister, "lookup")
        oid = a_rebill_that_times_out(world)
        put_card(world, oid, "4111111111111111")
        world.travel(1)
        return world, oid

    def unknown(scissors: Scissors) -> tuple[World, int]:
        world = cut_world(scissors, CutLister, "full")
        oid = world.subscribe()
        taken_elsewhere(world, "DEMO-9999999999")
        return world, oid

    yield from {"lost": lost, "late": late, "second": second, "unknown": unknown}.items()


def cut_world(scissors: Scissors, gateway: type[CutLister], profile: str) -> World:
    return World(
        capabilities=PROFILES[profile],
        port=CutPort(SqliteTables(), scissors),
        gateway=lambda sandbox: gateway(sandbox, scissors),
    ).open()


def cancel(world: World, oid: int) -> None:
    """As an edit would: the status, one more revision, and another look at what is open."""
    shop, head = world.shop, world.head(oid)
    after = replace(head, status="canceled", revision=head.revision + 1, due_dts=world.clock.now())
    shop.write(shop.auto_orders.moved(oid, head, after))


@pytest.mark.parametrize(
    ("story", "broken"), list(broken_worlds()), ids=lambda given: given if isinstance(given, str) else ""
)
def test_a_cut_at_any_call_of_the_walk_loses_nothing_and_the_next_walk_ends_it(
    story: str, broken: Callable[[Scissors], tuple[World, int]]
) -> None:
    def run(*cuts: tuple[int, Side]) -> tuple[Scissors, World]:
        scissors = Scissors()
        world, oid = broken(scissors)
        scissors.arm(*cuts)
        with contextlib.suppress(Crash):
            walked(world)
        reached, calls = scissors.reached, scissors.calls
        scissors.arm()
        report = walked(world)
        assert report.number_of_held == (1 if story == "unknown" else 0), report
        assert numbers(report)[0] == sum(numbers(report)[1:])
        assert report.balanced() == (story != "unknown")
        world.check(oid, at_rest=False)
        scissors.reached, scissors.calls = reached, calls
        return scissors, world

    clean, done = run()
    cut = 0
    for number in range(1, clean.calls + 1):
        for side in SIDES:
            scissors, world = run((number, side))
            cut += scissors.reached
            assert len(world.sandbox.captures()) == len(done.sandbox.captures())
    assert cut == clean.calls * len(SIDES)
    print(f"reconciling, {story}: {cut} cuts, nothing lost")


# --- from day to day --------------------------------------------------------------------------------------------------


def handled(world: World, message: dict[str, str]) -> bool:
    """Work at a message as the worker does. False where it is handed back."""
    shop = world.house.open_shop(message["merchant_id"], time_left=world.time_left)
    try:
        if "gateway" in message:
            go_on(shop, message["gateway"], message["day"])
        else:
            begin(shop)
    except NotFound:
        return True
    except Contended:
        return False
    return True


def delivered(world: World, most: int = 50) -> list[dict[str, str]]:
    """Work at all that waits, and at what comes of it. Returns what was handed back."""
    back: list[dict[str, str]] = []
    for _ in range(most):
        messages = [message for _, message in world.queue.take()]
        if not messages:
            return back
        back += [message for message in messages if not handled(world, message)]
    raise AssertionError("the walks do not come to an end")


def reports(world: World, merchant_id: str = MERCHANT) -> list[Reconciliation]:
    return world.house.open_shop(merchant_id).reconciliations.since("")[0]


def founded(world: World, *merchants: str) -> World:
    for merchant_id in merchants:
        shop = world.house.open_shop(merchant_id)
        section = shop.configuration.section(Merchant)
        if not section.version:
            shop.write(shop.configuration.save(Merchant(merchant_id=merchant_id, currency_code="EUR"), 0))
        world.tables.write(world.house.merchants().listed(merchant_id))
    return world


def test_every_account_of_every_merchant_is_walked_past_once_a_day() -> None:
    world = founded(World().open(), MERCHANT, "ACME", "ZENO")
    world.house.payments_of = lambda merchant_id: {
        "first": Sandbox(now=world.clock.now),
        "second": Sandbox(now=world.clock.now),
    }
    for day in range(1, 4):
        for twice in (False, True):
            assert every_merchant(world.backroom) == 3
            sent = world.queue.take()
            assert [message for _, message in sent] == [{"merchant_id": name} for name in ("ACME", MERCHANT, "ZENO")]
            assert {queue for queue, _ in sent} == {"reconcile"}
            for _, message in sent:
                assert handled(world, message)
            assert len(world.queue.sent) == (0 if twice else 6)
            assert not delivered(world)
        for merchant_id in (MERCHANT, "ACME", "ZENO"):
            kept = reports(world, merchant_id)
            assert [report.gateway for report in kept] == ["second", "first"] * day
            assert all(report.balanced() for report in kept)
            assert kept[0].difference == {"USD" if merchant_id == MERCHANT else "EUR": Decimal(0)}
        world.clock.pass_(days=1)


def test_the_day_of_a_report_is_the_merchants() -> None:
    world = World(start=parse_instant("2027-02-01T04:59:59Z")).open()
    begin(world.shop)
    world.clock.pass_(seconds=1)
    begin(world.shop)
    assert [str(report.reconciliation_date) for report in reports(world)] == ["2027-02-01", "2027-01-31"]


def test_merchants_that_no_time_is_left_for_are_left_for_tomorrow() -> None:
    world = founded(World(), *(f"M{number}" for number in range(25)))
    left = iter([60.0, 60.0, 1.0])
    assert every_merchant(dataclasses.replace(world.backroom, time_left=lambda: next(left))) == 20
    assert len(world.queue.take()) == 20


def test_a_walk_takes_as_many_messages_as_it_needs_and_stale_ones_do_nothing() -> None:
    world = World().open()
    many(world, 2 * CAPTURES_PAGE + 50)
    begin(world.shop)
    left = itertools.cycle([60.0, 20.0])
    world.time_left = lambda: next(left)
    messages = []
    while sent := world.queue.take():
        [(_, message)] = sent
        messages.append(message)
        assert handled(world, message)
    assert messages == [{"merchant_id": MERCHANT, "gateway": "sandbox", "day": "2027-01-31"}] * 3
    [report] = reports(world)
    assert (numbers(report), report.number_of_visits, report.balanced()) == ((251, 251, 0, 0, 0), 3, True)
    before = kept(world)
    for message in [*messages, messages[0] | {"day": "2027-01-30"}]:
        assert handled(world, message)
    assert (kept(world), world.queue.take()) == (before, [])


def test_of_two_that_walk_the_same_way_one_goes_on() -> None:
    world = World().open()
    many(world, CAPTURES_PAGE)
    inner: list[str] = []

    class Meeting(Forgetful):
        def captures_since(self, since: Any, cursor: str | None = None) -> Any:
            if not inner:
                inner.append("walks")
                go_on(world.shop, "sandbox", "2027-01-31")
            return self.sandbox.captures_since(since, cursor)

    world.gateway = Meeting(world.sandbox)
    begin(world.shop)
    assert not delivered(world)
    [report] = reports(world)
    assert (numbers(report), report.number_of_visits) == ((101, 101, 0, 0, 0), 1)


def test_a_gateway_that_does_not_answer_is_asked_again_later_from_where_it_was() -> None:
    class Moody(Forgetful):
        """Gives a page, then fails so often."""

        fails = 0

        def captures_since(self, since: Any, cursor: str | None = None) -> Any:
            if cursor is None or not self.fails:
                return self.sandbox.captures_since(since, cursor)
            self.fails -= 1
            return CapturePage(captures=[], cursor=cursor, problem="timed out")

    world = World(gateway=Moody).open()
    many(world, CAPTURES_PAGE + 10)
    world.gateway.fails = 3
    begin(world.shop)
    back = delivered(world)
    assert len(back) == 1, "a page further it goes on at once; where it gets nowhere it is handed back"
    [report] = reports(world)
    assert (report.problem, report.finished_dts, report.number_of_captures) == ("timed out", None, CAPTURES_PAGE)
    assert not handled(world, back[0])
    assert handled(world, back[0])
    assert not delivered(world)
    [report] = reports(world)
    assert report.balanced()
    assert (report.problem, report.number_of_captures) == (None, CAPTURES_PAGE + 11)


def test_a_walk_that_gets_nowhere_is_handed_back_until_somebody_sees_it() -> None:
    world = World().open()
    begin(world.shop)
    [(_, message)] = world.queue.take()
    world.time_left = lambda: 1.0
    shop = world.shop
    found = shop.reconciliations.find("2027-01-31", "sandbox")
    assert found is not None
    shop.write(shop.reconciliations.moved(replace(found.noun, number_of_visits=MAXIMUM_VISITS - 1), found.version))
    assert handled(world, message)
    assert len(world.queue.take()) == 1
    for _ in range(2):
        assert not handled(world, message)
    assert not world.queue.take()


def test_a_walk_past_an_account_that_is_no_more_is_done_with() -> None:
    world = World().open()
    begin(world.shop)
    [(_, message)] = world.queue.take()
    world.house.payments_of = lambda merchant_id: {}
    assert handled(world, message)
    begin(world.shop)
    assert not world.queue.take()


def test_a_walk_by_hand_is_a_new_one_where_the_days_has_ended_and_else_goes_on() -> None:
    world = World().open()
    world.order({"COFFEE": None})
    assert begin_anew(world.shop, "sandbox").finished_dts is None
    world.clock.pass_(minutes=1)
    assert begin_anew(world.shop, "sandbox").until_dts == START
    assert not delivered(world)
    assert [report.number_of_captures for report in reports(world)] == [1]
    world.order({"TEA": None})
    fresh = begin_anew(world.shop, "sandbox")
    assert (fresh.until_dts, fresh.number_of_captures) == (world.clock.now(), 0)
    assert not delivered(world)
    assert [report.number_of_captures for report in reports(world)] == [2]


def test_a_walk_by_hand_is_of_an_account_that_there_is_and_not_without_end() -> None:
    world = World().open()
    before = kept(world)
    with pytest.raises(Invalid, match="these are: sandbox"):
        begin_anew(world.shop, "other")
    assert kept(world) == before
    for _ in range(BY_HAND):
        begin_anew(world.shop, "sandbox")
    with pytest.raises(TooMany):
        begin_anew(world.shop, "sandbox")


def test_a_report_names_the_first_captures_that_are_held_and_counts_all() -> None:
    world = World().open()
    for number in range(MAXIMUM_HELD + 5):
        taken_elsewhere(world, f"DEMO-{number}", f"bo_nobodys{number}", "1.00")
    begin(world.shop)
    assert not delivered(world)
    [report] = reports(world)
    assert (report.number_of_held, len(report.held_captures)) == (MAXIMUM_HELD + 5, MAXIMUM_HELD)
    assert report.difference == {"USD": Decimal(MAXIMUM_HELD + 5)}
    assert {held.reason for held in report.held_captures} == {"no order and no attempt of ours is known for it"}


def test_a_cut_at_any_call_of_the_days_work_is_mended_by_its_messages_coming_again() -> None:
    def run(*cuts: tuple[int, Side]) -> tuple[int, int]:
        scissors = Scissors()
        world = cut_world(scissors, OneByOne, "full")
        for item_id, card in (("TEA", GOOD), ("COFFEE", TIMES_OUT_AFTER), ("COFFEE", GOOD)):
            world.order({item_id: None}, card)
        left = itertools.cycle([60.0, 60.0, 20.0])
        world.time_left = lambda: next(left)
        waiting = [{"merchant_id": MERCHANT}]
        scissors.arm(*cuts)
        for _ in range(50):
            if not waiting:
                break
            message = waiting.pop(0)
            try:
                done = handled(world, message)
            except Crash:
                done = False
            waiting += [message for _, message in world.queue.take()] + ([] if done else [message])
        reached, calls = scissors.reached, scissors.calls
        scissors.arm()
        [report] = reports(world)
        assert report.finished_dts is not None, "the walk was lost on the way"
        assert report.balanced()
        assert report.number_of_captures == report.number_of_matched + report.number_of_repaired == 3
        return reached, calls

    _, calls = run()
    cut = sum(run((number, side))[0] for number in range(1, calls + 1) for side in SIDES)
    assert cut == calls * len(SIDES)
    print(f"reconciling by messages: {cut} cuts, no walk lost")


# --- any world --------------------------------------------------------------------------------------------------------

BEHAVIOURS: list[Behaviour | None] = [
    None,
    "decline",
    "insufficient_funds",
    "timeout_before_capture",
    "timeout_after_capture",
    "slow",
    "duplicate_answer",
    "pending",
    "not_sent",
]


@given(
    profile=st.sampled_from(["full", "keys", "lookup"]),
    behaviours=st.lists(st.sampled_from(BEHAVIOURS), min_size=4, max_size=12),
    steps=st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=3, max_size=12),
    cancels=st.booleans(),
    forgets=st.booleans(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_in_any_world_every_capture_ends_with_its_order_or_given_back(
    profile: str, behaviours: list[Behaviour | None], steps: list[tuple[int, bool]], cancels: bool, forgets: bool
) -> None:
    script = list(behaviours)
    world = World(
        capabilities=PROFILES[profile],
        behave=lambda charge, posts: script.pop() if script and posts == 1 else None,
        gateway=Forgetful,
    ).open(number_of_retries=3, delay_between_retries_days=1)
    world.gateway.forgets = forgets and profile == "lookup"
    order_ids = [world.order({"COFFEE": "Weekly"}), world.order({"TEA": "Weekly"})]
    for hours, reconciles in steps:
        world.clock.pass_(hours=hours)
        world.work(twice=True)
        if reconciles:
            walked(world)
    found = [world.shop.auto_orders.oid_by_original_order(order_id) for order_id in order_ids]
    oids = [oid for oid in found if oid is not None]
    if cancels and oids:
        cancel(world, oids[0])
    # From here on nothing goes wrong any more; what is pending or slow comes to its end.
    world.gateway.forgets = False
    script.clear()
    world.travel(4, twice=True)
    world.clock.pass_(hours=1)
    world.work()
    since_the_start(world)
    report = since_the_start(world)
    assert report.balanced(), report
    assert (report.number_of_repaired, report.number_of_held) == (0, 0)
    assert report.number_of_captures == len(world.sandbox.captures())
    before = kept(world)
    since_the_start(world)
    assert kept(world) == before
    world.check(*oids)
    for order_id in order_ids:
        net = [c for c in world.sandbox.captures() if c.order_id == order_id and c.refunded_dts is None]
        paid = world.shop.orders.get(order_id).noun.charge_key
        assert [c.key for c in net] == ([paid] if paid else [])


def test_an_approval_says_all_that_the_list_says() -> None:
    world = World().open()
    world.order({"COFFEE": None})
    [capture] = world.sandbox.captures_since(START).captures
    found = world.sandbox.look_up(capture.key)
    assert isinstance(found, Approved)
    assert (found.transaction_id, found.amount, found.currency_code, found.network_transaction_id) == (
        capture.transaction_id,
        capture.amount,
        capture.currency_code,
        capture.network_transaction_id,
    )
