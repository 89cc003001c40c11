"""Reports of the auto orders, from what really happened in a shop."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.config import QUEUES
from chalicelib.domain.dates import later
from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.domain.payments import LEASE_SECONDS
from chalicelib.domain.reports import RUNS_DAYS
from chalicelib.domain.waiting import LATE_AFTER_SECONDS, LateWork
from chalicelib.flows import edit, report
from chalicelib.flows.sweep import events_due, sweep
from chalicelib.flows.tell import tell
from tests.flows.test_crashes import put_card
from tests.worlds import World

DECLINES = "4000000000000002"
GOOD = "4111111111111111"
YEAR = (date(2027, 1, 1), date(2027, 12, 31))


def cancel(world: World, oid: int, reason: str | None, by: str = "jane") -> None:
    change: dict[str, Any] = {"enabled": False, "canceled_by_user": by}
    edit.update(world.shop, oid, change | ({"cancel_reason": reason} if reason else {}))
    world.tell_all()


def test_cancellations_are_counted_by_reason_with_what_their_next_rebills_would_have_brought() -> None:
    world = World().open()
    coffee, tea, both = (
        world.subscribe(lines)
        for lines in ({"COFFEE": "Monthly"}, {"TEA": "Weekly"}, {"COFFEE": "Monthly", "TEA": "Weekly"})
    )
    cancel(world, coffee, "too much")
    cancel(world, tea, "too dear", by="ada@example.com")
    cancel(world, both, "too much")
    found = report.cancel_reasons(world.shop, *YEAR, None)
    assert (found.count, found.lost_revenue) == (3, Decimal("54.90"))
    assert [(row.reason, row.count, row.share, row.lost_revenue, row.by_customer) for row in found.reasons] == [
        ("too much", 2, Decimal("66.7"), Decimal("45.40"), 0),
        ("too dear", 1, Decimal("33.3"), Decimal("9.50"), 1),
    ]
    assert [(item.merchant_item_id, item.count) for item in found.reasons[0].items] == [("COFFEE", 2), ("TEA", 1)]


def test_of_one_item_only_its_own_cancellations_and_revenue_count() -> None:
    world = World().open()
    cancel(world, world.subscribe({"COFFEE": "Monthly", "TEA": "Weekly"}), None)
    cancel(world, world.subscribe({"COFFEE": "Monthly"}), None)
    found = report.cancel_reasons(world.shop, *YEAR, "TEA")
    assert (found.count, found.lost_revenue) == (1, Decimal("9.50"))
    assert [row.reason for row in found.reasons] == ["no reason given"]


def test_a_cancellation_that_is_told_twice_is_counted_once_and_a_disable_never() -> None:
    world = World().open()
    oid = world.subscribe()
    event_id = edit.update(world.shop, oid, {"enabled": False, "cancel_reason": "moved"})
    world.tell_all()
    tell(world.shop, event_id)
    edit.update(world.shop, world.subscribe(), {"enabled": False})
    world.tell_all()
    assert report.cancel_reasons(world.shop, *YEAR, None).count == 1


@pytest.mark.parametrize(("begin", "end"), [(date(2027, 2, 2), date(2027, 2, 1)), (date(2027, 1, 1), date(2028, 1, 2))])
def test_a_period_that_cannot_be_is_refused(begin: date, end: date) -> None:
    with pytest.raises(Invalid):
        report.cancel_reasons(World().open().shop, begin, end, None)


def test_a_report_of_a_quiet_year_is_empty() -> None:
    found = report.cancel_reasons(World().open().shop, *YEAR, None)
    assert (found.count, found.reasons, found.lost_revenue) == (0, [], Decimal(0))


def test_recovery_says_on_which_attempt_rebills_were_paid() -> None:
    world = World().open(delay_between_retries_days=1)
    paid, recovered, lost = (world.subscribe() for _ in range(3))
    for oid in (recovered, lost):
        put_card(world, oid, DECLINES)
    world.travel(28)
    put_card(world, recovered, GOOD)
    world.travel(5)
    found = report.recovery(world.shop, *YEAR)
    assert [(row.attempt, row.paid, row.declined, row.share, row.revenue) for row in found.attempts] == [
        (1, 1, 2, Decimal("33.3"), Decimal("17.95")),
        (2, 1, 1, Decimal("50.0"), Decimal("17.95")),
        (3, 0, 1, Decimal(0), Decimal(0)),
    ]
    world.check(paid, recovered, lost)


def test_a_forecast_is_what_the_plan_would_bill_and_is_held_against_what_came() -> None:
    world = World().open()
    world.subscribe({"COFFEE": "Monthly"})
    leaving = world.subscribe({"TEA": "Weekly"})
    found = report.forecast(world.shop, world.backroom, 14, None)
    assert [(row.day.isoformat(), row.orders, row.revenue) for row in found.days if row.orders] == [
        ("2027-02-07", 1, Decimal("9.50"))
    ]
    longer = report.forecast(world.shop, world.backroom, 90, None)
    assert (longer.orders, longer.revenue) == (15, Decimal("167.85"))
    world.travel(8)
    cancel(world, leaving, "enough")
    world.travel(32)
    held_against = report.forecast(world.shop, world.backroom, 90, date(2027, 1, 31))
    assert (held_against.actual_orders, held_against.actual_revenue) == (2, Decimal("27.45"))
    assert sum(row.orders for row in held_against.days if row.actual_orders is not None) == 6


def test_a_forecast_that_nobody_made_is_not_there() -> None:
    world = World().open()
    with pytest.raises(NotFound):
        report.forecast(world.shop, world.backroom, 14, date(2026, 12, 24))


def test_the_latest_runs_are_told_with_the_window_that_opens_next() -> None:
    world = World().open()
    world.subscribe({"TEA": "Weekly"})
    world.travel(8)
    found = report.runs_of_late(world.shop)
    assert [(str(row.day), row.rebills, row.declines) for row in found.days if row.rebills] == [("2027-02-07", 1, 0)]
    assert len(found.days) == RUNS_DAYS
    assert found.now_dts < found.opens_dts < found.closes_dts
    assert not found.test_clock


def test_a_report_without_a_period_is_of_the_last_thirty_days() -> None:
    begin, end = report.last_days(World().open().shop)
    assert (str(begin), str(end)) == ("2027-01-02", "2027-01-31")


def queues(world: World, merchant_id: str | None = None) -> Any:
    shop = world.house.open_shop(merchant_id) if merchant_id else world.shop
    return report.queues(shop, world.backroom, QUEUES, webhooks=False)


def test_an_auto_order_that_no_sweep_has_found_in_time_is_late_and_of_its_own_shop_alone() -> None:
    world = World().open()
    world.subscribe()
    world.tell_all()
    due = world.next_look()
    assert due is not None
    world.clock.go(later(due, seconds=LATE_AFTER_SECONDS - 1))
    assert queues(world).late_auto_orders == LateWork(count=0, at_least=False)
    world.clock.pass_(seconds=1)
    assert queues(world).late_auto_orders == LateWork(count=1, at_least=False, since_dts=due)
    assert queues(world, "OTHER").late_auto_orders.count == 0
    world.work()
    told = queues(world)
    assert (told.late_auto_orders.count, told.late_events.count) == (0, 0), "nothing is late"
    assert told.dead_deliveries is None


def test_what_waits_in_a_queue_is_no_longer_late_by_itself_but_its_queue_tells() -> None:
    world = World().open()
    world.subscribe()
    world.clock.go(later(world.next_due(), seconds=LATE_AFTER_SECONDS))
    sweep(world.backroom)
    told = queues(world)
    assert told.late_auto_orders.count == 0
    assert {queue.name: queue.waiting for queue in told.queues}["rebill"] == 1


def test_an_event_that_nobody_was_told_of_is_late_and_one_that_failed_is_so_at_once() -> None:
    world = World().open()
    world.subscribe()
    world.tell_all()
    edit.update(world.shop, world.subscribe(), {"enabled": False})
    assert queues(world).late_events.count == 0, "the relay comes within a minute"

    def refuse(merchant_id: str, event_id: str) -> None:
        raise ConnectionError

    assert events_due(world.backroom, refuse) == 0
    failed = queues(world).late_events
    assert failed.count >= 1
    assert failed.since_dts is None, "it was looked at just now"
    began = world.clock.now()
    world.clock.pass_(hours=1)
    assert queues(world).late_events.since_dts == later(began, seconds=LEASE_SECONDS)
    world.tell_all()
    assert queues(world).late_events == LateWork(count=0, at_least=False)


def test_more_than_anybody_counts_is_told_as_at_least_so_many() -> None:
    world = World().open()
    for _ in range(20):
        world.subscribe()
    world.clock.go(later(world.next_due(), seconds=LATE_AFTER_SECONDS))
    told = report.queues(world.shop, world.backroom, QUEUES, webhooks=False, most=1).late_auto_orders
    assert told.at_least
    assert 1 <= told.count < 20


def test_a_look_at_the_queues_reads_the_due_index_alone() -> None:
    world = World().open()
    world.subscribe()
    world.tell_all()
    world.tables.meter.reset()
    queues(world)
    calls = world.tables.meter.calls
    assert {call.verb for call in calls} == {"query"}
    assert len(calls) == 2 * len(world.backroom.waiting.shards())
    assert sum(call.reads for call in calls) <= len(calls) / 2
