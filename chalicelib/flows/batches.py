"""Many auto orders edited or acted on by one request: up to twenty at once; up to a hundred one after the other, by the
workers.

Everything is thought through before anything is written, so a request that breaks a rule changes nothing. Each edit is
a transaction of its own; where one meets something new, those before it stand, and the same request again makes the
rest.
"""

from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import batches, wire
from chalicelib.domain.actions import Act, Effect
from chalicelib.domain.batches import AT, GIVEN_UP_SECONDS, Batch, BatchEdit, State, of_batch, wanted_edits
from chalicelib.domain.dates import later
from chalicelib.domain.errors import Invalid, NotFound, Problem, Refused
from chalicelib.domain.payments import LEASE_SECONDS
from chalicelib.domain.timeline import SYSTEM
from chalicelib.flows import act, edit
from chalicelib.flows.ports import Shop
from chalicelib.flows.sweep import BATCH, EDIT, REBILL_QUEUE

NOUN = "batch"


def update_many(shop: Shop, raw: Any, *, actor: str = SYSTEM) -> tuple[list[int], list[str]]:
    """Make all edits now. Returns the oids in order, and the ids of the events. Raises Invalid with all problems."""
    wanted = wanted_edits(raw, later=False)
    _refuse(shop, wanted)
    events = []
    for position, (oid, said) in enumerate(wanted):
        try:
            event_id = edit.update(shop, oid, said, actor=actor)
        except Invalid as invalid:
            raise Invalid([of_batch(position, problem) for problem in invalid.problems]) from None
        if event_id is not None:
            events.append(event_id)
    return [oid for oid, _ in wanted], events


def queue_many(shop: Shop, raw: Any, *, actor: str = SYSTEM) -> Batch:
    """Leave all edits to the workers. The same request again is the same batch, begun anew. Raises Invalid with all
    problems that there are now; what turns up later stands in the batch."""
    wanted = wanted_edits(raw, later=True)
    _refuse(shop, wanted)
    now, word = shop.clock.now(), shop.word()
    batch_id = sha256(wire.digest_text([shop.merchant_id, raw])).hexdigest()[:32]
    edits = [
        BatchEdit(
            batch_id=batch_id,
            position=position,
            auto_order_oid=oid,
            actor=actor,
            body=wire.to_json(said).decode(),
            word=word,
            created_dts=now,
        )
        for position, (oid, said) in enumerate(wanted)
    ]
    return _queued(shop, edits)


def queue_actions(shop: Shop, raw: Any, *, actor: str = SYSTEM) -> Batch:
    """Leave actions to the workers. A batch of that name is asked for once: the same request again only tells how far
    it has come. Raises Invalid for the request's form, and where another request has that name."""
    request, edits = act.wanted_later(shop, raw, actor=actor)
    begun = shop.batches.of(request.batch_id) if request.batch_id else []
    if not begun:
        try:
            return _queued(shop, edits, once=True)
        except Refused:  # the same name a moment before
            begun = shop.batches.of(edits[0].batch_id)
    if [(one.auto_order_oid, one.body) for one in begun] != [(one.auto_order_oid, one.body) for one in edits]:
        raise Invalid.one("/batch_id", "conflict", "is the name of another batch: choose a new one")
    return batches.told(begun)


def _queued(shop: Shop, edits: list[BatchEdit], *, once: bool = False) -> Batch:
    # A worker gets each by a message at once; the due index finds those that get lost on the way.
    batch_id, due = edits[0].batch_id, later(edits[0].created_dts, seconds=LEASE_SECONDS)
    shop.write(*(shop.batches.asked(one, due, once=once) for one in edits))
    messages = [{"merchant_id": shop.merchant_id, "kind": EDIT, "id": f"{batch_id}#{one.position}"} for one in edits]
    for start in range(0, len(messages), BATCH):
        shop.queue.send(REBILL_QUEUE, messages[start : start + BATCH])
    return batches.told(edits)


def make(shop: Shop, name: str) -> None:
    """Make one edit of a batch, by the name that its message or the due index has. Coming again is harmless."""
    batch_id, _, position = name.partition("#")
    one = shop.batches.find(batch_id, int(position)) if position.isdecimal() else None
    if one is None or one.state != "waiting":
        return
    now = shop.clock.now()
    problems: list[Problem] = []
    changed, effect = True, Effect(None)
    if (now - one.created_dts).total_seconds() > GIVEN_UP_SECONDS:
        problems = [Problem(pointer="", code="given_up", message="could not be made within a day; ask again")]
    else:
        try:
            if one.action is None:
                edit.update(shop, one.auto_order_oid, wire.parse(one.body.encode()), actor=one.actor)
            else:
                event_id, effect = act.act(shop, one.auto_order_oid, wire.load(one.body, Act), actor=one.actor)
                changed = event_id is not None
        except Invalid as invalid:
            problems = invalid.problems
        except NotFound as error:
            problems = [Problem(pointer="/auto_order_oid", code="unknown", message=str(error))]
    state: State = "refused" if problems else ("done" if changed else "unchanged")
    days = {"shipment_date": effect.shipment_date, "next_date": effect.next_date}
    ended = replace(one, state=state, problems=problems, ended_dts=now, **days)
    try:
        shop.write(shop.batches.ended(ended))
    except Refused:
        return  # asked for anew meanwhile: it is due again


def batch(shop: Shop, batch_id: str) -> Batch:
    """How far it has come. Raises NotFound."""
    edits = shop.batches.of(batch_id)
    if not edits:
        raise NotFound(NOUN, batch_id)
    return batches.told(edits)


def _refuse(shop: Shop, wanted: list[tuple[int, dict[str, Any]]]) -> None:
    """Raises Invalid with everything that stands against any of the edits now."""
    problems: list[Problem] = []
    for position, (oid, said) in enumerate(wanted):
        try:
            edit.rehearsed(shop, oid, said)
        except Invalid as invalid:
            problems += [of_batch(position, problem) for problem in invalid.problems]
        except NotFound as error:
            at = f"{AT}/{position}/auto_order_oid"
            problems.append(Problem(pointer=at, code="unknown", message=str(error)))
    if problems:
        raise Invalid(problems[: wire.MAXIMUM_PROBLEMS])
