"""Notice templates over HTTP: shown, changed, refused with their line, brought back, previewed, sent to the shop."""

from typing import Any

import pytest

from chalicelib.domain.mails import read_waiting_name
from chalicelib.flows.notify import send_mail
from tests.houses import TestHouse
from tests.worlds import World

BASE = "/rest/v2/configuration/notice_templates"
RECEIPT = f"{BASE}/receipt"


@pytest.fixture
def key(house: TestHouse) -> str:
    return house.found(name="Demo Shop", sender_email="shop@example.com", support_email="help@example.com")


def test_every_notice_is_listed_with_what_it_is_for(house: TestHouse, key: str) -> None:
    found = house.call("GET", BASE, key=key).json["notice_templates"]
    assert [one["template"] for one in found] == [
        "receipt",
        "shipment",
        "preshipment_notice",
        "price_notice",
        "action_needed",
        "update_billing",
        "disabled",
        "card_expiring",
        "easy_cancel",
        "canceled",
        "held",
        "problem_digest",
        "signup",
        "set_password",
        "my_account",
    ]
    assert all(one["title"] and one["description"] and one["subject"] for one in found)
    assert {one["template"] for one in found if one["recipient"] == "merchant"} == {"held", "problem_digest"}
    assert not any(one["edited"] for one in found)


def test_a_notice_that_nobody_has_edited_shows_the_defaults_and_what_they_can_say(house: TestHouse, key: str) -> None:
    reply = house.call("GET", RECEIPT, key=key)
    shown = reply.json["notice_template"]
    assert (reply.headers["ETag"], shown["edited"]) == ('"0"', False)
    assert shown["subject"] == "Your receipt for order {{ words.order_id }}"
    assert shown["text"].startswith('{% extends "_layout.txt" %}')
    said = {one["name"]: one for one in shown["variables"]}
    assert said["words.order_id"] == {"name": "words.order_id", "sample": "DEMO-0009104420-002"}
    assert said["words.card"] == {"name": "words.card", "sample": "VISA ending in 1111", "optional": True}
    assert said["rows"]["sample"][0]["name"] == "Single origin coffee, 12 oz"


def test_a_put_changes_the_texts_that_it_names_and_is_read_back(house: TestHouse, key: str) -> None:
    first = house.call("PUT", RECEIPT, {"subject": "Danke!"}, key=key)
    assert (first.status, first.headers["ETag"]) == (200, '"1"')
    second = house.call("PUT", RECEIPT, {"text": "{{ words.total }}"}, key=key)
    shown = second.json["notice_template"]
    assert (shown["edited"], shown["subject"], shown["text"]) == (True, "Danke!", "{{ words.total }}")
    assert shown["html"].startswith('{% extends "_layout.html" %}')
    assert house.call("GET", RECEIPT, key=key).json == second.json
    assert house.call("GET", BASE, key=key).json["notice_templates"][0]["edited"] is True


def test_the_same_put_twice_writes_once(house: TestHouse, key: str) -> None:
    first = house.call("PUT", RECEIPT, {"subject": "Danke!"}, key=key)
    house.clock.pass_(hours=1)
    again = house.call("PUT", RECEIPT, {"subject": "Danke!"}, key=key)
    assert (again.json, again.headers["ETag"]) == (first.json, first.headers["ETag"])


def test_what_was_read_before_somebody_changed_it_is_not_written_over(house: TestHouse, key: str) -> None:
    house.call("PUT", RECEIPT, {"subject": "Danke!"}, key=key, headers={"If-Match": '"0"'})
    stale = house.call("PUT", RECEIPT, {"subject": "Merci !"}, key=key, headers={"If-Match": '"0"'})
    assert stale.status == 412
    assert house.call("DELETE", RECEIPT, key=key, headers={"If-Match": '"0"'}).status == 412


def test_a_template_that_cannot_be_laid_out_is_refused_with_its_line_and_nothing_is_kept(
    house: TestHouse, key: str
) -> None:
    body = {"subject": "Ok {{ words.order_id }}", "text": "a\n{{ words.ordr }}", "html": "<p>{% if x %}</p>"}
    reply = house.call("PUT", RECEIPT, body, key=key)
    assert reply.status == 400
    assert reply.problems == {"/text": "template", "/html": "template"}
    assert reply.message("/text").startswith("line 2: there is no words.ordr; there are ")
    assert reply.message("/html").startswith("line 1: ")
    assert house.call("GET", RECEIPT, key=key).json["notice_template"]["edited"] is False


def test_a_word_that_not_every_mail_has_must_be_asked_for(house: TestHouse, key: str) -> None:
    reply = house.call("PUT", RECEIPT, {"text": "{{ words.card }}"}, key=key)
    assert "is not in every mail" in reply.message("/text")
    asked = {"text": "{% if words.card is defined %}{{ words.card }}{% endif %}"}
    assert house.call("PUT", RECEIPT, asked, key=key).status == 200


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"subject": "x" * 201}, "/subject"),
        ({"text": "x" * 20_001}, "/text"),
        ({"html": "x" * 60_001}, "/html"),
        ({"text": ""}, "/text"),
        ({"subject": 7}, "/subject"),
        ({"template": "held"}, "/template"),
        ({"body": "x"}, "/body"),
    ],
)
def test_a_body_out_of_its_bounds_is_refused_by_name(
    house: TestHouse, key: str, body: dict[str, Any], problem: str
) -> None:
    reply = house.call("PUT", RECEIPT, body, key=key)
    assert (reply.status, list(reply.problems)) == (400, [problem])


def test_a_delete_brings_the_defaults_back_however_often(house: TestHouse, key: str) -> None:
    default = house.call("GET", RECEIPT, key=key).json
    house.call("PUT", RECEIPT, {"subject": "Danke!", "html": ""}, key=key)
    for _ in range(2):
        assert house.call("DELETE", RECEIPT, key=key).json == default
    assert house.call("GET", RECEIPT, key=key).json == default


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/preview")])
def test_there_is_no_notice_of_another_name(house: TestHouse, key: str, method: str, path: str) -> None:
    reply = house.call(method, f"{BASE}/newsletter{path}", None if method == "GET" else {}, key=key)
    assert (reply.status, reply.json["code"]) == (404 if method == "GET" else 400, "not_found")


# --- preview ---------------------------------------------------------------------------------------------------------


def test_a_preview_of_a_draft_is_laid_out_with_invented_people_and_kept_nowhere(house: TestHouse, key: str) -> None:
    body = {"subject": "Hi {{ first_name }}", "text": "{{ words.total }}"}
    shown = house.call("POST", f"{RECEIPT}/preview", body, key=key).json["preview"]
    assert (shown["subject"], shown["text"]) == ("Hi Jane", "$55.38\n")
    assert "DEMO-0009104420-002" in shown["html"]
    assert house.call("GET", RECEIPT, key=key).json["notice_template"]["edited"] is False
    assert house.outside.mails == house.sent.sent == []


def test_a_preview_without_a_draft_shows_what_stands(house: TestHouse, key: str) -> None:
    house.call("PUT", RECEIPT, {"subject": "Danke!"}, key=key)
    assert house.call("POST", f"{RECEIPT}/preview", key=key).json["preview"]["subject"] == "Danke!"


def test_a_draft_that_cannot_be_laid_out_is_refused_in_a_preview_too(house: TestHouse, key: str) -> None:
    reply = house.call("POST", f"{RECEIPT}/preview", {"text": "{{ 1 + 1 }}"}, key=key)
    assert reply.problems == {"/text": "template"}


@pytest.fixture
def world() -> World:
    return World().open()


def previewed(world: World, template: str, **body: Any) -> Any:
    from chalicelib.flows.notice_templates import preview

    return preview(world.shop, template, body)


def test_a_preview_shows_the_mail_of_a_real_order_or_auto_order(world: World) -> None:
    oid = world.subscribe()
    world.travel(30)
    order = world.rebills(oid)[0]
    receipt = previewed(world, "receipt", order_id=order.order_id)
    assert receipt.subject == f"Your receipt for order {order.order_id}"
    assert "1 x Coffee: $17.95" in receipt.text
    cancel = previewed(world, "easy_cancel", order_id=order.order_id)
    assert "The next order is planned for 31 March 2027." in cancel.text
    assert "Your auto order" in previewed(world, "canceled", auto_order_oid=oid).text
    assert world.outside.mails == []


def test_a_preview_says_where_there_is_nothing_to_look_at(world: World) -> None:
    from chalicelib.domain.errors import Invalid

    oid = world.subscribe()
    for template, body, code in (
        ("receipt", {"order_id": "NONE"}, "unknown"),
        ("canceled", {"auto_order_oid": 7}, "unknown"),
        ("price_notice", {"auto_order_oid": oid}, "nothing_to_tell"),
        ("receipt", {"auto_order_oid": oid, "order_id": "X"}, "conflict"),
    ):
        with pytest.raises(Invalid) as error:
            previewed(world, template, **body)
        assert error.value.problems[0].code == code


# --- a test mail -----------------------------------------------------------------------------------------------------


def test_a_test_mail_goes_to_the_shops_own_address_once_and_by_its_own_texts(house: TestHouse, key: str) -> None:
    house.call("PUT", RECEIPT, {"subject": "Danke!"}, key=key)
    reply = house.call("POST", f"{RECEIPT}/test", key=key)
    assert reply.json["test_mail"]["email"] == "help@example.com"
    ((queue, message),) = house.sent.take()
    name = read_waiting_name(message["subject"])
    assert queue == "deliver"
    assert name is not None
    for _ in range(2):
        sent = send_mail(house.open_shop("DEMO"), *name)
        assert sent is not None
        assert (sent.state, sent.mail_id) == ("sent", reply.json["test_mail"]["message_id"])
    (mail,) = house.outside.mails
    assert (mail.to, mail.subject) == ("help@example.com", "Danke!")
    assert "Single origin coffee" in mail.text


def test_nobody_can_send_a_test_mail_to_an_address_of_his_choice(house: TestHouse, key: str) -> None:
    house.call("POST", f"{RECEIPT}/test", {"email": "victim@example.com"}, key=key)
    ((_, message),) = house.sent.take()
    name = read_waiting_name(message["subject"])
    assert name is not None
    send_mail(house.open_shop("DEMO"), *name)
    assert [mail.to for mail in house.outside.mails] == ["help@example.com"]


def test_a_shop_without_an_address_is_told_so(house: TestHouse) -> None:
    reply = house.call("POST", f"{RECEIPT}/test", key=house.found("BARE"))
    assert (reply.status, reply.problems) == (400, {"": "no_address"})


def test_test_mails_have_a_limit(house: TestHouse, key: str) -> None:
    statuses = [house.call("POST", f"{RECEIPT}/test", key=key).status for _ in range(31)]
    assert statuses == [200] * 30 + [429]


# --- as who gets it sees it ------------------------------------------------------------------------------------------

MAILS = "/admin/mails/receipt"


@pytest.mark.usefixtures("key")
def test_a_mail_is_looked_at_as_a_document_that_can_do_nothing(house: TestHouse) -> None:
    """The texts that are typed, kept or not; and no key opens it, for it is a person's window."""
    owner = house.owner()
    reply = owner.post_form(MAILS, {"html": "<style>b{color:red}</style><b onclick=alert(1)>{{ shop }}</b>"})
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert "<b onclick=alert(1)>" in reply.body, "shown as it would be sent: the policy disarms it, nothing else"
    policy = {rule.split(" ")[0]: rule for rule in reply.headers["Content-Security-Policy"].split("; ")}
    assert policy["sandbox"] == "sandbox", "no script, no form, no window, no origin"
    assert policy["default-src"] == "default-src 'none'"
    assert {"form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(policy.values())
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert house.call("POST", MAILS, {}, key=house.key()).status == 401


@pytest.mark.usefixtures("key")
def test_a_form_of_another_page_shows_nothing(house: TestHouse) -> None:
    owner = house.owner()
    for headers in ({"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}, {"origin": "null"}):
        assert owner.post_form(MAILS, {}, **headers).status == 403, headers
    assert owner.post_form(MAILS, {"csrf": "0" * 64}).status == 403
    assert owner.post_form(MAILS, {"html": "{{ no }"}).json["problems"][0]["pointer"] == "/html"
    assert owner.post_form(MAILS, {"script": "x"}).json["problems"][0]["pointer"] == "/script"
    assert owner.post_form("/admin/mails/nothing", {}).status == 400
