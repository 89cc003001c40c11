"""Customers on the page: found by wildcards, kept as a view, added at the desk, edited in eleven tabs."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browsing import Page
from tests.running import Running

ALL = "/rest/v2/customer/customers"
PROGRAM = "/rest/v2/configuration/loyalty_program"
Visit = Callable[..., Page]


@pytest.fixture
def oid(shop: Running) -> int:
    return int(shop.ask("GET", f"{ALL}?_limit=1")[1]["customers"][0]["customer_profile_oid"])


@pytest.fixture
def programme(shop: Running) -> Iterator[None]:
    assert shop.ask("PUT", PROGRAM, {"active": True, "points_per_dollar": 1})[0] == 200
    yield
    shop.ask("PUT", PROGRAM, {"active": False})


def customer(shop: Running, oid: int, expand: str = "billing") -> dict[str, Any]:
    found: dict[str, Any] = shop.ask("GET", f"{ALL}/{oid}?_expand={expand}")[1]["customer"]
    return found


def test_a_search_with_a_wildcard_is_kept_as_a_view_with_its_columns(visit: Visit, shop: Running) -> None:
    page = visit("/customers")
    page.page.fill("[name=email]", "a*@example.com")
    page.page.click("text=Search >> nth=-1")
    page.settle()
    shown = page.page.locator("tbody tr").count()
    told = shop.ask("GET", f"{ALL}?email=a*@example.com")[1]["customers"]
    assert shown == len(told) > 0
    page.page.click("text=+ Save this view")
    page.page.fill("#view-name", "With an A")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("dialog", state="detached")
    page.open("/customers")
    page.page.click("text=Columns…")
    page.page.check("[id='column-billing.day_phone']")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("th >> text=Phone")
    page.page.click(".tabs >> text=With an A")
    page.page.wait_for_function("() => document.querySelector('[name=email]').value === 'a*@example.com'")
    page.settle()
    assert page.page.locator("tbody tr").count() == shown
    page.page.click("text=Forget this view")
    page.page.wait_for_selector(".tabs >> text=With an A", state="detached")


def test_a_customer_is_added_with_the_little_that_is_asked_at_the_desk(visit: Visit, shop: Running) -> None:
    page = visit("/customers")
    page.page.click("text=Add a customer…")
    page.page.fill("#quick-email", "desk@example.com")
    page.page.fill("#quick-password", "short")
    page.page.fill("#quick-last_name", "Desk")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("dialog [role=alert]")
    page.page.fill("#quick-password", "a lamp burns at midnight")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("h1 >> text=Desk")
    assert shop.ask("GET", f"{ALL}/by_email/desk@example.com")[0] == 200


def test_a_profile_is_edited_across_its_tabs_and_saved_at_once(visit: Visit, shop: Running, oid: int) -> None:
    page = visit(f"/customers/{oid}")
    page.page.fill("#field-referral_source", "A friend")
    page.page.click(".tabs >> text=Billing")
    page.page.fill("#field-billing-0-company", "Larkspur")
    page.page.click(".tabs >> text=Taxes")
    page.page.check("#field-tax_exempt")
    assert "3 unsaved changes" in page.page.inner_text(".dock")
    page.page.click(".dock button.main")
    page.page.wait_for_selector("text=Saved.")
    stands = customer(shop, oid)
    assert (stands["referral_source"], stands["tax_exempt"]) == ("A friend", True)
    assert stands["billing"][0]["company"] == "Larkspur"
    page.page.click(".tabs >> text=General")
    page.page.fill("#field-referral_source", "")
    page.page.click(".dock button.main")
    page.page.wait_for_selector(".dock", state="detached")
    assert not customer(shop, oid).get("referral_source")


def test_what_is_wrong_in_another_tab_is_gone_to(visit: Visit, oid: int) -> None:
    page = visit(f"/customers/{oid}?tab=billing")
    page.page.fill("#field-billing-0-country_code", "usa")
    page.page.click(".tabs >> text=General")
    page.page.click(".dock button.main")
    page.page.wait_for_selector("text=Some fields are not valid")
    page.page.click("[role=alert] a")
    page.page.wait_for_function("() => document.activeElement.id === 'field-billing-0-country_code'")
    page.page.click(".dock >> text=Discard")


@pytest.mark.usefixtures("programme")
def test_points_are_entered_by_hand_once_the_balance_was_seen(visit: Visit, shop: Running, oid: int) -> None:
    page = visit(f"/customers/{oid}?tab=accounting")
    page.page.fill("#entry-points", "25")
    page.page.fill("#entry-description", "For the wait")
    page.page.click("text=What would it be?")
    page.page.wait_for_selector("text=The balance would be")
    assert shop.ask("GET", f"{ALL}/{oid}/loyalty/past_ledger")[1]["past_ledger"] == []
    page.page.click("text=Enter it")
    page.page.wait_for_selector("[aria-label='Past ledger'] >> text=For the wait")
    (entry,) = shop.ask("GET", f"{ALL}/{oid}/loyalty/past_ledger")[1]["past_ledger"]
    assert (entry["loyalty_points"], entry["created_by"]) == (25, "owner")
