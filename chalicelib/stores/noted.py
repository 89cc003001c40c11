"""What a call of somebody's changes is noted in the audit by the very transaction that changes it.

What a change is about is read off its keys and off the event row beside it, so no verb can forget to say so. Workers
and shoppers are not noted: what they do has rows of its own (timelines, orders, ledgers).
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from chalicelib.domain.audit import Actor, AuditEntry, FieldChange, differences
from chalicelib.domain.dates import Instant
from chalicelib.domain.events import Event
from chalicelib.domain.ledgers import Entry
from chalicelib.stores.ledgers import ENTRY
from chalicelib.stores.port import MAXIMUM_CHANGES, Absent, Change, Check, Delete, Equals, Put, Record, TablePort
from chalicelib.stores.records import DOCUMENT, VERSION, noun_of
from chalicelib.stores.tables import PK, SK
from chalicelib.stores.users import Audit

# Rows that one transaction adds: a call that changes more says of the first ones, and each has a timeline.
MOST_NOTED = 10
# What a person decides. What charges bring (orders placed, paid, rebilled) are records that stand by themselves.
DECIDED = frozenset(
    {
        "auto_order_cancel",
        "auto_order_disable",
        "auto_order_update",
        "customer_create",
        "customer_delete",
        "customer_update",
        "item_create",
        "item_delete",
        "item_update",
        "order_delete",
        "order_refund",
        "order_reject",
        "order_update",
    }
)
# Nouns by table and by what follows the merchant in the hash key. Of the first an event says that they changed, and the
# document what; the others have none.
WITH_EVENTS = {("configuration", "item"): "item", ("customers", "customer"): "customer"}
OF_THEIR_OWN = {
    ("configuration", "section"): "settings",
    ("configuration", "coupon"): "coupon",
    ("configuration", "notice_template"): "notice_template",
    ("ledgers", "certificate"): "gift_certificate",
}
# Nouns that stand together under one hash key, each with its range key.
TOGETHER = {
    ("configuration", "webhook"): "webhook",
    ("documents", "customer#export"): "export",
    ("documents", "customer#import"): "import",
}
NOTHING = ("", ""), False
# Files are worked at; what somebody decides of them is their state.
FILES = frozenset({"export", "import"})


class Noted:
    """``write`` in somebody's name."""

    def __init__(
        self, port: TablePort, merchant_id: str, by: Actor, now: Callable[[], Instant], word: Callable[[], str]
    ) -> None:
        self._port = port
        self._merchant_id = merchant_id
        self._by = by
        self._now = now
        self._audit = Audit(port, merchant_id, word)

    def __call__(self, *changes: Change) -> None:
        """The rows come last: which change was refused is told by its place."""
        entries = self._entries(changes)[: max(0, min(MOST_NOTED, MAXIMUM_CHANGES - len(changes)))]
        rows = [row for entry in entries for row in self._audit.added(entry)]
        self._port.write(*changes, *rows)

    def _entries(self, changes: Sequence[Change]) -> list[AuditEntry]:
        """One for each noun that somebody decided about."""
        found: dict[tuple[str, str], AuditEntry] = {}
        for change in changes:
            if isinstance(change, Put) and change.table == "events":
                for happening in noun_of(change.record, Event).happenings:
                    if happening.name in DECIDED:
                        about = (str(happening.kind), happening.id)
                        found.setdefault(about, self._entry(happening.name, *about))
        for change in changes:
            about, by_event = self._about(change)
            if not about[0] or (by_event and about not in found):
                continue
            if by_event:
                found[about].changed = self._changed(change, about[0])
            elif about[0] != "ledger":
                found[about] = self._entry(_action(change, about[0]), *about)
                found[about].changed = self._changed(change, about[0])
            elif isinstance(change, Put) and (posting := noun_of(change.record, Entry).posting).by:
                found[about] = self._entry("ledger_entry", *about, subject=f"{posting.type} {posting.amount}")
        return list(found.values())

    def _entry(self, action: str, noun: str, key: str, subject: str = "") -> AuditEntry:
        return AuditEntry(
            audit_dts=self._now(),
            action=action,
            actor=self._by.name,
            address=self._by.address,
            noun=noun,
            key=key,
            subject=subject,
        )

    def _about(self, change: Change) -> tuple[tuple[str, str], bool]:
        """(noun, key), and whether an event tells of it; ("", "") where nobody decides about it."""
        pk, sk = _keys(change)
        merchant, _, rest = pk.partition("#")
        kind, _, name = rest.partition("#")
        if merchant != self._merchant_id or isinstance(change, Check):
            return NOTHING
        if change.table == "ledgers" and sk.startswith(ENTRY):
            return ("ledger", rest), False
        if noun := TOGETHER.get((change.table, rest)):
            return (noun, sk), False
        if sk != DOCUMENT:
            return NOTHING
        if change.table == "auto_orders":
            return ("auto_order", rest), True
        if noun := WITH_EVENTS.get((change.table, kind)):
            return (noun, name), True
        return (OF_THEIR_OWN.get((change.table, kind), ""), name), False

    def _changed(self, change: Change, noun: str) -> list[FieldChange]:
        """The fields that the change moves. The record that it is put over is read once more: the change names its
        version, so what is noted is what was there."""
        if not isinstance(change, Put):
            return []
        over = [one.value for one in change.when if isinstance(one, Equals) and one.name == VERSION]
        if not over and noun != "settings":
            return []
        pk, sk = _keys(change)
        record = self._port.get(change.table, pk, sk, consistent=True) if over else None
        if over and (record is None or record[VERSION] not in over):
            return []  # somebody was faster: it will be refused
        before, after = (_document(one) for one in (record, change.record))
        if noun in FILES:
            before, after = ({"state": one.get("state", "reading")} for one in (before, after))
        return differences(before, after, valued=noun == "settings" or noun in FILES)


def _keys(change: Change) -> tuple[str, str]:
    if isinstance(change, Put):
        return str(change.record[PK]), str(change.record[SK])
    return change.pk, change.sk


def _action(change: Change, noun: str) -> str:
    if isinstance(change, Delete):
        return f"{noun}_deleted"
    is_new = isinstance(change, Put) and any(isinstance(condition, Absent) for condition in change.when)
    return f"{noun}_inserted" if is_new and noun != "settings" else f"{noun}_updated"


def _document(record: Record | None) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(str(record[DOCUMENT])) if record else {}
    return found
