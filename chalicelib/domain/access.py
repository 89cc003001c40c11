"""Who may call: keys, their kinds and scopes. A key is kept as a hash; the text is shown once, when it is made."""

from hashlib import sha256
from typing import Literal, Protocol

import msgspec

from chalicelib.domain.dates import Instant

# A resource's scope is `<resource>_read` or `<resource>_write`; writing does not include reading.
RESOURCES = (
    "auto_order",
    "configuration",
    "coupon",
    "customer",
    "gift_certificate",
    "item",
    "order",
    "user",
    "webhook",
)
KEY_BYTES = 32
API_PREFIX = "bo_api_"
BROWSER_PREFIX = "bo_browser_"

Kind = Literal["api", "browser"]


class AccessKey(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``scopes`` None: all of them (the owner's key). A browser key opens the storefront calls and nothing else."""

    key_hash: str
    merchant_id: str
    kind: Kind
    name: str
    created_dts: Instant
    scopes: list[str] | None = None
    revoked_dts: Instant | None = None

    @property
    def actor(self) -> str:
        """Who asks, as a timeline tells it: the key's name, never the key."""
        return f"key {self.name}"

    def allows(self, scope: str) -> bool:
        if self.revoked_dts is not None:
            return False
        if scope == "storefront":
            return self.kind == "browser"
        return self.kind == "api" and (self.scopes is None or scope in self.scopes)


def key_hash(text: str) -> str:
    """Keys are 32 random bytes, so a plain hash keeps them: there is nothing to guess."""
    return sha256(text.encode()).hexdigest()


class Access(Protocol):
    """What opens a route: a key, or a user who is signed in. ``name``: as it is written down; ``actor``: as a timeline
    tells it."""

    @property
    def merchant_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def actor(self) -> str: ...
    def allows(self, scope: str) -> bool: ...
