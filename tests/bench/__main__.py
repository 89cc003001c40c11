"""``python -m tests.bench``: measures everything, prints one table, and writes docs/benchmarks.md.

Ends with 1 where something that is counted, or a ratio, is over its budget; speed by the clock never fails.
"""

import os
import platform
import sqlite3
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from infra import package
from tests.bench import cold, costs, counting, importing, rebilling, searching, sweeping, travelling
from tests.bench.rebilling import Leg, Speed
from tests.bench.sweeping import Swept

PAGE = Path(__file__).parent.parent.parent / "docs" / "benchmarks.md"
REBILLS_A_SECOND = 500
PACKAGE_MEGABYTES = 20


class Figure(msgspec.Struct, kw_only=True, frozen=True):
    """One row. ``over``: it is counted, or a ratio, and over its budget."""

    what: str
    figure: str
    budget: str = ""
    over: bool = False


class Part(msgspec.Struct, kw_only=True, frozen=True):
    """One section of the page: what was measured and how, its figures, and what they mean."""

    title: str
    how: str
    figures: list[Figure]
    after: str = ""


def main() -> int:
    parts: list[Part] = []
    for measure in (units, sweeps, searches, imports, speeds, journey, cold_start, dollars):
        print(f"measuring: {measure.__name__.replace('_', ' ')} ...", file=sys.stderr)
        parts.append(measure())
    print("\n".join(_table(parts)))
    PAGE.write_text(_page(parts))
    print(f"\n{PAGE.relative_to(Path.cwd())} is written.", file=sys.stderr)
    return int(any(figure.over for part in parts for figure in part.figures))


# --- what is measured -------------------------------------------------------------------------------------------------


def units() -> Part:
    """Held by test_rebill_units.py, which prints each call."""
    cost = counting.counted()
    return Part(
        title="What one rebill takes of the database",
        how=(
            f"One approved rebill of an auto order of three lines, its order {cost.kilobytes} KB, in DynamoDB's units, "
            "counted by its published rules on the embedded engine, call by call, from the push of the sweep to "
            "the last transaction. Cold is a function that has read no settings yet, warm one that has within 30 "
            "seconds. Telling is what the outbox does afterwards: list rows, day totals, one webhook delivery and one "
            "receipt, planned. The tests fail where a budget is not kept."
        ),
        figures=[
            _counted("round trips that write", len(cost.writing()), counting.ROUND_TRIPS_THAT_WRITE),
            _counted("write units until settled", cost.writes(), cost.writes_allowed()),
            _counted("write units to tell everybody", cost.writes_to_tell(), counting.TELLING),
            _counted("read units, cold", cost.reads_cold(), counting.READS_COLD),
            _counted("read units, warm", cost.reads_warm, counting.READS_WARM),
            _counted("calls of the payment gateway", cost.posts, counting.GATEWAY_CALLS),
        ],
    )


def sweeps() -> Part:
    few, many = sweeping.swept(sweeping.FEW), sweeping.swept(sweeping.MANY)

    def row(what: str, of: Callable[[Swept], float]) -> Figure:
        over = abs(of(many) - of(few)) > 0.1 * of(few)
        return Figure(what=what, figure=f"{of(few):,g} and {of(many):,g}", budget="the same within 10 %", over=over)

    return Part(
        title="What a sweep costs in a small and in a large shop",
        how=(
            f"A sweep looks every five minutes for what is due. Here {sweeping.DUE} auto orders are due, of "
            f"{few.stored:,} that the shop has and of {many.stored:,}. Counted as above. It reads an index that holds "
            "what waits by the time at which it is due, so what is not due costs nothing."
        ),
        figures=[
            row("read units", lambda swept: swept.reads),
            row("write units", lambda swept: swept.writes),
            row("round trips, sends to the queue with them", lambda swept: swept.round_trips),
            Figure(what="seconds, in memory", figure=f"{few.seconds:.2f} and {many.seconds:.2f}"),
        ],
    )


def searches() -> Part:
    crowd, found = searching.costs()

    def row(cost: searching.Cost) -> Figure:
        queries = "1 query" if cost.calls == 1 else f"{cost.calls:,} queries"
        first = f"{queries}, {cost.reads:,g} read units, {cost.milliseconds:,.0f} ms"
        after = f"; the next page {cost.next_reads:g} read units" if cost.next_reads else ""
        most = cost.asked.most
        return Figure(
            what=f"{cost.asked.what}: {cost.total:,} found",
            figure=f"{first} ({cost.processor:,.0f} of a processor){after}",
            budget=f"{most:,g} read units" if most else "",
            over=cost.over,
        )

    return Part(
        title="Searching customers",
        how=(
            f"A shop of {searching.SHOP:,} customers on the embedded engine in memory, in DynamoDB's units; the first "
            f"page of {searching.PAGE}, found anew. Where a query asks for one field that has keys, its keys are read "
            "and nothing else; where it asks for more, the rows to which keys lead, if they are few; else the rows of "
            "all customers, and the pages after the first are cut from what was found. The profiles of a page are read "
            f"besides. What no key leads to may take {searching.ANYTHING_SECONDS:g} s."
        ),
        figures=[row(cost) for cost in found],
        after=f"The rows and keys of all were written in {crowd.seconds_to_build:.0f} s.",
    )


def imports() -> Part:
    def row(found: importing.Imported) -> Figure:
        seconds = f"{found.seconds:,.0f} s of a processor ({found.wall:,.0f} by the clock)"
        return Figure(
            what=f"{found.format}: {found.rows:,} rows of {found.columns}, {found.bytes / 1e6:,.1f} MB",
            figure=f"{seconds}, {found.megabytes} MB at the peak",
            budget=f"{importing.MINUTES} minutes, {importing.MEGABYTES} MB",
            over=found.megabytes > importing.MEGABYTES or found.seconds > 60 * importing.MINUTES,
        )

    return Part(
        title="Importing customers",
        how=(
            f"The dry run of a file of {importing.NUMBER:,} customers, from its first byte to the last row compared, "
            "in a process of its own, on the embedded engine on a file: of a hundred rows five change a cell, two are "
            "new, one is rejected. On AWS the function has a whole processor and five minutes a call."
        ),
        figures=[row(found) for found in importing.measured()],
    )


def speeds() -> Part:
    found = [rebilling.speed(lines) for lines in (1, 3)]
    budget = f"at least {REBILLS_A_SECOND}"

    def rows(speed: Speed) -> Iterator[Figure]:
        of = "one line" if speed.lines == 1 else f"{speed.lines} lines"
        for what, leg, wanted in (
            ("rebilled: pushed, claimed, charged, settled", speed.charged, budget),
            ("rebilled and told", speed.told, ""),
            ("rebilled, told, and its mails written", speed.mailed, ""),
        ):
            yield Figure(what=f"{what} ({of})", figure=_pace(leg), budget=wanted)

    return Part(
        title="How many rebills a second",
        how=(
            f"One process and one thread on SQLite files, as `make run` has them. {rebilling.AUTO_ORDERS} auto orders "
            "come due at once; the functions of app.py are called as its queues and schedules would. A full rebill is "
            "all of this: the sweep finds it, sends it to the queue and pushes its due time; the worker takes the "
            "message, reads, plans, claims in a transaction of its own, charges at the sandbox gateway (whose ledger "
            "is a file too), and settles with head, order and event in one transaction. Told means that the outbox "
            "has written list rows and day totals and planned the mails: a receipt, and one with a link to cancel. "
            "They are then written and put into the mailbox. "
            f"The best of {rebilling.ROUNDS} rounds, by the clock and in milliseconds of a processor, which "
            "other work on the machine disturbs less. Every commit survives a kill of the process (WAL, "
            "synchronous=NORMAL); a power cut may take the last moments."
        ),
        figures=[figure for speed in found for figure in rows(speed)],
    )


def journey() -> Part:
    found, alike = travelling.travelled_twice()
    minutes = found.cpu / 60
    return Part(
        title="How fast the test clock travels",
        how=(
            f"{travelling.AUTO_ORDERS:,} monthly auto orders, {len(travelling.YEARS)} years in as many steps, in one "
            "process and one thread: at every moment at which something comes due the clock stops and everything is "
            "done. Of each rebill that is the charge, the outbox, two mails in the mailbox, and a week before it a "
            "look at its prices. Each step is rehearsed first and compared with what was then billed. It is done twice "
            "at once, in two processes, from the same beginning; the figures are those of the slower one."
        ),
        figures=[
            Figure(what="rebills on the way", figure=f"{found.rebills:,}"),
            Figure(what="mails on the way", figure=f"{found.mails:,}"),
            Figure(
                what="billed as rehearsed",
                figure="yes" if found.as_rehearsed else "no",
                budget="yes",
                over=not found.as_rehearsed,
            ),
            Figure(
                what="both billed the same, to the digest",
                figure="yes" if alike else "no",
                budget="yes",
                over=not alike,
            ),
            Figure(what="minutes by the clock, two at once on two processors", figure=f"{found.wall / 60:.1f}"),
            Figure(
                what="minutes of a processor",
                figure=f"{minutes:.1f}",
                budget=f"{travelling.MINUTES}",
                over=minutes > travelling.MINUTES,
            ),
            Figure(what="a rebill", figure=_pace(Leg(wall=found.wall / found.rebills, cpu=found.cpu / found.rebills))),
        ],
    )


def cold_start() -> Part:
    title = "How long a function takes to start, and how large it is"
    how = (
        "The packaged app, unpacked and imported by a Python that has what Lambda's has and nothing else, beside a "
        "handler that imports boto3 and makes a DynamoDB client. Compiled files for both. Compared by the functions "
        f"called, and by processor time: medians of {cold.RUNS} starts each, in turns."
    )
    try:
        with TemporaryDirectory(prefix="backroom-bench-") as name:
            folder = Path(name)
            built = package.build(folder / "package", package.here())
            starts = cold.timed(built, cold.lambda_python(built, folder / "python"), folder / "task")
            megabytes = built.archive.stat().st_size / 1e6
    except package.Missing as missing:
        return Part(title=title, how=how, figures=[], after=f"Not measured on this machine. {missing}")

    def row(what: str, name: str, budget: float) -> Figure:
        calls, seconds = starts.ratio(name), starts.ratio_of_time(name)
        milliseconds = f"{starts.cpu[name] * 1000:.0f} ms of {starts.cpu['bare'] * 1000:.0f} ms"
        figure = f"{calls:.2f} by calls, {seconds:.2f} by time ({milliseconds})"
        return Figure(what=what, figure=figure, budget=f"{budget}", over=max(calls, seconds) > budget)

    return Part(
        title=title,
        how=how,
        figures=[
            row("the app imported, times the bare handler", "imported", cold.BUDGET),
            row("and its own DynamoDB client made", "ready", cold.READY_BUDGET),
            Figure(
                what="the zip of all functions, without boto3",
                figure=f"{megabytes:.1f} MB",
                budget=f"{PACKAGE_MEGABYTES} MB",
                over=megabytes > PACKAGE_MEGABYTES,
            ),
        ],
        after=f"Python {built.python.version}, {built.architecture}.",
    )


def dollars() -> Part:
    stages = costs.stages()
    whole, designed = costs.total(stages), costs.total(costs.designed(stages))
    second_mail = costs.total(costs.stages(mails=2)) - whole
    figures = [
        Figure(
            what=stage.name,
            figure=(
                f"${stage.dollars():.2f}: {stage.writes:g} write and {stage.reads:.2g} read units, "
                f"{stage.queue:.2g} queue requests, {stage.gigabyte_seconds():.2f} GB-s"
            ),
        )
        for stage in stages
    ]
    budget = f"${costs.DESIGNED_DOLLARS:.0f}"
    counted = "sweep, rebill and relay: what the design counts"
    figures.append(Figure(what=counted, figure=f"${designed:.2f}", budget=budget))
    figures.append(Figure(what="all of it", figure=f"${whole:.2f}"))
    figures.append(Figure(what="where a mail with a link to cancel is sent too, besides", figure=f"${second_mail:.2f}"))
    verdict = "within" if designed <= costs.DESIGNED_DOLLARS else "above"
    return Part(
        title="What a million rebills cost",
        how=(
            f"{costs.REBILLS} auto orders of three lines: each rebill sends a receipt and one webhook delivery, and a "
            "week before the next one its prices are looked at. Counted from the sweep to the last mark in warm "
            "functions, times list prices of us-east-1: DynamoDB on demand "
            f"${costs.WRITE_UNIT * 1e6:g} a million write units and ${costs.READ_UNIT * 1e6:g} a million read units, "
            f"SQS ${costs.QUEUE_REQUEST * 1e6:.2f} a million requests, Lambda on arm64 "
            f"${costs.GIGABYTE_SECOND:.10f} a GB-second and ${costs.INVOCATION * 1e6:.2f} a million calls. How long a "
            "function waits is assumed, not measured: "
            f"{costs.ROUND_TRIP_SECONDS * 1000:g} ms a round trip to the database, {costs.GATEWAY_SECONDS:g} s for the "
            f"payment gateway, {costs.RECEIVER_SECONDS:g} s for a webhook's receiver, {costs.MAIL_SECONDS:g} s for the "
            "mail provider."
        ),
        figures=figures,
        after=(
            f"The design counted on {budget} for what happens until everybody is told, the mails apart: "
            f"${designed:.2f} is {verdict} that. Apart from all this: the payment gateway's fees, the mail provider "
            "(SES takes $100 for a million mails), logs, storage, and what customers and merchants look at."
        ),
    )


# --- how it is told ---------------------------------------------------------------------------------------------------


def _counted(what: str, found: float, budget: float) -> Figure:
    return Figure(what=what, figure=f"{found:g}", budget=f"{budget:g}", over=found > budget)


def _pace(leg: Leg) -> str:
    return f"{1 / leg.wall:,.0f} a second; {leg.cpu * 1000:.2f} ms of a processor each"


def _table(parts: list[Part]) -> Iterator[str]:
    rows = [(figure.what, figure) for part in parts for figure in part.figures]
    wide = max(len(what) for what, _ in rows)
    for part in parts:
        yield f"\n{part.title}"
        for figure in part.figures:
            budget = f"   budget {figure.budget}" if figure.budget else ""
            yield f"  {figure.what:<{wide}}  {figure.figure}{budget}{'   OVER' if figure.over else ''}"
        if part.after:
            yield f"  {part.after}"


def _page(parts: list[Part]) -> str:
    text = [
        "# Benchmarks",
        "",
        "What Backroom costs and how fast it is. Written by `make bench`; nothing here is typed by hand.",
        "",
        f"Measured on {datetime.now(UTC).date().isoformat()}: {_machine()}.",
    ]
    for part in parts:
        text += ["", f"## {part.title}", "", *_wrapped(part.how)]
        if part.figures:
            text += ["", "| | measured | budget |", "|---|---|---|"]
            text += [
                f"| {figure.what} | {figure.figure}{' **over**' if figure.over else ''} | {figure.budget} |"
                for figure in part.figures
            ]
        if part.after:
            text += ["", *_wrapped(part.after)]
    return "\n".join(text) + "\n"


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False)


def _machine() -> str:
    cores = os.cpu_count() or 1
    return (
        f"{_processor()}, {cores} core{'s' if cores != 1 else ''}, {platform.system()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
