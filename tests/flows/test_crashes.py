"""Cut at every call of the charge flow: nobody is charged twice, nothing captured stays unrecorded, nothing is lost."""

import pytest

from tests.cutting import SIDES, Crash, Scissors, Side
from tests.scenes import RECOVERY_DAYS, SCENES, cut, one_rebill, under
from tests.worlds import World


def put_card(world: World, oid: int, number: str) -> None:
    """Another card on the original order, as after an update of the payment."""
    shop = world.shop
    original = shop.orders.get(world.document(oid).original_order_id or "")
    assert original.noun.payment is not None
    assert original.noun.payment.credit_card is not None
    original.noun.payment.credit_card.stored_card = shop.gateway().tokenise(number, 12, 2040)
    shop.write(shop.orders.edited(original.noun, original.version))


@pytest.mark.parametrize("name", SCENES)
def test_a_cut_at_any_single_call_moves_the_money_once_and_loses_nothing(name: str) -> None:
    calls, _ = cut(name)
    reached = sum(cut(name, (number, side))[1] for number in range(1, calls + 1) for side in SIDES)
    assert reached == calls * len(SIDES)
    print(f"{name}: {reached} cuts of {calls} calls, 0 charged twice, 0 unrecorded, 0 lost")


def swept(*cuts: tuple[int, Side]) -> Scissors:
    """The sweep, its messages (each twice) and the relay under the scissors; then sweeps put it right."""
    scissors = Scissors()
    stage, oid, _ = under(scissors, "rebill, full, approve")
    scissors.arm(*cuts)
    for _ in range(2):
        try:
            stage.work(twice=True)
        except Crash:
            continue
    clean = Scissors()
    clean.calls, clean.names, clean.reached = scissors.calls, scissors.names, scissors.reached
    scissors.arm()
    stage.travel(RECOVERY_DAYS, twice=True)
    one_rebill(stage, oid)
    return clean


def test_a_cut_at_any_single_call_of_the_sweep_and_the_relay_loses_nothing() -> None:
    calls = swept().calls
    reached = sum(swept((number, side)).reached for number in range(1, calls + 1) for side in SIDES)
    assert reached == calls * len(SIDES)
    print(f"sweep, worker and relay: {reached} cuts of {calls} calls, 0 charged twice, 0 unrecorded, 0 lost")
