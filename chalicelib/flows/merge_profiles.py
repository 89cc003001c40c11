"""Two profiles become one: what belongs to the one that goes moves to the one that stays, piece by piece, each in a
transaction of its own; then the one is deleted.

The request writes down that it is to be done, with the event whose telling does it. Whoever tells it goes on where the
one before stopped; nothing of it harms when done twice. While it lasts neither profile takes part in another merge, and
neither is deleted by anybody else.
"""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import merging
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.customers import customer_names, normalised_email
from chalicelib.domain.dates import Instant
from chalicelib.domain.drafts import made
from chalicelib.domain.errors import Contended, Invalid, Refused
from chalicelib.domain.events import Event, Happening, Merge, event_id
from chalicelib.domain.merging import CustomerMergeRequest
from chalicelib.domain.rebills import rebill_order_id
from chalicelib.domain.timeline import SYSTEM
from chalicelib.flows import reward
from chalicelib.flows.edit import Standing, Thought, change, composed
from chalicelib.flows.ports import Change, Shop

# Time that the last step and the mark of the event need: with less nobody begins another piece.
ENOUGH_SECONDS = 10
MOST_TRIES = 5
EMAIL = "email"
BUSY = "one of the two profiles is being merged; try again in a minute"


def begin(shop: Shop, oid: int, raw: Any, *, by: str) -> tuple[str, int]:
    """Write down that the named profile goes into this one. Returns the id of the event that does it, asked again the
    same, and the oid of the profile that goes.

    Raises NotFound, Contended while one of them takes part in another merge, and Invalid with all problems.
    """
    asked = made(raw, CustomerMergeRequest, merging.validate)
    shop.customers.get(oid)
    goes = _source(shop, asked)
    if goes == oid:
        raise Invalid.one(_pointer(asked), "conflict", "is the profile itself")
    source, mark = shop.customers.find(goes), shop.merges.find(goes)
    if mark is not None and mark.into == oid:
        return mark.event_id, goes
    if source is None:
        raise Invalid.one(_pointer(asked), "unknown", f"there is no customer {goes}")
    event = Event(
        event_id=event_id(shop.merchant_id, f"customer#{goes}", f"merge_into#{oid}"),
        dts=shop.clock.now(),
        happenings=[],
        seq=source.version,
        merge=Merge(source=goes, target=oid, email=source.noun.email or "", by=by),
    )
    try:
        shop.write(
            *shop.merges.begun(goes, oid, event.event_id),
            shop.customers.standing(goes),
            shop.customers.standing(oid),
            shop.events.happened(event),
        )
    except Refused:
        mark = shop.merges.find(goes)
        if mark is not None and mark.into == oid:
            return mark.event_id, goes
        raise Contended(BUSY) from None
    return event.event_id, goes


def _source(shop: Shop, asked: CustomerMergeRequest) -> int:
    """The oid of the profile that goes."""
    named = asked.customer_profile_oid
    if asked.email is None:
        return named or 0
    found = shop.customers.name_by(EMAIL, normalised_email(asked.email))
    if found is not None and named in (None, int(found)):
        return int(found)
    if found is None and named is not None:
        # It may have gone already; then the address is free.
        return named
    message = "there is no customer with this address" if found is None else f"is the address of customer {found}"
    raise Invalid.one("/email", "unknown" if found is None else "conflict", message)


def _pointer(asked: CustomerMergeRequest) -> str:
    return "/email" if asked.customer_profile_oid is None else "/customer_profile_oid"


def go_on(shop: Shop, event: Event) -> None:
    """Do what is left of the merge that the event is for. Raises Contended where the next visit must go on."""
    merge = event.merge
    if merge is None or shop.merges.find(merge.target) is None:
        return
    _move(shop, merge)
    _end(shop, merge)
    # What was written by somebody who had read the profile before it went.
    _move(shop, merge)
    shop.write(shop.merges.ended(merge.target))


# --- piece by piece --------------------------------------------------------------------------------------------------


def _move(shop: Shop, merge: Merge) -> None:
    try:
        reward.merge(shop, merge.source, merge.target, by=merge.by)
    except Invalid as invalid:
        raise Contended(f"the ledgers cannot be merged yet: {invalid}") from None
    names = customer_names(merge.source, merge.email)
    for began, oid in shop.auto_orders.of_customer(names):
        _move_auto_order(shop, merge, oid, began)
    for order_id in shop.orders.of_customer(names):
        _move_order(shop, merge, order_id, listed=True)


def _belongs(merge: Merge, profile: int | None) -> bool:
    """To the profile that goes, or to nobody but its address."""
    return profile is None or profile == merge.source


def _move_auto_order(shop: Shop, merge: Merge, oid: int, began: Instant) -> None:
    _enough_time(shop)
    kept, head = shop.auto_orders.read(oid)
    original = kept.noun.original_order_id or ""
    for run in range(1, head.run + 1):
        _move_order(shop, merge, rebill_order_id(original, run), listed=False)

    def think(stands: Standing) -> Thought | None:
        document, order = stands.document.noun, stands.original.noun
        if not (_belongs(merge, document.customer_profile_oid) or _belongs(merge, order.customer_profile_oid)):
            return None
        return composed(
            shop,
            stands,
            head=stands.facts.head,
            document=replace(document, customer_profile_oid=merge.target),
            order=replace(order, customer_profile_oid=merge.target),
            actor=merge.by or SYSTEM,
            message=f"Customer {merge.source} was merged into customer {merge.target}",
            more=_rows(shop, merge, document, began),
        )

    change(shop, oid, think)


def _rows(shop: Shop, merge: Merge, document: AutoOrder, began: Instant) -> list[Change]:
    names = customer_names(merge.target, None)
    oid, original = document.auto_order_oid or 0, document.original_order_id or ""
    return [*shop.auto_orders.listed(oid, names, began), *shop.orders.listed(original, names)]


def _move_order(shop: Shop, merge: Merge, order_id: str, *, listed: bool) -> None:
    for _ in range(MOST_TRIES):
        _enough_time(shop)
        kept = shop.orders.find(order_id)
        if kept is None or not _belongs(merge, kept.noun.customer_profile_oid):
            return
        event = Event(
            event_id=event_id(shop.merchant_id, f"order#{order_id}", f"merged_customer#{merge.source}#{merge.target}"),
            dts=shop.clock.now(),
            happenings=[],
            touched=[("order", order_id)],
            seq=kept.version + 1,
        )
        try:
            shop.write(
                shop.orders.edited(replace(kept.noun, customer_profile_oid=merge.target), kept.version),
                shop.events.happened(event),
                *(shop.orders.listed(order_id, customer_names(merge.target, None)) if listed else []),
            )
        except Refused:
            continue
        return
    raise Contended(f"order {order_id} is being changed by others")


def _enough_time(shop: Shop) -> None:
    if shop.time_left() < ENOUGH_SECONDS:
        raise Contended("there is more to be moved; the next visit goes on")


# --- the end ---------------------------------------------------------------------------------------------------------


def _end(shop: Shop, merge: Merge) -> None:
    """The profile goes, and the one that stays takes over what stood in it."""
    for _ in range(MOST_TRIES):
        goes = shop.customers.find(merge.source)
        if goes is None:
            return
        stays, now = shop.customers.get(merge.target), shop.clock.now()
        after = merging.joined(stays.noun, goes.noun, shop.oids, now, merge.by)
        changes: Sequence[Change] = [
            shop.customers.removed(merge.source, goes.version),
            shop.customers.unnamed(EMAIL, normalised_email(goes.noun.email or "")),
            shop.customer_passwords.gone(merge.source),
            shop.customers.replaced(merge.target, after, stays.version),
            shop.events.happened(_ended(shop, merge, stays.version + 1, now)),
        ]
        try:
            shop.write(*changes)
        except Refused:
            continue
        return
    raise Contended("one of the two profiles is being changed by others")


def ended_id(shop: Shop, source: int, target: int) -> str:
    """The id of the event that tells of the end."""
    return event_id(shop.merchant_id, f"customer#{source}", f"merged_into#{target}")


def _ended(shop: Shop, merge: Merge, seq: int, now: Instant) -> Event:
    return Event(
        event_id=ended_id(shop, merge.source, merge.target),
        dts=now,
        happenings=[
            Happening(name="customer_delete", kind="customer", id=str(merge.source)),
            Happening(name="customer_update", kind="customer", id=str(merge.target)),
        ],
        seq=seq,
    )
