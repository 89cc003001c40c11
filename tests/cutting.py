"""A wrapper that can fail at any call: before it, after it, or with its answer lost. What tests of crashes stand on."""

from collections.abc import Callable
from typing import Any, Literal

from chalicelib.domain.payments import Charge, Refund, Unknown

Side = Literal["before", "after", "lost"]
SIDES: tuple[Side, ...] = ("before", "after", "lost")


class Crash(BaseException):
    """The process died. No ``except Exception`` may swallow it."""


class Scissors:
    """Counts calls and cuts at one (or two) of them. ``cuts`` names (number of the call, side)."""

    def __init__(self) -> None:
        self.calls = 0
        self.names: list[str] = []
        self.cuts: dict[int, Side] = {}
        self.reached = 0

    def arm(self, *cuts: tuple[int, Side]) -> None:
        self.calls, self.names, self.cuts = 0, [], dict(cuts)

    def call(self, name: str, act: Callable[[], Any], lost: Callable[[], Any]) -> Any:
        self.calls += 1
        self.names.append(name)
        side = self.cuts.get(self.calls)
        if side is not None:
            self.reached += 1
        if side == "before":
            raise Crash(f"before {name}")
        if side == "lost":
            return lost()
        answer = act()
        if side == "after":
            raise Crash(f"after {name}")
        return answer


class CutPort:
    """A table port under the scissors. A lost answer of a write is met by the client's own retry: the write is done,
    and done again (so conditions refuse it, as DynamoDB's do)."""

    def __init__(self, port: Any, scissors: Scissors) -> None:
        self._port = port
        self._scissors = scissors
        self.meter = port.meter

    def get(self, *given: Any, **named: Any) -> Any:
        return self._read("get", *given, **named)

    def get_many(self, *given: Any, **named: Any) -> Any:
        return self._read("get_many", *given, **named)

    def query(self, *given: Any, **named: Any) -> Any:
        return self._read("query", *given, **named)

    def _read(self, name: str, *given: Any, **named: Any) -> Any:
        def act() -> Any:
            return getattr(self._port, name)(*given, **named)

        return self._scissors.call(name, act, act)

    def write(self, *changes: Any) -> None:
        def again() -> None:
            self._port.write(*changes)
            self._port.write(*changes)

        self._scissors.call("write", lambda: self._port.write(*changes), again)


class CutGateway:
    """A gateway under the scissors. A lost answer is an unknown outcome of what was done."""

    def __init__(self, gateway: Any, scissors: Scissors) -> None:
        self._gateway = gateway
        self._scissors = scissors

    @property
    def code(self) -> str:
        return str(self._gateway.code)

    @property
    def capabilities(self) -> Any:
        return self._gateway.capabilities

    def tokenise(self, number: str, month: int, year: int) -> Any:
        return self._gateway.tokenise(number, month, year)

    def tokenise_account(self, aba_code: str, number: str) -> Any:
        return self._gateway.tokenise_account(aba_code, number)

    def charge(self, charge: Charge) -> Any:
        return self._cut("charge", charge)

    def look_up(self, key: str) -> Any:
        return self._cut("look_up", key)

    def refund(self, key: str) -> Any:
        return self._cut("refund", key)

    def refund_part(self, refund: Refund) -> Any:
        return self._cut("refund_part", refund)

    def look_up_refund(self, refund: Refund) -> Any:
        return self._cut("look_up_refund", refund)

    def authorise(self, charge: Charge) -> Any:
        return self._cut("authorise", charge)

    def void(self, key: str) -> Any:
        return self._cut("void", key)

    def _cut(self, name: str, asked: Any) -> Any:
        def act() -> Any:
            return getattr(self._gateway, name)(asked)

        def lost() -> Any:
            act()
            return Unknown(reason="the answer was lost")

        return self._scissors.call(name, act, lost)
