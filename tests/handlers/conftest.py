"""A house with nothing in it, the key of a shop that was founded in it, and the shop's owner at his browser. Who needs
another says so in his own file."""

import pytest

from tests.houses import Browser, TestHouse, a_house


@pytest.fixture
def house() -> TestHouse:
    return a_house()


@pytest.fixture
def key(house: TestHouse) -> str:
    return house.found()


@pytest.fixture
def owner(house: TestHouse, key: str) -> Browser:
    return house.owner()
