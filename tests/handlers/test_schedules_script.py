"""The script of a shop's page: it offers what the shop's settings allow, in a browser, and is small."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.houses import a_house
from tests.running import Running

SHOP = "https://shop.example.com"
SCRIPT = "/storefront/schedules.js"
MOST_BYTES = 3 * 1024
PAGE = """<!doctype html><form><select data-backroom-item="{item}"></select><input type="submit"></form>
<script src="{origin}/storefront/schedules.js" data-key="{key}"></script>"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "data")
    yield running
    running.end()


@pytest.fixture
def sold(engine: Running) -> None:
    """Tea on a schedule or without, and a cup; a page of the shop may ask for them."""
    assert engine.ask("PUT", "/rest/v2/configuration/merchant", {"allowed_origins": [SHOP]})[0] == 200
    tab = {"auto_orderable": True, "auto_order_schedules": ["Weekly", "Monthly"]}
    for item in ({"merchant_item_id": "GREEN-TEA", "auto_order": tab}, {"merchant_item_id": "CUP"}):
        assert engine.ask("POST", "/rest/v2/item/items", item | {"pricing": {"cost": 9.5}})[0] == 200


class Browser:
    """Pages of the shop, which loads the script from the engine."""

    def __init__(self, context: Any, engine: Running) -> None:
        self._context, self._engine = context, engine
        self._origin = f"http://127.0.0.1:{engine.port}"

    def options(self, item: str) -> tuple[list[tuple[str, str]], Any]:
        """What is offered, name and value, and the select, once the script is done."""
        page = self._context.new_page()
        html = PAGE.format(item=item, origin=self._origin, key=self._engine.browser_key)
        page.route(f"{SHOP}/*", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.add_init_script("addEventListener('backroom:schedules', () => { window.done = true })")
        page.goto(f"{SHOP}/tea")
        page.wait_for_function("window.done")
        found = page.eval_on_selector_all("option", "all => all.map(one => [one.text, one.value])")
        return [(name, value) for name, value in found], page.locator("select")


@pytest.fixture
def browser(chromium: Any, engine: Running) -> Iterator[Browser]:
    context = chromium.new_context()
    yield Browser(context, engine)
    context.close()


def test_it_is_small_and_is_served_as_a_script() -> None:
    house = a_house()
    house.found()
    reply = house.call("GET", SCRIPT)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/javascript; charset=UTF-8")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert len(reply.body.encode()) <= MOST_BYTES


@pytest.mark.usefixtures("sold")
def test_a_page_offers_the_schedules_of_its_item_and_none_only_where_the_shop_does(
    engine: Running, browser: Browser
) -> None:
    schedules = [("Weekly", "Weekly"), ("Monthly", "Monthly")]
    offered, select = browser.options("GREEN-TEA")
    assert offered == [("None", ""), *schedules]
    assert (select.input_value(), select.get_attribute("required")) == ("", None)
    rules = {"remove_none_option": True}
    assert engine.ask("PUT", "/rest/v2/configuration/auto_order_processing", rules)[0] == 200
    offered, select = browser.options("GREEN-TEA")
    assert offered == [("Choose how often", ""), *schedules]
    assert select.evaluate("one => one.form.checkValidity()") is False
    select.select_option("Monthly")
    assert select.evaluate("one => one.form.checkValidity()") is True
    offered, select = browser.options("CUP")
    assert (offered, select.is_visible()) == ([], False)
