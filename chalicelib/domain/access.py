"""Who may call: keys, their kinds and scopes. A key is kept as a hash; the text is shown once, when it is made."""

from hashlib import sha256
from typing import Annotated, ClassVar, Literal, Protocol

import msgspec
from msgspec import Meta

from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Text50
from chalicelib.domain.wire import Noun

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
SCOPES = tuple(f"{resource}_{verb}" for resource in RESOURCES for verb in ("read", "write"))
KEY_BYTES = 32
# All of a merchant's keys are read to list them, in one call.
MAXIMUM_KEYS = 100
# Of a key's hash, what names it on the page and in the audit: no two keys of a shop have the same.
KEY_ID_DIGITS = 20
# That a key was used is written down once in so long: a write an hour, not one a call.
USED_SECONDS = 3600
API_PREFIX = "bo_api_"
BROWSER_PREFIX = "bo_browser_"

Kind = Literal["api", "browser"]


class AccessKey(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``scopes`` None: all of them (the owner's key). A browser key opens the storefront calls and nothing else.
    ``used_dts``: when it last opened a door, to the hour; it stands beside the document."""

    key_hash: str
    merchant_id: str
    kind: Kind
    name: str
    created_dts: Instant
    scopes: list[str] | None = None
    revoked_dts: Instant | None = None
    created_by: str = ""
    used_dts: Instant | None = None

    @property
    def key_id(self) -> str:
        return self.key_hash[:KEY_ID_DIGITS]

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


class ApiKey(Noun):
    """An access key as it is made and listed; ``key`` is shown in the answer that makes it and never again. One without
    ``scopes`` opens everything that its kind can open. ``last_used_dts``: to the hour."""

    read_only: ClassVar[frozenset[str]] = frozenset({"api_key_id", "created_by", "created_dts", "key", "last_used_dts"})

    api_key_id: Text50 | None = None
    name: Annotated[str, Meta(min_length=1, max_length=50)] | None = None
    kind: Kind | None = None
    scopes: (
        Annotated[list[Annotated[str, Meta(extra_json_schema={"enum": list(SCOPES)})]], Meta(max_length=len(SCOPES))]
        | None
    ) = None
    key: str | None = None
    created_by: str | None = None
    created_dts: Instant | None = None
    last_used_dts: Instant | None = None


def shown_key(key: AccessKey, text: str | None = None) -> ApiKey:
    """``text``: of a key that was made just now."""
    return ApiKey(
        api_key_id=key.key_id,
        name=key.name,
        kind=key.kind,
        scopes=key.scopes,
        key=text,
        created_by=key.created_by or None,
        created_dts=key.created_dts,
        last_used_dts=key.used_dts,
    )


def check_key(asked: ApiKey, names: list[str]) -> tuple[str, Kind, list[str] | None]:
    """Name, kind and scopes of a new key, beside those of these names. Raises Invalid with all problems."""
    problems, kind = [], asked.kind or "api"
    if asked.name is None or not asked.name.strip():
        problems.append(Problem(pointer="/name", code="required", message="says who uses the key"))
    elif asked.name.strip().casefold() in {name.casefold() for name in names}:
        problems.append(Problem(pointer="/name", code="duplicate", message="is the name of another key"))
    unknown = [place for place, scope in enumerate(asked.scopes or []) if scope not in SCOPES]
    known = f"these are: {', '.join(SCOPES)}"
    problems += [Problem(pointer=f"/scopes/{place}", code="unknown", message=known) for place in unknown]
    if kind == "api" and not asked.scopes:
        problems.append(Problem(pointer="/scopes", code="required", message="says what the key may do; choose one"))
    if kind == "browser" and asked.scopes:
        told = "a browser key opens the storefront calls and nothing else; leave them out"
        problems.append(Problem(pointer="/scopes", code="not_allowed", message=told))
    if problems:
        raise Invalid(problems)
    scopes = [scope for scope in SCOPES if scope in (asked.scopes or [])]
    return (asked.name or "").strip(), kind, scopes or None


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
