"""How often an item may rebill, and the arithmetic of months: counted from the anchor, so nothing drifts."""

from calendar import monthrange
from datetime import date
from functools import lru_cache
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


@lru_cache(maxsize=4096)
def add_months(day: date, months: int, day_of_month: int | None = None) -> date:
    """The same day of the month, or the month's last day where it is shorter (31 Jan + 1 month = 28 Feb).

    ``day_of_month`` is the day that is wanted where ``day`` itself was cut (28 Feb of a 31st + 1 month = 31 Mar).
    """
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day_of_month or day.day, _length(year, month)))


@lru_cache(maxsize=1024)
def _length(year: int, month: int) -> int:
    return monthrange(year, month)[1]


def day_of_month_from(earliest: date, day_of_month: int) -> date:
    """The first such day of a month on or after ``earliest``; in a shorter month its last day (31 ends any)."""
    found = add_months(earliest, 0, day_of_month)
    return found if found >= earliest else add_months(earliest, 1, day_of_month)
