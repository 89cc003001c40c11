"""What each rotating gateway account has taken by day and month, and how often it declined in a row. Beside the day
totals, and added to in the same transaction."""

from collections.abc import Iterable
from datetime import date

from chalicelib.domain.money import from_minor_units
from chalicelib.domain.rotating import Usage
from chalicelib.stores.port import Change, TablePort, Update
from chalicelib.stores.records import pk
from chalicelib.stores.tables import PK, SK

TABLE = "lists"
KIND = "gateway"
FAILURES = "failures"


class GatewayUsage:
    """One merchant's accounts. Amounts are kept in the smallest coin of the shop's currency."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def of(self, codes: Iterable[str], day: date, currency_code: str) -> dict[str, Usage]:
        """The usage of each account on that local day and in its month, as of a moment ago: it follows the events."""
        names = list(dict.fromkeys(codes))
        month = day.isoformat()[:7]
        keys = [(self._key(code), sk) for code in names for sk in (day.isoformat(), month, FAILURES)]
        found = {(str(r[PK]), str(r[SK])): r for r in self._port.get_many(TABLE, keys)} if keys else {}

        def amount(code: str, sk: str, name: str) -> int:
            return int(found.get((self._key(code), sk), {}).get(name, 0))

        return {
            code: Usage(
                daily=from_minor_units(amount(code, day.isoformat(), "taken"), currency_code),
                daily_auto_order=from_minor_units(amount(code, day.isoformat(), "auto_orders"), currency_code),
                monthly=from_minor_units(amount(code, month, "taken"), currency_code),
                failures=amount(code, FAILURES, FAILURES),
            )
            for code in names
        }

    def took(self, code: str, day: date, units: int, *, auto_order: bool) -> list[Change]:
        """A charge was taken: added to its day and month; no declines in a row any more. Belongs into the transaction
        that marks the event as told, or it would be added twice."""
        amounts = {"taken": units} | ({"auto_orders": units} if auto_order else {})
        key = self._key(code)
        return [
            Update(TABLE, key, day.isoformat(), add=amounts),
            Update(TABLE, key, day.isoformat()[:7], add={"taken": units}),
            Update(TABLE, key, FAILURES, set={FAILURES: 0}),
        ]

    def declined(self, code: str) -> list[Change]:
        """One more decline in a row."""
        return [Update(TABLE, self._key(code), FAILURES, add={FAILURES: 1})]

    def _key(self, code: str) -> str:
        return pk(self._merchant_id, KIND, code)
