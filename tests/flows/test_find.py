"""Finding page by page: every page full, nothing twice, nothing skipped, and a new search sees what is new."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chalicelib.domain.dates import Instant, later, parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.orders import Order, OrderBilling
from chalicelib.domain.search import AutoOrderQuery, OrderQuery, row_of_order
from chalicelib.flows.find import Found, find
from chalicelib.stores.lists import RESULT_SECONDS, Lists
from chalicelib.stores.sqlite import SqliteTables

START = parse_instant("2027-03-01T12:00:00Z")
SMALL_PAGE = 4


@dataclass
class Front:
    """All of a shop that finding touches, on an engine in memory."""

    port: SqliteTables
    merchant_id: str = "DEMO"
    zone_name: str = "America/New_York"
    now: Instant = START
    versions: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lists = Lists(self.port, self.merchant_id)
        self.clock = SimpleNamespace(now=lambda: self.now)
        merchant = SimpleNamespace(noun=Merchant(time_zone=self.zone_name))
        self.configuration = SimpleNamespace(section=lambda type_: merchant)

    def place(self, order_id: str, last_name: str = "Lee", creation: Instant = START) -> None:
        order = Order(order_id=order_id, creation_dts=creation, billing=OrderBilling(last_name=last_name))
        self.versions[order_id] = self.versions.get(order_id, 0) + 1
        self.lists.note("order", order_id, row_of_order(order), self.versions[order_id])

    def find(self, offset: int = 0, limit: int = SMALL_PAGE, sort: str | None = None, **criteria: Any) -> Found:
        return find(cast("Any", self), "order", OrderQuery(**criteria), sort, offset, limit)

    def all_pages(self, sort: str | None = None, **criteria: Any) -> list[str]:
        """As clients read: on and on until a page is not full."""
        names: list[str] = []
        while True:
            page = self.find(len(names), sort=sort, **criteria)
            names += page.names
            if len(page.names) < SMALL_PAGE:
                return names


@pytest.fixture
def port() -> Iterator[SqliteTables]:
    with closing(SqliteTables(":memory:")) as opened:
        yield opened


@pytest.fixture
def front(port: SqliteTables) -> Front:
    return Front(port)


def test_every_page_but_the_last_is_full_and_together_they_are_everything(front: Front) -> None:
    wanted = [f"O{number:02d}" for number in range(10)]
    for name in reversed(wanted):
        front.place(name)
        front.place(f"X{name}", last_name="Smith")
    pages = [front.find(offset, last_name="Lee") for offset in (0, 4, 8, 12)]
    assert [page.names for page in pages] == [wanted[:4], wanted[4:8], wanted[8:], []]
    assert [page.total for page in pages] == [10] * 4
    assert front.all_pages(last_name="Lee") == wanted
    assert len(front.all_pages()) == 20


def test_a_shop_without_orders_has_one_empty_page(front: Front) -> None:
    assert front.find() == Found([], 0)
    assert front.find(4) == Found([], 0)


def test_an_offset_beyond_the_end_finds_nothing_and_still_knows_the_total(front: Front) -> None:
    front.place("A")
    assert front.find(1000) == Found([], 1)
    front.find()
    assert front.find(1000) == Found([], 1)


def test_pages_come_in_the_order_that_was_asked_for(front: Front) -> None:
    for name, last_name in (("A", "Cole"), ("B", "Adams"), ("C", "Lee"), ("D", "Brown"), ("E", "Zorn")):
        front.place(name, last_name)
    assert front.all_pages("-billing.last_name") == ["E", "C", "A", "D", "B"]
    assert front.all_pages("billing.last_name") == ["B", "D", "A", "C", "E"]


def test_orders_come_by_creation_without_a_wish(front: Front) -> None:
    for seconds, name in enumerate("CAB"):
        front.place(name, creation=later(START, seconds=seconds))
    assert front.find().names == ["C", "A", "B"]


def test_nothing_is_skipped_or_seen_twice_while_orders_come_and_go(front: Front) -> None:
    names = [f"O{number:02d}" for number in range(10)]
    for name in names:
        front.place(name)
    assert front.find(0).names == names[:4]
    front.place("A-new")  # before all others
    front.lists.drop("order", "O01", 2)
    assert front.find(4) == Found(names[4:8], 10)
    assert front.find(8) == Found(names[8:], 10)


def test_a_new_search_sees_what_is_new(front: Front) -> None:
    for name in "BCDEF":
        front.place(name)
    assert front.find() == Found(list("BCDE"), 5)
    front.place("A")
    assert front.find() == Found(list("ABCD"), 6)
    assert front.find(4) == Found(list("EF"), 6)


def test_a_later_page_reads_no_list_rows(front: Front, port: SqliteTables) -> None:
    for name in "ABCDEF":
        front.place(name)
    front.find()
    port.meter.reset()
    assert front.find(4).names == ["E", "F"]
    assert [(call.verb, call.tables) for call in port.meter.calls] == [("get", ("documents",))]


def test_a_later_page_that_comes_too_late_looks_anew(front: Front) -> None:
    for name in "BCDEF":
        front.place(name)
    front.find()
    front.place("A")
    front.now = later(START, seconds=RESULT_SECONDS - 1)
    assert front.find(4) == Found(["F"], 5)
    front.now = later(START, seconds=RESULT_SECONDS)
    assert front.find(4) == Found(["E", "F"], 6)
    # And what it found is what pages are cut from then.
    front.place("A0")
    assert front.find(4) == Found(["E", "F"], 6)


def test_pages_of_another_question_are_cut_from_its_own_answer(front: Front) -> None:
    for name in "ABCDEF":
        front.place(name, last_name="Lee" if name < "F" else "Smith")
    front.find()
    assert front.find(4, last_name="Lee") == Found(["E"], 5)
    assert front.find(4, sort="-order_id") == Found(["B", "A"], 6)
    assert front.find(4) == Found(["E", "F"], 6)


def test_pages_of_another_size_are_cut_from_the_same_answer(front: Front, port: SqliteTables) -> None:
    for name in "ABCDEF":
        front.place(name)
    front.find(limit=2)
    port.meter.reset()
    assert front.find(2, limit=3).names == ["C", "D", "E"]
    assert len(port.meter.calls) == 1


def test_another_merchant_finds_his_own_only(front: Front, port: SqliteTables) -> None:
    theirs = Front(port, merchant_id="OTHER")
    for name in "ABCDEF":
        front.place(name)
    theirs.place("T")
    front.find()
    assert theirs.find(4) == Found([], 1)
    assert theirs.find() == Found(["T"], 1)
    assert front.find(4) == Found(["E", "F"], 6)


def test_an_order_that_was_placed_on_the_merchants_day_is_found_by_it(front: Front, port: SqliteTables) -> None:
    front.place("A", creation=parse_instant("2027-02-01T04:59:59Z"))
    january = {"creation_date_begin": "2027-01-01", "creation_date_end": "2027-01-31"}
    assert front.find(**january).names == ["A"]
    assert Front(port, zone_name="Europe/Berlin").find(**january).names == []


@pytest.mark.parametrize("offset", [0, 4])
def test_a_question_that_makes_no_sense_is_refused_before_anything_is_read(
    front: Front, port: SqliteTables, offset: int
) -> None:
    with pytest.raises(Invalid, match="colour"):
        front.find(offset, sort="colour")
    assert port.meter.calls == []
    with pytest.raises(Invalid, match="must be a day"):
        front.find(offset, creation_date_begin="soon")
    assert all(call.tables != ("lists",) for call in port.meter.calls)


def test_auto_orders_are_found_by_the_same_way(front: Front) -> None:
    front.lists.note("auto_order", "12", ["CODE", "DEMO-1", "active"], 1)
    front.lists.note("auto_order", "9", ["EDOC", "DEMO-2", "canceled"], 1)
    shop = cast("Any", front)
    assert find(shop, "auto_order", AutoOrderQuery(), None, 0, 200) == Found(["9", "12"], 2)
    assert find(shop, "auto_order", AutoOrderQuery(status="active"), None, 0, 200) == Found(["12"], 1)
