"""Counters with a window, and the tokens that stand for a card for two hours."""

import json
from typing import Any

from chalicelib.domain.access import key_hash
from chalicelib.domain.dates import Instant, parse_instant
from chalicelib.domain.errors import Refused, TooMany
from chalicelib.stores.port import Absent, LessThan, Put, TablePort, Update
from chalicelib.stores.records import DOCUMENT, pk
from chalicelib.stores.tables import PK, SK

TABLE = "documents"
# Expired rows are swept away by the table a day later; nobody reads them before.
KEEP_SECONDS = 24 * 3600


class Limits:
    """One merchant's counters: so many in each window of so many seconds."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def take(self, scope: str, most: int, window_seconds: int, now: Instant) -> None:
        """Count one; raises TooMany where the window has had its most. Never lets one more through, however many
        callers there are at once."""
        epoch = int(now.timestamp())
        window = epoch - epoch % window_seconds
        key, sk = pk(self._merchant_id, "limit", key_hash(scope)), str(window)
        try:
            self._port.write(Update(TABLE, key, sk, add={"count": 1}, when=(LessThan("count", most),)))
        except Refused as refused:
            if refused.found is not None:
                wait = window + window_seconds - epoch
                raise TooMany("too many tries; wait before the next", max(1, wait)) from None
            self._first(key, sk, window + window_seconds, most, scope, window_seconds, now)

    def once(self, scope: str, until: Instant) -> bool:
        """True for the first who asks; the row stays until then at least."""
        key, expires = pk(self._merchant_id, "once", key_hash(scope)), int(until.timestamp()) + KEEP_SECONDS
        try:
            self._port.write(Put(TABLE, {PK: key, SK: "once", "expires": expires}, when=(Absent(),)))
        except Refused:
            return False
        return True

    def _first(self, key: str, sk: str, ends: int, most: int, scope: str, window_seconds: int, now: Instant) -> None:
        try:
            self._port.write(
                Put(TABLE, {PK: key, SK: sk, "count": 1, "expires": ends + KEEP_SECONDS}, when=(Absent(),))
            )
        except Refused:
            self.take(scope, most, window_seconds, now)


class CardTokens:
    """One merchant's card tokens, kept under the token's hash."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def put(self, token: str, card: dict[str, Any], expires: Instant) -> None:
        self._port.write(
            Put(
                TABLE,
                {
                    PK: pk(self._merchant_id, "card_token", key_hash(token)),
                    SK: "card_token",
                    DOCUMENT: json.dumps(card),
                    "until": str(expires),
                    "expires": int(expires.timestamp()) + KEEP_SECONDS,
                },
                when=(Absent(),),
            )
        )

    def find(self, token: str, now: Instant) -> dict[str, Any] | None:
        """What may be shown of the card and how it is charged; None where the token is unknown or over."""
        record = self._port.get(
            TABLE, pk(self._merchant_id, "card_token", key_hash(token)), "card_token", consistent=True
        )
        if record is None or parse_instant(str(record["until"])) <= now:
            return None
        found: dict[str, Any] = json.loads(str(record[DOCUMENT]))
        return found
