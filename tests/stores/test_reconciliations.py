"""Day reports as they are kept: one a day and account, the newest first, this merchant's only, gone after a year."""

import json
from datetime import date

import pytest

from chalicelib.domain.captures import Reconciliation
from chalicelib.domain.dates import later, parse_instant
from chalicelib.domain.errors import Refused
from chalicelib.stores.reconciliations import KEEP_DAYS, Reconciliations
from chalicelib.stores.sqlite import SqliteTables

NOW = parse_instant("2027-01-31T20:00:00Z")


def a_report(day: str = "2027-01-31", gateway: str = "stripe", cursor: str | None = None) -> Reconciliation:
    return Reconciliation(
        gateway=gateway,
        reconciliation_date=date.fromisoformat(day),
        since_dts=later(NOW, days=-3),
        until_dts=NOW,
        cursor=cursor,
    )


def names(reports: list[Reconciliation]) -> list[str]:
    return [f"{report.reconciliation_date}#{report.gateway}" for report in reports]


@pytest.fixture
def port() -> SqliteTables:
    return SqliteTables()


def test_a_report_is_begun_once_and_moves_under_its_version(port: SqliteTables) -> None:
    reports = Reconciliations(port, "DEMO")
    assert reports.find("2027-01-31", "stripe") is None
    port.write(reports.begun(a_report()))
    with pytest.raises(Refused):
        port.write(reports.begun(a_report()))
    port.write(reports.moved(a_report(cursor="7"), 1))
    with pytest.raises(Refused):
        port.write(reports.moved(a_report(cursor="8"), 1))
    found = reports.find("2027-01-31", "stripe")
    assert found is not None
    assert (found.noun, found.version) == (a_report(cursor="7"), 2)
    assert Reconciliations(port, "OTHER").find("2027-01-31", "stripe") is None


def test_reports_since_a_day_come_page_by_page_the_newest_first(port: SqliteTables) -> None:
    reports = Reconciliations(port, "DEMO")
    for day in ("2027-01-29", "2027-02-01", "2027-01-30", "2027-01-31"):
        for gateway in ("sandbox", "stripe"):
            port.write(reports.begun(a_report(day, gateway)))
    port.write(Reconciliations(port, "OTHER").begun(a_report()))
    first, cursor = reports.since("2027-01-30", limit=4)
    assert names(first) == ["2027-02-01#stripe", "2027-02-01#sandbox", "2027-01-31#stripe", "2027-01-31#sandbox"]
    rest, cursor = reports.since("2027-01-30", limit=4, cursor=cursor)
    assert names(rest) == ["2027-01-30#stripe", "2027-01-30#sandbox"]
    assert not cursor or reports.since("2027-01-30", limit=4, cursor=cursor) == ([], None)


def test_a_report_may_be_swept_away_after_a_year_and_a_month(port: SqliteTables) -> None:
    reports = Reconciliations(port, "DEMO")
    for change in (reports.begun(a_report()), reports.moved(a_report(), 1)):
        port.write(change)
        (body,) = port._db.execute("select body from record").fetchone()
        assert json.loads(body)["expires"] == int(NOW.timestamp()) + KEEP_DAYS * 24 * 3600
