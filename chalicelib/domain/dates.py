"""Instants and the merchant's days. Kept in UTC to the second, shown with the merchant's offset."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

# Years of four digits that stay so in every zone: the calendar ends a day after the last.
FIRST_YEAR, LAST_YEAR = 1000, 9998
# Of an instant's text, what comes before its offset.
WHOLE_SECONDS = len("2027-01-31T05:00:00")


class Instant(datetime):
    """A moment in UTC, whole seconds. Its text sorts as it passes: ``2027-01-31T05:00:00Z``."""

    def __str__(self) -> str:
        return _text_of(self)


@lru_cache(maxsize=4096)
def _text_of(moment: Instant) -> str:
    return moment.isoformat()[:WHOLE_SECONDS] + "Z"


# Before everything: what a clock says that nobody has set.
BEGINNING = Instant(1, 1, 1, tzinfo=UTC)


def instant(moment: datetime) -> Instant:
    """The moment in UTC, cut to the second. A naive datetime is refused: nobody knows which zone it meant."""
    if moment.tzinfo is None:
        raise ValueError("needs an offset from UTC, as in 2027-01-31T00:00:00-05:00")
    if type(moment) is Instant and moment.tzinfo is UTC and not moment.microsecond:
        return moment
    utc = moment.astimezone(UTC)
    return Instant(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, tzinfo=UTC)


@lru_cache(maxsize=4096)
def parse_instant(text: str) -> Instant:
    """Read ISO 8601 with an offset; fractions of a second are cut.

    Raises ValueError with a sentence for the caller.
    """
    try:
        moment = Instant.fromisoformat(text)
    except ValueError:
        raise ValueError("must be ISO 8601 with an offset, as in 2027-01-31T00:00:00-05:00") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}")
    return instant(moment)


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=4096)
def local_date(moment: datetime, zone_name: str) -> date:
    return moment.astimezone(zone(zone_name)).date()


def local_time(moment: datetime, zone_name: str) -> time:
    return moment.astimezone(zone(zone_name)).time()


def at(day: date, hour: time, zone_name: str) -> Instant:
    """That wall-clock time on that day. Where a clock change skips it, the first moment after the gap."""
    return instant(datetime.combine(day, hour, tzinfo=zone(zone_name)))


@lru_cache(maxsize=4096)
def midnight(day: date, zone_name: str) -> Instant:
    return at(day, time(0), zone_name)


def shown(moment: datetime, zone_name: str) -> str:
    """As the wire shows it: ``2027-01-31T00:00:00-05:00``."""
    return moment.astimezone(zone(zone_name)).isoformat(timespec="seconds")


def later(moment: Instant, **span: int) -> Instant:
    return instant(moment + timedelta(**span))
