"""The Shop: one merchant's stores, gateways and clock. A function that takes a Shop may act; one that does not can
only think. Its stores already hold the merchant's id, so another merchant's record cannot be named."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.batches import BatchEdit
from chalicelib.domain.captures import CapturePage, Hint, Reconciliation
from chalicelib.domain.consents import AutoOrderConsent
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.customer_search import KeyedKind
from chalicelib.domain.customer_values import CustomerProfileSettings
from chalicelib.domain.customers import Customer, KeptPassword
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import NotFound, Problem
from chalicelib.domain.events import Event, Template
from chalicelib.domain.gift_certificates import GiftCertificate
from chalicelib.domain.heads import Head
from chalicelib.domain.items import Item
from chalicelib.domain.ledgers import Entry, Ledger
from chalicelib.domain.letters import Composed, Letter
from chalicelib.domain.links import Purpose
from chalicelib.domain.loyalty import CustomerLoyaltyRedemption, Earned, LoyaltyProgram
from chalicelib.domain.mails import Mail, SentMail
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.networks import CardDecline
from chalicelib.domain.notices import NoticeTemplate
from chalicelib.domain.orders import Order
from chalicelib.domain.payment_updates import PaymentUpdate
from chalicelib.domain.payments import Capabilities, Card, Charge, ClosedAttempt, Found, Outcome, Refund, StoredCard
from chalicelib.domain.problems import ShopProblem
from chalicelib.domain.reports import Canceled, Forecast
from chalicelib.domain.rotating import RotatingGateways, Usage
from chalicelib.domain.search import Kind as SearchedKind
from chalicelib.domain.search import Shape
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.shipping import ShippingSettings
from chalicelib.domain.taxes import TaxSettings
from chalicelib.domain.timeline import TimelineEntry
from chalicelib.domain.transfers import CustomerExport, CustomerImport, Encoding, Format, ImportMapping, Upload
from chalicelib.domain.waiting import DueRow
from chalicelib.domain.webhooks import Answer, Delivery, DeliveryLog, Webhook

F = TypeVar("F", CustomerExport, CustomerImport)

# A change that a store made and ``Shop.write`` commits; a flow carries it and never looks inside.
Change = Any
T = TypeVar("T")
K = TypeVar("K", covariant=True)
S = TypeVar(
    "S",
    Merchant,
    AutoOrderProcessing,
    CustomerProfileSettings,
    ShippingSettings,
    TaxSettings,
    RotatingGateways,
    LoyaltyProgram,
)


class Kept(Protocol[K]):
    """A noun and the version under which it is kept."""

    @property
    def noun(self) -> K: ...
    @property
    def version(self) -> int: ...


class Clock(Protocol):
    def now(self) -> Instant: ...


class Configuration(Protocol):
    def section(self, type_: type[S]) -> Kept[S]: ...
    def remembered(self, type_: type[S]) -> S:
        """The section as it was a moment ago: what a price or a plan may go by."""
        ...

    def save(self, noun: S, version: int) -> Change: ...
    def price_list(
        self, item_ids: list[str], coupon_codes: list[str]
    ) -> tuple[Merchant, AutoOrderProcessing, ShippingSettings, TaxSettings, dict[str, Item], list[Coupon]]: ...


class Shelf(Protocol[T]):
    def find(self, name: object, *, consistent: bool = True) -> Kept[T] | None: ...
    def get(self, name: object) -> Kept[T]: ...
    def get_many(self, names: list[str]) -> list[T]: ...
    def kept_many(self, names: Iterable[object]) -> Mapping[str, Kept[T]]: ...
    def inserted(self, name: object, noun: T, *, version: int = 1) -> Change: ...
    def replaced(self, name: object, noun: T, version: int) -> Change: ...
    def removed(self, name: object, version: int) -> Change: ...
    def named(self, by: str, value: object, name: str) -> Change: ...
    def unnamed(self, by: str, value: object) -> Change: ...
    def name_by(self, by: str, value: object) -> str | None: ...
    def names_by(self, by: str, values: Iterable[object]) -> Mapping[str, str]: ...
    def listed(self, name: object) -> Change: ...
    def unlisted(self, name: object) -> Change: ...
    def names(self) -> list[str]: ...


class AutoOrders(Protocol):
    def read(self, oid: int) -> tuple[Kept[AutoOrder], Head]: ...
    def read_many(self, oids: list[int]) -> Sequence[tuple[Kept[AutoOrder], Head]]: ...
    def head(self, oid: int) -> Head | None: ...
    def oid_by_code(self, code: str) -> int | None: ...
    def oid_by_original_order(self, order_id: str) -> int | None: ...
    def of_customer(self, customers: Sequence[str]) -> list[tuple[Instant, int]]: ...
    def sole_order(self, customer: str, item_id: str) -> str | None: ...
    def made_sole(self, customer: str, item_id: str, order_id: str, instead_of: str | None) -> Change: ...
    def begun(self, document: AutoOrder, head: Head) -> list[Change]: ...
    def listed(self, oid: int, customers: Sequence[str], began: Instant) -> list[Change]: ...
    def moved(self, oid: int, before: Head, after: Head) -> Change: ...
    def edited(self, document: AutoOrder, version: int) -> Change: ...
    def closed(self, oid: int, row: ClosedAttempt) -> Change: ...
    def logged(self, oid: int, entry: TimelineEntry, seq: int, event_id: str) -> Change: ...
    def attempts(self, oid: int) -> list[ClosedAttempt]: ...
    def attempt(self, oid: int, run: int, tries: int) -> ClosedAttempt | None: ...
    def payment_updated(self, oid: int, token: str, update: PaymentUpdate) -> Change: ...
    def payment_update(self, oid: int, token: str) -> PaymentUpdate | None: ...
    def attempts_before(self, oid: int, before: str, limit: int) -> list[tuple[str, ClosedAttempt]]: ...
    def logs_before(self, oid: int, before: str, limit: int) -> list[tuple[str, TimelineEntry]]: ...


class Orders(Protocol):
    def listed(self, order_id: str, customers: Sequence[str]) -> list[Change]: ...
    def of_customer(self, customers: Sequence[str]) -> list[str]: ...
    def consented(self, consent: AutoOrderConsent) -> Change: ...
    def consent(self, order_id: str) -> AutoOrderConsent | None: ...
    def find(self, order_id: str) -> Kept[Order] | None: ...
    def get(self, order_id: str) -> Kept[Order]: ...
    def get_many(self, order_ids: list[str]) -> list[Order]: ...
    def read(self, order_id: str) -> tuple[Kept[Order], Head | None]: ...
    def placed(self, order: Order) -> Change: ...
    def begun(self, order_id: str, head: Head) -> Change: ...
    def moved(self, order_id: str, before: Head, after: Head) -> Change: ...
    def edited(self, order: Order, version: int) -> Change: ...
    def closed(self, order_id: str, row: ClosedAttempt) -> Change: ...
    def attempts(self, order_id: str) -> list[ClosedAttempt]: ...
    def attempt(self, order_id: str, run: int, tries: int) -> ClosedAttempt | None: ...


class Events(Protocol):
    def happened(self, event: Event) -> Change: ...
    def find(self, event_id: str) -> tuple[Event, bool] | None: ...
    def told(self, event_id: str) -> Change: ...


class Lists(Protocol):
    """List rows that searches read, result sets, and day totals."""

    def note(self, kind: str, name: str, row: list[Any], version: int, *, new: bool = False) -> bool:
        """A write of its own, never part of a transaction. ``new``: there is hardly a row of that name yet."""
        ...

    def drop(self, kind: str, name: str, version: int) -> bool: ...
    def note_keyed(self, kind: KeyedKind, name: str, row: list[Any] | None, version: int, *, new: bool = False) -> bool:
        """The same for kinds with keys; None: the noun is no more."""
        ...

    def keys(
        self, kind: KeyedKind, field: str, begins: str, *, whole: bool = False, cursor: Any = None
    ) -> tuple[list[tuple[str, str, str]], Any]:
        """(value, places, name) of the keys that begin so, and where to go on."""
        ...

    def rows(self, kind: SearchedKind | KeyedKind) -> Iterator[tuple[str, list[Any]]]: ...
    def shaped(self, kind: SearchedKind, shape: Shape, most: int) -> list[str] | None: ...
    def rows_of(self, kind: SearchedKind | KeyedKind, names: list[str]) -> Iterator[tuple[str, list[Any]]]: ...
    def remember(self, kind: str, question: str, names: list[str], now: Instant) -> None: ...
    def remembered(
        self, kind: str, question: str, now: Instant, offset: int, limit: int
    ) -> tuple[list[str], int] | None:
        """The names of one page, and how many there are in all."""
        ...

    def counted(self, day: str, amounts: Mapping[str, int]) -> Change: ...
    def days(self, first: str, last: str) -> list[tuple[str, dict[str, int]]]: ...


class Passwords(Protocol):
    """Customers' passwords, hashed; never part of a profile."""

    def find(self, oid: int) -> KeptPassword | None: ...
    def set(self, oid: int, hashed: str, stamp: str, now: Instant, before: KeptPassword | None) -> Change: ...
    def gone(self, oid: int) -> Change: ...


class Hasher(Protocol):
    def hashed(self, password: str) -> str:
        """What may be kept of a password: another text each time."""
        ...

    def fits(self, hashed: str, password: str) -> bool:
        """Whether the hash is this password's; False for what is no hash of ours."""
        ...


class Ledgers(Protocol):
    """Ledgers of points and of gift certificates: a head under its version, entries and causes only ever added."""

    def read(self, ledger_id: str) -> Kept[Ledger]: ...
    def read_many(self, ledger_ids: list[str]) -> dict[str, Ledger]: ...
    def moved(self, version: int, after: Ledger, entries: list[Entry]) -> list[Change]: ...
    def caused(self, ledger_id: str, cause: str) -> Change: ...
    def has_caused(self, ledger_id: str, cause: str) -> bool: ...
    def entries(self, ledger_id: str, *, limit: int, cursor: Any = None) -> tuple[list[Entry], Any]: ...
    def texts(self, ledger_id: str) -> list[str]: ...
    def earned(self, order_id: str) -> Earned | None: ...
    def earns(self, earned: Earned) -> Change: ...
    def earns_less(self, before: Earned, after: Earned) -> Change: ...
    def purchases(self, customer_profile_oid: int) -> dict[date, int]: ...
    def bought(self, customer_profile_oid: int, days: Mapping[date, int]) -> Change: ...
    def redeemed(self, ledger_id: str, redemption: CustomerLoyaltyRedemption) -> Change: ...
    def redemptions(self, ledger_id: str, limit: int) -> list[CustomerLoyaltyRedemption]: ...
    def addressed(self, email: str, oid: int) -> Change: ...
    def oids_by_email(self, email: str, limit: int) -> list[int]: ...


class GatewayUsage(Protocol):
    """What each rotating gateway account has taken, and how often it declined in a row."""

    def of(self, codes: Iterable[str], day: date, currency_code: str) -> dict[str, Usage]: ...
    def took(self, code: str, day: date, units: int, *, auto_order: bool) -> list[Change]: ...
    def declined(self, code: str) -> list[Change]: ...


class CardDeclines(Protocol):
    """Declines of each card, for as long as a network's ceiling looks back."""

    def declined(self, fingerprint: str, key: str, amount: Decimal, now: Instant) -> Change: ...
    def of(self, fingerprint: str, now: Instant) -> list[CardDecline]: ...


class Reports(Protocol):
    """Rows that reports are added up from."""

    def canceled(self, row: Canceled, event_id: str) -> Change: ...
    def cancellations(self, begin: date, end: date) -> list[Canceled]: ...
    def forecast_made(self, forecast: Forecast) -> Change: ...
    def forecast(self, made: date) -> Forecast | None: ...


class Webhooks(Protocol):
    """Webhook endpoints; there are few, so all of them are read together."""

    def all(self) -> Sequence[Kept[Webhook]]: ...
    def find(self, oid: int) -> Kept[Webhook] | None: ...
    def get(self, oid: int) -> Kept[Webhook]: ...
    def inserted(self, webhook: Webhook) -> Change: ...
    def replaced(self, webhook: Webhook, version: int) -> Change: ...
    def removed(self, oid: int, version: int) -> Change: ...


class Deliveries(Protocol):
    """Webhook deliveries and the logs of their tries."""

    def planned(self, delivery: Delivery) -> list[Change]: ...
    def find(self, webhook_oid: int, event_id: str) -> Kept[Delivery] | None: ...
    def claimed(self, delivery: Delivery, version: int) -> Change: ...
    def moved(self, delivery: Delivery, version: int) -> list[Change]: ...
    def tried(self, delivery: Delivery, version: int, log: DeliveryLog) -> list[Change]: ...
    def noted(self, log: DeliveryLog) -> Change: ...
    def log(self, webhook_oid: int, request_id: str) -> DeliveryLog | None: ...
    def logs(
        self,
        webhook_oid: int,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int = 100,
        cursor: Any = None,
    ) -> tuple[list[DeliveryLog], Any]: ...
    def number_pending(self, webhook_oid: int) -> int: ...
    def pending(self, webhook_oid: int, *, limit: int = 100, cursor: Any = None) -> tuple[list[Delivery], Any]: ...
    def dead(self, webhook_oid: int, *, limit: int = 100, cursor: Any = None) -> tuple[list[Delivery], Any]: ...


class Mails(Protocol):
    """Mails to customers: planned by the outbox, sent by a worker, kept under the noun that they are about."""

    def planned(self, mail: SentMail) -> Change: ...
    def find(self, subject: str, mail_id: str) -> Kept[SentMail] | None: ...
    def tried(self, mail: SentMail, version: int) -> Change: ...
    def of(self, subject: str) -> list[SentMail]: ...


class Reconciliations(Protocol):
    """The day reports of what gateways took, by their day (ISO, the merchant's) and account."""

    def find(self, day: str, gateway: str) -> Kept[Reconciliation] | None: ...
    def begun(self, report: Reconciliation) -> Change: ...
    def moved(self, report: Reconciliation, version: int) -> Change: ...
    def since(self, day: str, *, limit: int = 100, cursor: Any = None) -> tuple[list[Reconciliation], Any]: ...


class Problems(Protocol):
    """What went wrong on each of the merchant's days, for the mail of the next morning."""

    def noted(self, day: date, name: str, problem: ShopProblem) -> Change:
        """The same name writes the same row."""
        ...

    def of(self, day: date, most: int) -> list[ShopProblem]: ...


class Payments(Protocol):
    """One payment gateway account. Its calls never raise for what the outside does: they answer an Outcome."""

    @property
    def code(self) -> str: ...
    @property
    def capabilities(self) -> Capabilities: ...
    def charge(self, charge: Charge) -> Outcome: ...
    def look_up(self, key: str) -> Found: ...
    def refund(self, key: str) -> Outcome:
        """Give back all that was taken under the key, once."""
        ...

    def refund_part(self, refund: Refund) -> Outcome:
        """Give back an amount of a capture; the same key gives back once. Declined: it cannot be had."""
        ...

    def look_up_refund(self, refund: Refund) -> Found:
        """What became of a refund."""
        ...

    def authorise(self, charge: Charge) -> Outcome:
        """Have the amount authorised and capture nothing; ``look_up`` finds it by its key."""
        ...

    def void(self, key: str) -> Outcome:
        """Let go of an authorisation. Asked again it answers the same; what is unknown to the gateway is let go of
        (``NOTHING_HELD``), though one that is still on its way there may come to be. Declined: it was captured."""
        ...

    def captures_since(self, since: Instant, cursor: str | None = None) -> CapturePage:
        """What was taken since then, a page at a time."""
        ...

    def hint(self, body: bytes, signature: str) -> Hint | None:
        """Which charge an event that the gateway sent is about; None where it says nothing that we ask about.

        Raises Unauthorised where the signature is not the gateway's.
        """
        ...

    def tokenise(self, number: str, month: int, year: int) -> StoredCard: ...
    def tokenise_account(self, aba_code: str, number: str) -> StoredCard:
        """How a bank account is debited. Raises Invalid where the gateway debits none."""
        ...

    def card_of(self, payment_method_id: str) -> tuple[StoredCard, Card]:
        """How the payment method that the gateway's own form made is charged again, and what may be shown of it.

        Raises Invalid where it is no card that is taken, Contended where the gateway does not answer.
        """
        ...


class Mailer(Protocol):
    def compose(self, letter: Letter, own: NoticeTemplate | None = None) -> Composed:
        """The letter laid out, by the shop's own texts where it has any."""
        ...

    def default(self, template: Template) -> NoticeTemplate:
        """The texts of the default."""
        ...

    def problems(self, own: NoticeTemplate, letters: Sequence[Letter]) -> list[Problem]:
        """Why the shop's own texts cannot be kept: read, and tried on the letters."""
        ...

    def send(self, mail: Mail) -> None:
        """Hand the mail over. Raises TimeoutError where nobody knows whether it was handed over, any other OSError
        where it surely was not, ValueError where it can never be (an address that is none, a line break in a header).
        """
        ...


class Http(Protocol):
    """The one guarded door for outbound HTTP."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Never raises for what the outside does: the answer says so."""
        ...

    def signed(self, message_id: str, body: str, secrets: Sequence[str]) -> dict[str, str]:
        """The Standard Webhooks headers, by the machine's own clock: receivers compare with theirs."""
        ...


class Queue(Protocol):
    def send(self, queue: str, messages: Sequence[dict[str, str]]) -> None: ...


class Links(Protocol):
    """Signed links: whoever holds one may do one thing to one noun until it expires."""

    def sign(self, purpose: Purpose, subject: str, seconds: int) -> str:
        """A token that stands for ``subject`` for so many seconds."""
        ...

    def read(self, purpose: Purpose, token: str) -> str:
        """The subject. Raises Unauthorised for a token of another purpose or shop, a changed or an expired one."""
        ...

    def page(self, purpose: Purpose, **query: str) -> str:
        """The address of the page of that purpose, as a mail or an answer shows it."""
        ...


class Limits(Protocol):
    """Counters with a window: used, they refuse until the window is over."""

    def take(self, scope: str, most: int, window_seconds: int, now: Instant) -> None:
        """Raises TooMany."""
        ...


class CardTokens(Protocol):
    """Tokens that stand for a card between the storefront's form and an order; valid two hours."""

    def put(self, token: str, card: dict[str, Any], expires: Instant) -> None: ...
    def find(self, token: str, now: Instant) -> dict[str, Any] | None: ...


class Batches(Protocol):
    """Edits of many auto orders that wait for the workers."""

    def asked(self, edit: BatchEdit, due: Instant) -> Change: ...
    def find(self, batch_id: str, position: int) -> BatchEdit | None: ...
    def ended(self, edit: BatchEdit) -> Change: ...
    def of(self, batch_id: str) -> list[BatchEdit]: ...


class Files(Protocol):
    """One merchant's private files. A name begins with its area: ``passing/`` is thrown away after some days, ``kept/``
    stays. A file is there whole or not at all."""

    def write(self, name: str, pieces: Iterable[bytes], content_type: str) -> int:
        """Keep the file, in place of one of that name. Returns its size."""
        ...

    def pieces(self, name: str) -> Iterator[bytes]:
        """The file from its beginning. Raises NotFound, at once."""
        ...

    def size(self, name: str) -> int | None:
        """None where there is no such file."""
        ...

    def delete(self, name: str) -> None: ...
    def upload(self, name: str, most: int) -> Upload:
        """How somebody without a key puts a file of at most so many bytes there, within the hour."""
        ...

    def link(self, name: str, shown_name: str, content_type: str, seconds: int) -> str:
        """An address at which the file can be had for so many seconds, saved as ``shown_name``."""
        ...


class Sheets(Protocol):
    """Tables as files."""

    def written(self, rows: Iterable[Sequence[str]], format_: Format) -> Iterator[bytes]:
        """Raises Invalid where Excel cannot hold a text."""
        ...

    def rows(
        self, pieces: Iterable[bytes], format_: Format, *, delimiter: str | None = None, encoding: Encoding = "utf-8"
    ) -> Iterator[list[str]]:
        """Cells at the end of a row that are empty are left out. Raises Invalid for what is no such file, or one that
        is out of bounds."""
        ...


class Transfers(Protocol):
    """Exports and imports."""

    def find(self, type_: type[F], id_: str) -> Kept[F] | None: ...
    def get(self, type_: type[F], id_: str) -> Kept[F]: ...
    def begun(self, transfer: CustomerExport | CustomerImport) -> Change: ...
    def moved(self, transfer: CustomerExport | CustomerImport, version: int) -> Change: ...
    def newest(self, type_: type[F], limit: int, cursor: Any = None) -> tuple[list[F], Any]: ...


class Travel(Protocol):
    """The test clock of the embedded engine: moves one merchant's time, and does the work that comes due."""

    def alone(self) -> AbstractContextManager[None]:
        """Until the block is left nobody else works, and the merchant's time moves by ``set`` alone. Raises Contended
        where somebody travels already."""
        ...

    def set(self, now: Instant) -> None:
        """The merchant's time is this from now on. It never goes back."""
        ...

    def run_due(self) -> None:
        """Do all work that is due now: sweeps, relays, queues, until nothing is left."""
        ...

    def backroom(self) -> "Backroom": ...


@dataclass(frozen=True)
class Shop:
    """Everything that a flow may touch of one merchant."""

    merchant_id: str
    clock: Clock
    configuration: Configuration
    items: Shelf[Item]
    coupons: Shelf[Coupon]
    customers: Shelf[Customer]
    passwords: Passwords
    hasher: Hasher
    auto_orders: AutoOrders
    orders: Orders
    events: Events
    lists: Lists
    ledgers: Ledgers
    certificates: Shelf[GiftCertificate]
    usage: GatewayUsage
    declines: CardDeclines
    reports: Reports
    webhooks: Webhooks
    deliveries: Deliveries
    mails: Mails
    reconciliations: Reconciliations
    problems: Problems
    notice_templates: Shelf[NoticeTemplate]
    limits: Limits
    card_tokens: CardTokens
    batches: Batches
    payments: Mapping[str, Payments]
    mail: Mailer
    http: Http
    queue: Queue
    links: Links
    files: Files
    sheets: Sheets
    transfers: Transfers
    import_mappings: Shelf[ImportMapping]
    write: Callable[..., None]
    # Random positive 31-bit numbers and random texts: chance is handed in like the clock.
    oids: Iterator[int]
    word: Callable[[], str]
    # Seconds that this call of the function may still take.
    time_left: Callable[[], float]
    travel: Travel | None = None
    # Tables that were restored do not know what was charged since: the gateway is asked before each charge.
    asks_first: bool = False

    def gateway(self, code: str | None = None) -> Payments:
        """The account of that code, or the shop's first by its code. Raises NotFound."""
        code = code or next(iter(self.payments), "to take cards with")
        found = self.payments.get(code)
        if found is None:
            raise NotFound("payment gateway", code)
        return found


class Waiting(Protocol):
    """What waits, of all merchants: ids only, for the sweep and the relay."""

    def tables(self) -> list[str]: ...
    def shards(self) -> list[str]: ...
    def due(
        self, table: str, shard: str, until: Instant, limit: int, cursor: Any = None, since: Instant | None = None
    ) -> tuple[list[DueRow], Any]: ...
    def after(self, table: str, shard: str, moment: Instant, limit: int) -> list[DueRow]: ...
    def push(self, row: DueRow, until: Instant) -> bool: ...


class Merchants(Protocol):
    """All merchants whose shop was founded."""

    def names(self) -> list[str]: ...


@dataclass(frozen=True)
class Backroom:
    """What schedules may touch: the due indexes of all merchants, their names, each one's own now, and the queues.

    ``latest_now`` is the furthest of all merchants' clocks (they differ on the embedded engine only);
    ``shuffled`` gives the shards in an order by chance, so that a sweep that runs out of time starves nobody.
    """

    waiting: Waiting
    merchants: Merchants
    queue: Queue
    now_of: Callable[[str], Instant]
    latest_now: Callable[[], Instant]
    shuffled: Callable[[list[str]], list[str]]
    time_left: Callable[[], float]
