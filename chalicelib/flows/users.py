"""The merchant's users by hand: made, changed, invited, taken away; each with its row in the audit.

Nobody grants what he does not have himself, nor changes somebody who may do more than he; an owner is changed by owners
alone and deleted by nobody, so there is always one.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from chalicelib.domain import wire
from chalicelib.domain.audit import COMINGS, Action, AuditEntry
from chalicelib.domain.dates import later
from chalicelib.domain.errors import Contended, Invalid, NotAllowed, Refused, Stale
from chalicelib.domain.users import (
    MAXIMUM_USERS,
    PERMISSIONS,
    Credentials,
    Permission,
    User,
    UserLogin,
    check_password,
    chosen,
)
from chalicelib.flows.ports import Change, Entrance, Kept, Shop
from chalicelib.flows.sign_in import proof_of, welcome_for, write_over

# An oid by chance that is taken: so often it is tried again.
MOST_TRIES = 8
# As far back as UltraCart tells it; and so many are more than anybody looks through.
HISTORY_DAYS = 90
MOST_LOGINS = 200
OWN = "changes another's; for your own, your password is asked for: POST /admin/password, POST /admin/totp"


class Acting(msgspec.Struct, frozen=True, kw_only=True):
    """Who does it: a login or a key by its name, from where, and which scopes it has itself. ``owner``: an owner, or a
    key without bounds. ``user_id``: none of a key."""

    name: str
    address: str
    allows: Callable[[str], bool]
    owner: bool = False
    user_id: int = 0


def insert(entrance: Entrance, shop: Shop, raw: Any, by: Acting) -> tuple[User, str]:
    """The user, and the token of the link with which he chooses a password ("" where one was chosen for him).
    Raises Invalid, NotAllowed."""
    wire.refuse_owned(raw, User)
    user = wire.noun(raw, User)
    if user.login is None:
        raise Invalid.one("/login", "required", "is required")
    user.permissions, user.totp = _granted(user.permissions, [], by), _without_codes(user.totp, None)
    return _made(entrance, shop, user, by)


def make_owner(entrance: Entrance, shop: Shop, login: str, by: str, *, without_codes: bool = False) -> str:
    """The token of the link with which the owner of that login chooses a password: a new one, or one who has lost it,
    or (``without_codes``) the device that makes his codes. For whoever runs the house.
    Raises Invalid for a login that is another's."""
    acting = Acting(name=by, address="", allows=lambda scope: True, owner=True)
    found = entrance.logins.find(login)
    if found is None:
        user = wire.noun({"login": login}, User)
        user.owner = True
        return _made(entrance, shop, user, acting)[1]
    merchant_id, user_id = found
    if merchant_id != shop.merchant_id or not shop.users.get(user_id).noun.owner:
        raise _taken()
    if without_codes:
        update(entrance, shop, user_id, {"totp": False}, acting)
    return invite(entrance, shop, user_id, acting)


def update(
    entrance: Entrance, shop: Shop, user_id: int, raw: Any, by: Acting, version: int | None = None
) -> tuple[User, int]:
    """The user after a partial update, and his version. A password that is set for him, and codes that are taken away
    from him, end his sessions.
    Raises NotFound, NotAllowed, Invalid, Stale."""
    found = _read(shop, user_id, by, version)
    after = wire.overlay(found.noun, raw)
    if after.login != found.noun.login:
        raise Invalid.one("/login", "read_only", "stays as it was made; delete the user and insert another")
    password, after.change_password_to = after.change_password_to, None
    if isinstance(raw, dict) and raw.get("permissions") is not None:
        after.permissions = _granted(after.permissions, found.noun.granted(), by)
    after.totp = _without_codes(after.totp, found.noun.totp)
    proof = proof_of(shop, user_id)
    credentials = msgspec.structs.replace(proof.noun)
    if password is not None:
        check_password(password, after, "/change_password_to")
        credentials.password_hash, after.signed_up = entrance.passwords.hash(password), True
        credentials.welcome_hash = credentials.welcome_until = None
    if found.noun.totp and not after.totp:
        credentials.totp_secret = credentials.totp_pending = None
    changes = [shop.users.replaced(after, found.version)]
    if credentials != proof.noun:
        if by.user_id == user_id:
            raise Invalid.one("/totp" if password is None else "/change_password_to", "not_your_own", OWN)
        after.generation += 1
        changes = [
            shop.users.replaced(after, found.version),
            shop.users.proved_by(user_id, credentials, proof.version),
        ]
    changed = [name for name in User.__struct_fields__ if getattr(after, name) != getattr(found.noun, name)]
    detail = ", ".join([*(name for name in changed if name != "generation"), *(["password"] if password else [])])
    write_over(shop, *changes, *_noted(entrance, shop, "user_updated", by, after, detail))
    return after, found.version + 1


def remove(entrance: Entrance, shop: Shop, user_id: int, by: Acting, version: int | None = None) -> None:
    """The user is no more, and his sessions open nothing from this moment. Raises NotFound, NotAllowed, Stale."""
    found = _read(shop, user_id, by, version)
    if found.noun.owner:
        raise NotAllowed("An owner is not deleted.")
    write_over(
        shop, *shop.users.removed(found.noun, found.version), *_noted(entrance, shop, "user_deleted", by, found.noun)
    )


def invite(entrance: Entrance, shop: Shop, user_id: int, by: Acting) -> str:
    """A fresh token for the link with which the user chooses a password, his first or a new one; those before it open
    nothing any more. Raises NotFound, NotAllowed."""
    user = _read(shop, user_id, by, None).noun
    if by.user_id == user_id:
        raise Invalid.one("", "not_your_own", OWN)
    proof = proof_of(shop, user_id)
    token, credentials = welcome_for(entrance, shop.merchant_id, user_id, proof.noun)
    change = shop.users.proved_by(user_id, credentials, proof.version)
    write_over(shop, change, *_noted(entrance, shop, "welcome_made", by, user))
    return token


def logins(entrance: Entrance, shop: Shop, user_id: int) -> list[UserLogin]:
    """When the user has signed in, newest first. Raises NotFound."""
    user = shop.users.get(user_id).noun
    found = shop.audit.of_user(user_id, later(entrance.now(), days=-HISTORY_DAYS))
    return [
        UserLogin(login=user.login, login_dts=entry.audit_dts, ip_address=entry.address)
        for entry in found
        if entry.action in COMINGS
    ][:MOST_LOGINS]


def _made(entrance: Entrance, shop: Shop, user: User, by: Acting) -> tuple[User, str]:
    if len(shop.users.all()) >= MAXIMUM_USERS:
        raise Invalid.one("", "too_many", f"there are {MAXIMUM_USERS} users already; delete one first")
    credentials = Credentials()
    if user.change_password_to is not None:
        check_password(user.change_password_to, user, "/change_password_to")
        credentials.password_hash = entrance.passwords.hash(user.change_password_to)
        user.change_password_to, user.signed_up = None, True
    for _ in range(MOST_TRIES):
        user.user_id = next(shop.oids)
        token, invited = "", credentials
        if not user.signed_up:
            token, invited = welcome_for(entrance, shop.merchant_id, user.user_id, credentials)
        changes = shop.users.inserted(user, invited)
        try:
            shop.write(*changes, *_noted(entrance, shop, "user_inserted", by, user))
        except Refused:
            if entrance.logins.find(user.login or "") is not None:
                raise _taken() from None
            continue
        return user, token
    raise Contended("no id for the user could be found; try again")


def _granted(wanted: list[Permission] | None, had: list[str], by: Acting) -> list[Permission]:
    """What is newly granted must be the granter's own. Raises NotAllowed, Invalid."""
    names = chosen(wanted)
    beyond = [name for name in names if name not in had and not _has(by, name)]
    if beyond:
        raise NotAllowed(f"Nobody grants what he does not have himself: {', '.join(beyond)}.")
    return [Permission(permission_name=name, selected=True) for name in names]


def _without_codes(wanted: bool | None, had: bool | None) -> bool | None:
    """Codes are taken into use by their user alone, who has their secret. Raises Invalid."""
    if wanted and not had:
        raise Invalid.one("/totp", "read_only", "is begun by the user himself, on the shop's page; false takes it away")
    return had if wanted is None else (wanted or None)


def _has(by: Acting, permission: str) -> bool:
    return all(map(by.allows, PERMISSIONS[permission][1]))


def _read(shop: Shop, user_id: int, by: Acting, version: int | None) -> Kept[User]:
    found = shop.users.get(user_id)
    user = found.noun
    if user.owner and not by.owner:
        raise NotAllowed("Only an owner changes an owner.")
    beyond = [name for name in user.granted() if not _has(by, name)]
    if beyond:
        raise NotAllowed(f"This user may do what you may not: {beyond[0]}.")
    if version is not None and found.version != version:
        raise Stale(f"The user is at version {found.version} now.")
    return found


def _noted(entrance: Entrance, shop: Shop, action: Action, by: Acting, user: User, detail: str = "") -> list[Change]:
    entry = AuditEntry(
        audit_dts=entrance.now(),
        action=action,
        actor=by.name,
        address=by.address,
        user_id=user.user_id or 0,
        subject=user.login or "",
        detail=detail,
    )
    return shop.audit.added(entry)


def _taken() -> Invalid:
    return Invalid.one("/login", "duplicate", "is taken; logins are unique in the whole house, whatever their case")
