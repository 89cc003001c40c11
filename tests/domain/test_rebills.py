"""What is billed when: the window, the plan, the settling, and that no series of events bills a date twice."""

import itertools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args
from zoneinfo import available_timezones

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from chalicelib.domain import rebills, wire
from chalicelib.domain.auto_orders import AutoOrder, AutoOrderItem, assembled, edited
from chalicelib.domain.dates import Instant, instant, later, local_date, local_time, midnight, parse_instant, zone
from chalicelib.domain.errors import Invalid
from chalicelib.domain.heads import Head, ItemProgress, State, claimed
from chalicelib.domain.items import Item, ItemAutoOrder, ItemAutoOrderStep, ItemPricing
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.orders import Order, OrderPayment, OrderPaymentCreditCard, OrderShipping
from chalicelib.domain.payments import (
    ActionNeeded,
    Approved,
    Attempt,
    Declined,
    FrozenPlan,
    NotSent,
    PlanLine,
    StoredCard,
    attempt_key,
)
from chalicelib.domain.rebills import (
    CloseRun,
    Facts,
    Fail,
    Go,
    Hold,
    Look,
    Postpone,
    Remind,
    Resolve,
    due_items,
    next_look,
    plan,
    settle,
    window_opening,
)
from chalicelib.domain.schedule import Frequency
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.shipping import ShippingSettings
from chalicelib.domain.taxes import TaxSettings
from chalicelib.stores import heads
from chalicelib.stores.port import Record
from chalicelib.stores.units import record_bytes

NEW_YORK = "America/New_York"
NOW = parse_instant("2027-02-28T05:00:00Z")
CARD = StoredCard(gateway="sandbox", reference="sandbox_approve_f4a0f3791154", fingerprint="f4a0" * 8)
WHOLE_DAY = AutoOrderProcessing()


# --- the processing window -------------------------------------------------------------------------------------------

ZONES = sorted(available_timezones())
# Where clocks change at odd hours, by odd amounts, or at midnight.
ODD_ZONES = [
    "Africa/Cairo",
    "America/Havana",
    "America/Nuuk",
    "America/Santiago",
    "America/Sao_Paulo",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
]
HOURS = st.integers(0, 24 * 4 - 1).map(lambda quarter: f"{quarter // 4:02d}:{quarter % 4 * 15:02d}")


@st.composite
def windows(draw: st.DrawFn) -> AutoOrderProcessing:
    """At least four hours long; may cross midnight."""
    start = draw(st.integers(0, 24 * 4 - 1))
    end = (start + draw(st.integers(4 * 4, 24 * 4))) % (24 * 4)
    text = [f"{quarter // 4:02d}:{quarter % 4 * 15:02d}" for quarter in (start, end)]
    return AutoOrderProcessing(window_start=text[0], window_end=text[1])


def is_open(moment: Instant, window: AutoOrderProcessing, zone_name: str) -> bool:
    start, end = window.window()
    clock = local_time(moment, zone_name)
    if start == end:
        return True
    return start <= clock < end if start < end else clock >= start or clock < end


def check_opening(moment: Instant, window: AutoOrderProcessing, zone_name: str) -> None:
    opening = window_opening(moment, window, zone_name)
    assert opening >= moment
    assert is_open(opening, window, zone_name)
    assert (opening == moment) == is_open(moment, window, zone_name)
    assert opening - moment <= timedelta(hours=26)
    between = moment
    while between < opening and _offset(moment, zone_name) == _offset(opening, zone_name):
        assert not is_open(between, window, zone_name), "an open window was passed over"
        between = later(between, minutes=15)
    assert window_opening(opening, window, zone_name) == opening


MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2036, 12, 31), timezones=st.just(UTC)).map(instant)  # noqa: DTZ001


@settings(max_examples=300, deadline=None)
@given(MOMENTS, windows(), st.sampled_from(ZONES))
def test_a_window_opens_at_or_after_the_moment_and_is_open_then(
    moment: Instant, window: AutoOrderProcessing, zone_name: str
) -> None:
    check_opening(moment, window, zone_name)


def changes_of_clocks(zone_name: str, first: int, last: int) -> list[Instant]:
    """The moments at which the zone's clocks jump."""
    found = []
    step, moment = timedelta(days=1), instant(datetime(first, 1, 1, tzinfo=UTC))
    while moment.year <= last:
        before, after = _offset(moment, zone_name), _offset(instant(moment + step), zone_name)
        if before != after:
            low, high = moment, instant(moment + step)
            while high - low > timedelta(seconds=1):
                middle = instant(low + (high - low) / 2)
                low, high = (middle, high) if _offset(middle, zone_name) == before else (low, middle)
            found.append(high)
        moment = instant(moment + step)
    return found


def _offset(moment: Instant, zone_name: str) -> Any:
    return moment.astimezone(zone(zone_name)).utcoffset()


@pytest.mark.parametrize("zone_name", [NEW_YORK, "Europe/Berlin", *ODD_ZONES])
def test_around_every_change_of_the_clocks_the_window_opens_when_it_says(zone_name: str) -> None:
    table = ["00:00-05:00", "00:30-06:00", "01:30-06:00", "02:30-09:00", "09:00-17:00", "22:00-02:30", "20:00-01:30"]
    for change in changes_of_clocks(zone_name, 2026, 2028):
        for hours in table:
            start, end = hours.split("-")
            window = AutoOrderProcessing(window_start=start, window_end=end)
            for minutes in range(-180, 181, 20):
                check_opening(instant(change + timedelta(minutes=minutes)), window, zone_name)


def test_a_blank_window_is_the_whole_day_and_one_of_the_same_hour_too() -> None:
    for window in (WHOLE_DAY, AutoOrderProcessing(window_start="09:00"), AutoOrderProcessing(window_end="00:00")):
        assert window_opening(NOW, window, NEW_YORK) == NOW


def test_where_the_clocks_are_set_back_the_window_opens_a_second_time() -> None:
    window = AutoOrderProcessing(window_start="01:30", window_end="06:00")
    second = parse_instant("2027-11-07T01:10:00-05:00")
    assert window_opening(second, window, NEW_YORK) == parse_instant("2027-11-07T01:30:00-05:00")


# --- the plan --------------------------------------------------------------------------------------------------------


def step(schedule: Any = "Monthly", times: int | None = None, **more: Any) -> ItemAutoOrderStep:
    return ItemAutoOrderStep(
        type="item", recurring_merchant_item_id="TEA", schedule=schedule, repeat_count=times, **more
    )


def item(item_id: str, *steps: ItemAutoOrderStep, cost: str = "10") -> Item:
    tab = ItemAutoOrder(auto_order_upsell=True, steps=list(steps)) if steps else None
    return Item(merchant_item_id=item_id, pricing=ItemPricing(cost=Decimal(cost)), auto_order=tab)


def row(oid: int = 1, of: str = "COFFEE", frequency: Any = "Monthly", **more: Any) -> AutoOrderItem:
    return AutoOrderItem(
        auto_order_item_oid=oid, original_item_id=of, original_quantity=Decimal(1), frequency=frequency, **more
    )


STATE_FIELDS = set(State.__struct_fields__) - {"items"}


def facts(*rows: AutoOrderItem, progress: dict[str, ItemProgress] | None = None, **more: Any) -> Facts:
    """Coffee of 31 January, monthly, whose first rebill is due now; ``more`` is of the head, or says other facts."""
    entries = list(rows) or [row()]
    began = date(2027, 1, 31)
    standing = {str(e.auto_order_item_oid): ItemProgress(anchor=began, billed_day=began) for e in entries}
    head_fields = {name: more.pop(name) for name in list(more) if name in Head.__struct_fields__}
    state = {name: more.pop(name) for name in list(more) if name in STATE_FIELDS}
    head = replace(Head(status="active", state=State(items=standing | (progress or {}), **state)), **head_fields)
    original = Order(
        order_id="DEMO-1",
        currency_code="USD",
        payment=OrderPayment(
            credit_card=OrderPaymentCreditCard(
                card_type="VISA", card_expiration_month=12, card_expiration_year=2030, stored_card=CARD
            )
        ),
        shipping=OrderShipping(country_code="US"),
    )
    fields: dict[str, Any] = {
        "merchant": Merchant(time_zone=NEW_YORK),
        "settings": AutoOrderProcessing(),
        "shipping": ShippingSettings(),
        "taxes": TaxSettings(),
        "auto_order": AutoOrder(auto_order_oid=5, original_order_id="DEMO-1", items=entries),
        "head": head,
        "original": original,
        "items": {"COFFEE": item("COFFEE"), "TEA": item("TEA")},
        "coupons": [],
    }
    return Facts(**fields | more)


def attempt_of(of: Facts, now: Instant = NOW) -> Attempt:
    """The attempt that the plan claims now."""
    decision = plan(of, now).decision
    assert isinstance(decision, Go), decision
    head = of.head
    tries = head.tries + 1
    return Attempt(
        kind="rebill",
        key=attempt_key("DEMO", "auto_order#5", head.run, head.round, tries, "sandbox"),
        owner=f"owner-{head.fence}",
        gateway=decision.card.gateway if decision.card else "",
        run=head.run,
        round=head.round,
        tries=tries,
        revision=head.revision,
        claimed_dts=now,
        first_sent_dts=now,
        card=decision.card,
        plan=decision.plan,
    )


def codes(of: Facts, now: Instant = NOW, **how: Any) -> list[str]:
    return [reason.code for reason in plan(of, now, **how).reasons]


BILLED_TODAY: dict[str, Any] = {"last_run_date": date(2027, 2, 28)}
DECLINED: dict[str, Any] = {"round": 1, "next_attempt": parse_instant("2027-03-03T05:00:00Z"), "failure_reason": "no"}


@pytest.mark.parametrize(
    ("of", "decision", "reason"),
    [
        (facts(), Go, "item_due"),
        (facts(status="canceled"), Look, "not_active"),
        (facts(status="disabled"), Look, "not_active"),
        (facts(status="merged"), Look, "not_active"),
        (facts(row(paused=True)), Look, "item_paused"),
        (facts(**DECLINED), Look, "retry_later"),
        (facts(row(paused=True), round=1), CloseRun, "run_lost_its_items"),
        (facts(settings=AutoOrderProcessing(window_start="09:00", window_end="17:00")), Look, "window_closed"),
        (facts(**BILLED_TODAY), Look, "one_order_a_day"),
        (facts(settings=AutoOrderProcessing(do_not_bill_prior_missed_shipments=True), **BILLED_TODAY), Go, "item_due"),
        (facts(items={}), Hold, "item_unavailable"),
        (facts(row(frequency=None), items={}), Hold, "item_unavailable"),
        (facts(items={"COFFEE": replace(item("COFFEE"), inactive=True)}), Hold, "item_unavailable"),
        (facts(items={"COFFEE": item("COFFEE", cost="0")}), Go, "nothing_to_charge"),
        (facts(original=Order(order_id="DEMO-1")), Fail, "no_card"),
        (facts(refused_card=CARD.fingerprint), Fail, "card_refused"),
        (facts(settings=AutoOrderProcessing(restrict_visa=True)), Fail, "card_type_restricted"),
        (facts(settings=AutoOrderProcessing(prohibit_credit_cards_that_expire_in_months=60)), Fail, "card_expires"),
        (facts(row(no_order_after_dts=parse_instant("2027-02-27T00:00:00Z"))), Look, "item_ended"),
        (facts(row(frequency="Every 2 Months")), Look, "item_not_due"),
    ],
)
def test_what_is_decided_and_why(of: Facts, decision: type[Any], reason: str) -> None:
    planned = plan(of, NOW)
    assert isinstance(planned.decision, decision)
    assert reason in [one.code for one in planned.reasons]
    if isinstance(planned.decision, Look) and of.head.status == "active":
        assert planned.decision.at is not None
        assert planned.decision.at > NOW, "looked at again and again"


def test_an_open_attempt_comes_before_everything_else() -> None:
    of = facts()
    open_ = replace(of, head=claimed(of.head, attempt_of(of), NOW))
    for status in ("active", "canceled", "disabled"):
        standing = replace(open_, head=replace(open_.head, status=status))
        assert isinstance(plan(standing, NOW).decision, Resolve)
        assert isinstance(plan(standing, NOW, by_hand=True).decision, Resolve)


@pytest.mark.parametrize(
    ("of", "decision"),
    [
        (facts(settings=AutoOrderProcessing(window_start="09:00", window_end="17:00")), Go),
        (facts(**DECLINED), Go),
        (facts(status="disabled", failed=True, failure_reason="no"), Go),
        (facts(status="disabled", failure_reason="no"), Look),
        (facts(status="canceled", failed=True), Look),
        (facts(row(frequency="Every 2 Months")), Look),
        (facts(refused_card=CARD.fingerprint), Fail),
    ],
    ids=[
        "the window does not hold it",
        "nor does the retry date",
        "what declines disabled is billed",
        "what somebody disabled is not",
        "nor what was canceled",
        "nor what is not due",
        "nor a card that was refused for good",
    ],
)
def test_an_attempt_by_hand(of: Facts, decision: type[Any]) -> None:
    assert isinstance(plan(of, NOW, by_hand=True).decision, decision)


def weekly(behind: int, **more: Any) -> Facts:
    """Weekly coffee of which so many rebills are due."""
    began = date(2027, 2, 28) - timedelta(weeks=behind)
    return facts(row(frequency="Weekly"), progress={"1": ItemProgress(anchor=began, billed_day=began)}, **more)


@pytest.mark.parametrize("behind", [1, 2, 5, 600])
def test_missed_shipments_are_passed_over_or_billed_oldest_first(behind: int) -> None:
    skipping = weekly(behind, settings=AutoOrderProcessing(do_not_bill_prior_missed_shipments=True))
    line = attempt_of(skipping).plan.lines[0]
    assert (line.occurrence, line.skipped) == (behind, behind - 1)
    line = attempt_of(weekly(behind)).plan.lines[0]
    assert (line.occurrence, line.skipped) == (1, 0)


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("behind", [1, 3])
def test_catching_up_bills_each_occurrence_once_and_then_waits_for_the_next(behind: int, skips: bool) -> None:
    of = weekly(behind, settings=AutoOrderProcessing(do_not_bill_prior_missed_shipments=skips))
    now, billed = NOW, []
    for _ in range(12):
        decision = plan(of, now).decision
        if isinstance(decision, Go):
            attempt = attempt_of(of, now)
            billed += [(attempt.plan.lines[0].occurrence, local_date(now, NEW_YORK))]
            of = replace(of, head=settle(of, attempt, approval(attempt), now).head)
            now = later(now, minutes=5)
        else:
            assert isinstance(decision, Look)
            assert decision.at is not None
            if decision.at > later(NOW, days=8):
                break
            now = decision.at
    days = [day for _, day in billed]
    assert len(days) == len(set(days)), "two orders on one local day"
    assert [number for number, _ in billed] == ([behind, behind + 1] if skips else list(range(1, behind + 2)))


def test_the_next_look_of_what_is_active_is_never_nothing() -> None:
    for of in (facts(row(paused=True)), facts(row(frequency=None)), facts(row(frequency=None), items={})):
        moment = next_look(of, of.head, NOW)
        assert moment is not None
        assert timedelta() < moment - NOW <= timedelta(days=rebills.IDLE_DAYS)
    assert next_look(facts(status="canceled"), facts(status="canceled").head, NOW) is None


def test_a_notice_is_due_so_many_days_ahead_and_once() -> None:
    of = facts(row(of="BOX", frequency=None), items={"BOX": item("BOX", step(preshipment_notice_days=5))})
    day = parse_instant("2027-02-23T05:00:00Z")
    assert isinstance(plan(of, later(day, seconds=-1)).decision, Look)
    reminder = plan(of, day).decision
    assert isinstance(reminder, Remind)
    assert (reminder.noticed, reminder.day) == ({"1": 1}, date(2027, 2, 28))
    after = replace(of, head=rebills.reminded(of, reminder, day))
    assert isinstance(plan(after, day).decision, Look)
    assert after.head.fence == of.head.fence + 1, "a claim that was thought out before is refused"


# --- settling --------------------------------------------------------------------------------------------------------


def approval(attempt: Attempt) -> Approved:
    return Approved(transaction_id="t", amount=attempt.plan.total, currency_code=attempt.plan.currency)


def settled(of: Facts, outcome: Any, now: Instant = NOW, **since: Any) -> rebills.Settled:
    """Claimed now and settled so; ``since`` is what became of the head meanwhile."""
    attempt = attempt_of(of)
    head = replace(claimed(of.head, attempt, NOW), **since)
    return settle(replace(of, head=head), attempt, approval(attempt) if outcome is Approved else outcome, now)


SOFT = Declined(code="05", reason="no")
HARD = Declined(code="41", reason="lost", hard=True)
LINK = ActionNeeded(reason="see you", url="https://bank.example")


@pytest.mark.parametrize("outcome", [Approved, SOFT, HARD, LINK, NotSent(reason="down"), None])
def test_every_outcome_closes_the_attempt_and_leaves_what_was_read_as_it_was(outcome: Any) -> None:
    of = facts()
    before = wire.kept(of)
    after = settled(of, outcome).head
    assert (after.attempt, after.lease_until) == (None, None)
    assert wire.kept(of) == before, "settling thinks, it does not write"
    assert (after.due_dts is not None) == (after.status == "active")


def test_counters_change_once_for_each_paid_run_and_for_nothing_else() -> None:
    of = facts(
        row(arbitrary_unit_cost=Decimal(10)),
        row(2, "TEA"),
        progress={"1": ItemProgress(anchor=date(2027, 1, 31), unit_cost_remaining=2)},
    )
    for outcome in (SOFT, HARD, LINK, NotSent(reason="down"), None):
        assert settled(of, outcome).head.state.items == of.head.state.items
        assert settled(of, outcome).head.run == 1
    paid = settled(of, Approved).head
    assert (paid.run, paid.round, paid.tries) == (2, 0, 0)
    assert [paid.state.items[key].number_of_rebills for key in "12"] == [1, 1]
    assert [paid.state.items[key].billed for key in "12"] == [1, 1]
    assert [paid.state.items[key].rebill_value for key in "12"] == [Decimal(10), Decimal(10)]
    assert paid.state.items["1"].unit_cost_remaining == 1
    assert (paid.state.last_run_date, paid.state.last_order_dts) == (date(2027, 2, 28), NOW)


@pytest.mark.parametrize("retries", [1, 2, 3, 15])
def test_declines_come_so_many_rounds_so_many_days_apart_and_then_it_is_disabled(retries: int) -> None:
    of = facts(settings=AutoOrderProcessing(number_of_retries=retries, delay_between_retries_days=2))
    now = NOW
    for number in range(1, retries + 1):
        attempt = attempt_of(of, now)
        done = settle(replace(of, head=claimed(of.head, attempt, now)), attempt, SOFT, now)
        head = done.head
        assert (head.round, head.tries, head.run) == (number, number, 1)
        assert (head.status == "disabled", done.disabled, head.state.failed) == (number == retries,) * 3
        if number < retries:
            assert head.state.next_attempt is not None
            assert local_date(head.state.next_attempt, NEW_YORK) == local_date(now, NEW_YORK) + timedelta(days=2)
            assert isinstance(plan(replace(of, head=head), later(head.state.next_attempt, seconds=-1)).decision, Look)
            now = head.state.next_attempt
        of = replace(of, head=head)
    assert of.head.due_dts is None


def test_a_hard_decline_ends_the_rounds_and_remembers_the_card() -> None:
    done = settled(facts(), HARD)
    assert (done.head.status, done.disabled, done.head.state.refused_card) == ("disabled", True, CARD.fingerprint)
    again = facts(state=replace(done.head.state))
    assert isinstance(plan(again, NOW).decision, Fail)
    assert settled(facts(), SOFT).head.state.refused_card is None


def test_the_banks_words_stay_short_in_the_head() -> None:
    assert len(settled(facts(), Declined(code="05", reason="x" * 5000)).head.state.failure_reason or "") == 200


@pytest.mark.parametrize("status", ["canceled", "disabled"])
@pytest.mark.parametrize("outcome", [Approved, SOFT, NotSent(reason="down"), None])
def test_what_was_ended_meanwhile_stays_ended_whatever_the_outcome(status: Any, outcome: Any) -> None:
    """Also where a decline had been before: only what declines disabled is enabled by a payment."""
    of = facts(round=1, failure_reason="no")
    done = settled(of, outcome, status=status)
    assert (done.head.status, done.head.due_dts, done.late) == (status, None, outcome is Approved)


def test_a_payment_enables_what_declines_had_disabled() -> None:
    done = settled(facts(), Approved, status="disabled", state=replace(facts().head.state, failed=True))
    assert (done.head.status, done.head.state.failed, done.late) == ("active", False, False)
    assert done.head.due_dts is not None


def test_cancel_after_next_x_orders_counts_paid_runs_down_and_cancels_at_none() -> None:
    of = facts(cancel_after_next_x_orders=2)
    assert settled(of, SOFT).head.state.cancel_after_next_x_orders == 2
    first = settled(of, Approved)
    assert (first.head.state.cancel_after_next_x_orders, first.ended) == (1, False)
    second = settled(facts(cancel_after_next_x_orders=1), Approved)
    assert (second.head.status, second.ended, second.head.due_dts) == ("canceled", True, None)
    assert settled(facts(cancel_after_next_x_orders=0), Approved).head.status == "active"


def test_it_is_completed_when_nothing_comes_any_more_but_not_where_something_is_paused_or_unknown() -> None:
    ends = row(no_order_after_dts=parse_instant("2027-03-01T00:00:00Z"))
    done = settled(facts(ends), Approved).head
    assert (done.status, done.state.completed, done.state.failed, done.due_dts) == ("disabled", True, False, None)
    for other in (row(2, "TEA", paused=True), row(2, "GONE", frequency=None)):
        assert settled(facts(ends, other), Approved).head.status == "active"


def test_an_item_removed_while_it_was_charged_is_counted_for_nothing() -> None:
    of = facts(row(), row(2, "TEA"))
    attempt = attempt_of(of)
    left = replace(of, auto_order=replace(of.auto_order, items=[row()]))
    left.head.state.items.pop("2")
    head = settle(replace(left, head=claimed(left.head, attempt, NOW)), attempt, approval(attempt), NOW).head
    assert set(head.state.items) == {"1"}


def test_a_run_without_items_is_closed_and_the_next_one_has_keys_of_its_own() -> None:
    of = facts(row(paused=True), round=2, tries=5, next_attempt=NOW, failure_reason="no")
    head = rebills.closed_run(of, NOW)
    assert (head.run, head.round, head.tries, head.state.next_attempt, head.state.failure_reason) == (
        2,
        0,
        0,
        None,
        None,
    )


# --- how large a head is ---------------------------------------------------------------------------------------------


def record_of(head: Head) -> Record:
    return heads.begun("auto_orders", "SHOPS", "2147483647", head).record


def a_full_head() -> Head:
    """Three items of long oids and ids that have been billed for years, one re-dated, one with an override."""
    items = {
        str(2_000_000_000 + number): ItemProgress(
            anchor=date(2027, 1, 31),
            at=number,
            billed=100 + number,
            billed_day=date(2035, 5, 31),
            next_day=date(2035, 6, 30),
            number_of_rebills=100 + number,
            rebill_value=Decimal("12345.67"),
            original_value=Decimal("123.45"),
            first_order_dts=parse_instant("2027-01-31T20:00:00Z"),
            last_order_dts=parse_instant("2035-05-31T04:00:00Z"),
            unit_cost_remaining=3 if number == 1 else None,
            noticed=100,
        )
        for number in range(3)
    }
    state = State(
        items=items,
        last_run_date=date(2035, 5, 31),
        last_order_dts=parse_instant("2035-05-31T04:00:00Z"),
        next_attempt=parse_instant("2035-06-03T04:00:00Z"),
        failure_reason="The bank declined the charge.",
    )
    return Head(status="active", run=101, round=1, tries=2, fence=204, revision=9, due_dts=NOW, state=state)


def test_a_head_of_three_items_is_one_kilobyte_and_with_an_open_attempt_two() -> None:
    head = a_full_head()
    lines = [
        PlanLine(
            item_id=f"SINGLE-ORIGIN-ROAST{number}",
            quantity=Decimal(1),
            unit_cost=Decimal("114.95"),
            oid=2_000_000_000 + number,
            occurrence=101 + number,
            discount=Decimal("11.50"),
        )
        for number in range(3)
    ]
    frozen = FrozenPlan(
        lines=lines,
        subtotal=Decimal("344.85"),
        total=Decimal("350.12"),
        currency="USD",
        discount=Decimal("34.50"),
        coupons=["WELCOME10"],
        shipping_method="UPS Ground Residential",
        shipping=Decimal("12.95"),
        tax=Decimal("27.54"),
        tax_rate=Decimal("8.875"),
        taxable=Decimal("310.35"),
    )
    attempt = Attempt(
        kind="rebill",
        key="bo_" + "0" * 40,
        owner="w" * 32,
        gateway="stripe-main",
        run=101,
        round=1,
        tries=3,
        revision=9,
        claimed_dts=NOW,
        first_sent_dts=NOW,
        card=StoredCard(
            gateway="stripe-main",
            reference="pm_" + "1" * 24 + "/cus_" + "1" * 14,
            fingerprint="f" * 32,
            network_transaction_id="n" * 20,
        ),
        plan=frozen,
        looks=3,
        look_dts=NOW,
    )
    assert record_bytes(record_of(head)) <= 1024
    assert record_bytes(record_of(claimed(head, attempt, NOW))) <= 2048


def test_a_head_is_read_as_it_was_written() -> None:
    head = a_full_head()
    assert heads.head_of(record_of(head)) == head


# --- any series of events --------------------------------------------------------------------------------------------

FREQUENCIES: tuple[str, ...] = tuple(one for one in get_args(Frequency) if one != "Every...")
STEPS = [
    [step("Weekly")],
    [step("Monthly")],
    [
        step("Weekly", 2),
        ItemAutoOrderStep(type="pause", pause_days=9),
        step("Monthly", 1),
        ItemAutoOrderStep(type="loop"),
    ],
    [step("Every 10 Days", 3)],
]


class Life(RuleBasedStateMachine):
    """One auto order through its life, without any table: time passes, it is visited, charged, edited by anybody, and
    outcomes come when they like. What is paid is written down here and held against the promises."""

    def __init__(self) -> None:
        super().__init__()
        self.oids = itertools.count(10)
        self.now = NOW
        self.facts = facts(
            row(1, "COFFEE", "Weekly"),
            row(2, "TEA", "Monthly"),
            row(3, "BOX", None),
            items={"COFFEE": item("COFFEE"), "TEA": item("TEA"), "BOX": item("BOX", *STEPS[1])},
        )
        self.facts.head.due_dts = NOW
        self.days: dict[str, dict[int, date]] = {}
        self.paid: dict[int, list[PlanLine]] = {}
        self.paid_days: dict[int, list[date]] = {}
        self.closed: list[Attempt] = []
        self.keys: set[str] = set()

    @property
    def head(self) -> Head:
        return self.facts.head

    @head.setter
    def head(self, head: Head) -> None:
        self.facts = replace(self.facts, head=head)

    # --- time and work ---

    @rule(days=st.integers(1, 45))
    def time_passes(self, days: int) -> None:
        self.now = later(self.now, days=days)

    @rule(hours=st.integers(1, 23))
    def hours_pass(self, hours: int) -> None:
        self.now = later(self.now, hours=hours)

    @rule(by_hand=st.booleans())
    def it_is_visited(self, by_hand: bool) -> None:
        reasons: list[rebills.Reason] = []
        decision = plan(self.facts, self.now, by_hand=by_hand).decision
        match decision:
            case Look(at=moment):
                assert moment is None or moment > self.now, "it would be looked at for ever"
                self.head = replace(self.head, due_dts=moment)
            case Remind() as reminder:
                self.head = rebills.reminded(self.facts, reminder, self.now)
            case Hold() as hold:
                self.head = rebills.held(self.facts, hold)
            case Postpone() as postpone:
                self.head = rebills.postponed(self.facts, postpone, self.now)
                assert self.head.due_dts is not None
                assert self.head.due_dts > self.now, "it would be pushed back for ever"
            case CloseRun():
                self.head = rebills.closed_run(self.facts, self.now)
            case Fail(message=message, hard=hard, plan=frozen):
                run = rebills.Billing(run=self.head.run, plan=frozen, day=local_date(self.now, NEW_YORK))
                self.head = rebills.declined(self.facts, message, self.now, run, final=hard).head
            case Resolve():
                assert self.head.attempt is not None
            case Go():
                due, _ = due_items(self.facts, self.now, reasons)
                self.claim({one.entry.auto_order_item_oid or 0: one.occurrence.day for one in due}, by_hand=by_hand)

    def claim(self, days: dict[int, date], *, by_hand: bool) -> None:
        today = local_date(self.now, NEW_YORK)
        assert self.head.attempt is None
        assert self.head.status == "active" or (by_hand and self.head.state.failed)
        assert all(day <= today for day in days.values()), "billed before its day"
        if not self.facts.settings.do_not_bill_prior_missed_shipments and not by_hand:
            assert self.head.state.last_run_date != today, "two orders on one day"
        planned = plan(self.facts, self.now, by_hand=by_hand).decision
        assert isinstance(planned, Go)
        head = self.head
        key = attempt_key("DEMO", "5", head.run, head.round, head.tries + 1, "sandbox")
        assert key not in self.keys, "a key is used for two attempts"
        self.keys.add(key)
        attempt = Attempt(
            kind="rebill",
            key=key,
            owner=key,
            gateway="sandbox",
            run=head.run,
            round=head.round,
            tries=head.tries + 1,
            revision=head.revision,
            claimed_dts=self.now,
            first_sent_dts=self.now,
            card=planned.card,
            plan=planned.plan,
        )
        self.days[key] = days
        self.head = claimed(head, attempt, self.now)

    @precondition(lambda self: self.head.attempt is not None)
    @rule(outcome=st.sampled_from([Approved, Approved, Approved, SOFT, HARD, NotSent(reason="down"), None]))
    def its_outcome_comes(self, outcome: Any) -> None:
        attempt = self.head.attempt
        assert attempt is not None
        if outcome is Approved:
            self.pay(attempt)
            return
        if outcome is None:
            self.closed.append(attempt)
        self.head = settle(self.facts, attempt, outcome, self.now).head

    @precondition(lambda self: self.closed and self.head.attempt is None)
    @rule()
    def a_closed_attempt_was_captured_after_all(self) -> None:
        attempt = self.closed.pop()
        if attempt.run == self.head.run:
            self.pay(attempt)

    def pay(self, attempt: Attempt) -> None:
        before = self.head
        counts = {key: one.number_of_rebills for key, one in before.state.items.items()}
        self.head = settle(self.facts, attempt, approval(attempt), self.now).head
        assert self.head.run == attempt.run + 1
        lines = [line for line in attempt.plan.lines if not line.add_on]
        for line in lines:
            self.paid.setdefault(line.oid, []).append(line)
            self.paid_days.setdefault(line.oid, []).append(self.days[attempt.key][line.oid])
        billed = {str(line.oid) for line in lines}
        for key, one in self.head.state.items.items():
            assert one.number_of_rebills == counts[key] + (key in billed)

    # --- anybody edits ---

    def edit(self, change: Any) -> None:
        before = assembled(self.facts.auto_order, self.head, self.facts.items, NEW_YORK, self.now)
        wanted = change(before)
        try:
            done = edited(
                before, wanted, self.head, self.facts.items, self.facts.settings, self.now, NEW_YORK, self.oids
            )
        except Invalid:
            return
        self.facts = replace(self.facts, auto_order=done.document, head=done.head)
        due = self.now if done.head.attempt else next_look(self.facts, done.head, self.now)
        self.head = replace(done.head, due_dts=due)

    def edit_row(self, place: int, **fields: Any) -> None:
        def change(before: AutoOrder) -> AutoOrder:
            rows = list(before.items or [])
            if rows:
                rows[place % len(rows)] = replace(rows[place % len(rows)], **fields)
            return replace(before, items=rows)

        self.edit(change)

    @rule(place=st.integers(0, 5), ahead=st.integers(-3, 60))
    def a_date_is_set(self, place: int, ahead: int) -> None:
        day = local_date(self.now, NEW_YORK) + timedelta(days=ahead)
        self.edit_row(place, next_shipment_dts=midnight(day, NEW_YORK))

    @rule(place=st.integers(0, 5), frequency=st.sampled_from(FREQUENCIES), told=st.booleans())
    def a_pace_is_set(self, place: int, frequency: str, told: bool) -> None:
        self.edit_row(place, frequency=frequency, **({} if told else {"next_shipment_dts": None}))

    @rule(place=st.integers(0, 5), of=st.sampled_from(["COFFEE", "TEA", "BOX"]))
    def an_item_is_swapped(self, place: int, of: str) -> None:
        self.edit_row(place, original_item_id=of)

    @rule(place=st.integers(0, 5), paused=st.booleans())
    def it_is_paused_or_goes_on(self, place: int, paused: bool) -> None:
        self.edit_row(place, paused=paused)

    @rule()
    def an_item_is_added(self) -> None:
        self.edit(lambda before: replace(before, items=[*(before.items or []), row(0, "TEA", "Weekly")][:6]))

    @rule(place=st.integers(0, 5))
    def an_item_is_removed(self, place: int) -> None:
        self.edit(lambda before: replace(before, items=[r for n, r in enumerate(before.items or []) if n != place]))

    @rule(enabled=st.booleans(), by=st.sampled_from([None, "customer"]))
    def it_is_ended_or_begun_again(self, enabled: bool, by: str | None) -> None:
        self.edit(lambda before: replace(before, enabled=enabled, canceled_by_user=by or before.canceled_by_user))

    @rule(steps=st.sampled_from(STEPS))
    def the_catalogue_changes_its_pace(self, steps: list[ItemAutoOrderStep]) -> None:
        self.facts = replace(self.facts, items={**self.facts.items, "BOX": item("BOX", *steps)})

    @rule(known=st.booleans())
    def the_catalogue_loses_an_item_and_finds_it(self, known: bool) -> None:
        items = {name: one for name, one in self.facts.items.items() if name != "BOX"}
        self.facts = replace(self.facts, items=items | ({"BOX": item("BOX", *STEPS[0])} if known else {}))

    @rule(skips=st.booleans(), window=windows() | st.none(), retries=st.integers(1, 4))
    def the_merchant_changes_the_rules(self, skips: bool, window: AutoOrderProcessing | None, retries: int) -> None:
        rules = window or AutoOrderProcessing()
        changed = replace(rules, do_not_bill_prior_missed_shipments=skips, number_of_retries=retries)
        self.facts = replace(self.facts, settings=changed)

    # --- what is promised ---

    @invariant()
    def no_occurrence_is_paid_twice_and_none_is_lost(self) -> None:
        for lines in self.paid.values():
            for before, after in itertools.pairwise(lines):
                assert after.occurrence == before.occurrence + after.skipped + 1

    @invariant()
    def no_date_of_an_item_is_paid_twice(self) -> None:
        for days in self.paid_days.values():
            assert all(before < after for before, after in itertools.pairwise(days))

    @invariant()
    def what_is_active_or_open_is_looked_at_again(self) -> None:
        if self.head.status == "active" or self.head.attempt is not None:
            assert self.head.due_dts is not None

    @invariant()
    def what_is_kept_is_read_again(self) -> None:
        record = heads.begun("auto_orders", "DEMO", "5", self.head).record
        assert heads.head_of(record) == self.head


Life.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLife = Life.TestCase
