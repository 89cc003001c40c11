"""The one reader of the machine's clock, and the test clock that may run ahead of it."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chalicelib.domain.dates import Instant, instant

SCHEMA = "create table if not exists test_clock (merchant_id text primary key, seconds integer not null)"


class SystemClock:
    """What time it is."""

    def now(self) -> Instant:
        return instant(datetime.now(UTC))


def rising_word() -> str:
    """A word by chance; of those of one second a later one sorts later."""
    return f"{datetime.now(UTC).microsecond:06d}{secrets.token_urlsafe(9)}"


class TestClocks:
    """Merchants' clocks in test mode: the machine's own, moved ahead by so many seconds. Survives a restart."""

    # Not a test class, whatever pytest reads into the name.
    __test__ = False

    def __init__(self, path: str | Path, machine: Callable[[], Instant]) -> None:
        # On AWS nobody needs SQLite.
        from chalicelib.gateways.embedded import opened

        self._machine = machine
        self._lock = threading.RLock()
        self._db = opened(path, SCHEMA)
        rows = self._db.execute("select merchant_id, seconds from test_clock").fetchall()
        self._ahead: dict[str, int] = dict(rows)
        self._standing: dict[str, Instant] = {}

    def now_of(self, merchant_id: str) -> Instant:
        standing = self._standing.get(merchant_id)
        if standing is not None:
            return standing
        return instant(self._machine() + timedelta(seconds=self._ahead.get(merchant_id, 0)))

    def latest_now(self) -> Instant:
        """The furthest of all clocks."""
        with self._lock:
            return instant(self._machine() + timedelta(seconds=max(self._ahead.values(), default=0)))

    def set(self, merchant_id: str, now: Instant) -> None:
        """The merchant's time is this from now on, and goes on from there. It never goes back."""
        with self._lock:
            seconds = int((now - self._machine()).total_seconds())
            seconds = max(seconds, self._ahead.get(merchant_id, 0))
            self._db.execute("insert or replace into test_clock values (?, ?)", (merchant_id, seconds))
            self._ahead[merchant_id] = seconds
            if merchant_id in self._standing:
                self._standing[merchant_id] = max(now, self._standing[merchant_id])

    @contextmanager
    def standing_still(self, merchant_id: str) -> Iterator[None]:
        """Inside the block the merchant's time moves by ``set`` alone: how long the work takes changes nothing of what
        is done. After it the clock has run on."""
        with self._lock:
            self._standing[merchant_id] = self.now_of(merchant_id)
        try:
            yield
        finally:
            with self._lock:
                del self._standing[merchant_id]


class MerchantClock:
    """One merchant's clock."""

    def __init__(self, clocks: TestClocks, merchant_id: str) -> None:
        self._clocks = clocks
        self._merchant_id = merchant_id

    def now(self) -> Instant:
        return self._clocks.now_of(self._merchant_id)
