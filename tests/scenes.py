"""Stories about money, to be cut at any of their calls: a rebill until its outcome is known, one that was canceled
meanwhile, a capture that comes late, a first payment. Each begins on a prepared shop, which is cloned for every cut."""

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from typing import Any

from chalicelib.domain.gift_certificates import ledger_id
from chalicelib.domain.heads import Head
from chalicelib.domain.money import total_of
from chalicelib.domain.orders import OrderCoupon
from chalicelib.domain.payments import Approved, Charge, ClosedAttempt, Use
from chalicelib.flows import edit, gift_certificates, ledgers
from chalicelib.flows.catalogue import insert_coupon
from chalicelib.flows.charge import record
from chalicelib.flows.purchase import look_at, pay
from chalicelib.flows.rebill import RunOf
from chalicelib.gateways.sandbox import PROFILES, Behaviour
from chalicelib.stores.auto_orders import AutoOrders
from chalicelib.stores.coupon_uses import CouponUses
from chalicelib.stores.ledgers import Ledgers
from chalicelib.stores.orders import Orders
from chalicelib.stores.port import TablePort
from chalicelib.stores.sqlite import SqliteTables
from tests.balances import ADA, a_certificate, a_customer_with, certificate_oid, paying_with
from tests.cutting import Crash, CutGateway, CutPort, Scissors, Side
from tests.worlds import MERCHANT, World

Cut = tuple[int, Side]
# The resolver of a gateway with look-ups only is sure within an hour, a pending payment is settled in a day; who needs
# more visits than this gets nowhere.
MOST_VISITS = 40
# After the last visit: the declines' retries, and every wait that is left.
RECOVERY_DAYS = 3
RULES = {"number_of_retries": 3, "delay_between_retries_days": 1}
CANCEL = {"enabled": False, "canceled_by_user": "customer"}
# What the gateway does with the first post of a story; all later ones are approved.
FIRSTS: tuple[Behaviour, ...] = (
    "approve",
    "decline",
    "timeout_after_capture",
    "timeout_before_capture",
    "duplicate_answer",
    "pending",
    "not_sent",
)
KINDS_OF_GATEWAY = ("full", "keys", "lookup")


class Stage(World):
    """A shop of a scene, whose gateway does with its next post what it is told to, and from then on what it likes."""

    def __init__(self, profile: str, **named: Any) -> None:
        self.next: Behaviour | None = None
        super().__init__(capabilities=PROFILES[profile], behave=self._behaves, **named)

    def open(self, **rules: Any) -> "Stage":
        super().open(**rules)
        return self

    def _behaves(self, charge: Charge, posts: int) -> Behaviour | None:
        behaviour, self.next = self.next, None
        return behaviour


@dataclass(frozen=True)
class Scene:
    """``prepare`` makes what the story is about; ``visit`` is one visit of whoever may be cut off, True where nothing
    is left for another; ``check`` looks at it when all is over."""

    profile: str
    first: Behaviour
    prepare: Callable[[Stage], Any]
    visit: Callable[[Stage, Any, TablePort], bool]
    check: Callable[[Stage, Any], None]


# --- an auto order ---------------------------------------------------------------------------------------------------


def a_due_rebill(stage: Stage) -> int:
    """A subscriber whose first rebill is due now."""
    stage.open(**RULES)
    oid = stage.subscribe()
    stage.tell_all()
    due = stage.next_due()
    assert due is not None
    stage.clock.go(due)
    return oid


def billed(stage: Stage, oid: int, uncut: TablePort) -> bool:
    return _visited(stage, lambda: stage.visit(oid), lambda: AutoOrders(uncut, MERCHANT).head(oid))


def _visited(stage: Stage, act: Callable[[], object], head_of: Callable[[], Head | None]) -> bool:
    """One visit; over where nothing is open and nothing is due any more. Else the clock goes on to when the sweep
    brings it, or the message comes again."""
    try:
        act()
    finally:
        head = head_of()
        if head is not None and head.due_dts is not None and head.attempt is not None:
            stage.clock.go(head.due_dts)
    if head is None:
        return True
    reviewed = head.attempt is not None and head.attempt.review_dts is not None
    waits = head.due_dts is not None and head.due_dts <= stage.clock.now()
    return reviewed or (head.attempt is None and not waits)


def one_rebill(stage: Stage, oid: int) -> None:
    stage.check(oid)
    assert len(stage.rebills(oid)) == 1, "the rebill was lost"
    assert stage.head(oid).attempt is None


def at_rest(stage: Stage, oid: int) -> None:
    """Canceled meanwhile: either it was captured and has its order, or it was not and has none."""
    stage.check(oid)
    head = stage.head(oid)
    assert (head.status, head.attempt, head.due_dts) == ("canceled", None, None)


def under_review(stage: Stage, oid: int) -> None:
    """Paid for, or nothing could be found out: then nothing is charged again, and a person decides."""
    stage.check(oid, at_rest=False)
    attempt = stage.head(oid).attempt
    taken = [c for c in stage.sandbox.captures() if c.order_id.endswith("-001")]
    assert len(taken) <= 1
    assert len(stage.rebills(oid)) == 1 or (attempt is not None and attempt.review_dts is not None)


def an_open_attempt_of_a_canceled_one(first: Behaviour, stage: Stage) -> int:
    oid = a_due_rebill(stage)
    stage.next = first
    stage.visit(oid)
    assert stage.head(oid).attempt is not None
    edit.update(stage.shop, oid, CANCEL)
    return oid


# --- a capture that comes late ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Late:
    """An attempt that is closed, and the capture under its key that shows only now."""

    oid: int
    closed: ClosedAttempt
    approved: Approved


def a_late_capture(then: str, stage: Stage, prepare: Callable[[Stage], int] = a_due_rebill) -> Late:
    """``then``: what has become of the run since its attempt was closed."""
    oid = prepare(stage)
    stage.next = "timeout_before_capture"
    stage.visit(oid)
    if then == "canceled":
        edit.update(stage.shop, oid, CANCEL)
    for _ in range(MOST_VISITS):
        head = stage.head(oid)
        if head.attempt is None:
            break
        stage.clock.go(head.due_dts or stage.clock.now())
        stage.visit(oid)
    (closed,) = stage.shop.auto_orders.attempts(oid)
    assert closed.outcome == "not_charged"
    if then == "paid":
        stage.visit(oid)
        assert len(stage.rebills(oid)) == 1
    elif then == "open":
        stage.next = "timeout_after_capture"
        stage.visit(oid)
        assert stage.head(oid).attempt is not None
    attempt = closed.attempt
    assert attempt.card is not None
    stage.tell_all()
    captured = stage.sandbox.charge(
        Charge(
            key=attempt.key,
            amount=attempt.asked(),
            currency_code=attempt.plan.currency,
            card=attempt.card,
            order_id=RunOf(stage.shop, oid).order_id(attempt.run),
            first=False,
        )
    )
    assert isinstance(captured, Approved)
    return Late(oid, closed, captured)


def learnt(stage: Stage, late: Late, uncut: TablePort) -> bool:
    record(stage.shop, RunOf(stage.shop, late.oid), late.closed.attempt, late.approved)
    return True


def late_order(stage: Stage, late: Late) -> None:
    stage.check(late.oid)
    (order,) = stage.rebills(late.oid)
    assert order.charge_key == late.closed.attempt.key
    assert order.late


def given_back(stage: Stage, late: Late) -> None:
    one_rebill(stage, late.oid)
    (back,) = [c for c in stage.sandbox.captures() if c.refunded_dts is not None]
    assert back.key == late.closed.attempt.key
    rows = [row for row in stage.shop.auto_orders.attempts(late.oid) if row.attempt.key == back.key]
    assert [(row.outcome, row.reason) for row in rows] == [("late_refunded", "given back")]


# --- a first payment -------------------------------------------------------------------------------------------------


def an_unpaid_order(stage: Stage) -> str:
    stage.open(**RULES)
    order_id = stage.place({"COFFEE": "Monthly"})
    stage.tell_all()
    return order_id


def paid(stage: Stage, order_id: str, uncut: TablePort) -> bool:
    """The shopper asks until she has an answer; what is open is the sweep's."""

    def head() -> Head | None:
        return Orders(uncut, MERCHANT).read(order_id)[1]

    stands = head()
    act = look_at if stands is not None and stands.attempt is not None else pay
    over = _visited(stage, lambda: act(stage.shop, order_id), head)
    stands = head()
    return over and stands is not None and (stands.status == "paid" or stands.attempt is not None or stands.round > 0)


def paid_once(stage: Stage, order_id: str) -> None:
    order, head = stage.shop.orders.read(order_id)
    taken = [c for c in stage.sandbox.captures() if c.order_id == order_id and c.refunded_dts is None]
    assert order.noun.payment is not None
    assert head is not None
    if head.attempt is not None:
        assert head.attempt.review_dts is not None
        return
    assert head.due_dts is None
    status = order.noun.payment.payment_status
    assert (status == "Processed") == (head.status == "paid")
    charged = head.status == "paid" and order.noun.money() > 0
    assert len(taken) == charged, f"{status}, {taken}"
    oid = stage.shop.auto_orders.oid_by_original_order(order_id)
    assert (oid is not None) == (head.status == "paid")
    if oid is not None:
        stage.check(oid)


# --- paid with balances ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Paying:
    """An auto order or an order, ``of`` which a ledger that ``had`` so much pays some; the ``use`` that its coupon
    takes; and what its ``story`` is about."""

    of: int | str
    ledger: str
    had: Decimal
    story: Any
    use: Use | None = None


def a_rebill_with_credit(stage: Stage) -> Paying:
    """A subscriber whose store credit pays some of the rebill that is due now."""
    stage.open(**RULES, use_store_credit_for_rebills=True)
    customer = a_customer_with(stage, "10")
    oid = stage.subscribe()
    stage.tell_all()
    stage.clock.go(stage.bills_at(oid))
    return Paying(oid, ledger_id(gift_certificates.internal(stage.shop, customer)), Decimal(10), oid)


def an_order_with_a_certificate(amount: str, stage: Stage) -> Paying:
    """An order that a gift certificate pays for, wholly or in part, with a coupon for one use."""
    stage.open(**RULES)
    code = a_certificate(stage, amount)
    raw = {"merchant_code": "ONCE", "percent_off_subtotal": {"discount_percent": 10}}
    insert_coupon(stage.shop, {**raw, "maximum_uses": 1, "usable_by": "OncePerCustomer"})
    order_id = stage.place({"COFFEE": "Monthly"}, coupons=[OrderCoupon(coupon_code="ONCE")], **paying_with(code))
    stage.tell_all()
    use = Use(code="ONCE", most=1, customers=[f"email#{ADA}"])
    return Paying(order_id, ledger_id(certificate_oid(stage, code)), Decimal(amount), order_id, use)


def a_late_capture_with_credit(then: str, stage: Stage) -> Paying:
    made: list[Paying] = []

    def prepared(stage: Stage) -> int:
        made.append(a_rebill_with_credit(stage))
        return int(made[0].of)

    late = a_late_capture(then, stage, prepared)
    return dataclasses.replace(made[0], story=late)


Visit = Callable[[Stage, Any, TablePort], bool]
Check = Callable[[Stage, Any], None]


def with_balance(visit: Visit, stage: Stage, paying: Paying, uncut: TablePort) -> bool:
    """One visit; wherever it is cut off, nothing is held but by the open attempt."""
    try:
        return visit(stage, paying.story, uncut)
    finally:
        key = _open_key(paying, uncut)
        holds = [hold.key for hold in Ledgers(uncut, MERCHANT).read(paying.ledger).noun.holds]
        assert holds == ([key] if key else []), f"held by {holds}, open is {key}"
        if paying.use is not None:
            used, mine = CouponUses(uncut, MERCHANT).of(paying.use)
            assert (used or 0) == len(mine), "the two counts of one use differ"
            assert not key or list(mine.values()) == [key]


def _open_key(paying: Paying, port: TablePort) -> str | None:
    """The key of the open attempt."""
    of = paying.of
    head = Orders(port, MERCHANT).read(of)[1] if isinstance(of, str) else AutoOrders(port, MERCHANT).head(of)
    return head.attempt.key if head is not None and head.attempt is not None else None


def spent_once(check: Check, stage: Stage, paying: Paying) -> None:
    """What is gone from the balance is what the paid orders say, and nothing is held but by what a person decides on;
    a use is taken by who paid with it."""
    check(stage, paying.story)
    of = paying.of
    orders = [stage.shop.orders.get(of).noun] if isinstance(of, str) else stage.rebills(of)
    paid = [order for order in orders if order.payment and order.payment.payment_status == "Processed"]
    spent = total_of(order.certificate_amount() + order.store_credit() for order in paid)
    ledger, is_open = stage.shop.ledgers.read(paying.ledger).noun, _open_key(paying, stage.tables) is not None
    assert (ledger.balance, ledger.held() > 0) == (paying.had - spent, is_open)
    assert ledgers.verify(stage.shop, paying.ledger) == []
    if paying.use is not None:
        used, _ = stage.shop.coupon_uses.of(paying.use)
        assert (used or 0) == len(paid) + is_open


# --- all of them -----------------------------------------------------------------------------------------------------


def scenes() -> dict[str, Scene]:
    told: dict[str, Scene] = {}
    for profile, first in itertools.product(KINDS_OF_GATEWAY, FIRSTS):
        # Nobody can ask a gateway with keys only what became of a pending payment, so a person decides.
        check = under_review if (profile, first) == ("keys", "pending") else one_rebill
        told[f"rebill, {profile}, {first}"] = Scene(profile, first, a_due_rebill, billed, check)
        told[f"purchase, {profile}, {first}"] = Scene(profile, first, an_unpaid_order, paid, paid_once)
    told["rebill, neither, timeout_after_capture"] = Scene(
        "neither", "timeout_after_capture", a_due_rebill, billed, under_review
    )
    for profile, unknown in itertools.product(
        ("full", "lookup"), ("timeout_before_capture", "timeout_after_capture", "pending")
    ):
        prepare = partial(an_open_attempt_of_a_canceled_one, unknown)
        told[f"canceled, {profile}, {unknown}"] = Scene(profile, "approve", prepare, billed, at_rest)
    for then, check_late in (("canceled", late_order), ("paid", given_back), ("open", given_back)):
        told[f"late capture, {then}"] = Scene("lookup", "approve", partial(a_late_capture, then), learnt, check_late)
    return told | with_balances()


def with_balances() -> dict[str, Scene]:
    """The same stories where balances pay: what they hold stands and falls with the attempt."""
    told: dict[str, Scene] = {}
    for first in FIRSTS:
        visit, check = partial(with_balance, billed), partial(spent_once, one_rebill)
        told[f"credit, {first}"] = Scene("lookup", first, a_rebill_with_credit, visit, check)
        visit, check = partial(with_balance, paid), partial(spent_once, paid_once)
        part, whole = (partial(an_order_with_a_certificate, amount) for amount in ("10", "50"))
        told[f"certificate, {first}"] = Scene("lookup", first, part, visit, check)
    told["certificate, nothing to charge"] = Scene("lookup", "approve", whole, visit, check)
    for then, check_late in (("canceled", late_order), ("open", given_back)):
        prepare = partial(a_late_capture_with_credit, then)
        check = partial(spent_once, check_late)
        told[f"credit, late capture, {then}"] = Scene(
            "lookup", "approve", prepare, partial(with_balance, learnt), check
        )
    return told


SCENES = scenes()


@cache
def prepared(name: str) -> tuple[Stage, Any]:
    stage = Stage(SCENES[name].profile, port=SqliteTables())
    return stage, SCENES[name].prepare(stage)


def cloned(
    name: str, port: Callable[[SqliteTables], Any], gateway: Callable[[Any], Any]
) -> tuple[Stage, Any, SqliteTables]:
    """The prepared shop once more, with what a test puts before its tables and its gateway; and the bare tables."""
    made, subject = prepared(name)
    tables, before = SqliteTables(), made.tables
    assert isinstance(before, SqliteTables)
    tables.meter.limit = 0
    before._db.backup(tables._db)
    stage = Stage(
        SCENES[name].profile,
        port=port(tables),
        gateway=gateway,
        start=made.clock.moment,
    )
    made.sandbox._db.backup(stage.sandbox._db)
    # Other numbers and words than those that stand in the prepared shop.
    stage._numbers, stage._words = itertools.count(500_001), itertools.count(500_001)
    # Only where anything stands: to ask the rest would be empty queries.
    stage.house.shuffled = lambda shards: [
        row[0] for row in tables._db.execute("select distinct hash from entry order by hash")
    ]
    return stage, subject, tables


def under(scissors: Scissors, name: str) -> tuple[Stage, Any, SqliteTables]:
    return cloned(name, lambda tables: CutPort(tables, scissors), lambda sandbox: CutGateway(sandbox, scissors))


def played(
    scene: Scene, stage: Stage, subject: Any, uncut: TablePort, scissors: Scissors, *cuts: Cut
) -> tuple[int, int]:
    """Visits until nothing is left, whatever cuts them off. Returns how many calls they made, and how many cuts were
    reached."""
    stage.next = scene.first
    scissors.arm(*cuts)
    for _ in range(MOST_VISITS):
        try:
            if scene.visit(stage, subject, uncut):
                break
        except Crash:
            continue
    else:
        raise AssertionError(f"{cuts}: nothing is over after {MOST_VISITS} visits")
    calls, reached = scissors.calls, scissors.reached
    scissors.arm()
    return calls, reached


def cut(name: str, *cuts: Cut) -> tuple[int, int]:
    """The whole scene with these cuts, and three days more in which every message comes twice."""
    scissors = Scissors()
    stage, subject, tables = under(scissors, name)
    found = played(SCENES[name], stage, subject, tables, scissors, *cuts)
    stage.travel(RECOVERY_DAYS, twice=True)
    try:
        SCENES[name].check(stage, subject)
    except AssertionError as error:
        raise AssertionError(f"{name}, cut {cuts}: {error}") from error
    return found
