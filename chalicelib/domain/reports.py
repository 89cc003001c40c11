"""Reports of the auto orders: why they are canceled, on which attempt declined ones recover, and what was forecast
against what came. Figures are added up from rows of their own, never from a search."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.money import ZERO, from_minor_units, total_of
from chalicelib.domain.wire import Noun

# A report reads a row a day and a row a cancellation: more than a year is two reports.
MOST_DAYS = 366
# The span that a forecast covers; shorter ones are cut from it.
FORECAST_DAYS = 90
# Days that are told of the latest runs, today among them; and of a report whose period nobody names.
RUNS_DAYS = 14
DEFAULT_DAYS = 30
NO_REASON = "no reason given"


class CanceledItem(msgspec.Struct, kw_only=True, frozen=True):
    """One item of a canceled auto order. ``lost``: what its next rebill would have come to, goods alone."""

    item_id: str
    lost: Decimal = ZERO


class Canceled(msgspec.Struct, kw_only=True, frozen=True):
    """One cancellation as it is kept for the report."""

    day: date
    auto_order_oid: int
    reason: str | None = None
    by: str | None = None
    by_customer: bool = False
    items: list[CanceledItem] = []


class CancelReasonItem(Noun):
    merchant_item_id: str
    count: int
    lost_revenue: Decimal


class CancelReasonRow(Noun):
    """``share`` of all cancellations of the period, in per cent."""

    reason: str
    count: int
    share: Decimal
    lost_revenue: Decimal
    by_customer: int
    items: list[CancelReasonItem]


class CancelReasonReport(Noun):
    """``lost_revenue``: what the canceled auto orders' next rebills would have come to, goods alone."""

    begin_date: date
    end_date: date
    count: int
    lost_revenue: Decimal
    reasons: list[CancelReasonRow]


class RecoveryRow(Noun):
    """One attempt of a run, 1 the first. ``share``: of all that were charged on this attempt, in per cent."""

    attempt: int
    paid: int
    declined: int
    share: Decimal
    revenue: Decimal


class RecoveryReport(Noun):
    begin_date: date
    end_date: date
    attempts: list[RecoveryRow]


class ForecastDay(Noun):
    """``actual_…`` stand there once the day is over."""

    day: date
    orders: int
    revenue: Decimal
    actual_orders: int | None = None
    actual_revenue: Decimal | None = None


class ForecastReport(Noun):
    """What rebills were to bring, as the plan of ``made_date`` had it: every charge approved and nothing edited."""

    made_date: date
    end_date: date
    orders: int
    revenue: Decimal
    held: int
    days: list[ForecastDay]
    actual_orders: int | None = None
    actual_revenue: Decimal | None = None


class RunsDay(Noun):
    """What came of the rebills of one local day."""

    day: date
    rebills: int
    declines: int
    rebill_revenue: Decimal


class RunsReport(Noun):
    """``days``: today's first. ``opens_dts`` and ``closes_dts``: of the processing window that opens next.
    ``test_clock``: the shop's time can be moved."""

    now_dts: Instant
    time_zone: str
    opens_dts: Instant
    closes_dts: Instant
    test_clock: bool
    days: list[RunsDay]


class Forecast(msgspec.Struct, kw_only=True):
    """A forecast as it is kept: (orders, revenue) by day, ISO."""

    made: date
    days: dict[str, tuple[int, Decimal]]
    held: int = 0


def period(begin: date, end: date) -> tuple[date, date]:
    """Raises Invalid where the period ends before it begins or is longer than a report may be."""
    if end < begin:
        raise Invalid([Problem(pointer="/end_date", code="out_of_range", message=f"is before {begin}")])
    if (end - begin).days >= MOST_DAYS:
        message = f"a report covers {MOST_DAYS} days at most"
        raise Invalid([Problem(pointer="/end_date", code="out_of_range", message=message)])
    return begin, end


def cancel_reasons(rows: Iterable[Canceled], begin: date, end: date, item_id: str | None = None) -> CancelReasonReport:
    """Why auto orders were canceled in the period, the most frequent reason first; ``item_id``: of one item."""
    kept = [row for row in rows if item_id is None or any(item.item_id == item_id for item in row.items)]
    by_reason: dict[str, list[Canceled]] = {}
    for row in kept:
        by_reason.setdefault(row.reason or NO_REASON, []).append(row)
    found = [_reason_row(reason, group, len(kept), item_id) for reason, group in by_reason.items()]
    return CancelReasonReport(
        begin_date=begin,
        end_date=end,
        count=len(kept),
        lost_revenue=total_of(row.lost_revenue for row in found),
        reasons=sorted(found, key=lambda row: (-row.count, row.reason)),
    )


def _reason_row(reason: str, group: list[Canceled], of: int, item_id: str | None) -> CancelReasonRow:
    items: dict[str, list[Decimal]] = {}
    for row in group:
        for item in row.items:
            if item_id in (None, item.item_id):
                items.setdefault(item.item_id, []).append(item.lost)
    shown = [CancelReasonItem(merchant_item_id=k, count=len(v), lost_revenue=total_of(v)) for k, v in items.items()]
    return CancelReasonRow(
        reason=reason,
        count=len(group),
        share=share(len(group), of),
        lost_revenue=total_of(item.lost_revenue for item in shown),
        by_customer=sum(row.by_customer for row in group),
        items=sorted(shown, key=lambda item: (-item.count, item.merchant_item_id)),
    )


def runs_days(days: Mapping[str, Mapping[str, int]], today: date, currency_code: str) -> list[RunsDay]:
    """From the day totals; today's first."""
    found = []
    for back in range(RUNS_DAYS):
        day = today - timedelta(days=back)
        totals = days.get(day.isoformat(), {})
        found.append(
            RunsDay(
                day=day,
                rebills=totals.get("rebills", 0),
                declines=totals.get("declines", 0),
                rebill_revenue=from_minor_units(totals.get("rebill_revenue", 0), currency_code),
            )
        )
    return found


def share(part: int, whole: int) -> Decimal:
    """In per cent, one digit after the point; of nothing it is nothing."""
    return (Decimal(100 * part) / whole).quantize(Decimal("0.1")) if whole else ZERO


def paid_on(attempt: int) -> str:
    """The day total that counts rebills paid on that attempt."""
    return f"paid_on_{attempt}"


def revenue_on(attempt: int) -> str:
    return f"revenue_on_{attempt}"


def declined_on(attempt: int) -> str:
    return f"declined_on_{attempt}"


def recovery(
    days: Iterable[tuple[str, Mapping[str, int]]], begin: date, end: date, currency_code: str
) -> RecoveryReport:
    """On which attempt rebills were paid and declined, from the day totals."""
    totals: dict[str, int] = {}
    for _, amounts in days:
        for name, amount in amounts.items():
            totals[name] = totals.get(name, 0) + amount
    attempts = sorted({int(name.rsplit("_", 1)[1]) for name in totals if name.startswith(("paid_on_", "declined_on_"))})
    rows = []
    for attempt in attempts:
        paid, refused = totals.get(paid_on(attempt), 0), totals.get(declined_on(attempt), 0)
        rows.append(
            RecoveryRow(
                attempt=attempt,
                paid=paid,
                declined=refused,
                share=share(paid, paid + refused),
                revenue=from_minor_units(totals.get(revenue_on(attempt), 0), currency_code),
            )
        )
    return RecoveryReport(begin_date=begin, end_date=end, attempts=rows)


def forecast(
    kept: Forecast, days: int, actual: Mapping[str, Mapping[str, int]], today: date, currency_code: str
) -> ForecastReport:
    """The forecast's days and, of those that are over, what came: rebills alone are counted."""
    rows = []
    for ahead in range(days):
        day = kept.made + timedelta(days=ahead)
        orders, revenue = kept.days.get(day.isoformat(), (0, ZERO))
        row = ForecastDay(day=day, orders=orders, revenue=revenue)
        if day < today:
            came = actual.get(day.isoformat(), {})
            row.actual_orders = came.get("rebills", 0)
            row.actual_revenue = from_minor_units(came.get("rebill_revenue", 0), currency_code)
        rows.append(row)
    over = [row for row in rows if row.actual_orders is not None]
    return ForecastReport(
        made_date=kept.made,
        end_date=kept.made + timedelta(days=days - 1),
        orders=sum(row.orders for row in rows),
        revenue=total_of(row.revenue for row in rows),
        held=kept.held,
        actual_orders=sum(row.actual_orders or 0 for row in over) if over else None,
        actual_revenue=total_of(row.actual_revenue or ZERO for row in over) if over else None,
        days=rows,
    )
