"""A small world to break: one shop on SQLite, the sandbox gateway with its ledger, a clock that only tests move, and
the checker that holds what was captured against what was recorded."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.dates import Instant, instant, parse_instant
from chalicelib.domain.heads import Head
from chalicelib.domain.items import Item, ItemAutoOrder, ItemPricing
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import total_of
from chalicelib.domain.orders import (
    Order,
    OrderBilling,
    OrderItem,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderShipping,
)
from chalicelib.domain.payments import Capabilities, Charge
from chalicelib.domain.rebills import next_billing
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.waiting import QueueState
from chalicelib.flows import gateway_events, place_order, purchase
from chalicelib.flows.facts import read_facts
from chalicelib.flows.ports import Backroom, Shop
from chalicelib.flows.rebill import rebill
from chalicelib.flows.sweep import sweep
from chalicelib.flows.tell import tell
from chalicelib.gateways import letters
from chalicelib.gateways.passwords import Argon2Passwords
from chalicelib.gateways.sandbox import PROFILES, Behaviour, Sandbox
from chalicelib.stores.port import TablePort
from chalicelib.stores.sqlite import SqliteTables
from chalicelib.wiring import FUNCTION_SECONDS, House

MERCHANT = "DEMO"
START = parse_instant("2027-01-31T15:00:00-05:00")
NEW_YORK = "America/New_York"


class ManualClock:
    """Time stands still until a test moves it."""

    def __init__(self, now: Instant = START) -> None:
        self.moment = now

    def now(self) -> Instant:
        return self.moment

    def pass_(self, **span: int) -> None:
        self.moment = instant(self.moment + timedelta(**span))

    def go(self, moment: Instant) -> None:
        self.moment = max(self.moment, moment)


class ListedQueue:
    """A queue that keeps what was sent, for the test to deliver when and as often as it likes."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, str]]] = []
        self.sends = 0

    def send(self, queue: str, messages: Any) -> None:
        self.sends += 1
        self.sent += [(queue, dict(message)) for message in messages]

    def states(self, queues: Any) -> list[QueueState]:
        """Nothing waits longer than a moment, and nothing has died."""
        sent = Counter(queue for queue, _ in self.sent)
        return [
            QueueState(name=name, waiting=sent[name], in_flight=0, delayed=0, dead_letters=0, late_after_seconds=720)
            for name in queues
        ]

    def take(self) -> list[tuple[str, dict[str, str]]]:
        taken, self.sent = self.sent, []
        return taken


class NoOutside:
    """Mail and HTTP that go nowhere."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    compose = staticmethod(letters.compose)
    default = staticmethod(letters.default)
    problems = staticmethod(letters.problems)

    def send(self, mail: Any) -> None:
        self.mails.append(mail)

    def post(self, url: str, body: bytes, headers: Any) -> Any:
        raise AssertionError("nothing is posted in this world")

    def signed(self, message_id: str, body: str, secrets: Any) -> dict[str, str]:
        return {}


class CheapPasswords(Argon2Passwords):
    """Argon2 with the least that it takes, counting what it does: the same work for everybody is counted, not timed."""

    def __init__(self, memory_kib: int = 8) -> None:
        super().__init__(memory_kib=memory_kib, passes=1)
        self.nobodys = super().hash("what nobody knows")
        self.checked = 0
        self.made = 0

    def hash(self, password: str) -> str:
        self.made += 1
        return super().hash(password)

    def fits(self, password_hash: str, password: str) -> bool:
        self.checked += 1
        return super().fits(password_hash, password)


class World:
    """``behave`` decides what each post at the gateway does; ``port`` lets a test put its own engine between;
    ``others`` are further gateway accounts with what each post at them does."""

    def __init__(
        self,
        *,
        capabilities: Capabilities = PROFILES["full"],
        behave: Callable[[Charge, int], Behaviour | None] | None = None,
        behave_back: Callable[[str, int], Behaviour | None] | None = None,
        port: TablePort | None = None,
        gateway: Any = None,
        others: Mapping[str, Callable[[Charge, int], Behaviour | None] | None] | None = None,
        start: Instant = START,
    ) -> None:
        self.clock = ManualClock(start)
        self.tables = port or SqliteTables()
        self.sandbox = Sandbox(now=self.clock.now, capabilities=capabilities, behave=behave, behave_back=behave_back)
        self.gateway = gateway(self.sandbox) if gateway else self.sandbox
        self.others = {
            code: Sandbox(now=self.clock.now, code=code, capabilities=capabilities, behave=acts)
            for code, acts in (others or {}).items()
        }
        self.queue = ListedQueue()
        self.time_left = lambda: FUNCTION_SECONDS
        self.outside = NoOutside()
        self._numbers = itertools.count(1001)
        self._words = itertools.count(1)
        self.house = House(
            port=self.tables,
            now_of=lambda merchant_id: self.clock.now(),
            latest_now=self.clock.now,
            queue=self.queue,
            mailer_of=lambda merchant_id: self.outside,
            http=self.outside,
            payments_of=lambda merchant_id: {"sandbox": self.gateway, **self.others},
            oids=lambda: self._numbers,
            word=lambda: f"word-{next(self._words)}",
            shuffled=list,
            passwords=CheapPasswords(),
        )

    @property
    def shop(self) -> Shop:
        return self.house.open_shop(MERCHANT, self.time_left)

    @property
    def backroom(self) -> Backroom:
        return self.house.backroom()

    # --- making things -----------------------------------------------------------------------------------------------

    def open(self, **rules: Any) -> "World":
        """Found the shop: a merchant in New York who sells coffee and tea."""
        shop = self.shop
        shop.write(shop.configuration.save(Merchant(merchant_id=MERCHANT, time_zone=NEW_YORK), 0))
        shop.write(shop.configuration.save(AutoOrderProcessing(**rules), 0))
        self.sell("COFFEE", "17.95")
        self.sell("TEA", "9.50")
        return self

    def rules(self, **rules: Any) -> None:
        shop = self.shop
        standing = shop.configuration.section(AutoOrderProcessing)
        shop.write(shop.configuration.save(AutoOrderProcessing(**rules), standing.version))

    def sell(self, item_id: str, cost: str, tab: ItemAutoOrder | None = None) -> None:
        item = Item(
            merchant_item_id=item_id,
            merchant_item_oid=next(self._numbers),
            description=item_id.title(),
            pricing=ItemPricing(cost=Decimal(cost)),
            auto_order=tab
            or ItemAutoOrder(auto_orderable=True, auto_order_schedules=["Weekly", "Every 2 Months", "Monthly"]),
        )
        self.shop.write(self.shop.items.inserted(item_id, item))

    def card(self, number: str = "4111111111111111") -> str:
        return place_order.card_token(self.shop, number, 12, 2040)[0]

    def order(self, lines: dict[str, str | None], card: str = "4111111111111111", **more: Any) -> str:
        """Place an order of the items, each with its schedule, and pay for it. Returns its id."""
        order_id = self.place(lines, card, **more)
        purchase.pay(self.shop, order_id)
        return order_id

    def place(self, lines: dict[str, str | None], card: str | None = "4111111111111111", **more: Any) -> str:
        """Place an order; nobody has paid for it yet."""
        order = Order(
            items=[
                OrderItem(merchant_item_id=item_id, quantity=Decimal(1), auto_order_schedule=schedule)  # type: ignore[arg-type]
                for item_id, schedule in lines.items()
            ],
            billing=OrderBilling(
                first_name="Ada", last_name="Byron", email="ada@example.com", country_code="US", postal_code="10001"
            ),
            shipping=OrderShipping(country_code="US", state_region="NY", postal_code="10001"),
            payment=OrderPayment(
                credit_card=OrderPaymentCreditCard(card_number_token=self.card(card)) if card else None
            ),
            **more,
        )
        return place_order.place(self.shop, order, by_shopper=False).noun.order_id or ""

    def subscribe(self, lines: dict[str, str | None] | None = None, card: str = "4111111111111111") -> int:
        """A paid order with a schedule. Returns the oid of its auto order."""
        order_id = self.order(lines or {"COFFEE": "Monthly"}, card)
        oid = self.shop.auto_orders.oid_by_original_order(order_id)
        assert oid is not None
        return oid

    # --- letting it run ----------------------------------------------------------------------------------------------

    def visit(self, oid: int) -> Any:
        return rebill(self.shop, oid)

    def work(self, *, twice: bool = False) -> None:
        """One sweep, and every message it sent (or every message twice)."""
        sweep(self.backroom)
        messages = self.queue.take()
        for _, message in messages * (2 if twice else 1):
            self.deliver(message)
        self.tell_all()

    def deliver(self, message: dict[str, str]) -> None:
        if message.get("kind") == "auto_order":
            rebill(self.shop, int(message["id"]))
        elif message.get("kind") == "order":
            purchase.look_at(self.shop, message["id"])
        elif message.get("kind") == gateway_events.HINT:
            gateway_events.look_into(self.shop, message["gateway"], message["id"], message["key"])

    def tell_all(self) -> None:
        for row in self.due("events"):
            tell(self.shop, row.subject)

    def due(self, table: str, until: Instant | None = None) -> list[Any]:
        waiting = self.backroom.waiting
        found = []
        for shard in self.house.shuffled(waiting.shards()):
            rows, _ = waiting.due(table, shard, until or self.clock.now(), 100)
            found += rows
        return found

    def next_look(self) -> Instant | None:
        """When anything comes due: a billing, or only a look whether there is something to tell."""
        rows = self._waiting("auto_orders") + self._waiting("orders")
        return min((row.due for row in rows), default=None)

    def next_due(self) -> Instant | None:
        """When the next charge is thought of, looks that find nothing to do and notices left aside."""
        looks = [self.bills_at(int(row.subject), row.due) for row in self._waiting("auto_orders")]
        coming = [moment for moment in looks if moment is not None]
        return min([*coming, *(row.due for row in self._waiting("orders"))], default=None)

    def bills_at(self, oid: int, due: Instant | None = None) -> Any:
        """When the auto order is billed next, looks and notices left aside; None where nothing comes of it."""
        facts = read_facts(self.shop, oid)[0]
        return next_billing(facts, due or facts.head.due_dts or self.clock.now())

    def _waiting(self, table: str) -> list[Any]:
        return self.due(table, parse_instant("2199-01-01T00:00:00Z"))

    def travel(self, days: int, *, twice: bool = False, steps: int = 20_000) -> None:
        """Go through every due moment of the coming days and work at each."""
        end = instant(self.clock.now() + timedelta(days=days))
        for _ in range(steps):
            moment = self.next_look()
            if moment is None or moment > end:
                break
            self.clock.go(moment)
            self.work(twice=twice)
        else:
            raise AssertionError("the world does not come to rest")
        self.clock.go(end)
        self.work(twice=twice)

    # --- looking -----------------------------------------------------------------------------------------------------

    def head(self, oid: int) -> Head:
        return self.shop.auto_orders.read(oid)[1]

    def document(self, oid: int) -> AutoOrder:
        return self.shop.auto_orders.read(oid)[0].noun

    def rebills(self, oid: int) -> list[Order]:
        kept, head = self.shop.auto_orders.read(oid)
        return self._rebills(kept.noun, head)

    def _rebills(self, document: AutoOrder, head: Head) -> list[Order]:
        return self.shop.orders.get_many([f"{document.original_order_id}-{run:03d}" for run in range(1, head.run + 1)])

    def rebill_days(self, oid: int) -> list[str]:
        from chalicelib.domain.dates import local_date

        return [
            local_date(order.creation_dts, NEW_YORK).isoformat() for order in self.rebills(oid) if order.creation_dts
        ]

    # --- the checker -------------------------------------------------------------------------------------------------

    def check(self, *oids: int, at_rest: bool = True) -> None:
        """Hold the gateway's ledger against the records: no double charge, none unrecorded, none lost."""
        accounts = [self.sandbox, *self.others.values()]
        taken = [capture for account in accounts for capture in account.captures()]
        net = [capture for capture in taken if capture.refunded_dts is None and capture.returned_dts is None]
        keys = Counter(capture.key for capture in net)
        per_order = Counter(capture.order_id for capture in net)
        assert all(count == 1 for count in keys.values()), f"charged twice under one key: {keys}"
        assert all(count == 1 for count in per_order.values()), f"an order charged twice: {per_order}"
        billed: Counter[tuple[int, int, int]] = Counter()
        for oid in oids:
            kept, head = self.shop.auto_orders.read(oid)
            document, orders = kept.noun, self._rebills(kept.noun, head)
            original = self.shop.orders.get(document.original_order_id or "").noun
            for order in [original, *orders]:
                total = order.money()
                found = [capture for capture in net if capture.order_id == order.order_id]
                if total and order.payment and order.payment.payment_status == "Processed":
                    assert len(found) == 1, f"{order.order_id} is paid for without a capture"
                    assert found[0].amount == total, f"{order.order_id} was captured with another amount"
                    assert found[0].key == order.charge_key
            if at_rest:
                ids = {order.order_id for order in [original, *orders]}
                lost = [
                    c for c in net if c.order_id.startswith(str(document.original_order_id)) and c.order_id not in ids
                ]
                assert not lost, f"captured without an order: {lost}"
                if head.status == "active" or head.attempt is not None:
                    assert head.due_dts is not None, f"auto order {oid} would never be looked at again"
            for order in orders:
                for line in order.items or []:
                    billed[(oid, line.item_reference_oid or 0, order.run or 0)] += 1
        assert all(count == 1 for count in billed.values()), f"an item twice in one run: {billed}"

    def taken(self) -> Decimal:
        stays = [c for c in self.sandbox.captures() if c.refunded_dts is None and c.returned_dts is None]
        return total_of(c.amount for c in stays)
