"""Tables as files: CSV and Excel, written row by row and read within bounds.

Who uploads a file may mean harm. Nothing is unpacked or parsed before the file was looked at from outside, and each
bound is one that the memory or the time of a function needs; what is beyond it is refused with a sentence.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from typing import IO, Any

from chalicelib.domain.errors import Invalid
from chalicelib.domain.sheets import armoured, guarded, unguarded
from chalicelib.domain.transfers import DELIMITERS, MAXIMUM_FILE_BYTES, Encoding, Format

# Twice the shop that the figures are made for, as a search's rows.
MAXIMUM_ROWS = 200_000
# Every column that an export can have is 520; a file of more is no list of customers.
MAXIMUM_COLUMNS = 1_000
# Cells of a whole file: 200,000 rows with half of an export's columns filled. More is more than five minutes' work.
MAXIMUM_CELLS = 10_000_000
# No field of a profile is longer than the profile's record may be.
MAXIMUM_CELL_CHARACTERS = 300 * 1024
# A line of a CSV file is held in memory as it is read.
MAXIMUM_LINE_CHARACTERS = 2 * 1024 * 1024
# An Excel file unpacked: 10 million cells at 50 bytes.
MAXIMUM_UNPACKED_BYTES = 512 * 1024 * 1024
# Excel's own files pack to a tenth, a column of one value to a sixtieth; deflate reaches a thousandth.
MAXIMUM_RATIO = 150
# Below this a file may pack as well as it likes.
RATIO_FROM_BYTES = 4 * 1024 * 1024
# Parts of an Excel file: a sheet, its texts and some thirty more. The directory of all is read into memory.
MAXIMUM_PARTS = 1_000
MAXIMUM_DIRECTORY_BYTES = 512 * 1024
# Styles, relations and properties are parsed whole, a tree of 25 bytes of memory to each of the file.
MAXIMUM_PART_BYTES = 4 * 1024 * 1024
# The texts of a workbook are all held in memory while its rows are read.
MAXIMUM_SHARED_BYTES = 64 * 1024 * 1024
MAXIMUM_SHARED_TEXTS = 1_500_000
# A row is parsed as one tree; and what stands before and after the rows as another.
MAXIMUM_ROW_BYTES = 2 * 1024 * 1024
# Elements that are neither rows nor cells: merged cells, links, conditions. They stay in memory to the end.
MAXIMUM_OTHERS = 500_000
# Excel's own.
LONGEST_EXCEL_CELL = 32_767
CHUNK = 1024 * 1024

ARCHIVES = (".zip", ".xlsx", ".xlsm", ".docx", ".jar", ".gz", ".7z", ".rar", ".bz2", ".xz", ".tar")
CELL = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?c[ />]")
LINE_END = re.compile(r"\r\n|\r(?!\Z)|\n")
ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
LIKE_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]")
ROOT = re.compile(rb"<((?:[A-Za-z_][\w.-]*:)?)(?:worksheet|sst)[\s>]")


def refusal(message: str) -> Invalid:
    return Invalid.one("/file", "unreadable", message)


class Spreadsheets:
    """Both kinds of file. Its packages are imported where a file is written or read."""

    def written(self, rows: Iterable[Sequence[str]], format_: Format) -> Iterator[bytes]:
        """The file, in pieces. Raises Invalid where Excel cannot hold a text."""
        return _csv_written(rows) if format_ == "csv" else _excel_written(rows)

    def rows(
        self, pieces: Iterable[bytes], format_: Format, *, delimiter: str | None = None, encoding: Encoding = "utf-8"
    ) -> Iterator[list[str]]:
        """The rows of the file, each cell as a text, cells at the end of a row that are empty left out. Raises Invalid
        for what is no such file, or one out of bounds."""
        found = _csv_rows(pieces, delimiter, encoding) if format_ == "csv" else _excel_rows(pieces)
        cells = 0
        for number, row in enumerate(found, start=1):
            if number > MAXIMUM_ROWS + 1:
                raise refusal(f"has more than {MAXIMUM_ROWS:,} rows: cut it in two")
            while row and not row[-1]:
                row.pop()
            if len(row) > MAXIMUM_COLUMNS:
                raise refusal(f"has {len(row):,} columns in row {number:,}; {MAXIMUM_COLUMNS:,} are allowed")
            cells += len(row)
            if cells > MAXIMUM_CELLS:
                raise refusal(f"has more than {MAXIMUM_CELLS:,} cells: cut it in two")
            if any(len(cell) > MAXIMUM_CELL_CHARACTERS for cell in row):
                raise refusal(f"has a cell of more than {MAXIMUM_CELL_CHARACTERS:,} characters in row {number:,}")
            yield [unguarded(cell) for cell in row]


# --- CSV --------------------------------------------------------------------------------------------------------------


def _csv_written(rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """RFC 4180 with a mark by which Excel knows UTF-8. Every cell stands in quotes: where a program takes another
    delimiter for ours, no part of a cell becomes one."""
    waiting = ["\ufeff"]
    size = 0
    for row in rows:
        line = ",".join(['"' + guarded(cell).replace('"', '""') + '"' if cell else "" for cell in row]) + "\r\n"
        waiting.append(line)
        size += len(line)
        if size > CHUNK:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()


def _csv_rows(pieces: Iterable[bytes], delimiter: str | None, encoding: Encoding) -> Iterator[list[str]]:
    import csv

    csv.field_size_limit(MAXIMUM_CELL_CHARACTERS)
    lines = _lines(pieces, encoding)
    first = next(lines, "")
    if "\x00" in first or first.startswith(("PK\x03\x04", "\x7fELF", "%PDF")):
        raise refusal("is no CSV file in this encoding: save it as CSV (UTF-8), or say which encoding it has")
    mark = delimiter or max(DELIMITERS, key=_without_quoted(first).count)
    reader = csv.reader(_again(first, lines), delimiter=mark, strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise refusal(f"is broken at line {reader.line_num:,}: {error}") from None


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _without_quoted(line: str) -> str:
    return re.sub(r'"[^"]*"', "", line)


def _lines(pieces: Iterable[bytes], encoding: Encoding) -> Iterator[str]:
    """The lines with their ends. Bytes that are no text in the encoding are refused, never replaced."""
    import codecs

    decoder: Any = None
    taken, number, waiting = 0, 1, ""
    for piece in _followed(pieces):
        taken += len(piece or b"")
        if taken > MAXIMUM_FILE_BYTES:
            raise refusal(f"has more than {MAXIMUM_FILE_BYTES // 1024 // 1024} MB")
        if decoder is None:
            decoder = codecs.getincrementaldecoder(_encoding_of(piece or b"", encoding))()
        try:
            waiting += decoder.decode(piece or b"", final=piece is None)
        except UnicodeDecodeError as error:
            said = f"is not {encoding} near line {number + waiting.count(chr(10)):,} ({error.reason})"
            raise refusal(f"{said}: save it as CSV (UTF-8), or say which encoding it has") from None
        # A carriage return at the end may be half of a line's end.
        start = 0
        for end in LINE_END.finditer(waiting):
            yield waiting[start : end.end()]
            start, number = end.end(), number + 1
        waiting = waiting[start:]
        if len(waiting) > MAXIMUM_LINE_CHARACTERS:
            raise refusal(f"has a line of more than {MAXIMUM_LINE_CHARACTERS:,} characters (line {number:,})")
    if waiting:
        yield waiting


def _followed(pieces: Iterable[bytes]) -> Iterator[bytes | None]:
    yield from pieces
    yield None


def _encoding_of(beginning: bytes, asked: Encoding) -> str:
    if beginning.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    return {"utf-8": "utf-8", "utf-16": "utf-16", "windows-1252": "cp1252", "iso-8859-1": "latin-1"}[asked]


# --- Excel, written ---------------------------------------------------------------------------------------------------


def _excel_written(rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """One sheet, of texts alone: no cell is a formula, a link or a number, and none becomes one when it is edited."""
    import tempfile
    from pathlib import Path

    import xlsxwriter

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "customers.xlsx"
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
            "tmpdir": folder,
        }
        with xlsxwriter.Workbook(str(path), options) as book:
            sheet = book.add_worksheet("customers")
            # Its own way leaves half of two escapes that share an underscore, so they could not be read back.
            sheet._escape_control_characters = _escaped  # noqa: SLF001
            plain, quoted = (
                book.add_format({"num_format": "@"}),
                book.add_format({"num_format": "@", "quote_prefix": True}),
            )
            head = book.add_format({"num_format": "@", "bold": True})
            sheet.freeze_panes(1, 1)
            for number, row in enumerate(rows):
                for column, cell in enumerate(row):
                    if cell:
                        form = head if number == 0 else quoted if guarded(cell) != cell else plain
                        sheet.write_string(number, column, _for_excel(cell), form)
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece


def _for_excel(cell: str) -> str:
    text = armoured(cell)
    if len(text) > LONGEST_EXCEL_CELL // 2 and len(text.encode("utf-16-le")) // 2 > LONGEST_EXCEL_CELL:
        raise Invalid.one("/format", "too_long", f"a cell of Excel holds {LONGEST_EXCEL_CELL:,} characters: take csv")
    return text


def _escaped(text: str) -> str:
    """What XML cannot hold, as workbooks write it (ECMA-376, ST_Xstring): ``_x000D_``; and what looks like that."""
    text = LIKE_ESCAPED.sub("_x005F_", text)
    return UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


# --- Excel, read ------------------------------------------------------------------------------------------------------


def _excel_rows(pieces: Iterable[bytes]) -> Iterator[list[str]]:
    import tempfile
    import zipfile

    with tempfile.TemporaryFile() as file:
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > MAXIMUM_FILE_BYTES:
                raise refusal(f"has more than {MAXIMUM_FILE_BYTES // 1024 // 1024} MB")
            file.write(piece)
        try:
            _look_at_directory(file, size)
            with zipfile.ZipFile(file) as archive:
                _look_at_parts(archive)
            yield from _read(file)
        except Invalid:
            raise
        except MemoryError:
            raise refusal("needs more memory to be read than there is: save it anew, or as CSV") from None
        except Exception as error:  # noqa: BLE001  # whatever a crafted file makes the parsers say
            raise refusal(
                f"is no workbook that can be read ({type(error).__name__}): save it anew, or as CSV"
            ) from None


def _look_at_directory(file: IO[bytes], size: int) -> None:
    """How many parts the file says it has, before that list is read into memory."""
    file.seek(0)
    beginning = file.read(8)
    if beginning.startswith(b"\xd0\xcf\x11\xe0"):
        raise refusal("is an old or a locked workbook: save it as .xlsx without a password")
    if not beginning.startswith(b"PK\x03\x04"):
        raise refusal("is no .xlsx workbook")
    file.seek(max(0, size - 65_557))
    end = file.read()
    at = end.rfind(b"PK\x05\x06")
    if at < 0 or len(end) < at + 22:
        raise refusal("is cut off: upload it again")
    parts, length = int.from_bytes(end[at + 10 : at + 12], "little"), int.from_bytes(end[at + 12 : at + 16], "little")
    if parts > MAXIMUM_PARTS or length > MAXIMUM_DIRECTORY_BYTES:
        raise refusal(f"has more than {MAXIMUM_PARTS:,} parts")


def _look_at_parts(archive: Any) -> None:
    """Every part is unpacked once and thrown away, within bounds, before anything is parsed."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(set(names)) != len(names):
        raise refusal("holds two parts of one name")
    for info in infos:
        _look_at_name(info)
    packed, unpacked = sum(info.compress_size for info in infos), sum(info.file_size for info in infos)
    if unpacked > MAXIMUM_UNPACKED_BYTES:
        raise refusal(f"unpacks to more than {MAXIMUM_UNPACKED_BYTES // 1024 // 1024} MB: cut it in two")
    if unpacked > RATIO_FROM_BYTES and unpacked > MAXIMUM_RATIO * packed:
        raise refusal(f"unpacks to more than {MAXIMUM_RATIO} times its size: save it anew, or as CSV")
    if "xl/workbook.xml" not in names and "[Content_Types].xml" not in names:
        raise refusal("is no .xlsx workbook")
    for info in infos:
        with archive.open(info) as part:
            _look_into(info.filename, part)


def _look_at_name(info: Any) -> None:
    name, lower = info.filename, info.filename.lower()
    if info.flag_bits & 1:
        raise refusal("is locked with a password")
    if info.compress_type not in (0, 8):
        raise refusal("is packed in a way that workbooks are not")
    if name.startswith("/") or "\\" in name or ".." in name.split("/"):
        raise refusal("holds a part that stands outside of it")
    if "vbaproject" in lower or "macrosheets/" in lower or (lower.endswith(".bin") and "vba" in lower):
        raise refusal("holds macros: save it as .xlsx")
    if "externallinks/" in lower or lower == "xl/connections.xml" or "querytables/" in lower:
        raise refusal("takes data from elsewhere: paste it as values")
    if "embeddings/" in lower or lower.endswith(ARCHIVES):
        raise refusal("holds other files: take them out")


def _look_into(name: str, part: IO[bytes]) -> None:
    lower = name.lower()
    if lower.startswith("xl/worksheets/") and lower.endswith(".xml"):
        _look_into_sheet(part)
        return
    if lower == "xl/sharedstrings.xml":
        _look_into_texts(part)
        return
    parsed = lower.endswith((".xml", ".rels", ".vml"))
    size, tail = 0, b""
    while piece := part.read(CHUNK):
        if size == 0 and piece.startswith(b"PK\x03\x04"):
            raise refusal("holds other files: take them out")
        if parsed:
            if size == 0:
                _is_utf8(piece)
            _no_declarations(tail + piece, comments=True)
            tail = piece[-16:]
        size += len(piece)
        if size > MAXIMUM_PART_BYTES and parsed:
            raise refusal(f"holds more than can be read in {name[:60]}: save it as CSV")


def _marks(part: IO[bytes], mark: bytes) -> Iterator[tuple[bytes, list[bytes], bool]]:
    """The part in pieces: the piece, what ended in it between two beginnings of ``mark`` (an element), and whether the
    first of these is what stands before all. What has not ended is kept small."""
    start, waiting, first = b"", b"", True
    while piece := part.read(CHUNK):
        if not start:
            _is_utf8(piece)
            root = ROOT.search(piece[:4096])
            if root is None:
                raise refusal("holds a sheet that is none")
            start = b"<" + root[1] + mark
        _no_declarations(waiting[-16:] + piece, comments=False)
        *whole, waiting = (waiting + piece).split(start)
        if len(waiting) > MAXIMUM_ROW_BYTES or any(len(one) > MAXIMUM_ROW_BYTES for one in whole):
            raise refusal(f"has a row, or a text, of more than {MAXIMUM_ROW_BYTES // 1024:,} KB")
        yield piece, whole, first
        first = first and not whole
    yield b"", [waiting], first


def _look_into_texts(part: IO[bytes]) -> None:
    size = texts = 0
    for piece, whole, _ in _marks(part, b"si"):
        size += len(piece)
        texts += len(whole)
        if size > MAXIMUM_SHARED_BYTES:
            raise refusal("holds more texts than can be read: cut it in two, or save it as CSV")
        if texts > MAXIMUM_SHARED_TEXTS:
            raise refusal(f"holds more than {MAXIMUM_SHARED_TEXTS:,} texts: cut it in two, or save it as CSV")


def _is_utf8(beginning: bytes) -> None:
    said = re.search(rb"encoding\s*=\s*[\"']([^\"']{1,40})", beginning[:200])
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00")) or (
        said and said[1].lower() not in (b"utf-8", b"us-ascii")
    ):
        raise refusal("is written in an encoding that workbooks do not have")


def _no_declarations(text: bytes, *, comments: bool) -> None:
    """Entities make a megabyte a gigabyte; no program that makes workbooks declares any."""
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text or (not comments and b"<!" in text):
        raise refusal("declares what workbooks do not (DTD, entities, comments)")


def _look_into_sheet(part: IO[bytes]) -> None:
    """The sheet's rows, counted in its bytes: each is parsed as a tree of its own, so each has its bound."""
    rows = cells = tags = 0
    for piece, whole, first in _marks(part, b"row"):
        tags += piece.count(b"<")
        cells += sum(len(CELL.findall(one)) for one in whole)
        rows += len(whole)
        if rows > MAXIMUM_ROWS + 2:
            raise refusal(f"has more than {MAXIMUM_ROWS:,} rows: cut it in two")
        if cells > MAXIMUM_CELLS:
            raise refusal(f"has more than {MAXIMUM_CELLS:,} cells: cut it in two")
        if tags - 8 * cells - 2 * rows > MAXIMUM_OTHERS:
            raise refusal("holds too much that is no cell (merged cells, links, conditions): save it as CSV")
        if not all(_ends(one) for one in whole[1 if first else 0 :]):
            raise refusal("holds rows inside of rows")


def _ends(row: bytes) -> bool:
    """Whether a row ends once, and before the next begins."""
    closes = row.count(b"row>") + row.count(b"row >") + row.count(b"rowBreaks>")
    return closes == 1 or (closes == 0 and row.partition(b">")[0].endswith(b"/"))


def _read(file: IO[bytes]) -> Iterator[list[str]]:
    from openpyxl import load_workbook

    book = load_workbook(file, read_only=True, data_only=True, keep_links=False, keep_vba=False, rich_text=False)
    try:
        if not book.worksheets:
            raise refusal("has no sheet")
        sheet: Any = book.worksheets[0]
        # What the file says of its size is not true of every file, and a row is made as long as it says.
        sheet.reset_dimensions()
        for row in sheet.iter_rows(values_only=True):
            if len(row) > MAXIMUM_COLUMNS and any(value is not None for value in row[MAXIMUM_COLUMNS:]):
                raise refusal(f"has more than {MAXIMUM_COLUMNS:,} columns")
            yield [_cell_text(value) for value in row[:MAXIMUM_COLUMNS]]
    finally:
        book.close()


def _cell_text(value: Any) -> str:
    """What the cell says; of a formula, what it came to when the file was saved."""
    if value is None:
        return ""
    if isinstance(value, str):
        return ESCAPED.sub(lambda found: chr(int(found[1], 16)), value) if "_x" in value else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time(0) else value.isoformat(timespec="seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)
