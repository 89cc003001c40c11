"""The session of the merchant's page: what opens it, what it opens, and what a page from elsewhere gets of it."""

import re
from typing import Any

import pytest

from chalicelib.domain.access import RESOURCES
from chalicelib.domain.links import DEVICE_SECONDS
from chalicelib.flows.sign_in import IDLE_SECONDS, LONGEST_SECONDS, MOST_OF_LOGIN, MOST_OF_STRANGERS
from chalicelib.flows.users import make_owner
from chalicelib.handlers import doors
from chalicelib.handlers.http import ROUTES, SAFE_METHODS, SIGN_IN, STOREFRONT, WITHOUT_KEY, Route
from tests.houses import PASSWORD, Browser, TestHouse, a_house

ME = "/admin/session"
ITEMS = "/rest/v2/item/items"
assert doors.DOORS, "the routes are declared where the doors are imported"
GUARDED = [route for route in ROUTES if route.scope not in {*WITHOUT_KEY, STOREFRONT}]
# What is signed and what a shopper sends has no session.
CHANGING = [
    route
    for route in ROUTES
    if route.method not in SAFE_METHODS and route.scope not in WITHOUT_KEY - {SIGN_IN} | {STOREFRONT}
]
# A page from elsewhere, as browsers tell of it; and one that was tampered with.
FORGED: dict[str, dict[str, str | None]] = {
    "nothing is said of where it stands": {"origin": None, "sec_fetch_site": None},
    "another origin": {"origin": "https://evil.example.com", "sec_fetch_site": None},
    "a page without an origin": {"origin": "null", "sec_fetch_site": None},
    "a page without an origin that says it is ours": {"origin": "null", "sec_fetch_site": "same-origin"},
    "another port of the same host": {"origin": "http://127.0.0.1:9000", "sec_fetch_site": None},
    "another scheme": {"origin": "https://127.0.0.1:8000", "sec_fetch_site": None},
    "another site": {"origin": None, "sec_fetch_site": "cross-site"},
    "another host of the same site": {"origin": None, "sec_fetch_site": "same-site"},
    "typed into the address bar": {"origin": None, "sec_fetch_site": "none"},
    "another origin that claims to be the same": {"origin": "https://evil.example.com"},
}
WITHOUT_CSRF: dict[str, dict[str, str | None]] = {
    "no csrf text": {"x_backroom_csrf": None},
    "another csrf text": {"x_backroom_csrf": "0" * 64},
}


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def path_of(route: Route) -> str:
    return re.sub(r"{[^}]*}", "1", route.path)


@pytest.fixture
def house() -> TestHouse:
    house = a_house()
    house.found(time_zone="America/New_York", name="Demo Coffee")
    return house


@pytest.fixture
def owner(house: TestHouse) -> Browser:
    return house.owner()


@pytest.fixture(scope="module")
def standing() -> Browser:
    """An owner in a house that no refused request may change."""
    house = a_house()
    house.found()
    return house.owner()


def staff(house: TestHouse, owner: Browser, *permissions: str, login: str = "staff") -> tuple[Browser, int]:
    """A user with these permissions, signed in; and the user's id."""
    chosen = [{"permission_Name": name, "selected": True} for name in permissions]
    user = {"login": login, "permissions": chosen, "change_password_to": PASSWORD}
    made = owner.call("POST", "/rest/v2/user/users", user)
    assert made.status == 200, made.body
    browser = Browser(house)
    assert browser.sign_in(login).status == 200
    return browser, made.json["user"]["user_id"]


# --- in and out ------------------------------------------------------------------------------------------------------


def test_who_signs_in_is_told_who_he_is_what_he_may_and_until_when(house: TestHouse, owner: Browser) -> None:
    browser = Browser(house)
    reply = browser.sign_in("Owner ")
    assert reply.status == 200, "case and spaces around a login say nothing"
    session = reply.json["session"]
    assert re.fullmatch("[0-9a-f]{64}", session.pop("csrf"))
    assert session == {
        "login": "owner",
        "name": "owner",
        "merchant_id": "DEMO",
        "permissions": sorted(f"{resource}_{way}" for resource in RESOURCES for way in ("read", "write")),
        "owner": True,
        "test_mode": False,
        "time_zone": "America/New_York",
        "expires_dts": "2027-01-31T15:30:00-05:00",
        "totp": False,
    }
    assert browser.call("GET", ME).json == reply.json


def test_the_cookie_is_no_scripts_and_no_other_sites(owner: Browser) -> None:
    session, device = owner.sign_in().headers["Set-Cookie"]
    rest = "HttpOnly; SameSite=Strict"
    assert re.fullmatch(rf"backroom-8000=[\w-]{{43}}; Path=/; Max-Age={LONGEST_SECONDS}; {rest}", session)
    assert re.fullmatch(rf"backroom-8000-device=[\w.-]+; Path=/; Max-Age={DEVICE_SECONDS}; {rest}", device)


def test_over_tls_the_cookie_is_bound_to_its_host(house: TestHouse) -> None:
    house.public_url = "https://shop.example.com"
    browser, where = Browser(house), {"host": "shop.example.com", "origin": "https://shop.example.com"}
    house.open_shop("DEMO")
    assert browser.sign_in("nobody").status == 403, "the page stands elsewhere"
    token = house.owner_token()
    reply = browser.call("POST", "/admin/welcome", {"token": token, "password": PASSWORD}, **where)
    for name, cookie in zip(("", "-device"), reply.headers["Set-Cookie"], strict=True):
        assert re.fullmatch(
            rf"__Host-backroom{name}=[\w.-]+; Path=/; Max-Age=\d+; HttpOnly; Secure; SameSite=Strict", cookie
        )
    assert browser.call("GET", ME, **where).status == 200


def test_a_cookie_that_somebody_else_put_beside_it_opens_nothing(house: TestHouse, owner: Browser) -> None:
    assert owner.call("GET", ME, cookie=f"{owner.cookie}; backroom-8000=other").status == 401
    assert owner.call("GET", ME, cookie=f"theme=dark; {owner.cookie}").status == 200


def test_an_unknown_login_and_a_wrong_password_get_the_same_answer(house: TestHouse, owner: Browser) -> None:
    known, unknown = Browser(house).sign_in("owner", "wrong"), Browser(house).sign_in("nobody", "wrong")
    assert (known.status, unknown.status) == (401, 401)
    for reply in (known, unknown):
        assert "Set-Cookie" not in reply.headers
    assert [known.json[name] for name in ("error", "code", "problems")] == [
        unknown.json[name] for name in ("error", "code", "problems")
    ]


def test_who_signs_out_is_out_at_once(owner: Browser) -> None:
    kept = owner.cookie
    out = owner.call("DELETE", ME)
    assert out.status == 204
    assert "Max-Age=0" in out.headers["Set-Cookie"]
    assert owner.call("GET", ME, cookie=kept).status == 401
    assert owner.call("GET", ITEMS, cookie=kept).status == 401


def test_a_session_ends_by_itself_after_a_pause_and_after_a_day(house: TestHouse, owner: Browser) -> None:
    house.clock.pass_(seconds=IDLE_SECONDS - 1)
    assert owner.call("GET", ME).status == 200
    house.clock.pass_(seconds=IDLE_SECONDS - 1)
    assert owner.call("GET", ITEMS).status == 200, "what was clicked meanwhile counts"
    house.clock.pass_(seconds=IDLE_SECONDS)
    assert owner.call("GET", ITEMS).status == 401
    assert owner.sign_in().status == 200
    rest = LONGEST_SECONDS
    while rest >= IDLE_SECONDS:
        house.clock.pass_(seconds=IDLE_SECONDS - 60)
        rest -= IDLE_SECONDS - 60
        assert owner.call("GET", ME).status == 200
    house.clock.pass_(seconds=rest)
    assert owner.call("GET", ME).status == 401, "however busy it was"


def test_too_many_tries_have_to_wait_and_then_the_right_password_opens(house: TestHouse, owner: Browser) -> None:
    guesser = Browser(house)
    replies = [guesser.sign_in("owner", f"guess {number}") for number in range(MOST_OF_LOGIN + 1)]
    assert [reply.status for reply in replies] == [401] * MOST_OF_LOGIN + [429]
    wait = int(replies[-1].headers["Retry-After"])
    assert guesser.sign_in("OWNER").status == 429, "the right one too, and in whatever case"
    assert Browser(house, address="198.51.100.9").sign_in().status == 200, "who guesses locks nobody out elsewhere"
    house.clock.pass_(seconds=wait)
    assert guesser.sign_in().status == 200


def test_a_network_that_tries_many_logins_has_to_wait(house: TestHouse) -> None:
    statuses = [Browser(house, "2001:db8::1").sign_in(f"user{number}").status for number in range(100)]
    assert set(statuses) == {401}
    assert Browser(house, "2001:db8::2").sign_in("user100").status == 429, "the same line"
    assert Browser(house, "2001:db8:1::2").sign_in("user100").status == 401


def test_guesses_from_everywhere_keep_a_login_from_new_browsers_but_from_none_that_knows_it(
    house: TestHouse, owner: Browser
) -> None:
    for number in range(MOST_OF_STRANGERS):
        assert Browser(house, f"198.51.{number // 250}.{number % 250}").sign_in(password="guess").status == 401
    new = Browser(house, "192.0.2.1")
    refused = new.sign_in()
    assert refused.status == 429
    assert owner.call("DELETE", ME).status == 204
    assert owner.sign_in().status == 200, "a known browser goes on"
    assert owner.call("POST", "/admin/password", {"current": PASSWORD, "new": "a pigeon in the hall"}).status == 200
    token = house.owner_token()
    assert new.call("POST", "/admin/welcome", {"token": token, "password": PASSWORD}).status == 200, "so does a link"
    house.clock.pass_(seconds=int(refused.headers["Retry-After"]))
    assert Browser(house, "192.0.2.2").sign_in().status == 200, "and after the wait everybody"


def test_a_known_browser_has_ten_tries_of_its_own_and_for_its_own_user(house: TestHouse, owner: Browser) -> None:
    staff(house, owner, "View Items")
    replies = [owner.sign_in(password="guess").status for _ in range(MOST_OF_LOGIN + 1)]
    assert replies == [401] * MOST_OF_LOGIN + [429]
    assert owner.sign_in("staff", "guess").status == 401, "to another login it is a stranger"
    forged = Browser(house)
    forged.device = owner.device[:-1] + ("A" if owner.device[-1] != "A" else "B")
    for _ in range(MOST_OF_LOGIN):
        forged.sign_in(password="guess")
    assert forged.sign_in(password="guess").status == 429


def test_a_session_is_no_way_to_guess_a_password(house: TestHouse, owner: Browser) -> None:
    guess = {"current": "guess", "new": "a pigeon in the hall"}
    statuses = [owner.call("POST", "/admin/password", guess).status for _ in range(MOST_OF_LOGIN + 1)]
    assert statuses == [400] * MOST_OF_LOGIN + [429]
    assert Browser(house).sign_in().status == 200


# --- what it opens ---------------------------------------------------------------------------------------------------


def test_a_session_opens_the_calls_of_its_permissions_and_no_others(house: TestHouse, owner: Browser) -> None:
    browser, _ = staff(house, owner, "View Items")
    assert browser.call("GET", ITEMS).status == 200
    refused = browser.call("POST", ITEMS, {"merchant_item_id": "TEA"})
    assert (refused.status, refused.json["code"]) == (403, "not_allowed")
    assert browser.call("GET", "/rest/v2/customer/customers/1").status == 403
    assert owner.call("POST", ITEMS, {"merchant_item_id": "TEA"}).status == 200


def test_a_permission_that_is_taken_away_is_gone_at_once(house: TestHouse, owner: Browser) -> None:
    browser, user_id = staff(house, owner, "Edit Items")
    assert browser.call("POST", ITEMS, {"merchant_item_id": "TEA"}).status == 200
    fewer = {"permissions": [{"permission_Name": "View Items", "selected": True}]}
    assert owner.call("PUT", f"/rest/v2/user/users/{user_id}", fewer).status == 200
    assert browser.call("POST", ITEMS, {"merchant_item_id": "COFFEE"}).status == 403
    assert owner.call("DELETE", f"/rest/v2/user/users/{user_id}").status == 204
    assert browser.call("GET", ITEMS).status == 401


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_every_call_takes_a_session_in_place_of_a_key(standing: Browser, route: Route) -> None:
    """Whether the call itself makes sense is another matter: who asks is known."""
    if route.method in SAFE_METHODS:
        assert standing.call(route.method, path_of(route)).status not in (401, 403)
    reply = standing.call(route.method, path_of(route), cookie=None)
    assert reply.status == 401


def test_where_a_key_comes_too_the_cookie_counts_for_nothing(house: TestHouse, owner: Browser) -> None:
    for header in ("x_ultracart_simple_key", "x_ultracart_browser_key", "authorization"):
        assert owner.call("GET", ITEMS, **{header: "Bearer guess"}).status == 401
    weak = house.key(scopes=["order_read"])
    assert owner.call("GET", ITEMS, x_ultracart_simple_key=weak).status == 403
    assert owner.call("GET", ME, x_ultracart_simple_key=house.key()).status == 401, "a key has no session"


def test_a_key_needs_no_csrf_text(house: TestHouse, owner: Browser) -> None:
    reply = house.call("POST", ITEMS, {"merchant_item_id": "TEA"}, key=house.key())
    assert reply.status == 200


def test_no_other_origin_reads_what_a_session_gets(owner: Browser) -> None:
    reply = owner.call("GET", ITEMS, origin="https://evil.example.com", sec_fetch_site="cross-site")
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]


# --- what a page from elsewhere gets ---------------------------------------------------------------------------------


@pytest.mark.parametrize("route", CHANGING, ids=named)
def test_what_changes_something_is_taken_from_the_shops_own_page_only(standing: Browser, route: Route) -> None:
    forgeries = FORGED if route.scope == SIGN_IN else FORGED | WITHOUT_CSRF
    before = standing.house.everything()
    for what, headers in forgeries.items():
        reply = standing.call(route.method, path_of(route), {"no_such_field": 1}, **headers)
        assert (reply.status, reply.json["code"]) == (403, "not_allowed"), what
    assert standing.house.everything() == before


@pytest.mark.parametrize(
    "headers",
    [{"origin": None}, {"sec_fetch_site": None}, {"origin": "http://shop.local:8000", "host": "shop.local:8000"}],
    ids=["says the same origin", "comes from the host", "under another name of the host"],
)
def test_the_shops_own_page_is_known_by_either_word_of_the_browser(
    owner: Browser, headers: dict[str, str | None]
) -> None:
    assert owner.call("POST", ITEMS, {"merchant_item_id": "TEA"}, **headers).status == 200


# --- the first password, and other proofs ----------------------------------------------------------------------------


def test_a_link_of_invitation_is_good_once_and_for_a_week(house: TestHouse) -> None:
    token = house.owner_token()
    browser, body = Browser(house), {"token": token, "password": PASSWORD, "name": "Olga Owner"}
    reply = browser.call("POST", "/admin/welcome", body)
    assert (reply.status, reply.json["session"]["name"]) == (200, "Olga Owner")
    assert browser.call("GET", ITEMS).status == 200
    again = Browser(house).call("POST", "/admin/welcome", {**body, "password": "another that is long"})
    assert (again.status, again.json["code"]) == (401, "invalid_credentials")
    late = house.owner_token(login="second")
    house.clock.pass_(days=7)
    assert Browser(house).call("POST", "/admin/welcome", {"token": late, "password": PASSWORD}).status == 401


@pytest.mark.parametrize("token", ["", "x", "DEMO.1.x", "DEMO#user.1.x", "-.0.x", "DEMO.99999999999.x", "…", "x" * 200])
def test_what_is_no_link_of_invitation_opens_nothing(house: TestHouse, token: str) -> None:
    house.owner()
    assert Browser(house).call("POST", "/admin/welcome", {"token": token, "password": PASSWORD}).status == 401


@pytest.mark.parametrize(
    "password", ["short", "aaaaaaaaaaaaaa", "password1234!", "123456789012", "the owner of it", "qwertz-123456"]
)
def test_a_weak_password_is_refused_and_the_link_stays_good(house: TestHouse, password: str) -> None:
    browser, token = Browser(house), house.owner_token()
    reply = browser.call("POST", "/admin/welcome", {"token": token, "password": password})
    assert (reply.status, reply.problems) == (400, {"/password": "weak_password"})
    assert browser.call("POST", "/admin/welcome", {"token": token, "password": PASSWORD}).status == 200


def test_a_new_password_ends_every_other_session_and_not_this_one(house: TestHouse, owner: Browser) -> None:
    other = Browser(house)
    other.sign_in()
    before = owner.cookie
    wrong = owner.call("POST", "/admin/password", {"current": "wrong", "new": "a pigeon in the hall"})
    assert (wrong.status, wrong.problems) == (400, {"/current": "wrong_password"})
    assert other.call("GET", ME).status == 200
    changed = owner.call("POST", "/admin/password", {"current": PASSWORD, "new": "a pigeon in the hall"})
    assert changed.status == 200
    assert owner.cookie != before
    assert owner.call("GET", ME).status == 200
    assert owner.call("GET", ME, cookie=before).status == 401
    assert other.call("GET", ME).status == 401
    assert Browser(house).sign_in().status == 401
    assert Browser(house).sign_in(password="a pigeon in the hall").status == 200


def code_of(house: TestHouse, secret: str, steps: int = 0) -> str:
    from pyotp import TOTP

    return TOTP(secret).at(int(house.clock.now().timestamp()) + 30 * steps)


def with_codes(house: TestHouse, owner: Browser) -> str:
    """The secret of codes that are in use."""
    begun = owner.call("POST", "/admin/totp", {"action": "begin"}).json["totp"]
    assert begun["uri"] == f"otpauth://totp/Demo%20Coffee:owner?secret={begun['secret']}&issuer=Demo%20Coffee"
    confirmed = owner.call("POST", "/admin/totp", {"action": "confirm", "code": code_of(house, begun["secret"])})
    assert confirmed.json["session"]["totp"] is True
    return str(begun["secret"])


def test_with_codes_in_use_a_password_alone_opens_nothing(house: TestHouse, owner: Browser) -> None:
    secret = with_codes(house, owner)
    browser = Browser(house)
    missing = browser.sign_in()
    assert (missing.status, missing.json["code"], browser.cookie) == (401, "totp_required", "")
    assert browser.sign_in(code="000000").json["code"] == "totp_required"
    assert browser.sign_in(password="wrong", code=code_of(house, secret, 1)).json["code"] == "invalid_credentials"
    assert browser.sign_in(code=code_of(house, secret, 1)).status == 200, "clocks differ by a step"


def test_a_code_opens_once(house: TestHouse, owner: Browser) -> None:
    secret = with_codes(house, owner)
    assert Browser(house).sign_in(code=code_of(house, secret)).status == 401, "it confirmed the secret already"
    house.clock.pass_(seconds=30)
    code = code_of(house, secret)
    assert Browser(house).sign_in(code=code).status == 200
    replayed = Browser(house).sign_in(code=code)
    assert (replayed.status, replayed.json["code"]) == (401, "totp_required")
    assert Browser(house).sign_in(code=code_of(house, secret, -1)).status == 401, "nor one before it"
    assert Browser(house).sign_in(code=code_of(house, secret, 2)).status == 401, "nor one of another minute"


def test_codes_are_removed_with_the_password(house: TestHouse, owner: Browser) -> None:
    with_codes(house, owner)
    refused = owner.call("POST", "/admin/totp", {"action": "remove", "password": "wrong"})
    assert refused.problems == {"/password": "wrong_password"}
    assert owner.call("POST", "/admin/totp", {"action": "begin"}).problems == {"/action": "enabled_already"}
    removed = owner.call("POST", "/admin/totp", {"action": "remove", "password": PASSWORD})
    assert removed.json["session"]["totp"] is False
    assert Browser(house).sign_in().status == 200


def test_a_link_is_no_second_factor(house: TestHouse, owner: Browser) -> None:
    secret = with_codes(house, owner)
    browser, new = Browser(house), "a pigeon in the hall"
    answer = browser.call("POST", "/admin/welcome", {"token": house.owner_token(), "password": new})
    assert (answer.status, answer.json, browser.cookie) == (200, {"success": True, "metadata": {}}, "")
    assert browser.sign_in(password=new).json["code"] == "totp_required"
    assert browser.sign_in(password=new, code=code_of(house, secret, 1)).status == 200


def test_whoever_runs_the_house_takes_the_codes_of_an_owner_away_who_has_lost_them(
    house: TestHouse, owner: Browser
) -> None:
    with_codes(house, owner)
    make_owner(house.entrance(), house.open_shop("DEMO"), "owner", by="test", without_codes=True)
    assert owner.call("GET", ME).status == 401
    assert owner.sign_in().status == 200


def test_codes_that_were_not_confirmed_are_asked_of_nobody(house: TestHouse, owner: Browser) -> None:
    owner.call("POST", "/admin/totp", {"action": "begin"})
    assert owner.call("POST", "/admin/totp", {"action": "confirm", "code": "12345"}).problems == {"/code": "wrong_code"}
    assert Browser(house).sign_in().status == 200


# --- the audit -------------------------------------------------------------------------------------------------------


def _audit(house: TestHouse, merchant_id: str = "DEMO") -> list[tuple[str, str, str]]:
    rows = house.open_shop(merchant_id).audit.of_day(house.clock.now())  # type: ignore[attr-defined]
    return [(row.action, row.actor, row.subject) for row in rows]


def test_what_proves_who_somebody_is_leaves_its_row_and_no_secret(house: TestHouse, owner: Browser) -> None:
    def at_another_second() -> None:
        house.clock.pass_(seconds=1)

    Browser(house).sign_in("owner", "wrong")
    at_another_second()
    Browser(house).sign_in("my password typed for a login", "wrong")
    secret = with_codes(house, owner)
    at_another_second()
    Browser(house).sign_in(code="000000")
    at_another_second()
    owner.call("POST", "/admin/totp", {"action": "remove", "password": PASSWORD})
    at_another_second()
    owner.call("POST", "/admin/password", {"current": "wrong", "new": "x"})
    at_another_second()
    owner.call("POST", "/admin/password", {"current": PASSWORD, "new": "a pigeon in the hall"})
    at_another_second()
    owner.call("DELETE", ME)
    told = [action for action, _, _ in _audit(house)]
    assert sorted(told[:3]) == ["sign_in_failed", "user_inserted", "welcomed"]
    assert told[3:] == [
        "totp_enabled",
        "code_failed",
        "totp_removed",
        "password_failed",
        "password_changed",
        "signed_out",
    ]
    assert _audit(house, "-") == [("sign_in_failed", "", "")], "of no user"
    rows = house.tables._db.execute("select body from record where name = 'audit'").fetchall()
    for text in (PASSWORD, "a pigeon in the hall", "my password typed", secret, owner.cookie.partition("=")[2] or "?"):
        assert not any(text in body for (body,) in rows)


def test_neither_passwords_nor_the_texts_of_sessions_and_links_are_kept(house: TestHouse) -> None:
    token = house.owner_token()
    assert token.rpartition(".")[2] not in house.everything()
    browser = Browser(house)
    browser.call("POST", "/admin/welcome", {"token": token, "password": PASSWORD})
    for text in (PASSWORD, browser.cookie.partition("=")[2], browser.csrf):
        assert text
        assert text not in house.everything()


def test_no_field_of_a_session_is_taken_that_is_not_known(owner: Browser) -> None:
    bodies: list[tuple[str, dict[str, Any]]] = [
        (ME, {"login": "owner", "password": PASSWORD, "merchant_id": "ACME"}),
        ("/admin/password", {"current": PASSWORD, "new": "a pigeon in the hall", "login": "other"}),
        ("/admin/totp", {"action": "steal"}),
    ]
    for path, body in bodies:
        assert owner.call("POST", path, body).status == 400
