"""All doors: the blueprints of every resource."""

from chalice.app import Blueprint

from chalicelib.handlers import auto_orders, orders

DOORS = (auto_orders.door, orders.door)


def blueprints() -> list[Blueprint]:
    return [door.blueprint for door in DOORS]
