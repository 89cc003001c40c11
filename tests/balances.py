"""Balances to pay with: gift certificates, a customer with store credit, and how an order names them."""

from decimal import Decimal
from typing import Any

from chalicelib.domain.gift_certificates import code_key, ledger_id
from chalicelib.domain.money import Currency
from chalicelib.domain.orders import OrderGiftCertificate, OrderSummary
from chalicelib.flows import gift_certificates, ledgers, profiles
from tests.worlds import World

ADA = "ada@example.com"


def a_certificate(world: World, amount: str, **said: Any) -> str:
    """A gift certificate with so much on it. Returns its code."""
    made = gift_certificates.create(world.shop, {"amount": Decimal(amount), **said}, by="bob")
    return str(made.code)


def certificate_oid(world: World, code: str) -> int:
    name = world.shop.certificates.name_by(gift_certificates.CODE, code_key(code))
    assert name is not None
    return int(name)


def a_customer_with(world: World, amount: str, **said: Any) -> int:
    """The customer of the world's orders, with so much store credit. Returns the oid of the profile."""
    oid = profiles.insert_customer(world.shop, {"email": ADA})[0].customer_profile_oid or 0
    gift_certificates.add_store_credit(world.shop, oid, {"amount": Decimal(amount), **said}, by="bob")
    return oid


def more_credit(world: World, amount: str) -> None:
    name = world.shop.customers.name_by("email", ADA)
    gift_certificates.add_store_credit(world.shop, int(name or 0), {"amount": Decimal(amount)}, by="bob")


def paying_with(code: str) -> dict[str, Any]:
    return {"gift_certificate": OrderGiftCertificate(gift_certificate_code=code)}


def wanting(amount: str) -> dict[str, Any]:
    """So much of an order is to be paid with store credit."""
    return {"summary": OrderSummary(internal_gift_certificate_amount=Currency(amount))}


def balance_of(world: World, code: str) -> Decimal:
    return ledgers.current(world.shop, ledger_id(certificate_oid(world, code))).balance


def credit_of(world: World) -> Decimal:
    name = world.shop.customers.name_by("email", ADA)
    return gift_certificates.store_credit(world.shop, int(name or 0)).available


def nothing_held(world: World) -> None:
    """No balance is held by any attempt, and all of them add up."""
    for oid in every_certificate(world):
        ledger = ledgers.current(world.shop, ledger_id(oid))
        assert ledger.held() == 0, f"certificate {oid} is held by {[hold.key for hold in ledger.holds]}"
        assert ledger.balance >= 0
        assert ledgers.verify(world.shop, ledger_id(oid)) == []


def every_certificate(world: World) -> list[int]:
    """Those that were listed, and the internal one of the world's customer."""
    found = [int(name) for name in world.shop.certificates.names()]
    name = world.shop.customers.name_by("email", ADA)
    internal = gift_certificates.internal_oid(world.shop, int(name)) if name else None
    return [*found, internal] if internal else found
