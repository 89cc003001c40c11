"""Tables that went back in time have forgotten what was charged since. Where the gateway is asked first, it is
recorded; else it would be charged again."""

from decimal import Decimal

import pytest

from chalicelib.domain import refunds
from chalicelib.domain.errors import Contended
from chalicelib.domain.orders import Order, OrderSummary
from chalicelib.domain.payments import Capabilities, Charge, NotFound, Unknown
from chalicelib.domain.rotating import RotatingGateway, RotatingGateways
from chalicelib.flows import purchase
from chalicelib.flows.rebill import rebill
from chalicelib.flows.refund import refund
from chalicelib.gateways.sandbox import PROFILES, Behaviour
from chalicelib.stores.sqlite import SqliteTables
from tests.flows.test_charge import Watched
from tests.worlds import World

# Gateways whose keys have long ended by the time that tables are restored: only a look-up still knows.
FORGETS_KEYS = Capabilities(lookup=True, refund=True, numbers=True)


class Restored:
    """A world whose tables are put back to how they stood at a moment, while the gateways' ledgers go on. ``does`` is
    what the gateway does with the next charges."""

    def __init__(
        self, *, capabilities: Capabilities = FORGETS_KEYS, asks_first: bool = True, standby: str | None = None
    ) -> None:
        self.does: list[Behaviour] = []
        self.world = World(
            capabilities=capabilities,
            gateway=lambda inner: Watched(inner, "look_up", "look_up_refund"),
            behave=self._behave,
            others={standby: None} if standby else None,
        ).open()
        if standby:
            both = [RotatingGateway(code="sandbox"), RotatingGateway(code=standby, status="standby")]
            shop = self.world.shop
            shop.write(shop.configuration.save(RotatingGateways(gateways=both), 0))
        self.oid = self.world.subscribe({"COFFEE": "Weekly"})
        self.world.tell_all()
        self._asks_first = asks_first
        self._kept = SqliteTables()

    def _behave(self, charge: Charge, posts: int) -> Behaviour | None:
        return self.does.pop(0) if self.does else None

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

    def has_charged_nothing_more(self, lost: list[str | None], captures: int) -> None:
        """The forgotten orders stand again, each with its one capture."""
        assert [order.order_id for order in self.world.rebills(self.oid)] == lost
        assert self.captures() == captures
        self.world.check(self.oid)


def test_what_was_charged_in_the_lost_time_is_recorded_and_not_charged_again() -> None:
    restored = Restored()
    lost = restored.lose(days=8)
    before, posts = restored.captures(), restored.world.sandbox.posts()
    restored.world.travel(1)
    restored.has_charged_nothing_more(lost, before)
    assert restored.world.sandbox.posts() == posts


def test_several_lost_runs_come_back_one_after_the_other() -> None:
    restored = Restored()
    lost = restored.lose(days=22)
    assert len(lost) == 3
    before = restored.captures()
    restored.world.travel(5)
    restored.has_charged_nothing_more(lost, before)


def test_the_check_sees_the_double_charge_where_nobody_asks() -> None:
    restored = Restored(asks_first=False)
    restored.lose(days=8)
    restored.world.travel(1)
    with pytest.raises(AssertionError, match="charged twice"):
        restored.world.check(restored.oid)


def test_tries_that_were_not_sent_before_the_charge_do_not_hide_it() -> None:
    restored = Restored()
    restored.does = ["not_sent", "not_sent"]
    lost = restored.lose(days=8)
    assert len(lost) == 1
    before = restored.captures()
    restored.world.travel(1)
    restored.has_charged_nothing_more(lost, before)


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


def test_a_refund_is_asked_for_too() -> None:
    restored = Restored()
    order_id = restored.world.order({"TEA": None})
    restored.keep()

    def give_back() -> Decimal | None:
        order = restored.world.shop.orders.get(order_id).noun
        wanted = refunds.asked(order, Order(summary=OrderSummary(total_refunded=Decimal("5.00"))))
        refund(restored.world.shop, order_id, wanted)
        summary = restored.world.shop.orders.get(order_id).noun.summary
        return summary.total_refunded if summary else None

    assert give_back() == Decimal("5.00")
    restored.go_back()
    restored.world.clock.pass_(days=2)
    assert give_back() == Decimal("5.00")
    assert len(restored.world.sandbox.refunds()) == 1


def test_what_another_account_has_charged_is_not_charged_here_but_left_to_a_person() -> None:
    """This gateway has forgotten that it declined, and that is why another one was asked."""
    restored = Restored(standby="backup")
    world = restored.world
    restored.does = ["decline"]
    restored.lose(days=8)
    (taken,) = world.others["backup"].captures()
    posts = world.sandbox.posts()
    world.travel(1)
    attempt = world.head(restored.oid).attempt
    assert attempt is not None
    assert attempt.review_dts is not None
    world.house.asks_first = False
    world.travel(10)
    assert (world.sandbox.posts(), world.others["backup"].captures()) == (posts, [taken])


def test_nothing_is_claimed_or_sent_while_a_gateway_does_not_answer() -> None:
    restored = Restored()
    lost = restored.lose(days=8)
    before, posts, tries = restored.captures(), restored.world.sandbox.posts(), restored.world.head(restored.oid).tries
    restored.world.gateway.instead = lambda *given: Unknown(reason="timed out")
    with pytest.raises(Contended, match="sandbox does not say"):
        restored.world.visit(restored.oid)
    head = restored.world.head(restored.oid)
    assert (head.attempt, head.tries, restored.world.sandbox.posts()) == (None, tries, posts)
    restored.world.gateway.instead = None
    restored.world.travel(1)
    restored.has_charged_nothing_more(lost, before)


@pytest.mark.parametrize(("looks", "asked"), [(0, 0), (3, 3)])
def test_where_asking_takes_too_long_nothing_is_claimed(looks: int, asked: int) -> None:
    """The time ends before the first look, or after the last."""
    restored = Restored()
    restored.lose(days=1)
    restored.world.clock.pass_(days=7)
    left = iter([60.0] * (1 + looks))
    heard: list[str] = []
    restored.world.gateway.before = lambda name, *given: heard.append(name)
    posts = restored.world.sandbox.posts()
    with pytest.raises(Contended):
        rebill(restored.world.house.open_shop("DEMO", lambda: next(left, 29.0)), restored.oid)
    assert (heard, restored.world.sandbox.posts()) == (["look_up"] * asked, posts)
    assert restored.world.head(restored.oid).attempt is None


def test_a_gateway_that_cannot_be_asked_is_sent_nothing() -> None:
    restored = Restored(capabilities=PROFILES["keys"])
    restored.lose(days=8)
    posts = restored.world.sandbox.posts()
    with pytest.raises(Contended, match="sandbox cannot be asked"):
        restored.world.visit(restored.oid)
    assert restored.world.head(restored.oid).attempt is None
    assert restored.world.sandbox.posts() == posts


def test_nobody_is_asked_in_ordinary_times() -> None:
    world = World(gateway=lambda inner: Watched(inner, "look_up")).open()
    world.gateway.instead = lambda *given: pytest.fail("the gateway was asked")
    oid = world.subscribe()
    world.travel(32)
    assert len(world.rebills(oid)) == 1
    assert isinstance(world.sandbox.look_up("unknown"), NotFound)
