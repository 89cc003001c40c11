"""Which worlds a long run plays: ``SEEDS=0-20000`` in the environment."""

import os

import pytest

from tests.simulation.simulator import seeds_of


@pytest.fixture
def seeds() -> range:
    return seeds_of(os.environ.get("SEEDS", "4000-104000"))
