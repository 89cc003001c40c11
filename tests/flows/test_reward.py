"""The loyalty programme at work: orders, rebills, refunds, people and rewards."""

import itertools
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import refunds
from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.domain.events import Event
from chalicelib.domain.gift_certificates import ledger_id
from chalicelib.domain.ledgers import oid_of
from chalicelib.domain.loyalty import LoyaltyProgram
from chalicelib.domain.money import Currency
from chalicelib.domain.orders import Order, OrderSummary
from chalicelib.flows import gift_certificates, ledgers, profiles, refund, reward
from chalicelib.flows.configure import configure
from chalicelib.flows.sweep import sweep
from chalicelib.flows.tell import tell
from chalicelib.stores.sqlite import SqliteTables
from tests.bench.counting import LINES, a_world_with_three_lines, taken
from tests.cutting import SIDES, Crash, CutPort, Scissors
from tests.worlds import World

ADA = "ada@example.com"
TIERS = [{"name": "Silver", "qualify_purchase_amount": 17, "qualify_within_days": 30, "points_per_dollar": 2}]


def a_world(**program: Any) -> tuple[World, int]:
    """A shop with a programme and a customer, Ada, who buys there."""
    world = World().open()
    run(world, **program)
    customer, _ = profiles.insert_customer(world.shop, {"email": ADA})
    world.tell_all()
    return world, customer.customer_profile_oid or 0


def run(world: World, **program: Any) -> None:
    configure(world.shop, LoyaltyProgram, {"active": True, "points_per_dollar": 1, **program})
    world.house.memory.clear()


def points(world: World, oid: int) -> tuple[int, int]:
    """(current, pending)"""
    ledger = ledgers.current(world.shop, reward.points_id(oid))
    return int(ledger.balance), int(ledger.coming())


def bought(world: World, item: str = "COFFEE") -> str:
    """A paid order that everybody was told of."""
    order_id = world.order({item: None})
    world.tell_all()
    return order_id


def give_back(world: World, order_id: str, total: str) -> None:
    order = world.shop.orders.get(order_id).noun
    wanted = refunds.asked(order, Order(summary=OrderSummary(total_refunded=Currency(total))))
    refund.refund(world.shop, order_id, wanted)


def sweep_all(world: World) -> None:
    sweep(world.backroom)
    for _, message in world.queue.take():
        if message.get("kind") == "ledger":
            ledgers.post_due(world.shop, message["id"])


# --- earning ---------------------------------------------------------------------------------------------------------


def test_a_paid_order_earns_once_however_often_it_is_told() -> None:
    world, oid = a_world()
    order_id = world.order({"COFFEE": None})
    events = [row.subject for row in world.due("events")]
    world.tell_all()
    for name in events * 3:
        found = world.shop.events.find(name)
        assert found is not None
        reward.earn(world.shop, found[0])
    assert points(world, oid) == (17, 0)
    assert [entry.posting.order_id for entry in world.shop.ledgers.entries(reward.points_id(oid), limit=9)[0]] == [
        order_id
    ]


def test_every_rebill_earns() -> None:
    world, oid = a_world()
    auto_order = world.subscribe()
    world.travel(92)
    assert len(world.rebills(auto_order)) == 3
    assert points(world, oid) == (17 * 4, 0)
    assert ledgers.verify(world.shop, reward.points_id(oid)) == []


def test_an_order_that_is_not_paid_earns_nothing() -> None:
    world, oid = a_world()
    world.place({"COFFEE": None})
    world.tell_all()
    assert points(world, oid) == (0, 0)


def test_without_a_profile_nothing_is_earned() -> None:
    world = World().open()
    run(world)
    order_id = bought(world)
    assert world.shop.ledgers.earned(order_id) is None


def test_without_a_programme_nothing_is_kept_and_what_was_earned_stays() -> None:
    world, oid = a_world()
    bought(world)
    configure(world.shop, LoyaltyProgram, {"active": False})
    world.house.memory.clear()
    bought(world)
    assert points(world, oid) == (17, 0)
    with pytest.raises(Invalid, match="Loyalty is not available"):
        reward.of_customer(world.shop, oid)
    with pytest.raises(Invalid, match="Loyalty is not available"):
        reward.adjust(world.shop, oid, {"loyalty_points": 5, "description": "x"}, by="eve")
    run(world)
    assert reward.of_customer(world.shop, oid).current_points == 17


def test_a_new_profile_is_welcomed_once() -> None:
    world, oid = a_world(signup_points=50)
    assert points(world, oid) == (50, 0)
    profiles.update_customer(world.shop, oid, {"fax": "1"})
    world.tell_all()
    assert points(world, oid) == (50, 0)


def test_points_vest_on_their_day_and_expire_after_theirs() -> None:
    world, oid = a_world(vesting_days=14, expiration_days=30)
    bought(world)
    assert points(world, oid) == (0, 17)
    world.clock.pass_(days=14)
    sweep_all(world)
    assert points(world, oid) == (17, 0)
    world.clock.pass_(days=16)
    sweep_all(world)
    assert points(world, oid) == (17, 0)
    world.clock.pass_(days=1)
    sweep_all(world)
    assert points(world, oid) == (0, 0)
    found = world.shop.ledgers.entries(reward.points_id(oid), limit=9)[0]
    assert [entry.posting.type for entry in found] == ["Expired", "Earned"]


def test_a_tier_counts_what_was_bought_and_not_given_back() -> None:
    world, oid = a_world(tiers=TIERS)
    first = bought(world)
    bought(world)
    assert points(world, oid) == (17 + 35, 0)
    shown = reward.of_customer(world.shop, oid)
    assert (shown.loyalty_tier_name, str(shown.loyalty_tier_expiration_dts)[:10]) == ("Silver", "2027-03-02")
    give_back(world, first, "17.95")
    world.tell_all()
    assert reward.of_customer(world.shop, oid).loyalty_tier_name == "Silver"
    world.clock.pass_(days=30)
    assert reward.of_customer(world.shop, oid).loyalty_tier_name is None


# --- refunds ---------------------------------------------------------------------------------------------------------


def test_a_refund_takes_back_exactly_its_share() -> None:
    world, oid = a_world(points_per_dollar=10)
    order_id = bought(world)
    assert points(world, oid) == (179, 0)
    give_back(world, order_id, "8.975")
    world.tell_all()
    assert points(world, oid) == (89, 0)
    give_back(world, order_id, "17.95")
    world.tell_all()
    assert points(world, oid) == (0, 0)
    assert ledgers.verify(world.shop, reward.points_id(oid)) == []


def test_a_refund_of_what_is_vesting_withdraws_it() -> None:
    world, oid = a_world(vesting_days=14)
    order_id = bought(world)
    give_back(world, order_id, "17.95")
    world.tell_all()
    assert points(world, oid) == (0, 0)
    world.clock.pass_(days=20)
    sweep_all(world)
    assert points(world, oid) == (0, 0)


def test_who_buys_redeems_and_gives_back_owes_the_points() -> None:
    world, oid = a_world(rewards=[{"loyalty_reward_id": "FIVE", "points": 15, "amount": 5, "active": True}])
    order_id = bought(world)
    reward.redeem(world.shop, oid, {"loyalty_reward_id": "FIVE"}, by="ada")
    give_back(world, order_id, "17.95")
    world.tell_all()
    assert points(world, oid) == (-15, 0)
    bought(world)
    assert points(world, oid) == (2, 0)


def test_a_refund_that_is_told_of_before_the_payment_earns_nothing() -> None:
    world, oid = a_world()
    order_id = world.order({"COFFEE": None})
    give_back(world, order_id, "17.95")
    for row in reversed(world.due("events")):
        tell(world.shop, row.subject)
    world.tell_all()
    assert points(world, oid) == (0, 0)


def test_a_refund_takes_back_though_the_programme_has_ended_or_changed() -> None:
    for change in ({"active": False}, {"reward_type": "cashback", "cashback_rate": 5}):
        world, oid = a_world()
        order_id = bought(world)
        configure(world.shop, LoyaltyProgram, change)
        world.house.memory.clear()
        give_back(world, order_id, "17.95")
        world.tell_all()
        assert points(world, oid) == (0, 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 1795), st.integers(0, 9)), max_size=10),
    st.sampled_from([0, 5]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_orders_and_refunds_in_any_order_leave_what_stands(
    told: list[tuple[int, int, int]], vesting: int, cashback: bool, chance: Any
) -> None:
    said: dict[str, Any] = {"points_per_dollar": 3, "vesting_days": vesting}
    world, oid = a_world(**said, **({"reward_type": "cashback", "cashback_rate": 7} if cashback else {}))
    orders = [world.order({"COFFEE": None}) for _ in range(4)]
    refunded = dict.fromkeys(orders, Decimal(0))
    for number, cents, days in told:
        total = Decimal(cents) / 100
        if total > refunded[orders[number]]:
            give_back(world, orders[number], str(total))
            refunded[orders[number]] = total
        rows = world.due("events")
        chance.shuffle(rows)
        for row in rows[: chance.randint(0, len(rows))]:
            found = world.shop.events.find(row.subject)
            if found and chance.random() < 0.3:
                reward.earn(world.shop, found[0])
            tell(world.shop, row.subject)
        world.clock.pass_(days=days)
        sweep_all(world)
    world.tell_all()
    world.clock.pass_(days=30)
    sweep_all(world)
    whole, coin = (Decimal("1.25"), Decimal("0.01")) if cashback else (Decimal(53), Decimal(1))
    stays = [whole * (Decimal("17.95") - total) / Decimal("17.95") // coin * coin for total in refunded.values()]
    name = reward.points_id(oid)
    if cashback:
        name = ledger_id(gift_certificates.internal_oid(world.shop, oid) or 0)
    assert ledgers.current(world.shop, name).balance == sum(stays)
    assert ledgers.verify(world.shop, name) == []


# --- cashback --------------------------------------------------------------------------------------------------------


def test_cashback_goes_to_the_internal_certificate_which_is_the_store_credit() -> None:
    world, oid = a_world(reward_type="cashback", cashback_rate=10)
    order_id = bought(world)
    shown = reward.of_customer(world.shop, oid)
    assert (shown.current_points, shown.internal_gift_certificate_balance) == (0, "1.79")
    gift_certificates.add_store_credit(world.shop, oid, {"amount": 5}, by="ada")
    credit = gift_certificates.store_credit(world.shop, oid)
    assert (credit.available, credit.total) == (Decimal("6.79"), Decimal("6.79"))
    give_back(world, order_id, "17.95")
    world.tell_all()
    assert gift_certificates.store_credit(world.shop, oid).available == 5


def test_store_credit_vests_and_expires_and_says_so() -> None:
    world, oid = a_world()
    asked = {"amount": 10, "description": "Sorry", "vesting_days": 5, "expiration_days": 20}
    gift_certificates.add_store_credit(world.shop, oid, asked, by="ada")
    credit = gift_certificates.store_credit(world.shop, oid)
    assert (credit.available, credit.vesting, credit.expiring) == (0, 10, 0)
    assert [line.action for line in credit.future_ledgers] == ["Vesting"]
    world.clock.pass_(days=5)
    credit = gift_certificates.store_credit(world.shop, oid)
    assert (credit.available, credit.vesting, credit.expiring, credit.total) == (10, 0, 10, 10)
    assert [line.action for line in credit.future_ledgers] == ["Expiring"]
    world.clock.pass_(days=16)
    credit = gift_certificates.store_credit(world.shop, oid)
    assert (credit.available, credit.expiring, credit.total) == (0, 0, 10)
    assert [line.amount for line in credit.past_ledgers] == [10, -10]


# --- by hand ---------------------------------------------------------------------------------------------------------

GOODWILL = {"type": "Credit", "description": "Goodwill", "loyalty_points": 40, "notes": "parcel was late"}


def test_a_manual_entry_is_in_the_past_ledger_at_once_and_says_who_made_it() -> None:
    world, oid = a_world()
    after = reward.enter(world.shop, oid, GOODWILL, by="ada")
    assert (after.current_points, after.saved) == (40, True)
    entry = world.shop.ledgers.entries(reward.points_id(oid), limit=1)[0][0]
    assert (entry.posting.by, entry.posting.notes, entry.oid()) == ("ada", "parcel was late", after.loyalty_ledger_oid)


def test_a_rehearsal_says_the_balance_and_saves_nothing() -> None:
    world, oid = a_world()
    after = reward.enter(world.shop, oid, GOODWILL, by="ada", dry_run=True)
    assert (after.current_points, after.saved, after.loyalty_ledger_oid) == (40, False, None)
    assert points(world, oid) == (0, 0)
    with pytest.raises(Invalid, match="40 is more than the 0"):
        reward.enter(world.shop, oid, GOODWILL | {"type": "Debit", "loyalty_points": -40}, by="ada", dry_run=True)


def test_the_same_key_posts_once() -> None:
    world, oid = a_world()
    for _ in range(3):
        after = reward.enter(world.shop, oid, GOODWILL, by="ada", key="k1")
        assert after.current_points == 40
    reward.enter(world.shop, oid, GOODWILL, by="ada", key="k2")
    assert points(world, oid) == (80, 0)


def test_an_entry_of_a_day_to_come_waits_for_it_or_is_withdrawn() -> None:
    world, oid = a_world()
    later = {**GOODWILL, "ledger_dts": "2027-02-10T09:00:00-05:00"}
    first = reward.enter(world.shop, oid, later, by="ada")
    second = reward.enter(world.shop, oid, later, by="ada")
    assert points(world, oid) == (0, 80)
    after = reward.withdraw(world.shop, oid, second.loyalty_ledger_oid or 0, by="bob")
    assert after.pending_points == 40
    with pytest.raises(NotFound):
        reward.withdraw(world.shop, oid, second.loyalty_ledger_oid or 0, by="bob")
    world.clock.pass_(days=11)
    sweep_all(world)
    assert points(world, oid) == (40, 0)
    told = [(e.posting.type, e.posting.by) for e in world.shop.ledgers.entries(reward.points_id(oid), limit=9)[0]]
    assert told == [("Credit", "ada"), ("Withdrawn", "bob")]
    assert first.loyalty_ledger_oid != second.loyalty_ledger_oid


def test_what_an_order_earned_is_not_withdrawn_by_hand() -> None:
    world, oid = a_world(vesting_days=9)
    bought(world)
    waiting = ledgers.current(world.shop, reward.points_id(oid)).pending[0].posting.cause
    with pytest.raises(Invalid, match="refund the order"):
        reward.withdraw(world.shop, oid, oid_of(reward.points_id(oid), waiting), by="bob")


def test_a_person_takes_more_than_there_is_only_where_the_merchant_allows_it() -> None:
    debit = {"type": "Debit", "description": "Fraud", "loyalty_points": -5}
    world, oid = a_world()
    with pytest.raises(Invalid, match="5 is more than the 0"):
        reward.enter(world.shop, oid, debit, by="ada")
    run(world, allow_negative_balance=True)
    assert reward.enter(world.shop, oid, debit, by="ada").current_points == -5


def test_an_adjustment_vests_by_the_programme_unless_it_says_otherwise() -> None:
    world, oid = a_world(vesting_days=7)
    after = reward.adjust(world.shop, oid, {"loyalty_points": 10, "description": "x"}, by="ada")
    assert (after.current_points, after.pending_points, after.loyalty_points) == (0, 10, 10)
    asked = {"loyalty_points": 10, "description": "x", "vesting_days": 0}
    assert reward.adjust(world.shop, oid, asked, by="ada").current_points == 10
    asked = {"loyalty_points": -10, "description": "x"}
    assert reward.adjust(world.shop, oid, asked, by="ada").current_points == 0


# --- rewards ---------------------------------------------------------------------------------------------------------

FIVE = {"loyalty_reward_id": "FIVE", "points": 15, "amount": 5, "active": True, "expiration_days": 30}


def test_points_become_a_gift_certificate_once() -> None:
    world, oid = a_world(rewards=[FIVE, FIVE | {"loyalty_reward_id": "OLD", "active": False}])
    bought(world)
    asked = {"loyalty_reward_id": "FIVE"}
    made = [reward.redeem(world.shop, oid, asked, by="ada", key="k") for _ in range(3)]
    assert len({one.gift_certificate_code for one in made}) == 1
    certificate = gift_certificates.by_code(world.shop, made[0].gift_certificate_code).noun
    assert gift_certificates.shown(world.shop, certificate).remaining_balance == 5
    assert str(certificate.expiration_dts) == "2027-03-03T05:00:00Z"
    assert points(world, oid) == (2, 0)
    with pytest.raises(Invalid, match="15 is more than the 2"):
        reward.redeem(world.shop, oid, asked, by="ada")
    with pytest.raises(Invalid, match="these are: FIVE"):
        reward.redeem(world.shop, oid, {"loyalty_reward_id": "OLD"}, by="ada")
    shown = reward.of_customer(world.shop, oid).redemptions or []
    assert [(one.loyalty_points, one.remaining_balance) for one in shown] == [(15, 5)]


# --- profiles that become one ----------------------------------------------------------------------------------------


def test_a_merge_moves_everything_once_and_what_is_still_to_come_follows() -> None:
    world, old = a_world(points_per_dollar=10, vesting_days=5, expiration_days=60, tiers=TIERS)
    first = bought(world)
    world.clock.pass_(days=5)
    second = bought(world)
    gift_certificates.add_store_credit(world.shop, old, {"amount": 7}, by="ada")
    late = world.order({"COFFEE": None})
    new = profiles.insert_customer(world.shop, {"email": "byron@example.com"})[0].customer_profile_oid or 0
    reward.enter(world.shop, new, GOODWILL, by="ada")
    assert (points(world, old), points(world, new)) == ((179, 35), (40, 0))
    for _ in range(3):
        reward.merge(world.shop, old, new, by="bob")
    assert (points(world, old), points(world, new)) == ((0, 0), (219, 35))
    assert gift_certificates.store_credit(world.shop, old).available == 0
    assert gift_certificates.store_credit(world.shop, new).available == 7
    assert reward.of_customer(world.shop, new).loyalty_tier_name == "Silver"

    kept = world.shop.customers.get(old)
    world.shop.write(world.shop.customers.removed(old, kept.version))
    world.tell_all()
    assert world.shop.ledgers.earned(late) is not None
    assert points(world, new) == (219, 70)
    give_back(world, first, "17.95")
    give_back(world, second, "17.95")
    world.tell_all()
    assert points(world, new) == (40, 35)
    world.clock.pass_(days=5)
    sweep_all(world)
    assert points(world, new) == (75, 0)
    for oid in (old, new):
        assert ledgers.verify(world.shop, reward.points_id(oid)) == []


def test_a_balance_that_a_payment_holds_is_not_merged() -> None:
    world, old = a_world(signup_points=50)
    new = profiles.insert_customer(world.shop, {"email": "byron@example.com"})[0].customer_profile_oid or 0
    world.shop.write(*ledgers.holding(world.shop, reward.points_id(old), "key", Decimal(5)))
    with pytest.raises(Invalid, match="a payment holds"):
        reward.merge(world.shop, old, new, by="bob")
    world.shop.write(*ledgers.releasing(world.shop, reward.points_id(old), "key"))
    reward.merge(world.shop, old, new, by="bob")
    assert points(world, new) == (100, 0)


# --- cuts ------------------------------------------------------------------------------------------------------------


def acts(world: World, oid: int, event: Event) -> dict[str, Callable[[], Any]]:
    """What may be cut, each as it would be called again."""
    entry = {"type": "Credit", "description": "x", "loyalty_points": 3}
    return {
        "earn": lambda: reward.earn(world.shop, event),
        "enter": lambda: reward.enter(world.shop, oid, entry, by="ada", key="k"),
        "redeem": lambda: reward.redeem(world.shop, oid, {"loyalty_reward_id": "FIVE"}, by="ada", key="k"),
    }


@pytest.mark.parametrize(
    ("what", "cashback"),
    [
        ("earn", False),
        ("earn", True),
        ("enter", False),
        ("redeem", False),
    ],
)
def test_a_cut_at_any_call_leaves_all_or_nothing_and_the_next_try_mends_it(what: str, cashback: bool) -> None:
    said: dict[str, Any] = {"rewards": [FIVE], "signup_points": 40, "tiers": TIERS}
    expected, cuts = None, 0
    for number in itertools.count(0):
        for side in SIDES if number else ("before",):
            scissors = Scissors()
            world = World(port=CutPort(SqliteTables(), scissors)).open()  # type: ignore[arg-type]  # speaks the port
            run(world, **said)
            oid = profiles.insert_customer(world.shop, {"email": ADA})[0].customer_profile_oid or 0
            if cashback:
                run(world, reward_type="cashback", cashback_rate=5)
            world.order({"COFFEE": None})
            paid = [found[0] for row in world.due("events") if (found := world.shop.events.find(row.subject))]
            event = next(one for one in paid if one.happenings[0].name == "order_payment_process")
            act = acts(world, oid, event)[what]
            scissors.arm((number, side))
            with suppress(Crash):
                act()
            reached = scissors.reached
            scissors.arm()
            act()
            names = [reward.points_id(oid)]
            if cashback:
                names.append(ledger_id(gift_certificates.internal_oid(world.shop, oid) or 0))
            stands = [
                (found.balance, found.available(), found.held(), found.seq)
                for found in (ledgers.current(world.shop, name) for name in names)
            ]
            assert all(not ledgers.verify(world.shop, name) for name in names)
            expected = expected or stands
            assert stands == expected, f"cut {side} call {number}"
            assert len(world.shop.certificates.names()) == (what == "redeem")
            cuts += reached
        if number and not reached:
            break
    print(f"{what}{', cashback' if cashback else ''}: cut {cuts} times, all mended")


# --- what telling costs ----------------------------------------------------------------------------------------------


def test_telling_a_rebill_costs_nothing_without_a_programme_and_a_little_with_one() -> None:
    costs = {}
    for programme in ("none", "points", "points that vest and expire, by tiers", "cashback"):
        world, _ = a_world_with_three_lines()
        profiles.insert_customer(world.shop, {"email": ADA})
        more: dict[str, Any] = {
            "points": {},
            "points that vest and expire, by tiers": {
                "vesting_days": 14,
                "expiration_days": 365,
                "tiers": [{"name": "Silver", "qualify_purchase_amount": 100, "qualify_within_days": 90}],
            },
            "cashback": {"reward_type": "cashback", "cashback_rate": 5},
        }
        if programme != "none":
            run(world, **more[programme])
        auto_order = world.subscribe(LINES)
        world.tell_all()
        while not world.rebills(auto_order):
            due = world.head(auto_order).due_dts
            assert due is not None
            world.clock.go(due)
            world.visit(auto_order)
        order_id = world.rebills(auto_order)[0].order_id or ""
        event = next(
            found[0]
            for row in world.due("events")
            if (found := world.shop.events.find(row.subject)) and found[0].happenings[-1].id == order_id
        )
        taken(world.tables)
        reward.earn(world.shop, event)
        calls = taken(world.tables)
        costs[programme] = (sum(call.writes for call in calls), sum(call.reads for call in calls), len(calls))
        if programme != "none":
            assert world.shop.ledgers.earned(order_id) is not None
    for programme, (writes, reads, calls) in costs.items():
        print(f"a rebill earns, {programme}: {writes:g} write units, {reads:g} read units, {calls} calls")
    assert costs["none"] == (0, 0.5, 1)
    assert costs["points"][0] <= 8
    assert costs["points that vest and expire, by tiers"][0] <= 16
    assert costs["cashback"][0] <= 8
