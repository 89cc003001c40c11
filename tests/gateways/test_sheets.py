"""Tables as files: what is written is read to the letter, whatever stands in it; and what means harm is refused, in a
process that may not take more memory than a function has."""

import io
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.errors import Invalid
from chalicelib.domain.transfers import Format
from chalicelib.gateways.sheets import LONGEST_EXCEL_CELL, MAXIMUM_COLUMNS, Spreadsheets
from tests.gateways.bombs import BOMBS, FOOT, HEAD, MAIN, ROW, book, strings

SHEETS = Spreadsheets()
FORMATS: tuple[Format, ...] = ("csv", "xlsx")
# What a bomb may take: the file itself, Python and its packages are part of it.
MEGABYTES, SECONDS = 256, 20
CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({bytes}, {bytes}))
from chalicelib.domain.errors import Invalid
from chalicelib.gateways.sheets import Spreadsheets
file, format_ = open(sys.argv[1], "rb"), sys.argv[2]
try:
    for row in Spreadsheets().rows(iter(lambda: file.read(262144), b""), format_): pass
    print("read")
except Invalid as invalid:
    print("refused:", invalid.problems[0].message)
print(next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
# Everything that can stand in a profile's text: no half characters.
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
QUOTES = [
    "",
    "=1+1",
    "'=1",
    "''+1",
    "'",
    "007",
    "+1 555",
    "1e5",
    "TRUE",
    '"',
    '";=x',
    ",",
    ";",
    "-",
    "'\t",
    "=HYPERLINK(1)",
]
BLANKS = [
    "a\r\nb",
    "\r",
    "\n",
    "\t",
    " x ",
    "_x000D_",
    "_x005F_",
    "_x0041_",
    "\x01",
    "A\u0308🎁",
    "\u2028",
    "2027-01-31",
]
HARD = st.sampled_from(QUOTES + BLANKS)


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=60)
@given(rows=st.lists(st.lists(st.one_of(TEXTS, HARD), min_size=1, max_size=4), min_size=1, max_size=6))
def test_what_is_written_is_read_to_the_letter(format_: Format, rows: list[list[str]]) -> None:
    table = [["email", "a", "b", "c"], *([*row, "end"] for row in rows)]
    assert list(SHEETS.rows(SHEETS.written(table, format_), format_)) == table


def test_no_cell_of_excel_is_a_formula_a_link_or_a_number() -> None:
    data = b"".join(SHEETS.written([["email"], ["=1+1"], ["http://a.example"], ["007"], ["@x"]], "xlsx"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
        assert 'quotePrefix="1"' in archive.read("xl/styles.xml").decode()
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert sheet.count('t="inlineStr"') == 5


def test_every_cell_of_csv_stands_in_quotes_so_that_no_other_delimiter_makes_a_formula_of_its_end() -> None:
    assert b"".join(SHEETS.written([["a;=1", "", "b\t=1"]], "csv")) == b'\xef\xbb\xbf"a;=1",,"b\t=1"\r\n'


@pytest.mark.parametrize("text", ["a" * (LONGEST_EXCEL_CELL + 1), "🎁" * (LONGEST_EXCEL_CELL // 2 + 1)])
def test_what_excel_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        list(SHEETS.written([[text]], "xlsx"))


def test_a_workbook_as_others_make_it_is_read() -> None:
    """Texts in a part of their own, numbers, dates, truths, a formula's value, another prefix, gaps."""
    shared = strings("<si><t>email</t></si><si><r><t>a</t></r><r><t>b_x000D_</t></r></si>")
    with zipfile.ZipFile(io.BytesIO(shared)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    cells = (
        '<c r="A3" t="s"><v>1</v></c><c r="C3"><v>7</v></c><c r="D3"><v>0.5</v></c><c r="E3" t="b"><v>1</v></c>'
        '<c r="F3"><f>1+1</f><v>2</v></c><c r="G3" t="str"><v>x</v></c>'
    )
    sheet = HEAD + '<row r="1"><c r="A1" t="s"><v>0</v></c></row>' + f'<row r="3">{cells}</row>' + FOOT
    expected = [["email"], [], ["ab\r", "", "7", "0.5", "true", "2", "x"]]
    more = {name: data for name, data in parts.items() if name != "xl/worksheets/sheet1.xml"}
    assert list(SHEETS.rows([book(sheet, **more)], "xlsx")) == expected
    prefixed = (
        f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData><x:row><x:c><x:v>5</x:v></x:c></x:row></x:sheetData></x:worksheet>'
    )
    assert list(SHEETS.rows([book(prefixed)], "xlsx")) == [["5"]]


def test_a_wide_but_honest_file_is_read() -> None:
    row = ["x"] * MAXIMUM_COLUMNS
    assert list(SHEETS.rows([",".join(row).encode()], "csv")) == [row]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"a,b\r\n1,2\r\n", [["a", "b"], ["1", "2"]]),
        (b"a,b\r1,2\r", [["a", "b"], ["1", "2"]]),
        (b"a,b\n1,2", [["a", "b"], ["1", "2"]]),
        (b"\xef\xbb\xbfa;b\n1,5;2\n", [["a", "b"], ["1,5", "2"]]),
        ("a\tb\nä\tö\n".encode("utf-16"), [["a", "b"], ["ä", "ö"]]),
        (b'"a,x"|b\n"1\r\n2"|\n', [["a,x", "b"], ["1\r\n2"]]),
        (b"a,b\n\n,,\n1", [["a", "b"], [], [], ["1"]]),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_csv_is_read_however_it_ends_its_lines_and_wherever_it_is_cut(
    data: bytes, rows: list[list[str]], size: int
) -> None:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    if size == 1 and data.startswith((b"\xef", b"\xff")):
        pieces = [data[:3], *pieces[3:]]
    assert list(SHEETS.rows(pieces, "csv")) == rows


def defused(name: str, folder: Path) -> None:
    format_, make = BOMBS[name]
    path = folder / "bomb"
    path.write_bytes(make())
    began = time.monotonic()
    child = [sys.executable, "-c", CHILD.format(bytes=MEGABYTES * 1024 * 1024), str(path), format_]
    done = subprocess.run(child, capture_output=True, text=True, timeout=6 * SECONDS, check=False)
    took = time.monotonic() - began
    said, *rest = done.stdout.splitlines() or ["nothing"]
    assert said.startswith("refused: "), (name, said, done.stderr[-2000:])
    print(f"bomb {name}: {path.stat().st_size:,} bytes, {rest[0]} MB, {took:.1f} s: {said[9:80]}")
    assert took < SECONDS
    path.unlink()


@pytest.mark.parametrize("name", list(BOMBS)[:12])
def test_a_bomb_is_refused_within_the_memory_and_the_time_of_a_function(name: str, tmp_path: Path) -> None:
    defused(name, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", list(BOMBS))
def test_every_bomb_is_refused(name: str, tmp_path: Path) -> None:
    defused(name, tmp_path)


def test_there_are_forty_bombs() -> None:
    assert len(BOMBS) >= 40
    assert ROW in HEAD + ROW
