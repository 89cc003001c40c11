"""Finding page by page: every page full, nothing twice, nothing skipped, and a new search sees what is new."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from chalicelib.domain import search
from chalicelib.domain.auto_orders import AutoOrder, AutoOrderItem
from chalicelib.domain.dates import Instant, later, parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.orders import Order, OrderBilling, OrderShipping
from chalicelib.domain.search import AutoOrderQuery, OrderQuery, row_of_auto_order, row_of_order
from chalicelib.flows.find import MOST_SHAPED, Found, find
from chalicelib.stores.lists import RESULT_SECONDS, Lists
from chalicelib.stores.port import Put
from chalicelib.stores.sqlite import SqliteTables
from tests.worlds import World

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
    auto_orders: Any = None

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


# --- narrowed --------------------------------------------------------------------------------------------------------


def people(front: Front, number: int) -> None:
    """Auto orders of people who share names, towns and teas."""
    chance = Random(11)
    for oid in range(1, number + 1):
        original = Order(
            order_id=f"DEMO-{oid}",
            creation_dts=later(START, seconds=chance.randrange(9)),
            billing=OrderBilling(
                email=f"{chance.choice('abc')}@example.com",
                last_name=chance.choice(["Lee", "Roe"]),
                company=chance.choice([None, "Lee"]),
                postal_code=chance.choice(["1", "2"]),
                day_phone=chance.choice([None, "555"]),
            ),
            shipping=OrderShipping(last_name=chance.choice(["Lee", "Poe"]), postal_code=chance.choice(["2", "3"])),
        )
        items = [AutoOrderItem(original_item_id=item) for item in chance.sample(["TEA", "CUP"], 1 + oid % 2)]
        noun = AutoOrder(auto_order_code=f"C{oid}", original_order_id=original.order_id, items=items, status="active")
        front.lists.note("auto_order", str(oid), row_of_auto_order(noun, original, START), 1, new=True)


ASKED: list[dict[str, Any]] = [
    {"email": "A@example.com"},
    {"last_name": "Lee"},
    {"last_name": "Poe", "postal_code": "2"},
    {"last_name": "Poe", "postal_code": "1"},
    {"company": "Lee", "status": "active"},
    {"phone": "555", "email": "b@example.com"},
    {"original_item_id": "CUP", "status": "canceled"},
    {"original_item_id": "CUP"},
    {"email": "nobody@example.com"},
    {"last_name": "lee"},
]


@pytest.mark.parametrize("criteria", ASKED)
@pytest.mark.parametrize("sort", [None, "-creation_dts", "billing.last_name,order_id"])
def test_narrowed_by_a_shape_a_search_finds_what_it_finds_among_all_rows(
    front: Front, port: SqliteTables, criteria: dict[str, Any], sort: str | None
) -> None:
    people(front, 60)
    query = AutoOrderQuery(**criteria)
    shop = cast("Any", front)
    rows = list(front.lists.rows("auto_order"))
    meant = search.matcher("auto_order", query, front.zone_name)
    wanted = search.sort("auto_order", [one for one in rows if meant(one[1])], search.sorting("auto_order", sort))
    port.meter.reset()
    found = find(shop, "auto_order", query, sort, 0, 200)
    assert found == Found([name for name, _ in wanted], len(wanted))
    assert [call.verb for call in port.meter.calls] == ["query", *(["get_many"] if port.meter.calls[1:] else [])]


def test_a_search_that_is_narrowed_remembers_only_what_has_more_than_one_page(front: Front, port: SqliteTables) -> None:
    people(front, 20)
    shop, query = cast("Any", front), AutoOrderQuery(last_name="Lee")
    total = find(shop, "auto_order", query, None, 0, 200).total
    assert port.meter.calls[-1].verb != "put"
    first = find(shop, "auto_order", query, None, 0, SMALL_PAGE)
    port.meter.reset()
    second = find(shop, "auto_order", query, None, SMALL_PAGE, SMALL_PAGE)
    assert [(call.verb, call.tables) for call in port.meter.calls] == [("get", ("documents",))]
    assert (first.total, len({*first.names, *second.names})) == (total, 2 * SMALL_PAGE)


def test_a_name_that_a_shape_still_holds_though_its_row_has_changed_is_not_found(front: Front) -> None:
    people(front, 3)
    front.port.write(Put("lists", {"pk": "DEMO#auto_order#email#a@example.com", "sk": "9", "version": 1}))
    front.lists.note("auto_order", "9", ["C9"], 2)
    assert "9" not in find(cast("Any", front), "auto_order", AutoOrderQuery(email="a@example.com"), None, 0, 200).names


def test_where_a_shape_holds_too_many_the_next_is_asked_and_then_all_rows(front: Front, port: SqliteTables) -> None:
    for oid in range(1, MOST_SHAPED + 2):
        original = Order(creation_dts=START, billing=OrderBilling(last_name="Lee", postal_code=str(oid % 500)))
        noun = AutoOrder(items=[AutoOrderItem(original_item_id="TEA")])
        front.lists.note("auto_order", str(oid), row_of_auto_order(noun, original, START), 1, new=True)
    shop = cast("Any", front)
    port.meter.reset()
    assert find(shop, "auto_order", AutoOrderQuery(last_name="Lee", company="Nobody"), None, 0, 200).total == 0
    few = sum(call.reads for call in port.meter.calls)
    port.meter.reset()
    assert find(shop, "auto_order", AutoOrderQuery(last_name="Lee"), None, 0, 200).total == MOST_SHAPED + 1
    assert few < 20 < sum(call.reads for call in port.meter.calls)


def test_a_code_or_an_original_order_leads_straight_to_its_auto_order(front: Front, port: SqliteTables) -> None:
    people(front, 20)
    shop = cast("Any", front)
    front.auto_orders = SimpleNamespace(
        oid_by_code=lambda code: int(code[1:]) if code in ("C7", "C99") else None,
        oid_by_original_order=lambda order_id: 7 if order_id == "DEMO-7" else None,
    )
    port.meter.reset()
    for query, names in (
        (AutoOrderQuery(auto_order_code="C7"), ["7"]),
        (AutoOrderQuery(original_order_id="DEMO-7"), ["7"]),
        (AutoOrderQuery(auto_order_code="C7", original_order_id="DEMO-8"), []),
        (AutoOrderQuery(auto_order_code="C99"), []),  # its row is not written yet
        (AutoOrderQuery(auto_order_code="X"), []),
    ):
        assert find(shop, "auto_order", query, None, 0, 200).names == names
    assert all(call.verb == "get_many" for call in port.meter.calls)


def test_what_is_retried_and_what_is_held_is_found_while_it_is_so() -> None:
    declines = [False]
    world = World(behave=lambda *_: "decline" if declines[0] else None).open()
    oid = world.subscribe()

    def found(condition: str) -> list[str]:
        world.tell_all()
        query = AutoOrderQuery(condition=condition)
        return find(world.shop, "auto_order", query, "", 0, 25).names

    assert found("retrying") == found("held") == []
    declines[0] = True
    world.travel(29)
    assert (found("retrying"), found("held")) == ([str(oid)], [])
    declines[0] = False
    world.travel(5)
    assert found("retrying") == []
    coffee = world.shop.items.get("COFFEE")
    world.shop.write(world.shop.items.replaced("COFFEE", replace(coffee.noun, inactive=True), coffee.version))
    world.travel(31)
    assert (found("retrying"), found("held")) == ([], [str(oid)])
