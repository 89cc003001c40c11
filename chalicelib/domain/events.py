"""What happened, as it is written in the same transaction as the change: one row, told to everybody later."""

from decimal import Decimal
from hashlib import sha256
from typing import Literal

import msgspec

from chalicelib.domain.dates import Instant

NounKind = Literal["auto_order", "order", "item", "customer"]
# Every notice. UltraCart calls ``update_billing`` "auto order update billing" and ``disabled`` "auto order update
# billing decline".
Template = Literal[
    "receipt",
    "shipment",
    "preshipment_notice",
    "price_notice",
    "action_needed",
    "update_billing",
    "disabled",
    "card_expiring",
    "easy_cancel",
    "canceled",
    "held",
    "problem_digest",
    "signup",
    "set_password",
    "my_account",
]


class Happening(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One event of the catalogue and the noun that it is about."""

    name: str
    kind: NounKind
    id: str


class Notice(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A mail to be sent because of the event. ``facts`` are short texts for its template."""

    template: Template
    kind: NounKind
    id: str
    facts: dict[str, str] = {}


class GiveBack(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The latest paid order of an auto order is to be refunded because order ``refunded`` was; empty where it has none.
    ``left``: what of it is not, and why, in words."""

    auto_order_oid: int
    refunded: str
    order_id: str = ""
    left: str = ""


class Merge(msgspec.Struct, kw_only=True, omit_defaults=True):
    """That one profile goes into another; ``email`` was the address of the one that goes."""

    source: int
    target: int
    email: str
    by: str = ""


class Erase(msgspec.Struct, kw_only=True, omit_defaults=True):
    """That a customer is to be forgotten, and who asked for it."""

    oid: int
    by: str = ""


class Event(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``touched`` are nouns whose list rows change; ``revenue`` and ``orders`` add to the day's totals.
    ``seq`` rises with every change of the subject, so that a receiver can drop what is older than it knows.
    ``credit`` is so much of the revenue as no gateway took: gift certificates and store credit paid it.
    ``attempt`` is the attempt of its run that was paid or declined, 1 the first.
    ``gateway`` is the rotating account that took the charge or declined it; ``failed`` says which.
    ``bought``: the order by which somebody bought, which may end auto orders that the customer had before.
    ``refunded``: the order of which ``refunded_items`` were given back just now, which may refund others; ``give_back``
    is one of those.
    ``returned``: the order's debit came back, and with it what it had added to the totals.
    ``merge``: two profiles that are to become one by whoever tells of it.
    ``erase``: a customer who is to be forgotten by whoever tells of it.
    ``webhook_oid``: nothing happened; this endpoint alone asked to be told once more how things stand."""

    event_id: str
    dts: Instant
    happenings: list[Happening]
    seq: int = 0
    notices: list[Notice] = []
    touched: list[tuple[NounKind, str]] = []
    revenue: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)
    orders: int = 0
    rebills: int = 0
    declines: int = 0
    attempt: int = 0
    gateway: str | None = None
    failed: bool = False
    bought: str | None = None
    refunded: str | None = None
    refunded_items: list[str] = []
    give_back: GiveBack | None = None
    returned: bool = False
    merge: Merge | None = None
    erase: Erase | None = None
    webhook_oid: int | None = None

    def nouns(self) -> list[tuple[NounKind, str]]:
        """Every noun that the event is about, each once."""
        return list(dict.fromkeys([*((h.kind, h.id) for h in self.happenings), *self.touched]))


def event_id(merchant_id: str, subject: str, transition: str) -> str:
    """The same for the same transition, however often it is written: receivers drop what they have seen."""
    digest = sha256(f"{merchant_id}\x1f{subject}\x1f{transition}".encode()).hexdigest()
    return f"evt_{digest[:26]}"


# UltraCart's catalogue, by category.
CATALOGUE: dict[str, tuple[str, ...]] = {
    "auto_order": (
        "auto_order_cancel",
        "auto_order_create",
        "auto_order_decline",
        "auto_order_disable",
        "auto_order_preshipment",
        "auto_order_rebill",
        "auto_order_update",
    ),
    "customer": ("customer_create", "customer_delete", "customer_update"),
    "item": ("item_create", "item_delete", "item_update"),
    "order": (
        "order_create",
        "order_delete",
        "order_payment_failed",
        "order_payment_process",
        "order_refund",
        "order_reject",
        "order_ship",
        "order_stage_change",
        "order_update",
    ),
}
# What a merchant may ask to be sent again for all that exists.
REFLOWABLE = frozenset({"item_update", "order_create"})


def category_of(event_name: str) -> str | None:
    for category, names in CATALOGUE.items():
        if event_name in names:
            return category
    return None
