"""The loyalty programme: what an order earns, when it may be spent and when it is gone. Field names are the contract's
where it has them; the programme itself has no public call there."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import ROUND_DOWN, ROUND_FLOOR, Decimal
from hashlib import sha256
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from chalicelib.domain.dates import Instant, local_date, midnight
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import (
    LARGEST_OID,
    Amount,
    Days,
    OrderId,
    Percentage,
    Text20,
    Text50,
    Text200,
    Text2000,
)
from chalicelib.domain.ledgers import Entry, Ledger, oid_of
from chalicelib.domain.money import EXPONENTS, ZERO
from chalicelib.domain.orders import Order
from chalicelib.domain.wire import Noun, Words

# More points than anybody earns, far below what a client's int32 holds.
MOST_POINTS = 1_000_000_000
MAXIMUM_TIERS = 20
MAXIMUM_REWARDS = 50
# Past this a programme looks at purchases of years gone by; bounds what is kept of a member.
MOST_QUALIFYING_DAYS = 731
# A shop without a programme says so in these words.
NOT_AVAILABLE = "Loyalty is not available: no loyalty program is active. Activate one under Loyalty Program."

REWARD_TYPES = ["gift_certificate", "coupon"]

# Shown at a field where its value is so.
GENEROUS = {"above": 20, "message": "More than a fifth of each order is given back: is the point where it belongs?"}
SOON_GONE = {
    "below": 45,
    "message": "Who orders once a month has hardly a chance to spend it.",
}
OTHER_REWARD = {
    "changed": True,
    "message": "From now on the other is earned; what customers have earned so far stays what it is.",
}
NOT_REDEEMED = {"is": False, "message": "Nobody can redeem it."}

Points = Annotated[int, Meta(ge=-MOST_POINTS, le=MOST_POINTS)]
PerDollar = Annotated[Decimal, Meta(extra={"ge": 0, "le": 1000})]


class LoyaltyTier(Noun):
    """Who bought for so much within so many days earns by these terms instead of the programme's."""

    words: ClassVar[Words] = {
        "name": ("Name", "Shown to the customer; unique."),
        "default_tier": ("Default tier", "Who has reached no other tier is in it."),
        "qualify_purchase_amount": (
            "Qualify at",
            "Purchases that add up to this amount, or more, lead into it.",
            {"unit": "currency"},
        ),
        "qualify_within_days": (
            "Qualify within",
            "So many days back purchases count. Blank: all that are remembered.",
            {"unit": "days"},
        ),
        "points_per_dollar": ("Points per dollar", "Instead of the program's. Blank: as that.", {"unit": "points"}),
        "cashback_rate": ("Cashback rate", "Instead of the program's. Blank: as that.", {"unit": "%"}),
        "vesting_days": ("Vesting", "Until what was earned can be spent. Blank: as the program's.", {"unit": "days"}),
    }

    name: Text50
    default_tier: bool | None = None
    qualify_purchase_amount: Amount | None = None
    qualify_within_days: Annotated[int, Meta(ge=1, le=MOST_QUALIFYING_DAYS)] | None = None
    points_per_dollar: PerDollar | None = None
    cashback_rate: Percentage | None = None
    vesting_days: Days | None = None

    def oid(self) -> int:
        return int(sha256(self.name.encode()).hexdigest()[:12], 16) % LARGEST_OID + 1


class LoyaltyReward(Noun):
    """What points are redeemed for: a gift certificate, or a code for one order off a coupon."""

    groups: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("reward", "", ""),
        ("given", "What is given", "A gift certificate of an amount, or a code for one order made off a coupon."),
    )

    words: ClassVar[Words] = {
        "loyalty_reward_id": ("Id", "Letters and digits; unique. Programs redeem by it.", {"group": "reward"}),
        "points": ("Costs", "So many points are taken for it.", {"group": "reward", "unit": "points"}),
        "description": ("Description", "Shown to the customer.", {"group": "reward"}),
        "active": ("Active", "Can be redeemed.", {"group": "reward", "warnings": [NOT_REDEEMED]}),
        "reward_type": (
            "Type",
            "Of what is made.",
            {"group": "given", "choices": REWARD_TYPES, "blank": "gift certificate"},
        ),
        "amount": ("Amount", "Of the gift certificate.", {"group": "given", "unit": "currency"}),
        "coupon_code": ("Coupon", "The coupon that the code for one order is made off.", {"group": "given"}),
        "expiration_days": (
            "Expires after",
            "From the day of redeeming. Blank or 0: never.",
            {"group": "given", "unit": "days"},
        ),
    }

    loyalty_reward_id: Annotated[
        str, Meta(min_length=1, max_length=20, pattern=r"^[A-Za-z0-9._-]+$", examples=["TEN-OFF"])
    ]
    points: Annotated[int, Meta(ge=1, le=MOST_POINTS)]
    description: Text50 | None = None
    active: bool | None = None
    reward_type: Literal["gift_certificate", "coupon"] | None = None
    amount: Amount | None = None
    coupon_code: Text20 | None = None
    expiration_days: Days | None = None


class LoyaltyProgram(Noun):
    """The section. Nothing is earned, shown or adjusted while it is not active; what was earned is kept."""

    section: ClassVar[str] = "loyalty_program"
    groups: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("program", "Program", "What customers with a profile earn by their paid orders."),
        ("earning", "Earning", "Of merchandise after discounts; shipping and tax earn nothing."),
        (
            "keeping",
            "Vesting and expiry",
            "Days are the shop's; what was earned keeps the terms that it was earned by.",
        ),
        ("given", "Tiers and rewards", ""),
    )

    words: ClassVar[Words] = {
        "active": (
            "Active",
            "Customers earn and redeem. Off: nothing is earned or shown; what was earned is kept.",
            {"group": "program"},
        ),
        "reward_type": (
            "Reward type",
            "Points, which are redeemed for the rewards below; or cashback, money for the next orders.",
            {"group": "program", "blank": "points", "choices": ["points", "cashback"], "warnings": [OTHER_REWARD]},
        ),
        "allow_negative_balance": (
            "Allow a negative balance",
            "Somebody of the shop may take more points than there are.",
            {"group": "program"},
        ),
        "points_per_dollar": (
            "Points per dollar",
            "Where the reward is points, for each whole unit of the shop's currency.",
            {"group": "earning", "unit": "points"},
        ),
        "cashback_rate": (
            "Cashback rate",
            "Where the reward is money back.",
            {"group": "earning", "unit": "%", "warnings": [GENEROUS]},
        ),
        "signup_points": ("Signup points", "For each new profile.", {"group": "earning", "unit": "points", "blank": 0}),
        "vesting_days": (
            "Vesting",
            "Until what was earned can be spent. Blank or 0: at once.",
            {"group": "keeping", "unit": "days"},
        ),
        "expiration_days": (
            "Expires after",
            "From the day it is earned on. Blank or 0: never.",
            {"group": "keeping", "unit": "days", "warnings": [SOON_GONE]},
        ),
        "tiers": (
            "Tiers",
            "Who buys more earns more. The highest tier that the purchases reach counts.",
            {
                "group": "given",
                "entry": "tier",
                "summary": ["name", "points_per_dollar", "cashback_rate", "qualify_purchase_amount", "default_tier"],
            },
        ),
        "rewards": (
            "Rewards",
            "What points are redeemed for.",
            {
                "group": "given",
                "entry": "reward",
                "summary": ["loyalty_reward_id", "points", "amount", "coupon_code", "description", "active"],
                "ordered": True,
            },
        ),
    }

    active: bool | None = None
    reward_type: Literal["points", "cashback"] | None = None
    allow_negative_balance: bool | None = None
    points_per_dollar: PerDollar | None = None
    cashback_rate: Percentage | None = None
    signup_points: Annotated[int, Meta(ge=0, le=MOST_POINTS)] | None = None
    vesting_days: Days | None = None
    expiration_days: Days | None = None
    tiers: Annotated[list[LoyaltyTier], Meta(max_length=MAXIMUM_TIERS)] | None = None
    rewards: Annotated[list[LoyaltyReward], Meta(max_length=MAXIMUM_REWARDS)] | None = None

    def cashback(self) -> bool:
        return self.reward_type == "cashback"

    def kind(self) -> str:
        """As the contract's editor values have it."""
        return (self.reward_type or "points") if self.active else "disabled"

    def reward(self, name: str) -> LoyaltyReward | None:
        return next((one for one in self.rewards or [] if one.loyalty_reward_id == name and one.active), None)


def validate(program: LoyaltyProgram) -> None:
    """Rules between the fields. Raises Invalid with all problems."""
    problems: list[Problem] = []
    names, ids = set[str](), set[str]()
    expires = program.expiration_days or 0
    if expires and (program.vesting_days or 0) >= expires:
        problems.append(
            _problem("/vesting_days", "conflict", f"must be fewer than the {expires} days until it expires")
        )
    for position, tier in enumerate(program.tiers or []):
        at = f"/tiers/{position}"
        if tier.name in names:
            problems.append(_problem(f"{at}/name", "duplicate", "another tier has that name"))
        names.add(tier.name)
        if expires and (tier.vesting_days or 0) >= expires:
            message = f"must be fewer than the {expires} days until it expires"
            problems.append(_problem(f"{at}/vesting_days", "conflict", message))
        if not tier.default_tier and not tier.qualify_purchase_amount:
            message = "is required, unless it is the default tier"
            problems.append(_problem(f"{at}/qualify_purchase_amount", "required", message))
    defaults = [position for position, tier in enumerate(program.tiers or []) if tier.default_tier]
    problems += [_problem(f"/tiers/{at}/default_tier", "conflict", "another tier is it") for at in defaults[1:]]
    for position, reward in enumerate(program.rewards or []):
        at = f"/rewards/{position}"
        if reward.loyalty_reward_id in ids:
            problems.append(_problem(f"{at}/loyalty_reward_id", "duplicate", "another reward has that id"))
        ids.add(reward.loyalty_reward_id)
        coupon = reward.reward_type == "coupon"
        if coupon and not reward.coupon_code:
            problems.append(_problem(f"{at}/coupon_code", "required", "name the coupon that the code is made off"))
        if coupon and reward.amount:
            problems.append(_problem(f"{at}/amount", "conflict", "is of a gift certificate; the coupon has its own"))
        if not coupon and not reward.amount:
            problems.append(_problem(f"{at}/amount", "required", "is required, more than 0"))
        if not coupon and reward.coupon_code:
            problems.append(_problem(f"{at}/coupon_code", "conflict", "is of a reward_type coupon"))
    if problems:
        raise Invalid(problems)


def _problem(pointer: str, code: str, message: str) -> Problem:
    return Problem(pointer=pointer, code=code, message=message)


# --- earning ---------------------------------------------------------------------------------------------------------


class Earned(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """What an order earned and how much of it was taken back: kept under the order's id, so that it earns once.

    ``currency`` is of money back, None of points. ``base`` is what it earned by, ``counted`` how much of that counts
    for the customer's tier, in the smallest coin, on that ``day``.
    """

    order_id: str
    customer_profile_oid: int
    ledger_id: str
    amount: Decimal
    base: Decimal
    day: date
    counted: int = 0
    currency: str | None = None
    expires: Instant | None = None
    taken: Decimal = ZERO


# What tiers go by: what a customer bought on which day, refunds taken off.
Purchases = Mapping[date, Decimal]


class Terms(msgspec.Struct, kw_only=True, frozen=True):
    """By what an order earns: the programme's terms under the customer's tier."""

    rate: Decimal
    vesting_days: int
    expiration_days: int


def terms_of(program: LoyaltyProgram, tier: LoyaltyTier | None) -> Terms:
    own = program.cashback_rate if program.cashback() else program.points_per_dollar
    better = (tier.cashback_rate if program.cashback() else tier.points_per_dollar) if tier else None
    vesting = tier.vesting_days if tier and tier.vesting_days is not None else program.vesting_days
    return Terms(
        rate=(own if better is None else better) or ZERO,
        vesting_days=vesting or 0,
        expiration_days=program.expiration_days or 0,
    )


def is_paid(order: Order) -> bool:
    return order.payment is not None and order.payment.payment_status in ("Processed", "Refunded")


def base_of(order: Order) -> Decimal:
    """What an order earns by: merchandise after discounts, without shipping and tax."""
    summary = order.summary
    if summary is None:
        return ZERO
    return max((summary.subtotal or ZERO) - abs(summary.subtotal_discount or ZERO), ZERO)


def earned_of(program: LoyaltyProgram, terms: Terms, base: Decimal, currency: str) -> Decimal:
    """Whole points, or money rounded down to the coin: parts of an order never earn more than the whole."""
    if program.cashback():
        return quantise_down(base * terms.rate / 100, currency)
    return min((base * terms.rate).to_integral_value(ROUND_FLOOR), Decimal(MOST_POINTS))


def quantise_down(amount: Decimal, currency: str) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-EXPONENTS.get(currency, 2)), ROUND_DOWN) + 0


def earned_names(order: Order) -> list[str]:
    """Under which names the order's payments earn: the first one's is the order's id. All but the last came back."""
    order_id, returns = order.order_id or "", len(order.returned or [])
    return [order_id, *(f"{order_id}#{number}" for number in range(1, returns + 1))]


def staying(amount: Decimal, order: Order) -> Decimal:
    """What stays of an amount when the refunded share of the order is taken off: of what was paid, whatever for.

    Multiplied first and divided once: a third of 207 is 69, and not a hair less.
    """
    summary = order.summary
    total, refunded = (summary.total or ZERO, summary.total_refunded or ZERO) if summary else (ZERO, ZERO)
    if refunded <= 0:
        return amount
    return ZERO if refunded >= total else amount * (total - refunded) / total


def taken_of(amount: Decimal, order: Order, *, currency: str | None) -> Decimal:
    """How much of what the order earned its refunds take back in all: what stays is rounded down, so that a purchase
    that is given back in pieces leaves nothing. ``currency`` None: points."""
    stays = staying(amount, order)
    return amount - (stays.to_integral_value(ROUND_FLOOR) if currency is None else quantise_down(stays, currency))


def vests_on(now: Instant, days: int, zone_name: str) -> Instant | None:
    """The beginning of the merchant's day on which it can be spent; None: at once."""
    return midnight(local_date(now, zone_name) + timedelta(days=days), zone_name) if days else None


def expires_on(now: Instant, days: int, zone_name: str) -> Instant | None:
    """The end of the last of the merchant's days on which it can be spent; None: never."""
    return midnight(local_date(now, zone_name) + timedelta(days=days + 1), zone_name) if days else None


# --- tiers -----------------------------------------------------------------------------------------------------------


def tier_of(program: LoyaltyProgram, purchases: Purchases, today: date) -> LoyaltyTier | None:
    """The tier with the highest amount that the customer's purchases reach today; else the default one."""
    reached = [tier for tier in program.tiers or [] if _qualifies(tier, purchases, today)]
    best = max(reached, key=lambda tier: tier.qualify_purchase_amount or ZERO, default=None)
    return best or next((tier for tier in program.tiers or [] if tier.default_tier), None)


def tier_ends(program: LoyaltyProgram, purchases: Purchases, today: date) -> date | None:
    """The first day on which the customer has left today's tier, if nothing more is bought; None: it stays."""
    tier = tier_of(program, purchases, today)
    if tier is None or not tier.qualify_purchase_amount or not tier.qualify_within_days:
        return None
    days = sorted(day + timedelta(days=tier.qualify_within_days) for day in purchases)
    return next((day for day in days if day > today and not _qualifies(tier, purchases, day)), None)


def _qualifies(tier: LoyaltyTier, purchases: Purchases, today: date) -> bool:
    """Purchases of the last ``qualify_within_days`` days, today among them."""
    if not tier.qualify_purchase_amount:
        return False
    first = today - timedelta(days=tier.qualify_within_days - 1) if tier.qualify_within_days else date.min
    bought = sum((amount for day, amount in purchases.items() if first <= day <= today), ZERO)
    return bought >= tier.qualify_purchase_amount


# --- by hand ---------------------------------------------------------------------------------------------------------


class ManualEntry(Noun):
    """A merchant's own entry. A date to come makes it wait for its day; without one it is of now."""

    description: Annotated[str, Meta(min_length=1, max_length=200)]
    loyalty_points: Points
    type: Literal["Credit", "Debit", "Adjustment"]
    ledger_dts: Instant | None = None
    notes: Text2000 | None = None
    order_id: OrderId | None = None


class AdjustLoyaltyPointsRequest(Noun):
    description: Annotated[str, Meta(min_length=1, max_length=200)]
    loyalty_points: Points
    order_id: OrderId | None = None
    vesting_days: Days | None = None


class RedeemRequest(Noun):
    loyalty_reward_id: Text20


def validate_manual(entry: ManualEntry) -> None:
    """Raises Invalid with all problems."""
    problems = _entry_problems(entry.description, entry.loyalty_points)
    wrong = {"Credit": entry.loyalty_points < 0, "Debit": entry.loyalty_points > 0, "Adjustment": False}
    if wrong[entry.type]:
        sign = "more" if entry.type == "Credit" else "less"
        problems.append(_problem("/loyalty_points", "conflict", f"a {entry.type} is {sign} than 0"))
    if problems:
        raise Invalid(problems)


def validate_adjustment(request: AdjustLoyaltyPointsRequest) -> None:
    """Raises Invalid with all problems."""
    if problems := _entry_problems(request.description, request.loyalty_points):
        raise Invalid(problems)


def _entry_problems(description: str, points: int) -> list[Problem]:
    problems = []
    if not description.strip():
        problems.append(_problem("/description", "required", "say why"))
    if points == 0:
        problems.append(_problem("/loyalty_points", "out_of_range", "may not be 0"))
    return problems


# --- shown -----------------------------------------------------------------------------------------------------------


class CustomerLoyaltyLedger(Noun):
    """An entry of the past, or one that vests on a day to come."""

    created_by: str | None = None
    created_dts: Instant | None = None
    description: Text200 | None = None
    email: str | None = None
    ledger_dts: Instant | None = None
    loyalty_ledger_oid: int | None = None
    loyalty_points: int | None = None
    order_id: str | None = None
    vesting_dts: Instant | None = None


class CustomerLoyaltyRedemption(Noun):
    """Points that became a gift certificate, or a code for one order. ``remaining_balance`` is read from the
    certificate, ``coupon_used`` from where uses are counted."""

    coupon_code: str | None = None
    coupon_code_oid: int | None = None
    coupon_used: bool | None = None
    description_for_customer: Text200 | None = None
    expiration_dts: Instant | None = None
    gift_certificate_code: str | None = None
    gift_certificate_oid: int | None = None
    loyalty_ledger_oid: int | None = None
    loyalty_points: int | None = None
    loyalty_redemption_oid: int | None = None
    redemption_dts: Instant | None = None
    remaining_balance: Decimal | None = None


class CustomerLoyalty(Noun):
    """``internal_gift_certificate_balance`` is a text: the contract has it so."""

    current_points: int | None = None
    internal_gift_certificate_balance: str | None = None
    internal_gift_certificate_oid: int | None = None
    ledger_entries: list[CustomerLoyaltyLedger] | None = None
    loyalty_tier_expiration_dts: Instant | None = None
    loyalty_tier_name: str | None = None
    loyalty_tier_oid: int | None = None
    pending_points: int | None = None
    redemptions: list[CustomerLoyaltyRedemption] | None = None


class PastEntry(Noun):
    """A line of the past ledger, with its own balance; what it is about stands in ``item_or_reward``."""

    balance: int
    description: str
    ledger_dts: Instant
    loyalty_ledger_oid: int
    loyalty_points: int
    type: str
    created_by: str | None = None
    created_dts: Instant | None = None
    item_or_reward: str | None = None
    notes: str | None = None
    order_id: str | None = None


class FutureEntry(Noun):
    """A line of the future ledger. One with an oid can be withdrawn, unless an order earned it."""

    description: str
    ledger_dts: Instant
    loyalty_points: int
    status: Literal["Pending", "Scheduled"]
    type: str
    created_by: str | None = None
    loyalty_ledger_oid: int | None = None
    notes: str | None = None
    order_id: str | None = None


class LoyaltyBalance(Noun):
    """What there would be, or is, after an entry. ``saved`` is false of a rehearsal."""

    current_points: int
    loyalty_points: int
    pending_points: int
    saved: bool
    loyalty_ledger_oid: int | None = None


def as_contract(ledger: Ledger, entries: Iterable[Entry], email: str | None) -> list[CustomerLoyaltyLedger]:
    """The past and, after it, what waits for its day, in the contract's form."""
    past = [(entry.posting, entry.oid(), None) for entry in entries]
    coming = [(one.posting, oid_of(ledger.ledger_id, one.posting.cause), one.posting.dts) for one in ledger.pending]
    return [
        CustomerLoyaltyLedger(
            created_by=posting.by,
            created_dts=posting.created_dts,
            description=posting.description,
            email=email,
            ledger_dts=posting.created_dts if vests else posting.dts,
            loyalty_ledger_oid=oid,
            loyalty_points=int(posting.amount),
            order_id=posting.order_id,
            vesting_dts=vests,
        )
        for posting, oid, vests in [*past, *coming]
    ]


def past_entry(entry: Entry) -> PastEntry:
    posting = entry.posting
    return PastEntry(
        balance=int(entry.balance),
        created_by=posting.by,
        created_dts=posting.created_dts,
        description=posting.description,
        item_or_reward=posting.reward,
        ledger_dts=posting.dts,
        loyalty_ledger_oid=entry.oid(),
        loyalty_points=int(posting.amount),
        notes=posting.notes,
        order_id=posting.order_id,
        type=posting.type,
    )


def future_entries(ledger: Ledger) -> list[FutureEntry]:
    """What waits for its day, and what expires on which, soonest first."""
    lines = [
        FutureEntry(
            created_by=one.posting.by,
            description=one.posting.description,
            ledger_dts=one.posting.dts,
            loyalty_ledger_oid=oid_of(ledger.ledger_id, one.posting.cause),
            loyalty_points=int(one.posting.amount),
            notes=one.posting.notes,
            order_id=one.posting.order_id,
            status="Pending" if one.state == "Vesting" else "Scheduled",
            type="Pending Earn" if one.state == "Vesting" else one.posting.type,
        )
        for one in ledger.pending
    ]
    lines += [
        FutureEntry(
            description="Expires",
            ledger_dts=lot.expires,
            loyalty_points=-int(lot.left),
            status="Scheduled",
            type="Expiration",
        )
        for lot in ledger.lots
        if lot.expires is not None
    ]
    return sorted(lines, key=lambda line: line.ledger_dts)


def balance_of(ledger: Ledger, points: int, oid: int | None, *, saved: bool) -> LoyaltyBalance:
    return LoyaltyBalance(
        current_points=int(ledger.balance),
        pending_points=int(ledger.coming()),
        loyalty_points=points,
        loyalty_ledger_oid=oid,
        saved=saved,
    )
