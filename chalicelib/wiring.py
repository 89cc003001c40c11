"""The one composition root: stores, gateways and clock put together into a Shop; only here is known which engine
runs."""

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib import config
from chalicelib.domain.access import KEY_BYTES
from chalicelib.domain.audit import Actor
from chalicelib.domain.coupons import Coupon, OneTimeCode
from chalicelib.domain.customers import Customer
from chalicelib.domain.dates import Instant
from chalicelib.domain.fields import LARGEST_OID
from chalicelib.domain.gift_certificates import GiftCertificate
from chalicelib.domain.items import Item
from chalicelib.domain.notices import NoticeTemplate
from chalicelib.domain.transfers import ImportMapping
from chalicelib.domain.views import ScreenViews
from chalicelib.flows.ports import (
    Backroom,
    Codes,
    Entrance,
    Files,
    Http,
    Mailer,
    Passwords,
    Payments,
    Queue,
    Shop,
    Travel,
)
from chalicelib.gateways.clock import rising_word
from chalicelib.gateways.codes import TimeCodes
from chalicelib.gateways.links import SignedLinks
from chalicelib.gateways.passwords import Argon2Passwords
from chalicelib.gateways.sheets import Spreadsheets
from chalicelib.stores.auto_orders import AutoOrders
from chalicelib.stores.batches import Batches
from chalicelib.stores.configuration import LINKS, SEAL, Configuration, Keys, Memory, Merchants
from chalicelib.stores.coupon_uses import CouponUses
from chalicelib.stores.customer_passwords import CustomerPasswords
from chalicelib.stores.declines import CardDeclines
from chalicelib.stores.deliveries import Deliveries
from chalicelib.stores.events import Events
from chalicelib.stores.failures import Failures
from chalicelib.stores.ledgers import Ledgers
from chalicelib.stores.limits import CardTokens, Limits
from chalicelib.stores.lists import Lists
from chalicelib.stores.mails import Mails
from chalicelib.stores.merges import Merges
from chalicelib.stores.noted import Noted
from chalicelib.stores.orders import Orders
from chalicelib.stores.port import TablePort
from chalicelib.stores.problems import Problems
from chalicelib.stores.reconciliations import Reconciliations
from chalicelib.stores.reports import Reports
from chalicelib.stores.shelf import Shelf
from chalicelib.stores.transfers import Transfers
from chalicelib.stores.usage import GatewayUsage
from chalicelib.stores.users import Audit, Logins, Sessions, Users
from chalicelib.stores.waiting import Waiting
from chalicelib.stores.webhooks import Webhooks

if TYPE_CHECKING:
    from chalicelib.gateways.sandbox import Sandbox

# The account that every merchant of the embedded engine has.
SANDBOX = "sandbox"
# The embedded engine's private files, apart from its tables: who writes a large one holds up nobody's order.
FILES_FILE = "files.sqlite"
# Whose counters those are that belong to no merchant: none is called so.
EVERYBODY = "-"
# A caller that does not know how long it may still run has the whole of a function's time.
FUNCTION_SECONDS = 60.0


def _plenty() -> float:
    return FUNCTION_SECONDS


def _files_in_memory() -> Callable[[str], Files]:
    """For a house that says nothing of files; nothing is opened before one is written."""
    from chalicelib.gateways.files import EmbeddedFiles, MerchantFiles

    files = lru_cache(maxsize=1)(lambda: EmbeddedFiles(":memory:", "http://127.0.0.1:8000", lambda: 0.0))
    return lambda merchant_id: MerchantFiles(files, merchant_id)


def random_oids() -> Iterator[int]:
    while True:
        yield secrets.randbelow(LARGEST_OID) + 1


def random_word() -> str:
    return secrets.token_urlsafe(24)


def random_secret() -> str:
    return secrets.token_urlsafe(KEY_BYTES)


def shuffled(values: list[str]) -> list[str]:
    """From one of them by chance on, and round: each is as often early as late."""
    first = secrets.randbelow(len(values) or 1)
    return values[first:] + values[:first]


@dataclass
class House:
    """What all merchants share. Tests and the embedded engine put their own together."""

    port: TablePort
    now_of: Callable[[str], Instant]
    latest_now: Callable[[], Instant]
    queue: Queue
    mailer_of: Callable[[str], Mailer]
    http: Http
    payments_of: Callable[[str], Mapping[str, Payments]]
    public_url: str = "http://127.0.0.1:8000"
    outbound_allow: frozenset[str] = frozenset()
    travel_of: Callable[[str], Travel | None] = lambda merchant_id: None
    asks_first: bool = False
    # Lines of the log are JSON objects, as the runtime of AWS collects them.
    structured_logs: bool = False
    files_of: Callable[[str], Files] = field(default_factory=_files_in_memory)
    # Where browsers upload files to, as origins; nowhere but at the shop itself if there are none.
    upload_origins: Callable[[], tuple[str, ...]] = tuple
    oids: Callable[[], Iterator[int]] = random_oids
    word: Callable[[], str] = random_word
    shuffled: Callable[[list[str]], list[str]] = shuffled
    passwords: Passwords = field(default_factory=Argon2Passwords)
    codes: Codes = field(default_factory=TimeCodes)
    # The machine's own clock, where merchants' clocks may run ahead of it.
    machine: Callable[[], Instant] | None = None
    memory: Memory = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)

    def open_shop(self, merchant_id: str, time_left: Callable[[], float] = _plenty, by: Actor | None = None) -> Shop:
        """``by``: in whose name everything is written, where somebody calls."""
        port = self.port
        return Shop(
            merchant_id=merchant_id,
            clock=_Clock(self.now_of, merchant_id),
            configuration=Configuration(port, merchant_id, self.memory, lambda: self.now_of(merchant_id)),
            items=Shelf(port, merchant_id, "configuration", "item", Item),
            coupons=Shelf(port, merchant_id, "configuration", "coupon", Coupon),
            coupon_codes=Shelf(port, merchant_id, "configuration", "coupon_code", OneTimeCode),
            customers=Shelf(port, merchant_id, "customers", "customer", Customer),
            merges=Merges(port, merchant_id),
            customer_passwords=CustomerPasswords(port, merchant_id),
            passwords=self.passwords,
            auto_orders=AutoOrders(port, merchant_id),
            orders=Orders(port, merchant_id),
            events=Events(port, merchant_id),
            lists=Lists(port, merchant_id),
            ledgers=Ledgers(port, merchant_id),
            certificates=Shelf(port, merchant_id, "ledgers", "certificate", GiftCertificate),
            coupon_uses=CouponUses(port, merchant_id),
            usage=GatewayUsage(port, merchant_id),
            declines=CardDeclines(port, merchant_id),
            reports=Reports(port, merchant_id),
            webhooks=Webhooks(port, merchant_id),
            deliveries=Deliveries(port, merchant_id),
            mails=Mails(port, merchant_id),
            reconciliations=Reconciliations(port, merchant_id),
            problems=Problems(port, merchant_id),
            notice_templates=Shelf(port, merchant_id, "configuration", "notice_template", NoticeTemplate),
            views=Shelf(port, merchant_id, "configuration", "views", ScreenViews),
            limits=Limits(port, merchant_id),
            card_tokens=CardTokens(port, merchant_id),
            batches=Batches(port, merchant_id),
            users=Users(port, merchant_id),
            audit=Audit(port, merchant_id, rising_word),
            payments=self.payments_of(merchant_id),
            mail=self.mailer_of(merchant_id),
            http=self.http,
            queue=self.queue,
            links=SignedLinks(
                self.public_url, lambda: self._secret(LINKS), merchant_id, lambda: self.now_of(merchant_id)
            ),
            files=self.files_of(merchant_id),
            sheets=Spreadsheets(),
            transfers=Transfers(port, merchant_id),
            import_mappings=Shelf(port, merchant_id, "configuration", "import_mapping", ImportMapping),
            write=port.write if by is None else Noted(port, merchant_id, by, self._machine_now, rising_word),
            oids=self.oids(),
            word=self.word,
            time_left=time_left,
            travel=self.travel_of(merchant_id),
            asks_first=self.asks_first,
        )

    def backroom(self, time_left: Callable[[], float] = _plenty) -> Backroom:
        return Backroom(
            waiting=Waiting(self.port),
            merchants=self.merchants(),
            queue=self.queue,
            now_of=self.now_of,
            latest_now=self.latest_now,
            shuffled=self.shuffled,
            time_left=time_left,
        )

    def entrance(self) -> Entrance:
        return Entrance(
            open_shop=self.open_shop,
            logins=Logins(self.port),
            sessions=Sessions(self.port),
            limits=Limits(self.port, EVERYBODY),
            passwords=self.passwords,
            codes=self.codes,
            now=self._machine_now,
            secret=random_secret,
        )

    def _machine_now(self) -> Instant:
        return (self.machine or self.latest_now)()

    def keys(self) -> Keys:
        return Keys(self.port)

    def merchants(self) -> Merchants:
        return Merchants(self.port)

    def seal(self) -> str:
        """The secret that seals cursors."""
        return self._secret(SEAL)

    def _secret(self, name: str) -> str:
        """Read once by each process."""
        if name not in self.extras:
            self.extras[name] = self.keys().secret(name, self.word())
        return str(self.extras[name])

    def failures(self) -> Failures:
        return Failures(self.port, self.latest_now())


class _Clock(msgspec.Struct, frozen=True):
    now_of: Callable[[str], Instant]
    merchant_id: str

    def now(self) -> Instant:
        return self.now_of(self.merchant_id)


_lock = threading.Lock()
_standing: list[House] = []


def use(house: House) -> None:
    """Open this house from now on: the embedded engine and tests."""
    with _lock:
        _standing[:] = [house]


def house() -> House:
    """The house that is open; made from the environment at the first call."""
    with _lock:
        if not _standing:
            _standing.append(of_environment(config.read()))
        return _standing[0]


def open_shop(merchant_id: str, time_left: Callable[[], float] = _plenty, by: Actor | None = None) -> Shop:
    return house().open_shop(merchant_id, time_left, by)


def of_environment(settings: config.Config) -> House:
    """The house of the engine that the environment names."""
    if not settings.embedded:
        return _of_aws(settings)
    from chalicelib.gateways.clock import SystemClock

    return embedded(settings.data, settings.public_url, settings.outbound_allow, SystemClock().now)


def embedded(data: Path, public_url: str, outbound_allow: frozenset[str], machine: Callable[[], Instant]) -> House:
    """The house of the embedded engine: everything on SQLite files in one folder."""
    from chalicelib.gateways.accounts import GATEWAYS_FILE, Accounts, AccountsFile
    from chalicelib.gateways.clock import TestClocks
    from chalicelib.gateways.files import EmbeddedFiles
    from chalicelib.gateways.http import GuardedHttp
    from chalicelib.gateways.mail import Mailbox
    from chalicelib.gateways.queues import EmbeddedQueues
    from chalicelib.gateways.sandbox import Sandbox
    from chalicelib.stores.sqlite import SqliteTables

    data.mkdir(parents=True, exist_ok=True)
    shop_file = data / "backroom.sqlite"
    clocks = TestClocks(shop_file, machine)
    # Files of their own: whoever else commits to the shop's makes its connection forget every page that it has read.
    mailbox = Mailbox(data / "mailbox.sqlite", clocks.latest_now)
    queues = EmbeddedQueues(data / "queues.sqlite", lambda: machine().timestamp())
    files = EmbeddedFiles(data / FILES_FILE, public_url, lambda: machine().timestamp())

    @lru_cache(maxsize=64)
    def sandbox(merchant_id: str, code: str) -> Sandbox:
        now = partial(clocks.now_of, merchant_id)
        return Sandbox(data / "sandbox.sqlite", now=now, code=code, shop=merchant_id)

    described = AccountsFile(data / GATEWAYS_FILE)
    accounts = Accounts(described, machine, sandbox, always=(SANDBOX,), stand_ins=True)
    return House(
        port=SqliteTables(shop_file),
        now_of=clocks.now_of,
        latest_now=clocks.latest_now,
        queue=queues,
        mailer_of=lambda merchant_id: mailbox,
        http=GuardedHttp(allow=outbound_allow),
        payments_of=accounts.of,
        public_url=public_url,
        outbound_allow=outbound_allow,
        files_of=files.of,
        upload_origins=files.upload_origins,
        machine=machine,
        extras={"clocks": clocks, "queues": queues, "mailbox": mailbox, "files": files},
    )


def _of_aws(settings: config.Config) -> House:
    """The house on AWS; clients are made when they are first used."""
    from chalicelib.gateways.accounts import Accounts, ParameterStore
    from chalicelib.gateways.aws import client, queue_url, region
    from chalicelib.gateways.clock import SystemClock
    from chalicelib.gateways.files import S3Files, upload_origins
    from chalicelib.gateways.http import GuardedHttp
    from chalicelib.gateways.mail import SesMailer
    from chalicelib.gateways.queues import SqsQueues
    from chalicelib.stores.dynamodb import DynamoTables

    clock = SystemClock()
    ses = SesMailer()

    @lru_cache(maxsize=64)
    def sandbox(merchant_id: str, code: str) -> "Sandbox":
        from chalicelib.gateways.sandbox import Sandbox

        return Sandbox(settings.sandbox_file, now=clock.now, code=code, shop=merchant_id)

    described = ParameterStore(settings.prefix, lambda: client("ssm"))
    accounts = Accounts(described, clock.now, sandbox if settings.sandbox_file else None)
    return House(
        port=DynamoTables(settings.prefix),
        now_of=lambda merchant_id: clock.now(),
        latest_now=clock.now,
        queue=SqsQueues(
            lambda name: queue_url(settings.prefix + name),
            lambda: client("sqs"),
            lambda: client("cloudwatch"),
            clock.now,
        ),
        mailer_of=lambda merchant_id: ses,
        http=GuardedHttp(),
        payments_of=accounts.of,
        public_url=settings.public_url,
        asks_first=settings.asks_first,
        structured_logs=True,
        files_of=partial(S3Files, settings.bucket, lambda: client("s3")),
        upload_origins=lambda: upload_origins(settings.bucket, region()),
    )
