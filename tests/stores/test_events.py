"""The outbox as it is kept: due until it is told, told once, and gone after a while."""

import pytest

from chalicelib.domain.dates import later, parse_instant
from chalicelib.domain.errors import Refused
from chalicelib.domain.events import Event, Happening
from chalicelib.stores.events import KEEP_DAYS, Events
from chalicelib.stores.sqlite import SqliteTables

NOW = parse_instant("2027-01-31T05:00:00Z")
EVENT = Event(event_id="evt_1", dts=NOW, happenings=[Happening(name="order_create", kind="order", id="DEMO-1")], seq=1)


def test_what_waits_to_be_told_never_goes_and_what_was_told_goes_when_the_quarter_is_over() -> None:
    port = SqliteTables()
    events = Events(port, "DEMO")
    port.write(events.happened(EVENT))
    assert port.sweep(later(NOW, days=10 * KEEP_DAYS).timestamp()) == 0
    assert events.find("evt_1") == (EVENT, True)
    port.write(events.told("evt_1", NOW))
    assert events.find("evt_1") == (EVENT, False)
    with pytest.raises(Refused):
        port.write(events.told("evt_1", NOW))
    assert port.sweep(later(NOW, days=KEEP_DAYS).timestamp()) == 0
    assert port.sweep(later(NOW, days=KEEP_DAYS, seconds=1).timestamp()) == 1
    assert events.find("evt_1") is None
