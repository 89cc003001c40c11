"""Events of gateways over HTTP: the signature opens the door, nothing else does, and the answer waits for nobody."""

import hmac
import json
from hashlib import sha256
from typing import Any

import pytest

from chalicelib.flows.gateway_events import look_into
from chalicelib.gateways.accounts import REMEMBER_SECONDS, Accounts, Described
from chalicelib.gateways.clock import SystemClock
from chalicelib.handlers.http import MAXIMUM_BODY_BYTES
from tests.houses import Reply, TestHouse, a_house

SECRET = "whsec_signing"
PATH = "/gateways/DEMO/stripe/events"
# Nobody listens there: whoever asks the gateway before he answers its event is found out.
STRIPE = {
    "provider": "stripe",
    "api_key": "sk_test_backroom",
    "webhook_secrets": ["whsec_older", SECRET],
    "base_url": "http://127.0.0.1:9",
}


class Accounted:
    """Where accounts are described: in a dict of the test's."""

    def __init__(self) -> None:
        self.accounts: dict[str, dict[str, Any]] = {"DEMO": {"stripe": STRIPE}}
        self.reads = 0

    def of(self, merchant_id: str) -> dict[str, Described]:
        self.reads += 1
        found = self.accounts.get(merchant_id, {})
        return {code: Described(place=code, text=json.dumps(account)) for code, account in found.items()}


@pytest.fixture
def described() -> Accounted:
    return Accounted()


@pytest.fixture
def house(described: Accounted) -> TestHouse:
    house = a_house()
    house.found()
    house.payments_of = Accounts(described, house.clock.now, lambda *of: house.sandbox, stand_ins=True).of
    return house


def an_event(key: str = "bo_1", order_id: str = "DEMO-1", type_: str = "payment_intent.succeeded") -> bytes:
    marks = {"backroom_key": key, "backroom_order_id": order_id, "backroom_shop": "DEMO", "note": "Ärger 🎉"}
    return json.dumps({"type": type_, "data": {"object": {"metadata": marks}}}, ensure_ascii=False).encode()


def signed(body: bytes, secret: str = SECRET, ago: int = 0) -> str:
    moment = int(SystemClock().now().timestamp()) - ago
    return f"t={moment},v1={hmac.new(secret.encode(), b'%d.' % moment + body, sha256).hexdigest()}"


def send(house: TestHouse, body: bytes, signature: str | None = None, path: str = PATH, **headers: str) -> Reply:
    named = {"content-type": "application/json; charset=utf-8", "stripe-signature": signature or signed(body)}
    return house.call("POST", path, body, headers=named | headers)


def test_a_signed_event_is_taken_and_looked_into_afterwards(house: TestHouse) -> None:
    for secret in (SECRET, "whsec_older"):
        body = an_event()
        reply = send(house, body, signed(body, secret))
        assert (reply.status, reply.json) == (200, {"success": True, "metadata": {}})
        message = {"merchant_id": "DEMO", "kind": "hint", "id": "DEMO-1", "key": "bo_1", "gateway": "stripe"}
        assert house.sent.take() == [("rebill", message)]
    assert not look_into(house.open_shop("DEMO"), "stripe", "DEMO-1", "bo_1")


@pytest.mark.parametrize(
    "body", [an_event(type_="charge.updated"), b"{}", b'{"type": "payment_intent.succeeded"}', b"[]", b""]
)
def test_a_signed_event_that_says_nothing_to_us_is_taken_and_nothing_comes_of_it(house: TestHouse, body: bytes) -> None:
    assert send(house, body).status == 200
    assert not house.sent.take()


@pytest.mark.parametrize(
    "signature", ["", "t=1,v1=00", signed(an_event(), "whsec_other"), signed(an_event(), ago=900), signed(b"{}"), "ü"]
)
def test_what_is_not_signed_as_the_account_says_is_refused_and_leaves_nothing(house: TestHouse, signature: str) -> None:
    reply = send(house, an_event(), signature or "none")
    assert (reply.status, reply.json["code"]) == (401, "invalid_credentials")
    assert not house.sent.take()


def test_without_a_signature_nothing_is_taken(house: TestHouse) -> None:
    assert house.call("POST", PATH, an_event()).status == 401
    assert send(house, b"\xff").status == 401


@pytest.mark.parametrize("merchant_id", ["NONE", "demo", "DEMO%2Fgateways", "TOOLONG", "DEMO%00"])
def test_a_merchant_who_is_none_and_an_account_that_is_none_are_the_same_404(
    house: TestHouse, described: Accounted, merchant_id: str
) -> None:
    unknown_account = send(house, an_event(), path="/gateways/DEMO/other/events")
    described.reads = 0
    before = house.everything()
    reply = send(house, an_event(), path=f"/gateways/{merchant_id}/other/events")
    assert reply.status == unknown_account.status == 404
    ours = {name: value for name, value in reply.json.items() if name != "request_id"}
    assert ours == {name: value for name, value in unknown_account.json.items() if name != "request_id"}
    assert described.reads == 0, "who is nobody costs no read of accounts"
    assert house.everything() == before


def test_an_event_of_another_account_or_shop_is_none_of_ours(house: TestHouse, described: Accounted) -> None:
    house.found("OTHER")
    described.accounts["OTHER"] = {"stripe": STRIPE | {"webhook_secrets": ["whsec_others"]}}
    body = an_event()
    assert send(house, body, path="/gateways/OTHER/stripe/events").status == 401
    signature = signed(body, "whsec_others")
    assert send(house, body, signature, path="/gateways/OTHER/stripe/events").status == 200
    assert not house.sent.take(), "its marks are another shop's"


def test_an_account_that_cannot_be_used_asks_to_be_told_later(house: TestHouse, described: Accounted) -> None:
    described.accounts["DEMO"]["stripe"] = {"provider": "stripe", "webhook_secrets": [SECRET]}
    reply = send(house, an_event())
    assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
    assert SECRET not in reply.body
    described.accounts["DEMO"]["stripe"] = STRIPE
    house.clock.pass_(seconds=REMEMBER_SECONDS)
    assert send(house, an_event()).status == 200


def test_the_sandbox_sends_no_events(house: TestHouse, described: Accounted) -> None:
    described.accounts["DEMO"]["sandbox"] = {"provider": "sandbox"}
    assert send(house, an_event(), path="/gateways/DEMO/sandbox/events").status == 401


def test_a_body_that_is_too_large_is_refused_before_it_is_read(house: TestHouse, described: Accounted) -> None:
    reply = send(house, b" " * (MAXIMUM_BODY_BYTES + 1), "t=1,v1=00")
    assert (reply.status, described.reads) == (413, 0)
