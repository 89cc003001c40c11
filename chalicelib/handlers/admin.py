"""The merchant's page: static files of chalicelib/admin, no build, no rules. What it shows and does goes through the
same calls as everybody's."""

import re
from functools import lru_cache
from pathlib import Path

from chalice.app import Response

from chalicelib import wiring
from chalicelib.domain.errors import NotFound
from chalicelib.handlers import files
from chalicelib.handlers.http import OPEN, Ask, Door

door = Door("admin")

PAGE = "index.html"
VENDOR = "vendor"
# A name as the page's files have it; what else a path may hold leads nowhere.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
# A file that carries its version in its name is another file when it changes.
VERSIONED = re.compile(r"-\d+(\.\d+)+[.-]")
# Its texts come to stand in the page through no door but text nodes: a browser that knows trusted types holds that.
TEXTS_ONLY = "require-trusted-types-for 'script'"


@door("GET", "/admin", OPEN, summary="The merchant's page", base="")
def get_admin(ask: Ask) -> Response:
    # What the page loads stands below it, so the path ends with a slash.
    if not files.with_slash(ask):
        return files.moved("admin/")
    # A file that is to be imported goes straight to where files are kept.
    policy = files.page_policy("'self'", TEXTS_ONLY, asks=wiring.house().upload_origins())
    return files.page(ask, _file(PAGE), policy)


@door("GET", "/admin/{file}", OPEN, summary="What the merchant's page is made of", base="")
def get_admin_file(ask: Ask, file: str) -> Response:
    return files.served(ask, _file(file))


@door("GET", "/admin/vendor/{file}", OPEN, summary="What others made of the merchant's page", base="")
def get_admin_vendor_file(ask: Ask, file: str) -> Response:
    return files.served(ask, _file(f"{VENDOR}/{file}", folder=VENDOR), kept(file))


def kept(file: str) -> str:
    """How long a browser may keep it without asking."""
    return files.FOR_EVER if VERSIONED.search(file) else files.EACH_TIME


def _file(path: str, folder: str = "") -> str:
    """Raises NotFound for what is none of the page's files."""
    if path not in _files(folder):
        raise NotFound("file", path[:100])
    return path


@lru_cache(maxsize=2)
def _files(folder: str) -> frozenset[str]:
    """All that may be served of one folder, without its own folders."""
    names = (entry.name for entry in (files.ADMIN / folder).iterdir() if entry.is_file())
    fit = (name for name in names if NAME.fullmatch(name) and Path(name).suffix in files.TYPES)
    return frozenset(str(Path(folder) / name) for name in fit)
