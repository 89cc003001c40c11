"""How fast one process rebills on files: sweep, queue, worker, outbox, mails, by the functions of app.py."""

from collections.abc import Callable
from time import perf_counter, process_time

import msgspec

from tests.bench.shops import MERCHANT, Measured, on_disk

AUTO_ORDERS = 300
# Months that are measured, one after the other; the best counts, for the machine has other work.
ROUNDS = 8
DAYS_A_ROUND = 32


class Leg(msgspec.Struct, kw_only=True, frozen=True):
    """Seconds for one rebill: by the clock, and of a processor."""

    wall: float
    cpu: float


class Speed(msgspec.Struct, kw_only=True, frozen=True):
    """The best of all rounds. ``charged``: sweep, queue, worker (claim, gateway, settle). ``told``: that, and its
    events told. ``mailed``: that, and its receipts written and handed over."""

    lines: int
    charged: Leg
    told: Leg
    mailed: Leg


def speed(lines: int) -> Speed:
    with on_disk(AUTO_ORDERS, lines=lines) as measured:
        rounds = [_round(measured) for _ in range(ROUNDS)]
    charged, told, mailed = (
        Leg(wall=min(legs[reach].wall for legs in rounds), cpu=min(legs[reach].cpu for legs in rounds))
        for reach in range(3)
    )
    return Speed(lines=lines, charged=charged, told=told, mailed=mailed)


def _round(measured: Measured) -> tuple[Leg, Leg, Leg]:
    engine = measured.engine
    measured.machine.pass_(days=DAYS_A_ROUND)
    ledger = measured.house.payments_of(MERCHANT)["sandbox"]
    before = len(ledger.captures())  # type: ignore[attr-defined]  # the sandbox shows its ledger
    wall, cpu = perf_counter(), process_time()

    def since(*acts: Callable[[], int]) -> Leg:
        for act in acts:
            act()
        return Leg(wall=(perf_counter() - wall) / AUTO_ORDERS, cpu=(process_time() - cpu) / AUTO_ORDERS)

    charged = since(lambda: engine.tick("sweep"), engine.drain)
    taken = len(ledger.captures()) - before  # type: ignore[attr-defined]
    told = since(lambda: engine.tick("relay"))
    mailed = since(engine.drain)
    assert taken == AUTO_ORDERS, f"{taken} of {AUTO_ORDERS} were charged"
    engine.run_due()
    return charged, told, mailed
