"""A customer cancels by a signed link. Looking changes nothing; canceling twice is canceling once."""

from datetime import date
from html import escape
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import cancellation
from chalicelib.domain.auto_orders import assembled
from chalicelib.domain.cancellation import Cancellation, CancelLinkRequest, CancelRequest, Skip, is_skipped, skip_of
from chalicelib.domain.customers import normalised_email
from chalicelib.domain.drafts import made
from chalicelib.domain.errors import NotFound
from chalicelib.domain.mails import addressee, asked_for
from chalicelib.domain.orders import Order
from chalicelib.domain.rebills import Facts, cancel_lines
from chalicelib.flows import asked_links, edit
from chalicelib.flows.facts import last_shipment, read_facts, with_step_items
from chalicelib.flows.ports import Kept, Shop
from chalicelib.flows.tell import told_now

# An auto order that was merged into another leads to it; a chain of more is a circle.
MOST_MERGED = 5
# Who canceled, where the order has no address.
NOBODY = "customer"


def shown(shop: Shop, token: str) -> Cancellation:
    """What canceling would do, now. Raises Unauthorised for what is no link of ours, NotFound."""
    return _shown(shop, *facts_behind(shop, shop.links.read("cancel", token)))


def cancel(shop: Shop, raw: Any) -> Cancellation:
    """Cancel, and show what stands then. What is canceled already stays as it is.

    Raises Unauthorised for what is no link of ours, NotFound, and Invalid: too early, or without a reason.
    """
    asked = made(raw, CancelRequest)
    oid, facts = facts_behind(shop, shop.links.read("cancel", asked.token))
    if facts.head.status in ("active", "disabled"):
        now = shop.clock.now()
        until = cancellation.prohibited_until(facts.settings, last_shipment(shop, facts), now, facts.zone_name())
        cancellation.refuse(facts.settings, asked.cancel_reason, until)
        by = customer_of(shop, facts)
        told_now(shop, edit.cancel(shop, oid, by=by, reason=asked.cancel_reason, by_customer=True))
    return _shown(shop, oid, read_facts(shop, oid)[0])


def offered(shop: Shop, token: str) -> Skip | None:
    """The shipment that the holder of the link may leave out instead of canceling. Raises what ``shown`` raises."""
    _, facts = facts_behind(shop, shop.links.read("cancel", token))
    return skip_of(facts, shop.clock.now())


def skip(shop: Shop, token: str, day: date) -> bool:
    """Leave out what is to be sent on that day; asked again, it is left out already. False: it cannot be left out, for
    it is being billed or was. Raises what ``shown`` raises."""
    oid, facts = facts_behind(shop, shop.links.read("cancel", token))
    told_now(shop, edit.skip(shop, oid, day, actor=customer_of(shop, facts)))
    return is_skipped(read_facts(shop, oid)[0], day)


def customer_of(shop: Shop, facts: Facts) -> str:
    """Who acts by a link, as it is written down: the address that the mails go to."""
    profile = facts.original.customer_profile_oid
    customer = shop.customers.find(profile) if profile else None
    return addressee(facts.original, customer.noun if customer else None).email or NOBODY


def facts_behind(shop: Shop, subject: str) -> tuple[int, Facts]:
    """The auto order that a link stands for, or that it was merged into."""
    oid = int(subject)
    for _ in range(MOST_MERGED):
        facts, _, _ = read_facts(shop, oid)
        target = facts.auto_order.merged_into_auto_order_oid
        if facts.head.status != "merged" or target is None:
            return oid, facts
        oid = target
    raise NotFound("auto order", subject)


def _shown(shop: Shop, oid: int, facts: Facts) -> Cancellation:
    now = shop.clock.now()
    noun = assembled(facts.auto_order, facts.head, facts.items, facts.zone_name(), now)
    priced = replace(facts, items=with_step_items(shop, dict(facts.items), cancel_items=True))
    charges = cancel_lines(priced, now) if facts.head.status == "active" else []
    return cancellation.shown(facts, noun, charges, last_shipment(shop, facts), now)


def ask_for_link(shop: Shop, raw: Any, address: str) -> None:
    """Mail a link to whom the order belongs, if that is the address named. Nothing tells the asker whether it was.

    Raises TooMany, and Invalid with all problems.
    """
    asked = made(raw, CancelLinkRequest)
    asked_links.count_asker(shop, "cancel_link", address)
    order = shop.orders.find(asked.order_id) or _by_code(shop, asked.order_id)
    order_id = order.noun.order_id or asked.order_id if order else asked.order_id
    asked_links.count_mailbox(shop, "cancel_link", f"order#{order_id}")
    billing = order.noun.billing if order else None
    if order is None or order.noun.auto_order_oid is None or billing is None or not billing.email:
        return
    if normalised_email(billing.email) != normalised_email(asked.email):
        return
    asked_links.send(shop, [asked_for(order_id, billing.email, shop.word(), shop.clock.now())])


def _by_code(shop: Shop, code: str) -> Kept[Order] | None:
    """The original order of the auto order that has the code."""
    oid = shop.auto_orders.oid_by_code(code)
    original = shop.auto_orders.read(oid)[0].noun.original_order_id if oid is not None else None
    return shop.orders.find(original) if original else None


def links(shop: Shop, origins: list[str]) -> list[dict[str, str]]:
    """The page on which a customer asks for his own link: the shop's, and one for each storefront."""
    hosts = [origin.partition("://")[2] for origin in origins]
    return [_link(shop, None), *(_link(shop, host) for host in hosts)]


def _link(shop: Shop, storefront: str | None) -> dict[str, str]:
    url = shop.links.page("cancel", **({"storefront": storefront} if storefront else {}))
    html = f'<a href="{escape(url)}">Cancel your auto order</a>'
    return {"url": url, "html": html} | ({"storefront": storefront} if storefront else {})
