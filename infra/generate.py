"""Generated files, made from their one description: `python -m infra.generate`, and `--check` that they are fresh."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from chalicelib.config import QUEUES
from chalicelib.domain.transfers import PASSING_DAYS
from chalicelib.gateways.accounts import parameter_path
from chalicelib.gateways.files import KEPT, PASSING
from chalicelib.gateways.queues import DEAD, MAXIMUM_RECEIVES, late_seconds, visibility_seconds
from chalicelib.stores.tables import BY_DUE, PK, SK, TABLES, Index, Table
from chalicelib.wiring import FUNCTION_SECONDS

HERE = Path(__file__).parent
RESOURCES = HERE / "resources.json"
FUNCTIONS_FILE = HERE / "functions.json"
API_PAGE = HERE.parent / "docs" / "api.md"
CHALICE = HERE.parent / ".chalice"
APP = "backroom"
# Chalice's name for the one set of settings that is packaged.
STAGE = "dev"
API_STAGE = "api"
ARCHITECTURE = "arm64"
# Every resource of a stage starts with this; a second stage in the same account takes another stack and prefix.
PREFIX = "backroom-"
# Messages wait four days for a queue that stands still; dead letters fourteen, the most that SQS keeps.
RETENTION_SECONDS = 4 * 24 * 3600
DEAD_RETENTION_SECONDS = 14 * 24 * 3600
# Where errors in the logs are counted; one stage of a region, as all that is named.
LOG_METRICS = "Backroom"
# A quarter: a chargeback asks for what happened eight weeks ago.
LOG_DAYS = 90
# Answers of so many bytes are packed (gzip) where the client takes that; below it the packing costs more than it saves.
PACKED_BYTES = 1024
# What a caller of no path of ours reads; the embedded engine names the path, API Gateway cannot.
NOTHING_HERE = "There is nothing at this path."
# Half a processor; a search through 100,000 list rows holds them in memory.
WORKER_MEGABYTES = 512
API_MEGABYTES = 1024
# API Gateway stops waiting after 29 seconds. The function behind it goes on, as long as any worker: a charge takes 20
# seconds at worst and its recording 10 more, and a function that has less time left than that does not begin one.
SECONDS = int(FUNCTION_SECONDS)
# So many payments, and so many posts to receivers, at once: what the smallest payment gateway account takes.
WORKERS = 20
# A whole processor: parsing a workbook of 100,000 rows takes it for a minute, and nothing of that can be cut in two.
FILES_MEGABYTES = 1769
FILES_SECONDS = visibility_seconds("files") // 6
# An Excel file and its sheet, unpacked, beside each other.
FILES_DISK_MEGABYTES = 2048
# Walks past what gateways took are in no hurry, and a gateway takes few lists beside its charges; SQS takes no less.
WALKERS = 2
# A schedule's run that takes longer than its interval meets the next one; a third would only wait for nothing.
SWEEPERS = 2
# A run of a schedule that could not be started or that failed is tried once more; the next one does the same work.
SCHEDULE_RETRIES = 1
# EventBridge and Lambda take no less than this as the age at which an event is given up. What has failed for longer
# than the other is a person's to see to, however seldom the schedule comes.
SHORTEST_AGE_SECONDS, LONGEST_AGE_SECONDS = 60, 300
DAY_SECONDS = 24 * 3600
# A schedule that has not run for three of its intervals has stopped. One that runs daily is missed after thirty hours,
# in pieces of six: no period of CloudWatch's is longer than a day.
STOPPED_INTERVALS = 3
STOPPED_DAILY = (6 * 3600, 5)


@dataclass(frozen=True, slots=True)
class Function:
    """One function of app.py: its bounds, and the only things that its role may touch.

    ``tables``: the words of ACTIONS for each table. ``every_seconds``: of a schedule. ``at_once``: its reserved
    concurrency; none shares what the account has left. ``charges``: it reads the merchants' payment accounts.
    ``bills``: it stands still while the stack does not bill. ``files``: it puts, gets and deletes private files.
    ``watches``: it looks at how full the queues are.
    """

    name: str
    megabytes: int
    tables: Mapping[str, str]
    sends: tuple[str, ...] = ()
    consumes: str = ""
    every_seconds: int = 0
    at_once: int = 0
    mails: bool = False
    charges: bool = False
    bills: bool = False
    files: bool = False
    watches: bool = False
    seconds: int = SECONDS
    disk_megabytes: int = 0

    @property
    def logical(self) -> str:
        """What Chalice calls it in the template."""
        return "APIHandler" if self.name == "api_handler" else logical(self.name)


ACTIONS = {
    "get": ("dynamodb:GetItem", "dynamodb:BatchGetItem"),
    "query": ("dynamodb:Query",),
    "put": ("dynamodb:PutItem",),
    "update": ("dynamodb:UpdateItem",),
    "delete": ("dynamodb:DeleteItem",),
    "check": ("dynamodb:ConditionCheckItem",),
}
# The word for the due index, which is a resource of its own.
DUE = "due"

FUNCTIONS = (
    Function(
        "api_handler",
        API_MEGABYTES,
        {
            "configuration": "get query put update delete",
            "customers": "get put delete check",
            "auto_orders": "get query put update due",
            "orders": "get query put update",
            "events": "get put update due",
            "deliveries": "get query put delete",
            "documents": "get query put update delete",
            "ledgers": "get query put update",
            "lists": "get query put update delete check",
            "audit": "put query",
        },
        sends=("deliver", "rebill", "reconcile", "files"),
        charges=True,
        files=True,
        watches=True,
    ),
    Function(
        "sweep",
        WORKER_MEGABYTES,
        {"auto_orders": "due update", "orders": "due update", "documents": "due update", "ledgers": "due update"},
        sends=("rebill",),
        every_seconds=300,
        at_once=SWEEPERS,
        bills=True,
    ),
    Function(
        "relay",
        WORKER_MEGABYTES,
        {
            "configuration": "get query put",
            "customers": "get put delete",
            "auto_orders": "get query put update",
            "orders": "get query put",
            "events": "get due put update",
            "deliveries": "get due query put update",
            "ledgers": "get query put update",
            "lists": "get put update delete check",
        },
        sends=("deliver",),
        files=True,
        every_seconds=60,
        at_once=SWEEPERS,
    ),
    Function(
        "reconcile_all",
        WORKER_MEGABYTES,
        {"configuration": "query"},
        sends=("reconcile",),
        every_seconds=DAY_SECONDS,
        at_once=SWEEPERS,
    ),
    Function(
        "rebill",
        WORKER_MEGABYTES,
        {
            "configuration": "get",
            "customers": "get",
            "auto_orders": "get query put update",
            "orders": "get query put update",
            "events": "put",
            "lists": "get",
            "deliveries": "put",
            "documents": "get query put update",
            "ledgers": "get put update",
        },
        consumes="rebill",
        at_once=WORKERS,
        charges=True,
        bills=True,
    ),
    Function(
        "deliver",
        WORKER_MEGABYTES,
        {
            "configuration": "get put",
            "customers": "get",
            "auto_orders": "get",
            "orders": "get",
            "deliveries": "get query put delete",
            "documents": "put",
        },
        consumes="deliver",
        at_once=WORKERS,
        mails=True,
    ),
    Function(
        "reconcile",
        WORKER_MEGABYTES,
        {
            "configuration": "get",
            "customers": "get",
            "auto_orders": "get query put update",
            "orders": "get query put update",
            "events": "get put",
            "lists": "get",
            "documents": "get query put",
            "ledgers": "get put update",
        },
        sends=("reconcile",),
        consumes="reconcile",
        at_once=WALKERS,
        charges=True,
    ),
    Function(
        "files",
        FILES_MEGABYTES,
        {
            "configuration": "get query",
            "customers": "get put delete check",
            "auto_orders": "get query",
            "events": "get put update",
            "deliveries": "put",
            "documents": "get put",
            "lists": "get query put delete check",
        },
        sends=("files",),
        consumes="files",
        at_once=WALKERS,
        files=True,
        seconds=FILES_SECONDS,
        disk_megabytes=FILES_DISK_MEGABYTES,
    ),
)
SCHEDULES = tuple(function for function in FUNCTIONS if function.every_seconds)
CONSUMERS = tuple(function for function in FUNCTIONS if function.consumes)


def logical(name: str) -> str:
    return "".join(part.title() for part in name.replace("-", "_").split("_"))


def table_resource(table: Table) -> dict[str, Any]:
    """One DynamoDB table: on demand, restorable, encrypted, kept when the stack goes."""
    keys = {PK, SK} | {key for index in table.indexes for key in (index.hash, index.range)}
    properties: dict[str, Any] = {
        "TableName": PREFIX + table.name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in sorted(keys)],
        "KeySchema": [{"AttributeName": PK, "KeyType": "HASH"}, {"AttributeName": SK, "KeyType": "RANGE"}],
        "DeletionProtectionEnabled": True,
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "SSESpecification": {"SSEEnabled": True},
    }
    if table.indexes:
        properties["GlobalSecondaryIndexes"] = [index_property(index) for index in table.indexes]
    if table.expires:
        properties["TimeToLiveSpecification"] = {"AttributeName": table.expires, "Enabled": True}
    return {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": properties,
    }


def index_property(index: Index) -> dict[str, Any]:
    return {
        "IndexName": index.name,
        "KeySchema": [
            {"AttributeName": index.hash, "KeyType": "HASH"},
            {"AttributeName": index.range, "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }


def dead_letters(name: str, *allowed: dict[str, Any]) -> dict[str, Any]:
    """The dead letters of a queue or of the schedules, and who may reach them."""
    dead = logical(name) + "DeadLetters"
    return {
        dead: {
            "Type": "AWS::SQS::Queue",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "QueueName": f"{PREFIX}{name}{DEAD}",
                "MessageRetentionPeriod": DEAD_RETENTION_SECONDS,
                "SqsManagedSseEnabled": True,
            },
        },
        f"{dead}Policy": queue_policy(dead, *allowed),
    }


def queue_policy(queue: str, *allowed: dict[str, Any]) -> dict[str, Any]:
    """Nobody reaches the queue without TLS; a queue has one policy, so what else is allowed stands in it too."""
    refused = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": arn(queue),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    document = {"Version": "2012-10-17", "Statement": [refused, *allowed]}
    return {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": queue}], "PolicyDocument": document}}


def arn(name: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [name, "Arn"]}


def queue_resources(name: str) -> dict[str, Any]:
    """One queue and its dead letters."""
    queue = logical(name) + "Queue"
    return {
        **dead_letters(name),
        queue: {
            "Type": "AWS::SQS::Queue",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "QueueName": PREFIX + name,
                "MessageRetentionPeriod": RETENTION_SECONDS,
                "VisibilityTimeout": visibility_seconds(name),
                "SqsManagedSseEnabled": True,
                "RedrivePolicy": {
                    "deadLetterTargetArn": arn(logical(name) + "DeadLetters"),
                    "maxReceiveCount": MAXIMUM_RECEIVES,
                },
            },
        },
        f"{queue}Policy": queue_policy(queue),
    }


def bucket_resources() -> dict[str, Any]:
    """The bucket of private files: nobody reads it but by a link that was signed for one file. It has no name of ours,
    since names of buckets are the whole world's."""
    bucket: dict[str, Any] = {
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "LifecycleConfiguration": {
                "Rules": [
                    {"Id": "passing", "Status": "Enabled", "Prefix": PASSING, "ExpirationInDays": PASSING_DAYS},
                    {
                        "Id": "uploads-that-broke-off",
                        "Status": "Enabled",
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                    },
                ]
            },
            # A page posts a file with a form that was signed for it; which page that is says nothing.
            "CorsConfiguration": {
                "CorsRules": [{"AllowedMethods": ["POST"], "AllowedOrigins": ["*"], "MaxAge": 600}],
            },
        },
    }
    refused = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn("FilesBucket"), {"Fn::Sub": "${FilesBucket.Arn}/*"}],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    document = {"Version": "2012-10-17", "Statement": [refused]}
    properties = {"Bucket": {"Ref": "FilesBucket"}, "PolicyDocument": document}
    return {"FilesBucket": bucket, "FilesBucketPolicy": {"Type": "AWS::S3::BucketPolicy", "Properties": properties}}


def template() -> dict[str, Any]:
    resources: dict[str, Any] = {logical(table.name) + "Table": table_resource(table) for table in TABLES}
    resources |= bucket_resources()
    for name in QUEUES:
        resources |= queue_resources(name)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Backroom: what it keeps. Generated from chalicelib/stores/tables.py by infra/generate.py.",
        "Resources": resources,
    }


# --- how functions run ------------------------------------------------------------------------------------------------


def functions_template() -> dict[str, Any]:
    """What is laid over the functions that Chalice writes into the template, and what watches them."""
    resources: dict[str, Any] = {
        "RestAPI": {
            "Properties": {
                "EndpointConfiguration": {"Type": "REGIONAL"},
                # Without it a second stage, named Stage, is made beside ours.
                "OpenApiVersion": "2.0",
                "GatewayResponses": gateway_responses(),
            }
        }
    }
    for function in FUNCTIONS:
        resources[function.logical] = function_patch(function)
        resources[log_group(function)] = {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupName": f"/aws/lambda/{PREFIX}{function.name}", "RetentionInDays": LOG_DAYS},
        }
    rules = [f"{function.logical}{function.logical}Event" for function in SCHEDULES]
    resources |= dead_letters("schedules", *(may_be_sent_by(rule, "SchedulesDeadLetters") for rule in rules))
    resources |= dict(alarms()) | dict(logged_errors())
    return {
        "Description": "Backroom: what it keeps, and the functions that run it.",
        "Parameters": {
            "PublicUrl": {
                "Type": "String",
                "AllowedPattern": "https://.+[^/]",
                "Description": "Where the shop is reached from outside, without a slash at its end.",
            },
            "ReserveConcurrency": {
                "Type": "String",
                "AllowedValues": ["yes", "no"],
                "Default": "yes",
                "Description": "Keeps a share of the account's concurrency for the workers, so that a rush at the API "
                "holds up no billing. An account that may run fewer than 150 functions at once must say no.",
            },
            "Billing": {
                "Type": "String",
                "AllowedValues": ["yes", "careful", "no"],
                "Default": "yes",
                "Description": "no: nothing is charged on a schedule and no open payment is looked at; what falls due "
                "meanwhile is billed later. careful: before each charge the gateway is asked whether it knows it "
                "already, as is needed for a month after tables were restored.",
            },
        },
        "Conditions": {
            "Reserves": {"Fn::Equals": [{"Ref": "ReserveConcurrency"}, "yes"]},
            "Bills": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Billing"}, "no"]}]},
            "AsksFirst": {"Fn::Equals": [{"Ref": "Billing"}, "careful"]},
        },
        "Resources": resources,
    }


def gateway_responses() -> dict[str, Any]:
    """What API Gateway answers where none of our functions runs, in the envelope of every other error: clients read
    one form of error, whoever it is from. Its variables: ``error.messageString`` is JSON, quotes and all."""
    answered = {
        name: _gateway_response("$context.error.messageString", "$context.error.responseType", "context.error.message")
        for name in ("DEFAULT_4XX", "DEFAULT_5XX")
    }
    # So it calls a path, or a method of a path, that there is not.
    nothing = _gateway_response(f'"{NOTHING_HERE}"', "404", f"'{NOTHING_HERE}'")
    return answered | {"MISSING_AUTHENTICATION_TOKEN": nothing | {"StatusCode": "404"}}


def _gateway_response(message: str, code: str, header: str) -> dict[str, Any]:
    error = f'{{"developer_message": {message}, "user_message": {message}, "error_code": "{code}"}}'
    return {
        "ResponseParameters": {"Headers": {"X-UltraCart-Request-Id": "context.requestId", "UC-REST-ERROR": header}},
        "ResponseTemplates": {"application/json": f'{{"error": {error}, "metadata": {{}}, "problems": []}}'},
    }


def log_group(function: Function) -> str:
    return logical(function.name) + "Logs"


def function_patch(function: Function) -> dict[str, Any]:
    """Chalice has no words for most of this, and the rest stands better in one place."""
    properties: dict[str, Any] = {
        "Environment": {
            "Variables": {
                "BACKROOM_ENGINE": "aws",
                "BACKROOM_PREFIX": PREFIX,
                "BACKROOM_BUCKET": {"Ref": "FilesBucket"},
                "BACKROOM_PUBLIC_URL": {"Ref": "PublicUrl"},
                "BACKROOM_ASK_FIRST": {"Fn::If": ["AsksFirst", "yes", "no"]},
            }
        },
        "LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "LogGroup": {"Ref": log_group(function)}},
    }
    if function.disk_megabytes:
        properties["EphemeralStorage"] = {"Size": function.disk_megabytes}
    if function.at_once:
        properties["ReservedConcurrentExecutions"] = {"Fn::If": ["Reserves", function.at_once, {"Ref": "AWS::NoValue"}]}
    if function.every_seconds:
        properties |= schedule_properties(function)
    if not function.consumes:
        return {"Properties": properties}
    event: dict[str, Any] = {
        # Without it a message that failed is deleted with the others of its batch.
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": function.at_once},
    }
    if function.bills:
        event["Enabled"] = {"Fn::If": ["Bills", True, False]}
    properties["Events"] = {f"{function.logical}SqsEventSource": {"Properties": event}}
    return {"DependsOn": [logical(function.consumes) + "Queue"], "Properties": properties}


def schedule_properties(function: Function) -> dict[str, Any]:
    """An event that cannot be delivered, or whose run fails, is a dead letter soon, before the next but one comes."""
    age = min(max(SHORTEST_AGE_SECONDS, function.every_seconds), LONGEST_AGE_SECONDS)
    dead = arn("SchedulesDeadLetters")
    bounds = {"MaximumEventAgeInSeconds": age, "MaximumRetryAttempts": SCHEDULE_RETRIES}
    event: dict[str, Any] = {"RetryPolicy": dict(bounds), "DeadLetterConfig": {"Arn": dead}}
    if function.bills:
        event["State"] = {"Fn::If": ["Bills", "ENABLED", "DISABLED"]}
    return {
        "Events": {f"{function.logical}Event": {"Properties": event}},
        "EventInvokeConfig": bounds | {"DestinationConfig": {"OnFailure": {"Type": "SQS", "Destination": dead}}},
    }


def may_be_sent_by(rule: str, queue: str) -> dict[str, Any]:
    return {
        "Sid": rule,
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn(queue),
        "Condition": {"ArnEquals": {"aws:SourceArn": arn(rule)}},
    }


def policy(function: Function) -> dict[str, Any]:
    """All that the role of a function allows. The names are those of resources of the same template."""
    statements = [statement(["logs:CreateLogStream", "logs:PutLogEvents"], [arn(log_group(function))])]
    for word, actions in ACTIONS.items():
        tables = [name for name, words in function.tables.items() if word in words.split()]
        if tables:
            statements.append(statement(list(actions), [arn(logical(name) + "Table") for name in tables]))
    due = [name for name, words in function.tables.items() if DUE in words.split()]
    if due:
        index = "${%sTable.Arn}/index/" + BY_DUE.name
        statements.append(statement(["dynamodb:Query"], [{"Fn::Sub": index % logical(name)} for name in due]))
    if function.sends:
        sending = ["sqs:GetQueueUrl", "sqs:SendMessage"]
        statements.append(statement(sending, [arn(logical(name) + "Queue") for name in function.sends]))
    if function.consumes:
        consuming = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
        statements.append(statement(consuming, [arn(logical(function.consumes) + "Queue")]))
    if function.watches:
        statements += how_full_queues_are()
    if function.every_seconds:
        statements.append(statement(["sqs:SendMessage"], [arn("SchedulesDeadLetters")]))
    if function.mails:
        # Which addresses a merchant sends from is the merchant's, so every verified one of this account and region.
        statements.append(statement(["ses:SendEmail", "ses:SendRawEmail"], [here("ses", "identity/*")]))
    if function.files:
        statements += private_files()
    if function.charges:
        statements += accounts_of_merchants()
    return {"Version": "2012-10-17", "Statement": statements}


def how_full_queues_are() -> list[dict[str, Any]]:
    """Numbers alone, of the queues and their dead letters. How old a message is only CloudWatch says, which knows no
    resources: its one action reads any metric of the account, and nothing but metrics."""
    queues = [arn(logical(name) + kind) for name in QUEUES for kind in ("Queue", "DeadLetters")]
    reading = statement(["sqs:GetQueueAttributes", "sqs:GetQueueUrl"], queues)
    return [reading, statement(["cloudwatch:GetMetricData"], ["*"])]


def statement(actions: list[str], resources: list[Any]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


def private_files() -> list[dict[str, Any]]:
    """What is signed for somebody else may do no more than the role that signed it. Without the list S3 says of a file
    that is not there that it may not be read."""
    actions = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    areas = [{"Fn::Sub": f"${{FilesBucket.Arn}}/{area}*"} for area in (PASSING, KEPT)]
    return [statement(actions, areas), statement(["s3:ListBucket"], [arn("FilesBucket")])]


def accounts_of_merchants() -> list[dict[str, Any]]:
    """Reading the merchants' payment accounts: the one call by path, and decrypting, by whatever key of the account,
    what Parameter Store keeps under these paths and nothing else."""
    parameters = here("ssm", "parameter" + parameter_path(PREFIX, "*"))
    decrypting = statement(["kms:Decrypt"], [here("kms", "key/*")])
    decrypting["Condition"] = {
        "StringEquals": {"kms:ViaService": {"Fn::Sub": "ssm.${AWS::Region}.amazonaws.com"}},
        "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": {"Fn::Sub": parameters["Fn::Sub"] + "/*"}},
    }
    return [statement(["ssm:GetParametersByPath"], [parameters]), decrypting]


def here(service: str, resource: str) -> dict[str, Any]:
    """What is named in this account and region."""
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}"}


def alarms() -> Iterator[tuple[str, dict[str, Any]]]:
    """Who subscribes to the topic hears of what needs a person."""
    yield "Alarms", {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": f"{PREFIX}alarms"}}
    for name in (*QUEUES, "schedules"):
        yield (
            logical(name) + "DeadLettersAlarm",
            alarm(
                f"{name}-dead-letters",
                "A message failed five times, or a schedule's run twice: see why, then send it again.",
                ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
                {"QueueName": {"Fn::GetAtt": [logical(name) + "DeadLetters", "QueueName"]}},
            ),
        )
    for name in QUEUES:
        yield (
            logical(name) + "LateAlarm",
            alarm(
                f"{name}-late",
                f"What is due waits longer than {late_seconds(name) // 60} minutes.",
                ("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum"),
                {"QueueName": {"Fn::GetAtt": [logical(name) + "Queue", "QueueName"]}},
                above=late_seconds(name),
            ),
        )
    for function in SCHEDULES:
        seconds, periods = (STOPPED_INTERVALS * max(function.every_seconds, 100), 1)
        if function.every_seconds == DAY_SECONDS:
            seconds, periods = STOPPED_DAILY
        yield (
            function.logical + "StoppedAlarm",
            alarm(
                f"{function.name}-stopped",
                "The schedule does not run: nothing is billed, told or reconciled. (So it is until its first run.)",
                ("AWS/Lambda", "Invocations", "Sum"),
                {"FunctionName": {"Ref": function.logical}},
                below=1,
                seconds=seconds,
                periods=periods,
                missing="breaching",
            ),
        )
    for function in FUNCTIONS:
        yield (
            function.logical + "ErrorsAlarm",
            alarm(
                f"{function.name}-errors",
                "The function failed as a whole: it timed out, ran out of memory or could not start.",
                ("AWS/Lambda", "Errors", "Sum"),
                {"FunctionName": {"Ref": function.logical}},
            ),
        )
    yield (
        "APIErrorsAlarm",
        alarm(
            "api-5xx",
            "The API answered that it failed.",
            ("AWS/ApiGateway", "5XXError", "Sum"),
            {"ApiName": APP, "Stage": API_STAGE},
        ),
    )


def logged_errors() -> Iterator[tuple[str, dict[str, Any]]]:
    """What goes wrong though no function fails: an event that could not be told, a capture without an order."""
    name = "LoggedErrors"
    for function in FUNCTIONS:
        yield (
            function.logical + name,
            {
                "Type": "AWS::Logs::MetricFilter",
                "Properties": {
                    "LogGroupName": {"Ref": log_group(function)},
                    "FilterPattern": '{ $.level = "ERROR" }',
                    "MetricTransformations": [{"MetricNamespace": LOG_METRICS, "MetricName": name, "MetricValue": "1"}],
                },
            },
        )
    told = "A function wrote an error into its log: read it."
    yield f"{name}Alarm", alarm("logged-errors", told, (LOG_METRICS, name, "Sum"), {})


def alarm(
    name: str,
    description: str,
    metric: tuple[str, str, str],
    dimensions: dict[str, Any],
    *,
    above: int = 0,
    below: int | None = None,
    seconds: int = 300,
    periods: int = 1,
    missing: str = "notBreaching",
) -> dict[str, Any]:
    namespace, metric_name, statistic = metric
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": PREFIX + name,
            "AlarmDescription": description,
            "Namespace": namespace,
            "MetricName": metric_name,
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            "Statistic": statistic,
            "Period": seconds,
            "EvaluationPeriods": periods,
            "ComparisonOperator": "GreaterThanThreshold" if below is None else "LessThanThreshold",
            "Threshold": above if below is None else below,
            "TreatMissingData": missing,
            "AlarmActions": [{"Ref": "Alarms"}],
        },
    }


def merged() -> dict[str, Any]:
    """All that is laid over Chalice's template (it takes one file, and merges dicts key by key)."""
    kept, run = template(), functions_template()
    return run | {"Resources": kept["Resources"] | run["Resources"]}


def chalice_config(architecture: str = ARCHITECTURE) -> dict[str, Any]:
    functions = {
        function.name: {
            "iam_policy_file": policy_file(function),
            "lambda_timeout": function.seconds,
            "lambda_memory_size": function.megabytes,
        }
        for function in FUNCTIONS
    }
    stage = {
        "api_gateway_stage": API_STAGE,
        "autogen_policy": False,
        "minimum_compression_size": PACKED_BYTES,
        "lambda_architecture": architecture,
        "lambda_functions": functions,
    }
    return {"version": "2.0", "app_name": APP, "stages": {STAGE: stage}}


def policy_file(function: Function) -> str:
    return f"policy-{function.name}.json"


def chalice_files(architecture: str = ARCHITECTURE) -> dict[str, str]:
    """What stands in .chalice/."""
    policies = {policy_file(function): text_of(policy(function)) for function in FUNCTIONS}
    return {"config.json": text_of(chalice_config(architecture)), **policies}


# --- pages ------------------------------------------------------------------------------------------------------------


def api_page() -> str:
    """docs/api.md: every call with its scope, every setting with its help, every event."""
    import app  # noqa: F401  # declares the routes
    from chalicelib.domain.events import CATALOGUE
    from chalicelib.domain.settings import AutoOrderProcessing
    from chalicelib.handlers.http import ROUTES

    lines = [
        "# Calls, settings, events",
        "",
        "Made by `python -m infra.generate`. The running shop shows the same with all fields at `/docs`.",
        "",
        "| call | scope | what it does |",
        "|---|---|---|",
    ]
    routes = sorted(ROUTES, key=lambda route: (route.path, route.method))
    lines += [f"| `{r.method} {r.path}` | `{r.scope}` | {r.summary} |" for r in routes]
    lines += ["", "## Auto Order Processing", "", "| setting | what it does |", "|---|---|"]
    for name, field in msgspec.json.schema(AutoOrderProcessing)["$defs"]["AutoOrderProcessing"]["properties"].items():
        told: dict[str, Any] = next((part for part in [field, *field.get("anyOf", [])] if "description" in part), {})
        lines.append(f"| `{name}` | {told.get('description', '')} |")
    lines += ["", "## Events", ""]
    lines += [f"* {category}: " + ", ".join(f"`{name}`" for name in names) for category, names in CATALOGUE.items()]
    return "\n".join(lines) + "\n"


def generated() -> dict[Path, str]:
    """Every generated file and what it must hold."""
    return {
        RESOURCES: text_of(template()),
        FUNCTIONS_FILE: text_of(functions_template()),
        API_PAGE: api_page(),
        **{CHALICE / name: text for name, text in chalice_files().items()},
    }


def text_of(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; say which files are stale")
    check = parser.parse_args().check
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if check:
            print(f"{path.name} is stale: run python -m infra.generate", file=sys.stderr)
        else:
            path.write_text(generated()[path])
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
