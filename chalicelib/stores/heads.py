"""Heads as they are kept: the numbers that conditions need as attributes, the rest as two texts."""

from chalicelib.domain import wire
from chalicelib.domain.dates import Instant, parse_instant
from chalicelib.domain.heads import Head, State, Status
from chalicelib.domain.payments import Attempt
from chalicelib.stores.port import Absent, Condition, Equals, Put, Record, Update
from chalicelib.stores.records import due_attributes, pk
from chalicelib.stores.tables import PK, SK

HEAD = "head"
DUE = ("due_shard", "due_key")


def head_of(record: Record) -> Head:
    attempt = record.get("attempt")
    due = record.get("due_key")
    lease = record.get("lease_until")
    status: Status = str(record["status"])  # type: ignore[assignment]  # only ever written from a Head
    return Head(
        status=status,
        revision=int(record["revision"]),
        run=int(record["run"]),
        round=int(record["round"]),
        tries=int(record["tries"]),
        fence=int(record["fence"]),
        lease_until=parse_instant(str(lease)) if lease else None,
        due_dts=due_of(str(due)) if due else None,
        attempt=wire.load(str(attempt), Attempt) if attempt else None,
        state=wire.load(str(record["state"]), State),
    )


def due_of(due_key: str) -> Instant:
    return parse_instant(due_key.split("#", 1)[0])


def begun(table: str, merchant_id: str, subject: str, head: Head) -> Put:
    """The first head of a subject."""
    record: Record = {PK: pk(merchant_id, subject), SK: HEAD, **_attributes(head)}
    record |= due_attributes(head.due_dts, merchant_id, subject)
    return Put(table, record, when=(Absent(),))


def moved(table: str, merchant_id: str, subject: str, before: Head, after: Head) -> Update:
    """The head from what was read to what was thought out: refused where anything that counts has moved since.

    Every writer moves at least one of fence, revision, run, round and the open attempt, so nobody's change is lost.
    """
    attributes = _attributes(after)
    due = due_attributes(after.due_dts, merchant_id, subject)
    gone = {name for name in ("attempt", "attempt_key", "lease_until") if name not in attributes}
    gone |= {name for name in DUE if name not in due}
    old = _attributes(before) | due_attributes(before.due_dts, merchant_id, subject)
    new = attributes | due
    return Update(
        table,
        pk(merchant_id, subject),
        HEAD,
        set={name: value for name, value in new.items() if old.get(name) != value},
        remove=tuple(sorted(name for name in gone if name in old)),
        when=as_read(before),
    )


def as_read(head: Head) -> tuple[Condition, ...]:
    """That the head still is as it was read."""
    attempt: Condition = Equals("attempt_key", head.attempt.key) if head.attempt else Absent("attempt_key")
    return (
        Equals("status", head.status),
        Equals("run", head.run),
        Equals("round", head.round),
        Equals("fence", head.fence),
        Equals("revision", head.revision),
        attempt,
    )


def _attributes(head: Head) -> Record:
    record: Record = {
        "status": head.status,
        "revision": head.revision,
        "run": head.run,
        "round": head.round,
        "tries": head.tries,
        "fence": head.fence,
        "state": wire.kept(head.state),
    }
    if head.lease_until is not None:
        record["lease_until"] = str(head.lease_until)
    if head.attempt is not None:
        record["attempt"] = wire.kept(head.attempt)
        record["attempt_key"] = head.attempt.key
    return record
