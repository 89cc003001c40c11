"""The merchant's users: who may sign in to the shop's page, with which permissions, and what a password must be.

A permission is a name that people tick; it opens scopes, and each route declares the scope that it needs. The owner has
all of them.
"""

import re
import unicodedata
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from chalicelib.domain.access import RESOURCES
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Oid, Text25, Text50, Text100, Text200
from chalicelib.domain.wire import Noun

# All of a merchant's users are read to list them.
MAXIMUM_USERS = 200
# NIST SP 800-63B asks for eight; twelve leave a list of stolen hashes little to guess. Longer than a kilobyte is no
# password, and would only be hashed for somebody who wants to see us work.
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD_BYTES = 1024
# "aaaaaaaaaaaa" and "121212121212" are long and nothing else.
FEWEST_CHARACTERS = 5
# What stands in every list of stolen passwords. A password of nothing but these, digits and marks is the first that
# anybody would try.
COMMON = re.compile("qwert[yz]|asdfgh?|pass(?:word|wort)|letmein|iloveyou|welcome|admin|backroom|abcdef|secret")
MARKS = "0123456789 !?.,:;_+*#$@-"

Login = Annotated[str, Meta(min_length=3, max_length=100, pattern=r"^[A-Za-z0-9._@+-]+$")]
Password = Annotated[str, Meta(max_length=LONGEST_PASSWORD_BYTES)]

# Names of the permissions, by UltraCart's habit ("View Items", "Edit Items"), with the group that a form shows them in.
_GROUPS = {
    "auto_order": ("Operations", "Auto Orders"),
    "configuration": ("Configuration", "Configuration"),
    "coupon": ("Items", "Coupons"),
    "customer": ("Operations", "Customers"),
    "gift_certificate": ("Operations", "Gift Certificates"),
    "item": ("Items", "Items"),
    "order": ("Operations", "Orders"),
    "user": ("Admin", "Users"),
    "webhook": ("Development", "Webhooks"),
}


class Permission(Noun):
    """One permission and whether the user has it. Whoever may edit may view."""

    permission_group: Text50 | None = None
    permission_name: Annotated[str, Meta(max_length=50)] | None = msgspec.field(default=None, name="permission_Name")
    selected: bool | None = None


def _permissions() -> dict[str, tuple[str, frozenset[str]]]:
    """Name of each permission to its group and the scopes that it opens."""
    found = {}
    for resource in RESOURCES:
        group, things = _GROUPS[resource]
        found[f"View {things}"] = (group, frozenset({f"{resource}_read"}))
        found[f"Edit {things}"] = (group, frozenset({f"{resource}_read", f"{resource}_write"}))
    return found


PERMISSIONS = _permissions()
ALL_SCOPES = frozenset(scope for _, scopes in PERMISSIONS.values() for scope in scopes)


class User(Noun):
    """Kept with the permissions that are selected; shown with all of them. ``generation`` rises when all sessions end:
    one of an older generation is over."""

    read_only: ClassVar[frozenset[str]] = frozenset({"user_id", "owner", "signed_up"})
    own: ClassVar[frozenset[str]] = frozenset({"generation"})

    user_id: Oid | None = None
    login: Login | None = None
    full_name: Text100 | None = None
    email: Annotated[str, Meta(max_length=150)] | None = None
    phone: Text25 | None = None
    permissions: Annotated[list[Permission], Meta(max_length=100)] | None = None
    owner: Annotated[bool, Meta(description="has every permission, and is made by whoever runs the house")] | None = (
        None
    )
    totp: (
        Annotated[bool, Meta(description="signs in with a code as well; false takes the codes of another away")] | None
    ) = None
    signed_up: Annotated[bool, Meta(description="has a password")] | None = None
    change_password_to: Annotated[Password, Meta(description="taken, never shown")] | None = None
    generation: int = 0

    def scopes(self) -> frozenset[str]:
        if self.owner:
            return ALL_SCOPES
        return frozenset(scope for name in self.granted() for scope in PERMISSIONS[name][1])

    def granted(self) -> list[str]:
        """The names of the permissions that it has; one that there is no more opens nothing."""
        return [
            p.permission_name
            for p in self.permissions or []
            if p.selected and p.permission_name and p.permission_name in PERMISSIONS
        ]


class UserLogin(Noun):
    """One sign-in. ``ip_address``: of IPv6, the line's network."""

    login: Text100 | None = None
    login_dts: Instant | None = None
    ip_address: Text50 | None = None


class Credentials(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What proves that somebody is the user; a record of its own, so that whoever lists users reads none of it.

    ``totp_pending``: a secret that no code has confirmed yet. ``totp_step``: the last step whose code was taken, so
    that none is taken twice. ``welcome_hash``: of the one link that sets a password, until ``welcome_until``.
    """

    password_hash: str | None = None
    totp_secret: str | None = None
    totp_pending: str | None = None
    totp_step: int = 0
    welcome_hash: str | None = None
    welcome_until: Instant | None = None


class Session(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One sign-in: a browser that holds the text whose hash names the record."""

    session_hash: str
    merchant_id: str
    user_id: int
    generation: int
    created_dts: Instant


class SignedIn(msgspec.Struct, kw_only=True, frozen=True):
    """A user with a session that is good at this moment: what opens a route, as a key does."""

    session: Session
    user: User
    expires_dts: Instant
    csrf: str

    @property
    def merchant_id(self) -> str:
        return self.session.merchant_id

    @property
    def name(self) -> str:
        return self.user.login or ""

    @property
    def actor(self) -> str:
        return self.name

    def allows(self, scope: str) -> bool:
        return scope in self.user.scopes()


class SignIn(Noun):
    """What somebody signs in with. Texts of any form: what is none of a user's is answered like a wrong password."""

    login: Text200
    password: Password
    code: Annotated[str, Meta(max_length=20)] | None = None


class Welcome(Noun):
    """What a link of invitation is answered with."""

    token: Text200
    password: Password
    name: Text100 | None = None


class PasswordChange(Noun):
    current: Password
    new: Password


class TotpChange(Noun):
    """``begin`` gives a secret, ``confirm`` takes it into use with a code of it, ``remove`` needs the password."""

    action: Literal["begin", "confirm", "remove"]
    code: Annotated[str, Meta(max_length=20)] | None = None
    password: Password | None = None


def login_key(login: str) -> str:
    """A login's one form, whatever its case and the spaces around it: what is unique and what limits count."""
    return unicodedata.normalize("NFKC", login).strip().casefold()[:200]


def check_password(password: str, user: User, pointer: str) -> None:
    """Raises Invalid for one that is too easy to guess."""
    told = ""
    lowered = password.casefold()
    names = [name.casefold() for name in (user.login, user.email, user.full_name) if name and len(name) >= 4]
    if len(password) < SHORTEST_PASSWORD:
        told = f"must have {SHORTEST_PASSWORD} characters or more"
    elif len(password.encode()) > LONGEST_PASSWORD_BYTES:
        told = f"may have {LONGEST_PASSWORD_BYTES} bytes at most"
    elif len(set(lowered)) < FEWEST_CHARACTERS or not COMMON.sub("", lowered).strip(MARKS):
        told = "is one of the first that anybody would try"
    elif any(name in lowered for name in names):
        told = "may not hold the user's login, name or e-mail address"
    if told:
        raise Invalid.one(pointer, "weak_password", told)


def chosen(raw: list[Permission] | None) -> list[str]:
    """The names of the permissions that are selected, each once. Raises Invalid for a name that is none."""
    unknown = [
        Problem(pointer=f"/permissions/{place}/permission_Name", code="unknown", message=f"these are: {_TOLD}")
        for place, entry in enumerate(raw or [])
        if entry.permission_name not in PERMISSIONS
    ]
    if unknown:
        raise Invalid(unknown)
    names = {entry.permission_name for entry in raw or [] if entry.selected}
    return [name for name in PERMISSIONS if name in names]


_TOLD = ", ".join(PERMISSIONS)


def shown_user(user: User) -> User:
    """The user with every permission that there is, selected or not."""
    has = set(PERMISSIONS) if user.owner else set(user.granted())
    every = [
        Permission(permission_group=group, permission_name=name, selected=name in has)
        for name, (group, _) in PERMISSIONS.items()
    ]
    return msgspec.structs.replace(user, permissions=every, change_password_to=None)
