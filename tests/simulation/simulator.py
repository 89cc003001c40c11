"""Worlds to break, by the thousand: the real flows on the embedded engine under faults that a seed draws.

A world is two auto orders over forty days. Sweeps, relays, workers and customers are greenlets in one thread; a loop
decides who goes on, so a seed plays the same world again. The gateway's ledger is the oracle. Each kind of fault draws
from a stream of its own, off, low or high in each world; the last fifth of the time is quiet.

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
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cache, partial
from random import Random
from typing import Any

from greenlet import getcurrent, greenlet
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import AutoOrder, next_occurrence
from chalicelib.domain.dates import Instant, instant, local_date, midnight, parse_instant
from chalicelib.domain.errors import Contended, Invalid, Refused
from chalicelib.domain.events import Event
from chalicelib.domain.heads import Head, shard_of
from chalicelib.domain.items import ItemAutoOrder
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import (
    SEND_WITHIN_SECONDS,
    Approved,
    Attempt,
    Charge,
    ClosedAttempt,
    Declined,
    FrozenPlan,
    NotSent,
    Refund,
    Unknown,
)
from chalicelib.domain.schedule import Frequency
from chalicelib.flows import edit
from chalicelib.flows.charge import record
from chalicelib.flows.facts import read_facts
from chalicelib.flows.ports import Backroom, Shop
from chalicelib.flows.rebill import RunOf, rebill
from chalicelib.flows.sweep import events_due, sweep
from chalicelib.flows.tell import tell
from chalicelib.gateways.sandbox import PROFILES, Sandbox
from chalicelib.stores import heads as kept_heads
from chalicelib.stores.port import Put, Update
from chalicelib.stores.sqlite import SqliteTables
from chalicelib.stores.tables import DUE_SHARDS
from chalicelib.wiring import House
from tests.cutting import Crash
from tests.worlds import MERCHANT, NEW_YORK, NoOutside, World

START = parse_instant("2027-02-10T15:00:00-05:00")
DAYS = 40
DAY = 86_400.0
END = DAYS * DAY
QUIET_FROM = 0.8 * END
SWEEP_EVERY, RELAY_EVERY = 300.0, 60.0
FUNCTION_SECONDS = 60.0
REDELIVERED_AFTER = 360.0
RECEIVES = 3
LONGEST_STALL = 480.0

# Each kind of fault: how likely it is at each chance to happen, low and high.
FAULTS: dict[str, tuple[float, float]] = {
    # at every call that leaves a worker, a sweep, a relay or a customer's edit
    "crash_before": (0.004, 0.025),
    "crash_after": (0.004, 0.025),
    "lost_answer": (0.006, 0.04),
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
    "decline": (0.06, 0.3),
    "not_sent": (0.05, 0.25),
    "lookup_unanswered": (0.05, 0.3),
    # at every due moment
    "cancel": (0.03, 0.15),
    "pause": (0.04, 0.2),
    "redate": (0.05, 0.2),
    "new_price": (0.08, 0.3),
    # in every world
    "index_lag": (45.0, 180.0),
    "skewed_clock": (2.0, 6.0),
    "outage": (0.4, 1.0),
    # a gateway that breaks its own word: the capture comes after the quarantine, and a message of it
    "overlong_capture": (0.1, 0.4),
}
BRANCHES = (
    "reauthorised_before_the_first_post",
    "posted_again",
    "closed_after_quarantine",
    "late_capture_got_its_order",
    "second_capture_given_back",
    "was_that_me",
    "skipped_by_lease",
    "payment_review",
    "declined_out",
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
)
# How often each of them is drawn.
OFTEN = (1, 4, 4, 1)
PERIODS: dict[Frequency, int] = {
    "Weekly": 7,
    "Every 10 Days": 10,
    "Biweekly": 14,
    "Every 24 Days": 24,
    "Every 28 Days": 28,
}


class Mutation:
    """What a mutant puts between the flows and the world. This one changes nothing."""

    def port(self, port: Any) -> Any:
        return port

    def gateway(self, gateway: Any) -> Any:
        return gateway


@dataclass
class Totals:
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
        lines += [f"seed {seed}: {text}" for seed, text in self.violations[:20]]
        return "\n".join(lines)

    def never_met(self) -> list[str]:
        return [kind for kind in FAULTS if not self.faults[kind]] + [b for b in BRANCHES if not self.branches[b]]


# --- a prepared shop, cloned for each world --------------------------------------------------------------------------


@dataclass(frozen=True)
class Prepared:
    tables: SqliteTables
    sandbox: Sandbox
    oids: tuple[int, ...]
    heads: dict[int, dict[str, Any]]
    documents: dict[int, AutoOrder]
    totals: dict[str, int]


@cache
def prepared(variant: int) -> Prepared:
    first, second, rules = VARIANTS[variant]
    world = World(start=START).open(delay_between_retries_days=1, **rules)
    for item_id, cost in (("BEANS", "17.95"), ("LEAVES", "9.50")):
        world.sell(item_id, cost, ItemAutoOrder(auto_orderable=True, auto_order_schedules=list(PERIODS)))
    oids = (world.subscribe(dict(first)), world.subscribe(dict(second)))
    world.tell_all()
    tables = world.tables
    assert isinstance(tables, SqliteTables)
    heads = {oid: dict(tables.get("auto_orders", f"{MERCHANT}#{oid}", kept_heads.HEAD) or {}) for oid in oids}
    return Prepared(
        tables=tables,
        sandbox=world.sandbox,
        oids=oids,
        heads=heads,
        documents={oid: world.document(oid) for oid in oids},
        totals=day_totals(world.shop),
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
        heapq.heappush(self._heap, (max(moment, self.now), next(self._count), greenlet(act, self._hub)))

    def wait(self, seconds: float) -> None:
        until, heap = self.now + seconds, self._heap
        if not heap or heap[0][0] > until:
            # Nobody else would go on before: no need to leave.
            self.now = until
            return
        heapq.heappush(heap, (until, next(self._count), getcurrent()))
        self._hub.switch()

    def run(self, until: float) -> None:
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, one = heapq.heappop(heap)
            one.switch()
        self.now = until


@dataclass
class Claim:
    """A permission to send, as the store granted it."""

    oid: int
    attempt: Attempt
    plan: FrozenPlan
    first_post: float | None = None


@dataclass
class Visit:
    """What one greenlet has done so far: its permissions, how often it wrote."""

    skew: int
    began: float
    permissions: dict[str, float] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    acts: int = 0


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
        self._nobody = Visit(skew=0, began=0.0)
        self._now: dict[int, Instant] = {}
        self._clone()
        mutation = mutation or Mutation()
        self.ledger = SimulatedGateway(self)
        self.gateway = mutation.gateway(GatewayDoor(self, self.ledger))
        self.outside = NoOutside()
        self._numbers = itertools.count(900_001)
        words = itertools.count(1)
        self.house = House(
            port=mutation.port(PortDoor(self, self.embedded)),
            now_of=lambda merchant_id: self.moment(),
            latest_now=self.moment,
            queue=self,
            mailer_of=lambda merchant_id: self.outside,
            http=self.outside,
            payments_of=lambda merchant_id: {"sandbox": self.gateway},
            oids=lambda: self._numbers,
            word=lambda: f"owner-{next(words)}",
            shuffled=list,
        )

    def _draw_world(self, aim: dict[str, int] | None, profile: str | None) -> None:
        chance = Random(f"{self.seed}:world")
        self.profile = chance.choices(("full", "keys", "lookup"), (4, 2, 4))[0]
        self.variant = chance.choices(range(len(VARIANTS)), OFTEN)[0]
        self.honest_time = chance.random() < 0.5
        levels = {kind: chance.choices((0, 1, 2), (5, 3, 2))[0] for kind in FAULTS}
        if chance.random() < 0.5 or self.profile != "lookup":
            levels["overlong_capture"] = 0
        if aim is not None:
            levels = {kind: aim.get(kind, 0) for kind in FAULTS}
        self.profile = profile or self.profile
        self.can = PROFILES[self.profile]
        if self.profile == "lookup":
            # How long a capture takes to show, as the gateway declares it.
            self.can = replace(self.can, lookup_lag=chance.choice((0, 600, 1500)))
        self.rates = {kind: FAULTS[kind][level - 1] for kind, level in levels.items() if level}
        self.streams = {kind: Random(f"{self.seed}:{kind}") for kind in (*self.rates, "latency", "order", "outcome")}
        self._latency = self.streams["latency"].random
        self._outages: list[tuple[float, float]] = []

    def _clone(self) -> None:
        made = prepared(self.variant)
        lag = self._lag if "index_lag" in self.rates else None
        self.tables = self.embedded = SqliteTables(index_lag=lag, now=lambda: self.loop.now)
        made.tables._db.backup(self.embedded._db)
        self.sandbox = Sandbox(now=self.true_moment, capabilities=self.can)
        self.others = {}
        made.sandbox._db.backup(self.sandbox._db)
        self.oids = made.oids
        self.heads = {oid: dict(head) for oid, head in made.heads.items()}
        self.documents = dict(made.documents)
        self.claims: dict[str, Claim] = {}
        self.billed: dict[tuple[int, int], int] = {}
        self._last_open = ""
        self.number_of_captures = self.number_of_orders = 0
        self.placed: dict[str, Order] = {}
        self.closed: dict[tuple[int, int, int], ClosedAttempt] = {}
        self.reviewed: set[str] = set()
        self.edits: dict[int, int] = defaultdict(int)
        self.untold: set[str] = set()
        self._sweep_at = self._relay_at = -1.0
        self._last_sweep = self._last_relay = -1.0

    # --- time and chance ---------------------------------------------------------------------------------------------

    def true_moment(self) -> Instant:
        second = int(self.loop.now)
        found = self._now.get(second)
        if found is None:
            self._now.clear()
            found = self._now[second] = instant(START + timedelta(seconds=second))
        return found

    def moment(self) -> Instant:
        visit = self.visit_now()
        if not visit.skew:
            return self.true_moment()
        return instant(START + timedelta(seconds=int(self.loop.now) + visit.skew))

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
        return self.streams["index_lag"].uniform(0, self.rates["index_lag"])

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

    def start(self, moment: float, act: Callable[[], Any], again: Callable[[], None] | None = None) -> None:
        """Somebody works from that moment on; a crash ends him, and ``again`` is what follows from it."""

        def begin() -> None:
            me, skew = getcurrent(), 0
            if "skewed_clock" in self.rates and not self.quiet:
                most = int(self.rates["skewed_clock"])
                skew = self.streams["skewed_clock"].randint(-most, most)
                self.faults["skewed_clock"] += skew != 0
            self._visits[me] = Visit(skew=skew, began=self.loop.now)
            try:
                act()
            except (Crash, Contended):
                if again:
                    again()
            except Exception as error:  # noqa: BLE001  # whatever it is, the world is wrong
                self.violated(f"{type(error).__name__}: {error}")
            finally:
                del self._visits[me]

        self.loop.at(moment, begin)

    def time_left(self) -> float:
        return FUNCTION_SECONDS - (self.loop.now - self.visit_now().began) if self.honest_time else FUNCTION_SECONDS

    def _backroom(self, names: Iterable[str]) -> Backroom:
        """One that looks only where anything stands; the rest would be empty queries."""
        used = sorted({shard_of(MERCHANT, name, DUE_SHARDS) for name in names})
        self.streams["order"].shuffle(used)
        return dataclasses.replace(self.house.backroom(self.time_left), shuffled=lambda shards: used)

    def plan_sweep(self) -> None:
        """The next sweep that has anything to do; all others would find nothing."""
        dues = [str(head["due_key"]).split("#", 1)[0] for head in self.heads.values() if "due_key" in head]
        if not dues:
            return
        due = (parse_instant(min(dues)) - START).total_seconds()
        moment = _tick(max(due, self._last_sweep + 1, self.loop.now), SWEEP_EVERY)
        if 0 <= self._sweep_at <= moment or moment > END:
            return
        self._sweep_at = moment
        if due > self.loop.now + SWEEP_EVERY:
            self._meddle(moment)

        def work() -> None:
            if self._sweep_at != moment:
                return
            self._last_sweep, self._sweep_at = moment, -1.0
            self.start(moment, lambda: sweep(self._backroom(map(str, self.oids))))
            self.loop.at(moment + 5, self.plan_sweep)

        self.loop.at(moment, work)

    def plan_relay(self) -> None:
        if not self.untold:
            return
        moment = _tick(max(self._last_relay + 1, self.loop.now), RELAY_EVERY)
        if 0 <= self._relay_at <= moment or moment > END:
            return
        self._relay_at = moment

        def work() -> None:
            self._last_relay, self._relay_at = moment, -1.0
            self.start(moment, lambda: events_due(self._backroom(self.untold), self._tell))
            self.loop.at(moment + 5, self.plan_relay)

        self.loop.at(moment, work)

    def _tell(self, merchant_id: str, event_id: str) -> None:
        tell(self.house.open_shop(merchant_id, self.time_left), event_id)

    # --- the queue ---------------------------------------------------------------------------------------------------

    def send(self, queue: str, messages: Sequence[dict[str, str]]) -> None:
        self.step()
        if queue != "rebill":
            return
        for message in messages:
            if self.happens("dropped_message"):
                continue
            for _ in range(2 if self.happens("duplicate_message") else 1):
                delay = 0.1 + self._latency()
                if self.happens("late_message"):
                    delay += self.streams["late_message"].uniform(1, 2400)
                self._deliver(self.loop.now + delay, int(message["id"]), RECEIVES)

    def _deliver(self, moment: float, oid: int, receives: int) -> None:
        def again() -> None:
            if receives > 1:
                self._deliver(self.loop.now + REDELIVERED_AFTER, oid, receives - 1)

        def work() -> None:
            visit, head = self.visit_now(), self.heads[oid]
            rebill(self.house.open_shop(MERCHANT, self.time_left), oid)
            lease = head.get("lease_until")
            if visit.acts == 0 and lease and self.moment() < parse_instant(str(lease)):
                self.branches["skipped_by_lease"] += 1

        self.start(moment, work, again)

    # --- people ------------------------------------------------------------------------------------------------------

    def _meddle(self, due: float) -> None:
        """Customers and the merchant near a due moment; an outage of the gateway over it."""
        for kind in ("cancel", "pause", "redate", "new_price"):
            if kind in self.rates and due < QUIET_FROM and self.happens(kind):
                moment = due + self.streams[kind].uniform(-10, 60 if self.streams[kind].random() < 0.7 else 3600)
                oid = self.oids[self.streams[kind].randrange(2)]
                self._meddle_at(moment, kind, oid)
        if "outage" in self.rates and not self._outages and due < QUIET_FROM - DAY and self.happens("outage"):
            begins = due - self.streams["outage"].uniform(0, 1800)
            self._outages.append((begins, begins + self.streams["outage"].uniform(1, 12) * 3600))

    def _meddle_at(self, moment: float, kind: str, oid: int) -> None:
        chance = self.streams[kind]

        def act() -> None:
            shop = self.house.open_shop(MERCHANT)
            try:
                if kind == "cancel":
                    edit.update(shop, oid, {"enabled": False, "canceled_by_user": "customer"})
                    if chance.random() < 0.5:
                        back = self.loop.now + chance.uniform(10, 5 * DAY)
                        self.start(back, lambda: edit.update(shop, oid, {"enabled": True}))
                elif kind == "pause":
                    edit.pause(shop, oid)
                    back = self.loop.now + chance.uniform(60, 4 * DAY)
                    self._resume(back, shop, oid)
                elif kind == "redate":
                    self._redate(shop, oid, chance)
                else:
                    self._new_price(shop, chance)
            except (Invalid, Refused):
                return

        self.start(moment, act)

    def _resume(self, moment: float, shop: Shop, oid: int) -> None:
        def act() -> None:
            document = shop.auto_orders.read(oid)[0].noun
            entries = [wire.plain(replace(entry, paused=False)) for entry in document.items or []]
            edit.update(shop, oid, {"items": entries})

        self.start(moment, act, lambda: self._resume(self.loop.now + 60, shop, oid))

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

    def out_of_reach(self) -> bool:
        now = self.loop.now
        return any(begins <= now < ends for begins, ends in self._outages) and now < QUIET_FROM

    # --- what is seen of every write ---------------------------------------------------------------------------------

    def written(self, changes: Sequence[Any]) -> None:
        """Follow what was committed, and hold it against the rules at once."""
        visit = self.visit_now()
        visit.acts += 1
        for change in changes:
            put = isinstance(change, Put)
            sk = str(change.record["sk"]) if put else change.sk
            if change.table == "auto_orders":
                oid = int(str(change.record["pk"] if put else change.pk).split("#")[1])
                if sk == kept_heads.HEAD:
                    self._head_written(oid, change, visit)
                elif sk == "document":
                    self.documents[oid] = wire.load(str(change.record["document"]), AutoOrder)
                    self.edits[oid] += 1
                elif sk.startswith("attempt#"):
                    self._attempt_closed(oid, wire.load(str(change.record["document"]), ClosedAttempt))
            elif change.table == "events":
                name = str(change.record["pk"] if put else change.pk).split("#", 1)[1]
                (self.untold.add if put else self.untold.discard)(name)
            elif change.table == "orders" and put and sk == "document":
                self._order_placed(wire.load(str(change.record["document"]), Order))
        self.plan_sweep()
        self.plan_relay()

    def _head_written(self, oid: int, change: Update, visit: Visit) -> None:
        before = self.heads[oid]
        after = {name: value for name, value in before.items() if name not in change.remove} | dict(change.set)
        self.heads[oid] = after
        if "attempt" in change.set:
            attempt = wire.load(str(change.set["attempt"]), Attempt)
            if after["fence"] != before["fence"]:
                self._permitted(oid, before, attempt, visit)
            if attempt.review_dts is not None and attempt.key not in self.reviewed:
                self.reviewed.add(attempt.key)
                self.branches["payment_review"] += 1
        if "attempt_key" in before and before["attempt_key"] != after.get("attempt_key"):
            self._last_open = str(before["attempt_key"])
        if (after["status"] == "active" or "attempt" in after) and "due_key" not in after:
            self.violated(f"auto order {oid} left the due index")

    def _permitted(self, oid: int, before: dict[str, Any], attempt: Attempt, visit: Visit) -> None:
        """Somebody may send from now on: only for what nobody has canceled or paused."""
        if before["status"] != "active":
            self.violated(f"{attempt.key} was permitted though the auto order is {before['status']}")
        if "attempt_key" in before and before["attempt_key"] != attempt.key:
            self.violated(f"{attempt.key} was claimed over the open {before['attempt_key']}")
        paused = {entry.auto_order_item_oid for entry in self.documents[oid].items or [] if entry.paused}
        if any(line.oid in paused for line in attempt.plan.lines):
            self.violated(f"{attempt.key} was permitted though its item is paused")
        if attempt.key not in self.claims:
            self.claims[attempt.key] = Claim(oid, attempt, attempt.plan)
            visit.own.add(attempt.key)
        elif attempt.plan != self.claims[attempt.key].plan:
            self.violated(f"{attempt.key} has another plan than was claimed")
        visit.permissions[attempt.key] = self.loop.now

    def _attempt_closed(self, oid: int, row: ClosedAttempt) -> None:
        self.closed[(oid, row.attempt.run, row.attempt.tries)] = row
        if row.outcome == "not_charged":
            self.branches["closed_after_quarantine"] += 1
        elif row.outcome == "late_refunded":
            self.branches["second_capture_given_back"] += 1
        elif row.outcome == "declined" and self.heads[oid]["status"] == "disabled":
            self.branches["declined_out"] += 1

    def _order_placed(self, order: Order) -> None:
        key = order.charge_key or ""
        claim = self.claims.get(key)
        if claim is None:
            self.violated(f"{order.order_id} has no claim")
            return
        if order.order_id in self.placed:
            self.violated(f"{order.order_id} was placed twice")
        self.placed[order.order_id or ""] = order
        if self._last_open != key:
            self.branches["late_capture_got_its_order"] += 1
        for line in claim.plan.lines:
            if (line.oid, line.occurrence) in self.billed:
                self.violated(f"item {line.oid}, occurrence {line.occurrence} is in two orders")
            self.billed[(line.oid, line.occurrence)] = line.skipped

    # --- the whole ---------------------------------------------------------------------------------------------------

    def play(self) -> "Simulation":
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
            self._judge_auto_order(oid, net)
        self._judge_captures(net)
        self._judge_events()
        if not self.violations:
            try:
                self.check(*self.oids, at_rest=not self.reviewed)
            except AssertionError as error:
                self.violated(f"checker: {error}")

    def _judge_captures(self, net: Sequence[Any]) -> None:
        open_keys = {head.get("attempt_key") for head in self.heads.values()} & self.reviewed
        by_order = {order.order_id: order for order in self.placed.values()}
        for capture in net:
            if capture.key in open_keys:
                continue
            order = by_order.get(capture.order_id)
            if order is None:
                self.violated(f"paid but unrecorded: {capture.order_id} under {capture.key}")
            elif order.charge_key != capture.key:
                self.violated(f"{capture.order_id} says {order.charge_key}, captured is {capture.key}")
            elif order.summary is None or order.summary.total != capture.amount:
                self.violated(f"{capture.order_id} has another amount than was captured")
        taken = {capture.order_id for capture in net}
        for order_id in by_order:
            if order_id not in taken:
                self.violated(f"{order_id} is recorded as paid without a capture")

    def _judge_auto_order(self, oid: int, net: Sequence[Any]) -> None:
        facts, document, _ = read_facts(self.shop, oid)
        head = facts.head
        if head.attempt is not None and head.attempt.key not in self.reviewed:
            self.violated(f"auto order {oid}: an attempt of {head.attempt.claimed_dts} is open after the quiet time")
        self._judge_index(oid, head)
        declined = Counter(
            run for (one, run, _), row in self.closed.items() if one == oid and row.outcome == "declined"
        )
        for run, times in declined.items():
            if times > facts.settings.retries() * (1 + self.edits[oid]):
                self.violated(f"auto order {oid}, run {run}: {times} declines")
            if times > facts.settings.retries() and not self.edits[oid]:
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
            if not self.edits[oid]:
                self._judge_dates(oid, entry.auto_order_item_oid or 0, PERIODS[entry.frequency or "Weekly"], today)

    def _judge_dates(self, oid: int, item_oid: int, period: int, today: date) -> None:
        """Nobody has edited it: then every date until today is in an order, or passed over where that is the rule."""
        done = {
            occurrence - back
            for (one, occurrence), skipped in self.billed.items()
            if one == item_oid
            for back in range(skipped + 1)
        }
        wanted = set(range(1, (today - local_date(START, NEW_YORK)).days // period + 1))
        closed_runs = self.heads[oid]["run"] - 1 - sum(1 for o in self.placed.values() if o.auto_order_oid == oid)
        if wanted - done - ({max(wanted)} if (today - local_date(START, NEW_YORK)).days % period == 0 else set()):
            self.violated(f"auto order {oid}, item {item_oid}: {sorted(wanted - done)} not billed, {closed_runs}")
        if done - wanted:
            self.violated(f"auto order {oid}, item {item_oid}: {sorted(done - wanted)} billed before their time")

    def _judge_index(self, oid: int, head: Head) -> None:
        rows = self.embedded._db.execute(
            "select range from entry where name = 'auto_orders' and sk = 'head' and pk = ?", (f"{MERCHANT}#{oid}",)
        ).fetchall()
        late = self.embedded._db.execute("select count(*) from lag").fetchone()[0]
        if late:
            self.violated(f"{late} index entries never came")
        kept = self.heads[oid].get("due_key")
        if [row[0] for row in rows] != ([kept] if kept else []):
            self.violated(f"auto order {oid} is due at {kept}, its index entries are {rows}")
        if kept and head.status != "active" and head.attempt is None:
            self.violated(f"auto order {oid} is {head.status} and still in the due index")

    def _judge_events(self) -> None:
        if self.untold:
            self.violated(f"{len(self.untold)} events were never told")
        created: Counter[str] = Counter()
        for (body,) in self.embedded._db.execute(
            "select json_extract(body, '$.document') from record where name = 'events'"
        ):
            if "order_create" not in body:
                continue
            for happening in wire.load(body, Event).happenings:
                if happening.name == "order_create":
                    created[happening.id] += 1
        for order_id in self.placed:
            if created[order_id] != 1:
                self.violated(f"{order_id} has {created[order_id]} events")
        before, after = prepared(self.variant).totals, day_totals(self.shop)
        told = after.get("rebills", 0) - before.get("rebills", 0)
        if told != len(self.placed):
            self.violated(f"the day totals say {told} rebills, there are {len(self.placed)}")


def _tick(moment: float, every: float) -> float:
    return -(-moment // every) * every


# --- doors: where faults come in -------------------------------------------------------------------------------------


class PortDoor:
    """The table port, with what may go wrong at each call."""

    def __init__(self, world: Simulation, tables: SqliteTables) -> None:
        self._world = world
        self._tables = tables
        self.meter = tables.meter

    def get(self, *given: Any, **named: Any) -> Any:
        return self._read(self._tables.get, given, named)

    def get_many(self, *given: Any, **named: Any) -> Any:
        return self._read(self._tables.get_many, given, named)

    def query(self, *given: Any, **named: Any) -> Any:
        return self._read(self._tables.query, given, named)

    def _read(self, act: Callable[..., Any], given: Any, named: Any) -> Any:
        world = self._world
        world.step()
        if world.happens("crash_before"):
            raise Crash
        return act(*given, **named)

    def write(self, *changes: Any) -> None:
        world = self._world
        world.step()
        if world.happens("crash_before"):
            raise Crash
        self._tables.write(*changes)
        lost = world.happens("lost_answer")
        if lost:
            visit = world.visit_now()
            visit.lost |= {
                str(c.set["attempt_key"]) for c in changes if isinstance(c, Update) and "attempt_key" in c.set
            }
        world.written(changes)
        if world.happens("crash_after"):
            raise Crash
        if lost:
            # The client sends it again; whoever wrote under conditions meets himself.
            world.step()
            self._tables.write(*changes)
            world.written(changes)
        world.step()


class GatewayDoor:
    """The way to the gateway, with what may go wrong on it."""

    def __init__(self, world: Simulation, gateway: "SimulatedGateway") -> None:
        self._world = world
        self._gateway = gateway
        self.code = "sandbox"
        self.capabilities = world.can

    def tokenise(self, number: str, month: int, year: int) -> Any:
        return self._world.sandbox.tokenise(number, month, year)

    def charge(self, charge: Charge) -> Any:
        self._world.visit_now().acts += 1
        self._gateway.asked(charge)
        return self._called(lambda: self._gateway.charge(charge))

    def look_up(self, key: str) -> Any:
        self._world.visit_now().acts += 1
        return self._called(lambda: self._gateway.look_up(key))

    def refund(self, key: str) -> Any:
        return self._called(lambda: self._world.sandbox.refund(key))

    def refund_part(self, refund: Refund) -> Any:
        return self._called(lambda: self._world.sandbox.refund_part(refund))

    def look_up_refund(self, refund: Refund) -> Any:
        return self._called(lambda: self._world.sandbox.look_up_refund(refund))

    def authorise(self, charge: Charge) -> Any:
        return self._called(lambda: self._world.sandbox.authorise(charge))

    def void(self, key: str) -> Any:
        return self._called(lambda: self._world.sandbox.void(key))

    def _called(self, act: Callable[[], Any]) -> Any:
        world = self._world
        world.step()
        if world.happens("crash_before"):
            raise Crash
        answer = act()
        if world.happens("crash_after"):
            raise Crash
        lost = world.happens("lost_answer")
        world.step()
        return Unknown(reason="the answer was lost") if lost else answer


class SimulatedGateway:
    """The sandbox behind a network: requests time out, arrive late, meet an outage. It checks what it is asked."""

    def __init__(self, world: Simulation) -> None:
        self._world = world
        self._can = world.can
        self._declined: dict[str, Declined] = {}

    def asked(self, charge: Charge) -> None:
        """At the moment of the decision to send, before the network: is it allowed?"""
        world = self._world
        claim, visit = world.claims.get(charge.key), world.visit_now()
        if claim is None or charge.key not in visit.permissions:
            world.violated(f"{charge.key} is sent without a permission")
            return
        if world.loop.now - visit.permissions[charge.key] > SEND_WITHIN_SECONDS + 1:
            world.violated(f"{charge.key} is sent long after its permission")
        if charge.amount != claim.plan.total:
            world.violated(f"{charge.key} is sent for {charge.amount}, claimed were {claim.plan.total}")
        first = claim.first_post
        if first is None and charge.key in visit.own and world.heads[claim.oid].get("fence", 0) > 1:
            world.branches["reauthorised_before_the_first_post"] += visit.permissions[charge.key] > visit.began + 10
        if first is not None:
            world.branches["posted_again"] += 1
            if not self._can.idempotency_window:
                world.violated(f"{charge.key} is posted again at a gateway without keys")
            elif world.loop.now - first > self._can.idempotency_window:
                world.violated(f"{charge.key} is posted again after the key's time")
        world.branches["was_that_me"] += charge.key in visit.lost

    def charge(self, charge: Charge) -> Any:
        world = self._world
        claim = world.claims.get(charge.key)
        if claim is not None and claim.first_post is None:
            claim.first_post = world.loop.now
        world.posts.append((world.loop.now, charge.key))
        if world.out_of_reach():
            never = world.streams["outage"].random() < 0.3
            return NotSent(reason="connection refused") if never else Unknown(reason="timed out")
        if world.happens("not_sent"):
            return NotSent(reason="too many requests")
        if world.happens("timeout_before_capture"):
            return Unknown(reason="timed out")
        for kind, shortest, longest in (("late_capture", 1, 480), ("overlong_capture", 2700, 9000)):
            if world.happens(kind):
                moment = world.loop.now + world.streams[kind].uniform(shortest, longest)
                world.loop.at(moment, partial(self._arrive, charge, kind))
                return Unknown(reason="timed out")
        answer = self._decided(charge)
        if isinstance(answer, Approved) and world.happens("timeout_after_capture"):
            return Unknown(reason="timed out")
        if isinstance(answer, Approved) and world.happens("duplicate_answer"):
            return Unknown(reason="suspected duplicate")
        if isinstance(answer, Declined) and world.happens("unheard_decline"):
            return Unknown(reason="timed out")
        return answer

    def _decided(self, charge: Charge) -> Any:
        """What the gateway itself says: with keys the same key gets the same answer."""
        if charge.key in self._declined:
            return self._declined[charge.key]
        known = self._world.sandbox._find(charge.key) if self._can.idempotency_window else None
        if known is None and self._world.happens("decline"):
            hard = self._world.streams["outcome"].random() < 0.15
            self._declined[charge.key] = Declined(code="41" if hard else "51", reason="The bank said no.", hard=hard)
            return self._declined[charge.key]
        return self._world.sandbox.charge(charge)

    def _arrive(self, charge: Charge, kind: str) -> None:
        """The request is there at last, when nobody listens any more."""
        world = self._world
        if charge.key in self._declined:
            return
        approved = world.sandbox.charge(charge)
        if kind == "overlong_capture" and isinstance(approved, Approved):
            self._tell_of(charge.key, approved, world.loop.now + world.streams[kind].uniform(1, 3600))

    def _tell_of(self, key: str, approved: Approved, moment: float) -> None:
        """The gateway's own message of a capture: whoever learns an outcome may record it."""
        world = self._world
        claim = world.claims.get(key)
        if claim is None:
            return

        def act() -> None:
            shop = world.house.open_shop(MERCHANT)
            record(shop, RunOf(shop, claim.oid), claim.attempt, approved)

        world.start(moment, act, lambda: self._tell_of(key, approved, world.loop.now + 600))

    def look_up(self, key: str) -> Any:
        world = self._world
        if world.out_of_reach() or world.happens("lookup_unanswered"):
            return Unknown(reason="timed out")
        if key in self._declined:
            return self._declined[key]
        return world.sandbox.look_up(key)


# --- many worlds -----------------------------------------------------------------------------------------------------


def play(seeds: Iterable[int], *, stop_at: int = 1_000_000, **how: Any) -> Totals:
    """Worlds of these seeds, until so many have failed."""
    totals, log = Totals(), logging.getLogger("chalicelib")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
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
        log.setLevel(level)
    return totals


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
