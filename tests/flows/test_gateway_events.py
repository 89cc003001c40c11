"""What a gateway tells by itself is a reason to look: it changes only how soon the truth is known."""

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain.access import key_hash
from chalicelib.domain.captures import Hint
from chalicelib.domain.dates import later
from chalicelib.domain.errors import NotFound, TooMany, Unauthorised
from chalicelib.domain.payments import LEASE_SECONDS, ActionNeeded, Declined, Unknown
from chalicelib.flows.gateway_events import ADDRESS_EVENTS, EVENTS_SECONDS, SHOP_EVENTS, heard, look_into
from chalicelib.flows.purchase import pay
from chalicelib.gateways.accounts import Accounts
from chalicelib.gateways.sandbox import PROFILES
from tests.flows.test_crashes import put_card
from tests.flows.test_kinds import a_trial
from tests.flows.test_reconcile import TIMES_OUT_AFTER, Forgetful, a_rebill_that_times_out, cancel
from tests.flows.test_reconcile import kept as everything
from tests.worlds import World

HERE = "203.0.113.7"


class Herald(Forgetful):
    """The sandbox, if it sent events: signed ``good``, about whatever key and order they name. ``says`` is what a
    look-up answers instead of the truth."""

    def __init__(self, sandbox: Any) -> None:
        super().__init__(sandbox)
        self.forgets = False
        self.says: Any = None
        self.asked = 0

    def hint(self, body: bytes, signature: str) -> Hint | None:
        if signature != "good":
            raise Unauthorised("The signature is not the gateway's.")
        said = json.loads(body)
        return Hint(**said) if said else None

    def look_up(self, key: str) -> Any:
        self.asked += 1
        return self.says or super().look_up(key)


class Unread:
    """Where accounts are described, and nobody may read it."""

    def of(self, merchant_id: str) -> dict[str, Any]:
        raise AssertionError("accounts were read")


def kept(world: World) -> list[Any]:
    """All that is kept, but for the counters of limits."""
    return [row for row in everything(world) if "#limit#" not in str(row)]


def a_world(profile: str = "full") -> World:
    return World(capabilities=PROFILES[profile], gateway=Herald).open()


def hear(world: World, body: bytes, signature: str = "good", gateway: str = "sandbox", address: str = HERE) -> bool:
    return heard(world.shop, gateway, body, signature, address)


def tell(world: World, key: str, order_id: str, signature: str = "good") -> bool:
    """The event, and the message that comes of it twice. Whether either led to an outcome that was recorded."""
    body = json.dumps({"key": key, "order_id": order_id}).encode()
    if not hear(world, body, signature):
        assert not world.queue.take()
        return False
    [(queue, message)] = world.queue.take()
    assert queue == "rebill"
    recorded = look_into(world.shop, message["gateway"], message["id"], message["key"])
    assert not (recorded and look_into(world.shop, message["gateway"], message["id"], message["key"]))
    return recorded


def of_the_last_capture(world: World) -> tuple[str, str]:
    capture = world.sandbox.captures()[-1]
    return capture.key, capture.order_id


def lease(world: World, oid: int) -> None:
    """A worker is at it."""
    head = world.head(oid)
    until = later(world.clock.now(), seconds=LEASE_SECONDS)
    world.shop.write(world.shop.auto_orders.moved(oid, head, replace(head, lease_until=until, fence=head.fence + 1)))


def test_an_event_makes_a_lost_capture_known_at_once_and_its_replays_change_nothing() -> None:
    world = a_world()
    oid = a_rebill_that_times_out(world)
    assert tell(world, *of_the_last_capture(world))
    [order] = world.rebills(oid)
    assert order.charge_key == world.sandbox.captures()[-1].key
    assert world.head(oid).attempt is None
    before, asked = kept(world), world.gateway.asked
    for _ in range(3):
        assert not tell(world, *of_the_last_capture(world))
    assert kept(world) == before
    assert world.gateway.asked == asked, "what is known is not asked for again"
    world.check(oid)


def test_an_event_about_a_first_payment_begins_its_auto_order_once() -> None:
    world = a_world()
    order_id = world.order({"COFFEE": "Monthly"}, TIMES_OUT_AFTER)
    assert tell(world, *of_the_last_capture(world))
    assert not tell(world, *of_the_last_capture(world))
    oid = world.shop.auto_orders.oid_by_original_order(order_id)
    assert oid is not None
    world.check(oid)


def test_an_event_is_not_believed() -> None:
    world = a_world()
    oid = world.subscribe()
    put_card(world, oid, "4000000000000119")
    due = world.next_due()
    assert due is not None
    world.clock.go(due)
    world.visit(oid)
    attempt = world.head(oid).attempt
    assert attempt is not None
    before = kept(world)
    assert not tell(world, attempt.key, f"{world.document(oid).original_order_id}-001")
    assert kept(world) == before, "the gateway has no such capture, whatever its event says"
    world.travel(1, twice=True)
    world.check(oid)
    assert len(world.rebills(oid)) == 1


@pytest.mark.parametrize("answer", [Unknown(reason="timed out"), None])
def test_what_is_not_certain_changes_nothing(answer: Any) -> None:
    world = a_world()
    a_rebill_that_times_out(world)
    world.gateway.says, world.gateway.forgets = answer, True
    before = kept(world)
    assert not tell(world, *of_the_last_capture(world))
    assert kept(world) == before


@pytest.mark.parametrize(
    "answer", [Declined(code="05", reason="The bank declined."), ActionNeeded(reason="See me.", url="https://bank")]
)
def test_a_decline_is_recorded_unless_somebody_is_at_it(answer: Any) -> None:
    world = a_world()
    oid = a_rebill_that_times_out(world)
    world.gateway.says = answer
    lease(world, oid)
    assert not tell(world, *of_the_last_capture(world))
    assert world.head(oid).attempt is not None
    world.clock.pass_(seconds=LEASE_SECONDS)
    assert tell(world, *of_the_last_capture(world))
    assert (world.head(oid).attempt, world.head(oid).round) == (None, 1)


def test_a_capture_is_recorded_although_the_worker_that_sent_it_still_has_the_lease() -> None:
    world = a_world()
    oid = a_rebill_that_times_out(world)
    lease(world, oid)
    assert tell(world, *of_the_last_capture(world))
    assert len(world.rebills(oid)) == 1
    world.check(oid)


def test_a_capture_of_another_amount_is_left_to_the_reconciliation() -> None:
    world = a_world()
    oid = a_rebill_that_times_out(world)
    with world.sandbox._db as db:
        db.execute("update capture set amount = '1.00' where key = ?", (of_the_last_capture(world)[0],))
    assert not tell(world, *of_the_last_capture(world))
    assert not world.rebills(oid)


def test_an_event_about_a_closed_attempt_makes_its_order_late_or_gives_it_back() -> None:
    for canceled in (True, False):
        world = a_world("lookup")
        world.gateway.forgets = True
        oid = a_rebill_that_times_out(world)
        key, order_id = of_the_last_capture(world)
        if canceled:
            cancel(world, oid)
        else:
            put_card(world, oid, "4111111111111111")
        world.travel(1, twice=True)
        world.gateway.forgets = False
        assert tell(world, key, order_id)
        before = kept(world)
        assert not tell(world, key, order_id)
        assert kept(world) == before
        world.check(oid)
        net = [c.key == key for c in world.sandbox.captures() if c.order_id == order_id and c.refunded_dts is None]
        assert net == [canceled]
        assert [order.late for order in world.rebills(oid)] == [True if canceled else None]


def test_an_authorisation_whose_answer_was_lost_is_known_by_an_event_about_it() -> None:
    """Its amount is the test's, not the order's, which costs nothing."""
    world = World(gateway=Herald, behave=lambda charge, posts: "timeout_after_capture" if posts == 1 else None)
    world.open(auth_test_zero_dollar_orders=True)
    order_id = a_trial(world, auth_test_amount=Decimal("2.50"))
    pay(world.shop, order_id)
    attempt = world.shop.orders.read(order_id)[1].attempt  # type: ignore[union-attr]
    assert attempt is not None
    assert (attempt.kind, attempt.asked(), attempt.plan.total) == ("auth_test", Decimal("2.50"), 0)
    assert tell(world, attempt.key, order_id)
    assert world.shop.orders.get(order_id).noun.charge_key == attempt.key
    world.travel(1, twice=True)
    assert [hold.voided_dts is None for hold in world.sandbox.holds()] == [False]


def test_a_decline_of_what_is_closed_already_is_nothing_new() -> None:
    world = a_world("lookup")
    world.gateway.forgets = True
    oid = a_rebill_that_times_out(world)
    cancel(world, oid)
    world.travel(1, twice=True)
    world.gateway.says = Declined(code="05", reason="The bank declined.")
    before = kept(world)
    assert not tell(world, *of_the_last_capture(world))
    assert kept(world) == before


@pytest.mark.parametrize(
    "order_id", ["", "DEMO-1", "DEMO-1-001", "#", "{original}", "{original}-001", "{original}-002"]
)
def test_an_event_about_nothing_that_stands_is_harmless(order_id: str) -> None:
    world = a_world()
    original = world.document(world.subscribe()).original_order_id
    before = kept(world)
    assert not tell(world, "bo_nobodys", order_id.format(original=original))
    assert kept(world) == before
    assert not world.gateway.asked


def test_only_what_the_gateway_signed_is_listened_to() -> None:
    world = a_world()
    a_rebill_that_times_out(world)
    before = kept(world)
    with pytest.raises(Unauthorised):
        tell(world, *of_the_last_capture(world), signature="bad")
    with pytest.raises(NotFound):
        hear(world, b"{}", gateway="another")
    assert not hear(world, b"{}")
    assert kept(world) == before
    with pytest.raises(Unauthorised):
        hear(World().open(), b"{}")


def test_an_event_is_looked_into_by_a_message_of_its_own_and_what_is_known_makes_none() -> None:
    world = a_world()
    a_rebill_that_times_out(world)
    key, order_id = of_the_last_capture(world)
    body = json.dumps({"key": key, "order_id": order_id}).encode()
    before = kept(world)
    assert hear(world, body)
    assert (kept(world), world.gateway.asked) == (before, 0), (
        "the gateway that tells us is not asked before it has its answer"
    )
    message = {"merchant_id": "DEMO", "kind": "hint", "id": order_id, "key": key, "gateway": "sandbox"}
    assert world.queue.take() == [("rebill", message)]
    world.deliver(message)
    assert world.shop.orders.get(order_id).noun.charge_key == key
    assert not hear(world, body)
    assert not world.queue.take()
    with pytest.raises(NotFound):
        look_into(world.shop, "gone", order_id, key)


def test_an_event_for_a_merchant_who_is_none_leaves_nothing_and_reads_no_account() -> None:
    world = World(gateway=Herald)
    world.house.payments_of = Accounts(Unread(), world.clock.now).of
    with pytest.raises(NotFound):
        hear(world, b"{}")
    assert everything(world) == []


@pytest.mark.parametrize(("scope", "most"), [(f"address#{HERE}", ADDRESS_EVENTS), ("shop", SHOP_EVENTS)])
def test_a_flood_of_events_is_stopped(scope: str, most: int) -> None:
    world = a_world()
    window = int(world.clock.now().timestamp()) // EVENTS_SECONDS * EVENTS_SECONDS
    with pytest.raises(Unauthorised):
        hear(world, b"{}", "bad")
    db = world.tables._db  # type: ignore[attr-defined]
    rows = db.execute("select pk, sk, body from record where name = 'documents'").fetchall()
    assert len(rows) == 2
    hashed = next(row for row in rows if row[0] == f"DEMO#limit#{key_hash(f'gateway_event#{scope}')}")
    assert hashed[1] == str(window)
    full = json.dumps(json.loads(hashed[2]) | {"count": most})
    db.execute("update record set body = ? where pk = ?", (full, hashed[0]))
    with pytest.raises(TooMany):
        hear(world, b"{}", "bad")
    if scope != "shop":
        with pytest.raises(Unauthorised):
            hear(world, b"{}", "bad", address="198.51.100.1")
    world.clock.pass_(seconds=EVENTS_SECONDS)
    with pytest.raises(Unauthorised):
        hear(world, b"{}", "bad")
