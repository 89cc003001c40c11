"""The day reports of what gateways took, and how far each walk has come."""

from chalicelib.domain.captures import Reconciliation
from chalicelib.stores.port import Change, Cursor, Record, TablePort
from chalicelib.stores.records import Versioned, inserted, kept_for, noun_of, pk, replaced, versioned

TABLE = "documents"
# A year's books are closed with the reports of that year at hand.
KEEP_DAYS = 400


class Reconciliations:
    """One merchant's day reports: one for each gateway account and day, all under one key, a few a day."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._list = pk(merchant_id, "reconciliation")

    def find(self, day: str, gateway: str) -> Versioned[Reconciliation] | None:
        return versioned(self._port.get(TABLE, self._list, _name(day, gateway), consistent=True), Reconciliation)

    def begun(self, report: Reconciliation) -> Change:
        """The day's first of its account."""
        return inserted(TABLE, self._list, _name_of(report), report, **_kept(report))

    def moved(self, report: Reconciliation, version: int) -> Change:
        """The same report further on, or a new one in its place."""
        return replaced(TABLE, self._list, _name_of(report), report, version, **_kept(report))

    def since(
        self, day: str, *, limit: int = 100, cursor: Cursor | None = None
    ) -> tuple[list[Reconciliation], Cursor | None]:
        """The reports of that day and later, the newest first. A page may be short and still have a cursor."""
        page = self._port.query(
            TABLE, self._list, at_least=day, limit=limit, cursor=cursor, descending=True, consistent=True
        )
        return [noun_of(record, Reconciliation) for record in page.records], page.cursor


def _name_of(report: Reconciliation) -> str:
    return _name(report.reconciliation_date.isoformat(), report.gateway)


def _name(day: str, gateway: str) -> str:
    return f"{day}#{gateway}"


def _kept(report: Reconciliation) -> Record:
    return kept_for(KEEP_DAYS, report.until_dts)
