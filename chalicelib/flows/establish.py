"""Establishing an auto order on an order that had none."""

from msgspec.structs import replace

from chalicelib.domain.errors import Contended, Refused
from chalicelib.domain.established import established
from chalicelib.domain.events import Happening
from chalicelib.domain.rebills import next_look
from chalicelib.domain.timeline import SYSTEM, TimelineEntry
from chalicelib.flows import edit
from chalicelib.flows.facts import facts_of
from chalicelib.flows.ports import Shop
from chalicelib.flows.purchase import auto_order_code

# An oid or a code that is taken by chance is drawn again; an order that others change is read again.
MOST_TRIES = 5


def establish(shop: Shop, reference_order_id: str, *, actor: str = SYSTEM) -> tuple[int, str]:
    """An auto order without items. Returns its oid and the id of the event. Raises NotFound, and Invalid with all that
    stands against it."""
    drawn: dict[int, str] = {}
    for _ in range(MOST_TRIES):
        kept, now = shop.orders.get(reference_order_id), shop.clock.now()
        if kept.noun.auto_order_oid in drawn:
            # Refused by our own write, whose answer got lost.
            return kept.noun.auto_order_oid or 0, drawn[kept.noun.auto_order_oid or 0]
        oid = next(shop.oids)
        document, head, order = established(kept.noun, now, oid, auto_order_code(shop))
        head = replace(head, due_dts=next_look(facts_of(shop, document, head, order), head, now))
        happenings = [
            Happening(name="auto_order_create", kind="auto_order", id=str(oid)),
            Happening(name="order_update", kind="order", id=reference_order_id),
        ]
        event = edit.happened(shop, oid, "established", head, now, happenings)
        drawn[oid] = event.event_id
        words = f"Established on {reference_order_id}, without items (by {actor})"
        entry = TimelineEntry(log_dts=now, kind="established", actor=actor, log_message=words)
        try:
            shop.write(
                *shop.auto_orders.begun(document, head),
                shop.orders.edited(order, kept.version),
                shop.auto_orders.logged(oid, entry, event.seq, event.event_id),
                shop.events.happened(event),
            )
        except Refused:
            continue
        return oid, event.event_id
    raise Contended("the order is being changed by others; try again")
