"""The same cuts through the production adapter: at every request of a rebill that goes over the wire to AWS's stand-in,
and at every call of the gateway. An answer is lost on the wire, so AWS's own client sends the request again."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from chalicelib.stores.dynamodb import DynamoTables
from chalicelib.stores.port import Change, Delete, Put
from chalicelib.stores.rules import key_of
from tests.cutting import SIDES, CutGateway, Scissors
from tests.ministack import nowhere_else
from tests.scenes import SCENES, Cut, Stage, one_rebill, played, prepared

# Claim, send and settle; what the resolver asks, and what it sends again.
STORIES = ("rebill, full, approve", "rebill, full, timeout_after_capture", "rebill, keys, timeout_before_capture")


class Wire:
    """The adapter's one client: each of its requests is under the scissors that are laid on it. Remembers what was
    written, so that the next story finds the tables as they were."""

    def __init__(self, tables: DynamoTables) -> None:
        self.scissors = Scissors()
        self.tables = tables
        self.meter = tables.meter
        self._written: set[tuple[str, str, str]] = set()
        self._client: Any = tables.connection.client
        self._client.meta.events.register("before-send.dynamodb", self._sends)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tables, name)

    def write(self, *changes: Change) -> None:
        self._written |= {(change.table, *key_of(change)) for change in changes}
        self.tables.write(*changes)

    def _sends(self, request: Any, **about: Any) -> Any:
        def sent() -> Any:
            return self._client._endpoint.http_session.send(request)

        def lost() -> Any:
            sent()
            raise ReadTimeoutError(endpoint_url=request.url)

        return self.scissors.call("request", sent, lost)

    def stands_as(self, name: str) -> tuple[Stage, Any]:
        """The prepared shop of a scene, record by record."""
        made, subject = prepared(name)
        embedded: Any = made.tables
        keys = set(embedded._db.execute("select name, pk, sk from record"))
        self.scissors = scissors = Scissors()
        gone = [Delete(*key) for key in self._written - keys]
        self.tables.write(*(Put(table, embedded.get(table, pk, sk)) for table, pk, sk in keys), *gone)
        self._written = keys
        stage = Stage(
            SCENES[name].profile,
            port=self,
            gateway=lambda sandbox: CutGateway(sandbox, scissors),
            start=made.clock.moment,
        )
        made.sandbox._db.backup(stage.sandbox._db)
        stage._numbers, stage._words = count(500_001), count(500_001)
        return stage, subject


class Unseen:
    """The same tables for who looks on: nothing of it is cut or counted."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def get(self, *given: Any, **named: Any) -> Any:
        laid_on, self._wire.scissors = self._wire.scissors, Scissors()
        try:
            return self._wire.tables.get(*given, **named)
        finally:
            self._wire.scissors = laid_on


@pytest.fixture(scope="module")
def wire(ministack: str) -> Iterator[Wire]:
    with nowhere_else():
        tables = DynamoTables("crashes-", region="us-east-1", endpoint=ministack)
        tables.create_tables()
        yield Wire(tables)


@pytest.mark.parametrize("name", STORIES)
def test_a_cut_at_any_request_of_a_rebill_through_the_production_adapter_charges_once(name: str, wire: Wire) -> None:
    def cut(*cuts: Cut) -> tuple[int, int]:
        stage, oid = wire.stands_as(name)
        uncut: Any = Unseen(wire)
        found = played(SCENES[name], stage, oid, uncut, wire.scissors, *cuts)
        stage.visit(oid)
        one_rebill(stage, oid)
        return found

    calls, _ = cut()
    reached = sum(cut((number, side))[1] for number in range(1, calls + 1) for side in SIDES)
    assert reached == calls * len(SIDES)
    print(f"{name}, DynamoDB: {reached} cuts of {calls} calls, 0 charged twice, 0 unrecorded, 0 lost")
