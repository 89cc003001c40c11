"""Mails: planned when an event is told, sent by a worker that reads and decides anew.

Read, decide, compose, claim, hand over, mark. A mail that was claimed and never marked may have gone out:
``domain.mails`` says which of them are sent again.
"""

import logging
from datetime import date
from typing import TYPE_CHECKING

from chalicelib.domain import mails
from chalicelib.domain.auto_orders import AutoOrder, assembled
from chalicelib.domain.errors import Contended, NotFound, Refused
from chalicelib.domain.events import Event, NounKind
from chalicelib.domain.heads import Head
from chalicelib.domain.items import Item
from chalicelib.domain.mails import MAIL_TIMEOUT_SECONDS, Addressee, Composed, Letter, Mail, SentMail
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.orders import Order
from chalicelib.domain.settings import AutoOrderProcessing

if TYPE_CHECKING:
    from chalicelib.flows.ports import Shop

log = logging.getLogger(__name__)

# Time that a function keeps for the mark after the mail was handed over.
MARK_SECONDS = 5
# A mark that is not written makes a duplicate, or a mail that nobody dares to send again: worth a few tries.
MARK_TRIES = 5
# Out-of-office answers are not for machines.
HEADERS = {"Auto-Submitted": "auto-generated"}


def plan_mails(shop: "Shop", event: Event) -> list[SentMail]:
    """The mails that the event's notices ask for, kept-back ones included. Reads, but writes nothing."""
    if not event.notices:
        return []
    merchant, settings = _rules(shop)
    nouns: dict[tuple[NounKind, str], Addressee | None] = {}
    for notice in event.notices:
        if (notice.kind, notice.id) not in nouns:
            about = _read(shop, notice.kind, notice.id)
            nouns[(notice.kind, notice.id)] = about.addressee(shop) if about else None
    return mails.planned_mails(event, merchant, settings, nouns)


def send_mail(shop: "Shop", subject: str, mail_id: str) -> SentMail | None:
    """Send one mail, if it is still to be sent. Returns it as it then stands; None where there is none.

    Coming again with the same id is harmless: whoever finds it claimed, sent or not due leaves it alone.
    """
    kept = shop.mails.find(subject, mail_id)
    if kept is None:
        log.warning("there is no such mail", extra={"subject": subject, "mail_id": mail_id})
        return None
    mail, now = kept.noun, shop.clock.now()
    if mails.abandoned(mail, now):
        mail = mails.unknown(mail, "whoever sent it has not said how it ended", now)
        if mail.state == "failed":
            return _decided(shop, mail, kept.version)
    if not mails.may_try(mail, now):
        return mail
    merchant, settings = _rules(shop)
    letter = _letter(shop, mail, merchant, settings)
    if isinstance(letter, str):
        return _decided(shop, mails.skipped(mail, letter), kept.version)
    composed = shop.mail.compose(letter)
    if shop.time_left() < MAIL_TIMEOUT_SECONDS + MARK_SECONDS:
        # The due index brings it back, to somebody with more time.
        return kept.noun
    claim = _claim(shop, mail, kept.version)
    if claim is None:
        return _stands(shop, mail)
    claimed, version = claim
    return _mark(shop, _hand_over(shop, claimed, letter, composed, merchant), version)


# --- deciding ---------------------------------------------------------------------------------------------------------


class _About:
    """What a mail is about, read for it: an order, or an auto order with its original order."""

    def __init__(self, order: Order | None, auto_order: AutoOrder | None = None, head: Head | None = None) -> None:
        self.order = order or Order()
        self.auto_order = auto_order or AutoOrder()
        self.head = head

    def addressee(self, shop: "Shop") -> Addressee:
        profile = self.order.customer_profile_oid
        customer = shop.customers.find(profile) if profile else None
        return mails.addressee(self.order, customer.noun if customer else None)


def _read(shop: "Shop", kind: str, name: str) -> _About | None:
    """None where it is gone."""
    if kind == "order":
        order = shop.orders.find(name)
        return _About(order.noun) if order else None
    if kind == "auto_order" and name.isdecimal():
        try:
            document, head = shop.auto_orders.read(int(name))
        except NotFound:
            return None
        original = shop.orders.find(document.noun.original_order_id or "")
        return _About(original.noun if original else None, document.noun, head)
    return None


def _rules(shop: "Shop") -> tuple[Merchant, AutoOrderProcessing]:
    return shop.configuration.remembered(Merchant), shop.configuration.remembered(AutoOrderProcessing)


def _letter(shop: "Shop", mail: SentMail, merchant: Merchant, settings: AutoOrderProcessing) -> Letter | str:
    """What to write, or why nothing is written: the rules and the noun as they are now, not as they were planned."""
    about = _read(shop, *mail.noun())
    if about is None:
        return mails.why_not(mail.template, mail.email, None, merchant, settings) or ""
    reason = mails.why_not(mail.template, mail.email, about.addressee(shop), merchant, settings)
    reason = reason or mails.outdated(mail, about.head, about.order)
    if reason:
        return reason
    match mail.template:
        case "receipt":
            return mails.receipt(about.order, merchant)
        case "update_billing":
            return mails.update_billing(about.order, merchant, settings, mail.facts)
        case "disabled":
            return mails.disabled(about.order, merchant, mail.facts)
        case "held":
            return mails.held(mail, about.auto_order.auto_order_code, merchant)
        case "preshipment_notice":
            return _preshipment_notice(shop, mail, about, merchant) or "nothing of it ships any more"


def _preshipment_notice(shop: "Shop", mail: SentMail, about: _About, merchant: Merchant) -> Letter | None:
    if about.head is None:
        return None
    items = _items(shop, about.auto_order)
    now, zone_name = shop.clock.now(), merchant.zone_name()
    whole = assembled(about.auto_order, about.head, items, zone_name, now, future=True)
    try:
        day = date.fromisoformat(mail.facts.get("day", ""))
    except ValueError:
        day = None
    return mails.preshipment_notice(whole, about.order, merchant, items, day)


def _items(shop: "Shop", auto_order: AutoOrder) -> dict[str, Item]:
    """The catalogue items of an auto order, and those that their automatic steps rebill."""
    entries = auto_order.items or []
    found = _items_by_id(shop, {name for e in entries for name in (e.original_item_id, e.arbitrary_item_id) if name})
    steps = {step.recurring_merchant_item_id or "" for item in found.values() for step in item.steps()}
    return found | _items_by_id(shop, steps - set(found) - {""})


def _items_by_id(shop: "Shop", ids: set[str]) -> dict[str, Item]:
    return {item.merchant_item_id or "": item for item in shop.items.get_many(sorted(ids))} if ids else {}


# --- acting -----------------------------------------------------------------------------------------------------------


def _decided(shop: "Shop", mail: SentMail, version: int) -> SentMail | None:
    """Write down that it is not sent. Where somebody was faster, it is as they left it."""
    try:
        shop.write(shop.mails.tried(mail, version))
    except Refused:
        return _stands(shop, mail)
    return mail


def _stands(shop: "Shop", mail: SentMail) -> SentMail | None:
    found = shop.mails.find(mail.about, mail.mail_id)
    return found.noun if found else None


def _claim(shop: "Shop", mail: SentMail, version: int) -> tuple[SentMail, int] | None:
    """The mail with the permission to hand it over, and its version; None where somebody else was faster."""
    claim = mails.claimed(mail, shop.word(), shop.clock.now())
    try:
        shop.write(shop.mails.tried(claim, version))
    except Refused:
        # Perhaps by our own write, whose answer got lost.
        found = shop.mails.find(mail.about, mail.mail_id)
        if found is None or found.noun.state != "sending" or found.noun.owner != claim.owner:
            return None
        return found.noun, found.version
    return claim, version + 1


def _hand_over(shop: "Shop", mail: SentMail, letter: Letter, composed: Composed, merchant: Merchant) -> SentMail:
    """The mail as it stands after that."""
    outgoing = Mail(
        merchant_id=shop.merchant_id,
        dts=shop.clock.now(),
        to=mail.email,
        subject=letter.subject,
        text=composed.text,
        html=composed.html,
        sender=mails.sender_of(merchant),
        sender_name=mails.one_line(merchant.sender_name) or letter.shop,
        reply_to=mails.reply_to_of(merchant),
        headers=HEADERS,
    )
    try:
        shop.mail.send(outgoing)
    except TimeoutError as error:
        log.warning("nobody knows whether a mail went out", extra={"mail_id": mail.mail_id})
        return mails.unknown(mail, str(error), shop.clock.now(), wait=mails.AFTER_UNKNOWN_SECONDS)
    except OSError as error:
        log.warning("a mail could not be handed over", extra={"mail_id": mail.mail_id, "tries": mail.tries})
        return mails.not_sent(mail, str(error), shop.clock.now())
    except ValueError as error:
        log.warning("a mail was refused", extra={"mail_id": mail.mail_id})
        return mails.failed(mail, str(error))
    return mails.sent(mail, letter.subject, shop.clock.now())


def _mark(shop: "Shop", after: SentMail, version: int) -> SentMail | None:
    """Write down how it ended. What is known to have been sent is recorded whatever somebody else has concluded
    meanwhile, unless they are at it again.

    Raises Contended where the engine takes no mark: the lease then ends and the mail counts as unknown.
    """
    for _ in range(MARK_TRIES):
        try:
            shop.write(shop.mails.tried(after, version))
        except Contended:
            continue
        except Refused:
            found = shop.mails.find(after.about, after.mail_id)
            if found is None or not mails.may_mark(found.noun, after):
                return found.noun if found else None
            version = found.version
            continue
        return after
    raise Contended(f"mail {after.mail_id} could not be marked as {after.state}")
