"""Auto orders on the page: many acted on at once, and everything of one edited."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.admin.test_screens import looked_at
from tests.browsing import Page
from tests.running import Running

ALL = "/rest/v2/auto_order/auto_orders"
DOCK = ".dock button.main"
Visit = Callable[..., Page]


def auto_orders(shop: Running, expand: str = "items") -> list[dict[str, Any]]:
    """Active ones of which nothing is paused or declined."""
    status, answer = shop.ask("GET", f"{ALL}?_limit=200&_expand={expand}&status=active")
    assert status == 200
    return [
        one
        for one in answer["auto_orders"]
        if not one["credit_card_attempt"] and not any(item.get("paused") for item in one["items"])
    ]


def one(shop: Running, oid: int, expand: str = "items,items.future_schedules,add_ons,properties") -> dict[str, Any]:
    found: dict[str, Any] = shop.ask("GET", f"{ALL}/{oid}?_expand={expand}")[1]["auto_order"]
    return found


def edits(shop: Running, oid: int) -> int:
    return len(shop.ask("GET", f"{ALL}/{oid}/timeline?_limit=200")[1]["timeline"])


@pytest.fixture
def oid(shop: Running) -> int:
    """One with a single item."""
    return next(int(found["auto_order_oid"]) for found in auto_orders(shop) if len(found["items"]) == 1)


def choose(page: Page, oids: list[int]) -> None:
    """By the keyboard."""
    for oid in oids:
        page.page.focus(f"[aria-label='Choose auto order {oid}']")
        page.page.keyboard.press("Space")


def act(page: Page) -> str:
    """Press the dialog's main button, twice in one moment, and read what came of it when all is done. A second click of
    the mouse's own may come when the dialog is gone, and hit what lies beneath."""
    page.page.eval_on_selector("dialog button.main", "button => { button.click(); button.click(); }")
    page.page.wait_for_selector("dialog", state="detached")
    page.page.wait_for_selector("text=Put it away")
    page.settle()
    return str(page.page.inner_text("[aria-label='What came of it']"))


# --- many ----------------------------------------------------------------------------------------------------------


def test_three_are_paused_at_once_and_go_on_and_nothing_is_done_twice(visit: Visit, shop: Running) -> None:
    oids = [int(found["auto_order_oid"]) for found in auto_orders(shop)][:3]
    before = [edits(shop, oid) for oid in oids]
    page = visit("/auto_orders")
    choose(page, oids)
    page.page.click("text=Pause…")
    page.page.wait_for_selector("[aria-label='What it does']")
    assert "Pause 3 of 3." in page.page.inner_text("dialog")
    assert "Pause: 3 done." in act(page)
    assert all(item["paused"] for oid in oids for item in one(shop, oid)["items"])
    page.page.reload()
    page.page.wait_for_selector("text=Pause: 3 done.")
    page.settle()
    assert page.page.locator(".tag >> text=Paused").count() == 3
    assert [edits(shop, oid) for oid in oids] == [rows + 1 for rows in before]
    page.page.click("text=Put it away")
    choose(page, oids)
    page.page.click("text=Go on…")
    page.page.wait_for_selector("[aria-label='What it does']")
    assert "3 done." in act(page)
    assert not any(item.get("paused") for oid in oids for item in one(shop, oid)["items"])


def test_shipments_are_skipped_by_their_own_schedules_and_what_cannot_be_says_why(visit: Visit, shop: Running) -> None:
    first, second, third = [int(found["auto_order_oid"]) for found in auto_orders(shop)][-3:]
    assert shop.ask("PUT", f"{ALL}/{third}", {"enabled": False})[0] == 200
    looked = {"action": "skip", "auto_orders": [{"auto_order_oid": oid} for oid in (first, second, third)]}
    told = shop.ask("POST", "/rest/v2/auto_order/actions?dry_run=true", looked)[1]["batch"]["auto_orders"]
    page = visit("/auto_orders")
    choose(page, [first, second, third])
    page.page.click("text=Skip next…")
    page.page.wait_for_selector("[aria-label='What cannot be']")
    assert "It is disabled" in page.page.inner_text("[aria-label='What cannot be']")
    assert "Skip 2 of 3." in page.page.inner_text("dialog")
    assert not looked_at(page)
    assert "Skip: 2 done." in act(page)
    page.page.click("text=Each of them")
    assert page.page.locator("[aria-label='Each of them'] tbody tr >> text=is left out").count() == 2
    after = shop.ask("POST", "/rest/v2/auto_order/actions?dry_run=true", looked)[1]["batch"]["auto_orders"]
    assert [row["shipment_date"] for row in after[:2]] == [row["next_date"] for row in told[:2]]
    assert shop.ask("PUT", f"{ALL}/{third}", {"enabled": True})[0] == 200


def test_all_that_match_are_rescheduled_once_it_was_seen_what_that_does(visit: Visit, shop: Running) -> None:
    found = auto_orders(shop)
    item_id, number = Counter(item["original_item_id"] for each in found for item in each["items"]).most_common(1)[0]
    page = visit(f"/auto_orders?status=active&original_item_id={item_id}")
    page.page.check("[aria-label='Choose all on this page']")
    assert f"{number} auto order" in page.page.inner_text("[role=group]")
    page.page.click("text=Choose none")
    assert page.page.locator("[role=group]").count() == 0
    page.page.locator("tbody input[type=checkbox]").first.check()
    if number > 1:
        page.page.click(f"text=Choose all {number} that match")
    page.page.click("text=Reschedule…")
    page.page.click("text=What would it do?")
    page.page.wait_for_selector("dialog [role=alert]")
    page.page.fill("#days-later", "2")
    page.page.click("text=What would it do?")
    page.page.wait_for_selector("[aria-label='What it does']")
    page.page.keyboard.press("Escape")
    page.page.wait_for_selector("dialog", state="detached")
    assert auto_orders(shop) == found, "nothing is done by looking"


def test_a_search_of_auto_orders_is_kept_as_a_view_with_its_order(visit: Visit) -> None:
    page = visit("/auto_orders?status=active&_sort=-creation_dts")
    page.page.click("text=+ Save this view")
    page.page.fill("#view-name", "Newest")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("dialog", state="detached")
    page.page.click(".tabs >> text=Retrying")
    page.settle()
    page.page.click(".tabs >> text=Newest")
    page.page.wait_for_function("() => document.querySelector('[name=_sort]').value === '-creation_dts'")
    assert page.page.locator(".tabs a[aria-current]").inner_text() == "Newest"
    page.page.click("text=Forget this view")
    page.page.wait_for_selector(".tabs >> text=Newest", state="detached")


# --- one -----------------------------------------------------------------------------------------------------------


def test_a_shipment_is_skipped_and_the_next_one_keeps_its_date(visit: Visit, shop: Running, oid: int) -> None:
    (item,) = one(shop, oid)["items"]
    page = visit(f"/auto_orders/{oid}")
    page.page.click("text=Skip next")
    page.page.wait_for_selector("text=is left out")
    (after,) = one(shop, oid)["items"]
    assert after["next_shipment_dts"] == item["future_schedules"][1]["shipment_dts"]


def test_an_address_an_add_on_and_an_override_are_saved_at_once_and_taken_back(
    visit: Visit, shop: Running, oid: int
) -> None:
    page = visit(f"/auto_orders/{oid}?tab=items")
    page.page.fill("#field-items-0-arbitrary_unit_cost", "1.25")
    page.page.fill("#field-items-0-arbitrary_unit_cost_remaining_orders", "2")
    page.page.click("text=Add an add-on >> nth=0")
    sold = shop.ask("GET", "/rest/v2/item/items?_limit=1")[1]["items"][0]["merchant_item_id"]
    page.page.fill("#field-items-0-add_ons-0-item_id", sold)
    page.page.fill("#field-items-0-add_ons-0-next_x_orders", "3")
    page.page.click(".tabs >> text=Payment and addresses")
    page.page.fill("#field-original_order-billing-address2", "Floor 2")
    page.page.click(".tabs >> text=Ending and affiliate")
    page.page.fill("#field-override_affiliate_id", "77")
    page.page.fill("#field-cancel_after_next_x_orders", "9")
    assert "4 unsaved changes" in page.page.inner_text(".dock")
    page.page.click(DOCK)
    page.page.wait_for_selector("text=Saved.")
    page.page.wait_for_selector(".dock", state="detached")
    stands = one(shop, oid, "items,original_order,original_order.billing")
    (item,) = stands["items"]
    assert item["add_ons"] == [{"item_id": sold, "next_x_orders": 3}]
    assert (item["arbitrary_unit_cost"], item["arbitrary_unit_cost_remaining_orders"]) == (1.25, 2)
    assert (stands["override_affiliate_id"], stands["cancel_after_next_x_orders"]) == (77, 9)
    assert stands["original_order"]["billing"]["address2"] == "Floor 2"
    page.open(f"/auto_orders/{oid}")
    assert "override for 2 more orders" in page.page.inner_text("[aria-label=Items]")
    assert f"1 × {sold} with the next 3" in page.page.inner_text("[aria-label=Items]")
    assert "Override affiliate" in page.page.inner_text(".timeline")
    page.open(f"/auto_orders/{oid}?tab=ending")
    page.page.fill("#field-override_affiliate_id", "")
    page.page.click(".tabs >> text=Payment and addresses")
    page.page.fill("#field-original_order-billing-address2", "")
    page.page.click(".tabs >> text=Items")
    page.page.click("[aria-label='Remove add-on 1']")
    page.page.click(DOCK)
    page.page.wait_for_selector(".dock", state="detached")
    stands = one(shop, oid, "items,original_order,original_order.billing")
    assert "override_affiliate_id" not in stands
    assert "address2" not in stands["original_order"]["billing"]
    assert "add_ons" not in stands["items"][0]


def test_an_item_is_added_and_removed_and_what_is_wrong_is_gone_to_from_another_tab(
    visit: Visit, shop: Running, oid: int
) -> None:
    page = visit(f"/auto_orders/{oid}?tab=items")
    page.page.click("text=Add an item")
    page.page.fill("#field-items-1-original_item_id", "NOPE")
    page.page.select_option("#field-items-1-frequency", "Every...")
    page.page.click(".tabs >> text=Ending and affiliate")
    page.page.click(DOCK)
    page.page.wait_for_selector("text=Nothing was saved")
    page.page.click("[role=alert] a >> text=A new item, Every so many days")
    page.page.wait_for_function("() => document.activeElement.id === 'field-items-1-arbitrary_schedule_days'")
    page.page.fill("#field-items-1-arbitrary_schedule_days", "40")
    sold = shop.ask("GET", "/rest/v2/item/items?_limit=1")[1]["items"][0]["merchant_item_id"]
    page.page.fill("#field-items-1-original_item_id", sold)
    page.page.click(DOCK)
    page.page.wait_for_selector(".dock", state="detached")
    (_, added) = one(shop, oid)["items"]
    assert (added["original_item_id"], added["arbitrary_schedule_days"]) == (sold, 40)
    page.settle()
    page.page.click(".card:nth-of-type(2) >> text=Remove")
    page.page.click(DOCK)
    page.page.wait_for_selector(".dock", state="detached")
    assert len(one(shop, oid)["items"]) == 1


def test_who_was_slower_keeps_his_edits_of_the_same_item(visit: Visit, shop: Running, oid: int) -> None:
    page = visit(f"/auto_orders/{oid}?tab=items")
    page.page.fill("#field-items-0-arbitrary_percentage_discount", "5")
    (item,) = one(shop, oid)["items"]
    rest = {name: value for name, value in item.items() if name != "future_schedules"}
    assert shop.ask("PUT", f"{ALL}/{oid}", {"items": [{**rest, "arbitrary_quantity": 4}]})[0] == 200
    page.page.click(DOCK)
    page.page.wait_for_selector("text=Somebody else has saved this meanwhile")
    assert page.page.input_value("#field-items-0-arbitrary_percentage_discount") == "5"
    page.page.click("text=Lay mine over theirs")
    assert page.page.input_value("#field-items-0-arbitrary_quantity") == "4"
    page.page.click(DOCK)
    page.page.wait_for_selector("text=Saved.")
    (item,) = one(shop, oid)["items"]
    assert (item["arbitrary_quantity"], item["arbitrary_percentage_discount"]) == (4, 5)


def test_an_edit_of_what_was_billed_meanwhile_is_laid_over_what_stands_now(
    visit: Visit, shop: Running, oid: int
) -> None:
    """The API's answer to a copy that was read before a rebill stands in for the rebill."""
    page = visit(f"/auto_orders/{oid}?tab=items")
    stale = {"pointer": "/items/0/number_of_rebills", "code": "stale", "message": "was read before a rebill"}
    body = json.dumps({"error": {"user_message": "no"}, "problems": [stale]})
    sent: list[Any] = []

    def answer(route: Any) -> None:
        if route.request.method != "PUT" or sent:
            route.fallback()
            return
        sent.append(route.request.post_data_json)
        route.fulfill(status=400, content_type="application/json", body=body)

    page.page.route(f"**{ALL}/{oid}?*", answer)
    page.page.fill("#field-items-0-arbitrary_percentage_discount", "7")
    page.page.click(DOCK)
    page.page.wait_for_selector("text=Somebody else has saved this meanwhile")
    (row,) = sent[0]["items"]
    assert "number_of_rebills" in row, "or a copy that is stale would not be known for one"
    page.page.click("text=Lay mine over theirs")
    page.page.click(DOCK)
    page.page.wait_for_selector("text=Saved.")
    assert one(shop, oid)["items"][0]["arbitrary_percentage_discount"] == 7


def test_a_rule_leads_to_the_field_that_decided(visit: Visit, shop: Running, oid: int) -> None:
    assert shop.ask("PUT", f"{ALL}/{oid}/pause")[0] == 200
    page = visit(f"/auto_orders/{oid}")
    page.page.click(".why li:has-text('is paused') a")
    page.page.wait_for_function("() => document.activeElement.id === 'field-items-0-paused'")
    page.page.uncheck("#field-items-0-paused")
    page.page.click(DOCK)
    page.page.wait_for_selector(".dock", state="detached")
    assert not one(shop, oid)["items"][0].get("paused")


def test_another_auto_order_of_the_customer_is_merged_into_it(visit: Visit, shop: Running) -> None:
    found = auto_orders(shop, "items,original_order,original_order.billing")
    emails = Counter(each["original_order"]["billing"]["email"] for each in found)
    email, number = emails.most_common(1)[0]
    assert number > 1
    target, source, *_ = [each for each in found if each["original_order"]["billing"]["email"] == email]
    page = visit(f"/auto_orders/{target['auto_order_oid']}")
    page.page.click("text=Merge…")
    page.page.check(f"#merge-{source['auto_order_oid']}")
    page.page.click("dialog button.main")
    page.page.wait_for_selector("text=Merged.")
    assert one(shop, source["auto_order_oid"])["merged_into_auto_order_oid"] == target["auto_order_oid"]
    assert len(one(shop, target["auto_order_oid"])["items"]) == len(target["items"]) + len(source["items"])
