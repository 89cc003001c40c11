"""Whose a line of the log is, and what it is about.

On AWS the runtime writes lines and Powertools words them: one JSON object each, with the keys of the message that is
being handled, so that one filter finds all that was said of a shop or of an auto order (docs/deploying.md). Elsewhere
lines stay as whoever runs the program has them.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from chalicelib import wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

SERVICE = "backroom"
# The fields by which alarms and filters find a line; what a message says must not cover them.
OWN = frozenset({"level", "message", "timestamp", "logger", "location", "service"})


@contextmanager
def about(keys: Mapping[str, str]) -> Iterator[None]:
    """All lines that are written meanwhile have these keys."""
    if not wiring.house().structured_logs:
        yield
        return
    with worded().append_context_keys(**{name: value for name, value in keys.items() if name not in OWN}):
        yield


@cache
def worded() -> "LambdaPowertoolsFormatter":
    """What words the lines of every handler there is, from its first call on."""
    # Here, not above: an eightieth of a cold start, which the API's functions need not pay.
    from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

    words = LambdaPowertoolsFormatter(utc=True, use_rfc3339=True, service=SERVICE, logger="%(name)s")
    for handler in logging.getLogger().handlers:
        handler.setFormatter(words)
    return words
