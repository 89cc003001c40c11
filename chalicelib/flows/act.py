"""Acting on many auto orders: looked at first, then done at once or left to the workers. Each is a transaction of its
own with its own outcome; what cannot be done says why and holds up none of the others."""

from typing import Any

from chalicelib.domain import batches, wire
from chalicelib.domain.actions import Act, AutoOrderActionRequest, Effect, effect, wanted_acts
from chalicelib.domain.batches import Batch, BatchEdit, BatchEntry
from chalicelib.domain.dates import local_date
from chalicelib.domain.errors import Invalid, NotFound, Problem
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.timeline import SYSTEM
from chalicelib.flows import edit
from chalicelib.flows.ports import Shop


def look(shop: Shop, raw: Any) -> Batch:
    """What the request would do to each auto order now; nothing is written. Raises Invalid for its form."""
    request, acts = _wanted(shop, raw, dry=True)
    return batches.gathered(request.action, [_looked(shop, *pair) for pair in _pairs(request, acts)])


def _looked(shop: Shop, oid: int, act: Act) -> BatchEntry:
    try:
        stands = edit.standing(shop, oid)
        found = effect(act, stands.facts, stands.noun, stands.now)
        if found.said is not None:
            edit.laid_over(shop, stands, found.said, SYSTEM)
    except (Invalid, NotFound) as error:
        return _entry(oid, "refused", problems=_why(error))
    return _entry(oid, "unchanged" if found.said is None else "ready", found)


def act_now(shop: Shop, raw: Any, *, actor: str = SYSTEM) -> tuple[Batch, list[str]]:
    """Do it. Returns what came of each, and the ids of the events. Raises Invalid for the request's form."""
    request, acts = _wanted(shop, raw)
    entries, events = [], []
    for oid, one in _pairs(request, acts):
        try:
            event_id, found = act(shop, oid, one, actor=actor)
        except (Invalid, NotFound) as error:
            entries.append(_entry(oid, "refused", problems=_why(error)))
            continue
        events += [event_id] if event_id else []
        entries.append(_entry(oid, "done" if event_id else "unchanged", found))
    return batches.gathered(request.action, entries), events


def wanted_later(shop: Shop, raw: Any, *, actor: str) -> tuple[AutoOrderActionRequest, list[BatchEdit]]:
    """The edits of a batch of actions, for the workers. Raises Invalid for the request's form."""
    request, acts = _wanted(shop, raw, later=True)
    word, now = shop.word(), shop.clock.now()
    return request, [
        BatchEdit(
            batch_id=request.batch_id or word,
            position=position,
            auto_order_oid=oid,
            actor=actor,
            action=request.action,
            body=wire.to_json(one).decode(),
            word=word,
            created_dts=now,
        )
        for position, (oid, one) in enumerate(_pairs(request, acts))
    ]


def act(shop: Shop, oid: int, one: Act, *, actor: str = SYSTEM) -> tuple[str | None, Effect]:
    """Do it to one auto order, thought out on what stands. Returns the id of the event, if anything changed, and what
    it came to. Raises NotFound, and Invalid: why it cannot be done."""
    found: list[Effect] = []

    def think(stands: edit.Standing) -> edit.Thought | None:
        comes_to = effect(one, stands.facts, stands.noun, stands.now)
        found.append(comes_to)
        return None if comes_to.said is None else edit.laid_over(shop, stands, comes_to.said, actor)

    event_id = edit.change(shop, oid, think)
    return event_id, found[-1]


def _wanted(
    shop: Shop, raw: Any, *, dry: bool = False, later: bool = False
) -> tuple[AutoOrderActionRequest, list[Act]]:
    zone_name = shop.configuration.remembered(Merchant).zone_name()
    return wanted_acts(raw, dry=dry, later=later, today=local_date(shop.clock.now(), zone_name))


def _pairs(request: AutoOrderActionRequest, acts: list[Act]) -> list[tuple[int, Act]]:
    return [(entry.auto_order_oid, one) for entry, one in zip(request.auto_orders, acts, strict=True)]


def _entry(
    oid: int, state: batches.State, found: Effect | None = None, *, problems: list[Problem] | None = None
) -> BatchEntry:
    return BatchEntry(
        auto_order_oid=oid,
        state=state,
        shipment_date=found.shipment_date if found else None,
        next_date=found.next_date if found else None,
        problems=problems,
    )


def _why(error: Invalid | NotFound) -> list[Problem]:
    if isinstance(error, Invalid):
        return error.problems
    return [Problem(pointer="/auto_order_oid", code="unknown", message=str(error))]
