"""What a gateway says it has taken, and how far that agrees with the orders."""

from datetime import date
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta, field

from chalicelib.domain.dates import Instant
from chalicelib.domain.money import ZERO
from chalicelib.domain.wire import Noun

# Captures without an order that one report names; past it they are only counted.
MAXIMUM_HELD = 100

Verdict = Literal["matched", "repaired", "given_back", "returned"]


class Capture(msgspec.Struct, kw_only=True, frozen=True):
    """Money that was taken. ``refunded_dts``: when all of it was given back; ``returned_dts``: when the bank took it
    back, with the clearing house's code and its words."""

    key: str
    amount: Decimal
    currency_code: str
    order_id: str
    transaction_id: str
    captured_dts: Instant
    refunded_dts: Instant | None = None
    returned_dts: Instant | None = None
    return_code: str = ""
    return_reason: str = ""
    network_transaction_id: str | None = None


class CapturePage(msgspec.Struct, kw_only=True, frozen=True):
    """One page of what a gateway has taken. ``cursor`` leads to the next, None: there is none. ``problem``: why the
    gateway could not be read; the page is empty then and is to be asked for again."""

    captures: list[Capture]
    cursor: str | None = None
    problem: str | None = None


class Hint(msgspec.Struct, kw_only=True, frozen=True):
    """Which charge a gateway's own event is about: where to look, never what to believe. ``returned``: it says that a
    settled debit came back, so it is asked about though its order is paid."""

    key: str
    order_id: str
    returned: bool = False


class Held(msgspec.Struct, kw_only=True, frozen=True):
    """A capture that no order stands for, and why nothing is done about it by itself."""

    capture: Capture
    reason: str


class Reconciliation(Noun):
    """What a gateway account took since ``since_dts`` held against our orders, capture by capture: the day's report,
    and how far its walk has come.

    ``number_of_matched``: an order stands for it. ``number_of_repaired``: one does now. ``number_of_given_back``: all
    of it was refunded, before or now. ``number_of_returned``: the bank took it back, whenever it was taken.
    ``number_of_held``: none of these; ``held_captures`` names the first hundred. Together they are
    ``number_of_captures``. ``difference``, by currency: what was taken and neither given nor taken back, less what the
    orders say of it; 0 where all is well.

    Without ``finished_dts`` the walk goes on by itself. ``problem``: why the gateway could not be read at the last try.
    """

    own: ClassVar[frozenset[str]] = frozenset({"cursor", "number_of_visits"})

    gateway: str
    reconciliation_date: date
    since_dts: Instant
    until_dts: Instant
    finished_dts: Instant | None = None
    number_of_captures: int = 0
    number_of_matched: int = 0
    number_of_repaired: int = 0
    number_of_given_back: int = 0
    number_of_returned: int = 0
    number_of_held: int = 0
    difference: dict[str, Decimal] = field(default_factory=dict)
    held_captures: list[Held] = field(default_factory=list)
    problem: str | None = None
    cursor: str | None = None
    number_of_visits: int = 0

    def balanced(self) -> bool:
        """Everything that was taken is accounted for, to the coin."""
        return self.finished_dts is not None and not self.number_of_held and not any(self.difference.values())

    def counted(self, capture: Capture, verdict: Verdict | Held, ordered: Decimal = ZERO) -> None:
        """Add a capture with its verdict; ``ordered`` is what its order says was paid."""
        self.number_of_captures += 1
        match verdict:
            case "matched":
                self.number_of_matched += 1
            case "repaired":
                self.number_of_repaired += 1
            case "given_back":
                self.number_of_given_back += 1
            case "returned":
                self.number_of_returned += 1
            case Held():
                self.number_of_held += 1
                self.held_captures += [verdict] if len(self.held_captures) < MAXIMUM_HELD else []
        gone = verdict in ("given_back", "returned") or capture.returned_dts is not None
        kept = ZERO if gone else capture.amount
        currency = capture.currency_code
        self.difference[currency] = self.difference.get(currency, ZERO) + kept - ordered


class ReconciliationRequest(Noun):
    """Which gateway account is to be walked past now."""

    gateway: Annotated[str, Meta(min_length=1, max_length=30, description="The code of the account.")]
