"""The shop's activity: who has done what, newest first, read from the audit."""

import msgspec

from chalicelib.domain.audit import ACTIVITY_DAYS, ActivityEntry, shown_entry
from chalicelib.domain.dates import Instant, later
from chalicelib.flows.ports import Shop

# Entries of one read, and those that one answer looks through for what is asked for: a megabyte.
PAGE = 200
MOST_WALKED = 2000


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; all that is None is left open. ``actor``: the login, or ``key`` and the key's name."""

    actor: str | None = None
    noun: str | None = None
    key: str | None = None

    def holds(self, entry: ActivityEntry) -> bool:
        return self.actor in (None, entry.actor) and self.noun in (None, entry.noun) and self.key in (None, entry.key)


def activity(
    shop: Shop, wanted: Wanted, place: str, since: Instant | None, now: Instant, limit: int
) -> tuple[list[ActivityEntry], str | None]:
    """What was done before that place, and where to go on: None where there is no more. A page may be short, or empty,
    and still have a place to go on from."""
    found: list[ActivityEntry] = []
    kept_since, walked = later(now, days=-ACTIVITY_DAYS), 0
    first = kept_since if since is None else max(since, kept_since)
    everything = wanted == Wanted()
    while walked < MOST_WALKED:
        most = limit - len(found) if everything else PAGE
        entries = shop.audit.before(place, first, most)
        for at, kept in entries:
            place = at
            if wanted.holds(entry := shown_entry(kept)):
                found.append(entry)
                if len(found) == limit:
                    return found, place
        if len(entries) < most:
            return found, None
        walked += len(entries)
    return found, place
