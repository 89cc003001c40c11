"""An order comes in: priced from the catalogue, stored unpaid, told to everybody."""

from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256

from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.consents import AutoOrderConsentRequest, Seen, given
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.customer_values import CustomerProfileSettings
from chalicelib.domain.customers import normalised_email
from chalicelib.domain.dates import Instant, later
from chalicelib.domain.errors import Invalid, Problem, Refused
from chalicelib.domain.events import Event, Happening, event_id
from chalicelib.domain.heads import Head
from chalicelib.domain.items import Item
from chalicelib.domain.orders import Order, OrderPayment, OrderPaymentCreditCard, OrderPaymentECheck, masked
from chalicelib.domain.payments import Card, StoredCard, card_type_of, luhn
from chalicelib.domain.placing import OF_ACCOUNT, Shelves, placed, rebills_by_itself, sole_items, with_notes
from chalicelib.domain.pricing_tiers import NOBODY, PricingTiers, terms_of
from chalicelib.domain.storefront import BankAccountRequest, is_aba_code
from chalicelib.domain.wire import kept
from chalicelib.flows import balances, coupon_codes
from chalicelib.flows.customers_auto_orders import names_of, owned_items
from chalicelib.flows.ports import Change, Kept, Shop

# Hosted-field tokens are valid this long (the contract's two hours).
CARD_TOKEN_SECONDS = 2 * 3600
# An order id that is taken by chance is drawn again; ten digits collide once in thousands of years.
DRAWS = 5
OF_CARD = "/payment/credit_card/card_number_token"


def card_token(shop: Shop, number: str, month: int, year: int) -> tuple[str, Instant]:
    """Hand the card to the gateway and answer a token that stands for it. The number is kept nowhere here.

    Raises Invalid where the number or the date cannot be a card's.
    """
    now, problems = shop.clock.now(), []
    digits = number.isascii() and number.isdigit() and 12 <= len(number) <= 19
    brand = card_type_of(number) if digits and luhn(number) else None
    if brand is None:
        message = "is not a card number that is accepted here"
        problems.append(Problem(pointer="/card_number", code="invalid", message=message))
    if (year, month) < (now.year, now.month):
        message = "the card has expired"
        problems.append(Problem(pointer="/card_expiration_year", code="past_date", message=message))
    if problems or brand is None:
        raise Invalid(problems)
    card = Card(card_expiration_month=month, card_expiration_year=year, card_type=brand, last_four=number[-4:])
    return _token_of(shop, _stored(shop, number, month, year), card)


def named_token(shop: Shop, token: str, name: str) -> str:
    """The same card under a name of the caller's: made again, it is the same token, which charges once."""
    found = shop.card_tokens.find(token, shop.clock.now())
    if found is None:
        raise Invalid.one(OF_CARD, "unknown", "is not a card token, or it has expired (2 hours)")
    with suppress(Refused):  # it is there already
        shop.card_tokens.put(name, found, later(shop.clock.now(), seconds=CARD_TOKEN_SECONDS))
    return name


def payment_method_token(shop: Shop, payment_method: str, code: str | None) -> tuple[str, Instant]:
    """A token for a card that a gateway's own form has taken: no number comes by here. ``code``: the account's; without
    it the first that has a form.

    Raises Invalid where it is no card that is accepted, Contended where the gateway does not answer.
    """
    forms = (name for name, gateway in shop.payments.items() if not gateway.capabilities.numbers)
    stored, card = shop.gateway(code or next(forms, None)).card_of(payment_method)
    return _token_of(shop, [stored], card)


def _token_of(shop: Shop, stored: list[StoredCard], card: Card) -> tuple[str, Instant]:
    token, expires = f"card_{shop.word()}", later(shop.clock.now(), seconds=CARD_TOKEN_SECONDS)
    shop.card_tokens.put(
        token,
        {
            "card_type": card.card_type,
            "card_number": masked(card.last_four),
            "card_expiration_month": card.card_expiration_month,
            "card_expiration_year": card.card_expiration_year,
            "stored": [wire.plain(one) for one in stored],
            "fingerprint": stored[0].fingerprint,
        },
        expires,
    )
    return token, expires


def bank_account_token(shop: Shop, account: BankAccountRequest) -> tuple[str, Instant]:
    """The same for a bank account. Raises Invalid where it cannot be one, or no gateway debits any."""
    if not is_aba_code(account.bank_aba_code):
        raise Invalid.one("/bank_aba_code", "invalid", "is no routing number of a bank: its check digit is wrong")
    taker = next((gateway for gateway in shop.payments.values() if gateway.capabilities.echecks), shop.gateway())
    stored = taker.tokenise_account(account.bank_aba_code, account.bank_account_number)
    token, expires = f"account_{shop.word()}", later(shop.clock.now(), seconds=CARD_TOKEN_SECONDS)
    shown = {
        "bank_aba_code": account.bank_aba_code,
        "bank_account_name": account.bank_account_name,
        "bank_account_number": masked(account.bank_account_number[-4:]),
        "bank_account_type": account.bank_account_type,
        "bank_owner_type": account.bank_owner_type,
    }
    kept = {"account": shown, "stored": [wire.plain(stored)], "fingerprint": stored.fingerprint}
    shop.card_tokens.put(token, kept, expires)
    return token, expires


def _stored(shop: Shop, number: str, month: int, year: int) -> list[StoredCard]:
    """The card as each account stores it that takes numbers, so that a rotation may choose any of them; the first one's
    fingerprint names it everywhere. Raises Invalid where no account takes numbers."""
    takers = [gateway for gateway in shop.payments.values() if gateway.capabilities.numbers] or [shop.gateway()]
    stored = [gateway.tokenise(number, month, year) for gateway in takers]
    return [replace(one, fingerprint=stored[0].fingerprint) for one in stored]


def fingerprint_of(shop: Shop, token: str) -> str | None:
    """Whose card a token stands for, for the limits against card testing."""
    found = shop.card_tokens.find(token, shop.clock.now())
    return str(found["fingerprint"]) if found else None


def with_payment(shop: Shop, payment: OrderPayment | None) -> OrderPayment | None:
    """The payment block with the card or the account that its token stands for. Raises Invalid for a token that is not
    known."""
    if payment is not None and payment.payment_method == "eCheck":
        return _with_account(shop, payment)
    return with_card(shop, payment)


def _with_account(shop: Shop, payment: OrderPayment) -> OrderPayment:
    token = payment.echeck.bank_account_token if payment.echeck else None
    found = shop.card_tokens.find(token, shop.clock.now()) if token else None
    if found is None or "account" not in found:
        raise Invalid.one(OF_ACCOUNT, "unknown", "is no token of a bank account, or it has expired (2 hours)")
    stored = StoredCard(**found["stored"][0])
    return replace(payment, echeck=OrderPaymentECheck(**found["account"], stored_account=stored))


def with_card(shop: Shop, payment: OrderPayment | None) -> OrderPayment | None:
    """The payment block with the card that its token stands for. Raises Invalid for a token that is not known."""
    token = payment.credit_card.card_number_token if payment and payment.credit_card else None
    if payment is None or token is None:
        return payment
    found = shop.card_tokens.find(token, shop.clock.now())
    if found is None or "card_number" not in found:
        raise Invalid.one(OF_CARD, "unknown", "is not a card token, or it has expired (2 hours)")
    stored = [StoredCard(**one) for one in found["stored"]]
    card = OrderPaymentCreditCard(
        card_type=found["card_type"],
        card_number=found["card_number"],
        card_expiration_month=found["card_expiration_month"],
        card_expiration_year=found["card_expiration_year"],
        stored_card=stored[0],
        other_stored_cards=stored[1:] or None,
    )
    return replace(payment, credit_card=card)


def place(
    shop: Shop,
    wanted: Order,
    *,
    by_shopper: bool,
    idempotency_key: str | None = None,
    consent: tuple[AutoOrderConsentRequest, Seen] | None = None,
) -> Kept[Order]:
    """Store the order, unpaid. The same Idempotency-Key answers the order that stands already. ``consent``: what the
    shopper agreed to, and from where; it is written with the order.

    Raises Invalid with all problems; nothing is stored then.
    """
    said = kept(wanted) + (kept(consent[0]) if consent else "")
    request_hash = sha256(said.encode()).hexdigest()[:32]
    order_id = wanted.order_id or _order_id(shop, idempotency_key)
    if idempotency_key and (standing := shop.orders.find(order_id)):
        return _same(standing, request_hash)
    order = _priced(shop, wanted, order_id, by_shopper=by_shopper)
    order.request_hash = request_hash
    for _ in range(DRAWS):
        try:
            shop.write(
                shop.orders.placed(order),
                shop.orders.begun(order.order_id or "", Head(status="unpaid")),
                shop.events.happened(_created(shop, order)),
                *_consented(shop, order, consent),
                *shop.orders.listed(order.order_id or "", names_of(order, order.customer_profile_oid)),
            )
            return shop.orders.get(order.order_id or "")
        except Refused:
            if idempotency_key:
                return _same(shop.orders.get(order_id), request_hash)
            if wanted.order_id:
                raise Invalid.one("/order_id", "duplicate", f"there is an order {order_id} already") from None
            order.order_id = _order_id(shop, None)
    raise Invalid.one("/order_id", "duplicate", "no free order id was found; send one")


def _consented(shop: Shop, order: Order, consent: tuple[AutoOrderConsentRequest, Seen] | None) -> list[Change]:
    """The record of what the shopper agreed to, where anything of the order is billed again."""
    if consent is None:
        return []
    ids = dict.fromkeys(line.merchant_item_id or "" for line in order.items or [])
    items = {item.merchant_item_id or "": item for item in shop.items.get_many(list(ids))}
    found = given(consent[0], order, items, consent[1], shop.clock.now())
    return [shop.orders.consented(found)] if found else []


def _priced(shop: Shop, wanted: Order, order_id: str, *, by_shopper: bool) -> Order:
    problems: list[Problem] = []
    payment = None
    try:
        payment = with_payment(shop, wanted.payment)
    except Invalid as invalid:
        problems += invalid.problems
    ids = [line.merchant_item_id for line in wanted.items or [] if line.merchant_item_id]
    codes = [coupon.coupon_code or "" for coupon in wanted.coupons or []]
    merchant, settings, shipping, taxes, items, coupons = shop.configuration.price_list(ids, codes)
    customer_profile_oid = _customer(shop, wanted)
    coupons, bases = coupon_codes.named(shop, codes, coupons)
    kept = shop.customers.find(customer_profile_oid, consistent=False) if customer_profile_oid else None
    customer = kept.noun if kept else None
    if by_shopper and customer_profile_oid is None and _requires_profile(shop):
        message = "the shop takes orders of customers with a profile only, and there is none with this address"
        raise Invalid.one("/billing/email", "profile_required", message)
    sole = sole_items(wanted, items)
    used, exhausted = _used(shop, wanted, customer_profile_oid, coupons)
    wants_credit = wanted.store_credit_of is not None or wanted.store_credit() > 0
    certificate, refused = balances.named(shop, wanted, shop.clock.now())
    problems += refused
    shelves = Shelves(
        merchant=merchant,
        settings=settings,
        shipping=shipping,
        taxes=taxes,
        items=items,
        coupons=coupons,
        terms=terms_of(customer, shop.configuration.remembered(PricingTiers)) if customer else NOBODY,
        owned=owned_items(shop, names_of(wanted, customer_profile_oid)) & frozenset(sole) if sole else frozenset(),
        bases=bases,
        used=used,
        exhausted=exhausted,
        certificate=certificate,
        customer_profile_oid=customer_profile_oid,
        credit=balances.store_credit(shop, customer_profile_oid) if wants_credit else None,
    )
    if merchant.merchant_id is None:
        merchant.merchant_id = shop.merchant_id
    try:
        order = placed(wanted, shelves, order_id, shop.clock.now(), by_shopper=by_shopper)
    except Invalid as invalid:
        raise Invalid([*problems, *invalid.problems]) from None
    if by_shopper and not problems and not _has_card(payment) and _needs_card(order, items):
        message = "a card is needed: the order costs something now, or is billed again later"
        problems.append(Problem(pointer=OF_CARD, code="required", message=message))
    if problems:
        raise Invalid(problems)
    if order.payment is not None and payment is not None:
        order.payment.credit_card, order.payment.echeck = payment.credit_card, payment.echeck
    order.customer_profile_oid = customer_profile_oid
    if not by_shopper:
        order.store_credit_of = customer_profile_oid
    return with_notes(order, customer) if customer else order


def _used(
    shop: Shop, order: Order, customer_profile_oid: int | None, coupons: list[Coupon]
) -> tuple[Mapping[str, int], frozenset[str]]:
    named = replace(order, customer_profile_oid=customer_profile_oid)
    return balances.used(shop, balances.uses_of(named, coupons))


def _has_card(payment: OrderPayment | None) -> bool:
    return bool(payment and payment.stored())


def _needs_card(order: Order, items: Mapping[str, Item]) -> bool:
    if order.total() > order.certificate_amount() + order.store_credit():
        return True
    return any(rebills_by_itself(line, items[line.merchant_item_id or ""]) for line in order.items or [])


def _customer(shop: Shop, order: Order) -> int | None:
    email = order.billing.email if order.billing else None
    oid = shop.customers.name_by("email", normalised_email(email)) if email else None
    return int(oid) if oid else None


def _requires_profile(shop: Shop) -> bool:
    return bool(shop.configuration.remembered(CustomerProfileSettings).require_customer_profile)


def _created(shop: Shop, order: Order) -> Event:
    order_id = order.order_id or ""
    return Event(
        event_id=event_id(shop.merchant_id, f"order#{order_id}", "created"),
        dts=shop.clock.now(),
        happenings=[Happening(name="order_create", kind="order", id=order_id)],
    )


def _same(standing: Kept[Order], request_hash: str) -> Kept[Order]:
    if standing.noun.request_hash != request_hash:
        raise Invalid.one("", "idempotency_key_reused", "this Idempotency-Key was used with another request")
    return standing


def _order_id(shop: Shop, idempotency_key: str | None) -> str:
    """The merchant's id and ten digits by chance; for an Idempotency-Key always the same eighteen, so many that two
    keys never meet."""
    if idempotency_key is None:
        return f"{shop.merchant_id}-{next(shop.oids):010d}"
    digest = sha256(f"{shop.merchant_id}\x1f{idempotency_key}".encode()).hexdigest()
    return f"{shop.merchant_id}-{int(digest[:16], 16) % 10**18:018d}"
