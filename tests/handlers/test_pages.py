"""The pages of a customer's links: GET shows and changes nothing, POST acts once, what goes wrong is told in words."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest

from chalicelib.domain.mails import read_waiting_name
from chalicelib.domain.payments import Capabilities
from chalicelib.flows.notify import send_mail
from chalicelib.flows.rebill import rebill
from chalicelib.gateways.sandbox import PROFILES, Sandbox
from tests.handlers.test_cancellation import DAY, REASONS, Shop
from tests.houses import Reply

CANCEL = "/storefront/cancel"
UPDATE = "/storefront/update_billing"
GOOD, DECLINED, STOLEN, HANGS = "4242424242424242", "4000000000000002", "4000000000009979", "4000000000000119"
EVIL = "<script>alert(1)</script>"


class Pages(Shop):
    """The shop of the cancellation's tests, visited by a browser."""

    def __init__(self) -> None:
        super().__init__()
        links = self.house.open_shop("DEMO").links
        self.billing = links.sign("update_billing", str(self.oid), 30 * DAY)
        self.forms: dict[str, str] = {}

    def get(self, path: str = CANCEL, token: str | None = None, merchant_id: str = "DEMO") -> Reply:
        token = token or (self.token if path == CANCEL else self.billing)
        return self.house.call("GET", path, query={"merchant_id": merchant_id, "token": token})

    def post(self, path: str = CANCEL, **fields: str) -> Reply:
        token = self.token if path == CANCEL else self.billing
        said = {"merchant_id": "DEMO", "token": token} | fields
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self.house.call("POST", path, urlencode(said).encode(), headers=kind)

    def card(self, number: str = GOOD, form: str = "one", **more: str) -> Reply:
        """A form that is sent; of the same form the same amount that it was shown with."""
        said = {"card_number": number, "card_expiration_month": "4", "card_expiration_year": "2040", "form": form}
        return self.post(UPDATE, **(said | {"due": self.due_of(form)} | more))

    def due_of(self, form: str) -> str:
        if form not in self.forms:
            found = re.search(r'name="due" value="([\d.]*)"', self.get(UPDATE).body)
            assert found is not None
            self.forms[form] = found[1]
        return self.forms[form]

    def fall_due(self, *, receivable: bool = False) -> None:
        """The next billing, declined; ``receivable``: for the last time."""
        self.bad_card()
        shop = self.house.open_shop("DEMO")
        while not self.is_declined(receivable):
            self.house.clock.go(shop.auto_orders.read(self.oid)[1].due_dts or self.house.clock.now())
            rebill(shop, self.oid)
        self.billing = shop.links.sign("update_billing", str(self.oid), 30 * DAY)

    def is_declined(self, receivable: bool) -> bool:
        head = self.house.open_shop("DEMO").auto_orders.read(self.oid)[1]
        return bool(head.state.receivables if receivable else head.round)

    def bad_card(self) -> None:
        card = {"card_number": DECLINED, "card_expiration_month": 12, "card_expiration_year": 2040}
        token = self.call("POST", "/storefront/card_tokens", card, browser=True).json["card_token"]
        path = f"/rest/v2/auto_order/auto_orders/{self.oid}/payment"
        assert self.call("PUT", path, {"card_number_token": token}).status == 200

    def stored_card(self) -> Any:
        order = self.call("GET", f"/rest/v2/order/orders/{self.order_id}?_expand=payment").json["order"]
        return order["payment"]["credit_card"]["card_number"]

    def next_days(self) -> list[str]:
        shown = self.call("GET", f"/rest/v2/auto_order/auto_orders/{self.oid}?_expand=items").json
        items = shown["auto_order"]["items"]
        return [item["next_shipment_dts"][:10] for item in items]


@pytest.fixture
def shop() -> Pages:
    return Pages()


def text(reply: Reply) -> str:
    """What of a page can be read."""
    body = unescape(re.sub(r"<[^>]+>", " ", reply.body.partition("<body>")[2]))
    return re.sub(r"\s+", " ", body)


def day_field(reply: Reply) -> str:
    found = re.search(r'name="day" value="([\d-]+)"', reply.body)
    assert found is not None, reply.body
    return found[1]


# --- every page -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [CANCEL, UPDATE])
def test_a_page_lets_nothing_in_from_outside_and_tells_nobody_its_address(shop: Pages, path: str) -> None:
    for reply in (shop.get(path), shop.get(path, token="nothing"), shop.house.call("GET", path)):
        assert reply.headers["Content-Security-Policy"] == (
            "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
        assert reply.headers["Content-Type"] == "text/html; charset=UTF-8"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "<script" not in reply.body
        assert "style=" not in reply.body


@pytest.mark.parametrize("path", [CANCEL, UPDATE])
def test_looking_changes_nothing_however_often(shop: Pages, path: str) -> None:
    shop.fall_due()
    shop.get(path)
    before, posts = shop.house.everything(), shop.house.sandbox.posts()
    for _ in range(3):
        assert shop.get(path).status == 200
    assert (shop.house.everything(), shop.house.sandbox.posts()) == (before, posts)


@pytest.mark.parametrize("path", [CANCEL, UPDATE])
def test_what_people_typed_is_shown_as_text(shop: Pages, path: str) -> None:
    shop.call("PUT", f"/rest/v2/item/items/{shop.item_oid}", {"description": EVIL})
    shop.call("PUT", "/rest/v2/configuration/merchant", {"name": EVIL})
    shop.rules(cancel_reasons=[{"reason": EVIL}])
    reply = shop.get(path)
    assert "<script" not in reply.body
    assert text(reply).count(EVIL) >= 2


def test_what_was_typed_into_a_field_comes_back_as_text(shop: Pages) -> None:
    reply = shop.post(do="mail", email='"><script>', order_id='"><script>')
    assert reply.status == 400
    assert "<script" not in reply.body


@pytest.mark.parametrize("path", [CANCEL, UPDATE])
def test_another_shops_link_another_purposes_and_a_changed_one_open_nothing(shop: Pages, path: str) -> None:
    shop.house.found("OTHER")
    purpose, other = ("cancel", "update_billing") if path == CANCEL else ("update_billing", "cancel")
    links = shop.house.open_shop("DEMO").links
    theirs = shop.house.open_shop("OTHER").links.sign(purpose, str(shop.oid), DAY)  # type: ignore[arg-type]
    for token in (theirs, links.sign(other, str(shop.oid), DAY), "nothing", "ä"):  # type: ignore[arg-type]
        reply = shop.get(path, token)
        assert reply.status == 403
        assert "The link is not valid" in text(reply)
        assert "Tea" not in reply.body
        assert shop.post(path, token=token, do="cancel", card_number=GOOD).status in (400, 403)
    assert shop.auto_order()["status"] == "active"
    assert shop.get(path, merchant_id="OTHER").status == 403


@pytest.mark.parametrize("path", [CANCEL, UPDATE])
def test_a_link_that_has_expired_says_so(shop: Pages, path: str) -> None:
    shop.house.clock.pass_(days=91)
    reply = shop.get(path)
    assert (reply.status, "The link has expired" in text(reply)) == (403, True)


@pytest.mark.parametrize("merchant_id", ["", "NONE", "demo", EVIL])
def test_a_shop_that_does_not_exist_has_no_pages(shop: Pages, merchant_id: str) -> None:
    before = shop.house.everything()
    for reply in (shop.get(merchant_id=merchant_id), shop.post(merchant_id=merchant_id, do="mail", email="a@b.c")):
        assert (reply.status, "There is no such shop" in text(reply)) == (404, True)
    assert shop.house.everything() == before


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join(b"a=1" for _ in range(50)), b"{}"])
def test_what_is_no_form_of_ours_is_refused_on_a_page(shop: Pages, body: bytes) -> None:
    reply = shop.house.call("POST", CANCEL, body)
    assert reply.status in (400, 404)
    assert reply.headers["Content-Type"].startswith("text/html")


def test_what_breaks_inside_is_told_on_a_page_that_shows_nothing_of_it(
    shop: Pages, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(merchant_id: str) -> Any:
        raise RuntimeError("the inside")

    shop.house.payments_of = broken
    reply = shop.get(UPDATE)
    assert (reply.status, "Nothing was lost" in text(reply)) == (500, True)
    assert reply.headers["Content-Security-Policy"]
    assert "the inside" not in reply.body
    assert "the inside" in caplog.text


def test_the_pages_have_one_style_in_light_and_dark(shop: Pages) -> None:
    reply = shop.house.call("GET", "/storefront/page.css")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/css; charset=UTF-8")
    assert "color-scheme: light dark" in reply.body


# --- cancel -----------------------------------------------------------------------------------------------------------


def test_a_link_shows_what_ends_when_the_next_would_come_and_that_it_costs_nothing(shop: Pages) -> None:
    shown = text(shop.get())
    assert "2 × Tea next on 28 February 2027" in shown
    assert "Canceling costs nothing" in shown
    assert "Cancel now" in shown
    assert "help@example.com" in shown


def test_a_cancel_item_that_is_owed_is_shown_with_its_amount(shop: Pages) -> None:
    fee = {"merchant_item_id": "FEE", "description": "Early end", "pricing": {"cost": 25}}
    shop.call("POST", "/rest/v2/item/items", fee)
    tab = {"auto_orderable": True, "auto_order_schedules": ["Monthly"], "auto_order_cancel_item_id": "FEE"}
    shop.call("PUT", f"/rest/v2/item/items/{shop.item_oid}", {"auto_order": tab})
    assert "one last charge, before shipping and tax: $25.00 Early end" in text(shop.get())


def test_canceling_twice_is_canceling_once_and_both_times_confirmed(shop: Pages) -> None:
    first, again = shop.post(do="cancel"), shop.post(do="cancel")
    assert (first.status, "was canceled on 31 January 2027" in text(first)) == (200, True)
    assert again.body == first.body == shop.get().body
    assert shop.auto_order()["canceled_by_user"] == "Jane@example.com"
    assert shop.house.events().count("auto_order_cancel") == 1


def test_the_reasons_are_shown_in_the_customers_words_and_one_must_be_chosen(shop: Pages) -> None:
    shop.rules(cancel_reasons=REASONS)
    shown = shop.get()
    assert "It costs too much" in shown.body
    assert "Fraud" not in shown.body
    reply = shop.post(do="cancel")
    assert reply.status == 400
    assert '<a href="#cancel_reason">Choose why you cancel.</a>' in reply.body
    assert 'id="cancel_reason"' in reply.body
    assert shop.auto_order()["status"] == "active"
    assert shop.post(do="cancel", cancel_reason="Too expensive").status == 200
    assert shop.auto_order()["cancel_reason"] == "Too expensive"


def test_before_the_day_the_page_says_the_date_and_has_no_button(shop: Pages) -> None:
    shop.rules(prohibit_cancellation_until_days=10)
    shown = shop.get()
    assert "You can cancel from 10 February 2027 on" in text(shown)
    assert "Cancel now" not in shown.body
    reply = shop.post(do="cancel")
    assert (reply.status, "from 10 February 2027 on." in text(reply)) == (400, True)
    assert shop.auto_order()["status"] == "active"


def test_instead_of_canceling_the_next_shipment_is_skipped_once_however_often_it_is_asked(shop: Pages) -> None:
    shown = shop.get()
    assert "Nothing is sent on 28 February 2027. The next one comes on 31 March 2027." in text(shown)
    day = day_field(shown)
    for _ in range(2):
        reply = shop.post(do="skip", day=day)
        assert (reply.status, "next on 31 March 2027" in text(reply)) == (200, True)
        assert shop.next_days() == ["2027-03-31"]
    assert shop.auto_order()["status"] == "active"
    assert shop.post(do="skip", day=day_field(reply)).status == 200
    assert shop.next_days() == ["2027-04-30"]


def test_only_what_comes_next_is_skipped_and_other_items_keep_their_dates(shop: Pages) -> None:
    tab = {"auto_orderable": True, "auto_order_schedules": ["Weekly"]}
    shop.call("POST", "/rest/v2/item/items", {"merchant_item_id": "CUP", "pricing": {"cost": 3}, "auto_order": tab})
    path = f"/rest/v2/auto_order/auto_orders/{shop.oid}"
    items = shop.call("GET", f"{path}?_expand=items").json["auto_order"]["items"]
    cup = {"original_item_id": "CUP", "original_quantity": 1, "frequency": "Weekly"}
    cup["next_shipment_dts"] = "2027-02-24T00:00:00-05:00"
    reply = shop.call("PUT", path, {"items": [*items, cup]})
    assert reply.status == 200, reply.body
    shown = shop.get()
    assert "Nothing is sent on 24 February 2027. The next one comes on 28 February 2027." in text(shown)
    shop.post(do="skip", day=day_field(shown))
    assert shop.next_days() == ["2027-02-28", "2027-03-03"]
    assert "The next shipment comes on 28 February 2027" not in text(shop.get()), "it is said to who has just skipped"


def test_nothing_is_offered_to_skip_while_a_payment_waits_to_be_tried_again(shop: Pages) -> None:
    shop.fall_due()
    shown = shop.get()
    assert "Cancel now" in shown.body
    assert "Skip" not in shown.body
    days = shop.next_days()
    reply = shop.post(do="skip", day=days[0])
    assert (reply.status, "cannot be skipped any more" in text(reply)) == (400, True)
    assert shop.next_days() == days


def test_what_was_billed_meanwhile_is_not_said_to_be_skipped(shop: Pages) -> None:
    day = day_field(shop.get())
    shop.bill()
    days = shop.next_days()
    reply = shop.post(do="skip", day=day)
    assert (reply.status, "cannot be skipped any more" in text(reply)) == (400, True)
    assert shop.next_days() == days


@pytest.mark.parametrize("day", ["", "soon", "2027-02-27"])
def test_a_day_on_which_nothing_comes_skips_nothing(shop: Pages, day: str) -> None:
    shop.post(do="skip", day=day)
    assert shop.next_days() == ["2027-02-28"]


def test_an_item_of_which_nothing_comes_after_is_not_offered_to_skip(shop: Pages) -> None:
    items = shop.call("GET", f"/rest/v2/auto_order/auto_orders/{shop.oid}?_expand=items").json["auto_order"]["items"]
    items[0]["no_order_after_dts"] = "2027-03-05T00:00:00-05:00"
    path = f"/rest/v2/auto_order/auto_orders/{shop.oid}"
    assert shop.call("PUT", path, {"items": items}).status == 200
    assert "Skip" not in shop.get().body


# --- asking for a link ------------------------------------------------------------------------------------------------


def mails(shop: Pages) -> list[Any]:
    for queue, message in shop.house.sent.take():
        name = read_waiting_name(message["subject"])
        assert queue == "deliver"
        assert name is not None
        send_mail(shop.house.open_shop("DEMO"), *name)
    return shop.house.outside.mails


def test_without_a_link_a_page_asks_whose_auto_order_it_is(shop: Pages) -> None:
    reply = shop.house.call("GET", CANCEL, query={"merchant_id": "DEMO"})
    assert reply.status == 200
    assert 'for="email"' in reply.body
    assert 'for="order_id"' in reply.body


def test_by_order_or_by_code_a_link_is_mailed_that_opens_the_page(shop: Pages) -> None:
    shop.house.sent.take()
    for number, named in enumerate((shop.order_id, shop.auto_order()["auto_order_code"]), start=1):
        shop.post(do="mail", token="", email="jane@example.com", order_id=named)
        sent = mails(shop)
        assert len(sent) == number
        found = re.search(r"/storefront/cancel\?merchant_id=DEMO&token=([\w.-]+)", sent[-1].text)
        assert found is not None
        assert "Cancel now" in shop.get(token=found[1]).body


def test_a_stranger_is_told_the_same_and_mails_nobody(shop: Pages) -> None:
    shop.house.sent.take()
    known = shop.post(do="mail", token="", email="jane@example.com", order_id=shop.order_id)
    assert len(mails(shop)) == 1
    for email, order_id in (("mallory@example.com", shop.order_id), ("jane@example.com", "DEMO-1")):
        reply = shop.post(do="mail", token="", email=email, order_id=order_id)
        assert (reply.status, reply.body) == (known.status, known.body)
    assert len(mails(shop)) == 1


def test_what_is_missing_is_said_at_its_field(shop: Pages) -> None:
    reply = shop.post(do="mail", token="", email="", order_id="a b")
    assert reply.status == 400
    assert '<a href="#email">' in reply.body
    assert '<a href="#order_id">' in reply.body
    assert 'aria-describedby="email-hint email-error" aria-invalid="true"' in reply.body


def test_who_tries_too_often_is_asked_to_wait(shop: Pages) -> None:
    replies = [shop.post(do="mail", token="", email="a@b.example", order_id=f"X-{n}") for n in range(11)]
    assert [reply.status for reply in replies] == [200] * 10 + [429]
    assert re.search(r"try again in \d+ minutes?\.", text(replies[-1]))
    assert int(replies[-1].headers["Retry-After"]) > 0


# --- update billing ---------------------------------------------------------------------------------------------------


def test_a_link_shows_the_card_and_that_nothing_is_due(shop: Pages) -> None:
    shown = text(shop.get(UPDATE))
    assert "Card now VISA ending in 1111, expires 12/2040 Due now nothing" in shown
    assert "4111111111111111" not in shown


def test_where_nothing_is_due_a_card_is_set_and_not_charged(shop: Pages) -> None:
    posts = shop.house.sandbox.posts()
    reply = shop.card()
    assert (reply.status, "The new card is saved" in text(reply)) == (200, True)
    assert shop.stored_card().endswith("4242")
    assert shop.house.sandbox.posts() == posts


def test_what_is_due_is_shown_and_charged_to_the_new_card_once(shop: Pages) -> None:
    shop.fall_due()
    assert "$19.00 is due and is charged to the new card at once." in text(shop.get(UPDATE))
    posts = shop.house.sandbox.posts()
    first, again = shop.card(), shop.card()
    assert (first.status, "Thank you, it is paid" in text(first)) == (200, True)
    assert again.body == first.body
    assert shop.house.sandbox.posts() == posts + 1
    assert "Due now nothing" in text(shop.get(UPDATE))
    assert shop.auto_order()["status"] == "active"


def test_what_fell_due_after_the_page_was_shown_is_shown_first_and_not_charged(shop: Pages) -> None:
    assert shop.due_of("one") == "0"
    shop.fall_due()
    posts = shop.house.sandbox.posts()
    reply = shop.card()
    assert (reply.status, "What is due has changed" in text(reply)) == (400, True)
    assert "$19.00 is due" in text(reply)
    assert shop.house.sandbox.posts() == posts
    assert shop.stored_card().endswith("0002")
    assert "Thank you, it is paid" in text(shop.card(form="two"))


def test_a_form_that_was_sent_charges_no_other_amount_than_it_said(shop: Pages) -> None:
    assert "Nothing is due now" in text(shop.card())
    shop.fall_due()
    posts = shop.house.sandbox.posts()
    assert "What is due has changed" in text(shop.card(due="18"))
    assert "The new card is saved" in text(shop.card())
    assert shop.house.sandbox.posts() == posts


def test_what_waits_in_accounts_receivable_is_due_too_and_paid_by_the_new_card(shop: Pages) -> None:
    shop.rules(number_of_retries=1, send_failures_to_accounts_receivable=True)
    shop.fall_due(receivable=True)
    assert "$19.00 is due" in text(shop.get(UPDATE))
    posts = shop.house.sandbox.posts()
    assert "Thank you, it is paid" in text(shop.card())
    assert shop.house.sandbox.posts() == posts + 1


def test_a_declined_card_is_told_in_plain_words_and_the_same_form_again_tries_nothing(shop: Pages) -> None:
    shop.fall_due()
    posts = shop.house.sandbox.posts()
    for _ in range(2):
        reply = shop.card(STOLEN)
        assert reply.status == 400
        assert "The payment was not accepted." in text(reply)
        assert "stolen" not in reply.body.lower()
        assert shop.house.sandbox.posts() == posts + 1
    assert "Thank you, it is paid" in text(shop.card(GOOD)), "another card by the same form is another try"


def test_a_card_that_the_bank_refused_for_good_is_refused_at_its_field(shop: Pages) -> None:
    shop.fall_due()
    shop.card(STOLEN)
    reply = shop.card(STOLEN, form="two")
    assert reply.status == 400
    assert '<a href="#card_number">The bank refused this card. Please use another card.</a>' in reply.body


def test_an_outcome_that_is_not_known_yet_is_told_as_that(shop: Pages) -> None:
    shop.fall_due()
    reply = shop.card(HANGS)
    assert (reply.status, "Please do not pay again" in text(reply)) == (200, True)
    assert "Due now being processed" in text(shop.get(UPDATE))


def test_all_that_is_wrong_is_said_at_its_field(shop: Pages) -> None:
    before = shop.house.everything()
    reply = shop.card("12", card_expiration_month="13", card_expiration_year="x")
    assert reply.status == 400
    assert "<title>Error: " in reply.body
    for name in ("card_number", "card_expiration_month", "card_expiration_year"):
        assert f'<a href="#{name}">' in reply.body
        assert f'id="{name}-error"' in reply.body
    assert shop.house.everything() == before


def test_a_card_that_has_expired_and_a_number_with_a_typing_error_are_said_so(shop: Pages) -> None:
    reply = shop.card("4242424242424241", card_expiration_year="2026")
    assert '<a href="#card_number">Enter the card number as it stands on the card.</a>' in reply.body
    assert '<a href="#card_expiration_year">The card has expired.' in reply.body
    assert shop.stored_card().endswith("1111")


def test_the_number_is_in_no_page_no_record_and_no_log(shop: Pages, caplog: pytest.LogCaptureFixture) -> None:
    shop.fall_due()
    replies = [shop.card(DECLINED), shop.card("4242424242424241"), shop.card(GOOD, form="two")]
    seen = "".join(reply.body for reply in replies) + shop.house.everything() + caplog.text
    for number in (DECLINED, "4242424242424241", GOOD):
        assert number not in seen


def test_a_brand_that_the_shop_does_not_take_is_refused_at_its_field(shop: Pages) -> None:
    shop.rules(restrict_visa=True)
    assert "does not take this kind of card" in text(shop.card())


def test_somebody_who_tests_cards_is_stopped(shop: Pages) -> None:
    statuses = [shop.card("4242424242424241", form=str(n)).status for n in range(11)]
    assert statuses == [400] * 10 + [429]


def test_a_canceled_auto_order_needs_no_card(shop: Pages) -> None:
    shop.post(do="cancel")
    assert "no card is needed" in text(shop.get(UPDATE))


def test_where_no_account_takes_numbers_the_shop_will_be_in_touch(shop: Pages) -> None:
    hosted = Sandbox(now=shop.house.clock.now, capabilities=Capabilities(refund=True))
    assert PROFILES["full"].numbers
    shop.house.payments_of = lambda merchant_id: {"sandbox": hosted}
    shown = shop.get(UPDATE)
    assert "The shop will be in touch" in text(shown)
    assert 'href="mailto:help@example.com"' in shown.body
    assert "<form" not in shown.body
