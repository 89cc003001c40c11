"""The engines on which the contract of the table port runs."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest
from moto import mock_aws

from chalicelib.stores.dynamodb import DynamoTables
from chalicelib.stores.port import TablePort
from chalicelib.stores.sqlite import SqliteTables, seeded_lag
from tests import ministack as stand_in

REGION = "us-east-1"
LATEST_INDEX_SECONDS = 0.02

# moto is not atomic under threads, reports made-up units and ignores transaction tokens: only what is single-threaded.
FAITHFUL = ("memory", "file", "ministack")
EVERY = (*FAITHFUL, "moto")
ADAPTERS = ("memory", "ministack")
WITH_LATE_INDEX = (*EVERY, "late index")

numbers = count(1)


@pytest.fixture
def pk() -> str:
    """A hash key that no other test writes to."""
    return f"merchant#{next(numbers)}"


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running ministack; without one the tests fail, because then nobody has run them."""
    with ExitStack() as stack:
        try:
            address = stack.enter_context(stand_in.running(tmp_path_factory.mktemp("ministack")))
        except stand_in.Missing as missing:
            pytest.fail(str(missing), pytrace=False)
        yield address


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


@pytest.fixture(scope="module", params=WITH_LATE_INDEX)
def indexed_tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TablePort]:
    """Also an engine whose indexes are a little behind."""
    with engine(request, tmp_path_factory) as opened:
        yield opened


@pytest.fixture(scope="module")
def ministack_tables(ministack: str) -> Iterator[DynamoTables]:
    with on_ministack(ministack) as opened:
        yield opened


@pytest.fixture
def nobodys_environment() -> Iterator[None]:
    with nowhere_else():
        yield


@contextmanager
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TablePort]:
    match request.param:
        case "memory":
            opened = SqliteTables()
        case "file":
            opened = SqliteTables(tmp_path_factory.mktemp("sqlite") / "shop.db")
        case "late index":
            opened = SqliteTables(index_lag=seeded_lag(1, LATEST_INDEX_SECONDS))
        case "moto":
            with nowhere_else(), mock_aws():
                remote = DynamoTables("contract-", region=REGION)
                remote.create_tables()
                yield remote
            return
        case _:
            with on_ministack(request.getfixturevalue("ministack")) as remote:
                yield remote
            return
    yield opened
    opened.close()


@contextmanager
def on_ministack(address: str) -> Iterator[DynamoTables]:
    with nowhere_else():
        remote = DynamoTables(f"contract{next(numbers)}-", region=REGION, endpoint=address)
        remote.create_tables()
        yield remote


@contextmanager
def nowhere_else() -> Iterator[None]:
    """Whatever the developer's own AWS settings are, nothing of them is used."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            environment.setenv(name, str(Path(os.devnull)))
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.setenv("AWS_ACCESS_KEY_ID", "nobody")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        yield
