"""Heads as they are kept: the numbers that conditions need as attributes, the rest as two texts."""

from chalicelib.domain import wire
from chalicelib.domain.dates import Instant, parse_instant
from chalicelib.domain.heads import Head, State, Status
from chalicelib.domain.payments import Attempt
from chalicelib.stores.port import Absent, Condition, Equals, Put, Record, Update
from chalicelib.stores.records import due_attributes, pk
from chalicelib.stores.tables import PK, SK

HEAD = "head"


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
    record: Record = {PK: pk(merchant_id, subject), SK: HEAD, **_attributes(head, merchant_id, subject)}
    record["state"] = wire.kept(head.state)
    if head.attempt is not None:
        record["attempt"] = wire.kept(head.attempt)
    return Put(table, record, when=(Absent(),))


def moved(table: str, merchant_id: str, subject: str, before: Head, after: Head) -> Update:
    """The head from what was read to what was thought out: refused where anything that counts has moved since.

    Every writer moves at least one of fence, revision, run, round and the open attempt, so nobody's change is lost.
    """
    old, new = _attributes(before, merchant_id, subject), _attributes(after, merchant_id, subject)
    written = {name: value for name, value in new.items() if old.get(name) != value}
    gone = old.keys() - new.keys()
    # The two texts are compared as what they hold: writing one out is half the work of a head.
    if after.state != before.state:
        written["state"] = wire.kept(after.state)
    if after.attempt is None:
        gone |= {"attempt"} if before.attempt else set()
    elif after.attempt != before.attempt:
        written["attempt"] = wire.kept(after.attempt)
    return Update(table, pk(merchant_id, subject), HEAD, set=written, remove=tuple(sorted(gone)), when=as_read(before))


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


def _attributes(head: Head, merchant_id: str, subject: str) -> Record:
    """What conditions and the due index need."""
    record: Record = {
        "status": head.status,
        "revision": head.revision,
        "run": head.run,
        "round": head.round,
        "tries": head.tries,
        "fence": head.fence,
        **due_attributes(head.due_dts, merchant_id, subject),
    }
    if head.lease_until is not None:
        record["lease_until"] = str(head.lease_until)
    if head.attempt is not None:
        record["attempt_key"] = head.attempt.key
    return record
