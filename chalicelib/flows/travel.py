"""The test clock: one merchant's time goes through every due moment in order, and what was billed on the way is told.

What happened is read by key, never searched for: every auto order that comes due is noted with its head before it is
worked on, and each run between that head and the one after it either made its order, whose id is known, or none.
Declines are the difference of the day totals, which the outbox adds to.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.dates import BEGINNING, Instant, instant, later, local_date, parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.heads import Head
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import ZERO, quantise, total_of
from chalicelib.domain.orders import Order
from chalicelib.domain.rebills import next_billing, rebill_order_id
from chalicelib.domain.waiting import DueRow
from chalicelib.domain.wire import Noun
from chalicelib.flows.explain import Line, digest, rehearsed
from chalicelib.flows.facts import read_facts
from chalicelib.flows.ports import Shop, Travel

# A year and a month at once: yearly schedules come round, and the answer still comes within minutes.
MOST_DAYS = 400
# A record that comes due more often than this within one travelled day gets nowhere (what always fails comes back after
# every lease, 240 times a day): it is noted and passed by. What gets somewhere comes a dozen times at the most.
MOST_VISITS_A_DAY = 24
# Moments of one journey: a shop in which something is due every six minutes for all of its days.
MOST_MOMENTS = 100_000
# Rows of a due index that are read at once, and orders that the answer lists; it counts all of them.
PAGE = 100
# Rows that are read to find the one that comes due next: it is the first, unless it is another merchant's or stuck.
FIRST_FEW = 5
MOST_LISTED = 5_000
NEXT_RUN = "next_run"
AUTO_ORDERS = "auto_orders"


class Advance(Noun):
    """How far: one of the two. ``advance_to`` is an instant, or ``next_run``: when an auto order comes due next."""

    advance_days: Annotated[int, Meta(ge=1, le=MOST_DAYS, description="So many days from now.")] | None = None
    advance_to: Annotated[str, Meta(max_length=40, description="An instant (ISO 8601), or next_run.")] | None = None


class Stuck(msgspec.Struct, kw_only=True, frozen=True):
    """A record that was passed by: it came due again and again and got nowhere."""

    table: str
    subject: str
    since: Instant


def advance(shop: Shop, raw: Any) -> dict[str, Any]:
    """Move the merchant's clock, do everything that comes due on the way, and tell what was billed, beside what a
    rehearsal at the start said would be.

    Raises Invalid where the shop has no test clock or the request is none, Contended where somebody travels already.
    """
    travel = shop.travel
    if travel is None:
        raise Invalid.one("", "not_in_test_mode", "only a shop in test mode, on the embedded engine, has a test clock")
    wanted = wire.noun(raw, Advance)
    _check(wanted, shop.clock.now())
    with travel.alone():
        travel.run_due()  # what waits already is no part of the journey
        start = shop.clock.now()
        until = _until(shop, travel, wanted, start)
        merchant = shop.configuration.section(Merchant).noun
        rehearsal = rehearsed(shop, travel.backroom(), until)
        declines = -_declines(shop, merchant, start, until)
        journey = Journey(shop, travel, start)
        journey.go(until)
        declines += _declines(shop, merchant, start, until)
    return _told(shop, merchant, journey, until, declines, rehearsal)


# --- how far ----------------------------------------------------------------------------------------------------------


def _check(wanted: Advance, now: Instant) -> None:
    if (wanted.advance_days is None) == (wanted.advance_to is None):
        raise Invalid.one("", "conflict", "send one of advance_days and advance_to")
    if wanted.advance_to is None or wanted.advance_to == NEXT_RUN:
        return
    try:
        moment = parse_instant(wanted.advance_to)
    except ValueError as error:
        raise Invalid.one("/advance_to", "invalid", f"{error}; or {NEXT_RUN}") from None
    if moment <= now:
        raise Invalid.one("/advance_to", "past_date", f"must be later than the shop's now, {now}")
    if moment > now + timedelta(days=MOST_DAYS):
        raise Invalid.one("/advance_to", "out_of_range", f"may be {MOST_DAYS} days from now at most; go in two steps")


def _until(shop: Shop, travel: Travel, wanted: Advance, start: Instant) -> Instant:
    if wanted.advance_days is not None:
        return later(start, days=wanted.advance_days)
    if wanted.advance_to != NEXT_RUN:
        # What was due already may have taken its time.
        return max(parse_instant(wanted.advance_to or ""), start)
    billed = _next_run(shop, travel, start)
    if billed is None:
        message = f"no auto order comes due within {MOST_DAYS} days"
        raise Invalid.one("/advance_to", "nothing_due", message)
    return billed


def _next_run(shop: Shop, travel: Travel, start: Instant) -> Instant | None:
    """When an auto order is billed next. What comes due before that only to be looked at is looked through."""
    first = instant(start + timedelta(days=MOST_DAYS))
    found = None
    for row in _due(shop, travel, AUTO_ORDERS, first):
        if found is None or row.due < found:
            billed = next_billing(read_facts(shop, int(row.subject))[0], row.due)
            if billed is not None and billed <= first and (found is None or billed < found):
                found = billed
    return found


# --- on the way -------------------------------------------------------------------------------------------------------


class Journey:
    """``heads``: every auto order that came due, with its head before it was worked on."""

    def __init__(self, shop: Shop, travel: Travel, start: Instant) -> None:
        self._shop = shop
        self._travel = travel
        self._visits: Counter[tuple[str, str, str]] = Counter()
        self.start = start
        self.moments = 0
        self.heads: dict[int, Head] = {}
        self.stuck: dict[tuple[str, str], Stuck] = {}

    def go(self, until: Instant) -> None:
        """Through every due moment, in order, and on to the end."""
        moment, tables = self.start, self._travel.backroom().waiting.tables()
        for _ in range(MOST_MOMENTS):
            row = _next_due(self._shop, self._travel, tables, moment, until, frozenset(self.stuck))
            if row is None:
                break
            if self._gets_nowhere(row):
                continue
            moment = row.due
            self._work_at(moment)
        self._work_at(until)

    def _work_at(self, moment: Instant) -> None:
        self._travel.set(moment)
        self.moments += 1
        for row in _due(self._shop, self._travel, AUTO_ORDERS, self._shop.clock.now()):
            oid = int(row.subject)
            if oid not in self.heads and (head := self._shop.auto_orders.head(oid)):
                self.heads[oid] = head
        self._travel.run_due()

    def _gets_nowhere(self, row: DueRow) -> bool:
        visit = (row.table, row.subject, row.due.date().isoformat())
        self._visits[visit] += 1
        if self._visits[visit] <= MOST_VISITS_A_DAY:
            return False
        self.stuck[row.table, row.subject] = Stuck(table=row.table, subject=row.subject, since=row.due)
        return True


def _next_due(
    shop: Shop,
    travel: Travel,
    tables: Iterable[str],
    after: Instant,
    until: Instant,
    passing: frozenset[tuple[str, str]],
) -> DueRow | None:
    """What comes due first after the one moment and until the other, in any of the tables."""
    waiting, first = travel.backroom().waiting, None
    since = later(after, seconds=1)
    for table in tables:
        for shard in waiting.shards():
            cursor = None
            while True:
                upto = first.due if first else until
                rows, cursor = waiting.due(table, shard, upto, FIRST_FEW, cursor, since=since)
                mine = next((r for r in rows if _mine(shop, r) and (r.table, r.subject) not in passing), None)
                if mine is not None and (first is None or mine.due < first.due):
                    first = mine
                if mine is not None or cursor is None:
                    break
    return first


def _due(shop: Shop, travel: Travel, table: str, until: Instant) -> Iterable[DueRow]:
    waiting = travel.backroom().waiting
    for shard in waiting.shards():
        cursor = None
        while True:
            rows, cursor = waiting.due(table, shard, until, PAGE, cursor)
            yield from (row for row in rows if _mine(shop, row))
            if cursor is None:
                break


def _mine(shop: Shop, row: DueRow) -> bool:
    return row.merchant_id == shop.merchant_id


# --- what happened ----------------------------------------------------------------------------------------------------


def _declines(shop: Shop, merchant: Merchant, first: Instant, last: Instant) -> int:
    zone_name = merchant.zone_name()
    days = shop.lists.days(local_date(first, zone_name).isoformat(), local_date(last, zone_name).isoformat())
    return sum(amounts.get("declines", 0) for _, amounts in days)


def _told(
    shop: Shop,
    merchant: Merchant,
    journey: Journey,
    until: Instant,
    declines: int,
    rehearsal: dict[str, Any],
) -> dict[str, Any]:
    oids = sorted(journey.heads)
    after = [(kept.noun, head) for kept, head in shop.auto_orders.read_many(oids)]
    made = shop.orders.get_many([order_id for noun, head in after for order_id in _order_ids(journey, noun, head)])
    # What waits in Accounts Receivable is an order too, but nobody has paid for it.
    orders = [order for order in made if order.charge_key]
    billed = [_line(order, merchant) for order in orders]
    answer = {
        "from": journey.start,
        "to": until,
        "number_of_orders": len(billed),
        "total": total_of(line.total for line in billed),
        "orders": [
            {"order_id": order.order_id, "auto_order_oid": line.auto_order_oid, "run": line.run, "total": line.total}
            for order, line in list(zip(orders, billed, strict=True))[:MOST_LISTED]
        ],
        "number_of_declines": declines,
        "retrying": [
            {"auto_order_oid": noun.auto_order_oid, "credit_card_attempt": head.round, "reason": _reason(head)}
            for noun, head in after
            if head.status == "active" and head.round
        ],
        "disabled": [
            {"auto_order_oid": noun.auto_order_oid, "reason": _reason(head)}
            for noun, head in after
            if head.status == "disabled" and journey.heads[noun.auto_order_oid or 0].status != "disabled"
        ],
        "held": [
            {"auto_order_oid": noun.auto_order_oid, "code": head.state.held} for noun, head in after if head.state.held
        ],
        "outcome_not_known": [noun.auto_order_oid for noun, head in after if head.attempt is not None],
        "number_of_mails": _mails(shop, orders, oids, journey.start),
        "stuck": [msgspec.structs.asdict(stuck) for stuck in journey.stuck.values()],
        "digest": digest(billed),
        "rehearsal": _compared(rehearsal, billed),
    }
    return wire.whole(answer, merchant.form())  # type: ignore[no-any-return]  # a dict renders as a dict


def _order_ids(journey: Journey, noun: AutoOrder, head: Head) -> list[str]:
    """The ids that the runs on the way have; a run that was closed without a charge made no order."""
    before = journey.heads[noun.auto_order_oid or 0]
    return [rebill_order_id(noun.original_order_id or "", run) for run in range(before.run, head.run)]


def _line(order: Order, merchant: Merchant) -> Line:
    """What was really billed, in the words of a rehearsal."""
    total = (order.summary.total if order.summary else None) or ZERO
    return Line(
        auto_order_oid=order.auto_order_oid or 0,
        run=order.run or 0,
        items=[line.merchant_item_id or "" for line in order.items or []],
        total=quantise(Decimal(total), merchant.currency()),
        day=local_date(order.creation_dts or BEGINNING, merchant.zone_name()),
    )


def _reason(head: Head) -> str | None:
    return "completed" if head.state.completed else head.state.failure_reason


def _mails(shop: Shop, orders: list[Order], oids: list[int], start: Instant) -> int:
    """Mails that went out on the way, about the auto orders that came due and their orders."""
    subjects = [f"order#{order.order_id}" for order in orders] + [f"auto_order#{oid}" for oid in oids]
    mails = (mail for about in subjects for mail in shop.mails.of(about))
    return sum(mail.state == "sent" and mail.created_dts >= start for mail in mails)


def _compared(rehearsal: dict[str, Any], billed: list[Line]) -> dict[str, Any]:
    """The rehearsal's figures, and the auto orders that were billed otherwise than it said: ``missing`` was rehearsed
    and not billed, ``extra`` the other way round."""
    said = {_key(Line(**line)) for line in rehearsal["billed"]}
    done = {_key(line) for line in billed}
    return {
        "number_of_orders": rehearsal["number_of_orders"],
        "total": rehearsal["total"],
        "digest": rehearsal["digest"],
        "same": said == done,
        "missing": sorted({key[0] for key in said - done}),
        "extra": sorted({key[0] for key in done - said}),
    }


def _key(line: Line) -> tuple[int, int, str, str]:
    return line.auto_order_oid, line.run, ",".join(sorted(line.items)), str(line.total)
