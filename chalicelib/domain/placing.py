"""Placing an order: what may be sent, what it costs, and the order that is stored. Pure; prices come from the
catalogue."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from chalicelib.domain.consents import AutoOrderConsentRequest
from chalicelib.domain.coupons import Coupon, check_coupons
from chalicelib.domain.customers import Customer
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import ItemId, Oid, Quantity, Text20, Text50, Text100
from chalicelib.domain.items import Item
from chalicelib.domain.made_orders import UNPAID_STAGE, order_item_of, summary
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import Currency, quantise, total_of
from chalicelib.domain.orders import (
    MAXIMUM_LINES,
    Affiliates,
    Order,
    OrderAffiliate,
    OrderBilling,
    OrderCheckout,
    OrderCoupon,
    OrderCurrentStageHistory,
    OrderGiftCertificate,
    OrderInternal,
    OrderItem,
    OrderItemOption,
    OrderMarketing,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderPaymentECheck,
    OrderShipping,
    OrderSummary,
    OrderTaxes,
)
from chalicelib.domain.payments import FrozenPlan, Spend
from chalicelib.domain.pricing import Line, Tables, Unpriceable, price
from chalicelib.domain.pricing_tiers import NOBODY, CustomerTerms, refused
from chalicelib.domain.schedule import ARBITRARY, Frequency
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.shipping import ShippingSettings, ship_to
from chalicelib.domain.taxes import TaxSettings
from chalicelib.domain.wire import Noun

OF_ACCOUNT = "/payment/echeck/bank_account_token"
STORE_CREDIT = "/summary/internal_gift_certificate_amount"
# Blocks of an order that only the system fills: refused on an insert, by name.
FILLED_BY_SYSTEM = ("current_stage", "creation_dts", "taxes", "currency_code", "refund_reason")
PAYMENT_FILLED_BY_SYSTEM = ("payment_dts", "payment_status", "transactions", "rotating_transaction_gateway_code")
LINE_FILLED_BY_SYSTEM = (
    "accounting_code",
    "auto_order_last_rebill_dts",
    "cost",
    "discount",
    "item_reference_oid",
    "quantity_refunded",
    "refund_reason",
    "return_reason",
    "total_cost_with_discount",
    "total_refunded",
    "unit_cost_with_discount",
)


# Of merchant_notes (the contract's bound).
LONGEST_NOTES = 2000
# What a card is tested with where an item does not say (the product page's figure).
DEFAULT_AUTH_TEST_AMOUNT = Decimal(1)
# A token of a link of ours has some 120 characters.
LONGEST_TOKEN = 500
# What an insert may say of an order's totals: a shipping cost of the merchant's own, and the most that the customer's
# store credit may pay.
SAID_OF_TOTALS = ("arbitrary_shipping_handling_total", "internal_gift_certificate_amount")


class AuthTests(msgspec.Struct, kw_only=True, frozen=True):
    """The amounts that a card is tested with when an order costs nothing. ``future``: authorised first, left open."""

    amount: Decimal
    future: Decimal | None = None


class StorefrontLine(Noun):
    """What a shopper may say of a line: which item, how many, how often. Never a price."""

    merchant_item_id: ItemId
    quantity: Quantity
    auto_order_schedule: Frequency | None = None
    options: Annotated[list[OrderItemOption], Meta(max_length=50)] | None = None


class StorefrontOrder(Noun):
    """An order as a storefront sends it for a shopper."""

    items: Annotated[list[StorefrontLine], Meta(min_length=1, max_length=MAXIMUM_LINES)]
    billing: OrderBilling
    auto_order_consent: AutoOrderConsentRequest | None = None
    shipping: OrderShipping | None = None
    coupons: Annotated[list[Text20], Meta(max_length=10)] | None = None
    bank_account_token: Text100 | None = None
    card_token: Text100 | None = None
    gift_certificate_code: Text20 | None = None
    store_credit_token: Annotated[str, Meta(max_length=LONGEST_TOKEN)] | None = None
    checkout: OrderCheckout | None = None
    affiliates: Affiliates | None = None
    marketing: OrderMarketing | None = None
    language_iso_code: Annotated[str, Meta(max_length=3)] | None = None
    storefront_host_name: Text50 | None = None


class OrderAssignToAffiliateRequest(Noun):
    """Who is to be credited for an order."""

    affiliate_email: Text100 | None = None
    affiliate_id: Oid | None = None
    affiliate_sub_id: Text50 | None = None


def order_of(request: StorefrontOrder) -> Order:
    """The shopper's order in the contract's words."""
    checkout = request.checkout
    if request.storefront_host_name is not None:
        checkout = replace(checkout or OrderCheckout(), storefront_host_name=request.storefront_host_name)
    return Order(
        items=[
            OrderItem(
                merchant_item_id=line.merchant_item_id,
                quantity=line.quantity,
                auto_order_schedule=line.auto_order_schedule,
                options=line.options,
            )
            for line in request.items
        ],
        billing=request.billing,
        shipping=request.shipping,
        coupons=[OrderCoupon(coupon_code=code) for code in request.coupons or []] or None,
        checkout=checkout,
        gift_certificate=OrderGiftCertificate(gift_certificate_code=request.gift_certificate_code)
        if request.gift_certificate_code is not None
        else None,
        affiliates=request.affiliates,
        marketing=request.marketing,
        language_iso_code=request.language_iso_code,
        payment=_payment_of(request),
    )


def _payment_of(request: StorefrontOrder) -> OrderPayment:
    if request.bank_account_token is not None and request.card_token is None:
        echeck = OrderPaymentECheck(bank_account_token=request.bank_account_token)
        return OrderPayment(payment_method="eCheck", echeck=echeck)
    return OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=request.card_token))


class Shelves(msgspec.Struct, kw_only=True):
    """The configuration that an order is placed with."""

    merchant: Merchant
    settings: AutoOrderProcessing
    shipping: ShippingSettings
    taxes: TaxSettings
    items: Mapping[str, Item]
    coupons: list[Coupon]
    # Codes for one order, each with the code of the coupon that it was made off.
    bases: Mapping[str, str] = {}
    # Coupons that the customer has used, and those that were used as often as they may be.
    used: Mapping[str, int] = {}
    exhausted: frozenset[str] = frozenset()
    # All that is on the gift certificate that the order names, and the customer's store credit.
    customer_profile_oid: int | None = None
    certificate: Spend | None = None
    credit: Spend | None = None
    # Items that are sold one per customer and that the customer has on an active auto order.
    owned: frozenset[str] = frozenset()
    # By which terms the customer buys.
    terms: CustomerTerms = NOBODY


def placed(order: Order, shelves: Shelves, order_id: str, now: Instant, *, by_shopper: bool) -> Order:
    """The priced, unpaid order. Raises Invalid with all problems.

    ``by_shopper``: prices are the catalogue's only, and a schedule must be one that the item offers.
    """
    problems = refused_fields(order) + _line_problems(order, shelves, by_shopper=by_shopper)
    problems += _echeck_problems(order, shelves)
    problems += affiliate_problems(order.affiliates)
    codes = [coupon.coupon_code or "" for coupon in order.coupons or []]
    currency = shelves.merchant.currency()
    if shelves.terms.no_coupons and codes:
        message = "coupons do not count for this customer"
        problems += [
            Problem(pointer=f"/coupons/{at}/coupon_code", code="no_coupons", message=message)
            for at in range(len(codes))
        ]
    else:
        problems += check_coupons(
            codes, shelves.coupons, now=now, used=shelves.used, currency_code=currency, exhausted=shelves.exhausted
        )
    problems += _credit_problems(order, shelves)
    if problems:
        raise Invalid(problems)
    lines = [_line(line, shelves.items, now) for line in order.items or []]
    totals = order.summary or OrderSummary()
    arbitrary = totals.arbitrary_shipping_handling_total
    priced = price(
        lines,
        ship_to(order.shipping, order.billing),
        order.shipping.shipping_method if order.shipping else None,
        lowest_cost=not (order.shipping and order.shipping.shipping_method),
        tables=Tables(shipping=shelves.shipping, taxes=shelves.taxes, currency_code=currency, coupons=shelves.coupons),
        now=now,
        on_rebill=False,
        ignore_coupon_expiration=False,
        arbitrary_shipping=Decimal(arbitrary) if arbitrary is not None else None,
        used=shelves.used,
        coupon_codes=codes,
        terms=shelves.terms,
    )
    if isinstance(priced, Unpriceable):
        pointer = "/shipping/shipping_method" if priced.code == "no_shipping_method" else "/items"
        raise Invalid.one(pointer, priced.code, priced.message)
    plan = replace(priced.plan, spends=_spends(order, shelves, priced.plan.total))
    if by_shopper:
        units = total_of(line.quantity for line in plan.lines)
        if too_little := refused(shelves.terms, plan.subtotal, units, currency):
            raise Invalid(too_little)
    shipping = replace(order.shipping or OrderShipping(), shipping_method=plan.shipping_method)
    return replace(
        order,
        order_id=order_id,
        merchant_id=shelves.merchant.merchant_id,
        creation_dts=now,
        currency_code=currency,
        current_stage=UNPAID_STAGE,
        current_stage_histories=[OrderCurrentStageHistory(after_stage=UNPAID_STAGE, transition_dts=now)],
        items=[
            replace(
                order_item_of(line, shelves.items.get(line.item_id), index + 1, currency),
                auto_order_schedule=asked.auto_order_schedule,
                options=asked.options,
                properties=asked.properties,
            )
            for index, (line, asked) in enumerate(zip(plan.lines, order.items or [], strict=True))
        ],
        shipping=shipping if order.shipping or plan.shipping_method else None,
        coupons=[OrderCoupon(coupon_code=code, base_coupon_code=shelves.bases.get(code, code)) for code in plan.coupons]
        or None,
        sole_items=sole_items(order, shelves.items) or None,
        payment=_unprocessed(order.payment or OrderPayment()),
        summary=summary(plan),
        gift_certificate=_certificate(plan),
        store_credit_oid=next((spend.oid for spend in plan.spends if not spend.code), None),
        taxes=OrderTaxes(tax_rate=plan.tax_rate, tax_shipping=plan.tax_shipping) if plan.tax_rate else None,
    )


def _credit_problems(order: Order, shelves: Shelves) -> list[Problem]:
    """Store credit that the merchant would have the order paid with and that there is not."""
    if order.store_credit_of is not None and order.store_credit_of != shelves.customer_profile_oid:
        message = "is not of the customer with the order's e-mail address"
        return [Problem(pointer=STORE_CREDIT, code="conflict", message=message)]
    wanted, there = order.store_credit(), shelves.credit.amount if shelves.credit else Decimal(0)
    if 0 <= wanted <= there:
        if quantise(wanted, currency := shelves.merchant.currency()) == wanted:
            return []
        message = f"is finer than the smallest coin of {currency}"
        return [Problem(pointer=STORE_CREDIT, code="invalid", message=message)]
    message = f"is more than the {there} of store credit that the customer has" if wanted > 0 else "may not be negative"
    return [Problem(pointer=STORE_CREDIT, code="out_of_range", message=message)]


def _spends(order: Order, shelves: Shelves, total: Decimal) -> list[Spend]:
    """What the gift certificate and the store credit would pay as they stand. Nothing is kept for the order yet: they
    pay when it is paid for."""
    found, left = list[Spend](), total
    if shelves.certificate is not None:
        found.append(replace(shelves.certificate, amount=min(shelves.certificate.amount, left)))
        left -= found[0].amount
    if shelves.credit is not None:
        wanted = shelves.credit.amount if order.store_credit_of is not None else order.store_credit()
        found.append(replace(shelves.credit, amount=min(wanted, left)))
    return [spend for spend in found if spend.amount > 0 or spend.code]


def _certificate(plan: FrozenPlan) -> OrderGiftCertificate | None:
    named = next((spend for spend in plan.spends if spend.code), None)
    if named is None:
        return None
    return OrderGiftCertificate(
        gift_certificate_amount=Currency(named.amount),
        gift_certificate_code=named.code,
        gift_certificate_oid=named.oid,
    )


def with_notes(order: Order, customer: Customer) -> Order:
    """The order with the notes that the shop wants on every order of this customer, after those that came with it."""
    if not customer.automatic_merchant_notes:
        return order
    internal = order.internal or OrderInternal()
    said = "\n".join(text for text in (internal.merchant_notes, customer.automatic_merchant_notes) if text)
    return replace(order, internal=replace(internal, merchant_notes=said[:LONGEST_NOTES]))


def _unprocessed(payment: OrderPayment) -> OrderPayment:
    return replace(payment, payment_method=payment.payment_method or "Credit Card", payment_status="Unprocessed")


def _echeck_problems(order: Order, shelves: Shelves) -> list[Problem]:
    """An e-check for an order that is billed again, where the merchant wants none for those."""
    payment = order.payment
    if payment is None or payment.payment_method != "eCheck":
        return []
    if payment.echeck is None or payment.echeck.bank_account_token is None:
        message = "an eCheck needs a token from POST /storefront/bank_account_tokens"
        return [Problem(pointer=OF_ACCOUNT, code="required", message=message)]
    lines = order.items or []
    items = [shelves.items.get(line.merchant_item_id or "") for line in lines]
    again = any(line.auto_order_schedule or (item and item.steps()) for line, item in zip(lines, items, strict=True))
    if again and shelves.settings.prohibit_echecks:
        message = "e-checks are not accepted for auto orders: send a card"
        return [Problem(pointer="/payment/payment_method", code="not_allowed_value", message=message)]
    return []


def affiliate_problems(affiliates: list[OrderAffiliate] | None) -> list[Problem]:
    """Each has an oid, and stands there once."""
    oids = [one.affiliate_oid for one in affiliates or []]
    found = []
    for position, oid in enumerate(oids):
        pointer = f"/affiliates/{position}/affiliate_oid"
        if oid is None:
            found.append(Problem(pointer=pointer, code="required", message="is required: the affiliate's oid"))
        elif oid in oids[:position]:
            found.append(Problem(pointer=pointer, code="conflict", message="stands there twice"))
    return found


def assigned(request: OrderAssignToAffiliateRequest) -> list[OrderAffiliate]:
    """Raises Invalid with all problems: affiliates are known by their ids only, nobody keeps a list of them here."""
    problems = []
    if request.affiliate_email is not None:
        message = "affiliates are known by their ids only; send affiliate_id"
        problems.append(Problem(pointer="/affiliate_email", code="not_available", message=message))
    if request.affiliate_id is None:
        problems.append(Problem(pointer="/affiliate_id", code="required", message="is required: the affiliate's oid"))
    if problems:
        raise Invalid(problems)
    return [OrderAffiliate(affiliate_oid=request.affiliate_id, sub_id=request.affiliate_sub_id)]


def refused_fields(order: Order) -> list[Problem]:
    """What an insert may not say, by name."""
    found = [_filled(f"/{name}") for name in FILLED_BY_SYSTEM if getattr(order, name) is not None]
    if order.payment:
        found += [
            _filled(f"/payment/{name}") for name in PAYMENT_FILLED_BY_SYSTEM if getattr(order.payment, name) is not None
        ]
        echeck = order.payment.echeck
        if echeck and echeck.bank_account_number is not None:
            message = "account numbers are not taken here: send a token from POST /storefront/bank_account_tokens"
            pointer = "/payment/echeck/bank_account_number"
            found.append(Problem(pointer=pointer, code="account_number_refused", message=message))
        card = order.payment.credit_card
        if card and card.card_number is not None:
            found.append(
                Problem(
                    pointer="/payment/credit_card/card_number",
                    code="card_number_refused",
                    message="card numbers are not taken here: send card_number_token from POST /storefront/card_tokens",
                )
            )
    if order.summary:
        found += [
            _filled(f"/summary/{name}")
            for name in msgspec.structs.asdict(order.summary)
            if name not in SAID_OF_TOTALS and getattr(order.summary, name) is not None
        ]
    if order.gift_certificate:
        found += [
            _filled(f"/gift_certificate/{name}")
            for name in ("gift_certificate_amount", "gift_certificate_oid")
            if getattr(order.gift_certificate, name) is not None
        ]
    for position, line in enumerate(order.items or []):
        found += [
            _filled(f"/items/{position}/{name}") for name in LINE_FILLED_BY_SYSTEM if getattr(line, name) is not None
        ]
    return found


def _filled(pointer: str) -> Problem:
    return Problem(pointer=pointer, code="read_only", message="is computed; leave it out")


def _line_problems(order: Order, shelves: Shelves, *, by_shopper: bool) -> list[Problem]:
    if not order.items:
        return [Problem(pointer="/items", code="required", message="an order has at least one item")]
    found = _one_per_customer_problems(order, shelves)
    for position, line in enumerate(order.items):
        at = f"/items/{position}"
        item = shelves.items.get(line.merchant_item_id or "")
        if item is None or item.inactive:
            message = f"there is no item {line.merchant_item_id}" if line.merchant_item_id else "is required"
            found.append(Problem(pointer=f"{at}/merchant_item_id", code="unknown", message=message))
            continue
        if line.quantity is None:
            found.append(Problem(pointer=f"{at}/quantity", code="required", message="is required"))
        else:
            found += _quantity_problems(line.quantity, item, at)
        found += _schedule_problems(line, item, shelves.settings, at, by_shopper=by_shopper)
    return found


def rebills_by_itself(line: OrderItem, item: Item) -> bool:
    """Whether the line begins an auto order when it is paid."""
    return bool(line.auto_order_schedule or item.steps())


def sole_items(order: Order, items: Mapping[str, Item]) -> list[str]:
    """The items of the order that a customer may have once on active auto orders."""
    found = {
        line.merchant_item_id or ""
        for line in order.items or []
        if (item := items.get(line.merchant_item_id or "")) is not None
        and item.is_one_per_customer()
        and rebills_by_itself(line, item)
    }
    return sorted(found)


def has_it_already(item_id: str) -> str:
    return f"the customer has {item_id} on an auto order already; it is sold one per customer"


def _one_per_customer_problems(order: Order, shelves: Shelves) -> list[Problem]:
    """One of it, in one line, for who has none."""
    found: list[Problem] = []
    sole, seen = set(sole_items(order, shelves.items)), set(shelves.owned)
    for position, line in enumerate(order.items or []):
        item_id = line.merchant_item_id or ""
        if item_id not in sole:
            continue
        at = f"/items/{position}"
        if item_id in shelves.owned:
            message = has_it_already(item_id)
            found.append(Problem(pointer=f"{at}/merchant_item_id", code="one_per_customer", message=message))
        elif item_id in seen:
            message = f"{item_id} stands there twice; it is sold one per customer"
            found.append(Problem(pointer=f"{at}/merchant_item_id", code="one_per_customer", message=message))
        elif line.quantity is not None and line.quantity > 1:
            message = "must be 1: it is sold one per customer"
            found.append(Problem(pointer=f"{at}/quantity", code="one_per_customer", message=message))
        seen.add(item_id)
    return found


def _quantity_problems(quantity: Decimal, item: Item, at: str) -> list[Problem]:
    limits = item.restriction
    if limits is None:
        return []
    found = []
    if limits.minimum_quantity and quantity < limits.minimum_quantity:
        found.append(f"must be at least {limits.minimum_quantity}")
    if limits.maximum_quantity and quantity > limits.maximum_quantity:
        found.append(f"must be at most {limits.maximum_quantity}")
    if limits.multiple_quantity and quantity % limits.multiple_quantity:
        found.append(f"must be a multiple of {limits.multiple_quantity}")
    return [Problem(pointer=f"{at}/quantity", code="out_of_range", message=message) for message in found]


def _schedule_problems(
    line: OrderItem, item: Item, settings: AutoOrderProcessing, at: str, *, by_shopper: bool
) -> list[Problem]:
    chosen, offered = line.auto_order_schedule, item.schedules()
    pointer = f"{at}/auto_order_schedule"
    if chosen is None:
        if offered and settings.remove_none_option and by_shopper:
            allowed = ", ".join(offered)
            return [Problem(pointer=pointer, code="required", message=f"a schedule must be chosen: {allowed}")]
        return []
    if item.steps():
        return [Problem(pointer=pointer, code="conflict", message="the item has an automatic schedule; leave it out")]
    if chosen == ARBITRARY or chosen not in offered:
        allowed = ", ".join(offered) or "none: the item is not sold on a schedule"
        return [Problem(pointer=pointer, code="not_allowed_value", message=f"allowed are {allowed}")]
    return []


def _line(line: OrderItem, items: Mapping[str, Item], now: Instant) -> Line:
    item = items[line.merchant_item_id or ""]
    on_auto_order = rebills_by_itself(line, item)
    cost = item.unit_cost(now, on_auto_order=bool(line.auto_order_schedule))
    if line.arbitrary_unit_cost is not None:
        cost = Decimal(line.arbitrary_unit_cost)
    tab = item.auto_order
    return Line(
        item=item,
        quantity=line.quantity or Decimal(1),
        unit_cost=cost,
        exclude_coupon=bool(line.exclude_coupon),
        free_shipping=bool(line.free_shipping) or bool(on_auto_order and tab and tab.free_shipping_auto_order),
        tax_free=bool(line.tax_free),
        set_by_hand=line.arbitrary_unit_cost is not None,
    )


def auth_tests(order: Order, items: Mapping[str, Item]) -> AuthTests | None:
    """What the card of an order that costs nothing is tested with: the highest amounts of its items that rebill. None
    where none of them does."""
    amounts: list[Decimal] = []
    futures: list[Decimal] = []
    for line in order.items or []:
        item = items.get(line.merchant_item_id or "")
        if item is None or not (line.auto_order_schedule or item.steps()):
            continue
        tab = item.auto_order
        amounts.append((tab.auth_test_amount if tab else None) or DEFAULT_AUTH_TEST_AMOUNT)
        futures.append((tab.auth_future_amount if tab else None) or Decimal(0))
    return AuthTests(amount=max(amounts), future=max(futures) or None) if amounts else None
