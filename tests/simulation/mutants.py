"""Guards taken away, one at a time, by what stands between the flows and the world. A simulation that is worth its
time kills each of them."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from chalicelib.domain.payments import QUARANTINE_SECONDS, Charge, Declined, NotFound, Unknown
from chalicelib.stores.port import Equals, Put, Update
from tests.simulation.simulator import Mutation


class Passing:
    """Everything as it is; a mutant overrides one thing."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def is_head(change: Any) -> bool:
    return isinstance(change, Update) and change.table == "auto_orders" and change.sk == "head"


def claims(change: Any) -> bool:
    return is_head(change) and "attempt" in change.set and "fence" in change.set


# --- at the gateway --------------------------------------------------------------------------------------------------


class TimeoutIsDecline(Passing):
    """No answer is taken for a no."""

    def charge(self, charge: Charge) -> Any:
        answer = self._inner.charge(charge)
        return Declined(code="timeout", reason="timed out") if isinstance(answer, Unknown) else answer


class BlindRetry(Passing):
    """No answer, so it is sent again: as a charge of its own, and nobody asks what became of the first."""

    def charge(self, charge: Charge) -> Any:
        answer = self._inner.charge(charge)
        if isinstance(answer, Unknown):
            answer = self._inner.charge(replace(charge, key=charge.key + "_again"))
        return answer


class RandomKey(Passing):
    """Each send has a key of its own."""

    sent = 0

    def charge(self, charge: Charge) -> Any:
        self.sent += 1
        return self._inner.charge(replace(charge, key=f"{charge.key}_{self.sent}"))


class NoQuarantine(Passing):
    """What the gateway does not know yet is believed not to have happened."""

    @property
    def capabilities(self) -> Any:
        return replace(self._inner.capabilities, lookup_lag=-QUARANTINE_SECONDS)


class EndlessWindow(Passing):
    """The same key is sent again to a gateway that does not know keys, or does not know it any more."""

    @property
    def capabilities(self) -> Any:
        return replace(self._inner.capabilities, idempotency_window=10**9)


class NeverAsks(Passing):
    """The look-up always says that there is no such charge."""

    def look_up(self, key: str) -> Any:
        return NotFound()


class RecomputesAmount(Passing):
    """What is sent is what the lines cost now."""

    def charge(self, charge: Charge) -> Any:
        plan = self._inner._world.claims[charge.key].attempt.plan
        items = self._inner._world.shop.items
        now = sum(items.get(line.item_id).noun.pricing.cost * line.quantity for line in plan.lines)
        return self._inner.charge(replace(charge, amount=charge.amount - plan.subtotal + now))


# --- at the store ----------------------------------------------------------------------------------------------------


class Splitting(Passing):
    """Some changes of a transaction are written after it, each by itself."""

    def after(self, change: Any) -> bool:
        raise NotImplementedError

    def write(self, *changes: Any) -> None:
        late = [change for change in changes if self.after(change)] if len(changes) > 1 else []
        self._inner.write(*(change for change in changes if change not in late))
        for change in late:
            self._inner.write(change)


class OrderNotInTransaction(Splitting):
    """The head moves on first; the order follows."""

    def after(self, change: Any) -> bool:
        return isinstance(change, Put) and change.table == "orders"


class OutboxAfter(Splitting):
    """What happened is written to the outbox once it has happened."""

    def after(self, change: Any) -> bool:
        return isinstance(change, Put) and change.table == "events"


class LedgerAfter(Splitting):
    """What pays is held once the attempt is claimed, and spent or free again once it is closed."""

    def after(self, change: Any) -> bool:
        return isinstance(change, Put) and change.table == "ledgers"


class Rewriting(Passing):
    """Some changes are written otherwise."""

    def other(self, change: Any) -> Any:
        raise NotImplementedError

    def write(self, *changes: Any) -> None:
        self._inner.write(*(self.other(change) for change in changes))


class RemovesDueOnClaim(Rewriting):
    """Who claims takes the auto order out of the due index."""

    def other(self, change: Any) -> Any:
        if not claims(change):
            return change
        left = {name: value for name, value in change.set.items() if name not in ("due_key", "due_shard")}
        return Update(
            change.table, change.pk, change.sk, left, (*change.remove, "due_key", "due_shard"), change.add, change.when
        )


class RemovesDueOnPush(Rewriting):
    """The sweep takes what it has sent out of the due index."""

    def other(self, change: Any) -> Any:
        if not is_head(change) or set(change.set) != {"due_key"}:
            return change
        return Update(change.table, change.pk, change.sk, {}, ("due_key", "due_shard"), {}, change.when)


class NoIndexCleanup(Rewriting):
    """What has ended stays in the due index."""

    def other(self, change: Any) -> Any:
        if not is_head(change) or "due_key" not in change.remove:
            return change
        kept = tuple(name for name in change.remove if name not in ("due_key", "due_shard"))
        # An update must change something, and this one may have been about nothing else.
        same = {} if change.set or kept else {"noticed": 1}
        return Update(change.table, change.pk, change.sk, {**change.set, **same}, kept, change.add, change.when)


class Unconditioned(Rewriting):
    """Heads are written though something has moved since they were read."""

    kept: tuple[str, ...] = ()
    only: Callable[[Any], bool] = staticmethod(is_head)

    def other(self, change: Any) -> Any:
        if not self.only(change):
            return change
        when = tuple(condition for condition in change.when if condition.name in self.kept)
        return Update(change.table, change.pk, change.sk, change.set, change.remove, change.add, when)


class NoClaimCondition(Unconditioned):
    only = staticmethod(claims)


class NoFenceNoLease(Unconditioned):
    """Neither fence nor open attempt nor lease keep a second worker away."""

    kept = ("status", "run", "round", "revision")
    only = staticmethod(claims)

    def other(self, change: Any) -> Any:
        changed = super().other(change)
        if not claims(change):
            return changed
        left = {name: value for name, value in changed.set.items() if name != "lease_until"}
        return Update(change.table, change.pk, change.sk, left, change.remove, change.add, changed.when)


class NoRevision(Unconditioned):
    """A permission to send is given though somebody has edited or canceled since."""

    kept = ("run", "round", "fence", "attempt_key")
    only = staticmethod(claims)


class NoSettleCondition(Unconditioned):
    """Whoever learns an outcome writes it over whatever stands; and an order over an order."""

    def other(self, change: Any) -> Any:
        if isinstance(change, Put) and change.table == "orders":
            return Put(change.table, change.record)
        if is_head(change) and "attempt" in change.remove:
            return super().other(change)
        return change


class TellsFirst(Passing):
    """An event is marked as told before anybody has been told of it: at the moment at which it is found."""

    def get(self, *given: Any, **named: Any) -> Any:
        found = self._inner.get(*given, **named)
        if found and given[0] == "events" and "due_key" in found:
            self._inner.write(
                Update(
                    "events",
                    found["pk"],
                    found["sk"],
                    remove=("due_key", "due_shard"),
                    when=(Equals("due_key", found["due_key"]),),
                )
            )
        return found


class At(Mutation):
    """A mutant of the store's or of the gateway's door."""

    def __init__(self, *, port: type[Passing] | None = None, gateway: type[Passing] | None = None) -> None:
        self._port = port
        self._gateway = gateway

    def port(self, port: Any) -> Any:
        return self._port(port) if self._port else port

    def gateway(self, gateway: Any) -> Any:
        return self._gateway(gateway) if self._gateway else gateway


class NeverReconciles(Mutation):
    """Nobody walks past what the gateway took."""

    reconciles = False
