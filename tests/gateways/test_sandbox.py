"""The sandbox gateway as an oracle: what it gives back and lets go of is in its ledger, once, and never too much."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.domain.errors import Invalid
from chalicelib.domain.payments import (
    NOTHING_HELD,
    ActionNeeded,
    Approved,
    Charge,
    Declined,
    NotFound,
    NotSent,
    Pending,
    Refund,
    StoredCard,
    Unknown,
)
from chalicelib.gateways.sandbox import (
    CAPTURES_PAGE,
    DECLINES,
    PENDING_SECONDS,
    PROFILES,
    SLOW_SECONDS,
    Behaviour,
    Sandbox,
)
from tests.worlds import START, ManualClock

KEY = "bo_0123456789"
ORDER_ID = "DEMO-0000001001-001"
WITH_REFUNDS = [name for name, can in PROFILES.items() if can.refund]
LOST_BEFORE: list[Behaviour] = ["timeout_before_capture", "not_sent", "decline", "action_needed"]
LOST_AFTER: list[Behaviour] = ["timeout_after_capture", "duplicate_answer"]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def sandbox_of(clock: ManualClock, profile: str = "full", **named: Any) -> Sandbox:
    return Sandbox(now=clock.now, capabilities=PROFILES[profile], **named)


def asked_for(amount: str = "17.95", *, key: str = KEY, currency: str = "USD", card: str = "approve") -> Charge:
    return Charge(
        key=key,
        amount=Decimal(amount),
        currency_code=currency,
        card=StoredCard(gateway="sandbox", reference=card, fingerprint="f"),
        order_id=ORDER_ID,
        first=False,
    )


def part(amount: str, *, key: str = "bo_back", of: str = KEY, currency: str = "USD") -> Refund:
    return Refund(key=key, of=of, amount=Decimal(amount), currency_code=currency, order_id=ORDER_ID)


def code_of(outcome: Any) -> str:
    assert isinstance(outcome, Declined), outcome
    return outcome.code


def amounts(sandbox: Sandbox) -> list[Decimal]:
    return [given.amount for given in sandbox.refunds()]


def first_time(behaviour: Behaviour) -> Callable[[str, int], Behaviour | None]:
    return lambda key, posts: behaviour if posts == 1 else None


# --- giving back in part ----------------------------------------------------------------------------------------------


def test_a_part_of_a_capture_is_given_back_and_the_rest_stays_taken(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock)
    sandbox.charge(asked_for())
    clock.pass_(hours=1)
    answer = sandbox.refund_part(part("5.00"))
    assert isinstance(answer, Approved)
    assert (answer.amount, answer.currency_code) == (Decimal("5.00"), "USD")
    [given] = sandbox.refunds()
    assert (given.key, given.of, given.amount, given.currency_code) == ("bo_back", KEY, Decimal("5.00"), "USD")
    assert (given.order_id, given.refunded_dts) == (ORDER_ID, clock.now())
    [capture] = sandbox.captures()
    assert (capture.amount, capture.refunded_dts) == (Decimal("17.95"), None)
    assert isinstance(sandbox.look_up(KEY), Approved)


@pytest.mark.parametrize("profile", WITH_REFUNDS)
def test_the_same_key_gives_back_once_and_answers_the_same(clock: ManualClock, profile: str) -> None:
    sandbox = sandbox_of(clock, profile)
    sandbox.charge(asked_for())
    assert sandbox.refund_part(part("5.00")) == sandbox.refund_part(part("5.00"))
    clock.pass_(days=30)
    assert isinstance(sandbox.refund_part(part("5.00")), Approved)
    assert amounts(sandbox) == [Decimal("5.00")]


@pytest.mark.parametrize(
    "other",
    [part("5.01"), replace(part("5.00"), of="bo_other"), replace(part("5.00"), order_id="DEMO-2")],
    ids=["amount", "capture", "order"],
)
def test_a_key_of_another_refund_is_refused_for_good(clock: ManualClock, other: Refund) -> None:
    sandbox = sandbox_of(clock)
    sandbox.charge(asked_for())
    sandbox.charge(asked_for(key="bo_other"))
    sandbox.refund_part(part("5.00"))
    answer = sandbox.refund_part(other)
    assert isinstance(answer, Declined)
    assert (answer.code, answer.hard) == ("key_reused", True)
    assert amounts(sandbox) == [Decimal("5.00")]


def test_parts_that_add_up_to_the_whole_mark_the_capture_as_given_back(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock)
    sandbox.charge(asked_for())
    for number, amount in enumerate(("5.00", "12.94")):
        sandbox.refund_part(part(amount, key=f"bo_back_{number}"))
    assert sandbox.captures()[0].refunded_dts is None
    clock.pass_(hours=1)
    sandbox.refund_part(part("0.01", key="bo_last"))
    assert sandbox.captures()[0].refunded_dts == clock.now()


def test_never_more_than_was_captured_is_given_back(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock)
    sandbox.charge(asked_for())
    assert code_of(sandbox.refund_part(part("17.96"))) == "too_much"
    assert isinstance(sandbox.refund_part(part("17.95")), Approved)
    assert code_of(sandbox.refund_part(part("0.01", key="bo_more"))) == "too_much"
    assert amounts(sandbox) == [Decimal("17.95")]


@pytest.mark.parametrize("amount", ["0.00", "-5.00"])
def test_nothing_and_less_cannot_be_given_back(clock: ManualClock, amount: str) -> None:
    sandbox = sandbox_of(clock)
    sandbox.charge(asked_for())
    assert code_of(sandbox.refund_part(part(amount))) == "no_amount"
    assert sandbox.refunds() == []


def test_another_currency_and_an_unknown_charge_cannot_be_given_back(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock)
    sandbox.charge(asked_for())
    sandbox.authorise(asked_for(key="bo_held"))
    assert code_of(sandbox.refund_part(part("5.00", currency="JPY"))) == "other_currency"
    assert code_of(sandbox.refund_part(part("5.00", of="bo_none"))) == "unknown"
    assert code_of(sandbox.refund_part(part("5.00", of="bo_held"))) == "unknown"
    assert sandbox.refunds() == []


def test_a_refund_of_all_gives_back_what_parts_have_left_once(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock)
    taken = sandbox.charge(asked_for())
    sandbox.refund_part(part("5.00"))
    assert sandbox.refund(KEY) == sandbox.refund(KEY) == taken
    assert amounts(sandbox) == [Decimal("5.00"), Decimal("12.95")]
    assert sandbox.captures()[0].refunded_dts == clock.now()
    assert code_of(sandbox.refund_part(part("0.01", key="bo_more"))) == "too_much"


def test_what_was_captured_twice_under_a_key_can_be_given_back_twice(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock, "lookup")
    sandbox.charge(asked_for())
    sandbox.refund(KEY)
    clock.pass_(hours=1)
    sandbox.charge(asked_for())
    assert [capture.refunded_dts is None for capture in sandbox.captures()] == [False, True]
    assert isinstance(sandbox.refund_part(part("5.00")), Approved)
    sandbox.refund(KEY)
    assert amounts(sandbox) == [Decimal("17.95"), Decimal("5.00"), Decimal("12.95")]
    assert [capture.refunded_dts for capture in sandbox.captures()] == [START, clock.now()]


parts = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 1200)), min_size=1, max_size=12)


@given(parts=parts, whole=st.integers(0, 12))
def test_in_any_order_what_is_given_back_is_what_was_approved_and_marks_the_capture_when_it_is_all(
    parts: list[tuple[int, int]], whole: int
) -> None:
    sandbox = sandbox_of(ManualClock())
    sandbox.charge(asked_for())
    approved: dict[str, Decimal] = {}
    for number, (key, cents) in enumerate(parts):
        if number == whole:
            sandbox.refund(KEY)
            approved[f"{KEY}_rest"] = Decimal("17.95") - sum(approved.values(), Decimal(0))
        answer = sandbox.refund_part(part(str(Decimal(cents) / 100), key=f"bo_{key}"))
        if isinstance(answer, Approved):
            assert approved.setdefault(f"bo_{key}", answer.amount) == answer.amount == Decimal(cents) / 100
    given = sum(amounts(sandbox), Decimal(0))
    assert given == sum(approved.values(), Decimal(0)) <= Decimal("17.95")
    assert (sandbox.captures()[0].refunded_dts is not None) == (given == Decimal("17.95"))
    sandbox.close()


# --- looking a refund up ----------------------------------------------------------------------------------------------


def test_a_refund_is_found_by_its_key(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock)
    sandbox.charge(asked_for())
    assert sandbox.look_up_refund(part("5.00")) == NotFound()
    answer = sandbox.refund_part(part("5.00"))
    assert isinstance(answer, Approved)
    assert sandbox.look_up_refund(part("5.00")) == answer
    assert sandbox.look_up_refund(part("5.00", key="bo_other")) == NotFound()


def test_a_refund_shows_as_late_as_a_capture(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock, "lookup")
    sandbox.charge(asked_for())
    clock.pass_(hours=1)
    given = sandbox.refund_part(part("5.00"))
    clock.pass_(seconds=PROFILES["lookup"].lookup_lag - 1)
    assert sandbox.look_up_refund(part("5.00")) == NotFound()
    clock.pass_(seconds=1)
    assert sandbox.look_up_refund(part("5.00")) == given


def test_a_gateway_that_cannot_be_asked_says_so(clock: ManualClock) -> None:
    assert isinstance(sandbox_of(clock, "keys").look_up_refund(part("5.00")), Unknown)


def test_a_gateway_that_declares_nothing_does_nothing(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock, "neither")
    sandbox.charge(asked_for())
    for answer in (
        sandbox.refund(KEY),
        sandbox.refund_part(part("5.00")),
        sandbox.authorise(asked_for(key="bo_held")),
        sandbox.void(KEY),
    ):
        assert isinstance(answer, NotSent)
    assert (sandbox.refunds(), sandbox.holds()) == ([], [])


# --- authorising ------------------------------------------------------------------------------------------------------


def test_an_authorisation_holds_the_amount_and_captures_nothing(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock)
    answer = sandbox.authorise(asked_for("1.00"))
    assert isinstance(answer, Approved)
    assert (answer.amount, answer.currency_code) == (Decimal("1.00"), "USD")
    assert sandbox.look_up(KEY) == answer
    [hold] = sandbox.holds()
    assert (hold.key, hold.amount, hold.currency_code, hold.order_id) == (KEY, Decimal("1.00"), "USD", ORDER_ID)
    assert (hold.transaction_id, hold.authorised_dts, hold.voided_dts) == (answer.transaction_id, clock.now(), None)
    assert sandbox.captures() == []
    assert sandbox.captures_since(START).captures == []


@pytest.mark.parametrize("declined", sorted(DECLINES))
def test_a_card_that_is_declined_when_charged_is_declined_when_authorised(clock: ManualClock, declined: str) -> None:
    sandbox = sandbox_of(clock, behave=lambda charge, posts: declined)
    assert sandbox.authorise(asked_for()) == DECLINES[declined]
    assert sandbox.look_up(KEY) == NotFound()
    assert sandbox.holds() == []


def test_a_test_card_behaves_as_it_does_when_it_is_charged(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock)
    card = sandbox.tokenise("4000000000009995", 12, 2040)
    assert code_of(sandbox.authorise(replace(asked_for(), card=card))) == "51"
    times_out = replace(asked_for(key="bo_2"), card=sandbox.tokenise("4000000000000119", 12, 2040))
    assert isinstance(sandbox.authorise(times_out), Unknown)
    assert sandbox.holds() == []
    assert isinstance(sandbox.authorise(times_out), Approved)


@pytest.mark.parametrize("behaviour", [*LOST_BEFORE, *LOST_AFTER, "slow"])
def test_an_authorisation_whose_answer_is_lost_is_found_or_not_as_it_was_made(
    clock: ManualClock, behaviour: Behaviour
) -> None:
    sandbox = sandbox_of(clock, behave=lambda charge, posts: behaviour if posts == 1 else None)
    assert not isinstance(sandbox.authorise(asked_for()), Approved)
    clock.pass_(seconds=SLOW_SECONDS)
    made = behaviour not in LOST_BEFORE
    assert isinstance(sandbox.look_up(KEY), Approved if made else NotFound)
    assert isinstance(sandbox.authorise(asked_for()), Approved)
    assert len(sandbox.holds()) == 1


def test_an_authorisation_may_be_pending_or_need_the_customer(clock: ManualClock) -> None:
    script: list[Behaviour] = ["action_needed", "pending"]
    sandbox = sandbox_of(clock, behave=lambda charge, posts: script.pop())
    assert isinstance(sandbox.authorise(asked_for()), Pending)
    assert isinstance(sandbox.look_up(KEY), Pending)
    clock.pass_(seconds=PENDING_SECONDS)
    assert isinstance(sandbox.look_up(KEY), Approved)
    assert isinstance(sandbox.authorise(asked_for(key="bo_2")), ActionNeeded)


def test_a_key_authorises_once_where_there_are_keys_and_each_time_where_there_are_none(clock: ManualClock) -> None:
    for profile, holds in (("full", 1), ("keys", 1), ("lookup", 2)):
        sandbox = sandbox_of(clock, profile)
        assert isinstance(sandbox.authorise(asked_for()), Approved)
        assert isinstance(sandbox.authorise(asked_for()), Approved)
        assert len(sandbox.holds()) == holds


def test_a_key_is_never_both_a_charge_and_an_authorisation(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock)
    sandbox.authorise(asked_for())
    assert code_of(sandbox.charge(asked_for())) == "key_reused"
    sandbox.charge(asked_for(key="bo_2"))
    assert code_of(sandbox.authorise(asked_for(key="bo_2"))) == "key_reused"
    assert ([hold.key for hold in sandbox.holds()], [c.key for c in sandbox.captures()]) == ([KEY], ["bo_2"])


def test_an_authorisation_shows_as_late_as_a_capture(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock, "lookup")
    held = sandbox.authorise(asked_for())
    assert sandbox.look_up(KEY) == NotFound()
    clock.pass_(seconds=PROFILES["lookup"].lookup_lag)
    assert sandbox.look_up(KEY) == held


# --- letting go -------------------------------------------------------------------------------------------------------


def test_an_authorisation_that_was_let_go_of_is_none_any_more(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock)
    held = sandbox.authorise(asked_for("1.00"))
    clock.pass_(hours=1)
    assert sandbox.void(KEY) == held
    assert code_of(sandbox.look_up(KEY)) == "voided"
    voided = clock.now()
    clock.pass_(hours=1)
    assert sandbox.void(KEY) == held
    assert [hold.voided_dts for hold in sandbox.holds()] == [voided]


def test_all_that_is_held_under_a_key_is_let_go_of(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock, "lookup")
    for _ in range(2):
        sandbox.authorise(asked_for())
    sandbox.authorise(asked_for(key="bo_2"))
    sandbox.void(KEY)
    assert [hold.voided_dts is None for hold in sandbox.holds()] == [False, False, True]
    clock.pass_(hours=1)
    assert isinstance(sandbox.look_up("bo_2"), Approved)


def test_what_is_held_anew_under_a_key_is_found_although_another_was_let_go_of(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock, "lookup")
    sandbox.authorise(asked_for())
    sandbox.void(KEY)
    held = sandbox.authorise(asked_for())
    clock.pass_(hours=1)
    assert sandbox.look_up(KEY) == held


def test_what_the_gateway_does_not_know_is_let_go_of_and_a_capture_is_not(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock)
    sandbox.charge(asked_for())
    assert sandbox.void("bo_none") == NOTHING_HELD
    assert code_of(sandbox.void(KEY)) == "captured"
    assert sandbox.captures()[0].refunded_dts is None


def test_an_authorisation_that_is_still_on_its_way_outlives_its_void(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock, behave=lambda charge, posts: "slow")
    sandbox.authorise(asked_for())
    assert sandbox.void(KEY) == NOTHING_HELD
    clock.pass_(seconds=SLOW_SECONDS)
    assert isinstance(sandbox.look_up(KEY), Approved)
    assert isinstance(sandbox.void(KEY), Approved)
    assert code_of(sandbox.look_up(KEY)) == "voided"


def test_a_pending_authorisation_is_known_and_let_go_of(clock: ManualClock) -> None:
    sandbox = sandbox_of(clock, behave=lambda charge, posts: "pending")
    sandbox.authorise(asked_for())
    assert isinstance(sandbox.void(KEY), Approved)
    assert code_of(sandbox.look_up(KEY)) == "voided"


# --- refunds and voids that go wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", [*LOST_BEFORE, *LOST_AFTER])
def test_a_refund_that_goes_wrong_was_given_or_not_as_the_test_says(clock: ManualClock, behaviour: Behaviour) -> None:
    sandbox = sandbox_of(clock, behave_back=first_time(behaviour))
    sandbox.charge(asked_for())
    given = behaviour in LOST_AFTER
    assert not isinstance(sandbox.refund_part(part("5.00")), Approved)
    assert amounts(sandbox) == [Decimal("5.00")] * given
    assert isinstance(sandbox.look_up_refund(part("5.00")), Approved if given else NotFound)
    assert isinstance(sandbox.refund_part(part("5.00")), Approved)
    assert amounts(sandbox) == [Decimal("5.00")]
    assert not isinstance(sandbox.refund(KEY), Approved)
    assert amounts(sandbox) == [Decimal("5.00"), Decimal("12.95")][: 1 + given]
    assert isinstance(sandbox.refund(KEY), Approved)
    assert amounts(sandbox) == [Decimal("5.00"), Decimal("12.95")]


@pytest.mark.parametrize("behaviour", [*LOST_BEFORE, *LOST_AFTER])
def test_a_void_that_goes_wrong_took_effect_or_not_as_the_test_says(clock: ManualClock, behaviour: Behaviour) -> None:
    sandbox = sandbox_of(clock, behave_back=first_time(behaviour))
    sandbox.authorise(asked_for())
    assert not isinstance(sandbox.void(KEY), Approved)
    assert [hold.voided_dts is not None for hold in sandbox.holds()] == [behaviour in LOST_AFTER]
    assert isinstance(sandbox.void(KEY), Approved)
    assert [hold.voided_dts for hold in sandbox.holds()] == [clock.now()]


def test_what_goes_wrong_with_a_refund_is_told_its_key_and_how_often_it_was_posted(clock: ManualClock) -> None:
    told: list[tuple[str, int]] = []

    def behave(key: str, posts: int) -> Behaviour:
        told.append((key, posts))
        return "timeout_after_capture"

    sandbox = sandbox_of(clock, behave_back=behave)
    sandbox.charge(asked_for())
    sandbox.authorise(asked_for(key="bo_held"))
    for _ in range(2):
        assert isinstance(sandbox.refund_part(part("5.00")), Unknown)
    assert isinstance(sandbox.void("bo_held"), Unknown)
    assert isinstance(sandbox.refund(KEY), Unknown)
    assert told == [("bo_back", 1), ("bo_back", 2), ("bo_held", 1), (KEY, 1)]
    assert amounts(sandbox) == [Decimal("5.00"), Decimal("12.95")]
    assert sandbox.posts() == 2


def test_a_refund_that_is_slow_or_pending_shows_when_it_is_through(clock: ManualClock) -> None:
    script: dict[str, Behaviour] = {"bo_slow": "slow", "bo_pending": "pending", "bo_too_much": "pending"}
    sandbox = sandbox_of(clock, behave_back=lambda key, posts: script.get(key))
    sandbox.charge(asked_for())
    slow, pending = part("5.00", key="bo_slow"), part("12.95", key="bo_pending")
    assert isinstance(sandbox.refund_part(slow), Unknown)
    assert isinstance(sandbox.refund_part(pending), Pending)
    assert code_of(sandbox.refund_part(part("0.01", key="bo_too_much"))) == "too_much"
    assert sandbox.look_up_refund(slow) == NotFound()
    assert isinstance(sandbox.look_up_refund(pending), Pending)
    clock.pass_(seconds=PENDING_SECONDS)
    assert isinstance(sandbox.look_up_refund(slow), Approved)
    assert isinstance(sandbox.look_up_refund(pending), Approved)
    assert sandbox.captures()[0].refunded_dts == clock.now()


# --- the file ---------------------------------------------------------------------------------------------------------

# The ledger as it was before it knew of refunds in part and of authorisations.
OLD_SCHEMA = """
create table card (reference text primary key, behaviour text not null);
create table request (key text primary key, posts integer not null, body text not null);
create table capture (
  number integer primary key autoincrement, key text not null, amount text not null, currency text not null,
  order_id text not null, transaction_id text not null, captured_dts text not null, refunded_dts text
);
create index capture_by_key on capture (key);
insert into request values ('bo_0123456789', 1, '["17.95", "USD", "approve", "DEMO-0000001001-001"]');
insert into capture values
  (null, 'bo_0123456789', '17.95', 'USD', 'DEMO-0000001001-001', 'sb_1', '2027-01-31T20:00:00Z', null),
  (null, 'bo_given_back', '17.95', 'USD', 'DEMO-0000001002-001', 'sb_2', '2027-01-31T20:00:00Z',
   '2027-01-31T21:00:00Z');
"""


def test_a_file_from_before_goes_on_being_true(clock: ManualClock, tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    with sqlite3.connect(path) as old:
        old.executescript(OLD_SCHEMA)
    old.close()
    sandbox = Sandbox(path, now=clock.now)
    assert isinstance(sandbox.charge(asked_for()), Approved)
    assert len(sandbox.captures()) == 2, "the key was charged once more"
    assert isinstance(sandbox.refund("bo_given_back"), Approved)
    assert code_of(sandbox.refund_part(part("0.01", of="bo_given_back"))) == "too_much"
    assert sandbox.refunds() == []
    assert isinstance(sandbox.refund_part(part("5.00")), Approved)
    assert isinstance(sandbox.authorise(asked_for(key="bo_held")), Approved)
    sandbox.void("bo_held")
    sandbox.close()
    again = Sandbox(path, now=clock.now)
    assert amounts(again) == [Decimal("5.00")]
    assert [hold.voided_dts for hold in again.holds()] == [clock.now()]
    assert isinstance(again.refund(KEY), Approved)
    assert amounts(again) == [Decimal("5.00"), Decimal("12.95")]
    again.close()


# --- accounts of one file ---------------------------------------------------------------------------------------------

OLD_LEDGER = """
create table capture (
  number integer primary key autoincrement, key text not null, amount text not null, currency text not null,
  order_id text not null, transaction_id text not null, captured_dts text not null, refunded_dts text
);
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.sqlite"


def taken(sandbox: Sandbox, key: str) -> None:
    card = sandbox.tokenise("4111111111111111", 12, 2040)
    asked = Charge(key=key, amount=Decimal("9.50"), currency_code="USD", card=card, order_id=f"X-{key}", first=True)
    sandbox.charge(asked)


def test_accounts_that_share_a_ledger_list_their_own_captures_only(ledger: Path) -> None:
    now = ManualClock().now
    with (
        closing(Sandbox(ledger, now=now, shop="ACME")) as acme,
        closing(Sandbox(ledger, now=now, shop="ZENO")) as zeno,
        closing(Sandbox(ledger, now=now, shop="ACME", code="second")) as second,
    ):
        for number in range(CAPTURES_PAGE + 1):
            taken(acme, f"acme{number}")
            taken(zeno, f"zeno{number}")
        taken(second, "second")
        first = acme.captures_since(START)
        rest = acme.captures_since(START, first.cursor)
        assert {capture.key for capture in first.captures + rest.captures} == {
            f"acme{number}" for number in range(CAPTURES_PAGE + 1)
        }
        assert rest.cursor is None
        assert [capture.key for capture in second.captures_since(START).captures] == ["second"]
        assert len(acme.captures()) == 2 * CAPTURES_PAGE + 3, "the oracle sees all"


def test_a_ledger_of_the_time_when_it_had_one_account_goes_on(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as old:
        old.executescript(OLD_LEDGER)
    for _ in range(2):
        with closing(Sandbox(ledger, now=ManualClock().now, shop="ACME")) as sandbox:
            taken(sandbox, "one")
            assert [capture.key for capture in sandbox.captures_since(START).captures] == ["one"]


def test_the_sandbox_has_no_form_of_its_own() -> None:
    with closing(Sandbox(now=ManualClock().now)) as sandbox, pytest.raises(Invalid) as refused:
        sandbox.card_of("pm_1")
    assert [(p.pointer, p.code) for p in refused.value.problems] == [("/payment_method", "not_accepted")]
