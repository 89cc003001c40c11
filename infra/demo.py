"""The demo shop: a small roastery with half a year behind it, made by the very flows that serve a real one.

Everything is drawn from one seed, so it is the same shop everywhere; only its days end today. Orders are placed and
paid with sandbox cards on a clock that starts in the past and then travels through every due moment, so the histories
are real ones: declines, retries, notices, mails, cancellations with their reasons.
"""

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from chalice.app import Chalice

from chalicelib import wiring
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.dates import Instant, at, later, local_date
from chalicelib.domain.fields import LARGEST_OID
from chalicelib.domain.made_orders import PAID_STAGE
from chalicelib.domain.mails import Mail
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.orders import (
    Order,
    OrderBilling,
    OrderCoupon,
    OrderItem,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderShipping,
)
from chalicelib.domain.payments import Charge
from chalicelib.domain.schedule import Frequency
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.shipping import ShippingSettings
from chalicelib.domain.taxes import TaxSettings
from chalicelib.flows import edit, place_order, purchase, ship
from chalicelib.flows.catalogue import insert_coupon, insert_item
from chalicelib.flows.configure import configure
from chalicelib.flows.ports import Shop
from chalicelib.flows.profiles import insert_customer
from chalicelib.flows.travel import Journey
from chalicelib.gateways.clock import TestClocks
from chalicelib.gateways.http import GuardedHttp
from chalicelib.gateways.mail import Mailbox
from chalicelib.gateways.queues import EmbeddedQueues
from chalicelib.gateways.sandbox import Behaviour, Sandbox
from chalicelib.stores.sqlite import SqliteTables
from infra.engine import Engine

SEED = 20270131
MERCHANT = "DEMO"
NAME = "Larkspur Roastery"
ZONE = "America/New_York"
SHOP_FILE = "backroom.sqlite"
MAILBOX_FILE = "mailbox.sqlite"
QUEUES_FILE = "queues.sqlite"
SANDBOX_FILE = "sandbox.sqlite"
# Orders come in while the shop is open.
OPENS, CLOSES = 9, 20
# The newest auto order is this old: its first rebill is still to come.
YOUNGEST_DAYS = 2
# What the numbers of parcels begin with.
CARRIER = "9400 1"
# The mailbox shows the mails of so many days.
MAILBOX_DAYS = 30


@dataclass(frozen=True)
class Size:
    """How much of a shop. ``items`` counts those of each kind in turn, 40 is the whole catalogue."""

    customers: int = 200
    items: int = 40
    auto_orders: int = 150
    single_orders: int = 50
    days: int = 180


WHOLE = Size()


# --- words ------------------------------------------------------------------------------------------------------------

FIRST_NAMES = (
    "Ada", "Alan", "Amara", "Anton", "Beatriz", "Bruno", "Carmen", "Chloe", "Dario", "Dora", "Edith", "Elias",
    "Esther", "Farid", "Flora", "Gita", "Hana", "Hugo", "Ines", "Ivan", "Jonas", "Julia", "Kofi", "Lara", "Leo",
    "Lin", "Mara", "Milo", "Nadia", "Nils", "Olga", "Omar", "Petra", "Priya", "Quinn", "Rosa", "Sami", "Tara",
    "Uma", "Viktor",
)  # fmt: skip
LAST_NAMES = (
    "Adler", "Banks", "Castro", "Dale", "Egan", "Fischer", "Garcia", "Haddad", "Ito", "Jensen", "Keller", "Lopez",
    "Marsh", "Novak", "Okafor", "Patel", "Quist", "Reyes", "Silva", "Turner", "Ueda", "Vance", "Weber", "Xu",
    "Young", "Zeller", "Abbott", "Brandt", "Cole", "Drake",
)  # fmt: skip
STREETS = (
    "Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fern", "Grove", "Hazel", "Ivy", "Juniper", "Laurel", "Maple",
    "Oak", "Pine", "Willow",
)  # fmt: skip
# City, state, first three digits of the postal code.
CITIES = (
    ("New York", "NY", "100"),
    ("Brooklyn", "NY", "112"),
    ("Albany", "NY", "122"),
    ("Newark", "NJ", "071"),
    ("Boston", "MA", "021"),
    ("Portland", "ME", "041"),
    ("Philadelphia", "PA", "191"),
    ("Raleigh", "NC", "276"),
    ("Atlanta", "GA", "303"),
    ("Miami", "FL", "331"),
    ("Chicago", "IL", "606"),
    ("Austin", "TX", "787"),
    ("Denver", "CO", "802"),
    ("Seattle", "WA", "981"),
    ("Los Angeles", "CA", "900"),
)
CARDS = ("4111111111111111", "4242424242424242", "5555555555554444", "378282246310005", "6011111111111117")

COFFEES = (
    ("YIRGA", "Yirgacheffe, washed", "18.50"),
    ("SIDAMO", "Sidamo, natural", "17.95"),
    ("HUILA", "Huila, washed", "16.50"),
    ("NARINO", "Nariño microlot", "21.00"),
    ("ANTIGUA", "Antigua, washed", "17.25"),
    ("TARRAZU", "Tarrazú, honey", "18.75"),
    ("CERRADO", "Cerrado, natural", "14.95"),
    ("KIRINYAGA", "Kirinyaga AA", "20.50"),
    ("MANDHELING", "Mandheling, wet-hulled", "16.75"),
    ("HOUSE", "House blend", "13.95"),
    ("ESPRESSO", "Espresso blend", "15.50"),
    ("DECAF", "Swiss water decaf", "16.25"),
)
TEAS = (
    ("ASSAM", "Assam, second flush", "11.50"),
    ("DARJEELING", "Darjeeling, first flush", "16.00"),
    ("SENCHA", "Sencha", "12.75"),
    ("OOLONG", "High mountain oolong", "19.50"),
    ("ROOIBOS", "Rooibos", "8.95"),
    ("EARLGREY", "Earl Grey", "9.75"),
    ("JASMINE", "Jasmine pearls", "15.25"),
    ("MINT", "Peppermint", "7.95"),
)
# Sold once, never on a schedule.
THINGS = (
    ("MUG", "Stoneware mug", "14.00"),
    ("FILTERS", "Paper filters, 100", "6.50"),
    ("GRINDER", "Hand grinder", "79.00"),
    ("KETTLE", "Gooseneck kettle", "64.00"),
    ("SCALE", "Scale", "38.00"),
    ("TEAPOT", "Glass teapot", "32.00"),
    ("DRIPPER", "Ceramic dripper", "26.00"),
    ("CANISTER", "Canister", "18.00"),
)
# Automatic schedules: the steps are made of (item, schedule, times), of days to pause, and of "loop".
Step = tuple[str, Frequency, int | None] | int | str
PROGRAMMES: tuple[tuple[str, str, str, tuple[Step, ...]], ...] = (
    ("TOUR", "Coffee tour, four origins", "19.00", (
        ("YIRGA", "Monthly", 1), ("HUILA", "Monthly", 1), ("ANTIGUA", "Monthly", 1), ("SIDAMO", "Monthly", 1), "loop",
    )),
    ("TEATOUR", "Tea tour, three gardens", "17.00", (
        ("ASSAM", "Monthly", 1), ("SENCHA", "Monthly", 1), ("OOLONG", "Monthly", 1), "loop",
    )),
    ("STARTER", "Starter kit with a refill every month", "49.00", (("HOUSE", "Monthly", None),)),
    ("OFFICE", "Office bag, every two weeks", "44.00", (("OFFICE", "Biweekly", None),)),
    ("GIFT3", "Gift of three months", "54.00", (("YIRGA", "Monthly", 3),)),
    ("SEASON", "Seasonal box, with a summer break", "36.00", (
        ("TARRAZU", "Monthly", 2), 30, ("KIRINYAGA", "Monthly", 2), "loop",
    )),
    ("DECAFCLUB", "Decaf club", "15.50", (("DECAF", "Every 4 Weeks", None),)),
    ("ESPRESSOCLUB", "Espresso club", "14.50", (("ESPRESSO", "Biweekly", None),)),
    ("MINTCLUB", "Mint every six weeks", "8.50", (("MINT", "Every 6 Weeks", None),)),
    ("OOLONGCLUB", "Oolong every two months", "19.00", (("OOLONG", "Every 2 Months", None),)),
    ("BREW", "Brew kit with filters", "59.00", (("FILTERS", "Every 3 Months", None),)),
    ("TASTER", "Three tasters, then the house blend", "12.00", (
        ("CERRADO", "Biweekly", 2), ("HOUSE", "Monthly", None),
    )),
)  # fmt: skip
SCHEDULES: tuple[Frequency, ...] = ("Weekly", "Biweekly", "Monthly", "Every 6 Weeks", "Every 2 Months")
CHOSEN: tuple[Frequency, ...] = ("Biweekly", "Monthly", "Monthly", "Monthly", "Every 6 Weeks", "Every 2 Months")
REASONS = ("Too expensive", "Too much product", "Moving away", "Taking a break", "Other")

SETTINGS: dict[str, Any] = {
    "number_of_retries": 3,
    "delay_between_retries_days": 3,
    "cancel_reasons": [{"reason": reason, "visible_in_myaccount": reason != "Other"} for reason in REASONS],
}
SHIPPING: dict[str, Any] = {
    "methods": [
        {
            "shipping_method": "Ground",
            "countries": ["US"],
            "per_order": Decimal("4.95"),
            "weight_steps": [
                {"up_to_pounds": 2, "cost": 0},
                {"up_to_pounds": 5, "cost": Decimal("2.50")},
                {"cost": Decimal("6.00")},
            ],
            "free_over_amount": 60,
        },
        {"shipping_method": "Express", "countries": ["US"], "per_order": Decimal("12.95"), "per_item": Decimal("1.50")},
        {"shipping_method": "Abroad", "per_order": Decimal("24.00"), "per_item": Decimal("4.00")},
    ]
}
TAXES: dict[str, Any] = {
    "rates": [
        {"country_code": "US", "state_region": "NY", "rate": 4},
        {"country_code": "US", "postal_prefix": "100", "rate": Decimal("8.875")},
        {"country_code": "US", "postal_prefix": "112", "rate": Decimal("8.875")},
        {"country_code": "US", "state_region": "NJ", "rate": Decimal("6.625"), "tax_shipping": True},
        {"country_code": "US", "state_region": "CA", "rate": Decimal("7.25")},
        {"country_code": "US", "state_region": "TX", "rate": Decimal("6.25"), "tax_shipping": True},
    ]
}
COUPONS: tuple[dict[str, Any], ...] = (
    {
        "merchant_code": "WELCOME10",
        "description": "10 % off the first order",
        "percent_off_subtotal": {"discount_percent": 10},
        "skip_on_rebill": True,
    },
    {
        "merchant_code": "LOYAL5",
        "description": "5 % off, on every rebill too",
        "percent_off_subtotal": {"discount_percent": 5},
    },
    {
        "merchant_code": "THREEOFF",
        "description": "3.00 off",
        "amount_off_subtotal": {"discount_amount": 3, "currency_code": "USD"},
    },
    {"merchant_code": "FREESHIP", "description": "Free shipping", "free_shipping": {"shipping_methods": ["Ground"]}},
)


# --- what becomes of an auto order ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fate:
    """``charges``: what the bank does with a try of a run, by (run, try); from run ``always_from`` on it declines.
    Nothing named: approved. ``ends``: what the customer does ``after_days``. ``schedule``: what they chose."""

    charges: tuple[tuple[int, int, Behaviour], ...] = ()
    always_from: int | None = None
    ends: str = ""
    after_days: int = 0
    card_ends: bool = False
    schedule: Frequency | None = None

    def behaviour(self, run: int, tries: int) -> Behaviour | None:
        if self.always_from is not None and run >= self.always_from:
            return "insufficient_funds"
        return next((what for at_run, at_try, what in self.charges if (at_run, at_try) == (run, tries)), None)


FINE = Fate()
# By the number of the auto order, modulo: most are fine.
FATES: dict[int, Fate] = {
    1: Fate(always_from=1),
    3: Fate(charges=((2, 1, "insufficient_funds"),)),
    7: Fate(ends="cancel", after_days=40),
    11: Fate(always_from=2),
    14: Fate(ends="more", after_days=10),
    17: Fate(charges=((1, 1, "decline"), (1, 2, "decline"))),
    19: Fate(ends="cancel", after_days=75),
    21: Fate(card_ends=True),
    22: Fate(charges=((2, 1, "timeout_after_capture"),)),
    23: Fate(ends="pause", after_days=12),
    26: Fate(charges=((3, 1, "lost_card"),)),
    27: Fate(ends="cancel", after_days=15),
    29: Fate(card_ends=True),
    31: Fate(ends="later", after_days=1),
}
FATES_REPEAT = 33
# By the number from the end: what goes on at this moment, one between its first declines and one just given up.
LATE_FATES = {
    11: Fate(always_from=1, schedule="Biweekly"),
    13: Fate(always_from=1, schedule="Biweekly"),
    16: Fate(always_from=1, schedule="Biweekly"),
}


class Bank:
    """What the sandbox does while the history is made: as the fate of the auto order says. ``asked``: the orders that
    it was asked to pay, which are looked at by the warehouse next."""

    def __init__(self) -> None:
        self.fates: dict[str, Fate] = {}
        self.asked: set[str] = set()
        self._tries: Counter[str] = Counter()

    def behave(self, charge: Charge, posts: int) -> Behaviour | None:
        self.asked.add(charge.order_id)
        order_id, _, run = charge.order_id.rpartition("-")
        fate = self.fates.get(order_id)
        if fate is None or charge.first:
            return None
        if posts == 1:
            self._tries[charge.order_id] += 1
        return fate.behaviour(int(run), self._tries[charge.order_id])


# --- the engine that makes it -----------------------------------------------------------------------------------------


class _Unsynced:
    """A history in the making need not survive a power cut: whoever is cut off begins anew."""

    _db: Any

    def hurry(self) -> None:
        self._db.execute("pragma synchronous=off")


class _Tables(_Unsynced, SqliteTables):
    pass


class _Mailbox(_Unsynced, Mailbox):
    """Keeps what went out of late: nobody reads half a year of receipts, and making them is a third of all the work."""

    since: Instant | None = None

    def send(self, mail: Mail) -> None:
        if self.since is None or mail.dts is None or mail.dts >= self.since:
            super().send(mail)


class _Sandbox(_Unsynced, Sandbox):
    pass


class Past:
    """The machine's clock of the house that makes the history."""

    def __init__(self, moment: Instant) -> None:
        self.moment = moment

    def now(self) -> Instant:
        return self.moment


def seed(folder: Path, app: Chalice, until: Instant, size: Size = WHOLE) -> None:
    """Make the shop's files in an empty folder, its history ending at ``until``. The shop has no keys yet.

    It works through the very functions of app.py, so it takes the place of the house that is open.
    """
    chance = Random(SEED)
    past = Past(at(local_date(until, ZONE) - timedelta(days=size.days), time(0), ZONE))
    bank = Bank()
    clocks = TestClocks(":memory:", past.now)
    tables = _Tables(folder / SHOP_FILE)
    mailbox = _Mailbox(folder / MAILBOX_FILE, past.now)
    mailbox.since = later(until, days=-MAILBOX_DAYS)
    sandbox = _Sandbox(folder / SANDBOX_FILE, now=past.now, shop=MERCHANT, behave=bank.behave)
    queues = EmbeddedQueues(":memory:", lambda: past.now().timestamp())
    for store in (tables, mailbox, sandbox):
        store.hurry()
    house = wiring.House(
        port=tables,
        now_of=clocks.now_of,
        latest_now=clocks.latest_now,
        queue=queues,
        mailer_of=lambda merchant_id: mailbox,
        http=GuardedHttp(),
        payments_of=lambda merchant_id: {sandbox.code: sandbox},
        oids=lambda: _oids(chance),
        word=lambda: f"{chance.getrandbits(192):048x}",
        shuffled=list,
        extras={"clocks": clocks, "queues": queues},
    )
    wiring.use(house)
    Maker(house, Engine(house, app), past, bank, chance, size).make(until)
    for store in (tables, mailbox, sandbox):
        store.close()
    for name in (SHOP_FILE, MAILBOX_FILE, SANDBOX_FILE):
        _sync(folder / name)


def _oids(chance: Random) -> Iterator[int]:
    while True:
        yield chance.randrange(LARGEST_OID) + 1


def _sync(file: Path) -> None:
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def moved(made: Path, folder: Path) -> None:
    """Move a history that is made into its place; the shop's own file comes last, so that it stands for the whole."""
    for name in (SANDBOX_FILE, MAILBOX_FILE, SHOP_FILE):
        (made / name).replace(folder / name)
    shutil.rmtree(made)


@dataclass(frozen=True)
class Person:
    """Somebody who buys."""

    email: str
    billing: OrderBilling

    def shipping(self, method: str) -> OrderShipping:
        home = self.billing
        return OrderShipping(
            first_name=home.first_name,
            last_name=home.last_name,
            address1=home.address1,
            city=home.city,
            state_region=home.state_region,
            postal_code=home.postal_code,
            country_code=home.country_code,
            shipping_method=method,
        )


class Maker:
    """Makes the shop, then lets its days pass."""

    def __init__(self, house: wiring.House, engine: Engine, past: Past, bank: Bank, chance: Random, size: Size) -> None:
        self._shop = house.open_shop(MERCHANT)
        self._travel = _Passing(engine, past)
        self._past = past
        self._bank = bank
        self._chance = chance
        self._size = size
        self._last = local_date(past.now(), ZONE) + timedelta(days=size.days)
        self._sold: list[str] = []
        self._parcels = 0
        self._days: dict[date, list[tuple[int, Callable[[], None]]]] = defaultdict(list)

    def make(self, until: Instant) -> None:
        shop = replace(self._shop, travel=self._travel)
        self._found(shop)
        people = self._people(shop)
        first = local_date(self._past.now(), ZONE)
        self._plan(shop, people)
        for number in range(self._size.days + 1):
            day = first + timedelta(days=number)
            opens = min(at(day, time(OPENS), ZONE), until)
            asked_before = sorted(self._bank.asked)
            self._pass(shop, opens)
            if number < self._size.days:
                self._ship(shop, asked_before)
            self._open(day, until)
        self._pass(shop, until)

    def _pass(self, shop: Shop, until: Instant) -> None:
        if until > self._past.now():
            Journey(shop, self._travel, self._past.now()).go(until)

    def _open(self, day: date, until: Instant) -> None:
        """What happens on one day, in its order."""
        acts = self._days.pop(day, [])
        for minute, act in sorted(acts, key=lambda one: one[0]):
            moment = at(day, time(OPENS + minute // 60, minute % 60), ZONE)
            if moment < until:
                self._travel.set(moment)
                act()

    def _ship(self, shop: Shop, order_ids: list[str]) -> None:
        """What was paid until the last night goes out, each with the parcel's number. The last day's waits."""
        self._bank.asked.difference_update(order_ids)
        for order in shop.orders.get_many(order_ids):
            if order.current_stage == PAID_STAGE:
                self._parcels += 1
                number = f"{CARRIER}{self._parcels:010d}"
                ship.update(shop, order.order_id or "", {"shipping": {"tracking_numbers": [number]}})

    # --- the shop ----------------------------------------------------------------------------------------------------

    def _found(self, shop: Shop) -> None:
        merchant = {
            "name": NAME,
            "time_zone": ZONE,
            "currency_code": "USD",
            "sender_email": "hello@larkspur.example",
            "sender_name": NAME,
            "support_email": "support@larkspur.example",
        }
        configure(shop, Merchant, merchant)
        configure(shop, AutoOrderProcessing, SETTINGS)
        configure(shop, ShippingSettings, SHIPPING)
        configure(shop, TaxSettings, TAXES)
        for item in list(_catalogue())[: self._size.items]:
            insert_item(shop, item)
            self._sold.append(item["merchant_item_id"])
        for coupon in COUPONS:
            insert_coupon(shop, coupon)

    def _people(self, shop: Shop) -> list[Person]:
        chance, people = self._chance, []
        for number in range(self._size.customers):
            first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
            city, state, postal = chance.choice(CITIES)
            email = f"{first}.{last}.{number + 1}@example.com".lower()
            billing = OrderBilling(
                first_name=first,
                last_name=last,
                email=email,
                address1=f"{chance.randrange(1, 400)} {chance.choice(STREETS)} Street",
                city=city,
                state_region=state,
                postal_code=f"{postal}{chance.randrange(1, 99):02d}",
                country_code="US",
                day_phone=f"555-01{chance.randrange(100):02d}",
            )
            people.append(Person(email, billing))
            home = {
                name: getattr(billing, name)
                for name in (
                    "first_name",
                    "last_name",
                    "address1",
                    "city",
                    "state_region",
                    "postal_code",
                    "country_code",
                )
            }
            insert_customer(
                shop,
                {
                    "email": email,
                    "billing": [{**home, "day_phone": billing.day_phone, "default_billing": True}],
                    "shipping": [{**home, "default_shipping": True}],
                },
            )
        return people

    # --- its days ----------------------------------------------------------------------------------------------------

    def _plan(self, shop: Shop, people: list[Person]) -> None:
        first = local_date(self._past.now(), ZONE)
        span = self._size.days - YOUNGEST_DAYS
        for number in range(self._size.auto_orders):
            day = first + timedelta(days=span * number // max(1, self._size.auto_orders - 1))
            person = people[number * 7 % len(people)]
            fate = LATE_FATES.get(self._size.auto_orders - number) or FATES.get(number % FATES_REPEAT, FINE)
            self._at(day, self._subscribing(shop, person, fate, day))
        for _ in range(self._size.single_orders):
            person = self._chance.choice(people)
            self._at(first + timedelta(days=self._chance.randrange(span)), self._buying(shop, person))

    def _at(self, day: date, act: Callable[[], None]) -> None:
        self._days[day].append((self._chance.randrange((CLOSES - OPENS) * 60), act))

    def _subscribing(self, shop: Shop, person: Person, fate: Fate, day: date) -> Callable[[], None]:
        def act() -> None:
            order_id = self._order(shop, person, self._lines(fate.schedule), card_ends=fate.card_ends)
            self._bank.fates[order_id] = fate
            purchase.pay(shop, order_id)
            oid = shop.auto_orders.oid_by_original_order(order_id)
            if oid is not None and fate.ends:
                self._at(day + timedelta(days=fate.after_days), self._changing(shop, oid, fate.ends))

        return act

    def _buying(self, shop: Shop, person: Person) -> Callable[[], None]:
        def act() -> None:
            purchase.pay(shop, self._order(shop, person, self._things()))

        return act

    def _lines(self, schedule: Frequency | None) -> list[OrderItem]:
        """What an auto order begins with: a programme, or what the customer wants so often."""
        chance = self._chance
        programmes = self._among(PROGRAMMES)
        if programmes and not schedule and chance.random() < 0.3:
            return [_line(chance.choice(programmes))]
        chosen = chance.sample(self._among((*COFFEES, *TEAS)), chance.choice((1, 1, 1, 2, 2, 3)))
        often = schedule or chance.choice(CHOSEN)
        lines = [_line(item_id, chance.choice((1, 1, 2)), often) for item_id in chosen]
        return lines + (self._things()[:1] if chance.random() < 0.15 else [])

    def _things(self) -> list[OrderItem]:
        """What is bought once."""
        things = self._among(THINGS) or self._among(COFFEES)
        return [_line(item_id) for item_id in self._chance.sample(things, self._chance.randrange(1, 3))]

    def _among(self, kinds: Sequence[tuple[Any, ...]]) -> list[str]:
        return [kind[0] for kind in kinds if kind[0] in self._sold]

    def _order(self, shop: Shop, person: Person, lines: list[OrderItem], *, card_ends: bool = False) -> str:
        """A placed order, not yet paid. Returns its id."""
        chance, today = self._chance, local_date(self._past.now(), ZONE)
        month, year = chance.randrange(1, 13), today.year + chance.randrange(2, 5)
        if card_ends:
            # Good until the end of this month: whoever moves the clock on sees what comes after.
            month, year = self._last.month, self._last.year
        token, _ = place_order.card_token(shop, chance.choice(CARDS), month, year)
        code = chance.choice(COUPONS)["merchant_code"] if chance.random() < 0.2 else None
        order = Order(
            items=lines,
            billing=person.billing,
            shipping=person.shipping("Express" if chance.random() < 0.1 else "Ground"),
            coupons=[OrderCoupon(coupon_code=code)] if code else None,
            payment=OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=token)),
        )
        return place_order.place(shop, order, by_shopper=False).noun.order_id or ""

    def _changing(self, shop: Shop, oid: int, what: str) -> Callable[[], None]:
        """A customer changes their mind, where the auto order still stands."""

        def act() -> None:
            kept, head = shop.auto_orders.read(oid)
            if head.status != "active":
                return
            match what:
                case "cancel":
                    reason = self._chance.choice(REASONS)
                    who = self._chance.choice(("customer", "service desk"))
                    edit.update(shop, oid, {"enabled": False, "cancel_reason": reason, "canceled_by_user": who})
                case "pause":
                    edit.pause(shop, oid)
                case "more":
                    edit.update(shop, oid, {"items": _more(kept.noun)})
                case "later":
                    later_on = at(local_date(self._past.now(), ZONE) + timedelta(days=20), time(0), ZONE)
                    edit.update(
                        shop,
                        oid,
                        {"items": [{**one, "next_shipment_dts": str(later_on)} for one in _more(kept.noun, 1)]},
                    )

        return act


class _Passing:
    """Lets the past go by (``flows.ports.Travel``)."""

    def __init__(self, engine: Engine, past: Past) -> None:
        self._traveller = engine.travel_of(MERCHANT)
        self._past = past
        self.alone = self._traveller.alone
        self.run_due = self._traveller.run_due
        self.backroom = self._traveller.backroom

    def set(self, now: Instant) -> None:
        self._past.moment = max(now, self._past.moment)


def _line(item_id: str, quantity: int = 1, schedule: Frequency | None = None) -> OrderItem:
    return OrderItem(merchant_item_id=item_id, quantity=Decimal(quantity), auto_order_schedule=schedule)


def _more(noun: AutoOrder, more: int = 2) -> list[dict[str, Any]]:
    """The items, so many times as many of each."""
    return [
        {
            "auto_order_item_oid": entry.auto_order_item_oid,
            "original_item_id": entry.original_item_id,
            "original_quantity": (entry.original_quantity or Decimal(1)) * more,
            **({"frequency": entry.frequency} if entry.frequency else {}),
        }
        for entry in noun.items or []
    ]


def _catalogue() -> Iterator[dict[str, Any]]:
    """Of each kind in turn, but programmes after all that they send."""
    for item_id, description, cost in (*COFFEES, *TEAS):
        yield _item(item_id, description, cost, "0.75", auto_orderable=True, auto_order_schedules=list(SCHEDULES))
    for item_id, description, cost in THINGS:
        yield _item(item_id, description, cost, "1.5")
    for item_id, description, cost, steps in PROGRAMMES:
        yield _item(item_id, description, cost, "1", auto_order_upsell=True, steps=[_step(step) for step in steps])


def _item(item_id: str, description: str, cost: str, pounds: str, **tab: Any) -> dict[str, Any]:
    item: dict[str, Any] = {
        "merchant_item_id": item_id,
        "description": description,
        "pricing": {"cost": Decimal(cost), "currency_code": "USD"},
        "physical": {"weight": {"uom": "LB", "value": Decimal(pounds)}},
    }
    return item | ({"auto_order": tab} if tab else {})


def _step(step: Step) -> dict[str, Any]:
    if isinstance(step, str):
        return {"type": step}
    if isinstance(step, int):
        return {"type": "pause", "pause_days": step}
    item_id, schedule, times = step
    made = {"type": "item", "recurring_merchant_item_id": item_id, "schedule": schedule, "preshipment_notice_days": 3}
    return made | ({"repeat_count": times} if times else {})
