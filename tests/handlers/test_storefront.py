"""A shopper's calls: the price is the shop's, a card is charged once, and nothing of it stays that could be stolen."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.errors import Invalid
from chalicelib.domain.payments import Card, Charge, StoredCard
from chalicelib.domain.storefront import CardRequest
from chalicelib.flows.storefront import ADDRESS_TRIES, CARD_TRIES, SHOP_TRIES
from chalicelib.gateways.sandbox import PROFILES, Behaviour, Sandbox
from chalicelib.stores.port import Change
from tests.houses import Reply, TestHouse, a_house

TOKENS, ORDERS, ITEMS = "/storefront/card_tokens", "/storefront/orders", "/storefront/items"
METHODS = "/storefront/payment_methods"
ORIGIN = "https://tea.example"
GOOD, DECLINED, ASKS_BANK = "4111111111111111", "4000000000000002", "4000002500003155"
JANE = {"email": "jane@example.com", "first_name": "Jane", "country_code": "US"}


def catalogue(house: TestHouse) -> None:
    key = house.found(allowed_origins=[ORIGIN])
    for item in (
        {
            "merchant_item_id": "TEA",
            "description": "Green tea",
            "pricing": {"cost": 10, "auto_order_cost": 9, "cogs": 2},
            "auto_order": {"auto_orderable": True, "auto_order_schedules": ["Weekly", "Monthly"]},
        },
        {"merchant_item_id": "CUP", "pricing": {"cost": 5}, "restriction": {"maximum_quantity": 4}},
        {"merchant_item_id": "OLD", "pricing": {"cost": 5}, "inactive": True},
    ):
        assert house.call("POST", "/rest/v2/item/items", item, key=key).status == 200
    free = {"merchant_code": "FREE", "percent_off_subtotal": {"discount_percent": 100}}
    assert house.call("POST", "/rest/v2/coupon/coupons", free, key=key).status == 200


@pytest.fixture
def house() -> TestHouse:
    house = a_house()
    catalogue(house)
    return house


@pytest.fixture
def key(house: TestHouse) -> str:
    return house.key(kind="browser")


def card(number: str = GOOD, **other: Any) -> dict[str, Any]:
    return {"card_number": number, "card_expiration_month": 12, "card_expiration_year": 2030, **other}


def token(house: TestHouse, key: str, number: str = GOOD, address: str = "192.0.2.1") -> str:
    reply = house.call("POST", TOKENS, card(number), key=key, address=address)
    assert reply.status == 200, reply.body
    return str(reply.json["card_token"])


def an_order(card_token: str | None, *lines: dict[str, Any], **other: Any) -> dict[str, Any]:
    named = {"card_token": card_token} if card_token else {}
    return {"items": list(lines or [{"merchant_item_id": "TEA", "quantity": 2}]), "billing": JANE, **named, **other}


def buy(house: TestHouse, key: str, body: dict[str, Any], word: str = "order-1", address: str = "192.0.2.1") -> Reply:
    return house.call("POST", ORDERS, body, key=key, headers={"Idempotency-Key": word}, address=address)


def kept(house: TestHouse) -> tuple[int, ...]:
    return tuple(house.records(table) for table in ("orders", "auto_orders", "events", "lists"))


# --- cards -----------------------------------------------------------------------------------------------------------


def test_a_card_is_exchanged_for_a_token_and_its_number_stays_nowhere(house: TestHouse, key: str) -> None:
    reply = house.call("POST", TOKENS, card("4111 1111-1111 1111"), key=key)
    assert reply.json == {
        "card_token": "card_word-1",
        "expiration_dts": "2027-01-31T17:00:00-05:00",
        "success": True,
        "metadata": {},
    }
    assert GOOD not in house.everything()


class WithForm(Sandbox):
    """A gateway whose own form makes payment methods, as its browser's code does; it takes no numbers."""

    def card_of(self, payment_method_id: str) -> tuple[StoredCard, Card]:
        if payment_method_id != "pm_good":
            raise Invalid.one("/payment_method", "unknown", "is not known")
        shown = Card(card_expiration_month=12, card_expiration_year=2040, card_type="VISA", last_four="4242")
        return super().tokenise("4242424242424242", 12, 2040), shown


def with_form(house: TestHouse) -> TestHouse:
    form = WithForm(now=house.clock.now, code="withform", capabilities=replace(PROFILES["full"], numbers=False))
    house.payments_of = lambda merchant_id: {"sandbox": house.sandbox, "withform": form}
    return house


@pytest.mark.parametrize("named", [{"gateway": "withform"}, {}])
def test_a_payment_method_of_the_gateways_form_is_exchanged_for_a_token_that_pays(
    house: TestHouse, key: str, named: dict[str, str]
) -> None:
    body = {"payment_method": "pm_good", **named}
    made = with_form(house).call("POST", METHODS, body, key=key)
    assert made.json == {
        "card_token": "card_word-1",
        "expiration_dts": "2027-01-31T17:00:00-05:00",
        "success": True,
        "metadata": {},
    }
    reply = buy(house, key, an_order("card_word-1"))
    assert reply.json["payment_outcome"] == "approved"
    assert reply.json["order"]["payment"]["credit_card"]["card_number"] == "XXXXXXXXXXXX4242"
    order = house.open_shop("DEMO").orders.get(reply.json["order"]["order_id"]).noun
    assert order.payment is not None
    assert order.payment.credit_card is not None
    assert order.payment.credit_card.stored_card is not None
    assert order.payment.credit_card.stored_card.gateway == "withform"


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"/payment_method": "required"}),
        ({"payment_method": "", "gateway": ""}, {"/payment_method": "out_of_range", "/gateway": "out_of_range"}),
        ({"payment_method": "pm_good", "gateway": "stripe"}, {"/gateway": "unknown"}),
        ({"payment_method": "pm_bad", "gateway": "withform"}, {"/payment_method": "unknown"}),
        ({"payment_method": "pm_good", "gateway": "sandbox"}, {"/payment_method": "not_accepted"}),
        ({"payment_method": "pm_good", "cvc": "737"}, {"/cvc": "cvv_refused"}),
    ],
)
def test_what_is_no_payment_method_is_refused_by_name(
    house: TestHouse, key: str, body: dict[str, Any], problems: dict[str, str]
) -> None:
    before = kept(house)
    reply = with_form(house).call("POST", METHODS, body, key=key)
    assert (reply.status, reply.problems) == (400, problems)
    assert kept(house) == before


def test_payment_methods_are_tried_as_seldom_as_cards(house: TestHouse, key: str) -> None:
    with_form(house)
    body = {"payment_method": "pm_bad", "gateway": "withform"}
    for _ in range(ADDRESS_TRIES):
        assert house.call("POST", METHODS, body, key=key).status == 400
    assert house.call("POST", METHODS, body, key=key).status == 429
    assert house.call("POST", TOKENS, card(), key=key).status == 429


def test_a_shop_without_a_payment_account_takes_no_cards_and_says_so(house: TestHouse, key: str) -> None:
    house.payments_of = lambda merchant_id: {}
    reply = house.call("POST", TOKENS, card(), key=key)
    assert (reply.status, reply.json["code"]) == (400, "not_found")
    assert "no payment gateway" in reply.json["error"]["user_message"]


def test_no_text_of_the_request_shows_the_number() -> None:
    request = wire.noun(card(), CardRequest)
    assert GOOD not in f"{request} {request!r} {[request]}"


@pytest.mark.parametrize(
    "name", ["cvv", "CVV2", "cvc", "card_cvc", "csc", "cid", "securityCode", "card_verification_number", "cvn-token"]
)
def test_a_card_verification_number_is_refused_by_name(house: TestHouse, key: str, name: str) -> None:
    before = kept(house)
    reply = house.call("POST", TOKENS, card(**{name: "737"}), key=key)
    assert (reply.status, reply.problems) == (400, {f"/{name}": "cvv_refused"})
    body = an_order(token(house, key)) | {"checkout": {name: "737"}}
    assert buy(house, key, body).problems == {f"/checkout/{name}": "cvv_refused"}
    assert kept(house) == before
    # The request's id is by chance, and may hold any digits.
    assert "737" not in reply.body.replace(reply.json["request_id"], "")


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"/card_number": "required", "/card_expiration_month": "required", "/card_expiration_year": "required"}),
        (card("4111111111111112"), {"/card_number": "invalid"}),
        (card("9111111111111116"), {"/card_number": "invalid"}),
        (card("٤١١١١١١١١١١١١١١١"), {"/card_number": "out_of_range"}),
        (card("4111"), {"/card_number": "out_of_range"}),
        (card(4111111111111111), {"/card_number": "wrong_type"}),  # type: ignore[arg-type]
        (card() | {"card_expiration_month": 13}, {"/card_expiration_month": "out_of_range"}),
        (card("4111111111111112") | {"card_expiration_year": 2026},
         {"/card_number": "invalid", "/card_expiration_year": "past_date"}),
        (card(cvv="737", name="Jane") | {"card_expiration_month": 0},
         {"/cvv": "cvv_refused", "/name": "unknown_field", "/card_expiration_month": "out_of_range"}),
    ],
)  # fmt: skip
def test_what_is_no_card_is_refused_by_name_and_never_repeated(
    house: TestHouse, key: str, body: dict[str, Any], problems: dict[str, str]
) -> None:
    reply = house.call("POST", TOKENS, body, key=key)
    assert (reply.status, reply.problems) == (400, problems)
    assert str(body.get("card_number", "none sent")) not in reply.body + reply.headers["UC-REST-ERROR"]


# --- orders ----------------------------------------------------------------------------------------------------------


def test_an_order_is_placed_and_paid_and_its_auto_order_begins(house: TestHouse, key: str) -> None:
    line = {"merchant_item_id": "TEA", "quantity": 2, "auto_order_schedule": "Monthly"}
    reply = buy(house, key, an_order(token(house, key), line, storefront_host_name="tea.example"))
    order = reply.json["order"]
    assert (reply.status, reply.json["success"], reply.json["payment_outcome"]) == (200, True, "approved")
    assert reply.json["metadata"] == {"payload_name": "order"}
    assert order["payment"]["payment_status"] == "Processed"
    assert order["payment"]["credit_card"]["card_number"] == "XXXXXXXXXXXX1111"
    assert order["summary"]["total"]["value"] == 18
    assert order["auto_order"]["status"] == "active"
    assert [(str(c.amount), c.order_id) for c in house.sandbox.captures()] == [("18.00", order["order_id"])]
    assert sorted(house.events())[:2] == ["auto_order_create", "item_create"]


def test_what_the_shopper_bought_is_in_the_merchants_list_at_once(house: TestHouse, key: str) -> None:
    order_id = buy(house, key, an_order(token(house, key))).json["order"]["order_id"]
    found = house.call("GET", "/rest/v2/order/orders", key=house.key()).json["orders"]
    assert [(order["order_id"], order["current_stage"]) for order in found] == [(order_id, "Shipping Department")]


def test_what_only_the_merchant_may_see_is_not_shown_to_the_shopper(house: TestHouse, key: str) -> None:
    body = buy(house, key, an_order(token(house, key))).body
    for word in ("stored_card", "fingerprint", "transactions", "request_hash", "card_number_token", "cogs", "internal"):
        assert word not in body


def test_the_same_key_again_answers_the_order_and_charges_nothing(house: TestHouse, key: str) -> None:
    body = an_order(token(house, key))
    first, second = buy(house, key, body), buy(house, key, body)
    assert second.json == first.json
    assert len(house.sandbox.captures()) == house.sandbox.posts() == 1
    house.clock.pass_(hours=3)
    assert buy(house, key, body).json["order"]["order_id"] == first.json["order"]["order_id"], "the token is over"
    assert buy(house, key, body, "order-2").problems == {"/card_token": "unknown"}


def test_the_same_key_with_another_order_is_refused(house: TestHouse, key: str) -> None:
    card_token = token(house, key)
    buy(house, key, an_order(card_token))
    other = an_order(card_token, {"merchant_item_id": "CUP", "quantity": 1})
    assert buy(house, key, other).problems == {"": "idempotency_key_reused"}
    assert buy(house, key, other, "order-2").status == 200
    assert len(house.sandbox.captures()) == 2


class Interrupting:
    """An engine on which somebody else comes first, just before an order is stored."""

    def __init__(self, house: TestHouse, interrupt: Callable[[], object]) -> None:
        self._port = house.port
        self._interrupt: Callable[[], object] | None = interrupt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def write(self, *changes: Change) -> None:
        if any(change.table == "orders" for change in changes) and self._interrupt:
            interrupt, self._interrupt = self._interrupt, None
            interrupt()
        self._port.write(*changes)


@pytest.mark.parametrize(("number", "captures"), [(GOOD, 1), (DECLINED, 0)])
def test_two_at_once_with_one_key_are_one_order_and_one_charge(
    house: TestHouse, key: str, number: str, captures: int
) -> None:
    body, replies = an_order(token(house, key, number)), []
    house.port = Interrupting(house, lambda: replies.append(buy(house, key, body)))
    replies.append(buy(house, key, body))
    assert replies[0].json["order"]["order_id"] == replies[1].json["order"]["order_id"]
    assert replies[0].json["payment_outcome"] == replies[1].json["payment_outcome"]
    assert (house.sandbox.posts(), len(house.sandbox.captures())) == (1, captures)


def test_a_declined_card_leaves_an_order_that_says_so_and_is_not_tried_again(house: TestHouse, key: str) -> None:
    body = an_order(token(house, key, DECLINED))
    replies = [buy(house, key, body) for _ in range(3)]
    for reply in replies:
        assert (reply.status, reply.json["success"], reply.json["payment_outcome"]) == (200, True, "declined")
        assert reply.json["order"]["payment"]["payment_status"] == "Declined"
        assert reply.json["order"]["current_stage"] == "Accounts Receivable"
        assert "auto_order" not in reply.json["order"]
        assert "try another card" in reply.json["payment_message"]
        assert "The bank declined" not in reply.body, "the bank's own words are the merchant's"
    assert house.sandbox.posts() == 1
    again = buy(house, key, an_order(token(house, key)), "order-2")
    assert again.json["payment_outcome"] == "approved"


def test_a_bank_that_wants_to_see_the_shopper_says_where(house: TestHouse, key: str) -> None:
    reply = buy(house, key, an_order(token(house, key, ASKS_BANK)))
    assert reply.json["payment_outcome"] == "action_needed"
    assert reply.json["payment_url"] == "https://bank.example/verify"


def test_an_outcome_that_is_not_known_is_no_decline_and_is_asked_for_not_charged_again(
    house: TestHouse, key: str
) -> None:
    body = an_order(token(house, key, "4000000000000259"))
    first = buy(house, key, body)
    assert (first.status, first.json["payment_outcome"]) == (200, "not_known_yet")
    assert "do not pay again" in first.json["payment_message"]
    house.clock.pass_(minutes=5)
    assert buy(house, key, body).json["payment_outcome"] == "approved"
    assert (house.sandbox.posts(), len(house.sandbox.captures())) == (1, 1)


def test_a_charge_that_never_went_out_is_made_by_the_same_key_again() -> None:
    moods: list[Behaviour] = ["not_sent", "approve"]

    def behave(charge: Charge, posts: int) -> Behaviour:
        return moods.pop(0)

    house = a_house(behave=behave)
    catalogue(house)
    key = house.key(kind="browser")
    body = an_order(token(house, key))
    assert [buy(house, key, body).json["payment_outcome"] for _ in range(2)] == ["not_sent", "approved"]
    assert len(house.sandbox.captures()) == 1


def test_an_order_that_costs_nothing_needs_no_card_unless_it_will_be_billed_again(house: TestHouse, key: str) -> None:
    free = buy(house, key, an_order(None, {"merchant_item_id": "CUP", "quantity": 1}, coupons=["free"]))
    assert (free.status, free.json["payment_outcome"]) == (200, "approved"), free.body
    before = kept(house)
    later = {"merchant_item_id": "TEA", "quantity": 1, "auto_order_schedule": "Monthly"}
    for word, body in enumerate([an_order(None, later, coupons=["FREE"]), an_order(None)]):
        reply = buy(house, key, body, f"card-{word}")
        assert (reply.status, reply.problems) == (400, {"/card_token": "required"})
    assert kept(house) == before
    assert house.sandbox.posts() == 0


def line(**fields: Any) -> list[dict[str, Any]]:
    return [{"merchant_item_id": "TEA", "quantity": 1, **fields}]


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({"items": []}, {"/items": "out_of_range"}),
        ({"items": line(quantity=-1)}, {"/items/0/quantity": "out_of_range"}),
        ({"items": line(quantity=0)}, {"/items/0/quantity": "out_of_range"}),
        ({"items": line(quantity="1")}, {"/items/0/quantity": "wrong_type"}),
        ({"items": line(arbitrary_unit_cost=0.01)}, {"/items/0/arbitrary_unit_cost": "unknown_field"}),
        ({"items": line(cost={"value": 0.01})}, {"/items/0/cost": "unknown_field"}),
        ({"items": line(tax_free=True)}, {"/items/0/tax_free": "unknown_field"}),
        ({"items": line(options=[{"label": "Size", "value": "L", "cost_change": -5}])},
         {"/items/0/options/0/cost_change": "read_only"}),
        ({"items": line(merchant_item_id="COFFEE")}, {"/items/0/merchant_item_id": "unknown"}),
        ({"items": line(merchant_item_id="OLD")}, {"/items/0/merchant_item_id": "unknown"}),
        ({"items": line(merchant_item_id="X" * 21)}, {"/items/0/merchant_item_id": "out_of_range"}),
        ({"items": line(merchant_item_id="CUP", quantity=5)}, {"/items/0/quantity": "out_of_range"}),
        ({"items": line(auto_order_schedule="Yearly")}, {"/items/0/auto_order_schedule": "not_allowed_value"}),
        ({"items": line(auto_order_schedule="None")}, {"/items/0/auto_order_schedule": "not_allowed_value"}),
        ({"items": line(merchant_item_id="CUP", auto_order_schedule="Monthly")},
         {"/items/0/auto_order_schedule": "not_allowed_value"}),
        ({"summary": {"total": 0}}, {"/summary": "unknown_field"}),
        ({"payment": {"payment_status": "Processed"}}, {"/payment": "unknown_field"}),
        ({"order_id": "DEMO-1"}, {"/order_id": "unknown_field"}),
        ({"shipping": {"tracking_numbers": ["1Z"]}}, {"/shipping/tracking_numbers": "read_only"}),
        ({"checkout": {"customer_ip_address": "10.0.0.1"}}, {"/checkout/customer_ip_address": "read_only"}),
        ({"billing": JANE | {"first_name": "x" * 31}}, {"/billing/first_name": "out_of_range"}),
        ({"coupons": ["NOBODY"]}, {"/coupons/0": "coupon_unknown"}),
        ({"card_token": "card_nobody"}, {"/card_token": "unknown"}),
        ({"card_token": GOOD}, {"/card_token": "unknown"}),
    ],
)  # fmt: skip
def test_what_a_shopper_may_not_say_is_refused_by_name_and_leaves_nothing(
    house: TestHouse, key: str, changes: dict[str, Any], problems: dict[str, str]
) -> None:
    body, before = an_order(token(house, key)) | changes, kept(house)
    reply = buy(house, key, body)
    assert (reply.status, reply.problems) == (400, problems)
    assert kept(house) == before
    assert house.sandbox.posts() == 0
    assert GOOD not in house.everything()


def test_all_problems_are_told_at_once_in_the_shoppers_own_words(house: TestHouse, key: str) -> None:
    body = an_order("card_nobody", *line(merchant_item_id="COFFEE"), coupons=["NOBODY"])
    assert buy(house, key, body).problems == {
        "/card_token": "unknown",
        "/items/0/merchant_item_id": "unknown",
        "/coupons/0": "coupon_unknown",
    }
    without_key = house.call("POST", ORDERS, {"items": line(quantity=-1), "cvv": "737"}, key=key)
    assert without_key.problems == {
        "/Idempotency-Key": "required",
        "/billing": "required",
        "/items/0/quantity": "out_of_range",
        "/cvv": "cvv_refused",
    }


@pytest.mark.parametrize("word", ["", "x" * 201, "caf\u00e9", "a\tb"])
def test_an_idempotency_key_is_a_short_printable_text(house: TestHouse, key: str, word: str) -> None:
    body, before = an_order(token(house, key)), kept(house)
    assert buy(house, key, body, word).problems == {"/Idempotency-Key": "required"}
    assert kept(house) == before
    assert buy(house, key, body, "x" * 200).status == 200


def test_a_schedule_must_be_chosen_where_the_none_option_is_removed(house: TestHouse, key: str) -> None:
    rules = "/rest/v2/configuration/auto_order_processing"
    house.call("PUT", rules, {"remove_none_option": True}, key=house.key())
    reply = buy(house, key, an_order(token(house, key)))
    assert reply.problems == {"/items/0/auto_order_schedule": "required"}
    assert "Weekly, Monthly" in reply.message("/items/0/auto_order_schedule")


def test_only_the_shopper_must_choose_and_only_where_there_is_a_choice(house: TestHouse, key: str) -> None:
    owner = house.key()
    house.call("PUT", "/rest/v2/configuration/auto_order_processing", {"remove_none_option": True}, key=owner)
    assert buy(house, key, an_order(token(house, key), {"merchant_item_id": "CUP", "quantity": 1})).status == 200
    order = {"items": [{"merchant_item_id": "TEA", "quantity": 1}], "billing": JANE}
    assert house.call("POST", "/rest/v2/order/orders", order, key=owner).status == 200


def automatic(house: TestHouse, name: str, *steps: dict[str, Any], **tab: Any) -> None:
    item = {"merchant_item_id": name, "auto_order": {"auto_order_upsell": True, "steps": list(steps), **tab}}
    assert house.call("POST", "/rest/v2/item/items", item | {"pricing": {"cost": 3}}, key=house.key()).status == 200


EVERY_9_DAYS = {
    "type": "item",
    "recurring_merchant_item_id": "TEA",
    "schedule": "Every...",
    "arbitrary_schedule_days": 9,
}


def test_an_automatic_schedule_is_not_chosen_and_may_be_every_so_many_days(house: TestHouse, key: str) -> None:
    automatic(house, "BOX", EVERY_9_DAYS)
    assert house.call("GET", f"{ITEMS}/BOX", key=key).json["item"]["automatic_schedule"] is True
    line = {"merchant_item_id": "BOX", "quantity": 1}
    chosen = buy(house, key, an_order(token(house, key), {**line, "auto_order_schedule": "Weekly"}))
    assert chosen.problems == {"/items/0/auto_order_schedule": "conflict"}
    order_id = buy(house, key, an_order(token(house, key), line)).json["order"]["order_id"]
    auto_orders = "/rest/v2/auto_order/auto_orders"
    found = house.call(
        "GET", f"{auto_orders}/reference_order_id/{order_id}", key=house.key(), query={"_expand": "items"}
    )
    assert found.json["auto_order"]["items"][0]["next_shipment_dts"] == "2027-02-09T00:00:00-05:00"


def test_every_so_many_days_is_no_choice_of_a_shoppers_for_nobody_says_how_many(house: TestHouse, key: str) -> None:
    line = {"merchant_item_id": "TEA", "quantity": 1, "auto_order_schedule": "Every..."}
    reply = buy(house, key, an_order(token(house, key), line))
    assert reply.problems == {"/items/0/auto_order_schedule": "not_allowed_value"}
    tab = {"auto_orderable": True, "auto_order_schedules": ["Every..."]}
    item = {"merchant_item_id": "MATE", "auto_order": tab}
    refused = house.call("POST", "/rest/v2/item/items", item, key=house.key())
    assert refused.problems == {"/auto_order/auto_order_schedules": "not_allowed_value"}


def test_an_item_with_steps_for_kits_only_is_sold_once(house: TestHouse, key: str) -> None:
    automatic(house, "BOX", EVERY_9_DAYS | {"type": "kit only"})
    assert "automatic_schedule" not in house.call("GET", f"{ITEMS}/BOX", key=key).json["item"]
    before = house.records("auto_orders")
    assert buy(house, key, an_order(token(house, key), {"merchant_item_id": "BOX", "quantity": 1})).status == 200
    assert house.records("auto_orders") == before


def test_a_shopper_who_has_it_already_is_told_so_in_his_own_words(house: TestHouse, key: str) -> None:
    automatic(house, "BOX", EVERY_9_DAYS, auto_order_upsell_one_per_customer=True)
    line = {"merchant_item_id": "BOX", "quantity": 1}
    assert buy(house, key, an_order(token(house, key), line)).status == 200
    before = kept(house)
    reply = buy(house, key, an_order(token(house, key), line), "order-2")
    assert (reply.status, reply.problems) == (400, {"/items/0/merchant_item_id": "one_per_customer"})
    assert "BOX" in reply.message("/items/0/merchant_item_id")
    assert kept(house) == before


def test_another_merchants_items_and_tokens_are_as_if_they_were_not_there(house: TestHouse, key: str) -> None:
    mine = token(house, key)
    house.found("OTHER")
    other = house.key("OTHER", kind="browser")
    reply = buy(house, other, an_order(mine))
    assert reply.problems == {"/card_token": "unknown", "/items/0/merchant_item_id": "unknown"}
    assert house.call("GET", f"{ITEMS}/TEA", key=other).status == 404


# --- limits ----------------------------------------------------------------------------------------------------------


def test_one_address_tries_so_many_cards_and_no_more(house: TestHouse, key: str) -> None:
    for _ in range(ADDRESS_TRIES):
        assert house.call("POST", TOKENS, card(), key=key, address="198.51.100.1").status == 200
    forged = {"X-Forwarded-For": "203.0.113.99"}
    reply = house.call("POST", TOKENS, card(), key=key, address="198.51.100.1", headers=forged)
    assert (reply.status, reply.json["code"], reply.headers["Retry-After"]) == (429, "too_many", "600")
    assert house.call("POST", TOKENS, card(), key=key, address="198.51.100.2").status == 200
    house.clock.pass_(minutes=10)
    assert house.call("POST", TOKENS, card(), key=key, address="198.51.100.1").status == 200


def test_addresses_of_one_line_of_ipv6_are_one(house: TestHouse, key: str) -> None:
    for number in range(ADDRESS_TRIES):
        assert house.call("POST", TOKENS, card(), key=key, address=f"2001:db8:0:1::{number:x}").status == 200
    assert house.call("POST", TOKENS, card(), key=key, address="2001:db8:0:1:ffff::1").status == 429
    assert house.call("POST", TOKENS, card(), key=key, address="2001:db8:0:2::1").status == 200


def test_a_mistake_is_not_counted(house: TestHouse, key: str) -> None:
    for _ in range(ADDRESS_TRIES + 1):
        assert house.call("POST", TOKENS, card(cvv="737"), key=key).status == 400
        assert buy(house, key, {}).status == 400
    assert house.call("POST", TOKENS, card(), key=key).status == 200


def test_one_card_is_tried_so_often_an_hour_from_wherever(house: TestHouse, key: str) -> None:
    tokens = [token(house, key, DECLINED, address=f"198.51.100.{number}") for number in range(CARD_TRIES + 1)]
    replies = [
        buy(house, key, an_order(one), f"order-{number}", address=f"203.0.113.{number}")
        for number, one in enumerate(tokens)
    ]
    assert [reply.status for reply in replies] == [200] * CARD_TRIES + [429]
    assert house.sandbox.posts() == CARD_TRIES
    other = buy(house, key, an_order(token(house, key)), "other")
    assert other.json["payment_outcome"] == "approved", "another card is not held up"


def test_an_order_that_is_over_the_limit_is_not_stored(house: TestHouse, key: str) -> None:
    card_token = token(house, key, DECLINED)
    for number in range(CARD_TRIES):
        buy(house, key, an_order(card_token), f"order-{number}")
    before = kept(house)
    assert buy(house, key, an_order(card_token), "one-more").status == 429
    assert kept(house) == before


def test_a_whole_shop_takes_so_many_cards_and_no_more(house: TestHouse, key: str) -> None:
    for number in range(SHOP_TRIES):
        address = f"10.{number // 250}.{number % 250}.1"
        assert house.call("POST", TOKENS, card(), key=key, address=address).status == 200
    assert house.call("POST", TOKENS, card(), key=key, address="192.0.2.9").status == 429
    house.found("OTHER")
    assert house.call("POST", TOKENS, card(), key=house.key("OTHER", kind="browser")).status == 200


# --- items -----------------------------------------------------------------------------------------------------------


def test_an_item_is_shown_as_shoppers_may_see_it(house: TestHouse, key: str) -> None:
    assert house.call("GET", f"{ITEMS}/TEA", key=key).json["item"] == {
        "merchant_item_id": "TEA",
        "description": "Green tea",
        "cost": 10,
        "auto_order_cost": 9,
        "currency_code": "USD",
        "schedules": [
            {"name": "None"},
            {"name": "Weekly", "auto_order_schedule": "Weekly"},
            {"name": "Monthly", "auto_order_schedule": "Monthly"},
        ],
    }
    assert house.call("GET", f"{ITEMS}/CUP", key=key).json["item"] == {
        "merchant_item_id": "CUP",
        "cost": 5,
        "currency_code": "USD",
        "maximum_quantity": 4,
    }


def test_the_none_option_is_not_offered_where_it_is_removed(house: TestHouse, key: str) -> None:
    rules = "/rest/v2/configuration/auto_order_processing"
    house.call("PUT", rules, {"remove_none_option": True}, key=house.key())
    schedules = house.call("GET", f"{ITEMS}/TEA", key=key).json["item"]["schedules"]
    assert [schedule["name"] for schedule in schedules] == ["Weekly", "Monthly"]


def test_the_price_shown_is_the_price_of_now(house: TestHouse, key: str) -> None:
    sale = {"pricing": {"sale_cost": 4, "sale_end": "2027-02-01T00:00:00-05:00"}}
    owner = house.key()
    cup = house.call("GET", "/rest/v2/item/items/merchant_item_id/CUP", key=owner).json["item"]["merchant_item_oid"]
    house.call("PUT", f"/rest/v2/item/items/{cup}", sale, key=owner)
    assert house.call("GET", f"{ITEMS}/CUP", key=key).json["item"]["cost"] == 4
    house.clock.pass_(days=1)
    assert house.call("GET", f"{ITEMS}/CUP", key=key).json["item"]["cost"] == 5


@pytest.mark.parametrize("name", ["OLD", "COFFEE", "x" * 500])
def test_what_is_not_sold_is_not_there(house: TestHouse, key: str, name: str) -> None:
    assert house.call("GET", f"{ITEMS}/{name}", key=key).status == 404


# --- browsers --------------------------------------------------------------------------------------------------------


def test_a_page_of_an_allowed_origin_may_read_the_answer_also_where_it_is_a_refusal(house: TestHouse, key: str) -> None:
    for body, status in ((card(), 200), ({}, 400)):
        reply = house.call("POST", TOKENS, body, key=key, headers={"Origin": ORIGIN})
        assert reply.status == status
        assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert reply.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", ["https://evil.example", "https://tea.example.evil.example", "null"])
def test_a_page_of_another_origin_is_refused_before_anything_is_done(house: TestHouse, key: str, origin: str) -> None:
    body, before = an_order(token(house, key)), kept(house)
    headers = {"Origin": origin, "Idempotency-Key": "order-1"}
    reply = house.call("POST", ORDERS, body, key=key, headers=headers)
    assert (reply.status, "Access-Control-Allow-Origin" in reply.headers) == (403, False)
    assert kept(house) == before
    assert house.sandbox.posts() == 0


@pytest.mark.parametrize(
    ("path", "method"), [(TOKENS, "POST"), (METHODS, "POST"), (ORDERS, "POST"), (f"{ITEMS}/TEA", "GET")]
)
def test_a_browsers_question_is_answered_without_a_key(house: TestHouse, path: str, method: str) -> None:
    reply = house.call("OPTIONS", path, headers={"Origin": ORIGIN, "Access-Control-Request-Method": method})
    assert (reply.status, reply.body) == (204, "")
    assert reply.headers["Access-Control-Allow-Methods"] == method
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert reply.headers["Access-Control-Max-Age"] == "600"
    allowed = reply.headers["Access-Control-Allow-Headers"].split(", ")
    assert allowed == ["x-ultracart-browser-key", "content-type", "idempotency-key"]


# --- balances --------------------------------------------------------------------------------------------------------


def certificate(house: TestHouse, amount: int, **said: Any) -> str:
    path = "/rest/v2/gift_certificate/gift_certificates"
    reply = house.call("POST", path, {"amount": amount, **said}, key=house.key())
    assert reply.status == 200, reply.body
    return str(reply.json["gift_certificate"]["code"])


def customer_with_credit(house: TestHouse, email: str, amount: int) -> str:
    """Returns where the customer is."""
    made = house.call("POST", "/rest/v2/customer/customers", {"email": email}, key=house.key()).json["customer"]
    one = f"/rest/v2/customer/customers/{made['customer_profile_oid']}"
    assert house.call("POST", f"{one}/store_credit", {"amount": amount}, key=house.key()).status == 200
    return one


def test_a_shopper_pays_with_a_gift_certificate_by_its_code(house: TestHouse, key: str) -> None:
    code = certificate(house, 25)
    body = an_order(None, {"merchant_item_id": "CUP", "quantity": 4}, gift_certificate_code=code.lower())
    reply = buy(house, key, body)
    assert reply.json["payment_outcome"] == "approved"
    order = reply.json["order"]
    assert order["gift_certificate"]["gift_certificate_amount"]["value"] == order["summary"]["total"]["value"] == 20
    assert buy(house, key, body).json == reply.json, "the same request spends once"
    assert house.sandbox.captures() == []
    rest = buy(house, key, an_order(token(house, key), gift_certificate_code=code), "order-2").json["order"]
    assert rest["gift_certificate"]["gift_certificate_amount"]["value"] == 5
    assert [capture.amount for capture in house.sandbox.captures()] == [15]
    refused = buy(house, key, an_order(token(house, key), gift_certificate_code=code), "order-3")
    assert refused.problems == {"/gift_certificate_code": "used_up"}


@pytest.mark.parametrize("code", ["NONE", "", "X" * 21])
def test_a_code_that_is_none_is_refused_by_name_and_nothing_is_kept(house: TestHouse, key: str, code: str) -> None:
    before, body = kept(house), an_order(token(house, key), gift_certificate_code=code)
    assert list(buy(house, key, body).problems) == ["/gift_certificate_code"]
    assert kept(house) == before


def test_where_a_certificate_does_not_pay_it_all_a_card_is_needed(house: TestHouse, key: str) -> None:
    body = an_order(None, {"merchant_item_id": "CUP", "quantity": 4}, gift_certificate_code=certificate(house, 5))
    assert buy(house, key, body).problems == {"/card_token": "required"}


def test_a_shopper_spends_store_credit_by_the_merchants_word_alone(house: TestHouse, key: str) -> None:
    one = customer_with_credit(house, JANE["email"], 7)
    other = customer_with_credit(house, "eve@example.com", 7)
    reply = house.call("POST", f"{one}/store_credit_token", key=house.key())
    assert reply.json["expiration_dts"] == "2027-01-31T17:00:00-05:00"
    janes = reply.json["store_credit_token"]
    eves = house.call("POST", f"{other}/store_credit_token", key=house.key()).json["store_credit_token"]
    card_token = token(house, key)
    assert (
        buy(house, key, an_order(card_token)).json["order"]["summary"].get("internal_gift_certificate_amount") is None
    )
    for wrong, code in ((eves, "conflict"), (janes[:-1], "unknown"), ("nonsense", "unknown")):
        reply = buy(house, key, an_order(card_token, store_credit_token=wrong), f"word-{wrong}")
        assert reply.problems == {"/store_credit_token": code}
    body = an_order(card_token, store_credit_token=janes)
    reply = buy(house, key, body, "order-2")
    assert reply.json["order"]["summary"]["internal_gift_certificate_amount"]["value"] == 7
    assert buy(house, key, body, "order-2").json == reply.json
    assert [capture.amount for capture in house.sandbox.captures()] == [20, 13]
    house.clock.pass_(hours=2)
    late = buy(house, key, an_order(token(house, key), store_credit_token=janes), "order-3")
    assert late.problems == {"/store_credit_token": "unknown"}


def test_a_shoppers_coupon_for_one_use_is_used_once(house: TestHouse, key: str) -> None:
    once = {"merchant_code": "ONCE", "percent_off_subtotal": {"discount_percent": 10}, "usable_by": "OncePerCustomer"}
    assert house.call("POST", "/rest/v2/coupon/coupons", once, key=house.key()).status == 200
    assert buy(house, key, an_order(token(house, key), coupons=["once"])).json["payment_outcome"] == "approved"
    again = buy(house, key, an_order(token(house, key), coupons=["ONCE"]), "order-2")
    assert again.problems == {"/coupons/0": "coupon_used_up"}
