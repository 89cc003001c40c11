"""The owner's first day: the link that a start prints, the page's session in a real browser, and staff by the
unmodified official SDK."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ultracart
from ultracart.apis import UserApi
from ultracart.exceptions import ApiException
from ultracart.models import Permission, User

from tests.running import Running

PASSWORD = "a kettle sings at noon"
WAITS = re.compile(r"(http://127\.0\.0\.1:\d+/admin/)#/welcome/(\S+)")
ASK = """async ([method, path, body, csrf]) => {
  const headers = {"content-type": "application/json", ...(csrf ? {"x-backroom-csrf": csrf} : {})};
  const answer = await fetch(path, {method, headers, body: body ? JSON.stringify(body) : undefined});
  const text = await answer.text();
  return [answer.status, text ? JSON.parse(text) : null];
}"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("users") / "data")
    yield running
    running.end()


def test_staff_are_kept_by_the_official_sdk(shop: Running) -> None:
    host = f"http://127.0.0.1:{shop.port}/rest/v2"
    api: Any = UserApi(
        ultracart.ApiClient(ultracart.Configuration(host=host, api_key={"x-ultracart-simple-key": shop.key}))
    )
    made = api.insert_user(
        User(login="sdk", full_name="Sue", permissions=[Permission(permission_name="View Items", selected=True)])
    ).user
    assert [p.permission_name for p in made.permissions if p.selected] == ["View Items"]
    made.full_name = "Susan"
    assert api.update_user(made.user_id, made).user.full_name == "Susan"
    assert api.get_user(made.user_id).user.login == "sdk"
    assert "sdk" in [user.login for user in api.get_users().users]
    assert api.get_user_logins(made.user_id).logins == []
    api.delete_user(made.user_id)
    with pytest.raises(ApiException) as refused:
        api.get_user(made.user_id)
    assert refused.value.status == 404


def test_in_a_browser_the_printed_link_leads_to_a_session_that_works(chromium: Any, shop: Running) -> None:
    printed = WAITS.search(Path(shop.errors.name).read_text())
    assert printed is not None
    context = chromium.new_context()
    page = context.new_page()
    page.goto(printed[1])

    def ask(method: str, path: str, body: Any = None, csrf: str = "") -> tuple[int, Any]:
        status, answer = page.evaluate(ASK, [method, path, body, csrf])
        return status, answer

    status, answer = ask("POST", "welcome", {"token": printed[2], "password": PASSWORD, "name": "Olga"})
    assert (status, answer["session"]["name"]) == (200, "Olga")
    csrf = answer["session"]["csrf"]
    assert ask("GET", "session")[1]["session"]["csrf"] == csrf, "the browser sends the cookie"
    assert page.evaluate("document.cookie") == "", "and shows it to no script"
    assert ask("GET", "../rest/v2/item/items")[0] == 200
    tea = {"merchant_item_id": "TEA"}
    assert ask("POST", "../rest/v2/item/items", tea)[0] == 403, "without the csrf text"
    assert ask("POST", "../rest/v2/item/items", tea, csrf)[0] == 200
    assert ask("DELETE", "session", csrf=csrf)[0] == 204
    assert ask("GET", "session")[0] == 401
    assert ask("POST", "session", {"login": "owner", "password": PASSWORD})[0] == 200
    context.close()
