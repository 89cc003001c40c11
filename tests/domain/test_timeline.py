"""The timeline's words: what changed, what was decided, and never a number of a card."""

from decimal import Decimal
from typing import Any

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import AutoOrder, AutoOrderItem, AutoOrderProperty
from chalicelib.domain.dates import parse_instant
from chalicelib.domain.money import Currency
from chalicelib.domain.orders import (
    Order,
    OrderBilling,
    OrderCurrentStageHistory,
    OrderItem,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderSummary,
)
from chalicelib.domain.payments import Attempt, ClosedAttempt, FrozenPlan, StoredCard
from chalicelib.domain.rebills import Reason
from chalicelib.domain.timeline import (
    MOST_CHANGES,
    MOST_REASONS,
    TimelineEntry,
    changed_entry,
    differences,
    kept_reasons,
    log_of,
    of_attempt,
    of_order,
    order_differences,
)

ZONE = "America/New_York"
NOW = parse_instant("2027-02-28T12:00:00-05:00")


def said(before: AutoOrder, after: AutoOrder) -> dict[str | None, tuple[str | None, str | None]]:
    return {change.field: (change.before, change.after) for change in differences(before, after, ZONE)}


def test_nothing_empty_and_no_are_the_same_and_zero_is_not() -> None:
    before = AutoOrder(properties=[], completed=False, cancel_reason="")
    assert said(before, AutoOrder()) == {}
    free = AutoOrderItem(auto_order_item_oid=1, arbitrary_unit_cost=Decimal(0), paused=False)
    assert said(AutoOrder(items=[AutoOrderItem(auto_order_item_oid=1)]), AutoOrder(items=[free])) == {
        "items/1/arbitrary_unit_cost": (None, "0")
    }


def test_items_are_known_by_their_oids_wherever_they_stand() -> None:
    tea = AutoOrderItem(auto_order_item_oid=1, original_item_id="TEA", original_quantity=Decimal(1))
    cup = AutoOrderItem(auto_order_item_oid=2, original_item_id="CUP")
    assert said(AutoOrder(items=[tea, cup]), AutoOrder(items=[cup, tea])) == {}
    assert said(AutoOrder(items=[tea]), AutoOrder(items=[cup])) == {"items/1": ("TEA", None), "items/2": (None, "CUP")}


def test_dates_are_told_in_the_merchants_zone_and_lists_as_they_are_written() -> None:
    after = AutoOrder(canceled_dts=NOW, properties=[AutoOrderProperty(name="a", value="b")])
    assert said(AutoOrder(), after) == {
        "canceled_dts": (None, "2027-02-28T12:00:00-05:00"),
        "properties": (None, "name a; value b"),
    }


def a_card(last_four: str) -> OrderPayment:
    stored = StoredCard(gateway="sandbox", reference="secret-reference", fingerprint="secret-fingerprint")
    return OrderPayment(
        credit_card=OrderPaymentCreditCard(
            card_type="VISA",
            card_number=f"XXXXXXXXXXXX{last_four}",
            card_expiration_month=3,
            card_expiration_year=2031,
            stored_card=stored,
        )
    )


def test_a_card_is_told_by_brand_last_four_and_date_and_nothing_of_how_it_is_charged() -> None:
    changes = order_differences(Order(payment=a_card("1111")), Order(payment=a_card("2222")), ZONE)
    (change,) = changes
    assert (change.before, change.after) == ("VISA 1111, 03/2031", "VISA 2222, 03/2031")
    assert "secret" not in wire.kept(changes)
    assert order_differences(Order(payment=a_card("1111")), Order(payment=a_card("1111")), ZONE) == []
    assert order_differences(Order(), Order(billing=OrderBilling()), ZONE) == []


def test_a_row_has_room_for_so_many_changes_and_says_how_many_more_there_are() -> None:
    before, after = AutoOrder(items=[]), AutoOrder(items=[AutoOrderItem(auto_order_item_oid=n) for n in range(1, 60)])
    entry = changed_entry("edited", NOW, "key ops", differences(before, after, ZONE))
    assert len(entry.changes or []) == MOST_CHANGES
    assert (log_of(entry).log_message or "").endswith("…") or "and 19 more" in (log_of(entry).log_message or "")
    few = changed_entry("edited", NOW, "key ops", [], message="Done", reason="because")
    assert (few.log_message, few.reason, few.changes) == ("Done (by key ops)", "because", None)


def test_reasons_that_every_visit_has_are_not_kept_and_never_more_than_twenty() -> None:
    ordinary = [Reason(code="item_due"), Reason(code="total"), Reason(code="no_tax_here", setting="taxes")]
    assert kept_reasons(ordinary) == []
    paused = [Reason(code="item_paused", params={"auto_order_item_oid": n}) for n in range(100)]
    assert len(kept_reasons(paused)) == MOST_REASONS
    assert kept_reasons([Reason(code="catching_up", setting="x")]) == [
        {"code": "catching_up", "params": {}, "setting": "x"}
    ]


def test_reasons_come_back_from_where_they_are_kept_as_explain_tells_them() -> None:
    day = {"day": NOW.date(), "cost": Decimal("1.50"), "at": NOW}
    order = Order(order_id="DEMO-1-001", creation_dts=NOW, reasons=kept_reasons([Reason(code="x", params=day)]))
    back: Any = of_order(wire.load(wire.kept(order), Order)).reasons
    assert back[0].params == {"day": "2027-02-28", "cost": Decimal("1.50"), "at": "2027-02-28T17:00:00Z"}


def an_order(stage: Any, status: Any, reference: int | None = 7, **more: Any) -> TimelineEntry:
    return of_order(
        Order(
            order_id="DEMO-1-001",
            creation_dts=NOW,
            currency_code="USD",
            run=1,
            current_stage_histories=[OrderCurrentStageHistory(after_stage=stage)],
            payment=OrderPayment(payment_status=status),
            summary=OrderSummary(total=Currency("9.50")),
            items=[OrderItem(merchant_item_id="TEA", quantity=Decimal(2), item_reference_oid=reference)],
            **more,
        )
    )


def test_an_order_is_told_by_what_it_was_made_for() -> None:
    billed = an_order("Shipping Department", "Processed")
    assert (billed.kind, billed.log_message) == ("billed", "Billed 9.50 USD as DEMO-1-001: 2 x TEA")
    assert "learnt of late" in (an_order("Shipping Department", "Processed", late=True).log_message or "")
    waits = an_order("Accounts Receivable", "Declined")
    assert (waits.kind, (waits.log_message or "")[:28]) == ("receivable", "Handed to Accounts Receivabl")
    assert "paid since" in (an_order("Accounts Receivable", "Processed").log_message or "")
    assert an_order("Shipping Department", "Processed", None).kind == "cancel_item"


def test_an_attempt_is_told_with_what_became_of_it() -> None:
    plan = FrozenPlan(lines=[], subtotal=Decimal("9.50"), total=Decimal("9.50"), currency="USD")
    attempt = Attempt(
        kind="rebill",
        key="k",
        owner="o",
        gateway="sandbox",
        run=3,
        round=0,
        tries=1,
        revision=0,
        claimed_dts=NOW,
        first_sent_dts=NOW,
        card=None,
        plan=plan,
    )
    for outcome, kind in (
        ("declined", "declined"),
        ("not_sent", "not_sent"),
        ("not_charged", "not_charged"),
        ("late_refunded", "given_back"),
    ):
        row = ClosedAttempt(attempt=attempt, closed_dts=NOW, outcome=outcome, reason="why", hard=True)  # type: ignore[arg-type]
        entry = of_attempt(row)
        assert (entry.kind, entry.run, entry.reason, entry.total) == (kind, 3, "why", Decimal("9.50"))
        assert "not charged again" in (entry.log_message or "")
