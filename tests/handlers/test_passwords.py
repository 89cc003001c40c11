"""A customer's password: taken and never shown, kept beside the profile; set by a link that is good once."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from chalicelib.domain.mails import read_waiting_name
from chalicelib.flows.notify import send_mail
from tests.houses import Reply, TestHouse, a_house

CUSTOMERS = "/rest/v2/customer/customers"
NOTICES = "/rest/v2/customer/password_notices"
PAGE = "/storefront/set_password"
SECRET = "three words apart"
OTHER = "four other words"
JANE: dict[str, Any] = {"email": "Jane@Example.com", "billing": [{"first_name": "Jane", "default_billing": True}]}
SHOP = {"name": "Demo Shop", "sender_email": "shop@example.com", "support_email": "help@example.com"}


class Shop:
    def __init__(self) -> None:
        self.house: TestHouse = a_house()
        self.key = self.house.found("DEMO", **SHOP)

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        return self.house.call(method, path, body, key=self.key, **more)

    def customer(self, **more: Any) -> int:
        made = self.call("POST", CUSTOMERS, JANE | more)
        assert made.status == 200, made.body
        return int(made.json["customer"]["customer_profile_oid"])

    def fits(self, oid: int, password: str) -> bool:
        kept = self.house.open_shop("DEMO").customer_passwords.find(oid)
        return kept is not None and self.house.passwords.fits(kept.hashed, password)

    def mails(self) -> list[Any]:
        """Send all that waits, and give all that was sent."""
        for _, message in self.house.sent.take():
            name = read_waiting_name(message["subject"])
            assert name is not None
            send_mail(self.house.open_shop("DEMO"), *name)
        return self.house.outside.mails

    def link(self) -> str:
        """The token in the last mail."""
        found = re.search(r"https?://\S+set_password\S+", self.mails()[-1].text)
        assert found is not None
        return parse_qs(urlsplit(unescape(found[0])).query)["token"][0]

    def get(self, **query: str) -> Reply:
        return self.house.call("GET", PAGE, query={"merchant_id": "DEMO"} | query)

    def post(self, **fields: str) -> Reply:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self.house.call("POST", PAGE, urlencode({"merchant_id": "DEMO"} | fields).encode(), headers=kind)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_password_is_taken_and_never_shown_told_or_kept_in_the_open(shop: Shop) -> None:
    oid = shop.customer(password=SECRET)
    assert shop.fits(oid, SECRET)
    shown = shop.call("GET", f"{CUSTOMERS}/{oid}", query={"_expand": "password,billing"})
    assert "password" not in shown.json["customer"]
    shop.call("PUT", f"{CUSTOMERS}/{oid}", {"password": OTHER})
    assert shop.fits(oid, OTHER)
    assert not shop.fits(oid, SECRET)
    everything = shop.house.everything()
    assert SECRET not in everything
    assert OTHER not in everything
    assert sorted(shop.house.events()) == ["customer_create", "customer_update"]


def test_a_profile_may_do_without_a_password(shop: Shop) -> None:
    assert shop.house.open_shop("DEMO").customer_passwords.find(shop.customer()) is None


def test_the_same_password_again_changes_nothing(shop: Shop) -> None:
    oid = shop.customer(password=SECRET)
    before = shop.house.everything()
    reply = shop.call("PUT", f"{CUSTOMERS}/{oid}", {"password": SECRET})
    assert (reply.status, reply.headers["ETag"]) == (200, '"1"')
    assert shop.house.everything() == before


def test_a_password_that_is_typed_in_two_ways_is_one(shop: Shop) -> None:
    oid = shop.customer(password="caf\u00e9 au lait, please")
    assert shop.fits(oid, "caf\u00e9 au lait, please")
    reply = shop.call("PUT", f"{CUSTOMERS}/{oid}", {"password": "cafe\u0301 au lait, please"})
    assert reply.headers["ETag"] == '"1"'


@pytest.mark.parametrize("password", ["x" * 9, "x" * 31, "jane@example.com", "a\u202eb and some more"])
def test_a_password_that_will_not_do_is_refused_and_the_old_one_stays(shop: Shop, password: str) -> None:
    oid = shop.customer(password=SECRET)
    reply = shop.call("PUT", f"{CUSTOMERS}/{oid}", {"password": password})
    assert list(reply.problems) == ["/password"]
    assert shop.fits(oid, SECRET)


# --- told at the signup ----------------------------------------------------------------------------------------------


def test_a_signup_is_told_where_that_is_wanted_with_a_link_where_there_is_no_password(shop: Shop) -> None:
    shop.customer()
    assert shop.mails() == []
    shop.call("POST", CUSTOMERS, {"email": "ada@example.com", "send_signup_notification": True, "password": SECRET})
    (mail,) = shop.mails()
    assert (mail.to, mail.subject) == ("ada@example.com", "Your profile at Demo Shop")
    assert "set_password" not in mail.text
    shop.call("POST", CUSTOMERS, {"email": "joe@example.com", "send_signup_notification": True, "unapproved": True})
    mail = shop.mails()[-1]
    assert "once it is approved" in mail.text
    shop.post(token=shop.link(), do="set", password=SECRET)
    assert shop.fits(1003, SECRET)


def test_a_signup_is_told_once_and_not_by_an_update(shop: Shop) -> None:
    oid = shop.customer()
    reply = shop.call("PUT", f"{CUSTOMERS}/{oid}", {"send_signup_notification": True})
    assert reply.problems == {"/send_signup_notification": "not_available"}
    assert shop.call("PUT", f"{CUSTOMERS}/{oid}", {"send_signup_notification": False}).headers["ETag"] == '"1"'


def test_who_wants_no_mail_gets_none_of_his_signup(shop: Shop) -> None:
    shop.customer(send_signup_notification=True, do_not_send_mail=True)
    assert shop.mails() == []


# --- forgotten -------------------------------------------------------------------------------------------------------


def test_who_has_forgotten_his_password_sets_another_by_a_link_that_is_good_once(shop: Shop) -> None:
    oid = shop.customer(password=SECRET, do_not_send_mail=True)
    assert "Look into your mail" in shop.post(do="mail", email="JANE@example.com").body
    token = shop.link()
    assert "Hello Jane," in shop.mails()[-1].text
    before = shop.house.everything()
    assert "Jane@Example.com" in shop.get(token=token).body
    assert shop.house.everything() == before, "looking changes nothing"
    refused = shop.post(token=token, do="set", password="short")
    assert (refused.status, 'id="password-error"' in refused.body) == (400, True)
    assert "short" not in refused.body.replace("shortest", "")
    assert "Your password is set" in shop.post(token=token, do="set", password=OTHER).body
    assert shop.fits(oid, OTHER)
    for reply in (shop.get(token=token), shop.post(token=token, do="set", password=SECRET)):
        assert (reply.status, "This link does not work" in reply.body) == (403, True)
    assert shop.fits(oid, OTHER)
    assert shop.call("GET", f"{CUSTOMERS}/{oid}").json["customer"]["last_modified_by"] == "customer"


def test_a_link_is_good_for_a_day_and_of_one_purpose(shop: Shop) -> None:
    shop.customer()
    shop.post(do="mail", email="jane@example.com")
    token = shop.link()
    other = shop.house.open_shop("DEMO").links.sign("cancel", "1001#", 600)
    assert shop.get(token=other).status == 403
    shop.house.clock.pass_(hours=24)
    assert shop.get(token=token).status == 403


def test_nobody_is_told_whether_there_is_a_profile(shop: Shop) -> None:
    shop.customer()
    known, unknown = (shop.post(do="mail", email=email) for email in ("jane@example.com", "joe@example.com"))
    assert (known.status, known.body) == (unknown.status, unknown.body)
    assert len(shop.mails()) == 1


def test_a_mailbox_is_not_filled_by_strangers(shop: Shop) -> None:
    shop.customer()
    replies = [shop.post(do="mail", email="jane@example.com") for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    assert len(shop.mails()) == 3


def test_without_a_link_the_page_says_how_to_get_one(shop: Shop) -> None:
    assert "Have you forgotten your password?" in shop.get().body
    assert shop.post(do="mail", email="").status == 400
    assert shop.post(do="dance").status == 400


# --- the password notice ---------------------------------------------------------------------------------------------


def test_profiles_without_a_password_are_told_where_to_set_one_once_a_day(shop: Shop) -> None:
    jane = shop.customer()
    joe = shop.customer(email="joe@example.com", password=SECRET)
    body = {"customer_profile_oids": [jane, joe, 77, jane]}
    for _ in range(2):
        told = shop.call("POST", NOTICES, body).json["password_notices"]
        assert told == {"sent": [jane], "has_password": [joe], "unknown": [77]}
    (mail,) = shop.mails()
    assert (mail.to, mail.subject) == ("Jane@Example.com", "Set a password for Demo Shop")
    assert "no password for it yet" in mail.text
    shop.post(token=shop.link(), do="set", password=SECRET)
    assert shop.fits(jane, SECRET)
    shop.house.clock.pass_(days=1)
    assert shop.call("POST", NOTICES, body).json["password_notices"]["has_password"] == [jane, joe]


def test_a_notice_that_is_late_does_not_go_to_who_has_a_password_by_now(shop: Shop) -> None:
    oid = shop.customer()
    shop.call("POST", NOTICES, {"customer_profile_oids": [oid]})
    shop.call("PUT", f"{CUSTOMERS}/{oid}", {"password": SECRET})
    assert shop.mails() == []


def test_notices_go_to_the_shops_own_profiles(shop: Shop) -> None:
    oid = shop.customer()
    other = shop.house.found("OTHER", **SHOP)
    reply = shop.house.call("POST", NOTICES, {"customer_profile_oids": [oid]}, key=other)
    assert reply.json["password_notices"] == {"sent": [], "has_password": [], "unknown": [oid]}
