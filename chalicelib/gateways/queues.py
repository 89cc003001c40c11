"""Queues: SQS, and the embedded form with the same promises (at least once, visibility, redrive to a DLQ)."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any

import msgspec

from chalicelib.domain.dates import Instant, instant, later
from chalicelib.domain.waiting import QueueState

log = logging.getLogger(__name__)

# A message that was received is hidden this long: six times the longest function, as AWS advises.
VISIBILITY_SECONDS = 360
# Of a queue whose function runs longer: six times that.
LONGER_SECONDS = {"files": 1800}
# After so many receives a message is a dead letter.
MAXIMUM_RECEIVES = 5
# SQS takes ten messages a batch and 1 MiB each; ours are ids of a few hundred bytes.
BATCH = 10
MAXIMUM_MESSAGE_BYTES = 64 * 1024

# A message that waits longer than this is late: two of its hidden times; and for the walks past the gateways, which
# begin all at once, a quarter of their day.
LATE_SECONDS = {"reconcile": 6 * 3600}
# CloudWatch has an age a minute, some minutes later; of a queue that stands still it has none.
AGE_PERIOD_SECONDS = 60
AGES_BACK_SECONDS = 15 * 60
AGE = "ApproximateAgeOfOldestMessage"
DEAD = "-dead"

SCHEMA = """
create table if not exists message (
  number integer primary key, id text unique not null, queue text not null, body text not null,
  visible real not null, receives integer not null default 0, sent real not null default 0
);
create index if not exists message_of_queue on message (queue);
create table if not exists dead_letter (
  id text primary key, queue text not null, body text not null, receives integer not null, died real not null default 0
);
"""
# Columns that a file of before does not have.
ADDED = (("message", "sent"), ("dead_letter", "died"))


def visibility_seconds(queue: str) -> int:
    return LONGER_SECONDS.get(queue, VISIBILITY_SECONDS)


def late_seconds(queue: str) -> int:
    return LATE_SECONDS.get(queue, 2 * visibility_seconds(queue))


class Message(msgspec.Struct, frozen=True):
    id: str
    body: str
    receives: int


class EmbeddedQueues:
    """All queues of the embedded engine on one SQLite file. ``now`` gives seconds."""

    def __init__(self, path: str | Path, now: Callable[[], float]) -> None:
        # On AWS nobody needs SQLite.
        from chalicelib.gateways.embedded import opened

        self._now = now
        self._lock = threading.RLock()
        self._db = opened(path, SCHEMA)
        for table, column in ADDED:
            if column not in {row[1] for row in self._db.execute(f"pragma table_info({table})")}:
                self._db.execute(f"alter table {table} add column {column} real not null default 0")

    def send(self, queue: str, messages: Sequence[dict[str, str]]) -> None:
        with self._lock, self._db:
            self._db.execute("begin immediate")
            for message in messages:
                self.send_body(queue, _body(message))

    def send_body(self, queue: str, body: str) -> None:
        """A message as text: what a broken sender might send."""
        now = self._now()
        self._db.execute(
            "insert into message (id, queue, body, visible, sent) values (?, ?, ?, ?, ?)",
            (token_hex(16), queue, body, now, now),
        )

    def receive(self, queue: str, most: int, *, hidden_too: bool = False) -> list[Message]:
        """Up to ``most`` messages, now hidden from others. One that was received too often goes to the dead letters.

        ``hidden_too`` does as if the visibility time were over: for a clock that jumps.
        """
        until = self._now() + (visibility_seconds(queue) + 1 if hidden_too else 0)
        with self._lock:
            if not self._visible(queue, until, 1):
                return []  # looked at five times a second, and mostly there is nothing: no transaction for that
            with self._db:
                self._db.execute("begin immediate")
                rows = self._visible(queue, until, most)
                dead = [id_ for id_, _, receives in rows if receives >= MAXIMUM_RECEIVES]
                self._db.executemany(
                    "insert or replace into dead_letter select id, queue, body, receives, ? from message where id = ?",
                    [(self._now(), id_) for id_ in dead],
                )
                self._db.executemany("delete from message where id = ?", [(id_,) for id_ in dead])
                found = [
                    Message(id_, body, receives + 1) for id_, body, receives in rows if receives < MAXIMUM_RECEIVES
                ]
                hidden = self._now() + visibility_seconds(queue)
                self._db.executemany(
                    "update message set receives = receives + 1, visible = ? where id = ?",
                    [(hidden, message.id) for message in found],
                )
            return found

    def _visible(self, queue: str, until: float, most: int) -> list[tuple[str, str, int]]:
        return self._db.execute(
            "select id, body, receives from message where queue = ? and visible <= ? order by number limit ?",
            (queue, until, most),
        ).fetchall()

    def delete(self, message_ids: Sequence[str]) -> None:
        """They are done with."""
        self._each("delete from message where id = ?", [(id_,) for id_ in message_ids])

    def give_back(self, message_ids: Sequence[str]) -> None:
        """They were received, and nobody has begun with them: they wait again, and it does not count as a receive."""
        self._each(
            "update message set receives = receives - 1, visible = ? where id = ?",
            [(self._now(), id_) for id_ in message_ids],
        )

    def _each(self, sql: str, values: Sequence[tuple[object, ...]]) -> None:
        if values:
            with self._lock, self._db:
                self._db.execute("begin immediate")
                self._db.executemany(sql, values)

    def states(self, queues: Sequence[str]) -> list[QueueState]:
        with self._lock:
            return [self._state(queue) for queue in queues]

    def _state(self, queue: str) -> QueueState:
        now = self._now()
        waiting, in_flight, delayed, sent = self._db.execute(
            "select count(*) filter (where visible <= :now), count(*) filter (where visible > :now and receives > 0), "
            "count(*) filter (where visible > :now and receives = 0), min(nullif(sent, 0)) "
            "from message where queue = :queue",
            {"now": now, "queue": queue},
        ).fetchone()
        dead, died = self._db.execute(
            "select count(*), min(nullif(died, 0)) from dead_letter where queue = ?", (queue,)
        ).fetchone()
        oldest, oldest_dead = (None if at is None else max(0, int(now - at)) for at in (sent, died))
        return _state(queue, (waiting, in_flight, delayed, dead), oldest, oldest_dead)

    def waiting(self, queue: str) -> int:
        row = self._db.execute("select count(*) from message where queue = ?", (queue,)).fetchone()
        return int(row[0])

    def dead_letters(self, queue: str) -> list[dict[str, Any]]:
        """What failed every time."""
        rows = self._db.execute("select id, body, receives from dead_letter where queue = ?", (queue,)).fetchall()
        return [{"id": r[0], "body": r[1], "receives": r[2]} for r in rows]


class SqsQueues:
    """SQS. ``url_of`` gives a queue's address; the client is made at the first send."""

    def __init__(
        self,
        url_of: Callable[[str], str],
        client: Callable[[], Any],
        metrics: Callable[[], Any],
        now: Callable[[], Instant],
    ) -> None:
        self._url_of = url_of
        self._client = client
        self._metrics = metrics
        self._now = now

    def send(self, queue: str, messages: Sequence[dict[str, str]]) -> None:
        """Raises OSError where SQS did not take them all: the sweep then leaves what it has not pushed."""
        for start in range(0, len(messages), BATCH):
            entries = [
                {"Id": str(number), "MessageBody": _body(message)}
                for number, message in enumerate(messages[start : start + BATCH])
            ]
            answer = self._client().send_message_batch(QueueUrl=self._url_of(queue), Entries=entries)
            if answer.get("Failed"):
                raise OSError(f"{len(answer['Failed'])} messages were not taken by {queue}")

    def states(self, queues: Sequence[str]) -> list[QueueState]:
        """SQS tells how many messages there are, CloudWatch alone how old the oldest is. Both are estimates of the last
        minutes."""
        ages = self._ages([name for queue in queues for name in (queue, queue + DEAD)])
        return [self._state(queue, ages) for queue in queues]

    def _state(self, queue: str, ages: Mapping[str, tuple[int, Instant]]) -> QueueState:
        waiting, in_flight, delayed = self._numbers(queue)
        dead = sum(self._numbers(queue + DEAD))
        (oldest, of), (oldest_dead, of_dead) = (ages.get(name, (None, None)) for name in (queue, queue + DEAD))
        there = waiting + in_flight + delayed
        return _state(
            queue,
            (waiting, in_flight, delayed, dead),
            oldest if there else None,
            oldest_dead if dead else None,
            of if there else of_dead if dead else None,
        )

    def _numbers(self, name: str) -> tuple[int, int, int]:
        """How many may be received, how many somebody has in hand, how many come later."""
        asked = ["ApproximateNumberOfMessages" + kind for kind in ("", "NotVisible", "Delayed")]
        answer = self._client().get_queue_attributes(QueueUrl=self._url_of(name), AttributeNames=asked)
        waiting, in_flight, delayed = (int(answer["Attributes"].get(kind, 0)) for kind in asked)
        return waiting, in_flight, delayed

    def _ages(self, names: Sequence[str]) -> dict[str, tuple[int, Instant]]:
        """The latest age that is known of each, and of when it is. Without CloudWatch no age is known, and that is no
        reason to hold back the numbers."""
        from botocore.exceptions import BotoCoreError, ClientError

        until = self._now()
        wanted = [
            {
                "Id": f"m{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/SQS",
                        "MetricName": AGE,
                        # The queue's own name is the end of its address.
                        "Dimensions": [{"Name": "QueueName", "Value": self._url_of(name).rpartition("/")[2]}],
                    },
                    "Period": AGE_PERIOD_SECONDS,
                    "Stat": "Maximum",
                },
            }
            for number, name in enumerate(names)
        ]
        try:
            answer = self._metrics().get_metric_data(
                MetricDataQueries=wanted,
                # Whole minutes, as CloudWatch counts them.
                StartTime=later(until, seconds=-AGES_BACK_SECONDS - until.second),
                EndTime=until,
                ScanBy="TimestampDescending",
            )
        except (BotoCoreError, ClientError):
            log.warning("the ages of messages are not known", exc_info=True)
            return {}
        return {
            names[int(result["Id"][1:])]: (int(result["Values"][0]), instant(result["Timestamps"][0]))
            for result in answer["MetricDataResults"]
            if result["Values"]
        }


def _state(
    queue: str,
    numbers: tuple[int, int, int, int],
    oldest: int | None,
    oldest_dead: int | None,
    ages_dts: Instant | None = None,
) -> QueueState:
    """``numbers``: waiting, in flight, delayed, dead."""
    waiting, in_flight, delayed, dead = numbers
    late_after = late_seconds(queue)
    return QueueState(
        name=queue,
        waiting=waiting,
        in_flight=in_flight,
        delayed=delayed,
        dead_letters=dead,
        late_after_seconds=late_after,
        late=oldest is not None and oldest > late_after,
        oldest_seconds=oldest,
        oldest_dead_letter_seconds=oldest_dead,
        ages_dts=ages_dts,
    )


def _body(message: dict[str, str]) -> str:
    text = msgspec.json.encode(message)
    if len(text) > MAXIMUM_MESSAGE_BYTES:
        raise ValueError(f"a message holds {MAXIMUM_MESSAGE_BYTES} bytes at most")
    return text.decode()
