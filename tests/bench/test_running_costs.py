"""What a month costs in which nothing happens, and what the deliveries of a rebill cost: the guide to deploying tells
these figures."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from chalice.app import SQSEvent

from chalicelib import wiring
from chalicelib.config import QUEUES
from chalicelib.domain.dates import instant
from chalicelib.domain.webhooks import Answer
from chalicelib.handlers import work
from chalicelib.stores.tables import DUE_SHARDS
from infra.generate import SCHEDULES, merged
from tests.houses import TestHouse, a_house

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "deploying.md").read_text()
MONTH_SECONDS = 30 * 24 * 3600


class Receiver:
    """Takes every webhook."""

    def post(self, url: str, body: bytes, headers: Any) -> Answer:
        return Answer(status=200, body="", duration_ms=1)

    def signed(self, message_id: str, body: str, secrets: Any) -> dict[str, str]:
        return {}


def consumed(house: TestHouse) -> tuple[float, float]:
    """Write and read units since the last time."""
    calls = list(house.tables.meter.calls)
    house.tables.meter.reset()
    return sum(call.writes for call in calls), sum(call.reads for call in calls)


def run(house: TestHouse, name: str) -> None:
    wiring.use(house)
    getattr(work, name)(None)


def consume(house: TestHouse) -> list[str]:
    """Every message that waits. Returns the queues that they came from."""
    wiring.use(house)
    taken = house.sent.take()
    for number, (queue, message) in enumerate(taken):
        record = {"messageId": str(number), "body": json.dumps(message), "receiptHandle": "1", "attributes": {}}
        answer = getattr(work, queue)(SQSEvent({"Records": [record | {"eventSource": "aws:sqs"}]}, None))
        assert not answer["batchItemFailures"]
    return [queue for queue, _ in taken]


def told(pattern: str) -> list[float]:
    """The figures of the one place in the guide."""
    found = re.search(pattern, GUIDE)
    assert found, pattern
    return [float(figure.replace(",", "")) for figure in found.groups()]


def test_a_month_in_which_nothing_happens_costs_what_the_guide_says() -> None:
    house = a_house()
    house.found()
    consumed(house)
    units, runs = {}, {}
    for function in SCHEDULES:
        run(house, function.name)
        written, units[function.name] = consumed(house)
        assert written == 0
        runs[function.name] = MONTH_SECONDS // function.every_seconds
    assert house.sent.take() == []
    print(f"\na month of nothing: {runs} runs of {units} read units")
    assert told(r"\*\*([\d,]+)\*\* sweeps of \*\*(\d+)\*\*") == [runs["sweep"], units["sweep"]]
    assert told(r"\*\*([\d,]+)\*\* relays of \*\*(\d+)\*\*") == [runs["relay"], units["relay"]]
    million = sum(units[name] * runs[name] for name in runs) / 1e6
    assert told(r"\*\*([\d.]+) million\*\*") == [round(million, 2)]
    assert told(r"\| Lambda \| \*\*([\d,]+)\*\* runs") == [sum(runs.values())]
    alarms = [r for r in merged()["Resources"].values() if r.get("Type") == "AWS::CloudWatch::Alarm"]
    assert told(r"\| alarms \| \*\*(\d+)\*\*") == [len(alarms)]
    assert told(r"\*\*(\d+)\*\* queues") == [len(QUEUES)]


def test_a_webhook_and_a_mail_cost_what_the_guide_says() -> None:
    house = a_house(http=Receiver())
    key = house.found(sender_email="shop@example.com")
    order_id = a_subscriber(house, key)
    house.clock.moment = instant(house.clock.now() + timedelta(days=31))
    run(house, "sweep")
    assert consume(house) == ["rebill"]
    assert house.call("GET", f"/rest/v2/order/orders/{order_id}-001", key=key).status == 200
    house.relay()
    before = len(house.outside.mails)
    consumed(house)
    run(house, "relay")
    assert consume(house) == ["deliver", "deliver"]
    writes, reads = consumed(house)
    assert len(house.outside.mails) == before + 1
    # The relay asks every shard of two tables whatever comes of it.
    reads -= DUE_SHARDS
    print(f"\none webhook and one mail: {writes:g} write units, {reads:g} read units")
    assert told(r"\*\*(\d+)\*\* to deliver a webhook and a mail") == [writes]
    assert told(r"\*\*(\d+)\*\* to deliver \|") == [reads]


def a_subscriber(house: TestHouse, key: str) -> str:
    """A shop with one endpoint for rebills, and a paid order that comes again each month. Returns its id."""

    def made(path: str, body: Any, who: str = key) -> Any:
        reply = house.call("POST", path, body, key=who)
        assert reply.status == 200, reply.body
        return reply.json

    tab = {"auto_orderable": True, "auto_order_schedules": ["Monthly"]}
    made("/rest/v2/item/items", {"merchant_item_id": "TEA", "pricing": {"cost": 17.95}, "auto_order": tab})
    wanted = [{"event_name": "auto_order_rebill", "subscribed": True}]
    made(
        "/rest/v2/webhook/webhooks",
        {
            "webhook_url": "https://receiver.example.com/hook",
            "event_categories": [{"event_category": "auto_order", "events": wanted}],
        },
    )
    card = {"card_number": "4111111111111111", "card_expiration_month": 12, "card_expiration_year": 2040}
    token = made("/storefront/card_tokens", card, house.key(kind="browser"))["card_token"]
    order = {
        "items": [{"merchant_item_id": "TEA", "quantity": 1, "auto_order_schedule": "Monthly"}],
        "billing": {"email": "ada@example.com", "country_code": "US"},
        "payment": {"credit_card": {"card_number_token": token}},
    }
    order_id = str(made("/rest/v2/order/orders", order)["order"]["order_id"])
    made(f"/rest/v2/order/orders/{order_id}/process_payment", {})
    for _ in range(2):
        run(house, "relay")
        consume(house)
    return order_id
