"""Settings over HTTP: read, changed key by key, refused by name; and the test clock's door."""

import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import msgspec
import pytest

from chalicelib.domain.dates import Instant
from chalicelib.domain.pricing_tiers import UNAVAILABLE
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.wire import Noun
from chalicelib.flows.ports import Backroom
from chalicelib.handlers.http import ROUTES
from tests.houses import TestHouse, a_house

BASE = "/rest/v2/configuration"
RULES = f"{BASE}/auto_order_processing"


@pytest.fixture
def key(house: TestHouse) -> str:
    return house.found(currency_code="USD", time_zone="America/New_York")


@pytest.mark.parametrize("section", ["auto_order_processing", "shipping_methods", "taxes"])
def test_a_section_that_was_never_saved_is_empty_and_of_version_zero(house: TestHouse, key: str, section: str) -> None:
    reply = house.call("GET", f"{BASE}/{section}", key=key)
    assert reply.json == {section: {}, "success": True, "metadata": {"payload_name": section}}
    assert reply.headers["ETag"] == '"0"'


@pytest.mark.parametrize(
    ("section", "body"),
    [
        ("merchant", {"name": "Tea & Co", "allowed_origins": ["https://tea.example"], "sender_email": "a@tea.example"}),
        ("auto_order_processing", {"number_of_retries": 5, "window_start": "22:00", "window_end": "02:00"}),
        ("auto_order_processing", {"cancel_reasons": [{"reason": "Too much tea"}], "restrict_jcb": True}),
        ("shipping_methods", {"methods": [{"shipping_method": "Post", "per_order": 4.95, "countries": ["US"]}]}),
        ("taxes", {"rates": [{"country_code": "US", "state_region": "NY", "rate": 8.875}]}),
    ],
)
def test_what_is_saved_is_read_back(house: TestHouse, key: str, section: str, body: dict[str, Any]) -> None:
    saved = house.call("PUT", f"{BASE}/{section}", body, key=key)
    assert saved.status == 200, saved.body
    assert body.items() <= saved.json[section].items()
    read = house.call("GET", f"{BASE}/{section}", key=key)
    assert (read.json, read.headers["ETag"]) == (saved.json, saved.headers["ETag"])


def test_a_put_changes_the_keys_that_it_names_and_arrays_whole(house: TestHouse, key: str) -> None:
    house.call("PUT", RULES, {"number_of_retries": 5, "cancel_reasons": [{"reason": "A"}, {"reason": "B"}]}, key=key)
    reply = house.call("PUT", RULES, {"restrict_visa": True, "cancel_reasons": [{"reason": "C"}]}, key=key)
    assert reply.json["auto_order_processing"] == {
        "number_of_retries": 5,
        "restrict_visa": True,
        "cancel_reasons": [{"reason": "C"}],
    }
    assert reply.headers["ETag"] == '"2"'


def test_what_changes_nothing_writes_nothing(house: TestHouse, key: str) -> None:
    house.call("PUT", RULES, {"number_of_retries": 5}, key=key)
    assert house.call("PUT", RULES, {"number_of_retries": 5}, key=key).headers["ETag"] == '"1"'


def test_what_is_said_to_be_null_is_blank_again(house: TestHouse, key: str) -> None:
    house.call("PUT", RULES, {"number_of_retries": 5, "restrict_visa": True}, key=key)
    reply = house.call("PUT", RULES, {"number_of_retries": None, "restrict_visa": True}, key=key)
    assert reply.json["auto_order_processing"] == {"restrict_visa": True}
    tiers = {"tiers": [{"name": "Dealers"}]}
    assert house.call("PUT", f"{BASE}/pricing_tiers", tiers, key=key).status == 200
    reply = house.call("PUT", f"{BASE}/pricing_tiers", {"tiers": None}, key=key)
    assert reply.json["pricing_tiers"] == {}
    merchant = house.call("PUT", f"{BASE}/merchant", {"merchant_id": None, "name": "Tea"}, key=key)
    assert merchant.json["merchant"]["merchant_id"] == "DEMO"


def test_with_if_match_only_the_version_that_was_read_is_changed(house: TestHouse, key: str) -> None:
    fresh = house.call("PUT", RULES, {"number_of_retries": 5}, key=key, headers={"If-Match": '"0"'})
    assert (fresh.status, fresh.headers["ETag"]) == (200, '"1"')
    stale = house.call("PUT", RULES, {"number_of_retries": 6}, key=key, headers={"If-Match": '"0"'})
    assert stale.status == 412
    assert house.call("GET", RULES, key=key).json["auto_order_processing"] == {"number_of_retries": 5}


@pytest.mark.parametrize(
    ("section", "body", "problems"),
    [
        ("merchant", {"time_zone": "Mars/Olympus", "sender_email": "nobody", "allowed_origins": ["shop"]},
         {"/time_zone": "not_allowed_value", "/sender_email": "invalid", "/allowed_origins/0": "invalid"}),
        ("merchant", {"merchant_id": "OTHER", "test_mode": True, "name": 7},
         {"/merchant_id": "read_only", "/test_mode": "read_only", "/name": "wrong_type"}),
        ("merchant", {"currency_code": "EUR"}, {"/currency_code": "read_only"}),
        ("auto_order_processing", {"number_of_retries": 99, "window_start": "25:00", "colour": "red"},
         {"/number_of_retries": "out_of_range", "/window_start": "out_of_range", "/colour": "unknown_field"}),
        ("auto_order_processing", {"window_start": "22:00", "window_end": "01:00"}, {"/window_end": "too_short"}),
        ("auto_order_processing", {"prohibit_cancellation_until_days": 366},
         {"/prohibit_cancellation_until_days": "out_of_range"}),
        ("auto_order_processing", {"restrict_visa": "yes"}, {"/restrict_visa": "wrong_type"}),
        ("auto_order_processing", {"cancel_reasons": [{"reason": "A"}, {"reason": "A"}]},
         {"/cancel_reasons/1/reason": "conflict"}),
        ("shipping_methods", {"methods": [{"per_order": -1}, {"shipping_method": "Post", "countries": ["usa"]}]},
         {"/methods/0/shipping_method": "required", "/methods/0/per_order": "out_of_range",
          "/methods/1/countries/0": "out_of_range"}),
        ("shipping_methods", {"methods": [{"shipping_method": "Post"}, {"shipping_method": "Post"}]},
         {"/methods/1/shipping_method": "conflict"}),
        ("taxes", {"rates": [{"country_code": "US", "rate": 101}, {"country_code": "US", "rate": "5"}]},
         {"/rates/0/rate": "out_of_range", "/rates/1/rate": "wrong_type"}),
        ("taxes", {"rates": [{"country_code": "US", "rate": 5}, {"country_code": "US", "rate": 6}]},
         {"/rates/1": "conflict"}),
        ("taxes", {"rates": {}}, {"/rates": "wrong_type"}),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_by_name_and_leaves_nothing(
    house: TestHouse, key: str, section: str, body: dict[str, Any], problems: dict[str, str]
) -> None:
    before = house.everything()
    reply = house.call("PUT", f"{BASE}/{section}", body, key=key)
    assert (reply.status, reply.problems) == (400, problems)
    assert house.everything() == before


def test_what_must_look_like_something_is_told_by_an_example(house: TestHouse, key: str) -> None:
    body = {"methods": [{"shipping_method": "Post", "countries": ["usa"], "states": ["NY"]}]}
    reply = house.call("PUT", f"{BASE}/shipping_methods", body, key=key)
    assert reply.message("/methods/0/countries/0") == "must be written as in US"
    assert reply.message("/methods/0/states/0") == "must be written as in US-NY"


def test_the_currency_stays_as_the_shop_was_founded_and_may_be_sent_back(house: TestHouse, key: str) -> None:
    assert house.call("PUT", f"{BASE}/merchant", {"currency_code": "USD"}, key=key).status == 200
    reply = house.call("PUT", f"{BASE}/merchant", {"currency_code": "JPY"}, key=key)
    assert "since the shop was founded" in reply.message("/currency_code")


def test_a_merchant_who_never_saved_the_section_may_still_choose_the_currency(house: TestHouse) -> None:
    key = house.key("FRESH")
    assert house.call("PUT", f"{BASE}/merchant", {"currency_code": "EUR"}, key=key).status == 200
    reply = house.call("PUT", f"{BASE}/merchant", {"currency_code": "USD"}, key=key)
    assert reply.problems == {"/currency_code": "read_only"}


def test_a_merchant_section_that_was_read_can_be_sent_back(house: TestHouse, key: str) -> None:
    read = house.call("GET", f"{BASE}/merchant", key=key).json["merchant"]
    assert read["merchant_id"] == "DEMO"
    reply = house.call("PUT", f"{BASE}/merchant", read | {"name": "Tea & Co"}, key=key)
    assert reply.json["merchant"] == read | {"name": "Tea & Co"}


def test_each_merchant_has_sections_of_its_own(house: TestHouse, key: str) -> None:
    house.call("PUT", RULES, {"number_of_retries": 5}, key=key)
    other = house.found("OTHER")
    assert house.call("GET", RULES, key=other).json["auto_order_processing"] == {}
    assert house.call("GET", f"{BASE}/merchant", key=other).json["merchant"]["merchant_id"] == "OTHER"


def test_a_new_rule_counts_at_once(house: TestHouse, key: str) -> None:
    """A price list may remember sections; whoever saves one here forgets it."""
    shop = house.open_shop("DEMO")
    assert shop.configuration.price_list([], [])[1].retries() == 3
    house.call("PUT", RULES, {"number_of_retries": 5}, key=key)
    assert shop.configuration.price_list([], [])[1].retries() == 5


# --- the form --------------------------------------------------------------------------------------------------------


def test_the_schema_describes_every_rule_as_a_form_needs_it(house: TestHouse, key: str) -> None:
    schema = house.call("GET", f"{RULES}/schema", key=key).json["schema"]
    assert schema["type"] == "object"
    assert list(schema["properties"]) == [field.name for field in msgspec.structs.fields(AutoOrderProcessing)]
    for name, rule in schema["properties"].items():
        assert rule["title"], name
        assert rule["description"], name
        assert rule["type"] in ("boolean", "integer", "string", "array"), name
        assert rule["x-ui"]["group"] in {group["name"] for group in schema["x-ui"]["groups"]}, name
    retries = schema["properties"]["number_of_retries"]
    assert (retries["maximum"], retries["x-ui"]["blank"]) == (15, 3)
    assert [warning["above"] for warning in retries["x-ui"]["warnings"]] == [3]
    reference = schema["properties"]["cancel_reasons"]["items"]["$ref"]
    assert reference.removeprefix("#/$defs/") in schema["$defs"]
    assert "null" not in house.call("GET", f"{RULES}/schema", key=key).body


SECTIONS = [route.takes for route in ROUTES if route.method == "PUT" and hasattr(route.takes, "section")]
# Where a list may be of nouns or of texts, a card or a box of the form stands for it.
KINDS = {"boolean", "integer", "number", "string", "array"}


@pytest.mark.parametrize("noun", SECTIONS, ids=lambda noun: str(noun.section))
def test_every_field_of_every_section_has_a_title_a_help_and_a_group_that_there_is(
    house: TestHouse, key: str, noun: type[Noun]
) -> None:
    schema = house.call("GET", f"{BASE}/{noun.section}/schema", key=key).json["schema"]
    nouns = [schema, *schema["$defs"].values()]
    for described in nouns:
        groups = {group["name"] for group in described["x-ui"]["groups"]}
        for name, field in described["properties"].items():
            if field.get("readOnly"):
                continue
            ui = field.get("x-ui", {})
            assert field["title"], name
            assert field["description"], name
            assert field["type"] in KINDS, name
            assert (not groups) or ui["group"] in groups, name
            inner = schema["$defs"].get(field.get("items", {}).get("$ref", "").removeprefix("#/$defs/"), {})
            assert {*ui.get("summary", ()), *ui.get("parts", ())} <= set(inner.get("properties", ())), name
            for warning in ui.get("warnings", ()):
                assert warning["message"], name
    assert "null" not in house.call("GET", f"{BASE}/{noun.section}/schema", key=key).body


def test_a_form_offers_the_payment_accounts_and_the_countries_that_there_are(house: TestHouse, key: str) -> None:
    schema = house.call("GET", f"{BASE}/rotating_transaction_gateways/schema", key=key).json["schema"]
    assert schema["$defs"]["RotatingGateway"]["properties"]["code"]["x-ui"]["choices"] == [["sandbox", "sandbox"]]
    schema = house.call("GET", f"{BASE}/taxes/schema", key=key).json["schema"]
    assert ["CA", "Canada"] in schema["$defs"]["TaxRate"]["properties"]["country_code"]["x-ui"]["choices"]


def test_what_is_refused_where_it_is_set_stands_on_no_form(house: TestHouse, key: str) -> None:
    schema = house.call("GET", f"{BASE}/pricing_tiers/schema", key=key).json["schema"]
    offered = schema["$defs"]["PricingTier"]["properties"]
    assert "minimum_subtotal" in offered
    assert not {*UNAVAILABLE, "pricing_tier_oid"} & set(offered)


def test_no_section_takes_or_shows_what_opens_a_payment_account(house: TestHouse, key: str) -> None:
    """Accounts are described apart; a section names them by their codes."""
    secret = "sk_live_kettle"
    body = {"gateways": [{"code": "sandbox", "api_key": secret, "webhook_secrets": [secret]}]}
    reply = house.call("PUT", f"{BASE}/rotating_transaction_gateways", body, key=key)
    assert reply.problems == {"/gateways/0/api_key": "unknown_field", "/gateways/0/webhook_secrets": "unknown_field"}
    assert secret not in reply.body
    assert house.call("PUT", f"{BASE}/rotating_transaction_gateways", {"gateways": [{"code": "sandbox"}]}, key=key)
    for path in ("rotating_transaction_gateways", "rotating_transaction_gateways/schema"):
        shown = house.call("GET", f"{BASE}/{path}", key=key).body
        assert not re.search("api_key|secret|password|credential", shown)


def test_the_schema_says_what_only_the_server_sets(house: TestHouse, key: str) -> None:
    schema = house.call("GET", f"{BASE}/merchant/schema", key=key).json["schema"]
    owned = {name for name, field in schema["properties"].items() if field.get("readOnly")}
    assert owned == {"merchant_id", "test_mode"}
    assert all(field.get("title") for name, field in schema["properties"].items() if name not in owned)


# --- the test clock --------------------------------------------------------------------------------------------------


class Machine:
    """A test clock that moves the house's own."""

    def __init__(self) -> None:
        self.house = a_house(travel_of=lambda merchant_id: self)

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()

    def set(self, now: Instant) -> None:
        self.house.clock.go(now)

    def run_due(self) -> None:
        """Nothing is due in a shop that has sold nothing."""

    def backroom(self) -> Backroom:
        return self.house.backroom()


def test_a_shop_in_test_mode_moves_its_clock_and_is_told_what_happened() -> None:
    house = Machine().house
    key = house.found()
    reply = house.call("POST", f"{BASE}/test_clock", {"advance_days": 30}, key=key)
    assert reply.status == 200, reply.body
    told = reply.json["test_clock"]
    assert (told["from"], told["to"]) == ("2027-01-31T15:00:00-05:00", "2027-03-02T15:00:00-05:00")
    assert str(house.clock.now()) == "2027-03-02T20:00:00Z"
    wrong = house.call("POST", f"{BASE}/test_clock", {"advance_days": 0, "rewind": True}, key=key)
    assert wrong.problems == {"/advance_days": "out_of_range", "/rewind": "unknown_field"}
    both = house.call("POST", f"{BASE}/test_clock", {"advance_days": 1, "advance_to": "next_run"}, key=key)
    assert both.problems == {"": "conflict"}


def test_a_shop_that_is_not_in_test_mode_has_no_clock_to_move(house: TestHouse, key: str) -> None:
    reply = house.call("POST", f"{BASE}/test_clock", {"advance_days": 30}, key=key)
    assert (reply.status, reply.problems) == (400, {"": "not_in_test_mode"})
