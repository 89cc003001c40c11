"""The notices: what each is for, the texts of the merchant's own, and letters of invented people to try them on."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from chalicelib.domain.dates import Instant
from chalicelib.domain.events import Template
from chalicelib.domain.fields import Oid, OrderId
from chalicelib.domain.letters import Letter, Row
from chalicelib.domain.mails import TO_THE_MERCHANT
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.wire import Noun

# Mail programs cut a message that is longer than 102 KB, so no template comes near it.
LONGEST_SUBJECT_TEMPLATE = 200
LONGEST_TEXT_TEMPLATE = 20_000
LONGEST_HTML_TEMPLATE = 60_000

Subject = Annotated[str, Meta(min_length=1, max_length=LONGEST_SUBJECT_TEMPLATE, title="Subject")]
Text = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT_TEMPLATE, title="Text")]
Html = Annotated[
    str,
    Meta(max_length=LONGEST_HTML_TEMPLATE, title="HTML", description="Empty: the mail is sent as text only."),
]


class NoticeTemplate(Noun):
    """A merchant's own texts of one notice, each a Jinja template; what is absent is the default's."""

    read_only: ClassVar[frozenset[str]] = frozenset({"template", "modified_dts"})

    template: Template | None = None
    subject: Subject | None = None
    text: Text | None = None
    html: Html | None = None
    modified_dts: Instant | None = None


class NoticeDraft(Noun):
    """Texts to look at before they are kept, and what to fill them with: an order, an auto order, or invented
    people."""

    subject: Subject | None = None
    text: Text | None = None
    html: Html | None = None
    order_id: OrderId | None = None
    auto_order_oid: Oid | None = None


class NoticeVariable(Noun):
    """``optional``: not every mail has it, so a template asks `{% if ... is defined %}` first."""

    name: str
    sample: Any = None
    optional: bool | None = None


class NoticeTemplateView(Noun):
    """A notice as the merchant's page shows it; ``edited`` where any text is the merchant's own."""

    template: Template
    title: str
    description: str
    recipient: Literal["customer", "merchant"]
    edited: bool
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    modified_dts: Instant | None = None
    variables: list[NoticeVariable] | None = None


class NoticePreview(Noun):
    """What would be sent. ``html`` is to be shown in a frame that runs nothing."""

    subject: str
    text: str
    html: str | None = None


# --- what each is for -------------------------------------------------------------------------------------------------

TITLES: dict[Template, tuple[str, str]] = {
    "receipt": ("Receipt", "After a payment: what was bought and what was charged."),
    "shipment": ("Shipment", "When an order is marked shipped: what is on its way, with its tracking numbers."),
    "preshipment_notice": (
        "Preshipment notice",
        "Before a shipment, by so many days as the item's step says: what comes and what it costs.",
    ),
    "price_notice": (
        "Higher price ahead",
        "Seven days before the first charge after a trial, or at a higher price than before.",
    ),
    "action_needed": ("Action needed", "When the bank wants its customer to confirm a payment: where to do it."),
    "update_billing": ("Auto order update billing", "After a decline, while it is tried again."),
    "disabled": ("Auto order update billing decline", "After the last decline: the auto order has stopped."),
    "card_expiring": ("Card expires", "In the month before the card's last one and in its last, once each."),
    "easy_cancel": ("Easy cancel", "After the receipt of a rebill: a link that cancels the auto order."),
    "canceled": ("Auto order canceled", "When an auto order is canceled, by whom ever."),
    "held": ("Needs you", "To the shop: an auto order cannot be billed, or somebody must decide on a payment."),
    "problem_digest": ("Problems of the day", "To the shop, the morning after a day with problems: all of them."),
    "signup": ("Signup", "When a profile is made and whoever makes it wants it told."),
    "set_password": (
        "Set a password",
        "The password notice, and what a customer gets who has forgotten his: a link to set one, never a password.",
    ),
    "my_account": ("My account", "When a customer asks for it: a link to all that he has at the shop."),
}


def recipient_of(template: Template) -> Literal["customer", "merchant"]:
    return "merchant" if template in TO_THE_MERCHANT else "customer"


# --- samples ----------------------------------------------------------------------------------------------------------

_CARD = {"card": "VISA ending in 1111"}
_CANCEL = {"cancel_url": "https://shop.example.com/storefront/cancel?merchant_id=DEMO&token=sample"}
_UPDATE = {"update_url": "https://shop.example.com/storefront/update_billing?merchant_id=DEMO&token=sample"}
_PASSWORD = {"password_url": "https://shop.example.com/storefront/set_password?merchant_id=DEMO&token=sample"}
_ACCOUNT = {"url": "https://shop.example.com/storefront/my_account?merchant_id=DEMO&token=sample"}
_ATTEMPT = {"attempt": "1", "next_attempt": "3 February 2027"}
_LINES = [
    Row(quantity="2", name="Single origin coffee, 12 oz", amount="$35.90", notes=["Grind: Whole bean"]),
    Row(quantity="1", name="Green tea, 4 oz", amount="$9.50"),
]
_TOTALS = [("Subtotal", "$45.40"), ("Shipping", "$5.95"), ("Tax", "$4.03"), ("Total", "$55.38")]

# Words that a letter always has, and those that it has sometimes.
WORDS: dict[Template, tuple[dict[str, str], dict[str, str]]] = {
    "receipt": (
        {"order_id": "DEMO-0009104420-002", "total": "$55.38"},
        {"date": "31 January 2027", "rebill": "2", "shipping_method": "USPS Priority Mail"} | _CARD,
    ),
    "shipment": (
        {"order_id": "DEMO-0009104420-002"},
        {
            "rebill": "2",
            "date": "2 February 2027",
            "shipping_method": "USPS Priority Mail",
            "tracking_numbers": "9400 1000 0000 0000 0000 00, 9400 1000 0000 0000 0000 17",
        },
    ),
    "preshipment_notice": ({"day": "28 February 2027"}, _CARD),
    "price_notice": ({"day": "28 February 2027"} | _CANCEL, {"trial": "yes"} | _CARD),
    "action_needed": ({"attempts": "3"}, {"url": "https://bank.example.com/confirm?a=1&b=2"} | _ATTEMPT | _CARD),
    "update_billing": ({"attempts": "3"} | _UPDATE, _ATTEMPT | _CARD),
    "disabled": (_UPDATE, {"attempt": "3"} | _CARD),
    "card_expiring": ({"month": "March 2027"} | _CARD | _UPDATE, {"day": "28 February 2027"}),
    "easy_cancel": ({"order_id": "DEMO-0009104420-002"} | _CANCEL, {"day": "28 February 2027", "asked_for": "yes"}),
    "canceled": ({"code": "K7M2QX9PLA"}, {"date": "31 January 2027", "last_charge": "yes"}),
    "held": (
        {
            "what": "Auto order K7M2QX9PLA",
            "message": "No shipping method goes to Canada.",
            "code": "no_shipping_method",
        },
        {"again": "daily"},
    ),
    "problem_digest": ({"day": "31 January 2027", "count": "2"}, {}),
    "signup": (
        {"email": "jane@example.com"},
        {"approved": "yes", "unapproved": "yes", "until": "14 February 2027"} | _PASSWORD,
    ),
    "set_password": ({"email": "jane@example.com", "until": "14 February 2027"} | _PASSWORD, {"asked_for": "yes"}),
    "my_account": ({"until": "1 February 2027"} | _ACCOUNT, {}),
}
_ROWS: dict[Template, list[Row]] = {
    "receipt": _LINES,
    "shipment": [replace(row, amount="") for row in _LINES],
    "preshipment_notice": _LINES,
    "price_notice": [
        Row(
            quantity="1",
            name="Single origin coffee, 12 oz",
            amount="$17.95",
            notes=["until now $1.00"],
        )
    ],
    "problem_digest": [
        Row(
            quantity="00:05",
            name="Auto order K7M2QX9PLA",
            amount="",
            notes=["No shipping method: No shipping method goes to Canada."],
        ),
        Row(
            quantity="00:06",
            name="Auto order W3RT8ZC5NB",
            amount="",
            notes=["Disabled: Insufficient funds"],
        ),
    ],
}
_SUMS: dict[Template, list[tuple[str, str]]] = {
    "receipt": _TOTALS,
    "problem_digest": [("No shipping method", "1"), ("Disabled", "1")],
}


def samples(template: Template, merchant: Merchant) -> tuple[Letter, Letter]:
    """Two letters of invented people: one with all that a mail of this kind can say, one with as little as it must."""
    always, sometimes = WORDS[template]
    shop = merchant.name or merchant.merchant_id or "the shop"
    full = Letter(
        template=template,
        shop=shop,
        first_name="Jane",
        support_email=merchant.support_email or "help@shop.example.com",
        words=always | sometimes,
        rows=_ROWS.get(template, []),
        totals=_SUMS.get(template, []),
    )
    return full, replace(full, first_name="", support_email="", words=always, rows=full.rows[:1])


def variables(template: Template) -> Iterator[NoticeVariable]:
    """All that a template of this kind can show."""
    full, bare = samples(template, Merchant(name="Demo Shop"))
    yield NoticeVariable(name="shop", sample=full.shop)
    yield NoticeVariable(name="first_name", sample=full.first_name, optional=True)
    yield NoticeVariable(name="support_email", sample=full.support_email, optional=True)
    for name, sample in full.words.items():
        yield NoticeVariable(name=f"words.{name}", sample=sample, optional=name not in bare.words or None)
    if full.rows:
        yield NoticeVariable(name="rows", sample=[msgspec.to_builtins(row) for row in full.rows])
        yield NoticeVariable(name="more_rows", sample=0)
    if full.totals:
        yield NoticeVariable(name="totals", sample=[list(pair) for pair in full.totals])
