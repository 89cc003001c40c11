"""Files that come and go: where they are put, for how long, and what is known of each export and import."""

from typing import Literal

from chalicelib.domain.wire import Noun

Format = Literal["csv", "xlsx"]
Encoding = Literal["utf-8", "utf-16", "windows-1252", "iso-8859-1"]
# What parts the cells of a CSV file, the likeliest first.
DELIMITERS = (",", ";", "\t", "|")

# What an export made and an import worked with is kept for so long: an import can be undone until then.
PASSING_DAYS = 30
# 200,000 customers with every field filled make a CSV file of about this size; Excel packs them into a fifth of it.
MAXIMUM_FILE_BYTES = 64 * 1024 * 1024


class Upload(Noun):
    """How a file is put where only we read it: a form is posted to ``url`` with these fields and, as its last, the
    field ``file``."""

    url: str
    fields: dict[str, str]
    maximum_bytes: int
    expires_in_seconds: int
