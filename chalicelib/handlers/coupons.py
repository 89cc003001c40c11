"""Coupons over HTTP. They have no expansions: every answer shows the whole coupon."""

from typing import Any

from chalicelib.domain.coupon_search import CouponQuery, query_of, search
from chalicelib.domain.coupons import Coupon, CouponCodesRequest, code_key
from chalicelib.domain.dates import Instant
from chalicelib.domain.wire import whole
from chalicelib.flows import catalogue, coupon_codes
from chalicelib.handlers.http import Ask, Door, many, oid_of, one, page_of

door = Door("coupons")

NOUN = "coupon"
ONE = "/coupon/coupons/{coupon_oid}"
BY_CODE = "/coupon/coupons/merchant_code/{merchant_code}"
EXPANSIONS = ("_expand",)
PAGING = ("_limit", "_offset", "_sort", *EXPANSIONS)
CRITERIA = (
    "merchant_code",
    "description",
    "coupon_type",
    "start_date_begin",
    "start_date_end",
    "expiration_date_begin",
    "expiration_date_end",
    "exclude_expired",
)


def _answer(ask: Ask, coupon: Coupon, version: int) -> dict[str, Any]:
    ask.etag(version)
    return one("coupon", whole(coupon, ask.form))


@door(
    "POST", "/coupon/coupons", "coupon_write", summary="Insert a coupon", takes=Coupon, gives=Coupon, query=EXPANSIONS
)
def insert_coupon(ask: Ask) -> dict[str, Any]:
    return _answer(ask, *catalogue.insert_coupon(ask.shop, ask.raw()))


@door("GET", ONE, "coupon_read", summary="Retrieve a coupon", gives=Coupon, query=EXPANSIONS)
def get_coupon(ask: Ask, coupon_oid: str) -> dict[str, Any]:
    kept = catalogue.coupon_by_oid(ask.shop, oid_of(coupon_oid, NOUN))
    return _answer(ask, kept.noun, kept.version)


@door("GET", BY_CODE, "coupon_read", summary="Retrieve a coupon by its code", gives=Coupon, query=EXPANSIONS)
def get_coupon_by_merchant_code(ask: Ask, merchant_code: str) -> dict[str, Any]:
    kept = ask.shop.coupons.get(code_key(merchant_code))
    return _answer(ask, kept.noun, kept.version)


@door("GET", BY_CODE + "/exists", "coupon_read", summary="Whether there is a coupon of that code")
def does_coupon_code_exist(ask: Ask, merchant_code: str) -> dict[str, Any]:
    return {"exists": ask.shop.coupons.find(code_key(merchant_code)) is not None, "success": True, "metadata": {}}


@door("GET", "/coupon/coupons", "coupon_read", summary="Retrieve coupons", gives=list[Coupon], query=CRITERIA + PAGING)
def get_coupons(ask: Ask) -> dict[str, Any]:
    return _found(ask, query_of(ask.query))


@door(
    "POST",
    "/coupon/coupons/query",
    "coupon_read",
    summary="Retrieve coupons by query",
    takes=CouponQuery,
    gives=list[Coupon],
    query=PAGING,
)
def get_coupons_by_query(ask: Ask) -> dict[str, Any]:
    return _found(ask, ask.body(CouponQuery))


CODES = {"coupon_codes": list[str], "expiration_dts": Instant}


@door(
    "POST",
    ONE + "/generate_codes",
    "coupon_write",
    summary="Make codes off a coupon, each for one order and not for its rebills",
    takes=CouponCodesRequest,
    gives=CODES,
)
def generate_coupon_codes(ask: Ask, coupon_oid: str) -> dict[str, Any]:
    return _codes(ask, catalogue.coupon_by_oid(ask.shop, oid_of(coupon_oid, NOUN)).noun)


@door(
    "POST",
    BY_CODE + "/generate_codes",
    "coupon_write",
    summary="Make codes off a coupon by its code, each for one order and not for its rebills",
    takes=CouponCodesRequest,
    gives=CODES,
)
def generate_one_time_codes_by_merchant_code(ask: Ask, merchant_code: str) -> dict[str, Any]:
    return _codes(ask, ask.shop.coupons.get(code_key(merchant_code)).noun)


def _codes(ask: Ask, coupon: Coupon) -> dict[str, Any]:
    codes, expires = coupon_codes.generate(ask.shop, coupon, ask.raw())
    ends = whole({"expiration_dts": expires}, ask.form) if expires else {}
    return {"coupon_codes": codes, **ends, "success": True, "metadata": {}}


def _found(ask: Ask, query: CouponQuery) -> dict[str, Any]:
    limit, offset = ask.page()
    now, zone_name = ask.shop.clock.now(), ask.form.zone_name
    found = search(catalogue.all_coupons(ask.shop), query, ask.query.get("_sort"), now=now, zone_name=zone_name)
    page = [whole(coupon, ask.form) for coupon in page_of(found, limit, offset)]
    return many("coupons", page, limit=limit, offset=offset, total=len(found))


@door(
    "PUT",
    ONE,
    "coupon_write",
    summary="Update a coupon: only the keys present change; another kind replaces the kind; the code stays",
    takes=Coupon,
    gives=Coupon,
    query=EXPANSIONS,
)
def update_coupon(ask: Ask, coupon_oid: str) -> dict[str, Any]:
    oid = oid_of(coupon_oid, NOUN)
    return _answer(ask, *catalogue.update_coupon(ask.shop, oid, ask.raw(), version=ask.if_match()))


@door("DELETE", ONE, "coupon_write", summary="Delete a coupon")
def delete_coupon(ask: Ask, coupon_oid: str) -> None:
    catalogue.delete_coupon(ask.shop, oid_of(coupon_oid, NOUN), version=ask.if_match())
