"""What schedules and queues call: open the shop that a message names, and do the one thing."""

import logging
from collections.abc import Callable
from typing import Any

from chalicelib import wiring
from chalicelib.domain.errors import Invalid
from chalicelib.domain.mails import read_waiting_name
from chalicelib.flows import batches, gateway_events, ledgers, purchase
from chalicelib.flows import export_customers as exporting
from chalicelib.flows import import_customers as importing
from chalicelib.flows import reconcile as reconciling
from chalicelib.flows import sweep as sweeping
from chalicelib.flows.deliver import deliver as deliver_webhook
from chalicelib.flows.notify import send_mail
from chalicelib.flows.rebill import rebill as visit
from chalicelib.flows.tell import tell
from chalicelib.handlers.batch import drain

log = logging.getLogger(__name__)


def sweep(event: Any) -> int:
    """Every five minutes: what is due goes to the queue."""
    return sweeping.sweep(wiring.house().backroom(_time_left(event)))


def relay(event: Any) -> int:
    """Every minute: the outbox is told; due deliveries and mails go to their queue."""
    backroom = wiring.house().backroom(_time_left(event))
    told = sweeping.events_due(backroom, _tell)
    return told + sweeping.sweep_deliveries(backroom)


def _tell(merchant_id: str, event_id: str) -> None:
    tell(wiring.open_shop(merchant_id), event_id)


def reconcile_all(event: Any) -> int:
    """Every day: what the gateways took is to be held against the orders, merchant by merchant."""
    return reconciling.every_merchant(wiring.house().backroom(_time_left(event)))


def rebill(event: Any) -> dict[str, object]:
    """One due auto order, unpaid order, edit of a batch or ledger, or a payment that its gateway has told of."""
    time_left = _time_left(event)

    def handle(message: dict[str, str]) -> None:
        shop = wiring.open_shop(_field(message, "merchant_id"), time_left)
        kind, id_ = _field(message, "kind"), _field(message, "id")
        match kind:
            case "order":
                purchase.look_at(shop, id_)
            case sweeping.EDIT:
                batches.make(shop, id_)
            case gateway_events.HINT:
                gateway_events.look_into(shop, _field(message, "gateway"), id_, _field(message, "key"))
            case sweeping.LEDGER:
                ledgers.post_due(shop, id_)
            case _:
                visit(shop, int(id_))

    return drain(event, handle)


def reconcile(event: Any) -> dict[str, object]:
    """One merchant's walks past what its gateways took, or some way of one of them."""
    time_left = _time_left(event)

    def handle(message: dict[str, str]) -> None:
        shop = wiring.open_shop(_field(message, "merchant_id"), time_left)
        if "gateway" in message:
            reconciling.go_on(shop, message["gateway"], _field(message, "day"))
        else:
            reconciling.begin(shop)

    return drain(event, handle)


def deliver(event: Any) -> dict[str, object]:
    """One due webhook delivery or mail."""
    time_left = _time_left(event)

    def handle(message: dict[str, str]) -> None:
        shop = wiring.open_shop(_field(message, "merchant_id"), time_left)
        subject = _field(message, "subject")
        if mail := read_waiting_name(subject):
            send_mail(shop, *mail)
        else:
            webhook_oid, _, event_id = subject.partition("/")
            deliver_webhook(shop, int(webhook_oid), event_id)

    return drain(event, handle)


def files(event: Any) -> dict[str, object]:
    """Some way of one export or import."""
    time_left = _time_left(event)

    def handle(message: dict[str, str]) -> None:
        shop = wiring.open_shop(_field(message, "merchant_id"), time_left)
        go_on = exporting.go_on if _field(message, "kind") == exporting.EXPORT else importing.go_on
        go_on(shop, _field(message, "id"))

    return drain(event, handle)


def _field(message: dict[str, str], name: str) -> str:
    if name not in message:
        raise Invalid.one(f"/{name}", "required", "the message lacks it")
    return message[name]


def _time_left(event: Any) -> Callable[[], float]:
    context = getattr(event, "context", None)
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    if remaining is None:
        return lambda: wiring.FUNCTION_SECONDS
    return lambda: float(remaining()) / 1000
