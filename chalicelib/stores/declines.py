"""Declines of each card, for as long as a network's ceiling looks back: whoever charges it, they count together."""

from decimal import Decimal

from chalicelib.domain.access import key_hash
from chalicelib.domain.dates import Instant, later, parse_instant
from chalicelib.domain.networks import MOST_DECLINES, REMEMBERED_DAYS, CardDecline
from chalicelib.stores.port import Change, Put, TablePort
from chalicelib.stores.records import kept_for, pk
from chalicelib.stores.tables import PK, SK

TABLE = "documents"
KIND = "card_declines"


class CardDeclines:
    """One merchant's cards, by their fingerprint's hash."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def declined(self, fingerprint: str, key: str, amount: Decimal, now: Instant) -> Change:
        """One decline; the same attempt is the same row."""
        return Put(
            TABLE,
            {
                PK: self._key(fingerprint),
                SK: f"{now}#{key}",
                "amount": str(amount),
                **kept_for(REMEMBERED_DAYS, now),
            },
        )

    def of(self, fingerprint: str, now: Instant) -> list[CardDecline]:
        """The declines of the last 30 days, the latest ones: no ceiling counts more."""
        since = str(later(now, days=-REMEMBERED_DAYS))
        page = self._port.query(TABLE, self._key(fingerprint), at_least=since, limit=MOST_DECLINES, descending=True)
        return [
            CardDecline(dts=parse_instant(str(row[SK]).split("#", 1)[0]), amount=Decimal(str(row["amount"])))
            for row in page.records
        ]

    def _key(self, fingerprint: str) -> str:
        return pk(self._merchant_id, KIND, key_hash(fingerprint))
