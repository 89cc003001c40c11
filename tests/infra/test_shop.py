"""``python -m infra.shop found`` and ``owner``: the same commands on AWS and on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chalicelib import wiring
from chalicelib.domain.access import key_hash
from chalicelib.domain.errors import Unauthorised
from chalicelib.domain.users import Welcome
from chalicelib.flows.sign_in import welcome
from chalicelib.gateways.clock import SystemClock

ROOT = Path(__file__).parent.parent.parent


def found(data: Path, *options: str, command: str = "found") -> tuple[int, dict[str, str], str]:
    done = subprocess.run(
        [sys.executable, "-m", "infra.shop", command, *options],
        cwd=ROOT,
        env={**os.environ, "BACKROOM_ENGINE": "embedded", "BACKROOM_DATA": str(data)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [line.rsplit(maxsplit=1) for line in done.stdout.splitlines()]
    return done.returncode, dict(lines), done.stderr


def test_a_shop_is_founded_and_its_keys_are_shown_once(tmp_path: Path) -> None:
    code, shown, errors = found(tmp_path, "--merchant", "ACME", "--name", "Acme", "--zone", "UTC")
    assert (code, shown["merchant"]) == (0, "ACME")
    assert "only their hashes are kept" in errors
    house = wiring.embedded(tmp_path, "", frozenset(), SystemClock().now)
    for name, kind in (("owner key", "api"), ("browser key", "browser")):
        key = house.keys().find(key_hash(shown[name]))
        assert key is not None
        assert (key.merchant_id, key.kind) == ("ACME", kind)
    assert shown["owner key"].encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_shop_that_stands_gets_new_keys_only_on_demand(tmp_path: Path) -> None:
    first = found(tmp_path, "--merchant", "ACME", "--name", "Acme")
    code, shown, errors = found(tmp_path, "--merchant", "ACME", "--name", "Acme")
    assert (code, shown) == (2, {})
    assert "stands already" in errors
    code, shown, _ = found(tmp_path, "--merchant", "ACME", "--new-keys")
    assert code == 0
    assert shown["owner key"] != first[1]["owner key"]


def test_an_owner_gets_a_link_to_choose_a_password_and_a_fresh_one_who_has_lost_it(tmp_path: Path) -> None:
    asked = ("--merchant", "ACME", "--login", "anna@example.com", "--url", "https://api.example.com/")
    code, shown, errors = found(tmp_path, *asked, command="owner")
    assert (code, shown) == (2, {})
    assert "there is no shop ACME" in errors
    found(tmp_path, "--merchant", "ACME", "--name", "Acme")
    code, first, errors = found(tmp_path, *asked, command="owner")
    assert (code, first["login"]) == (0, "anna@example.com")
    assert "shown this once" in errors
    code, second, _ = found(tmp_path, *asked, command="owner")
    assert code == 0
    house = wiring.embedded(tmp_path, "", frozenset(), SystemClock().now)
    start = "https://api.example.com/admin/#/welcome/"
    for shown, good in ((first, False), (second, True)):
        assert shown["link"].startswith(start)
        asked_for = Welcome(token=shown["link"].removeprefix(start), password="a kettle sings at noon")
        if not good:
            with pytest.raises(Unauthorised):
                welcome(house.entrance(), asked_for, "")
            continue
        begun = welcome(house.entrance(), asked_for, "")
        assert begun is not None
        who = begun[1]
        assert (who.merchant_id, who.user.owner) == ("ACME", True)


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    code, shown, errors = found(tmp_path, "--merchant", "acme", "--name", "Acme")
    assert (code, shown) == (2, {})
    assert "/merchant_id" in errors


def test_where_aws_is_not_reached_it_is_told_what_that_takes(tmp_path: Path) -> None:
    nowhere = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BACKROOM_"))}
    nowhere |= {"AWS_CONFIG_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "infra.shop", "found", "--merchant", "ACME", "--new-keys"]
    for region in ({}, {"AWS_DEFAULT_REGION": "us-east-1"}):
        done = subprocess.run(
            command, cwd=ROOT, env=nowhere | region, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert "AWS_DEFAULT_REGION" in done.stderr
        assert "Traceback" not in done.stderr
