"""Two customer profiles become one: what is asked for, and what the one that stays takes over."""

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from chalicelib.domain.customers import Customer, CustomerSoftwareEntitlement, Email
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.fields import Oid
from chalicelib.domain.wire import Noun


class CustomerMergeRequest(Noun):
    """The profile that goes, by its oid or its address; where both are named they must be of the same one."""

    customer_profile_oid: Oid | None = None
    email: Email | None = None


class Mark(msgspec.Struct, kw_only=True, frozen=True):
    """That a profile takes part in a merge. ``into``: it goes, or has gone, into that one; else another goes into it.
    ``event_id`` is the event that does the merge."""

    event_id: str
    into: int | None = None


def validate(asked: CustomerMergeRequest) -> None:
    if asked.customer_profile_oid is None and asked.email is None:
        raise Invalid.one("", "required", "name the profile to merge by customer_profile_oid or by email")


def joined(stays: Customer, goes: Customer, oids: Iterator[int], now: Instant, by: str) -> Customer:
    """The profile that stays with what it takes over. An oid that both have used is another one then."""
    entitlements = list(stays.software_entitlements or [])
    taken = {one.customer_software_entitlement_oid for one in entitlements}
    for one in goes.software_entitlements or []:
        entitlements.append(_entitlement(one, taken, oids))
    attachments = list(stays.attachments or [])
    known = {one.customer_profile_attachment_oid for one in attachments}
    attachments += [one for one in goes.attachments or [] if one.customer_profile_attachment_oid not in known]
    after = replace(
        stays,
        software_entitlements=entitlements or stays.software_entitlements,
        attachments=attachments or stays.attachments,
    )
    return after if after == stays else replace(after, last_modified_by=by or None, last_modified_dts=now)


def _entitlement(
    one: CustomerSoftwareEntitlement, taken: set[int | None], oids: Iterator[int]
) -> CustomerSoftwareEntitlement:
    oid = one.customer_software_entitlement_oid
    while oid in taken:
        oid = next(oids)
    taken.add(oid)
    return replace(one, customer_software_entitlement_oid=oid)
