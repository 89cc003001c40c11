"""An order is shipped: what an update may say of it, and what it makes of the order. All else of an order stands."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.dates import Instant, local_date
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.made_orders import PAID_STAGE
from chalicelib.domain.orders import SHIPPED_STAGE, Order, OrderCurrentStageHistory, OrderShipping

# What an update of an order may change; a new address for orders to come is set on the auto order.
EDITABLE = ("/shipping/tracking_numbers", "/shipping/shipping_date", "/current_stage")


class Updated(msgspec.Struct, kw_only=True):
    """The order after an update; ``ships`` where that marked it shipped."""

    order: Order
    ships: bool


def updated(order: Order, raw: Any, now: Instant, zone_name: str) -> Updated | None:
    """The order with the request laid over it: tracking numbers, a shipping date, or the stage Completed Order mark a
    paid order shipped, once. None where nothing changes. Raises Invalid with all problems.
    """
    after = wire.overlay(order, raw)
    changes = list(_differences(wire.plain(order), wire.plain(after)))
    problems = [
        Problem(
            pointer=pointer,
            code="read_only",
            message="cannot be changed: an update can mark an order shipped by shipping.tracking_numbers, "
            "shipping.shipping_date or the current_stage Completed Order",
        )
        for pointer in changes
        if not pointer.startswith(EDITABLE)
    ]
    problems += _shipping_problems(order, after, changes, now, zone_name)
    if problems:
        raise Invalid(problems[: wire.MAXIMUM_PROBLEMS])
    if not changes:
        return None
    if order.current_stage == SHIPPED_STAGE or not _ships(after):
        return Updated(order=after, ships=False)
    history = OrderCurrentStageHistory(before_stage=order.current_stage, after_stage=SHIPPED_STAGE, transition_dts=now)
    shipping = after.shipping or OrderShipping()
    shipped = replace(
        after,
        current_stage=SHIPPED_STAGE,
        current_stage_histories=[*(after.current_stage_histories or []), history],
        shipping=replace(shipping, shipping_date=shipping.shipping_date or now),
    )
    return Updated(order=shipped, ships=True)


def _ships(after: Order) -> bool:
    shipping = after.shipping or OrderShipping()
    return bool(shipping.tracking_numbers or shipping.shipping_date or after.current_stage == SHIPPED_STAGE)


def _shipping_problems(
    order: Order, after: Order, changes: list[str], now: Instant, zone_name: str
) -> Iterator[Problem]:
    said = [pointer for pointer in changes if pointer.startswith(EDITABLE)]
    if said and order.current_stage not in (PAID_STAGE, SHIPPED_STAGE):
        message = f"the order is in {order.current_stage}: only a paid one, in {PAID_STAGE}, can be shipped"
        yield Problem(pointer=said[0], code="not_shippable", message=message)
    if "/current_stage" in said and after.current_stage != SHIPPED_STAGE:
        yield Problem(pointer="/current_stage", code="not_allowed_value", message=f"can be set to {SHIPPED_STAGE} only")
    if "/shipping/shipping_date" in said and after.shipping and after.shipping.shipping_date:
        day = local_date(after.shipping.shipping_date, zone_name)
        if day > local_date(now, zone_name):
            yield Problem(pointer="/shipping/shipping_date", code="future_date", message="must be today or earlier")
        elif order.creation_dts and day < local_date(order.creation_dts, zone_name):
            message = "must not be before the day that the order was placed"
            yield Problem(pointer="/shipping/shipping_date", code="past_date", message=message)


def _differences(before: Any, after: Any, pointer: str = "") -> Iterator[str]:
    """Where two objects differ; lists as wholes."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            yield from _differences(before.get(name), after.get(name), f"{pointer}/{name}")
    elif before != after:
        if isinstance(after, dict):
            yield from _differences({}, after, pointer)
        else:
            yield pointer
