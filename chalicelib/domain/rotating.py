"""Rotating transaction gateways: which of the merchant's gateway accounts takes a charge, and which one is tried after
it declines. Pure: chance is a number that the charge itself gives, so that a plan thought twice chooses the same."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Amount, Text3, Text20, Text50, on_form
from chalicelib.domain.money import ZERO
from chalicelib.domain.payments import CardType, StoredCard
from chalicelib.domain.wire import Noun, Words

# Accounts that one shop rotates over; the plan looks at each of them.
MAXIMUM_GATEWAYS = 20
# How long the next gateway waits after a decline where the merchant wants it delayed (the product page's figure).
CASCADE_DELAY_HOURS = 6
# Points that traffic shares are thrown at; a share of a ten-thousandth is still met.
POINTS = 10_000

# What a share counts for that nobody has said.
WHOLE_SHARE = 100
# Where another account of the rotation is named.
OTHERS = "/gateways/*/code"

# Shown at a field where its value is so.
NO_SHARE = {"is": 0, "message": "It takes no charge while another gateway has a share."}
NOT_WHOLE = {
    "sum": "/gateways/*/traffic_percentage",
    "over": {"status": "active"},
    "blank": WHOLE_SHARE,
    "is_not": WHOLE_SHARE,
    "message": "The shares of the active gateways add up to {sum}%, not 100%. They are weighed against each other, so "
    "none gets the very share that it says.",
}
SOON_AT_REST = {"below": 5, "message": "A few customers with empty accounts are enough to put the gateway to rest."}

Day = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
DAYS: tuple[Day, ...] = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
COMPARISONS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": lambda total, bound: total < bound,
    "<=": lambda total, bound: total <= bound,
    "=": lambda total, bound: total == bound,
    ">=": lambda total, bound: total >= bound,
    ">": lambda total, bound: total > bound,
}

COMPARED = {"<": "less than", "<=": "at most", "=": "exactly", ">=": "at least", ">": "more than"}


class RotatingGateway(Noun):
    """One account's profile. ``code`` is the gateway account's own. What is absent restricts nothing."""

    groups: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("account", "", ""),
        ("when", "Which charges it takes", "Where every account is kept out of a charge, all of them count again."),
        ("limits", "Limits", "Past a limit the account takes nothing more until the next day or month."),
        ("auto_orders", "Auto orders", ""),
        ("declines", "After a decline", ""),
    )

    words: ClassVar[Words] = {
        "code": ("Account", "One of the shop's payment accounts.", {"group": "account", "choices": "payment_accounts"}),
        "status": (
            "Status",
            "Standby accounts take charges only while none is active; where all are inactive, any may.",
            {"group": "account", "choices": ["active", "standby", "inactive"]},
        ),
        "traffic_percentage": (
            "Traffic share",
            "Shares are weighed against each other. Blank: 100.",
            {"group": "account", "unit": "%", "blank": WHOLE_SHARE, "warnings": [NO_SHARE, NOT_WHOLE]},
        ),
        "start_date": ("From", "First day that it takes charges. Blank: now.", {"group": "when"}),
        "end_date": ("Until", "Last day that it takes charges. Blank: for ever.", {"group": "when"}),
        "days_of_week": ("Days of the week", "None ticked: all.", {"group": "when", "choices": list(DAYS)}),
        "credit_cards": ("Card types", "Those that the account takes. None ticked: all.", {"group": "when"}),
        "base_currency_code": (
            "Currency",
            "The account's own, as in USD. It is preferred for its own.",
            {"group": "when"},
        ),
        "additional_native_currency_codes": (
            "More currencies",
            "That it settles as they are, as in CAD, EUR.",
            {"group": "when", "widget": "words"},
        ),
        "themes": (
            "Storefronts",
            "That it charges for, by their theme codes with commas between. Blank: all.",
            {"group": "when", "widget": "words"},
        ),
        "order_total_comparison": (
            "Order total is",
            "How the orders that it takes compare to the amount beside it. Blank: any order.",
            {"group": "when", "choices": [(sign, f"{words} ({sign})") for sign, words in COMPARED.items()]},
        ),
        "order_total": ("Amount", "Goes with the comparison.", {"group": "when", "unit": "currency"}),
        "maximum_daily": ("Most a day", "Of all charges. Blank: no limit.", {"group": "limits", "unit": "currency"}),
        "maximum_daily_auto_order": (
            "Most a day of auto orders",
            "Of rebills. Blank: no limit.",
            {"group": "limits", "unit": "currency"},
        ),
        "maximum_monthly": (
            "Most a month",
            "Of all charges. Blank: no limit.",
            {"group": "limits", "unit": "currency"},
        ),
        "deactivate_after_failures": (
            "Rest after failures",
            "So many declines in a row, and the account rests until a success. Blank: never.",
            {"group": "limits", "unit": "declines", "warnings": [SOON_AT_REST]},
        ),
        "preferred_for_auto_orders": ("Preferred for auto orders", "Rebills go here first.", {"group": "auto_orders"}),
        "rebill_auto_orders_against_this_rtg_code": (
            "Rebill at",
            "Rebills of what was bought here go to that account. Blank: wherever the rules lead.",
            {"group": "auto_orders", "choices": OTHERS},
        ),
        "cascade_code": (
            "Try next",
            "The account that is tried next. Blank: chosen by the rules from those that are left.",
            {"group": "declines", "choices": OTHERS},
        ),
        "prevent_cascade_if_response_values": (
            "No other account on",
            "Decline codes after which no other account is tried, with commas between.",
            {"group": "declines", "widget": "words"},
        ),
        "auto_order_cancel_unless_response_values": (
            "Retry only on",
            (
                "Decline codes on which an auto order is tried again another day; any other ends its "
                "retries. Blank: the retry settings alone decide."
            ),
            {"group": "declines", "widget": "words"},
        ),
    }

    code: Text50
    status: Literal["active", "standby", "inactive"] = "active"
    traffic_percentage: Annotated[Decimal, Meta(extra={"ge": 0, "le": 100})] | None = None
    start_date: date | None = None
    end_date: date | None = None
    days_of_week: list[Day] | None = None
    credit_cards: list[CardType] | None = None
    base_currency_code: Text3 | None = None
    additional_native_currency_codes: Annotated[list[Text3], Meta(max_length=50)] | None = None
    themes: Annotated[list[Text20], Meta(max_length=100)] | None = None
    order_total_comparison: Literal["<", "<=", "=", ">=", ">"] | None = None
    order_total: Amount | None = None
    maximum_daily: Amount | None = None
    maximum_daily_auto_order: Amount | None = None
    maximum_monthly: Amount | None = None
    deactivate_after_failures: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    preferred_for_auto_orders: bool | None = None
    rebill_auto_orders_against_this_rtg_code: Text50 | None = None
    cascade_code: Text50 | None = None
    prevent_cascade_if_response_values: Annotated[list[Text50], Meta(max_length=100)] | None = None
    auto_order_cancel_unless_response_values: Annotated[list[Text50], Meta(max_length=100)] | None = None


class RotatingGateways(Noun):
    """The shop's rotation. Without profiles each card is charged at the account that stores it."""

    section: ClassVar[str] = "rotating_transaction_gateways"

    gateways: (
        Annotated[
            list[RotatingGateway],
            Meta(
                max_length=MAXIMUM_GATEWAYS,
                title="Gateways",
                description="A charge goes to one of the active accounts that store the card, by chance and their "
                "shares, unless a rule below says otherwise. None: charged where the card is stored.",
                extra_json_schema=on_form(
                    entry="gateway", summary=["code", "status", "traffic_percentage"], warnings=[NOT_WHOLE]
                ),
            ),
        ]
        | None
    ) = None

    def by_code(self) -> dict[str, RotatingGateway]:
        return {one.code: one for one in self.gateways or []}


class Usage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What an account has taken this day and month, and how often it declined in a row."""

    daily: Decimal = ZERO
    daily_auto_order: Decimal = ZERO
    monthly: Decimal = ZERO
    failures: int = 0


class Wanted(msgspec.Struct, kw_only=True, frozen=True):
    """The charge that an account is chosen for. ``original``: the account of the original order; ``named``: the one
    that the cart or the auto order names; ``of_items``: accounts that the first item names which names any; ``tried``:
    those that have declined it already."""

    subject: str
    run: int
    round: int
    day: date
    total: Decimal
    currency: str
    cards: Sequence[StoredCard]
    card_type: str | None = None
    theme: str | None = None
    auto_order: bool = False
    same: bool = False
    original: str | None = None
    named: str | None = None
    of_items: Sequence[str] = ()
    tried: Sequence[str] = ()


class Chosen(msgspec.Struct, kw_only=True, frozen=True):
    """The card as the chosen account stores it, and the rules that led there: (code, parameters, setting)."""

    card: StoredCard
    notes: list[tuple[str, dict[str, Any], str | None]]


def choose(rotation: RotatingGateways, usage: Mapping[str, Usage], wanted: Wanted) -> Chosen | None:
    """The account that takes the charge, or None where the card is stored at none that has not been tried.

    Only accounts that store the card can be chosen. Of those, in this order: an account that is named for the charge,
    if it takes the card's type; else all active ones (standby ones where none is), less those that a rule keeps out;
    where every one is kept out, all of them; then chance by traffic shares.
    """
    stored = {card.gateway: card for card in wanted.cards if card.gateway not in wanted.tried}
    known = {code: one for code, one in rotation.by_code().items() if code in stored}
    notes: list[tuple[str, dict[str, Any], str | None]] = []
    if not known:
        first = next(iter(stored.values()), None)
        return Chosen(card=first, notes=notes) if first else None
    named = _named(known, rotation, wanted)
    if named is not None:
        code, why, setting = named
        notes.append((why, {"gateway": code}, setting))
        return Chosen(card=stored[code], notes=notes)
    pool = _pool(known, usage, wanted, notes)
    code = _by_chance(pool, wanted)
    notes.append(("gateway_by_share", {"gateway": code, "of": len(pool)}, "rotating_transaction_gateways"))
    return Chosen(card=stored[code], notes=notes)


def _named(
    known: Mapping[str, RotatingGateway], rotation: RotatingGateways, wanted: Wanted
) -> tuple[str, str, str | None] | None:
    """An account that is named for the charge: which, by what rule, and the setting."""
    if wanted.tried:
        declined = rotation.by_code().get(wanted.tried[-1])
        if declined is not None and declined.cascade_code and _takes(known, declined.cascade_code, wanted):
            return declined.cascade_code, "gateway_after_decline", "cascade_code"
        return None
    if wanted.auto_order and wanted.same and wanted.original and _takes(known, wanted.original, wanted):
        return wanted.original, "gateway_as_before", "use_same_rotating_transaction_gateway_for_rebills"
    if wanted.named and _takes(known, wanted.named, wanted):
        return wanted.named, "gateway_named", "rotating_transaction_gateway_code"
    bought = rotation.by_code().get(wanted.original or "") if wanted.auto_order else None
    target = bought.rebill_auto_orders_against_this_rtg_code if bought else None
    if target and _takes(known, target, wanted):
        return target, "gateway_for_rebills", "rebill_auto_orders_against_this_rtg_code"
    for code in wanted.of_items:
        if _takes(known, code, wanted):
            return code, "gateway_of_item", "rotating_transaction_gateway_codes"
    return None


def _takes(known: Mapping[str, RotatingGateway], code: str, wanted: Wanted) -> bool:
    """An account that is named and does not take the card's type, or is inactive, is passed over."""
    one = known.get(code)
    return one is not None and one.status != "inactive" and _takes_card(one, wanted)


def _takes_card(one: RotatingGateway, wanted: Wanted) -> bool:
    return not one.credit_cards or wanted.card_type is None or wanted.card_type in one.credit_cards


def _pool(
    known: Mapping[str, RotatingGateway],
    usage: Mapping[str, Usage],
    wanted: Wanted,
    notes: list[tuple[str, dict[str, Any], str | None]],
) -> list[RotatingGateway]:
    everybody = list(known.values())
    active = [one for one in everybody if one.status == "active" and not _rests(one, usage)]
    standby = [one for one in everybody if one.status == "standby" and not _rests(one, usage)]
    pool = active or standby or everybody
    if not active:
        code = "gateways_on_standby" if standby else "no_gateway_active"
        notes.append((code, {"gateways": len(pool)}, "status"))
    left = pool
    rules: tuple[tuple[str, str, Callable[[RotatingGateway], bool]], ...] = (
        ("gateway_dates", "start_date", lambda one: _open(one, wanted.day)),
        ("gateway_card_types", "credit_cards", lambda one: _takes_card(one, wanted)),
        ("gateway_themes", "themes", lambda one: not one.themes or wanted.theme in one.themes),
        ("gateway_order_total", "order_total", lambda one: _fits_total(one, wanted.total)),
        ("gateway_limits", "maximum_daily", lambda one: _within(one, usage.get(one.code, Usage()), wanted)),
    )
    for code, setting, fits in rules:
        fitting = [one for one in left if fits(one)]
        if len(fitting) < len(left):
            notes.append((code, {"kept_out": len(left) - len(fitting)}, setting))
        left = fitting
    if not left:
        notes.append(("all_gateways_kept_out", {"gateways": len(pool)}, None))
        return pool
    left = _narrowed(left, lambda one: wanted.currency in _currencies(one), "gateway_currency", notes)
    if wanted.auto_order:
        left = _narrowed(left, lambda one: bool(one.preferred_for_auto_orders), "gateway_preferred", notes)
    return left


def _narrowed(
    pool: list[RotatingGateway],
    prefers: Callable[[RotatingGateway], bool],
    code: str,
    notes: list[tuple[str, dict[str, Any], str | None]],
) -> list[RotatingGateway]:
    """Those that are preferred, where there are any."""
    preferred = [one for one in pool if prefers(one)]
    if not preferred or len(preferred) == len(pool):
        return pool
    notes.append((code, {"kept_out": len(pool) - len(preferred)}, None))
    return preferred


def _rests(one: RotatingGateway, usage: Mapping[str, Usage]) -> bool:
    most = one.deactivate_after_failures
    return most is not None and usage.get(one.code, Usage()).failures >= most


def _open(one: RotatingGateway, day: date) -> bool:
    begun = one.start_date is None or one.start_date <= day
    over = one.end_date is not None and day > one.end_date
    return begun and not over and (not one.days_of_week or DAYS[day.weekday()] in one.days_of_week)


def _fits_total(one: RotatingGateway, total: Decimal) -> bool:
    if one.order_total is None or one.order_total_comparison is None:
        return True
    return COMPARISONS[one.order_total_comparison](total, one.order_total)


def _within(one: RotatingGateway, used: Usage, wanted: Wanted) -> bool:
    limits = [(one.maximum_daily, used.daily), (one.maximum_monthly, used.monthly)]
    if wanted.auto_order:
        limits.append((one.maximum_daily_auto_order, used.daily_auto_order))
    return all(most is None or taken + wanted.total <= most for most, taken in limits)


def _currencies(one: RotatingGateway) -> list[str]:
    return [code for code in (one.base_currency_code, *(one.additional_native_currency_codes or [])) if code]


def _by_chance(pool: Sequence[RotatingGateway], wanted: Wanted) -> str:
    """By traffic shares. The charge throws its own point: the same charge chooses the same account."""
    shares = [Decimal(WHOLE_SHARE) if one.traffic_percentage is None else one.traffic_percentage for one in pool]
    if not any(shares):
        shares = [Decimal(1)] * len(pool)
    text = f"{wanted.subject}#{wanted.run}#{wanted.round}#{len(wanted.tried)}"
    point = Decimal(int.from_bytes(sha256(text.encode()).digest()[:4], "big") % POINTS) / POINTS * sum(shares)
    for one, share in zip(pool, shares, strict=True):
        if point < share:
            return one.code
        point -= share
    return pool[-1].code


def may_cascade(rotation: RotatingGateways, gateway: str, code: str) -> bool:
    """Whether another account may be tried after this account's decline."""
    one = rotation.by_code().get(gateway)
    return one is not None and code not in (one.prevent_cascade_if_response_values or [])


def is_last(rotation: RotatingGateways, gateway: str, code: str) -> bool:
    """Whether the decline ends an auto order's rounds: the account names the codes that are worth a retry."""
    one = rotation.by_code().get(gateway)
    worth = one.auto_order_cancel_unless_response_values if one else None
    return bool(worth) and code not in (worth or [])


def needs_usage(rotation: RotatingGateways) -> bool:
    """Whether any profile has a limit, so that what was taken must be read."""
    return any(
        one.maximum_daily or one.maximum_daily_auto_order or one.maximum_monthly or one.deactivate_after_failures
        for one in rotation.gateways or []
    )


def validate(rotation: RotatingGateways) -> None:
    """Rules between the fields. Raises Invalid with all problems."""
    problems: list[Problem] = []
    codes = [one.code for one in rotation.gateways or []]
    for position, one in enumerate(rotation.gateways or []):
        at = f"/gateways/{position}"
        if codes.index(one.code) != position:
            problems.append(Problem(pointer=f"{at}/code", code="conflict", message="stands there twice"))
        for name in ("cascade_code", "rebill_auto_orders_against_this_rtg_code"):
            other = getattr(one, name)
            if other is not None and (other not in codes or other == one.code):
                message = f"must be another of the gateways: {', '.join(sorted(set(codes) - {one.code})) or 'none'}"
                problems.append(Problem(pointer=f"{at}/{name}", code="not_allowed_value", message=message))
        if (one.order_total is None) != (one.order_total_comparison is None):
            message = "order_total and order_total_comparison go together"
            problems.append(Problem(pointer=f"{at}/order_total_comparison", code="required", message=message))
        if one.start_date and one.end_date and one.end_date < one.start_date:
            problems.append(Problem(pointer=f"{at}/end_date", code="out_of_range", message="is before start_date"))
    if problems:
        raise Invalid(problems)
