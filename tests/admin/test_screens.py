"""Every screen: nothing for axe to find in light, in dark and on a phone, nothing wider than the phone, no complaint,
and the keyboard is enough."""

from collections.abc import Callable

import pytest

from infra.demo import PROGRAMMES
from tests.browsing import Page, looked_at
from tests.running import Running, attached

Visit = Callable[..., Page]
SCREENS = {
    "home": "/",
    "auto orders": "/auto_orders",
    "auto orders, none": "/auto_orders?last_name=Nobody",
    "auto orders, all filters": "/auto_orders?more=1",
    "auto order": "/auto_orders/{oid}",
    "auto order, items": "/auto_orders/{oid}?tab=items",
    "auto order, addresses": "/auto_orders/{oid}?tab=addresses",
    "auto order, ending": "/auto_orders/{oid}?tab=ending",
    "customers": "/customers?email=*example.com",
    "customer": "/customers/{customer}",
    "customer, billing": "/customers/{customer}?tab=billing",
    "customer, shipping": "/customers/{customer}?tab=shipping",
    "customer, accounting": "/customers/{customer}?tab=accounting",
    "customer, orders": "/customers/{customer}?tab=orders",
    "customer, quotes": "/customers/{customer}?tab=quotes",
    "customer, reviews": "/customers/{customer}?tab=reviews",
    "customer, uploads": "/customers/{customer}?tab=uploads",
    "customer, taxes": "/customers/{customer}?tab=taxes",
    "customer, software": "/customers/{customer}?tab=software",
    "customer, activity": "/customers/{customer}?tab=activity",
    "exports": "/customers/exports",
    "exports, of a search": "/customers/exports?billing_last_name=J*",
    "imports": "/customers/imports",
    "import, columns": "/customers/imports/{mapping}",
    "import, dry run": "/customers/imports/{compared}",
    "orders": "/orders",
    "order": "/orders/{order_id}",
    "items": "/items",
    "items, none": "/items?merchant_item_id_or_description=nowhere",
    "item": "/items/{item}",
    "item, auto order": "/items/{item}?tab=auto_order",
    "item, orders and taxes": "/items/{item}?tab=rules",
    "item, shipping": "/items/{item}?tab=shipping",
    "coupons": "/coupons",
    "coupon": "/coupons/{coupon}",
    "gift certificates": "/gift_certificates",
    "gift certificate": "/gift_certificates/{certificate}",
    "rehearsal": "/rehearsal",
    "cancel reasons": "/reports",
    "recovery": "/reports?report=recovery",
    "forecast": "/reports?report=forecast",
    "configuration": "/configuration?view=advanced",
    "auto order processing": "/configuration/auto_order_processing",
    "shop": "/configuration/merchant",
    "settings found": "/configuration?search=tax",
    "shipping methods": "/configuration/shipping_methods",
    "shipping method": "/configuration/shipping_methods?field=methods/0/per_order",
    "tax rate": "/configuration/taxes?field=rates/0/rate",
    "rotating gateways": "/configuration/rotating_transaction_gateways",
    "loyalty program": "/configuration/loyalty_program",
    "pricing tiers": "/configuration/pricing_tiers",
    "customer profiles": "/configuration/customer_profiles",
    "cancel links": "/configuration/cancel_links",
    "e-mails": "/configuration/notices",
    "e-mail": "/configuration/notices/receipt",
    "users": "/configuration/users",
    "user": "/configuration/users/{user_id}",
    "API keys": "/configuration/api_keys",
    "activity": "/configuration/activity",
    "activity, none": "/configuration/activity?actor=nobody",
    "account": "/account",
    "webhooks": "/webhooks",
    "webhook": "/webhooks/{hook}",
    "no such auto order": "/auto_orders/1",
    "no such screen": "/nowhere",
}


@pytest.fixture(scope="module")
def places(shop: Running, hook: int, imported: Callable[..., str]) -> dict[str, str]:
    active = shop.ask("GET", "/rest/v2/auto_order/auto_orders?_limit=50&_expand=items&status=active")[1]["auto_orders"]
    # One of which something comes: whatever can be done with an auto order can be done with it.
    one = next(
        found
        for found in active
        if not found["credit_card_attempt"] and all(item.get("calculated_next_shipment_dts") for item in found["items"])
    )
    user = shop.ask("GET", "/rest/v2/user/users")[1]["users"][0]
    customer = shop.ask("GET", "/rest/v2/customer/customers?_limit=1")[1]["customers"][0]["customer_profile_oid"]
    attached(shop, customer, "Certificate.pdf", "Of New York")
    given = shop.ask("POST", "/rest/v2/gift_certificate/gift_certificates", {"amount": 25})[1]["gift_certificate"]
    rows = "email,Referral Source,{}\r\nnew@example.com,A pigeon,\r\n,A pigeon,\r\n"
    return {
        "mapping": imported(rows.format("Shoe size")),
        "compared": imported(rows.format("Fax"), delete_missing=True),
        "oid": one["auto_order_oid"],
        "order_id": one["original_order_id"],
        "hook": str(hook),
        "item": PROGRAMMES[0][0],
        "coupon": shop.ask("GET", "/rest/v2/coupon/coupons?_limit=1")[1]["coupons"][0]["coupon_oid"],
        "certificate": given["gift_certificate_oid"],
        "user_id": user["user_id"],
        "customer": customer,
    }


@pytest.mark.parametrize("route", SCREENS.values(), ids=SCREENS)
def test_no_screen_has_anything_for_axe_to_find_in_light_in_dark_or_on_a_phone(
    tour: Page, places: dict[str, str], route: str
) -> None:
    tour.open(route.format(**places))
    assert not looked_at(tour)


@pytest.mark.parametrize(
    ("route", "button"),
    [
        ("/", ".banner button"),
        ("/", ".find"),
        ("/auto_orders/{oid}", "text=Cancel auto order…"),
        ("/auto_orders/{oid}", "text=Merge…"),
        ("/auto_orders/{oid}", "text=Reschedule…"),
        ("/auto_orders", "text=Columns…"),
        ("/configuration/users", "text=Invite a user…"),
        ("/configuration/api_keys", "text=Make a key…"),
        ("/configuration/api_keys", "text=Revoke…"),
        ("/customers", "text=Add a customer…"),
        ("/customers", "text=Columns…"),
        ("/customers", "text=Password notices…"),
        ("/customers/{customer}", "text=Sign in as…"),
        ("/customers/{customer}", "text=Password notice…"),
        ("/customers/{customer}", "text=Merge…"),
        ("/customers/{customer}", "text=Data and privacy…"),
        ("/customers/{customer}", "text=Delete…"),
        ("/customers/{customer}?tab=uploads", "td >> text=Change…"),
        ("/customers/{customer}?tab=uploads", "td >> text=Delete…"),
        ("/customers/imports/{compared}", "text=Write it…"),
        ("/orders/{order_id}", "text=Refund…"),
        ("/items", "text=Add an item…"),
        ("/items/{item}?tab=auto_order", "text=Add a step…"),
        ("/coupons", "text=Add a coupon…"),
        ("/coupons/{coupon}", "text=Make codes…"),
        ("/gift_certificates", ".title >> text=Make a certificate…"),
        ("/webhooks", ".title >> text=Add a webhook…"),
        ("/webhooks/{hook}", "text=Rotate the secret…"),
    ],
)
def test_no_dialog_has_anything_for_axe_to_find_and_it_gives_the_focus_back(
    tour: Page, places: dict[str, str], route: str, button: str
) -> None:
    page = tour
    page.open(route.format(**places))
    page.page.locator(button).first.focus()
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector("dialog[open]")
    page.settle()
    assert not looked_at(page)
    page.page.keyboard.press("Escape")
    page.page.wait_for_selector("dialog", state="detached")
    page.page.wait_for_selector("button:focus")


def test_the_way_in_has_nothing_for_axe_to_find(visit: Visit) -> None:
    page = visit("/", nobody=True)
    assert not looked_at(page)
    page.open("/welcome/DEMO.1.nothing")
    page.page.fill("#name", "N")
    page.page.fill("#password", "a kettle sings at noon")
    page.page.click("button.main")
    page.page.wait_for_selector("[role=alert]")
    assert not looked_at(page)


def test_a_new_screen_gets_the_focus_and_the_title_of_its_own(visit: Visit) -> None:
    page = visit("/")
    page.page.click("nav >> text=Tonight's run")
    page.page.wait_for_function("() => document.title.startsWith('Tonight')")
    page.page.wait_for_selector("h1:focus")
    assert page.page.locator("nav a[aria-current=page]").inner_text() == "Tonight's run"


def test_filters_and_pages_stand_in_the_address(visit: Visit) -> None:
    page = visit("/orders")
    first = page.page.inner_text("tbody tr >> nth=0")
    page.page.click("text=Next")
    page.page.wait_for_url("**offset=25**")
    page.settle()
    assert page.page.inner_text("tbody tr >> nth=0") != first
    page.page.reload()
    page.settle()
    assert page.page.inner_text("tbody tr >> nth=0") != first
    page.page.go_back()
    page.settle()
    page.page.wait_for_function("first => document.querySelector('tbody tr').innerText === first", arg=first)


def test_what_the_shop_has_not_is_said_with_the_next_step(visit: Visit) -> None:
    page = visit("/auto_orders?last_name=Nobody")
    assert "No auto order is found" in page.page.inner_text("main")
    page.page.click("text=Clear")
    page.settle()
    assert page.page.locator("tbody tr").count() > 0
    page.open("/auto_orders/1")
    assert "There is no auto order" in page.page.inner_text("[role=alert]") or page.page.locator("[role=alert]").count()
