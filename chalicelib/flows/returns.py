"""A debit that was settled and came back: the order is unpaid again, what was counted for it is not any more, once.

Heard from the gateway's own event or from its list, by one or by two at once: the order names the debits that came
back, and is written under its version.
"""

import logging
from collections.abc import Iterator

from msgspec.structs import replace

from chalicelib.domain import made_orders, rebills
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Contended, Refused
from chalicelib.domain.events import Event, Happening, Notice, event_id
from chalicelib.domain.heads import Head, State
from chalicelib.domain.networks import worth_another
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import Declined
from chalicelib.domain.refunds import given_back
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.timeline import decided_entry
from chalicelib.flows.ports import Change, Kept, Shop
from chalicelib.flows.purchase import presentations
from chalicelib.flows.rebill import readable

log = logging.getLogger(__name__)

# Conditions refuse a return at most once for each writer that was faster; more than this is a loop.
MOST_TRIES = 8
CHARGEBACK = "the bank has taken it back: a chargeback, which is answered at the gateway"
BEING_REFUNDED = "its debit came back while what became of a refund of it is not known"


def came_back(shop: Shop, order_id: str, key: str, back: Declined) -> str | None:
    """Write down that the settled debit under that key, which pays for the order, came back. None: the order says so
    now, or said so before; else why it does not, for a person.

    Raises NotFound, and Contended where others never leave the order alone.
    """
    for _ in range(MOST_TRIES):
        order, head = shop.orders.read(order_id)
        if key in (order.noun.returned or []):
            return None
        if order.noun.charge_key != key or order.noun.payment is None:
            return "it pays for no order"
        if order.noun.payment.payment_method != "eCheck":
            return CHARGEBACK
        if head is not None and head.attempt is not None:
            return BEING_REFUNDED
        try:
            shop.write(*_Return(shop, order, head, key, back).changes(shop.clock.now()))
        except (Refused, Contended):
            continue
        log.warning("a settled debit came back", extra={"key": key, "order_id": order_id, "code": back.code})
        return None
    raise Contended(f"that {key} came back could not be recorded in {MOST_TRIES} tries")


class _Return:
    """All that one return changes, thought out on what stands."""

    def __init__(self, shop: Shop, order: Kept[Order], head: Head | None, key: str, back: Declined) -> None:
        self._shop, self._kept, self._head, self._key, self._back = shop, order, head, key, back
        self._order = order.noun
        self._order_id = order.noun.order_id or ""
        self._oid = order.noun.auto_order_oid
        self._auto_order = shop.auto_orders.head(self._oid) if self._oid else None
        stored = order.noun.payment.stored() if order.noun.payment else []
        self._account = stored[0].fingerprint if stored else ""
        number, _ = presentations(shop, order.noun, self._account)
        # Whether it may be presented once more.
        self._again = worth_another(back.code, number)
        self._receivable = self._goes_to_receivables()

    def _goes_to_receivables(self) -> bool:
        """Where an unpaid order waits before it is paid, a first order waits again; a rebill where the merchant wants
        failures there. Too many of one auto order are none that anybody collects."""
        if self._order.run is None:
            return True
        settings = self._shop.configuration.remembered(AutoOrderProcessing)
        waiting = self._auto_order.state.receivables if self._auto_order else []
        return bool(settings.send_failures_to_accounts_receivable) and len(waiting) < rebills.MAXIMUM_RECEIVABLES

    def changes(self, now: Instant) -> list[Change]:
        stage = made_orders.UNPAID_STAGE if self._receivable else made_orders.FAILED_STAGE
        code, reason = self._back.code, self._back.reason
        order = made_orders.came_back(self._order, self._key, code, reason, now, stage=stage)
        readable(order)
        after = self._moved_auto_order(now)
        event = self._event(after, now)
        return [
            self._moved_head(),
            self._shop.orders.edited(order, self._kept.version),
            *self._told_auto_order(after, event, now),
            self._shop.events.happened(event),
        ]

    def _moved_head(self) -> Change:
        """The order can be paid again, or nobody pays it any more."""
        before = self._head or Head(status="paid")
        refused = before.state.refused_card if self._again else self._account
        after = replace(
            before,
            status="unpaid" if self._receivable else "closed",
            revision=before.revision + 1,
            round=0,
            state=State(refused_card=refused, future_auth=before.state.future_auth),
        )
        if self._head is None:
            return self._shop.orders.begun(self._order_id, after)
        return self._shop.orders.moved(self._order_id, self._head, after)

    def _moved_auto_order(self, now: Instant) -> Head | None:
        if self._auto_order is None:
            return None
        gone = not (self._again and self._receivable)
        return rebills.came_back(
            self._auto_order,
            self._order,
            now,
            receivable=self._receivable,
            refused_card=None if self._again else self._account,
            disabled_for=f"The debit of order {self._order_id} came back: {self._back.reason}" if gone else None,
        )

    def _told_auto_order(self, after: Head | None, event: Event, now: Instant) -> list[Change]:
        if after is None or self._auto_order is None or self._oid is None:
            return []
        run = self._order.run or 0
        entry = decided_entry("returned", now, self._words(after), run=run, reason=self._back.reason)
        entry = replace(entry, order_id=self._order_id)
        return [
            self._shop.auto_orders.moved(self._oid, self._auto_order, after),
            self._shop.auto_orders.logged(self._oid, entry, event.seq, event.event_id),
        ]

    def _disables(self, after: Head | None) -> bool:
        before = self._auto_order
        return after is not None and before is not None and after.status != before.status

    def _words(self, after: Head | None) -> str:
        total, currency = self._order.money(), self._order.currency_code or "USD"
        words = f"The debit of {total} {currency} for order {self._order_id} came back after it was settled: "
        words += f"{self._back.code}, {self._back.reason} The order is "
        words += "unpaid again, in Accounts Receivable." if self._receivable else "rejected, nobody pays for it."
        if not self._again:
            words += " This account may not be debited for it again."
        if given := given_back(self._order):
            words += f" {given} {currency} of it had been refunded, so the customer has that twice."
        return words + (" The auto order is disabled." if self._disables(after) else "")

    def _event(self, after: Head | None, now: Instant) -> Event:
        names = ["order_payment_failed", "order_stage_change"]
        names += [] if self._receivable else ["order_reject"]
        head = self._head or Head(status="paid")
        event = Event(
            event_id=event_id(self._shop.merchant_id, f"order#{self._order_id}", f"returned#{self._key}"),
            dts=now,
            happenings=[Happening(name=name, kind="order", id=self._order_id) for name in names],
            seq=head.fence + head.revision + head.run,
            notices=[*self._notices(after)],
            returned=True,
        )
        if self._oid is not None and after is not None:
            about = str(self._oid)
            event.touched = [("auto_order", about)]
            if self._order.run is not None:
                event.happenings.append(Happening(name="auto_order_decline", kind="auto_order", id=about))
            if self._disables(after):
                event.happenings.append(Happening(name="auto_order_disable", kind="auto_order", id=about))
        self._take_from_totals(event)
        return event

    def _notices(self, after: Head | None) -> Iterator[Notice]:
        """The merchant reads of it; the customer where another payment of his is asked for."""
        facts = {"code": "debit_returned", "message": self._words(after)}
        yield Notice(template="held", kind="order", id=self._order_id, facts=facts)
        if self._disables(after):
            yield Notice(template="disabled", kind="auto_order", id=str(self._oid), facts={"reason": self._back.reason})
        elif after is not None and after.status == "active":
            facts = {"reason": self._back.reason}
            yield Notice(template="update_billing", kind="auto_order", id=str(self._oid), facts=facts)

    def _take_from_totals(self, event: Event) -> None:
        """The day on which it is heard loses what the day of the payment has got; the event of that says it exactly."""
        paid = self._paid_event()
        # What balances paid of it stays paid.
        event.revenue = -(paid.revenue - paid.credit if paid else self._order.money())
        event.orders, event.rebills = -1, -(paid.rebills if paid else int(self._order.run is not None))
        event.attempt = paid.attempt if paid else 0

    def _paid_event(self) -> Event | None:
        """Of the order's own payment (a first one, or in Accounts Receivable), else of the run that made it. After the
        time that events are kept there is none; the clearing house takes no debit back that late."""
        subjects = [(f"order#{self._order_id}", made_orders.paid_transition(self._order))]
        if self._order.run is not None:
            subjects.append((f"auto_order#{self._oid}", f"paid#{self._order.run}"))
        for subject, transition in subjects:
            found = self._shop.events.find(event_id(self._shop.merchant_id, subject, transition))
            if found is not None:
                return found[0]
        return None
