"""Consolidating auto orders: all of it in one transaction, or nothing. The same request again finds nothing to do."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.consolidation import (
    AT,
    AutoOrderConsolidate,
    Part,
    consolidated,
    merged_already,
    refuse,
)
from chalicelib.domain.errors import Contended, Invalid, NotFound, Problem, Refused
from chalicelib.domain.timeline import SYSTEM
from chalicelib.flows import edit
from chalicelib.flows.ports import Change, Shop

# An auto order that others change meanwhile is read again, with all the others.
MOST_TRIES = 5
# A transaction takes 4 MB; each document is written once, beside rows of a few KB.
MAXIMUM_BYTES = 3 * 1024 * 1024


def consolidate(shop: Shop, oid: int, raw: Any, *, actor: str = SYSTEM) -> list[str]:
    """Move the items of the sources to the target. Returns the ids of the events, none where it was done before.

    Raises NotFound for the target, and Invalid with all problems.
    """
    request = wire.noun(raw, AutoOrderConsolidate)
    _refuse_twice(oid, request.source_auto_order_oids)
    for _ in range(MOST_TRIES):
        target = edit.standing(shop, oid)
        sources = _standing(shop, request.source_auto_order_oids)
        todo = [(at, source) for at, source in sources if not merged_already(_part(source), oid)]
        if not todo:
            return []
        thoughts = _thought(shop, target, todo, actor)
        changes: list[Change] = [change for thought in thoughts for change in thought.changes]
        try:
            shop.write(*changes)
        except Refused:
            continue
        return [thought.event.event_id for thought in thoughts]
    raise Contended("one of the auto orders is being changed by others; try again")


def _refuse_twice(oid: int, sources: list[int]) -> None:
    problems = []
    for position, source in enumerate(sources):
        if source == oid:
            message = "is the target itself"
        elif sources.index(source) != position:
            message = "stands there twice"
        else:
            continue
        problems.append(Problem(pointer=f"{AT}/{position}", code="conflict", message=message))
    if problems:
        raise Invalid(problems)


def _standing(shop: Shop, oids: list[int]) -> list[tuple[int, edit.Standing]]:
    """Each with its position. Raises Invalid for those that are not there."""
    found, problems = [], []
    for position, oid in enumerate(oids):
        try:
            found.append((position, edit.standing(shop, oid)))
        except NotFound as error:
            problems.append(Problem(pointer=f"{AT}/{position}", code="unknown", message=str(error)))
    if problems:
        raise Invalid(problems)
    return found


def _part(stands: edit.Standing) -> Part:
    return Part(document=stands.document.noun, head=stands.facts.head, original=stands.original.noun)


def _thought(
    shop: Shop, target: edit.Standing, sources: Sequence[tuple[int, edit.Standing]], actor: str
) -> list[edit.Thought]:
    parts = [(position, _part(source)) for position, source in sources]
    refuse(_part(target), parts)
    size = sum(len(wire.kept(part.document)) for part in [_part(target), *(part for _, part in parts)])
    if size > MAXIMUM_BYTES:
        raise Invalid.one(AT, "too_large", f"together they have {size:,} bytes: consolidate fewer of them at a time")
    whole, emptied = consolidated(_part(target), [part for _, part in parts], target.now, shop.oids)
    known = {name: item for _, source in sources for name, item in source.facts.items.items()}
    names = ", ".join(str(source.oid) for _, source in sources)
    thoughts = [
        edit.composed(
            shop,
            target,
            document=whole.document,
            head=whole.head,
            facts=replace(target.facts, items={**known, **target.facts.items}),
            actor=actor,
            kind="consolidated",
            message=f"Consolidated: the items of {names} moved here",
        ),
        *(
            edit.composed(
                shop,
                source,
                document=moved.document,
                head=moved.head,
                actor=actor,
                kind="merged",
                message=f"Merged into {target.oid}",
            )
            for (_, source), moved in zip(sources, emptied, strict=True)
        ),
    ]
    return [thought for thought in thoughts if thought is not None]
