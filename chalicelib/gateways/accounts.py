"""A merchant's payment accounts: how each is described, where the descriptions are kept, and the gateway that each
becomes. All of a merchant's are read at once, when money moves and not before, and remembered for a few minutes.

A description that breaks a rule is that account's own trouble: it moves no money and says what is wrong by the name of
the place, never by what stands there; the others work. Descriptions are secrets: no text of them shows one.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from msgspec import Meta

from chalicelib.domain import wire
from chalicelib.domain.captures import CapturePage, Hint
from chalicelib.domain.dates import Instant, later
from chalicelib.domain.errors import Contended, Invalid, Problem
from chalicelib.domain.payments import (
    Capabilities,
    Card,
    Charge,
    Found,
    NotSent,
    Outcome,
    Refund,
    StoredCard,
    Unknown,
)
from chalicelib.domain.wire import Noun

if TYPE_CHECKING:
    from chalicelib.gateways.sandbox import Sandbox
    from chalicelib.gateways.stripe import StripeGateway

log = logging.getLogger(__name__)

# A key that was rotated is taken up after this long, by every function that is warm. The old one must work until then.
REMEMBER_SECONDS = 300
# Parameter Store gives ten at a time; no merchant has many.
PAGE = 10
MOST_SECRETS = 10
# The reason stands with every attempt that was not sent.
LONGEST_REASON = 400
# The embedded engine's file of descriptions, in its data folder.
GATEWAYS_FILE = "gateways.json"
# An account's code stands in addresses, in keys of records and in the name of its parameter.
CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,29}")
# What an account is described by; a name that is none of these may be a secret in the wrong place, so it is not told.
FIELDS = "provider, api_key, webhook_secrets and customer_url"


class Account(Noun):
    """One account as it is described. ``webhook_secrets`` sign what the gateway tells by itself: the new one beside the
    old while they are changed over. ``customer_url`` is where a bank sends customers back to. ``base_url`` leads to a
    stand-in for the gateway, on the embedded engine only."""

    provider: Literal["sandbox", "stripe"]
    api_key: Annotated[str, Meta(pattern=r"^(sk|rk)_[A-Za-z0-9_]{8,250}$")] | None = None
    webhook_secrets: (
        Annotated[list[Annotated[str, Meta(pattern=r"^whsec_[A-Za-z0-9+/=_-]{1,250}$")]], Meta(max_length=MOST_SECRETS)]
        | None
    ) = None
    customer_url: (
        Annotated[str, Meta(max_length=500, pattern=r"^(https://|http://(127\.0\.0\.1|localhost)[:/])[!-~]+$")] | None
    ) = None
    base_url: Annotated[str, Meta(max_length=500, pattern=r"^(https://|http://127\.0\.0\.1:)[!-~]+$")] | None = None

    def __repr__(self) -> str:
        return "Account(...)"


@dataclass(frozen=True)
class Described:
    """What is kept of one account: the name of the place, and the text (JSON), which holds secrets. ``problem``: why it
    may not be used, whatever it says."""

    place: str
    text: str = field(repr=False)
    problem: str = ""


class Descriptions(Protocol):
    """Where accounts are described."""

    def of(self, merchant_id: str) -> dict[str, Described]:
        """All of the merchant's, by their codes. Raises Contended where they cannot be read at this moment."""
        ...


# --- where they are kept ----------------------------------------------------------------------------------------------


def parameter_path(prefix: str, merchant_id: str) -> str:
    """Where the merchant's parameters stand, one an account, each named by its code."""
    return f"/{prefix.removesuffix('-')}/{merchant_id}/gateways"


class ParameterStore:
    """SSM Parameter Store: a SecureString for each account. ``client`` gives the SSM client, at the first read."""

    def __init__(self, prefix: str, client: Callable[[], Any]) -> None:
        self._prefix = prefix
        self._client = client

    def of(self, merchant_id: str) -> dict[str, Described]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return {str(found["Name"]).rpartition("/")[2]: _parameter(found) for found in self._all(merchant_id)}
        except (BotoCoreError, ClientError) as error:
            log.exception("parameter store did not give a merchant's accounts", extra={"merchant_id": merchant_id})
            raise Contended("The payment accounts cannot be read at this moment; try again.") from error

    def _all(self, merchant_id: str) -> Iterator[Mapping[str, Any]]:
        asked = {"Path": parameter_path(self._prefix, merchant_id), "WithDecryption": True, "MaxResults": PAGE}
        token = None
        while True:
            answer = self._client().get_parameters_by_path(**asked, **({"NextToken": token} if token else {}))
            yield from answer["Parameters"]
            token = answer.get("NextToken")
            if not token:
                return


def _parameter(found: Mapping[str, Any]) -> Described:
    problem = "" if found["Type"] == "SecureString" else "must be a SecureString: anybody may read what it holds"
    return Described(place=str(found["Name"]), text=str(found["Value"]), problem=problem)


class AccountsFile:
    """The embedded engine's: one file, by merchants and codes. Where there is none, nobody has accounts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, merchant_id: str) -> dict[str, Described]:
        try:
            whole = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except json.JSONDecodeError as error:
            raise self._unreadable(f"{error.msg} at line {error.lineno} column {error.colno}") from None
        except UnicodeDecodeError:
            raise self._unreadable("it is not UTF-8") from None
        except OSError as error:
            raise self._unreadable(error.strerror or type(error).__name__) from None
        if not isinstance(whole, dict) or not isinstance(whole.get(merchant_id, {}), dict):
            raise self._unreadable('it must be as in {"DEMO": {"stripe": {"provider": "stripe", "api_key": "sk_…"}}}')
        return {
            code: Described(place=f"{self._path.name}, {merchant_id}/{code}", text=json.dumps(account))
            for code, account in whole.get(merchant_id, {}).items()
        }

    def _unreadable(self, why: str) -> Contended:
        return Contended(f"{self._path.name} cannot be read: {why}")


# --- the gateway that each becomes ------------------------------------------------------------------------------------


class Unusable:
    """An account that is not described as it must be: nothing is sent by it, and what was sent before is not known
    until it is mended."""

    def __init__(self, code: str, why: str) -> None:
        self._code = code
        self._why = f"the payment account {code} cannot be used: {why}"

    @property
    def code(self) -> str:
        return self._code

    @property
    def capabilities(self) -> Capabilities:
        """It takes whatever is asked of it: nothing is sent, and what is open is asked about until somebody knows."""
        return Capabilities(lookup=True, refund=True, authorise=True)

    def charge(self, charge: Charge) -> Outcome:
        return NotSent(reason=self._why)

    def look_up(self, key: str) -> Found:
        return Unknown(reason=self._why)

    def refund(self, key: str) -> Outcome:
        return NotSent(reason=self._why)

    def refund_part(self, refund: Refund) -> Outcome:
        return NotSent(reason=self._why)

    def look_up_refund(self, refund: Refund) -> Found:
        return Unknown(reason=self._why)

    def authorise(self, charge: Charge) -> Outcome:
        return NotSent(reason=self._why)

    def void(self, key: str) -> Outcome:
        return NotSent(reason=self._why)

    def captures_since(self, since: Instant, cursor: str | None = None) -> CapturePage:
        return CapturePage(captures=[], cursor=cursor, problem=self._why)

    def hint(self, body: bytes, signature: str) -> Hint | None:
        raise self._not_now()

    def tokenise(self, number: str, month: int, year: int) -> StoredCard:
        raise self._not_now()

    def tokenise_account(self, aba_code: str, number: str) -> StoredCard:
        raise self._not_now()

    def card_of(self, payment_method_id: str) -> tuple[StoredCard, Card]:
        raise self._not_now()

    def _not_now(self) -> Contended:
        """Strangers read this."""
        return Contended(f"The payment account {self._code} cannot be used at this moment.")


if TYPE_CHECKING:
    Gateway = Sandbox | StripeGateway | Unusable


class Accounts:
    """All merchants' accounts. ``now`` is the machine's clock; ``sandbox`` makes a sandbox of a merchant and a code,
    where there are sandboxes; ``always`` are the codes of those that every merchant has; ``stand_ins``: accounts may
    lead to a stand-in for their gateway."""

    def __init__(
        self,
        descriptions: Descriptions,
        now: Callable[[], Instant],
        sandbox: "Callable[[str, str], Sandbox] | None" = None,
        *,
        always: Sequence[str] = (),
        stand_ins: bool = False,
    ) -> None:
        self._descriptions = descriptions
        self._now = now
        self._sandbox = sandbox
        self._always = always
        self._stand_ins = stand_ins
        self._remembered: dict[str, tuple[Instant, dict[str, Gateway]]] = {}

    def of(self, merchant_id: str) -> "Mapping[str, Gateway]":
        """The merchant's gateways by their codes, in the order of these. Nothing is read before it is touched."""
        return _Opened(lambda: self._read(merchant_id))

    def _read(self, merchant_id: str) -> "dict[str, Gateway]":
        """Raises Contended where they were never read, and cannot be read now."""
        until, known = self._remembered.get(merchant_id, (None, None))
        if until is not None and known is not None and self._now() < until:
            return known
        try:
            described = self._descriptions.of(merchant_id)
        except Contended:
            if known is None:
                raise
            log.warning("accounts go on as they were read last", extra={"merchant_id": merchant_id})
            return known
        made = {code: self._made(merchant_id, code, said) for code, said in described.items()}
        if self._sandbox is not None:
            made |= {code: self._sandbox(merchant_id, code) for code in self._always}
        found = dict(sorted(made.items()))
        self._remembered[merchant_id] = (later(self._now(), seconds=REMEMBER_SECONDS), found)
        return found

    def _made(self, merchant_id: str, code: str, said: Described) -> "Gateway":
        try:
            account = self._account(code, said)
        except Invalid as invalid:
            why = f"{said.place}: {_told(invalid)}"[:LONGEST_REASON]
            log.error("a payment account cannot be used: %s", why)  # noqa: TRY400  # the values stand in the traceback
            return Unusable(code, why)
        if account.provider == "sandbox" and self._sandbox is not None:
            return self._sandbox(merchant_id, code)
        from chalicelib.gateways.stripe import StripeGateway

        return StripeGateway(
            code,
            account.api_key or "",
            shop=merchant_id,
            webhook_secrets=account.webhook_secrets or (),
            customer_url=account.customer_url or "",
            base_url=account.base_url,
        )

    def _account(self, code: str, said: Described) -> Account:
        """Raises Invalid with all problems."""
        if not CODE.fullmatch(code):
            message = "its code, the last part of its name, has 1 to 30 small letters, digits, _ and -"
            raise Invalid.one("", "invalid", message)
        if said.problem:
            raise Invalid.one("", "not_accepted", said.problem)
        account = wire.noun(wire.parse(said.text.encode("utf-8", "replace")), Account)
        problems = []
        if account.provider == "stripe" and account.api_key is None:
            problems.append(Problem(pointer="/api_key", code="required", message="is required: a key of Stripe's"))
        if account.provider == "sandbox" and self._sandbox is None:
            message = "there are no sandboxes here: none is configured (BACKROOM_SANDBOX_FILE)"
            problems.append(Problem(pointer="/provider", code="not_available", message=message))
        if account.base_url is not None and not self._stand_ins:
            message = "is for the embedded engine only; leave it out"
            problems.append(Problem(pointer="/base_url", code="not_available", message=message))
        if problems:
            raise Invalid(problems)
        return account


def _told(invalid: Invalid) -> str:
    """The problems by the names of fields, without anything that somebody wrote."""
    told = []
    for problem in invalid.problems:
        if problem.code == "unknown_field":
            told.append(f"it has {FIELDS}, and nothing else")
        elif problem.code in ("duplicate_key", "malformed_json", "too_deep", "number_too_long"):
            told.append("it must be a JSON object in which no key stands twice")
        else:
            told.append(f"{problem.pointer} {problem.message}".strip())
    return "; ".join(dict.fromkeys(told))


class _Opened(Mapping[str, "Gateway"]):
    """One merchant's gateways, read at the first touch; whoever holds it sees the same ones to the end of his work."""

    def __init__(self, read: "Callable[[], dict[str, Gateway]]") -> None:
        self._read = read
        self._found: dict[str, Gateway] | None = None

    def __getitem__(self, code: str) -> "Gateway":
        return self._all()[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> "dict[str, Gateway]":
        if self._found is None:
            self._found = self._read()
        return self._found
