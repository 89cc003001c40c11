"""Rows that reports are added up from: a row a cancellation, a row a forecast. Beside the day totals."""

from datetime import date, timedelta

from chalicelib.domain.reports import Canceled, Forecast
from chalicelib.stores.port import MAXIMUM_PAGE, Change, Put, Record, TablePort
from chalicelib.stores.records import DOCUMENT, noun_of, pk, text_of
from chalicelib.stores.tables import PK, SK

TABLE = "lists"
CANCELED = "canceled"
FORECAST = "forecast"


class Reports:
    """One merchant's report rows."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def canceled(self, row: Canceled, event_id: str) -> Change:
        """One cancellation; the same event writes the same row."""
        key = pk(self._merchant_id, CANCELED)
        return Put(TABLE, {PK: key, SK: f"{row.day}#{event_id}", DOCUMENT: text_of(row)})

    def cancellations(self, begin: date, end: date) -> list[Canceled]:
        """Those of the days from ``begin`` to ``end``, oldest first."""
        found: list[Canceled] = []
        cursor = None
        while True:
            page = self._port.query(
                TABLE,
                pk(self._merchant_id, CANCELED),
                at_least=begin.isoformat(),
                less_than=(end + timedelta(days=1)).isoformat(),
                limit=MAXIMUM_PAGE,
                cursor=cursor,
            )
            found += [noun_of(record, Canceled) for record in page.records]
            cursor = page.cursor
            if cursor is None:
                return found

    def forecast_made(self, forecast: Forecast) -> Change:
        """The day's forecast; made again on the same day it replaces the earlier one."""
        record: Record = {
            PK: pk(self._merchant_id, FORECAST),
            SK: forecast.made.isoformat(),
            DOCUMENT: text_of(forecast),
        }
        return Put(TABLE, record)

    def forecast(self, made: date) -> Forecast | None:
        record = self._port.get(TABLE, pk(self._merchant_id, FORECAST), made.isoformat())
        return noun_of(record, Forecast) if record else None
