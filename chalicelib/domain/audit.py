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
]


class AuditEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``actor``: a login or a key by its name. ``subject``: the login that it was about, where that is another's.
    ``detail``: names of what changed, never a secret."""

    audit_dts: Instant
    action: Action
    actor: str
    address: str = ""
    subject: str = ""
    detail: str = ""
