"""Webhooks over HTTP: the official client's nine calls, what was delivered, what was not, and who may ask."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from standardwebhooks import Webhook as Verifier
from ultracart import ApiClient, Configuration
from ultracart.api.webhook_api import WebhookApi
from ultracart.exceptions import ApiException
from ultracart.model.webhook import Webhook as SdkWebhook
from ultracart.model.webhook_event_category import WebhookEventCategory as SdkCategory
from ultracart.model.webhook_event_subscription import WebhookEventSubscription as SdkSubscription

from chalicelib.config import QUEUES
from chalicelib.domain.dates import later
from chalicelib.domain.events import CATALOGUE
from chalicelib.domain.webhooks import MAXIMUM_WEBHOOKS, Answer
from chalicelib.flows import endpoints
from chalicelib.flows.deliver import REPLAY_AT_ONCE, deliver
from chalicelib.gateways.http import GuardedHttp
from chalicelib.handlers import webhooks as door
from chalicelib.handlers.http import ROUTES
from tests.houses import TestHouse, a_house

BASE = "/rest/v2/webhook/webhooks"
URL = "https://shop.example.com/hook"


@dataclass
class Receiver:
    """The outside: takes what is posted, and answers as the test says."""

    answer: Answer = field(default_factory=lambda: Answer(status=200, body="thanks", duration_ms=40))
    posts: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        self.posts.append((url, body, dict(headers)))
        return self.answer

    def signed(self, message_id: str, body: str, secrets: Sequence[str]) -> dict[str, str]:
        return GuardedHttp().signed(message_id, body, secrets)

    @property
    def got(self) -> list[tuple[str, Any]]:
        """Every event that arrived, by its name."""
        return [
            (name, noun)
            for _, body, _ in self.posts
            for event in json.loads(body)["events"]
            for name, noun in event.items()
        ]


@dataclass
class Shop:
    house: TestHouse
    receiver: Receiver
    key: str

    def call(self, method: str, path: str = "", body: Any = None, **more: Any) -> Any:
        return self.house.call(method, f"{BASE}{path}", body, key=self.key, **more)

    def insert(self, *names: str, url: str = URL, **fields: Any) -> Any:
        """A webhook that is subscribed to these events, or to all; as the answer shows it."""
        categories = [
            {
                "event_category": category,
                "events": [{"event_name": n, "subscribed": True} for n in known if not names or n in names],
            }
            for category, known in CATALOGUE.items()
        ]
        reply = self.call("POST", "", {"webhook_url": url, "event_categories": categories, **fields})
        assert reply.status == 200, reply.body
        return reply.json["webhook"]

    def item(self, name: str) -> None:
        reply = self.house.call("POST", "/rest/v2/item/items", {"merchant_item_id": name}, key=self.key)
        assert reply.status == 200, reply.body

    def pass_on(self) -> int:
        """Tell all that waits and try all that is due, as relay and workers do. Returns how many were due."""
        self.house.relay()
        waiting = self.house.backroom().waiting
        due = [
            row
            for shard in waiting.shards()
            for row in waiting.due("deliveries", shard, self.house.clock.now(), 1000)[0]
        ]
        for row in due:
            oid, _, event_id = row.subject.partition("/")
            deliver(self.house.open_shop(row.merchant_id), int(oid), event_id)
        return len(due)


@pytest.fixture
def shop() -> Shop:
    receiver = Receiver()
    house = a_house(http=receiver)
    return Shop(house, receiver, house.found("DEMO", time_zone="America/New_York"))


# --- the official client ---------------------------------------------------------------------------------------------


@dataclass
class _Answered:
    status: int
    data: bytes
    headers: Mapping[str, str]
    reason: str = ""

    def getheaders(self) -> Mapping[str, str]:
        return self.headers

    def getheader(self, name: str, default: str | None = None) -> str | None:
        return {n.lower(): v for n, v in self.headers.items()}.get(name.lower(), default)


@dataclass
class _Wire:
    """Stands where the client's connections are: its requests come to the house's door."""

    house: TestHouse

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        fields: Any = None,
        headers: Mapping[str, str] | None = None,
        **rest: Any,
    ) -> _Answered:
        path = url.removeprefix("http://backroom.test") + (f"?{urlencode(fields)}" if fields else "")
        reply = self.house.call(method, path, None if body is None else body.encode(), headers=headers)
        return _Answered(reply.status, reply.body.encode(), reply.headers)


def official(shop: Shop) -> WebhookApi:
    configuration = Configuration(host="http://backroom.test/rest/v2")
    configuration.api_key["ultraCartSimpleApiKey"] = shop.key
    client = ApiClient(configuration=configuration)
    client.rest_client.pool_manager = _Wire(shop.house)
    return WebhookApi(client)


def sdk_webhook(*names: str, **fields: Any) -> SdkWebhook:
    categories = [
        SdkCategory(
            event_category=category,
            events=[SdkSubscription(event_name=n, subscribed=True) for n in known if n in names],
        )
        for category, known in CATALOGUE.items()
    ]
    return SdkWebhook(webhook_url=URL, event_categories=categories, **fields)


def test_every_call_of_the_official_client_has_its_route_with_exactly_its_path() -> None:
    api = WebhookApi(ApiClient())
    theirs = {
        (endpoint.settings["http_method"], endpoint.settings["endpoint_path"], name.removesuffix("_endpoint"))
        for name, endpoint in vars(api).items()
        if name.endswith("_endpoint")
    }
    ours = {(route.method, route.path.removeprefix("/rest/v2"), route.name) for route in ROUTES}
    assert len(theirs) == 9
    assert theirs <= ours


def test_every_query_parameter_of_the_official_client_is_declared_but_the_one_that_is_refused() -> None:
    api = WebhookApi(ApiClient())
    for name, endpoint in vars(api).items():
        if name.endswith("_endpoint"):
            (route,) = [route for route in ROUTES if route.name == name.removesuffix("_endpoint")]
            places, names = endpoint.location_map, endpoint.attribute_map
            theirs = {wire for ours, wire in names.items() if places[ours] == "query"}
            assert theirs - {door.NOT_AVAILABLE} == set(route.query)


def test_the_official_client_does_its_whole_round(shop: Shop) -> None:
    api = official(shop)
    made = api.insert_webhook(sdk_webhook("item_create", authentication_type="basic"), placeholders=True).webhook
    assert made.basic_username
    assert made.basic_password
    assert made.get("signing_secret").startswith("whsec_")
    oid = made.webhook_oid

    shop.item("TEA")
    shop.pass_on()
    assert shop.receiver.got[0][1]["merchant_item_id"] == "TEA"

    (found,) = api.get_webhooks(limit=10, offset=0, sort="-webhook_url", placeholders=False).webhooks
    assert (found.webhook_oid, found.pending, found.consecutive_failures) == (oid, 0, 0)

    (summary,) = api.get_webhook_log_summaries(
        oid, success=True, since="2027-01-01T00:00:00+00:00"
    ).webhook_log_summaries
    assert (summary.status_code, summary.event_names) == (200, ["item_create"])
    log = api.get_webhook_log(oid, summary.request_id).webhook_log
    assert json.loads(log.request)["events"][0]["item_create"]["merchant_item_id"] == "TEA"
    assert (log.response, log.uri, log.duration) == ("thanks", URL, 40)

    found.name = "kitchen"
    found.merchant_comments = "in the back"
    assert api.update_webhook(oid, found).webhook.name == "kitchen"

    categories = api.get_webhook_event_categories().event_categories
    assert {c.event_category: tuple(e.event_name for e in c.events) for c in categories} == CATALOGUE

    found.event_categories[0].events = [SdkSubscription(event_name="item_update", subscribed=True)]
    api.update_webhook(oid, SdkWebhook(event_categories=found.event_categories))
    flowed = api.resend_event(oid, "item_update").reflow
    assert (flowed.event_name, flowed.queued) == ("item_update", True)

    assert api.delete_webhook(oid) is None
    assert api.get_webhooks().webhooks == []
    api.insert_webhook(sdk_webhook("item_create"))
    assert api.delete_webhook_by_url(SdkWebhook(webhook_url=URL)).webhook.webhook_url == URL
    with pytest.raises(ApiException) as refused:
        api.delete_webhook_by_url(SdkWebhook(webhook_url=URL))
    assert refused.value.status == 400


# --- endpoints -------------------------------------------------------------------------------------------------------


def test_the_secret_and_the_generated_credentials_are_shown_once(shop: Shop) -> None:
    made = shop.insert(authentication_type="basic")
    assert {"signing_secret", "basic_username", "basic_password"} <= set(made)
    (shown,) = shop.call("GET").json["webhooks"]
    assert {"signing_secret", "basic_password"} & set(shown) == set()
    changed = shop.call("PUT", f"/{made['webhook_oid']}", {"name": "x"}).json["webhook"]
    assert {"signing_secret", "basic_password"} & set(changed) == set()


def test_credentials_of_ones_own_are_kept(shop: Shop) -> None:
    shop.insert("item_create", authentication_type="basic", basic_username="me", basic_password="mine")
    shop.item("TEA")
    shop.pass_on()
    assert shop.receiver.posts[0][2]["Authorization"] == "Basic bWU6bWluZQ=="


def test_what_the_server_sets_is_refused_in_an_insert(shop: Shop) -> None:
    reply = shop.call("POST", "", {"webhook_url": URL, "webhook_oid": 5, "signing_secret": "whsec_x"})
    assert (reply.status, reply.problems) == (400, {"/webhook_oid": "read_only", "/signing_secret": "read_only"})


def test_an_address_that_leads_inside_is_refused(shop: Shop) -> None:
    reply = shop.call("POST", "", {"webhook_url": "http://127.0.0.1:9000/"})
    assert (reply.status, reply.problems) == (400, {"/webhook_url": "invalid"})
    shop.house.outbound_allow = frozenset({"127.0.0.1:9000"})
    assert shop.call("POST", "", {"webhook_url": "http://127.0.0.1:9000/"}).status == 200


def test_no_more_webhooks_than_an_event_may_have_deliveries(shop: Shop) -> None:
    for number in range(MAXIMUM_WEBHOOKS):
        shop.insert(url=f"https://shop.example.com/{number}")
    assert shop.call("POST", "", {"webhook_url": URL}).problems == {"": "too_many"}


def test_placeholders_show_the_events_that_are_not_subscribed_to(shop: Shop) -> None:
    shop.insert("item_create")
    (few,) = shop.call("GET").json["webhooks"]
    (all_,) = shop.call("GET", query={"_placeholders": "True"}).json["webhooks"]
    assert [len(c["events"]) for c in few["event_categories"]] == [1]
    assert {c["event_category"] for c in all_["event_categories"]} == set(CATALOGUE)
    # What was shown may be sent back as it is.
    assert shop.call("PUT", f"/{all_['webhook_oid']}", all_).json["webhook"] == few


def test_webhooks_are_paged_and_sorted(shop: Shop) -> None:
    for name in "bca":
        shop.insert(url=f"https://shop.example.com/{name}", disabled=name == "a")

    def order(**query: str) -> list[str]:
        return [w["webhook_url"][-1] for w in shop.call("GET", query=query).json["webhooks"]]

    assert order() == ["a", "b", "c"]
    assert order(_sort="-webhook_url") == ["c", "b", "a"]
    assert order(_sort="disabled,-webhook_url") == ["c", "b", "a"]
    assert order(_sort="-disabled") == ["a", "b", "c"]
    assert order(_limit="2", _offset="1") == ["b", "c"]
    assert shop.call("GET", query={"_sort": "name"}).problems == {"/_sort": "unknown_field"}
    page = shop.call("GET", query={"_limit": "2"}).json["metadata"]["result_set"]
    assert page == {"count": 2, "limit": 2, "offset": 0, "total_records": 3, "more": True, "next_offset": 2}


def test_an_update_changes_what_it_names_under_the_version_that_was_read(shop: Shop) -> None:
    oid = shop.insert("item_create")["webhook_oid"]
    first = shop.call("PUT", f"/{oid}", {"name": "one"})
    assert first.json["webhook"]["event_categories"][0]["events"][0]["event_name"] == "item_create"
    tag = {"if-match": first.headers["ETag"]}
    assert shop.call("PUT", f"/{oid}", {"name": "two"}, headers=tag).status == 200
    assert shop.call("PUT", f"/{oid}", {"name": "three"}, headers=tag).status == 412
    assert shop.call("DELETE", f"/{oid}", headers=tag).status == 412
    assert shop.call("GET").json["webhooks"][0]["name"] == "two"


def test_a_failure_that_is_counted_meanwhile_does_not_get_in_the_way_of_an_update(shop: Shop) -> None:
    oid = shop.insert()["webhook_oid"]
    opened = shop.house.open_shop("DEMO")
    write = opened.write
    rushed: list[None] = []

    def rush(*changes: Any) -> None:
        if not rushed:
            kept = opened.webhooks.get(oid)
            rushed.append(write(opened.webhooks.replaced(kept.noun, kept.version)))
        write(*changes)

    object.__setattr__(opened, "write", rush)
    webhook, version = endpoints.change(opened, oid, {"name": "mine"})
    assert (webhook.name, version) == ("mine", 3)
    rushed.clear()
    assert endpoints.remove(opened, oid).name == "mine"
    assert shop.call("GET").json["webhooks"] == []


def test_enabling_a_webhook_again_forgives_its_failures(shop: Shop) -> None:
    oid = shop.insert("item_create")["webhook_oid"]
    shop.receiver.answer = Answer(status=410)
    shop.item("TEA")
    shop.pass_on()
    (webhook,) = shop.call("GET").json["webhooks"]
    assert (webhook["disabled"], webhook["consecutive_failures"]) == (True, 1)
    after = shop.call("PUT", f"/{oid}", {"disabled": False}).json["webhook"]
    assert (after["disabled"], after["consecutive_failures"]) == (False, 0)


def test_a_deleted_webhook_is_gone_and_what_waited_for_it_ends(shop: Shop) -> None:
    oid = shop.insert("item_create")["webhook_oid"]
    shop.item("TEA")
    shop.house.relay()
    reply = shop.call("DELETE", f"/{oid}")
    assert (reply.status, reply.body) == (204, "")
    shop.pass_on()
    assert shop.receiver.posts == []
    assert shop.pass_on() == 0
    assert shop.call("DELETE", f"/{oid}").status == 400
    assert shop.call("GET", f"/{oid}/logs").status == 404


def test_deleting_by_an_address_that_several_have_deletes_none(shop: Shop) -> None:
    oids = sorted(shop.insert()["webhook_oid"] for _ in range(2))
    reply = shop.call("DELETE", "", {"webhook_url": URL})
    assert reply.problems == {"/webhook_url": "ambiguous"}
    assert f"{oids[0]}, {oids[1]}" in reply.message("/webhook_url")
    assert len(shop.call("GET").json["webhooks"]) == 2
    assert shop.call("DELETE", "", {}).problems == {"/webhook_url": "required"}


def test_a_rotated_secret_signs_beside_the_old_one_for_a_day(shop: Shop) -> None:
    made = shop.insert("item_create")
    old, oid = made["signing_secret"], made["webhook_oid"]
    new = shop.call("POST", f"/{oid}/rotate_secret").json["webhook"]["signing_secret"]
    assert new != old
    shop.item("TEA")
    shop.pass_on()
    _, body, headers = shop.receiver.posts[0]
    for secret in (old, new):
        Verifier(secret).verify(body, headers)
    last = shop.call("POST", f"/{oid}/rotate_secret", query={"at_once": "true"}).json["webhook"]["signing_secret"]
    assert shop.house.open_shop("DEMO").webhooks.get(oid).noun.live_secrets(shop.house.clock.now()) == [last]


# --- what was delivered ----------------------------------------------------------------------------------------------


@pytest.fixture
def oid(shop: Shop) -> int:
    """A webhook with three logs: A was refused at first, on the next day A and B went through."""
    made: int = shop.insert("item_create")["webhook_oid"]
    shop.receiver.answer = Answer(status=500, body="oops", duration_ms=900)
    shop.item("A")
    shop.pass_on()
    shop.house.clock.pass_(days=1)
    shop.receiver.answer = Answer(status=200, duration_ms=40)
    shop.item("B")
    shop.pass_on()
    return made


def statuses(shop: Shop, oid: int, **query: str) -> list[int]:
    reply = shop.call("GET", f"/{oid}/logs", query=query)
    assert reply.status == 200, reply.body
    return [summary["status_code"] for summary in reply.json["webhook_log_summaries"]]


def test_logs_are_found_by_every_criterion_of_the_contract(shop: Shop, oid: int) -> None:
    now = shop.house.clock.now()
    day = str(now)[:10]
    assert statuses(shop, oid) == [200, 200, 500]
    assert statuses(shop, oid, status="500") == [500]
    assert statuses(shop, oid, success="True") == [200, 200]
    assert statuses(shop, oid, success="False") == [500]
    assert statuses(shop, oid, event="item_create") == [200, 200, 500]
    assert statuses(shop, oid, event="item_update") == []
    assert statuses(shop, oid, orderId="DEMO-1") == []
    assert statuses(shop, oid, duration="41") == [500]
    assert statuses(shop, oid, beginDate=str(now)) == [200, 200]
    assert statuses(shop, oid, endDate=str(later(now, seconds=-1))) == [500]
    assert statuses(shop, oid, endDate=str(now)) == [200, 200, 500]
    assert statuses(shop, oid, _since=str(later(now, hours=-1))) == [200, 200]
    assert statuses(shop, oid, beginDate=day, endDate=day) == [200, 200]
    assert statuses(shop, oid, success="true", status="500") == []


def test_a_log_is_found_by_its_request_id_where_it_meets_the_rest(shop: Shop, oid: int) -> None:
    first, *_ = shop.call("GET", f"/{oid}/logs").json["webhook_log_summaries"]
    name, now = first["request_id"], shop.house.clock.now()
    assert statuses(shop, oid, requestId=name) == [200]
    assert statuses(shop, oid, requestId=name, success="false") == []
    assert statuses(shop, oid, requestId=name, beginDate=str(later(now, seconds=1))) == []
    assert statuses(shop, oid, requestId="20270101T000000Z-none") == []


def test_a_criterion_that_is_not_supported_is_refused_by_name(shop: Shop, oid: int) -> None:
    def problems(**query: str) -> dict[str, str]:
        found: dict[str, str] = shop.call("GET", f"/{oid}/logs", query=query).problems
        return found

    assert problems(request="TEA") == {"/request": "not_available"}
    assert problems(colour="red", requestid="x") == {"/colour": "unknown_parameter", "/requestid": "unknown_parameter"}
    assert problems(status="failed") == {"/status": "wrong_type"}
    assert problems(success="maybe") == {"/success": "not_allowed_value"}
    assert problems(beginDate="yesterday") == {"/beginDate": "invalid"}
    assert problems(endDate="2027-02-30") == {"/endDate": "invalid"}
    assert problems(_since="2027-01-01T00:00:00") == {"/_since": "invalid"}


def test_pages_of_logs_are_full_and_say_whether_more_follow(shop: Shop, oid: int) -> None:
    first = shop.call("GET", f"/{oid}/logs", query={"_limit": "2"}).json
    assert first["metadata"]["result_set"] == {"count": 2, "limit": 2, "offset": 0, "more": True, "next_offset": 2}
    last = shop.call("GET", f"/{oid}/logs", query={"_limit": "2", "_offset": "2"}).json
    assert last["metadata"]["result_set"] == {"count": 1, "limit": 2, "offset": 2, "more": False}
    assert [s["status_code"] for s in last["webhook_log_summaries"]] == [500]


def test_logs_too_far_back_are_not_walked_to(shop: Shop, oid: int) -> None:
    opened = shop.house.open_shop("DEMO")
    (log, *_), _ = opened.deliveries.logs(oid)
    changes = []
    for number in range(door.MAXIMUM_WALK):
        changes.append(opened.deliveries.noted(type(log)(**_fields(log) | {"request_id": f"20270101T{number:06d}Z-x"})))
        if len(changes) == 100:
            opened.write(*changes)
            changes.clear()
    assert shop.call("GET", f"/{oid}/logs", query={"event": "no_such"}).problems == {"/_offset": "too_far"}
    assert shop.call("GET", f"/{oid}/logs", query={"_offset": str(door.MAXIMUM_WALK)}).status == 400


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def test_a_log_shows_request_and_answer_but_no_credentials(shop: Shop) -> None:
    oid = shop.insert("item_create", authentication_type="basic")["webhook_oid"]
    shop.item("TEA")
    shop.pass_on()
    (summary,) = shop.call("GET", f"/{oid}/logs").json["webhook_log_summaries"]
    log = shop.call("GET", f"/{oid}/logs/{summary['request_id']}").json["webhook_log"]
    sent = {header["name"]: header["value"] for header in log["request_headers"]}
    assert sent["Authorization"] == "(hidden)"
    assert log["webhook_oid"] == oid
    assert "event_id" not in log
    assert shop.call("GET", f"/{oid}/logs/none").status == 404
    assert shop.call("GET", f"/{oid}/logs/{'n' * 101}").status == 404


# --- reflow ----------------------------------------------------------------------------------------------------------


def test_a_reflow_tells_one_webhook_of_everything_that_exists(shop: Shop) -> None:
    shop.item("TEA")
    shop.item("HONEY")
    shop.house.relay()
    oid = shop.insert("item_update")["webhook_oid"]
    shop.insert("item_update", url="https://other.example.com/hook")
    before = shop.house.records("lists")
    reply = shop.call("POST", f"/{oid}/reflow/item_update")
    assert reply.json["reflow"] == {"event_name": "item_update", "queued": True}
    shop.pass_on()
    assert sorted(noun["merchant_item_id"] for _, noun in shop.receiver.got) == ["HONEY", "TEA"]
    assert {url for url, _, _ in shop.receiver.posts} == {URL}
    assert shop.house.records("lists") == before
    assert shop.pass_on() == 0


def test_orders_are_sent_as_they_stand_with_the_webhooks_expansion(shop: Shop) -> None:
    shop.item("TEA")
    line = {"merchant_item_id": "TEA", "quantity": 1}
    order = {"billing": {"first_name": "Ann", "email": "ann@example.com"}, "items": [line]}
    placed = shop.house.call("POST", "/rest/v2/order/orders", order, key=shop.key).json["order"]["order_id"]
    subscription = {"event_name": "order_create", "subscribed": True, "expansion": "billing"}
    category = {"event_category": "order", "events": [subscription]}
    oid = shop.insert(event_categories=[category])["webhook_oid"]
    assert shop.call("POST", f"/{oid}/reflow/order_create").status == 200
    shop.pass_on()
    ((name, noun),) = shop.receiver.got
    assert (name, noun["order_id"], noun["billing"]["email"]) == ("order_create", placed, "ann@example.com")
    (summary,) = shop.call("GET", f"/{oid}/logs", query={"orderId": placed}).json["webhook_log_summaries"]
    assert summary["order_ids"] == [placed]


def test_a_large_reflow_comes_page_by_page_so_that_nothing_else_waits_for_it(shop: Shop) -> None:
    opened = shop.house.open_shop("DEMO")
    for number in range(endpoints.REFLOW_PAGE + 1):
        opened.lists.note("item", f"I{number:04d}", [f"I{number:04d}"], 1, new=True)
    oid = shop.insert("item_update")["webhook_oid"]
    assert endpoints.reflow(opened, oid, "item_update") == endpoints.REFLOW_PAGE + 1
    shop.house.relay()
    assert _planned(shop) == endpoints.REFLOW_PAGE
    shop.house.clock.pass_(seconds=endpoints.REFLOW_SECONDS_PER_PAGE)
    shop.house.relay()
    assert _planned(shop) == endpoints.REFLOW_PAGE + 1


def _planned(shop: Shop) -> int:
    waiting = shop.house.backroom().waiting
    rows = [waiting.due("deliveries", shard, shop.house.clock.now(), 1000)[0] for shard in waiting.shards()]
    return sum(len(found) for found in rows)


def test_told_twice_a_reflow_is_delivered_once_and_asked_for_twice_it_is_delivered_twice(shop: Shop) -> None:
    shop.item("TEA")
    shop.house.relay()
    oid = shop.insert("item_update")["webhook_oid"]
    shop.call("POST", f"/{oid}/reflow/item_update")
    shop.pass_on()
    shop.pass_on()
    assert len(shop.receiver.posts) == 1
    shop.call("POST", f"/{oid}/reflow/item_update")
    shop.pass_on()
    assert len({headers["webhook-id"] for _, _, headers in shop.receiver.posts}) == 2


def test_a_reflow_that_cannot_be_is_refused_by_name(shop: Shop) -> None:
    oid = shop.insert("item_update", "order_update")["webhook_oid"]
    assert shop.call("POST", f"/{oid}/reflow/order_update").problems == {"/eventName": "not_available"}
    assert shop.call("POST", f"/{oid}/reflow/order_create").problems == {"/eventName": "not_subscribed"}
    assert shop.call("POST", "/1/reflow/item_update").status == 400
    shop.call("PUT", f"/{oid}", {"disabled": True})
    assert shop.call("POST", f"/{oid}/reflow/item_update").problems == {"/disabled": "disabled"}


def test_a_loop_of_reflows_is_stopped(shop: Shop) -> None:
    oid = shop.insert("item_update")["webhook_oid"]
    for _ in range(endpoints.REFLOWS_PER_HOUR):
        assert shop.call("POST", f"/{oid}/reflow/item_update").status == 200
    reply = shop.call("POST", f"/{oid}/reflow/item_update")
    assert reply.status == 429
    assert 0 < int(reply.headers["Retry-After"]) <= 3600


# --- what was not ----------------------------------------------------------------------------------------------------


def test_a_delivery_is_sent_again_by_the_request_id_of_its_log(shop: Shop) -> None:
    oid = shop.insert("item_create")["webhook_oid"]
    shop.item("TEA")
    shop.pass_on()
    (summary,) = shop.call("GET", f"/{oid}/logs").json["webhook_log_summaries"]
    reply = shop.call("POST", f"/{oid}/logs/{summary['request_id']}/resend")
    assert reply.json["resend"]["queued"] is True
    shop.pass_on()
    (_, first, one), (_, second, two) = shop.receiver.posts
    assert (first, one["webhook-id"]) == (second, two["webhook-id"])
    assert reply.json["resend"]["event_id"] == one["webhook-id"]
    notes = [
        shop.call("GET", f"/{oid}/logs/{s['request_id']}").json["webhook_log"]["response"] for s in _logs(shop, oid)
    ]
    assert "test asked to send it again" in notes
    assert shop.call("POST", f"/{oid}/logs/none/resend").status == 400
    assert shop.call("POST", f"/{oid}/logs/{'n' * 101}/resend").status == 400


def test_a_test_event_is_delivered_and_logged_as_all_others_are(shop: Shop) -> None:
    oid = shop.insert("item_create")["webhook_oid"]
    event_id = shop.call("POST", f"/{oid}/test").json["resend"]["event_id"]
    shop.pass_on()
    ((_, body, headers),) = shop.receiver.posts
    assert (headers["webhook-id"], "webhook-signature" in headers) == (event_id, True)
    assert b"webhook_test" in body
    (log,) = _logs(shop, oid)
    assert log["success"] is True
    shop.call("PUT", f"/{oid}", {"disabled": True})
    assert shop.call("POST", f"/{oid}/test").problems == {"/disabled": "disabled"}


def _logs(shop: Shop, oid: int) -> list[Any]:
    found: list[Any] = shop.call("GET", f"/{oid}/logs").json["webhook_log_summaries"]
    return found


def _die(shop: Shop, oid: int) -> None:
    """All that waits meets a receiver that is gone; then the webhook is enabled again."""
    shop.receiver.answer = Answer(status=410)
    while shop.pass_on():
        pass
    shop.receiver.answer = Answer(status=200)
    assert shop.call("PUT", f"/{oid}", {"disabled": False}).status == 200


def test_the_dead_are_listed_and_sent_again(shop: Shop) -> None:
    oid = shop.insert("item_create")["webhook_oid"]
    for name in ("A", "B", "C"):
        shop.item(name)
    shop.house.relay()
    _die(shop, oid)
    page = shop.call("GET", f"/{oid}/dead", query={"_limit": "2"}).json
    rest = shop.call("GET", f"/{oid}/dead", query={"cursor": page["metadata"]["next_cursor"]}).json
    assert [len(page["dead_deliveries"]), len(rest["dead_deliveries"])] == [2, 1]
    assert "next_cursor" not in rest["metadata"]
    dead = shop.call("GET", f"/{oid}/dead").json["dead_deliveries"]
    assert len(dead) == 3
    assert {name for entry in dead for name in entry["event_names"]} == {"item_create"}
    assert all(entry["reason"] and entry["ended_dts"].endswith(("-05:00", "-04:00")) for entry in dead)
    # One of them by its event id, then all the others.
    assert shop.call("POST", f"/{oid}/logs/{dead[0]['event_id']}/resend").status == 200
    assert shop.call("POST", f"/{oid}/dead/replay").json["replay"] == {"replayed": 2, "more": False}
    assert shop.call("GET", f"/{oid}/dead").json["dead_deliveries"] == []
    shop.receiver.posts.clear()
    shop.pass_on()
    assert sorted(noun["merchant_item_id"] for _, noun in shop.receiver.got) == ["A", "B", "C"]


def test_the_report_of_queues_counts_the_dead_of_this_shop_for_whoever_may_read_webhooks(shop: Shop) -> None:
    oid = shop.insert("item_create")["webhook_oid"]
    shop.insert("item_create", url=f"{URL}/2")
    for name in ("A", "B"):
        shop.item(name)
    shop.house.relay()
    shop.receiver.answer = Answer(status=410)
    other = shop.house.found("OTHER")
    deliver(shop.house.open_shop("DEMO"), oid, _waiting_for(shop, oid))
    report = {"key": shop.key, "path": "/rest/v2/report/queues"}
    told = shop.house.call("GET", **report).json["queues_report"]
    assert told["dead_deliveries"] == [{"webhook_oid": oid, "webhook_url": URL, "count": 1, "at_least": False}]
    assert [queue["name"] for queue in told["queues"]] == list(QUEUES)
    assert shop.house.call("GET", **report | {"key": other}).json["queues_report"]["dead_deliveries"] == []
    only = shop.house.key(scopes=["auto_order_read"])
    assert "dead_deliveries" not in shop.house.call("GET", **report | {"key": only}).json["queues_report"]
    assert shop.house.call("GET", **report | {"path": f"{report['path']}?days=1"}).problems == {
        "/days": "unknown_parameter"
    }


def _waiting_for(shop: Shop, oid: int) -> str:
    """An event that waits for the webhook."""
    waiting = shop.house.backroom().waiting
    rows = [
        row for shard in waiting.shards() for row in waiting.due("deliveries", shard, shop.house.clock.now(), 100)[0]
    ]
    return next(row.subject.partition("/")[2] for row in rows if row.subject.startswith(f"{oid}/"))


def test_a_replay_of_many_goes_on_until_it_has_had_its_most(shop: Shop) -> None:
    opened = shop.house.open_shop("DEMO")
    for number in range(door.MAXIMUM_REPLAY + REPLAY_AT_ONCE + 1):
        opened.lists.note("item", f"I{number:04d}", [f"I{number:04d}"], 1, new=True)
    oid = shop.insert("item_update")["webhook_oid"]
    endpoints.reflow(opened, oid, "item_update")
    shop.house.clock.pass_(hours=1)
    shop.house.relay()
    _die(shop, oid)
    assert shop.call("POST", f"/{oid}/dead/replay").json["replay"] == {"replayed": door.MAXIMUM_REPLAY, "more": True}
    assert shop.call("POST", f"/{oid}/dead/replay").json["replay"] == {"replayed": REPLAY_AT_ONCE + 1, "more": False}
    assert shop.call("POST", f"/{oid}/dead/replay").json["replay"] == {"replayed": 0, "more": False}


def test_nothing_is_sent_again_to_a_webhook_that_is_disabled(shop: Shop) -> None:
    oid = shop.insert("item_create", disabled=True)["webhook_oid"]
    assert shop.call("POST", f"/{oid}/dead/replay").problems == {"/disabled": "disabled"}
    assert shop.call("POST", f"/{oid}/logs/x/resend").problems == {"/disabled": "disabled"}


def test_a_cursor_of_another_list_or_with_another_letter_is_refused(shop: Shop) -> None:
    oid, other = shop.insert("item_create")["webhook_oid"], shop.insert("item_update")["webhook_oid"]
    for name in ("A", "B"):
        shop.item(name)
    shop.house.relay()
    _die(shop, oid)
    cursor = shop.call("GET", f"/{oid}/dead", query={"_limit": "1"}).json["metadata"]["next_cursor"]
    changed = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    for path, text in ((other, cursor), (oid, changed), (oid, "x" * 5000), (oid, "")):
        assert shop.call("GET", f"/{path}/dead", query={"cursor": text}).problems == {"/cursor": "cursor_invalid"}


def test_a_list_of_the_dead_knows_its_parameters(shop: Shop, oid: int) -> None:
    assert shop.call("GET", f"/{oid}/dead", query={"event": "x"}).problems == {"/event": "unknown_parameter"}


# --- who may ---------------------------------------------------------------------------------------------------------

CALLS = [(route.method, route.path, route.scope) for route in ROUTES if route.path.startswith("/rest/v2/webhook/")]


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
def test_every_call_needs_a_key_with_its_scope(shop: Shop, method: str, path: str, scope: str) -> None:
    target = path.format(webhookOid=1, requestId="x", eventName="item_update")
    others = {"webhook_read", "webhook_write"} - {scope}
    assert shop.house.call(method, target).status == 401
    assert shop.house.call(method, target, key=shop.house.key(scopes=sorted(others))).status == 403
    assert scope == ("webhook_read" if method == "GET" else "webhook_write")


def test_another_merchants_webhooks_do_not_exist(shop: Shop, oid: int) -> None:
    other = shop.house.found("OTHER")
    (log, *_) = _logs(shop, oid)
    for method, path, body in (
        ("PUT", f"/{oid}", {"name": "mine"}),
        ("DELETE", f"/{oid}", None),
        ("DELETE", "", {"webhook_url": URL}),
        ("GET", f"/{oid}/logs", None),
        ("GET", f"/{oid}/logs/{log['request_id']}", None),
        ("POST", f"/{oid}/logs/{log['request_id']}/resend", None),
        ("POST", f"/{oid}/reflow/item_update", None),
        ("POST", f"/{oid}/rotate_secret", None),
        ("GET", f"/{oid}/dead", None),
        ("POST", f"/{oid}/dead/replay", None),
    ):
        reply = shop.house.call(method, f"{BASE}{path}", body, key=other)
        assert reply.status == (404 if method == "GET" else 400), (method, path)
    assert shop.house.call("GET", BASE, key=other).json["webhooks"] == []
