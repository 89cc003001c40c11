"""List rows, result sets and day totals as they are kept."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.auto_orders import AutoOrder, AutoOrderItem
from chalicelib.domain.dates import later, parse_instant
from chalicelib.domain.errors import Invalid, Refused
from chalicelib.domain.orders import Order, OrderBilling
from chalicelib.domain.search import row_of_auto_order, shapes_of
from chalicelib.stores.lists import BUCKETS, CHUNK, RESULT_SECONDS, Lists
from chalicelib.stores.port import Absent, Change, Put, Record
from chalicelib.stores.sqlite import SqliteTables
from chalicelib.stores.units import WRITE_UNIT_BYTES
from tests.cutting import SIDES, Crash, CutPort, Scissors, Side
from tests.steps import Stepped, merges, run

NOW = parse_instant("2027-03-01T12:00:00Z")
# A row as long as a typical one.
ROW: list[Any] = ["C63HK7RM2R", "DEMO-0009104390", "active", "x" * 200]


@pytest.fixture
def port() -> Iterator[SqliteTables]:
    with closing(SqliteTables(":memory:")) as opened:
        yield opened


@pytest.fixture
def shop(port: SqliteTables) -> Lists:
    return Lists(port, "DEMO")


def rows(shop: Lists, kind: str = "order") -> dict[str, list[Any]]:
    return dict(shop.rows(kind))


def writes(port: SqliteTables) -> float:
    used = sum(call.writes for call in port.meter.calls)
    port.meter.reset()
    return used


def reads(port: SqliteTables) -> float:
    used = sum(call.reads for call in port.meter.calls)
    port.meter.reset()
    return used


# --- list rows -------------------------------------------------------------------------------------------------------


def test_a_row_says_what_was_noted_last(shop: Lists) -> None:
    assert shop.note("order", "A", ["one"], 1)
    assert shop.note("order", "A", ["two"], 2)
    assert shop.note("order", "B", ["é…", 7, 0, [1, "x"]], 1, new=True)
    assert rows(shop) == {"A": ["two"], "B": ["é…", 7, 0, [1, "x"]]}


def test_the_same_version_is_noted_again(shop: Lists) -> None:
    shop.note("order", "A", ["one"], 1)
    assert shop.note("order", "A", ["again"], 1)
    assert rows(shop) == {"A": ["again"]}


@pytest.mark.parametrize("new", [True, False])
def test_a_worker_that_was_late_does_not_win(shop: Lists, new: bool) -> None:
    shop.note("order", "A", ["new"], 5)
    assert not shop.note("order", "A", ["old"], 4, new=new)
    assert rows(shop) == {"A": ["new"]}


@pytest.mark.parametrize("new", [True, False])
def test_whether_a_row_is_new_is_only_a_guess(shop: Lists, new: bool) -> None:
    assert shop.note("order", "A", ["one"], 1, new=not new)
    assert shop.note("order", "A", ["two"], 2, new=new)
    assert rows(shop) == {"A": ["two"]}


def test_a_row_of_a_noun_that_is_gone_is_not_read_and_not_brought_back_by_a_late_worker(shop: Lists) -> None:
    shop.note("order", "A", ["one"], 1)
    assert shop.drop("order", "A", 2)
    assert not shop.note("order", "A", ["one"], 1)
    assert not shop.note("order", "A", ["one"], 1, new=True)
    assert rows(shop) == {}
    assert shop.note("order", "A", ["made again"], 3)
    assert not shop.drop("order", "A", 2)
    assert rows(shop) == {"A": ["made again"]}


def test_a_row_that_was_never_there_can_be_gone(shop: Lists) -> None:
    assert shop.drop("order", "A", 2)
    assert not shop.note("order", "A", ["one"], 1)
    assert rows(shop) == {}


class Overtaken(SqliteTables):
    """An engine on which somebody else writes a row just before each of the first writes here."""

    def __init__(self, *before: Change) -> None:
        super().__init__(":memory:")
        self.before = list(before)

    def write(self, *changes: Change) -> None:
        if self.before:
            super().write(self.before.pop(0))
        super().write(*changes)


def put(version: int) -> Put:
    engine = SqliteTables(":memory:")
    Lists(engine, "DEMO").note("order", "A", [f"theirs {version}"], version, new=True)
    for bucket in range(BUCKETS):
        for record in engine.query("lists", f"DEMO#order#{bucket:02d}").records:
            return Put("lists", record)
    raise AssertionError("no bucket holds the row")


@pytest.mark.parametrize("new", [True, False])
def test_who_is_overtaken_by_something_older_still_wins(new: bool) -> None:
    engine = Overtaken(put(1))
    assert Lists(engine, "DEMO").note("order", "A", ["ours"], 2, new=new)
    assert rows(Lists(engine, "DEMO")) == {"A": ["ours"]}


@pytest.mark.parametrize("new", [True, False])
def test_who_is_overtaken_by_something_newer_loses(new: bool) -> None:
    engine = Overtaken(put(3))
    assert not Lists(engine, "DEMO").note("order", "A", ["ours"], 2, new=new)
    assert rows(Lists(engine, "DEMO")) == {"A": ["theirs 3"]}


def test_who_finds_no_row_and_is_overtaken_by_something_older_still_wins() -> None:
    """The longest way: no row to replace, then one to replace after all."""

    class Late(SqliteTables):
        def write(self, *changes: Change) -> None:
            change = changes[0]
            if isinstance(change, Put) and change.when == (Absent(),) and not hasattr(self, "done"):
                self.done = True
                super().write(put(1))
            super().write(*changes)

    engine = Late(":memory:")
    assert Lists(engine, "DEMO").note("order", "A", ["ours"], 2)
    assert rows(Lists(engine, "DEMO")) == {"A": ["ours"]}


def test_noting_costs_one_write_unit_and_one_more_where_the_guess_was_wrong(port: SqliteTables, shop: Lists) -> None:
    shop.note("order", "A", ROW, 1, new=True)
    assert writes(port) == 1
    shop.note("order", "A", ROW, 2)
    assert writes(port) == 1
    shop.note("order", "A", ROW, 1)
    assert writes(port) == 1
    shop.note("order", "B", ROW, 1)
    assert writes(port) == 2
    shop.note("order", "B", ROW, 2, new=True)
    assert writes(port) == 2
    assert reads(port) == 0


def test_rows_of_another_kind_and_of_another_merchant_are_not_read(port: SqliteTables, shop: Lists) -> None:
    shop.note("order", "A", ["order"], 1)
    shop.note("item", "A", ["item"], 1)
    Lists(port, "OTHER").note("order", "A", ["theirs"], 1)
    assert rows(shop, "order") == {"A": ["order"]}
    assert rows(shop, "item") == {"A": ["item"]}
    assert rows(shop, "auto_order") == {}


def test_rows_are_spread_over_all_buckets_and_all_of_them_are_read(port: SqliteTables, shop: Lists) -> None:
    names = [f"DEMO-{number:010d}" for number in range(20 * BUCKETS)]
    for name in names:
        shop.note("order", name, [name], 1, new=True)
    sizes = [len(port.query("lists", f"DEMO#order#{bucket:02d}").records) for bucket in range(BUCKETS)]
    assert sum(sizes) == len(names)
    assert min(sizes) > 0
    assert max(sizes) < 3 * len(names) / BUCKETS
    assert rows(shop) == {name: [name] for name in names}


def test_a_bucket_of_more_rows_than_a_page_holds_is_read_to_its_end(port: SqliteTables, shop: Lists) -> None:
    long = ["y" * 20_000]
    for number in range(70 * BUCKETS):  # about 1.4 MB a bucket: more than one page carries
        shop.note("item", f"I{number}", long, 1, new=True)
    port.meter.reset()
    assert len(rows(shop, "item")) == 70 * BUCKETS
    assert len(port.meter.calls) > BUCKETS


def test_more_rows_than_a_search_holds_are_refused_in_a_sentence(shop: Lists) -> None:
    small = [f"A{number}" for number in range(12)]
    for name in small:
        shop.note("auto_order", name, [], 1, new=True)
    with_fewer = Lists(shop._port, "DEMO", maximum_rows=10)
    with pytest.raises(Invalid, match="more than 10 auto orders, too many to search") as invalid:
        list(with_fewer.rows("auto_order"))
    assert invalid.value.problems[0].code == "too_many_rows"
    for name in small[:2]:
        shop.drop("auto_order", name, 2)
    assert len(list(with_fewer.rows("auto_order"))) == 10


def test_reading_100_000_typical_rows_takes_about_4_350_read_units(port: SqliteTables, shop: Lists) -> None:
    """Counted on fewer rows; a bucket of these is several pages' rounding, so the share of a row is all that counts."""
    sample, row = 4_000, ["x" * 251]
    for number in range(sample):
        shop.note("auto_order", f"{number + 10**9}", row, 1000, new=True)
    writes(port)
    assert len(rows(shop, "auto_order")) == sample
    units = reads(port) * 100_000 / sample
    assert 3_500 < units < 4_800


# --- shapes ----------------------------------------------------------------------------------------------------------


def person(email: str, last_name: str = "Lee", item: str = "TEA", version: int = 0) -> list[Any]:
    """An auto order's row."""
    original = Order(billing=OrderBilling(email=email, last_name=last_name), creation_dts=NOW)
    noun = AutoOrder(items=[AutoOrderItem(original_item_id=item)], auto_order_code=f"V{version}")
    return row_of_auto_order(noun, original, NOW)


def of(shop: Lists, field: str, value: str, most: int = 100) -> list[str] | None:
    return shop.shaped("auto_order", (field, value), most)


def test_what_a_row_holds_leads_to_it_and_what_it_held_does_not(shop: Lists) -> None:
    shop.note("auto_order", "1", person("ada@example.com"), 1, new=True)
    shop.note("auto_order", "2", person("ada@example.com", item="CUP"), 1, new=True)
    assert of(shop, "email", "ada@example.com") == ["1", "2"]
    assert (of(shop, "original_item_id", "TEA"), of(shop, "last_name", "Lee")) == (["1"], ["1", "2"])
    shop.note("auto_order", "1", person("bob@example.com"), 2)
    assert (of(shop, "email", "ada@example.com"), of(shop, "email", "bob@example.com")) == (["2"], ["1"])
    assert dict(shop.rows_of("auto_order", ["2", "9", "1"])).keys() == {"1", "2"}


def test_a_row_that_changes_nothing_in_its_shapes_costs_one_write(shop: Lists, port: SqliteTables) -> None:
    shop.note("auto_order", "1", person("ada@example.com"), 1, new=True)
    writes(port)
    shop.note("auto_order", "1", person("ada@example.com", version=2), 2)
    assert (writes(port), rows(shop, "auto_order")["1"][0]) == (1, "V2")


def test_more_than_the_most_are_not_counted_to_the_end(shop: Lists) -> None:
    for number in range(5):
        shop.note("auto_order", str(number), person("ada@example.com"), 1, new=True)
    assert len(of(shop, "email", "ada@example.com", 5) or []) == 5
    assert of(shop, "email", "ada@example.com", 4) is None


@pytest.mark.parametrize("new", [True, False])
def test_a_late_worker_changes_neither_the_row_nor_takes_it_out_of_a_shape(shop: Lists, new: bool) -> None:
    shop.note("auto_order", "1", person("new@example.com"), 5)
    assert not shop.note("auto_order", "1", person("old@example.com"), 4, new=new)
    assert of(shop, "email", "new@example.com") == ["1"]


EMAILS = ("ada@example.com", "bob@example.com", "ada@example.com")
PORT = frozenset({"get", "write"})


@pytest.mark.parametrize("emails", [EMAILS, ("a@x.org", "b@x.org", "c@x.org"), ("a@x.org", "b@x.org", "b@x.org")])
def test_however_two_workers_meet_the_row_that_stands_is_in_all_its_shapes(emails: tuple[str, ...]) -> None:
    """The first version stands; two workers note the second and the third at once, each stopped at every call."""
    orders = 0
    for order in merges(5, 5):
        with closing(SqliteTables(":memory:")) as port:
            Lists(port, "DEMO").note("auto_order", "1", person(emails[0]), 1, new=True)
            shop = Lists(Stepped(port, PORT), "DEMO")  # type: ignore[arg-type]
            run([noting(shop, emails[1], 2), noting(shop, emails[2], 3)], order)
            assert rows(Lists(port, "DEMO"), "auto_order")["1"][0] == "V3"
            assert of(Lists(port, "DEMO"), "email", emails[2]) == ["1"]
            orders += 1
    assert orders == 252


def noting(shop: Lists, email: str, version: int) -> Callable[[], Any]:
    return lambda: shop.note("auto_order", "1", person(email, version=version), version)


@pytest.mark.parametrize("side", SIDES)
def test_whoever_dies_on_the_way_and_is_told_again_leaves_the_row_in_all_its_shapes(side: Side) -> None:
    reached = 1
    while True:
        with closing(SqliteTables(":memory:")) as port:
            scissors = Scissors()
            shop = Lists(CutPort(port, scissors), "DEMO")  # type: ignore[arg-type]
            shop.note("auto_order", "1", person("ada@example.com"), 1, new=True)
            scissors.arm((reached, side))
            with suppress(Crash):
                shop.note("auto_order", "1", person("bob@example.com", item="CUP", version=2), 2)
            if not scissors.reached:
                break
            (row,) = [row for _, row in shop.rows("auto_order")]
            assert all("1" in (shop.shaped("auto_order", shape, 9) or []) for shape in shapes_of("auto_order", row))
            shop.note("auto_order", "1", person("bob@example.com", item="CUP", version=2), 2)
            assert of(shop, "email", "bob@example.com") == of(shop, "original_item_id", "CUP") == ["1"]
            reached += 1
    assert reached > 5


# --- result sets -----------------------------------------------------------------------------------------------------


def test_a_page_is_cut_from_what_was_remembered(shop: Lists) -> None:
    names = [f"N{number}" for number in range(10)]
    shop.remember("order", "who?", names, NOW)
    assert shop.remembered("order", "who?", NOW, 0, 4) == (names[:4], 10)
    assert shop.remembered("order", "who?", NOW, 8, 4) == (names[8:], 10)
    assert shop.remembered("order", "who?", NOW, 10, 4) == ([], 10)
    assert shop.remembered("order", "who?", NOW, 10**9, 4) == ([], 10)


def test_pages_run_across_the_records_that_a_large_set_takes(shop: Lists) -> None:
    names = [f"DEMO-{number:010d}" for number in range(2 * CHUNK + 7)]
    shop.remember("order", "all", names, NOW)
    for offset in (0, CHUNK - 3, CHUNK, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 6, 2 * CHUNK + 7, 3 * CHUNK):
        assert shop.remembered("order", "all", NOW, offset, 200) == (names[offset : offset + 200], len(names))
    found: list[str] = []
    while page := shop.remembered("order", "all", NOW, len(found), 200):
        found += page[0]
        if len(page[0]) < 200:
            break
    assert found == names


def test_a_set_of_exactly_full_records_ends_there(shop: Lists) -> None:
    names = [str(number) for number in range(2 * CHUNK)]
    shop.remember("order", "all", names, NOW)
    assert shop.remembered("order", "all", NOW, 2 * CHUNK - 1, 200) == (names[-1:], len(names))
    assert shop.remembered("order", "all", NOW, 2 * CHUNK, 200) == ([], len(names))


def test_nothing_found_is_remembered_too(shop: Lists) -> None:
    shop.remember("order", "nobody", [], NOW)
    assert shop.remembered("order", "nobody", NOW, 0, 200) == ([], 0)


def test_a_set_is_bound_to_merchant_kind_and_question(port: SqliteTables, shop: Lists) -> None:
    shop.remember("order", "who?", ["A"], NOW)
    assert shop.remembered("order", "who else?", NOW, 0, 200) is None
    assert shop.remembered("item", "who?", NOW, 0, 200) is None
    assert Lists(port, "OTHER").remembered("order", "who?", NOW, 0, 200) is None


def test_a_set_is_forgotten_after_a_quarter_of_an_hour_though_its_record_is_still_there(shop: Lists) -> None:
    shop.remember("order", "who?", ["A"], NOW)
    assert shop.remembered("order", "who?", later(NOW, seconds=RESULT_SECONDS - 1), 0, 200) == (["A"], 1)
    assert shop.remembered("order", "who?", later(NOW, seconds=RESULT_SECONDS), 0, 200) is None
    shop.remember("order", "who?", ["B"], later(NOW, seconds=RESULT_SECONDS))
    assert shop.remembered("order", "who?", later(NOW, seconds=RESULT_SECONDS), 0, 200) == (["B"], 1)


def test_two_who_ask_the_same_at_once_do_not_mix_their_answers(port: SqliteTables) -> None:
    ours = [f"A{number}" for number in range(2 * CHUNK)]
    theirs = [f"B{number}" for number in range(3 * CHUNK)]

    class Between(SqliteTables):
        """Somebody else remembers his whole answer after our first record is written."""

        def write(self, *changes: Change) -> None:
            super().write(*changes)
            if not hasattr(self, "done"):
                self.done = True
                Lists(self, "DEMO").remember("order", "all", theirs, NOW)

    engine = Between(":memory:")
    Lists(engine, "DEMO").remember("order", "all", ours, NOW)
    found = [Lists(engine, "DEMO").remembered("order", "all", NOW, offset, 200) for offset in (0, CHUNK, 2 * CHUNK)]
    assert found == [(ours[offset : offset + 200], len(ours)) for offset in (0, CHUNK, 2 * CHUNK)]


def test_a_set_of_which_a_record_was_swept_away_is_not_remembered(port: SqliteTables, shop: Lists) -> None:
    names = [str(number) for number in range(2 * CHUNK)]
    shop.remember("order", "all", names, NOW)
    shop.remember("order", "other", names[:3], NOW)
    for table, pk, sk in port._db.execute("select name, pk, sk from record where sk like '%#0001'").fetchall():
        port._db.execute("delete from record where name = ? and pk = ? and sk = ?", (table, pk, sk))
    assert shop.remembered("order", "all", NOW, CHUNK, 200) is None
    assert shop.remembered("order", "all", NOW, 0, 200) == (names[:200], len(names))


def test_a_small_set_is_one_write_and_a_page_of_a_large_one_reads_a_part_of_it(port: SqliteTables, shop: Lists) -> None:
    shop.remember("order", "some", [f"{number + 10**9}" for number in range(60)], NOW)
    assert len(port.meter.calls) == 1
    assert writes(port) == 1
    names = [f"{number + 10**9}" for number in range(100_000)]
    shop.remember("auto_order", "all", names, NOW)
    assert writes(port) < 1_400
    assert shop.remembered("auto_order", "all", NOW, 60_000, 200) == (names[60_000:60_200], 100_000)
    assert reads(port) < 20


def test_no_record_of_a_set_comes_near_the_limit_of_a_record(port: SqliteTables, shop: Lists) -> None:
    shop.remember("order", "all", ["x" * 30 for _ in range(CHUNK)], NOW)
    assert writes(port) < 300 * 1024 / WRITE_UNIT_BYTES


# --- day totals ------------------------------------------------------------------------------------------------------


def test_a_day_adds_up_and_days_come_oldest_first(port: SqliteTables, shop: Lists) -> None:
    for day, amounts in (
        ("2027-03-02", {"orders": 1, "revenue": 4995}),
        ("2027-03-01", {"orders": 1, "revenue": 100}),
        ("2027-03-02", {"orders": 2, "revenue": 5, "declines": 1}),
        ("2027-02-28", {"declines": 1}),
        ("2027-03-03", {"orders": 9}),
    ):
        port.write(shop.counted(day, amounts))
    port.write(Lists(port, "OTHER").counted("2027-03-01", {"orders": 50}))
    assert shop.days("2027-03-01", "2027-03-02") == [
        ("2027-03-01", {"orders": 1, "revenue": 100}),
        ("2027-03-02", {"orders": 3, "revenue": 5000, "declines": 1}),
    ]
    assert shop.days("2027-03-04", "2027-03-09") == []
    assert shop.days("2027-03-09", "2027-03-01") == []


def test_days_of_a_year_are_one_query(port: SqliteTables, shop: Lists) -> None:
    for number in range(365):
        port.write(shop.counted(f"{NOW.date() - timedelta(days=number)}", {"orders": 1}))
    port.meter.reset()
    assert len(shop.days("2026-03-01", "2027-03-01")) == 365
    assert len(port.meter.calls) == 1


def test_what_is_counted_with_a_mark_is_counted_once(port: SqliteTables, shop: Lists) -> None:
    marked: Record = {"pk": "DEMO#evt_1", "sk": "told"}
    for _ in range(2):
        try:
            port.write(shop.counted("2027-03-01", {"orders": 1}), Put("events", marked, when=(Absent(),)))
        except Refused:
            continue
    assert shop.days("2027-03-01", "2027-03-01") == [("2027-03-01", {"orders": 1})]
