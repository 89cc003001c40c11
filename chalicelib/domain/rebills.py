"""The rebill, thought through: ``plan`` says what is to be done at an instant and why; ``settle`` what an outcome makes
of it. Both are pure; the worker, explain and rehearsal call the very same functions.

A run is one billing of the auto order: it takes every item that is due on its local date into one order, and settling
advances exactly those items. While a run is open no other opens; each round plans anew.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from chalicelib.domain import cancel_items
from chalicelib.domain.auto_orders import (
    AutoOrder,
    AutoOrderAddonItem,
    AutoOrderItem,
    Cost,
    Occurrence,
    add_ons_at,
    advance,
    cost_of,
    counted_down,
    is_past_end,
    is_unknown,
    next_occurrence,
    occurrences,
    retry_days,
    standing_add_ons,
)
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.dates import Instant, instant, later, local_date, local_time, midnight, zone
from chalicelib.domain.heads import Head, ItemProgress, State
from chalicelib.domain.items import Item
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import quantise
from chalicelib.domain.networks import CardDecline, allowed_from, never_again, was_last
from chalicelib.domain.orders import Order, OrderPayment
from chalicelib.domain.payments import (
    NOT_SENT_AGAIN_SECONDS,
    ActionNeeded,
    Approved,
    Attempt,
    Declined,
    FrozenPlan,
    Kind,
    NotSent,
    PlanLine,
    Spend,
    StoredCard,
)
from chalicelib.domain.pricing import Line, Priced, Tables, Unpriceable, price
from chalicelib.domain.pricing_tiers import NOBODY, CustomerTerms
from chalicelib.domain.reports import CanceledItem
from chalicelib.domain.rotating import (
    CASCADE_DELAY_HOURS,
    Chosen,
    RotatingGateways,
    Usage,
    Wanted,
    choose,
    is_last,
    may_cascade,
)
from chalicelib.domain.schedule import add_months
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.shipping import ShippingSettings, ship_to
from chalicelib.domain.taxes import TaxSettings

# A hold (no shipping method, say) is looked at again after this long; the merchant was told when it began.
HELD_AGAIN_HOURS = 24
# An active auto order of which nothing comes (all paused, say) is looked at this often all the same: what is active
# stays in the due index, so that nothing that was forgotten stays forgotten.
IDLE_DAYS = 7
# Unpaid runs of one auto order that may wait in Accounts Receivable: each disables it, so somebody has restarted it as
# often. Past it a run that failed for good stays what it is: not billed.
MAXIMUM_RECEIVABLES = 20
# Before the first charge after a trial or at a higher price the customer is told this long ahead: what card networks
# ask of trials, and several laws of price changes.
PRICE_NOTICE_DAYS = 7
# The months in which the end of a card is told: the one before its last good month, and that month itself.
CARD_NOTICE_MONTHS = (-1, 0)
# So much of a card's fingerprint tells it from the customer's other cards.
CARD_MARK = 8
# What a head is held by while the catalogue's pause pushes it back: told once, not every day.
PUSHED_BACK = "item_pushed_back"
# The bank's words that a head carries; a gateway may be talkative, and the head is written with every step.
LONGEST_REASON = 200


class Facts(msgspec.Struct, kw_only=True):
    """All that a plan reads. ``items`` are catalogue items by id, ``coupons`` those that the original order names,
    ``usage`` what the rotating gateways have taken, ``declines`` those of the card (read where it is tried again),
    ``credit`` all of the customer's store credit (read where rebills are paid with it),
    ``terms`` those by which the customer buys."""

    merchant: Merchant
    settings: AutoOrderProcessing
    shipping: ShippingSettings
    taxes: TaxSettings
    auto_order: AutoOrder
    head: Head
    original: Order
    items: Mapping[str, Item]
    coupons: list[Coupon]
    rotation: RotatingGateways = msgspec.field(default_factory=RotatingGateways)
    usage: Mapping[str, Usage] = {}
    declines: list[CardDecline] = []
    credit: Spend | None = None
    terms: CustomerTerms = NOBODY

    def zone_name(self) -> str:
        return self.merchant.zone_name()


class Reason(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One rule that had a say: a code, its parameters, and the setting that decided (where one did)."""

    code: str
    params: dict[str, Any] = {}
    setting: str | None = None


class Look(msgspec.Struct, kw_only=True, tag="look"):
    """Nothing to do now; look again ``at`` (None: not at all, take it out of the due index)."""

    at: Instant | None


class Resolve(msgspec.Struct, kw_only=True, tag="resolve"):
    """An attempt is open: its outcome comes first."""


class Remind(msgspec.Struct, kw_only=True, tag="remind"):
    """The preshipment notice of these occurrences is due."""

    noticed: dict[str, int]
    day: date


class Rise(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One item that will cost more than what was paid for it last; both prices are of one, after discounts.
    ``occurrence`` is the first at that price; ``trial``: nothing of it was rebilled before."""

    oid: int
    occurrence: int
    item_id: str
    quantity: Decimal
    paid: Decimal
    unit_cost: Decimal
    trial: bool = False


class Forewarn(msgspec.Struct, kw_only=True, tag="forewarn"):
    """The notice of higher prices on that day is due."""

    rises: list[Rise]
    day: date


class CardExpires(msgspec.Struct, kw_only=True, tag="card_expires"):
    """The notice that the card will not do for long is due. ``month``: its last one, as in ``2027-03``; ``told``: the
    card and the month of the notice."""

    month: str
    told: str


class Hold(msgspec.Struct, kw_only=True, tag="hold"):
    """Due, but it cannot be billed until somebody mends something; not the card's fault, so no attempt is counted."""

    code: str
    message: str
    at: Instant


class Fail(msgspec.Struct, kw_only=True, tag="fail"):
    """A payment rule forbids the charge of this plan: counts as a decline, nothing is sent."""

    code: str
    message: str
    plan: FrozenPlan
    hard: bool = False


class Postpone(msgspec.Struct, kw_only=True, tag="postpone"):
    """Due, but the catalogue has paused the rebilling of these items (by oid): they are pushed back to that day."""

    items: list[str]
    day: date


class CloseRun(msgspec.Struct, kw_only=True, tag="close_run"):
    """The run lost all its items while it was open: it ends without a charge."""


class Go(msgspec.Struct, kw_only=True, tag="go"):
    """Charge this plan to this card (no card: it costs nothing)."""

    plan: FrozenPlan
    card: StoredCard | None
    kind: Kind = "rebill"


class Drop(msgspec.Struct, kw_only=True, tag="drop"):
    """The cancel item is not charged after all."""

    message: str


Decision = Look | Resolve | Remind | Forewarn | CardExpires | Hold | Fail | Postpone | CloseRun | Go | Drop


class Planned(msgspec.Struct, kw_only=True):
    """``priced``: what is due as it would be charged, also where a payment rule forbids that it is."""

    decision: Decision
    reasons: list[Reason]
    priced: FrozenPlan | None = None


class Due(msgspec.Struct, kw_only=True, frozen=True):
    """One item that is due: what of it is billed and how many missed occurrences are passed over; ``more``: others of
    it wait for the days to come."""

    entry: AutoOrderItem
    progress: ItemProgress
    occurrence: Occurrence
    skipped: int
    more: bool = False


# --- the processing window -------------------------------------------------------------------------------------------


def window_opening(moment: Instant, settings: AutoOrderProcessing, zone_name: str) -> Instant:
    """The moment itself where the window is open, else its next opening. Where the clocks are set back the window may
    open twice, where they are set forward its opening may not be on the clock: then it opens after the gap."""
    start, end = settings.window()
    if start == end or _within(local_time(moment, zone_name), start, end):
        return moment
    today = local_date(moment, zone_name)
    openings = [
        instant(datetime.combine(day, start, tzinfo=zone(zone_name)).replace(fold=fold))
        for day in (today, today + timedelta(days=1))
        for fold in (0, 1)
    ]
    return min(one for one in openings if one > moment and _within(local_time(one, zone_name), start, end))


def next_window(now: Instant, settings: AutoOrderProcessing, zone_name: str) -> tuple[Instant, Instant]:
    """When the processing window opens next, after now, and when it closes then. One that never closes opens at
    midnight, for that is when the day's items fall due."""
    start, end = settings.window()
    today = local_date(now, zone_name)
    opens, closes = now, now
    for day in (today, today + timedelta(days=1)):
        opens = instant(datetime.combine(day, start, tzinfo=zone(zone_name)))
        last = day if start < end else day + timedelta(days=1)
        closes = instant(datetime.combine(last, end, tzinfo=zone(zone_name)))
        if opens > now:
            break
    return opens, closes


def _within(clock: time, start: time, end: time) -> bool:
    return start <= clock < end if start < end else clock >= start or clock < end


# --- think, before anything is sent ----------------------------------------------------------------------------------


def plan(facts: Facts, now: Instant, *, by_hand: bool = False) -> Planned:
    """What is to be done with the auto order at this instant, and why.

    ``by_hand``: the merchant asked for the attempt now, so the window and the retry date do not hold it.
    """
    head, settings, zone_name = facts.head, facts.settings, facts.zone_name()
    reasons: list[Reason] = []
    if head.attempt is not None:
        reasons.append(Reason(code="attempt_open", params={"key": head.attempt.key, "since": head.attempt.claimed_dts}))
        return Planned(decision=Resolve(), reasons=reasons)
    owed = head.state.cancel_item is not None
    if head.status != "active" and not owed and not (by_hand and _failed(head)):
        reasons.append(Reason(code="not_active", params={"status": head.status}))
        return Planned(decision=Look(at=None), reasons=reasons)
    if head.leased(now) and head.lease_until is not None:
        reasons.append(Reason(code="leased", params={"until": head.lease_until}))
        return Planned(decision=Look(at=head.lease_until), reasons=reasons)
    if owed:
        return _cancel_item(facts, now, reasons)
    waiting = head.state.next_attempt
    if waiting is not None and now < waiting and not by_hand:
        cascades = bool(head.state.tried)
        reasons.append(
            Reason(
                code="next_gateway_later" if cascades else "retry_later",
                params={"next_attempt": waiting, "credit_card_attempt": head.round},
                setting="delay_rotating_transaction_gateway_cascade" if cascades else "delay_between_retries_days",
            )
        )
        at = waiting if cascades else window_opening(waiting, settings, zone_name)
        return Planned(decision=Look(at=at), reasons=reasons)
    due, pushed_back = due_items(facts, now, reasons)
    if not due:
        return _nothing_due(facts, now, reasons, pushed_back)
    opening = window_opening(now, settings, zone_name)
    if opening != now and not by_hand and not head.state.tried:
        reasons.append(Reason(code="window_closed", params={"opens": opening}, setting="window_start"))
        return Planned(decision=Look(at=opening), reasons=reasons)
    today = local_date(now, zone_name)
    if _billed_today(facts, today) and not by_hand:
        tomorrow = window_opening(midnight(today + timedelta(days=1), zone_name), settings, zone_name)
        reasons.append(
            Reason(code="one_order_a_day", params={"again": tomorrow}, setting="do_not_bill_prior_missed_shipments")
        )
        return Planned(decision=Look(at=tomorrow), reasons=reasons)
    if any(one.more for one in due):
        reasons.append(Reason(code="catching_up", setting="do_not_bill_prior_missed_shipments"))
    reasons += _last_attempt(facts, now)
    return _priced(facts, due, now, reasons)


def _last_attempt(facts: Facts, now: Instant) -> list[Reason]:
    """What a decline of the attempt that comes next would lead to, where it would be the last."""
    head, settings = facts.head, facts.settings
    if head.round + 1 < settings.retries():
        return []
    params = {"credit_card_attempt": head.round + 1}
    reasons = [Reason(code="last_attempt", params=params, setting="number_of_retries")]
    if settings.try_cancel_item_after_max_retries and cancel_lines(facts, now):
        reasons.append(Reason(code="then_cancel_item", setting="try_cancel_item_after_max_retries"))
    if settings.send_failures_to_accounts_receivable:
        reasons.append(Reason(code="then_receivable", setting="send_failures_to_accounts_receivable"))
    return reasons


def due_items(facts: Facts, now: Instant, reasons: list[Reason]) -> tuple[list[Due], list[str]]:
    """Every item that is due on the local date, one occurrence each; and the oids of those whose rebilling the
    catalogue has paused.

    Where several of one item are due, all but the latest are missed: passed over if the merchant does not bill
    missed shipments, else the oldest is billed and the rest wait for the days to come.
    """
    today = local_date(now, facts.zone_name())
    skips = bool(facts.settings.do_not_bill_prior_missed_shipments)
    found: list[Due] = []
    pushed_back: list[str] = []
    for entry in facts.auto_order.items or []:
        progress = facts.head.state.items.get(str(entry.auto_order_item_oid))
        if progress is None:
            continue
        oid = entry.auto_order_item_oid
        if entry.paused:
            reasons.append(Reason(code="item_paused", params={"auto_order_item_oid": oid}, setting="paused"))
            continue
        if is_unknown(entry, facts.items):
            reasons.append(Reason(code="item_unavailable", params={"item_id": entry.original_item_id}))
            continue
        _steps_for_kits(entry, facts, reasons)
        open_ones = _open(entry, progress, facts, today)
        if not open_ones:
            reasons.append(_why_not_due(entry, progress, facts))
            continue
        chosen = open_ones[-1] if skips else open_ones[0]
        if is_pushed_back(facts, entry, chosen):
            params = {"auto_order_item_oid": oid, "day": open_ones[0].day, "to": today + timedelta(days=1)}
            reasons.append(Reason(code="item_pushed_back", params=params, setting="auto_order_paused"))
            pushed_back.append(str(oid))
            continue
        skipped = len(open_ones) - 1 if skips else 0
        if skipped:
            reasons.append(
                Reason(
                    code="missed_passed_over",
                    params={"auto_order_item_oid": oid, "missed": skipped},
                    setting="do_not_bill_prior_missed_shipments",
                )
            )
        reasons.append(
            Reason(
                code="item_due",
                params={"auto_order_item_oid": oid, "day": chosen.day, "item_id": chosen.item_id},
            )
        )
        more = not skips and len(open_ones) > 1
        found.append(Due(entry=entry, progress=progress, occurrence=chosen, skipped=skipped, more=more))
    return found, pushed_back


def _steps_for_kits(entry: AutoOrderItem, facts: Facts, reasons: list[Reason]) -> None:
    item = facts.items.get(entry.original_item_id or "")
    if item is not None and item.steps_for_kits():
        params = {"auto_order_item_oid": entry.auto_order_item_oid, "steps": len(item.steps_for_kits())}
        reasons.append(Reason(code="kit_steps_passed_over", params=params, setting="type"))


def _why_not_due(entry: AutoOrderItem, progress: ItemProgress, facts: Facts) -> Reason:
    """It comes later, perhaps after a pause; or it has ended: by its 'no order after', or its steps are done."""
    coming = next(occurrences(entry, progress, facts.items.get(entry.original_item_id or ""), facts.zone_name()), None)
    params: dict[str, Any] = {"auto_order_item_oid": entry.auto_order_item_oid}
    if coming is None:
        return Reason(code="item_ended", params=params)
    if is_past_end(entry, coming, facts.zone_name()):
        return Reason(code="item_ended", params=params, setting="no_order_after_dts")
    params["next"] = coming.day
    if coming.pause is None:
        return Reason(code="item_not_due", params=params, setting="frequency" if entry.frequency else None)
    if coming.pause.type == "pause":
        return Reason(code="item_waits", params=params, setting="pause_days")
    by_day = coming.pause.pause_until_day_of_month is not None
    setting = "pause_until_day_of_month" if by_day else "pause_until_date"
    return Reason(code="item_waits", params=params, setting=setting)


def is_pushed_back(facts: Facts, entry: AutoOrderItem, occurrence: Occurrence) -> bool:
    """Whether the catalogue has paused rebilling: of the item that sets the schedule, or of the one that is sent."""
    items = (facts.items.get(name or "") for name in (entry.original_item_id, occurrence.item_id))
    return any(item is not None and item.rebilling_is_paused() for item in items)


def _open(entry: AutoOrderItem, progress: ItemProgress, facts: Facts, today: date) -> list[Occurrence]:
    """The occurrences of one item that are due by today, oldest first."""
    found: list[Occurrence] = []
    zone_name = facts.zone_name()
    for occurrence in occurrences(entry, progress, facts.items.get(entry.original_item_id or ""), zone_name):
        if occurrence.day > today or is_past_end(entry, occurrence, zone_name):
            break
        found.append(occurrence)
    return found


def _billed_today(facts: Facts, today: date) -> bool:
    """Whether this local day has had its order: while missed shipments are caught up, one a day is the most."""
    return not facts.settings.do_not_bill_prior_missed_shipments and facts.head.state.last_run_date == today


def _failed(head: Head) -> bool:
    """Disabled by declines, not by somebody: an attempt by hand may still be made."""
    return head.status == "disabled" and head.state.failed


def _nothing_due(facts: Facts, now: Instant, reasons: list[Reason], pushed_back: list[str]) -> Planned:
    head, coming = facts.head, _coming(facts, facts.head)
    unknown = _unknown(facts)
    if unknown and not coming:
        message = f"The item {unknown[0].original_item_id} is not in the catalogue any more."
        at = later(now, hours=HELD_AGAIN_HOURS)
        return Planned(decision=Hold(code="item_unavailable", message=message, at=at), reasons=reasons)
    if head.round or head.state.tried or head.state.next_attempt is not None:
        reasons.append(Reason(code="run_lost_its_items", params={"run": head.run}))
        return Planned(decision=CloseRun(), reasons=reasons)
    if pushed_back:
        tomorrow = local_date(now, facts.zone_name()) + timedelta(days=1)
        return Planned(decision=Postpone(items=pushed_back, day=tomorrow), reasons=reasons)
    if reminder := _reminder(facts, coming, now):
        reasons.append(Reason(code="preshipment_notice_due", params={"day": reminder.day}))
        return Planned(decision=reminder, reasons=reasons)
    if warning := _forewarning(facts, coming, now):
        reasons.append(Reason(code="price_notice_due", params={"day": warning.day, "items": len(warning.rises)}))
        return Planned(decision=warning, reasons=reasons)
    if card := _card_expires(facts, head, coming, now):
        reasons.append(Reason(code="card_notice_due", params={"month": card.month}))
        return Planned(decision=card, reasons=reasons)
    return Planned(decision=Look(at=_soonest(facts, head, coming, now, asked=True)), reasons=reasons)


def _reminder(facts: Facts, comes: list["Coming"], now: Instant) -> Remind | None:
    today = local_date(now, facts.zone_name())
    noticed: dict[str, int] = {}
    days: list[date] = []
    for one in comes:
        coming, ahead = one.occurrence, _notice_days(one.occurrence)
        if ahead is None or one.progress.noticed >= coming.number or one.pushed_back:
            continue
        if coming.day - timedelta(days=ahead) <= today:
            noticed[one.key] = coming.number
            days.append(coming.day)
    return Remind(noticed=noticed, day=min(days)) if noticed else None


def _forewarning(facts: Facts, coming: list["Coming"], now: Instant) -> Forewarn | None:
    """The next day within a week on which anything costs more than it did, where that has not been told."""
    today = local_date(now, facts.zone_name())
    for day in sorted({one.occurrence.day for one in coming}):
        soon = today < day <= today + timedelta(days=PRICE_NOTICE_DAYS)
        if soon and (rises := _rises(facts, facts.head, coming, day)):
            return Forewarn(rises=rises, day=day)
    return None


def _rises(facts: Facts, head: Head, coming: list["Coming"], day: date) -> list[Rise]:
    """What of that day's order costs more than was paid for it last and has not been told, priced as the order will be:
    by the steps, overrides, prices and coupons that hold on that day."""
    entries = {str(entry.auto_order_item_oid): entry for entry in facts.auto_order.items or []}
    due = [
        Due(entry=entries[one.key], progress=one.progress, occurrence=one.occurrence, skipped=0)
        for one in coming
        if one.occurrence.day == day
    ]
    if all(one.progress.paid is None or one.progress.warned >= one.occurrence.number for one in due):
        return []
    priced = _priced(replace(facts, head=head), due, midnight(day, facts.zone_name()), []).priced
    found: list[Rise] = []
    for line in priced.lines if priced else []:
        if line.add_on:
            continue
        progress, unit = head.state.items.get(str(line.oid)), paid_for_one(line, facts.merchant.currency())
        if progress is None or progress.paid is None or progress.warned >= line.occurrence or unit <= progress.paid:
            continue
        found.append(
            Rise(
                oid=line.oid,
                occurrence=line.occurrence,
                item_id=line.item_id,
                quantity=line.quantity,
                paid=progress.paid,
                unit_cost=unit,
                trial=progress.number_of_rebills == 0,
            )
        )
    return found


def paid_for_one(line: PlanLine, currency: str) -> Decimal:
    """What one of a line costs after its discount."""
    return quantise((line.unit_cost * line.quantity - line.discount) / line.quantity, currency)


def _card_expires(facts: Facts, head: Head, coming: list["Coming"], now: Instant) -> CardExpires | None:
    """The card's end, where it is to be told in this month and was not yet, and something comes that it will not pay
    for."""
    card = _card_month(facts, coming)
    if card is None:
        return None
    mark, last_good, month = card
    today = local_date(now, facts.zone_name())
    told = f"{mark}#{today.year:04d}-{today.month:02d}"
    in_time = any(_first_of(last_good, months) == today.replace(day=1) for months in CARD_NOTICE_MONTHS)
    if not in_time or told == head.state.card_told or not _comes_after(facts, head, last_good):
        return None
    return CardExpires(month=month, told=told)


def _card_month(facts: Facts, coming: list["Coming"]) -> tuple[str, date, str] | None:
    """The card's mark, the first day of the last month in which it is still taken, and the month at whose end it
    expires; None where there is no card whose end is known."""
    payment = facts.original.payment
    card = payment.credit_card if payment else None
    if payment is None or payment.payment_method == "eCheck" or card is None or card.stored_card is None:
        return None
    if not card.card_expiration_year or not card.card_expiration_month:
        return None
    ends = date(card.card_expiration_year, card.card_expiration_month, 1)
    months = _months_asked(facts, [one.occurrence.item_id for one in coming])
    return card.stored_card.fingerprint[:CARD_MARK], _first_of(ends, -months), f"{ends.year:04d}-{ends.month:02d}"


def _first_of(month: date, months: int) -> date:
    return add_months(month.replace(day=1), months)


def _comes_after(facts: Facts, head: Head, month: date) -> bool:
    """Whether anything is still to be billed after that month."""
    after, zone_name = _first_of(month, 1), facts.zone_name()
    for entry in facts.auto_order.items or []:
        progress = head.state.items.get(str(entry.auto_order_item_oid))
        if progress is None or entry.paused:
            continue
        ends = entry.no_order_after_dts
        if ends is not None and midnight(after, zone_name) > ends:
            continue
        coming = occurrences(entry, progress, facts.items.get(entry.original_item_id or ""), zone_name)
        if any(occurrence.day >= after for occurrence in coming):
            return True
    return False


def _notice_looks(facts: Facts, head: Head, coming: list["Coming"], now: Instant, *, asked: bool) -> list[Instant]:
    """When the prices of what comes are held against what was paid, and when the card's end is to be told: at the
    beginning of that week or month, or at once where it has begun and there is something to tell. ``asked``: it is
    known that there is nothing."""
    zone_name = facts.zone_name()
    today = local_date(now, zone_name)
    days = {
        one.occurrence.day
        for one in coming
        if one.progress.paid is not None and one.progress.warned < one.occurrence.number
    }
    looks: list[Instant] = []
    for day in days:
        begins = midnight(day - timedelta(days=PRICE_NOTICE_DAYS), zone_name)
        if begins > now:
            looks.append(begins)
        elif day > today and not asked and _rises(facts, head, coming, day):
            looks.append(now)
    if coming and (card := _card_month(facts, coming)):
        months = [midnight(_first_of(card[1], months), zone_name) for months in CARD_NOTICE_MONTHS]
        looks += [begins for begins in months if begins > now]
        if not asked and _card_expires(facts, head, coming, now):
            looks.append(now)
    return looks


def _notice_days(coming: Occurrence) -> int | None:
    return coming.step.preshipment_notice_days if coming.step else None


def _unknown(facts: Facts) -> list[AutoOrderItem]:
    """Items that would rebill if the catalogue knew them."""
    return [entry for entry in facts.auto_order.items or [] if not entry.paused and is_unknown(entry, facts.items)]


class Coming(msgspec.Struct, kw_only=True, frozen=True):
    """What comes next of one item. ``pushed_back``: the catalogue has paused its rebilling, so not on its day."""

    key: str
    progress: ItemProgress
    occurrence: Occurrence
    pushed_back: bool


def _coming(facts: Facts, head: Head) -> list[Coming]:
    """What comes next of each item that is neither paused nor ended."""
    found = []
    for entry in facts.auto_order.items or []:
        key = str(entry.auto_order_item_oid)
        progress = head.state.items.get(key)
        if progress is None or entry.paused:
            continue
        coming = next_occurrence(entry, progress, facts.items.get(entry.original_item_id or ""), facts.zone_name())
        if coming:
            pushed_back = is_pushed_back(facts, entry, coming)
            found.append(Coming(key=key, progress=progress, occurrence=coming, pushed_back=pushed_back))
    return found


def next_values(facts: Facts, now: Instant) -> list[CanceledItem]:
    """What the next rebill of each item would come to, goods alone; an item that has ended or is paused to nothing."""
    coming, zone_name = {one.key: one for one in _coming(facts, facts.head)}, facts.zone_name()
    found = []
    for entry in facts.auto_order.items or []:
        lost = Decimal(0)
        if one := coming.get(str(entry.auto_order_item_oid)):
            item = facts.items.get(one.occurrence.item_id)
            quantity = entry.arbitrary_quantity or entry.original_quantity or Decimal(1)
            cost = lost
            if item:
                each = cost_of(entry, one.progress, one.occurrence, item, now, zone_name, retry_days=None)
                cost = each.unit_cost * quantity
            off = cost * (entry.arbitrary_percentage_discount or Decimal(0)) / 100
            lost = quantise(cost - off, facts.merchant.currency())
        found.append(CanceledItem(item_id=entry.original_item_id or "", lost=lost))
    return found


def next_look(facts: Facts, head: Head, now: Instant) -> Instant | None:
    """The next instant at which anything is to be done while no attempt is open; None: it is not active and owes no
    cancel item, so never."""
    if head.state.cancel_item is not None:
        return now
    if head.status != "active":
        return None
    settings, zone_name = facts.settings, facts.zone_name()
    if head.state.next_attempt is not None:
        moment = max(head.state.next_attempt, now)
        return moment if head.state.tried else window_opening(moment, settings, zone_name)
    if head.state.tried:
        return now
    return _soonest(facts, head, _coming(facts, head), now, asked=False)


def _soonest(facts: Facts, head: Head, comes: list[Coming], now: Instant, *, asked: bool) -> Instant:
    """The first moment at which one of these is due, or something is to be told of it. ``asked``: it is known that
    there is nothing to tell now."""
    settings, zone_name = facts.settings, facts.zone_name()
    today = local_date(now, zone_name)
    tomorrow = today + timedelta(days=1)
    looks: list[Instant] = []
    for one in comes:
        day, coming = one.occurrence.day, one.occurrence
        if head.state.last_run_date == today and day <= today and not settings.do_not_bill_prior_missed_shipments:
            day = tomorrow
        looks.append(window_opening(max(midnight(day, zone_name), now), settings, zone_name))
        ahead = _notice_days(coming)
        if ahead is not None and one.progress.noticed < coming.number:
            soonest = midnight(tomorrow, zone_name) if one.pushed_back else now
            looks.append(max(midnight(coming.day - timedelta(days=ahead), zone_name), soonest))
    looks += _notice_looks(facts, head, comes, now, asked=asked)
    if _unknown(facts):
        looks.append(later(now, hours=HELD_AGAIN_HOURS))
    return min(looks) if looks else later(now, days=IDLE_DAYS)


def next_billing(facts: Facts, moment: Instant) -> Instant | None:
    """When more than a look or a notice is to be done, of an auto order that comes due at that moment. None where it
    will not come to that as it stands (all paused, say), however often it is looked at."""
    while True:
        match plan(facts, moment).decision:
            case Look(at=again) if again is not None and again > moment:
                if facts.head.state.next_attempt is None and not _coming(facts, facts.head):
                    return None
                moment = again
            case Remind() | Forewarn() | CardExpires() as reminder:
                facts = replace(facts, head=reminded(facts, reminder, moment))
                moment = facts.head.due_dts or moment
            case _:
                return moment


def _priced(facts: Facts, due: list[Due], now: Instant, reasons: list[Reason]) -> Planned:
    again = later(now, hours=HELD_AGAIN_HOURS)
    lines: list[Line] = []
    marks: list[dict[str, Any]] = []
    for one in due:
        item = facts.items.get(one.occurrence.item_id)
        if item is None or item.inactive:
            message = f"The item {one.occurrence.item_id} is not sold any more."
            reasons.append(Reason(code="item_unavailable", params={"item_id": one.occurrence.item_id}))
            return Planned(decision=Hold(code="item_unavailable", message=message, at=again), reasons=reasons)
        cost = _cost_of(facts, one, item, now, reasons)
        lines.append(_line_of(one, item, cost, reasons))
        marks.append({"day": one.occurrence.day, "override": cost.rule == "unit_cost_override"})
    for line in _add_ons(facts, due, now, reasons):
        lines.append(line)
        marks.append({"add_on": True})
    skip_coupons = bool(facts.settings.skip_coupons_from_original_order)
    if skip_coupons and facts.coupons:
        reasons.append(Reason(code="coupons_skipped", setting="skip_coupons_from_original_order"))
    priced = _price(facts, lines, [] if skip_coupons else facts.coupons, now)
    if isinstance(priced, Unpriceable):
        reasons.append(Reason(code=priced.code, params=dict(priced.params)))
        return Planned(decision=Hold(code=priced.code, message=priced.message, at=again), reasons=reasons)
    reasons += _told(priced)
    marked = [replace(line, **mark) for line, mark in zip(priced.plan.lines, marks, strict=True)]
    frozen = with_credit(replace(priced.plan, lines=marked), facts.credit)
    for spend in frozen.spends:
        params = {"amount": spend.amount, "rest": frozen.rest()}
        reasons.append(Reason(code="store_credit", params=params, setting="use_store_credit_for_rebills"))
    return replace(_payable(facts, frozen, now, reasons), priced=frozen)


def with_credit(frozen: FrozenPlan, credit: Spend | None) -> FrozenPlan:
    """The plan with as much of it paid by the customer's store credit as there is."""
    amount = min(credit.amount, frozen.total) if credit else Decimal(0)
    return replace(frozen, spends=[replace(credit, amount=amount)]) if credit and amount > 0 else frozen


def _price(facts: Facts, lines: list[Line], coupons: list[Coupon], now: Instant) -> Priced | Unpriceable:
    original = facts.original
    shipping = original.shipping
    return price(
        lines,
        ship_to(original.shipping, original.billing),
        shipping.shipping_method if shipping else None,
        lowest_cost=bool(facts.settings.ship_via_lowest_cost_method),
        tables=Tables(
            shipping=facts.shipping,
            taxes=facts.taxes,
            currency_code=facts.merchant.currency(),
            coupons=coupons,
        ),
        now=now,
        on_rebill=True,
        ignore_coupon_expiration=bool(facts.settings.ignore_coupon_expiration),
        terms=facts.terms,
    )


def _told(priced: Priced) -> list[Reason]:
    reasons = [Reason(code=note.code, params=dict(note.params), setting=note.setting) for note in priced.notes]
    reasons.append(Reason(code="total", params={"total": priced.plan.total, "currency": priced.plan.currency}))
    return reasons


def _cost_of(facts: Facts, one: Due, item: Item, now: Instant, reasons: list[Reason]) -> Cost:
    zone_name = facts.zone_name()
    days = retry_days(facts.head, now, zone_name)
    cost = cost_of(one.entry, one.progress, one.occurrence, item, now, zone_name, retry_days=days)
    params: dict[str, Any] = {"auto_order_item_oid": one.entry.auto_order_item_oid, "unit_cost": cost.unit_cost}
    if cost.rule == "unit_cost_override" and one.progress.unit_cost_remaining is not None:
        params["remaining_orders"] = one.progress.unit_cost_remaining
    if cost.rule == "retry_discount":
        params["retry_days"] = days
    reasons.append(Reason(code=cost.rule, params=params, setting=cost.setting))
    return cost


# Fields of an auto order's item that its line shows, and what is said of them.
_OVERRIDES = (
    ("quantity_override", "arbitrary_quantity"),
    ("item_override", "arbitrary_item_id"),
    ("days_override", "arbitrary_schedule_days"),
    ("options", "options"),
    ("properties", "properties"),
)


def _line_of(one: Due, item: Item, cost: Cost, reasons: list[Reason]) -> Line:
    entry = one.entry
    for code, name in _OVERRIDES:
        value = getattr(entry, name)
        if value:
            params = {"auto_order_item_oid": entry.auto_order_item_oid}
            said = len(value) if isinstance(value, list) else value
            reasons.append(Reason(code=code, params={**params, name: said}, setting=name))
    tab = item.auto_order
    return Line(
        item=item,
        quantity=entry.arbitrary_quantity or entry.original_quantity or Decimal(1),
        unit_cost=cost.unit_cost,
        oid=entry.auto_order_item_oid or 0,
        occurrence=one.occurrence.number,
        skipped=one.skipped,
        percentage_discount=entry.arbitrary_percentage_discount or Decimal(0),
        set_by_hand=cost.rule == "unit_cost_override",
        free_shipping=bool(tab and tab.free_shipping_auto_order),
    )


def _add_ons(facts: Facts, due: list[Due], now: Instant, reasons: list[Reason]) -> list[Line]:
    """What comes along: with the items that are due, then with the whole order. One that is not sold any more is left
    out (it is no reason to hold what the customer waits for) and counts no order."""
    found: list[Line] = []
    for oid, add_on in add_ons_of(facts, [one.entry.auto_order_item_oid or 0 for one in due]):
        params = {"item_id": add_on.item_id, "auto_order_item_oid": oid} if oid else {"item_id": add_on.item_id}
        item = facts.items.get(add_on.item_id or "")
        if item is None or item.inactive:
            reasons.append(Reason(code="add_on_unavailable", params=params, setting="add_ons"))
            continue
        if add_on.next_x_orders is not None:
            params |= {"remaining_orders": add_on.next_x_orders}
        reasons.append(Reason(code="add_on", params=params, setting="add_ons"))
        cost = add_on.arbitrary_unit_cost
        found.append(
            Line(
                item=item,
                quantity=Decimal(add_on.quantity or 1),
                unit_cost=item.unit_cost(now, on_auto_order=True) if cost is None else cost,
                oid=oid,
                free_shipping=bool(add_on.free_shipping),
                set_by_hand=cost is not None,
            )
        )
    return found


def add_ons_of(facts: Facts, oids: list[int]) -> list[tuple[int, AutoOrderAddonItem]]:
    """The add-ons of an order with these items, each with the oid of its item; 0 for those of the whole order."""
    state, found = facts.head.state, []
    for oid in [*oids, 0]:
        progress = state.items.get(str(oid))
        left = (progress.add_ons if progress else {}) if oid else state.add_ons
        found += [(oid, add_on) for add_on in standing_add_ons(add_ons_at(facts.auto_order, oid), left)]
    return found


def left_out(facts: Facts, attempt: Attempt) -> list[str]:
    """The add-ons (item ids) that should have been in the order of the attempt and were not to be had. ``facts``: as
    they were before it is settled; none where somebody has edited the auto order since."""
    if attempt.kind != "rebill" or facts.head.revision != attempt.revision:
        return []
    billed = [line.oid for line in attempt.plan.lines if not line.add_on]
    along = {(line.oid, line.item_id) for line in attempt.plan.lines if line.add_on}
    return [add_on.item_id or "" for oid, add_on in add_ons_of(facts, billed) if (oid, add_on.item_id) not in along]


def _payable(facts: Facts, frozen: FrozenPlan, now: Instant, reasons: list[Reason]) -> Planned:
    """The payment rules: all that can fail before anything is sent."""
    if frozen.rest() == 0:
        reasons.append(Reason(code="nothing_to_charge"))
        return Planned(decision=Go(plan=frozen, card=None), reasons=reasons)
    payment = facts.original.payment
    stored = payment.stored() if payment else []
    if payment is None or not stored:
        return _failing(frozen, reasons, "no_card", "There is no card to charge.")
    if facts.head.state.refused_card == stored[0].fingerprint:
        message = "The bank refused this card for good; another is needed."
        return _failing(frozen, reasons, "card_refused", message, hard=True)
    if payment.payment_method == "eCheck" and facts.settings.prohibit_echecks:
        message = "E-checks are not accepted for auto orders."
        return _failing(frozen, reasons, "echeck_prohibited", message, setting="prohibit_echecks")
    card_type = payment.card_type()
    restricted = facts.settings.restricts(card_type) if card_type else None
    if restricted:
        message = f"{card_type} is not accepted for auto orders."
        return _failing(frozen, reasons, "card_type_restricted", message, setting=restricted)
    if expires := _expires(facts, frozen, payment, now):
        message, setting = expires
        return _failing(frozen, reasons, "card_expires", message, setting=setting)
    free = allowed_from(card_type, frozen.rest(), facts.declines, now)
    if free is not None:
        reasons.append(Reason(code="network_ceiling", params={"card_type": card_type, "free": free}))
        return Planned(decision=Look(at=free), reasons=reasons)
    chosen = _gateway(facts, frozen, now, facts.head.state.tried)
    if chosen is None:
        return Planned(decision=Go(plan=frozen, card=stored[0]), reasons=reasons)
    reasons += [Reason(code=code, params=params, setting=setting) for code, params, setting in chosen.notes]
    return Planned(decision=Go(plan=frozen, card=chosen.card), reasons=reasons)


def _expires(facts: Facts, frozen: FrozenPlan, payment: OrderPayment, now: Instant) -> tuple[str, str | None] | None:
    """Why the card's expiration forbids the charge, and the setting, where one did: an expired card always does."""
    card = payment.credit_card
    if payment.payment_method == "eCheck" or card is None:
        return None
    if not (card.card_expiration_year and card.card_expiration_month):
        return None
    months = _months_asked(facts, [line.item_id for line in frozen.lines])
    local = local_date(now, facts.zone_name())
    left = (card.card_expiration_year - local.year) * 12 + card.card_expiration_month - local.month
    if left >= months:
        return None
    message = "The card has expired." if left < 0 else f"The card expires in {left} months."
    return message, "prohibit_credit_cards_that_expire_in_months" if months else None


def _gateway(facts: Facts, frozen: FrozenPlan, now: Instant, tried: list[str]) -> Chosen | None:
    """The account that takes the plan's charge, of those that have not declined it yet."""
    payment, checkout = facts.original.payment, facts.original.checkout
    if payment is None:
        return None
    wanted = Wanted(
        subject=f"auto_order#{facts.auto_order.auto_order_oid}",
        run=facts.head.run,
        round=facts.head.round,
        day=local_date(now, facts.zone_name()),
        total=frozen.rest(),
        currency=frozen.currency,
        cards=payment.stored(),
        card_type=payment.card_type(),
        theme=checkout.screen_branding_theme_code if checkout else None,
        auto_order=True,
        same=bool(facts.settings.use_same_rotating_transaction_gateway_for_rebills),
        original=payment.rotating_transaction_gateway_code,
        named=facts.auto_order.rotating_transaction_gateway_code,
        of_items=gateways_of_items([facts.items.get(line.item_id) for line in frozen.lines]),
        tried=tried,
    )
    return choose(facts.rotation, facts.usage, wanted)


def gateways_of_items(items: Iterable[Item | None]) -> list[str]:
    """The accounts that the first item names which names any."""
    for item in items:
        named = item.payment_processing.rotating_transaction_gateway_codes if item and item.payment_processing else None
        if named:
            return named
    return []


def _months_asked(facts: Facts, item_ids: list[str]) -> int:
    """The months that a card must still be good for: the section's figure, or an item's where that is higher; an
    item's zero switches the rule off for it."""
    section = facts.settings.prohibit_credit_cards_that_expire_in_months or 0
    wanted = []
    for item_id in item_ids:
        item = facts.items.get(item_id)
        own = item.auto_order.auto_order_prohibit_expiring_cards if item and item.auto_order else None
        wanted.append(section if own is None else (0 if own == 0 else max(own, section)))
    return max(wanted, default=section)


def _failing(
    frozen: FrozenPlan,
    reasons: list[Reason],
    code: str,
    message: str,
    *,
    hard: bool = False,
    setting: str | None = None,
) -> Planned:
    reasons.append(Reason(code=code, setting=setting))
    return Planned(decision=Fail(code=code, message=message, plan=frozen, hard=hard), reasons=reasons)


# --- the cancel item -------------------------------------------------------------------------------------------------


def cancel_lines(facts: Facts, now: Instant) -> list[Line]:
    """One line for each cancel item that is owed. One that the catalogue lacks costs nothing."""
    lines: list[Line] = []
    for one in cancel_items.owed(facts.auto_order.items or [], facts.head.state, facts.items):
        item = facts.items.get(one.tab.auto_order_cancel_item_id or "")
        if item is not None:
            cost = cancel_items.cost(one, item, facts.items, now, facts.zone_name())
            lines.append(Line(item=item, quantity=Decimal(1), unit_cost=cost, set_by_hand=True))
    return lines


def _cancel_item(facts: Facts, now: Instant, reasons: list[Reason]) -> Planned:
    """The charge of the cancel item: at once, whatever the window, and never twice."""
    setting = "auto_order_cancel_item_id"
    if facts.head.state.cancel_item == "declined":
        setting = "try_cancel_item_after_max_retries"
    lines = cancel_lines(facts, now)
    reasons.append(Reason(code="cancel_item_owed", params={"items": len(lines)}, setting=setting))
    if not lines:
        reasons.append(Reason(code="cancel_item_minimums_met"))
        return Planned(decision=Drop(message="No cancel item is owed."), reasons=reasons)
    priced = _price(facts, lines, [], now)
    if isinstance(priced, Unpriceable):
        reasons.append(Reason(code=priced.code, params=dict(priced.params)))
        return Planned(decision=Drop(message=priced.message), reasons=reasons)
    reasons += _told(priced)
    planned = _payable(facts, priced.plan, now, reasons)
    match planned.decision:
        case Go() as go:
            planned.decision = replace(go, kind="cancel_item")
        case Fail(message=message):
            planned.decision = Drop(message=message)
    return planned


# --- think, after an outcome -----------------------------------------------------------------------------------------


class Settled(msgspec.Struct, kw_only=True):
    """What an outcome makes of the head. ``outcome``: ``paid`` makes an order, the others an attempt row.
    ``late``: captured though the auto order is no longer active. ``cascades``: another gateway account is tried, in the
    same round. ``receivable``: the plan that becomes an unpaid order in Accounts Receivable."""

    head: Head
    outcome: Literal["paid", "declined", "not_sent", "not_charged"]
    disabled: bool = False
    ended: bool = False
    late: bool = False
    cascades: bool = False
    receivable: FrozenPlan | None = None


class Billing(msgspec.Struct, kw_only=True, frozen=True):
    """A run as it was thought out: its plan, when, and whether the auto order was edited since."""

    run: int
    plan: FrozenPlan
    day: date
    edited: bool = False


def billing_of(facts: Facts, attempt: Attempt) -> Billing:
    return Billing(
        run=attempt.run,
        plan=attempt.plan,
        day=local_date(attempt.first_sent_dts, facts.zone_name()),
        edited=facts.head.revision != attempt.revision,
    )


def settle(
    facts: Facts, attempt: Attempt, outcome: Approved | Declined | ActionNeeded | NotSent | None, now: Instant
) -> Settled:
    """Close the attempt with its outcome. None: it is known that nothing was charged (``not_charged``)."""
    if isinstance(outcome, Approved):
        return _paid(facts, attempt, now) if attempt.kind == "rebill" else _cancel_item_paid(facts, attempt, now)
    if outcome is None or isinstance(outcome, NotSent):
        head = _closed(facts.head)
        wait = NOT_SENT_AGAIN_SECONDS if isinstance(outcome, NotSent) else 0
        waits = head.status == "active" or head.state.cancel_item is not None
        head.due_dts = later(now, seconds=wait) if waits else None
        return Settled(head=head, outcome="not_sent" if outcome else "not_charged")
    hard = isinstance(outcome, Declined) and never_again(facts.original.payment, outcome)
    refused_card = attempt.card.fingerprint if attempt.card and hard else None
    if attempt.kind == "cancel_item":
        return cancel_item_dropped(facts, now, refused_card=refused_card)
    final = was_last(facts.original.payment, facts.head.round + 1)
    if isinstance(outcome, Declined) and not hard:
        final = final or is_last(facts.rotation, attempt.gateway, outcome.code)
        if not final and _next_gateway(facts, attempt, outcome.code, now):
            return _cascaded(facts, attempt, outcome, now)
    return declined(facts, outcome.reason, now, billing_of(facts, attempt), refused_card=refused_card, final=final)


def _next_gateway(facts: Facts, attempt: Attempt, code: str, now: Instant) -> bool:
    """Whether another account may be tried after a definite, soft decline. What nobody knows is never passed on."""
    billable = facts.head.status == "active" or _failed(facts.head)
    if not billable or not may_cascade(facts.rotation, attempt.gateway, code):
        return False
    return _gateway(facts, attempt.plan, now, [*facts.head.state.tried, attempt.gateway]) is not None


def _cascaded(facts: Facts, attempt: Attempt, outcome: Declined, now: Instant) -> Settled:
    """The next account, in the same round: at once, or hours later where the merchant wants it so."""
    head = _closed(facts.head)
    head.state.tried = [*head.state.tried, attempt.gateway]
    head.state.failure_reason = outcome.reason[:LONGEST_REASON]
    if facts.settings.delay_rotating_transaction_gateway_cascade:
        head.state.next_attempt = later(now, hours=CASCADE_DELAY_HOURS)
    head.due_dts = next_look(facts, head, now) or now
    return Settled(head=head, outcome="declined", cascades=True)


def _closed(head: Head) -> Head:
    state = replace(head.state, items={key: replace(p) for key, p in head.state.items.items()}, held=None)
    return replace(head, attempt=None, lease_until=None, state=state)


def declined(
    facts: Facts, reason: str, now: Instant, billing: Billing, *, refused_card: str | None = None, final: bool = False
) -> Settled:
    """One more round is used up: a date for the next, or the end where there is none left, the bank refused for good
    or another attempt would be in vain (``final``). At the end comes the cancel item, else Accounts Receivable, where
    the merchant wants them; the auto order is disabled."""
    head = _closed(facts.head)
    if not head.round:
        head.state.first_decline_dts = now
    head.round += 1
    head.state.tried = []
    head.state.failure_reason = reason[:LONGEST_REASON]
    if refused_card:
        head.state.refused_card = refused_card
    if head.status != "active":
        head.due_dts = next_look(facts, head, now)
        return Settled(head=head, outcome="declined")
    if not (refused_card or final or head.round >= facts.settings.retries()):
        day = local_date(now, facts.zone_name()) + timedelta(days=facts.settings.retry_delay_days())
        head.state.next_attempt = midnight(day, facts.zone_name())
        head.due_dts = next_look(facts, head, now)
        return Settled(head=head, outcome="declined")
    head.status, head.state.failed = "disabled", True
    head.state.disabled_dts = now
    head.state.next_attempt = None
    settled = Settled(head=head, outcome="declined", disabled=True)
    if facts.settings.try_cancel_item_after_max_retries and cancel_lines(facts, now):
        head.state.cancel_item = "declined"
    else:
        _hand_over(facts, settled, billing)
    head.due_dts = next_look(facts, head, now)
    return settled


def _hand_over(facts: Facts, settled: Settled, billing: Billing) -> None:
    """The run becomes an unpaid order in Accounts Receivable, which is its only claim from now on: the run is closed
    and its items go on. What is counted is counted when that order is paid (``collected``)."""
    state = settled.head.state
    if not facts.settings.send_failures_to_accounts_receivable or len(state.receivables) >= MAXIMUM_RECEIVABLES:
        return
    _advance(facts, settled.head, billing)
    settled.head.run, settled.head.round, settled.head.tries = billing.run + 1, 0, 0
    state.first_decline_dts = None
    order_id = rebill_order_id(facts.auto_order.original_order_id or "", billing.run)
    state.receivables = [*state.receivables, order_id]
    settled.receivable = billing.plan


def _advance(facts: Facts, head: Head, billing: Billing) -> None:
    """Move exactly the items of the plan on: what of them was billed is done with."""
    entries = {entry.auto_order_item_oid: entry for entry in facts.auto_order.items or []}
    zone_name = facts.zone_name()
    for line in billing.plan.lines:
        progress, entry = head.state.items.get(str(line.oid)), entries.get(line.oid)
        if line.add_on:
            _count_down(facts, head.state, line)
            continue
        if progress is None or entry is None:
            continue
        item = facts.items.get(entry.original_item_id or "")
        day, number = line.day or billing.day, line.occurrence
        advance(entry, progress, item, number, day, billing.day, zone_name=zone_name, edited=billing.edited)
        if line.override and progress.unit_cost_remaining:
            progress.unit_cost_remaining -= 1


def _paid(facts: Facts, attempt: Attempt, now: Instant) -> Settled:
    head = _closed(facts.head)
    _advance(facts, head, billing_of(facts, attempt))
    for line in attempt.plan.lines:
        if not line.add_on:
            value = line.unit_cost * line.quantity - line.discount
            _count(head, line.oid, value, paid_for_one(line, attempt.plan.currency), now)
    late = head.status != "active" and not _failed(facts.head)
    if _failed(facts.head):
        head.status, head.state.failed, head.state.disabled_dts = "active", False, None
    head.run, head.round, head.tries = attempt.run + 1, 0, 0
    head.state.next_attempt = head.state.failure_reason = head.state.first_decline_dts = None
    head.state.tried = []
    head.state.last_run_date = local_date(now, facts.zone_name())
    head.state.last_order_dts = now
    ended = _end_if_done(facts, head, now)
    head.due_dts = next_look(facts, head, now)
    return Settled(head=head, outcome="paid", ended=ended, late=late)


def _count(head: Head, oid: int, value: Decimal, for_one: Decimal, now: Instant) -> None:
    """One paid rebill of an item, and what was paid for one of it. An item that was removed since is not counted."""
    progress = head.state.items.get(str(oid))
    if progress is not None:
        progress.number_of_rebills += 1
        progress.rebill_value += value
        progress.paid = for_one
        progress.last_order_dts = now
        progress.first_order_dts = progress.first_order_dts or now


def _cancel_item_paid(facts: Facts, attempt: Attempt, now: Instant) -> Settled:
    """The cancel item is paid for: a run of its own, which advances no item."""
    head = _closed(facts.head)
    late = head.state.cancel_item is None
    head.run, head.round, head.tries = attempt.run + 1, 0, 0
    head.state.cancel_item = None
    head.state.last_order_dts = now
    head.due_dts = next_look(facts, head, now)
    return Settled(head=head, outcome="paid", late=late)


def cancel_item_dropped(facts: Facts, now: Instant, *, refused_card: str | None = None) -> Settled:
    """The cancel item was declined or is not owed: it is tried once. After the last decline of a run, the run itself
    goes to Accounts Receivable where the merchant wants that."""
    head = _closed(facts.head)
    after_declines = head.state.cancel_item == "declined"
    head.state.cancel_item = None
    head.state.refused_card = refused_card or head.state.refused_card
    settled = Settled(head=head, outcome="declined")
    if after_declines:
        due, _ = due_items(facts, now, [])
        decision = _priced(facts, due, now, []).decision if due else None
        if isinstance(decision, Go | Fail):
            today = local_date(now, facts.zone_name())
            _hand_over(facts, settled, Billing(run=head.run, plan=decision.plan, day=today))
    head.due_dts = next_look(facts, head, now)
    return settled


def collected(head: Head, order: Order, now: Instant) -> Head:
    """The head after an order of its run was paid for in Accounts Receivable: now it is counted."""
    after = _beside(head)
    for line in order.items or []:
        value = Decimal(line.total_cost_with_discount or 0)
        if order.run is None:
            _count_original(after, line.item_reference_oid, value)
        elif line.item_reference_oid:
            _count(after, line.item_reference_oid, value, Decimal(line.unit_cost_with_discount or 0), now)
    after.state.last_order_dts = now
    after.state.receivables = [name for name in head.state.receivables if name != order.order_id]
    # An order whose debit came back was counted when it was paid first.
    if order.run is not None and not order.returned and _was_the_last(after):
        after.due_dts = now if after.attempt is not None else None
    return after


def _beside(head: Head) -> Head:
    """A copy of the head to be changed while its own run goes on as it may: a claim that is thought out is refused."""
    after = replace(_closed(head), attempt=head.attempt, lease_until=head.lease_until, fence=head.fence + 1)
    after.state.held = head.state.held
    return after


def _count_original(head: Head, oid: int | None, value: Decimal) -> None:
    """The part of an item's life time value that the original order is, as long as that is paid for."""
    progress = head.state.items.get(str(oid))
    if progress is not None:
        progress.original_value = value


def came_back(
    head: Head, order: Order, now: Instant, *, receivable: bool, refused_card: str | None, disabled_for: str | None
) -> Head:
    """The head after the debit of an order of its own came back: what was counted for it is not any more, until it is
    paid in Accounts Receivable (``receivable``). ``refused_card``: an account that may never be debited again.
    ``disabled_for``: nobody collects that money any more, for this reason, so nothing more is sent either."""
    after = _beside(head)
    for line in order.items or []:
        progress = after.state.items.get(str(line.item_reference_oid))
        if progress is None:
            continue
        if order.run is None:
            progress.original_value = Decimal(0)
        else:
            progress.number_of_rebills = max(0, progress.number_of_rebills - 1)
            progress.rebill_value = max(Decimal(0), progress.rebill_value - Decimal(line.total_cost_with_discount or 0))
    if receivable:
        after.state.receivables = [*after.state.receivables, order.order_id or ""]
    after.state.refused_card = refused_card or head.state.refused_card
    if disabled_for is None or head.status != "active":
        return after
    after.status, after.state.failed, after.state.disabled_dts = "disabled", True, now
    after.state.failure_reason = disabled_for[:LONGEST_REASON]
    after.state.next_attempt = None
    after.revision += 1
    if after.attempt is not None:
        # What is under way is looked at anew: it may not be sent again.
        after.due_dts, after.attempt = now, replace(after.attempt, look_dts=None, missing=0)
    elif after.state.cancel_item is None:
        after.due_dts = None
    return after


def _count_down(facts: Facts, state: State, line: PlanLine) -> None:
    """An add-on was in a paid order. One that an edit has taken out meanwhile is counted no more."""
    add_ons, progress = add_ons_at(facts.auto_order, line.oid), state.items.get(str(line.oid))
    if not line.oid:
        state.add_ons = counted_down(state.add_ons, add_ons, line.item_id)
    elif progress is not None:
        progress.add_ons = counted_down(progress.add_ons, add_ons, line.item_id)


def _was_the_last(head: Head) -> bool:
    """One more order is paid: whether that cancels the auto order."""
    state: State = head.state
    if not state.cancel_after_next_x_orders or head.status not in ("active", "disabled"):
        return False
    state.cancel_after_next_x_orders -= 1
    if state.cancel_after_next_x_orders:
        return False
    head.status, state.cancel_after_next_x_orders = "canceled", None
    return True


def _end_if_done(facts: Facts, head: Head, now: Instant) -> bool:
    """After a paid run: count down 'cancel after x orders'; end what has no rebills left."""
    state: State = head.state
    if _was_the_last(head):
        return True
    waits = any(entry.paused for entry in facts.auto_order.items or []) or _unknown(facts)
    if head.status == "active" and not waits and not _coming(facts, head):
        head.status = "disabled"
        state.completed = True
        state.disabled_dts = now
    return False


def closed_run(facts: Facts, now: Instant) -> Head:
    """The head of a run that lost its items: closed without a charge, the next one may open."""
    head = _closed(facts.head)
    head.run, head.round, head.tries = head.run + 1, 0, 0
    head.state.next_attempt = head.state.failure_reason = head.state.first_decline_dts = None
    head.state.tried = []
    head.due_dts = next_look(facts, head, now)
    return head


def reminded(facts: Facts, reminder: Remind | Forewarn | CardExpires, now: Instant) -> Head:
    """The head after the notice went into the outbox. A claim that was thought out meanwhile is refused (fence)."""
    head = _closed(facts.head)
    head.fence += 1
    match reminder:
        case Remind(noticed=noticed):
            for key, number in noticed.items():
                head.state.items[key].noticed = number
        case Forewarn(rises=rises):
            for rise in rises:
                head.state.items[str(rise.oid)].warned = rise.occurrence
        case CardExpires(told=told):
            head.state.card_told = told
    head.due_dts = next_look(facts, head, now)
    return head


def postponed(facts: Facts, postpone: Postpone, now: Instant) -> Head:
    """The head after items were pushed back: their next occurrence falls on the new day, and all later ones count from
    there. A claim that was thought out meanwhile is refused (fence)."""
    head = _closed(facts.head)
    head.fence += 1
    for key in postpone.items:
        progress = head.state.items[key]
        progress.anchor, progress.at, progress.anchor_day = postpone.day, progress.billed + 1, None
        progress.next_day = postpone.day
    head.state.held = PUSHED_BACK
    head.due_dts = next_look(facts, head, now)
    return head


def held(facts: Facts, hold: Hold) -> Head:
    head = _closed(facts.head)
    head.fence += 1
    head.state.held = hold.code
    head.due_dts = hold.at
    return head


def rebill_order_id(original_order_id: str, run: int) -> str:
    return f"{original_order_id}-{run:03d}"


def shown_reason(value: Any) -> Any:
    """A parameter of a reason as it is shown."""
    return str(value) if isinstance(value, datetime | date) else value
