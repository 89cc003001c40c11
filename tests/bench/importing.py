"""A file of 100,000 customers, compared with the shop that it came from: what the dry run takes of time and memory.

The dry run has a process of its own, as its function has, so that its memory is nobody else's.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import msgspec

from chalicelib.domain.customers import Customer, CustomerBilling, CustomerShipping, CustomerTag
from chalicelib.domain.dates import parse_instant
from chalicelib.domain.sheets import cells_of
from chalicelib.domain.transfers import CONTENT_TYPES, CustomerImport, CustomerImportRequest, Format
from chalicelib.flows import import_customers
from chalicelib.gateways.files import EmbeddedFiles
from chalicelib.gateways.sheets import Spreadsheets
from chalicelib.stores.sqlite import SqliteTables
from tests.worlds import World

NUMBER = 100_000
MINUTES, MEGABYTES = 5, 300
# Profiles of one transaction: each is a record and its address.
AT_ONCE = 50
FORMATS: tuple[Format, ...] = get_args(Format)


class Imported(msgspec.Struct, kw_only=True, frozen=True):
    """One dry run. ``seconds`` of the processor, ``wall`` by the clock, ``megabytes`` at the peak."""

    format: str
    rows: int
    columns: int
    bytes: int
    seconds: float
    wall: float
    megabytes: int
    verdicts: list[int]


def measured(number: int = NUMBER) -> list[Imported]:
    """A dry run of each kind of file."""
    with TemporaryDirectory() as folder:
        _made(Path(folder), number)
        return [_alone(Path(folder), format_) for format_ in FORMATS]


def _alone(folder: Path, format_: Format) -> Imported:
    command = [sys.executable, "-m", "tests.bench.importing", str(folder), format_]
    done = subprocess.run(command, check=True, capture_output=True)
    return msgspec.json.decode(done.stdout, type=Imported)


def _profiles(number: int) -> Iterator[Customer]:
    for n in range(number):
        address = {
            "first_name": f"First{n % 997}",
            "last_name": f"Last{n % 7919}",
            "address1": f"{n % 400} Long Street",
            "city": f"City {n % 1000}",
            "state_region": "NY",
            "postal_code": f"{n % 100_000:05d}",
            "country_code": "US",
            "day_phone": f"+1 555 {n % 10_000_000:07d}",
        }
        yield Customer(
            customer_profile_oid=n + 1,
            email=f"customer{n}@example.com",
            billing=[CustomerBilling(customer_billing_oid=1, default_billing=True, company=f"Company {n}", **address)],
            shipping=[CustomerShipping(customer_shipping_oid=2, default_shipping=True, **address)],
            tags=[CustomerTag(tag_value="newsletter"), CustomerTag(tag_value=f"group {n % 20}")],
            business_notes=f"Customer since {1990 + n % 30}",
            free_shipping=n % 2 == 0,
            signup_dts=parse_instant("2026-01-31T05:00:00Z"),
            last_modified_dts=parse_instant("2026-01-31T05:00:00Z"),
        )


def _made(folder: Path, number: int) -> None:
    """The shop, and its profiles as files: of a hundred rows five say something else, two are new, one is wrong."""
    tables = SqliteTables(folder / "shop.sqlite")
    shop = World(port=tables).open().shop
    changes = []
    for customer in _profiles(number):
        oid = str(customer.customer_profile_oid)
        changes += [shop.customers.inserted(oid, customer), shop.customers.named("email", customer.email, oid)]
        if len(changes) == 2 * AT_ONCE:
            shop.write(*changes)
            changes = []
    if changes:
        shop.write(*changes)
    tables.close()
    names = list(cells_of(next(_profiles(1))))

    def rows() -> Iterator[list[str]]:
        yield names
        for n, customer in enumerate(_profiles(number)):
            cells = cells_of(customer)
            if n % 100 in (10, 20, 30, 40, 50):
                cells["billing_1_city"] = "Elsewhere"
            elif n % 100 in (60, 70):
                cells |= {"email": f"new{n}@example.com", "customer_profile_oid": ""}
            elif n % 100 == 80:
                cells["billing_1_country_code"] = "America"
            yield [cells.get(name, "") for name in names]

    files = EmbeddedFiles(folder / "files.sqlite", "http://127.0.0.1:8000", time.monotonic).of(shop.merchant_id)
    for format_ in FORMATS:
        files.write(f"passing/uploads/{format_}", Spreadsheets().written(rows(), format_), CONTENT_TYPES[format_])


def dry_run(folder: Path, format_: Format) -> Imported:
    """In this process: begin to end, as the messages of the queue would have it."""
    world = World(port=SqliteTables(folder / "shop.sqlite"))
    world.house.files_of = EmbeddedFiles(folder / "files.sqlite", "http://127.0.0.1:8000", time.monotonic).of
    # The tables' meter would keep a line of every call.
    world.tables.meter.limit = 0
    world.clock.pass_(days=FORMATS.index(format_))
    shop = world.shop
    wall, before = time.perf_counter(), time.process_time()
    job = import_customers.begin(shop, CustomerImportRequest(file=format_, format=format_))
    while world.queue.take():
        import_customers.go_on(shop, job.import_id)
    seconds, wall = time.process_time() - before, time.perf_counter() - wall
    done = shop.transfers.get(CustomerImport, job.import_id).noun
    assert done.state == "compared", done.problem
    return Imported(
        format=format_,
        rows=done.number_of_rows,
        columns=len(done.columns or []),
        bytes=shop.files.size(f"passing/uploads/{format_}") or 0,
        seconds=round(seconds, 1),
        wall=round(wall, 1),
        megabytes=_peak(),
        verdicts=[done.number_to_create, done.number_to_change, done.number_same, done.number_rejected],
    )


def _peak() -> int:
    """The most memory that this process had at once, in MB. What the system keeps for getrusage begins with that of
    whoever started it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024  # type: ignore[index]  # Linux always says so


if __name__ == "__main__":
    print(msgspec.json.encode(dry_run(Path(sys.argv[1]), sys.argv[2])).decode())  # type: ignore[arg-type]
