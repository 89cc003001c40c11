"""One demo shop on the embedded engine, its owner signed in, and a browser."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from app import app
from chalicelib.gateways.clock import SystemClock
from infra import demo
from infra.demo import Size
from tests.browsing import NAME, PASSWORD, WIDE, Page
from tests.receivers import Receiver
from tests.running import PATIENCE, Running

# More than a page of orders; the rest of the demo is more of the same.
SMALL = Size(customers=12, items=40, auto_orders=14, single_orders=4, days=60)
IMPORTS = "/rest/v2/customer/imports"
WELCOME = re.compile(r"/admin/#(/welcome/\S+)")


@pytest.fixture(scope="package")
def receiver() -> Iterator[Receiver]:
    """Where the shop's webhooks go."""
    listening = Receiver()
    yield listening
    listening.close()


@pytest.fixture(scope="package")
def shop(chromium: Any, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("admin") / "data"
    data.mkdir()
    demo.seed(data, app, SystemClock().now(), SMALL)
    running = Running(data, outbound_allow=receiver.target)
    yield running
    running.end()


@pytest.fixture(scope="package")
def welcome(shop: Running) -> str:
    """The route of the owner's first visit, as the engine told it."""
    found = WELCOME.search(Path(shop.errors.name).read_text())
    assert found is not None
    return found[1]


@pytest.fixture(scope="package")
def signed_in(chromium: Any, shop: Running, welcome: str) -> Any:
    """What a browser keeps of the owner's session, begun by the link of the first visit."""
    context = chromium.new_context(viewport=WIDE)
    page = Page(context.new_page(), f"http://127.0.0.1:{shop.port}")
    page.open(welcome)
    page.page.fill("#name", NAME)
    page.page.fill("#password", PASSWORD)
    page.page.click("button.main")
    page.page.wait_for_selector("text=Sign out")
    assert not page.complaints
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def visit(chromium: Any, shop: Running, signed_in: Any) -> Iterator[Callable[..., Page]]:
    """Opens the page for the owner, or with ``nobody=True`` for nobody yet. At the end it must have had no complaint,
    no box of the browser's, and have asked nobody else."""
    contexts, pages = [], []

    def opened(route: str = "/", *, nobody: bool = False, **options: Any) -> Page:
        context = chromium.new_context(
            storage_state=None if nobody else signed_in,
            locale="en-US",
            reduced_motion="reduce",
            **{"viewport": WIDE, **options},
        )
        page = Page(context.new_page(), f"http://127.0.0.1:{shop.port}")
        contexts.append(context)
        pages.append(page)
        page.open(route)
        return page

    yield opened
    for page in pages:
        assert (page.complaints, page.foreign, page.dialogs) == ([], [], [])
    for context in contexts:
        context.close()


@pytest.fixture(scope="package")
def imported(shop: Running) -> Callable[..., str]:
    """Begins an import of a CSV text, waits until a person is asked for, and gives its id."""

    def begun(text: str, **asked: Any) -> str:
        place = shop.ask("POST", "/rest/v2/customer/import_files")[1]["import_file"]
        assert shop.upload(place["upload"]["url"], text) == 204
        status, answer = shop.ask("POST", IMPORTS, {"file": place["file"], "format": "csv", **asked})
        assert status == 200, answer
        import_id = str(answer["customer_import"]["import_id"])
        deadline = monotonic() + PATIENCE
        while shop.ask("GET", f"{IMPORTS}/{import_id}")[1]["customer_import"]["state"] in ("reading", "comparing"):
            assert monotonic() < deadline, "it is not read"
        return import_id

    return begun


@pytest.fixture(scope="package")
def hook(shop: Running, receiver: Receiver) -> int:
    """A webhook of the shop's that has had one delivery."""
    events = [{"event_name": "auto_order_rebill", "subscribed": True}]
    body = {
        "webhook_url": receiver.url,
        "name": "Warehouse",
        "event_categories": [{"event_category": "auto_order", "events": events}],
    }
    status, answer = shop.ask("POST", "/rest/v2/webhook/webhooks", body)
    assert status == 200, answer
    return int(answer["webhook"]["webhook_oid"])
