"""The rules of profiles: who may order, whether cards are stored, and dealers who sign themselves up."""

from typing import Any

import pytest

from tests.handlers.test_customers import token
from tests.handlers.test_passwords import SECRET, Shop
from tests.handlers.test_pricing_tiers import Shop as Till
from tests.houses import Reply

SETTINGS = "/rest/v2/configuration/customer_profiles"
TIERS = "/rest/v2/configuration/pricing_tiers"
CUSTOMERS = "/rest/v2/customer/customers"
DEALER = {"email": "dealer@example.com", "password": SECRET, "company": "Tea & Sons", "tax_id": "12-3456789"}


class Dealers(Shop):
    def __init__(self) -> None:
        super().__init__()
        self.browser = self.house.key(kind="browser")
        rules = {"wholesale_signup": True, "wholesale_signup_needs_approval": True}
        assert self.call("PUT", SETTINGS, rules).status == 200
        everybody = {"name": "Wholesale", "default_percentage_discount": 10, "default_on_wholesale_signup": True}
        chosen = {"name": "Cafés", "default_percentage_discount": 15, "display_on_wholesale_signup": True}
        assert self.call("PUT", TIERS, {"tiers": [everybody, chosen, {"name": "Staff"}]}).status == 200

    def sign_up(self, **more: Any) -> Reply:
        return self.house.call("POST", "/storefront/wholesale_signups", DEALER | more, key=self.browser)

    def dealer(self) -> dict[str, Any]:
        path = f"{CUSTOMERS}/by_email/dealer%40example.com"
        found: dict[str, Any] = self.call("GET", path, query={"_expand": "pricing_tiers,billing"}).json["customer"]
        return found


@pytest.fixture
def dealers() -> Dealers:
    return Dealers()


def test_a_dealer_signs_up_waits_to_be_approved_and_is_told(dealers: Dealers) -> None:
    reply = dealers.sign_up(pricing_tier_name="cafés")
    assert reply.json["wholesale_signup"] == {"email": "dealer@example.com", "needs_approval": True}
    dealer = dealers.dealer()
    assert (dealer["unapproved"], dealer["tax_id"], dealer["billing"][0]["company"]) == (
        True,
        "12-3456789",
        "Tea & Sons",
    )
    assert [tier["name"] for tier in dealer["pricing_tiers"]] == ["Wholesale", "Cafés"]
    assert "once it is approved" in dealers.mails()[-1].text
    path = f"{CUSTOMERS}/{dealer['customer_profile_oid']}"
    for _ in range(2):
        assert dealers.call("PUT", path, {"unapproved": False}).status == 200
    told = dealers.mails()
    assert len(told) == 2
    assert "is approved: you can use it now" in told[-1].text


def test_nothing_tells_whether_an_address_had_a_profile(dealers: Dealers) -> None:
    first, second = dealers.sign_up(), dealers.sign_up(password="four other words")
    assert (first.status, first.body) == (second.status, second.body)
    assert dealers.fits(dealers.dealer()["customer_profile_oid"], SECRET), "and nobody takes it over"
    assert len(dealers.mails()) == 1


@pytest.mark.parametrize(
    ("more", "problems"),
    [
        ({"pricing_tier_name": "Staff"}, {"/pricing_tier_name": "unknown"}),
        ({"password": "short"}, {"/password": "out_of_range"}),
        ({"unapproved": False}, {"/unapproved": "unknown_field"}),
    ],
)
def test_a_dealer_says_no_more_than_he_may(dealers: Dealers, more: Any, problems: dict[str, str]) -> None:
    assert dealers.sign_up(**more).problems == problems


def test_a_machine_does_not_fill_the_shop_with_dealers(dealers: Dealers) -> None:
    replies = [dealers.sign_up(email=f"dealer{number}@example.com") for number in range(11)]
    assert [reply.status for reply in replies][-2:] == [200, 429]


def test_where_there_is_no_wholesale_signup_nobody_signs_up(dealers: Dealers) -> None:
    off = {"wholesale_signup": False, "wholesale_signup_needs_approval": False}
    assert dealers.call("PUT", SETTINGS, {"wholesale_signup": False}).problems == {
        "/wholesale_signup_needs_approval": "conflict"
    }
    assert dealers.call("PUT", SETTINGS, off).status == 200
    assert dealers.sign_up().problems == {"": "not_available"}


def test_where_a_profile_is_required_guests_do_not_order() -> None:
    till = Till()
    assert till.call("PUT", SETTINGS, {"require_customer_profile": True}).status == 200
    assert list(till.buy("one").problems.values()) == ["profile_required"]
    till.jane()
    assert till.buy("two").status == 200


def test_where_cards_are_not_stored_profiles_take_none() -> None:
    shop = Shop()
    shop.call("PUT", SETTINGS, {"allow_storing_credit_cards": False})
    body = {"email": "a@example.com", "cards": [{"card_number_token": token(shop.house)}]}
    assert shop.call("POST", CUSTOMERS, body).problems == {"/cards": "not_available"}
    shop.call("PUT", SETTINGS, {"allow_storing_credit_cards": True})
    assert shop.call("POST", CUSTOMERS, body).status == 200
