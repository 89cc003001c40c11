"""When an item rebills: date = f(anchor, occurrence). Counted from the anchor, so nothing drifts."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Literal

Frequency = Literal[
    "Weekly",
    "Biweekly",
    "Every...",
    "Every 10 Days",
    "Every 24 Days",
    "Every 28 Days",
    "Monthly",
    "Every 45 Days",
    "Every 2 Months",
    "Every 3 Months",
    "Every 4 Months",
    "Every 5 Months",
    "Every 6 Months",
    "Yearly",
    "Every 4 Weeks",
    "Every 6 Weeks",
    "Every 8 Weeks",
]
ARBITRARY = "Every..."
DAYS = {
    "Weekly": 7,
    "Biweekly": 14,
    "Every 10 Days": 10,
    "Every 24 Days": 24,
    "Every 28 Days": 28,
    "Every 45 Days": 45,
    "Every 4 Weeks": 28,
    "Every 6 Weeks": 42,
    "Every 8 Weeks": 56,
}
MONTHS = {
    "Monthly": 1,
    "Every 2 Months": 2,
    "Every 3 Months": 3,
    "Every 4 Months": 4,
    "Every 5 Months": 5,
    "Every 6 Months": 6,
    "Yearly": 12,
}
# Schedules are followed to here and no further: past it a date is a typing error, and date arithmetic overflows.
LAST_YEAR = 2200


def add_months(day: date, months: int) -> date:
    """The same day of the month, or the month's last day where it is shorter (31 Jan + 1 month = 28 Feb)."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def occurrence_date(anchor: date, frequency: str, days: int | None, times: int) -> date:
    """The date ``times`` periods after the anchor. 31 Jan monthly gives 28 Feb, 31 Mar, 30 Apr: the day is kept.

    ``days`` is the length of the period where the frequency is ``Every...``.
    """
    if frequency in MONTHS:
        return add_months(anchor, MONTHS[frequency] * times)
    period = (days or 0) if frequency == ARBITRARY else DAYS[frequency]
    if period < 1:
        raise ValueError("'Every...' needs arbitrary_schedule_days of at least 1")
    return anchor + timedelta(days=period * times)


def occurrence_dates(anchor: date, frequency: str, days: int | None) -> Iterator[date]:
    """All dates after the anchor, in order, until LAST_YEAR."""
    times = 1
    while (day := occurrence_date(anchor, frequency, days, times)).year <= LAST_YEAR:
        yield day
        times += 1
