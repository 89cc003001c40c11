"""Nouns as clients read them: put together, and rendered with the blocks that were asked for."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import AutoOrder, AutoOrderEmail, AutoOrderManagement, assembled
from chalicelib.domain.heads import Head
from chalicelib.domain.links import UPDATE_BILLING_SECONDS
from chalicelib.domain.mails import shown_mail
from chalicelib.domain.orders import Order, OrderAutoOrder
from chalicelib.domain.rebills import rebill_order_id
from chalicelib.domain.timeline import log_of
from chalicelib.domain.wire import Form
from chalicelib.flows.facts import with_step_items
from chalicelib.flows.ports import Shop
from chalicelib.flows.timeline import timeline_of

# Rebill orders that one answer carries at most: ten years of months.
MAXIMUM_REBILL_ORDERS = 120
# Lines of the log that one answer carries, the latest; the timeline has all of them, page by page.
MAXIMUM_LOGS = 200
# Rebills whose receipts are looked for: two years of months, one query each.
MAXIMUM_MAILED_ORDERS = 24


def auto_orders(shop: Shop, oids: Sequence[int], expand: Iterable[str], form: Form) -> list[dict[str, Any]]:
    """Those that exist, in order, rendered."""
    found = shop.auto_orders.read_many(list(oids))
    return [_auto_order(shop, kept.noun, head, list(expand), form) for kept, head in found]


def auto_order(shop: Shop, oid: int, expand: Iterable[str], form: Form) -> tuple[dict[str, Any], int]:
    """One auto order, rendered, and its version. Raises NotFound."""
    kept, head = shop.auto_orders.read(oid)
    return _auto_order(shop, kept.noun, head, list(expand), form), kept.version


def _auto_order(shop: Shop, document: AutoOrder, head: Head, expand: list[str], form: Form) -> dict[str, Any]:
    oid, original_id = document.auto_order_oid or 0, document.original_order_id or ""
    items = {}
    if any(name.startswith("items") for name in expand):
        wanted = [entry.original_item_id or "" for entry in document.items or []]
        wanted += [entry.arbitrary_item_id for entry in document.items or [] if entry.arbitrary_item_id]
        items = with_step_items(
            shop, {i.merchant_item_id or "": i for i in shop.items.get_many(list(dict.fromkeys(wanted)))}
        )
    noun = assembled(document, head, items, form.zone_name, shop.clock.now(), future="items.future_schedules" in expand)
    if any(name.startswith("original_order") for name in expand):
        original = shop.orders.get(original_id).noun
        if "original_order.auto_order" in expand:
            original = replace(original, auto_order=auto_order_block(document, head))
        noun = replace(noun, original_order=original)
    if any(name.startswith("rebill_orders") for name in expand):
        first = max(1, head.run - MAXIMUM_REBILL_ORDERS)
        ids = [rebill_order_id(original_id, run) for run in range(first, head.run)]
        noun = replace(noun, rebill_orders=shop.orders.get_many(ids))
    if "logs" in expand:
        entries, _ = timeline_of(shop, document, head, MAXIMUM_LOGS)
        noun = replace(noun, logs=[log_of(entry) for entry in reversed(entries)])
    if "emails" in expand:
        noun = replace(noun, emails=emails(shop, document, head))
    if "management" in expand:
        noun = replace(noun, management=AutoOrderManagement(update_billing_url=update_billing_url(shop, oid)))
    return wire.render(noun, form, expand)  # type: ignore[no-any-return]  # a Struct renders as an object


def emails(shop: Shop, document: AutoOrder, head: Head) -> list[AutoOrderEmail]:
    """The mails about the auto order, those kept back too with the reason why, and those about its latest orders, the
    original one among them; oldest first."""
    original_id = document.original_order_id or ""
    runs = range(max(1, head.run - MAXIMUM_MAILED_ORDERS), head.run)
    subjects = [f"auto_order#{document.auto_order_oid}", f"order#{original_id}"]
    subjects += [f"order#{rebill_order_id(original_id, run)}" for run in runs]
    found = [mail for subject in subjects for mail in shop.mails.of(subject)]
    return [shown_mail(mail) for mail in sorted(found, key=lambda mail: (mail.created_dts, mail.mail_id))]


def update_billing_url(shop: Shop, oid: int) -> str:
    """Where the customer can set another card, for a while; whoever has the link can."""
    return shop.links.page("update_billing", token=shop.links.sign("update_billing", str(oid), UPDATE_BILLING_SECONDS))


def order(shop: Shop, noun: Order, expand: Iterable[str], form: Form) -> dict[str, Any]:
    """An order, rendered; its auto order block as it stands now where that is asked for."""
    names = list(expand)
    if "auto_order" in names:
        noun = replace(noun, auto_order=_auto_order_block(shop, noun))
    return wire.render(noun, form, names)  # type: ignore[no-any-return]


def _auto_order_block(shop: Shop, noun: Order) -> OrderAutoOrder | None:
    if noun.auto_order_oid is None:
        return None
    found = shop.auto_orders.read_many([noun.auto_order_oid])
    if not found:
        return None
    kept, head = found[0]
    return auto_order_block(kept.noun, head)


def auto_order_block(document: AutoOrder, head: Head) -> OrderAutoOrder:
    state = head.state
    return OrderAutoOrder(
        auto_order_oid=document.auto_order_oid,
        auto_order_code=document.auto_order_code,
        original_order_id=document.original_order_id,
        # The order's block knows no "merged" (the SDK refuses it): it is canceled there.
        status="canceled"
        if head.status == "merged"
        else head.status
        if head.status in ("active", "canceled", "disabled")
        else None,
        enabled=head.status == "active",
        credit_card_attempt=head.round,
        next_attempt=state.next_attempt,
        failure_reason=state.failure_reason,
        disabled_dts=state.disabled_dts,
        completed=state.completed or None,
        cancel_after_next_x_orders=state.cancel_after_next_x_orders,
        cancel_reason=document.cancel_reason,
        cancel_upgrade=document.cancel_upgrade,
        cancel_downgrade=document.cancel_downgrade,
        canceled_by_user=document.canceled_by_user,
        canceled_dts=document.canceled_dts,
    )
