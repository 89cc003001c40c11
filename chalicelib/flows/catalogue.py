"""The catalogue: items and coupons, each change one transaction with the other names of the noun (and an item's event).

Items are searched through list rows that their events keep. Coupons have no events; a merchant has few of them, so
their shelf lists their codes in the same transaction and a search reads them all (``domain.coupon_search``).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import coupons, items
from chalicelib.domain.coupons import Coupon, code_key, described
from chalicelib.domain.dates import Instant
from chalicelib.domain.drafts import changed, made
from chalicelib.domain.errors import Contended, Invalid, NotFound, Problem, Refused, Stale
from chalicelib.domain.events import Event, Happening, event_id
from chalicelib.domain.items import Item, ItemAutoOrder, ItemPricing
from chalicelib.domain.merchants import Merchant
from chalicelib.flows.ports import Kept, Shop
from chalicelib.flows.tell import told_now

# An oid that is taken by chance is drawn again: of 2,000 million, so twice in a row never happens.
DRAWS = 5
# A change that met a faster writer is laid over what stands now.
MOST_TRIES = 5
# A search reads them all: 2,000 of half a KB are 20 round trips and a second. Who needs more has codes made for once.
MAXIMUM_COUPONS = 2000
# What changes with every change: a PUT may send it back as it was read.
MOVING = ("last_modified_dts",)
COUPON_MOVING = ("calculated_description", "coupon_type")
OID = "oid"

# --- items -----------------------------------------------------------------------------------------------------------


def item_by_oid(shop: Shop, oid: int) -> Kept[Item]:
    """Raises NotFound."""
    name = shop.items.name_by(OID, oid)
    found = shop.items.find(name) if name is not None else None
    if found is None:
        raise NotFound("item", oid)
    return found


def insert_item(shop: Shop, raw: Any) -> tuple[Item, int]:
    """A new item and its version. Raises Invalid with all problems."""
    item, now = made(raw, Item, items.validate, partial(_item_rules, shop)), shop.clock.now()
    name = item.merchant_item_id or ""
    for _ in range(DRAWS):
        item = replace(
            item,
            merchant_id=shop.merchant_id,
            merchant_item_oid=next(shop.oids),
            creation_dts=now,
            last_modified_dts=now,
        )
        event = _item_event(shop, item, "item_create", 1, now)
        try:
            shop.write(
                shop.items.inserted(name, item),
                shop.items.named(OID, item.merchant_item_oid, name),
                shop.events.happened(event),
            )
        except Refused as refused:
            if refused.change == 0:
                message = f"there is an item {name} already; update that one, or choose another id"
                raise Invalid.one("/merchant_item_id", "duplicate", message) from None
            continue
        told_now(shop, event.event_id)
        return item, 1
    raise Contended("no free oid was found; try again")


def update_item(shop: Shop, oid: int, raw: Any, *, version: int | None = None) -> tuple[Item, int]:
    """The item with the request laid over it, and its version. What changes nothing writes nothing.

    ``version`` is the one that If-Match named, if it did. Raises NotFound, Stale, and Invalid with all problems.
    """
    for _ in range(MOST_TRIES):
        kept = item_by_oid(shop, oid)
        _check_version("item", kept.version, version)
        before, now = kept.noun, shop.clock.now()
        same_name = partial(_same, "merchant_item_id", before.merchant_item_id)
        item = changed(before, raw, items.validate, same_name, partial(_item_rules, shop), moving=MOVING)
        if item == before:
            return before, kept.version
        item = replace(item, last_modified_dts=now)
        event = _item_event(shop, item, "item_update", kept.version + 1, now)
        try:
            shop.write(
                shop.items.replaced(item.merchant_item_id, item, kept.version),
                shop.events.happened(event),
            )
        except Refused:
            continue
        told_now(shop, event.event_id)
        return item, kept.version + 1
    raise Contended("the item is being changed by others; try again")


def delete_item(shop: Shop, oid: int, *, version: int | None = None) -> None:
    """Raises NotFound, Stale."""
    for _ in range(MOST_TRIES):
        kept = item_by_oid(shop, oid)
        _check_version("item", kept.version, version)
        event = _item_event(shop, kept.noun, "item_delete", kept.version + 1, shop.clock.now())
        try:
            shop.write(
                shop.items.removed(kept.noun.merchant_item_id, kept.version),
                shop.items.unnamed(OID, oid),
                shop.events.happened(event),
            )
        except Refused:
            continue
        told_now(shop, event.event_id)
        return
    raise Contended("the item is being changed by others; try again")


def _item_event(shop: Shop, item: Item, name: str, version: int, now: Instant) -> Event:
    """Named by the oid: another item may come to have the same merchant_item_id, and its versions begin at 1 again."""
    return Event(
        event_id=event_id(shop.merchant_id, f"item#{item.merchant_item_oid}", f"{name}#{version}"),
        dts=now,
        happenings=[Happening(name=name, kind="item", id=item.merchant_item_id or "")],
        seq=version,
    )


def _item_rules(shop: Shop, item: Item) -> None:
    """Rules that need to know the rest of the shop. Raises Invalid with all problems."""
    problems: list[Problem] = []
    currency, own = _currency(shop), (item.pricing or ItemPricing()).currency_code
    if own not in (None, currency):
        message = f"must be the shop's currency; allowed is {currency}"
        problems.append(Problem(pointer="/pricing/currency_code", code="not_allowed_value", message=message))
    named = _named_items(item)
    there = {name: shop.items.find(name) is not None for name in set(named.values())}
    problems += [
        Problem(pointer=pointer, code="unknown", message=f"there is no item {name}; insert it first")
        for pointer, name in named.items()
        if not there[name]
    ]
    for position, step in enumerate((item.auto_order.steps if item.auto_order else None) or []):
        oid, name = step.recurring_merchant_item_oid, step.recurring_merchant_item_id
        if oid is not None and name != shop.items.name_by(OID, oid):
            pointer = f"/auto_order/steps/{position}/recurring_merchant_item_oid"
            problems.append(Problem(pointer=pointer, code="conflict", message=f"is no oid of {name}; leave it out"))
    if problems:
        raise Invalid(problems)


def _named_items(item: Item) -> dict[str, str]:
    """The other items that an item names, each under its pointer."""
    tab = item.auto_order or ItemAutoOrder()
    names = {
        f"/auto_order/steps/{position}/recurring_merchant_item_id": step.recurring_merchant_item_id or ""
        for position, step in enumerate(tab.steps or [])
    }
    for kind in ("auto_order_upgrade_items", "auto_order_downgrade_items"):
        names |= {f"/auto_order/{kind}/{position}": name for position, name in enumerate(getattr(tab, kind) or [])}
    return {pointer: name for pointer, name in names.items() if name not in ("", item.merchant_item_id)}


# --- coupons ---------------------------------------------------------------------------------------------------------


def coupon_by_oid(shop: Shop, oid: int) -> Kept[Coupon]:
    """Raises NotFound."""
    name = shop.coupons.name_by(OID, oid)
    found = shop.coupons.find(name) if name is not None else None
    if found is None:
        raise NotFound("coupon", oid)
    return found


def all_coupons(shop: Shop) -> list[Coupon]:
    """By their codes."""
    return shop.coupons.get_many(shop.coupons.names())


def insert_coupon(shop: Shop, raw: Any) -> tuple[Coupon, int]:
    """A new coupon and its version. Raises Invalid with all problems."""
    currency = _currency(shop)
    coupon = described(made(raw, Coupon, _coupon_rules(currency)), currency)
    name = code_key(coupon.code())
    if len(shop.coupons.names()) >= MAXIMUM_COUPONS:
        message = f"there are {MAXIMUM_COUPONS} coupons already; delete those that have expired"
        raise Invalid.one("", "too_many", message)
    for _ in range(DRAWS):
        coupon = replace(coupon, coupon_oid=next(shop.oids))
        try:
            shop.write(
                shop.coupons.inserted(name, coupon),
                shop.coupons.named(OID, coupon.coupon_oid, name),
                shop.coupons.listed(name),
            )
        except Refused as refused:
            if refused.change == 0:
                message = f"there is a coupon {name} already (codes are compared without regard to case)"
                raise Invalid.one("/merchant_code", "duplicate", message) from None
            continue
        return coupon, 1
    raise Contended("no free oid was found; try again")


def update_coupon(shop: Shop, oid: int, raw: Any, *, version: int | None = None) -> tuple[Coupon, int]:
    """The coupon with the request laid over it, and its version. A request that names another kind replaces the kind.

    Raises NotFound, Stale, and Invalid with all problems.
    """
    currency = _currency(shop)
    for _ in range(MOST_TRIES):
        kept = coupon_by_oid(shop, oid)
        _check_version("coupon", kept.version, version)
        before = kept.noun
        same_name = partial(_same, "merchant_code", before.merchant_code)
        base = _without_other_kinds(before, raw)
        coupon = changed(base, raw, _coupon_rules(currency), same_name, moving=COUPON_MOVING)
        coupon = described(coupon, currency)
        if coupon == before:
            return before, kept.version
        try:
            shop.write(shop.coupons.replaced(code_key(coupon.code()), coupon, kept.version))
        except Refused:
            continue
        return coupon, kept.version + 1
    raise Contended("the coupon is being changed by others; try again")


def delete_coupon(shop: Shop, oid: int, *, version: int | None = None) -> None:
    """Raises NotFound, Stale."""
    for _ in range(MOST_TRIES):
        kept = coupon_by_oid(shop, oid)
        _check_version("coupon", kept.version, version)
        name = code_key(kept.noun.code())
        try:
            shop.write(
                shop.coupons.removed(name, kept.version),
                shop.coupons.unnamed(OID, oid),
                shop.coupons.unlisted(name),
            )
        except Refused:
            continue
        return
    raise Contended("the coupon is being changed by others; try again")


def _coupon_rules(currency: str) -> Callable[[Coupon], None]:
    return lambda coupon: coupons.validate(coupon, currency)


def _without_other_kinds(coupon: Coupon, raw: Any) -> Coupon:
    named = [kind for kind in coupons.KINDS if isinstance(raw, dict) and raw.get(kind) is not None]
    return replace(coupon, **{kind: None for kind in coupons.KINDS if named and kind not in named})


# --- both ------------------------------------------------------------------------------------------------------------


def _currency(shop: Shop) -> str:
    return shop.configuration.section(Merchant).noun.currency()


def _check_version(noun: str, standing: int, named: int | None) -> None:
    if named is not None and named != standing:
        raise Stale(f"The {noun} is at version {standing} now.")


def _same(name: str, before: str | None, after: Item | Coupon) -> None:
    """The name under which others know the noun stays. Raises Invalid."""
    if getattr(after, name) != before:
        message = f"is {before} and cannot be changed: orders and auto orders know it by that; insert a new one"
        raise Invalid.one(f"/{name}", "read_only", message)
