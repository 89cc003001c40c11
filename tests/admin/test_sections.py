"""Sections of settings that hold lists of nouns: a merchant adds, changes, moves and puts back entries, is led to what
is wrong inside of them, and loses nothing to who saves at the same time."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.admin.test_screens import looked_at
from tests.browsing import Page
from tests.running import Running

Visit = Callable[..., Page]
BASE = "/rest/v2/configuration"
SHIPPING, TAXES = "/configuration/shipping_methods", "/configuration/taxes"
GATEWAYS, LOYALTY = "/configuration/rotating_transaction_gateways", "/configuration/loyalty_program"
TIERS = "/configuration/pricing_tiers"
SAVE = ".dock button.main"


@pytest.fixture(autouse=True)
def as_it_was(shop: Running) -> Iterator[None]:
    """What a test has changed of the sections is put back: others place orders in this shop."""
    paths = [f"/rest/v2{path}" for path in (SHIPPING, TAXES, GATEWAYS, LOYALTY, TIERS)]
    before = {path: shop.ask("GET", path)[1][path.rpartition("/")[2]] for path in paths}
    yield
    for path, said in before.items():
        now = shop.ask("GET", path)[1][path.rpartition("/")[2]]
        if now != said:
            assert shop.ask("PUT", path, dict.fromkeys(now) | said)[0] == 200


def stands(shop: Running, path: str) -> dict[str, Any]:
    found: dict[str, Any] = shop.ask("GET", f"/rest/v2{path}")[1][path.rpartition("/")[2]]
    return found


def put(shop: Running, path: str, body: dict[str, Any]) -> None:
    status, answer = shop.ask("PUT", f"/rest/v2{path}", body)
    assert status == 200, answer


def saved(page: Page) -> None:
    page.page.click(SAVE)
    page.page.wait_for_selector(".dock", state="detached")


def test_a_merchant_adds_a_shipping_method_and_a_tax_rate(visit: Visit, shop: Running) -> None:
    page = visit(SHIPPING)
    before = stands(shop, SHIPPING)["methods"]
    at = f"#field-methods-{len(before)}"
    page.page.click("text=Add a shipping method")
    page.page.wait_for_selector(f"{at}-shipping_method:focus")
    page.page.fill(f"{at}-per_order", "4,95")
    page.page.fill(f"{at}-countries", "US, ca")
    page.page.click(SAVE)
    page.page.click("[role=alert] >> text=Shipping method 4, Name: is required")
    page.page.wait_for_selector(f"{at}-shipping_method:focus")
    assert "must be a number" in page.page.inner_text(f"{at}-per_order-wrong")
    assert page.page.inner_text(f"{at}-countries-bad").startswith("ca: ")
    assert "3 problems" in page.page.inner_text(f"{at} .head")
    assert not looked_at(page)
    page.page.fill(f"{at}-shipping_method", "Pigeon")
    page.page.fill(f"{at}-per_order", "4.95")
    page.page.fill(f"{at}-countries", "US, CA")
    page.page.locator(at).get_by_text("Add a weight step").click()
    page.page.fill(f"{at}-weight_steps-0-cost", "0.50")
    page.page.locator(at).get_by_label("Move shipping method 4 up").click()
    saved(page)
    pigeon = {
        "shipping_method": "Pigeon",
        "per_order": 4.95,
        "countries": ["US", "CA"],
        "weight_steps": [{"cost": 0.5}],
    }
    assert stands(shop, SHIPPING)["methods"] == [*before[:2], pigeon, before[2]]

    page.open(TAXES)
    rates = stands(shop, TAXES)["rates"]
    at = f"#field-rates-{len(rates)}"
    page.page.click("text=Add a tax rate")
    page.page.select_option(f"{at}-country_code", label="Canada")
    page.page.fill(f"{at}-rate", "113")
    page.page.fill(f"{at}-state_region", "ON")
    assert "is the point where it belongs?" in page.page.inner_text(f"{at}-rate-warn")
    page.page.fill(f"{at}-rate", "13")
    assert page.page.locator(f"{at}-rate-warn").count() == 0
    saved(page)
    assert stands(shop, TAXES)["rates"] == [*rates, {"country_code": "CA", "rate": 13, "state_region": "ON"}]


def test_a_change_inside_of_an_entry_is_put_back_wherever_the_entry_has_gone(visit: Visit, shop: Running) -> None:
    page = visit(f"{SHIPPING}?field=methods/0/per_order")
    page.page.wait_for_function("() => document.activeElement.id === 'field-methods-0-per_order'")
    page.page.fill("#field-methods-0-shipping_method", "Overland")
    page.page.fill("#field-methods-0-per_order", "5.95")
    assert "their rebills are held" in page.page.inner_text("#field-methods-0-shipping_method-warn")
    page.page.click("[aria-label='Move shipping method 1 down']")
    assert page.page.input_value("#field-methods-1-per_order") == "5.95"
    moved = page.page.locator("#field-methods-1")
    assert "Was 4.95." in moved.inner_text()
    moved.get_by_label("Put back Per order").click()
    moved.get_by_label("Put back Name").click()
    assert page.page.input_value("#field-methods-1-per_order") == "4.95"
    page.page.click("[aria-label='Move shipping method 2 up']")
    assert page.page.locator(".dock").count() == 0
    page.page.click("[aria-label='Remove shipping method 1']")
    page.page.click("text=Put back")
    assert page.page.locator(".dock").count() == 0
    # What is blank again is gone, and not as it was.
    page.page.click("#field-methods-0 .head")
    page.page.fill("#field-methods-0-free_over_amount", "")
    saved(page)
    assert "free_over_amount" not in stands(shop, SHIPPING)["methods"][0]


def test_shares_of_two_gateways_that_do_not_add_up_are_told(visit: Visit, shop: Running) -> None:
    put(shop, GATEWAYS, {"gateways": [{"code": "sandbox"}, {"code": "second", "status": "standby"}]})
    page = visit(f"{GATEWAYS}?field=gateways/0/traffic_percentage")
    told = page.page.locator("#field-gateways-warn")
    page.page.fill("#field-gateways-0-traffic_percentage", "60")
    assert "add up to 60%" in told.inner_text()
    page.page.click("#field-gateways-1 .head")
    page.page.select_option("#field-gateways-1-status", "active")
    page.page.fill("#field-gateways-1-traffic_percentage", "33.3")
    assert "add up to 93.3%, not 100%" in told.inner_text()
    assert page.page.inner_text("#field-gateways-1-traffic_percentage-warn") == told.inner_text()
    assert not looked_at(page)
    page.page.fill("#field-gateways-1-traffic_percentage", "40")
    assert told.count() == 0
    page.page.select_option("#field-gateways-0-cascade_code", "second")
    page.page.check("#field-gateways-0 label >> text=VISA")
    page.page.check("#field-gateways-0 label >> text=Sunday")
    page.page.fill("#field-gateways-0-start_date", "2027-01-31")
    page.page.fill("#field-gateways-0-prevent_cascade_if_response_values", "stolen_card, lost_card")
    assert page.page.locator("#field-gateways-0-cascade_code option[value=sandbox]").count() == 0
    saved(page)
    first, second = stands(shop, GATEWAYS)["gateways"]
    assert first == {
        "code": "sandbox",
        "status": "active",
        "traffic_percentage": 60,
        "start_date": "2027-01-31",
        "days_of_week": ["Sunday"],
        "credit_cards": ["VISA"],
        "cascade_code": "second",
        "prevent_cascade_if_response_values": ["stolen_card", "lost_card"],
    }
    assert (second["status"], second["traffic_percentage"]) == ("active", 40)


def test_a_loyalty_programme_begins_with_a_tier_and_a_reward(visit: Visit, shop: Running) -> None:
    page = visit(LOYALTY)
    page.page.check("#field-active")
    page.page.fill("#field-points_per_dollar", "1.5")
    page.page.fill("#field-expiration_days", "30")
    assert "hardly a chance" in page.page.inner_text("#field-expiration_days-warn")
    page.page.fill("#field-expiration_days", "365")
    page.page.click("text=Add a tier")
    page.page.fill("#field-tiers-0-name", "Gold")
    page.page.click("text=Add a reward")
    page.page.fill("#field-rewards-0-loyalty_reward_id", "tenner")
    page.page.fill("#field-rewards-0-points", "500")
    page.page.select_option("#field-rewards-0-reward_type", label="Gift certificate")
    assert "Nobody can redeem it." in page.page.inner_text("#field-rewards-0-active-warn")
    page.page.check("#field-rewards-0-active")
    page.page.click("#field-tiers-0 .head")
    page.page.click(SAVE)
    page.page.click("[role=alert] >> text=Tiers and rewards, Tier 1, Qualify at")
    page.page.wait_for_function("() => document.activeElement.id === 'field-tiers-0-qualify_purchase_amount'")
    page.page.fill("#field-tiers-0-qualify_purchase_amount", "500")
    page.page.fill("#field-tiers-0-points_per_dollar", "2")
    page.page.fill("#field-rewards-0-amount", "10")
    assert not looked_at(page)
    saved(page)
    reward = {"loyalty_reward_id": "tenner", "points": 500, "reward_type": "gift_certificate", "active": True}
    assert stands(shop, LOYALTY) == {
        "active": True,
        "points_per_dollar": 1.5,
        "expiration_days": 365,
        "tiers": [{"name": "Gold", "qualify_purchase_amount": 500, "points_per_dollar": 2}],
        "rewards": [reward | {"amount": 10}],
    }


def test_of_two_who_change_one_list_neither_loses_an_entry(visit: Visit, shop: Running) -> None:
    put(shop, TIERS, {"tiers": [{"name": "Dealers", "default_percentage_discount": 20}, {"name": "Staff"}]})
    dealers, staff = stands(shop, TIERS)["tiers"]
    page = visit(f"{TIERS}?field=tiers/0/default_percentage_discount")
    page.page.fill("#field-tiers-0-default_percentage_discount", "25")
    page.page.fill("#field-tiers-0-minimum_subtotal", "100")
    page.page.click("text=Add a pricing tier")
    page.page.fill("#field-tiers-2-name", "Cafés")
    others = {**dealers, "minimum_subtotal": 50, "tax_exempt": True}
    put(shop, TIERS, {"tiers": [{"name": "Friends"}, {**staff, "no_coupons": True}, others]})
    page.page.click(SAVE)
    page.page.wait_for_selector("text=Somebody else has saved this meanwhile")
    told = page.page.inner_text("[role=alert]")
    assert "Pricing tier 1, Least subtotal: blank → 50 (you too)" in told
    assert "Pricing tier 1, Tax exempt: blank → on" in told
    assert "Pricing tier 2, No coupons: blank → on" in told
    page.page.click("text=Lay mine over theirs")
    assert "Was 50." in page.page.inner_text("#field-tiers-0")
    saved(page)
    found = {tier.pop("name"): tier for tier in stands(shop, TIERS)["tiers"]}
    assert list(found) == ["Dealers", "Staff", "Cafés", "Friends"]
    wanted = {"default_percentage_discount": 25, "minimum_subtotal": 100, "tax_exempt": True}
    assert found["Dealers"] == {**wanted, "pricing_tier_oid": dealers["pricing_tier_oid"]}
    assert found["Staff"] == {"no_coupons": True, "pricing_tier_oid": staff["pricing_tier_oid"]}


def test_sections_and_single_settings_are_found_by_a_word_of_their_title_or_help(visit: Visit) -> None:
    page = visit("/configuration")
    search = page.page.get_by_label("Find a section or a setting")
    search.fill("taxes")
    page.settle()
    assert page.page.inner_text("[aria-label=Sections] tbody").startswith("Taxes")
    search.fill("weigh")
    page.page.wait_for_selector("[aria-label=Settings] tbody")
    assert page.page.locator("[aria-label=Sections]").count() == 0
    page.page.click("[aria-label=Settings] >> text=Shipping method: Weight steps")
    page.page.wait_for_function("() => document.activeElement.id.startsWith('field-methods-0-weight_steps')")
    assert page.page.inner_text("h1") == "Shipping methods"
    page.page.go_back()
    page.settle()
    assert search.input_value() == "weigh"
    search.fill("nothing of that kind")
    page.page.wait_for_selector("text=Nothing is set by that name")
    page.page.keyboard.press("Control+k")
    page.page.wait_for_selector("[role=combobox]")
    page.page.keyboard.type("traffic sh")
    page.page.click("[role=option] >> text=Gateway: Traffic share")
    page.page.wait_for_selector("h1 >> text=Rotating gateways")


# What was read, mine, theirs, and what comes of mine laid over theirs.
LAID = {
    "of one field each, both": ({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 2}),
    "of the same field mine": ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 2}),
    "what I blanked is blank": ({"a": 1, "b": 1}, {"b": 1}, {"a": 1, "b": 2}, {"b": 2}),
    "a list of texts is one value": ({"a": ["x"]}, {"a": ["x", "y"]}, {"a": ["z"]}, {"a": ["x", "y"]}),
    "first entries of both": ({}, {"n": [{"k": 1}]}, {"n": [{"k": 2}]}, {"n": [{"k": 1}, {"k": 2}]}),
    "an entry that I removed and they did not touch": (
        {"n": [{"k": 1}, {"k": 2}]},
        {"n": [{"k": 2}]},
        {"n": [{"k": 1}, {"k": 2, "v": 1}]},
        {"n": [{"k": 2, "v": 1}]},
    ),
    "an entry that they removed and I did not touch": (
        {"n": [{"k": 1}, {"k": 2}]},
        {"n": [{"k": 1}, {"k": 2, "v": 1}]},
        {"n": [{"k": 2}]},
        {"n": [{"k": 2, "v": 1}]},
    ),
    "an entry that they removed and I changed": (
        {"n": [{"k": 1}, {"k": 2}]},
        {"n": [{"k": 1, "v": 1}, {"k": 2}]},
        {"n": [{"k": 2}]},
        {"n": [{"k": 1, "v": 1}, {"k": 2}]},
    ),
    "in an entry's own list": (
        {"n": [{"k": 1, "m": [{"k": 1}]}]},
        {"n": [{"k": 1, "m": [{"k": 1}, {"k": 2}]}]},
        {"n": [{"k": 1, "m": [{"k": 1, "v": 1}]}]},
        {"n": [{"k": 1, "m": [{"k": 1, "v": 1}, {"k": 2}]}]},
    ),
}
LAY = """async cases => {
  const { WAS, known, merged } = await import('./merge.js');
  const list = (items) => ({ type: 'array', 'x-ui': { key: ['k'] }, items });
  const schema = { properties: { n: list({ properties: { m: list({}) } }) } };
  // As the form does: an entry that is changed is a copy, which knows what it was.
  const edited = (was, now) => {
    if (!Array.isArray(now) || typeof now[0] !== 'object') return now;
    return now.map((row) => {
      const from = (was || []).find((one) => one.k === row.k);
      return from ? { ...row, ...(row.m && { m: edited(from.m, row.m) }), [WAS]: from[WAS] } : row;
    });
  };
  return cases.map(([base, mine, theirs]) => {
    known(base);
    known(theirs);
    const said = Object.fromEntries(Object.entries(mine).map(([name, value]) => [name, edited(base[name], value)]));
    return merged(base, said, theirs, schema, {});
  });
}"""


def test_what_two_have_changed_is_laid_together(visit: Visit) -> None:
    page = visit("/configuration")
    laid = page.page.evaluate(LAY, [list(case[:3]) for case in LAID.values()])
    assert dict(zip(LAID, laid, strict=True)) == {name: case[3] for name, case in LAID.items()}


def test_who_may_only_read_sees_every_entry_and_can_change_none(visit: Visit) -> None:
    page = visit("/configuration")

    def reader(route: Any) -> None:
        answer = route.fetch()
        said = answer.json()
        said["session"]["permissions"].remove("configuration_write")
        route.fulfill(response=answer, json=said)

    page.page.route("**/admin/session", reader)
    page.page.reload()
    page.open(f"{SHIPPING}?field=methods/0/weight_steps/0/cost")
    page.page.wait_for_selector("#field-methods-0-weight_steps-0-cost")
    inputs = page.page.locator("form :is(input, select, textarea)")
    assert inputs.count() > 10
    assert page.page.locator("form :is(input, select, textarea):enabled").count() == 0
    assert page.page.locator("form button:not(.head)").count() == 0
