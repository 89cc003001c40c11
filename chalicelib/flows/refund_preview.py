"""What a refund would come to, told before anything is given back."""

from msgspec.structs import replace

from chalicelib.domain import refunds
from chalicelib.domain.orders import Order
from chalicelib.domain.refunds import RefundPreview
from chalicelib.flows import edit, refund_others
from chalicelib.flows.ports import Shop
from chalicelib.flows.refund import why_manual


def preview(shop: Shop, order_id: str, request: Order | None) -> RefundPreview:
    """Of the request with what it leaves open, or without one of all that is left. Nothing is written. Raises NotFound,
    and Invalid with all problems of the request."""
    order = shop.orders.get(order_id).noun
    if why := refunds.why_not_refundable(order):
        return RefundPreview(why_not=why)
    wanted = refunds.asked(order, refunds.proposed(order, request)) if request else refunds.whole(order, "")
    told = refunds.preview(order, wanted)
    items = refunds.newly_refunded(order, refunds.applied(order, wanted, None))
    return replace(
        told,
        why_manual=why_manual(shop, order) if told.money else None,
        other_auto_orders=refund_others.rehearsed(shop, order, items) or None,
    )


def rehearse_cancel(shop: Shop, oid: int, *, by: str, reason: str | None) -> None:
    """Raises what canceling the auto order after the refund would raise; writes nothing."""
    document, head = shop.auto_orders.read(oid)
    if head.status in ("active", "disabled") and document.noun.canceled_dts is None:
        said = {"enabled": False, "canceled_by_user": by} | ({"cancel_reason": reason} if reason else {})
        edit.rehearsed(shop, oid, said)
