"""Generated files, made from their one description: `python -m infra.generate`, and `--check` that they are fresh."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from chalicelib.config import QUEUES
from chalicelib.gateways.queues import MAXIMUM_RECEIVES, VISIBILITY_SECONDS
from chalicelib.stores.tables import PK, SK, TABLES, Index, Table

HERE = Path(__file__).parent
RESOURCES = HERE / "resources.json"
API_PAGE = HERE.parent / "docs" / "api.md"
# Every resource of a stage starts with this; a second stage in the same account takes another stack and prefix.
PREFIX = "backroom-"
# Messages wait four days for a queue that stands still; dead letters fourteen, the most that SQS keeps.
RETENTION_SECONDS = 4 * 24 * 3600
DEAD_RETENTION_SECONDS = 14 * 24 * 3600


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


def queue_resources(name: str) -> dict[str, Any]:
    """One queue and its dead letters."""
    queue, dead = logical(name) + "Queue", logical(name) + "DeadLetters"
    return {
        dead: {
            "Type": "AWS::SQS::Queue",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "QueueName": f"{PREFIX}{name}-dead",
                "MessageRetentionPeriod": DEAD_RETENTION_SECONDS,
                "SqsManagedSseEnabled": True,
            },
        },
        queue: {
            "Type": "AWS::SQS::Queue",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "QueueName": PREFIX + name,
                "MessageRetentionPeriod": RETENTION_SECONDS,
                "VisibilityTimeout": VISIBILITY_SECONDS,
                "SqsManagedSseEnabled": True,
                "RedrivePolicy": {
                    "deadLetterTargetArn": {"Fn::GetAtt": [dead, "Arn"]},
                    "maxReceiveCount": MAXIMUM_RECEIVES,
                },
            },
        },
    }


def template() -> dict[str, Any]:
    resources: dict[str, Any] = {logical(table.name) + "Table": table_resource(table) for table in TABLES}
    for name in QUEUES:
        resources |= queue_resources(name)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Backroom: what it keeps. Generated from chalicelib/stores/tables.py by infra/generate.py.",
        "Resources": resources,
    }


def api_page() -> str:
    """docs/api.md: every call with its scope, every setting with its help, every event."""
    import app  # noqa: F401  # declares the routes
    from chalicelib.domain.events import CATALOGUE
    from chalicelib.domain.settings import UNFINISHED, AutoOrderProcessing
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
        told = next((part for part in [field, *field.get("anyOf", [])] if "description" in part), {})
        later = " *(not available yet)*" if name in UNFINISHED else ""
        lines.append(f"| `{name}` | {told.get('description', '')}{later} |")
    lines += ["", "## Events", ""]
    lines += [f"* {category}: " + ", ".join(f"`{name}`" for name in names) for category, names in CATALOGUE.items()]
    return "\n".join(lines) + "\n"


def generated() -> dict[Path, str]:
    """Every generated file and what it must hold."""
    return {RESOURCES: json.dumps(template(), indent=2) + "\n", API_PAGE: api_page()}


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
