"""The rebill worker: read, think, claim, act, think, write. One auto order, one run, at most one order."""

import logging
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from chalicelib.domain import rebills, wire
from chalicelib.domain.aftermath import no_easy_cancel
from chalicelib.domain.dates import Instant, later, local_date, shown
from chalicelib.domain.errors import Invalid, NotFound, Refused, Short
from chalicelib.domain.events import Event, Happening, Notice, Template, event_id
from chalicelib.domain.heads import Head, State
from chalicelib.domain.made_orders import LONGEST_APPROVAL, paid_with, rebill_order, receivable_order, took
from chalicelib.domain.mails import AGAIN
from chalicelib.domain.networks import never_again
from chalicelib.domain.orders import Order, OrderPayment
from chalicelib.domain.payments import (
    ActionNeeded,
    Approved,
    Attempt,
    ClosedAttempt,
    Declined,
    Kind,
    NotSent,
    Outcome,
    Pending,
    Unknown,
)
from chalicelib.domain.rebills import (
    HELD_AGAIN_HOURS,
    CardExpires,
    CloseRun,
    Drop,
    Fail,
    Forewarn,
    Go,
    Hold,
    Look,
    Postpone,
    Remind,
    Resolve,
    Settled,
    rebill_order_id,
)
from chalicelib.domain.timeline import LAST_ORDER, TimelineEntry, decided_entry, kept_reasons
from chalicelib.flows import charge
from chalicelib.flows.facts import read_facts
from chalicelib.flows.ports import Change, Shop

log = logging.getLogger(__name__)

# What a client reads while nobody knows what became of a charge (the contract's words for it).
NOT_KNOWN_YET = "outcome not known yet"
BEING_BILLED = "it is being billed at this moment"
BILLED_LATELY = "It was billed within the last 24 hours."
# Where the order follows among the changes that record a payment: after the head.
ORDER_CHANGE = 1
# Runs that a capture's order is searched in, where somebody has taken the order ids of the first.
MOST_TAKEN = 64
# Plans of one visit: each that counts on store credit in vain has met somebody else's order of the same customer.
MOST_PLANS = 3


class Rebilled(msgspec.Struct, kw_only=True):
    """What one visit came to."""

    attempted: bool = False
    success: bool = False
    order_id: str | None = None
    failure_reason: str | None = None


def rebill(
    shop: Shop, oid: int, *, by_hand: bool = False, only_at: tuple[int, int] | None = None, plans: int = 1
) -> Rebilled:
    """Visit an auto order: do what is to be done with it at this instant. A stale message finds nothing to do.

    ``only_at``: the run and the number of its tries so far that the caller has seen; where either has moved on since,
    nothing is done. ``plans``: how many were made so far that counted on store credit which others were spending.
    """
    try:
        work = RunOf(shop, oid)
    except NotFound:
        return Rebilled(failure_reason="there is no such auto order")
    if only_at is not None and only_at != (work.head.run, work.head.tries):
        return Rebilled(failure_reason=BEING_BILLED)
    planned = rebills.plan(work.facts, shop.clock.now(), by_hand=by_hand)
    work.reasons = planned.reasons
    match planned.decision:
        case Resolve():
            run = work.head.run
            charge.resolve(shop, work)
            return _resolved(work, run) if by_hand else Rebilled(attempted=True)
        case Look(at=moment):
            _look(shop, work, moment)
            return Rebilled(failure_reason=_why(planned.reasons))
        case Remind() | Forewarn() | CardExpires() as reminder:
            _write(shop, work.reminded(reminder, shop.clock.now()))
            return Rebilled()
        case Hold() as hold:
            return _held(shop, work, hold)
        case Postpone() as postpone:
            _write(shop, work.postponed(postpone, shop.clock.now()))
            return Rebilled(failure_reason=_why(planned.reasons))
        case CloseRun():
            _write(shop, work.closed_run(shop.clock.now()))
            return Rebilled(failure_reason="nothing is due any more")
        case Fail() as fail:
            _write_run(shop, work, lambda: work.failed(fail, shop.clock.now()))
            return Rebilled(attempted=True, failure_reason=fail.message)
        case Drop(message=message):
            _write_run(shop, work, lambda: work.dropped(message, shop.clock.now()))
            return Rebilled(failure_reason=message)
        case Go() as go:
            return _go(shop, work, go, by_hand=by_hand, plans=plans)


def _go(shop: Shop, work: "RunOf", go: Go, *, by_hand: bool, plans: int) -> Rebilled:
    """Charge, unless it is known already that nothing can be sent or that its order could not be kept. After a decline
    that leads to another gateway account, that one is asked at once; without time for it, by the next visit."""
    again = later(shop.clock.now(), hours=HELD_AGAIN_HOURS)
    if go.card is not None and go.card.gateway not in shop.payments:
        message = f"There is no payment gateway {go.card.gateway}."
        return _held(shop, work, Hold(code="gateway_missing", message=message, at=again))
    gateway = go.card.gateway if go.card else ""
    try:
        outcome = charge.charge(shop, work, charge.Asked(kind=go.kind, plan=go.plan, gateway=gateway, card=go.card))
    except Invalid as error:
        if work.head.attempt is not None:
            raise  # money is under way: nothing but its outcome may close it
        return _held(shop, work, Hold(code="order_unwritable", message=str(error), at=again))
    except Short:
        # Somebody else has spent some of the store credit: less of it pays now. Who comes too often comes back later.
        if plans == MOST_PLANS:
            return Rebilled(failure_reason=BEING_BILLED)
        return rebill(shop, work.oid, by_hand=by_hand, plans=plans + 1)
    if work.cascades and charge.has_time(shop):
        return rebill(shop, work.oid, by_hand=by_hand)
    return _told(work, outcome)


def _held(shop: Shop, work: "RunOf", hold: Hold) -> Rebilled:
    _write(shop, work.held(hold, shop.clock.now()))
    return Rebilled(failure_reason=hold.message)


def _told(work: "RunOf", outcome: Outcome | None) -> Rebilled:
    match outcome:
        case Approved():
            return Rebilled(attempted=True, success=True, order_id=work.paid_order_id)
        case Declined(reason=reason) | ActionNeeded(reason=reason):
            return Rebilled(attempted=True, failure_reason=reason)
        case Unknown() | Pending():
            return Rebilled(attempted=True, failure_reason=NOT_KNOWN_YET)
        case NotSent(reason=reason):
            return Rebilled(failure_reason=reason)
        case None:
            return Rebilled(failure_reason=BEING_BILLED)


def _resolved(work: "RunOf", run: int) -> Rebilled:
    """What became of the attempt that stood open: by now it may be paid."""
    work.refresh()
    if work.head.attempt is not None:
        return Rebilled(attempted=True, failure_reason=NOT_KNOWN_YET)
    if work.head.run > run:
        return Rebilled(attempted=True, success=True, order_id=work.order_id(work.head.run - 1))
    return Rebilled(attempted=True, failure_reason=work.head.state.failure_reason or "nothing was charged")


def _why(reasons: list[rebills.Reason]) -> str:
    return ", ".join(dict.fromkeys(reason.code.replace("_", " ") for reason in reasons)) or "nothing is due"


def _look(shop: Shop, work: "RunOf", moment: Instant | None) -> None:
    """Nothing to do: move the due time to when there may be, or take the auto order out of the index."""
    if work.head.due_dts != moment:
        _write(shop, [work.moved(work.head, replace(work.head, due_dts=moment))])


def _write(shop: Shop, changes: list[Change]) -> None:
    """Where somebody was faster, the due time brings the auto order back and everything is thought again."""
    try:
        shop.write(*changes)
    except Refused:
        return


def _write_run(shop: Shop, work: "RunOf", changes_of: Callable[[], list[Change]]) -> None:
    """The same for changes that may place the run's order: where its id is taken the next free number is the run's."""
    for _ in range(charge.MOST_TRIES):
        try:
            shop.write(*changes_of())
        except Refused as refusal:
            if not work.refused(refusal):
                return
            continue
        return


class RunOf:
    """The work of an auto order's open run, or of the cancel item that it owes."""

    def __init__(self, shop: Shop, oid: int) -> None:
        self._shop = shop
        self.oid = oid
        self.paid_order_id: str | None = None
        # Whether the outcome that was recorded last has another gateway account asked at once.
        self.cascades = False
        # The rules that had a say in what is charged; kept with the order or the attempt that comes of it.
        self.reasons: list[rebills.Reason] = []
        self._taken = 0
        self.refresh()

    def refresh(self) -> None:
        self.facts, _, _ = read_facts(self._shop, self.oid)

    @property
    def head(self) -> Head:
        return self.facts.head

    @head.setter
    def head(self, head: Head) -> None:
        self.facts = replace(self.facts, head=head)

    def subject(self) -> str:
        return f"auto_order#{self.oid}"

    def order_id(self, run: int) -> str:
        return rebill_order_id(self.facts.auto_order.original_order_id or "", run)

    def fits(self, kind: Kind) -> bool:
        """A disabled one may be billed too, where declines disabled it and the merchant asked by hand."""
        if kind == "cancel_item":
            return self.head.state.cancel_item is not None
        return self.head.status == "active" or (self.head.status == "disabled" and self.head.state.failed)

    def paid_order(self, attempt: Attempt) -> str:
        return self.order_id(attempt.run + self._taken)

    def moved(self, before: Head, after: Head) -> Change:
        return self._shop.auto_orders.moved(self.oid, before, after)

    def settled(self, attempt: Attempt, outcome: charge.Known | None, now: Instant) -> list[Change]:
        if isinstance(outcome, Approved):
            return self._paid(attempt, outcome, now, late=False)
        attempt = replace(attempt, run=attempt.run + self._taken)
        settled = rebills.settle(self.facts, attempt, outcome, now)
        row = closed_row(attempt, outcome, now, payment=self.facts.original.payment)
        row = replace(row, reasons=kept_reasons(self.reasons))
        changes = [
            self.moved(self.head, settled.head),
            *self._receivable(settled, attempt.run, row.reason, now),
            self._shop.auto_orders.closed(self.oid, row),
            *declined_card(self._shop, attempt, outcome, now),
        ]
        if settled.outcome == "declined" and attempt.kind == "cancel_item":
            changes.append(self._shop.events.happened(self._no_cancel_item(row.reason, now)))
        elif settled.cascades:
            event = self._event(f"cascade#{attempt.run}#{attempt.tries}", now, [])
            changes.append(self._shop.events.happened(self._counted(event, attempt, failed=True)))
        elif settled.outcome == "declined":
            url = outcome.url if isinstance(outcome, ActionNeeded) else None
            event = self._declined(settled, attempt.tries, row.reason, now, url=url)
            changes.append(self._shop.events.happened(self._counted(event, attempt, failed=True)))
        self.cascades = settled.cascades and settled.head.state.next_attempt is None
        return changes

    def _counted(self, event: Event, attempt: Attempt, *, failed: bool = False) -> Event:
        """The event with the rotating gateway that the charge went to."""
        if attempt.gateway in self.facts.rotation.by_code():
            event.gateway, event.failed = attempt.gateway, failed
        return event

    def _receivable(self, settled: Settled, run: int, reason: str, now: Instant) -> list[Change]:
        """The unpaid order that a run becomes which failed for good."""
        if settled.receivable is None:
            return []
        order = receivable_order(self.facts, settled.receivable, run, reason, now)
        waits = Head(status="unpaid", state=State(refused_card=settled.head.state.refused_card))
        return [self._shop.orders.placed(order), self._shop.orders.begun(order.order_id or "", waits)]

    def writable(self, attempt: Attempt, now: Instant) -> None:
        order = self._order(attempt, LONGEST_APPROVAL, now, late=True)
        self._shop.orders.placed(order)
        readable(order)

    def refused(self, refusal: Refused) -> bool:
        """Somebody has taken the id of the run's order: the next number that is free is this run's."""
        if refusal.change != ORDER_CHANGE or refusal.found is None:
            return False
        log.error("the id of a rebill's order is taken", extra={"order_id": refusal.found.get("pk")})
        self._taken = 2 * self._taken or 1
        return True

    def paid_by(self, attempt: Attempt) -> bool:
        for run in range(attempt.run, min(max(self.head.run, attempt.run + 1), attempt.run + MOST_TAKEN)):
            found = self._shop.orders.find(self.order_id(run))
            if found is not None and paid_with(found.noun, attempt.key):
                return True
        return False

    def _paid(
        self, attempt: Attempt, approved: Approved, now: Instant, *, late: bool, missing: str = ""
    ) -> list[Change]:
        attempt = replace(attempt, run=attempt.run + self._taken)
        settled = rebills.settle(self.facts, attempt, approved, now)
        settled.late = settled.late or late
        order = self._order(attempt, approved if attempt.card else None, now, late=settled.late)
        order_id = self.paid_order_id = order.order_id or ""
        happenings = [Happening(name="order_create", kind="order", id=order_id)]
        if attempt.kind == "rebill":
            happenings.insert(0, self._happening("auto_order_rebill"))
        if attempt.card or attempt.plan.spends:
            happenings.append(Happening(name="order_payment_process", kind="order", id=order_id))
        notices = [Notice(template="receipt", kind="order", id=order_id)]
        if settled.ended:
            happenings.append(self._happening("auto_order_cancel"))
            notices.append(self._notice("canceled", {}))
        elif attempt.kind == "rebill":
            notices.append(Notice(template="easy_cancel", kind="order", id=order_id, facts=no_easy_cancel(self.facts)))
        if absent := rebills.left_out(self.facts, attempt):
            message = f"Order {order_id} went out without {', '.join(absent)}: not sold any more. Change its add-ons."
            notices.append(self._notice("held", {"code": "add_on_unavailable", "message": message}))
        if missing:
            notices.append(self._notice("held", {"code": "balance_missing", "message": missing}))
        event = self._event(f"paid#{attempt.run}", now, happenings, notices=notices)
        event.revenue, event.orders, event.rebills = attempt.plan.total, 1, int(attempt.kind == "rebill")
        event.credit = attempt.plan.total - took(attempt)
        event.attempt = attempt.round + 1 if attempt.kind == "rebill" else 0
        self._counted(event, attempt)
        if event.gateway is not None and order.payment is not None:
            order.payment.rotating_transaction_gateway_code = event.gateway
        changes = [
            self.moved(self.head, settled.head),
            self._shop.orders.placed(order),
            self._shop.events.happened(event),
        ]
        if settled.ended or settled.head.state.completed:
            words = LAST_ORDER if settled.ended else "Ended: nothing of it is left to bill"
            changes.append(self._logged(decided_entry("ended", now, words, run=attempt.run), event))
        return changes

    def _order(self, attempt: Attempt, approved: Approved | None, now: Instant, *, late: bool) -> Order:
        order = rebill_order(self.facts, attempt, approved, now, late=late)
        order.reasons = kept_reasons(self.reasons) or None
        return order

    def _declined(self, settled: Settled, tries: int, reason: str, now: Instant, url: str | None = None) -> Event:
        happenings = [self._happening("auto_order_decline")]
        if settled.receivable is not None:
            order_id = settled.head.state.receivables[-1]
            happenings.append(Happening(name="order_create", kind="order", id=order_id))
        facts = {"reason": reason, "attempt": str(settled.head.round)}
        if settled.head.state.next_attempt:
            facts["next_attempt"] = shown(settled.head.state.next_attempt, self.facts.zone_name())
        template: Template = "update_billing"
        if url:
            facts["url"], template = url, "action_needed"
        if settled.disabled:
            happenings.append(self._happening("auto_order_disable"))
            template = "disabled"
        notice = self._notice(template, facts)
        event = self._event(f"declined#{self.head.run}#{tries}", now, happenings, notices=[notice])
        event.declines, event.attempt = 1, self.head.round + 1
        return event

    def failed(self, fail: Fail, now: Instant) -> list[Change]:
        """A payment rule forbade the charge: a round is used up, nothing was sent."""
        facts = replace(self.facts, head=replace(self.head, tries=self.head.tries + 1))
        run = rebills.Billing(run=self.head.run + self._taken, plan=fail.plan, day=local_date(now, facts.zone_name()))
        settled = rebills.declined(facts, fail.message, now, run, final=fail.hard)
        event = self._declined(settled, facts.head.tries, fail.message, now)
        words = f"Not charged, a round is used up: {fail.message}"
        entry = decided_entry("failed", now, words, run=run.run, reasons=self.reasons, reason=fail.message)
        return [
            self.moved(self.head, settled.head),
            *self._receivable(settled, run.run, fail.message, now),
            self._shop.events.happened(event),
            self._logged(entry, event),
        ]

    def dropped(self, message: str, now: Instant) -> list[Change]:
        """The cancel item is not charged: nothing was sent."""
        facts = replace(self.facts, head=replace(self.head, run=self.head.run + self._taken))
        settled = rebills.cancel_item_dropped(facts, now)
        settled.head.fence += 1
        event = self._no_cancel_item(message, now)
        words = f"The cancel item was not charged: {message}"
        entry = decided_entry("cancel_item", now, words, run=facts.head.run, reasons=self.reasons, reason=message)
        return [
            self.moved(self.head, settled.head),
            *self._receivable(settled, facts.head.run, message, now),
            self._shop.events.happened(event),
            self._logged(entry, event),
        ]

    def _no_cancel_item(self, message: str, now: Instant) -> Event:
        notice = self._notice("held", {"code": "cancel_item", "message": f"The cancel item was not charged. {message}"})
        transition = f"no_cancel_item#{self.head.run}#{self.head.fence}"
        return self._event(transition, now, [self._happening("auto_order_update")], notices=[notice])

    def held(self, hold: Hold, now: Instant) -> list[Change]:
        """Announced once; looked at again daily."""
        after = rebills.held(self.facts, hold)
        changes = [self.moved(self.head, after)]
        if self.head.state.held != hold.code:
            notice = self._notice("held", {"code": hold.code, "message": hold.message, AGAIN: "daily"})
            event = self._event(
                f"held#{self.head.run}#{self.head.fence}", now, [self._happening("auto_order_update")], notices=[notice]
            )
            words = f"Held, looked at again daily: {hold.message}"
            entry = decided_entry("held", now, words, run=self.head.run, reasons=self.reasons, reason=hold.message)
            changes += [self._shop.events.happened(event), self._logged(entry, event)]
        return changes

    def closed_run(self, now: Instant) -> list[Change]:
        """Nothing of the open run is due any more."""
        after = rebills.closed_run(self.facts, now)
        words = f"Run {self.head.run} closed without a charge: nothing of it is due any more"
        entry = decided_entry("run_closed", now, words, run=self.head.run)
        seq = self.head.fence + self.head.revision + self.head.run
        return [self.moved(self.head, after), self._shop.auto_orders.logged(self.oid, entry, seq, "run_closed")]

    def postponed(self, postpone: Postpone, now: Instant) -> list[Change]:
        """Pushed back a day at a time, with the write that looks again costs anyway; told when it begins, not daily."""
        after = rebills.postponed(self.facts, postpone, now)
        changes = [self.moved(self.head, after)]
        if self.head.state.held != rebills.PUSHED_BACK:
            transition = f"pushed_back#{self.head.run}#{self.head.fence}"
            event = self._event(transition, now, [self._happening("auto_order_update")])
            words = f"Pushed back to {postpone.day}, a day at a time: the catalogue has paused its rebilling"
            entry = decided_entry("held", now, words, run=self.head.run, reasons=self.reasons)
            changes += [self._shop.events.happened(event), self._logged(entry, event)]
        return changes

    def reminded(self, reminder: Remind | Forewarn | CardExpires, now: Instant) -> list[Change]:
        """What the customer is told ahead. Of the three only a shipment to come is an event of the catalogue."""
        after = rebills.reminded(self.facts, reminder, now)
        happenings: list[Happening] = []
        match reminder:
            case Remind(day=day):
                happenings.append(self._happening("auto_order_preshipment"))
                notice = self._notice("preshipment_notice", {"day": day.isoformat()})
                words = f"Preshipment notice for {day.isoformat()}"
            case Forewarn(day=day, rises=rises):
                notice = self._notice("price_notice", {"day": day.isoformat(), "rises": wire.kept(rises)})
                words = f"Notice of a higher price from {day.isoformat()}"
            case CardExpires(month=month):
                notice = self._notice("card_expiring", {"month": month})
                words = f"Notice that the card expires in {month}"
        transition = f"{notice.template}#{self.head.run}#{self.head.fence}"
        event = self._event(transition, now, happenings, notices=[notice])
        entry = decided_entry("reminded", now, words, run=self.head.run)
        return [self.moved(self.head, after), self._shop.events.happened(event), self._logged(entry, event)]

    def _notice(self, template: Template, facts: dict[str, str]) -> Notice:
        return Notice(template=template, kind="auto_order", id=str(self.oid), facts=facts)

    def late(self, attempt: Attempt, approved: Approved, now: Instant, *, missing: str) -> list[Change] | None:
        if self.head.attempt is not None or self.head.run != attempt.run:
            return None
        row = self._shop.auto_orders.attempt(self.oid, attempt.run, attempt.tries)
        if row is not None and row.outcome == "late_refunded":
            return None
        return self._paid(attempt, approved, now, late=True, missing=missing)

    def refunded(self, attempt: Attempt, reason: str, now: Instant, *, telling: str) -> list[Change]:
        row = ClosedAttempt(attempt=attempt, closed_dts=now, outcome="late_refunded", reason=reason)
        changes = [self._shop.auto_orders.closed(self.oid, row)]
        if telling:
            notice = self._notice("held", {"code": "second_capture", "message": telling})
            transition = f"second_capture#{attempt.key}#{reason}"
            event = self._event(transition, now, [self._happening("auto_order_update")], notices=[notice])
            changes.append(self._shop.events.happened(event))
        return changes

    def reviewed(self, before: Head, after: Head, message: str, now: Instant) -> list[Change]:
        notice = self._notice("held", {"code": "payment_review", "message": message})
        event = self._event(
            f"review#{before.run}#{before.tries}", now, [self._happening("auto_order_update")], notices=[notice]
        )
        words = f"The payment's outcome needs a person: {message}"
        entry = decided_entry("payment_review", now, words, run=before.run, reason=message)
        return [self.moved(before, after), self._shop.events.happened(event), self._logged(entry, event)]

    def _logged(self, entry: TimelineEntry, event: Event) -> Change:
        return self._shop.auto_orders.logged(self.oid, entry, event.seq, event.event_id)

    def _happening(self, name: str) -> Happening:
        return Happening(name=name, kind="auto_order", id=str(self.oid))

    def _event(
        self, transition: str, now: Instant, happenings: list[Happening], notices: list[Notice] | None = None
    ) -> Event:
        return Event(
            event_id=event_id(self._shop.merchant_id, self.subject(), transition),
            dts=now,
            happenings=happenings,
            seq=self.head.fence + self.head.revision + self.head.run,
            notices=notices or [],
            touched=[("auto_order", str(self.oid))],
        )


def readable(order: Order) -> None:
    """Raises Invalid where the order could be written but never be read again: a field that is out of its bounds."""
    try:
        wire.load(wire.kept(order), Order)
    except msgspec.ValidationError as error:
        raise Invalid.one("", "unreadable", f"its order cannot be kept: {error}") from error


def declined_card(shop: Shop, attempt: Attempt, outcome: charge.Known | None, now: Instant) -> list[Change]:
    """A decline is written down under its card too: the networks' ceilings count it wherever the card is charged."""
    if not isinstance(outcome, Declined) or attempt.card is None:
        return []
    return [shop.declines.declined(attempt.card.fingerprint, attempt.key, attempt.asked(), now)]


def closed_row(
    attempt: Attempt, outcome: charge.Known | None, now: Instant, *, payment: OrderPayment | None = None
) -> ClosedAttempt:
    """What is kept of an attempt that made no order."""
    if outcome is None:
        return ClosedAttempt(attempt=attempt, closed_dts=now, outcome="not_charged", reason="the gateway never had it")
    if isinstance(outcome, NotSent):
        return ClosedAttempt(attempt=attempt, closed_dts=now, outcome="not_sent", reason=outcome.reason)
    if isinstance(outcome, Approved):
        raise TypeError("an approval makes an order, not a row")
    hard = isinstance(outcome, Declined) and never_again(payment, outcome)
    code = outcome.code if isinstance(outcome, Declined) else "action_needed"
    return ClosedAttempt(
        attempt=attempt, closed_dts=now, outcome="declined", reason=outcome.reason, hard=hard, code=code
    )


def too_close(head: Head, now: Instant) -> str | None:
    """Why an attempt by hand is refused: it would come too close to another charge (the contract's two guards)."""
    if billed_lately(head, now):
        return BILLED_LATELY
    due = head.due_dts
    if due is not None and 0 <= (due - now).total_seconds() <= 300:
        return "It is scheduled to be billed within the next five minutes."
    return None


def billed_lately(head: Head, now: Instant) -> bool:
    """Whether it was billed so lately that an attempt by hand is refused."""
    last = head.state.last_order_dts
    return head.run > 1 and last is not None and (now - last).total_seconds() < 24 * 3600
