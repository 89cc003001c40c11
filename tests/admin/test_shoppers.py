"""What customers meet: the pages that mails lead to, in a browser that runs no script, and nothing for axe to find."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from time import monotonic
from typing import Any
from urllib.request import urlopen

import pytest

from tests.browsing import WIDE, Page, looked_at
from tests.running import PATIENCE, Running

AUTO_ORDERS = "/rest/v2/auto_order/auto_orders"
EXPANDED = "_expand=items,original_order,original_order.billing"


# Mails that one look goes through: more than come at once.
MAILS = 10


def links(shop: Running, path: str, email: str) -> list[str]:
    """Those to such a page in the latest mails to somebody, the newest first, without where the shop stands."""
    with urlopen(f"{shop.url}/mailbox?merchant=DEMO", timeout=PATIENCE) as listed:
        mails = re.findall(r'href="(/mailbox/\d+[^"]*)"', listed.read().decode())
    found = []
    for mail in mails[:MAILS]:
        with urlopen(f"{shop.url}{unescape(mail)}", timeout=PATIENCE) as shown:
            text = unescape(shown.read().decode())
        if email in text:
            found += re.findall(rf"{path}\?merchant_id=DEMO&token=[\w.-]+", text)
    return found


def mailed(shop: Running, path: str, email: str, ask: Callable[[], None]) -> str:
    """The link to such a page in the mail that comes to somebody once it is asked for."""
    known = set(links(shop, path, email))
    ask()
    deadline = monotonic() + PATIENCE
    while not (new := [link for link in links(shop, path, email) if link not in known]):
        assert monotonic() < deadline, f"no mail has a link to {path}"
    return new[0]


@pytest.fixture(scope="module")
def subscriber(shop: Running) -> dict[str, Any]:
    """An auto order of a customer's of which something comes."""
    found = shop.ask("GET", f"{AUTO_ORDERS}?status=active&_limit=50&{EXPANDED}")[1]["auto_orders"]
    return next(
        one
        for one in found
        if not one["credit_card_attempt"] and all(item.get("calculated_next_shipment_dts") for item in one["items"])
    )


@pytest.fixture
def without_scripts(chromium: Any, shop: Running) -> Iterator[Any]:
    context = chromium.new_context(viewport=WIDE, locale="en-US", java_script_enabled=False)
    yield context.new_page()
    context.close()


@pytest.fixture
def customer(chromium: Any, shop: Running) -> Iterator[Page]:
    """A browser of somebody of whom nothing is known; its pages must have no complaint and ask nobody else."""
    context = chromium.new_context(viewport=WIDE, locale="en-US", reduced_motion="reduce")
    page = Page(context.new_page(), shop.url)
    yield page
    assert page.heard() == ([], [], [])
    context.close()


def test_a_customer_cancels_from_the_link_in_a_mail(
    shop: Running, subscriber: dict[str, Any], without_scripts: Any
) -> None:
    oid, page = subscriber["auto_order_oid"], without_scripts
    page.goto(f"{shop.url}/storefront/cancel?merchant_id=DEMO")
    email = subscriber["original_order"]["billing"]["email"]
    page.fill("[type=email]", email)
    page.fill("[type=text]", subscriber["auto_order_code"])
    link = mailed(shop, "/storefront/cancel", email, lambda: page.click("text=Mail me a link"))
    page.goto(f"{shop.url}{link}")
    assert page.inner_text("h2 >> nth=0") == f"Auto order {subscriber['auto_order_code']}"
    page.click("text=Cancel now")
    assert "Why do you cancel?" in page.inner_text("main")
    assert page.locator(".error").count() > 0, "a reason must be chosen"
    assert shop.ask("GET", f"{AUTO_ORDERS}/{oid}")[1]["auto_order"]["status"] == "active"
    page.check("text=Moving away")
    page.click("text=Cancel now")
    after = shop.ask("GET", f"{AUTO_ORDERS}/{oid}")[1]["auto_order"]
    assert (after["status"], after["cancel_reason"]) == ("canceled", "Moving away")
    said = page.inner_text("main")
    page.goto(f"{shop.url}{link}")
    assert "cancel" in said.lower()
    assert page.locator("text=Cancel now").count() == 0, "there is nothing left to cancel"


def test_a_customer_skips_and_pauses_on_his_own_page(
    shop: Running, subscriber: dict[str, Any], without_scripts: Any
) -> None:
    found = shop.ask("GET", f"{AUTO_ORDERS}?status=active&_limit=50&{EXPANDED}")[1]["auto_orders"]
    one = next(
        other
        for other in found
        if other["auto_order_oid"] != subscriber["auto_order_oid"]
        and not other["credit_card_attempt"]
        and all(item.get("calculated_next_shipment_dts") for item in other["items"])
    )
    page = without_scripts
    page.goto(f"{shop.url}/storefront/my_account?merchant_id=DEMO")
    email = one["original_order"]["billing"]["email"]
    page.fill("[type=email]", email)
    link = mailed(shop, "/storefront/my_account", email, lambda: page.click("main button"))
    page.goto(f"{shop.url}{link}")
    mine = page.locator("section", has_text=one["auto_order_code"])
    skip = mine.locator("text=Skip the shipment of")
    before = skip.inner_text()
    skip.click()
    assert page.inner_text("[role=status]")
    assert mine.locator("text=Skip the shipment of").inner_text() != before
    mine.locator("summary").click()
    mine.locator("text=Pause").click()
    after = shop.ask("GET", f"{AUTO_ORDERS}/{one['auto_order_oid']}?_expand=items")[1]["auto_order"]
    assert all(item["paused"] for item in after["items"])


def test_no_page_of_a_customers_has_anything_for_axe_to_find(
    shop: Running, customer: Page, open_page: Callable[[str], None]
) -> None:
    found = shop.ask("GET", f"{AUTO_ORDERS}?status=active&_limit=1&{EXPANDED}")[1]["auto_orders"][0]
    email = found["original_order"]["billing"]["email"]
    card = shop.ask("GET", f"{AUTO_ORDERS}/{found['auto_order_oid']}/update_billing_url")[1]["update_billing_url"]
    problems = {}
    for name in ("cancel", "my_account", "update_billing", "set_password"):
        open_page(f"/storefront/{name}?merchant_id=DEMO")
        problems[f"{name}, asked for"] = looked_at(customer)
    open_page("/storefront/cancel?merchant_id=DEMO")
    customer.page.click("main button")
    problems["cancel, with nothing filled in"] = looked_at(customer)
    customer.page.fill("[type=email]", email)
    customer.page.fill("[type=text]", found["auto_order_code"])
    link = mailed(shop, "/storefront/cancel", email, lambda: customer.page.click("main button"))
    problems["cancel, mailed"] = looked_at(customer)
    open_page(link)
    problems["cancel"] = looked_at(customer)
    open_page("/storefront/my_account?merchant_id=DEMO")
    customer.page.fill("[type=email]", email)
    open_page(mailed(shop, "/storefront/my_account", email, lambda: customer.page.click("main button")))
    customer.page.click("summary >> nth=0")
    problems["my account"] = looked_at(customer)
    open_page(re.sub(r"^https?://[^/]*", "", card))
    problems["card"] = looked_at(customer)
    customer.page.click("main form button >> nth=0")
    problems["card, with nothing filled in"] = looked_at(customer)
    assert {name: told for name, told in problems.items() if told} == {}


@pytest.fixture
def open_page(customer: Page, shop: Running) -> Callable[[str], None]:
    def opened(path: str) -> None:
        customer.page.goto(f"{shop.url}{path}")

    return opened
