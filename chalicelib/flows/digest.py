"""The merchant's digest: each problem of a day is a row, and the first of them plans the mail of the next morning. So
nothing is searched for, and a quiet day has no mail."""

from contextlib import suppress

from chalicelib.domain.dates import local_date
from chalicelib.domain.errors import Refused
from chalicelib.domain.mails import digest_of
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.problems import ShopProblem
from chalicelib.flows.ports import Shop


def note(shop: Shop, name: str, problem: ShopProblem, merchant: Merchant | None = None) -> None:
    """Remember a problem for today's digest, whenever it happened: yesterday's may be out already. The same name again
    is the same problem."""
    merchant = merchant or shop.configuration.section(Merchant).noun
    now = shop.clock.now()
    day = local_date(now, merchant.zone_name())
    shop.write(shop.problems.noted(day, name, problem))
    with suppress(Refused):  # the day's mail is planned already
        shop.write(shop.mails.planned(digest_of(day, merchant, now)))
