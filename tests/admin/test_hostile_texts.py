"""Texts of strangers stand on the page as texts: three hundred that would be scripts if anything let them."""

import csv
from collections.abc import Callable, Iterator
from io import StringIO
from itertools import product
from typing import Any

import pytest

from tests.browsing import Page
from tests.running import Running, attached

Visit = Callable[..., Page]
MARK = "self.hit=1,alert(1)"
FOREIGN = "//evil.example/x"
# What runs a script or asks somebody, if it becomes markup ...
DOES = (
    f"<script>{MARK}</script>",
    f"<script src={FOREIGN}></script>",
    f"<img src=x onerror={MARK}>",
    f"<img src={FOREIGN}.png>",
    f"<svg onload={MARK}>",
    f"<svg><script>{MARK}</script></svg>",
    f"<svg><a href=javascript:{MARK}><text y=9>x</text></a></svg>",
    f"<body onload={MARK}>",
    f"<iframe src=javascript:{MARK}>",
    f"<iframe srcdoc='<script>{MARK}</script>'>",
    f"<object data={FOREIGN}>",
    f"<embed src={FOREIGN}>",
    f"<link rel=stylesheet href={FOREIGN}.css>",
    f"<style>@import '{FOREIGN}.css'</style>",
    f"<base href={FOREIGN}>",
    f"<meta http-equiv=refresh content='0;url={FOREIGN}'>",
    f"<form action={FOREIGN}><input autofocus onfocus={MARK}>",
    f"<details open ontoggle={MARK}>",
    f"<video src=x onerror={MARK}>",
    f"<a href=javascript:{MARK} autofocus onfocus={MARK}>x</a>",
    f"<math><mi xlink:href=javascript:{MARK}>x",
    f"<template><script>{MARK}</script></template>",
    f"javascript:{MARK}",
    f"data:text/html,<script>{MARK}</script>",
    "${" + MARK + "}",
    "{{constructor.constructor('" + MARK + "')()}}",
    f"<b style=background:url({FOREIGN})>x</b>",
    f"<input onfocus={MARK} autofocus>",
    f"<marquee onstart={MARK}>",
    f"<x onclick={MARK} tabindex=1 autofocus onfocus={MARK}>",
)
# ... and what it may have to break out of first.
OUT_OF = ("", '">', "'>", "--></", "]]>", "</script>", "</title></textarea>", "\\'>", "`>", "%22%3E")
PAYLOADS = tuple(start + text for start, text in product(OUT_OF, DOES))


def pieces(length: int) -> Iterator[str]:
    """All of them, as many in one text as fit into a field of that length."""
    text = ""
    for payload in PAYLOADS:
        assert len(payload) <= length, payload
        if len(text) + len(payload) > length:
            yield text
            text = ""
        text += payload
    yield text


def bad_files(shop: Running, customer: int) -> None:
    # What else stands in a name makes it no file's.
    names = [payload for payload in PAYLOADS if not set(payload) & set('/\\:*?"<>|')]
    for name, text in zip(names, [payload for payload in PAYLOADS if len(payload) <= 100], strict=False):
        attached(shop, customer, name, text)


def written(rows: list[list[str]]) -> str:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


@pytest.fixture(scope="module")
def places(shop: Running, imported: Callable[..., str]) -> Iterator[dict[str, str]]:
    """An order and its auto order with all of them in every text that strangers and the catalogue say, and texts of the
    shop's own besides; put back at the end."""

    def made(method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        status, answer = shop.ask(method, path, body, key)
        assert status == 200, answer
        return answer

    fitting = [payload for payload in PAYLOADS if len(payload) <= 100]
    marked = {
        "parent_category_path": fitting[0],
        "tags": {"tags": [{"tagValue": text} for text in fitting[:100]]},
        "properties": [{"name": fitting[-1], "value": "".join(PAYLOADS)[:3800]}],
    }
    schedule = {"auto_orderable": True, "auto_order_schedules": ["Monthly"]}
    lines = []
    for number, text in enumerate(pieces(500)):
        item = {"merchant_item_id": f"BAD{number}", "description": text, "pricing": {"cost": 2.5}, **marked}
        made("POST", "/rest/v2/item/items", {**item, "auto_order": schedule})
        lines.append({"merchant_item_id": f"BAD{number}", "quantity": 1, "auto_order_schedule": "Monthly"})
    short = [payload for payload in PAYLOADS if len(payload) <= 30]
    wide = [payload for payload in PAYLOADS if len(payload) <= 50]
    billing = {
        "email": "bad@example.com",
        "first_name": short[0],
        "last_name": short[1],
        "company": wide[2],
        "address1": wide[3],
        "address2": wide[4],
        "city": short[-1],
        "country_code": "US",
        "postal_code": "10001",
        "state_region": "NY",
    }
    token = shop.card_token("4111111111111111")
    order = {
        "items": lines,
        "billing": billing,
        "checkout": {"comments": "".join(PAYLOADS)[:2000]},
        "payment": {"credit_card": {"card_number_token": token}},
        "shipping": {"shipping_method": "Ground"},
    }
    order_id = made("POST", "/rest/v2/order/orders", order)["order"]["order_id"]
    made("POST", f"/rest/v2/order/orders/{order_id}/process_payment", {})
    reference = f"/rest/v2/auto_order/auto_orders/reference_order_id/{order_id}"
    oid = made("GET", reference)["auto_order"]["auto_order_oid"]
    rules, merchant = "/rest/v2/configuration/auto_order_processing", "/rest/v2/configuration/merchant"
    before = made("GET", rules)["auto_order_processing"], made("GET", merchant)["merchant"]
    reasons = list(pieces(200))[:50]
    made("PUT", rules, {"cancel_reasons": [{"reason": reason} for reason in reasons]})
    made("PUT", merchant, {"name": next(pieces(100)), "sender_name": wide[5]})
    hook = made("POST", "/rest/v2/webhook/webhooks", {"webhook_url": "https://hooks.example.com/x", "name": wide[6]})
    key = made("POST", "/rest/v2/configuration/api_keys", {"name": wide[9], "scopes": ["customer_write"]})["api_key"]
    profile = {
        "email": "bad@example.com",
        "business_notes": "".join(PAYLOADS)[-2000:],
        "tags": [{"tag_value": text} for text in pieces(250)],
        "billing": [{"first_name": short[2], "last_name": short[3], "company": wide[7]}],
    }
    customer = made("POST", "/rest/v2/customer/customers", profile)["customer"]["customer_profile_oid"]
    bad_files(shop, customer)
    made("PUT", f"/rest/v2/customer/customers/{customer}", {"fax": "1"}, key["key"])
    coupon = {
        "merchant_code": "BAD",
        "description": wide[9],
        "merchant_notes": next(pieces(250)),
        "quickbooks_code": "<b onclick=alert(1)>",
        "free_shipping": {"shipping_methods": wide[:40]},
    }
    coupon_oid = made("POST", "/rest/v2/coupon/coupons", coupon)["coupon"]["coupon_oid"]
    gift = {
        "amount": 5,
        "email": "bad@example.com",
        "initial_ledger_description": wide[10],
        "merchant_note": next(pieces(2000)),
    }
    given = made("POST", "/rest/v2/gift_certificate/gift_certificates", gift)["gift_certificate"][
        "gift_certificate_oid"
    ]
    back = {"summary": {"total_refunded": 1}, "refund_reason": wide[11]}
    made("PUT", f"/rest/v2/order/orders/{order_id}/refund", back)
    auto_order = f"/rest/v2/auto_order/auto_orders/{oid}"
    (first, *others) = made("GET", f"{auto_order}?_expand=items")["auto_order"]["items"]
    first["options"] = [{"label": wide[0], "value": text} for text in pieces(1024)]
    properties = [{"name": wide[1], "value": text} for text in pieces(3800)]
    made("PUT", auto_order, {"items": [first, *others], "properties": properties})
    made("PUT", auto_order, {"enabled": False, "cancel_reason": reasons[0]})
    headings = ["email", *pieces(250)]
    rows = [["email", "business_notes"], ["bad@example.com", "".join(PAYLOADS)[:2000]], [wide[8], "x"]]
    yield {
        "mapping": imported(written([headings, [wide[8]]]), delimiter=","),
        "compared": imported(written(rows), delimiter=","),
        "oid": str(oid),
        "order_id": order_id,
        "hook": str(hook["webhook"]["webhook_oid"]),
        "customer": str(customer),
        "coupon": str(coupon_oid),
        "certificate": str(given),
    }
    made("PUT", rules, {"cancel_reasons": before[0]["cancel_reasons"]})
    made("PUT", merchant, {"name": before[1]["name"], "sender_name": before[1]["sender_name"]})
    shop.ask("DELETE", f"/rest/v2/webhook/webhooks/{hook['webhook']['webhook_oid']}")
    shop.ask("DELETE", f"/rest/v2/configuration/api_keys/{key['api_key_id']}")


def test_there_are_three_hundred_of_them() -> None:
    assert len(set(PAYLOADS)) == len(PAYLOADS) == 300


def test_texts_of_strangers_run_nothing_and_ask_nobody(visit: Visit, places: dict[str, str]) -> None:
    """The visit itself ends with no box of the browser's, no complaint and nobody else asked."""
    page = visit("/")
    screens = {
        "/": "",
        "/auto_orders?email=bad@example.com": "tbody",
        f"/auto_orders/{places['oid']}": ".timeline",
        f"/auto_orders/{places['oid']}?tab=items": "form",
        f"/auto_orders/{places['oid']}?tab=addresses": "",
        f"/auto_orders/{places['oid']}?tab=ending": "",
        "/orders?email=bad@example.com": "tbody",
        f"/orders/{places['order_id']}": "table",
        "/customers?email=bad@example.com": "tbody",
        f"/customers/{places['customer']}": "",
        f"/customers/{places['customer']}?tab=orders": "",
        f"/customers/{places['customer']}?tab=uploads": "tbody",
        "/customers/imports": "tbody",
        f"/customers/imports/{places['mapping']}": "tbody",
        f"/customers/imports/{places['compared']}": "tbody",
        "/items?merchant_item_id_or_description=BAD": "tbody",
        "/items/BAD0": "",
        "/coupons?merchant_code_or_description=BAD": "tbody",
        f"/coupons/{places['coupon']}": "",
        "/gift_certificates?email=bad@example.com": "",
        f"/gift_certificates/{places['certificate']}": "tbody",
        "/rehearsal": "",
        "/reports": "table",
        "/configuration/auto_order_processing": "",
        "/configuration/merchant": "",
        "/configuration/activity": ".timeline",
        "/configuration/api_keys": "tbody",
        "/webhooks": "tbody",
        f"/webhooks/{places['hook']}": "",
    }
    for route, holds in screens.items():
        page.open(route)
        if holds:
            shown = page.page.inner_text(f"main {holds} >> nth=0")
            assert MARK in shown or FOREIGN in shown, f"{route} shows none of them"
        page.page.mouse.click(5, 5)
    page.open("/auto_orders?email=bad@example.com")
    page.page.check("[aria-label='Choose all on this page']")
    page.page.click("text=Cancel…")
    page.page.wait_for_selector("#bulk-reason")
    page.page.keyboard.press("Escape")
    page.open(f"/auto_orders/{places['oid']}")
    shown = page.page.inner_text("main")
    assert "<script>" in shown
    page.open(f"/orders/{places['order_id']}")
    shown = page.page.inner_text("main")
    lost = [payload for payload in PAYLOADS if payload not in shown]
    assert not lost, "each stands there, to the letter"
    page.page.click("text=Refund…")
    page.page.wait_for_selector("dialog >> text=was paid")
    page.page.check("#refund-part")
    page.page.wait_for_selector("[aria-label='Items to give back']")
    page.page.keyboard.press("Escape")
    assert page.page.evaluate("self.hit") is None
    assert (
        page.page.locator("main :is(iframe, object, embed, script, base, marquee, template, form[action])").count() == 0
    )


def test_a_mail_is_seen_as_it_is_received_and_what_is_in_it_runs_nothing(visit: Visit, shop: Running) -> None:
    """What is typed and not saved: styles show, and neither a script nor a form nor a frame does anything."""
    page = visit("/configuration/notices/receipt")
    texts = "".join(PAYLOADS)[:50_000]
    styled = "<style>h1 { color: rgb(1, 2, 3) }</style><h1>Thanks</h1>"
    page.page.fill("#html", f"{styled}{{% raw %}}{texts}{{% endraw %}}")
    page.page.click("text=Preview >> nth=0")
    page.page.wait_for_selector("text=Look at it as it is received")
    asked: list[str] = []
    stopped: dict[str, str] = {}
    hear = {
        "request": lambda request: asked.append(request.url),
        "requestfailed": lambda request: stopped.update({request.url: request.failure}),
        "dialog": page._meet,
    }
    for event, heard in hear.items():
        page.page.context.on(event, heard)
    with page.page.expect_popup() as opened:
        page.page.click("text=Look at it as it is received")
    mail = opened.value
    assert mail.url == f"{shop.url}/admin/mails/receipt"
    assert mail.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(1, 2, 3)"
    mail.mouse.click(30, 60)
    assert mail.evaluate("[self.hit, self.origin, self.opener]") == [None, "null", None]
    assert {url: stopped.get(url) for url in asked if url != mail.url} == dict.fromkeys(asked[1:], "csp")
    mail.close()
    for event, heard in hear.items():
        page.page.context.remove_listener(event, heard)
