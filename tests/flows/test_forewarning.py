"""What a customer is told ahead: a higher price a week before it is charged, the end of his card in its last months;
each once."""

from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain import wire
from chalicelib.domain.coupons import Coupon, CouponPercentOffSubtotal
from chalicelib.domain.dates import local_date, parse_instant
from chalicelib.domain.items import ItemAutoOrder, ItemAutoOrderStep, ItemPricing
from chalicelib.domain.mails import SentMail
from chalicelib.domain.orders import OrderCoupon
from chalicelib.domain.rebills import Rise
from chalicelib.flows import edit, explain, place_order
from tests.worlds import NEW_YORK, World


def step(item_id: str, schedule: Any = "Monthly", **fields: Any) -> ItemAutoOrderStep:
    return ItemAutoOrderStep(type="item", recurring_merchant_item_id=item_id, schedule=schedule, **fields)


def trial(world: World, *steps: ItemAutoOrderStep, cost: str = "1.00") -> int:
    world.sell("TRIAL", cost, ItemAutoOrder(auto_order_upsell=True, steps=list(steps)))
    return world.subscribe({"TRIAL": None})


def told(world: World, oid: int, template: str = "price_notice") -> list[SentMail]:
    return [mail for mail in world.shop.mails.of(f"auto_order#{oid}") if mail.template == template]


def days(world: World, oid: int, template: str = "price_notice") -> list[str]:
    """The local days on which a notice was planned."""
    return [local_date(mail.created_dts, NEW_YORK).isoformat() for mail in told(world, oid, template)]


def rises(mail: SentMail) -> list[tuple[str, Decimal, Decimal, bool]]:
    return [(one.item_id, one.paid, one.unit_cost, one.trial) for one in wire.load(mail.facts["rises"], list[Rise])]


def price(world: World, item_id: str, **pricing: Any) -> None:
    kept = world.shop.items.get(item_id)
    kept.noun.pricing = ItemPricing(**pricing)
    world.shop.write(world.shop.items.replaced(item_id, kept.noun, kept.version))


def codes(world: World, oid: int, at: str) -> list[str]:
    return [one["code"] for one in explain.explained(world.shop, oid, parse_instant(at))["reasons"]]


# --- when a higher price is told -------------------------------------------------------------------------------------


def test_the_first_charge_after_a_trial_is_told_a_week_ahead_and_once() -> None:
    world = World().open()
    oid = trial(world, step("COFFEE"))
    world.travel(100, twice=True)
    assert world.rebill_days(oid) == ["2027-02-28", "2027-03-31", "2027-04-30"]
    assert days(world, oid) == ["2027-02-21"]
    (mail,) = told(world, oid)
    assert mail.facts["day"] == "2027-02-28"
    assert rises(mail) == [("COFFEE", Decimal(1), Decimal("17.95"), True)]
    world.check(oid)


def test_a_free_trial_is_one_too() -> None:
    world = World().open()
    oid = trial(world, step("COFFEE"), cost="0.00")
    world.travel(30)
    assert [rises(mail) for mail in told(world, oid)] == [[("COFFEE", Decimal(0), Decimal("17.95"), True)]]


def test_each_step_that_costs_more_is_told_and_one_that_costs_less_is_not() -> None:
    world = World().open()
    oid = trial(
        world,
        step("TEA", repeat_count=1),
        step("COFFEE", repeat_count=1),
        step("TEA", repeat_count=1),
        step("TEA", arbitrary_unit_cost=Decimal(12)),
    )
    world.travel(130)
    assert len(world.rebill_days(oid)) == 4
    assert [rises(mail)[0][1:] for mail in told(world, oid)] == [
        (Decimal(1), Decimal("9.50"), True),
        (Decimal("9.50"), Decimal("17.95"), False),
        (Decimal("9.50"), Decimal(12), False),
    ]


def test_a_price_that_the_catalogue_raised_is_told_before_the_next_charge_and_once() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Monthly"})
    world.travel(35)
    assert told(world, oid) == []
    price(world, "COFFEE", cost=Decimal(20))
    world.travel(60)
    assert days(world, oid) == ["2027-03-24"]
    assert rises(told(world, oid)[0]) == [("COFFEE", Decimal("17.95"), Decimal(20), False)]


def test_a_price_that_fell_or_stayed_is_not_told() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Monthly"})
    world.travel(35)
    price(world, "COFFEE", cost=Decimal(15))
    world.travel(60)
    assert told(world, oid) == []


def test_the_end_of_an_override_is_told() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Monthly"})
    entry = wire.plain((world.document(oid).items or [])[0])
    entry |= {"arbitrary_unit_cost": Decimal(10), "arbitrary_unit_cost_remaining_orders": 2}
    edit.update(world.shop, oid, {"items": [entry]})
    world.travel(100)
    assert world.rebill_days(oid) == ["2027-02-28", "2027-03-31", "2027-04-30"]
    assert days(world, oid) == ["2027-04-23"]
    assert rises(told(world, oid)[0]) == [("COFFEE", Decimal(10), Decimal("17.95"), False)]


def test_the_end_of_a_sale_is_told_by_the_price_of_the_day_that_comes() -> None:
    world = World().open()
    ends = parse_instant("2027-02-25T00:00:00-05:00")
    price(world, "COFFEE", cost=Decimal("17.95"), sale_cost=Decimal(5), sale_end=ends)
    oid = world.subscribe({"COFFEE": "Monthly"})
    world.travel(40)
    assert days(world, oid) == ["2027-02-21"]
    assert rises(told(world, oid)[0]) == [("COFFEE", Decimal(5), Decimal("17.95"), True)]


@pytest.mark.parametrize("skipped", [True, False])
def test_a_coupon_of_the_first_order_that_rebills_do_not_carry_makes_it_a_trial(skipped: bool) -> None:
    world = World().open(skip_coupons_from_original_order=skipped)
    off = Coupon(merchant_code="HALF", percent_off_subtotal=CouponPercentOffSubtotal(discount_percent=Decimal(50)))
    world.shop.write(world.shop.coupons.inserted("HALF", off))
    order_id = world.order({"COFFEE": "Monthly"}, coupons=[OrderCoupon(coupon_code="HALF")])
    oid = world.shop.auto_orders.oid_by_original_order(order_id)
    assert oid is not None
    world.travel(40)
    found = [rises(mail) for mail in told(world, oid)]
    assert found == ([[("COFFEE", Decimal("8.97"), Decimal("17.95"), True)]] if skipped else [])


def test_what_is_billed_each_week_is_told_as_soon_as_the_week_before_begins() -> None:
    world = World().open()
    oid = trial(world, step("TEA", "Weekly", repeat_count=1), step("COFFEE", "Weekly"))
    world.travel(15)
    assert world.rebill_days(oid) == ["2027-02-07", "2027-02-14"]
    assert days(world, oid) == ["2027-01-31", "2027-02-07"]


def test_two_items_that_rise_on_one_day_are_one_notice_and_on_two_days_two() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Monthly", "TEA": "Monthly"})
    world.travel(35)
    price(world, "COFFEE", cost=Decimal(20))
    price(world, "TEA", cost=Decimal(10))
    world.travel(35)
    (mail,) = told(world, oid)
    assert [name for name, *_ in rises(mail)] == ["COFFEE", "TEA"]
    other = World().open()
    both = other.subscribe({"COFFEE": "Monthly", "TEA": "Every 2 Months"})
    price(other, "COFFEE", cost=Decimal(20))
    price(other, "TEA", cost=Decimal(10))
    other.travel(65)
    assert days(other, both) == ["2027-02-21", "2027-03-24"]


def test_what_is_paused_or_canceled_is_told_nothing() -> None:
    world = World().open()
    paused, canceled = trial(world, step("COFFEE")), world.subscribe({"TEA": "Monthly"})
    price(world, "TEA", cost=Decimal(20))
    edit.pause(world.shop, paused)
    edit.cancel(world.shop, canceled, by="ada@example.com")
    world.travel(60)
    assert told(world, paused) == told(world, canceled) == []


def test_a_price_that_was_raised_too_late_is_billed_and_explain_says_that_nobody_was_told() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Monthly"})
    world.travel(25)
    price(world, "COFFEE", cost=Decimal(20))
    assert "higher_price_not_told" in codes(world, oid, "2027-02-28T00:00:00-05:00")
    world.travel(10)
    assert (world.rebill_days(oid), told(world, oid)) == (["2027-02-28"], [])


def test_what_only_comes_along_makes_no_price_higher() -> None:
    world = World().open()
    world.sell("GIFT", "50.00")
    oid = world.subscribe({"COFFEE": "Monthly"})
    entry = wire.plain((world.document(oid).items or [])[0])
    edit.update(world.shop, oid, {"items": [entry | {"add_ons": [{"item_id": "GIFT", "next_x_orders": 1}]}]})
    assert "higher_price_not_told" not in codes(world, oid, "2027-02-28T00:00:00-05:00")
    world.travel(65)
    assert [len(order.items or []) for order in world.rebills(oid)] == [2, 1]
    assert told(world, oid) == []


def test_explain_says_that_a_notice_is_due_and_after_it_nothing_is_left_to_tell() -> None:
    world = World().open()
    oid = trial(world, step("COFFEE"))
    assert "price_notice_due" in codes(world, oid, "2027-02-21T00:00:00-05:00")
    assert "price_notice_due" not in codes(world, oid, "2027-02-20T23:59:59-05:00")
    world.travel(25)
    assert "price_notice_due" not in codes(world, oid, "2027-02-25T12:00:00-05:00")
    assert "higher_price_not_told" not in codes(world, oid, "2027-02-28T00:00:00-05:00")


def test_a_notice_beside_a_preshipment_notice_is_told_beside_it() -> None:
    world = World().open()
    oid = trial(world, step("COFFEE", preshipment_notice_days=7))
    world.travel(30)
    assert days(world, oid) == days(world, oid, "preshipment_notice") == ["2027-02-21"]


def test_a_rehearsal_goes_through_the_notices_and_bills_the_same() -> None:
    world = World().open()
    oid = trial(world, step("COFFEE"))
    said = explain.rehearsed(world.shop, world.backroom, parse_instant("2027-05-11T15:00:00-04:00"))
    world.travel(100)
    assert said["number_of_orders"] == len(world.rebills(oid)) == 3


# --- the end of a card -----------------------------------------------------------------------------------------------


def with_card(world: World, month: int, year: int) -> int:
    token = place_order.card_token(world.shop, "4111111111111111", month, year)[0]
    world.card = lambda number="": token  # type: ignore[method-assign,assignment]
    return world.subscribe()


def test_the_end_of_a_card_is_told_in_the_month_before_its_last_and_in_its_last_once_each() -> None:
    world = World().open()
    oid = with_card(world, 3, 2027)
    world.travel(85, twice=True)
    assert days(world, oid, "card_expiring") == ["2027-02-01", "2027-03-01"]
    assert {mail.facts["month"] for mail in told(world, oid, "card_expiring")} == {"2027-03"}


def test_a_card_must_be_good_for_longer_where_the_merchant_asks_for_that_and_its_end_is_told_earlier() -> None:
    world = World().open(prohibit_credit_cards_that_expire_in_months=2)
    oid = with_card(world, 5, 2027)
    world.travel(85)
    assert days(world, oid, "card_expiring") == ["2027-02-01", "2027-03-01"]
    assert "card_notice_due" not in codes(world, oid, "2027-03-05T00:00:00-05:00")


def test_a_card_that_lasts_and_one_that_nothing_is_charged_to_any_more_are_not_spoken_of() -> None:
    world = World().open()
    lasting = with_card(world, 12, 2040)
    ending = with_card(world, 3, 2027)
    entry = wire.plain((world.document(ending).items or [])[0])
    edit.update(world.shop, ending, {"items": [entry | {"no_order_after_dts": "2027-03-31T12:00:00-04:00"}]})
    world.travel(85)
    assert told(world, lasting, "card_expiring") == told(world, ending, "card_expiring") == []


def test_a_card_that_comes_in_its_last_month_is_told_at_once() -> None:
    world = World().open()
    oid = with_card(world, 2, 2027)
    assert "card_notice_due" in codes(world, oid, "2027-01-31T15:00:00-05:00")
    world.work()
    assert days(world, oid, "card_expiring") == ["2027-01-31"]
    world.travel(27)
    assert days(world, oid, "card_expiring") == ["2027-01-31", "2027-02-01"]
