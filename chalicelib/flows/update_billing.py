"""A customer sets another card by a signed link, and what is due is charged to it. Looking changes nothing; the same
form sent twice sets and charges once."""

from decimal import Decimal
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.letters import card_words, number_words
from chalicelib.domain.money import ZERO, total_of
from chalicelib.domain.payment_updates import Billing, CardOutcome, with_new_card
from chalicelib.domain.rebills import Facts, Go, plan
from chalicelib.domain.storefront import card_of
from chalicelib.flows import place_order, storefront
from chalicelib.flows.cancel import customer_of, facts_behind
from chalicelib.flows.ports import Shop
from chalicelib.flows.rebill import BEING_BILLED, NOT_KNOWN_YET, Rebilled
from chalicelib.flows.update_payment import update_payment

# Who has the link tries the cards of a household; whoever has many more is testing them.
LINK_TRIES, LINK_SECONDS = 10, 24 * 3600
# What a form says is due where nothing is, and where a charge is under way.
NOTHING = ("0", "")
DUE_CHANGED = "What is due has changed since you opened the page. This card was not charged; please look at it again."


def shown(shop: Shop, token: str) -> Billing:
    """What stands, now. Raises Unauthorised for what is no link of ours, NotFound."""
    _, facts = facts_behind(shop, shop.links.read("update_billing", token))
    return _shown(shop, facts, shop.clock.now())


def pay(shop: Shop, token: str, raw: Any, form: str, agreed: str, address: str) -> CardOutcome:
    """Set the card, and charge what is due to it. ``form`` names the one form that was sent: the same card by the same
    form is set and charged once. ``agreed`` is what that form said is due; where another amount is due by now, nothing
    is set or charged.

    Raises Unauthorised for what is no link of ours, NotFound, TooMany, and Invalid with all problems: of the card's
    fields, or of ``/card_number_token``, where this card will not do.
    """
    oid, facts = facts_behind(shop, shop.links.read("update_billing", token))
    card = card_of(raw)
    now = shop.clock.now()
    shop.limits.take(f"update_billing#auto_order#{oid}", LINK_TRIES, LINK_SECONDS, now)
    made = storefront.card_token(shop, raw, address).card_token
    fingerprint = storefront.counted_card(shop, made)
    said = (
        str(oid),
        form,
        agreed,
        fingerprint or made,
        str(card.card_expiration_month),
        str(card.card_expiration_year),
    )
    name = f"card_{sha256(chr(31).join(said).encode()).hexdigest()[:40]}"
    due = _due(shop, facts, now)
    if shop.auto_orders.payment_update(oid, name) is None and agreed != due_text(due):
        raise Invalid.one("", "due_changed", DUE_CHANGED)
    request = {"card_number_token": place_order.named_token(shop, made, name), "attempt_rebill": agreed not in NOTHING}
    return _ended(update_payment(shop, oid, request, actor=customer_of(shop, facts)), due)


def due_text(due: Decimal | None) -> str:
    """The amount as a form carries it."""
    return "" if due is None else f"{due.normalize():f}"


def _ended(billed: Rebilled, due: Decimal | None) -> CardOutcome:
    if billed.success:
        return "approved"
    if billed.failure_reason in (NOT_KNOWN_YET, BEING_BILLED):
        return "not_known_yet"
    if billed.attempted:
        return "declined"
    if due is None:
        return "not_known_yet"
    return "not_charged" if due else "saved"


def _shown(shop: Shop, facts: Facts, now: Instant) -> Billing:
    original = facts.original
    card = original.payment.credit_card if original.payment else None
    due = _due(shop, facts, now)
    return Billing(
        code=facts.auto_order.auto_order_code or "",
        items=[
            (number_words(entry.arbitrary_quantity or entry.original_quantity or Decimal(1)), _named(facts, entry_id))
            for entry in facts.auto_order.items or []
            if (entry_id := entry.arbitrary_item_id or entry.original_item_id)
        ],
        card=card_words(card) if card else None,
        expires=f"{card.card_expiration_month:02d}/{card.card_expiration_year}"
        if card and card.card_expiration_month and card.card_expiration_year
        else None,
        due=due,
        takes_card=any(gateway.capabilities.numbers for gateway in shop.payments.values()),
        ended=facts.head.status == "canceled" and due == ZERO,
    )


def _named(facts: Facts, item_id: str) -> str:
    item = facts.items.get(item_id)
    return (item.description if item else None) or item_id


def _due(shop: Shop, facts: Facts, now: Instant) -> Decimal | None:
    """What a new card is charged at once: the open run and what waits in Accounts Receivable. None while what became of
    a charge is not known."""
    if facts.head.attempt is not None:
        return None
    planned = plan(replace(facts, head=with_new_card(facts.head)), now, by_hand=True)
    frozen = planned.decision.plan if isinstance(planned.decision, Go) else planned.priced
    orders = shop.orders.get_many(facts.head.state.receivables)
    credit = (facts.credit.amount if facts.credit else ZERO) - (frozen.spent() if frozen else ZERO)
    waiting = total_of(order.total() for order in orders)
    wanted = total_of(order.store_credit() for order in orders)
    return waiting - min(wanted, credit) + (frozen.rest() if frozen else ZERO)
