"""Consolidating auto orders: the items of some move to another, each with its schedule and all that was billed of it.

An item keeps its oid, its anchor and its last billed occurrence, so each of its occurrences is billed once, here or
there. The sources' open runs are closed: a charge of theirs that is learnt of later is given back, for the target bills
what it was for.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from chalicelib.domain.auto_orders import MAXIMUM_ITEMS, AutoOrder, standing_add_ons
from chalicelib.domain.customers import normalised_email
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Oid
from chalicelib.domain.heads import Head, ItemProgress
from chalicelib.domain.orders import Order
from chalicelib.domain.wire import Noun

# One transaction writes all of it: four records for each of them and four for the target stay below its hundred.
MAXIMUM_SOURCES = 20
AT = "/source_auto_order_oids"


class AutoOrderConsolidate(Noun):
    source_auto_order_oids: Annotated[list[Oid], Meta(min_length=1, max_length=MAXIMUM_SOURCES)]


class Part(msgspec.Struct, kw_only=True, frozen=True):
    """One auto order that takes part, as it stands."""

    document: AutoOrder
    head: Head
    original: Order


def merged_already(source: Part, target_oid: int) -> bool:
    """Whether the same request has been here before: nothing is to be done with that one."""
    return source.head.status == "merged" and source.document.merged_into_auto_order_oid == target_oid


def refuse(target: Part, sources: Sequence[tuple[int, Part]]) -> None:
    """``sources``: each with its position in the request. Raises Invalid with all problems, each named."""
    problems = [Problem(pointer="", code=code, message=f"the target {words}") for code, words in _against(target)]
    for position, source in sources:
        at = f"{AT}/{position}"
        problems += [Problem(pointer=at, code=code, message=words) for code, words in _against(source)]
        if not _same_customer(target.original, source.original):
            message = "belongs to another customer than the target: neither profile nor e-mail is the same"
            problems.append(Problem(pointer=at, code="other_customer", message=message))
        if source.head.state.cancel_after_next_x_orders:
            message = "ends after cancel_after_next_x_orders: clear that first, for its items would not end with it"
            problems.append(Problem(pointer=at, code="cancel_after", message=message))
        if source.head.state.receivables:
            names = ", ".join(source.head.state.receivables)
            message = f"has unpaid orders in Accounts Receivable, which count for it when they are paid: {names}"
            problems.append(Problem(pointer=at, code="receivables", message=message))
        if standing_add_ons(source.document.add_ons, source.head.state.add_ons):
            message = "has add_ons of its own: clear them first, or give them to an item"
            problems.append(Problem(pointer=at, code="add_ons", message=message))
    count = sum(len(part.document.items or []) for part in [target, *(source for _, source in sources)])
    if count > MAXIMUM_ITEMS:
        message = f"together they have {count} items; an auto order may have {MAXIMUM_ITEMS}"
        problems.append(Problem(pointer=AT, code="too_many_items", message=message))
    if problems:
        raise Invalid(problems)


def _against(part: Part) -> Iterator[tuple[str, str]]:
    if part.head.status != "active":
        yield "not_active", f"must be active; it is {part.head.status}"
    if part.head.attempt is not None:
        yield "attempt_open", "has a charge whose outcome is not known yet: try again when it is"


def _same_customer(one: Order, other: Order) -> bool:
    if one.customer_profile_oid and one.customer_profile_oid == other.customer_profile_oid:
        return True
    emails = [order.billing.email if order.billing else None for order in (one, other)]
    return bool(emails[0] and emails[1]) and normalised_email(emails[0] or "") == normalised_email(emails[1] or "")


class Moved(msgspec.Struct, kw_only=True):
    """Document and head of one of them afterwards; the head's revision is still the one that was read."""

    document: AutoOrder
    head: Head


def consolidated(target: Part, sources: Sequence[Part], now: Instant, oids: Iterator[int]) -> tuple[Moved, list[Moved]]:
    """The target with all items, and each source without any. ``oids`` gives another one to an item whose own is
    taken in the target."""
    items = list(target.document.items or [])
    progress: dict[str, ItemProgress] = dict(target.head.state.items)
    emptied = []
    for source in sources:
        for entry in source.document.items or []:
            oid = entry.auto_order_item_oid or 0
            stands = source.head.state.items.get(str(oid))
            while str(oid) in progress:
                oid = next(oids)
            items.append(replace(entry, auto_order_item_oid=oid))
            if stands is not None:
                progress[str(oid)] = replace(stands)
        emptied.append(_emptied(source, target.document.auto_order_oid or 0, now))
    state = replace(target.head.state, items=progress)
    return Moved(document=replace(target.document, items=items), head=replace(target.head, state=state)), emptied


def _emptied(source: Part, target_oid: int, now: Instant) -> Moved:
    head = source.head
    state = replace(head.state, items={}, next_attempt=None, failure_reason=None, held=None, tried=[])
    return Moved(
        document=replace(source.document, items=[], merged_dts=now, merged_into_auto_order_oid=target_oid),
        head=replace(head, status="merged", run=head.run + 1, round=0, tries=0, lease_until=None, state=state),
    )
