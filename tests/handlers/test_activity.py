"""The shop's activity: what people and programs change is noted with the change itself, and told newest first."""

from typing import Any

import pytest

from chalicelib.domain.audit import ACTIVITY_DAYS, Actor, AuditEntry, differences
from chalicelib.domain.dates import later, parse_instant
from chalicelib.domain.errors import Refused
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.flows.activity import MOST_WALKED, Wanted, activity
from chalicelib.flows.configure import configure
from chalicelib.stores import noted
from tests.houses import ADDRESS, PASSWORD, Browser, TestHouse

ACTIVITY = "/rest/v2/activity"
RULES = "/rest/v2/configuration/auto_order_processing"
CUSTOMERS = "/rest/v2/customer/customers"
HOOKS = "/rest/v2/webhook/webhooks"


@pytest.fixture
def owner(house: TestHouse, key: str) -> Browser:
    browser = house.owner()
    house.clock.pass_(seconds=1)
    return browser


def told(house: TestHouse, key: str, **query: str) -> list[dict[str, Any]]:
    reply = house.call("GET", ACTIVITY, key=key, query=query)
    assert reply.status == 200, reply.body
    found: list[dict[str, Any]] = reply.json["activities"]
    return found


def did(house: TestHouse, key: str, method: str, path: str, body: Any = None) -> Any:
    """A call a second after the one before."""
    house.clock.pass_(seconds=1)
    reply = house.call(method, path, body, key=key)
    assert reply.status in (200, 204), reply.body
    return reply.json


def test_a_setting_that_is_saved_is_told_with_who_from_where_before_and_after(
    house: TestHouse, key: str, owner: Browser
) -> None:
    rules = {"number_of_retries": 3, "cancel_reasons": [{"reason": "Too dear"}, {"reason": "Moved"}]}
    assert owner.call("PUT", RULES, rules).status == 200
    did(house, key, "PUT", RULES, {"number_of_retries": 5})
    did(house, key, "PUT", RULES, {"number_of_retries": 5})
    second, first = told(house, key, noun="settings")
    assert second | {"activity_dts": ""} == {
        "activity_dts": "",
        "actor": "key test",
        "action": "settings_updated",
        "ip_address": ADDRESS,
        "noun": "settings",
        "key": "auto_order_processing",
        "changed": [{"field": "number_of_retries", "before": "3", "after": "5"}],
    }, "what changes nothing is not told"
    assert first["actor"] == "owner"
    assert {"field": "cancel_reasons", "after": "Too dear, Moved"} in first["changed"], "it was not set before"


def test_every_kind_of_noun_that_people_decide_about_is_told_with_the_fields_and_without_what_stands_in_them(
    house: TestHouse, key: str
) -> None:
    tab = {"auto_orderable": True, "auto_order_schedules": ["Monthly"]}
    item = {"merchant_item_id": "TEA", "pricing": {"cost": 9.5}, "auto_order": tab}
    item_oid = did(house, key, "POST", "/rest/v2/item/items", item)["item"]["merchant_item_oid"]
    did(house, key, "PUT", f"/rest/v2/item/items/{item_oid}", {"description": "Green"})
    coupon = {"merchant_code": "OFF", "percent_off_subtotal": {"discount_percent": 10}}
    coupon_oid = did(house, key, "POST", "/rest/v2/coupon/coupons", coupon)["coupon"]["coupon_oid"]
    did(house, key, "PUT", f"/rest/v2/coupon/coupons/{coupon_oid}", {"description": "Ten"})
    did(house, key, "DELETE", f"/rest/v2/coupon/coupons/{coupon_oid}")
    oid = did(house, key, "POST", CUSTOMERS, {"email": "ada@example.com"})["customer"]["customer_profile_oid"]
    did(house, key, "PUT", f"{CUSTOMERS}/{oid}", {"business_notes": "pays late", "password": "a lamp at midnight"})
    entry = {"type": "Credit", "description": "Goodwill", "loyalty_points": 40}
    did(house, key, "PUT", "/rest/v2/configuration/loyalty_program", {"active": True, "points_per_dollar": 1})
    did(house, key, "POST", f"{CUSTOMERS}/{oid}/loyalty/ledger_entries", entry)
    did(house, key, "POST", "/rest/v2/gift_certificate/gift_certificates", {"amount": 25})
    hook = did(house, key, "POST", HOOKS, {"webhook_url": "https://a.example.com/x?token=hush"})["webhook"]
    secret = {"authentication_type": "basic", "basic_username": "u", "basic_password": "hush hush"}
    did(house, key, "PUT", f"{HOOKS}/{hook['webhook_oid']}", secret)
    did(house, key, "PUT", "/rest/v2/configuration/notice_templates/receipt", {"subject": "Thanks"})
    export = did(house, key, "POST", "/rest/v2/customer/exports", {"format": "csv"})["customer_export"]["export_id"]
    card = {"card_number": "4111111111111111", "card_expiration_month": 12, "card_expiration_year": 2040}
    shopper = house.key(kind="browser")
    token = house.call("POST", "/storefront/card_tokens", card, key=shopper).json["card_token"]
    cart = {
        "items": [{"merchant_item_id": "TEA", "quantity": 1, "auto_order_schedule": "Monthly"}],
        "billing": {"email": "ada@example.com", "country_code": "US"},
        "card_token": token,
    }
    bought = house.call("POST", "/storefront/orders", cart, key=shopper, headers={"Idempotency-Key": "a" * 32})
    assert bought.status == 200, bought.body
    found = told(house, key)
    assert not any(row["noun"] == "order" for row in found), "a shopper is nobody of the shop's"
    order_id = bought.json["order"]["order_id"]
    found_by = f"/rest/v2/auto_order/auto_orders/reference_order_id/{order_id}"
    auto_order = house.call("GET", found_by, key=key).json["auto_order"]["auto_order_oid"]
    did(house, key, "PUT", f"/rest/v2/auto_order/auto_orders/{auto_order}", {"enabled": False})
    did(house, key, "PUT", f"/rest/v2/order/orders/{order_id}/refund", {"summary": {"total_refunded": 1}})
    rows = list(reversed(told(house, key)))
    assert {row["actor"] for row in rows} == {"key test"}
    said = [(row["action"], row["key"]) for row in rows]
    certificate = next(row["key"] for row in rows if row["noun"] == "gift_certificate")
    assert said == [
        ("item_create", "TEA"),
        ("item_update", "TEA"),
        ("coupon_inserted", "OFF"),
        ("coupon_updated", "OFF"),
        ("coupon_deleted", "OFF"),
        ("customer_create", str(oid)),
        ("customer_update", str(oid)),
        ("settings_updated", "loyalty_program"),
        ("ledger_entry", f"points#{oid}"),
        ("gift_certificate_inserted", certificate),
        ("ledger_entry", f"certificate#{certificate}"),
        ("webhook_inserted", str(hook["webhook_oid"])),
        ("webhook_updated", str(hook["webhook_oid"])),
        ("notice_template_inserted", "receipt"),
        ("export_inserted", export),
        ("auto_order_disable", str(auto_order)),
        ("order_refund", order_id),
    ]
    fields = {row["action"]: [change["field"] for change in row.get("changed", [])] for row in rows}
    assert fields["item_update"] == ["description"]
    assert fields["customer_update"] == ["business_notes"]
    assert set(fields["webhook_updated"]) == {"authentication_type", "basic_username", "basic_password"}
    kept = "\n".join(row for row in house.everything().splitlines() if "audit_dts" in row)
    assert kept
    assert not [text for text in ("hush", "pays late", "ada@example.com", "lamp", "4111") if text in kept]
    assert {row["subject"] for row in rows if row["action"] == "ledger_entry"} == {"Credit 40", "Credit 25"}


def test_what_is_refused_leaves_no_row_and_a_row_without_its_change_cannot_be(house: TestHouse, key: str) -> None:
    did(house, key, "PUT", RULES, {"number_of_retries": 3})
    before = house.records("audit")
    assert house.call("PUT", RULES, {"number_of_retries": -1}, key=key).status == 400
    assert house.call("PUT", RULES, {"number_of_retries": 4}, key=key, headers={"If-Match": '"9"'}).status == 412
    assert house.records("audit") == before
    shop = house.open_shop("DEMO", by=Actor("somebody", ""))
    late = shop.configuration.save(AutoOrderProcessing(number_of_retries=9), 0)
    with pytest.raises(Refused):
        shop.write(late)
    assert house.records("audit") == before
    configure(house.open_shop("DEMO"), AutoOrderProcessing, {"number_of_retries": 9})
    assert house.records("audit") == before, "nobody's own work is not told"


def test_who_signed_in_and_who_changed_users_and_keys_stands_among_the_rest(
    house: TestHouse, key: str, owner: Browser
) -> None:
    user = {"login": "anna", "permissions": [], "change_password_to": PASSWORD}
    user_id = owner.call("POST", "/rest/v2/user/users", user).json["user"]["user_id"]
    house.clock.pass_(seconds=1)
    assert Browser(house).sign_in("anna").status == 200
    house.clock.pass_(seconds=1)
    assert Browser(house).sign_in("anna", "not this one").status == 401
    rows = [(row["action"], row["actor"], row["key"]) for row in told(house, key, noun="user")]
    assert rows[:3] == [
        ("sign_in_failed", "anna", str(user_id)),
        ("signed_in", "anna", str(user_id)),
        ("user_inserted", "owner", str(user_id)),
    ]


def test_activity_is_asked_by_who_what_and_when_and_of_ones_own_shop_alone(
    house: TestHouse, key: str, owner: Browser
) -> None:
    did(house, key, "POST", CUSTOMERS, {"email": "a@example.com"})
    house.clock.pass_(days=2)
    made = owner.sign_in() and owner.call("POST", CUSTOMERS, {"email": "b@example.com"})
    assert made.status == 200
    other = house.found("OTHER")
    did(house, other, "POST", CUSTOMERS, {"email": "c@example.com"})
    oid = str(made.json["customer"]["customer_profile_oid"])
    assert [row["key"] for row in told(house, key, actor="owner", noun="customer")] == [oid]
    assert [row["key"] for row in told(house, key, noun="customer", actor="key test")] != [oid]
    assert len(told(house, key, noun="customer", actor="key test")) == 1
    assert told(house, key, noun="customer", actor="test") == []
    assert [row["actor"] for row in told(house, key, noun="customer", begin_date="2027-02-01")] == ["owner"]
    assert [row["actor"] for row in told(house, key, noun="customer", end_date="2027-02-01")] == ["key test"]
    assert [row["actor"] for row in told(house, other)] == ["key test"]
    assert house.call("GET", f"{ACTIVITY}?who=me", key=key).problems == {"/who": "unknown_parameter"}
    assert house.call("GET", f"{ACTIVITY}?begin_date=soon", key=key).problems == {"/begin_date": "invalid"}


def test_pages_follow_each_other_over_months_without_a_gap(house: TestHouse, key: str) -> None:
    for number in range(12):
        house.clock.pass_(days=9)
        did(house, key, "POST", CUSTOMERS, {"email": f"{number}@example.com"})
    whole = told(house, key)
    assert len(whole) == 12
    pages, query = [], {"_limit": "5"}
    for _ in range(3):
        house.tables.meter.reset()
        reply = house.call("GET", ACTIVITY, key=key, query=query).json
        pages.append(reply["activities"])
        query = {"_limit": "5", "cursor": reply["metadata"].get("next_cursor", "")}
    assert [len(page) for page in pages] == [5, 5, 2]
    assert [row for page in pages for row in page] == whole
    assert not query["cursor"]
    assert house.call("GET", ACTIVITY, key=key, query={"cursor": "guess"}).problems == {"/cursor": "cursor_invalid"}


def test_a_page_of_a_busy_month_is_one_query(house: TestHouse, key: str) -> None:
    house.clock.go(parse_instant("2027-02-01T12:00:00Z"))
    for number in range(8):
        did(house, key, "POST", CUSTOMERS, {"email": f"{number}@example.com"})
    house.tables.meter.reset()
    assert len(told(house, key, _limit="5")) == 5
    assert len([call for call in house.tables.meter.calls if "audit" in call.tables]) == 1


def test_what_is_rare_is_found_in_pieces_however_much_others_did(house: TestHouse, key: str) -> None:
    did(house, key, "POST", CUSTOMERS, {"email": "rare@example.com"})
    shop, now = house.open_shop("DEMO"), later(house.clock.now(), seconds=60)
    robots = AuditEntry(audit_dts=now, action="customer_update", actor="robot", noun="customer", key="7")
    for _ in range(MOST_WALKED // 100 + 1):
        shop.write(*(row for _ in range(100) for row in shop.audit.added(robots)))
    wanted, end = Wanted(actor="key test"), later(now, seconds=1)
    found, place = activity(shop, wanted, str(end), None, end, 10)
    assert found == []
    assert place is not None
    found, place = activity(shop, wanted, place, None, end, 10)
    assert ([entry.actor for entry in found], place) == (["key test"], None)


def test_rows_go_after_a_year_and_a_month_and_are_not_told_before_they_are_gone(house: TestHouse, key: str) -> None:
    did(house, key, "POST", CUSTOMERS, {"email": "a@example.com"})
    ends = later(house.clock.now(), days=ACTIVITY_DAYS)
    house.clock.go(ends)
    assert len(told(house, key)) == 1
    house.clock.pass_(seconds=1)
    assert told(house, key) == []
    assert house.records("audit") == 1
    house.tables.sweep(house.clock.now().timestamp() + 1)
    assert house.records("audit") == 0


def test_a_call_that_changes_much_tells_of_its_first_changes(house: TestHouse) -> None:
    house.found()
    shop = house.open_shop("DEMO", by=Actor("somebody", ""))
    codes = [shop.coupons.inserted(f"C{number}", shop_coupon()) for number in range(95)]
    shop.write(*codes)
    assert house.records("audit") == 5
    shop.write(*[shop.coupons.inserted(f"D{number}", shop_coupon()) for number in range(40)])
    assert house.records("audit") == 5 + noted.MOST_NOTED


def shop_coupon() -> Any:
    from chalicelib.domain.coupons import Coupon

    return Coupon()


def test_of_lists_only_what_went_and_what_came_is_told_and_long_texts_are_cut() -> None:
    before = {"reasons": [{"reason": "A", "shown": True}, {"reason": "B"}], "name": "x", "same": 1, "order": [1, 2]}
    after = {"reasons": [{"reason": "B"}, {"reason": "C"}], "same": 1, "long": "y" * 300, "order": [2, 1]}
    told = {one.field: (one.before, one.after) for one in differences(before, after, valued=True)}
    assert told == {
        "reasons": ("reason A; shown yes", "C"),
        "name": ("x", None),
        "order": ("1, 2", "2, 1"),
        "long": (None, "y" * 199 + "…"),
    }
    assert [one.after for one in differences(before, after, valued=False)] == [None] * 4
