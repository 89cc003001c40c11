"""The engine of the machine's own shop: it consumes the embedded queues and ticks the schedules by calling the very
functions of app.py that AWS would, and it moves test clocks."""

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

from chalice.app import Chalice, ScheduledEventConfig, SQSEventConfig

from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Contended
from chalicelib.flows.ports import Backroom
from chalicelib.gateways.clock import TestClocks
from chalicelib.gateways.queues import EmbeddedQueues, Message
from chalicelib.stores.sqlite import SqliteTables
from chalicelib.wiring import FUNCTION_SECONDS, House

log = logging.getLogger(__name__)

# Queues are named in app.py as on AWS; the embedded ones have their short names.
QUEUE_PREFIX = "backroom-"
# Schedules that tick faster here than their rate on AWS says: who tries things out does not wait a minute for a mail.
FASTER_SECONDS = {"relay": 2.0}
# Schedules that tick in real time only: what is due in a journey is due without them, and this one looks back on days,
# whatever has passed since.
NOT_IN_JOURNEYS = frozenset({"reconcile_all"})
# How often an idle worker looks into its queue, and after a failure of its own tries again.
IDLE_SECONDS = 0.2
AFTER_FAILURE_SECONDS = 1.0
# Messages that one look takes, as many as SQS gives at once: each look and each end of work is a transaction.
AT_ONCE = 10
# And when it takes all: more than ever wait on one machine.
ALL_MESSAGES = 100_000
# Sweeps and queues come to rest after two or three rounds. More means that something is due again as soon as done.
MOST_ROUNDS = 100
# The longest that a message in hand may take; then whoever wants to be alone gives up.
WAIT_FOR_WORKERS_SECONDS = FUNCTION_SECONDS + 5
RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}


class Invocation:
    """What a function learns of its invocation: how much of its time is left. There are as many as messages, and
    Chalice's own draws a name by chance for each."""

    def __init__(self) -> None:
        self._ends = time.monotonic() + FUNCTION_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._ends - time.monotonic()) * 1000))


class Gate:
    """Workers pass freely until somebody wants to be alone."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0
        self._alone = False

    @property
    def wanted(self) -> bool:
        """Whether somebody is alone, or waits to be."""
        return self._alone

    @contextmanager
    def working(self) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self._alone)
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Raises Contended where somebody is alone already, or a worker does not come out."""
        with self._condition:
            if self._alone:
                raise Contended("somebody moves a clock at this moment; try again when that is done")
            self._alone = True
        try:
            with self._condition:
                if not self._condition.wait_for(lambda: not self._inside, timeout=WAIT_FOR_WORKERS_SECONDS):
                    raise Contended("a worker has not finished in time; try again")
            yield
        finally:
            with self._condition:
                self._alone = False
                self._condition.notify_all()


class Engine:
    """``app`` is app.py's: its queue consumers and schedules are what this engine calls."""

    def __init__(self, house: House, app: Chalice) -> None:
        queues, clocks = house.extras["queues"], house.extras["clocks"]
        if not isinstance(queues, EmbeddedQueues) or not isinstance(clocks, TestClocks):
            raise TypeError("the engine works in an embedded house only")
        self.house = house
        self.queues = queues
        self.clocks = clocks
        self.gate = Gate()
        self._consumers = dict(_consumers(app))
        self._schedules = dict(_schedules(app))
        self._in_journeys = [name for name in self._schedules if name not in NOT_IN_JOURNEYS]
        self._seconds = {name: FASTER_SECONDS.get(name, seconds) for name, (_, seconds) in self._schedules.items()}
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        house.travel_of = self.travel_of

    def travel_of(self, merchant_id: str) -> "Traveller":
        return Traveller(self, merchant_id)

    def names(self) -> list[str]:
        """Of the queues that it consumes."""
        return list(self._consumers)

    # --- doing -------------------------------------------------------------------------------------------------------

    def tick(self, name: str) -> int:
        """Call a schedule's function once. Returns what it counted."""
        function, _ = self._schedules[name]
        return int(function(_scheduled(name, self.house.latest_now()), Invocation()) or 0)

    def sweep_away(self) -> int:
        """What has expired by the machine's clock goes, as from DynamoDB's tables by itself. Returns how many
        records."""
        port = self.house.port
        return port.sweep(time.time()) if isinstance(port, SqliteTables) else 0

    def drain(self) -> int:
        """Handle every message that may be received, of all queues. Returns how many; those that failed stay hidden
        until their time is over."""
        done = 0
        while took := sum(self.handle_some(queue) for queue in self._consumers):
            done += took
        return done

    def run_due(self, *, jumped: bool = False) -> None:
        """Tick and drain until nothing that is due is left to do. ``jumped``: a clock did, so what was hidden for a
        while is taken once more."""
        if jumped:
            for queue in self._consumers:
                self.handle_some(queue, hidden_too=True)
        for _ in range(MOST_ROUNDS):
            done = 0
            for name in self._in_journeys:
                done += self.tick(name) + self.drain()
            if not done:
                return
        log.warning("work does not come to rest; going on in %d rounds", MOST_ROUNDS)

    def handle_some(self, queue: str, *, hidden_too: bool = False, go_on: Callable[[], bool] = lambda: True) -> int:
        """Take what waits in one queue and handle it, message by message, as long as ``go_on`` says so; what is left
        waits again. Returns how many."""
        messages = self.queues.receive(queue, ALL_MESSAGES if hidden_too else AT_ONCE, hidden_too=hidden_too)
        left, done = deque(messages), list[str]()
        while left and go_on():
            message = left.popleft()
            if self._handled(queue, message):
                done.append(message.id)
            if len(done) == AT_ONCE:
                self.queues.delete(done)
                done.clear()
        self.queues.delete(done)
        self.queues.give_back([message.id for message in left])
        return len(messages) - len(left)

    def _handled(self, queue: str, message: Message) -> bool:
        """Whether the message is done with."""
        try:
            answer = self._consumers[queue](_received(queue, message), Invocation())
        except Exception:
            log.exception("a message of %s failed", queue)
            return False
        failed = {failure["itemIdentifier"] for failure in (answer or {}).get("batchItemFailures", [])}
        return message.id not in failed

    # --- by itself ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """One thread a queue, and one for the schedules."""
        for queue in self._consumers:
            self._begin(f"queue-{queue}", partial(self._consume, queue))
        self._begin("schedules", self._keep_time)

    def stop(self) -> None:
        """Let every worker finish what it has in hand."""
        self._stop.set()
        for thread in self._threads:
            thread.join(WAIT_FOR_WORKERS_SECONDS)

    def _begin(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _consume(self, queue: str) -> None:
        # What an engine that was killed had in hand is hidden still; nobody else works on this data now.
        self._guarded(lambda: self.handle_some(queue, hidden_too=True, go_on=self._goes_on))
        while not self._stop.is_set():
            if not self._guarded(lambda: self.handle_some(queue, go_on=self._goes_on)):
                self._stop.wait(IDLE_SECONDS)

    def _goes_on(self) -> bool:
        """Whether a worker may take the next message that it has in hand."""
        return not self._stop.is_set() and not self.gate.wanted

    def _keep_time(self) -> None:
        due = dict.fromkeys(self._schedules, 0.0)
        next_sweep = 0.0
        while not self._stop.is_set():
            if time.monotonic() >= next_sweep:
                self._guarded(self.sweep_away)
                next_sweep = time.monotonic() + UNIT_SECONDS["day"]
            for name in self._schedules:
                if time.monotonic() >= due[name]:
                    self._guarded(partial(self.tick, name))
                    due[name] = time.monotonic() + self._seconds[name]
            self._stop.wait(IDLE_SECONDS)

    def _guarded(self, act: Callable[[], int]) -> int:
        """Nothing ends a worker but the end of the engine."""
        try:
            with self.gate.working():
                return act()
        except Exception:
            log.exception("%s failed", threading.current_thread().name)
            self._stop.wait(AFTER_FAILURE_SECONDS)
            return 0


class Traveller:
    """The test clock of one merchant (``flows.ports.Travel``)."""

    def __init__(self, engine: Engine, merchant_id: str) -> None:
        self._engine = engine
        self._merchant_id = merchant_id

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._engine.gate.alone(), self._engine.clocks.standing_still(self._merchant_id):
            yield

    def set(self, now: Instant) -> None:
        self._engine.clocks.set(self._merchant_id, now)

    def run_due(self) -> None:
        self._engine.run_due(jumped=True)

    def backroom(self) -> Backroom:
        return self._engine.house.backroom()


# --- what app.py declares -------------------------------------------------------------------------------------------


def _consumers(app: Chalice) -> Iterator[tuple[str, Callable[..., Any]]]:
    for source in app.event_sources:
        if isinstance(source, SQSEventConfig):
            yield str(source.queue).removeprefix(QUEUE_PREFIX), app.handler_map[source.name]


def _schedules(app: Chalice) -> Iterator[tuple[str, tuple[Callable[..., Any], float]]]:
    for source in app.event_sources:
        if isinstance(source, ScheduledEventConfig):
            expression = source.schedule_expression
            text = expression if isinstance(expression, str) else expression.to_string()
            yield source.name, (app.handler_map[source.name], _seconds(text))


def _seconds(expression: str) -> float:
    found = RATE.fullmatch(expression)
    if found is None:
        raise ValueError(f"the embedded engine knows rates only, not {expression}")
    return float(int(found[1]) * UNIT_SECONDS[found[2]])


# --- events, as AWS makes them --------------------------------------------------------------------------------------


def _received(queue: str, message: Message) -> Mapping[str, Any]:
    record = {
        "messageId": message.id,
        "receiptHandle": message.id,
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.receives)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:local:000000000000:{QUEUE_PREFIX}{queue}",
        "awsRegion": "local",
    }
    return {"Records": [record]}


def _scheduled(name: str, now: Instant) -> Mapping[str, Any]:
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": str(now),
        "region": "local",
        "resources": [f"arn:aws:events:local:000000000000:rule/{name}"],
        "detail": {},
    }
