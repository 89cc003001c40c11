"""What a million rebills cost at list prices, everything that is counted."""

from tests.bench import costs


def test_the_units_of_a_million_rebills_cost_no_more_than_the_design_counts_on() -> None:
    """The sweep, the rebill and the outbox; what functions wait for is assumed, so no test holds it."""
    stages = costs.stages()
    print(f"\na million rebills{'write units':>38}{'read units':>12}{'dollars':>10}")
    for stage in stages:
        print(f"{stage.name:<43}{stage.writes:>12g}{stage.reads:>12.3g}{stage.dollars():>10.2f}")
    print(f"{'the first three, which the design counts':<67}{costs.total(costs.designed(stages)):>10.2f}")
    print(f"{'all of it, function time assumed':<67}{costs.total(stages):>10.2f}")
    assert sum(stage.database_dollars() for stage in costs.designed(stages)) <= costs.DESIGNED_DOLLARS
