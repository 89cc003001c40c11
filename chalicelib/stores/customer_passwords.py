"""Customers' passwords: a row of its own beside the profile, so that no document, event or export can hold one.

M#customer#oid  password   the hash, and a random word that is another with every change
"""

from chalicelib.domain.customers import KeptPassword
from chalicelib.domain.dates import Instant
from chalicelib.stores.port import Absent, Change, Delete, Equals, Put, TablePort
from chalicelib.stores.records import pk
from chalicelib.stores.tables import PK, SK

TABLE = "customers"
PASSWORD = "password"  # noqa: S105 - the name of the row


class CustomerPasswords:
    """One merchant's customers' passwords."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def find(self, oid: int) -> KeptPassword | None:
        """None where the profile has no password."""
        record = self._port.get(TABLE, self._key(oid), PASSWORD, consistent=True)
        return KeptPassword(hashed=str(record["hashed"]), stamp=str(record["stamp"])) if record else None

    def set(self, oid: int, hashed: str, stamp: str, now: Instant, before: KeptPassword | None) -> Change:
        """Over exactly what was read; refused where somebody set another meanwhile."""
        record: dict[str, str | int] = {
            PK: self._key(oid),
            SK: PASSWORD,
            "hashed": hashed,
            "stamp": stamp,
            "set_dts": str(now),
        }
        return Put(TABLE, record, when=(Equals("stamp", before.stamp) if before else Absent(),))

    def gone(self, oid: int) -> Change:
        return Delete(TABLE, self._key(oid), PASSWORD)

    def _key(self, oid: int) -> str:
        return pk(self._merchant_id, "customer", oid)
