"""Sealed cursors: where a list goes on, as a text that only this shop and this list can read back.

The seal is an HMAC over the cursor, the merchant and the list, so a cursor that was made up, changed, or brought from
another shop or list is refused. The key is the house's own, made once and kept beside the access keys.
"""

from typing import Any

from chalicelib import wiring
from chalicelib.domain.errors import Invalid
from chalicelib.handlers.http import Ask

PARAMETER = "cursor"
# A sealed cursor is two keys of a record and their seal; what is longer is none.
LONGEST = 4000


def next_page(ask: Ask, cursor: dict[str, Any] | None) -> dict[str, str]:
    """What an answer says of the page after it; nothing where this was the last."""
    return {"next_cursor": _seal(ask).dumps(cursor)} if cursor else {}


def asked(ask: Ask) -> dict[str, Any] | None:
    """The cursor that the request brings, if it brings one. Raises Invalid for one that was not sealed here."""
    # Only who pages pays for the import.
    from itsdangerous import BadData

    text = ask.query.get(PARAMETER)
    if text is None:
        return None
    refusal = Invalid.one(f"/{PARAMETER}", "cursor_invalid", "is not a cursor of this list: begin again without it")
    if len(text) > LONGEST:
        raise refusal
    try:
        opened = _seal(ask).loads(text)
    except BadData:
        raise refusal from None
    return dict(opened)


def _seal(ask: Ask) -> Any:
    from itsdangerous import URLSafeSerializer

    # The request's path is the route's; what stands in its places tells one list from another.
    places = (ask.request.uri_params or {}).values()
    return URLSafeSerializer(wiring.house().seal(), salt="\x1f".join((ask.shop.merchant_id, ask.request.path, *places)))
