"""Loyalty over HTTP: a customer's points and ledgers, and store credit with its cashback."""

from decimal import Decimal
from typing import Any

from chalicelib.domain.dates import Instant
from chalicelib.domain.gift_certificates import (
    AdjustInternalCertificateRequest,
    CustomerStoreCredit,
    CustomerStoreCreditAddRequest,
    ledger_id,
)
from chalicelib.domain.ledgers import Finding
from chalicelib.domain.loyalty import (
    AdjustLoyaltyPointsRequest,
    CustomerLoyalty,
    CustomerLoyaltyRedemption,
    FutureEntry,
    LoyaltyBalance,
    ManualEntry,
    PastEntry,
    RedeemRequest,
    future_entries,
    past_entry,
)
from chalicelib.domain.wire import whole
from chalicelib.flows import gift_certificates, ledgers, reward
from chalicelib.handlers import cursors
from chalicelib.handlers.http import Ask, Door, done, many, oid_of, one

door = Door("loyalty")

NOUN = "customer"
ONE = "/customer/customers/{customer_profile_oid}"
LOYALTY = ONE + "/loyalty"
READ = "customer_read"
WRITE = "customer_write"
KEY = "idempotency-key"


# --- points ----------------------------------------------------------------------------------------------------------


@door(
    "GET",
    LOYALTY,
    READ,
    summary="Retrieve the loyalty points, ledger and redemptions of a customer",
    gives=CustomerLoyalty,
)
def get_customer_loyalty(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    found = reward.of_customer(ask.shop, oid_of(customer_profile_oid, NOUN))
    return one("customer_loyalty", whole(found, ask.form))


@door(
    "POST",
    ONE + "/adjust_loyalty_points",
    WRITE,
    summary="Add loyalty points to the ledger, or take some away; a correction is an entry of the opposite sign",
    takes=AdjustLoyaltyPointsRequest,
    gives={"current_points": int, "pending_points": int, "loyalty_points": int},
)
def adjust_loyalty_points(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    balance = reward.adjust(ask.shop, oid_of(customer_profile_oid, NOUN), ask.raw(), by=ask.by)
    return {
        "current_points": balance.current_points,
        "pending_points": balance.pending_points,
        "loyalty_points": balance.loyalty_points,
        **done(),
    }


@door(
    "GET",
    LOYALTY + "/past_ledger",
    READ,
    summary="Retrieve the past ledger: every entry with its balance, the latest first",
    gives={"past_ledger": list[PastEntry], "next_cursor": str},
    query=("_limit", cursors.PARAMETER),
)
def get_past_ledger(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    limit, _ = ask.page()
    name = _points(ask, customer_profile_oid)
    entries, cursor = ask.shop.ledgers.entries(name, limit=limit, cursor=cursors.asked(ask))
    lines = [whole(past_entry(entry), ask.form) for entry in entries]
    return {**many("past_ledger", lines, limit=limit, offset=0, total=None), **cursors.next_page(ask, cursor)}


@door(
    "GET",
    LOYALTY + "/future_ledger",
    READ,
    summary="Retrieve the future ledger: what vests, is scheduled or expires, soonest first",
    gives={"future_ledger": list[FutureEntry]},
)
def get_future_ledger(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    ledger = ledgers.current(ask.shop, _points(ask, customer_profile_oid))
    return one("future_ledger", whole(future_entries(ledger), ask.form))


@door(
    "POST",
    LOYALTY + "/ledger_entries",
    WRITE,
    summary="Enter points by hand; with dry_run the balance that there would be, and nothing is saved",
    takes=ManualEntry,
    gives=LoyaltyBalance,
    query=("dry_run",),
)
def insert_loyalty_ledger_entry(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    oid, key = oid_of(customer_profile_oid, NOUN), ask.header(KEY)
    balance = reward.enter(ask.shop, oid, ask.raw(), by=ask.by, key=key, dry_run=ask.flag("dry_run"))
    return one("loyalty_balance", whole(balance, ask.form))


@door(
    "DELETE",
    LOYALTY + "/future_ledger/{loyalty_ledger_oid}",
    WRITE,
    summary="Withdraw what waits for its day; the past ledger tells who did",
    gives=LoyaltyBalance,
)
def withdraw_future_entry(ask: Ask, customer_profile_oid: str, loyalty_ledger_oid: str) -> dict[str, Any]:
    number = oid_of(loyalty_ledger_oid, "future entry")
    balance = reward.withdraw(ask.shop, oid_of(customer_profile_oid, NOUN), number, by=ask.by)
    return one("loyalty_balance", whole(balance, ask.form))


@door(
    "POST",
    LOYALTY + "/redemptions",
    WRITE,
    summary="Redeem points for a reward: a gift certificate is made, in the customer's name",
    takes=RedeemRequest,
    gives=CustomerLoyaltyRedemption,
)
def redeem_loyalty_reward(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    oid = oid_of(customer_profile_oid, NOUN)
    found = reward.redeem(ask.shop, oid, ask.raw(), by=ask.by, key=ask.header(KEY))
    return one("customer_loyalty_redemption", whole(found, ask.form))


@door(
    "GET",
    LOYALTY + "/verification",
    READ,
    summary="Whether every entry of the customer's ledgers stands as it was written",
    gives={"findings": list[Finding], "verified": bool},
)
def verify_loyalty_ledger(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    oid = oid_of(customer_profile_oid, NOUN)
    findings = ledgers.verify(ask.shop, _points(ask, customer_profile_oid))
    certificate = gift_certificates.internal_oid(ask.shop, oid)
    if certificate is not None:
        findings += ledgers.verify(ask.shop, ledger_id(certificate))
    return {"verified": not findings, **one("findings", whole(findings, ask.form))}


def _points(ask: Ask, customer_profile_oid: str) -> str:
    """The name of the customer's points ledger. Raises NotFound, and Invalid where no programme is active."""
    reward.active(ask.shop)
    oid = oid_of(customer_profile_oid, NOUN)
    ask.shop.customers.get(oid)
    return reward.points_id(oid)


# --- cashback and store credit ---------------------------------------------------------------------------------------


@door(
    "POST",
    ONE + "/adjust_cashback_balance",
    WRITE,
    summary="Change a customer's cashback balance: an entry of his internal gift certificate, made where there is none",
    takes=AdjustInternalCertificateRequest,
    gives={"adjustment_amount": Decimal, "balance_amount": Decimal},
)
def adjust_internal_certificate(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    oid = oid_of(customer_profile_oid, NOUN)
    amount, balance = gift_certificates.adjust(ask.shop, oid, ask.raw(), by=ask.by)
    return {"adjustment_amount": amount, "balance_amount": balance, **done()}


@door(
    "GET",
    ONE + "/store_credit",
    READ,
    summary="Retrieve the store credit of a customer: available, vesting, expiring, and its ledgers",
    gives=CustomerStoreCredit,
)
def get_customer_store_credit(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    found = gift_certificates.store_credit(ask.shop, oid_of(customer_profile_oid, NOUN))
    return one("customer_store_credit", whole(found, ask.form))


@door(
    "POST",
    ONE + "/store_credit",
    WRITE,
    summary="Add store credit to a customer",
    takes=CustomerStoreCreditAddRequest,
)
def add_customer_store_credit(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    gift_certificates.add_store_credit(ask.shop, oid_of(customer_profile_oid, NOUN), ask.raw(), by=ask.by)
    return done()


@door(
    "POST",
    ONE + "/store_credit_token",
    WRITE,
    summary="A token by which a shopper whom the merchant knows may pay a storefront order with the customer's store "
    "credit; valid two hours",
    gives={"store_credit_token": str, "expiration_dts": Instant},
)
def create_store_credit_token(ask: Ask, customer_profile_oid: str) -> dict[str, Any]:
    token, expires = gift_certificates.store_credit_token(ask.shop, oid_of(customer_profile_oid, NOUN))
    return {**done(), "store_credit_token": token, **whole({"expiration_dts": expires}, ask.form)}
