"""What happened to an auto order: every change with who made it, what stood there before and after, and every decision
of its periods with the rules that had a say.

Edits and decisions that moved no money are rows of their own; charges are told from their attempt or their order.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import AutoOrder, AutoOrderItem, AutoOrderLog
from chalicelib.domain.dates import BEGINNING, Instant, shown
from chalicelib.domain.fields import Text20, Text50, Text100, Text200, Text1024
from chalicelib.domain.orders import Order, OrderPaymentCreditCard
from chalicelib.domain.payments import ClosedAttempt
from chalicelib.domain.rebills import Reason
from chalicelib.domain.wire import Noun

# Why an auto order ended by cancel_after_next_x_orders.
LAST_ORDER = "Canceled after the last of its orders"
# Who acts where no person does; a customer who acts by a link or a page of the shop's.
SYSTEM = "system"
CUSTOMER = "customer"
# What a row shows of a value; the whole of it stands in the auto order.
LONGEST_VALUE = 200
LONGEST_MESSAGE = 1000
# Changes of one edit that are told one by one: a row stays below 10 KB, a cent's worth of write units.
MOST_CHANGES = 40
# Rules that a charge tells of: an auto order of a hundred items has no more to say than one of twenty.
MOST_REASONS = 20
# Reasons that every visit has, or that its order says anyway: they are not kept, so that an ordinary order is not
# larger by them.
ROUTINE = frozenset(
    {
        "add_on",
        "attempt_open",
        "coupon_applied",
        "days_override",
        "item_due",
        "item_ended",
        "item_not_due",
        "item_override",
        "item_unit_cost",
        "item_waits",
        "kit_steps_passed_over",
        "line_discount",
        "no_shipping_methods_configured",
        "no_tax_here",
        "nothing_ships",
        "options",
        "properties",
        "quantity_override",
        "shipping_method_as_ordered",
        "tax_rate_matched",
        "total",
    }
)

Kind = Literal[
    "begun",
    "established",
    "edited",
    "canceled",
    "disabled",
    "enabled",
    "payment",
    "consolidated",
    "merged",
    "rebill_asked",
    "billed",
    "declined",
    "failed",
    "held",
    "not_sent",
    "not_charged",
    "given_back",
    "reminded",
    "run_closed",
    "payment_review",
    "cancel_item",
    "receivable",
    "returned",
    "ended",
]


class TimelineChange(Noun):
    """One field before and after, as texts. An item's field is ``items/<auto_order_item_oid>/<name>``, one of the
    original order's address ``original_order/billing/<name>``."""

    field: Text200 | None = None
    before: Text200 | None = None
    after: Text200 | None = None


class TimelineReason(Noun):
    """A rule that had a say, as ``explain`` tells it."""

    code: Text50 | None = None
    params: dict[str, Any] | None = None
    setting: Text100 | None = None


class TimelineEntry(Noun):
    read_only: ClassVar[frozenset[str]] = frozenset({"log_dts"})

    log_dts: Instant
    kind: Kind = "edited"
    actor: Text100 | None = None
    log_message: Text1024 | None = None
    reason: Text1024 | None = None
    changes: list[TimelineChange] | None = None
    reasons: list[TimelineReason] | None = None
    order_id: Text50 | None = None
    run: int | None = None
    total: Annotated[Decimal, Meta(description="what was or would have been charged")] | None = None
    currency_code: Text20 | None = None


def log_of(entry: TimelineEntry) -> AutoOrderLog:
    """The contract's form of it: a date and one sentence."""
    return AutoOrderLog(log_dts=entry.log_dts, log_message=entry.log_message)


# --- what changed ----------------------------------------------------------------------------------------------------

# Nouns inside the auto order that have a history of their own, and words for what another field says.
_APART = frozenset({"items", "original_order", "rebill_orders", "logs", "emails", "management", "enabled"})
# What follows from the others or from the orders: an edit does not change it, its consequences do.
_FOLLOWS = frozenset(
    {
        "calculated_next_shipment_dts",
        "first_order_dts",
        "future_schedules",
        "last_order_dts",
        "life_time_value",
        "next_item_id",
        "next_preshipment_notice_dts",
        "preshipment_notice_sent",
        "rebill_value",
        "remaining_repeat_count",
        "simple_schedule",
    }
)


def differences(before: AutoOrder, after: AutoOrder, zone_name: str) -> list[TimelineChange]:
    """What an edit made of the assembled auto order, field by field; items by their oids, wherever they stand."""
    found = _changed("", before, after, zone_name, _APART)
    olds, news = _by_oid(before), _by_oid(after)
    for oid, entry in news.items():
        old = olds.get(oid)
        if old is None:
            found.append(_change(f"items/{oid}", None, entry.original_item_id, zone_name))
        else:
            found += _changed(f"items/{oid}/", old, entry, zone_name, _FOLLOWS)
    for oid in olds.keys() - news.keys():
        found.append(_change(f"items/{oid}", olds[oid].original_item_id, None, zone_name))
    return found


def order_differences(before: Order, after: Order, zone_name: str) -> list[TimelineChange]:
    """What an edit made of the original order: its addresses, and its card in words that show no number."""
    found = []
    for block in ("billing", "shipping"):
        old, new = getattr(before, block), getattr(after, block)
        type_ = type(new or old)
        if old != new and isinstance(new or old, msgspec.Struct):
            found += _changed(f"original_order/{block}/", old or type_(), new or type_(), zone_name, frozenset())
    old_card, new_card = _card_of(before), _card_of(after)
    if old_card != new_card:
        at = "original_order/payment/credit_card"
        found.append(_change(at, _card_words(old_card), _card_words(new_card), zone_name))
    return found


def _by_oid(auto_order: AutoOrder) -> dict[int, AutoOrderItem]:
    return {entry.auto_order_item_oid or 0: entry for entry in auto_order.items or []}


def _changed(
    at: str, before: msgspec.Struct, after: msgspec.Struct, zone_name: str, apart: frozenset[str]
) -> list[TimelineChange]:
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in after.__struct_fields__]
    return [
        _change(f"{at}{name}", old, new, zone_name)
        for name, old, new in pairs
        if name not in apart and (None if _is_nothing(old) else old) != (None if _is_nothing(new) else new)
    ]


def _is_nothing(value: Any) -> bool:
    """Not said, or said to be nothing; an amount of zero is something."""
    return value is None or value is False or value in ("", [])


def _change(field: str, before: Any, after: Any, zone_name: str) -> TimelineChange:
    return TimelineChange(field=field[:200], before=_text(before, zone_name), after=_text(after, zone_name))


def _text(value: Any, zone_name: str) -> str | None:
    """A value as a row shows it; None where there is none."""
    if _is_nothing(value):
        return None
    if isinstance(value, datetime):
        text = shown(value, zone_name)
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, Decimal):
        text = f"{value:f}"
    else:
        text = value if isinstance(value, str) else in_words(msgspec.json.decode(wire.kept(value)))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def in_words(value: Any) -> str:
    """A value of JSON as people read it: the entries of a list with commas, the fields of one by their names."""
    if isinstance(value, list):
        return ", ".join(map(in_words, value))
    if isinstance(value, dict):
        named = len(value) > 1
        told = [(name.replace("_", " "), in_words(inside)) for name, inside in value.items()]
        return "; ".join(f"{name} {text}" if named else text for name, text in told)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _card_of(order: Order) -> OrderPaymentCreditCard | None:
    return order.payment.credit_card if order.payment else None


def _card_words(card: OrderPaymentCreditCard | None) -> str | None:
    """Never more than the contract shows: the brand, the last four and the date."""
    if card is None:
        return None
    ending = (card.card_number or "")[-4:]
    return f"{card.card_type or 'card'} {ending}, {card.card_expiration_month or 0:02d}/{card.card_expiration_year}"


# --- rows ------------------------------------------------------------------------------------------------------------


def changed_entry(
    kind: Kind,
    now: Instant,
    actor: str,
    changes: list[TimelineChange],
    *,
    message: str = "",
    reason: str | None = None,
) -> TimelineEntry:
    """The row of a change that somebody made. Without a ``message`` the changes are the message."""
    told = message or "; ".join(_words(change) for change in changes) or "Nothing changed"
    more = len(changes) - MOST_CHANGES
    return TimelineEntry(
        log_dts=now,
        kind=kind,
        actor=actor[:100],
        log_message=_cut(f"{told} (by {actor[:100]})" + (f" and {more} more changes" if more > 0 else "")),
        reason=reason,
        changes=changes[:MOST_CHANGES] or None,
    )


def _words(change: TimelineChange) -> str:
    return f"{change.field}: {change.before or 'nothing'} → {change.after or 'nothing'}"


def decided_entry(
    kind: Kind, now: Instant, message: str, *, run: int, reasons: Iterable[Reason] = (), reason: str | None = None
) -> TimelineEntry:
    """The row of a decision about a period that moved no money."""
    return TimelineEntry(
        log_dts=now,
        kind=kind,
        actor=SYSTEM,
        log_message=_cut(message),
        reason=reason,
        reasons=_shown(kept_reasons(reasons)),
        run=run,
    )


def kept_reasons(reasons: Iterable[Reason]) -> list[dict[str, Any]]:
    """The reasons of a visit that are worth keeping with its charge, as plain values. An ordinary one has none."""
    told = [reason for reason in reasons if reason.code not in ROUTINE]
    return [
        {"code": reason.code, "params": reason.params, **({"setting": reason.setting} if reason.setting else {})}
        for reason in told[:MOST_REASONS]
    ]


def of_order(order: Order) -> TimelineEntry:
    """The row of a paid run, told from its order."""
    total = order.summary.total if order.summary else None
    lines = ", ".join(f"{line.quantity or 1:f} x {line.merchant_item_id}" for line in order.items or [])
    late = ", learnt of late" if order.late else ""
    kind, words = _of_order(order)
    return TimelineEntry(
        log_dts=order.creation_dts or BEGINNING,
        kind=kind,
        actor=SYSTEM,
        log_message=_cut(f"{words} {total or 0:f} {order.currency_code or ''} as {order.order_id}{late}: {lines}"),
        reasons=_shown(order.reasons or []),
        order_id=order.order_id,
        run=order.run,
        total=Decimal(total) if total is not None else None,
        currency_code=order.currency_code,
    )


def _of_order(order: Order) -> tuple[Kind, str]:
    """What the order of a run was made for."""
    first = next(iter(order.current_stage_histories or []), None)
    if order.returned:
        paid = order.payment is not None and order.payment.payment_status == "Processed"
        return "billed", "Billed, came back, and was paid since:" if paid else "Billed, and came back since:"
    if first is not None and first.after_stage == "Accounts Receivable":
        payment = order.payment
        paid = payment is not None and payment.payment_status == "Processed"
        return "receivable", "Handed to Accounts Receivable, paid since:" if paid else "Handed to Accounts Receivable:"
    if not any(line.item_reference_oid for line in order.items or []):
        return "cancel_item", "Billed the cancel item:"
    return "billed", "Billed"


_OF_ATTEMPTS: dict[str, tuple[Kind, str]] = {
    "declined": ("declined", "Declined"),
    "not_sent": ("not_sent", "Could not be sent"),
    "not_charged": ("not_charged", "Closed without a charge"),
    "late_refunded": ("given_back", "Captured a second time"),
}


def of_attempt(row: ClosedAttempt) -> TimelineEntry:
    """The row of a charge that made no order, told from its attempt."""
    kind, words = _OF_ATTEMPTS[row.outcome]
    attempt = row.attempt
    hard = "; this card is not charged again" if row.hard else ""
    return TimelineEntry(
        log_dts=row.closed_dts,
        kind=kind,
        actor=SYSTEM,
        log_message=_cut(f"{words}: {row.reason} ({attempt.plan.rest():f} {attempt.plan.currency}){hard}"),
        reason=row.reason[:1024],
        reasons=_shown(row.reasons),
        run=attempt.run,
        total=attempt.plan.total,
        currency_code=attempt.plan.currency,
    )


def _shown(reasons: Iterable[Mapping[str, Any]]) -> list[TimelineReason] | None:
    return [TimelineReason(**reason) for reason in reasons] or None


def _cut(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 1] + "…"
