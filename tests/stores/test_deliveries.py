"""Webhook endpoints and deliveries as they are kept: due while they wait, listed by endpoint, one writer at a time."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain import webhooks
from chalicelib.domain.dates import Instant, later, parse_instant
from chalicelib.domain.errors import Invalid, NotFound, Refused
from chalicelib.domain.webhooks import MAXIMUM_WEBHOOKS, Answer, Delivery, DeliveryLog, Webhook
from chalicelib.stores.deliveries import LARGEST_BODY_ON_THE_ROW, Deliveries
from chalicelib.stores.sqlite import SqliteTables
from chalicelib.stores.waiting import Waiting
from chalicelib.stores.webhooks import Webhooks

NOW = parse_instant("2027-01-31T05:00:00Z")
OID = 7
SMALL = '{"events":[{"order_create":{"order_id":"DEMO-1"}}]}'
LARGE = '{"events":["' + "ü" * 5000 + '"]}'


@pytest.fixture
def port() -> Iterator[SqliteTables]:
    tables = SqliteTables(":memory:")
    yield tables
    tables.close()


@pytest.fixture
def kept(port: SqliteTables) -> Deliveries:
    return Deliveries(port, "DEMO")


def a_delivery(event_id: str = "evt_1", **changes: Any) -> Delivery:
    return Delivery(
        event_id=event_id,
        webhook_oid=OID,
        event_names=["order_create"],
        first_dts=NOW,
        next_dts=NOW,
        **{"body": SMALL, "order_ids": ["DEMO-1"]} | changes,
    )


def a_log(event_id: str = "evt_1", at: Instant = NOW, word: str = "a") -> DeliveryLog:
    return DeliveryLog(
        request_id=webhooks.request_id(at, word), delivery_dts=at, webhook_oid=OID, event_id=event_id, success=False
    )


def due(port: SqliteTables, until: Instant) -> list[str]:
    waiting = Waiting(port)
    return sorted(row.subject for shard in waiting.shards() for row in waiting.due("deliveries", shard, until, 100)[0])


def failed(kept: Deliveries, event_id: str, at: Instant = NOW) -> Delivery:
    """The delivery as it stands, after one more failed try."""
    found = kept.find(OID, event_id)
    assert found is not None
    after = webhooks.tried(found.noun, Answer(status=500), at, 0.5)
    kept._port.write(*kept.tried(after, found.version, a_log(event_id, at, f"w{found.version}")))
    return after


# --- endpoints -------------------------------------------------------------------------------------------------------


def an_endpoint(oid: int = OID) -> Webhook:
    return Webhook(webhook_oid=oid, webhook_url="https://example.com")


def test_endpoints_are_read_together_and_one_by_one(port: SqliteTables) -> None:
    shop, other = Webhooks(port, "DEMO"), Webhooks(port, "OTHER")
    for oid in (3, 1, 20):
        port.write(shop.inserted(an_endpoint(oid)))
    port.write(other.inserted(an_endpoint(4)))
    assert [kept.noun.webhook_oid for kept in shop.all()] == [1, 20, 3]
    assert [kept.noun.webhook_oid for kept in other.all()] == [4]
    assert shop.get(20).version == 1
    assert shop.find(4) is None
    with pytest.raises(NotFound):
        shop.get(4)


def test_an_endpoint_changes_under_its_version_only(port: SqliteTables) -> None:
    shop = Webhooks(port, "DEMO")
    port.write(shop.inserted(an_endpoint()))
    with pytest.raises(Refused):
        port.write(shop.inserted(an_endpoint()))
    port.write(shop.replaced(replace(an_endpoint(), name="new"), 1))
    for change in (shop.replaced(an_endpoint(), 1), shop.removed(OID, 1)):
        with pytest.raises(Refused):
            port.write(change)
    port.write(shop.removed(OID, 2))
    assert shop.all() == []
    with pytest.raises(Refused):
        port.write(shop.replaced(an_endpoint(), 2))


def test_there_is_an_end_to_endpoints(port: SqliteTables) -> None:
    shop = Webhooks(port, "DEMO")
    for oid in range(1, MAXIMUM_WEBHOOKS + 1):
        port.write(shop.inserted(an_endpoint(oid)))
    with pytest.raises(Invalid, match="delete one first"):
        shop.inserted(an_endpoint(99))
    assert Webhooks(port, "OTHER").inserted(an_endpoint(99))


# --- one delivery ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [SMALL, LARGE, "x" * LARGEST_BODY_ON_THE_ROW, "x" * (LARGEST_BODY_ON_THE_ROW + 1)])
def test_a_delivery_is_found_as_it_was_planned_body_and_all(port: SqliteTables, kept: Deliveries, body: str) -> None:
    port.write(*kept.planned(a_delivery(body=body)))
    found = kept.find(OID, "evt_1")
    assert found is not None
    assert found.noun == a_delivery(body=body, due_dts=NOW)
    assert found.version == 1
    for _ in range(3):
        failed(kept, "evt_1")
    found = kept.find(OID, "evt_1")
    assert found is not None
    assert found.noun.body == body
    assert found.noun.tries == 3


def test_the_same_happening_is_planned_once(port: SqliteTables, kept: Deliveries) -> None:
    port.write(*kept.planned(a_delivery(body=LARGE)))
    with pytest.raises(Refused):
        port.write(*kept.planned(a_delivery(body="another")))
    found = kept.find(OID, "evt_1")
    assert found is not None
    assert found.noun.body == LARGE


def test_another_merchants_delivery_cannot_be_named(port: SqliteTables, kept: Deliveries) -> None:
    port.write(*kept.planned(a_delivery()))
    failed(kept, "evt_1")
    other = Deliveries(port, "OTHER")
    assert other.find(OID, "evt_1") is None
    assert other.logs(OID) == ([], None)
    assert other.pending(OID) == ([], None)


def test_a_delivery_is_due_while_it_is_to_be_tried(port: SqliteTables, kept: Deliveries) -> None:
    port.write(*kept.planned(a_delivery()))
    assert due(port, later(NOW, seconds=-1)) == []
    assert due(port, NOW) == ["7/evt_1"]
    found = kept.find(OID, "evt_1")
    assert found is not None
    claimed = webhooks.claimed(found.noun, NOW)
    port.write(kept.claimed(claimed, 1))
    assert claimed.due_dts is not None
    assert due(port, later(claimed.due_dts, seconds=-1)) == []
    assert due(port, claimed.due_dts) == ["7/evt_1"]
    port.write(*kept.tried(webhooks.tried(claimed, Answer(status=200), NOW, 0.5), 2, a_log()))
    assert due(port, later(NOW, days=99)) == []


def test_the_sweeps_push_is_seen_and_does_not_count_as_a_change(port: SqliteTables, kept: Deliveries) -> None:
    port.write(*kept.planned(a_delivery()))
    waiting = Waiting(port)
    (row,) = [row for shard in waiting.shards() for row in waiting.due("deliveries", shard, NOW, 10)[0]]
    assert waiting.push(row, later(NOW, seconds=360))
    found = kept.find(OID, "evt_1")
    assert found is not None
    assert (found.noun.next_dts, found.noun.due_dts, found.version) == (NOW, later(NOW, seconds=360), 1)
    port.meter.reset()
    port.write(kept.claimed(webhooks.claimed(found.noun, later(NOW, seconds=2)), 1))
    assert port.meter.calls[0].writes == 1  # the index entry stays where the sweep has put it


def test_of_two_workers_one_claims(port: SqliteTables, kept: Deliveries) -> None:
    port.write(*kept.planned(a_delivery()))
    claimed = webhooks.claimed(a_delivery(), NOW)
    port.write(kept.claimed(claimed, 1))
    with pytest.raises(Refused):
        port.write(kept.claimed(claimed, 1))


# --- lists of an endpoint --------------------------------------------------------------------------------------------


def test_what_failed_is_listed_until_it_is_over(port: SqliteTables, kept: Deliveries) -> None:
    for event_id in ("evt_1", "evt_2", "evt_3"):
        port.write(*kept.planned(a_delivery(event_id)))
    assert kept.number_pending(OID) == 0
    failed(kept, "evt_1")
    failed(kept, "evt_1")
    failed(kept, "evt_2")
    assert kept.number_pending(OID) == 2
    waiting, cursor = kept.pending(OID)
    assert sorted((delivery.event_id, delivery.tries) for delivery in waiting) == [("evt_1", 2), ("evt_2", 1)]
    assert cursor is None
    found = kept.find(OID, "evt_1")
    assert found is not None
    port.write(*kept.tried(webhooks.tried(found.noun, Answer(status=200), NOW, 0.5), found.version, a_log()))
    assert [delivery.event_id for delivery in kept.pending(OID)[0]] == ["evt_2"]
    assert kept.dead(OID) == ([], None)


def test_dead_letters_are_listed_the_last_first_and_leave_when_they_are_sent_again(
    port: SqliteTables, kept: Deliveries
) -> None:
    for number in range(5):
        event_id = f"evt_{number}"
        port.write(*kept.planned(a_delivery(event_id)))
        failed(kept, event_id)
        found = kept.find(OID, event_id)
        assert found is not None
        dead = webhooks.ended(found.noun, "dead", later(NOW, hours=number), "gone")
        port.write(*kept.moved(dead, found.version))
    assert kept.number_pending(OID) == 0
    assert (kept.number_dead(OID, 100), kept.number_dead(OID, 3), kept.number_dead(OID + 1, 100)) == (5, 3, 0)
    first, cursor = kept.dead(OID, limit=3)
    rest, end = kept.dead(OID, limit=3, cursor=cursor)
    assert [delivery.event_id for delivery in first + rest] == ["evt_4", "evt_3", "evt_2", "evt_1", "evt_0"]
    assert first[0].reason == "gone"
    assert end is None
    found = kept.find(OID, "evt_3")
    assert found is not None
    port.write(*kept.moved(webhooks.resent(found.noun, NOW), found.version))
    assert [delivery.event_id for delivery in kept.dead(OID)[0]] == ["evt_4", "evt_2", "evt_1", "evt_0"]
    assert [delivery.event_id for delivery in kept.pending(OID)[0]] == ["evt_3"]
    assert due(port, NOW) == ["7/evt_3"]


def test_what_is_dead_from_the_start_is_listed_and_never_due(port: SqliteTables, kept: Deliveries) -> None:
    port.write(*kept.planned(webhooks.ended(a_delivery(body=""), "dead", NOW, "too large")))
    assert [delivery.reason for delivery in kept.dead(OID)[0]] == ["too large"]
    assert due(port, later(NOW, days=9)) == []


def test_logs_come_newest_first_page_by_page(port: SqliteTables, kept: Deliveries) -> None:
    for minute in range(25):
        port.write(kept.noted(a_log(at=later(NOW, minutes=minute))))
    port.write(Deliveries(port, "DEMO").noted(replace(a_log(), webhook_oid=8)))
    found: list[DeliveryLog] = []
    cursor = None
    pages = 0
    while True:
        logs, cursor = kept.logs(OID, limit=10, cursor=cursor)
        found += logs
        pages += 1
        if cursor is None:
            break
    assert pages == 3
    assert [log.delivery_dts for log in found] == [later(NOW, minutes=minute) for minute in reversed(range(25))]


def test_logs_are_asked_for_from_and_until(port: SqliteTables, kept: Deliveries) -> None:
    for minute in range(10):
        port.write(kept.noted(a_log(at=later(NOW, minutes=minute))))

    def minutes(since: int | None, until: int | None) -> list[int]:
        logs, _ = kept.logs(
            OID,
            since=None if since is None else later(NOW, minutes=since),
            until=None if until is None else later(NOW, minutes=until),
        )
        return [int((log.delivery_dts - NOW).total_seconds()) // 60 for log in logs if log.delivery_dts]

    assert minutes(3, 6) == [5, 4, 3]
    assert minutes(8, None) == [9, 8]
    assert minutes(None, 2) == [1, 0]
    assert minutes(6, 6) == []


def test_one_log_shows_what_was_sent_and_the_list_does_not_carry_it(port: SqliteTables, kept: Deliveries) -> None:
    port.write(*kept.planned(a_delivery(body=LARGE)))
    failed(kept, "evt_1")
    (listed,) = kept.logs(OID)[0]
    assert listed.request is None
    assert listed.request_id is not None
    log = kept.log(OID, listed.request_id)
    assert log is not None
    assert log.request == LARGE
    assert kept.log(OID, "20270131T050000Z-none") is None
    assert kept.log(8, listed.request_id) is None


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_a_delivery_that_is_taken_at_once_costs_few_units(port: SqliteTables, kept: Deliveries) -> None:
    """Planned in a transaction, pushed by the sweep, claimed, marked with its log."""

    def units(body: str, event_id: str) -> list[float]:
        delivery = a_delivery(event_id, body=body)
        port.meter.reset()
        port.write(*kept.planned(delivery))
        waiting = Waiting(port)
        for row in [row for shard in waiting.shards() for row in waiting.due("deliveries", shard, NOW, 10)[0]]:
            waiting.push(row, later(NOW, seconds=360))
        found = kept.find(OID, event_id)
        assert found is not None
        claimed = webhooks.claimed(found.noun, NOW)
        port.write(kept.claimed(claimed, 1))
        port.write(*kept.tried(webhooks.tried(claimed, Answer(status=200), NOW, 0.5), 2, a_log(event_id)))
        return [call.writes for call in port.meter.calls if call.writes]

    assert units(SMALL, "evt_1") == [2, 3, 1, 5]
    large = units("x" * 4000, "evt_2")
    assert large == [2 + 1 + 2 * 4, 3, 1, 5]
