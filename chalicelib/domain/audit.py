"""The audit: who did what to whom, from where. Rows are only ever added; nothing in them opens anything."""

from typing import Literal

import msgspec

from chalicelib.domain.dates import Instant

Action = Literal[
    "signed_in",
    "sign_in_failed",
    "code_failed",
    "signed_out",
    "welcomed",
    "welcome_made",
    "password_changed",
    "password_failed",
    "totp_enabled",
    "totp_removed",
    "user_inserted",
    "user_updated",
    "user_deleted",
    "key_issued",
    "key_revoked",
]


# What a user's history of logins tells.
COMINGS: frozenset[Action] = frozenset({"signed_in", "welcomed"})


class AuditEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``actor``: a login or a key by its name. ``user_id``: the user that it was about, 0 where there is none;
    ``subject``: his login, where another has acted. ``noun`` and ``key``: what else it was about; ``subject`` is then
    what people call it. ``detail``: names of what changed, never a secret."""

    audit_dts: Instant
    action: Action
    actor: str
    user_id: int = 0
    address: str = ""
    subject: str = ""
    detail: str = ""
    noun: str = ""
    key: str = ""
