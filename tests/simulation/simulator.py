"""Worlds to break, by the thousand: the real flows on the embedded engine under faults that a seed draws.

A world is two auto orders over forty days; in one of five balances pay for some. Sweeps, relays, workers and customers
are greenlets in one thread; a loop decides who goes on, so a seed plays the same world again. The gateway's ledger is
the oracle. Each kind of fault draws from a stream of its own, off, low or high in each world; the last fifth of the
time is quiet.

    python -m tests.simulation.simulator 17        one world
    python -m tests.simulation.simulator 0-2000    a range, with its totals
"""

import dataclasses
import gc
import heapq
import itertools
import logging
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from random import Random
from typing import Any

from greenlet import getcurrent, greenlet
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import AutoOrder, next_occurrence
from chalicelib.domain.dates import Instant, instant, local_date, midnight, parse_instant
from chalicelib.domain.errors import Contended, Invalid, Refused
from chalicelib.domain.events import Event
from chalicelib.domain.gift_certificates import ledger_id
from chalicelib.domain.heads import Head, shard_of
from chalicelib.domain.items import ItemAutoOrder
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import Attempt, ClosedAttempt, Declined
from chalicelib.domain.schedule import Frequency
from chalicelib.flows import edit, gift_certificates
from chalicelib.flows import ledgers as posting
from chalicelib.flows.facts import read_facts
from chalicelib.flows.gateway_events import HINT, look_into
from chalicelib.flows.ports import Backroom, Shop
from chalicelib.flows.purchase import look_at, pay
from chalicelib.flows.rebill import rebill, too_close
from chalicelib.flows.reconcile import DAYS as RECONCILED_DAYS
from chalicelib.flows.reconcile import GIVEN_BACK, RECONCILE_QUEUE, begin, go_on
from chalicelib.flows.sweep import REBILL_QUEUE, events_due, sweep
from chalicelib.flows.tell import tell
from chalicelib.gateways.sandbox import PROFILES, Sandbox
from chalicelib.stores import heads as kept_heads
from chalicelib.stores.port import Put, Update
from chalicelib.stores.sqlite import SqliteTables
from chalicelib.stores.tables import DUE_SHARDS
from chalicelib.stores.waiting import Waiting
from chalicelib.wiring import House
from tests.balances import a_certificate, a_customer_with, certificate_oid, paying_with
from tests.cutting import Crash
from tests.simulation.doors import DAY, GatewayDoor, PortDoor, SimulatedGateway
from tests.worlds import MERCHANT, NEW_YORK, NoOutside, World

START = parse_instant("2027-02-10T15:00:00-05:00")
DAYS = 40
END = DAYS * DAY
QUIET_FROM = 0.8 * END
# What was paused goes on by then: what it missed is caught up a day at a time.
CAUGHT_UP_FROM = END - 5 * DAY
SWEEP_EVERY, RELAY_EVERY = 300.0, 60.0
FUNCTION_SECONDS = 60.0
REDELIVERED_AFTER = 360.0
RECEIVES = 3
LONGEST_STALL = 480.0

# Each kind of fault: how likely it is at each chance to happen, low and high.
FAULTS: dict[str, tuple[float, float]] = {
    # at every call that leaves a worker, a sweep, a relay, a customer or the merchant
    "crash_before": (0.004, 0.025),
    "crash_after": (0.004, 0.025),
    "lost_answer": (0.006, 0.04),
    "busy": (0.004, 0.03),
    "busy_but_written": (0.002, 0.015),
    "stall": (0.01, 0.06),
    # at every message
    "duplicate_message": (0.1, 0.5),
    "dropped_message": (0.05, 0.25),
    "late_message": (0.1, 0.4),
    # at every post to the gateway, and every look-up
    "timeout_before_capture": (0.06, 0.3),
    "timeout_after_capture": (0.06, 0.3),
    "late_capture": (0.06, 0.3),
    "unheard_decline": (0.15, 0.5),
    "duplicate_answer": (0.05, 0.25),
    "other_amount": (0.02, 0.1),
    "decline": (0.06, 0.3),
    "pending": (0.04, 0.2),
    "not_sent": (0.05, 0.25),
    "lookup_unanswered": (0.05, 0.3),
    # at every due moment
    "cancel": (0.03, 0.12),
    "pause": (0.03, 0.12),
    "redate": (0.03, 0.12),
    "new_price": (0.05, 0.2),
    "by_hand": (0.06, 0.2),
    # in every world
    "purchase": (0.7, 1.0),
    "index_lag": (45.0, 180.0),
    "skewed_clock": (2.0, 6.0),
    "outage": (0.4, 1.0),
    # a gateway that breaks its own word: the capture comes after the quarantine, and a message of it
    "overlong_capture": (0.1, 0.4),
}
MOST_SKEW = FAULTS["skewed_clock"][1]
# What a rule of the charge protocol comes to where it is rarely needed. A run in which one was never met proves nothing
# of it, and fails.
BRANCHES = (
    # who may send, and when
    "reauthorised_before_the_first_post",
    "changed_after_the_claim",
    "too_little_time_to_send",
    "not_sent_and_tried_again",
    "was_that_me",
    "skipped_by_lease",
    # what becomes of an unknown outcome
    "found_by_asking",
    "posted_again",
    "not_posted_again_after_a_change",
    "closed_after_quarantine",
    "charged_anew_after_quarantine",
    "edited_while_open",
    "payment_review",
    "pending_settled",
    "pending_returned",
    # whoever learns an outcome may record it
    "paid_after_the_cancel",
    "late_capture_got_its_order",
    "second_capture_given_back",
    "found_by_event",
    "found_by_reconciliation",
    # runs and rounds
    "paid_in_a_later_round",
    "declined_out",
    "declined_for_good",
    "caught_up",
    "passed_over",
    "run_closed_without_a_charge",
    "billed_by_hand",
    "enabled_by_hand",
    # first payments
    "first_payment",
    "first_payment_found_out",
    "first_payment_declined",
    # balances that pay
    "paid_with_a_balance",
    "paid_by_a_balance_alone",
)
# Schedules of the first and of the second auto order, the merchant's rules.
VARIANTS: tuple[tuple[dict[str, str], dict[str, str], dict[str, Any]], ...] = (
    ({"BEANS": "Weekly", "LEAVES": "Biweekly"}, {"LEAVES": "Every 28 Days"}, {"number_of_retries": 2}),
    ({"BEANS": "Biweekly"}, {"LEAVES": "Every 24 Days"}, {"number_of_retries": 3}),
    ({"BEANS": "Every 24 Days", "LEAVES": "Every 28 Days"}, {"LEAVES": "Every 24 Days"}, {"number_of_retries": 2}),
    (
        {"BEANS": "Every 10 Days"},
        {"LEAVES": "Every 28 Days"},
        {"number_of_retries": 1, "do_not_bill_prior_missed_shipments": True},
    ),
    ({"BEANS": "Every 24 Days"}, {"LEAVES": "Every 28 Days"}, {"number_of_retries": 2}),
)
# How often each of them is drawn: most of what can go wrong goes wrong around one rebill.
OFTEN = (2, 4, 4, 3, 12)
# A first order, paid for so late that its auto order bills nothing within the world.
BOUGHT: dict[str, str | None] = {"LEAVES": "Every 28 Days"}
BOUGHT_BETWEEN = (13 * DAY, 31 * DAY)
SHOPPERS_TRIES = 4
PERIODS: dict[Frequency, int] = {
    "Weekly": 7,
    "Every 10 Days": 10,
    "Biweekly": 14,
    "Every 24 Days": 24,
    "Every 28 Days": 28,
}


# How often balances pay in a world, and how much there is: for the first rebill, and some of the next.
BALANCES_PAY = 0.2
STORE_CREDIT, CERTIFICATE = "25", "4"
# Tables whose writes are followed; the event of a paid order; why nothing was sent for an attempt, by its row's reason.
FOLLOWED = frozenset({"auto_orders", "orders", "events"})
PAID_EVENT = "order_payment_process"
NOT_SENT_BRANCHES = {
    "it was changed at this moment": "changed_after_the_claim",
    "too little time was left to send": "too_little_time_to_send",
}


# What people do near a due moment.
MEDDLING = ("cancel", "pause", "redate", "new_price", "by_hand")
# Of a due key, how long its moment is.
SECONDS_LONG = len("2027-02-10T20:00:00Z")
# Violations that a report names; the rest is only counted.
MOST_SHOWN = 20


class Mutation:
    """What a mutant puts between the flows and the world. This one changes nothing."""

    reconciles = True

    def port(self, port: Any) -> Any:
        return port

    def gateway(self, gateway: Any) -> Any:
        return gateway


@dataclass
class Totals:
    """``aimed``: what the worlds were aimed at, as the command line takes it."""

    aimed: str = ""
    worlds: int = 0
    captures: int = 0
    orders: int = 0
    posts: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    branches: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, str]] = field(default_factory=list)

    def add(self, world: "Simulation") -> None:
        self.worlds += 1
        self.captures += world.number_of_captures
        self.orders += world.number_of_orders
        self.posts += len(world.posts)
        self.faults += world.faults
        self.branches += world.branches
        self.violations += [(world.seed, text) for text in world.violations]

    def merge(self, other: "Totals") -> None:
        for name in ("worlds", "captures", "orders", "posts"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults += other.faults
        self.branches += other.branches
        self.violations += other.violations

    def told(self) -> str:
        worlds = f"{self.worlds:,} worlds, {self.captures:,} captures, {self.orders:,} orders of rebills"
        lines = [
            f"{worlds}, {self.posts:,} posts, {len(self.violations)} violations",
            "faults: " + ", ".join(f"{kind} {self.faults[kind]:,}" for kind in FAULTS),
            "branches: " + ", ".join(f"{name} {self.branches[name]:,}" for name in BRANCHES),
        ]
        lines += [f"seed {seed}: {text}" for seed, text in self.violations[:MOST_SHOWN]]
        if self.violations:
            lines.append(f"play it again: python -m tests.simulation.simulator {self.violations[0][0]} {self.aimed}")
        return "\n".join(lines)

    def never_met(self) -> list[str]:
        return [kind for kind in FAULTS if not self.faults[kind]] + [b for b in BRANCHES if not self.branches[b]]


# --- a prepared shop, cloned for each world --------------------------------------------------------------------------


@dataclass(frozen=True)
class Prepared:
    """``heads`` by the names of their auto orders, and that of the order that nobody has paid for. ``ledgers`` by their
    names, with what is on them."""

    tables: SqliteTables
    sandbox: Sandbox
    oids: tuple[int, ...]
    unpaid: str
    heads: dict[str, dict[str, Any]]
    documents: dict[str, AutoOrder]
    totals: dict[str, int]
    ledgers: dict[str, Decimal]


@cache
def prepared(variant: int, balances_pay: bool) -> Prepared:
    first, second, rules = VARIANTS[variant]
    world = World(start=START).open(delay_between_retries_days=1, use_store_credit_for_rebills=balances_pay, **rules)
    had, paying = dict[str, Decimal](), dict[str, Any]()
    if balances_pay:
        credit = gift_certificates.internal(world.shop, a_customer_with(world, STORE_CREDIT))
        code = a_certificate(world, CERTIFICATE)
        had = {ledger_id(credit): Decimal(STORE_CREDIT), ledger_id(certificate_oid(world, code)): Decimal(CERTIFICATE)}
        paying = paying_with(code)
    for item_id, cost in (("BEANS", "17.95"), ("LEAVES", "9.50")):
        world.sell(item_id, cost, ItemAutoOrder(auto_orderable=True, auto_order_schedules=list(PERIODS)))
    oids = (world.subscribe(dict(first)), world.subscribe(dict(second)))
    unpaid = world.place(dict(BOUGHT), **paying)
    world.tell_all()
    tables = world.tables
    assert isinstance(tables, SqliteTables)
    named = {str(oid): tables.get("auto_orders", f"{MERCHANT}#{oid}", kept_heads.HEAD) or {} for oid in oids}
    named[unpaid] = tables.get("orders", f"{MERCHANT}#{unpaid}", kept_heads.HEAD) or {}
    return Prepared(
        tables=tables,
        sandbox=world.sandbox,
        oids=oids,
        unpaid=unpaid,
        heads=named,
        documents={str(oid): world.document(oid) for oid in oids},
        totals=day_totals(world.shop),
        ledgers=had,
    )


def day_totals(shop: Shop) -> dict[str, int]:
    added: Counter[str] = Counter()
    for _, amounts in shop.lists.days("2027-01-01", "2027-12-31"):
        added.update({name: int(amount) for name, amount in amounts.items()})
    return dict(added)


# --- time ------------------------------------------------------------------------------------------------------------


class Loop:
    """One thread, many who wait: the earliest goes on. Whoever waits in a greenlet lets the others go on meanwhile."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Any]] = []
        self._count = itertools.count()
        self._hub = getcurrent()

    def at(self, moment: float, act: Callable[[], Any]) -> None:
        """Something that waits for nobody."""
        heapq.heappush(self._heap, (max(moment, self.now), next(self._count), act))

    def begin(self, moment: float, act: Callable[[], Any]) -> None:
        """Somebody who may wait on his way."""
        self.at(moment, greenlet(act, self._hub).switch)

    def wait(self, seconds: float) -> None:
        until, heap = self.now + seconds, self._heap
        if not heap or heap[0][0] > until:
            # Nobody else would go on before: no need to leave.
            self.now = until
            return
        heapq.heappush(heap, (until, next(self._count), getcurrent().switch))
        self._hub.switch()

    def run(self, until: float) -> None:
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, go_on = heapq.heappop(heap)
            go_on()
        self.now = until


@lru_cache(maxsize=100_000)
def moment_of(second: int) -> Instant:
    return instant(START + timedelta(seconds=second))


@lru_cache(maxsize=100_000)
def second_of(text: str) -> float:
    return (parse_instant(text) - START).total_seconds()


@dataclass
class Claim:
    """A permission to send, as the store granted it."""

    subject: str
    attempt: Attempt
    first_post: float | None = None
    # The gateway said that it is pending, and that was written down.
    pending: bool = False


@dataclass
class Visit:
    """What one greenlet has done so far: its permissions, what it learnt by asking, how often it wrote."""

    role: str = "nobody"
    skew: int = 0
    began: float = 0.0
    permissions: dict[str, float] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    found: set[str] = field(default_factory=set)
    acts: int = 0


class WhereAnythingIs(Waiting):
    """The due indexes that are not empty: orders stand in theirs once somebody has paid for one; nobody edits in
    batches, and there are no ledgers."""

    bought = False

    def shards(self) -> list[str]:
        return []

    def due(self, table: str, *given: Any, **named: Any) -> Any:
        if table not in ("auto_orders", "events") and not (table == "orders" and self.bought):
            return [], None
        return super().due(table, *given, **named)


class TotalsOnly:
    """The lists of a shop of which nobody ever searches anything: its rows are left out, its day totals are counted."""

    def __init__(self, lists: Any) -> None:
        self.counted = lists.counted

    def note(self, *given: Any, **named: Any) -> bool:
        return True


class NoEndpoints:
    """Nobody has asked to be told."""

    def all(self) -> list[Any]:
        return []


# --- the world -------------------------------------------------------------------------------------------------------


class Simulation(World):
    """One world of one seed. ``aim`` turns faults on by name (1 low, 2 high) and all others off."""

    def __init__(
        self,
        seed: int,
        *,
        mutation: Mutation | None = None,
        aim: dict[str, int] | None = None,
        profile: str | None = None,
    ) -> None:
        self.seed = seed
        self.loop = Loop()
        self.violations: list[str] = []
        self.faults: Counter[str] = Counter()
        self.branches: Counter[str] = Counter()
        self.posts: list[tuple[float, str]] = []
        self._draw_world(aim, profile)
        self._visits: dict[Any, Visit] = {}
        self._nobody = Visit()
        self._clone()
        self.mutation = mutation or Mutation()
        self.others = {}
        self.ledger = SimulatedGateway(self)
        self.gateway = self.mutation.gateway(GatewayDoor(self, self.ledger))
        self.outside = NoOutside()
        self._numbers = itertools.count(900_001)
        words = itertools.count(1)
        now = self.moment if "skewed_clock" in self.rates else self.true_moment
        self.house = House(
            port=self.mutation.port(PortDoor(self, self.embedded)),
            now_of=lambda merchant_id: now(),
            latest_now=now,
            queue=self,
            mailer_of=lambda merchant_id: self.outside,
            http=self.outside,
            payments_of=lambda merchant_id: {"sandbox": self.gateway},
            oids=lambda: self._numbers,
            word=lambda: f"owner-{next(words)}",
            shuffled=list,
        )
        self._waiting = WhereAnythingIs(self.house.port)
        self._backroom_of_all = dataclasses.replace(self.house.backroom(self.time_left), waiting=self._waiting)
        self._shop = self.house.open_shop(MERCHANT, self.time_left)
        self._telling = dataclasses.replace(self._shop, lists=TotalsOnly(self._shop.lists), webhooks=NoEndpoints())

    def _draw_world(self, aim: dict[str, int] | None, profile: str | None) -> None:
        chance = Random(f"{self.seed}:world")
        self.profile = chance.choices(("full", "keys", "lookup"), (6, 1, 6))[0]
        self.variant = chance.choices(range(len(VARIANTS)), OFTEN)[0]
        # A draw of its own, so that the other seeds play the worlds that they played before.
        self.balances_pay = Random(f"{self.seed}:balances").random() < BALANCES_PAY
        self.honest_time = chance.random() < 0.5
        levels = {kind: chance.choices((0, 1, 2), (5, 3, 2))[0] for kind in FAULTS}
        if chance.random() < 0.5 or self.profile != "lookup":
            levels["overlong_capture"] = 0
        if chance.random() < 0.8 and self.profile == "keys":
            # Nobody can be asked what became of it, so each goes to a person and its auto order rests.
            levels["pending"] = 0
        if aim is not None:
            levels = {kind: aim.get(kind, 0) for kind in FAULTS}
        self.profile = profile or self.profile
        self.can = PROFILES[self.profile]
        if self.profile == "lookup":
            # How long a capture takes to show, as the gateway declares it.
            self.can = replace(self.can, lookup_lag=chance.choice((0, 600, 1500)))
        self.rates = {kind: FAULTS[kind][level - 1] for kind, level in levels.items() if level}
        drawn = (*self.rates, "latency", "order", "outcome", "event")
        self.streams = {kind: Random(f"{self.seed}:{kind}") for kind in drawn}
        self._latency = self.streams["latency"].random
        self._outages: list[tuple[float, float]] = []

    def _clone(self) -> None:
        made = prepared(self.variant, self.balances_pay)
        lag = self._lag if "index_lag" in self.rates else None
        self.tables = self.embedded = SqliteTables(index_lag=lag, now=lambda: self.loop.now)
        # What a call would have cost is told elsewhere (tests/bench).
        self.embedded.meter.limit = 0
        made.tables._db.backup(self.embedded._db)
        self.sandbox = Sandbox(now=self.true_moment, capabilities=self.can)
        made.sandbox._db.backup(self.sandbox._db)
        self.oids, self.unpaid = made.oids, made.unpaid
        self.heads = {name: dict(head) for name, head in made.heads.items()}
        self.documents = dict(made.documents)
        self.began = dict.fromkeys(map(str, made.oids), local_date(START, NEW_YORK))
        self.claims: dict[str, Claim] = {}
        self.billed: dict[tuple[int, int], int] = {}
        self._last_open = ""
        self.number_of_captures = self.number_of_orders = 0
        self.placed: dict[str, Order] = {}
        self.closed: dict[tuple[str, int, int], ClosedAttempt] = {}
        self.reviewed: set[str] = set()
        self.edits: Counter[str] = Counter()
        self.by_hand: Counter[str] = Counter()
        self.untold: dict[str, float] = {}
        # Index entries show in the order in which they were written: by then every one that was written so far.
        self._shows_at = 0.0
        self._sweep_at = self._relay_at = -1.0
        self._last_sweep = self._last_relay = -1.0
        self._reconciliations: set[float] = set()

    # --- time and chance ---------------------------------------------------------------------------------------------

    def true_moment(self) -> Instant:
        return moment_of(int(self.loop.now))

    def moment(self) -> Instant:
        return moment_of(int(self.loop.now) + self.visit_now().skew)

    def visit_now(self) -> Visit:
        return self._visits.get(getcurrent(), self._nobody)

    @property
    def quiet(self) -> bool:
        return self.loop.now >= QUIET_FROM

    def happens(self, kind: str) -> bool:
        rate = self.rates.get(kind)
        if rate is None or self.loop.now >= QUIET_FROM or self.streams[kind].random() >= rate:
            return False
        self.faults[kind] += 1
        return True

    def _lag(self) -> float:
        if self.quiet:
            return 0.0
        self.faults["index_lag"] += 1
        lag = self.streams["index_lag"].uniform(0, self.rates["index_lag"])
        self._shows_at = max(self._shows_at, self.loop.now + lag)
        return lag

    def step(self) -> None:
        """A call is under way: the others may go on meanwhile."""
        if getcurrent() not in self._visits:
            return
        seconds = 0.02 + 0.4 * self._latency()
        if self.happens("stall"):
            seconds += self.streams["stall"].uniform(1, LONGEST_STALL)
        self.loop.wait(seconds)

    def violated(self, text: str) -> None:
        self.violations.append(f"day {self.loop.now / DAY:.3f}: {text}")

    # --- who works ---------------------------------------------------------------------------------------------------

    def start(self, role: str, moment: float, act: Callable[[], Any], again: Callable[[], None] | None = None) -> None:
        """Somebody works from that moment on; a crash ends him, and ``again`` is what follows from it."""

        def works() -> None:
            me, skew = getcurrent(), 0
            if "skewed_clock" in self.rates and not self.quiet:
                most = int(self.rates["skewed_clock"])
                skew = self.streams["skewed_clock"].randint(-most, most)
                self.faults["skewed_clock"] += skew != 0
            self._visits[me] = Visit(role=role, skew=skew, began=self.loop.now)
            try:
                act()
            except (Crash, Contended):
                if again:
                    again()
            except Exception as error:  # noqa: BLE001  # whatever it is, the world is wrong
                self.violated(f"{role}: {type(error).__name__}: {error}")
            finally:
                del self._visits[me]

        self.loop.begin(moment, works)

    def time_left(self) -> float:
        return FUNCTION_SECONDS - (self.loop.now - self.visit_now().began) if self.honest_time else FUNCTION_SECONDS

    @property
    def shop(self) -> Shop:
        """One for all: it holds nothing but ways to the tables, and whoever asks it has his own time left."""
        return self._shop

    def _backroom(self, names: Iterable[str]) -> Backroom:
        """One that looks only where anything stands; the rest would be empty queries."""
        used = sorted({shard_of(MERCHANT, name, DUE_SHARDS) for name in names})
        self.streams["order"].shuffle(used)
        return dataclasses.replace(self._backroom_of_all, shuffled=lambda shards: used)

    def plan_sweep(self) -> None:
        """The next sweep that has anything to do; all others would find nothing."""
        dues = self._dues()
        if not dues:
            return
        due, name = min((due, name) for name, due in dues)
        moment = _tick(max(due, self._last_sweep + 1, self.loop.now, self._shows_at), SWEEP_EVERY)
        if 0 <= self._sweep_at <= moment or moment > END:
            return
        self._sweep_at = moment
        if due > self.loop.now + SWEEP_EVERY:
            self._meddle(moment, name)

        def work() -> None:
            if self._sweep_at != moment:
                return
            self._sweep_at = -1.0
            # Where every index entry is as its record is, only what is due is looked for.
            lagging = self._shows_at > moment
            names = [name for name, due in self._dues() if lagging or due <= moment + MOST_SKEW]
            if not names and not lagging:
                # Somebody has done it meanwhile.
                self.plan_sweep()
                return
            self._last_sweep = moment
            self.start("sweep", moment, lambda: sweep(self._backroom(names)))
            self.loop.at(moment + 5, self.plan_sweep)

        self.loop.at(moment, work)

    def _dues(self) -> list[tuple[str, float]]:
        return [
            (name, second_of(str(head["due_key"])[:SECONDS_LONG]))
            for name, head in self.heads.items()
            if "due_key" in head
        ]

    def plan_relay(self) -> None:
        if not self.untold:
            return
        due = min(self.untold.values())
        moment = _tick(max(due, self._last_relay + 1, self.loop.now, self._shows_at), RELAY_EVERY)
        if 0 <= self._relay_at <= moment or moment > END:
            return
        self._relay_at = moment

        def work() -> None:
            self._last_relay, self._relay_at = moment, -1.0
            if not self.untold:
                return
            self.start("relay", moment, lambda: events_due(self._backroom(self.untold), self._tell))
            self.loop.at(moment + 5, self.plan_relay)

        self.loop.at(moment, work)

    def _tell(self, merchant_id: str, event_id: str) -> None:
        tell(self._telling, event_id)

    def reconcile_daily(self) -> None:
        """From now on there is something for the daily reconciliation to find, for as long as it walks past it."""
        first = _tick(self.loop.now + 1, DAY)
        for moment in (first + day * DAY for day in range(RECONCILED_DAYS)):
            if self.mutation.reconciles and moment not in self._reconciliations and moment < END:
                self._reconciliations.add(moment)
                self._deliver("reconciliation", lambda: begin(self.shop), moment)

    # --- the queue ---------------------------------------------------------------------------------------------------

    def send(self, queue: str, messages: Sequence[dict[str, str]]) -> None:
        self.step()
        if queue not in (REBILL_QUEUE, RECONCILE_QUEUE):
            return
        for message in messages:
            # What is due is sent again at every sweep; nothing else may get lost on the way.
            if queue == REBILL_QUEUE and self.happens("dropped_message"):
                continue
            for _ in range(2 if self.happens("duplicate_message") else 1):
                delay = 0.1 + self._latency()
                if self.happens("late_message"):
                    delay += self.streams["late_message"].uniform(1, 2400)
                self._deliver(*self._handler(message), self.loop.now + delay)

    def _handler(self, message: dict[str, str]) -> tuple[str, Callable[[], object]]:
        """Who works on a message, and what he does."""
        if "day" in message:
            return "reconciliation", lambda: go_on(self.shop, message["gateway"], message["day"])
        name = message["id"]
        if message["kind"] == HINT:
            return "event", lambda: look_into(self.shop, message["gateway"], name, message["key"])
        if name == self.unpaid:
            return "worker", lambda: look_at(self.shop, name)
        return "worker", lambda: self._visit(name)

    def _visit(self, name: str) -> None:
        visit, lease = self.visit_now(), self.heads[name].get("lease_until")
        rebill(self.shop, int(name))
        if visit.acts == 0 and lease and self.moment() < parse_instant(str(lease)):
            self.branches["skipped_by_lease"] += 1

    def _deliver(self, role: str, work: Callable[[], object], moment: float, receives: int = RECEIVES) -> None:
        def again() -> None:
            if receives > 1:
                self._deliver(role, work, self.loop.now + REDELIVERED_AFTER, receives - 1)

        self.start(role, moment, work, again)

    # --- people ------------------------------------------------------------------------------------------------------

    def _meddle(self, due: float, name: str) -> None:
        """Customers and the merchant near a due moment, mostly of the auto order that is due; an outage of the gateway
        over it."""
        for kind in MEDDLING:
            if kind in self.rates and due < QUIET_FROM and self.happens(kind):
                chance = self.streams[kind]
                # At that moment; or while a retry waits for its day.
                moment = due + chance.uniform(-10, 60) if chance.random() < 0.7 else chance.uniform(self.loop.now, due)
                other = name == self.unpaid or chance.random() < 0.25
                self._meddle_at(moment, kind, self.oids[chance.randrange(2)] if other else int(name))
        if "outage" in self.rates and not self._outages and due < QUIET_FROM - DAY and self.happens("outage"):
            begins = due - self.streams["outage"].uniform(0, 1800)
            self._outages.append((begins, begins + self.streams["outage"].uniform(0.5, 6) * 3600))

    def _meddle_after_the_claim(self, name: str) -> None:
        """Somebody edits between the claim and the charge, or while it is on its way."""
        for kind in ("cancel", "pause", "redate"):
            if kind in self.rates and name != self.unpaid:
                chance = self.streams[kind]
                if chance.random() < 0.4 and self.happens(kind):
                    self._meddle_at(self.loop.now + chance.uniform(0, 8), kind, int(name))

    def _meddle_at(self, moment: float, kind: str, oid: int) -> None:
        chance = self.streams[kind]

        def act() -> None:
            shop = self.shop
            try:
                if kind == "cancel":
                    edit.update(shop, oid, {"enabled": False, "canceled_by_user": "customer"})
                    if chance.random() < 0.5:
                        back = self.loop.now + chance.uniform(10, 5 * DAY)
                        self.start("customer", back, lambda: edit.update(self.shop, oid, {"enabled": True}))
                elif kind == "pause":
                    edit.pause(shop, oid)
                    longest = 4 * DAY if chance.random() < 0.5 else 16 * DAY
                    back = min(self.loop.now + chance.uniform(60, longest), CAUGHT_UP_FROM)
                    self._resume(max(back, self.loop.now + 60), oid)
                elif kind == "redate":
                    self._redate(shop, oid, chance)
                elif kind == "by_hand":
                    self._attempt_by_hand(shop, oid)
                else:
                    self._new_price(shop, chance)
            except (Invalid, Refused):
                return

        self.start("by hand" if kind == "by_hand" else "customer", moment, act)

    def _attempt_by_hand(self, shop: Shop, oid: int) -> None:
        """The merchant's button, under the contract's two guards; for one that declines have ended, if there is one."""
        oid = next((one for one in self.oids if '"failed":true' in str(self.heads[str(one)]["state"])), oid)
        if too_close(shop.auto_orders.read(oid)[1], shop.clock.now()) is None:
            self.by_hand[str(oid)] += 1
            rebill(shop, oid, by_hand=True)

    def _resume(self, moment: float, oid: int) -> None:
        def act() -> None:
            shop = self.shop
            document = shop.auto_orders.read(oid)[0].noun
            entries = [wire.plain(replace(entry, paused=False)) for entry in document.items or []]
            edit.update(shop, oid, {"items": entries})

        self.start("customer", moment, act, lambda: self._resume(self.loop.now + 60, oid))

    def _redate(self, shop: Shop, oid: int, chance: Random) -> None:
        document = shop.auto_orders.read(oid)[0].noun
        chosen = chance.randrange(len(document.items or []))
        day = local_date(self.moment(), NEW_YORK) + timedelta(days=chance.randint(0, 6))
        entries = list(document.items or [])
        entries[chosen] = replace(entries[chosen], next_shipment_dts=midnight(day, NEW_YORK))
        edit.update(shop, oid, {"items": [wire.plain(entry) for entry in entries]})

    def _new_price(self, shop: Shop, chance: Random) -> None:
        item = shop.items.get(chance.choice(("BEANS", "LEAVES")))
        assert item.noun.pricing is not None
        item.noun.pricing.cost = Decimal(chance.randint(500, 4000)) / 100
        shop.write(shop.items.replaced(item.noun.merchant_item_id, item.noun, item.version))

    def _shop_at(self, moment: float, tries: int) -> None:
        """A shopper pays for a first order, and tries again where she was cut off or declined."""

        def again() -> None:
            if tries > 1:
                self._shop_at(self.loop.now + self.streams["purchase"].uniform(5, 900), tries - 1)

        def act() -> None:
            self._waiting.bought = True
            if isinstance(pay(self.shop, self.unpaid), Declined):
                again()

        self.start("shopper", moment, act, again)

    def out_of_reach(self) -> bool:
        now = self.loop.now
        return any(begins <= now < ends for begins, ends in self._outages) and now < QUIET_FROM

    # --- what is seen of every write ---------------------------------------------------------------------------------

    def written(self, changes: Sequence[Any]) -> None:
        """Follow what was committed, and hold it against the rules at once."""
        visit = self.visit_now()
        visit.acts += 1
        followed = [change for change in changes if change.table in FOLLOWED]
        for change in followed:
            table, put = change.table, isinstance(change, Put)
            pk, sk = (str(change.record["pk"]), str(change.record["sk"])) if put else (change.pk, change.sk)
            name = pk.split("#", 1)[1]
            if table == "events":
                self._event_written(name, change.record if put else change.set)
            elif sk == kept_heads.HEAD:
                if put:
                    self._begun(name, change.record)
                else:
                    self._head_written(name, change, visit, changes)
            elif sk.startswith("attempt#"):
                self._attempt_closed(name, wire.load(str(change.record["document"]), ClosedAttempt))
            elif put and sk == "document":
                if table == "auto_orders":
                    self.documents[name] = wire.load(str(change.record["document"]), AutoOrder)
                    self.edits[name] += 1
                else:
                    self._order_written(wire.load(str(change.record["document"]), Order), visit)
        if any(change.table != "events" for change in followed):
            self.plan_sweep()
        self.plan_relay()

    def _event_written(self, name: str, written: Mapping[str, Any]) -> None:
        """It waits until its due time, or everybody has been told."""
        if "due_key" in written:
            self.untold[name] = second_of(str(written["due_key"])[:SECONDS_LONG])
        else:
            self.untold.pop(name, None)

    def _begun(self, name: str, record: dict[str, Any]) -> None:
        """A paid order has begun an auto order."""
        self.heads[name] = {key: value for key, value in record.items() if key not in ("pk", "sk")}
        self.oids += (int(name),)
        self.edits[name] = 0
        self.began[name] = local_date(self.true_moment(), NEW_YORK)

    def _head_written(self, name: str, change: Update, visit: Visit, changes: Sequence[Any]) -> None:
        before = self.heads[name]
        after = {key: value for key, value in before.items() if key not in change.remove} | dict(change.set)
        self.heads[name] = after
        if "attempt" in change.set:
            attempt = wire.load(str(change.set["attempt"]), Attempt)
            if after["fence"] != before["fence"]:
                self._permitted(name, before, attempt, visit)
            self.claims[attempt.key].pending = attempt.pending
            if attempt.review_dts is not None and attempt.key not in self.reviewed:
                self.reviewed.add(attempt.key)
                self.branches["payment_review"] += 1
        self._last_open = str(before.get("attempt_key", ""))
        if self._last_open:
            self.branches["edited_while_open"] += after["revision"] != before["revision"]
            by_hand = before["status"] == "disabled" and after["status"] == "active"
            self.branches["enabled_by_hand"] += by_hand and after["revision"] == before["revision"]
        elif after["run"] != before["run"] and not any(change.table == "orders" for change in changes):
            self.branches["run_closed_without_a_charge"] += 1
        if (after["status"] == "active" or "attempt" in after) and "due_key" not in after:
            self.violated(f"{name} left the due index")

    def _permitted(self, name: str, before: dict[str, Any], attempt: Attempt, visit: Visit) -> None:
        """Somebody may send from now on: only for what nobody has canceled or paused."""
        failed = before["status"] == "disabled" and '"failed":true' in str(before["state"])
        by_hand = failed and (visit.role == "by hand" or attempt.key in self.claims)
        if before["status"] != ("unpaid" if name == self.unpaid else "active") and not by_hand:
            self.violated(f"{attempt.key} was permitted though {name} is {before['status']}")
        if "attempt_key" in before and before["attempt_key"] != attempt.key:
            self.violated(f"{attempt.key} was claimed over the open {before['attempt_key']}")
        if name != self.unpaid:
            paused = {entry.auto_order_item_oid for entry in self.documents[name].items or [] if entry.paused}
            if any(line.oid in paused for line in attempt.plan.lines):
                self.violated(f"{attempt.key} was permitted though its item is paused")
        if attempt.key not in self.claims:
            self.claims[attempt.key] = Claim(name, attempt)
            visit.own.add(attempt.key)
            self._meddle_after_the_claim(name)
        elif attempt.plan != self.claims[attempt.key].attempt.plan:
            self.violated(f"{attempt.key} has another plan than was claimed")
        visit.permissions[attempt.key] = self.loop.now

    def _attempt_closed(self, name: str, row: ClosedAttempt) -> None:
        attempt, head, branches = row.attempt, self.heads[name], self.branches
        self.closed[(name, attempt.run, attempt.tries)] = row
        if row.outcome == "not_charged":
            branches["closed_after_quarantine"] += 1
            changed = head["revision"] != attempt.revision
            branches["not_posted_again_after_a_change"] += changed and self.can.idempotency_window > 0
        elif row.outcome == "not_sent":
            what = NOT_SENT_BRANCHES.get(row.reason, "not_sent_and_tried_again")
            branches[what] += 1
        elif row.outcome == "late_refunded":
            branches["second_capture_given_back"] += row.reason == GIVEN_BACK
        elif name == self.unpaid:
            branches["first_payment_declined"] += 1
        else:
            branches["declined_out"] += head["status"] == "disabled" and not row.hard
            branches["declined_for_good"] += row.hard
            branches["pending_returned"] += attempt.key in self.ledger.was_pending

    def _order_written(self, order: Order, visit: Visit) -> None:
        key = order.charge_key or ""
        if order.order_id == self.unpaid and not key:
            return  # it was declined, or is still to be paid
        claim = self.claims.get(key)
        if claim is None:
            self.violated(f"{order.order_id} has no claim")
            return
        if order.order_id in self.placed:
            self.violated(f"{order.order_id} was placed twice")
        self.placed[order.order_id or ""] = order
        for line in claim.attempt.plan.lines:
            if line.oid and (line.oid, line.occurrence) in self.billed:
                self.violated(f"item {line.oid}, occurrence {line.occurrence} is in two orders")
            self.billed[(line.oid, line.occurrence)] = line.skipped
        self._count_branches(claim, order, visit)

    def _count_branches(self, claim: Claim, order: Order, visit: Visit) -> None:
        """Which rare way led to this order."""
        branches, attempt = self.branches, claim.attempt
        learnt = {"event": "found_by_event", "reconciliation": "found_by_reconciliation"}.get(visit.role)
        if learnt is None and attempt.key in visit.found:
            learnt = "first_payment_found_out" if order.order_id == self.unpaid else "found_by_asking"
        if learnt:
            branches[learnt] += 1
        branches["paid_with_a_balance"] += bool(attempt.plan.spends)
        branches["paid_by_a_balance_alone"] += attempt.is_free()
        branches["pending_settled"] += attempt.key in self.ledger.was_pending
        if order.order_id == self.unpaid:
            branches["first_payment"] += 1
            return
        if self._last_open != attempt.key:
            branches["late_capture_got_its_order"] += 1
        else:
            branches["paid_after_the_cancel"] += bool(order.late)
        branches["billed_by_hand"] += visit.role == "by hand"
        branches["paid_in_a_later_round"] += attempt.round > 0
        branches["charged_anew_after_quarantine"] += any(
            (name, run) == (claim.subject, attempt.run) and row.outcome == "not_charged"
            for (name, run, _), row in self.closed.items()
        )
        today = local_date(self.true_moment(), NEW_YORK)
        periods = {
            e.auto_order_item_oid: PERIODS[e.frequency or "Weekly"] for e in self.documents[claim.subject].items or []
        }
        for line in attempt.plan.lines:
            branches["passed_over"] += line.skipped > 0
            branches["caught_up"] += line.day is not None and (today - line.day).days >= periods[line.oid]

    # --- the whole ---------------------------------------------------------------------------------------------------

    def play(self) -> "Simulation":
        if self.happens("purchase"):
            self._shop_at(self.streams["purchase"].uniform(*BOUGHT_BETWEEN), SHOPPERS_TRIES)
        self.plan_sweep()
        self.loop.run(END)
        self.judge()
        return self

    def judge(self) -> None:
        self.embedded._apply_lag()
        captures = [c for c in self.sandbox.captures() if c.captured_dts > START]
        self.number_of_captures, self.number_of_orders = len(captures), len(self.placed)
        net = [c for c in captures if c.refunded_dts is None]
        for what, counted in (
            ("key", Counter(c.key for c in net)),
            ("order", Counter(c.order_id for c in net)),
        ):
            for name, times in counted.items():
                if times > 1:
                    self.violated(f"double charge: {what} {name} {times} times")
        for oid in self.oids:
            self._judge_auto_order(oid)
        self._judge_first_payment()
        self._judge_captures(net)
        self._judge_ledgers()
        self._judge_events()
        if not self.violations:
            try:
                self.check(*self.oids, at_rest=not self.reviewed)
            except AssertionError as error:
                self.violated(f"checker: {error}")

    def _judge_captures(self, net: Sequence[Any]) -> None:
        open_keys = {head.get("attempt_key") for head in self.heads.values()} & self.reviewed
        for capture in net:
            if capture.key in open_keys:
                continue
            order = self.placed.get(capture.order_id)
            if order is None:
                self.violated(f"paid but unrecorded: {capture.order_id} under {capture.key}")
            elif order.charge_key != capture.key:
                self.violated(f"{capture.order_id} says {order.charge_key}, captured is {capture.key}")
            elif order.money() != capture.amount:
                self.violated(f"{capture.order_id} has another amount than was captured")
        taken = {capture.order_id for capture in net}
        for order_id, order in self.placed.items():
            if order_id not in taken and order.money():
                self.violated(f"{order_id} is recorded as paid without a capture")

    def _judge_ledgers(self) -> None:
        """What is gone is what the paid orders say; only what a person decides on holds any of the rest."""
        open_keys = {head.get("attempt_key") for head in self.heads.values()} & self.reviewed
        spent = Counter[str]()
        for order in self.placed.values():
            block = order.gift_certificate
            for oid, amount in (
                (block.gift_certificate_oid if block else None, order.certificate_amount()),
                (order.store_credit_oid, order.store_credit()),
            ):
                spent[ledger_id(oid or 0)] += int(100 * amount)
        for name, had in prepared(self.variant, self.balances_pay).ledgers.items():
            ledger = self.shop.ledgers.read(name).noun
            if int(100 * (had - ledger.balance)) != spent[name]:
                self.violated(f"of {name} {had - ledger.balance} are gone, its orders say {spent[name]} cents")
            if ledger.balance < 0 or {hold.key for hold in ledger.holds} - open_keys:
                self.violated(f"{name} has {ledger.balance}, held by {[hold.key for hold in ledger.holds]}")
            for finding in posting.verify(self.shop, name):
                self.violated(f"{name}: {finding}")

    def _judge_first_payment(self) -> None:
        order, head = self.shop.orders.read(self.unpaid)
        assert head is not None
        assert order.noun.payment is not None
        if head.attempt is not None and head.attempt.key not in self.reviewed:
            self.violated(f"{self.unpaid}: an attempt of {head.attempt.claimed_dts} is open after the quiet time")
        if head.attempt is None and head.due_dts is not None:
            self.violated(f"{self.unpaid} is due though nothing is to be found out")
        paid = self.unpaid in self.placed
        begun = self.shop.auto_orders.oid_by_original_order(self.unpaid) is not None
        told = order.noun.payment.payment_status == "Processed"
        if not paid == begun == told == (head.status == "paid"):
            self.violated(f"{self.unpaid} is {head.status}, {order.noun.payment.payment_status}; begun: {begun}")

    def _judge_auto_order(self, oid: int) -> None:
        name = str(oid)
        facts, document, _ = read_facts(self.shop, oid)
        head = facts.head
        if head.attempt is not None and head.attempt.key not in self.reviewed:
            self.violated(f"auto order {oid}: an attempt of {head.attempt.claimed_dts} is open after the quiet time")
        self._judge_index(name, head)
        declined = Counter(
            run for (one, run, _), row in self.closed.items() if one == name and row.outcome == "declined"
        )
        for run, times in declined.items():
            if times > facts.settings.retries() * (1 + self.edits[name]) + self.by_hand[name]:
                self.violated(f"auto order {oid}, run {run}: {times} declines")
        if head.status != "active" or head.attempt is not None or head.round:
            return
        today = local_date(self.true_moment(), NEW_YORK)
        for entry in document.noun.items or []:
            if entry.paused:
                continue
            progress = head.state.items[str(entry.auto_order_item_oid)]
            coming = next_occurrence(entry, progress, facts.items.get(entry.original_item_id or ""), NEW_YORK)
            if coming is None or coming.day < today:
                self.violated(f"auto order {oid}: {entry.original_item_id} of {coming and coming.day} is lost")
            if not self.edits[name]:
                self._judge_dates(oid, entry.auto_order_item_oid or 0, PERIODS[entry.frequency or "Weekly"], today)

    def _judge_dates(self, oid: int, item_oid: int, period: int, today: date) -> None:
        """Nobody has edited it: then every date until today is in an order, or passed over where that is the rule."""
        done = {
            occurrence - back
            for (one, occurrence), skipped in self.billed.items()
            if one == item_oid
            for back in range(skipped + 1)
        }
        days = (today - self.began[str(oid)]).days
        wanted = set(range(1, days // period + 1))
        if wanted - done - ({max(wanted)} if wanted and days % period == 0 else set()):
            self.violated(f"auto order {oid}, item {item_oid}: {sorted(wanted - done)} not billed")
        if done - wanted:
            self.violated(f"auto order {oid}, item {item_oid}: {sorted(done - wanted)} billed before their time")

    def _judge_index(self, name: str, head: Head) -> None:
        rows = self.embedded._db.execute(
            "select range from entry where name = 'auto_orders' and sk = 'head' and pk = ?", (f"{MERCHANT}#{name}",)
        ).fetchall()
        late = self.embedded._db.execute("select count(*) from lag").fetchone()[0]
        if late:
            self.violated(f"{late} index entries never came")
        kept = self.heads[name].get("due_key")
        if [row[0] for row in rows] != ([kept] if kept else []):
            self.violated(f"auto order {name} is due at {kept}, its index entries are {rows}")
        if kept and head.status != "active" and head.attempt is None:
            self.violated(f"auto order {name} is {head.status} and still in the due index")

    def _judge_events(self) -> None:
        if self.untold:
            self.violated(f"{len(self.untold)} events were never told")
        paid: Counter[str] = Counter()
        for (body,) in self.embedded._db.execute(
            "select json_extract(body, '$.document') from record where name = 'events'"
        ):
            if PAID_EVENT not in body:
                continue
            for happening in wire.load(body, Event).happenings:
                if happening.name == PAID_EVENT:
                    paid[happening.id] += 1
        for order_id in self.placed:
            if paid[order_id] != 1:
                self.violated(f"{order_id} has {paid[order_id]} events")
        before, after = prepared(self.variant, self.balances_pay).totals, day_totals(self.shop)
        told = {name: after.get(name, 0) - before.get(name, 0) for name in ("orders", "rebills", "revenue")}
        placed = {
            "orders": len(self.placed),
            "rebills": len(self.placed) - (self.unpaid in self.placed),
            "revenue": sum(int(100 * (order.summary.total or 0)) for order in self.placed.values() if order.summary),
        }
        if told != placed:
            self.violated(f"the day totals say {told}, there are {placed}")


def _tick(moment: float, every: float) -> float:
    return -(-moment // every) * every


# --- many worlds -----------------------------------------------------------------------------------------------------


def play(seeds: Iterable[int], *, stop_at: int = 1_000_000, **how: Any) -> Totals:
    """Worlds of these seeds, until so many have failed."""
    totals, log = Totals(aimed=_words(how)), logging.getLogger("chalicelib")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    # A world is full of circles; they are collected between worlds, and what stood before them is not looked at again.
    gc.freeze()
    gc.disable()
    try:
        for number, seed in enumerate(seeds):
            totals.add(Simulation(seed, **how).play())
            if number % 20 == 19:
                gc.collect()
            if len({one for one, _ in totals.violations}) >= stop_at:
                break
    finally:
        gc.enable()
        gc.unfreeze()
        log.setLevel(level)
    return totals


def _words(how: dict[str, Any]) -> str:
    aimed = {"profile": how.get("profile"), **(how.get("aim") or {})}
    return " ".join(f"{name}={value}" for name, value in aimed.items() if value)


def play_on_all_cores(seeds: range, *, share: int = 50) -> Totals:
    """The same worlds, shared out in parts among processes."""
    totals = Totals()
    parts = [seeds[start : start + share] for start in range(0, len(seeds), share)]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for part in pool.imap(play, parts):
            totals.merge(part)
    return totals


def seeds_of(text: str) -> range:
    """``17`` or ``0-2000``, the last not included."""
    first, _, last = text.partition("-")
    return range(int(first), int(last) if last else int(first) + 1)


def main(given: Sequence[str]) -> int:
    """Seeds, then what is aimed at: ``profile=lookup``, a kind of fault and its level (``stall=2``)."""
    aimed = dict(word.split("=", 1) for word in given[1:])
    profile = aimed.pop("profile", None)
    if aimed or profile:
        aim = {kind: int(level) for kind, level in aimed.items()} or None
        totals = play(seeds_of(given[0]), stop_at=1, aim=aim, profile=profile)
    else:
        totals = play_on_all_cores(seeds_of(given[0]))
    print(totals.told())
    return 1 if totals.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
