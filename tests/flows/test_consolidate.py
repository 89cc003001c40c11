"""Consolidating: items move with all that was billed of them, all or none, and nothing is billed here and there."""

from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from chalicelib.domain.auto_orders import AutoOrder, AutoOrderItem
from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.domain.heads import Head
from chalicelib.flows import edit
from chalicelib.flows.consolidate import MAXIMUM_BYTES, consolidate
from chalicelib.flows.rebill import rebill
from chalicelib.flows.update_payment import update_payment
from chalicelib.gateways.sandbox import PROFILES
from tests.cutting import SIDES, Crash, CutPort, Scissors, Side
from tests.flows.test_crashes import put_card
from tests.steps import Stepped, run
from tests.worlds import World

SILENT = "4000000000000119"


def two(**rules: Any) -> tuple[World, int, int]:
    """A target of monthly coffee and a source of weekly tea, both a week old: the tea was billed once."""
    world = World().open(**rules)
    target, source = world.subscribe({"COFFEE": "Monthly"}), world.subscribe({"TEA": "Weekly"})
    world.travel(8)
    return world, target, source


def sources(*oids: int) -> dict[str, Any]:
    return {"source_auto_order_oids": list(oids)}


def refused(world: World, target: int, *oids: int) -> dict[str, str]:
    def heads() -> list[Head | None]:
        return [world.shop.auto_orders.head(oid) for oid in (target, *oids)]

    before = heads()
    with pytest.raises(Invalid) as found:
        consolidate(world.shop, target, sources(*oids))
    assert heads() == before
    return {problem.pointer: problem.code for problem in found.value.problems}


def billed_days(world: World, *oids: int) -> list[tuple[str, str]]:
    """(item, the day of its order) of all that was billed, in order."""
    return sorted(
        (line.merchant_item_id or "", str(order.creation_dts)[:10])
        for oid in oids
        for order in world.rebills(oid)
        for line in order.items or []
    )


def entry_of(world: World, oid: int, item_id: str) -> AutoOrderItem:
    return next(entry for entry in world.document(oid).items or [] if entry.original_item_id == item_id)


def test_the_items_move_with_their_oids_their_schedules_and_all_that_was_billed_of_them() -> None:
    world, target, source = two()
    tea = entry_of(world, source, "TEA")
    progress = world.head(source).state.items[str(tea.auto_order_item_oid)]
    assert progress.billed == 1
    events = consolidate(world.shop, target, sources(source), actor="key ops")
    assert len(events) == 2
    assert entry_of(world, target, "TEA") == tea
    assert world.head(target).state.items[str(tea.auto_order_item_oid)] == progress
    head, document = world.head(source), world.document(source)
    assert (head.status, head.due_dts, head.state.items, document.items) == ("merged", None, {}, [])
    assert (document.merged_into_auto_order_oid, document.merged_dts) == (target, world.clock.now())
    world.tell_all()
    world.travel(21)
    assert billed_days(world, target, source) == [
        ("COFFEE", "2027-02-28"),
        ("TEA", "2027-02-07"),
        ("TEA", "2027-02-14"),
        ("TEA", "2027-02-21"),
        ("TEA", "2027-02-28"),
    ]
    world.check(target, source)


def test_the_same_request_again_changes_nothing_more() -> None:
    world, target, source = two()
    consolidate(world.shop, target, sources(source))
    before = [world.shop.auto_orders.read(oid) for oid in (target, source)]
    assert consolidate(world.shop, target, sources(source)) == []
    assert [world.shop.auto_orders.read(oid) for oid in (target, source)] == before
    assert len(world.shop.auto_orders.logs_before(target, "", 10)) == 2  # begun, consolidated


def test_one_more_source_joins_those_that_were_merged_before() -> None:
    world, target, source = two()
    consolidate(world.shop, target, sources(source))
    another = world.subscribe({"TEA": "Every 2 Months"})
    assert len(consolidate(world.shop, target, sources(source, another))) == 2
    assert [entry.original_item_id for entry in world.document(target).items or []] == ["COFFEE", "TEA", "TEA"]


def test_what_is_being_retried_is_billed_once_to_the_targets_card() -> None:
    world, target, source = two()
    update_payment(world.shop, source, {"card_number_token": world.card("4000000000000002")})
    world.travel(7)
    assert world.head(source).round == 1
    consolidate(world.shop, target, sources(source))
    world.travel(2)
    assert billed_days(world, target, source) == [("TEA", "2027-02-07"), ("TEA", "2027-02-15")]
    world.travel(20)
    world.check(target, source)


def test_a_capture_of_a_source_that_is_learnt_of_after_the_merge_is_given_back_for_the_target_bills_it() -> None:
    world = World(capabilities=PROFILES["lookup"]).open()
    target, source = world.subscribe({"COFFEE": "Monthly"}), world.subscribe({"TEA": "Weekly"})
    world.clock.go(world.head(source).due_dts or world.clock.now())
    put_card(world, source, SILENT)
    world.visit(source)
    attempt = world.head(source).attempt
    assert attempt is not None
    assert refused(world, target, source) == {"/source_auto_order_oids/0": "attempt_open"}
    edit.pause(world.shop, source)  # so that it is not sent again
    for _ in range(6):
        world.clock.pass_(minutes=20)
        world.work()
    assert world.head(source).attempt is None
    consolidate(world.shop, target, sources(source))
    late = charged_late(world, source, attempt)
    assert [row.outcome for row in world.shop.auto_orders.attempts(source)][-1] == "late_refunded"
    assert late.refunded_dts is not None
    assert world.rebills(source) == []
    world.check(target, source)


def charged_late(world: World, source: int, attempt: Any) -> Any:
    """The gateway took the money after all; whoever hears of it records it."""
    from chalicelib.domain.payments import Charge
    from chalicelib.flows import charge
    from chalicelib.flows.rebill import RunOf

    card = world.shop.gateway().tokenise("4111111111111111", 12, 2040)
    approved = world.sandbox.charge(
        Charge(
            key=attempt.key,
            amount=attempt.plan.total,
            currency_code=attempt.plan.currency,
            card=card,
            order_id="late",
            first=False,
        )
    )
    charge.record(world.shop, RunOf(world.shop, source), attempt, approved)
    return next(capture for capture in world.sandbox.captures() if capture.key == attempt.key)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"enabled": False, "canceled_by_user": "customer"}, "not_active"),
        ({"enabled": False}, "not_active"),
        ({"cancel_after_next_x_orders": 2}, "cancel_after"),
        ({"original_order": {"billing": {"email": "grace@example.com"}}}, "other_customer"),
    ],
)
def test_sources_that_could_not_go_on_as_they_are_are_refused_by_name(change: dict[str, Any], code: str) -> None:
    world, target, source = two()
    edit.update(world.shop, source, change)
    assert refused(world, target, source) == {"/source_auto_order_oids/0": code}


def test_add_ons_of_a_source_hold_it_up_while_any_are_left_and_those_of_an_item_go_with_it() -> None:
    world, target, source = two()
    cup = {"item_id": "COFFEE", "quantity": 1, "next_x_orders": 1}
    edit.update(world.shop, source, {"add_ons": [cup]})
    assert refused(world, target, source) == {"/source_auto_order_oids/0": "add_ons"}
    world.travel(7)
    (tea,) = world.document(source).items or []
    edit.update_item(world.shop, source, tea.auto_order_item_oid or 0, "add_ons", "add_on_items", [cup])
    consolidate(world.shop, target, sources(source))
    world.travel(13)
    assert billed_days(world, target, source) == [
        ("COFFEE", "2027-02-14"),  # the add-on of the source
        ("COFFEE", "2027-02-21"),  # the add-on of the tea
        ("COFFEE", "2027-02-28"),
        *(("TEA", f"2027-02-{day:02d}") for day in (7, 14, 21, 28)),
    ]


def test_a_target_that_would_not_bill_and_sources_that_are_none_are_refused() -> None:
    world, target, source = two()
    assert refused(world, target, target, source, source) == {
        "/source_auto_order_oids/0": "conflict",
        "/source_auto_order_oids/2": "conflict",
    }
    assert refused(world, target, source, 99) == {"/source_auto_order_oids/1": "unknown"}
    edit.update(world.shop, target, {"enabled": False})
    assert refused(world, target, source) == {"": "not_active"}
    with pytest.raises(NotFound):
        consolidate(world.shop, 99, sources(source))


@pytest.mark.parametrize(("number", "fits"), [(20, True), (21, False), (0, False)])
def test_at_most_twenty_sources_and_at_least_one(number: int, fits: bool) -> None:
    world = World().open()
    target, *rest = [world.subscribe() for _ in range(1 + number)]
    if fits:
        assert len(consolidate(world.shop, target, sources(*rest))) == 21
        assert len(world.document(target).items or []) == 21
    else:
        assert refused(world, target, *rest) == {"/source_auto_order_oids": "out_of_range"}


def test_more_than_a_hundred_items_or_three_megabytes_are_refused() -> None:
    world, target, source = two()
    many = [{"original_item_id": "TEA", "original_quantity": 1, "frequency": "Monthly"}] * 100
    edit.update(world.shop, source, {"items": many})
    assert refused(world, target, source) == {"/source_auto_order_oids": "too_many_items"}
    properties = [{"name": f"p{number}", "value": "x" * 3000} for number in range(90)]
    whales = [world.subscribe() for _ in range(1 + MAXIMUM_BYTES // 270_000)]
    for whale in whales:
        edit.update(world.shop, whale, {"properties": properties})
    assert refused(world, target, *whales) == {"/source_auto_order_oids": "too_large"}


def test_a_merged_auto_order_is_changed_by_nobody_and_says_where_its_items_are() -> None:
    world, target, source = two()
    consolidate(world.shop, target, sources(source))
    for raw in ({"enabled": True}, {"properties": [{"name": "a", "value": "b"}]}, {"canceled_by_user": "customer"}):
        with pytest.raises(Invalid, match=str(target)):
            edit.update(world.shop, source, raw)
    with pytest.raises(Invalid, match=str(target)):
        update_payment(world.shop, source, {"card_number_token": world.card()})
    assert edit.update(world.shop, source, {"enabled": False}) is None
    assert edit.pause(world.shop, source) is None
    world.travel(30)
    assert len(world.rebills(source)) == 1


def test_two_items_of_one_oid_are_kept_apart() -> None:
    world, target, source = two()
    oid = entry_of(world, target, "COFFEE").auto_order_item_oid
    shop = world.shop
    kept, head = shop.auto_orders.read(source)
    (progress,) = head.state.items.values()
    twin = AutoOrderItem(
        auto_order_item_oid=oid, original_item_id="TEA", original_quantity=(kept.noun.items or [])[0].original_quantity
    )
    after = Head(status="active", revision=head.revision + 1, run=head.run, due_dts=head.due_dts)
    after.state.items = {str(oid): progress}
    document = AutoOrder(**{n: getattr(kept.noun, n) for n in kept.noun.__struct_fields__} | {"items": [twin]})
    shop.write(shop.auto_orders.moved(source, head, after), shop.auto_orders.edited(document, kept.version))
    consolidate(shop, target, sources(source))
    oids = [entry.auto_order_item_oid for entry in world.document(target).items or []]
    assert len(set(oids)) == 2
    assert set(world.head(target).state.items) == {str(oid) for oid in oids}
    assert world.head(target).state.items[str(oids[1])] == progress


@pytest.mark.parametrize("side", SIDES)
def test_cut_off_at_any_call_it_has_moved_all_or_nothing_and_sent_again_all(side: Side) -> None:
    reached = 1
    while True:
        scissors = Scissors()
        world, target, source = two()
        world.house.port = CutPort(world.tables, scissors)
        scissors.arm((reached, side))
        with suppress(Crash):
            consolidate(world.shop, target, sources(source))
        if not scissors.reached:
            break
        scissors.arm()
        items = [len(world.document(oid).items or []) for oid in (target, source)]
        assert items in ([1, 1], [2, 0])
        consolidate(world.shop, target, sources(source))
        assert [len(world.document(oid).items or []) for oid in (target, source)] == [2, 0]
        world.travel(21)
        assert len(billed_days(world, target, source)) == 5
        world.check(target, source)
        reached += 1
    assert reached > 5


STEPS = frozenset({"get", "get_many", "write", "charge"})


@pytest.mark.parametrize("first", ["rebill", "consolidate"])
def test_a_rebill_and_a_consolidation_at_once_bill_each_tea_once_wherever_one_is_stopped(first: str) -> None:
    """The one is stopped after so many steps, the other runs to its end, then the one goes on."""
    stopped, refusals = 0, 0
    while True:
        world, target, source = two()
        world.clock.go(world.head(source).due_dts or world.clock.now())
        inner = world.tables
        world.house.port = Stepped(inner, STEPS)
        world.gateway = Stepped(world.sandbox, STEPS)
        said: list[str] = []
        workers = [partial(rebill, world.shop, source), partial(consolidating, world, target, source, said)]
        if first == "consolidate":
            workers.reverse()
        taken, _ = run(workers, [*[0] * stopped, *[1] * 1000])
        world.house.port, world.gateway = inner, world.sandbox
        refusals += bool(said)
        world.travel(8)
        assert billed_days(world, target, source) == [("TEA", f"2027-02-{day:02d}") for day in (7, 14, 21)]
        world.check(target, source)
        if stopped > taken:
            break
        stopped += 1
    assert stopped > 5
    # Refused while a charge is under way; a charge that has come to its end does not hold it up.
    assert (refusals > 0) is (first == "rebill")


def consolidating(world: World, target: int, source: int, said: list[str]) -> None:
    try:
        consolidate(world.shop, target, sources(source))
    except Invalid as invalid:
        said += [problem.code for problem in invalid.problems]
        assert said == ["attempt_open"]
