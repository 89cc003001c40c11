"""A shelf of nouns of one kind: insert, read, replace, remove, each under its version."""

from collections.abc import Iterable
from typing import Generic, TypeVar

from chalicelib.domain.errors import NotFound
from chalicelib.stores.port import MAXIMUM_GET_MANY, MAXIMUM_PAGE, Change, Check, Cursor, Delete, Present, TablePort
from chalicelib.stores.records import (
    DOCUMENT,
    VERSION,
    Versioned,
    claimed,
    inserted,
    noun_of,
    pk,
    removed,
    replaced,
    versioned,
)
from chalicelib.stores.tables import PK, SK

T = TypeVar("T")


class Shelf(Generic[T]):
    """One merchant's nouns of one kind, each under its own name (an id or an oid)."""

    def __init__(self, port: TablePort, merchant_id: str, table: str, kind: str, type_: type[T]) -> None:
        self._port = port
        self._merchant_id = merchant_id
        self._table = table
        self._kind = kind
        self._type = type_

    def find(self, name: object, *, consistent: bool = True) -> Versioned[T] | None:
        return versioned(self._port.get(self._table, self._key(name), DOCUMENT, consistent=consistent), self._type)

    def get(self, name: object) -> Versioned[T]:
        """Raises NotFound."""
        found = self.find(name)
        if found is None:
            raise NotFound(self._kind.replace("_", " "), name)
        return found

    def get_many(self, names: list[str]) -> list[T]:
        """Those that exist, in order, not necessarily the newest."""
        found: list[T] = []
        for start in range(0, len(names), MAXIMUM_GET_MANY):
            keys = [(self._key(name), DOCUMENT) for name in names[start : start + MAXIMUM_GET_MANY]]
            found += [noun_of(record, self._type) for record in self._port.get_many(self._table, keys)]
        return found

    def kept_many(self, names: Iterable[object]) -> dict[str, Versioned[T]]:
        """Those that exist, as they stand now, each under its name."""
        wanted = {self._key(name): str(name) for name in names}
        keys = [(key, DOCUMENT) for key in wanted]
        found: dict[str, Versioned[T]] = {}
        for start in range(0, len(keys), MAXIMUM_GET_MANY):
            for record in self._port.get_many(self._table, keys[start : start + MAXIMUM_GET_MANY], consistent=True):
                found[wanted[str(record[PK])]] = Versioned(noun_of(record, self._type), int(record[VERSION]))
        return found

    def inserted(self, name: object, noun: T, *, version: int = 1) -> Change:
        """A new one; ``version`` is another than the first where it stood here before, so that what follows it never
        goes back."""
        return inserted(self._table, self._key(name), DOCUMENT, noun, version=version)

    def replaced(self, name: object, noun: T, version: int) -> Change:
        return replaced(self._table, self._key(name), DOCUMENT, noun, version)

    def removed(self, name: object, version: int) -> Change:
        return removed(self._table, self._key(name), DOCUMENT, version)

    def standing(self, name: object) -> Change:
        """No change; refused where there is none of that name."""
        return Check(self._table, self._key(name), DOCUMENT, when=(Present(),))

    def named(self, by: str, value: object, name: str) -> Change:
        """A second, unique name (an oid, an e-mail address) for the noun called ``name``."""
        return claimed(self._table, self._key_by(by, value), by, name=name)

    def unnamed(self, by: str, value: object) -> Change:
        return Delete(self._table, self._key_by(by, value), by)

    def name_by(self, by: str, value: object) -> str | None:
        record = self._port.get(self._table, self._key_by(by, value), by, consistent=True)
        return str(record["name"]) if record else None

    def names_by(self, by: str, values: Iterable[object]) -> dict[str, str]:
        """Of each value that names a noun, the noun's name."""
        wanted = {self._key_by(by, value): str(value) for value in values}
        keys = [(key, by) for key in wanted]
        found: dict[str, str] = {}
        for start in range(0, len(keys), MAXIMUM_GET_MANY):
            for record in self._port.get_many(self._table, keys[start : start + MAXIMUM_GET_MANY], consistent=True):
                found[wanted[str(record[PK])]] = str(record["name"])
        return found

    def listed(self, name: object) -> Change:
        """A row in the shelf's own list, in the transaction that inserts the noun: for kinds that no search knows."""
        return claimed(self._table, self._list(), str(name))

    def unlisted(self, name: object) -> Change:
        return Delete(self._table, self._list(), str(name))

    def names(self) -> list[str]:
        """The names of all nouns that were listed, in the order of their letters. All of them are read: for kinds of
        which a merchant has few."""
        found: list[str] = []
        cursor: Cursor | None = None
        while True:
            page = self._port.query(self._table, self._list(), limit=MAXIMUM_PAGE, cursor=cursor, consistent=True)
            found += [str(record[SK]) for record in page.records]
            cursor = page.cursor
            if cursor is None:
                return found

    def _list(self) -> str:
        return pk(self._merchant_id, self._kind)

    def _key(self, name: object) -> str:
        return pk(self._merchant_id, self._kind, name)

    def _key_by(self, by: str, value: object) -> str:
        return pk(self._merchant_id, self._kind, by, value)
