"""What the gateways took, held against the orders: the day reports over HTTP, and a walk begun by hand."""

from datetime import date, timedelta
from typing import Any

from chalicelib.domain.captures import Reconciliation, ReconciliationRequest
from chalicelib.domain.dates import local_date
from chalicelib.domain.errors import Invalid
from chalicelib.domain.wire import whole
from chalicelib.flows.reconcile import begin_anew
from chalicelib.handlers import cursors
from chalicelib.handlers.http import Ask, Door, one

door = Door("reconciliation")

PATH = "/configuration/reconciliation"
QUERY = ("since", "_limit", cursors.PARAMETER)
# Reports are shown of so many days where nobody says since when.
SHOWN_DAYS = 30


@door(
    "GET",
    PATH,
    "configuration_read",
    summary="Retrieve the day reports of what each gateway took, the newest first; difference is 0 where all is well",
    gives=list[Reconciliation],
    query=QUERY,
)
def get_reconciliations(ask: Ask) -> dict[str, Any]:
    ask.only(*QUERY)
    limit, _ = ask.page()
    since = _since(ask).isoformat()
    found, cursor = ask.shop.reconciliations.since(since, limit=limit, cursor=cursors.asked(ask))
    answer = one("reconciliations", [whole(report, ask.form) for report in found])
    answer["metadata"].update(cursors.next_page(ask, cursor))
    return answer


def _since(ask: Ask) -> date:
    text = ask.query.get("since")
    if text is None:
        return local_date(ask.shop.clock.now(), ask.merchant.zone_name()) - timedelta(days=SHOWN_DAYS)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid.one("/since", "invalid", "must be a day, as in 2027-01-31") from None


@door(
    "POST",
    PATH,
    "configuration_write",
    summary="Walk past what a gateway took in the last three days now; the day's report, which then goes on by itself",
    takes=ReconciliationRequest,
    gives=Reconciliation,
)
def begin_reconciliation(ask: Ask) -> dict[str, Any]:
    report = begin_anew(ask.shop, ask.body(ReconciliationRequest).gateway)
    return one("reconciliation", whole(report, ask.form))
