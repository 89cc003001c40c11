"""By which terms a customer buys, and what they do to a price."""

from decimal import Decimal
from itertools import count
from typing import Any

import msgspec
import pytest
from ultracart import models

from chalicelib.domain import wire
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import Invalid
from chalicelib.domain.pricing_tiers import (
    MAXIMUM_TIERS,
    NOBODY,
    UNAVAILABLE,
    CustomerTerms,
    PricingTier,
    PricingTierNotification,
    PricingTiers,
    numbered,
    refused,
    terms_of,
    validate,
)
from tests.domain.test_pricing import AIR, NEW_YORK, POST, discounts, free, item, line, method, noted, percent, priced


def section(*tiers: dict[str, Any]) -> PricingTiers:
    raw = [{"name": f"Tier {at}", "pricing_tier_oid": at} | tier for at, tier in enumerate(tiers, start=1)]
    return wire.noun({"tiers": raw}, PricingTiers)


def terms(*tiers: dict[str, Any], all_of_them: bool = True, **customer: Any) -> CustomerTerms:
    mine = [{"pricing_tier_oid": at} for at in range(1, len(tiers) + 1)] if all_of_them else []
    return terms_of(wire.noun({"email": "a", "pricing_tiers": mine} | customer, Customer), section(*tiers))


def problems(found: PricingTiers) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as error:
        validate(found)
    return [(problem.pointer, problem.code) for problem in error.value.problems]


@pytest.mark.parametrize("ours", [PricingTier, PricingTierNotification])
def test_a_tier_has_every_field_of_the_contract(ours: type[wire.Noun]) -> None:
    theirs = getattr(models, ours.__name__).attribute_map.values()
    assert [field.encode_name for field in msgspec.structs.fields(ours)] == sorted(theirs)


# --- the section -----------------------------------------------------------------------------------------------------


def test_all_that_is_wrong_with_tiers_is_told_at_once() -> None:
    tiers = section(
        {"name": " "},
        {"name": "Dealers", "default_tier": True, "free_shipping": True, "no_free_shipping": True},
        {"name": "dealers", "default_tier": True, "minimum_item_count": 5, "maximum_item_count": 4},
    )
    assert problems(tiers) == [
        ("/tiers/0/name", "required"),
        ("/tiers/1/no_free_shipping", "conflict"),
        ("/tiers/2/name", "conflict"),
        ("/tiers/2/default_tier", "conflict"),
        ("/tiers/2/maximum_item_count", "conflict"),
    ]


@pytest.mark.parametrize("name", UNAVAILABLE)
def test_what_nothing_here_would_act_on_is_refused_by_name(name: str) -> None:
    value: Any = {"subject": "x"} if name.endswith("notification") else True
    if name.endswith(("oid", "discount")):
        value = 5
    assert problems(section({name: value})) == [(f"/tiers/0/{name}", "not_available")]


def test_a_tier_is_numbered_once_and_no_request_invents_an_oid() -> None:
    before = numbered(PricingTiers(tiers=[PricingTier(name="A"), PricingTier(name="B")]), PricingTiers(), count(7))
    assert [tier.pricing_tier_oid for tier in before.tiers or []] == [7, 8]
    after = PricingTiers(tiers=[PricingTier(name="C"), PricingTier(name="B", pricing_tier_oid=8)])
    assert [tier.pricing_tier_oid for tier in numbered(after, before, iter([7, 8, 9])).tiers or []] == [9, 8]
    wrong = PricingTiers(tiers=[PricingTier(name="X", pricing_tier_oid=99)])
    with pytest.raises(Invalid):
        numbered(wrong, before, count(1))


def test_a_shop_has_so_many_tiers_at_most() -> None:
    with pytest.raises(Invalid):
        section(*[{}] * (MAXIMUM_TIERS + 1))


# --- by which terms --------------------------------------------------------------------------------------------------


def test_who_has_nothing_buys_as_anybody() -> None:
    assert terms() == NOBODY
    assert terms({"default_percentage_discount": 10}, all_of_them=False) == NOBODY


def test_the_default_tier_is_that_of_who_is_in_no_other() -> None:
    both: tuple[dict[str, Any], ...] = (
        {"default_percentage_discount": 10},
        {"default_percentage_discount": 3, "default_tier": True},
    )
    assert terms(*both, all_of_them=False).percentage_discount == 3
    assert terms(*both, pricing_tiers=[{"pricing_tier_oid": 1}]).percentage_discount == 10
    assert terms(*both, pricing_tiers=[{"pricing_tier_oid": 77}]).percentage_discount == 3, "of a tier that is gone"


def test_who_is_not_approved_yet_is_in_no_tier() -> None:
    tier = {"default_percentage_discount": 10, "tax_exempt": True, "default_tier": True}
    assert terms(tier, unapproved=True) == NOBODY
    assert terms(tier, unapproved=True, tax_exempt=True).tax_exempt, "his own terms are his own"


def test_of_several_tiers_the_best_counts_and_the_strictest_binds() -> None:
    found = terms(
        {"default_percentage_discount": 5, "minimum_subtotal": 50, "maximum_item_count": 9, "tax_exempt": True},
        {"default_percentage_discount": 8, "minimum_subtotal": 20, "maximum_item_count": 7, "no_coupons": True},
        minimum_item_count=3,
    )
    assert (found.percentage_discount, found.tier, found.tax_exempt, found.no_coupons) == (8, "Tier 2", True, True)
    assert (found.minimum_subtotal, found.minimum_item_count, found.maximum_item_count) == (50, 3, 7)
    assert found.by == {
        "tax_exempt": "Tier 1",
        "no_coupons": "Tier 2",
        "minimum_subtotal": "Tier 1",
        "minimum_item_count": "customer",
    }


@pytest.mark.parametrize(
    ("tier", "own", "expected"),
    [
        ({"free_shipping": True, "free_shipping_minimum": 30}, {}, (True, 30, False)),
        ({"free_shipping": True, "free_shipping_minimum": 30}, {"free_shipping": True}, (True, 0, False)),
        ({"free_shipping": True}, {"no_free_shipping": True}, (False, 0, True)),
        ({"no_free_shipping": True}, {"free_shipping": True}, (True, 0, False)),
        ({"no_free_shipping": True}, {}, (False, 0, True)),
    ],
)
def test_his_own_word_on_free_shipping_is_the_last(tier: Any, own: Any, expected: Any) -> None:
    found = terms(tier, **own)
    assert (found.free_shipping, found.free_shipping_minimum, found.no_free_shipping) == expected


@pytest.mark.parametrize(
    ("subtotal", "units", "codes"),
    [
        ("50", "3", []),
        ("49.99", "3", ["minimum_subtotal"]),
        ("50", "2", ["minimum_item_count"]),
        ("50", "8", ["maximum_item_count"]),
        ("1", "1", ["minimum_subtotal", "minimum_item_count"]),
    ],
)
def test_an_order_is_neither_too_small_nor_too_large(subtotal: str, units: str, codes: list[str]) -> None:
    found = terms(minimum_subtotal=50, minimum_item_count=3, maximum_item_count=7)
    assert [one.code for one in refused(found, Decimal(subtotal), Decimal(units), "USD")] == codes


# --- what it costs ---------------------------------------------------------------------------------------------------

DEALER = {"name": "Dealer", "default_percentage_discount": 20}


def test_a_tiers_discount_comes_off_every_line_at_the_catalogues_price() -> None:
    lines = [line("10"), line("7", set_by_hand=True), line("10", percentage_discount=Decimal(50))]
    plan = priced(*lines, terms=terms(DEALER))
    assert discounts(plan) == ["2.00", "0", "6.00"]
    assert plan.total == Decimal(19)
    assert noted(line("10"), terms=terms(DEALER))["tier_discount"].setting == "Dealer.default_percentage_discount"


def test_coupons_come_off_what_the_tier_leaves_unless_the_two_do_not_go_together() -> None:
    assert priced(line("10"), terms=terms(DEALER), coupons=[percent(10)]).discount == Decimal("2.80")
    alone = terms(DEALER | {"not_valid_when_coupon_present": True})
    assert priced(line("10"), terms=alone).discount == Decimal("2.00")
    assert priced(line("10"), terms=alone, coupons=[percent(10)]).discount == Decimal("1.00")
    told = noted(line("10"), terms=alone, coupons=[percent(10)])
    assert told["tier_discount_not_with_coupons"].setting == "Dealer.not_valid_when_coupon_present"


def test_where_no_coupons_count_they_are_dropped_with_the_reason() -> None:
    plan = priced(line("10"), terms=terms(no_coupons=True), coupons=[percent(10)])
    assert (plan.total, plan.coupons) == (Decimal(10), [])
    told = noted(line("10"), terms=terms(no_coupons=True), coupons=[percent(10)])
    assert told["coupon_not_for_customer"].setting == "customer.no_coupons"


def test_free_shipping_from_the_minimum_on() -> None:
    found = terms(free_shipping=True, free_shipping_minimum=20)
    small = priced(line("19.99"), methods=[POST], wanted="Post", terms=found)
    large = priced(line("20"), methods=[POST], wanted="Post", terms=found)
    assert (small.shipping_discount, large.shipping_discount, large.shipping) == (0, 5, 5)
    told = noted(line("20"), methods=[POST], wanted="Post", terms=found)
    assert told["shipping_free_customer"].setting == "customer.free_shipping"


def test_no_free_shipping_whatever_items_coupons_and_methods_say() -> None:
    found = terms(no_free_shipping=True)
    over = method("Over", "5", free_over_amount=Decimal(1))
    assert priced(line("10"), methods=[over], wanted="Over", terms=found).shipping == 5
    plan = priced(line("10", free_shipping=True), methods=[POST], wanted="Post", terms=found, coupons=[free()])
    assert (plan.shipping, plan.shipping_discount) == (5, 0)
    told = noted(line("10"), methods=[AIR], wanted="Air", terms=found)
    assert told["no_free_shipping"].setting == "customer.no_free_shipping"


def test_who_is_exempt_pays_no_tax() -> None:
    found = terms({"name": "Resellers", "tax_exempt": True})
    assert priced(line("10"), rates=[NEW_YORK]).tax == 1
    assert priced(line("10"), rates=[NEW_YORK], terms=found).tax == 0
    assert noted(line("10"), rates=[NEW_YORK], terms=found)["tax_exempt"].setting == "Resellers.tax_exempt"


def test_what_ships_nothing_is_not_changed_by_it() -> None:
    assert priced(line("10", of=item(pounds="0")), terms=terms(free_shipping=True)).total == 10
