"""A shopper buys: within limits that make a shop no good for testing stolen cards, once for each Idempotency-Key."""

import re
from typing import Any

from chalicelib.domain import wire
from chalicelib.domain.consents import Seen
from chalicelib.domain.errors import Invalid, NotFound, Problem, Unauthorised
from chalicelib.domain.events import event_id
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import ActionNeeded, Approved, Declined, NotSent, Outcome
from chalicelib.domain.placing import StorefrontOrder
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.storefront import (
    BankAccountToken,
    CardToken,
    PaymentOutcome,
    StorefrontItem,
    account_of,
    card_of,
    in_a_shoppers_words,
    payment_method_of,
    seen_item,
    shoppers_consent,
    shoppers_order,
)
from chalicelib.flows import place_order, purchase
from chalicelib.flows.facts import terms_of_customer
from chalicelib.flows.ports import Shop
from chalicelib.flows.tell import told_now

# Who buys mistypes a card a few times, and a whole office may share an address; who tests stolen cards needs thousands.
ADDRESS_TRIES, ADDRESS_SECONDS = 20, 600
# A card that was declined five times in an hour is not going to work; twice that leaves room for repeated requests.
CARD_TRIES, CARD_SECONDS = 10, 3600
# One order a second is a shop's best ten minutes; many addresses at once that are more than that are an attack.
SHOP_TRIES, SHOP_SECONDS = 600, 600
PRINTABLE = r"[ -~]{1,200}"


def card_token(shop: Shop, raw: Any, address: str) -> CardToken:
    """A token in the place of the card. Raises Invalid with all problems, TooMany."""
    card = card_of(raw)
    _within_limits(shop, "card_token", address)
    month, year = card.card_expiration_month, card.card_expiration_year
    token, expires = place_order.card_token(shop, card.digits(), month, year)
    return CardToken(card_token=token, expiration_dts=expires)


def bank_account_token(shop: Shop, raw: Any, address: str) -> BankAccountToken:
    """A token in the place of the account. Raises Invalid with all problems, TooMany."""
    account = account_of(raw)
    _within_limits(shop, "card_token", address)
    token, expires = place_order.bank_account_token(shop, account)
    return BankAccountToken(bank_account_token=token, expiration_dts=expires)


def payment_method_token(shop: Shop, raw: Any, address: str) -> CardToken:
    """A token in the place of a payment method of the gateway's own form. Raises Invalid with all problems, TooMany,
    Contended where the gateway does not answer."""
    wanted = payment_method_of(raw)
    _within_limits(shop, "card_token", address)
    if wanted.gateway is not None and wanted.gateway not in shop.payments:
        raise Invalid.one("/gateway", "unknown", "is not one of the shop's payment accounts")
    token, expires = place_order.payment_method_token(shop, wanted.payment_method, wanted.gateway)
    return CardToken(card_token=token, expiration_dts=expires)


def buy(
    shop: Shop, raw: Any, key: str | None, address: str, seen: Seen | None = None
) -> tuple[Order, PaymentOutcome, str | None]:
    """Store the order and charge its card. Returns the order as it then stands, how the payment ended, and where the
    bank wants to see the customer, if it does.

    ``seen`` is where the request came from, for the record of what the shopper agreed to.

    ``key`` is the Idempotency-Key. The same one again returns the order as it now stands: what was charged or declined
    is not charged again, what is not known yet is asked for. Raises Invalid with all problems, TooMany; nothing is
    stored then, but where a coupon was used up between the two: then the order stands unpaid.
    """
    wanted = _asked(raw, key)
    _within_limits(shop, "order", address)
    wanted.store_credit_of = _store_credit_of(shop, raw)
    token = _token(wanted)
    if token:
        counted_card(shop, token)
    try:
        request = shoppers_consent(raw)
        given = (request, seen or Seen()) if request else None
        placed = place_order.place(shop, wanted, by_shopper=True, idempotency_key=key, consent=given)
    except Invalid as invalid:
        raise in_a_shoppers_words(invalid) from None
    order_id = placed.noun.order_id or ""
    if terms_of_customer(shop, placed.noun.customer_profile_oid).no_realtime_charge:
        # It waits in Accounts Receivable until somebody of the shop charges it.
        told_now(shop, event_id(shop.merchant_id, f"order#{order_id}", "created"))
        standing = _ended(placed.noun, None)
        return placed.noun, "charged_later" if standing == "not_known_yet" else standing, None
    try:
        outcome = purchase.pay(shop, order_id, again=False)
    except Invalid as invalid:
        raise in_a_shoppers_words(invalid) from None
    for transition in ("created", "paid"):
        told_now(shop, event_id(shop.merchant_id, f"order#{order_id}", transition))
    order = shop.orders.get(order_id).noun
    return order, _ended(order, outcome), outcome.url if isinstance(outcome, ActionNeeded) else None


def _store_credit_of(shop: Shop, raw: Any) -> int | None:
    """Whose store credit the shopper may spend, by the merchant's own word. Raises Invalid for a token that is none."""
    token = wire.noun(raw, StorefrontOrder).store_credit_token
    if token is None:
        return None
    try:
        return int(shop.links.read("store_credit", token))
    except Unauthorised:
        message = "is no token of a customer's store credit, or it has expired (2 hours)"
        raise Invalid.one("/store_credit_token", "unknown", message) from None


def counted_card(shop: Shop, token: str) -> str | None:
    """Count one use of the card that a token stands for. Returns its fingerprint. Raises TooMany."""
    fingerprint = place_order.fingerprint_of(shop, token)
    if fingerprint is not None:
        shop.limits.take(f"order#card#{fingerprint}", CARD_TRIES, CARD_SECONDS, shop.clock.now())
    return fingerprint


def _token(wanted: Order) -> str | None:
    payment = wanted.payment
    if payment is None:
        return None
    if payment.echeck is not None:
        return payment.echeck.bank_account_token
    return payment.credit_card.card_number_token if payment.credit_card else None


def _asked(raw: Any, key: str | None) -> Order:
    problems: list[Problem] = []
    if key is None or not re.fullmatch(PRINTABLE, key):
        message = (
            "is required: a text of your own for this one order, 1 to 200 printable ASCII characters, so that the same "
            "request sent twice charges once"
        )
        problems.append(Problem(pointer="/Idempotency-Key", code="required", message=message))
    try:
        wanted = shoppers_order(raw)
    except Invalid as invalid:
        raise Invalid([*problems, *invalid.problems]) from None
    if problems:
        raise Invalid(problems)
    return wanted


def _within_limits(shop: Shop, what: str, address: str) -> None:
    """Count one call from an address. Raises TooMany; one address alone never uses up what the whole shop may have."""
    now = shop.clock.now()
    shop.limits.take(f"{what}#address#{address}", ADDRESS_TRIES, ADDRESS_SECONDS, now)
    shop.limits.take(f"{what}#shop", SHOP_TRIES, SHOP_SECONDS, now)


def _ended(order: Order, outcome: Outcome | None) -> PaymentOutcome:
    """How the payment ended: what the order says counts, whoever charged it."""
    status = order.payment.payment_status if order.payment else None
    if status == "Processed" or isinstance(outcome, Approved):
        return "approved"
    if isinstance(outcome, ActionNeeded):
        return "action_needed"
    if status == "Declined" or isinstance(outcome, Declined):
        return "declined"
    return "not_sent" if isinstance(outcome, NotSent) else "not_known_yet"


def item(shop: Shop, merchant_item_id: str) -> StorefrontItem:
    """What a shopper may see of an item. Raises NotFound, for one that is not sold any more too."""
    kept = shop.items.find(merchant_item_id)
    if kept is None or kept.noun.inactive:
        raise NotFound("item", merchant_item_id)
    settings = shop.configuration.section(AutoOrderProcessing).noun
    currency = shop.configuration.section(Merchant).noun.currency()
    return seen_item(kept.noun, settings, currency, shop.clock.now())
