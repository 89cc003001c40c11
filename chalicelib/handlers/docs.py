"""The API reference: the OpenAPI document, and a page that shows it. Everything on the page comes from here.

The page is Swagger UI as its makers publish it (chalicelib/admin/vendor/swagger-ui), under a policy that lets no other
script run and sends nothing anywhere else.
"""

from chalice.app import Response

from chalicelib.domain.errors import NotFound
from chalicelib.handlers import files, openapi
from chalicelib.handlers.http import BASE, OPEN, Ask, Door

door = Door("docs")

PAGE = "docs/index.html"
# What the page may load, by its name there. Nothing else is served.
FILES = {
    "page.css": "docs/page.css",
    "start.js": "docs/start.js",
    "swagger-ui-bundle.js": "vendor/swagger-ui/swagger-ui-bundle.js",
    "swagger-ui.css": "vendor/swagger-ui/swagger-ui.css",
}
POLICY = files.page_policy("'none'")


@door("GET", openapi.ITSELF, OPEN, summary="This document", base=BASE)
def get_openapi(ask: Ask) -> Response:
    return files.answer(ask, openapi.text(), ".json")


@door("GET", "/docs", OPEN, summary="The API reference, to read and to try", base="")
def get_docs(ask: Ask) -> Response:
    return files.moved("../docs") if files.with_slash(ask) else files.page(ask, PAGE, POLICY)


@door("GET", "/docs/{file}", OPEN, summary="What the API reference is made of", base="")
def get_docs_file(ask: Ask, file: str) -> Response:
    if file not in FILES:
        raise NotFound("file", file[:100])
    return files.served(ask, FILES[file])
