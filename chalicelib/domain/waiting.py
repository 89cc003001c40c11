"""What waits: rows of a due index, and how the queues and the outbox stand."""

import msgspec

from chalicelib.domain.dates import Instant
from chalicelib.domain.fields import Oid
from chalicelib.domain.wire import Noun

# What is due and was not looked at for so long is late. The sweep comes every five minutes and takes away what it finds
# (it then waits in its queue), so nothing stands so long but where no sweep runs.
LATE_AFTER_SECONDS = 900
# Late rows that are counted in one shard; more are more than anybody counts.
MOST_COUNTED = 500


class DueRow(msgspec.Struct, kw_only=True, frozen=True):
    """``due_key`` is the index entry as it was seen: a push is refused where it has moved since."""

    table: str
    pk: str
    sk: str
    due_key: str
    due: Instant
    merchant_id: str
    subject: str


class QueueState(Noun):
    """One queue of the whole installation, in numbers. ``late``: its oldest message waits longer than
    ``late_after_seconds``. An age that is not there is not known, or nothing is in the queue; ``ages_dts``: of when
    the ages are, where that is not now."""

    name: str
    waiting: int
    in_flight: int
    delayed: int
    dead_letters: int
    late_after_seconds: int
    late: bool = False
    oldest_seconds: int | None = None
    oldest_dead_letter_seconds: int | None = None
    ages_dts: Instant | None = None


class LateWork(Noun):
    """What of this shop is due and was not looked at in time. ``at_least``: there may be more. ``since_dts``: of the
    oldest."""

    count: int
    at_least: bool
    since_dts: Instant | None = None


class DeadDeliveries(Noun):
    """A webhook of this shop with deliveries that are not tried any more. ``at_least``: there may be more."""

    webhook_oid: Oid
    webhook_url: str
    count: int
    at_least: bool


class QueuesReport(Noun):
    """``late_auto_orders``: a billing, a retry or a notice of theirs was due, and nobody has looked.
    ``late_events``: happened, and nobody was told; those that failed just now have no ``since_dts``.
    ``dead_deliveries`` is there for whoever may read webhooks."""

    now_dts: Instant
    late_after_seconds: int
    queues: list[QueueState]
    late_auto_orders: LateWork
    late_events: LateWork
    dead_deliveries: list[DeadDeliveries] | None = None
