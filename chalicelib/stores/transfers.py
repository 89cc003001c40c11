"""Exports and imports: what is known of each, the newest first. Their files stand elsewhere (``gateways/files.py``)."""

from typing import Any, TypeVar

from chalicelib.domain.dates import later
from chalicelib.domain.errors import NotFound
from chalicelib.domain.transfers import PASSING_DAYS, CustomerExport, CustomerImport
from chalicelib.stores.port import Change, Cursor, TablePort
from chalicelib.stores.records import Versioned, inserted, noun_of, pk, replaced, versioned

TABLE = "documents"
T = TypeVar("T", CustomerExport, CustomerImport)
KINDS: dict[type[Any], str] = {CustomerExport: "export", CustomerImport: "import"}


class Transfers:
    """One merchant's exports and imports, all of a kind under one key: a few a day, for as long as their files last."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def find(self, type_: type[T], id_: str) -> Versioned[T] | None:
        return versioned(self._port.get(TABLE, self._list(type_), id_, consistent=True), type_)

    def get(self, type_: type[T], id_: str) -> Versioned[T]:
        """Raises NotFound."""
        found = self.find(type_, id_)
        if found is None:
            raise NotFound(KINDS[type_], id_)
        return found

    def begun(self, transfer: CustomerExport | CustomerImport) -> Change:
        return inserted(TABLE, self._list(type(transfer)), transfer.transfer_id, transfer, expires=_expires(transfer))

    def moved(self, transfer: CustomerExport | CustomerImport, version: int) -> Change:
        return replaced(
            TABLE, self._list(type(transfer)), transfer.transfer_id, transfer, version, expires=_expires(transfer)
        )

    def newest(self, type_: type[T], limit: int, cursor: Cursor | None = None) -> tuple[list[T], Cursor | None]:
        page = self._port.query(TABLE, self._list(type_), limit=limit, cursor=cursor, descending=True, consistent=True)
        return [noun_of(record, type_) for record in page.records], page.cursor

    def _list(self, type_: type[Any]) -> str:
        return pk(self._merchant_id, "customer", KINDS[type_])


def _expires(transfer: CustomerExport | CustomerImport) -> int:
    return int(later(transfer.created_dts, days=PASSING_DAYS).timestamp())
