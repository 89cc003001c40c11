"""The environment is read once, and what it may not say is refused by name."""

import pytest

from chalicelib import config


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BACKROOM_ENGINE", "BACKROOM_ASK_FIRST", "OUTBOUND_ALLOW"):
        monkeypatch.delenv(name, raising=False)


def test_the_gateway_is_asked_first_only_where_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.read().asks_first is False
    monkeypatch.setenv("BACKROOM_ASK_FIRST", "yes")
    assert config.read().asks_first is True


@pytest.mark.parametrize(
    ("name", "value"), [("BACKROOM_ENGINE", "moto"), ("BACKROOM_ASK_FIRST", "true"), ("OUTBOUND_ALLOW", "127.0.0.1:1")]
)
def test_what_may_not_be_said_is_refused_by_name(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=name):
        config.read()
