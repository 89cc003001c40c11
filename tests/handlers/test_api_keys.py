"""Access keys by hand: shown once, with no more scopes than their maker has, revoked at once, each shop's apart."""

from typing import Any

from chalicelib.domain.access import MAXIMUM_KEYS, SCOPES, USED_SECONDS, AccessKey, key_hash
from chalicelib.domain.dates import shown
from tests.handlers.test_users import staff
from tests.houses import Browser, Reply, TestHouse

KEYS = "/rest/v2/configuration/api_keys"
ITEMS = "/rest/v2/item/items"


def made(browser: Browser, name: str, *scopes: str, **more: Any) -> Reply:
    return browser.call("POST", KEYS, {"name": name, **({"scopes": list(scopes)} if scopes else {}), **more})


def listed(browser: Browser) -> dict[str, dict[str, Any]]:
    return {key["name"]: key for key in browser.call("GET", KEYS).json["api_keys"]}


def test_a_key_is_shown_once_and_opens_what_its_scopes_say_until_it_is_revoked(
    house: TestHouse, owner: Browser
) -> None:
    answer = made(owner, " Warehouse ", "item_read", "order_read")
    assert answer.status == 200, answer.body
    api_key = answer.json["api_key"]
    text = api_key.pop("key")
    assert text.startswith("bo_api_")
    assert (api_key["name"], api_key["kind"], api_key["scopes"]) == ("Warehouse", "api", ["item_read", "order_read"])
    assert api_key["created_by"] == "owner"
    assert listed(owner)["Warehouse"] == api_key, "and never again"
    assert text not in house.everything()
    assert house.call("GET", ITEMS, key=text).status == 200
    assert house.call("POST", ITEMS, {"merchant_item_id": "TEA"}, key=text).status == 403
    one = f"{KEYS}/{api_key['api_key_id']}"
    assert owner.call("DELETE", one).status == 204
    assert house.call("GET", ITEMS, key=text).status == 401
    assert "Warehouse" not in listed(owner)
    assert owner.call("DELETE", one).status == 400, "it is not there any more"


def test_a_browser_key_has_no_scopes_and_opens_the_storefront_alone(house: TestHouse, owner: Browser) -> None:
    text = made(owner, "Our page", kind="browser").json["api_key"]["key"]
    assert text.startswith("bo_browser_")
    card = {"card_number": "4111111111111111", "card_expiration_month": 12, "card_expiration_year": 2040}
    sent = {"x-ultracart-browser-key": text}
    assert house.call("POST", "/storefront/card_tokens", card, headers=sent).status == 200
    assert house.call("GET", ITEMS, headers={"x-ultracart-simple-key": text}).status == 403
    assert made(owner, "Other", "item_read", kind="browser").problems == {"/scopes": "not_allowed"}


def test_when_a_key_was_last_used_is_told_to_the_hour_for_one_write_an_hour(house: TestHouse, owner: Browser) -> None:
    text = made(owner, "Mailing list", "item_read").json["api_key"]["key"]
    assert "last_used_dts" not in listed(owner)["Mailing list"]
    used = []
    for seconds in (0, USED_SECONDS - 1, 1):
        house.clock.pass_(seconds=seconds)
        house.tables.meter.reset()
        assert house.call("GET", ITEMS, key=text).status == 200
        used.append(sum("configuration" in call.tables and bool(call.writes) for call in house.tables.meter.calls))
    assert used == [1, 0, 1]
    house.call("GET", ITEMS, headers={"x-ultracart-simple-key": f"{text}x"})
    again = house.owner(login="other")
    assert listed(again)["Mailing list"]["last_used_dts"] == shown(house.clock.now(), "America/New_York")


def test_that_a_use_cannot_be_written_down_keeps_nobody_out(house: TestHouse, owner: Browser) -> None:
    text = made(owner, "Busy", "item_read").json["api_key"]["key"]
    keys = house.keys()
    found = keys.find(key_hash(text))
    assert found is not None
    for _ in range(2):
        keys.used(found, house.clock.now())  # somebody else was first
    house.port.write(*keys.revoked(found))
    keys.used(found, house.clock.now())
    assert keys.find(key_hash(text)) is None, "a key that was revoked meanwhile does not come back"


def test_a_key_from_before_there_was_a_list_stands_in_it_from_its_next_use_on(house: TestHouse, owner: Browser) -> None:
    old = AccessKey(key_hash=key_hash("old"), merchant_id="DEMO", kind="api", name="Old", created_dts=house.clock.now())
    house.port.write(house.keys().issued(old)[0])
    assert "Old" not in listed(owner)
    assert house.call("GET", ITEMS, key="old").status == 200
    told = listed(owner)["Old"]
    assert "scopes" not in told, "it opens everything"
    assert told["last_used_dts"]


def test_what_is_wrong_with_a_key_is_told_all_at_once(owner: Browser) -> None:
    made(owner, "Taken", "item_read")
    assert made(owner, "taken ", "item_read", "item_fly").problems == {"/name": "duplicate", "/scopes/1": "unknown"}
    assert made(owner, "  ").problems == {"/name": "required", "/scopes": "required"}
    assert made(owner, "Mine", "item_read", key="chosen").problems == {"/key": "read_only"}
    assert made(owner, "x" * 51, "item_read").status == 400


def test_nobody_gives_a_key_what_he_has_not_nor_takes_one_away_that_may_do_more(
    house: TestHouse, owner: Browser
) -> None:
    browser, _ = staff(house, owner, "anna", "Edit Users", "View Items")
    refused = made(browser, "Sly", "item_read", "item_write")
    assert (refused.status, "item_write" in refused.body) == (403, True)
    assert made(browser, "Fair", "item_read").status == 200
    keys = listed(owner)
    strong = made(owner, "Strong", "order_write").json["api_key"]["api_key_id"]
    for key_id in (strong, keys["test"]["api_key_id"]):
        assert browser.call("DELETE", f"{KEYS}/{key_id}").status == 403
    assert browser.call("DELETE", f"{KEYS}/{keys['Fair']['api_key_id']}").status == 204
    assert owner.call("DELETE", f"{KEYS}/{keys['test']['api_key_id']}").status == 204, "an owner may"


def test_keys_of_another_shop_are_not_there(house: TestHouse, owner: Browser) -> None:
    house.found("OTHER")
    other = house.owner("OTHER", login="eve")
    theirs = made(other, "Theirs", "item_read").json["api_key"]
    assert "Theirs" not in listed(owner)
    assert owner.call("DELETE", f"{KEYS}/{theirs['api_key_id']}").status == 400
    assert house.call("GET", ITEMS, key=theirs["key"]).status == 200


def test_more_keys_than_can_be_listed_are_not_made(house: TestHouse, owner: Browser) -> None:
    for _ in range(MAXIMUM_KEYS - len(listed(owner))):
        house.key()
    assert made(owner, "One more", "item_read").problems == {"": "too_many"}


def test_every_scope_may_be_given_and_the_document_names_them(house: TestHouse, owner: Browser) -> None:
    assert made(owner, "All", *SCOPES).json["api_key"]["scopes"] == list(SCOPES)
    schema = house.call("GET", "/rest/v2/openapi.json").json["components"]["schemas"]["ApiKey"]
    assert str(SCOPES[0]) in str(schema["properties"]["scopes"])


def test_who_made_and_revoked_a_key_stands_in_the_audit_and_its_text_does_not(house: TestHouse, owner: Browser) -> None:
    api_key = made(owner, "Warehouse", "item_read").json["api_key"]
    owner.call("DELETE", f"{KEYS}/{api_key['api_key_id']}")
    rows = house.open_shop("DEMO").audit.of_day(house.clock.now())  # type: ignore[attr-defined]
    told = {(row.action, row.actor, row.subject, row.key, row.detail) for row in rows if row.noun == "api_key"}
    one = (api_key["api_key_id"], "item_read")
    assert told == {(action, "owner", "Warehouse", *one) for action in ("key_issued", "key_revoked")}
