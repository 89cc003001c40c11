"""Coupons: their shape, their rules, and which of those that an order names still count."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ultracart.model.coupon import Coupon as SdkCoupon
from ultracart.model.coupon_amount_off_items import CouponAmountOffItems as SdkAmountOffItems
from ultracart.model.coupon_amount_off_subtotal import CouponAmountOffSubtotal as SdkAmountOffSubtotal
from ultracart.model.coupon_free_shipping import CouponFreeShipping as SdkFreeShipping
from ultracart.model.coupon_percent_off_items import CouponPercentOffItems as SdkPercentOffItems
from ultracart.model.coupon_percent_off_subtotal import CouponPercentOffSubtotal as SdkPercentOffSubtotal

from chalicelib.domain import wire
from chalicelib.domain.coupons import (
    KINDS,
    TOLD,
    Coupon,
    CouponAmountOffItems,
    CouponAmountOffSubtotal,
    CouponFreeShipping,
    CouponPercentOffItems,
    CouponPercentOffSubtotal,
    check_coupons,
    code_key,
    described,
    kinds_of,
    select,
    takes_part,
    validate,
)
from chalicelib.domain.dates import Instant, later, parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.items import Item, ItemTag, ItemTags

NOW = parse_instant("2027-03-01T12:00:00Z")


def coupon(code: str = "SAVE10", **fields: Any) -> Coupon:
    kind: dict[str, Any] = {} if fields.keys() & set(KINDS) else {"percent_off_subtotal": percent(10)}
    return Coupon(merchant_code=code, **kind, **fields)


def percent(value: int | str) -> CouponPercentOffSubtotal:
    return CouponPercentOffSubtotal(discount_percent=Decimal(value))


def amount(value: int | str, currency_code: str | None = None) -> CouponAmountOffSubtotal:
    return CouponAmountOffSubtotal(discount_amount=Decimal(value), currency_code=currency_code)


def problems(found: Coupon, currency_code: str = "USD") -> list[tuple[str, str]]:
    try:
        validate(found, currency_code)
    except Invalid as invalid:
        return [(problem.pointer, problem.code) for problem in invalid.problems]
    return []


def selected(codes: list[str], coupons: list[Coupon], **facts: Any) -> tuple[list[str], list[tuple[str, str]]]:
    defaults: dict[str, Any] = {
        "now": NOW,
        "on_rebill": False,
        "ignore_expiration": False,
        "used": {},
        "currency_code": "USD",
    }
    kept, dropped = select(codes, coupons, **(defaults | facts))
    return [each.code() for each in kept], [(drop.code, drop.why) for drop in dropped]


# --- shape ----------------------------------------------------------------------------------------------------------


# Fields of our own, which the contract's clients pass on unread.
OURS = {"maximum_uses"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Coupon, SdkCoupon),
        (CouponAmountOffItems, SdkAmountOffItems),
        (CouponAmountOffSubtotal, SdkAmountOffSubtotal),
        (CouponFreeShipping, SdkFreeShipping),
        (CouponPercentOffItems, SdkPercentOffItems),
        (CouponPercentOffSubtotal, SdkPercentOffSubtotal),
    ],
)
def test_every_field_is_one_of_the_contract(ours: type[msgspec.Struct], theirs: Any) -> None:
    named = {field.encode_name for field in msgspec.structs.fields(ours)}
    assert named - OURS <= set(theirs.attribute_map.values())


def test_the_kinds_are_the_fields_that_hold_a_rule() -> None:
    hints = {field.name: str(field.type) for field in msgspec.structs.fields(Coupon)}
    assert [name for name, hint in sorted(hints.items()) if "coupons.Coupon" in hint] == list(KINDS)


def test_a_kind_that_is_not_built_yet_is_refused_by_name() -> None:
    raw = {"merchant_code": "BOGO", "buy_one_get_one": {"items": ["TEA"]}}
    with pytest.raises(Invalid) as refused:
        wire.noun(raw, Coupon)
    assert [(p.pointer, p.code) for p in refused.value.problems] == [("/buy_one_get_one", "unknown_field")]


def test_a_coupon_survives_being_kept() -> None:
    raw = wire.parse(
        b'{"merchant_code":"SAVE","expiration_dts":"2027-12-31T23:59:59-05:00","usable_by":"OncePerCustomer",'
        b'"amount_off_items":{"discount_amount":2.5,"items":["TEA"],"limit":3}}'
    )
    stored = wire.noun(raw, Coupon)
    assert wire.load(wire.kept(stored), Coupon) == stored
    assert stored.amount_off_items is not None
    assert stored.amount_off_items.discount_amount == Decimal("2.5")


def test_the_server_sets_the_oid_the_type_and_the_words() -> None:
    with pytest.raises(Invalid) as refused:
        wire.refuse_owned({"coupon_oid": 7, "coupon_type": "x", "merchant_code": "A"}, Coupon)
    assert [p.pointer for p in refused.value.problems] == ["/coupon_oid", "/coupon_type"]


@pytest.mark.parametrize(
    ("fields", "type_", "words"),
    [
        ({"percent_off_subtotal": percent("12.50")}, "percent_off_subtotal", "12.5% off the subtotal"),
        ({"percent_off_subtotal": percent(10)}, "percent_off_subtotal", "10% off the subtotal"),
        ({"amount_off_subtotal": amount(11)}, "amount_off_subtotal", "$11.00 off the subtotal"),
        (
            {"amount_off_items": CouponAmountOffItems(discount_amount=Decimal("2.5"), items=["TEA"], limit=3)},
            "amount_off_items",
            "$2.50 off each of certain items, 3 at most",
        ),
        (
            {"percent_off_items": CouponPercentOffItems(discount_percent=Decimal(20), item_tags=["tea"])},
            "percent_off_items",
            "20% off certain items",
        ),
        (
            {"percent_off_items": CouponPercentOffItems(discount_percent=Decimal(20), limit=1)},
            "percent_off_items",
            "20% off items, 1 at most",
        ),
        ({"free_shipping": CouponFreeShipping()}, "free_shipping", "Free shipping"),
        (
            {"free_shipping": CouponFreeShipping(shipping_methods=["Post"])},
            "free_shipping",
            "Free shipping by certain methods",
        ),
    ],
)
def test_a_coupon_says_what_it_does(fields: dict[str, Any], type_: str, words: str) -> None:
    found = described(coupon(**fields), "USD")
    assert (found.coupon_type, found.calculated_description) == (type_, words)
    assert problems(found) == []


# --- rules ----------------------------------------------------------------------------------------------------------

OFF_ITEMS = CouponAmountOffItems(discount_amount=Decimal(5))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Coupon(percent_off_subtotal=percent(5)), [("/merchant_code", "required")]),
        (coupon(" SAVE"), [("/merchant_code", "invalid")]),
        (Coupon(merchant_code="A"), [("", "required")]),
        (
            coupon(percent_off_subtotal=percent(5), amount_off_subtotal=amount(5)),
            [("/percent_off_subtotal", "conflict")],
        ),
        (coupon(percent_off_subtotal=percent(0)), [("/percent_off_subtotal/discount_percent", "out_of_range")]),
        (coupon(percent_off_subtotal=percent(101)), [("/percent_off_subtotal/discount_percent", "out_of_range")]),
        (coupon(percent_off_subtotal=percent(100)), []),
        (
            coupon(percent_off_items=CouponPercentOffItems()),
            [("/percent_off_items/discount_percent", "required")],
        ),
        (coupon(amount_off_subtotal=amount(0)), [("/amount_off_subtotal/discount_amount", "out_of_range")]),
        (coupon(amount_off_subtotal=amount("1.005")), [("/amount_off_subtotal/discount_amount", "invalid")]),
        (
            coupon(amount_off_subtotal=CouponAmountOffSubtotal()),
            [("/amount_off_subtotal/discount_amount", "required")],
        ),
        (coupon(amount_off_subtotal=amount(5, "EUR")), [("/amount_off_subtotal/currency_code", "not_allowed_value")]),
        (coupon(amount_off_subtotal=amount(5, "USD")), []),
        (coupon(amount_off_items=OFF_ITEMS), [("/amount_off_items/items", "required")]),
        (coupon(free_shipping=CouponFreeShipping()), []),
        (coupon(usable_by="OncePerNewCustomerForItem"), [("/usable_by", "not_available")]),
        (coupon(usable_by="OncePerCustomer"), []),
        (coupon(start_dts=NOW, expiration_dts=NOW), [("/expiration_dts", "conflict")]),
        (coupon(start_dts=NOW, expiration_dts=later(NOW, seconds=1)), []),
    ],
)
def test_a_coupon_that_breaks_a_rule_is_refused_where_it_breaks_it(
    found: Coupon, expected: list[tuple[str, str]]
) -> None:
    assert problems(found) == expected


def test_all_problems_are_told_at_once() -> None:
    found = Coupon(
        amount_off_items=CouponAmountOffItems(currency_code="EUR"),
        percent_off_subtotal=percent(0),
        usable_by="OncePerNewCustomer",
    )
    assert problems(found) == [
        ("/merchant_code", "required"),
        ("/usable_by", "not_available"),
        ("/percent_off_subtotal", "conflict"),
        ("/amount_off_items/discount_amount", "required"),
        ("/amount_off_items/currency_code", "not_allowed_value"),
        ("/amount_off_items/items", "required"),
        ("/percent_off_subtotal/discount_percent", "out_of_range"),
    ]


def test_a_refused_currency_names_the_allowed_one() -> None:
    with pytest.raises(Invalid, match="allowed is JPY"):
        validate(coupon(amount_off_subtotal=amount(5, "USD")), "JPY")


# --- which count ----------------------------------------------------------------------------------------------------


def test_codes_are_compared_without_case_or_outer_spaces() -> None:
    assert code_key(" save10 ") == "SAVE10"
    assert selected([" save10 "], [coupon("Save10")]) == (["Save10"], [])


@pytest.mark.parametrize(
    ("expires", "counts"), [(later(NOW, seconds=1), True), (NOW, False), (later(NOW, seconds=-1), False), (None, True)]
)
def test_a_coupon_counts_until_the_moment_of_its_expiry(expires: Instant | None, counts: bool) -> None:
    kept, dropped = selected(["SAVE10"], [coupon(expiration_dts=expires)])
    assert (kept == ["SAVE10"]) is counts
    assert dropped == ([] if counts else [("SAVE10", "expired")])


@pytest.mark.parametrize(("starts", "counts"), [(NOW, True), (later(NOW, seconds=1), False)])
def test_a_coupon_counts_from_its_start(starts: Instant, counts: bool) -> None:
    assert (selected(["SAVE10"], [coupon(start_dts=starts)])[0] == ["SAVE10"]) is counts


@pytest.mark.parametrize(("on_rebill", "counts"), [(True, True), (False, False)])
def test_ignoring_the_expiry_is_a_rule_for_rebills_only(on_rebill: bool, counts: bool) -> None:
    found = selected(["SAVE10"], [coupon(expiration_dts=NOW)], on_rebill=on_rebill, ignore_expiration=True)
    assert (found[0] == ["SAVE10"]) is counts


@pytest.mark.parametrize(("on_rebill", "counts"), [(True, False), (False, True)])
def test_a_coupon_may_be_for_the_first_order_only(on_rebill: bool, counts: bool) -> None:
    assert (selected(["SAVE10"], [coupon(skip_on_rebill=True)], on_rebill=on_rebill)[0] == ["SAVE10"]) is counts


@pytest.mark.parametrize(
    ("usable_by", "uses", "counts"),
    [("OncePerCustomer", 0, True), ("OncePerCustomer", 1, False), ("Anyone", 5, True), (None, 5, True)],
)
def test_once_per_customer_means_once(usable_by: Any, uses: int, counts: bool) -> None:
    found = selected(["SAVE10"], [coupon(usable_by=usable_by)], used={"save10": uses})
    assert (found[0] == ["SAVE10"]) is counts


def test_a_code_counts_once_however_often_it_is_named() -> None:
    assert selected(["SAVE10", "save10"], [coupon()]) == (["SAVE10"], [("save10", "twice")])
    assert selected(["NO", "no"], []) == ([], [("NO", "unknown"), ("no", "twice")])


def test_an_amount_in_another_currency_takes_nothing_off() -> None:
    assert selected(["A"], [coupon("A", amount_off_subtotal=amount(5, "EUR"))])[1] == [("A", "other_currency")]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [(True, True, ["A", "B"]), (True, False, ["A"]), (False, True, ["A"]), (None, None, ["A"])],
)
def test_coupons_combine_only_where_each_says_so(first: bool | None, second: bool | None, kept: list[str]) -> None:
    coupons = [
        coupon("A", can_be_used_with_other_coupons=first),
        coupon("B", can_be_used_with_other_coupons=second),
    ]
    assert selected(["A", "B"], coupons)[0] == kept


def test_a_coupon_that_does_not_count_stands_in_nobodys_way() -> None:
    coupons = [coupon("OLD", expiration_dts=NOW), coupon("NEW")]
    assert selected(["OLD", "NEW"], coupons) == (["NEW"], [("OLD", "expired")])


def test_a_storefront_order_is_told_each_code_that_does_not_count_by_name() -> None:
    coupons = [coupon("OLD", expiration_dts=NOW), coupon("MINE", usable_by="OncePerCustomer"), coupon("GOOD")]
    found = check_coupons(["GOOD", "OLD", "NOPE", "MINE"], coupons, now=NOW, used={"MINE": 1}, currency_code="USD")
    assert [(problem.pointer, problem.code, problem.message) for problem in found] == [
        ("/coupons/1/coupon_code", "coupon_expired", "coupon OLD has expired"),
        ("/coupons/2/coupon_code", "coupon_unknown", "there is no coupon NOPE"),
        ("/coupons/3/coupon_code", "coupon_used_up", "coupon MINE can be used once per customer and was"),
    ]


def test_a_code_with_braces_is_told_as_it_was_typed() -> None:
    found = check_coupons(["{code}{0}"], [], now=NOW, used={}, currency_code="USD")
    assert found[0].message == "there is no coupon {code}{0}"


def test_a_storefront_order_whose_coupons_all_count_has_no_problem() -> None:
    assert check_coupons(["GOOD"], [coupon("GOOD")], now=NOW, used={}, currency_code="USD") == []


CODES = st.lists(st.sampled_from(["A", "a", "B", "C", "D", "NOPE"]), max_size=8)
COUPONS = st.lists(
    st.builds(
        coupon,
        st.sampled_from(["A", "B", "C", "D"]),
        can_be_used_with_other_coupons=st.booleans(),
        expiration_dts=st.sampled_from([None, NOW, later(NOW, days=1)]),
        skip_on_rebill=st.booleans(),
        usable_by=st.sampled_from(["Anyone", "OncePerCustomer", None]),
    ),
    unique_by=lambda each: each.code(),
)


@given(codes=CODES, coupons=COUPONS, on_rebill=st.booleans(), ignore=st.booleans(), uses=st.integers(0, 2))
def test_every_named_code_either_counts_or_is_dropped_with_a_reason(
    codes: list[str], coupons: list[Coupon], on_rebill: bool, ignore: bool, uses: int
) -> None:
    used = {each.code(): uses for each in coupons}
    kept, dropped = selected(codes, coupons, on_rebill=on_rebill, ignore_expiration=ignore, used=used)
    assert len(kept) + len(dropped) == len(codes)
    assert len(set(kept)) == len(kept)
    assert {why for _, why in dropped} <= TOLD.keys()


# --- on which items -------------------------------------------------------------------------------------------------

TEA = Item(merchant_item_id="TEA", tags=ItemTags(tags=[ItemTag(tag_value="drink"), ItemTag(tag_value="leaf")]))


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        (CouponPercentOffItems(), True),
        (CouponPercentOffItems(items=["TEA"]), True),
        (CouponPercentOffItems(items=["MUG"]), False),
        (CouponPercentOffItems(item_tags=["leaf"]), True),
        (CouponPercentOffItems(items=["MUG"], item_tags=["leaf"]), True),
        (CouponPercentOffItems(excluded_items=["TEA"]), False),
        (CouponPercentOffItems(excluded_item_tags=["leaf"], items=["TEA"]), False),
        (CouponAmountOffItems(), False),
        (CouponAmountOffItems(items=["TEA"]), True),
        (CouponAmountOffItems(item_tags=["drink"]), True),
    ],
)
def test_an_item_takes_part_by_its_id_or_a_tag_unless_it_is_excluded(
    rule: CouponAmountOffItems | CouponPercentOffItems, part: bool
) -> None:
    assert takes_part(rule, TEA) is part


def test_a_coupon_has_the_kinds_that_are_set() -> None:
    assert kinds_of(coupon(free_shipping=CouponFreeShipping(), amount_off_subtotal=amount(1))) == [
        "amount_off_subtotal",
        "free_shipping",
    ]
