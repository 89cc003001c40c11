"""What a row of somebody's file makes of a profile: a new one, some changed cells, nothing, or why it cannot be."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import count

import msgspec

from chalicelib.domain import sheets
from chalicelib.domain.customers import Customer, normalised_email, numbered, validate
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.transfers import REASONS, ImportChange, ImportColumn, ImportProblem, ImportRow, MissingCustomer

# Makes whole what is named by half (a pricing tier by its name), knowing the profile as it was. Raises Invalid.
Whole = Callable[[Customer, Customer | None], Customer]
# Problems that are told of one row: enough to mend it in one go.
MAXIMUM_PROBLEMS = 20


# --- columns ----------------------------------------------------------------------------------------------------------


def columns_of(headings: Sequence[str], filled: set[int], named: Mapping[str, str]) -> list[ImportColumn]:
    """What the columns of a file are: as ``named`` says by their headings (nothing: ignored), else as can be guessed.
    ``filled``: the positions under which anything stands; a column that is empty from top to bottom is none."""
    found: list[ImportColumn] = []
    taken: set[str] = set()
    for position in range(max([len(headings), *(one + 1 for one in filled)])):
        heading = headings[position].strip() if position < len(headings) else ""
        said = named.get(heading)
        column = said if said is not None else sheets.guess(heading)
        ignored = said == "" or heading.lower() == REASONS or (not heading and position not in filled)
        if column in taken:
            column = ""
        taken.add(column)
        found.append(ImportColumn(position=position, heading=heading, column=column or None, ignored=ignored))
    return found


def unknown_columns(columns: Sequence[ImportColumn]) -> list[Problem]:
    """Why the columns cannot be gone by."""
    problems = [
        Problem(
            pointer=f"/columns/{column.position}",
            code="unknown",
            message=f"nobody knows what {column.heading!r} is: name one of our columns, or none to ignore it",
        )
        for column in columns
        if column.column is None and not column.ignored
    ]
    if not any(column.column == sheets.KEY for column in columns):
        problems.append(Problem(pointer="/columns", code="required", message="no column is the e-mail address"))
    return problems


def mapped(columns: Sequence[ImportColumn], named: Mapping[str, str]) -> list[ImportColumn]:
    """The columns with what somebody says of their headings. Raises Invalid."""
    problems: list[Problem] = []
    headings = {column.heading for column in columns}
    for heading, name in named.items():
        if heading not in headings:
            problems.append(_problem(heading, "unknown", "is not a heading of the file"))
        elif name and name not in sheets.known():
            problems.append(_problem(heading, "unknown", f"there is no column {name[:60]}"))
    done: list[ImportColumn] = []
    taken: dict[str, str] = {}
    for column in columns:
        name = named.get(column.heading, column.column or "")
        if name and name in taken:
            problems.append(_problem(column.heading, "duplicate", f"{name} is what {taken[name]!r} is already"))
        taken[name] = column.heading
        ignored = not name if column.heading in named else column.ignored
        done.append(
            ImportColumn(position=column.position, heading=column.heading, column=name or None, ignored=ignored)
        )
    if problems:
        raise Invalid(problems)
    return done


def _problem(heading: str, code: str, message: str) -> Problem:
    name = heading.replace("~", "~0").replace("/", "~1")[:80]
    return Problem(pointer=f"/columns/{name}", code=code, message=message)


def cells_of_row(columns: Sequence[ImportColumn], cells: Sequence[str]) -> dict[str, str]:
    """The row by our columns; what the row is too short for is empty."""
    return {
        column.column: cells[column.position] if column.position < len(cells) else ""
        for column in columns
        if column.column is not None
    }


def email_of(cells: Mapping[str, str]) -> str:
    return normalised_email(cells.get(sheets.KEY, ""))


# --- rows -------------------------------------------------------------------------------------------------------------


def judged(
    number: int,
    cells: Mapping[str, str],
    before: Customer | None,
    version: int,
    *,
    blanks_keep: bool,
    oids: Container[str],
    whole: Whole,
) -> ImportRow:
    """What the row means for the profile of its address. ``oids``: those of the row's that other profiles have."""
    row = ImportRow(row=number, verdict="same", email=cells.get(sheets.KEY, "").strip() or None, version=version)
    row.customer_profile_oid = before.customer_profile_oid if before else None
    edits = sheets.edits_of(before, cells, blanks_keep=blanks_keep)
    problems = _of_another(cells, before, oids)
    if not problems and before is not None and not edits:
        return row
    if not problems:
        try:
            wanted(before, edits, count(1), whole)
        except Invalid as invalid:
            problems = invalid.problems
    if problems:
        return rejected(row, problems)
    row.verdict = "change" if before else "create"
    row.changes = [ImportChange(column=edit.column, before=edit.before, after=edit.after) for edit in edits]
    return row


def rejected(row: ImportRow, problems: Sequence[Problem]) -> ImportRow:
    row.verdict = "reject"
    row.problems = [
        ImportProblem(column=problem.pointer, code=problem.code, message=problem.message)
        for problem in problems[:MAXIMUM_PROBLEMS]
    ]
    return row


def wanted(before: Customer | None, edits: Sequence[sheets.Edit], oids: Iterator[int], whole: Whole) -> Customer:
    """The profile as the edits make it, with every rule kept. Raises Invalid whose pointers are names of columns."""
    customer = sheets.changed(before, edits)
    try:
        customer = whole(customer, before)
        validate(customer)
        return numbered(customer, before, oids)
    except Invalid as invalid:
        raise Invalid([sheets.in_columns(problem) for problem in invalid.problems]) from None


def oid_said(cells: Mapping[str, str]) -> str:
    return cells.get(sheets.OID, "").strip().removesuffix(".0")


def _of_another(cells: Mapping[str, str], before: Customer | None, oids: Container[str]) -> list[Problem]:
    """A row that names a profile by its oid and another by its address would change the wrong one. An oid that nobody
    here has is another shop's, and says nothing."""
    said = oid_said(cells)
    if said not in oids or (before is not None and said == str(before.customer_profile_oid)):
        return []
    message = "is of another profile: an address is changed in the profile, not by a file"
    return [Problem(pointer=sheets.OID, code="conflict", message=message)]


def digest_of(missing: Sequence[MissingCustomer]) -> str:
    """The name of a list of profiles that are to go: another list, or another state of one of them, has another."""
    lines = [f"{one.customer_profile_oid}#{one.version}" for one in missing]
    return sha256(msgspec.json.encode(lines)).hexdigest()


def reasons(row: ImportRow) -> str:
    return "; ".join(f"{problem.column}: {problem.message}" for problem in row.problems or [])
