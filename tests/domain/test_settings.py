"""Each rule of auto order processing that the plan obeys: off, on, at its edge, and told with its name."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain.coupons import Coupon, CouponPercentOffSubtotal
from chalicelib.domain.dates import Instant, later, parse_instant
from chalicelib.domain.items import ItemPhysical, Weight
from chalicelib.domain.made_orders import rebill_order
from chalicelib.domain.orders import (
    OrderCheckout,
    OrderCoupon,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderShipping,
)
from chalicelib.domain.payments import Declined
from chalicelib.domain.rebills import Facts, Fail, Go, plan, settle
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.shipping import ShippingMethod, ShippingSettings
from tests.domain.test_rebills import NOW, approval, attempt_of, facts, item, row

BRANDS = {
    "restrict_american_express": "AMEX",
    "restrict_diners_club": "Diners Club",
    "restrict_discover": "Discover",
    "restrict_jcb": "JCB",
    "restrict_mastercard": "MasterCard",
    "restrict_visa": "VISA",
}


def under(of: Facts | None = None, **rules: Any) -> Facts:
    return replace(of or facts(), settings=AutoOrderProcessing(**rules))


def with_card(of: Facts, **card: Any) -> Facts:
    payment = of.original.payment or OrderPayment()
    standing = payment.credit_card or OrderPaymentCreditCard()
    return replace(of, original=replace(of.original, payment=replace(payment, credit_card=replace(standing, **card))))


def settings_told(of: Facts, now: Instant = NOW) -> list[str]:
    return [reason.setting for reason in plan(of, now).reasons if reason.setting]


def goes(of: Facts, now: Instant = NOW) -> Go:
    decision = plan(of, now).decision
    assert isinstance(decision, Go), decision
    return decision


@pytest.mark.parametrize(("setting", "brand"), BRANDS.items())
def test_a_restricted_brand_fails_its_rebills_and_no_other_brand_does(setting: str, brand: str) -> None:
    for one in BRANDS.values():
        of = with_card(under(**{setting: True}), card_type=one)
        decision = plan(of, NOW).decision
        if one == brand:
            assert isinstance(decision, Fail)
            assert (decision.code, settings_told(of)[-1]) == ("card_type_restricted", setting)
        else:
            assert isinstance(decision, Go)
    assert isinstance(plan(with_card(under(), card_type=brand), NOW).decision, Go)


@pytest.mark.parametrize(("months", "good"), [(None, True), (0, True), (1, True), (2, False), (12, False)])
def test_a_card_must_be_good_for_the_months_that_are_asked_for(months: int | None, good: bool) -> None:
    """The card's last month is the one after this."""
    last = later(NOW, days=31)
    of = with_card(
        under(prohibit_credit_cards_that_expire_in_months=months),
        card_expiration_year=last.year,
        card_expiration_month=last.month,
    )
    assert isinstance(plan(of, NOW).decision, Go if good else Fail)
    assert ("prohibit_credit_cards_that_expire_in_months" in settings_told(of)) is not good


def test_an_expired_card_fails_under_any_setting() -> None:
    gone = parse_instant("2026-12-01T00:00:00Z")
    of = with_card(under(), card_expiration_year=gone.year, card_expiration_month=gone.month)
    assert isinstance(plan(of, NOW).decision, Fail)


def coupon(**more: Any) -> Coupon:
    return Coupon(
        merchant_code="OFF", percent_off_subtotal=CouponPercentOffSubtotal(discount_percent=Decimal(50)), **more
    )


def with_coupon(one: Coupon, **rules: Any) -> Facts:
    of = replace(under(**rules), coupons=[one])
    return replace(of, original=replace(of.original, coupons=[OrderCoupon(coupon_code="OFF")]))


def test_coupons_of_the_original_order_hold_on_rebills_unless_they_are_skipped() -> None:
    full = goes(under()).plan.total
    assert goes(with_coupon(coupon())).plan.discount > 0
    skipped = with_coupon(coupon(), skip_coupons_from_original_order=True)
    assert goes(skipped).plan.total == full
    assert "skip_coupons_from_original_order" in settings_told(skipped)


def test_an_expired_coupon_holds_on_rebills_only_where_the_merchant_ignores_its_end() -> None:
    over = coupon(expiration_dts=later(NOW, days=-1))
    assert goes(with_coupon(over)).plan.discount == 0
    ignored = with_coupon(over, ignore_coupon_expiration=True)
    assert goes(ignored).plan.discount > 0
    assert "ignore_coupon_expiration" in settings_told(ignored)
    running = with_coupon(coupon(expiration_dts=later(NOW, days=1)), ignore_coupon_expiration=True)
    assert "ignore_coupon_expiration" not in settings_told(running)


def test_custom_fields_travel_to_the_rebills_only_where_they_are_propagated() -> None:
    for propagate in (True, None):
        of = under(propagate_custom_fields=propagate)
        of = replace(of, original=replace(of.original, checkout=OrderCheckout(custom_field1="gift", comments="hi")))
        attempt = attempt_of(of)
        checkout = rebill_order(of, attempt, approval(attempt), NOW, late=False).checkout
        assert checkout == (OrderCheckout(custom_field1="gift") if propagate else None)


@pytest.mark.parametrize(("retries", "declines"), [(None, 3), (1, 1), (2, 2)])
def test_so_many_declines_disable_and_the_last_attempt_is_told_before_it_is_made(
    retries: int | None, declines: int
) -> None:
    of = under(number_of_retries=retries)
    for number in range(1, declines + 1):
        now = max(NOW, of.head.due_dts or NOW)
        assert ("number_of_retries" in settings_told(of, now)) is (number == declines)
        settled = settle(replace(of, head=of.head), attempt_of(of, now), Declined(code="05", reason="no"), now)
        assert settled.disabled is (number == declines)
        of = replace(of, head=settled.head)


@pytest.mark.parametrize(("days", "waits"), [(None, 3), (1, 1), (10, 10)])
def test_a_retry_waits_so_many_days(days: int | None, waits: int) -> None:
    of = under(delay_between_retries_days=days)
    of = replace(of, head=settle(of, attempt_of(of), Declined(code="05", reason="no"), NOW).head)
    assert of.head.state.next_attempt is not None
    assert (of.head.state.next_attempt - NOW).days in (waits - 1, waits)
    assert settings_told(of, later(NOW, hours=1)) == ["delay_between_retries_days"]


METHODS = ShippingSettings(
    methods=[
        ShippingMethod(shipping_method="Dear", per_order=Decimal("9.00")),
        ShippingMethod(shipping_method="Cheap", per_order=Decimal("2.00")),
    ]
)


def test_the_lowest_cost_method_is_taken_where_the_merchant_wants_it_else_that_of_the_original_order() -> None:
    heavy = item("COFFEE")
    heavy.physical = ItemPhysical(weight=Weight(uom="LB", value=Decimal(1)))
    shipping = OrderShipping(country_code="US", shipping_method="Dear")
    of = facts(row(), items={"COFFEE": heavy})
    of = replace(of, shipping=METHODS, original=replace(of.original, shipping=shipping))
    assert goes(under(of)).plan.shipping_method == "Dear"
    lowest = under(of, ship_via_lowest_cost_method=True)
    assert (goes(lowest).plan.shipping_method, goes(lowest).plan.shipping) == ("Cheap", Decimal("2.00"))
    assert "ship_via_lowest_cost_method" in settings_told(lowest)
