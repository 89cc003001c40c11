"""Establishing: a paid order of a card that is still young gets an auto order without items, once."""

import pytest
from msgspec.structs import replace

from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.domain.orders import Order
from chalicelib.flows import edit
from chalicelib.flows.establish import establish
from tests.cutting import SIDES, Crash, CutPort, Scissors, Side
from tests.worlds import World


def bought() -> tuple[World, str]:
    """A paid order of tea, of which nothing rebills."""
    world = World().open()
    return world, world.order({"TEA": None})


def refused(world: World, order_id: str) -> list[str]:
    with pytest.raises(Invalid) as found:
        establish(world.shop, order_id)
    assert {problem.pointer for problem in found.value.problems} == {"/reference_order_id"}
    return [problem.code for problem in found.value.problems]


def test_a_paid_order_gets_an_auto_order_without_items_that_bills_what_is_added_to_it() -> None:
    world, order_id = bought()
    oid, event_id = establish(world.shop, order_id, actor="key ops")
    head, document = world.head(oid), world.document(oid)
    assert (head.status, document.items, document.original_order_id) == ("active", [], order_id)
    assert world.shop.auto_orders.oid_by_original_order(order_id) == oid
    assert world.shop.auto_orders.oid_by_code(document.auto_order_code or "") == oid
    assert world.shop.orders.get(order_id).noun.auto_order_oid == oid
    event, _ = world.shop.events.find(event_id) or (None, False)
    assert event is not None
    assert [happening.name for happening in event.happenings] == ["auto_order_create", "order_update"]
    world.travel(20)
    assert world.rebills(oid) == []
    tea = {"original_item_id": "TEA", "original_quantity": 2, "frequency": "Weekly"}
    edit.update(world.shop, oid, {"items": [{**tea, "next_shipment_dts": "2027-03-01T00:00:00-05:00"}]})
    world.travel(16)
    assert world.rebill_days(oid) == ["2027-03-01", "2027-03-08"]
    world.check(oid)


def test_an_order_that_has_one_and_a_rebill_are_refused() -> None:
    world, order_id = bought()
    establish(world.shop, order_id)
    assert refused(world, order_id) == ["duplicate"]
    oid = world.subscribe({"COFFEE": "Weekly"})
    world.travel(8)
    assert refused(world, world.document(oid).original_order_id or "") == ["duplicate"]
    assert refused(world, world.rebills(oid)[0].order_id or "") == ["is_rebill"]


def test_what_is_not_paid_for_or_has_no_card_is_refused() -> None:
    world, order_id = bought()
    assert refused(world, world.place({"TEA": None})) == ["not_paid"]
    kept = world.shop.orders.get(order_id)
    assert kept.noun.payment is not None
    cardless: Order = replace(kept.noun, payment=replace(kept.noun.payment, credit_card=None))
    world.shop.write(world.shop.orders.edited(cardless, kept.version))
    assert refused(world, order_id) == ["no_card"]
    with pytest.raises(NotFound):
        establish(world.shop, "DEMO-0")


@pytest.mark.parametrize(("seconds", "fits"), [(60 * 24 * 3600 - 1, True), (60 * 24 * 3600, False)])
def test_an_order_must_be_less_than_sixty_days_old(seconds: int, fits: bool) -> None:
    world, order_id = bought()
    world.clock.pass_(seconds=seconds)
    if fits:
        assert establish(world.shop, order_id)
    else:
        assert refused(world, order_id) == ["too_old"]


@pytest.mark.parametrize("side", SIDES)
def test_cut_off_at_any_call_there_is_one_auto_order_or_none(side: Side) -> None:
    reached = 1
    while True:
        scissors = Scissors()
        world, order_id = bought()
        world.house.port = CutPort(world.tables, scissors)
        scissors.arm((reached, side))
        try:
            oid, _ = establish(world.shop, order_id)
        except Crash:
            found = world.shop.auto_orders.oid_by_original_order(order_id)
            oid = establish(world.shop, order_id)[0] if found is None else found
        if not scissors.reached:
            break
        scissors.arm()
        assert world.shop.orders.get(order_id).noun.auto_order_oid == oid
        assert world.shop.auto_orders.oid_by_original_order(order_id) == oid
        reached += 1
    assert reached == 3
