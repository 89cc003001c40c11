"""What follows a decision besides its money: which notices are kept back, what is left out of the order, what the
customer may do and when; each with the setting that says so. For explain: the same rules act where it happens."""

from collections.abc import Iterator

from chalicelib.domain.cancellation import prohibited_until
from chalicelib.domain.dates import Instant
from chalicelib.domain.events import Template
from chalicelib.domain.made_orders import credited
from chalicelib.domain.mails import NO_EASY_CANCEL, kept_back
from chalicelib.domain.payments import FrozenPlan
from chalicelib.domain.rebills import Decision, Facts, Fail, Go, Reason, paid_for_one

# The notices that may follow a rebill, and a decline.
AFTER_A_REBILL: tuple[Template, ...] = ("receipt", "easy_cancel", "shipment")
AFTER_A_DECLINE: tuple[Template, ...] = ("update_billing", "disabled")


def reasons(facts: Facts, decision: Decision, shipped: Instant | None, now: Instant) -> Iterator[Reason]:
    """``shipped``: when anything of the auto order was shipped last, else billed."""
    settings = facts.settings
    notices: tuple[Template, ...] = ()
    match decision:
        case Go(plan=plan, kind="rebill"):
            notices = AFTER_A_REBILL + AFTER_A_DECLINE
            yield from _not_told(facts, plan)
            yield from _credited(facts)
            if facts.original.marketing is not None and settings.skip_third_party_marketing_emails:
                yield Reason(code="marketing_left_out", setting="skip_third_party_marketing_emails")
        case Fail():
            notices = AFTER_A_DECLINE
    yield from _refunds_others(facts)
    for template in notices:
        if kept := kept_back(template, settings, rebill=True, facts=no_easy_cancel(facts)):
            yield Reason(code="notice_kept_back", params={"notice": template}, setting=kept.setting)
    if facts.head.status == "active" and (day := prohibited_until(settings, shipped, now, facts.zone_name())):
        yield Reason(code="customer_may_cancel_later", params={"from": day}, setting="prohibit_cancellation_until_days")


def _not_told(facts: Facts, plan: FrozenPlan) -> Iterator[Reason]:
    """A higher price that came too late to be told a week ahead."""
    for line in plan.lines:
        progress = facts.head.state.items.get(str(line.oid))
        if progress is None or progress.paid is None or progress.warned >= line.occurrence:
            continue
        if (unit := paid_for_one(line, plan.currency)) > progress.paid:
            params = {"auto_order_item_oid": line.oid, "paid": progress.paid, "unit_cost": unit}
            yield Reason(code="higher_price_not_told", params=params)


def _refunds_others(facts: Facts) -> Iterator[Reason]:
    """What a refund of the original order leads to."""
    for line in facts.original.items or []:
        item = facts.items.get(line.merchant_item_id or "")
        if item and item.auto_order and item.auto_order.refund_other_auto_orders:
            params = {"item_id": item.merchant_item_id}
            yield Reason(code="refund_refunds_others", params=params, setting="refund_other_auto_orders")


def _credited(facts: Facts) -> Iterator[Reason]:
    """The affiliates that the order names."""
    setting = None if facts.auto_order.override_affiliate_id is None else "override_affiliate_id"
    for one in credited(facts) or []:
        params = {"affiliate_oid": one.affiliate_oid} | ({"sub_id": one.sub_id} if one.sub_id else {})
        yield Reason(code="affiliate_credited", params=params, setting=setting)


def no_easy_cancel(facts: Facts) -> dict[str, str]:
    """The item that wants no second mail: its link would cancel all of the auto order."""
    for entry in facts.auto_order.items or []:
        item = facts.items.get(entry.original_item_id or "")
        if item and item.auto_order and item.auto_order.auto_order_upsell_no_easy_cancel:
            return {NO_EASY_CANCEL: item.merchant_item_id or ""}
    return {}
