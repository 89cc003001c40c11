"""What tests of several rooms share."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import browsing
from tests import ministack as stand_in

# How long an example takes says how busy the machine is, not whether the code is right; speed is counted (tests/bench).
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# Rooms whose tests print figures that a run should show also where all is well: cuts, interleavings, worlds, units.
FIGURES = ("tests/bench/", "tests/flows/", "tests/simulation/")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests of passing runs printed: a suite that says "0 charged twice" says of how many."""
    told = [
        report.capstdout.strip("\n")
        for report in terminalreporter.getreports("passed")
        if report.nodeid.startswith(FIGURES) and report.capstdout.strip()
    ]
    if told:
        terminalreporter.section("figures")
        for text in told:
            terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser for all tests of pages."""
    with browsing.browser() as started:
        yield started


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running ministack; without one the tests fail, because then nobody has run them."""
    with ExitStack() as stack:
        try:
            address = stack.enter_context(stand_in.running(tmp_path_factory.mktemp("ministack")))
        except stand_in.Missing as missing:
            pytest.fail(str(missing), pytrace=False)
        yield address
