"""The merchant's page: which files are served, under which policy, and how a browser keeps them."""

import pytest

from chalicelib.handlers import admin, files
from tests.houses import TestHouse


def test_the_page_stands_where_its_files_are_beside_it(house: TestHouse) -> None:
    moved = house.call("GET", "/admin")
    assert (moved.status, moved.headers["Location"]) == (301, "admin/"), "relative: a stage may stand before the path"
    page = house.call("GET", "/admin/")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=UTF-8")
    assert page.body == house.call("GET", "/admin/index.html").body


def test_no_script_runs_on_the_page_but_its_own_and_nothing_frames_it(house: TestHouse) -> None:
    page = house.call("GET", "/admin/")
    assert page.headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in page.headers, "this machine has no TLS"
    house.public_url = "https://shop.example.com"
    assert house.call("GET", "/admin/").headers["Strict-Transport-Security"] == "max-age=31536000"
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_files_may_be_sent_to_where_the_shop_keeps_them(house: TestHouse) -> None:
    house.upload_origins = lambda: ("https://files.example.com",)
    policy = house.call("GET", "/admin/").headers["Content-Security-Policy"]
    assert "connect-src 'self' https://files.example.com;" in policy


def test_what_a_browser_has_already_is_asked_for_each_time_and_not_sent_again(house: TestHouse) -> None:
    first = house.call("GET", "/admin/")
    assert first.headers["Cache-Control"] == "no-cache"
    again = house.call("GET", "/admin/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, "")


@pytest.mark.parametrize(
    "name",
    ["..%2Fdocs%2Findex.html", "..%2F..%2Fconfig.py", "docs", "vendor", "vendor%2Fswagger-ui", ".hidden.js", "x" * 300],
)
def test_no_other_file_is_served(house: TestHouse, name: str) -> None:
    assert house.call("GET", f"/admin/{name}").status == 404
    assert house.call("GET", f"/admin/vendor/{name}").status == 404


def test_every_file_of_the_page_is_served_with_its_type(house: TestHouse) -> None:
    for folder in ("", admin.VENDOR):
        for path in admin._files(folder):
            reply = house.call("GET", f"/admin/{path}")
            assert reply.status == 200
            assert reply.headers["Content-Type"].partition(";")[0] in files.TYPES.values()
            assert reply.body == (files.ADMIN / path).read_text()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("preact-11.2.0.js", files.FOR_EVER),
        ("preact-htm-11.2.0.min.js", files.FOR_EVER),
        ("preact.js", files.EACH_TIME),
        ("preact-11.js", files.EACH_TIME),
    ],
)
def test_only_what_has_its_version_in_its_name_is_kept_without_asking(name: str, kept: str) -> None:
    assert admin.kept(name) == kept
