"""The figures of a refund, as they are told before it, are the request for it; what is left open is reckoned."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import refunds
from chalicelib.domain.money import Currency
from chalicelib.domain.orders import Order, OrderGiftCertificate, OrderItem, OrderPayment, OrderSummary

coins = st.integers(0, 3000).map(lambda count: Decimal(count) / 100)


@st.composite
def paid_orders(draw: st.DrawFn) -> Order:
    cost, certificate, credit, money = draw(coins), draw(coins), draw(coins), draw(coins)
    total = certificate + credit + money
    return Order(
        charged=money,
        currency_code="USD",
        gift_certificate=OrderGiftCertificate(gift_certificate_amount=Currency(certificate)),
        items=[OrderItem(item_index=1, merchant_item_id="TEA", quantity=Decimal(3), cost=Currency(cost))],
        payment=OrderPayment(payment_status="Processed"),
        summary=OrderSummary(
            subtotal=Currency(cost * 3),
            tax=Currency(draw(coins)),
            internal_gift_certificate_amount=Currency(credit),
            total=Currency(total),
        ),
    )


@given(paid_orders(), st.lists(st.decimals(0, 1, places=2), min_size=1, max_size=3))
def test_what_is_told_of_a_refund_asks_for_that_refund_however_much_was_given_back_before(
    order: Order, shares: list[Decimal]
) -> None:
    for share in sorted(shares):
        total = (order.paid() * share).quantize(Decimal("0.01"))
        if total < refunds.given_back(order):
            continue
        request = Order(summary=OrderSummary(total_refunded=Currency(total)))
        wanted = refunds.asked(order, request)
        told = refunds.preview(order, wanted)
        assert told.order is not None
        assert refunds.asked(order, told.order) == wanted
        assert told.to_refund == total - refunds.given_back(order)
        assert min(told.money or 0, told.gift_certificate or 0, told.store_credit or 0) >= 0
        order = refunds.applied(order, wanted, None)
        assert refunds.is_same(order, refunds.asked(order, told.order)), "sent again it gives back nothing"


def test_a_quantity_alone_goes_back_at_its_cost_with_its_share_of_the_discount() -> None:
    lines = [("TEA", "9.50", 2), ("POT", "21.00", 1)]
    order = Order(
        currency_code="USD",
        items=[
            OrderItem(item_index=index, merchant_item_id=name, cost=Currency(cost), quantity=Decimal(quantity))
            for index, (name, cost, quantity) in enumerate(lines, 1)
        ],
        payment=OrderPayment(payment_status="Processed"),
        summary=OrderSummary(subtotal=Currency("40.00"), subtotal_discount=Currency("4.00"), total=Currency("36.00")),
    )

    def back(request: Order) -> tuple[Decimal, Decimal]:
        wanted = refunds.asked(order, refunds.proposed(order, request))
        return wanted.total, wanted.subtotal_discount_refunded

    one = OrderItem(item_index=1, quantity_refunded=Decimal(1))
    assert back(Order(items=[one])) == (Decimal("8.55"), Decimal("0.95"))
    named = OrderSummary(subtotal_discount_refunded=Currency(0))
    assert back(Order(items=[one], summary=named)) == (Decimal("9.50"), 0), "what is said is followed"
    said = OrderItem(item_index=1, quantity_refunded=Decimal(1), total_refunded=Currency("5.00"))
    assert back(Order(items=[said])) == (Decimal("4.50"), Decimal("0.50"))
    everything = [OrderItem(item_index=index, quantity_refunded=Decimal(q)) for index, (_, _, q) in enumerate(lines, 1)]
    assert back(Order(items=everything)) == (Decimal("36.00"), Decimal("4.00"))
    order = refunds.applied(order, refunds.asked(order, refunds.proposed(order, Order(items=[one]))), None)
    assert back(Order(items=[OrderItem(item_index=2, quantity_refunded=Decimal(1))])) == (
        Decimal("27.45"),
        Decimal("3.05"),
    )
    assert back(Order(summary=OrderSummary(total_refunded=Currency("20.00")))) == (20, Decimal("0.95"))
