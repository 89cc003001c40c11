"""Which gateway account takes a charge: the nine rules, a table for each, and chance that a charge throws itself."""

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.errors import Invalid
from chalicelib.domain.payments import StoredCard
from chalicelib.domain.rotating import (
    RotatingGateway,
    RotatingGateways,
    Usage,
    Wanted,
    choose,
    is_last,
    may_cascade,
    needs_usage,
    validate,
)

MONDAY = date(2027, 2, 1)


def stored(*codes: str) -> list[StoredCard]:
    return [StoredCard(gateway=code, reference=f"{code}-card", fingerprint="f") for code in codes]


def wanted(**more: Any) -> Wanted:
    given: dict[str, Any] = {
        "subject": "auto_order#5",
        "run": 1,
        "round": 0,
        "day": MONDAY,
        "total": Decimal("20.00"),
        "currency": "USD",
        "cards": stored("a", "b", "c"),
        "card_type": "VISA",
    }
    return Wanted(**given | more)


def rotation(**profiles: dict[str, Any]) -> RotatingGateways:
    return RotatingGateways(gateways=[RotatingGateway(code=code, **rules) for code, rules in profiles.items()])


def reachable(profiles: RotatingGateways, usage: dict[str, Usage] | None = None, **more: Any) -> set[str]:
    """Every account that some charge would go to."""
    found = set()
    for run in range(200):
        chosen = choose(profiles, usage or {}, wanted(**more | {"run": run}))
        assert chosen is not None
        found.add(chosen.card.gateway)
    return found


def notes(profiles: RotatingGateways, usage: dict[str, Usage] | None = None, **more: Any) -> list[str]:
    chosen = choose(profiles, usage or {}, wanted(**more))
    assert chosen is not None
    return [note[0] for note in chosen.notes]


# Rule 1: all active ones; standby ones where none is; all where none is either.


@pytest.mark.parametrize(
    ("statuses", "codes"),
    [
        ("active active standby", {"a", "b"}),
        ("inactive standby standby", {"b", "c"}),
        ("inactive inactive inactive", {"a", "b", "c"}),
        ("inactive active inactive", {"b"}),
    ],
)
def test_active_accounts_take_charges_and_standby_ones_only_while_none_is(statuses: str, codes: set[str]) -> None:
    a, b, c = statuses.split()
    assert reachable(rotation(a={"status": a}, b={"status": b}, c={"status": c})) == codes


# Rule 2: the original order's account, where the merchant keeps rebills there.


@pytest.mark.parametrize(
    ("more", "codes"),
    [
        ({"auto_order": True, "same": True, "original": "b"}, {"b"}),
        ({"auto_order": True, "same": False, "original": "b"}, {"a", "b"}),
        ({"auto_order": False, "same": True, "original": "b"}, {"a", "b"}),
        ({"auto_order": True, "same": True, "original": "gone"}, {"a", "b"}),
    ],
)
def test_rebills_stay_at_the_account_of_the_original_order_where_the_merchant_wants_it(
    more: dict[str, Any], codes: set[str]
) -> None:
    assert reachable(rotation(a={}, b={}), **more) == codes


def test_rebills_go_where_the_account_that_took_the_first_payment_sends_them() -> None:
    profiles = rotation(a={"rebill_auto_orders_against_this_rtg_code": "b"}, b={}, c={})
    assert reachable(profiles, auto_order=True, original="a") == {"b"}
    assert reachable(profiles, auto_order=False, original="a") == {"a", "b", "c"}


# Rules 3, 4 and 5: an account that the cart names, then one that an item names; neither where it takes no such card.


@pytest.mark.parametrize(
    ("more", "codes"),
    [
        ({"named": "b"}, {"b"}),
        ({"named": "b", "of_items": ["c"]}, {"b"}),
        ({"of_items": ["c", "a"]}, {"c"}),
        ({"of_items": ["gone", "c"]}, {"c"}),
        ({"named": "b", "card_type": "AMEX"}, {"a", "c"}),
        ({"of_items": ["b"], "card_type": "AMEX"}, {"a", "c"}),
    ],
)
def test_a_named_account_takes_the_charge_unless_it_does_not_take_the_card(
    more: dict[str, Any], codes: set[str]
) -> None:
    assert reachable(rotation(a={}, b={"credit_cards": ["VISA"]}, c={}), **more) == codes


# Rule 6: storefronts. Rule 7: limits, dates, totals. Rule 8: currency. Rule 9: everything kept out is nothing kept out.


@pytest.mark.parametrize(
    ("theme", "codes"), [("BLUE", {"a", "b"}), ("RED", {"a"}), (None, {"a"})]
)  # fmt: skip
def test_an_account_for_some_storefronts_charges_for_no_other(theme: str | None, codes: set[str]) -> None:
    assert reachable(rotation(a={}, b={"themes": ["BLUE"]}), theme=theme) == codes


@pytest.mark.parametrize(
    ("rules", "used", "kept_out"),
    [
        ({"maximum_daily": Decimal(100)}, Usage(daily=Decimal("80.00")), False),
        ({"maximum_daily": Decimal(100)}, Usage(daily=Decimal("80.01")), True),
        ({"maximum_monthly": Decimal(100)}, Usage(monthly=Decimal("80.01")), True),
        ({"maximum_daily_auto_order": Decimal(100)}, Usage(daily_auto_order=Decimal("80.01")), True),
        ({"deactivate_after_failures": 3}, Usage(failures=2), False),
        ({"deactivate_after_failures": 3}, Usage(failures=3), True),
        ({"start_date": date(2027, 2, 2)}, Usage(), True),
        ({"end_date": date(2027, 2, 1)}, Usage(), False),
        ({"end_date": date(2027, 1, 31)}, Usage(), True),
        ({"days_of_week": ["Monday"]}, Usage(), False),
        ({"days_of_week": ["Tuesday"]}, Usage(), True),
        ({"order_total": Decimal(20), "order_total_comparison": ">="}, Usage(), False),
        ({"order_total": Decimal(20), "order_total_comparison": ">"}, Usage(), True),
        ({"credit_cards": ["MasterCard"]}, Usage(), True),
    ],
)
def test_an_account_that_is_over_a_limit_takes_no_charge(rules: dict[str, Any], used: Usage, kept_out: bool) -> None:
    found = reachable(rotation(a=rules, b={}), {"a": used}, auto_order=True)
    assert found == ({"b"} if kept_out else {"a", "b"})


def test_the_limit_of_auto_orders_does_not_hold_for_first_payments() -> None:
    profiles = rotation(a={"maximum_daily_auto_order": Decimal(1)}, b={})
    assert reachable(profiles, auto_order=False) == {"a", "b"}


@pytest.mark.parametrize(("currency", "codes"), [("EUR", {"b"}), ("GBP", {"b"}), ("USD", {"a"}), ("JPY", {"a", "b"})])
def test_an_account_that_settles_the_currency_as_it_is_goes_first(currency: str, codes: set[str]) -> None:
    profiles = rotation(
        a={"base_currency_code": "USD"}, b={"base_currency_code": "EUR", "additional_native_currency_codes": ["GBP"]}
    )
    assert reachable(profiles, currency=currency) == codes


def test_rebills_go_to_accounts_that_are_preferred_for_them() -> None:
    profiles = rotation(a={}, b={"preferred_for_auto_orders": True})
    assert reachable(profiles, auto_order=True) == {"b"}
    assert reachable(profiles, auto_order=False) == {"a", "b"}


def test_where_every_account_is_kept_out_all_active_ones_take_charges() -> None:
    profiles = rotation(a={"maximum_daily": Decimal(1)}, b={"themes": ["BLUE"]}, c={"status": "standby"})
    assert reachable(profiles) == {"a", "b"}
    assert "all_gateways_kept_out" in notes(profiles)


# Chance, and what is not in the rotation.


def test_traffic_goes_by_shares() -> None:
    profiles = rotation(
        a={"traffic_percentage": Decimal(75)},
        b={"traffic_percentage": Decimal(25)},
        c={"traffic_percentage": Decimal(0)},
    )
    found: Counter[str] = Counter()
    for run in range(2000):
        chosen = choose(profiles, {}, wanted(run=run))
        assert chosen is not None
        found[chosen.card.gateway] += 1
    assert found["c"] == 0
    assert 0.70 < found["a"] / 2000 < 0.80


def test_the_same_charge_chooses_the_same_account() -> None:
    profiles = rotation(a={}, b={}, c={})
    assert len({str(choose(profiles, {}, wanted())) for _ in range(5)}) == 1


def test_an_account_that_does_not_store_the_card_cannot_take_the_charge() -> None:
    assert reachable(rotation(a={}, b={}), cards=stored("b")) == {"b"}
    assert reachable(rotation(a={}), cards=stored("elsewhere")) == {"elsewhere"}


def test_without_a_card_there_is_nothing_to_choose() -> None:
    assert choose(rotation(a={}), {}, wanted(cards=[])) is None
    assert choose(rotation(a={}), {}, wanted(cards=stored("a"), tried=["a"])) is None


def test_after_a_decline_another_account_is_asked_the_named_one_first() -> None:
    profiles = rotation(a={"cascade_code": "c"}, b={}, c={})
    assert reachable(profiles, tried=["a"]) == {"c"}
    assert reachable(profiles, tried=["a", "c"]) == {"b"}


def test_some_declines_are_not_passed_on_and_some_are_worth_no_retry() -> None:
    profiles = rotation(
        a={"prevent_cascade_if_response_values": ["41"]}, b={"auto_order_cancel_unless_response_values": ["51"]}
    )
    assert (may_cascade(profiles, "a", "05"), may_cascade(profiles, "a", "41")) == (True, False)
    assert not may_cascade(profiles, "elsewhere", "05")
    assert (is_last(profiles, "b", "51"), is_last(profiles, "b", "05"), is_last(profiles, "a", "05")) == (
        False,
        True,
        False,
    )


def test_usage_is_read_only_where_a_profile_has_a_limit() -> None:
    assert not needs_usage(rotation(a={}, b={"traffic_percentage": Decimal(5)}))
    assert needs_usage(rotation(a={}, b={"deactivate_after_failures": 5}))


@pytest.mark.parametrize(
    ("profiles", "pointers"),
    [
        (RotatingGateways(gateways=[RotatingGateway(code="a"), RotatingGateway(code="a")]), ["/gateways/1/code"]),
        (rotation(a={"cascade_code": "x"}), ["/gateways/0/cascade_code"]),
        (rotation(a={"cascade_code": "a"}), ["/gateways/0/cascade_code"]),
        (rotation(a={"rebill_auto_orders_against_this_rtg_code": "x"}),
         ["/gateways/0/rebill_auto_orders_against_this_rtg_code"]),
        (rotation(a={"order_total": Decimal(5)}), ["/gateways/0/order_total_comparison"]),
        (rotation(a={"start_date": date(2027, 2, 2), "end_date": date(2027, 2, 1)}), ["/gateways/0/end_date"]),
    ],
)  # fmt: skip
def test_a_rotation_that_cannot_be_is_refused_by_name(profiles: RotatingGateways, pointers: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        validate(profiles)
    assert [problem.pointer for problem in refused.value.problems] == pointers
