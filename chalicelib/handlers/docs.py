"""The API reference: the OpenAPI document, and a page that shows it. Everything on the page comes from here.

The page is Swagger UI as its makers publish it (chalicelib/admin/vendor/swagger-ui), under a policy that lets no other
script run and sends nothing anywhere else. Files are read when they are asked for, not when the app starts.
"""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from chalice.app import Response

from chalicelib.domain.errors import NotFound
from chalicelib.handlers import openapi
from chalicelib.handlers.http import BASE, OPEN, Ask, Door

door = Door("docs")

ADMIN = Path(__file__).parent.parent / "admin"
PAGE = "docs/index.html"
# What the page may load, by its name there. Nothing else is served.
FILES = {
    "page.css": "docs/page.css",
    "start.js": "docs/start.js",
    "swagger-ui-bundle.js": "vendor/swagger-ui/swagger-ui-bundle.js",
    "swagger-ui.css": "vendor/swagger-ui/swagger-ui.css",
}
TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".json": "application/json"}
# Swagger UI draws its marks from data: addresses in its style sheet; of those only pictures are let through.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@door("GET", openapi.ITSELF, OPEN, summary="This document", base=BASE)
def get_openapi(ask: Ask) -> Response:
    return _file(ask, openapi.text(), ".json")


@door("GET", "/docs", OPEN, summary="The API reference, to read and to try", base="")
def get_docs(ask: Ask) -> Response:
    if str(ask.request.context.get("path", "")).endswith("/"):
        # Both ways lead here, and what the page loads is beside it.
        return Response(body="", status_code=301, headers={"Location": "../docs"})
    ask.headers_out["Content-Security-Policy"] = POLICY
    ask.headers_out["Referrer-Policy"] = "no-referrer"
    return _file(ask, _text(PAGE), ".html")


@door("GET", "/docs/{file}", OPEN, summary="What the API reference is made of", base="")
def get_docs_file(ask: Ask, file: str) -> Response:
    if file not in FILES:
        raise NotFound("file", file[:100])
    return _file(ask, _text(FILES[file]), Path(file).suffix)


@lru_cache(maxsize=8)
def _text(name: str) -> str:
    return (ADMIN / name).read_bytes().decode()


def _file(ask: Ask, text: str, suffix: str) -> Response:
    """The text, or that it is still the same; clients ask each time, so nobody sees yesterday's."""
    tag = f'"{_digest(text)}"'
    ask.headers_out |= {"ETag": tag, "Cache-Control": "no-cache"}
    asked = [name.strip().removeprefix("W/") for name in (ask.header("if-none-match") or "").split(",")]
    if tag in asked:
        return Response(body="", status_code=304, headers={})
    return Response(body=text, status_code=200, headers={"Content-Type": f"{TYPES[suffix]}; charset=UTF-8"})


@lru_cache(maxsize=8)
def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]
