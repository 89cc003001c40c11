"""The packaged template keeps every promise, and a promise that is taken out of it is missed; the zip runs where
nothing is but what Lambda has."""

import ast
import copy
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import app
from chalicelib.config import QUEUES
from chalicelib.domain.payments import GATEWAY_TIMEOUT_SECONDS
from chalicelib.flows.charge import SETTLE_SECONDS
from chalicelib.stores.tables import TABLES
from chalicelib.wiring import FUNCTION_SECONDS
from infra import package
from infra.generate import FUNCTIONS
from infra.package import Package
from tests.bench import cold

# Setting up the environment that packs, once, and packing twice.
pytestmark = pytest.mark.timeout(600)

Template = dict[str, Any]
Resource = dict[str, Any]
Check = Callable[[Template], Iterator[str]]
DAY = 24 * 3600


# --- looking into a template ------------------------------------------------------------------------------------------


def of_type(template: Template, kind: str) -> dict[str, Resource]:
    return {name: r["Properties"] for name, r in template["Resources"].items() if r.get("Type") == f"AWS::{kind}"}


def functions(template: Template) -> dict[str, Resource]:
    return of_type(template, "Serverless::Function")


def events(template: Template, kind: str) -> Iterator[tuple[str, Resource, Resource]]:
    """Every event of that kind: its function's name and properties, and its own."""
    for name, function in functions(template).items():
        for event in function.get("Events", {}).values():
            if event.get("Type") == kind:
                yield name, function, event["Properties"]


def every(event: Resource) -> int:
    """Seconds between two runs of a schedule."""
    number, unit = event["Schedule"].removeprefix("rate(").removesuffix(")").split()
    return int(number) * {"minute": 60, "day": DAY}[unit.removesuffix("s")]


def queue_of(template: Template, event: Resource) -> tuple[str, Resource] | None:
    """The queue of the template that an SQS event names by its end."""
    wanted = str(event["Queue"].get("Fn::Sub", "")).rpartition(":")[2]
    return next((q for q in of_type(template, "SQS::Queue").items() if q[1].get("QueueName") == wanted), None)


def target(value: Any) -> str:
    """The resource whose attribute or reference a value is."""
    if not isinstance(value, dict):
        return ""
    return str(value.get("Ref") or value.get("Fn::GetAtt", [""])[0])


def statements(template: Template, function: Resource) -> list[Resource]:
    role = of_type(template, "IAM::Role").get(target(function.get("Role")), {})
    return [s for policy in role.get("Policies", []) for s in policy["PolicyDocument"]["Statement"]]


def reserved(function: Resource) -> int:
    return int(function.get("ReservedConcurrentExecutions", {}).get("Fn::If", ["", 0])[1])


def alarmed(template: Template, metric: str, dimension: str, name: str) -> Resource | None:
    """The alarm on that metric of that resource."""
    for alarm in of_type(template, "CloudWatch::Alarm").values():
        values = {d["Name"]: target(d["Value"]) for d in alarm.get("Dimensions", [])}
        if alarm["MetricName"] == metric and values.get(dimension) == name and alarm.get("AlarmActions"):
            return alarm
    return None


# --- promises: each check says what is missing ------------------------------------------------------------------------


def every_message_that_fails_is_kept(template: Template) -> Iterator[str]:
    queues = of_type(template, "SQS::Queue")
    for name, queue in queues.items():
        if name.endswith("DeadLetters"):
            if queue.get("MessageRetentionPeriod") != 14 * DAY:
                yield f"{name} does not keep its messages for 14 days"
            continue
        redrive = queue.get("RedrivePolicy", {})
        if target(redrive.get("deadLetterTargetArn")) not in queues or redrive.get("maxReceiveCount") != 5:
            yield f"{name} has no dead letters after five receives"
        if queue.get("MessageRetentionPeriod", 0) < 4 * DAY:
            yield f"{name} loses messages in less than four days"


def a_message_is_hidden_longer_than_six_functions_run(template: Template) -> Iterator[str]:
    for name, function, event in events(template, "SQS"):
        found = queue_of(template, event)
        if found and found[1].get("VisibilityTimeout", 30) < 6 * function.get("Timeout", 3):
            yield f"{name} may get a message again while it is still at it"


def one_poison_message_holds_up_nobody(template: Template) -> Iterator[str]:
    for name, _, event in events(template, "SQS"):
        if event.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"what {name} hands back would be deleted"


def no_more_at_once_than_a_gateway_takes(template: Template) -> Iterator[str]:
    for name, function, event in events(template, "SQS"):
        most = event.get("ScalingConfig", {}).get("MaximumConcurrency", 1000)
        if not 2 <= most <= 20:
            yield f"{name} may run {most} times at once"
        if reserved(function) < most:
            yield f"{name} has fewer places than its queue may fill"
    for name, function, _ in events(template, "Schedule"):
        if not 1 <= reserved(function) <= 2:
            yield f"{name} may pile up"


def queues_and_functions_agree(template: Template) -> Iterator[str]:
    names = {q.get("QueueName") for q in of_type(template, "SQS::Queue").values()}
    tables = {t.get("TableName") for t in of_type(template, "DynamoDB::Table").values()}
    for name, _, event in events(template, "SQS"):
        found = queue_of(template, event)
        if found is None:
            yield f"{name} consumes a queue that is not in the template"
        elif found[0] not in template["Resources"][name].get("DependsOn", []):
            yield f"{name} may be made before {found[0]}"
    for name, function in functions(template).items():
        variables = function.get("Environment", {}).get("Variables", {})
        prefix = variables.get("BACKROOM_PREFIX", "")
        if not names >= {prefix + queue for queue in QUEUES} or not tables >= {prefix + table.name for table in TABLES}:
            yield f"{name} looks for tables or queues by other names"
        if variables.get("BACKROOM_ENGINE") != "aws" or target(variables.get("BACKROOM_PUBLIC_URL")) != "PublicUrl":
            yield f"{name} does not know its engine or where it is reached"


def a_schedule_that_fails_is_noticed(template: Template) -> Iterator[str]:
    for name, function, event in events(template, "Schedule"):
        sending, running = event.get("RetryPolicy", {}), function.get("EventInvokeConfig", {})
        for bounds in (sending, running):
            if bounds.get("MaximumRetryAttempts", 185) > 1 or bounds.get("MaximumEventAgeInSeconds", DAY) > 300:
                yield f"{name} is tried again without bound"
        dead = target(event.get("DeadLetterConfig", {}).get("Arn"))
        failed = target(running.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"))
        if not dead == failed == "SchedulesDeadLetters":
            yield f"{name} has no dead letters"
        rule = f"{name}{name}Event"
        allowed = _policy(template, dead)
        if not any(s["Effect"] == "Allow" and target(_source(s)) == rule for s in allowed):
            yield f"{rule} may not write its dead letters"
        sends = [s for s in statements(template, function) if "sqs:SendMessage" in s["Action"]]
        if not any(target(r) == failed for s in sends for r in s["Resource"]):
            yield f"{name} may not write its dead letters"


def _source(statement: Resource) -> Any:
    return statement.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn")


def _policy(template: Template, queue: str) -> list[Resource]:
    policies = of_type(template, "SQS::QueuePolicy").values()
    return [
        s
        for policy in policies
        if [target(q) for q in policy.get("Queues", [])] == [queue]
        for s in policy["PolicyDocument"]["Statement"]
    ]


def nothing_kept_is_lost(template: Template) -> Iterator[str]:
    tables = of_type(template, "DynamoDB::Table")
    if len(tables) != len(TABLES):
        yield "a table is missing"
    for name, table in tables.items():
        if not table.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
            yield f"{name} cannot be restored"
        if not table.get("DeletionProtectionEnabled"):
            yield f"{name} can be deleted"
    for name in [*tables, *of_type(template, "SQS::Queue")]:
        resource = template["Resources"][name]
        if not resource.get("DeletionPolicy") == resource.get("UpdateReplacePolicy") == "Retain":
            yield f"{name} goes with the stack"


def nothing_is_readable_on_the_way_or_on_disk(template: Template) -> Iterator[str]:
    for name, table in of_type(template, "DynamoDB::Table").items():
        if not table.get("SSESpecification", {}).get("SSEEnabled"):
            yield f"{name} is not encrypted under a key of the account"
    for name, queue in of_type(template, "SQS::Queue").items():
        if not queue.get("SqsManagedSseEnabled"):
            yield f"{name} is not encrypted"
        refusals = [s for s in _policy(template, name) if s["Effect"] == "Deny"]
        if not any(s.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}} for s in refusals):
            yield f"{name} takes messages without TLS"


def every_function_has_a_role_of_its_own_that_allows_little(template: Template) -> Iterator[str]:
    roles = [target(function.get("Role")) for function in functions(template).values()]
    if len(set(roles)) != len(roles):
        yield "two functions share a role"
    for name, function in functions(template).items():
        allowed = statements(template, function)
        if not allowed:
            yield f"{name} has no policy"
        for statement in allowed:
            actions, resources = statement["Action"], statement["Resource"]
            if any("*" in action for action in actions):
                yield f"{name} may do {actions}"
            mails = all(action.startswith("ses:Send") for action in actions)
            accounts = _reads_accounts(statement)
            if not mails and not accounts and "*" in json.dumps(resources):
                yield f"{name} may do {actions} to more than it must name"
            if mails and name != "Deliver":
                yield f"{name} may send mails"
            if accounts and name not in CHARGES:
                yield f"{name} may read payment accounts"
            if any(resource == "*" for resource in resources):
                yield f"{name} may do {actions} to everything"
            if not accounts and any(
                action.startswith(("iam:", "sts:", "lambda:", "kms:", "ssm:")) for action in actions
            ):
                yield f"{name} may do {actions}"
    for name, role in of_type(template, "IAM::Role").items():
        if role.get("ManagedPolicyArns"):
            yield f"{name} has policies that others write"


# Services that nothing is done to but what a check says.
OTHERS = ("iam:", "kms:", "lambda:", "ssm:", "sts:")
# What charges, and so holds the merchants' keys.
CHARGES = {"APIHandler", "Rebill", "Reconcile"}
HERE = "${AWS::Region}:${AWS::AccountId}"
ACCOUNTS = {"Fn::Sub": f"arn:${{AWS::Partition}}:ssm:{HERE}:parameter/backroom/*/gateways"}
KEYS = {"Fn::Sub": f"arn:${{AWS::Partition}}:kms:{HERE}:key/*"}
ONLY_OF_ACCOUNTS = {
    "StringEquals": {"kms:ViaService": {"Fn::Sub": "ssm.${AWS::Region}.amazonaws.com"}},
    "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": {"Fn::Sub": ACCOUNTS["Fn::Sub"] + "/*"}},
}


def _reads_accounts(statement: Resource) -> bool:
    """Whether it allows no more than to read what stands under the paths of payment accounts."""
    if statement["Action"] == ["kms:Decrypt"]:
        return bool(statement["Resource"] == [KEYS] and statement.get("Condition") == ONLY_OF_ACCOUNTS)
    return bool(statement["Action"] == ["ssm:GetParametersByPath"] and statement["Resource"] == [ACCOUNTS])


def what_charges_can_read_the_payment_accounts(template: Template) -> Iterator[str]:
    for name, function in functions(template).items():
        reading = [s["Action"][0] for s in statements(template, function) if _reads_accounts(s)]
        if reading != (["ssm:GetParametersByPath", "kms:Decrypt"] if name in CHARGES else []):
            yield f"{name} reads payment accounts by {reading}"


def every_function_is_one_of_app_py(template: Template) -> Iterator[str]:
    made = functions(template)
    if set(made) != {function.logical for function in FUNCTIONS}:
        yield "the template and infra/generate.py do not have the same functions"
    for name, function in made.items():
        module, _, handler = str(function.get("Handler", "")).partition(".")
        if module != "app" or not hasattr(app, handler):
            yield f"{name} would not import app.py"
        if function.get("Runtime") not in ("python3.12", "python3.13"):
            yield f"{name} runs on {function.get('Runtime')}"
        if function.get("MemorySize", 128) < 512:
            yield f"{name} has less than half a processor"


def a_charge_has_time_to_be_recorded(template: Template) -> Iterator[str]:
    for name, function in functions(template).items():
        if not GATEWAY_TIMEOUT_SECONDS + SETTLE_SECONDS < function.get("Timeout", 3) <= FUNCTION_SECONDS:
            yield f"{name} has {function.get('Timeout')} seconds"


def every_log_ends(template: Template) -> Iterator[str]:
    groups = of_type(template, "Logs::LogGroup")
    for name, function in functions(template).items():
        logging = function.get("LoggingConfig", {})
        if not groups.get(target(logging.get("LogGroup")), {}).get("RetentionInDays"):
            yield f"{name} logs for ever"
        if logging.get("LogFormat") != "JSON":
            yield f"{name} loses what is logged beside the message"


def what_needs_a_person_is_told(template: Template) -> Iterator[str]:
    for name in of_type(template, "SQS::Queue"):
        if name.endswith("DeadLetters"):
            alarm = alarmed(template, "ApproximateNumberOfMessagesVisible", "QueueName", name)
            if alarm is None or (alarm["Threshold"], alarm["ComparisonOperator"]) != (0, "GreaterThanThreshold"):
                yield f"nobody hears of {name}"
        elif alarmed(template, "ApproximateAgeOfOldestMessage", "QueueName", name) is None:
            yield f"nobody hears that {name} stands still"
    for name in functions(template):
        if alarmed(template, "Errors", "FunctionName", name) is None:
            yield f"nobody hears that {name} fails"
    for name, _, event in events(template, "Schedule"):
        alarm = alarmed(template, "Invocations", "FunctionName", name)
        if alarm is None or alarm.get("TreatMissingData") != "breaching":
            yield f"nobody hears that {name} does not run"
        elif not every(event) < alarm["Period"] * alarm["EvaluationPeriods"] <= max(900, 2 * every(event)):
            yield f"{name} is missed too soon or too late"
        elif alarm["Period"] > DAY:
            yield f"CloudWatch has no such period as that of {name}"
    if not any(alarm["MetricName"] == "5XXError" for alarm in of_type(template, "CloudWatch::Alarm").values()):
        yield "nobody hears that the API fails"


def the_api_is_one_stage_in_its_region(template: Template) -> Iterator[str]:
    (api,) = of_type(template, "Serverless::Api").values()
    if api.get("EndpointConfiguration") != {"Type": "REGIONAL"} or "OpenApiVersion" not in api:
        yield "the API is at the edge, or has a second stage"


CHECKS: tuple[Check, ...] = (
    every_message_that_fails_is_kept,
    a_message_is_hidden_longer_than_six_functions_run,
    one_poison_message_holds_up_nobody,
    no_more_at_once_than_a_gateway_takes,
    queues_and_functions_agree,
    a_schedule_that_fails_is_noticed,
    nothing_kept_is_lost,
    nothing_is_readable_on_the_way_or_on_disk,
    every_function_has_a_role_of_its_own_that_allows_little,
    what_charges_can_read_the_payment_accounts,
    every_function_is_one_of_app_py,
    a_charge_has_time_to_be_recorded,
    every_log_ends,
    what_needs_a_person_is_told,
    the_api_is_one_stage_in_its_region,
)
# What is taken out of the template (a path), or written over it, and the check that must say so.
GONE = object()
REBILL = "Rebill.Properties"
REBILL_EVENT = f"{REBILL}.Events.RebillSqsEventSource.Properties"
SWEEP = "Sweep.Properties"
SWEEP_EVENT = f"{SWEEP}.Events.SweepEvent.Properties"
STATEMENTS = "RebillRole.Properties.Policies.0.PolicyDocument.Statement"
ROLE, SSM, KMS = f"{STATEMENTS}.0", f"{STATEMENTS}.-2", f"{STATEMENTS}.-1"
HOLES: tuple[tuple[Check, str, Any], ...] = (
    (every_message_that_fails_is_kept, "RebillQueue.Properties.RedrivePolicy", GONE),
    (every_message_that_fails_is_kept, "DeliverQueue.Properties.RedrivePolicy.maxReceiveCount", 500),
    (every_message_that_fails_is_kept, "RebillDeadLetters", GONE),
    (every_message_that_fails_is_kept, "RebillDeadLetters.Properties.MessageRetentionPeriod", GONE),
    (every_message_that_fails_is_kept, "RebillQueue.Properties.MessageRetentionPeriod", GONE),
    (a_message_is_hidden_longer_than_six_functions_run, "RebillQueue.Properties.VisibilityTimeout", GONE),
    (a_message_is_hidden_longer_than_six_functions_run, f"{REBILL}.Timeout", 61),
    (one_poison_message_holds_up_nobody, f"{REBILL_EVENT}.FunctionResponseTypes", GONE),
    (no_more_at_once_than_a_gateway_takes, f"{REBILL_EVENT}.ScalingConfig", GONE),
    (no_more_at_once_than_a_gateway_takes, f"{REBILL}.ReservedConcurrentExecutions", GONE),
    (no_more_at_once_than_a_gateway_takes, f"{SWEEP}.ReservedConcurrentExecutions", GONE),
    (queues_and_functions_agree, "DeliverQueue.Properties.QueueName", "other"),
    (queues_and_functions_agree, "OrdersTable.Properties.TableName", "orders"),
    (queues_and_functions_agree, "Rebill.DependsOn", GONE),
    (queues_and_functions_agree, f"{REBILL}.Environment.Variables.BACKROOM_PREFIX", "other-"),
    (queues_and_functions_agree, f"{REBILL}.Environment.Variables.BACKROOM_PUBLIC_URL", GONE),
    (a_schedule_that_fails_is_noticed, f"{SWEEP_EVENT}.RetryPolicy", GONE),
    (a_schedule_that_fails_is_noticed, f"{SWEEP_EVENT}.DeadLetterConfig", GONE),
    (a_schedule_that_fails_is_noticed, f"{SWEEP}.EventInvokeConfig", GONE),
    (a_schedule_that_fails_is_noticed, f"{SWEEP}.EventInvokeConfig.DestinationConfig", GONE),
    (a_schedule_that_fails_is_noticed, "SchedulesDeadLettersPolicy", GONE),
    (nothing_kept_is_lost, "OrdersTable.Properties.PointInTimeRecoverySpecification", GONE),
    (nothing_kept_is_lost, "OrdersTable.Properties.DeletionProtectionEnabled", GONE),
    (nothing_kept_is_lost, "OrdersTable.DeletionPolicy", GONE),
    (nothing_kept_is_lost, "RebillQueue.UpdateReplacePolicy", GONE),
    (nothing_kept_is_lost, "AuditTable", GONE),
    (nothing_is_readable_on_the_way_or_on_disk, "VaultTable.Properties.SSESpecification", GONE),
    (nothing_is_readable_on_the_way_or_on_disk, "RebillQueue.Properties.SqsManagedSseEnabled", GONE),
    (nothing_is_readable_on_the_way_or_on_disk, "RebillQueuePolicy", GONE),
    (every_function_has_a_role_of_its_own_that_allows_little, f"{REBILL}.Role", {"Fn::GetAtt": ["SweepRole", "Arn"]}),
    (every_function_has_a_role_of_its_own_that_allows_little, f"{ROLE}.Action", ["dynamodb:*"]),
    (every_function_has_a_role_of_its_own_that_allows_little, f"{ROLE}.Action", ["ses:SendEmail"]),
    (every_function_has_a_role_of_its_own_that_allows_little, f"{ROLE}.Resource", ["*"]),
    (every_function_has_a_role_of_its_own_that_allows_little, "RebillRole.Properties.Policies", []),
    (every_function_has_a_role_of_its_own_that_allows_little, "RebillRole.Properties.ManagedPolicyArns", ["arn:any"]),
    (every_function_has_a_role_of_its_own_that_allows_little, f"{SSM}.Resource", ["*"]),
    (every_function_has_a_role_of_its_own_that_allows_little, f"{SSM}.Action", ["ssm:GetParameter"]),
    (every_function_has_a_role_of_its_own_that_allows_little, f"{KMS}.Condition", GONE),
    (every_function_has_a_role_of_its_own_that_allows_little, f"{KMS}.Condition.StringLike", GONE),
    (every_function_has_a_role_of_its_own_that_allows_little, f"{KMS}.Action", ["kms:Decrypt", "kms:Encrypt"]),
    (what_charges_can_read_the_payment_accounts, SSM, GONE),
    (what_charges_can_read_the_payment_accounts, KMS, GONE),
    (every_function_is_one_of_app_py, f"{REBILL}.Handler", "chalicelib.handlers.work.rebill"),
    (every_function_is_one_of_app_py, f"{REBILL}.Handler", "app.nobody"),
    (every_function_is_one_of_app_py, f"{REBILL}.Runtime", "python3.11"),
    (every_function_is_one_of_app_py, f"{REBILL}.MemorySize", 128),
    (every_function_is_one_of_app_py, "Relay", GONE),
    (a_charge_has_time_to_be_recorded, "APIHandler.Properties.Timeout", 29),
    (every_log_ends, "RebillLogs.Properties.RetentionInDays", GONE),
    (every_log_ends, f"{REBILL}.LoggingConfig", GONE),
    (what_needs_a_person_is_told, "RebillDeadLettersAlarm", GONE),
    (what_needs_a_person_is_told, "SchedulesDeadLettersAlarm.Properties.AlarmActions", GONE),
    (what_needs_a_person_is_told, "RebillLateAlarm", GONE),
    (what_needs_a_person_is_told, "SweepStoppedAlarm.Properties.TreatMissingData", "notBreaching"),
    (what_needs_a_person_is_told, "RelayStoppedAlarm", GONE),
    (what_needs_a_person_is_told, "ReconcileAllStoppedAlarm.Properties.EvaluationPeriods", 3),
    (what_needs_a_person_is_told, "ReconcileAllStoppedAlarm.Properties.Period", 2 * DAY),
    (what_needs_a_person_is_told, "APIHandlerErrorsAlarm", GONE),
    (what_needs_a_person_is_told, "APIErrorsAlarm", GONE),
    (the_api_is_one_stage_in_its_region, "RestAPI.Properties.OpenApiVersion", GONE),
)


def with_a_hole(template: Template, path: str, value: Any) -> Template:
    holed = copy.deepcopy(template)
    *way, last = path.split(".")
    part: Any = holed["Resources"]
    for name in way:
        part = part[int(name)] if isinstance(part, list) else part[name]
    if value is GONE:
        del part[int(last) if isinstance(part, list) else last]
    else:
        part[last] = value
    return holed


@pytest.fixture(scope="module")
def template(packages: dict[str, Package]) -> Template:
    """What CloudFormation gets."""
    read: Template = json.loads(packages["arm64"].template.read_text())
    return read


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_template_keeps_its_promises(template: Template, check: Check) -> None:
    assert list(check(template)) == []


@pytest.mark.parametrize(
    ("check", "path", "value"), HOLES, ids=[f"{check.__name__}-{path}" for check, path, _ in HOLES]
)
def test_a_promise_that_is_taken_out_is_missed(template: Template, check: Check, path: str, value: Any) -> None:
    assert list(check(with_a_hole(template, path, value))) != []


def test_every_check_has_a_hole_that_it_finds() -> None:
    assert {check for check, _, _ in HOLES} == set(CHECKS)


@pytest.mark.parametrize("architecture", package.ARCHITECTURES)
def test_functions_and_their_machine_code_are_of_one_architecture(
    packages: dict[str, Package], architecture: str
) -> None:
    built = packages[architecture]
    read = json.loads(built.template.read_text())
    assert {tuple(f["Architectures"]) for f in functions(read).values()} == {(architecture,)}
    assert {f["Runtime"] for f in functions(read).values()} == {f"python{built.python.version}"}
    with zipfile.ZipFile(built.archive) as archive:
        machines = {_machine(archive.read(name)) for name in archive.namelist() if name.endswith(".so")}
    assert machines == {architecture}


def _machine(library: bytes) -> str:
    """Of an ELF file."""
    return {0x3E: "x86_64", 0xB7: "arm64"}[struct.unpack("<H", library[18:20])[0]]


def lint(template: Template, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "template.json"
    file.write_text(json.dumps(template))
    program = Path(sys.executable).with_name("cfn-lint")
    return subprocess.run([program, "-t", file], capture_output=True, text=True, timeout=120, check=False)


def test_cloudformation_would_take_it(template: Template, tmp_path: Path) -> None:
    done = lint(template, tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_patch_of_what_chalice_does_not_make_is_refused(template: Template, tmp_path: Path) -> None:
    """It would become a resource without a type."""
    stub = with_a_hole(template, "Rebil", {"Properties": {"MemorySize": 512}})
    done = lint(stub, tmp_path)
    assert done.returncode != 0
    assert "E3001" in done.stdout


# --- the zip ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unpacked(runs_here: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(runs_here.archive) as archive:
        archive.extractall(folder)
    return folder


def run(python: Path, task: Path, program: str) -> str:
    """What the program prints, run where Lambda would run it: nothing can be written, nothing else is there."""
    environment = {"AWS_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, "-c", program], cwd=task, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_request_is_answered(lambda_python: Path, unpacked: Path) -> None:
    event = {
        "resource": "/rest/v2/order/orders/{order_id}",
        "path": "/rest/v2/order/orders/X",
        "httpMethod": "GET",
        "headers": {"host": "example.com"},
        "multiValueHeaders": {"host": ["example.com"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"order_id": "X"},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/rest/v2/order/orders/{order_id}",
            "httpMethod": "GET",
            "path": "/api/rest/v2/order/orders/X",
            "identity": {"sourceIp": "203.0.113.7"},
        },
        "body": None,
        "isBase64Encoded": False,
    }
    program = f"import json, app; print(json.dumps(app.app(json.loads({json.dumps(event)!r}), None)))"
    answer = json.loads(run(lambda_python, unpacked, program))
    assert answer["statusCode"] == 401
    assert json.loads(answer["body"])["error"]["error_code"] == "401"


def test_everything_that_is_imported_anywhere_is_there(lambda_python: Path, unpacked: Path) -> None:
    """Also what one function alone imports, late."""
    wanted = {
        name
        for file in [unpacked / "app.py", *(unpacked / "chalicelib").rglob("*.py")]
        for node in ast.walk(ast.parse(file.read_text()))
        for name in _imported(node)
    }
    assert {"botocore.session", "msgspec", "pynamodb.connection"} <= wanted
    program = f"import importlib\nfor name in {sorted(wanted)!r}: importlib.import_module(name)"
    run(lambda_python, unpacked, program)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def test_what_the_runtime_has_is_not_packed_again(unpacked: Path) -> None:
    packed = {path.name.partition("-")[0].partition(".")[0] for path in unpacked.iterdir()}
    assert packed >= {"app", "chalice", "chalicelib", "msgspec", "pynamodb", "tzdata"}
    assert not packed & {"boto3", "botocore", "s3transfer", "urllib3", "dateutil", "python_dateutil", "jmespath", "six"}
    assert not packed & {"pip", "setuptools", "wheel", "bin"}


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("app.py", True),
        ("chalicelib/admin/index.html", True),
        ("msgspec/_core.cpython-313-aarch64-linux-gnu.so", True),
        ("requests-2.34.2.dist-info/METADATA", True),
        ("botocore/data/endpoints.json", False),
        ("botocore-1.44.5.dist-info/METADATA", False),
        ("python_dateutil-2.9.0.dist-info/METADATA", False),
        ("six.py", False),
        ("urllib3/__init__.py", False),
        ("setuptools/__init__.py", False),
        ("wheel-0.48.0.dist-info/RECORD", False),
        ("jmespath-1.1.0.data/scripts/jp.py", False),
        ("distutils-precedence.pth", False),
        ("chalicelib/__pycache__/config.cpython-311.pyc", False),
        # A name that only begins like one of theirs, or a folder inside a package.
        ("sixpack/__init__.py", True),
        ("stripe/six.py", True),
    ],
)
def test_what_belongs_into_the_zip(name: str, stays: bool) -> None:
    assert package.belongs(name) is stays


def test_nothing_is_compiled_on_a_cold_start(runs_here: Package, unpacked: Path) -> None:
    tag = f"cpython-{runs_here.python.version.replace('.', '')}"
    for source in unpacked.rglob("*.py"):
        compiled = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        # After the magic number: a hash instead of a time, and that nobody checks it.
        assert compiled.read_bytes()[4:8] == b"\1\0\0\0", source
    others = [path for path in unpacked.rglob("*.pyc") if tag not in path.name]
    assert not others


def test_a_cold_start_takes_little_longer_than_that_of_a_bare_handler(
    runs_here: Package, lambda_python: Path, tmp_path: Path
) -> None:
    """The app alone, and the app with its DynamoDB client, beside a handler that imports boto3 and makes a client."""
    found = cold.starts(runs_here, lambda_python, tmp_path, 9)
    assert found.ratio("imported") <= cold.BUDGET
    assert found.ratio("ready") <= cold.BUDGET


def test_only_what_belongs_to_the_app_is_packed(unpacked: Path) -> None:
    ours = {path.relative_to(unpacked).parts[0] for path in unpacked.rglob("*") if path.suffix == ".py"}
    assert not ours & {"infra", "tests", "docs", ".venv"}
    assert not [path for path in unpacked.rglob("*") if path.suffix in (".sqlite", ".log", ".env")]
    assert (unpacked / "chalicelib" / "gateways" / "templates" / "_layout.html").exists()


def test_the_same_files_make_the_same_bytes(packages: dict[str, Package]) -> None:
    """What is no machine code is the same in both packages, though each was built in a place of its own."""
    contents = []
    for built in packages.values():
        with zipfile.ZipFile(built.archive) as archive:
            entries = archive.infolist()
        assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
        assert {(entry.date_time, entry.external_attr) for entry in entries} == {(package.MOMENT, package.MODE << 16)}
        contents.append({e.filename: e.CRC for e in entries if ".so" not in e.filename and "-info/" not in e.filename})
    first, second = contents
    assert sum(name.endswith(".pyc") for name in first) > 500
    assert first == second


@pytest.mark.parametrize("architecture", package.ARCHITECTURES)
def test_the_package_stays_light(packages: dict[str, Package], architecture: str) -> None:
    """Lambda takes 50 and 250 MB; a cold start fetches and unpacks all of it."""
    built = packages[architecture]
    assert built.archive.stat().st_size < 20e6
    assert built.unpacked < 80e6


def test_what_was_built_is_told(runs_here: Package) -> None:
    told = package.told(runs_here)
    assert f"Python {runs_here.python.version}, {runs_here.architecture}" in told
    assert "7 functions" in told
