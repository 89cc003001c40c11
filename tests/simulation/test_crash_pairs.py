"""Two crashes in one story: at every pair of its calls, recovery included, on every side of each call."""

import logging
import os
from collections.abc import Iterable
from itertools import product
from multiprocessing import get_context

import pytest

from tests.cutting import SIDES
from tests.scenes import SCENES, Cut, cut

# One of each way: claim, send, settle and the resolver, at two kinds of gateway; a first payment; a capture that comes
# late.
EVERYDAY = (
    "rebill, full, timeout_after_capture",
    "rebill, lookup, approve",
    "purchase, lookup, approve",
    "late capture, canceled",
)


def cut_twice(name: str, first: Cut) -> tuple[str, int, int]:
    """The first cut with every later one. Returns how many pairs there were, and how many were reached."""
    calls, _ = cut(name, first)
    pairs = [cut(name, first, second) for second in product(range(first[0] + 1, calls + 1), SIDES)]
    return name, len(pairs), sum(reached == 2 for _, reached in pairs)


def all_pairs(names: Iterable[str]) -> None:
    firsts = [(name, (number, side)) for name in names for number in range(1, cut(name)[0] + 1) for side in SIDES]
    # What the flows log of second captures is no news here.
    with get_context("spawn").Pool(os.cpu_count(), logging.disable) as pool:
        found = pool.starmap_async(cut_twice, firsts, chunksize=1).get(timeout=3600)
    for name in dict.fromkeys(name for name, _, _ in found):
        pairs = sum(number for one, number, _ in found if one == name)
        both = sum(reached for one, _, reached in found if one == name)
        print(f"{name}: {pairs:,} pairs of cuts, {both:,} of them reached both")
        assert both > 0.9 * pairs
    print(f"{sum(pairs for _, pairs, _ in found):,} pairs of cuts; 0 charged twice, 0 unrecorded, 0 lost")


@pytest.mark.timeout(600)
def test_two_cuts_at_any_pair_of_calls_charge_once_and_lose_nothing() -> None:
    all_pairs(EVERYDAY)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_cuts_at_any_pair_of_calls_of_every_story() -> None:
    all_pairs(SCENES)
