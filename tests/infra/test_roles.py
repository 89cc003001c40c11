"""What a function does to tables, queues and payment accounts, its role allows; and nothing that it should never do."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from chalice.app import SQSEvent

from chalicelib import wiring
from chalicelib.domain.attachments import file_of
from chalicelib.domain.dates import later
from chalicelib.domain.events import CATALOGUE
from chalicelib.domain.payments import Charge, StoredCard
from chalicelib.domain.webhooks import Answer
from chalicelib.flows import merge_profiles, privacy
from chalicelib.flows.ports import Files
from chalicelib.gateways.accounts import Accounts, Described
from chalicelib.gateways.queues import MAXIMUM_RECEIVES
from chalicelib.gateways.sandbox import Behaviour
from chalicelib.handlers import work
from chalicelib.handlers.http import ROUTES, STOREFRONT
from chalicelib.stores.port import Change, Check, Cursor, Delete, Meter, Page, Put, Record, TablePort, Update
from infra.generate import DUE, FUNCTIONS, Function
from tests.handlers.test_gateways import STRIPE, an_event, signed
from tests.houses import PASSWORD, Browser, Reply, TestHouse, a_house
from tests.worlds import ListedQueue

WORDS: dict[type[Any], str] = {Put: "put", Update: "update", Delete: "delete", Check: "check"}
EMAIL = "ada@example.com"
GOOD = "4111111111111111"
CART = {
    "items": [{"merchant_item_id": "TEA", "quantity": 1, "auto_order_schedule": "Weekly"}],
    "billing": {"email": EMAIL, "country_code": "US"},
}
SHOWN = "items,logs,rebill_orders,original_order,item,payment,summary,billing"
ALL = "/rest/v2/auto_order/auto_orders"
# What the relay alone comes to show: rebills are told by nobody else.
MORE = {"auto_order_rebill": ",emails,management"}
BY_NAME = {function.name: function for function in FUNCTIONS}


class Refusal(Exception):
    """AWS would have refused this."""


@dataclass
class Guarded:
    """The tables as a function reaches them: through its role. Without one everybody may do everything."""

    port: TablePort
    role: Function | None = None
    used: set[tuple[str, str, str]] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.meter: Meter = self.port.meter

    def get(self, table: str, pk: str, sk: str, *, consistent: bool = False) -> Record | None:
        self._ask("get", table)
        return self.port.get(table, pk, sk, consistent=consistent)

    def get_many(self, table: str, keys: Sequence[tuple[str, str]], *, consistent: bool = False) -> list[Record]:
        self._ask("get", table)
        return self.port.get_many(table, keys, consistent=consistent)

    def query(self, table: str, hash_value: str, *, index: str = "", cursor: Cursor | None = None, **how: Any) -> Page:
        self._ask(DUE if index else "query", table)
        return self.port.query(table, hash_value, index=index, cursor=cursor, **how)

    def write(self, *changes: Change) -> None:
        for change in changes:
            self._ask(WORDS[type(change)], change.table)
        self.port.write(*changes)

    def _ask(self, word: str, table: str) -> None:
        self.ask(word, table, lambda role: word in role.tables.get(table, "").split())

    def ask(self, word: str, what: str, allows: Callable[[Function], bool]) -> None:
        if self.role is None:
            return
        self.used.add((self.role.name, word, what))
        if not allows(self.role):
            # Noted too: what runs after the answer is caught and left to the next relay.
            refused = f"{self.role.name} may not {word} {what}"
            self.refused.add(refused)
            raise Refusal(refused)

    @contextmanager
    def as_(self, name: str) -> Iterator[None]:
        before, self.role = self.role, BY_NAME[name]
        try:
            yield
        finally:
            self.role = before


class GuardedQueue(ListedQueue):
    """The queues as a function reaches them."""

    def __init__(self, tables: Guarded) -> None:
        super().__init__()
        self._tables = tables

    def send(self, queue: str, messages: Any) -> None:
        self._tables.ask("send", queue, lambda role: queue in role.sends)
        super().send(queue, messages)

    def states(self, queues: Any) -> Any:
        self._tables.ask("watch", "queues", lambda role: role.watches)
        return super().states(queues)


@dataclass
class GuardedAccounts:
    """The merchants' payment accounts as a function reaches them."""

    tables: Guarded
    told: dict[str, Any] = field(default_factory=lambda: {"sandbox": {"provider": "sandbox"}})

    def of(self, merchant_id: str) -> dict[str, Described]:
        self.tables.ask("read", "accounts", lambda role: role.charges)
        return {code: Described(place=code, text=json.dumps(account)) for code, account in self.told.items()}


class GuardedFiles:
    """A merchant's private files as a function reaches them."""

    def __init__(self, tables: Guarded, files: Files) -> None:
        self._tables = tables
        self._files = files

    def __getattr__(self, name: str) -> Any:
        self._tables.ask("use", "files", lambda role: role.files)
        return getattr(self._files, name)


@dataclass
class Outside:
    """The gateway and the receivers of webhooks: they do what the test says."""

    behaviour: Behaviour | None = None
    status: int = 200

    def behave(self, charge: Charge, posts: int) -> Behaviour | None:
        return self.behaviour

    def post(self, url: str, body: bytes, headers: Any) -> Answer:
        return Answer(status=self.status, body="", duration_ms=1)

    def signed(self, message_id: str, body: str, secrets: Any) -> dict[str, str]:
        return {}


@dataclass
class Deployed:
    """A house whose every function goes through its role, and through nothing else."""

    house: TestHouse
    tables: Guarded
    accounts: GuardedAccounts
    outside: Outside
    key: str
    names: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, *, browser: bool = False, **more: Any) -> Reply:
        key = self.house.key(kind="browser") if browser else self.key
        with self.tables.as_("api_handler"):
            return self.house.call(method, path, body, key=key, **more)

    def made(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        reply = self.call(method, path, body, **more)
        assert reply.status == 200, f"{method} {path}: {reply.status} {reply.body} {self.tables.refused}"
        return reply.json

    def run(self, name: str) -> None:
        """A schedule, and every message that waits then."""
        wiring.use(self.house)
        with self.tables.as_(name):
            getattr(work, name)(None)
        self.consume_all()

    def consume(self, queue: str, body: str, receives: int = 1) -> bool:
        """Whether the message was handed back as failed."""
        attributes = {"ApproximateReceiveCount": str(receives)}
        record = {"messageId": "1", "body": body, "receiptHandle": "1", "attributes": attributes}
        record["eventSource"] = "aws:sqs"
        with self.tables.as_(queue):
            return bool(getattr(work, queue)(SQSEvent({"Records": [record]}, None))["batchItemFailures"])

    def consume_all(self) -> None:
        """Every message that waits, and those that these send."""
        while messages := self.house.sent.take():
            for queue, message in messages:
                self.consume(queue, json.dumps(message))

    def days(self, number: int) -> None:
        """So many days, on each of which every function runs."""
        for _ in range(number):
            self.house.clock.pass_(days=1)
            for name in ("reconcile_all", "sweep", "relay", "relay"):
                self.run(name)

    def token(self, number: str) -> str:
        card = {"card_number": number, "card_expiration_month": 12, "card_expiration_year": 2040}
        return str(self.made("POST", "/storefront/card_tokens", card, browser=True)["card_token"])

    def paid(self, number: str = GOOD, **other: Any) -> str:
        payment = {"credit_card": {"card_number_token": self.token(number)}}
        order = CART | {"payment": payment, "coupons": [{"coupon_code": "OFF"}]} | other
        order_id = str(self.made("POST", "/rest/v2/order/orders", order)["order"]["order_id"])
        self.call("POST", f"/rest/v2/order/orders/{order_id}/process_payment", {})
        return order_id

    def webhook(self, url: str) -> str:
        """An endpoint that wants every event with all that can be shown of it."""
        categories = [
            {
                "event_category": category,
                "events": [
                    {"event_name": name, "subscribed": True, "expansion": SHOWN + MORE.get(name, "")} for name in names
                ],
            }
            for category, names in CATALOGUE.items()
        ]
        made = self.made("POST", "/rest/v2/webhook/webhooks", {"webhook_url": url, "event_categories": categories})
        return str(made["webhook"]["webhook_oid"])

    def everywhere(self, method: str) -> None:
        """Every route of that method, with the names that there are and a body that says nothing."""
        for route in ROUTES:
            if route.method == method:
                path = re.sub(r"{(\w+)}", lambda part: self.names.get(part[1], "NONE"), route.path)
                self.call(method, path, None if method == "GET" else {}, browser=route.scope == STOREFRONT)


@pytest.fixture(scope="module")
def shop() -> Deployed:
    """A shop's life in which every function meets what it is there for: charges that go well, fail and hang,
    receivers that are down, messages that poison; and every route of the API."""
    outside = Outside()
    house = a_house(http=outside, behave=outside.behave)
    key = house.found(sender_email="shop@example.com", allowed_origins=["https://shop.example.com"])
    house.port = tables = Guarded(house.tables)
    house.queue = house.sent = GuardedQueue(tables)
    accounts, sandbox = GuardedAccounts(tables), house.sandbox

    def payments_of(merchant_id: str) -> Any:
        """Read anew each time: functions remember nothing of each other."""
        return Accounts(accounts, house.clock.now, lambda *of: sandbox, stand_ins=True).of(merchant_id)

    house.payments_of = payments_of
    files_of = house.files_of
    house.files_of = lambda merchant_id: cast(Files, GuardedFiles(tables, files_of(merchant_id)))
    shop = Deployed(house, tables, accounts, outside, key)
    _open(shop)
    _bill(shop)
    _administer(shop)
    _sign_in(shop)
    return shop


def _open(shop: Deployed) -> None:
    shop.names |= {"webhookOid": shop.webhook("https://one.example.com/hook"), "eventName": "item_update"}
    tab = {"auto_orderable": True, "auto_order_schedules": ["Weekly", "Monthly"]}
    item = {"merchant_item_id": "TEA", "pricing": {"cost": 17.95}, "auto_order": tab}
    shop.names["merchant_item_oid"] = str(shop.made("POST", "/rest/v2/item/items", item)["item"]["merchant_item_oid"])
    alone = item | {"merchant_item_id": "ALONE", "auto_order": tab | {"cancel_other_auto_orders": True}}
    shop.made("POST", "/rest/v2/item/items", alone)
    coupon = {"merchant_code": "OFF", "percent_off_subtotal": {"discount_percent": 10}}
    shop.names["coupon_oid"] = str(shop.made("POST", "/rest/v2/coupon/coupons", coupon)["coupon"]["coupon_oid"])
    customer = shop.made("POST", "/rest/v2/customer/customers", {"email": "old@example.com"})["customer"]
    oid = shop.names["customer_profile_oid"] = str(customer["customer_profile_oid"])
    shop.made("PUT", f"/rest/v2/customer/customers/{oid}", {"email": EMAIL})
    shop.names |= {"merchant_item_id": "TEA", "merchant_code": "OFF", "email": EMAIL}

    rotation = {"gateways": [{"code": "sandbox", "maximum_daily": 9_000}]}
    shop.made("PUT", "/rest/v2/configuration/rotating_transaction_gateways", rotation)
    tier = {"name": "Silver", "qualify_purchase_amount": 30, "qualify_within_days": 60}
    reward = {"loyalty_reward_id": "FIVE", "points": 5, "amount": 5, "active": True}
    program = {"active": True, "points_per_dollar": 1, "vesting_days": 2, "tiers": [tier], "rewards": [reward]}
    shop.made("PUT", "/rest/v2/configuration/loyalty_program", program)
    rules = {"number_of_retries": 2, "send_failures_to_accounts_receivable": True}
    shop.made("PUT", "/rest/v2/configuration/auto_order_processing", rules)


def _bill(shop: Deployed) -> None:
    order_id = shop.paid()
    shop.outside.behaviour = "timeout_before_capture"
    hung = shop.paid(**_with_balances(shop))
    shop.outside.behaviour = None
    shop.paid("4000000000000119")  # the gateway does not answer: left to the worker
    shop.paid("4000000000000259")  # it was captured, and nobody heard of it
    declined = shop.paid("4000000000000002")
    shop.call("POST", f"/rest/v2/order/orders/{declined}/process_payment", {})
    other = {"billing": {"email": "eve@example.com", "country_code": "US"}}
    shop.paid(**other)
    alone = {"merchant_item_id": "ALONE", "quantity": 1, "auto_order_schedule": "Weekly"}
    shop.paid("4000000000000259", items=[alone], **other)  # ends the other one, when the worker learns of it
    auto_order = shop.made("GET", f"/rest/v2/auto_order/auto_orders/reference_order_id/{order_id}")["auto_order"]
    shop.names |= {"order_id": order_id, "reference_order_id": order_id}
    shop.names |= {key: str(auto_order[key]) for key in ("auto_order_oid", "auto_order_code")}
    shop.days(8)
    _captured_late(shop, hung)
    for behaviour in ("insufficient_funds", "timeout_before_capture", "timeout_after_capture", "not_sent"):
        shop.outside.behaviour, shop.outside.status = behaviour, 500
        shop.days(7)
        shop.outside.behaviour, shop.outside.status = None, 200
        shop.days(2)
    assert any(order.startswith(f"{order_id}-") for order in _order_ids(shop)), "nothing was billed"
    for about in (declined, f"{order_id}-001", f"{order_id}-999"):
        hint = {"merchant_id": "DEMO", "kind": "hint", "gateway": "sandbox", "id": about, "key": "bo_unknown"}
        assert not shop.consume("rebill", json.dumps(hint))
    assert shop.consume("rebill", "{}")
    poison = json.dumps({"merchant_id": "DEMO", "kind": "auto_order", "id": "no number"})
    assert shop.consume("rebill", poison, receives=MAXIMUM_RECEIVES)
    assert shop.consume("deliver", "no message")
    assert shop.house.failures().cause("1")


def _with_balances(shop: Deployed) -> dict[str, Any]:
    """A limited coupon and a gift certificate, for an order of somebody else's."""
    off = {"percent_off_subtotal": {"discount_percent": 10}}
    limited = {"merchant_code": "FEW", "maximum_uses": 9, "usable_by": "OncePerCustomer"}
    shop.made("POST", "/rest/v2/coupon/coupons", limited | off)
    made = shop.made("POST", "/rest/v2/gift_certificate/gift_certificates", {"amount": 5})
    return {
        "billing": {"email": "grace@example.com", "country_code": "US"},
        "coupons": [{"coupon_code": "FEW"}],
        "gift_certificate": {"gift_certificate_code": made["gift_certificate"]["code"]},
    }


def _captured_late(shop: Deployed, order_id: str) -> None:
    """A charge that was given up turns out to have been made; the walk of the next day learns of it."""
    (closed,) = shop.house.open_shop("DEMO").orders.attempts(order_id)
    attempt = closed.attempt
    assert attempt.card is not None
    charge = Charge(
        key=attempt.key,
        amount=attempt.asked(),
        currency_code="USD",
        card=attempt.card,
        order_id=order_id,
        first=True,
    )
    shop.house.sandbox.charge(charge)
    shop.days(1)
    order = shop.house.open_shop("DEMO").orders.get(order_id).noun
    assert (order.late, order.certificate_amount()) == (True, 5)


def _administer(shop: Deployed) -> None:
    log = shop.made("GET", f"/rest/v2/webhook/webhooks/{shop.names['webhookOid']}/logs")["webhook_log_summaries"][0]
    shop.names["requestId"] = log["request_id"]
    shop.made("PUT", f"/rest/v2/item/items/{shop.names['merchant_item_oid']}", {"description": "Green"})
    shop.made("PUT", f"/rest/v2/coupon/coupons/{shop.names['coupon_oid']}", {"description": "Ten"})
    one = f"{ALL}/{shop.names['auto_order_oid']}"
    shop.made("PUT", one, {"cancel_reason": "too much tea"})
    oid = int(shop.names["auto_order_oid"])
    shop.made("PUT", one, {"original_order": {"billing": {"last_name": "Byron"}}})
    shop.made("PUT", one, {"original_order": {"billing": {"last_name": "Lovelace"}}})
    # The worker makes it and the relay tells it.
    edits = {"autoOrders": [{"auto_order_oid": oid, "original_order": {"billing": {"last_name": "King"}}}]}
    shop.names["batch_id"] = shop.made("PUT", f"{ALL}/batch?_async=true", edits)["batch"]["batch_id"]
    shop.house.sent.take()  # the messages get lost: the sweep finds the edit
    shop.made("PUT", f"{one}/payment", {"card_number_token": shop.token(GOOD)})
    for section in ("merchant", "auto_order_processing", "shipping_methods", "taxes"):
        shop.call("PUT", f"/rest/v2/configuration/{section}", {})
    refund = {"summary": {"total_refunded": 1}}
    for refunded in (shop.names["order_id"], f"{shop.names['order_id']}-001"):
        shop.made("PUT", f"/rest/v2/order/orders/{refunded}/refund", refund)
    _reward(shop)
    until = later(shop.house.clock.now(), days=30)
    shop.made("POST", f"/rest/v2/auto_order/rehearsal?until={until}")
    order = CART | {"card_token": shop.token(GOOD), "coupons": ["OFF"]}
    shop.made("POST", "/storefront/orders", order, browser=True, headers={"Idempotency-Key": "a" * 32})
    shop.made("GET", f"{one}?_expand=items,logs,rebill_orders,original_order")
    shop.made("GET", "/rest/v2/order/orders?_limit=1&_offset=1")
    shop.made("GET", f"{ALL}?last_name=Lovelace")
    [report, *_] = shop.made("GET", "/rest/v2/configuration/reconciliation")["reconciliations"]
    assert report["finished_dts"]
    assert not any(report["difference"].values()), shop.tables.refused
    shop.made("POST", "/rest/v2/configuration/reconciliation", {"gateway": "sandbox"})
    _hear_of_a_capture_that_is_nobodys(shop)
    _become_one(shop)
    _forget(shop)
    _come_and_go_as_files(shop)
    shop.outside.status = 410  # gone: disabled, and its delivery dead
    shop.made("POST", "/rest/v2/item/items", {"merchant_item_id": "CUP"})
    shop.days(2)  # and on the second morning the shop reads of it
    shop.made("PUT", f"/rest/v2/webhook/webhooks/{shop.names['webhookOid']}", {"disabled": False})
    _visit(shop)
    shop.made("GET", "/rest/v2/report/forecast")
    shop.made("GET", "/rest/v2/report/cancel_reasons?begin_date=2027-01-01&end_date=2027-12-31")
    shop.made("GET", "/rest/v2/report/recovery?begin_date=2027-01-01&end_date=2027-12-31")
    for method in ("GET", "POST", "PUT", "DELETE"):
        shop.everywhere(method)


def _visit(shop: Deployed) -> None:
    """A customer opens the pages of his links, looks for another, skips a shipment and sets a card."""
    oid, links = shop.names["auto_order_oid"], shop.house.open_shop("DEMO").links
    form = {"content-type": "application/x-www-form-urlencoded"}
    cancel = {"merchant_id": "DEMO", "token": links.sign("cancel", oid, 3600)}
    update = {"merchant_id": "DEMO", "token": links.sign("update_billing", oid, 3600)}
    card = {"card_number": GOOD, "card_expiration_month": "4", "card_expiration_year": "2040", "form": "1"}
    for path, fields, acts in (
        ("/storefront/cancel", cancel, {"do": "skip", "day": "2027-01-01"}),
        ("/storefront/cancel", cancel, {"do": "mail", "email": EMAIL, "order_id": shop.names["auto_order_code"]}),
        ("/storefront/update_billing", update, card),
    ):
        page = shop.call("GET", path, query=fields)
        assert page.status == 200, page.body
        shown = dict(re.findall(r'name="(day|due)" value="([^"]*)"', page.body))
        done = shop.call("POST", path, urlencode(fields | acts | shown).encode(), headers=form)
        assert done.status == 200, done.body


def _hear_of_a_capture_that_is_nobodys(shop: Deployed) -> None:
    card = StoredCard(gateway="sandbox", reference="sandbox_approve", fingerprint="f")
    charge = Charge(key="bo_x", amount=Decimal(1), currency_code="USD", card=card, order_id="DEMO-9", first=False)
    shop.house.sandbox.charge(charge)
    shop.accounts.told["stripe"] = STRIPE
    event = an_event("bo_x", "DEMO-9")
    shop.made("POST", "/gateways/DEMO/stripe/events", event, headers={"stripe-signature": signed(event)})
    del shop.accounts.told["stripe"]


def _reward(shop: Deployed) -> None:
    one = f"/rest/v2/customer/customers/{shop.names['customer_profile_oid']}"
    entry = {"type": "Credit", "description": "Goodwill", "loyalty_points": 40}
    shop.made("POST", f"{one}/loyalty/ledger_entries", entry)
    shop.made("POST", f"{one}/loyalty/redemptions", {"loyalty_reward_id": "FIVE"})
    assert shop.made("GET", f"{one}/loyalty")["customer_loyalty"]["current_points"] > 35, "no rebill has earned"
    assert shop.made("GET", f"{one}?_expand=orders,activity")["customer"]["orders"], "no order is found"
    waits = shop.made("POST", f"{one}/adjust_loyalty_points", {"description": "Review", "loyalty_points": 4})
    assert waits["pending_points"] >= 4
    future = shop.made("GET", f"{one}/loyalty/future_ledger")["future_ledger"]
    shop.names["loyalty_ledger_oid"] = str(future[-1]["loyalty_ledger_oid"])
    shop.made("POST", f"{one}/store_credit", {"amount": 5})
    made = shop.made("POST", "/rest/v2/gift_certificate/gift_certificates", {"amount": 25, "email": EMAIL})
    shop.names |= {"code": made["gift_certificate"]["code"]}
    shop.names["gift_certificate_oid"] = oid = str(made["gift_certificate"]["gift_certificate_oid"])
    shop.made("PUT", f"/rest/v2/gift_certificate/gift_certificates/{oid}", {"email": "other@example.com"})


def book() -> list[dict[str, str]]:
    """A dealer's addresses: a search has more keys of them than one transaction takes changes."""
    return [{"last_name": f"Buyer {number}", "postal_code": f"{number:05d}"} for number in range(60)]


def _become_one(shop: Deployed) -> None:
    """Three profiles become one: the first of them at once, the other is left to the relay."""
    customers = "/rest/v2/customer/customers"
    first = int(shop.names["customer_profile_oid"])
    eve, last = (
        int(shop.made("POST", customers, {"email": email})["customer"]["customer_profile_oid"])
        for email in ("eve@example.com", "last@example.com")
    )
    assert shop.call("PUT", f"{customers}/{first}/merge", {"customer_profile_oid": eve}).status == 204
    assert shop.call("GET", f"{customers}/{eve}").status == 404
    merge_profiles.begin(shop.house.open_shop("DEMO"), last, {"customer_profile_oid": first}, by="test")
    shop.days(1)
    assert shop.call("GET", f"{customers}/{first}").status == 404
    gone = shop.made("POST", customers, {"email": "gone@example.com"})["customer"]["customer_profile_oid"]
    assert shop.call("DELETE", f"{customers}/{gone}").status == 204
    shop.names["customer_profile_oid"] = str(last)


def _forget(shop: Deployed) -> None:
    """Two customers are forgotten: one at once, the other is left to the relay."""
    customers, at_once = "/rest/v2/customer/customers", True
    for email in ("zoe@example.com", "kim@example.com"):
        dealer = {"email": email, "shipping": book()}
        oid = shop.made("POST", customers, dealer)["customer"]["customer_profile_oid"]
        order_id = shop.paid(billing={"email": email, "country_code": "US", "last_name": "Doe"})
        shop.made("POST", "/rest/v2/gift_certificate/gift_certificates", {"amount": 5, "email": email})
        found = shop.made("GET", f"/rest/v2/auto_order/auto_orders/reference_order_id/{order_id}")["auto_order"]
        shop.made("PUT", f"{ALL}/{found['auto_order_oid']}", {"enabled": False, "canceled_by_user": email})
        upload = shop.made("POST", f"{customers}/{oid}/attachments")["attachment_upload"]
        number = upload["customer_profile_attachment_oid"]
        shop.house.open_shop("DEMO").files.write(file_of(number), [b"%PDF"], "application/pdf")
        said = {"file_name": "a.pdf", "mime_type": "application/pdf"}
        shop.made("PUT", f"{customers}/{oid}/attachments/{number}", said)
        shop.names["customer_profile_attachment_oid"] = str(number)
        shop.made("GET", f"{customers}/{oid}/export")
        if at_once:
            assert shop.call("POST", f"{customers}/{oid}/erase").status == 204
        else:
            privacy.begin(shop.house.open_shop("DEMO"), oid, by="test")
            shop.days(1)
        assert shop.call("GET", f"{customers}/{oid}").status == 404, shop.tables.refused
        at_once = False


def _come_and_go_as_files(shop: Deployed) -> None:
    """All profiles are exported; a file of some is imported, others go with it (but for who has an active auto order),
    and all that is undone."""
    base = "/rest/v2/customer"
    export = shop.made("POST", f"{base}/exports", {"format": "csv"})["customer_export"]
    shop.consume_all()
    shop.names["export_id"] = export["export_id"]
    assert shop.made("GET", f"{base}/exports/{export['export_id']}")["customer_export"]["state"] == "done"
    for query in ({"billing_city": "Lon*", "pricing_tier_name": "Dealers"}, {"email": "*@example.com"}):
        shop.made("POST", f"{base}/exports", {"format": "csv", "query": query})
    oid = shop.made("POST", f"{base}/customers", {"email": "goes@example.com"})["customer"]["customer_profile_oid"]
    file = shop.made("POST", f"{base}/import_files")["import_file"]["file"]
    shop.made("POST", f"{base}/customers", {"email": "stays@example.com"})
    shop.made("POST", f"{base}/customers", {"email": "dealer@example.com", "shipping": book()})
    rows = "Mail,City,Odd\nstays@example.com,Paris,1\nnew@example.com,Rome,2\n,Oslo,3\n"
    shop.house.open_shop("DEMO").files.write(f"passing/uploads/{file}", [rows.encode()], "text/csv")
    asked = {"file": file, "format": "csv", "delete_missing": True}
    shop.names["import_id"] = id_ = shop.made("POST", f"{base}/imports", asked)["customer_import"]["import_id"]
    one = f"{base}/imports/{id_}"
    shop.consume_all()
    for _ in range(2):
        shop.made("PUT", f"{one}/mapping", {"columns": {"Odd": ""}, "save_as": "odd"})
        shop.consume_all()
    shop.names["name"] = "odd"
    digest = shop.made("GET", one)["customer_import"]["delete_digest"]
    shop.made("POST", f"{one}/confirm", {"delete_digest": digest})
    shop.consume_all()
    done = shop.made("GET", one)["customer_import"]
    assert (done["state"], done["number_created"], done["number_left"]) == ("applied", 1, 1), shop.tables.refused
    assert shop.call("GET", f"{base}/customers/{oid}").status == 404
    shop.made("POST", f"{one}/undo")
    shop.consume_all()
    shop.made("GET", f"{base}/customers/{oid}")
    assert shop.made("GET", f"{base}/import_mappings")["import_mappings"]
    shop.made("POST", f"{base}/imports", asked | {"mapping": "odd"})
    shop.consume_all()
    assert shop.call("DELETE", f"{base}/import_mappings/odd").status == 204


def _sign_in(shop: Deployed) -> None:
    """An owner comes in, goes on after a while, takes staff on and lets them go, and signs out."""
    token = shop.house.owner_token()
    with shop.tables.as_("api_handler"):
        owner = Browser(shop.house)
        assert owner.call("POST", "/admin/welcome", {"token": token, "password": PASSWORD}).status == 200
        shop.house.clock.pass_(minutes=5)
        made = owner.call("POST", "/rest/v2/user/users", {"login": "staff"})
        assert made.status == 200
        user = f"/rest/v2/user/users/{made.json['user']['user_id']}"
        assert owner.call("PUT", user, {"phone": "1"}).status == 200
        assert owner.call("GET", f"{user}/logins").status == 200
        assert owner.call("POST", "/admin/password", {"current": PASSWORD, "new": PASSWORD * 2}).status == 200
        assert owner.call("DELETE", user).status == 204
        assert owner.call("DELETE", "/admin/session").status == 204
        assert owner.sign_in().status == 401


def _order_ids(shop: Deployed) -> list[str]:
    return [order["order_id"] for order in shop.made("GET", "/rest/v2/order/orders")["orders"]]


def test_what_a_function_does_its_role_allows(shop: Deployed) -> None:
    assert shop.tables.refused == set()


def test_a_role_allows_nothing_that_its_function_never_does(shop: Deployed) -> None:
    allowed = {
        (function.name, word, table)
        for function in FUNCTIONS
        for table, words in function.tables.items()
        for word in words.split()
    }
    allowed |= {(function.name, "send", queue) for function in FUNCTIONS for queue in function.sends}
    allowed |= {(function.name, "read", "accounts") for function in FUNCTIONS if function.charges}
    allowed |= {(function.name, "watch", "queues") for function in FUNCTIONS if function.watches}
    allowed |= {(function.name, "use", "files") for function in FUNCTIONS if function.files}
    assert allowed - shop.tables.used == set()


@pytest.mark.parametrize(
    ("word", "table"),
    [
        *(("delete", name) for name in ("auto_orders", "orders", "events", "ledgers", "audit")),
        *(("update", name) for name in ("vault", "audit")),
        *(("get", name) for name in ("vault",)),
    ],
)
def test_nobody_does_what_would_rewrite_history_or_show_a_card(word: str, table: str) -> None:
    assert not [function.name for function in FUNCTIONS if word in function.tables.get(table, "").split()]


def test_a_missing_permission_is_noticed(shop: Deployed) -> None:
    """The guard bites: the sweep may push what is due, and may not write an order."""
    with shop.tables.as_("sweep"):
        with pytest.raises(Refusal, match="sweep may not put orders"):
            shop.tables.write(Put("orders", {"pk": "DEMO#1", "sk": "document"}))
        with pytest.raises(Refusal, match="sweep may not send deliver"):
            shop.house.queue.send("deliver", [{}])
        with pytest.raises(Refusal, match="sweep may not read accounts"):
            len(shop.house.open_shop("DEMO").payments)
    shop.tables.refused.clear()
