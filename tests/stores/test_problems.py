"""A day's problems as they are kept: each once, under its day, nobody else's among them."""

from collections.abc import Iterator
from datetime import date

import pytest

from chalicelib.domain.dates import later, parse_instant
from chalicelib.domain.problems import ShopProblem
from chalicelib.stores.problems import KEEP_DAYS, Problems
from chalicelib.stores.sqlite import SqliteTables

NOW = parse_instant("2027-01-31T05:00:00Z")
DAY, OTHER_DAY = date(2027, 1, 31), date(2027, 2, 1)


@pytest.fixture
def port() -> Iterator[SqliteTables]:
    opened = SqliteTables()
    yield opened
    opened.close()


def problem(number: int) -> ShopProblem:
    return ShopProblem(dts=NOW, about=f"auto_order#{number}", code="disabled", message="Insufficient funds")


def test_the_same_problem_noted_twice_is_one(port: SqliteTables) -> None:
    problems = Problems(port, "DEMO")
    for _ in range(2):
        port.write(problems.noted(DAY, "evt_1#0", problem(1)))
    port.write(problems.noted(DAY, "evt_1#1", problem(2)))
    assert sorted(one.about for one in problems.of(DAY, 10)) == ["auto_order#1", "auto_order#2"]


def test_a_day_has_its_own_and_so_has_a_merchant(port: SqliteTables) -> None:
    mine, theirs = Problems(port, "DEMO"), Problems(port, "OTHER")
    port.write(mine.noted(DAY, "evt_1", problem(1)))
    port.write(mine.noted(OTHER_DAY, "evt_2", problem(2)))
    port.write(theirs.noted(DAY, "evt_3", problem(3)))
    assert [one.about for one in mine.of(DAY, 10)] == ["auto_order#1"]
    assert [one.about for one in theirs.of(DAY, 10)] == ["auto_order#3"]
    assert theirs.of(OTHER_DAY, 10) == []


def test_of_a_bad_night_no_more_are_read_than_were_asked_for(port: SqliteTables) -> None:
    problems = Problems(port, "DEMO")
    for number in range(130):
        port.write(problems.noted(DAY, f"evt_{number}", problem(number)))
    assert len(problems.of(DAY, 100)) == 100
    assert len(problems.of(DAY, 1000)) == 130


def test_problems_go_when_the_quarter_is_over(port: SqliteTables) -> None:
    problems = Problems(port, "DEMO")
    port.write(problems.noted(DAY, "evt_1", problem(1)))
    assert port.sweep(later(NOW, days=KEEP_DAYS).timestamp()) == 0
    assert port.sweep(later(NOW, days=KEEP_DAYS, seconds=1).timestamp()) == 1
