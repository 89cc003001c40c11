"""A shop in a process of its own, and the official client that is pointed at it. A journey that needs another shop says
so itself."""

from collections.abc import Iterator
from typing import Any

import pytest
import ultracart

from tests.running import Running


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("journey") / "data")
    yield running
    running.end()


@pytest.fixture(scope="module")
def client(shop: Running) -> Any:
    host = f"http://127.0.0.1:{shop.port}/rest/v2"
    return ultracart.ApiClient(
        ultracart.Configuration(host=host, api_key={"x-ultracart-simple-key": shop.key}),
        header_name="X-UltraCart-Api-Version",
        header_value="2017-03-01",
    )
