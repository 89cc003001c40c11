"""The doors of a simulated world: the table port and the gateway, with what may go wrong at each call.

The gateway's own ledger (the sandbox's) is the oracle; what it is asked is checked at the moment of asking.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from chalicelib.domain.captures import CapturePage, Hint
from chalicelib.domain.errors import Contended
from chalicelib.domain.payments import (
    SEND_WITHIN_SECONDS,
    Approved,
    Charge,
    Declined,
    NotSent,
    Pending,
    Refund,
    Unknown,
)
from chalicelib.flows.gateway_events import heard
from chalicelib.stores.port import Update
from chalicelib.stores.sqlite import SqliteTables
from tests.cutting import Crash

if TYPE_CHECKING:
    from tests.simulation.simulator import Simulation

HOUR, DAY = 3600.0, 86_400.0
# A capture that is late, from the request on: within the gateway's word, and against it (after the quarantine).
LATE: tuple[tuple[str, float, float], ...] = (("late_capture", 1, 480), ("overlong_capture", 2700, 9000))
# A pending payment is settled or returned after so long, and so often returned.
PENDING, RETURNED = (HOUR, 2 * DAY), 0.4
HARD = 0.15
# The gateway's own message of a capture comes within this time, if it comes: one in so many is lost.
MESSAGE_WITHIN, MESSAGE_LOST = 3600, 0.25


class PortDoor:
    """The table port."""

    def __init__(self, world: "Simulation", tables: SqliteTables) -> None:
        self._world = world
        self._tables = tables
        self.meter = tables.meter
        self._crashes = "crash_before" in world.rates

    def get(self, *given: Any, **named: Any) -> Any:
        self._before()
        return self._tables.get(*given, **named)

    def get_many(self, *given: Any, **named: Any) -> Any:
        self._before()
        return self._tables.get_many(*given, **named)

    def query(self, *given: Any, **named: Any) -> Any:
        self._before()
        return self._tables.query(*given, **named)

    def _before(self) -> None:
        self._world.step()
        if self._crashes and self._world.happens("crash_before"):
            raise Crash

    def write(self, *changes: Any) -> None:
        world = self._world
        self._before()
        if world.happens("busy"):
            raise Contended("busy at this moment")
        self._tables.write(*changes)
        lost = world.happens("lost_answer")
        if lost:
            world.visit_now().lost.update(
                str(c.set["attempt_key"]) for c in changes if isinstance(c, Update) and "attempt_key" in c.set
            )
        world.written(changes)
        if world.happens("crash_after"):
            raise Crash
        if world.happens("busy_but_written"):
            # The answer was lost, and all that the client heard when it sent it again was: busy.
            raise Contended("busy at this moment")
        if lost:
            # The client sends it again; whoever wrote under conditions meets himself.
            world.step()
            self._tables.write(*changes)
            world.written(changes)
        world.step()


class GatewayDoor:
    """The way to the gateway."""

    def __init__(self, world: "Simulation", gateway: "SimulatedGateway") -> None:
        self._world = world
        self._gateway = gateway
        self.code = "sandbox"
        self.capabilities = world.can

    def tokenise(self, number: str, month: int, year: int) -> Any:
        return self._world.sandbox.tokenise(number, month, year)

    def charge(self, charge: Charge) -> Any:
        self._world.visit_now().acts += 1
        self._gateway.asked(charge)
        return self._called(lambda: self._gateway.charge(charge))

    def look_up(self, key: str) -> Any:
        visit = self._world.visit_now()
        visit.acts += 1
        found = self._called(lambda: self._gateway.look_up(key))
        if isinstance(found, Approved):
            visit.found.add(key)
        return found

    def refund(self, key: str) -> Any:
        return self._called(lambda: self._world.sandbox.refund(key))

    def refund_part(self, refund: Refund) -> Any:
        return self._called(lambda: self._world.sandbox.refund_part(refund))

    def look_up_refund(self, refund: Refund) -> Any:
        return self._called(lambda: self._world.sandbox.look_up_refund(refund))

    def authorise(self, charge: Charge) -> Any:
        return self._called(lambda: self._world.sandbox.authorise(charge))

    def void(self, key: str) -> Any:
        return self._called(lambda: self._world.sandbox.void(key))

    def captures_since(self, *given: Any) -> CapturePage:
        page = self._called(lambda: self._world.sandbox.captures_since(*given))
        return CapturePage(captures=[], problem=page.reason) if isinstance(page, Unknown) else page

    def hint(self, body: bytes, signature: str) -> Hint:
        """The gateway's events in this world: the key and the order."""
        key, order_id = body.decode().split()
        return Hint(key=key, order_id=order_id)

    def _called(self, act: Callable[[], Any]) -> Any:
        world = self._world
        world.step()
        if world.happens("crash_before"):
            raise Crash
        answer = act()
        if world.happens("crash_after"):
            raise Crash
        lost = world.happens("lost_answer")
        world.step()
        return Unknown(reason="the answer was lost") if lost else answer


class SimulatedGateway:
    """The sandbox behind a network: requests time out, arrive late, meet an outage. It checks what it is asked."""

    def __init__(self, world: "Simulation") -> None:
        self._world = world
        self._can = world.can
        self._declined: dict[str, Declined] = {}
        # Keys of payments that were pending; those still so are in the second as well.
        self.was_pending: set[str] = set()
        self._pending: set[str] = set()

    def asked(self, charge: Charge) -> None:
        """At the moment of the decision to send, before the network: is it allowed?"""
        world = self._world
        claim, visit = world.claims.get(charge.key), world.visit_now()
        if claim is None or charge.key not in visit.permissions:
            world.violated(f"{charge.key} is sent without a permission")
            return
        if world.loop.now - visit.permissions[charge.key] > SEND_WITHIN_SECONDS + 1:
            world.violated(f"{charge.key} is sent long after its permission")
        if charge.amount != claim.attempt.asked():
            world.violated(f"{charge.key} is sent for {charge.amount}, claimed were {claim.attempt.asked()}")
        first = claim.first_post
        if first is None and charge.key in visit.own and world.heads[claim.subject].get("fence", 0) > 1:
            world.branches["reauthorised_before_the_first_post"] += visit.permissions[charge.key] > visit.began + 10
        if first is not None:
            world.branches["posted_again"] += 1
            if not self._can.idempotency_window:
                world.violated(f"{charge.key} is posted again at a gateway without keys")
            elif world.loop.now - first > self._can.idempotency_window:
                world.violated(f"{charge.key} is posted again after the key's time")
        if claim.pending:
            world.violated(f"{charge.key} is posted again though the gateway said that it has it")
        world.branches["was_that_me"] += charge.key in visit.lost

    def charge(self, charge: Charge) -> Any:
        world = self._world
        claim = world.claims.get(charge.key)
        if claim is not None and claim.first_post is None:
            claim.first_post = world.loop.now
        world.posts.append((world.loop.now, charge.key))
        if world.out_of_reach():
            never = world.streams["outage"].random() < 0.3
            return NotSent(reason="connection refused") if never else Unknown(reason="timed out")
        if world.happens("not_sent"):
            return NotSent(reason="too many requests")
        if world.happens("timeout_before_capture"):
            return Unknown(reason="timed out")
        for kind, shortest, longest in LATE:
            if world.happens(kind):
                moment = world.loop.now + world.streams[kind].uniform(shortest, longest)
                world.loop.at(moment, partial(self._arrive, charge, kind))
                return Unknown(reason="timed out")
        answer = self._decided(charge)
        if isinstance(answer, Approved) and world.happens("timeout_after_capture"):
            return Unknown(reason="timed out")
        if isinstance(answer, Approved) and world.happens("duplicate_answer"):
            return Unknown(reason="suspected duplicate")
        if isinstance(answer, Approved) and world.happens("other_amount"):
            return replace(answer, amount=answer.amount + 1)
        if isinstance(answer, Declined) and world.happens("unheard_decline"):
            return Unknown(reason="timed out")
        return answer

    def _decided(self, charge: Charge) -> Any:
        """What the gateway itself says: with keys the same key gets the same answer."""
        world = self._world
        if charge.key in self._pending:
            return Pending(transaction_id=charge.key[-12:])
        if charge.key in self._declined:
            return self._declined[charge.key]
        known = world.sandbox._find(charge.key) if self._can.idempotency_window else None
        if known is None and world.happens("decline"):
            hard = world.streams["outcome"].random() < HARD
            self._declined[charge.key] = Declined(code="41" if hard else "51", reason="The bank said no.", hard=hard)
            return self._declined[charge.key]
        if known is None and world.happens("pending"):
            self.was_pending.add(charge.key)
            self._pending.add(charge.key)
            chance = world.streams["pending"]
            comes_back = chance.random() < RETURNED
            world.loop.at(world.loop.now + chance.uniform(*PENDING), partial(self._settle, charge, comes_back))
            return Pending(transaction_id=charge.key[-12:])
        return world.sandbox.charge(charge)

    def _settle(self, charge: Charge, comes_back: bool) -> None:
        """What was pending is taken at last, or comes back."""
        self._pending.discard(charge.key)
        if comes_back:
            self._declined[charge.key] = Declined(code="R01", reason="The bank sent it back.")
        else:
            self._world.sandbox.charge(charge)
        self._tell_of(charge)

    def _arrive(self, charge: Charge, kind: str) -> None:
        """The request is there at last, when nobody listens any more."""
        if charge.key in self._declined or charge.key in self._pending:
            return
        self._world.sandbox.charge(charge)
        if kind == "overlong_capture":
            self._tell_of(charge)
            self._world.reconcile_daily()

    def _tell_of(self, charge: Charge) -> None:
        """The gateway's own event, which may get lost."""
        world, chance = self._world, self._world.streams["event"]
        if chance.random() >= MESSAGE_LOST:
            self._hear(f"{charge.key} {charge.order_id}", world.loop.now + chance.uniform(1, MESSAGE_WITHIN))

    def _hear(self, event: str, moment: float) -> None:
        world = self._world
        world.start(
            "event",
            moment,
            lambda: heard(world.shop, "sandbox", event.encode(), "", "127.0.0.1"),
            lambda: self._hear(event, world.loop.now + 600),
        )

    def look_up(self, key: str) -> Any:
        world = self._world
        if world.out_of_reach() or world.happens("lookup_unanswered"):
            return Unknown(reason="timed out")
        if key in self._pending:
            return Pending(transaction_id=key[-12:])
        if key in self._declined:
            return self._declined[key]
        return world.sandbox.look_up(key)
