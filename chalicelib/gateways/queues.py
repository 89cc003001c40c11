"""Queues: SQS, and the embedded form with the same promises (at least once, visibility, redrive to a DLQ)."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any

import msgspec

# A message that was received is hidden this long: six times the longest function, as AWS advises.
VISIBILITY_SECONDS = 360
# Of a queue whose function runs longer: six times that.
LONGER_SECONDS = {"files": 1800}
# After so many receives a message is a dead letter.
MAXIMUM_RECEIVES = 5
# SQS takes ten messages a batch and 1 MiB each; ours are ids of a few hundred bytes.
BATCH = 10
MAXIMUM_MESSAGE_BYTES = 64 * 1024

SCHEMA = """
create table if not exists message (
  number integer primary key, id text unique not null, queue text not null, body text not null,
  visible real not null, receives integer not null default 0
);
create index if not exists message_of_queue on message (queue);
create table if not exists dead_letter (
  id text primary key, queue text not null, body text not null, receives integer not null
);
"""


def visibility_seconds(queue: str) -> int:
    return LONGER_SECONDS.get(queue, VISIBILITY_SECONDS)


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

    def send(self, queue: str, messages: Sequence[dict[str, str]]) -> None:
        with self._lock, self._db:
            self._db.execute("begin immediate")
            for message in messages:
                self.send_body(queue, _body(message))

    def send_body(self, queue: str, body: str) -> None:
        """A message as text: what a broken sender might send."""
        self._db.execute(
            "insert into message (id, queue, body, visible) values (?, ?, ?, ?)",
            (token_hex(16), queue, body, self._now()),
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
                dead = [(id_,) for id_, _, receives in rows if receives >= MAXIMUM_RECEIVES]
                self._db.executemany(
                    "insert or replace into dead_letter select id, queue, body, receives from message where id = ?",
                    dead,
                )
                self._db.executemany("delete from message where id = ?", dead)
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

    def waiting(self, queue: str) -> int:
        row = self._db.execute("select count(*) from message where queue = ?", (queue,)).fetchone()
        return int(row[0])

    def dead_letters(self, queue: str) -> list[dict[str, Any]]:
        """What failed every time."""
        rows = self._db.execute("select id, body, receives from dead_letter where queue = ?", (queue,)).fetchall()
        return [{"id": r[0], "body": r[1], "receives": r[2]} for r in rows]


class SqsQueues:
    """SQS. ``url_of`` gives a queue's address; the client is made at the first send."""

    def __init__(self, url_of: Callable[[str], str], client: Callable[[], Any]) -> None:
        self._url_of = url_of
        self._client = client

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


def _body(message: dict[str, str]) -> str:
    text = msgspec.json.encode(message)
    if len(text) > MAXIMUM_MESSAGE_BYTES:
        raise ValueError(f"a message holds {MAXIMUM_MESSAGE_BYTES} bytes at most")
    return text.decode()
