"""What waits, of all merchants: the due indexes, read shard by shard and pushed row by row."""

from chalicelib.domain.dates import Instant, parse_instant
from chalicelib.domain.errors import Refused
from chalicelib.domain.waiting import DueRow
from chalicelib.stores.port import Cursor, TablePort
from chalicelib.stores.records import pushed
from chalicelib.stores.tables import BY_DUE, DUE_SHARDS, PK, SK, TABLES


class Waiting:
    """The only reader across merchants; it has no HTTP route."""

    def __init__(self, port: TablePort) -> None:
        self._port = port

    def tables(self) -> list[str]:
        return [table.name for table in TABLES if BY_DUE in table.indexes]

    def shards(self) -> list[str]:
        return [f"{number:02d}" for number in range(DUE_SHARDS)]

    def due(
        self,
        table: str,
        shard: str,
        until: Instant,
        limit: int,
        cursor: Cursor | None = None,
        since: Instant | None = None,
    ) -> tuple[list[DueRow], Cursor | None]:
        """What was due before or at ``until``, oldest first; nothing is read of what is not due."""
        page = self._port.query(
            table,
            shard,
            index=BY_DUE.name,
            at_least=f"{since}#" if since else "",
            less_than=f"{until}$",
            limit=limit,
            cursor=cursor,
        )
        return [self._row(table, record) for record in page.records], page.cursor

    def after(self, table: str, shard: str, moment: Instant, limit: int) -> list[DueRow]:
        """What comes due after the moment, soonest first (a look ahead for the test clock and for rehearsals)."""
        page = self._port.query(table, shard, index=BY_DUE.name, at_least=f"{moment}$", limit=limit)
        return [self._row(table, record) for record in page.records]

    def push(self, row: DueRow, until: Instant) -> bool:
        """Look again at ``until``; False where somebody has moved the due time since the row was read."""
        try:
            self._port.write(pushed(row.table, row.pk, row.sk, row.merchant_id, row.subject, row.due_key, until))
        except Refused:
            return False
        return True

    def _row(self, table: str, record: dict[str, str | int]) -> DueRow:
        due_key = str(record["due_key"])
        due, merchant_id, subject = due_key.split("#", 2)
        return DueRow(
            table=table,
            pk=str(record[PK]),
            sk=str(record[SK]),
            due_key=due_key,
            due=parse_instant(due),
            merchant_id=merchant_id,
            subject=subject,
        )
