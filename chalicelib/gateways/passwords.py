"""Passwords as they are kept: argon2id, salted; nothing that is kept tells a password."""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

# OWASP's least for argon2id: 19 MiB and two passes hold off a guesser's graphics cards, and fit into the smallest
# function beside everything else (40 ms of one of its cores).
MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1


class Argon2:
    """Hashes passwords and holds passwords against their hashes."""

    def hashed(self, password: str) -> str:
        return _hasher().hash(password)

    def fits(self, hashed: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return bool(_hasher().verify(hashed, password))
        except (VerificationError, InvalidHashError):
            return False


@lru_cache(maxsize=1)
def _hasher() -> "PasswordHasher":
    # 10 ms to import: only who sets or checks a password pays for it.
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
