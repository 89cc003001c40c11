"""What tests of several rooms share."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests import ministack as stand_in


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running ministack; without one the tests fail, because then nobody has run them."""
    with ExitStack() as stack:
        try:
            address = stack.enter_context(stand_in.running(tmp_path_factory.mktemp("ministack")))
        except stand_in.Missing as missing:
            pytest.fail(str(missing), pytrace=False)
        yield address
