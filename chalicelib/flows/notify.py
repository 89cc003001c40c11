"""Mails: planned when an event is told, sent by a worker that reads and decides anew.

Read, decide, compose, claim, hand over, mark. A mail that was claimed and never marked may have gone out:
``domain.mails`` says which of them are sent again.
"""

import logging
from typing import TYPE_CHECKING

from chalicelib.domain import letters, mails
from chalicelib.domain.auto_orders import AutoOrder, assembled
from chalicelib.domain.customers import Customer, customer_names, password_subject
from chalicelib.domain.dates import later, local_date
from chalicelib.domain.errors import Contended, NotFound, Refused
from chalicelib.domain.events import Event, NounKind, Template
from chalicelib.domain.heads import Head
from chalicelib.domain.items import Item
from chalicelib.domain.letters import MAXIMUM_ROWS, Composed, Letter
from chalicelib.domain.links import CANCEL_SECONDS, FORGOTTEN_SECONDS, MY_ACCOUNT_SECONDS, PASSWORD_NOTICE_SECONDS
from chalicelib.domain.mails import ASKED_FOR, MAIL_TIMEOUT_SECONDS, Addressee, Mail, SentMail
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.notices import NoticeTemplate, samples
from chalicelib.domain.orders import Order
from chalicelib.domain.problems import MAXIMUM_PROBLEMS
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.flows import show

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
            about = read_about(shop, notice.kind, notice.id, whole=False)
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
    composed = shop.mail.compose(letter, own_texts(shop, mail.template))
    if shop.time_left() < MAIL_TIMEOUT_SECONDS + MARK_SECONDS:
        # The due index brings it back, to somebody with more time.
        return kept.noun
    claim = _claim(shop, mail, kept.version)
    if claim is None:
        return _stands(shop, mail)
    claimed, version = claim
    return _mark(shop, _hand_over(shop, claimed, letter, composed, merchant), version)


# --- deciding ---------------------------------------------------------------------------------------------------------


class About:
    """What a mail is about, read for it: an order, an auto order with its original order, or a customer; or a day, or
    nothing."""

    def __init__(
        self,
        order: Order | None = None,
        auto_order: AutoOrder | None = None,
        head: Head | None = None,
        customer: Customer | None = None,
    ) -> None:
        self.customer = customer
        self.order = order or Order()
        self.auto_order = auto_order or AutoOrder()
        self.head = head

    def oid(self) -> int:
        return self.auto_order.auto_order_oid or 0

    def addressee(self, shop: "Shop") -> Addressee:
        if self.customer is not None:
            return mails.addressee_of_profile(self.customer)
        profile = self.order.customer_profile_oid
        customer = shop.customers.find(profile) if profile else None
        return mails.addressee(self.order, customer.noun if customer else None)


def read_about(shop: "Shop", kind: str, name: str, *, whole: bool = True) -> About | None:
    """None where it is gone. ``whole``: of an order its auto order too."""
    match kind:
        case "order":
            order = shop.orders.find(name)
            if order is None or not whole or order.noun.auto_order_oid is None:
                return About(order.noun) if order else None
            made_by = _read_auto_order(shop, order.noun.auto_order_oid)
            return About(order.noun, *made_by) if made_by else About(order.noun)
        case "auto_order" if name.isdecimal():
            made_by = _read_auto_order(shop, int(name))
            if made_by is None:
                return None
            original = shop.orders.find(made_by[0].original_order_id or "")
            return About(original.noun if original else None, *made_by)
        case "customer" if name.isdecimal():
            kept = shop.customers.find(int(name))
            return About(customer=kept.noun) if kept else None
        case "day" | "notice_template":
            return About()
    return None


def _read_auto_order(shop: "Shop", oid: int) -> tuple[AutoOrder, Head] | None:
    try:
        document, head = shop.auto_orders.read(oid)
    except NotFound:
        return None
    return document.noun, head


def _rules(shop: "Shop") -> tuple[Merchant, AutoOrderProcessing]:
    return shop.configuration.remembered(Merchant), shop.configuration.remembered(AutoOrderProcessing)


def _letter(shop: "Shop", mail: SentMail, merchant: Merchant, settings: AutoOrderProcessing) -> Letter | str:
    """What to write, or why nothing is written: the rules and the noun as they are now, not as they were planned."""
    about = read_about(shop, *mail.noun(), whole=mail.template == "easy_cancel")
    if about is None:
        return mails.why_not(mail.template, mail.email, None, merchant, settings) or ""
    reason = mails.why_not(mail.template, mail.email, about.addressee(shop), merchant, settings, mail.facts)
    if reason is None and mail.noun()[0] == "notice_template":
        return samples(mail.template, merchant)[0]
    reason = reason or mails.outdated(mail, about.head, about.order)
    return reason or letter_of(shop, mail, about, merchant, settings) or "there is nothing of it to tell any more"


def letter_of(
    shop: "Shop", mail: SentMail, about: About, merchant: Merchant, settings: AutoOrderProcessing
) -> Letter | None:
    """The letter as things stand; None where there is nothing to tell."""
    order, facts = about.order, mail.facts
    match mail.template:
        case "receipt":
            return letters.receipt(order, merchant)
        case "shipment":
            return letters.shipment(order, merchant)
        case "easy_cancel":
            whole, _ = _whole(shop, about, merchant)
            return letters.easy_cancel(order, whole, merchant, facts, _cancel_url(shop, about))
        case "action_needed":
            return letters.action_needed(order, merchant, settings, facts)
        case "update_billing":
            return letters.update_billing(order, merchant, settings, facts, show.update_billing_url(shop, about.oid()))
        case "disabled":
            return letters.disabled(order, merchant, facts, show.update_billing_url(shop, about.oid()))
        case "canceled":
            return letters.canceled(about.auto_order, about.head, order, merchant)
        case "held":
            return letters.held(mail, about.auto_order.auto_order_code, merchant)
        case "problem_digest":
            return _problem_digest(shop, mail, merchant)
        case "preshipment_notice" | "price_notice" | "card_expiring":
            return _ahead(shop, mail, about, merchant)
        case "signup" | "set_password":
            return _of_profile(shop, mail, about.customer, merchant)
        case "my_account":
            return _my_account(shop, mail, about, merchant)


def _of_profile(shop: "Shop", mail: SentMail, customer: Customer | None, merchant: Merchant) -> Letter | None:
    """Mails about a profile, with a link that sets its password as long as nobody has set another."""
    if customer is None:
        return None
    oid, now = customer.customer_profile_oid or 0, shop.clock.now()
    wanted = ASKED_FOR in mail.facts
    standing = shop.customer_passwords.find(oid)
    if standing and mail.template == "set_password" and not wanted:
        return None
    seconds = FORGOTTEN_SECONDS if wanted else PASSWORD_NOTICE_SECONDS
    until = local_date(later(now, seconds=seconds), merchant.zone_name())
    token = shop.links.sign("set_password", password_subject(oid, standing), seconds)
    url = shop.links.page("set_password", token=token)
    if mail.template == "set_password":
        return letters.set_password(customer, merchant, mail.facts, url, until)
    return letters.signup(customer, merchant, mail.facts, None if standing else url, until)


def _my_account(shop: "Shop", mail: SentMail, about: About, merchant: Merchant) -> Letter:
    """The link opens what belongs to the profile, or else to the address that the mail goes to, and to no other."""
    customer = about.customer
    subject = customer_names(customer.customer_profile_oid if customer else None, None if customer else mail.email)[0]
    until = local_date(later(shop.clock.now(), seconds=MY_ACCOUNT_SECONDS), merchant.zone_name())
    url = shop.links.page("my_account", token=shop.links.sign("my_account", subject, MY_ACCOUNT_SECONDS))
    return letters.my_account(letters.named(customer) if customer else about.order, merchant, url, until)


def _ahead(shop: "Shop", mail: SentMail, about: About, merchant: Merchant) -> Letter | None:
    """Mails about what comes next."""
    if about.head is None:
        return None
    whole, items = _whole(shop, about, merchant)
    match mail.template:
        case "price_notice":
            url = _cancel_url(shop, about)
            return letters.price_notice(about.head, about.order, merchant, items, mail.facts, url)
        case "card_expiring":
            url = show.update_billing_url(shop, about.oid())
            return letters.card_expiring(whole, about.order, merchant, mail.facts, url)
    return letters.preshipment_notice(whole, about.order, merchant, items, letters.read_day(mail.facts.get("day")))


def _whole(shop: "Shop", about: About, merchant: Merchant) -> tuple[AutoOrder, dict[str, Item]]:
    """The auto order with its dates and its coming rebills, and the items of it."""
    if about.head is None:
        return about.auto_order, {}
    items = _items(shop, about.auto_order)
    zone_name, now = merchant.zone_name(), shop.clock.now()
    return assembled(about.auto_order, about.head, items, zone_name, now, future=True), items


def _cancel_url(shop: "Shop", about: About) -> str:
    return shop.links.page("cancel", token=shop.links.sign("cancel", str(about.oid()), CANCEL_SECONDS))


def _problem_digest(shop: "Shop", mail: SentMail, merchant: Merchant) -> Letter | None:
    day = letters.read_day(mail.noun()[1])
    if day is None:
        return None
    problems = shop.problems.of(day, MAXIMUM_PROBLEMS)
    named = dict.fromkeys(problem.about for problem in problems)
    oids = [int(about.partition("#")[2]) for about in named if about.startswith("auto_order#")][:MAXIMUM_ROWS]
    codes = {
        f"auto_order#{kept.noun.auto_order_oid}": kept.noun.auto_order_code or ""
        for kept, _ in shop.auto_orders.read_many(oids)
    }
    return letters.problem_digest(day, problems, codes, merchant, more=len(problems) == MAXIMUM_PROBLEMS)


def own_texts(shop: "Shop", template: Template) -> NoticeTemplate | None:
    """The merchant's own texts of a notice, where there are any."""
    kept = shop.notice_templates.find(template)
    return kept.noun if kept else None


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
        subject=composed.subject,
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
    return mails.sent(mail, composed.subject, shop.clock.now(), composed.failure)


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
