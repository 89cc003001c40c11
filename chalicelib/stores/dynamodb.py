"""The table port on DynamoDB: the production engine. Knows PynamoDB, and is the only module of the stores that does.

All tables share one PynamoDB connection, which holds one botocore client; every PynamoDB Model would make a client
of its own, and a cold start would pay for each of them. Nothing connects before the first call.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from operator import and_
from typing import Any

from botocore.exceptions import ClientError
from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable
from pynamodb.exceptions import PynamoDBException, VerboseClientError
from pynamodb.expressions import condition as expressions
from pynamodb.expressions.operand import Path
from pynamodb.expressions.operand import Value as Operand
from pynamodb.expressions.update import Action

from chalicelib.domain.errors import Contended, Refused
from chalicelib.stores.port import (
    Absent,
    AtLeast,
    Call,
    Change,
    Condition,
    Cursor,
    Equals,
    LessThan,
    Meter,
    OneOf,
    Page,
    Present,
    Put,
    Record,
    Update,
    Value,
)
from chalicelib.stores.rules import check_changes, check_get, check_get_many, check_query, is_empty, key_of, verb_of
from chalicelib.stores.tables import PK, SK, TABLES, Table
from chalicelib.stores.units import refused_units

# DynamoDB answers within milliseconds; who waits longer than this waits for a broken connection.
CONNECT_SECONDS = 1
READ_SECONDS = 3
# botocore's «standard» mode: throttling, time-outs and 5xx, with exponential backoff and full jitter between attempts.
# Three attempts stay far below the 29 seconds that API Gateway waits for us.
ATTEMPTS = 3
# A batch read answers at most 16 MB (a full one of large records takes three rounds), and less under throttling.
BATCH_ROUNDS = 6
BATCH_PAUSE_SECONDS = 0.05

SINGLE = {"put": "PutItem", "update": "UpdateItem", "delete": "DeleteItem"}
PART = {"Put": "Put", "Update": "Update", "Delete": "Delete", "Check": "ConditionCheck"}

REFUSED = "ConditionalCheckFailedException"
CANCELLED = "TransactionCanceledException"
INVALID = "ValidationException"
BUSY = {
    "TransactionConflictException",
    "TransactionInProgressException",
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
}
REASON_REFUSED = "ConditionalCheckFailed"
REASON_INVALID = "ValidationError"
REASONS_BUSY = {"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"}

RawRecord = dict[str, dict[str, Any]]


class DynamoTables:
    """Every table is named ``prefix`` + its name. ``region`` and credentials come from the environment unless given;
    ``endpoint`` is for an engine on this machine."""

    def __init__(
        self,
        prefix: str,
        *,
        region: str | None = None,
        endpoint: str | None = None,
        attempts: int = ATTEMPTS,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.meter = Meter()
        self.connection = Connection(
            region=region,
            host=endpoint,
            connect_timeout_seconds=CONNECT_SECONDS,
            read_timeout_seconds=READ_SECONDS,
            retry_configuration={"mode": "standard", "total_max_attempts": attempts},
        )
        self._prefix = prefix
        self._pause = pause
        self._opening = threading.Lock()
        for table in TABLES:
            self.connection.add_meta_table(MetaTable(described(prefix, table)))

    def create_tables(self) -> None:
        """Creates the tables that are not there, on an engine of this machine, where a table is ready at once.

        The tables of production are CloudFormation's.
        """
        for table in TABLES:
            name = self._prefix + table.name
            try:
                self.connection.dispatch("CreateTable", described(self._prefix, table))
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceInUseException":
                    raise
                continue
            if table.expires:
                self.connection.update_time_to_live(name, table.expires)

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, table: str, pk: str, sk: str, *, consistent: bool = False) -> Record | None:
        check_get(table, pk, sk)
        ask = partial(self.connection.get_item, self._prefix + table, pk, sk, consistent_read=consistent)
        answer = self._read("get", table, ask)
        return _record(answer.get("Item"))

    def get_many(self, table: str, keys: Sequence[tuple[str, str]], *, consistent: bool = False) -> list[Record]:
        check_get_many(table, keys)
        if not keys:
            return []
        name = self._prefix + table
        found: dict[tuple[Value, Value], Record] = {}
        left: Sequence[Any] = [{PK: {"S": pk}, SK: {"S": sk}} for pk, sk in keys]
        for batch in range(BATCH_ROUNDS):
            if batch:
                self._pause(random.uniform(0, BATCH_PAUSE_SECONDS * 2**batch))
            ask = partial(self.connection.batch_get_item, name, left, consistent_read=consistent)
            answer = self._read("get_many", table, ask)
            for raw in answer.get("Responses", {}).get(name, []):
                record = _known(raw)
                found[record[PK], record[SK]] = record
            left = answer.get("UnprocessedKeys", {}).get(name, {}).get("Keys", [])
            if not left:
                return [found[key] for key in keys if key in found]
        raise Contended(f"{len(left)} of {len(keys)} keys of {table} were not answered in {BATCH_ROUNDS} rounds")

    def query(
        self,
        table: str,
        hash_value: str,
        *,
        index: str = "",
        prefix: str = "",
        at_least: str = "",
        less_than: str = "",
        limit: int = 100,
        cursor: Cursor | None = None,
        descending: bool = False,
        consistent: bool = False,
    ) -> Page:
        _, wanted = check_query(
            table,
            hash_value,
            index=index,
            prefix=prefix,
            at_least=at_least,
            less_than=less_than,
            limit=limit,
            cursor=cursor,
            consistent=consistent,
        )
        if is_empty(at_least, less_than):
            return Page([], None)
        range_name = wanted.range if wanted else SK
        ask = partial(
            self.connection.query,
            self._prefix + table,
            hash_value,
            range_key_condition=_range(range_name, prefix, at_least, less_than),
            consistent_read=consistent,
            exclusive_start_key=_raw(cursor) if cursor else None,
            index_name=index or None,
            limit=limit,
            scan_index_forward=not descending,
        )
        answer = self._read("query", table, ask)
        records = [_known(raw) for raw in answer["Items"]]
        ended = _record(answer.get("LastEvaluatedKey"))
        if at_least and less_than:
            # BETWEEN takes its upper bound in; DynamoDB allows one condition on a range key, and no filter on a key.
            inside = [record for record in records if str(record[range_name]) < less_than]
            if len(inside) < len(records) and not descending:
                ended = None
            records = inside
        return Page(records, ended)

    def _read(self, verb: str, table: str, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        answer = self._answer(ask)
        self.meter.count(Call(verb, (table,), reads=_units(answer)))
        return answer

    # --- writing -----------------------------------------------------------------------------------------------------

    def write(self, *changes: Change) -> None:
        check_changes(changes)
        verb, tables = verb_of(changes), tuple(change.table for change in changes)
        in_transaction = verb == "transaction"
        requests = [self._request(change) for change in changes]
        if in_transaction:
            # Not by PynamoDB's transact_write_items: it sends checks, deletes, puts and updates in this order, and the
            # cancellation reasons come in the order sent. One token a call: botocore's retries apply it once.
            parts = [{PART[type(change).__name__]: request} for change, request in zip(changes, requests, strict=True)]
            request = {"TransactItems": parts, "ClientRequestToken": str(uuid.uuid4())}
            ask = partial(self.connection.dispatch, "TransactWriteItems", request)
        else:
            ask = partial(self.connection.dispatch, SINGLE[verb], requests[0])
        try:
            answer = self._answer(ask)
        except Refused as refused:
            # A refusal does not say what it consumed.
            units = refused_units(refused.found, in_transaction=in_transaction)
            self.meter.count(Call(verb, tables, writes=units))
            raise
        self.meter.count(Call(verb, tables, writes=_units(answer)))

    def _request(self, change: Change) -> dict[str, Any]:
        pk, sk = key_of(change)
        conditions = [_expression(condition) for condition in change.when]
        return self.connection.get_operation_kwargs(
            self._prefix + change.table,
            pk,
            sk,
            key="Item" if isinstance(change, Put) else "Key",
            attributes=_raw(change.record) if isinstance(change, Put) else None,
            actions=_actions(change) if isinstance(change, Update) else None,
            condition=reduce(and_, conditions) if conditions else None,
            return_values_on_condition_failure="ALL_OLD" if conditions else None,
        )

    # --- the way there -----------------------------------------------------------------------------------------------

    def _answer(self, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        with self._opening:
            # Making a botocore client is slow and not safe under threads: the first caller makes it for all.
            _ = self.connection.client
        try:
            return ask()
        except (ClientError, PynamoDBException) as error:
            told = _told(error)
            if told is None:
                raise
            raise told from error


def described(prefix: str, table: Table) -> dict[str, Any]:
    """The table as CreateTable takes it."""
    keys = dict.fromkeys([PK, SK, *(name for index in table.indexes for name in (index.hash, index.range))])
    description: dict[str, Any] = {
        "TableName": prefix + table.name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in keys],
        "KeySchema": _key_schema(PK, SK),
    }
    if table.indexes:
        description["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index.name,
                "KeySchema": _key_schema(index.hash, index.range),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for index in table.indexes
        ]
    return description


def _key_schema(hash_name: str, range_name: str) -> list[dict[str, str]]:
    return [{"AttributeName": hash_name, "KeyType": "HASH"}, {"AttributeName": range_name, "KeyType": "RANGE"}]


# --- between the port's words and DynamoDB's; pure -------------------------------------------------------------------


def _raw_value(value: Value) -> dict[str, Any]:
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


def _raw(record: Mapping[str, Value]) -> RawRecord:
    return {name: _raw_value(value) for name, value in record.items()}


def _known(raw: RawRecord) -> Record:
    return {name: value["S"] if "S" in value else int(value["N"]) for name, value in raw.items()}


def _record(raw: RawRecord | None) -> Record | None:
    return _known(raw) if raw else None


def _operand(value: Value) -> Operand:
    return Operand(_raw_value(value))


def _path(name: str) -> Path:
    # As a list: in a text PynamoDB would read a dot as the way into a map.
    return Path([name])


def _expression(condition: Condition) -> expressions.Condition:
    path = _path(condition.name or PK)
    match condition:
        case Absent():
            return path.does_not_exist()
        case Present():
            return path.exists()
        case Equals(value=value):
            return path == _operand(value)
        case OneOf(values=values):
            return path.is_in(*(_operand(value) for value in values))
        case LessThan(value=value):
            return path < _operand(value)
        case AtLeast(value=value):
            return path >= _operand(value)


def _range(name: str, prefix: str, at_least: str, less_than: str) -> expressions.Condition | None:
    path = _path(name)
    if prefix:
        return path.startswith(prefix)
    if at_least and less_than:
        return path.between(_operand(at_least), _operand(less_than))
    if at_least:
        return path >= _operand(at_least)
    if less_than:
        return path < _operand(less_than)
    return None


def _actions(change: Update) -> list[Action]:
    return [
        *(_path(name).set(_operand(value)) for name, value in change.set.items()),
        *(_path(name).remove() for name in change.remove),
        *(_path(name).add(_operand(amount)) for name, amount in change.add.items()),
    ]


def _units(answer: Mapping[str, Any]) -> float:
    consumed = answer.get("ConsumedCapacity") or []
    entries = consumed if isinstance(consumed, list) else [consumed]
    return float(sum(entry.get("CapacityUnits", 0.0) for entry in entries))


def _told(error: Exception) -> Exception | None:
    """What the port raises for DynamoDB's error; None where the port has no word for it."""
    cause = error.cause if isinstance(error, PynamoDBException) else error
    if not isinstance(cause, VerboseClientError):
        return None
    code = cause.response["Error"]["Code"]
    if code == REFUSED:
        # PynamoDB's error lacks the record that stood there; botocore's, which caused it, has it.
        whole = cause.__cause__
        return Refused(0, _record(whole.response.get("Item")) if isinstance(whole, ClientError) else None)
    if code == CANCELLED:
        return _cancelled(cause)
    if code in BUSY:
        return Contended(str(cause))
    return ValueError(str(cause)) if code == INVALID else None


def _cancelled(error: VerboseClientError) -> Exception | None:
    """The reasons stand in the order of the changes. A refusal comes first: trying again would only meet it again."""
    reasons = [(position, reason) for position, reason in enumerate(error.cancellation_reasons) if reason]
    for position, reason in reasons:
        if reason.code == REASON_REFUSED:
            return Refused(position, _record(reason.raw_item))
    for position, reason in reasons:
        if reason.code == REASON_INVALID:
            return ValueError(f"change {position}: {reason.message}")
    for position, reason in reasons:
        if reason.code in REASONS_BUSY:
            return Contended(f"change {position}: {reason.message or reason.code}")
    return None
