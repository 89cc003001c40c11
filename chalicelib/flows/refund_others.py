"""An item whose refund refunds the customer's other auto orders: the latest paid order of each, all that is left of it.

Told by the outbox. The refund of the item makes an event for each other auto order, which is told by itself: so one
whose outcome is not known yet holds up none of the others, and each comes again until it has ended.
"""

import logging
from decimal import Decimal

from msgspec.structs import replace

from chalicelib.domain import refunds
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.dates import BEGINNING, Instant
from chalicelib.domain.errors import Contended, Invalid
from chalicelib.domain.events import Event, GiveBack, Happening, Notice, event_id
from chalicelib.domain.heads import Head
from chalicelib.domain.money import ZERO, Currency
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import Approved, Declined, NotSent
from chalicelib.domain.rebills import rebill_order_id
from chalicelib.domain.refunds import OtherRefund
from chalicelib.domain.timeline import SYSTEM, decided_entry
from chalicelib.flows.customers_auto_orders import MOST_AT_ONCE, names_of
from chalicelib.flows.ports import Change, Shop
from chalicelib.flows.refund import refund

log = logging.getLogger(__name__)

# Runs among which the latest paid order is looked for: two years of months. Before them the original order is the one.
LATEST_RUNS = 24
# A refund that surely was not sent is tried again with every relay for a day; then a person is asked.
TRIED_HOURS = 24
PAID = ("Processed", "Refunded")


def refund_others(shop: Shop, event: Event) -> None:
    """Ask for the refunds that the refund of an order leads to, each in an event of its own, once.

    Raises Contended where there are more than one visit takes: the event stays to be told.
    """
    if event.refunded is None or not _refunds_others(shop, event.refunded_items):
        return
    order = shop.orders.get(event.refunded).noun
    done = 0
    for began, oid in shop.auto_orders.of_customer(names_of(order, order.customer_profile_oid)):
        if oid == order.auto_order_oid or began > event.dts:
            continue
        if done == MOST_AT_ONCE:
            raise Contended("more auto orders are to be refunded; the next relay goes on")
        done += _asked(shop, oid, order, event.dts)


def _refunds_others(shop: Shop, names: list[str]) -> bool:
    items = shop.configuration.price_list(names, [])[4]
    tabs = [item.auto_order for item in items.values()]
    return any(tab is not None and tab.refund_other_auto_orders for tab in tabs)


def rehearsed(shop: Shop, order: Order, names: list[str]) -> list[OtherRefund]:
    """What the refund of these items of the order would ask for, were it made now. Nothing is written."""
    if order.run is not None or not _refunds_others(shop, names):
        return []
    now = shop.clock.now()
    others = shop.auto_orders.of_customer(names_of(order, order.customer_profile_oid))
    due = [_due(shop, oid, order, now) for began, oid in others if oid != order.auto_order_oid and began <= now]
    orders = {one.order_id: one for one in shop.orders.get_many([ask.order_id for ask in due if ask and ask.order_id])}
    return [
        OtherRefund(auto_order_oid=ask.auto_order_oid, order_id=ask.order_id, amount=Currency(_missing(latest)))
        for ask in due
        if ask and (latest := orders.get(ask.order_id)) and not refunds.is_whole(latest)
    ]


def _missing(order: Order) -> Decimal:
    return refunds.whole(order, "").total - refunds.given_back(order)


def _asked(shop: Shop, oid: int, order: Order, refunded: Instant) -> bool:
    """Whether there was anything to ask for. Which order it is is settled here, once: what is paid afterwards is not
    given back in its place."""
    asked = _due(shop, oid, order, refunded)
    if asked is None:
        return False
    # The refund's own time: whoever tells of it twice at once writes the same row.
    asking = Event(event_id=_name(shop, oid, order), dts=refunded, happenings=[], give_back=asked)
    shop.write(shop.events.happened(asking))
    return True


def _due(shop: Shop, oid: int, order: Order, refunded: Instant) -> GiveBack | None:
    """What is to be asked for; None where it was asked for already, or the auto order is none of those."""
    if shop.events.find(_name(shop, oid, order)) is not None:
        return None
    document, head = shop.auto_orders.read(oid)
    bought = (order.payment.payment_dts if order.payment else None) or order.creation_dts or BEGINNING
    if not _lived_since(document.noun, head, bought):
        return None
    latest = _latest_paid(shop, document.noun, head, refunded)
    return GiveBack(
        auto_order_oid=oid,
        refunded=order.order_id or "",
        order_id=(latest.order_id if latest else None) or "",
        left=_left(document.noun, head),
    )


def _name(shop: Shop, oid: int, order: Order) -> str:
    return event_id(shop.merchant_id, f"auto_order#{oid}", f"given_back_with#{order.order_id or ''}")


def _lived_since(document: AutoOrder, head: Head, bought: Instant) -> bool:
    """Whether the auto order is active or has ended since the purchase, by it too. What was merged lives elsewhere."""
    match head.status:
        case "active":
            return True
        case "canceled":
            return (document.canceled_dts or BEGINNING) >= bought
        case "disabled":
            return (head.state.disabled_dts or BEGINNING) >= bought
    return False


def _latest_paid(shop: Shop, document: AutoOrder, head: Head, until: Instant) -> Order | None:
    """The order that was paid last until then and cost something, also where it was given back since."""
    original = document.original_order_id or ""
    runs = range(max(1, head.run - LATEST_RUNS), head.run)
    for ids in ([rebill_order_id(original, run) for run in runs], [original]):
        found = [(_paid_at(order), order.run or 0, order) for order in shop.orders.get_many(ids)]
        paid = [(when, run, order) for when, run, order in found if when is not None and when <= until]
        if paid:
            return max(paid, key=lambda one: one[:2])[2]
    return None


def _paid_at(order: Order) -> Instant | None:
    payment, total = order.payment, (order.summary.total if order.summary else None) or ZERO
    return payment.payment_dts if payment and payment.payment_status in PAID and total > 0 else None


def _left(document: AutoOrder, head: Head) -> str:
    """What of the auto order is not given back, for nobody has paid it (yet)."""
    found = [f"order {name} waits in Accounts Receivable" for name in head.state.receivables]
    if head.attempt is not None:
        name = rebill_order_id(document.original_order_id or "", head.attempt.run)
        found.append(f"what the payment of order {name} comes to is not known yet")
    return "; ".join(found)


# --- one of them -----------------------------------------------------------------------------------------------------


def given_back(shop: Shop, event: Event) -> list[Change]:
    """Refund what the event asks for. Returns what is to be written with its being told: its row in the timeline, and
    where nothing could be given back an event that asks a person.

    Raises Contended where the outcome is not known yet: the event comes again.
    """
    asked = event.give_back
    if asked is None:
        return []
    words, problem = _refunded(shop, asked, event.dts)
    if asked.left:
        words += f" Not given back: {asked.left}."
    _, head = shop.auto_orders.read(asked.auto_order_oid)
    entry = decided_entry("given_back", event.dts, words, run=head.run, reason=problem)
    entry = replace(entry, order_id=asked.order_id or None, actor=SYSTEM)
    changes: list[Change] = [shop.auto_orders.logged(asked.auto_order_oid, entry, 0, event.event_id)]
    if problem:
        facts = {"code": "not_given_back", "message": words}
        told = Event(
            event_id=event_id(shop.merchant_id, f"order#{asked.order_id}", f"not_given_back_with#{asked.refunded}"),
            dts=shop.clock.now(),
            happenings=[Happening(name="order_update", kind="order", id=asked.order_id)],
            notices=[Notice(template="held", kind="order", id=asked.order_id, facts=facts)],
        )
        changes.append(shop.events.happened(told))
    return changes


def _refunded(shop: Shop, asked: GiveBack, since: Instant) -> tuple[str, str | None]:
    """What became of it, in words, and why it could not be where a person has to see to it."""
    because = f"Order {asked.refunded} was refunded, with an item that refunds the other auto orders."
    if not asked.order_id:
        return f"{because} Nothing of this one was paid.", None
    order = shop.orders.get(asked.order_id).noun
    reason = f"Refund of order {asked.refunded}"
    before, currency = refunds.given_back(order), order.currency_code or "USD"
    if refunds.is_whole(order):
        how = "was given back" if order.refund_reason == reason else "had been given back before"
        return f"{because} Order {asked.order_id} {how}: {before} {currency}.", None
    wanted = replace(refunds.whole(order, reason), by_user=SYSTEM, because=asked.refunded)
    problem = _outcome(shop, asked.order_id, wanted, since)
    missing = wanted.total - before
    if problem:
        return f"{because} Order {asked.order_id} could not be given back ({missing} {currency}): {problem}", problem
    return f"{because} Order {asked.order_id} was given back: {_amounts(missing, before)} {currency}.", None


def _amounts(now: Decimal, before: Decimal) -> str:
    return f"{now}, and {before} before," if before else f"{now}"


def _outcome(shop: Shop, order_id: str, wanted: refunds.Refunded, since: Instant) -> str | None:
    """None: it is given back. Else why a person has to see to it. Raises Contended where it is not known yet."""
    try:
        outcome = refund(shop, order_id, wanted)
    except Invalid as error:
        return "; ".join(problem.message for problem in error.problems)
    except Contended:
        head = shop.orders.read(order_id)[1]
        if head is not None and head.attempt is not None and head.attempt.review_dts is not None:
            return "What became of an earlier payment of it cannot be found out."
        raise
    match outcome:
        case Approved():
            return None
        case Declined(reason=reason):
            return reason
        case NotSent(reason=reason) if (shop.clock.now() - since).total_seconds() >= TRIED_HOURS * 3600:
            return reason
        case None if refunds.is_whole(shop.orders.get(order_id).noun):
            return None
    log.info("a refund's outcome is not known yet", extra={"order_id": order_id})
    raise Contended("what became of the refund is not known yet; the next relay goes on")
