"""Importing profiles: a file is read into pieces, compared cell by cell (the dry run), confirmed by a person, written
piece by piece, and can be undone.

What was compared is what is written: a profile that somebody changed in between is left and named. Before a piece is
written, what is meant and what stood there is kept; so a message that comes twice, or a call that breaks off anywhere,
changes nothing twice, and undoing finds what was there.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import sha256
from itertools import chain, islice
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from chalicelib.domain import imports, sheets, wire
from chalicelib.domain.customers import Customer, normalised_email, stamped
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, NotFound, Problem, Stale
from chalicelib.domain.sheets import Edit
from chalicelib.domain.transfers import (
    CONTENT_TYPES,
    MAXIMUM_FILE_BYTES,
    MAXIMUM_MAPPINGS,
    REASONS,
    CustomerImport,
    CustomerImportRequest,
    Format,
    ImportableColumn,
    ImportColumn,
    ImportConfirmation,
    ImportFile,
    ImportMapping,
    ImportMappingRequest,
    ImportOutcome,
    ImportPlan,
    ImportRow,
    MissingCustomer,
    Outcome,
    counted,
)
from chalicelib.flows import profiles
from chalicelib.flows.export_customers import (
    AN_HOUR,
    HOUR_SECONDS,
    LINK_SECONDS,
    STOP_BEFORE_SECONDS,
    advanced,
    asked_for,
    new_id,
    send,
)
from chalicelib.flows.ports import Kept, Shop
from chalicelib.flows.pricing_tiers import with_tiers

IMPORT = "import"
# Rows of one piece: written in some ten seconds, and seen on one or two pages.
PIECE = 500
# Pieces of which one page of rows is looked for: a page may be short and still have a next one.
MOST_LOOKED_THROUGH = 20
# Whatever is done by the workers, in which nothing can be asked of a person.
WORKING = ("reading", "comparing", "applying", "undoing")
CHANGED_SINCE = "somebody changed the profile since the dry run: import the row again"
TAKEN_SINCE = "somebody made a profile of this address since the dry run: import the row again"
KEPT_SINCE = "somebody changed the profile since it was imported: it stays as it is"
NOT_AGAIN = "its address, or its number, is another profile's by now"

T = TypeVar("T")


# --- asked for by a person --------------------------------------------------------------------------------------------


def ask_upload(shop: Shop) -> ImportFile:
    """Where a file can be put. Raises TooMany."""
    shop.limits.take("customer_uploads", AN_HOUR, HOUR_SECONDS, shop.clock.now())
    file = new_id(shop)
    return ImportFile(file=file, upload=shop.files.upload(_uploaded(file), MAXIMUM_FILE_BYTES))


def begin(shop: Shop, asked: CustomerImportRequest, *, by: str = "") -> CustomerImport:
    """Raises Invalid for a file or a mapping that is not there, TooMany."""
    problems: list[Problem] = []
    if shop.files.size(_uploaded(asked.file)) is None:
        problems.append(Problem(pointer="/file", code="unknown", message="was not uploaded, or it was thrown away"))
    if asked.mapping is not None and shop.import_mappings.find(asked.mapping) is None:
        problems.append(Problem(pointer="/mapping", code="unknown", message=f"there is no mapping {asked.mapping}"))
    if asked.format == "xlsx" and asked.delimiter is not None:
        problems.append(Problem(pointer="/delimiter", code="conflict", message="is of CSV files only"))
    if problems:
        raise Invalid(problems)
    now = shop.clock.now()
    shop.limits.take("customer_transfers", AN_HOUR, HOUR_SECONDS, now)
    job = CustomerImport(
        import_id=new_id(shop), created_dts=now, created_by=by or None, **msgspec.structs.asdict(asked)
    )
    return asked_for(shop, IMPORT, job)


def importable_columns() -> list[ImportableColumn]:
    """What a column of a file can be, the same in every shop."""
    return [ImportableColumn(column=name) for name in sheets.known()]


def map_columns(shop: Shop, import_id: str, asked: ImportMappingRequest) -> CustomerImport:
    """Say what the columns are; then all rows are compared anew. Raises NotFound, and Invalid with all problems."""
    kept = _in_state(shop, import_id, "mapping", "compared")
    job = kept.noun
    job.columns = imports.mapped(job.columns or [], asked.columns)
    problems = imports.unknown_columns(job.columns)
    if problems:
        raise Invalid(problems)
    if asked.save_as is not None:
        _save_mapping(shop, asked.save_as, job.columns)
    return _into(shop, kept, _compared_anew(job))


def confirm(shop: Shop, import_id: str, asked: ImportConfirmation) -> CustomerImport:
    """Write what was compared. The same again goes on with it. Raises NotFound, and Invalid where that is not the list
    of profiles that are to go."""
    kept = _in_state(shop, import_id, "compared", "applying")
    job = kept.noun
    if job.state == "applying":
        send(shop, IMPORT, job.import_id)
        return job
    if job.number_to_delete and asked.delete_digest != job.delete_digest:
        message = f"must be that of the list of the {job.number_to_delete:,} profiles that go: look at them first"
        raise Invalid.one("/delete_digest", "required" if asked.delete_digest is None else "conflict", message)
    job.state, job.piece, job.number_done = "applying", 0, 0
    return _into(shop, kept, job)


def undo(shop: Shop, import_id: str) -> CustomerImport:
    """Put back what the import changed, where nobody has changed it since. The same again goes on with it."""
    kept = _in_state(shop, import_id, "applied", "undoing")
    job = kept.noun
    if job.state == "undoing":
        send(shop, IMPORT, job.import_id)
        return job
    job.state, job.piece, job.number_done, job.undo_dts = "undoing", 0, 0, shop.clock.now()
    job.finished_dts = None
    return _into(shop, kept, job)


def shown(shop: Shop, job: CustomerImport) -> CustomerImport:
    """The import with a link to the file of what was rejected, where there is any."""
    if job.rejected_format is not None:
        name, type_ = f"rejected.{job.rejected_format}", CONTENT_TYPES[job.rejected_format]
        job.rejected_url = shop.files.link(_part(job, f"rejected-{job.step}"), name, type_, LINK_SECONDS)
    return job


def rows(
    shop: Shop, import_id: str, only: str | None, limit: int, cursor: Any = None
) -> tuple[list[ImportRow], dict[str, int] | None]:
    """A page of the file's rows with what is meant by each, and what became of it; ``only`` those of one verdict or
    outcome. Raises NotFound."""
    job = shop.transfers.get(CustomerImport, import_id).noun
    if job.state in ("reading", "mapping", "comparing", "refused"):
        return [], None

    def of(piece: int) -> list[ImportRow]:
        outcomes = _outcomes(shop, job, piece)
        return [_with_outcome(row, outcomes.get(row.row)) for row in _load(shop, _verdicts(job, piece), ImportRow)]

    return _page(of, job.pieces, lambda row: only in (None, row.verdict, row.outcome), limit, cursor)


def missing(
    shop: Shop, import_id: str, limit: int, cursor: Any = None
) -> tuple[list[MissingCustomer], dict[str, int] | None]:
    """A page of the profiles that are not in the file. Raises NotFound."""
    job = shop.transfers.get(CustomerImport, import_id).noun
    if job.state in ("reading", "mapping", "comparing", "refused"):
        return [], None

    def of(piece: int) -> list[MissingCustomer]:
        outcomes = _outcomes(shop, job, job.pieces + piece)
        return [_with_outcome(one, outcomes.get(one.customer_profile_oid)) for one in _missing(shop, job, piece)]

    return _page(of, job.missing_pieces, lambda one: True, limit, cursor)


def _page(of: Any, pieces: int, wanted: Any, limit: int, cursor: Any) -> tuple[list[Any], dict[str, int] | None]:
    piece, position = (int(cursor["piece"]), int(cursor["position"])) if cursor else (0, 0)
    found: list[Any] = []
    for looked in range(piece, min(pieces, piece + MOST_LOOKED_THROUGH)):
        for at, one in enumerate(of(looked)):
            if looked == piece and at < position:
                continue
            if len(found) == limit:
                return found, {"piece": looked, "position": at}
            if wanted(one):
                found.append(one)
    rest = piece + MOST_LOOKED_THROUGH
    return found, {"piece": rest, "position": 0} if rest < pieces else None


def _with_outcome(row: Any, outcome: ImportOutcome | None) -> Any:
    if outcome is not None:
        row.outcome, row.message = outcome.outcome, outcome.message
        row.customer_profile_oid = outcome.customer_profile_oid
    return row


def _in_state(shop: Shop, import_id: str, *states: str) -> Kept[CustomerImport]:
    kept = shop.transfers.get(CustomerImport, import_id)
    if kept.noun.state not in states:
        raise Invalid.one("/state", "conflict", f"is {kept.noun.state}; that is for imports that are {states[0]}")
    return kept


def _into(shop: Shop, kept: Kept[CustomerImport], job: CustomerImport) -> CustomerImport:
    if not advanced(shop, job, kept.version):
        raise Stale("Somebody else is at this import: look at it again.")
    send(shop, IMPORT, job.import_id)
    return job


def _save_mapping(shop: Shop, name: str, columns: list[ImportColumn]) -> None:
    mapping = ImportMapping(name=name, columns={column.heading: column.column or "" for column in columns})
    kept = shop.import_mappings.find(name)
    if kept is not None:
        shop.write(shop.import_mappings.replaced(name, mapping, kept.version))
        return
    if len(shop.import_mappings.names()) >= MAXIMUM_MAPPINGS:
        raise Invalid.one("/save_as", "out_of_range", f"a shop keeps {MAXIMUM_MAPPINGS} mappings: delete one")
    shop.write(shop.import_mappings.inserted(name, mapping), shop.import_mappings.listed(name))


def delete_mapping(shop: Shop, name: str) -> None:
    """Raises NotFound."""
    kept = shop.import_mappings.get(name)
    shop.write(shop.import_mappings.removed(name, kept.version), shop.import_mappings.unlisted(name))


# --- done by the workers ----------------------------------------------------------------------------------------------


def go_on(shop: Shop, import_id: str) -> None:
    """As much as one call does, and a message for the rest. A stale message finds nothing to do."""
    kept = shop.transfers.find(CustomerImport, import_id)
    if kept is None or kept.noun.state not in WORKING:
        return
    match kept.noun.state:
        case "reading":
            _read(shop, kept)
        case "comparing":
            _walk(shop, kept, _compare, kept.noun.pieces, _all_compared)
        case "applying":
            _walk(shop, kept, _apply, _all_pieces(kept.noun), _finished("applied"))
        case _:
            _walk(shop, kept, _undo, _all_pieces(kept.noun), _finished("undone"))


def _all_pieces(job: CustomerImport) -> int:
    return job.pieces + job.missing_pieces


def _walk(shop: Shop, kept: Kept[CustomerImport], act: Any, pieces: int, end: Any) -> None:
    """Piece by piece, as long as there is time; each ends with how far it has come. ``act`` gives False where another
    worker has come further."""
    job, version = kept.noun, kept.version
    memory: dict[str, Any] = {}
    while job.piece < pieces:
        if shop.time_left() < STOP_BEFORE_SECONDS:
            send(shop, IMPORT, job.import_id)
            return
        moved = act(shop, job, version, memory)
        if moved is None:
            return
        version = moved
    end(shop, job, memory)
    if advanced(shop, job, version) and job.state in WORKING:
        send(shop, IMPORT, job.import_id)


def _finished(state: Any) -> Any:
    def end(shop: Shop, job: CustomerImport, memory: dict[str, Any]) -> None:
        job.state, job.finished_dts = state, shop.clock.now()

    return end


def _rows_in(job: CustomerImport, piece: int, outcomes: list[ImportOutcome]) -> int:
    """How much further a piece brings it: by the rows of the file that it is of, whatever was to be done with them."""
    return min(PIECE, job.number_of_rows - piece * PIECE) if piece < job.pieces else len(outcomes)


def _next_piece(shop: Shop, job: CustomerImport, version: int, rows_done: int) -> int | None:
    job.piece += 1
    job.number_done += rows_done
    return version + 1 if advanced(shop, job, version) else None


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(shop: Shop, kept: Kept[CustomerImport]) -> None:
    """The file, cut into pieces of rows; who reads it a second time writes the same pieces."""
    job = kept.noun
    try:
        headings, filled = _cut(shop, job)
    except Invalid as invalid:
        job.state, job.problem = "refused", f"The file {invalid.problems[0].message}."
    except NotFound:
        job.state, job.problem = "refused", "The file was thrown away before it was read."
    else:
        mapping = shop.import_mappings.find(job.mapping) if job.mapping else None
        job.columns = imports.columns_of(headings, filled, mapping.noun.columns if mapping else {})
        if imports.unknown_columns(job.columns):
            job.state = "mapping"
            job.problem = "; ".join(problem.message for problem in imports.unknown_columns(job.columns))[:2000]
        else:
            _compared_anew(job)
    if job.state == "refused":
        job.finished_dts = shop.clock.now()
    if advanced(shop, job, kept.version) and job.state in WORKING:
        send(shop, IMPORT, job.import_id)


def _cut(shop: Shop, job: CustomerImport) -> tuple[list[str], set[int]]:
    """The headings, and the positions under which anything stands."""
    pieces = shop.files.pieces(_uploaded(job.file))
    every = shop.sheets.rows(pieces, job.format, delimiter=job.delimiter, encoding=job.encoding)
    headings: list[str] | None = None
    filled: set[int] = set()
    waiting: list[tuple[int, list[str]]] = []
    job.pieces = job.number_of_rows = 0
    for number, cells in enumerate(every, start=1):
        if not cells:
            continue
        if headings is None:
            headings = cells
            continue
        filled.update(position for position, cell in enumerate(cells) if cell)
        waiting.append((number, cells))
        job.number_of_rows += 1
        if len(waiting) == PIECE:
            _keep(shop, _part(job, f"rows-{job.pieces}"), waiting)
            job.pieces += 1
            waiting = []
    if waiting:
        _keep(shop, _part(job, f"rows-{job.pieces}"), waiting)
        job.pieces += 1
    if headings is None:
        raise Invalid.one("/file", "required", "holds nothing")
    return headings, filled


# --- comparing --------------------------------------------------------------------------------------------------------


def _compared_anew(job: CustomerImport) -> CustomerImport:
    job.state, job.problem, job.piece, job.number_done, job.step = "comparing", None, 0, 0, job.step + 1
    job.number_to_create = job.number_to_change = job.number_same = job.number_rejected = 0
    job.number_to_delete, job.delete_digest, job.missing_pieces, job.rejected_format = 0, None, 0, None
    return job


def _compare(shop: Shop, job: CustomerImport, version: int, memory: dict[str, Any]) -> int | None:
    seen, oids = _seen(shop, job, memory)
    lines = _load(shop, _part(job, f"rows-{job.piece}"), tuple[int, list[str]])
    found = _judged(shop, job, lines, seen)
    oids.update(row.customer_profile_oid for row in found if row.customer_profile_oid)
    _keep(shop, _verdicts(job, job.piece), found)
    numbers = counted(found, "verdict")
    job.number_to_create += numbers.get("create", 0)
    job.number_to_change += numbers.get("change", 0)
    job.number_same += numbers.get("same", 0)
    job.number_rejected += numbers.get("reject", 0)
    return _next_piece(shop, job, version, len(lines))


def _seen(shop: Shop, job: CustomerImport, memory: dict[str, Any]) -> tuple[dict[str, int], set[int]]:
    """In which row each address stood, and whose profiles were met, in the pieces before this one."""
    if not memory:
        memory |= {"seen": {}, "oids": set()}
        for piece in range(job.piece):
            for row in _load(shop, _verdicts(job, piece), ImportRow):
                if row.email:
                    memory["seen"].setdefault(normalised_email(row.email), row.row)
                if row.customer_profile_oid:
                    memory["oids"].add(row.customer_profile_oid)
    return memory["seen"], memory["oids"]


def _judged(
    shop: Shop, job: CustomerImport, lines: list[tuple[int, list[str]]], seen: dict[str, int]
) -> list[ImportRow]:
    columns = job.columns or []
    tabled = [(number, imports.cells_of_row(columns, cells)) for number, cells in lines]
    emails = {email for _, cells in tabled if (email := imports.email_of(cells))}
    names = shop.customers.names_by(profiles.EMAIL, emails)
    strangers = {oid for _, cells in tabled if (oid := imports.oid_said(cells)).isdecimal() and len(oid) <= 10}
    standing = shop.customers.kept_many({*names.values(), *strangers})
    found = []
    for number, cells in tabled:
        email = imports.email_of(cells)
        before = standing.get(names.get(email, ""))
        if email in seen:
            row = ImportRow(row=number, verdict="same", email=cells["email"].strip())
            message = f"stands in row {seen[email]:,} already"
            found.append(imports.rejected(row, [Problem(pointer="email", code="duplicate", message=message)]))
            continue
        if email:
            seen[email] = number
        noun, version = (before.noun, before.version) if before else (None, 0)
        keep = job.blank_cells == "keep"
        row = imports.judged(
            number, cells, noun, version, blanks_keep=keep, oids=standing.keys(), whole=partial(with_tiers, shop)
        )
        found.append(row)
    return found


def _all_compared(shop: Shop, job: CustomerImport, memory: dict[str, Any]) -> None:
    if job.number_rejected:
        try:
            _write_rejected(shop, job, job.format)
        except Invalid:
            # A cell of the file is longer than Excel's own.
            _write_rejected(shop, job, "csv")
    refused = None
    if job.delete_missing:
        try:
            _look_who_is_missing(shop, job, _seen(shop, job, memory)[1])
        except Invalid as invalid:
            refused = invalid.problems[0].message
    # Only now: up to here it says how many pieces have been seen.
    job.state, job.piece = "compared", 0
    if refused is not None:
        job.state, job.problem, job.finished_dts = "refused", refused, shop.clock.now()


def _write_rejected(shop: Shop, job: CustomerImport, format_: Format) -> None:
    written = shop.sheets.written(_rejected(shop, job), format_)
    shop.files.write(_part(job, f"rejected-{job.step}"), written, CONTENT_TYPES[format_])
    job.rejected_format = format_


def _look_who_is_missing(shop: Shop, job: CustomerImport, oids: set[int]) -> None:
    names = sorted((name for name, _ in shop.lists.rows("customer") if int(name) not in oids), key=int)
    digest = sha256()
    for start in range(0, len(names), PIECE):
        standing = shop.customers.kept_many(names[start : start + PIECE])
        found = [
            MissingCustomer(customer_profile_oid=int(name), email=kept.noun.email or "", version=kept.version)
            for name, kept in standing.items()
        ]
        found.sort(key=lambda one: one.customer_profile_oid)
        _keep(shop, _part(job, f"missing-{job.step}-{job.missing_pieces}"), found)
        digest.update(imports.digest_of(found).encode())
        job.missing_pieces += 1
        job.number_to_delete += len(found)
    job.delete_digest = digest.hexdigest() if job.number_to_delete else None


def _rejected(shop: Shop, job: CustomerImport) -> Iterator[list[str]]:
    """The rows that were rejected, as they came, each with the reasons."""
    columns = [column for column in job.columns or [] if column.heading.lower() != REASONS]
    yield [*(column.heading for column in columns), REASONS]
    for piece in range(job.pieces):
        bad = {row.row: row for row in _load(shop, _verdicts(job, piece), ImportRow) if row.verdict == "reject"}
        if not bad:
            continue
        for number, cells in _load(shop, _part(job, f"rows-{piece}"), tuple[int, list[str]]):
            if number in bad:
                came = [cells[column.position] if column.position < len(cells) else "" for column in columns]
                yield [*came, imports.reasons(bad[number])]


# --- writing ----------------------------------------------------------------------------------------------------------


def _apply(shop: Shop, job: CustomerImport, version: int, memory: dict[str, Any]) -> int | None:
    """First what is meant is kept, under a name by chance that the import then names: of two workers one's plan is the
    plan. Then it is done, and what became of it is kept."""
    if job.plan is None:
        plan = _planned(shop, job) if job.piece < job.pieces else _deletions(shop, job)
        job.plan = f"plan-{job.piece}-{shop.word()}"
        _keep(shop, _part(job, job.plan), plan)
        if not advanced(shop, job, version):
            return None
        version += 1
    plan = _load(shop, _part(job, job.plan), ImportPlan)
    _keep(shop, _part(job, f"planned-{job.piece}"), plan)
    outcomes = [_applied(shop, one) for one in plan]
    _keep(shop, _part(job, f"outcomes-{job.piece}"), outcomes)
    done = counted([one for one in outcomes if one.outcome == "applied"], "verdict")
    job.plan = None
    job.number_created += done.get("create", 0)
    job.number_changed += done.get("change", 0)
    job.number_deleted += done.get("delete", 0)
    job.number_left += counted(outcomes, "outcome").get("left", 0)
    return _next_piece(shop, job, version, _rows_in(job, job.piece, outcomes))


def _planned(shop: Shop, job: CustomerImport) -> list[ImportPlan]:
    meant = [row for row in _load(shop, _verdicts(job, job.piece), ImportRow) if row.verdict in ("create", "change")]
    standing = shop.customers.kept_many(row.customer_profile_oid for row in meant if row.customer_profile_oid)
    oids = _fresh_oids(shop, sum(row.verdict == "create" for row in meant))
    now = shop.clock.now()
    return [_plan_of(shop, job, row, standing.get(str(row.customer_profile_oid)), oids, now) for row in meant]


def _fresh_oids(shop: Shop, number: int) -> Iterator[int]:
    """Numbers that no profile has. Of thousands that are drawn some are taken by chance."""
    drawn = list(dict.fromkeys(islice(shop.oids, number)))
    taken = shop.customers.kept_many(drawn)
    return chain((oid for oid in drawn if str(oid) not in taken), shop.oids)


def _plan_of(
    shop: Shop, job: CustomerImport, row: ImportRow, kept: Kept[Customer] | None, oids: Iterator[int], now: Instant
) -> ImportPlan:
    edits = [Edit(change.column, change.before, change.after) for change in row.changes or []]
    by = job.created_by
    if row.verdict == "create":
        numbers = chain([next(oids)], shop.oids)
        customer = stamped(imports.wanted(None, edits, numbers, partial(with_tiers, shop)), None, now)
        after = replace(
            customer, merchant_id=shop.merchant_id, signup_dts=now, last_modified_dts=now, last_modified_by=by
        )
        oid = after.customer_profile_oid or 0
        return ImportPlan(row=row.row, verdict="create", email=row.email, customer_profile_oid=oid, after=after)
    oid = row.customer_profile_oid or 0
    plan = ImportPlan(row=row.row, verdict="change", email=row.email, customer_profile_oid=oid, message=CHANGED_SINCE)
    if kept is None or kept.version != row.version:
        return plan
    try:
        customer = stamped(imports.wanted(kept.noun, edits, shop.oids, partial(with_tiers, shop)), kept.noun, now)
    except Invalid as invalid:
        # A rule has changed since.
        plan.message = str(invalid)
        return plan
    plan.over, plan.before, plan.message = kept.version, kept.noun, None
    plan.after = replace(customer, last_modified_dts=now, last_modified_by=by)
    return plan


def _deletions(shop: Shop, job: CustomerImport) -> list[ImportPlan]:
    found = _missing(shop, job, job.piece - job.pieces)
    standing = shop.customers.kept_many(one.customer_profile_oid for one in found)
    plans = []
    for one in found:
        oid = one.customer_profile_oid
        kept = standing.get(str(oid))
        same = kept is not None and kept.version == one.version
        plans.append(
            ImportPlan(
                row=oid,
                verdict="delete",
                email=one.email,
                customer_profile_oid=oid,
                over=one.version,
                before=kept.noun if kept and same else None,
                message=None if same else CHANGED_SINCE,
            )
        )
    return plans


def _applied(shop: Shop, plan: ImportPlan) -> ImportOutcome:
    """The planned change, made: the same again is as once."""
    message = plan.message
    if message is None and plan.verdict == "delete":
        message = _deleted(shop, plan.customer_profile_oid, plan.over)
    elif plan.after is not None and not profiles.written(shop, plan.after, plan.over):
        message = CHANGED_SINCE if plan.over else TAKEN_SINCE
    return _outcome(plan, "left" if message else "applied", message)


def _deleted(shop: Shop, oid: int, version: int) -> str | None:
    """Why it could not be; None where the profile is gone."""
    try:
        profiles.delete_customer(shop, oid, version=version)
    except NotFound:
        return None
    except Stale:
        return CHANGED_SINCE
    except Invalid as invalid:
        return invalid.problems[0].message
    return None


def _outcome(plan: ImportPlan, outcome: Outcome, message: str | None) -> ImportOutcome:
    return ImportOutcome(
        row=plan.row,
        outcome=outcome,
        verdict=plan.verdict,
        customer_profile_oid=plan.customer_profile_oid,
        message=message,
    )


# --- undoing ----------------------------------------------------------------------------------------------------------


def _undo(shop: Shop, job: CustomerImport, version: int, memory: dict[str, Any]) -> int | None:
    """The last piece first: profiles that were deleted come back before those are gone that took their place."""
    piece = _all_pieces(job) - 1 - job.piece
    plans = _load(shop, _part(job, f"planned-{piece}"), ImportPlan)
    applied = {one.row: one for one in _load(shop, _part(job, f"outcomes-{piece}"), ImportOutcome)}
    outcomes = []
    for plan in plans:
        outcome = applied[plan.row]
        if outcome.outcome == "applied":
            message = _put_back(shop, job, plan)
            outcome = _outcome(plan, "kept" if message else "undone", message)
        outcomes.append(outcome)
    _keep(shop, _part(job, f"undone-{piece}"), outcomes)
    numbers = counted(outcomes, "outcome")
    job.number_undone += numbers.get("undone", 0)
    job.number_kept += numbers.get("kept", 0)
    return _next_piece(shop, job, version, _rows_in(job, piece, outcomes))


def _put_back(shop: Shop, job: CustomerImport, plan: ImportPlan) -> str | None:
    """Why the profile stays as it is; None where it stands as before."""
    oid, now = plan.customer_profile_oid, job.undo_dts
    if plan.verdict == "create":
        message = _deleted(shop, oid, 1)
        return KEPT_SINCE if message == CHANGED_SINCE else message
    if plan.before is None:
        return None
    before = replace(plan.before, last_modified_dts=now, last_modified_by=job.created_by)
    if plan.verdict == "delete":
        # Its first version now is later than its last one then: lists and receivers know that one.
        return None if profiles.written(shop, before, 0, at=plan.over + 2) else NOT_AGAIN
    return None if profiles.written(shop, before, plan.over + 1) else KEPT_SINCE


# --- pieces -----------------------------------------------------------------------------------------------------------


def _uploaded(file: str) -> str:
    return f"passing/uploads/{file}"


def _part(job: CustomerImport, name: str) -> str:
    return f"passing/imports/{job.import_id}/{name}"


def _verdicts(job: CustomerImport, piece: int) -> str:
    return _part(job, f"verdicts-{job.step}-{piece}")


def _missing(shop: Shop, job: CustomerImport, piece: int) -> list[MissingCustomer]:
    return _load(shop, _part(job, f"missing-{job.step}-{piece}"), MissingCustomer)


def _outcomes(shop: Shop, job: CustomerImport, piece: int) -> dict[int, ImportOutcome]:
    """What became of each row (or missing profile) of a piece, as far as anything has."""
    for name in ("undone", "outcomes"):
        if job.state in ("applying", "applied", "undoing", "undone"):
            try:
                return {one.row: one for one in _load(shop, _part(job, f"{name}-{piece}"), ImportOutcome)}
            except NotFound:
                continue
    return {}


def _keep(shop: Shop, name: str, rows_: Iterable[Any]) -> None:
    shop.files.write(name, [wire.kept(list(rows_)).encode()], "application/json")


def _load(shop: Shop, name: str, type_: type[T]) -> list[T]:
    return wire.load(b"".join(shop.files.pieces(name)), list[type_])  # type: ignore[valid-type]
