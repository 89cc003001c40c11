"""Each guard of the charge protocol taken away: the simulation, or a script, must notice."""

import re
import shutil
import subprocess
import sys
from itertools import count
from os import utime
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.payments import Unknown
from chalicelib.flows import edit
from chalicelib.flows.charge import record
from chalicelib.flows.rebill import RunOf, rebill
from chalicelib.flows.reconcile import reconcile
from chalicelib.gateways.sandbox import PROFILES
from chalicelib.stores.sqlite import SqliteTables
from tests.cutting import CutPort, Scissors
from tests.flows.test_charge import closed_then_captured, once
from tests.flows.test_crashes import put_card
from tests.flows.test_reconcile import TIMES_OUT_AFTER, Forgetful
from tests.flows.test_restored import Restored
from tests.scenes import Stage, a_late_capture_with_credit, learnt
from tests.simulation import mutants
from tests.simulation.mutants import At, NeverReconciles
from tests.simulation.simulator import Mutation, Totals, play
from tests.worlds import World

HERE = Path(__file__).resolve().parents[2]
# A mutant that still lives after so many worlds has survived.
MOST_WORLDS = 300
UNKNOWN = {"timeout_after_capture": 2, "timeout_before_capture": 1, "late_capture": 1}
RACES = {"duplicate_message": 2, "late_message": 2, "stall": 2, "lost_answer": 1}
PEOPLE = {"cancel": 2, "pause": 2, "redate": 2}
# What the gateway took is seen after the attempt was closed.
OVERLONG = {"overlong_capture": 2, "timeout_after_capture": 1}

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
    "ledger_after": (At(port=mutants.LedgerAfter), None, None),
    "remove_due_on_claim": (At(port=mutants.RemovesDueOnClaim), None, None),
    "remove_due_on_push": (At(port=mutants.RemovesDueOnPush), None, None),
    "no_index_cleanup": (At(port=mutants.NoIndexCleanup), None, {"cancel": 2}),
    "no_claim_condition": (At(port=mutants.NoClaimCondition), None, {**RACES, **PEOPLE}),
    "no_fence_no_lease": (At(port=mutants.NoFenceNoLease), "lookup", RACES),
    "no_revision": (At(port=mutants.NoRevision), None, {"stall": 2, **PEOPLE, **UNKNOWN}),
    "no_settle_condition": (At(port=mutants.NoSettleCondition), None, {**RACES, **UNKNOWN, **PEOPLE}),
    "told_before_telling": (At(port=mutants.TellsFirst), None, None),
    "never_reconciles": (NeverReconciles(), "lookup", OVERLONG),
}
# Guards that nothing can be put in front of: texts (file, what stands there, what is put in its place) that are
# replaced in a copy of the tree, and what its worlds are aimed at.
CHARGE = "chalicelib/flows/charge.py"
REBILL = "chalicelib/flows/rebill.py"
REBILLS = "chalicelib/domain/rebills.py"
HEADS = "chalicelib/stores/heads.py"
RECONCILE = "chalicelib/flows/reconcile.py"
BALANCES = "chalicelib/flows/balances.py"
IN_THE_TEXT: dict[str, tuple[tuple[tuple[str, str, str], ...], str]] = {
    "repost_after_cancel": (
        (
            (
                CHARGE,
                "return stands is not None and work.fits(stands.kind) and work.head.revision == stands.revision",
                "return stands is not None",
            ),
        ),
        "profile=full timeout_before_capture=2 cancel=2 pause=2 stall=1",
    ),
    "always_me": (
        ((CHARGE, "return _is_mine(work, attempt) and _is_unchanged(work)", "return True"),),
        "profile=lookup duplicate_message=2 late_message=2 stall=2 lost_answer=2 cancel=2",
    ),
    "no_reauthorisation": (
        ((CHARGE, "if may_send(attempt, shop.clock.now()):", "if attempt:"),),
        "stall=2",
    ),
    "unknown_is_not_sent": (
        (
            (
                CHARGE,
                "    return record(shop, work, sent, outcome) if outcome is not None else None\n",
                (
                    "    outcome = NotSent(reason='timed out') if isinstance(outcome, Unknown) else outcome\n"
                    "    return record(shop, work, sent, outcome) if outcome is not None else None\n"
                ),
            ),
        ),
        "profile=lookup timeout_after_capture=2",
    ),
    "never_looked_at_is_not_sent": (
        (
            (
                CHARGE,
                "    if attempt.is_free():\n        # Nothing was sent",
                (
                    "    if not attempt.looks:\n        _record(shop, work, attempt, None)\n        return\n"
                    "    if attempt.is_free():\n        # Nothing was sent"
                ),
            ),
        ),
        "profile=lookup crash_after=2",
    ),
    "pending_is_posted_again": (
        ((CHARGE, "if attempt.pending or attempt.review_dts is not None:", "if attempt.review_dts is not None:"),),
        "profile=keys pending=2",
    ),
    "late_capture_is_dropped": (
        ((CHARGE, "                _late_capture(shop, work, attempt, outcome)\n", "                pass\n"),),
        "profile=lookup overlong_capture=2",
    ),
    "closed_is_final": (
        ((RECONCILE, "        for row in rows:\n", "        for row in rows[:0]:\n"),),
        "profile=lookup overlong_capture=2",
    ),
    "pays_without_holding": (
        ((CHARGE, "after, attempt, balances.holding(shop, attempt))", "after, attempt)"),),
        "stall=1",
    ),
    "never_lets_go": (
        ((BALANCES, "posting.releasing(shop, name, attempt.key)", "[]"),),
        "decline=2",
    ),
    "bills_the_next_one_too": (
        (
            (
                REBILLS,
                "if occurrence.day > today or is_past_end(",
                "if (found and occurrence.day > today) or is_past_end(",
            ),
            (HEADS, '        Equals("run", head.run),\n', ""),
        ),
        "duplicate_message=2 late_message=2",
    ),
}
# The same, but killed by a script of this module: its name, and what it comes to without the guard.
IN_A_SCRIPT: dict[str, tuple[tuple[tuple[str, str, str], ...], str, str]] = {
    "never_was_that_me": (
        ((CHARGE, "return _is_mine(work, attempt) and _is_unchanged(work)", "return False"),),
        "captures_of_a_visit_whose_claim_loses_its_answer",
        "0",
    ),
    "asks_nobody_after_a_restore": (
        ((CHARGE, "if shop.asks_first and asked.gateway else None", "if not asked else None"),),
        "captures_of_a_run_that_the_tables_have_forgotten",
        "2",
    ),
    "gives_back_unseen": (
        (
            (CHARGE, "    return [work.moved(work.head, fenced), *work.refunded(", "    return [*work.refunded("),
            (REBILL, 'if row is not None and row.outcome == "late_refunded":', "if row is None:"),
        ),
        "orders_without_a_capture_where_two_hear_of_it",
        "1",
    ),
    "late_capture_spends_nothing": (
        ((BALANCES, "        changes += moved\n", ""),),
        "left_after_a_capture_that_comes_late",
        "10",
    ),
    "reconciles_nothing": (
        ((RECONCILE, "            verdict = _repaired(shop, capture)\n", '            verdict = "matched", ZERO\n'),),
        "orders_of_a_capture_that_only_the_gateways_list_shows",
        "0",
    ),
}


def captures_of_a_visit_whose_claim_loses_its_answer() -> int:
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


def orders_of_a_capture_that_only_the_gateways_list_shows() -> int:
    """A rebill is captured and nobody hears of it; no look-up ever shows it, so its attempt is closed; the customer
    cancels, so it is never charged again. Orders of it after the daily walk."""
    world: Any = World(capabilities=PROFILES["lookup"], gateway=Forgetful).open()
    oid = world.subscribe()
    put_card(world, oid, TIMES_OUT_AFTER)
    world.tell_all()
    world.clock.go(world.next_due())
    world.visit(oid)
    edit.update(world.shop, oid, {"enabled": False, "canceled_by_user": "customer"})
    world.travel(1)
    assert world.head(oid).attempt is None
    assert not world.rebills(oid)
    reconcile(world.shop, "sandbox")
    return len(world.rebills(oid))


def orders_without_a_capture_where_two_hear_of_it() -> int:
    """A late capture is heard of while another attempt is open, so it is given back; and at that moment once more, when
    the other has been closed. Orders of rebills, less the captures that were kept."""
    scene, attempt, request = closed_then_captured()
    scene.gateway.instead = lambda name, *given: Unknown(reason="down") if name == "charge" else None
    scene.visit()
    scene.gateway.instead = None
    approved = scene.world.sandbox.charge(request)

    def hear() -> None:
        record(scene.world.shop, RunOf(scene.world.shop, scene.oid), attempt, approved)

    def close_the_other_and_hear() -> None:
        while scene.head.attempt is not None:
            scene.world.clock.go(scene.head.due_dts or scene.world.clock.now())
            scene.visit()
        hear()

    scene.gateway.before = once(close_the_other_and_hear, when=lambda name, *given: name == "refund")
    hear()
    scene.world.travel(3)
    return len(scene.world.rebills(scene.oid)) - len(scene.captured())


def left_after_a_capture_that_comes_late() -> int:
    """A rebill of which store credit pays 10 is given up, and was captured after all: what is left of the 10."""
    stage = Stage("lookup")
    paying = a_late_capture_with_credit("canceled", stage)
    learnt(stage, paying.story, stage.tables)
    return int(stage.shop.ledgers.read(paying.ledger).noun.balance)


def captures_of_a_run_that_the_tables_have_forgotten() -> int:
    """A rebill is billed; then the tables are put back to a week ago, while the gateway's ledger goes on. Captures of
    its run after another day."""
    restored = Restored()
    (lost,) = restored.lose(days=8)
    restored.world.travel(1)
    return sum(capture.order_id == lost for capture in restored.world.sandbox.captures())


SCRIPTS = {
    script.__name__: script
    for script in (
        captures_of_a_visit_whose_claim_loses_its_answer,
        captures_of_a_run_that_the_tables_have_forgotten,
        orders_without_a_capture_where_two_hear_of_it,
        orders_of_a_capture_that_only_the_gateways_list_shows,
        left_after_a_capture_that_comes_late,
    )
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


class Copy:
    """A copy of the tree, in which texts can be others for a while."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seconds = count(1_000_000_000)
        for room in ("chalicelib", "tests"):
            shutil.copytree(HERE / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, edits: tuple[tuple[str, str, str], ...], program: str) -> subprocess.CompletedProcess[str]:
        before = {file: (self.folder / file).read_text() for file, _, _ in edits}
        try:
            for file, old, new in edits:
                text = (self.folder / file).read_text()
                assert text.count(old) == 1, f"{file}: the text to replace is there {text.count(old)} times: {old}"
                self._write(file, text.replace(old, new))
            # The rest of the tree is compiled once for all mutants.
            program = f"import sys; sys.dont_write_bytecode = False; {program}"
            command = [sys.executable, "-c", program]
            return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        finally:
            for file, text in before.items():
                self._write(file, text)

    def _write(self, file: str, text: str) -> None:
        """Each time as of another second, by which Python knows that it must be compiled anew."""
        (self.folder / file).write_text(text)
        second = next(self._seconds)
        utime(self.folder / file, (second, second))


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("mutants"))


@pytest.mark.parametrize("name", IN_THE_TEXT)
def test_a_mutant_of_the_text_dies(name: str, copied: Copy) -> None:
    edits, aim = IN_THE_TEXT[name]
    given = [f"0-{MOST_WORLDS}", *aim.split()]
    run = copied.run(edits, f"from tests.simulation.simulator import main; sys.exit(main({given}))")
    dead = re.search(r"^seed .*$", run.stdout, re.MULTILINE)
    assert run.returncode == 1, f"{name}: {run.stdout} {run.stderr}"
    assert dead, f"{name}: {run.stdout} {run.stderr}"
    print(f"\n{name}: dead in world {run.stdout.split()[0]}: {dead[0]}")


@pytest.mark.parametrize("name", IN_A_SCRIPT)
def test_a_mutant_of_the_text_dies_in_its_script(name: str, copied: Copy) -> None:
    edits, script, without = IN_A_SCRIPT[name]
    assert str(SCRIPTS[script]()) != without
    run = copied.run(edits, f"from tests.simulation.test_mutants import {script} as script; print(script())")
    assert run.stdout.strip() == without, f"{name}: {run.stdout} {run.stderr}"
    print(f"\n{name}: dead in its script: {script} is {without}")


def test_the_aimed_worlds_are_right_without_a_mutant() -> None:
    """Else every mutant would die there."""
    aims = {(profile, tuple((aim or {}).items())) for _, profile, aim in HANDED_IN.values()}
    for profile, aim in sorted(aims, key=str):
        totals = play(range(3), profile=profile, aim=dict(aim) or None)
        assert not totals.violations, totals.told()
    for _, words in IN_THE_TEXT.values():
        named = dict(word.split("=") for word in words.split())
        profile = named.pop("profile", None)
        totals = play(range(3), profile=profile, aim={kind: int(level) for kind, level in named.items()})
        assert not totals.violations, totals.told()


def test_who_meets_his_own_claim_goes_on() -> None:
    assert captures_of_a_visit_whose_claim_loses_its_answer() == 1


def test_what_only_the_gateways_list_shows_gets_its_order() -> None:
    assert orders_of_a_capture_that_only_the_gateways_list_shows() == 1


# The guards that were found to matter in a prototype of the protocol: each must be one of ours, or wait with a reason.
PROTOTYPE = [
    "remove_due_on_enqueue",
    "random_key",
    "blind_retry",
    "no_quarantine",
    "timeout_is_decline",
    "recompute_amount",
    "outbox_after",
    "order_not_in_tx",
    "mark_before_deliver",
    "no_cancel_check",
    "no_period_check+no_due_check",
    "no_claim_cond+attempt_overwrite",
    "no_fence+ignore_lease",
    "no_recovery_lookup",
    "no_cancel_replay",
    "no_recon",
    "repost_after_cancel",
    "no_index_cleanup",
    "only_current_attempt",
    "trust_prep",
    "void_is_final",
]
WAITING = {"no_cancel_replay"}
MUTANT_ROW = re.compile(r"^\| `([\w+]+)` \| (.*?) \| (.*?) \|$", re.MULTILINE)


def test_the_table_of_mutants_names_each_of_the_prototypes_and_each_of_ours_as_it_is_killed() -> None:
    rows = MUTANT_ROW.findall((HERE / "docs" / "invariants.md").read_text())
    names = [name for name, _, _ in rows]
    ours = {mutant: how for _, mutants_, how in rows for mutant in re.findall(r"`(\w+)`", mutants_)}
    assert list(dict.fromkeys(name for name in names if name in PROTOTYPE)) == PROTOTYPE
    assert {name for name, mutants_, _ in rows if not re.search("`", mutants_)} == WAITING
    by_worlds = {**dict.fromkeys(HANDED_IN, "worlds"), **dict.fromkeys(IN_THE_TEXT, "worlds, text")}
    by_scripts = {name: f"`{script}`" for name, (_, script, _) in IN_A_SCRIPT.items()}
    assert ours == by_worlds | by_scripts
