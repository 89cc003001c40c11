"""Ledgers as they are kept: a head that is written under its version, entries and causes that are only ever added.

M#ledger_id         head             the ledger as it stands; due while something happens by itself
M#ledger_id         entry#seq        one entry; its text is what the hash of the next one is made of
M#ledger_id         cause#name       there, where that cause has posted or waits
M#ledger_id         redemption#...   points that became something
M#earned#order_id   earned           what an order earned, and how much of it was taken back
M#member#oid        member           what a customer's tier goes by: an attribute for each day of a purchase
"""

from collections.abc import Mapping
from datetime import date

from chalicelib.domain.ledgers import Entry, Ledger
from chalicelib.domain.loyalty import CustomerLoyaltyRedemption, Earned
from chalicelib.stores.port import (
    MAXIMUM_GET_MANY,
    MAXIMUM_PAGE,
    Absent,
    Change,
    Cursor,
    Equals,
    Put,
    Record,
    TablePort,
    Update,
)
from chalicelib.stores.records import (
    DOCUMENT,
    VERSION,
    Versioned,
    claimed,
    due_attributes,
    inserted,
    known_by,
    noun_of,
    pk,
    replaced,
    text_of,
    versioned,
)
from chalicelib.stores.tables import PK, SK

TABLE = "ledgers"
HEAD = "head"
ENTRY = "entry#"
CAUSE = "cause#"
REDEMPTION = "redemption#"
EARNED = "earned"
MEMBER = "member"
# So that entries sort by their number; nobody has ten thousand million.
DIGITS = 10


class Ledgers:
    """One merchant's ledgers."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def read(self, ledger_id: str) -> Versioned[Ledger]:
        """As it stands; version 0 and empty where nothing was ever posted."""
        found = versioned(self._port.get(TABLE, self._key(ledger_id), HEAD, consistent=True), Ledger)
        return found or Versioned(Ledger(ledger_id=ledger_id), 0)

    def read_many(self, ledger_ids: list[str]) -> dict[str, Ledger]:
        """Those that there are, not necessarily the newest."""
        found: dict[str, Ledger] = {}
        for start in range(0, len(ledger_ids), MAXIMUM_GET_MANY):
            keys = [(self._key(name), HEAD) for name in ledger_ids[start : start + MAXIMUM_GET_MANY]]
            for record in self._port.get_many(TABLE, keys):
                ledger = noun_of(record, Ledger)
                found[ledger.ledger_id] = ledger
        return found

    def moved(self, version: int, after: Ledger, entries: list[Entry]) -> list[Change]:
        """The head over exactly the one that was read, and its new entries. Refused where somebody was faster."""
        key, due = self._key(after.ledger_id), due_attributes(after.due(), self._merchant_id, after.ledger_id)
        head = (
            replaced(TABLE, key, HEAD, after, version, **due) if version else inserted(TABLE, key, HEAD, after, **due)
        )
        return [head, *(self._appended(entry) for entry in entries)]

    def _appended(self, entry: Entry) -> Change:
        record: Record = {PK: self._key(entry.ledger_id), SK: _entry_sk(entry.seq), DOCUMENT: text_of(entry)}
        return Put(TABLE, record, when=(Absent(),))

    def caused(self, ledger_id: str, cause: str) -> Change:
        """The cause has posted: refused where it had before."""
        return claimed(TABLE, self._key(ledger_id), CAUSE + cause)

    def has_caused(self, ledger_id: str, cause: str) -> bool:
        return self._port.get(TABLE, self._key(ledger_id), CAUSE + cause, consistent=True) is not None

    def entries(self, ledger_id: str, *, limit: int, cursor: Cursor | None = None) -> tuple[list[Entry], Cursor | None]:
        """The latest first."""
        page = self._port.query(
            TABLE, self._key(ledger_id), prefix=ENTRY, limit=limit, cursor=cursor, descending=True, consistent=True
        )
        return [noun_of(record, Entry) for record in page.records], page.cursor

    def texts(self, ledger_id: str) -> list[str]:
        """All entries as they are kept, in the order of their keys: what a verifier looks at."""
        found: list[str] = []
        cursor: Cursor | None = None
        while True:
            page = self._port.query(
                TABLE, self._key(ledger_id), prefix=ENTRY, limit=MAXIMUM_PAGE, cursor=cursor, consistent=True
            )
            found += [str(record[DOCUMENT]) for record in page.records]
            cursor = page.cursor
            if cursor is None:
                return found

    # --- orders and members ------------------------------------------------------------------------------------------

    def earned(self, order_id: str) -> Earned | None:
        record = self._port.get(TABLE, pk(self._merchant_id, EARNED, order_id), EARNED, consistent=True)
        return noun_of(record, Earned) if record else None

    def earns(self, earned: Earned) -> Change:
        """The order earns this, once."""
        return inserted(TABLE, pk(self._merchant_id, EARNED, earned.order_id), EARNED, earned, taken=str(earned.taken))

    def earns_less(self, before: Earned, after: Earned) -> Change:
        """More of it was taken back than was known: refused where somebody knew first."""
        record: Record = {
            PK: pk(self._merchant_id, EARNED, after.order_id),
            SK: EARNED,
            VERSION: 1,
            DOCUMENT: text_of(after),
            "taken": str(after.taken),
        }
        return Put(TABLE, record, when=(Equals("taken", str(before.taken)),))

    def purchases(self, customer_profile_oid: int) -> dict[date, int]:
        """What the customer bought on which day, in the smallest coin."""
        record = self._port.get(TABLE, self._member(customer_profile_oid), MEMBER, consistent=True) or {}
        return {date.fromisoformat(name): int(units) for name, units in record.items() if name not in (PK, SK)}

    def bought(self, customer_profile_oid: int, days: Mapping[date, int]) -> Change:
        """So much more on each of the days, or less. Only ever in a transaction whose condition makes it once."""
        added = {day.isoformat(): units for day, units in days.items()}
        return Update(TABLE, self._member(customer_profile_oid), MEMBER, add=added)

    # --- redemptions -------------------------------------------------------------------------------------------------

    def redeemed(self, ledger_id: str, redemption: CustomerLoyaltyRedemption) -> Change:
        sk = f"{REDEMPTION}{redemption.redemption_dts}#{redemption.loyalty_redemption_oid}"
        return inserted(TABLE, self._key(ledger_id), sk, redemption)

    def redemptions(self, ledger_id: str, limit: int) -> list[CustomerLoyaltyRedemption]:
        """The latest first."""
        page = self._port.query(TABLE, self._key(ledger_id), prefix=REDEMPTION, limit=limit, descending=True)
        return [noun_of(record, CustomerLoyaltyRedemption) for record in page.records]

    # --- whose a certificate is --------------------------------------------------------------------------------------

    def addressed(self, email: str, oid: int) -> Change:
        """A row that finds the certificate by its owner's address."""
        return Put(TABLE, {PK: self._email(email), SK: str(oid)})

    def oids_by_email(self, email: str, limit: int) -> list[int]:
        """Those whose owner had that address once; who asks looks at the certificate itself."""
        page = self._port.query(TABLE, self._email(email), limit=limit, consistent=True)
        return [int(record[SK]) for record in page.records]

    def _key(self, ledger_id: str) -> str:
        return pk(self._merchant_id, ledger_id)

    def _member(self, oid: int) -> str:
        return pk(self._merchant_id, MEMBER, oid)

    def _email(self, email: str) -> str:
        return pk(self._merchant_id, "certificate_email", known_by(self._merchant_id, email))


def _entry_sk(seq: int) -> str:
    return f"{ENTRY}{seq:0{DIGITS}d}"
