"""Edits of many auto orders in one request, and actions on many: at once, or one after the other by the workers."""

from datetime import date
from typing import Any, Literal

import msgspec
from msgspec import field
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Oid, Text50
from chalicelib.domain.wire import Noun

# The contract's figures.
MOST_READ = 200
MOST_AT_ONCE = 20
MOST_LATER = 100
AT = "/autoOrders"
# An edit that could not be made for so long (its record always busy, say) is given up, and says so.
GIVEN_UP_SECONDS = 24 * 3600

# ``ready`` and ``unchanged``: what is looked at before it is done would be done, or has nothing to change.
State = Literal["waiting", "done", "refused", "ready", "unchanged"]


class AutoOrderQueryBatch(Noun):
    auto_order_oids: list[Oid] | None = None


class AutoOrdersRequest(Noun):
    auto_orders: list[AutoOrder] | None = field(default=None, name="autoOrders")


class BatchEdit(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One edit of a batch, from when it was asked for to its end. ``body`` is the request's text for this auto order;
    ``word`` marks the asking: who asks for the same batch again begins it anew. ``action``: what is done to it; then
    the body says how (``domain.actions``)."""

    batch_id: str
    position: int
    auto_order_oid: int
    actor: str
    body: str
    word: str
    created_dts: Instant
    action: str | None = None
    state: State = "waiting"
    ended_dts: Instant | None = None
    problems: list[Problem] = []
    shipment_date: date | None = None
    next_date: date | None = None


class BatchEntry(Noun):
    """``shipment_date``: of an action, the shipment that does not come as it was told; ``next_date``: when something
    comes then."""

    auto_order_oid: Oid | None = None
    state: State | None = None
    ended_dts: Instant | None = None
    problems: list[Problem] | None = None
    shipment_date: date | None = None
    next_date: date | None = None


class Batch(Noun):
    """How far a batch has come."""

    action: Text50 | None = None
    batch_id: Text50 | None = None
    created_dts: Instant | None = None
    number_of_auto_orders: int | None = None
    number_waiting: int | None = None
    number_done: int | None = None
    number_refused: int | None = None
    number_ready: int | None = None
    number_unchanged: int | None = None
    auto_orders: list[BatchEntry] | None = None


def wanted_oids(raw: Any) -> list[int]:
    """The oids of a batch that is read, each once, in order. Raises Invalid."""
    oids = wire.noun(raw, AutoOrderQueryBatch).auto_order_oids or []
    if not oids:
        raise Invalid.one("/auto_order_oids", "required", "is required: the oids of the auto orders")
    if len(oids) > MOST_READ:
        message = f"may name {MOST_READ} auto orders at most; these are {len(oids)}"
        raise Invalid.one("/auto_order_oids", "too_many", message)
    return list(dict.fromkeys(oids))


def wanted_edits(raw: Any, *, later: bool) -> list[tuple[int, dict[str, Any]]]:
    """(oid, request) of each edit. Raises Invalid with all problems of form."""
    entries = wire.noun(raw, AutoOrdersRequest).auto_orders or []
    most = MOST_LATER if later else MOST_AT_ONCE
    if not entries:
        raise Invalid.one(AT, "required", "is required: the auto orders to update, each with its auto_order_oid")
    if len(entries) > most:
        more = "" if later else f", or {MOST_LATER} with _async=true"
        raise Invalid.one(AT, "too_many", f"may hold {most} auto orders at most{more}; these are {len(entries)}")
    problems = []
    seen: set[int] = set()
    for position, entry in enumerate(entries):
        at = f"{AT}/{position}/auto_order_oid"
        if entry.auto_order_oid is None:
            problems.append(Problem(pointer=at, code="required", message="is required: which auto order is meant"))
        elif entry.auto_order_oid in seen:
            problems.append(Problem(pointer=at, code="conflict", message="stands there twice"))
        seen.add(entry.auto_order_oid or 0)
    if problems:
        raise Invalid(problems)
    return [(entry.auto_order_oid or 0, said) for entry, said in zip(entries, raw["autoOrders"], strict=True)]


def of_batch(position: int, problem: Problem) -> Problem:
    """What is wrong with one auto order, with its place in the batch."""
    return replace(problem, pointer=f"{AT}/{position}{problem.pointer}")


def told(edits: list[BatchEdit]) -> Batch:
    """How far edits have come that were left to the workers."""
    entries = [
        BatchEntry(
            auto_order_oid=edit.auto_order_oid,
            state=edit.state,
            ended_dts=edit.ended_dts,
            problems=edit.problems or None,
            shipment_date=edit.shipment_date,
            next_date=edit.next_date,
        )
        for edit in edits
    ]
    created = min(edit.created_dts for edit in edits)
    return replace(gathered(edits[0].action, entries), batch_id=edits[0].batch_id, created_dts=created)


def gathered(action: str | None, entries: list[BatchEntry]) -> Batch:
    """The entries, counted."""
    states = [entry.state for entry in entries]
    return Batch(
        action=action,
        number_of_auto_orders=len(entries),
        number_waiting=states.count("waiting"),
        number_done=states.count("done"),
        number_refused=states.count("refused"),
        number_ready=states.count("ready") if action else None,
        number_unchanged=states.count("unchanged") if action else None,
        auto_orders=entries,
    )
