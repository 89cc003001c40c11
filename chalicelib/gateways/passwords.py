"""Hashes of passwords: argon2id.

19 MiB, two passes, one lane: the smallest of the settings that OWASP holds to be as good as each other. One lane, since
the API function has less than one processor of its own (1,024 MB are 0.58 of one): more would only queue. Two passes
over 19 MiB and not one over 46, since the function's memory holds a search's list rows at times, and the embedded
engine answers many requests at once. One hash takes some 30 ms on a whole processor, some 50 on Lambda.
"""

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1
# The hash of a password that nobody has, made with these settings: who is no user is checked against it, so that the
# answer takes the same work. A test holds that it fits.
NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$ZzSjGfQPWRk6jihyzLO/pg$4S2UTSPcMNU3/AzgJWAJ7SLhgF+0Hu1dI4KF+FuIVmk"


class Argon2Passwords:
    """Takes other settings where a test has no time."""

    def __init__(
        self, memory_kib: int = MEMORY_KIB, passes: int = PASSES, lanes: int = LANES, nobodys: str = NOBODYS
    ) -> None:
        self._memory_kib, self._passes, self._lanes = memory_kib, passes, lanes
        self.nobodys = nobodys

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def fits(self, password_hash: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return bool(self._hasher.verify(password_hash, password))
        except (VerificationError, InvalidHashError):
            return False

    def outdated(self, password_hash: str) -> bool:
        """Whether it was made with other settings: it is made anew when its password is next seen."""
        return self._hasher.check_needs_rehash(password_hash)

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        # 30 ms to import: only who signs in pays for it.
        from argon2 import PasswordHasher

        return PasswordHasher(memory_cost=self._memory_kib, time_cost=self._passes, parallelism=self._lanes)
