"""Uses of coupons on both adapters: never one too many, and given back once."""

from collections.abc import Iterator

import pytest

from chalicelib.domain.errors import Refused
from chalicelib.domain.payments import Use
from chalicelib.stores.coupon_uses import CouponUses
from chalicelib.stores.port import TablePort
from tests.stores.conftest import engine

ADA = ["email#ada@example.com", "profile#7"]


@pytest.fixture(scope="module", params=["memory", "moto"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TablePort]:
    with engine(request, tmp_path_factory) as opened:
        yield opened


@pytest.fixture
def uses(port: TablePort, pk: str) -> CouponUses:
    return CouponUses(port, pk.replace("#", ""))


def test_uses_are_counted_up_to_the_bound_and_a_use_that_is_given_back_is_free_again(
    port: TablePort, uses: CouponUses
) -> None:
    use = Use(code="FEW", most=2)
    for key, before in (("one", None), ("two", 1)):
        assert uses.of(use) == (before, {})
        port.write(*uses.taken(use, key, before))
    with pytest.raises(Refused):
        port.write(*uses.taken(use, "three", 2))
    with pytest.raises(Refused):
        port.write(*uses.taken(use, "three", None))
    port.write(*uses.given_back(use, "one", []))
    port.write(*uses.given_back(use, "two", []))
    assert uses.of(use) == (0, {})
    port.write(*uses.taken(use, "three", 0))
    assert uses.counts(["FEW", "NONE"]) == {"FEW": 1, "NONE": 0}


def test_a_customer_uses_it_once_under_all_names_and_only_its_own_attempt_gives_it_back(
    port: TablePort, uses: CouponUses
) -> None:
    use = Use(code="ONCE", customers=ADA)
    port.write(*uses.taken(use, "one", None))
    assert uses.of(use) == (None, dict.fromkeys(ADA, "one"))
    with pytest.raises(Refused):
        port.write(*uses.taken(Use(code="ONCE", customers=ADA[1:]), "two", None))
    with pytest.raises(Refused):
        port.write(*uses.given_back(use, "two", ADA))
    port.write(*uses.given_back(use, "one", ADA))
    assert uses.of(use) == (None, {})
    port.write(*uses.taken(use, "two", None))
    assert uses.of(use)[1] == dict.fromkeys(ADA, "two")
