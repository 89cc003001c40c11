"""What one approved rebill costs in DynamoDB's units and round trips, itemised and held against the budget.

Counted by the rules of stores/units.py on the embedded engine; nothing here is timed.
"""

from collections.abc import Iterable
from decimal import Decimal

from chalicelib.domain.items import Item, ItemAutoOrder, ItemPhysical, ItemPricing, ItemShipping, Weight
from chalicelib.domain.webhooks import Webhook
from chalicelib.flows.rebill import rebill
from chalicelib.flows.sweep import sweep
from chalicelib.flows.tell import tell
from chalicelib.stores.port import Call, TablePort
from chalicelib.stores.units import record_bytes
from tests.worlds import World

# The budget (docs/architecture.md): the sweep's push, the claim and the settling; then telling everybody.
WRITES_BESIDE_THE_ORDER = 14
WRITES_A_KILOBYTE_OF_ORDER = 2
TELLING = 12
READS_COLD = 8
READS_WARM = 5
ROUND_TRIPS_THAT_WRITE = 3


def a_world_with_three_lines() -> tuple[World, int]:
    world = World().open()
    for number in range(3):
        item = Item(
            merchant_item_id=f"ROAST-{number}",
            merchant_item_oid=500 + number,
            description=f"Single origin roast number {number}, 12 oz bag",
            pricing=ItemPricing(cost=Decimal("14.95")),
            physical=ItemPhysical(weight=Weight(uom="LB", value=Decimal("0.75"))),
            shipping=ItemShipping(),
            auto_order=ItemAutoOrder(auto_orderable=True, auto_order_schedules=["Monthly"]),
        )
        world.shop.write(world.shop.items.inserted(item.merchant_item_id, item))
    oid = world.subscribe({f"ROAST-{number}": "Monthly" for number in range(3)})
    world.tell_all()
    due = world.next_due()
    assert due is not None
    world.clock.go(due)
    return world, oid


def listen(world: World) -> None:
    """One endpoint that wants to know of rebills."""
    raw = {
        "webhook_url": "https://receiver.example.com/hooks",
        "authentication_type": "none",
        "event_categories": [
            {"event_category": "auto_order", "events": [{"event_name": "auto_order_rebill", "subscribed": True}]}
        ],
    }
    from chalicelib.domain import wire
    from chalicelib.flows.deliver import register

    register(world.shop, wire.noun(raw, Webhook))


def table(title: str, calls: Iterable[Call]) -> None:
    print(f"\n{title}\n{'call':<14}{'tables':<44}{'write units':>12}{'read units':>12}")
    for call in calls:
        print(f"{call.verb:<14}{', '.join(call.tables):<44}{call.writes:>12g}{call.reads:>12g}")


def taken(port: TablePort) -> list[Call]:
    calls = list(port.meter.calls)
    port.meter.reset()
    return calls


def warm_reads(world: World) -> float:
    """What the next rebill of the same shop reads, in a function that has just done one."""
    other = world.subscribe({f"ROAST-{number}": "Monthly" for number in range(3)})
    due = world.head(other).due_dts
    assert due is not None
    world.clock.go(due)
    world.shop.configuration.price_list([], [])
    taken(world.tables)
    rebill(world.shop, other)
    return sum(call.reads for call in taken(world.tables))


def test_an_approved_rebill_keeps_its_budget_of_units_and_round_trips() -> None:
    world, oid = a_world_with_three_lines()
    listen(world)
    taken(world.tables)
    sweep(world.backroom)
    swept = taken(world.tables)
    before = world.sandbox.posts()
    rebill(world.shop, oid)
    posts = world.sandbox.posts() - before
    billed = taken(world.tables)
    order = world.rebills(oid)[0]
    record = world.tables.get("orders", f"DEMO#{order.order_id}", "document")
    assert record is not None
    kilobytes = -(-record_bytes(record) // 1024)
    taken(world.tables)
    event = world.due("events")[-1]
    taken(world.tables)
    tell(world.shop, event.subject)
    told = taken(world.tables)

    pushed = [call for call in swept if call.writes]
    charging = [*pushed, *billed]
    table(f"one approved rebill, its order of {kilobytes} KB", charging)
    table("telling: list rows, day row, one endpoint, one notice", told)
    writes = sum(call.writes for call in charging)
    telling = sum(call.writes for call in told)
    reads = sum(call.reads for call in billed)
    warm = warm_reads(world)
    allowed = WRITES_BESIDE_THE_ORDER + WRITES_A_KILOBYTE_OF_ORDER * kilobytes
    print(f"\nwrite units {writes:g} of {allowed}; telling {telling:g} of {TELLING}")
    print(f"read units cold {reads:g} of {READS_COLD}, warm {warm:g} of {READS_WARM}")
    assert len([call for call in charging if call.writes]) == ROUND_TRIPS_THAT_WRITE
    assert [call.verb for call in charging if call.writes] == ["update", "update", "transaction"]
    assert writes <= allowed
    assert telling <= TELLING
    assert reads <= READS_COLD
    assert warm <= READS_WARM
    assert posts == 1


def test_the_sweep_reads_nothing_for_what_is_not_due() -> None:
    world, _ = a_world_with_three_lines()
    for _ in range(30):
        world.subscribe()
    world.clock.moment = world.clock.moment.replace(month=2, day=1)
    taken(world.tables)
    assert sweep(world.backroom) == 0
    # An empty query bills half a unit, whatever stands in the table.
    assert all(call.reads == 0.5 for call in taken(world.tables))
