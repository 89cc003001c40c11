"""Everything that can go wrong, as one small tree.

    ShopError
    ├── Invalid            the caller's input breaks rules; carries every problem found
    ├── NotFound           no such record for this merchant (another merchant's record is the same answer)
    ├── Unauthorised       no key, or a key that is not known
    │   └── CodeNeeded     the password is right; the one-time code is missing, wrong or used
    ├── NotAllowed         a known key without the scope
    ├── TooMany            a limit on calls is used up; says when to come back
    ├── TooLarge           the body is over the limit
    ├── Stale              If-Match named a version that is no longer the current one
    ├── Refused            a condition of a write did not hold (somebody else was first)
    └── Contended          the engine was busy with the same record: try again
        └── Short          a balance is not what a plan counted on any more: think again

A declined card is not here: it is an answer (``domain.payments``), not an error.
"""

import msgspec


class Problem(msgspec.Struct, kw_only=True, frozen=True):
    """One rule that the input breaks. ``pointer`` is an RFC 6901 JSON pointer into the request body."""

    pointer: str
    code: str
    message: str


class ShopError(Exception):
    """The root: ``code`` for machines, the text for people."""

    code = "error"


class Invalid(ShopError):
    code = "invalid"

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{p.pointer or 'request'}: {p.message}" for p in problems))

    @classmethod
    def one(cls, pointer: str, code: str, message: str) -> "Invalid":
        return cls([Problem(pointer=pointer, code=code, message=message)])


class NotFound(ShopError):
    code = "not_found"

    def __init__(self, noun: str, name: object) -> None:
        self.noun = noun
        super().__init__(f"There is no {noun} {name}.")


class Unauthorised(ShopError):
    code = "invalid_credentials"


class CodeNeeded(Unauthorised):
    code = "totp_required"


class NotAllowed(ShopError):
    code = "not_allowed"


class TooMany(ShopError):
    code = "too_many"

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class TooLarge(ShopError):
    code = "too_large"


class Stale(ShopError):
    code = "stale"


class Refused(ShopError):
    """A condition did not hold. ``change`` is the position of the refused change in the call;
    ``found`` is the record that stood there, or None where there was none."""

    code = "refused"

    def __init__(self, change: int, found: "dict[str, str | int] | None") -> None:
        self.change = change
        self.found = found
        super().__init__(f"change {change} was refused by its condition")


class Contended(ShopError):
    code = "contended"


class Short(Contended):
    """Somebody else has spent some of a balance, or taken the last use of a coupon, since the plan was made. Nothing
    was written."""

    code = "short"
