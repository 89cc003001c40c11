"""Delivering: once claimed by one worker, the same on every try, marked after the post, never after the end."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
import time_machine
from msgspec.structs import replace
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from chalicelib.domain import webhooks
from chalicelib.domain.dates import Instant, later, parse_instant
from chalicelib.domain.errors import Contended, Invalid, NotFound, Refused
from chalicelib.domain.events import CATALOGUE
from chalicelib.domain.webhooks import Answer, Delivery, Webhook, WebhookEventCategory, WebhookEventSubscription
from chalicelib.flows.deliver import deliver, register, replay_dead, resend, rotate_secret
from chalicelib.flows.ports import Shop
from chalicelib.gateways.http import GuardedHttp
from chalicelib.stores.configuration import Configuration
from chalicelib.stores.deliveries import Deliveries
from chalicelib.stores.mails import Mails
from chalicelib.stores.problems import Problems
from chalicelib.stores.sqlite import SqliteTables
from chalicelib.stores.waiting import Waiting
from chalicelib.stores.webhooks import Webhooks

NOW = parse_instant("2027-01-31T05:00:00Z")
OK = Answer(status=200, body="thanks")
ERROR = Answer(status=500, body="oops")


@dataclass
class Clock:
    moment: Instant = NOW

    def now(self) -> Instant:
        return self.moment


@dataclass
class Post:
    url: str
    body: bytes
    headers: dict[str, str]
    at: Instant


@dataclass
class Receivers:
    """The outside: answers by a script, and may do something of its own while a post is under way."""

    clock: Clock
    answer: Callable[[Post], Answer] = lambda post: OK
    meanwhile: Callable[[], None] = lambda: None
    posts: list[Post] = field(default_factory=list)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        self.posts.append(Post(url, body, dict(headers), self.clock.moment))
        self.meanwhile()
        return self.answer(self.posts[-1])

    def signed(self, message_id: str, body: str, secrets: Sequence[str]) -> dict[str, str]:
        return GuardedHttp(now=self.clock.now).signed(message_id, body, secrets)


class Killed(BaseException):
    """The function ends here, without a chance to say so."""


@dataclass
class World:
    """One merchant's shop on an engine in memory, with what delivering needs of it."""

    port: SqliteTables
    clock: Clock
    http: Any
    shop: Shop
    seconds_left: float = 60
    before_write: Callable[[tuple[Any, ...]], None] = lambda changes: None

    def endpoint(self, *names: str, url: str = "https://shop.example.com/hook", **fields: Any) -> int:
        categories = [
            WebhookEventCategory(
                event_category=category,
                events=[
                    WebhookEventSubscription(event_name=n, subscribed=True) for n in known if not names or n in names
                ],
            )
            for category, known in CATALOGUE.items()
        ]
        allowed = frozenset({url.split("/")[2]}) if url.startswith("http:") else frozenset[str]()
        made = register(self.shop, Webhook(webhook_url=url, event_categories=categories, **fields), allowed)
        return made.webhook_oid or 0

    def plan(self, oid: int, event_id: str = "evt_1", name: str = "order_create") -> None:
        webhook = self.shop.webhooks.get(oid).noun
        rendered = {"order_id": f"DEMO-{event_id}", "merchant_notes": "ü"}
        self.shop.write(
            *self.shop.deliveries.planned(webhooks.planned(webhook, event_id, name, rendered, self.clock.moment))
        )

    def webhook(self, oid: int) -> Webhook:
        return self.shop.webhooks.get(oid).noun

    def change(self, oid: int, **changes: Any) -> None:
        kept = self.shop.webhooks.get(oid)
        self.shop.write(self.shop.webhooks.replaced(replace(kept.noun, **changes), kept.version))

    def delivery(self, oid: int, event_id: str = "evt_1") -> Delivery:
        found = self.shop.deliveries.find(oid, event_id)
        assert found is not None
        return found.noun

    def due(self) -> list[tuple[int, str]]:
        waiting = Waiting(self.port)
        rows = [
            row for shard in waiting.shards() for row in waiting.due("deliveries", shard, self.clock.moment, 1000)[0]
        ]
        return [(int(oid), event_id) for oid, event_id in (row.subject.split("/") for row in rows)]

    def sweep(self) -> int:
        """What is due now, each as one message."""
        due = self.due()
        for oid, event_id in due:
            deliver(self.shop, oid, event_id)
        return len(due)

    def pass_time(self, **span: int) -> None:
        """The sweep runs every minute until the time is over (hops where nothing comes due)."""
        until = later(self.clock.moment, **span)
        while True:
            self.sweep()
            waiting = Waiting(self.port)
            coming = [
                row.due
                for shard in waiting.shards()
                for row in waiting.after("deliveries", shard, self.clock.moment, 1)
            ]
            if not coming or min(coming) > until:
                break
            self.clock.moment = min(until, max(min(coming), later(self.clock.moment, seconds=60)))
        self.clock.moment = until


@pytest.fixture
def port() -> Iterator[SqliteTables]:
    tables = SqliteTables(":memory:")
    yield tables
    tables.close()


def a_world(port: SqliteTables, http: Any = None, seed: int = 1) -> World:
    clock = Clock()
    http = http or Receivers(clock)
    words, oids = count(1), Random(seed)

    def write(*changes: Any) -> None:
        world.before_write(changes)
        port.write(*changes)

    shop = SimpleNamespace(
        merchant_id="DEMO",
        clock=clock,
        configuration=Configuration(port, "DEMO"),
        webhooks=Webhooks(port, "DEMO"),
        mails=Mails(port, "DEMO"),
        problems=Problems(port, "DEMO"),
        deliveries=Deliveries(port, "DEMO"),
        http=http,
        write=write,
        oids=iter(lambda: oids.randrange(1, 2**31), None),
        word=lambda: f"word{next(words):08d}",
        time_left=lambda: world.seconds_left,
    )
    world = World(port, clock, http, cast(Shop, shop))
    return world


@pytest.fixture
def world(port: SqliteTables) -> World:
    return a_world(port)


# --- one delivery ----------------------------------------------------------------------------------------------------


def test_a_delivery_is_posted_marked_and_logged(world: World) -> None:
    oid = world.endpoint("order_create")
    world.plan(oid)
    assert world.sweep() == 1
    (post,) = world.http.posts
    assert post.url == "https://shop.example.com/hook"
    assert json.loads(post.body) == {"events": [{"order_create": {"order_id": "DEMO-evt_1", "merchant_notes": "ü"}}]}
    assert post.headers["webhook-id"] == "evt_1"
    assert post.headers["Content-Type"] == "application/json"
    assert "Authorization" not in post.headers
    assert (world.delivery(oid).state, world.delivery(oid).tries) == ("delivered", 1)
    (log,), _ = world.shop.deliveries.logs(oid)
    assert (log.success, log.status_code, log.response, log.event_names) == (True, 200, "thanks", ["order_create"])
    assert world.sweep() == 0
    assert world.webhook(oid).consecutive_failures == 0


def test_basic_credentials_go_out_and_into_no_log(world: World) -> None:
    oid = world.endpoint(authentication_type="basic", basic_username="me", basic_password="mine")
    world.plan(oid)
    world.sweep()
    assert world.http.posts[0].headers["Authorization"] == "Basic bWU6bWluZQ=="
    (log,), _ = world.shop.deliveries.logs(oid)
    assert "bWU6bWluZQ" not in str(log)


@pytest.mark.parametrize("answer", [OK, ERROR])
def test_a_message_delivered_twice_posts_once(world: World, answer: Answer) -> None:
    oid = world.endpoint()
    world.plan(oid)
    world.http.answer = lambda post: answer
    for _ in range(3):
        deliver(world.shop, oid, "evt_1")
    assert len(world.http.posts) == 1
    assert world.delivery(oid).tries == 1
    assert world.webhook(oid).consecutive_failures == (0 if answer.ok else 1)


def test_a_message_about_nothing_does_nothing(world: World) -> None:
    deliver(world.shop, 1, "evt_none")
    assert world.http.posts == []


def test_a_second_worker_finds_the_delivery_claimed(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)
    world.http.meanwhile = lambda: deliver(world.shop, oid, "evt_1")
    deliver(world.shop, oid, "evt_1")
    assert len(world.http.posts) == 1
    assert world.delivery(oid).state == "delivered"


def test_two_workers_that_read_the_same_claim_once(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)

    def first_the_other(changes: tuple[Any, ...]) -> None:
        world.before_write = lambda changes: None
        deliver(world.shop, oid, "evt_1")

    world.before_write = first_the_other
    deliver(world.shop, oid, "evt_1")
    assert len(world.http.posts) == 1


def test_without_time_for_a_post_it_stays_due(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)
    world.seconds_left = 19
    deliver(world.shop, oid, "evt_1")
    assert world.http.posts == []
    world.seconds_left = 60
    assert world.sweep() == 1
    assert world.delivery(oid).state == "delivered"


def test_a_crash_between_post_and_mark_sends_the_very_same_again_after_one_lease(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)

    def die() -> None:
        world.http.meanwhile = lambda: None
        raise Killed

    world.http.meanwhile = die
    with pytest.raises(Killed):
        deliver(world.shop, oid, "evt_1")
    assert world.sweep() == 0
    world.pass_time(seconds=webhooks.LEASE_SECONDS)
    first, second = world.http.posts
    assert second.at == later(first.at, seconds=webhooks.LEASE_SECONDS)
    assert second.body == first.body
    assert second.headers["webhook-id"] == first.headers["webhook-id"] == "evt_1"
    assert second.headers["webhook-timestamp"] > first.headers["webhook-timestamp"]
    assert second.headers["webhook-signature"] != first.headers["webhook-signature"]
    assert world.delivery(oid).state == "delivered"


def test_cut_at_every_write_it_is_still_delivered_and_never_forgotten(port: SqliteTables) -> None:
    for cut in range(3):
        world = a_world(port, seed=cut)
        oid = world.endpoint()
        world.plan(oid)
        written = count()

        def kill(changes: tuple[Any, ...], written: Iterator[int] = written, cut: int = cut) -> None:
            if next(written) == cut:
                raise Killed

        world.before_write = kill
        for _ in range(5):
            with suppress(Killed):
                world.sweep()
            world.clock.moment = later(world.clock.moment, seconds=webhooks.LEASE_SECONDS)
        assert world.delivery(oid).state == "delivered"
        assert 1 <= len(world.http.posts) <= 2
        assert len({(post.headers["webhook-id"], post.body) for post in world.http.posts}) == 1


# --- tries -----------------------------------------------------------------------------------------------------------


def test_nineteen_tries_over_a_week_and_then_the_dead_list(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)
    world.http.answer = lambda post: ERROR
    world.pass_time(days=10)
    assert len(world.http.posts) == 19
    assert len({(post.headers["webhook-id"], post.body) for post in world.http.posts}) == 1
    assert 5 < (world.http.posts[-1].at - NOW).days < 9
    assert world.delivery(oid).state == "dead"
    assert [delivery.event_id for delivery in world.shop.deliveries.dead(oid)[0]] == ["evt_1"]
    assert world.shop.deliveries.number_pending(oid) == 0
    assert len(world.shop.deliveries.logs(oid)[0]) == 19
    assert not world.webhook(oid).disabled  # 19 failures are not 20
    assert world.due() == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure(world: World, status: int) -> None:
    oid = world.endpoint()
    world.plan(oid)
    world.http.answer = lambda post: Answer(status=status, headers=(("Location", "http://169.254.169.254/"),))
    world.sweep()
    assert (world.delivery(oid).state, world.delivery(oid).tries) == ("pending", 1)
    assert [post.url for post in world.http.posts] == ["https://shop.example.com/hook"]


def test_gone_disables_the_endpoint_and_nothing_follows(world: World) -> None:
    oid = world.endpoint()
    for number in range(3):
        world.plan(oid, f"evt_{number}")
    world.http.answer = lambda post: Answer(status=410)
    world.pass_time(days=1)
    assert len(world.http.posts) == 1
    assert world.webhook(oid).disabled
    assert {delivery.state for delivery in world.shop.deliveries.dead(oid)[0]} == {"dead"}
    assert len(world.shop.deliveries.dead(oid)[0]) == 3
    assert all("410" in (delivery.reason or "") for delivery in world.shop.deliveries.dead(oid)[0])


def test_what_is_given_up_is_a_problem_of_the_shops_day_and_what_arrives_is_none(world: World) -> None:
    lost, gone, fine = world.endpoint(), world.endpoint(url="https://gone.example/"), world.endpoint(url="https://a.b/")
    answers = {"https://shop.example.com/hook": ERROR, "https://gone.example/": Answer(status=410)}
    world.http.answer = lambda post: answers.get(post.url, Answer(status=200))
    for oid in (lost, gone, fine):
        world.plan(oid)
    world.pass_time(days=10)
    day, found = NOW, []
    for _ in range(12):
        found += [(one.about, one.code) for one in world.shop.problems.of(day.date(), 100)]
        day = later(day, days=1)
    assert set(found) == {
        (f"webhook#{lost}", "dead_delivery"),
        (f"webhook#{gone}", "dead_delivery"),
        (f"webhook#{gone}", "webhook_disabled"),
    }
    assert len(found) == 3


def test_too_many_requests_make_everything_for_that_endpoint_wait(world: World) -> None:
    oid, other = world.endpoint(), world.endpoint(url="https://other.example.com/")
    world.plan(oid, "evt_1")
    world.http.answer = lambda post: Answer(status=429, headers=(("Retry-After", "7200"),))
    world.sweep()
    world.http.answer = lambda post: OK
    for webhook in (oid, other):
        world.plan(webhook, "evt_2")
    world.pass_time(seconds=7199)
    assert [(post.url, post.headers["webhook-id"]) for post in world.http.posts] == [
        ("https://shop.example.com/hook", "evt_1"),
        ("https://other.example.com/", "evt_2"),
    ]
    world.pass_time(seconds=200)
    assert world.delivery(oid, "evt_1").state == world.delivery(oid, "evt_2").state == "delivered"
    assert world.delivery(oid, "evt_2").tries == 1


def test_a_dead_endpoint_is_probed_and_given_up_after_a_week_and_what_waits_is_not_lost(world: World) -> None:
    oid, good = world.endpoint(url="https://bad.example.com/"), world.endpoint(url="https://good.example.com/")
    world.http.answer = lambda post: OK if "good" in post.url else Answer(error="no connection")
    for number in range(40):
        for webhook in (oid, good):
            world.plan(webhook, f"evt_{number}")
        world.pass_time(hours=5)
    good_posts = [post for post in world.http.posts if "good" in post.url]
    bad_posts = [post for post in world.http.posts if "bad" in post.url]
    assert len(good_posts) == 40
    assert all(world.delivery(good, f"evt_{number}").tries == 1 for number in range(40))
    assert world.webhook(oid).disabled
    assert "failures since" in (world.webhook(oid).disabled_reason or "")
    assert len(bad_posts) < 7 * 24 * 2  # about a probe an hour, however much waits
    assert bad_posts[-1].at < later(NOW, days=8)
    world.pass_time(days=2)
    dead, _ = world.shop.deliveries.dead(oid, limit=1000)
    assert len({delivery.event_id for delivery in dead}) == 40
    assert world.due() == []


def test_enabled_again_it_gets_what_it_missed(world: World) -> None:
    oid = world.endpoint()
    world.http.answer = lambda post: Answer(status=410)
    for number in range(3):
        world.plan(oid, f"evt_{number}")
    world.pass_time(days=1)
    kept = world.shop.webhooks.get(oid)
    enabled = webhooks.edited(kept.noun, {"disabled": False}, world.clock.moment)
    world.shop.write(world.shop.webhooks.replaced(enabled, kept.version))
    world.http.answer = lambda post: OK
    assert replay_dead(world.shop, oid, "jane") == (3, None)
    world.pass_time(hours=1)
    assert {post.headers["webhook-id"] for post in world.http.posts} == {"evt_0", "evt_1", "evt_2"}
    assert world.shop.deliveries.dead(oid) == ([], None)
    assert all(world.delivery(oid, f"evt_{number}").state == "delivered" for number in range(3))


def test_a_burst_to_a_receiver_that_fails_one_in_three_reaches_it_whole(world: World) -> None:
    chance = Random(7)
    world.http.answer = lambda post: ERROR if chance.random() < 0.33 else OK
    oids = [world.endpoint(url=f"https://host{n}.example.com/") for n in range(3)]
    for oid in oids:
        for number in range(60):
            world.plan(oid, f"evt_{number}")
    world.pass_time(days=1)
    for oid in oids:
        assert {world.delivery(oid, f"evt_{number}").state for number in range(60)} == {"delivered"}
    bodies: dict[tuple[str, str], set[bytes]] = {}
    for post in world.http.posts:
        bodies.setdefault((post.url, post.headers["webhook-id"]), set()).add(post.body)
    assert len(bodies) == 180
    assert all(len(same) == 1 for same in bodies.values())


# --- while it is under way -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", ["deleted", "disabled"])
def test_nothing_is_sent_after_the_endpoint_is_gone(world: World, gone: str) -> None:
    oid = world.endpoint()
    world.plan(oid)
    if gone == "deleted":
        world.shop.write(world.shop.webhooks.removed(oid, 1))
    else:
        world.change(oid, disabled=True)
    world.pass_time(days=8)
    assert world.http.posts == []
    (dead,), _ = world.shop.deliveries.dead(oid)
    assert gone in (dead.reason or "")


def test_an_endpoint_deleted_while_a_post_is_under_way_does_no_harm(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)
    world.http.answer = lambda post: ERROR
    world.http.meanwhile = lambda: world.shop.write(world.shop.webhooks.removed(oid, 1))
    world.sweep()
    world.http.meanwhile = lambda: None
    world.pass_time(days=8)
    assert len(world.http.posts) == 1
    assert world.delivery(oid).state == "dead"
    assert world.shop.webhooks.find(oid) is None


def test_an_edit_while_a_post_is_under_way_is_kept_and_the_failure_is_counted(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)
    world.http.answer = lambda post: ERROR
    world.http.meanwhile = lambda: world.change(oid, name="renamed")
    world.sweep()
    assert (world.webhook(oid).name, world.webhook(oid).consecutive_failures) == ("renamed", 1)


def test_a_worker_that_sleeps_through_its_lease_still_records_its_success(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)

    def sleeps() -> None:
        world.http.meanwhile = lambda: None
        world.http.answer = lambda post: ERROR
        world.clock.moment = later(world.clock.moment, seconds=webhooks.LEASE_SECONDS)
        deliver(world.shop, oid, "evt_1")
        world.http.answer = lambda post: OK

    world.http.meanwhile = sleeps
    deliver(world.shop, oid, "evt_1")
    assert world.delivery(oid).state == "delivered"
    assert len(world.shop.deliveries.logs(oid)[0]) == 2
    assert world.due() == []


def test_a_late_failure_does_not_undo_a_success(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)

    def sleeps() -> None:
        world.http.meanwhile = lambda: None
        world.http.answer = lambda post: OK
        world.clock.moment = later(world.clock.moment, seconds=webhooks.LEASE_SECONDS)
        deliver(world.shop, oid, "evt_1")
        world.http.answer = lambda post: ERROR

    world.http.meanwhile = sleeps
    deliver(world.shop, oid, "evt_1")
    assert world.delivery(oid).state == "delivered"
    assert len(world.shop.deliveries.logs(oid)[0]) == 2


def test_a_busy_engine_is_asked_again(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)
    busy = iter([False, True, True])

    def contend(changes: tuple[Any, ...]) -> None:
        if next(busy, False):
            raise Contended("busy")

    world.before_write = contend
    world.sweep()
    assert len(world.http.posts) == 1
    assert world.delivery(oid).state == "delivered"


def test_counting_gives_up_before_it_holds_a_worker(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)
    world.http.answer = lambda post: ERROR
    seen: list[Any] = []

    def refuse_counts(changes: tuple[Any, ...]) -> None:
        if any(getattr(change, "table", "") == "configuration" for change in changes):
            seen.append(changes)
            raise Refused(0, None)

    world.before_write = refuse_counts
    world.sweep()
    assert 2 <= len(seen) <= 20
    assert world.delivery(oid).tries == 1


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_sent_again_it_is_the_same_and_the_log_says_who_asked(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)
    world.sweep()
    (log,), _ = world.shop.deliveries.logs(oid)
    for name in (log.request_id or "", "evt_1"):
        world.clock.moment = later(world.clock.moment, minutes=5)
        assert resend(world.shop, oid, name, "jane@example.com") == "evt_1"
        assert world.shop.deliveries.number_pending(oid) == 1
        world.sweep()
    assert len(world.http.posts) == 3
    assert len({(post.headers["webhook-id"], post.body) for post in world.http.posts}) == 1
    assert world.delivery(oid).resends == 2
    notes = [log.response for log in world.shop.deliveries.logs(oid)[0] if log.success is None]
    assert notes == ["jane@example.com asked to send it again"] * 2


def test_a_dead_letter_that_is_sent_again_has_all_its_tries(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)
    world.http.answer = lambda post: ERROR
    world.pass_time(days=10)
    world.http.answer = lambda post: OK
    world.plan(oid, "evt_2")
    world.sweep()
    world.http.answer = lambda post: ERROR
    resend(world.shop, oid, "evt_1", "jane")
    world.pass_time(hours=3)
    assert world.delivery(oid).state == "pending"
    assert 5 < world.delivery(oid).tries < 19


def test_asking_while_a_post_is_under_way_sends_it_once_more(world: World) -> None:
    oid = world.endpoint()
    world.plan(oid)

    def ask() -> None:
        world.http.meanwhile = lambda: None
        resend(world.shop, oid, "evt_1", "jane")

    world.http.answer = lambda post: ERROR
    world.http.meanwhile = ask
    world.sweep()
    world.http.answer = lambda post: OK
    world.sweep()
    assert len(world.http.posts) == 2
    assert world.delivery(oid).state == "delivered"


def test_what_cannot_be_sent_again_is_refused(world: World) -> None:
    oid = world.endpoint(maximum_size=1024)
    with pytest.raises(NotFound):
        resend(world.shop, oid, "evt_none", "jane")
    with pytest.raises(NotFound):
        resend(world.shop, 1, "evt_1", "jane")
    large = webhooks.planned(world.webhook(oid), "evt_1", "order_create", {"notes": "x" * 2000}, NOW)
    world.shop.write(*world.shop.deliveries.planned(large))
    with pytest.raises(Invalid):
        resend(world.shop, oid, "evt_1", "jane")
    assert replay_dead(world.shop, oid, "jane") == (0, None)
    world.change(oid, disabled=True)
    with pytest.raises(Invalid):
        resend(world.shop, oid, "evt_1", "jane")
    with pytest.raises(Invalid):
        replay_dead(world.shop, oid, "jane")


def test_a_delivery_is_sent_again_for_a_hundred_days_and_its_body_lasts_until_its_tries_are_over(world: World) -> None:
    oid = world.endpoint()
    delivery = webhooks.planned(world.webhook(oid), "evt_1", "order_create", {"notes": "x" * 2000}, NOW)
    world.shop.write(*world.shop.deliveries.planned(webhooks.ended(delivery, "dead", NOW, "because")))
    world.clock.moment = later(NOW, days=webhooks.SENT_AGAIN_DAYS)
    # What of it may be swept away by then stays for a week of tries after the last day.
    assert world.port.sweep(later(world.clock.moment, days=8).timestamp()) == 0
    world.clock.moment = later(world.clock.moment, seconds=1)
    with pytest.raises(Invalid) as refused:
        resend(world.shop, oid, "evt_1", "jane")
    assert [problem.code for problem in refused.value.problems] == ["too_old"]
    assert replay_dead(world.shop, oid, "jane") == (0, None)
    world.port.sweep(later(NOW, days=webhooks.SENT_AGAIN_DAYS + 15).timestamp())
    assert world.shop.deliveries.find(oid, "evt_1") is None
    assert world.shop.deliveries.dead(oid) == ([], None)


def test_what_waits_never_expires_and_is_given_up_where_its_body_is_gone(world: World) -> None:
    oid = world.endpoint()
    large = webhooks.planned(world.webhook(oid), "evt_1", "order_create", {"notes": "x" * 2000}, NOW)
    world.shop.write(*world.shop.deliveries.planned(large))
    world.plan(oid, "evt_2")
    world.clock.moment = later(NOW, days=200)
    # The body of the one, which has a row of its own; nothing that waits.
    assert world.port.sweep(world.clock.moment.timestamp()) == 1
    world.sweep()
    assert [post.headers["webhook-id"] for post in world.http.posts] == ["evt_2"]
    assert (world.delivery(oid).state, world.delivery(oid, "evt_2").state) == ("dead", "delivered")


def test_of_many_dead_a_call_replays_some_and_says_where_to_go_on(world: World) -> None:
    oid = world.endpoint()
    for number in range(150):
        delivery = webhooks.planned(world.webhook(oid), f"evt_{number}", "order_create", {"order_id": "x"}, NOW)
        world.shop.write(*world.shop.deliveries.planned(webhooks.ended(delivery, "dead", NOW, "because")))
    first, cursor = replay_dead(world.shop, oid, "jane")
    assert (first, cursor is None) == (100, False)
    rest, cursor = replay_dead(world.shop, oid, "jane", cursor)
    assert (rest, cursor) == (50, None)
    world.sweep()
    assert len({post.headers["webhook-id"] for post in world.http.posts}) == 150


# --- signatures ------------------------------------------------------------------------------------------------------


def verified(post: Post, secret: str, at: Instant) -> bool:
    with time_machine.travel(at, tick=False):
        try:
            Verifier(secret).verify(post.body, post.headers)
        except WebhookVerificationError:
            return False
    return True


def test_a_receiver_verifies_with_the_secret_that_it_was_shown(world: World) -> None:
    webhook = register(world.shop, Webhook(webhook_url="https://shop.example.com/hook"))
    secret = webhooks.shown(webhook, secret=True).signing_secret or ""
    world.plan(webhook.webhook_oid or 0)
    world.sweep()
    (post,) = world.http.posts
    assert verified(post, secret, NOW)
    assert not verified(post, webhooks.secret_text(["another"]), NOW)
    assert not verified(replace_post(post, body=post.body + b" "), secret, NOW)
    assert not verified(replace_post(post, **{"webhook-id": "evt_2"}), secret, NOW)
    assert not verified(replace_post(post, **{"webhook-timestamp": str(int(NOW.timestamp()) + 1)}), secret, NOW)
    assert not verified(post, secret, later(NOW, minutes=6))


def replace_post(post: Post, body: bytes | None = None, **headers: str) -> Post:
    return Post(post.url, post.body if body is None else body, post.headers | headers, post.at)


def test_during_a_rotation_both_secrets_verify_and_after_it_the_new_one(world: World) -> None:
    oid = world.endpoint()
    old = (world.webhook(oid).signing_secrets or [])[0].text
    new = webhooks.shown(rotate_secret(world.shop, oid), secret=True).signing_secret or ""
    assert new != old
    for number, (hours, old_verifies) in enumerate([(0, True), (23, True), (25, False)]):
        world.clock.moment = later(NOW, hours=hours)
        world.plan(oid, f"evt_{number}")
        world.sweep()
        post = world.http.posts[-1]
        assert verified(post, new, world.clock.moment)
        assert verified(post, old, world.clock.moment) is old_verifies


def test_a_leaked_secret_signs_no_more(world: World) -> None:
    oid = world.endpoint()
    old = (world.webhook(oid).signing_secrets or [])[0].text
    rotate_secret(world.shop, oid, at_once=True)
    world.plan(oid)
    world.sweep()
    assert not verified(world.http.posts[0], old, NOW)


def test_rotating_meets_a_change_and_keeps_both(world: World) -> None:
    oid = world.endpoint()

    def change_first(changes: tuple[Any, ...]) -> None:
        world.before_write = lambda changes: None
        world.change(oid, name="renamed")

    world.before_write = change_first
    rotate_secret(world.shop, oid)
    assert world.webhook(oid).name == "renamed"
    assert len(world.webhook(oid).signing_secrets or []) == 2


# --- through the real door -------------------------------------------------------------------------------------------


def test_a_real_receiver_gets_the_same_bytes_on_every_try_and_can_verify_each(port: SqliteTables) -> None:
    got: list[tuple[bytes, dict[str, str]]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((body, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(503 if len(got) % 4 else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        target = f"127.0.0.1:{server.server_address[1]}"
        clock = Clock()
        world = a_world(port, GuardedHttp(allow=frozenset({target}), now=clock.now))
        world.clock = cast(Any, world.shop).clock = clock
        oid = world.endpoint(url=f"http://{target}/hook")
        secret = (world.webhook(oid).signing_secrets or [])[0].text
        for number in range(10):
            world.plan(oid, f"evt_{number}")
            world.pass_time(hours=2)
            assert world.delivery(oid, f"evt_{number}").state == "delivered"
    finally:
        server.shutdown()
        server.server_close()
    assert len(got) == 40
    for number in range(10):
        tries = got[number * 4 : number * 4 + 4]
        assert len({body for body, _ in tries}) == 1
        assert {headers["webhook-id"] for _, headers in tries} == {f"evt_{number}"}
        assert len({headers["webhook-timestamp"] for _, headers in tries}) == 4
        for body, headers in tries:
            with time_machine.travel(int(headers["webhook-timestamp"]), tick=False):
                Verifier(secret).verify(body, headers)
