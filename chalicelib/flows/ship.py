"""An order is marked shipped: one transaction, one event, one notice."""

from typing import Any

from chalicelib.domain.errors import Contended, Invalid, Refused, Stale
from chalicelib.domain.events import Event, Happening, Notice, event_id
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.shipments import Updated, updated
from chalicelib.flows import show
from chalicelib.flows.ports import Shop
from chalicelib.flows.tell import told_now

# An update that met a faster writer is laid over what stands now.
MOST_TRIES = 5


def update(shop: Shop, order_id: str, raw: Any, *, version: int | None = None) -> None:
    """Lay the request over the order as it stands. What changes nothing writes nothing and tells nobody, so the same
    request can be sent twice. Raises NotFound, Stale, and Invalid with all problems."""
    if not isinstance(raw, dict):
        raise Invalid.one("", "wrong_type", "the body must be an object")
    merchant = shop.configuration.section(Merchant).noun
    for _ in range(MOST_TRIES):
        kept = shop.orders.get(order_id)
        if version is not None and version != kept.version:
            raise Stale(f"The order is at version {kept.version} now.")
        said = {name: value for name, value in raw.items() if name != "auto_order"}
        if raw.get("auto_order") is not None:
            # Shown as it stands today, kept as it stood: sent back as it is shown, it says nothing.
            shown = show.order(shop, kept.noun, ["auto_order"], merchant.form()).get("auto_order")
            said |= {} if raw["auto_order"] == shown else {"auto_order": raw["auto_order"]}
        after = updated(kept.noun, said, shop.clock.now(), merchant.zone_name())
        if after is None:
            return
        event = _event(shop, order_id, after, kept.version)
        try:
            shop.write(shop.orders.edited(after.order, kept.version), shop.events.happened(event))
        except Refused:
            continue
        told_now(shop, event.event_id)
        return
    raise Contended("the order is being changed by others; try again")


def _event(shop: Shop, order_id: str, after: Updated, version: int) -> Event:
    names = ["order_ship", "order_stage_change"] if after.ships else ["order_update"]
    transition = "shipped" if after.ships else f"edited#{version}"
    return Event(
        event_id=event_id(shop.merchant_id, f"order#{order_id}", transition),
        dts=shop.clock.now(),
        happenings=[Happening(name=name, kind="order", id=order_id) for name in names],
        seq=version,
        notices=[Notice(template="shipment", kind="order", id=order_id)] if after.ships else [],
    )
