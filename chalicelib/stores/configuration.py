"""The merchant's sections, the keys that open the shop, the list of all merchants, and the catalogue's shelves: all in
one table."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.access import USED_SECONDS, AccessKey
from chalicelib.domain.coupons import Coupon, code_key
from chalicelib.domain.customer_values import CustomerProfileSettings
from chalicelib.domain.dates import BEGINNING, Instant, instant, later
from chalicelib.domain.errors import Contended, Refused
from chalicelib.domain.items import Item
from chalicelib.domain.loyalty import LoyaltyProgram
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.pricing_tiers import PricingTiers
from chalicelib.domain.rotating import RotatingGateways
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.shipping import ShippingSettings
from chalicelib.domain.taxes import TaxSettings
from chalicelib.stores.port import (
    MAXIMUM_GET_MANY,
    MAXIMUM_PAGE,
    Absent,
    Change,
    Cursor,
    Delete,
    Equals,
    Present,
    Put,
    Record,
    TablePort,
    Update,
)
from chalicelib.stores.records import DOCUMENT, Versioned, inserted, noun_of, pk, replaced, text_of, versioned
from chalicelib.stores.tables import PK, SK

TABLE = "configuration"
S = TypeVar(
    "S",
    Merchant,
    AutoOrderProcessing,
    CustomerProfileSettings,
    PricingTiers,
    ShippingSettings,
    TaxSettings,
    RotatingGateways,
    LoyaltyProgram,
)
SECTION = "section"
ITEM = "item"
COUPON = "coupon"
# Seals cursors. It opens nothing; whoever had it could only ask a list to go on from a place of his own choice, in a
# shop whose key he has.
SEAL = "seal"
# Signs links in mails: whoever had it could cancel any auto order.
LINKS = "links"
MERCHANTS = "merchants"
# When a key was last used, epoch seconds: beside its document, so that using it changes nothing of the key.
USED = "used"


# A warm function may price and plan by sections this old; whoever saves one forgets it where it was saved.
REMEMBER_SECONDS = 30

# Keys of sections to when they are read again and their text ("" where there is none): of all merchants, each under
# keys that name it. Texts, not nouns: nobody can change what others will read.
Memory = dict[str, tuple[Instant, str]]


class Configuration:
    """One merchant's sections. ``memory`` is the process's; without one every price list reads them anew."""

    def __init__(
        self,
        port: TablePort,
        merchant_id: str,
        memory: Memory | None = None,
        now: Callable[[], Instant] = lambda: BEGINNING,
    ) -> None:
        self._port = port
        self._merchant_id = merchant_id
        self._memory: Memory = {} if memory is None else memory
        self._now = now

    def section(self, type_: type[S]) -> Versioned[S]:
        """The section as it stands; version 0 and all defaults where it was never saved."""
        found = versioned(self._port.get(TABLE, self._key(type_), DOCUMENT, consistent=True), type_)
        return found or Versioned(type_(), 0)

    def save(self, noun: S, version: int) -> Change:
        key = self._key(type(noun))
        self._memory.pop(key, None)
        if version == 0:
            return inserted(TABLE, key, DOCUMENT, noun)
        return replaced(TABLE, key, DOCUMENT, noun, version)

    def price_list(
        self, item_ids: list[str], coupon_codes: list[str]
    ) -> tuple[Merchant, AutoOrderProcessing, ShippingSettings, TaxSettings, dict[str, Item], list[Coupon]]:
        """All that a price and a plan read of the configuration, in one round trip; the rotating gateways too, for
        whoever asks for them next (``remembered``)."""
        sections = (Merchant, AutoOrderProcessing, ShippingSettings, TaxSettings, RotatingGateways)
        coupon_keys = list(dict.fromkeys(code_key(code) for code in coupon_codes))
        known = {key: self._remembered(key) for key in [self._key(type_) for type_ in sections]}
        wanted = [key for key, text in known.items() if text is None]
        wanted += [pk(self._merchant_id, ITEM, item_id) for item_id in dict.fromkeys(item_ids)]
        wanted += [pk(self._merchant_id, COUPON, key) for key in coupon_keys]
        records = {}
        for start in range(0, len(wanted), 100):
            keys = [(key, DOCUMENT) for key in wanted[start : start + 100]]
            records.update({str(record[PK]): record for record in self._port.get_many(TABLE, keys)})

        def read(type_: type[S]) -> S:
            key = self._key(type_)
            text = known[key]
            if text is None:
                text = self._remember(key, records.get(key))
            return wire.load(text, type_) if text else type_()

        rotating = self._key(RotatingGateways)
        if known[rotating] is None:
            self._remember(rotating, records.get(rotating))
        items = {
            item_id: noun_of(records[key], Item)
            for item_id in item_ids
            if (key := pk(self._merchant_id, ITEM, item_id)) in records
        }
        coupons = [
            noun_of(records[key], Coupon)
            for coupon_key in coupon_keys
            if (key := pk(self._merchant_id, COUPON, coupon_key)) in records
        ]
        return (
            read(Merchant),
            read(AutoOrderProcessing),
            read(ShippingSettings),
            read(TaxSettings),
            items,
            coupons,
        )

    def remembered(self, type_: type[S]) -> S:
        """The section as it was half a minute ago at most; all defaults where it was never saved."""
        key = self._key(type_)
        text = self._remembered(key)
        if text is None:
            text = self._remember(key, self._port.get(TABLE, key, DOCUMENT))
        return wire.load(text, type_) if text else type_()

    def _remember(self, key: str, record: Record | None) -> str:
        text = str(record[DOCUMENT]) if record else ""
        self._memory[key] = (later(self._now(), seconds=REMEMBER_SECONDS), text)
        return text

    def _remembered(self, key: str) -> str | None:
        until, text = self._memory.get(key, (BEGINNING, ""))
        return text if self._now() < until else None

    def _key(
        self,
        type_: type[Merchant]
        | type[AutoOrderProcessing]
        | type[CustomerProfileSettings]
        | type[PricingTiers]
        | type[ShippingSettings]
        | type[TaxSettings]
        | type[RotatingGateways]
        | type[LoyaltyProgram],
    ) -> str:
        return pk(self._merchant_id, SECTION, type_.section)


class Keys:
    """Access keys of all merchants, found by their hash only: whose a key is, is the answer."""

    def __init__(self, port: TablePort) -> None:
        self._port = port

    def find(self, key_hash: str) -> AccessKey | None:
        record = self._port.get(TABLE, _key(key_hash), "key", consistent=True)
        return _key_of(record) if record else None

    def of(self, merchant_id: str) -> list[AccessKey]:
        """All keys of the merchant, the newest first. One that was made before there was a list stands in it from its
        next use on."""
        page = self._port.query(TABLE, _keys(merchant_id), limit=MAXIMUM_GET_MANY, consistent=True)
        wanted = [(_key(str(record["hash"])), "key") for record in page.records]
        found = [_key_of(record) for record in self._port.get_many(TABLE, wanted, consistent=True)] if wanted else []
        return sorted(found, key=lambda key: (key.created_dts, key.key_id), reverse=True)

    def issued(self, key: AccessKey) -> list[Change]:
        record: Record = {PK: _key(key.key_hash), SK: "key", DOCUMENT: text_of(replace(key, used_dts=None))}
        if key.used_dts is not None:
            record[USED] = int(key.used_dts.timestamp())
        return [Put(TABLE, record), self._listed(key)]

    def revoked(self, key: AccessKey) -> list[Change]:
        """Refused where it was revoked before."""
        return [
            Delete(TABLE, _key(key.key_hash), "key", when=(Present(),)),
            Delete(TABLE, _keys(key.merchant_id), key.key_id),
        ]

    def used(self, key: AccessKey, now: Instant) -> None:
        """Write down that it was used, once in USED_SECONDS. That somebody else does so at the same moment, or that it
        could not be written, keeps nobody out."""
        if key.used_dts is not None and (now - key.used_dts).total_seconds() < USED_SECONDS:
            return
        before = Absent(USED) if key.used_dts is None else Equals(USED, int(key.used_dts.timestamp()))
        seen = Update(
            TABLE, _key(key.key_hash), "key", set={USED: int(now.timestamp())}, when=(Present(DOCUMENT), before)
        )
        with suppress(Refused, Contended):
            self._port.write(*([seen] if key.used_dts else [seen, self._listed(key)]))

    def _listed(self, key: AccessKey) -> Change:
        return Put(TABLE, {PK: _keys(key.merchant_id), SK: key.key_id, "hash": key.key_hash})

    def secret(self, name: str, fresh: str) -> str:
        """A secret of the house's own (``SEAL``, ``LINKS``): ``fresh`` where there is none yet."""
        record = self._port.get(TABLE, name, name, consistent=True)
        if record is None:
            with suppress(Refused):
                self._port.write(Put(TABLE, {PK: name, SK: name, "secret": fresh}, when=(Absent(),)))
            record = self._port.get(TABLE, name, name, consistent=True)
        return str(record["secret"]) if record else fresh


def _key(key_hash: str) -> str:
    return f"key#{key_hash}"


def _keys(merchant_id: str) -> str:
    return pk(merchant_id, "api_key")


def _key_of(record: Record) -> AccessKey:
    key = noun_of(record, AccessKey)
    if USED in record:
        key.used_dts = instant(datetime.fromtimestamp(int(record[USED]), UTC))
    return key


class Merchants:
    """All merchants whose shop was founded: a row each, under one key."""

    def __init__(self, port: TablePort) -> None:
        self._port = port

    def listed(self, merchant_id: str) -> Change:
        """Put once more, it is the same."""
        return Put(TABLE, {PK: MERCHANTS, SK: merchant_id})

    def has(self, merchant_id: str) -> bool:
        return self._port.get(TABLE, MERCHANTS, merchant_id) is not None

    def names(self) -> list[str]:
        found: list[str] = []
        cursor: Cursor | None = None
        while True:
            page = self._port.query(TABLE, MERCHANTS, limit=MAXIMUM_PAGE, cursor=cursor, consistent=True)
            found += [str(record[SK]) for record in page.records]
            cursor = page.cursor
            if cursor is None:
                return found
