"""What one approved rebill costs in DynamoDB's units and round trips, itemised and held against the budget."""

from collections.abc import Iterable

from chalicelib.flows.rebill import rebill
from chalicelib.flows.sweep import sweep
from chalicelib.stores.port import Call
from tests.bench import counting
from tests.bench.counting import a_world_with_three_lines, counted, taken, told


def table(title: str, calls: Iterable[Call]) -> None:
    print(f"\n{title}\n{'call':<14}{'tables':<44}{'write units':>12}{'read units':>12}")
    for call in calls:
        print(f"{call.verb:<14}{', '.join(call.tables):<44}{call.writes:>12g}{call.reads:>12g}")


def test_an_approved_rebill_keeps_its_budget_of_units_and_round_trips() -> None:
    cost = counted()
    table(f"one approved rebill, its order of {cost.kilobytes} KB", cost.charging)
    table("telling: list rows, day row, one endpoint, one receipt", cost.telling)
    writes, telling = cost.writes(), cost.writes_to_tell()
    print(f"\nwrite units {writes:g} of {cost.writes_allowed()}; telling {telling:g} of {counting.TELLING}")
    print(f"read units cold {cost.reads_cold():g} of {counting.READS_COLD}, ", end="")
    print(f"warm {cost.reads_warm:g} of {counting.READS_WARM}")
    assert len(cost.writing()) == counting.ROUND_TRIPS_THAT_WRITE
    assert cost.writing() == ["update", "update", "transaction"]
    assert writes <= cost.writes_allowed()
    assert telling <= counting.TELLING
    assert cost.reads_cold() <= counting.READS_COLD
    assert cost.reads_warm <= counting.READS_WARM
    assert cost.posts == counting.GATEWAY_CALLS


def test_a_rebill_with_one_hold_keeps_a_budget_of_its_own() -> None:
    cost = counted(use_store_credit_for_rebills=True)
    table(f"one approved rebill, partly paid with store credit, its order of {cost.kilobytes} KB", cost.charging)
    writes, reads = cost.writes_allowed() + counting.HOLD_WRITES, counting.HOLD_READS
    print(f"\nwrite units {cost.writes():g} of {writes}; telling {cost.writes_to_tell():g} of {counting.TELLING}")
    print(f"read units cold {cost.reads_cold():g} of {counting.READS_COLD + reads}, ", end="")
    print(f"warm {cost.reads_warm:g} of {counting.READS_WARM + reads}")
    assert cost.writing() == ["update", "transaction", "transaction"]
    assert cost.writes() <= writes
    assert cost.writes_to_tell() <= counting.TELLING
    assert cost.reads_cold() <= counting.READS_COLD + reads
    assert cost.reads_warm <= counting.READS_WARM + reads
    assert cost.posts == counting.GATEWAY_CALLS


def test_a_second_mail_with_a_cancel_link_costs_what_a_notice_costs_more_than_its_being_suppressed() -> None:
    units = []
    for suppressed in (True, False):
        world, oid = a_world_with_three_lines(suppress_easy_cancel_emails=suppressed)
        rebill(world.shop, oid)
        units.append(writes_of(told(world)))
    without, with_it = units
    print(f"\ntelling with the easy-cancel mail suppressed {without:g} write units, with it {with_it:g}")
    assert with_it - without == counting.A_NOTICE - counting.A_SKIP


def test_a_look_a_week_ahead_that_finds_nothing_to_tell_keeps_its_units() -> None:
    world, oid = a_world_with_three_lines()
    rebill(world.shop, oid)
    look = world.head(oid).due_dts
    assert look is not None
    assert look < world.bills_at(oid)
    world.clock.go(look)
    taken(world.tables)
    sweep(world.backroom)
    pushed = [call for call in taken(world.tables) if call.writes]
    rebill(world.shop, oid)
    looked = taken(world.tables)
    table("a look a week ahead, at prices that have not risen", [*pushed, *looked])
    assert writes_of([*pushed, *looked]) <= counting.A_LOOK
    assert sum(call.reads for call in looked) <= counting.READS_COLD


def writes_of(calls: Iterable[Call]) -> float:
    return sum(call.writes for call in calls)


def test_the_sweep_reads_nothing_for_what_is_not_due() -> None:
    world, _ = a_world_with_three_lines()
    for _ in range(30):
        world.subscribe()
    world.clock.moment = world.clock.moment.replace(month=2, day=1)
    taken(world.tables)
    assert sweep(world.backroom) == 0
    # An empty query bills half a unit, whatever stands in the table.
    assert all(call.reads == 0.5 for call in taken(world.tables))
