"""Files that are put to a profile: what they are stands in the profile, the files themselves apart, private, and given
out for a while and as downloads only."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from chalicelib.domain.attachments import MAXIMUM_BYTES, AttachmentRequest, AttachmentUpload, file_of, validate
from chalicelib.domain.customers import MAXIMUM_ATTACHMENTS, Customer, CustomerAttachment
from chalicelib.domain.drafts import made
from chalicelib.domain.errors import Contended, Invalid, NotFound, Refused
from chalicelib.domain.events import Event, Happening, event_id
from chalicelib.flows.ports import Shop
from chalicelib.flows.tell import told_now

# Who opens a profile looks at its files within minutes; whoever got hold of a link later has nothing of it.
LINK_SECONDS = 15 * 60
# A change that met a faster writer is laid over what stands now.
MOST_TRIES = 5
NOUN = "attachment"


def ask_upload(shop: Shop, oid: int) -> AttachmentUpload:
    """Where a file is to be put, and under which oid it is then attached.

    Raises NotFound, and Invalid where the profile has as many as it may.
    """
    _refuse_full(shop.customers.get(oid).noun)
    number = next(shop.oids)
    upload = shop.files.upload(file_of(number), MAXIMUM_BYTES)
    return AttachmentUpload(customer_profile_attachment_oid=number, upload=upload)


def attach(shop: Shop, oid: int, number: int, raw: Any, *, by: str) -> CustomerAttachment:
    """The file that was uploaded stands in the profile from now on; again, what is said of it changes.

    Raises NotFound, and Invalid with all problems.
    """
    asked = made(raw, AttachmentRequest, validate)
    size = shop.files.size(file_of(number))
    if size is None:
        raise NotFound("uploaded file", number)
    if size > MAXIMUM_BYTES:
        raise Invalid.one("", "too_large", f"a file may have {MAXIMUM_BYTES // 1024 // 1024} MB at most")
    now = shop.clock.now()

    def think(customer: Customer) -> list[CustomerAttachment]:
        standing = next((one for one in customer.attachments or [] if _is(one, number)), None)
        if standing is None:
            _refuse_full(customer)
        after = CustomerAttachment(
            customer_profile_attachment_oid=number,
            description=asked.description,
            file_name=asked.file_name,
            file_size=size,
            mime_type=asked.mime_type,
            upload_dts=standing.upload_dts if standing else now,
        )
        return [*(one for one in customer.attachments or [] if not _is(one, number)), after]

    return _of(_changed(shop, oid, think, by), number)


def link(shop: Shop, oid: int, number: int) -> tuple[CustomerAttachment, str]:
    """What is known of the file, and where it can be had for a while. Raises NotFound."""
    found = _of(shop.customers.get(oid).noun, number)
    shown, type_ = found.file_name or "file", found.mime_type or "application/octet-stream"
    return found, shop.files.link(file_of(number), shown, type_, LINK_SECONDS)


def detach(shop: Shop, oid: int, number: int, *, by: str) -> None:
    """The file goes, then what the profile says of it: who is cut in between does it again. Raises NotFound."""
    _of(shop.customers.get(oid).noun, number)
    shop.files.delete(file_of(number))
    _changed(shop, oid, lambda customer: [one for one in customer.attachments or [] if not _is(one, number)], by)


def _is(one: CustomerAttachment, number: int) -> bool:
    return one.customer_profile_attachment_oid == number


def _of(customer: Customer, number: int) -> CustomerAttachment:
    found = next((one for one in customer.attachments or [] if _is(one, number)), None)
    if found is None:
        raise NotFound(NOUN, number)
    return found


def _refuse_full(customer: Customer) -> None:
    if len(customer.attachments or []) >= MAXIMUM_ATTACHMENTS:
        message = f"a profile keeps {MAXIMUM_ATTACHMENTS} files at most; delete one first"
        raise Invalid.one("", "too_many", message)


def _changed(shop: Shop, oid: int, think: Callable[[Customer], list[CustomerAttachment]], by: str) -> Customer:
    for _ in range(MOST_TRIES):
        kept, now = shop.customers.get(oid), shop.clock.now()
        attachments = think(kept.noun)
        if attachments == (kept.noun.attachments or []):
            return kept.noun
        after = replace(kept.noun, attachments=attachments, last_modified_by=by or None, last_modified_dts=now)
        event = Event(
            event_id=event_id(shop.merchant_id, f"customer#{oid}", f"customer_update#{kept.version + 1}"),
            dts=now,
            happenings=[Happening(name="customer_update", kind="customer", id=str(oid))],
            seq=kept.version + 1,
        )
        try:
            shop.write(shop.customers.replaced(oid, after, kept.version), shop.events.happened(event))
        except Refused:
            continue
        told_now(shop, event.event_id)
        return after
    raise Contended("the customer is being changed by others; try again")
