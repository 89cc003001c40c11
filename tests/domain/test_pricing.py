"""What an order costs, to the last coin, and why."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.coupons import (
    Coupon,
    CouponAmountOffItems,
    CouponAmountOffSubtotal,
    CouponFreeShipping,
    CouponPercentOffItems,
    CouponPercentOffSubtotal,
)
from chalicelib.domain.dates import later, parse_instant
from chalicelib.domain.items import (
    Item,
    ItemPhysical,
    ItemRestriction,
    ItemShipping,
    ItemTag,
    ItemTags,
    ItemTax,
    Weight,
)
from chalicelib.domain.money import EXPONENTS, ZERO, quantise, total_of
from chalicelib.domain.orders import OrderBilling, OrderShipping
from chalicelib.domain.payments import FrozenPlan
from chalicelib.domain.pricing import Line, Note, Priced, Tables, Unpriceable, price
from chalicelib.domain.pricing_tiers import CustomerTerms
from chalicelib.domain.shipping import ShippingMethod, ShippingSettings, WeightStep
from chalicelib.domain.taxes import TaxRate, TaxSettings

NOW = parse_instant("2027-03-01T12:00:00Z")
HOME = OrderShipping(country_code="US", state_region="NY", postal_code="10001")


def item(item_id: str = "TEA", pounds: str = "1", **blocks: Any) -> Item:
    weight = ItemPhysical(weight=Weight(uom="LB", value=Decimal(pounds))) if Decimal(pounds) else None
    return Item(merchant_item_id=item_id, physical=weight, **blocks)


def line(unit_cost: str = "10", quantity: str = "1", of: Item | None = None, **fields: Any) -> Line:
    return Line(item=of or item(), quantity=Decimal(quantity), unit_cost=Decimal(unit_cost), **fields)


def method(name: str, per_order: str, **fields: Any) -> ShippingMethod:
    return ShippingMethod(shipping_method=name, per_order=Decimal(per_order), **fields)


POST = method("Post", "5")
AIR = method("Air", "12")
NEW_YORK = TaxRate(country_code="US", state_region="NY", rate=Decimal(10))


def percent(value: int | str, code: str = "SAVE", **fields: Any) -> Coupon:
    return Coupon(
        merchant_code=code, percent_off_subtotal=CouponPercentOffSubtotal(discount_percent=Decimal(value)), **fields
    )


def amount(value: int | str, code: str = "SAVE", **fields: Any) -> Coupon:
    return Coupon(
        merchant_code=code, amount_off_subtotal=CouponAmountOffSubtotal(discount_amount=Decimal(value)), **fields
    )


def on_items(code: str = "ITEMS", *, rule: CouponAmountOffItems | CouponPercentOffItems, **fields: Any) -> Coupon:
    if isinstance(rule, CouponAmountOffItems):
        return Coupon(merchant_code=code, amount_off_items=rule, **fields)
    return Coupon(merchant_code=code, percent_off_items=rule, **fields)


def free(*methods: str, code: str = "FREE") -> Coupon:
    return Coupon(merchant_code=code, free_shipping=CouponFreeShipping(shipping_methods=list(methods) or None))


def asked(*lines: Line, **how: Any) -> Priced | Unpriceable:
    """Priced with defaults: no shipping methods, no tax, no coupons, the first order, to New York."""
    tables = Tables(
        shipping=ShippingSettings(methods=how.pop("methods", None)),
        taxes=TaxSettings(rates=how.pop("rates", None)),
        currency_code=how.pop("currency", "USD"),
        coupons=how.pop("coupons", []),
    )
    defaults: dict[str, Any] = {
        "lowest_cost": False,
        "now": NOW,
        "on_rebill": False,
        "ignore_coupon_expiration": False,
    }
    destination = how.pop("to", HOME)
    wanted = how.pop("wanted", None)
    return price(list(lines), destination, wanted, tables=tables, **(defaults | how))


def priced(*lines: Line, **how: Any) -> FrozenPlan:
    found = asked(*lines, **how)
    assert isinstance(found, Priced), found
    return found.plan


def refused(*lines: Line, **how: Any) -> Unpriceable:
    found = asked(*lines, **how)
    assert isinstance(found, Unpriceable), found
    return found


def noted(*lines: Line, **how: Any) -> dict[str, Note]:
    return {note.code: note for note in asked(*lines, **how).notes}


def parts(plan: Any, *names: str) -> list[Any]:
    return [getattr(plan, name) for name in names]


def discounts(plan: FrozenPlan) -> list[str]:
    return [str(each.discount) for each in plan.lines]


# --- lines ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit_cost", "quantity", "currency", "subtotal"),
    [
        ("10", "3", "USD", "30.00"),
        ("0.335", "1", "USD", "0.34"),
        ("0.005", "1000", "USD", "5.00"),
        ("9.99", "2.5", "USD", "24.98"),
        ("1999.5", "1", "JPY", "2000"),
        ("1.2345", "1", "KWD", "1.235"),
        ("0", "3", "USD", "0.00"),
    ],
)
def test_a_line_is_rounded_once_after_its_quantity(unit_cost: str, quantity: str, currency: str, subtotal: str) -> None:
    plan = priced(line(unit_cost, quantity), currency=currency)
    assert str(plan.subtotal) == subtotal
    assert plan.total == plan.subtotal
    assert plan.currency == currency


def test_a_plan_line_says_what_is_billed() -> None:
    plan = priced(line("7.50", "2", of=item("MUG"), oid=11, occurrence=4, skipped=2))
    found = plan.lines[0]
    assert parts(found, "item_id", "quantity", "unit_cost") == ["MUG", 2, Decimal("7.50")]
    assert parts(found, "oid", "occurrence", "skipped", "discount") == [11, 4, 2, 0]


@pytest.mark.parametrize(
    ("percentage", "discount"), [("0", "0"), ("10", "1.00"), ("33.333", "3.33"), ("100", "10.00"), ("150", "10.00")]
)
def test_a_line_has_a_percentage_of_its_own(percentage: str, discount: str) -> None:
    plan = priced(line("10", percentage_discount=Decimal(percentage)))
    assert discounts(plan) == [discount]
    assert plan.total == Decimal(10) - Decimal(discount)


def test_a_line_that_costs_less_than_nothing_is_refused_by_name() -> None:
    found = refused(line(), line("-1", of=item("MUG")))
    assert (found.code, found.params) == ("negative_line", {"item_id": "MUG", "amount": "-1.00"})


def test_an_order_without_lines_costs_nothing() -> None:
    plan = priced(coupons=[amount(5)], rates=[NEW_YORK], methods=[POST])
    assert parts(plan, "lines", "total") == [[], 0]


# --- coupons --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coupon", "costs", "expected"),
    [
        (percent(10), ["10", "20", "0.05"], ["1.00", "2.00", "0.01"]),
        (percent(100), ["10", "20"], ["10.00", "20.00"]),
        (amount(10), ["10", "10", "10"], ["3.34", "3.33", "3.33"]),
        (amount(10), ["4", "2"], ["4.00", "2.00"]),
        (amount("0.01"), ["1", "5"], ["0.00", "0.01"]),
    ],
)
def test_a_coupon_on_the_subtotal_is_spread_over_the_lines(
    coupon: Coupon, costs: list[str], expected: list[str]
) -> None:
    plan = priced(*[line(each) for each in costs], coupons=[coupon])
    assert discounts(plan) == expected
    assert plan.coupons == ["SAVE"]
    assert plan.discount == total_of(Decimal(each) for each in expected)


LEAF = ItemTags(tags=[ItemTag(tag_value="leaf")])
TEA, MUG, POT = item("TEA", tags=LEAF), item("MUG"), item("POT")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (CouponPercentOffItems(discount_percent=Decimal(50)), ["10.00", "10.00", "15.00"]),
        (CouponPercentOffItems(discount_percent=Decimal(50), items=["MUG"]), ["0", "10.00", "0"]),
        (CouponPercentOffItems(discount_percent=Decimal(50), item_tags=["leaf"]), ["10.00", "0", "0"]),
        (CouponPercentOffItems(discount_percent=Decimal(50), excluded_items=["TEA"]), ["0", "10.00", "15.00"]),
        (CouponPercentOffItems(discount_percent=Decimal(50), limit=3), ["10.00", "5.00", "0"]),
        (CouponAmountOffItems(discount_amount=Decimal(3), items=["TEA", "MUG"]), ["6.00", "6.00", "0"]),
        (CouponAmountOffItems(discount_amount=Decimal(3), items=["TEA", "MUG"], limit=3), ["6.00", "3.00", "0"]),
        (CouponAmountOffItems(discount_amount=Decimal(25), items=["TEA"]), ["20.00", "0", "0"]),
        (CouponAmountOffItems(discount_amount=Decimal(25), items=["TEA"], limit=1), ["10.00", "0", "0"]),
    ],
)
def test_a_coupon_on_items_takes_off_each_unit_up_to_its_limit(
    rule: CouponAmountOffItems | CouponPercentOffItems, expected: list[str]
) -> None:
    lines = [line("10", "2", of=TEA), line("20", "1", of=MUG), line("30", "1", of=POT)]
    if isinstance(rule, CouponAmountOffItems) or rule.limit:
        lines[1] = line("10", "2", of=MUG)
    plan = priced(*lines, coupons=[on_items(rule=rule)])
    assert discounts(plan) == expected


def test_a_line_that_costs_nothing_uses_up_no_limit() -> None:
    rule = CouponAmountOffItems(discount_amount=Decimal(3), items=["TEA"], limit=1)
    plan = priced(line("0", of=TEA), line("10", of=TEA), coupons=[on_items(rule=rule)])
    assert discounts(plan) == ["0", "3.00"]


def test_coupons_on_items_come_first_and_the_subtotal_coupon_takes_of_what_is_left() -> None:
    coupons = [
        percent(50, can_be_used_with_other_coupons=True),
        on_items(
            rule=CouponAmountOffItems(discount_amount=Decimal(4), items=["TEA"]), can_be_used_with_other_coupons=True
        ),
    ]
    plan = priced(line("10", percentage_discount=Decimal(20)), coupons=coupons)
    assert discounts(plan) == ["8.00"]
    assert plan.coupons == ["SAVE", "ITEMS"]


@pytest.mark.parametrize(
    "coupon", [percent(50), amount(50), on_items(rule=CouponPercentOffItems(discount_percent=Decimal(50)))]
)
@pytest.mark.parametrize(
    "excluded",
    [
        line("10", exclude_coupon=True),
        line("10", of=item("GIFT", restriction=ItemRestriction(exclude_coupon=True))),
    ],
)
def test_no_coupon_touches_an_item_that_is_excluded(coupon: Coupon, excluded: Line) -> None:
    plan = priced(excluded, line("20"), coupons=[coupon])
    assert plan.lines[0].discount == 0
    assert plan.lines[1].discount > 0
    assert priced(excluded, coupons=[coupon]).total == 10


def test_a_percentage_of_the_line_itself_is_no_coupon() -> None:
    assert priced(line("10", exclude_coupon=True, percentage_discount=Decimal(10))).total == 9


def test_a_coupon_that_takes_nothing_off_stays_with_the_order_for_its_rebills() -> None:
    plan = priced(line("0"), coupons=[percent(10)])
    assert parts(plan, "coupons", "discount") == [["SAVE"], 0]
    assert noted(line("0"), coupons=[percent(10)])["coupon_without_effect"].params["coupon"] == "SAVE"


# --- coupons on rebills ---------------------------------------------------------------------------------------------


def test_an_expired_coupon_is_dropped_from_a_rebill_at_full_price() -> None:
    how: dict[str, Any] = {"coupons": [percent(10, expiration_dts=NOW)], "on_rebill": True}
    assert parts(priced(line(), **how), "total", "coupons") == [10, []]
    assert noted(line(), **how)["coupon_expired"].setting == "ignore_coupon_expiration"


def test_an_expired_coupon_is_honoured_on_a_rebill_where_the_merchant_says_so() -> None:
    how: dict[str, Any] = {
        "coupons": [percent(10, expiration_dts=NOW)],
        "on_rebill": True,
        "ignore_coupon_expiration": True,
    }
    assert priced(line(), **how).total == 9
    assert noted(line(), **how)["coupon_expiration_ignored"].setting == "ignore_coupon_expiration"


@pytest.mark.parametrize(
    ("coupon", "how", "code"),
    [
        (percent(10, skip_on_rebill=True), {"on_rebill": True}, "coupon_skip_on_rebill"),
        (percent(10, expiration_dts=NOW), {}, "coupon_expired"),
        (percent(10, start_dts=later(NOW, days=1)), {}, "coupon_not_started"),
        (percent(10, usable_by="OncePerCustomer"), {"used": {"SAVE": 1}}, "coupon_used_up"),
        (percent(10), {"coupon_codes": ["OTHER"]}, "coupon_unknown"),
    ],
)
def test_a_coupon_that_does_not_count_is_dropped_and_noted(coupon: Coupon, how: dict[str, Any], code: str) -> None:
    assert priced(line(), coupons=[coupon], **how).total == 10
    assert code in noted(line(), coupons=[coupon], **how)


def test_named_codes_choose_among_the_coupons_in_their_own_order() -> None:
    coupons = [percent(10, "A"), percent(20, "B")]
    assert priced(line(), coupons=coupons, coupon_codes=["b", "a"]).coupons == ["B"]
    assert priced(line(), coupons=coupons, coupon_codes=[]).coupons == []
    assert priced(line(), coupons=coupons).coupons == ["A"]


# --- shipping -------------------------------------------------------------------------------------------------------


def test_a_shop_without_methods_ships_free() -> None:
    plan = priced(line(), wanted="Post")
    assert parts(plan, "shipping_method", "shipping") == [None, 0]
    assert "no_shipping_methods_configured" in noted(line(), wanted="Post")


def test_what_has_no_weight_does_not_ship() -> None:
    plan = priced(line(of=item("EBOOK", "0")), wanted="Post", methods=[POST])
    assert parts(plan, "shipping_method", "shipping", "total") == [None, 0, 10]
    assert "nothing_ships" in noted(line(of=item("EBOOK", "0")), wanted="Post", methods=[POST])


def test_an_order_goes_by_the_method_that_it_names() -> None:
    plan = priced(line(), wanted="Air", methods=[POST, AIR])
    assert parts(plan, "shipping_method", "shipping", "total") == ["Air", 12, 22]
    assert "shipping_method_as_ordered" in noted(line(), wanted="Air", methods=[POST, AIR])


def test_the_cheapest_method_overrides_the_one_named_where_the_merchant_says_so() -> None:
    plan = priced(line(), wanted="Air", methods=[AIR, POST], lowest_cost=True)
    assert parts(plan, "shipping_method", "total") == ["Post", 15]
    note = noted(line(), wanted="Air", methods=[AIR, POST], lowest_cost=True)["shipping_method_cheapest"]
    assert note.setting == "ship_via_lowest_cost_method"


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"wanted": "Gone", "methods": [POST]}, "not_available"),
        ({"wanted": "Air", "methods": [POST, replace(AIR, enabled=False)]}, "not_available"),
        ({"wanted": None, "methods": [POST]}, "not_named"),
        ({"wanted": "Post", "methods": [replace(POST, countries=["CA"])]}, "none_fits"),
        ({"wanted": "Post", "methods": [replace(POST, enabled=False)]}, "none_fits"),
        ({"wanted": "Post", "methods": [replace(POST, countries=["CA"])], "lowest_cost": True}, "none_fits"),
        ({"wanted": "Post", "methods": [replace(POST, countries=["US"])], "to": None}, "none_fits"),
        (
            {
                "wanted": "Post",
                "methods": [replace(POST, weight_steps=[WeightStep(cost=ZERO, up_to_pounds=Decimal("0.5"))])],
            },
            "none_fits",
        ),
    ],
)
def test_an_order_that_nothing_can_take_has_no_price(how: dict[str, Any], why: str) -> None:
    found = refused(line(), **how)
    assert (found.code, found.params["why"]) == ("no_shipping_method", why)


def test_the_refusal_names_what_is_available() -> None:
    found = refused(line(), wanted="Gone", methods=[POST, AIR])
    assert found.message == "Gone is not available here; available: Post, Air."
    assert found.params["available"] == "Post, Air"


def test_weight_and_units_of_what_ships_make_the_cost() -> None:
    by_weight = ShippingMethod(
        shipping_method="Post",
        per_item=Decimal(1),
        weight_steps=[
            WeightStep(cost=Decimal(3), up_to_pounds=Decimal(2)),
            WeightStep(cost=Decimal(8), up_to_pounds=Decimal(9)),
        ],
    )
    heavy = line("10", "3", of=item("BOOK", "1.5"))
    digital = line("10", "5", of=item("EBOOK", "0"))
    assert priced(heavy, digital, wanted="Post", methods=[by_weight]).shipping == 11


@pytest.mark.parametrize(
    "free_line",
    [
        line("10", free_shipping=True),
        line("10", of=item("TEA", shipping=ItemShipping(free_shipping=True))),
    ],
)
def test_items_that_ship_free_add_nothing_to_what_the_others_pay(free_line: Line) -> None:
    per_item = ShippingMethod(shipping_method="Post", per_order=Decimal(4), per_item=Decimal(1))
    alone = priced(free_line, wanted="Post", methods=[per_item])
    assert parts(alone, "shipping", "shipping_discount", "total") == [5, 5, 10]
    both = priced(free_line, line("10", "2", of=MUG), wanted="Post", methods=[per_item])
    assert parts(both, "shipping", "shipping_discount", "total") == [7, 1, 36]
    assert noted(free_line, wanted="Post", methods=[per_item])["shipping_free_items"].params == {"items": "TEA"}


def test_free_items_never_make_the_others_pay_more() -> None:
    odd = ShippingMethod(
        shipping_method="Post",
        weight_steps=[WeightStep(cost=Decimal(9), up_to_pounds=Decimal(1)), WeightStep(cost=Decimal(2))],
    )
    plan = priced(line(), line(free_shipping=True), wanted="Post", methods=[odd])
    assert parts(plan, "shipping", "shipping_discount") == [2, 0]


def test_a_method_may_be_left_out_of_free_shipping() -> None:
    express = replace(AIR, qualifies_for_free_shipping=False)
    plan = priced(line(free_shipping=True), wanted="Air", methods=[express])
    assert parts(plan, "shipping", "shipping_discount") == [12, 0]
    assert (
        priced(line(free_shipping=True), wanted="Air", methods=[express], coupons=[free("Air")]).shipping_discount == 12
    )


@pytest.mark.parametrize(
    ("coupon", "wanted", "paid"),
    [(free(), "Post", 0), (free("Post"), "Post", 0), (free("Post"), "Air", 12), (free("Post", "Air"), "Air", 0)],
)
def test_a_free_shipping_coupon_is_for_the_methods_that_it_names(coupon: Coupon, wanted: str, paid: int) -> None:
    plan = priced(line(), wanted=wanted, methods=[POST, AIR], coupons=[coupon])
    assert plan.shipping - plan.shipping_discount == paid
    code = "coupon_without_effect" if paid else "coupon_applied"
    assert code in noted(line(), wanted=wanted, methods=[POST, AIR], coupons=[coupon])


def test_the_cheapest_is_the_cheapest_to_pay() -> None:
    plan = priced(line(), methods=[POST, AIR], coupons=[free("Air")], lowest_cost=True)
    assert parts(plan, "shipping_method", "shipping", "shipping_discount", "total") == ["Air", 12, 12, 10]


def test_where_every_method_is_free_the_shop_pays_for_the_cheapest() -> None:
    assert priced(line(), methods=[AIR, POST], coupons=[free()], lowest_cost=True).shipping_method == "Post"


def test_an_item_without_shipping_discounts_pays_in_spite_of_a_coupon() -> None:
    bulky = line("10", of=item("SOFA", shipping=ItemShipping(no_shipping_discount=True)))
    per_item = ShippingMethod(shipping_method="Post", per_order=Decimal(4), per_item=Decimal(1))
    plan = priced(bulky, line(), wanted="Post", methods=[per_item], coupons=[free()])
    assert parts(plan, "shipping", "shipping_discount") == [6, 1]


@pytest.mark.parametrize(("cost", "paid"), [("50", 0), ("49.99", 5)])
def test_shipping_is_free_over_an_amount_after_discounts(cost: str, paid: int) -> None:
    over = replace(POST, free_over_amount=Decimal(45))
    plan = priced(line(cost, percentage_discount=Decimal(10)), wanted="Post", methods=[over])
    assert plan.shipping == paid
    assert ("shipping_free_over" in noted(line(cost), wanted="Post", methods=[over])) is True


def test_a_cost_set_by_hand_is_taken_as_it_is() -> None:
    how: dict[str, Any] = {"methods": [POST], "coupons": [free()], "arbitrary_shipping": Decimal("7.255")}
    plan = priced(line(free_shipping=True), wanted="Courier", **how)
    assert parts(plan, "shipping_method", "shipping", "shipping_discount") == ["Courier", Decimal("7.26"), 0]
    assert priced(line(), arbitrary_shipping=Decimal(0), methods=[POST]).shipping == 0
    assert priced(line(), arbitrary_shipping=Decimal(-3), methods=[POST]).shipping == 0


# --- tax ------------------------------------------------------------------------------------------------------------


def test_tax_is_on_what_is_left_of_the_taxable_lines() -> None:
    free_of_tax = line("100", of=item("BOOK", tax=ItemTax(tax_free=True)))
    plan = priced(line("20"), free_of_tax, coupons=[percent(50)], rates=[NEW_YORK])
    assert parts(plan, "taxable", "tax", "tax_rate", "total") == [10, 1, 10, 61]
    assert not plan.tax_shipping


@pytest.mark.parametrize(
    "free_of_tax",
    [
        line(tax_free=True),
        line(of=item(tax=ItemTax(tax_free=True))),
        line(of=item(tax=ItemTax(exempt=True))),
    ],
)
def test_what_is_free_of_tax_is_not_taxed(free_of_tax: Line) -> None:
    plan = priced(free_of_tax, rates=[NEW_YORK])
    assert parts(plan, "taxable", "tax", "total") == [0, 0, 10]


@pytest.mark.parametrize(("tax_shipping", "tax"), [(True, "1.50"), (False, "1.00"), (None, "1.00")])
def test_shipping_is_taxed_where_the_rate_says_so(tax_shipping: bool | None, tax: str) -> None:
    plan = priced(line(), wanted="Post", methods=[POST], rates=[replace(NEW_YORK, tax_shipping=tax_shipping)])
    assert parts(plan, "tax", "tax_shipping", "taxable") == [Decimal(tax), bool(tax_shipping), 10]


def test_shipping_that_is_free_is_not_taxed() -> None:
    rates = [replace(NEW_YORK, tax_shipping=True)]
    assert priced(line(), wanted="Post", methods=[POST], coupons=[free()], rates=rates).tax == 1


def test_tax_is_rounded_once_over_the_whole_order() -> None:
    rates = [replace(NEW_YORK, rate=Decimal("8.875"))]
    assert priced(*[line("0.05") for _ in range(10)], rates=rates).tax == Decimal("0.04")


def test_an_exempt_customer_pays_no_tax() -> None:
    plan = priced(line(), rates=[NEW_YORK], tax_exempt=True)
    assert parts(plan, "tax", "tax_rate", "taxable") == [0, 0, 0]
    assert "tax_exempt" in noted(line(), rates=[NEW_YORK], tax_exempt=True)


def test_the_billing_address_will_do_as_destination() -> None:
    assert priced(line(), to=OrderBilling(country_code="US", state_region="NY"), rates=[NEW_YORK]).tax == 1


def test_the_matched_rate_is_noted() -> None:
    assert noted(line(), rates=[NEW_YORK])["tax_rate_matched"].params == {
        "country_code": "US",
        "state_region": "NY",
        "rate": "10",
    }
    assert "no_tax_here" in noted(line(), rates=[NEW_YORK], to=OrderShipping(country_code="CA"))


# --- always ---------------------------------------------------------------------------------------------------------

CURRENCIES = st.sampled_from(["JPY", "USD", "KWD"])
PERCENTS = st.decimals(min_value="0.01", max_value=100, places=2)
AMOUNTS = st.decimals(min_value="0.01", max_value=500, places=2)
ITEMS = st.builds(
    lambda item_id, pounds, excluded, free_, shuns, tax_free: item(
        item_id,
        pounds,
        tags=LEAF if item_id == "TEA" else None,
        restriction=ItemRestriction(exclude_coupon=excluded),
        shipping=ItemShipping(free_shipping=free_, no_shipping_discount=shuns),
        tax=ItemTax(tax_free=tax_free),
    ),
    st.sampled_from(["TEA", "MUG", "POT"]),
    st.sampled_from(["0", "0.3", "2"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
LINES = st.lists(
    st.builds(
        Line,
        item=ITEMS,
        quantity=st.one_of(st.integers(1, 9).map(Decimal), st.decimals(min_value="0.1", max_value=9, places=1)),
        unit_cost=st.decimals(min_value=0, max_value=300, places=3),
        percentage_discount=st.one_of(st.just(ZERO), PERCENTS),
        exclude_coupon=st.booleans(),
        free_shipping=st.booleans(),
        tax_free=st.booleans(),
    ),
    max_size=6,
)
NAMES = st.lists(st.sampled_from(["TEA", "MUG"]), min_size=1, max_size=2, unique=True)
LIMITS = st.one_of(st.none(), st.integers(1, 5))
KIND = st.one_of(
    st.builds(lambda p: {"percent_off_subtotal": CouponPercentOffSubtotal(discount_percent=p)}, PERCENTS),
    st.builds(lambda a: {"amount_off_subtotal": CouponAmountOffSubtotal(discount_amount=a)}, AMOUNTS),
    st.builds(
        lambda p, names, limit: {
            "percent_off_items": CouponPercentOffItems(discount_percent=p, items=names, limit=limit)
        },
        PERCENTS,
        st.one_of(st.none(), NAMES),
        LIMITS,
    ),
    st.builds(
        lambda a, names, limit: {"amount_off_items": CouponAmountOffItems(discount_amount=a, items=names, limit=limit)},
        AMOUNTS,
        NAMES,
        LIMITS,
    ),
    st.builds(
        lambda names: {"free_shipping": CouponFreeShipping(shipping_methods=names)},
        st.one_of(st.none(), st.just(["Post"])),
    ),
)
COUPONS = st.lists(
    st.builds(
        lambda code, kind, expires: Coupon(
            merchant_code=code, can_be_used_with_other_coupons=True, expiration_dts=expires, **kind
        ),
        st.sampled_from("ABCD"),
        KIND,
        st.sampled_from([None, NOW]),
    ),
    max_size=4,
    unique_by=lambda each: each.merchant_code,
)
METHODS = st.one_of(
    st.none(),
    st.lists(
        st.builds(
            lambda name, per_order, per_item, over, steps, qualifies: ShippingMethod(
                shipping_method=name,
                per_order=per_order,
                per_item=per_item,
                free_over_amount=over,
                weight_steps=steps,
                qualifies_for_free_shipping=qualifies,
            ),
            st.sampled_from(["Post", "Air", "Sea"]),
            AMOUNTS,
            AMOUNTS,
            st.one_of(st.none(), AMOUNTS),
            st.sampled_from(
                [
                    None,
                    [WeightStep(cost=Decimal(9), up_to_pounds=Decimal(3)), WeightStep(cost=Decimal(2))],
                    [WeightStep(cost=Decimal(1), up_to_pounds=Decimal(5))],
                ]
            ),
            st.booleans(),
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda each: each.shipping_method,
    ),
)
ORDERS = st.fixed_dictionaries(
    {
        "coupons": COUPONS,
        "methods": METHODS,
        "rates": st.one_of(
            st.none(),
            st.builds(
                lambda rate, shipping: [TaxRate(country_code="US", rate=rate, tax_shipping=shipping)],
                PERCENTS,
                st.booleans(),
            ),
        ),
        "currency": CURRENCIES,
        "lowest_cost": st.booleans(),
        "wanted": st.sampled_from(["Post", "Air", None]),
        "on_rebill": st.booleans(),
        "ignore_coupon_expiration": st.booleans(),
        "tax_exempt": st.booleans(),
        "arbitrary_shipping": st.one_of(st.none(), AMOUNTS),
        # Without a tier whose discount does not go together with coupons: there a coupon may make it dearer.
        "terms": st.builds(
            CustomerTerms,
            percentage_discount=PERCENTS,
            free_shipping=st.booleans(),
            free_shipping_minimum=AMOUNTS,
            no_free_shipping=st.booleans(),
            no_coupons=st.booleans(),
            tax_exempt=st.booleans(),
        ),
    }
)


@given(lines=LINES, how=ORDERS)
def test_the_total_is_the_sum_of_its_parts_and_no_part_is_below_zero(lines: list[Line], how: dict[str, Any]) -> None:
    found = asked(*lines, **how)
    if isinstance(found, Unpriceable):
        assert found.code == "no_shipping_method"
        assert how["methods"]
        assert any(each.item.physical for each in lines)
        return
    plan = found.plan
    assert plan.total == plan.subtotal - plan.discount + plan.shipping - plan.shipping_discount + plan.tax
    assert plan.subtotal == total_of(quantise(each.quantity * each.unit_cost, how["currency"]) for each in lines)
    assert plan.discount == total_of(each.discount for each in plan.lines)
    for each in plan.lines:
        assert 0 <= each.discount <= quantise(each.quantity * each.unit_cost, how["currency"])
    assert 0 <= plan.discount <= plan.subtotal
    assert 0 <= plan.shipping_discount <= plan.shipping
    assert 0 <= plan.taxable <= plan.subtotal - plan.discount
    assert min(plan.tax, plan.total) >= 0


@given(lines=LINES, how=ORDERS)
def test_every_amount_is_in_whole_coins_of_the_currency(lines: list[Line], how: dict[str, Any]) -> None:
    found = asked(*lines, **how)
    if isinstance(found, Unpriceable):
        return
    plan = found.plan
    amounts = [plan.subtotal, plan.discount, plan.shipping, plan.shipping_discount, plan.tax, plan.taxable, plan.total]
    for each in [*amounts, *[one.discount for one in plan.lines]]:
        assert each == quantise(each, how["currency"])
    assert EXPONENTS.get(how["currency"], 2) in (0, 2, 3)


@given(lines=LINES, how=ORDERS)
def test_the_same_order_has_the_same_price_and_the_same_reasons(lines: list[Line], how: dict[str, Any]) -> None:
    before = wire.kept(lines)
    assert asked(*lines, **how) == asked(*lines, **how)
    assert wire.kept(lines) == before


@given(lines=LINES, how=ORDERS)
def test_a_plan_is_read_back_as_it_was_frozen(lines: list[Line], how: dict[str, Any]) -> None:
    found = asked(*lines, **how)
    if isinstance(found, Priced):
        assert wire.load(wire.kept(found.plan), FrozenPlan) == found.plan


@given(lines=LINES, how=ORDERS, rates=st.tuples(PERCENTS, PERCENTS), taxed_shipping=st.booleans())
def test_a_higher_rate_never_taxes_less(
    lines: list[Line], how: dict[str, Any], rates: tuple[Decimal, Decimal], taxed_shipping: bool
) -> None:
    def taxed(rate: Decimal) -> Decimal | None:
        table = [TaxRate(country_code="US", rate=rate, tax_shipping=taxed_shipping)]
        found = asked(*lines, **(how | {"rates": table}))
        return found.plan.tax if isinstance(found, Priced) else None

    low, high = taxed(min(rates)), taxed(max(rates))
    assert (low is None) is (high is None)
    assert low is None or high is None or low <= high


@given(lines=LINES, how=ORDERS)
def test_coupons_never_make_the_lines_dearer(lines: list[Line], how: dict[str, Any]) -> None:
    def goods(plan: FrozenPlan) -> Decimal:
        return plan.subtotal - plan.discount

    with_coupons, without = asked(*lines, **how), asked(*lines, **(how | {"coupons": []}))
    if isinstance(with_coupons, Priced) and isinstance(without, Priced):
        assert goods(with_coupons.plan) <= goods(without.plan)


@given(lines=LINES, how=ORDERS)
def test_every_coupon_has_its_say_among_the_reasons(lines: list[Line], how: dict[str, Any]) -> None:
    found = asked(*lines, **how)
    if isinstance(found, Priced):
        told = {note.params["coupon"] for note in found.notes if note.code.startswith("coupon_")}
        assert told == {coupon.code() for coupon in how["coupons"]}
        assert set(found.plan.coupons) <= told


@given(lines=LINES, how=ORDERS)
def test_no_other_method_would_have_been_cheaper_than_the_cheapest(lines: list[Line], how: dict[str, Any]) -> None:
    chosen = asked(*lines, **(how | {"lowest_cost": True, "arbitrary_shipping": None}))
    if not isinstance(chosen, Priced):
        return
    paid = chosen.plan.shipping - chosen.plan.shipping_discount
    for each in how["methods"] or []:
        named = {"lowest_cost": False, "arbitrary_shipping": None, "wanted": each.shipping_method}
        other = asked(*lines, **(how | named))
        if isinstance(other, Priced):
            assert paid <= other.plan.shipping - other.plan.shipping_discount
