"""The head: the hot state of an auto order or of an unpaid order, an item of its own beside the document.

Every claim and every settling is one conditional write of it, so two open attempts cannot exist by construction.
"""

from datetime import date
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Literal

import msgspec

from chalicelib.domain.dates import Instant, later
from chalicelib.domain.payments import LEASE_SECONDS, SEND_WITHIN_SECONDS, Attempt
from chalicelib.domain.refunds import Refunded

# An auto order is active, canceled, disabled or merged; an order's head is unpaid until it is paid or closed.
Status = Literal["active", "canceled", "disabled", "merged", "unpaid", "paid", "closed"]


# What stands in each item of a state is written often and read by nobody else: short names keep the head in one KB.
SHORT = {
    "number_of_rebills": "rebills",
    "rebill_value": "value",
    "original_value": "original",
    "first_order_dts": "first",
    "last_order_dts": "last",
    "unit_cost_remaining": "cost_left",
    "anchor_day": "dom",
    "add_ons": "adds",
}


class ItemProgress(msgspec.Struct, kw_only=True, omit_defaults=True, rename=SHORT):
    """Where one item of an auto order stands. Occurrence ``at`` falls on the ``anchor`` itself; later ones are counted
    from there. ``billed`` is the last occurrence that is done with (in an order, or passed over as missed) and
    ``billed_day`` the date that it was scheduled for. ``next_day`` is the date of the one after, as it was told when
    that was settled: where the catalogue's pace changes it stays, and the new pace counts from it. ``anchor_day`` is
    the day of the month that months are counted by, where the anchor's own month was too short for it. ``paid`` is what
    was paid for one last, after discounts; ``warned`` the occurrence whose higher price was told last, ``noticed`` the
    one whose shipment was. ``add_ons``: item id to the orders that an add-on of this item still goes into; one that
    goes into every order is not counted."""

    anchor: date
    anchor_day: int | None = None
    at: int = 0
    billed: int = 0
    billed_day: date | None = None
    next_day: date | None = None
    number_of_rebills: int = 0
    rebill_value: Decimal = Decimal(0)
    original_value: Decimal = Decimal(0)
    first_order_dts: Instant | None = None
    last_order_dts: Instant | None = None
    unit_cost_remaining: int | None = None
    paid: Decimal | None = None
    warned: int = 0
    noticed: int = 0
    add_ons: dict[str, int] = {}


class State(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What every run may move, beside the numbers that conditions need."""

    items: dict[str, ItemProgress] = {}
    next_attempt: Instant | None = None
    failure_reason: str | None = None
    disabled_dts: Instant | None = None
    # Disabled by declines, not by somebody: an attempt by hand may still be made, and its success enables it again.
    failed: bool = False
    completed: bool = False
    cancel_after_next_x_orders: int | None = None
    last_run_date: date | None = None
    last_order_dts: Instant | None = None
    # The fingerprint of a card that the bank refused for good: never sent again until the card changes.
    refused_card: str | None = None
    # The hold that was announced last, so that it is announced once.
    held: str | None = None
    # Why the cancel item is still to be charged: somebody canceled, or the last try declined.
    cancel_item: Literal["canceled", "declined"] | None = None
    # The orders in Accounts Receivable that runs of this auto order became, oldest first.
    receivables: list[str] = []
    # Gateway accounts that have declined the round's charge already; the next one is another's.
    tried: list[str] = []
    # Of an order: the authorisation of a future amount that stays open.
    future_auth: str | None = None
    # Of an order: the totals that its open refund is to leave.
    refund: Refunded | None = None
    # The card and the month in which its end was announced last, so that it is announced once a month.
    card_told: str | None = None
    # When the open run was declined first: the discounts by retry count their days from it.
    first_decline_dts: Instant | None = None
    # Orders that each add-on of the whole auto order still goes into, by item id; what goes into all is not counted.
    add_ons: dict[str, int] = {}


class Head(msgspec.Struct, kw_only=True):
    """``run`` is the billing that comes next, from 1; ``round`` its declines so far (= credit_card_attempt); ``tries``
    counts its attempts, so that each has a key of its own; ``fence`` rises with every permission to send;
    ``revision`` with every edit."""

    status: Status
    revision: int = 0
    run: int = 1
    round: int = 0
    tries: int = 0
    fence: int = 0
    lease_until: Instant | None = None
    due_dts: Instant | None = None
    attempt: Attempt | None = None
    state: State = msgspec.field(default_factory=State)

    def leased(self, now: Instant) -> bool:
        return self.lease_until is not None and now < self.lease_until


def claimed(head: Head, attempt: Attempt, now: Instant) -> Head:
    """The head with the attempt open. Where the sweep's push has it looked at within the lease already, that stays."""
    lease = later(now, seconds=LEASE_SECONDS)
    due = head.due_dts if head.due_dts is not None and now < head.due_dts <= lease else lease
    return msgspec.structs.replace(
        head, attempt=attempt, fence=head.fence + 1, tries=attempt.tries, lease_until=lease, due_dts=due
    )


def reauthorised(head: Head, owner: str, now: Instant) -> Head:
    """The head with a fresh permission to send its open attempt: new fence, new owner, new lease."""
    if head.attempt is None:
        raise ValueError("there is no open attempt to authorise")
    lease = later(now, seconds=LEASE_SECONDS)
    attempt = msgspec.structs.replace(head.attempt, owner=owner, claimed_dts=now, look_dts=None)
    return msgspec.structs.replace(head, attempt=attempt, fence=head.fence + 1, lease_until=lease, due_dts=lease)


def may_send(attempt: Attempt, now: Instant) -> bool:
    """Within the time after the claim in which the owner may send without asking again."""
    return 0 <= (now - attempt.claimed_dts).total_seconds() <= SEND_WITHIN_SECONDS


def freed(head: Head, *, due: Instant | None) -> Head:
    """The head without an open attempt and lease, to be looked at again at ``due``."""
    return msgspec.structs.replace(head, attempt=None, lease_until=None, due_dts=due)


@lru_cache(maxsize=4096)
def shard_of(merchant_id: str, subject: str, shards: int) -> str:
    """The due shard of a record: spread by hash, two digits."""
    number = int.from_bytes(sha256(f"{merchant_id}#{subject}".encode()).digest()[:4], "big") % shards
    return f"{number:02d}"
