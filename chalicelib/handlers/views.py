"""Views over HTTP: the columns and the saved searches of whoever asks."""

from typing import Any

from chalicelib.domain.views import ScreenViews
from chalicelib.domain.wire import whole
from chalicelib.flows.views import save_views, views
from chalicelib.handlers.http import Ask, Door, one

door = Door("views")

SCREEN = "/configuration/views/{screen}"
# Whoever may look may keep how he looks: it is of nobody else, and changes nothing of the shop's.
OWN = "configuration_read"


def _answer(ask: Ask, noun: ScreenViews, version: int) -> dict[str, Any]:
    ask.etag(version)
    return one("screen_views", whole(noun, ask.form))


@door("GET", SCREEN, OWN, summary="Retrieve one's own columns and views of a screen", gives=ScreenViews)
def get_views(ask: Ask, screen: str) -> dict[str, Any]:
    return _answer(ask, *views(ask.shop, ask.actor, screen))


@door(
    "PUT",
    SCREEN,
    OWN,
    summary="Change one's own columns and views of a screen; lists whole",
    takes=ScreenViews,
    gives=ScreenViews,
)
def update_views(ask: Ask, screen: str) -> dict[str, Any]:
    return _answer(ask, *save_views(ask.shop, ask.actor, screen, ask.raw(), version=ask.if_match()))
