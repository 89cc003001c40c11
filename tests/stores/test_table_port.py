"""The contract of the table port: what the stores may count on, whichever engine answers.

Every case runs on SQLite in memory and on a file, and on the DynamoDB adapter against ministack; the single-threaded
ones against moto too. What one engine alone can show (a scripted answer, a late index) stands at the end.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.response import HTTPResponse

from chalicelib.domain.errors import Contended, Refused
from chalicelib.stores.dynamodb import BATCH_ROUNDS, DynamoTables
from chalicelib.stores.port import (
    MAXIMUM_CHANGES,
    MAXIMUM_GET_MANY,
    MAXIMUM_PAGE,
    Absent,
    AtLeast,
    Call,
    Change,
    Check,
    Condition,
    Delete,
    Equals,
    LessThan,
    OneOf,
    Page,
    Present,
    Put,
    Record,
    TablePort,
    Update,
)
from chalicelib.stores.sqlite import SqliteTables
from chalicelib.stores.tables import BY_DUE, PK, SK, TABLES
from chalicelib.stores.units import record_bytes

T = TypeVar("T")

# A table without an index, and one with the due index.
PLAIN = "customers"
DUE = "auto_orders"

THREADS = 8
PATIENCE_SECONDS = 5.0
LOOK_EVERY_SECONDS = 0.005
# More pages than this and a cursor goes round in circles.
PAGES = 200


# --- what the sentences below are made of ----------------------------------------------------------------------------


def record(pk: str, sk: str, **attributes: str | int) -> Record:
    return {"pk": pk, "sk": sk, **attributes}


def read(tables: TablePort, table: str, pk: str, sk: str) -> Record | None:
    return tables.get(table, pk, sk, consistent=True)


def pages(tables: TablePort, table: str, hash_value: str, **how: Any) -> Iterator[Page]:
    cursor = None
    for _ in range(PAGES):
        page = tables.query(table, hash_value, cursor=cursor, **how)
        yield page
        cursor = page.cursor
        if cursor is None:
            return
    pytest.fail("the cursor never came to an end")


def every(tables: TablePort, table: str, hash_value: str, **how: Any) -> list[Record]:
    if not how.get("index"):
        how["consistent"] = True
    return [found for page in pages(tables, table, hash_value, **how) for found in page.records]


def range_keys(tables: TablePort, hash_value: str, **how: Any) -> list[str]:
    return [str(found["sk"]) for found in every(tables, PLAIN, hash_value, **how)]


def due(tables: TablePort, shard: str, **how: Any) -> list[tuple[str, str]]:
    """(due_key, sk) of all that waits in the shard."""
    found = every(tables, DUE, shard, index=BY_DUE.name, **how)
    return [(str(entry["due_key"]), str(entry["sk"])) for entry in found]


NOTHING: list[tuple[str, str]] = []


def eventually(look: Callable[[], T], wanted: T) -> None:
    """An index is read with a delay: look again until it shows what is wanted, for a bounded time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (seen := look()) != wanted and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_SECONDS)
    assert seen == wanted


def refusal(write: Callable[[], None]) -> Refused | None:
    """How the write was refused, if it was. While the engine only asks to try again, it is tried again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            write()
        except Refused as refused:
            return refused
        except Contended:
            if time.monotonic() > deadline:
                raise
        else:
            return None


def at_once(work: Sequence[Callable[[], T]]) -> list[T]:
    with ThreadPoolExecutor(THREADS) as threads:
        return [job.result() for job in [threads.submit(one) for one in work]]


# --- conditions, one by one ------------------------------------------------------------------------------------------

HERE: Record = {"status": "active", "version": 7, "note": "", "word": "Zebra"}

CONDITIONS: list[tuple[str, Record | None, Condition, bool]] = [
    ("absent holds where nothing stands", None, Absent(), True),
    ("absent refuses where something stands", HERE, Absent(), False),
    ("an attribute is absent where nothing stands", None, Absent("status"), True),
    ("an attribute is absent where the record lacks it", HERE, Absent("due_key"), True),
    ("an attribute that is there is not absent", HERE, Absent("status"), False),
    ("an empty text is there", HERE, Absent("note"), False),
    ("present refuses where nothing stands", None, Present(), False),
    ("present holds where something stands", HERE, Present(), True),
    ("no attribute is present where nothing stands", None, Present("status"), False),
    ("an attribute that the record lacks is not present", HERE, Present("due_key"), False),
    ("an attribute that is there is present", HERE, Present("status"), True),
    ("the same text is equal", HERE, Equals("status", "active"), True),
    ("another text is not equal", HERE, Equals("status", "canceled"), False),
    ("a text of another case is not equal", HERE, Equals("status", "Active"), False),
    ("the empty text equals the empty text", HERE, Equals("note", ""), True),
    ("the same number is equal", HERE, Equals("version", 7), True),
    ("another number is not equal", HERE, Equals("version", 8), False),
    ("the text 7 is not the number 7", HERE, Equals("version", "7"), False),
    ("a missing attribute equals nothing", HERE, Equals("due_key", ""), False),
    ("nothing equals anything where nothing stands", None, Equals("status", "active"), False),
    ("a key can be compared too", HERE, Equals("sk", "it"), True),
    ("one of several texts", HERE, OneOf("status", ("new", "active")), True),
    ("none of several texts", HERE, OneOf("status", ("new", "canceled")), False),
    ("one of several numbers", HERE, OneOf("version", (6, 7)), True),
    ("one of texts and numbers knows them apart", HERE, OneOf("version", (6, "7")), False),
    ("a missing attribute is none of them", HERE, OneOf("due_key", ("", "a")), False),
    ("nothing is one of them where nothing stands", None, OneOf("status", ("active",)), False),
    ("a smaller number is less", HERE, LessThan("version", 8), True),
    ("the same number is not less", HERE, LessThan("version", 7), False),
    ("numbers are compared as numbers", HERE, LessThan("version", 10), True),
    ("a negative bound is not above", HERE, LessThan("version", -8), False),
    ("texts are compared by their bytes", HERE, LessThan("word", "apple"), True),
    ("the same text is not less", HERE, LessThan("word", "Zebra"), False),
    ("a text is not less than a longer one it starts with", HERE, LessThan("word", "Zeb"), False),
    ("a missing attribute is not less", HERE, LessThan("due_key", "z"), False),
    ("nothing is less where nothing stands", None, LessThan("version", 1), False),
    ("the same number is at least", HERE, AtLeast("version", 7), True),
    ("a greater number is at least", HERE, AtLeast("version", -1), True),
    ("a smaller number is not at least", HERE, AtLeast("version", 10), False),
    ("a text is at least what it starts with", HERE, AtLeast("word", "Zeb"), True),
    ("a text before the bound is not at least", HERE, AtLeast("word", "a"), False),
    ("a missing attribute is not at least", HERE, AtLeast("due_key", ""), False),
]


@pytest.fixture(params=CONDITIONS, ids=lambda case: case[0].replace(" ", "_"))
def case(request: pytest.FixtureRequest) -> tuple[str, Record | None, Condition, bool]:
    return request.param  # type: ignore[no-any-return]


def test_a_condition_decides_over_a_single_write(
    tables: TablePort, pk: str, case: tuple[str, Record | None, Condition, bool]
) -> None:
    _, before, condition, holds = case
    stood = record(pk, "it", **before) if before is not None else None
    if stood:
        tables.write(Put(PLAIN, stood))
    change = Update(PLAIN, pk, "it", set={"mark": 1}, when=(condition,))
    if holds:
        tables.write(change)
        assert read(tables, PLAIN, pk, "it") == record(pk, "it", **(before or {}), mark=1)
        return
    with pytest.raises(Refused) as refused:
        tables.write(change)
    assert (refused.value.change, refused.value.found) == (0, stood)
    assert read(tables, PLAIN, pk, "it") == stood


@pytest.mark.parametrize(
    "condition",
    [LessThan("version", "8"), AtLeast("version", ""), LessThan("word", 10**9), AtLeast("word", 0)],
    ids=str,
)
def test_a_text_and_a_number_are_never_in_order(faithful_tables: TablePort, pk: str, condition: Condition) -> None:
    tables = faithful_tables
    tables.write(Put(PLAIN, record(pk, "it", **HERE)))
    for changes in ([update(pk, set={"mark": 1}, when=(condition,))], [Check(PLAIN, pk, "it", when=(condition,))]):
        with pytest.raises(Refused):
            tables.write(*changes)


def test_a_condition_decides_over_a_transaction(
    tables: TablePort, pk: str, case: tuple[str, Record | None, Condition, bool]
) -> None:
    _, before, condition, holds = case
    stood = record(pk, "it", **before) if before is not None else None
    if stood:
        tables.write(Put(PLAIN, stood))
    changes = (Put(DUE, record(pk, "other")), Check(PLAIN, pk, "it", when=(condition,)))
    if holds:
        tables.write(*changes)
        assert read(tables, DUE, pk, "other") == record(pk, "other")
        return
    with pytest.raises(Refused) as refused:
        tables.write(*changes)
    assert (refused.value.change, refused.value.found) == (1, stood)
    assert read(tables, DUE, pk, "other") is None


# --- refusals --------------------------------------------------------------------------------------------------------

NEVER = (Equals("status", "never"),)


def four_changes(pk: str) -> list[Change]:
    """One of each kind, in the order that is the reverse of PynamoDB's own."""
    return [
        Update(DUE, pk, "update", set={"status": "new"}),
        Put(PLAIN, record(pk, "put", status="new")),
        Delete(DUE, pk, "delete"),
        Check(PLAIN, pk, "check", when=(Present(),)),
    ]


def with_condition(change: Change, when: tuple[Condition, ...]) -> Change:
    match change:
        case Put(table, made):
            return Put(table, made, when)
        case Update(table, pk, sk, set=new):
            return Update(table, pk, sk, set=new, when=when)
        case Delete(table, pk, sk):
            return Delete(table, pk, sk, when)
        case Check(table, pk, sk):
            return Check(table, pk, sk, when)


def stand(tables: TablePort, changes: Sequence[Change], **attributes: str | int) -> list[Record]:
    """A record under the key of each change."""
    made = []
    for change in changes:
        key = change.record if isinstance(change, Put) else {"pk": change.pk, "sk": change.sk}
        made.append(record(str(key["pk"]), str(key["sk"]), **attributes))
        tables.write(Put(change.table, made[-1]))
    return made


@pytest.mark.parametrize("position", range(3), ids=["update", "put", "delete"])
def test_a_refused_single_change_tells_the_record_and_leaves_it(tables: TablePort, pk: str, position: int) -> None:
    stood = stand(tables, four_changes(pk), status="active", version=3)[position]
    change = with_condition(four_changes(pk)[position], NEVER)
    with pytest.raises(Refused) as refused:
        tables.write(change)
    assert (refused.value.change, refused.value.found) == (0, stood)
    assert read(tables, change.table, pk, str(stood["sk"])) == stood


@pytest.mark.parametrize("position", range(4), ids=["update", "put", "delete", "check"])
def test_a_refused_transaction_tells_which_change_and_what_stood_there(
    tables: TablePort, pk: str, position: int
) -> None:
    changes = four_changes(pk)
    stood = stand(tables, changes, status="active", version=3)
    changes[position] = with_condition(changes[position], NEVER)
    with pytest.raises(Refused) as refused:
        tables.write(*changes)
    assert (refused.value.change, refused.value.found) == (position, stood[position])
    assert [read(tables, change.table, pk, str(was["sk"])) for change, was in zip(changes, stood, strict=True)] == stood


@pytest.mark.parametrize("position", range(4), ids=["update", "put", "delete", "check"])
def test_a_refused_transaction_tells_that_nothing_stood_there(tables: TablePort, pk: str, position: int) -> None:
    changes = four_changes(pk)
    stand(tables, [change for place, change in enumerate(changes) if place != position])
    changes[position] = with_condition(changes[position], (Present(),))
    with pytest.raises(Refused) as refused:
        tables.write(*changes)
    assert (refused.value.change, refused.value.found) == (position, None)


def test_of_several_refused_changes_the_first_is_told(tables: TablePort, pk: str) -> None:
    changes = four_changes(pk)
    stood = stand(tables, changes, status="active")
    refusing = [changes[0], *(with_condition(change, NEVER) for change in changes[1:])]
    with pytest.raises(Refused) as refused:
        tables.write(*refusing)
    assert (refused.value.change, refused.value.found) == (1, stood[1])


def test_all_conditions_of_a_change_must_hold(tables: TablePort, pk: str) -> None:
    tables.write(Put(PLAIN, record(pk, "it", status="active", version=3)))
    both = (Equals("status", "active"), Equals("version", 3))
    tables.write(Update(PLAIN, pk, "it", add={"version": 1}, when=both))
    with pytest.raises(Refused):
        tables.write(Update(PLAIN, pk, "it", add={"version": 1}, when=both))
    assert read(tables, PLAIN, pk, "it") == record(pk, "it", status="active", version=4)


def test_a_refusal_carries_numbers_as_numbers_and_texts_as_texts(tables: TablePort, pk: str) -> None:
    stood = record(pk, "it", number=12, text="12", big=10**37, below=-5)
    tables.write(Put(PLAIN, stood))
    with pytest.raises(Refused) as refused:
        tables.write(Put(PLAIN, record(pk, "it"), when=(Absent(),)))
    assert refused.value.found == stood


# --- single changes --------------------------------------------------------------------------------------------------


def test_a_put_replaces_the_whole_record(tables: TablePort, pk: str) -> None:
    tables.write(Put(PLAIN, record(pk, "it", old="x", kept="no")))
    tables.write(Put(PLAIN, record(pk, "it", new=1)))
    assert read(tables, PLAIN, pk, "it") == record(pk, "it", new=1)


def test_an_update_creates_what_was_not_there(tables: TablePort, pk: str) -> None:
    tables.write(Update(PLAIN, pk, "it", set={"name": "Ann"}, add={"count": 2}, remove=("gone",)))
    assert read(tables, PLAIN, pk, "it") == record(pk, "it", name="Ann", count=2)


def test_an_update_touches_only_what_it_names(tables: TablePort, pk: str) -> None:
    tables.write(Put(PLAIN, record(pk, "it", name="Ann", count=2, gone="x", kept="yes")))
    tables.write(Update(PLAIN, pk, "it", set={"name": "Bob"}, add={"count": -5}, remove=("gone", "never_there")))
    assert read(tables, PLAIN, pk, "it") == record(pk, "it", name="Bob", count=-3, kept="yes")


def test_adding_starts_at_nothing(tables: TablePort, pk: str) -> None:
    tables.write(Put(PLAIN, record(pk, "it")))
    for _ in range(3):
        tables.write(Update(PLAIN, pk, "it", add={"count": 7}))
    assert read(tables, PLAIN, pk, "it") == record(pk, "it", count=21)


def test_nothing_can_be_added_to_a_text(tables: TablePort, pk: str) -> None:
    tables.write(Put(PLAIN, record(pk, "it", count="7")))
    with pytest.raises(ValueError, match=r"not a number|operand"):
        tables.write(Update(PLAIN, pk, "it", add={"count": 1}))
    with pytest.raises(ValueError, match=r"not a number|operand"):
        tables.write(Put(PLAIN, record(pk, "other")), Update(PLAIN, pk, "it", add={"count": 1}))
    assert range_keys(tables, pk) == ["it"]
    assert read(tables, PLAIN, pk, "it") == record(pk, "it", count="7")


def test_setting_may_change_the_type(tables: TablePort, pk: str) -> None:
    tables.write(Put(PLAIN, record(pk, "it", value="7")))
    tables.write(Update(PLAIN, pk, "it", set={"value": 7}))
    assert read(tables, PLAIN, pk, "it") == record(pk, "it", value=7)


def test_a_deleted_record_is_gone_and_deleting_it_again_is_fine(tables: TablePort, pk: str) -> None:
    tables.write(Put(PLAIN, record(pk, "it")))
    tables.write(Delete(PLAIN, pk, "it"))
    tables.write(Delete(PLAIN, pk, "it"))
    assert read(tables, PLAIN, pk, "it") is None


def test_words_that_dynamodb_reserves_are_names_like_others(tables: TablePort, pk: str) -> None:
    names = ("status", "name", "size", "value", "values", "set", "add", "key", "a.b", "a-b", "Größe", "#0", ":0")
    tables.write(Put(PLAIN, record(pk, "it", **dict.fromkeys(names, 1))))
    tables.write(Update(PLAIN, pk, "it", add=dict.fromkeys(names, 1), when=tuple(Equals(name, 1) for name in names)))
    assert read(tables, PLAIN, pk, "it") == record(pk, "it", **dict.fromkeys(names, 2))


def test_a_record_may_be_nothing_but_its_keys(tables: TablePort, pk: str) -> None:
    tables.write(Put(PLAIN, record(pk, "it"), when=(Absent(),)))
    assert read(tables, PLAIN, pk, "it") == record(pk, "it")


VALUES = {
    "zero": 0,
    "minus one": -1,
    "all 38 digits": 10**38 - 1,
    "all 38 digits below zero": 1 - 10**38,
    "a number that ends in noughts": 12 * 10**36,
    "the empty text": "",
    "digits": "0012",
    "a text that looks like a number": "1e5",
    "accents and other alphabets": "Zoë Ünïcode Ω Жук 漢字",
    "beyond the basic plane": "𝄞 👩‍🚀",
    "control characters": "a\x00b\tc\nd\x7f",
    "quotes and braces": '{"S": "\\"} \'; drop table record',
    "the highest code point": "\U0010ffff",
    "300 KB": "x" * 300 * 1024,
}


@pytest.mark.parametrize("value", VALUES.values(), ids=[name.replace(" ", "_") for name in VALUES])
def test_a_value_comes_back_as_it_was_written(tables: TablePort, pk: str, value: str | int) -> None:
    tables.write(Put(PLAIN, record(pk, "put", value=value)))
    tables.write(Update(PLAIN, pk, "update", set={"value": value}))
    found = every(tables, PLAIN, pk)
    assert found == [record(pk, "put", value=value), record(pk, "update", value=value)]
    assert [type(one["value"]) for one in found] == [type(value)] * 2


# --- reading by key --------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_none(tables: TablePort, pk: str) -> None:
    tables.write(Put(PLAIN, record(pk, "it")))
    assert tables.get(PLAIN, pk, "other") is None
    assert tables.get(PLAIN, pk + "x", "it", consistent=True) is None
    assert tables.get(DUE, pk, "it") is None


def test_get_many_keeps_the_order_asked_for_and_leaves_out_what_is_not_there(tables: TablePort, pk: str) -> None:
    for sk in ("a", "b", "c"):
        tables.write(Put(PLAIN, record(pk, sk, is_=sk)))
    keys = [(pk, "c"), (pk, "never"), (pk, "a"), (pk + "x", "a"), (pk, "b")]
    assert [found["sk"] for found in tables.get_many(PLAIN, keys, consistent=True)] == ["c", "a", "b"]


def test_get_many_of_nothing_is_nothing(tables: TablePort, pk: str) -> None:
    assert tables.get_many(PLAIN, []) == []
    assert tables.get_many(PLAIN, [(pk, "never")]) == []


def test_get_many_takes_its_full_number(tables: TablePort, pk: str) -> None:
    tables.write(*(Put(PLAIN, record(pk, f"{number:03}", number=number)) for number in range(MAXIMUM_GET_MANY)))
    keys = [(pk, f"{number:03}") for number in reversed(range(MAXIMUM_GET_MANY))]
    found = tables.get_many(PLAIN, keys, consistent=True)
    assert [one["number"] for one in found] == list(reversed(range(MAXIMUM_GET_MANY)))


# --- queries ---------------------------------------------------------------------------------------------------------

# In the order of their UTF-8 bytes, which is the order of their code points.
TEXTS = [
    "#",
    "0",
    "10",
    "9",
    "A",
    "Z",
    "a",
    "a\x00",
    "a#",
    "ab",
    "ab#1",
    "ab#2",
    "ac",
    "z",
    "é",
    "Ω",
    "漢",
    "\ue000",
    "𝄞",
]


def test_records_come_in_the_order_of_the_bytes_of_their_range_key(tables: TablePort, pk: str) -> None:
    for sk in sorted(TEXTS, key=lambda text: Random(1).random()):
        tables.write(Put(PLAIN, record(pk, sk)))
    assert range_keys(tables, pk) == TEXTS
    assert range_keys(tables, pk, descending=True) == TEXTS[::-1]
    assert sorted(TEXTS, key=str.encode) == TEXTS


def test_a_query_sees_its_own_hash_value_only(tables: TablePort, pk: str) -> None:
    tables.write(Put(PLAIN, record(pk, "it")), Put(PLAIN, record(pk + "0", "other")), Put(DUE, record(pk, "there")))
    assert range_keys(tables, pk) == ["it"]


def test_a_query_that_finds_nothing_is_one_empty_page(tables: TablePort, pk: str) -> None:
    tables.write(Put(PLAIN, record(pk, "it")))
    assert tables.query(PLAIN, pk + "x") == Page([], None)
    assert tables.query(PLAIN, pk, prefix="x", consistent=True) == Page([], None)
    assert tables.query(PLAIN, pk, at_least="x", less_than="y", consistent=True) == Page([], None)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"prefix": "ab"}, ["ab", "ab#1", "ab#2"]),
        ({"prefix": "ab#"}, ["ab#1", "ab#2"]),
        ({"prefix": "a"}, ["a", "a\x00", "a#", "ab", "ab#1", "ab#2", "ac"]),
        ({"prefix": "Ω"}, ["Ω"]),
        ({"prefix": "b"}, []),
        ({"at_least": "z"}, ["z", "é", "Ω", "漢", "\ue000", "𝄞"]),
        ({"at_least": "y"}, ["z", "é", "Ω", "漢", "\ue000", "𝄞"]),
        ({"less_than": "9"}, ["#", "0", "10"]),
        ({"less_than": "99"}, ["#", "0", "10", "9"]),
        ({"at_least": "A", "less_than": "a"}, ["A", "Z"]),
        ({"at_least": "A", "less_than": "a#"}, ["A", "Z", "a", "a\x00"]),
        ({"at_least": "ab#1", "less_than": "ab#2"}, ["ab#1"]),
        ({"at_least": "ab#1", "less_than": "ab#1"}, []),
        ({"at_least": "z", "less_than": "a"}, []),
    ],
    ids=str,
)
@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
def test_a_query_takes_a_prefix_or_a_half_open_range(
    faithful_tables: TablePort, pk: str, asked: dict[str, str], wanted: list[str], descending: bool
) -> None:
    tables = faithful_tables
    tables.write(*(Put(PLAIN, record(pk, sk)) for sk in TEXTS))
    expected = wanted[::-1] if descending else wanted
    for limit in (1, 100):
        assert range_keys(tables, pk, limit=limit, descending=descending, **asked) == expected


@pytest.mark.parametrize("prefix", ["\ud7ff", "a\U0010ffff", "\U0010ffff", "\U0010ffff\U0010ffff"], ids=ascii)
def test_a_prefix_at_the_edges_of_unicode_finds_all_that_starts_with_it(
    faithful_tables: TablePort, pk: str, prefix: str
) -> None:
    tables = faithful_tables
    inside = [prefix, prefix + "\x00", prefix + "a", prefix + "\ue000", prefix + "\U0010ffff", prefix + "\U0010ffffz"]
    tables.write(*(Put(PLAIN, record(pk, sk)) for sk in [*inside, "A", "b", "\ue001", "\ud7fe"]))
    assert range_keys(tables, pk, prefix=prefix) == inside


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize("limit", [1, 3, 7])
def test_pages_follow_each_other_without_gap_or_repetition(
    tables: TablePort, pk: str, limit: int, descending: bool
) -> None:
    keys = [f"{number:02}" for number in range(7)]
    tables.write(*(Put(PLAIN, record(pk, sk, number=int(sk))) for sk in keys))
    found = list(pages(tables, PLAIN, pk, limit=limit, descending=descending, consistent=True))
    assert all(len(page.records) <= limit for page in found)
    assert [one["sk"] for page in found for one in page.records] == (keys[::-1] if descending else keys)


def test_a_full_page_has_a_cursor_even_where_nothing_follows(faithful_tables: TablePort, pk: str) -> None:
    tables = faithful_tables
    tables.write(*(Put(PLAIN, record(pk, sk)) for sk in ("a", "b")))
    full = tables.query(PLAIN, pk, limit=2, consistent=True)
    assert full.cursor == record(pk, "b")
    assert tables.query(PLAIN, pk, limit=2, cursor=full.cursor, consistent=True) == Page([], None)
    assert tables.query(PLAIN, pk, limit=3, consistent=True).cursor is None


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
def test_a_cursor_keeps_its_place_while_records_come_and_go(tables: TablePort, pk: str, descending: bool) -> None:
    tables.write(*(Put(PLAIN, record(pk, sk)) for sk in ("b", "d", "f", "h")))
    first = tables.query(PLAIN, pk, limit=2, descending=descending, consistent=True)
    seen = [str(one["sk"]) for one in first.records]
    # Before the cursor, on it and after it.
    tables.write(*(Put(PLAIN, record(pk, sk)) for sk in ("a", "c", "e", "g", "i")), Delete(PLAIN, pk, seen[-1]))
    rest = range_keys_from(tables, pk, first, descending=descending)
    assert (seen, rest) == ((["h", "f"], ["e", "d", "c", "b", "a"]) if descending else (["b", "d"], list("efghi")))


def range_keys_from(tables: TablePort, pk: str, page: Page, *, descending: bool) -> list[str]:
    found = []
    while page.cursor:
        page = tables.query(PLAIN, pk, limit=2, descending=descending, cursor=page.cursor, consistent=True)
        found += [str(one["sk"]) for one in page.records]
    return found


def test_a_cursor_is_texts_under_the_names_of_the_keys(tables: TablePort, pk: str) -> None:
    tables.write(Put(PLAIN, record(pk, "a", number=1)), Put(PLAIN, record(pk, "b")))
    assert tables.query(PLAIN, pk, limit=1, consistent=True).cursor == record(pk, "a")


def test_a_page_ends_at_a_megabyte(faithful_tables: TablePort, pk: str) -> None:
    tables = faithful_tables
    for number in range(5):
        tables.write(Put(PLAIN, record(pk, str(number), document="x" * 300 * 1024)))
    found = list(pages(tables, PLAIN, pk, consistent=True))
    assert [one["sk"] for page in found for one in page.records] == list("01234")
    assert [len(page.records) for page in found] == [3, 2]


def test_any_query_finds_what_a_sorted_list_would(faithful_tables: TablePort, pk: str) -> None:
    tables = faithful_tables
    chance = Random(20261122)
    letters = "aAb#1é漢𝄞"
    texts = sorted({"".join(chance.choices(letters, k=chance.randint(1, 3))) for _ in range(60)})
    tables.write(*(Put(PLAIN, record(pk, sk)) for sk in texts))
    for _ in range(40):
        low, high = ("".join(chance.choices(letters, k=chance.randint(0, 2))) for _ in range(2))
        asked = {"prefix": low} if chance.random() < 0.4 else {"at_least": low, "less_than": high}
        wanted = [
            text
            for text in texts
            if ("prefix" not in asked or text.startswith(low))
            and ("less_than" not in asked or (low <= text and (not high or text < high)))
        ]
        descending = chance.random() < 0.5
        how = {**asked, "limit": chance.choice((3, 10, 100)), "descending": descending}
        assert range_keys(tables, pk, **how) == (wanted[::-1] if descending else wanted), how


# --- the sparse index ------------------------------------------------------------------------------------------------


def waiting(pk: str, sk: str, shard: str, when: str, **attributes: str | int) -> Record:
    return record(pk, sk, due_shard=shard, due_key=when, **attributes)


def test_a_record_stands_in_the_index_while_it_has_both_attributes(indexed_tables: TablePort, pk: str) -> None:
    tables, shard = indexed_tables, "shard of " + pk
    tables.write(Put(DUE, record(pk, "it", version=1)))
    eventually(lambda: due(tables, shard), NOTHING)
    tables.write(Update(DUE, pk, "it", set={"due_shard": shard}))
    eventually(lambda: due(tables, shard), NOTHING)
    tables.write(Update(DUE, pk, "it", set={"due_key": "2026-01-01"}))
    eventually(lambda: due(tables, shard), [("2026-01-01", "it")])
    tables.write(Update(DUE, pk, "it", set={"due_key": "2026-02-01"}))
    eventually(lambda: due(tables, shard), [("2026-02-01", "it")])
    tables.write(Update(DUE, pk, "it", set={"due_shard": shard + "'"}))
    eventually(lambda: (due(tables, shard), due(tables, shard + "'")), (NOTHING, [("2026-02-01", "it")]))
    tables.write(Update(DUE, pk, "it", remove=("due_key",)))
    eventually(lambda: due(tables, shard + "'"), NOTHING)


def test_an_overwritten_or_deleted_record_leaves_the_index(indexed_tables: TablePort, pk: str) -> None:
    tables, shard = indexed_tables, "shard of " + pk
    for sk in ("deleted", "kept", "overwritten"):
        tables.write(Put(DUE, waiting(pk, sk, shard, "2026")))
    eventually(lambda: sorted(due(tables, shard)), [("2026", "deleted"), ("2026", "kept"), ("2026", "overwritten")])
    tables.write(Delete(DUE, pk, "deleted"), Put(DUE, record(pk, "overwritten")))
    eventually(lambda: due(tables, shard), [("2026", "kept")])


def test_an_index_holds_nothing_but_keys(indexed_tables: TablePort, pk: str) -> None:
    tables, shard = indexed_tables, "shard of " + pk
    tables.write(Put(DUE, waiting(pk, "it", shard, "2026", version=4, document="{}")))
    eventually(lambda: every(tables, DUE, shard, index=BY_DUE.name), [waiting(pk, "it", shard, "2026")])


def test_an_attribute_outside_the_index_changes_nothing_in_it(indexed_tables: TablePort, pk: str) -> None:
    tables, shard = indexed_tables, "shard of " + pk
    tables.write(Put(DUE, waiting(pk, "it", shard, "2026", version=4)))
    tables.write(Update(DUE, pk, "it", add={"version": 1}))
    eventually(lambda: due(tables, shard), [("2026", "it")])


def test_a_refused_write_leaves_the_index_alone(indexed_tables: TablePort, pk: str) -> None:
    tables, shard = indexed_tables, "shard of " + pk
    tables.write(Put(DUE, waiting(pk, "it", shard, "2026")))
    with pytest.raises(Refused):
        tables.write(Update(DUE, pk, "it", set={"due_key": "2027"}, when=NEVER))
    with pytest.raises(Refused):
        tables.write(Delete(DUE, pk, "it"), Check(DUE, pk, "other", when=(Present(),)))
    tables.write(Put(DUE, waiting(pk, "last", shard, "2028")))
    eventually(lambda: due(tables, shard), [("2026", "it"), ("2028", "last")])


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_an_index_is_read_in_pages_although_range_keys_repeat(
    faithful_indexed_tables: TablePort, pk: str, limit: int, descending: bool
) -> None:
    tables, shard = faithful_indexed_tables, "shard of " + pk
    entries = [(f"2026-0{month}", f"{number}") for month in (1, 2, 3) for number in range(3)]
    tables.write(*(Put(DUE, waiting(f"{pk}#{sk}", f"{when}#{sk}", shard, when)) for when, sk in entries))
    # How records of one range key stand among each other no engine promises.
    wanted = sorted((when, f"{when}#{sk}") for when, sk in entries)
    eventually(lambda: sorted(due(tables, shard, limit=limit, descending=descending)), wanted)
    order = [when for when, _ in due(tables, shard, limit=limit, descending=descending)]
    assert order == sorted((when for when, _ in wanted), reverse=descending)


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"less_than": "2026-03"}, ["2026-01", "2026-02"]),
        ({"at_least": "2026-02"}, ["2026-02", "2026-03", "2027-01"]),
        ({"at_least": "2026-01", "less_than": "2026-03"}, ["2026-01", "2026-02"]),
        ({"prefix": "2026"}, ["2026-01", "2026-02", "2026-03"]),
        ({"prefix": "2025"}, []),
    ],
    ids=str,
)
def test_an_index_takes_a_prefix_or_a_half_open_range(
    faithful_indexed_tables: TablePort, pk: str, asked: dict[str, str], wanted: list[str], descending: bool
) -> None:
    tables, shard = faithful_indexed_tables, "shard of " + pk
    for when in ("2027-01", "2026-03", "2026-01", "2026-02"):
        tables.write(*(Put(DUE, waiting(f"{pk}#{sk}", sk, shard, when)) for sk in (f"{when}a", f"{when}b")))
    expected = [when for when in (wanted[::-1] if descending else wanted) for _ in range(2)]
    for limit in (3, 100):
        look = range_of_due(tables, shard, limit=limit, descending=descending, **asked)
        eventually(look, expected)


def range_of_due(tables: TablePort, shard: str, **how: Any) -> Callable[[], list[str]]:
    return lambda: [when for when, _ in due(tables, shard, **how)]


def test_the_cursor_of_an_index_names_the_keys_of_both(indexed_tables: TablePort, pk: str) -> None:
    tables, shard = indexed_tables, "shard of " + pk
    tables.write(Put(DUE, waiting(pk, "a", shard, "2026")), Put(DUE, waiting(pk, "b", shard, "2027")))
    eventually(lambda: len(due(tables, shard)), 2)
    page = tables.query(DUE, shard, index=BY_DUE.name, limit=1)
    assert page.cursor == waiting(pk, "a", shard, "2026")


def test_an_index_cursor_keeps_its_place_when_its_own_record_has_left(indexed_tables: TablePort, pk: str) -> None:
    tables, shard = indexed_tables, "shard of " + pk
    for when in ("2026-01", "2026-02", "2026-03", "2026-04"):
        tables.write(Put(DUE, waiting(pk, when, shard, when)))
    eventually(lambda: len(due(tables, shard)), 4)
    first = tables.query(DUE, shard, index=BY_DUE.name, limit=2)
    tables.write(Update(DUE, pk, "2026-02", remove=("due_shard", "due_key")), Put(DUE, waiting(pk, "0", shard, "2025")))
    eventually(lambda: len(due(tables, shard)), 4)
    rest = tables.query(DUE, shard, index=BY_DUE.name, cursor=first.cursor)
    assert [one["due_key"] for one in rest.records] == ["2026-03", "2026-04"]


# --- limits: the same on every engine --------------------------------------------------------------------------------

LONG_HASH, LONG_RANGE = "h" * 2049, "r" * 1025
UNSAYABLE = "\ud800"


def update(pk: str, **how: Any) -> Update:
    return Update(PLAIN, pk, "it", **how)


BROKEN_WRITES: dict[str, tuple[str, Callable[[str], Sequence[Change]]]] = {
    "nothing at all": ("nothing to write", lambda pk: []),
    "101 changes": ("100 changes", lambda pk: [Put(PLAIN, record(pk, str(n))) for n in range(MAXIMUM_CHANGES + 1)]),
    "two changes on one record": (
        "once only",
        lambda pk: [Put(PLAIN, record(pk, "it")), Check(PLAIN, pk, "it", (Absent(),))],
    ),
    "more than 4 MB in one transaction": (
        "records of a transaction",
        lambda pk: [Put(PLAIN, record(pk, str(n), document="x" * 399 * 1024)) for n in range(11)],
    ),
    "no such table": ("no table nowhere", lambda pk: [Put("nowhere", record(pk, "it"))]),
    "a put without a range key": ("sk is a key", lambda pk: [Put(PLAIN, {"pk": pk})]),
    "a put without a hash key": ("pk is a key", lambda pk: [Put(PLAIN, {"sk": "it"})]),
    "an empty hash key": ("pk is a key", lambda pk: [Put(PLAIN, record("", "it"))]),
    "an empty range key": ("sk is a key", lambda pk: [update(pk, set={"a": 1}), Delete(PLAIN, pk, "")]),
    "a number for a key": ("sk is a key", lambda pk: [Put(PLAIN, {"pk": pk, "sk": 7})]),
    "a hash key over 2048 bytes": ("2048 bytes", lambda pk: [Put(PLAIN, record(LONG_HASH, "it"))]),
    "a range key over 1024 bytes": ("1024 bytes", lambda pk: [Delete(PLAIN, pk, LONG_RANGE)]),
    "a range key over 1024 bytes in few letters": ("1024 bytes", lambda pk: [Delete(PLAIN, pk, "漢" * 342)]),
    "a record over 400 KB": ("a record holds", lambda pk: [Put(PLAIN, record(pk, "it", document="x" * 400 * 1024))]),
    "an update that carries more than 400 KB": (
        "a record holds",
        lambda pk: [update(pk, set={"document": "x" * 400 * 1024})],
    ),
    "a number of 39 digits": ("38 digits", lambda pk: [Put(PLAIN, record(pk, "it", number=10**38))]),
    "a number of 39 digits below zero": ("38 digits", lambda pk: [update(pk, set={"number": -(10**38)})]),
    "adding a number of 39 digits": ("38 digits", lambda pk: [update(pk, add={"number": 10**38})]),
    "a fraction": (
        "not float",
        lambda pk: [Put(PLAIN, {"pk": pk, "sk": "it", "price": 1.5})],  # type: ignore[dict-item]
    ),
    "a truth value": ("not bool", lambda pk: [Put(PLAIN, record(pk, "it", ready=True))]),
    "nothing for a value": ("not NoneType", lambda pk: [update(pk, set={"gone": None})]),
    "half a surrogate pair": ("surrogates", lambda pk: [Put(PLAIN, record(pk, "it", text=UNSAYABLE))]),
    "half a surrogate pair in a key": ("surrogates", lambda pk: [Put(PLAIN, record(pk, UNSAYABLE))]),
    "adding a text": ("not str", lambda pk: [update(pk, add={"count": "1"})]),
    "adding a truth value": ("not bool", lambda pk: [update(pk, add={"count": True})]),
    "an update of nothing": ("change something", lambda pk: [update(pk)]),
    "an update that sets and removes": ("once only", lambda pk: [update(pk, set={"a": 1}, remove=("a",))]),
    "an update that sets and adds": ("once only", lambda pk: [update(pk, set={"a": 1}, add={"a": 1})]),
    "an update that removes twice": ("once only", lambda pk: [update(pk, remove=("a", "a"))]),
    "an update of a key": ("cannot be changed", lambda pk: [update(pk, set={"sk": "other"})]),
    "an update that removes a key": ("cannot be changed", lambda pk: [update(pk, remove=("pk",))]),
    "a check of nothing": ("hold a condition", lambda pk: [Check(PLAIN, pk, "it", ())]),
    "one of no values": ("not 0", lambda pk: [update(pk, set={"a": 1}, when=(OneOf("a", ()),))]),
    "one of 101 values": ("not 101", lambda pk: [update(pk, set={"a": 1}, when=(OneOf("a", tuple(range(101))),))]),
    "a condition on a fraction": (
        "not float",
        lambda pk: [
            update(pk, set={"a": 1}, when=(LessThan("a", 1.5),)),  # type: ignore[arg-type]
        ],
    ),
    "a condition on a number of 39 digits": (
        "38 digits",
        lambda pk: [update(pk, set={"a": 1}, when=(Equals("a", 10**38),))],
    ),
    "a condition without a name": ("the name of", lambda pk: [update(pk, set={"a": 1}, when=(Equals("", 1),))]),
    "an attribute without a name": ("the name of", lambda pk: [update(pk, set={"": 1})]),
    "a name in brackets": ("the name of", lambda pk: [update(pk, add={"a[0]": 1})]),
    "a number for an index key": (
        "due_key is a key",
        lambda pk: [Put(DUE, {"pk": pk, "sk": "it", "due_shard": "1", "due_key": 7})],
    ),
    "an empty index key": ("due_key is a key", lambda pk: [Put(DUE, waiting(pk, "it", "1", ""))]),
    "an empty index key alone": ("due_key is a key", lambda pk: [Update(DUE, pk, "it", set={"due_key": ""})]),
    "adding to an index key": ("key of an index", lambda pk: [Update(DUE, pk, "it", add={"due_key": 1})]),
    "an index key over 1024 bytes": ("1024 bytes", lambda pk: [Update(DUE, pk, "it", set={"due_key": LONG_RANGE})]),
    "an index hash over 2048 bytes": ("2048 bytes", lambda pk: [Update(DUE, pk, "it", set={"due_shard": LONG_HASH})]),
}


@pytest.mark.parametrize(
    ("rule", "broken"), BROKEN_WRITES.values(), ids=[name.replace(" ", "_") for name in BROKEN_WRITES]
)
def test_no_engine_takes_a_write_like_this(
    adapters: TablePort, pk: str, rule: str, broken: Callable[[str], Sequence[Change]]
) -> None:
    tables = adapters
    tables.meter.reset()
    with pytest.raises(ValueError, match=rule):
        tables.write(*broken(pk))
    assert tables.meter.calls == []
    assert every(tables, PLAIN, pk) == every(tables, DUE, pk) == []


BROKEN_READS: dict[str, tuple[str, Callable[[TablePort, str], object]]] = {
    "no such table": ("no table nowhere", lambda tables, pk: tables.get("nowhere", pk, "it")),
    "an empty hash key": ("pk is a key", lambda tables, pk: tables.get(PLAIN, "", "it")),
    "an empty range key": ("sk is a key", lambda tables, pk: tables.get(PLAIN, pk, "")),
    "a range key over 1024 bytes": ("1024 bytes", lambda tables, pk: tables.get(PLAIN, pk, LONG_RANGE)),
    "101 keys": (
        "100 keys",
        lambda tables, pk: tables.get_many(PLAIN, [(pk, str(n)) for n in range(MAXIMUM_GET_MANY + 1)]),
    ),
    "one key twice": ("no key twice", lambda tables, pk: tables.get_many(PLAIN, [(pk, "it"), (pk, "it")])),
    "an empty key among many": ("sk is a key", lambda tables, pk: tables.get_many(PLAIN, [(pk, "it"), (pk, "")])),
    "many of no such table": ("no table nowhere", lambda tables, pk: tables.get_many("nowhere", [])),
    "a query without a hash value": ("pk is a key", lambda tables, pk: tables.query(PLAIN, "")),
    "a hash value over 2048 bytes": ("2048 bytes", lambda tables, pk: tables.query(PLAIN, LONG_HASH)),
    "a query of no such table": ("no table nowhere", lambda tables, pk: tables.query("nowhere", pk)),
    "no such index": ("no index by_due", lambda tables, pk: tables.query(PLAIN, pk, index=BY_DUE.name)),
    "a page of nothing": ("not 0", lambda tables, pk: tables.query(PLAIN, pk, limit=0)),
    "a page of 1001": ("not 1001", lambda tables, pk: tables.query(PLAIN, pk, limit=MAXIMUM_PAGE + 1)),
    "a prefix and a range": ("not both", lambda tables, pk: tables.query(PLAIN, pk, prefix="a", less_than="b")),
    "a bound over 1024 bytes": ("1024 bytes", lambda tables, pk: tables.query(PLAIN, pk, at_least=LONG_RANGE)),
    "a consistent index": (
        "consistently",
        lambda tables, pk: tables.query(DUE, pk, index=BY_DUE.name, consistent=True),
    ),
    "a cursor of another hash value": (
        "another query",
        lambda tables, pk: tables.query(PLAIN, pk, cursor=record(pk + "x", "a")),
    ),
    "a cursor of a table for an index": (
        "another query",
        lambda tables, pk: tables.query(DUE, pk, index=BY_DUE.name, cursor=record(pk, "a")),
    ),
    "a cursor of an index for a table": (
        "another query",
        lambda tables, pk: tables.query(DUE, pk, cursor=waiting(pk, "a", "1", "2026")),
    ),
    "an empty cursor": ("another query", lambda tables, pk: tables.query(PLAIN, pk, cursor={})),
    "a cursor of numbers": (
        "outside the range",
        lambda tables, pk: tables.query(PLAIN, pk, cursor={"pk": pk, "sk": 7}),
    ),
    "a cursor outside the prefix": (
        "outside the range",
        lambda tables, pk: tables.query(PLAIN, pk, prefix="a", cursor=record(pk, "b")),
    ),
    "a cursor below the range": (
        "outside the range",
        lambda tables, pk: tables.query(PLAIN, pk, at_least="b", cursor=record(pk, "a")),
    ),
    "a cursor above the range": (
        "outside the range",
        lambda tables, pk: tables.query(PLAIN, pk, less_than="b", cursor=record(pk, "c")),
    ),
}


@pytest.mark.parametrize(
    ("rule", "broken"), BROKEN_READS.values(), ids=[name.replace(" ", "_") for name in BROKEN_READS]
)
def test_no_engine_takes_a_question_like_this(
    adapters: TablePort, pk: str, rule: str, broken: Callable[[TablePort, str], object]
) -> None:
    tables = adapters
    tables.meter.reset()
    with pytest.raises(ValueError, match=rule):
        broken(tables, pk)
    assert tables.meter.calls == []


def test_keys_may_be_as_long_as_dynamodb_allows(tables: TablePort, pk: str) -> None:
    hash_value, range_value = pk + "h" * (2048 - len(pk)), "漢" * 341 + "r"
    tables.write(Put(PLAIN, record(hash_value, range_value)))
    assert range_keys(tables, hash_value, prefix="漢" * 341, limit=1) == [range_value]


def test_a_record_may_be_as_large_as_dynamodb_allows(faithful_tables: TablePort, pk: str) -> None:
    tables = faithful_tables
    full = record(pk, "it", document="")
    full["document"] = "x" * (400 * 1024 - record_bytes(full))
    tables.write(Put(PLAIN, full))
    assert read(tables, PLAIN, pk, "it") == full


def test_an_update_cannot_make_a_record_larger_than_that(faithful_tables: TablePort, pk: str) -> None:
    tables = faithful_tables
    tables.write(Put(PLAIN, record(pk, "it", one="x" * 250 * 1024)))
    with pytest.raises(ValueError, match=r"bytes at most|[Ii]tem size"):
        tables.write(update(pk, set={"two": "x" * 250 * 1024}))
    with pytest.raises(ValueError, match=r"bytes at most|[Ii]tem size"):
        tables.write(Put(PLAIN, record(pk, "other")), update(pk, set={"two": "x" * 250 * 1024}))
    assert [len(found) for found in every(tables, PLAIN, pk)] == [3]


# --- transactions ----------------------------------------------------------------------------------------------------


def test_a_transaction_changes_all_its_records_in_all_their_tables(tables: TablePort, pk: str) -> None:
    tables.write(Put(PLAIN, record(pk, "gone")), Put("ledgers", record(pk, "points", balance=10)))
    tables.write(
        Delete(PLAIN, pk, "gone", when=(Present(),)),
        Put("orders", record(pk, "order"), when=(Absent(),)),
        Update("ledgers", pk, "points", add={"balance": -4}, when=(AtLeast("balance", 4),)),
        Check(PLAIN, pk, "never", when=(Absent(),)),
    )
    assert read(tables, PLAIN, pk, "gone") is None
    assert read(tables, "orders", pk, "order") == record(pk, "order")
    assert read(tables, "ledgers", pk, "points") == record(pk, "points", balance=6)


def test_a_refused_transaction_changes_nothing(tables: TablePort, pk: str) -> None:
    tables.write(Put("ledgers", record(pk, "points", balance=3)), Put(PLAIN, record(pk, "stays")))
    with pytest.raises(Refused) as refused:
        tables.write(
            Put("orders", record(pk, "order")),
            Delete(PLAIN, pk, "stays"),
            Update("ledgers", pk, "points", add={"balance": -4}, when=(AtLeast("balance", 4),)),
        )
    assert refused.value.change == 2
    assert read(tables, "orders", pk, "order") is None
    assert read(tables, PLAIN, pk, "stays") == record(pk, "stays")
    assert read(tables, "ledgers", pk, "points") == record(pk, "points", balance=3)


def test_conditions_of_a_transaction_see_the_records_as_they_were_before_it(tables: TablePort, pk: str) -> None:
    tables.write(
        Put(PLAIN, record(pk, "a"), when=(Absent(),)),
        Put(PLAIN, record(pk, "b"), when=(Absent(),)),
    )
    with pytest.raises(Refused) as refused:
        tables.write(Put(PLAIN, record(pk, "c"), when=(Absent(),)), Put(PLAIN, record(pk, "a"), when=(Absent(),)))
    assert refused.value.change == 1
    assert range_keys(tables, pk) == ["a", "b"]


def test_a_transaction_takes_its_full_number_and_tells_the_last(faithful_tables: TablePort, pk: str) -> None:
    tables = faithful_tables
    changes = [Put(PLAIN, record(pk, f"{number:03}"), when=(Absent(),)) for number in range(MAXIMUM_CHANGES)]
    tables.write(changes[-1])
    with pytest.raises(Refused) as refused:
        tables.write(*changes)
    assert refused.value.change == MAXIMUM_CHANGES - 1
    assert range_keys(tables, pk) == ["099"]
    tables.write(*changes[:-1])
    assert len(range_keys(tables, pk)) == MAXIMUM_CHANGES


def test_a_check_may_stand_alone(tables: TablePort, pk: str) -> None:
    tables.write(Check(PLAIN, pk, "it", when=(Absent(),)))
    tables.write(Put(PLAIN, record(pk, "it")))
    with pytest.raises(Refused) as refused:
        tables.write(Check(PLAIN, pk, "it", when=(Absent(),)))
    assert (refused.value.change, refused.value.found) == (0, record(pk, "it"))


def test_the_same_transaction_twice_is_two_transactions(tables: TablePort, pk: str) -> None:
    for _ in range(2):
        tables.write(Update(PLAIN, pk, "it", add={"count": 1}), Update(DUE, pk, "it", add={"count": 1}))
    assert read(tables, PLAIN, pk, "it") == record(pk, "it", count=2)


# --- many at once ----------------------------------------------------------------------------------------------------


def test_no_conditional_increment_is_lost(faithful_tables: TablePort, pk: str) -> None:
    tables, each = faithful_tables, 8
    tables.write(Put(PLAIN, record(pk, "it", version=0)))

    def increments() -> None:
        version = 0
        for _ in range(each):
            # The refusal tells the version that won: no reading again.
            while refused := refusal(
                partial(tables.write, update(pk, set={"version": version + 1}, when=(Equals("version", version),)))
            ):
                assert refused.found
                assert int(refused.found["version"]) > version
                version = int(refused.found["version"])
            version += 1

    at_once([increments] * THREADS)
    assert read(tables, PLAIN, pk, "it") == record(pk, "it", version=THREADS * each)


def test_exactly_one_of_many_puts_where_nothing_stood_wins(faithful_tables: TablePort, pk: str) -> None:
    tables = faithful_tables
    puts = [Put(PLAIN, record(pk, "it", by=me), when=(Absent(),)) for me in range(4 * THREADS)]
    refusals = at_once([partial(refusal, partial(tables.write, put)) for put in puts])
    (winner,) = [put for put, refused in zip(puts, refusals, strict=True) if refused is None]
    assert read(tables, PLAIN, pk, "it") == winner.record
    assert all(refused.found == winner.record for refused in refusals if refused)


def test_exactly_one_of_many_transactions_over_two_records_wins(faithful_tables: TablePort, pk: str) -> None:
    tables = faithful_tables
    pairs = [[Put(PLAIN, record(pk, sk, by=me), when=(Absent(),)) for sk in ("a", "b")] for me in range(4 * THREADS)]
    # Half of them name the two records in the other order.
    orders = [pair if me % 2 else pair[::-1] for me, pair in enumerate(pairs)]
    refusals = at_once([partial(refusal, partial(tables.write, *order)) for order in orders])
    (winner,) = [pair for pair, refused in zip(pairs, refusals, strict=True) if refused is None]
    assert every(tables, PLAIN, pk) == [put.record for put in winner]


def test_transactions_on_one_counter_all_count(faithful_tables: TablePort, pk: str) -> None:
    tables, each = faithful_tables, 10
    tables.write(Put("ledgers", record(pk, "points", balance=0)))

    def rewards(me: int) -> list[Refused | None]:
        reward = Update("ledgers", pk, "points", add={"balance": 5}, when=(Present(),))
        rows = [Put(PLAIN, record(pk, f"{me}#{number}"), when=(Absent(),)) for number in range(each)]
        return [refusal(partial(tables.write, row, reward)) for row in rows]

    refusals = at_once([partial(rewards, me) for me in range(THREADS)])
    assert refusals == [[None] * each] * THREADS
    assert read(tables, "ledgers", pk, "points") == record(pk, "points", balance=5 * THREADS * each)
    assert len(range_keys(tables, pk)) == THREADS * each


def test_what_moves_between_two_records_is_never_lost_nor_doubled(faithful_tables: TablePort, pk: str) -> None:
    tables = faithful_tables
    names, each = ("left", "right"), 10
    tables.write(*(Put("ledgers", record(pk, name, balance=20)) for name in names))

    def moves(me: int) -> None:
        chance = Random(me)
        for _ in range(each):
            source, target = chance.sample(names, 2)
            amount = chance.randint(1, 15)
            taken = Update("ledgers", pk, source, add={"balance": -amount}, when=(AtLeast("balance", amount),))
            given = Update("ledgers", pk, target, add={"balance": amount})
            refused = refusal(partial(tables.write, taken, given))
            if refused:
                assert refused.change == 0
                assert refused.found
                assert int(refused.found["balance"]) < amount

    at_once([partial(moves, me) for me in range(THREADS)])
    balances = [int(found["balance"]) for found in every(tables, "ledgers", pk)]
    assert sum(balances) == 40
    assert min(balances) >= 0


def test_a_limited_number_is_given_out_exactly_that_often(faithful_tables: TablePort, pk: str) -> None:
    tables, limit = faithful_tables, 7
    tables.write(Put(PLAIN, record(pk, "it", uses=0)))
    use = partial(tables.write, update(pk, add={"uses": 1}, when=(LessThan("uses", limit),)))
    refusals = at_once([partial(refusal, use)] * 4 * THREADS)
    assert refusals.count(None) == limit
    assert read(tables, PLAIN, pk, "it") == record(pk, "it", uses=limit)


# --- what it costs ---------------------------------------------------------------------------------------------------
# By DynamoDB's published rules: a write unit for each started KB of the larger of the record before and after; an index
# entry that comes or goes costs its own KB on top, one that moves costs two; in a transaction each record counts twice,
# a checked one included, and index entries once. ministack reports the same for all these writes. What it reports for
# reads is not by the rules (half a unit or one, whatever the size, and nothing for a batch), so reads are compared with
# the rules alone, at the end.

KB = 1024


def sized(pk: str, sk: str, size: int, **attributes: str | int) -> Record:
    """A record of exactly so many bytes."""
    made = record(pk, sk, **attributes, document="")
    return {**made, "document": "x" * (size - record_bytes(made))}


IN_INDEX: Record = {"due_shard": "7", "due_key": "2026"}

COSTS: dict[str, tuple[Callable[[str], Record | None], Callable[[str], Sequence[Change]], str, float]] = {
    "a small put": (lambda pk: None, lambda pk: [Put(DUE, sized(pk, "it", 200))], "put", 1),
    "a put of a whole KB": (lambda pk: None, lambda pk: [Put(DUE, sized(pk, "it", KB))], "put", 1),
    "a put of a byte more": (lambda pk: None, lambda pk: [Put(DUE, sized(pk, "it", KB + 1))], "put", 2),
    "a put of 8 KB": (lambda pk: None, lambda pk: [Put(DUE, sized(pk, "it", 8 * KB))], "put", 8),
    "a small put over a large record": (
        lambda pk: sized(pk, "it", 3 * KB),
        lambda pk: [Put(DUE, record(pk, "it"))],
        "put",
        3,
    ),
    "a large put over a small record": (
        lambda pk: record(pk, "it"),
        lambda pk: [Put(DUE, sized(pk, "it", 3 * KB))],
        "put",
        3,
    ),
    "a put into the index": (lambda pk: None, lambda pk: [Put(DUE, record(pk, "it", **IN_INDEX))], "put", 2),
    "a large put into the index": (
        lambda pk: None,
        lambda pk: [Put(DUE, sized(pk, "it", 4 * KB, **IN_INDEX))],
        "put",
        5,
    ),
    "a put that leaves its index entry": (
        lambda pk: record(pk, "it", **IN_INDEX),
        lambda pk: [Put(DUE, record(pk, "it", **IN_INDEX, note="x"))],
        "put",
        1,
    ),
    "a put out of the index": (
        lambda pk: record(pk, "it", **IN_INDEX),
        lambda pk: [Put(DUE, record(pk, "it"))],
        "put",
        2,
    ),
    "an update outside the index": (
        lambda pk: record(pk, "it", **IN_INDEX),
        lambda pk: [Update(DUE, pk, "it", add={"version": 1})],
        "update",
        1,
    ),
    "an update of one of 8 KB": (
        lambda pk: sized(pk, "it", 8 * KB - 50),
        lambda pk: [Update(DUE, pk, "it", add={"version": 1})],
        "update",
        8,
    ),
    "an update that makes a record": (
        lambda pk: None,
        lambda pk: [Update(DUE, pk, "it", set={"version": 1})],
        "update",
        1,
    ),
    "an update into the index": (
        lambda pk: record(pk, "it"),
        lambda pk: [Update(DUE, pk, "it", set=IN_INDEX)],
        "update",
        2,
    ),
    "an update with half an index key": (
        lambda pk: record(pk, "it"),
        lambda pk: [Update(DUE, pk, "it", set={"due_shard": "7"})],
        "update",
        1,
    ),
    "an update that moves the index entry": (
        lambda pk: record(pk, "it", **IN_INDEX),
        lambda pk: [Update(DUE, pk, "it", set={"due_key": "2027"})],
        "update",
        3,
    ),
    "an update that sets the index key to what it is": (
        lambda pk: record(pk, "it", **IN_INDEX),
        lambda pk: [Update(DUE, pk, "it", set={"due_key": "2026"})],
        "update",
        1,
    ),
    "an update out of the index": (
        lambda pk: record(pk, "it", **IN_INDEX),
        lambda pk: [Update(DUE, pk, "it", remove=("due_key", "due_shard"))],
        "update",
        2,
    ),
    "a delete of nothing": (lambda pk: None, lambda pk: [Delete(DUE, pk, "it")], "delete", 1),
    "a delete of 3 KB": (lambda pk: sized(pk, "it", 3 * KB), lambda pk: [Delete(DUE, pk, "it")], "delete", 3),
    "a delete out of the index": (
        lambda pk: record(pk, "it", **IN_INDEX),
        lambda pk: [Delete(DUE, pk, "it")],
        "delete",
        2,
    ),
    "a transaction of two small puts": (
        lambda pk: None,
        lambda pk: [Put(DUE, record(pk, "it")), Put(PLAIN, record(pk, "it"))],
        "transaction",
        4,
    ),
    "a transaction with an index entry": (
        lambda pk: None,
        lambda pk: [Put(DUE, record(pk, "it", **IN_INDEX)), Put(PLAIN, record(pk, "it"))],
        "transaction",
        5,
    ),
    "a transaction that moves an index entry": (
        lambda pk: record(pk, "it", **IN_INDEX),
        lambda pk: [Update(DUE, pk, "it", set={"due_key": "2027"}), Put(PLAIN, record(pk, "it"))],
        "transaction",
        6,
    ),
    "a transaction that deletes 3 KB out of the index": (
        lambda pk: sized(pk, "it", 3 * KB, **IN_INDEX),
        lambda pk: [Delete(DUE, pk, "it"), Delete(PLAIN, pk, "never")],
        "transaction",
        9,
    ),
    "a transaction that checks 3 KB": (
        lambda pk: sized(pk, "it", 3 * KB),
        lambda pk: [Check(DUE, pk, "it", (Present(),)), Put(PLAIN, record(pk, "it"))],
        "transaction",
        8,
    ),
    "a transaction that checks that nothing is there": (
        lambda pk: None,
        lambda pk: [Check(DUE, pk, "it", (Absent(),)), Put(PLAIN, record(pk, "it"))],
        "transaction",
        4,
    ),
    "a check alone": (lambda pk: record(pk, "it"), lambda pk: [Check(DUE, pk, "it", (Present(),))], "transaction", 2),
}


@pytest.mark.parametrize("cost", COSTS.values(), ids=[name.replace(" ", "_") for name in COSTS])
def test_a_write_costs_what_dynamodb_bills(
    faithful_tables: TablePort,
    pk: str,
    cost: tuple[Callable[[str], Record | None], Callable[[str], Sequence[Change]], str, float],
) -> None:
    tables = faithful_tables
    before, changes, verb, units = cost
    stood = before(pk)
    if stood:
        tables.write(Put(DUE, stood))
    tables.meter.reset()
    tables.write(*changes(pk))
    assert tables.meter.calls == [Call(verb, tuple(change.table for change in changes(pk)), writes=units)]


@pytest.mark.parametrize(("size", "units"), [(0, 1), (200, 1), (3 * KB, 3)])
def test_a_refused_write_costs_the_record_that_stood_there(
    faithful_tables: TablePort, pk: str, size: int, units: float
) -> None:
    tables = faithful_tables
    if size:
        tables.write(Put(PLAIN, sized(pk, "it", size)))
    tables.meter.reset()
    with pytest.raises(Refused):
        tables.write(Put(PLAIN, sized(pk, "it", 8 * KB), when=NEVER))
    assert tables.meter.calls == [Call("put", (PLAIN,), writes=units)]


def test_a_refused_transaction_is_a_round_trip_of_unpublished_cost(faithful_tables: TablePort, pk: str) -> None:
    tables = faithful_tables
    tables.meter.reset()
    with pytest.raises(Refused):
        tables.write(Put(PLAIN, record(pk, "it"), when=NEVER), Put(DUE, record(pk, "it")))
    assert tables.meter.calls == [Call("transaction", (PLAIN, DUE), writes=0)]


def test_every_round_trip_is_counted_once(faithful_tables: TablePort, pk: str) -> None:
    tables = faithful_tables
    tables.write(*(Put(PLAIN, record(pk, sk)) for sk in "abc"))
    tables.meter.reset()
    tables.get(PLAIN, pk, "a")
    tables.get_many(PLAIN, [(pk, "a"), (pk, "b")])
    tables.get_many(PLAIN, [])
    tables.query(PLAIN, pk, at_least="b", less_than="a")
    list(pages(tables, PLAIN, pk, limit=2))
    assert [(call.verb, call.tables) for call in tables.meter.calls] == [
        ("get", (PLAIN,)),
        ("get_many", (PLAIN,)),
        ("query", (PLAIN,)),
        ("query", (PLAIN,)),
    ]
    assert not any(call.writes for call in tables.meter.calls)


# --- what only the DynamoDB adapter does -----------------------------------------------------------------------------


@dataclass
class Scripted:
    """An adapter with answers in the place of the network, one after the other; the last one again and again."""

    tables: DynamoTables
    pauses: list[float]
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: Any, **_: Any) -> AWSResponse:
        self.asked.append(json.loads(request.body))
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        raw = HTTPResponse(body=BytesIO(json.dumps(body).encode()), preload_content=False)
        return AWSResponse(request.url, status, {}, raw)


def scripted_adapter(attempts: int) -> Scripted:
    pauses: list[float] = []
    made = Scripted(DynamoTables("shop-", region="eu-west-1", attempts=attempts, pause=pauses.append), pauses)
    made.tables.connection.client.meta.events.register_first("before-send.dynamodb", made.answer)
    return made


@pytest.fixture(scope="module")
def scripted(nobodys_environment: None) -> Callable[..., Scripted]:
    # Making a botocore client takes longer than any test that uses it.
    adapters = cache(scripted_adapter)

    def made(*answers: tuple[int, dict[str, Any]], attempts: int = 1) -> Scripted:
        adapter = adapters(attempts)
        adapter.answers, adapter.asked = list(answers), []
        adapter.pauses.clear()
        adapter.tables.meter.reset()
        return adapter

    return made


def failed(code: str, **more: Any) -> tuple[int, dict[str, Any]]:
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no", **more}


def cancelled(*reasons: str | dict[str, Any]) -> tuple[int, dict[str, Any]]:
    told = [{"Code": reason} if isinstance(reason, str) else reason for reason in reasons]
    return failed("TransactionCanceledException", CancellationReasons=told)


TWO: tuple[Change, Change] = (Put(PLAIN, {"pk": "a", "sk": "b"}), Delete(DUE, "a", "b", when=(Present(),)))


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TransactionConflictException",
        "TransactionInProgressException",
    ],
)
def test_a_busy_dynamodb_is_contended(scripted: Callable[..., Scripted], code: str) -> None:
    tables = scripted(failed(code)).tables
    for ask in (
        lambda: tables.write(TWO[0]),
        lambda: tables.write(*TWO),
        lambda: tables.get(PLAIN, "a", "b"),
        lambda: tables.get_many(PLAIN, [("a", "b")]),
        lambda: tables.query(PLAIN, "a"),
    ):
        with pytest.raises(Contended):
            ask()
    assert tables.meter.calls == []


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_transaction_cancelled_by_others_is_contended(scripted: Callable[..., Scripted], reason: str) -> None:
    with pytest.raises(Contended):
        scripted(cancelled("None", reason)).tables.write(*TWO)


def test_a_refusal_beside_a_conflict_is_a_refusal(scripted: Callable[..., Scripted]) -> None:
    refusal = {"Code": "ConditionalCheckFailed", "Item": {"pk": {"S": "a"}, "sk": {"S": "b"}, "n": {"N": "5"}}}
    with pytest.raises(Refused) as refused:
        scripted(cancelled("TransactionConflict", refusal)).tables.write(*TWO)
    assert (refused.value.change, refused.value.found) == (1, {"pk": "a", "sk": "b", "n": 5})


def test_what_dynamodb_calls_invalid_is_a_value_error(scripted: Callable[..., Scripted]) -> None:
    reason = {"Code": "ValidationError", "Message": "Type mismatch"}
    with pytest.raises(ValueError, match="change 1: Type mismatch"):
        scripted(cancelled("None", reason)).tables.write(*TWO)
    with pytest.raises(ValueError, match="ValidationException"):
        scripted(failed("ValidationException")).tables.query(PLAIN, "a")


def test_what_the_port_has_no_word_for_goes_through(scripted: Callable[..., Scripted]) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        scripted(failed("AccessDeniedException")).tables.write(TWO[0])
    with pytest.raises(Exception, match="AccessDenied"):
        scripted(failed("AccessDeniedException")).tables.get(PLAIN, "a", "b")
    with pytest.raises(ClientError, match="TransactionCanceled"):
        scripted(cancelled("None", "DuplicateItem")).tables.write(*TWO)


@pytest.mark.parametrize("consistent", [False, True])
def test_a_read_is_consistent_where_that_is_asked_for(scripted: Callable[..., Scripted], consistent: bool) -> None:
    made = scripted((200, {"Items": []}))
    made.tables.get(PLAIN, "a", "b", consistent=consistent)
    made.tables.query(PLAIN, "a", consistent=consistent)
    made.tables.get_many(PLAIN, [("a", "b")], consistent=consistent)
    get, query, get_many = made.asked
    asked = [get, query, get_many["RequestItems"]["shop-customers"]]
    assert [one.get("ConsistentRead", False) for one in asked] == [consistent] * 3


def test_a_transaction_is_sent_in_the_order_of_its_changes(scripted: Callable[..., Scripted]) -> None:
    made = scripted((200, {}))
    made.tables.write(*four_changes("a"))
    (asked,) = made.asked
    assert [next(iter(part)) for part in asked["TransactItems"]] == ["Update", "Put", "Delete", "ConditionCheck"]
    assert asked["TransactItems"][0]["Update"]["TableName"] == "shop-auto_orders"


def test_every_transaction_has_a_token_of_its_own_and_keeps_it_when_sent_again(
    scripted: Callable[..., Scripted],
) -> None:
    made = scripted((500, {}), (200, {}), (200, {}), attempts=2)
    made.tables.write(*TWO)
    made.tables.write(*TWO)
    first, again, second = [asked["ClientRequestToken"] for asked in made.asked]
    assert first == again
    assert first != second


def test_attempts_are_bounded(scripted: Callable[..., Scripted]) -> None:
    made = scripted((500, {}), attempts=3)
    with pytest.raises((ClientError, BotoCoreError)):
        made.tables.write(TWO[0])
    assert len(made.asked) == 3


def test_waiting_for_dynamodb_is_bounded(scripted: Callable[..., Scripted]) -> None:
    settings = scripted((200, {}), attempts=3).tables.connection.client.meta.config
    assert (settings.connect_timeout, settings.read_timeout) == (1, 3)
    assert settings.retries == {"mode": "standard", "total_max_attempts": 3}


def raw(*names: str) -> list[dict[str, Any]]:
    return [{"pk": {"S": "a"}, "sk": {"S": name}} for name in names]


def test_get_many_asks_again_for_what_was_left_out(scripted: Callable[..., Scripted]) -> None:
    made = scripted(
        (
            200,
            {"Responses": {"shop-customers": raw("3")}, "UnprocessedKeys": {"shop-customers": {"Keys": raw("1", "2")}}},
        ),
        (200, {"Responses": {"shop-customers": []}, "UnprocessedKeys": {"shop-customers": {"Keys": raw("1", "2")}}}),
        (200, {"Responses": {"shop-customers": raw("2", "1")}, "UnprocessedKeys": {}}),
    )
    found = made.tables.get_many(PLAIN, [("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")], consistent=True)
    assert [one["sk"] for one in found] == ["1", "2", "3"]
    asked = [request["RequestItems"]["shop-customers"] for request in made.asked]
    assert [len(one["Keys"]) for one in asked] == [4, 2, 2]
    assert all(one["ConsistentRead"] for one in asked)
    assert [call.verb for call in made.tables.meter.calls] == ["get_many"] * 3
    assert len(made.pauses) == 2


def test_get_many_does_not_ask_for_ever(scripted: Callable[..., Scripted]) -> None:
    made = scripted((200, {"Responses": {}, "UnprocessedKeys": {"shop-customers": {"Keys": raw("1")}}}))
    with pytest.raises(Contended):
        made.tables.get_many(PLAIN, [("a", "1")])
    assert len(made.asked) == BATCH_ROUNDS
    assert all(0 <= pause < PATIENCE_SECONDS for pause in made.pauses)


def test_units_of_all_tables_of_a_transaction_add_up(scripted: Callable[..., Scripted]) -> None:
    consumed = [
        {"TableName": "shop-customers", "CapacityUnits": 2.0},
        {"TableName": "shop-auto_orders", "CapacityUnits": 3.0},
    ]
    made = scripted((200, {"ConsumedCapacity": consumed}))
    made.tables.write(*TWO)
    assert made.tables.meter.calls == [Call("transaction", (PLAIN, DUE), writes=5.0)]
    assert made.asked[0]["ReturnConsumedCapacity"] == "TOTAL"


def test_nothing_connects_before_the_first_call_and_boto3_is_never_imported() -> None:
    program = (
        "import sys\n"
        "import chalicelib.stores.port, chalicelib.stores.rules, chalicelib.stores.sqlite\n"
        "assert not {'pynamodb', 'botocore'} & set(sys.modules), 'only the adapter imports them'\n"
        "from chalicelib.stores.dynamodb import DynamoTables\n"
        # Without a region botocore makes no client: this one has made none.
        "DynamoTables('shop-')\n"
        "assert 'pynamodb' in sys.modules and 'pynamodb.models' not in sys.modules\n"
        "assert 'boto3' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={}, cwd=Path(__file__).parents[2], timeout=30)


def test_the_tables_are_made_from_their_description(ministack_tables: DynamoTables) -> None:
    ministack_tables.create_tables()
    client = ministack_tables.connection.client
    for table in TABLES:
        (name,) = [name for name in client.list_tables()["TableNames"] if name.endswith(f"-{table.name}")][:1]
        made = client.describe_table(TableName=name)["Table"]
        assert made["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        assert [key["AttributeName"] for key in made["KeySchema"]] == ["pk", "sk"]
        indexes = made.get("GlobalSecondaryIndexes", [])
        assert [index["IndexName"] for index in indexes] == [index.name for index in table.indexes]
        assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in indexes)
        swept = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert swept.get("AttributeName", "") == table.expires


def test_no_index_has_the_name_of_an_attribute() -> None:
    for table in TABLES:
        attributes = {"pk", "sk", *(name for index in table.indexes for name in (index.hash, index.range))}
        assert not attributes & {index.name for index in table.indexes}


# --- what only SQLite does -------------------------------------------------------------------------------------------


def test_a_file_keeps_what_was_written(tmp_path: Path) -> None:
    first = SqliteTables(tmp_path / "shop.db")
    first.write(Put(DUE, waiting("a", "it", "7", "2026", version=3)))
    first.close()
    second = SqliteTables(tmp_path / "shop.db")
    assert second.get(DUE, "a", "it") == waiting("a", "it", "7", "2026", version=3)
    assert due(second, "7") == [("2026", "it")]
    second.close()


def test_several_connections_to_one_file_lose_nothing(tmp_path: Path) -> None:
    doors = [SqliteTables(tmp_path / "shop.db") for _ in range(4)]
    both = (update("a", add={"count": 1}), Update(DUE, "a", "it", add={"count": 1}))
    at_once([partial(refusal, partial(door.write, *both)) for door in doors for _ in range(25)])
    assert doors[0].get(PLAIN, "a", "it") == doors[1].get(DUE, "a", "it") == record("a", "it", count=100)
    for door in doors:
        door.close()


def test_an_index_entry_shows_when_its_lag_is_over(tmp_path: Path) -> None:
    now = [100.0]
    tables = SqliteTables(index_lag=lambda: 5.0, now=lambda: now[0])
    tables.write(Put(DUE, waiting("a", "it", "7", "2026")))
    now[0] = 104.9
    assert due(tables, "7") == []
    now[0] = 105.0
    assert due(tables, "7") == [("2026", "it")]
    tables.close()


def test_index_entries_that_waited_when_a_file_was_closed_show_when_it_is_opened(tmp_path: Path) -> None:
    first = SqliteTables(tmp_path / "shop.db", index_lag=lambda: 3600.0)
    first.write(Put(DUE, waiting("a", "it", "7", "2026")))
    assert due(first, "7") == []
    first.close()
    second = SqliteTables(tmp_path / "shop.db")
    assert due(second, "7") == [("2026", "it")]
    second.close()


def test_reads_are_billed_by_the_rules(pk: str) -> None:
    tables = SqliteTables()
    tables.write(
        *(Put(PLAIN, sized(pk, f"{size}", size, due_shard=pk, due_key=f"{size}")) for size in (100, 4096, 4097)),
        *(Put(DUE, sized(pk, f"{size}", size, due_shard=pk, due_key=f"{size}")) for size in (100, 4096, 4097)),
    )
    reads: list[tuple[float, Callable[[], object]]] = [
        (0.5, lambda: tables.get(PLAIN, pk, "never")),
        (1, lambda: tables.get(PLAIN, pk, "never", consistent=True)),
        (0.5, lambda: tables.get(PLAIN, pk, "4096")),
        (1, lambda: tables.get(PLAIN, pk, "4096", consistent=True)),
        (1, lambda: tables.get(PLAIN, pk, "4097")),
        (2, lambda: tables.get(PLAIN, pk, "4097", consistent=True)),
        # Of many each is rounded up; of a query all together.
        (2, lambda: tables.get_many(PLAIN, [(pk, "100"), (pk, "4097"), (pk, "never")])),
        (1.5, lambda: tables.query(PLAIN, pk)),
        (3, lambda: tables.query(PLAIN, pk, consistent=True)),
        (0.5, lambda: tables.query(PLAIN, pk, prefix="x")),
        (0.5, lambda: tables.query(DUE, pk, index=BY_DUE.name)),
    ]
    for units, ask in reads:
        tables.meter.reset()
        ask()
        assert [(call.reads, call.writes) for call in tables.meter.calls] == [(units, 0)]
    tables.close()


def test_what_has_expired_is_swept_out_of_the_embedded_tables_with_its_index_entry_and_nothing_else_is() -> None:
    tables = SqliteTables()
    for name, expires in (("gone", {"expires": 999}), ("stays", {"expires": 1001}), ("for_ever", {})):
        due: Record = {"due_shard": "00", "due_key": f"2027-01-31T05:00:00Z#DEMO#{name}"}
        tables.write(Put("deliveries", {PK: name, SK: "delivery"} | due | expires))
    # No broom goes here: it is a number like any other.
    tables.write(Put("orders", {PK: "order", SK: "document", "expires": 1}))
    assert tables.sweep(1000) == 1
    assert [record[PK] for record in tables.query("deliveries", "00", index="by_due").records] == ["for_ever", "stays"]
    assert tables.get("deliveries", "gone", "delivery") is None
    assert tables.get("orders", "order", "document") is not None
    assert tables.sweep(1000) == 0
