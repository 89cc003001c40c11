"""Exporting profiles, all or those that a search means: gathered in pieces, then written as one file. How far it has
come stands in the export, so a message that comes twice does nothing, and one that breaks off is gone on with."""

from collections.abc import Iterator
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from chalicelib.domain import sheets
from chalicelib.domain.customer_search import CustomerQuery
from chalicelib.domain.dates import later
from chalicelib.domain.errors import Contended, Invalid, Problem, Refused
from chalicelib.domain.transfers import (
    CONTENT_TYPES,
    PASSING_DAYS,
    CustomerExport,
    CustomerExportRequest,
    CustomerImport,
)
from chalicelib.flows.find_customers import all_customers, matcher
from chalicelib.flows.ports import Kept, Shop

F = TypeVar("F", CustomerExport, CustomerImport)

FILES_QUEUE = "files"
EXPORT = "export"
# Profiles of one piece: some 2 MB, gathered in a second or two.
PIECE = 1_000
# No piece is begun with less time left; the whole file is written at the beginning of a call, with all the time it has.
STOP_BEFORE_SECONDS = 15
# Exports and imports that a shop may begin: each reads every profile that there is.
AN_HOUR, HOUR_SECONDS = 30, 3600
# Whoever has asked for the link follows it at once.
LINK_SECONDS = 600


def new_id(shop: Shop) -> str:
    """Ids sort as they were asked for."""
    return f"{shop.clock.now():%Y%m%d%H%M%S}-{shop.word()}"


def begin(shop: Shop, asked: CustomerExportRequest, *, by: str = "") -> CustomerExport:
    """Raises Invalid for a column that there is not and a criterion that is not one, TooMany."""
    unknown = [
        Problem(pointer=f"/columns/{position}", code="unknown", message=f"there is no column {name}")
        for position, name in enumerate(asked.columns or [])
        if name not in sheets.known()
    ]
    if asked.query is not None:
        try:
            matcher(shop, asked.query)
        except Invalid as invalid:
            unknown += [replace(problem, pointer=f"/query{problem.pointer}") for problem in invalid.problems]
    if unknown:
        raise Invalid(unknown)
    now = shop.clock.now()
    shop.limits.take("customer_transfers", AN_HOUR, HOUR_SECONDS, now)
    export = CustomerExport(
        export_id=new_id(shop),
        format=asked.format,
        columns=asked.columns,
        query=asked.query,
        created_dts=now,
        created_by=by or None,
    )
    return asked_for(shop, EXPORT, export)


def asked_for(shop: Shop, kind: str, transfer: F) -> F:
    """Written down first, then sent. Raises Contended where its id is another's."""
    transfer.kept_until_dts = later(transfer.created_dts, days=PASSING_DAYS)
    if not advanced(shop, transfer, 0):
        raise Contended("that cannot be begun at this moment; try again")
    send(shop, kind, transfer.transfer_id)
    return transfer


def send(shop: Shop, kind: str, id_: str) -> None:
    shop.queue.send(FILES_QUEUE, [{"merchant_id": shop.merchant_id, "kind": kind, "id": id_}])


def advanced(shop: Shop, transfer: F, version: int) -> bool:
    """Whether it stands as it was just written; ``version`` 0: it is new. Where another worker has come further, this
    one is done; where only the answer got lost, it was us."""
    try:
        shop.write(shop.transfers.moved(transfer, version) if version else shop.transfers.begun(transfer))
    except Refused:
        found = shop.transfers.find(type(transfer), transfer.transfer_id)
        return found is not None and found.noun == transfer
    return True


def shown(shop: Shop, export: CustomerExport) -> CustomerExport:
    """The export with a link to its file, where it is done."""
    if export.state == "done":
        name, type_ = export.file_name or "", CONTENT_TYPES[export.format]
        export.url = shop.files.link(_file(export), name, type_, LINK_SECONDS)
    return export


def go_on(shop: Shop, export_id: str) -> None:
    """As much as one call does, and a message for the rest."""
    kept = shop.transfers.find(CustomerExport, export_id)
    if kept is None or kept.noun.state in ("done", "failed"):
        return
    export = kept.noun
    if export.state == "waiting":
        _look_who_there_is(shop, kept)
    elif export.state == "gathering":
        _gather(shop, kept)
    else:
        _write(shop, kept)


def _look_who_there_is(shop: Shop, kept: Kept[CustomerExport]) -> None:
    """The names of all that are meant, fixed: who comes while the export runs is not in it."""
    export = kept.noun
    try:
        names = sorted(all_customers(shop, export.query or CustomerQuery()), key=int)
    except Invalid as invalid:
        export.state, export.problem, export.finished_dts = "failed", invalid.problems[0].message, shop.clock.now()
        _moved(shop, export, kept.version)
        return
    shop.files.write(_part(export, "names"), [msgspec.json.encode(names)], "application/json")
    export.state, export.number_of_profiles, export.lengths = "gathering", len(names), {}
    _moved(shop, export, kept.version)


def _gather(shop: Shop, kept: Kept[CustomerExport]) -> None:
    export, version = kept.noun, kept.version
    names = msgspec.json.decode(b"".join(shop.files.pieces(_part(export, "names"))), type=list[str])
    while export.pieces * PIECE < len(names):
        if shop.time_left() < STOP_BEFORE_SECONDS:
            send(shop, EXPORT, export.export_id)
            return
        start = export.pieces * PIECE
        profiles = shop.customers.get_many(names[start : start + PIECE])
        rows = msgspec.json.encode([sheets.cells_of(customer) for customer in profiles])
        shop.files.write(_part(export, f"rows-{export.pieces}"), [rows], "application/json")
        longest = dict(export.lengths or {})
        for customer in profiles:
            for field, length in sheets.lengths_of(customer).items():
                longest[field] = max(length, longest.get(field, 0))
        export.lengths, export.pieces = longest, export.pieces + 1
        export.number_done += len(profiles)
        if export.pieces * PIECE >= len(names):
            break
        if not advanced(shop, export, version):
            return
        version += 1
    export.state, export.number_of_profiles = "writing", export.number_done
    _moved(shop, export, version)


def _write(shop: Shop, kept: Kept[CustomerExport]) -> None:
    export = kept.noun
    names = export.columns or [column.name for column in sheets.columns(export.lengths or {})]

    def rows() -> Iterator[list[str]]:
        yield names
        for piece in range(export.pieces):
            for row in _rows(shop, export, piece):
                yield [row.get(name, "") for name in names]

    now = shop.clock.now()
    try:
        written = shop.sheets.written(rows(), export.format)
        export.file_size = shop.files.write(_file(export), written, CONTENT_TYPES[export.format])
        export.file_name, export.state = f"customers-{export.created_dts:%Y-%m-%d}.{export.format}", "done"
    except Invalid as invalid:
        export.state, export.problem = "failed", invalid.problems[0].message
    export.finished_dts = now
    _moved(shop, export, kept.version)
    for piece in range(export.pieces):
        shop.files.delete(_part(export, f"rows-{piece}"))


def _rows(shop: Shop, export: CustomerExport, piece: int) -> list[dict[str, str]]:
    text = b"".join(shop.files.pieces(_part(export, f"rows-{piece}")))
    return msgspec.json.decode(text, type=list[dict[str, str]])


def _moved(shop: Shop, export: CustomerExport, version: int) -> None:
    """The next step is a message of its own: it has a whole call's time."""
    if advanced(shop, export, version) and export.state not in ("done", "failed"):
        send(shop, EXPORT, export.export_id)


def _part(export: CustomerExport, name: str) -> str:
    return f"passing/exports/{export.export_id}/{name}"


def _file(export: CustomerExport) -> str:
    return _part(export, f"customers.{export.format}")
