"""Webhooks: which endpoints may be told what, how a delivery looks, and when it is tried again.

A delivery is one event for one endpoint. Its id and its body are fixed when it is planned and are the same on every
try; only the time stamp and the signature are new.
"""

import base64
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.dates import Instant, instant, later
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.events import CATALOGUE, REFLOWABLE
from chalicelib.domain.fields import Oid, Text50, Text100, Text200, Text512, Text1024, Text2000
from chalicelib.domain.payments import LEASE_SECONDS
from chalicelib.domain.wire import Noun

# Each event is delivered to each endpoint: more endpoints than this belong behind one receiver that spreads.
MAXIMUM_WEBHOOKS = 40
# Longer addresses break receivers and proxies on the way.
MAXIMUM_URL = 1000
# What TLS receivers listen on. Any other port would let an endpoint probe a network.
PORTS = (443, 8443)
# The body is an attribute of one record (400 KB with everything), and nobody wants to receive more.
MAXIMUM_BODY_BYTES = 256 * 1024
# What is kept of an answer, and how many of its headers and of the letters of each.
MAXIMUM_ANSWER_BYTES = 8 * 1024
MAXIMUM_ANSWER_HEADERS = 40
MAXIMUM_ANSWER_HEADER = 256

# A worker has a delivery for itself for a lease. Where the sweep has just pushed the delivery by its own lease, that
# is kept if it leaves four times as long as a post may take: an index entry less to move.
SHORTEST_LEASE_SECONDS = 60
# The wait before each try. 19 tries in 7 days 4 hours: the longest week-end, and a day to notice.
RETRY_SECONDS = (0, 5, 30, 120, 300, 900, 1800, 3600, 7200, 14400, 28800) + (43200,) * 3 + (86400,) * 5
# Each wait is stretched or cut by up to this, so that what failed together does not come back together.
JITTER = 0.2
# A receiver may ask for a pause of this length, not for silence.
MAXIMUM_RETRY_AFTER_SECONDS = 24 * 3600
# After so many failures in a row an endpoint gets one probe at a time instead of everything that waits for it ...
PAUSE_AFTER_FAILURES = 5
# ... and the next one after this at the latest, so that a receiver that is back need not wait for long.
LONGEST_PAUSE_SECONDS = 3600
# What waited for the end of a pause is spread over this much time.
SPREAD_SECONDS = 60
# An endpoint is disabled when both are over: a broken deployment or one bad hour never does it.
DISABLE_AFTER_FAILURES = 20
DISABLE_AFTER_DAYS = 7
# A receiver that has lost what it knew asks for a quarter again, and for no more: bodies are not kept for ever.
SENT_AGAIN_DAYS = 100

# Standard Webhooks: between 24 and 64 random bytes.
SECRET_BYTES = 32
SECRET_PREFIX = "whsec_"  # noqa: S105 - the marker that all such secrets begin with
# The time in which receivers change over to a new secret: both sign until then.
OVERLAP_HOURS = 24
# Each live secret is one more signature in the header.
MAXIMUM_SECRETS = 5

# Letters of chance in the id of a request: enough for one endpoint's second, and a usual log stays below 1 KB.
REQUEST_WORD = 12
GONE = 410
API_VERSION = "2017-03-01"

# What can be expanded in the noun that an event is about.
_ORDER_EXPANSIONS = (
    "affiliate",
    "auto_order",
    "billing",
    "checkout",
    "coupon",
    "current_stage_histories",
    "internal",
    "item",
    "marketing",
    "payment",
    "payment.transaction",
    "properties",
    "shipping",
    "summary",
    "tags",
    "taxes",
)
EXPANSIONS: dict[str, tuple[str, ...]] = {
    "auto_order": (
        "add_ons",
        "items",
        "items.future_schedules",
        "items.sample_schedule",
        "logs",
        "original_order",
        *(f"original_order.{name}" for name in _ORDER_EXPANSIONS),
        "properties",
        "rebill_orders",
        *(f"rebill_orders.{name}" for name in _ORDER_EXPANSIONS),
    ),
    "customer": (
        "attachments",
        "billing",
        "cards",
        "cc_emails",
        "edi",
        "pricing_tiers",
        "privacy",
        "properties",
        "reviewer",
        "shipping",
        "software_entitlements",
        "tags",
        "tax_codes",
    ),
    "item": (
        "accounting",
        "auto_order",
        "physical",
        "pricing",
        "properties",
        "restriction",
        "shipping",
        "tags",
        "tax",
    ),
    "order": _ORDER_EXPANSIONS,
}
DESCRIPTIONS = {
    "auto_order_cancel": "An auto order was canceled.",
    "auto_order_create": "An auto order was created by the first payment of its original order.",
    "auto_order_decline": "The card for a rebill was declined.",
    "auto_order_disable": "An auto order was disabled after its last retry failed.",
    "auto_order_preshipment": "A rebill comes soon; its preshipment notice is due.",
    "auto_order_rebill": "An auto order was rebilled.",
    "auto_order_update": "An auto order was changed.",
    "customer_create": "A customer profile was created.",
    "customer_delete": "A customer profile was deleted.",
    "customer_update": "A customer profile was changed.",
    "item_create": "An item was created.",
    "item_delete": "An item was deleted.",
    "item_update": "An item was changed.",
    "order_create": "An order was placed.",
    "order_delete": "An order was deleted.",
    "order_payment_failed": "The payment of an order failed.",
    "order_refund": "Money of an order was given back.",
    "order_reject": "An order was rejected.",
    "order_payment_process": "The payment of an order was processed.",
    "order_ship": "An order was shipped.",
    "order_stage_change": "An order moved to another stage.",
    "order_update": "An order was changed.",
}

AuthenticationType = Literal["none", "basic", "api user", "aws iam"]
State = Literal["pending", "delivered", "dead"]


# --- nouns -----------------------------------------------------------------------------------------------------------


class HTTPHeader(Noun):
    name: Text100 | None = None
    value: Text1024 | None = None


class ApiUserApplicationProfile(Noun):
    api_application_logo_url: Text200 | None = None
    application_description: Text1024 | None = None
    application_name: Text100 | None = None
    developer_name: Text100 | None = None
    developer_website: Text200 | None = None


class WebhookEventSubscription(Noun):
    comments: Text1024 | None = None
    deprecated_flag: bool | None = None
    discontinued_flag: bool | None = None
    event_description: Text1024 | None = None
    event_name: Text50 | None = None
    event_ruler: Text2000 | None = None
    expansion: Text512 | None = None
    subscribed: bool | None = None
    supports_reflow: bool | None = None
    webhook_event_oid: Oid | None = None


class WebhookEventCategory(Noun):
    any_subscribed: bool | None = None
    available_expansions: Annotated[list[Text100], Meta(max_length=100)] | None = None
    event_category: Text50 | None = None
    events: Annotated[list[WebhookEventSubscription], Meta(max_length=50)] | None = None
    subscribed: bool | None = None


class SigningSecret(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A secret that signs. ``expires_dts`` is set when a newer one has taken its place."""

    text: str
    created_dts: Instant
    expires_dts: Instant | None = None


class Webhook(Noun):
    """An endpoint. ``signing_secret`` is shown in the answer that makes it and never again, ``basic_password`` in the
    answer that made the endpoint. ``failing_since_dts`` is the first failure since the last success."""

    own: ClassVar[frozenset[str]] = frozenset({"signing_secrets", "failing_since_dts", "disabled_reason"})
    read_only: ClassVar[frozenset[str]] = frozenset(
        {
            "api_user_oid",
            "application_profile",
            "consecutive_failures",
            "merchant_id",
            "next_retry_after",
            "pending",
            "signing_secret",
            "webhook_oid",
        }
    )

    api_user_oid: Oid | None = None
    api_version: Literal["2017-03-01"] | None = None
    application_profile: ApiUserApplicationProfile | None = None
    authentication_type: AuthenticationType | None = None
    basic_password: Text100 | None = None
    basic_username: Text100 | None = None
    compress_events: bool | None = None
    consecutive_failures: Annotated[int, Meta(ge=0)] | None = None
    disabled: bool | None = None
    event_categories: Annotated[list[WebhookEventCategory], Meta(max_length=20)] | None = None
    iam_access_key: Text200 | None = None
    iam_secret_key: Text200 | None = None
    maximum_events: Annotated[int, Meta(ge=10, le=1000)] | None = None
    maximum_size: Annotated[int, Meta(ge=1024, le=900 * 1024)] | None = None
    merchant_comments: Text2000 | None = None
    merchant_id: Text50 | None = None
    name: Annotated[str, Meta(max_length=80)] | None = None
    next_retry_after: Instant | None = None
    pending: Annotated[int, Meta(ge=0)] | None = None
    signing_secret: Text100 | None = None
    webhook_oid: Oid | None = None
    webhook_url: Annotated[str, Meta(max_length=MAXIMUM_URL)] | None = None

    signing_secrets: list[SigningSecret] | None = None
    failing_since_dts: Instant | None = None
    disabled_reason: str | None = None

    def live_secrets(self, now: Instant) -> list[str]:
        """The secrets that sign now, the newest first."""
        return [s.text for s in self.signing_secrets or [] if s.expires_dts is None or now < s.expires_dts]


class WebhookLogSummary(Noun):
    delivery_dts: Instant | None = None
    duration: int | None = None
    event_names: list[str] | None = None
    order_ids: list[str] | None = None
    request_id: str | None = None
    status_code: int | None = None
    success: bool | None = None


class DeliveryLog(Noun):
    """UltraCart's WebhookLog: one try, or the note that somebody asked to have it sent again (no ``success`` then).
    Where no answer came, ``response`` says why. ``event_id`` is what to send again."""

    own: ClassVar[frozenset[str]] = frozenset({"event_id"})

    delivery_dts: Instant | None = None
    duration: int | None = None
    event_names: list[str] | None = None
    order_ids: list[str] | None = None
    queue_delay: int | None = None
    request: str | None = None
    request_headers: list[HTTPHeader] | None = None
    request_id: str | None = None
    response: str | None = None
    response_headers: list[HTTPHeader] | None = None
    status_code: int | None = None
    success: bool | None = None
    uri: str | None = None
    webhook_oid: int | None = None

    event_id: str = ""

    def summary(self) -> WebhookLogSummary:
        return WebhookLogSummary(
            delivery_dts=self.delivery_dts,
            duration=self.duration,
            event_names=self.event_names,
            order_ids=self.order_ids,
            request_id=self.request_id,
            status_code=self.status_code,
            success=self.success,
        )


class Answer(msgspec.Struct, kw_only=True, frozen=True):
    """What came of a post. ``status`` 0: no answer, and ``error`` says why. The body is cut and may be anything."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    duration_ms: int = 0
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Taken. A redirect is not: it is never followed, so nobody has it."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        return next((value for found, value in self.headers if found.lower() == name.lower()), None)


class Delivery(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One event for one endpoint. ``next_dts``: not to be tried before; ``due_dts``: when to look at it again.
    ``reason``: why it is on the dead list, or what came of the last try. ``marker`` is the store's own."""

    event_id: str
    webhook_oid: int
    event_names: list[str]
    first_dts: Instant
    body: str = ""
    order_ids: list[str] = []
    state: State = "pending"
    tries: int = 0
    next_dts: Instant | None = None
    due_dts: Instant | None = None
    ended_dts: Instant | None = None
    reason: str | None = None
    resends: int = 0
    marker: str = ""

    def ready(self, now: Instant) -> bool:
        """To be tried now. Not so for a message that comes twice or late, and while another worker is on it."""
        return self.state == "pending" and (self.next_dts is None or self.next_dts <= now)


# --- endpoints -------------------------------------------------------------------------------------------------------


class Target(msgspec.Struct, kw_only=True, frozen=True):
    """Where an address leads. ``host`` is lower case and without brackets; ``path`` holds the query too."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def name(self) -> str:
        """Host and port, as ``allowed`` writes them: ``127.0.0.1:9000``, ``[::1]:9000``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


# Printable ASCII without what has no place in an address (RFC 3986), the backslash above all: it is read in two ways.
_ADDRESS = re.compile(r"""[!#$%&'()*+,./0-9:;=?@A-Z\[\]_a-z~-]+""")
_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)")
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MAXIMUM_HOST = 253


def target_of(url: str, allowed: frozenset[str] = frozenset()) -> Target:
    """Where the address leads, if it is one that may be posted to.

    ``allowed`` are targets (``127.0.0.1:9000``) that may also be plain http, on any port and without a name.
    Whether a *name* leads where it may, only the guard can say, at each send. Raises ValueError with a sentence.
    """
    if len(url) > MAXIMUM_URL:
        raise ValueError(f"may have {MAXIMUM_URL} characters at most")
    if not _ADDRESS.fullmatch(url):
        raise ValueError("must be an address in plain ASCII; a name in another script is written in its xn-- form")
    parts = _PARTS.fullmatch(url)
    if parts is None:
        raise ValueError("must be an address, as in https://example.com/webhooks")
    scheme, authority, path = parts[1].lower(), parts[2], parts[3]
    if scheme not in {"http", "https"}:
        raise ValueError("must be an https address")
    if "#" in path:
        raise ValueError("may not have a fragment (#)")
    if "@" in authority:
        raise ValueError("may not carry a user or password; authentication_type basic has its own fields")
    named = _HOST_AND_PORT.fullmatch(authority)
    if named is None:
        raise ValueError("must name a host, as in https://example.com/webhooks")
    port = int(named[2]) if named[2] else (443 if scheme == "https" else 80)
    target = Target(
        scheme=scheme,
        host=named[1].strip("[]").lower(),
        port=port,
        path=path if path.startswith("/") else f"/{path}",
    )
    if target.name in allowed:
        return target
    if scheme != "https":
        raise ValueError("must be an https address")
    if port not in PORTS:
        raise ValueError(f"may use the ports {' and '.join(str(p) for p in PORTS)} only")
    labels = target.host.split(".")
    named_well = all(_LABEL.fullmatch(label) for label in labels) and len(target.host) <= _MAXIMUM_HOST
    if len(labels) < 2 or not named_well or not labels[-1][0].isalpha():
        raise ValueError("must name a public host, as in https://example.com/webhooks; numbers are no name")
    return target


def validate(webhook: Webhook, allowed: frozenset[str] = frozenset()) -> None:
    """Raises Invalid with all problems. ``allowed`` as in ``target_of``."""
    problems = [
        *_address_problems(webhook, allowed),
        *_authentication_problems(webhook),
        *_subscription_problems(webhook),
    ]
    if problems:
        raise Invalid(problems)


def _address_problems(webhook: Webhook, allowed: frozenset[str]) -> Iterator[Problem]:
    if not webhook.webhook_url:
        yield Problem(pointer="/webhook_url", code="required", message="is required")
        return
    try:
        target_of(webhook.webhook_url, allowed)
    except ValueError as error:
        yield Problem(pointer="/webhook_url", code="invalid", message=str(error))


def _authentication_problems(webhook: Webhook) -> Iterator[Problem]:
    kind = webhook.authentication_type
    if kind in {"api user", "aws iam"}:
        yield Problem(
            pointer="/authentication_type",
            code="not_available",
            message=f"'{kind}' is not available here; 'none' and 'basic' are, and every delivery is signed",
        )
    for name in ("iam_access_key", "iam_secret_key"):
        if getattr(webhook, name) is not None:
            yield Problem(pointer=f"/{name}", code="not_available", message="delivery to AWS SQS is not available here")
    if kind == "basic":
        for name in ("basic_username", "basic_password"):
            if not getattr(webhook, name):
                yield Problem(pointer=f"/{name}", code="required", message="is required for authentication_type basic")
    for name in ("basic_username", "basic_password"):
        value = getattr(webhook, name) or ""
        if not value.isprintable() or (name == "basic_username" and ":" in value):
            yield Problem(pointer=f"/{name}", code="invalid", message="may hold no control characters, a user no colon")


def _subscription_problems(webhook: Webhook) -> Iterator[Problem]:
    seen: set[str] = set()
    for c, category in enumerate(webhook.event_categories or []):
        at = f"/event_categories/{c}"
        if category.event_category not in CATALOGUE:
            yield Problem(
                pointer=f"{at}/event_category",
                code="not_allowed_value",
                message=f"'{category.event_category}' has no events here; allowed are {', '.join(CATALOGUE)}",
            )
            continue
        for e, event in enumerate(category.events or []):
            yield from _event_problems(event, category.event_category or "", f"{at}/events/{e}", seen)


def _event_problems(event: WebhookEventSubscription, category: str, at: str, seen: set[str]) -> Iterator[Problem]:
    name = event.event_name or ""
    if name not in CATALOGUE[category]:
        yield Problem(
            pointer=f"{at}/event_name",
            code="not_allowed_value",
            message=f"'{name}' is no event of {category}; allowed are {', '.join(CATALOGUE[category])}",
        )
    elif name in seen:
        yield Problem(pointer=f"{at}/event_name", code="twice", message=f"'{name}' is listed twice")
    seen.add(name)
    if event.event_ruler:
        yield Problem(
            pointer=f"{at}/event_ruler",
            code="not_available",
            message="filters are not available here; leave it out to get every event",
        )
    if event.expansion and not re.fullmatch(r"[A-Za-z_., ]*", event.expansion):
        yield Problem(
            pointer=f"{at}/expansion", code="invalid", message="must be names with commas between, as in items,logs"
        )


def begun(
    webhook: Webhook,
    *,
    oid: int,
    merchant_id: str,
    secret: str,
    username: str,
    password: str,
    now: Instant,
    allowed: frozenset[str] = frozenset(),
) -> Webhook:
    """A new endpoint with what the server gives it: its oid, its secret, and basic credentials where none came.
    Raises Invalid."""
    basic = webhook.authentication_type == "basic" and not (webhook.basic_username or webhook.basic_password)
    whole = replace(
        webhook,
        webhook_oid=oid,
        merchant_id=merchant_id,
        api_version=API_VERSION,
        authentication_type=webhook.authentication_type or "none",
        basic_username=username if basic else webhook.basic_username,
        basic_password=password if basic else webhook.basic_password,
        disabled=webhook.disabled or False,
        consecutive_failures=0,
        signing_secrets=[SigningSecret(text=secret, created_dts=now)],
    )
    validate(whole, allowed)
    return _tidied(whole)


def edited(stored: Webhook, raw: Any, now: Instant, allowed: frozenset[str] = frozenset()) -> Webhook:
    """The endpoint after a partial update. What moves by itself (failures, next retry, pending) may be sent back
    however old it is. Enabling it again forgives its failures. Raises Invalid."""
    if isinstance(raw, dict):
        moving = {"consecutive_failures", "next_retry_after", "pending"}
        if raw.get("signing_secret") in stored.live_secrets(now):
            moving.add("signing_secret")
        raw = {name: value for name, value in raw.items() if name not in moving}
    merged = wire.overlay(stored, raw)
    validate(merged, allowed)
    webhook = _tidied(merged)
    if stored.disabled and not webhook.disabled:
        return _forgiven(replace(webhook, disabled_reason=None))
    return webhook


def _tidied(webhook: Webhook) -> Webhook:
    """Only what is subscribed to is kept; the rest of a catalogue that was sent back is the server's own."""
    categories = []
    for category in webhook.event_categories or []:
        events = category.events or []
        if not events and category.subscribed:
            names = CATALOGUE.get(category.event_category or "", ())
            events = [WebhookEventSubscription(event_name=name, subscribed=True) for name in names]
        wanted = [
            WebhookEventSubscription(
                event_name=event.event_name,
                event_ruler=event.event_ruler,
                expansion=(event.expansion or "").replace(" ", "") or None,
                subscribed=True,
            )
            for event in events
            if event.subscribed
        ]
        if wanted:
            categories.append(WebhookEventCategory(event_category=category.event_category, events=wanted))
    return replace(webhook, event_categories=categories or None)


def catalogue() -> list[WebhookEventCategory]:
    """Every event there is, none of them subscribed to."""
    return _categories({}, placeholders=True)


def shown(webhook: Webhook, *, placeholders: bool = False, secret: bool = False, password: bool = False) -> Webhook:
    """As an answer shows it, with what the catalogue says of its events. ``placeholders``: all events, those that are
    not subscribed to as well. ``secret`` and ``password``: only in the answer that made them."""
    wanted = {
        event.event_name or "": event.expansion or ""
        for category in webhook.event_categories or []
        for event in category.events or []
    }
    return replace(
        webhook,
        basic_password=webhook.basic_password if password else None,
        signing_secret=webhook.signing_secrets[0].text if secret and webhook.signing_secrets else None,
        event_categories=_categories(wanted, placeholders=placeholders),
    )


def _categories(wanted: dict[str, str], *, placeholders: bool) -> list[WebhookEventCategory]:
    categories = []
    for category, names in CATALOGUE.items():
        events = [
            WebhookEventSubscription(
                deprecated_flag=False,
                discontinued_flag=False,
                event_description=DESCRIPTIONS[name],
                event_name=name,
                expansion=wanted.get(name) or None,
                subscribed=name in wanted,
                supports_reflow=name in REFLOWABLE,
                webhook_event_oid=_event_oid(name),
            )
            for name in names
            if placeholders or name in wanted
        ]
        if events:
            categories.append(
                WebhookEventCategory(
                    any_subscribed=any(name in wanted for name in names),
                    available_expansions=list(EXPANSIONS[category]),
                    event_category=category,
                    events=events,
                    subscribed=all(name in wanted for name in names),
                )
            )
    return categories


def _event_oid(name: str) -> int:
    """Of the name, not of its place in the catalogue: a new event changes nobody else's."""
    return zlib.crc32(name.encode()) % (2**31 - 1) + 1


def subscribes(webhook: Webhook, event_name: str) -> str | None:
    """The expansion (names with commas between, often "") with which the endpoint wants the event, or None."""
    if webhook.disabled:
        return None
    for category in webhook.event_categories or []:
        for event in category.events or []:
            if event.event_name == event_name and event.subscribed:
                return event.expansion or ""
    return None


# --- secrets ---------------------------------------------------------------------------------------------------------


def secret_text(words: Iterable[str]) -> str:
    """A Standard Webhooks secret out of unguessable words; together they must hold 256 bits of chance."""
    return SECRET_PREFIX + base64.b64encode(sha256("\x1f".join(words).encode()).digest()).decode()


def rotated(webhook: Webhook, secret: str, now: Instant, *, at_once: bool = False) -> Webhook:
    """A new secret signs from now on, the old ones beside it until the overlap is over; ``at_once`` drops them (one
    has leaked). Raises Invalid where too many are live already."""
    overlap_ends = later(now, hours=OVERLAP_HOURS)
    still = [
        replace(old, expires_dts=old.expires_dts or overlap_ends)
        for old in webhook.signing_secrets or []
        if not at_once and (old.expires_dts is None or now < old.expires_dts)
    ]
    if len(still) >= MAXIMUM_SECRETS:
        raise Invalid.one("", "too_many", f"{len(still)} secrets sign already; the oldest ends {still[-1].expires_dts}")
    return replace(webhook, signing_secrets=[SigningSecret(text=secret, created_dts=now), *still])


def basic_authorization(webhook: Webhook) -> str | None:
    """The Authorization header of an endpoint with basic authentication."""
    if webhook.authentication_type != "basic":
        return None
    pair = f"{webhook.basic_username}:{webhook.basic_password}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


# --- deliveries ------------------------------------------------------------------------------------------------------


def delivery_id(event_id: str, position: int) -> str:
    """The id of one happening of an event row, the same whenever the row is told: a row may list several, and each
    goes out in a body of its own."""
    return event_id if position == 0 else f"{event_id}-{position}"


def body_of(event_name: str, rendered: Any, *, compress: bool = False) -> str:
    """The body as it goes out, one event in it. ``compress``: the events gzipped and in base64, as one string."""
    events: Any = [{event_name: rendered}]
    if compress:
        # mtime: the same events give the same text.
        events = base64.b64encode(gzip.compress(wire.to_json(events), mtime=0)).decode()
    return wire.to_json({"events": events}).decode()


def planned(
    webhook: Webhook, event_id: str, event_name: str, rendered: Any, now: Instant, *, order_ids: Iterable[str] = ()
) -> Delivery:
    """The delivery of a happening to an endpoint, due at once. A body that is too large is on the dead list from the
    start, with the reason."""
    body = body_of(event_name, rendered, compress=bool(webhook.compress_events))
    most = min(webhook.maximum_size or MAXIMUM_BODY_BYTES, MAXIMUM_BODY_BYTES)
    size = len(body.encode())
    delivery = Delivery(
        event_id=event_id,
        webhook_oid=webhook.webhook_oid or 0,
        event_names=[event_name],
        order_ids=list(order_ids),
        first_dts=now,
        body=body,
        next_dts=now,
    )
    if size <= most:
        return delivery
    return ended(
        replace(delivery, body=""), "dead", now, f"its body would have {size} bytes; the endpoint takes {most} at most"
    )


def ended(delivery: Delivery, state: State, now: Instant, reason: str | None = None) -> Delivery:
    return replace(delivery, state=state, next_dts=None, due_dts=None, ended_dts=now, reason=reason)


def claimed(delivery: Delivery, now: Instant) -> Delivery:
    """Nobody else tries it for the length of a lease; a worker that is lost costs one."""
    longest = later(now, seconds=LEASE_SECONDS)
    pushed = delivery.due_dts
    kept = pushed is not None and later(now, seconds=SHORTEST_LEASE_SECONDS) <= pushed <= longest
    lease = pushed if kept else longest
    return replace(delivery, next_dts=lease, due_dts=lease)


def held_back(delivery: Delivery, until: Instant, chance: float) -> Delivery:
    """The endpoint has a pause: not a try, only later."""
    again = later(until, seconds=int(chance * SPREAD_SECONDS))
    return replace(delivery, next_dts=again, due_dts=again)


def too_old(delivery: Delivery, now: Instant) -> bool:
    """Not to be sent again: its body may go at any time."""
    return now > later(delivery.first_dts, days=SENT_AGAIN_DAYS)


def resent(delivery: Delivery, now: Instant) -> Delivery:
    """The same id and the same body once more, with all its tries."""
    return replace(
        delivery,
        state="pending",
        tries=0,
        next_dts=now,
        due_dts=now,
        ended_dts=None,
        reason=None,
        resends=delivery.resends + 1,
    )


def tried(delivery: Delivery, answer: Answer, now: Instant, chance: float) -> Delivery:
    """The delivery after a post. ``chance`` in [0, 1) makes the jitter."""
    tries = delivery.tries + 1
    if answer.ok:
        return ended(replace(delivery, tries=tries), "delivered", now)
    if answer.status == GONE:
        return ended(replace(delivery, tries=tries), "dead", now, "the receiver answered 410: it is gone for good")
    if tries >= len(RETRY_SECONDS):
        return ended(replace(delivery, tries=tries), "dead", now, f"{tries} tries failed, the last: {told(answer)}")
    wait = max(wait_seconds(tries, chance), retry_after_seconds(answer, now) or 0)
    again = later(now, seconds=wait)
    return replace(delivery, tries=tries, next_dts=again, due_dts=again, reason=told(answer))


def wait_seconds(tries: int, chance: float) -> int:
    """The wait after so many tries, with its jitter."""
    return round(RETRY_SECONDS[tries] * (1 - JITTER + 2 * JITTER * chance))


def retry_after_seconds(answer: Answer, now: Instant) -> int | None:
    """The pause that the receiver asks for, in seconds or as a date (RFC 9110, 10.2.3); None where it asks for none."""
    text = (answer.header("retry-after") or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        seconds = int(text)
    else:
        try:
            seconds = int((instant(parsedate_to_datetime(text)) - now).total_seconds())
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0), MAXIMUM_RETRY_AFTER_SECONDS)


def told(answer: Answer) -> str:
    """The answer in a few words."""
    return answer.error or f"status {answer.status}"


def reason_to_stop(webhook: Webhook | None) -> str | None:
    """Why nothing may be sent to the endpoint any more, or None."""
    if webhook is None:
        return "the endpoint was deleted"
    if webhook.disabled:
        return webhook.disabled_reason or "the endpoint is disabled"
    return None


def paused_until(webhook: Webhook, now: Instant) -> Instant | None:
    """The end of the endpoint's pause, where it has one."""
    until = webhook.next_retry_after
    return until if until is not None and now < until else None


def counted(webhook: Webhook, answer: Answer, delivery: Delivery, now: Instant) -> Webhook:
    """The endpoint after a post that left the delivery like this; the same object where nothing changes.

    It is disabled by a 410, and by failures alone only after many of them and a week without any success.
    """
    if answer.ok:
        clean = not webhook.consecutive_failures and webhook.failing_since_dts is None
        return webhook if clean and webhook.next_retry_after is None else _forgiven(webhook)
    failures = (webhook.consecutive_failures or 0) + 1
    since = webhook.failing_since_dts or now
    after = replace(webhook, consecutive_failures=failures, failing_since_dts=since)
    if answer.status == GONE:
        return _disabled(after, "the receiver answered 410: it is gone for good")
    if failures >= DISABLE_AFTER_FAILURES and now - since >= timedelta(days=DISABLE_AFTER_DAYS):
        return _disabled(after, f"{failures} failures since {since}, no success between, the last: {told(answer)}")
    return replace(after, next_retry_after=_pause(after, answer, delivery, now))


def _pause(webhook: Webhook, answer: Answer, delivery: Delivery, now: Instant) -> Instant | None:
    asked = retry_after_seconds(answer, now)
    if asked:
        return later(now, seconds=asked)
    if (webhook.consecutive_failures or 0) < PAUSE_AFTER_FAILURES:
        return None
    longest = later(now, seconds=LONGEST_PAUSE_SECONDS)
    # Never past the delivery's own next try: that one is the probe.
    return min(delivery.next_dts, longest) if delivery.next_dts else longest


def _disabled(webhook: Webhook, reason: str) -> Webhook:
    return replace(webhook, disabled=True, disabled_reason=reason, next_retry_after=None)


def _forgiven(webhook: Webhook) -> Webhook:
    return replace(webhook, consecutive_failures=0, failing_since_dts=None, next_retry_after=None)


# --- logs ------------------------------------------------------------------------------------------------------------


def request_id(now: Instant, word: str) -> str:
    """Sorts as time passes, unique by chance within its second, safe in a path."""
    return f"{stamp(now)}-{word[:REQUEST_WORD]}"


def stamp(moment: Instant) -> str:
    """The beginning of the ids of all requests at that moment."""
    return f"{moment:%Y%m%dT%H%M%SZ}"


def log_of(
    delivery: Delivery, webhook: Webhook, answer: Answer, headers: dict[str, str], request: str, now: Instant
) -> DeliveryLog:
    """What is kept of a try at ``now``; ``delivery`` as it was before. The request's body stands with the delivery;
    credentials stand nowhere."""
    waited = now - delivery.next_dts if delivery.next_dts else timedelta(0)
    return DeliveryLog(
        delivery_dts=now,
        duration=answer.duration_ms,
        event_names=delivery.event_names,
        order_ids=delivery.order_ids,
        queue_delay=max(0, int(waited.total_seconds() * 1000)),
        request_headers=[
            HTTPHeader(name=name, value="(hidden)" if name.lower() == "authorization" else value)
            for name, value in headers.items()
        ],
        request_id=request,
        response=answer.error or answer.body,
        response_headers=[HTTPHeader(name=name, value=value) for name, value in answer.headers],
        status_code=answer.status or None,
        success=answer.ok,
        uri=webhook.webhook_url,
        webhook_oid=delivery.webhook_oid,
        event_id=delivery.event_id,
    )


def resend_log(delivery: Delivery, webhook: Webhook, request: str, by: str, now: Instant) -> DeliveryLog:
    """The note that somebody asked to have it sent again."""
    return DeliveryLog(
        delivery_dts=now,
        event_names=delivery.event_names,
        order_ids=delivery.order_ids,
        request_id=request,
        response=f"{by} asked to send it again",
        uri=webhook.webhook_url,
        webhook_oid=delivery.webhook_oid,
        event_id=delivery.event_id,
    )
