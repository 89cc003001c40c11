"""Ledgers in a shop: one posting a cause, writers that meet, and crowds."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import ledgers as rules
from chalicelib.domain.dates import instant
from chalicelib.domain.errors import Contended, Invalid, Refused, Short
from chalicelib.domain.ledgers import Pending, Posting
from chalicelib.flows import ledgers
from chalicelib.flows.ports import Shop
from chalicelib.flows.sweep import sweep
from chalicelib.stores.port import Equals, Put
from chalicelib.stores.sqlite import SqliteTables
from tests.worlds import World

NAME = "points#7"


def a_posting(shop: Shop, cause: str, amount: int, days: int = 0, **more: Any) -> Posting:
    now = shop.clock.now()
    return Posting(
        cause=cause,
        type="Adjustment",
        description=cause,
        amount=Decimal(amount),
        dts=instant(now + timedelta(days=days)),
        created_dts=now,
        **more,
    )


def add(shop: Shop, cause: str, amount: int, **more: Any) -> ledgers.Moved:
    return ledgers.post(shop, NAME, a_posting(shop, cause, amount, **more))


def balance(shop: Shop) -> int:
    return int(ledgers.current(shop, NAME).balance)


def test_a_cause_posts_once_however_often_it_is_told() -> None:
    shop = World().open().shop
    assert add(shop, "earned#1", 10).new
    for _ in range(50):
        assert not add(shop, "earned#1", 10).new
    assert balance(shop) == 10
    assert len(shop.ledgers.texts(NAME)) == 1


def test_a_redemption_that_comes_again_is_not_refused_for_what_it_took_itself() -> None:
    shop = World().open().shop
    add(shop, "a", 10)
    assert add(shop, "redeem", -10).new
    assert not add(shop, "redeem", -10).new
    with pytest.raises(Invalid, match="10 is more than the 0"):
        add(shop, "another", -10)


def test_what_vests_is_swept_up_on_its_day_and_not_again() -> None:
    world = World().open()
    one = Pending(state="Vesting", posting=a_posting(world.shop, "earned#1", 10, days=3))
    assert ledgers.wait(world.shop, NAME, one).new
    assert not ledgers.wait(world.shop, NAME, one).new
    world.clock.pass_(days=2)
    assert sweep(world.backroom) == 0
    world.clock.pass_(days=1)
    for _ in range(2):
        sweep(world.backroom)
        for _, message in world.queue.take() * 2:
            assert message["kind"] == "ledger"
            ledgers.post_due(world.shop, message["id"])
    assert len(world.shop.ledgers.texts(NAME)) == 1
    assert balance(world.shop) == 10
    assert world.due("ledgers", instant(world.clock.now() + timedelta(days=999))) == []


def test_nobody_spends_what_has_expired_though_no_sweep_came_by() -> None:
    world = World().open()
    add(world.shop, "a", 10, expires=instant(world.clock.now() + timedelta(days=5)))
    world.clock.pass_(days=5)
    assert balance(world.shop) == 0
    with pytest.raises(Invalid, match="1 is more than the 0"):
        add(world.shop, "b", -1)
    add(world.shop, "c", 5)
    assert [e.posting.type for e in world.shop.ledgers.entries(NAME, limit=9)[0]] == [
        "Adjustment",
        "Expired",
        "Adjustment",
    ]
    assert ledgers.verify(world.shop, NAME) == []


def test_a_ledger_that_nobody_looked_at_for_years_catches_up() -> None:
    world = World().open()
    for number in range(90):
        expires = instant(world.clock.now() + timedelta(days=number + 1))
        add(world.shop, f"a{number}", 1, expires=expires)
    world.clock.pass_(days=400)
    assert ledgers.post_due(world.shop, NAME) == 90
    assert balance(world.shop) == 0
    assert ledgers.verify(world.shop, NAME) == []


# --- holds -----------------------------------------------------------------------------------------------------------


def test_what_is_held_is_out_of_reach_until_it_is_spent_or_free_again() -> None:
    shop = World().open().shop
    add(shop, "a", 10)
    shop.write(*ledgers.holding(shop, NAME, "one", Decimal(7)))
    with pytest.raises(Short, match="4 is more than the 3"):
        ledgers.holding(shop, NAME, "other", Decimal(4))
    with pytest.raises(Invalid, match="4 is more than the 3"):
        add(shop, "b", -4)
    shop.write(*ledgers.holding(shop, NAME, "other", Decimal(3)))
    shop.write(*ledgers.releasing(shop, NAME, "other"))
    assert ledgers.releasing(shop, NAME, "other") == []
    shop.write(*(ledgers.spending(shop, NAME, "one", a_posting(shop, "spent#one", 0)) or []))
    assert ledgers.spending(shop, NAME, "one", a_posting(shop, "spent#one", 0)) is None
    stands = ledgers.current(shop, NAME)
    assert (stands.balance, stands.available(), stands.held()) == (3, 3, 0)
    assert ledgers.verify(shop, NAME) == []


def test_two_who_hold_the_same_balance_at_once_do_not_both_get_it() -> None:
    shop = World().open().shop
    add(shop, "a", 10)
    first = ledgers.holding(shop, NAME, "one", Decimal(7))
    second = ledgers.holding(shop, NAME, "other", Decimal(7))
    shop.write(*first)
    with pytest.raises(Refused):
        shop.write(*second)
    with pytest.raises(Short):
        ledgers.holding(shop, NAME, "other", Decimal(7))


def test_what_expired_while_it_was_held_expires_when_it_is_free_again() -> None:
    world = World().open()
    shop = world.shop
    add(shop, "a", 10, expires=instant(world.clock.now() + timedelta(days=5)))
    shop.write(*ledgers.holding(shop, NAME, "one", Decimal(7)))
    world.clock.pass_(days=6)
    assert balance(shop) == 7
    shop.write(*ledgers.releasing(shop, NAME, "one"))
    assert balance(shop) == 0
    assert ledgers.taking(shop, NAME, a_posting(shop, "late", -7)) == (0, [])
    assert ledgers.verify(shop, NAME) == []


# --- writers that meet -----------------------------------------------------------------------------------------------


class Between:
    """A port that lets somebody else write just before each of the first writes."""

    def __init__(self, acts: list[Callable[[], None]]) -> None:
        self._tables, self.acts = SqliteTables(), acts
        self._busy = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tables, name)

    def write(self, *changes: Any) -> None:
        if self.acts and not self._busy:
            self._busy = True
            self.acts.pop(0)()
            self._busy = False
        self._tables.write(*changes)


def test_writers_that_meet_lose_nothing() -> None:
    port = Between([])
    shop = World(port=port).open().shop  # type: ignore[arg-type]  # all but `write` is the tables'
    add(shop, "start", 100)
    port.acts += [
        lambda: add(shop, "other", 5) and None,
        lambda: add(shop, "third", -30) and None,
        lambda: shop.write(*ledgers.holding(shop, NAME, "key", Decimal(20))),
    ]
    add(shop, "mine", 7)
    assert not port.acts
    assert balance(shop) == 82
    assert ledgers.current(shop, NAME).held() == 20
    assert ledgers.verify(shop, NAME) == []


def test_the_same_cause_by_two_writers_posts_once() -> None:
    port = Between([])
    shop = World(port=port).open().shop  # type: ignore[arg-type]  # all but `write` is the tables'
    port.acts += [lambda: add(shop, "earned#1", 10) and None]
    assert not add(shop, "earned#1", 10).new
    assert balance(shop) == 10


@pytest.mark.parametrize("first", ["day", "withdrawal"])
def test_a_withdrawal_and_the_day_that_meet_do_one_of_the_two(first: str) -> None:
    port = Between([])
    world = World(port=port).open()  # type: ignore[arg-type]  # all but `write` is the tables'
    shop = world.shop
    before = world.clock.moment
    one = Pending(state="Scheduled", posting=a_posting(shop, "manual#1", 10, days=3))
    ledgers.wait(shop, NAME, one)
    gone = a_posting(shop, "withdrawn#manual#1", 0)

    def withdraw() -> None:
        world.clock.moment = before
        ledgers.change(shop, NAME, lambda ledger: rules.withdrawn(ledger, "manual#1", gone), cause=gone.cause)

    def the_day() -> None:
        world.clock.moment = instant(before + timedelta(days=3))
        ledgers.post_due(shop, NAME)

    if first == "day":
        port.acts.append(the_day)
        with pytest.raises(Invalid, match="posted or withdrawn"):
            withdraw()
    else:
        port.acts.append(withdraw)
        the_day()
    assert not port.acts
    assert balance(shop) == (10 if first == "day" else 0)
    assert len(shop.ledgers.texts(NAME)) == 1
    assert ledgers.verify(shop, NAME) == []


def test_a_thousand_redemptions_at_once_never_go_below_zero(tmp_path: Path) -> None:
    world = World(port=SqliteTables(tmp_path / "shop.sqlite")).open()
    add(world.shop, "start", 300)
    done, refused = [], []
    lock = threading.Lock()

    def redeem(number: int) -> None:
        shop = world.house.open_shop("DEMO")
        while True:
            try:
                moved = add(shop, f"redeem#{number}", -1)
            except Contended:
                continue
            except Invalid:
                with lock:
                    refused.append(number)
                return
            with lock:
                done.append(moved)
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(redeem, range(1000)))
    assert (len(done), len(refused)) == (300, 700)
    assert balance(world.shop) == 0
    assert len(world.shop.ledgers.texts(NAME)) == 301
    assert ledgers.verify(world.shop, NAME) == []


# --- the store -------------------------------------------------------------------------------------------------------


def test_what_somebody_changed_in_the_table_is_found() -> None:
    shop = World().open().shop
    tables = shop.ledgers._port  # type: ignore[attr-defined]  # the thief reaches past the port
    for number in range(5):
        add(shop, f"a{number}", 10)
    record = tables.get("ledgers", f"DEMO#{NAME}", "entry#0000000003", consistent=True)
    record["document"] = record["document"].replace('"amount":10', '"amount":11')
    tables.write(Put("ledgers", record))
    found = ledgers.verify(shop, NAME)
    assert {one.seq for one in found} >= {3, 4}


def test_an_entry_is_never_written_over() -> None:
    shop = World().open().shop
    add(shop, "a", 10)
    entry = shop.ledgers.entries(NAME, limit=1)[0][0]
    with pytest.raises(Exception, match="refused"):
        shop.write(*shop.ledgers.moved(1, ledgers.current(shop, NAME), [entry]))
    assert isinstance(shop.ledgers.moved(1, ledgers.current(shop, NAME), [])[0].when[0], Equals)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-9, 9), st.integers(0, 4)), max_size=25))
def test_a_ledger_is_what_its_causes_say_however_often_each_comes(told: list[tuple[int, int, int]]) -> None:
    world = World().open()
    said: dict[int, int] = {}
    total = 0
    for cause, wanted, days in told:
        amount = said.get(cause, wanted)
        try:
            moved = add(world.shop, f"c{cause}", amount)
        except Invalid:
            assert cause not in said
            assert total + amount < 0
        else:
            assert moved.new == (cause not in said)
            total += amount if moved.new else 0
            said[cause] = amount
        world.clock.pass_(days=days)
        assert balance(world.shop) == total
    assert ledgers.verify(world.shop, NAME) == []
