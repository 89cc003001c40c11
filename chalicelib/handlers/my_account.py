"""A customer's account as a page: a link that was mailed to him opens it, without a password and without any script."""

from functools import partial
from typing import Any

from chalicelib.domain.dates import local_date
from chalicelib.domain.errors import Invalid
from chalicelib.domain.letters import day_words, number_words, read_day
from chalicelib.domain.links import PAGES
from chalicelib.domain.loyalty import CustomerLoyalty, LoyaltyReward
from chalicelib.domain.money import ZERO, formatted
from chalicelib.domain.my_account import MOST_QUANTITY, AccountAutoOrder
from chalicelib.domain.orders import SHIPPED_STAGE, Order
from chalicelib.flows import my_account
from chalicelib.handlers.http import PAGE, Door
from chalicelib.handlers.pages import Page, Visit, asking, page, problems_of

door = Door("my_account")

TITLE = "Your account"
ASK = partial(asking, "my_account_link")
MAILED = (
    "If anything belongs to this address, a link is on its way to it. "
    "It may take a few minutes. Look into the folder for spam too."
)
# What was done, as the page says it; the facts stand below.
DONE = {
    "skip": "Skipped. Below is what comes now.",
    "move": "Moved. Below is what comes now.",
    "pause": "Paused: nothing is sent or charged until you go on.",
    "resume": "It goes on.",
    "quantity": "Changed. The new quantity counts from the next order on.",
}
STATUS = {
    "active": "Active",
    "disabled": "Stopped: the payment was not accepted",
    "canceled": "Canceled",
    "completed": "Completed",
}
# Where an order stands, in a customer's words; what stands not here is the shop's own affair, and is being prepared.
STAGES = {
    "Accounts Receivable": "not paid yet",
    "Rejected": "rejected",
    "Quote Request": "a quote was asked for",
    "Quote Sent": "quoted",
}
# Lines of the history of points, the latest.
MOST_ENTRIES = 10


@door(
    "GET", PAGES["my_account"], PAGE, summary="A customer's account, or the page on which he asks for its link", base=""
)
@page(ASK)
def show_my_account_page(visit: Visit) -> Page:
    if not visit.said("token"):
        return ASK(TITLE)
    return _account(visit)


@door(
    "POST",
    PAGES["my_account"],
    PAGE,
    summary="What the page's forms do: skip, move, pause, go on, change a quantity, redeem points; mail a link",
    base="",
)
@page(ASK)
def post_my_account_page(visit: Visit) -> Page:
    does = visit.said("do")
    if does == "mail":
        return _mailed(visit)
    if does == "redeem":
        return _redeemed(visit)
    if does not in DONE:
        raise Invalid.one("", "malformed_form", "This is not a form of ours.")
    try:
        _act(visit, does)
    except Invalid as invalid:
        return _account(visit, problems_of(invalid))
    return _account(visit, done=DONE[does])


def _act(visit: Visit, does: str) -> None:
    """Raises Unauthorised, NotFound, and Invalid in words for the customer."""
    shop, token, oid = visit.shop, visit.said("token"), _oid(visit.said("auto_order_oid"))
    match does:
        case "skip" | "move":
            day = read_day(visit.said("day"))
            if day is None:
                raise Invalid.one("", "malformed_form", "This is not a form of ours.")
            if does == "skip":
                my_account.skip(shop, token, oid, day)
            else:
                my_account.move(shop, token, oid, day, read_day(visit.said("to")))
        case "pause" | "resume":
            my_account.pause(shop, token, oid, paused=does == "pause")
        case "quantity":
            item_oid = _oid(visit.said("auto_order_item_oid"))
            my_account.change_quantity(shop, token, oid, item_oid, visit.said("quantity"))


def _oid(text: str) -> int:
    """Nothing has the oid 0."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= len("2147483647") else 0


def _redeemed(visit: Visit) -> Page:
    try:
        given = my_account.redeem(visit.shop, visit.said("token"), visit.said("reward"), visit.said("form"))
    except Invalid as invalid:
        return _account(visit, problems_of(invalid))
    code = given.gift_certificate_code or ""
    return _account(visit, done=f"Redeemed: {given.description_for_customer}. Your code is {code}.")


def _mailed(visit: Visit) -> Page:
    said = {"email": visit.said("email")}
    try:
        my_account.ask_for_link(visit.shop, said, visit.address)
    except Invalid as invalid:
        return ASK(TITLE, said=said, problems=problems_of(invalid, "email"))
    return Page("said", "Look into your mail", {"lines": [MAILED]})


def _account(visit: Visit, problems: list[dict[str, str]] | None = None, *, done: str = "") -> Page:
    account = my_account.shown(visit.shop, visit.said("token"))
    words = {
        "token": visit.said("token"),
        "email": account.email,
        "done": done,
        "auto_orders": [_auto_order(visit, one) for one in account.auto_orders],
        "orders": [_order(visit, one) for one in account.orders],
        "most_quantity": MOST_QUANTITY,
        "form": visit.shop.word(),
        **_loyalty(visit, account.loyalty, account.rewards),
    }
    return Page("my_account", TITLE, words, problems or [], 400 if problems else 200)


def _auto_order(visit: Visit, one: AccountAutoOrder) -> dict[str, Any]:
    ended = one.status not in ("active", "disabled")
    return {
        "oid": one.auto_order_oid,
        "code": one.code,
        "status": "Paused" if one.status == "active" and one.paused() else STATUS.get(one.status, one.status),
        "ended": ended,
        "paused": one.paused(),
        "may_pause": one.status == "active",
        "cancel_url": one.cancel_url,
        "update_url": one.update_url,
        "day": one.coming.day.isoformat() if one.coming else None,
        "day_words": day_words(one.coming.day) if one.coming else None,
        "after_words": day_words(one.skip.next_day) if one.skip else None,
        "lines": [
            {
                "oid": item.auto_order_item_oid,
                "name": item.shown.description or item.shown.item_id,
                "quantity": number_words(item.shown.quantity) if item.shown.quantity else "1",
                "may_change": item.may_change_quantity() and not ended,
                "next": _next(visit, one, item.shown.next_shipment_dts, paused=item.paused),
            }
            for item in one.items
        ],
    }


def _next(visit: Visit, one: AccountAutoOrder, moment: Any, *, paused: bool) -> str:
    if one.status != "active":
        return ""
    if paused:
        return "paused"
    return f"next on {visit.day(moment)}" if moment else "nothing planned"


def _order(visit: Visit, order: Order) -> dict[str, Any]:
    shipping, summary = order.shipping, order.summary
    total = summary.total if summary and summary.total is not None else ZERO
    numbers = shipping.tracking_numbers if shipping else None
    return {
        "order_id": order.order_id,
        "date": visit.day(order.creation_dts) if order.creation_dts else "",
        "total": formatted(total, order.currency_code or visit.merchant.currency()),
        "stage": _stage(order, sent=bool(numbers)),
        "tracking": ", ".join(numbers or []),
    }


def _stage(order: Order, *, sent: bool) -> str:
    if sent or order.current_stage == SHIPPED_STAGE:
        return "sent"
    return STAGES.get(order.current_stage or "", "being prepared")


def _loyalty(visit: Visit, loyalty: CustomerLoyalty | None, rewards: list[LoyaltyReward]) -> dict[str, Any]:
    """The words of the loyalty section; without a programme there is none."""
    if loyalty is None:
        return {"loyalty": None, "rewards": [], "entries": [], "certificates": []}
    zone_name = visit.merchant.zone_name()
    return {
        "loyalty": {
            "points": loyalty.current_points or 0,
            "pending": loyalty.pending_points or 0,
            "tier": loyalty.loyalty_tier_name,
            "credit": loyalty.internal_gift_certificate_balance,
        },
        "rewards": [
            {"id": one.loyalty_reward_id, "name": one.description or one.loyalty_reward_id, "points": one.points}
            for one in rewards
        ],
        "entries": [
            {
                "date": day_words(local_date(one.ledger_dts, zone_name)) if one.ledger_dts else "",
                "description": one.description or "",
                "points": f"{one.loyalty_points or 0:+d}",
            }
            for one in (loyalty.ledger_entries or [])[:MOST_ENTRIES]
        ],
        "certificates": [
            {
                "name": one.description_for_customer or "",
                "code": one.gift_certificate_code or "",
                "left": formatted(one.remaining_balance, visit.merchant.currency())
                if one.remaining_balance is not None
                else "",
            }
            for one in loyalty.redemptions or []
        ],
    }
