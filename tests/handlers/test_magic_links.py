"""Links by which the shop signs in as a customer, and tokens that prove an address."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.houses import Reply, TestHouse, a_house

CUSTOMERS = "/rest/v2/customer/customers"
VERIFY = f"{CUSTOMERS}/email_verify"
SETTINGS = "/rest/v2/configuration/customer_profiles"
SECRET = "three words apart"
JANE = {
    "email": "jane@example.com",
    "password": SECRET,
    "business_notes": "pays late",
    "billing": [{"first_name": "Joan"}, {"first_name": "Jane", "default_billing": True}],
}


class Shop:
    def __init__(self) -> None:
        self.house: TestHouse = a_house()
        self.key = self.house.found("DEMO", allowed_origins=["https://shop.example.com"])
        self.browser = self.house.key(kind="browser")
        made = self.house.call("POST", CUSTOMERS, JANE, key=self.key)
        self.oid = made.json["customer"]["customer_profile_oid"]

    def link(self, host: str = "shop.example.com") -> Reply:
        return self.house.call("PUT", f"{CUSTOMERS}/{self.oid}/magic_link/{host}", key=self.key)

    def token(self) -> str:
        return parse_qs(urlsplit(self.link().json["url"]).query)["magic_link"][0]

    def open(self, token: str, key: str | None = None) -> Reply:
        return self.house.call("POST", "/storefront/magic_link", {"token": token}, key=key or self.browser)

    def verify(self, what: str, body: Any, key: str | None = None) -> Reply:
        return self.house.call("POST", f"{VERIFY}/{what}", body, key=key or self.key)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_magic_link_leads_to_a_storefront_and_is_opened_once(shop: Shop) -> None:
    link = shop.link()
    assert (link.status, link.json["success"]) == (200, True)
    assert link.json["url"].startswith("https://shop.example.com/?magic_link=")
    token = shop.token()
    opened = shop.open(token)
    customer = opened.json["customer"]
    assert [one["first_name"] for one in customer.pop("billing")] == ["Jane", "Joan"]
    assert customer == {"customer_profile_oid": shop.oid, "email": "jane@example.com", "first_name": "Jane"}
    assert shop.open(token).status == 401
    assert shop.open(shop.token()).status == 200, "another link is another one"


def test_checkout_is_offered_the_default_address_and_the_latest_as_many_as_the_shop_wants(shop: Shop) -> None:
    book = [{"first_name": name, "default_billing": name == "Jane"} for name in ("Jane", "Joan", "Jill")]
    shop.house.call("PUT", f"{CUSTOMERS}/{shop.oid}", {"billing": book}, key=shop.key)
    for limit, offered in ((None, ["Jane", "Jill", "Joan"]), (2, ["Jane", "Jill"]), (1, ["Jane"])):
        if limit:
            rules = {"limit_checkout_address_book": limit}
            assert shop.house.call("PUT", SETTINGS, rules, key=shop.key).status == 200
        opened = shop.open(shop.token()).json["customer"]["billing"]
        assert [one["first_name"] for one in opened] == offered
    assert shop.house.call("PUT", SETTINGS, {"limit_checkout_address_book": 0}, key=shop.key).problems == {
        "/limit_checkout_address_book": "out_of_range"
    }


def test_where_profiles_are_not_enabled_nobody_signs_in_asks_for_a_password_or_signs_up(shop: Shop) -> None:
    token = shop.token()
    assert shop.house.call("PUT", SETTINGS, {"enable_customer_profiles": False}, key=shop.key).status == 200
    assert (shop.link().status, shop.open(token).status) == (400, 400)
    asked = {"merchant_id": "DEMO", "do": "mail", "email": "jane@example.com"}
    kind = {"content-type": "application/x-www-form-urlencoded"}
    page = shop.house.call("POST", "/storefront/set_password", urlencode(asked).encode(), headers=kind)
    assert (page.status, "customer profiles are not enabled" in page.body) == (400, True)
    for name in ("require_customer_profile", "wholesale_signup"):
        refused = shop.house.call("PUT", SETTINGS, {name: True}, key=shop.key)
        assert refused.problems == {f"/{name}": "conflict"}
    assert shop.house.call("PUT", SETTINGS, {"enable_customer_profiles": True}, key=shop.key).status == 200
    assert shop.open(token).status == 200, "a link is not used up by being refused"


def test_a_magic_link_is_good_for_a_quarter_of_an_hour(shop: Shop) -> None:
    token = shop.token()
    shop.house.clock.pass_(minutes=15)
    assert shop.open(token).status == 401


def test_a_magic_link_leads_to_the_shops_own_storefronts_only(shop: Shop) -> None:
    assert shop.link("evil.example.com").problems == {"/storefront_host_name": "unknown"}
    assert shop.link("SHOP.example.com").status == 200


def test_nothing_but_a_magic_link_of_this_shop_is_opened(shop: Shop) -> None:
    links = shop.house.open_shop("DEMO").links
    other = shop.house.found("OTHER", allowed_origins=["https://shop.example.com"])
    assert shop.open("guess").status == 401
    assert shop.open(links.sign("set_password", f"{shop.oid}#", 60)).status == 401
    assert shop.open(shop.token(), shop.house.key("OTHER", kind="browser")).status == 401
    assert shop.house.call("PUT", f"{CUSTOMERS}/{shop.oid}/magic_link/shop.example.com", key=other).status == 400


def test_the_link_of_a_profile_that_is_gone_opens_nothing(shop: Shop) -> None:
    token = shop.token()
    shop.house.call("DELETE", f"{CUSTOMERS}/{shop.oid}", key=shop.key)
    assert shop.open(token).status == 401


# --- proving an address ----------------------------------------------------------------------------------------------


def test_a_token_proves_an_address_until_it_expires(shop: Shop) -> None:
    token = shop.verify("get_token", {"email": "JANE@example.com"}).json["token"]
    good = shop.verify("validate_token", {"token": token})
    assert (good.status, good.json) == (200, {"success": True, "metadata": {}})
    assert shop.verify("validate_token", {"token": token}).status == 200, "proving it twice does no harm"
    shop.house.clock.pass_(days=3)
    assert shop.verify("validate_token", {"token": token}).problems == {"/token": "invalid"}


def test_a_password_that_is_named_must_be_the_profiles(shop: Shop) -> None:
    assert shop.verify("get_token", {"email": "jane@example.com", "password": SECRET}).status == 200
    wrong = shop.verify("get_token", {"email": "jane@example.com", "password": "four other words"})
    assert wrong.problems == {"/password": "invalid"}
    assert shop.verify("get_token", {"email": "new@example.com", "password": "four other words"}).status == 200


def test_passwords_are_not_guessed_by_tokens(shop: Shop) -> None:
    body = {"email": "jane@example.com", "password": "four other words"}
    assert [shop.verify("get_token", body).status for _ in range(11)][-2:] == [400, 429]


def test_a_token_of_another_shop_or_purpose_proves_nothing(shop: Shop) -> None:
    token = shop.verify("get_token", {"email": "jane@example.com"}).json["token"]
    assert shop.verify("validate_token", {"token": token}, shop.house.found("OTHER")).problems == {"/token": "invalid"}
    assert shop.verify("validate_token", {"token": shop.token()}).problems == {"/token": "invalid"}
