"""Codes for one order, made off a coupon: drawn for a reward or in a batch, and found again when an order names one."""

from collections.abc import Iterable
from typing import Any

from chalicelib.domain.coupons import (
    Coupon,
    CouponCodesRequest,
    OneTimeCode,
    code_key,
    drawn_code,
    one_time,
    validate_codes,
)
from chalicelib.domain.dates import Instant, later
from chalicelib.domain.drafts import made
from chalicelib.domain.errors import Contended, Refused
from chalicelib.flows.ports import Change, Shop

# A code that is taken by chance is drawn again with all others of its batch.
DRAWS = 3


def drawn(shop: Shop, base: str, expires: Instant | None, prefix: str = "") -> tuple[OneTimeCode, Change]:
    """A fresh code off the coupon of that code, and the change that makes it."""
    code = OneTimeCode(
        code=drawn_code(shop.word(), prefix),
        base_coupon_code=base,
        coupon_code_oid=next(shop.oids),
        created_dts=shop.clock.now(),
        expiration_dts=expires,
    )
    return code, shop.coupon_codes.inserted(code_key(code.code), code)


def generate(shop: Shop, coupon: Coupon, raw: Any) -> tuple[list[str], Instant | None]:
    """So many codes for one order each, all or none. Raises Invalid with all problems."""
    now = shop.clock.now()
    asked = made(raw, CouponCodesRequest, lambda request: validate_codes(request, now))
    seconds = asked.expiration_seconds
    expires = later(now, seconds=seconds) if seconds else asked.expiration_dts
    for _ in range(DRAWS):
        batch = [drawn(shop, coupon.code(), expires, asked.prefix or "") for _ in range(asked.quantity)]
        try:
            shop.write(*(change for _, change in batch))
        except Refused:
            continue
        return [code.code for code, _ in batch], expires
    raise Contended("no free codes were found; try again")


def named(shop: Shop, codes: Iterable[str], known: list[Coupon]) -> tuple[list[Coupon], dict[str, str]]:
    """The coupons that an order's codes mean, those that are codes for one order among them; and of these the codes of
    the coupons that they were made off."""
    found, bases = list(known), dict[str, str]()
    there = {code_key(coupon.code()) for coupon in known}
    for key in dict.fromkeys(map(code_key, codes)):
        kept = shop.coupon_codes.find(key) if key and key not in there else None
        base = shop.coupons.find(code_key(kept.noun.base_coupon_code)) if kept else None
        if kept and base:
            found.append(one_time(kept.noun, base.noun))
            bases[kept.noun.code] = base.noun.code()
    return found, bases
