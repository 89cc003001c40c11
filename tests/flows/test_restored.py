"""Tables that went back in time have forgotten what was charged since. Where the gateway is asked first, it is
recorded; else it would be charged again."""

import pytest

from chalicelib.domain.payments import Capabilities, NotFound, Unknown
from chalicelib.flows import purchase
from chalicelib.gateways.sandbox import PROFILES
from chalicelib.stores.sqlite import SqliteTables
from tests.flows.test_charge import Watched
from tests.worlds import World

# Gateways whose keys have long ended by the time that tables are restored: only a look-up still knows.
FORGETS_KEYS = Capabilities(lookup=True, refund=True)


class Restored:
    """A world whose tables are put back to how they stood at a moment, while the gateway's ledger goes on."""

    def __init__(self, *, capabilities: Capabilities = FORGETS_KEYS, asks_first: bool = True) -> None:
        self.world = World(capabilities=capabilities, gateway=lambda inner: Watched(inner, "look_up")).open()
        self.oid = self.world.subscribe({"COFFEE": "Weekly"})
        self.world.tell_all()
        self._asks_first = asks_first
        self._kept = SqliteTables()

    def keep(self) -> None:
        self.world.tables._db.backup(self._kept._db)  # type: ignore[attr-defined]

    def go_back(self) -> None:
        self._kept._db.backup(self.world.tables._db)  # type: ignore[attr-defined]
        self.world.house.asks_first = self._asks_first

    def lose(self, days: int) -> list[str | None]:
        """The last days are forgotten. Returns the orders that were made in them."""
        self.keep()
        self.world.travel(days)
        made = [order.order_id for order in self.world.rebills(self.oid)]
        self.go_back()
        assert self.world.rebills(self.oid) == []
        return made

    def captures(self) -> int:
        return len(self.world.sandbox.captures())


def test_what_was_charged_in_the_lost_time_is_recorded_and_not_charged_again() -> None:
    restored = Restored()
    lost = restored.lose(days=8)
    before, posts = restored.captures(), restored.world.sandbox.posts()
    restored.world.travel(1)
    assert [order.order_id for order in restored.world.rebills(restored.oid)] == lost
    assert (restored.captures(), restored.world.sandbox.posts()) == (before, posts)
    restored.world.check(restored.oid)


def test_several_lost_runs_come_back_one_after_the_other() -> None:
    restored = Restored()
    lost = restored.lose(days=22)
    assert len(lost) == 3
    before = restored.captures()
    restored.world.travel(5)
    assert [order.order_id for order in restored.world.rebills(restored.oid)] == lost
    assert restored.captures() == before
    restored.world.check(restored.oid)


def test_the_check_sees_the_double_charge_where_nobody_asks() -> None:
    restored = Restored(asks_first=False)
    restored.lose(days=8)
    restored.world.travel(1)
    with pytest.raises(AssertionError, match="charged twice"):
        restored.world.check(restored.oid)


def test_what_the_gateway_does_not_know_is_charged() -> None:
    restored = Restored()
    restored.lose(days=1)
    before = restored.captures()
    restored.world.travel(7)
    assert restored.captures() == before + 1
    restored.world.check(restored.oid)


def test_a_first_payment_is_asked_for_too() -> None:
    restored = Restored()
    order_id = restored.world.place({"TEA": None})
    restored.keep()
    purchase.pay(restored.world.shop, order_id)
    before = restored.captures()
    restored.go_back()
    restored.world.clock.pass_(days=2)
    purchase.pay(restored.world.shop, order_id)
    order = restored.world.shop.orders.get(order_id).noun
    assert order.payment is not None
    assert (order.payment.payment_status, restored.captures()) == ("Processed", before)


def test_a_gateway_that_does_not_answer_is_asked_again_before_anything_is_sent() -> None:
    restored = Restored()
    restored.lose(days=8)
    before, posts = restored.captures(), restored.world.sandbox.posts()
    restored.world.gateway.instead = lambda *given: Unknown(reason="timed out")
    restored.world.work()
    attempt = restored.world.head(restored.oid).attempt
    assert attempt is not None
    assert restored.world.sandbox.posts() == posts
    restored.world.gateway.instead = None
    restored.world.travel(1)
    assert (len(restored.world.rebills(restored.oid)), restored.captures()) == (1, before)
    restored.world.check(restored.oid)


def test_a_gateway_that_cannot_be_asked_is_sent_nothing() -> None:
    restored = Restored(capabilities=PROFILES["keys"])
    restored.lose(days=8)
    posts = restored.world.sandbox.posts()
    restored.world.work()
    assert restored.world.sandbox.posts() == posts
    (row,) = restored.world.shop.auto_orders.attempts(restored.oid)
    assert (row.outcome, "cannot say what it has done" in row.reason) == ("not_sent", True)


def test_nobody_is_asked_in_ordinary_times() -> None:
    world = World(gateway=lambda inner: Watched(inner, "look_up")).open()
    world.gateway.instead = lambda *given: pytest.fail("the gateway was asked")
    oid = world.subscribe()
    world.travel(32)
    assert len(world.rebills(oid)) == 1
    assert isinstance(world.sandbox.look_up("unknown"), NotFound)
