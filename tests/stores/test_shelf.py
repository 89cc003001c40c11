"""A shelf's own list: names come and go with their nouns, all of them are read, and only this merchant's."""

import pytest

from chalicelib.domain.coupons import Coupon
from chalicelib.domain.errors import Refused
from chalicelib.stores.port import MAXIMUM_PAGE
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
