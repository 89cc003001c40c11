"""Hashes of passwords and one-time codes, as the real libraries make them."""

from datetime import UTC, datetime

import pytest
from argon2 import Type, extract_parameters

from chalicelib.domain.dates import Instant, instant
from chalicelib.gateways.codes import STEP_SECONDS, TimeCodes
from chalicelib.gateways.passwords import LANES, MEMORY_KIB, NOBODYS, PASSES, Argon2Passwords

# The secret of RFC 6238's own examples, and what it gives at a moment of theirs.
RFC, CODE, MOMENT = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "081804", 1111111109


def test_a_hash_is_argon2id_with_a_salt_of_its_own_and_fits_its_password_only() -> None:
    passwords = Argon2Passwords()
    first, second = passwords.hash("a kettle sings"), passwords.hash("a kettle sings")
    assert first != second
    settings = extract_parameters(first)
    assert (settings.type, settings.memory_cost, settings.time_cost, settings.parallelism) == (
        Type.ID,
        MEMORY_KIB,
        PASSES,
        LANES,
    )
    assert passwords.fits(first, "a kettle sings")
    assert not passwords.fits(first, "a kettle sang")
    assert not passwords.outdated(first)


def test_nobodys_hash_takes_the_work_of_any_other() -> None:
    passwords = Argon2Passwords()
    assert not passwords.outdated(NOBODYS), "made with the settings of today"
    assert not passwords.fits(NOBODYS, "")


@pytest.mark.parametrize("text", ["", "x", "$argon2id$v=19$m=8,t=1,p=1$x", "$2b$12$abc"])
def test_what_is_no_hash_fits_nothing(text: str) -> None:
    assert not Argon2Passwords().fits(text, "a kettle sings")


def test_a_hash_of_other_settings_is_outdated() -> None:
    assert Argon2Passwords().outdated(Argon2Passwords(memory_kib=8, passes=1).hash("x"))


def at(seconds: int) -> Instant:
    return instant(datetime.fromtimestamp(seconds, UTC))


def test_a_code_is_taken_a_step_before_and_after_its_own() -> None:
    codes = TimeCodes()
    own = MOMENT // STEP_SECONDS
    steps = [codes.step(RFC, CODE, at(MOMENT + STEP_SECONDS * aside)) for aside in (-2, -1, 0, 1, 2)]
    assert steps == [None, own, own, own, None]
    assert codes.step(RFC, "081 804", at(MOMENT)) == own, "as apps show it"


@pytest.mark.parametrize("code", ["", "08180", "0818040", "０８１８０４", "08180a", "081804\n1", "-81804"])
def test_what_is_no_code_is_of_no_step(code: str) -> None:
    assert TimeCodes().step(RFC, code, at(MOMENT)) is None


def test_a_secret_is_new_each_time_and_an_app_reads_it_with_the_login_and_the_shop() -> None:
    codes = TimeCodes()
    first, second = codes.secret(), codes.secret()
    assert len(first) == 32
    assert first != second
    uri = codes.uri(RFC, "olga@example.com", "Demo & Sons")
    assert uri == f"otpauth://totp/Demo%20%26%20Sons:olga%40example.com?secret={RFC}&issuer=Demo%20%26%20Sons"
