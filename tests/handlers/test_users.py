"""The merchant's users by hand: in the contract's form, each shop's apart; nobody grants or takes what is not his."""

from typing import Any

import pytest
from pyotp import TOTP

from chalicelib.domain.users import MAXIMUM_USERS, PERMISSIONS
from tests.houses import PASSWORD, Browser, TestHouse

USERS = "/rest/v2/user/users"


def ticked(*names: str) -> list[dict[str, Any]]:
    return [{"permission_Name": name, "selected": True} for name in names]


def staff(house: TestHouse, owner: Browser, login: str, *permissions: str) -> tuple[Browser, str]:
    """A user with these permissions, signed in; and his address."""
    user = {"login": login, "permissions": ticked(*permissions), "change_password_to": PASSWORD}
    made = owner.call("POST", USERS, user)
    assert made.status == 200, made.body
    browser = Browser(house)
    assert browser.sign_in(login).status == 200
    return browser, f"{USERS}/{made.json['user']['user_id']}"


def test_a_user_is_inserted_and_read_back_with_every_permission_selected_or_not(house: TestHouse, key: str) -> None:
    sent = {"login": "anna@example.com", "full_name": "Anna", "phone": "1", "permissions": ticked("Edit Items")}
    made = house.call("POST", USERS, sent, key=key)
    assert (made.status, made.headers["ETag"]) == (200, '"1"')
    user = made.json["user"]
    permissions = user.pop("permissions")
    assert user == {"user_id": 1001, "login": "anna@example.com", "full_name": "Anna", "phone": "1"}
    assert [p["permission_Name"] for p in permissions] == list(PERMISSIONS)
    assert [p["permission_Name"] for p in permissions if p["selected"]] == ["Edit Items"]
    again = house.call("GET", f"{USERS}/1001", key=key)
    assert again.json["user"] == {**user, "permissions": permissions}
    assert "welcome" not in again.body
    listed = house.call("GET", USERS, key=key, query={"_limit": "1"}).json
    assert listed["users"] == [again.json["user"]]
    assert listed["metadata"]["result_set"]["total_records"] == 1


def test_who_is_invited_chooses_a_password_by_the_link_in_the_answer(house: TestHouse, owner: Browser) -> None:
    made = owner.call("POST", USERS, {"login": "anna", "permissions": ticked("View Items")}).json
    start, _, token = made["welcome_url"].rpartition("/")
    assert start == "http://127.0.0.1:8000/admin/#/welcome"
    browser = Browser(house)
    assert browser.call("POST", "/admin/welcome", {"token": token, "password": PASSWORD}).status == 200
    assert browser.call("GET", "/rest/v2/item/items").status == 200
    assert owner.call("GET", f"{USERS}/{made['user']['user_id']}").json["user"]["signed_up"] is True


def test_who_has_lost_his_password_gets_a_fresh_link(house: TestHouse, owner: Browser) -> None:
    _, anna = staff(house, owner, "anna")
    answer = owner.call("POST", f"{anna}/welcome")
    token = answer.json["welcome_url"].rpartition("/")[2]
    browser = Browser(house)
    assert browser.call("POST", "/admin/welcome", {"token": token, "password": "a pigeon in the hall"}).status == 200
    assert Browser(house).sign_in("anna").status == 401


def test_a_password_that_is_set_for_somebody_ends_his_sessions(house: TestHouse, owner: Browser) -> None:
    browser, anna = staff(house, owner, "anna", "View Items")
    changed = owner.call("PUT", anna, {"change_password_to": "a pigeon in the hall"})
    assert changed.status == 200
    assert "pigeon" not in changed.body + house.everything()
    assert browser.call("GET", "/admin/session").status == 401
    assert browser.sign_in("anna", "a pigeon in the hall").status == 200


def test_an_owner_takes_the_codes_of_somebody_away_who_has_lost_them(house: TestHouse, owner: Browser) -> None:
    anna, user = staff(house, owner, "anna", "Edit Users")
    secret = anna.call("POST", "/admin/totp", {"action": "begin"}).json["totp"]["secret"]
    code = TOTP(secret).at(int(house.clock.now().timestamp()))
    assert anna.call("POST", "/admin/totp", {"action": "confirm", "code": code}).status == 200
    assert owner.call("GET", user).json["user"]["totp"] is True
    assert anna.call("PUT", user, {"totp": False}).problems == {"/totp": "not_your_own"}
    assert owner.call("PUT", user, {"totp": False}).status == 200
    assert anna.call("GET", "/admin/session").status == 401
    assert anna.sign_in("anna").status == 200
    assert owner.call("PUT", user, {"totp": True}).problems == {"/totp": "read_only"}


def test_ones_own_password_is_changed_with_the_one_before_only(house: TestHouse, owner: Browser) -> None:
    me = f"{USERS}/{owner.call('GET', USERS).json['users'][0]['user_id']}"
    refused = owner.call("PUT", me, {"change_password_to": "a pigeon in the hall"})
    assert refused.problems == {"/change_password_to": "not_your_own"}
    assert owner.call("POST", f"{me}/welcome").status == 400
    assert owner.call("PUT", me, {"full_name": "Olga"}).status == 200


@pytest.mark.parametrize(
    ("sent", "problems"),
    [
        ({}, {"/login": "required"}),
        ({"login": "a b"}, {"/login": "out_of_range"}),
        ({"login": "anna", "owner": True}, {"/owner": "read_only"}),
        ({"login": "anna", "totp": True}, {"/totp": "read_only"}),
        ({"login": "anna", "user_id": 7}, {"/user_id": "read_only"}),
        ({"login": "anna", "generation": 7}, {"/generation": "unknown_field"}),
        ({"login": "anna", "linked_accounts": []}, {"/linked_accounts": "unknown_field"}),
        ({"login": "anna", "change_password_to": "short"}, {"/change_password_to": "weak_password"}),
        ({"login": "anna", "permissions": ticked("Edit All")}, {"/permissions/0/permission_Name": "unknown"}),
    ],
)
def test_what_is_wrong_is_named_and_nobody_is_inserted(
    house: TestHouse, key: str, sent: dict[str, Any], problems: dict[str, str]
) -> None:
    before = house.everything()
    reply = house.call("POST", USERS, sent, key=key)
    assert (reply.status, reply.problems) == (400, problems)
    assert house.everything() == before


def test_a_login_is_one_users_whatever_its_case_and_stays_his(house: TestHouse, key: str) -> None:
    house.call("POST", USERS, {"login": "anna"}, key=key)
    twice = house.call("POST", USERS, {"login": "ANNA"}, key=key)
    assert twice.problems == {"/login": "duplicate"}
    other = house.found("ACME")
    assert house.call("POST", USERS, {"login": "anna"}, key=other).problems == {"/login": "duplicate"}
    changed = house.call("PUT", f"{USERS}/1001", {"login": "berta"}, key=key)
    assert changed.problems == {"/login": "read_only"}
    assert house.call("DELETE", f"{USERS}/1001", key=key).status == 204
    assert house.call("POST", USERS, {"login": "Anna"}, key=other).status == 200


def test_a_user_of_another_shop_is_not_there(house: TestHouse, owner: Browser) -> None:
    other = house.found("ACME")
    stranger = house.owner("ACME", login="stranger")
    theirs = f"{USERS}/{owner.call('GET', USERS).json['users'][0]['user_id']}"
    for call in (
        ("GET", theirs, None),
        ("PUT", theirs, {"full_name": "Mine"}),
        ("DELETE", theirs, None),
        ("POST", f"{theirs}/welcome", None),
    ):
        for reply in (stranger.call(*call), house.call(*call, key=other)):
            assert (reply.status, reply.json["code"]) == (404 if call[0] == "GET" else 400, "not_found")
    assert [user["login"] for user in stranger.call("GET", USERS).json["users"]] == ["stranger"]
    assert stranger.call("GET", "/admin/session").json["session"]["merchant_id"] == "ACME"


def test_nobody_grants_what_he_does_not_have(house: TestHouse, owner: Browser) -> None:
    desk, _ = staff(house, owner, "desk", "Edit Users", "View Items")
    refused = desk.call("POST", USERS, {"login": "anna", "permissions": ticked("View Items", "Edit Items")})
    assert (refused.status, refused.json["code"]) == (403, "not_allowed")
    assert "Edit Items" in refused.json["error"]["user_message"]
    assert desk.call("POST", USERS, {"login": "anna", "permissions": ticked("View Items")}).status == 200
    weak = house.key(scopes=["user_write"])
    assert house.call("POST", USERS, {"login": "berta", "permissions": ticked("View Items")}, key=weak).status == 403


def test_who_may_do_more_is_not_changed_by_who_may_do_less(house: TestHouse, owner: Browser) -> None:
    desk, own = staff(house, owner, "desk", "Edit Users")
    _, anna = staff(house, owner, "anna", "Edit Orders")
    boss = f"{USERS}/{owner.call('GET', USERS).json['users'][0]['user_id']}"
    for user in (anna, boss):
        assert desk.call("PUT", user, {"change_password_to": "a pigeon in the hall"}).status == 403
        assert desk.call("POST", f"{user}/welcome").status == 403
        assert desk.call("DELETE", user).status == 403
    assert desk.call("PUT", own, {"permissions": ticked("Edit Users", "Edit Orders")}).status == 403
    everything, _ = staff(house, owner, "everything", *PERMISSIONS)
    assert everything.call("PUT", boss, {"change_password_to": "a pigeon in the hall"}).status == 403, "no owner"


def test_an_owner_is_deleted_by_nobody(house: TestHouse, owner: Browser) -> None:
    me = f"{USERS}/{owner.call('GET', USERS).json['users'][0]['user_id']}"
    for reply in (owner.call("DELETE", me), house.call("DELETE", me, key=house.key())):
        assert reply.status == 403
    assert owner.call("GET", me).status == 200


def test_a_change_of_a_version_that_is_over_is_refused(house: TestHouse, key: str) -> None:
    house.call("POST", USERS, {"login": "anna"}, key=key)
    one = f"{USERS}/1001"
    assert house.call("PUT", one, {"phone": "1"}, key=key, headers={"If-Match": '"1"'}).headers["ETag"] == '"2"'
    assert house.call("PUT", one, {"phone": "2"}, key=key, headers={"If-Match": '"1"'}).status == 412
    assert house.call("DELETE", one, key=key, headers={"If-Match": '"1"'}).status == 412


def test_a_shop_has_so_many_users_and_no_more(house: TestHouse, key: str) -> None:
    for number in range(MAXIMUM_USERS):
        assert house.call("POST", USERS, {"login": f"user{number}"}, key=key).status == 200
    assert house.call("POST", USERS, {"login": "one-more"}, key=key).problems == {"": "too_many"}


def test_a_users_logins_of_ninety_days_are_told_newest_first(house: TestHouse, owner: Browser) -> None:
    anna, user = staff(house, owner, "anna")
    house.clock.pass_(days=30)
    anna.sign_in("anna", "wrong")
    Browser(house, "2001:db8::1").sign_in("ANNA")
    told = house.call("GET", f"{user}/logins", key=house.key(scopes=["user_read"])).json["logins"]
    assert [(entry["login"], entry["login_dts"][:10], entry["ip_address"]) for entry in told] == [
        ("anna", "2027-03-02", "2001:db8::/64"),
        ("anna", "2027-01-31", "203.0.113.7"),
    ]
    house.clock.pass_(days=61)
    assert len(house.call("GET", f"{user}/logins", key=house.key()).json["logins"]) == 1
    assert house.call("GET", f"{user}/logins", key=house.found("ACME")).status == 404


def test_each_change_of_a_user_leaves_its_row_with_who_made_it(house: TestHouse, owner: Browser) -> None:
    _, anna = staff(house, owner, "anna")
    house.clock.pass_(seconds=1)
    owner.call("PUT", anna, {"phone": "1", "change_password_to": "a pigeon in the hall"})
    house.clock.pass_(seconds=1)
    house.call("DELETE", anna, key=house.key())
    rows = house.open_shop("DEMO").audit.of_day(house.clock.now())  # type: ignore[attr-defined]
    told = [(row.action, row.actor, row.subject, row.detail, row.address) for row in rows[-2:]]
    assert told == [
        ("user_updated", "owner", "anna", "phone, password", "203.0.113.7"),
        ("user_deleted", "key test", "anna", "", "203.0.113.7"),
    ]
