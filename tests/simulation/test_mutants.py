"""Each guard of the charge protocol taken away: the simulation must notice, within so many worlds."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chalicelib.flows.rebill import rebill
from chalicelib.gateways.sandbox import PROFILES
from chalicelib.stores.sqlite import SqliteTables
from tests.cutting import CutPort, Scissors
from tests.simulation import mutants
from tests.simulation.mutants import At
from tests.simulation.simulator import Mutation, Totals, play
from tests.worlds import World

HERE = Path(__file__).resolve().parents[2]
# A mutant that still lives after so many worlds has survived.
MOST_WORLDS = 300
UNKNOWN = {"timeout_after_capture": 2, "timeout_before_capture": 1, "late_capture": 1}
RACES = {"duplicate_message": 2, "late_message": 2, "stall": 2, "lost_answer": 1}
PEOPLE = {"cancel": 2, "pause": 2, "redate": 2}

# Handed in: the mutant, the gateway's profile (None: all), what the worlds are aimed at (None: everything).
HANDED_IN: dict[str, tuple[Mutation, str | None, dict[str, int] | None]] = {
    "timeout_is_decline": (At(gateway=mutants.TimeoutIsDecline), None, UNKNOWN),
    "blind_retry": (At(gateway=mutants.BlindRetry), None, UNKNOWN),
    "random_key": (At(gateway=mutants.RandomKey), None, UNKNOWN),
    "no_quarantine": (At(gateway=mutants.NoQuarantine), "lookup", {"late_capture": 2}),
    "endless_window": (At(gateway=mutants.EndlessWindow), "lookup", UNKNOWN),
    "never_asks": (At(gateway=mutants.NeverAsks), "lookup", UNKNOWN),
    "recompute_amount": (At(gateway=mutants.RecomputesAmount), None, {"new_price": 2, **UNKNOWN}),
    "order_not_in_transaction": (At(port=mutants.OrderNotInTransaction), None, None),
    "outbox_after": (At(port=mutants.OutboxAfter), None, None),
    "remove_due_on_claim": (At(port=mutants.RemovesDueOnClaim), None, None),
    "remove_due_on_push": (At(port=mutants.RemovesDueOnPush), None, None),
    "no_claim_condition": (At(port=mutants.NoClaimCondition), None, {**RACES, **PEOPLE}),
    "no_fence_no_lease": (At(port=mutants.NoFenceNoLease), "lookup", RACES),
    "no_revision": (At(port=mutants.NoRevision), None, {"stall": 2, **PEOPLE, **UNKNOWN}),
    "no_settle_condition": (At(port=mutants.NoSettleCondition), None, {**RACES, **UNKNOWN, **PEOPLE}),
    "told_before_telling": (At(port=mutants.TellsFirst), None, None),
}
# Guards that nothing can be put in front of: the text that is replaced, in a copy of the tree.
CHARGE = "chalicelib/flows/charge.py"
IN_THE_TEXT: dict[str, tuple[str, str, str, str]] = {
    "repost_after_cancel": (
        CHARGE,
        "return stands is not None and work.fits(stands.kind) and work.head.revision == stands.revision",
        "return stands is not None",
        "profile=full timeout_before_capture=2 cancel=2 pause=2 stall=1",
    ),
    "always_me": (
        CHARGE,
        "return _is_mine(work, attempt) and _is_unchanged(work)",
        "return True",
        "profile=lookup duplicate_message=2 late_message=2 stall=2 lost_answer=2 cancel=2",
    ),
    "no_reauthorisation": (
        CHARGE,
        "if may_send(attempt, shop.clock.now()):",
        "if attempt:",
        "stall=2",
    ),
    "unknown_is_not_sent": (
        CHARGE,
        "    return attempt, _asked(shop.gateway(attempt.gateway), attempt, work.order_id(attempt.run))\n",
        """    outcome = _asked(shop.gateway(attempt.gateway), attempt, work.order_id(attempt.run))
    return attempt, NotSent(reason='timed out') if isinstance(outcome, Unknown) else outcome
""",
        "profile=lookup timeout_after_capture=2",
    ),
}


def first_violation(totals: Totals) -> str:
    seed, text = totals.violations[0]
    return f"world {totals.worlds} (seed {seed}): {text}"


@pytest.mark.parametrize("name", HANDED_IN)
def test_a_mutant_that_is_handed_in_dies(name: str) -> None:
    mutation, profile, aim = HANDED_IN[name]
    totals = play(range(MOST_WORLDS), stop_at=1, mutation=mutation, profile=profile, aim=aim)
    assert totals.violations, f"{name} survived {totals.worlds} worlds"
    print(f"\n{name}: dead in {first_violation(totals)}")


def copy_with(folder: Path, file: str, old: str, new: str) -> None:
    """A copy of the tree in which one text is another."""
    for room in ("chalicelib", "tests"):
        shutil.copytree(HERE / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / file).read_text()
    assert text.count(old) == 1, f"the text to replace is there {text.count(old)} times: {old}"
    (folder / file).write_text(text.replace(old, new))


@pytest.mark.parametrize("name", IN_THE_TEXT)
def test_a_mutant_of_the_text_dies(name: str, tmp_path: Path) -> None:
    file, old, new, aim = IN_THE_TEXT[name]
    copy_with(tmp_path, file, old, new)
    run = subprocess.run(
        [sys.executable, "-m", "tests.simulation.simulator", f"0-{MOST_WORLDS}", *aim.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    dead = re.search(r"^seed .*$", run.stdout, re.MULTILINE)
    assert run.returncode == 1, f"{name}: {run.stdout} {run.stderr}"
    assert dead, f"{name}: {run.stdout} {run.stderr}"
    print(f"\n{name}: dead in world {run.stdout.split()[0]}: {dead[0]}")


def test_the_aimed_worlds_are_right_without_a_mutant() -> None:
    """Else every mutant would die there."""
    aims = {(profile, tuple((aim or {}).items())) for _, profile, aim in HANDED_IN.values()}
    for profile, aim in sorted(aims, key=str):
        totals = play(range(10), profile=profile, aim=dict(aim) or None)
        assert not totals.violations, totals.told()


def a_visit_whose_claim_loses_its_answer() -> int:
    """Captures after one visit in which the claim's answer was lost."""
    scissors = Scissors()
    world: Any = World(capabilities=PROFILES["full"], port=CutPort(SqliteTables(), scissors)).open()
    oid = world.subscribe()
    world.clock.go(world.next_due())
    scissors.arm()
    before = len(world.sandbox.captures())
    scissors.cuts = dict.fromkeys(range(1, 30), "lost")
    rebill(world.shop, oid)
    return len(world.sandbox.captures()) - before


def test_who_meets_his_own_claim_goes_on() -> None:
    assert a_visit_whose_claim_loses_its_answer() == 1


def test_the_mutant_that_does_not_know_its_own_claim_dies_in_that_script(tmp_path: Path) -> None:
    copy_with(tmp_path, CHARGE, "return _is_mine(work, attempt) and _is_unchanged(work)", "return False")
    script = (
        "from tests.simulation.test_mutants import a_visit_whose_claim_loses_its_answer as a; print('captures', a())"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "captures 0", run.stderr
    print("\nno_was_that_me: dead in its script: a visit whose claim lost its answer charged nothing")
