"""A shop with many customers, and what a search of them costs: queries, read units, milliseconds.

Rows and keys are written through the store's own function, profiles are not: nothing but rows and keys is searched.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from random import Random
from string import ascii_lowercase
from types import SimpleNamespace
from typing import Any

import msgspec

from chalicelib.domain.customer_search import KIND, CustomerQuery, row_of_customer
from chalicelib.domain.customers import Customer, CustomerBilling, CustomerShipping, CustomerTag
from chalicelib.domain.dates import Instant, later, parse_instant
from chalicelib.domain.merchants import Merchant
from chalicelib.flows.find_customers import find_customers
from chalicelib.stores.lists import Lists
from chalicelib.stores.sqlite import SqliteTables

SHOP = 100_000
# Read units: of a pattern with a * in an e-mail address; of anything else that no key leads to. Seconds of the latter.
PATTERN_READS = 250
ANYTHING_READS = 6_000
ANYTHING_SECONDS = 3.0
NOW = parse_instant("2027-03-01T12:00:00Z")
PAGE = 100

FIRST = ("Ann", "Bo", "Christopher", "Jennifer", "María José", "Tom", "Yann", "Zoë")
DOMAINS = (("gmail.com", 40), ("yahoo.com", 20), ("example.com", 30), ("widgets.example", 10))
CITIES = ("Duluth", "New York", "San Francisco", "Saint Petersburg", "Austin")
STATES = ("GA", "NY", "CA", "FL", "TX")


def people(number: int) -> Iterator[Customer]:
    """Ordinary profiles; the same ones every time. The commonest last name has one in 300 of them; one in four is a
    company's, one in ten sends to somebody else."""
    chance = Random(7)
    lasts = ["".join(letters) for letters in product("BDGKLMNRSTV", "aeiou", "lmnrst", ("ano", "er", "ley", "son"))]
    lasts += [f"{one}-{other}" for one, other in zip(lasts, reversed(lasts), strict=True)]
    domains, weights = zip(*DOMAINS, strict=True)
    for position in range(number):
        first, last = chance.choice(FIRST), lasts[min(int(chance.expovariate(1 / 260)), len(lasts) - 1)]
        town = chance.randrange(len(CITIES))
        address: dict[str, Any] = {
            "first_name": first,
            "last_name": last,
            "company": f"{last} & Sons {chance.randrange(50)}" if position % 4 == 0 else None,
            "city": CITIES[town],
            "state_region": STATES[town],
            "postal_code": f"{chance.randrange(100_000):05d}",
            "country_code": "US",
            "day_phone": f"{chance.choice((212, 678))}-{chance.randrange(200, 1000)}-{chance.randrange(10_000):04d}",
        }
        sent = address | ({"first_name": "Bob", "last_name": "Roe"} if position % 10 == 0 else {})
        name = f"{chance.choice(ascii_lowercase)}.{last}{position}".lower()
        yield Customer(
            customer_profile_oid=10**9 + position * 7919 % 10**9,
            email=f"{name}@{chance.choices(domains, weights)[0]}",
            signup_dts=later(NOW, seconds=-chance.randrange(10**8)),
            last_modified_dts=NOW,
            billing=[CustomerBilling(**address)],
            shipping=[CustomerShipping(**sent)],
            tags=[CustomerTag(tag_value="wholesale")] if position % 20 == 0 else None,
        )


class Asked(msgspec.Struct, frozen=True):
    """One shape of search. ``most``: its budget of read units, where it has one."""

    what: str
    query: CustomerQuery
    sort: str | None = None
    most: float | None = None


def shapes(somebody: Customer) -> list[Asked]:
    """What is asked, about somebody who is there."""
    address = (somebody.billing or [CustomerBilling()])[0]
    beginning = (address.last_name or "")[:3]
    return [
        Asked("an e-mail address", CustomerQuery(email=somebody.email), most=1),
        Asked("a last name", CustomerQuery(billing_last_name=address.last_name), most=25),
        Asked("a company, the beginning", CustomerQuery(billing_company=f"{address.company or ''}*"), most=25),
        Asked("a phone number", CustomerQuery(billing_day_phone=address.day_phone), most=1),
        Asked("a postal code", CustomerQuery(billing_postal_code=address.postal_code), most=1),
        Asked("Y*@gmail.com", CustomerQuery(email="Y*@gmail.com"), most=PATTERN_READS),
        Asked("*@gmail.com", CustomerQuery(email="*@gmail.com"), most=ANYTHING_READS),
        Asked(
            "a last name and a city",
            CustomerQuery(billing_last_name=f"{beginning}*", billing_city=address.city),
            most=ANYTHING_READS,
        ),
        Asked("everybody, by e-mail address", CustomerQuery(), "email", most=ANYTHING_READS),
        Asked("everybody, by last name", CustomerQuery(), "billing.last_name", most=ANYTHING_READS),
        Asked("a state and a tag", CustomerQuery(billing_state="GA", all_tags=["whole*"]), most=ANYTHING_READS),
        Asked("two words", CustomerQuery(search_string=f"{address.first_name} {beginning}"), most=ANYTHING_READS),
    ]


class Cost(msgspec.Struct, frozen=True):
    """A first page and the page after it; the profiles of a page are read besides, as those of any list."""

    asked: Asked
    total: int
    calls: int
    reads: float
    writes: float
    milliseconds: float
    processor: float
    next_reads: float
    next_milliseconds: float

    @property
    def over(self) -> bool:
        return self.reads > (self.asked.most or self.reads)


class Crowd:
    """A shop of so many customers, on the embedded engine in memory."""

    def __init__(self, port: SqliteTables, number: int) -> None:
        self.port = port
        self.lists = Lists(port, "DEMO")
        merchant = SimpleNamespace(noun=Merchant())
        configuration = SimpleNamespace(section=lambda type_: merchant)
        clock = SimpleNamespace(now=self._now)
        self.shop: Any = SimpleNamespace(lists=self.lists, clock=clock, configuration=configuration)
        self.somebody = Customer()
        started = time.perf_counter()
        for position, customer in enumerate(people(number)):
            row = row_of_customer(customer, NOW)
            self.lists.note_keyed(KIND, str(customer.customer_profile_oid), row, 1, new=True)
            if position == number // 8 * 4:
                self.somebody = customer
        self.seconds_to_build = time.perf_counter() - started

    def _now(self) -> Instant:
        return NOW

    def cost(self, asked: Asked) -> Cost:
        self.port.meter.reset()
        started, busy = time.perf_counter(), time.process_time()
        found = find_customers(self.shop, asked.query, asked.sort, 0, PAGE)
        milliseconds, processor = (time.perf_counter() - started) * 1000, (time.process_time() - busy) * 1000
        calls = list(self.port.meter.calls)
        self.port.meter.reset()
        started = time.perf_counter()
        if found.total > PAGE:
            find_customers(self.shop, asked.query, asked.sort, PAGE, PAGE)
        return Cost(
            asked=asked,
            total=found.total,
            calls=sum(call.verb in ("query", "get_many") for call in calls),
            reads=sum(call.reads for call in calls),
            writes=sum(call.writes for call in calls),
            milliseconds=milliseconds,
            processor=processor,
            next_reads=sum(call.reads for call in self.port.meter.calls),
            next_milliseconds=(time.perf_counter() - started) * 1000,
        )


def costs(number: int = SHOP) -> tuple[Crowd, list[Cost]]:
    with closing(SqliteTables(":memory:")) as port:
        crowd = Crowd(port, number)
        return crowd, [crowd.cost(asked) for asked in shapes(crowd.somebody)]
