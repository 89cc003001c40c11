"""Two crashes in one rebill: at every pair of its calls, recovery included, on every side of each call."""

import os
from itertools import product
from multiprocessing import get_context

import pytest

from chalicelib.gateways.sandbox import PROFILES
from chalicelib.stores.auto_orders import AutoOrders
from chalicelib.stores.sqlite import SqliteTables
from tests.cutting import SIDES, Crash, CutGateway, CutPort, Scissors, Side
from tests.worlds import MERCHANT, World

# After the last cut: two days cover every wait of the resolver, and the declines' retries.
RECOVERY_DAYS = 3
CARDS = {
    "approved": "4111111111111111",
    "declined": "4000000000000002",
    "timed out after the capture": "4000000000000259",
}
PAID = ("approved", "timed out after the capture")
Cut = tuple[int, Side]


def a_due_world(profile: str, card: str, scissors: Scissors) -> tuple[World, int]:
    """A subscriber whose first rebill is due now."""
    world = World(
        capabilities=PROFILES[profile],
        port=CutPort(SqliteTables(), scissors),
        gateway=lambda sandbox: CutGateway(sandbox, scissors),
    ).open(number_of_retries=2, delay_between_retries_days=1)
    oid = world.subscribe()
    shop = world.shop
    original = shop.orders.get(world.document(oid).original_order_id or "")
    assert original.noun.payment is not None
    assert original.noun.payment.credit_card is not None
    original.noun.payment.credit_card.stored_card = shop.gateway().tokenise(CARDS[card], 12, 2040)
    shop.write(shop.orders.edited(original.noun, original.version))
    world.tell_all()
    due = world.next_due()
    assert due is not None
    world.clock.go(due)
    return world, oid


def cut(profile: str, card: str, *cuts: Cut) -> tuple[int, int]:
    """Visits until two have ended by themselves, as messages and sweeps bring them; then the days after. Returns how
    many calls the visits made, and how many cuts were reached."""
    scissors = Scissors()
    world, oid = a_due_world(profile, card, scissors)
    scissors.arm(*cuts)
    uncut = AutoOrders(world.tables._port, MERCHANT)  # type: ignore[attr-defined]
    ended = crashes = 0
    while ended < 2:
        try:
            world.visit(oid)
            ended += 1
        except Crash:
            # The message comes again, or the sweep brings it when the lease or the resolver's wait is over.
            crashes += 1
        head = uncut.head(oid)
        if head is not None and head.attempt is not None and head.due_dts is not None:
            world.clock.go(head.due_dts)
    calls, reached = scissors.calls, scissors.reached
    assert crashes <= len(cuts)
    scissors.arm()
    world.travel(RECOVERY_DAYS, twice=True)
    world.check(oid)
    if card in PAID:
        assert len(world.rebills(oid)) == 1, f"{profile}, {card}, {cuts}: the rebill was lost"
    assert world.head(oid).attempt is None, f"{profile}, {card}, {cuts}: the attempt is still open"
    return calls, reached


def cut_twice(profile: str, card: str, first: Cut) -> tuple[int, int]:
    """The first cut with every later one. Returns how many pairs there were, and how many were reached."""
    calls, _ = cut(profile, card, first)
    pairs = [cut(profile, card, first, second) for second in product(range(first[0] + 1, calls + 1), SIDES)]
    return len(pairs), sum(reached == 2 for _, reached in pairs)


def all_pairs(*worlds: tuple[str, str]) -> None:
    firsts = [
        (profile, card, (number, side))
        for profile, card in worlds
        for number in range(1, cut(profile, card)[0] + 1)
        for side in SIDES
    ]
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        found = pool.starmap_async(cut_twice, firsts, chunksize=1).get(timeout=1200)
    pairs, reached = sum(one for one, _ in found), sum(two for _, two in found)
    print(f"\n{pairs:,} pairs of cuts, {reached:,} of them reached both; 0 charged twice, 0 unrecorded, 0 lost")
    assert reached > 0.9 * pairs


@pytest.mark.timeout(600)
def test_two_cuts_at_any_pair_of_calls_charge_once_and_lose_nothing() -> None:
    all_pairs(("full", "timed out after the capture"), ("lookup", "approved"))


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_two_cuts_at_any_pair_of_calls_with_every_gateway_and_card() -> None:
    all_pairs(*product(("full", "keys", "lookup"), CARDS))
