"""The audit: who did what to whom, from where. Rows are only ever added; nothing in them opens anything."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from chalicelib.domain.dates import Instant
from chalicelib.domain.timeline import in_words
from chalicelib.domain.wire import Noun

# Card networks ask for a year of who did what (PCI DSS 10.5.1), and a month more lets a year be looked at when it is
# over. No longer: rows name people and their addresses.
ACTIVITY_DAYS = 400
# Of a value before and after: a setting is read at a glance, a long text in the setting itself.
LONGEST_VALUE = 200
# Fields that are noted by their names alone are at most these many; who changes more has changed it all.
MOST_FIELDS = 40
# What every change moves, and so says nothing.
NOISE = frozenset({"version", "last_modified_dts", "last_modified_by", "loaded"})

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


class Actor(msgspec.Struct, frozen=True):
    """Whoever calls: a login, or a key by its name; and from where."""

    name: str
    address: str


class FieldChange(Noun):
    """A field that changed. Settings tell what it was and is; of all else only the name is kept."""

    field: str
    before: str | None = None
    after: str | None = None


class ActivityEntry(Noun):
    """What somebody did. ``noun`` and ``key``: to what, ``subject``: as people call it. ``ip_address``: of IPv6, the
    line's network."""

    activity_dts: Instant
    actor: str
    action: str
    ip_address: str | None = None
    noun: str | None = None
    key: str | None = None
    subject: str | None = None
    changed: list[FieldChange] | None = None


class AuditEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``actor``: a login or a key by its name. ``user_id``: the user that it was about, 0 where there is none;
    ``subject``: his login, where another has acted. ``noun`` and ``key``: what else it was about; ``subject`` is then
    what people call it. ``detail``: names of what changed, never a secret."""

    audit_dts: Instant
    action: str
    actor: str
    user_id: int = 0
    address: str = ""
    subject: str = ""
    detail: str = ""
    noun: str = ""
    key: str = ""
    changed: list[FieldChange] = []


def shown_entry(entry: AuditEntry) -> ActivityEntry:
    """As the shop's activity tells it."""
    noun, key = ("user", str(entry.user_id)) if entry.user_id else (entry.noun, entry.key)
    named = [FieldChange(field=name) for name in entry.detail.split(", ") if name]
    return ActivityEntry(
        activity_dts=entry.audit_dts,
        actor=entry.actor,
        action=entry.action,
        ip_address=entry.address or None,
        noun=noun or None,
        key=key or None,
        subject=entry.subject or None,
        changed=[*named, *entry.changed] or None,
    )


def differences(before: Mapping[str, Any], after: Mapping[str, Any], valued: bool) -> list[FieldChange]:
    """What changed between two documents, by their fields; ``valued``: with what it was and is."""
    names = [name for name in {**before, **after} if name not in NOISE and before.get(name) != after.get(name)]
    if not valued:
        return [FieldChange(field=name) for name in names[:MOST_FIELDS]]
    return [_valued(name, before.get(name), after.get(name)) for name in names[:MOST_FIELDS]]


def _valued(name: str, before: Any, after: Any) -> FieldChange:
    """Of two lists only what was taken out and what came in, unless nothing but their order changed."""
    if isinstance(before, list) and isinstance(after, list):
        gone, come = [one for one in before if one not in after], [one for one in after if one not in before]
        before, after = (gone or None, come or None) if gone or come else (before, after)
    return FieldChange(field=name, before=_said(before), after=_said(after))


def _said(value: Any) -> str | None:
    """A value as a short text; None where it is not set."""
    if value is None:
        return None
    text = in_words(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
