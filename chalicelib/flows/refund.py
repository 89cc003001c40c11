"""Giving money back: the charge protocol the other way round. A refund is claimed on the order's head before the
gateway is asked, has a key of its own, and is recorded once, whoever learns its outcome."""

from msgspec.structs import replace

from chalicelib.domain import made_orders, refunds
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Contended, Invalid, Refused
from chalicelib.domain.events import Event, Happening, Notice, event_id
from chalicelib.domain.heads import Head, freed
from chalicelib.domain.money import ZERO
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import Approved, Attempt, ClosedAttempt, FrozenPlan, Kind, Outcome
from chalicelib.domain.refunds import Refunded
from chalicelib.flows import balances, charge
from chalicelib.flows.charge import Asked
from chalicelib.flows.ports import Change, Kept, Shop
from chalicelib.flows.rebill import closed_row, readable


def refund(shop: Shop, order_id: str, wanted: Refunded, *, manual: bool = False) -> Outcome | None:
    """Give back what is missing to the wanted totals. ``manual``: it was given back elsewhere and is only written down.

    None: the order says so already. Raises NotFound; Invalid where nothing can be given back; Contended where an
    earlier refund of the order is not known yet.
    """
    work = RefundOf(shop, order_id)
    if work.head.attempt is not None:
        charge.resolve(shop, work)
        work.refresh()
        if work.head.attempt is not None:
            raise Contended("What became of an earlier payment of this order is not known yet; try again later.")
    order = work.order.noun
    if refunds.is_same(order, wanted):
        return None
    amount = wanted.money() - refunds.money_given_back(order)
    if wanted.total > refunds.given_back(order) and (why := refunds.why_not_refundable(order)):
        raise Invalid.one("", "not_refundable", why)
    asked = Asked(kind="refund", plan=_plan(order, wanted), amount=amount)
    if amount > 0 and not manual:
        asked = replace(asked, gateway=_gateway(shop, order), of=order.charge_key or "")
    work.wanted = wanted
    return charge.charge(shop, work, asked)


def refundable(shop: Shop, order: Order) -> bool:
    """Whether money of the order can be given back here."""
    if refunds.why_not_refundable(order) is not None:
        return False
    return order.money() <= refunds.money_given_back(order) or why_manual(shop, order) is None


def why_manual(shop: Shop, order: Order) -> str | None:
    """Why money of the order must be given back elsewhere; None where it can be here."""
    code = made_orders.gateway_of(order)
    gateway = shop.payments.get(code or "")
    if gateway is None:
        return f"there is no gateway {code or 'that took the payment'}; refund there, then manually here"
    if not gateway.capabilities.refund:
        return f"{code} cannot give back; refund there, then manually here"
    return None


def look_at_refund(shop: Shop, order_id: str) -> None:
    """A due order with an open refund: find out what became of it."""
    charge.resolve(shop, RefundOf(shop, order_id))


def _gateway(shop: Shop, order: Order) -> str:
    if why := why_manual(shop, order):
        raise Invalid.one("/manual_refund", "required", why)
    return made_orders.gateway_of(order) or ""


def _plan(order: Order, wanted: Refunded) -> FrozenPlan:
    """The order's totals as they are to be; what is asked for is the attempt's amount."""
    return FrozenPlan(
        lines=[],
        subtotal=wanted.subtotal_refunded,
        discount=wanted.subtotal_discount_refunded,
        shipping=wanted.shipping_handling_refunded,
        tax=wanted.tax_refunded,
        total=wanted.total,
        currency=order.currency_code or "USD",
    )


class RefundOf:
    """The work of giving back some of a paid order."""

    def __init__(self, shop: Shop, order_id: str) -> None:
        self._shop = shop
        self._order_id = order_id
        self.wanted: Refunded | None = None
        self.refresh()

    def refresh(self) -> None:
        self.order: Kept[Order]
        self.order, head = self._shop.orders.read(self._order_id)
        self._head = head or Head(status="paid")
        # Rebills' orders were never charged by a head of their own; the first refund begins one.
        self._begins = head is None

    @property
    def head(self) -> Head:
        return self._head

    @head.setter
    def head(self, head: Head) -> None:
        self._head, self._begins = head, False

    def subject(self) -> str:
        return f"order#{self._order_id}"

    def order_id(self, run: int) -> str:
        return self._order_id

    def paid_order(self, attempt: Attempt) -> str:
        return self._order_id

    def fits(self, kind: Kind) -> bool:
        return self.head.status != "unpaid"

    def moved(self, before: Head, after: Head) -> Change:
        if after.attempt is not None and after.attempt.kind == "refund" and self.wanted is not None:
            after.state = replace(after.state, refund=self.wanted)
        if self._begins:
            return self._shop.orders.begun(self._order_id, after)
        return self._shop.orders.moved(self._order_id, before, after)

    def writable(self, attempt: Attempt, now: Instant) -> None:
        order = self._refunded_order(attempt, made_orders.LONGEST_APPROVAL, now)
        self._shop.orders.edited(order, self.order.version)
        readable(order)

    def settled(self, attempt: Attempt, outcome: charge.Known | None, now: Instant) -> list[Change]:
        after = freed(self.head, due=None)
        if isinstance(outcome, Approved):
            after = replace(after, run=attempt.run + 1)
            order = self._refunded_order(attempt, outcome, now)
            row = ClosedAttempt(attempt=attempt, closed_dts=now, outcome="refunded", reason="given back")
            last = [
                self._shop.orders.edited(order, self.order.version),
                self._shop.events.happened(self._event(attempt, order, now, by_itself=self._is_by_itself())),
                *balances.given_back(self._shop, self.order.noun, order, attempt.key, now),
            ]
        else:
            row, last = closed_row(attempt, outcome, now), []
        after.state = replace(after.state, refund=None)
        return [self.moved(self.head, after), self._shop.orders.closed(self._order_id, row), *last]

    def refused(self, refusal: Refused) -> bool:
        """Nothing stands in the way for good."""
        return False

    def paid_by(self, attempt: Attempt) -> bool:
        return made_orders.names(self.order.noun, attempt.key)

    def late(self, attempt: Attempt, approved: Approved, now: Instant, *, missing: str) -> list[Change] | None:
        """A refund that was given up and was made after all: added to what was given back."""
        row = ClosedAttempt(attempt=attempt, closed_dts=now, outcome="refunded", reason="learnt late")
        by_user = self.order.noun.internal.refund_by_user if self.order.noun.internal else None
        totals = refunds.learnt_late(self.order.noun, attempt.asked(), by_user)
        order = self._with(totals, attempt, approved, now)
        return [
            self._shop.orders.edited(order, self.order.version),
            self._shop.orders.closed(self._order_id, row),
            # Nobody knows any more what asked for it, so it asks for no others.
            self._shop.events.happened(self._event(attempt, order, now, by_itself=False)),
        ]

    def refunded(self, attempt: Attempt, reason: str, now: Instant, *, telling: str) -> list[Change]:
        raise TypeError("a refund is never given back")

    def reviewed(self, before: Head, after: Head, message: str, now: Instant) -> list[Change]:
        facts = {"code": "payment_review", "message": message}
        notice = Notice(template="held", kind="order", id=self._order_id, facts=facts)
        event = self._happened(f"refund_review#{before.tries}", now, ["order_update"], [notice])
        return [self.moved(before, after), self._shop.events.happened(event)]

    def _is_by_itself(self) -> bool:
        """Whether no other order's refund has asked for this one: those lead to no further ones."""
        totals = self.head.state.refund or self.wanted
        return totals is not None and totals.because is None

    def _refunded_order(self, attempt: Attempt, approved: Approved, now: Instant) -> Order:
        totals = self.head.state.refund or self.wanted
        if totals is None:
            totals = refunds.learnt_late(self.order.noun, attempt.asked(), None)
        return self._with(totals, attempt, approved, now)

    def _with(self, totals: Refunded, attempt: Attempt, approved: Approved, now: Instant) -> Order:
        order = refunds.applied(self.order.noun, totals, now)
        amount = attempt.asked()
        if amount > ZERO:
            order.payment = made_orders.refunded(order.payment, attempt, approved, totals.by_user or "", now)
        return order

    def _event(self, attempt: Attempt, order: Order, now: Instant, *, by_itself: bool) -> Event:
        names = ["order_refund"]
        if order.current_stage == "Rejected" and self.order.noun.current_stage != "Rejected":
            names += ["order_reject", "order_stage_change"]
        event = self._happened(f"refunded#{attempt.key}", now, names, [])
        event.revenue = refunds.given_back(self.order.noun) - refunds.given_back(order)
        if by_itself and order.run is None and (items := refunds.newly_refunded(self.order.noun, order)):
            event.refunded, event.refunded_items = self._order_id, items
        return event

    def _happened(self, transition: str, now: Instant, names: list[str], notices: list[Notice]) -> Event:
        return Event(
            event_id=event_id(self._shop.merchant_id, self.subject(), transition),
            dts=now,
            happenings=[Happening(name=name, kind="order", id=self._order_id) for name in names],
            seq=self.head.fence + self.head.revision + self.head.run,
            notices=notices,
        )
