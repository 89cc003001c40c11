"""One per customer, upgrades, and what cancels the other auto orders: exact where two pay at once, resumable, once."""

import itertools
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.errors import Contended, Invalid
from chalicelib.domain.events import event_id
from chalicelib.domain.items import ItemAutoOrder
from chalicelib.domain.orders import Order, OrderBilling, OrderItem, OrderPayment, OrderPaymentCreditCard
from chalicelib.domain.refunds import Refunded
from chalicelib.domain.rotating import RotatingGateway, RotatingGateways
from chalicelib.domain.timeline import TimelineEntry
from chalicelib.flows import customers_auto_orders, edit, place_order
from chalicelib.flows.purchase import look_at, pay
from chalicelib.flows.refund import refund
from chalicelib.flows.tell import tell
from chalicelib.gateways.sandbox import PROFILES
from chalicelib.stores.sqlite import SqliteTables
from tests.cutting import SIDES, Crash, CutGateway, CutPort, Scissors, Side
from tests.steps import Stepped, merges, run
from tests.worlds import MERCHANT, World

ADA, EVE = "ada@example.com", "eve@example.com"
DECLINES, SILENT = "4000000000000002", "4000000000000119"


def tab(**rules: Any) -> ItemAutoOrder:
    return ItemAutoOrder(auto_orderable=True, auto_order_schedules=["Monthly", "Weekly"], **rules)


def opened(world: World | None = None, **rules: Any) -> World:
    """A shop that sells TRIAL one per customer, ALONE that cancels others, and a ladder of BASIC and PLUS."""
    world = (world or World()).open(**rules)
    world.sell("TRIAL", "1.00", tab(auto_order_upsell_one_per_customer=True))
    world.sell("ALONE", "5.00", tab(cancel_other_auto_orders=True))
    world.sell("BASIC", "10.00", tab(auto_order_upgrade_items=["PLUS"]))
    world.sell("PLUS", "20.00", tab(auto_order_downgrade_items=["BASIC"]))
    return world


def placed(world: World, *lines: str, email: str = ADA, schedule: Any = "Monthly", card: str = "", **more: Any) -> str:
    """An order of these items; nobody has paid for it yet."""
    token = world.card(card or "4111111111111111")
    order = Order(
        items=[
            OrderItem(**({"merchant_item_id": name, "quantity": Decimal(1), "auto_order_schedule": schedule} | more))
            for name in lines
        ],
        billing=OrderBilling(email=email, country_code="US"),
        payment=OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=token)),
    )
    return place_order.place(world.shop, order, by_shopper=False).noun.order_id or ""


def bought(world: World, *lines: str, **more: Any) -> int:
    """The same, paid. Returns the oid of its auto order, 0 where it began none. Nobody has been told yet."""
    order_id = placed(world, *lines, **more)
    pay(world.shop, order_id)
    world.clock.pass_(seconds=1)
    return world.shop.auto_orders.oid_by_original_order(order_id) or 0


def refused(act: Callable[[], Any]) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as found:
        act()
    return [(problem.pointer, problem.code) for problem in found.value.problems]


def changes(world: World, oid: int) -> list[TimelineEntry]:
    """The rows of the timeline that say what somebody changed since it was begun."""
    rows = [entry for _, entry in world.shop.auto_orders.logs_before(oid, "", 50)]
    return [entry for entry in rows if entry.kind != "begun"]


def statuses(world: World, *oids: int) -> list[str]:
    return [world.head(oid).status for oid in oids]


# --- one per customer ------------------------------------------------------------------------------------------------


def test_who_has_it_on_an_active_auto_order_is_refused_another() -> None:
    world = opened()
    bought(world, "TRIAL")
    assert refused(lambda: placed(world, "COFFEE", "TRIAL")) == [("/items/1/merchant_item_id", "one_per_customer")]
    assert refused(lambda: placed(world, "TRIAL", email=" ADA@example.com ")) == [
        ("/items/0/merchant_item_id", "one_per_customer")
    ]


def test_who_has_it_not_any_more_and_who_is_somebody_else_may_buy_it() -> None:
    world = opened()
    oid = bought(world, "TRIAL")
    assert bought(world, "TRIAL", email=EVE)
    edit.update(world.shop, oid, {"enabled": False, "canceled_by_user": "customer"})
    assert bought(world, "TRIAL")


def test_a_profile_that_was_made_afterwards_hides_nothing() -> None:
    world = opened()
    bought(world, "TRIAL")
    shop = world.shop
    shop.write(shop.customers.named("email", ADA, "77"))
    assert refused(lambda: placed(world, "TRIAL")) == [("/items/0/merchant_item_id", "one_per_customer")]


def test_without_the_rule_everybody_buys_as_many_as_he_likes() -> None:
    world = opened()
    assert bought(world, "COFFEE", quantity=Decimal(3))
    assert bought(world, "COFFEE")


def test_it_is_one_piece_in_one_line_and_bought_once_without_a_schedule_it_counts_nothing() -> None:
    world = opened()
    assert refused(lambda: placed(world, "TRIAL", quantity=Decimal(2))) == [("/items/0/quantity", "one_per_customer")]
    assert refused(lambda: placed(world, "TRIAL", "TRIAL")) == [("/items/1/merchant_item_id", "one_per_customer")]
    assert bought(world, "TRIAL", schedule=None, quantity=Decimal(2)) == 0
    assert bought(world, "TRIAL")


def test_who_left_no_name_is_a_customer_of_his_own() -> None:
    world = opened()
    for _ in range(2):
        order = Order(
            items=[OrderItem(merchant_item_id="TRIAL", quantity=Decimal(1), auto_order_schedule="Monthly")],
            billing=OrderBilling(country_code="US"),
            payment=OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=world.card())),
        )
        order_id = place_order.place(world.shop, order, by_shopper=False).noun.order_id or ""
        pay(world.shop, order_id)
        assert world.shop.auto_orders.oid_by_original_order(order_id)


def test_of_two_orders_that_wait_only_one_is_paid_and_the_other_is_refused_until_it_has_ended() -> None:
    world = opened()
    first, second = placed(world, "TRIAL"), placed(world, "TRIAL")
    pay(world.shop, second)
    assert refused(lambda: pay(world.shop, first)) == [("/items/0/merchant_item_id", "one_per_customer")]
    assert len(world.sandbox.captures()) == 1
    oid = world.shop.auto_orders.oid_by_original_order(second) or 0
    edit.update(world.shop, oid, {"enabled": False, "canceled_by_user": "customer"})
    pay(world.shop, first)
    assert len(world.sandbox.captures()) == 2


def test_a_declined_order_keeps_nobody_else_from_buying() -> None:
    world = opened()
    first = placed(world, "TRIAL", card=DECLINES)
    pay(world.shop, first)
    assert bought(world, "TRIAL")
    assert refused(lambda: pay(world.shop, first)) == [("/items/0/merchant_item_id", "one_per_customer")]


def test_while_one_payments_outcome_is_not_known_the_other_waits_for_it() -> None:
    world = opened(World(capabilities=PROFILES["lookup"]))
    first, second = placed(world, "TRIAL", card=SILENT), placed(world, "TRIAL")
    pay(world.shop, first)
    with pytest.raises(Invalid, match="is being paid at this moment"):
        pay(world.shop, second)
    for _ in range(8):
        world.clock.pass_(minutes=40)
        look_at(world.shop, first)
    pay(world.shop, second)
    assert [capture.order_id for capture in world.sandbox.captures()] == [second]


class Meanwhile:
    """An engine on which something happens just before an order is read for the second time."""

    def __init__(self) -> None:
        self._port = SqliteTables()
        self.act: Callable[[], Any] | None = None
        self.order_id = ""
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def get_many(self, table: str, keys: Any, **how: Any) -> Any:
        self.reads += (table, keys[0][0]) == ("orders", f"{MERCHANT}#{self.order_id}")
        if self.act is not None and self.reads == 2:
            act, self.act = self.act, None
            act()
        return self._port.get_many(table, keys, **how)


def test_an_order_that_lost_its_item_between_two_gateway_accounts_is_not_charged_at_the_second() -> None:
    port = Meanwhile()
    world = opened(World(port=port, others={"backup": None}))  # type: ignore[arg-type]
    accounts = [RotatingGateway(code="sandbox"), RotatingGateway(code="backup", status="standby")]
    world.shop.write(world.shop.configuration.save(RotatingGateways(gateways=accounts), 0))
    first, second = placed(world, "TRIAL", card=DECLINES), placed(world, "TRIAL")
    port.order_id, port.act = first, lambda: pay(world.shop, second)
    assert refused(lambda: pay(world.shop, first)) == [("/items/0/merchant_item_id", "one_per_customer")]
    assert [capture.order_id for capture in world.sandbox.captures()] == [second]
    assert world.others["backup"].posts() == 0


def test_a_refund_under_way_of_the_order_that_had_it_keeps_nobody_from_buying() -> None:
    world = opened(World(behave_back=lambda key, posts: "timeout_before_capture"))
    oid = bought(world, "TRIAL")
    first = world.document(oid).original_order_id or ""
    edit.update(world.shop, oid, {"enabled": False, "canceled_by_user": "customer"})
    refund(world.shop, first, Refunded(total=Decimal("1.00"), subtotal_refunded=Decimal("1.00")))
    head = world.shop.orders.read(first)[1]
    assert head
    assert head.attempt
    assert head.attempt.kind == "refund"
    assert bought(world, "TRIAL")
    assert world.shop.orders.read(first)[1] == head, "nobody touches an order that is paid"


PORT_STEPS = frozenset({"get", "get_many", "query", "write"})
# The order, who has it, the reservation, the customer's auto orders, claim, charge, catalogue, settling, the order.
CALLS = 9


def test_two_orders_of_one_customer_paid_at_once_begin_one_auto_order_in_whatever_order_their_steps_fall() -> None:
    """A sample of the orders; in each at least one gets through, or both are refused and can be paid again."""
    played, nobody = 0, 0
    for order in itertools.islice(merges(CALLS, CALLS), 0, None, 119):
        world = opened(World(port=Stepped(SqliteTables(), PORT_STEPS), gateway=a_stepped_gateway))
        both = [placed(world, "TRIAL") for _ in range(2)]
        told: list[str] = []
        run([paying(world, order_id, told) for order_id in both], [0, 1, *order])
        oids = [oid for oid in map(world.shop.auto_orders.oid_by_original_order, both) if oid is not None]
        assert len(world.sandbox.captures()) == len(oids) <= 1
        if not oids:
            nobody += 1
            pay(world.shop, both[0])
            assert len(world.sandbox.captures()) == 1
        played += 1
    print(f"one per customer: {played} interleavings of two payments, {nobody} of them met again, 0 bought twice")
    assert played > 400


def a_stepped_gateway(sandbox: Any) -> Stepped:
    return Stepped(sandbox, frozenset({"charge"}))


def test_a_payment_takes_the_calls_that_the_sample_is_made_of() -> None:
    world = opened(World(port=Stepped(SqliteTables(), PORT_STEPS), gateway=a_stepped_gateway))
    # One switch starts it, one lets each call go on.
    assert run([paying(world, placed(world, "TRIAL"), [])], []) == [CALLS + 1]


def paying(world: World, order_id: str, told: list[str]) -> Callable[[], None]:
    def act() -> None:
        try:
            pay(world.shop, order_id)
        except (Invalid, Contended) as error:
            told.append(str(error))

    return act


# --- what a purchase ends --------------------------------------------------------------------------------------------


def test_an_item_that_cancels_others_cancels_them_all_each_with_its_log_and_its_event() -> None:
    world = opened()
    others = [bought(world, "COFFEE"), bought(world, "TEA", "COFFEE")]
    elses = bought(world, "COFFEE", email=EVE)
    alone = bought(world, "ALONE")
    world.tell_all()
    assert statuses(world, *others, elses, alone) == ["canceled", "canceled", "active", "active"]
    order_id = world.document(alone).original_order_id
    for oid in others:
        document = world.document(oid)
        assert document.cancel_reason == "Canceled by ALONE"
        assert document.canceled_dts == world.clock.now()
        [row] = changes(world, oid)
        assert (row.kind, row.reason) == ("canceled", "Canceled by ALONE")
        assert row.log_message == f"Order {order_id}: Canceled by ALONE (by system)"
        found = world.shop.events.find(event_id(MERCHANT, f"auto_order#{oid}", f"ended_by#{order_id}"))
        assert found
        assert [one.name for one in found[0].happenings] == ["auto_order_cancel"]
        assert world.head(oid).due_dts is None
    world.travel(40)
    assert [len(world.rebills(oid)) for oid in (*others, elses, alone)] == [0, 0, 1, 1]


def test_it_cancels_also_where_it_is_bought_once_and_an_item_without_the_rule_cancels_nothing() -> None:
    world = opened()
    first = bought(world, "COFFEE")
    bought(world, "TEA")
    world.tell_all()
    assert statuses(world, first) == ["active"]
    assert bought(world, "ALONE", schedule=None) == 0
    world.tell_all()
    assert statuses(world, first) == ["canceled"]


def test_a_rebill_of_it_cancels_nothing() -> None:
    world = opened()
    alone = bought(world, "ALONE", schedule="Weekly")
    world.tell_all()
    later = bought(world, "COFFEE")
    world.travel(8)
    assert len(world.rebills(alone)) == 1
    assert statuses(world, later) == ["active"]


def test_what_was_bought_later_stays_however_late_it_is_told() -> None:
    world = opened()
    before, alone = bought(world, "COFFEE"), bought(world, "ALONE")
    after = bought(world, "TEA")
    world.tell_all()
    assert statuses(world, before, alone, after) == ["canceled", "active", "active"]


def test_two_that_cancel_each_other_in_one_second_leave_one() -> None:
    world = opened()
    orders = [placed(world, "ALONE") for _ in range(2)]
    for order_id in orders:
        pay(world.shop, order_id)
    world.tell_all()
    oids = [world.shop.auto_orders.oid_by_original_order(order_id) or 0 for order_id in orders]
    assert sorted(statuses(world, *oids)) == ["active", "canceled"]


def test_what_somebody_enables_again_is_not_ended_by_the_same_order_again() -> None:
    world = opened()
    first = bought(world, "COFFEE")
    alone = bought(world, "ALONE")
    world.tell_all()
    edit.update(world.shop, first, {"enabled": True})
    paid = event_id(MERCHANT, f"order#{world.document(alone).original_order_id}", "paid")
    event = world.shop.events.find(paid)
    assert event
    world.shop.write(world.shop.events.happened(event[0]))
    assert tell(world.shop, paid)
    assert statuses(world, first) == ["active"]


def test_more_than_one_visit_takes_are_ended_by_the_next() -> None:
    world = opened()
    count = customers_auto_orders.MOST_AT_ONCE + 3
    oids = [bought(world, "COFFEE") for _ in range(count)]
    bought(world, "ALONE")
    with pytest.raises(Contended):
        world.tell_all()
    assert statuses(world, *oids).count("canceled") == customers_auto_orders.MOST_AT_ONCE
    world.tell_all()
    assert statuses(world, *oids).count("canceled") == count


def test_an_upgrade_cancels_what_it_replaces_and_says_so() -> None:
    world = opened()
    basic, other = bought(world, "BASIC"), bought(world, "COFFEE")
    plus = bought(world, "PLUS")
    world.tell_all()
    assert statuses(world, basic, other, plus) == ["canceled", "active", "active"]
    document = world.document(basic)
    assert (document.cancel_upgrade, document.cancel_downgrade) == (True, None)
    assert document.cancel_reason == "Replaced by PLUS"
    again = bought(world, "BASIC")
    world.tell_all()
    assert statuses(world, plus, again) == ["canceled", "active"]
    assert world.document(plus).cancel_downgrade


def test_an_upgrade_that_is_bought_once_replaces_nothing() -> None:
    world = opened()
    basic = bought(world, "BASIC")
    bought(world, "PLUS", schedule=None)
    world.tell_all()
    assert statuses(world, basic) == ["active"]


def test_an_upgrade_ends_its_item_only_where_the_auto_order_has_others() -> None:
    world = opened()
    both = bought(world, "BASIC", "COFFEE")
    bought(world, "PLUS")
    world.tell_all()
    assert statuses(world, both) == ["active"]
    world.travel(31)
    assert [[line.merchant_item_id for line in order.items or []] for order in world.rebills(both)] == [["COFFEE"]]
    [row] = changes(world, both)
    assert (row.kind, (row.log_message or "").split(": ")[1]) == ("edited", "BASIC Replaced by PLUS (by system)")
    world.check(both)


def test_a_charge_under_way_of_what_is_ended_is_not_sent_again() -> None:
    """Its outcome is not known; the customer has bought the upgrade meanwhile."""
    world = opened(World(capabilities=PROFILES["full"]))
    basic = bought(world, "BASIC")
    world.tell_all()
    world.clock.go(world.bills_at(basic))
    shop, document = world.shop, world.document(basic)
    order = shop.orders.get(document.original_order_id or "")
    assert order.noun.payment
    assert order.noun.payment.credit_card
    order.noun.payment.credit_card.stored_card = shop.gateway().tokenise(SILENT, 12, 2040)
    shop.write(shop.orders.edited(order.noun, order.version))
    world.visit(basic)
    assert world.head(basic).attempt is not None
    bought(world, "PLUS")
    posts = world.sandbox.posts()
    world.tell_all()
    world.travel(3)
    head = world.head(basic)
    assert (head.status, head.attempt, head.due_dts) == ("canceled", None, None)
    assert world.sandbox.posts() == posts
    world.check(basic)


def ended_with_cuts(*cuts: tuple[int, Side]) -> Scissors:
    """The relay tells of a purchase that ends two auto orders, is cut, and comes again."""
    scissors = Scissors()
    port = CutPort(SqliteTables(), scissors)
    world = opened(World(port=port, gateway=lambda sandbox: CutGateway(sandbox, scissors)))
    oids = [bought(world, "COFFEE"), bought(world, "BASIC", "COFFEE")]
    world.tell_all()
    bought(world, "ALONE", "PLUS")
    scissors.arm(*cuts)
    for _ in range(3):
        try:
            world.tell_all()
        except Crash:
            continue
    reached, names = scissors.reached, scissors.names
    scissors.arm()
    world.tell_all()
    assert statuses(world, *oids) == ["canceled", "canceled"], cuts
    assert [len(changes(world, oid)) for oid in oids] == [1, 1], cuts
    assert [world.head(oid).revision for oid in oids] == [1, 1], cuts
    assert world.due("events") == []
    scissors.reached, scissors.names = reached, names
    return scissors


def test_a_cut_at_any_call_of_the_relay_ends_every_auto_order_once() -> None:
    clean = ended_with_cuts()
    changing = [number for number, name in enumerate(clean.names, start=1) if name == "write"]
    chance = random.Random(7)
    reads = sorted(chance.sample([n for n, name in enumerate(clean.names, start=1) if name != "write"], 12))
    cut = sum(ended_with_cuts((number, side)).reached for number in [*changing, *reads] for side in SIDES)
    assert cut == (len(changing) + len(reads)) * len(SIDES)
    print(f"a purchase that ends others: {cut} cuts, each ended once")
