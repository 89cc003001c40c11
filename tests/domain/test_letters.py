"""Letters: what stands in each mail, in words that read the same everywhere, and never what the bank said."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.domain import letters, wire
from chalicelib.domain.auto_orders import AutoOrder, AutoOrderItem, AutoOrderItemFutureSchedule
from chalicelib.domain.dates import parse_instant
from chalicelib.domain.heads import Head, ItemProgress, State
from chalicelib.domain.items import Item
from chalicelib.domain.letters import Letter
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import Currency
from chalicelib.domain.orders import (
    Order,
    OrderBilling,
    OrderGiftCertificate,
    OrderItem,
    OrderItemOption,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderShipping,
    OrderSummary,
)
from chalicelib.domain.problems import ShopProblem
from chalicelib.domain.rebills import Rise
from chalicelib.domain.settings import AutoOrderProcessing
from tests.domain.test_mails import HOSTILE, MERCHANT, NO_RULES, mail

URL = "https://shop.example/storefront/cancel?merchant_id=DEMO&token=t"


def update_billing(
    original: Order, merchant: Merchant, settings: AutoOrderProcessing, facts: Mapping[str, str]
) -> Letter:
    return letters.update_billing(original, merchant, settings, facts, URL)


def order(**fields: Any) -> Order:
    base: dict[str, Any] = {
        "order_id": "DEMO-1-002",
        "run": 2,
        "currency_code": "USD",
        "billing": OrderBilling(first_name="Jane", email="jane@example.com"),
        "shipping": OrderShipping(shipping_method="USPS: Priority Mail"),
        "items": [
            OrderItem(
                merchant_item_id="TEA",
                description="Green tea",
                quantity=Decimal("2.000"),
                cost=Currency("9.5"),
                discount=Currency("1"),
                total_cost_with_discount=Currency("18"),
                options=[OrderItemOption(label="Size", value="Large")],
            )
        ],
        "payment": OrderPayment(
            payment_status="Processed",
            # Already the first of February in UTC; the shop's day is the 31st.
            payment_dts=parse_instant("2027-01-31T22:00:00-05:00"),
            credit_card=OrderPaymentCreditCard(card_number="XXXXXXXXXXXX1111", card_type="VISA"),
        ),
        "summary": OrderSummary(
            subtotal=Currency("19"),
            subtotal_discount=Currency("1"),
            shipping_handling_total=Currency("5"),
            shipping_handling_total_discount=Currency("0.5"),
            tax=Currency("1.25"),
            total=Currency("23.75"),
        ),
    }
    return Order(**(base | fields))


def test_a_receipt_adds_up_and_says_what_was_charged_where_and_when() -> None:
    letter = letters.receipt(order(), MERCHANT)
    assert letter.words == {
        "order_id": "DEMO-1-002",
        "total": "$23.75",
        "date": "31 January 2027",
        "rebill": "2",
        "card": "VISA ending in 1111",
        "shipping_method": "USPS: Priority Mail",
    }
    assert [(row.quantity, row.name, row.amount, row.notes) for row in letter.rows] == [
        ("2", "Green tea", "$19.00", ["Size: Large"])
    ]
    assert letter.totals == [
        ("Subtotal", "$19.00"),
        ("Shipping", "$5.00"),
        ("Discount", "-$1.50"),
        ("Tax", "$1.25"),
        ("Total", "$23.75"),
    ]


def test_a_receipt_is_in_the_currency_of_its_order() -> None:
    letter = letters.receipt(order(currency_code="JPY", summary=OrderSummary(total=Currency("2400"))), MERCHANT)
    assert letter.words["total"] == "¥2,400"


def test_a_free_order_has_a_receipt_without_a_card() -> None:
    letter = letters.receipt(order(summary=OrderSummary(subtotal=Currency(0), total=Currency(0))), MERCHANT)
    assert "card" not in letter.words
    assert letter.totals == [("Subtotal", "$0.00"), ("Total", "$0.00")]


def test_a_receipt_says_what_gift_certificate_and_store_credit_paid_and_what_the_card() -> None:
    paid = order(
        gift_certificate=OrderGiftCertificate(gift_certificate_amount=Currency(10)),
        summary=OrderSummary(subtotal=Currency(19), total=Currency(19), internal_gift_certificate_amount=Currency(4)),
        charged=Currency(5),
    )
    assert letters.receipt(paid, MERCHANT).totals[-4:] == [
        ("Total", "$19.00"),
        ("Gift certificate", "-$10.00"),
        ("Store credit", "-$4.00"),
        ("Charged", "$5.00"),
    ]
    assert "card" not in letters.receipt(replace(paid, charged=Currency(0)), MERCHANT).words


def test_a_long_order_is_listed_up_to_a_hundred_lines() -> None:
    letter = letters.receipt(order(items=[OrderItem(description=f"item {number}") for number in range(250)]), MERCHANT)
    assert (len(letter.rows), letter.more_rows) == (100, 150)


def test_an_empty_order_still_has_a_receipt() -> None:
    letter = letters.receipt(Order(order_id="X"), Merchant())
    assert letter.shop == "the shop"
    assert letter.rows == []


@pytest.mark.parametrize("typed", HOSTILE)
def test_typed_texts_never_leave_their_line_in_a_letter(typed: str) -> None:
    letter = letters.receipt(
        order(
            billing=OrderBilling(first_name=typed),
            shipping=OrderShipping(shipping_method=typed),
            items=[OrderItem(description=typed, options=[OrderItemOption(label=typed, value=typed)])],
        ),
        replace(MERCHANT, name=typed, support_email=typed),
    )
    texts = [
        letter.shop,
        letter.first_name,
        letter.support_email,
        *letter.words.values(),
        *(text for row in letter.rows for text in (row.name, row.amount, *row.notes)),
    ]
    assert all(len(text.splitlines()) <= 1 and "\u202e" not in text for text in texts)


@pytest.mark.parametrize("name", ["http://evil.example", "www.evil.example", "evil.example", "a@b.example", "win a/c"])
def test_a_name_that_is_a_link_greets_nobody(name: str) -> None:
    assert letters.receipt(order(billing=OrderBilling(first_name=name)), MERCHANT).first_name == ""


@pytest.mark.parametrize("name", ["Jane", "J. R.", "Jean-Luc", "O'Neil", "שרה"])
def test_a_name_that_is_one_does(name: str) -> None:
    assert letters.receipt(order(billing=OrderBilling(first_name=name)), MERCHANT).first_name == name


def coming(dts: str | None, *, noticed: bool | None = None, **fields: Any) -> AutoOrderItem:
    return AutoOrderItem(
        original_item_id="TEA",
        original_quantity=Decimal(3),
        next_item_id="TEA",
        calculated_next_shipment_dts=parse_instant(dts) if dts else None,
        preshipment_notice_sent=noticed,
        future_schedules=[AutoOrderItemFutureSchedule(unit_cost=Decimal("9.5"))],
        **fields,
    )


ITEMS = {"TEA": Item(merchant_item_id="TEA", description="Green tea")}


def test_a_preshipment_notice_names_the_day_and_what_ships() -> None:
    letter = letters.preshipment_notice(
        AutoOrder(items=[coming("2027-02-28T00:00:00-05:00", noticed=True)]),
        order(),
        MERCHANT,
        ITEMS,
        date(2027, 2, 28),
    )
    assert letter is not None
    assert letter.words == {"day": "28 February 2027", "card": "VISA ending in 1111"}
    assert [(row.quantity, row.name, row.amount, row.notes) for row in letter.rows] == [
        ("3", "Green tea", "$28.50", [])
    ]


def test_it_lists_all_that_ships_that_day_and_what_was_announced_with_it() -> None:
    letter = letters.preshipment_notice(
        AutoOrder(
            items=[
                coming("2027-03-02T00:00:00-05:00", noticed=True),
                coming("2027-02-28T00:00:00-05:00", noticed=True),
                coming("2027-02-28T00:00:00-05:00"),
                coming("2027-03-15T00:00:00-04:00"),
                coming("2027-02-28T00:00:00-05:00", noticed=True, paused=True),
                coming(None),
            ]
        ),
        order(),
        MERCHANT,
        ITEMS,
        date(2027, 2, 28),
    )
    assert letter is not None
    assert [row.notes for row in letter.rows] == [[], [], ["ships on 2 March 2027"]]


def test_it_names_the_new_day_where_the_shipment_was_moved() -> None:
    letter = letters.preshipment_notice(
        AutoOrder(items=[coming("2027-03-05T00:00:00-05:00", noticed=True)]), order(), MERCHANT, {}, date(2027, 2, 28)
    )
    assert letter is not None
    assert letter.words["day"] == "5 March 2027"
    assert letter.rows[0].name == "TEA"


def test_there_is_none_where_nothing_is_coming() -> None:
    nothing = AutoOrder(items=[coming(None), coming("2027-02-28T00:00:00-05:00", noticed=True, paused=True)])
    assert letters.preshipment_notice(nothing, order(), MERCHANT, ITEMS, date(2027, 2, 28)) is None


def test_a_decline_says_which_attempt_it_was_and_when_the_next_is() -> None:
    letter = update_billing(
        order(),
        MERCHANT,
        AutoOrderProcessing(number_of_retries=5),
        {"attempt": "2", "next_attempt": "2027-02-03T00:00:00-05:00", "reason": "43 stolen card, pick up"},
    )
    assert letter.words == {
        "card": "VISA ending in 1111",
        "attempt": "2",
        "attempts": "5",
        "next_attempt": "3 February 2027",
        "update_url": URL,
    }


@pytest.mark.parametrize("reason", ["stolen card", "do not honor", "<b>no</b>"])
def test_the_banks_reason_stays_with_the_merchant(reason: str) -> None:
    for letter in (
        update_billing(order(), MERCHANT, NO_RULES, {"reason": reason}),
        letters.disabled(order(), MERCHANT, {"reason": reason}, URL),
    ):
        assert reason not in wire.kept(letter)


@pytest.mark.parametrize("url", ["http://bank.example/", "javascript:alert(1)", "//bank.example", ""])
def test_a_link_is_shown_only_where_it_is_safe(url: str) -> None:
    assert "url" not in letters.action_needed(order(), MERCHANT, NO_RULES, {"url": url}).words
    safe = letters.action_needed(order(), MERCHANT, NO_RULES, {"url": "https://bank.example/3ds?a=1"})
    assert safe.words["url"] == "https://bank.example/3ds?a=1"


def test_facts_that_say_nothing_are_left_out() -> None:
    words = update_billing(Order(), MERCHANT, NO_RULES, {"attempt": "many", "next_attempt": "soon"}).words
    assert words == {"attempts": "3", "update_url": URL}


def test_a_hold_names_the_auto_order_by_its_code() -> None:
    held = mail("held", facts={"code": "no_shipping_method", "message": "No shipping method is available."})
    letter = letters.held(held, "ABCDEFGHJK", MERCHANT)
    assert letter.words["what"] == "Auto order ABCDEFGHJK"
    assert letter.words["message"] == "No shipping method is available."
    assert "again" not in letter.words
    waits = replace(held, facts=held.facts | {"again": "daily"})
    assert letters.held(waits, None, MERCHANT).words["again"] == "daily"
    assert letters.held(replace(held, about="order#DEMO-1"), None, MERCHANT).words["what"] == "Order DEMO-1"


@given(st.dates(date(2000, 1, 1), date(2200, 12, 31)))
def test_days_read_the_same_everywhere(day: date) -> None:
    number, month, year = letters.day_words(day).split()
    assert (int(number), letters.MONTHS.index(month) + 1, int(year)) == (day.day, day.month, day.year)


# --- shipments -------------------------------------------------------------------------------------------------------


def test_a_shipment_says_what_is_on_its_way_by_which_numbers_and_nothing_of_money() -> None:
    shipping = OrderShipping(
        shipping_method="USPS: Priority Mail",
        shipping_date=parse_instant("2027-02-02T23:30:00-05:00"),
        tracking_numbers=["9400 1", "9400\r\n2"],
    )
    letter = letters.shipment(order(shipping=shipping), MERCHANT)
    assert letter.words == {
        "order_id": "DEMO-1-002",
        "rebill": "2",
        "date": "2 February 2027",
        "shipping_method": "USPS: Priority Mail",
        "tracking_numbers": "9400 1, 9400 2",
    }
    assert [(row.quantity, row.name, row.amount) for row in letter.rows] == [("2", "Green tea", "")]
    assert letter.totals == []


# --- higher prices, cards that end -----------------------------------------------------------------------------------


def rise(**fields: Any) -> Rise:
    base: dict[str, Any] = {
        "oid": 1,
        "occurrence": 2,
        "item_id": "TEA",
        "quantity": Decimal(1),
        "paid": Decimal(1),
        "unit_cost": Decimal("9.5"),
    }
    return Rise(**(base | fields))


def head(billed: int = 1) -> Head:
    return Head(status="active", state=State(items={"1": ItemProgress(anchor=date(2027, 1, 28), billed=billed)}))


def price_notice(*rises: Rise, of: Head | None = None) -> Letter | None:
    facts = {"day": "2027-02-28", "rises": wire.kept(list(rises))}
    return letters.price_notice(of or head(), order(), MERCHANT, ITEMS, facts, URL)


def test_a_higher_price_is_told_with_the_old_one_the_day_and_how_to_cancel() -> None:
    letter = price_notice(rise(paid=Decimal("8.25")))
    assert letter is not None
    assert letter.words == {"day": "28 February 2027", "cancel_url": URL, "card": "VISA ending in 1111"}
    (row,) = letter.rows
    assert (row.quantity, row.name, row.amount, row.notes) == ("1", "Green tea", "$9.50", ["until now $8.25"])


def test_the_end_of_a_trial_is_called_that() -> None:
    letter = price_notice(rise(trial=True))
    assert letter is not None
    assert letter.words["trial"] == "yes"


def test_of_several_the_price_of_each_is_told() -> None:
    letter = price_notice(rise(quantity=Decimal(3)))
    assert letter is not None
    assert (letter.rows[0].quantity, letter.rows[0].amount) == ("3", "$9.50 each")
    assert letter.rows[0].notes == ["until now $1.00 each"]


def test_what_is_billed_already_or_gone_is_not_told_any_more() -> None:
    assert price_notice(rise(), of=head(billed=2)) is None
    assert price_notice(rise(oid=9)) is None
    assert price_notice() is None
    letter = price_notice(rise(), rise(oid=9))
    assert letter is not None
    assert len(letter.rows) == 1


def test_the_end_of_a_card_names_its_month_and_the_next_order() -> None:
    auto_order = AutoOrder(
        items=[coming("2027-02-28T00:00:00-05:00"), coming("2027-02-14T00:00:00-05:00", paused=True)]
    )
    letter = letters.card_expiring(auto_order, order(), MERCHANT, {"month": "2027-03"}, URL)
    assert letter is not None
    assert letter.words == {
        "card": "VISA ending in 1111",
        "month": "March 2027",
        "day": "28 February 2027",
        "update_url": URL,
    }
    assert letters.card_expiring(auto_order, order(), MERCHANT, {"month": "soon"}, URL) is None


# --- the end ---------------------------------------------------------------------------------------------------------


def test_the_second_mail_names_the_order_and_the_next_one() -> None:
    letter = letters.easy_cancel(order(), AutoOrder(items=[coming("2027-02-28T00:00:00-05:00")]), MERCHANT, {}, URL)
    assert letter.words == {"order_id": "DEMO-1-002", "cancel_url": URL, "day": "28 February 2027"}


def test_a_cancellation_names_the_auto_order_and_its_day() -> None:
    ended = AutoOrder(
        auto_order_oid=7, auto_order_code="ABCDEFGHJK", canceled_dts=parse_instant("2027-02-01T04:00:00Z")
    )
    said = {"code": "ABCDEFGHJK", "date": "31 January 2027"}
    assert letters.canceled(ended, head(), order(), MERCHANT).words == said
    owing = Head(status="canceled", state=State(cancel_item="canceled"))
    assert letters.canceled(ended, owing, order(), MERCHANT).words == said | {"last_charge": "yes"}
    assert letters.canceled(AutoOrder(auto_order_oid=7), None, order(), MERCHANT).words == {"code": "7"}


# --- the digest ------------------------------------------------------------------------------------------------------


def problem(
    about: str, code: str, dts: str = "2027-01-31T00:05:00-05:00", message: str = "Please look."
) -> ShopProblem:
    return ShopProblem(dts=parse_instant(dts), about=about, code=code, message=message)


def test_a_digest_counts_the_kinds_and_lists_each_by_the_shops_clock() -> None:
    letter = letters.problem_digest(
        date(2027, 1, 31),
        [
            problem("auto_order#8", "no_shipping_method", "2027-01-31T01:10:00-05:00", ""),
            problem("auto_order#7", "disabled", "2027-01-31T00:05:00-05:00", "Insufficient\nfunds"),
            problem("auto_order#9", "no_shipping_method", "2027-01-31T02:00:00-05:00"),
        ],
        {"auto_order#7": "ABCDEFGHJK"},
        MERCHANT,
    )
    assert letter is not None
    assert letter.words == {"day": "31 January 2027", "count": "3"}
    assert letter.totals == [("No shipping method", "2"), ("Disabled", "1")]
    assert [(row.quantity, row.name, row.notes) for row in letter.rows] == [
        ("00:05", "Auto order ABCDEFGHJK", ["Disabled: Insufficient funds"]),
        ("01:10", "Auto order 8", ["No shipping method"]),
        ("02:00", "Auto order 9", ["No shipping method: Please look."]),
    ]


def test_a_quiet_day_has_no_digest() -> None:
    assert letters.problem_digest(date(2027, 1, 31), [], {}, MERCHANT) is None


def test_a_night_of_thousands_says_that_there_were_more() -> None:
    many = [problem(f"auto_order#{number}", "disabled") for number in range(1000)]
    letter = letters.problem_digest(date(2027, 1, 31), many, {}, MERCHANT, more=True)
    assert letter is not None
    assert letter.words["count"] == "1000 or more"
    assert (len(letter.rows), letter.more_rows) == (100, 900)
