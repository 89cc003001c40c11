"""Field types that many nouns share: bounded texts, amounts, counts. The bounds are the contract's; where it names
none, they keep a document small."""

from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta

# Oids are positive 32-bit numbers: the Java and C# clients read int32.
LARGEST_OID = 2**31 - 1

Oid = Annotated[int, Meta(ge=1, le=LARGEST_OID)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Days = Annotated[int, Meta(ge=0, le=3650)]
# msgspec bounds no Decimal: ``extra`` carries the bounds to ``wire.noun``, which checks them.
Quantity = Annotated[Decimal, Meta(extra={"gt": 0, "le": 100_000})]
Amount = Annotated[Decimal, Meta(extra={"ge": 0, "le": 9_999_999})]
Percentage = Annotated[Decimal, Meta(extra={"ge": 0, "le": 100})]
Month = Annotated[int, Meta(ge=1, le=12)]
Year = Annotated[int, Meta(ge=2000, le=2200)]
Text2 = Annotated[str, Meta(max_length=2)]
Text3 = Annotated[str, Meta(max_length=3)]
Text10 = Annotated[str, Meta(max_length=10)]
Text20 = Annotated[str, Meta(max_length=20)]
Text25 = Annotated[str, Meta(max_length=25)]
Text30 = Annotated[str, Meta(max_length=30)]
Text32 = Annotated[str, Meta(max_length=32)]
Text50 = Annotated[str, Meta(max_length=50)]
Text75 = Annotated[str, Meta(max_length=75)]
Text100 = Annotated[str, Meta(max_length=100)]
Text200 = Annotated[str, Meta(max_length=200)]
Text512 = Annotated[str, Meta(max_length=512)]
Text1024 = Annotated[str, Meta(max_length=1024)]
Text2000 = Annotated[str, Meta(max_length=2000)]
Text3800 = Annotated[str, Meta(max_length=3800)]
Text10000 = Annotated[str, Meta(max_length=10000)]
# The two-letter code of a country, upper case.
CountryCode = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", examples=["US"])]
ItemId = Annotated[str, Meta(min_length=1, max_length=20, pattern=r"^[A-Za-z0-9._/-]+$")]
OrderId = Annotated[str, Meta(min_length=1, max_length=30, pattern=r"^[A-Za-z0-9._-]+$")]


def rule(title: str, description: str, **ui: Any) -> Meta:
    """The title and the help of a field that is a rule: forms and the schema are made from them. ``ui`` as in
    ``on_form``."""
    return Meta(title=title, description=description, extra_json_schema=on_form(**ui) if ui else None)


def on_form(**ui: Any) -> dict[str, Any]:
    """How a field stands on a form, under ``x-ui`` of its schema.

    ``group``: of which it is a part; ``unit``: what is counted (``currency``: the shop's); ``blank``: what an empty
    field means; ``widget``: ``hour``, or ``words``, a list of short texts in one box; ``choices``: what may be chosen,
    in order, or where it stands: a list of the shop's by its name, or the same section's, as in ``/gateways/*/code``.

    Of a list of nouns: ``entry``: what one is called; ``summary``: the parts that tell one from another, which makes
    each a card that is closed until somebody opens it; ``key``: the parts by which the same one is known again, where
    that is not the first of the summary; ``parts``: those that stand first; ``ordered``: their order counts.

    ``warnings``: each shown only where the value is ``above``, ``below`` or ``is`` what it says, or is ``changed``; or
    where the ``sum`` of a part of a list's entries, as in ``/gateways/*/traffic_percentage``, ``is_not`` what it says:
    ``over`` the entries in which other parts are so, once somebody has said one (``blank``: what the others count for).

    ``maximum_bytes``: of the file whose kind the field says.
    """
    return {"x-ui": ui}
