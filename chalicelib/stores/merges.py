"""Which profiles are becoming one: a mark beside each, so that a profile takes part in one merge at a time.

M#customer#oid  merge   ``into`` or ``from`` which profile, and the event that does it; the mark of a profile that went
                        stays, and says where it went
"""

from chalicelib.domain.merging import Mark
from chalicelib.stores.port import Absent, Change, Check, Delete, Put, TablePort
from chalicelib.stores.records import pk
from chalicelib.stores.tables import PK, SK

TABLE = "customers"
MERGE = "merge"
INTO, FROM = "into", "from"


class Merges:
    """One merchant's merges of profiles."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def find(self, oid: int) -> Mark | None:
        record = self._port.get(TABLE, self._key(oid), MERGE, consistent=True)
        if record is None:
            return None
        into = record.get(INTO)
        return Mark(into=None if into is None else int(into), event_id=str(record["event_id"]))

    def begun(self, source: int, target: int, event_id: str) -> list[Change]:
        """Two changes; refused where one of the two takes part in another merge."""
        return [
            Put(TABLE, {PK: self._key(one), SK: MERGE, way: other, "event_id": event_id}, when=(Absent(),))
            for one, way, other in ((source, INTO, target), (target, FROM, source))
        ]

    def erasing(self, oid: int, event_id: str) -> Change:
        """The same for a profile that is to be forgotten."""
        return Put(TABLE, {PK: self._key(oid), SK: MERGE, "event_id": event_id}, when=(Absent(),))

    def ended(self, target: int) -> Change:
        return Delete(TABLE, self._key(target), MERGE)

    def none(self, oid: int) -> Change:
        """Refused while the profile takes part in a merge."""
        return Check(TABLE, self._key(oid), MERGE, when=(Absent(),))

    def _key(self, oid: int) -> str:
        return pk(self._merchant_id, "customer", oid)
