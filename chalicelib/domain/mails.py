"""Mails to customers: which an event plans, whether they may be sent, and when they are tried again."""

from typing import Literal

import msgspec

from chalicelib.domain.dates import Instant
from chalicelib.domain.events import Template

State = Literal["planned", "sending", "sent", "skipped", "failed"]


class Mail(msgspec.Struct, kw_only=True, frozen=True):
    """One message as it is handed over: one recipient, a text always, the same as HTML mostly."""

    to: str
    subject: str
    text: str
    sender: str
    html: str | None = None
    reply_to: str | None = None
    headers: dict[str, str] = {}


class SentMail(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a mail, from plan to end. ``about`` is the key of its noun (``auto_order#123``,
    ``order#DEMO-1``); ``facts`` are short texts for its template; ``subject`` is its subject line once composed."""

    mail_id: str
    about: str
    template: Template
    email: str
    created_dts: Instant
    state: State = "planned"
    skip_reason: str | None = None
    tries: int = 0
    next_dts: Instant | None = None
    send_dts: Instant | None = None
    subject: str | None = None
    facts: dict[str, str] = {}
