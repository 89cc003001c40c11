"""What a shopper's browser may say and see: a card on its way to the gateway, an order without prices, an item."""

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta

from chalicelib.domain import wire
from chalicelib.domain.consents import AutoOrderConsentRequest
from chalicelib.domain.dates import Instant
from chalicelib.domain.drafts import made
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import ItemId, Month, Quantity, Text3, Text50, Text512, Year
from chalicelib.domain.items import Item
from chalicelib.domain.orders import Order
from chalicelib.domain.placing import StorefrontOrder, order_of
from chalicelib.domain.schedule import Frequency
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.wire import Noun

S = TypeVar("S", bound=Noun)

PaymentOutcome = Literal["approved", "declined", "action_needed", "not_known_yet", "not_sent", "charged_later"]


# --- cards -----------------------------------------------------------------------------------------------------------


class CardRequest(Noun):
    """A card as it is typed. Its number goes to the gateway and nowhere else: no text of this object shows it."""

    card_number: Annotated[str, Meta(min_length=12, max_length=30, pattern=r"^[0-9 -]+$")]
    card_expiration_month: Month
    card_expiration_year: Year

    def __repr__(self) -> str:
        return "CardRequest(...)"

    def digits(self) -> str:
        """The number without what people write between its groups."""
        return re.sub(r"[ -]", "", self.card_number)


class BankAccountRequest(Noun):
    """A bank account as it is typed. Its number goes to the gateway and nowhere else, not into any text."""

    bank_aba_code: Annotated[str, Meta(pattern=r"^[0-9]{9}$")]
    bank_account_number: Annotated[str, Meta(pattern=r"^[0-9]{4,17}$")]
    bank_account_name: Text50
    bank_account_type: Literal["Checking", "Savings"] = "Checking"
    bank_owner_type: Literal["Personal", "Business"] = "Personal"

    def __repr__(self) -> str:
        return "BankAccountRequest(...)"


class BankAccountToken(Noun):
    """What stands for the account for two hours: ``bank_account_token`` of an order."""

    bank_account_token: str
    expiration_dts: Instant


def account_of(raw: Any) -> BankAccountRequest:
    """Raises Invalid with all problems."""
    return _said(raw, BankAccountRequest)


def is_aba_code(code: str) -> bool:
    """Whether the check digit of a bank's routing number is right (weights 3, 7, 1)."""
    return sum(int(digit) * weight for digit, weight in zip(code, (3, 7, 1) * 3, strict=True)) % 10 == 0


class PaymentMethodRequest(Noun):
    """What a gateway's own form made of a card. ``gateway``: the code of its account; without it the first that
    has a form."""

    payment_method: Annotated[str, Meta(min_length=1, max_length=200)]
    gateway: Annotated[str, Meta(min_length=1, max_length=30)] | None = None


class CardToken(Noun):
    """What stands for the card for two hours: ``card_token`` of an order."""

    card_token: str
    expiration_dts: Instant


def card_of(raw: Any) -> CardRequest:
    """Raises Invalid with all problems."""
    return _said(raw, CardRequest)


def payment_method_of(raw: Any) -> PaymentMethodRequest:
    """Raises Invalid with all problems."""
    return _said(raw, PaymentMethodRequest)


# Names of the three or four digits on the back of a card; a part of a name is enough, whatever is written around it.
CVV_PARTS = ("cvv", "cvc", "cvn", "securitycode", "verificationnumber", "verificationcode", "verificationvalue")
CVV_NAMES = frozenset({"cid", "csc"})


def cvv_problems(raw: Any, pointer: str = "") -> Iterator[Problem]:
    """Every field, however deep, that is named like a card verification number."""
    if isinstance(raw, dict):
        for name, value in raw.items():
            at = f"{pointer}/{name[:80].replace('~', '~0').replace('/', '~1')}"
            if _is_cvv(name):
                message = "card verification numbers are never taken here, so that none can leak; leave it out"
                yield Problem(pointer=at, code="cvv_refused", message=message)
            else:
                yield from cvv_problems(value, at)
    elif isinstance(raw, list):
        for position, value in enumerate(raw):
            yield from cvv_problems(value, f"{pointer}/{position}")


def _is_cvv(name: str) -> bool:
    letters = re.sub(r"[^a-z]", "", name.lower())
    return letters in CVV_NAMES or any(part in letters for part in CVV_PARTS)


# --- orders ----------------------------------------------------------------------------------------------------------


# What only the merchant says, in blocks that a shopper's order shares with the merchant's.
NOT_A_SHOPPERS = {
    "shipping": ("shipping_date", "tracking_numbers", "weight"),
    "checkout": ("customer_ip_address",),
}


def shoppers_order(raw: Any) -> Order:
    """The order that a shopper's request describes, not yet priced. Raises Invalid with all problems."""
    return order_of(_said(raw, StorefrontOrder, _refuse_the_merchants))


def shoppers_consent(raw: Any) -> AutoOrderConsentRequest | None:
    """What the shopper agreed to, of a request whose order was taken."""
    return wire.noun(raw, StorefrontOrder).auto_order_consent


def _refuse_the_merchants(order: StorefrontOrder) -> None:
    pointers = [
        f"/{block}/{name}"
        for block, names in NOT_A_SHOPPERS.items()
        for name in names
        if getattr(getattr(order, block), name, None) is not None
    ]
    pointers += [
        f"/items/{position}/options/{number}/{name}"
        for position, line in enumerate(order.items)
        for number, option in enumerate(line.options or [])
        for name in ("cost_change", "one_time_fee")
        if getattr(option, name) is not None
    ]
    if pointers:
        message = "is the merchant's to say; leave it out"
        raise Invalid([Problem(pointer=pointer, code="read_only", message=message) for pointer in pointers])


def _said(raw: Any, type_: type[S], *rules: Callable[[S], None]) -> S:
    """The noun, after what is named like a CVV has been put aside. Raises Invalid with all problems."""
    problems = list(cvv_problems(raw))
    if not problems:
        return made(raw, type_, *rules)
    try:
        made(_without_cvv(raw), type_, *rules)
    except Invalid as invalid:
        problems += invalid.problems
    raise Invalid(problems[: wire.MAXIMUM_PROBLEMS])


def _without_cvv(raw: Any) -> Any:
    if isinstance(raw, dict):
        return {name: _without_cvv(value) for name, value in raw.items() if not _is_cvv(name)}
    return [_without_cvv(value) for value in raw] if isinstance(raw, list) else raw


def in_a_shoppers_words(invalid: Invalid) -> Invalid:
    """The same problems, with pointers into the shopper's request instead of the order that it became."""
    return Invalid(
        [
            Problem(pointer=_in_request(problem.pointer), code=problem.code, message=problem.message)
            for problem in invalid.problems
        ]
    )


def _in_request(pointer: str) -> str:
    if pointer.startswith("/payment/credit_card"):
        return "/card_token"
    if pointer.startswith(("/payment/echeck", "/payment/payment_method")):
        return "/bank_account_token"
    if pointer.startswith("/gift_certificate"):
        return "/gift_certificate_code"
    if pointer.startswith("/summary/internal_gift_certificate_amount"):
        return "/store_credit_token"
    return re.sub(r"^(/coupons/\d+)/coupon_code$", r"\1", pointer)


# --- items -----------------------------------------------------------------------------------------------------------


class ScheduleOption(Noun):
    """One choice of how often. ``auto_order_schedule`` is what the order's line says; the choice that is called None
    says nothing."""

    name: str
    auto_order_schedule: Frequency | None = None


class StorefrontItem(Noun):
    """An item as shoppers see it. ``cost`` is what one costs now; ``auto_order_cost`` what it costs on a schedule;
    ``automatic_schedule``: it is billed again by itself, and no schedule is chosen."""

    merchant_item_id: ItemId
    cost: Decimal
    currency_code: Text3
    auto_order_cost: Decimal | None = None
    automatic_schedule: bool | None = None
    description: Text512 | None = None
    maximum_quantity: Quantity | None = None
    minimum_quantity: Quantity | None = None
    multiple_quantity: Quantity | None = None
    schedules: list[ScheduleOption] | None = None


NONE_OPTION = ScheduleOption(name="None")


def seen_item(item: Item, settings: AutoOrderProcessing, currency_code: str, now: Instant) -> StorefrontItem:
    offered, limits = item.schedules(), item.restriction
    options = [ScheduleOption(name=schedule, auto_order_schedule=schedule) for schedule in offered]
    if offered and not settings.remove_none_option:
        options.insert(0, NONE_OPTION)
    return StorefrontItem(
        merchant_item_id=item.merchant_item_id or "",
        description=item.description,
        cost=item.unit_cost(now, on_auto_order=False),
        currency_code=currency_code,
        auto_order_cost=item.unit_cost(now, on_auto_order=True) if offered else None,
        automatic_schedule=True if item.steps() else None,
        schedules=options or None,
        maximum_quantity=limits.maximum_quantity if limits else None,
        minimum_quantity=limits.minimum_quantity if limits else None,
        multiple_quantity=limits.multiple_quantity if limits else None,
    )


# --- how a payment ended ---------------------------------------------------------------------------------------------

# A bank's own reason is the merchant's to read: "reported stolen" helps nobody but a thief.
TOLD: Mapping[PaymentOutcome, str] = {
    "approved": "Thank you, the order is paid.",
    "declined": "The card was declined. Please try another card, or ask your bank.",
    "action_needed": "Your bank wants to confirm this payment with you.",
    "charged_later": "Thank you, the order is taken. The shop charges it by hand; nothing was charged yet.",
    "not_known_yet": "The payment is being processed. Please do not pay again; ask for this order a little later.",
    "not_sent": "The payment could not be made at this moment. Nothing was charged; please try again.",
}
