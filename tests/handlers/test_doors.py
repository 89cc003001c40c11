"""Every door: who may pass, and what no door takes, whatever lies behind it."""

import re

import pytest

from chalicelib.domain.access import RESOURCES
from chalicelib.handlers import doors, http
from chalicelib.handlers.http import ROUTES, SESSION, SIGNED, STOREFRONT, WITHOUT_KEY, Route
from tests.houses import TestHouse, a_house

assert doors.DOORS, "the routes are declared where the doors are imported"
GUARDED = [route for route in ROUTES if route.scope not in {*WITHOUT_KEY, SESSION}]
WITH_BODY = [route for route in GUARDED if route.takes is not None]


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def path_of(route: Route) -> str:
    return re.sub(r"{[^}]*}", "1", route.path)


@pytest.fixture
def house() -> TestHouse:
    house = a_house()
    house.found()
    return house


def right_key(house: TestHouse, route: Route) -> str:
    return house.key(kind="browser") if route.scope == STOREFRONT else house.key(scopes=[route.scope])


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_without_a_key_that_is_known_nobody_passes(house: TestHouse, route: Route) -> None:
    for headers in ({}, {"x-ultracart-simple-key": "guess", "x-ultracart-browser-key": "guess"}):
        reply = house.call(route.method, path_of(route), headers=headers)
        assert (reply.status, reply.json["code"]) == (401, "invalid_credentials")


@pytest.mark.parametrize("route", [route for route in ROUTES if route.scope == SIGNED], ids=named)
def test_what_is_to_be_signed_is_not_taken_unsigned_whatever_key_comes_with_it(house: TestHouse, route: Route) -> None:
    path = route.path.format(merchant_id="DEMO", code="sandbox")
    for key in (None, house.key(), house.key(kind="browser")):
        reply = house.call(route.method, path, {}, key=key)
        assert (reply.status, reply.json["code"]) == (401, "invalid_credentials")


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_a_key_without_the_scope_does_not_open_the_door(house: TestHouse, route: Route) -> None:
    others = [f"{resource}_{verb}" for resource in RESOURCES for verb in ("read", "write")]
    key = house.key(scopes=[scope for scope in others if scope != route.scope])
    if route.scope == STOREFRONT:
        reply = house.call(route.method, path_of(route), headers={"x-ultracart-browser-key": key})
    else:
        reply = house.call(route.method, path_of(route), key=key)
    assert (reply.status, reply.json["code"]) == (403, "not_allowed")


@pytest.mark.parametrize("route", [r for r in GUARDED if r.scope != STOREFRONT], ids=named)
def test_a_browser_key_opens_no_door_of_the_merchants(house: TestHouse, route: Route) -> None:
    key = house.key(kind="browser")
    assert house.call(route.method, path_of(route), headers={"x-ultracart-simple-key": key}).status == 403
    assert house.call(route.method, path_of(route), headers={"x-ultracart-browser-key": key}).status == 401


def test_every_scope_is_of_a_resource_that_keys_can_be_issued_for() -> None:
    known = {f"{resource}_{verb}" for resource in RESOURCES for verb in ("read", "write")} | {
        *WITHOUT_KEY,
        SESSION,
        STOREFRONT,
    }
    assert {route.scope for route in ROUTES} <= known


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"a": 1,}', 400, "malformed_json"),
        (b"\xff\xfe", 400, "malformed_json"),
        (b'{"a": 1, "a": 2}', 400, "duplicate_key"),
        (b'{"a": NaN}', 400, "malformed_json"),
        (b'{"a": 1e-99999999}', 400, "number_too_long"),
        (b'{"a": "\\ud800"}', 400, "malformed_json"),
        (b'{"\\ud800": 1, "\\ud800": 2}', 400, "duplicate_key"),
        (b"[" * 33 + b"]" * 33, 400, "too_deep"),
        (b"[" * 100_000, 400, "too_deep"),
        (b'"' + b"x" * http.MAXIMUM_BODY_BYTES + b'"', 413, "too_large"),
        (b"7", 400, "wrong_type"),
        (b"null", 400, "wrong_type"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_request_is_refused_and_leaves_nothing(
    house: TestHouse, route: Route, body: bytes, status: int, code: str
) -> None:
    key = right_key(house, route)
    before = house.everything()
    reply = house.call(route.method, path_of(route), body, key=key, headers={"idempotency-key": "1"})
    problems = [problem["code"] for problem in reply.json["problems"]]
    if reply.json["code"] == "not_found" or problems == ["not_in_test_mode"]:
        assert reply.status == 400, "what it was for is not there, and that was seen first"
    else:
        assert reply.status == status, reply.body
        assert code in [*problems, reply.json["code"]]
    assert house.everything() == before


@pytest.mark.parametrize("route", [r for r in GUARDED if r.method != "GET"], ids=named)
def test_what_a_door_refuses_it_refuses_in_the_envelope(house: TestHouse, route: Route) -> None:
    reply = house.call(route.method, path_of(route), {"no_such_field": 1}, key=right_key(house, route))
    if reply.status >= 400:
        assert reply.json["error"]["error_code"] == str(reply.status)
        assert reply.json["error"]["developer_message"] == reply.json["error"]["user_message"]
        assert reply.json["metadata"] == {}
        assert "success" not in reply.json
        assert reply.headers["UC-REST-ERROR"]
    assert re.fullmatch("[0-9A-F]{32}", reply.headers["X-UltraCart-Request-Id"])
    assert reply.headers["Cache-Control"] == "no-store"


def test_every_path_part_is_taken_by_what_is_written_out_first() -> None:
    """A path in words wins over one with a part in the same place, so no noun may be called by that word."""
    by_shape: dict[tuple[str, ...], list[str]] = {}
    for route in ROUTES:
        shape = tuple("{}" if part.startswith("{") else part for part in route.path.split("/"))
        by_shape.setdefault((route.method, *shape), []).append(route.path)
    assert {shape: paths for shape, paths in by_shape.items() if len(paths) > 1} == {}
