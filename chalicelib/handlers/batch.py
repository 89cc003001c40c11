"""The queue door: one record at a time, failed ones handed back, so that one poison message holds up nobody."""

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from chalicelib import wiring
from chalicelib.domain.errors import NotFound
from chalicelib.domain.mails import one_line
from chalicelib.domain.problems import DEAD_MESSAGE, ShopProblem
from chalicelib.flows import digest
from chalicelib.gateways.queues import MAXIMUM_RECEIVES
from chalicelib.handlers import logs

log = logging.getLogger(__name__)

Handle = Callable[[dict[str, str]], None]


def drain(event: Any, handle: Handle) -> dict[str, object]:
    """Handle each record of Chalice's SQSEvent; answer the ids of those that failed (ReportBatchItemFailures).

    What names nothing any more is done with. Everything else that fails comes back; its cause is noted, for the
    dead letters where it stands after its fifth receive.
    """
    failed: list[dict[str, str]] = []
    run = str(getattr(event.context, "aws_request_id", ""))
    for record in event.to_dict()["Records"]:
        with logs.about(_keys(record) | {"requestId": run}):
            if not _handled(record, handle):
                failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _handled(record: dict[str, Any], handle: Handle) -> bool:
    try:
        handle(_message(record["body"]))
    except NotFound:
        pass
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        log.exception("a message failed", extra={"message_id": record["messageId"]})
        wiring.house().failures().noted(record["messageId"], record["body"], cause)
        if int(record.get("attributes", {}).get("ApproximateReceiveCount", 1)) >= MAXIMUM_RECEIVES:
            _note(record, cause)
        return False
    return True


def _keys(record: dict[str, Any]) -> dict[str, str]:
    """Those of the message; of one that cannot be read, none."""
    try:
        return _message(record["body"])
    except ValueError:
        return {}


def _note(record: dict[str, Any], cause: str) -> None:
    """It is a dead letter now: its merchant reads of it tomorrow."""
    try:
        message = _message(record["body"])
        shop = wiring.open_shop(message["merchant_id"])
        about = f"{message['kind']}#{message['id']}" if "kind" in message else f"delivery#{message['subject']}"
        problem = ShopProblem(dts=shop.clock.now(), about=about, code=DEAD_MESSAGE, message=one_line(cause))
        digest.note(shop, f"message#{record['messageId']}", problem)
    except Exception:
        log.exception("a dead letter is not in any digest", extra={"message_id": record["messageId"]})


def _message(body: str) -> dict[str, str]:
    """Raises ValueError where it is no object of texts."""
    return _MESSAGES.decode(body)


_MESSAGES = msgspec.json.Decoder(dict[str, str])
