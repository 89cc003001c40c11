"""Mails: which an event plans, why one is not sent, what stands in it, and when it is tried again.

A mail has no idempotency key: whoever hands one over and dies before the mark leaves nobody knowing. Receipts and
notices are then sent a second time, at most once; mails about a problem are not.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Literal

import msgspec
from msgspec.structs import replace

from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.customers import Customer, normalised_email
from chalicelib.domain.dates import Instant, later, local_date, parse_instant
from chalicelib.domain.events import Event, Notice, NounKind, Template
from chalicelib.domain.heads import Head
from chalicelib.domain.items import Item
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import ZERO, formatted
from chalicelib.domain.orders import Order, OrderBilling, OrderItem, OrderPaymentCreditCard, OrderSummary
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.wire import Noun

State = Literal["planned", "sending", "sent", "skipped", "failed"]

# Mails about a problem: what `skip_problem_emails` keeps back, and what is never sent again on a guess.
PROBLEMS: frozenset[Template] = frozenset({"update_billing", "disabled"})
# Mails to the merchant, not to a customer: no wish of the customer's keeps them back.
TO_THE_MERCHANT: frozenset[Template] = frozenset({"held"})

# The longest that handing a mail over may take: SES answers within a second, mostly.
MAIL_TIMEOUT_SECONDS = 15
# Longer than the function (60 s) and its retries: after it, whoever claimed a mail is surely gone.
LEASE_SECONDS = 360
# A claim keeps the due time that the plan has set while it is at least this far off (three times the function's 60 s):
# moving a record in the due index costs two more write units.
SHORTEST_LEASE_SECONDS = 180
# After a try that surely handed nothing over. Eight tries in two days: what is older is no news any more.
RETRY_SECONDS = (60, 300, 1800, 2 * 3600, 6 * 3600, 12 * 3600, 24 * 3600)
MAXIMUM_TRIES = len(RETRY_SECONDS) + 1
# After a try of which nobody knows: the provider gets time to recover, for one more try is all there is.
AFTER_UNKNOWN_SECONDS = 1800
# Tries of which nobody knows: the second may be a duplicate, a third is not made.
MAXIMUM_UNKNOWN = 2
# Copies of a receipt: an order takes 10, a profile takes 10.
MAXIMUM_COPIES = 20
# What a line of a mail shows of a text that somebody typed.
LONGEST_WORDS = 200
# Rows that a mail lists; an order of more says how many there are.
MAXIMUM_ROWS = 100
# A subject line is cut by mail programs long before this.
LONGEST_SUBJECT = 120

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


class Mail(msgspec.Struct, kw_only=True, frozen=True):
    """One message as it is handed over: one recipient, a text always, the same as HTML mostly. ``to``, ``sender`` and
    ``reply_to`` are bare addresses; ``merchant_id`` and ``dts`` say whose it is and when it was sent, by that shop's
    clock."""

    merchant_id: str
    dts: Instant | None = None
    to: str
    subject: str
    text: str
    sender: str
    sender_name: str = ""
    html: str | None = None
    reply_to: str | None = None
    headers: dict[str, str] = {}


class SentMail(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a mail, from plan to end. ``about`` is the key of its noun (``auto_order#123``,
    ``order#DEMO-1``), ``facts`` the notice's, ``subject`` its subject line once it is composed.

    ``tries`` counts claims, ``unknown`` those of which nobody knows whether the mail went out; ``owner`` is a random
    word of the last claim; ``next_dts`` is when to look at it again: after a failure, or after a claim that nobody
    marked.
    """

    mail_id: str
    about: str
    template: Template
    email: str
    created_dts: Instant
    state: State = "planned"
    skip_reason: str | None = None
    failure_reason: str | None = None
    tries: int = 0
    unknown: int = 0
    owner: str | None = None
    next_dts: Instant | None = None
    send_dts: Instant | None = None
    subject: str | None = None
    facts: dict[str, str] = {}

    def noun(self) -> tuple[str, str]:
        """The kind and the id of what it is about."""
        kind, _, name = self.about.partition("#")
        return kind, name


class AutoOrderEmail(Noun):
    """A mail as the contract shows it. Whether it arrived, bounced or was read is not known here, so not said."""

    email: str | None = None
    internal: bool | None = None
    message_id: str | None = None
    send_dts: Instant | None = None
    skip_reason: str | None = None
    skipped: bool | None = None
    smtp_response: str | None = None
    subject: str | None = None


class Addressee(msgspec.Struct, kw_only=True, frozen=True):
    """What a mail must know of its noun's customer. ``rebill``: the noun is an order that an auto order made."""

    email: str | None = None
    copies: list[str] = []
    do_not_send_mail: bool = False
    rebill: bool = False


class Row(msgspec.Struct, kw_only=True, frozen=True):
    """One line of an order or of a shipment, worded."""

    quantity: str
    name: str
    amount: str
    notes: list[str] = []


class Letter(msgspec.Struct, kw_only=True, frozen=True):
    """What stands in a mail, every text on one line: a template only lays it out."""

    template: Template
    subject: str
    shop: str
    first_name: str = ""
    support_email: str = ""
    words: dict[str, str] = {}
    rows: list[Row] = []
    more_rows: int = 0
    totals: list[tuple[str, str]] = []


class Composed(msgspec.Struct, kw_only=True, frozen=True):
    text: str
    html: str


# --- planning ---------------------------------------------------------------------------------------------------------


def addressee(order: Order, customer: Customer | None) -> Addressee:
    """Whom mails about this order go to: the address of its billing, else the profile's. For an auto order it is the
    original order, so that a changed address there is the one that rebills write to."""
    billing = order.billing or OrderBilling()
    wanted = [
        entry.email or "" for entry in (customer.cc_emails or [] if customer else []) if entry.receipt_notification
    ]
    email = billing.email or (customer.email if customer else None)
    taken = {normalised_email(email or "")}
    copies: list[str] = []
    for copy in (*(billing.cc_emails or []), *wanted):
        if copy and normalised_email(copy) not in taken:
            taken.add(normalised_email(copy))
            copies.append(copy)
    return Addressee(
        email=email,
        copies=copies[:MAXIMUM_COPIES],
        do_not_send_mail=bool(customer and customer.do_not_send_mail),
        rebill=bool(order.run),
    )


def planned_mails(
    event: Event,
    merchant: Merchant,
    settings: AutoOrderProcessing,
    nouns: Mapping[tuple[NounKind, str], Addressee | None],
) -> list[SentMail]:
    """The mails of an event's notices, those among them that are kept back with the reason why. ``nouns``: None where
    the noun is gone. The same event plans the same mails, under the same ids."""
    found: dict[str, SentMail] = {}
    for notice in event.notices:
        to = nouns.get((notice.kind, notice.id))
        for position, email in enumerate(_recipients(notice, to, merchant)):
            reason = why_not(notice.template, email, to, merchant, settings)
            if position and reason:
                continue
            mail = _planned(event, notice, position, email, reason)
            found[mail.mail_id] = mail
    return list(found.values())


def mail_id_of(event_id: str, template: Template, about: str, position: int = 0) -> str:
    """The same for the same notice of the same event. ``position`` 0 is the customer, others are copies."""
    text = "\x1f".join((event_id, template, about, str(position)))
    return "mail_" + sha256(text.encode()).hexdigest()[:26]


def why_not(
    template: Template, email: str, to: Addressee | None, merchant: Merchant, settings: AutoOrderProcessing
) -> str | None:
    """The rule that keeps a mail back; None where it may go. Asked when it is planned, and again when it is sent."""
    if to is None:
        return "what it is about does not exist any more"
    if template not in TO_THE_MERCHANT:
        if to.do_not_send_mail:
            return "the customer's profile says do_not_send_mail"
        if template == "receipt" and to.rebill and settings.skip_receipt_email:
            return "the setting skip_receipt_email: no receipts for rebills"
        if template in PROBLEMS and settings.skip_problem_emails:
            return "the setting skip_problem_emails: no mails about failed payments"
    try:
        mail_address(email)
    except ValueError as error:
        whose = "the shop has no support_email: it" if template in TO_THE_MERCHANT else "the customer's address"
        return f"{whose} {error}"
    try:
        mail_address(sender_of(merchant))
    except ValueError as error:
        return f"the shop's sender_email {error}"
    return None


def sender_of(merchant: Merchant) -> str:
    return merchant.sender_email or merchant.support_email or ""


def reply_to_of(merchant: Merchant) -> str | None:
    """The support address, where it is one."""
    try:
        return mail_address(merchant.support_email or "")
    except ValueError:
        return None


def _recipients(notice: Notice, to: Addressee | None, merchant: Merchant) -> list[str]:
    if notice.template in TO_THE_MERCHANT:
        return [merchant.support_email or merchant.sender_email or ""]
    if to is None:
        return [""]
    return [to.email or "", *(to.copies if notice.template == "receipt" else [])]


def _planned(event: Event, notice: Notice, position: int, email: str, reason: str | None) -> SentMail:
    about = f"{notice.kind}#{notice.id}"
    return SentMail(
        mail_id=mail_id_of(event.event_id, notice.template, about, position),
        about=about,
        template=notice.template,
        email=email,
        created_dts=event.dts,
        state="skipped" if reason else "planned",
        skip_reason=reason,
        # Whoever plans it sends its id to the queue at once; the due index finds those that get lost on the way.
        next_dts=None if reason else later(event.dts, seconds=LEASE_SECONDS),
        facts=notice.facts,
    )


# --- addresses and texts that others typed ----------------------------------------------------------------------------

# RFC 5322 dot-atom, the only form that every mail server takes.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
# Marks that turn the direction of what follows: in a name they could make a line read as another.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# What makes mail programs show a link where a name should stand.
_LINK = re.compile(r"[/:@\\]|www\.|\.\w\w", re.IGNORECASE)


@lru_cache(maxsize=1024)
def mail_address(email: str) -> str:
    """The address as an envelope takes it, a domain of other letters in its ASCII form.

    Raises ValueError with the end of a sentence ("is missing", ...): no such address can hold a second one or a header.
    """
    email = email.strip()
    if not email:
        raise ValueError("is missing")
    local, _, domain = email.rpartition("@")
    if not local.isascii():
        # SES, as most servers, speaks no SMTPUTF8: letters before the "@" must be ASCII.
        raise ValueError("has letters before the @ that mail servers do not take")
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("is no e-mail address") from None
    if not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(ascii_domain) or len(local) > 64:
        raise ValueError("is no e-mail address")
    return f"{local}@{ascii_domain}"


def one_line(text: str | None, longest: int = LONGEST_WORDS) -> str:
    """A text that somebody typed, on one line, without marks that hide or turn what stands around it."""
    # An encoded word (RFC 2047) in a header would be decoded, line breaks and all.
    line = " ".join(_harmless(text or "").split()).replace("=?", "= ?")
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _harmless(text: str) -> str:
    # Nearly every text: no character of those below is printable.
    if text.isprintable():
        return text
    kept = []
    for character in text:
        category = unicodedata.category(character)
        if category in ("Cc", "Zl", "Zp"):
            kept.append(" ")
        elif category != "Cs" and character not in _TURNING:
            kept.append(character)
    return "".join(kept)


def refuse_unsafe(mail: Mail) -> None:
    """Raises ValueError where an address is none, or a header could hold a second one."""
    for name, address in (("to", mail.to), ("sender", mail.sender), ("reply_to", mail.reply_to)):
        if address is not None:
            try:
                mail_address(address)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
    for name, value in (("subject", mail.subject), ("sender_name", mail.sender_name), *mail.headers.items()):
        whole = name + value
        # Nearly every text is printable, and then holds none of them.
        if not whole.isprintable() and any(unicodedata.category(one) in ("Cc", "Zl", "Zp", "Cs") for one in whole):
            raise ValueError(f"{name!r} holds a line break or another control character")
        if "=?" in value:
            raise ValueError(f"{name!r} holds an encoded word")


def _first_name(order: Order) -> str:
    """For the greeting; none where it looks like a link, for strangers' profiles must not make us send one."""
    name = one_line(order.billing.first_name if order.billing else "", 30)
    return "" if _LINK.search(name) else name


# --- from plan to end -------------------------------------------------------------------------------------------------


def waiting_name(mail: SentMail) -> str:
    """What the due index calls it, and whoever finds it there reads."""
    return f"mail#{mail.mail_id}#{mail.about}"


def read_waiting_name(name: str) -> tuple[str, str] | None:
    """(about, mail id) of what ``waiting_name`` wrote; None where the name is not a mail's."""
    first, _, rest = name.partition("#")
    mail_id, _, about = rest.partition("#")
    return (about, mail_id) if first == "mail" and mail_id and about else None


def may_try(mail: SentMail, now: Instant) -> bool:
    """The first try goes as soon as somebody comes with its id; a later one waits for its time."""
    return mail.state == "planned" and (mail.tries == 0 or mail.next_dts is None or mail.next_dts <= now)


def abandoned(mail: SentMail, now: Instant) -> bool:
    """Claimed by somebody who is surely gone and has not marked it."""
    return mail.state == "sending" and (mail.next_dts is None or mail.next_dts <= now)


def claimed(mail: SentMail, owner: str, now: Instant) -> SentMail:
    lease = later(now, seconds=LEASE_SECONDS)
    shortest = later(now, seconds=SHORTEST_LEASE_SECONDS)
    stays = mail.next_dts is not None and shortest <= mail.next_dts <= lease
    until = mail.next_dts if stays else lease
    return replace(mail, state="sending", owner=owner, tries=mail.tries + 1, next_dts=until)


def sent(mail: SentMail, subject: str, now: Instant) -> SentMail:
    return replace(mail, state="sent", send_dts=now, subject=subject, next_dts=None, failure_reason=None)


def skipped(mail: SentMail, reason: str) -> SentMail:
    if mail.unknown:
        return failed(mail, f"it may have been sent, and is not sent again: {reason}")
    return replace(mail, state="skipped", skip_reason=reason, next_dts=None)


def failed(mail: SentMail, reason: str) -> SentMail:
    return replace(mail, state="failed", failure_reason=one_line(reason), next_dts=None)


def not_sent(mail: SentMail, reason: str, now: Instant) -> SentMail:
    """After a try that surely handed nothing over: again later, until the tries are used up."""
    if mail.tries >= MAXIMUM_TRIES:
        return failed(mail, f"not sent in {mail.tries} tries: {reason}")
    wait = RETRY_SECONDS[mail.tries - 1]
    return replace(mail, state="planned", failure_reason=one_line(reason), next_dts=later(now, seconds=wait))


def unknown(mail: SentMail, reason: str, now: Instant, *, wait: int = 0) -> SentMail:
    """After a try of which nobody knows: a receipt may go out twice, a mail about a problem may not."""
    mail = replace(mail, unknown=mail.unknown + 1)
    if mail.template in PROBLEMS or mail.unknown >= MAXIMUM_UNKNOWN:
        return failed(mail, f"it may have been sent: {reason}")
    return replace(mail, state="planned", failure_reason=one_line(reason), next_dts=later(now, seconds=wait))


def may_mark(stands: SentMail, after: SentMail) -> bool:
    """Whether how a try ended may still be written over what stands: its own claim, or, where it was sent, what
    somebody concluded who did not know that."""
    if stands.state == "sending":
        return stands.owner == after.owner
    return after.state == "sent" and stands.state in ("planned", "failed")


def shown_mail(mail: SentMail) -> AutoOrderEmail:
    return AutoOrderEmail(
        email=mail.email or None,
        internal=mail.template in TO_THE_MERCHANT,
        message_id=mail.mail_id,
        send_dts=mail.send_dts,
        skip_reason=mail.skip_reason,
        skipped=mail.state == "skipped",
        smtp_response=mail.failure_reason,
        subject=mail.subject,
    )


# --- what stands in a mail --------------------------------------------------------------------------------------------


def outdated(mail: SentMail, head: Head | None, order: Order | None) -> str | None:
    """Why there is nothing to tell any more; None where there still is. ``head`` is the auto order's."""
    match mail.template:
        case "receipt":
            status = order.payment.payment_status if order and order.payment else None
            return None if status == "Processed" else f"the order is not paid: {status or 'no payment'}"
        case "update_billing":
            if head is None or head.status != "active" or str(head.round) != mail.facts.get("attempt", str(head.round)):
                return "the payment has been settled or tried again meanwhile"
        case "disabled":
            if head is None or head.status != "disabled":
                return "the auto order is not disabled any more"
        case "preshipment_notice":
            if head is None or head.status != "active":
                return "the auto order is not active any more"
        case "held":
            pass
    return None


def receipt(order: Order, merchant: Merchant) -> Letter:
    """What was bought and paid. Lines stand at their price, the discount below them, so that the column adds up."""
    currency = order.currency_code or merchant.currency()
    totals = order.summary or OrderSummary()
    lines = order.items or []
    paid = order.payment.payment_dts if order.payment else None
    amount = formatted(totals.total or ZERO, currency)
    words = {"order_id": order.order_id or "", "total": amount}
    if paid:
        words["date"] = day_words(local_date(paid, merchant.zone_name()))
    if order.run:
        words["rebill"] = str(order.run)
    card = order.payment.credit_card if order.payment else None
    if card and totals.total:
        words["card"] = card_words(card)
    if order.shipping and order.shipping.shipping_method:
        words["shipping_method"] = one_line(order.shipping.shipping_method)
    return _letter(
        "receipt",
        f"Your receipt for order {order.order_id}",
        order,
        merchant,
        words,
        rows=[_order_row(line, currency) for line in lines[:MAXIMUM_ROWS]],
        more_rows=max(0, len(lines) - MAXIMUM_ROWS),
        totals=_totals(totals, currency),
    )


def preshipment_notice(
    auto_order: AutoOrder, original: Order, merchant: Merchant, items: Mapping[str, Item], day: date | None
) -> Letter | None:
    """What ships next and is charged then: all that comes on ``day``, and whatever else has been announced with it.
    ``auto_order`` is put together with its future schedules. None where nothing of it is coming any more."""
    currency = original.currency_code or merchant.currency()
    coming: list[tuple[date, Row]] = []
    for entry in auto_order.items or []:
        if entry.paused or entry.calculated_next_shipment_dts is None:
            continue
        ships = local_date(entry.calculated_next_shipment_dts, merchant.zone_name())
        if ships != day and not entry.preshipment_notice_sent:
            continue
        quantity = entry.arbitrary_quantity or entry.original_quantity or Decimal(1)
        item = items.get(entry.next_item_id or "")
        cost = entry.future_schedules[0].unit_cost if entry.future_schedules else None
        row = Row(
            quantity=number_words(quantity),
            name=one_line(item.description if item else None) or one_line(entry.next_item_id),
            amount=formatted(cost * quantity, currency) if cost is not None else "",
        )
        coming.append((ships, row))
    if not coming:
        return None
    first = min(ships for ships, _ in coming)
    rows = [
        row if ships == first else replace(row, notes=[f"ships on {day_words(ships)}"])
        for ships, row in sorted(coming, key=lambda one: one[0])
    ]
    return _letter(
        "preshipment_notice",
        f"Your next shipment from {_shop(merchant)} on {day_words(first)}",
        original,
        merchant,
        {"day": day_words(first)} | _card(original),
        rows=rows[:MAXIMUM_ROWS],
        more_rows=max(0, len(rows) - MAXIMUM_ROWS),
    )


def update_billing(
    original: Order, merchant: Merchant, settings: AutoOrderProcessing, facts: Mapping[str, str]
) -> Letter:
    """A payment was declined. The bank's own words stay with the merchant: a stolen card must not warn the thief."""
    words = _card(original) | {"attempts": str(settings.retries())}
    if facts.get("attempt", "").isdecimal():
        words["attempt"] = facts["attempt"]
    if next_attempt := _day_of(facts.get("next_attempt"), merchant):
        words["next_attempt"] = next_attempt
    if (url := one_line(facts.get("url"), 2000)).startswith("https://"):
        words["url"] = url
    return _letter("update_billing", f"Your payment to {_shop(merchant)} did not go through", original, merchant, words)


def disabled(original: Order, merchant: Merchant, facts: Mapping[str, str]) -> Letter:
    """No more attempts will be made."""
    words = _card(original)
    if facts.get("attempt", "").isdecimal():
        words["attempt"] = facts["attempt"]
    return _letter("disabled", f"Your auto order at {_shop(merchant)} has stopped", original, merchant, words)


def held(mail: SentMail, code: str | None, merchant: Merchant) -> Letter:
    """To the merchant: something must be mended, or decided on. ``code``: the auto order's own, where it is one."""
    kind, name = mail.noun()
    what = f"Auto order {one_line(code) or name}" if kind == "auto_order" else f"Order {name}"
    words = {
        "what": what,
        "message": one_line(mail.facts.get("message")) or "It cannot be billed.",
        "code": one_line(mail.facts.get("code")),
    }
    return _letter("held", f"{what} needs you", Order(), merchant, words)


def _letter(
    template: Template,
    subject: str,
    order: Order,
    merchant: Merchant,
    words: dict[str, str],
    *,
    rows: Iterable[Row] = (),
    more_rows: int = 0,
    totals: Iterable[tuple[str, str]] = (),
) -> Letter:
    return Letter(
        template=template,
        subject=one_line(subject, LONGEST_SUBJECT),
        shop=_shop(merchant),
        first_name=_first_name(order),
        support_email=one_line(merchant.support_email),
        words=words,
        rows=list(rows),
        more_rows=more_rows,
        totals=list(totals),
    )


def _shop(merchant: Merchant) -> str:
    return one_line(merchant.name) or one_line(merchant.merchant_id) or "the shop"


def _order_row(line: OrderItem, currency: str) -> Row:
    quantity = line.quantity or Decimal(1)
    options = [f"{one_line(option.label, 50)}: {one_line(option.value, 100)}" for option in line.options or []]
    return Row(
        quantity=number_words(quantity),
        name=one_line(line.description) or one_line(line.merchant_item_id),
        amount=formatted((line.cost or ZERO) * quantity, currency),
        notes=options,
    )


def _totals(totals: OrderSummary, currency: str) -> list[tuple[str, str]]:
    discount = (totals.subtotal_discount or ZERO) + (totals.shipping_handling_total_discount or ZERO)
    parts = [
        ("Subtotal", totals.subtotal or ZERO, True),
        ("Shipping", totals.shipping_handling_total or ZERO, totals.shipping_handling_total is not None),
        ("Discount", -discount, bool(discount)),
        ("Tax", totals.tax or ZERO, bool(totals.tax)),
        ("Total", totals.total or ZERO, True),
    ]
    return [(label, formatted(amount, currency)) for label, amount, shows in parts if shows]


def _card(order: Order) -> dict[str, str]:
    card = order.payment.credit_card if order.payment else None
    return {"card": card_words(card)} if card else {}


def card_words(card: OrderPaymentCreditCard) -> str:
    """``VISA ending in 1111``: what may be said of a card."""
    digits = [character for character in card.card_number or "" if character.isdecimal()][-4:]
    ending = f" ending in {''.join(digits)}" if digits else ""
    return f"{card.card_type or 'card'}{ending}"


def day_words(day: date) -> str:
    """``31 January 2027``: reads the same on both sides of the ocean."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def number_words(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _day_of(text: str | None, merchant: Merchant) -> str:
    try:
        return day_words(local_date(parse_instant(text or ""), merchant.zone_name()))
    except ValueError:
        return ""
