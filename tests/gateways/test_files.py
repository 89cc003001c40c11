"""Private files: one contract for S3 (moto, in process) and the embedded form, and the door of the latter's links."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.session
import pytest
from botocore.config import Config
from moto import mock_aws

from chalicelib.domain.errors import Invalid, NotFound, TooLarge, Unauthorised
from chalicelib.domain.transfers import PASSING_DAYS
from chalicelib.flows.ports import Files
from chalicelib.gateways.aws import BY_SERVICE
from chalicelib.gateways.files import (
    DAY_SECONDS,
    FILES_PATH,
    PART_BYTES,
    PIECE_BYTES,
    UPLOAD_SECONDS,
    EmbeddedFiles,
    S3Files,
    disposition,
    upload_origins,
)

BUCKET = "backroom-files"
NAME = "passing/exports/word-1/customers.csv"
FORM = "multipart/form-data; boundary=xyz"


class Machine:
    seconds = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds


@pytest.fixture(params=["embedded", "s3"])
def files_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Files]]:
    if request.param == "embedded":
        yield EmbeddedFiles(":memory:", "http://127.0.0.1:8000", Machine().now).of
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = botocore.session.get_session().create_client(
            "s3", region_name="eu-west-1", config=Config(**BY_SERVICE["s3"])
        )
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        yield lambda merchant_id: S3Files(BUCKET, lambda: client, merchant_id)


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, PART_BYTES, 2 * PART_BYTES + 7])
def test_a_file_is_read_as_it_was_written(files_of: Callable[[str], Files], size: int) -> None:
    files, data = files_of("DEMO"), bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    pieces = (data[start : start + 1_000_000] for start in range(0, size, 1_000_000))
    assert files.write(NAME, pieces, "text/csv") == size
    assert b"".join(files.pieces(NAME)) == data
    assert files.size(NAME) == size


def test_the_last_one_written_stands(files_of: Callable[[str], Files]) -> None:
    files = files_of("DEMO")
    files.write(NAME, [b"first"], "text/csv")
    files.write(NAME, [b"sec", b"ond"], "text/csv")
    assert b"".join(files.pieces(NAME)) == b"second"


@pytest.mark.parametrize("size", [10, 3 * PART_BYTES])
def test_a_file_that_breaks_off_is_not_there(files_of: Callable[[str], Files], size: int) -> None:
    files = files_of("DEMO")

    def breaking() -> Iterator[bytes]:
        yield b"x" * size
        raise ConnectionError

    with pytest.raises(ConnectionError):
        files.write(NAME, breaking(), "text/csv")
    assert files.size(NAME) is None
    with pytest.raises(NotFound):
        files.pieces(NAME)


def test_what_is_deleted_is_gone_and_may_be_deleted_again(files_of: Callable[[str], Files]) -> None:
    files = files_of("DEMO")
    files.write(NAME, [b"x"], "text/csv")
    files.delete(NAME)
    files.delete(NAME)
    assert files.size(NAME) is None


def test_another_merchants_file_cannot_be_named(files_of: Callable[[str], Files]) -> None:
    files_of("DEMO").write(NAME, [b"x"], "text/csv")
    assert files_of("OTHER").size(NAME) is None
    for name in (
        "passing/../DEMO/exports",
        "passing/",
        "exports/a",
        "kept/a b",
        "kept//a",
        "/kept/a",
        "passing/a/../b",
    ):
        for call in (files_of("OTHER").size, files_of("OTHER").delete, files_of("OTHER").pieces):
            with pytest.raises(ValueError, match="not the name of a file"):
                call(name)


def test_links_of_s3_are_signed_for_the_bucket_and_expire(files_of: Callable[[str], Files]) -> None:
    files: Any = files_of("DEMO")
    if not isinstance(files, S3Files):
        pytest.skip("S3's")
    link = urlsplit(files.link(NAME, "Käufer.csv", "text/csv", 600))
    asked = parse_qs(link.query)
    assert link.netloc == f"{BUCKET}.s3.eu-west-1.amazonaws.com"
    assert link.path == "/passing/DEMO/exports/word-1/customers.csv"
    assert asked["X-Amz-Expires"] == ["600"]
    assert asked["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert asked["response-content-disposition"][0].startswith('attachment; filename="K_ufer.csv"')
    form = files.upload(NAME, 1000)
    assert form.fields["key"] == "passing/DEMO/exports/word-1/customers.csv"
    assert {"policy", "x-amz-signature"} <= set(form.fields)
    assert (form.maximum_bytes, form.expires_in_seconds) == (1000, UPLOAD_SECONDS)


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "cn-north-1"])
def test_the_merchants_page_may_send_a_file_to_where_the_form_for_it_leads(region: str) -> None:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    session = botocore.session.get_session()
    client = session.create_client("s3", region_name=region, config=Config(**BY_SERVICE["s3"]), **keys)
    url = S3Files(BUCKET, lambda: client, "DEMO").upload(NAME, 1000).url
    assert url.rstrip("/") in upload_origins(BUCKET, region)


# --- the embedded form's own door -------------------------------------------------------------------------------------


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def embedded(machine: Machine) -> EmbeddedFiles:
    return EmbeddedFiles(":memory:", "http://127.0.0.1:8000/", machine.now)


def form(data: bytes, name: str = "file") -> bytes:
    field = 'Content-Disposition: form-data; name="%s"'
    first = f"--xyz\r\n{field % 'other'}\r\n\r\nx\r\n--xyz\r\n"
    head = f'{first}{field % name}; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'
    return head.encode() + data + b"\r\n--xyz--\r\n"


def token_of(url: str) -> str:
    return url.partition(FILES_PATH)[2]


def test_what_is_posted_to_an_upload_link_is_the_file(embedded: EmbeddedFiles) -> None:
    files = embedded.of("DEMO")
    data = b"email\r\n\r\nada@example.com\r\n--xy\x00"
    embedded.take(token_of(files.upload(NAME, 100).url), FORM, form(data))
    assert b"".join(files.pieces(NAME)) == data
    served = embedded.serve(token_of(files.link(NAME, "a.csv", "text/csv", 60)))
    assert (b"".join(served.pieces), served.size, served.content_type) == (data, len(data), "text/csv")


def test_a_file_that_is_too_large_or_no_form_is_refused(embedded: EmbeddedFiles) -> None:
    token = token_of(embedded.of("DEMO").upload(NAME, 5).url)
    with pytest.raises(TooLarge):
        embedded.take(token, FORM, form(b"123456"))
    for content_type, body in (("text/csv", b"a"), (FORM, form(b"a", name="document")), (FORM, b"")):
        with pytest.raises(Invalid):
            embedded.take(token, content_type, body)
    assert embedded.of("DEMO").size(NAME) is None


def test_a_link_opens_one_file_for_one_purpose_until_it_expires(embedded: EmbeddedFiles, machine: Machine) -> None:
    files = embedded.of("DEMO")
    files.write(NAME, [b"x"], "text/csv")
    link, upload = token_of(files.link(NAME, "a.csv", "text/csv", 60)), token_of(files.upload(NAME, 5).url)
    for token in (upload, link + "A", link[:-1], "", "ä", "x" * 5000, "null.x"):
        with pytest.raises(Unauthorised):
            embedded.serve(token)
    with pytest.raises(Unauthorised):
        embedded.take(link, FORM, form(b"1"))
    machine.seconds += 60
    with pytest.raises(Unauthorised):
        embedded.serve(link)
    machine.seconds += UPLOAD_SECONDS
    with pytest.raises(Unauthorised):
        embedded.take(upload, FORM, form(b"1"))


def test_what_passes_is_swept_away_and_what_is_kept_stays(embedded: EmbeddedFiles, machine: Machine) -> None:
    files = embedded.of("DEMO")
    files.write(NAME, [b"x"], "text/csv")
    files.write("kept/attachments/1001", [b"x"], "text/csv")
    machine.seconds += PASSING_DAYS * DAY_SECONDS + 1
    files.write("passing/other", [b"y"], "text/csv")
    assert (files.size(NAME), files.size("kept/attachments/1001")) == (None, 1)


def test_a_name_that_is_shown_breaks_no_header() -> None:
    assert disposition('a"\r\nSet-Cookie: x\\;.csv') == (
        "attachment; filename=\"a___Set-Cookie: x__.csv\"; filename*=UTF-8''a%22%0D%0ASet-Cookie%3A%20x%5C%3B.csv"
    )
