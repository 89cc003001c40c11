"""Customer profiles as files over HTTP: exports, and imports step by step. The files go by links of their own."""

from typing import Any, get_args

from chalicelib.domain.errors import Invalid
from chalicelib.domain.transfers import (
    CustomerExport,
    CustomerExportRequest,
    CustomerImport,
    CustomerImportRequest,
    ImportableColumn,
    ImportConfirmation,
    ImportFile,
    ImportMapping,
    ImportMappingRequest,
    ImportRow,
    MissingCustomer,
    Outcome,
    Verdict,
)
from chalicelib.domain.wire import whole
from chalicelib.flows import export_customers, import_customers
from chalicelib.handlers import cursors
from chalicelib.handlers.http import Ask, Door, one

door = Door("transfers")

EXPORTS = "/customer/exports"
IMPORTS = "/customer/imports"
ONE_IMPORT = IMPORTS + "/{import_id}"
MAPPINGS = "/customer/import_mappings"
PAGES = ("_limit", cursors.PARAMETER)
SHOWN_ROWS: tuple[str, ...] = (*get_args(Verdict), *get_args(Outcome))


@door(
    "POST",
    EXPORTS,
    "customer_read",
    summary="Export all customers as a CSV or Excel file; it is made in the background",
    takes=CustomerExportRequest,
    gives=CustomerExport,
)
def export_customers_(ask: Ask) -> dict[str, Any]:
    export = export_customers.begin(ask.shop, ask.body(CustomerExportRequest), by=ask.by)
    return one("customer_export", whole(export, ask.form))


@door(
    "GET",
    EXPORTS,
    "customer_read",
    summary="Retrieve exports, the newest first",
    gives=list[CustomerExport],
    query=PAGES,
)
def get_customer_exports(ask: Ask) -> dict[str, Any]:
    return _page(ask, "customer_exports", *ask.shop.transfers.newest(CustomerExport, ask.page()[0], cursors.asked(ask)))


@door(
    "GET",
    EXPORTS + "/{export_id}",
    "customer_read",
    summary="Retrieve an export: how far it is, and a link to its file once it is done",
    gives=CustomerExport,
)
def get_customer_export(ask: Ask, export_id: str) -> dict[str, Any]:
    export = export_customers.shown(ask.shop, ask.shop.transfers.get(CustomerExport, export_id).noun)
    return one("customer_export", whole(export, ask.form))


@door(
    "POST",
    "/customer/import_files",
    "customer_write",
    summary="Ask where a file of customers can be uploaded",
    gives=ImportFile,
)
def ask_import_file(ask: Ask) -> dict[str, Any]:
    return one("import_file", whole(import_customers.ask_upload(ask.shop), ask.form))


@door(
    "POST",
    IMPORTS,
    "customer_write",
    summary="Begin an import of an uploaded file: it is read and compared, and changes nothing before it is confirmed",
    takes=CustomerImportRequest,
    gives=CustomerImport,
)
def import_customers_(ask: Ask) -> dict[str, Any]:
    return _answer(ask, import_customers.begin(ask.shop, ask.body(CustomerImportRequest), by=ask.by))


@door(
    "GET",
    IMPORTS,
    "customer_read",
    summary="Retrieve imports, the newest first",
    gives=list[CustomerImport],
    query=PAGES,
)
def get_customer_imports(ask: Ask) -> dict[str, Any]:
    return _page(ask, "customer_imports", *ask.shop.transfers.newest(CustomerImport, ask.page()[0], cursors.asked(ask)))


@door(
    "GET",
    ONE_IMPORT,
    "customer_read",
    summary="Retrieve an import: its step, its columns, what it would do or has done, and the file of rejected rows",
    gives=CustomerImport,
)
def get_customer_import(ask: Ask, import_id: str) -> dict[str, Any]:
    return _answer(ask, ask.shop.transfers.get(CustomerImport, import_id).noun)


@door(
    "PUT",
    ONE_IMPORT + "/mapping",
    "customer_write",
    summary="Say what the columns of an import's file are, and keep that under a name; rows are compared anew",
    takes=ImportMappingRequest,
    gives=CustomerImport,
)
def map_customer_import(ask: Ask, import_id: str) -> dict[str, Any]:
    return _answer(ask, import_customers.map_columns(ask.shop, import_id, ask.body(ImportMappingRequest)))


@door(
    "GET",
    ONE_IMPORT + "/rows",
    "customer_read",
    summary="Retrieve what each row of an import means, cell by cell, and what became of it",
    gives=list[ImportRow],
    query=("only", *PAGES),
)
def get_customer_import_rows(ask: Ask, import_id: str) -> dict[str, Any]:
    ask.only("only", *PAGES)
    only = ask.query.get("only")
    if only is not None and only not in SHOWN_ROWS:
        raise Invalid.one("/only", "not_allowed_value", f"allowed are {', '.join(SHOWN_ROWS)}")
    limit, _ = ask.page()
    return _page(ask, "rows", *import_customers.rows(ask.shop, import_id, only, limit, cursors.asked(ask)))


@door(
    "GET",
    ONE_IMPORT + "/missing",
    "customer_read",
    summary="Retrieve the customers that are not in an import's file and would be deleted with it",
    gives=list[MissingCustomer],
    query=PAGES,
)
def get_customer_import_missing(ask: Ask, import_id: str) -> dict[str, Any]:
    ask.only(*PAGES)
    limit, _ = ask.page()
    return _page(ask, "customers", *import_customers.missing(ask.shop, import_id, limit, cursors.asked(ask)))


@door(
    "POST",
    ONE_IMPORT + "/confirm",
    "customer_write",
    summary="Write what an import has compared; what would be deleted is named by the digest of its list",
    takes=ImportConfirmation,
    gives=CustomerImport,
)
def confirm_customer_import(ask: Ask, import_id: str) -> dict[str, Any]:
    return _answer(ask, import_customers.confirm(ask.shop, import_id, ask.body(ImportConfirmation)))


@door(
    "POST",
    ONE_IMPORT + "/undo",
    "customer_write",
    summary="Put back what an import has changed, where nobody has changed it since",
    gives=CustomerImport,
)
def undo_customer_import(ask: Ask, import_id: str) -> dict[str, Any]:
    return _answer(ask, import_customers.undo(ask.shop, import_id))


@door(
    "GET",
    "/customer/import_columns",
    "customer_read",
    summary="Retrieve what a column of an import can be, in the order of an export",
    gives=list[ImportableColumn],
)
def get_import_columns(ask: Ask) -> dict[str, Any]:
    return one("import_columns", [whole(column, ask.form) for column in import_customers.importable_columns()])


@door(
    "GET", MAPPINGS, "customer_read", summary="Retrieve the kept mappings of import columns", gives=list[ImportMapping]
)
def get_import_mappings(ask: Ask) -> dict[str, Any]:
    found = [ask.shop.import_mappings.find(name) for name in ask.shop.import_mappings.names()]
    return one("import_mappings", [whole(kept.noun, ask.form) for kept in found if kept])


@door("DELETE", MAPPINGS + "/{name}", "customer_write", summary="Delete a kept mapping of import columns")
def delete_import_mapping(ask: Ask, name: str) -> None:
    import_customers.delete_mapping(ask.shop, name)


def _answer(ask: Ask, job: CustomerImport) -> dict[str, Any]:
    return one("customer_import", whole(import_customers.shown(ask.shop, job), ask.form))


def _page(ask: Ask, name: str, found: list[Any], cursor: dict[str, Any] | None) -> dict[str, Any]:
    answer = one(name, [whole(noun, ask.form) for noun in found])
    answer["metadata"].update(cursors.next_page(ask, cursor))
    return answer
