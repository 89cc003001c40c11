"""A customer profile as clients read it, with what is computed for it: orders, loyalty, activity. Nothing of that is a
copy: it is read from the records that say so."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import activity, wire
from chalicelib.domain.customers import Customer, CustomerQuotesSummary, customer_names
from chalicelib.domain.dates import BEGINNING, Instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.loyalty import CustomerLoyalty
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import ZERO
from chalicelib.domain.orders import Order
from chalicelib.domain.rebills import rebill_order_id
from chalicelib.domain.wire import Form
from chalicelib.flows import reward
from chalicelib.flows.ports import Shop
from chalicelib.flows.pricing_tiers import with_names

# Orders that one answer carries, the latest; the search has all of them, page by page.
MOST_ORDERS = 200
# Auto orders whose timelines are looked into for a customer's activity, and lines of each.
MOST_TIMELINES = 10
MOST_LINES = 20
OF_ORDERS = ("orders", "orders_summary", "activity")
# Blocks that are computed by reads of their own for each profile, and profiles of one page that may show them.
COMPUTED = frozenset({*OF_ORDERS, "loyalty"})
MOST_COMPUTED = 50


def customer(shop: Shop, noun: Customer, expand: Iterable[str], form: Form) -> dict[str, Any]:
    """The profile, rendered with the blocks that were asked for."""
    names = list(expand)
    tops = {name.partition(".")[0] for name in names}
    if "pricing_tiers" in tops:
        noun = with_names(shop, noun)
    orders = orders_of(shop, noun) if tops & set(OF_ORDERS) else []
    if "orders" in tops:
        noun = replace(noun, orders=orders[:MOST_ORDERS])
    if "orders_summary" in tops:
        noun = replace(noun, orders_summary=activity.orders_summary(orders))
    if "quotes" in tops:
        noun = replace(noun, quotes=[])
    if "quotes_summary" in tops:
        noun = replace(noun, quotes_summary=CustomerQuotesSummary(quote_count=0, total=ZERO))
    if "loyalty" in tops:
        noun = replace(noun, loyalty=_loyalty(shop, noun))
    if "activity" in tops:
        noun = replace(noun, activity=_activity(shop, noun, orders))
    return wire.render(noun, form, names)  # type: ignore[no-any-return]  # a Struct renders as an object


def customers(shop: Shop, oids: Sequence[int], expand: Iterable[str], form: Form) -> list[dict[str, Any]]:
    """These profiles in order, rendered. One that is gone since it was found is shown by its oid alone: a page that is
    short of it would look like the last."""
    found = {noun.customer_profile_oid: noun for noun in shop.customers.get_many([str(oid) for oid in oids])}
    names = list(expand)

    def shown(oid: int) -> dict[str, Any]:
        noun = found.get(oid)
        if noun is None:
            # One that was made this very moment may be missing among many, and never by itself.
            kept = shop.customers.find(oid)
            noun = kept.noun if kept else None
        return customer(shop, noun, names, form) if noun else {"customer_profile_oid": oid}

    return [shown(oid) for oid in oids]


def orders_of(shop: Shop, noun: Customer) -> list[Order]:
    """All orders of the customer, the latest first: those that he placed, and those that his auto orders made."""
    found = shop.orders.get_many(order_ids(shop, noun))
    return sorted(found, key=_when, reverse=True)


def order_ids(shop: Shop, noun: Customer) -> list[str]:
    """The ids of all orders of the customer; of a run that made none there is an id that leads to nothing."""
    names = customer_names(noun.customer_profile_oid, noun.email)
    ids = dict.fromkeys(shop.orders.of_customer(names))
    for kept, head in shop.auto_orders.read_many([oid for _, oid in shop.auto_orders.of_customer(names)]):
        original = kept.noun.original_order_id or ""
        ids |= dict.fromkeys([original, *(rebill_order_id(original, run) for run in range(1, head.run + 1))])
    return list(ids)


def _when(order: Order) -> tuple[Instant, str]:
    return order.creation_dts or BEGINNING, order.order_id or ""


def _loyalty(shop: Shop, noun: Customer) -> CustomerLoyalty | None:
    """Nothing where no programme is active."""
    try:
        return reward.of_customer(shop, noun.customer_profile_oid or 0)
    except Invalid:
        return None


def _activity(shop: Shop, noun: Customer, orders: list[Order]) -> Any:
    merchant = shop.configuration.remembered(Merchant)
    names = customer_names(noun.customer_profile_oid, noun.email)
    latest = [oid for _, oid in shop.auto_orders.of_customer(names)][-MOST_TIMELINES:]
    lines = [(oid, entry) for oid in latest for _, entry in shop.auto_orders.logs_before(oid, "", MOST_LINES)]
    mails = shop.mails.of(f"customer#{noun.customer_profile_oid}")
    return activity.activity(noun, orders, lines, mails, shop.clock.now(), merchant.currency())
