"""What a merchant must know of yesterday: problems, gathered by local day, told in one mail the morning after.

A quiet day has no rows and no mail.
"""

from collections.abc import Iterator
from datetime import date, time, timedelta

import msgspec

from chalicelib.domain.dates import Instant, at
from chalicelib.domain.events import Event

# When the digest of a day goes out on the next: the night's work is done, the merchant's day begins.
DIGEST_HOUR = time(7)
# Problems that one digest can list; a night in which the gateway fails has thousands, and says how many.
MAXIMUM_PROBLEMS = 1000

# Codes of our own, beside those of holds (``no_shipping_method``, ``payment_review``, ...).
DISABLED = "disabled"
DEAD_DELIVERY = "dead_delivery"
WEBHOOK_DISABLED = "webhook_disabled"
DEAD_MESSAGE = "dead_message"


class ShopProblem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One thing that went wrong. ``about`` is the key of its noun (``auto_order#123``, ``webhook#7``)."""

    dts: Instant
    about: str
    code: str
    message: str


def problems_of(event: Event) -> Iterator[ShopProblem]:
    """What the merchant must know of an event: everything that was told to the shop's address, and auto orders that
    declines have disabled."""
    for notice in event.notices:
        if notice.template not in ("held", "disabled"):
            continue
        message = notice.facts.get("message") or notice.facts.get("reason") or ""
        code = notice.facts.get("code", DISABLED if notice.template == "disabled" else "held")
        yield ShopProblem(dts=event.dts, about=f"{notice.kind}#{notice.id}", code=code, message=message)


def digest_due(day: date, zone_name: str) -> Instant:
    """When the digest of that day is sent."""
    return at(day + timedelta(days=1), DIGEST_HOUR, zone_name)
