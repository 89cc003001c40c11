"""A customer's account as a page: a mailed link opens what is his and nothing else; looking changes nothing, each form
acts once, and what goes wrong is told in words."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from chalicelib.domain.mails import read_waiting_name
from chalicelib.domain.my_account import MOST_QUANTITY
from chalicelib.flows.notify import send_mail
from tests.handlers.test_cancellation import DAY, Shop
from tests.handlers.test_pages import day_field, text
from tests.houses import Reply

PAGE = "/storefront/my_account"
EVIL = '"><script>alert(1)</script>'
PROGRAM = {
    "active": True,
    "points_per_dollar": 10,
    "rewards": [
        {"loyalty_reward_id": "TEN", "points": 100, "amount": 10, "description": "Ten dollars", "active": True},
        {"loyalty_reward_id": "MUCH", "points": 100000, "amount": 500, "description": "Much", "active": True},
    ],
}


class Accounts(Shop):
    """The shop of the cancellation's tests, and the account of who ordered there, by address."""

    def __init__(self) -> None:
        super().__init__()
        self.link = self.sign("email#jane@example.com")

    def sign(self, subject: str, seconds: int = DAY) -> str:
        return self.house.open_shop("DEMO").links.sign("my_account", subject, seconds)

    def get(self, token: str | None = None) -> Reply:
        query = {"merchant_id": "DEMO"} | ({"token": token if token is not None else self.link} if token != "" else {})
        return self.house.call("GET", PAGE, query=query)

    def post(self, does: str, token: str | None = None, **fields: str) -> Reply:
        said = {"merchant_id": "DEMO", "token": token or self.link, "do": does, "auto_order_oid": str(self.oid)}
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self.house.call("POST", PAGE, urlencode(said | fields).encode(), headers=kind)

    def ask(self, email: str) -> Reply:
        return self.post("mail", email=email)

    def mailed(self) -> list[Any]:
        """Send all that waits, and give all that was sent."""
        for _, message in self.house.sent.take():
            if name := read_waiting_name(message["subject"]):
                send_mail(self.house.open_shop("DEMO"), *name)
        return self.house.outside.mails

    def item(self) -> Any:
        shown = self.call("GET", f"/rest/v2/auto_order/auto_orders/{self.oid}?_expand=items").json
        return shown["auto_order"]["items"][0]

    def profile(self, email: str = "jane@example.com", **more: Any) -> int:
        made = self.call("POST", "/rest/v2/customer/customers", {"email": email, **more})
        assert made.status == 200, made.body
        return int(made.json["customer"]["customer_profile_oid"])

    def program(self) -> None:
        reply = self.call("PUT", "/rest/v2/configuration/loyalty_program", PROGRAM)
        assert reply.status == 200, reply.body

    def points(self, oid: int, points: int) -> None:
        body = {"loyalty_points": points, "description": "Welcome", "vesting_days": 0}
        reply = self.call("POST", f"/rest/v2/customer/customers/{oid}/adjust_loyalty_points", body)
        assert reply.status == 200, reply.body


@pytest.fixture
def shop() -> Accounts:
    return Accounts()


# --- the link --------------------------------------------------------------------------------------------------------


def test_who_asks_gets_a_link_by_mail_that_opens_his_account(shop: Accounts) -> None:
    before = len(shop.mailed())
    told = text(shop.ask(" Jane@Example.com "))
    assert "a link is on its way" in told
    (mail,) = shop.mailed()[before:]
    assert mail.to == "jane@example.com"
    found = re.search(r"https?://\S+my_account\S+", mail.text)
    assert found is not None
    token = parse_qs(urlsplit(unescape(found[0])).query)["token"][0]
    assert "2 × Tea" in text(shop.get(token))


def test_nothing_tells_whether_an_address_is_known(shop: Accounts) -> None:
    before = len(shop.mailed())
    assert text(shop.ask("nobody@example.com")) == text(shop.ask("jane@example.com"))
    assert [mail.to for mail in shop.mailed()[before:]] == ["jane@example.com"]


def test_nobodys_mailbox_is_filled_and_nobody_tries_many_addresses(shop: Accounts) -> None:
    before = len(shop.mailed())
    assert [shop.ask("jane@example.com").status for _ in range(4)] == [200, 200, 200, 429]
    assert len(shop.mailed()) == before + 3
    assert {shop.ask(f"{number}@example.com").status for number in range(10)} == {200, 429}


def test_a_link_goes_to_the_profile_where_the_address_has_one_even_if_it_wants_no_other_mail(shop: Accounts) -> None:
    shop.profile(do_not_send_mail=True)
    before = len(shop.mailed())
    shop.ask("jane@example.com")
    (mail,) = shop.mailed()[before:]
    found = re.search(r"token=(\S+)", mail.text)
    assert found is not None
    assert "2 × Tea" in text(shop.get(found[1]))


@pytest.mark.parametrize("token", ["nothing", "WyJwcm9maWxlIzEiLDFd.abc", "x" * 600, "ü"])
def test_what_is_no_link_leads_to_where_one_can_be_had(shop: Accounts, token: str) -> None:
    reply = shop.get(token)
    assert reply.status == 403
    assert "This link does not work" in text(reply)
    assert "Mail me a link" in reply.body


def test_a_link_of_another_purpose_or_of_another_shop_opens_nothing_and_one_of_yesterday_neither(
    shop: Accounts,
) -> None:
    shop.house.found("OTHER")
    assert shop.get(shop.token).status == 403
    other = shop.house.open_shop("OTHER").links.sign("my_account", "email#jane@example.com", DAY)
    assert shop.get(other).status == 403
    shop.house.clock.go(shop.house.clock.now().replace(year=2028))
    assert shop.get().status == 403


def test_the_link_of_a_profile_that_is_gone_opens_nothing(shop: Accounts) -> None:
    assert shop.get(shop.sign("profile#4711")).status == 403


# --- looking ---------------------------------------------------------------------------------------------------------


def test_the_account_shows_auto_orders_orders_and_no_card(shop: Accounts) -> None:
    sent = {"shipping": {"tracking_numbers": ["9400 1000", "9400 1017"]}}
    assert shop.call("PUT", f"/rest/v2/order/orders/{shop.order_id}", sent).status == 200
    shown = text(shop.get())
    assert "Auto order" in shown
    assert "2 × Tea" in shown
    assert "next on 28 February 2027" in shown
    assert shop.order_id in shown
    assert "Tracking 9400 1000, 9400 1017" in shown
    assert "4111" not in shown


def test_an_order_without_an_auto_order_is_shown_too(shop: Accounts) -> None:
    billing = {"email": "jane@example.com", "country_code": "US"}
    order = {"items": [{"merchant_item_id": "TEA", "quantity": 1}], "billing": billing}
    order_id = shop.call("POST", "/rest/v2/order/orders", order).json["order"]["order_id"]
    shown = text(shop.get())
    assert order_id in shown
    assert "not paid yet" in shown


def test_looking_changes_nothing_however_often(shop: Accounts) -> None:
    before = shop.house.everything()
    for _ in range(3):
        assert shop.get().status == 200
    assert shop.house.everything() == before


def test_a_page_lets_nothing_in_from_outside_and_tells_nobody_its_address(shop: Accounts) -> None:
    for reply in (shop.get(), shop.get(""), shop.get("nothing")):
        assert "default-src 'none'" in str(reply.headers["Content-Security-Policy"])
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["Cache-Control"] == "no-store"
        assert "<script" not in reply.body
        assert "style=" not in reply.body


def test_what_people_typed_is_shown_as_text(shop: Accounts) -> None:
    shop.call("PUT", f"/rest/v2/item/items/{shop.item_oid}", {"description": EVIL})
    for reply in (shop.get(), shop.ask(EVIL), shop.post("quantity", quantity=EVIL, auto_order_item_oid="1")):
        assert "<script" not in reply.body


def test_the_account_of_somebody_without_anything_says_so(shop: Accounts) -> None:
    shown = text(shop.get(shop.sign("email#new@example.com")))
    assert "No auto orders" in shown


def test_the_links_lead_on_to_canceling_and_to_another_card(shop: Accounts) -> None:
    for path in ("cancel", "update_billing"):
        found = re.search(rf'href="[^"]*(/storefront/{path}\?[^"]+)"', shop.get().body)
        assert found is not None
        assert shop.house.call("GET", unescape(found[1])).status == 200


# --- acting ----------------------------------------------------------------------------------------------------------


def test_a_shipment_is_skipped_once_however_often_the_form_is_sent(shop: Accounts) -> None:
    day = day_field(shop.get())
    for _ in range(2):
        assert shop.post("skip", day=day).status == 200
    assert shop.item()["next_shipment_dts"].startswith("2027-03-31")
    (entry,) = [log for log in shop.auto_order()["logs"] if "next_shipment_dts" in log["log_message"]]
    assert "jane@example.com" in entry["log_message"]


def test_a_shipment_is_moved_once_and_the_next_is_counted_from_there(shop: Accounts) -> None:
    day = day_field(shop.get())
    for _ in range(2):
        assert shop.post("move", day=day, to="2027-03-10").status == 200
    assert shop.item()["next_shipment_dts"].startswith("2027-03-10")
    shop.bill()
    assert shop.item()["next_shipment_dts"].startswith("2027-04-10")


@pytest.mark.parametrize("to", ["", "2027-01-31", "2027-01-01", "2028-03-01", "tomorrow", "2027-02-30"])
def test_a_day_that_is_none_to_send_on_is_refused_in_words(shop: Accounts, to: str) -> None:
    reply = shop.post("move", day=day_field(shop.get()), to=to)
    assert reply.status == 400
    assert "Choose a day from tomorrow on, within a year." in text(reply)
    assert shop.item()["next_shipment_dts"].startswith("2027-02-28")


def test_a_pause_holds_until_it_goes_on(shop: Accounts) -> None:
    for _ in range(2):
        assert "Paused" in text(shop.post("pause"))
    assert shop.item()["paused"] is True
    for _ in range(2):
        assert "next on 28 February 2027" in text(shop.post("resume"))
    assert not shop.item().get("paused")


def test_a_quantity_is_changed_from_the_next_order_on(shop: Accounts) -> None:
    item_oid = str(shop.item()["auto_order_item_oid"])
    assert "3 × Tea" in text(shop.post("quantity", auto_order_item_oid=item_oid, quantity="3"))
    order_id = shop.bill()
    items = shop.call("GET", f"/rest/v2/order/orders/{order_id}?_expand=item").json["order"]["items"]
    assert [line["quantity"] for line in items] == [3]


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "", str(MOST_QUANTITY + 1), "9" * 20, "three", "٣"])
def test_a_quantity_out_of_bounds_is_refused_in_words(shop: Accounts, quantity: str) -> None:
    item_oid = str(shop.item()["auto_order_item_oid"])
    reply = shop.post("quantity", auto_order_item_oid=item_oid, quantity=quantity)
    assert reply.status == 400
    assert f"Enter a quantity from 1 to {MOST_QUANTITY}." in text(reply)
    assert "2 × Tea" in text(shop.get())


@pytest.mark.parametrize("does", ["skip", "move", "pause", "resume", "quantity"])
def test_what_belongs_to_another_customer_cannot_be_touched(shop: Accounts, does: str) -> None:
    before = shop.house.everything()
    other = shop.sign("email#eve@example.com")
    fields = {"day": "2027-02-28", "to": "2027-03-10", "quantity": "3", "auto_order_item_oid": "1"}
    reply = shop.post(does, token=other, **fields)
    assert reply.status == 403
    assert shop.house.everything() == before


@pytest.mark.parametrize("does", ["", "cancel", "delete", "SKIP"])
def test_a_form_that_is_none_of_ours_does_nothing(shop: Accounts, does: str) -> None:
    before = shop.house.everything()
    assert shop.post(does).status == 400
    assert shop.house.everything() == before


def test_what_is_canceled_cannot_be_changed_any_more(shop: Accounts) -> None:
    assert shop.cancel().status == 200
    shown = shop.get()
    assert "Canceled" in text(shown)
    assert "<details>" not in shown.body
    item = shop.item()
    for does in ("skip", "move", "pause", "quantity"):
        reply = shop.post(does, day="2027-02-28", to="2027-03-10", quantity="3", auto_order_item_oid="1")
        assert (reply.status, "has ended" in text(reply)) == (400, True)
    assert shop.item() == item


# --- rewards ---------------------------------------------------------------------------------------------------------


def test_points_are_redeemed_once_by_one_form_for_what_they_are_enough_for(shop: Accounts) -> None:
    shop.program()
    oid = shop.profile()
    shop.points(oid, 150)
    token = shop.sign(f"profile#{oid}")
    shown = shop.get(token)
    assert "Redeem 100 points: Ten dollars" in text(shown)
    assert "Much" not in text(shown)
    form = re.search(r'name="form" value="([^"]+)"', shown.body)
    assert form is not None
    codes = set()
    for _ in range(2):
        reply = shop.post("redeem", token=token, reward="TEN", form=form[1])
        code = re.search(r"Your code is (\w+)", text(reply))
        assert code is not None, text(reply)
        codes.add(code[1])
    assert len(codes) == 1
    after = text(shop.get(token))
    assert "Points 50" in after
    assert "Welcome +150" in after
    assert "$10.00" in after


def test_without_a_programme_or_a_profile_there_are_no_rewards_and_nothing_is_redeemed(shop: Accounts) -> None:
    assert "rewards" not in text(shop.get()).replace("your orders and your rewards", "")
    assert shop.post("redeem", reward="TEN", form="one").status == 400
    told = text(shop.post("redeem", token=shop.sign(f"profile#{shop.profile()}"), reward="TEN", form="one"))
    assert "loyalty program" in told.lower()
    assert "card" not in told.partition("Please look at this first")[2].partition("jane@example.com")[0]
    shop.program()
    assert shop.post("redeem", reward="TEN", form="one").status == 400
