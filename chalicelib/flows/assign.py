"""An order is assigned to the affiliate who sent it: one transaction, one event. Nothing of its money changes."""

from msgspec.structs import replace

from chalicelib.domain.errors import Contended, Refused
from chalicelib.domain.events import Event, Happening, event_id
from chalicelib.domain.orders import OrderAffiliate
from chalicelib.domain.placing import OrderAssignToAffiliateRequest, assigned
from chalicelib.flows.ports import Shop
from chalicelib.flows.tell import told_now

# An assignment that met a faster writer is laid over what stands now.
MOST_TRIES = 5


def assign_to_affiliate(shop: Shop, order_id: str, request: OrderAssignToAffiliateRequest) -> None:
    """From now on the order, and each rebill to come of the auto order that it began, names this affiliate alone. Said
    twice it is done once. Raises NotFound, and Invalid where no affiliate is named by his id."""
    affiliates: list[OrderAffiliate] = assigned(request)
    for _ in range(MOST_TRIES):
        kept = shop.orders.get(order_id)
        if kept.noun.affiliates == affiliates:
            return
        event = Event(
            event_id=event_id(shop.merchant_id, f"order#{order_id}", f"edited#{kept.version}"),
            dts=shop.clock.now(),
            happenings=[Happening(name="order_update", kind="order", id=order_id)],
            seq=kept.version,
        )
        order = replace(kept.noun, affiliates=affiliates)
        try:
            shop.write(shop.orders.edited(order, kept.version), shop.events.happened(event))
        except Refused:
            continue
        told_now(shop, event.event_id)
        return
    raise Contended("the order is being changed by others; try again")
