"""Why messages failed, under their ids: what a person reads beside a dead letter, whose own queue keeps no cause."""

from chalicelib.domain.dates import Instant
from chalicelib.stores.port import Put, TablePort
from chalicelib.stores.tables import PK, SK

TABLE = "documents"
# Dead letters are kept 14 days by their queue; the cause a little longer.
KEEP_SECONDS = 20 * 24 * 3600
MAXIMUM_TEXT = 2000


class Failures:
    """Causes of failed messages, of all queues."""

    def __init__(self, port: TablePort, now: Instant) -> None:
        self._port = port
        self._now = now

    def noted(self, message_id: str, body: str, cause: str) -> None:
        self._port.write(
            Put(
                TABLE,
                {
                    PK: f"failure#{message_id}",
                    SK: "failure",
                    "cause": cause[:MAXIMUM_TEXT],
                    "body": body[:MAXIMUM_TEXT] or "-",
                    "failed": str(self._now),
                    "expires": int(self._now.timestamp()) + KEEP_SECONDS,
                },
            )
        )

    def cause(self, message_id: str) -> str | None:
        record = self._port.get(TABLE, f"failure#{message_id}", "failure", consistent=True)
        return str(record["cause"]) if record else None
