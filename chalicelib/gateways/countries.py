"""The countries of the world, as the time zone database that we carry anyway names them."""

from functools import lru_cache


@lru_cache(maxsize=1)
def countries() -> tuple[tuple[str, str], ...]:
    """(ISO 3166 code, name), in the order of the names. Read once by each process."""
    from importlib.resources import files

    text = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    found = [tuple(line.split("\t")[:2]) for line in text.splitlines() if line and not line.startswith("#")]
    return tuple((code, name) for code, name in sorted(found, key=lambda one: one[1]))
