"""The Stripe gateway against a Stripe that breaks: every answer becomes the outcome that is certain, and no more."""

import contextlib
import datetime as dt
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import stripe
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.captures import Hint, Reconciliation
from chalicelib.domain.errors import Contended, Invalid, Unauthorised
from chalicelib.domain.merchants import CURRENCIES
from chalicelib.domain.money import quantise
from chalicelib.domain.payments import (
    GATEWAY_TIMEOUT_SECONDS,
    NOTHING_HELD,
    ActionNeeded,
    Approved,
    Card,
    Charge,
    Declined,
    NotFound,
    NotSent,
    Pending,
    Refund,
    StoredCard,
    Unknown,
)
from chalicelib.flows.reconcile import reconcile
from chalicelib.gateways.stripe import (
    CALL_SECONDS,
    HARD_DECLINES,
    LISTED_SECONDS,
    SEARCH_LAG_SECONDS,
    VISA_NEVER,
    StripeGateway,
    amount_of,
    units_of,
)
from tests.flows.test_crashes import put_card
from tests.gateways.stripe_stub import API_KEY, Decline, Fault, StripeStub, localstripe
from tests.worlds import START, ManualClock, World

KEY = "bo_0123456789"
SECRET, OLD_SECRET = "whsec_new", "whsec_old"
COMES_BACK = "https://shop.example.com/paid"
# Long enough for an answer on a loaded machine; a stub that says nothing costs this much.
SECONDS = 2.0
SOON = 0.4
# Nothing was taken, or it was: what Stripe did, and then the answer was lost.
BEFORE: list[Fault] = ["500 before", "500 within", "close before", "silent before", "silent headers"]
AFTER: list[Fault] = [
    "500 after",
    "502 page",
    "close after",
    "close within",
    "silent after",
    "garbage",
    "list",
    "nothing",
]
AFTER += ["bad number", "wrong amount", "wrong currency", "another"]


@pytest.fixture(scope="module")
def back() -> Iterator[int]:
    with localstripe() as port:
        yield port


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stub(back: int, clock: ManualClock) -> Iterator[StripeStub]:
    stub = StripeStub(back, clock.now)
    yield stub
    stub.close()


@pytest.fixture
def gateway(stub: StripeStub) -> StripeGateway:
    return gateway_to(stub)


def gateway_to(stub: StripeStub, **named: Any) -> StripeGateway:
    given = {
        "shop": "DEMO",
        "webhook_secrets": [SECRET, OLD_SECRET],
        "customer_url": COMES_BACK,
        "base_url": stub.url,
        "now": stub.now,
        "seconds": SECONDS,
    }
    return StripeGateway("stripe", API_KEY, **{**given, **named})


def asked_for(reference: str, amount: str = "17.95", *, key: str = KEY, first: bool = False, **named: Any) -> Charge:
    return Charge(
        key=key,
        amount=Decimal(amount),
        currency_code=named.get("currency", "USD"),
        card=StoredCard(gateway="stripe", reference=reference, fingerprint="f"),
        order_id=named.get("order_id", "DEMO-0000001001-001"),
        first=first,
    )


def part(amount: str, *, key: str = "bo_back", of: str = KEY, currency: str = "USD") -> Refund:
    order_id = "DEMO-0000001001-001"
    return Refund(key=key, of=of, amount=Decimal(amount), currency_code=currency, order_id=order_id)


def code_of(outcome: Any) -> str:
    assert isinstance(outcome, Declined), outcome
    return outcome.code


def given_back(stub: StripeStub) -> list[int]:
    """What was given back of the captures, oldest first."""
    return [refund["amount"] for charge in stub.taken() for refund in reversed(charge["refunds"]["data"])]


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_a_later_charge_is_the_merchants_off_the_session_under_our_key(
    gateway: StripeGateway, stub: StripeStub
) -> None:
    card = stub.card()
    answer = gateway.charge(asked_for(card))
    [charge] = stub.taken()
    assert answer == Approved(
        transaction_id=charge["payment_intent"],
        amount=Decimal("17.95"),
        currency_code="USD",
        network_transaction_id=f"net_{charge['id']}",
    )
    [asked] = stub.asked
    customer, _, method = card.partition("/")
    assert asked.headers["idempotency-key"] == KEY
    assert asked.form == {
        "allowed_payment_method_types": {"0": "card"},
        "amount": "1795",
        "confirm": "true",
        "currency": "usd",
        "customer": customer,
        "description": "Order DEMO-0000001001-001",
        "expand": {"0": "latest_charge"},
        "metadata": {"backroom_key": KEY, "backroom_order_id": "DEMO-0000001001-001", "backroom_shop": "DEMO"},
        "off_session": "true",
        "payment_method": method,
        "payment_method_options": {"card": {"stored_credential_usage": "recurring"}},
    }


def test_the_first_charge_is_the_customers_and_asks_the_bank_to_let_us_come_back(
    gateway: StripeGateway, stub: StripeStub
) -> None:
    assert isinstance(gateway.charge(asked_for(stub.card(), first=True)), Approved)
    form = stub.asked[0].form
    assert (form["setup_future_usage"], form["return_url"]) == ("off_session", COMES_BACK)
    assert form["payment_method_options"] == {"card": {"setup_credential_usage": "recurring"}}
    assert "off_session" not in form


def test_the_same_key_takes_once_and_answers_the_same(gateway: StripeGateway, stub: StripeStub) -> None:
    charge = asked_for(stub.card())
    assert gateway.charge(charge) == gateway.charge(charge)
    assert len(stub.taken()) == 1


def test_a_key_that_was_used_for_something_else_is_unknown(gateway: StripeGateway, stub: StripeStub) -> None:
    card = stub.card()
    gateway.charge(asked_for(card))
    assert isinstance(gateway.charge(asked_for(card, "18.00")), Unknown)
    assert len(stub.taken()) == 1


def test_the_answers_come_in_the_time_that_the_protocol_gives() -> None:
    assert CALL_SECONDS < GATEWAY_TIMEOUT_SECONDS
    capabilities = StripeGateway("stripe", API_KEY).capabilities
    assert capabilities.idempotency_window == 23 * 3600
    assert capabilities.lookup_lag == SEARCH_LAG_SECONDS < LISTED_SECONDS
    assert capabilities.refund
    assert capabilities.authorise


def test_only_https_or_this_machine_is_asked() -> None:
    for address in ("http://api.stripe.com", "http://127.0.0.1.example.com:80", "ftp://127.0.0.1:1"):
        with pytest.raises(ValueError, match="https"):
            StripeGateway("stripe", API_KEY, base_url=address)


@given(st.sampled_from(sorted(CURRENCIES)), st.decimals(0, 99999, places=3, allow_nan=False))
def test_an_amount_is_the_same_after_it_was_counted_in_stripes_coins(currency: str, amount: Decimal) -> None:
    rounded = quantise(amount, currency)
    assert amount_of(units_of(rounded, currency), currency) == rounded


def test_stripe_counts_yen_in_yen_and_icelandic_crowns_in_hundredths() -> None:
    counted = {code: units_of(Decimal(500), code) for code in ("USD", "JPY", "ISK", "BHD")}
    assert counted == {"USD": 50000, "JPY": 500, "ISK": 50000, "BHD": 500000}


# --- what is answered -------------------------------------------------------------------------------------------------

SOFT_DECLINES = [
    "approve_with_id",
    "call_issuer",
    "card_not_supported",
    "card_velocity_exceeded",
    "currency_not_supported",
    "do_not_honor",
    "duplicate_transaction",
    "expired_card",
    "generic_decline",
    "incorrect_cvc",
    "incorrect_zip",
    "insufficient_funds",
    "invalid_amount",
    "issuer_not_available",
    "new_account_information_available",
    "no_action_taken",
    "not_permitted",
    "processing_error",
    "reenter_transaction",
    "security_violation",
    "service_not_allowed",
    "try_again_later",
    "withdrawal_count_limit_exceeded",
    "a_code_of_tomorrow",
]


@pytest.mark.parametrize("code", sorted(HARD_DECLINES))
def test_a_decline_for_good_is_hard(gateway: StripeGateway, stub: StripeStub, code: str) -> None:
    stub.behave = lambda form, posts: Decline(decline_code=code, message="Your card was declined.")
    answer = gateway.charge(asked_for(stub.card()))
    assert answer == Declined(code=code, reason="Your card was declined.", hard=True)
    assert gateway.look_up(KEY) == answer
    assert not stub.taken()


@pytest.mark.parametrize("code", SOFT_DECLINES)
def test_any_other_decline_is_soft(gateway: StripeGateway, stub: StripeStub, code: str) -> None:
    stub.behave = lambda form, posts: Decline(decline_code=code, message="Your card was declined.")
    answer = gateway.charge(asked_for(stub.card()))
    assert answer == Declined(code=code, reason="Your card was declined.")
    assert gateway.look_up(KEY) == answer


VISA, MASTERCARD = ({"id": "pm_1", "card": {"brand": brand}} for brand in ("visa", "mastercard"))


@pytest.mark.parametrize(
    ("said", "hard"),
    [
        (Decline(advice_code="do_not_try_again"), True),
        (Decline(advice_code="try_again_later"), False),
        (Decline(advice_code="confirm_card_data"), False),
        (Decline(network_advice_code="03"), True),
        (Decline(network_advice_code="21", payment_method=MASTERCARD), True),
        (Decline(network_advice_code="02", payment_method=MASTERCARD), False),
        (Decline(network_advice_code="03", payment_method=VISA), False),
        *[(Decline(network_decline_code=code, payment_method=VISA), True) for code in sorted(VISA_NEVER)],
        (Decline(network_decline_code="51", payment_method=VISA), False),
        (Decline(network_decline_code="12", payment_method=MASTERCARD), False),
        (Decline(code="incorrect_number", decline_code=None), True),
        (Decline(code=None, decline_code=None, message=None), False),
    ],
    ids=str,
)
def test_the_networks_rules_make_a_decline_hard(
    gateway: StripeGateway, stub: StripeStub, said: Decline, hard: bool
) -> None:
    stub.behave = lambda form, posts: Decline({"decline_code": "generic_decline", **said})
    answer = gateway.charge(asked_for(stub.card()))
    assert isinstance(answer, Declined)
    assert answer.hard is hard


def test_localstripes_own_decline_is_a_soft_one_and_stays_one(
    gateway: StripeGateway, stub: StripeStub, clock: ManualClock
) -> None:
    answer = gateway.charge(asked_for(stub.card("4000000000000341")))
    assert answer == Declined(code="card_declined", reason="Your card was declined.")
    clock.pass_(days=2)
    assert gateway.look_up(KEY) == answer


def test_a_bank_that_wants_to_see_the_customer_needs_action(gateway: StripeGateway, stub: StripeStub) -> None:
    asks_first = "4000002500003155"
    off_session = gateway.charge(asked_for(stub.card(asks_first)))
    assert off_session == ActionNeeded(reason="Please authenticate.", url=COMES_BACK)
    assert gateway.look_up(KEY) == off_session
    first = gateway.charge(asked_for(stub.card(asks_first), key="bo_2", first=True))
    assert isinstance(first, ActionNeeded)
    assert first.url.startswith("https://hooks.stripe.example/pi_")
    assert gateway.look_up("bo_2") == first
    stub.behave = lambda form, posts: Decline(decline_code="authentication_required")
    assert isinstance(gateway.charge(asked_for(stub.card(), key="bo_3")), ActionNeeded)
    assert not stub.taken()


def test_a_payment_that_is_processing_is_pending_until_it_is_settled(gateway: StripeGateway, stub: StripeStub) -> None:
    stub.behave = lambda form, posts: "processing"
    answer = gateway.charge(asked_for(stub.card()))
    assert isinstance(answer, Pending)
    assert gateway.look_up(KEY) == answer
    stub.settle("succeeded")
    found = gateway.look_up(KEY)
    assert isinstance(found, Approved)
    assert found.transaction_id == answer.transaction_id


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("429", NotSent),
        ("401", NotSent),
        ("403", NotSent),
        ("402", Unknown),
        ("lock_timeout", Unknown),
        ("403 page", Unknown),
        ("409", Unknown),
        *[(fault, Unknown) for fault in BEFORE],
    ],
)
def test_what_stripe_says_before_it_begins_is_not_sent_and_the_rest_is_unknown(
    stub: StripeStub, fault: Fault, outcome: type[Any]
) -> None:
    stub.behave = lambda form, posts: fault
    gateway = gateway_to(stub, seconds=SOON if fault.startswith("silent") else SECONDS)
    began = time.monotonic()
    assert isinstance(gateway.charge(asked_for(stub.card())), outcome)
    assert time.monotonic() - began < SECONDS
    assert not stub.taken()
    assert stub.count("/v1/payment_intents") == 1, "the library must not retry by itself"


@pytest.mark.parametrize("fault", AFTER)
def test_a_capture_whose_answer_is_lost_is_unknown_and_found_again(stub: StripeStub, fault: Fault) -> None:
    stub.search_lag = 600
    stub.behave = lambda form, posts: fault
    gateway = gateway_to(stub, seconds=SOON if fault.startswith("silent") else SECONDS)
    charge = asked_for(stub.card())
    assert isinstance(gateway.charge(charge), Unknown)
    assert stub.count("/v1/payment_intents") == 1, "the library must not retry by itself"
    found = gateway.look_up(KEY)
    assert isinstance(found, Approved)
    assert found.amount == charge.amount
    again = gateway.charge(charge)
    assert isinstance(again, Unknown if fault == "500 after" else Approved)
    assert len(stub.taken()) == 1


def test_a_request_that_stripe_refuses_is_a_decline_in_words_for_customers(
    gateway: StripeGateway, stub: StripeStub
) -> None:
    answer = gateway.charge(asked_for("pm_nobodys"))
    assert isinstance(answer, Declined)
    assert answer.reason == "The payment could not be made."
    assert not answer.hard, "a wrong key of ours must not end every subscription at once"


def test_a_wrong_api_key_sends_nothing(stub: StripeStub) -> None:
    wrong = StripeGateway("stripe", "sk_test_other", base_url=stub.url, seconds=SECONDS)
    assert isinstance(wrong.charge(asked_for(stub.card())), NotSent)
    broken = StripeGateway("stripe", "sk_test_\n", base_url=stub.url, seconds=SECONDS)
    assert isinstance(broken.charge(asked_for(stub.card())), NotSent)
    assert not stub.taken()


# --- no way to Stripe -------------------------------------------------------------------------------------------------


def test_a_refused_connection_and_a_name_that_is_none_are_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}", "https://not..a.name"):
        gateway = StripeGateway("stripe", API_KEY, base_url=address, seconds=SECONDS)
        assert isinstance(gateway.charge(asked_for("pm_1")), NotSent)
        assert isinstance(gateway.refund(KEY), NotSent)
        assert isinstance(gateway.refund_part(part("5.00")), NotSent)
        assert isinstance(gateway.authorise(asked_for("pm_1")), NotSent)
        assert isinstance(gateway.void(KEY), NotSent)
        assert isinstance(gateway.look_up(KEY), Unknown)
        assert isinstance(gateway.look_up_refund(part("5.00")), Unknown)


@contextlib.contextmanager
def listening(tls: ssl.SSLContext | None) -> Iterator[tuple[int, list[bytes]]]:
    """A server that speaks no HTTP: its port, and what it was sent in clear."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    if tls is None:
                        heard.append(connection.recv(4096))
                        connection.sendall(b"SSH-2.0-no\r\n")
                    else:
                        with tls.wrap_socket(connection, server_side=True) as safe:
                            heard.append(safe.recv(4096))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
    thread.join(SECONDS)


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "self-signed.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.mark.parametrize("signed", [False, True], ids=["no TLS at all", "a certificate of its own"])
def test_a_connection_that_is_not_safe_carries_nothing(tmp_path: Path, signed: bool) -> None:
    with listening(self_signed(tmp_path) if signed else None) as (port, heard):
        gateway = StripeGateway("stripe", API_KEY, base_url=f"https://localhost:{port}", seconds=SECONDS)
        assert isinstance(gateway.charge(asked_for("pm_1")), NotSent)
    assert not any(API_KEY.encode() in said for said in heard)


# --- looking up -------------------------------------------------------------------------------------------------------


def test_a_charge_that_the_search_does_not_know_yet_is_found_in_the_list(
    gateway: StripeGateway, stub: StripeStub, clock: ManualClock
) -> None:
    stub.search_lag = SEARCH_LAG_SECONDS
    card = stub.card()
    for number in range(120):
        gateway.charge(asked_for(card, key=f"bo_{number}"))
    assert isinstance(gateway.look_up("bo_3"), Approved)
    assert gateway.look_up("bo_120") == NotFound()
    clock.pass_(seconds=SEARCH_LAG_SECONDS - 1)
    assert isinstance(gateway.look_up("bo_3"), Approved)


def test_a_charge_that_is_older_than_the_list_is_found_by_the_search(
    gateway: StripeGateway, stub: StripeStub, clock: ManualClock
) -> None:
    stub.search_lag = SEARCH_LAG_SECONDS
    gateway.charge(asked_for(stub.card()))
    clock.pass_(days=20)
    assert isinstance(gateway.look_up(KEY), Approved)
    assert stub.count("/v1/payment_intents") == 1


def test_more_payments_than_can_be_looked_through_leave_the_charge_unknown_not_missing(
    gateway: StripeGateway, stub: StripeStub
) -> None:
    gateway.charge(asked_for(stub.card()))
    [payment] = stub.payments.values()
    for number in range(2001):
        copy = {**payment.intent, "id": f"pi_{number}", "metadata": {}}
        stub.payments[f"pi_{number}"] = type(payment)(copy, payment.made)
    answer = gateway_to(stub, seconds=30).look_up("bo_none")
    assert answer == Unknown(reason="there are more payments than can be looked through")


@pytest.mark.parametrize("path", ["/v1/payment_intents/search", "/v1/payment_intents"])
@pytest.mark.parametrize("fault", ["500 before", "close before", "silent before"])
def test_a_look_up_that_fails_in_any_part_never_says_that_there_is_none(
    stub: StripeStub, path: str, fault: Fault
) -> None:
    stub.reads = lambda asked: fault if asked == path else None
    gateway = gateway_to(stub, seconds=SOON if fault.startswith("silent") else SECONDS)
    assert isinstance(gateway.look_up(KEY), Unknown)


def test_a_look_up_of_many_calls_ends_in_time_as_a_whole(stub: StripeStub, clock: ManualClock) -> None:
    stub.search_lag = 600
    gateway = gateway_to(stub, seconds=SOON)
    gateway_to(stub).charge(asked_for(stub.card()))
    [payment] = stub.payments.values()
    for number in range(1900):
        stub.payments[f"pi_{number}"] = type(payment)({**payment.intent, "id": f"pi_{number}"}, payment.made)
        stub.payments[f"pi_{number}"].intent["metadata"] = {}
    began = time.monotonic()
    found = gateway.look_up("bo_none")
    assert time.monotonic() - began < SECONDS
    assert isinstance(found, Unknown | NotFound)


def test_of_several_payments_with_one_key_the_paid_one_counts(gateway: StripeGateway, stub: StripeStub) -> None:
    gateway.charge(asked_for(stub.card()))
    [payment] = stub.payments.values()
    declined = {**payment.intent, "id": "pi_0", "status": "requires_payment_method", "last_payment_error": {}}
    stub.payments = {"pi_0": type(payment)(declined, payment.made), **stub.payments}
    assert isinstance(gateway.look_up(KEY), Approved)


def test_a_payment_that_was_canceled_or_given_back_is_no_approval(gateway: StripeGateway, stub: StripeStub) -> None:
    stub.behave = lambda form, posts: "canceled"
    gateway.charge(asked_for(stub.card()))
    assert gateway.look_up(KEY) == Declined(code="canceled", reason="The payment was canceled at Stripe.")
    stub.behave = lambda form, posts: None
    gateway.charge(asked_for(stub.card(), key="bo_2"))
    gateway.refund("bo_2")
    assert gateway.look_up("bo_2") == Declined(code="refunded", reason="The payment was given back.")


def test_a_payment_that_stripe_made_and_never_tried_is_missing_only_when_nobody_can_be_at_it_any_more(
    gateway: StripeGateway, stub: StripeStub, clock: ManualClock
) -> None:
    stub.behave = lambda form, posts: "500 within"
    assert isinstance(gateway.charge(asked_for(stub.card())), Unknown)
    assert isinstance(gateway.look_up(KEY), Unknown)
    clock.pass_(seconds=SEARCH_LAG_SECONDS)
    assert isinstance(gateway.look_up(KEY), Unknown)
    clock.pass_(seconds=1)
    assert gateway.look_up(KEY) == NotFound()
    [payment] = stub.payments.values()
    payment.intent["status"] = "processing"
    assert isinstance(gateway.look_up(KEY), Pending)


def test_a_key_that_is_none_of_ours_is_not_put_into_a_search(gateway: StripeGateway, stub: StripeStub) -> None:
    assert isinstance(gateway.look_up("x' OR metadata['a']:'b"), Unknown)
    assert not stub.asked


# --- giving back ------------------------------------------------------------------------------------------------------


def test_a_capture_is_given_back_once(gateway: StripeGateway, stub: StripeStub) -> None:
    taken = gateway.charge(asked_for(stub.card()))
    assert gateway.refund(KEY) == taken
    assert gateway.refund(KEY) == taken
    assert [charge["refunded"] for charge in stub.taken()] == [True]
    assert len(stub.taken()[0]["refunds"]["data"]) == 1


def test_what_was_not_taken_cannot_be_given_back(gateway: StripeGateway, stub: StripeStub) -> None:
    assert isinstance(gateway.refund(KEY), Declined)
    stub.behave = lambda form, posts: Decline(decline_code="lost_card")
    gateway.charge(asked_for(stub.card()))
    assert isinstance(gateway.refund(KEY), Declined)
    assert stub.count("/v1/refunds") == 0


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("429", NotSent), ("close before", Unknown), ("silent before", Unknown), ("close after", Unknown)],
)
def test_a_refund_whose_answer_is_lost_is_unknown_and_given_once_when_asked_again(
    stub: StripeStub, fault: Fault, outcome: type[Any]
) -> None:
    gateway_to(stub).charge(asked_for(stub.card()))
    stub.refunds = lambda: fault
    gateway = gateway_to(stub, seconds=SOON if fault.startswith("silent") else SECONDS)
    assert isinstance(gateway.refund(KEY), outcome)
    stub.refunds = lambda: None
    assert isinstance(gateway_to(stub).refund(KEY), Approved)
    assert len(stub.taken()[0]["refunds"]["data"]) == 1


def test_a_refund_by_hand_that_came_in_between_counts(gateway: StripeGateway, stub: StripeStub) -> None:
    gateway.charge(asked_for(stub.card()))

    def by_hand() -> None:
        stub.taken()[0]["refunded"] = True

    stub.refunds = by_hand  # type: ignore[assignment]  # says nothing: no fault
    assert isinstance(gateway.refund(KEY), Approved)


# --- giving back in part ----------------------------------------------------------------------------------------------


def test_a_part_is_given_back_under_its_own_key_and_the_capture_stays_one(
    gateway: StripeGateway, stub: StripeStub, clock: ManualClock
) -> None:
    taken = gateway.charge(asked_for(stub.card()))
    answer = gateway.refund_part(part("5.00"))
    assert isinstance(answer, Approved)
    assert (answer.amount, answer.currency_code) == (Decimal("5.00"), "USD")
    [payment] = stub.payments
    [asked] = [asked for asked in stub.asked if asked.method == "POST" and asked.path == "/v1/refunds"]
    assert asked.headers["idempotency-key"] == "bo_back"
    assert asked.form == {
        "payment_intent": payment,
        "amount": "500",
        "metadata": {"backroom_key": "bo_back", "backroom_order_id": "DEMO-0000001001-001", "backroom_shop": "DEMO"},
    }
    assert gateway.look_up(KEY) == taken
    [capture] = gateway.captures_since(clock.now()).captures
    assert (capture.amount, capture.refunded_dts) == (Decimal("17.95"), None)


def test_the_same_key_gives_back_once_and_answers_the_same_even_when_stripe_has_forgotten_it(
    gateway: StripeGateway, stub: StripeStub, clock: ManualClock
) -> None:
    gateway.charge(asked_for(stub.card()))
    answer = gateway.refund_part(part("5.00"))
    assert gateway.refund_part(part("5.00")) == answer
    clock.pass_(days=40)
    stub.keys.clear()
    assert gateway.refund_part(part("5.00")) == answer
    assert given_back(stub) == [500]
    assert code_of(gateway.refund_part(part("5.01"))) == "key_reused"


def test_a_refund_is_found_among_all_refunds_of_its_payment(gateway: StripeGateway, stub: StripeStub) -> None:
    gateway.charge(asked_for(stub.card()))
    assert gateway.look_up_refund(part("0.01")) == NotFound()
    answer = gateway.refund_part(part("0.01"))
    refunds = stub.taken()[0]["refunds"]["data"]
    for number in range(101):
        refunds.insert(0, {**refunds[0], "id": f"re_{number}", "metadata": {"backroom_key": f"bo_{number}"}})
    assert gateway.look_up_refund(part("0.01")) == answer
    assert gateway.look_up_refund(part("0.01", key="bo_none")) == NotFound()
    assert gateway.look_up_refund(part("0.01", of="bo_none")) == NotFound()


def test_parts_that_add_up_to_the_whole_make_it_no_capture_any_more(
    gateway: StripeGateway, stub: StripeStub, clock: ManualClock
) -> None:
    gateway.charge(asked_for(stub.card()))
    gateway.refund_part(part("5.00"))
    clock.pass_(hours=1)
    gateway.refund_part(part("12.95", key="bo_last"))
    [capture] = gateway.captures_since(START).captures
    assert (capture.amount, capture.refunded_dts) == (Decimal("17.95"), clock.now())
    assert code_of(gateway.look_up(KEY)) == "refunded"


def test_a_refund_of_all_gives_back_what_parts_have_left_once(gateway: StripeGateway, stub: StripeStub) -> None:
    taken = gateway.charge(asked_for(stub.card()))
    gateway.refund_part(part("5.00"))
    assert gateway.refund(KEY) == taken
    assert gateway.refund(KEY) == taken
    assert given_back(stub) == [500, 1295]


def test_more_than_is_left_is_declined(gateway: StripeGateway, stub: StripeStub) -> None:
    gateway.charge(asked_for(stub.card()))
    assert code_of(gateway.refund_part(part("17.96"))) == "too_much"
    assert isinstance(gateway.refund_part(part("17.00", key="bo_2")), Approved)
    assert code_of(gateway.refund_part(part("0.96", key="bo_3"))) == "too_much"
    gateway.refund(KEY)
    assert code_of(gateway.refund_part(part("0.01", key="bo_4"))) == "too_much"
    assert given_back(stub) == [1700, 95]


def test_what_cannot_be_given_back_is_not_asked_for(gateway: StripeGateway, stub: StripeStub) -> None:
    card = stub.card()
    gateway.charge(asked_for(card))
    gateway.authorise(asked_for(card, key="bo_held"))
    assert code_of(gateway.refund_part(part("5", currency="JPY"))) == "other_currency"
    assert code_of(gateway.refund_part(part("0.00"))) == "no_amount"
    assert code_of(gateway.refund_part(part("-5.00"))) == "no_amount"
    for of in ("bo_none", "bo_held"):
        assert code_of(gateway.refund_part(part("5.00", of=of))) == "unknown"
    assert stub.count("/v1/refunds") == 0


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("429", NotSent),
        ("401", NotSent),
        ("409", Unknown),
        *[(fault, Unknown) for fault in ("500 before", "close before", "silent before", "silent headers")],
    ],
)
def test_a_refund_that_stripe_did_not_begin_is_missing(stub: StripeStub, fault: Fault, outcome: type[Any]) -> None:
    gateway_to(stub).charge(asked_for(stub.card()))
    stub.refunds = lambda: fault
    gateway = gateway_to(stub, seconds=SOON if fault.startswith("silent") else SECONDS)
    assert isinstance(gateway.refund_part(part("5.00")), outcome)
    assert gateway_to(stub).look_up_refund(part("5.00")) == NotFound()
    assert given_back(stub) == []


@pytest.mark.parametrize("fault", AFTER)
def test_a_refund_whose_answer_is_lost_is_unknown_and_found_again_and_given_once(
    stub: StripeStub, fault: Fault
) -> None:
    gateway_to(stub).charge(asked_for(stub.card()))
    stub.refunds = lambda: fault
    gateway = gateway_to(stub, seconds=SOON if fault.startswith("silent") else SECONDS)
    assert isinstance(gateway.refund_part(part("5.00")), Unknown)
    found = gateway_to(stub).look_up_refund(part("5.00"))
    assert isinstance(found, Approved)
    assert (found.amount, found.currency_code) == (Decimal("5.00"), "USD")
    assert gateway_to(stub).refund_part(part("5.00")) == found
    assert given_back(stub) == [500]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("pending", Approved),
        ("requires_action", Pending),
        ("failed", Declined),
        ("canceled", Declined),
        ("of_tomorrow", Unknown),
    ],
)
def test_a_refund_is_what_stripe_calls_it(
    gateway: StripeGateway, stub: StripeStub, status: str, outcome: type[Any]
) -> None:
    gateway.charge(asked_for(stub.card()))
    gateway.refund_part(part("5.00"))
    stub.taken()[0]["refunds"]["data"][0]["status"] = status
    found = gateway.look_up_refund(part("5.00"))
    assert isinstance(found, outcome)
    assert gateway.refund_part(part("5.00")) == found
    assert given_back(stub) == [500]


@pytest.mark.parametrize("path", ["/v1/payment_intents/search", "/v1/payment_intents", "/v1/refunds"])
@pytest.mark.parametrize("fault", ["500 before", "close before", "silent before"])
def test_a_look_up_of_a_refund_that_fails_in_any_part_never_says_that_there_is_none(
    stub: StripeStub, path: str, fault: Fault
) -> None:
    stub.search_lag = 600
    gateway_to(stub).charge(asked_for(stub.card()))
    stub.reads = lambda asked: fault if asked == path else None
    gateway = gateway_to(stub, seconds=SOON if fault.startswith("silent") else SECONDS)
    assert isinstance(gateway.look_up_refund(part("5.00")), Unknown)
    assert isinstance(gateway.refund_part(part("5.00")), Unknown)
    assert given_back(stub) == []


def test_more_refunds_than_can_be_looked_through_leave_the_refund_unknown_not_missing(
    gateway: StripeGateway, stub: StripeStub
) -> None:
    gateway.charge(asked_for(stub.card()))
    refunds = stub.taken()[0]["refunds"]["data"]
    refunds += [{"id": f"re_{number}", "amount": 1, "currency": "usd", "metadata": None} for number in range(2001)]
    gateway = gateway_to(stub, seconds=30)
    assert isinstance(gateway.look_up_refund(part("5.00")), Unknown)
    assert isinstance(gateway.refund_part(part("5.00")), Unknown)


def test_a_refund_counts_in_stripes_coins(gateway: StripeGateway, stub: StripeStub) -> None:
    gateway.charge(asked_for(stub.card(), "500", currency="JPY"))
    answer = gateway.refund_part(part("120", currency="JPY"))
    assert isinstance(answer, Approved)
    assert (answer.amount, answer.currency_code) == (Decimal(120), "JPY")
    assert given_back(stub) == [120]


# --- authorising and letting go ---------------------------------------------------------------------------------------


def test_an_authorisation_is_asked_for_as_a_charge_is_and_captures_nothing(
    gateway: StripeGateway, stub: StripeStub, clock: ManualClock
) -> None:
    card = stub.card()
    answer = gateway.authorise(asked_for(card, "1.00"))
    assert isinstance(answer, Approved)
    assert (answer.amount, answer.currency_code) == (Decimal("1.00"), "USD")
    gateway.charge(asked_for(card, "1.00", key="bo_2"))
    held, charged = (asked.form for asked in stub.asked if asked.method == "POST")
    marks = {"backroom_key": "bo_2"}
    assert held.pop("capture_method") == "manual"
    assert charged == {**held, "metadata": {**held["metadata"], **marks}}
    assert stub.asked[0].headers["idempotency-key"] == KEY
    assert gateway.look_up(KEY) == answer
    assert [capture.key for capture in gateway.captures_since(clock.now()).captures] == ["bo_2"]


def test_of_an_authorisation_the_amount_counts_that_is_held(gateway: StripeGateway, stub: StripeStub) -> None:
    gateway.authorise(asked_for(stub.card()))
    [payment] = stub.payments.values()
    payment.intent["amount_capturable"] = 50
    found = gateway.look_up(KEY)
    assert isinstance(found, Approved)
    assert found.amount == Decimal("0.50")


def test_a_decline_of_an_authorisation_is_a_decline(gateway: StripeGateway, stub: StripeStub) -> None:
    stub.behave = lambda form, posts: Decline(decline_code="lost_card", message="Your card was declined.")
    answer = gateway.authorise(asked_for(stub.card()))
    assert answer == Declined(code="lost_card", reason="Your card was declined.", hard=True)
    assert gateway.look_up(KEY) == answer


@pytest.mark.parametrize("fault", [*BEFORE, "429", "401", "409"])
def test_an_authorisation_that_was_not_made_holds_nothing(stub: StripeStub, fault: Fault) -> None:
    stub.behave = lambda form, posts: fault
    gateway = gateway_to(stub, seconds=SOON if fault.startswith("silent") else SECONDS)
    assert isinstance(gateway.authorise(asked_for(stub.card())), NotSent if fault in ("429", "401") else Unknown)
    assert not isinstance(gateway_to(stub).look_up(KEY), Approved)
    assert isinstance(gateway_to(stub).void(KEY), Approved)
    assert not stub.taken()


@pytest.mark.parametrize("fault", AFTER)
def test_an_authorisation_whose_answer_is_lost_is_unknown_and_found_and_let_go_of(
    stub: StripeStub, fault: Fault
) -> None:
    stub.search_lag = 600
    stub.behave = lambda form, posts: fault
    gateway = gateway_to(stub, seconds=SOON if fault.startswith("silent") else SECONDS)
    charge = asked_for(stub.card())
    assert isinstance(gateway.authorise(charge), Unknown)
    found = gateway_to(stub).look_up(KEY)
    assert isinstance(found, Approved)
    assert found.amount == charge.amount
    assert gateway_to(stub).void(KEY) == found
    assert [payment.intent["status"] for payment in stub.payments.values()] == ["canceled"]


def test_a_capture_is_never_taken_for_an_authorisation_nor_the_other_way_round(
    gateway: StripeGateway, stub: StripeStub
) -> None:
    card = stub.card()
    gateway.charge(asked_for(card))
    saved, status, body = stub.keys[KEY]
    gateway.authorise(asked_for(card, key="bo_2"))
    held, _, other = stub.keys["bo_2"]
    # As if Stripe took no notice of what was asked, and answered with the other.
    stub.keys = {
        KEY: (saved, status, other.replace(b"bo_2", KEY.encode())),
        "bo_2": (held, status, body.replace(KEY.encode(), b"bo_2")),
    }
    assert isinstance(gateway.charge(asked_for(card)), Unknown)
    assert isinstance(gateway.authorise(asked_for(card, key="bo_2")), Unknown)


def test_an_authorisation_is_let_go_of_once_and_answers_the_same(
    gateway: StripeGateway, stub: StripeStub, clock: ManualClock
) -> None:
    held = gateway.authorise(asked_for(stub.card()))
    [payment] = stub.payments
    assert gateway.void(KEY) == held
    assert gateway.void(KEY) == held
    assert stub.count(f"/v1/payment_intents/{payment}/cancel") == 1
    assert code_of(gateway.look_up(KEY)) == "voided"
    [payment_] = stub.payments.values()
    assert payment_.intent["status"] == "canceled"
    assert gateway.captures_since(START).captures == []


def test_what_stripe_does_not_know_is_let_go_of_and_a_charge_is_not(gateway: StripeGateway, stub: StripeStub) -> None:
    card = stub.card()
    gateway.charge(asked_for(card))
    stub.behave = lambda form, posts: "processing"
    gateway.charge(asked_for(card, key="bo_processing"))
    assert gateway.void("bo_none") == NOTHING_HELD
    assert code_of(gateway.void(KEY)) == "captured"
    assert code_of(gateway.void("bo_processing")) == "captured"
    assert not [asked for asked in stub.asked if asked.path.endswith("/cancel")]


def test_an_authorisation_that_was_captured_by_hand_is_given_back_and_not_let_go_of(
    gateway: StripeGateway, stub: StripeStub, clock: ManualClock
) -> None:
    gateway.authorise(asked_for(stub.card()))
    stub.capture()
    assert code_of(gateway.void(KEY)) == "captured"
    assert [capture.key for capture in gateway.captures_since(clock.now()).captures] == [KEY]
    assert isinstance(gateway.refund(KEY), Approved)


@pytest.mark.parametrize("ends", ["captured", "canceled", "processing"])
def test_an_authorisation_that_ends_between_our_look_and_our_request_is_what_it_became(
    gateway: StripeGateway, stub: StripeStub, ends: str
) -> None:
    gateway.authorise(asked_for(stub.card()))
    [payment] = stub.payments.values()

    def by_hand() -> None:
        if ends == "captured":
            stub.capture()
        else:
            payment.intent["status"] = ends

    stub.cancels = by_hand  # type: ignore[assignment]  # says nothing: no fault
    answer = gateway.void(KEY)
    if ends == "captured":
        assert code_of(answer) == "captured"
    else:
        assert isinstance(answer, Approved if ends == "canceled" else Unknown)


# What is canceled is let go of, whatever amount the answer says.
LOST_VOIDS: list[Fault] = [fault for fault in AFTER if not fault.startswith("wrong")]


@pytest.mark.parametrize("fault", ["429", "401", "409", "500 before", "close before", "silent before", *LOST_VOIDS])
def test_a_void_whose_answer_is_lost_is_not_known_and_done_when_asked_again(stub: StripeStub, fault: Fault) -> None:
    held = gateway_to(stub).authorise(asked_for(stub.card()))
    stub.cancels = lambda: fault
    gateway = gateway_to(stub, seconds=SOON if fault.startswith("silent") else SECONDS)
    answer = gateway.void(KEY)
    assert isinstance(answer, NotSent if fault in ("429", "401") else Unknown)
    stub.cancels = lambda: None
    assert gateway_to(stub).void(KEY) == held
    assert [payment.intent["status"] for payment in stub.payments.values()] == ["canceled"]


@pytest.mark.parametrize("path", ["/v1/payment_intents/search", "/v1/payment_intents"])
@pytest.mark.parametrize("fault", ["500 before", "close before"])
def test_a_void_whose_look_fails_is_not_done(stub: StripeStub, path: str, fault: Fault) -> None:
    stub.search_lag = 600
    gateway = gateway_to(stub)
    gateway.authorise(asked_for(stub.card()))
    stub.reads = lambda asked: fault if asked == path else None
    assert isinstance(gateway.void(KEY), Unknown)
    [payment] = stub.payments.values()
    assert payment.intent["status"] == "requires_capture"


def test_of_several_payments_with_one_key_the_one_that_is_held_is_let_go_of(
    gateway: StripeGateway, stub: StripeStub
) -> None:
    gateway.authorise(asked_for(stub.card()))
    [payment] = stub.payments.values()
    declined = {**payment.intent, "id": "pi_0", "status": "requires_payment_method", "last_payment_error": {}}
    stub.payments = {"pi_0": type(payment)(declined, payment.made), **stub.payments}
    assert isinstance(gateway.look_up(KEY), Approved)
    assert isinstance(gateway.void(KEY), Approved)
    assert payment.intent["status"] == "canceled"


# --- what was taken ---------------------------------------------------------------------------------------------------


def test_captures_are_listed_page_by_page_and_only_ours(
    gateway: StripeGateway, stub: StripeStub, clock: ManualClock
) -> None:
    card = stub.card()
    gateway.charge(asked_for(card, key="bo_old"))
    clock.pass_(days=1)
    since = clock.now()
    for number in range(150):
        gateway.charge(asked_for(card, key=f"bo_{number}", order_id=f"DEMO-{number}"))
    stub.behave = lambda form, posts: Decline(decline_code="lost_card")
    gateway.charge(asked_for(card, key="bo_declined"))
    stub.behave = lambda form, posts: "processing"
    gateway.charge(asked_for(card, key="bo_pending"))
    stub.behave = lambda form, posts: None
    gateway_to(stub, shop="OTHER").charge(asked_for(card, key="bo_other"))
    foreign = gateway.charge(asked_for(card, key="bo_foreign"))
    assert isinstance(foreign, Approved)
    charge = stub.payments[foreign.transaction_id].charge
    assert charge is not None
    charge["metadata"] = {}
    gateway.refund("bo_7")
    first = gateway.captures_since(since)
    second = gateway.captures_since(since, first.cursor)
    assert second.cursor is None
    assert first.problem is second.problem is None
    found = {capture.key: capture for capture in [*first.captures, *second.captures]}
    assert sorted(found) == sorted(f"bo_{number}" for number in range(150))
    assert [key for key, capture in found.items() if capture.refunded_dts] == ["bo_7"]
    fifth = found["bo_5"]
    assert (fifth.order_id, fifth.amount, fifth.currency_code) == ("DEMO-5", Decimal("17.95"), "USD")
    assert found["bo_5"].captured_dts == since
    assert found["bo_5"].network_transaction_id


@pytest.mark.parametrize("fault", ["500 before", "close before"])
def test_a_list_that_cannot_be_read_says_so_and_is_read_again_from_there(
    gateway: StripeGateway, stub: StripeStub, clock: ManualClock, fault: Fault
) -> None:
    stub.reads = lambda path: fault
    page = gateway.captures_since(clock.now(), "ch_5")
    assert (page.captures, page.cursor) == ([], "ch_5")
    assert page.problem


# --- cards ------------------------------------------------------------------------------------------------------------


def test_no_card_number_is_taken(gateway: StripeGateway, stub: StripeStub) -> None:
    with pytest.raises(Invalid, match="Stripe's own form"):
        gateway.tokenise("4242424242424242", 12, 2040)
    assert not stub.asked


def test_a_payment_method_of_a_customer_is_a_card_that_can_be_charged(gateway: StripeGateway, stub: StripeStub) -> None:
    reference = stub.card()
    stored, shown = gateway.card_of(reference.partition("/")[2])
    assert (stored.gateway, stored.reference) == ("stripe", reference)
    assert stored.fingerprint
    assert shown == Card(card_expiration_month=12, card_expiration_year=2040, card_type="VISA", last_four="4242")
    assert stub.count("/v1/customers") == 0
    assert isinstance(gateway.charge(asked_for(stored.reference)), Approved)


def test_a_payment_method_of_nobodys_gets_a_customer_once(gateway: StripeGateway, stub: StripeStub) -> None:
    method = stub.card(customer=False)
    stored, _ = gateway.card_of(method)
    assert stored.reference.startswith("cus_")
    assert stored.reference.endswith(f"/{method}")
    assert gateway.card_of(method)[0] == stored
    assert isinstance(gateway.charge(asked_for(stored.reference)), Approved)


def test_a_payment_method_that_cannot_be_used_is_refused_by_name(gateway: StripeGateway, stub: StripeStub) -> None:
    refused = stub.card("4000000000000002", customer=False)
    for method, code in (("4242424242424242", "unknown"), ("pm_unknown", "unknown"), (refused, "declined")):
        with pytest.raises(Invalid) as raised:
            gateway.card_of(method)
        assert [(p.pointer, p.code) for p in raised.value.problems] == [("/payment_method", code)]


def test_a_card_is_asked_for_again_where_stripe_does_not_answer(gateway: StripeGateway, stub: StripeStub) -> None:
    method = stub.card().partition("/")[2]
    for fault in ("500 before", "close before"):
        stub.reads = lambda path, fault=fault: fault
        with pytest.raises(Contended):
            gateway.card_of(method)


# --- events -----------------------------------------------------------------------------------------------------------


def event(kind: str = "payment_intent.succeeded", **marks: str) -> bytes:
    metadata = {"backroom_key": KEY, "backroom_order_id": "DEMO-1", "backroom_shop": "DEMO", **marks}
    body = {"id": "evt_1", "object": "event", "type": kind, "data": {"object": {"id": "pi_1", "metadata": metadata}}}
    return json.dumps(body).encode()


def signed(body: bytes, secret: str = SECRET, age: int = 0) -> str:
    moment = int(time.time()) - age
    return stripe.WebhookSignature.generate_signature_header(body.decode(), secret, moment)


def test_a_signed_event_says_where_to_look(gateway: StripeGateway) -> None:
    for secret in (SECRET, OLD_SECRET):
        assert gateway.hint(event(), signed(event(), secret)) == Hint(key=KEY, order_id="DEMO-1")


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (event(), signed(event(), "whsec_other")),
        (event(), signed(event(), age=3600)),
        (event("payment_intent.canceled"), signed(event())),
        (event(), ""),
        (event(), "t=1,v1=00"),
        (event(), "nonsense"),
        (b"\xff\xfe", "t=1,v1=00"),
    ],
    ids=["another's", "old", "another body", "none", "wrong", "nonsense", "no text"],
)
def test_an_event_that_is_not_stripes_is_not_listened_to(gateway: StripeGateway, body: bytes, signature: str) -> None:
    with pytest.raises(Unauthorised):
        gateway.hint(body, signature)


def test_without_a_secret_nobody_is_listened_to(stub: StripeStub) -> None:
    with pytest.raises(Unauthorised):
        gateway_to(stub, webhook_secrets=[]).hint(event(), signed(event()))


@pytest.mark.parametrize(
    "body",
    [event("payment_intent.created"), event(backroom_shop="OTHER"), b"[]", b"no json", b'{"type": "x", "data": {}}'],
)
def test_an_event_about_nothing_of_ours_is_no_hint(gateway: StripeGateway, body: bytes) -> None:
    assert gateway.hint(body, signed(body)) is None


# --- the charge protocol on it ----------------------------------------------------------------------------------------


class InAWorld(StripeGateway):
    """The Stripe gateway where a world has its sandbox: cards come from the stub."""

    def __init__(self, stub: StripeStub, seconds: float) -> None:
        super().__init__("sandbox", API_KEY, shop="DEMO", base_url=stub.url, now=stub.now, seconds=seconds)
        self._stub = stub

    def tokenise(self, number: str, month: int, year: int) -> StoredCard:
        reference = self._stub.card(number)
        return StoredCard(gateway="sandbox", reference=reference, fingerprint=reference)


def a_world_at_stripe(stub: StripeStub, clock: ManualClock, seconds: float = SECONDS) -> World:
    world = World(gateway=lambda sandbox: InAWorld(stub, seconds)).open(
        number_of_retries=3, delay_between_retries_days=1
    )
    world.clock = clock
    world.house.now_of, world.house.latest_now = lambda merchant_id: clock.now(), clock.now
    return world


@pytest.mark.parametrize("list_lag", [0, 600], ids=["list at once", "list ten minutes late"])
@pytest.mark.parametrize("fault", [None, *BEFORE, *AFTER, "429", "401", "lock_timeout", "409"])
def test_a_rebill_through_stripe_is_taken_once_and_recorded_whatever_happens_to_the_answer(
    stub: StripeStub, clock: ManualClock, fault: Fault | None, list_lag: int
) -> None:
    stub.search_lag, stub.list_lag = 1200, list_lag
    world = a_world_at_stripe(stub, clock, SOON if fault and fault.startswith("silent") else SECONDS)
    oid = world.subscribe({"COFFEE": "Monthly"}, "4242424242424242")
    stub.behave = lambda form, posts: fault if posts == 1 and len(stub.posts) == 2 else None
    world.travel(31, twice=True)
    orders = {order.order_id: order for order in world.rebills(oid)}
    assert len(orders) == 1, "the rebill was lost"
    original = world.document(oid).original_order_id
    taken = [charge["metadata"] for charge in stub.net()]
    assert sorted(marks["backroom_order_id"] for marks in taken) == sorted([str(original), *map(str, orders)])
    for marks in taken:
        assert world.shop.orders.get(marks["backroom_order_id"]).noun.charge_key == marks["backroom_key"]
    today = clock.now().date()
    whole = Reconciliation(gateway="sandbox", reconciliation_date=today, since_dts=START, until_dts=clock.now())
    report = reconcile(world.shop, "sandbox", whole)
    assert report.balanced()
    assert (report.number_of_captures, report.number_of_matched) == (2, 2)


def test_a_hard_decline_at_stripe_disables_the_auto_order(stub: StripeStub, clock: ManualClock) -> None:
    world = a_world_at_stripe(stub, clock)
    oid = world.subscribe({"COFFEE": "Monthly"}, "4242424242424242")
    put_card(world, oid, "4242424242424242")
    stub.behave = lambda form, posts: Decline(decline_code="stolen_card", message="Your card was declined.")
    world.travel(31)
    assert world.head(oid).status == "disabled"
    assert len(stub.posts) == 2
    assert reconcile(world.shop, "sandbox").balanced()


def test_what_is_given_back_in_part_stays_matched_and_an_authorisation_is_never_a_capture(
    stub: StripeStub, clock: ManualClock
) -> None:
    world = a_world_at_stripe(stub, clock)
    order_id = world.order({"COFFEE": None}, "4242424242424242")
    key = world.shop.orders.get(order_id).noun.charge_key
    assert key is not None
    assert isinstance(world.gateway.refund_part(part("5.00", of=key)), Approved)
    card = stub.card()
    for held in ("bo_open", "bo_let_go_of"):
        world.gateway.authorise(asked_for(card, "1.00", key=held, order_id=order_id))
    world.gateway.void("bo_let_go_of")
    report = reconcile(world.shop, "sandbox")
    assert (report.number_of_captures, report.number_of_matched, report.difference) == (1, 1, {"USD": Decimal(0)})
    assert report.balanced()
    assert isinstance(world.gateway.refund_part(part("12.95", key="bo_last", of=key)), Approved)
    report = reconcile(world.shop, "sandbox")
    assert (report.number_of_captures, report.number_of_given_back, report.difference) == (1, 1, {"USD": Decimal(0)})
    assert report.balanced()
