"""The charge protocol rule by rule: when money may be sent for, what an answer means, what is believed and when."""

from collections.abc import Callable, Iterator
from dataclasses import replace as replaced
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, get_args

import pytest

from chalicelib.domain.dates import Instant, parse_instant
from chalicelib.domain.errors import Contended, Invalid, Refused
from chalicelib.domain.heads import Head
from chalicelib.domain.items import ItemAutoOrder, ItemAutoOrderStep
from chalicelib.domain.payments import Approved, Attempt, Capabilities, Charge, Declined, NotFound, Unknown
from chalicelib.flows import charge, edit
from chalicelib.flows.rebill import RunOf, rebill
from chalicelib.gateways.sandbox import COME_BACK, PROFILES, Behaviour
from chalicelib.stores.port import Update
from chalicelib.stores.sqlite import SqliteTables
from tests.flows.test_crashes import put_card
from tests.flows.test_rebill import shown_items
from tests.worlds import MERCHANT, World

CANCEL = {"enabled": False, "canceled_by_user": "customer"}
DECLINES = "4000000000000002"


class Watched:
    """A port or a gateway between whose calls a test lets things happen: ``before`` and ``after`` are called with the
    name of the call and what it was given; an answer that ``instead`` gives stands for the call's own."""

    def __init__(self, inner: Any, *names: str) -> None:
        self._inner = inner
        self._names = names
        self.before: Callable[..., None] | None = None
        self.after: Callable[..., None] | None = None
        self.instead: Callable[..., Any] | None = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._names:
            return found

        def watched(*given: Any, **named: Any) -> Any:
            if self.before:
                self.before(name, *given)
            if self.instead and (answer := self.instead(name, *given)) is not None:
                return answer
            answer = found(*given, **named)
            if self.after:
                self.after(name, *given)
            return answer

        return watched


def once(act: Callable[[], Any], *, when: Callable[..., bool] = lambda *given: True) -> Callable[..., None]:
    """``act``, at the first call that ``when`` is true of, and never again (not while it acts either)."""
    waits = [True]

    def happens(*given: Any) -> None:
        if waits and when(*given):
            waits.clear()
            act()

    return happens


def is_claim(name: str, *changes: Any) -> bool:
    """The write that opens an attempt, or gives a fresh permission to send it."""
    return name == "write" and len(changes) == 1 and isinstance(changes[0], Update) and "fence" in changes[0].set


def is_settling(name: str, *changes: Any) -> bool:
    return name == "write" and len(changes) > 1 and any(getattr(c, "sk", "") == "head" for c in changes)


class Scene:
    """A world with one subscriber whose rebill is due now, watched at the port and at the gateway."""

    def __init__(
        self,
        profile: str = "full",
        behaviour: Behaviour | None = None,
        *,
        lines: dict[str, str | None] | None = None,
        capabilities: Capabilities | None = None,
        **rules: Any,
    ) -> None:
        self.behaviour = behaviour
        self.tables = SqliteTables()
        self.port = Watched(self.tables, "write", "get", "get_many")
        made: list[Watched] = []

        def watch(sandbox: Any) -> Watched:
            made.append(Watched(sandbox, "charge", "look_up", "refund"))
            return made[-1]

        self.world = World(
            capabilities=capabilities or PROFILES[profile], behave=self._behave, port=self.port, gateway=watch
        ).open(**rules)
        self.gateway = made[-1]
        self.oid = self.world.subscribe(lines)
        self.world.tell_all()
        due = self.world.next_due()
        assert due is not None
        self.world.clock.go(due)
        self.posts_before = self.world.sandbox.posts()

    def _behave(self, charged: Charge, posts: int) -> Behaviour | None:
        """The first post of the first try of a rebill behaves as the scene says; every other as its card says."""
        first = charged.order_id.endswith("-001") and posts == 1 and self.posts == 1
        return self.behaviour if first else None

    @property
    def posts(self) -> int:
        return self.world.sandbox.posts() - getattr(self, "posts_before", 0)

    @property
    def head(self) -> Head:
        return self.world.head(self.oid)

    def visit(self, *, by_hand: bool = False) -> Any:
        return rebill(self.world.shop, self.oid, by_hand=by_hand)

    def edit(self, **raw: Any) -> None:
        edit.update(self.world.shop, self.oid, raw)

    def cancel(self) -> None:
        self.edit(**CANCEL)

    def pause(self) -> None:
        edit.pause(self.world.shop, self.oid)

    def re_date(self, day: str) -> None:
        moment = f"{day}T00:00:00-05:00"
        self.edit(items=[{**item, "next_shipment_dts": moment} for item in shown_items(self.world, self.oid)])

    def outcomes(self) -> list[str]:
        return [row.outcome for row in self.world.shop.auto_orders.attempts(self.oid)]

    def captured(self) -> list[Any]:
        """What was taken for rebills and not given back."""
        return [c for c in self.world.sandbox.captures()[1:] if c.refunded_dts is None]

    def notices(self, template: str) -> list[Any]:
        self.world.tell_all()
        return [m for m in self.world.shop.mails.of(f"auto_order#{self.oid}") if m.template == template]

    def attempt(self) -> Attempt:
        attempt = self.head.attempt
        assert attempt is not None
        return attempt


# --- when money may be sent for --------------------------------------------------------------------------------------


def test_a_worker_that_was_frozen_after_its_claim_asks_again_before_it_sends() -> None:
    scene = Scene()
    owners: list[str] = []
    scene.gateway.before = lambda name, *given: owners.append(scene.attempt().owner)

    def freeze() -> None:
        owners.append(scene.attempt().owner)
        scene.world.clock.pass_(seconds=11)

    scene.port.after = once(freeze, when=is_claim)
    assert scene.visit().success
    assert len(set(owners)) == 2, "it was sent under the old permission"
    assert (scene.posts, scene.head.run, len(scene.captured())) == (1, 2, 1)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_worker_that_was_frozen_during_a_cancel_sends_nothing_and_closes_its_attempt(profile: str) -> None:
    scene = Scene(profile)

    def freeze() -> None:
        scene.world.clock.pass_(seconds=11)
        scene.cancel()

    scene.port.after = once(freeze, when=is_claim)
    assert not scene.visit().success
    assert scene.posts == 0
    assert scene.head.attempt is None, "it surely was not sent: nothing is left to find out"
    assert scene.outcomes() == ["not_sent"]
    scene.world.travel(3)
    assert (scene.posts, scene.head.status, scene.head.due_dts) == (0, "canceled", None)


def test_a_worker_that_wakes_after_its_lease_does_not_send_what_another_has_sent() -> None:
    scene = Scene()
    other: list[Any] = []

    def freeze() -> None:
        scene.world.clock.pass_(minutes=7)
        other.append(scene.visit())

    scene.port.after = once(freeze, when=is_claim)
    late = scene.visit()
    assert other
    assert not late.success
    assert (scene.posts, scene.head.run, len(scene.captured())) == (1, 2, 1)
    scene.world.check(scene.oid)


def test_a_permission_that_grew_old_while_it_was_asked_for_is_asked_for_again() -> None:
    scene = Scene()
    fences: list[int] = []
    slow = iter([11, 11])

    def dawdle(name: str, *changes: Any) -> None:
        if is_claim(name, *changes):
            scene.world.clock.pass_(seconds=next(slow, 0))

    scene.port.after = dawdle
    scene.gateway.before = lambda name, *given: fences.append(scene.head.fence)
    scene.visit()
    age = scene.world.rebills(scene.oid)[0]
    assert fences == [3], "sent within ten seconds of the third permission"
    assert age.charge_key is not None


@pytest.mark.parametrize("profile", PROFILES)
def test_what_a_second_permission_could_not_send_is_released_too(profile: str) -> None:
    scene = Scene(profile, "not_sent")
    scene.port.after = once(lambda: scene.world.clock.pass_(seconds=11), when=is_claim)
    scene.visit()
    assert scene.head.attempt is None
    assert (scene.outcomes(), scene.head.round) == (["not_sent"], 0)
    scene.world.travel(1)
    assert len(scene.world.rebills(scene.oid)) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_is_sent_with_less_time_left_than_a_gateway_call_and_its_settling_may_take(profile: str) -> None:
    scene = Scene(profile)
    with pytest.raises(Contended):
        rebill(replaced(scene.world.shop, time_left=lambda: 29.0), scene.oid)
    assert (scene.posts, scene.head.attempt, scene.head.fence) == (0, None, 0)
    left = iter([60.0, 29.0])
    rebill(replaced(scene.world.shop, time_left=lambda: next(left)), scene.oid)
    assert (scene.posts, scene.head.attempt, scene.outcomes()) == (0, None, ["not_sent"])
    scene.world.travel(1)
    assert len(scene.world.rebills(scene.oid)) == 1


def test_a_claim_whose_answer_was_lost_is_known_again_but_not_sent_where_a_cancel_came_in_between() -> None:
    for cancels in (False, True):
        scene = Scene()

        def lose(scene: Scene = scene, cancels: bool = cancels) -> None:
            if cancels:
                scene.cancel()
            raise Refused(0, None)

        scene.port.after = once(lose, when=is_claim)
        scene.visit()
        assert scene.posts == (0 if cancels else 1)
        assert scene.head.attempt is None
        scene.world.check(scene.oid)


def test_two_visits_of_which_one_claims_first_charge_once() -> None:
    scene = Scene()
    scene.port.before = once(scene.visit, when=is_claim)
    assert scene.visit().failure_reason == "it is being billed at this moment"
    assert (scene.posts, scene.head.run) == (1, 2)


@pytest.mark.parametrize("what", ["cancel", "disable", "pause", "re-date", "address"])
def test_a_claim_thought_out_before_an_edit_is_refused(what: str) -> None:
    scene = Scene()
    edits: dict[str, Callable[[], None]] = {
        "cancel": scene.cancel,
        "disable": lambda: scene.edit(enabled=False),
        "pause": scene.pause,
        "re-date": lambda: scene.re_date("2027-03-10"),
        "address": lambda: scene.edit(original_order={"shipping": {"postal_code": "10002"}}),
    }
    scene.port.before = once(edits[what], when=is_claim)
    assert not scene.visit().success
    assert (scene.posts, scene.head.attempt) == (0, None)


def test_an_auto_order_is_planned_from_a_document_no_older_than_its_head() -> None:
    """A batch read is no snapshot: it may give the document before an edit and the head after it."""
    scene = Scene()
    key = f"{MERCHANT}#{scene.oid}"
    old = scene.tables.get("auto_orders", key, "document")
    scene.pause()

    def torn(name: str, table: str, keys: Any, *rest: Any) -> Any:
        if name == "get_many" and (key, "document") in keys:
            return [old if sk == "document" else scene.tables.get(table, pk, sk) for pk, sk in keys]
        return None

    scene.port.instead = torn
    scene.visit()
    assert scene.posts == 0, "a paused item was charged"


# --- what an answer means --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
def test_what_was_not_sent_is_released_counts_for_nothing_and_is_tried_again_soon(profile: str) -> None:
    scene = Scene(profile, "not_sent")
    scene.visit()
    head = scene.head
    assert (head.attempt, head.round, head.lease_until, scene.outcomes()) == (None, 0, None, ["not_sent"])
    assert head.due_dts is not None
    assert timedelta() < head.due_dts - scene.world.clock.now() <= timedelta(minutes=10)
    scene.world.travel(1)
    assert len(scene.world.rebills(scene.oid)) == 1
    assert len({scene.world.rebills(scene.oid)[0].charge_key, *keys_of(scene)}) == 2


def keys_of(scene: Scene) -> list[str]:
    return [row.attempt.key for row in scene.world.shop.auto_orders.attempts(scene.oid)]


def test_a_pending_payment_stays_open_until_it_is_settled_and_is_never_posted_again() -> None:
    scene = Scene("full", "pending")
    scene.visit()
    assert scene.attempt().pending
    scene.world.travel(4)
    assert (scene.posts, scene.head.run, scene.head.attempt) == (1, 2, None)
    scene.world.check(scene.oid)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_pending_payment_that_cannot_be_found_any_more_is_decided_by_a_person(profile: str) -> None:
    scene = Scene(profile, "pending")
    scene.visit()
    scene.gateway.instead = lambda name, *given: NotFound() if name == "look_up" else None
    scene.world.travel(5)
    assert scene.posts == 1
    assert scene.attempt().review_dts is not None
    assert len(scene.notices("held")) == 1
    scene.gateway.instead = None
    if PROFILES[profile].lookup:
        scene.world.travel(5)
        scene.world.check(scene.oid)
        assert len(scene.world.rebills(scene.oid)) == 1


def test_a_payment_that_needs_the_customer_counts_as_a_soft_decline_and_the_customer_gets_the_link() -> None:
    scene = Scene("full", "action_needed")
    scene.visit()
    assert (scene.head.round, scene.head.status, scene.head.attempt) == (1, "active", None)
    notice = scene.notices("action_needed")[0]
    assert notice.facts["url"] == "https://bank.example/verify"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("wrong", ["amount", "currency"])
def test_a_capture_of_another_amount_is_no_approval_and_is_decided_by_a_person(profile: str, wrong: str) -> None:
    scene = Scene(profile)

    def cheat(name: str, *given: Any) -> Any:
        plan = scene.attempt().plan
        if wrong == "amount":
            return Approved(transaction_id="t", amount=plan.total - 1, currency_code=plan.currency)
        return Approved(transaction_id="t", amount=plan.total, currency_code="CAD")

    scene.gateway.instead = cheat
    assert scene.visit().failure_reason == "outcome not known yet"
    assert scene.attempt().review_dts is not None
    assert len(scene.notices("held")) == 1
    scene.world.travel(40)
    assert scene.attempt().review_dts is not None, "no look closes it: a person decides"
    assert len(scene.notices("held")) == 1
    assert scene.world.rebills(scene.oid) == []


def test_an_outcome_is_recorded_though_the_tables_are_busy() -> None:
    scene = Scene("neither")
    busy = iter([True] * 3)

    def contend(name: str, *changes: Any) -> None:
        if is_settling(name, *changes) and next(busy, False):
            raise Contended("busy")

    scene.port.before = contend
    assert scene.visit().success
    assert (len(scene.world.rebills(scene.oid)), scene.head.attempt) == (1, None)


def test_every_decline_uses_a_round_and_a_key_of_its_own() -> None:
    scene = Scene(number_of_retries=3, delay_between_retries_days=1)
    put_card(scene.world, scene.oid, DECLINES)
    scene.world.travel(5, twice=True)
    assert (scene.posts, scene.head.round, scene.head.status) == (3, 3, "disabled")
    assert len(set(keys_of(scene))) == 3
    declines = {row.subject for row in scene.world.due("events")}
    assert declines == set()


# --- an unknown outcome ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["full", "keys"])
def test_inside_the_window_the_same_key_is_posted_again(profile: str) -> None:
    scene = Scene(profile, "timeout_before_capture")
    scene.visit()
    key = scene.attempt().key
    scene.world.travel(1)
    assert (scene.posts, scene.head.run) == (2, 2)
    assert scene.world.rebills(scene.oid)[0].charge_key == key
    scene.world.check(scene.oid)


def test_outside_the_window_the_same_key_is_never_posted_again() -> None:
    scene = Scene("full", "timeout_before_capture")
    scene.visit()
    key = scene.attempt().key
    scene.world.clock.pass_(hours=23, minutes=1)
    scene.world.work()
    assert (scene.posts, scene.attempt().missing) == (1, 1)
    scene.world.travel(1)
    assert scene.outcomes() == ["not_charged"]
    assert scene.world.rebills(scene.oid)[0].charge_key != key
    scene.world.check(scene.oid)


def test_a_short_window_is_left_before_its_end() -> None:
    short = Capabilities(idempotency_window=240, lookup=True, refund=True)
    scene = Scene(behaviour="timeout_before_capture", capabilities=short)
    scene.visit()
    key = scene.attempt().key
    scene.world.clock.pass_(seconds=181)
    scene.visit()
    assert scene.posts == 1
    scene.world.travel(1)
    assert scene.world.rebills(scene.oid)[0].charge_key != key


def test_with_look_ups_only_the_quarantine_passes_and_two_looks_ten_minutes_apart_find_nothing() -> None:
    scene = Scene("lookup", "timeout_before_capture")
    looks: list[Instant] = []
    scene.gateway.before = lambda name, *given: looks.append(scene.world.clock.now()) if name == "look_up" else None
    sent = scene.world.clock.now()
    scene.visit()
    key = scene.attempt().key
    posts_at: list[Instant] = []
    scene.gateway.after = lambda name, *given: posts_at.append(scene.world.clock.now()) if name == "charge" else None
    scene.world.travel(1)
    assert scene.outcomes() == ["not_charged"]
    settled_looks = [at for at in looks if at - sent >= timedelta(minutes=40)]
    assert len(settled_looks) == 2
    assert settled_looks[1] - settled_looks[0] >= timedelta(minutes=10)
    assert posts_at[0] >= settled_looks[1]
    assert scene.world.rebills(scene.oid)[0].charge_key != key
    scene.world.check(scene.oid)


def test_with_nothing_to_ask_a_person_decides_and_nothing_is_ever_charged_again_by_itself() -> None:
    scene = Scene("neither", "timeout_after_capture")
    scene.visit()
    scene.world.travel(60, twice=True)
    assert (scene.posts, scene.head.run, scene.head.round) == (1, 1, 0)
    assert scene.attempt().review_dts is not None
    assert scene.head.due_dts is not None
    assert len(scene.notices("held")) == 1


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("meanwhile", ["cancel", "disable", "pause", "re-date", "restart"])
def test_what_was_changed_meanwhile_is_never_posted_again_under_its_key(profile: str, meanwhile: str) -> None:
    scene = Scene(profile, "timeout_before_capture")
    scene.visit()
    key = scene.attempt().key
    match meanwhile:
        case "cancel":
            scene.cancel()
        case "disable":
            scene.edit(enabled=False)
        case "pause":
            scene.pause()
        case "re-date":
            scene.re_date("2027-03-20")
        case "restart":
            scene.cancel()
            scene.edit(enabled=True)
    assert scene.head.due_dts == scene.world.clock.now(), "looked at at once"
    scene.world.travel(2, twice=True)
    posted = {key} if meanwhile != "restart" or not PROFILES[profile].lookup else {key, charge_key(scene)}
    assert scene.posts == len(posted)
    if PROFILES[profile].lookup:
        assert scene.outcomes() == ["not_charged"]
        assert scene.head.attempt is None
    else:
        assert scene.attempt().review_dts is not None
    scene.world.check(scene.oid)


def charge_key(scene: Scene) -> str:
    return str(scene.world.rebills(scene.oid)[0].charge_key)


def test_a_resolver_that_found_nothing_closes_nothing_that_another_was_given_permission_to_send() -> None:
    """Its conclusion is as old as its look; whoever may send since has made it worthless."""
    scene = Scene("full", "timeout_before_capture")
    scene.visit()
    scene.world.clock.pass_(hours=23, seconds=1)
    scene.visit()
    scene.world.clock.pass_(minutes=11)
    assert scene.attempt().missing == 1

    def another_permits_itself() -> None:
        other = RunOf(scene.world.shop, scene.oid)
        assert charge._authorised_again(scene.world.shop, other) is not None

    scene.port.before = once(another_permits_itself, when=is_settling)
    scene.visit()
    assert scene.head.attempt is not None, "closed though it may just be sent"


def test_an_attempt_is_left_alone_while_its_lease_lasts_and_before_its_next_look() -> None:
    scene = Scene("full", "timeout_after_capture")
    asked: list[str] = []
    scene.gateway.before = lambda name, *given: asked.append(name)
    scene.visit()
    for _ in range(3):
        scene.visit()
    assert asked == ["charge"]
    scene.world.clock.pass_(seconds=60)
    scene.visit()
    assert asked == ["charge", "look_up"]
    assert scene.head.run == 2


def test_an_unknown_outcome_uses_no_round_and_opens_no_second_attempt() -> None:
    scene = Scene("full")
    scene.gateway.instead = lambda name, *given: Unknown(reason="down")
    for _ in range(6):
        scene.visit()
        scene.world.clock.pass_(minutes=20)
    assert (scene.head.round, scene.head.tries, scene.outcomes()) == (0, 1, [])
    assert scene.head.due_dts is not None


# --- what is learnt late ---------------------------------------------------------------------------------------------


def closed_then_captured(profile: str = "lookup") -> tuple[Scene, Attempt, Charge]:
    """An attempt that was closed as not charged, whose request then arrives at the gateway after all."""
    scene = Scene(profile, "timeout_before_capture")
    requests: list[Charge] = []
    scene.gateway.before = lambda name, *given: requests.append(given[0]) if name == "charge" else None
    scene.visit()
    attempt = scene.attempt()
    while scene.head.attempt is not None:
        due = scene.head.due_dts
        assert due is not None
        scene.world.clock.go(due)
        scene.visit()
    return scene, attempt, requests[0]


def test_a_capture_of_a_closed_attempt_whose_run_is_not_paid_gets_its_order_flagged_late() -> None:
    scene, attempt, request = closed_then_captured()
    approved = scene.world.sandbox.charge(request)
    for _ in range(2):
        work = RunOf(scene.world.shop, scene.oid)
        charge.record(scene.world.shop, work, attempt, approved)
    orders = scene.world.rebills(scene.oid)
    assert [(order.late, order.charge_key) for order in orders] == [(True, attempt.key)]
    assert scene.head.run == 2
    scene.world.travel(20)
    scene.world.check(scene.oid)
    assert len(scene.captured()) == 1


def test_a_second_capture_of_a_paid_run_is_announced_and_given_back() -> None:
    scene, attempt, request = closed_then_captured()
    scene.visit()
    assert scene.head.run == 2
    approved = scene.world.sandbox.charge(request)
    assert len(scene.captured()) == 2
    charge.record(scene.world.shop, RunOf(scene.world.shop, scene.oid), attempt, approved)
    assert len(scene.captured()) == 1
    assert [(row.outcome, row.reason) for row in scene.world.shop.auto_orders.attempts(scene.oid)] == [
        ("late_refunded", "given back")
    ]
    assert len(scene.notices("held")) == 1
    scene.world.check(scene.oid)


def test_a_second_capture_while_another_attempt_is_open_is_given_back() -> None:
    scene, attempt, request = closed_then_captured()
    scene.gateway.instead = lambda name, *given: Unknown(reason="down") if name == "charge" else None
    scene.visit()
    assert scene.head.attempt is not None
    scene.gateway.instead = None
    approved = scene.world.sandbox.charge(request)
    charge.record(scene.world.shop, RunOf(scene.world.shop, scene.oid), attempt, approved)
    assert scene.captured() == []
    scene.world.travel(3)
    assert len(scene.world.rebills(scene.oid)) == 1
    scene.world.check(scene.oid)


def is_giving_back(name: str, *changes: Any) -> bool:
    rows = (str(getattr(change, "record", {}).get("document", "")) for change in changes)
    return name == "write" and any('"late_refunded"' in row for row in rows)


@pytest.mark.parametrize("moment", ["before it is written down", "while the gateway gives it back"])
def test_a_capture_is_given_back_or_gets_its_order_never_both(moment: str) -> None:
    """Two hear of it: the one while another attempt is open, the other when that has been closed meanwhile."""
    scene, attempt, request = closed_then_captured()
    scene.gateway.instead = lambda name, *given: Unknown(reason="down") if name == "charge" else None
    scene.visit()
    scene.gateway.instead = None
    approved = scene.world.sandbox.charge(request)

    def hear() -> None:
        charge.record(scene.world.shop, RunOf(scene.world.shop, scene.oid), attempt, approved)

    def close_the_other_and_hear() -> None:
        while scene.head.attempt is not None:
            scene.world.clock.go(scene.head.due_dts or scene.world.clock.now())
            scene.visit()
        hear()

    if moment == "before it is written down":
        scene.port.before = once(close_the_other_and_hear, when=is_giving_back)
    else:
        scene.gateway.before = once(close_the_other_and_hear, when=lambda name, *given: name == "refund")
    hear()
    scene.world.travel(3)
    scene.world.check(scene.oid)
    assert len(scene.world.rebills(scene.oid)) == len(scene.captured()) == 1


def test_a_refund_whose_outcome_is_not_known_is_asked_for_again_and_else_a_person_is_told() -> None:
    for failures, told in ((2, "given back"), (99, "could not be given back")):
        scene, attempt, request = closed_then_captured()
        scene.visit()
        approved = scene.world.sandbox.charge(request)
        down = iter([True] * failures)
        scene.gateway.instead = lambda name, *given, down=down: (
            Unknown(reason="timed out") if name == "refund" and next(down, False) else None
        )
        charge.record(scene.world.shop, RunOf(scene.world.shop, scene.oid), attempt, approved)
        row = scene.world.shop.auto_orders.attempts(scene.oid)[0]
        assert row.reason.startswith(told)
        assert len(scene.captured()) == (1 if told == "given back" else 2)
        messages = [mail.facts["message"] for mail in scene.notices("held")]
        assert any(told in message or told == "given back" for message in messages)
        assert messages


def test_a_second_capture_is_announced_before_it_is_given_back_so_that_a_crash_hides_nothing() -> None:
    scene, attempt, request = closed_then_captured()
    scene.visit()
    approved = scene.world.sandbox.charge(request)

    class Crash(BaseException):
        pass

    def crash(name: str, *given: Any) -> None:
        raise Crash

    scene.gateway.before = crash
    with pytest.raises(Crash):
        charge.record(scene.world.shop, RunOf(scene.world.shop, scene.oid), attempt, approved)
    assert scene.outcomes() == ["late_refunded"]
    assert len(scene.notices("held")) == 1


def test_a_decline_or_an_unknown_that_is_learnt_late_changes_nothing() -> None:
    scene, attempt, _ = closed_then_captured()
    before = scene.head
    for outcome in (Declined(code="05", reason="no"), Unknown(reason="?")):
        charge.record(scene.world.shop, RunOf(scene.world.shop, scene.oid), attempt, outcome)
    assert scene.head == before


# --- whatever the gateway does ---------------------------------------------------------------------------------------

# What comes back once it is settled is heard of by the daily walk alone: tests/flows/test_returns.py.
BEHAVIOURS: list[Behaviour] = [behaviour for behaviour in get_args(Behaviour) if behaviour not in COME_BACK]


def restart(scene: Scene) -> None:
    scene.edit(enabled=False)
    scene.edit(enabled=True)


MEANWHILE: dict[str, Callable[[Scene], None]] = {
    "nothing happens": lambda scene: None,
    "it is canceled": Scene.cancel,
    "it is paused": Scene.pause,
    "it is re-dated": lambda scene: scene.re_date("2027-03-20"),
    "it is disabled and enabled again": restart,
}


@pytest.mark.parametrize("meanwhile", MEANWHILE)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_each_capture_is_an_order_or_under_review_and_nothing_is_sent_after_an_edit_forbade_it(
    behaviour: Behaviour, profile: str, meanwhile: str
) -> None:
    """The first post behaves so, every later one is approved."""
    scene = Scene(profile, behaviour, number_of_retries=3, delay_between_retries_days=1)
    scene.visit()
    MEANWHILE[meanwhile](scene)
    scene.world.travel(8, twice=True)
    scene.world.check(scene.oid, at_rest=scene.head.attempt is None)
    orders = scene.world.rebills(scene.oid)
    reviewed = {scene.attempt().key} if scene.head.attempt else set()
    assert all(scene.attempt().review_dts for _ in reviewed)
    assert {capture.key for capture in scene.captured()} <= {order.charge_key for order in orders} | reviewed
    assert len(orders) <= 1
    if meanwhile in ("it is canceled", "it is paused", "it is re-dated"):
        assert scene.posts == 1, "sent after the edit"
    if meanwhile == "it is canceled" and scene.head.attempt is None:
        assert (scene.head.status, scene.head.due_dts) == ("canceled", None)
    if meanwhile == "nothing happens" and not reviewed:
        hard = behaviour in ("lost_card", "stolen_card", "closed_account")
        assert (len(orders), scene.head.status) == ((0, "disabled") if hard else (1, "active"))


# --- edits while an attempt is open ----------------------------------------------------------------------------------


def test_who_disables_an_auto_order_during_its_retry_has_it_stay_disabled() -> None:
    world_of_retry = Scene(number_of_retries=3, delay_between_retries_days=1)
    scene = world_of_retry
    put_card(scene.world, scene.oid, DECLINES)
    scene.visit()
    assert scene.head.round == 1
    put_card(scene.world, scene.oid, "4111111111111111")
    scene.world.clock.pass_(days=1)
    scene.gateway.before = once(lambda: scene.edit(enabled=False), when=lambda name, *given: name == "charge")
    scene.visit()
    assert [order.late for order in scene.world.rebills(scene.oid)] == [True]
    assert scene.head.status == "disabled"
    scene.world.travel(60)
    assert len(scene.captured()) == 1, "charged after it was disabled"


def test_an_attempt_by_hand_is_for_what_declines_disabled_not_for_what_somebody_did() -> None:
    scene = Scene(number_of_retries=3, delay_between_retries_days=1)
    put_card(scene.world, scene.oid, DECLINES)
    scene.visit()
    scene.edit(enabled=False)
    put_card(scene.world, scene.oid, "4111111111111111")
    assert not scene.visit(by_hand=True).attempted
    assert (scene.head.status, scene.captured()) == ("disabled", [])


def test_a_customer_may_cancel_what_declines_have_disabled_and_nobody_bills_it_by_hand_then() -> None:
    scene = Scene(number_of_retries=1)
    put_card(scene.world, scene.oid, DECLINES)
    scene.visit()
    statuses = [scene.head.status]
    scene.cancel()
    assert [*statuses, scene.head.status] == ["disabled", "canceled"]
    put_card(scene.world, scene.oid, "4111111111111111")
    assert not scene.visit(by_hand=True).attempted
    assert scene.captured() == []


def test_an_attempt_by_hand_on_what_declines_disabled_bills_it_and_enables_it() -> None:
    scene = Scene(number_of_retries=1)
    put_card(scene.world, scene.oid, DECLINES)
    scene.visit()
    put_card(scene.world, scene.oid, "4111111111111111")
    assert scene.visit(by_hand=True).success
    assert (scene.head.status, scene.head.round, scene.head.due_dts is None) == ("active", 0, False)


def test_an_attempt_by_hand_that_finds_an_open_one_says_what_became_of_it() -> None:
    scene = Scene("full", "timeout_after_capture")
    scene.visit()
    scene.world.clock.pass_(seconds=61)
    told = scene.visit(by_hand=True)
    assert (told.attempted, told.success, told.failure_reason) == (True, True, None)
    assert told.order_id == scene.world.rebills(scene.oid)[0].order_id


def test_a_missed_shipment_billed_while_it_is_re_dated_leaves_the_customer_her_date() -> None:
    scene = Scene(lines={"COFFEE": "Weekly"}, do_not_bill_prior_missed_shipments=True)
    scene.world.clock.pass_(days=23)
    scene.gateway.before = once(lambda: scene.re_date("2027-03-20"), when=lambda name, *given: name == "charge")
    scene.visit()
    assert len(scene.world.rebills(scene.oid)) == 1
    scene.world.travel(30)
    assert scene.world.rebill_days(scene.oid)[1:3] == ["2027-03-20", "2027-03-27"]
    scene.world.check(scene.oid)


def test_a_missed_shipment_billed_while_its_pace_changes_is_followed_by_the_next_of_the_new_pace() -> None:
    scene = Scene(lines={"COFFEE": "Weekly"}, do_not_bill_prior_missed_shipments=True)
    scene.world.clock.pass_(days=23)

    def slower() -> None:
        scene.edit(items=[{**item, "frequency": "Monthly"} for item in shown_items(scene.world, scene.oid)])

    scene.gateway.before = once(slower, when=lambda name, *given: name == "charge")
    scene.visit()
    scene.world.travel(60)
    # The first missed date was 7 February: the months are counted from there.
    assert scene.world.rebill_days(scene.oid)[1:] == ["2027-03-07", "2027-04-07"]


def test_pausing_leaves_what_is_left_of_a_price_override_as_it_was() -> None:
    scene = Scene()
    items = [
        {**item, "arbitrary_unit_cost": 5, "arbitrary_unit_cost_remaining_orders": 1}
        for item in shown_items(scene.world, scene.oid)
    ]
    scene.edit(items=items)
    scene.pause()
    scene.edit(items=[{**item, "paused": False} for item in shown_items(scene.world, scene.oid)])
    scene.world.travel(62)
    totals = [order.summary.total for order in scene.world.rebills(scene.oid) if order.summary]
    assert totals == [Decimal(5), Decimal("17.95"), Decimal("17.95")]


def test_pausing_what_is_paused_changes_nothing() -> None:
    scene = Scene()
    scene.pause()
    revision = scene.head.revision
    assert edit.pause(scene.world.shop, scene.oid) is None
    assert scene.head.revision == revision


def test_a_free_rebill_that_was_cut_short_makes_no_order_after_a_cancel() -> None:
    for cancels in (False, True):
        scene = Scene()
        scene.edit(items=[{**item, "arbitrary_unit_cost": 0} for item in shown_items(scene.world, scene.oid)])

        class Crash(BaseException):
            pass

        def crash(crash_: type[BaseException] = Crash) -> None:
            raise crash_

        scene.port.after = once(crash, when=is_claim)
        with pytest.raises(Crash):
            scene.visit()
        if cancels:
            scene.cancel()
        scene.world.travel(1)
        assert len(scene.world.rebills(scene.oid)) == (0 if cancels else 1)
        assert (scene.head.attempt, scene.posts) == (None, 0)


# --- what can fail before a send -------------------------------------------------------------------------------------


def test_a_card_of_a_gateway_that_is_gone_is_held_before_anything_is_claimed() -> None:
    scene = Scene()
    shop = replaced(scene.world.shop, payments={})
    rebill(shop, scene.oid)
    assert (scene.head.attempt, scene.head.tries, scene.head.state.held) == (None, 0, "gateway_missing")
    assert len(scene.notices("held")) == 1
    scene.world.travel(2)
    assert len(scene.world.rebills(scene.oid)) == 1


def test_an_open_attempt_at_a_gateway_that_is_gone_is_decided_by_a_person() -> None:
    scene = Scene("full", "timeout_after_capture")
    scene.visit()
    scene.world.clock.pass_(seconds=61)
    rebill(replaced(scene.world.shop, payments={}), scene.oid)
    assert scene.attempt().review_dts is not None
    scene.world.travel(2)
    assert len(scene.world.rebills(scene.oid)) == 1


def test_what_is_too_large_to_be_written_down_is_held_and_not_charged() -> None:
    scene = Scene()
    wide = [{"label": "engraving", "value": "x" * 1024}] * 3
    more = [
        {"original_item_id": "TEA", "original_quantity": 1, "frequency": "Monthly", "options": wide} for _ in range(92)
    ]
    scene.edit(items=[*shown_items(scene.world, scene.oid), *more])
    scene.world.travel(1)
    assert (scene.posts, scene.head.attempt, scene.head.state.held) == (0, None, "order_unwritable")
    scene.edit(items=shown_items(scene.world, scene.oid)[:1])
    scene.world.travel(1)
    assert len(scene.world.rebills(scene.oid)) == 1


def test_what_cannot_be_written_down_after_the_claim_leaves_the_attempt_open() -> None:
    scene = Scene()

    def too_large(name: str, *changes: Any) -> None:
        if is_settling(name, *changes):
            raise Invalid.one("", "too_large", "the record would be larger than 300 KB")

    scene.port.before = too_large
    with pytest.raises(Invalid):
        scene.visit()
    key = scene.attempt().key
    scene.port.before = None
    scene.world.travel(1)
    assert [order.charge_key for order in scene.world.rebills(scene.oid)] == [key]
    scene.world.check(scene.oid)


def test_what_could_not_be_read_again_is_held_and_not_charged() -> None:
    scene = Scene()
    order_id = scene.world.order({"COFFEE": "Monthly"}, order_id="LONG-" + "9" * 25)
    oid = scene.world.shop.auto_orders.oid_by_original_order(order_id)
    assert oid is not None
    before = scene.world.sandbox.posts()
    scene.world.clock.go(scene.world.bills_at(oid))
    rebill(scene.world.shop, oid)
    orders = scene.world.sandbox.posts() - before
    assert orders == len(scene.world.rebills(oid)), "charged for an order that cannot be read"


def test_an_order_id_that_somebody_has_taken_costs_a_number_not_a_capture() -> None:
    scene = Scene()
    original = scene.world.document(scene.oid).original_order_id
    scene.world.place({"TEA": None}, order_id=f"{original}-001")
    assert scene.visit().success
    order = scene.world.shop.orders.get(f"{original}-002").noun
    assert (order.run, order.charge_key, scene.head.run) == (2, scene.captured()[0].key, 3)
    scene.world.travel(31)
    assert [c.refunded_dts for c in scene.world.sandbox.captures()] == [None] * 3


def test_an_order_id_that_somebody_has_taken_is_no_second_capture_where_an_answer_was_lost() -> None:
    scene = Scene()
    original = scene.world.document(scene.oid).original_order_id
    scene.world.place({"TEA": None}, order_id=f"{original}-001")

    def lose() -> None:
        raise Refused(0, None)

    scene.port.after = once(lose, when=is_settling)
    scene.visit()
    assert len(scene.captured()) == 1, "the run's own capture was given back"


# --- nobody is forgotten ---------------------------------------------------------------------------------------------


def test_an_active_auto_order_stays_in_the_due_index_though_all_its_items_are_paused() -> None:
    scene = Scene()
    scene.pause()
    scene.visit()
    assert scene.head.due_dts is not None
    scene.world.travel(20)
    assert scene.head.due_dts is not None
    assert scene.posts == 0


def test_an_item_that_was_missing_from_the_catalogue_for_a_while_is_billed_when_it_is_back() -> None:
    scene = Scene()
    step = ItemAutoOrderStep(type="item", recurring_merchant_item_id="TEA", schedule="Monthly")
    scene.world.sell("BOX", "1.00", ItemAutoOrder(auto_order_upsell=True, steps=[step]))
    oid = scene.world.subscribe({"BOX": None})
    due = scene.world.bills_at(oid)
    kept = scene.world.shop.items.get("BOX")
    scene.world.shop.write(scene.world.shop.items.removed("BOX", kept.version))
    scene.world.clock.go(due)
    rebill(scene.world.shop, oid)
    head = scene.world.head(oid)
    assert (head.status, head.due_dts is None) == ("active", False)
    scene.world.shop.write(scene.world.shop.items.inserted("BOX", kept.noun))
    scene.world.travel(2)
    assert len(scene.world.rebills(oid)) == 1


def test_an_item_missing_from_the_catalogue_ends_no_auto_order() -> None:
    scene = Scene()
    step = ItemAutoOrderStep(type="item", recurring_merchant_item_id="TEA", schedule="Monthly")
    scene.world.sell("BOX", "1.00", ItemAutoOrder(auto_order_upsell=True, steps=[step]))
    oid = scene.world.subscribe({"BOX": None, "COFFEE": "Monthly"})
    kept = scene.world.shop.items.get("BOX")
    scene.world.shop.write(scene.world.shop.items.removed("BOX", kept.version))
    ends = [
        {**item, "no_order_after_dts": "2027-03-01T00:00:00-05:00"} if item["original_item_id"] == "COFFEE" else item
        for item in shown_items(scene.world, oid)
    ]
    edit.update(scene.world.shop, oid, {"items": ends})
    scene.world.travel(40)
    assert scene.world.head(oid).status == "active"
    scene.world.shop.write(scene.world.shop.items.inserted("BOX", kept.noun))
    scene.world.travel(3)
    lines = [line.merchant_item_id for order in scene.world.rebills(oid) for line in order.items or []]
    assert "TEA" in lines


def test_a_new_pace_in_the_catalogue_keeps_the_date_that_was_told_and_bills_nothing_of_the_past() -> None:
    for before, after in (("Monthly", "Weekly"), ("Weekly", "Monthly")):
        scene = Scene()
        scene.world.sell("BOX", "1.00", ItemAutoOrder(auto_order_upsell=True, steps=[stepping(before)]))
        oid = scene.world.subscribe({"BOX": None})
        scene.world.travel(95)
        billed = scene.world.rebill_days(oid)
        told = next(i["next_shipment_dts"] for i in shown_items(scene.world, oid))[:10]
        kept = scene.world.shop.items.get("BOX")
        assert kept.noun.auto_order is not None
        kept.noun.auto_order.steps = [stepping(after)]
        scene.world.shop.write(scene.world.shop.items.replaced("BOX", kept.noun, kept.version))
        assert next(i["next_shipment_dts"] for i in shown_items(scene.world, oid))[:10] == told
        scene.world.travel(100)
        days = scene.world.rebill_days(oid)
        assert days[len(billed)] == told
        gaps = {(later - earlier).days for earlier, later in pairs(days[len(billed) :])}
        assert gaps <= ({7} if after == "Weekly" else {28, 29, 30, 31})
        scene.world.check(oid)


def stepping(schedule: Any) -> ItemAutoOrderStep:
    return ItemAutoOrderStep(type="item", recurring_merchant_item_id="TEA", schedule=schedule)


def pairs(days: list[str]) -> Iterator[tuple[Instant, Instant]]:
    return pairwise(parse_instant(f"{day}T00:00:00Z") for day in days)
