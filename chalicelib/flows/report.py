"""Reports of the auto orders, read; and the rows that they are made from, written when an event is told."""

from datetime import date, timedelta
from decimal import Decimal

from chalicelib.domain import rebills, reports
from chalicelib.domain.dates import Instant, local_date, midnight
from chalicelib.domain.errors import NotFound
from chalicelib.domain.events import Event
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.reports import (
    FORECAST_DAYS,
    Canceled,
    CancelReasonReport,
    Forecast,
    ForecastReport,
    RecoveryReport,
)
from chalicelib.domain.timeline import CUSTOMER
from chalicelib.flows.explain import due_oids, runs
from chalicelib.flows.facts import read_facts
from chalicelib.flows.ports import Backroom, Change, Shop

CANCEL = "auto_order_cancel"


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
