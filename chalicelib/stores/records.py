"""How a record is made: its keys, its version, its one document, and its place in the due index."""

from hashlib import sha256
from typing import Generic, TypeVar

import msgspec

from chalicelib.domain import wire
from chalicelib.domain.dates import Instant, later
from chalicelib.domain.errors import Invalid
from chalicelib.domain.heads import shard_of
from chalicelib.stores.port import Absent, Delete, Equals, Put, Record, Update, Value
from chalicelib.stores.tables import DUE_SHARDS, EXPIRES, PK, SK

T = TypeVar("T")

DOCUMENT = "document"
VERSION = "version"
# A document larger than this is refused, naming the field: far above any real one, below DynamoDB's 400 KB.
MAXIMUM_DOCUMENT_BYTES = 300 * 1024
# Of a hash that stands for a name: no two people of a shop have the same.
NAME_DIGITS = 40


class Versioned(msgspec.Struct, Generic[T], frozen=True):
    """A noun as it stands, with the version that the next write must name."""

    noun: T
    version: int


def pk(merchant_id: str, *parts: object) -> str:
    """A hash key: the merchant, then what spreads."""
    return "#".join((merchant_id, *map(str, parts)))


def text_of(noun: object) -> str:
    text = wire.kept(noun)
    if len(text.encode()) > MAXIMUM_DOCUMENT_BYTES:
        raise Invalid.one("", "too_large", f"the record would be larger than {MAXIMUM_DOCUMENT_BYTES // 1024} KB")
    return text


def known_by(merchant_id: str, name: str) -> str:
    """What a person is known by (an e-mail address, mostly), as it stands in a key: told apart by it, and not to be
    read. Records with such keys are never deleted, so no key of theirs may name anybody."""
    return sha256(f"{merchant_id}\x1f{name}".encode()).hexdigest()[:NAME_DIGITS]


def inserted(table: str, pk_: str, sk: str, noun: object, **attributes: Value) -> Put:
    """Put version 1 where nothing stands."""
    record: Record = {PK: pk_, SK: sk, VERSION: 1, DOCUMENT: text_of(noun), **attributes}
    return Put(table, record, when=(Absent(),))


def replaced(table: str, pk_: str, sk: str, noun: object, version: int, **attributes: Value) -> Put:
    """Put the next version over exactly this one."""
    record: Record = {PK: pk_, SK: sk, VERSION: version + 1, DOCUMENT: text_of(noun), **attributes}
    return Put(table, record, when=(Equals(VERSION, version),))


def removed(table: str, pk_: str, sk: str, version: int) -> Delete:
    return Delete(table, pk_, sk, when=(Equals(VERSION, version),))


def claimed(table: str, pk_: str, sk: str, **attributes: Value) -> Put:
    """A row that makes something unique: there is one or there is none."""
    return Put(table, {PK: pk_, SK: sk, **attributes}, when=(Absent(),))


def noun_of(record: Record, type_: type[T]) -> T:
    return wire.load(str(record[DOCUMENT]), type_)


def versioned(record: Record | None, type_: type[T]) -> Versioned[T] | None:
    return Versioned(noun_of(record, type_), int(record[VERSION])) if record else None


def due_key(when: Instant, merchant_id: str, subject: str) -> str:
    return f"{when}#{merchant_id}#{subject}"


def due_attributes(when: Instant | None, merchant_id: str, subject: str) -> Record:
    """The two attributes that put a record into the due index; none where nothing is due."""
    if when is None:
        return {}
    return {"due_shard": shard_of(merchant_id, subject, DUE_SHARDS), "due_key": due_key(when, merchant_id, subject)}


def kept_for(days: int, since: Instant) -> Record:
    """The attribute after which the record may be swept away, in a table that has a broom."""
    return {EXPIRES: int(later(since, days=days).timestamp())}


def pushed(table: str, pk_: str, sk: str, merchant_id: str, subject: str, seen: str, until: Instant) -> Update:
    """Look again later: only where nobody has moved the due time since it was seen."""
    return Update(
        table, pk_, sk, set={"due_key": due_key(until, merchant_id, subject)}, when=(Equals("due_key", seen),)
    )
