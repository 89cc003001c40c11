"""What queues hand over: a message that failed for the last time is its merchant's problem of the day."""

import json
import logging
from collections.abc import Iterator
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from chalice.app import SQSEvent

from chalicelib import wiring
from chalicelib.domain.dates import local_date
from chalicelib.domain.problems import ShopProblem
from chalicelib.gateways.queues import MAXIMUM_RECEIVES
from chalicelib.handlers import logs, work
from tests.houses import TestHouse, a_house
from tests.worlds import NEW_YORK

POISON = {"merchant_id": "DEMO", "kind": "auto_order", "id": "no number"}


@pytest.fixture
def house() -> TestHouse:
    house = a_house()
    house.found()
    wiring.use(house)
    return house


def consume(queue: str, body: str, receives: int) -> bool:
    """Whether the message was handed back as failed."""
    record: dict[str, Any] = {"messageId": "1", "body": body, "receiptHandle": "1", "eventSource": "aws:sqs"}
    record["attributes"] = {"ApproximateReceiveCount": str(receives)}
    return bool(getattr(work, queue)(SQSEvent({"Records": [record]}, None))["batchItemFailures"])


def problems(house: TestHouse) -> list[ShopProblem]:
    return house.open_shop("DEMO").problems.of(local_date(house.clock.now(), NEW_YORK), 100)


def test_only_the_last_receive_of_a_message_that_fails_is_a_problem_and_it_is_one(house: TestHouse) -> None:
    for receives in range(1, MAXIMUM_RECEIVES):
        assert consume("rebill", json.dumps(POISON), receives)
    assert problems(house) == []
    for _ in range(2):
        assert consume("rebill", json.dumps(POISON), MAXIMUM_RECEIVES)
    (found,) = problems(house)
    assert (found.about, found.code) == ("auto_order#no number", "dead_message")
    assert found.message.startswith("ValueError: ")


def test_a_message_that_names_no_shop_still_comes_back_as_failed(house: TestHouse) -> None:
    for body in ("no message", "{}", '{"merchant_id": "DEMO"}'):
        assert consume("deliver", body, MAXIMUM_RECEIVES)
    assert problems(house) == []


@pytest.fixture
def lines(house: TestHouse) -> Iterator[StringIO]:
    """What the runtime of AWS would collect."""
    house.structured_logs = True
    written = StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    worn = {one: one.formatter for one in root.handlers}
    root.addHandler(handler)
    logs.worded.cache_clear()
    yield written
    root.removeHandler(handler)
    for one, formatter in worn.items():
        one.setFormatter(formatter)


def test_a_line_of_the_log_says_whose_it_is_and_what_it_is_about(house: TestHouse, lines: StringIO) -> None:
    records = [
        {"messageId": str(number), "body": body, "receiptHandle": "1", "eventSource": "aws:sqs", "attributes": {}}
        for number, body in enumerate((json.dumps(POISON), "no message", json.dumps({**POISON, "level": "INFO"})))
    ]
    work.rebill(SQSEvent({"Records": records}, SimpleNamespace(aws_request_id="run-1")))
    first, second, third = (json.loads(line) for line in lines.getvalue().splitlines())
    for line in (first, second, third):
        assert (line["level"], line["message"], line["requestId"]) == ("ERROR", "a message failed", "run-1")
    assert (first["merchant_id"], first["kind"], first["id"]) == ("DEMO", "auto_order", "no number")
    assert (first["message_id"], first["exception_name"]) == ("0", "ValueError")
    assert first["timestamp"].endswith("+00:00")
    assert "merchant_id" not in second


def test_where_nobody_collects_them_lines_stay_as_they_are(house: TestHouse, caplog: pytest.LogCaptureFixture) -> None:
    assert consume("rebill", json.dumps(POISON), 1)
    assert caplog.messages == ["a message failed"]
    assert caplog.handler.formatter is not None
    assert "merchant_id" not in caplog.text
