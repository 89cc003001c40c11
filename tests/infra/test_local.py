"""``python -m infra.local`` as a process: its ready line, its folder, its end by every signal, its clock."""

import json
import os
import re
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from chalicelib import wiring
from chalicelib.domain.dates import Instant, later
from chalicelib.domain.items import Item, ItemAutoOrder, ItemPricing
from chalicelib.domain.orders import Order, OrderBilling, OrderItem, OrderPayment, OrderPaymentCreditCard
from chalicelib.flows import place_order, purchase
from chalicelib.flows.found_shop import found_shop
from chalicelib.gateways.clock import SystemClock
from chalicelib.gateways.sandbox import Sandbox
from infra.shop import secret

ROOT = Path(__file__).parent.parent.parent
READY = re.compile(r"ready http://127\.0\.0\.1:(\d+) merchant=DEMO key=(\S+)\n")
# How long a start, an answer or an end may take on a slow machine; each is waited for, never slept through.
PATIENCE = 60
# A journey of so many rebills lasts longer than it takes to see how far it has come, and to kill it there.
AUTO_ORDERS, WEEKS = 12, 40


# Every process that was started here, so that a test that fails leaves none behind.
STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    for process in STARTED:
        if process.poll() is None:
            process.kill()
            process.communicate()


class Running:
    """One engine in a process of its own."""

    def __init__(self, data: Path, *options: str) -> None:
        command = [sys.executable, "-m", "infra.local", "--port", "0", "--data", str(data), "--empty", *options]
        self.errors = (data.parent / "errors.log").open("a")
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, stderr=self.errors, text=True
        )
        STARTED.append(self.process)
        line = self._line()
        found = READY.fullmatch(line)
        assert found is not None, f"{line!r} is no ready line; see {self.errors.name}"
        self.port, self.key = int(found[1]), found[2]

    def _line(self) -> str:
        assert self.process.stdout is not None
        came, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        return self.process.stdout.readline() if came else ""

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"x-ultracart-simple-key": key or self.key, "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        return response.status, json.loads(text) if text else None

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Returns the exit code and what else stood on stdout."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=PATIENCE)
        self.errors.close()
        return self.process.returncode, rest


def failed(*options: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "infra.local", *options],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("shop") / "data")
    yield running
    if running.process.poll() is None:
        running.end()


# --- serving ----------------------------------------------------------------------------------------------------------


def test_it_serves_the_whole_api_under_its_key(shop: Running) -> None:
    status, answer = shop.ask("GET", "/rest/v2/auto_order/auto_orders")
    assert (status, answer["auto_orders"]) == (200, [])
    assert shop.ask("GET", "/rest/v2/auto_order/auto_orders", key="bo_api_wrong")[0] == 401


@pytest.mark.parametrize("email", ["a+b@c.com", "50%25off@c.com", "a%b@c.com", "o'brien/x@c.com", "grün@c.com"])
def test_parts_of_a_path_are_decoded_once(shop: Running, email: str) -> None:
    from urllib.parse import quote

    assert shop.ask("POST", "/rest/v2/customer/customers", {"email": email})[0] == 200
    status, answer = shop.ask("GET", f"/rest/v2/customer/customers/by_email/{quote(email, safe='')}")
    assert (status, answer["customer"]["email"]) == (200, email)


def test_the_page_and_the_mailbox_are_there(shop: Running) -> None:
    connection = HTTPConnection("127.0.0.1", shop.port, timeout=PATIENCE)
    for path in ("/", "/mailbox", "/local.css"):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == 200
    connection.close()


def test_what_its_gateways_took_is_held_against_the_orders_as_it_starts(shop: Running) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        status, answer = shop.ask("GET", "/rest/v2/configuration/reconciliation")
        assert status == 200
        if [report["gateway"] for report in answer["reconciliations"] if "finished_dts" in report] == ["sandbox"]:
            break
        assert time.monotonic() < end, "nobody walks past what the gateways took"
        time.sleep(0.05)


def test_its_clock_moves_by_the_api(shop: Running) -> None:
    status, answer = shop.ask("POST", "/rest/v2/configuration/test_clock", {"advance_days": 3})
    assert status == 200
    assert answer["test_clock"]["number_of_orders"] == 0


# --- beginning and ending ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_and_said_one_line(tmp_path: Path, number: int) -> None:
    assert Running(tmp_path / "data").end(number) == (0, "")


def test_a_restart_keeps_key_and_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = Running(data)
    first.ask("POST", "/rest/v2/customer/customers", {"email": "ada@example.com"})
    first.ask("POST", "/rest/v2/configuration/test_clock", {"advance_days": 40})
    first.end()
    again = Running(data)
    assert again.key == first.key
    assert again.ask("GET", "/rest/v2/customer/customers/by_email/ada%40example.com")[0] == 200
    with closing(sqlite3.connect(data / "backroom.sqlite")) as db:
        assert db.execute("select seconds from test_clock").fetchone()[0] >= 40 * 86400
    again.end()
    assert (data / "keys.json").stat().st_mode & 0o077 == 0


def test_a_port_that_is_taken_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, errors = failed("--port", str(port), "--data", str(tmp_path / "data"))
    assert (code, out) == (2, "")
    assert f"The port {port} cannot be had" in errors
    assert "make run PORT=" in errors
    assert not (tmp_path / "data" / "backroom.sqlite").exists()


def test_two_engines_never_work_on_one_folder(tmp_path: Path) -> None:
    running = Running(tmp_path / "data")
    for options in (("--port", "0"), ("--reset",)):
        code, out, errors = failed(*options, "--data", str(tmp_path / "data"))
        assert (code, out) == (2, "")
        assert "Another back room works on" in errors
    assert running.ask("GET", "/rest/v2/auto_order/auto_orders")[0] == 200
    running.end()


def test_a_folder_that_is_no_shops_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    for options in (("--port", "0"), ("--reset",)):
        code, out, errors = failed(*options, "--data", str(tmp_path))
        assert (code, out) == (2, "")
        assert "thesis.txt" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_reset_empties_a_shops_folder_but_for_what_others_put_there(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "gateways.json").write_text("{}")
    Running(data).end()
    for _ in range(2):
        assert failed("--reset", "--data", str(data))[:2] == (0, "")
        assert [path.name for path in data.iterdir()] == ["gateways.json"]
    (data / "gateways.json").unlink()
    Running(data).end()
    (data / "notes.txt").write_text("mine")
    code, _, errors = failed("--reset", "--data", str(data))
    assert (code, "notes.txt" in errors) == (2, True)
    assert [path.name for path in data.iterdir()] == ["notes.txt"]
    assert failed("--reset", "--data", str(tmp_path / "none"))[0] == 0


# --- killed in the middle of a journey --------------------------------------------------------------------------------


def test_a_kill_in_the_middle_of_a_journey_loses_nothing_and_charges_nothing_twice(tmp_path: Path) -> None:
    data = tmp_path / "data"
    oids, until = subscribed(data), later(SystemClock().now(), days=7 * WEEKS + 3)
    wanted = {"advance_to": str(until)}
    running, kills = Running(data), 0
    for captured in (AUTO_ORDERS + 15, AUTO_ORDERS + 40):
        travel(running, wanted)
        wait_for_captures(data, captured)
        running.process.kill()
        running.end()
        kills += 1
        assert sum(ledger(data).values()) < AUTO_ORDERS * (1 + WEEKS), "the journey was over before the kill"
        running = Running(data)
    status, answer = running.ask("POST", "/rest/v2/configuration/test_clock", wanted)
    assert (status, answer["test_clock"]["stuck"]) == (200, [])
    running.end()
    billed = ledger(data)
    assert kills == 2
    assert all(count == 1 for count in billed.values()), f"charged twice: {billed}"
    house = wiring.embedded(data, "", frozenset(), SystemClock().now)
    stores = house.open_shop("DEMO")
    expected = 0
    for oid in oids:
        kept, head = stores.auto_orders.read(oid)
        assert (head.status, head.attempt) == ("active", None)
        assert head.due_dts is not None
        assert head.due_dts > until
        original = kept.noun.original_order_id or ""
        orders = stores.orders.get_many([f"{original}-{run:03d}" for run in range(1, head.run)])
        assert len(orders) == head.run - 1 == WEEKS
        assert all(billed[order.order_id or ""] == 1 for order in orders)
        expected += 1 + len(orders)
    assert sum(billed.values()) == expected
    close(house)


def subscribed(data: Path) -> list[int]:
    """A shop in the folder with auto orders that bill every week; made here, before any engine runs."""
    data.mkdir()
    house = wiring.embedded(data, "", frozenset(), SystemClock().now)
    found_shop(house, "DEMO", "Demo", "UTC", secret=secret)
    stores = house.open_shop("DEMO")
    tab = ItemAutoOrder(auto_orderable=True, auto_order_schedules=["Weekly"])
    tea = Item(merchant_item_id="TEA", pricing=ItemPricing(cost=Decimal("9.50")), auto_order=tab)
    stores.write(stores.items.inserted("TEA", tea))
    token, _ = place_order.card_token(stores, "4111111111111111", 12, 2040)
    oids = []
    for _ in range(AUTO_ORDERS):
        order = Order(
            items=[OrderItem(merchant_item_id="TEA", quantity=Decimal(1), auto_order_schedule="Weekly")],
            billing=OrderBilling(email="ada@example.com", country_code="US"),
            payment=OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=token)),
        )
        order_id = place_order.place(stores, order, by_shopper=False).noun.order_id or ""
        purchase.pay(stores, order_id)
        oid = stores.auto_orders.oid_by_original_order(order_id)
        assert oid is not None
        oids.append(oid)
    close(house)
    return oids


def close(house: wiring.House) -> None:
    for store in (house.port, house.extras["mailbox"], *house.payments_of("DEMO").values()):
        store.close()  # type: ignore[union-attr]  # the embedded forms close
    for name in ("queues", "clocks"):
        house.extras[name]._db.close()


def travel(running: Running, wanted: dict[str, str]) -> None:
    """Begin a journey whose answer nobody will get."""

    def ask() -> None:
        try:
            running.ask("POST", "/rest/v2/configuration/test_clock", wanted)
        except OSError:
            return

    threading.Thread(target=ask, daemon=True).start()


def wait_for_captures(data: Path, count: int) -> None:
    end = time.monotonic() + PATIENCE
    while sum(ledger(data).values()) < count:
        assert time.monotonic() < end, "the journey makes no way"
        time.sleep(0.01)


def ledger(data: Path) -> Counter[str]:
    """Captures by order id: what was really taken."""
    sandbox = Sandbox(data / "sandbox.sqlite", now=lambda: Instant(2027, 1, 1))
    captures = sandbox.captures()
    sandbox.close()
    return Counter(capture.order_id for capture in captures if capture.refunded_dts is None)
