"""Mails: which an event plans, why one is not sent, and when it is tried again. What stands in them: letters.py.

A mail has no idempotency key: whoever hands one over and dies before the mark leaves nobody knowing. Receipts and
notices are then sent a second time, at most once; mails about a problem are not.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from hashlib import sha256
from typing import Literal

import msgspec
from msgspec.structs import replace

from chalicelib.domain.auto_orders import AutoOrderEmail
from chalicelib.domain.customers import Customer, normalised_email
from chalicelib.domain.dates import Instant, later
from chalicelib.domain.events import Event, Notice, NounKind, Template
from chalicelib.domain.heads import Head
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.orders import SHIPPED_STAGE, Order, OrderBilling
from chalicelib.domain.problems import digest_due
from chalicelib.domain.settings import AutoOrderProcessing

State = Literal["planned", "sending", "sent", "skipped", "failed"]

# The two that `skip_problem_emails` keeps back.
PROBLEMS: frozenset[Template] = frozenset({"update_billing", "disabled"})
# What is never sent again on a guess: nobody wants to read twice that a payment failed.
NEVER_TWICE: frozenset[Template] = PROBLEMS | {"action_needed"}
# Mails to the merchant, not to a customer: no wish of the customer's keeps them back.
TO_THE_MERCHANT: frozenset[Template] = frozenset({"held", "problem_digest"})

# What a customer who has asked for it gets, though he wants no other mail: without it he could not sign in.
WANTED: frozenset[Template] = frozenset({"my_account", "set_password"})

# The fact of a notice that names an item with this flag of its tab.
NO_EASY_CANCEL = "auto_order_upsell_no_easy_cancel"
# The fact of a hold: what cannot be billed now is looked at again by itself.
AGAIN = "again"
# The fact of a signup's mail that tells that the shop has approved it.
APPROVED = "approved"
# The fact of a mail that the customer has asked for: no setting keeps it back.
ASKED_FOR = "asked_for"
NO_FACTS: Mapping[str, str] = {}

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
# Copies of a mail: an order takes 10, a profile takes 10.
MAXIMUM_COPIES = 20
# What a line of a mail shows of a text that somebody typed.
LONGEST_WORDS = 200
# A subject line is cut by mail programs long before this.
LONGEST_SUBJECT = 120


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
    marked. One with ``not_before`` waits for that moment.
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
    not_before: Instant | None = None
    send_dts: Instant | None = None
    subject: str | None = None
    facts: dict[str, str] = {}

    def noun(self) -> tuple[str, str]:
        """The kind and the id of what it is about."""
        kind, _, name = self.about.partition("#")
        return kind, name


class Addressee(msgspec.Struct, kw_only=True, frozen=True):
    """What a mail must know of its noun's customer. ``copies`` are of receipts. ``rebill``: the noun is an order that
    an auto order made."""

    email: str | None = None
    copies: list[str] = []
    shipment_copies: list[str] = []
    do_not_send_mail: bool = False
    rebill: bool = False


# --- planning ---------------------------------------------------------------------------------------------------------


def addressee(order: Order, customer: Customer | None) -> Addressee:
    """Whom mails about this order go to: the address of its billing, else the profile's. For an auto order it is the
    original order, so that a changed address there is the one that rebills write to."""
    billing = order.billing or OrderBilling()
    entries = customer.cc_emails or [] if customer else []
    email = billing.email or (customer.email if customer else None)
    of_order = billing.cc_emails or []
    return Addressee(
        email=email,
        copies=_copies(email, of_order, [entry.email for entry in entries if entry.receipt_notification]),
        shipment_copies=_copies(email, of_order, [entry.email for entry in entries if entry.shipment_notification]),
        do_not_send_mail=bool(customer and customer.do_not_send_mail),
        rebill=bool(order.run),
    )


def _copies(email: str | None, of_order: list[str], of_profile: list[str | None]) -> list[str]:
    """Each address once, and not the one that the mail itself goes to."""
    taken = {normalised_email(email or "")}
    copies: list[str] = []
    for copy in (*of_order, *of_profile):
        if copy and normalised_email(copy) not in taken:
            taken.add(normalised_email(copy))
            copies.append(copy)
    return copies[:MAXIMUM_COPIES]


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
            reason = why_not(notice.template, email, to, merchant, settings, notice.facts)
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
    template: Template,
    email: str,
    to: Addressee | None,
    merchant: Merchant,
    settings: AutoOrderProcessing,
    facts: Mapping[str, str] = NO_FACTS,
) -> str | None:
    """The rule that keeps a mail back; None where it may go. Asked when it is planned, and again when it is sent."""
    if to is None:
        return "what it is about does not exist any more"
    if template not in TO_THE_MERCHANT:
        if to.do_not_send_mail and not (template in WANTED and ASKED_FOR in facts):
            return "the customer's profile says do_not_send_mail"
        if kept := kept_back(template, settings, rebill=to.rebill, facts=facts):
            return kept.why
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


class KeptBack(msgspec.Struct, kw_only=True, frozen=True):
    """The setting that keeps a notice back, or the item whose own flag does, in words for the record."""

    setting: str
    why: str


def kept_back(
    template: Template, settings: AutoOrderProcessing, *, rebill: bool, facts: Mapping[str, str] = NO_FACTS
) -> KeptBack | None:
    """The merchant's rule that keeps a notice to a customer back, where there is one. ``rebill``: it is about an order
    that an auto order made."""
    if ASKED_FOR in facts:
        return None
    match template:
        case "receipt" if rebill and settings.skip_receipt_email:
            return _by("skip_receipt_email", "no receipts for rebills")
        case "shipment" if rebill and settings.skip_shipment_notification:
            return _by("skip_shipment_notification", "no shipment notices for rebills")
        case "update_billing" | "disabled" if settings.skip_problem_emails:
            return _by("skip_problem_emails", "no mails about failed payments")
        case "easy_cancel" if settings.suppress_easy_cancel_emails:
            return _by("suppress_easy_cancel_emails", "no second mail with a cancel link")
        case "easy_cancel" if settings.skip_receipt_email:
            return _by("skip_receipt_email", "no receipt, so no second mail after it")
        case "easy_cancel" if item := facts.get(NO_EASY_CANCEL):
            why = f"the item {item} says {NO_EASY_CANCEL}"
            return KeptBack(setting=NO_EASY_CANCEL, why=why)
    return None


def _by(setting: str, why: str) -> KeptBack:
    return KeptBack(setting=setting, why=f"the setting {setting}: {why}")


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
        return [_the_merchants(merchant)]
    if to is None:
        return [""]
    copies = {"receipt": to.copies, "shipment": to.shipment_copies}
    return [to.email or "", *copies.get(notice.template, [])]


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


def digest_of(day: date, merchant: Merchant, now: Instant) -> SentMail:
    """The mail about a day's problems, to be sent on the morning after. It is planned once, whoever meets the first."""
    email, due = _the_merchants(merchant), digest_due(day, merchant.zone_name())
    reason = why_not("problem_digest", email, Addressee(), merchant, AutoOrderProcessing())
    return SentMail(
        mail_id=mail_id_of("digest", "problem_digest", f"day#{day}"),
        about=f"day#{day}",
        template="problem_digest",
        email=email,
        created_dts=now,
        state="skipped" if reason else "planned",
        skip_reason=reason,
        next_dts=None if reason else due,
        not_before=due,
    )


def sample_mail(template: Template, merchant: Merchant, word: str, now: Instant) -> SentMail:
    """A mail of invented people, to the shop's own address and to nobody else's."""
    about = f"notice_template#{template}"
    return SentMail(
        mail_id=mail_id_of(word, template, about),
        about=about,
        template=template,
        email=_the_merchants(merchant),
        created_dts=now,
        next_dts=later(now, seconds=LEASE_SECONDS),
    )


def addressee_of_profile(customer: Customer) -> Addressee:
    return Addressee(email=customer.email, do_not_send_mail=bool(customer.do_not_send_mail))


def password_mail(oid: int, email: str, word: str, now: Instant, facts: Mapping[str, str] = NO_FACTS) -> SentMail:
    """The mail with a link to set a password. The same ``word`` plans the same mail."""
    return _with_a_link("set_password", f"customer#{oid}", email, word, now, facts)


def my_account_mail(about: str, email: str, word: str, now: Instant) -> SentMail:
    """The mail with a link to his account that a customer has asked for. ``about``: his profile, or one of his orders
    where he has none."""
    return _with_a_link("my_account", about, email, word, now, {ASKED_FOR: str(now)})


def asked_for(order_id: str, email: str, word: str, now: Instant) -> SentMail:
    """The mail with a cancel link that a customer has asked for."""
    return _with_a_link("easy_cancel", f"order#{order_id}", email, word, now, {ASKED_FOR: str(now)})


def _with_a_link(
    template: Template, about: str, email: str, word: str, now: Instant, facts: Mapping[str, str]
) -> SentMail:
    """A mail that no event has planned."""
    return SentMail(
        mail_id=mail_id_of(word, template, about),
        about=about,
        template=template,
        email=email,
        created_dts=now,
        next_dts=later(now, seconds=LEASE_SECONDS),
        facts=dict(facts),
    )


def _the_merchants(merchant: Merchant) -> str:
    return merchant.support_email or merchant.sender_email or ""


# --- addresses and texts that others typed ----------------------------------------------------------------------------

# RFC 5322 dot-atom, the only form that every mail server takes.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
# Marks that turn the direction of what follows: in a name they could make a line read as another.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


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
    """The first try goes as soon as somebody comes with its id, but not before its time; a later one waits for its
    own."""
    if mail.state != "planned" or (mail.not_before is not None and now < mail.not_before):
        return False
    return mail.tries == 0 or mail.next_dts is None or mail.next_dts <= now


def abandoned(mail: SentMail, now: Instant) -> bool:
    """Claimed by somebody who is surely gone and has not marked it."""
    return mail.state == "sending" and (mail.next_dts is None or mail.next_dts <= now)


def claimed(mail: SentMail, owner: str, now: Instant) -> SentMail:
    lease = later(now, seconds=LEASE_SECONDS)
    shortest = later(now, seconds=SHORTEST_LEASE_SECONDS)
    stays = mail.next_dts is not None and shortest <= mail.next_dts <= lease
    until = mail.next_dts if stays else lease
    return replace(mail, state="sending", owner=owner, tries=mail.tries + 1, next_dts=until)


def sent(mail: SentMail, subject: str, now: Instant, failure: str | None = None) -> SentMail:
    """``failure``: what was wrong on the way and did not keep it back."""
    return replace(mail, state="sent", send_dts=now, subject=subject, next_dts=None, failure_reason=failure)


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
    if mail.template in NEVER_TWICE or mail.unknown >= MAXIMUM_UNKNOWN:
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


# --- what holds when it is sent ---------------------------------------------------------------------------------------


def outdated(mail: SentMail, head: Head | None, order: Order | None) -> str | None:
    """Why there is nothing to tell any more; None where there still is. ``head`` is the auto order's, ``order`` the one
    that the mail is about, or the auto order's original."""
    match mail.template:
        case "receipt":
            status = order.payment.payment_status if order and order.payment else None
            return None if status == "Processed" else f"the order is not paid: {status or 'no payment'}"
        case "shipment":
            stage = order.current_stage if order else None
            return None if stage == SHIPPED_STAGE else f"the order is not shipped: {stage or 'no stage'}"
        case "update_billing" | "action_needed":
            if head is None or head.status != "active" or str(head.round) != mail.facts.get("attempt", str(head.round)):
                return "the payment has been settled or tried again meanwhile"
        case "disabled" | "canceled" as status:
            if head is None or head.status != status:
                return f"the auto order is not {status} any more"
        case "preshipment_notice" | "price_notice" | "card_expiring" | "easy_cancel":
            if head is None or head.status != "active":
                return "the auto order is not active any more"
            if mail.template == "card_expiring" and mail.facts.get("month") != _last_month(order):
                return "the card has been changed meanwhile"
        case "held" | "problem_digest":
            pass
    return None


def _last_month(order: Order | None) -> str | None:
    """The month at whose end the order's card expires: ``2027-03``."""
    card = order.payment.credit_card if order and order.payment else None
    if card is None or not card.card_expiration_year or not card.card_expiration_month:
        return None
    return f"{card.card_expiration_year:04d}-{card.card_expiration_month:02d}"
