"""Gift certificates over HTTP. The contract reads by POST, and one is read by GET as well; a query shows them without
their entries."""

from typing import Any

from chalicelib.domain.gift_certificates import (
    GiftCertificate,
    GiftCertificateCreateRequest,
    GiftCertificateLedgerEntry,
    GiftCertificateQuery,
)
from chalicelib.domain.wire import whole
from chalicelib.flows import gift_certificates as certificates
from chalicelib.handlers.http import Ask, Door, many, oid_of, one, page_of

door = Door("gift_certificates")

NOUN = certificates.NOUN
ALL = "/gift_certificate/gift_certificates"
ONE = ALL + "/{gift_certificate_oid}"
READ = "gift_certificate_read"
WRITE = "gift_certificate_write"


def _answer(ask: Ask, certificate: GiftCertificate) -> dict[str, Any]:
    return one("gift_certificate", whole(certificate, ask.form))


@door(
    "POST",
    ALL,
    WRITE,
    summary="Create a gift certificate",
    takes=GiftCertificateCreateRequest,
    gives=GiftCertificate,
)
def create_gift_certificate(ask: Ask) -> dict[str, Any]:
    return _answer(ask, certificates.create(ask.shop, ask.raw(), by=ask.by))


@door("POST", ONE, READ, summary="Retrieve a gift certificate", gives=GiftCertificate)
def get_gift_certificate_by_oid(ask: Ask, gift_certificate_oid: str) -> dict[str, Any]:
    kept = ask.shop.certificates.get(oid_of(gift_certificate_oid, NOUN))
    ask.etag(kept.version)
    return _answer(ask, certificates.shown(ask.shop, kept.noun))


@door("GET", ONE, READ, summary="Retrieve a gift certificate, by a call of our own", gives=GiftCertificate)
def get_gift_certificate(ask: Ask, gift_certificate_oid: str) -> dict[str, Any]:
    answer: dict[str, Any] = get_gift_certificate_by_oid(ask, gift_certificate_oid)
    return answer


@door("POST", ALL + "/by_code/{code}", READ, summary="Retrieve a gift certificate by its code", gives=GiftCertificate)
def get_gift_certificate_by_code(ask: Ask, code: str) -> dict[str, Any]:
    kept = certificates.by_code(ask.shop, code)
    ask.etag(kept.version)
    return _answer(ask, certificates.shown(ask.shop, kept.noun))


@door(
    "POST",
    ALL + "/by_email/{email}",
    READ,
    summary="Retrieve the gift certificates of an e-mail address",
    gives=list[GiftCertificate],
)
def get_gift_certificates_by_email(ask: Ask, email: str) -> dict[str, Any]:
    return one("gift_certificates", whole(certificates.by_email(ask.shop, email), ask.form))


@door(
    "POST",
    ALL + "/query",
    READ,
    summary="Retrieve gift certificates by query, in the order of their oids, without their entries",
    takes=GiftCertificateQuery,
    gives=list[GiftCertificate],
    query=("_limit", "_offset", "_expand"),
)
def get_gift_certificates_by_query(ask: Ask) -> dict[str, Any]:
    limit, offset = ask.page()
    found = certificates.by_query(ask.shop, ask.body(GiftCertificateQuery))
    page = whole(page_of(found, limit, offset), ask.form)
    return many("gift_certificates", page, limit=limit, offset=offset, total=len(found))


@door(
    "PUT",
    ONE,
    WRITE,
    summary="Update a gift certificate: only the keys present change; what is on it moves by ledger entries only",
    takes=GiftCertificate,
    gives=GiftCertificate,
)
def update_gift_certificate(ask: Ask, gift_certificate_oid: str) -> dict[str, Any]:
    oid = oid_of(gift_certificate_oid, NOUN)
    certificate, version = certificates.update(ask.shop, oid, ask.raw(), version=ask.if_match())
    ask.etag(version)
    return _answer(ask, certificate)


@door("DELETE", ONE, WRITE, summary="Delete a gift certificate; its ledger and its code are kept")
def delete_gift_certificate(ask: Ask, gift_certificate_oid: str) -> None:
    certificates.delete(ask.shop, oid_of(gift_certificate_oid, NOUN), version=ask.if_match())


@door(
    "POST",
    ONE + "/ledger_entry",
    WRITE,
    summary="Add a ledger entry: more on the gift certificate, or less, never below nothing; with dry_run the balance "
    "that there would be, and nothing is saved",
    takes=GiftCertificateLedgerEntry,
    gives=GiftCertificate,
    query=("dry_run",),
)
def add_gift_certificate_ledger_entry(ask: Ask, gift_certificate_oid: str) -> dict[str, Any]:
    oid, key = oid_of(gift_certificate_oid, NOUN), ask.header("idempotency-key")
    after = certificates.add_entry(ask.shop, oid, ask.raw(), by=ask.by, key=key, dry_run=ask.flag("dry_run"))
    return _answer(ask, after)
