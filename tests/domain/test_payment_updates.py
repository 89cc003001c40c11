"""Another card: what it replaces on the original order, and what it makes of the head."""

from chalicelib.domain.dates import parse_instant
from chalicelib.domain.heads import Head, State
from chalicelib.domain.orders import Order, OrderPayment, OrderPaymentCreditCard, OrderPaymentECheck
from chalicelib.domain.payment_updates import with_card, with_new_card
from chalicelib.domain.payments import StoredCard

STORED = StoredCard(gateway="sandbox", reference="r", fingerprint="f")
CARD = OrderPaymentCreditCard(card_type="VISA", stored_card=STORED)
LATER = parse_instant("2027-03-03T00:00:00-05:00")


def test_a_card_takes_the_place_of_another_and_of_an_e_check() -> None:
    other = OrderPaymentCreditCard(stored_card=StoredCard(gateway="sandbox", reference="x", fingerprint="y"))
    echeck = OrderPaymentECheck(stored_account=StoredCard(gateway="sandbox", reference="x", fingerprint="y"))
    for before in (
        OrderPayment(payment_method="Credit Card", credit_card=other, payment_status="Processed"),
        OrderPayment(payment_method="eCheck", echeck=echeck, payment_status="Processed"),
    ):
        payment = with_card(Order(payment=before), CARD).payment
        assert payment is not None
        assert (payment.stored(), payment.card_type(), payment.echeck) == ([STORED], "VISA", None)
        assert payment.payment_status == "Processed"


def test_what_declines_had_disabled_begins_anew_with_all_of_the_old_card_forgotten() -> None:
    state = State(
        failed=True, failure_reason="no", refused_card="f", disabled_dts=LATER, cancel_item="declined", tried=["a"]
    )
    after = with_new_card(Head(status="disabled", round=3, tries=3, run=4, state=state))
    assert (after.status, after.round, after.tries, after.run) == ("active", 0, 3, 4)
    assert after.state == State()


def test_what_somebody_has_ended_stays_ended_and_a_retry_keeps_its_date_and_count() -> None:
    for status in ("canceled", "disabled"):
        head = Head(status=status, round=1, state=State(refused_card="f", disabled_dts=LATER))  # type: ignore[arg-type]
        after = with_new_card(head)
        assert (after.status, after.round, after.state) == (status, 1, State(disabled_dts=LATER))
    waiting = Head(status="active", round=1, state=State(next_attempt=LATER, failure_reason="no", tried=["a"]))
    after = with_new_card(waiting)
    assert (after.round, after.state) == (1, State(next_attempt=LATER, failure_reason="no"))
