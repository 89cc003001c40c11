"""Uses of coupons that may not be used at will, as they are kept: taken with the claim of a payment attempt, given back
where it paid for nothing. A row stays, once it is there.

M#coupon_uses#CODE        uses    how often it was used, by all
M#coupon_use#CODE#hash    use     the key of the attempt by which the customer with a name of that hash has used it
"""

from chalicelib.domain.payments import Use
from chalicelib.stores.port import (
    MAXIMUM_GET_MANY,
    Absent,
    Change,
    Equals,
    LessThan,
    Present,
    Put,
    Record,
    TablePort,
    Update,
)
from chalicelib.stores.records import known_by, pk
from chalicelib.stores.tables import PK, SK

TABLE = "ledgers"
USES = "uses"
USE = "use"


class CouponUses:
    """One merchant's."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def of(self, use: Use) -> tuple[int | None, dict[str, str]]:
        """(uses by all, None where none was ever counted; the names of the customer under which it was used, each with
        the key of the attempt that did)"""
        keys = [(self._all(use.code), USES), *((self._one(use.code, name), USE) for name in use.customers)]
        found = {str(row[PK]): row for row in self._port.get_many(TABLE, keys, consistent=True)}
        uses = found.get(self._all(use.code))
        rows = {name: found.get(self._one(use.code, name), {}) for name in use.customers}
        mine = {name: str(row["key"]) for name, row in rows.items() if "key" in row}
        return int(uses["uses"]) if uses else None, mine

    def counts(self, codes: list[str]) -> dict[str, int]:
        """How often each code was used, by all; not necessarily the newest."""
        found = dict.fromkeys(codes, 0)
        for start in range(0, len(codes), MAXIMUM_GET_MANY):
            keys = {self._all(code): code for code in codes[start : start + MAXIMUM_GET_MANY]}
            for row in self._port.get_many(TABLE, [(key, USES) for key in keys]):
                found[keys[str(row[PK])]] = int(row["uses"])
        return found

    def taken(self, use: Use, key: str, uses: int | None) -> list[Change]:
        """One use more than the ``uses`` that were read: refused where it is one too many."""
        changes: list[Change] = []
        if use.most and uses is not None:
            when = (LessThan("uses", use.most),)
            changes.append(Update(TABLE, self._all(use.code), USES, add={"uses": 1}, when=when))
        elif use.most:
            changes.append(Put(TABLE, {PK: self._all(use.code), SK: USES, "uses": 1}, when=(Absent(),)))
        for name in use.customers:
            row: Record = {PK: self._one(use.code, name), SK: USE, "key": key}
            changes.append(Put(TABLE, row, when=(Absent("key"),)))
        return changes

    def given_back(self, use: Use, key: str, names: list[str]) -> list[Change]:
        """The use of that attempt, which stands under these of its customer's names."""
        changes: list[Change] = []
        if use.most:
            when = (Present("uses"),)
            changes.append(Update(TABLE, self._all(use.code), USES, add={"uses": -1}, when=when))
        for name in names:
            changes.append(Update(TABLE, self._one(use.code, name), USE, remove=("key",), when=(Equals("key", key),)))
        return changes

    def _all(self, code: str) -> str:
        return pk(self._merchant_id, "coupon_uses", code)

    def _one(self, code: str, name: str) -> str:
        return pk(self._merchant_id, "coupon_use", code, known_by(self._merchant_id, name))
