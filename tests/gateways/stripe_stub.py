"""A Stripe on loopback that can break. localstripe makes the objects; before it stands what localstripe does not know:
idempotency keys, a search that lags, lists by time, declines by code, and every way in which an answer gets lost.

Names of parameters are held against the pinned library's own, so one that Stripe has taken away is refused here too.
"""

import contextlib
import hmac
import http.client
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from stripe import RequestOptions
from stripe.params import (
    ChargeListParams,
    CustomerCreateParams,
    PaymentIntentCancelParams,
    PaymentIntentCreateParams,
    PaymentIntentListParams,
    PaymentIntentSearchParams,
    PaymentMethodAttachParams,
    RefundCreateParams,
    RefundListParams,
)

from chalicelib.domain.dates import Instant

HERE = "127.0.0.1"
API_KEY = "sk_test_backroom"
SECONDS = 20
# What localstripe takes of the parameters of a payment.
TAKEN = {"amount", "currency", "confirm", "customer", "payment_method", "metadata", "payment_method_options"}
# Listens on a socket that is handed over, keeps nothing on disk, and says nothing.
PROGRAM = """
import socket, sys
from aiohttp import web
from localstripe import resources
resources.Store.dump_to_disk = lambda store: None
from localstripe.server import app
web.run_app(app, sock=socket.socket(fileno=int(sys.argv[1])), print=None, access_log=None)
"""

AMOUNTS = ("amount", "amount_received", "amount_capturable")
SORRY = b'{"error": {"type": "api_error", "message": "something went wrong"}}'

Fault = Literal[
    "500 before",
    "500 within",
    "500 after",
    "502 page",
    "close before",
    "close after",
    "close within",
    "silent before",
    "silent after",
    "silent headers",
    "garbage",
    "list",
    "nothing",
    "bad number",
    "wrong amount",
    "wrong currency",
    "another",
    "429",
    "lock_timeout",
    "401",
    "402",
    "403",
    "403 page",
    "409",
    "processing",
    "canceled",
]


class Decline(dict[str, Any]):
    """What the error says, beside its type."""


Behave = Callable[[dict[str, Any], int], Fault | Decline | None]


@contextlib.contextmanager
def localstripe() -> Iterator[int]:
    """Its port, for as long as it runs. Whoever connects before it listens is served when it does."""
    with socket.create_server((HERE, 0)) as listening:
        listening.set_inheritable(True)
        port = int(listening.getsockname()[1])
        command = [sys.executable, "-c", PROGRAM, str(listening.fileno())]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()], stdin=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(SECONDS)


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    form: dict[str, Any]
    headers: dict[str, str]


@dataclass
class Payment:
    """One payment of the ledger; ``taken``: the charge that was captured."""

    intent: dict[str, Any]
    made: int
    charge: dict[str, Any] | None = None

    @property
    def taken(self) -> bool:
        return self.charge is not None and bool(self.charge["captured"])


class StripeStub:
    """``behave`` decides what a post of a payment does, given its parameters and how often its key was posted;
    ``reads`` what a GET of a path does. ``now`` is Stripe's clock."""

    def __init__(self, back: int, now: Callable[[], Instant]) -> None:
        self.now = now
        self.behave: Behave = lambda form, posts: None
        self.reads: Callable[[str], Fault | None] = lambda path: None
        self.refunds: Callable[[], Fault | None] = lambda: None
        self.cancels: Callable[[], Fault | None] = lambda: None
        self.search_lag = 0
        self.list_lag = 0
        self.asked: list[Asked] = []
        self.payments: dict[str, Payment] = {}
        self.keys: dict[str, tuple[str, int, bytes]] = {}
        self.posts: dict[str, int] = {}
        self.over = threading.Event()
        self.lock = threading.RLock()
        self._back = back
        stub = self

        class Handler(_Handler):
            owner = stub

        self._server = ThreadingHTTPServer((HERE, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{HERE}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    # --- what tests ask of it ----------------------------------------------------------------------------------------

    def card(self, number: str = "4242424242424242", *, customer: bool = True) -> str:
        """A payment method, of a customer's or of nobody's, as Stripe's form would have made it: a card's reference."""
        card = {"number": number, "exp_month": "12", "exp_year": "2040", "cvc": "123"}
        _, method = self.behind("POST", "/v1/payment_methods", {"type": "card", "card": card})
        if not customer:
            return str(method["id"])
        _, made = self.behind("POST", "/v1/customers", {"description": "a customer"})
        self.behind("POST", f"/v1/payment_methods/{method['id']}/attach", {"customer": made["id"]})
        return f"{made['id']}/{method['id']}"

    def taken(self) -> list[dict[str, Any]]:
        """Every charge that was captured, oldest first."""
        return [payment.charge for payment in self.payments.values() if payment.charge and payment.taken]

    def net(self) -> list[dict[str, Any]]:
        return [charge for charge in self.taken() if not charge["refunded"]]

    def settle(self, status: str) -> None:
        """A payment that is processing ends so."""
        for payment in self.payments.values():
            if payment.intent["status"] == "processing":
                payment.intent["status"] = status
                if payment.charge and status == "succeeded":
                    _capture(payment)

    def capture(self) -> None:
        """Somebody captures what is held, on Stripe's own pages."""
        for payment in self.payments.values():
            if payment.intent["status"] == "requires_capture":
                _capture(payment)

    def event(self, order_id: str, secret: str) -> tuple[bytes, str]:
        """What Stripe tells of the payment for that order, and its signature."""
        [payment] = [p for p in self.payments.values() if p.intent["metadata"]["backroom_order_id"] == order_id]
        told = {
            "id": "evt_1",
            "object": "event",
            "type": "payment_intent.succeeded",
            "data": {"object": payment.intent},
        }
        body = json.dumps(told).encode()
        moment = int(self.now().timestamp())
        return body, f"t={moment},v1={hmac.new(secret.encode(), b'%d.' % moment + body, sha256).hexdigest()}"

    def count(self, path: str) -> int:
        return sum(asked.path == path for asked in self.asked)

    # --- what it does ------------------------------------------------------------------------------------------------

    def behind(self, method: str, path: str, form: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Ask localstripe."""
        line = http.client.HTTPConnection(HERE, self._back, timeout=SECONDS)
        line.request(method, path, json.dumps(form), {"Authorization": f"Bearer {API_KEY}"})
        reply = line.getresponse()
        answer: dict[str, Any] = json.loads(reply.read())
        line.close()
        return reply.status, answer

    def answer(self, asked: Asked) -> tuple[int, Any] | Fault | None:
        """Status and body; a fault that is all there is to answer; None: no answer at all."""
        if asked.headers.get("authorization") != f"Bearer {API_KEY}":
            return _error(401, "invalid_request_error", message="Invalid API Key provided")
        if asked.method == "GET":
            if fault := self.reads(asked.path):
                return fault
            return self._read(asked)
        if asked.path == "/v1/payment_intents":
            return self._keyed(asked, PaymentIntentCreateParams, self._pay)
        if asked.path == "/v1/refunds":
            return self._keyed(asked, RefundCreateParams, self._refund)
        if asked.path.endswith("/cancel"):
            return self._keyed(asked, PaymentIntentCancelParams, self._cancel)
        if asked.path == "/v1/customers":
            return self._keyed(asked, CustomerCreateParams, self._pass)
        if asked.path.endswith("/attach"):
            return self._keyed(asked, PaymentMethodAttachParams, self._pass)
        return _error(404, "invalid_request_error")

    def _keyed(self, asked: Asked, params: Any, act: Callable[[Asked], Any]) -> Any:
        """Stripe's idempotency: the saved answer for the same key and parameters, 500s too."""
        key, form = asked.headers.get("idempotency-key", ""), json.dumps(asked.form, sort_keys=True)
        unknown = set(asked.form) - (set(params.__annotations__) - set(RequestOptions.__annotations__))
        if unknown or not key:
            return _error(400, "invalid_request_error", code="parameter_unknown", param=str(sorted(unknown)))
        if key in self.keys:
            saved, status, body = self.keys[key]
            if saved != form:
                return _error(400, "idempotency_error", message="Keys can only be used with the same parameters")
            return status, body
        answer = act(asked)
        if isinstance(answer, tuple) and answer[0] not in (401, 403, 409, 429):
            status, said = (500, SORRY) if answer[2:] in (("500 within",), ("500 after",)) else answer[:2]
            self.keys[key] = (form, status, said if isinstance(said, bytes) else json.dumps(said).encode())
        return answer

    def _pass(self, asked: Asked) -> tuple[int, Any]:
        status, answer = self.behind("POST", asked.path, asked.form)
        return _error(402, "card_error", **answer["error"]) if status == 402 else (status, answer)

    def _pay(self, asked: Asked) -> Any:
        form = asked.form
        key = form["metadata"]["backroom_key"] if "backroom_key" in form.get("metadata", {}) else ""
        self.posts[key] = self.posts.get(key, 0) + 1
        fault = self.behave(form, self.posts[key])
        if "off_session" in form and "setup_future_usage" in form:
            return _error(400, "invalid_request_error", message="cannot set up future usages off-session")
        if refused := _refused(fault):
            return refused
        made = self._made(form, fault)
        return (made[0], made[1], fault) if isinstance(fault, str) and not isinstance(fault, Decline) else made

    def _made(self, form: dict[str, Any], fault: Any) -> tuple[int, Any]:
        """The payment, by localstripe; what it does not know of a payment is added."""
        status, intent = self.behind("POST", "/v1/payment_intents", {k: v for k, v in form.items() if k in TAKEN})
        if status not in (200, 402):
            return _error(status, "invalid_request_error", **intent["error"])
        created = int(self.now().timestamp())
        error = dict(fault) if isinstance(fault, Decline) else intent.get("error") if status == 402 else None
        if status == 402 or error:
            error = {"type": "card_error", "code": "card_declined", **(error or {})} | {"type": "card_error"}
            number = len(self.payments) + 1
            intent = {"id": f"pi_declined{number}", "object": "payment_intent", "amount": int(form["amount"])}
            intent |= {"currency": form["currency"], "status": "requires_payment_method", "amount_received": 0}
            intent |= {"metadata": form["metadata"], "latest_charge": None, "last_payment_error": error}
            self._keep(Payment(intent | {"created": created}, created))
            return 402, {"error": error | {"payment_intent": intent}}
        charge = intent.pop("latest_charge", None)
        intent |= {"created": created, "amount_received": 0, "amount_capturable": 0, "last_payment_error": None}
        intent["capture_method"] = form.get("capture_method", "automatic_async")
        payment = Payment(intent, created)
        if intent["status"] == "requires_action":
            error = {"type": "card_error", "code": "authentication_required", "message": "Please authenticate."}
            if form.get("off_session") == "true":
                payment.intent |= {"status": "requires_payment_method", "last_payment_error": error}
                self._keep(payment)
                return 402, {"error": error}
            url = f"https://hooks.stripe.example/{intent['id']}"
            intent["next_action"] = {"type": "redirect_to_url", "redirect_to_url": {"url": url}}
            if "return_url" not in form:
                intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
        else:
            payment.charge = dict(charge or {}, created=created, metadata=form["metadata"], payment_intent=intent["id"])
            details = {"brand": "visa", "last4": "4242", "network_transaction_id": f"net_{charge['id']}"}
            payment.charge |= {"payment_method_details": {"type": "card", "card": details}, "refunded": False}
            payment.charge |= {"refunds": {"object": "list", "data": []}, "captured": False, "status": "pending"}
            payment.charge |= {"amount_captured": 0, "amount_refunded": 0}
            if fault == "processing":
                intent["status"] = "processing"
            elif fault == "canceled":
                intent["status"] = "canceled"
            elif fault == "500 within":
                # It broke between making the payment and asking the bank; localstripe went further.
                payment.charge, intent["status"] = None, "requires_confirmation"
            elif intent["capture_method"] == "manual":
                payment.charge["status"] = "succeeded"
                intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
            else:
                _capture(payment)
        self._keep(payment)
        return 200, _shown(payment)

    def _keep(self, payment: Payment) -> None:
        self.payments[payment.intent["id"]] = payment

    def _refund(self, asked: Asked) -> Any:
        fault = self.refunds()
        if refused := _refused(fault):
            return refused
        charge = self.payments[asked.form["payment_intent"]].charge
        assert charge is not None
        left = charge["amount_captured"] - charge["amount_refunded"]
        if charge["refunded"]:
            return _error(400, "invalid_request_error", code="charge_already_refunded")
        amount = int(asked.form.get("amount", left))
        if amount > left:
            said = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
            return _error(400, "invalid_request_error", param="amount", message=said)
        _, made = self.behind("POST", "/v1/refunds", {**asked.form, "amount": str(amount)})
        made["created"] = int(self.now().timestamp())
        charge["refunds"]["data"].insert(0, made)
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        return (200, made, fault) if fault else (200, made)

    def _cancel(self, asked: Asked) -> Any:
        fault = self.cancels()
        if refused := _refused(fault):
            return refused
        payment = self.payments[asked.path.split("/")[3]]
        if payment.intent["status"] in ("succeeded", "processing", "canceled"):
            return _error(400, "invalid_request_error", code="payment_intent_unexpected_state")
        payment.intent |= {"status": "canceled", "amount_capturable": 0}
        if payment.charge is not None:
            payment.charge |= {"refunded": True, "amount_refunded": payment.charge["amount"]}
        shown = _shown(payment)
        if "expand" not in asked.form and payment.charge is not None:
            shown["latest_charge"] = payment.charge["id"]
        return (200, shown, fault) if fault else (200, shown)

    def _read(self, asked: Asked) -> tuple[int, Any]:
        if asked.path == "/v1/payment_intents/search":
            return self._search(asked)
        if asked.path == "/v1/payment_intents":
            shown = [_shown(p) for p in self._list(asked, PaymentIntentListParams, self.list_lag)]
            return self._page(asked, shown)
        if asked.path == "/v1/charges":
            charges = [p.charge for p in self._list(asked, ChargeListParams, self.list_lag) if p.charge]
            return self._page(asked, charges)
        if asked.path == "/v1/refunds":
            assert set(asked.form) <= set(RefundListParams.__annotations__), asked.form
            charge = self.payments[asked.form["payment_intent"]].charge
            return self._page(asked, charge["refunds"]["data"] if charge else [])
        if asked.path.startswith("/v1/payment_intents/"):
            found = self.payments.get(asked.path.rpartition("/")[2])
            return (200, _shown(found)) if found else _error(404, "invalid_request_error", code="resource_missing")
        status, answer = self.behind("GET", asked.path, {})
        return (status, answer) if status == 200 else _error(404, "invalid_request_error", code="resource_missing")

    def _search(self, asked: Asked) -> tuple[int, Any]:
        assert set(asked.form) <= set(PaymentIntentSearchParams.__annotations__)
        wanted = re.fullmatch(r"metadata\['(\w+)'\]:'([\w-]+)'", asked.form["query"])
        assert wanted is not None, asked.form
        known = [p for p in self._until(self.search_lag) if p.intent["metadata"].get(wanted[1]) == wanted[2]]
        # What the search shows may be old: here always as it was in the first moment.
        old = [{**_shown(p), "status": "requires_confirmation", "amount_received": 0} for p in known]
        return 200, {"object": "search_result", "data": old, "has_more": False, "url": asked.path}

    def _until(self, lag: int) -> list[Payment]:
        until = int(self.now().timestamp()) - lag
        return [payment for payment in self.payments.values() if payment.made <= until]

    def _list(self, asked: Asked, params: Any, lag: int) -> list[Payment]:
        assert set(asked.form) <= set(params.__annotations__), asked.form
        since = int(asked.form["created"]["gte"])
        return [payment for payment in reversed(self._until(lag)) if payment.made >= since]

    def _page(self, asked: Asked, rows: list[Any]) -> tuple[int, Any]:
        after, limit = asked.form.get("starting_after"), int(asked.form.get("limit", 10))
        start = next((n + 1 for n, row in enumerate(rows) if row["id"] == after), 0)
        page = rows[start : start + limit]
        more = len(rows) > start + limit
        return 200, {"object": "list", "data": page, "has_more": more, "url": asked.path}


def _refused(fault: Any) -> Any:
    """The answer where Stripe has not begun."""
    match fault:
        case "429":
            return _error(429, "invalid_request_error", code="rate_limit")
        case "lock_timeout":
            return _error(429, "invalid_request_error", code="lock_timeout")
        case "401" | "402":
            return _error(int(fault), "invalid_request_error")
        case "403":
            return _error(403, "invalid_request_error")
        case "403 page":
            return 403, b"<html>Forbidden</html>"
        case "409":
            return _error(409, "idempotency_error", code="idempotency_key_in_use")
        case "500 before":
            return _error(500, "api_error")
        case "close before" | "silent before" | "silent headers":
            return fault
    return None


def _capture(payment: Payment) -> None:
    assert payment.charge is not None
    amount = payment.intent["amount"]
    payment.charge |= {"captured": True, "status": "succeeded", "amount_captured": amount}
    payment.intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}


def _shown(payment: Payment) -> dict[str, Any]:
    return {**payment.intent, "latest_charge": payment.charge}


def _error(status: int, type_: str, **said: Any) -> tuple[int, Any]:
    return status, {"error": {**said, "type": type_}}


class _Handler(BaseHTTPRequestHandler):
    owner: StripeStub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def _serve(self, form: str) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, urlsplit(self.path).path, _tree(parse_qsl(form)), headers)
        with self.owner.lock:
            self.owner.asked.append(asked)
            answer = self.owner.answer(asked)
        if isinstance(answer, tuple):
            fault = answer[2] if len(answer) > 2 else None
            self._say(answer[0], answer[1], fault)
        else:
            self._say(500, {"error": {"type": "api_error"}}, answer)

    def _say(self, status: int, said: Any, fault: Any) -> None:
        if fault in ("close before", "close after", "silent before", "silent after"):
            self.owner.over.wait(SECONDS if fault.startswith("silent") else 0)
            self.close_connection = True
            return
        if fault == "silent headers":
            self._drip()
            return
        status, body = _broken(status, said, fault)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        # It says that a retry is welcome; the library's own must stay off all the same.
        self.send_header("Stripe-Should-Retry", "true")
        self.send_header("Request-Id", "req_stub")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault == "close within" else body)
        self.close_connection = True

    def _drip(self) -> None:
        """A byte at a time: a time-out that begins anew with each would wait for ever."""
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.owner.over.wait(0.05):
                self.wfile.write(b"x")

    def log_message(self, *args: Any) -> None:
        pass


def _broken(status: int, said: Any, fault: Any) -> tuple[int, bytes]:
    """The answer as the fault has it."""
    match fault:
        case "500 within" | "500 after":
            return 500, SORRY
        case "502 page":
            return 502, b"<html><h1>Bad Gateway</h1></html>"
        case "garbage":
            return status, b"<html>\xff\xfe"
        case "list":
            return status, b"[1, 2]"
        case "nothing":
            return status, b""
        case "bad number":
            said = {**said, **{name: "much" for name in AMOUNTS if name in said}}
        case "wrong amount":
            said = {**said, **{name: said[name] + 1 for name in AMOUNTS if name in said}}
        case "wrong currency":
            said = {**said, "currency": "jpy"}
        case "another":
            said = {**said, "metadata": {"backroom_key": "bo_another"}}
    return status, said if isinstance(said, bytes) else json.dumps(said).encode()


def _tree(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """``metadata[key]=value`` as a tree."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        first, *rest = re.findall(r"[^\[\]]+", name)
        place = tree
        for deeper in rest:
            place = place.setdefault(first, {})
            first = deeper
        place[first] = value
    return tree
