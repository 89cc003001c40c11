"""The loyalty programme at work: orders earn once and give back what they earned, people adjust, points are redeemed.

Called by the outbox, twice or late or in the wrong order: what an order has earned is reckoned from how the order
stands, and kept under the order's id, so every call comes to the same.
"""

from decimal import Decimal
from functools import partial
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import ledgers, loyalty
from chalicelib.domain.coupons import code_key
from chalicelib.domain.dates import later, local_date, midnight
from chalicelib.domain.drafts import made
from chalicelib.domain.errors import Contended, Invalid, NotFound, Refused
from chalicelib.domain.events import Event
from chalicelib.domain.gift_certificates import ledger_id
from chalicelib.domain.ledgers import Entry, Ledger, Pending, Posting, Step, oid_of
from chalicelib.domain.loyalty import (
    NOT_AVAILABLE,
    AdjustLoyaltyPointsRequest,
    CustomerLoyalty,
    CustomerLoyaltyRedemption,
    Earned,
    LoyaltyBalance,
    LoyaltyProgram,
    LoyaltyReward,
    ManualEntry,
    Purchases,
    RedeemRequest,
)
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import ZERO, from_minor_units, minor_units, quantise
from chalicelib.domain.orders import Order
from chalicelib.domain.pricing_tiers import PricingTiers, terms_of
from chalicelib.flows import coupon_codes, gift_certificates
from chalicelib.flows import ledgers as posting
from chalicelib.flows.gift_certificates import added
from chalicelib.flows.ports import Change, Shop

# Entries and redemptions that an answer with the customer's loyalty lists, the latest; the past ledger has all.
MOST_LISTED = 500
# A manual entry may be dated so far back (the books of older years are closed) and so far ahead.
MOST_DAYS_BACK = 366
MOST_DAYS_AHEAD = 3650
# An order that is refunded while it is told of: its row is read again.
MOST_TRIES = 20
# Days of purchases that a merge carries over one by one.
MOST_DAYS_MERGED = 100
PAID = "order_payment_process"
REFUNDED = "order_refund"
FAILED = "order_payment_failed"
SIGNED_UP = "customer_create"
EARNED = "earned#"


def points_id(customer_profile_oid: int) -> str:
    """The name of a customer's points ledger."""
    return f"points#{customer_profile_oid}"


# --- from the outbox -------------------------------------------------------------------------------------------------


def earn(shop: Shop, event: Event) -> None:
    """What the event means for the programme: a paid order earns, a refund takes back, a new profile is welcomed.

    Without an active programme it reads nothing but the section, and writes nothing; only a refund looks whether its
    order had earned.
    """
    if event.webhook_oid is not None:
        return
    for happening in event.happenings:
        if happening.name in (PAID, REFUNDED) or (event.returned and happening.name == FAILED):
            _order(shop, happening.id, refunded=happening.name != PAID)
        elif happening.name == SIGNED_UP:
            _sign_up(shop, int(happening.id))


def _order(shop: Shop, order_id: str, *, refunded: bool) -> None:
    program = shop.configuration.remembered(LoyaltyProgram)
    if not program.active and not refunded:
        return
    earned = shop.ledgers.earned(order_id)
    if earned is None and not program.active:
        return
    try:
        order = shop.orders.get(order_id).noun
    except NotFound:
        return
    *gone, stands = loyalty.earned_names(order)
    if program.active and (shop.ledgers.earned(stands) if gone else earned) is None:
        _earn(shop, program, order, stands)
    if not refunded:
        return
    for name in gone:
        _taken_back(shop, name, order, gone=True)
    _taken_back(shop, stands, order, gone=False)


def _taken_back(shop: Shop, name: str, order: Order, *, gone: bool) -> None:
    """Whoever told first may have known of less that was given back. ``gone``: that payment of the order came back."""
    for _ in range(MOST_TRIES):
        earned = shop.ledgers.earned(name)
        if earned is None or _take_back(shop, earned, order, gone=gone):
            return
    raise Contended("the order is being refunded by others; try again")


def _earn(shop: Shop, program: LoyaltyProgram, order: Order, name: str) -> None:
    """Once a payment of an order, under its name; what was given back of it by now is never earned."""
    oid, base, order_id = order.customer_profile_oid, loyalty.base_of(order), order.order_id or ""
    if oid is None or not loyalty.is_paid(order) or base <= 0:
        return
    kept = shop.customers.find(oid) or shop.customers.find(oid := owner(shop, oid))
    if kept is None or terms_of(kept.noun, shop.configuration.remembered(PricingTiers)).exempt_loyalty_rewards:
        return
    merchant, now = shop.configuration.remembered(Merchant), shop.clock.now()
    zone_name, currency = merchant.zone_name(), merchant.currency()
    today = local_date(now, zone_name)
    purchases = _purchases(shop, oid, currency) if program.tiers else {}
    terms = loyalty.terms_of(program, loyalty.tier_of(program, purchases, today))
    amount = loyalty.earned_of(program, terms, base, currency)
    of = currency if program.cashback() else None
    earned = Earned(
        order_id=name,
        customer_profile_oid=oid,
        ledger_id=ledger_id(gift_certificates.internal(shop, oid)) if program.cashback() else points_id(oid),
        amount=amount,
        base=base,
        day=today,
        counted=minor_units(loyalty.staying(base, order), currency) if program.tiers else 0,
        currency=of,
        expires=loyalty.expires_on(now, terms.expiration_days, zone_name),
        taken=loyalty.taken_of(amount, order, currency=of),
    )
    one = Posting(
        cause=EARNED + name,
        type="Earned",
        description=f"Order {order_id}",
        amount=earned.amount - earned.taken,
        dts=loyalty.vests_on(now, terms.vesting_days, zone_name) or now,
        created_dts=now,
        order_id=order_id,
        expires=earned.expires,
    )
    counted: list[Change] = [shop.ledgers.bought(oid, {today: earned.counted})] if earned.counted else []
    posting.change(
        shop,
        earned.ledger_id,
        lambda ledger: added(ledger, one, now) if one.amount else (ledger, []),
        first=[shop.ledgers.earns(earned)],
        also=lambda ledger, entries: counted,
    )


def _take_back(shop: Shop, earned: Earned, order: Order, *, gone: bool) -> bool:
    """Exactly the refunded share of what was earned, less what was taken before; all of it where the payment is gone.
    False where somebody was faster."""
    now = shop.clock.now()
    taken = earned.amount if gone else loyalty.taken_of(earned.amount, order, currency=earned.currency)
    missing = taken - earned.taken
    counted = 0
    if earned.counted and not gone:
        counted = minor_units(loyalty.staying(earned.base, order), order.currency_code or "USD")
    if missing <= 0 and counted >= earned.counted:
        return True
    after = replace(earned, taken=max(taken, earned.taken), counted=min(counted, earned.counted))
    one = Posting(
        cause=f"refund#{earned.order_id}#{after.taken}",
        type="Refund",
        description=f"{'Return of the payment' if gone else 'Refund'} of order {order.order_id}",
        amount=-max(missing, ZERO),
        dts=now,
        created_dts=now,
        order_id=order.order_id,
        expires=earned.expires,
    )
    lost = earned.counted - after.counted
    less: list[Change] = []
    if lost:
        less = [shop.ledgers.bought(owner(shop, earned.customer_profile_oid), {earned.day: -lost})]
    return posting.change(
        shop,
        earned.ledger_id,
        lambda ledger: ledgers.taken_back(ledger, EARNED + earned.order_id, one) if one.amount else (ledger, []),
        first=[shop.ledgers.earns_less(earned, after)],
        also=lambda ledger, entries: less,
    ).new


def _sign_up(shop: Shop, customer_profile_oid: int) -> None:
    program = shop.configuration.remembered(LoyaltyProgram)
    if not program.active or program.cashback() or not program.signup_points:
        return
    now, zone_name = shop.clock.now(), shop.configuration.remembered(Merchant).zone_name()
    one = Posting(
        cause="signup",
        type="Signup",
        description="Welcome",
        amount=Decimal(program.signup_points),
        dts=loyalty.vests_on(now, program.vesting_days or 0, zone_name) or now,
        created_dts=now,
        expires=loyalty.expires_on(now, program.expiration_days or 0, zone_name),
    )
    posting.change(shop, points_id(customer_profile_oid), partial(added, one=one, now=now), cause=one.cause)


def _purchases(shop: Shop, customer_profile_oid: int, currency: str) -> Purchases:
    return {
        day: from_minor_units(units, currency) for day, units in shop.ledgers.purchases(customer_profile_oid).items()
    }


# --- profiles that become one ----------------------------------------------------------------------------------------


def merge(shop: Shop, source_oid: int, target_oid: int, *, by: str) -> None:
    """Points, store credit and what counts for the tier go to the profile that stays, once: called again it goes on
    where it was. Before the other profile is deleted. Raises NotFound, and Invalid where a payment holds a balance."""
    shop.customers.get(target_oid)
    days = sorted(shop.ledgers.purchases(source_oid).items())
    # One update takes so many days; what was bought before them counts as of the first.
    bought = dict(days[-MOST_DAYS_MERGED:])
    if bought:
        bought[min(bought)] += sum(units for _, units in days[:-MOST_DAYS_MERGED])
    counted = [shop.ledgers.bought(target_oid, bought)] if bought else []
    posting.merge(shop, points_id(source_oid), points_id(target_oid), by=by, also=counted)
    _move_redemptions(shop, source_oid, target_oid)
    certificate = gift_certificates.internal_oid(shop, source_oid)
    if certificate is not None:
        target = ledger_id(gift_certificates.internal(shop, target_oid))
        posting.merge(shop, ledger_id(certificate), target, by=by)


def _move_redemptions(shop: Shop, source_oid: int, target_oid: int) -> None:
    """The profile that stays lists what the other redeemed, and the certificates that came of it are its own."""
    moved = {one.loyalty_redemption_oid for one in _redemptions(shop, points_id(target_oid))}
    for one in _redemptions(shop, points_id(source_oid)):
        if one.loyalty_redemption_oid in moved:
            continue
        kept = shop.certificates.find(one.gift_certificate_oid)
        changes: list[Change] = [shop.ledgers.redeemed(points_id(target_oid), one)]
        if kept is not None:
            after = replace(kept.noun, customer_profile_oid=target_oid)
            changes.append(shop.certificates.replaced(one.gift_certificate_oid, after, kept.version))
        try:
            shop.write(*changes)
        except Refused as refused:
            if refused.change == 0:
                continue  # it stands there already
            raise Contended("a gift certificate of the profile is being changed by others") from None


def owner(shop: Shop, customer_profile_oid: int) -> int:
    """Whose points they are now: of a profile that was merged, the one that stayed."""
    while (moved_to := shop.ledgers.read(points_id(customer_profile_oid)).noun.moved_to) is not None:
        customer_profile_oid = int(moved_to.partition("#")[2])
    return customer_profile_oid


# --- by hand ---------------------------------------------------------------------------------------------------------


def adjust(shop: Shop, customer_profile_oid: int, raw: Any, *, by: str) -> LoyaltyBalance:
    """The contract's adjustment. Raises NotFound, and Invalid with all problems."""
    asked = made(raw, AdjustLoyaltyPointsRequest, loyalty.validate_adjustment)
    program = _of_points(shop, customer_profile_oid)
    now, zone_name = shop.clock.now(), shop.configuration.section(Merchant).noun.zone_name()
    vesting = program.vesting_days or 0 if asked.vesting_days is None else asked.vesting_days
    credit = asked.loyalty_points > 0
    one = Posting(
        cause=f"manual#{shop.word()}",
        type="Adjustment",
        description=asked.description,
        amount=Decimal(asked.loyalty_points),
        dts=(loyalty.vests_on(now, vesting, zone_name) if credit else None) or now,
        created_dts=now,
        expires=loyalty.expires_on(now, max(program.expiration_days or 0, vesting + 1), zone_name)
        if credit and program.expiration_days
        else None,
        order_id=asked.order_id,
        by=by,
    )
    return _by_hand(shop, program, customer_profile_oid, one, state="Vesting", dry_run=False)


def enter(
    shop: Shop, customer_profile_oid: int, raw: Any, *, by: str, key: str | None = None, dry_run: bool = False
) -> LoyaltyBalance:
    """The merchant's own entry, dated; one of a day to come waits for it. ``dry_run`` only says what the balance would
    be. The same ``key`` again posts nothing. Raises NotFound, and Invalid with all problems."""
    asked = made(raw, ManualEntry, loyalty.validate_manual)
    program = _of_points(shop, customer_profile_oid)
    now, zone_name = shop.clock.now(), shop.configuration.section(Merchant).noun.zone_name()
    dts = asked.ledger_dts or now
    if not later(now, days=-MOST_DAYS_BACK) <= dts <= later(now, days=MOST_DAYS_AHEAD):
        message = f"may lie {MOST_DAYS_BACK} days back and {MOST_DAYS_AHEAD} days ahead at most"
        raise Invalid.one("/ledger_dts", "out_of_range", message)
    credit = asked.loyalty_points > 0
    name = sha256(key.encode()).hexdigest()[:32] if key else shop.word()
    one = Posting(
        cause=f"manual#{name}",
        type=asked.type,
        description=asked.description,
        amount=Decimal(asked.loyalty_points),
        dts=dts,
        created_dts=now,
        expires=loyalty.expires_on(max(dts, now), program.expiration_days or 0, zone_name) if credit else None,
        order_id=asked.order_id,
        by=by,
        notes=asked.notes,
    )
    return _by_hand(shop, program, customer_profile_oid, one, state="Scheduled", dry_run=dry_run)


def _by_hand(
    shop: Shop, program: LoyaltyProgram, oid: int, one: Posting, *, state: Any, dry_run: bool
) -> LoyaltyBalance:
    below_zero = bool(program.allow_negative_balance)

    def think(ledger: Ledger) -> Step:
        if one.dts > one.created_dts:
            return ledgers.waiting(ledger, Pending(state=state, posting=one))
        return ledgers.posted(ledger, one, below_zero=below_zero)

    if dry_run:
        after, number = posting.rehearse(shop, points_id(oid), think), None
    else:
        after = posting.change(shop, points_id(oid), think, cause=one.cause).ledger
        number = oid_of(after.ledger_id, one.cause)
    return loyalty.balance_of(after, int(one.amount), number, saved=not dry_run)


def withdraw(shop: Shop, customer_profile_oid: int, number: int, *, by: str) -> LoyaltyBalance:
    """What waits for its day is not posted; the past ledger says who took it away. What an order earned follows its
    order. Raises NotFound, and Invalid where it cannot be."""
    _of_points(shop, customer_profile_oid)
    name, now = points_id(customer_profile_oid), shop.clock.now()
    ledger = posting.current(shop, name)
    one = next((p for p in ledger.pending if oid_of(name, p.posting.cause) == number), None)
    if one is None:
        raise NotFound("future entry", number)
    cause, amount = one.posting.cause, one.posting.amount
    if cause.startswith(EARNED):
        message = f"order {one.posting.order_id} earned it; refund the order, and it goes by itself"
        raise Invalid.one("", "earned", message)
    gone = Posting(
        cause=f"withdrawn#{cause}",
        type="Withdrawn",
        description=f"{amount:f} points withdrawn: {one.posting.description}"[:200],
        amount=ZERO,
        dts=now,
        created_dts=now,
        by=by,
    )
    moved = posting.change(shop, name, lambda ledger: ledgers.withdrawn(ledger, cause, gone), cause=gone.cause)
    return loyalty.balance_of(moved.ledger, 0, oid_of(name, gone.cause), saved=True)


def redeem(
    shop: Shop, customer_profile_oid: int, raw: Any, *, by: str, key: str | None = None
) -> CustomerLoyaltyRedemption:
    """Points become a gift certificate or a code for one order, in one transaction. The same ``key`` again answers the
    same redemption.

    Raises NotFound, and Invalid where there are not enough points.
    """
    asked = made(raw, RedeemRequest)
    program = _of_points(shop, customer_profile_oid)
    reward = program.reward(asked.loyalty_reward_id)
    if reward is None:
        known = ", ".join(one.loyalty_reward_id for one in program.rewards or [] if one.active) or "none"
        raise Invalid.one("/loyalty_reward_id", "unknown", f"is no active reward; these are: {known}")
    merchant, now, name = shop.configuration.section(Merchant).noun, shop.clock.now(), points_id(customer_profile_oid)
    email = shop.customers.get(customer_profile_oid).noun.email
    word = sha256(key.encode()).hexdigest()[:32] if key else shop.word()
    said = reward.description or reward.loyalty_reward_id
    one = Posting(
        cause=f"redeemed#{word}",
        type="Redeemed",
        description=said,
        amount=Decimal(-reward.points),
        dts=now,
        created_dts=now,
        reward=reward.loyalty_reward_id,
        by=by,
    )
    number = oid_of(name, one.cause)

    expires = loyalty.expires_on(now, reward.expiration_days or 0, merchant.zone_name())
    redemption = CustomerLoyaltyRedemption(
        description_for_customer=said,
        expiration_dts=expires,
        loyalty_ledger_oid=number,
        loyalty_points=reward.points,
        loyalty_redemption_oid=number,
        redemption_dts=now,
    )

    def given(ledger: Ledger, entries: list[Entry]) -> list[Change]:
        if reward.reward_type == "coupon":
            code, change = coupon_codes.drawn(shop, _coupon(shop, reward), expires)
            told = replace(redemption, coupon_code=code.code, coupon_code_oid=code.coupon_code_oid)
            return [change, shop.ledgers.redeemed(name, told)]
        certificate, changes = gift_certificates.drawn(
            shop,
            quantise(reward.amount or ZERO, merchant.currency()),
            now,
            description=said,
            by=by,
            email=email,
            customer_profile_oid=customer_profile_oid,
            expiration_dts=expires,
        )
        oid = certificate.gift_certificate_oid
        told = replace(redemption, gift_certificate_code=certificate.code, gift_certificate_oid=oid)
        return [*changes, shop.ledgers.redeemed(name, told)]

    posting.change(shop, name, lambda ledger: ledgers.posted(ledger, one), cause=one.cause, also=given)
    found = next((r for r in _redemptions(shop, name) if r.loyalty_redemption_oid == number), None)
    if found is None:
        raise NotFound("redemption", number)
    return found


def _coupon(shop: Shop, reward: LoyaltyReward) -> str:
    """The coupon's code, as it is written. Raises Invalid where it is gone: nothing is taken for it."""
    kept = shop.coupons.find(code_key(reward.coupon_code or ""))
    if kept is None:
        message = f"its coupon {reward.coupon_code} is not there any more; tell the shop"
        raise Invalid.one("/loyalty_reward_id", "not_available", message)
    return kept.noun.code()


def _of_points(shop: Shop, customer_profile_oid: int) -> LoyaltyProgram:
    """The programme, where points can be moved of a profile that exists. Raises NotFound, Invalid."""
    program = active(shop)
    if program.cashback():
        message = "the loyalty program gives cashback, not points: use adjust_cashback_balance"
        raise Invalid.one("", "not_available", message)
    shop.customers.get(customer_profile_oid)
    return program


def active(shop: Shop) -> LoyaltyProgram:
    """Raises Invalid where no programme is active."""
    program = shop.configuration.section(LoyaltyProgram).noun
    if not program.active:
        raise Invalid.one("", "not_available", NOT_AVAILABLE)
    return program


# --- looking ---------------------------------------------------------------------------------------------------------


def of_customer(shop: Shop, customer_profile_oid: int) -> CustomerLoyalty:
    """Everything about one customer. Raises NotFound, and Invalid where no programme is active."""
    program = active(shop)
    email, name = shop.customers.get(customer_profile_oid).noun.email, points_id(customer_profile_oid)
    merchant = shop.configuration.section(Merchant).noun
    ledger, entries = posting.with_latest(shop, name, MOST_LISTED)
    today = local_date(shop.clock.now(), merchant.zone_name())
    purchases = _purchases(shop, customer_profile_oid, merchant.currency()) if program.tiers else {}
    tier, ends = loyalty.tier_of(program, purchases, today), loyalty.tier_ends(program, purchases, today)
    certificate = gift_certificates.internal_oid(shop, customer_profile_oid)
    balance = posting.current(shop, ledger_id(certificate)).balance if certificate else ZERO
    return CustomerLoyalty(
        current_points=int(ledger.balance),
        pending_points=int(ledger.coming()),
        internal_gift_certificate_oid=certificate,
        internal_gift_certificate_balance=f"{quantise(balance, merchant.currency()):f}",
        ledger_entries=loyalty.as_contract(ledger, entries, email),
        redemptions=_with_balances(shop, _redemptions(shop, name)),
        loyalty_tier_name=tier.name if tier else None,
        loyalty_tier_oid=tier.oid() if tier else None,
        loyalty_tier_expiration_dts=midnight(ends, merchant.zone_name()) if ends else None,
    )


def _redemptions(shop: Shop, name: str) -> list[CustomerLoyaltyRedemption]:
    return shop.ledgers.redemptions(name, MOST_LISTED)


def _with_balances(shop: Shop, found: list[CustomerLoyaltyRedemption]) -> list[CustomerLoyaltyRedemption]:
    standing = shop.ledgers.read_many(
        [ledger_id(one.gift_certificate_oid) for one in found if one.gift_certificate_oid]
    )
    used = shop.coupon_uses.counts([code_key(one.coupon_code) for one in found if one.coupon_code])
    return [
        replace(one, coupon_used=used[code_key(one.coupon_code)] > 0)
        if one.coupon_code
        else replace(one, remaining_balance=_balance(standing.get(ledger_id(one.gift_certificate_oid or 0))))
        for one in found
    ]


def _balance(ledger: Ledger | None) -> Decimal | None:
    return ledger.balance if ledger else None
