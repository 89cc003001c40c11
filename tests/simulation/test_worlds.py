"""Thousands of worlds under faults: nobody is charged twice, nothing captured stays unrecorded, nothing due is lost."""

from pathlib import Path

import pytest

from tests.simulation.simulator import Simulation, Totals, play, play_on_all_cores

EVERYDAY = 4000
KEPT = [
    int(line.split()[0])
    for line in Path(__file__).with_name("kept_seeds.txt").read_text().splitlines()
    if line[:1].isdigit()
]


def right(totals: Totals) -> None:
    print("\n" + totals.told())
    assert not totals.violations, totals.told()


@pytest.mark.timeout(900)
def test_worlds_of_everyday_are_right_and_meet_every_fault_and_every_rare_branch() -> None:
    totals = play_on_all_cores(range(EVERYDAY))
    right(totals)
    assert totals.never_met() == []
    assert totals.captures >= 2.5 * totals.worlds


def test_seeds_that_once_failed_are_right() -> None:
    right(play(KEPT))


def test_a_seed_plays_the_same_world_again() -> None:
    first, second = Simulation(7).play(), Simulation(7).play()
    assert first.posts == second.posts
    assert first.faults == second.faults
    assert first.branches == second.branches
    assert first.sandbox.captures() == second.sandbox.captures()


@pytest.mark.long
def test_worlds_of_a_range_of_seeds_are_right(seeds: range) -> None:
    totals = play_on_all_cores(seeds)
    right(totals)
    assert totals.never_met() == []
