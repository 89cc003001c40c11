"""What the shop sells and gives, on the page: items with their schedules, coupons and their codes, gift certificates,
and orders that are given back."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.request import Request, urlopen

from tests.browsing import Page
from tests.running import Running

ITEMS = "/rest/v2/item/items"
COUPONS = "/rest/v2/coupon/coupons"
CERTIFICATES = "/rest/v2/gift_certificate/gift_certificates"
ORDERS = "/rest/v2/order/orders"
Visit = Callable[..., Page]


def save(page: Page) -> None:
    page.page.click(".dock button.main")
    page.page.wait_for_selector(".dock", state="detached")
    page.settle()


def not_saved(page: Page, why: str) -> None:
    page.page.click(".dock button.main")
    page.page.wait_for_selector(f"text={why}")


def item(shop: Running, name: str) -> dict[str, Any]:
    path = f"{ITEMS}/merchant_item_id/{name}?_expand=auto_order,pricing,tags"
    found: dict[str, Any] = shop.ask("GET", path)[1]["item"]
    return found


def offered(shop: Running, name: str) -> dict[str, Any]:
    """The item as a storefront is told of it."""
    asked = Request(f"{shop.url}/storefront/items/{name}")
    asked.add_header("x-ultracart-browser-key", shop.browser_key)
    with urlopen(asked) as answer:
        found: dict[str, Any] = json.load(answer)["item"]
    return found


def step(page: Page, schedule: str, **said: str) -> None:
    page.page.click("text=Add a step…")
    page.page.select_option("#field-step-schedule", schedule)
    for name, value in said.items():
        page.page.fill(f"#field-step-{name}", value)
    page.page.click("dialog button.main")
    page.page.wait_for_selector("dialog", state="detached")


def test_an_item_with_a_trial_and_then_every_month_is_made_and_offered(visit: Visit, shop: Running) -> None:
    page = visit("/items")
    page.page.click("text=Add an item…")
    page.page.fill("#new-id", "MATE/1")
    page.page.fill("#new-description", "Mate, smoked")
    page.page.fill("#new-cost", "14.5")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("h1 >> text=Mate, smoked")
    page.settle()
    page.page.fill("#field-pricing-auto_order_cost", "12")
    page.page.fill("#field-pricing-sale_cost", "9")
    page.page.fill("#field-pricing-sale_end", "2030-07-04T18:30")
    page.page.locator("#field-tags-tags >> text=Add").click()
    page.page.fill("#field-tags-tags-0-tagValue", "herbal")
    page.page.click(".tabs >> text=Auto order")
    page.page.check("#field-auto_order-auto_order_upsell")
    page.page.click(".tabs >> text=General")
    not_saved(page, "an automatic schedule needs a step")
    page.page.click("[role=alert] a")
    page.page.wait_for_selector("h2 >> text=Steps")
    step(page, "Biweekly", repeat_count="1", arbitrary_unit_cost="1")
    step(page, "Monthly", preshipment_notice_days="3")
    save(page)
    made = item(shop, "MATE%2F1")
    assert made["auto_order"]["steps"] == [
        {
            "type": "item",
            "recurring_merchant_item_id": "MATE/1",
            "schedule": "Biweekly",
            "repeat_count": 1,
            "arbitrary_unit_cost": 1,
        },
        {"type": "item", "recurring_merchant_item_id": "MATE/1", "schedule": "Monthly", "preshipment_notice_days": 3},
    ]
    assert made["pricing"]["sale_end"] == "2030-07-04T18:30:00-04:00", "the shop's own clock, in summer"
    assert made["tags"] == {"tags": [{"tagValue": "herbal"}]}
    assert offered(shop, "MATE%2F1")["automatic_schedule"] is True
    page.page.click(".tabs >> text=Auto order")
    page.page.uncheck("#field-auto_order-auto_order_upsell")
    page.page.check("#field-auto_order-auto_orderable")
    page.page.check("#field-auto_order-auto_order_schedules-Monthly")
    page.page.click(".tabs >> text=General")
    page.page.fill("#field-pricing-sale_cost", "")
    page.page.fill("#field-pricing-sale_end", "")
    save(page)
    found = offered(shop, "MATE%2F1")
    assert ([one["name"] for one in found["schedules"]], found["auto_order_cost"]) == (["None", "Monthly"], 12)
    assert "sale_cost" not in item(shop, "MATE%2F1")["pricing"], "what is taken back inside a noun is gone"


# What forms leave out: what the server sets, names under which something is drawn already, and what is refused by name.
LEFT_OUT = re.compile(
    r".*_oid|merchant_(item_)?id|creation_dts|last_modified_dts|kit|coupon_type|calculated_description"
)


def leaves(schemas: dict[str, Any], noun: str, before: str = "field") -> set[str]:
    """The ids of the fields of a noun and of the nouns in it."""
    found = set()
    for name, of in schemas[noun]["properties"].items():
        inner = of.get("$ref", "").rpartition("/")[2]
        if LEFT_OUT.fullmatch(name):
            continue
        if inner and inner not in ("Weight", "Distance"):
            found |= leaves(schemas, inner, f"{before}-{name}")
        else:
            found.add(f"{before}-{name}")
    return found


def test_every_field_of_an_item_and_of_each_kind_of_coupon_is_on_its_form(tour: Page, shop: Running) -> None:
    schemas = shop.ask("GET", "/rest/v2/openapi.json")[1]["components"]["schemas"]
    page, shown = tour, set()
    for tab in ("general", "auto_order", "rules", "shipping"):
        page.open(f"/items/ASSAM?tab={tab}")
        shown |= set(page.page.locator("[id^=field-]").evaluate_all("all => all.map(one => one.id)"))
    assert leaves(schemas, "Item") - shown == set()
    coupon = shop.ask("GET", f"{COUPONS}?_limit=1")[1]["coupons"][0]["coupon_oid"]
    page.open(f"/coupons/{coupon}")
    shown = {"field-merchant_code"}
    for kind in page.page.locator("#kind option").evaluate_all("all => all.map(one => one.value)"):
        page.page.select_option("#kind", kind)
        page.settle()
        shown |= set(page.page.locator("[id^=field-]").evaluate_all("all => all.map(one => one.id)"))
    assert leaves(schemas, "Coupon") - shown == set()


def test_who_was_slower_at_an_item_lays_only_what_he_changed_over_it(visit: Visit, shop: Running) -> None:
    page = visit("/items")
    page.page.fill("[name=merchant_item_id_or_description]", "assam")
    page.page.click("text=Search >> nth=-1")
    page.settle()
    page.page.click("tbody a >> text=ASSAM")
    page.settle()
    page.page.fill("#field-pricing-cogs", "4")
    oid = item(shop, "ASSAM")["merchant_item_oid"]
    assert shop.ask("PUT", f"{ITEMS}/{oid}", {"pricing": {"cost": 12.5}})[0] == 200
    not_saved(page, "Somebody else has saved this meanwhile")
    page.page.click("text=Lay mine over theirs")
    save(page)
    pricing = item(shop, "ASSAM")["pricing"]
    assert (pricing["cost"], pricing["cogs"]) == (12.5, 4)


def test_a_coupon_is_made_changes_its_kind_and_gives_five_codes(visit: Visit, shop: Running) -> None:
    page = visit("/coupons")
    page.page.click("text=Add a coupon…")
    page.page.fill("#field-new-merchant_code", "Spring")
    page.page.select_option("#new-kind", "amount_off_items")
    page.page.fill("#field-new-discount_amount", "2")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("dialog [role=alert]")
    page.page.locator("#field-new-items >> text=Add").click()
    page.page.fill("#field-new-items-0", "ASSAM")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("h1 >> text=Coupon Spring")
    page.settle()
    page.page.select_option("#kind", "percent_off_subtotal")
    page.page.fill("#field-percent_off_subtotal-discount_percent", "15")
    page.page.select_option("#field-usable_by", "UniqueCode")
    page.page.fill("#field-expiration_dts", "2030-01-31T23:00")
    save(page)
    coupon = shop.ask("GET", f"{COUPONS}/merchant_code/spring")[1]["coupon"]
    assert coupon["percent_off_subtotal"] == {"discount_percent": 15}
    assert "amount_off_items" not in coupon
    assert coupon["expiration_dts"] == "2030-01-31T23:00:00-05:00"
    page.page.click("text=Make codes…")
    page.page.fill("#field-codes-prefix", "SPR-")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("dialog pre")
    codes = page.page.inner_text("dialog pre").split()
    assert len(set(codes)) == 5
    assert all(code.startswith("SPR-") for code in codes)
    page.page.click("dialog >> text=I have kept them")
    page.page.keyboard.press("Control+k")
    page.page.wait_for_selector("[role=combobox]")
    page.page.keyboard.type("spring")
    page.page.wait_for_selector("[role=option] >> text=15% off the subtotal")
    page.page.keyboard.press("Escape")
    page.page.click("text=Delete…")
    page.page.click("dialog button.danger")
    page.page.wait_for_selector("h1 >> text=Coupons")
    assert shop.ask("GET", f"{COUPONS}/merchant_code/spring/exists")[1]["exists"] is False


def test_ten_are_given_to_a_certificate_once_the_balance_was_seen(visit: Visit, shop: Running) -> None:
    page = visit("/gift_certificates")
    page.page.click("text=Make a certificate… >> nth=0")
    page.page.fill("#field-new-amount", "25")
    page.page.fill("#field-new-email", "gift@example.com")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("h1 >> text=Gift certificate")
    page.settle()
    path = f"{CERTIFICATES}/{page.page.url.rpartition('/')[2]}"
    assert page.page.locator("text=Enter it").is_disabled()
    page.page.fill("#field-entry-amount", "10")
    page.page.click("text=What would be on it?")
    page.page.wait_for_selector("text=Nothing was entered")
    page.page.fill("#field-entry-description", "For the wait")
    page.page.click("text=What would be on it?")
    page.page.wait_for_selector("text=$35.00 would be on it.")
    assert shop.ask("POST", path)[1]["gift_certificate"]["remaining_balance"] == 25
    page.page.click("text=Enter it")
    page.page.wait_for_selector("[aria-label=Ledger] >> text=For the wait")
    page.page.fill("#field-merchant_note", "She waited a week.")
    save(page)
    page.page.click("text=Deactivate")
    page.page.wait_for_selector(".title >> text=Not active")
    stands = shop.ask("POST", path)[1]["gift_certificate"]
    assert (stands["remaining_balance"], stands["activated"], stands["merchant_note"]) == (
        35,
        False,
        "She waited a week.",
    )
    page.open("/gift_certificates?email=gift@example.com&remaining_balance_start=35")
    assert "$35.00" in page.page.inner_text("tbody")
    page.page.fill("[name=expiration_dts_end]", "2030-01-01")
    page.page.click("text=Search >> nth=-1")
    page.settle()
    assert "No gift certificate is found" in page.page.inner_text("main"), "it never expires"


def test_half_an_order_is_given_back_once_and_then_the_rest_with_its_auto_order(visit: Visit, shop: Running) -> None:
    order_id, other = subscribed(shop), subscribed(shop, "EARLGREY")
    # From here on a refund of this item refunds the customer's other auto orders.
    oid = item(shop, "DARJEELING")["merchant_item_oid"]
    asks = {"auto_order": {"refund_other_auto_orders": True}}
    assert shop.ask("PUT", f"{ITEMS}/{oid}", asks)[0] == 200
    page = visit(f"/orders/{order_id}")
    page.page.click("text=Refund…")
    page.page.wait_for_selector("dialog >> text=was paid")
    page.page.check("#refund-part")
    assert page.page.locator("dialog button.danger").is_disabled(), "what it comes to is seen first"
    page.page.fill("[name=total_refunded-1]", "1000")
    page.page.click("text=What would it come to?")
    page.page.wait_for_selector("dialog [role=alert]")
    assert "Item 1, In all" in page.page.inner_text("dialog [role=alert]")
    page.page.fill("[name=quantity_refunded-1]", "1")
    page.page.click("text=What would it come to?")
    page.page.wait_for_selector("text=$16.00 as the payment came")
    assert page.page.input_value("[name=total_refunded-1]") == "16", "the API has reckoned it"
    page.page.fill("[name=total_refunded-1]", "11.5")
    page.page.click("text=What would it come to?")
    page.page.wait_for_selector("text=$11.50 as the payment came")
    assert other in page.page.inner_text("dialog [role=status]"), "what goes back with it is told before"
    page.page.eval_on_selector("dialog button.danger", "button => { button.click(); button.click(); }")
    page.page.wait_for_selector("dialog", state="detached")
    page.settle()
    assert "$11.50" in page.page.inner_text("main")
    assert summary(shop, order_id)["total_refunded"]["value"] == 11.5
    page.page.click("text=Refund…")
    page.page.wait_for_selector("dialog >> text=$11.50 of it was given back before")
    page.page.check("#refund-cancel")
    page.page.fill("#refund-reason", "It never came")
    page.page.click("dialog button.danger")
    page.page.wait_for_selector("dialog [role=alert] >> text=Reason of the cancellation")
    assert summary(shop, order_id)["total_refunded"]["value"] == 11.5, "nothing is half done"
    page.page.select_option("#refund-cancel-reason", "Moving away")
    page.page.click("dialog button.danger")
    page.page.wait_for_selector("dialog", state="detached")
    page.settle()
    whole = summary(shop, order_id)
    assert whole["total_refunded"] == whole["total"]
    asked = shop.ask("GET", f"/rest/v2/auto_order/auto_orders/reference_order_id/{order_id}")[1]["auto_order"]
    assert asked["status"] == "canceled"
    page.page.click("text=Refund…")
    page.page.wait_for_selector("dialog >> text=The order has been refunded in full.")
    page.page.keyboard.press("Escape")
    asks["auto_order"]["refund_other_auto_orders"] = False
    assert shop.ask("PUT", f"{ITEMS}/{oid}", asks)[0] == 200


def summary(shop: Running, order_id: str) -> dict[str, Any]:
    found: dict[str, Any] = shop.ask("GET", f"{ORDERS}/{order_id}?_expand=summary")[1]["order"]["summary"]
    return found


def subscribed(shop: Running, name: str = "DARJEELING") -> str:
    """A paid order of two of an item that comes every month, always of one customer."""
    order = {
        "items": [{"merchant_item_id": name, "quantity": 2, "auto_order_schedule": "Monthly"}],
        "billing": {"email": "refund@example.com", "first_name": "Ruth", "country_code": "US", "state_region": "NY"},
        "payment": {"credit_card": {"card_number_token": shop.card_token("4111111111111111")}},
        "shipping": {"shipping_method": "Ground"},
    }
    status, answer = shop.ask("POST", ORDERS, order)
    assert status == 200, answer
    order_id = str(answer["order"]["order_id"])
    assert shop.ask("POST", f"{ORDERS}/{order_id}/process_payment", {})[1]["success"]
    return order_id
