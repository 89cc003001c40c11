"""Mails as they are kept: planned once, found under their noun, due until somebody has decided."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain import mails as rules
from chalicelib.domain.dates import later, parse_instant
from chalicelib.domain.errors import Refused
from chalicelib.domain.mails import SentMail
from chalicelib.stores.mails import KEEP_DAYS, MAXIMUM_MAILS, Mails
from chalicelib.stores.sqlite import SqliteTables
from chalicelib.stores.waiting import Waiting

NOW = parse_instant("2027-01-31T05:00:00Z")
DUE = later(NOW, seconds=rules.LEASE_SECONDS)
LATER = later(NOW, days=400)


@pytest.fixture
def port() -> Iterator[SqliteTables]:
    opened = SqliteTables()
    yield opened
    opened.close()


@pytest.fixture
def mails(port: SqliteTables) -> Mails:
    return Mails(port, "DEMO")


def mail(name: str = "mail_1", about: str = "order#DEMO-1", **fields: Any) -> SentMail:
    base = SentMail(
        mail_id=name, about=about, template="receipt", email="jane@example.com", created_dts=NOW, next_dts=DUE
    )
    return replace(base, **fields)


def due(port: SqliteTables) -> list[tuple[str, str]]:
    """(merchant, name) of every row of the table that is due at all."""
    waiting = Waiting(port)
    rows = [row for shard in waiting.shards() for row in waiting.due("deliveries", shard, LATER, 100)[0]]
    return sorted((row.merchant_id, row.subject) for row in rows)


def test_a_planned_mail_is_found_under_its_noun(port: SqliteTables, mails: Mails) -> None:
    port.write(mails.planned(mail()))
    kept = mails.find("order#DEMO-1", "mail_1")
    assert kept is not None
    assert (kept.noun, kept.version) == (mail(), 1)
    assert mails.find("order#DEMO-2", "mail_1") is None


def test_the_same_mail_is_planned_once(port: SqliteTables, mails: Mails) -> None:
    port.write(mails.planned(mail()))
    with pytest.raises(Refused):
        port.write(mails.planned(mail(email="joe@example.com")))
    kept = mails.find("order#DEMO-1", "mail_1")
    assert kept is not None
    assert kept.noun.email == "jane@example.com"


def test_another_merchants_mail_cannot_be_named(port: SqliteTables, mails: Mails) -> None:
    port.write(mails.planned(mail()))
    other = Mails(port, "OTHER")
    assert other.find("order#DEMO-1", "mail_1") is None
    assert other.of("order#DEMO-1") == []
    port.write(other.planned(mail(email="joe@other.example")))
    assert [one.email for one in mails.of("order#DEMO-1")] == ["jane@example.com"]


@pytest.mark.parametrize("state", ["planned", "sending"])
def test_what_waits_is_found_in_the_due_index_by_a_name_that_leads_back(
    port: SqliteTables, mails: Mails, state: rules.State
) -> None:
    port.write(mails.planned(mail(about="auto_order#123", state=state)))
    ((merchant_id, name),) = due(port)
    assert merchant_id == "DEMO"
    assert rules.read_waiting_name(name) == ("auto_order#123", "mail_1")


@pytest.mark.parametrize("state", ["sent", "skipped", "failed"])
def test_what_has_ended_waits_no_more(port: SqliteTables, mails: Mails, state: rules.State) -> None:
    port.write(mails.planned(mail()))
    port.write(mails.tried(mail(state=state), 1))
    assert due(port) == []
    kept = mails.find("order#DEMO-1", "mail_1")
    assert kept is not None
    assert kept.noun.state == state


def test_a_skipped_mail_is_kept_and_never_due(port: SqliteTables, mails: Mails) -> None:
    port.write(mails.planned(mail(state="skipped", skip_reason="why", next_dts=None)))
    assert due(port) == []
    assert [one.skip_reason for one in mails.of("order#DEMO-1")] == ["why"]


def test_a_mail_is_moved_by_one_writer_only(port: SqliteTables, mails: Mails) -> None:
    port.write(mails.planned(mail()))
    port.write(mails.tried(rules.claimed(mail(), "one", NOW), 1))
    with pytest.raises(Refused):
        port.write(mails.tried(rules.claimed(mail(), "other", NOW), 1))
    kept = mails.find("order#DEMO-1", "mail_1")
    assert kept is not None
    assert (kept.noun.owner, kept.version) == ("one", 2)


def test_a_push_of_the_sweep_does_not_stand_in_the_way_of_the_worker(port: SqliteTables, mails: Mails) -> None:
    port.write(mails.planned(mail()))
    waiting = Waiting(port)
    (row,) = [row for shard in waiting.shards() for row in waiting.due("deliveries", shard, LATER, 10)[0]]
    assert waiting.push(row, later(DUE, hours=1))
    port.write(mails.tried(rules.claimed(mail(), "me", NOW), 1))
    (row,) = [row for shard in waiting.shards() for row in waiting.due("deliveries", shard, LATER, 10)[0]]
    assert row.due == DUE


def test_the_mails_of_a_noun_come_oldest_first(port: SqliteTables, mails: Mails) -> None:
    for number in (3, 1, 2):
        port.write(mails.planned(mail(f"mail_{9 - number}", created_dts=later(NOW, hours=number))))
    port.write(mails.planned(mail("mail_0", about="order#DEMO-10")))
    assert [one.mail_id for one in mails.of("order#DEMO-1")] == ["mail_8", "mail_7", "mail_6"]


def test_a_page_of_mails_has_an_end(port: SqliteTables, mails: Mails) -> None:
    for number in range(MAXIMUM_MAILS + 5):
        port.write(mails.planned(mail(f"mail_{number:04d}", next_dts=None, facts={"long": "x" * 2000})))
    assert len(mails.of("order#DEMO-1")) == MAXIMUM_MAILS


def test_a_mail_costs_five_write_units(port: SqliteTables, mails: Mails) -> None:
    """Planned (2 and the index entry), claimed in time (1, no entry moves), sent (1 and the entry removed)."""
    port.meter.reset()
    port.write(mails.planned(mail()))
    claim = rules.claimed(mail(), "me", later(NOW, seconds=2))
    port.write(mails.tried(claim, 1))
    port.write(mails.tried(rules.sent(claim, "Your receipt", NOW), 2))
    assert [call.writes for call in port.meter.calls] == [2, 1, 2]


def test_a_mail_that_waits_stays_and_one_that_was_decided_goes_when_no_dispute_asks_for_it_any_more(
    port: SqliteTables, mails: Mails
) -> None:
    port.write(mails.planned(mail("mail_waits")))
    port.write(mails.planned(mail("mail_skipped", state="skipped", skip_reason="why", next_dts=None)))
    port.write(mails.planned(mail("mail_sent")))
    port.write(mails.tried(rules.sent(mail("mail_sent"), "Your receipt", NOW), 1))
    port.sweep(later(NOW, days=KEEP_DAYS).timestamp())
    assert len(mails.of("order#DEMO-1")) == 3
    port.sweep(later(NOW, days=KEEP_DAYS, seconds=1).timestamp())
    assert [one.mail_id for one in mails.of("order#DEMO-1")] == ["mail_waits"]
