"""A shop comes into being: its merchant section, its place among all merchants and the first two keys, in one
transaction."""

import re
from collections.abc import Callable
from typing import Protocol

from chalicelib.domain.access import API_PREFIX, BROWSER_PREFIX, AccessKey, Kind, key_hash
from chalicelib.domain.errors import Invalid, Refused
from chalicelib.domain.merchants import DEFAULT_CURRENCY, DEFAULT_ZONE, Merchant, validate
from chalicelib.flows.ports import Change, Shop

MERCHANT_ID = re.compile(r"[A-Z0-9]{1,5}")
# A key shorter than this could be guessed; one longer is not taken at the door (its text is at most 200 characters).
SHORTEST_KEY = 32
LONGEST_KEY = 200


class Keys(Protocol):
    """Access keys of all merchants."""

    def find(self, key_hash: str) -> AccessKey | None: ...
    def issued(self, key: AccessKey) -> list[Change]: ...


class Merchants(Protocol):
    """The list of all merchants."""

    def listed(self, merchant_id: str) -> Change: ...


class House(Protocol):
    """What all merchants share: it opens shops, lists them and issues keys."""

    def open_shop(self, merchant_id: str) -> Shop: ...
    def keys(self) -> Keys: ...
    def merchants(self) -> Merchants: ...


def found_shop(
    house: House,
    merchant_id: str,
    name: str,
    zone: str = DEFAULT_ZONE,
    currency: str = DEFAULT_CURRENCY,
    *,
    secret: Callable[[], str],
    key: str | None = None,
    new_keys: bool = False,
) -> tuple[str, str]:
    """Found the shop and answer the texts of its owner's key and of its browser key. They are kept nowhere: whoever
    asked shows them once.

    ``secret`` gives 32 random bytes as text, ``key`` is the owner's key where somebody has chosen it already.
    ``new_keys`` only issues two more keys of a shop that stands. Raises Invalid with all problems.
    """
    shop = house.open_shop(_merchant_id(merchant_id))
    standing = shop.configuration.section(Merchant)
    if new_keys != bool(standing.version):
        raise _exists(merchant_id) if standing.version else _unknown(merchant_id)
    changes: list[Change] = [house.merchants().listed(merchant_id)]
    if not new_keys:
        merchant = Merchant(merchant_id=merchant_id, name=name, time_zone=zone, currency_code=currency)
        validate(merchant)
        changes.append(shop.configuration.save(merchant, 0))
    keys = house.keys()
    owner, browser = _chosen(keys, key) or API_PREFIX + secret(), BROWSER_PREFIX + secret()
    changes += [*keys.issued(_issued(shop, owner, "api")), *keys.issued(_issued(shop, browser, "browser"))]
    try:
        shop.write(*changes)
    except Refused:
        raise _exists(merchant_id) from None
    return owner, browser


def _merchant_id(text: str) -> str:
    if not MERCHANT_ID.fullmatch(text):
        raise Invalid.one("/merchant_id", "invalid", "must be one to five capital letters and digits, as in DEMO")
    return text


def _chosen(keys: Keys, key: str | None) -> str | None:
    """The key that somebody chose. One that opens another shop would be taken away from it."""
    if key is None:
        return None
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise Invalid.one("/key", "out_of_range", f"must have {SHORTEST_KEY} to {LONGEST_KEY} characters")
    if keys.find(key_hash(key)) is not None:
        raise Invalid.one("/key", "duplicate", "is in use already")
    return key


def _issued(shop: Shop, text: str, kind: Kind) -> AccessKey:
    """The owner's key opens everything (no scopes named); the browser's the storefront calls."""
    return AccessKey(
        key_hash=key_hash(text),
        merchant_id=shop.merchant_id,
        kind=kind,
        name="owner" if kind == "api" else "storefront",
        created_dts=shop.clock.now(),
    )


def _exists(merchant_id: str) -> Invalid:
    return Invalid.one("/merchant_id", "duplicate", f"the shop {merchant_id} stands already; ask for new keys instead")


def _unknown(merchant_id: str) -> Invalid:
    return Invalid.one("/merchant_id", "unknown", f"there is no shop {merchant_id} to make new keys for")
