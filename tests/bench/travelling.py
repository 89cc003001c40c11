"""How fast the test clock travels: every due moment of years, with all that is charged, told and mailed at each."""

from multiprocessing import get_context
from time import perf_counter, process_time

import msgspec

from chalicelib.flows.travel import advance
from tests.bench.shops import on_disk

AUTO_ORDERS = 2000
# What that may take of a processor, in minutes: nobody waits longer for three years.
MINUTES = 6
YEARS = (365, 365, 366)
# They were placed over so many days, so that most days of a month have some.
DAYS = 28


class Travelled(msgspec.Struct, kw_only=True, frozen=True):
    """The whole journey. ``as_rehearsed``: each year billed exactly what its rehearsal had said; ``digests`` are of
    what each year billed."""

    rebills: int
    mails: int
    wall: float
    cpu: float
    as_rehearsed: bool
    digests: list[str]


def travelled(auto_orders: int = AUTO_ORDERS) -> Travelled:
    with on_disk(auto_orders, days=DAYS) as measured:
        wall, cpu = perf_counter(), process_time()
        years = [advance(measured.shop, {"advance_days": days}) for days in YEARS]
        return Travelled(
            rebills=sum(year["number_of_orders"] for year in years),
            mails=sum(year["number_of_mails"] for year in years),
            wall=perf_counter() - wall,
            cpu=process_time() - cpu,
            as_rehearsed=all(year["rehearsal"]["same"] for year in years),
            digests=[year["digest"] for year in years],
        )


def travelled_twice() -> tuple[Travelled, bool]:
    """The slower one of two journeys that begin alike, each in a process of its own, and whether they billed alike."""
    with get_context("spawn").Pool(2) as pool:
        first, second = pool.map(travelled, [AUTO_ORDERS, AUTO_ORDERS])
    return max(first, second, key=lambda one: one.cpu), first.digests == second.digests
