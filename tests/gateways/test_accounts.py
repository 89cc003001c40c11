"""Payment accounts: read late and at once, remembered for a few minutes, each wrong one alone with its trouble, and no
secret in any text."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from chalicelib.domain.errors import Contended, NotFound
from chalicelib.domain.payments import Charge, NotSent, Refund, StoredCard, Unknown
from chalicelib.gateways.accounts import (
    GATEWAYS_FILE,
    REMEMBER_SECONDS,
    Account,
    Accounts,
    AccountsFile,
    Described,
    ParameterStore,
    Unusable,
)
from chalicelib.gateways.sandbox import Sandbox
from chalicelib.gateways.stripe import StripeGateway
from tests.flows.test_crashes import put_card
from tests.houses import a_house
from tests.ministack import nowhere_else
from tests.worlds import START, ManualClock, World

ROOT = Path(__file__).parent.parent.parent
SECRET, SIGNING = "sk_live_verysecret", "whsec_alsosecret"
STRIPE = {"provider": "stripe", "api_key": SECRET, "webhook_secrets": [SIGNING], "customer_url": "https://x.example/"}


class Store:
    """Parameter Store, as far as it is asked. ``fail``: what it raises."""

    def __init__(self, **accounts: Any) -> None:
        self.parameters: dict[str, tuple[str, str]] = {}
        self.asked: list[dict[str, Any]] = []
        self.fail: Exception | None = None
        for code, account in accounts.items():
            self.put(code, account)

    def put(self, code: str, account: Any, type_: str = "SecureString", merchant_id: str = "DEMO") -> None:
        text = account if isinstance(account, str) else json.dumps(account)
        self.parameters[f"/backroom/{merchant_id}/gateways/{code}"] = (type_, text)

    def get_parameters_by_path(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        if self.fail:
            raise self.fail
        names = [name for name in self.parameters if name.rpartition("/")[0] == asked["Path"]]
        start = int(asked.get("NextToken", 0))
        page = names[start : start + asked["MaxResults"]]
        found = [{"Name": n, "Type": self.parameters[n][0], "Value": self.parameters[n][1]} for n in page]
        more = start + len(page) < len(names)
        return {"Parameters": found, **({"NextToken": str(start + len(page))} if more else {})}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def accounts_of(store: Store, clock: ManualClock, sandbox: Callable[[str, str], Sandbox] | None = None) -> Accounts:
    return Accounts(ParameterStore("backroom-", lambda: store), clock.now, sandbox)


def a_charge(code: str) -> Charge:
    card = StoredCard(gateway=code, reference="pm_1", fingerprint="f")
    return Charge(key="bo_1", amount=Decimal(1), currency_code="USD", card=card, order_id="DEMO-1", first=True)


# --- Parameter Store --------------------------------------------------------------------------------------------------


def test_all_accounts_of_a_merchant_are_read_by_one_decrypted_paged_call_and_stand_in_the_order_of_their_codes(
    clock: ManualClock,
) -> None:
    store = Store(**{f"stripe{number}": STRIPE for number in reversed(range(10))})
    store.put("alpha", STRIPE)
    store.put("alpha", STRIPE, merchant_id="OTHER")
    payments = accounts_of(store, clock).of("DEMO")
    assert list(payments) == ["alpha", *(f"stripe{number}" for number in range(10))]
    path = {"Path": "/backroom/DEMO/gateways", "WithDecryption": True, "MaxResults": 10}
    assert store.asked == [path, {**path, "NextToken": "10"}]
    assert next(iter(payments.values())).code == "alpha"


def test_nothing_is_read_before_a_flow_touches_them_and_then_once(clock: ManualClock) -> None:
    store, house = Store(stripe=STRIPE), a_house()
    house.payments_of = accounts_of(store, clock).of
    key = house.found()
    line = {"merchant_item_id": "MUG", "quantity": 1}
    for path, body in (
        ("/rest/v2/item/items", {"merchant_item_id": "MUG", "pricing": {"cost": 5}}),
        ("/rest/v2/order/orders", {"items": [line], "billing": {"email": "ada@example.com"}}),
        ("/rest/v2/order/orders/query", {"email": "ada@example.com"}),
        ("/rest/v2/auto_order/rehearsal?until=2027-03-01T00:00:00Z", None),
    ):
        reply = house.call("POST", path, body, key=key)
        assert reply.status == 200, reply.body
    house.relay()
    assert not store.asked
    shop = house.open_shop("DEMO")
    assert "stripe" in shop.payments
    assert "other" not in shop.payments
    assert shop.payments.get("other") is None
    with pytest.raises(KeyError):
        shop.payments["other"]
    assert (len(shop.payments), [*shop.payments], shop.gateway().code) == (1, ["stripe"], "stripe")
    assert isinstance(shop.payments["stripe"], StripeGateway)
    with pytest.raises(NotFound):
        shop.gateway("other")
    assert len(store.asked) == 1


def test_a_shop_without_accounts_has_no_gateway_and_says_so(clock: ManualClock) -> None:
    world = World().open()
    world.house.payments_of = accounts_of(Store(), clock).of
    with pytest.raises(NotFound, match="no payment gateway to take cards with"):
        world.shop.gateway()


def test_accounts_are_remembered_for_a_few_minutes_and_then_a_rotated_key_is_taken_up(clock: ManualClock) -> None:
    store = Store(stripe=STRIPE)
    accounts = accounts_of(store, clock)
    before = accounts.of("DEMO")["stripe"]
    store.put("stripe", STRIPE | {"api_key": "sk_live_rotated"})
    store.put("second", STRIPE)
    clock.pass_(seconds=REMEMBER_SECONDS - 1)
    held = accounts.of("DEMO")
    assert held["stripe"] is before
    assert len(store.asked) == 1
    clock.pass_(seconds=1)
    after = accounts.of("DEMO")
    assert isinstance(after["stripe"], StripeGateway)
    assert after["stripe"]._api_key == "sk_live_rotated"
    assert len(store.asked) == 2
    assert [*held] == ["stripe"], "whoever has begun goes on with what he began with"


@pytest.mark.parametrize(
    "failure",
    [
        ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "GetParametersByPath"),
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetParametersByPath"),
        EndpointConnectionError(endpoint_url="https://ssm.example"),
    ],
)
def test_while_parameter_store_does_not_answer_accounts_go_on_as_they_were_read_last(
    clock: ManualClock, failure: Exception
) -> None:
    store = Store(stripe=STRIPE)
    accounts = accounts_of(store, clock)
    store.fail = failure
    with pytest.raises(Contended):
        len(accounts.of("DEMO"))
    store.fail = None
    assert len(accounts.of("DEMO")) == 1
    store.fail = failure
    clock.pass_(hours=1)
    assert len(accounts.of("DEMO")) == 1
    with pytest.raises(Contended):
        len(accounts.of("OTHER"))


def test_the_door_to_parameter_store_reads_what_aws_keeps() -> None:
    from botocore.session import get_session

    with nowhere_else(), mock_aws():
        client = get_session().create_client("ssm", region_name="us-east-1")
        for number in range(12):
            name = f"/backroom/DEMO/gateways/s{number}"
            client.put_parameter(Name=name, Type="SecureString", Value=json.dumps(STRIPE))
        client.put_parameter(Name="/backroom/DEMO/gateways/plain", Type="String", Value=json.dumps(STRIPE))
        client.put_parameter(Name="/backroom/DEMO/gateways/deeper/stripe", Type="SecureString", Value="{}")
        client.put_parameter(Name="/backroom/DEMO2/gateways/other", Type="SecureString", Value="{}")
        payments = Accounts(ParameterStore("backroom-", lambda: client), ManualClock().now).of("DEMO")
        assert sorted(payments) == sorted(["plain", *(f"s{number}" for number in range(12))])
        stripe = payments["s7"]
        assert isinstance(stripe, StripeGateway)
        assert (stripe._api_key, stripe._webhook_secrets, stripe._shop) == (SECRET, (SIGNING,), "DEMO")
        assert isinstance(payments["plain"], Unusable)


# --- what is wrong ----------------------------------------------------------------------------------------------------

WRONG = [
    ("not json " + SECRET, "it must be a JSON object in which no key stands twice"),
    (f'{{"{SECRET}": 1, "{SECRET}": 2}}', "it must be a JSON object in which no key stands twice"),
    (f'["{SECRET}"]', "must be an object, not a list"),
    ("{}", "/provider is required"),
    ({"provider": SECRET}, "/provider allowed are 'sandbox', 'stripe'"),
    ({"provider": "stripe"}, "/api_key is required: a key of Stripe's"),
    ({"provider": "stripe", "api_key": None}, "/api_key is required: a key of Stripe's"),
    ({"provider": "stripe", "api_key": "pk_live_verysecret"}, "/api_key must look like"),
    ({"provider": "stripe", "api_key": [SECRET]}, "/api_key must be a text, not a list"),
    (STRIPE | {SECRET: "x"}, "it has provider, api_key, webhook_secrets and customer_url, and nothing else"),
    (STRIPE | {"webhook_secrets": SIGNING}, "/webhook_secrets must be a list, not a text"),
    (STRIPE | {"webhook_secrets": [SIGNING, "we_" + SIGNING]}, "/webhook_secrets/1 must look like"),
    (STRIPE | {"webhook_secrets": [SIGNING] * 11}, "/webhook_secrets must have at most 10 entries"),
    (STRIPE | {"customer_url": "javascript:" + SECRET}, "/customer_url must look like"),
    (STRIPE | {"base_url": "http://127.0.0.1:9000"}, "/base_url is for the embedded engine only"),
    (STRIPE | {"base_url": "http://10.0.0.1"}, "/base_url must look like"),
    ({"provider": "sandbox"}, "/provider there are no sandboxes here"),
]


@pytest.mark.parametrize(("said", "why"), WRONG, ids=[why for _, why in WRONG])
def test_a_wrong_description_is_told_by_its_name_and_never_by_its_value_and_the_others_work(
    clock: ManualClock, caplog: pytest.LogCaptureFixture, said: Any, why: str
) -> None:
    payments = accounts_of(Store(bad=said, stripe=STRIPE), clock).of("DEMO")
    assert isinstance(payments["stripe"], StripeGateway)
    [told] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert f"/backroom/DEMO/gateways/bad: {why}" in told
    answer = payments["bad"].charge(a_charge("bad"))
    assert isinstance(answer, NotSent)
    assert f"/backroom/DEMO/gateways/bad: {why}"[:100] in answer.reason
    for text in (told, answer.reason, caplog.text):
        assert "verysecret" not in text
        assert "alsosecret" not in text


@pytest.mark.parametrize("code", ["Stripe", "my.stripe", "a" * 31, "-a"])
def test_a_code_that_could_not_stand_in_an_address_is_no_account_to_use(clock: ManualClock, code: str) -> None:
    payment = accounts_of(Store(**{code: STRIPE}), clock).of("DEMO")[code]
    assert isinstance(payment, Unusable)
    assert "small letters" in getattr(payment.look_up("bo_1"), "reason", "")


def test_a_parameter_that_is_not_secure_is_not_used(clock: ManualClock) -> None:
    store = Store()
    store.put("stripe", STRIPE, "String")
    payment = accounts_of(store, clock).of("DEMO")["stripe"]
    assert isinstance(payment, Unusable)
    assert "must be a SecureString" in getattr(payment.refund("bo_1"), "reason", "")


def test_an_account_that_cannot_be_used_takes_nothing_and_says_it_does_not_know() -> None:
    account = Unusable("stripe", "/backroom/DEMO/gateways/stripe: /api_key is required")
    reason = "the payment account stripe cannot be used: /backroom/DEMO/gateways/stripe: /api_key is required"
    assert account.code == "stripe"
    charge = a_charge("stripe")
    back = Refund(key="bo_2", of="bo_1", amount=Decimal(1), currency_code="USD", order_id="DEMO-1")
    asked = [account.charge(charge), account.authorise(charge), account.void("bo_1")]
    for answer in [*asked, account.refund("bo_1"), account.refund_part(back)]:
        assert answer == NotSent(reason=reason)
    assert account.look_up("bo_1") == account.look_up_refund(back) == Unknown(reason=reason)
    assert not account.capabilities.numbers, "no card goes to it while another account takes them"
    page = account.captures_since(START, "7")
    assert (page.captures, page.cursor, page.problem) == ([], "7", reason)
    for refused_call in (
        lambda: account.hint(b"{}", ""),
        lambda: account.tokenise("4111111111111111", 12, 2040),
        lambda: account.tokenise_account("021000021", "1"),
        lambda: account.card_of("pm_1"),
    ):
        with pytest.raises(Contended) as refused:
            refused_call()
        assert "backroom" not in str(refused.value), "strangers read this"


def test_while_an_account_cannot_be_used_nothing_is_declined_or_closed_and_mended_it_goes_on(
    clock: ManualClock,
) -> None:
    world = World().open()
    store = Store(sandbox={"provider": "sandbox"})
    world.house.payments_of = accounts_of(store, world.clock, lambda merchant_id, code: world.sandbox).of
    lost, fine = world.subscribe(), world.subscribe({"TEA": "Monthly"})
    put_card(world, lost, "4000000000000259")
    while world.head(lost).attempt is None:  # it is looked at before it is due; then captured, and nobody heard of it
        world.clock.go(world.head(lost).due_dts or START)
        world.visit(lost)
    store.put("sandbox", {"provider": "sandbax"})
    world.clock.pass_(seconds=REMEMBER_SECONDS)
    for _ in range(6):
        world.work(twice=True)
        world.clock.pass_(minutes=15)
    head = world.head(lost)
    assert head.attempt is not None
    assert head.attempt.review_dts is None
    assert (world.head(fine).attempt, world.head(fine).round, world.head(fine).status) == (None, 0, "active")
    assert len(world.sandbox.captures()) == 3
    store.put("sandbox", {"provider": "sandbox"})
    world.clock.pass_(hours=5)
    world.work(twice=True)
    assert len(world.rebills(lost)) == len(world.rebills(fine)) == 1
    world.check(lost, fine)


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_no_text_shows_a_secret(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store = Store(stripe=STRIPE, bad=STRIPE | {"colour": SECRET})
    accounts = accounts_of(store, clock)
    world = World()
    world.house.payments_of = accounts.of
    shop = world.shop
    described = ParameterStore("backroom-", lambda: store).of("DEMO")
    shown: list[Any] = [accounts, shop, shop.payments, [*shop.payments.values()], described]
    shown.append(Account(provider="stripe", api_key=SECRET, webhook_secrets=[SIGNING]))
    for text in [f"{value} {value!r}" for value in shown] + [caplog.text]:
        assert "verysecret" not in text
        assert "alsosecret" not in text


def test_accounts_of_stripe_are_opened_without_its_library(tmp_path: Path) -> None:
    (tmp_path / GATEWAYS_FILE).write_text(json.dumps({"DEMO": {"stripe": STRIPE}}))
    program = (
        "import sys, app; from pathlib import Path; from chalicelib import wiring; "
        "from chalicelib.gateways.clock import SystemClock; "
        f"house = wiring.embedded(Path({str(tmp_path)!r}), '', frozenset(), SystemClock().now); "
        "print(*house.open_shop('DEMO').payments, 'stripe' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["sandbox", "stripe", "False"]), done.stderr


# --- the embedded engine ----------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(clock: ManualClock) -> Sandbox:
    return Sandbox(now=clock.now)


def in_file(path: Path, clock: ManualClock, ledger: Sandbox) -> Accounts:
    return Accounts(AccountsFile(path), clock.now, lambda *of: ledger, always=("sandbox",), stand_ins=True)


def test_the_file_holds_the_accounts_of_each_merchant_beside_the_sandbox_that_is_always_there(
    tmp_path: Path, clock: ManualClock, ledger: Sandbox
) -> None:
    path = tmp_path / GATEWAYS_FILE
    assert [*in_file(path, clock, ledger).of("DEMO")] == ["sandbox"]
    stub = STRIPE | {"base_url": "http://127.0.0.1:9000"}
    written = {"DEMO": {"stripe": stub, "sandbox": STRIPE, "second": {"provider": "sandbox"}}, "OTHER": {"bad": 7}}
    path.write_text(json.dumps(written))
    payments = in_file(path, clock, ledger).of("DEMO")
    assert [*payments] == ["sandbox", "second", "stripe"]
    assert payments["sandbox"] is payments["second"] is ledger
    assert isinstance(payments["stripe"], StripeGateway)
    others = in_file(path, clock, ledger).of("OTHER")
    assert [*others] == ["bad", "sandbox"]
    assert "gateways.json, OTHER/bad: must be an object" in getattr(others["bad"].look_up("bo_1"), "reason", "")
    assert [*in_file(path, clock, ledger).of("THIRD")] == ["sandbox"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"DEMO": ', "Expecting value at line 1 column 10"),
        (b"[]", "it must be as in"),
        (b'{"DEMO": []}', "it must be as in"),
        (b"\xff", "it is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_and_what_was_read_goes_on(
    tmp_path: Path, clock: ManualClock, ledger: Sandbox, text: bytes, why: str
) -> None:
    path = tmp_path / GATEWAYS_FILE
    path.write_bytes(text)
    accounts = in_file(path, clock, ledger)
    with pytest.raises(Contended, match=f"gateways.json cannot be read: {why}"):
        len(accounts.of("DEMO"))
    path.write_text(json.dumps({"DEMO": {"stripe": STRIPE}}))
    assert len(accounts.of("DEMO")) == 2
    path.write_bytes(text)
    clock.pass_(seconds=REMEMBER_SECONDS)
    assert len(accounts.of("DEMO")) == 2


def test_what_a_description_says_is_no_part_of_its_text() -> None:
    assert SECRET not in repr(Described(place="here", text=json.dumps(STRIPE)))
