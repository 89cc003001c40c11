"""How the queues stand: one contract for SQS with CloudWatch (moto, in process) and the embedded form."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from chalicelib.domain.dates import later
from chalicelib.domain.waiting import QueueState
from chalicelib.gateways.queues import AGE, DEAD, MAXIMUM_RECEIVES, EmbeddedQueues, SqsQueues, late_seconds
from tests.worlds import START, ManualClock

QUEUE, OTHER = "rebill", "files"
MESSAGE = {"merchant_id": "DEMO", "kind": "auto_order", "id": "1"}


class Embedded:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.queues = EmbeddedQueues(":memory:", lambda: self.clock.now().timestamp())

    def take(self) -> None:
        """Somebody has one message in hand."""
        assert self.queues.receive(QUEUE, 1)

    def fail_every_time(self) -> None:
        for _ in range(MAXIMUM_RECEIVES + 1):
            self.queues.receive(QUEUE, 1, hidden_too=True)

    def pass_(self, minutes: int) -> None:
        self.clock.pass_(minutes=minutes)


class Aws:
    """SQS counts by itself; its ages come minute by minute, as CloudWatch would have them."""

    def __init__(self, session: Any) -> None:
        self.clock = ManualClock()
        self.sqs, self.metrics = (
            session.create_client(name, region_name="eu-west-1") for name in ("sqs", "cloudwatch")
        )
        for queue in (QUEUE, OTHER):
            dead = self.sqs.create_queue(QueueName=f"backroom-{queue}{DEAD}")["QueueUrl"]
            arn = self.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": MAXIMUM_RECEIVES})
            self.sqs.create_queue(QueueName=f"backroom-{queue}", Attributes={"RedrivePolicy": redrive})
        self.queues = SqsQueues(self.url, lambda: self.sqs, lambda: self.metrics, self.clock.now)

    def url(self, name: str) -> str:
        return str(self.sqs.get_queue_url(QueueName=f"backroom-{name}")["QueueUrl"])

    def take(self) -> None:
        assert self.sqs.receive_message(QueueUrl=self.url(QUEUE), VisibilityTimeout=360)["Messages"]

    def fail_every_time(self) -> None:
        for _ in range(MAXIMUM_RECEIVES + 1):
            self.sqs.receive_message(QueueUrl=self.url(QUEUE), VisibilityTimeout=0)

    def pass_(self, minutes: int) -> None:
        self.clock.pass_(minutes=minutes)
        age = (self.clock.now() - START).total_seconds() // 60 * 60
        for name in (QUEUE, QUEUE + DEAD):
            about = [{"Name": "QueueName", "Value": f"backroom-{name}"}]
            told = {"MetricName": AGE, "Dimensions": about, "Timestamp": self.clock.now(), "Value": age}
            self.metrics.put_metric_data(Namespace="AWS/SQS", MetricData=[told])
        # What is of this very minute is there in the next.
        self.clock.pass_(seconds=1)


@pytest.fixture(params=["embedded", "sqs"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Embedded | Aws]:
    if request.param == "embedded":
        yield Embedded()
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Aws(botocore.session.get_session())


def numbers(state: QueueState) -> tuple[int, int, int, int]:
    return state.waiting, state.in_flight, state.delayed, state.dead_letters


def test_what_waits_and_what_somebody_has_in_hand_is_counted_apart(engine: Embedded | Aws) -> None:
    engine.queues.send(QUEUE, [MESSAGE] * 12)
    engine.take()
    here, other = engine.queues.states([QUEUE, OTHER])
    assert (here.name, numbers(here)) == (QUEUE, (11, 1, 0, 0))
    assert (other.name, numbers(other), other.oldest_seconds, other.late) == (OTHER, (0, 0, 0, 0), None, False)


def test_what_failed_every_time_is_a_dead_letter_with_its_age(engine: Embedded | Aws) -> None:
    engine.queues.send(QUEUE, [MESSAGE])
    engine.fail_every_time()
    engine.pass_(minutes=4)
    (state,) = engine.queues.states([QUEUE])
    assert numbers(state) == (0, 0, 0, 1)
    assert (state.oldest_seconds, state.late) == (None, False), "nothing waits"
    assert 240 <= (state.oldest_dead_letter_seconds or 0) <= 241


def test_a_message_that_waits_too_long_is_late(engine: Embedded | Aws) -> None:
    engine.queues.send(QUEUE, [MESSAGE])
    engine.pass_(minutes=11)
    (state,) = engine.queues.states([QUEUE])
    assert (state.late, state.late_after_seconds) == (False, late_seconds(QUEUE))
    engine.pass_(minutes=3)
    (state,) = engine.queues.states([QUEUE])
    assert state.late
    assert 840 <= (state.oldest_seconds or 0) <= 841


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Aws(botocore.session.get_session())


def test_cloudwatch_says_of_when_its_ages_are_and_an_old_age_is_none(aws: Aws) -> None:
    aws.queues.send(QUEUE, [MESSAGE])
    aws.pass_(minutes=2)
    aws.clock.pass_(minutes=5)
    (state,) = aws.queues.states([QUEUE])
    assert (state.oldest_seconds, state.ages_dts) == (120, later(START, minutes=2))
    aws.clock.pass_(minutes=15)
    (state,) = aws.queues.states([QUEUE])
    assert (state.waiting, state.oldest_seconds, state.ages_dts) == (1, None, None), "nobody knows"


def test_without_cloudwatch_the_numbers_are_told_all_the_same(aws: Aws) -> None:
    class Refusing:
        def get_metric_data(self, **asked: Any) -> Any:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetMetricData")

    queues = SqsQueues(aws.url, lambda: aws.sqs, Refusing, aws.clock.now)
    queues.send(QUEUE, [MESSAGE])
    (state,) = queues.states([QUEUE])
    assert (numbers(state), state.oldest_seconds) == ((1, 0, 0, 0), None)


def test_a_file_of_before_has_messages_whose_age_nobody_knows(tmp_path: Path) -> None:
    file = tmp_path / "queues.sqlite"
    old = sqlite3.connect(file)
    old.executescript(
        "create table message (number integer primary key, id text unique not null, queue text not null, "
        "body text not null, visible real not null, receives integer not null default 0);"
        "create table dead_letter (id text primary key, queue text not null, body text not null, "
        "receives integer not null);"
        "insert into message (id, queue, body, visible) values ('a', 'rebill', '{}', 0);"
        "insert into dead_letter values ('b', 'rebill', '{}', 5);"
    )
    old.close()
    for _ in range(2):
        (state,) = EmbeddedQueues(file, lambda: 1_800_000_000.0).states([QUEUE])
        assert (numbers(state), state.oldest_seconds, state.oldest_dead_letter_seconds) == ((1, 0, 0, 1), None, None)
