"""What a customer sees and may do in his account: his auto orders, what can still be changed of each, and the bounds
of what he may ask for by himself. The merchant may do more."""

from datetime import date, timedelta
from typing import NamedTuple

from chalicelib.domain.cancellation import CancellationItem, Coming, Skip
from chalicelib.domain.dates import Instant, local_date
from chalicelib.domain.errors import Invalid
from chalicelib.domain.loyalty import CustomerLoyalty, LoyaltyReward
from chalicelib.domain.orders import Order

# Who wants nothing for a year cancels; a date further away is a slip.
LATEST_DAYS = 366
# More of one thing is an order of its own, with a price of its own.
MOST_QUANTITY = 100


class AccountItem(NamedTuple):
    """One item of an auto order. ``quantity`` can be changed where it is a whole number."""

    auto_order_item_oid: int
    shown: CancellationItem
    paused: bool

    def may_change_quantity(self) -> bool:
        quantity = self.shown.quantity
        return quantity is not None and quantity == quantity.to_integral_value()


class AccountAutoOrder(NamedTuple):
    """``coming`` and ``skip`` where the next shipment can still be moved or left out."""

    auto_order_oid: int
    code: str
    status: str
    items: list[AccountItem]
    coming: Coming | None
    skip: Skip | None
    cancel_url: str
    update_url: str

    def paused(self) -> bool:
        return bool(self.items) and all(item.paused for item in self.items)


class Account(NamedTuple):
    """``loyalty`` where there is a programme and a profile; ``rewards`` those that its points are enough for."""

    email: str
    auto_orders: list[AccountAutoOrder]
    orders: list[Order]
    loyalty: CustomerLoyalty | None
    rewards: list[LoyaltyReward]


def refuse_day(to: date | None, now: Instant, zone_name: str) -> date:
    """The day that a shipment is moved to. Raises Invalid, in words for the customer."""
    today = local_date(now, zone_name)
    if to is None or not today < to <= today + timedelta(days=LATEST_DAYS):
        raise Invalid.one("/to", "out_of_range", "Choose a day from tomorrow on, within a year.")
    return to


def quantity_of(text: str) -> int:
    """The quantity that a form asks for. Raises Invalid, in words for the customer."""
    digits = text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_QUANTITY))
    if not digits or not 1 <= int(text) <= MOST_QUANTITY:
        raise Invalid.one("/quantity", "out_of_range", f"Enter a quantity from 1 to {MOST_QUANTITY}.")
    return int(text)
