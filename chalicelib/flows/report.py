"""Reports of the auto orders, read; and the rows that they are made from, written when an event is told."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from chalicelib.domain import rebills, reports
from chalicelib.domain.dates import Instant, later, local_date, midnight
from chalicelib.domain.errors import NotFound
from chalicelib.domain.events import Event
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.payments import LEASE_SECONDS
from chalicelib.domain.reports import (
    DEFAULT_DAYS,
    FORECAST_DAYS,
    RUNS_DAYS,
    Canceled,
    CancelReasonReport,
    Forecast,
    ForecastReport,
    RecoveryReport,
    RunsReport,
)
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.timeline import CUSTOMER
from chalicelib.domain.waiting import (
    LATE_AFTER_SECONDS,
    MOST_COUNTED,
    DeadDeliveries,
    LateWork,
    QueuesReport,
)
from chalicelib.flows.explain import due_oids, runs
from chalicelib.flows.facts import read_facts
from chalicelib.flows.ports import Backroom, Change, Shop

CANCEL = "auto_order_cancel"
# Dead deliveries of one webhook that are counted: past it nobody cares how many there are.
MOST_DEAD = 100


def cancel_rows(shop: Shop, event: Event, zone_name: str) -> list[Change]:
    """The report's rows of the cancellations that the event tells of."""
    changes: list[Change] = []
    for happening in event.happenings:
        if happening.name != CANCEL:
            continue
        try:
            facts, document, _ = read_facts(shop, int(happening.id), to_charge=False)
        except NotFound:
            continue
        noun = document.noun
        email = facts.original.billing.email if facts.original.billing else None
        by_customer = bool(email) and noun.canceled_by_user == email
        row = Canceled(
            day=local_date(event.dts, zone_name),
            auto_order_oid=noun.auto_order_oid or 0,
            reason=noun.cancel_reason,
            # The report counts customers; it has no need to know them.
            by=CUSTOMER if by_customer else noun.canceled_by_user,
            by_customer=by_customer,
            items=rebills.next_values(facts, event.dts),
        )
        changes.append(shop.reports.canceled(row, event.event_id))
    return changes


def cancel_reasons(shop: Shop, begin: date, end: date, item_id: str | None) -> CancelReasonReport:
    """Raises Invalid for a period that cannot be."""
    reports.period(begin, end)
    return reports.cancel_reasons(shop.reports.cancellations(begin, end), begin, end, item_id)


def recovery(shop: Shop, begin: date, end: date) -> RecoveryReport:
    """Raises Invalid for a period that cannot be."""
    reports.period(begin, end)
    days = shop.lists.days(begin.isoformat(), end.isoformat())
    return reports.recovery(days, begin, end, shop.configuration.remembered(Merchant).currency())


def last_days(shop: Shop) -> tuple[date, date]:
    """The period of a report that names none: so many days, today the last."""
    today = local_date(shop.clock.now(), shop.configuration.remembered(Merchant).zone_name())
    return today - timedelta(days=DEFAULT_DAYS - 1), today


def runs_of_late(shop: Shop) -> RunsReport:
    """What the latest runs came to, and when the window opens next."""
    merchant, settings = shop.configuration.section(Merchant).noun, shop.configuration.section(AutoOrderProcessing).noun
    now, zone_name = shop.clock.now(), merchant.zone_name()
    today = local_date(now, zone_name)
    opens, closes = rebills.next_window(now, settings, zone_name)
    totals = dict(shop.lists.days((today - timedelta(days=RUNS_DAYS - 1)).isoformat(), today.isoformat()))
    return RunsReport(
        now_dts=now,
        time_zone=zone_name,
        opens_dts=opens,
        closes_dts=closes,
        test_clock=shop.travel is not None,
        days=reports.runs_days(totals, today, merchant.currency()),
    )


def forecast(shop: Shop, backroom: Backroom, days: int, made: date | None) -> ForecastReport:
    """The forecast that was made on that day, or today's, which is made and kept where nobody asked for it yet.

    Raises NotFound where none was made on that day.
    """
    merchant = shop.configuration.remembered(Merchant)
    now = shop.clock.now()
    today = local_date(now, merchant.zone_name())
    kept = shop.reports.forecast(made or today)
    if kept is None and made not in (None, today):
        raise NotFound("forecast", str(made))
    if kept is None:
        kept = made_now(shop, backroom, merchant, now)
        shop.write(shop.reports.forecast_made(kept))
    last = kept.made + timedelta(days=days - 1)
    actual = dict(shop.lists.days(kept.made.isoformat(), last.isoformat()))
    return reports.forecast(kept, days, actual, today, merchant.currency())


def queues(
    shop: Shop, backroom: Backroom, names: Sequence[str], *, webhooks: bool, most: int = MOST_COUNTED
) -> QueuesReport:
    """How the installation's queues stand, and what of this shop is late or dead; ``webhooks``: deliveries too.
    ``most``: rows that are counted in one shard."""
    now = shop.clock.now()
    return QueuesReport(
        now_dts=now,
        late_after_seconds=LATE_AFTER_SECONDS,
        queues=backroom.queue.states(names),
        late_auto_orders=_late(shop, backroom, "auto_orders", now, most),
        # The relay pushes what it failed to tell, and nothing else in the outbox lies ahead.
        late_events=_late(shop, backroom, "events", now, most, pushed=LEASE_SECONDS),
        dead_deliveries=_dead(shop) if webhooks else None,
    )


def _late(shop: Shop, backroom: Backroom, table: str, now: Instant, most: int, *, pushed: int = 0) -> LateWork:
    """What of the table was due so long ago that somebody should have looked, and what was ``pushed`` ahead by so many
    seconds at most since it failed."""
    late, found, more = later(now, seconds=-LATE_AFTER_SECONDS), list[Instant](), False
    until = later(now, seconds=pushed) if pushed else late
    for shard in backroom.waiting.shards():
        rows, cursor = backroom.waiting.due(table, shard, until, most)
        found += [r.due for r in rows if r.merchant_id == shop.merchant_id and not late < r.due <= now]
        more = more or cursor is not None
    since = min((due for due in found if due <= late), default=None)
    return LateWork(count=len(found), at_least=more, since_dts=since)


def _dead(shop: Shop) -> list[DeadDeliveries]:
    hooks = [kept.noun for kept in shop.webhooks.all()]
    counted = [(hook, shop.deliveries.number_dead(hook.webhook_oid or 0, MOST_DEAD)) for hook in hooks]
    return [
        DeadDeliveries(
            webhook_oid=webhook.webhook_oid or 0,
            webhook_url=webhook.webhook_url or "",
            count=count,
            at_least=count == MOST_DEAD,
        )
        for webhook, count in counted
        if count
    ]


def made_now(shop: Shop, backroom: Backroom, merchant: Merchant, now: Instant) -> Forecast:
    """What the coming days are to bring, by the very plan that the worker thinks, every charge approved."""
    today = local_date(now, merchant.zone_name())
    until = midnight(today + timedelta(days=FORECAST_DAYS), merchant.zone_name())
    days: dict[str, tuple[int, Decimal]] = {}
    held = 0
    for oid in due_oids(shop, backroom, until):
        facts, _, _ = read_facts(shop, oid)
        lines, hold = runs(facts, now, until)
        held += hold is not None
        for line in lines:
            orders, revenue = days.get(line.day.isoformat(), (0, Decimal(0)))
            days[line.day.isoformat()] = (orders + 1, revenue + line.total)
    return Forecast(made=today, days=days, held=held)
