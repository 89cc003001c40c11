"""What a gateway says it has taken, and how far that agrees with the orders."""

from decimal import Decimal
from typing import Literal

import msgspec

from chalicelib.domain.dates import Instant
from chalicelib.domain.money import ZERO

# Captures without an order that one report names; past it they are only counted.
MAXIMUM_ROWS = 100

Verdict = Literal["matched", "repaired", "given_back"]


class Capture(msgspec.Struct, kw_only=True, frozen=True):
    """Money that was taken. ``refunded_dts``: when all of it was given back."""

    key: str
    amount: Decimal
    currency: str
    order_id: str
    transaction_id: str
    captured_dts: Instant
    refunded_dts: Instant | None = None
    network_transaction_id: str | None = None


class CapturePage(msgspec.Struct, kw_only=True, frozen=True):
    """One page of what a gateway has taken. ``cursor`` leads to the next, None: there is none. ``problem``: why the
    gateway could not be read; the page is empty then and is to be asked for again."""

    captures: list[Capture]
    cursor: str | None = None
    problem: str | None = None


class Hint(msgspec.Struct, kw_only=True, frozen=True):
    """Which charge a gateway's own event is about: where to look, never what to believe."""

    key: str
    order_id: str


class Held(msgspec.Struct, kw_only=True, frozen=True):
    """A capture that no order stands for, and why nothing is done about it by itself."""

    capture: Capture
    reason: str


class Reconciliation(msgspec.Struct, kw_only=True):
    """What a gateway took since ``since`` held against our orders, capture by capture.

    ``matched``: an order stands for it. ``repaired``: one does now. ``given_back``: all of it was refunded, before or
    now. ``held``: none of these; ``rows`` names them. Together they are ``captures``. ``difference``, by currency:
    what was taken and not given back, less what the orders say of it.

    ``problem``: why it stopped before the end, at ``cursor``; handed in again it goes on from there.
    """

    gateway: str
    since: Instant
    until: Instant
    captures: int = 0
    matched: int = 0
    repaired: int = 0
    given_back: int = 0
    held: int = 0
    difference: dict[str, Decimal] = {}
    rows: list[Held] = []
    cursor: str | None = None
    problem: str | None = None

    def balanced(self) -> bool:
        """Everything that was taken is accounted for, to the coin."""
        return self.problem is None and not self.held and not any(self.difference.values())

    def counted(self, capture: Capture, verdict: Verdict | Held, ordered: Decimal = ZERO) -> None:
        """Add a capture with its verdict; ``ordered`` is what its order says was paid."""
        self.captures += 1
        match verdict:
            case "matched":
                self.matched += 1
            case "repaired":
                self.repaired += 1
            case "given_back":
                self.given_back += 1
            case Held():
                self.held += 1
                self.rows += [verdict] if len(self.rows) < MAXIMUM_ROWS else []
        kept = ZERO if verdict == "given_back" else capture.amount
        self.difference[capture.currency] = self.difference.get(capture.currency, ZERO) + kept - ordered
