"""Three years of 200 auto orders under mixed rules, by the test clock; played twice, to the same digest."""

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.items import ItemAutoOrder, ItemAutoOrderStep
from chalicelib.domain.payments import Charge
from chalicelib.domain.schedule import DAYS, MONTHS
from chalicelib.flows import edit
from chalicelib.flows.travel import advance
from chalicelib.gateways.sandbox import Behaviour
from tests.flows.test_travel import travelling
from tests.worlds import World

YEARS = (365, 365, 366)
AUTO_ORDERS = 50
LARGEST_OID = 2**31 - 1
# Each of these shops has its rules; together they switch every rule of processing on somewhere.
SHOPS: dict[str, dict[str, Any]] = {
    "strict": {"number_of_retries": 2, "delay_between_retries_days": 1, "do_not_bill_prior_missed_shipments": True},
    "patient": {"number_of_retries": 5, "window_start": "22:00", "window_end": "04:00"},
    "collecting": {"send_failures_to_accounts_receivable": True, "number_of_retries": 1, "skip_receipt_email": True},
    "leaving": {
        "try_cancel_item_after_max_retries": True,
        "suppress_easy_cancel_emails": True,
        "skip_problem_emails": True,
        "ship_via_lowest_cost_method": True,
    },
}
# Weekly ones are rare: three years of all would be a test of patience.
FREQUENCIES = [name for name in MONTHS if name != "Monthly"] * 4 + ["Monthly", *DAYS]


def moods(seed: int) -> Any:
    """Banks that decline one charge in twelve, softly; the same charge meets the same mood."""

    def behave(charge: Charge, posts: int) -> Behaviour | None:
        if charge.first:
            return None
        return "insufficient_funds" if random.Random(f"{seed}{charge.key}").random() < 1 / 12 else None

    return behave


def numbers(seed: int) -> Iterator[int]:
    chance = random.Random(seed)
    while True:
        yield chance.randint(1, LARGEST_OID)


def opened(seed: int, rules: dict[str, Any]) -> tuple[World, list[int]]:
    chance = random.Random(seed)
    world = World(behave=moods(seed)).open(**rules)
    oids = numbers(seed)
    world.house.oids = lambda: oids
    schedules = [*MONTHS, *DAYS]
    world.sell("FEE", "5.00", ItemAutoOrder())
    world.sell(
        "PLAN",
        "12.00",
        ItemAutoOrder(
            auto_orderable=True,
            auto_order_schedules=schedules,  # type: ignore[arg-type]  # names of frequencies
            auto_order_cancel_item_id="FEE",
            auto_order_cancel_minimum_rebill_count=2,
        ),
    )
    world.sell("BOX", "20.00", programme())
    found = []
    for number in range(AUTO_ORDERS):
        item = ("PLAN", "BOX")[number % 5 == 0]
        found.append(world.subscribe({item: None if item == "BOX" else chance.choice(FREQUENCIES)}))
        world.tell_all()
        world.clock.pass_(hours=11)
    for oid in chance.sample(found, 10):
        change = chance.choice([{"cancel_after_next_x_orders": 4}, {"enabled": False, "canceled_by_user": "jane"}])
        edit.update(world.shop, oid, change)
    return world, found


def programme() -> ItemAutoOrder:
    """A trial box, a pause, then quarterly boxes."""
    return ItemAutoOrder(
        auto_order_upsell=True,
        steps=[
            ItemAutoOrderStep(
                type="item",
                recurring_merchant_item_id="BOX",
                schedule="Monthly",
                repeat_count=1,
                arbitrary_unit_cost=Decimal("1.00"),
            ),
            ItemAutoOrderStep(type="pause", pause_days=20),
            ItemAutoOrderStep(type="item", recurring_merchant_item_id="BOX", schedule="Every 3 Months"),
        ],
    )


def three_years(seed: int, rules: dict[str, Any]) -> tuple[list[str], int]:
    world, oids = opened(seed, rules)
    shop, _ = travelling(world)
    years = [advance(shop, {"advance_days": days}) for days in YEARS]
    assert not any(year["stuck"] for year in years)
    world.check(*oids)
    return [year["digest"] for year in years], sum(year["number_of_orders"] for year in years)


@pytest.mark.parametrize("name", SHOPS)
def test_three_years_go_by_without_a_double_charge_and_twice_the_same(name: str) -> None:
    seed = list(SHOPS).index(name)
    digests, orders = three_years(seed, SHOPS[name])
    assert (digests, orders) == three_years(seed, SHOPS[name])
    assert orders > AUTO_ORDERS
    print(f"{name}: {AUTO_ORDERS} auto orders, three years, {orders} rebills, digest {digests[-1][:12]}")
