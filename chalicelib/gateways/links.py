"""The signer of links. A token says in clear about what it is and until when; the signature, whose key is made for one
shop and one purpose, says that this house wrote it.

Nothing is kept of a token, so nothing tells whether it was used: what it allows must be harmless twice.
"""

from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Unauthorised
from chalicelib.domain.links import PAGES, Purpose

# A token of ours has some 120 characters; what is longer is none and is not worth hashing.
LONGEST_TOKEN = 500


class SignedLinks:
    """One merchant's links. ``public_url`` is where the house is reached from outside; ``secret`` gives its own secret,
    when a link is first signed or read."""

    def __init__(
        self, public_url: str, secret: Callable[[], str], merchant_id: str, now: Callable[[], Instant]
    ) -> None:
        self._public_url = public_url.rstrip("/")
        self._secret = secret
        self._merchant_id = merchant_id
        self._now = now

    def sign(self, purpose: Purpose, subject: str, seconds: int) -> str:
        """A token that stands for ``subject`` (an oid, an order id, ...) for so many seconds."""
        expires = int(self._now().timestamp()) + seconds
        return str(_serializer(self._secret(), self._salt(purpose)).dumps([subject, expires]))

    def read(self, purpose: Purpose, token: str) -> str:
        """The subject that the token stands for. Raises Unauthorised, in words for whoever has clicked it."""
        match self._opened(purpose, token):
            case [str(subject), int(expires)]:
                if self._now().timestamp() >= expires:
                    raise Unauthorised("The link has expired. Please use the link of your latest mail.")
                return subject
        raise Unauthorised("The link is not valid. Please use the link of your latest mail.")

    def page(self, purpose: Purpose, **query: str) -> str:
        """The page of that purpose: ``token`` opens it for one noun; without one it is the shop's own page."""
        return f"{self._public_url}{PAGES[purpose]}?{urlencode({'merchant_id': self._merchant_id, **query})}"

    def _opened(self, purpose: Purpose, token: str) -> Any:
        """What was signed; None for what was not."""
        from itsdangerous import BadData

        if len(token) > LONGEST_TOKEN or not token.isascii():
            return None
        serializer = _serializer(self._secret(), self._salt(purpose))
        try:
            opened = serializer.loads(token)
        except BadData:
            return None
        # Base64 passes over characters that are none of its own, and over the last bits: what was signed is one text.
        return opened if serializer.dumps(opened) == token else None

    def _salt(self, purpose: Purpose) -> str:
        return f"link\x1f{self._merchant_id}\x1f{purpose}"


@lru_cache(maxsize=64)
def _serializer(secret: str, salt: str) -> Any:
    # 5 ms to import: only who signs or opens a link pays for it.
    from itsdangerous import URLSafeSerializer

    options = {"key_derivation": "hmac", "digest_method": sha256}
    return URLSafeSerializer(secret, salt=salt, signer_kwargs=options)
