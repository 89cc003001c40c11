"""Paying for an order: charged once whoever asks how often, and its first payment begins one auto order."""

import itertools
from dataclasses import replace as replaced
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.dates import parse_instant
from chalicelib.domain.errors import Contended, Invalid
from chalicelib.domain.heads import Head
from chalicelib.domain.orders import Order, OrderItemOption, OrderProperty
from chalicelib.domain.payments import Approved, Charge, Declined, NotSent, Unknown
from chalicelib.flows import charge
from chalicelib.flows.purchase import PaymentOf, look_at, pay
from chalicelib.gateways.sandbox import PROFILES, TEST_CARDS, Behaviour
from chalicelib.stores.records import MAXIMUM_DOCUMENT_BYTES
from chalicelib.stores.sqlite import SqliteTables
from tests.flows.test_charge import Watched, is_claim, is_giving_back, is_settling, once
from tests.worlds import World

NUMBERS = {behaviour: number for number, behaviour in reversed(TEST_CARDS.items())}
MONTHLY: dict[str, str | None] = {"COFFEE": "Monthly"}


class Till:
    """A world with one order that nobody has paid for yet."""

    def __init__(self, profile: str = "full", behaviour: Behaviour = "approve", **order: Any) -> None:
        self.tables = SqliteTables()
        self.port = Watched(self.tables, "write")
        made: list[Watched] = []

        def watch(sandbox: Any) -> Watched:
            made.append(Watched(sandbox, "charge", "look_up", "refund"))
            return made[-1]

        self.world = World(capabilities=PROFILES[profile], port=self.port, gateway=watch).open()
        self.gateway = made[-1]
        self.order_id = self.world.place(MONTHLY, NUMBERS[behaviour], **order)

    def pay(self) -> Any:
        return pay(self.world.shop, self.order_id)

    @property
    def order(self) -> Order:
        return self.world.shop.orders.get(self.order_id).noun

    @property
    def head(self) -> Head:
        head = self.world.shop.orders.read(self.order_id)[1]
        assert head is not None
        return head

    @property
    def status(self) -> str:
        assert self.order.payment is not None
        return str(self.order.payment.payment_status)

    @property
    def auto_order_oid(self) -> int | None:
        return self.world.shop.auto_orders.oid_by_original_order(self.order_id)

    def auto_orders(self) -> int:
        """How often an auto order was begun, by what was told of it."""
        self.world.tell_all()
        return sum(1 for kind, _ in self._rows() if kind == "auto_order")

    def _rows(self) -> list[tuple[str, str]]:
        return [("auto_order", name) for name, _ in self.world.shop.lists.rows("auto_order")]

    def captured(self) -> list[Any]:
        return [c for c in self.world.sandbox.captures() if c.refunded_dts is None]

    def other_card(self, behaviour: Behaviour) -> None:
        """As after an update of the payment."""
        kept = self.world.shop.orders.get(self.order_id)
        assert kept.noun.payment is not None
        assert kept.noun.payment.credit_card is not None
        kept.noun.payment.credit_card.stored_card = self.gateway.tokenise(NUMBERS[behaviour], 12, 2040)
        self.world.shop.write(self.world.shop.orders.edited(kept.noun, kept.version))

    def notices(self) -> list[Any]:
        self.world.tell_all()
        return [mail for mail in self.world.shop.mails.of(f"order#{self.order_id}") if mail.template == "held"]


def rests(till: Till) -> bool:
    """Nothing is open and the head has left the due index."""
    return till.head.attempt is None and till.head.due_dts is None and not till.world.due("orders")


# --- once ------------------------------------------------------------------------------------------------------------


def test_the_first_payment_begins_one_auto_order_however_often_it_is_asked_for() -> None:
    till = Till()
    assert isinstance(till.pay(), Approved)
    oid = till.auto_order_oid
    for _ in range(3):
        assert till.pay() is None
    till.world.travel(1, twice=True)
    assert (till.status, till.head.status, till.order.auto_order_oid) == ("Processed", "paid", oid)
    assert (till.world.sandbox.posts(), till.auto_orders(), rests(till)) == (1, 1, True)


def test_two_who_pay_at_once_charge_once() -> None:
    till = Till()
    till.port.before = once(till.pay, when=is_claim)
    assert till.pay() is None
    assert (till.world.sandbox.posts(), till.status, till.auto_orders()) == (1, "Processed", 1)


def test_who_asks_while_another_is_being_answered_is_told_nothing_and_charges_nothing() -> None:
    till = Till()
    answers: list[Any] = []
    till.gateway.before = once(lambda: answers.append(till.pay()), when=lambda name, *given: name == "charge")
    till.pay()
    assert answers == [None]
    assert (till.world.sandbox.posts(), till.status) == (1, "Processed")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("behaviour", ["timeout_after_capture", "timeout_before_capture", "slow", "duplicate_answer"])
def test_an_unknown_outcome_is_never_charged_again_by_asking_again(profile: str, behaviour: Behaviour) -> None:
    till = Till(profile, behaviour)
    assert isinstance(till.pay(), Unknown)
    for _ in range(5):
        till.pay()
    assert till.world.sandbox.posts() == 1
    till.world.travel(3, twice=True)
    if profile == "neither":
        attempt = till.head.attempt
        assert attempt is not None
        assert attempt.review_dts is not None
        assert (till.world.sandbox.posts(), len(till.notices())) == (1, 1)
        return
    assert rests(till)
    assert len(till.captured()) == (till.status == "Processed")
    assert till.auto_orders() == len(till.captured())
    if till.status != "Processed":
        till.other_card("approve")
        assert isinstance(till.pay(), Approved), "known not to be charged: it can be paid for"
        assert till.auto_orders() == 1


def test_two_orders_on_one_card_are_both_charged() -> None:
    till = Till()
    other = till.world.place(MONTHLY)
    till.pay()
    pay(till.world.shop, other)
    assert len({capture.key for capture in till.captured()}) == 2


# --- declined, and paid for later ------------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", ["decline", "lost_card", "action_needed", "not_sent"])
def test_what_was_declined_can_be_paid_for_later_under_another_key(behaviour: Behaviour) -> None:
    till = Till(behaviour=behaviour)
    assert not isinstance(till.pay(), Approved)
    assert rests(till)
    assert (till.auto_order_oid, till.head.status) == (None, "unpaid")
    assert till.status == ("Unprocessed" if behaviour == "not_sent" else "Declined")
    till.other_card("approve")
    till.world.clock.pass_(days=2)
    assert isinstance(till.pay(), Approved)
    first, *_ = till.world.shop.orders.attempts(till.order_id)
    assert till.order.charge_key != first.attempt.key
    assert till.auto_orders() == 1
    transactions = till.order.payment.transactions if till.order.payment else None
    assert [bool(one.successful) for one in transactions or []] == [True] + [False] * (behaviour != "not_sent")
    document, _ = till.world.shop.auto_orders.read(till.auto_order_oid or 0)
    assert document.noun.original_order_id == till.order_id
    till.world.check(till.auto_order_oid or 0)


def test_every_decline_is_told_once_and_only_declines_are() -> None:
    till = Till(behaviour="decline")
    for _ in range(3):
        till.pay()
    till.world.tell_all()
    day = till.world.shop.lists.days("2027-01-31", "2027-01-31")[0][1]
    assert day["declines"] == 3


# --- when the auto order begins --------------------------------------------------------------------------------------


def test_the_schedule_counts_from_the_local_date_of_the_payment() -> None:
    till = Till()
    till.world.clock.go(parse_instant("2027-02-27T23:30:00-05:00"))
    till.pay()
    oid = till.auto_order_oid or 0
    assert till.world.bills_at(oid) == parse_instant("2027-03-27T00:00:00-04:00")
    till.world.travel(62)
    assert till.world.rebill_days(oid) == ["2027-03-27", "2027-04-27"]


def test_a_payment_that_is_learnt_late_is_the_first_payment_all_the_same() -> None:
    till = Till("lookup", "timeout_before_capture")
    requests: list[Charge] = []
    till.gateway.before = lambda name, *given: requests.append(given[0]) if name == "charge" else None
    till.pay()
    attempt = till.head.attempt
    assert attempt is not None
    till.world.travel(1)
    assert rests(till)
    assert [row.outcome for row in till.world.shop.orders.attempts(till.order_id)] == ["not_charged"]
    approved = till.world.sandbox.charge(requests[0])
    for _ in range(2):
        charge.record(till.world.shop, PaymentOf(till.world.shop, till.order_id), attempt, approved)
    assert (till.status, till.order.late, till.auto_orders()) == ("Processed", True, 1)
    till.world.check(till.auto_order_oid or 0)


def test_a_line_whose_item_has_left_the_catalogue_since_still_begins_its_auto_order() -> None:
    till = Till()
    kept = till.world.shop.items.get("COFFEE")
    till.world.shop.write(till.world.shop.items.removed("COFFEE", kept.version))
    till.pay()
    oid = till.auto_order_oid
    assert oid is not None
    till.world.travel(30)
    assert till.world.head(oid).state.held == "item_unavailable", "the merchant was told"
    till.world.shop.write(till.world.shop.items.inserted("COFFEE", kept.noun))
    till.world.travel(2)
    assert len(till.world.rebills(oid)) == 1


def test_an_order_without_a_schedule_begins_none() -> None:
    till = Till()
    order_id = till.world.order({"TEA": None})
    assert till.world.shop.auto_orders.oid_by_original_order(order_id) is None


def test_an_order_that_costs_nothing_is_paid_for_without_a_gateway() -> None:
    till = Till()
    till.world.sell("SAMPLE", "0")
    order_id = till.world.place({"SAMPLE": None})
    assert isinstance(pay(till.world.shop, order_id), Approved)
    order = till.world.shop.orders.get(order_id).noun
    assert order.payment is not None
    assert (order.payment.payment_status, till.world.sandbox.posts()) == ("Processed", 0)


def test_an_oid_or_a_code_that_is_taken_is_drawn_again() -> None:
    till = Till()
    numbers = itertools.count(5001)
    till.world._numbers = numbers
    till.pay()
    other = till.world.place(MONTHLY)
    till.world._numbers = itertools.chain(range(5001, 5013), numbers)  # type: ignore[assignment]
    assert isinstance(pay(till.world.shop, other), Approved)
    oids = {till.auto_order_oid, till.world.shop.auto_orders.oid_by_original_order(other)}
    assert len(oids) == 2
    assert None not in oids


# --- what must not be charged ----------------------------------------------------------------------------------------


def close(till: Till) -> None:
    """As a merchant who rejects the order would."""
    _, head = till.world.shop.orders.read(till.order_id)
    assert head is not None
    after = replace(head, status="closed", revision=head.revision + 1)
    till.world.shop.write(till.world.shop.orders.moved(till.order_id, head, after))


def test_a_closed_order_is_not_charged() -> None:
    till = Till()
    close(till)
    assert till.pay() is None
    assert till.world.sandbox.posts() == 0


def test_an_order_closed_while_it_is_charged_keeps_its_capture_as_late_and_begins_nothing() -> None:
    till = Till()
    till.gateway.before = once(lambda: close(till), when=lambda name, *given: name == "charge")
    till.pay()
    assert (till.status, till.order.late, till.auto_order_oid) == ("Processed", True, None)
    assert rests(till)


def test_an_order_closed_while_its_outcome_is_unknown_is_never_posted_again() -> None:
    till = Till("full", "timeout_before_capture")
    till.pay()
    close(till)
    till.world.travel(3)
    assert (till.world.sandbox.posts(), till.captured(), rests(till)) == (1, [], True)


def test_a_capture_of_another_amount_is_decided_by_a_person() -> None:
    till = Till()
    till.gateway.instead = lambda name, *given: Approved(
        transaction_id="t", amount=Decimal("17.94"), currency_code="USD"
    )
    assert isinstance(till.pay(), Unknown)
    till.world.travel(5)
    attempt = till.head.attempt
    assert attempt is not None
    assert attempt.review_dts is not None
    assert (till.status, len(till.notices())) == ("Unprocessed", 1)


def test_an_order_that_nothing_can_be_charged_for_is_refused_before_anything_is_claimed() -> None:
    till = Till()
    with pytest.raises(Invalid):
        pay(replaced(till.world.shop, payments={}), till.order_id)
    kept = till.world.shop.orders.get(till.order_id)
    assert kept.noun.payment is not None
    kept.noun.payment.credit_card = None
    till.world.shop.write(till.world.shop.orders.edited(kept.noun, kept.version))
    with pytest.raises(Invalid):
        till.pay()
    assert (till.head.attempt, till.head.tries) == (None, 0)


def test_an_order_that_leaves_no_room_for_its_receipt_is_not_charged() -> None:
    till = Till()
    kept = till.world.shop.orders.get(till.order_id)
    line = (kept.noun.items or [])[0]
    wide = replace(line, options=[OrderItemOption(label="x", value="y" * 1024)] * 5)
    noun = replace(kept.noun, items=[line, *([wide] * 52)], properties=[OrderProperty(name="pad", value="")])
    room = MAXIMUM_DOCUMENT_BYTES - len(wire.kept(noun)) - 10
    noun.properties = [OrderProperty(name="pad", value="z" * (room % 1400))] + [
        OrderProperty(name="pad", value="z" * 1350) for _ in range(room // 1400)
    ]
    till.world.shop.write(till.world.shop.orders.edited(noun, kept.version))
    with pytest.raises(Invalid):
        till.pay()
    assert (till.world.sandbox.posts(), till.head.attempt) == (0, None)


def test_nothing_is_charged_with_too_little_time_left() -> None:
    till = Till()
    with pytest.raises(Contended):
        pay(replaced(till.world.shop, time_left=lambda: 29.0), till.order_id)
    left = iter([60.0, 29.0])
    assert isinstance(pay(replaced(till.world.shop, time_left=lambda: next(left)), till.order_id), NotSent)
    assert (till.world.sandbox.posts(), rests(till)) == (0, True)


# --- and what comes late ---------------------------------------------------------------------------------------------


def test_a_second_capture_of_a_paid_order_is_given_back_and_announced() -> None:
    till = Till("lookup", "timeout_before_capture")
    requests: list[Charge] = []
    till.gateway.before = lambda name, *given: requests.append(given[0]) if name == "charge" else None
    till.pay()
    attempt = till.head.attempt
    assert attempt is not None
    till.world.travel(1)
    till.other_card("approve")
    assert isinstance(till.pay(), Approved)
    approved = till.world.sandbox.charge(requests[0])
    assert len(till.captured()) == 2
    charge.record(till.world.shop, PaymentOf(till.world.shop, till.order_id), attempt, approved)
    assert [capture.key for capture in till.captured()] == [till.order.charge_key]
    assert till.world.shop.orders.attempts(till.order_id)[0].reason == "given back"
    assert len(till.notices()) == 1


@pytest.mark.parametrize("moment", ["before it is written down", "while the gateway gives it back"])
def test_a_capture_is_given_back_or_pays_its_order_never_both(moment: str) -> None:
    """Two hear of it: the one while another attempt is open, the other when that has been closed meanwhile."""
    till = Till("lookup", "timeout_before_capture")
    requests: list[Charge] = []
    till.gateway.before = lambda name, *given: requests.append(given[0]) if name == "charge" else None
    till.pay()
    attempt = till.head.attempt
    assert attempt is not None
    till.world.travel(1)
    till.gateway.instead = lambda name, *given: Unknown(reason="down") if name == "charge" else None
    till.pay()
    till.gateway.instead = None
    approved = till.world.sandbox.charge(requests[0])

    def hear() -> None:
        charge.record(till.world.shop, PaymentOf(till.world.shop, till.order_id), attempt, approved)

    def close_the_other_and_hear() -> None:
        while till.head.attempt is not None:
            till.world.clock.go(till.head.due_dts or till.world.clock.now())
            look_at(till.world.shop, till.order_id)
        hear()

    if moment == "before it is written down":
        till.port.before = once(close_the_other_and_hear, when=is_giving_back)
    else:
        till.gateway.before = once(close_the_other_and_hear, when=lambda name, *given: name == "refund")
    hear()
    assert rests(till)
    assert len(till.captured()) == (till.head.status == "paid") == (till.status == "Processed")


def test_a_decline_that_meets_a_faster_settling_changes_nothing() -> None:
    till = Till("full", "timeout_after_capture")
    till.pay()
    attempt = till.head.attempt
    assert attempt is not None
    slow = PaymentOf(till.world.shop, till.order_id)
    till.world.travel(1)
    assert till.status == "Processed"
    charge.record(till.world.shop, slow, attempt, Declined(code="05", reason="no"))
    assert (till.status, till.head.status) == ("Processed", "paid")


def test_an_order_edited_while_it_is_settled_keeps_the_edit_and_the_payment() -> None:
    till = Till()

    def note() -> None:
        kept = till.world.shop.orders.get(till.order_id)
        till.world.shop.write(
            till.world.shop.orders.edited(
                replace(kept.noun, properties=[OrderProperty(name="gift", value="yes")]), kept.version
            )
        )

    till.port.before = once(note, when=is_settling)
    till.pay()
    assert (till.status, [p.name for p in till.order.properties or []]) == ("Processed", ["gift"])


def test_a_head_that_is_due_for_nothing_leaves_the_due_index() -> None:
    till = Till()
    _, head = till.world.shop.orders.read(till.order_id)
    assert head is not None
    till.world.shop.write(
        till.world.shop.orders.moved(till.order_id, head, replace(head, due_dts=till.world.clock.now()))
    )
    till.port.before = once(till.pay, when=lambda name, *changes: name == "write")
    look_at(till.world.shop, till.order_id)
    till.world.travel(1)
    assert rests(till)
    assert till.status == "Processed"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("behaviour", NUMBERS)
def test_whatever_the_gateway_does_each_capture_is_an_order_or_under_review(profile: str, behaviour: Behaviour) -> None:
    till = Till(profile, behaviour)
    till.pay()
    till.pay()
    till.world.travel(4, twice=True)
    attempt = till.head.attempt
    keys = [till.order.charge_key] if till.status == "Processed" else []
    if attempt is not None:
        assert attempt.review_dts is not None
        keys = [attempt.key]
    assert {capture.key for capture in till.captured()} <= set(keys)
    assert len(till.captured()) <= 1
    assert (till.status == "Processed") == (till.auto_order_oid is not None)
