"""The timeline: what was decided in each period and why, with the edits between, page by page and nothing twice."""

from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.payments import Capabilities, Charge
from chalicelib.domain.timeline import TimelineEntry
from chalicelib.flows import edit
from chalicelib.flows.timeline import timeline_of
from chalicelib.flows.update_payment import update_payment
from tests.worlds import World

DECLINES = "4000000000000002"


def whole(world: World, oid: int, limit: int = 200) -> list[TimelineEntry]:
    """All of it, as somebody pages through it, the latest first."""
    kept, head = world.shop.auto_orders.read(oid)
    found: list[TimelineEntry] = []
    cursor = None
    while True:
        entries, cursor = timeline_of(world.shop, kept.noun, head, limit, cursor)
        found += entries
        if cursor is None:
            return found
        assert len(entries) == limit


def kinds(world: World, oid: int) -> list[str]:
    return [entry.kind for entry in reversed(whole(world, oid))]


def codes(entry: TimelineEntry) -> list[str | None]:
    return [reason.code for reason in entry.reasons or []]


def busy() -> tuple[World, int]:
    """Billed, paused, taken back, declined, another card, billed."""
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    world.travel(8)
    edit.pause(world.shop, oid, actor="key ops")
    world.clock.pass_(hours=1)
    rows = [wire.plain(row) | {"paused": False} for row in edit.standing(world.shop, oid).noun.items or []]
    edit.update(world.shop, oid, {"items": rows}, actor="key ops")
    update_payment(world.shop, oid, {"card_number_token": world.card(DECLINES)}, actor="key ops")
    world.travel(7)
    update_payment(world.shop, oid, {"card_number_token": world.card()}, actor="customer")
    world.travel(3)
    return world, oid


def test_edits_declines_and_paid_runs_stand_in_the_order_in_which_they_happened() -> None:
    world, oid = busy()
    assert kinds(world, oid) == ["begun", "billed", "edited", "edited", "payment", "declined", "payment", "billed"]
    entries = list(reversed(whole(world, oid)))
    assert [entry.actor for entry in entries] == [
        "system",
        "system",
        "key ops",
        "key ops",
        "key ops",
        "system",
        "customer",
        "system",
    ]
    first, last = world.rebills(oid)
    assert (entries[1].order_id, entries[1].run, entries[7].order_id) == (first.order_id, 1, last.order_id)
    assert (entries[1].log_message or "").startswith(f"Billed 17.95 USD as {first.order_id}")
    assert entries[5].reason == "The bank declined the charge."


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 200])
def test_pages_of_any_size_hold_everything_once(limit: int) -> None:
    world, oid = busy()
    assert whole(world, oid, limit) == whole(world, oid)


def test_what_happens_between_two_pages_is_neither_seen_twice_nor_hides_what_was_there() -> None:
    world, oid = busy()
    kept, head = world.shop.auto_orders.read(oid)
    before = whole(world, oid)
    first, cursor = timeline_of(world.shop, kept.noun, head, 3)
    edit.update(world.shop, oid, {"override_affiliate_id": 5})
    world.travel(7)
    kept, head = world.shop.auto_orders.read(oid)
    rest, _ = timeline_of(world.shop, kept.noun, head, 200, cursor)
    assert first + rest == before


def test_a_hold_is_told_once_with_what_is_missing_and_not_each_day() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    kept = world.shop.items.get("COFFEE")
    world.shop.write(world.shop.items.replaced("COFFEE", replace(kept.noun, inactive=True), kept.version))
    world.travel(12)
    (held,) = [entry for entry in whole(world, oid) if entry.kind == "held"]
    assert held.reason == "The item COFFEE is not sold any more."
    assert codes(held) == ["item_unavailable"]


def test_missed_shipments_that_are_passed_over_are_told_with_the_setting_that_decided() -> None:
    world = World().open(do_not_bill_prior_missed_shipments=True)
    oid = world.subscribe({"COFFEE": "Weekly"})
    world.clock.pass_(days=40)
    world.work()
    (billed,) = [entry for entry in whole(world, oid) if entry.kind == "billed"]
    (reason,) = billed.reasons or []
    assert (reason.code, reason.setting) == ("missed_passed_over", "do_not_bill_prior_missed_shipments")
    assert (reason.params or {})["missed"] == 4


def test_an_ordinary_bill_keeps_no_reasons_so_that_its_order_stays_small() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    world.travel(8)
    assert world.rebills(oid)[0].reasons is None


def test_a_payment_rule_that_forbids_a_charge_is_told_with_its_setting() -> None:
    world = World().open(number_of_retries=1)
    oid = world.subscribe({"COFFEE": "Weekly"})
    world.rules(number_of_retries=1, restrict_visa=True)
    world.travel(8)
    (failed,) = [entry for entry in whole(world, oid) if entry.kind == "failed"]
    assert ("card_type_restricted", "restrict_visa") in [(r.code, r.setting) for r in failed.reasons or []]


def test_an_outage_is_told_try_by_try() -> None:
    world = World(behave=lambda charge, posts: "not_sent" if charge.order_id.endswith("-001") else None).open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    world.clock.pass_(days=7)
    for _ in range(3):
        world.work()
        world.clock.pass_(minutes=10)
    assert kinds(world, oid) == ["begun", "not_sent", "not_sent", "not_sent"]


def test_what_ends_after_its_last_order_says_so() -> None:
    world = World().open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    edit.update(world.shop, oid, {"cancel_after_next_x_orders": 1})
    world.travel(8)
    assert sorted(kinds(world, oid)) == ["begun", "billed", "edited", "ended"]


def test_a_person_is_told_which_outcome_needs_him() -> None:
    def silent(charge: Charge, posts: int) -> Any:
        return "timeout_before_capture" if charge.order_id.endswith("-001") else None

    world = World(capabilities=Capabilities(), behave=silent).open()
    oid = world.subscribe({"COFFEE": "Weekly"})
    world.travel(8)
    assert "payment_review" in kinds(world, oid)
