"""Why: the same plan that the worker thinks, told instead of done. And tonight's run, rehearsed."""

from datetime import date
from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace

from chalicelib.domain import aftermath, rebills, wire
from chalicelib.domain.dates import Instant, later, local_date
from chalicelib.domain.errors import Invalid
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.payments import Approved, Attempt, FrozenPlan, Spend
from chalicelib.domain.rebills import Facts, Go, Hold, Look, Planned, Reason, plan
from chalicelib.domain.settings import AutoOrderProcessing, standing
from chalicelib.flows.facts import last_shipment, read_facts
from chalicelib.flows.ports import Backroom, Shop

# How far ahead the next orders of one auto order are thought, and how many at most.
AHEAD_DAYS = 400
MOST_NEXT_ORDERS = 12
# Auto orders that one rehearsal goes through, and runs of one auto order: past it a job is needed.
MOST_AUTO_ORDERS = 20_000
MOST_RUNS = 200
PAGE = 500


class Line(msgspec.Struct, kw_only=True, frozen=True):
    """One run of a rehearsal or of the real thing: what the digest is made of."""

    auto_order_oid: int
    run: int
    items: list[str]
    total: Any
    day: date


def explained(shop: Shop, oid: int, at: Instant | None, *, next_run: bool = False) -> dict[str, Any]:
    """What would be done with the auto order at that instant (now, if none is named), rule by rule. ``next_run``: at
    the moment at which it comes to a billing next, where it does."""
    facts, _, _ = read_facts(shop, oid)
    moment = at or shop.clock.now()
    if next_run and facts.head.due_dts is not None:
        moment = rebills.next_billing(facts, max(moment, facts.head.due_dts)) or moment
    planned = plan(facts, moment)
    reasons = [*planned.reasons, *aftermath.reasons(facts, planned.decision, last_shipment(shop, facts), moment)]
    form = facts.merchant.form()
    answer: dict[str, Any] = {
        "auto_order_oid": oid,
        "at": moment,
        "decision": _decision(planned),
        "reasons": [_told(reason) for reason in reasons],
        "settings": _settings(facts.settings, reasons),
        "run": facts.head.run,
        "credit_card_attempt": facts.head.round,
        "status": facts.head.status,
    }
    if isinstance(planned.decision, Go):
        answer["plan"] = _plan(planned.decision.plan)
    if isinstance(planned.decision, Look | Hold) and planned.decision.at:
        answer["look_again"] = planned.decision.at
    return wire.whole(answer, form)  # type: ignore[no-any-return]  # a dict renders as a dict


def _told(reason: Reason) -> dict[str, Any]:
    # Of the nouns of all places; whoever asks for no explanation need not wait for them.
    from chalicelib.domain.places import place_of

    told: dict[str, Any] = {"code": reason.code, "params": reason.params}
    if reason.setting:
        told |= {"setting": reason.setting, "setting_of": place_of(reason)}
    return told


def _settings(settings: AutoOrderProcessing, reasons: list[Reason]) -> list[dict[str, Any]]:
    """Every rule of the section as it stands, and whether it decided anything here."""
    decided = {reason.setting for reason in reasons}
    return [
        {"name": rule.name, "value": rule.value, "is_set": rule.is_set, "decided": rule.name in decided}
        for rule in standing(settings)
    ]


def _decision(planned: Planned) -> str:
    return str(planned.decision.__struct_config__.tag)


def _plan(frozen: FrozenPlan) -> dict[str, Any]:
    return {
        "items": [
            {
                "auto_order_item_oid": line.oid,
                "occurrence": line.occurrence,
                "item_id": line.item_id,
                "quantity": line.quantity,
                "unit_cost": line.unit_cost,
                "discount": line.discount,
                "add_on": line.add_on,
            }
            for line in frozen.lines
        ],
        "subtotal": frozen.subtotal,
        "discount": frozen.discount,
        "shipping_method": frozen.shipping_method or "",
        "shipping": frozen.shipping - frozen.shipping_discount,
        "tax": frozen.tax,
        "total": frozen.total,
        "store_credit": frozen.spent(),
        "charged": frozen.rest(),
        "currency_code": frozen.currency,
        "coupons": frozen.coupons,
    }


def next_orders(shop: Shop, oid: int, most: int) -> dict[str, Any]:
    """The orders that the auto order makes next, with their totals, if every charge is approved and nothing is edited;
    and what stops it before there are so many. Nothing is written or sent."""
    facts, _, _ = read_facts(shop, oid)
    now = shop.clock.now()
    lines, hold = runs(facts, now, later(now, days=AHEAD_DAYS), most)
    answer: dict[str, Any] = {"orders": [msgspec.structs.asdict(line) for line in lines]}
    if hold is not None:
        answer["held"] = hold
    return wire.whole(answer, facts.merchant.form())  # type: ignore[no-any-return]  # a dict renders as a dict


def tonight(shop: Shop) -> Instant:
    """Until when a rehearsal goes where nobody says it: the last second of the window that opens next."""
    merchant = shop.configuration.remembered(Merchant)
    settings = shop.configuration.remembered(AutoOrderProcessing)
    return later(rebills.next_window(shop.clock.now(), settings, merchant.zone_name())[1], seconds=-1)


def rehearsed(shop: Shop, backroom: Backroom, until: Instant) -> dict[str, Any]:
    """Everything that would be billed or held up to then, if every charge is approved. Nothing is written or sent.

    Raises Invalid where ``until`` lies in the past.
    """
    now = shop.clock.now()
    if until < now:
        raise Invalid.one("/until", "past_date", "must be later than now")
    billed: list[Line] = []
    stopped: list[dict[str, Any]] = []
    for oid in due_oids(shop, backroom, until):
        facts, _, _ = read_facts(shop, oid)
        lines, hold = runs(facts, now, until)
        billed += lines
        if hold is not None:
            stopped.append(hold)
    merchant = shop.configuration.remembered(Merchant)
    return wire.whole(  # type: ignore[no-any-return]  # a dict renders as a dict
        {
            "from": now,
            "until": until,
            "billed": [msgspec.structs.asdict(line) for line in billed],
            "held": stopped,
            "total": sum((line.total for line in billed), start=0),
            "number_of_orders": len(billed),
            "digest": digest(billed),
        },
        merchant.form(),
    )


def digest(lines: list[Line]) -> str:
    """SHA-256 over the sorted (auto order, run, items, amount): two runs with the same digest billed the same."""
    rows = sorted([line.auto_order_oid, line.run, sorted(line.items), str(line.total)] for line in lines)
    return sha256(wire.digest_text(rows)).hexdigest()


def due_oids(shop: Shop, backroom: Backroom, until: Instant) -> list[int]:
    found: list[int] = []
    for shard in backroom.waiting.shards():
        cursor = None
        while True:
            rows, cursor = backroom.waiting.due("auto_orders", shard, until, PAGE, cursor)
            found += [int(row.subject) for row in rows if row.merchant_id == shop.merchant_id]
            if len(found) > MOST_AUTO_ORDERS:
                raise Invalid.one("/until", "too_many", f"more than {MOST_AUTO_ORDERS} auto orders are due until then")
            if cursor is None:
                break
    return sorted(found)


def runs(facts: Facts, now: Instant, until: Instant, most: int = MOST_RUNS) -> tuple[list[Line], dict[str, Any] | None]:
    """The runs of one auto order up to then, ``most`` of them, each taken as approved at the moment it would be looked
    at."""
    lines: list[Line] = []
    moment = max(now, facts.head.due_dts or now)
    for _ in range(MOST_RUNS):
        decision = plan(facts, moment).decision
        match decision:
            case Go(plan=frozen):
                lines.append(
                    Line(
                        auto_order_oid=facts.auto_order.auto_order_oid or 0,
                        run=facts.head.run,
                        items=[line.item_id for line in frozen.lines],
                        total=frozen.total,
                        day=local_date(moment, facts.zone_name()),
                    )
                )
                head = rebills.settle(facts, _attempt(facts, decision, moment), _approved(frozen), moment).head
                facts = replace(facts, credit=_left(facts.credit, frozen))
            case rebills.Remind() | rebills.Forewarn() | rebills.CardExpires() as reminder:
                head = rebills.reminded(facts, reminder, moment)
            case Look(at=again) if again is not None and again > moment:
                head = replace(facts.head, due_dts=again)
            case rebills.Postpone() as postpone:
                head = rebills.postponed(facts, postpone, moment)
            case rebills.CloseRun():
                head = rebills.closed_run(facts, moment)
            case rebills.Drop():
                head = rebills.cancel_item_dropped(facts, moment).head
            case Look() | rebills.Resolve():
                return lines, None
            case Hold(code=code, message=message) | rebills.Fail(code=code, message=message):
                return lines, {
                    "auto_order_oid": facts.auto_order.auto_order_oid,
                    "run": facts.head.run,
                    "code": code,
                    "message": message,
                }
        facts = replace(facts, head=head)
        if len(lines) >= most or head.due_dts is None or head.due_dts > until:
            break
        moment = max(moment, head.due_dts)
    return lines, None


def _attempt(facts: Facts, go: Go, moment: Instant) -> Attempt:
    return Attempt(
        kind=go.kind,
        key="rehearsal",
        owner="rehearsal",
        gateway="",
        run=facts.head.run,
        round=facts.head.round,
        tries=facts.head.tries + 1,
        revision=facts.head.revision,
        claimed_dts=moment,
        first_sent_dts=moment,
        card=go.card,
        plan=go.plan,
    )


def _left(credit: Spend | None, frozen: FrozenPlan) -> Spend | None:
    """The store credit that the runs to come may count on."""
    return replace(credit, amount=credit.amount - frozen.spent()) if credit else None


def _approved(frozen: FrozenPlan) -> Approved:
    return Approved(transaction_id="", amount=frozen.rest(), currency_code=frozen.currency)
