"""A person is shown all that is kept about him, and forgotten: his orders and ledgers stay, without him."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.errors import Contended, Invalid, NotFound
from chalicelib.domain.loyalty import LoyaltyProgram
from chalicelib.domain.mails import password_mail
from chalicelib.domain.refunds import Refunded
from chalicelib.domain.wire import Form
from chalicelib.flows import edit, gift_certificates, ledgers, merge_profiles, privacy, profiles, reward
from chalicelib.flows.configure import configure
from chalicelib.flows.refund import refund
from chalicelib.stores.sqlite import SqliteTables
from tests.cutting import SIDES, Crash, CutPort, Scissors, Side
from tests.worlds import World

EMAIL = "ada@example.com"
FORM = Form(zone_name="America/New_York", currency_code="USD")
ADDRESS = {"first_name": "Ada", "last_name": "Byron", "city": "Marylebone", "day_phone": "212-555-0100"}
# What would tell who she is, wherever it stood.
TRACES = (EMAIL, "Ada", "Byron", "Marylebone", "212-555-0100", "10001", "XXXXXXXXXXXX1111")


class Ada:
    """A customer who ordered, subscribed, was rebilled, wrote to, earned, has credit, and has canceled."""

    def __init__(self, world: World | None = None) -> None:
        self.world = (world or World()).open()
        shop = self.world.shop
        configure(shop, LoyaltyProgram, {"active": True, "points_per_dollar": 1})
        more = {"password": "three words apart", "billing": [ADDRESS]}
        self.profile = profiles.insert_customer(shop, {"email": EMAIL} | more)[0].customer_profile_oid or 0
        self.once = self.world.order({"TEA": None})
        self.oid = self.world.subscribe()
        self.original = self.world.document(self.oid).original_order_id or ""
        gift_certificates.add_store_credit(shop, self.profile, {"amount": 7}, by="bob")
        gift_certificates.create(shop, {"amount": 5, "email": EMAIL}, by="bob")
        shop.write(shop.mails.planned(password_mail(self.profile, EMAIL, "word", shop.clock.now())))
        self.world.travel(40)
        edit.update(shop, self.oid, {"original_order": {"billing": {"city": "Marylebone"}}}, actor="key test")
        edit.cancel(shop, self.oid, by=EMAIL, by_customer=True)
        self.world.tell_all()

    def erase(self) -> None:
        profiles.erase_customer(self.world.shop, self.profile, by="bob")

    def kept(self) -> str:
        tables: Any = self.world.tables
        tables = getattr(tables, "_port", tables)
        rows = tables._db.execute("select name, body from record").fetchall()
        return "\n".join(f"{name} {body}" for name, body in rows if name not in ("configuration", "documents"))

    def check(self) -> None:
        # The pieces tell of themselves, so there is more to tell after the first round.
        for _ in range(3):
            self.world.tell_all()
        shop, kept = self.world.shop, self.kept()
        found = {trace: [row[:400] for row in kept.splitlines() if trace in row] for trace in TRACES}
        assert not any(found.values()), {trace: rows for trace, rows in found.items() if rows}
        assert shop.customers.find(self.profile) is None
        assert shop.customers.name_by("email", EMAIL) is None
        for order_id in (self.once, self.original, f"{self.original}-001"):
            order = shop.orders.get(order_id).noun
            assert order.billing is not None
            assert (order.billing.country_code, order.customer_profile_oid) == ("US", None)
            assert order.summary is not None
            assert order.summary.total
        assert int(ledgers.current(shop, reward.points_id(self.profile)).balance) > 0
        assert ledgers.verify(shop, reward.points_id(self.profile)) == []
        assert self.world.head(self.oid).status == "canceled"


@pytest.fixture
def ada() -> Ada:
    return Ada()


def test_a_person_is_shown_all_that_is_kept_about_him(ada: Ada) -> None:
    data, total = privacy.export(ada.world.shop, ada.profile, FORM, 2, 0)
    assert total == 3
    assert data["customer"]["email"] == EMAIL
    assert data["has_password"] is True
    assert "password" not in data["customer"]
    assert [order["order_id"] for order in data["orders"]] == [f"{ada.original}-001", ada.original]
    assert data["orders"][0]["billing"]["first_name"] == "Ada"
    assert [one["auto_order_oid"] for one in data["auto_orders"]] == [ada.oid]
    assert data["auto_orders"][0]["logs"]
    assert data["mails"][0]["email"] == EMAIL
    assert data["store_credit"]["available"] == 7
    assert data["gift_certificates"][0]["remaining_balance"] == 5
    assert data["loyalty"]["current_points"] > 0
    rest, _ = privacy.export(ada.world.shop, ada.profile, FORM, 2, 2)
    assert [order["order_id"] for order in rest["orders"]] == [ada.once]


def test_a_person_who_is_forgotten_leaves_no_trace_and_his_orders_and_ledgers_stay(ada: Ada) -> None:
    assert all(trace in ada.kept() for trace in TRACES), "there was something to forget"
    ada.erase()
    ada.check()


def test_what_was_bought_can_still_be_given_back(ada: Ada) -> None:
    ada.erase()
    refund(ada.world.shop, ada.once, Refunded(total=Decimal("9.50"), subtotal_refunded=Decimal("9.50")))
    order = ada.world.shop.orders.get(ada.once).noun
    assert order.summary is not None
    assert order.summary.total_refunded == order.summary.total


def test_who_asked_for_it_is_written_down_without_the_person(ada: Ada) -> None:
    name = privacy.begin(ada.world.shop, ada.profile, by="bob")
    event = ada.world.shop.events.find(name)
    assert event is not None
    assert event[0].erase is not None
    assert (event[0].erase.oid, event[0].erase.by) == (ada.profile, "bob")


def test_the_address_is_free_and_whoever_comes_by_it_is_somebody_else(ada: Ada) -> None:
    ada.erase()
    again = profiles.insert_customer(ada.world.shop, {"email": EMAIL})[0].customer_profile_oid or 0
    assert again != ada.profile
    data, total = privacy.export(ada.world.shop, again, FORM, 100, 0)
    assert (total, data["auto_orders"], data["gift_certificates"]) == (0, [], [])


def test_while_an_active_auto_order_is_his_nobody_is_forgotten() -> None:
    world = World().open()
    profile = profiles.insert_customer(world.shop, {"email": EMAIL})[0].customer_profile_oid or 0
    world.subscribe()
    with pytest.raises(Invalid) as found:
        profiles.erase_customer(world.shop, profile)
    assert [problem.code for problem in found.value.problems] == ["active_auto_orders"]


def test_what_belongs_to_another_profile_stays_as_it_is(ada: Ada) -> None:
    shop = ada.world.shop
    kept = shop.orders.get(ada.once)
    kept.noun.customer_profile_oid = 77
    shop.write(shop.orders.edited(kept.noun, kept.version))
    ada.erase()
    billing = shop.orders.get(ada.once).noun.billing
    assert billing is not None
    assert billing.email == EMAIL


def test_a_profile_that_is_being_merged_is_not_forgotten_meanwhile(ada: Ada) -> None:
    shop = ada.world.shop
    other = profiles.insert_customer(shop, {"email": "byron@example.com"})[0].customer_profile_oid or 0
    merge_profiles.begin(shop, other, {"customer_profile_oid": ada.profile}, by="bob")
    for oid in (other, ada.profile):
        with pytest.raises(Contended):
            privacy.begin(shop, oid, by="bob")


def test_without_time_the_next_visit_goes_on(ada: Ada) -> None:
    ada.world.time_left = lambda: 5.0
    ada.erase()
    assert ada.world.shop.customers.find(ada.profile) is not None
    ada.world.time_left = lambda: 60.0
    ada.check()


@pytest.mark.parametrize("side", SIDES)
def test_cut_at_every_write_it_goes_on_and_forgets_all(side: Side) -> None:
    scissors = Scissors()
    ada = Ada(World(port=CutPort(SqliteTables(), scissors)))  # type: ignore[arg-type]
    scissors.arm()
    ada.erase()
    places = [at for at, name in enumerate(scissors.names, start=1) if name == "write"]
    for place in places[:: 1 if side == "after" else 3]:
        ada = Ada(World(port=CutPort(SqliteTables(), scissors)))  # type: ignore[arg-type]
        scissors.arm((place, side))
        with suppress(Crash):
            ada.erase()
        scissors.arm()
        with suppress(NotFound):
            ada.erase()
        ada.check()
