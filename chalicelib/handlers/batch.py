"""The queue door: one record at a time, failed ones handed back, so that one poison message holds up nobody."""

import json
from collections.abc import Callable
from typing import Any

from chalicelib import wiring
from chalicelib.domain.errors import NotFound

Handle = Callable[[dict[str, str]], None]


def drain(event: dict[str, Any], handle: Handle, context: Any) -> dict[str, object]:
    """Handle each record of an SQS event; answer the ids of those that failed (ReportBatchItemFailures).

    What names nothing any more is done with. Everything else that fails comes back; its cause is noted, for the
    dead letters where it stands after its fifth receive.
    """
    # Only queue functions pay for this import.
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    def handled(record: Any) -> None:
        try:
            handle(_message(record.body))
        except NotFound:
            return
        except Exception as error:
            wiring.house().failures().noted(record.message_id, record.body, f"{type(error).__name__}: {error}")
            raise

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    answer = process_partial_response(event=event, record_handler=handled, processor=processor, context=context)
    return dict(answer)


def _message(body: str) -> dict[str, str]:
    message = json.loads(body)
    if not isinstance(message, dict) or not all(isinstance(value, str) for value in message.values()):
        raise ValueError("the message is not an object of texts")
    return message
