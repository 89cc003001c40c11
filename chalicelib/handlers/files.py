"""Files that are served as they are, out of chalicelib/admin: with their type, and with a tag, so that what a browser
has already is not sent again. Files are read when they are asked for, not when the app starts.

All of them are texts: what API Gateway hands on needs no binary types, and it packs the answer where the client takes
that (``minimum_compression_size`` of the stage; ``infra.server`` does the same).
"""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from chalice.app import Response

from chalicelib.handlers.http import Ask, secure

ADMIN = Path(__file__).parent.parent / "admin"
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
# Whoever was here once comes back over TLS, whatever he types.
TLS_ONLY = "max-age=31536000"
# Clients ask each time, so nobody sees yesterday's; a file whose name changes with its content is asked for once.
EACH_TIME = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"


def page_policy(form_action: str, *others: str, asks: Iterable[str] = ()) -> str:
    """The content policy of a page that is made of our own files only. Its marks may be drawn from data: addresses; of
    those only pictures are let through. ``asks``: whom its scripts may ask besides the shop."""
    rules = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        " ".join(("connect-src 'self'", *asks)),
        "base-uri 'none'",
        f"form-action {form_action}",
        "frame-ancestors 'none'",
        *others,
    )
    return "; ".join(rules)


def page(ask: Ask, name: str, policy: str) -> Response:
    """A page for a browser, under its policy."""
    ask.headers_out["Content-Security-Policy"] = policy
    # Nobody else hears where the page stands; its own forms must say it of themselves, or they are taken for forged.
    ask.headers_out["Referrer-Policy"] = "same-origin"
    if secure():
        ask.headers_out["Strict-Transport-Security"] = TLS_ONLY
    return served(ask, name)


def served(ask: Ask, name: str, kept: str = EACH_TIME) -> Response:
    """The file ``name`` of the folder, or that it is still the same."""
    return answer(ask, text(name), Path(name).suffix, kept)


def answer(ask: Ask, content: str, suffix: str, kept: str = EACH_TIME) -> Response:
    """The text with the type of ``suffix``, or that it is still the same."""
    tag = f'"{_digest(content)}"'
    ask.headers_out |= {"ETag": tag, "Cache-Control": kept}
    asked = [name.strip().removeprefix("W/") for name in (ask.header("if-none-match") or "").split(",")]
    if tag in asked:
        return Response(body="", status_code=304, headers={})
    return Response(body=content, status_code=200, headers={"Content-Type": f"{TYPES[suffix]}; charset=UTF-8"})


def with_slash(ask: Ask) -> bool:
    """Whether the path was asked for with a slash at its end: both ways lead to one route."""
    return str(ask.request.context.get("path", "")).endswith("/")


def moved(to: str) -> Response:
    """Where the page's files are beside it; ``to`` is relative, for a stage may stand before the path."""
    return Response(body="", status_code=301, headers={"Location": to})


@lru_cache(maxsize=64)
def text(name: str) -> str:
    return (ADMIN / name).read_bytes().decode()


@lru_cache(maxsize=64)
def _digest(content: str) -> str:
    return sha256(content.encode()).hexdigest()[:32]
