"""Mails from event to inbox: planned once, decided anew, at most twice where nobody knows, problems at most once."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from itertools import count, product
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.domain import mails as rules
from chalicelib.domain import wire
from chalicelib.domain.auto_orders import AutoOrder, AutoOrderItem
from chalicelib.domain.customers import Customer
from chalicelib.domain.dates import later, parse_instant
from chalicelib.domain.errors import Contended, Refused, Unauthorised
from chalicelib.domain.events import Event, Happening, Notice, NounKind, Template, event_id
from chalicelib.domain.heads import Head, ItemProgress, State
from chalicelib.domain.items import Item, ItemAutoOrder, ItemAutoOrderStep, ItemPricing
from chalicelib.domain.mails import Mail, SentMail
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import Currency
from chalicelib.domain.notices import NoticeTemplate
from chalicelib.domain.orders import (
    Order,
    OrderBilling,
    OrderItem,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderShipping,
    OrderSummary,
)
from chalicelib.domain.problems import ShopProblem
from chalicelib.domain.rebills import Rise
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.flows import digest
from chalicelib.flows.notify import plan_mails, send_mail
from chalicelib.gateways.letters import compose
from chalicelib.gateways.links import SignedLinks
from chalicelib.gateways.mail import message_of
from chalicelib.stores.auto_orders import AutoOrders
from chalicelib.stores.configuration import Configuration
from chalicelib.stores.mails import Mails
from chalicelib.stores.orders import Orders
from chalicelib.stores.port import Change
from chalicelib.stores.problems import Problems
from chalicelib.stores.shelf import Shelf
from chalicelib.stores.sqlite import SqliteTables
from chalicelib.stores.waiting import Waiting

NOW = parse_instant("2027-01-31T12:00:00-05:00")
OID = 7
KINDS: dict[Template, NounKind] = {
    "receipt": "order",
    "shipment": "order",
    "preshipment_notice": "auto_order",
    "price_notice": "auto_order",
    "action_needed": "auto_order",
    "update_billing": "auto_order",
    "disabled": "auto_order",
    "card_expiring": "auto_order",
    "easy_cancel": "order",
    "canceled": "auto_order",
    "held": "auto_order",
}
RISE = Rise(oid=1, occurrence=1, item_id="TEA", quantity=Decimal(2), paid=Decimal(1), unit_cost=Decimal("9.5"))
NEXT_ATTEMPT = "2027-02-03T00:00:00-05:00"
FACTS: dict[Template, dict[str, str]] = {
    "preshipment_notice": {"day": "2027-02-03"},
    "price_notice": {"day": "2027-02-03", "rises": wire.kept([RISE])},
    "action_needed": {"attempt": "1", "next_attempt": NEXT_ATTEMPT, "url": "https://bank.example/3ds"},
    "update_billing": {"attempt": "1", "next_attempt": NEXT_ATTEMPT, "reason": "stolen card"},
    "disabled": {"attempt": "3", "reason": "stolen card"},
    "card_expiring": {"month": "2027-03"},
    "held": {"code": "no_shipping_method", "message": "No shipping method is available."},
}
HEADS: dict[Template, Head] = {
    "action_needed": Head(status="active", round=1),
    "update_billing": Head(status="active", round=1),
    "disabled": Head(status="disabled", round=3),
    "canceled": Head(status="canceled"),
}
TEMPLATES = list(KINDS)


class Died(BaseException):
    """The worker is gone in the middle of its work."""


class Post:
    """A mail service. Each send does what the next step of ``script`` says; after the script all goes well."""

    def __init__(self, *script: str) -> None:
        self.script = list(script)
        self.delivered: list[Mail] = []
        self.asked = 0
        self.before: Callable[[], None] = lambda: None
        self.compose = compose

    def send(self, mail: Mail) -> None:
        self.asked += 1
        self.before()
        step = self.script.pop(0) if self.script else "sent"
        if step in ("sent", "sent, answer lost", "sent, died"):
            self.delivered.append(mail)
        if step.endswith("answer lost"):
            raise TimeoutError("no answer")
        if step.endswith("died"):
            raise Died
        if step == "down":
            raise ConnectionError("the service is down")
        if step == "refused":
            raise ValueError("the service calls it broken")


class Shop(SimpleNamespace):
    """One merchant's stores on a fresh engine, a clock that is set, and a mail service to script."""

    def __init__(self, *script: str, merchant_id: str = "DEMO", port: SqliteTables | None = None) -> None:
        self.port = port or SqliteTables()
        self.time = NOW
        self.post = Post(*script)
        words = count(1)
        super().__init__(
            merchant_id=merchant_id,
            clock=SimpleNamespace(now=lambda: self.time),
            configuration=Configuration(self.port, merchant_id),
            items=Shelf(self.port, merchant_id, "configuration", "item", Item),
            customers=Shelf(self.port, merchant_id, "customers", "customer", Customer),
            auto_orders=AutoOrders(self.port, merchant_id),
            orders=Orders(self.port, merchant_id),
            mails=Mails(self.port, merchant_id),
            problems=Problems(self.port, merchant_id),
            notice_templates=Shelf(self.port, merchant_id, "configuration", "notice_template", NoticeTemplate),
            links=SignedLinks("https://shop.example", lambda: "secret", merchant_id, lambda: self.time),
            mail=self.post,
            write=self.port.write,
            word=lambda: f"{merchant_id}-{next(words)}",
            time_left=lambda: 60.0,
        )

    def wait(self, **span: int) -> None:
        self.time = later(self.time, **span)

    def save(self, section: Merchant | AutoOrderProcessing) -> None:
        version = self.configuration.section(type(section)).version
        self.port.write(self.configuration.save(section, version))

    def due(self) -> list[tuple[str, str]]:
        """What the sweep would find now, as (about, mail id); it pushes what it finds, as the sweep does."""
        waiting, found = Waiting(self.port), []
        for shard in waiting.shards():
            rows, _ = waiting.due("deliveries", shard, self.time, 100)
            for row in rows:
                assert waiting.push(row, later(self.time, seconds=360))
                name = rules.read_waiting_name(row.subject)
                assert name is not None
                found.append(name)
        return found


def opened(*script: str, template: Template = "receipt", **customer: Any) -> Shop:
    """A shop with one auto order, its original order, a paid rebill and the customer's profile."""
    shop = Shop(*script)
    shop.save(Merchant(merchant_id="DEMO", name="Demo Shop", sender_email="shop@example.com", support_email="h@ex.com"))
    billing = OrderBilling(email="jane@example.com", first_name="Jane")
    card = OrderPaymentCreditCard(card_number="XXXXXXXXXXXX1111", card_type="VISA")
    card.card_expiration_month, card.card_expiration_year = 3, 2027
    original = Order(
        order_id="DEMO-1",
        currency_code="USD",
        billing=billing,
        current_stage="Completed Order",
        payment=OrderPayment(payment_status="Processed", payment_dts=NOW, credit_card=card),
        customer_profile_oid=99,
    )
    rebilled = replace(
        original,
        order_id="DEMO-1-001",
        run=1,
        auto_order_oid=OID,
        items=[OrderItem(merchant_item_id="TEA", description="Green tea", quantity=Decimal(2), cost=Currency("9.5"))],
        summary=OrderSummary(subtotal=Currency(19), total=Currency(19)),
    )
    step = ItemAutoOrderStep(
        type="item", recurring_merchant_item_id="TEA", schedule="Monthly", preshipment_notice_days=3
    )
    tea = Item(
        merchant_item_id="TEA",
        description="Green tea",
        pricing=ItemPricing(cost=Decimal("9.5")),
        auto_order=ItemAutoOrder(auto_order_upsell=True, steps=[step]),
    )
    document = AutoOrder(
        auto_order_oid=OID,
        auto_order_code="ABCDEFGHJK",
        original_order_id="DEMO-1",
        items=[AutoOrderItem(auto_order_item_oid=1, original_item_id="TEA", original_quantity=Decimal(2))],
        customer_profile_oid=99,
    )
    progress = ItemProgress(anchor=date(2027, 1, 3), noticed=1)
    head = replace(HEADS.get(template, Head(status="active")), state=State(items={"1": progress}))
    shop.port.write(
        shop.orders.placed(original),
        shop.orders.placed(rebilled),
        shop.items.inserted("TEA", tea),
        shop.customers.inserted(99, Customer(email="profile@example.com", customer_profile_oid=99, **customer)),
        *shop.auto_orders.begun(document, head),
    )
    return shop


def event(template: Template, name: str = "x") -> Event:
    about = "DEMO-1-001" if KINDS[template] == "order" else str(OID)
    return Event(
        event_id=event_id("DEMO", about, name),
        dts=NOW,
        happenings=[Happening(name="auto_order_update", kind="auto_order", id=str(OID))],
        notices=[Notice(template=template, kind=KINDS[template], id=about, facts=FACTS.get(template, {}))],
    )


def told(shop: Shop, template: Template) -> SentMail:
    """What the fan-out does: plan, and write."""
    (planned,) = plan_mails(shop, event(template))  # type: ignore[arg-type]
    shop.port.write(shop.mails.planned(planned))
    return planned


def send(shop: Shop, mail: SentMail) -> SentMail:
    after = send_mail(shop, mail.about, mail.mail_id)  # type: ignore[arg-type]
    assert after is not None
    return after


def stands(shop: Shop, mail: SentMail) -> SentMail:
    kept = shop.mails.find(mail.about, mail.mail_id)
    assert kept is not None
    found: SentMail = kept.noun
    return found


# --- all goes well ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_planned_mail_is_sent_once_however_often_its_message_comes(template: Template) -> None:
    shop = opened(template=template)
    mail = told(shop, template)
    for _ in range(3):
        send(shop, mail)
    after = stands(shop, mail)
    assert (after.state, after.tries, after.send_dts) == ("sent", 1, NOW)
    assert len(shop.post.delivered) == 1
    shop.wait(days=30)
    assert shop.due() == []
    assert send(shop, mail) == after
    assert len(shop.post.delivered) == 1


def test_a_receipt_goes_to_the_customer_and_says_what_was_paid() -> None:
    shop = opened()
    after = send(shop, told(shop, "receipt"))
    (mail,) = shop.post.delivered
    assert (mail.to, mail.sender, mail.sender_name) == ("jane@example.com", "shop@example.com", "Demo Shop")
    assert (mail.reply_to, mail.merchant_id, mail.dts) == ("h@ex.com", "DEMO", NOW)
    assert mail.headers == {"Auto-Submitted": "auto-generated"}
    assert mail.subject == after.subject == "Your receipt for order DEMO-1-001"
    assert "2 x Green tea: $19.00" in mail.text
    assert "VISA ending in 1111" in mail.text
    assert mail.html is not None


def test_a_preshipment_notice_says_what_ships_when() -> None:
    shop = opened(template="preshipment_notice")
    send(shop, told(shop, "preshipment_notice"))
    (mail,) = shop.post.delivered
    assert mail.subject == "Your next shipment from Demo Shop on 3 February 2027"
    assert "2 x Green tea: $19.00" in mail.text


def test_a_decline_says_when_it_is_tried_again_and_not_what_the_bank_said() -> None:
    shop = opened(template="update_billing")
    send(shop, told(shop, "update_billing"))
    (mail,) = shop.post.delivered
    assert "attempt 1 of 3" in mail.text
    assert "3 February 2027" in mail.text
    assert "stolen" not in mail.text + (mail.html or "")


def test_a_hold_is_told_to_the_shop() -> None:
    shop = opened(template="held")
    send(shop, told(shop, "held"))
    (mail,) = shop.post.delivered
    assert mail.to == "h@ex.com"
    assert mail.subject == "Auto order ABCDEFGHJK needs you"


def test_a_payment_that_somebody_must_decide_on_is_told_about_its_order() -> None:
    shop = opened()
    facts = {"code": "payment_review", "message": "Please decide."}
    notice = Notice(template="held", kind="order", id="DEMO-1-001", facts=facts)
    (planned,) = plan_mails(shop, replace(event("held"), notices=[notice]))  # type: ignore[arg-type]
    shop.port.write(shop.mails.planned(planned))
    send(shop, planned)
    assert shop.post.delivered[0].subject == "Order DEMO-1-001 needs you"


def test_a_shipment_is_told_with_its_numbers() -> None:
    shop = opened(template="shipment")
    order = shop.orders.get("DEMO-1-001")
    sent_off = OrderShipping(tracking_numbers=["9400 1"], shipping_date=NOW)
    shop.port.write(shop.orders.edited(replace(order.noun, shipping=sent_off), order.version))
    send(shop, told(shop, "shipment"))
    (mail,) = shop.post.delivered
    assert mail.subject == "Your order DEMO-1-001 is on its way"
    assert "Tracking: 9400 1\n" in mail.text


def token_of(mail: Mail, page: str) -> str:
    found = re.search(rf"https://shop\.example/storefront/{page}\?merchant_id=DEMO&token=([\w.-]+)", mail.text)
    assert found is not None
    return found[1]


def test_the_second_mail_after_a_receipt_has_a_link_that_cancels_this_auto_order() -> None:
    shop = opened(template="easy_cancel")
    send(shop, told(shop, "easy_cancel"))
    (mail,) = shop.post.delivered
    assert shop.links.read("cancel", token_of(mail, "cancel")) == str(OID)
    assert "The next order is planned for 3 February 2027." in mail.text
    shop.wait(days=90)
    with pytest.raises(Unauthorised, match="expired"):
        shop.links.read("cancel", token_of(mail, "cancel"))


@pytest.mark.parametrize("template", ["update_billing", "disabled", "card_expiring"])
def test_mails_about_a_card_have_a_link_to_another_one(template: Template) -> None:
    shop = opened(template=template)
    send(shop, told(shop, template))
    token = token_of(shop.post.delivered[0], "update_billing")
    assert shop.links.read("update_billing", token) == str(OID)


def test_a_higher_price_is_told_with_a_link_to_cancel_before_it_is_charged() -> None:
    shop = opened(template="price_notice")
    send(shop, told(shop, "price_notice"))
    (mail,) = shop.post.delivered
    assert mail.subject == "A new price for your auto order at Demo Shop from 3 February 2027"
    assert "2 x Green tea: $9.50 each\n    until now $1.00 each\n" in mail.text
    assert shop.links.read("cancel", token_of(mail, "cancel")) == str(OID)


def test_what_the_bank_wants_to_confirm_is_a_link_to_the_bank() -> None:
    shop = opened(template="action_needed")
    send(shop, told(shop, "action_needed"))
    (mail,) = shop.post.delivered
    assert mail.subject == "Please confirm your payment to Demo Shop"
    assert "Confirm it here: https://bank.example/3ds\n" in mail.text


# --- the shop's own texts --------------------------------------------------------------------------------------------


def test_a_mail_is_laid_out_by_the_shops_own_texts_and_for_the_rest_by_the_defaults() -> None:
    shop = opened()
    own = NoticeTemplate(template="receipt", subject="Danke, {{ first_name }}!", text="{{ words.total }}")
    shop.port.write(shop.notice_templates.inserted("receipt", own))
    after = send(shop, told(shop, "receipt"))
    (mail,) = shop.post.delivered
    assert (mail.subject, mail.text, after.subject) == ("Danke, Jane!", "$19.00\n", "Danke, Jane!")
    assert "This is the receipt" in (mail.html or "")


def test_where_the_shops_own_text_fails_on_a_mail_it_goes_out_by_the_default_and_that_is_recorded() -> None:
    shop = opened()
    shop.port.write(shop.notice_templates.inserted("receipt", NoticeTemplate(text="\n{{ words.shipping_method }}")))
    after = send(shop, told(shop, "receipt"))
    assert "This is the receipt" in shop.post.delivered[0].text
    assert after.state == "sent"
    assert (after.failure_reason or "").startswith("the shop's own template does not fit this mail: line 2: words.ship")


# --- the digest ------------------------------------------------------------------------------------------------------


def noted(shop: Shop, number: int, code: str = "no_shipping_method") -> None:
    problem = ShopProblem(dts=shop.time, about=f"auto_order#{number}", code=code, message="Please look.")
    digest.note(shop, f"evt_{number}", problem)  # type: ignore[arg-type]


def test_the_problems_of_a_day_are_one_mail_on_the_next_morning_and_a_quiet_day_has_none() -> None:
    shop = opened()
    for number in (OID, 8, 8):
        noted(shop, number)
        shop.wait(minutes=1)
    assert shop.due() == []
    (mail,) = shop.mails.of("day#2027-01-31")
    assert send(shop, mail).state == "planned", "its morning has not come"
    shop.time = parse_instant("2027-02-01T06:59:00-05:00")
    assert shop.due() == []
    shop.wait(minutes=1)
    assert shop.due() == [(mail.about, mail.mail_id)]
    assert send(shop, mail).state == "sent"
    (delivered,) = shop.post.delivered
    assert (delivered.to, delivered.subject) == ("h@ex.com", "Problems of 31 January 2027: 2")
    assert "No shipping method: 2\n" in delivered.text
    assert "12:00  Auto order ABCDEFGHJK\n" in delivered.text, "the auto order is called by its code"
    assert "12:02  Auto order 8\n" in delivered.text, "what is noted twice is one problem"
    shop.wait(days=5)
    assert shop.due() == []


def test_a_problem_that_is_noted_late_is_in_the_digest_of_the_day_that_it_was_noted() -> None:
    shop = opened()
    problem = ShopProblem(dts=NOW, about="auto_order#7", code="disabled", message="x")
    shop.wait(days=2)
    digest.note(shop, "evt_1", problem)  # type: ignore[arg-type]
    assert len(shop.mails.of("day#2027-02-02")) == 1


# --- planning --------------------------------------------------------------------------------------------------------


def test_an_event_without_notices_reads_nothing() -> None:
    shop = opened()
    shop.port.meter.reset()
    assert plan_mails(shop, replace(event("receipt"), notices=[])) == []  # type: ignore[arg-type]
    assert shop.port.meter.calls == []


def test_the_same_event_told_twice_plans_the_same_mail_and_writes_it_once() -> None:
    shop = opened()
    mail = told(shop, "receipt")
    with pytest.raises(Refused):
        told(shop, "receipt")
    assert shop.mails.of(mail.about) == [mail]


def test_a_notice_about_what_is_gone_is_recorded_as_skipped() -> None:
    shop = opened()
    for kind, name in (("order", "GONE"), ("auto_order", "12345"), ("auto_order", "no number"), ("item", "TEA")):
        notice = Notice(template="receipt", kind=kind, id=name)  # type: ignore[arg-type]
        (planned,) = plan_mails(shop, replace(event("receipt"), notices=[notice]))  # type: ignore[arg-type]
        assert planned.state == "skipped"


FLAGS = list(product((False, True), repeat=2))
# The notices of a rebill that each setting keeps back.
KEEPS_BACK: dict[str, set[Template]] = {
    "skip_receipt_email": {"receipt", "easy_cancel"},
    "skip_shipment_notification": {"shipment"},
    "skip_problem_emails": {"update_billing", "disabled"},
    "suppress_easy_cancel_emails": {"easy_cancel"},
}


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("setting", KEEPS_BACK)
@pytest.mark.parametrize(("on", "do_not_send"), FLAGS)
@pytest.mark.parametrize("when", ["before it is planned", "before it is sent"])
def test_the_rules_hold_back_a_mail_until_the_last_moment(
    template: Template, setting: str, on: bool, do_not_send: bool, when: str
) -> None:
    chosen = AutoOrderProcessing(**{setting: on})
    late = when == "before it is sent"
    shop = opened(template=template, do_not_send_mail=do_not_send and not late)
    if not late:
        shop.save(chosen)
    mail = told(shop, template)
    if late:
        shop.save(chosen)
        profile = shop.customers.get(99)
        shop.port.write(
            shop.customers.replaced(99, replace(profile.noun, do_not_send_mail=do_not_send), profile.version)
        )
    after = send(shop, mail)
    kept_back = template != "held" and (do_not_send or (on and template in KEEPS_BACK[setting]))
    assert after.state == ("skipped" if kept_back else "sent")
    assert len(shop.post.delivered) == (0 if kept_back else 1)
    assert stands(shop, mail) == after
    assert bool(after.skip_reason) == kept_back


def test_the_receipt_of_a_first_order_is_no_rebills() -> None:
    shop = opened()
    shop.save(AutoOrderProcessing(skip_receipt_email=True))
    notice = Notice(template="receipt", kind="order", id="DEMO-1")
    (planned,) = plan_mails(shop, replace(event("receipt"), notices=[notice]))  # type: ignore[arg-type]
    shop.port.write(shop.mails.planned(planned))
    assert send(shop, planned).state == "sent"


# --- what has changed meanwhile --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["Declined", "Refunded", "Unprocessed"])
def test_there_is_no_receipt_for_an_order_that_is_not_paid(status: Any) -> None:
    shop = opened()
    mail = told(shop, "receipt")
    order = shop.orders.get("DEMO-1-001")
    unpaid = replace(order.noun, payment=replace(order.noun.payment, payment_status=status))
    shop.port.write(shop.orders.edited(unpaid, order.version))
    after = send(shop, mail)
    assert (after.state, after.skip_reason) == ("skipped", f"the order is not paid: {status}")
    assert shop.post.asked == 0


@pytest.mark.parametrize(
    ("template", "head"),
    [
        ("update_billing", Head(status="active", run=2, fence=1)),
        ("update_billing", Head(status="active", round=2, fence=1)),
        ("update_billing", Head(status="canceled", round=1, fence=1)),
        ("disabled", Head(status="active", fence=1)),
        ("preshipment_notice", Head(status="canceled", fence=1)),
    ],
)
def test_what_is_not_true_any_more_is_not_told(template: Template, head: Head) -> None:
    shop = opened(template=template)
    mail = told(shop, template)
    before = shop.auto_orders.head(OID)
    shop.port.write(shop.auto_orders.moved(OID, before, replace(head, state=before.state)))
    assert send(shop, mail).state == "skipped"
    assert shop.post.asked == 0


def test_a_notice_names_the_day_that_holds_when_it_is_sent() -> None:
    shop = opened(template="preshipment_notice")
    mail = told(shop, "preshipment_notice")
    before = shop.auto_orders.head(OID)
    moved = replace(before, revision=1, state=State(items={"1": ItemProgress(anchor=date(2027, 1, 20), noticed=1)}))
    shop.port.write(shop.auto_orders.moved(OID, before, moved))
    send(shop, mail)
    assert "20 February 2027" in shop.post.delivered[0].subject


def test_a_notice_is_not_sent_where_all_is_paused() -> None:
    shop = opened(template="preshipment_notice")
    mail = told(shop, "preshipment_notice")
    document, _ = shop.auto_orders.read(OID)
    paused = [replace(entry, paused=True) for entry in document.noun.items]
    shop.port.write(shop.auto_orders.edited(replace(document.noun, items=paused), document.version))
    assert send(shop, mail).skip_reason == "there is nothing of it to tell any more"


def test_a_mail_that_was_never_planned_is_nobodys() -> None:
    assert send_mail(opened(), "order#DEMO-1", "mail_unknown") is None  # type: ignore[arg-type]


def test_another_shops_worker_finds_nothing() -> None:
    shop = opened()
    mail = told(shop, "receipt")
    other = Shop(merchant_id="OTHER", port=shop.port)
    assert send_mail(other, mail.about, mail.mail_id) is None  # type: ignore[arg-type]
    assert other.post.asked == 0


# --- the service is in trouble ---------------------------------------------------------------------------------------


def test_a_mail_that_could_not_be_handed_over_is_sent_later() -> None:
    shop = opened("down", "down")
    mail = told(shop, "receipt")
    assert send(shop, mail).state == "planned"
    assert send(shop, mail).tries == 1, "its time has not come yet"
    shop.wait(seconds=60)
    assert shop.due() == [(mail.about, mail.mail_id)]
    assert send(shop, mail).tries == 2
    shop.wait(seconds=300)
    assert send(shop, mail).state == "sent"
    assert len(shop.post.delivered) == 1


def test_after_two_days_of_trouble_it_is_given_up() -> None:
    shop = opened(*["down"] * 50)
    mail = told(shop, "receipt")
    for _ in range(60):
        shop.wait(hours=1)
        for about, mail_id in shop.due():
            send_mail(shop, about, mail_id)  # type: ignore[arg-type]
    after = stands(shop, mail)
    assert (after.state, after.tries) == ("failed", rules.MAXIMUM_TRIES)
    assert shop.post.asked == rules.MAXIMUM_TRIES
    assert shop.due() == []


def test_a_mail_that_the_service_calls_broken_is_not_tried_again() -> None:
    shop = opened("refused")
    mail = told(shop, "receipt")
    after = send(shop, mail)
    assert (after.state, after.failure_reason) == ("failed", "the service calls it broken")
    shop.wait(days=3)
    assert (shop.due(), shop.post.asked) == ([], 1)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("fate", ["sent, answer lost", "lost, answer lost"])
def test_where_the_answer_is_lost_only_problems_are_not_sent_again(template: Template, fate: str) -> None:
    shop = opened(fate, template=template)
    mail = told(shop, template)
    after = send(shop, mail)
    if template in rules.NEVER_TWICE:
        assert after.state == "failed"
        shop.wait(days=3)
        assert (shop.due(), shop.post.asked) == ([], 1)
        return
    assert after.state == "planned"
    shop.wait(seconds=rules.AFTER_UNKNOWN_SECONDS - 1)
    assert shop.due() == []
    shop.wait(seconds=1)
    assert shop.due() == [(mail.about, mail.mail_id)]
    assert send(shop, mail).state == "sent"
    assert len(shop.post.delivered) == (2 if fate.startswith("sent") else 1)


def test_with_too_little_time_left_nothing_is_begun() -> None:
    shop = opened()
    mail = told(shop, "receipt")
    shop.time_left = lambda: float(rules.MAIL_TIMEOUT_SECONDS)
    assert send(shop, mail).state == "planned"
    assert shop.post.asked == 0
    shop.time_left = lambda: 60.0
    shop.wait(seconds=rules.LEASE_SECONDS)
    assert shop.due() == [(mail.about, mail.mail_id)]
    assert send(shop, mail).state == "sent"


def test_a_sender_that_is_missing_is_said() -> None:
    shop = opened()
    mail = told(shop, "receipt")
    shop.save(Merchant(merchant_id="DEMO"))
    after = send(shop, mail)
    assert after.skip_reason == "the shop's sender_email is missing"


# --- the worker dies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("fate", ["sent, died", "died"])
def test_a_worker_that_dies_while_sending_leaves_at_most_one_duplicate(template: Template, fate: str) -> None:
    shop = opened(fate, template=template)
    mail = told(shop, template)
    with pytest.raises(Died):
        send(shop, mail)
    # The message comes again before the lease is over: somebody may still be at it.
    assert send(shop, mail).state == "sending"
    assert shop.post.asked == 1
    shop.wait(seconds=2 * rules.LEASE_SECONDS)
    assert shop.due() == [(mail.about, mail.mail_id)]
    after = send(shop, mail)
    sent_before = int(fate == "sent, died")
    if template in rules.NEVER_TWICE:
        assert after.state == "failed"
        assert (after.failure_reason or "").startswith("it may have been sent")
        assert len(shop.post.delivered) == sent_before
    else:
        assert after.state == "sent"
        assert len(shop.post.delivered) == sent_before + 1


def test_a_worker_that_dies_twice_leaves_nobody_to_try_a_third_time() -> None:
    shop = opened("sent, died", "sent, died")
    mail = told(shop, "receipt")
    for _ in range(2):
        with pytest.raises(Died):
            send(shop, mail)
        shop.wait(seconds=rules.LEASE_SECONDS)
    assert send(shop, mail).state == "failed"
    assert len(shop.post.delivered) == 2
    shop.wait(days=9)
    assert shop.due() == []


def test_what_may_have_gone_out_is_not_called_skipped_though_a_rule_keeps_the_rest_back() -> None:
    shop = opened("sent, died")
    mail = told(shop, "receipt")
    with pytest.raises(Died):
        send(shop, mail)
    shop.save(AutoOrderProcessing(skip_receipt_email=True))
    shop.wait(seconds=rules.LEASE_SECONDS)
    after = send(shop, mail)
    assert (after.state, after.skip_reason) == ("failed", None)
    assert "skip_receipt_email" in (after.failure_reason or "")


class Cut:
    """Writes of a worker that dies at one of them, before or after it is committed; or whose answer gets lost."""

    def __init__(self, write: Callable[..., None], number: int, how: str) -> None:
        self._write = write
        self._left = number
        self._how = how

    def __call__(self, *changes: Change) -> None:
        self._left -= 1
        if self._left == 0 and self._how == "dies before":
            raise Died
        self._write(*changes)
        if self._left == 0 and self._how == "dies after":
            raise Died
        if self._left == 0 and self._how == "answer lost":
            # What a client does whose answer got lost: it asks again, and its own write refuses it.
            self._write(*changes)
        if self._left == 0 and self._how == "busy after":
            raise Contended("the answer was an error")


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("how", ["dies before", "dies after", "answer lost", "busy after"])
def test_cut_at_every_write_the_end_is_known_and_duplicates_are_bounded(
    template: Template, number: int, how: str
) -> None:
    shop = opened(template=template)
    mail = told(shop, template)
    shop.write = Cut(shop.port.write, number, how)
    try:
        send(shop, mail)
    except (Died, Contended):
        assert how != "answer lost"
    shop.write = shop.port.write
    for _ in range(10):
        shop.wait(hours=12)
        for about, mail_id in shop.due() * 2:
            send_mail(shop, about, mail_id)  # type: ignore[arg-type]
    after = stands(shop, mail)
    problem = template in rules.NEVER_TWICE
    assert after.state in ("sent", "failed")
    assert len(shop.post.delivered) <= (1 if problem else 2)
    if how == "answer lost":
        assert (after.state, len(shop.post.delivered)) == ("sent", 1)
    if not problem:
        assert after.state == "sent"


def test_a_mark_that_meets_a_busy_engine_is_written_again() -> None:
    shop = opened()
    mail = told(shop, "receipt")
    writes = count(1)

    def busy_twice(*changes: Change) -> None:
        if next(writes) in (2, 3):
            raise Contended("busy")
        shop.port.write(*changes)

    shop.write = busy_twice
    assert send(shop, mail).state == "sent"
    assert shop.post.asked == 1


# --- two workers -----------------------------------------------------------------------------------------------------


def test_of_two_workers_one_sends() -> None:
    shop = opened()
    mail = told(shop, "receipt")
    other = Shop(port=shop.port)
    other.word = lambda: "other"
    seen: list[str] = []
    # The other one comes while the first is sending.
    shop.post.before = lambda: seen.append(send(other, mail).state)
    assert send(shop, mail).state == "sent"
    assert (seen, other.post.asked) == (["sending"], 0)


def test_of_two_workers_that_claim_at_once_the_slower_leaves_it() -> None:
    shop = opened()
    mail = told(shop, "receipt")
    other = Shop(port=shop.port)
    other.word = lambda: "other"

    def first(*changes: Change) -> None:
        shop.write = shop.port.write
        assert send(other, mail).state == "sent"
        shop.port.write(*changes)

    shop.write = first
    assert send(shop, mail).owner == "other"
    assert (shop.post.asked, other.post.asked) == (0, 1)


def test_a_claim_of_somebody_who_is_still_sending_is_not_taken_for_ones_own() -> None:
    shop = opened()
    mail = told(shop, "receipt")
    other = Shop("died", port=shop.port)
    other.word = lambda: "other"

    def first(*changes: Change) -> None:
        shop.write = shop.port.write
        with pytest.raises(Died):
            send(other, mail)
        shop.port.write(*changes)

    shop.write = first
    after = send(shop, mail)
    assert (after.state, after.owner) == ("sending", "other")
    assert shop.post.asked == 0


@pytest.mark.parametrize("template", ["receipt", "update_billing"])
def test_a_worker_that_slept_over_its_lease_still_says_that_it_sent(template: Template) -> None:
    """Somebody has concluded meanwhile that nobody knows; who knows better says so, and nothing is sent again."""
    shop = opened(template=template)
    mail = told(shop, template)

    def judged() -> None:
        kept = shop.mails.find(mail.about, mail.mail_id)
        judgement = rules.unknown(kept.noun, "nobody knows", shop.time)
        shop.port.write(shop.mails.tried(judgement, kept.version))

    shop.post.before = judged
    assert send(shop, mail).state == "sent"
    assert stands(shop, mail).state == "sent"
    shop.wait(days=3)
    assert shop.due() == []
    assert shop.post.asked == 1


def test_a_worker_that_slept_does_not_disturb_the_one_that_sends_now() -> None:
    shop = opened()
    mail = told(shop, "receipt")
    other = Shop(port=shop.port)
    other.word = lambda: "other"

    def taken_over() -> None:
        other.time = later(shop.time, seconds=2 * rules.LEASE_SECONDS)
        assert send(other, mail).state == "sent"

    shop.post.before = taken_over
    after = send(shop, mail)
    assert after.owner == "other"
    assert stands(shop, mail) == after
    assert len(shop.post.delivered) + len(other.post.delivered) == 2


# --- any story -------------------------------------------------------------------------------------------------------

STEPS = ["sent", "sent, answer lost", "lost, answer lost", "sent, died", "died", "down", "refused"]


@settings(max_examples=150, deadline=None)
@given(
    template=st.sampled_from(TEMPLATES),
    script=st.lists(st.sampled_from(STEPS), max_size=12),
    twice=st.booleans(),
    cut=st.one_of(
        st.none(), st.tuples(st.integers(1, 6), st.sampled_from(["dies before", "dies after", "answer lost"]))
    ),
)
def test_whatever_happens_a_mail_ends_and_is_delivered_at_most_twice_problems_once(
    template: Template, script: list[str], twice: bool, cut: tuple[int, str] | None
) -> None:
    shop = opened(*script, template=template)
    mail = told(shop, template)
    if cut:
        shop.write = Cut(shop.port.write, *cut)
    messages = [(mail.about, mail.mail_id)]
    for _ in range(40):
        for about, mail_id in messages * (2 if twice else 1):
            try:
                send_mail(shop, about, mail_id)  # type: ignore[arg-type]
            except Died:
                continue
        shop.wait(hours=3)
        messages = shop.due()
    after = stands(shop, mail)
    assert after.state in ("sent", "failed")
    delivered = len(shop.post.delivered)
    assert delivered <= (1 if template in rules.PROBLEMS else 2)
    assert delivered >= (1 if after.state == "sent" else 0)
    assert shop.due() == []
    if delivered == 0:
        assert after.failure_reason
    assert shop.post.asked <= rules.MAXIMUM_TRIES + 1
    shop.port.close()


# --- hostile names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        "Jane\r\nBcc: x@example.com",
        "<script>alert(1)</script>",
        "{{ 7 * 7 }}",
        "evil\u202egnp",
        "שרה לוי",
        "北京 🎁",
        "=?utf-8?q?=0D=0ABcc:_x?=",
    ],
)
@pytest.mark.parametrize("template", TEMPLATES)
def test_no_name_breaks_a_mail(template: Template, typed: str) -> None:
    shop = opened(template=template)
    shop.save(
        Merchant(merchant_id="DEMO", name=typed, sender_name=typed, sender_email="s@ex.com", support_email="h@ex.com")
    )
    for order_id in ("DEMO-1", "DEMO-1-001"):
        order = shop.orders.get(order_id)
        billing = replace(order.noun.billing, first_name=typed)
        items = [replace(line, description=typed) for line in order.noun.items or []]
        shop.port.write(shop.orders.edited(replace(order.noun, billing=billing, items=items), order.version))
    assert send(shop, told(shop, template)).state == "sent"
    (mail,) = shop.post.delivered
    message = message_of(mail)
    assert (message["Bcc"], message.get_all("To")) == (None, [mail.to])
    assert "<script" not in (mail.html or "")
    assert "49" not in mail.text
    assert "\u202e" not in mail.text + mail.subject
