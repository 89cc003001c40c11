"""What a million rebills cost at list prices: units counted through the whole pipeline, times prices, plus what a
function waits for, which is assumed and says so.

Counted are the sweep, the rebill, the relay, one receipt, one webhook delivery, and the look a week before the next
one, for auto orders of three lines, in processes that are warm; and, apart, the mail with a link to cancel, which a
shop may leave out. Not counted: the mail provider, the payment gateway, logs and storage.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec

from chalicelib.domain.mails import SentMail, read_waiting_name
from chalicelib.domain.webhooks import Answer
from chalicelib.flows.deliver import deliver
from chalicelib.flows.notify import send_mail
from chalicelib.flows.rebill import rebill
from chalicelib.flows.sweep import events_due, sweep, sweep_deliveries
from chalicelib.flows.tell import tell
from chalicelib.wiring import random_oids
from infra.generate import WORKER_MEGABYTES
from tests.bench.counting import LINES, listen, sell_roasts, send_receipts
from tests.worlds import World

MILLION = 1_000_000
# What the design counts on for a million rebills: the sweep, the rebill and the telling of everybody.
DESIGNED_DOLLARS = 30.0
DESIGNED_STAGES = 3
REBILLS = 100

# List prices in us-east-1, dollars.
WRITE_UNIT = 0.625 / MILLION
READ_UNIT = 0.125 / MILLION
QUEUE_REQUEST = 0.40 / MILLION
INVOCATION = 0.20 / MILLION
GIGABYTE_SECOND = 0.0000133334  # arm64

# What a function waits for, in seconds. Assumed, on the long side: nothing here runs on AWS.
ROUND_TRIP_SECONDS = 0.006
GATEWAY_SECONDS = 0.6
RECEIVER_SECONDS = 0.2
MAIL_SECONDS = 0.1


class Stage(msgspec.Struct, kw_only=True, frozen=True):
    """One part of the pipeline, for one rebill. ``queue``: requests to SQS, a send of ten messages being one, a
    receive and a delete of each; ``waits``: seconds for the world outside."""

    name: str
    writes: float
    reads: float
    round_trips: float
    queue: float
    invocations: float = 0.0
    waits: float = 0.0

    def gigabyte_seconds(self) -> float:
        return WORKER_MEGABYTES / 1024 * (self.round_trips * ROUND_TRIP_SECONDS + self.waits)

    def database_dollars(self) -> float:
        """For a million."""
        return MILLION * (self.writes * WRITE_UNIT + self.reads * READ_UNIT)

    def dollars(self) -> float:
        """For a million, everything."""
        functions = self.invocations * INVOCATION + self.gigabyte_seconds() * GIGABYTE_SECOND
        return self.database_dollars() + MILLION * (self.queue * QUEUE_REQUEST + functions)


class Receiver:
    """Takes everything."""

    def post(self, url: str, body: bytes, headers: object) -> Answer:
        return Answer(status=200)

    def signed(self, message_id: str, body: str, secrets: object) -> dict[str, str]:
        return {}


def stages(mails: int = 1) -> list[Stage]:
    """A hundred auto orders that come due at once, from the sweep to the last delivery, divided by a hundred.
    ``mails`` of each: its receipt alone, or 2 with the link to cancel."""
    world = World().open(suppress_easy_cancel_emails=mails == 1)
    sell_roasts(world)
    send_receipts(world)
    world.house.oids, world.house.http = random_oids, Receiver()
    listen(world)
    for _ in range(REBILLS):
        world.subscribe(LINES)
    _told(world)
    due = world.next_due()
    assert due is not None
    world.clock.go(due)
    return list(_stages(world, mails))


def _stages(world: World, number_of_mails: int) -> Iterator[Stage]:
    shop, count = world.shop, partial(_counted, world)
    shop.configuration.price_list([], [])
    yield count("sweep: due auto orders to the queue", lambda: sweep(world.backroom))
    rebills = [int(message["id"]) for _, message in world.queue.take()]
    assert len(rebills) == REBILLS
    yield count(
        "rebill: read, claim, charge, settle",
        lambda: [rebill(shop, oid) for oid in rebills],
        received=REBILLS,
        waits=GATEWAY_SECONDS,
    )
    yield count("relay: list rows, day totals, receipt, delivery", lambda: _relay(world))
    subjects = [message["subject"] for _, message in world.queue.take()]
    mails = [mail for mail in map(read_waiting_name, subjects) if mail]
    posts = [subject.split("/") for subject in subjects if not read_waiting_name(subject)]
    assert (len(mails), len(posts)) == (number_of_mails * REBILLS, REBILLS)
    yield count(
        "receipt: composed and handed over",
        lambda: [send_mail(shop, *mail) for mail in mails],
        received=len(mails),
        waits=MAIL_SECONDS,
    )
    yield count(
        "webhook: posted and marked",
        lambda: [deliver(shop, int(oid), event_id) for oid, event_id in posts],
        received=len(posts),
        waits=RECEIVER_SECONDS,
    )
    sent = [mail for oid in rebills for mail in _mails_of(world, oid) if mail.state == "sent"]
    assert len(sent) == number_of_mails * REBILLS
    look = world.head(rebills[0]).due_dts
    assert look is not None
    world.clock.go(look)
    yield count("a week ahead: whether prices have risen", lambda: _look(world), received=REBILLS)


def _look(world: World) -> None:
    sweep(world.backroom)
    for _, message in world.queue.take():
        assert not rebill(world.shop, int(message["id"])).attempted


def _mails_of(world: World, oid: int) -> list[SentMail]:
    return [mail for order in world.rebills(oid) for mail in world.shop.mails.of(f"order#{order.order_id}")]


def _relay(world: World) -> None:
    events_due(world.backroom, lambda merchant_id, event_id: tell(world.shop, event_id) and None)
    sweep_deliveries(world.backroom)


def _told(world: World) -> None:
    """All that placing the orders left to tell, mails and deliveries too."""
    _relay(world)
    for _, message in world.queue.take():
        if mail := read_waiting_name(message["subject"]):
            send_mail(world.shop, *mail)
        else:
            oid, _, event_id = message["subject"].partition("/")
            deliver(world.shop, int(oid), event_id)


def _counted(world: World, name: str, act: Callable[[], object], *, received: int = 0, waits: float = 0.0) -> Stage:
    world.tables.meter.reset()
    sends = world.queue.sends
    act()
    calls = world.tables.meter.calls
    return Stage(
        name=name,
        writes=sum(call.writes for call in calls) / REBILLS,
        reads=sum(call.reads for call in calls) / REBILLS,
        round_trips=len(calls) / REBILLS,
        queue=(world.queue.sends - sends + 2 * received) / REBILLS,
        invocations=received / REBILLS,
        waits=waits * received / REBILLS,
    )


def total(parts: Sequence[Stage]) -> float:
    """Dollars for a million rebills."""
    return sum(part.dollars() for part in parts)


def designed(parts: Sequence[Stage]) -> Sequence[Stage]:
    """Those of them that the design's figure is for."""
    return parts[:DESIGNED_STAGES]
