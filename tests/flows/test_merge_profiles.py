"""Two profiles become one: nothing is lost, nothing is done twice, wherever it is cut and however often it comes."""

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import Contended, Invalid, NotFound
from chalicelib.domain.loyalty import LoyaltyProgram
from chalicelib.domain.orders import Order, OrderBilling, OrderItem, OrderPayment, OrderPaymentCreditCard
from chalicelib.flows import gift_certificates, ledgers, merge_profiles, place_order, profiles, reward, show_profile
from chalicelib.flows.configure import configure
from chalicelib.flows.purchase import pay
from chalicelib.flows.tell import tell
from chalicelib.stores.sqlite import SqliteTables
from tests.cutting import SIDES, Crash, CutPort, Scissors, Side
from tests.worlds import World

ADA, BYRON = "ada@example.com", "byron@example.com"
REWARD = {"loyalty_reward_id": "FIVE", "active": True, "points": 5, "reward_type": "gift_certificate", "amount": 5}
SKU = [{"software_sku": "TYPE-9", "activation_code": "A-1"}]


def opened(world: World | None = None) -> World:
    world = (world or World()).open()
    program = {"active": True, "points_per_dollar": 1, "rewards": [REWARD]}
    configure(world.shop, LoyaltyProgram, program)
    return world


def profile(world: World, email: str, **more: Any) -> int:
    return profiles.insert_customer(world.shop, {"email": email, **more})[0].customer_profile_oid or 0


def bought(world: World, email: str, schedule: Any = None) -> str:
    order = Order(
        items=[OrderItem(merchant_item_id="COFFEE", quantity=Decimal(1), auto_order_schedule=schedule)],
        billing=OrderBilling(email=email, country_code="US"),
        payment=OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=world.card())),
    )
    order_id = place_order.place(world.shop, order, by_shopper=False).noun.order_id or ""
    pay(world.shop, order_id)
    world.tell_all()
    return order_id


class Two:
    """Ada, who bought, subscribed, was rebilled, earned, redeemed and has credit; and Byron, who has a little."""

    def __init__(self, world: World | None = None) -> None:
        self.world = opened(world)
        world = self.world
        self.early = bought(world, ADA)
        self.ada = profile(world, ADA, password="three words apart", software_entitlements=SKU)
        self.once = bought(world, ADA)
        self.original = bought(world, ADA, "Monthly")
        self.oid = world.shop.auto_orders.oid_by_original_order(self.original) or 0
        self.byron = profile(world, BYRON, software_entitlements=SKU)
        gift_certificates.add_store_credit(world.shop, self.ada, {"amount": 7}, by="ada")
        gift_certificates.add_store_credit(world.shop, self.byron, {"amount": 2}, by="ada")
        reward.redeem(world.shop, self.ada, {"loyalty_reward_id": "FIVE"}, by="ada")

    def merge(self) -> None:
        profiles.merge_customer(self.world.shop, self.byron, {"customer_profile_oid": self.ada}, by="bob")

    def check(self) -> None:
        """All of Ada's is Byron's, once, and she is gone."""
        shop = self.world.shop
        assert shop.customers.find(self.ada) is None
        assert shop.customer_passwords.find(self.ada) is None
        assert shop.customers.name_by("email", ADA) is None
        assert shop.merges.find(self.byron) is None
        byron: Customer = shop.customers.get(self.byron).noun
        assert [one.software_sku for one in byron.software_entitlements or []] == ["TYPE-9", "TYPE-9"]
        oids = {one.customer_software_entitlement_oid for one in byron.software_entitlements or []}
        assert len(oids) == 2
        orders = show_profile.orders_of(shop, byron)
        assert {self.early, self.once, self.original} <= {order.order_id for order in orders}
        assert {order.customer_profile_oid for order in orders} == {self.byron}
        assert shop.auto_orders.read(self.oid)[0].noun.customer_profile_oid == self.byron
        assert gift_certificates.store_credit(shop, self.byron).available == 9
        found = reward.of_customer(shop, self.byron)
        assert found.current_points == int(Decimal("17.95")) * 2 - 5
        assert len(found.redemptions or []) == 1
        for name in (reward.points_id(self.ada), reward.points_id(self.byron)):
            assert ledgers.verify(shop, name) == []


@pytest.fixture
def two() -> Two:
    return Two()


def problems(act: Callable[[], Any]) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as found:
        act()
    return [(problem.pointer, problem.code) for problem in found.value.problems]


def test_all_that_belongs_to_a_profile_goes_to_the_one_that_stays(two: Two) -> None:
    two.merge()
    two.check()


def test_its_auto_orders_go_on_and_earn_for_the_one_that_stays(two: Two) -> None:
    two.merge()
    two.world.travel(40)
    orders = two.world.rebills(two.oid)
    assert [order.customer_profile_oid for order in orders] == [two.byron]
    assert reward.of_customer(two.world.shop, two.byron).current_points == 17 * 3 - 5
    two.world.check(two.oid)


def test_rebills_that_were_made_before_move_too(two: Two) -> None:
    two.world.travel(40)
    two.merge()
    assert {order.customer_profile_oid for order in two.world.rebills(two.oid)} == {two.byron}
    shown = show_profile.orders_of(two.world.shop, two.world.shop.customers.get(two.byron).noun)
    assert f"{two.original}-001" in {order.order_id for order in shown}


def test_by_the_address_as_well_and_both_must_be_of_one_profile(two: Two) -> None:
    shop, oid = two.world.shop, two.byron
    wrong = {"customer_profile_oid": two.byron, "email": ADA}
    assert problems(lambda: profiles.merge_customer(shop, oid, wrong)) == [("/email", "conflict")]
    profiles.merge_customer(shop, oid, {"customer_profile_oid": two.ada, "email": "ADA@example.com"}, by="bob")
    two.check()


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({}, ("", "required")),
        ({"email": "nobody@example.com"}, ("/email", "unknown")),
        ({"customer_profile_oid": 77}, ("/customer_profile_oid", "unknown")),
        ({"email": BYRON}, ("/email", "conflict")),
    ],
)
def test_what_cannot_be_merged_is_refused_and_leaves_nothing(two: Two, asked: Any, problem: tuple[str, str]) -> None:
    before = two.world.tables._db.execute("select count(*) from record").fetchone()  # type: ignore[attr-defined]
    assert problems(lambda: profiles.merge_customer(two.world.shop, two.byron, asked)) == [problem]
    after = two.world.tables._db.execute("select count(*) from record").fetchone()  # type: ignore[attr-defined]
    assert before == after


def test_a_profile_does_not_go_into_itself(two: Two) -> None:
    asked = {"customer_profile_oid": two.byron}
    assert problems(lambda: profiles.merge_customer(two.world.shop, two.byron, asked)) == [
        ("/customer_profile_oid", "conflict")
    ]


def test_nothing_goes_into_a_profile_that_is_not_there(two: Two) -> None:
    with pytest.raises(NotFound):
        profiles.merge_customer(two.world.shop, 77, {"customer_profile_oid": two.ada})


def test_the_same_request_again_does_nothing_more(two: Two) -> None:
    for _ in range(3):
        two.merge()
        two.world.tell_all()
    two.check()


def test_a_merge_of_a_merge(two: Two) -> None:
    two.merge()
    world = two.world
    carl = profile(world, "carl@example.com")
    profiles.merge_customer(world.shop, carl, {"customer_profile_oid": two.byron}, by="bob")
    late = bought(world, "carl@example.com")
    two.byron, two.ada = carl, two.byron
    shop = world.shop
    orders = show_profile.orders_of(shop, shop.customers.get(carl).noun)
    assert {two.early, two.once, two.original, late} == {order.order_id for order in orders}
    assert {order.customer_profile_oid for order in orders} == {carl}
    assert gift_certificates.store_credit(shop, carl).available == 9
    found = reward.of_customer(shop, carl)
    assert (found.current_points, len(found.redemptions or [])) == (17 * 3 - 5, 1)


def test_while_one_merge_lasts_neither_profile_takes_part_in_another_or_is_deleted(two: Two) -> None:
    shop = two.world.shop
    carl = profile(two.world, "carl@example.com")
    name, _ = merge_profiles.begin(shop, two.byron, {"customer_profile_oid": two.ada}, by="bob")
    for target, source in ((carl, two.ada), (carl, two.byron), (two.byron, carl), (two.ada, carl)):
        with pytest.raises(Contended, match="being merged"):
            merge_profiles.begin(shop, target, {"customer_profile_oid": source}, by="bob")
    with pytest.raises(Contended, match="being merged"):
        profiles.delete_customer(shop, two.byron)
    tell(shop, name)
    two.check()
    merge_profiles.begin(shop, two.byron, {"customer_profile_oid": carl}, by="bob")


def test_without_time_the_next_visit_goes_on(two: Two) -> None:
    two.world.time_left = lambda: 5.0
    two.merge()
    assert two.world.shop.customers.find(two.ada) is not None
    two.world.time_left = lambda: 60.0
    two.world.tell_all()
    two.check()


def test_what_a_payment_holds_is_waited_for(two: Two) -> None:
    shop, name = two.world.shop, reward.points_id(two.ada)
    shop.write(*ledgers.holding(shop, name, "key", Decimal(5)))
    two.merge()
    assert shop.customers.find(two.ada) is not None
    shop.write(*ledgers.releasing(shop, name, "key"))
    two.world.tell_all()
    two.check()


def test_an_order_that_is_placed_in_the_middle_moves_too(two: Two) -> None:
    shop = two.world.shop
    name, _ = merge_profiles.begin(shop, two.byron, {"customer_profile_oid": two.ada}, by="bob")
    late = bought(two.world, ADA)
    tell(shop, name)
    two.world.tell_all()
    assert shop.orders.get(late).noun.customer_profile_oid == two.byron
    assert reward.of_customer(shop, two.byron).current_points == 17 * 3 - 5


def cut_two() -> tuple[Two, Scissors]:
    scissors = Scissors()
    two = Two(World(port=CutPort(SqliteTables(), scissors)))  # type: ignore[arg-type]
    scissors.arm()
    return two, scissors


@pytest.mark.parametrize("side", SIDES)
def test_cut_at_every_call_it_goes_on_and_loses_nothing(side: Side) -> None:
    # A read that is cut before or after is the same place; one whose answer is lost is none.
    two, scissors = cut_two()
    two.merge()
    names = list(scissors.names)
    places = [at for at, name in enumerate(names, start=1) if name == "write" or side == "before"]
    for place in places:
        two, scissors = cut_two()
        scissors.arm((place, side))
        with suppress(Crash):
            two.merge()
        scissors.arm()
        two.merge()
        two.world.tell_all()
        two.check()
