"""Customers on the page: found by wildcards, kept as a view, added at the desk, edited in eleven tabs."""

import json
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


def test_a_file_is_uploaded_renamed_downloaded_and_deleted_by_the_keyboard_too(
    visit: Visit, shop: Running, oid: int
) -> None:
    page = visit(f"/customers/{oid}?tab=uploads")
    assert "10 MB at most" in page.page.inner_text("#upload-help")
    page.page.set_input_files("#upload-file", files=[a_file("page.html", "text/html")])
    page.page.wait_for_selector("[role=alert] >> text=of a kind that is not taken (text/html)")
    page.page.set_input_files("#upload-file", files=[a_file("a.csv", "text/csv", b"")])
    page.page.press("main button.main", "Enter")
    page.page.wait_for_selector("[role=alert] >> text=is empty")
    page.page.set_input_files("#upload-file", files=[a_file("a.csv", "application/vnd.ms-excel")])
    page.page.fill("#upload-file_name", "a:b.csv")
    page.page.press("main button.main", "Enter")
    page.page.wait_for_selector("[role=alert] >> text=must be the name of a file")
    page.page.fill("#upload-file_name", "Prices.csv")
    page.page.fill("#upload-description", "Of a dealer")
    page.page.press("main button.main", "Enter")
    page.page.wait_for_selector("tbody >> text=Prices.csv")
    row = page.page.locator("tbody tr", has_text="Prices.csv")
    assert row.locator("td").all_inner_texts()[2:4] == ["CSV", "4 bytes"]
    assert page.page.locator(".tabs a[aria-current]").inner_text() == "Uploads 1"
    row.locator("text=Change…").press("Enter")
    page.page.fill("#uploaded-file_name", "Prices 2027.csv")
    page.page.press("dialog button.main", "Enter")
    page.page.wait_for_selector("tbody >> text=Prices 2027.csv")
    with page.page.expect_download() as download:
        page.page.press("tbody >> text=Download", "Enter")
    assert (download.value.suggested_filename, download.value.path().read_bytes()) == ("Prices 2027.csv", b"a;b\n")
    assert page.page.url.endswith("?tab=uploads"), "the page stays where it is"
    page.page.press("tbody >> text=Delete…", "Enter")
    page.page.wait_for_selector("dialog button.danger")
    page.page.press("dialog button.danger", "Enter")
    page.page.wait_for_selector("text=There are no files")
    assert customer(shop, oid, "attachments")["attachments"] == []


def a_file(name: str, kind: str, data: bytes = b"a;b\n") -> dict[str, Any]:
    return {"name": name, "mimeType": kind, "buffer": data}


def test_what_is_typed_in_other_tabs_outlives_an_upload(visit: Visit, shop: Running, oid: int) -> None:
    page = visit(f"/customers/{oid}")
    page.page.fill("#field-fax", "555-0100")
    page.page.click(".tabs >> text=Uploads")
    page.page.set_input_files("#upload-file", files=[a_file("a.csv", "text/csv")])
    page.page.click("main form + .row button.main")
    page.page.wait_for_selector("tbody >> text=a.csv")
    page.page.click(".dock button.main")
    page.page.wait_for_selector("text=Saved.")
    assert customer(shop, oid)["fax"] == "555-0100"


def test_tabs_with_nothing_in_them_are_grey_and_the_others_say_how_much_there_is(visit: Visit, shop: Running) -> None:
    body = {
        "email": "tabs@example.com",
        "tax_id": "12-3",
        "billing": [{"last_name": "Tab"}, {"last_name": "Tab"}],
    }
    oid = shop.ask("POST", ALL, body)[1]["customer"]["customer_profile_oid"]
    page = visit(f"/customers/{oid}")
    page.page.wait_for_selector(".tabs .none >> text=Activity")
    grey = page.page.locator(".tabs .none").all_inner_texts()
    assert [text.partition(",")[0].strip() for text in grey] == [
        *("Shipping", "Accounting / Tracking", "Orders", "Quotes", "Reviews", "Uploads", "Software", "Activity")
    ]
    assert page.page.inner_text(".tabs >> text=Billing") == "Billing 2"


def test_two_profiles_become_one_and_a_password_is_asked_for(visit: Visit, shop: Running) -> None:
    stays, goes = (
        shop.ask("POST", ALL, {"email": f"{name}@example.com"})[1]["customer"]["customer_profile_oid"]
        for name in ("stays", "goes")
    )
    page = visit(f"/customers/{stays}")
    page.page.click("text=Password notice…")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("text=A link goes to stays@example.com.")
    page.page.click("text=Merge…")
    page.page.fill("#merged", "nobody@example.com")
    page.page.click("dialog button.danger")
    page.page.wait_for_selector("dialog [role=alert]")
    page.page.fill("#merged", "goes@example.com")
    page.page.click("dialog button.danger")
    page.page.wait_for_selector("text=Merged.")
    page.open(f"/customers/{goes}")
    page.page.wait_for_selector("[role=alert]")


def test_a_stored_card_is_forgotten(visit: Visit, shop: Running) -> None:
    body = {"email": "card@example.com", "cards": [{"card_number_token": shop.card_token("4111111111111111")}]}
    status, answer = shop.ask("POST", ALL, body)
    assert status == 200, answer
    oid = answer["customer"]["customer_profile_oid"]
    page = visit(f"/customers/{oid}?tab=billing")
    page.page.click("td >> text=Forget…")
    assert "ending in 1111" in page.page.inner_text("dialog")
    page.page.click("dialog button.danger")
    page.page.wait_for_selector("text=No card is stored")
    assert customer(shop, oid, "cards")["cards"] == []


def test_a_person_gets_what_is_kept_about_him_and_is_forgotten(visit: Visit, shop: Running) -> None:
    body = {"email": "gone@example.com", "billing": [{"last_name": "Gone"}]}
    oid = shop.ask("POST", ALL, body)[1]["customer"]["customer_profile_oid"]
    page = visit(f"/customers/{oid}")
    page.page.click("text=Data and privacy…")
    with page.page.expect_download() as download:
        page.page.click("dialog >> text=Download it")
    assert json.loads(download.value.path().read_text())["customer"]["email"] == "gone@example.com"
    page.page.fill("#forgotten", "other@example.com")
    page.page.click("dialog button.danger")
    page.page.wait_for_selector("dialog [role=alert] >> text=not his address")
    page.page.fill("#forgotten", "gone@example.com")
    page.page.click("dialog button.danger")
    page.page.wait_for_selector("text=Forgotten.")
    assert shop.ask("GET", f"{ALL}/by_email/gone@example.com")[0] == 404


def test_a_link_by_which_somebody_of_the_shop_signs_in_as_the_customer(visit: Visit, shop: Running, oid: int) -> None:
    merchant = "/rest/v2/configuration/merchant"
    before = shop.ask("GET", merchant)[1]["merchant"].get("allowed_origins") or []
    shop.ask("PUT", merchant, {"allowed_origins": ["https://tea.example.com"]})
    page = visit(f"/customers/{oid}")
    page.page.click("text=Sign in as…")
    page.page.click("dialog button.main")
    assert page.page.inner_text("dialog pre").startswith("https://tea.example.com/?magic_link=")
    shop.ask("PUT", merchant, {"allowed_origins": before})


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
    page.page.fill("#entry-points", "5")
    page.page.fill("#entry-description", "A birthday")
    page.page.fill("#entry-date", f"{int(entry['ledger_dts'][:4]) + 1}-01-02")
    page.page.click("text=Enter it")
    page.page.click("[aria-label='Future ledger'] >> text=Withdraw")
    page.page.wait_for_selector("text=Nothing waits")
    page.page.fill("#credit-amount", "7.50")
    page.page.fill("#credit-description", "For the wait")
    page.page.click("text=Add it")
    page.page.wait_for_selector("text=$7.50 available")
