"""Webhooks: what an endpoint may be, what it is told, when a delivery is tried again, when an endpoint is given up."""

import base64
import gzip
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from chalicelib.domain import webhooks, wire
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.customers import Customer
from chalicelib.domain.dates import Instant, instant, later, parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.events import CATALOGUE
from chalicelib.domain.items import Item
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import LEASE_SECONDS
from chalicelib.domain.webhooks import (
    DESCRIPTIONS,
    EXPANSIONS,
    RETRY_SECONDS,
    Answer,
    Delivery,
    DeliveryLog,
    HTTPHeader,
    Webhook,
    WebhookEventCategory,
    WebhookEventSubscription,
    target_of,
)
from chalicelib.domain.wire import Form

NOW = parse_instant("2027-01-31T05:00:00Z")
FORM = Form(zone_name="America/New_York", currency_code="USD")
CHANCES = st.floats(min_value=0, max_value=1, exclude_max=True)
SECRET = webhooks.secret_text(["one", "two"])
NOT_TAKEN = [0, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 408, 409, 413, 415, 422, 429]
NOT_TAKEN += [500, 501, 502, 503, 504, 521, 599]


def an_endpoint(*event_names: str, **fields: Any) -> Webhook:
    subscribed = [
        WebhookEventCategory(
            event_category=category,
            events=[
                WebhookEventSubscription(event_name=name, subscribed=True) for name in names if name in event_names
            ],
        )
        for category, names in CATALOGUE.items()
        if any(name in event_names for name in names)
    ]
    webhook = Webhook(webhook_url="https://shop.example.com/hook", event_categories=subscribed or None)
    return webhooks.begun(
        replace(webhook, **fields),
        oid=7,
        merchant_id="DEMO",
        secret=SECRET,
        username="user",
        password="password",
        now=NOW,
    )


def a_delivery(**changes: Any) -> Delivery:
    delivery = webhooks.planned(
        an_endpoint("order_create"), "evt_1", "order_create", {"order_id": "DEMO-1"}, NOW, order_ids=["DEMO-1"]
    )
    return replace(delivery, **changes)


def problems_of(webhook: Webhook, allowed: frozenset[str] = frozenset()) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        webhooks.validate(webhook, allowed)
    return {problem.pointer: problem.message for problem in caught.value.problems}


# --- the contract ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noun", "module", "name", "extra"),
    [
        (Webhook, "webhook", "Webhook", {"signing_secret"}),
        (WebhookEventCategory, "webhook_event_category", "WebhookEventCategory", set()),
        (WebhookEventSubscription, "webhook_event_subscription", "WebhookEventSubscription", set()),
        (webhooks.ApiUserApplicationProfile, "api_user_application_profile", "ApiUserApplicationProfile", set()),
        (DeliveryLog, "webhook_log", "WebhookLog", set()),
        (webhooks.WebhookLogSummary, "webhook_log_summary", "WebhookLogSummary", set()),
        (HTTPHeader, "http_header", "HTTPHeader", set()),
    ],
)
def test_the_nouns_have_the_fields_of_the_official_client(noun: Any, module: str, name: str, extra: set[str]) -> None:
    model = getattr(pytest.importorskip(f"ultracart.model.{module}"), name)
    shown = {field.encode_name for field in fields(noun)} - noun.own
    assert shown == set(model.attribute_map.values()) | extra


def test_every_event_has_a_description_and_an_oid_of_its_own() -> None:
    names = [name for names in CATALOGUE.values() for name in names]
    assert set(DESCRIPTIONS) == set(names)
    oids = {event.webhook_event_oid for category in webhooks.catalogue() for event in category.events or []}
    assert len(oids) == len(names)
    assert all(oid is not None and 0 < oid < 2**31 for oid in oids)


@pytest.mark.parametrize(
    ("category", "noun"), [("auto_order", AutoOrder), ("customer", Customer), ("item", Item), ("order", Order)]
)
def test_every_expansion_of_the_catalogue_expands_something(category: str, noun: Any) -> None:
    assert set(EXPANSIONS) == set(CATALOGUE)
    for expansion in EXPANSIONS[category]:
        first, _, rest = expansion.partition(".")
        assert first in expandable(noun), expansion
        if rest and expansion not in noun.deep:
            assert rest in EXPANSIONS["order"], expansion


def expandable(noun: Any) -> set[str]:
    return {noun.expansions.get(field.name, field.encode_name) for field in fields(noun) if field.name not in noun.own}


# --- addresses -------------------------------------------------------------------------------------------------------

GOOD = [
    "https://example.com",
    "https://shop.example.com/webhooks",
    "https://shop.example.com:8443/webhooks?shop=1&b=%20#"[:-1],
    "https://SHOP.Example.COM:443/",
    "https://xn--bcher-kva.example/hook",
    "https://a.b.c.d.example.co.uk/x/y/z;v=1",
    "https://hooks.example.com?token=abc",
]
BAD = [
    "",
    "example.com/hook",
    "//example.com/hook",
    "http://example.com/hook",
    "http://example.com:443/hook",
    "HTTP://example.com",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com:70/_",
    "dict://example.com:11211/stat",
    "javascript:alert(1)",
    "data:text/html,x",
    "ws://example.com/",
    "https:example.com",
    "https:/example.com",
    "https:///example.com",
    "https://",
    "https://?x",
    "https://#",
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://example.com@127.0.0.1/",
    "https://127.0.0.1@example.com/",
    "https://example.com#@127.0.0.1/",
    "https://example.com/#fragment",
    "https://example.com\\@127.0.0.1/",
    "https:\\\\example.com\\",
    "https://example.com/\\evil",
    "https://example.com /",
    " https://example.com/",
    "https://example.com/ ",
    "https://example.com/a b",
    "https://example.com/\r\nX-Evil: 1",
    "https://example.com/\n",
    "https://example.com\t/",
    "https://example.com/\x00",
    "https://example.com:22/",
    "https://example.com:80/",
    "https://example.com:6379/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:443443443/",
    "https://example.com:/",
    "https://example.com:x/",
    "https://example.com:-443/",
    "https://example.com:443:443/",
    "https://localhost/",
    "https://metadata/",
    "https://example./",
    "https://example.com./",
    "https://.example.com/",
    "https://example..com/",
    "https://-example.com/",
    "https://example-.com/",
    "https://exa_mple.com/",
    "https://exa%6dple.com/",
    "https://*.example.com/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://0/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.0x1/",
    "https://8.8.8.8/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[2606:4700::1111]/",
    "https://[fe80::1%25eth0]/",
    "https://[::1/",
    "https://::1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
    "https://exämple.com/",
    "https://example。com/",
    "https://example.com/ünicode",
    "https://" + "a" * 64 + ".example.com/",
    "https://" + "a." * 127 + "example/",
    "https://example.com/" + "a" * 1000,
]


@pytest.mark.parametrize("url", GOOD)
def test_public_https_names_are_taken(url: str) -> None:
    target = target_of(url)
    assert target.scheme == "https"
    assert target.port in webhooks.PORTS
    assert target.path.startswith("/")


@pytest.mark.parametrize("url", BAD)
def test_everything_else_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|may"):
        target_of(url)
    assert "/webhook_url" in problems_of(Webhook(webhook_url=url))


def test_an_address_is_taken_apart_once_and_for_all() -> None:
    target = target_of("https://SHOP.Example.com:8443?token=1")
    assert (target.host, target.port, target.path) == ("shop.example.com", 8443, "/?token=1")


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:9000/hook", "127.0.0.1:9000"),
        ("https://127.0.0.1:9000/hook", "127.0.0.1:9000"),
        ("http://localhost:9000", "localhost:9000"),
        ("http://[::1]:9000/", "[::1]:9000"),
        ("http://127.0.0.1/", "127.0.0.1:80"),
    ],
)
def test_an_allowed_target_is_taken_to_the_letter(url: str, allowed: str) -> None:
    assert target_of(url, frozenset({allowed})).name == allowed
    for other in (frozenset[str](), frozenset({"127.0.0.1:9001"}), frozenset({"127.0.0.1"})):
        with pytest.raises(ValueError, match=r"must|may"):
            target_of(url, other)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader_of_addresses(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.com{text}"):
        try:
            target = target_of(url)
        except ValueError:
            continue
        assert target.host.isascii()
        assert not set(target.path) & set("\r\n \\#")


# --- rules of an endpoint --------------------------------------------------------------------------------------------


def test_an_endpoint_needs_an_address() -> None:
    assert problems_of(Webhook()) == {"/webhook_url": "is required"}


@pytest.mark.parametrize("kind", ["api user", "aws iam"])
def test_authentication_that_is_not_available_is_refused_by_name(kind: Any) -> None:
    problems = problems_of(Webhook(webhook_url=GOOD[0], authentication_type=kind, iam_secret_key="x"))
    assert kind in problems["/authentication_type"]
    assert "not available" in problems["/authentication_type"]
    assert "not available" in problems["/iam_secret_key"]


@pytest.mark.parametrize(("user", "password"), [("a:b", "c"), ("a\n", "c"), ("a", "c\r\n")])
def test_basic_credentials_must_fit_a_header(user: str, password: str) -> None:
    webhook = Webhook(webhook_url=GOOD[0], authentication_type="basic", basic_username=user, basic_password=password)
    assert problems_of(webhook)


def test_all_problems_are_told_together() -> None:
    webhook = Webhook(
        webhook_url="http://x",
        authentication_type="basic",
        event_categories=[
            WebhookEventCategory(event_category="chargeback"),
            WebhookEventCategory(
                event_category="order",
                events=[
                    WebhookEventSubscription(event_name="order_create", event_ruler='{"a": [1]}'),
                    WebhookEventSubscription(event_name="order_create", expansion="items;drop"),
                    WebhookEventSubscription(event_name="item_create"),
                ],
            ),
        ],
    )
    assert set(problems_of(webhook)) == {
        "/webhook_url",
        "/basic_username",
        "/basic_password",
        "/event_categories/0/event_category",
        "/event_categories/1/events/0/event_ruler",
        "/event_categories/1/events/1/event_name",
        "/event_categories/1/events/1/expansion",
        "/event_categories/1/events/2/event_name",
    }


@pytest.mark.parametrize(
    "raw",
    [
        {"maximum_events": 9},
        {"maximum_size": 900 * 1024 + 1},
        {"merchant_comments": "x" * 2001},
        {"name": "x" * 81},
        {"webhook_url": "https://example.com/" + "x" * 1000},
        {"api_version": "2018-01-01"},
        {"signing_secrets": []},
        {"failing_since_dts": "2027-01-31T00:00:00Z"},
    ],
)
def test_bounds_and_fields_that_are_not_the_callers(raw: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        wire.noun(raw, Webhook)


# --- making, showing, editing ----------------------------------------------------------------------------------------


def test_basic_credentials_are_made_up_where_none_came() -> None:
    webhook = an_endpoint(authentication_type="basic")
    assert (webhook.basic_username, webhook.basic_password) == ("user", "password")
    own = an_endpoint(authentication_type="basic", basic_username="me", basic_password="mine")
    assert (own.basic_username, own.basic_password) == ("me", "mine")
    assert webhooks.basic_authorization(own) == "Basic " + base64.b64encode(b"me:mine").decode()
    assert webhooks.basic_authorization(an_endpoint()) is None


def test_a_new_endpoint_is_checked_whole() -> None:
    event = WebhookEventSubscription(event_name="order_explode", subscribed=False)
    category = WebhookEventCategory(event_category="order", events=[event])
    with pytest.raises(Invalid) as caught:
        an_endpoint(webhook_url="http://127.0.0.1:9000/", event_categories=[category])
    # As it was sent, not as it would be kept.
    assert {problem.pointer for problem in caught.value.problems} == {
        "/webhook_url",
        "/event_categories/0/events/0/event_name",
    }


def test_secrets_are_shown_by_the_answer_that_made_them_and_by_no_other() -> None:
    webhook = an_endpoint("order_create", authentication_type="basic")
    once = wire.whole(webhooks.shown(webhook, secret=True, password=True), FORM)
    assert once["signing_secret"] == SECRET
    assert once["basic_password"] == "password"
    later_on = wire.to_json(wire.whole(webhooks.shown(webhook, placeholders=True), FORM)).decode()
    assert SECRET not in later_on
    assert "password" not in later_on.replace("basic_password", "")
    assert "signing_secret" not in later_on


def test_an_endpoint_is_shown_with_what_the_catalogue_says_of_its_events() -> None:
    webhook = an_endpoint("order_create", "order_update")
    (order,) = webhooks.shown(webhook).event_categories or []
    assert [event.event_name for event in order.events or []] == ["order_create", "order_update"]
    assert order.any_subscribed
    assert not order.subscribed
    assert (order.events or [])[0].supports_reflow
    assert order.available_expansions == list(EXPANSIONS["order"])


def test_placeholders_show_every_event_there_is() -> None:
    shown = webhooks.shown(an_endpoint(*CATALOGUE["item"]), placeholders=True).event_categories or []
    assert [category.event_category for category in shown] == list(CATALOGUE)
    assert [category.subscribed for category in shown] == [category == "item" for category in CATALOGUE]
    assert {event.event_name for category in shown for event in category.events or []} == set(DESCRIPTIONS)


def test_what_was_shown_with_placeholders_may_be_sent_back() -> None:
    stored = an_endpoint("order_create")
    raw = wire.parse(wire.to_json(wire.whole(webhooks.shown(stored, placeholders=True), FORM)))
    assert webhooks.edited(stored, raw, NOW) == stored


def test_a_whole_category_may_be_subscribed_to() -> None:
    webhook = an_endpoint(event_categories=[WebhookEventCategory(event_category="item", subscribed=True)])
    assert all(webhooks.subscribes(webhook, name) == "" for name in CATALOGUE["item"])
    assert webhooks.subscribes(webhook, "order_create") is None


def test_a_subscription_says_what_is_expanded() -> None:
    event = WebhookEventSubscription(event_name="order_create", expansion="item, payment.transaction", subscribed=True)
    off = WebhookEventSubscription(event_name="order_update", expansion="item", subscribed=False)
    webhook = an_endpoint(event_categories=[WebhookEventCategory(event_category="order", events=[event, off])])
    assert webhooks.subscribes(webhook, "order_create") == "item,payment.transaction"
    assert webhooks.subscribes(webhook, "order_update") is None
    assert webhooks.subscribes(replace(webhook, disabled=True), "order_create") is None


def test_an_edit_that_knows_old_counters_is_no_mistake() -> None:
    stored = replace(an_endpoint(), consecutive_failures=9, next_retry_after=later(NOW, hours=1))
    raw = {"consecutive_failures": 3, "pending": 5, "next_retry_after": "2027-01-01T00:00:00Z", "name": "new"}
    after = webhooks.edited(stored, raw, NOW)
    assert after == replace(stored, name="new")


def test_the_answer_of_an_insert_may_be_sent_back_with_its_secret() -> None:
    stored = an_endpoint(authentication_type="basic")
    raw = wire.parse(wire.to_json(wire.whole(webhooks.shown(stored, secret=True, password=True), FORM)))
    assert webhooks.edited(stored, raw, NOW) == stored
    with pytest.raises(Invalid):
        webhooks.edited(stored, raw | {"signing_secret": webhooks.secret_text(["mine"])}, NOW)


@pytest.mark.parametrize("raw", [{"webhook_oid": 8}, {"merchant_id": "EVIL"}, {"webhook_url": "http://x"}, [], None, 1])
def test_an_edit_is_checked_like_a_new_one(raw: Any) -> None:
    with pytest.raises(Invalid):
        webhooks.edited(an_endpoint(), raw, NOW)


def test_what_an_edit_leaves_out_stays() -> None:
    stored = an_endpoint("order_create", authentication_type="basic")
    after = webhooks.edited(stored, {"name": "new"}, NOW)
    assert after == replace(stored, name="new")


def test_enabling_an_endpoint_forgives_its_failures() -> None:
    stored = replace(
        an_endpoint(), disabled=True, disabled_reason="gone", consecutive_failures=30, failing_since_dts=NOW
    )
    after = webhooks.edited(stored, {"disabled": False}, NOW)
    assert (after.disabled, after.disabled_reason, after.consecutive_failures) == (False, None, 0)
    assert after.failing_since_dts is None
    still = webhooks.edited(stored, {"name": "new"}, NOW)
    assert (still.disabled, still.consecutive_failures) == (True, 30)


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_a_secret_is_of_the_length_and_form_that_the_standard_asks_for() -> None:
    prefix, _, rest = SECRET.partition("_")
    assert prefix == "whsec"
    assert 24 <= len(base64.b64decode(rest, validate=True)) <= 64
    assert webhooks.secret_text(["onet", "wo"]) != webhooks.secret_text(["one", "two"])


def test_both_secrets_sign_until_the_overlap_is_over() -> None:
    fresh = webhooks.secret_text(["fresh"])
    webhook = webhooks.rotated(an_endpoint(), fresh, NOW)
    assert webhook.live_secrets(NOW) == [fresh, SECRET]
    assert webhook.live_secrets(later(NOW, hours=24, seconds=-1)) == [fresh, SECRET]
    assert webhook.live_secrets(later(NOW, hours=24)) == [fresh]


def test_a_leaked_secret_stops_at_once() -> None:
    fresh = webhooks.secret_text(["fresh"])
    assert webhooks.rotated(an_endpoint(), fresh, NOW, at_once=True).live_secrets(NOW) == [fresh]


def test_rotating_again_does_not_lengthen_an_old_overlap_and_ends_somewhere() -> None:
    webhook = an_endpoint()
    for number in range(webhooks.MAXIMUM_SECRETS - 1):
        webhook = webhooks.rotated(webhook, webhooks.secret_text([str(number)]), later(NOW, hours=number))
    assert SECRET in webhook.live_secrets(later(NOW, hours=23))
    assert SECRET not in webhook.live_secrets(later(NOW, hours=24))
    with pytest.raises(Invalid):
        webhooks.rotated(webhook, webhooks.secret_text(["x"]), later(NOW, hours=5))
    tidy = webhooks.rotated(webhook, webhooks.secret_text(["x"]), later(NOW, days=9))
    assert len(tidy.signing_secrets or []) == 2


# --- bodies ----------------------------------------------------------------------------------------------------------


def test_a_body_holds_one_event_as_the_contract_writes_it() -> None:
    order = wire.render(Order(order_id="DEMO-1", creation_dts=NOW), FORM)
    body = webhooks.body_of("order_create", order)
    assert body == '{"events":[{"order_create":{"creation_dts":"2027-01-31T00:00:00-05:00","order_id":"DEMO-1"}}]}'


def test_compressed_events_are_one_string_and_always_the_same() -> None:
    body = webhooks.body_of("order_create", {"order_id": "DEMO-1"}, compress=True)
    assert body == webhooks.body_of("order_create", {"order_id": "DEMO-1"}, compress=True)
    events = json.loads(gzip.decompress(base64.b64decode(json.loads(body)["events"])))
    assert events == [{"order_create": {"order_id": "DEMO-1"}}]


def test_each_happening_of_an_event_has_an_id_of_its_own() -> None:
    ids = [webhooks.delivery_id("evt_1", position) for position in range(3)]
    assert ids == ["evt_1", "evt_1-1", "evt_1-2"]
    assert not any("." in name for name in ids)  # the standard's separator


@pytest.mark.parametrize("maximum", [1024, None])
def test_a_body_that_is_too_large_is_dead_from_the_start_and_says_why(maximum: int | None) -> None:
    webhook = replace(an_endpoint("order_create"), maximum_size=maximum)
    most = maximum or webhooks.MAXIMUM_BODY_BYTES
    delivery = webhooks.planned(webhook, "evt_1", "order_create", {"notes": "x" * most}, NOW)
    assert (delivery.state, delivery.body, delivery.next_dts) == ("dead", "", None)
    assert str(most) in (delivery.reason or "")
    fits = webhooks.planned(webhook, "evt_1", "order_create", {"notes": "x" * (most - 100)}, NOW)
    assert (fits.state, fits.next_dts) == ("pending", NOW)


# --- when it is tried again ------------------------------------------------------------------------------------------


def test_nineteen_tries_in_seven_days() -> None:
    assert len(RETRY_SECONDS) == 19
    assert RETRY_SECONDS[0] == 0
    assert timedelta(seconds=sum(RETRY_SECONDS)) == timedelta(days=7, hours=3, minutes=52, seconds=35)
    assert list(RETRY_SECONDS) == sorted(RETRY_SECONDS)


@pytest.mark.parametrize("status", NOT_TAKEN)
@settings(max_examples=20)
@given(chance=CHANCES)
def test_each_wait_keeps_to_its_jitter_and_the_last_try_is_the_last(status: int, chance: float) -> None:
    answer = Answer(status=status, error=None if status else "no connection")
    delivery, now = a_delivery(), NOW
    for tries in range(1, 19):
        delivery = webhooks.tried(delivery, answer, now, chance)
        assert (delivery.state, delivery.tries) == ("pending", tries)
        assert delivery.next_dts is not None
        wait = (delivery.next_dts - now).total_seconds()
        assert RETRY_SECONDS[tries] * 0.8 - 0.5 <= wait <= RETRY_SECONDS[tries] * 1.2 + 0.5
        assert not delivery.ready(later(delivery.next_dts, seconds=-1))
        assert delivery.ready(delivery.next_dts)
        now = delivery.next_dts
    delivery = webhooks.tried(delivery, answer, now, chance)
    assert (delivery.state, delivery.tries, delivery.next_dts, delivery.ended_dts) == ("dead", 19, None, now)
    assert "19 tries" in (delivery.reason or "")
    assert timedelta(days=5) < now - NOW < timedelta(days=9)
    assert delivery.body == a_delivery().body


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_two_hundreds_are_taken(status: int) -> None:
    delivery = webhooks.tried(a_delivery(reason="status 500", tries=3), Answer(status=status), NOW, 0.5)
    assert (delivery.state, delivery.tries, delivery.next_dts, delivery.reason) == ("delivered", 4, None, None)


def test_gone_ends_the_delivery_and_the_endpoint() -> None:
    delivery = webhooks.tried(a_delivery(), Answer(status=410), NOW, 0.5)
    assert (delivery.state, delivery.tries) == ("dead", 1)
    webhook = webhooks.counted(an_endpoint(), Answer(status=410), delivery, NOW)
    assert webhook.disabled
    assert "410" in (webhook.disabled_reason or "")
    assert webhooks.reason_to_stop(webhook) == webhook.disabled_reason


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("86400", 86400),
        ("86401", 86400),
        ("999999999", 86400),
        ("Sun, 31 Jan 2027 06:00:00 GMT", 3600),
        ("Sunday, 31-Jan-27 06:00:00 GMT", 3600),
        ("Sun, 31 Jan 2027 04:00:00 GMT", 0),
        ("Sun, 31 Jan 2100 04:00:00 GMT", 86400),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),
        ("9999999999", None),
        ("Sun, 31 Jan 20270 04:00:00 GMT", None),
    ],
)
def test_a_pause_that_the_receiver_asks_for_is_kept_up_to_a_day(text: str, seconds: int | None) -> None:
    answer = Answer(status=429, headers=(("RETRY-after", text),))
    assert webhooks.retry_after_seconds(answer, NOW) == seconds
    delivery = webhooks.tried(a_delivery(), answer, NOW, 0.5)
    assert delivery.next_dts == later(NOW, seconds=max(5, seconds or 0))
    webhook = webhooks.counted(an_endpoint(), answer, delivery, NOW)
    assert webhook.next_retry_after == (later(NOW, seconds=seconds) if seconds else None)


def test_a_retry_after_that_is_short_does_not_shorten_the_wait() -> None:
    delivery = webhooks.tried(a_delivery(tries=8), Answer(status=503, headers=(("Retry-After", "1"),)), NOW, 0.5)
    assert delivery.next_dts == later(NOW, seconds=RETRY_SECONDS[9])


def test_a_message_that_comes_twice_or_early_finds_nothing_to_do() -> None:
    assert a_delivery().ready(NOW)
    assert not webhooks.claimed(a_delivery(), NOW).ready(NOW)
    assert not a_delivery(next_dts=later(NOW, seconds=1)).ready(NOW)
    assert not a_delivery(state="delivered").ready(NOW)
    assert not a_delivery(state="dead").ready(NOW)


@pytest.mark.parametrize(
    ("pushed", "lease"),
    [
        (None, LEASE_SECONDS),
        (0, LEASE_SECONDS),
        (59, LEASE_SECONDS),
        (60, 60),
        (LEASE_SECONDS - 2, LEASE_SECONDS - 2),
        (LEASE_SECONDS, LEASE_SECONDS),
        (LEASE_SECONDS + 1, LEASE_SECONDS),
    ],
)
def test_a_claim_keeps_the_sweeps_push_where_it_is_a_lease_itself(pushed: int | None, lease: int) -> None:
    due = None if pushed is None else later(NOW, seconds=pushed)
    claimed = webhooks.claimed(a_delivery(due_dts=due), NOW)
    assert claimed.next_dts == claimed.due_dts == later(NOW, seconds=lease)


# --- when an endpoint is paused and given up -------------------------------------------------------------------------

FAILED = Answer(status=500)


def failing(webhook: Webhook, moments: list[Instant]) -> Webhook:
    for moment in moments:
        webhook = webhooks.counted(webhook, FAILED, a_delivery(next_dts=later(moment, hours=9)), moment)
    return webhook


@pytest.mark.parametrize("failures", [1, 5, 19, 20, 21, 40])
@pytest.mark.parametrize("days", [0, 1, 6, 7, 8, 30])
def test_an_endpoint_is_disabled_after_many_failures_and_a_week_without_success(failures: int, days: int) -> None:
    step = timedelta(days=days) / max(failures - 1, 1)
    moments = [instant(NOW + step * n) for n in range(failures - 1)] + [later(NOW, days=days)]
    webhook = failing(an_endpoint(), moments[-failures:])
    week = (moments[-1] - moments[-failures:][0]) >= timedelta(days=7)
    assert bool(webhook.disabled) == (failures >= 20 and week)
    assert webhook.consecutive_failures == failures


def test_one_success_begins_the_count_anew() -> None:
    week = [later(NOW, hours=9 * n) for n in range(19)]
    webhook = failing(an_endpoint(), week)
    webhook = webhooks.counted(webhook, Answer(status=204), a_delivery(state="delivered"), week[-1])
    assert (webhook.consecutive_failures, webhook.failing_since_dts, webhook.next_retry_after) == (0, None, None)
    webhook = failing(webhook, [later(week[-1], hours=9 * n) for n in range(1, 19)])
    assert not webhook.disabled


def test_a_success_after_a_success_changes_nothing() -> None:
    webhook = an_endpoint()
    assert webhooks.counted(webhook, Answer(status=200), a_delivery(), NOW) is webhook


def test_a_failing_endpoint_is_probed_and_not_stormed() -> None:
    webhook = failing(an_endpoint(), [NOW] * 4)
    assert webhooks.paused_until(webhook, NOW) is None
    webhook = failing(webhook, [NOW])
    assert webhooks.paused_until(webhook, NOW) == later(NOW, seconds=webhooks.LONGEST_PAUSE_SECONDS)
    assert webhooks.paused_until(webhook, later(NOW, seconds=webhooks.LONGEST_PAUSE_SECONDS)) is None


def test_the_delivery_that_failed_is_itself_the_next_probe() -> None:
    webhook = replace(an_endpoint(), consecutive_failures=4, failing_since_dts=NOW)
    delivery = webhooks.tried(a_delivery(tries=1), FAILED, NOW, 0.5)
    webhook = webhooks.counted(webhook, FAILED, delivery, NOW)
    assert webhook.next_retry_after == delivery.next_dts == later(NOW, seconds=30)


@given(chance=CHANCES)
def test_what_waits_for_the_end_of_a_pause_is_spread_and_loses_no_try(chance: float) -> None:
    until = later(NOW, hours=1)
    held = webhooks.held_back(a_delivery(tries=3), until, chance)
    assert held.tries == 3
    assert held.next_dts is not None
    assert until <= held.next_dts <= later(until, seconds=webhooks.SPREAD_SECONDS)


def test_nothing_is_sent_to_who_is_not_there() -> None:
    assert webhooks.reason_to_stop(None) == "the endpoint was deleted"
    assert webhooks.reason_to_stop(replace(an_endpoint(), disabled=True)) == "the endpoint is disabled"
    assert webhooks.reason_to_stop(an_endpoint()) is None


# --- logs ------------------------------------------------------------------------------------------------------------


def test_a_log_says_what_was_sent_and_what_came_back_without_credentials() -> None:
    delivery = a_delivery(next_dts=later(NOW, seconds=-3))
    answer = Answer(status=500, headers=(("X-Request", "1"),), body="oops", duration_ms=12)
    headers = {"Authorization": "Basic c2VjcmV0", "webhook-id": "evt_1"}
    log = webhooks.log_of(delivery, an_endpoint(), answer, headers, "20270131T050000Z-a", NOW)
    shown = wire.whole(log, FORM)
    assert shown == {
        "delivery_dts": "2027-01-31T00:00:00-05:00",
        "duration": 12,
        "event_names": ["order_create"],
        "order_ids": ["DEMO-1"],
        "queue_delay": 3000,
        "request_headers": [{"name": "Authorization", "value": "(hidden)"}, {"name": "webhook-id", "value": "evt_1"}],
        "request_id": "20270131T050000Z-a",
        "response": "oops",
        "response_headers": [{"name": "X-Request", "value": "1"}],
        "status_code": 500,
        "success": False,
        "uri": "https://shop.example.com/hook",
        "webhook_oid": 7,
    }


def test_where_no_answer_came_the_log_says_why() -> None:
    log = webhooks.log_of(a_delivery(), an_endpoint(), Answer(error="no connection"), {}, "r", NOW)
    assert (log.status_code, log.response, log.success) == (None, "no connection", False)
    assert log.summary().request_id == "r"


def test_request_ids_sort_as_time_passes() -> None:
    first = webhooks.request_id(NOW, "zzz")
    second = webhooks.request_id(later(NOW, seconds=1), "aaa")
    assert first < second
    assert webhooks.stamp(NOW) <= first < webhooks.stamp(later(NOW, seconds=1)) <= second
