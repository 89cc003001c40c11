"""Sales tax: the merchant's own rates by place, of which the most specific one counts (they do not add up)."""

from typing import Annotated, ClassVar

from msgspec import Meta

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import CountryCode, Percentage, on_form
from chalicelib.domain.shipping import Place
from chalicelib.domain.wire import Noun, Words

# All states of a federation with their larger towns; who needs every postal code needs a tax service. Bounds the
# section's document.
MAXIMUM_RATES = 1000

# Shown at the rate where it is so: no sales tax of the world is higher.
UNUSUAL = {"above": 30, "message": "No sales tax is this high: is the point where it belongs?"}


class TaxRate(Noun):
    """``rate`` is a percentage: 8.875. A rate of 0 says that a place within a taxed one is not taxed."""

    words: ClassVar[Words] = {
        "country_code": ("Country", "Where the rate counts.", {"choices": "countries"}),
        "rate": ("Rate", "As in 8.875. 0: not taxed.", {"unit": "%", "warnings": [UNUSUAL]}),
        "state_region": ("State", "As addresses carry it, as in NY. Blank: all."),
        "postal_prefix": ("Postal prefix", "What the postal code begins with, as in 100 or SW1A. Blank: all."),
        "tax_shipping": ("Tax shipping", "Shipping is taxed too."),
    }

    country_code: CountryCode
    rate: Percentage
    state_region: Annotated[str, Meta(min_length=1, max_length=32)] | None = None
    postal_prefix: Annotated[str, Meta(min_length=1, max_length=10)] | None = None
    tax_shipping: bool | None = None


class TaxSettings(Noun):
    section: ClassVar[str] = "taxes"

    rates: (
        Annotated[
            list[TaxRate],
            Meta(
                max_length=MAXIMUM_RATES,
                title="Tax rates",
                description="One rate counts for each order: that of the longest postal prefix, else of the state, "
                "else of the country. They do not add up. None: no tax.",
                extra_json_schema=on_form(
                    entry="tax rate",
                    summary=["country_code", "state_region", "postal_prefix", "rate", "tax_shipping"],
                    key=["country_code", "state_region", "postal_prefix"],
                ),
            ),
        ]
        | None
    ) = None


def rate_for(settings: TaxSettings, place: Place | None) -> TaxRate | None:
    """The most specific rate for the place; None where nothing is taxed there or the country is not known."""
    if place is None or not place.country_code:
        return None
    fitting = [rate for rate in settings.rates or [] if _fits(rate, place)]
    return max(fitting, key=_how_specific, default=None)


def validate(settings: TaxSettings) -> None:
    """Rules between the fields: no place has two rates. Raises Invalid with all problems."""
    problems: list[Problem] = []
    seen: set[tuple[str, str, str]] = set()
    for position, rate in enumerate(settings.rates or []):
        for name in ("state_region", "postal_prefix"):
            text = getattr(rate, name)
            if text is not None and not _letters(text):
                problems.append(
                    Problem(pointer=f"/rates/{position}/{name}", code="invalid", message="is blank; leave it out")
                )
        key = (rate.country_code, _state(rate.state_region), _letters(rate.postal_prefix))
        if key in seen:
            problems.append(
                Problem(pointer=f"/rates/{position}", code="conflict", message="this place has a rate already")
            )
        seen.add(key)
    if problems:
        raise Invalid(problems)


def _fits(rate: TaxRate, place: Place) -> bool:
    return (
        rate.country_code == place.country_code
        and (not rate.state_region or _state(rate.state_region) == _state(place.state_region))
        and _letters(place.postal_code).startswith(_letters(rate.postal_prefix))
    )


def _how_specific(rate: TaxRate) -> tuple[int, bool]:
    return len(_letters(rate.postal_prefix)), bool(rate.state_region)


def _state(text: str | None) -> str:
    return (text or "").strip().casefold()


def _letters(text: str | None) -> str:
    """A postal code without what people write between its groups: "sw1a 1aa" is SW1A1AA, "00-950" is 00950."""
    return "".join(character for character in (text or "").upper() if character.isalnum())
