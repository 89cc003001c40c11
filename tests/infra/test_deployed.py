"""The packaged template as CloudFormation takes it, on a stand-in for AWS that runs its functions, each under its own
role and over TLS: a shop is founded, an order comes in, a period passes, and the rebill's order and mail come out."""

import ipaddress
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chalicelib.config import QUEUES
from infra.generate import API_STAGE, APP
from infra.package import Package
from tests import ministack

pytestmark = pytest.mark.timeout(600)

T = TypeVar("T")
ROOT = Path(__file__).parent.parent.parent
REGION = "us-east-1"
# On a machine that is busy with other things.
PATIENCE_SECONDS = 120
# Its functions are started by the interpreter that it takes for its own: here by one of the version that they are
# packed for, which has what Lambda's has.
START = """
import runpy, sys
sys.executable = sys.argv.pop()
sys.argv = ["ministack"]
runpy.run_module("ministack", run_name="__main__")
"""
# Two zones whose days are never the same.
WEST, EAST = "Pacific/Pago_Pago", "Pacific/Kiritimati"

SENDER = "shop@example.com"
PUBLIC_URL = "https://shop.example.com"


@dataclass
class Cloud:
    """The stand-in, with the stack in it."""

    address: str
    certificate: Path
    folder: Path
    key: str = ""
    browser_key: str = ""
    # What the last answer wants a browser to keep.
    set_cookie: str = ""

    def client(self, service: str, **credentials: str) -> Any:
        who = {"aws_access_key_id": "test", "aws_secret_access_key": "test"} | credentials
        return boto3.client(service, endpoint_url=self.address, region_name=REGION, verify=str(self.certificate), **who)

    def outputs(self) -> dict[str, str]:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=APP)["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack.get("StackStatusReason")
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def call(self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str) -> tuple[int, Any]:
        """A request through API Gateway."""
        key = self.key if key is None else key
        url = f"{self.address}/restapis/{self.outputs()['RestAPIId']}/{API_STAGE}/_user_request_{path}"
        asked = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), method=method)
        asked.add_header("content-type", "application/json")
        if key:
            asked.add_header(f"x-ultracart-{'browser' if key == self.browser_key else 'simple'}-key", key)
        for name, value in headers.items():
            asked.add_header(name, value)
        return self._open(asked)

    def made(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        status, answer = self.call(method, path, body, key)
        assert status == 200, (method, path, answer, self.log())
        return answer

    def name(self, resource: str) -> str:
        """By which name AWS knows a thing of the stack."""
        found = self.client("cloudformation").describe_stack_resource(StackName=APP, LogicalResourceId=resource)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def run(self, function: str) -> Any:
        """What a schedule does."""
        event = {"version": "0", "id": "1", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
        event |= {"account": "000000000000", "time": "2027-01-31T00:00:00Z", "region": REGION, "resources": []}
        return self.invoke(function, event)

    def invoke(self, function: str, event: Any) -> Any:
        answer = self.client("lambda").invoke(FunctionName=self.name(function), Payload=json.dumps(event).encode())
        told = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, told
        return told

    def mails(self) -> list[Any]:
        _, sent = self._open(urllib.request.Request(f"{self.address}/_ministack/ses/messages"))
        return [mail for mails in sent["messages"].values() for mail in mails]

    def healthy(self) -> bool:
        try:
            return self._open(urllib.request.Request(f"{self.address}/_ministack/health"))[0] == 200
        except OSError:
            return False

    def log(self) -> str:
        return (self.folder / "ministack.log").read_text(errors="replace")[-3000:]

    def _open(self, asked: urllib.request.Request) -> tuple[int, Any]:
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        try:
            with urllib.request.urlopen(asked, timeout=PATIENCE_SECONDS, context=trusted) as answer:
                self.set_cookie = answer.headers.get("Set-Cookie", "")
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")


def soon(look: Callable[[], T | None]) -> T:
    """What it finds, as soon as it finds it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := look()) is None:
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)
    return found


# --- the stand-in -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cloud(runs_here: Package, lambda_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    with started(folder, lambda_python) as cloud:
        deploy(cloud, runs_here)
        found_shop(cloud)
        yield cloud


@contextmanager
def started(folder: Path, lambda_python: Path) -> Iterator[Cloud]:
    try:
        program = ministack.program()
    except ministack.Missing as missing:
        pytest.fail(str(missing), pytrace=False)
    certificate, key = certified(folder)
    port = ministack.free_port()
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": ministack.HERE,
        "GATEWAY_PORT": str(port),
        # What a role does not allow is refused, and what a queue refuses without TLS too.
        "AUTH": "true",
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(certificate),
        "MINISTACK_SSL_KEY": str(key),
    }
    cloud = Cloud(f"https://{ministack.HERE}:{port}", certificate, folder)
    command: list[str | Path] = [program.with_name("python"), "-c", START, lambda_python]
    with (folder / "ministack.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        soon(lambda: cloud.healthy() or process.poll() is not None or None)
        assert process.poll() is None, cloud.log()
        yield cloud
    finally:
        # Asked to end, it would wait half a minute for the farewell of every connection. Its functions end with it.
        process.kill()
        process.wait()


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine's loopback, for a day, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ministack.HERE)])
    today = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ministack.HERE))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return certificate, secret


def deploy(cloud: Cloud, package: Package) -> None:
    storage = cloud.client("s3")
    storage.create_bucket(Bucket="deploy")
    storage.upload_file(str(package.archive), "deploy", "deployment.zip")
    template = json.dumps(adapted(json.loads(package.template.read_text()), cloud.folder / "ledger.sqlite"))
    cloud.client("sesv2").create_email_identity(EmailIdentity=SENDER)
    account = {"Type": "SecureString", "Value": json.dumps({"provider": "sandbox"})}
    cloud.client("ssm").put_parameter(Name="/backroom/DEMO/gateways/sandbox", **account)
    storage.put_object(Bucket="deploy", Key="template.json", Body=template.encode())
    stacks = cloud.client("cloudformation")
    stacks.create_stack(
        StackName=APP,
        TemplateURL=f"{cloud.address}/deploy/template.json",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": "PublicUrl", "ParameterValue": PUBLIC_URL}],
    )
    soon(lambda: None if "PROGRESS" in stacks.describe_stacks(StackName=APP)["Stacks"][0]["StackStatus"] else True)


def adapted(template: dict[str, Any], ledger: Path) -> dict[str, Any]:
    """What `aws cloudformation package` does, the sandbox gateway, and where the stand-in's roles are not as AWS's."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://deploy/deployment.zip"
            resource["Properties"]["Environment"]["Variables"]["BACKROOM_SANDBOX_FILE"] = str(ledger)
        if resource["Type"] == "AWS::IAM::Role":
            for statement in resource["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]:
                # AWS has no such action: a batch needs sqs:SendMessage.
                if "sqs:SendMessage" in statement["Action"]:
                    statement["Action"].append("sqs:SendMessageBatch")
                # AWS asks for the identity that sends, and for the path that is read.
                if "ses:SendEmail" in statement["Action"] or "ssm:GetParametersByPath" in statement["Action"]:
                    statement["Resource"] = "*"
    return template


def found_shop(cloud: Cloud) -> None:
    told = command(cloud, "found", "--merchant", "DEMO", "--name", "Demo", "--zone", WEST)
    cloud.key, cloud.browser_key = told["owner key"], told["browser key"]


def command(cloud: Cloud, *words: str) -> dict[str, str]:
    """What a command of ``infra.shop`` prints, by name."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BACKROOM_"))}
    environment |= {
        "AWS_ENDPOINT_URL": cloud.address,
        "AWS_CA_BUNDLE": str(cloud.certificate),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    program = [sys.executable, "-m", "infra.shop", *words]
    done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines())


# --- the tests --------------------------------------------------------------------------------------------------------


def test_a_request_without_a_key_is_refused(cloud: Cloud) -> None:
    status, answer = cloud.call("GET", "/rest/v2/order/orders/X", key="")
    assert (status, answer["error"]["error_code"]) == (401, "401")


def test_the_owner_signs_in_and_a_session_is_over_when_he_signs_out(cloud: Cloud) -> None:
    told = command(cloud, "owner", "--merchant", "DEMO", "--login", "olga", "--url", PUBLIC_URL)
    token = told["link"].rpartition("/")[2]
    sent = {"origin": PUBLIC_URL, "sec-fetch-site": "same-origin"}
    body = {"token": token, "password": "a kettle sings at noon"}
    status, answer = cloud.call("POST", "/admin/welcome", body, key="", **sent)
    assert (status, answer["session"]["merchant_id"]) == (200, "DEMO"), cloud.log()
    cookie = cloud.set_cookie.partition(";")[0]
    assert cookie.startswith("__Host-backroom=")
    sent |= {"cookie": cookie, "x-backroom-csrf": answer["session"]["csrf"]}
    assert cloud.call("GET", "/rest/v2/order/orders", key="", **sent)[0] == 200
    assert cloud.call("POST", "/rest/v2/user/users", {"login": "staff"}, key="", **sent)[0] == 200
    assert cloud.call("POST", "/rest/v2/user/users", {"login": "other"}, key="", **sent | {"origin": "null"})[0] == 403
    assert cloud.call("DELETE", "/admin/session", key="", **sent)[0] == 204
    assert cloud.call("GET", "/rest/v2/order/orders", key="", **sent)[0] == 401


def test_the_stand_in_holds_everybody_to_their_policies(cloud: Cloud) -> None:
    """So that what works here works under the roles of the template."""
    people = cloud.client("iam")
    people.create_user(UserName="nobody")
    made = people.create_access_key(UserName="nobody")["AccessKey"]
    who = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("dynamodb", **who).get_item(TableName="backroom-orders", Key={"pk": {"S": "1"}, "sk": {"S": "1"}})


def test_an_order_comes_in_and_its_rebill_comes_out(cloud: Cloud) -> None:
    order_id = pay_an_order(cloud)
    make_it_due(cloud, order_id)
    before = len(cloud.mails())

    cloud.run("Sweep")
    rebill = f"/rest/v2/order/orders/{order_id}-001"
    order = soon(lambda: answer["order"] if (answer := cloud.call("GET", rebill)[1]).get("success") else None)
    assert order["current_stage"] == "Shipping Department"

    cloud.run("Relay")
    orders = cloud.made("GET", "/rest/v2/order/orders")["orders"]
    assert sorted(order["order_id"] for order in orders) == [order_id, f"{order_id}-001"]
    mails = soon(lambda: found if len(found := cloud.mails()) > before else None)
    assert (mails[-1]["Source"], mails[-1]["To"]) == (SENDER, ["ada@example.com"])

    # A second sweep finds nothing to do: the date has moved on.
    assert cloud.run("Sweep") == 0
    rest = cloud.made("POST", "/rest/v2/auto_order/rehearsal?until=2100-01-01T00:00:00Z")
    assert rest["success"]


def test_the_api_may_see_how_full_the_queues_are(cloud: Cloud) -> None:
    report = cloud.made("GET", "/rest/v2/report/queues")["queues_report"]
    assert [queue["name"] for queue in report["queues"]] == list(QUEUES)
    assert all(queue["dead_letters"] == 0 for queue in report["queues"])


def test_what_the_gateway_took_is_held_against_the_orders(cloud: Cloud) -> None:
    taken = len(cloud.made("GET", "/rest/v2/order/orders")["orders"] or [pay_an_order(cloud)])
    cloud.run("ReconcileAll")

    def report() -> Any:
        reports = cloud.made("GET", "/rest/v2/configuration/reconciliation")["reconciliations"]
        return next((found for found in reports if "finished_dts" in found), None)

    found = soon(report)
    assert (found["gateway"], found["number_of_captures"], found["number_of_matched"]) == ("sandbox", taken, taken)
    assert found["difference"] == {"USD": 0}


def test_who_is_no_gateway_is_not_listened_to(cloud: Cloud) -> None:
    for path, wanted in (("DEMO/sandbox", 401), ("DEMO/stripe", 404), ("NONE/sandbox", 404)):
        assert cloud.call("POST", f"/gateways/{path}/events", {}, key="")[0] == wanted


def test_a_message_that_fails_is_handed_back_alone_and_its_cause_is_noted(cloud: Cloud) -> None:
    bodies = {"poison": "{}", "stale": json.dumps({"merchant_id": "DEMO", "kind": "order", "id": "GONE"})}
    records = [
        {"messageId": name, "body": body, "receiptHandle": name, "attributes": {}, "eventSource": "aws:sqs"}
        for name, body in bodies.items()
    ]
    answer = cloud.invoke("Rebill", {"Records": records})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "poison"}]}
    key = {"pk": {"S": "failure#poison"}, "sk": {"S": "failure"}}
    kept = cloud.client("dynamodb").get_item(TableName="backroom-documents", Key=key)["Item"]
    assert "/merchant_id" in kept["cause"]["S"]


@pytest.mark.parametrize(
    ("billing", "state", "enabled"), [("no", "DISABLED", "Disabled"), ("yes", "ENABLED", "Enabled")]
)
def test_a_parameter_stops_billing_and_lets_it_go_on(cloud: Cloud, billing: str, state: str, enabled: str) -> None:
    stacks = cloud.client("cloudformation")
    stacks.update_stack(
        StackName=APP,
        UsePreviousTemplate=True,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": "PublicUrl", "UsePreviousValue": True},
            {"ParameterKey": "Billing", "ParameterValue": billing},
        ],
    )
    soon(lambda: None if "PROGRESS" in stacks.describe_stacks(StackName=APP)["Stacks"][0]["StackStatus"] else True)
    assert cloud.client("events").describe_rule(Name=cloud.name("SweepSweepEvent"))["State"] == state
    mapping = cloud.client("lambda").get_event_source_mapping(UUID=cloud.name("RebillRebillSqsEventSource"))
    assert (mapping["State"], mapping["FunctionResponseTypes"]) == (enabled, ["ReportBatchItemFailures"])
    # What is told and delivered goes on.
    assert cloud.client("events").describe_rule(Name=cloud.name("RelayRelayEvent"))["State"] == "ENABLED"


def pay_an_order(cloud: Cloud) -> str:
    schedules = {"auto_orderable": True, "auto_order_schedules": ["Monthly"]}
    cloud.made(
        "POST",
        "/rest/v2/item/items",
        {"merchant_item_id": "TEA", "pricing": {"cost": 17.95}, "auto_order": schedules},
    )
    card = {"card_number": "4111111111111111", "card_expiration_month": 12, "card_expiration_year": 2040}
    token = cloud.made("POST", "/storefront/card_tokens", card, cloud.browser_key)["card_token"]
    order = {
        "items": [{"merchant_item_id": "TEA", "quantity": 1, "auto_order_schedule": "Monthly"}],
        "billing": {"email": "ada@example.com", "country_code": "US"},
        "payment": {"credit_card": {"card_number_token": token}},
    }
    order_id = str(cloud.made("POST", "/rest/v2/order/orders", order)["order"]["order_id"])
    assert cloud.made("POST", f"/rest/v2/order/orders/{order_id}/process_payment", {})["success"]
    return order_id


def make_it_due(cloud: Cloud, order_id: str) -> None:
    """Nothing here can move the clock; but where the shop moves to the east, it is tomorrow at once, and the next
    shipment may be today."""
    shop = {"time_zone": EAST, "sender_email": SENDER}
    cloud.made("PUT", "/rest/v2/configuration/merchant", shop)
    by_order = f"/rest/v2/auto_order/auto_orders/reference_order_id/{order_id}?_expand=items"
    auto_order = cloud.made("GET", by_order)["auto_order"]
    items = auto_order["items"]
    items[0]["next_shipment_dts"] = datetime.now(ZoneInfo(EAST)).strftime("%Y-%m-%dT00:00:00+14:00")
    cloud.made("PUT", f"/rest/v2/auto_order/auto_orders/{auto_order['auto_order_oid']}", {"items": items})
