"""The pages that mails lead a customer to: cancel an auto order, set another card, set a password. They work without
any script.

The link's token opens one auto order. GET shows and changes nothing, so programs that open every link of a mail do no
harm; the page's form posts the same token, and the same form posted twice acts once. Whatever goes wrong is told on a
page too, at its field where it has one. A card's number is never shown again.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any

from chalice.app import Response

from chalicelib import wiring
from chalicelib.domain.cancellation import Cancellation
from chalicelib.domain.customers import LONGEST_PASSWORD, SHORTEST_PASSWORD
from chalicelib.domain.dates import Instant, local_date
from chalicelib.domain.errors import Contended, Invalid, NotFound, ShopError, TooMany, Unauthorised
from chalicelib.domain.letters import day_words, number_words, read_day
from chalicelib.domain.links import PAGES
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import ZERO, formatted
from chalicelib.domain.payment_updates import CardOutcome
from chalicelib.flows import cancel, customer_passwords, update_billing
from chalicelib.flows.found_shop import MERCHANT_ID
from chalicelib.flows.ports import Shop
from chalicelib.gateways import pages
from chalicelib.handlers.http import PAGE, STATUSES, Ask, Door

log = logging.getLogger(__name__)
door = Door("pages")

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HTML = {
    "Content-Type": "text/html; charset=UTF-8",
    "Content-Security-Policy": POLICY,
    # The address holds the token: no other page is told it.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
# A minute from now at least: nobody waits by the second.
MINUTE_SECONDS = 60
# A new version of a file is everywhere within so many seconds.
FILE_SECONDS = 300

NO_SHOP = "There is no such shop. Please use the link of your latest mail, as it is."
WRONG = "Something went wrong here. Nothing was lost; please try again in a few minutes."
BUSY = "The auto order is being changed at this moment. Please try again."
NOT_SKIPPED = "This shipment cannot be skipped any more. Below is what comes now."
MAILED = (
    "If there is such an order and the address is the one of the order, a link is on its way to it. "
    "It may take a few minutes. Look into the folder for spam too."
)
# What became of the card, as its page says it: title and words.
TOLD: Mapping[CardOutcome, tuple[str, str]] = {
    "approved": ("Thank you, it is paid", "The new card is saved, and what was due is paid."),
    "not_known_yet": (
        "The payment is being processed",
        "The new card is saved. Whether the payment went through is not known yet. Please do not pay again.",
    ),
    "saved": ("The new card is saved", "Nothing is due now. The next order is charged to the new card."),
    "not_charged": (
        "The new card is saved",
        "It could not be charged at this moment, and nothing was taken. What is due is charged to it later.",
    ),
}
DECLINED = "The payment was not accepted. The card is saved; please try another card, or ask your bank."
# What is wrong with a field, in words for whoever filled it in.
SAID = {
    "card_number": "Enter the card number as it stands on the card.",
    "card_expiration_month": "Enter the month as a number from 1 to 12.",
    "card_expiration_year": "Enter the year with four digits.",
    "cancel_reason": "Choose why you cancel.",
    "email": "Enter an e-mail address.",
    "order_id": "Enter the order id or the auto order code: letters, digits, dots and dashes.",
}
# What is wrong with a card, on the page that takes one: elsewhere these codes are about something else.
SAID_OF_A_CARD = {
    "past_date": "The card has expired. Look at month and year again.",
    "card_refused": "The bank refused this card. Please use another card.",
    "card_type_restricted": "The shop does not take this kind of card for auto orders. Please use another card.",
    "not_available": "This card cannot be used at this moment. Please use another card.",
}
FORGOTTEN_TITLE = "Have you forgotten your password?"
FORGOTTEN = (
    "If there is a profile with this address, a link is on its way to it. "
    "It may take a few minutes. Look into the folder for spam too."
)
SAID |= {"password": f"Enter {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, and not your e-mail address."}
FIELDS = {"card_number_token": "card_number"}
CARD_FIELDS = ("card_number", "card_expiration_month", "card_expiration_year")


@dataclass(frozen=True)
class Page:
    """A template and its words."""

    name: str
    title: str
    words: Mapping[str, Any]
    problems: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Visit:
    """What a customer came with: the fields of the link, or of the form. No text of this object shows a field."""

    shop: Shop
    merchant: Merchant
    address: str
    fields: Mapping[str, str] = field(repr=False)

    def said(self, name: str) -> str:
        return self.fields.get(name, "").strip()

    def day(self, moment: Instant) -> str:
        return day_words(local_date(moment, self.merchant.zone_name()))


def sorry(title: str, told: str, status: int, headers: Mapping[str, str] | None = None) -> Page:
    return Page("said", title, {"lines": [told]}, status=status, headers=headers or {})


def asking(
    name: str,
    title: str,
    message: str = "",
    status: int = 200,
    *,
    said: Mapping[str, str] | None = None,
    problems: list[dict[str, str]] | None = None,
) -> Page:
    """A page on which a customer asks for a link by mail; ``message`` is what is wrong with the one that he had."""
    words = {"message": message, "said": {"email": "", "order_id": ""} | dict(said or {})}
    return Page(name, title, words, problems or [], 400 if problems else status)


ASK_TO_CANCEL = partial(asking, "look_up")
ASK_FOR_PASSWORD = partial(asking, "forgotten")
Show = Callable[[Visit], Page]
# What is shown for a link that opens nothing: from its title, what is wrong with it, and the status.
Lost = Callable[[str, str, int], Page]


def page(lost: Lost) -> Callable[[Show], Callable[[Ask], Response]]:
    """The view of a page: finds the shop, shows what the function makes, and tells what went wrong in words. ``lost``
    leads to where another link can be had, if there is such a place."""

    def made(show: Show) -> Callable[[Ask], Response]:
        @wraps(show)
        def view(ask: Ask) -> Response:
            merchant, merchant_id = Merchant(), ""
            try:
                fields = dict(ask.query) if ask.request.method == "GET" else ask.fields()
                merchant_id = fields.get("merchant_id", "")
                if not MERCHANT_ID.fullmatch(merchant_id) or not wiring.house().merchants().has(merchant_id):
                    return _answer(sorry("This page was not found", NO_SHOP, 404), merchant, "")
                shop = wiring.open_shop(merchant_id, ask.time_left)
                merchant = shop.configuration.section(Merchant).noun
                page = _shown(show, lost, Visit(shop, merchant, ask.address, fields))
            except ShopError as error:
                page = _refused(error)
            except Exception:
                log.exception("unexpected error", extra={"request_id": ask.request_id})
                page = sorry("This did not work", WRONG, 500)
            return _answer(page, merchant, merchant_id)

        return view

    return made


def _shown(show: Show, lost: Lost, visit: Visit) -> Page:
    try:
        return show(visit)
    except (Unauthorised, NotFound) as error:
        told = str(error) if isinstance(error, Unauthorised) else "There is no such auto order any more."
        return lost("This link does not work", told, 403)


def _refused(error: ShopError) -> Page:
    status = STATUSES.get(type(error), 400)
    if isinstance(error, TooMany):
        minutes = -(-error.retry_after_seconds // MINUTE_SECONDS)
        told = f"There were too many tries. Please try again in {minutes} minute{'s' if minutes > 1 else ''}."
        return sorry("Please wait a little", told, status, {"Retry-After": str(error.retry_after_seconds)})
    return sorry("This did not work", BUSY if isinstance(error, Contended) else str(error), status)


def _answer(page: Page, merchant: Merchant, merchant_id: str) -> Response:
    words = {
        **page.words,
        "title": page.title,
        "problems": page.problems,
        "shop": merchant.name or merchant_id or "Auto orders",
        "support": merchant.support_email or merchant.sender_email,
        "merchant_id": merchant_id,
    }
    html = pages.laid_out(page.name, words)
    return Response(body=html, status_code=page.status, headers={**HTML, **page.headers})


def problems_of(invalid: Invalid, *names: str) -> list[dict[str, str]]:
    """One sentence for each field of the form that something is wrong with, and what belongs to none."""
    found: dict[str, str] = {}
    of_a_card = SAID_OF_A_CARD if CARD_FIELDS[0] in names else {}
    for problem in invalid.problems:
        pointer = problem.pointer.lstrip("/")
        name = FIELDS.get(pointer, pointer)
        if name in names:
            found.setdefault(name, of_a_card.get(problem.code) or SAID[name])
        else:
            found.setdefault("", of_a_card.get(problem.code) or problem.message)
    return [{"field": name, "message": message} for name, message in found.items()]


# --- cancel -----------------------------------------------------------------------------------------------------------


@door("GET", PAGES["cancel"], PAGE, summary="The page on which a customer cancels, or asks for the link to", base="")
@page(ASK_TO_CANCEL)
def show_cancel_page(visit: Visit) -> Page:
    if not visit.said("token"):
        return ASK_TO_CANCEL("Cancel an auto order")
    return _cancel_page(visit)


@door("POST", PAGES["cancel"], PAGE, summary="What the page's forms do: cancel, skip a shipment, mail a link", base="")
@page(ASK_TO_CANCEL)
def post_cancel_page(visit: Visit) -> Page:
    match visit.said("do"):
        case "cancel":
            return _canceled(visit)
        case "skip":
            day = read_day(visit.said("day"))
            if day is not None and cancel.skip(visit.shop, visit.said("token"), day):
                return _cancel_page(visit, skipped=True)
            return _cancel_page(visit, [{"field": "", "message": NOT_SKIPPED}])
        case "mail":
            return _mailed(visit)
    raise Invalid.one("", "malformed_form", "This is not a form of ours.")


def _canceled(visit: Visit) -> Page:
    reason = visit.said("cancel_reason")
    try:
        request = {"token": visit.said("token")} | ({"cancel_reason": reason} if reason else {})
        cancel.cancel(visit.shop, request)
    except Invalid as invalid:
        if not visit.said("token"):
            raise Unauthorised("The link is not valid. Please use the link of your latest mail.") from None
        return _cancel_page(visit, problems_of(invalid, "cancel_reason"))
    return _cancel_page(visit)


def _cancel_page(visit: Visit, problems: list[dict[str, str]] | None = None, *, skipped: bool = False) -> Page:
    token = visit.said("token")
    shown = cancel.shown(visit.shop, token)
    if shown.status not in ("active", "disabled"):
        return _ended(visit, shown)
    currency = visit.merchant.currency()
    skip = cancel.offered(visit.shop, token)
    words = {
        "code": shown.auto_order_code,
        "token": token,
        "items": [
            {
                "quantity": number_words(item.quantity) if item.quantity else "1",
                "name": item.description or item.item_id,
                "next": f"next on {visit.day(item.next_shipment_dts)}" if item.next_shipment_dts else "nothing planned",
            }
            for item in shown.items or []
        ],
        "charges": [
            {"amount": formatted(charge.cost or ZERO, currency), "name": charge.description or charge.item_id}
            for charge in shown.charges or []
        ],
        "until": visit.day(shown.earliest_cancel_dts) if shown.earliest_cancel_dts else None,
        "reasons": shown.cancel_reasons or [],
        "chosen": visit.said("cancel_reason"),
        "skip": skip.day.isoformat() if skip else None,
        "next_date": day_words(skip.day) if skip else None,
        "after_date": day_words(skip.next_day) if skip else None,
        "skipped": skipped,
    }
    return Page("cancel", "Cancel your auto order", words, problems or [], 400 if problems else 200)


def _ended(visit: Visit, shown: Cancellation) -> Page:
    if shown.status != "canceled":
        return sorry("This auto order has ended", "Nothing more is sent, and there is nothing to cancel.", 200)
    when = f" on {visit.day(shown.canceled_dts)}" if shown.canceled_dts else ""
    lines = [f"Auto order {shown.auto_order_code} was canceled{when}. Nothing more is sent."]
    return Page("said", "Your auto order is canceled", {"lines": lines})


def _mailed(visit: Visit) -> Page:
    said = {name: visit.said(name) for name in ("email", "order_id")}
    try:
        cancel.ask_for_link(visit.shop, said, visit.address)
    except Invalid as invalid:
        return ASK_TO_CANCEL("Cancel an auto order", said=said, problems=problems_of(invalid, *said))
    return Page("said", "Look into your mail", {"lines": [MAILED]})


# --- update billing ---------------------------------------------------------------------------------------------------


@door("GET", PAGES["update_billing"], PAGE, summary="The page on which a customer sets another card", base="")
@page(sorry)
def show_update_billing_page(visit: Visit) -> Page:
    return _billing_page(visit)


@door(
    "POST",
    PAGES["update_billing"],
    PAGE,
    summary="Set another card and charge what is due to it; the same form again charges nothing more",
    base="",
)
@page(sorry)
def post_update_billing_page(visit: Visit) -> Page:
    number, month, year = CARD_FIELDS
    raw = {number: visit.said(number), month: _number(visit.said(month)), year: _number(visit.said(year))}
    form, due = visit.said("form"), visit.said("due")
    try:
        outcome = update_billing.pay(visit.shop, visit.said("token"), raw, form, due, visit.address)
    except Invalid as invalid:
        return _billing_page(visit, problems_of(invalid, *CARD_FIELDS))
    if outcome == "declined":
        return _billing_page(visit, [{"field": "card_number", "message": DECLINED}])
    title, told = TOLD[outcome]
    return Page("said", title, {"lines": [told]})


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 4 else text


def _billing_page(visit: Visit, problems: list[dict[str, str]] | None = None) -> Page:
    shown = update_billing.shown(visit.shop, visit.said("token"))
    if shown.ended:
        return sorry("This auto order was canceled", "Nothing more is charged for it, and no card is needed.", 200)
    if shown.due is None:
        due = "being processed"
        happens = "A payment is being processed. The new card is charged from the next order on."
    elif shown.due == ZERO:
        due, happens = "nothing", "Nothing is charged now. The next order is charged to the new card."
    else:
        due = formatted(shown.due, visit.merchant.currency())
        happens = f"{due} is due and is charged to the new card at once."
    card = f"{shown.card}, expires {shown.expires}" if shown.expires else shown.card
    words = {
        "code": shown.code,
        "items": shown.items,
        "card": card or "none",
        "due": due,
        "agreed": update_billing.due_text(shown.due),
        "happens": happens,
        "button": f"Save the card and pay {due}" if shown.due else "Save the card",
        "takes_card": shown.takes_card,
        "token": visit.said("token"),
        "form": visit.shop.word(),
        "said": {name: visit.said(name)[:4] for name in CARD_FIELDS[1:]},
        "sample_year": str(local_date(visit.shop.clock.now(), visit.merchant.zone_name()).year + 2),
    }
    return Page("update_billing", "Update your card", words, problems or [], 400 if problems else 200)


# --- set a password ---------------------------------------------------------------------------------------------------


@door("GET", PAGES["set_password"], PAGE, summary="The page on which a customer sets a password", base="")
@page(ASK_FOR_PASSWORD)
def show_set_password_page(visit: Visit) -> Page:
    if not visit.said("token"):
        return ASK_FOR_PASSWORD(FORGOTTEN_TITLE)
    return _password_page(visit)


@door(
    "POST",
    PAGES["set_password"],
    PAGE,
    summary="What the page's forms do: set the password, once by each link; mail a link",
    base="",
)
@page(ASK_FOR_PASSWORD)
def post_set_password_page(visit: Visit) -> Page:
    match visit.said("do"):
        case "set":
            request = {"token": visit.said("token") or "none", "password": visit.fields.get("password", "")}
            try:
                customer_passwords.set_password(visit.shop, request)
            except Invalid as invalid:
                return _password_page(visit, problems_of(invalid, "password"))
            return Page("said", "Your password is set", {"lines": ["You can sign in with it from now on."]})
        case "mail":
            said = {"email": visit.said("email")}
            try:
                customer_passwords.ask_for_link(visit.shop, said, visit.address)
            except Invalid as invalid:
                return ASK_FOR_PASSWORD(FORGOTTEN_TITLE, said=said, problems=problems_of(invalid, "email"))
            return Page("said", "Look into your mail", {"lines": [FORGOTTEN]})
    raise Invalid.one("", "malformed_form", "This is not a form of ours.")


def _password_page(visit: Visit, problems: list[dict[str, str]] | None = None) -> Page:
    customer = customer_passwords.shown(visit.shop, visit.said("token"))
    words = {
        "email": customer.email,
        "token": visit.said("token"),
        "shortest": SHORTEST_PASSWORD,
        "longest": LONGEST_PASSWORD,
    }
    return Page("set_password", "Set your password", words, problems or [], 400 if problems else 200)


# --- files ------------------------------------------------------------------------------------------------------------


@door("GET", "/storefront/page.css", PAGE, summary="How a customer's pages look", base="")
def get_page_style(ask: Ask) -> Response:
    return _file(ask, "page.css", "text/css")


@door("GET", "/storefront/schedules.js", PAGE, summary="A script that offers an item's schedules on a page", base="")
def get_schedules_script(ask: Ask) -> Response:
    return _file(ask, "schedules.js", "text/javascript")


def _file(ask: Ask, name: str, kind: str) -> Response:
    ask.headers_out["Cache-Control"] = f"max-age={FILE_SECONDS}"
    return Response(body=pages.file(name), status_code=200, headers={"Content-Type": f"{kind}; charset=UTF-8"})
