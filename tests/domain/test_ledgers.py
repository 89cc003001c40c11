"""Ledgers: what adds up at every step, what expires first, and what a verifier finds."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from chalicelib.domain import ledgers, wire
from chalicelib.domain.dates import Instant, instant, parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.ledgers import Entry, Ledger, Pending, Posting, caught_up, verified

START = parse_instant("2027-01-01T05:00:00Z")
NAME = "points#7"


def day(number: int) -> Instant:
    return instant(START + timedelta(days=number))


def a_posting(cause: str, amount: int | str, on: int = 0, **more: Any) -> Posting:
    said = {"type": "Adjustment", "description": cause, "dts": day(on), "created_dts": day(on)}
    return Posting(**{**said, "cause": cause, "amount": Decimal(amount), **more})


class Book:
    """A ledger and everything that was ever appended to it, as texts."""

    def __init__(self) -> None:
        self.ledger = Ledger(ledger_id=NAME)
        self.entries: list[Entry] = []

    def take(self, step: tuple[Ledger, list[Entry]]) -> None:
        self.ledger, new = step
        self.entries += new

    def until(self, number: int) -> None:
        self.take(caught_up(self.ledger, day(number), most=10_000))

    def add(self, cause: str, amount: int | str, on: int = 0, expires: int | None = None) -> None:
        one = a_posting(cause, amount, on, expires=None if expires is None else day(expires))
        self.take(ledgers.posted(self.ledger, one))

    def texts(self) -> list[str]:
        return [wire.kept(entry) for entry in self.entries]

    def posted(self) -> list[tuple[str, int]]:
        return [(entry.posting.type, int(entry.posting.amount)) for entry in self.entries]


# --- examples --------------------------------------------------------------------------------------------------------


def test_a_balance_runs_along_with_the_entries() -> None:
    book = Book()
    book.add("a", 100)
    book.add("b", -30)
    book.add("c", 5)
    assert [int(entry.balance) for entry in book.entries] == [100, 70, 75]
    assert [entry.seq for entry in book.entries] == [1, 2, 3]


def test_nobody_takes_more_than_there_is() -> None:
    book = Book()
    book.add("a", 10)
    with pytest.raises(Invalid, match="11 is more than the 10 that are available"):
        book.add("b", -11)


def test_what_expires_first_is_spent_first() -> None:
    book = Book()
    book.add("late", 10, expires=30)
    book.add("soon", 10, expires=20)
    book.add("never", 10)
    book.add("spend", -15)
    book.until(40)
    assert book.posted()[4:] == [("Expired", -5)]
    assert book.ledger.balance == 10


def test_points_of_one_day_are_gone_at_its_end_and_not_before() -> None:
    book = Book()
    book.add("a", 10, expires=20)
    book.take(caught_up(book.ledger, instant(day(20) - timedelta(seconds=1))))
    assert book.ledger.balance == 10
    book.until(20)
    assert book.ledger.balance == 0
    assert book.entries[-1].posting.dts == day(20)


def test_what_vests_posts_once_on_its_day() -> None:
    book = Book()
    one = Pending(state="Vesting", posting=a_posting("earned#1", 40, 10))
    book.take(ledgers.waiting(book.ledger, one))
    assert (book.ledger.balance, book.ledger.coming()) == (0, 40)
    book.until(9)
    assert book.entries == []
    book.until(10)
    book.until(11)
    assert [(entry.posting.dts, int(entry.balance)) for entry in book.entries] == [(day(10), 40)]
    assert book.ledger.coming() == 0


def test_what_was_withdrawn_never_posts_and_an_entry_says_who_did_it() -> None:
    book = Book()
    one = Pending(state="Scheduled", posting=a_posting("manual#1", 40, 10))
    book.take(ledgers.waiting(book.ledger, one))
    gone = a_posting("withdrawn#manual#1", 0, type="Withdrawn", by="ada")
    book.take(ledgers.withdrawn(book.ledger, "manual#1", gone))
    book.until(30)
    assert book.posted() == [("Withdrawn", 0)]
    assert book.entries[0].posting.by == "ada"
    with pytest.raises(Invalid, match="posted or withdrawn"):
        ledgers.withdrawn(book.ledger, "manual#1", gone)


def test_a_debit_that_was_scheduled_takes_what_there_is_on_its_day() -> None:
    book = Book()
    book.add("a", 10)
    book.take(ledgers.waiting(book.ledger, Pending(state="Scheduled", posting=a_posting("manual#1", -25, 5))))
    book.until(6)
    assert book.posted() == [("Adjustment", 10), ("Adjustment", -10)]


def test_what_is_held_cannot_be_spent_and_does_not_expire_until_it_is_free_again() -> None:
    book = Book()
    book.add("a", 10, expires=5)
    book.ledger = ledgers.held(book.ledger, "key", Decimal(8), day(1))
    assert book.ledger.available() == 2
    with pytest.raises(Invalid, match="3 is more than the 2"):
        book.add("b", -3, 1)
    book.until(6)
    assert book.posted() == [("Adjustment", 10), ("Expired", -2)]
    book.ledger = ledgers.released(book.ledger, "key")
    book.until(6)
    assert book.posted()[2:] == [("Expired", -8)]
    assert book.ledger.balance == 0


def test_a_hold_is_spent_whole_and_once() -> None:
    book = Book()
    book.add("a", 10)
    book.ledger = ledgers.held(book.ledger, "key", Decimal(8), day(1))
    assert book.ledger == ledgers.held(book.ledger, "key", Decimal(8), day(2))
    with pytest.raises(Invalid, match="8 is held under that key"):
        ledgers.held(book.ledger, "key", Decimal(7), day(2))
    book.take(ledgers.spent(book.ledger, "key", a_posting("spent#key", 0, 2, type="Used")))
    assert (book.ledger.balance, book.ledger.held()) == (2, 0)
    with pytest.raises(Invalid, match="nothing is held"):
        ledgers.spent(book.ledger, "key", a_posting("spent#key", 0, 2))


def test_what_a_refund_takes_back_and_is_spent_already_is_paid_by_what_comes_next() -> None:
    book = Book()
    book.add("earned#1", 100)
    book.add("spend", -90)
    book.take(ledgers.taken_back(book.ledger, "earned#1", a_posting("refund", -100)))
    assert (book.ledger.balance, book.ledger.debt(), book.ledger.available()) == (-90, 90, 0)
    book.add("b", 120, expires=9)
    assert (book.ledger.balance, book.ledger.debt(), book.ledger.available()) == (30, 0, 30)


def test_a_hold_that_is_released_pays_a_debt_first() -> None:
    book = Book()
    book.add("earned#1", 100)
    book.ledger = ledgers.held(book.ledger, "key", Decimal(70), day(1))
    book.take(ledgers.taken_back(book.ledger, "earned#1", a_posting("refund", -50, 1)))
    assert (book.ledger.balance, book.ledger.debt()) == (50, 20)
    book.ledger = ledgers.released(book.ledger, "key")
    assert (book.ledger.balance, book.ledger.debt(), book.ledger.available()) == (50, 0, 50)


def test_a_refund_takes_the_points_of_its_own_day_first() -> None:
    book = Book()
    book.add("old", 10, expires=10)
    book.add("earned#1", 10, expires=20)
    back = a_posting("refund", -10, expires=day(20))
    book.take(ledgers.taken_back(book.ledger, "earned#1", back))
    assert [(lot.expires, int(lot.left)) for lot in book.ledger.lots] == [(day(10), 10)]


def test_a_refund_of_points_that_never_expire_leaves_those_that_do() -> None:
    book = Book()
    book.add("old", 10, expires=10)
    book.add("earned#1", 10)
    book.take(ledgers.taken_back(book.ledger, "earned#1", a_posting("refund", -10)))
    assert [(lot.expires, int(lot.left)) for lot in book.ledger.lots] == [(day(10), 10)]


def test_a_refund_of_what_is_still_vesting_lets_less_of_it_vest() -> None:
    book = Book()
    book.take(ledgers.waiting(book.ledger, Pending(state="Vesting", posting=a_posting("earned#1", 100, 10))))
    book.take(ledgers.taken_back(book.ledger, "earned#1", a_posting("refund", -30)))
    book.take(ledgers.taken_back(book.ledger, "earned#1", a_posting("refund2", -70)))
    book.until(20)
    assert book.entries == []


def test_lots_past_the_bound_become_one_that_expires_later() -> None:
    book = Book()
    for number in range(ledgers.MOST_LOTS + 5):
        book.add(f"a{number}", 1, expires=number + 1)
    assert len(book.ledger.lots) == ledgers.MOST_LOTS
    assert book.ledger.available() == ledgers.MOST_LOTS + 5
    assert book.ledger.lots[0] == ledgers.Lot(left=Decimal(6), expires=day(6))


@pytest.mark.parametrize("what", ["pending", "holds"])
def test_a_ledger_waits_and_holds_so_much_and_no_more(what: str) -> None:
    book = Book()
    book.add("a", 1000)

    def more(number: int) -> None:
        if what == "pending":
            one = Pending(state="Vesting", posting=a_posting(f"p{number}", 1, 10))
            book.take(ledgers.waiting(book.ledger, one))
        else:
            book.ledger = ledgers.held(book.ledger, f"k{number}", Decimal(1), day(0))

    for number in range(ledgers.MOST_PENDING if what == "pending" else ledgers.MOST_HOLDS):
        more(number)
    with pytest.raises(Invalid) as refused:
        more(1000)
    assert refused.value.problems[0].code == "too_many"


# --- the chain -------------------------------------------------------------------------------------------------------


def a_long_book() -> Book:
    book = Book()
    for number in range(60):
        book.add(f"add{number}", 10 + number, number, expires=number + 40 if number % 3 else None)
        if number % 2:
            book.add(f"take{number}", -number % 9 - 1, number)
        book.until(number)
    return book


def test_a_ledger_that_nobody_touched_verifies() -> None:
    book = a_long_book()
    assert verified(book.ledger, book.texts()) == []


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_every_changed_missing_moved_or_added_entry_is_found(data: st.DataObject) -> None:
    book, texts = LONG, list(LONG_TEXTS)
    at = data.draw(st.integers(0, len(texts) - 1))
    how = data.draw(st.sampled_from(["amount", "balance", "text", "gone", "swapped", "twice", "cut", "dts"]))
    entry = wire.load(texts[at], Entry)
    match how:
        case "amount":
            by = data.draw(st.integers(-500, 500).filter(bool))
            texts[at] = wire.kept(replace(entry, posting=replace(entry.posting, amount=entry.posting.amount + by)))
        case "balance":
            texts[at] = wire.kept(replace(entry, balance=entry.balance + 1))
        case "text":
            texts[at] = wire.kept(replace(entry, posting=replace(entry.posting, description="another", by="eve")))
        case "dts":
            texts[at] = wire.kept(replace(entry, posting=replace(entry.posting, dts=day(999))))
        case "gone":
            del texts[at]
        case "twice":
            texts.insert(at, texts[at])
        case "cut":
            del texts[at:]
        case "swapped":
            other = data.draw(st.integers(0, len(texts) - 1).filter(lambda number: number != at))
            texts[at], texts[other] = texts[other], texts[at]
    assert verified(book.ledger, texts)


LONG = a_long_book()
LONG_TEXTS = LONG.texts()


def test_an_entry_of_another_ledger_is_found_even_as_the_first() -> None:
    book, other = Book(), Book()
    other.ledger = Ledger(ledger_id="points#8")
    book.add("a", 10)
    other.add("a", 10)
    assert verified(book.ledger, other.texts())


def test_a_head_that_was_changed_is_found() -> None:
    book = a_long_book()
    assert verified(replace(book.ledger, balance=book.ledger.balance + 1), book.texts())
    assert verified(replace(book.ledger, lots=[]), book.texts())
    assert verified(replace(book.ledger, seq=book.ledger.seq + 1), book.texts())


# --- any series ------------------------------------------------------------------------------------------------------


class AnySeries(RuleBasedStateMachine):
    """Anything in any order. The model knows each point by its own: when it came, when it expires, where it went.

    It is simple and slow, and shares no code with the ledger: single points in a list, none merged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.today = 0
        self.number = 0
        self.points: list[int] = []  # the day on which each free point expires
        self.holds: dict[str, list[int]] = {}
        self.debt = 0
        self.pending: list[tuple[int, str, int, int, str]] = []  # day, cause, amount, expires, state
        self.earned: dict[str, tuple[int, int]] = {}  # what is left to be taken back of each, and when it expires
        self.sums = {"in": 0, "spent": 0, "expired": 0, "back": 0}

    def name(self, what: str) -> str:
        self.number += 1
        return f"{what}#{self.number}"

    # the model

    def _comes(self, amount: int, expires: int) -> None:
        paid = min(self.debt, amount)
        self.debt -= paid
        self.points += [expires] * (amount - paid)
        self.sums["in"] += amount

    def _goes(self, amount: int, first: int | None = None) -> list[int]:
        self.points.sort(key=lambda expires: (expires != first if first is not None else False, expires))
        gone, self.points = self.points[:amount], self.points[amount:]
        return gone

    def _day(self) -> None:
        """The days pass one by one; what comes on a day comes before what goes on it."""
        for one in sorted([p for p in self.pending if p[0] <= self.today], key=lambda p: p[0]):
            self._expire(one[0] - 1)
            self.pending.remove(one)
            if one[2] > 0:
                self._comes(one[2], one[3])
            else:
                gone = self._goes(min(-one[2], len(self.points)))
                self.sums["spent"] += len(gone)
        self._expire(self.today)

    def _expire(self, until: int) -> None:
        gone = [expires for expires in self.points if expires <= until]
        self.points = [expires for expires in self.points if expires > until]
        self.sums["expired"] += len(gone)

    # the rules

    @rule(amount=st.integers(1, 60), keeps=st.integers(1, 40) | st.none(), vests=st.integers(0, 12))
    def earn(self, amount: int, keeps: int | None, vests: int) -> None:
        cause = self.name("earned")
        expires = NEVER if keeps is None else self.today + vests + keeps
        one = a_posting(cause, amount, self.today + vests, expires=None if keeps is None else day(expires))
        if vests and len(self.pending) < ledgers.MOST_PENDING:
            self.book.take(ledgers.waiting(self.book.ledger, Pending(state="Vesting", posting=one)))
            self.pending.append((self.today + vests, cause, amount, expires, "Vesting"))
        else:
            self.book.take(ledgers.posted(self.book.ledger, replace(one, dts=day(self.today))))
            self._comes(amount, expires)
        self.earned[cause] = (amount, expires)

    @precondition(lambda self: self.earned)
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        cause = data.draw(st.sampled_from(sorted(self.earned)))
        left, expires = self.earned.pop(cause)
        amount = data.draw(st.integers(1, left))
        if left > amount:
            self.earned[cause] = (left - amount, expires)
        back = a_posting(
            self.name("refund"), -amount, self.today, expires=None if expires == NEVER else day(expires), type="Refund"
        )
        self.book.take(ledgers.taken_back(self.book.ledger, cause, back))
        for position, one in enumerate(self.pending):
            if one[1] == cause:
                self.pending[position] = (one[0], cause, one[2] - amount, one[3], one[4])
                if one[2] == amount:
                    del self.pending[position]
                return
        self.debt += amount - len(self._goes(min(amount, len(self.points)), first=expires))
        self.sums["back"] += amount

    @rule(amount=st.integers(1, 80))
    def spend(self, amount: int) -> None:
        one = a_posting(self.name("spend"), -amount, self.today)
        if amount > len(self.points):
            with pytest.raises(Invalid):
                ledgers.posted(self.book.ledger, one)
            return
        self.book.take(ledgers.posted(self.book.ledger, one))
        self._goes(amount)
        self.sums["spent"] += amount

    @rule(amount=st.integers(1, 60), ahead=st.integers(1, 20))
    def schedule_debit(self, amount: int, ahead: int) -> None:
        if len(self.pending) >= ledgers.MOST_PENDING:
            return
        cause = self.name("manual")
        one = Pending(state="Scheduled", posting=a_posting(cause, -amount, self.today + ahead))
        self.book.take(ledgers.waiting(self.book.ledger, one))
        self.pending.append((self.today + ahead, cause, -amount, NEVER, "Scheduled"))

    @precondition(lambda self: any(one[4] == "Scheduled" for one in self.pending))
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from([one for one in self.pending if one[4] == "Scheduled"]))
        gone = a_posting(self.name("withdrawn"), 0, self.today)
        self.book.take(ledgers.withdrawn(self.book.ledger, one[1], gone))
        self.pending.remove(one)

    @rule(amount=st.integers(1, 60))
    def hold(self, amount: int) -> None:
        key = self.name("key")
        if amount > len(self.points) or len(self.holds) >= ledgers.MOST_HOLDS:
            with pytest.raises(Invalid):
                ledgers.held(self.book.ledger, key, Decimal(amount), day(self.today))
            return
        self.book.ledger = ledgers.held(self.book.ledger, key, Decimal(amount), day(self.today))
        self.holds[key] = self._goes(amount)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), take=st.booleans())
    def close(self, data: st.DataObject, take: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.holds)))
        parts = self.holds.pop(key)
        if take:
            used = a_posting(f"spent#{key}", 0, self.today, type="Used")
            self.book.take(ledgers.spent(self.book.ledger, key, used))
            self.sums["spent"] += len(parts)
            return
        self.book.ledger = ledgers.released(self.book.ledger, key)
        for expires in sorted(parts):
            if self.debt:
                self.debt -= 1
            else:
                self.points.append(expires)
        self.book.until(self.today)
        self._expire(self.today)

    @rule(days=st.integers(1, 25))
    def days_pass(self, days: int) -> None:
        self.today += days
        self.book.until(self.today)
        self._day()

    # what holds at every step

    @invariant()
    def it_adds_up(self) -> None:
        ledger = self.book.ledger
        held = sum(map(len, self.holds.values()))
        assert ledger.balance == sum(entry.posting.amount for entry in self.book.entries)
        assert ledger.balance == len(self.points) + held - self.debt
        assert ledger.available() == len(self.points)
        assert ledger.held() == held
        assert ledger.debt() == self.debt >= 0
        assert ledger.coming() == sum(one[2] for one in self.pending)
        assert ledger.credited == self.sums["in"]
        assert ledger.balance == self.sums["in"] - self.sums["spent"] - self.sums["expired"] - self.sums["back"]

    @invariant()
    def each_lot_expires_on_its_day(self) -> None:
        lots = self.book.ledger.lots
        told = sorted((NEVER if lot.expires is None else _number(lot.expires), int(lot.left)) for lot in lots)
        assert told == sorted((expires, self.points.count(expires)) for expires in set(self.points))

    @invariant()
    def each_cause_posted_once(self) -> None:
        causes = [entry.posting.cause for entry in self.book.entries]
        assert len(set(causes)) == len(causes)

    def teardown(self) -> None:
        assert verified(self.book.ledger, self.book.texts()) == []


NEVER = 10**9


def _number(moment: Instant) -> int:
    return (moment - START).days


TestAnySeries = AnySeries.TestCase
TestAnySeries.settings = settings(
    max_examples=200, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.long
def test_any_series_two_thousand_times() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        AnySeries,
        settings=settings(
            max_examples=2000, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
