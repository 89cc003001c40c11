"""Passwords as they are kept: nothing tells them, and only the right one fits."""

import pytest

from chalicelib.gateways.passwords import Argon2


def test_the_same_password_is_kept_as_another_text_each_time_and_fits_both() -> None:
    one, other = (Argon2().hashed("three words apart") for _ in range(2))
    assert one != other
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert Argon2().fits(one, "three words apart")
    assert Argon2().fits(other, "three words apart")
    assert not Argon2().fits(one, "Three words apart")


@pytest.mark.parametrize("hashed", ["", "three words apart", "$argon2id$v=19$m=19456", "$2b$12$x"])
def test_what_is_no_hash_fits_nothing(hashed: str) -> None:
    assert not Argon2().fits(hashed, "three words apart")
