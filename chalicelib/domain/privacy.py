"""What stays of an order, a mail, a log or a certificate when its person is forgotten: what was sold, for how much,
when, and into which country and state; nothing that names anybody."""

from msgspec.structs import replace

from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.customers import normalised_email
from chalicelib.domain.gift_certificates import GiftCertificate
from chalicelib.domain.mails import SentMail
from chalicelib.domain.orders import (
    Order,
    OrderBilling,
    OrderCheckout,
    OrderInternal,
    OrderPayment,
    OrderPaymentCreditCard,
    OrderShipping,
)
from chalicelib.domain.timeline import CUSTOMER, TimelineChange, TimelineEntry

# Fields of a timeline's changes that may tell who somebody is.
PERSONAL = ("billing", "cards", "credit_card", "email", "payment", "properties", "shipping")
FORGOTTEN = "the customer was erased"


def order_without_person(order: Order) -> Order:
    """Taxes are owed by country and state: those stay. So does the brand of the card, and how it is given back."""
    billing, shipping, checkout = order.billing, order.shipping, order.checkout
    return replace(
        order,
        billing=billing and OrderBilling(country_code=billing.country_code, state_region=billing.state_region),
        shipping=shipping
        and OrderShipping(
            country_code=shipping.country_code,
            shipping_date=shipping.shipping_date,
            shipping_method=shipping.shipping_method,
            state_region=shipping.state_region,
            weight=shipping.weight,
        ),
        checkout=checkout
        and OrderCheckout(
            screen_branding_theme_code=checkout.screen_branding_theme_code,
            storefront_host_name=checkout.storefront_host_name,
        ),
        internal=order.internal
        and OrderInternal(refund_by_user=order.internal.refund_by_user, sales_rep_code=order.internal.sales_rep_code),
        items=[replace(line, properties=None) for line in order.items or []] if order.items else order.items,
        payment=order.payment and _payment(order.payment),
        properties=None,
        customer_profile_oid=None,
    )


def _payment(payment: OrderPayment) -> OrderPayment:
    card = payment.credit_card and OrderPaymentCreditCard(card_type=payment.credit_card.card_type)
    return replace(payment, credit_card=card, echeck=None)


def auto_order_without_person(auto_order: AutoOrder, email: str) -> AutoOrder:
    """``email`` as it is unique by."""
    by = auto_order.canceled_by_user
    return replace(
        auto_order,
        canceled_by_user=CUSTOMER if by and normalised_email(by) == email else by,
        customer_profile_oid=None,
        properties=None,
    )


def entry_without_person(entry: TimelineEntry, email: str) -> TimelineEntry:
    """Who acted as the customer, and what of him was changed, is told without him; so is the sentence that tells it."""
    actor = CUSTOMER if entry.actor and normalised_email(entry.actor) == email else entry.actor
    changes = [_change(one, email) for one in entry.changes or []]
    says = f"{entry.log_message or ''} {entry.reason or ''}".lower()
    if actor == entry.actor and changes == (entry.changes or []) and email not in says:
        return entry
    return replace(
        entry,
        actor=actor,
        changes=changes or entry.changes,
        log_message=f"{entry.kind.replace('_', ' ').capitalize()} (by {actor})",
        reason=None if email in says else entry.reason,
    )


def _change(one: TimelineChange, email: str) -> TimelineChange:
    tells = {*(one.field or "").split("/")} & {*PERSONAL} or email in f"{one.before or ''} {one.after or ''}".lower()
    return replace(one, before=None, after=None) if tells else one


def mail_without_person(mail: SentMail) -> SentMail:
    """What still waits is not sent any more."""
    waits = mail.state in ("planned", "sending")
    return replace(
        mail,
        email="",
        subject=None,
        facts={},
        state="skipped" if waits else mail.state,
        skip_reason=FORGOTTEN if waits else mail.skip_reason,
        next_dts=None,
    )


def certificate_without_person(certificate: GiftCertificate) -> GiftCertificate:
    """Its money and its code stay: who has the code in his hands may spend it."""
    return replace(certificate, email=None, customer_profile_oid=None, merchant_note=None)
