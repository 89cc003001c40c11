"""The engines on which the contract of the table port runs."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count

import pytest
from moto import mock_aws

from chalicelib.stores.dynamodb import DynamoTables
from chalicelib.stores.port import TablePort
from chalicelib.stores.sqlite import SqliteTables, seeded_lag
from tests.ministack import nowhere_else

REGION = "us-east-1"
LATEST_INDEX_SECONDS = 0.02

# moto is not atomic under threads, reports made-up units and ignores transaction tokens: only what is single-threaded.
FAITHFUL = ("memory", "file", "ministack")
EVERY = (*FAITHFUL, "moto")
ADAPTERS = ("memory", "ministack")
numbers = count(1)


@pytest.fixture
def pk() -> str:
    """A hash key that no other test writes to."""
    return f"merchant#{next(numbers)}"


@pytest.fixture(scope="module", params=EVERY)
def tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TablePort]:
    with engine(request, tmp_path_factory) as opened:
        yield opened


@pytest.fixture(scope="module", params=FAITHFUL)
def faithful_tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TablePort]:
    """Engines that are atomic under threads and bill as DynamoDB does."""
    with engine(request, tmp_path_factory) as opened:
        yield opened


@pytest.fixture(scope="module", params=ADAPTERS)
def adapters(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TablePort]:
    """Each adapter once: for what it refuses before it asks its engine."""
    with engine(request, tmp_path_factory) as opened:
        yield opened


@pytest.fixture(scope="module", params=(*EVERY, "late index"))
def indexed_tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TablePort]:
    """Also an engine whose indexes are a little behind."""
    with engine(request, tmp_path_factory) as opened:
        yield opened


@pytest.fixture(scope="module", params=(*FAITHFUL, "late index"))
def faithful_indexed_tables(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TablePort]:
    with engine(request, tmp_path_factory) as opened:
        yield opened


@pytest.fixture(scope="session")
def ministack_tables(ministack: str) -> DynamoTables:
    with nowhere_else():
        remote = DynamoTables("contract-", region=REGION, endpoint=ministack)
        # The first call makes the client, which keeps the credentials that it finds here.
        remote.create_tables()
    return remote


@pytest.fixture(scope="module")
def nobodys_environment() -> Iterator[None]:
    with nowhere_else():
        yield


@contextmanager
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TablePort]:
    match request.param:
        case "ministack":
            yield request.getfixturevalue("ministack_tables")
        case "moto":
            with nowhere_else(), mock_aws():
                in_process = DynamoTables("contract-", region=REGION)
                in_process.create_tables()
                yield in_process
        case embedded:
            path = tmp_path_factory.mktemp("sqlite") / "shop.db" if embedded == "file" else ":memory:"
            lag = seeded_lag(1, LATEST_INDEX_SECONDS) if embedded == "late index" else None
            with closing(SqliteTables(path, index_lag=lag)) as opened:
                yield opened
