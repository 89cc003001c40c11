"""The pages of the machine's own shop: honest, harmless whatever a shop is called, and for this machine only."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from app import app
from chalicelib import wiring
from chalicelib.domain.dates import parse_instant
from chalicelib.domain.items import Item, ItemAutoOrder, ItemPricing
from chalicelib.domain.mails import Mail
from chalicelib.domain.orders import Order, OrderBilling, OrderItem, OrderPayment, OrderPaymentCreditCard
from chalicelib.flows import place_order, purchase
from chalicelib.flows.found_shop import found_shop
from chalicelib.wiring import House
from infra.engine import Engine
from infra.pages import Pages
from infra.server import Reply
from infra.shop import secret

NOW = parse_instant("2027-01-31T20:00:00Z")
HERE = {"host": "127.0.0.1:8000"}
EVIL = '<script>alert("x")</script>'


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = wiring.embedded(tmp_path, "", frozenset(), lambda: NOW)
    wiring.use(house)
    found_shop(house, "DEMO", EVIL, secret=secret)
    yield house
    for store in (house.port, house.extras["mailbox"], *house.payments_of("DEMO").values()):
        store.close()  # type: ignore[union-attr]  # the embedded forms close
    for name in ("queues", "clocks"):
        house.extras[name]._db.close()


@pytest.fixture
def pages(house: House) -> Pages:
    return Pages(Engine(house, app), ["/docs"], "DEMO", 8000)


def page(pages: Pages, path: str) -> tuple[Reply, str]:
    reply = pages.answer(path, HERE)
    assert reply is not None
    return reply, reply.body.decode()


def header(reply: Reply, name: str) -> str:
    return next(value for key, value in reply.headers if key == name)


def sell(house: House) -> None:
    """An auto order of somebody with a name that wants to be markup."""
    shop = house.open_shop("DEMO")
    tab = ItemAutoOrder(auto_orderable=True, auto_order_schedules=["Monthly"])
    item = Item(merchant_item_id="TEA", pricing=ItemPricing(cost=Decimal("9.50")), auto_order=tab)
    shop.write(shop.items.inserted("TEA", item))
    token, _ = place_order.card_token(shop, "4111111111111111", 12, 2040)
    order = Order(
        items=[OrderItem(merchant_item_id="TEA", quantity=Decimal(1), auto_order_schedule="Monthly")],
        billing=OrderBilling(first_name="<b>Ada</b>", last_name="O'Neil", email="ada@example.com", country_code="US"),
        payment=OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=token)),
    )
    purchase.pay(shop, place_order.place(shop, order, by_shopper=False).noun.order_id or "")


def send(house: House, subject: str = "Hello", html: str | None = "<p>Hi</p>") -> None:
    house.mailer_of("DEMO").send(
        Mail(
            merchant_id="DEMO",
            dts=NOW,
            to="ada@example.com",
            subject=subject,
            text=f"Hi {EVIL}",
            html=html,
            sender="shop@example.com",
        )
    )


# --- how the shop stands ----------------------------------------------------------------------------------------------


def test_an_empty_shop_says_so(pages: Pages) -> None:
    reply, text = page(pages, "/")
    assert reply.status == 200
    assert "No auto order is due." in text
    assert "There are no orders yet." in text
    assert "DEMO · Sun 31 Jan 2027, 15:00 in America/New_York" in text


def test_what_is_due_and_what_was_ordered_is_shown(house: House, pages: Pages) -> None:
    sell(house)
    Engine(house, app).run_due()
    _, text = page(pages, "/")
    assert "Sun 28 Feb 2027, 00:00" in text
    assert "&lt;b&gt;Ada&lt;/b&gt; O&#x27;Neil" in text
    assert "$9.50" in text
    assert "1 of 1." in text


def test_the_test_clock_is_told(house: House, pages: Pages) -> None:
    house.extras["clocks"].set("DEMO", parse_instant("2027-03-02T20:00:00Z"))
    assert "Tue 02 Mar 2027, 15:00" in page(pages, "/")[1]


def test_dead_letters_are_shown_with_their_cause(house: House, pages: Pages) -> None:
    moment = [NOW.timestamp()]
    queues = house.extras["queues"]
    queues._now = lambda: moment[0]
    engine = Engine(house, app)
    queues._db.execute("begin immediate")
    queues.send_body("rebill", '{"kind": "<i>nothing</i>"}')
    queues._db.execute("commit")
    for _ in range(6):
        engine.drain()
        moment[0] += 361
    _, text = page(pages, "/")
    assert "Look at them" in text
    assert "&lt;i&gt;nothing&lt;/i&gt;" in text
    assert "merchant_id: the message lacks it" in text


def test_only_pages_that_are_there_are_linked(house: House, pages: Pages) -> None:
    assert '<a href="/docs">' in page(pages, "/")[1]
    assert "/admin/" not in page(pages, "/")[1]
    assert "/docs" not in page(Pages(Engine(house, app), [], "DEMO", 8000), "/")[1]


def test_another_shop_of_the_engine_may_be_looked_at(house: House, pages: Pages) -> None:
    found_shop(house, "ZENO", "Zeno's", secret=secret)
    assert "Zeno&#x27;s" in page(pages, "/?merchant=ZENO")[1]
    assert "DEMO" in page(pages, "/?merchant=%3Cb%3E")[1]


# --- mails ------------------------------------------------------------------------------------------------------------


def test_mails_are_listed_newest_first_and_shown_as_text_and_html(house: House, pages: Pages) -> None:
    send(house, "First")
    send(house, "Second")
    _, text = page(pages, "/mailbox")
    assert text.index("Second") < text.index("First")
    _, text = page(pages, "/mailbox/1")
    assert "ada@example.com" in text
    assert '<iframe sandbox title="The mail as HTML" src="/mailbox/1/html?merchant=DEMO"></iframe>' in text
    reply, text = page(pages, "/mailbox/1/html")
    assert "<p>Hi</p>" in text
    assert "sandbox" in header(reply, "Content-Security-Policy")
    assert "script-src" not in header(reply, "Content-Security-Policy")


def test_a_mail_without_html_says_so(house: House, pages: Pages) -> None:
    send(house, html=None)
    assert "It has no HTML." in page(pages, "/mailbox/1")[1]


def test_a_mail_that_is_not_there_is_not_found(house: House, pages: Pages) -> None:
    send(house)
    found_shop(house, "ZENO", "Zeno", secret=secret)
    for path in ("/mailbox/7", "/mailbox/1?merchant=ZENO", "/mailbox/7/html"):
        assert page(pages, path)[0].status == 404


def test_other_paths_are_the_apps(pages: Pages) -> None:
    for path in ("/mailbox/x", "/mailbox/1/text", "/rest/v2/order/orders", "/docs", "//", "/local.css/"):
        assert pages.answer(path, HERE) is None


# --- harmless ---------------------------------------------------------------------------------------------------------


def test_nothing_that_somebody_typed_becomes_markup(house: House, pages: Pages) -> None:
    sell(house)
    Engine(house, app).run_due()
    send(house, EVIL, f"<p>{EVIL}</p>")
    number = len(house.extras["mailbox"].messages("DEMO"))
    for path in ("/", "/mailbox", f"/mailbox/{number}"):
        _, text = page(pages, path)
        assert "<script" not in text
        assert "<b>Ada" not in text
        assert not re.search(r"\son\w+=|javascript:|style=", text)


def test_every_page_forbids_what_it_does_not_need(house: House, pages: Pages) -> None:
    send(house)
    for path in ("/", "/mailbox", "/mailbox/1", "/mailbox/1/html", "/local.css"):
        reply, _ = page(pages, path)
        policy = header(reply, "Content-Security-Policy")
        assert policy.startswith("default-src 'none';")
        assert "script" not in policy.replace("sandbox", "")
        assert header(reply, "X-Content-Type-Options") == "nosniff"
        assert header(reply, "Cache-Control") == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1:9000", "", None])
def test_under_another_name_nothing_is_shown(house: House, pages: Pages, host: str | None) -> None:
    send(house)
    for path in ("/", "/mailbox", "/mailbox/1", "/mailbox/1/html"):
        reply = pages.answer(path, {} if host is None else {"host": host})
        assert reply is not None
        assert reply.status == 403
        assert b"ada@example.com" not in reply.body


def test_under_its_own_names_it_is_shown(pages: Pages) -> None:
    for host in ("127.0.0.1:8000", "localhost:8000"):
        reply = pages.answer("/", {"host": host})
        assert reply is not None
        assert reply.status == 200
