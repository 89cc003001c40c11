"""An item whose refund refunds the customer's other auto orders: the latest paid order of each, once."""

from collections.abc import Callable
from decimal import Decimal
from functools import cache

import pytest

from chalicelib.domain import refunds
from chalicelib.domain.dates import local_date
from chalicelib.domain.events import event_id
from chalicelib.domain.items import ItemAutoOrder
from chalicelib.domain.money import Currency
from chalicelib.domain.orders import Order, OrderBilling, OrderItem, OrderPayment, OrderPaymentCreditCard, OrderSummary
from chalicelib.domain.payments import LEASE_SECONDS
from chalicelib.domain.problems import ShopProblem
from chalicelib.flows import customers_auto_orders, edit, place_order
from chalicelib.flows.explain import explained
from chalicelib.flows.purchase import pay
from chalicelib.flows.refund import refund
from chalicelib.flows.refund_preview import preview
from chalicelib.flows.sweep import events_due
from chalicelib.flows.tell import tell
from chalicelib.gateways.sandbox import PROFILES
from chalicelib.stores.sqlite import SqliteTables
from tests.cutting import SIDES, Crash, CutGateway, CutPort, Scissors, Side
from tests.flows.test_crashes import put_card
from tests.flows.test_echecks import a_subscriber as a_debited_subscriber
from tests.flows.test_returns import cloned
from tests.worlds import MERCHANT, NEW_YORK, World

ADA, EVE = "ada@example.com", "eve@example.com"


class Relayed(World):
    """A world whose relay is the real one: what cannot be told yet comes again when its lease is over."""

    def tell_all(self) -> None:
        events_due(self.backroom, lambda _, event_id: tell(self.shop, event_id))

    def come_again(self) -> None:
        self.clock.pass_(seconds=LEASE_SECONDS)
        self.tell_all()


def opened(world: World | None = None, **rules: object) -> World:
    world = (world or Relayed()).open(**rules)
    tab = {"auto_orderable": True, "auto_order_schedules": ["Monthly", "Weekly"]}
    world.sell("ALL", "5.00", ItemAutoOrder(**tab, refund_other_auto_orders=True))
    world.sell("ALONE", "5.00", ItemAutoOrder(**tab, refund_other_auto_orders=True, cancel_other_auto_orders=True))
    return world


def bought(world: World, *lines: str, email: str = ADA, schedule: str | None = "Monthly") -> tuple[str, int]:
    """A paid order that everybody was told of, and its auto order."""
    order = Order(
        items=[
            OrderItem(merchant_item_id=name, quantity=Decimal(1), auto_order_schedule=schedule)  # type: ignore[arg-type]
            for name in lines
        ],
        billing=OrderBilling(email=email, country_code="US"),
        payment=OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=world.card())),
    )
    order_id = place_order.place(world.shop, order, by_shopper=False).noun.order_id or ""
    pay(world.shop, order_id)
    world.tell_all()
    world.clock.pass_(seconds=1)
    return order_id, world.shop.auto_orders.oid_by_original_order(order_id) or 0


def give_back(world: World, order_id: str, total: str | None = None) -> None:
    order = world.shop.orders.get(order_id).noun
    wanted = refunds.whole(order, "wanted back")
    if total is not None:
        wanted = refunds.asked(order, Order(summary=OrderSummary(total_refunded=Currency(total))))
    refund(world.shop, order_id, wanted)


def told(world: World) -> None:
    """Everything, also what telling of something leads to."""
    for _ in range(4):
        world.tell_all()


def given(world: World) -> dict[str, Decimal]:
    """What was given back at the gateway, by order."""
    found: dict[str, Decimal] = {}
    for one in world.sandbox.refunds():
        found[one.order_id] = found.get(one.order_id, Decimal(0)) + one.amount
    return found


def logs(world: World, oid: int) -> list[str]:
    """What the timeline says of what was given back, without the cause that each begins with."""
    rows = [entry for _, entry in world.shop.auto_orders.logs_before(oid, "", 50)]
    found = [entry.log_message or "" for entry in rows if entry.kind == "given_back"]
    return [words.split("auto orders. ", 1)[1] for words in found]


def problems(world: World) -> list[ShopProblem]:
    return world.shop.problems.of(local_date(world.clock.now(), NEW_YORK), 10)


# --- what is given back ----------------------------------------------------------------------------------------------


def test_the_latest_paid_order_of_each_other_auto_order_is_refunded_and_no_other() -> None:
    world = opened()
    all_, own = bought(world, "ALL")
    first, coffee = bought(world, "COFFEE")
    second, tea = bought(world, "TEA", "COFFEE")
    world.travel(32)
    stranger, _ = bought(world, "COFFEE", email=EVE)
    third, young = bought(world, "TEA")
    foreseen = preview(world.shop, all_, None)
    give_back(world, all_)
    told(world)
    others = {f"{first}-001": Decimal("17.95"), f"{second}-001": Decimal("27.45"), third: Decimal("9.50")}
    assert given(world) == {all_: Decimal("5.00"), **others}
    assert {one.order_id: one.amount for one in foreseen.other_auto_orders or []} == others, "it was told before"
    assert {one.auto_order_oid for one in foreseen.other_auto_orders or []} == {coffee, tea, young}
    order = world.shop.orders.get(f"{first}-001").noun
    assert order.payment
    assert order.payment.payment_status == "Refunded"
    assert order.refund_reason == f"Refund of order {all_}"
    assert order.internal
    assert order.internal.refund_by_user == "system"
    assert logs(world, coffee) == [f"Order {first}-001 was given back: 17.95 USD."]
    assert [world.head(oid).status for oid in (own, coffee, tea, young)] == ["active"] * 4
    assert problems(world) == []
    assert stranger not in given(world)


def test_what_the_purchase_has_canceled_is_refunded_with_it_and_what_had_ended_before_is_not() -> None:
    world = opened()
    old, ended = bought(world, "TEA")
    edit.update(world.shop, ended, {"enabled": False, "canceled_by_user": "customer"})
    world.clock.pass_(seconds=1)
    coffee, canceled = bought(world, "COFFEE")
    alone, _ = bought(world, "ALONE")
    assert world.head(canceled).status == "canceled"
    assert given(world) == {}, "buying it gives nothing back"
    give_back(world, alone)
    told(world)
    assert given(world) == {alone: Decimal("5.00"), coffee: Decimal("17.95")}
    assert old not in given(world)


def test_only_what_is_left_of_an_order_is_given_back_and_one_that_was_given_back_stays() -> None:
    world = opened()
    all_, _ = bought(world, "ALL")
    coffee, parted = bought(world, "COFFEE")
    tea, whole = bought(world, "TEA")
    give_back(world, coffee, "3.00")
    give_back(world, tea)
    give_back(world, all_)
    told(world)
    assert given(world)[coffee] == Decimal("17.95")
    assert len([one for one in world.sandbox.refunds() if one.order_id == tea]) == 1
    assert logs(world, parted) == [f"Order {coffee} was given back: 14.95, and 3.00 before, USD."]
    assert logs(world, whole) == [f"Order {tea} had been given back before: 9.50 USD."]


def test_only_a_refund_of_that_item_does_it() -> None:
    world = opened()
    order_id, _ = bought(world, "ALL", "TEA")
    coffee, _ = bought(world, "COFFEE")
    give_back(world, order_id, "1.00")
    order = world.shop.orders.get(order_id).noun
    line = OrderItem(item_index=2, quantity_refunded=Decimal(1), total_refunded=Currency("9.50"))
    refund(world.shop, order_id, refunds.asked(order, Order(items=[line])))
    told(world)
    assert coffee not in given(world)
    order = world.shop.orders.get(order_id).noun
    line = OrderItem(item_index=1, quantity_refunded=Decimal(1), total_refunded=Currency("2.00"))
    refund(world.shop, order_id, refunds.asked(order, Order(items=[line])))
    told(world)
    assert given(world)[coffee] == Decimal("17.95")


def test_a_rebill_of_it_that_is_refunded_gives_nothing_else_back() -> None:
    world = opened()
    all_, _ = bought(world, "ALL", schedule="Weekly")
    coffee, _ = bought(world, "COFFEE")
    world.travel(8)
    give_back(world, f"{all_}-001")
    told(world)
    assert coffee not in given(world)


def test_two_that_refund_each_other_refund_each_other_once() -> None:
    world = opened()
    first, _ = bought(world, "ALL", schedule="Weekly")
    second, _ = bought(world, "ALL", schedule="Weekly")
    world.travel(8)
    give_back(world, first)
    told(world)
    assert given(world) == {first: Decimal("5.00"), f"{second}-001": Decimal("5.00")}


def test_a_second_refund_of_the_same_order_refunds_no_later_order_of_the_others() -> None:
    world = opened()
    all_, _ = bought(world, "ALL")
    coffee, _ = bought(world, "COFFEE", schedule="Weekly")
    order = world.shop.orders.get(all_).noun
    line = OrderItem(item_index=1, total_refunded=Currency("2.00"))
    refund(world.shop, all_, refunds.asked(order, Order(items=[line])))
    told(world)
    world.travel(8)
    give_back(world, all_)
    told(world)
    assert {name for name in given(world) if name.startswith(coffee)} == {coffee}


def test_what_is_told_before_a_refund_is_what_would_be_left_of_the_others() -> None:
    world = opened()
    all_, _ = bought(world, "ALL")
    first, _ = bought(world, "COFFEE")
    second, _ = bought(world, "TEA")
    give_back(world, first, "7.95")
    give_back(world, second)
    assert [(one.order_id, one.amount) for one in preview(world.shop, all_, None).other_auto_orders or []] == [
        (first, Decimal("10.00"))
    ]
    part = Order(summary=OrderSummary(total_refunded=Currency("1.00")))
    assert preview(world.shop, all_, part).other_auto_orders is None, "no item of it is given back"
    give_back(world, all_)
    told(world)
    assert preview(world.shop, all_, None).why_not == "The order has been refunded in full."


def test_a_further_part_of_it_leads_to_nothing_however_much_later() -> None:
    world = opened()
    all_, _ = bought(world, "ALL")
    coffee, _ = bought(world, "COFFEE", schedule="Weekly")
    order = world.shop.orders.get(all_).noun
    refund(world.shop, all_, refunds.asked(order, Order(items=[OrderItem(item_index=1, total_refunded=Currency("2"))])))
    told(world)
    world.travel(8)
    # What was told goes by itself after its time.
    world.tables._db.execute("delete from record where name = 'events'")  # type: ignore[attr-defined]
    give_back(world, all_)
    told(world)
    assert {name for name in given(world) if name.startswith(coffee)} == {coffee}


def test_what_nobody_has_paid_is_named_and_not_given_back() -> None:
    world = opened(number_of_retries=1, send_failures_to_accounts_receivable=True)
    all_, _ = bought(world, "ALL")
    coffee, oid = bought(world, "COFFEE")
    put_card(world, oid, "4000000000000002")
    world.travel(32)
    assert world.head(oid).state.receivables
    give_back(world, all_)
    told(world)
    assert given(world)[coffee] == Decimal("17.95")
    [words] = logs(world, oid)
    assert words.endswith(f"Not given back: order {coffee}-001 waits in Accounts Receivable.")


def test_a_debit_that_is_pending_is_named_and_the_order_before_it_is_given_back() -> None:
    world = opened()
    all_, _ = bought(world, "ALL")
    oid = a_debited_subscriber(world)
    original = world.document(oid).original_order_id or ""
    world.clock.go(world.bills_at(oid))
    world.visit(oid)
    assert world.head(oid).attempt
    give_back(world, all_)
    told(world)
    assert given(world)[original] == Decimal("17.95")
    [words] = logs(world, oid)
    assert f"what the payment of order {original}-001 comes to is not known yet" in words


def test_who_left_no_name_has_no_other_auto_orders() -> None:
    world = opened()
    order_id, _ = bought(world, "ALL", email="")
    coffee, _ = bought(world, "COFFEE", email="")
    give_back(world, order_id)
    told(world)
    assert set(given(world)) == {order_id}
    assert coffee not in given(world)


def test_explain_says_what_a_refund_leads_to() -> None:
    world = opened()
    _, oid = bought(world, "ALL")
    reasons = {one["code"]: one for one in explained(world.shop, oid, None)["reasons"]}
    assert reasons["refund_refunds_others"]["params"] == {"item_id": "ALL"}
    assert reasons["refund_refunds_others"]["setting"] == "refund_other_auto_orders"


# --- what stands in the way ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["gateway cannot", "gateway refuses"])
def test_a_refund_that_cannot_be_had_is_told_to_the_merchant_once_and_keeps_back_no_other(how: str) -> None:
    refuses: set[str] = set()
    world = opened(Relayed(behave_back=lambda key, posts: "decline" if refuses else None))
    all_, _ = bought(world, "ALL")
    coffee, oid = bought(world, "COFFEE")
    order = world.shop.orders.get(all_).noun
    refund(world.shop, all_, refunds.whole(order, ""), manual=True)
    if how == "gateway cannot":
        world.sandbox._capabilities = PROFILES["neither"]
    else:
        refuses.add(coffee)
    told(world)
    told(world)
    assert given(world) == {}
    [words] = logs(world, oid)
    assert words.startswith(f"Order {coffee} could not be given back (17.95 USD): ")
    [problem] = problems(world)
    assert (problem.about, problem.code) == (f"order#{coffee}", "not_given_back")
    assert world.due("events") == []


def test_an_outcome_that_is_not_known_is_found_out_and_never_given_back_twice() -> None:
    hidden = {"timeout_after_capture"}
    world = opened(Relayed(behave_back=lambda key, posts: "timeout_after_capture" if hidden else None))
    all_, _ = bought(world, "ALL")
    coffee, oid = bought(world, "COFFEE")
    tea, _ = bought(world, "TEA")
    refund(world.shop, all_, refunds.whole(world.shop.orders.get(all_).noun, ""), manual=True)
    told(world)
    assert logs(world, oid) == []
    assert world.shop.orders.read(coffee)[1].attempt, "it stands open"  # type: ignore[union-attr]
    hidden.clear()
    world.travel(1)
    for _ in range(3):
        world.come_again()
    assert given(world) == {coffee: Decimal("17.95"), tea: Decimal("9.50")}
    assert logs(world, oid) == [f"Order {coffee} was given back: 17.95 USD."]
    assert world.due("events") == []


def test_a_refund_that_was_not_sent_is_tried_again_for_a_day_and_then_told() -> None:
    world = opened(Relayed(behave_back=lambda key, posts: "not_sent"))
    all_, _ = bought(world, "ALL")
    _, oid = bought(world, "COFFEE")
    refund(world.shop, all_, refunds.whole(world.shop.orders.get(all_).noun, ""), manual=True)
    for _ in range(4):
        world.come_again()
    assert (problems(world), logs(world, oid)) == ([], [])
    world.clock.pass_(hours=24)
    told(world)
    assert [problem.code for problem in problems(world)] == ["not_given_back"]


def test_more_than_one_visit_takes_are_refunded_by_the_next() -> None:
    world = opened()
    all_, _ = bought(world, "ALL")
    count = customers_auto_orders.MOST_AT_ONCE + 3
    for _ in range(count):
        bought(world, "TEA")
    give_back(world, all_)
    told(world)
    assert len(given(world)) == customers_auto_orders.MOST_AT_ONCE + 1
    world.come_again()
    told(world)
    assert len(given(world)) == count + 1


def test_an_event_that_is_told_again_gives_back_nothing_more() -> None:
    world = opened()
    all_, _ = bought(world, "ALL")
    coffee, oid = bought(world, "COFFEE")
    give_back(world, all_)
    told(world)
    before = len(world.sandbox.refunds())
    refunded = f"refunded#{world.sandbox.refunds()[0].key}"
    for subject, transition in (
        (f"auto_order#{oid}", f"given_back_with#{all_}"),
        (f"order#{all_}", refunded),
    ):
        name = event_id(MERCHANT, subject, transition)
        event = world.shop.events.find(name)
        assert event
        world.shop.write(world.shop.events.happened(event[0]))
        assert tell(world.shop, name)
    assert len(world.sandbox.refunds()) == before
    assert given(world)[coffee] == Decimal("17.95")
    assert len(logs(world, oid)) == 1


# --- a cut at every call ---------------------------------------------------------------------------------------------


@cache
def a_refund_to_tell() -> tuple[World, str, list[tuple[str, int]]]:
    """A shop in which an item was refunded that refunds two other auto orders, and nobody has been told of it."""
    world = opened(Relayed(port=SqliteTables()))
    all_, _ = bought(world, "ALL")
    others = [bought(world, "COFFEE"), bought(world, "TEA", schedule="Weekly")]
    give_back(world, all_)
    return world, all_, others


def refunded_with_cuts(profile: str, *cuts: tuple[int, Side]) -> Scissors:
    """The relay tells of a refund that refunds two other auto orders, is cut, and comes again."""
    scissors = Scissors()
    made, all_, others = a_refund_to_tell()
    world = cloned(
        made,
        lambda tables: CutPort(tables, scissors),
        lambda sandbox: CutGateway(sandbox, scissors),
        Relayed,
        capabilities=PROFILES[profile],
    )
    scissors.arm(*cuts)
    calls = 0
    for _ in range(2):
        for act in (world.tell_all, world.tell_all, world.tell_all):
            _told_or_cut(act)
        # Whatever was cut, the next round mends; only the first one is of interest.
        calls = calls or scissors.calls
    reached = scissors.reached
    scissors.arm()
    world.travel(3, twice=True)
    for _ in range(3):
        world.come_again()
    assert given(world) == {all_: Decimal("5.00"), others[0][0]: Decimal("17.95"), others[1][0]: Decimal("9.50")}, cuts
    for order_id, oid in others:
        order, head = world.shop.orders.read(order_id)
        assert refunds.is_whole(order.noun), cuts
        assert head, cuts
        assert head.attempt is None, cuts
        assert len(logs(world, oid)) == 1, cuts
    assert (world.due("events"), problems(world)) == ([], []), cuts
    scissors.reached, scissors.calls = reached, calls
    return scissors


def _told_or_cut(act: Callable[[], None]) -> None:
    try:
        act()
    except Crash:
        return


@pytest.mark.parametrize(("profile", "each"), [("full", 1), ("lookup", 4)])
def test_a_cut_at_any_call_of_the_relay_gives_each_back_once(profile: str, each: int) -> None:
    clean = refunded_with_cuts(profile)
    numbers = range(1, clean.calls + 1, each)
    cut = sum(refunded_with_cuts(profile, (number, side)).reached for number in numbers for side in SIDES)
    print(f"a refund that refunds others, {profile}: {cut} cuts of {clean.calls} calls, each given back once")
    assert cut == len(numbers) * len(SIDES)
