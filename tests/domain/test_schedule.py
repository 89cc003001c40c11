"""Dates of a schedule: counted from the anchor, so nothing drifts, whatever the months' lengths and the clocks do."""

from calendar import isleap, monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice, pairwise
from typing import Any, get_args
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.auto_orders import AutoOrderItem, occurrences
from chalicelib.domain.dates import local_date, local_time, midnight
from chalicelib.domain.heads import ItemProgress
from chalicelib.domain.schedule import (
    ARBITRARY,
    DAYS,
    LAST_YEAR,
    MONTHS,
    Frequency,
    add_months,
    day_of_month_from,
)

FREQUENCIES: tuple[str, ...] = get_args(Frequency)
ANCHORS = st.dates(date(2020, 1, 1), date(2060, 12, 31))
# Schedules are followed to the year 2200: 130 years from the last anchor.
TIMES = st.integers(1, 130)


def occurrence_dates(anchor: date, frequency: Any, days: int | None, billed: int = 0) -> Iterator[date]:
    """The dates of an item of that anchor and frequency, after so many that are done with."""
    entry = AutoOrderItem(frequency=frequency, arbitrary_schedule_days=days, original_item_id="TEA")
    return (one.day for one in occurrences(entry, ItemProgress(anchor=anchor, billed=billed), None, "UTC"))


def occurrence_date(anchor: date, frequency: str, days: int | None, times: int) -> date:
    return next(occurrence_dates(anchor, frequency, days, times - 1))


def test_every_frequency_of_the_contract_has_a_pace() -> None:
    assert len(FREQUENCIES) == 17
    assert set(FREQUENCIES) == {*DAYS, *MONTHS, ARBITRARY}
    assert not set(DAYS) & set(MONTHS)


@pytest.mark.parametrize(
    ("anchor", "frequency", "expected"),
    [
        ("2027-01-31", "Monthly", ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
        ("2027-01-30", "Monthly", ["2027-02-28", "2027-03-30", "2027-04-30", "2027-05-30"]),
        ("2027-01-29", "Monthly", ["2027-02-28", "2027-03-29", "2027-04-29", "2027-05-29"]),
        ("2027-12-31", "Monthly", ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]),
        ("2028-02-29", "Monthly", ["2028-03-29", "2028-04-29", "2028-05-29", "2028-06-29"]),
        ("2028-02-29", "Yearly", ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        ("2027-08-31", "Every 6 Months", ["2028-02-29", "2028-08-31", "2029-02-28", "2029-08-31"]),
        ("2027-11-30", "Every 3 Months", ["2028-02-29", "2028-05-30", "2028-08-30", "2028-11-30"]),
        ("2027-02-28", "Every 2 Months", ["2027-04-28", "2027-06-28", "2027-08-28", "2027-10-28"]),
        ("2027-03-07", "Weekly", ["2027-03-14", "2027-03-21", "2027-03-28", "2027-04-04"]),
        ("2028-02-22", "Weekly", ["2028-02-29", "2028-03-07", "2028-03-14", "2028-03-21"]),
        ("2027-12-30", "Every 10 Days", ["2028-01-09", "2028-01-19", "2028-01-29", "2028-02-08"]),
        ("2027-01-01", "Every 45 Days", ["2027-02-15", "2027-04-01", "2027-05-16", "2027-06-30"]),
    ],
)
def test_dates_stay_on_the_anchors_day_and_fall_on_the_last_of_shorter_months(
    anchor: str, frequency: str, expected: list[str]
) -> None:
    found = islice(occurrence_dates(date.fromisoformat(anchor), frequency, None), len(expected))
    assert [day.isoformat() for day in found] == expected


@given(ANCHORS, st.sampled_from(sorted(MONTHS)), TIMES)
def test_months_keep_the_day_of_the_anchor_however_many_have_passed(anchor: date, frequency: str, times: int) -> None:
    day = occurrence_date(anchor, frequency, None, times)
    months = (day.year - anchor.year) * 12 + day.month - anchor.month
    assert months == MONTHS[frequency] * times
    assert day.day == min(anchor.day, monthrange(day.year, day.month)[1])


@given(ANCHORS, st.sampled_from([*sorted(DAYS), ARBITRARY]), st.integers(1, 365), TIMES)
def test_days_are_counted_out_exactly(anchor: date, frequency: str, every: int, times: int) -> None:
    period = every if frequency == ARBITRARY else DAYS[frequency]
    assert occurrence_date(anchor, frequency, every, times) - anchor == timedelta(days=period * times)


@given(ANCHORS, st.sampled_from(FREQUENCIES), st.integers(1, 3650))
def test_dates_only_go_forward_and_none_comes_twice(anchor: date, frequency: str, every: int) -> None:
    days = list(islice(occurrence_dates(anchor, frequency, every), 60))
    assert all(earlier < later for earlier, later in pairwise([anchor, *days]))
    assert days[0] == occurrence_date(anchor, frequency, every, 1)


@given(ANCHORS, st.integers(0, 2000), st.integers(0, 2000))
def test_months_in_two_steps_pass_the_same_months(anchor: date, first: int, second: int) -> None:
    whole, halves = add_months(anchor, first + second), add_months(add_months(anchor, first), second)
    assert (whole.year, whole.month) == (halves.year, halves.month)
    assert halves <= whole


@given(st.integers(2020, 2100), st.integers(1, 80))
def test_a_leap_day_comes_back_in_every_leap_year(year: int, times: int) -> None:
    if isleap(year):
        day = occurrence_date(date(year, 2, 29), "Yearly", None, times)
        assert (day.month, day.day) == (2, 29 if isleap(day.year) else 28)


def test_a_day_that_a_short_month_has_cut_comes_back_in_the_longer_ones() -> None:
    cut = date(2027, 2, 28)
    assert [add_months(cut, months, 31) for months in range(3)] == [cut, date(2027, 3, 31), date(2027, 4, 30)]
    assert add_months(cut, 1) == date(2027, 3, 28)


@pytest.mark.parametrize(
    ("earliest", "wanted", "found"),
    [
        ("2027-01-14", 15, "2027-01-15"),
        ("2027-01-15", 15, "2027-01-15"),
        ("2027-01-16", 15, "2027-02-15"),
        ("2027-02-01", 31, "2027-02-28"),
        ("2027-02-28", 31, "2027-02-28"),
        ("2027-03-01", 31, "2027-03-31"),
        ("2027-12-31", 30, "2028-01-30"),
        ("2028-02-01", 30, "2028-02-29"),
    ],
)
def test_the_next_such_day_is_the_last_of_a_month_that_is_too_short(earliest: str, wanted: int, found: str) -> None:
    assert day_of_month_from(date.fromisoformat(earliest), wanted) == date.fromisoformat(found)


@given(ANCHORS, st.integers(1, 31))
def test_the_next_such_day_is_at_most_a_month_away(earliest: date, wanted: int) -> None:
    found = day_of_month_from(earliest, wanted)
    assert timedelta() <= found - earliest <= timedelta(days=31)
    assert found.day == min(wanted, monthrange(found.year, found.month)[1])


def test_a_schedule_is_followed_to_the_last_year_and_no_further() -> None:
    days = list(occurrence_dates(date(2190, 5, 31), "Yearly", None))
    assert days[-1] == date(LAST_YEAR, 5, 31)
    assert list(occurrence_dates(date(LAST_YEAR, 12, 31), "Weekly", None)) == []


ZONES = sorted(available_timezones())


@settings(deadline=None)
@given(st.sampled_from(ZONES), st.dates(date(2024, 1, 1), date(2037, 12, 31)))
def test_every_day_of_every_zone_begins_once_and_on_that_day(zone_name: str, day: date) -> None:
    """Where the clocks are set forward at midnight, the day begins at one o'clock."""
    begins = midnight(day, zone_name)
    assert local_date(begins, zone_name) == day
    assert local_date(begins - timedelta(hours=2), zone_name) == day - timedelta(days=1)
    assert local_time(begins, zone_name).hour <= 1
    assert begins < midnight(day + timedelta(days=1), zone_name)
