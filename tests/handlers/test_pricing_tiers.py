"""Pricing tiers over HTTP: written together, read as the contract has them, and at work on orders and rebills."""

from typing import Any

import pytest

from chalicelib.domain.loyalty import LoyaltyProgram
from chalicelib.flows import pricing_tiers, profiles, reward
from chalicelib.flows.configure import configure
from chalicelib.flows.explain import explained
from tests.handlers.test_storefront import JANE, ORDERS, catalogue, token
from tests.houses import Reply, TestHouse, a_house
from tests.worlds import World

TIERS = "/rest/v2/configuration/pricing_tiers"
CUSTOMERS = "/rest/v2/customer/customers"
DEALERS = {"name": "Dealers", "default_percentage_discount": 20}


class Shop:
    def __init__(self) -> None:
        self.house: TestHouse = a_house()
        catalogue(self.house)
        self.key = self.house.key()
        self.browser = self.house.key(kind="browser")

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        return self.house.call(method, path, body, key=self.key, **more)

    def tiers(self, *tiers: dict[str, Any]) -> list[int]:
        reply = self.call("PUT", TIERS, {"tiers": list(tiers)})
        assert reply.status == 200, reply.body
        return [tier["pricing_tier_oid"] for tier in reply.json["pricing_tiers"]["tiers"]]

    def jane(self, **more: Any) -> int:
        reply = self.call("POST", CUSTOMERS, {"email": JANE["email"]} | more)
        assert reply.status == 200, reply.body
        return int(reply.json["customer"]["customer_profile_oid"])

    def buy(self, number: str, quantity: int = 1, **more: Any) -> Reply:
        body = {
            "items": [{"merchant_item_id": "TEA", "quantity": quantity}],
            "billing": JANE,
            "card_token": token(self.house, self.browser),
        }
        headers = {"Idempotency-Key": number}
        return self.house.call("POST", ORDERS, body | more, key=self.browser, headers=headers)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_tiers_are_written_together_and_read_as_the_contract_has_them(shop: Shop) -> None:
    dealers, friends = shop.tiers(DEALERS, {"name": "Friends", "free_shipping": True})
    read = shop.call("GET", "/rest/v2/item/pricing_tiers")
    assert read.json["pricingTiers"] == [
        {"default_percentage_discount": 20, "name": "Dealers", "pricing_tier_oid": dealers},
        {"free_shipping": True, "name": "Friends", "pricing_tier_oid": friends},
    ]
    assert read.json["metadata"] == {"payload_name": "pricingTiers"}
    again = shop.tiers({"name": "Friends", "pricing_tier_oid": friends}, DEALERS)
    assert again[0] == friends
    assert again[1] != dealers, "what is left out is gone, and a new one is another"
    stale = shop.call("PUT", TIERS, {"tiers": []}, headers={"If-Match": '"1"'})
    assert stale.status == 412


@pytest.mark.parametrize(
    ("tier", "problems"),
    [
        ({}, {"/tiers/0/name": "required"}),
        (DEALERS | {"pricing_tier_oid": 7}, {"/tiers/0/pricing_tier_oid": "unknown"}),
        (DEALERS | {"currency_code": "EUR"}, {"/tiers/0/currency_code": "not_available"}),
        (DEALERS | {"default_percentage_discount": 101}, {"/tiers/0/default_percentage_discount": "out_of_range"}),
        (DEALERS | {"realtime_percentage_discount": 5}, {"/tiers/0/realtime_percentage_discount": "not_available"}),
    ],
)
def test_a_tier_that_cannot_be_is_refused_by_name(shop: Shop, tier: Any, problems: dict[str, str]) -> None:
    assert shop.call("PUT", TIERS, {"tiers": [tier]}).problems == problems


def test_a_profile_is_in_a_tier_by_oid_or_by_name_and_shows_both(shop: Shop) -> None:
    dealers, friends = shop.tiers(DEALERS, {"name": "Friends"})
    oid = shop.jane(pricing_tiers=[{"name": "dealers"}, {"pricing_tier_oid": friends}, {"pricing_tier_oid": dealers}])
    shop.tiers({"name": "Resellers", "pricing_tier_oid": dealers})
    shown = shop.call("GET", f"{CUSTOMERS}/{oid}?_expand=pricing_tiers").json["customer"]
    assert shown["pricing_tiers"] == [
        {"name": "Resellers", "pricing_tier_oid": dealers},
        {"name": "Friends", "pricing_tier_oid": friends},
    ], "the name that it has now; of one that is gone the last"
    assert shop.call("PUT", f"{CUSTOMERS}/{oid}", shown | {"fax": "1"}).status == 200
    unknown = shop.call("PUT", f"{CUSTOMERS}/{oid}", {"pricing_tiers": [{"name": "Nobles"}, {"pricing_tier_oid": 7}]})
    assert unknown.problems == {
        "/pricing_tiers/0/name": "unknown",
        "/pricing_tiers/1/pricing_tier_oid": "unknown",
    }


def test_what_a_shopper_orders_costs_what_his_tier_says(shop: Shop) -> None:
    shop.tiers(DEALERS)
    shop.jane(pricing_tiers=[{"name": "Dealers"}])
    order = shop.buy("one").json["order"]
    assert order["summary"]["total"]["value"] == 8
    assert order["summary"]["subtotal_discount"]["value"] == 2


def test_an_order_below_a_minimum_is_refused(shop: Shop) -> None:
    shop.tiers(DEALERS | {"minimum_subtotal": 30, "minimum_item_count": 2})
    shop.jane(pricing_tiers=[{"name": "Dealers"}], maximum_item_count=5)
    few = shop.buy("one")
    assert (few.status, [one["code"] for one in few.json["problems"]]) == (
        400,
        ["minimum_subtotal", "minimum_item_count"],
    )
    assert shop.buy("two", 6).problems == {"/items": "maximum_item_count"}
    assert shop.buy("three", 3).status == 200


def test_where_coupons_do_not_count_they_are_refused_at_the_till(shop: Shop) -> None:
    shop.jane(no_coupons=True)
    assert list(shop.buy("one", coupons=["FREE"]).problems.values()) == ["no_coupons"]


def test_the_order_of_a_customer_without_realtime_charge_waits_to_be_charged(shop: Shop) -> None:
    shop.jane(no_realtime_charge=True)
    card = token(shop.house, shop.browser)
    reply = shop.buy("one", card_token=card)
    assert (reply.status, reply.json["payment_outcome"]) == (200, "charged_later")
    assert shop.house.sandbox.captures() == []
    order_id = reply.json["order"]["order_id"]
    assert reply.json["order"]["current_stage"] == "Accounts Receivable"
    paid = shop.call("POST", f"/rest/v2/order/orders/{order_id}/process_payment", {})
    assert paid.json["success"]
    assert len(shop.house.sandbox.captures()) == 1
    assert shop.buy("one", card_token=card).json["payment_outcome"] == "approved", (
        "the same request again shows how it stands"
    )


def test_the_shops_notes_on_a_customer_are_added_to_every_order_of_his(shop: Shop) -> None:
    shop.jane(automatic_merchant_notes="Ring twice")
    order_id = shop.buy("one").json["order"]["order_id"]
    shown = shop.call("GET", f"/rest/v2/order/orders/{order_id}?_expand=internal").json["order"]
    assert shown["internal"]["merchant_notes"] == "Ring twice"
    line = {"merchant_item_id": "TEA", "quantity": 1}
    body = {"items": [line], "billing": JANE, "internal": {"merchant_notes": "A gift"}}
    made = shop.call("POST", "/rest/v2/order/orders?_expand=internal", body)
    assert made.json["order"]["internal"]["merchant_notes"] == "A gift\nRing twice"


# --- rebills ---------------------------------------------------------------------------------------------------------


def subscribed(**customer: Any) -> tuple[World, int, int]:
    world = World().open()
    pricing_tiers.change(world.shop, {"tiers": [DEALERS, {"name": "Resellers", "exempt_loyalty_rewards": True}]})
    profile = profiles.insert_customer(world.shop, {"email": "ada@example.com"} | customer)[0]
    return world, world.subscribe(), profile.customer_profile_oid or 0


def test_a_rebill_costs_what_the_tier_says_when_it_is_billed_and_says_why() -> None:
    world, oid, profile = subscribed()
    profiles.update_customer(world.shop, profile, {"pricing_tiers": [{"name": "Dealers"}]})
    world.travel(40)
    (order,) = world.rebills(oid)
    assert order.summary is not None
    assert (str(order.summary.subtotal), str(order.summary.total)) == ("17.95", "14.36")
    assert [reason["code"] for reason in order.reasons or []] == ["tier_discount"]
    world.check(oid)


def test_the_explanation_names_the_tier() -> None:
    world, oid, _ = subscribed(pricing_tiers=[{"name": "Dealers"}])
    world.clock.go(world.next_due() or world.clock.now())
    told = [reason for reason in explained(world.shop, oid, None)["reasons"] if reason["code"] == "tier_discount"]
    assert [reason["setting"] for reason in told] == ["Dealers.default_percentage_discount"]


def test_a_rebill_is_not_held_by_a_minimum() -> None:
    world, oid, _ = subscribed(minimum_subtotal=1000, minimum_item_count=50)
    world.travel(40)
    assert len(world.rebills(oid)) == 1


def test_who_is_in_a_tier_without_loyalty_earns_nothing() -> None:
    world, _, profile = subscribed(pricing_tiers=[{"name": "Resellers"}])
    configure(world.shop, LoyaltyProgram, {"active": True, "points_per_dollar": 1})
    world.order({"TEA": None})
    world.tell_all()
    assert reward.of_customer(world.shop, profile).current_points == 0
    profiles.update_customer(world.shop, profile, {"pricing_tiers": []})
    world.order({"TEA": None})
    world.tell_all()
    assert reward.of_customer(world.shop, profile).current_points == 9
