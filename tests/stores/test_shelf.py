"""A shelf's own list: names come and go with their nouns, all of them are read, and only this merchant's."""

import pytest

from chalicelib.domain.coupons import Coupon
from chalicelib.domain.errors import Refused
from chalicelib.stores.port import MAXIMUM_GET_MANY, MAXIMUM_PAGE
from chalicelib.stores.shelf import Shelf
from chalicelib.stores.sqlite import SqliteTables


def shelf(port: SqliteTables, merchant_id: str = "DEMO") -> Shelf[Coupon]:
    return Shelf(port, merchant_id, "configuration", "coupon", Coupon)


def test_names_are_listed_in_order_however_many_there_are() -> None:
    port = SqliteTables()
    coupons = shelf(port)
    names = [f"CODE{number:05d}" for number in range(MAXIMUM_PAGE + 5)]
    for name in reversed(names):
        port.write(coupons.listed(name))
    assert coupons.names() == names


def test_a_list_is_in_the_transaction_of_its_noun() -> None:
    port = SqliteTables()
    coupons = shelf(port)
    port.write(coupons.inserted("TEN", Coupon(merchant_code="TEN")), coupons.listed("TEN"))
    with pytest.raises(Refused):
        port.write(coupons.inserted("TEN", Coupon()), coupons.listed("ELEVEN"))
    assert coupons.names() == ["TEN"]
    port.write(coupons.removed("TEN", 1), coupons.unlisted("TEN"))
    assert (coupons.names(), coupons.find("TEN")) == ([], None)


def test_a_list_holds_its_own_merchants_names_and_its_own_kinds() -> None:
    port = SqliteTables()
    port.write(shelf(port).listed("TEN"))
    assert shelf(port, "OTHER").names() == []
    assert Shelf(port, "DEMO", "configuration", "item", Coupon).names() == []


def test_many_are_had_by_their_names_and_by_their_second_names_each_with_its_version() -> None:
    port = SqliteTables()
    coupons, others = shelf(port), shelf(port, "OTHER")
    names = [f"CODE{number:03d}" for number in range(MAXIMUM_GET_MANY + 5)]
    for name in names:
        port.write(coupons.inserted(name, Coupon(merchant_code=name)), coupons.named("oid", name.lower(), name))
    port.write(coupons.replaced("CODE001", Coupon(merchant_code="NEW"), 1))
    found = coupons.kept_many([*names, "CODE000", "NONE"])
    assert list(found) == names
    assert [found[name].version for name in names[:3]] == [1, 2, 1]
    assert found["CODE001"].noun == Coupon(merchant_code="NEW")
    assert coupons.names_by("oid", ["code007", "code104", "none", "code007"]) == {
        "code007": "CODE007",
        "code104": "CODE104",
    }
    assert (others.kept_many(names), others.names_by("oid", ["code007"])) == ({}, {})


def test_a_noun_that_comes_back_goes_on_from_its_last_version() -> None:
    port = SqliteTables()
    coupons = shelf(port)
    port.write(coupons.inserted("TEN", Coupon()))
    port.write(coupons.removed("TEN", 1))
    port.write(coupons.inserted("TEN", Coupon(), version=3))
    assert coupons.get("TEN").version == 3
    port.write(coupons.replaced("TEN", Coupon(merchant_code="TEN"), 3))
    assert coupons.get("TEN").version == 4
