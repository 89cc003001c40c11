"""What is kept about a person: shown whole, and forgotten. Orders and ledgers stay, without the person.

Forgetting goes as merging does: the request writes down that it is to be done, and whoever tells the event does it
piece by piece, each piece in a transaction of its own and harmless twice. The event stays, with who asked for it; it
names nobody but by an oid that is never given again.
"""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import privacy
from chalicelib.domain.attachments import files_of
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.customers import Customer, customer_names, normalised_email
from chalicelib.domain.errors import Contended, Invalid, Refused
from chalicelib.domain.events import Erase, Event, Happening, NounKind, event_id
from chalicelib.domain.heads import Head
from chalicelib.domain.mails import shown_mail
from chalicelib.domain.rebills import rebill_order_id
from chalicelib.domain.wire import Form, whole
from chalicelib.flows import gift_certificates, show, show_profile
from chalicelib.flows.ports import Change, Kept, Shop
from chalicelib.flows.pricing_tiers import with_names

EMAIL = "email"
MOST_TRIES = 5
# Time that the last step and the mark of the event need: with less nobody begins another piece.
ENOUGH_SECONDS = 10
# Lines of a timeline that are read at a time.
LINES = 100
# Certificates of one address.
MOST_CERTIFICATES = 200
BUSY = "the profile is being merged or erased; try again in a minute"
AUTO_ORDER_BLOCKS = ("items", "add_ons", "properties", "logs", "management")


# --- all that is kept ------------------------------------------------------------------------------------------------


def export(shop: Shop, oid: int, form: Form, limit: int, offset: int) -> tuple[dict[str, Any], int]:
    """All that is kept about a customer, his orders page by page, and how many orders there are. What is the same on
    every page is so that a page alone can be read. Raises NotFound."""
    customer = shop.customers.get(oid).noun
    orders = show_profile.orders_of(shop, customer)
    mine = shop.auto_orders.read_many([number for _, number in shop.auto_orders.of_customer(_names(customer))])
    oids = [kept.noun.auto_order_oid or 0 for kept, _ in mine]
    page = orders[offset : offset + limit]
    subjects = [f"customer#{oid}", *(f"auto_order#{one}" for one in oids), *(f"order#{one.order_id}" for one in page)]
    consents = [found for order in page if (found := shop.orders.consent(order.order_id or ""))]
    loyalty = show_profile.customer(shop, customer, ["loyalty"], form).get("loyalty")
    answer = {
        "customer": whole(with_names(shop, customer), form),
        "has_password": shop.customer_passwords.find(oid) is not None,
        "auto_orders": show.auto_orders(shop, oids, AUTO_ORDER_BLOCKS, form),
        "consents": whole(consents, form),
        "gift_certificates": whole(gift_certificates.by_email(shop, customer.email or ""), form),
        "mails": whole([shown_mail(mail) for subject in subjects for mail in shop.mails.of(subject)], form),
        "orders": whole(page, form),
        "store_credit": whole(gift_certificates.store_credit(shop, oid), form),
    }
    return answer | ({"loyalty": loyalty} if loyalty else {}), len(orders)


def _names(customer: Customer) -> list[str]:
    return customer_names(customer.customer_profile_oid, customer.email)


# --- forgetting ------------------------------------------------------------------------------------------------------


def begin(shop: Shop, oid: int, *, by: str) -> str:
    """Write down that the customer is to be forgotten. Returns the id of the event that does it; asked again, the same.

    Raises NotFound, Contended while the profile is being merged or a charge of his is open, and Invalid while an active
    auto order is his.
    """
    kept = shop.customers.get(oid)
    _refuse_unfinished(shop, kept.noun)
    event = Event(
        event_id=event_id(shop.merchant_id, f"customer#{oid}", "erase"),
        dts=shop.clock.now(),
        happenings=[],
        seq=kept.version,
        erase=Erase(oid=oid, by=by),
    )
    try:
        shop.write(shop.merges.erasing(oid, event.event_id), shop.customers.standing(oid), shop.events.happened(event))
    except Refused:
        mark = shop.merges.find(oid)
        if mark is None or mark.event_id != event.event_id:
            raise Contended(BUSY) from None
    return event.event_id


def _refuse_unfinished(shop: Shop, customer: Customer) -> None:
    found = shop.auto_orders.read_many([number for _, number in shop.auto_orders.of_customer(_names(customer))])
    active = [kept.noun.auto_order_code or "" for kept, head in found if head.status == "active"]
    if active:
        message = f"the customer has active auto orders; cancel them first: {', '.join(active)}"
        raise Invalid.one("", "active_auto_orders", message)
    if any(head.attempt is not None for _, head in found):
        raise Contended("what became of a charge of this customer is not known yet; try again when it is")


def go_on(shop: Shop, event: Event) -> None:
    """Do what is left of the forgetting that the event is for. Raises Contended where the next visit must go on."""
    erase = event.erase
    kept = shop.customers.find(erase.oid) if erase else None
    if erase is None or kept is None:
        return
    names, email = _names(kept.noun), normalised_email(kept.noun.email or "")
    for _, oid in shop.auto_orders.of_customer(names):
        _enough_time(shop)
        _forget_auto_order(shop, erase, oid, names, email)
    for order_id in shop.orders.of_customer(names):
        _enough_time(shop)
        _forget_order(shop, erase, order_id, names)
    _forget_mails(shop, f"customer#{erase.oid}")
    _forget_certificates(shop, erase, email)
    for name in files_of(kept.noun):
        shop.files.delete(name)
    _end(shop, erase)


def _belongs(erase: Erase, profile: int | None) -> bool:
    return profile is None or profile == erase.oid


def _forget_auto_order(shop: Shop, erase: Erase, oid: int, names: list[str], email: str) -> None:
    kept, head = shop.auto_orders.read(oid)
    original = kept.noun.original_order_id or ""
    if not _belongs(erase, kept.noun.customer_profile_oid):
        return
    for order_id in [original, *(rebill_order_id(original, run) for run in range(1, head.run + 1))]:
        _forget_order(shop, erase, order_id, [])
    before = ""
    while rows := shop.auto_orders.logs_before(oid, before, LINES):
        for sk, entry in rows:
            after = privacy.entry_without_person(entry, email)
            if after != entry:
                shop.write(shop.auto_orders.relogged(oid, sk, after))
        before = rows[-1][0]
    _forget_mails(shop, f"auto_order#{oid}")
    for _ in range(MOST_TRIES):
        kept, head = shop.auto_orders.read(oid)
        try:
            shop.write(*_without_person(shop, kept, head, email), *shop.auto_orders.unlisted(oid, names))
        except Refused:
            continue
        return
    raise Contended(f"auto order {oid} is being changed by others")


def _without_person(shop: Shop, kept: Kept[AutoOrder], head: Head, email: str) -> list[Change]:
    after = privacy.auto_order_without_person(kept.noun, email)
    if after == kept.noun:
        return []
    oid = after.auto_order_oid or 0
    moved = replace(head, revision=head.revision + 1)
    return [
        shop.auto_orders.edited(after, kept.version),
        shop.auto_orders.moved(oid, head, moved),
        shop.events.happened(_touched(shop, "auto_order", str(oid), moved.revision)),
    ]


def _touched(shop: Shop, kind: NounKind, name: str, seq: int) -> Event:
    return Event(
        event_id=event_id(shop.merchant_id, f"{kind}#{name}", f"erased_customer#{seq}"),
        dts=shop.clock.now(),
        happenings=[],
        touched=[(kind, name)],
        seq=seq,
    )


def _forget_order(shop: Shop, erase: Erase, order_id: str, names: list[str]) -> None:
    for _ in range(MOST_TRIES):
        kept = shop.orders.find(order_id)
        if kept is None:
            break
        if not _belongs(erase, kept.noun.customer_profile_oid):
            return
        after = privacy.order_without_person(kept.noun)
        if after == kept.noun:
            break
        try:
            shop.write(
                shop.orders.edited(after, kept.version),
                shop.events.happened(_touched(shop, "order", order_id, kept.version + 1)),
            )
        except Refused:
            continue
        break
    else:
        raise Contended(f"order {order_id} is being changed by others")
    consent = shop.orders.consent(order_id)
    if consent is not None and (consent.ip_address or consent.user_agent):
        shop.write(shop.orders.consented_by_nobody(replace(consent, ip_address=None, user_agent=None)))
    _forget_mails(shop, f"order#{order_id}")
    if names:
        shop.write(*shop.orders.unlisted(order_id, names))


def _forget_mails(shop: Shop, subject: str) -> None:
    for mail in shop.mails.of(subject):
        kept = shop.mails.find(subject, mail.mail_id)
        if kept is None or (after := privacy.mail_without_person(kept.noun)) == kept.noun:
            continue
        try:
            shop.write(shop.mails.tried(after, kept.version))
        except Refused:
            raise Contended("a mail of the customer is being sent; the next visit goes on") from None


def _forget_certificates(shop: Shop, erase: Erase, email: str) -> None:
    internal = gift_certificates.internal_oid(shop, erase.oid)
    for oid in _each_once([*shop.ledgers.oids_by_email(email, MOST_CERTIFICATES), *([internal] if internal else [])]):
        kept = shop.certificates.find(oid)
        if kept is not None and normalised_email(kept.noun.email or email) == email:
            after = privacy.certificate_without_person(kept.noun)
            try:
                shop.write(shop.certificates.replaced(oid, after, kept.version))
            except Refused:
                raise Contended("a gift certificate of the customer is being changed by others") from None


def _each_once(oids: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(oids))


def _enough_time(shop: Shop) -> None:
    if shop.time_left() < ENOUGH_SECONDS:
        raise Contended("there is more to be forgotten; the next visit goes on")


# --- the end ---------------------------------------------------------------------------------------------------------


def ended_id(shop: Shop, oid: int) -> str:
    """The id of the event that tells of the end."""
    return event_id(shop.merchant_id, f"customer#{oid}", "erased")


def _end(shop: Shop, erase: Erase) -> None:
    """The profile itself goes, its address and its password with it."""
    kept = shop.customers.find(erase.oid)
    if kept is None:
        return
    event = Event(
        event_id=ended_id(shop, erase.oid),
        dts=shop.clock.now(),
        happenings=[Happening(name="customer_delete", kind="customer", id=str(erase.oid))],
        seq=kept.version + 1,
    )
    try:
        shop.write(
            shop.customers.removed(erase.oid, kept.version),
            shop.customers.unnamed(EMAIL, normalised_email(kept.noun.email or "")),
            shop.customer_passwords.gone(erase.oid),
            shop.merges.ended(erase.oid),
            shop.events.happened(event),
        )
    except Refused:
        if shop.customers.find(erase.oid) is not None:
            raise Contended("the profile is being changed by others; the next visit goes on") from None
