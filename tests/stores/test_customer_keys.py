"""Rows of customers with their keys: written together, found together, gone together."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from moto import mock_aws

from chalicelib.domain.customer_search import KIND, keys_of, row_of_customer
from chalicelib.domain.customers import MAXIMUM_ADDRESSES, Customer, CustomerBilling, CustomerShipping
from chalicelib.domain.dates import parse_instant
from chalicelib.stores.dynamodb import DynamoTables
from chalicelib.stores.lists import Lists
from chalicelib.stores.port import MAXIMUM_CHANGES, TablePort
from chalicelib.stores.sqlite import SqliteTables
from tests.cutting import SIDES, Crash, CutPort, Scissors, Side
from tests.ministack import nowhere_else
from tests.steps import Stepped, merges, run

NOW = parse_instant("2027-03-01T12:00:00Z")
PORT = frozenset({"get", "write"})


def row(email: str = "ada@example.com", **address: Any) -> list[Any]:
    entries = {"last_name": "Lee", "company": "Acme", "postal_code": "33701", "day_phone": "678-555-0100"} | address
    customer = Customer(
        email=email, billing=[CustomerBilling(**entries)], shipping=[CustomerShipping(**entries)], last_modified_dts=NOW
    )
    return row_of_customer(customer, NOW)


def dealer(number: int, word: str) -> list[Any]:
    """A book of so many addresses, none of which has anything of another."""
    entries = [CustomerBilling(last_name=f"{word}{n}", postal_code=f"{word}{n}") for n in range(number)]
    return row_of_customer(Customer(email="dealer@example.com", billing=entries), NOW)


@pytest.fixture(scope="module", params=["memory", "moto"])
def engine(request: pytest.FixtureRequest) -> Iterator[TablePort]:
    if request.param == "memory":
        with closing(SqliteTables(":memory:")) as opened:
            yield opened
    else:
        with nowhere_else(), mock_aws():
            remote = DynamoTables("keys-", region="us-east-1")
            remote.create_tables()
            yield remote


@pytest.fixture
def port() -> Iterator[SqliteTables]:
    with closing(SqliteTables(":memory:")) as opened:
        yield opened


def names(lists: Lists, field: str, begins: str, *, whole: bool = False) -> list[str]:
    found, cursor = lists.keys(KIND, field, begins, whole=whole)
    assert cursor is None
    return [name for _, _, name in found]


def everything(lists: Lists) -> dict[tuple[str, str], dict[str, str]]:
    """Every key that stands there, with its names and their places."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for field in ("email", "email_reversed", "last_name", "company", "phone", "postal_code"):
        cursor = None
        while True:
            page, cursor = lists.keys(KIND, field, "", cursor=cursor)
            for value, places, name in page:
                found.setdefault((field, value), {})[name] = places
            if cursor is None:
                break
    return found


def consistent(lists: Lists) -> bool:
    """Every row has exactly its keys."""
    wanted: dict[tuple[str, str], dict[str, str]] = {}
    for name, one in lists.rows(KIND):
        for key, places in keys_of(one).items():
            wanted.setdefault(key, {})[name] = places
    return everything(lists) == wanted


# --- on both engines -------------------------------------------------------------------------------------------------


def test_keys_come_with_the_row_change_with_it_and_go_with_it(engine: TablePort) -> None:
    lists = Lists(engine, "COME")
    assert lists.note_keyed(KIND, "7", row(), 1, new=True)
    assert lists.note_keyed(KIND, "8", row("bob@example.com", last_name="Leeds"), 1)
    assert consistent(lists)
    assert (names(lists, "last_name", "lee"), names(lists, "last_name", "lee", whole=True)) == (["7", "8"], ["7"])
    assert names(lists, "email_reversed", "moc.elpmaxe@") == ["7", "8"]
    assert lists.note_keyed(KIND, "7", row("ann@example.com", last_name="Roe"), 2)
    assert consistent(lists)
    assert (names(lists, "email", "ada"), names(lists, "email", "ann")) == ([], ["7"])
    assert lists.note_keyed(KIND, "7", None, 3)
    assert consistent(lists)
    assert [name for name, _ in lists.rows(KIND)] == ["8"]


def test_a_value_with_the_separator_in_it_leads_to_its_own(engine: TablePort) -> None:
    lists = Lists(engine, "HASH")
    lists.note_keyed(KIND, "7", row(company="#1 Shop#2"), 1)
    lists.note_keyed(KIND, "8", row("b@x.org", company="#1 Shop"), 1)
    found, _ = lists.keys(KIND, "company", "#1 shop", whole=True)
    assert [(value, name) for value, _, name in found] == [("#1 shop#2", "7"), ("#1 shop", "8")]


def test_places_that_change_are_written_and_nothing_else_is(engine: TablePort) -> None:
    lists = Lists(engine, "PLACES")
    lists.note_keyed(KIND, "7", row(), 1)
    noun = Customer(email="ada@example.com", billing=[CustomerBilling(last_name="Lee", company="Acme")])
    lists.note_keyed(KIND, "7", row_of_customer(noun, NOW), 2)
    assert consistent(lists)
    assert everything(lists)["last_name", "lee"] == {"7": "b"}


@pytest.mark.parametrize("number", [49, MAXIMUM_ADDRESSES])
def test_a_dealers_book_has_more_keys_than_a_transaction_takes(engine: TablePort, number: int) -> None:
    lists = Lists(engine, f"BOOK{number}")
    lists.note_keyed(KIND, "7", dealer(number, "a"), 1, new=True)
    assert consistent(lists)
    assert len(keys_of(dealer(number, "a"))) == 2 + 2 * number
    lists.note_keyed(KIND, "7", dealer(number, "b"), 2)
    assert consistent(lists)
    lists.note_keyed(KIND, "7", None, 3)
    assert everything(lists) == {}


# --- late and crossing workers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("late", [row("old@example.com"), None])
def test_a_worker_that_was_late_changes_nothing(port: SqliteTables, new: bool, late: list[Any] | None) -> None:
    lists = Lists(port, "DEMO")
    lists.note_keyed(KIND, "7", row("new@example.com"), 5)
    before = everything(lists)
    assert not lists.note_keyed(KIND, "7", late, 4, new=new)
    assert everything(lists) == before


@pytest.mark.parametrize("new", [True, False])
def test_who_is_gone_is_not_brought_back(port: SqliteTables, new: bool) -> None:
    lists = Lists(port, "DEMO")
    lists.note_keyed(KIND, "7", row(), 1)
    lists.note_keyed(KIND, "7", None, 3)
    assert not lists.note_keyed(KIND, "7", row(), 2, new=new)
    assert (everything(lists), list(lists.rows(KIND))) == ({}, [])
    assert lists.note_keyed(KIND, "9", None, 3)
    assert not lists.note_keyed(KIND, "9", row(), 2, new=new)


@pytest.mark.parametrize("new", [True, False])
def test_whether_a_row_is_new_is_only_a_guess(port: SqliteTables, new: bool) -> None:
    lists = Lists(port, "DEMO")
    assert lists.note_keyed(KIND, "7", row(), 1, new=not new)
    assert lists.note_keyed(KIND, "7", row("b@x.org"), 2, new=new)
    assert consistent(lists)
    assert names(lists, "email", "") == ["7"]


LAST: list[list[Any] | None] = [row("ada@example.com"), row("cy@example.com", company="Bolt"), None]


@pytest.mark.parametrize("last", LAST)
def test_however_two_workers_meet_the_later_row_stands_with_its_keys_alone(last: list[Any] | None) -> None:
    """The first version stands; two workers note the second and the third at once, each stopped at every call."""

    def noting(lists: Lists, one: list[Any] | None, version: int) -> Callable[[], Any]:
        return lambda: lists.note_keyed(KIND, "7", one, version)

    for order in merges(5, 5):
        with closing(SqliteTables(":memory:")) as port:
            Lists(port, "DEMO").note_keyed(KIND, "7", row(), 1, new=True)
            lists = Lists(Stepped(port, PORT), "DEMO")  # type: ignore[arg-type]
            run([noting(lists, row("bob@example.com", last_name="Roe"), 2), noting(lists, last, 3)], order)
            plain = Lists(port, "DEMO")
            assert [one for _, one in plain.rows(KIND)] == ([last] if last else [])
            assert consistent(plain)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("before", "after"), [(row(), row("b@x.org", last_name="Roe")), (row(), None), (dealer(60, "a"), dealer(60, "b"))]
)
def test_whoever_dies_on_the_way_leaves_no_row_without_its_keys_and_is_told_again(
    side: Side, before: list[Any], after: list[Any] | None
) -> None:
    reached = 1
    while True:
        with closing(SqliteTables(":memory:")) as port:
            scissors = Scissors()
            lists = Lists(CutPort(port, scissors), "DEMO")  # type: ignore[arg-type]
            lists.note_keyed(KIND, "7", before, 1, new=True)
            scissors.arm((reached, side))
            with suppress(Crash):
                lists.note_keyed(KIND, "7", after, 2)
            if not scissors.reached:
                break
            standing = everything(lists)
            for _, one in lists.rows(KIND):
                assert all("7" in standing[key] for key in keys_of(one))
            lists.note_keyed(KIND, "7", after, 2)
            standing = everything(lists)
            assert all("7" in standing[key] for key in keys_of(after or []))
            if len(keys_of(before)) < MAXIMUM_CHANGES // 2:
                assert consistent(lists)
            reached += 1
    assert reached > 2


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_a_profile_costs_two_write_units_for_each_key_and_one_where_no_key_changes(port: SqliteTables) -> None:
    lists = Lists(port, "DEMO")

    def writes() -> float:
        units = sum(call.writes for call in port.meter.calls)
        port.meter.reset()
        return units

    lists.note_keyed(KIND, "7", row(), 1, new=True)
    assert writes() == 2 * (1 + 6)
    lists.note_keyed(KIND, "7", row(first_name="Ada", city="Rome"), 2)
    assert writes() == 1
    lists.note_keyed(KIND, "7", row("b@x.org"), 3)
    assert writes() == 2 * (1 + 4)
    lists.note_keyed(KIND, "7", None, 4)
    assert writes() == 2 * (1 + 6)
