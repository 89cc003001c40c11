"""Schedules over years, and whole lives of auto orders with programmes, overrides and add-ons: no date drifts, nothing
is billed twice, and what was to last a while ends exactly then."""

from calendar import monthrange
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice, pairwise, takewhile
from typing import Any, get_args
from zoneinfo import available_timezones

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from msgspec.structs import replace

from chalicelib.domain.auto_orders import (
    AutoOrderAddonItem,
    AutoOrderItem,
    assembled,
    occurrences,
)
from chalicelib.domain.dates import Instant, later, local_date, midnight
from chalicelib.domain.heads import ItemProgress, claimed
from chalicelib.domain.items import ItemAutoOrder, ItemAutoOrderStep
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.payments import Attempt
from chalicelib.domain.rebills import Facts, Go, Look, plan, settle
from chalicelib.domain.schedule import DAYS, MONTHS, Frequency
from tests.domain.test_rebills import NEW_YORK, Life, approval, attempt_of, facts, item, row, step

FREQUENCIES: tuple[str, ...] = get_args(Frequency)
# Thirty zones: where clocks change at midnight, by odd amounts, twice a year, or never; both ends of the day.
ZONES = [
    "Africa/Cairo", "Africa/Casablanca", "America/Asuncion", "America/Havana", "America/Los_Angeles",
    "America/New_York", "America/Nuuk", "America/Santiago", "America/Sao_Paulo", "America/St_Johns",
    "Antarctica/Troll", "Asia/Amman", "Asia/Beirut", "Asia/Gaza", "Asia/Kathmandu", "Asia/Kolkata",
    "Asia/Tehran", "Asia/Tokyo", "Atlantic/Azores", "Australia/Lord_Howe", "Australia/Sydney",
    "Europe/Berlin", "Europe/Dublin", "Europe/London", "Pacific/Apia", "Pacific/Auckland", "Pacific/Chatham",
    "Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC",
]  # fmt: skip
YEARS = 10


def counted(anchor: date, frequency: str, days: int, times: int) -> date:
    """The date by the calendar on the wall, reckoned another way than the code's: month by month, day by day."""
    if frequency not in MONTHS:
        return date.fromordinal(anchor.toordinal() + (DAYS.get(frequency) or days) * times)
    year, month = anchor.year, anchor.month
    for _ in range(MONTHS[frequency] * times):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return date(year, month, min(anchor.day, monthrange(year, month)[1]))


def test_the_zones_are_thirty_that_there_are() -> None:
    assert len(set(ZONES)) == 30
    assert set(ZONES) <= available_timezones()


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_ten_years_of_a_frequency_in_thirty_zones_are_the_calendars_dates_each_once(frequency: Any) -> None:
    """The anchor is another day of the year in each zone, the last days of months among them; the first half is told
    from the beginning, the second as it is after so many are done with."""
    told = 0
    for number, zone_name in enumerate(ZONES):
        anchor = date(2026, 1, 31) + timedelta(days=number * 37)
        until = date(anchor.year + YEARS, anchor.month, 1)
        entry = AutoOrderItem(frequency=frequency, arbitrary_schedule_days=number + 1, original_item_id="TEA")
        whole = [
            one.day
            for one in takewhile(
                lambda one, until=until: one.day < until,
                occurrences(entry, ItemProgress(anchor=anchor), None, zone_name),
            )
        ]
        half = len(whole) // 2
        billed = ItemProgress(anchor=anchor, billed=half, billed_day=whole[half - 1] if half else anchor)
        rest = [one.day for one in islice(occurrences(entry, billed, None, zone_name), len(whole) - half)]
        assert whole[half:] == rest
        assert whole == [counted(anchor, frequency, number + 1, times) for times in range(1, len(whole) + 1)]
        moments = [midnight(day, zone_name) for day in whole]
        assert all(before < after for before, after in pairwise(moments))
        assert [local_date(moment, zone_name) for moment in moments] == whole
        told += len(whole)
    print(f"{frequency}: {told} dates in {len(ZONES)} zones")


def lived(of: Facts, until: Instant) -> tuple[Facts, list[date]]:
    """Billed at every moment that the auto order itself names, approved each time; the dates that were billed."""
    now, days = of.head.due_dts or until, []
    while now <= until:
        decision = plan(of, now).decision
        if isinstance(decision, Go):
            attempt = attempt_of(of, now)
            days += [line.day for line in attempt.plan.lines if line.day]
            open_ = replace(of, head=claimed(of.head, attempt, now))
            of = replace(of, head=settle(open_, attempt, approval(attempt), now).head)
            now = of.head.due_dts or later(until, days=1)
        else:
            assert isinstance(decision, Look), decision
            assert decision.at is None or decision.at > now
            now = decision.at or later(until, days=1)
    return of, days


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.sampled_from(FREQUENCIES),
    st.sampled_from(ZONES),
    st.dates(date(2026, 1, 1), date(2028, 12, 31)),
    st.integers(5, 400),
    st.sampled_from([None, ("09:00", "17:00"), ("22:00", "03:00")]),
)
def test_ten_years_are_billed_on_their_dates_in_every_zone_and_window(
    frequency: Any, zone_name: str, anchor: date, days: int, hours: tuple[str, str] | None
) -> None:
    of = facts(
        row(frequency=frequency, arbitrary_schedule_days=days),
        progress={"1": ItemProgress(anchor=anchor, billed_day=anchor)},
        merchant=Merchant(time_zone=zone_name),
        due_dts=midnight(anchor, zone_name),
    )
    assert of.original.payment
    assert of.original.payment.credit_card
    of.original.payment.credit_card.card_expiration_year = 2100
    if hours:
        of.settings.window_start, of.settings.window_end = hours
    until = midnight(date(anchor.year + YEARS, anchor.month, 1), zone_name)
    of, billed = lived(of, until)
    assert billed == [counted(anchor, frequency, days, times) for times in range(1, len(billed) + 1)]
    following = counted(anchor, frequency, days, len(billed) + 1)
    assert later(midnight(following, zone_name), days=2) > until, "one is missing at the end"
    assert of.head.state.items["1"].number_of_rebills == len(billed)


# --- lives -----------------------------------------------------------------------------------------------------------

LOOP = ItemAutoOrderStep(type="loop")
PROGRAMMES: list[list[ItemAutoOrderStep]] = [
    [
        ItemAutoOrderStep(type="pause until", pause_until_day_of_month=31, pause_until_minimum_delay_days=9),
        step("Weekly", 1),
        LOOP,
    ],
    [ItemAutoOrderStep(type="pause until", pause_until_day_of_month=15), step("Monthly")],
    [step("Weekly", 2), ItemAutoOrderStep(type="pause", pause_days=9), step("Monthly", 1), LOOP],
    [
        step("Weekly", 1),
        ItemAutoOrderStep(type="pause until", pause_until_date=midnight(date(2027, 6, 1), NEW_YORK)),
        step("Every 10 Days"),
    ],
    [step("Every 10 Days", 3)],
]
GIFTS = ("CUP", "TEA")


class Programme(Life):
    """A life with everything that a merchant may say of items: programmes that change, the catalogue's pauses,
    overrides and add-ons for a while, dates that are skipped. What is to last how long is counted here apart."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = replace(self.facts, items={**self.facts.items, "CUP": item("CUP", cost="2")})
        # By oid: what one costs, and for how many orders more (None: for ever).
        self.costs: dict[int, tuple[Decimal, int | None]] = {}
        # By oid (0: of the whole auto order) and item id: into how many orders more.
        self.gifts: dict[tuple[int, str], int | None] = {}

    def rows(self) -> dict[int, AutoOrderItem]:
        return {entry.auto_order_item_oid or 0: entry for entry in self.facts.auto_order.items or []}

    def shown(self) -> dict[int, date]:
        """The next date of each item as a client reads it."""
        noun = assembled(self.facts.auto_order, self.head, self.facts.items, NEW_YORK, self.now)
        return {
            entry.auto_order_item_oid or 0: local_date(entry.next_shipment_dts, NEW_YORK)
            for entry in noun.items or []
            if entry.next_shipment_dts
        }

    def accepted(self, place: int, **fields: Any) -> int:
        """The oid of the row where the edit was taken, 0 where it was refused."""
        oids, revision = list(self.rows()), self.head.revision
        self.edit_row(place, **fields)
        return oids[place % len(oids)] if oids and self.head.revision > revision else 0

    # --- what may be said ---

    @rule(place=st.integers(0, 5), cost=st.integers(0, 9), left=st.none() | st.integers(1, 3))
    def an_override_is_set(self, place: int, cost: int, left: int | None) -> None:
        fields = {"arbitrary_unit_cost": Decimal(cost), "arbitrary_unit_cost_remaining_orders": left}
        if oid := self.accepted(place, **fields):
            self.costs[oid] = (Decimal(cost), left)

    @rule(place=st.integers(0, 5))
    def an_override_is_taken_back(self, place: int) -> None:
        fields = {"arbitrary_unit_cost": None, "arbitrary_unit_cost_remaining_orders": None}
        if oid := self.accepted(place, **fields):
            self.costs.pop(oid, None)

    @rule(place=st.integers(0, 5), gifts=st.dictionaries(st.sampled_from(GIFTS), st.none() | st.integers(1, 3)))
    def gifts_come_along_with_an_item(self, place: int, gifts: dict[str, int | None]) -> None:
        add_ons = [AutoOrderAddonItem(item_id=name, next_x_orders=left) for name, left in gifts.items()] or None
        if oid := self.accepted(place, add_ons=add_ons):
            self.gifts = {key: left for key, left in self.gifts.items() if key[0] != oid}
            self.gifts |= {(oid, name): left for name, left in gifts.items()}

    @rule(gifts=st.dictionaries(st.sampled_from(GIFTS), st.none() | st.integers(1, 3)))
    def gifts_come_along_with_the_order(self, gifts: dict[str, int | None]) -> None:
        add_ons = [AutoOrderAddonItem(item_id=name, next_x_orders=left) for name, left in gifts.items()] or None
        revision = self.head.revision
        self.edit(lambda before: replace(before, add_ons=add_ons))
        if self.head.revision > revision:
            self.gifts = {key: left for key, left in self.gifts.items() if key[0]}
            self.gifts |= {(0, name): left for name, left in gifts.items()}

    @rule(name=st.sampled_from(["COFFEE", "TEA", "BOX"]), on=st.booleans())
    def the_catalogue_pauses_an_item(self, name: str, on: bool) -> None:
        if found := self.facts.items.get(name):
            tab = replace(found.auto_order or ItemAutoOrder(), auto_order_paused=on)
            self.facts = replace(self.facts, items={**self.facts.items, name: replace(found, auto_order=tab)})

    @rule(steps=st.sampled_from(PROGRAMMES))
    def the_catalogue_changes_its_programme(self, steps: list[ItemAutoOrderStep]) -> None:
        self.facts = replace(self.facts, items={**self.facts.items, "BOX": item("BOX", *steps)})

    @rule(place=st.integers(0, 5), over=st.integers(1, 3))
    def dates_are_skipped(self, place: int, over: int) -> None:
        """To a later date of the schedule: what lies before is not billed, and the dates after it stay."""
        rows = list(self.rows().values())
        if not rows:
            return
        entry = rows[place % len(rows)]
        oid = entry.auto_order_item_oid or 0
        dates = self.dates(oid, over + 3)
        if len(dates) <= over or not self.accepted(place, next_shipment_dts=midnight(dates[over], NEW_YORK)):
            return
        after = self.dates(oid, 3)
        assert after[0] == dates[over] == self.shown()[oid]
        known = self.facts.items.get(entry.original_item_id or "")
        if not (known and known.steps()):
            assert after == dates[over : over + 3]

    def dates(self, oid: int, count: int) -> list[date]:
        entry = self.rows()[oid]
        known = self.facts.items.get(entry.original_item_id or "")
        found = occurrences(entry, self.head.state.items[str(oid)], known, NEW_YORK)
        return [one.day for one in islice(found, count)]

    # --- what is charged ---

    @rule(times=st.integers(1, 4))
    def it_is_billed_when_it_is_due(self, times: int) -> None:
        for _ in range(times):
            self.come_due()
            if self.head.attempt is not None:
                self.pay(self.head.attempt)

    @rule(place=st.integers(0, 5), cost=st.integers(0, 9), left=st.integers(1, 2))
    def an_override_is_set_while_it_is_charged(self, place: int, cost: int, left: int) -> None:
        self.come_due()
        self.an_override_is_set(place, cost, left)
        if self.head.attempt is not None:
            self.pay(self.head.attempt)

    def come_due(self) -> None:
        self.now = max(self.now, self.head.due_dts or self.now)
        self.it_is_visited(by_hand=False)

    def claim(self, days: dict[int, date], *, by_hand: bool) -> None:
        shown = self.shown()
        super().claim(days, by_hand=by_hand)
        attempt = self.head.attempt
        assert attempt is not None
        billed = [line for line in attempt.plan.lines if not line.add_on]
        for line in billed:
            assert line.day is not None
            assert shown[line.oid] == line.day or (line.skipped and shown[line.oid] < line.day), "not the date shown"
            cost, left = self.costs.get(line.oid, (Decimal(0), 0))
            assert line.override == (left != 0)
            assert not line.override or line.unit_cost == cost
        wanted = {
            key for key, left in self.gifts.items() if left != 0 and key[0] in {0, *(line.oid for line in billed)}
        }
        assert {(line.oid, line.item_id) for line in attempt.plan.lines if line.add_on} == wanted

    def pay(self, attempt: Attempt) -> None:
        super().pay(attempt)
        for line in attempt.plan.lines:
            cost, left = self.costs.get(line.oid, (Decimal(0), None))
            if line.override and left:
                self.costs[line.oid] = (cost, left - 1)
            told = self.gifts.get((line.oid, line.item_id))
            if line.add_on and told:
                self.gifts[(line.oid, line.item_id)] = told - 1

    # --- what is promised ---

    @invariant()
    def what_is_to_last_a_while_lasts_exactly_so_long(self) -> None:
        gone = {oid for oid in self.costs if oid not in self.rows()}
        for oid in gone:
            del self.costs[oid]
        self.gifts = {key: left for key, left in self.gifts.items() if key[0] in {0, *self.rows()}}
        noun = assembled(self.facts.auto_order, self.head, self.facts.items, NEW_YORK, self.now)
        for entry in noun.items or []:
            cost, left = self.costs.get(entry.auto_order_item_oid or 0, (None, 0))
            told = (entry.arbitrary_unit_cost, entry.arbitrary_unit_cost_remaining_orders)
            assert told == ((None, None) if left == 0 else (cost, left))
            self.add_ons_are(entry.auto_order_item_oid or 0, entry.add_ons)
        self.add_ons_are(0, noun.add_ons)

    def add_ons_are(self, oid: int, add_ons: list[AutoOrderAddonItem] | None) -> None:
        wanted = {key[1]: left for key, left in self.gifts.items() if key[0] == oid and left != 0}
        assert {add_on.item_id: add_on.next_x_orders for add_on in add_ons or []} == wanted

    @invariant()
    def dates_that_are_told_come_one_after_the_other_and_after_what_was_billed(self) -> None:
        for oid in self.rows():
            dates, billed = self.dates(oid, 4), self.head.state.items[str(oid)].billed_day
            assert all(before < after for before, after in pairwise([billed, *dates] if billed else dates))


Programme.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestProgramme = Programme.TestCase
