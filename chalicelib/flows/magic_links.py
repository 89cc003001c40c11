"""Signed words about a customer: the link by which somebody of the shop signs in as him, and the token that says that
an address is his own. What a token allows to do, it allows once."""

from typing import Any

from chalicelib.domain.customer_values import CustomerProfileSettings
from chalicelib.domain.customers import (
    EmailVerifyTokenRequest,
    EmailVerifyTokenValidateRequest,
    MagicLinkRequest,
    SignedInCustomer,
    normalised_email,
    normalised_password,
    signed_in,
)
from chalicelib.domain.dates import later
from chalicelib.domain.drafts import made
from chalicelib.domain.errors import Invalid, NotFound, Unauthorised
from chalicelib.domain.links import MAGIC_LINK_SECONDS, VERIFY_EMAIL_SECONDS
from chalicelib.domain.merchants import Merchant
from chalicelib.flows import profiles
from chalicelib.flows.ports import Shop

# Whoever guesses passwords through tokens has a few tries an hour at each address.
PASSWORD_TRIES, PASSWORD_SECONDS = 10, 3600
OPENED = "The link was opened before. Please ask for a new one."


def magic_link(shop: Shop, oid: int, host: str) -> str:
    """Where somebody of the shop signs in as the customer, for a few minutes and once: a page of the storefront, which
    hands the token on. Raises NotFound, and Invalid for a host that is none of the shop's storefronts and where
    profiles are not enabled."""
    customer = shop.customers.get(oid).noun
    shop.configuration.section(CustomerProfileSettings).noun.refuse_disabled()
    origins = shop.configuration.section(Merchant).noun.allowed_origins or []
    origin = next((one for one in origins if one.partition("://")[2].lower() == host.lower()), None)
    if origin is None:
        known = ", ".join(one.partition("://")[2] for one in origins) or "none"
        message = f"is none of the shop's allowed origins; their hosts are: {known}"
        raise Invalid.one("/storefront_host_name", "unknown", message)
    token = shop.links.sign("magic_link", f"{customer.customer_profile_oid}#{shop.word()}", MAGIC_LINK_SECONDS)
    return f"{origin}/?magic_link={token}"


def open_magic_link(shop: Shop, raw: Any) -> SignedInCustomer:
    """Whose link it is, with the addresses that checkout offers; opened once. Raises Unauthorised for what is no link
    of ours, or was opened, and Invalid where profiles are not enabled."""
    asked = made(raw, MagicLinkRequest)
    settings = shop.configuration.section(CustomerProfileSettings).noun
    settings.refuse_disabled()
    subject = shop.links.read("magic_link", asked.token)
    kept = shop.customers.find(int(subject.partition("#")[0]))
    until = later(shop.clock.now(), seconds=MAGIC_LINK_SECONDS)
    if kept is None or not shop.limits.once(f"magic_link#{subject}", until):
        raise Unauthorised(OPENED)
    return signed_in(kept.noun, settings.limit_checkout_address_book)


def email_token(shop: Shop, raw: Any) -> str:
    """A token that says that whoever brings it back reads the mails of that address. Where a password is named and the
    address has a profile, it must be its own.

    Raises TooMany, and Invalid with all problems.
    """
    asked, now = made(raw, EmailVerifyTokenRequest), shop.clock.now()
    email = normalised_email(asked.email)
    if asked.password is not None:
        shop.limits.take(f"verify_email#{email}", PASSWORD_TRIES, PASSWORD_SECONDS, now)
        _refuse_wrong(shop, email, asked.password)
    return shop.links.sign("verify_email", email, VERIFY_EMAIL_SECONDS)


def _refuse_wrong(shop: Shop, email: str, password: str) -> None:
    try:
        customer = profiles.customer_by_email(shop, email).noun
    except NotFound:
        return
    standing = shop.customer_passwords.find(customer.customer_profile_oid or 0)
    if standing is None or not shop.passwords.fits(standing.hashed, normalised_password(password)):
        raise Invalid.one("/password", "invalid", "is not the password of the profile with this address")


def verified_email(shop: Shop, raw: Any) -> str:
    """The address that the token was made for. Raises Invalid for what is no token of ours, or has expired."""
    asked = made(raw, EmailVerifyTokenValidateRequest)
    try:
        return shop.links.read("verify_email", asked.token)
    except Unauthorised:
        raise Invalid.one("/token", "invalid", "is not a token that was made here, or it has expired") from None
