"""Customers' passwords by signed links: set once by each link, asked for by whoever has forgotten his, announced by the
shop to those who have none. A mail never holds a password."""

from typing import Any

from chalicelib.domain.customer_values import CustomerProfileSettings
from chalicelib.domain.customers import (
    Customer,
    CustomerEmailRequest,
    PasswordNoticeRequest,
    PasswordNotices,
    SetPasswordRequest,
    normalised_email,
    password_subject,
)
from chalicelib.domain.dates import local_date
from chalicelib.domain.drafts import made
from chalicelib.domain.errors import NotFound, Unauthorised
from chalicelib.domain.mails import ASKED_FOR, SentMail, password_mail
from chalicelib.domain.merchants import Merchant
from chalicelib.flows import asked_links, profiles
from chalicelib.flows.ports import Kept, Shop

# Who set it, as it is written down.
CUSTOMER = "customer"
USED = "The link is not valid any more: a password has been set since. Please ask for a new one."


def shown(shop: Shop, token: str) -> Customer:
    """Whose password the link sets. Raises Unauthorised for what is no link of ours, or was used."""
    return _behind(shop, token).noun


def set_password(shop: Shop, raw: Any) -> Customer:
    """Set the password that the customer has typed. Raises Unauthorised, and Invalid with all problems."""
    asked = made(raw, SetPasswordRequest)
    kept = _behind(shop, asked.token)
    request = {"password": asked.password}
    try:
        return profiles.update_customer(shop, kept.noun.customer_profile_oid or 0, request, by=CUSTOMER)[0]
    except NotFound:
        raise Unauthorised(USED) from None


def _behind(shop: Shop, token: str) -> Kept[Customer]:
    subject = shop.links.read("set_password", token)
    oid = int(subject.partition("#")[0])
    kept = shop.customers.find(oid)
    if kept is None or password_subject(oid, shop.customer_passwords.find(oid)) != subject:
        raise Unauthorised(USED)
    return kept


def ask_for_link(shop: Shop, raw: Any, address: str) -> None:
    """Mail a link to the profile of that address, where there is one. Nothing tells the asker whether there is.

    Raises TooMany, and Invalid with all problems.
    """
    asked, now = made(raw, CustomerEmailRequest), shop.clock.now()
    shop.configuration.section(CustomerProfileSettings).noun.refuse_disabled()
    asked_links.count_asker(shop, "set_password", address)
    email = normalised_email(asked.email)
    asked_links.count_mailbox(shop, "set_password", f"email#{email}")
    try:
        customer = profiles.customer_by_email(shop, email).noun
    except NotFound:
        return
    asked_links.send(shop, [_mail(shop, customer, shop.word(), {ASKED_FOR: str(now)})])


def send_notices(shop: Shop, raw: Any) -> PasswordNotices:
    """Tell these profiles where to set a password: those without one, each once a day. Raises Invalid."""
    asked = made(raw, PasswordNoticeRequest)
    today = local_date(shop.clock.now(), shop.configuration.section(Merchant).noun.zone_name())
    told = PasswordNotices(sent=[], has_password=[], unknown=[])
    mails = []
    for oid in dict.fromkeys(asked.customer_profile_oids):
        kept = shop.customers.find(oid)
        if kept is None:
            told.unknown.append(oid)
        elif shop.customer_passwords.find(oid):
            told.has_password.append(oid)
        else:
            mails.append(_mail(shop, kept.noun, f"password_notice#{today}", {}))
            told.sent.append(oid)
    asked_links.send(shop, mails)
    return told


def _mail(shop: Shop, customer: Customer, word: str, facts: dict[str, str]) -> SentMail:
    return password_mail(customer.customer_profile_oid or 0, customer.email or "", word, shop.clock.now(), facts)
