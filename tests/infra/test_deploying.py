"""docs/deploying.md says nothing that is not so: its commands exist, with their options, in the AWS CLI's own models;
its parameters, queues, tables, alarms and variables in the template; its rules in the code."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.model import ListShape, OperationModel, Shape, StructureShape
from botocore.session import get_session

import app  # noqa: F401  # declares the routes
from chalicelib.config import QUEUES
from chalicelib.domain.payments import LEASE_SECONDS
from chalicelib.handlers.http import ROUTES
from chalicelib.stores.tables import TABLES
from infra import shop
from infra.generate import (
    API_STAGE,
    DEAD_RETENTION_SECONDS,
    FUNCTIONS,
    LOG_DAYS,
    PREFIX,
    SCHEDULES,
    functions_template,
    merged,
)

ROOT = Path(__file__).parent.parent.parent
GUIDE = (ROOT / "docs" / "deploying.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
# What the CLI adds to the services' own operations, and the options of these that the guide may use.
CUSTOM = {
    ("cloudformation", "package"): {"template-file", "s3-bucket", "s3-prefix", "use-json", "output-template-file"},
    ("cloudformation", "deploy"): {
        "template-file",
        "s3-bucket",
        "s3-prefix",
        "stack-name",
        "capabilities",
        "disable-rollback",
        "parameter-overrides",
    },
    ("s3", "mb"): set(),
    ("s3", "cp"): set(),
    ("s3", "ls"): set(),
    ("s3", "rb"): {"force"},
}
EVERYWHERE = {"query", "output"}
# What the CLI calls otherwise than the service does, since it has an option of that name for itself.
RENAMED = {("sns", "Subscribe", "endpoint"): "notification-endpoint"}
TEMPLATE = merged()


# --- reading the guide's commands -------------------------------------------------------------------------------------


def commands() -> Iterator[list[str]]:
    """Every `aws` command of the guide, also one within another's `$(…)`, as its words."""
    for block in [*BLOCKS, *re.findall(r"`(aws [^`]+)`", GUIDE)]:
        text = block.replace("\\\n", " ")
        for start in (found.start() for found in re.finditer(r"\baws (?=[a-z0-9]+ )", text)):
            yield shlex.split(_one(text[start:]))


def _one(text: str) -> str:
    """The command that the text begins with. What it asks others for stands there as VALUE."""
    kept, depth, quote = [], 0, ""
    for before, letter in pairwise(" " + text):
        if depth:
            depth += (letter == "(") - (letter == ")")
            continue
        if quote != "'" and before == "$" and letter == "(":
            kept[-1] = "VALUE"
            depth = 1
            continue
        if not quote and letter in "\n;|&)":
            break
        if letter in "'\"" and quote in ("", letter):
            quote = "" if quote else letter
        kept.append(letter)
    return "".join(kept)


COMMANDS = [command for command in commands() if "…" not in command]


def options(words: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            found[word[2:]] = values = []
        elif found:
            values.append(word)
    return found


@lru_cache(maxsize=32)
def model(service: str) -> Any:
    return get_session().get_service_model(service)


def operation(service: str, name: str) -> OperationModel | None:
    names = {xform_name(known, "-"): known for known in model(service).operation_names}
    return model(service).operation_model(names[name]) if name in names else None


# --- commands ---------------------------------------------------------------------------------------------------------


def test_the_guide_has_commands() -> None:
    assert len(COMMANDS) > 50
    assert {"acm", "apigateway", "cloudformation", "dynamodb", "lambda", "sesv2", "sns", "sqs", "ssm"} <= {
        command[1] for command in COMMANDS
    }


@pytest.mark.parametrize("block", BLOCKS)
def test_a_shell_can_read_it(block: str) -> None:
    done = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_cli_has_the_command_with_its_options(command: list[str]) -> None:
    _, service, name, *words = command
    asked = options(words)
    if name == "wait":
        waiters = get_session().create_client(service, region_name="us-east-1").waiter_names
        assert words[0].replace("-", "_") in waiters
        return
    known = CUSTOM.get((service, name))
    if known is not None:
        assert set(asked) <= known
        return
    found = operation(service, name)
    assert found is not None, f"aws {service} has no {name}"
    assert _problems(found, asked) == []


def _problems(found: OperationModel, asked: dict[str, list[str]]) -> list[str]:
    shape = found.input_shape
    assert shape is not None or not asked
    told = {name: xform_name(name, "-") for name in (shape.members if shape else {})}
    service = found.service_model.service_name
    told = {name: RENAMED.get((service, found.name, option), option) for name, option in told.items()}
    members = {told[name]: member for name, member in (shape.members if shape else {}).items()}
    needed = [told[name] for name in (shape.required_members if shape else [])]
    problems = [f"--{name} is missing" for name in needed if name not in asked]
    for option, values in asked.items():
        if option in EVERYWHERE:
            continue
        switched = members.get(option.removeprefix("no-"))
        if switched is not None and switched.type_name == "boolean":
            problems += [f"--{option} takes no value"] if values else []
        elif option not in members:
            problems.append(f"there is no --{option}")
        elif not values:
            problems.append(f"--{option} lacks its value")
        else:
            problems += [f"--{option}: {problem}" for value in values for problem in _wrong(members[option], value)]
    return problems


def _wrong(shape: Shape, value: str) -> list[str]:
    """What is wrong with a value: no such word, no such part. JSON, files and what others answer is taken as it is."""
    if value.startswith(("{", "file://", "$")) or "VALUE" in value:
        return []
    inner = shape.member if isinstance(shape, ListShape) else shape
    if isinstance(inner, StructureShape):
        pairs = [part.partition("=") for part in value.split(",")]
        return [f"has no {name}" for name, equals, _ in pairs if not equals or name not in inner.members]
    words = list(getattr(inner, "enum", ()))
    return [f"{value} is none of {words}"] if words and value not in words else []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("aws dynamodb drop-table --table-name x", None),
        ("aws dynamodb delete-table", "--table-name is missing"),
        ("aws dynamodb delete-table --table-name x --force", "there is no --force"),
        ("aws dynamodb delete-table --table-name", "--table-name lacks its value"),
        ("aws dynamodb update-table --table-name x --deletion-protection-enabled true", "takes no value"),
        ("aws sesv2 put-account-suppression-attributes --suppressed-reasons SPAM", "SPAM is none of"),
        ("aws dynamodb update-time-to-live --table-name x --time-to-live-specification On=true", "has no On"),
    ],
)
def test_a_wrong_command_is_noticed(text: str, problem: str | None) -> None:
    _, service, name, *words = shlex.split(text)
    found = operation(service, name)
    if problem is None:
        assert found is None
        return
    assert found is not None
    assert problem in ", ".join(_problems(found, options(words)))


def test_a_command_within_another_is_read_by_itself() -> None:
    nested = "aws a b --c $(aws d e --f $(resource X) --g h) --i 'j | k'\naws l m"
    assert _one(nested) == "aws a b --c VALUE --i 'j | k'"
    assert _one(nested[nested.index("aws d") :]) == "aws d e --f VALUE --g h"


def test_our_own_command_takes_what_it_is_given() -> None:
    found = re.findall(r"python -m infra\.shop (.+)", "\n".join(BLOCKS))
    assert len(found) == 4
    for words in found:
        assert shop.parser().parse_args(shlex.split(words)).merchant == "ACME"


def test_make_has_the_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", "\n".join(BLOCKS), re.MULTILINE)) == {"package"} <= targets


# --- names ------------------------------------------------------------------------------------------------------------


def named(kind: str, attribute: str) -> set[str]:
    return {str(r["Properties"][attribute]) for r in TEMPLATE["Resources"].values() if r.get("Type") == f"AWS::{kind}"}


ALARMS = named("CloudWatch::Alarm", "AlarmName")
ALARM_ROWS = re.findall(r"^\| `([a-z0-9*-]+)` \|", GUIDE[GUIDE.index("| alarm |") :].split("\n\n")[0], re.MULTILINE)


def test_parameters_are_the_templates() -> None:
    parameters = functions_template()["Parameters"]
    table = re.findall(r"^\| `(\w+)` \| (?:none|`(\w+)`) \|", GUIDE, re.MULTILINE)
    assert dict(table) == {name: str(parameter.get("Default", "")) for name, parameter in parameters.items()}
    given = re.findall(r"\b(\w+)=(\S+)", " ".join(" ".join(c) for c in COMMANDS if "--parameter-overrides" in c))
    given += re.findall(r"`([A-Z]\w+)=(\w+)`", GUIDE)
    for name, value in given:
        assert value in parameters[name].get("AllowedValues", [value])
    assert {name for name, _ in given} == set(parameters)


def test_what_is_asked_for_by_resource_is_in_the_template() -> None:
    asked = set(re.findall(r"\bresource ([A-Z]\w+)", GUIDE))
    assert asked <= set(TEMPLATE["Resources"])
    assert {"APIHandler", "Alarms", "RestAPI"} <= asked


def test_every_name_with_the_prefix_is_one_of_the_template() -> None:
    known = named("SQS::Queue", "QueueName") | named("DynamoDB::Table", "TableName") | ALARMS
    known |= {group.rpartition("/")[2] for group in named("Logs::LogGroup", "LogGroupName")}
    told = set(re.findall(rf"{PREFIX}[a-z0-9][a-z0-9_-]*", GUIDE)) - {"backroom-code"}
    assert told <= known
    assert all(f"`/aws/lambda/{PREFIX}{function.name}`" in GUIDE for function in FUNCTIONS)


def test_every_alarm_has_its_row_and_every_row_its_alarm() -> None:
    rows = {row: [name for name in ALARMS if fnmatch(name, row)] for row in ALARM_ROWS}
    assert {name for names in rows.values() for name in names} == ALARMS
    assert all(rows.values())


def test_the_picture_shows_what_runs() -> None:
    picture = GUIDE[GUIDE.index("```\nyour storefront") :].split("```")[1]
    assert all(function.logical in picture for function in (*FUNCTIONS[:1], *SCHEDULES))
    assert all(f"{PREFIX}{name}" in picture for name in QUEUES)


def test_variables_and_calls_exist() -> None:
    read = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE))
    assert set(re.findall(r"BACKROOM_[A-Z_]+", GUIDE)) <= read
    paths = {route.path for route in ROUTES}
    assert set(re.findall(r"/rest/v2/[a-z_./]+[a-z_]", GUIDE)) <= paths
    assert set(re.findall(r"`(?:GET|POST|PUT) (/[a-z_/]+)`", GUIDE)) <= paths
    (events,) = set(re.findall(r"https://api.example.com(/gateways/[A-Za-z/]+)", GUIDE))
    assert any(re.fullmatch(re.sub(r"{\w+}", "[A-Za-z]+", path), events) for path in paths)
    assert f"--stage {API_STAGE}" in GUIDE


# --- rules ------------------------------------------------------------------------------------------------------------


def test_every_table_is_restored_with_the_others_by_itself_or_never() -> None:
    """Whoever adds a table says what becomes of it when others go back in time."""
    (together,) = re.findall(r"^TABLES='([a-z_ ]+)'$", GUIDE, re.MULTILINE)
    (never,) = re.findall(r"Never put back ([^.]+)\.", GUIDE)
    alone = {"customers", "configuration"}
    assert all(f"Add {first} or {second}" in GUIDE for first, second in [("customers", "configuration")])
    assert {*together.split(), *re.findall(r"`(\w+)`", never), *alone} == {table.name for table in TABLES}


def test_limits_are_those_of_the_code() -> None:
    assert f"kept {LOG_DAYS} days" in GUIDE
    assert f"stay {DEAD_RETENTION_SECONDS // 86400} days" in GUIDE
    assert "wait seven minutes" in GUIDE
    assert LEASE_SECONDS < 7 * 60


def test_an_account_that_is_large_enough_by_the_guide_can_reserve() -> None:
    """Lambda keeps a hundred for functions that reserve nothing."""
    (least,) = map(int, re.findall(r"Below (\d+), add `ReserveConcurrency=no`", GUIDE))
    assert sum(function.at_once for function in FUNCTIONS) + 100 <= least
    assert f"fewer than {least} functions" in functions_template()["Parameters"]["ReserveConcurrency"]["Description"]
