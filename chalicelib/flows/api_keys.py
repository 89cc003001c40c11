"""Access keys by hand: made for one purpose with the scopes that it needs, shown once, revoked at once; each with its
row in the audit. Nobody gives a key what he may not do himself, nor takes one away that may do more than he."""

from typing import Any, Protocol

from chalicelib.domain import wire
from chalicelib.domain.access import (
    API_PREFIX,
    BROWSER_PREFIX,
    MAXIMUM_KEYS,
    AccessKey,
    ApiKey,
    check_key,
    key_hash,
    shown_key,
)
from chalicelib.domain.audit import Action, AuditEntry
from chalicelib.domain.errors import Invalid, NotAllowed, NotFound, Refused
from chalicelib.flows.ports import Change, Entrance, Shop
from chalicelib.flows.users import Acting


class Keys(Protocol):
    """Access keys of all merchants."""

    def of(self, merchant_id: str) -> list[AccessKey]: ...
    def issued(self, key: AccessKey) -> list[Change]: ...
    def revoked(self, key: AccessKey) -> list[Change]: ...


def issue(entrance: Entrance, keys: Keys, shop: Shop, raw: Any, by: Acting) -> ApiKey:
    """The key with its text, which is kept nowhere. Raises Invalid with all problems, NotAllowed."""
    wire.refuse_owned(raw, ApiKey)
    standing = keys.of(shop.merchant_id)
    name, kind, scopes = check_key(wire.noun(raw, ApiKey), [key.name for key in standing])
    if beyond := [scope for scope in scopes or [] if not by.allows(scope)]:
        raise NotAllowed(f"Nobody gives a key what he does not have himself: {', '.join(beyond)}.")
    if len(standing) >= MAXIMUM_KEYS:
        raise Invalid.one("", "too_many", f"there are {MAXIMUM_KEYS} keys already; revoke one first")
    text = (API_PREFIX if kind == "api" else BROWSER_PREFIX) + entrance.secret()
    key = AccessKey(
        key_hash=key_hash(text),
        merchant_id=shop.merchant_id,
        kind=kind,
        name=name,
        created_dts=entrance.now(),
        scopes=scopes,
        created_by=by.name,
    )
    shop.write(*keys.issued(key), *_noted(entrance, shop, "key_issued", key, by))
    return shown_key(key, text)


def revoke(entrance: Entrance, keys: Keys, shop: Shop, key_id: str, by: Acting) -> None:
    """The key opens nothing from this moment. Raises NotFound, NotAllowed."""
    key = next((key for key in keys.of(shop.merchant_id) if key.key_id == key_id), None)
    if key is None:
        raise NotFound("API key", key_id)
    if key.kind == "api" and key.scopes is None and not by.owner:
        raise NotAllowed("Only an owner revokes a key that may do everything.")
    if beyond := [scope for scope in key.scopes or [] if not by.allows(scope)]:
        raise NotAllowed(f"This key may do what you may not: {beyond[0]}.")
    try:
        shop.write(*keys.revoked(key), *_noted(entrance, shop, "key_revoked", key, by))
    except Refused:
        raise NotFound("API key", key_id) from None


def _noted(entrance: Entrance, shop: Shop, action: Action, key: AccessKey, by: Acting) -> list[Change]:
    entry = AuditEntry(
        audit_dts=entrance.now(),
        action=action,
        actor=by.name,
        address=by.address,
        noun="api_key",
        key=key.key_id,
        subject=key.name,
        detail=", ".join(key.scopes or []),
    )
    return shop.audit.added(entry)
