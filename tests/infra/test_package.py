"""The packaged template keeps every promise, and a promise that is taken out of it is missed; the zip runs where
nothing is but what Lambda has."""

import ast
import copy
import json
import re
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
from chalicelib.domain.transfers import PASSING_DAYS
from chalicelib.flows.charge import SETTLE_SECONDS
from chalicelib.stores.tables import TABLES
from chalicelib.wiring import FUNCTION_SECONDS
from infra import generate, package
from infra.generate import CONSUMERS, FUNCTIONS, SCHEDULES, log_group, logical
from infra.package import Package, Python
from tests.bench import cold

# Setting up the environment that packs, once, and packing twice.
pytestmark = pytest.mark.timeout(600)

Template = dict[str, Any]
Resource = dict[str, Any]
Check = Callable[[Template], Iterator[str]]
DAY = 24 * 3600
# What must stand still while the stack does not bill.
BILLING = ("Sweep", "Rebill")
# The only actions on things that are not named one by one, and what these are.
WIDE = {"ses:SendEmail": ":identity/*", "ses:SendRawEmail": ":identity/*"} | dict.fromkeys(
    ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"), "${FilesBucket.Arn}/"
)
# Numbers of the account's services, which cannot be named one by one.
WIDE["cloudwatch:GetMetricData"] = '"*"'

NEVER = ("iam:", "kms:", "lambda:", "ssm:", "sts:")
# What needs longer than a request may take, and charges nothing.
LONGER = {"Files": 300}
# What charges, and so holds the merchants' keys.
CHARGES = {"APIHandler", "Rebill", "Reconcile"}
HERE = "${AWS::Region}:${AWS::AccountId}"
ACCOUNTS = {"Fn::Sub": f"arn:${{AWS::Partition}}:ssm:{HERE}:parameter/backroom/*/gateways"}
KEYS = {"Fn::Sub": f"arn:${{AWS::Partition}}:kms:{HERE}:key/*"}
ONLY_OF_ACCOUNTS = {
    "StringEquals": {"kms:ViaService": {"Fn::Sub": "ssm.${AWS::Region}.amazonaws.com"}},
    "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": {"Fn::Sub": ACCOUNTS["Fn::Sub"] + "/*"}},
}


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


def alarmed(template: Template, metric: str, dimension: str = "", name: str = "") -> Resource | None:
    """The alarm on that metric, of that resource where one is named, that reaches the topic."""
    for alarm in of_type(template, "CloudWatch::Alarm").values():
        values = {d["Name"]: target(d["Value"]) for d in alarm.get("Dimensions", [])}
        told = [target(topic) for topic in alarm.get("AlarmActions", [])]
        if alarm["MetricName"] == metric and values.get(dimension, "") == name and told == ["Alarms"]:
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
        if target(redrive.get("deadLetterTargetArn")) not in queues:
            yield f"{name} has no dead letters"
        elif redrive.get("maxReceiveCount") != 5:
            yield f"{name} does not give up after five receives"
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
        elif reserved(function) < most:
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
        if not names >= {prefix + queue for queue in QUEUES}:
            yield f"{name} looks for queues by other names"
        if not tables >= {prefix + table.name for table in TABLES}:
            yield f"{name} looks for tables by other names"
        if target(variables.get("BACKROOM_BUCKET")) not in of_type(template, "S3::Bucket"):
            yield f"{name} does not know the bucket of private files"
        if variables.get("BACKROOM_ENGINE") != "aws":
            yield f"{name} does not know its engine"
        if target(variables.get("BACKROOM_PUBLIC_URL")) != "PublicUrl":
            yield f"{name} does not know where it is reached"


def a_schedule_that_fails_is_noticed(template: Template) -> Iterator[str]:
    for name, function, event in events(template, "Schedule"):
        sending, running = event.get("RetryPolicy", {}), function.get("EventInvokeConfig", {})
        soon = min(300, every(event))
        for what, bounds in (("starting", sending), ("running", running)):
            age = bounds.get("MaximumEventAgeInSeconds", DAY)
            if bounds.get("MaximumRetryAttempts", 185) > 1 or age > soon:
                yield f"{what} {name} is tried again without bound"
        dead = target(event.get("DeadLetterConfig", {}).get("Arn"))
        if dead != "SchedulesDeadLetters":
            yield f"{name} has no dead letters where it cannot be started"
        elif not any(target(_source(s)) == f"{name}{name}Event" for s in _policy(template, dead, "Allow")):
            yield f"the rule of {name} may not write its dead letters"
        failed = target(running.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"))
        if failed != "SchedulesDeadLetters":
            yield f"{name} has no dead letters where it fails"


def _source(statement: Resource) -> Any:
    return statement.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn")


def _policy(template: Template, queue: str, effect: str) -> list[Resource]:
    policies = of_type(template, "SQS::QueuePolicy").values()
    return [
        s
        for policy in policies
        if [target(q) for q in policy.get("Queues", [])] == [queue]
        for s in policy["PolicyDocument"]["Statement"]
        if s["Effect"] == effect
    ]


def billing_can_be_switched_off_or_made_careful(template: Template) -> Iterator[str]:
    """After tables were restored nobody may charge until the gateway was asked."""
    for name in BILLING:
        for event in functions(template).get(name, {}).get("Events", {}).values():
            on = event["Properties"].get("Enabled", event["Properties"].get("State"))
            if on not in ({"Fn::If": ["Bills", True, False]}, {"Fn::If": ["Bills", "ENABLED", "DISABLED"]}):
                yield f"{name} runs whether the stack bills or not"
    for name, function in functions(template).items():
        asks = function.get("Environment", {}).get("Variables", {}).get("BACKROOM_ASK_FIRST")
        if asks != {"Fn::If": ["AsksFirst", "yes", "no"]}:
            yield f"{name} charges what the gateway may have charged already"
    billing = {"Ref": "Billing"}
    if template["Conditions"]["Bills"] != {"Fn::Not": [{"Fn::Equals": [billing, "no"]}]}:
        yield "it bills where it should not"
    if template["Conditions"]["AsksFirst"] != {"Fn::Equals": [billing, "careful"]}:
        yield "it is not careful where it should be"


def nothing_kept_is_lost(template: Template) -> Iterator[str]:
    tables = of_type(template, "DynamoDB::Table")
    if len(tables) != len(TABLES):
        yield "a table is missing"
    for name, table in tables.items():
        if not table.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
            yield f"{name} cannot be restored"
        if not table.get("DeletionProtectionEnabled"):
            yield f"{name} can be deleted"
    for name in [*tables, *of_type(template, "SQS::Queue"), *of_type(template, "S3::Bucket")]:
        resource = template["Resources"][name]
        if resource.get("DeletionPolicy") != "Retain":
            yield f"{name} goes with the stack"
        if resource.get("UpdateReplacePolicy") != "Retain":
            yield f"{name} goes when it is replaced"


def nothing_is_readable_on_the_way_or_on_disk(template: Template) -> Iterator[str]:
    for name, table in of_type(template, "DynamoDB::Table").items():
        if not table.get("SSESpecification", {}).get("SSEEnabled"):
            yield f"{name} is not encrypted under a key of the account"
    for name, queue in of_type(template, "SQS::Queue").items():
        if not queue.get("SqsManagedSseEnabled"):
            yield f"{name} is not encrypted"
        refusals = _policy(template, name, "Deny")
        if not any(s.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}} for s in refusals):
            yield f"{name} takes messages without TLS"


def private_files_are_private_and_pass(template: Template) -> Iterator[str]:
    """Encrypted, closed to the public, reached by TLS alone; what passes is thrown away, and a page may only post."""
    for name, bucket in of_type(template, "S3::Bucket").items():
        if "BucketEncryption" not in bucket:
            yield f"{name} is not encrypted"
        blocked = bucket.get("PublicAccessBlockConfiguration", {})
        if len(blocked) != 4 or not all(blocked.values()):
            yield f"{name} can be opened to the public"
        rules = bucket.get("LifecycleConfiguration", {}).get("Rules", [])
        if not any(r.get("ExpirationInDays") == PASSING_DAYS and r.get("Prefix") == "passing/" for r in rules):
            yield f"{name} keeps what passes"
        if any(r.get("ExpirationInDays") and not r.get("Prefix") for r in rules):
            yield f"{name} throws away what is kept"
        cors = bucket.get("CorsConfiguration", {}).get("CorsRules", [])
        if [rule["AllowedMethods"] for rule in cors] != [["POST"]]:
            yield f"{name} is read by other pages"
        policies = [p for p in of_type(template, "S3::BucketPolicy").values() if target(p["Bucket"]) == name]
        refused = [s for p in policies for s in p["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
        if not any(s.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}} for s in refused):
            yield f"{name} is reached without TLS"


def every_function_has_a_role_of_its_own_that_allows_little(template: Template) -> Iterator[str]:
    roles = [target(function.get("Role")) for function in functions(template).values()]
    if len(set(roles)) != len(roles):
        yield "two functions share a role"
    for name, role in of_type(template, "IAM::Role").items():
        if role.get("ManagedPolicyArns"):
            yield f"{name} has policies that others write"
        if len(role.get("Policies", [])) != 1:
            yield f"{name} has not one policy"
        for policy in role.get("Policies", []):
            yield from _more_than_little(name, policy["PolicyDocument"]["Statement"])
    # What Chalice would guess from the code stands in no policy file of ours.
    for function in FUNCTIONS:
        made = functions(template).get(function.logical, {})
        if statements(template, made) != generate.policy(function)["Statement"]:
            yield f"{function.logical} does not have the policy that infra/generate.py writes"


def _more_than_little(name: str, statements: list[Resource]) -> Iterator[str]:
    for statement in statements:
        actions, resources = statement["Action"], statement["Resource"]
        if _reads_accounts(statement):
            continue
        if any("*" in action for action in actions):
            yield f"{name} allows all of a service"
        if any(action.startswith(NEVER) for action in actions):
            yield f"{name} allows {actions}"
        for wide in (resource for resource in resources if "*" in json.dumps(resource)):
            if not all(action in WIDE and WIDE[action] in json.dumps(wide) for action in actions):
                yield f"{name} allows {actions} on more than it names"


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
    """And what charges nothing but reads files has five minutes."""
    for name, function in functions(template).items():
        most = LONGER.get(name, FUNCTION_SECONDS)
        if not GATEWAY_TIMEOUT_SECONDS + SETTLE_SECONDS < function.get("Timeout", 3) <= most:
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
    for name, function in functions(template).items():
        if alarmed(template, "Errors", "FunctionName", name) is None:
            yield f"nobody hears that {name} fails"
        if not _counts_errors(template, target(function.get("LoggingConfig", {}).get("LogGroup"))):
            yield f"nobody hears what {name} logs as an error"
    for name, _, event in events(template, "Schedule"):
        alarm = alarmed(template, "Invocations", "FunctionName", name)
        if alarm is None or alarm.get("TreatMissingData") != "breaching":
            yield f"nobody hears that {name} does not run"
        elif alarm["Period"] > DAY:
            yield f"CloudWatch has no such period as that of {name}"
        elif not every(event) < alarm["Period"] * alarm["EvaluationPeriods"] <= max(900, 2 * every(event)):
            yield f"{name} is missed too soon or too late"
    if alarmed(template, "5XXError") is None:
        yield "nobody hears that the API fails"


def _counts_errors(template: Template, group: str) -> bool:
    """Whether errors in that log are counted by a metric that has an alarm."""
    found = [f for f in of_type(template, "Logs::MetricFilter").values() if target(f.get("LogGroupName")) == group]
    levels = [f["FilterPattern"] for f in found if alarmed(template, f["MetricTransformations"][0]["MetricName"])]
    return levels == ['{ $.level = "ERROR" }']


def the_api_is_one_stage_in_its_region(template: Template) -> Iterator[str]:
    (api,) = of_type(template, "Serverless::Api").values()
    if api.get("EndpointConfiguration") != {"Type": "REGIONAL"}:
        yield "the API is at the edge"
    if "OpenApiVersion" not in api:
        yield "the API has a second stage"
    for name in ("MISSING_AUTHENTICATION_TOKEN", "DEFAULT_4XX", "DEFAULT_5XX"):
        if not _in_the_envelope(api.get("GatewayResponses", {}).get(name, {})):
            yield f"API Gateway answers {name} in another form than ours"


def _in_the_envelope(response: Template) -> bool:
    """Whether what API Gateway says by itself reads as every other error does, once its variables are filled in."""
    written = response.get("ResponseTemplates", {}).get("application/json", "null")
    filled = written.replace("$context.error.messageString", '"slow down"').replace("$context.error.responseType", "X")
    body = json.loads(filled)
    headers = response.get("ResponseParameters", {}).get("Headers", {})
    return (
        body is not None
        and set(body["error"]) == {"developer_message", "user_message", "error_code"}
        and set(headers) == {"X-UltraCart-Request-Id", "UC-REST-ERROR"}
    )


CHECKS: tuple[Check, ...] = (
    every_message_that_fails_is_kept,
    a_message_is_hidden_longer_than_six_functions_run,
    one_poison_message_holds_up_nobody,
    no_more_at_once_than_a_gateway_takes,
    queues_and_functions_agree,
    a_schedule_that_fails_is_noticed,
    billing_can_be_switched_off_or_made_careful,
    nothing_kept_is_lost,
    nothing_is_readable_on_the_way_or_on_disk,
    private_files_are_private_and_pass,
    every_function_has_a_role_of_its_own_that_allows_little,
    what_charges_can_read_the_payment_accounts,
    every_function_is_one_of_app_py,
    a_charge_has_time_to_be_recorded,
    every_log_ends,
    what_needs_a_person_is_told,
    the_api_is_one_stage_in_its_region,
)


def violations(template: Template) -> list[str]:
    """Everything that a template does not promise."""
    return [said for check in CHECKS for said in check(template)]


# --- and what is said when one is gone --------------------------------------------------------------------------------

GONE = object()
# A hole is tried in every queue, table, schedule, consumer and function of which the template has one.
QUEUE_NAMES = [{"queue": f"{logical(f.consumes)}Queue", "consumer": f.logical} for f in CONSUMERS]
FUNCTION_NAMES = [{"function": f.logical, "logs": log_group(f)} for f in FUNCTIONS]
EACH: dict[str, list[dict[str, str]]] = {
    "queue": QUEUE_NAMES,
    "consumer": QUEUE_NAMES,
    "dead": [{"dead": f"{logical(name)}DeadLetters"} for name in (*QUEUES, "schedules")],
    "table": [{"table": f"{logical(table.name)}Table"} for table in TABLES],
    "schedule": [{"schedule": f.logical} for f in SCHEDULES],
    "function": FUNCTION_NAMES,
    "logs": FUNCTION_NAMES,
}
SQS_EVENT = "{consumer}.Properties.Events.{consumer}SqsEventSource.Properties"
SCHEDULE_EVENT = "{schedule}.Properties.Events.{schedule}Event.Properties"
VARIABLES = "{function}.Properties.Environment.Variables"
STATEMENTS = "RebillRole.Properties.Policies.0.PolicyDocument.Statement"
READ, DECRYPT = "ssm:GetParametersByPath", "kms:Decrypt"
OTHER_POLICY = "Rebill does not have the policy that infra/generate.py writes"
# What is taken out of the template (a path), or written over it, and all that must be said of it.
HOLES: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
    ("{queue}.Properties.RedrivePolicy", GONE, ("{queue} has no dead letters",)),
    (
        "{queue}.Properties.RedrivePolicy.deadLetterTargetArn",
        {"Fn::GetAtt": ["Nobody", "Arn"]},
        ("{queue} has no dead letters",),
    ),
    ("{queue}.Properties.RedrivePolicy.maxReceiveCount", 500, ("{queue} does not give up after five receives",)),
    ("{dead}.Properties.MessageRetentionPeriod", GONE, ("{dead} does not keep its messages for 14 days",)),
    ("{queue}.Properties.MessageRetentionPeriod", GONE, ("{queue} loses messages in less than four days",)),
    (
        "{queue}.Properties.VisibilityTimeout",
        GONE,
        ("{consumer} may get a message again while it is still at it",),
    ),
    (
        "{consumer}.Properties.Timeout",
        301,
        ("{consumer} may get a message again while it is still at it", "{consumer} has 301 seconds"),
    ),
    (SQS_EVENT + ".FunctionResponseTypes", GONE, ("what {consumer} hands back would be deleted",)),
    (SQS_EVENT + ".ScalingConfig", GONE, ("{consumer} may run 1000 times at once",)),
    (
        "{consumer}.Properties.ReservedConcurrentExecutions",
        GONE,
        ("{consumer} has fewer places than its queue may fill",),
    ),
    ("{schedule}.Properties.ReservedConcurrentExecutions", GONE, ("{schedule} may pile up",)),
    (
        SQS_EVENT + ".Queue.Fn::Sub",
        "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:other",
        ("{consumer} consumes a queue that is not in the template",),
    ),
    ("{consumer}.DependsOn", GONE, ("{consumer} may be made before {queue}",)),
    (
        VARIABLES + ".BACKROOM_PREFIX",
        "other-",
        ("{function} looks for queues by other names", "{function} looks for tables by other names"),
    ),
    (VARIABLES + ".BACKROOM_BUCKET", GONE, ("{function} does not know the bucket of private files",)),
    ("FilesBucket.DeletionPolicy", GONE, ("FilesBucket goes with the stack",)),
    ("FilesBucket.Properties.BucketEncryption", GONE, ("FilesBucket is not encrypted",)),
    (
        "FilesBucket.Properties.PublicAccessBlockConfiguration.BlockPublicPolicy",
        False,
        ("FilesBucket can be opened to the public",),
    ),
    (
        "FilesBucket.Properties.LifecycleConfiguration.Rules.0.ExpirationInDays",
        3650,
        ("FilesBucket keeps what passes",),
    ),
    (
        "FilesBucket.Properties.LifecycleConfiguration.Rules.0.Prefix",
        GONE,
        ("FilesBucket keeps what passes", "FilesBucket throws away what is kept"),
    ),
    (
        "FilesBucket.Properties.CorsConfiguration.CorsRules.0.AllowedMethods",
        ["GET", "POST"],
        ("FilesBucket is read by other pages",),
    ),
    ("FilesBucketPolicy", GONE, ("FilesBucket is reached without TLS",)),
    (VARIABLES + ".BACKROOM_ENGINE", "embedded", ("{function} does not know its engine",)),
    (VARIABLES + ".BACKROOM_PUBLIC_URL", GONE, ("{function} does not know where it is reached",)),
    (SCHEDULE_EVENT + ".RetryPolicy", GONE, ("starting {schedule} is tried again without bound",)),
    (
        SCHEDULE_EVENT + ".DeadLetterConfig",
        GONE,
        ("{schedule} has no dead letters where it cannot be started",),
    ),
    (
        "{schedule}.Properties.EventInvokeConfig.MaximumRetryAttempts",
        GONE,
        ("running {schedule} is tried again without bound",),
    ),
    (
        "{schedule}.Properties.EventInvokeConfig.MaximumEventAgeInSeconds",
        GONE,
        ("running {schedule} is tried again without bound",),
    ),
    (
        "{schedule}.Properties.EventInvokeConfig.DestinationConfig",
        GONE,
        ("{schedule} has no dead letters where it fails",),
    ),
    (
        "SchedulesDeadLettersPolicy.Properties.PolicyDocument.Statement.1",
        GONE,
        (f"the rule of {SCHEDULES[0].logical} may not write its dead letters",),
    ),
    ("Sweep.Properties.Events.SweepEvent.Properties.State", GONE, ("Sweep runs whether the stack bills or not",)),
    (
        "Rebill.Properties.Events.RebillSqsEventSource.Properties.Enabled",
        True,
        ("Rebill runs whether the stack bills or not",),
    ),
    (VARIABLES + ".BACKROOM_ASK_FIRST", "no", ("{function} charges what the gateway may have charged already",)),
    ("Conditions.Bills", {"Fn::Equals": ["yes", "yes"]}, ("it bills where it should not",)),
    ("Conditions.AsksFirst", {"Fn::Equals": ["yes", "no"]}, ("it is not careful where it should be",)),
    ("VaultTable", GONE, ("a table is missing", *(f"{f.logical} looks for tables by other names" for f in FUNCTIONS))),
    ("{table}.Properties.PointInTimeRecoverySpecification", GONE, ("{table} cannot be restored",)),
    ("{table}.Properties.DeletionProtectionEnabled", False, ("{table} can be deleted",)),
    ("{table}.DeletionPolicy", GONE, ("{table} goes with the stack",)),
    ("{table}.UpdateReplacePolicy", GONE, ("{table} goes when it is replaced",)),
    ("{queue}.DeletionPolicy", GONE, ("{queue} goes with the stack",)),
    ("{dead}.UpdateReplacePolicy", "Delete", ("{dead} goes when it is replaced",)),
    ("{table}.Properties.SSESpecification", GONE, ("{table} is not encrypted under a key of the account",)),
    ("{queue}.Properties.SqsManagedSseEnabled", GONE, ("{queue} is not encrypted",)),
    ("{dead}.Properties.SqsManagedSseEnabled", False, ("{dead} is not encrypted",)),
    ("{queue}Policy", GONE, ("{queue} takes messages without TLS",)),
    ("{dead}Policy.Properties.PolicyDocument.Statement.0", GONE, ("{dead} takes messages without TLS",)),
    (
        "Rebill.Properties.Role.Fn::GetAtt.0",
        "SweepRole",
        ("two functions share a role", OTHER_POLICY, "Rebill reads payment accounts by []"),
    ),
    (
        "RebillRole.Properties.ManagedPolicyArns",
        ["arn:aws:iam::aws:policy/AdministratorAccess"],
        ("RebillRole has policies that others write",),
    ),
    (
        "RebillRole.Properties.Policies",
        [],
        ("RebillRole has not one policy", OTHER_POLICY, "Rebill reads payment accounts by []"),
    ),
    (f"{STATEMENTS}.-2", GONE, (f"Rebill reads payment accounts by {[DECRYPT]}", OTHER_POLICY)),
    (f"{STATEMENTS}.-1", GONE, (f"Rebill reads payment accounts by {[READ]}", OTHER_POLICY)),
    (
        f"{STATEMENTS}.-2.Resource",
        ["*"],
        (
            f"RebillRole allows {[READ]}",
            f"RebillRole allows {[READ]} on more than it names",
            f"Rebill reads payment accounts by {[DECRYPT]}",
            OTHER_POLICY,
        ),
    ),
    (
        f"{STATEMENTS}.-1.Condition.StringLike",
        GONE,
        (
            f"RebillRole allows {[DECRYPT]}",
            f"RebillRole allows {[DECRYPT]} on more than it names",
            f"Rebill reads payment accounts by {[READ]}",
            OTHER_POLICY,
        ),
    ),
    (f"{STATEMENTS}.1.Action", ["dynamodb:*"], ("RebillRole allows all of a service", OTHER_POLICY)),
    (f"{STATEMENTS}.1.Action", ["kms:Decrypt"], ("RebillRole allows ['kms:Decrypt']", OTHER_POLICY)),
    (
        f"{STATEMENTS}.0.Resource",
        ["*"],
        (
            "RebillRole allows ['logs:CreateLogStream', 'logs:PutLogEvents'] on more than it names",
            OTHER_POLICY,
        ),
    ),
    (
        "DeliverRole.Properties.Policies.0.PolicyDocument.Statement.-1.Resource",
        ["*"],
        (
            "DeliverRole allows ['ses:SendEmail', 'ses:SendRawEmail'] on more than it names",
            "Deliver does not have the policy that infra/generate.py writes",
        ),
    ),
    (
        "Relay",
        GONE,
        (
            "the template and infra/generate.py do not have the same functions",
            "Relay does not have the policy that infra/generate.py writes",
        ),
    ),
    ("{function}.Properties.Handler", "chalicelib.handlers.work.rebill", ("{function} would not import app.py",)),
    ("{function}.Properties.Handler", "app.nobody", ("{function} would not import app.py",)),
    ("{function}.Properties.Runtime", "python3.11", ("{function} runs on python3.11",)),
    ("{function}.Properties.MemorySize", 128, ("{function} has less than half a processor",)),
    ("APIHandler.Properties.Timeout", 29, ("APIHandler has 29 seconds",)),
    ("{logs}.Properties.RetentionInDays", GONE, ("{function} logs for ever",)),
    (
        "{function}.Properties.LoggingConfig.LogFormat",
        "Text",
        ("{function} loses what is logged beside the message",),
    ),
    ("{dead}Alarm", GONE, ("nobody hears of {dead}",)),
    ("{dead}Alarm.Properties.AlarmActions", [], ("nobody hears of {dead}",)),
    ("{dead}Alarm.Properties.Threshold", 1, ("nobody hears of {dead}",)),
    ("{consumer}LateAlarm", GONE, ("nobody hears that {queue} stands still",)),
    ("{function}ErrorsAlarm", GONE, ("nobody hears that {function} fails",)),
    ("{function}LoggedErrors", GONE, ("nobody hears what {function} logs as an error",)),
    (
        "LoggedErrorsAlarm",
        GONE,
        tuple(f"nobody hears what {function.logical} logs as an error" for function in FUNCTIONS),
    ),
    ("{schedule}StoppedAlarm", GONE, ("nobody hears that {schedule} does not run",)),
    (
        "{schedule}StoppedAlarm.Properties.TreatMissingData",
        "notBreaching",
        ("nobody hears that {schedule} does not run",),
    ),
    ("ReconcileAllStoppedAlarm.Properties.EvaluationPeriods", 3, ("ReconcileAll is missed too soon or too late",)),
    (
        "ReconcileAllStoppedAlarm.Properties.Period",
        2 * DAY,
        ("CloudWatch has no such period as that of ReconcileAll",),
    ),
    ("APIErrorsAlarm", GONE, ("nobody hears that the API fails",)),
    ("RestAPI.Properties.EndpointConfiguration", "EDGE", ("the API is at the edge",)),
    ("RestAPI.Properties.OpenApiVersion", GONE, ("the API has a second stage",)),
    (
        "RestAPI.Properties.GatewayResponses.DEFAULT_5XX",
        GONE,
        ("API Gateway answers DEFAULT_5XX in another form than ours",),
    ),
    (
        "RestAPI.Properties.GatewayResponses.MISSING_AUTHENTICATION_TOKEN.ResponseTemplates",
        {"application/json": '{"error": {"message": "no"}}'},
        ("API Gateway answers MISSING_AUTHENTICATION_TOKEN in another form than ours",),
    ),
)


def with_a_hole(template: Template, path: str, value: Any) -> Template:
    holed = copy.deepcopy(template)
    *way, last = path.split(".")
    part: Any = holed if way[:1] == ["Conditions"] else holed["Resources"]
    for name in way:
        part = part[_place(part, name)]
    if value is GONE:
        del part[_place(part, last)]
    else:
        part[_place(part, last)] = value
    return holed


def _place(part: Any, name: str) -> int | str:
    return int(name) if isinstance(part, list) else name


def everywhere(path: str, said: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """The hole in each place of its kind, and what must be said of it there."""
    kind = re.search(r"{(\w+)}", path)
    for names in EACH[kind[1]] if kind else [{}]:
        yield path.format_map(names), [message.format_map(names) for message in said]


@pytest.fixture(scope="module")
def template(packages: dict[str, Package]) -> Template:
    """What CloudFormation gets."""
    read: Template = json.loads(packages["arm64"].template.read_text())
    return read


def test_the_template_keeps_its_promises(template: Template) -> None:
    assert violations(template) == []


@pytest.mark.parametrize(("path", "value", "said"), HOLES, ids=[hole[0] for hole in HOLES])
def test_a_promise_that_is_taken_out_is_missed_and_no_other(
    template: Template, path: str, value: Any, said: tuple[str, ...]
) -> None:
    for place, messages in everywhere(path, said):
        assert sorted(violations(with_a_hole(template, place, value))) == sorted(messages), place


def test_whatever_a_check_can_say_is_said_of_a_hole() -> None:
    """So no promise is checked by a line that never speaks."""
    heard = {message for path, _, said in HOLES for _, messages in everywhere(path, said) for message in messages}
    lines = [node.value for node in ast.walk(ast.parse(Path(__file__).read_text())) if isinstance(node, ast.Yield)]
    sayings = [_pattern(line) for line in lines if isinstance(line, ast.JoinedStr | ast.Constant)]
    assert len(sayings) > 40
    assert [saying for saying in sayings if not any(re.fullmatch(saying, message) for message in heard)] == []


def _pattern(line: ast.JoinedStr | ast.Constant) -> str:
    parts = line.values if isinstance(line, ast.JoinedStr) else [line]
    return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts)


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


# --- with which Python ------------------------------------------------------------------------------------------------


@pytest.fixture
def pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which no Python stands but those that a test puts into this folder, pyenv's."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    return tmp_path / "versions"


def stands(python: Path, script: str) -> Path:
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return python


def test_the_newest_python_that_lambda_has_packs(pythons: Path) -> None:
    for version in ("3.11.7", "3.12.1", "3.13.2", "3.13.10", "3.14.0"):
        stands(pythons / version / "bin" / "python", f"echo {version.rpartition('.')[0]}")
    assert package.find_python() == Python(pythons / "3.13.10" / "bin" / "python", "3.13")


def test_a_python_that_does_not_start_is_passed_by(pythons: Path) -> None:
    stands(pythons / "3.13.0" / "bin" / "python", "exit 1")
    older = stands(pythons / "3.12.1" / "bin" / "python", "echo 3.12")
    assert package.find_python() == Python(older, "3.12")


def test_where_there_is_none_packing_says_what_it_needs(
    pythons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stands(pythons / "3.11.7" / "bin" / "python", "echo 3.11")
    assert package.main([str(tmp_path / "out")]) == 1
    assert "Packaging needs one of Python 3.13, 3.12" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


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


def test_what_is_left_out_is_missed_by_nobody(lambda_python: Path, unpacked: Path) -> None:
    """Libraries name more than they use; here they do what they are packed for."""
    program = """
from chalicelib.gateways.passwords import Argon2Passwords
from chalicelib.gateways.stripe import _door
import stripe
passwords = Argon2Passwords()
assert passwords.fits(passwords.hash("three words apart"), "three words apart")
assert stripe.StripeClient("sk_test_1", http_client=_door(0.0)).payment_intents
"""
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
        ("stripe-16.1.0.dist-info/METADATA", True),
        ("requests-2.34.2.dist-info/METADATA", False),
        ("_cffi_backend.cpython-313-aarch64-linux-gnu.so", True),
        ("cffi/api.py", False),
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


def test_a_cold_start_calls_little_more_than_that_of_a_bare_handler(
    runs_here: Package, lambda_python: Path, tmp_path: Path
) -> None:
    """The app alone, and the app with its DynamoDB client, beside a handler that imports boto3 and makes a client."""
    found = cold.counted(runs_here, lambda_python, tmp_path)
    assert found.ratio("imported") <= cold.BUDGET
    assert found.ratio("ready") <= cold.READY_BUDGET


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
    assert f"{len(FUNCTIONS)} functions" in told
