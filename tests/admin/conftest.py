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
from tests.browsing import NAME, NOTHING, PASSWORD, WIDE, Page
from tests.receivers import Receiver
from tests.running import PATIENCE, Running

# More than a page of orders; the rest of the demo is more of the same.
SMALL = Size(customers=12, items=40, auto_orders=14, single_orders=12, days=60)
IMPORTS = "/rest/v2/customer/imports"
WELCOME = re.compile(r"/admin/#(/welcome/\S+)")
LIKE_THIS = {"viewport": WIDE, "locale": "en-US", "reduced_motion": "reduce"}


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
def owner(chromium: Any, shop: Running, welcome: str) -> Iterator[Any]:
    """The browser of the owner, signed in by the link of the first visit. It is one for all tests: another one takes
    longer to make than a test to run. All that it keeps is the session; a page of its own has each test."""
    context = chromium.new_context(**LIKE_THIS)
    page = Page(context.new_page(), shop.url)
    page.open(welcome)
    page.page.fill("#name", NAME)
    page.page.fill("#password", PASSWORD)
    page.page.click("button.main")
    page.page.wait_for_selector("text=Sign out")
    assert page.heard() == NOTHING
    yield context
    context.close()


@pytest.fixture
def visit(chromium: Any, shop: Running, owner: Any) -> Iterator[Callable[..., Page]]:
    """Opens a page for the owner, or with ``nobody=True`` in a browser of its own for nobody yet: there whoever signs
    in may sign out again. At the end it must have had no complaint, no box of the browser's, and have asked nobody
    else."""
    pages, others = [], []

    def opened(route: str = "/", *, nobody: bool = False) -> Page:
        if nobody:
            others.append(chromium.new_context(**LIKE_THIS))
        context = others[-1] if nobody else owner
        pages.append(Page(context.new_page(), shop.url))
        pages[-1].open(route)
        return pages[-1]

    yield opened
    heard = [page.heard() for page in pages]
    for page in pages:
        page.page.close()
    for context in others:
        context.close()
    assert heard == [NOTHING] * len(pages)


@pytest.fixture(scope="module")
def standing(owner: Any, shop: Running) -> Iterator[Page]:
    page = Page(owner.new_page(), shop.url)
    page.open("/")
    yield page
    page.page.close()


@pytest.fixture
def tour(standing: Page) -> Iterator[Page]:
    """One page for all tests of a file that only look: each opens its screen in it, as somebody who works there goes
    from one to the next. What a visit ends with holds at the end of each."""
    yield standing
    heard = standing.heard()
    standing.hush()
    if heard != NOTHING or standing.page.locator("dialog").count():
        # Whatever went wrong is not the next one's.
        standing.page.reload()
        standing.settle()
    assert heard == NOTHING


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
