"""What a search of customers costs, counted on fewer of them and scaled up to 100,000; `make bench` measures more."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from chalicelib.domain.customer_search import CustomerQuery
from chalicelib.stores.sqlite import SqliteTables
from tests.bench.searching import ANYTHING_READS, PAGE, PATTERN_READS, SHOP, Asked, Crowd, shapes

SAMPLE = 4_000
SCALE = SHOP / SAMPLE


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    with closing(SqliteTables(":memory:")) as port:
        yield Crowd(port, SAMPLE)


def asked(crowd: Crowd, what: str) -> Asked:
    return next(shape for shape in shapes(crowd.somebody) if shape.what == what)


@pytest.mark.parametrize(
    "what", ["an e-mail address", "a last name", "a company, the beginning", "a phone number", "a postal code"]
)
def test_one_field_that_has_keys_is_one_query(crowd: Crowd, what: str) -> None:
    cost = crowd.cost(asked(crowd, what))
    assert (cost.total > 0, cost.calls, cost.reads) == (True, 1, 0.5)


@pytest.mark.parametrize("pattern", ["Y*@gmail.com", "y*@GMAIL.com", "*9@gmail.com", "y.b*"])
def test_a_pattern_in_an_address_reads_the_keys_of_its_narrower_end(crowd: Crowd, pattern: str) -> None:
    cost = crowd.cost(Asked(pattern, CustomerQuery(email=pattern)))
    print(f"\n{pattern}: {cost.total} of {SAMPLE} for {cost.reads:g} read units")
    assert cost.total > 0
    assert cost.reads * SCALE <= PATTERN_READS


@pytest.mark.parametrize(
    "what", ["*@gmail.com", "everybody, by e-mail address", "everybody, by last name", "a state and a tag", "two words"]
)
def test_anything_else_stays_within_the_design_and_has_later_pages_for_little(crowd: Crowd, what: str) -> None:
    cost = crowd.cost(asked(crowd, what))
    print(f"\n{what}: {cost.reads * SCALE:,.0f} read units for {SHOP:,}, the next page {cost.next_reads:g}")
    assert cost.total > 0
    assert cost.reads * SCALE <= ANYTHING_READS
    assert cost.next_reads <= 10
    assert (cost.next_reads > 0) == (cost.total > PAGE)


def test_keys_are_read_for_less_than_rows(crowd: Crowd) -> None:
    """Why everybody is listed by the keys of the e-mail addresses."""
    by_keys = crowd.cost(asked(crowd, "everybody, by e-mail address")).reads
    assert by_keys < crowd.cost(asked(crowd, "everybody, by last name")).reads / 3
