"""Files that mean harm, each made in memory: what an import must refuse before it costs memory or time."""

import io
import random
import zipfile
from collections.abc import Callable
from zlib import crc32

CONTENT = (
    '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
    "%s</Types>"
)
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{RELATIONS}/%s" Target="%s"/>%s</Relationships>'
)
BOOK = (
    f'<?xml version="1.0"?><workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>'
    '<sheet name="customers" sheetId="1" r:id="rId1"/></sheets></workbook>'
)
SHARED_TYPE = (
    '<Override PartName="/xl/sharedStrings.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/>'
)
SHARED = f'<Relationship Id="rId2" Type="{RELATIONS}/sharedStrings" Target="sharedStrings.xml"/>'
HEAD = f'<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="{MAIN}"><sheetData>'
FOOT = "</sheetData></worksheet>"
ROW = '<row r="1"><c r="A1" t="inlineStr"><is><t>email</t></is></c></row>'
SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"


def book(sheet: str | bytes = HEAD + ROW + FOOT, **more: str | bytes) -> bytes:
    """A workbook of one sheet; ``more`` are further parts, or others in the place of these."""
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": CONTENT % (SHARED_TYPE if STRINGS in more else ""),
        "_rels/.rels": RELS % ("officeDocument", "xl/workbook.xml", ""),
        "xl/workbook.xml": BOOK,
        "xl/_rels/workbook.xml.rels": RELS % ("worksheet", "worksheets/sheet1.xml", SHARED if STRINGS in more else ""),
        SHEET: sheet,
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (parts | more).items():
            archive.writestr(name, data)
    return file.getvalue()


def strings(inside: str) -> bytes:
    return book(**{STRINGS: f'<?xml version="1.0"?><sst xmlns="{MAIN}">{inside}</sst>'})


def noise(number: int, size: int) -> list[str]:
    """Texts that pack badly, so that the ratio is not what is looked at."""
    text = random.Random(7).randbytes(number * size // 2 + 1).hex()
    return [text[start : start + size] for start in range(0, number * size, size)]


def rows_of(cells: list[str]) -> bytes:
    return book(HEAD + ROW + "".join(f"<row><c><v>{cell}</v></c></row>" for cell in cells) + FOOT)


def one_row(cells: list[str]) -> bytes:
    return book(HEAD + "<row>" + "".join(f"<c><v>{cell}</v></c>" for cell in cells) + "</row>" + FOOT)


def nested_rows(cells: list[str]) -> bytes:
    return book(HEAD + "<row>" + "".join(f"<c><v>{cell}</v></c><row></row>" for cell in cells) + "</row>" + FOOT)


def entities() -> bytes:
    lines = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "lol"}">' for n in range(10))
    return book(HEAD.replace("<worksheet", f"<!DOCTYPE x [{lines}]><worksheet") + ROW.replace("email", "&a9;") + FOOT)


def lying_directory() -> bytes:
    """A part that says it is small and unpacks to much."""
    data = book(HEAD + ROW + "<row/>" * 8_000_000 + FOOT)
    size = len(HEAD + ROW + "<row/>" * 8_000_000 + FOOT).to_bytes(4, "little")
    return data.replace(size, (1000).to_bytes(4, "little"))


def quine_like() -> bytes:
    """Many entries of the directory that all point to one and the same packed part."""
    data = bytearray(book(**{"xl/big.xml": "<a>" + "x" * 30_000_000 + "</a>"}))
    at = data.rfind(b"PK\x01\x02", 0, data.rfind(b"PK\x05\x06"))
    end = data.rfind(b"PK\x05\x06")
    entry = bytes(data[at:end])
    copies = b"".join(entry.replace(b"xl/big.xml", f"xl/b{n:02d}.xml"[:10].encode()) for n in range(40))
    begins = int.from_bytes(data[end + 16 : end + 20], "little")
    number = int.from_bytes(data[end + 10 : end + 12], "little") + 40
    tail = bytearray(data[end:])
    tail[8:10] = tail[10:12] = number.to_bytes(2, "little")
    tail[12:16] = (end + len(copies) - begins).to_bytes(4, "little")
    return bytes(data[:end]) + copies + bytes(tail)


def many_parts(number: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for position in range(number):
            archive.writestr(f"xl/p{position}.xml", "<a/>")
    return file.getvalue()


def directory_that_says(parts: int, length: int) -> bytes:
    data = bytearray(book())
    end = data.rfind(b"PK\x05\x06")
    data[end + 8 : end + 12] = parts.to_bytes(2, "little") * 2
    data[end + 12 : end + 16] = length.to_bytes(4, "little")
    return bytes(data)


def locked() -> bytes:
    data = bytearray(book())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = 0
        while (at := data.find(mark, at)) >= 0:
            data[at + offset] |= 1
            at += 4
    return bytes(data)


def stored_garbage() -> bytes:
    body = b"\x00" * 100
    assert crc32(body)
    return b"PK\x03\x04" + body


def csv_of(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


# Name -> (format, file). The first dozen are tried by every run; all of them by the long one.
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "ratio": ("xlsx", lambda: book(HEAD + ROW + f"<row><c><v>{'0' * 100_000_000}</v></c></row>" + FOOT)),
    "entities": ("xlsx", entities),
    "rows": ("xlsx", lambda: rows_of(noise(300_000, 16))),
    "one row of all cells": ("xlsx", lambda: one_row(noise(1_000_000, 8))),
    "rows inside of a row": ("xlsx", lambda: nested_rows(noise(100_000, 8))),
    "shared strings": ("xlsx", lambda: strings("".join(f"<si><t>{text}</t></si>" for text in noise(2_000_000, 8)))),
    "far row": ("xlsx", lambda: book(HEAD + ROW + '<row r="999999999999"><c><v>1</v></c></row>' + FOOT)),
    "directory": ("xlsx", lambda: directory_that_says(60_000, 2**31)),
    "overlapping parts": ("xlsx", quine_like),
    "macros": ("xlsx", lambda: book(**{"xl/vbaProject.bin": b"\xd0\xcf\x11\xe0"})),
    "csv columns": ("csv", lambda: csv_of("a," * 400_000 + "\nb")),
    "csv open quote": ("csv", lambda: csv_of('email\n"' + "a\n" * 5_000_000)),
    # --- the rest
    "lying directory": ("xlsx", lying_directory),
    "many parts": ("xlsx", lambda: many_parts(5_000)),
    "external link": ("xlsx", lambda: book(**{"xl/externalLinks/externalLink1.xml": "<a/>"})),
    "connections": ("xlsx", lambda: book(**{"xl/connections.xml": "<a/>"})),
    "query tables": ("xlsx", lambda: book(**{"xl/queryTables/queryTable1.xml": "<a/>"})),
    "macro sheet": ("xlsx", lambda: book(**{"xl/macrosheets/sheet1.xml": "<a/>"})),
    "embedded file": ("xlsx", lambda: book(**{"xl/embeddings/oleObject1.bin": b"x"})),
    "nested zip by name": ("xlsx", lambda: book(**{"xl/media/a.zip": b"x"})),
    "nested zip by content": ("xlsx", lambda: book(**{"xl/media/image1.png": book()})),
    "slip": ("xlsx", lambda: book(**{"../../etc/passwd": b"x"})),
    "absolute": ("xlsx", lambda: book(**{"/etc/passwd": b"x"})),
    "locked": ("xlsx", locked),
    "old workbook": ("xlsx", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 4096),
    "html": ("xlsx", lambda: b"<html><script>alert(1)</script></html>"),
    "cut off": ("xlsx", lambda: book()[:-30]),
    "no directory": ("xlsx", stored_garbage),
    "external entity": (
        "xlsx",
        lambda: book(
            '<!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + HEAD + ROW.replace("email", "&x;") + FOOT
        ),
    ),
    "entities in the book": ("xlsx", lambda: book(**{"xl/workbook.xml": '<!DOCTYPE a [<!ENTITY b "c">]>' + BOOK})),
    "utf-16 sheet": ("xlsx", lambda: book((HEAD + ROW + FOOT).encode("utf-16"))),
    "comment": ("xlsx", lambda: book(HEAD + "<row><!-- <row> --><c/></row>" + FOOT)),
    "cdata": ("xlsx", lambda: book(HEAD + ROW.replace("email", "<![CDATA[<row>]]>") + FOOT)),
    "deep": (
        "xlsx",
        lambda: book(
            HEAD
            + "<row>"
            + "".join(f"<c><v>{text}</v>" for text in noise(100_000, 8))
            + "</c>" * 100_000
            + "</row>"
            + FOOT
        ),
    ),
    "junk between rows": (
        "xlsx",
        lambda: book(HEAD + "".join(ROW + f"<b>{text}</b>" + "<a/>" * 20 for text in noise(50_000, 16)) + FOOT),
    ),
    "styles": (
        "xlsx",
        lambda: book(**{"xl/styles.xml": f"<a>{''.join(f'<b>{text}</b>' for text in noise(1_000_000, 8))}</a>"}),
    ),
    "one shared string": (
        "xlsx",
        lambda: strings("<si>" + "".join(f"<t>{text}</t>" for text in noise(500_000, 8)) + "</si>"),
    ),
    "long cell": ("csv", lambda: csv_of("email\n" + "a" * 5_000_000)),
    "csv rows": ("csv", lambda: csv_of("email\n" + "a\n" * 300_000)),
    "csv with nul": ("csv", lambda: csv_of(b"e\x00m\x00a\x00i\x00l\x00\n\x00")),
    "csv that is a zip": ("csv", book),
    "csv in latin": ("csv", lambda: csv_of("email\nzoë".encode("latin-1"))),
    "csv no line end": ("csv", lambda: csv_of("a" * 60_000_000)),
    "csv quote in the middle": ("csv", lambda: csv_of('email\n"a"b')),
    "csv too large": ("csv", lambda: csv_of("email\n" + "a@example.com\n" * 4_900_000)),
}
