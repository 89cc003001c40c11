"""What stands in a mail: every text on one line, worded for people. A template only lays it out."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.customers import Customer, first_name_of
from chalicelib.domain.dates import Instant, local_date, parse_instant, shown
from chalicelib.domain.events import Template
from chalicelib.domain.heads import Head
from chalicelib.domain.items import Item
from chalicelib.domain.mails import AGAIN, APPROVED, ASKED_FOR, SentMail, one_line
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import ZERO, formatted
from chalicelib.domain.orders import Order, OrderBilling, OrderItem, OrderPaymentCreditCard, OrderSummary
from chalicelib.domain.problems import ShopProblem
from chalicelib.domain.rebills import Rise
from chalicelib.domain.settings import AutoOrderProcessing

# Rows that a mail lists; an order of more says how many there are.
MAXIMUM_ROWS = 100
# The address of a page; a bank's carries a session.
LONGEST_URL = 2000
# What makes mail programs show a link where a name should stand.
_LINK = re.compile(r"[/:@\\]|www\.|\.\w\w", re.IGNORECASE)

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


class Row(msgspec.Struct, kw_only=True, frozen=True):
    """One line of an order, of a shipment or of a list, worded."""

    quantity: str
    name: str
    amount: str
    notes: list[str] = []


class Letter(msgspec.Struct, kw_only=True, frozen=True):
    """What stands in a mail, every text on one line: a template only lays it out."""

    template: Template
    shop: str
    first_name: str = ""
    support_email: str = ""
    words: dict[str, str] = {}
    rows: list[Row] = []
    more_rows: int = 0
    totals: list[tuple[str, str]] = []


class Composed(msgspec.Struct, kw_only=True, frozen=True):
    """A letter laid out; ``html`` None where the shop wants texts only. ``failure``: why the shop's own texts did not
    fit this letter, so that it was laid out by the default ones."""

    subject: str
    text: str
    html: str | None
    failure: str | None = None


# --- about orders -----------------------------------------------------------------------------------------------------


def receipt(order: Order, merchant: Merchant) -> Letter:
    """What was bought and paid. Lines stand at their price, the discount below them, so that the column adds up."""
    currency = order.currency_code or merchant.currency()
    totals = order.summary or OrderSummary()
    paid = order.payment.payment_dts if order.payment else None
    words = {"order_id": order.order_id or "", "total": formatted(totals.total or ZERO, currency)}
    if paid:
        words["date"] = day_words(local_date(paid, merchant.zone_name()))
    if order.run:
        words["rebill"] = str(order.run)
    if order.money():
        words |= _card(order)
    return _letter(
        "receipt",
        order,
        merchant,
        words | _shipping_method(order),
        rows=[_order_row(line, currency) for line in order.items or []],
        totals=_totals(order, currency),
    )


def shipment(order: Order, merchant: Merchant) -> Letter:
    """What is on its way, and the numbers that it can be followed by. Nothing is said of money."""
    shipping = order.shipping
    words = {"order_id": order.order_id or ""} | _shipping_method(order)
    if order.run:
        words["rebill"] = str(order.run)
    if shipping and shipping.shipping_date:
        words["date"] = day_words(local_date(shipping.shipping_date, merchant.zone_name()))
    if numbers := [one_line(number, 50) for number in (shipping.tracking_numbers or [] if shipping else [])]:
        words["tracking_numbers"] = ", ".join(numbers)
    currency = order.currency_code or merchant.currency()
    rows = [replace(_order_row(line, currency), amount="") for line in order.items or []]
    return _letter("shipment", order, merchant, words, rows=rows)


def easy_cancel(
    order: Order, auto_order: AutoOrder, merchant: Merchant, facts: Mapping[str, str], cancel_url: str
) -> Letter:
    """After a rebill's receipt, or asked for: how to have no more of them. ``auto_order`` is put together with its next
    dates."""
    words = {"order_id": order.order_id or "", "cancel_url": one_line(cancel_url, LONGEST_URL)}
    if ASKED_FOR in facts:
        words["asked_for"] = "yes"
    if day := _next_day(auto_order, merchant):
        words["day"] = day_words(day)
    return _letter("easy_cancel", order, merchant, words)


# --- about what comes -------------------------------------------------------------------------------------------------


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
        cost = entry.future_schedules[0].unit_cost if entry.future_schedules else None
        row = Row(
            quantity=number_words(quantity),
            name=_item_name(entry.next_item_id, items),
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
    return _letter("preshipment_notice", original, merchant, {"day": day_words(first)} | _card(original), rows=rows)


def price_notice(
    head: Head,
    original: Order,
    merchant: Merchant,
    items: Mapping[str, Item],
    facts: Mapping[str, str],
    cancel_url: str,
) -> Letter | None:
    """A week before somebody is charged more than last time: the old price, the new one, the date, and how to cancel.
    None where all that the facts name is billed already, or gone."""
    currency = original.currency_code or merchant.currency()
    rises = [rise for rise in wire.load(facts.get("rises", "[]"), list[Rise]) if _still_comes(rise, head)]
    day = read_day(facts.get("day"))
    if not rises or day is None:
        return None
    words = {"day": day_words(day), "cancel_url": one_line(cancel_url, LONGEST_URL)} | _card(original)
    if any(rise.trial for rise in rises):
        words["trial"] = "yes"
    return _letter("price_notice", original, merchant, words, rows=[_risen(rise, items, currency) for rise in rises])


def _still_comes(rise: Rise, head: Head) -> bool:
    progress = head.state.items.get(str(rise.oid))
    return progress is not None and progress.billed < rise.occurrence


def _risen(rise: Rise, items: Mapping[str, Item], currency: str) -> Row:
    each = "" if rise.quantity == 1 else " each"
    return Row(
        quantity=number_words(rise.quantity),
        name=_item_name(rise.item_id, items),
        amount=f"{formatted(rise.unit_cost, currency)}{each}",
        notes=[f"until now {formatted(rise.paid, currency)}{each}"],
    )


def card_expiring(
    auto_order: AutoOrder, original: Order, merchant: Merchant, facts: Mapping[str, str], update_url: str
) -> Letter | None:
    """The card will not do for much longer. None where the facts name no month."""
    last = read_day(f"{facts.get('month', '')}-01")
    if last is None:
        return None
    words = {"month": f"{MONTHS[last.month - 1]} {last.year}", "update_url": one_line(update_url, LONGEST_URL)}
    if day := _next_day(auto_order, merchant):
        words["day"] = day_words(day)
    return _letter("card_expiring", original, merchant, {"card": "card"} | words | _card(original))


# --- about payments that failed, and the end --------------------------------------------------------------------------


def action_needed(
    original: Order, merchant: Merchant, settings: AutoOrderProcessing, facts: Mapping[str, str]
) -> Letter:
    """The bank wants to see its customer: where, and when it is tried again."""
    words = _attempts(original, merchant, settings, facts)
    if (url := one_line(facts.get("url"), LONGEST_URL)).startswith("https://"):
        words["url"] = url
    return _letter("action_needed", original, merchant, words)


def update_billing(
    original: Order, merchant: Merchant, settings: AutoOrderProcessing, facts: Mapping[str, str], update_url: str
) -> Letter:
    """A payment was declined. The bank's own words stay with the merchant: a stolen card must not warn the thief."""
    words = _attempts(original, merchant, settings, facts) | {"update_url": one_line(update_url, LONGEST_URL)}
    return _letter("update_billing", original, merchant, words)


def disabled(original: Order, merchant: Merchant, facts: Mapping[str, str], update_url: str) -> Letter:
    """No more attempts will be made."""
    words = _card(original) | {"update_url": one_line(update_url, LONGEST_URL)}
    if facts.get("attempt", "").isdecimal():
        words["attempt"] = facts["attempt"]
    return _letter("disabled", original, merchant, words)


def canceled(auto_order: AutoOrder, head: Head | None, original: Order, merchant: Merchant) -> Letter:
    """Nothing more comes, but for a cancel item that is owed: what the customer keeps for his records."""
    words = {"code": one_line(auto_order.auto_order_code) or str(auto_order.auto_order_oid or "")}
    if head is not None and head.state.cancel_item:
        words["last_charge"] = "yes"
    if auto_order.canceled_dts:
        words["date"] = day_words(local_date(auto_order.canceled_dts, merchant.zone_name()))
    return _letter("canceled", original, merchant, words)


def _attempts(
    original: Order, merchant: Merchant, settings: AutoOrderProcessing, facts: Mapping[str, str]
) -> dict[str, str]:
    words = _card(original) | {"attempts": str(settings.retries())}
    if facts.get("attempt", "").isdecimal():
        words["attempt"] = facts["attempt"]
    if next_attempt := _day_of(facts.get("next_attempt"), merchant):
        words["next_attempt"] = next_attempt
    return words


# --- about profiles ---------------------------------------------------------------------------------------------------


def signup(
    customer: Customer, merchant: Merchant, facts: Mapping[str, str], password_url: str | None, until: date
) -> Letter:
    """A profile was made, or approved. ``password_url`` where it has no password yet."""
    words = {"email": one_line(customer.email)}
    if customer.unapproved:
        words["unapproved"] = "yes"
    elif APPROVED in facts:
        words["approved"] = "yes"
    if password_url:
        words |= {"password_url": one_line(password_url, LONGEST_URL), "until": day_words(until)}
    return _letter("signup", named(customer), merchant, words)


def set_password(
    customer: Customer, merchant: Merchant, facts: Mapping[str, str], password_url: str, until: date
) -> Letter:
    """Where to set a password, and until when."""
    words = {
        "email": one_line(customer.email),
        "password_url": one_line(password_url, LONGEST_URL),
        "until": day_words(until),
    }
    if ASKED_FOR in facts:
        words["asked_for"] = "yes"
    return _letter("set_password", named(customer), merchant, words)


def my_account(order: Order, merchant: Merchant, url: str, until: date) -> Letter:
    """Where a customer finds all that he has at the shop. ``order``: whom it greets."""
    return _letter("my_account", order, merchant, {"url": one_line(url, LONGEST_URL), "until": day_words(until)})


def named(customer: Customer) -> Order:
    """An order of his, for the greeting."""
    return Order(billing=OrderBilling(first_name=first_name_of(customer)))


# --- to the merchant --------------------------------------------------------------------------------------------------


def held(mail: SentMail, code: str | None, merchant: Merchant) -> Letter:
    """To the merchant: something must be mended, or decided on. ``code``: the auto order's own, where it is one."""
    words = {
        "what": _what(mail.about, {mail.about: code or ""}),
        "message": one_line(mail.facts.get("message")) or "It cannot be billed.",
        "code": one_line(mail.facts.get("code")),
    }
    if AGAIN in mail.facts:
        words["again"] = mail.facts[AGAIN]
    return _letter("held", Order(), merchant, words)


def problem_digest(
    day: date, problems: Sequence[ShopProblem], codes: Mapping[str, str], merchant: Merchant, *, more: bool = False
) -> Letter | None:
    """To the merchant: all of a day's problems, how many of a kind, and each. ``codes`` are auto orders' own codes by
    the key of the noun; ``more``: there were more than these. None where there is none."""
    if not problems:
        return None
    counted = Counter(problem.code for problem in problems)
    rows = [
        Row(
            quantity=shown(problem.dts, merchant.zone_name())[11:16],
            name=_what(problem.about, codes),
            amount="",
            notes=[f"{code_words(problem.code)}: {one_line(problem.message)}".removesuffix(": ")],
        )
        for problem in sorted(problems, key=lambda one: one.dts)
    ]
    words = {"day": day_words(day), "count": f"{len(problems)}{' or more' if more else ''}"}
    totals = [(code_words(code), str(count)) for code, count in counted.most_common()]
    return _letter("problem_digest", Order(), merchant, words, rows=rows, totals=totals)


def _what(about: str, codes: Mapping[str, str]) -> str:
    kind, _, name = about.partition("#")
    called = one_line(codes.get(about)) or one_line(name)
    return f"{kind.replace('_', ' ').capitalize()} {called}".strip()


def code_words(code: str) -> str:
    """``no_shipping_method`` as people say it."""
    return one_line(code).replace("_", " ").capitalize()


# --- putting a letter together ----------------------------------------------------------------------------------------


def _letter(
    template: Template,
    order: Order,
    merchant: Merchant,
    words: dict[str, str],
    *,
    rows: Iterable[Row] = (),
    totals: Iterable[tuple[str, str]] = (),
) -> Letter:
    listed = list(rows)
    return Letter(
        template=template,
        shop=_shop(merchant),
        first_name=_first_name(order),
        support_email=one_line(merchant.support_email),
        words=words,
        rows=listed[:MAXIMUM_ROWS],
        more_rows=max(0, len(listed) - MAXIMUM_ROWS),
        totals=list(totals),
    )


def _shop(merchant: Merchant) -> str:
    return one_line(merchant.name) or one_line(merchant.merchant_id) or "the shop"


def _first_name(order: Order) -> str:
    """For the greeting; none where it looks like a link, for strangers' profiles must not make us send one."""
    name = one_line(order.billing.first_name if order.billing else "", 30)
    return "" if _LINK.search(name) else name


def _order_row(line: OrderItem, currency: str) -> Row:
    quantity = line.quantity or Decimal(1)
    options = [f"{one_line(option.label, 50)}: {one_line(option.value, 100)}" for option in line.options or []]
    return Row(
        quantity=number_words(quantity),
        name=one_line(line.description) or one_line(line.merchant_item_id),
        amount=formatted((line.cost or ZERO) * quantity, currency),
        notes=options,
    )


def _totals(order: Order, currency: str) -> list[tuple[str, str]]:
    totals = order.summary or OrderSummary()
    discount = (totals.subtotal_discount or ZERO) + (totals.shipping_handling_total_discount or ZERO)
    parts = [
        ("Subtotal", totals.subtotal or ZERO, True),
        ("Shipping", totals.shipping_handling_total or ZERO, totals.shipping_handling_total is not None),
        ("Discount", -discount, bool(discount)),
        ("Tax", totals.tax or ZERO, bool(totals.tax)),
        ("Total", totals.total or ZERO, True),
        ("Gift certificate", -order.certificate_amount(), order.certificate_amount() > 0),
        ("Store credit", -order.store_credit(), order.store_credit() > 0),
        ("Charged", order.money(), order.charged is not None),
    ]
    return [(label, formatted(amount, currency)) for label, amount, shows in parts if shows]


def _item_name(item_id: str | None, items: Mapping[str, Item]) -> str:
    item = items.get(item_id or "")
    return one_line(item.description if item else None) or one_line(item_id)


def _next_day(auto_order: AutoOrder, merchant: Merchant) -> date | None:
    """The local day on which anything of it is billed next."""
    coming: list[Instant] = [
        entry.calculated_next_shipment_dts
        for entry in auto_order.items or []
        if not entry.paused and entry.calculated_next_shipment_dts is not None
    ]
    return local_date(min(coming), merchant.zone_name()) if coming else None


def _shipping_method(order: Order) -> dict[str, str]:
    method = one_line(order.shipping.shipping_method if order.shipping else None)
    return {"shipping_method": method} if method else {}


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


def read_day(text: str | None) -> date | None:
    """The day that a fact names; None where it names none."""
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def _day_of(text: str | None, merchant: Merchant) -> str:
    try:
        return day_words(local_date(parse_instant(text or ""), merchant.zone_name()))
    except ValueError:
        return ""
