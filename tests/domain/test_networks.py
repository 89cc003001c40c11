"""What the networks forbid: whoever sets what, a card is not tried again past it."""

from datetime import timedelta
from decimal import Decimal

import pytest

from chalicelib.domain.dates import Instant, instant, parse_instant
from chalicelib.domain.networks import CardDecline, allowed_from, never_again
from chalicelib.domain.orders import OrderPayment, OrderPaymentCreditCard
from chalicelib.domain.payments import Declined

NOW = parse_instant("2027-03-31T12:00:00Z")
AMOUNT = Decimal("17.95")


def ago(**span: float) -> Instant:
    return instant(NOW - timedelta(**span))


def declines(count: int, *, hours: float, amount: Decimal = AMOUNT) -> list[CardDecline]:
    return [CardDecline(dts=ago(hours=hours + n / 100), amount=amount) for n in range(count)]


@pytest.mark.parametrize(
    ("card_type", "code", "advice", "never"),
    [
        *(
            ("VISA", code, "", True)
            for code in ("04", "07", "12", "14", "15", "41", "43", "46", "57", "R0", "R1", "R3")
        ),
        ("VISA", "51", "", False),
        ("VISA", "05", "03", False),
        ("MasterCard", "41", "", False),
        ("MasterCard", "05", "03", True),
        ("MasterCard", "05", "21", True),
        ("MasterCard", "05", "02", False),
        ("AMEX", "41", "", False),
    ],
)
def test_visas_category_1_and_mastercards_03_and_21_are_never_tried_again(
    card_type: str, code: str, advice: str, never: bool
) -> None:
    payment = OrderPayment(credit_card=OrderPaymentCreditCard(card_type=card_type))  # type: ignore[arg-type]
    assert never_again(payment, Declined(code=code, reason="no", advice=advice)) is never


def test_what_the_gateway_calls_hard_is_hard_for_every_brand() -> None:
    assert never_again(None, Declined(code="stolen_card", reason="no", hard=True))


def test_a_visa_card_is_tried_15_times_in_30_days_for_one_amount() -> None:
    assert allowed_from("VISA", AMOUNT, declines(14, hours=1), NOW) is None
    assert allowed_from("VISA", AMOUNT, declines(15, hours=1), NOW) == ago(hours=1 + 0.14 - 30 * 24)
    assert allowed_from("VISA", Decimal("5.00"), declines(15, hours=1), NOW) is None
    assert allowed_from("VISA", AMOUNT, declines(15, hours=30 * 24), NOW) is None


def test_a_mastercard_is_tried_10_times_a_day_and_35_times_in_30_days_whatever_the_amount() -> None:
    small = declines(9, hours=1, amount=Decimal("1.00"))
    assert allowed_from("MasterCard", AMOUNT, small, NOW) is None
    assert allowed_from("MasterCard", AMOUNT, declines(10, hours=1), NOW) == ago(hours=1 + 0.09 - 24)
    assert allowed_from("MasterCard", AMOUNT, declines(35, hours=48), NOW) == ago(hours=48 + 0.34 - 30 * 24)
    assert allowed_from("MasterCard", AMOUNT, declines(34, hours=48), NOW) is None


def test_other_brands_have_no_published_ceiling() -> None:
    assert allowed_from("AMEX", AMOUNT, declines(35, hours=1), NOW) is None
    assert allowed_from(None, AMOUNT, declines(35, hours=1), NOW) is None
