"""Exports and imports through the flows: what goes out comes back as it was; what is compared is what is written; a cut
anywhere, or a message that comes twice, changes nothing twice; and an import can be undone."""

import csv
import dataclasses
import io
import itertools
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain import wire
from chalicelib.domain.customer_search import CustomerQuery
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.domain.pricing_tiers import PricingTier, PricingTiers
from chalicelib.domain.transfers import (
    CustomerExport,
    CustomerExportRequest,
    CustomerImport,
    CustomerImportRequest,
    Format,
    ImportConfirmation,
    ImportMappingRequest,
    ImportRow,
)
from chalicelib.flows import export_customers, import_customers, profiles
from chalicelib.flows.import_customers import CHANGED_SINCE, KEPT_SINCE, PIECE, TAKEN_SINCE
from chalicelib.flows.ports import Shop
from chalicelib.gateways.sheets import Spreadsheets
from chalicelib.wiring import FUNCTION_SECONDS
from tests import profiles as profiles_of
from tests.cutting import SIDES, Crash, CutPort, Scissors, Side
from tests.worlds import World

ADA = {
    "email": "ada@example.com",
    "fax": "00123",
    "billing": [
        {"first_name": "Ada", "city": "Turin", "day_phone": "+39 11 555"},
        {"city": "London", "default_billing": True},
    ],
    "properties": [{"name": "=cmd()", "value": "'+1"}],
    "tags": [{"tag_value": "VIP"}, {"tag_value": "a;b"}],
    "tax_codes": {"taxjar_customer_id": "-7"},
    "birth_date": "1815-12-10",
    "minimum_subtotal": 9.5,
}
BOB = {"email": "bob@example.com", "business_notes": 'He said "=1+1",\nand left.\r\n\tÄ 🎁'}
FORMATS: tuple[Format, ...] = ("csv", "xlsx")


@pytest.fixture
def world() -> World:
    world = World().open()
    for raw in (ADA, BOB):
        profiles.insert_customer(world.shop, raw)
    return world


class Cuts:
    """Two shops' worth of files and tables under one pair of scissors."""

    def __init__(self, files: Any, scissors: Scissors) -> None:
        self._files, self._scissors = files, scissors

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._files, name)
        if name not in ("write", "delete"):
            return found

        def cut(*given: Any) -> Any:
            given = tuple([*one] if name == "write" and n == 1 else one for n, one in enumerate(given))
            return self._scissors.call(
                f"files.{name}", lambda: found(*given), lambda: (found(*given), found(*given))[0]
            )

        return cut


def customers(world: World) -> dict[str, Any]:
    """All profiles as they stand, without what changes with every writing."""
    db = world.tables._db  # type: ignore[attr-defined]
    found = {}
    for (body,) in db.execute("select body from record where name = 'customers'"):
        record = wire.load(body, dict[str, Any])
        if record["sk"] == "document":
            noun = wire.load(record["document"], Customer)
            found[noun.email or ""] = wire.plain(
                replace(noun, last_modified_dts=None, last_modified_by=None, signup_dts=None)
            )
    return found


def work(world: World, shop: Shop | None = None, *, twice: bool = False) -> None:
    """Do all that waits in the queue of files."""
    for _ in range(200):
        messages = [message for queue, message in world.queue.take() if queue == "files"]
        if not messages:
            return
        for message in messages * (2 if twice else 1):
            go_on = export_customers.go_on if message["kind"] == "export" else import_customers.go_on
            go_on(shop or world.shop, message["id"])
    raise AssertionError("it does not come to rest")


def exported(world: World, format_: Format, **asked: Any) -> bytes:
    export = export_customers.begin(world.shop, CustomerExportRequest(format=format_, **asked))
    work(world)
    done = world.shop.transfers.get(CustomerExport, export.export_id).noun
    assert done.state == "done", done.problem
    data = b"".join(world.shop.files.pieces(f"passing/exports/{done.export_id}/customers.{format_}"))
    assert done.file_size == len(data)
    return data


def table(*rows: dict[str, str]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def begun(world: World, data: bytes, **asked: Any) -> str:
    file = import_customers.ask_upload(world.shop).file
    world.shop.files.write(f"passing/uploads/{file}", [data], "text/csv")
    request = CustomerImportRequest(**({"file": file, "format": "csv"} | asked))
    return import_customers.begin(world.shop, request, by="tester").import_id


def compared(world: World, data: bytes, **asked: Any) -> CustomerImport:
    import_id = begun(world, data, **asked)
    work(world)
    return job_of(world, import_id)


def job_of(world: World, import_id: str) -> CustomerImport:
    return world.shop.transfers.get(CustomerImport, import_id).noun


def applied(world: World, data: bytes, **asked: Any) -> CustomerImport:
    job = compared(world, data, **asked)
    assert job.state == "compared", job.problem
    import_customers.confirm(world.shop, job.import_id, ImportConfirmation(delete_digest=job.delete_digest))
    work(world)
    return job_of(world, job.import_id)


def rows_of(world: World, job: CustomerImport, only: str | None = None) -> list[ImportRow]:
    found, cursor = import_customers.rows(world.shop, job.import_id, only, 200)
    assert cursor is None
    return found


def rows_of_all(world: World, job: CustomerImport, only: str) -> list[ImportRow]:
    found: list[ImportRow] = []
    cursor: Any = None
    while True:
        rows, cursor = import_customers.rows(world.shop, job.import_id, only, 200, cursor)
        found += rows
        if cursor is None:
            return found


def numbers(job: CustomerImport) -> tuple[int, int, int, int]:
    return job.number_to_create, job.number_to_change, job.number_same, job.number_rejected


# --- out and in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", FORMATS)
def test_what_was_exported_changes_nothing_where_it_is_imported(world: World, format_: Format) -> None:
    job = compared(world, exported(world, format_), format=format_)
    assert (job.state, numbers(job)) == ("compared", (0, 0, 2, 0))
    assert job.number_of_rows == job.number_done == 2


@pytest.mark.parametrize("format_", FORMATS)
def test_what_was_exported_makes_the_same_profiles_in_another_shop(world: World, format_: Format) -> None:
    data = exported(world, format_)
    other = World().open()
    job = applied(other, data, format=format_)
    assert (job.number_created, job.number_left) == (2, 0)
    assert numbers(compared(other, exported(other, format_), format=format_)) == (0, 0, 2, 0)
    assert numbers(compared(other, data, format=format_)) == (0, 0, 2, 0)


def test_a_thousand_profiles_with_all_that_can_stand_in_one_come_back_unchanged_in_both_kinds_of_file() -> None:
    world = World().open()
    profiles_of.kept(world.shop, profiles_of.some_profiles(Random(20), 1000))
    for format_ in FORMATS:
        data = exported(world, format_)
        job = compared(world, data, format=format_)
        assert job.state == "compared", job.problem
        bad = [wire.plain(row) for only in ("change", "create", "reject") for row in rows_of_all(world, job, only)]
        assert (bad[:3], numbers(job)) == ([], (0, 0, 1000, 0))
        print(f"1,000 profiles out and in as {format_}: {len(data):,} bytes, none changed")


def test_no_exported_cell_is_a_formula(world: World) -> None:
    text = exported(world, "csv").decode("utf-8-sig")
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert {"'=cmd()", "''+1", "'-7", "'+39 11 555"} <= set(cells)
    assert [cell for cell in cells if cell[:1] in tuple("=+-@\t\r\n")] == []


def test_an_export_holds_the_columns_that_were_asked_for_in_their_order(world: World) -> None:
    lines = exported(world, "csv", columns=["fax", "email"]).decode("utf-8-sig").splitlines()
    assert lines == ['"fax","email"', '"00123","ada@example.com"', ',"bob@example.com"']
    with pytest.raises(Invalid):
        export_customers.begin(world.shop, CustomerExportRequest(format="csv", columns=["password"]))


def test_an_export_of_a_search_holds_whom_the_search_finds_when_it_begins(world: World) -> None:
    def emails(**query: Any) -> list[str]:
        text = exported(world, "csv", columns=["email"], query=CustomerQuery(**query)).decode("utf-8-sig")
        return [line.strip('"') for line in text.splitlines()[1:]]

    assert emails(billing_city="lon*") == ["ada@example.com"]
    assert emails(email="*@example.com") == ["ada@example.com", "bob@example.com"]
    assert emails(any_tags=["vip"], billing_city="Turin") == ["ada@example.com"]
    assert emails(billing_last_name="Nobody") == []
    assert emails() == ["ada@example.com", "bob@example.com"]
    kept = world.shop.transfers.newest(CustomerExport, 10, None)[0]
    assert [one.query and one.query.billing_city for one in kept].count("lon*") == 1, "it says what it is of"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"billing_city": "L*n"}, ("/query/billing_city", "not_allowed_value")),
        ({"signup_dts_start": "yesterday"}, ("/query/signup_dts_start", "invalid")),
    ],
)
def test_an_export_of_what_is_no_search_is_refused_before_it_begins(
    world: World, query: dict[str, str], problem: tuple[str, str]
) -> None:
    with pytest.raises(Invalid) as refused:
        export_customers.begin(world.shop, CustomerExportRequest(format="csv", query=CustomerQuery(**query)))
    assert [(one.pointer, one.code) for one in refused.value.problems] == [problem]
    assert world.queue.take() == []


def test_what_excel_cannot_hold_is_told_and_csv_can(world: World) -> None:
    many = [{"name": f"p{number}", "value": "x" * 1500} for number in range(60)]
    profiles.insert_customer(world.shop, {"email": "c@example.com", "properties": many})
    export = export_customers.begin(world.shop, CustomerExportRequest(format="xlsx"))
    work(world)
    done = world.shop.transfers.get(CustomerExport, export.export_id).noun
    assert (done.state, done.problem) == ("failed", "a cell of Excel holds 32,767 characters: take csv")
    assert numbers(compared(world, exported(world, "csv"))) == (0, 0, 3, 0)


# --- the dry run ------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_each_cell_and_changes_nothing(world: World) -> None:
    before = customers(world)
    job = compared(
        world,
        table(
            {"E-Mail": "ADA@example.com", "billing_1_city": "Paris", "fax": "00123"},
            {"E-Mail": "new@example.com", "billing_1_city": "Rome", "fax": ""},
            {"E-Mail": "bob@example.com", "billing_1_city": "", "fax": ""},
            {"E-Mail": "", "billing_1_city": "Oslo", "fax": ""},
            {"E-Mail": "new@Example.com", "billing_1_city": "Bonn", "fax": ""},
            {"E-Mail": "x@example.com", "billing_1_city": "B" * 33, "fax": ""},
        ),
    )
    assert numbers(job) == (1, 1, 1, 3)
    rows = {row.row: wire.plain(row) for row in rows_of(world, job)}
    assert rows[2]["changes"] == [{"column": "billing_1_city", "before": "London", "after": "Paris"}]
    assert rows[3]["changes"] == [
        {"column": "email", "after": "new@example.com"},
        {"column": "billing_1_city", "after": "Rome"},
    ]
    assert [rows[number]["verdict"] for number in sorted(rows)] == [
        "change", "create", "same", "reject", "reject", "reject",
    ]  # fmt: skip
    assert rows[5]["problems"] == [{"column": "email", "code": "required", "message": "is required"}]
    assert rows[6]["problems"][0]["message"] == "stands in row 3 already"
    assert rows[7]["problems"][0]["column"] == "billing_1_city"
    assert [row.row for row in rows_of(world, job, "reject")] == [5, 6, 7]
    assert customers(world) == before


def test_the_file_of_what_was_rejected_is_mended_and_comes_back(world: World) -> None:
    job = compared(world, table({"email": "x@example.com", "fax": "=1"}, {"email": "y@example.com", "fax": "9" * 33}))
    data = b"".join(world.shop.files.pieces(f"passing/imports/{job.import_id}/rejected-{job.step}"))
    rows = list(Spreadsheets().rows([data], "csv"))
    assert rows == [
        ["email", "fax", "import_problems"],
        ["y@example.com", "9" * 33, "fax: must have at most 32 characters"],
    ]
    again = compared(world, data.replace(b"9" * 33, b"'+9"))
    assert numbers(again) == (1, 0, 0, 0)


def test_a_pricing_tier_is_named_by_its_name_or_its_oid_and_one_that_there_is_not_is_rejected(world: World) -> None:
    tiers = PricingTiers(tiers=[PricingTier(pricing_tier_oid=7, name="Dealer")])
    world.shop.write(world.shop.configuration.save(tiers, world.shop.configuration.section(PricingTiers).version))
    name, oid = "pricing_tiers_1_name", "pricing_tiers_1_pricing_tier_oid"
    rows = [{"email": "ada@example.com", name: "dealer", oid: ""}, {"email": "bob@example.com", name: "", oid: "7"}]
    job = applied(world, table(*rows, {"email": "x@example.com", name: "Nobody", oid: ""}))
    assert (job.number_changed, job.number_rejected) == (2, 1)
    tier = {"pricing_tier_oid": 7, "name": "Dealer"}
    assert [customers(world)[row["email"]]["pricing_tiers"] for row in rows] == [[tier], [tier]]
    [row] = rows_of(world, job, "reject")
    assert [problem.column for problem in row.problems or []] == [name]
    assert numbers(compared(world, exported(world, "csv"))) == (0, 0, 2, 0)


def test_a_row_that_names_another_profile_by_its_oid_is_rejected(world: World) -> None:
    ada = profiles.customer_by_email(world.shop, "ada@example.com").noun.customer_profile_oid
    job = compared(world, table({"email": "ada2@example.com", "customer_profile_oid": str(ada)}))
    [row] = rows_of(world, job)
    assert (row.verdict, [p.column for p in row.problems or []]) == ("reject", ["customer_profile_oid"])


def test_a_column_that_nobody_knows_waits_for_a_person_and_the_mapping_is_kept(world: World) -> None:
    data = table({"Mail": "ada@example.com", "Shoe size": "39", "Place": "Paris"})
    job = compared(world, data)
    assert (job.state, [column.column for column in job.columns or []]) == ("mapping", ["email", None, None])
    with pytest.raises(Invalid):
        import_customers.map_columns(world.shop, job.import_id, ImportMappingRequest(columns={"Shoe size": ""}))
    columns = {"Shoe size": "", "Place": "billing_1_city"}
    asked = ImportMappingRequest(columns=columns, save_as="shoes")
    import_customers.map_columns(world.shop, job.import_id, asked)
    work(world)
    assert (job_of(world, job.import_id).state, numbers(job_of(world, job.import_id))) == ("compared", (0, 1, 0, 0))
    assert numbers(compared(world, data, mapping="shoes")) == (0, 1, 0, 0)
    import_customers.delete_mapping(world.shop, "shoes")
    with pytest.raises(Invalid):
        begun(world, data, mapping="shoes")


@pytest.mark.parametrize(
    ("columns", "pointer"),
    [
        ({"Nowhere": "fax"}, "/columns/Nowhere"),
        ({"Place": "password"}, "/columns/Place"),
        ({"Place": "email"}, "/columns/Place"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(world: World, columns: dict[str, str], pointer: str) -> None:
    job = compared(world, table({"Email": "ada@example.com", "Place": "Paris"}))
    with pytest.raises(Invalid) as caught:
        import_customers.map_columns(world.shop, job.import_id, ImportMappingRequest(columns=columns))
    assert pointer in [problem.pointer for problem in caught.value.problems]


def test_blank_cells_clear_or_say_nothing_as_it_was_asked(world: World) -> None:
    data = table({"email": "ada@example.com", "fax": ""})
    assert numbers(compared(world, data)) == (0, 1, 0, 0)
    assert numbers(compared(world, data, blank_cells="keep")) == (0, 0, 1, 0)


@pytest.mark.parametrize(
    ("data", "asked", "said"),
    [
        (b"", {}, "holds nothing"),
        (b"\r\n\r\n", {}, "holds nothing"),
        (b"email\n\xff\xfe", {}, "is not utf-8"),
        (b"email\x00", {}, "no CSV file"),
        (b'email\n"a', {}, "is broken"),
        (b"email\na", {"format": "xlsx"}, "is no .xlsx workbook"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_reason(
    world: World, data: bytes, asked: dict[str, Any], said: str
) -> None:
    job = compared(world, data, **asked)
    assert job.state == "refused"
    assert said in (job.problem or "")


def test_a_file_that_was_not_uploaded_cannot_be_imported(world: World) -> None:
    file = import_customers.ask_upload(world.shop).file
    with pytest.raises(Invalid):
        import_customers.begin(world.shop, CustomerImportRequest(file=file, format="csv"))
    with pytest.raises(NotFound):
        import_customers.confirm(world.shop, "nobody", ImportConfirmation())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "windows-1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters_are_told_apart(world: World, encoding: Any, delimiter: str) -> None:
    text = delimiter.join(("email", "business_notes")) + "\r\n" + delimiter.join(("jo@example.com", "Zoë Müller"))
    codec = {"windows-1252": "cp1252"}.get(encoding, encoding)
    job = compared(world, text.encode(codec), encoding=encoding)
    [row] = rows_of(world, job)
    assert [change.after for change in row.changes or []] == ["jo@example.com", "Zoë Müller"]


# --- written, and undone ----------------------------------------------------------------------------------------------

FILE = table(
    {"email": "ada@example.com", "billing_1_city": "Paris", "tags": "VIP"},
    {"email": "new@example.com", "billing_1_city": "Rome", "tags": ""},
    {"email": "bob@example.com", "billing_1_city": "", "tags": ""},
)


def test_what_was_compared_is_written_told_and_undone(world: World) -> None:
    before = customers(world)
    job = applied(world, FILE)
    assert (job.state, job.number_created, job.number_changed, job.number_left) == ("applied", 1, 1, 0)
    after = customers(world)
    assert after["ada@example.com"]["billing"][0]["city"] == "Paris"
    assert after["ada@example.com"]["tags"] == [{"tag_value": "VIP"}]
    assert after["bob@example.com"] == before["bob@example.com"]
    new = profiles.customer_by_email(world.shop, "new@example.com").noun
    assert (new.merchant_id, new.last_modified_by, new.signup_dts) == ("DEMO", "tester", world.clock.now())
    assert world.shop.customer_passwords.find(new.customer_profile_oid or 0) is None, (
        "whom a password notice can be sent to"
    )
    assert {name for name, _ in world.shop.lists.rows("customer")} == {
        str(customer["customer_profile_oid"]) for customer in after.values()
    }
    assert [(row.row, row.outcome) for row in rows_of(world, job, "applied")] == [(2, "applied"), (3, "applied")]
    import_customers.undo(world.shop, job.import_id)
    work(world)
    job = job_of(world, job.import_id)
    assert (job.state, job.number_undone, job.number_kept) == ("undone", 2, 0)
    assert customers(world) == before
    assert len(list(world.shop.lists.rows("customer"))) == 2


def test_a_profile_that_somebody_changed_in_between_is_left_and_named(world: World) -> None:
    job = compared(world, FILE)
    ada = profiles.customer_by_email(world.shop, "ada@example.com").noun.customer_profile_oid or 0
    profiles.update_customer(world.shop, ada, {"fax": "9"})
    profiles.insert_customer(world.shop, {"email": "new@example.com"})
    import_customers.confirm(world.shop, job.import_id, ImportConfirmation())
    work(world)
    job = job_of(world, job.import_id)
    assert (job.number_created, job.number_changed, job.number_left) == (0, 0, 2)
    assert [(row.row, row.message) for row in rows_of(world, job, "left")] == [(2, CHANGED_SINCE), (3, TAKEN_SINCE)]
    assert customers(world)["ada@example.com"]["fax"] == "9"


def test_what_somebody_changed_since_stays_where_the_import_is_undone(world: World) -> None:
    job = applied(world, FILE)
    for email in ("ada@example.com", "new@example.com"):
        oid = profiles.customer_by_email(world.shop, email).noun.customer_profile_oid or 0
        profiles.update_customer(world.shop, oid, {"fax": "9"})
    import_customers.undo(world.shop, job.import_id)
    work(world)
    job = job_of(world, job.import_id)
    assert (job.number_undone, job.number_kept) == (0, 2)
    assert [(row.row, row.message) for row in rows_of(world, job, "kept")] == [(2, KEPT_SINCE), (3, KEPT_SINCE)]
    assert customers(world)["new@example.com"]["fax"] == "9"


def test_who_is_not_in_the_file_goes_only_by_the_digest_of_the_list_and_comes_back(world: World) -> None:
    profiles.insert_customer(world.shop, {"email": "carl@example.com", "tags": [{"tag_value": "x"}]})
    before = customers(world)
    job = compared(world, FILE.replace(b"bob@example.com,,\r\n", b""), delete_missing=True)
    assert job.number_to_delete == 2
    gone, cursor = import_customers.missing(world.shop, job.import_id, 10)
    assert ([one.email for one in gone], cursor) == (["bob@example.com", "carl@example.com"], None)
    for digest in (None, "", "0" * 64):
        with pytest.raises(Invalid):
            import_customers.confirm(world.shop, job.import_id, ImportConfirmation(delete_digest=digest))
    bob = profiles.customer_by_email(world.shop, "bob@example.com").noun.customer_profile_oid or 0
    profiles.update_customer(world.shop, bob, {"fax": "9"})
    import_customers.confirm(world.shop, job.import_id, ImportConfirmation(delete_digest=job.delete_digest))
    work(world, twice=True)
    job = job_of(world, job.import_id)
    assert (job.number_deleted, job.number_left) == (1, 1)
    gone, _ = import_customers.missing(world.shop, job.import_id, 10)
    assert [(one.email, one.outcome) for one in gone] == [("bob@example.com", "left"), ("carl@example.com", "applied")]
    assert set(customers(world)) == {"ada@example.com", "bob@example.com", "new@example.com"}
    import_customers.undo(world.shop, job.import_id)
    work(world)
    before["bob@example.com"]["fax"] = "9"
    assert customers(world) == before
    assert len(list(world.shop.lists.rows("customer"))) == 3
    carl = profiles.customer_by_email(world.shop, "carl@example.com")
    profiles.update_customer(world.shop, carl.noun.customer_profile_oid or 0, {"fax": "1"})
    assert len(list(world.shop.lists.rows("customer"))) == 3


# --- cut, and delivered twice -----------------------------------------------------------------------------------------


def finished(world: World, shop: Shop, step: Callable[[Shop], Any]) -> None:
    """A step with its shop under the scissors, then all again with one that is whole, every message twice."""
    try:
        step(shop)
        work(world, shop)
    except Crash:
        step(world.shop)
    work(world, twice=True)


def cut_shops(world: World) -> Iterator[tuple[Shop, Scissors]]:
    scissors = Scissors()
    house = dataclasses.replace(world.house, port=CutPort(world.tables, scissors))
    shop = house.open_shop(world.shop.merchant_id)
    yield dataclasses.replace(shop, files=Cuts(shop.files, scissors)), scissors


SOME = [{"email": f"u{number}@example.com", "fax": str(number)} for number in range(2)]
PIECES_FILE = table(*SOME, {"email": "ada@example.com", "fax": "7"})


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("step", ["compare", "apply", "undo", "export", "export of a search"])
def test_a_cut_at_any_call_and_every_message_twice_come_to_the_same(step: str, side: Side) -> None:
    wanted: Any = None
    call = 0
    while True:
        world = World().open()
        for raw in (ADA, BOB):
            profiles.insert_customer(world.shop, raw)
        (pair,) = cut_shops(world)
        shop, scissors = pair
        answer = _through(world, shop, scissors, step, (call, side))
        if wanted is None:
            wanted = answer
            assert scissors.calls > 10
            last = scissors.calls
        assert answer == wanted, (call, scissors.names[call - 1 :][:1])
        call += 1
        if call > last:
            break
    print(f"{step}: cut {side} at each of {last} calls")


EXPORTS = {"export": None, "export of a search": CustomerQuery(billing_city="Lon*")}


def _through(world: World, shop: Shop, scissors: Scissors, step: str, cut: tuple[int, Side]) -> Any:
    """An import, or an export, up to and with the step that is cut."""

    def armed(this: str, act: Callable[[Shop], Any]) -> bool:
        if this == step:
            scissors.arm(cut)
            finished(world, shop, act)
            scissors.cuts = {}
            return True
        act(world.shop)
        work(world)
        return False

    if step in EXPORTS:
        exports: list[str] = []
        asked = CustomerExportRequest(format="csv", query=EXPORTS[step])
        armed(step, lambda shop: exports.append(export_customers.begin(shop, asked).export_id))
        export = world.shop.transfers.get(CustomerExport, exports[-1]).noun
        file = b"".join(world.shop.files.pieces(f"passing/exports/{export.export_id}/customers.csv"))
        return [export.state, export.number_done, file]
    import_id = begun(world, PIECES_FILE, delete_missing=True)
    messages = [message for _, message in world.queue.take()]
    over = armed("compare", lambda shop: world.queue.send("files", messages))
    job = job_of(world, import_id)
    told = [job.state, numbers(job), job.number_to_delete, job.number_of_rows, job.number_done]
    confirmation = ImportConfirmation(delete_digest=job.delete_digest)
    if over:
        return told
    over = armed(
        "apply",
        lambda shop: _unless(
            world, import_id, "applied", lambda: import_customers.confirm(shop, import_id, confirmation)
        ),
    )
    job = job_of(world, import_id)
    # Oids are drawn by whoever plans, and a plan may be made twice.
    told += [sorted((email, one.get("fax")) for email, one in customers(world).items())]
    told += [job.state, job.number_created, job.number_changed, job.number_deleted, job.number_left]
    if over:
        return told
    armed("undo", lambda shop: _unless(world, import_id, "undone", lambda: import_customers.undo(shop, import_id)))
    job = job_of(world, import_id)
    return [*told, job.state, job.number_undone, job.number_kept, customers(world)]


def _unless(world: World, import_id: str, state: str, act: Callable[[], Any]) -> None:
    if job_of(world, import_id).state != state:
        act()


def test_a_large_file_goes_piece_by_piece_however_little_time_a_call_has(world: World) -> None:
    world.time_left = itertools.cycle([FUNCTION_SECONDS, 1.0]).__next__
    many = table(*({"email": f"u{number}@example.com", "fax": str(number)} for number in range(PIECE * 2 + 10)))
    job = compared(world, many)
    assert (job.state, numbers(job), job.number_done) == ("compared", (1010, 0, 0, 0), 1010)
    page, cursor = import_customers.rows(world.shop, job.import_id, None, 200)
    seen = [row.row for row in page]
    while cursor is not None:
        page, cursor = import_customers.rows(world.shop, job.import_id, None, 200, cursor)
        seen += [row.row for row in page]
    assert seen == list(range(2, 1012))
    import_customers.confirm(world.shop, job.import_id, ImportConfirmation())
    work(world)
    assert job_of(world, job.import_id).number_created == 1010
    assert len(list(Spreadsheets().rows([exported(world, "csv")], "csv"))) == 1013
    import_customers.undo(world.shop, job.import_id)
    work(world)
    assert job_of(world, job.import_id).number_undone == 1010
    assert set(customers(world)) == {"ada@example.com", "bob@example.com"}
