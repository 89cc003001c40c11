"""Private files: S3, and the embedded form with the same promises. A file is there whole or not at all, nobody reads it
without a link that was signed for it, and a link opens one file until it expires.

A name begins with its area. What stands in ``passing/`` is thrown away after PASSING_DAYS: exports, imports and what
they work with. What stands in ``kept/`` stays until it is deleted: what a profile has attached.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from chalicelib.domain.errors import Invalid, NotFound, TooLarge, Unauthorised
from chalicelib.domain.transfers import PASSING_DAYS, Upload

# S3 takes no part of a multipart upload that is smaller than 5 MB, the last one apart; a part is held in memory.
PART_BYTES = 8 * 1024 * 1024
# A row of the embedded form: small enough to be read beside others, large enough to be few.
PIECE_BYTES = 256 * 1024
PASSING, KEPT = "passing/", "kept/"
NAME = re.compile(rf"(?:{PASSING}|{KEPT})[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")
# Where the embedded form's links lead; its own server answers there (infra/server.py).
FILES_PATH = "/files/"
# Who uploads through a link needs some time for a large file on a slow line, and whoever got hold of it no more.
UPLOAD_SECONDS = 3600
# What S3 says of a file that is not there.
MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
LONGEST_TOKEN = 2000
DAY_SECONDS = 24 * 3600


def key_of(merchant_id: str, name: str) -> str:
    """Where a merchant's file stands among all. Raises ValueError for what is no name of ours."""
    if not NAME.fullmatch(name) or ".." in name:
        raise ValueError(f"{name!r} is not the name of a file")
    area, _, rest = name.partition("/")
    return f"{area}/{merchant_id}/{rest}"


def disposition(shown_name: str) -> str:
    """A file is saved under that name, never shown: what somebody uploaded must not run as a page (RFC 6266)."""
    plain = re.sub(r'[^ -~]|["\\%;]', "_", shown_name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(shown_name, safe='')}"


# --- S3 ---------------------------------------------------------------------------------------------------------------


class S3Files:
    """One merchant's files in the bucket; the client is made at the first call."""

    def __init__(self, bucket: str, client: Callable[[], Any], merchant_id: str) -> None:
        self._bucket = bucket
        self._client = client
        self._merchant_id = merchant_id

    def write(self, name: str, pieces: Iterable[bytes], content_type: str) -> int:
        """Keep the file, in place of one of that name. Returns its size."""
        where = self._where(name)
        parts = _parts(pieces)
        first, second = next(parts, b""), next(parts, None)
        if second is None:
            self._client().put_object(**where, Body=first, ContentType=content_type)
            return len(first)
        upload = where | {
            "UploadId": self._client().create_multipart_upload(**where, ContentType=content_type)["UploadId"]
        }
        try:
            done: list[dict[str, Any]] = []
            size = 0
            for body in _chained(first, second, parts):
                number = len(done) + 1
                answer = self._client().upload_part(**upload, PartNumber=number, Body=body)
                done.append({"PartNumber": number, "ETag": answer["ETag"]})
                size += len(body)
            self._client().complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
        except BaseException:
            # What is not completed is never seen; aborted it is not paid for either.
            self._client().abort_multipart_upload(**upload)
            raise
        return size

    def pieces(self, name: str) -> Iterator[bytes]:
        """The file from its beginning. Raises NotFound, at once."""
        found = self._asked(name, "get_object")
        if found is None:
            raise NotFound("file", name)
        pieces: Iterator[bytes] = found["Body"].iter_chunks(PIECE_BYTES)
        return pieces

    def size(self, name: str) -> int | None:
        """None where there is no such file."""
        found = self._asked(name, "head_object")
        return None if found is None else int(found["ContentLength"])

    def delete(self, name: str) -> None:
        """It is gone afterwards, whether it was there or not."""
        self._client().delete_object(**self._where(name))

    def upload(self, name: str, most: int) -> Upload:
        """How somebody without a key of ours puts a file of at most so many bytes there."""
        key = key_of(self._merchant_id, name)
        form = self._client().generate_presigned_post(
            self._bucket, key, Conditions=[["content-length-range", 1, most]], ExpiresIn=UPLOAD_SECONDS
        )
        return Upload(url=form["url"], fields=form["fields"], maximum_bytes=most, expires_in_seconds=UPLOAD_SECONDS)

    def link(self, name: str, shown_name: str, content_type: str, seconds: int) -> str:
        """An address at which the file can be had for so many seconds, saved as ``shown_name``."""
        wanted = self._where(name) | {
            "ResponseContentDisposition": disposition(shown_name),
            "ResponseContentType": content_type,
        }
        return str(self._client().generate_presigned_url("get_object", Params=wanted, ExpiresIn=seconds))

    def _where(self, name: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": key_of(self._merchant_id, name)}

    def _asked(self, name: str, call: str) -> Any:
        from botocore.exceptions import ClientError

        try:
            return getattr(self._client(), call)(**self._where(name))
        except ClientError as error:
            if error.response["Error"]["Code"] in MISSING:
                return None
            raise


def upload_origins(bucket: str, region: str) -> tuple[str, ...]:
    """Where S3Files' uploads go, whatever the region: the bucket's addresses."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return (f"https://{bucket}.s3.{region}.{suffix}", f"https://{bucket}.s3.{suffix}")


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in parts as S3 takes them."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= PART_BYTES:
            yield bytes(waiting[:PART_BYTES])
            del waiting[:PART_BYTES]
    if waiting:
        yield bytes(waiting)


def _chained(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


# --- embedded ---------------------------------------------------------------------------------------------------------

SCHEMA = """
create table if not exists file (
  number integer primary key, key text not null, content_type text not null, size integer not null, made real not null,
  whole integer not null
);
create index if not exists file_by_key on file (key);
create table if not exists piece (
  file integer not null, number integer not null, data blob not null, primary key (file, number)
) without rowid;
create table if not exists secret (one integer primary key check (one = 1), word text not null);
"""


class Served(msgspec.Struct, frozen=True):
    """A file on its way out of the embedded form's own server."""

    pieces: Iterator[bytes]
    size: int
    content_type: str
    disposition: str


class EmbeddedFiles:
    """All files of the embedded engine on one SQLite file, and the door that its links lead to. ``now`` gives seconds:
    the machine's, since a browser's links do not travel in time."""

    def __init__(self, path: str | Path, public_url: str, now: Callable[[], float]) -> None:
        # On AWS nobody needs SQLite.
        from chalicelib.gateways.embedded import opened

        self._public_url = public_url.rstrip("/")
        self._now = now
        self._lock = threading.RLock()
        self._db = opened(path, SCHEMA)
        self._db.execute("insert or ignore into secret values (1, ?)", (token_hex(32),))

    def of(self, merchant_id: str) -> "MerchantFiles":
        return MerchantFiles(lambda: self, merchant_id)

    def upload_origins(self) -> tuple[str, ...]:
        """The shop's own, which a browser may know by another name of the machine."""
        address = urlsplit(self._public_url)
        return (f"{address.scheme}://{address.netloc}",)

    def write(self, key: str, pieces: Iterable[bytes], content_type: str) -> int:
        number, size = self._begun(key, content_type), 0
        for position, data in enumerate(_cut(pieces)):
            with self._lock:
                self._db.execute("insert into piece values (?, ?, ?)", (number, position, data))
            size += len(data)
        with self._lock, self._db:
            self._db.execute("begin immediate")
            self._remove("key = ? and whole = 1", key)
            self._db.execute("update file set whole = 1, size = ? where number = ?", (size, number))
        return size

    def pieces(self, key: str) -> Iterator[bytes]:
        found = self._whole(key)
        if found is None:
            raise NotFound("file", key)
        return self._data(found[0])

    def size(self, key: str) -> int | None:
        found = self._whole(key)
        return found[1] if found else None

    def delete(self, key: str) -> None:
        with self._lock, self._db:
            self._db.execute("begin immediate")
            self._remove("key = ? and whole = 1", key)

    def upload(self, key: str, most: int) -> Upload:
        token = self._sign(["upload", key, most, self._now() + UPLOAD_SECONDS])
        return Upload(
            url=f"{self._public_url}{FILES_PATH}{token}",
            fields={},
            maximum_bytes=most,
            expires_in_seconds=UPLOAD_SECONDS,
        )

    def link(self, key: str, shown_name: str, content_type: str, seconds: int) -> str:
        token = self._sign(["link", key, shown_name, content_type, self._now() + seconds])
        return f"{self._public_url}{FILES_PATH}{token}"

    # --- the door ----------------------------------------------------------------------------------------------------

    def take(self, token: str, content_type: str, body: bytes) -> None:
        """What a browser's form posted. Raises Unauthorised, TooLarge, Invalid."""
        match self._opened(token):
            case ["upload", str(key), int(most), int() | float() as expires] if self._now() < expires:
                data = _file_of_form(content_type, body)
                if len(data) > most:
                    raise TooLarge(f"The file may have {most} bytes at most.")
                self.write(key, [data], "application/octet-stream")
            case _:
                raise Unauthorised("The link is not valid, or it has expired: ask for a new one.")

    def serve(self, token: str) -> Served:
        """What a link opens. Raises Unauthorised, NotFound."""
        match self._opened(token):
            case ["link", str(key), str(shown_name), str(type_), int() | float() as expires] if self._now() < expires:
                found = self._whole(key)
                if found is None:
                    raise NotFound("file", shown_name)
                return Served(self._data(found[0]), found[1], type_, disposition(shown_name))
        raise Unauthorised("The link is not valid, or it has expired: ask for a new one.")

    # --- inside ------------------------------------------------------------------------------------------------------

    def _begun(self, key: str, content_type: str) -> int:
        """The number of a file that nobody sees yet. What passes is swept away here: who writes nothing needs no room,
        and what somebody began a day ago and did not end will not be ended."""
        now = self._now()
        with self._lock, self._db:
            self._db.execute("begin immediate")
            self._remove("key like ? and made < ?", f"{PASSING}%", now - PASSING_DAYS * DAY_SECONDS)
            self._remove("whole = 0 and made < ?", now - DAY_SECONDS)
            row = self._db.execute(
                "insert into file (key, content_type, size, made, whole) values (?, ?, 0, ?, 0)",
                (key, content_type, now),
            )
            return int(row.lastrowid or 0)

    def _remove(self, which: str, *values: object) -> None:
        self._db.execute(f"delete from piece where file in (select number from file where {which})", values)
        self._db.execute(f"delete from file where {which}", values)

    def _whole(self, key: str) -> tuple[int, int] | None:
        with self._lock:
            row = self._db.execute("select number, size from file where key = ? and whole = 1", (key,)).fetchone()
        return (int(row[0]), int(row[1])) if row else None

    def _data(self, number: int) -> Iterator[bytes]:
        position = 0
        while True:
            with self._lock:
                row = self._db.execute(
                    "select data from piece where file = ? and number = ?", (number, position)
                ).fetchone()
            if row is None:
                return
            yield row[0]
            position += 1

    def _sign(self, said: list[object]) -> str:
        return str(self._serializer().dumps(said))

    def _opened(self, token: str) -> Any:
        from itsdangerous import BadData

        if len(token) > LONGEST_TOKEN or not token.isascii():
            return None
        try:
            return self._serializer().loads(token)
        except BadData:
            return None

    def _serializer(self) -> Any:
        from hashlib import sha256

        from itsdangerous import URLSafeSerializer

        with self._lock:
            (word,) = self._db.execute("select word from secret").fetchone()
        return URLSafeSerializer(word, salt="file", signer_kwargs={"key_derivation": "hmac", "digest_method": sha256})


class MerchantFiles:
    """One merchant's part of the embedded files: what S3Files is on AWS."""

    def __init__(self, files: Callable[[], EmbeddedFiles], merchant_id: str) -> None:
        self._files = files
        self._merchant_id = merchant_id

    def write(self, name: str, pieces: Iterable[bytes], content_type: str) -> int:
        return self._files().write(key_of(self._merchant_id, name), pieces, content_type)

    def pieces(self, name: str) -> Iterator[bytes]:
        return self._files().pieces(key_of(self._merchant_id, name))

    def size(self, name: str) -> int | None:
        return self._files().size(key_of(self._merchant_id, name))

    def delete(self, name: str) -> None:
        self._files().delete(key_of(self._merchant_id, name))

    def upload(self, name: str, most: int) -> Upload:
        return self._files().upload(key_of(self._merchant_id, name), most)

    def link(self, name: str, shown_name: str, content_type: str, seconds: int) -> str:
        return self._files().link(key_of(self._merchant_id, name), shown_name, content_type, seconds)


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), PIECE_BYTES):
            yield piece[start : start + PIECE_BYTES]


def _file_of_form(content_type: str, body: bytes) -> bytes:
    """The field ``file`` of a form. Raises Invalid."""
    found = re.fullmatch(r'multipart/form-data;\s*boundary="?([^";]{1,200})"?', content_type.strip(), re.IGNORECASE)
    if found:
        mark = b"\r\n--" + found[1].encode("latin-1", "replace")
        for part in (b"\r\n" + body).split(mark):
            head, middle, data = part.partition(b"\r\n\r\n")
            if middle and re.search(rb'(?i)content-disposition:[^\r\n]*[; ]name="?file"?[;\r\n]', head + b"\r\n"):
                return data
    raise Invalid.one("/file", "required", "must be sent as the field `file` of a form (multipart/form-data)")
