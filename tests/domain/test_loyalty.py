"""The loyalty programme: what is earned, what a refund leaves of it, and who is in which tier."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import loyalty, wire
from chalicelib.domain.dates import parse_instant
from chalicelib.domain.drafts import made
from chalicelib.domain.errors import Invalid
from chalicelib.domain.loyalty import LoyaltyProgram, LoyaltyTier
from chalicelib.domain.money import Currency
from chalicelib.domain.orders import Order, OrderPayment, OrderSummary

NOON = parse_instant("2027-01-31T12:00:00-05:00")
NEW_YORK = "America/New_York"
TODAY = date(2027, 6, 30)


def an_order(subtotal: str, *, refunded: str = "0", total: str | None = None, **summary: str) -> Order:
    figures = {"subtotal": subtotal, "total": total or subtotal, "total_refunded": refunded, **summary}
    return Order(
        summary=OrderSummary(**{name: Currency(value) for name, value in figures.items()}),
        payment=OrderPayment(payment_status="Processed"),
    )


def program(**said: Any) -> LoyaltyProgram:
    return wire.noun({"active": True, **said}, LoyaltyProgram)


def earned(rate: str, base: str, **said: Any) -> Decimal:
    name = "cashback_rate" if said else "points_per_dollar"
    terms = program(**{name: Decimal(rate)}, **said)
    return loyalty.earned_of(terms, loyalty.terms_of(terms, None), Decimal(base), "USD")


def test_points_are_whole_and_rounded_down() -> None:
    assert earned("1", "17.95") == 17
    assert earned("0.5", "17.95") == 8
    assert earned("3", "0.33") == 0


def test_cashback_is_rounded_down_to_the_coin() -> None:
    assert earned("5", "17.99", reward_type="cashback") == Decimal("0.89")


def test_merchandise_after_discounts_earns_and_shipping_and_tax_do_not() -> None:
    order = an_order("50.00", subtotal_discount="10.00", total="49.95", shipping_handling_total="6.00", tax="3.95")
    assert loyalty.base_of(order) == 40


@pytest.mark.parametrize(
    ("refunded", "taken"), [("0", 0), ("50.00", 9), ("99.00", 17), ("100.00", 17), ("120.00", 17), ("0.10", 1)]
)
def test_what_stays_after_a_refund_is_rounded_down(refunded: str, taken: int) -> None:
    assert loyalty.taken_of(Decimal(17), an_order("100.00", refunded=refunded), currency=None) == taken


def test_a_third_of_what_was_paid_leaves_exactly_a_third_of_the_points() -> None:
    assert loyalty.taken_of(Decimal(207), an_order("621.00", refunded="414.00"), currency=None) == 138


@given(
    st.decimals(0, 5000, places=2),
    st.lists(st.decimals("0.01", 500, places=2), min_size=1, max_size=12),
    st.sampled_from([None, "USD", "JPY"]),
)
def test_refunds_take_back_ever_more_and_all_in_the_end(
    amount: Decimal, parts: list[Decimal], currency: str | None
) -> None:
    whole = loyalty.quantise_down(amount, currency) if currency else Decimal(int(amount))
    total, refunded, before = sum(parts, Decimal(0)), Decimal(0), Decimal(0)
    for part in parts:
        refunded += part
        order = an_order("1", total=str(total), refunded=str(refunded))
        taken = loyalty.taken_of(whole, order, currency=currency)
        coin = Decimal(1) if currency in (None, "JPY") else Decimal("0.01")
        assert before <= taken <= whole
        assert 0 <= taken - whole * refunded / total < coin
        before = taken
    assert before == whole


def test_what_vests_can_be_spent_on_its_day_and_what_expires_until_the_end_of_it() -> None:
    assert str(loyalty.vests_on(NOON, 30, NEW_YORK)) == "2027-03-02T05:00:00Z"
    assert loyalty.vests_on(NOON, 0, NEW_YORK) is None
    # The 31st of January and 60 days more: the 1st of April, whose end is in summer time.
    assert str(loyalty.expires_on(NOON, 60, NEW_YORK)) == "2027-04-02T04:00:00Z"
    assert loyalty.expires_on(NOON, 0, NEW_YORK) is None


# --- tiers -----------------------------------------------------------------------------------------------------------

TIERS = [
    {"name": "Bronze", "default_tier": True, "points_per_dollar": 1},
    {"name": "Silver", "qualify_purchase_amount": 100, "qualify_within_days": 90, "points_per_dollar": 2},
    {
        "name": "Gold",
        "qualify_purchase_amount": 500,
        "qualify_within_days": 365,
        "points_per_dollar": 3,
        "vesting_days": 0,
    },
]


def tier(*bought: tuple[int, int]) -> LoyaltyTier:
    """By purchases of (days ago, amount)."""
    found = loyalty.tier_of(program(tiers=TIERS), purchases(*bought), TODAY)
    assert found is not None
    return found


def purchases(*bought: tuple[int, int]) -> dict[date, Decimal]:
    return {TODAY - timedelta(days=ago): Decimal(amount) for ago, amount in bought}


def test_a_new_customer_is_in_the_default_tier() -> None:
    assert tier().name == "Bronze"


def test_purchases_within_the_days_make_the_highest_tier_that_they_reach() -> None:
    assert tier((0, 100)).name == "Silver"
    assert tier((0, 99)).name == "Bronze"
    assert tier((89, 100)).name == "Silver"
    assert tier((90, 100)).name == "Bronze"
    assert tier((300, 300), (10, 200)).name == "Gold"


def test_the_tiers_terms_replace_the_programmes() -> None:
    terms = loyalty.terms_of(program(points_per_dollar=1, vesting_days=30, tiers=TIERS), tier((0, 500)))
    assert (terms.rate, terms.vesting_days) == (3, 0)
    terms = loyalty.terms_of(program(points_per_dollar=1, vesting_days=30, tiers=TIERS), tier((0, 100)))
    assert (terms.rate, terms.vesting_days) == (2, 30)


def test_a_tier_ends_on_the_first_day_on_which_too_little_was_bought() -> None:
    shown = loyalty.tier_ends(program(tiers=TIERS), purchases((80, 60), (20, 60)), TODAY)
    assert shown == TODAY + timedelta(days=10)
    assert loyalty.tier_ends(program(tiers=TIERS), {}, TODAY) is None


# --- rules -----------------------------------------------------------------------------------------------------------


def problems(raw: dict[str, Any]) -> dict[str, str]:
    try:
        loyalty.validate(wire.noun(raw, LoyaltyProgram))
    except Invalid as invalid:
        return {problem.pointer: problem.code for problem in invalid.problems}
    return {}


def test_a_programme_says_everything_that_is_wrong_with_it() -> None:
    tiers = [{"name": "A", "default_tier": True}, {"name": "A", "default_tier": True}, {"name": "B"}]
    rewards = [
        {"loyalty_reward_id": "X", "points": 1, "amount": 1},
        {"loyalty_reward_id": "X", "points": 1, "reward_type": "coupon"},
    ]
    assert problems({"expiration_days": 10, "vesting_days": 10, "tiers": tiers, "rewards": rewards}) == {
        "/vesting_days": "conflict",
        "/tiers/1/name": "duplicate",
        "/tiers/1/default_tier": "conflict",
        "/tiers/2/qualify_purchase_amount": "required",
        "/rewards/1/loyalty_reward_id": "duplicate",
        "/rewards/1/coupon_code": "required",
    }


GOOD = {"description": "Goodwill", "loyalty_points": 5, "type": "Credit"}
# Every way in which a manual entry is none, in sixty bodies.
BAD: list[Any] = [
    *({name: value for name, value in GOOD.items() if name != gone} for gone in GOOD),
    *(
        GOOD | {"loyalty_points": points}
        for points in (0, 1.5, "5", True, None, [], {}, 10**9 + 1, -(10**9) - 1, 10**18, -1)
    ),
    *(GOOD | {"type": "Debit", "loyalty_points": points} for points in (1, 5, 10**9)),
    *(
        GOOD | {"type": type_}
        for type_ in ("credit", "Bonus", "", 5, None, [], "Earned", "Refund", "Expired", "Signup")
    ),
    *(GOOD | {"description": text} for text in ("", " ", "\n", "\t \n", None, 5, [], {}, "x" * 201, True)),
    *(GOOD | {"ledger_dts": dts} for dts in ("", "tomorrow", "2027-01-31", "2027-13-01T00:00:00Z", 5, True, [])),
    *(GOOD | {"notes": notes} for notes in (5, [], {}, True, "x" * 2001)),
    *(GOOD | {"order_id": order_id} for order_id in ("", "x" * 31, "a b", 5, [], "a#b")),
    *(GOOD | {name: 1} for name in ("created_by", "balance", "loyalty_ledger_oid", "by", "status")),
]


def test_there_are_sixty_bad_manual_entries() -> None:
    assert len(BAD) >= 60


@pytest.mark.parametrize("raw", BAD)
def test_a_manual_entry_needs_a_type_a_reason_and_whole_points(raw: Any) -> None:
    if None in raw.values():
        raw = {name: value for name, value in raw.items() if value is not None}
    with pytest.raises(Invalid):
        made(raw, loyalty.ManualEntry, loyalty.validate_manual)


def test_a_good_manual_entry_is_taken() -> None:
    loyalty.validate_manual(wire.noun(GOOD, loyalty.ManualEntry))
