"""Items' own rules: what a step may say, and which other items an item may name."""

from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.dates import parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.items import (
    Item,
    ItemAutoOrder,
    ItemAutoOrderStep,
    ItemAutoOrderStepArbitraryUnitCostSchedule,
    ItemAutoOrderStepGrandfatherPricing,
    validate,
)

DAY = parse_instant("2027-06-01T00:00:00-04:00")


def rebill(**more: Any) -> ItemAutoOrderStep:
    return ItemAutoOrderStep(**({"type": "item", "recurring_merchant_item_id": "TEA", "schedule": "Monthly"} | more))


def until(**more: Any) -> ItemAutoOrderStep:
    return ItemAutoOrderStep(type="pause until", **more)


def by_retry(*rows: tuple[Any, Any]) -> list[ItemAutoOrderStepArbitraryUnitCostSchedule]:
    return [
        ItemAutoOrderStepArbitraryUnitCostSchedule(retry_days=days, arbitrary_unit_cost=cost) for days, cost in rows
    ]


def by_date(*rows: tuple[Any, Any]) -> list[ItemAutoOrderStepGrandfatherPricing]:
    return [ItemAutoOrderStepGrandfatherPricing(on_or_before_date=day, unit_cost=cost) for day, cost in rows]


def problems(*steps: ItemAutoOrderStep, **tab: Any) -> dict[str, str]:
    fields = {"auto_order_upsell": True, "steps": list(steps)} if steps else {}
    try:
        validate(Item(merchant_item_id="BOX", auto_order=ItemAutoOrder(**fields, **tab)))
    except Invalid as invalid:
        return {problem.pointer.removeprefix("/auto_order/"): problem.code for problem in invalid.problems}
    return {}


@pytest.mark.parametrize(
    "steps",
    [
        [rebill()],
        [rebill(repeat_count=2), rebill(recurring_merchant_item_id="COFFEE")],
        [rebill(schedule="Every...", arbitrary_schedule_days=9)],
        [until(pause_until_date=DAY), rebill()],
        [until(pause_until_day_of_month=31, pause_until_minimum_delay_days=0), rebill(repeat_count=1),
         ItemAutoOrderStep(type="loop")],
        [rebill(type="kit only", repeat_count=1), rebill(managed_by="The club")],
        [rebill(arbitrary_unit_cost_schedules=by_retry((3, 8), (6, 5)), grandfather_pricing=by_date((DAY, 7)))],
    ],
)  # fmt: skip
def test_what_a_programme_may_be_made_of(steps: list[ItemAutoOrderStep]) -> None:
    assert problems(*steps) == {}


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ([rebill(type=None)], {"steps/0/type": "required"}),
        ([rebill(type="kit only", schedule=None)], {"steps/0/schedule": "required"}),
        ([rebill(schedule="Every...")], {"steps/0/arbitrary_schedule_days": "required"}),
        ([rebill(), rebill()], {"steps/0/repeat_count": "required"}),
        ([until(), rebill()], {"steps/0/pause_until_date": "required"}),
        ([until(pause_until_date=DAY, pause_until_day_of_month=1)], {"steps/0/pause_until_date": "conflict"}),
        ([until(pause_until_date=DAY, pause_until_minimum_delay_days=3)],
         {"steps/0/pause_until_minimum_delay_days": "conflict"}),
        ([until(pause_until_date=parse_instant("2200-01-02T00:00:00Z"))], {"steps/0/pause_until_date": "out_of_range"}),
        ([rebill(pause_until_date=DAY)], {"steps/0/pause_until_date": "conflict"}),
        ([ItemAutoOrderStep(type="pause", pause_days=3, arbitrary_unit_cost=Decimal(1))],
         {"steps/0/arbitrary_unit_cost": "conflict"}),
        ([ItemAutoOrderStep(type="pause")], {"steps/0/pause_days": "required"}),
        ([ItemAutoOrderStep(type="loop"), rebill()], {"steps/0/type": "conflict"}),
        ([rebill(arbitrary_unit_cost_schedules=by_retry((None, 8), (3, None), (3, 7)))],
         {"steps/0/arbitrary_unit_cost_schedules/0/retry_days": "required",
          "steps/0/arbitrary_unit_cost_schedules/1/arbitrary_unit_cost": "required",
          "steps/0/arbitrary_unit_cost_schedules/2/retry_days": "conflict"}),
        ([rebill(grandfather_pricing=by_date((None, 8), (DAY, None), (DAY, 7)))],
         {"steps/0/grandfather_pricing/0/on_or_before_date": "required",
          "steps/0/grandfather_pricing/1/unit_cost": "required",
          "steps/0/grandfather_pricing/2/on_or_before_date": "conflict"}),
    ],
)  # fmt: skip
def test_a_step_that_cannot_be_is_refused_by_name(steps: list[ItemAutoOrderStep], found: dict[str, str]) -> None:
    assert problems(*steps) == found


def test_an_item_is_no_upgrade_of_itself_and_another_is_an_upgrade_or_a_downgrade() -> None:
    assert problems(auto_order_upgrade_items=["BIG"], auto_order_downgrade_items=["SMALL"]) == {}
    assert problems(auto_order_upgrade_items=["BOX", "BIG"], auto_order_downgrade_items=["BIG"]) == {
        "auto_order_upgrade_items/0": "conflict",
        "auto_order_downgrade_items/0": "conflict",
    }


@pytest.mark.parametrize(
    "name", ["auto_order_paused", "auto_order_upsell_one_per_customer", "cancel_other_auto_orders"]
)
def test_these_rules_may_be_switched_on(name: str) -> None:
    assert problems(**{name: True}) == {}


@pytest.mark.parametrize("name", ["auto_order_cancel_item_oid"])
def test_a_rule_that_is_not_built_yet_is_refused_by_name(name: str) -> None:
    assert problems(**{name: True}) == {name: "not_available"}


def test_steps_for_buyers_of_kits_are_passed_over() -> None:
    kit, own = rebill(type="kit only", repeat_count=2), rebill()
    tab = ItemAutoOrder(auto_order_upsell=True, steps=[kit, own])
    item = Item(merchant_item_id="BOX", auto_order=tab)
    assert (item.steps(), item.steps_for_kits()) == ([own], [kit])
