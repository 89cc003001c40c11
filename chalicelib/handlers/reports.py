"""Reports over HTTP."""

from datetime import date
from typing import Any

from chalicelib import wiring
from chalicelib.config import QUEUES
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.reports import FORECAST_DAYS, CancelReasonReport, ForecastReport, RecoveryReport, RunsReport
from chalicelib.domain.waiting import QueuesReport
from chalicelib.domain.wire import whole
from chalicelib.flows import report
from chalicelib.handlers.http import Ask, Door, one

door = Door("reports")

READ = "auto_order_read"
PERIOD = ("begin_date", "end_date")
# The two spans that the product shows; any other up to the longest may be asked for.
DEFAULT_FORECAST_DAYS = 14


@door(
    "GET",
    "/report/cancel_reasons",
    READ,
    summary="Why auto orders were canceled: reasons with their count, share and lost revenue, by item",
    gives=CancelReasonReport,
    query=(*PERIOD, "merchant_item_id"),
)
def get_cancel_reason_report(ask: Ask) -> dict[str, Any]:
    begin, end = _period(ask)
    made = report.cancel_reasons(ask.shop, begin, end, ask.query.get("merchant_item_id"))
    return one("cancel_reason_report", whole(made, ask.form))


@door(
    "GET",
    "/report/recovery",
    READ,
    summary="On which attempt rebills were paid and declined",
    gives=RecoveryReport,
    query=PERIOD,
)
def get_recovery_report(ask: Ask) -> dict[str, Any]:
    return one("recovery_report", whole(report.recovery(ask.shop, *_period(ask)), ask.form))


@door(
    "GET",
    "/report/forecast",
    READ,
    summary="What rebills are to bring, by the plan of today or of a past day, against what came",
    gives=ForecastReport,
    query=("days", "made_date"),
)
def get_forecast_report(ask: Ask) -> dict[str, Any]:
    days = ask.query.get("days", str(DEFAULT_FORECAST_DAYS))
    if not days.isdecimal() or not 1 <= int(days) <= FORECAST_DAYS:
        raise Invalid.one("/days", "out_of_range", f"is a number from 1 to {FORECAST_DAYS}")
    made = _date(ask, "made_date", [])
    found = report.forecast(ask.shop, wiring.house().backroom(ask.time_left), int(days), made)
    return one("forecast_report", whole(found, ask.form))


@door(
    "GET",
    "/report/runs",
    READ,
    summary="What the rebills of the last 14 days came to, and when the processing window opens next",
    gives=RunsReport,
)
def get_runs_report(ask: Ask) -> dict[str, Any]:
    return one("runs_report", whole(report.runs_of_late(ask.shop), ask.form))


@door(
    "GET",
    "/report/queues",
    READ,
    summary="How the queues stand, with the age of the oldest message and dead letters, and what of this shop is late",
    gives=QueuesReport,
)
def get_queues_report(ask: Ask) -> dict[str, Any]:
    ask.only()
    webhooks = ask.access is not None and ask.access.allows("webhook_read")
    found = report.queues(ask.shop, wiring.house().backroom(ask.time_left), QUEUES, webhooks=webhooks)
    return one("queues_report", whole(found, ask.form))


def _period(ask: Ask) -> tuple[date, date]:
    """The one that is named, else the last 30 days. Raises Invalid with all problems."""
    if not any(name in ask.query for name in PERIOD):
        return report.last_days(ask.shop)
    problems: list[Problem] = []
    begin, end = (_date(ask, name, problems) for name in PERIOD)
    for name, value in zip(PERIOD, (begin, end), strict=True):
        if value is None and not problems:
            problems.append(
                Problem(pointer=f"/{name}", code="required", message="is required: a day, as in 2027-01-31")
            )
    if begin is None or end is None or problems:
        raise Invalid(problems)
    return begin, end


def _date(ask: Ask, name: str, problems: list[Problem]) -> date | None:
    text = ask.query.get(name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        problem = Problem(pointer=f"/{name}", code="invalid", message="must be a day, as in 2027-01-31")
        if name not in PERIOD:
            raise Invalid([problem]) from None
        problems.append(problem)
        return None
