"""What a purchase has to do with the auto orders that its customer has: some items are sold one per customer, others
end what was there before."""

from msgspec.structs import replace

from chalicelib.domain.auto_orders import AutoOrder, Bought, Edited, owned, superseded
from chalicelib.domain.customers import customer_names
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Contended, Invalid, NotFound, Problem, Refused
from chalicelib.domain.events import Event, event_id
from chalicelib.domain.heads import Head
from chalicelib.domain.orders import Order
from chalicelib.domain.placing import has_it_already
from chalicelib.domain.timeline import SYSTEM
from chalicelib.flows.edit import MOST_TRIES, Standing, Thought, change, composed
from chalicelib.flows.ports import Shop

# Auto orders that one visit of the relay ends; whoever has more of them is visited again.
MOST_AT_ONCE = 20


def names_of(order: Order, profile_oid: int | None) -> list[str]:
    """What the customer of an order is known by."""
    return customer_names(profile_oid, order.billing.email if order.billing else None)


# --- one per customer ------------------------------------------------------------------------------------------------


def owned_items(shop: Shop, customers: list[str]) -> frozenset[str]:
    """The items that active auto orders of the customer bring."""
    oids = [oid for _, oid in shop.auto_orders.of_customer(customers)]
    found = shop.auto_orders.read_many(oids)
    return frozenset().union(*(owned(kept.noun, head, shop.clock.now()) for kept, head in found))


def reserve(shop: Shop, order: Order) -> None:
    """Before an order is paid: from now on it alone brings its customer the items that are sold one per customer.

    Whoever takes a reservation over moves the head of the order that had it, so a claim that was thought out before is
    refused; an order whose payment is under way keeps it. ``order`` must have been read, and its head, before this.
    Raises Invalid where the customer has the item or is about to get it, Contended where others never leave it alone.
    """
    customers = names_of(order, order.customer_profile_oid)
    if not customers:
        return  # who left no name is a customer of his own
    for item_id in order.sole_items or []:
        _reserve(shop, customers[0], item_id, order)
    taken = owned_items(shop, customers) & frozenset(order.sole_items or [])
    if taken:
        raise Invalid([_taken(order, item_id, has_it_already(item_id)) for item_id in sorted(taken)])


def _reserve(shop: Shop, customer: str, item_id: str, order: Order) -> None:
    order_id = order.order_id or ""
    for _ in range(MOST_TRIES):
        standing = shop.auto_orders.sole_order(customer, item_id)
        if standing == order_id:
            return
        changes = [shop.auto_orders.made_sole(customer, item_id, order_id, standing)]
        head = _head_of(shop, standing) if standing else None
        if standing is not None and head is not None and head.status == "unpaid":
            if head.attempt is not None:
                message = f"order {standing} of the same customer, with {item_id}, is being paid at this moment"
                raise Invalid([_taken(order, item_id, message)])
            changes.append(shop.orders.moved(standing, head, replace(head, fence=head.fence + 1)))
        try:
            shop.write(*changes)
        except Refused:
            continue
        return
    raise Contended("the item is being bought by the same customer elsewhere; try again")


def _head_of(shop: Shop, order_id: str) -> Head | None:
    try:
        return shop.orders.read(order_id)[1]
    except NotFound:
        return None


def _taken(order: Order, item_id: str, message: str) -> Problem:
    position = [line.merchant_item_id for line in order.items or []].index(item_id)
    return Problem(pointer=f"/items/{position}/merchant_item_id", code="one_per_customer", message=message)


# --- what a purchase ends --------------------------------------------------------------------------------------------


def end_others(shop: Shop, event: Event) -> None:
    """End what the purchase replaces of the auto orders that its customer had before, one by one, each in a
    transaction of its own with its log and event. Coming again goes on where it stopped.

    Raises Contended where there are more than one visit takes: the event stays to be told.
    """
    if event.bought is None:
        return
    order = shop.orders.get(event.bought).noun
    before = earlier(shop, order, event.dts)
    if not before:
        return
    bought, done = _bought(shop, order), 0
    for oid in before:
        if done == MOST_AT_ONCE:
            raise Contended("more auto orders are to be ended; the next relay goes on")
        done += _end(shop, oid, bought, event.bought)


def earlier(shop: Shop, order: Order, paid: Instant) -> list[int]:
    """The customer's auto orders that began before the order was paid, whatever became of them. Of two that began in
    one second the smaller oid is first, so that no two end each other."""
    own = order.auto_order_oid
    found = shop.auto_orders.of_customer(names_of(order, order.customer_profile_oid))
    return [oid for began, oid in found if oid != own and (began < paid or (began == paid and oid < (own or oid)))]


def _bought(shop: Shop, order: Order) -> Bought:
    lines = order.items or []
    ids = [line.merchant_item_id or "" for line in lines]
    items = shop.configuration.price_list(list(dict.fromkeys(ids)), [])[4]
    tabs = {name: item.auto_order for name, item in items.items()}
    cancels = [name for name in ids if (tab := tabs.get(name)) is not None and tab.cancel_other_auto_orders]
    return Bought(
        began=frozenset(line.merchant_item_id or "" for line in lines if line.item_reference_oid),
        cancels=cancels[0] if cancels else None,
    )


def _end(shop: Shop, oid: int, bought: Bought, order_id: str) -> bool:
    """Whether there was anything to end. What an order has ended once it does not end again, though somebody may have
    enabled it since."""
    transition = f"ended_by#{order_id}"
    event_name = event_id(shop.merchant_id, f"auto_order#{oid}", transition)

    def think(stands: Standing) -> Thought | None:
        facts, document = stands.facts, stands.document.noun
        done = superseded(document, facts.head, facts.items, bought, stands.now, facts.zone_name())
        if done is None or shop.events.find(event_name) is not None:
            return None
        return composed(
            shop,
            stands,
            head=done.head,
            document=done.document,
            actor=SYSTEM,
            kind="canceled" if done.canceled else "edited",
            event_name="auto_order_cancel" if done.canceled else "auto_order_update",
            transition=transition,
            message=_message(done, document, order_id),
            reason=done.document.cancel_reason if done.canceled else None,
        )

    return change(shop, oid, think) is not None


def _message(done: Edited, before: AutoOrder, order_id: str) -> str:
    if done.canceled:
        return f"Order {order_id}: {done.document.cancel_reason}"
    old = {entry.auto_order_item_oid: entry for entry in before.items or []}
    ended = [entry for entry in done.document.items or [] if entry != old.get(entry.auto_order_item_oid)]
    return f"Order {order_id}: " + "; ".join(f"{entry.original_item_id} {entry.cancel_reason}" for entry in ended)
