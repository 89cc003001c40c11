"""A merchant's day on the page, from signing in to canceling an auto order, against the real embedded engine."""

import re
from collections.abc import Callable
from typing import Any

from tests.browsing import LOGIN, NAME, PASSWORD, Page
from tests.receivers import Receiver
from tests.running import Running

ALL = "/rest/v2/auto_order/auto_orders"
RULES = "/configuration/auto_order_processing"
Visit = Callable[..., Page]
# The test clock tells of another way than before.
TRAVELLED = """before => {
  const told = document.querySelector('dialog .verdict');
  return told && told.innerText !== before[0];
}"""


def auto_orders(shop: Running, status: str) -> list[dict[str, Any]]:
    code, answer = shop.ask("GET", f"{ALL}?_limit=200&_expand=items&status={status}")
    assert code == 200
    found: list[dict[str, Any]] = answer["auto_orders"]
    return found


def test_who_signs_in_sees_how_the_shop_stands_and_comes_back_to_where_he_was(visit: Visit) -> None:
    page = visit("/rehearsal", nobody=True)
    page.page.fill("#login", LOGIN)
    page.page.fill("#password", "not this one")
    page.page.click("button.main")
    page.page.wait_for_selector("[role=alert]")
    page.page.wait_for_selector("[role=alert]:focus")
    page.page.fill("#password", PASSWORD)
    page.page.press("#password", "Enter")
    page.page.wait_for_selector("text=Sign out")
    page.settle()
    assert page.page.inner_text("h1") == "Tonight's run"
    assert NAME in page.page.inner_text(".who a")
    page.page.click("text=Sign out")
    page.page.wait_for_selector("#login")


def test_the_rehearsal_of_tonight_lists_what_the_api_says(visit: Visit, shop: Running) -> None:
    page = visit("/rehearsal")
    told = shop.ask("POST", "/rest/v2/auto_order/rehearsal")[1]["rehearsal"]
    assert f"{told['number_of_orders']} order" in page.page.inner_text(".verdict")
    shown = page.page.locator("[aria-label=Billed] tbody tr").count()
    assert shown == len(told["billed"])


def test_a_setting_that_is_changed_is_seen_in_the_reasons_of_an_auto_order(visit: Visit, shop: Running) -> None:
    page = visit(f"{RULES}?field=delay_between_retries_days")
    field = page.page.locator("#field-delay_between_retries_days")
    page.page.wait_for_selector("#field-delay_between_retries_days:focus")
    field.fill("2")
    assert "At least 3 days are recommended" in page.page.inner_text("#field-delay_between_retries_days-warn")
    page.page.click("text=Put back")
    assert page.page.locator(".dock").count() == 0
    field.fill("2")
    page.page.click(".dock button.main")
    page.page.wait_for_selector("text=Saved.")
    assert shop.ask("GET", f"/rest/v2{RULES}")[1]["auto_order_processing"]["delay_between_retries_days"] == 2
    page.open(f"/auto_orders/{auto_orders(shop, 'active')[0]['auto_order_oid']}")
    page.page.click("text=Every rule of Auto Order Processing")
    row = page.page.locator("[aria-label=Rules] tr", has_text="Delay between retries")
    assert row.locator("td").nth(1).inner_text().strip() == "2"
    row.locator("a").click()
    page.settle()
    assert page.page.url.endswith(f"#{RULES}?field=delay_between_retries_days")


def test_the_test_clock_moves_on_and_a_decline_is_told_with_its_retry(visit: Visit, shop: Running) -> None:
    one = min(
        (one for one in auto_orders(shop, "active") if one["items"][0].get("next_shipment_dts")),
        key=lambda one: str(one["items"][0]["next_shipment_dts"]),
    )
    oid = one["auto_order_oid"]
    card = {"card_number_token": shop.card_token("4000000000009995")}
    assert shop.ask("PUT", f"{ALL}/{oid}/payment", card)[0] == 200
    page = visit(f"/auto_orders/{oid}")
    told = page.page.inner_text(".banner")
    travel(page, "To the next run", until=lambda: page.page.locator(".timeline >> text=Declined").count() == 1)
    assert page.page.inner_text(".banner") != told
    assert "1 declined" in page.page.inner_text("dl >> nth=0")
    assert "Next attempt" in page.page.inner_text("main")
    assert "The last charge was declined" in page.page.inner_text("main")
    travel(page, "One day", until=lambda: page.page.locator(".timeline >> text=Declined").count() == 2)
    assert "2 declined" in page.page.inner_text("dl >> nth=0"), "the retry was declined as well"


def travel(page: Page, how: str, *, until: Callable[[], bool]) -> None:
    """Press a button of the test clock until something has come of it."""
    page.page.click(".banner button")
    for _ in range(8):
        before = page.page.locator("dialog .verdict").all_inner_texts()
        page.page.click(f"dialog >> text={how}")
        page.page.wait_for_function(TRAVELLED, arg=before)
        page.settle()
        if until():
            break
    assert until()
    page.page.click("dialog >> text=Close")
    page.settle()


def test_a_delivery_is_looked_at_and_sent_again(visit: Visit, receiver: Receiver, hook: int) -> None:
    page = visit(f"/webhooks/{hook}")
    page.page.click("text=Send a test event")
    page.page.wait_for_selector("[aria-label=Deliveries] tbody a")
    page.page.locator("[aria-label=Deliveries] tbody a").first.click()
    page.page.wait_for_selector("text=webhook-signature")
    assert "webhook_test" in page.page.inner_text("[aria-label='Body of the request']")
    page.page.click("text=Send again")
    page.page.wait_for_selector("text=the same id and body")
    travel(page, "One day", until=lambda: len(sent_tests(receiver)) == 2)
    tested = sent_tests(receiver)
    assert len(set(tested)) == 1, "the receiver sees that it has it already"


def sent_tests(receiver: Receiver) -> list[str]:
    return [headers["webhook-id"] for headers, body in list(receiver.posts) if b"webhook_test" in body]


def test_an_auto_order_is_canceled_with_its_reason(visit: Visit, shop: Running) -> None:
    oid = auto_orders(shop, "active")[-1]["auto_order_oid"]
    page = visit(f"/auto_orders/{oid}")
    page.page.click("text=Cancel auto order…")
    page.page.wait_for_selector("#reason")
    page.page.click("dialog button.danger")
    assert page.page.locator("dialog").count() == 1, "a reason must be chosen"
    page.page.select_option("#reason", "Too much product")
    page.page.click("dialog button.danger")
    page.page.wait_for_selector("text=Canceled on")
    status, answer = shop.ask("GET", f"{ALL}/{oid}")
    assert (status, answer["auto_order"]["status"], answer["auto_order"]["cancel_reason"]) == (
        200,
        "canceled",
        "Too much product",
    )
    page.settle()
    assert re.search(r"Status.*→.*", page.page.inner_text(".timeline"), re.DOTALL)
    assert "owner" in page.page.inner_text(".timeline")


def test_everything_is_found_by_ctrl_k_and_the_keyboard_alone(visit: Visit, shop: Running) -> None:
    oid = auto_orders(shop, "active")[0]["auto_order_oid"]
    page = visit("/")
    page.page.keyboard.press("Control+k")
    page.page.wait_for_selector("[role=combobox]")
    page.page.keyboard.type("retr")
    page.page.wait_for_selector("[role=option] >> text=Number of retries")
    page.page.keyboard.press("Enter")
    page.settle()
    page.page.wait_for_function("() => document.activeElement.id === 'field-number_of_retries'")
    page.page.keyboard.press("Control+k")
    page.page.wait_for_selector("[role=combobox]")
    page.page.keyboard.type(str(oid))
    page.page.wait_for_selector(f"[role=option] >> text=Auto order {oid}")
    page.page.keyboard.press("ArrowDown")
    page.page.keyboard.press("Enter")
    page.settle()
    assert page.page.inner_text("h1") == f"Auto order {oid}"
    page.page.keyboard.press("Control+k")
    page.page.wait_for_selector("[role=combobox]")
    page.page.keyboard.type("add a customer")
    page.page.wait_for_selector("[role=option] >> text=Add a customer")
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector("dialog >> text=E-mail")
    page.page.keyboard.press("Escape")
    page.page.wait_for_selector("dialog", state="detached")
    assert (page.page.inner_text("h1"), page.page.url.rpartition("#")[2]) == ("Customers", "/customers")
    page.page.keyboard.press("Control+k")
    page.page.wait_for_selector("[role=combobox]")
    page.page.keyboard.press("Escape")
    page.page.wait_for_selector("dialog", state="detached")


def test_somebody_is_invited_and_may_do_what_is_ticked_and_sees_no_more(visit: Visit) -> None:
    page = visit("/configuration/users")
    page.page.click("text=Invite a user…")
    page.page.fill("#new-login", "sam")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("dialog pre")
    route = page.page.inner_text("dialog pre").partition("#")[2]
    page.page.click("dialog >> text=Go on")
    page.page.wait_for_selector("[id='View Orders']")
    page.page.check("[id='View Orders']")
    page.page.click("main button.main")
    page.page.wait_for_selector("text=Saved.")
    other = visit(route, nobody=True)
    other.page.fill("#name", "Sam")
    other.page.fill("#password", "a lamp burns at midnight")
    other.page.click("button.main")
    other.page.wait_for_selector("text=Sign out")
    assert other.page.locator("nav[aria-label=Screens] a").all_inner_texts() == ["Orders"]
    other.open("/orders")
    assert other.page.locator("tbody tr").count() > 0
    other.open("/auto_orders")
    assert "You do not have the permission" in other.page.inner_text("[role=alert]")


def test_a_key_is_made_with_its_scopes_shown_once_and_revoked(visit: Visit, shop: Running) -> None:
    page = visit("/configuration/api_keys")
    page.page.click("text=Make a key…")
    page.page.fill("#key-name", "Warehouse")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("dialog [role=alert]")
    assert "What it may do: says what the key may do" in page.page.inner_text("dialog [role=alert]")
    page.page.check("#order_read")
    page.page.click("dialog button.main")
    key = page.page.inner_text("dialog pre")
    assert shop.ask("GET", "/rest/v2/order/orders?_limit=1", key=key)[0] == 200
    assert shop.ask("GET", "/rest/v2/customer/customers?_limit=1", key=key)[0] == 403
    page.page.click("dialog >> text=I have kept it")
    page.page.wait_for_selector("dialog", state="detached")
    page.page.reload()
    page.settle()
    row = page.page.locator("[aria-label='API keys'] tbody tr", has_text="Warehouse")
    said = row.inner_text()
    assert "Order (view)" in said
    assert "by owner" in said
    assert "Not yet" not in said, "it was used just now"
    assert key not in page.page.content()
    row.locator("text=Revoke…").click()
    page.page.click("dialog button.danger")
    page.page.wait_for_selector("text=Revoked.")
    page.settle()
    assert row.count() == 0
    assert shop.ask("GET", "/rest/v2/order/orders?_limit=1", key=key)[0] == 401


def test_who_changed_a_setting_is_seen_in_the_activity_with_before_and_after(visit: Visit, shop: Running) -> None:
    assert shop.ask("PUT", f"/rest/v2{RULES}", {"prohibit_cancellation_until_days": 9})[0] == 200
    page = visit(f"{RULES}?field=prohibit_cancellation_until_days")
    page.page.fill("#field-prohibit_cancellation_until_days", "12")
    page.page.click(".dock button.main")
    page.page.wait_for_selector("text=Saved.")
    page.open("/configuration/activity?noun=settings")
    first = page.page.locator(".timeline li").first
    assert "Prohibit cancellation until days: 9 → 12" in first.inner_text()
    first.locator("text=owner").click()
    page.settle()
    assert "actor=owner" in page.page.url
    said = page.page.inner_text(".timeline")
    assert "9 → 12" in said
    assert "key owner" not in said
    page.page.select_option("select[name=noun]", "customer")
    page.settle()
    page.page.fill("input[name=actor]", "nobody")
    page.page.press("input[name=actor]", "Enter")
    page.settle()
    assert "Nothing was done" in page.page.inner_text("main")
    page.page.click("text=Clear")
    page.settle()
    page.page.locator(".timeline li a", has_text="Auto Order Processing").first.click()
    page.settle()
    assert page.page.inner_text("h1") == "Auto Order Processing"
