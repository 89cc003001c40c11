"""A shop comes into being once, with two keys that only their owner knows."""

import itertools
from collections.abc import Callable

import pytest

from chalicelib.domain.access import API_PREFIX, BROWSER_PREFIX, key_hash
from chalicelib.domain.errors import Invalid
from chalicelib.domain.merchants import Merchant
from chalicelib.flows.found_shop import found_shop
from chalicelib.stores.port import Delete
from tests.worlds import World


def secrets() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"{next(numbers):043d}"


def codes(refused: pytest.ExceptionInfo[Invalid]) -> set[tuple[str, str]]:
    return {(problem.pointer, problem.code) for problem in refused.value.problems}


def test_a_founded_shop_has_its_section_and_two_keys() -> None:
    world = World()
    owner, browser = found_shop(world.house, "ACME", "Acme", "Europe/Berlin", "EUR", secret=secrets())
    merchant = world.house.open_shop("ACME").configuration.section(Merchant).noun
    assert (merchant.name, merchant.zone_name(), merchant.currency()) == ("Acme", "Europe/Berlin", "EUR")
    assert owner.startswith(API_PREFIX)
    assert browser.startswith(BROWSER_PREFIX)
    found = world.house.keys().find(key_hash(owner))
    assert found is not None
    assert found.merchant_id == "ACME"
    assert found.allows("auto_order_write")
    assert not found.allows("storefront")
    shown = world.house.keys().find(key_hash(browser))
    assert shown is not None
    assert shown.allows("storefront")
    assert not shown.allows("auto_order_read")


def test_a_founded_shop_stands_among_all_merchants_and_one_of_before_that_list_by_new_keys() -> None:
    world, secret = World(), secrets()
    for merchant_id in ("ZENO", "ACME"):
        found_shop(world.house, merchant_id, "Shop", secret=secret)
    assert world.house.merchants().names() == ["ACME", "ZENO"]
    world.tables.write(Delete("configuration", "merchants", "ACME"))
    found_shop(world.house, "ACME", "", secret=secret, new_keys=True)
    assert world.house.merchants().names() == ["ACME", "ZENO"]


def test_no_key_is_kept_as_a_text() -> None:
    world = World()
    owner, browser = found_shop(world.house, "ACME", "Acme", secret=secrets())
    rows = world.tables._db.execute("select body from record").fetchall()
    assert rows
    assert not any(owner in body or browser in body for (body,) in rows)


def test_a_shop_is_founded_once() -> None:
    world = World()
    found_shop(world.house, "ACME", "Acme", secret=secrets())
    with pytest.raises(Invalid) as refused:
        found_shop(world.house, "ACME", "Another", secret=secrets())
    assert codes(refused) == {("/merchant_id", "duplicate")}
    assert world.house.open_shop("ACME").configuration.section(Merchant).noun.name == "Acme"


def test_new_keys_are_for_a_shop_that_stands_and_leave_the_old_ones() -> None:
    world, secret = World(), secrets()
    with pytest.raises(Invalid) as refused:
        found_shop(world.house, "ACME", "", secret=secret, new_keys=True)
    assert codes(refused) == {("/merchant_id", "unknown")}
    before = found_shop(world.house, "ACME", "Acme", secret=secret)
    after = found_shop(world.house, "ACME", "", secret=secret, new_keys=True)
    assert len({*before, *after}) == 4
    assert all(world.house.keys().find(key_hash(key)) for key in (*before, *after))


def test_a_chosen_key_is_the_owners_unless_it_opens_another_shop() -> None:
    world, chosen = World(), "k" * 40
    assert found_shop(world.house, "ACME", "Acme", secret=secrets(), key=chosen)[0] == chosen
    with pytest.raises(Invalid) as refused:
        found_shop(world.house, "ZENO", "Zeno", secret=secrets(), key=chosen)
    assert codes(refused) == {("/key", "duplicate")}
    with pytest.raises(Invalid) as refused:
        found_shop(world.house, "ZENO", "Zeno", secret=secrets(), key="short")
    assert codes(refused) == {("/key", "out_of_range")}


@pytest.mark.parametrize(
    ("merchant_id", "zone", "currency", "wrong"),
    [
        ("acme", "America/New_York", "USD", "/merchant_id"),
        ("TOOLONG", "America/New_York", "USD", "/merchant_id"),
        ("AC#E", "America/New_York", "USD", "/merchant_id"),
        ("ACME", "Mars/Olympus", "USD", "/time_zone"),
        ("ACME", "America/New_York", "XXX", "/currency_code"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_founded(merchant_id: str, zone: str, currency: str, wrong: str) -> None:
    world = World()
    with pytest.raises(Invalid) as refused:
        found_shop(world.house, merchant_id, "Acme", zone, currency, secret=secrets())
    assert {pointer for pointer, _ in codes(refused)} == {wrong}
    assert world.tables._db.execute("select count(*) from record").fetchone() == (0,)
