"""Exports and imports over HTTP, from the upload to the undoing; and that nobody reaches another shop's."""

import re
from typing import Any

import pytest

from chalicelib.flows import export_customers, import_customers
from chalicelib.handlers.http import ROUTES
from tests.houses import Reply, TestHouse

BASE = "/rest/v2/customer"
FILE = b"Email,First Name,Place\r\nada@example.com,Ada,Turin\r\nnew@example.com,New,Rome\r\n,No,Oslo\r\n"
MAPPED = {"columns": {"Place": "billing_1_city"}, "save_as": "places"}


@pytest.fixture
def key(house: TestHouse) -> str:
    key = house.found(time_zone="America/New_York")
    for email in ("ada@example.com", "bob@example.com"):
        assert house.call("POST", f"{BASE}/customers", {"email": email}, key=key).status == 200
    return key


def made(house: TestHouse, key: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
    reply = house.call(method, BASE + path, body, key=key, **more)
    assert reply.status == 200, reply.body
    return reply.json


def work(house: TestHouse) -> None:
    for _ in range(50):
        messages = [message for queue, message in house.sent.take() if queue == "files"]
        for message in messages:
            go_on = export_customers.go_on if message["kind"] == "export" else import_customers.go_on
            go_on(house.open_shop(message["merchant_id"]), message["id"])


def uploaded(house: TestHouse, key: str, data: bytes = FILE, merchant_id: str = "DEMO") -> str:
    file = made(house, key, "POST", "/import_files")["import_file"]
    assert file["upload"]["url"].startswith("http://127.0.0.1:8000/files/")
    house.open_shop(merchant_id).files.write(f"passing/uploads/{file['file']}", [data], "text/csv")
    return str(file["file"])


def imported(house: TestHouse, key: str, **asked: Any) -> str:
    body = {"file": uploaded(house, key), "format": "csv"} | asked
    return str(made(house, key, "POST", "/imports", body)["customer_import"]["import_id"])


def test_what_a_column_can_be_is_told_as_an_export_has_it(house: TestHouse, key: str) -> None:
    told = [column["column"] for column in made(house, key, "GET", "/import_columns")["import_columns"]]
    assert told[:2] == ["email", "customer_profile_oid"]
    assert {"billing_1_city", "billing_10_city", "billing_more", "tags"} <= set(told)
    assert len(set(told)) == len(told)
    path = f"/imports/{imported(house, key)}"
    work(house)
    for name, status in ((told[-1], 200), ("shoes", 400)):
        reply = house.call("PUT", f"{BASE}{path}/mapping", {"columns": {"Place": name}}, key=key)
        assert reply.status == status, reply.body
        work(house)


def test_an_import_goes_step_by_step_and_is_shown_at_each(house: TestHouse, key: str) -> None:
    path = f"/imports/{imported(house, key, delete_missing=True)}"
    begun = made(house, key, "GET", path)["customer_import"]
    assert (begun["state"], begun["kept_until_dts"]) == ("reading", "2027-03-02T15:00:00-05:00")
    work(house)
    job = made(house, key, "GET", path)["customer_import"]
    assert (job["state"], job["number_of_rows"]) == ("mapping", 3)
    assert job["columns"] == [
        {"position": 0, "heading": "Email", "column": "email", "ignored": False},
        {"position": 1, "heading": "First Name", "column": "billing_1_first_name", "ignored": False},
        {"position": 2, "heading": "Place", "ignored": False},
    ]
    assert "'Place'" in job["problem"]
    assert house.call("POST", f"{BASE}{path}/confirm", {}, key=key).problems == {"/state": "conflict"}
    made(house, key, "PUT", f"{path}/mapping", MAPPED)
    work(house)
    job = made(house, key, "GET", path)["customer_import"]
    counts = [job[f"number_{name}"] for name in ("to_create", "to_change", "same", "rejected", "to_delete")]
    assert (job["state"], counts) == ("compared", [1, 1, 0, 1, 1])
    assert job["rejected_url"].startswith("http://127.0.0.1:8000/files/")
    page = made(house, key, "GET", f"{path}/rows", query={"_limit": "1"})
    rows = page["rows"]
    while "next_cursor" in page["metadata"]:
        query = {"_limit": "1", "cursor": page["metadata"]["next_cursor"]}
        page = made(house, key, "GET", f"{path}/rows", query=query)
        rows += page["rows"]
    assert [(row["row"], row["verdict"], row.get("email")) for row in rows] == [
        (2, "change", "ada@example.com"),
        (3, "create", "new@example.com"),
        (4, "reject", None),
    ]
    assert rows[0]["changes"] == [
        {"column": "billing_1_first_name", "before": "", "after": "Ada"},
        {"column": "billing_1_city", "before": "", "after": "Turin"},
    ]
    assert "version" not in rows[0]
    only = made(house, key, "GET", f"{path}/rows", query={"only": "reject"})["rows"]
    assert [row["row"] for row in only] == [4]
    [gone] = made(house, key, "GET", f"{path}/missing")["customers"]
    assert gone["email"] == "bob@example.com"
    refused = house.call("POST", f"{BASE}{path}/confirm", {}, key=key)
    assert (refused.status, refused.problems) == (400, {"/delete_digest": "required"})
    made(house, key, "POST", f"{path}/confirm", {"delete_digest": job["delete_digest"]})
    work(house)
    job = made(house, key, "GET", path)["customer_import"]
    counts = [job[f"number_{name}"] for name in ("created", "changed", "deleted", "left")]
    assert (job["state"], counts, job["finished_dts"]) == ("applied", [1, 1, 1, 0], "2027-01-31T15:00:00-05:00")
    assert house.call("GET", f"{BASE}/customers/by_email/bob@example.com", key=key).status == 404
    made(house, key, "POST", f"{path}/undo")
    work(house)
    assert made(house, key, "GET", path)["customer_import"]["number_undone"] == 3
    assert house.call("GET", f"{BASE}/customers/by_email/bob@example.com", key=key).status == 200
    assert made(house, key, "GET", "/import_mappings")["import_mappings"] == [
        {
            "name": "places",
            "columns": {"Email": "email", "First Name": "billing_1_first_name", "Place": "billing_1_city"},
        }
    ]
    assert house.call("DELETE", f"{BASE}/import_mappings/places", key=key).status == 204


def test_an_export_is_made_in_the_background_and_shown_with_a_link(house: TestHouse, key: str) -> None:
    begun = made(house, key, "POST", "/exports", {"format": "csv", "columns": ["email"]})["customer_export"]
    assert begun["state"] == "waiting"
    assert "url" not in begun
    work(house)
    done = made(house, key, "GET", f"/exports/{begun['export_id']}")["customer_export"]
    assert (done["state"], done["number_of_profiles"], done["file_name"]) == ("done", 2, "customers-2027-01-31.csv")
    assert done["url"].startswith("http://127.0.0.1:8000/files/")
    for number in range(2):
        house.clock.pass_(seconds=1)
        made(house, key, "POST", "/exports", {"format": "csv"})
        assert number < 2
    page = made(house, key, "GET", "/exports", query={"_limit": "2"})
    rest = made(house, key, "GET", "/exports", query={"cursor": page["metadata"]["next_cursor"]})
    listed = [one["export_id"] for one in page["customer_exports"] + rest["customer_exports"]]
    assert (len(listed), listed[-1]) == (3, begun["export_id"]), "the newest first"


@pytest.mark.parametrize(
    ("path", "body", "problems"),
    [
        ("/exports", {}, {"/format": "required"}),
        ("/exports", {"format": "pdf"}, {"/format": "not_allowed_value"}),
        ("/exports", {"format": "csv", "columns": ["email", "password"]}, {"/columns/1": "unknown"}),
        ("/imports", {"file": "../x", "format": "csv"}, {"/file": "out_of_range"}),
        ("/imports", {"file": "nothing", "format": "csv"}, {"/file": "unknown"}),
        ("/imports", {"file": "nothing", "format": "xlsx", "delimiter": ";", "mapping": "no"},
         {"/file": "unknown", "/mapping": "unknown", "/delimiter": "conflict"}),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused_by_name(
    house: TestHouse, key: str, path: str, body: Any, problems: dict[str, str]
) -> None:
    before = house.everything()
    reply = house.call("POST", BASE + path, body, key=key)
    assert (reply.status, reply.problems) == (400, problems)
    assert house.everything() == before


def test_nobody_begins_more_than_thirty_an_hour(house: TestHouse, key: str) -> None:
    for _ in range(30):
        made(house, key, "POST", "/exports", {"format": "csv"})
    assert house.call("POST", f"{BASE}/exports", {"format": "csv"}, key=key).status == 429


def test_no_id_and_no_cursor_of_another_shop_opens_anything(house: TestHouse, key: str) -> None:
    import_id = imported(house, key)
    export_id = made(house, key, "POST", "/exports", {"format": "csv"})["customer_export"]["export_id"]
    work(house)
    made(house, key, "PUT", f"/imports/{import_id}/mapping", MAPPED)
    work(house)
    file = uploaded(house, key)
    cursor = made(house, key, "GET", f"/imports/{import_id}/rows", query={"_limit": "1"})["metadata"]["next_cursor"]
    other, names = house.found("OTHER"), {"import_id": import_id, "export_id": export_id, "name": "places"}
    before, tried = house.everything(), 0
    for route in ROUTES:
        if not route.path.startswith((f"{BASE}/import", f"{BASE}/export")) or "{" not in route.path:
            continue
        path = re.sub(r"{(\w+)}", lambda part: names[part[1]], route.path)
        body = {"columns": {}} if path.endswith("/mapping") else {}
        reply: Reply = house.call(route.method, path, body if route.takes else None, key=other)
        assert (reply.status, reply.json["code"]) in ((404, "not_found"), (400, "not_found")), path
        tried += 1
    assert tried == 8
    for body in ({"file": file, "format": "csv"}, {"file": file, "format": "csv", "mapping": "places"}):
        assert house.call("POST", f"{BASE}/imports", body, key=other).problems.get("/file") == "unknown"
    for path in ("/exports", "/imports", "/import_mappings"):
        name = {"/exports": "customer_exports", "/imports": "customer_imports"}.get(path, "import_mappings")
        assert made(house, other, "GET", path)[name] == []
    assert house.call("GET", f"{BASE}/imports", key=other, query={"cursor": cursor}).status == 400
    assert house.everything() == before


def test_rows_are_asked_for_by_a_word_that_there_is(house: TestHouse, key: str) -> None:
    path = f"{BASE}/imports/{imported(house, key)}"
    assert house.call("GET", f"{path}/rows", key=key, query={"only": "bad"}).problems == {"/only": "not_allowed_value"}
    assert house.call("GET", f"{path}/rows", key=key, query={"_expand": "x"}).status == 400
    assert house.call("GET", f"{path}/rows", key=key).json["rows"] == []
