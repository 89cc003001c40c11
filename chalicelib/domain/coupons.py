"""Coupons: what a code takes off an order, and whether it still may. Field names are the contract's.

Each coupon has exactly one kind, which is the field that is set. Kinds that the contract knows and this module does not
are refused as unknown fields, so that no coupon is ever stored that takes nothing off. Codes are compared without
regard to case, as the contract's shops do.
"""

from base64 import b32encode
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Amount, ItemId, Oid, Percentage, Text3, Text20, Text50
from chalicelib.domain.items import Item
from chalicelib.domain.money import formatted, quantise
from chalicelib.domain.payments import Use
from chalicelib.domain.wire import Noun, Words

# Items and tags that one coupon may name; a longer list is better said by a tag. Bounds the document.
MAXIMUM_NAMED = 500
# Codes for one order that one request makes: as many as one transaction takes.
MOST_CODES = 100
# Letters by chance of such a code, and how much may stand before them: together no longer than a code may be.
CODE_LETTERS, LONGEST_PREFIX = 12, 8
LONGEST_CODE_SECONDS = 10 * 366 * 24 * 3600
# A coupon that may be used more often than this is as good as one without a bound.
MOST_USES = 1_000_000

# Nobody has used anything: what a rebill hands in, see ``select``.
NO_USES: Mapping[str, int] = MappingProxyType({})

UsableBy = Literal["Anyone", "UniqueCode", "OncePerCustomer", "OncePerNewCustomer", "OncePerNewCustomerForItem"]
UNFINISHED_USABLE_BY = ("OncePerNewCustomer", "OncePerNewCustomerForItem")

Limit = Annotated[int, Meta(ge=1, le=100_000)]
Items = Annotated[list[ItemId], Meta(max_length=MAXIMUM_NAMED)]
Tags = Annotated[list[Text20], Meta(max_length=MAXIMUM_NAMED)]


class CouponAmountOffSubtotal(Noun):
    """An amount off the whole order, at most what the order's lines cost."""

    words: ClassVar[Words] = {
        "currency_code": ("Currency", "The shop's."),
        "discount_amount": ("Amount off", "Off the whole order, at most what it costs."),
    }

    currency_code: Text3 | None = None
    discount_amount: Amount | None = None


class CouponPercentOffSubtotal(Noun):
    words: ClassVar[Words] = {
        "discount_percent": ("Percent off", "Off the whole order."),
    }

    discount_percent: Percentage | None = None


class CouponAmountOffItems(Noun):
    """An amount off each unit of the named items (or those with a named tag), for ``limit`` units in all."""

    words: ClassVar[Words] = {
        "currency_code": ("Currency", "The shop's."),
        "discount_amount": ("Amount off each", "Off each unit of the items below."),
        "item_tags": ("Tags of items", "Items with one of these tags count."),
        "items": ("Items", "Ids of the items that count."),
        "limit": ("Units at most", "So many units in an order; blank: all."),
    }

    currency_code: Text3 | None = None
    discount_amount: Amount | None = None
    item_tags: Tags | None = None
    items: Items | None = None
    limit: Limit | None = None


class CouponPercentOffItems(Noun):
    """A percentage off the named items (none named: off all), for ``limit`` units in all."""

    words: ClassVar[Words] = {
        "discount_percent": ("Percent off", "Off the items below; none named: off all."),
        "excluded_item_tags": ("Tags that do not count", "Items with one of these tags never count."),
        "excluded_items": ("Items that do not count", "Ids of items that never count."),
        "item_tags": ("Tags of items", "Items with one of these tags count."),
        "items": ("Items", "Ids of the items that count. None, and no tags: all do."),
        "limit": ("Units at most", "So many units in an order; blank: all."),
    }

    discount_percent: Percentage | None = None
    excluded_item_tags: Tags | None = None
    excluded_items: Items | None = None
    item_tags: Tags | None = None
    items: Items | None = None
    limit: Limit | None = None


class CouponFreeShipping(Noun):
    """Shipping costs nothing by the named methods; none named: by any."""

    words: ClassVar[Words] = {
        "shipping_methods": ("Shipping methods", "Names of the methods that cost nothing. None: any."),
    }

    shipping_methods: Annotated[list[Text50], Meta(max_length=50)] | None = None


class Coupon(Noun):
    """``merchant_code`` is what the customer types. ``skip_on_rebill``: for the first order only. ``maximum_uses`` (a
    field of our own) bounds its first orders, of all customers together; they are counted from when it is set."""

    read_only: ClassVar[frozenset[str]] = frozenset({"calculated_description", "coupon_oid", "coupon_type"})

    words: ClassVar[Words] = {
        "can_be_used_with_other_coupons": (
            "Together with other coupons",
            "It may stand beside others that say so too.",
        ),
        "coupon_type": ("Kind", ""),
        "description": ("Description", "What it is for; yours to choose."),
        "expiration_dts": ("Ends", "From this moment on it counts no more. Blank: it has no end."),
        "maximum_uses": ("Uses at most", "First orders in all, of all customers. Blank: without a bound."),
        "merchant_code": ("Code", "What the customer types, in any case. It stays: orders name it."),
        "merchant_notes": ("Notes", "Shown to nobody but you."),
        "quickbooks_code": ("QuickBooks code", "For files that go to QuickBooks."),
        "skip_on_rebill": ("First order only", "Rebills are billed without it."),
        "start_dts": ("Begins", "Before it the coupon does not count. Blank: it has begun."),
        "usable_by": (
            "Who may use it",
            "Blank: anyone.",
            {
                "names": {
                    "Anyone": "Anyone, as often as they like",
                    "OncePerCustomer": "Each customer once",
                    "UniqueCode": "Only by codes made off it",
                }
            },
        ),
    }

    amount_off_items: CouponAmountOffItems | None = None
    amount_off_subtotal: CouponAmountOffSubtotal | None = None
    calculated_description: Annotated[str, Meta(max_length=200)] | None = None
    can_be_used_with_other_coupons: bool | None = None
    coupon_oid: Oid | None = None
    coupon_type: Annotated[str, Meta(max_length=65)] | None = None
    description: Text50 | None = None
    expiration_dts: Instant | None = None
    free_shipping: CouponFreeShipping | None = None
    maximum_uses: Annotated[int, Meta(ge=1, le=MOST_USES)] | None = None
    merchant_code: Text20 | None = None
    merchant_notes: Annotated[str, Meta(max_length=250)] | None = None
    percent_off_items: CouponPercentOffItems | None = None
    percent_off_subtotal: CouponPercentOffSubtotal | None = None
    quickbooks_code: Text20 | None = None
    skip_on_rebill: bool | None = None
    start_dts: Instant | None = None
    usable_by: UsableBy | None = None

    def code(self) -> str:
        return self.merchant_code or ""


class OneTimeCode(Noun):
    """A code for one order, which takes off what the coupon does that it was made off."""

    base_coupon_code: Text20
    code: Text20
    coupon_code_oid: Oid
    created_dts: Instant
    expiration_dts: Instant | None = None


class CouponCodesRequest(Noun):
    """``expiration_seconds`` count from now; or it is an instant; or the coupon's own."""

    words: ClassVar[Words] = {
        "expiration_dts": ("Codes end", "Blank: with the coupon."),
        "prefix": ("They begin with", "Up to 8 letters, digits or dashes; the rest is chance."),
        "quantity": ("How many", "Each is good for one order."),
    }

    quantity: Annotated[int, Meta(ge=1, le=MOST_CODES)]
    expiration_dts: Instant | None = None
    expiration_seconds: Annotated[int, Meta(ge=1, le=LONGEST_CODE_SECONDS)] | None = None
    prefix: Annotated[str, Meta(max_length=LONGEST_PREFIX, pattern=r"^[A-Za-z0-9-]*$")] | None = None


KINDS = ("amount_off_items", "amount_off_subtotal", "free_shipping", "percent_off_items", "percent_off_subtotal")

OnItems = CouponAmountOffItems | CouponPercentOffItems
OnSubtotal = CouponAmountOffSubtotal | CouponPercentOffSubtotal


def code_key(code: str) -> str:
    """The form in which codes are compared and kept unique: " save10 " is SAVE10."""
    return code.strip().upper()


def kinds_of(coupon: Coupon) -> list[str]:
    """The kinds that are set; a valid coupon has one."""
    return [name for name in KINDS if getattr(coupon, name) is not None]


def described(coupon: Coupon, currency_code: str) -> Coupon:
    """The valid coupon with the fields that the server sets: its type and what it does in words."""
    return msgspec.structs.replace(
        coupon, coupon_type=kinds_of(coupon)[0], calculated_description=_in_words(coupon, currency_code)
    )


# --- may it be used -------------------------------------------------------------------------------------------------

Why = Literal[
    "unknown",
    "twice",
    "not_started",
    "expired",
    "skip_on_rebill",
    "used_up",
    "exhausted",
    "unique_code",
    "other_currency",
    "not_combinable",
]


class Dropped(msgspec.Struct, kw_only=True, frozen=True):
    """A code that an order names and that takes nothing off. ``position`` is its place among the named codes;
    ``setting`` the field or rule that decided."""

    position: int
    code: str
    why: Why
    setting: str = ""


def has_expired(coupon: Coupon, now: Instant) -> bool:
    """The moment of expiry itself is too late, as the end of a sale is."""
    return coupon.expiration_dts is not None and coupon.expiration_dts <= now


def select(
    codes: Sequence[str],
    coupons: Iterable[Coupon],
    *,
    now: Instant,
    on_rebill: bool,
    ignore_expiration: bool,
    used: Mapping[str, int],
    currency_code: str,
    exhausted: Container[str] = (),
) -> tuple[list[Coupon], list[Dropped]]:
    """The coupons that count, in the order named, and the codes that do not, each with its reason.

    ``ignore_expiration`` is a rule for rebills only. ``used`` says how often this customer used a code elsewhere:
    the order being priced and, for a rebill, its original order do not count, or no coupon would outlive the first.
    ``exhausted``: codes (``code_key``) that were used as often as they may be, by all.
    Coupons combine only where each of them says that it can be used with others; the first named stays.
    """
    known = {code_key(coupon.code()): coupon for coupon in coupons}
    uses = {code_key(code): count for code, count in used.items()}
    kept: list[Coupon] = []
    dropped: list[Dropped] = []
    seen: set[str] = set()
    for position, code in enumerate(codes):
        key = code_key(code)
        coupon = known.get(key)
        verdict: tuple[Why, str] | None
        if key in seen:
            verdict = ("twice", "")
        elif coupon is None:
            verdict = ("unknown", "")
        else:
            verdict = _refusal(
                coupon,
                kept,
                now=now,
                on_rebill=on_rebill,
                ignore_expiration=ignore_expiration and on_rebill,
                uses=uses.get(key, 0),
                currency_code=currency_code,
                exhausted=key in exhausted,
            )
        seen.add(key)
        if verdict is not None:
            dropped.append(Dropped(position=position, code=code, why=verdict[0], setting=verdict[1]))
        elif coupon is not None:
            kept.append(coupon)
    return kept, dropped


TOLD: dict[Why, str] = {
    "unknown": "there is no coupon {code}",
    "twice": "coupon {code} is named twice",
    "not_started": "coupon {code} is not valid yet",
    "expired": "coupon {code} has expired",
    "skip_on_rebill": "coupon {code} is for the first order only",
    "used_up": "coupon {code} can be used once per customer and was",
    "exhausted": "coupon {code} has been used as often as it can be",
    "unique_code": "coupon {code} is used by codes for one order, not by its own",
    "other_currency": "coupon {code} is in another currency",
    "not_combinable": "coupon {code} cannot be used together with the other coupons",
}


def check_coupons(
    codes: Sequence[str],
    coupons: Iterable[Coupon],
    *,
    now: Instant,
    used: Mapping[str, int],
    currency_code: str,
    exhausted: Container[str] = (),
) -> list[Problem]:
    """What a storefront order must be told of the codes that it names: each that does not count, by name.

    (A rebill drops them and goes on at full price; see ``pricing.price``.)
    """
    _, dropped = select(
        codes,
        coupons,
        now=now,
        on_rebill=False,
        ignore_expiration=False,
        used=used,
        currency_code=currency_code,
        exhausted=exhausted,
    )
    return [
        Problem(
            pointer=f"/coupons/{drop.position}/coupon_code",
            code=f"coupon_{drop.why}",
            message=TOLD[drop.why].format(code=drop.code),
        )
        for drop in dropped
    ]


def use_of(coupon: Coupon, customers: list[str]) -> Use | None:
    """The use that one order of the customer of these names takes; None where it may be used at will. Who left no name
    is a customer of his own."""
    names = customers if coupon.usable_by == "OncePerCustomer" else []
    if not names and not coupon.maximum_uses:
        return None
    return Use(code=code_key(coupon.code()), most=coupon.maximum_uses or 0, customers=names)


def one_time(code: OneTimeCode, base: Coupon) -> Coupon:
    """What a code for one order is: its coupon under a code of its own, for one first order, until either ends."""
    ends = [moment for moment in (code.expiration_dts, base.expiration_dts) if moment is not None]
    return msgspec.structs.replace(
        base,
        merchant_code=code.code,
        maximum_uses=1,
        usable_by=None,
        skip_on_rebill=True,
        expiration_dts=min(ends, default=None),
    )


def drawn_code(word: str, prefix: str) -> str:
    """A code that nobody guesses, out of a random word: letters and digits, none of them 0, 1, 8 or 9."""
    return (prefix + b32encode(sha256(word.encode()).digest()).decode()[:CODE_LETTERS]).upper()


def validate_codes(request: CouponCodesRequest, now: Instant) -> None:
    """Raises Invalid where codes would have expired already, or would end at two moments."""
    if request.expiration_dts is not None and request.expiration_seconds is not None:
        raise Invalid.one("/expiration_seconds", "conflict", "name expiration_dts or expiration_seconds, not both")
    if request.expiration_dts is not None and request.expiration_dts <= now:
        raise Invalid.one("/expiration_dts", "past_date", f"must be later than now, {now}")


def why_used_up(use: Use, uses: int, *, mine: bool) -> str | None:
    """Why one use more is one too many; None where it is not. ``uses`` by all, ``mine``: by this customer."""
    if mine:
        return TOLD["used_up"].format(code=use.code)
    return TOLD["exhausted"].format(code=use.code) if use.most and uses >= use.most else None


def takes_part(rule: OnItems, item: Item) -> bool:
    """Whether the coupon's lists name the item, by its id or by a tag. Exclusion wins."""
    tags = set(item.tag_values())
    id_ = item.merchant_item_id
    if isinstance(rule, CouponPercentOffItems):
        if id_ in (rule.excluded_items or []) or tags & set(rule.excluded_item_tags or []):
            return False
        if not rule.items and not rule.item_tags:
            return True
    return id_ in (rule.items or []) or bool(tags & set(rule.item_tags or []))


# --- rules between the fields ---------------------------------------------------------------------------------------


def validate(coupon: Coupon, currency_code: str) -> None:
    """``currency_code`` is the merchant's. Raises Invalid with all problems."""
    problems: list[Problem] = []

    def refuse(pointer: str, code: str, message: str) -> None:
        problems.append(Problem(pointer=pointer, code=code, message=message))

    if not coupon.code().strip():
        refuse("/merchant_code", "required", "is required: the code that the customer types, up to 20 characters")
    elif coupon.code() != coupon.code().strip():
        refuse("/merchant_code", "invalid", "may not begin or end with a space")
    if coupon.usable_by in UNFINISHED_USABLE_BY:
        refuse(
            "/usable_by",
            "not_available",
            f"'{coupon.usable_by}' is not available yet; allowed are 'Anyone', 'OncePerCustomer', 'UniqueCode'",
        )
    if coupon.start_dts and coupon.expiration_dts and coupon.expiration_dts <= coupon.start_dts:
        refuse("/expiration_dts", "conflict", "must be after start_dts")
    kinds = kinds_of(coupon)
    if not kinds:
        refuse("", "required", f"a coupon has one of these: {', '.join(KINDS)}")
    for name in kinds[1:]:
        refuse(f"/{name}", "conflict", f"a coupon has one kind, and this one has {kinds[0]} already")
    for name in kinds:
        _validate_kind(getattr(coupon, name), f"/{name}", currency_code, refuse)
    if problems:
        raise Invalid(problems)


def _validate_kind(
    rule: OnItems | OnSubtotal | CouponFreeShipping,
    at: str,
    currency_code: str,
    refuse: Callable[[str, str, str], None],
) -> None:
    if isinstance(rule, CouponPercentOffItems | CouponPercentOffSubtotal):
        if rule.discount_percent is None:
            refuse(f"{at}/discount_percent", "required", "is required: more than 0, at most 100")
        elif not 0 < rule.discount_percent <= 100:
            refuse(f"{at}/discount_percent", "out_of_range", "must be more than 0 and at most 100")
    if isinstance(rule, CouponAmountOffItems | CouponAmountOffSubtotal):
        amount = rule.discount_amount
        if amount is None:
            refuse(f"{at}/discount_amount", "required", "is required: more than 0")
        elif amount <= 0:
            refuse(f"{at}/discount_amount", "out_of_range", "must be more than 0")
        elif amount != quantise(amount, currency_code):
            refuse(f"{at}/discount_amount", "invalid", f"is finer than the smallest coin of {currency_code}")
        if rule.currency_code not in (None, currency_code):
            refuse(
                f"{at}/currency_code", "not_allowed_value", f"must be the shop's currency; allowed is {currency_code}"
            )
    if isinstance(rule, CouponAmountOffItems) and not rule.items and not rule.item_tags:
        refuse(f"{at}/items", "required", "name the items that it is off, here or by item_tags")


# --- inside ---------------------------------------------------------------------------------------------------------


def _refusal(
    coupon: Coupon,
    kept: list[Coupon],
    *,
    now: Instant,
    on_rebill: bool,
    ignore_expiration: bool,
    uses: int,
    currency_code: str,
    exhausted: bool,
) -> tuple[Why, str] | None:
    """Why the coupon does not count, and the field that says so; None where it does."""
    if on_rebill and coupon.skip_on_rebill:
        return "skip_on_rebill", "skip_on_rebill"
    if coupon.start_dts is not None and now < coupon.start_dts:
        return "not_started", "start_dts"
    if has_expired(coupon, now) and not ignore_expiration:
        return "expired", "ignore_coupon_expiration" if on_rebill else "expiration_dts"
    if coupon.usable_by == "OncePerCustomer" and uses > 0:
        return "used_up", "usable_by"
    if exhausted:
        return "exhausted", "maximum_uses"
    if coupon.usable_by == "UniqueCode" and not on_rebill:
        return "unique_code", "usable_by"
    rule = coupon.amount_off_items or coupon.amount_off_subtotal
    if rule is not None and rule.currency_code not in (None, currency_code):
        return "other_currency", "currency_code"
    if kept and not all(each.can_be_used_with_other_coupons for each in (coupon, *kept)):
        return "not_combinable", "can_be_used_with_other_coupons"
    return None


def _in_words(coupon: Coupon, currency_code: str) -> str:
    if rule := coupon.amount_off_subtotal:
        return f"{formatted(rule.discount_amount or Decimal(0), currency_code)} off the subtotal"
    if percent := coupon.percent_off_subtotal:
        return f"{_percent(percent.discount_percent)}% off the subtotal"
    if each := coupon.amount_off_items:
        limit = f", {each.limit} at most" if each.limit else ""
        return f"{formatted(each.discount_amount or Decimal(0), currency_code)} off each of certain items{limit}"
    if items := coupon.percent_off_items:
        which = "certain items" if items.items or items.item_tags else "items"
        return f"{_percent(items.discount_percent)}% off {which}" + (f", {items.limit} at most" if items.limit else "")
    named = (coupon.free_shipping.shipping_methods if coupon.free_shipping else None) or []
    return "Free shipping" + (" by certain methods" if named else "")


def _percent(percent: Decimal | None) -> str:
    """12.50 as 12.5, 10 as 10."""
    text = f"{percent or Decimal(0):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
