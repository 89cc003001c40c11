"""Shops to measure: the embedded engine on files, as ``make run`` has it, with many auto orders of one kind."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from app import app
from chalicelib import wiring
from chalicelib.domain.dates import Instant, instant, parse_instant
from chalicelib.domain.items import Item, ItemAutoOrder, ItemPhysical, ItemPricing, ItemShipping, Weight
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.orders import (
    Order,
    OrderBilling,
    OrderItem,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderShipping,
)
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.flows import place_order, purchase
from chalicelib.flows.ports import Shop
from infra.engine import Engine

MERCHANT = "DEMO"
LARGEST_OID = 2**31 - 1
ZONE = "America/New_York"
START = parse_instant("2027-01-04T17:00:00Z")
# A folder of the repository, not of the system's: that one may be memory.
FOLDER = Path(__file__).parent.parent.parent / "out"


class Machine:
    """The machine's clock, moved by hand: nothing waits for a month."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> Instant:
        return self.moment

    def pass_(self, **span: int) -> None:
        self.moment = instant(self.moment + timedelta(**span))


class Measured(msgspec.Struct, kw_only=True, frozen=True):
    house: wiring.House
    engine: Engine
    machine: Machine

    @property
    def shop(self) -> Shop:
        return self.house.open_shop(MERCHANT)


@contextmanager
def on_disk(auto_orders: int, *, lines: int = 1, days: int = 1) -> Iterator[Measured]:
    """A shop with so many monthly auto orders of so many items, placed over so many days. Every customer has an
    address and gets receipts; everything that placing them brought about is done."""
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="bench-", dir=FOLDER) as folder:
        machine = Machine()
        house = wiring.embedded(Path(folder), "http://127.0.0.1:1", frozenset(), machine.now)
        chance = random.Random(1)
        # The same shop each time: what is drawn is drawn alike.
        house.oids = lambda: (chance.randint(1, LARGEST_OID) for _ in count())
        wiring.use(house)
        measured = Measured(house=house, engine=Engine(house, app), machine=machine)
        shop = measured.shop
        merchant = Merchant(merchant_id=MERCHANT, name="Roastery", time_zone=ZONE, sender_email="shop@example.com")
        shop.write(shop.configuration.save(merchant, 0))
        shop.write(shop.configuration.save(AutoOrderProcessing(), 0))
        for number in range(lines):
            item = _roast(number)
            shop.write(shop.items.inserted(item.merchant_item_id, item))
        for number in range(auto_orders):
            if number * days // auto_orders != (number - 1) * days // auto_orders:
                machine.pass_(days=1)
            order_id = place_order.place(shop, _order(shop, number, lines), by_shopper=False).noun.order_id
            purchase.pay(shop, order_id or "")
        measured.engine.run_due()
        yield measured
        for store in (house.port, house.extras["mailbox"], *house.payments_of(MERCHANT).values()):
            store.close()  # type: ignore[union-attr]  # the embedded forms close


def _roast(number: int) -> Item:
    return Item(
        merchant_item_id=f"ROAST-{number}",
        merchant_item_oid=500 + number,
        description=f"Single origin roast number {number}, 12 oz bag",
        pricing=ItemPricing(cost=Decimal("14.95")),
        physical=ItemPhysical(weight=Weight(uom="LB", value=Decimal("0.75"))),
        shipping=ItemShipping(),
        auto_order=ItemAutoOrder(auto_orderable=True, auto_order_schedules=["Monthly"]),
    )


def _order(shop: Shop, number: int, lines: int) -> Order:
    token, _ = place_order.card_token(shop, "4111111111111111", 12, 2040)
    address = {"first_name": "Ada", "last_name": f"Byron {number}", "city": "New York", "country_code": "US"}
    return Order(
        items=[
            OrderItem(merchant_item_id=f"ROAST-{line}", quantity=Decimal(1), auto_order_schedule="Monthly")
            for line in range(lines)
        ],
        billing=OrderBilling(**address, email=f"ada{number}@example.com", postal_code="10001"),
        shipping=OrderShipping(**address, state_region="NY", postal_code="10001"),
        payment=OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=token)),
    )
