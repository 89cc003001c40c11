"""What one approved rebill costs in DynamoDB's units and round trips: three lines, one endpoint, one receipt.

Counted by the rules of stores/units.py on the embedded engine; nothing here is timed.
"""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.items import Item, ItemAutoOrder, ItemPhysical, ItemPricing, ItemShipping, Weight
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.webhooks import Webhook
from chalicelib.flows.deliver import register
from chalicelib.flows.rebill import rebill
from chalicelib.flows.sweep import sweep
from chalicelib.flows.tell import tell
from chalicelib.stores.port import Call, TablePort
from chalicelib.stores.units import record_bytes
from tests.balances import a_customer_with, more_credit
from tests.worlds import World

# What a rebill with one hold may cost more: its claim is a transaction of head and ledger, its settling moves the
# ledger too and appends an entry. Each reads the ledger first; so does the plan, once it knows whose
# it is; and that customer has a profile, which is read for its terms.
HOLD_WRITES = 8
# Less than such a rebill costs: the card pays the rest.
SOME_CREDIT = "30"
HOLD_READS = 5
# The budget (docs/architecture.md): the sweep's push, the claim and the settling; then telling everybody.
WRITES_BESIDE_THE_ORDER = 14
WRITES_A_KILOBYTE_OF_ORDER = 2
TELLING = 12
READS_COLD = 8
READS_WARM = 5
ROUND_TRIPS_THAT_WRITE = 3
GATEWAY_CALLS = 1
# A mail that is planned stands in the due index too, one that is kept back does not.
A_NOTICE, A_SKIP = 2, 1
# A visit that finds nothing to do: the sweep's push, and the head's next look.
A_LOOK = 6

# What an auto order of three lines takes of each month.
LINES: dict[str, str | None] = {f"ROAST-{number}": "Monthly" for number in range(3)}


class Counted(msgspec.Struct, kw_only=True, frozen=True):
    """The calls of one rebill: ``charging`` from the push to the settling, ``telling`` what the outbox does after it;
    ``kilobytes`` of its order, ``reads_warm`` of the next one in the same function, ``posts`` to the gateway."""

    charging: list[Call]
    telling: list[Call]
    kilobytes: int
    reads_warm: float
    posts: int

    def writing(self) -> list[str]:
        """The round trips that write, by their verbs."""
        return [call.verb for call in self.charging if call.writes]

    def writes(self) -> float:
        return sum(call.writes for call in self.charging)

    def writes_allowed(self) -> int:
        return WRITES_BESIDE_THE_ORDER + WRITES_A_KILOBYTE_OF_ORDER * self.kilobytes

    def writes_to_tell(self) -> float:
        return sum(call.writes for call in self.telling)

    def reads_cold(self) -> float:
        return sum(call.reads for call in self.charging)


def counted(**rules: bool) -> Counted:
    world, oid = a_world_with_three_lines(suppress_easy_cancel_emails=True, **rules)
    listen(world)
    taken(world.tables)
    sweep(world.backroom)
    pushed = [call for call in taken(world.tables) if call.writes]
    before = world.sandbox.posts()
    rebill(world.shop, oid)
    posts = world.sandbox.posts() - before
    billed = taken(world.tables)
    if rules.get("use_store_credit_for_rebills"):
        more_credit(world, SOME_CREDIT)  # for the next one, which is read warm
    order = world.rebills(oid)[0]
    record = world.tables.get("orders", f"DEMO#{order.order_id}", "document")
    assert record is not None
    return Counted(
        charging=[*pushed, *billed],
        telling=told(world),
        kilobytes=-(-record_bytes(record) // 1024),
        reads_warm=_warm_reads(world),
        posts=posts,
    )


def told(world: World) -> list[Call]:
    """What telling the newest event takes."""
    event = world.due("events")[-1]
    taken(world.tables)
    tell(world.shop, event.subject)
    return taken(world.tables)


def a_world_with_three_lines(**rules: bool) -> tuple[World, int]:
    """A shop that sends receipts, with one auto order that is due."""
    world = World().open(**rules)
    sell_roasts(world)
    send_receipts(world)
    if rules.get("use_store_credit_for_rebills"):
        a_customer_with(world, SOME_CREDIT)
    oid = world.subscribe(LINES)
    world.tell_all()
    due = world.next_due()
    assert due is not None
    world.clock.go(due)
    return world, oid


def sell_roasts(world: World) -> None:
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


def send_receipts(world: World) -> None:
    """Without an address to send from, a receipt is kept back, which is cheaper."""
    standing = world.shop.configuration.section(Merchant)
    sender = replace(standing.noun, sender_email="shop@example.com")
    world.shop.write(world.shop.configuration.save(sender, standing.version))


def listen(world: World) -> None:
    """One endpoint that wants to know of rebills."""
    raw = {
        "webhook_url": "https://receiver.example.com/hooks",
        "authentication_type": "none",
        "event_categories": [
            {"event_category": "auto_order", "events": [{"event_name": "auto_order_rebill", "subscribed": True}]}
        ],
    }
    register(world.shop, wire.noun(raw, Webhook))


def taken(port: TablePort) -> list[Call]:
    """The calls since the last time."""
    calls = list(port.meter.calls)
    port.meter.reset()
    return calls


def _warm_reads(world: World) -> float:
    """What the next rebill of the same shop reads, in a function that has just done one."""
    other = world.subscribe(LINES)
    world.clock.go(world.bills_at(other))
    world.shop.configuration.price_list([], [])
    taken(world.tables)
    rebill(world.shop, other)
    return sum(call.reads for call in taken(world.tables))
