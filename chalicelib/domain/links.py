"""Signed links: what they are for, how long they last, and where they lead.

Whoever holds one may do one thing to one noun, without signing in. GET shows, POST acts: programs that open every link
of a mail change nothing.
"""

from typing import Literal

# What a link allows; one of one purpose opens nothing of another.
Purpose = Literal[
    "cancel", "device", "magic_link", "my_account", "set_password", "store_credit", "update_billing", "verify_email"
]

# A browser in which a user has signed in before keeps such a token: it opens nothing, and others' tries do not count
# against it. Half a year, as most people keep a browser.
DEVICE_SECONDS = 180 * 24 * 3600

# The pages that mails lead to, below the shop's public address. A page shows; its form posts.
PAGES: dict[Purpose, str] = {
    "cancel": "/storefront/cancel",
    "my_account": "/storefront/my_account",
    "set_password": "/storefront/set_password",
    "update_billing": "/storefront/update_billing",
}
# A shopper who is signed in at the merchant's own shop has his cart filled by then; as long as a card's token.
STORE_CREDIT_SECONDS = 2 * 3600
# As long as a decline is being tried again and a while after; whoever comes later asks for a fresh link.
UPDATE_BILLING_SECONDS = 30 * 24 * 3600
# Who has forgotten a password reads his mail today; who is told of one by the shop comes round to it.
FORGOTTEN_SECONDS = 24 * 3600
PASSWORD_NOTICE_SECONDS = 14 * 24 * 3600
# It shows all that a customer has: whoever comes back tomorrow asks for another.
MY_ACCOUNT_SECONDS = 24 * 3600
# Somebody at the shop opens it at once.
MAGIC_LINK_SECONDS = 15 * 60
# A mail that asks whether an address is one's own is answered within days, or not at all.
VERIFY_EMAIL_SECONDS = 3 * 24 * 3600
# A receipt is looked up again at the end of a quarter; whoever comes later asks for a fresh link.
CANCEL_SECONDS = 90 * 24 * 3600


def welcome_url(public_url: str, token: str) -> str:
    """The page on which an invited user chooses a password. The token stands behind the ``#``, which browsers send to
    nobody."""
    return f"{public_url.rstrip('/')}/admin/#/welcome/{token}"
