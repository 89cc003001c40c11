"""What a search costs: the list rows of a shop with 100,000 auto orders and as many orders, and a page after the first.

Counted on fewer rows of ordinary people and boxes, and scaled up.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.domain.auto_orders import AutoOrder, AutoOrderItem
from chalicelib.domain.dates import later, parse_instant
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import Currency
from chalicelib.domain.orders import (
    Order,
    OrderBilling,
    OrderCheckout,
    OrderItem,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderShipping,
    OrderSummary,
)
from chalicelib.domain.rows import Row
from chalicelib.domain.search import AutoOrderQuery, Kind, OrderQuery, Query, row_of_auto_order, row_of_order
from chalicelib.flows.find import find
from chalicelib.stores.lists import Lists
from chalicelib.stores.sqlite import SqliteTables
from chalicelib.stores.units import READ_UNIT_BYTES

SHOP = 100_000
SAMPLE = 4_000
# What the design counts on, for the list rows of one kind in a shop of that size.
DESIGNED_READS = 4_350
DESIGNED_BYTES = 36_000_000
NOW = parse_instant("2027-03-01T12:00:00Z")

FIRST = ("Ann", "Bo", "Christopher", "Jennifer", "María José", "Tom")
LAST = ("Lee", "Vandenberg", "García", "O'Neill", "Smith", "Montgomery-Hall")
CITIES = ("Duluth", "New York", "San Francisco", "Saint Petersburg", "Austin")
COMPANIES = (None, None, None, "Widgets Incorporated")
ITEMS = ("BOX-MONTHLY", "COFFEE-DARK-2LB", "BONE")


@pytest.fixture
def port() -> Iterator[SqliteTables]:
    with closing(SqliteTables(":memory:")) as opened:
        yield opened


def people() -> Iterator[Order]:
    """Orders of ordinary people; the same ones every time."""
    chance = Random(7)
    names = list(product(FIRST, LAST, CITIES))
    for number in range(SAMPLE):
        first, last, city = chance.choice(names)
        address = {
            "first_name": first,
            "last_name": last,
            "city": city,
            "company": chance.choice(COMPANIES),
            "state_region": "GA",
            "postal_code": f"{chance.randrange(100_000):05d}",
            "country_code": "US",
            "day_phone": f"678-555-{chance.randrange(10_000):04d}",
        }
        # One in ten sends to somebody else.
        receiver = {"first_name": "Bob", "city": "Athens"} if number % 10 == 0 else {}
        email = f"{first}.{last}{number}@example.com".lower().replace(" ", "")
        yield Order(
            order_id=f"DEMO-{chance.randrange(10**10):010d}",
            creation_dts=NOW,
            current_stage="Shipping Department",
            customer_profile_oid=chance.randrange(10**8, 2**31),
            billing=OrderBilling(**address, email=email),
            shipping=OrderShipping(**address | receiver),
            payment=OrderPayment(
                payment_dts=NOW,
                payment_method="Credit Card",
                credit_card=OrderPaymentCreditCard(card_type="MasterCard"),
            ),
            items=[OrderItem(merchant_item_id=item) for item in chance.sample(ITEMS, 1 + number % 2)],
            summary=OrderSummary(total=Currency("49.95")),
            checkout=OrderCheckout(screen_branding_theme_code="DFLT", storefront_host_name="shop.example.com"),
        )


def rows(kind: Kind) -> Iterator[tuple[str, Row]]:
    chance = Random(8)
    for number, order in enumerate(people()):
        if kind == "order":
            yield order.order_id or "", row_of_order(order)
            continue
        entries = [
            AutoOrderItem(
                original_item_id=line.merchant_item_id,
                next_item_id=line.merchant_item_id,
                next_shipment_dts=later(NOW, days=chance.randrange(60)),
            )
            for line in order.items or []
        ]
        noun = AutoOrder(auto_order_code="C63HK7RM2R", original_order_id=order.order_id, status="active", items=entries)
        yield str(10**9 + number), row_of_auto_order(noun, order, NOW)


@dataclass
class Counted:
    """One search: read units of the list rows, write units of the result set, reads of a page after the first."""

    reads: float
    writes: float
    next_page: float
    calls: int


def a_shop(lists: Lists) -> Any:
    """All of a shop that finding touches."""
    merchant = SimpleNamespace(noun=Merchant())
    configuration = SimpleNamespace(section=lambda type_: merchant)
    return SimpleNamespace(lists=lists, clock=SimpleNamespace(now=lambda: NOW), configuration=configuration)


def counted(port: SqliteTables, kind: Kind, query: Query) -> Counted:
    lists = Lists(port, "DEMO")
    for name, row in rows(kind):
        lists.note(kind, name, row, 1000, new=True)
    shop = a_shop(lists)
    port.meter.reset()
    first = find(shop, kind, query, None, 0, 200)
    calls = list(port.meter.calls)
    port.meter.reset()
    later_page = find(shop, kind, query, None, SAMPLE // 2, 200)
    assert (len(first.names), len(later_page.names), later_page.total) == (200, 200, SAMPLE)
    reads = sum(call.reads for call in calls if call.tables == ("lists",))
    writes = sum(call.writes for call in calls)
    return Counted(reads, writes, sum(call.reads for call in port.meter.calls), len(calls))


SOMEBODY = next(iter(people())).billing or OrderBilling()


@pytest.mark.parametrize(
    ("query", "most"),
    [
        (AutoOrderQuery(email=SOMEBODY.email), 2),
        (AutoOrderQuery(last_name=SOMEBODY.last_name, postal_code=SOMEBODY.postal_code), 2),
        # One in six of the sample has that name: each row is read by itself.
        (AutoOrderQuery(last_name=SOMEBODY.last_name), 400),
    ],
)
def test_an_auto_order_is_found_by_an_address_without_reading_the_others(
    port: SqliteTables, query: AutoOrderQuery, most: int
) -> None:
    lists = Lists(port, "DEMO")
    for name, row in rows("auto_order"):
        lists.note("auto_order", name, row, 1000, new=True)
    port.meter.reset()
    found = find(a_shop(lists), "auto_order", query, None, 0, 200)
    reads = sum(call.reads for call in port.meter.calls)
    print(f"\n{found.total} of {SAMPLE} found for {reads:g} read units")
    assert found.total > 0
    assert reads <= most


@pytest.mark.parametrize(("kind", "query"), [("auto_order", AutoOrderQuery()), ("order", OrderQuery())])
def test_a_search_over_100_000_rows_stays_within_the_design(port: SqliteTables, kind: Kind, query: Query) -> None:
    found = counted(port, kind, query)
    scale = SHOP / SAMPLE
    reads, size = found.reads * scale, found.reads * scale * 2 * READ_UNIT_BYTES
    print(f"\n{kind} rows, {SHOP:,} of them, listed whole")
    print(f"  list rows        {reads:8,.0f} read units   {size / 1e6:5.1f} MB   {size / SHOP:4.0f} bytes a row")
    print(f"  the result set   {found.writes * scale:8,.0f} write units")
    print(f"  a later page     {found.next_page:8,.0f} read units")
    # Rounding up to whole units falls on each page, and these pages are small.
    assert reads <= DESIGNED_READS
    assert size <= DESIGNED_BYTES
    assert found.next_page <= 20
