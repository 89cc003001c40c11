"""Edits of many auto orders in one request: at once, or one after the other by the workers."""

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

State = Literal["waiting", "done", "refused"]


class AutoOrderQueryBatch(Noun):
    auto_order_oids: list[Oid] | None = None


class AutoOrdersRequest(Noun):
    auto_orders: list[AutoOrder] | None = field(default=None, name="autoOrders")


class BatchEdit(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One edit of a batch, from when it was asked for to its end. ``body`` is the request's text for this auto order;
    ``word`` marks the asking: who asks for the same batch again begins it anew."""

    batch_id: str
    position: int
    auto_order_oid: int
    actor: str
    body: str
    word: str
    created_dts: Instant
    state: State = "waiting"
    ended_dts: Instant | None = None
    problems: list[Problem] = []


class BatchEntry(Noun):
    auto_order_oid: Oid | None = None
    state: State | None = None
    ended_dts: Instant | None = None
    problems: list[Problem] | None = None


class Batch(Noun):
    """How far a batch has come."""

    batch_id: Text50 | None = None
    created_dts: Instant | None = None
    number_of_auto_orders: int | None = None
    number_waiting: int | None = None
    number_done: int | None = None
    number_refused: int | None = None
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
    states = [edit.state for edit in edits]
    return Batch(
        batch_id=edits[0].batch_id,
        created_dts=min(edit.created_dts for edit in edits),
        number_of_auto_orders=len(edits),
        number_waiting=states.count("waiting"),
        number_done=states.count("done"),
        number_refused=states.count("refused"),
        auto_orders=[
            BatchEntry(
                auto_order_oid=edit.auto_order_oid,
                state=edit.state,
                ended_dts=edit.ended_dts,
                problems=edit.problems or None,
            )
            for edit in edits
        ],
    )
