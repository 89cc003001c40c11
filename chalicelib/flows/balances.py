"""Balances that pay: what an attempt spends of gift certificates and store credit, and the uses of coupons that it
takes.

All of it is kept for the attempt in the transaction that claims it, and spent, or free again, in the one that closes
it. So nothing is held but for an open attempt, wherever somebody dies; and as a head lets an attempt be closed once,
what it held is spent once.
"""

import logging
from collections.abc import Iterable
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from chalicelib.domain import coupons, ledgers, loyalty
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.customers import customer_names
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Problem, Short
from chalicelib.domain.gift_certificates import code_key, ledger_id, why_not_usable
from chalicelib.domain.ledgers import Ledger, Posting
from chalicelib.domain.loyalty import LoyaltyProgram
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import ZERO, formatted
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import Attempt, FrozenPlan, Spend, Use
from chalicelib.flows import gift_certificates, reward
from chalicelib.flows import ledgers as posting
from chalicelib.flows.ports import Change, Shop

log = logging.getLogger(__name__)

CODE = "/gift_certificate/gift_certificate_code"


# --- what there is ---------------------------------------------------------------------------------------------------


def spendable(ledger: Ledger) -> Decimal:
    """What a payment may hold of it now; nothing where as many payments as can hold it already."""
    return ledger.available() if len(ledger.holds) < ledgers.MOST_HOLDS else ZERO


def store_credit(shop: Shop, customer_profile_oid: int | None) -> Spend | None:
    """All of the customer's store credit that can be spent now; None where there is none."""
    oid = _internal_oid(shop, customer_profile_oid) if customer_profile_oid else None
    there = _there(shop, oid) if oid else ZERO
    return Spend(oid=oid, amount=there) if oid and there > 0 else None


def _internal_oid(shop: Shop, customer_profile_oid: int) -> int | None:
    """The customer's internal certificate; of a profile that was merged and had none, that of the one that stayed."""
    oid = gift_certificates.internal_oid(shop, customer_profile_oid)
    if oid is None and (owner := reward.owner(shop, customer_profile_oid)) != customer_profile_oid:
        oid = gift_certificates.internal_oid(shop, owner)
    return oid


def _there(shop: Shop, oid: int) -> Decimal:
    ledger = posting.current(shop, ledger_id(oid))
    while ledger.moved_to is not None:
        ledger = posting.current(shop, ledger.moved_to)
    return spendable(ledger)


def named(shop: Shop, order: Order, now: Instant) -> tuple[Spend | None, list[Problem]]:
    """All that is on the gift certificate that a new order names, and why it cannot be used."""
    block = order.gift_certificate
    code = code_key((block.gift_certificate_code if block else None) or "")
    if block is None:
        return None, []
    if not code:
        return None, [Problem(pointer=CODE, code="required", message="name the code, or leave the block out")]
    name = shop.certificates.name_by(gift_certificates.CODE, code)
    kept = shop.certificates.find(name) if name else None
    if kept is None or kept.noun.internal:
        return None, [Problem(pointer=CODE, code="unknown", message=f"there is no gift certificate {code}")]
    certificate = kept.noun
    if why := why_not_usable(certificate, now):
        return None, [Problem(pointer=CODE, code="not_usable", message=why)]
    oid = certificate.gift_certificate_oid or 0
    there = _there(shop, oid)
    if there <= 0:
        return None, [Problem(pointer=CODE, code="used_up", message="nothing is left on the gift certificate")]
    return Spend(oid=oid, amount=there, code=certificate.code or code), []


def of_order(shop: Shop, order: Order, total: Decimal, now: Instant) -> list[Spend]:
    """What balances pay of an order that was placed to be paid with them, as they stand now. A certificate that has
    ended since pays nothing, and less is paid where less is left: the rest is the card's."""
    block, found, rest = order.gift_certificate, list[Spend](), total
    if block is not None and block.gift_certificate_oid:
        kept = shop.certificates.find(block.gift_certificate_oid)
        usable = kept is not None and why_not_usable(kept.noun, now) is None
        amount = min(_there(shop, block.gift_certificate_oid), rest) if usable else ZERO
        found.append(Spend(oid=block.gift_certificate_oid, amount=amount, code=block.gift_certificate_code or ""))
        rest -= amount
    wanted = min(order.store_credit(), rest)
    if wanted > 0 and order.store_credit_oid:
        found.append(Spend(oid=order.store_credit_oid, amount=min(_there(shop, order.store_credit_oid), wanted)))
    return [spend for spend in found if spend.amount > 0]


def uses_of(order: Order, found: Iterable[Coupon]) -> list[Use]:
    """The uses that an order takes of those of its coupons that may not be used at will."""
    email = order.billing.email if order.billing else None
    names = customer_names(order.customer_profile_oid, email)
    uses = [coupons.use_of(coupon, names) for coupon in found]
    return [use for use in uses if use is not None]


def used(shop: Shop, uses: Iterable[Use]) -> tuple[dict[str, int], frozenset[str]]:
    """(codes that the customer has used, codes that were used as often as they may be by all)"""
    mine, exhausted = dict[str, int](), set[str]()
    for use in uses:
        by_all, by_customer = shop.coupon_uses.of(use)
        if by_customer:
            mine[use.code] = 1
        if use.most and (by_all or 0) >= use.most:
            exhausted.add(use.code)
    return mine, frozenset(exhausted)


def used_up(shop: Shop, order: Order, uses: Iterable[Use]) -> list[Problem]:
    """Which coupons of an order that was placed have been used as often as they may be meanwhile, by name."""
    codes = [coupons.code_key(coupon.coupon_code or "") for coupon in order.coupons or []]
    problems = []
    for use in uses:
        by_all, mine = shop.coupon_uses.of(use)
        if why := coupons.why_used_up(use, by_all or 0, mine=bool(mine)):
            pointer = f"/coupons/{codes.index(use.code)}/coupon_code"
            problems.append(Problem(pointer=pointer, code="coupon_used_up", message=why))
    return problems


# --- held with a claim, spent or let go of at the end ----------------------------------------------------------------


def holding(shop: Shop, attempt: Attempt) -> list[Change]:
    """What the attempt's plan spends and uses, kept for it: for the transaction of its claim.

    Raises Short where some of it is gone since the plan was made.
    """
    changes: list[Change] = []
    for spend in attempt.plan.spends:
        changes += posting.holding(shop, ledger_id(spend.oid), attempt.key, spend.amount)
    for use in attempt.plan.uses:
        changes += _using(shop, use, attempt.key)
    return changes


def _using(shop: Shop, use: Use, key: str) -> list[Change]:
    uses, mine = shop.coupon_uses.of(use)
    if why := coupons.why_used_up(use, uses or 0, mine=bool(mine)):
        raise Short(why)
    return shop.coupon_uses.taken(use, key, uses)


def closing(shop: Shop, attempt: Attempt, order_id: str, now: Instant, *, paid: bool) -> list[Change]:
    """What becomes of what was kept for the attempt: for the transaction that closes it."""
    changes: list[Change] = []
    for spend in attempt.plan.spends:
        name = ledger_id(spend.oid)
        changes += (
            _spent(shop, name, attempt.key, order_id, now) if paid else posting.releasing(shop, name, attempt.key)
        )
    for use in attempt.plan.uses if not paid else ():
        changes += _unused(shop, use, attempt.key)
    return changes


def _spent(shop: Shop, name: str, key: str, order_id: str, now: Instant) -> list[Change]:
    held = posting.spending(shop, name, key, _used(key, order_id, ZERO, now))
    if held is None:
        # Nobody lets go of a hold but with its attempt (tables that were restored apart may). What was captured is
        # recorded all the same.
        log.error("an open attempt holds nothing", extra={"key": key, "ledger_id": name})
    return held or []


def _unused(shop: Shop, use: Use, key: str) -> list[Change]:
    _, mine = shop.coupon_uses.of(use)
    return shop.coupon_uses.given_back(use, key, [name for name, by in mine.items() if by == key])


def _used(key: str, order_id: str, amount: Decimal, now: Instant) -> Posting:
    return Posting(
        cause=f"spent#{key}",
        type="Used",
        description=f"Order {order_id}",
        amount=-amount,
        dts=now,
        created_dts=now,
        order_id=order_id,
    )


# --- a capture that comes late ---------------------------------------------------------------------------------------


class Late(msgspec.Struct, kw_only=True, frozen=True):
    """What balances still pay of an order whose capture was learnt of after its attempt had been closed, and what they
    held was free again. ``missing`` tells what is gone meanwhile; empty where nothing is."""

    plan: FrozenPlan
    changes: list[Change]
    missing: str = ""


def late(shop: Shop, attempt: Attempt, order_id: str, now: Instant) -> Late:
    """Spend what is still there, in the transaction that gives the capture its order. The difference is announced, not
    taken: nobody's balance goes below nothing for it."""
    plan, changes, missing = attempt.plan, list[Change](), list[str]()
    spends: list[Spend] = []
    for spend in plan.spends:
        there, moved = posting.taking(shop, ledger_id(spend.oid), _used(attempt.key, order_id, spend.amount, now))
        changes += moved
        if there > 0:
            spends.append(replace(spend, amount=there))
        if there < spend.amount:
            what = f"gift certificate {spend.code}" if spend.code else "the customer's store credit"
            missing.append(f"{formatted(spend.amount - there, plan.currency)} of {what}")
    for use in plan.uses:
        try:
            changes += _using(shop, use, attempt.key)
        except Short:
            missing.append(f"a use of coupon {use.code}")
    told = (
        f"Order {order_id} was captured late; meanwhile {' and '.join(missing)} was used elsewhere." if missing else ""
    )
    return Late(plan=replace(plan, spends=spends), changes=changes, missing=told)


# --- given back ------------------------------------------------------------------------------------------------------


def given_back(shop: Shop, before: Order, after: Order, key: str, now: Instant) -> list[Change]:
    """What a refund gives back to the ledgers that it came from: for the transaction that writes the refunded order.
    Store credit comes back as if it were earned now, so that it does not expire at once."""
    changes: list[Change] = []
    block, credit_oid = after.gift_certificate, after.store_credit_oid
    for oid, amount in (
        (block.gift_certificate_oid if block else None, after.certificate_refunded() - before.certificate_refunded()),
        (credit_oid, after.store_credit_refunded() - before.store_credit_refunded()),
    ):
        if not oid or amount <= 0:
            continue
        one = Posting(
            cause=f"refund#{key}",
            type="Refund",
            description=f"Refund of order {after.order_id}",
            amount=amount,
            dts=now,
            created_dts=now,
            order_id=after.order_id,
            expires=_expires(shop, now) if oid == credit_oid else None,
        )
        changes += posting.adding(shop, ledger_id(oid), one)
    return changes


def _expires(shop: Shop, now: Instant) -> Instant | None:
    days = shop.configuration.remembered(LoyaltyProgram).expiration_days or 0
    return loyalty.expires_on(now, days, shop.configuration.remembered(Merchant).zone_name())
