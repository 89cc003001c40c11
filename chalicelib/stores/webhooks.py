"""Webhook endpoints: all of a merchant's in one partition, since each event asks all of them."""

from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.domain.webhooks import MAXIMUM_WEBHOOKS, Webhook
from chalicelib.stores.port import Change, Cursor, TablePort
from chalicelib.stores.records import Versioned, inserted, noun_of, pk, removed, replaced, versioned

TABLE = "configuration"


class Webhooks:
    """One merchant's endpoints."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._key = pk(merchant_id, "webhook")

    def all(self) -> list[Versioned[Webhook]]:
        """Every endpoint, in the order of their oids' digits."""
        found: list[Versioned[Webhook]] = []
        cursor: Cursor | None = None
        while True:
            page = self._port.query(TABLE, self._key, cursor=cursor, consistent=True)
            found += [Versioned(noun_of(record, Webhook), int(record["version"])) for record in page.records]
            cursor = page.cursor
            if cursor is None:
                return found

    def find(self, oid: int) -> Versioned[Webhook] | None:
        return versioned(self._port.get(TABLE, self._key, str(oid), consistent=True), Webhook)

    def get(self, oid: int) -> Versioned[Webhook]:
        """Raises NotFound."""
        found = self.find(oid)
        if found is None:
            raise NotFound("webhook", oid)
        return found

    def inserted(self, webhook: Webhook) -> Change:
        """Raises Invalid where there are too many already (two at once may still both come in: the fan-out does not
        depend on the number)."""
        if len(self.all()) >= MAXIMUM_WEBHOOKS:
            raise Invalid.one("", "too_many", f"there are {MAXIMUM_WEBHOOKS} webhooks already; delete one first")
        return inserted(TABLE, self._key, str(webhook.webhook_oid), webhook)

    def replaced(self, webhook: Webhook, version: int) -> Change:
        return replaced(TABLE, self._key, str(webhook.webhook_oid), webhook, version)

    def removed(self, oid: int, version: int) -> Change:
        return removed(TABLE, self._key, str(oid), version)
