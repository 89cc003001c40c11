"""Files that come and go: where they are put and for how long, and what is known of each export and each import."""

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from chalicelib.domain.customer_search import CustomerQuery
from chalicelib.domain.customers import Customer
from chalicelib.domain.dates import Instant
from chalicelib.domain.fields import Oid, Text50, Text100
from chalicelib.domain.wire import Noun

Format = Literal["csv", "xlsx"]
Encoding = Literal["utf-8", "utf-16", "windows-1252", "iso-8859-1"]
# What parts the cells of a CSV file, the likeliest first.
DELIMITERS = (",", ";", "\t", "|")
Delimiter = Literal[",", ";", "\t", "|"]
CONTENT_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# What an export made and an import worked with is kept for so long: an import can be undone until then.
PASSING_DAYS = 30
# 200,000 customers with every field filled make a CSV file of about this size; Excel packs them into a fifth of it.
MAXIMUM_FILE_BYTES = 64 * 1024 * 1024
# As many columns as a file may have.
MAXIMUM_MAPPED = 1_000
# Mappings that a shop keeps: one for each system that it gets files from.
MAXIMUM_MAPPINGS = 50
# The heading under which the reasons stand in the file of what was rejected; coming back it says nothing.
REASONS = "import_problems"

# An id of ours: when it was asked for, and a random word.
FileId = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
Heading = Annotated[str, Meta(max_length=1000)]


class Upload(Noun):
    """How a file is put where only we read it: a form is posted to ``url`` with these fields and, as its last, the
    field ``file``."""

    url: str
    fields: dict[str, str]
    maximum_bytes: int
    expires_in_seconds: int


class ImportFile(Noun):
    """A file that is to come: what an import calls it, and how it is uploaded."""

    file: str
    upload: Upload


# --- exports ----------------------------------------------------------------------------------------------------------

ExportState = Literal["waiting", "gathering", "writing", "done", "failed"]


class CustomerExportRequest(Noun):
    """``columns``: those of the file, in this order; without them all. ``query``: whom the file is of, as the search
    takes it; without it all."""

    format: Format
    columns: Annotated[list[Text100], Meta(min_length=1, max_length=MAXIMUM_MAPPED)] | None = None
    query: CustomerQuery | None = None


class CustomerExport(Noun, kw_only=True):
    """Profiles as a file: all, or those that ``query`` means. ``url`` opens it for some minutes; each look at the
    export gives a new one. At ``kept_until_dts`` it is thrown away."""

    own: ClassVar[frozenset[str]] = frozenset({"lengths", "pieces"})

    export_id: str
    format: Format
    state: ExportState = "waiting"
    columns: list[str] | None = None
    query: CustomerQuery | None = None
    created_dts: Instant
    created_by: str | None = None
    finished_dts: Instant | None = None
    kept_until_dts: Instant | None = None
    number_of_profiles: int = 0
    number_done: int = 0
    file_name: str | None = None
    file_size: int | None = None
    problem: str | None = None
    url: str | None = None
    # How long the longest lists are that were met, and how many pieces have been gathered.
    lengths: dict[str, int] | None = None
    pieces: int = 0

    @property
    def transfer_id(self) -> str:
        return self.export_id


# --- imports ----------------------------------------------------------------------------------------------------------

# reading: the file is being cut into pieces. mapping: a person must say what a column is. comparing: the dry run.
# compared: a person must confirm. refused: the file cannot be read.
ImportState = Literal[
    "reading", "mapping", "comparing", "compared", "applying", "applied", "undoing", "undone", "refused"
]
Verdict = Literal["create", "change", "same", "reject"]
# left: somebody else had changed the profile between the dry run and the writing. kept: between that and the undoing.
Outcome = Literal["applied", "left", "undone", "kept"]


class CustomerImportRequest(Noun):
    """``delimiter`` is guessed where it is not said. ``blank_cells``: ``clear`` (an empty cell clears its field) or
    ``keep``. ``delete_missing``: profiles that are not in the file are to go; nothing goes without a look at them."""

    file: FileId
    format: Format
    delimiter: Delimiter | None = None
    encoding: Encoding = "utf-8"
    blank_cells: Literal["clear", "keep"] = "clear"
    delete_missing: bool = False
    mapping: Text50 | None = None


class ImportColumn(Noun):
    """A column of the file. ``column``: ours; ``ignored``: it says nothing; neither: nobody knows yet what it is."""

    position: int
    heading: str
    column: str | None = None
    ignored: bool = False


class ImportableColumn(Noun):
    """What a column of a file can be: the name of one of ours."""

    column: str


class ImportMappingRequest(Noun):
    """What each heading is: a column of ours, or nothing, for one that is to be ignored. Headings that are not named
    stay as they are."""

    columns: Annotated[dict[Heading, Annotated[str, Meta(max_length=100)]], Meta(max_length=MAXIMUM_MAPPED)]
    save_as: Annotated[str, Meta(min_length=1, max_length=50, pattern=r"^[^/#]+$")] | None = None


class ImportMapping(Noun):
    """What the headings of somebody's files are, kept under a name."""

    name: str
    columns: dict[str, str]


class ImportConfirmation(Noun):
    """``delete_digest``: that of the list of profiles which are to go, as it was looked at."""

    delete_digest: Annotated[str, Meta(max_length=64)] | None = None


class ImportChange(Noun):
    """One cell: what the profile says, and what the file says."""

    column: str
    before: str = ""
    after: str = ""


class ImportProblem(Noun):
    column: str
    code: str
    message: str


class ImportRow(Noun):
    """One row of the file (the heading is row 1). ``version``: of the profile that it was compared with."""

    own: ClassVar[frozenset[str]] = frozenset({"version"})

    row: int
    verdict: Verdict
    email: str | None = None
    customer_profile_oid: Oid | None = None
    changes: list[ImportChange] | None = None
    problems: list[ImportProblem] | None = None
    outcome: Outcome | None = None
    message: str | None = None
    version: int = 0


class MissingCustomer(Noun):
    """A profile that is not in the file, and goes with it where that is confirmed."""

    own: ClassVar[frozenset[str]] = frozenset({"version"})

    customer_profile_oid: int
    email: str
    outcome: Outcome | None = None
    message: str | None = None
    version: int = 0


class CustomerImport(Noun, kw_only=True):
    """One file of profiles on its way in, step by step. How far the step is: ``number_done`` of ``number_of_rows``, and
    while it is written or undone of ``number_to_delete`` besides. ``delete_digest`` names the list of what would go.
    It can be undone until ``kept_until_dts``."""

    own: ClassVar[frozenset[str]] = frozenset(
        {"pieces", "piece", "plan", "missing_pieces", "rejected_format", "undo_dts", "step"}
    )

    import_id: str
    file: str
    format: Format
    state: ImportState = "reading"
    delimiter: Delimiter | None = None
    encoding: Encoding = "utf-8"
    blank_cells: Literal["clear", "keep"] = "clear"
    delete_missing: bool = False
    mapping: str | None = None
    columns: list[ImportColumn] | None = None
    created_dts: Instant
    created_by: str | None = None
    finished_dts: Instant | None = None
    kept_until_dts: Instant | None = None
    number_of_rows: int = 0
    number_done: int = 0
    number_to_create: int = 0
    number_to_change: int = 0
    number_same: int = 0
    number_rejected: int = 0
    number_to_delete: int = 0
    delete_digest: str | None = None
    number_created: int = 0
    number_changed: int = 0
    number_deleted: int = 0
    number_left: int = 0
    number_undone: int = 0
    number_kept: int = 0
    problem: str | None = None
    # The rejected rows as a file, with the reasons; it opens for some minutes.
    rejected_url: str | None = None
    # Pieces of rows, of missing profiles, and how many of both the step has done; what is about to be written.
    pieces: int = 0
    missing_pieces: int = 0
    rejected_format: Format | None = None
    piece: int = 0
    plan: str | None = None
    undo_dts: Instant | None = None
    # Tells one run of a step from another of the same step, after the mapping was changed.
    step: int = 0

    @property
    def transfer_id(self) -> str:
        return self.import_id


class ImportPlan(Noun):
    """One profile that is about to be written, as it stood and as it is to stand; kept before anything is written, so
    that who goes on knows what was meant, and who undoes it what was there. ``over``: the version that it is written
    over. Neither before nor after: nothing is written, and ``message`` says why."""

    row: int
    verdict: Literal["create", "change", "delete"]
    customer_profile_oid: int
    email: str | None = None
    over: int = 0
    before: Customer | None = None
    after: Customer | None = None
    message: str | None = None


class ImportOutcome(Noun):
    """What became of a planned change."""

    row: int
    outcome: Outcome
    verdict: Literal["create", "change", "delete"]
    customer_profile_oid: int
    message: str | None = None


def counted(rows: list[Any], what: str) -> dict[str, int]:
    """How many rows there are of each verdict or outcome."""
    found: dict[str, int] = {}
    for row in rows:
        said = getattr(row, what)
        found[said] = found.get(said, 0) + 1
    return found
