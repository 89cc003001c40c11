"""What a sweep costs does not depend on how many auto orders the shop has, only on how many are due."""

import pytest

from tests.bench.sweeping import DUE, FEW, MANY, Swept, swept

# A sweep may cost so much more, relatively, in a shop of twenty times the size.
TOLERANCE = 0.10


@pytest.fixture(scope="module")
def few() -> Swept:
    return swept(FEW)


@pytest.fixture(scope="module")
def many() -> Swept:
    return swept(MANY)


def test_a_sweep_of_200_000_auto_orders_costs_what_a_sweep_of_10_000_costs(few: Swept, many: Swept) -> None:
    print(f"\na sweep with {DUE} due auto orders of\n{'':<22}{FEW:>10,}{MANY:>10,}")
    for name in ("reads", "writes", "round_trips"):
        one, other = getattr(few, name), getattr(many, name)
        print(f"{name.replace('_', ' '):<22}{one:>10,g}{other:>10,g}")
        assert abs(other - one) <= TOLERANCE * one
    assert few.messages == many.messages == DUE


def test_a_sweep_pays_for_what_is_due_alone(many: Swept) -> None:
    """A push moves a record in its index: one unit for the record, two for the index. Nothing else is written; a shard
    is asked once, and an empty answer bills half a read unit."""
    assert many.writes == 3 * DUE
    assert many.reads <= 2 * 16 * 1.0
