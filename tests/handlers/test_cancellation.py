"""A customer cancels by a link: GET shows and changes nothing, POST acts, once; the merchant's rules hold."""

import re
from typing import Any

import pytest

from chalicelib.domain.dates import parse_instant
from chalicelib.domain.mails import read_waiting_name
from chalicelib.flows import edit
from chalicelib.flows.notify import send_mail
from chalicelib.flows.rebill import rebill
from tests.houses import Reply, TestHouse, a_house

CANCEL = "/storefront/auto_orders/cancel"
CANCEL_LINK = "/storefront/auto_orders/cancel_link"
RULES = "/rest/v2/configuration/auto_order_processing"
DAY = 24 * 3600
REASONS = [
    {"reason": "Too expensive", "visible_in_myaccount": True, "myaccount_alternate_description": "It costs too much"},
    {"reason": "Moved"},
    {"reason": "Fraud", "visible_in_myaccount": False},
]


class Shop:
    """A shop with one auto order of tea, monthly, and the customer's link to cancel it."""

    def __init__(self) -> None:
        self.house: TestHouse = a_house()
        self.key = self.house.found(
            name="Demo Shop",
            sender_email="shop@example.com",
            support_email="help@example.com",
            allowed_origins=["https://shop.example.com"],
        )
        self.browser = self.house.key(kind="browser")
        tab = {"auto_orderable": True, "auto_order_schedules": ["Monthly"]}
        item = {"merchant_item_id": "TEA", "description": "Tea", "pricing": {"cost": 9.5}, "auto_order": tab}
        self.item_oid = self.call("POST", "/rest/v2/item/items", item).json["item"]["merchant_item_oid"]
        card = {"card_number": "4111111111111111", "card_expiration_month": 12, "card_expiration_year": 2040}
        token = self.call("POST", "/storefront/card_tokens", card, browser=True).json["card_token"]
        order = {
            "items": [{"merchant_item_id": "TEA", "quantity": 2, "auto_order_schedule": "Monthly"}],
            "billing": {"email": "Jane@example.com", "first_name": "Jane", "country_code": "US"},
            "payment": {"credit_card": {"card_number_token": token}},
        }
        self.order_id = self.call("POST", "/rest/v2/order/orders", order).json["order"]["order_id"]
        assert self.call("POST", f"/rest/v2/order/orders/{self.order_id}/process_payment", {}).json["success"]
        oid = self.house.open_shop("DEMO").auto_orders.oid_by_original_order(self.order_id)
        assert oid is not None
        self.oid = oid
        self.token = self.house.open_shop("DEMO").links.sign("cancel", str(oid), 90 * DAY)

    def call(self, method: str, path: str, body: Any = None, *, browser: bool = False, **more: Any) -> Reply:
        return self.house.call(method, path, body, key=self.browser if browser else self.key, **more)

    def rules(self, **rules: Any) -> None:
        reply = self.call("PUT", RULES, rules)
        assert reply.status == 200, reply.body

    def look(self, token: str | None = None) -> Reply:
        return self.call("GET", CANCEL, browser=True, query={"token": token or self.token})

    def seen(self) -> Any:
        return self.look().json["cancellation"]

    def cancel(self, **body: Any) -> Reply:
        return self.call("POST", CANCEL, {"token": self.token} | body, browser=True)

    def ship(self, day: str, order_id: str | None = None) -> None:
        path = f"/rest/v2/order/orders/{order_id or self.order_id}"
        reply = self.call("PUT", path, {"shipping": {"shipping_date": f"{day}T12:00:00-05:00"}})
        assert reply.status == 200, reply.body

    def bill(self) -> str:
        """Go to the next billing and bill it. Returns the order's id."""
        shop = self.house.open_shop("DEMO")
        run = shop.auto_orders.read(self.oid)[1].run
        while shop.auto_orders.read(self.oid)[1].run == run:
            self.house.clock.go(shop.auto_orders.read(self.oid)[1].due_dts or self.house.clock.now())
            rebill(shop, self.oid)
        return f"{self.order_id}-{run:03d}"

    def auto_order(self) -> Any:
        return self.call("GET", f"/rest/v2/auto_order/auto_orders/{self.oid}?_expand=logs").json["auto_order"]

    def mails(self, about: str) -> list[tuple[str, str]]:
        return [(mail.template, mail.state) for mail in self.house.open_shop("DEMO").mails.of(about)]


@pytest.fixture
def shop() -> Shop:
    return Shop()


# --- GET shows -------------------------------------------------------------------------------------------------------


def test_a_link_shows_what_canceling_would_end(shop: Shop) -> None:
    assert shop.seen() == {
        "auto_order_code": shop.auto_order()["auto_order_code"],
        "status": "active",
        "may_cancel": True,
        "reason_required": False,
        "items": [
            {
                "item_id": "TEA",
                "description": "Tea",
                "quantity": 2,
                "next_shipment_dts": "2027-02-28T00:00:00-05:00",
            }
        ],
        "support_email": "help@example.com",
    }


def test_looking_changes_nothing_however_often(shop: Shop) -> None:
    shop.seen()
    before = shop.house.everything()
    for _ in range(3):
        assert shop.look().status == 200
    assert shop.house.everything() == before


def test_it_shows_the_charge_that_canceling_now_makes(shop: Shop) -> None:
    fee = {"merchant_item_id": "FEE", "description": "Early end", "pricing": {"cost": 25}}
    shop.call("POST", "/rest/v2/item/items", fee)
    tab = {"auto_orderable": True, "auto_order_schedules": ["Monthly"], "auto_order_cancel_item_id": "FEE"}
    assert shop.call("PUT", f"/rest/v2/item/items/{shop.item_oid}", {"auto_order": tab}).status == 200
    assert shop.seen()["charges"] == [{"item_id": "FEE", "description": "Early end", "cost": 25}]


def test_the_reasons_that_customers_see_are_shown_in_their_words(shop: Shop) -> None:
    shop.rules(cancel_reasons=REASONS)
    seen = shop.seen()
    assert seen["reason_required"] is True
    assert seen["cancel_reasons"] == [
        {"cancel_reason": "Too expensive", "description": "It costs too much"},
        {"cancel_reason": "Moved", "description": "Moved"},
    ]


# --- POST acts -------------------------------------------------------------------------------------------------------


def test_a_customer_cancels_and_it_is_he_who_canceled(shop: Shop) -> None:
    reply = shop.cancel()
    assert reply.status == 200, reply.body
    shown = reply.json["cancellation"]
    assert (shown["status"], shown["may_cancel"], shown["canceled_dts"]) == (
        "canceled",
        False,
        "2027-01-31T15:00:00-05:00",
    )
    stands = shop.auto_order()
    assert (stands["status"], stands["enabled"], stands["canceled_by_user"]) == ("canceled", False, "Jane@example.com")
    assert shop.house.events().count("auto_order_cancel") == 1
    assert shop.mails(f"auto_order#{shop.oid}") == [("canceled", "planned")]


def test_canceling_twice_is_canceling_once(shop: Shop) -> None:
    first = shop.cancel()
    shop.house.clock.pass_(days=3)
    stands = shop.auto_order()
    again = shop.cancel()
    assert again.json == first.json
    assert shop.auto_order() == stands
    assert shop.house.events().count("auto_order_cancel") == 1


def test_what_the_merchant_has_restarted_can_be_canceled_by_the_same_link(shop: Shop) -> None:
    shop.cancel()
    edit.update(shop.house.open_shop("DEMO"), shop.oid, {"enabled": True})
    assert shop.seen()["may_cancel"] is True
    assert shop.cancel().json["cancellation"]["status"] == "canceled"


def test_after_a_cancel_nothing_is_billed_any_more(shop: Shop) -> None:
    shop.cancel()
    posts = shop.house.sandbox.posts()
    shop.house.clock.pass_(days=60)
    rebill(shop.house.open_shop("DEMO"), shop.oid)
    assert shop.house.sandbox.posts() == posts


# --- reasons ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", [None, "Fraud", "It costs too much", "Bored"])
def test_where_customers_see_reasons_one_of_them_must_be_named(shop: Shop, reason: str | None) -> None:
    shop.rules(cancel_reasons=REASONS)
    reply = shop.cancel(**({"cancel_reason": reason} if reason else {}))
    assert (reply.status, reply.problems) == (400, {"/cancel_reason": "not_allowed_value"})
    assert reply.message("/cancel_reason") == "is required; allowed are 'Too expensive', 'Moved'"
    assert shop.auto_order()["status"] == "active"


def test_a_reason_that_is_named_is_kept(shop: Shop) -> None:
    shop.rules(cancel_reasons=REASONS)
    assert shop.cancel(cancel_reason="Too expensive").status == 200
    assert shop.auto_order()["cancel_reason"] == "Too expensive"


def test_where_customers_see_no_reason_they_need_none_and_the_merchant_still_does(shop: Shop) -> None:
    shop.rules(cancel_reasons=[{"reason": "Fraud", "visible_in_myaccount": False}])
    assert shop.seen()["reason_required"] is False
    path = f"/rest/v2/auto_order/auto_orders/{shop.oid}"
    assert shop.call("PUT", path, {"enabled": False, "canceled_by_user": "anna"}).status == 400
    assert shop.cancel().status == 200


def test_where_no_reason_is_asked_for_none_is_taken(shop: Shop) -> None:
    assert shop.cancel(cancel_reason="Moved").problems == {"/cancel_reason": "not_allowed_value"}


# --- prohibited until ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [None, 0])
def test_without_the_setting_he_may_cancel_on_the_day_of_the_shipment(shop: Shop, days: int | None) -> None:
    if days is not None:
        shop.rules(prohibit_cancellation_until_days=days)
    shop.ship("2027-01-31")
    assert "earliest_cancel_dts" not in shop.seen()
    assert shop.cancel().status == 200


def test_before_the_day_a_cancel_is_refused_with_the_date_and_on_it_it_is_not(shop: Shop) -> None:
    shop.rules(prohibit_cancellation_until_days=10)
    shop.house.clock.pass_(days=3)  # the third of February
    shop.ship("2027-02-02")
    shop.house.clock.go(parse_instant("2027-02-11T23:59:59-05:00"))
    seen = shop.seen()
    assert (seen["may_cancel"], seen["earliest_cancel_dts"]) == (False, "2027-02-12T00:00:00-05:00")
    reply = shop.cancel()
    assert (reply.status, reply.problems) == (400, {"": "prohibited_until"})
    assert reply.message("") == "You can cancel this auto order from 12 February 2027 on."
    assert shop.auto_order()["status"] == "active"
    shop.house.clock.pass_(seconds=1)
    assert shop.seen()["may_cancel"] is True
    assert shop.cancel().status == 200


def test_the_days_count_from_the_latest_shipment_of_any_of_its_orders(shop: Shop) -> None:
    shop.rules(prohibit_cancellation_until_days=10)
    shop.ship("2027-01-31")
    first = shop.bill()
    shop.house.clock.pass_(days=2)
    assert shop.seen()["may_cancel"] is True, "the rebill has not been shipped, the first shipment is long ago"
    shop.ship("2027-03-01", first)
    assert shop.seen()["earliest_cancel_dts"] == "2027-03-11T00:00:00-05:00"


def test_where_nothing_is_tracked_they_count_from_the_last_billing(shop: Shop) -> None:
    shop.rules(prohibit_cancellation_until_days=10)
    assert shop.seen()["earliest_cancel_dts"] == "2027-02-10T00:00:00-05:00"
    shop.bill()
    assert shop.seen()["earliest_cancel_dts"] == "2027-03-10T00:00:00-05:00"


def test_all_that_is_wrong_is_said_at_once(shop: Shop) -> None:
    shop.rules(prohibit_cancellation_until_days=10, cancel_reasons=REASONS)
    assert shop.cancel().problems == {"": "prohibited_until", "/cancel_reason": "not_allowed_value"}


def test_the_merchant_may_cancel_at_any_time(shop: Shop) -> None:
    shop.rules(prohibit_cancellation_until_days=10)
    path = f"/rest/v2/auto_order/auto_orders/{shop.oid}"
    reply = shop.call("PUT", path, {"enabled": False, "canceled_by_user": "anna"})
    assert reply.json["auto_order"]["status"] == "canceled"


def test_what_prohibits_it_is_explained_by_its_setting(shop: Shop) -> None:
    path = f"/rest/v2/auto_order/auto_orders/{shop.oid}/explain"
    named = [one["code"] for one in shop.call("GET", path).json["explanation"]["reasons"]]
    assert "customer_may_cancel_later" not in named
    shop.rules(prohibit_cancellation_until_days=10)
    explanation = shop.call("GET", path).json["explanation"]
    assert {
        "code": "customer_may_cancel_later",
        "params": {"from": "2027-02-10"},
        "setting": "prohibit_cancellation_until_days",
        "setting_of": "auto_order_processing",
    } in explanation["reasons"]
    (setting,) = [one for one in explanation["settings"] if one["name"] == "prohibit_cancellation_until_days"]
    assert (setting["value"], setting["decided"]) == (10, True)


# --- the link itself -------------------------------------------------------------------------------------------------


def test_what_is_no_link_of_this_shop_opens_nothing(shop: Shop) -> None:
    links = shop.house.open_shop("DEMO").links
    shop.house.found("OTHER")
    for token in (
        links.sign("update_billing", str(shop.oid), DAY),
        shop.house.open_shop("OTHER").links.sign("cancel", str(shop.oid), DAY),
        shop.token[:-1],
        "nothing",
    ):
        assert (shop.look(token).status, shop.look(token).json["code"]) == (401, "invalid_credentials")
        assert shop.call("POST", CANCEL, {"token": token}, browser=True).status == 401
    assert shop.auto_order()["status"] == "active"


def test_a_link_that_has_expired_says_so_and_cancels_nothing(shop: Shop) -> None:
    shop.house.clock.pass_(days=90)
    reply = shop.cancel()
    assert reply.status == 401
    assert "expired" in reply.json["error"]["user_message"]
    assert shop.auto_order()["status"] == "active"


def test_a_request_without_a_token_is_told_so(shop: Shop) -> None:
    assert shop.call("GET", CANCEL, browser=True).problems == {"/token": "required"}
    assert shop.call("POST", CANCEL, {}, browser=True).problems == {"/token": "required"}


def test_a_page_of_an_allowed_origin_may_read_the_answer_and_no_other(shop: Shop) -> None:
    path = f"{CANCEL}?token={shop.token}"
    allowed = shop.call("GET", path, browser=True, headers={"Origin": "https://shop.example.com"})
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://shop.example.com"
    assert shop.call("GET", path, browser=True, headers={"Origin": "https://evil.example"}).status == 403
    preflight = shop.house.call("OPTIONS", CANCEL)
    assert (preflight.status, preflight.headers["Access-Control-Allow-Methods"]) == (204, "GET, POST")


# --- asking for a link -----------------------------------------------------------------------------------------------


def asked(shop: Shop, **more: Any) -> list[Any]:
    """The mails that went out because somebody asked for a link."""
    body = {"email": "jane@example.com", "order_id": shop.order_id} | more
    reply = shop.call("POST", CANCEL_LINK, body, browser=True)
    assert (reply.status, reply.json) == (200, {"success": True, "metadata": {}})
    for queue, message in shop.house.sent.take():
        name = read_waiting_name(message["subject"])
        assert queue == "deliver"
        assert name is not None
        send_mail(shop.house.open_shop("DEMO"), *name)
    return shop.house.outside.mails


def test_who_asks_for_a_link_gets_it_at_the_address_of_the_order_whatever_the_settings_say(shop: Shop) -> None:
    shop.rules(suppress_easy_cancel_emails=True, skip_receipt_email=True)
    shop.house.sent.take()
    (mail,) = asked(shop)
    assert (mail.to, mail.subject) == ("Jane@example.com", "How to cancel your auto order at Demo Shop")
    assert f"You asked how to cancel your auto order at Demo Shop (order {shop.order_id})." in mail.text
    found = re.search(r"/storefront/cancel\?merchant_id=DEMO&token=([\w.-]+)", mail.text)
    assert found is not None
    assert shop.look(found[1]).json["cancellation"]["may_cancel"] is True


def test_a_stranger_learns_nothing_and_mails_nobody(shop: Shop) -> None:
    shop.house.sent.take()
    assert asked(shop, email="mallory@example.com") == []
    assert asked(shop, order_id="DEMO-0000000000") == []


def test_a_mailbox_is_not_filled_by_strangers(shop: Shop) -> None:
    body = {"email": "jane@example.com", "order_id": shop.order_id}
    statuses = [shop.call("POST", CANCEL_LINK, body, browser=True, address=f"203.0.113.{n}").status for n in range(4)]
    assert statuses == [200, 200, 200, 429]


def test_somebody_who_tries_order_ids_is_stopped(shop: Shop) -> None:
    statuses = [
        shop.call("POST", CANCEL_LINK, {"email": "a@b.example", "order_id": f"X-{n}"}, browser=True).status
        for n in range(11)
    ]
    assert statuses == [200] * 10 + [429]


# --- the merchant's links --------------------------------------------------------------------------------------------


def test_the_merchant_has_a_link_for_the_shop_and_one_for_each_storefront_to_copy(shop: Shop) -> None:
    links = shop.call("GET", f"{RULES}/links").json["links"]
    own = "http://127.0.0.1:8000/storefront/cancel?merchant_id=DEMO"
    assert links == [
        {"url": own, "html": f'<a href="{own}">Cancel your auto order</a>'},
        {
            "url": f"{own}&storefront=shop.example.com",
            "html": f'<a href="{own}&amp;storefront=shop.example.com">Cancel your auto order</a>',
            "storefront": "shop.example.com",
        },
    ]
