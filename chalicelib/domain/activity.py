"""What a customer has done, put together from his orders, his auto orders' timelines and the mails to him."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chalicelib.domain.customers import (
    Activity,
    Customer,
    CustomerActivity,
    CustomerOrdersSummary,
    Metric,
    ModelProperty,
)
from chalicelib.domain.dates import Instant, instant
from chalicelib.domain.mails import SentMail
from chalicelib.domain.money import formatted, total_of
from chalicelib.domain.orders import Order
from chalicelib.domain.timeline import TimelineEntry

# Lines of one answer, the latest.
MOST_ACTIVITIES = 100
# The two spans that a metric compares.
SPAN = timedelta(days=30)
REJECTED = "Rejected"


def orders_summary(orders: Iterable[Order]) -> CustomerOrdersSummary:
    """Of all that were not rejected."""
    counted = [order for order in orders if order.current_stage != REJECTED]
    days = sorted(order.creation_dts for order in counted if order.creation_dts)
    return CustomerOrdersSummary(
        first_order_dts=days[0] if days else None,
        last_order_dts=days[-1] if days else None,
        order_count=len(counted),
        total=total_of(_total(order) for order in counted),
    )


def activity(
    customer: Customer,
    orders: Sequence[Order],
    lines: Iterable[tuple[int, TimelineEntry]],
    mails: Iterable[SentMail],
    now: Instant,
    currency: str,
) -> CustomerActivity:
    """``lines`` are of his auto orders, each with the oid."""
    found = [
        *(_ordered(order) for order in orders if order.creation_dts),
        *(_changed(oid, entry) for oid, entry in lines),
        *(_mailed(mail) for mail in mails if mail.send_dts),
    ]
    found.sort(key=lambda one: (one.ts or 0, one.uuid or ""), reverse=True)
    latest = found[0].ts if found else None
    return CustomerActivity(
        active=bool(found),
        activities=found[:MOST_ACTIVITIES],
        global_unsubscribed=bool(customer.do_not_send_mail),
        last_activity_dts=instant(datetime.fromtimestamp(latest / 1000, UTC)) if latest else None,
        metrics=_metrics([order for order in orders if order.current_stage != REJECTED], now, currency),
        properties_list=[
            ModelProperty(name=one.name, value=one.value) for one in customer.properties or [] if one.name
        ],
    )


def _ordered(order: Order) -> Activity:
    return Activity(
        action=f"Rebill {order.run}" if order.run else "Placed an order",
        channel="auto order" if order.run else "order",
        metric="Placed Order",
        subject=order.order_id,
        ts=_ts(order.creation_dts),
        type="order",
        uuid=f"order#{order.order_id}",
    )


def _changed(oid: int, entry: TimelineEntry) -> Activity:
    return Activity(
        action=entry.log_message or entry.kind,
        channel="auto order",
        metric="Auto Order",
        subject=str(oid),
        ts=_ts(entry.log_dts),
        type="auto_order",
        uuid=f"auto_order#{oid}#{entry.kind}#{entry.log_dts}",
    )


def _mailed(mail: SentMail) -> Activity:
    return Activity(
        action=mail.template.replace("_", " ").capitalize(),
        channel="email",
        metric="Received Email",
        subject=mail.subject,
        ts=_ts(mail.send_dts),
        type="email",
        uuid=mail.mail_id,
    )


def _metrics(orders: Sequence[Order], now: Instant, currency: str) -> list[Metric]:
    since, before = now - SPAN, now - 2 * SPAN
    spans = [
        list(orders),
        [order for order in orders if order.creation_dts and order.creation_dts > since],
        [order for order in orders if order.creation_dts and before < order.creation_dts <= since],
    ]
    counts = [Decimal(len(span)) for span in spans]
    totals = [total_of(_total(order) for order in span) for span in spans]
    return [
        _metric("Placed Order", "count", counts, [f"{count}" for count in counts]),
        _metric("Revenue", "currency", totals, [formatted(total, currency) for total in totals]),
    ]


def _metric(name: str, kind: str, values: Sequence[Decimal], words: Sequence[str]) -> Metric:
    return Metric(
        all_time=values[0],
        all_time_formatted=words[0],
        last_30=values[1],
        last_30_formatted=words[1],
        name=name,
        prior_30=values[2],
        prior_30_formatted=words[2],
        type=kind,
    )


def _total(order: Order) -> Decimal:
    return Decimal(order.summary.total or 0) if order.summary else Decimal(0)


def _ts(moment: Instant | None) -> int:
    return int(moment.timestamp() * 1000) if moment else 0
