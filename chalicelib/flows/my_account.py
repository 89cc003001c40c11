"""A customer looks after himself by a signed link: his auto orders, his orders, his rewards. Looking changes nothing;
each form sent twice acts once. The link opens what belongs to one profile, or to one address where there is none."""

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

from chalicelib.domain.auto_orders import assembled
from chalicelib.domain.cancellation import coming_of, item_shown, skip_of
from chalicelib.domain.customers import Customer, CustomerEmailRequest, customer_names, normalised_email
from chalicelib.domain.drafts import made
from chalicelib.domain.errors import Invalid, NotFound, Unauthorised
from chalicelib.domain.links import MY_ACCOUNT_SECONDS
from chalicelib.domain.loyalty import CustomerLoyalty, CustomerLoyaltyRedemption, LoyaltyProgram, LoyaltyReward
from chalicelib.domain.mails import my_account_mail
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.my_account import Account, AccountAutoOrder, AccountItem, quantity_of, refuse_day
from chalicelib.domain.orders import Order
from chalicelib.domain.rebills import Facts, rebill_order_id
from chalicelib.flows import asked_links, edit, profiles, reward
from chalicelib.flows.facts import read_facts
from chalicelib.flows.ports import Shop
from chalicelib.flows.tell import told_now

# The latest of each: a page that is read on a telephone. Who wants to see more asks the shop.
MOST_AUTO_ORDERS = 20
MOST_ORDERS = 20
# Rebills of one auto order that are looked for: as many as the page would show of it alone.
MOST_RUNS = MOST_ORDERS
# Orders without an auto order that are looked through for the latest; a dealer who has placed more asks the shop.
MOST_PLACED = 500
GONE = "There is no such account any more. Please ask for a new link."


class _Customer(NamedTuple):
    """Whose account it is: ``names`` as ``customer_names`` gives them."""

    names: list[str]
    email: str
    profile: Customer | None

    def profile_oid(self) -> int | None:
        return self.profile.customer_profile_oid if self.profile else None


def ask_for_link(shop: Shop, raw: Any, address: str) -> None:
    """Mail a link to that address, where anything belongs to it. Nothing tells the asker whether it does.

    Raises TooMany, and Invalid with all problems.
    """
    asked = made(raw, CustomerEmailRequest)
    asked_links.count_asker(shop, "my_account", address)
    email = normalised_email(asked.email)
    asked_links.count_mailbox(shop, "my_account", f"email#{email}")
    about = _about(shop, email)
    if about is not None:
        asked_links.send(shop, [my_account_mail(about, email, shop.word(), shop.clock.now())])


def _about(shop: Shop, email: str) -> str | None:
    """What the mail is about: the profile of the address, else an order that was placed from it; None: nothing is."""
    try:
        return f"customer#{profiles.customer_by_email(shop, email).noun.customer_profile_oid}"
    except NotFound:
        pass
    found = shop.auto_orders.of_customer(customer_names(None, email))
    return f"order#{shop.auto_orders.read(found[-1][1])[0].noun.original_order_id}" if found else None


def _customer(shop: Shop, token: str) -> _Customer:
    """Raises Unauthorised for what is no link of ours, and where the profile is gone."""
    kind, _, name = shop.links.read("my_account", token).partition("#")
    if kind == "email":
        return _Customer(customer_names(None, name), name, None)
    kept = shop.customers.find(int(name))
    if kept is None:
        raise Unauthorised(GONE)
    email = kept.noun.email or ""
    return _Customer(customer_names(kept.noun.customer_profile_oid, email), email, kept.noun)


# --- looking ---------------------------------------------------------------------------------------------------------


def shown(shop: Shop, token: str) -> Account:
    """Raises Unauthorised for what is no link of ours."""
    customer = _customer(shop, token)
    oids = [oid for _, oid in reversed(shop.auto_orders.of_customer(customer.names))][:MOST_AUTO_ORDERS]
    facts = {oid: read_facts(shop, oid, to_charge=False)[0] for oid in oids}
    standing = [_auto_order(shop, oid, one) for oid, one in facts.items() if one.head.status != "merged"]
    standing.sort(key=lambda one: one.status not in ("active", "disabled"))
    loyalty, rewards = _loyalty(shop, customer)
    return Account(customer.email, standing, _orders(shop, customer, list(facts.values())), loyalty, rewards)


def _auto_order(shop: Shop, oid: int, facts: Facts) -> AccountAutoOrder:
    now = shop.clock.now()
    noun = assembled(facts.auto_order, facts.head, facts.items, facts.zone_name(), now)
    sign = shop.links.sign
    return AccountAutoOrder(
        auto_order_oid=oid,
        code=noun.auto_order_code or "",
        status=noun.status or "",
        items=[
            AccountItem(entry.auto_order_item_oid or 0, item_shown(facts, entry), bool(entry.paused))
            for entry in noun.items or []
        ],
        coming=coming_of(facts, now),
        skip=skip_of(facts, now),
        cancel_url=shop.links.page("cancel", token=sign("cancel", str(oid), MY_ACCOUNT_SECONDS)),
        update_url=shop.links.page("update_billing", token=sign("update_billing", str(oid), MY_ACCOUNT_SECONDS)),
    )


def _orders(shop: Shop, customer: _Customer, auto_orders: list[Facts]) -> list[Order]:
    """What he has ordered and what his auto orders have brought, the latest first."""
    placed = shop.orders.of_customer(customer.names)[:MOST_PLACED]
    brought = [order_id for facts in auto_orders for order_id in _order_ids(facts)]
    found = shop.orders.get_many(list(dict.fromkeys([*placed, *brought])))
    found.sort(key=lambda order: (str(order.creation_dts or ""), order.order_id or ""), reverse=True)
    return found[:MOST_ORDERS]


def _order_ids(facts: Facts) -> Iterator[str]:
    original = facts.auto_order.original_order_id or ""
    last = facts.head.run - 1
    for run in range(last, max(last - MOST_RUNS, 0), -1):
        yield rebill_order_id(original, run)
    yield original


def _loyalty(shop: Shop, customer: _Customer) -> tuple[CustomerLoyalty | None, list[LoyaltyReward]]:
    program = shop.configuration.section(LoyaltyProgram).noun
    oid = customer.profile_oid()
    if not program.active or oid is None:
        return None, []
    loyalty = reward.of_customer(shop, oid)
    points = loyalty.current_points or 0
    rewards = [] if program.cashback() else [one for one in program.rewards or [] if one.active]
    return loyalty, [one for one in rewards if one.points <= points]


# --- acting ----------------------------------------------------------------------------------------------------------


def skip(shop: Shop, token: str, oid: int, day: date) -> None:
    """Leave out the shipment of that day. Raises Unauthorised, NotFound."""
    told_now(shop, edit.skip(shop, oid, day, actor=_owner(shop, token, oid)))


def move(shop: Shop, token: str, oid: int, day: date, to: date | None) -> None:
    """Send the shipment of that day on another. Raises Unauthorised, NotFound, and Invalid: no day to send on."""
    actor = _owner(shop, token, oid)
    zone_name = shop.configuration.section(Merchant).noun.zone_name()
    told_now(shop, edit.reschedule(shop, oid, day, refuse_day(to, shop.clock.now(), zone_name), actor=actor))


def pause(shop: Shop, token: str, oid: int, *, paused: bool) -> None:
    """Pause every item, or go on. Raises Unauthorised, NotFound, and Invalid where it cannot be changed any more."""
    told_now(shop, edit.pause(shop, oid, paused=paused, actor=_owner(shop, token, oid)))


def change_quantity(shop: Shop, token: str, oid: int, item_oid: int, said: str) -> None:
    """Raises Unauthorised, NotFound, and Invalid: no such quantity."""
    actor = _owner(shop, token, oid)
    quantity = quantity_of(said)
    told_now(shop, edit.update_item(shop, oid, item_oid, "arbitrary_quantity", "quantity", quantity, actor=actor))


def redeem(shop: Shop, token: str, reward_id: str, form: str) -> CustomerLoyaltyRedemption:
    """Points become a reward; the same ``form`` twice is one. Raises Unauthorised, and Invalid where it cannot be."""
    customer = _customer(shop, token)
    oid = customer.profile_oid()
    if oid is None:
        raise Invalid.one("", "no_profile", "There are no points without a profile.")
    key = f"my_account#{oid}#{form}"
    return reward.redeem(shop, oid, {"loyalty_reward_id": reward_id}, by=customer.email, key=key)


def _owner(shop: Shop, token: str, oid: int) -> str:
    """Who acts, as it is written down. Raises Unauthorised, NotFound for an auto order that is not his, and Invalid
    for one that has ended."""
    customer = _customer(shop, token)
    head = shop.auto_orders.head(oid) if oid in {o for _, o in shop.auto_orders.of_customer(customer.names)} else None
    if head is None:
        raise NotFound("auto order", oid)
    if head.status not in ("active", "disabled"):
        raise Invalid.one("", "ended", "This auto order has ended: nothing of it can be changed any more.")
    return customer.email
