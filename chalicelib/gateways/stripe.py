"""Stripe: charges cards that are stored there, finds a charge again by our key, gives back, lists what was taken.

The library is imported when money moves, and its retries are off: whether a charge is sent again is for the charge
protocol to decide. No card number comes by here; a card is a payment method that Stripe's own form made.
"""

import http.client
import logging
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from chalicelib.domain.captures import Capture, CapturePage, Hint
from chalicelib.domain.dates import Instant, instant, later
from chalicelib.domain.errors import Contended, Invalid, Unauthorised
from chalicelib.domain.money import EXPONENTS, minor_units
from chalicelib.domain.payments import (
    GATEWAY_TIMEOUT_SECONDS,
    NOTHING_HELD,
    ActionNeeded,
    Approved,
    Capabilities,
    Card,
    CardType,
    Charge,
    Declined,
    Found,
    NotFound,
    NotSent,
    Outcome,
    Pending,
    Refund,
    StoredCard,
    Unknown,
)
from chalicelib.gateways.clock import SystemClock
from chalicelib.gateways.sending import Unsent, sent

if TYPE_CHECKING:
    import stripe
    from stripe import HTTPClient, StripeClient
    from stripe.params import (
        ChargeListParams,
        PaymentIntentCreateParams,
        PaymentIntentListParams,
        RefundCreateParams,
        RefundListParams,
    )

log = logging.getLogger(__name__)

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

# What one call of ours may take, however many of Stripe's it is made of; the rest of the gateway's time is for reading
# the answer.
CALL_SECONDS = GATEWAY_TIMEOUT_SECONDS - 2.0
# Stripe keeps a key for 24 hours at least; the hour is for clocks that differ.
IDEMPOTENCY_SECONDS = 23 * 3600
# "Occasionally, propagation of new or updated data can be up to an hour behind during outages" (of the search).
SEARCH_LAG_SECONDS = 3600
# So what the search may not know yet is looked for in the list, which lags nothing.
LISTED_SECONDS = 2 * SEARCH_LAG_SECONDS
PAGE = 100
# Pages of one look-up: more payments than these in two hours (or refunds of one payment), and one that is not among
# them is unknown, not missing.
MAXIMUM_PAGES = 20
# A signature older than this is a replay (the library's own figure).
SIGNATURE_SECONDS = 300

# What a payment carries of ours; Stripe copies it to the payment's charge.
KEY, ORDER_ID, SHOP = "backroom_key", "backroom_order_id", "backroom_shop"
# The events that say how a payment ended; others would only have us look for nothing.
ENDINGS = frozenset({"payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled"})

# Of several payments with one key the paid one counts, else one that still holds the amount.
FIRST = ("succeeded", "requires_capture")
# What there is no more of to give back: Stripe names the parameter, and says why in words only.
NOTHING_LEFT, TOO_HIGH = "charge_already_refunded", "amount"
# The payment ended between our look and our request.
ENDED = "payment_intent_unexpected_state"
NO_CHARGE = Declined(code="unknown", reason="There is no such charge.")
IS_A_CHARGE = Declined(code="captured", reason="The key names a charge, which is given back and not voided.")

# Never again with this card: what Visa calls category 1, and Mastercard's advice 03 and 21, in Stripe's words.
HARD_DECLINES = frozenset(
    {
        "do_not_try_again",
        "fraudulent",
        "incorrect_number",
        "invalid_account",
        "invalid_number",
        "lost_card",
        "merchant_blacklist",
        "pickup_card",
        "restricted_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "stolen_card",
        "stop_payment_order",
        "transaction_not_allowed",
    }
)
# The networks' own codes, where Stripe passes them on.
VISA_NEVER = frozenset({"04", "07", "12", "14", "15", "41", "43", "46", "57", "R0", "R1", "R3"})
MASTERCARD_NEVER = frozenset({"03", "21"})
AUTHENTICATION = "authentication_required"
# Stripe counts these in hundredths although they have none.
HUNDREDTHS = frozenset({"ISK"})
BRANDS: dict[str, CardType] = {
    "amex": "AMEX",
    "diners": "Diners Club",
    "discover": "Discover",
    "jcb": "JCB",
    "mastercard": "MasterCard",
    "visa": "VISA",
}
_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")
_PAYMENT_METHOD = re.compile(r"pm_[A-Za-z0-9_]{1,100}")


# --- what Stripe says, as far as it matters ---------------------------------------------------------------------------


class _CardSaid(msgspec.Struct):
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    fingerprint: str | None = None
    network_transaction_id: str | None = None


class _Method(msgspec.Struct):
    """A payment method, or what a charge keeps of it."""

    card: _CardSaid | None = None
    customer: str | None = None


class _Error(msgspec.Struct):
    type: str | None = None
    code: str | None = None
    decline_code: str | None = None
    advice_code: str | None = None
    network_advice_code: str | None = None
    network_decline_code: str | None = None
    message: str | None = None
    payment_method: _Method | None = None

    def brand(self) -> str | None:
        return self.payment_method.card.brand if self.payment_method and self.payment_method.card else None


class _Refund(msgspec.Struct):
    id: str
    amount: int = 0
    currency: str = ""
    status: str | None = None
    created: int = 0
    metadata: dict[str, str] | None = None


class _Refunds(msgspec.Struct):
    data: list[_Refund] = []


class _Charge(msgspec.Struct):
    id: str
    currency: str
    created: int
    status: str
    captured: bool = False
    amount_captured: int = 0
    refunded: bool = False
    metadata: dict[str, str] = {}
    payment_intent: str | None = None
    payment_method_details: _Method | None = None
    refunds: _Refunds | None = None

    def network_transaction_id(self) -> str | None:
        details = self.payment_method_details
        return details.card.network_transaction_id if details and details.card else None


class _Redirect(msgspec.Struct):
    url: str | None = None


class _NextAction(msgspec.Struct):
    redirect_to_url: _Redirect | None = None


class _Intent(msgspec.Struct):
    id: str
    status: str
    currency: str
    created: int
    amount: int = 0
    amount_received: int = 0
    amount_capturable: int = 0
    capture_method: str | None = None
    metadata: dict[str, str] = {}
    latest_charge: _Charge | str | None = None
    last_payment_error: _Error | None = None
    next_action: _NextAction | None = None

    def charge(self) -> _Charge | None:
        return self.latest_charge if isinstance(self.latest_charge, _Charge) else None

    def units(self) -> int:
        """What was taken, what is held, or what was let go of."""
        match self.status:
            case "requires_capture":
                return self.amount_capturable
            case "canceled":
                return self.amount
        return self.amount_received

    def only_authorises(self) -> bool:
        """Whether it was made to hold an amount, not to take it."""
        return self.capture_method == "manual"


class _EventObject(msgspec.Struct):
    metadata: dict[str, str] = {}


class _EventData(msgspec.Struct):
    object: _EventObject


class _Event(msgspec.Struct):
    type: str
    data: _EventData


class _TooMany(Exception):
    """There are more payments than are looked through."""


# --- the gateway ------------------------------------------------------------------------------------------------------


class StripeGateway:
    """One Stripe account. ``shop`` marks our payments where several shops share the account. ``customer_url`` is where
    the bank sends customers back to, and where they are sent when it wants to see them. ``now`` is the real time, as
    Stripe counts it, never a test clock.

    A card's reference is ``customer/payment method``, or the payment method alone.
    """

    def __init__(
        self,
        code: str,
        api_key: str,
        *,
        shop: str = "",
        webhook_secrets: Sequence[str] = (),
        customer_url: str = "",
        base_url: str | None = None,
        now: Callable[[], Instant] | None = None,
        seconds: float = CALL_SECONDS,
    ) -> None:
        if base_url is not None and not base_url.startswith(("https://", "http://127.0.0.1:")):
            raise ValueError("Stripe is asked over https only")
        self._code = code
        self._api_key = api_key
        self._shop = shop
        self._webhook_secrets = tuple(webhook_secrets)
        self._customer_url = customer_url
        self._base_url = base_url
        self._now = now or SystemClock().now
        self._seconds = seconds

    @property
    def code(self) -> str:
        return self._code

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            idempotency_window=IDEMPOTENCY_SECONDS,
            lookup=True,
            lookup_lag=SEARCH_LAG_SECONDS,
            refund=True,
            authorise=True,
        )

    # --- cards -------------------------------------------------------------------------------------------------------

    def tokenise(self, number: str, month: int, year: int) -> StoredCard:
        """Raises Invalid: Stripe takes no card numbers from us, and we want to see none."""
        message = "card numbers go to Stripe's own form; send the payment method that it makes (pm_…)"
        raise Invalid.one("/card_number", "not_accepted", message)

    def tokenise_account(self, aba_code: str, number: str) -> StoredCard:
        """Raises Invalid: bank accounts are not debited through Stripe yet."""
        raise Invalid.one("/bank_account_number", "not_available", "this gateway debits no bank accounts")

    def card_of(self, payment_method_id: str) -> tuple[StoredCard, Card]:
        """How a payment method of Stripe's own form is charged again, and what may be shown of it. One that belongs to
        no customer of Stripe's yet gets one, for only then it can be charged more than once.

        Raises Invalid where it is no card that is taken here, Contended where Stripe does not answer.
        """
        import stripe

        if not _PAYMENT_METHOD.fullmatch(payment_method_id):
            raise _refused_method("unknown", "is not a payment method of Stripe's (pm_…)")
        try:
            client = self._client()
            method = _read(client.v1.payment_methods.retrieve(payment_method_id), _Method)
            brand = BRANDS.get(method.card.brand or "") if method.card else None
            if method.card is None or brand is None:
                raise _refused_method("not_accepted", "is not a card of a brand that is accepted here")
            customer = method.customer or self._customer(client, payment_method_id)
        except stripe.CardError as declined:
            raise _refused_method("declined", declined.user_message or "was refused by the bank") from None
        except stripe.InvalidRequestError:
            raise _refused_method("unknown", "is not known to Stripe, or can no longer be used") from None
        except (stripe.StripeError, Unsent, OSError, http.client.HTTPException, msgspec.ValidationError) as error:
            log.warning("stripe did not answer about a payment method", exc_info=True)
            raise Contended("Stripe did not answer; try again") from error
        stored = StoredCard(
            gateway=self._code,
            reference=f"{customer}/{payment_method_id}",
            fingerprint=method.card.fingerprint or payment_method_id,
        )
        shown = Card(
            card_expiration_month=method.card.exp_month or 1,
            card_expiration_year=method.card.exp_year or 2000,
            card_type=brand,
            last_four=method.card.last4 or "",
        )
        return stored, shown

    def _customer(self, client: "StripeClient", payment_method_id: str) -> str:
        """A customer for the payment method; asked for again, the same one."""
        metadata = {SHOP: self._shop} if self._shop else {}
        made = client.v1.customers.create(
            {"metadata": metadata}, {"idempotency_key": f"bo_customer_{payment_method_id}"}
        )
        attached = client.v1.payment_methods.attach(
            payment_method_id,
            {"customer": made.id},
            {"idempotency_key": f"bo_attach_{payment_method_id}_{made.id}"},
        )
        return _read(attached, _Method).customer or made.id

    # --- charging ----------------------------------------------------------------------------------------------------

    def charge(self, charge: Charge) -> Outcome:
        return self._answered(lambda client: self._made(client, charge, self._asked(charge), "succeeded"))

    def authorise(self, charge: Charge) -> Outcome:
        """Hold the amount. Stripe lets go of it by itself after a week."""
        asked = self._asked(charge)
        asked["capture_method"] = "manual"
        return self._answered(lambda client: self._made(client, charge, asked, "requires_capture"))

    def _made(self, client: "StripeClient", charge: Charge, asked: "PaymentIntentCreateParams", status: str) -> Outcome:
        """Make the payment; approved is only one of that status, key and amount."""
        made = client.v1.payment_intents.create(asked, {"idempotency_key": charge.key})
        intent = _read(made, _Intent)
        told = self._told(intent)
        if intent.metadata.get(KEY) != charge.key:
            return Unknown(reason="Stripe answered about another payment")
        if not isinstance(told, Approved):
            return told
        if intent.status != status:
            log.error("stripe did another thing", extra={"key": charge.key, "payment": intent.id})
            return Unknown(reason=f"Stripe calls the payment {intent.status}, asked for was {status}")
        return self._as_asked(told, charge.amount, charge.currency_code)

    def _as_asked(self, told: Approved, amount: Decimal, currency_code: str) -> Approved | Unknown:
        """Approved is only the amount that was asked for."""
        if (told.amount, told.currency_code) == (amount, currency_code):
            return told
        log.error("stripe moved another amount", extra={"transaction": told.transaction_id})
        said = f"Stripe says {told.amount} {told.currency_code}, asked were {amount} {currency_code}"
        return Unknown(reason=said)

    def _asked(self, charge: Charge) -> "PaymentIntentCreateParams":
        """The request's body: for the same charge always the same, or Stripe would refuse the key."""
        customer, _, method = charge.card.reference.rpartition("/")
        asked: PaymentIntentCreateParams = {
            "amount": units_of(charge.amount, charge.currency_code),
            "currency": charge.currency_code.lower(),
            "confirm": True,
            "payment_method": method,
            "allowed_payment_method_types": ["card"],
            "description": f"Order {charge.order_id}",
            "metadata": self._marks(charge.key, charge.order_id),
            "expand": ["latest_charge"],
        }
        if customer:
            asked["customer"] = customer
        if charge.first:
            # The customer is there: asks the bank to let us come back without them. The two flags exclude each other.
            asked["setup_future_usage"] = "off_session"
            asked["payment_method_options"] = {"card": {"setup_credential_usage": "recurring"}}
            if self._customer_url:
                asked["return_url"] = self._customer_url
        else:
            asked["off_session"] = True
            asked["payment_method_options"] = {"card": {"stored_credential_usage": "recurring"}}
        return asked

    def _marks(self, key: str, order_id: str) -> dict[str, str]:
        return {KEY: key, ORDER_ID: order_id} | ({SHOP: self._shop} if self._shop else {})

    def look_up(self, key: str) -> Found:
        """What became of the charge. The search is asked first; it may be an hour behind, so what it does not know is
        looked for in the list of the last two hours. Only where both were read to their end there is none."""

        def ask(client: "StripeClient") -> Found:
            intent = self._find(client, key)
            return NotFound() if intent is None or self._was_left(intent) else self._told(intent)

        found = self._answered(ask)
        return Unknown(reason=found.reason) if isinstance(found, NotSent) else found

    # --- giving back and letting go ----------------------------------------------------------------------------------

    def refund(self, key: str) -> Outcome:
        """Give back what is left of what was taken under the key, once."""
        import stripe

        def ask(client: "StripeClient") -> Outcome:
            intent = self._find(client, key)
            if intent is None or intent.status != "succeeded":
                return NO_CHARGE
            approved = self._approved(intent)
            charge = intent.charge()
            if charge is not None and charge.refunded:
                return approved
            marks = self._marks(key, intent.metadata.get(ORDER_ID, ""))
            try:
                made = client.v1.refunds.create(
                    {"payment_intent": intent.id, "metadata": marks}, {"idempotency_key": f"{key}_refund"}
                )
            except stripe.InvalidRequestError as error:
                if error.code != NOTHING_LEFT:
                    raise
                return approved
            return _become(_read(made, _Refund), approved)

        return self._answered(ask)

    def refund_part(self, refund: Refund) -> Outcome:
        """Give back the amount. Stripe forgets a key after a day, its list of refunds forgets none: so that is asked
        first, and the same key gives back once however late it is asked again."""
        import stripe

        def ask(client: "StripeClient") -> Outcome:
            intent = self._find(client, refund.of)
            if intent is None or intent.status != "succeeded":
                return NO_CHARGE
            currency = intent.currency.upper()
            if currency != refund.currency_code:
                return Declined(code="other_currency", reason="The charge was made in another currency.")
            if refund.amount <= 0:
                return Declined(code="no_amount", reason="What is given back must be more than nothing.")
            standing = self._refunded(client, intent, refund.key)
            if standing is not None:
                given = _given_back(standing)
                if given.amount != refund.amount:
                    return Declined(code="key_reused", reason="The key was used with another body.", hard=True)
                return _become(standing, given)
            asked: RefundCreateParams = {
                "payment_intent": intent.id,
                "amount": units_of(refund.amount, currency),
                "metadata": self._marks(refund.key, refund.order_id),
            }
            try:
                made = _read(client.v1.refunds.create(asked, {"idempotency_key": refund.key}), _Refund)
            except stripe.InvalidRequestError as error:
                if error.code != NOTHING_LEFT and error.param != TOO_HIGH:
                    raise
                return Declined(code="too_much", reason="It is more than is left of the charge.")
            if (made.metadata or {}).get(KEY) != refund.key:
                return Unknown(reason="Stripe answered about another refund")
            told = _become(made, _given_back(made))
            return self._as_asked(told, refund.amount, currency) if isinstance(told, Approved) else told

        return self._answered(ask)

    def look_up_refund(self, refund: Refund) -> Found:
        """What became of the refund, by the list of all refunds of its payment, which lags nothing."""

        def ask(client: "StripeClient") -> Found:
            intent = self._find(client, refund.of)
            standing = self._refunded(client, intent, refund.key) if intent else None
            return _become(standing, _given_back(standing)) if standing else NotFound()

        found = self._answered(ask)
        return Unknown(reason=found.reason) if isinstance(found, NotSent) else found

    def _refunded(self, client: "StripeClient", intent: _Intent, key: str) -> _Refund | None:
        """The refund of the payment that carries the key. Raises _TooMany."""
        asked: RefundListParams = {"payment_intent": intent.id, "limit": PAGE}
        for _ in range(MAXIMUM_PAGES):
            page = client.v1.refunds.list(asked)
            refunds = [_read(one, _Refund) for one in page.data]
            for refund in refunds:
                if (refund.metadata or {}).get(KEY) == key:
                    return refund
            if not page.has_more or not refunds:
                return None
            asked["starting_after"] = refunds[-1].id
        raise _TooMany

    def void(self, key: str) -> Outcome:
        """Let go of what is held under the key, and of what may still come to be. Without an idempotency key: what is
        canceled stays it, and no answer is kept that was true for a moment only."""
        import stripe

        def ask(client: "StripeClient") -> Outcome:
            intent = self._find(client, key)
            if intent is None:
                return NOTHING_HELD
            if intent.only_authorises() and intent.status not in {"succeeded", "canceled"}:
                try:
                    intent = _read(client.v1.payment_intents.cancel(intent.id, {"expand": ["latest_charge"]}), _Intent)
                except stripe.InvalidRequestError as error:
                    if error.code != ENDED:
                        raise
                    intent = self._retrieved(client, intent.id)
            if intent.metadata.get(KEY) != key:
                return Unknown(reason="Stripe answered about another payment")
            if not intent.only_authorises() or intent.status == "succeeded":
                return IS_A_CHARGE
            if intent.status != "canceled":
                return Unknown(reason=f"Stripe calls the authorisation {intent.status[:40]}")
            return self._approved(intent)

        return self._answered(ask)

    # --- finding -----------------------------------------------------------------------------------------------------

    def _find(self, client: "StripeClient", key: str) -> _Intent | None:
        """The payment that carries the key. Raises _TooMany."""
        if not _KEY.fullmatch(key):
            raise ValueError("that is no key of ours")
        found = client.v1.payment_intents.search({"query": f"metadata['{KEY}']:'{key}'", "limit": 10})
        # What the search shows may be old, so each is read anew.
        ids = list(dict.fromkeys(_read(hit, _Intent).id for hit in found.data))
        hits = [self._retrieved(client, one) for one in ids]
        mine = [intent for intent in hits if intent.metadata.get(KEY) == key]
        if not mine:
            mine = [intent for intent in self._recent(client) if intent.metadata.get(KEY) == key][:1]
        return min(mine, key=lambda one: FIRST.index(one.status) if one.status in FIRST else len(FIRST), default=None)

    def _retrieved(self, client: "StripeClient", intent_id: str) -> _Intent:
        return _read(client.v1.payment_intents.retrieve(intent_id, {"expand": ["latest_charge"]}), _Intent)

    def _recent(self, client: "StripeClient") -> Iterator[_Intent]:
        since = int(later(self._now(), seconds=-LISTED_SECONDS).timestamp())
        asked: PaymentIntentListParams = {
            "created": {"gte": since},
            "limit": PAGE,
            "expand": ["data.latest_charge"],
        }
        for _ in range(MAXIMUM_PAGES):
            page = client.v1.payment_intents.list(asked)
            intents = [_read(one, _Intent) for one in page.data]
            yield from intents
            if not page.has_more or not intents:
                return
            asked["starting_after"] = intents[-1].id
        raise _TooMany

    def _was_left(self, intent: _Intent) -> bool:
        """Whether Stripe made the payment and then never asked the bank. Who asks first, asks with the request that
        made it; so after the time that the search may lag nobody will."""
        begun = intent.latest_charge is not None or intent.last_payment_error is not None
        old = later(_moment(intent.created), seconds=SEARCH_LAG_SECONDS) < self._now()
        return not begun and old and intent.status in {"requires_payment_method", "requires_confirmation"}

    def _told(self, intent: _Intent) -> Approved | Declined | Pending | ActionNeeded | Unknown:
        match intent.status:
            case "succeeded":
                charge = intent.charge()
                if charge is not None and charge.refunded:
                    return Declined(code="refunded", reason="The payment was given back.")
                return self._approved(intent)
            case "requires_capture":
                return self._approved(intent)
            case "processing":
                return Pending(transaction_id=intent.id)
            case "requires_action":
                redirect = intent.next_action.redirect_to_url if intent.next_action else None
                url = (redirect and redirect.url) or self._customer_url
                return ActionNeeded(reason="The bank wants to see the customer.", url=url)
            case "requires_payment_method" if intent.last_payment_error is not None:
                return self._declined(intent.last_payment_error)
            case "canceled" if intent.only_authorises():
                return Declined(code="voided", reason="The authorisation was let go of.")
            case "canceled":
                return Declined(code="canceled", reason="The payment was canceled at Stripe.")
        return Unknown(reason=f"Stripe calls the payment {intent.status[:40]}")

    def _approved(self, intent: _Intent) -> Approved:
        currency, charge = intent.currency.upper(), intent.charge()
        return Approved(
            transaction_id=intent.id,
            amount=amount_of(intent.units(), currency),
            currency_code=currency,
            network_transaction_id=charge.network_transaction_id() if charge else None,
        )

    def _declined(self, error: _Error) -> Declined | ActionNeeded:
        reason = (error.message or "The bank declined the charge.")[:200]
        if AUTHENTICATION in (error.code, error.decline_code):
            return ActionNeeded(reason=reason, url=self._customer_url)
        return Declined(code=error.decline_code or error.code or "declined", reason=reason, hard=is_hard(error))

    # --- what was taken ----------------------------------------------------------------------------------------------

    def captures_since(self, since: Instant, cursor: str | None = None) -> CapturePage:
        """Our charges that were captured, newest first. What carries no key of ours was not taken by us."""
        asked: ChargeListParams = {
            "created": {"gte": int(since.timestamp())},
            "limit": PAGE,
            "expand": ["data.refunds"],
        }
        if cursor:
            asked["starting_after"] = cursor

        def ask(client: "StripeClient") -> CapturePage:
            page = client.v1.charges.list(asked)
            charges = [_read(one, _Charge) for one in page.data]
            return CapturePage(
                captures=[_capture(one) for one in charges if self._is_ours(one)],
                cursor=charges[-1].id if page.has_more and charges else None,
            )

        answer = self._answered(ask)
        if isinstance(answer, CapturePage):
            return answer
        return CapturePage(captures=[], cursor=cursor, problem=getattr(answer, "reason", "Stripe did not answer"))

    def _is_ours(self, charge: _Charge) -> bool:
        taken = charge.captured and charge.status == "succeeded"
        return taken and KEY in charge.metadata and charge.metadata.get(SHOP, "") == self._shop

    def hint(self, body: bytes, signature: str) -> Hint | None:
        import stripe

        for secret in self._webhook_secrets:
            try:
                stripe.WebhookSignature.verify_header(body, signature, secret, SIGNATURE_SECONDS)
                break
            except (stripe.SignatureVerificationError, UnicodeDecodeError):
                continue
        else:
            raise Unauthorised("The signature is not Stripe's.")
        try:
            event = msgspec.json.decode(body, type=_Event)
        except msgspec.DecodeError:
            return None
        marks = event.data.object.metadata
        if event.type not in ENDINGS or KEY not in marks or marks.get(SHOP, "") != self._shop:
            return None
        return Hint(key=marks[KEY], order_id=marks.get(ORDER_ID, ""))

    # --- asking ------------------------------------------------------------------------------------------------------

    def _client(self) -> "StripeClient":
        """A client whose calls end together, in time."""
        import stripe

        # It would write a file and report how long calls take.
        stripe.enable_telemetry = False
        door = _door(time.monotonic() + self._seconds)
        return stripe.StripeClient(
            self._api_key,
            max_network_retries=0,
            http_client=door,
            base_addresses={"api": self._base_url} if self._base_url else None,
        )

    def _answered(self, ask: Callable[["StripeClient"], T]) -> T | Declined | ActionNeeded | NotSent | Unknown:
        """The answer, whatever happens: what might be a charge that was taken is unknown."""
        import stripe

        try:
            return ask(self._client())
        except Unsent as error:
            return NotSent(reason=str(error))
        except _TooMany:
            return Unknown(reason="there are more payments than can be looked through")
        except stripe.StripeError as error:
            return self._failed(error)
        except TimeoutError:
            return Unknown(reason="Stripe did not answer in time")
        except (OSError, http.client.HTTPException) as error:
            return Unknown(reason=f"the connection to Stripe broke: {type(error).__name__}")
        except Exception:
            log.exception("an answer of Stripe's could not be read")
            return Unknown(reason="Stripe's answer could not be read")

    def _failed(self, error: "stripe.StripeError") -> Declined | ActionNeeded | NotSent | Unknown:
        """An answer that is an error. Only those that Stripe gives before it begins, or after the bank has spoken, are
        certain; a key that is in use, or was used for something else, has begun something."""
        import stripe

        said = _said(error)
        match error:
            case stripe.CardError() if said.type == "card_error":
                return self._declined(said)
            case stripe.RateLimitError() if said.code != "lock_timeout":
                return NotSent(reason="Stripe was asked too often")
            case stripe.AuthenticationError() | stripe.PermissionError():
                log.error("stripe does not accept our key", extra={"gateway": self._code})
                return NotSent(reason="Stripe does not accept the account's key")
            case stripe.InvalidRequestError() if said.type == "invalid_request_error":
                log.error("stripe refused a request", extra={"code": said.code, "stripe_message": said.message})
                return Declined(code=said.code or "invalid_request", reason="The payment could not be made.")
        return Unknown(reason=f"Stripe answered {error.http_status}: {said.code or said.type or 'nothing readable'}")


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(answer: "stripe.StripeObject", type_: type[S]) -> S:
    return msgspec.convert(answer.to_dict(), type_)


def _said(error: "stripe.StripeError") -> _Error:
    body = error.json_body
    try:
        return msgspec.convert(body.get("error"), _Error) if isinstance(body, dict) else _Error()
    except msgspec.ValidationError:
        return _Error()


def _refused_method(code: str, message: str) -> Invalid:
    return Invalid.one("/payment_method", code, message)


def is_hard(error: _Error) -> bool:
    """Whether the bank, or a network's rule, forbids to try this card again."""
    brand = error.brand()
    return (
        error.advice_code == "do_not_try_again"
        or error.decline_code in HARD_DECLINES
        or error.code in HARD_DECLINES
        or (brand in (None, "mastercard") and error.network_advice_code in MASTERCARD_NEVER)
        or (brand == "visa" and error.network_decline_code in VISA_NEVER)
    )


def _capture(charge: _Charge) -> Capture:
    currency = charge.currency.upper()
    given_back = max((refund.created for refund in charge.refunds.data), default=0) if charge.refunds else 0
    return Capture(
        key=charge.metadata[KEY],
        amount=amount_of(charge.amount_captured, currency),
        currency_code=currency,
        order_id=charge.metadata.get(ORDER_ID, ""),
        transaction_id=charge.payment_intent or charge.id,
        captured_dts=_moment(charge.created),
        refunded_dts=_moment(given_back or charge.created) if charge.refunded else None,
        network_transaction_id=charge.network_transaction_id(),
    )


def _given_back(refund: _Refund) -> Approved:
    currency = refund.currency.upper()
    return Approved(transaction_id=refund.id, amount=amount_of(refund.amount, currency), currency_code=currency)


def _become(refund: _Refund, approved: Approved) -> Approved | Declined | Pending | Unknown:
    """What became of the refund; ``approved`` where it is given."""
    match refund.status:
        case "succeeded" | "pending":
            # One that fails after all makes the charge a capture again, and the reconciliation finds it.
            return approved
        case "requires_action":
            return Pending(transaction_id=refund.id)
        case "failed" | "canceled":
            return Declined(code="refund_failed", reason="The refund did not go through.")
    return Unknown(reason=f"Stripe calls the refund {refund.status}")


def _moment(seconds: int) -> Instant:
    return instant(datetime.fromtimestamp(seconds, UTC))


def units_of(amount: Decimal, currency_code: str) -> int:
    """The amount in Stripe's smallest coin: that of the currency, but for one that it counts in hundredths."""
    return minor_units(amount, currency_code) * (100 if currency_code in HUNDREDTHS else 1)


def amount_of(units: int, currency_code: str) -> Decimal:
    exponent = EXPONENTS.get(currency_code, 2) + (2 if currency_code in HUNDREDTHS else 0)
    return Decimal(units).scaleb(-exponent)


# --- the way out ------------------------------------------------------------------------------------------------------


def _door(deadline: float) -> "HTTPClient":
    """The library's way out, through our own door: one deadline for all calls, and Unsent where nothing was sent."""
    import stripe

    class Door(stripe.HTTPClient):
        name = "http.client"

        def request(
            self,
            method: str,
            url: str,
            headers: Mapping[str, str] | None,
            post_data: Any = None,
            *,
            _usage: list[str] | None = None,
        ) -> tuple[str, int, Mapping[str, str]]:
            body = post_data.encode() if isinstance(post_data, str) else post_data
            status, found, answer = sent(method.upper(), url, headers or {}, body, deadline, _tls())
            return answer.decode("utf-8", "replace"), status, cast(Mapping[str, str], found)

    return Door()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The authorities that the library brings: not every system has its own."""
    import stripe

    return ssl.create_default_context(cafile=stripe.ca_bundle_path)
