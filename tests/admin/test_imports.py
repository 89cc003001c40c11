"""Customers as files on the page: an export is fetched, an import is mapped, looked at, confirmed and undone."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests.browsing import Page
from tests.running import Running

ALL = "/rest/v2/customer/customers"
Visit = Callable[..., Page]


def file_of(shop: Running) -> dict[str, Any]:
    """A file for the page's chooser: one new customer, one changed, one the same, and one with no address. Nobody knows
    what its last column is."""
    first, second = shop.ask("GET", f"{ALL}?_limit=2&_expand=billing")[1]["customers"]
    lines = [
        "E-mail,Referral Source,Shoe size",
        "carrier@example.com,A pigeon,44",
        f"{first['email']},A pigeon,45",
        f"{second['email']},{second.get('referral_source', '')},46",
        ",A pigeon,47",
    ]
    return {"name": "customers.csv", "mimeType": "text/csv", "buffer": "\r\n".join([*lines, ""]).encode()}


def test_an_export_is_fetched_once_it_is_made(visit: Visit) -> None:
    page = visit("/customers")
    page.page.click(".title >> text=Export…")
    page.page.click("text=Start the export")
    newest = "tbody tr >> nth=0 >> text=Download"
    page.page.wait_for_selector(newest)
    with page.page.expect_download() as download:
        page.page.click(newest)
    assert download.value.suggested_filename.endswith(".csv")
    assert download.value.path().read_text("utf-8-sig").startswith('"email","customer_profile_oid",')


def test_what_a_search_found_is_exported_with_the_columns_that_were_chosen(visit: Visit, shop: Running) -> None:
    everybody = shop.ask("GET", f"{ALL}?_limit=200&_expand=billing")[1]["customers"]
    city = next(home["city"] for one in everybody for home in one.get("billing", []) if "city" in home)
    told = shop.ask("GET", f"{ALL}?billing_city={quote(city)}")[1]["customers"]
    page = visit("/customers")
    page.page.fill("[name=billing_city]", city)
    page.page.press("[name=billing_city]", "Enter")
    page.settle()
    page.page.click(".title >> text=Export…")
    page.page.wait_for_selector(f"summary >> text=City {city}")
    page.page.click("summary >> text=Which columns")
    page.page.uncheck("#every-column")
    page.page.check("#column-billing_1_city")
    page.page.click("text=Start the export")
    newest = f"tbody tr:has-text('City {city}') >> nth=0 >> text=Download"
    page.page.wait_for_selector(newest)
    with page.page.expect_download() as download:
        page.page.click(newest)
    lines = download.value.path().read_text("utf-8-sig").splitlines()
    assert lines[0] == '"email","billing_1_city"'
    assert sorted(lines[1:]) == sorted(f'"{one["email"]}","{city}"' for one in told)
    page.open("/customers/exports?signup_dts_start=yesterday")
    page.page.wait_for_selector("summary >> text=Which columns: 2")
    page.page.click("text=Start the export")
    page.page.wait_for_selector("[role=alert] >> text=Signed up from")


def test_an_import_is_mapped_looked_at_confirmed_and_undone(visit: Visit, shop: Running) -> None:
    page = visit("/customers")
    page.page.click(".title >> text=Import…")
    page.page.wait_for_selector("#import-file")
    page.page.set_input_files("#import-file", files=[file_of(shop)])
    page.page.click("text=Upload and compare")
    page.page.wait_for_selector("h2 >> text=Columns")
    assert page.page.input_value("[aria-label='What E-mail is']") == "email"
    page.page.fill("[aria-label='What Shoe size is']", "shoes")
    page.page.click("text=Compare the rows")
    page.page.wait_for_selector("[role=alert] >> text=there is no column shoes")
    page.page.fill("[aria-label='What Shoe size is']", "")
    page.page.click("text=Compare the rows")
    page.page.wait_for_selector("text=Write it…")
    page.page.reload()
    page.page.wait_for_selector("text=Write it…")
    page.settle()
    with page.page.expect_download() as download:
        page.page.click("text=Download the rejected rows")
    assert "import_problems" in download.value.path().read_text("utf-8-sig")
    assert [page.page.inner_text(f".figures strong >> nth={n}") for n in range(4)] == ["1", "1", "1", "1"]
    page.page.click(".tabs >> text=Changed")
    page.page.wait_for_selector(".cells ins >> text=A pigeon")
    page.page.click("text=Write it…")
    page.page.click("dialog >> text=Write it")
    page.page.wait_for_selector("text=Undo the import…")
    assert shop.ask("GET", f"{ALL}/by_email/carrier@example.com")[1]["customer"]["referral_source"] == "A pigeon"
    page.page.click("text=Undo the import…")
    page.page.click("dialog >> text=Undo the import")
    page.page.wait_for_selector("text=What was there before stands again.")
    assert shop.ask("GET", f"{ALL}/by_email/carrier@example.com")[0] == 404


def test_who_is_not_in_the_file_goes_only_once_somebody_has_looked(
    visit: Visit, shop: Running, imported: Callable[..., str]
) -> None:
    told = shop.ask("GET", f"{ALL}?_limit=200")[1]["customers"]
    import_id = imported("email\r\nnew@example.com\r\n", delete_missing=True)
    page = visit(f"/customers/imports/{import_id}")
    page.page.wait_for_selector(f"text=delete all {len(told)}")
    page.page.click("text=Write it…")
    page.page.click("dialog >> text=Write it")
    page.page.wait_for_selector("dialog [role=alert] >> text=look at them first")
    page.page.keyboard.press("Escape")
    page.page.wait_for_selector("dialog", state="detached")
    found = shop.ask("GET", f"/rest/v2/customer/imports/{import_id}")[1]["customer_import"]
    assert found["state"] == "compared"
