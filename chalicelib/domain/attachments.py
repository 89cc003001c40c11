"""Files of a profile: which kinds are taken, how large, and what they are called where they are kept."""

import unicodedata
from typing import Annotated, Literal

from msgspec import Meta

from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import Invalid
from chalicelib.domain.fields import Text100, on_form
from chalicelib.domain.transfers import Upload
from chalicelib.domain.wire import Noun

# A scanned certificate of some pages; larger ones are photographs of it.
MAXIMUM_BYTES = 10 * 1024 * 1024
# What a certificate, a licence or a letter comes as. Nothing that a browser would run, were it ever shown.
MimeType = Literal[
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "image/gif",
    "image/jpeg",
    "image/png",
    "text/csv",
    "text/plain",
]


class AttachmentRequest(Noun):
    file_name: Annotated[str, Meta(min_length=1, max_length=100)]
    mime_type: Annotated[
        MimeType, Meta(description="What the file is.", extra_json_schema=on_form(maximum_bytes=MAXIMUM_BYTES))
    ]
    description: Text100 | None = None


class AttachmentUpload(Noun):
    """Where to put a file, and the oid under which it is attached once it is there."""

    customer_profile_attachment_oid: int
    upload: Upload


def validate(asked: AttachmentRequest) -> None:
    """Raises Invalid for a name that would be a path, or hides what it is."""
    name = asked.file_name
    hidden = any(unicodedata.category(character).startswith("C") for character in name)
    if hidden or set(name) & set('/\\:*?"<>|') or name.strip(" .") != name:
        message = "must be the name of a file: no path, no invisible characters, no dots or spaces around it"
        raise Invalid.one("/file_name", "invalid", message)


def file_of(number: int) -> str:
    """What the file of an attachment is called: by its own oid, so that it stays where profiles become one."""
    return f"kept/attachments/{number}"


def files_of(customer: Customer) -> list[str]:
    return [file_of(one.customer_profile_attachment_oid or 0) for one in customer.attachments or []]
