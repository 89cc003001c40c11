"""Orders that the system makes: the rebill's order from its frozen plan, and what a payment leaves on an order."""

from decimal import Decimal

from msgspec.structs import replace

from chalicelib.domain.auto_orders import add_ons_at
from chalicelib.domain.dates import Instant
from chalicelib.domain.items import Item, Weight
from chalicelib.domain.money import ZERO, Currency, quantise, total_of
from chalicelib.domain.orders import (
    Order,
    OrderAffiliate,
    OrderAutoOrder,
    OrderCheckout,
    OrderCoupon,
    OrderCurrentStageHistory,
    OrderItem,
    OrderItemOption,
    OrderItemProperty,
    OrderMarketing,
    OrderPayment,
    OrderPaymentTransaction,
    OrderPaymentTransactionDetail,
    OrderShipping,
    OrderSummary,
    OrderTaxes,
    Stage,
)
from chalicelib.domain.payments import Approved, Attempt, FrozenPlan, PlanLine
from chalicelib.domain.rebills import Facts, rebill_order_id

UNPAID_STAGE: Stage = "Accounts Receivable"
FAILED_STAGE: Stage = "Rejected"
PAID_STAGE: Stage = "Shipping Department"
# Transactions that stay on an order; older declines are in its attempt rows.
MAXIMUM_TRANSACTIONS = 50
# A gateway's code of a decline is a few characters; what is longer is no code.
LONGEST_CODE = 50
# What an answer of the gateway may at most add to an order: nothing is charged that could not be written down after.
LONGEST_APPROVAL = Approved(transaction_id="x" * 1024, amount=ZERO, currency_code="USD")


def rebill_order(facts: Facts, attempt: Attempt, approved: Approved | None, now: Instant, *, late: bool) -> Order:
    """The order of a paid run: money from the frozen plan, addresses from the original order, words from the
    catalogue. ``approved`` is None where it cost nothing."""
    made = _run_order(facts, attempt.plan, attempt.run, PAID_STAGE, now)
    made.payment = paid(replace(facts.original.payment or OrderPayment(), transactions=None), attempt, approved, now)
    made.charge_key = attempt.key
    made.late = late or None
    return with_what_paid(made, attempt)


def receivable_order(facts: Facts, plan: FrozenPlan, run: int, reason: str, now: Instant) -> Order:
    """The unpaid order that a run becomes which failed for good: in Accounts Receivable, with what the bank said."""
    made = _run_order(facts, plan, run, UNPAID_STAGE, now)
    said = OrderPaymentTransaction(
        transaction_id=run, transaction_timestamp=now, details=_details(("Reason", reason or "declined"))
    )
    payment = replace(facts.original.payment or OrderPayment(), payment_dts=None, transactions=[said])
    made.payment = replace(payment, payment_status="Declined")
    return made


def _run_order(facts: Facts, plan: FrozenPlan, run: int, stage: Stage, now: Instant) -> Order:
    original, auto_order = facts.original, facts.auto_order
    return Order(
        merchant_id=original.merchant_id,
        order_id=rebill_order_id(auto_order.original_order_id or "", run),
        creation_dts=now,
        current_stage=stage,
        current_stage_histories=[OrderCurrentStageHistory(after_stage=stage, transition_dts=now)],
        currency_code=plan.currency,
        language_iso_code=original.language_iso_code,
        billing=original.billing,
        shipping=_ship_to(original.shipping, plan),
        checkout=_checkout(facts),
        marketing=marketing(facts),
        affiliates=credited(facts),
        items=[_rebill_item(facts, line, index + 1, plan.currency) for index, line in enumerate(plan.lines)],
        coupons=[OrderCoupon(coupon_code=code, base_coupon_code=code) for code in plan.coupons] or None,
        summary=summary(plan),
        taxes=OrderTaxes(tax_rate=plan.tax_rate, tax_shipping=plan.tax_shipping) if plan.tax_rate else None,
        auto_order=OrderAutoOrder(
            auto_order_oid=auto_order.auto_order_oid,
            auto_order_code=auto_order.auto_order_code,
            original_order_id=auto_order.original_order_id,
        ),
        auto_order_oid=auto_order.auto_order_oid,
        customer_profile_oid=original.customer_profile_oid,
        run=run,
        store_credit_oid=next((spend.oid for spend in plan.spends if not spend.code), None),
    )


def took(attempt: Attempt) -> Decimal:
    """What the gateway took where the attempt was approved."""
    return ZERO if attempt.is_free() or attempt.kind == "auth_test" else attempt.asked()


def with_what_paid(order: Order, attempt: Attempt) -> Order:
    """The paid order with what paid for it: gift certificate, store credit, and what the gateway took. An order that
    says so already keeps it: only its money is paid once more."""
    if order.charged is not None:
        return order
    plan, block, money = attempt.plan, order.gift_certificate, took(attempt)
    named = next((spend for spend in plan.spends if spend.code), None)
    own = next((spend for spend in plan.spends if not spend.code), None)
    return replace(
        order,
        gift_certificate=replace(block, gift_certificate_amount=Currency(named.amount if named else ZERO))
        if block
        else None,
        summary=replace(
            order.summary or OrderSummary(), internal_gift_certificate_amount=Currency(own.amount) if own else None
        ),
        charged=Currency(money) if money != plan.total else None,
    )


def _rebill_item(facts: Facts, line: PlanLine, index: int, currency: str) -> OrderItem:
    """A line with what the auto order says about it; an add-on is no item of the auto order and refers to none."""
    made = order_item_of(line, facts.items.get(line.item_id), index, currency)
    if line.add_on:
        made.item_reference_oid = None
        add_ons = add_ons_at(facts.auto_order, line.oid)
        options = next((add_on.options for add_on in add_ons if add_on.item_id == line.item_id), None)
        made.options = [OrderItemOption(label=o.label, value=o.value) for o in options or []] or None
        return made
    entry = next((e for e in facts.auto_order.items or [] if e.auto_order_item_oid == line.oid), None)
    if entry is not None:
        made.options = [OrderItemOption(label=o.label, value=o.value) for o in entry.options or []] or None
        made.properties = [OrderItemProperty(name=p.name, value=p.value) for p in entry.properties or []] or None
    return made


def order_item_of(line: PlanLine, item: Item | None, index: int, currency: str) -> OrderItem:
    """An order's line: money from the plan, words and weight from the catalogue."""
    left = quantise(line.unit_cost * line.quantity, currency) - line.discount
    weight = item.physical.weight if item and item.physical else None
    return OrderItem(
        item_index=index,
        item_reference_oid=line.oid or None,
        merchant_item_id=line.item_id,
        description=item.description if item else None,
        quantity=line.quantity,
        cost=Currency(line.unit_cost),
        discount=Currency(line.discount) if line.discount else None,
        total_cost_with_discount=Currency(left),
        unit_cost_with_discount=Currency(quantise(left / line.quantity, currency)),
        weight=Weight(uom=weight.uom, value=weight.value) if weight else None,
    )


def summary(plan: FrozenPlan) -> OrderSummary:
    own = total_of(spend.amount for spend in plan.spends if not spend.code)
    return OrderSummary(
        subtotal=Currency(plan.subtotal),
        subtotal_discount=Currency(plan.discount),
        shipping_handling_total=Currency(plan.shipping),
        shipping_handling_total_discount=Currency(plan.shipping_discount),
        taxable_subtotal=Currency(plan.taxable),
        tax=Currency(plan.tax),
        internal_gift_certificate_amount=Currency(own) if own else None,
        total=Currency(plan.total),
    )


def paid(payment: OrderPayment | None, attempt: Attempt, approved: Approved | None, now: Instant) -> OrderPayment:
    """The payment block after an approval, with its transaction on top."""
    return replace(
        payment or OrderPayment(),
        payment_status="Processed",
        payment_dts=now,
        transactions=_with(payment, transaction(attempt, approved, now)) if approved else None,
    )


def refused(payment: OrderPayment | None, attempt: Attempt, reason: str, code: str, now: Instant) -> OrderPayment:
    """The payment block after a decline."""
    return replace(
        payment or OrderPayment(),
        payment_status="Declined",
        transactions=_with(payment, declined_transaction(attempt, reason, code, now)),
    )


def _with(payment: OrderPayment | None, one: OrderPaymentTransaction) -> list[OrderPaymentTransaction]:
    before = (payment.transactions or []) if payment else []
    return [one, *before][:MAXIMUM_TRANSACTIONS]


def transaction(attempt: Attempt, approved: Approved, now: Instant) -> OrderPaymentTransaction:
    return OrderPaymentTransaction(
        transaction_id=_number(attempt.key),
        transaction_gateway=attempt.gateway,
        transaction_timestamp=now,
        successful=True,
        details=_details(
            ("Transaction Id", approved.transaction_id),
            ("Amount", str(approved.amount)),
            ("Reference", attempt.key),
        ),
    )


def declined_transaction(attempt: Attempt, reason: str, code: str, now: Instant) -> OrderPaymentTransaction:
    return OrderPaymentTransaction(
        transaction_id=_number(attempt.key),
        transaction_gateway=attempt.gateway,
        transaction_timestamp=now,
        details=_details(("Reason", reason), ("Code", code[:LONGEST_CODE]), ("Reference", attempt.key)),
    )


def refunded(
    payment: OrderPayment | None, attempt: Attempt, approved: Approved, by_user: str, now: Instant
) -> OrderPayment:
    """The payment block after a refund (the contract's names for its details)."""
    one = OrderPaymentTransaction(
        transaction_id=_number(attempt.key),
        transaction_gateway=attempt.gateway or None,
        transaction_timestamp=now,
        successful=True,
        details=_details(
            ("UC Refund Amount", str(attempt.asked())),
            ("UC Refund By User", by_user),
            ("UC Refund Date/Time", str(now)),
            ("Transaction Id", approved.transaction_id),
            ("Reference", attempt.key),
        ),
    )
    return replace(payment or OrderPayment(), transactions=_with(payment, one))


def came_back(order: Order, key: str, code: str, reason: str, now: Instant, *, stage: Stage) -> Order:
    """The order after the debit that had paid for it, under that key, came back: unpaid again."""
    payment = order.payment or OrderPayment()
    one = OrderPaymentTransaction(
        transaction_id=_number(key),
        transaction_gateway=gateway_of(order),
        transaction_timestamp=now,
        successful=False,
        details=_details(("Reason", reason), ("Return Code", code[:LONGEST_CODE]), ("Reference", key)),
    )
    history = OrderCurrentStageHistory(before_stage=order.current_stage, after_stage=stage, transition_dts=now)
    return replace(
        order,
        payment=replace(payment, payment_status="Declined", payment_dts=None, transactions=_with(payment, one)),
        current_stage=stage,
        current_stage_histories=[*(order.current_stage_histories or []), history],
        reject_dts=now if stage == FAILED_STAGE else order.reject_dts,
        returned=[*(order.returned or []), key],
    )


def stage_when_paid(order: Order) -> Stage:
    """Where a paid order goes: an order whose debit came back goes back to where it was, for it may be on its way to
    the customer, or there."""
    if order.returned:
        for history in reversed(order.current_stage_histories or []):
            if history.after_stage == order.current_stage and history.before_stage is not None:
                return history.before_stage
    return PAID_STAGE


def paid_with(order: Order, key: str) -> bool:
    """Whether the charge under that key pays for the order, or did until it came back."""
    return key == order.charge_key or key in (order.returned or [])


def settled_debits(order: Order) -> list[Instant]:
    """When the debits were settled that paid for the order, also those that came back."""
    keys = {order.charge_key, *(order.returned or [])} - {None}
    return [
        one.transaction_timestamp
        for one in (order.payment.transactions or [] if order.payment else [])
        if one.successful and one.transaction_timestamp and any(d.value in keys for d in one.details or [])
    ]


def paid_transition(order: Order) -> str:
    """What a payment of the order is called in its event: the first one, and each after a debit that came back."""
    return f"paid#{len(order.returned)}" if order.returned else "paid"


def names(order: Order, key: str) -> bool:
    """Whether a transaction of the order was made under that key."""
    return any(
        detail.name == "Reference" and detail.value == key
        for one in (order.payment.transactions or [] if order.payment else [])
        for detail in one.details or []
    )


def gateway_of(order: Order) -> str | None:
    """The gateway account that took the order's payment."""
    for one in order.payment.transactions or [] if order.payment else []:
        if one.successful and any(d.name == "Reference" and d.value == order.charge_key for d in one.details or []):
            return one.transaction_gateway
    return None


def _details(*pairs: tuple[str, str]) -> list[OrderPaymentTransactionDetail]:
    return [OrderPaymentTransactionDetail(name=name, value=value[:1024]) for name, value in pairs if value]


def _number(key: str) -> int:
    """A whole number for the contract's ``transaction_id``, the same for the same attempt."""
    return int(key[-7:], 16) + 1


def _ship_to(shipping: OrderShipping | None, plan: FrozenPlan) -> OrderShipping | None:
    if shipping is None:
        return None
    return replace(
        shipping,
        shipping_method=plan.shipping_method or shipping.shipping_method,
        tracking_numbers=None,
        shipping_date=None,
    )


def _checkout(facts: Facts) -> OrderCheckout | None:
    """Custom fields travel to the rebills where the merchant has them travel."""
    checkout = facts.original.checkout
    if checkout is None or not facts.settings.propagate_custom_fields:
        return None
    names = [f"custom_field{number}" for number in range(1, 11)]
    return OrderCheckout(**{name: getattr(checkout, name) for name in names})


def marketing(facts: Facts) -> OrderMarketing | None:
    """What the customer said of mailings when he ordered first travels to the rebills, so that what listens to them may
    enrol him; the merchant's setting leaves it out. Where the order came from is not said again: it counts once."""
    said = facts.original.marketing
    if said is None or facts.settings.skip_third_party_marketing_emails:
        return None
    if said.mailing_list is None and said.cell_phone_opt_in is None:
        return None
    return OrderMarketing(mailing_list=said.mailing_list, cell_phone_opt_in=said.cell_phone_opt_in)


def credited(facts: Facts) -> list[OrderAffiliate] | None:
    """Who is credited for a rebill: the one that the merchant has named on the auto order, else those of the original
    order."""
    override = facts.auto_order.override_affiliate_id
    return facts.original.affiliates if override is None else [OrderAffiliate(affiliate_oid=override)]


def plan_of(order: Order) -> FrozenPlan:
    """The frozen plan of an order that stands: what it was priced at when it was placed."""
    totals = order.summary or OrderSummary()
    lines = [
        PlanLine(
            item_id=line.merchant_item_id or "",
            quantity=line.quantity or Decimal(1),
            unit_cost=Decimal(line.cost or 0),
            discount=Decimal(line.discount or 0),
        )
        for line in order.items or []
    ]
    return FrozenPlan(
        lines=lines,
        subtotal=Decimal(totals.subtotal or 0),
        discount=Decimal(totals.subtotal_discount or 0),
        shipping=Decimal(totals.shipping_handling_total or 0),
        shipping_discount=Decimal(totals.shipping_handling_total_discount or 0),
        tax=Decimal(totals.tax or 0),
        total=Decimal(totals.total or 0),
        currency=order.currency_code or "USD",
        coupons=[coupon.coupon_code or "" for coupon in order.coupons or []],
    )
