"""The engine: queues and schedules through app.py's own functions, and a test clock that nobody else works beside."""

import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from chalice.app import Chalice, CloudWatchEvent, Cron, Rate, SQSEvent

from app import app as whole_app
from chalicelib import wiring
from chalicelib.config import QUEUES
from chalicelib.domain.dates import Instant, instant, parse_instant
from chalicelib.domain.errors import Contended
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.payments import Charge
from chalicelib.flows.found_shop import found_shop
from chalicelib.flows.travel import advance
from chalicelib.gateways.queues import MAXIMUM_RECEIVES, VISIBILITY_SECONDS
from chalicelib.wiring import House
from infra.engine import AT_ONCE, MOST_ROUNDS, Engine, Gate
from infra.shop import secret

MERCHANT = "DEMO"


class Machine:
    """The machine's clock, which only tests move."""

    def __init__(self) -> None:
        self.moment = parse_instant("2027-01-31T20:00:00Z")

    def now(self) -> Instant:
        return self.moment

    def pass_(self, **span: int) -> None:
        self.moment = instant(self.moment + timedelta(**span))


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def house(tmp_path: Path, machine: Machine) -> Iterator[House]:
    house = wiring.embedded(tmp_path, "http://127.0.0.1:1", frozenset(), machine.now)
    wiring.use(house)
    yield house
    for store in (house.port, house.extras["mailbox"], *house.payments_of(MERCHANT).values()):
        store.close()  # type: ignore[union-attr]  # the embedded forms close
    for name in ("queues", "clocks"):
        house.extras[name]._db.close()


class Doors:
    """A small app.py that keeps what came through its doors. ``fail`` makes a message fail."""

    def __init__(self, ticks: int = 0) -> None:
        self.came: list[str] = []
        self.ticked = 0
        self.fail = False
        self.left = ticks
        self.app = Chalice("doors")

        @self.app.on_sqs_message(queue="backroom-rebill", batch_size=1, name="rebill")
        def rebill(event: SQSEvent) -> dict[str, Any]:
            (record,) = event.to_dict()["Records"]
            self.came.append(record["messageId"])
            if self.fail:
                return {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
            return {"batchItemFailures": []}

        @self.app.schedule(Rate(5, unit=Rate.MINUTES), name="sweep")
        def sweep(event: CloudWatchEvent) -> int:
            self.ticked += 1
            self.left -= 1
            return int(self.left >= 0)


# --- what it calls ----------------------------------------------------------------------------------------------------


def test_every_queue_and_every_schedule_of_the_whole_app_is_worked_at(house: House) -> None:
    engine = Engine(house, whole_app)
    assert sorted(engine.names()) == sorted(QUEUES)
    assert engine.tick("sweep") == engine.tick("relay") == 0


def test_reconciliation_ticks_in_real_time_and_walks_once_a_day(house: House, machine: Machine) -> None:
    engine = Engine(house, whole_app)
    found_shop(house, MERCHANT, "Demo", "UTC", secret=secret)
    for day in range(1, 3):
        for _ in range(2):
            assert engine.tick("reconcile_all") == 1
            engine.drain()
        reports, _ = house.open_shop(MERCHANT).reconciliations.since("")
        assert [(report.gateway, report.number_of_visits) for report in reports] == [("sandbox", 1)] * day
        assert all(report.balanced() for report in reports)
        machine.pass_(days=1)


def test_a_journey_does_not_reconcile_whatever_days_pass(house: House) -> None:
    engine = Engine(house, whole_app)
    found_shop(house, MERCHANT, "Demo", "UTC", secret=secret)
    engine.run_due()
    advance(house.open_shop(MERCHANT), {"advance_days": 10})
    assert house.open_shop(MERCHANT).reconciliations.since("") == ([], None)


def test_captures_of_another_merchant_in_the_same_ledger_are_none_of_ours(house: House) -> None:
    engine = Engine(house, whole_app)
    for merchant_id in (MERCHANT, "OTHER"):
        found_shop(house, merchant_id, "Shop", "UTC", secret=secret)
    sandbox = house.open_shop("OTHER").payments["sandbox"]
    card = sandbox.tokenise("4111111111111111", 12, 2040)
    charge = Charge(key="bo_x", amount=Decimal(1), currency_code="USD", card=card, order_id="OTHER-1", first=True)
    sandbox.charge(charge)
    engine.tick("reconcile_all")
    engine.drain()
    [ours], [theirs] = (house.open_shop(name).reconciliations.since("")[0] for name in (MERCHANT, "OTHER"))
    assert (ours.number_of_captures, theirs.number_of_held) == (0, 1)


def test_a_schedule_that_is_no_rate_is_refused(house: House) -> None:
    app = Chalice("other")

    @app.schedule(Cron(0, 1, "*", "*", "?", "*"), name="nightly")
    def nightly(event: CloudWatchEvent) -> None:
        return None

    with pytest.raises(ValueError, match="rates only"):
        Engine(house, app)


def test_a_message_is_handled_once_and_gone(house: House) -> None:
    doors = Doors()
    engine = Engine(house, doors.app)
    house.queue.send("rebill", [{"id": "1"}, {"id": "2"}])
    assert engine.drain() == 2
    assert len(set(doors.came)) == 2
    assert (engine.drain(), engine.queues.waiting("rebill")) == (0, 0)


def test_what_a_worker_has_in_hand_and_has_not_begun_with_waits_again_when_it_must_stop(house: House) -> None:
    doors = Doors()
    engine = Engine(house, doors.app)
    house.queue.send("rebill", [{"id": str(number)} for number in range(5)])
    assert engine.handle_some("rebill", go_on=lambda: len(doors.came) < 2) == 2
    left = engine.queues.receive("rebill", 10)
    assert [message.receives for message in left] == [1, 1, 1]
    assert not {message.id for message in left} & set(doors.came)


def test_more_messages_than_are_taken_at_once_are_all_handled_once(house: House) -> None:
    doors = Doors()
    engine = Engine(house, doors.app)
    house.queue.send("rebill", [{"id": str(number)} for number in range(2 * AT_ONCE + 3)])
    assert engine.drain() == len(set(doors.came)) == len(doors.came) == 2 * AT_ONCE + 3
    assert engine.queues.waiting("rebill") == 0


def test_a_message_that_fails_comes_back_and_is_a_dead_letter_in_the_end(house: House, machine: Machine) -> None:
    doors = Doors()
    doors.fail = True
    engine = Engine(house, doors.app)
    house.queue.send("rebill", [{"id": "1"}])
    for _ in range(MAXIMUM_RECEIVES + 1):
        engine.drain()
        machine.pass_(seconds=VISIBILITY_SECONDS + 1)
    assert len(doors.came) == MAXIMUM_RECEIVES
    assert [letter["receives"] for letter in engine.queues.dead_letters("rebill")] == [MAXIMUM_RECEIVES]


def test_a_door_that_raises_loses_no_message(house: House, machine: Machine) -> None:
    app = Chalice("raises")

    @app.on_sqs_message(queue="backroom-rebill", batch_size=1, name="rebill")
    def rebill(event: SQSEvent) -> None:
        raise RuntimeError("broken")

    engine = Engine(house, app)
    house.queue.send("rebill", [{"id": "1"}])
    assert engine.drain() == 1
    assert engine.queues.waiting("rebill") == 1


def test_work_is_done_until_nothing_is_left(house: House) -> None:
    doors = Doors(ticks=3)
    Engine(house, doors.app).run_due()
    assert doors.ticked == 4


def test_work_that_never_rests_is_left_for_the_next_time(house: House) -> None:
    doors = Doors(ticks=10 * MOST_ROUNDS)
    Engine(house, doors.app).run_due()
    assert doors.ticked == MOST_ROUNDS


def test_where_a_clock_has_jumped_hidden_messages_are_taken_once_more(house: House) -> None:
    doors = Doors()
    doors.fail = True
    engine = Engine(house, doors.app)
    house.queue.send("rebill", [{"id": "1"}])
    engine.run_due()
    engine.run_due()
    assert len(doors.came) == 1
    engine.run_due(jumped=True)
    assert len(doors.came) == 2


# --- by itself --------------------------------------------------------------------------------------------------------


def test_it_works_by_itself_on_what_a_killed_engine_had_in_hand_too(house: House) -> None:
    doors = Doors()
    engine = Engine(house, doors.app)
    house.queue.send("rebill", [{"id": "1"}, {"id": "2"}])
    taken = engine.queues.receive("rebill", 1)
    done = threading.Event()
    consume = engine.queues.delete

    def delete(message_ids: Sequence[str]) -> None:
        consume(message_ids)
        if len(doors.came) >= 2:
            done.set()

    engine.queues.delete = delete  # type: ignore[method-assign]  # the test's way to be told
    engine.start()
    assert done.wait(20)
    engine.stop()
    assert taken[0].id in doors.came
    assert doors.ticked == 1
    assert engine.queues.waiting("rebill") == 0


def test_it_stops_in_the_middle_of_nothing(house: House) -> None:
    engine = Engine(house, Doors().app)
    engine.start()
    engine.stop()
    assert not any(thread.is_alive() for thread in engine._threads)


# --- alone ------------------------------------------------------------------------------------------------------------


def test_who_is_alone_waits_for_those_inside_and_keeps_others_out() -> None:
    gate, order = Gate(), []
    inside, leave, entered = threading.Event(), threading.Event(), threading.Event()

    def worker() -> None:
        with gate.working():
            inside.set()
            leave.wait(20)
            order.append("worker")

    def late() -> None:
        with gate.working():
            order.append("late")

    def alone() -> None:
        with gate.alone():
            entered.set()
            order.append("alone")

    threads = [threading.Thread(target=act) for act in (worker, alone, late)]
    threads[0].start()
    assert inside.wait(20)
    threads[1].start()
    assert not entered.wait(0.05)
    leave.set()
    assert entered.wait(20)
    threads[2].start()
    for thread in threads:
        thread.join(20)
    assert order == ["worker", "alone", "late"]


def test_two_cannot_be_alone() -> None:
    gate = Gate()
    with gate.alone(), pytest.raises(Contended), gate.alone():
        pass
    with gate.alone():
        pass


def test_workers_see_that_somebody_wants_to_be_alone() -> None:
    gate = Gate()
    assert not gate.wanted
    with gate.alone():
        assert gate.wanted
    assert not gate.wanted


def test_who_fails_while_alone_leaves_the_gate_open() -> None:
    gate = Gate()
    with pytest.raises(RuntimeError), gate.alone():
        raise RuntimeError
    with gate.working():
        pass


# --- the test clock ---------------------------------------------------------------------------------------------------


def test_the_embedded_house_has_a_test_clock_that_stands_still_while_it_works(house: House, machine: Machine) -> None:
    engine = Engine(house, whole_app)
    shop = house.open_shop(MERCHANT)
    shop.write(shop.configuration.save(Merchant(merchant_id=MERCHANT, time_zone="UTC"), 0))
    travel = shop.travel
    assert travel is not None
    with travel.alone():
        machine.pass_(seconds=30)
        assert shop.clock.now() == parse_instant("2027-01-31T20:00:00Z")
        travel.set(parse_instant("2027-02-01T00:00:00Z"))
        machine.pass_(seconds=30)
        assert shop.clock.now() == parse_instant("2027-02-01T00:00:00Z")
    assert shop.clock.now() == parse_instant("2027-02-01T00:00:30Z")
    assert house.open_shop("OTHER").clock.now() == machine.now()
    told = advance(shop, {"advance_days": 2})
    assert (told["to"], told["number_of_orders"]) == ("2027-02-03T00:00:30+00:00", 0)
    assert engine.clocks.now_of(MERCHANT) == parse_instant("2027-02-03T00:00:30Z")


def test_secrets_are_long_and_never_the_same() -> None:
    assert len({secret() for _ in range(100)}) == 100
    assert all(len(secret()) == 43 for _ in range(3))
