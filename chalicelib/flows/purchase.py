"""Paying for an order: the same charge protocol; the first payment begins the auto order."""

from contextlib import suppress

from msgspec.structs import replace

from chalicelib.domain import made_orders
from chalicelib.domain.auto_orders import AUTO_ORDER_CODE_LETTERS, begun
from chalicelib.domain.coupons import code_key
from chalicelib.domain.dates import Instant, local_date, shown
from chalicelib.domain.errors import Contended, Invalid, Refused, Short
from chalicelib.domain.events import Event, Happening, Notice, event_id
from chalicelib.domain.heads import Head, freed
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.networks import allowed_from, never_again, why_not_presented
from chalicelib.domain.orders import Order, OrderCurrentStageHistory
from chalicelib.domain.payments import (
    ActionNeeded,
    Approved,
    Attempt,
    ClosedAttempt,
    Declined,
    FrozenPlan,
    Kind,
    NotSent,
    Outcome,
    StoredCard,
    Use,
    attempt_key,
)
from chalicelib.domain.placing import AuthTests, auth_tests
from chalicelib.domain.rebills import Facts, collected, gateways_of_items, next_look
from chalicelib.domain.rotating import RotatingGateways, Wanted, choose, may_cascade
from chalicelib.domain.timeline import LAST_ORDER, SYSTEM, TimelineEntry, decided_entry
from chalicelib.flows import balances, charge
from chalicelib.flows.charge import Asked
from chalicelib.flows.customers_auto_orders import names_of, reserve
from chalicelib.flows.facts import declines_of, usage_of, with_step_items
from chalicelib.flows.ports import Change, Kept, Shop
from chalicelib.flows.rebill import closed_row, declined_card, readable
from chalicelib.flows.refund import look_at_refund

CODE_LENGTH = 10
# Plans of one payment: each that counts on a balance in vain has met somebody else who spent it.
MOST_PLANS = 5


def pay(shop: Shop, order_id: str, *, again: bool = True) -> Outcome | None:
    """Charge an unpaid order: what its gift certificate and the customer's store credit do not pay. None: it is paid
    for already, or somebody is at it at this moment; read it to see.

    ``again`` False: what was declined once stays so. Raises NotFound; Invalid where it cannot be charged at all, or a
    coupon of it has been used up; Contended where others keep spending the same balances.
    """
    for _ in range(MOST_PLANS):
        with suppress(Short):
            return _pay(shop, order_id, again=again)
    raise Contended("what the order is to be paid with is being spent by others; try again")


def _pay(shop: Shop, order_id: str, *, again: bool) -> Outcome | None:
    work = PaymentOf(shop, order_id)
    if work.head_or_none is None or work.head.status != "unpaid":
        return None
    if work.head.attempt is not None:
        charge.resolve(shop, work)
        return None
    if work.head.round and not again:
        return None
    plan, card = _planned(shop, work.order.noun), work.card()
    if plan.rest() > 0 and card is None:
        raise Invalid.one("/payment/credit_card", "required", "the order has no card to charge")
    if card is not None and card.fingerprint == work.head.state.refused_card:
        reason = "The bank refused this card for good; another is needed."
        return Declined(code="card_refused", reason=reason, hard=True)
    if plan.rest() > 0 and card is not None and card.gateway not in shop.payments:
        raise Invalid.one("/payment/credit_card", "not_available", f"there is no payment gateway {card.gateway}")
    if plan.rest() == 0 and work.kind() == "purchase" and card is not None:
        asked = Asked(kind="auth_test", plan=plan, gateway=card.gateway, card=card)
        if tests := _auth_tests(shop, work.order.noun, card):
            return _tested(shop, work, asked, tests)
    if card is not None and (why := _presented_out(shop, work.order.noun, card)):
        return Declined(code="presentations", reason=why)
    if work.head.round and card is not None and (why := _ceiling(shop, work.order.noun, plan)):
        return Declined(code="network_ceiling", reason=why)
    asked = Asked(kind=work.kind(), plan=plan)
    if plan.rest() == 0:
        return _charge(shop, work, asked)
    return _charged(shop, work, asked)


def _planned(shop: Shop, order: Order) -> FrozenPlan:
    """What the order costs, as it was priced, with what pays for it as that stands now. Raises Invalid where a coupon
    of it has been used up meanwhile: the order would have to cost more than was agreed."""
    plan, now = made_orders.plan_of(order), shop.clock.now()
    if order.charged is not None:
        # Paid once already: what balances paid stays paid, and the rest is all that can be owed again.
        return replace(plan, total=order.money())
    spends = balances.of_order(shop, order, plan.total, now)
    if not plan.coupons or order.run is not None:
        return replace(plan, spends=spends)
    uses = balances.uses_of(order, shop.coupons.get_many([code_key(code) for code in plan.coupons]))
    uses += [Use(code=code_key(one.coupon_code or ""), most=1) for one in order.coupons or [] if one.is_one_time()]
    if problems := balances.used_up(shop, order, uses):
        raise Invalid(problems)
    return replace(plan, spends=spends, uses=uses)


def _charge(shop: Shop, work: "PaymentOf", asked: Asked) -> Outcome | None:
    """Charge the order as it was read last: what it brings its customer alone is reserved for it first, each time, for
    another order may have taken it over since. An order whose debit came back has brought it already."""
    if work.order.noun.sole_items and not work.order.noun.returned:
        reserve(shop, work.order.noun)
    return charge.charge(shop, work, asked)


def _ceiling(shop: Shop, order: Order, plan: FrozenPlan) -> str | None:
    """Why the networks forbid another attempt with the order's card for now."""
    free = allowed_from(
        order.payment.card_type() if order.payment else None, plan.rest(), declines_of(shop, order), shop.clock.now()
    )
    zone_name = shop.configuration.remembered(Merchant).zone_name()
    return f"The card network allows no further attempt before {shown(free, zone_name)}." if free else None


def _presented_out(shop: Shop, order: Order, account: StoredCard) -> str | None:
    """Why the clearing house forbids to debit the order's account once more for it."""
    if order.payment is None or order.payment.payment_method != "eCheck":
        return None
    return why_not_presented(*presentations(shop, order, account.fingerprint), shop.clock.now())


def presentations(shop: Shop, order: Order, fingerprint: str) -> tuple[int, Instant | None]:
    """How often the order's debit was presented to that account, by its auto order's run too, and when first."""
    rows = shop.orders.attempts(order.order_id or "")
    if order.run is not None and order.auto_order_oid is not None:
        rows += [row for row in shop.auto_orders.attempts(order.auto_order_oid) if row.attempt.run == order.run]
    came = [
        row.attempt.first_sent_dts
        for row in rows
        if row.outcome == "declined" and row.attempt.card is not None and row.attempt.card.fingerprint == fingerprint
    ]
    settled = made_orders.settled_debits(order)
    return len(came) + len(settled), min([*came, *settled], default=None)


def _charged(shop: Shop, work: "PaymentOf", asked: Asked) -> Outcome | None:
    """Charge at the account that the rotation chooses; after a definite, soft decline at the next one."""
    while True:
        chosen = work.chosen(asked.plan, work.head.state.tried) or work.card()
        if chosen is None or chosen.gateway not in shop.payments:
            return NotSent(reason=f"there is no payment gateway {chosen.gateway if chosen else ''}")
        outcome = _charge(shop, work, replace(asked, gateway=chosen.gateway, card=chosen))
        work.refresh()
        if not work.cascades or not charge.has_time(shop):
            return outcome


def _auth_tests(shop: Shop, order: Order, card: StoredCard) -> AuthTests | None:
    """The amounts that the card of an order which costs nothing is tested with, where the merchant wants it tested and
    the gateway can."""
    gateway = shop.payments.get(card.gateway)
    if gateway is None or not gateway.capabilities.authorise:
        return None
    ids = [line.merchant_item_id for line in order.items or [] if line.merchant_item_id]
    _, settings, _, _, items, _ = shop.configuration.price_list(ids, [])
    return auth_tests(order, items) if settings.auth_test_zero_dollar_orders else None


def _tested(shop: Shop, work: "PaymentOf", asked: Asked, tests: AuthTests) -> Outcome | None:
    """Have the future amount authorised first, which stays open, then the test amount, which is voided at once. A void
    that gets lost is tried again until its outcome is known."""
    if tests.future and work.head.state.future_auth is None:
        future = replace(asked, kind="auth_future", amount=tests.future, plan=_unpaid(asked.plan))
        outcome = _charge(shop, work, future)
        work.refresh()
        if not isinstance(outcome, Approved) or work.head.attempt is not None:
            return outcome
    outcome = _charge(shop, work, replace(asked, amount=tests.amount))
    work.refresh()
    if work.head.attempt is not None and work.head.attempt.kind == "void":
        charge.resolve(shop, work)
    return outcome


def _unpaid(plan: FrozenPlan) -> FrozenPlan:
    """The plan of an attempt that does not pay for the order: it spends nothing."""
    return replace(plan, spends=[], uses=[])


def look_at(shop: Shop, order_id: str) -> None:
    """A due order: find out what became of its open attempt. It is never charged by itself."""
    work = PaymentOf(shop, order_id)
    if work.head_or_none is None:
        return
    if work.head.attempt is not None and work.head.attempt.kind == "refund":
        look_at_refund(shop, order_id)
    elif work.head.attempt is not None:
        charge.resolve(shop, work)
    elif work.head.due_dts is not None:
        with suppress(Refused):  # somebody is at it at this moment
            shop.write(work.moved(work.head, replace(work.head, due_dts=None)))


class PaymentOf:
    """The work of paying one order: a first payment, or a rebill that waits in Accounts Receivable."""

    def __init__(self, shop: Shop, order_id: str) -> None:
        self._shop = shop
        self._order_id = order_id
        self._rotation: RotatingGateways | None = None
        # Whether the outcome that was recorded last has another gateway account asked at once.
        self.cascades = False
        self.refresh()

    def rotation(self) -> RotatingGateways:
        if self._rotation is None:
            self._rotation = self._shop.configuration.remembered(RotatingGateways)
        return self._rotation

    def chosen(self, plan: FrozenPlan, tried: list[str]) -> StoredCard | None:
        """The card as the account stores it that takes the charge; None where none is left."""
        order, rotation = self.order.noun, self.rotation()
        payment = order.payment
        if payment is None:
            return None
        ids = [line.merchant_item_id or "" for line in order.items or []]
        items = {i.merchant_item_id: i for i in self._shop.items.get_many(ids)} if rotation.gateways else {}
        merchant = self._shop.configuration.remembered(Merchant)
        wanted = Wanted(
            subject=self.subject(),
            run=self.head.run,
            round=self.head.round,
            day=local_date(self._shop.clock.now(), merchant.zone_name()),
            total=plan.rest(),
            currency=plan.currency,
            cards=payment.stored(),
            card_type=payment.card_type(),
            theme=order.checkout.screen_branding_theme_code if order.checkout else None,
            auto_order=self.kind() == "receivable",
            named=payment.rotating_transaction_gateway_code,
            of_items=gateways_of_items([items.get(name) for name in ids]),
            tried=tried,
        )
        found = choose(rotation, usage_of(self._shop, rotation, merchant), wanted)
        return found.card if found else None

    def kind(self) -> Kind:
        """What belongs to an auto order that exists is collected for it."""
        order = self.order.noun
        return "receivable" if order.run is not None or (order.returned and order.auto_order_oid) else "purchase"

    def refresh(self) -> None:
        self.order: Kept[Order]
        self.order, self.head_or_none = self._shop.orders.read(self._order_id)

    @property
    def head(self) -> Head:
        if self.head_or_none is None:
            raise ValueError(f"order {self._order_id} has no head: nothing is charged for it")
        return self.head_or_none

    @head.setter
    def head(self, head: Head) -> None:
        self.head_or_none = head

    def subject(self) -> str:
        return f"order#{self._order_id}"

    def order_id(self, run: int) -> str:
        return self._order_id

    def paid_order(self, attempt: Attempt) -> str:
        return self._order_id

    def card(self) -> StoredCard | None:
        """What is charged: a card, or a bank account."""
        stored = self.order.noun.payment.stored() if self.order.noun.payment else []
        return stored[0] if stored else None

    def fits(self, kind: Kind) -> bool:
        return kind == "void" or self.head.status == "unpaid"

    def moved(self, before: Head, after: Head) -> Change:
        return self._shop.orders.moved(self._order_id, before, after)

    def settled(self, attempt: Attempt, outcome: charge.Known | None, now: Instant) -> list[Change]:
        if attempt.kind == "void":
            return self._voided(attempt, outcome, now)
        if isinstance(outcome, Approved) and attempt.kind == "auth_future":
            state = replace(self.head.state, future_auth=attempt.key)
            after = replace(freed(self.head, due=None), state=state)
            row = ClosedAttempt(attempt=attempt, closed_dts=now, outcome="authorised", reason="it stays open")
            return [self.moved(self.head, after), self._shop.orders.closed(self._order_id, row)]
        if isinstance(outcome, Approved):
            self.cascades = False
            return self._paid(attempt, outcome, now, late=False)
        after = freed(self.head, due=None)
        row = closed_row(attempt, outcome, now, payment=self.order.noun.payment)
        if outcome is None or isinstance(outcome, NotSent):
            return [self.moved(self.head, after), self._shop.orders.closed(self._order_id, row)]
        declined = declined_card(self._shop, attempt, outcome, now)
        if self._may_cascade(attempt, outcome):
            self.cascades = True
            state = replace(after.state, tried=[*after.state.tried, attempt.gateway])
            event = self._counted(self._event(f"cascade#{attempt.tries}", now, []), attempt, failed=True)
            return [
                self.moved(self.head, replace(after, state=state)),
                self._shop.orders.closed(self._order_id, row),
                *declined,
                self._shop.events.happened(event),
            ]
        self.cascades = False
        after = replace(after, round=after.round + 1, state=replace(after.state, tried=[]))
        if row.hard and attempt.card is not None:
            after.state = replace(after.state, refused_card=attempt.card.fingerprint)
        if attempt.kind == "auth_test" and after.state.future_auth is not None:
            after = self._voiding(after, attempt, after.state.future_auth, now)
            after.state = replace(after.state, future_auth=None)
        payment = made_orders.refused(self.order.noun.payment, attempt, row.reason, row.code, now)
        event = self._counted(
            self._event(f"declined#{attempt.tries}", now, ["order_payment_failed"]), attempt, failed=True
        )
        event.declines = 1
        return [
            self.moved(self.head, after),
            self._shop.orders.edited(replace(self.order.noun, payment=payment), self.order.version),
            self._shop.orders.closed(self._order_id, row),
            *declined,
            self._shop.events.happened(event),
        ]

    def _may_cascade(self, attempt: Attempt, outcome: Declined | ActionNeeded) -> bool:
        """Whether another account is asked after a definite, soft decline of a charge."""
        soft = isinstance(outcome, Declined) and not never_again(self.order.noun.payment, outcome)
        if not soft or attempt.kind in charge.AUTHORISATIONS or self.head.status != "unpaid":
            return False
        code = outcome.code if isinstance(outcome, Declined) else ""
        if not may_cascade(self.rotation(), attempt.gateway, code):
            return False
        return self.chosen(attempt.plan, [*self.head.state.tried, attempt.gateway]) is not None

    def _counted(self, event: Event, attempt: Attempt, *, failed: bool = False) -> Event:
        """The event with the rotating gateway that the charge went to."""
        if attempt.gateway and attempt.gateway in self.rotation().by_code():
            event.gateway, event.failed = attempt.gateway, failed
        return event

    def _voiding(self, head: Head, attempt: Attempt, of: str, now: Instant) -> Head:
        """The head with the void of an authorisation open: nobody needs to ask for it."""
        tries = head.tries + 1
        key = attempt_key(self._shop.merchant_id, self.subject(), attempt.run, attempt.round, tries, attempt.gateway)
        void = replace(
            attempt,
            kind="void",
            plan=_unpaid(attempt.plan),
            key=key,
            owner=self._shop.word(),
            tries=tries,
            of=of,
            claimed_dts=now,
            first_sent_dts=now,
            looks=0,
            missing=0,
            look_dts=None,
            pending=False,
        )
        return replace(head, attempt=void, tries=tries, fence=head.fence + 1, due_dts=now, lease_until=None)

    def _voided(self, attempt: Attempt, outcome: charge.Known | None, now: Instant) -> list[Change]:
        row = ClosedAttempt(attempt=attempt, closed_dts=now, outcome="voided", reason="the test amount is let go")
        changes: list[Change] = [self.moved(self.head, freed(self.head, due=None))]
        if not isinstance(outcome, Approved):
            row = closed_row(attempt, outcome, now)
            telling = f"A test authorisation could not be voided: {row.reason}. Please void it at the gateway."
            event = self._told(f"void#{attempt.tries}", "not_voided", telling, now)
            changes.append(self._shop.events.happened(event))
        return [*changes, self._shop.orders.closed(self._order_id, row)]

    def writable(self, attempt: Attempt, now: Instant) -> None:
        order = self._paid_order(attempt, made_orders.LONGEST_APPROVAL, now, late=True)
        self._shop.orders.edited(order, self.order.version)
        readable(order)

    def refused(self, refusal: Refused) -> bool:
        """Nothing stands in the way for good: codes and oids are drawn anew with every try."""
        return False

    def paid_by(self, attempt: Attempt) -> bool:
        if attempt.kind == "void" or attempt.key == self.head.state.future_auth:
            return True
        return made_orders.paid_with(self.order.noun, attempt.key)

    def _paid(
        self, attempt: Attempt, approved: Approved, now: Instant, *, late: bool, missing: str = ""
    ) -> list[Change]:
        """The first payment begins the auto order, whenever and by whom it is learnt; one of an order that was closed
        meanwhile begins none. A rebill that waited in Accounts Receivable is counted at its auto order now."""
        # An order whose debit came back has begun all that it begins.
        begins = self.head.status == "unpaid" and attempt.kind != "receivable" and not self.order.noun.returned
        order = self._paid_order(attempt, approved, now, late=late or self.head.status != "unpaid")
        after = replace(freed(self.head, due=None), status="paid", run=attempt.run + 1)
        if attempt.kind == "auth_test":
            after = self._voiding(after, attempt, attempt.key, now)
        names = ["order_payment_process", "order_stage_change"]
        notices = [Notice(template="receipt", kind="order", id=self._order_id)]
        if missing:
            facts = {"code": "balance_missing", "message": missing}
            notices.append(Notice(template="held", kind="order", id=self._order_id, facts=facts))
        event = self._event(made_orders.paid_transition(self.order.noun), now, names, notices=notices)
        event.revenue, event.orders = attempt.plan.total, 1
        event.credit = attempt.plan.total - made_orders.took(attempt)
        self._counted(event, attempt)
        changes: list[Change] = [self.moved(self.head, after)]
        if begins:
            event.bought = self._order_id
            changes += self._auto_order(order, now, event)
        if attempt.kind == "receivable":
            changes += self._collected(order, now, event)
        changes.append(self._shop.orders.edited(order, self.order.version))
        changes.append(self._shop.events.happened(event))
        return changes

    def _collected(self, order: Order, now: Instant, event: Event) -> list[Change]:
        """What the auto order counts of a paid rebill; nothing where it is gone."""
        oid = order.auto_order_oid
        head = self._shop.auto_orders.head(oid) if oid else None
        if oid is None or head is None:
            return []
        if order.run is not None:
            event.rebills = 1
            event.happenings.append(Happening(name="auto_order_rebill", kind="auto_order", id=str(oid)))
        event.touched = [("auto_order", str(oid))]
        after = collected(head, order, now)
        changes: list[Change] = [self._shop.auto_orders.moved(oid, head, after)]
        if after.status == "canceled" and head.status != "canceled":
            event.happenings.append(Happening(name="auto_order_cancel", kind="auto_order", id=str(oid)))
            event.notices.append(Notice(template="canceled", kind="auto_order", id=str(oid)))
            entry = decided_entry("ended", now, LAST_ORDER, run=order.run or 0)
            changes.append(self._shop.auto_orders.logged(oid, entry, event.seq, event.event_id))
        return changes

    def _paid_order(self, attempt: Attempt, approved: Approved, now: Instant, *, late: bool) -> Order:
        before = self.order.noun
        card = before.payment.credit_card if before.payment else None
        payment = made_orders.paid(before.payment, attempt, approved if attempt.card else None, now)
        if attempt.gateway and attempt.gateway in self.rotation().by_code():
            payment.rotating_transaction_gateway_code = attempt.gateway
        if card is not None and card.stored_card is not None and approved.network_transaction_id:
            stored = replace(card.stored_card, network_transaction_id=approved.network_transaction_id)
            payment.credit_card = replace(card, stored_card=stored)
        stage = made_orders.stage_when_paid(before)
        history = OrderCurrentStageHistory(before_stage=before.current_stage, after_stage=stage, transition_dts=now)
        paid = replace(
            before,
            payment=payment,
            current_stage=stage,
            current_stage_histories=[*(before.current_stage_histories or []), history],
            items=[replace(line) for line in before.items or []],
            charge_key=attempt.key,
            late=late or None,
        )
        return made_orders.with_what_paid(paid, attempt)

    def _auto_order(self, order: Order, now: Instant, event: Event) -> list[Change]:
        """The auto order that the paid order begins; its oid and its items' stand on the order's lines."""
        ids = [line.merchant_item_id for line in order.items or [] if line.merchant_item_id]
        merchant, settings, shipping, taxes, items, coupons = self._shop.configuration.price_list(ids, [])
        started = begun(order, items, now, self._shop.oids, merchant.zone_name())
        if started is None:
            return []
        document, head = started
        document.auto_order_code = auto_order_code(self._shop)
        order.auto_order_oid = document.auto_order_oid
        facts = Facts(
            merchant=merchant,
            settings=settings,
            shipping=shipping,
            taxes=taxes,
            auto_order=document,
            head=head,
            original=order,
            items=with_step_items(self._shop, items),
            coupons=coupons,
        )
        head.due_dts = next_look(facts, head, now)
        oid = str(document.auto_order_oid)
        event.happenings.append(Happening(name="auto_order_create", kind="auto_order", id=oid))
        words = f"Begun by the first payment of {order.order_id}"
        entry = TimelineEntry(log_dts=now, kind="begun", actor=SYSTEM, log_message=words, order_id=order.order_id)
        logged = self._shop.auto_orders.logged(int(oid), entry, 0, event.event_id)
        listed = self._shop.auto_orders.listed(int(oid), names_of(order, order.customer_profile_oid), now)
        return [*self._shop.auto_orders.begun(document, head), logged, *listed]

    def late(self, attempt: Attempt, approved: Approved, now: Instant, *, missing: str) -> list[Change] | None:
        if self.head.attempt is not None or self.head.status == "paid" or attempt.kind in charge.AUTHORISATIONS:
            return None
        row = self._shop.orders.attempt(self._order_id, attempt.run, attempt.tries)
        if row is not None and row.outcome == "late_refunded":
            return None
        return self._paid(attempt, approved, now, late=True, missing=missing)

    def refunded(self, attempt: Attempt, reason: str, now: Instant, *, telling: str) -> list[Change]:
        row = ClosedAttempt(attempt=attempt, closed_dts=now, outcome="late_refunded", reason=reason)
        changes = [self._shop.orders.closed(self._order_id, row)]
        if telling:
            event = self._told(f"second_capture#{attempt.key}#{reason}", "second_capture", telling, now)
            changes.append(self._shop.events.happened(event))
        return changes

    def reviewed(self, before: Head, after: Head, message: str, now: Instant) -> list[Change]:
        event = self._told(f"review#{before.tries}", "payment_review", message, now)
        return [self.moved(before, after), self._shop.events.happened(event)]

    def _told(self, transition: str, code: str, message: str, now: Instant) -> Event:
        """An event that tells the merchant what a person should look at."""
        facts = {"code": code, "message": message}
        notice = Notice(template="held", kind="order", id=self._order_id, facts=facts)
        return self._event(transition, now, ["order_update"], notices=[notice])

    def _event(self, transition: str, now: Instant, names: list[str], notices: list[Notice] | None = None) -> Event:
        return Event(
            event_id=event_id(self._shop.merchant_id, self.subject(), transition),
            dts=now,
            happenings=[Happening(name=name, kind="order", id=self._order_id) for name in names],
            seq=self.head.fence + self.head.revision + self.head.run,
            notices=notices or [],
        )


def auto_order_code(shop: Shop) -> str:
    """Ten letters and digits that nobody mixes up."""
    letters = AUTO_ORDER_CODE_LETTERS
    return "".join(letters[next(shop.oids) % len(letters)] for _ in range(CODE_LENGTH))
