"""Orders as they are kept: the document, and beside it a head while the order is not paid."""

from collections.abc import Sequence

from chalicelib.domain.consents import AutoOrderConsent
from chalicelib.domain.errors import NotFound
from chalicelib.domain.heads import Head
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import ClosedAttempt
from chalicelib.stores import heads
from chalicelib.stores.port import MAXIMUM_GET_MANY, MAXIMUM_PAGE, Change, Cursor, Present, Put, TablePort
from chalicelib.stores.records import DOCUMENT, Versioned, inserted, known_by, noun_of, pk, replaced, text_of, versioned
from chalicelib.stores.tables import PK, SK

TABLE = "orders"
MAXIMUM_ROWS = 200
CONSENT = "consent"
CUSTOMER = "customer"
# A row that leads to nothing any more.
GONE = "gone"


class Orders:
    """One merchant's orders."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def find(self, order_id: str) -> Versioned[Order] | None:
        return versioned(self._port.get(TABLE, pk(self._merchant_id, order_id), DOCUMENT, consistent=True), Order)

    def get(self, order_id: str) -> Versioned[Order]:
        """Raises NotFound."""
        found = self.find(order_id)
        if found is None:
            raise NotFound("order", order_id)
        return found

    def get_many(self, order_ids: list[str]) -> list[Order]:
        """Those that exist, in order."""
        found: list[Order] = []
        for start in range(0, len(order_ids), MAXIMUM_GET_MANY):
            keys = [(pk(self._merchant_id, oid), DOCUMENT) for oid in order_ids[start : start + MAXIMUM_GET_MANY]]
            found += [noun_of(record, Order) for record in self._port.get_many(TABLE, keys)]
        return found

    def read(self, order_id: str) -> tuple[Versioned[Order], Head | None]:
        """The order and its head, consistently. Raises NotFound."""
        key = pk(self._merchant_id, order_id)
        records = self._port.get_many(TABLE, [(key, DOCUMENT), (key, heads.HEAD)], consistent=True)
        by_sk = {str(record[SK]): record for record in records}
        order = versioned(by_sk.get(DOCUMENT), Order)
        if order is None:
            raise NotFound("order", order_id)
        return order, heads.head_of(by_sk[heads.HEAD]) if heads.HEAD in by_sk else None

    def placed(self, order: Order) -> Change:
        """A new order; refused where the id is taken."""
        return inserted(TABLE, pk(self._merchant_id, order.order_id), DOCUMENT, order)

    def begun(self, order_id: str, head: Head) -> Change:
        return heads.begun(TABLE, self._merchant_id, order_id, head)

    def consented(self, consent: AutoOrderConsent) -> Change:
        """What was agreed to with a new order: a row of its own, written once, so that no rebill reads it."""
        return inserted(TABLE, pk(self._merchant_id, consent.order_id), CONSENT, consent)

    def consent(self, order_id: str) -> AutoOrderConsent | None:
        found = self._port.get(TABLE, pk(self._merchant_id, order_id), CONSENT)
        return noun_of(found, AutoOrderConsent) if found else None

    def listed(self, order_id: str, customers: Sequence[str]) -> list[Change]:
        """The rows that find an order by what its customer is known by (``domain.customers.customer_names``). What an
        auto order makes has none: it is found by its auto order."""
        return [Put(TABLE, {PK: self._customer(name), SK: order_id}) for name in customers]

    def _customer(self, name: str) -> str:
        return pk(self._merchant_id, CUSTOMER, known_by(self._merchant_id, name))

    def unlisted(self, order_id: str, customers: Sequence[str]) -> list[Change]:
        """It is found by these names no more. The rows stay, for nobody may delete here."""
        return [Put(TABLE, {PK: self._customer(name), SK: order_id, GONE: 1}) for name in customers]

    def consented_by_nobody(self, consent: AutoOrderConsent) -> Change:
        """The record without who it was."""
        record = inserted(TABLE, pk(self._merchant_id, consent.order_id), CONSENT, consent).record
        return Put(TABLE, record, when=(Present(),))

    def of_customer(self, customers: Sequence[str]) -> list[str]:
        """The ids of the orders that a customer placed."""
        found: dict[str, None] = {}
        for name in customers:
            cursor: Cursor | None = None
            while True:
                page = self._port.query(TABLE, self._customer(name), limit=MAXIMUM_PAGE, cursor=cursor, consistent=True)
                found |= dict.fromkeys(str(row[SK]) for row in page.records if GONE not in row)
                cursor = page.cursor
                if cursor is None:
                    break
        return list(found)

    def moved(self, order_id: str, before: Head, after: Head) -> Change:
        return heads.moved(TABLE, self._merchant_id, order_id, before, after)

    def edited(self, order: Order, version: int) -> Change:
        return replaced(TABLE, pk(self._merchant_id, order.order_id), DOCUMENT, order, version)

    def closed(self, order_id: str, row: ClosedAttempt) -> Change:
        sk = _attempt_sk(row.attempt.run, row.attempt.tries)
        return Put(TABLE, {PK: pk(self._merchant_id, order_id), SK: sk, DOCUMENT: text_of(row)})

    def attempt(self, order_id: str, run: int, tries: int) -> ClosedAttempt | None:
        """What became of one attempt, where it did not pay for the order."""
        record = self._port.get(TABLE, pk(self._merchant_id, order_id), _attempt_sk(run, tries), consistent=True)
        return noun_of(record, ClosedAttempt) if record else None

    def attempts(self, order_id: str) -> list[ClosedAttempt]:
        page = self._port.query(TABLE, pk(self._merchant_id, order_id), prefix="attempt#", limit=MAXIMUM_ROWS)
        return [noun_of(record, ClosedAttempt) for record in page.records]


def _attempt_sk(run: int, tries: int) -> str:
    return f"attempt#{run:06d}#{tries:06d}"
