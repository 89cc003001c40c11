"""What a month costs in which nothing happens: the guide to deploying tells these figures."""

import re
from pathlib import Path

from chalicelib import wiring
from chalicelib.config import QUEUES
from chalicelib.handlers import work
from infra.generate import SCHEDULES, merged
from tests.houses import TestHouse, a_house

DOCS = Path(__file__).parent.parent.parent / "docs"
GUIDE, BENCHMARKS = (DOCS / "deploying.md").read_text(), (DOCS / "benchmarks.md").read_text()
MONTH_SECONDS = 30 * 24 * 3600


def consumed(house: TestHouse) -> tuple[float, float]:
    """Write and read units since the last time."""
    calls = list(house.tables.meter.calls)
    house.tables.meter.reset()
    return sum(call.writes for call in calls), sum(call.reads for call in calls)


def run(house: TestHouse, name: str) -> None:
    wiring.use(house)
    getattr(work, name)(None)


def told(pattern: str) -> list[float]:
    """The figures of the one place in the guide."""
    found = re.search(pattern, GUIDE)
    assert found, pattern
    return [float(figure.replace(",", "")) for figure in found.groups()]


def test_a_month_in_which_nothing_happens_costs_what_the_guide_says() -> None:
    house = a_house()
    house.found()
    consumed(house)
    units, runs = {}, {}
    for function in SCHEDULES:
        run(house, function.name)
        written, units[function.name] = consumed(house)
        assert written == 0
        runs[function.name] = MONTH_SECONDS // function.every_seconds
    # The reconciliation asks each merchant, every day.
    assert house.sent.take() == [("reconcile", {"merchant_id": "DEMO"})]
    print(f"\na month of nothing: {runs} runs of {units} read units")
    assert told(r"\*\*([\d,]+)\*\* sweeps of \*\*(\d+)\*\*") == [runs["sweep"], units["sweep"]]
    assert told(r"\*\*([\d,]+)\*\* relays of \*\*(\d+)\*\*") == [runs["relay"], units["relay"]]
    million = sum(units[name] * runs[name] for name in runs) / 1e6
    assert told(r"\*\*([\d.]+) million\*\*") == [round(million, 2)]
    assert told(r"\| Lambda \| \*\*([\d,]+)\*\* runs") == [sum(runs.values())]
    alarms = [r for r in merged()["Resources"].values() if r.get("Type") == "AWS::CloudWatch::Alarm"]
    assert told(r"\| alarms \| \*\*(\d+)\*\*") == [len(alarms)]
    assert told(r"\*\*(\d+)\*\* queues") == [len(QUEUES)]


def test_a_million_rebills_cost_what_the_benchmarks_say() -> None:
    (measured,) = re.findall(r"^\| all of it \| \$([\d.]+) \|", BENCHMARKS, re.MULTILINE)
    assert told(r"are about \*\*\$(\d+)\*\*") == [round(float(measured))]
