"""Files of a profile: uploaded without a key, attached by a call, given out for a while and as downloads only."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from chalicelib.domain.attachments import MAXIMUM_BYTES, file_of
from chalicelib.domain.customers import MAXIMUM_ATTACHMENTS
from chalicelib.flows import profiles
from chalicelib.gateways.files import FILES_PATH, EmbeddedFiles
from tests.houses import Reply, TestHouse, a_house

CUSTOMERS = "/rest/v2/customer/customers"
PDF = {"file_name": "Resale 2027.pdf", "mime_type": "application/pdf", "description": "Certificate"}
FORM = "multipart/form-data; boundary=xyz"


class Shop:
    def __init__(self) -> None:
        self.house: TestHouse = a_house()
        self.key = self.house.found()
        self.kept = EmbeddedFiles(":memory:", "http://127.0.0.1:8000", lambda: self.house.clock.now().timestamp())
        self.house.files_of = self.kept.of
        self.oid = self.customer("jane@example.com")

    def customer(self, email: str) -> int:
        made = self.call("POST", CUSTOMERS, {"email": email})
        return int(made.json["customer"]["customer_profile_oid"])

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> Reply:
        return self.house.call(method, path, body, key=key or self.key)

    def path(self, number: int | str = "", oid: int | None = None) -> str:
        return f"{CUSTOMERS}/{oid or self.oid}/attachments" + (f"/{number}" if number else "")

    def uploaded(self, data: bytes = b"%PDF-1.7") -> int:
        """A file by the form that the upload asks for."""
        asked = self.call("POST", self.path()).json["attachment_upload"]
        token = urlsplit(asked["upload"]["url"]).path.removeprefix(FILES_PATH)
        body = (
            b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
            + data
            + b"\r\n--xyz--\r\n"
        )
        self.kept.take(token, FORM, body)
        return int(asked["customer_profile_attachment_oid"])

    def attached(self) -> int:
        number = self.uploaded()
        assert self.call("PUT", self.path(number), PDF).status == 200
        return number

    def shown(self) -> list[dict[str, Any]]:
        found = self.call("GET", f"{CUSTOMERS}/{self.oid}?_expand=attachments").json["customer"]
        return list(found.get("attachments", []))


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_file_is_uploaded_attached_downloaded_and_deleted(shop: Shop) -> None:
    number = shop.uploaded()
    assert shop.shown() == [], "what is uploaded is not attached yet"
    attached = shop.call("PUT", shop.path(number), PDF).json["attachment"]
    assert attached == PDF | {
        "customer_profile_attachment_oid": number,
        "file_size": 8,
        "upload_dts": "2027-01-31T15:00:00-05:00",
    }
    assert shop.shown() == [attached]
    found = shop.call("GET", shop.path(number)).json
    served = shop.kept.serve(urlsplit(found["url"]).path.removeprefix(FILES_PATH))
    assert b"".join(served.pieces) == b"%PDF-1.7"
    assert served.disposition.startswith('attachment; filename="Resale 2027.pdf"')
    assert shop.call("DELETE", shop.path(number)).status == 204
    assert shop.shown() == []
    assert shop.kept.of("DEMO").size(file_of(number)) is None
    assert shop.call("DELETE", shop.path(number)).status == 400
    assert sorted(shop.house.events()) == ["customer_create", "customer_update", "customer_update"]


def test_the_same_call_again_changes_nothing_and_another_one_what_is_said_of_it(shop: Shop) -> None:
    number = shop.attached()
    shop.house.clock.pass_(hours=1)
    assert shop.call("PUT", shop.path(number), PDF).json["attachment"]["upload_dts"][11:16] == "15:00"
    changed = shop.call("PUT", shop.path(number), PDF | {"description": "Of New York"}).json["attachment"]
    assert (changed["description"], changed["upload_dts"][11:16]) == ("Of New York", "15:00")
    assert len(shop.shown()) == 1


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"/file_name": "required", "/mime_type": "required"}),
        (PDF | {"mime_type": "text/html"}, {"/mime_type": "not_allowed_value"}),
        (PDF | {"mime_type": "image/svg+xml"}, {"/mime_type": "not_allowed_value"}),
        (PDF | {"file_name": "../../etc/passwd"}, {"/file_name": "invalid"}),
        (PDF | {"file_name": "a\u202efdp.exe"}, {"/file_name": "invalid"}),
        (PDF | {"file_name": ".htaccess"}, {"/file_name": "invalid"}),
        (PDF | {"upload_dts": "2027-01-31T15:00:00Z"}, {"/upload_dts": "unknown_field"}),
    ],
)
def test_what_is_no_file_of_that_kind_is_refused(shop: Shop, body: Any, problems: dict[str, str]) -> None:
    number = shop.uploaded()
    assert shop.call("PUT", shop.path(number), body).problems == problems
    assert shop.shown() == []


def test_a_file_that_is_not_there_or_is_too_large_is_not_attached(shop: Shop) -> None:
    assert shop.call("PUT", shop.path(77), PDF).json["code"] == "not_found"
    shop.kept.of("DEMO").write(file_of(78), [b"x" * (MAXIMUM_BYTES + 1)], "application/pdf")
    assert shop.call("PUT", shop.path(78), PDF).problems == {"": "too_large"}


def test_a_profile_keeps_so_many_files(shop: Shop) -> None:
    for number in range(1, MAXIMUM_ATTACHMENTS + 1):
        shop.kept.of("DEMO").write(file_of(number), [b"x"], "application/pdf")
        assert shop.call("PUT", shop.path(number), PDF).status == 200
    assert shop.call("POST", shop.path()).problems == {"": "too_many"}
    shop.kept.of("DEMO").write(file_of(99), [b"x"], "application/pdf")
    assert shop.call("PUT", shop.path(99), PDF).problems == {"": "too_many"}
    assert shop.call("PUT", shop.path(1), PDF | {"description": "One"}).status == 200


def test_files_go_with_a_profile_that_becomes_another_and_with_a_person_who_is_forgotten(shop: Shop) -> None:
    number, joe = shop.attached(), shop.customer("joe@example.com")
    profiles.merge_customer(shop.house.open_shop("DEMO"), joe, {"customer_profile_oid": shop.oid})
    assert shop.call("GET", shop.path(number, joe)).status == 200
    profiles.erase_customer(shop.house.open_shop("DEMO"), joe)
    assert shop.kept.of("DEMO").size(file_of(number)) is None


def test_another_shops_files_are_as_if_they_were_not_there(shop: Shop) -> None:
    number = shop.attached()
    other = shop.house.found("OTHER")
    for method, body in (("GET", None), ("PUT", PDF), ("DELETE", None)):
        assert shop.call(method, shop.path(number), body, other).json["code"] == "not_found"
    assert shop.call("POST", shop.path(), None, other).json["code"] == "not_found"
    made = shop.call("POST", CUSTOMERS, {"email": "eve@example.com"}, other)
    eve = made.json["customer"]["customer_profile_oid"]
    assert shop.call("PUT", shop.path(number, eve), PDF, other).json["code"] == "not_found"
    assert shop.call("GET", shop.path(number)).status == 200
