"""The merchant: whose shop it is, in which zone and currency it counts, and who may call from a browser."""

from typing import Annotated, ClassVar
from zoneinfo import available_timezones

from msgspec import Meta

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Text50, Text100, on_form, rule
from chalicelib.domain.money import EXPONENTS, SYMBOLS
from chalicelib.domain.wire import Form, Noun

# UltraCart's default: its merchants' days begin in New York.
DEFAULT_ZONE = "America/New_York"
DEFAULT_CURRENCY = "USD"
CURRENCIES = frozenset({*EXPONENTS, *SYMBOLS, "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "NZD", "MXN", "BRL", "INR"})
MAXIMUM_ORIGINS = 20

MerchantId = Annotated[str, Meta(pattern=r"^[A-Z0-9]{1,5}$")]


class Merchant(Noun):
    section: ClassVar[str] = "merchant"
    read_only: ClassVar[frozenset[str]] = frozenset({"merchant_id", "test_mode"})

    merchant_id: MerchantId | None = None
    name: (
        Annotated[str, Meta(max_length=100, title="Shop name", description="Stands in mails and on pages.")] | None
    ) = None
    time_zone: (
        Annotated[
            str,
            Meta(
                max_length=50,
                title="Time zone",
                description="IANA name. Days and windows are local to it.",
                extra_json_schema=on_form(blank=DEFAULT_ZONE, choices="time_zones"),
            ),
        ]
        | None
    ) = None
    currency_code: (
        Annotated[str, Meta(max_length=3, title="Currency", description="All amounts of the shop are in it.")] | None
    ) = None
    allowed_origins: (
        Annotated[
            list[Text100],
            Meta(
                max_length=MAXIMUM_ORIGINS,
                title="Allowed origins",
                description="Storefronts that may call from a browser, as in https://shop.example.com",
            ),
        ]
        | None
    ) = None
    sender_email: Annotated[Text100, Meta(title="Sender", description="The address that mails come from.")] | None = (
        None
    )
    sender_name: Annotated[Text50, rule("Sender's name", "Stands before the address.")] | None = None
    support_email: (
        Annotated[Text100, rule("Support address", "Where customers write to, and the digest of problems goes.")] | None
    ) = None
    test_mode: bool | None = None

    def zone_name(self) -> str:
        return self.time_zone or DEFAULT_ZONE

    def currency(self) -> str:
        return self.currency_code or DEFAULT_CURRENCY

    def form(self) -> Form:
        return Form(zone_name=self.zone_name(), currency_code=self.currency())


def validate(merchant: Merchant) -> None:
    """Raises Invalid with all problems."""
    problems: list[Problem] = []
    if merchant.time_zone and merchant.time_zone not in available_timezones():
        problems.append(
            Problem(
                pointer="/time_zone",
                code="not_allowed_value",
                message="must be an IANA time zone, as in America/New_York or Europe/Berlin",
            )
        )
    if merchant.currency_code and merchant.currency_code not in CURRENCIES:
        problems.append(
            Problem(
                pointer="/currency_code",
                code="not_allowed_value",
                message=f"allowed are {', '.join(sorted(CURRENCIES))}",
            )
        )
    for position, origin in enumerate(merchant.allowed_origins or []):
        host = origin.partition("://")[2]
        if not origin.startswith(("https://", "http://127.0.0.1", "http://localhost")) or "/" in host or not host:
            problems.append(
                Problem(
                    pointer=f"/allowed_origins/{position}",
                    code="invalid",
                    message="must be an origin without a path, as in https://shop.example.com",
                )
            )
    if merchant.sender_email and "@" not in merchant.sender_email:
        problems.append(Problem(pointer="/sender_email", code="invalid", message="must be an e-mail address"))
    if problems:
        raise Invalid(problems)
