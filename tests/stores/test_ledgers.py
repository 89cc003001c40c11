"""Ledgers on both adapters: what the records look like to an engine."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest

from chalicelib.domain import ledgers as rules
from chalicelib.domain.dates import parse_instant
from chalicelib.domain.errors import Refused
from chalicelib.domain.ledgers import Ledger, Posting
from chalicelib.domain.loyalty import Earned
from chalicelib.stores.ledgers import Ledgers
from chalicelib.stores.port import TablePort
from chalicelib.stores.waiting import Waiting
from tests.stores.conftest import engine

NOW = parse_instant("2027-01-31T12:00:00Z")
THEN = parse_instant("2027-02-28T05:00:00Z")
NAME = "points#7"


@pytest.fixture(scope="module", params=["memory", "moto"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TablePort]:
    with engine(request, tmp_path_factory) as opened:
        yield opened


@pytest.fixture
def kept(port: TablePort, pk: str) -> Ledgers:
    return Ledgers(port, pk.replace("#", ""))


def a_posting(cause: str, amount: str) -> Posting:
    return Posting(
        cause=cause,
        type="Earned",
        description="é 1",
        amount=Decimal(amount),
        dts=NOW,
        created_dts=NOW,
        expires=THEN,
    )


def test_a_ledger_is_read_as_it_was_written_and_its_hashes_hold(port: TablePort, kept: Ledgers) -> None:
    ledger = Ledger(ledger_id=NAME)
    for version, amount in enumerate(["10.50", "0.07", "-3"]):
        ledger, entries = rules.posted(ledger, a_posting(f"c{version}", amount))
        port.write(kept.caused(NAME, f"c{version}"), *kept.moved(version, ledger, entries))
    read = kept.read(NAME)
    assert (read.noun, read.version) == (ledger, 3)
    assert rules.verified(read.noun, kept.texts(NAME)) == []
    found, cursor = kept.entries(NAME, limit=2)
    assert [entry.balance for entry in found] == [Decimal("7.57"), Decimal("10.57")]
    assert [entry.seq for entry in kept.entries(NAME, limit=2, cursor=cursor)[0]] == [1]
    assert kept.has_caused(NAME, "c1")
    with pytest.raises(Refused) as refused:
        port.write(kept.caused(NAME, "c1"), *kept.moved(3, ledger, []))
    assert refused.value.change == 0
    with pytest.raises(Refused):
        port.write(*kept.moved(2, ledger, []))
    assert kept.read_many([NAME, "points#8"]) == {NAME: ledger}


def test_a_ledger_stands_in_the_due_index_while_something_will_happen_by_itself(port: TablePort, kept: Ledgers) -> None:
    def due() -> list[str]:
        waiting = Waiting(port)
        rows = [row for shard in waiting.shards() for row in waiting.due("ledgers", shard, THEN, 100)[0]]
        return [row.subject for row in rows if row.merchant_id == kept._merchant_id]

    ledger, entries = rules.posted(Ledger(ledger_id=NAME), a_posting("c", "10"))
    port.write(*kept.moved(0, ledger, entries))
    assert due() == [NAME]
    after, entries = rules.caught_up(ledger, THEN)
    port.write(*kept.moved(1, after, entries))
    assert due() == []


def test_an_order_earns_once_and_a_refund_is_known_once(port: TablePort, kept: Ledgers) -> None:
    earned = Earned(
        order_id="DEMO-1",
        customer_profile_oid=7,
        ledger_id=NAME,
        amount=Decimal(9),
        base=Decimal(9),
        day=date(2027, 1, 31),
    )
    port.write(kept.earns(earned))
    with pytest.raises(Refused):
        port.write(kept.earns(earned))
    less = Earned(**{name: getattr(earned, name) for name in earned.__struct_fields__} | {"taken": Decimal(4)})
    port.write(kept.earns_less(earned, less))
    with pytest.raises(Refused):
        port.write(kept.earns_less(earned, less))
    assert kept.earned("DEMO-1") == less


def test_purchases_add_up_by_day(port: TablePort, kept: Ledgers) -> None:
    day, other = date(2027, 1, 31), date(2027, 2, 1)
    for when, units in ((day, 1795), (day, 5), (other, 100), (day, -800)):
        port.write(kept.bought(7, {when: units}))
    assert kept.purchases(7) == {day: 1000, other: 100}
    assert kept.purchases(8) == {}
