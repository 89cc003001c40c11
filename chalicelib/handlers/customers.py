"""Customer profiles over HTTP."""

from typing import Any

from chalicelib.domain.customers import Customer, PasswordNoticeRequest, PasswordNotices, QuickCustomer
from chalicelib.domain.wire import render, whole
from chalicelib.flows import passwords, profiles
from chalicelib.handlers.http import Ask, Door, oid_of, one

door = Door("customers")

NOUN = "customer"
ONE = "/customer/customers/{customer_profile_oid}"
EXPANSIONS = ("_expand",)


def _answer(ask: Ask, customer: Customer, version: int) -> dict[str, Any]:
    ask.etag(version)
    return one("customer", render(customer, ask.form, ask.expand))


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


@door(
    "POST",
    "/customer/password_notices",
    "customer_write",
    summary="Mail to profiles without a password where to set one: a link, never a password; once a day each",
    takes=PasswordNoticeRequest,
    gives=PasswordNotices,
)
def send_password_notices(ask: Ask) -> dict[str, Any]:
    return one("password_notices", whole(passwords.send_notices(ask.shop, ask.raw()), ask.form))


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
