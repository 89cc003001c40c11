"""What a shopper agreed to when he ordered on a schedule: the terms that he was shown, what comes how often at which
price, when, and from where. Written once with the order, and never changed."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from chalicelib.domain.dates import Instant
from chalicelib.domain.fields import Amount, Quantity, Text3, Text20, Text50, Text512
from chalicelib.domain.items import Item, ItemAutoOrderStep
from chalicelib.domain.money import Currency
from chalicelib.domain.orders import Order
from chalicelib.domain.schedule import Frequency
from chalicelib.domain.wire import Noun

# Terms of a page or two; a whole contract is named by its version.
LONGEST_TERMS = 20_000
LONGEST_USER_AGENT = 512


class AutoOrderConsentRequest(Noun):
    """What the shopper ticked: the text beside the box, and the name of the version of the terms that it speaks of."""

    terms: Annotated[str, Meta(min_length=1, max_length=LONGEST_TERMS)]
    terms_version: Text50 | None = None


class Seen(msgspec.Struct, kw_only=True, frozen=True):
    """Where a request came from: the address as the gateway saw it, and the browser as it calls itself."""

    ip_address: str = ""
    user_agent: str = ""


class AutoOrderConsentItem(Noun):
    """One line that is billed again: now at ``cost``, later at ``auto_order_cost`` by the schedule that was chosen, or
    by the item's own ``steps``."""

    merchant_item_id: Text20 | None = None
    quantity: Quantity | None = None
    cost: Amount | None = None
    auto_order_schedule: Frequency | None = None
    auto_order_cost: Amount | None = None
    steps: list[ItemAutoOrderStep] | None = None


class AutoOrderConsent(Noun):
    """The record, as it was written with the order."""

    order_id: str | None = None
    accepted_dts: Instant | None = None
    ip_address: Text50 | None = None
    user_agent: Text512 | None = None
    terms: Annotated[str, Meta(max_length=LONGEST_TERMS)] | None = None
    terms_version: Text50 | None = None
    currency_code: Text3 | None = None
    items: list[AutoOrderConsentItem] | None = None


def given(
    request: AutoOrderConsentRequest, order: Order, items: Mapping[str, Item], seen: Seen, now: Instant
) -> AutoOrderConsent | None:
    """The record of an order; None where nothing of it is billed again, so that there is nothing to agree to."""
    found = []
    for line in order.items or []:
        item = items.get(line.merchant_item_id or "")
        if item is None or not (line.auto_order_schedule or item.steps()):
            continue
        chosen = line.auto_order_schedule is not None
        found.append(
            AutoOrderConsentItem(
                merchant_item_id=line.merchant_item_id,
                quantity=line.quantity,
                cost=Decimal(line.unit_cost_with_discount or Currency(0)),
                auto_order_schedule=line.auto_order_schedule,
                auto_order_cost=item.unit_cost(now, on_auto_order=True) if chosen else None,
                steps=item.steps() or None,
            )
        )
    if not found:
        return None
    return AutoOrderConsent(
        order_id=order.order_id,
        accepted_dts=now,
        ip_address=seen.ip_address[:50] or None,
        user_agent=seen.user_agent[:LONGEST_USER_AGENT] or None,
        terms=request.terms,
        terms_version=request.terms_version,
        currency_code=order.currency_code,
        items=found,
    )
