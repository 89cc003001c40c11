"""A row of a due index: what is to be looked at, and since when."""

import msgspec

from chalicelib.domain.dates import Instant


class DueRow(msgspec.Struct, kw_only=True, frozen=True):
    """``due_key`` is the index entry as it was seen: a push is refused where it has moved since."""

    table: str
    pk: str
    sk: str
    due_key: str
    due: Instant
    merchant_id: str
    subject: str
