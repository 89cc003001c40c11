"""A day's problems, a row each, until their digest is written; read by day, never searched for."""

from datetime import date

from chalicelib.domain.problems import ShopProblem
from chalicelib.stores.port import MAXIMUM_PAGE, Change, Cursor, Put, TablePort
from chalicelib.stores.records import DOCUMENT, kept_for, noun_of, pk, text_of
from chalicelib.stores.tables import PK, SK

TABLE = "deliveries"
# Their digest is a mail of its own; they stay for who asks what it left out.
KEEP_DAYS = 100


class Problems:
    """One merchant's problems."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def noted(self, day: date, name: str, problem: ShopProblem) -> Change:
        return Put(
            TABLE, {PK: self._key(day), SK: name, DOCUMENT: text_of(problem), **kept_for(KEEP_DAYS, problem.dts)}
        )

    def of(self, day: date, most: int) -> list[ShopProblem]:
        """Those of the day, as many as asked for, in no order."""
        found: list[ShopProblem] = []
        cursor: Cursor | None = None
        while len(found) < most:
            limit = min(MAXIMUM_PAGE, most - len(found))
            page = self._port.query(TABLE, self._key(day), limit=limit, cursor=cursor)
            found += [noun_of(record, ShopProblem) for record in page.records]
            cursor = page.cursor
            if cursor is None:
                break
        return found

    def _key(self, day: date) -> str:
        return pk(self._merchant_id, "problems", day.isoformat())
