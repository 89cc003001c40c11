"""Edits of a batch that wait for a worker: a row each, due until it has been made or refused."""

from chalicelib.domain.batches import BatchEdit
from chalicelib.domain.dates import Instant
from chalicelib.stores.port import Absent, Change, Equals, Put, Record, TablePort, Update
from chalicelib.stores.records import DOCUMENT, due_attributes, kept_for, noun_of, pk, text_of
from chalicelib.stores.tables import PK, SK

TABLE = "documents"
# Whoever wants to know how a batch ended asks within a month; then the table sweeps it away.
KEEP_DAYS = 30
# No batch has more edits (the contract's figure).
MAXIMUM_ROWS = 100


class Batches:
    """One merchant's batches of edits."""

    def __init__(self, port: TablePort, merchant_id: str) -> None:
        self._port = port
        self._merchant_id = merchant_id

    def asked(self, edit: BatchEdit, due: Instant, *, once: bool = False) -> Change:
        """The edit is to be made. One that was asked for before begins anew, for an edit that is made twice changes
        nothing the second time; with ``once`` the change is refused where it was."""
        record: Record = {
            PK: self._key(edit.batch_id),
            SK: _sk(edit.position),
            DOCUMENT: text_of(edit),
            "word": edit.word,
            **kept_for(KEEP_DAYS, edit.created_dts),
        }
        when = (Absent(),) if once else ()
        return Put(TABLE, record | due_attributes(due, self._merchant_id, waiting_name(edit)), when=when)

    def find(self, batch_id: str, position: int) -> BatchEdit | None:
        record = self._port.get(TABLE, self._key(batch_id), _sk(position), consistent=True)
        return noun_of(record, BatchEdit) if record else None

    def ended(self, edit: BatchEdit) -> Change:
        """Made or refused; the change itself is refused where it was asked for anew meanwhile."""
        return Update(
            TABLE,
            self._key(edit.batch_id),
            _sk(edit.position),
            set={DOCUMENT: text_of(edit)},
            remove=("due_shard", "due_key"),
            when=(Equals("word", edit.word),),
        )

    def of(self, batch_id: str) -> list[BatchEdit]:
        """All edits of a batch, in order; none where there is no such batch."""
        page = self._port.query(TABLE, self._key(batch_id), limit=MAXIMUM_ROWS, consistent=True)
        found = [noun_of(record, BatchEdit) for record in page.records]
        cursor = page.cursor
        while cursor is not None:
            page = self._port.query(TABLE, self._key(batch_id), limit=MAXIMUM_ROWS, cursor=cursor, consistent=True)
            found += [noun_of(record, BatchEdit) for record in page.records]
            cursor = page.cursor
        return found

    def _key(self, batch_id: str) -> str:
        return pk(self._merchant_id, "batch", batch_id)


def _sk(position: int) -> str:
    return f"{position:04d}"


def waiting_name(edit: BatchEdit) -> str:
    """What the due index calls it, and a message to the workers."""
    return f"{edit.batch_id}#{edit.position}"
