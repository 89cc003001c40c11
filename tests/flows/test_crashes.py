"""Cut at every call of the charge flow: nobody is charged twice, nothing captured stays unrecorded, nothing is lost."""

import pytest

from chalicelib.flows.purchase import pay
from chalicelib.gateways.sandbox import PROFILES
from chalicelib.stores.sqlite import SqliteTables
from tests.cutting import SIDES, Crash, CutGateway, CutPort, Scissors, Side
from tests.worlds import World

# After a crash the next sweep comes with the lease's end; two days cover every wait of the resolver.
RECOVERY_DAYS = 3
CARDS = {
    "approved": "4111111111111111",
    "declined": "4000000000000002",
    "timed out after the capture": "4000000000000259",
    "timed out before the capture": "4000000000000119",
}


def a_world_about_to_rebill(profile: str, card: str, scissors: Scissors) -> tuple[World, int]:
    """A subscriber whose first rebill is due now."""
    world = World(
        capabilities=PROFILES[profile],
        port=CutPort(SqliteTables(), scissors),
        gateway=lambda sandbox: CutGateway(sandbox, scissors),
    ).open(number_of_retries=3, delay_between_retries_days=1)
    oid = world.subscribe()
    if card != CARDS["approved"]:
        put_card(world, oid, card)
    world.tell_all()
    due = world.next_due()
    assert due is not None
    world.clock.go(due)
    return world, oid


def put_card(world: World, oid: int, number: str) -> None:
    """Another card on the original order, as after an update of the payment."""
    shop = world.shop
    original = shop.orders.get(world.document(oid).original_order_id or "")
    assert original.noun.payment is not None
    assert original.noun.payment.credit_card is not None
    original.noun.payment.credit_card.stored_card = shop.gateway().tokenise(number, 12, 2040)
    shop.write(shop.orders.edited(original.noun, original.version))


def run_with_cuts(profile: str, card: str, *cuts: tuple[int, Side], swept: bool = False) -> tuple[Scissors, World]:
    """Bill with the cuts; then let sweep after sweep put it right. ``swept``: the sweep itself is under the scissors
    too, else only the worker, whose message comes twice."""
    scissors = Scissors()
    world, oid = a_world_about_to_rebill(profile, card, scissors)
    scissors.arm(*cuts)
    for _ in range(2):
        try:
            if swept:
                world.work(twice=True)
            else:
                world.visit(oid)
        except Crash:
            continue
    if not cuts:
        return scissors, world
    reached = scissors.reached
    scissors.arm()
    scissors.reached = reached
    world.travel(RECOVERY_DAYS, twice=True)
    world.check(oid)
    if card in (CARDS["approved"], CARDS["timed out after the capture"]):
        assert len(world.rebills(oid)) == 1, f"cut {cuts}: the rebill was lost"
    return scissors, world


@pytest.mark.parametrize("profile", ["full", "keys", "lookup"])
@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS.keys())
def test_a_cut_at_any_single_call_of_the_worker_charges_once_and_loses_nothing(profile: str, card: str) -> None:
    clean, _ = run_with_cuts(profile, card)
    cut = 0
    for number in range(1, clean.calls + 1):
        for side in SIDES:
            scissors, _ = run_with_cuts(profile, card, (number, side))
            cut += scissors.reached
    assert cut == clean.calls * len(SIDES)
    print(f"{profile}, {card}: {cut} cuts, 0 charged twice, 0 unrecorded, 0 lost")


def test_a_cut_at_any_single_call_of_the_sweep_and_the_relay_loses_nothing() -> None:
    clean, _ = run_with_cuts("full", CARDS["approved"], swept=True)
    changing = [number for number, name in enumerate(clean.names, start=1) if name != "query"]
    first_query = clean.names.index("query") + 1
    for number in [first_query, *changing]:
        for side in SIDES:
            scissors, _ = run_with_cuts("full", CARDS["approved"], (number, side), swept=True)
            assert scissors.reached == 1


def pay_with_cuts(profile: str, card: str, *cuts: tuple[int, Side]) -> Scissors:
    """A shopper pays, is cut off, and tries once more; then sweeps put it right."""
    scissors = Scissors()
    world = World(
        capabilities=PROFILES[profile],
        port=CutPort(SqliteTables(), scissors),
        gateway=lambda sandbox: CutGateway(sandbox, scissors),
    ).open()
    order_id = world.place({"COFFEE": "Monthly"}, card)
    scissors.arm(*cuts)
    for _ in range(2):
        try:
            pay(world.shop, order_id)
        except Crash:
            continue
    if not cuts:
        return scissors
    reached = scissors.reached
    scissors.arm()
    scissors.reached = reached
    world.travel(RECOVERY_DAYS, twice=True)
    order, head = world.shop.orders.read(order_id)
    captures = [c for c in world.sandbox.captures() if c.order_id == order_id and c.refunded_dts is None]
    assert order.noun.payment is not None
    assert head is not None
    assert head.attempt is None
    assert head.due_dts is None
    paid = order.noun.payment.payment_status == "Processed"
    assert len(captures) == (1 if paid else 0), f"cut {cuts}: {order.noun.payment.payment_status}, {captures}"
    oid = world.shop.auto_orders.oid_by_original_order(order_id)
    assert (oid is not None) == paid
    if oid is not None:
        world.check(oid)
    return scissors


@pytest.mark.parametrize("profile", ["full", "keys", "lookup"])
@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS.keys())
def test_a_cut_at_any_single_call_of_a_payment_charges_once_and_begins_one_auto_order(profile: str, card: str) -> None:
    clean = pay_with_cuts(profile, card)
    cut = sum(
        pay_with_cuts(profile, card, (number, side)).reached for number in range(1, clean.calls + 1) for side in SIDES
    )
    assert cut == clean.calls * len(SIDES)
    print(f"paying, {profile}, {card}: {cut} cuts, 0 charged twice, 0 unrecorded")
