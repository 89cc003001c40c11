"""Reconciliation from the gateway's side: each of its captures must have an order. One that has none is repaired by the
charge protocol's own recording, or held and announced; none is passed over.

Every day each account of each merchant is walked past, in as many messages as it takes; how far a walk has come stands
in the day's report. The other direction, from our attempts to the gateway, is the resolver (``charge.resolve``). Only
this one heals tables that went back in time.
"""

import logging
import re
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from chalicelib.domain.captures import Capture, Held, Reconciliation, Verdict
from chalicelib.domain.dates import later, local_date
from chalicelib.domain.errors import Contended, Invalid, NotFound, Refused
from chalicelib.domain.events import Event, Happening, Notice, event_id
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import ZERO
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import GATEWAY_TIMEOUT_SECONDS, Approved, Attempt, ClosedAttempt, Declined
from chalicelib.flows import charge
from chalicelib.flows.ports import Backroom, Shop
from chalicelib.flows.purchase import PaymentOf
from chalicelib.flows.rebill import RunOf
from chalicelib.flows.returns import came_back
from chalicelib.flows.sweep import BATCH
from chalicelib.flows.sweep import STOP_BEFORE_SECONDS as SCHEDULE_STOPS_BEFORE_SECONDS

log = logging.getLogger(__name__)

RECONCILE_QUEUE = "reconcile"
# A capture is walked past on three days, so that a day on which the walk fails loses none.
DAYS = 3
# Pages of one call; what is left is gone on with by the next.
MAXIMUM_PAGES = 50
# Messages of one walk: each comes a page further, or repairs some of a page. More means that it gets nowhere.
MAXIMUM_VISITS = 1000
# No page and no repair is begun with less: each may ask the gateway, and then writes.
STOP_BEFORE_SECONDS = GATEWAY_TIMEOUT_SECONDS + charge.SETTLE_SECONDS
# Walks that a merchant may begin by hand: each asks the gateway for three days of charges.
BY_HAND, BY_HAND_SECONDS = 20, 3600
# A rebill's order: the original order's id and the run (``rebills.rebill_order_id``).
REBILL_ORDER_ID = re.compile(r"(?P<original>.+)-\d{3,}")

NO_ATTEMPT = "no order and no attempt of ours is known for it"
AUTHORISED_ONLY = "it was authorised only, and captured by somebody else"
BUSY = "it is being written at this moment"
# What the charge protocol writes on the row of a second capture once the gateway has given it back.
GIVEN_BACK = "given back"


class Standing(msgspec.Struct, kw_only=True):
    """Where an attempt stands. ``closed``: its row, where it is not open any more."""

    work: PaymentOf | RunOf
    attempt: Attempt
    closed: ClosedAttempt | None = None


# --- from day to day --------------------------------------------------------------------------------------------------


def every_merchant(backroom: Backroom) -> int:
    """Each merchant: one message, so that nobody waits for another's walks. Returns how many."""
    names = backroom.shuffled(backroom.merchants.names())
    for start in range(0, len(names), BATCH):
        if backroom.time_left() < SCHEDULE_STOPS_BEFORE_SECONDS:
            log.error("merchants are left for tomorrow", extra={"number": len(names) - start})
            return start
        batch = names[start : start + BATCH]
        backroom.queue.send(RECONCILE_QUEUE, [{"merchant_id": merchant_id} for merchant_id in batch])
    return len(names)


def begin(shop: Shop) -> None:
    """The day's walks, one of each gateway account; one that has begun already is gone on with, one that has ended
    stays as it is."""
    for code in shop.payments:
        _begun(shop, _fresh(shop, code))


def begin_anew(shop: Shop, code: str) -> Reconciliation:
    """A walk now, by hand: once more where the day's has ended. Raises Invalid, TooMany."""
    if code not in shop.payments:
        known = ", ".join(shop.payments) or "none yet"
        raise Invalid.one("/gateway", "unknown", f"is none of the shop's payment accounts; these are: {known}")
    fresh = _fresh(shop, code)
    shop.limits.take(f"reconciliation#{code}", BY_HAND, BY_HAND_SECONDS, fresh.until_dts)
    return _begun(shop, fresh, anew=True)


def _fresh(shop: Shop, code: str) -> Reconciliation:
    now, merchant = shop.clock.now(), shop.configuration.section(Merchant).noun
    return Reconciliation(
        gateway=code,
        reconciliation_date=local_date(now, merchant.zone_name()),
        since_dts=later(now, days=-DAYS),
        until_dts=now,
        difference={merchant.currency(): ZERO},
    )


def _begun(shop: Shop, fresh: Reconciliation, *, anew: bool = False) -> Reconciliation:
    """The report as it then stands. Written first, then sent: a message whose report is not there leads nowhere."""
    day, code = fresh.reconciliation_date.isoformat(), fresh.gateway
    kept = shop.reconciliations.find(day, code)
    if kept is None or (anew and kept.noun.finished_dts is not None):
        try:
            reports = shop.reconciliations
            shop.write(reports.begun(fresh) if kept is None else reports.moved(fresh, kept.version))
        except Refused:
            log.info("somebody else has begun the walk", extra={"gateway": code})
        kept = shop.reconciliations.find(day, code)
    report = kept.noun if kept else fresh
    if report.finished_dts is None:
        _send(shop, report)
    return report


def _send(shop: Shop, report: Reconciliation) -> None:
    day = report.reconciliation_date.isoformat()
    message = {"merchant_id": shop.merchant_id, "gateway": report.gateway, "day": day}
    shop.queue.send(RECONCILE_QUEUE, [message])


def go_on(shop: Shop, code: str, day: str) -> None:
    """As much of that day's walk as one call does, and a message for the rest. A stale message finds nothing to do.

    Raises NotFound where there is no such account any more; Contended where the gateway cannot be read at this moment,
    or where the walk gets nowhere.
    """
    kept = shop.reconciliations.find(day, code)
    if kept is None or kept.noun.finished_dts is not None:
        return
    report, before = kept.noun, kept.noun.cursor
    if report.number_of_visits >= MAXIMUM_VISITS:
        raise Contended(f"the walk past what {code} took has not ended in {MAXIMUM_VISITS} calls")
    report.number_of_visits += 1
    report = reconcile(shop, code, report)
    try:
        shop.write(shop.reconciliations.moved(report, kept.version))
    except Refused:
        found = shop.reconciliations.find(day, code)
        if found is None or found.noun != report:
            # Two have walked the same way; the other one goes on.
            return
    if report.finished_dts is not None:
        return
    if report.problem is not None and report.cursor == before:
        raise Contended(f"the captures of {code} could not be read: {report.problem}")
    _send(shop, report)


# --- walking ----------------------------------------------------------------------------------------------------------


def reconcile(shop: Shop, code: str, so_far: Reconciliation | None = None) -> Reconciliation:
    """Walk the captures of the last days of the gateway account of that code. Safe at any time and as often as one
    likes: a second walk finds everything matched.

    A report without ``finished_dts`` stopped early, for lack of time or because of its ``problem``; handed in as
    ``so_far`` it is gone on with. Raises NotFound.
    """
    gateway = shop.gateway(code)
    report = so_far or _fresh(shop, code)
    report.problem = None
    for _ in range(MAXIMUM_PAGES):
        if shop.time_left() < STOP_BEFORE_SECONDS:
            break
        page = gateway.captures_since(report.since_dts, report.cursor)
        if page.problem is not None:
            report.problem = page.problem
            break
        if not _walked(shop, code, page.captures, report):
            break
        report.cursor = page.cursor
        if page.cursor is None:
            report.finished_dts = shop.clock.now()
            break
    return report


def _walked(shop: Shop, code: str, captures: list[Capture], report: Reconciliation) -> bool:
    """Count a page. False where time ran out: nothing of it is counted then, and the page is walked again."""
    names = list(dict.fromkeys(capture.order_id for capture in captures if capture.order_id))
    orders = {order.order_id: order for order in shop.orders.get_many(names)}
    verdicts: list[tuple[Capture, Verdict | Held, Decimal]] = []
    for capture in captures:
        verdict = _stands(capture, orders.get(capture.order_id))
        if verdict is None:
            if shop.time_left() < STOP_BEFORE_SECONDS:
                return False
            verdict = _repaired(shop, capture)
        verdicts.append((capture, *verdict))
    for capture, said, ordered in verdicts:
        if isinstance(said, Held):
            _announced(shop, code, said)
        report.counted(capture, said, ordered)
    return True


def _stands(capture: Capture, order: Order | None) -> tuple[Verdict | Held, Decimal] | None:
    """The verdict on a capture that was given back or has its order; None where it has none."""
    if capture.returned_dts is not None:
        return ("returned", ZERO) if order is not None and capture.key in (order.returned or []) else None
    if capture.refunded_dts is not None:
        return "given_back", ZERO
    if order is None or order.charge_key != capture.key:
        return None
    total = order.money()
    currency = order.currency_code or capture.currency_code
    if (capture.amount, capture.currency_code) != (total, currency):
        return Held(capture=capture, reason=f"its order says {total} {currency}"), total
    paid_with = _transaction_id(order, capture.key)
    if paid_with not in (None, capture.transaction_id):
        return Held(capture=capture, reason=f"its order was paid with {paid_with}"), ZERO
    return "matched", total


def _transaction_id(order: Order, key: str) -> str | None:
    """The gateway's own id of the capture that paid for the order; None where the order does not say."""
    for transaction in (order.payment.transactions or []) if order.payment else []:
        details = {detail.name: detail.value for detail in transaction.details or []}
        if transaction.successful and details.get("Reference") == key:
            return details.get("Transaction Id")
    return None


def _repaired(shop: Shop, capture: Capture) -> tuple[Verdict | Held, Decimal]:
    """The verdict on a capture without an order, after what can be done has been done. One that breaks must not keep
    the others from it."""
    try:
        return _recorded(shop, capture)
    except (Contended, Refused):
        return Held(capture=capture, reason=BUSY), ZERO
    except Exception:
        log.exception("a capture could not be recorded", extra={"key": capture.key})
        return Held(capture=capture, reason="it could not be recorded"), ZERO


def _recorded(shop: Shop, capture: Capture) -> tuple[Verdict | Held, Decimal]:
    """Closed or open, its attempt is told of the capture; the charge protocol makes an order of it, or gives back the
    second capture of what is paid for."""
    found = shop.orders.find(capture.order_id) if capture.order_id else None
    if found is not None and (verdict := _stands(capture, found.noun)):
        return verdict
    if capture.returned_dts is not None:
        return _returned(shop, capture, found.noun if found else None)
    standing = find_attempt(shop, capture.order_id, capture.key)
    if standing is None:
        return Held(capture=capture, reason=NO_ATTEMPT), ZERO
    approved, attempt, closed = _approval(capture), standing.attempt, standing.closed
    if attempt.kind in charge.AUTHORISATIONS:
        return Held(capture=capture, reason=AUTHORISED_ONLY), ZERO
    if not agrees(attempt, approved):
        return Held(capture=capture, reason=f"asked were {attempt.asked()} {attempt.plan.currency}"), ZERO
    if closed and closed.outcome == "late_refunded" and closed.reason.startswith("could not"):
        # Refused once, and the merchant was told: it is not asked for again each day.
        return Held(capture=capture, reason=closed.reason), ZERO
    charge.record(shop, standing.work, attempt, approved)
    return _after(shop, capture)


def _returned(shop: Shop, capture: Capture, order: Order | None) -> tuple[Verdict | Held, Decimal]:
    """What was taken and came back: its order is unpaid again; an attempt that is still open has failed. Where neither
    is known, nobody has anything of it."""
    back = Declined(code=capture.return_code, reason=capture.return_reason, returned=True)
    if order is not None and order.charge_key == capture.key:
        why_not = came_back(shop, capture.order_id, capture.key, back)
        if why_not is not None:
            return Held(capture=capture, reason=why_not), order.money()
        return "returned", ZERO
    standing = find_attempt(shop, capture.order_id, capture.key)
    if standing is not None and standing.closed is None:
        charge.record(shop, standing.work, standing.attempt, back)
    return "returned", ZERO


def _after(shop: Shop, capture: Capture) -> tuple[Verdict | Held, Decimal]:
    """What recording came to, as it is kept."""
    found = shop.orders.find(capture.order_id)
    verdict = _stands(capture, found.noun) if found else None
    if verdict is not None:
        log.warning("a capture without an order has one now", extra={"key": capture.key})
        return ("repaired", verdict[1]) if verdict[0] == "matched" else verdict
    standing = find_attempt(shop, capture.order_id, capture.key)
    reason = standing.closed.reason if standing and standing.closed else BUSY
    return ("given_back", ZERO) if reason == GIVEN_BACK else (Held(capture=capture, reason=reason), ZERO)


def _approval(capture: Capture) -> Approved:
    return Approved(
        transaction_id=capture.transaction_id,
        amount=capture.amount,
        currency_code=capture.currency_code,
        network_transaction_id=capture.network_transaction_id,
    )


def agrees(attempt: Attempt, approved: Approved) -> bool:
    """Whether what was taken is what was asked for."""
    return (approved.amount, approved.currency_code) == (attempt.asked(), attempt.plan.currency)


# --- from an order's id to its attempt, by key ------------------------------------------------------------------------


def find_attempt(shop: Shop, order_id: str, key: str) -> Standing | None:
    """The attempt of that key: of paying that order, or of the run whose order has that id."""
    for work, rows in _works(shop, order_id):
        attempt = work.head.attempt
        if attempt is not None and attempt.key == key:
            return Standing(work=work, attempt=attempt)
        for row in rows:
            if row.attempt.key == key:
                return Standing(work=work, attempt=row.attempt, closed=row)
    return None


def _works(shop: Shop, order_id: str) -> Iterator[tuple[PaymentOf | RunOf, list[ClosedAttempt]]]:
    try:
        payment = PaymentOf(shop, order_id)
    except NotFound:
        pass
    else:
        if payment.head_or_none is not None:
            yield payment, shop.orders.attempts(order_id)
    named = REBILL_ORDER_ID.fullmatch(order_id)
    oid = shop.auto_orders.oid_by_original_order(named["original"]) if named else None
    if oid is not None:
        yield RunOf(shop, oid), shop.auto_orders.attempts(oid)


# --- announcing -------------------------------------------------------------------------------------------------------


def _announced(shop: Shop, code: str, held: Held) -> None:
    """Tell the merchant, once for each reason, by an event with a mail."""
    capture = held.capture
    log.error("a capture is held", extra={"key": capture.key, "order_id": capture.order_id, "reason": held.reason})
    id_ = event_id(shop.merchant_id, f"capture#{code}#{capture.transaction_id}", f"held#{held.reason}")
    if held.reason == BUSY or shop.events.find(id_) is not None:
        return
    about = _nearest(shop, capture.order_id)
    what = f"The gateway took {capture.amount} {capture.currency_code} for order {capture.order_id or 'unknown'}"
    message = f"{what} ({capture.transaction_id}): {held.reason}. Please decide."
    facts = {"code": "capture_without_order", "message": message}
    event = Event(
        event_id=id_,
        dts=shop.clock.now(),
        happenings=[Happening(name="order_update", kind="order", id=about)],
        notices=[Notice(template="held", kind="order", id=about, facts=facts)],
    )
    shop.write(shop.events.happened(event))


def _nearest(shop: Shop, order_id: str) -> str:
    """The order that the capture is for, or where it was never made the original order of its run: mails are about
    what exists."""
    named = REBILL_ORDER_ID.fullmatch(order_id)
    for name in (order_id, named["original"] if named else ""):
        if name and shop.orders.find(name) is not None:
            return name
    return order_id
