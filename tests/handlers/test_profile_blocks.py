"""What a profile shows that is not its own: orders, loyalty, activity; what a form offers; and how a profile goes."""

from typing import Any

import pytest
from ultracart import models

from chalicelib.flows import edit
from chalicelib.flows.rebill import rebill
from tests.handlers.test_cancellation import Shop
from tests.houses import Reply, TestHouse

CUSTOMERS = "/rest/v2/customer/customers"
EMAIL = "jane@example.com"


class Profile(Shop):
    """A shop where Jane has a profile, then an auto order with its original order, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        shop = self.house.open_shop("DEMO")
        self.email = shop.orders.get(self.order_id).noun.billing.email  # type: ignore[union-attr]
        made = self.call("POST", CUSTOMERS, {"email": self.email, "properties": [{"name": "shoe", "value": "42"}]})
        self.profile = int(made.json["customer"]["customer_profile_oid"])

    def shown(self, expand: str) -> dict[str, Any]:
        reply = self.call("GET", f"{CUSTOMERS}/{self.profile}?_expand={expand}")
        found: dict[str, Any] = reply.json["customer"]
        return found

    def bill(self) -> None:
        """Work at every moment that the auto order comes due until it was billed."""
        shop = self.house.open_shop("DEMO")
        while shop.auto_orders.read(self.oid)[1].run == 1:
            self.house.clock.go(shop.auto_orders.read(self.oid)[1].due_dts or self.house.clock.now())
            rebill(shop, self.oid)
        self.house.relay()


@pytest.fixture
def jane() -> Profile:
    return Profile()


def test_a_profile_shows_the_orders_that_were_placed_and_those_that_auto_orders_made(jane: Profile) -> None:
    jane.bill()
    customer = jane.shown("orders,orders.item,orders_summary")
    assert [order["order_id"] for order in customer["orders"]] == [f"{jane.order_id}-001", jane.order_id]
    assert customer["orders"][0]["items"], "an order has expansions of its own"
    orders = [jane.house.open_shop("DEMO").orders.get(order["order_id"]).noun for order in customer["orders"]]
    summary = customer["orders_summary"]
    assert (summary["order_count"], summary["first_order_dts"][:10]) == (2, "2027-01-31")
    assert round(summary["total"], 2) == float(sum(order.summary.total for order in orders))  # type: ignore[union-attr, misc]


def test_without_being_asked_for_nothing_is_computed(jane: Profile) -> None:
    assert not {"orders", "orders_summary", "activity", "loyalty", "quotes"} & set(jane.shown("billing"))


def test_there_are_no_quotes_and_without_a_programme_no_loyalty(jane: Profile) -> None:
    customer = jane.shown("quotes,quotes_summary,loyalty")
    assert customer["quotes"] == []
    assert customer["quotes_summary"] == {"quote_count": 0, "total": 0}
    assert "loyalty" not in customer
    jane.call("PUT", "/rest/v2/configuration/loyalty_program", {"active": True, "points_per_dollar": 1})
    assert jane.shown("loyalty")["loyalty"]["current_points"] == 0


def test_activity_tells_orders_changes_and_mails_the_latest_first(jane: Profile) -> None:
    jane.bill()
    activity = jane.shown("activity")["activity"]
    subjects = [(one["type"], one["subject"]) for one in activity["activities"]]
    assert ("order", jane.order_id) in subjects
    assert ("auto_order", str(jane.oid)) in subjects
    moments = [one["ts"] for one in activity["activities"]]
    assert moments == sorted(moments, reverse=True)
    assert activity["properties_list"] == [{"name": "shoe", "value": "42"}]
    placed = next(one for one in activity["metrics"] if one["name"] == "Placed Order")
    assert (placed["all_time"], placed["last_30_formatted"], placed["prior_30"]) == (2, "2", 0)


def test_what_is_computed_is_in_no_record(jane: Profile) -> None:
    read = jane.shown("orders,orders_summary,activity,quotes,quotes_summary")
    assert jane.call("PUT", f"{CUSTOMERS}/{jane.profile}", read | {"fax": "1"}).status == 200
    kept = jane.house.open_shop("DEMO").customers.get(jane.profile).noun
    assert (kept.orders, kept.orders_summary, kept.activity, kept.fax) == (None, None, None, "1")


# --- what a form offers ----------------------------------------------------------------------------------------------


def test_a_form_is_offered_the_merchants_lists_and_the_worlds(jane: Profile) -> None:
    lists = {"terms": ["Net 30"], "sales_rep_codes": ["AB"], "qb_classes": ["Retail"]}
    assert jane.call("PUT", "/rest/v2/configuration/customer_profiles", lists).status == 200
    values = jane.call("GET", "/rest/v2/customer/editor_values").json
    assert set(values) == set(models.CustomerEditorValues.attribute_map.values())
    assert {name: values[name] for name in lists} == lists
    assert values["card_exp_months"][0] == "01"
    assert values["card_exp_years"][0] == "2027"
    assert values["card_types"][-1] == "VISA"
    assert {"iso_2_code": "US", "name": "United States"} in values["countries"]
    assert len(values["countries"]) == len(values["state_optional_countries"]) + 3
    assert values["loyalty_program_type"] == "disabled"
    assert values["loyalty_ledger_descriptions"] == ["Credit", "Debit", "Adjustment"]


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({"terms": ["Net 30", "Net 30"]}, {"/terms/1": "conflict"}),
        ({"sales_rep_codes": ["x" * 11]}, {"/sales_rep_codes/0": "out_of_range"}),
        ({"qb_classes": [""]}, {"/qb_classes/0": "out_of_range"}),
    ],
)
def test_a_list_that_is_none_is_refused(jane: Profile, body: Any, problems: dict[str, str]) -> None:
    assert jane.call("PUT", "/rest/v2/configuration/customer_profiles", body).problems == problems


# --- delete ----------------------------------------------------------------------------------------------------------


def deleted(house: TestHouse, key: str, oid: int, **more: Any) -> Reply:
    return house.call("DELETE", f"{CUSTOMERS}/{oid}", key=key, **more)


def test_a_deleted_profile_leaves_its_address_free_and_takes_its_password_along(house: TestHouse) -> None:
    key = house.found()
    body = {"email": EMAIL, "password": "three words apart"}
    first = house.call("POST", CUSTOMERS, body, key=key).json["customer"]["customer_profile_oid"]
    reply = deleted(house, key, first)
    assert (reply.status, reply.body) == (204, "")
    assert house.open_shop("DEMO").customer_passwords.find(first) is None
    assert house.call("GET", f"{CUSTOMERS}/{first}", key=key).status == 404
    assert deleted(house, key, first).status == 400
    again = house.call("POST", CUSTOMERS, {"email": EMAIL.upper()}, key=key).json["customer"]
    assert again["customer_profile_oid"] != first
    assert house.open_shop("DEMO").customer_passwords.find(again["customer_profile_oid"]) is None
    assert sorted(house.events()) == ["customer_create", "customer_create", "customer_delete"]


def test_a_profile_that_was_changed_meanwhile_is_not_deleted(house: TestHouse) -> None:
    key = house.found()
    oid = house.call("POST", CUSTOMERS, {"email": EMAIL}, key=key).json["customer"]["customer_profile_oid"]
    house.call("PUT", f"{CUSTOMERS}/{oid}", {"fax": "1"}, key=key)
    assert deleted(house, key, oid, headers={"If-Match": '"1"'}).status == 412
    assert deleted(house, key, oid, headers={"If-Match": '"2"'}).status == 204


def test_nobody_deletes_the_profile_of_another_shop(house: TestHouse) -> None:
    key = house.found()
    oid = house.call("POST", CUSTOMERS, {"email": EMAIL}, key=key).json["customer"]["customer_profile_oid"]
    assert deleted(house, house.found("OTHER"), oid).status == 400
    assert house.call("GET", f"{CUSTOMERS}/{oid}", key=key).status == 200


def test_while_an_active_auto_order_is_his_a_profile_stays(jane: Profile) -> None:
    path = f"{CUSTOMERS}/{jane.profile}"
    refused = jane.call("DELETE", path)
    code = jane.house.open_shop("DEMO").auto_orders.read(jane.oid)[0].noun.auto_order_code or "?"
    assert (refused.status, refused.problems) == (400, {"": "active_auto_orders"})
    assert code in refused.message("")
    edit.cancel(jane.house.open_shop("DEMO"), jane.oid, by="test")
    assert jane.call("DELETE", path).status == 204
    assert jane.call("GET", f"/rest/v2/order/orders/{jane.order_id}").status == 200, "his orders stay"


# --- another shop ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "?_expand=orders,activity,loyalty", None),
        ("PUT", "", {"fax": "1"}),
        ("PUT", "", {"password": "three words apart"}),
        ("DELETE", "", None),
        ("GET", "/export", None),
        ("POST", "/erase", None),
        ("PUT", "/merge", {"email": "mine@example.com"}),
        ("PUT", "/magic_link/shop.example.com", None),
    ],
)
def test_a_profile_of_another_shop_is_as_if_it_were_not_there(
    house: TestHouse, method: str, path: str, body: Any
) -> None:
    key, other = house.found(), house.found("OTHER", allowed_origins=["https://shop.example.com"])
    oid = house.call("POST", CUSTOMERS, {"email": EMAIL}, key=key).json["customer"]["customer_profile_oid"]
    house.call("POST", CUSTOMERS, {"email": "mine@example.com"}, key=other)
    before = house.everything()
    reply = house.call(method, f"{CUSTOMERS}/{oid}{path}", body, key=other)
    assert (reply.status, reply.json["code"]) == (404 if method == "GET" else 400, "not_found")
    assert house.everything() == before


def test_a_profile_of_another_shop_does_not_go_into_ones_own(house: TestHouse) -> None:
    key, other = house.found(), house.found("OTHER")
    oid = house.call("POST", CUSTOMERS, {"email": EMAIL}, key=key).json["customer"]["customer_profile_oid"]
    mine = house.call("POST", CUSTOMERS, {"email": "mine@example.com"}, key=other).json["customer"]
    for body, pointer in (({"customer_profile_oid": oid}, "/customer_profile_oid"), ({"email": EMAIL}, "/email")):
        reply = house.call("PUT", f"{CUSTOMERS}/{mine['customer_profile_oid']}/merge", body, key=other)
        assert reply.problems == {pointer: "unknown"}
    assert house.call("GET", f"{CUSTOMERS}/{oid}", key=key).status == 200


def test_tiers_are_the_shops_own(house: TestHouse) -> None:
    key, other = house.found(), house.found("OTHER")
    tiers = {"tiers": [{"name": "Dealers"}]}
    made = house.call("PUT", "/rest/v2/configuration/pricing_tiers", tiers, key=key).json["pricing_tiers"]["tiers"]
    body = {"email": EMAIL, "pricing_tiers": [{"pricing_tier_oid": made[0]["pricing_tier_oid"]}]}
    assert house.call("POST", CUSTOMERS, body, key=other).problems == {"/pricing_tiers/0/pricing_tier_oid": "unknown"}
    assert house.call("GET", "/rest/v2/item/pricing_tiers", key=other).json["pricingTiers"] == []
