"""A shop on this machine with an account at Stripe: orders come in, Stripe tells what we did not hear, and what it took
is held against the orders, to the coin."""

import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar

import pytest

from chalicelib.domain.payments import Approved, Charge, StoredCard
from chalicelib.gateways.clock import SystemClock
from chalicelib.gateways.stripe import StripeGateway
from tests.gateways.stripe_stub import API_KEY, StripeStub, localstripe
from tests.running import PATIENCE, Running

T = TypeVar("T")
SECRET = "whsec_journey"
RECONCILIATION = "/rest/v2/configuration/reconciliation"


@pytest.fixture(scope="module")
def stripe() -> Iterator[StripeStub]:
    with localstripe() as port:
        stub = StripeStub(port, SystemClock().now)
        yield stub
        stub.close()


@pytest.fixture(scope="module")
def shop(stripe: StripeStub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("stripe") / "data"
    data.mkdir()
    account = {"provider": "stripe", "api_key": API_KEY, "webhook_secrets": [SECRET], "base_url": stripe.url}
    (data / "gateways.json").write_text(json.dumps({"DEMO": {"stripe": account}}))
    running = Running(data)
    tea = {"merchant_item_id": "TEA", "pricing": {"cost": 9.5}}
    assert running.ask("POST", "/rest/v2/item/items", tea)[0] == 200
    yield running
    running.end()
    log = Path(running.errors.name).read_text()
    assert API_KEY not in log
    assert SECRET not in log


def call(shop: Running, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", shop.port, timeout=PATIENCE)
    named = {"Content-Type": "application/json; charset=utf-8"}
    try:
        connection.request("POST", path, body, named | {name.replace("_", "-"): v for name, v in headers.items()})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def browse(shop: Running, path: str, body: Any, word: str = "") -> Any:
    """A shopper's call."""
    headers = {"x_ultracart_browser_key": shop.browser_key, "Idempotency_Key": word}
    status, answer = call(shop, f"/storefront{path}", json.dumps(body).encode(), **headers)
    assert status == 200, answer
    return answer


def buy(shop: Running, stripe: StripeStub, word: str) -> Any:
    """What a shopper's page does: Stripe's form makes a payment method, and the order is placed with its token."""
    method = {"payment_method": stripe.card(customer=False), "gateway": "stripe"}
    token = browse(shop, "/payment_methods", method)["card_token"]
    line, billing = {"merchant_item_id": "TEA", "quantity": 1}, {"email": "ada@example.com", "country_code": "US"}
    return browse(shop, "/orders", {"items": [line], "billing": billing, "card_token": token}, word)


def soon(look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + PATIENCE
    while (found := look()) is None:
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


def is_paid(shop: Running, order_id: str) -> bool | None:
    order = shop.ask("GET", f"/rest/v2/order/orders/{order_id}?_expand=payment")[1]["order"]
    return True if order["payment"]["payment_status"] == "Processed" else None


def reconciled(shop: Running, captures: int) -> Any:
    """The day's report of the account, walked anew."""
    status, answer = shop.ask("POST", RECONCILIATION, {"gateway": "stripe"})
    assert (status, answer["reconciliation"]["gateway"]) == (200, "stripe")

    def report() -> Any:
        reports = shop.ask("GET", RECONCILIATION)[1]["reconciliations"]
        done = [r for r in reports if r["gateway"] == "stripe" and "finished_dts" in r]
        return next((r for r in done if r["number_of_captures"] == captures), None)

    return soon(report)


def test_an_order_is_paid_stripe_tells_of_another_and_the_difference_is_zero(shop: Running, stripe: StripeStub) -> None:
    assert buy(shop, stripe, "first")["payment_outcome"] == "approved"
    stripe.behave = lambda form, posts: "close after"
    lost = buy(shop, stripe, "second")
    stripe.behave = lambda form, posts: None
    assert lost["payment_outcome"] == "not_known_yet"
    order_id = lost["order"]["order_id"]
    assert is_paid(shop, order_id) is None

    path = "/gateways/DEMO/stripe/events"
    body, signature = stripe.event(order_id, SECRET)
    assert call(shop, path, body, stripe_signature=stripe.event(order_id, "whsec_another")[1])[0] == 401
    assert call(shop, "/gateways/DEMO/none/events", body, stripe_signature=signature)[0] == 404
    assert is_paid(shop, order_id) is None
    for _ in range(2):
        assert call(shop, path, body, stripe_signature=signature) == (200, {"success": True, "metadata": {}})
    assert soon(lambda: is_paid(shop, order_id))
    assert len(stripe.taken()) == 2, "nothing was taken twice"

    report = reconciled(shop, 2)
    assert (report["number_of_matched"], report["number_of_held"]) == (2, 0)
    assert report["difference"] == {"USD": 0}


def test_a_capture_without_an_order_is_held_and_shown_with_its_reason(shop: Running, stripe: StripeStub) -> None:
    before = len(stripe.taken())
    gateway = StripeGateway("stripe", API_KEY, shop="DEMO", base_url=stripe.url)
    card = StoredCard(gateway="stripe", reference=stripe.card(), fingerprint="f")
    amount = Decimal("12.34")
    charge = Charge(key="bo_x", amount=amount, currency_code="USD", card=card, order_id="DEMO-9", first=False)
    assert isinstance(gateway.charge(charge), Approved)
    report = reconciled(shop, before + 1)
    assert (report["number_of_matched"], report["number_of_held"]) == (before, 1)
    assert report["difference"] == {"USD": 12.34}
    [held] = report["held_captures"]
    assert (held["capture"]["order_id"], held["capture"]["amount"]) == ("DEMO-9", 12.34)
    assert held["reason"] == "no order and no attempt of ours is known for it"
