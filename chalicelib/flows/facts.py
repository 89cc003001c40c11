"""Reading what a plan needs: head, document, original order and the configuration, in three round trips."""

from chalicelib.domain import cancellation
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.dates import Instant, local_date
from chalicelib.domain.heads import Head
from chalicelib.domain.items import Item
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.networks import CardDecline
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import Spend
from chalicelib.domain.pricing_tiers import NOBODY, CustomerTerms, PricingTiers, terms_of
from chalicelib.domain.rebills import Facts, rebill_order_id
from chalicelib.domain.rotating import RotatingGateways, Usage, needs_usage
from chalicelib.flows.balances import store_credit
from chalicelib.flows.ports import Kept, Shop

# Orders that are asked for their shipping dates: the latest dozen and the first. Whoever ships at all ships within
# that.
LATEST_ORDERS = 12


def read_facts(shop: Shop, oid: int, *, to_charge: bool = True) -> tuple[Facts, Kept[AutoOrder], Kept[Order]]:
    """Everything about one auto order, consistently where it decides about money. Raises NotFound.

    ``to_charge`` False: without what only a charge asks for (what gateways have taken, what the card was declined for).
    """
    document, head = shop.auto_orders.read(oid)
    original = shop.orders.get(document.noun.original_order_id or "")
    return facts_of(shop, document.noun, head, original.noun, to_charge=to_charge), document, original


def facts_of(shop: Shop, auto_order: AutoOrder, head: Head, original: Order, *, to_charge: bool = True) -> Facts:
    wanted = [
        item_id
        for entry in auto_order.items or []
        for item_id in (entry.original_item_id, entry.arbitrary_item_id, *(a.item_id for a in entry.add_ons or []))
        if item_id
    ]
    wanted += [add_on.item_id for add_on in auto_order.add_ons or [] if add_on.item_id]
    codes = [coupon.coupon_code or "" for coupon in original.coupons or []]
    merchant, settings, shipping, taxes, items, coupons = shop.configuration.price_list(wanted, codes)
    rotation = shop.configuration.remembered(RotatingGateways)
    last = head.round + 1 >= settings.retries() and bool(settings.try_cancel_item_after_max_retries)
    return Facts(
        merchant=merchant,
        settings=settings,
        shipping=shipping,
        taxes=taxes,
        auto_order=auto_order,
        head=head,
        original=original,
        items=with_step_items(shop, items, cancel_items=last or head.state.cancel_item is not None),
        coupons=coupons,
        rotation=rotation,
        usage=usage_of(shop, rotation, merchant) if to_charge else {},
        terms=terms_of_customer(shop, original.customer_profile_oid),
        declines=declines_of(shop, original) if to_charge and (head.round or head.state.tried) else [],
        credit=_credit(shop, original, head) if to_charge and settings.use_store_credit_for_rebills else None,
    )


def _credit(shop: Shop, original: Order, head: Head) -> Spend | None:
    """The customer's store credit, where a plan may come to spend it: an open attempt has its plan."""
    return store_credit(shop, original.store_credit_of) if head.attempt is None else None


def terms_of_customer(shop: Shop, profile: int | None) -> CustomerTerms:
    """By which terms the customer with that profile buys, as it was a moment ago; nobody's for who has none."""
    kept = shop.customers.find(profile, consistent=False) if profile else None
    return terms_of(kept.noun, shop.configuration.remembered(PricingTiers)) if kept else NOBODY


def declines_of(shop: Shop, order: Order) -> list[CardDecline]:
    """What the order's card was declined for lately, wherever in the shop it was charged."""
    stored = order.payment.stored() if order.payment else []
    return shop.declines.of(stored[0].fingerprint, shop.clock.now()) if stored else []


def usage_of(shop: Shop, rotation: RotatingGateways, merchant: Merchant) -> dict[str, Usage]:
    """What the rotating gateways have taken; read only where one of them has a limit."""
    if not needs_usage(rotation):
        return {}
    day = local_date(shop.clock.now(), merchant.zone_name())
    return shop.usage.of(rotation.by_code(), day, merchant.currency())


def with_step_items(shop: Shop, items: dict[str, Item], *, cancel_items: bool = False) -> dict[str, Item]:
    """The items and those that their automatic steps rebill; with their cancel items, where one may be charged."""
    named = {
        step.recurring_merchant_item_id
        for item in items.values()
        for step in item.steps()
        if step.recurring_merchant_item_id
    }
    if cancel_items:
        tabs = [item.auto_order for item in items.values() if item.auto_order]
        named |= {tab.auto_order_cancel_item_id for tab in tabs if tab.auto_order_cancel_item_id}
    missing = sorted(named - set(items))
    if not missing:
        return items
    return items | {item.merchant_item_id or "": item for item in shop.items.get_many(missing)}


def last_shipment(shop: Shop, facts: Facts) -> Instant | None:
    """When anything of an auto order was shipped last, read from its orders by their ids; else its last billing."""
    run, original_id = facts.head.run, facts.auto_order.original_order_id or ""
    ids = [rebill_order_id(original_id, number) for number in range(max(1, run - LATEST_ORDERS), run)]
    return cancellation.last_shipment([facts.original, *shop.orders.get_many(ids)], facts.head)
