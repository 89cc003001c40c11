"""Views of one person on one screen: kept as one noun under its version."""

from typing import Any

from chalicelib.domain.drafts import changed
from chalicelib.domain.errors import Contended, NotFound, Refused, Stale
from chalicelib.domain.views import SCREENS, ScreenViews, validate
from chalicelib.flows.ports import Shop

# A change that met a faster writer is laid over what stands now.
MOST_TRIES = 5


def views(shop: Shop, owner: str, screen: str) -> tuple[ScreenViews, int]:
    """What the owner keeps of the screen, and its version: 0 where nothing was saved. Raises NotFound."""
    if screen not in SCREENS:
        raise NotFound("screen", screen)
    kept = shop.views.find(_name(owner, screen))
    if kept is None:
        return ScreenViews(owner=owner, screen=screen), 0
    return kept.noun, kept.version


def save_views(shop: Shop, owner: str, screen: str, raw: Any, *, version: int | None = None) -> tuple[ScreenViews, int]:
    """The same with the request laid over it; arrays whole. What changes nothing writes nothing.

    ``version`` is the one that If-Match named, if it did. Raises NotFound, Stale, and Invalid with all problems.
    """
    for _ in range(MOST_TRIES):
        before, stands_at = views(shop, owner, screen)
        if version is not None and version != stands_at:
            raise Stale(f"The views are at version {stands_at} now.")
        after = changed(before, raw, validate)
        if after == before:
            return before, stands_at
        name = _name(owner, screen)
        change = shop.views.replaced(name, after, stands_at) if stands_at else shop.views.inserted(name, after)
        try:
            shop.write(change)
        except Refused:
            continue
        return after, stands_at + 1
    raise Contended("the views are being changed by others; try again")


def _name(owner: str, screen: str) -> str:
    return f"{screen}#{owner}"
