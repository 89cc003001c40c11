"""Customer profiles over HTTP."""

from typing import Any

from chalicelib.domain.attachments import AttachmentRequest, AttachmentUpload
from chalicelib.domain.customer_values import CustomerEditorValues, CustomerProfileSettings, editor_values
from chalicelib.domain.customers import (
    Customer,
    CustomerAttachment,
    EmailVerifyTokenRequest,
    EmailVerifyTokenValidateRequest,
    MagicLinkRequest,
    PasswordNoticeRequest,
    PasswordNotices,
    QuickCustomer,
    SignedInCustomer,
    WholesaleSignedUp,
    WholesaleSignup,
)
from chalicelib.domain.dates import local_date
from chalicelib.domain.loyalty import LoyaltyProgram
from chalicelib.domain.merging import CustomerMergeRequest
from chalicelib.domain.wire import whole
from chalicelib.flows import attachments, customer_passwords, magic_links, privacy, profiles, show_profile
from chalicelib.flows.configure import section
from chalicelib.gateways.countries import countries
from chalicelib.handlers.http import STOREFRONT, Ask, Door, done, many, oid_of, one

door = Door("customers")

NOUN = "customer"
ONE = "/customer/customers/{customer_profile_oid}"
ATTACHMENT = ONE + "/attachments/{customer_profile_attachment_oid}"
EXPANSIONS = ("_expand",)


def _answer(ask: Ask, customer: Customer, version: int) -> dict[str, Any]:
    ask.etag(version)
    return one("customer", show_profile.customer(ask.shop, customer, ask.expand, ask.form))


@door(
    "POST",
    "/customer/customers",
    "customer_write",
    summary="Insert a customer; cards come as tokens, never as numbers",
    takes=Customer,
    gives=Customer,
    query=EXPANSIONS,
)
def insert_customer(ask: Ask) -> dict[str, Any]:
    return _answer(ask, *profiles.insert_customer(ask.shop, ask.raw(), by=ask.by))


@door(
    "POST",
    "/customer/customers/quick_add",
    "customer_write",
    summary="Insert a customer with the little that is asked at the desk; the password is required",
    takes=QuickCustomer,
    gives=Customer,
    query=EXPANSIONS,
)
def quick_add_customer(ask: Ask) -> dict[str, Any]:
    return _answer(ask, *profiles.quick_add(ask.shop, ask.raw(), by=ask.by))


@door("DELETE", ONE, "customer_write", summary="Delete a customer; refused while an active auto order is his")
def delete_customer(ask: Ask, customer_profile_oid: str) -> None:
    profiles.delete_customer(ask.shop, oid_of(customer_profile_oid, NOUN), version=ask.if_match())


@door(
    "PUT",
    ONE + "/merge",
    "customer_write",
    summary="Merge another customer into this one: orders, auto orders, ledgers and entitlements move, the other goes",
    takes=CustomerMergeRequest,
    query=EXPANSIONS,
)
def merge_customer(ask: Ask, customer_profile_oid: str) -> None:
    profiles.merge_customer(ask.shop, oid_of(customer_profile_oid, NOUN), ask.raw(), by=ask.by)


@door(
    "POST",
    ONE + "/attachments",
    "customer_write",
    summary="Where to upload a file for a customer: 10 MB at most; it is attached once it is there",
    gives=AttachmentUpload,
)
def ask_for_attachment_upload(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    found = attachments.ask_upload(ask.shop, oid_of(customer_profile_oid, NOUN))
    return one("attachment_upload", whole(found, ask.form))


@door(
    "PUT",
    ATTACHMENT,
    "customer_write",
    summary="Attach the file that was uploaded, or say something else of one that is attached",
    takes=AttachmentRequest,
    gives={"attachment": CustomerAttachment},
)
def attach_to_customer(ask: Ask, customer_profile_oid: str, customer_profile_attachment_oid: str) -> dict[str, Any]:
    oid, number = oid_of(customer_profile_oid, NOUN), oid_of(customer_profile_attachment_oid, "attachment")
    return one("attachment", whole(attachments.attach(ask.shop, oid, number, ask.raw(), by=ask.by), ask.form))


@door(
    "GET",
    ATTACHMENT,
    "customer_read",
    summary="Retrieve an attachment: where its file can be downloaded for 15 minutes",
    gives={"attachment": CustomerAttachment, "url": str},
)
def get_customer_attachment(
    ask: Ask, customer_profile_oid: str, customer_profile_attachment_oid: str
) -> dict[str, Any]:
    oid, number = oid_of(customer_profile_oid, NOUN), oid_of(customer_profile_attachment_oid, "attachment")
    found, url = attachments.link(ask.shop, oid, number)
    return {"url": url, **one("attachment", whole(found, ask.form))}


@door("DELETE", ATTACHMENT, "customer_write", summary="Delete an attachment and its file")
def delete_customer_attachment(ask: Ask, customer_profile_oid: str, customer_profile_attachment_oid: str) -> None:
    oid, number = oid_of(customer_profile_oid, NOUN), oid_of(customer_profile_attachment_oid, "attachment")
    attachments.detach(ask.shop, oid, number, by=ask.by)


@door(
    "GET",
    ONE + "/export",
    "customer_read",
    summary="All that is kept about a customer, for himself; his orders page by page",
    gives={"customer_data": dict[str, Any]},
    query=("_limit", "_offset"),
)
def export_customer(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    limit, offset = ask.page()
    found, total = privacy.export(ask.shop, oid_of(customer_profile_oid, NOUN), ask.form, limit, offset)
    pages = many("orders", found["orders"], limit=limit, offset=offset, total=total)
    metadata = {"payload_name": "customer_data", "result_set": pages["metadata"]["result_set"]}
    return {**one("customer_data", found), "metadata": metadata}


@door(
    "POST",
    ONE + "/erase",
    "customer_write",
    summary="Forget a customer: his orders and ledgers stay, without him. Refused while an active auto order is his",
)
def erase_customer(ask: Ask, customer_profile_oid: str) -> None:
    profiles.erase_customer(ask.shop, oid_of(customer_profile_oid, NOUN), by=ask.by)


@door(
    "PUT",
    ONE + "/magic_link/{storefront_host_name}",
    "customer_write",
    summary="A link by which somebody of the shop signs in as the customer: good once, for 15 minutes",
    gives={"url": str},
)
def get_magic_link(ask: Ask, customer_profile_oid: str, storefront_host_name: str) -> dict[str, Any]:
    return {"url": magic_links.magic_link(ask.shop, oid_of(customer_profile_oid, NOUN), storefront_host_name), **done()}


@door(
    "POST",
    "/storefront/magic_link",
    STOREFRONT,
    summary="Whose magic link a shopper came by; opened once",
    takes=MagicLinkRequest,
    gives={"customer": SignedInCustomer},
    base="",
)
def open_magic_link(ask: Ask) -> dict[str, Any]:
    return one("customer", whole(magic_links.open_magic_link(ask.shop, ask.raw()), ask.form))


@door(
    "POST",
    "/storefront/wholesale_signups",
    STOREFRONT,
    summary="A dealer signs himself up, where the shop takes that; his terms act at once or once he is approved",
    takes=WholesaleSignup,
    gives={"wholesale_signup": WholesaleSignedUp},
    base="",
)
def sign_up_for_wholesale(ask: Ask) -> dict[str, Any]:
    return one("wholesale_signup", whole(profiles.sign_up(ask.shop, ask.raw(), ask.address), ask.form))


@door(
    "POST",
    "/customer/customers/email_verify/get_token",
    "customer_write",
    summary="A token by which somebody proves that he reads the mails of an address; mail it to him",
    takes=EmailVerifyTokenRequest,
    gives={"token": str},
)
def get_email_verification_token(ask: Ask) -> dict[str, Any]:
    return {"token": magic_links.email_token(ask.shop, ask.raw()), **done()}


@door(
    "POST",
    "/customer/customers/email_verify/validate_token",
    "customer_write",
    summary="Whether a token proves what it was made for: refused where it is none of ours or has expired",
    takes=EmailVerifyTokenValidateRequest,
    gives={},
)
def validate_email_verification_token(ask: Ask) -> dict[str, Any]:
    magic_links.verified_email(ask.shop, ask.raw())
    return done()


@door(
    "GET",
    "/customer/editor_values",
    "customer_read",
    summary="Retrieve what a form for a customer profile offers; bare, without the envelope",
    gives=CustomerEditorValues,
)
def get_customer_editor_values(ask: Ask) -> Any:
    settings, _ = section(ask.shop, CustomerProfileSettings)
    program, _ = section(ask.shop, LoyaltyProgram)
    today = local_date(ask.shop.clock.now(), ask.merchant.zone_name())
    return whole(editor_values(settings, program, countries(), today), ask.form)


@door(
    "POST",
    "/customer/password_notices",
    "customer_write",
    summary="Mail to profiles without a password where to set one: a link, never a password; once a day each",
    takes=PasswordNoticeRequest,
    gives=PasswordNotices,
)
def send_password_notices(ask: Ask) -> dict[str, Any]:
    return one("password_notices", whole(customer_passwords.send_notices(ask.shop, ask.raw()), ask.form))


@door("GET", ONE, "customer_read", summary="Retrieve a customer", gives=Customer, query=EXPANSIONS)
def get_customer(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    kept = ask.shop.customers.get(oid_of(customer_profile_oid, NOUN))
    return _answer(ask, kept.noun, kept.version)


@door(
    "GET",
    "/customer/customers/by_email/{email}",
    "customer_read",
    summary="Retrieve a customer by e-mail address, in any case",
    gives=Customer,
    query=EXPANSIONS,
)
def get_customer_by_email(ask: Ask, email: str) -> dict[str, Any]:
    kept = profiles.customer_by_email(ask.shop, email)
    return _answer(ask, kept.noun, kept.version)


@door(
    "PUT",
    ONE,
    "customer_write",
    summary="Update a customer: only the keys present change, arrays whole",
    takes=Customer,
    gives=Customer,
    query=EXPANSIONS,
)
def update_customer(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    oid = oid_of(customer_profile_oid, NOUN)
    version = ask.if_match()
    return _answer(ask, *profiles.update_customer(ask.shop, oid, ask.raw(), by=ask.by, version=version))
