"""A step scheduler: workers run in greenlets and stop before every call that leaves them; a test decides who goes on.

Everything happens in one thread; what interleaves is exactly what the order says.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

from greenlet import getcurrent, greenlet


class Stepped:
    """Any object whose calls are steps, inside of a worker. ``besides`` are first arguments of calls that are none:
    tables in which nobody meets anybody."""

    def __init__(self, inner: Any, names: frozenset[str], besides: frozenset[str] = frozenset()) -> None:
        self._inner = inner
        self._names = names
        self._besides = besides

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._names:
            return found

        def stepped(*given: Any, **named: Any) -> Any:
            worker = getcurrent()
            besides = bool(given) and isinstance(given[0], str) and given[0] in self._besides
            if worker.parent is not None and not besides:
                worker.parent.switch()
            return found(*given, **named)

        return stepped


def run(workers: Sequence[Callable[[], Any]], order: Sequence[int]) -> list[int]:
    """Let the workers go on in this order, one step each; then each to its end. Returns how many steps each took."""
    running = [greenlet(worker) for worker in workers]
    steps = [0] * len(workers)
    for number in [*order, *(n for n in range(len(workers)) for _ in range(10_000))]:
        if running[number].dead:
            continue
        running[number].switch()
        steps[number] += 1
    return steps


def merges(first: int, second: int) -> Iterator[list[int]]:
    """Every order in which two workers' steps can fall: of 6 and 6 there are 924."""
    whole = first + second
    for places in combinations(range(whole), first):
        chosen = set(places)
        yield [0 if place in chosen else 1 for place in range(whole)]
