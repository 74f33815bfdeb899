"""The last words of a run: verdict, checks, evictions, traffic, and what to type next.

On a terminal with rich's tables, fitted to its width; elsewhere as plain lines, one fact a line, so that logs can be
searched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from harness.files import shown as printable
from harness.model.result import Result
from harness.model.verdicts import EvictionRow, PodVerdict, Verdict
from reports.evictions import VIOLATIONS, replanned, tally, worst_first
from reports.folder import read_folder
from reports.render import PAGE
from reports.story import healed_words, next_commands
from reports.words import DASH, NO_DATA, count, milliseconds, offset, one_line, percent, plural, quantity, window

MAX_PODS = 20
_WIDE = 100
_STYLE = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.INCONCLUSIVE: "yellow", Verdict.INVALID: "magenta"}


def print_result(folder: Path, console: Console | None = None) -> None:
    """Print the result of the run in `folder` to `console` (standard output). Raises as `reports.folder.read_folder`
    does.
    """
    run = read_folder(folder)
    show(run.result, folder, console or Console())


def show(result: Result, folder: Path, console: Console) -> None:
    """Print `result`; `folder` is only named in the commands."""
    if console.is_terminal:
        _show_rich(result, folder, console)
    else:
        for line in plain_lines(result, folder):
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def plain_lines(result: Result, folder: Path) -> Iterator[str]:
    """The result as lines without colour, in columns."""
    yield f"{result.verdict}  {one_line(result.experiment)}  (exit code {result.exit_code})"
    yield f"  {one_line(result.reason)}"
    if result.what_would_decide:
        yield f"  what would decide it: {one_line(result.what_would_decide)}"
    if result.healed is False:
        yield f"  THE CLUSTER IS NOT AS IT WAS BEFORE: {healed_words(result)}"
        yield from (f"    {one_line(thing)}" for thing in result.leftovers)
    yield ""
    yield "checks"
    yield from _columns([(row[0], row[1], *row[2:5], row[5]) for row in _check_rows(result)])
    if result.evictions:
        yield ""
        yield f"evictions: {plural(len(result.evictions), 'pod')}: {tally(result.evictions)}"
        if sentence := replanned(result.evictions):
            yield f"  against the plan: {sentence}"
        picked = _shown(result.evictions)
        yield from _columns([_EVICTION_HEADER, *(_eviction_cells(row) for row in picked)])
        if len(picked) < len(result.evictions):
            yield f"  ... and {len(result.evictions) - len(picked):,} more"
    phases = _phase_rows(result)
    if not any(phase.requests for phase in result.phases):
        yield ""
        yield "traffic: no data"
    elif phases:
        yield ""
        yield "traffic"
        yield from _columns([_PHASE_HEADER, *phases])
    yield ""
    yield f"cluster as before: {healed_words(result)}"
    yield from (f"page: {printable(path)}" for path in _page(folder))
    for command, what in next_commands(result, folder):
        yield f"next: {command}  ({what})"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """`rows` padded into columns, indented by two; the last column is as long as it likes."""
    if not rows:
        return
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width]
        yield ("  " + "  ".join(cells)).rstrip()


def _check_rows(result: Result) -> list[tuple[str, str, str, str, str, str]]:
    return [
        (
            check.verdict.value,
            one_line(check.id, 80),
            "" if check.measured is None else quantity(check.measured, check.unit),
            "" if check.limit is None else f"limit {quantity(check.limit, check.unit)}",
            f"n {count(check.n)}",
            one_line(check.reason, 400),
        )
        for check in result.checks
    ]


_EVICTION_HEADER = ("verdict", "pod", "predicted", "seen", "gone", "ready again")


def _eviction_cells(row: EvictionRow) -> tuple[str, str, str, str, str, str]:
    return (
        row.verdict.value,
        one_line(row.pod, 120),
        window(row.predicted_s, none="stays"),
        DASH if row.observed_s is None else offset(row.observed_s),
        DASH if row.gone_s is None else offset(row.gone_s),
        DASH if row.replacement_ready_s is None else offset(row.replacement_ready_s),
    )


def _shown(rows: Sequence[EvictionRow]) -> list[EvictionRow]:
    return worst_first(rows)[:MAX_PODS]


_PHASE_HEADER = ("phase", "requests", "bad", "share", "p50", "p99", "")


def _phase_rows(result: Result) -> list[tuple[str, ...]]:
    return [
        (
            one_line(phase.name, 40),
            count(phase.requests),
            count(phase.bad),
            percent(phase.bad_ratio),
            milliseconds(phase.p50_ms),
            milliseconds(phase.p99_ms),
            "rough" if phase.rough and phase.p99_ms is not None else "",
        )
        for phase in result.phases
    ]


def _page(folder: Path) -> tuple[Path, ...]:
    page = folder / PAGE
    return (page,) if page.is_file() else ()


def _show_rich(result: Result, folder: Path, console: Console) -> None:
    colour = style = _STYLE[result.verdict]
    body = Text(one_line(result.reason, 600))
    if result.what_would_decide:
        body.append(f"\nwhat would decide it: {one_line(result.what_would_decide, 600)}", style="dim")
    if result.healed is False:
        left = "".join(f"\n  {one_line(thing, 200)}" for thing in result.leftovers)
        body.append(f"\nthe cluster is not as it was before:{left}", style="bold red")
        style = "red"
    title = Text.assemble((f" {result.verdict} ", f"bold reverse {colour}"), " ", one_line(result.experiment, 60), " ")
    foot = Text(f" exit code {result.exit_code} · cluster as before: {healed_words(result)} ")
    console.print()
    console.print(
        Panel(body, title=title, title_align="left", subtitle=foot, subtitle_align="left", border_style=style)
    )
    console.print(_checks(result, console.width))
    if result.evictions:
        console.print(_evictions(result, console.width))
    if any(phase.requests for phase in result.phases):
        console.print(_phases(result))
    for path in _page(folder):
        console.print(Text.assemble(("page  ", "bold"), printable(path)), soft_wrap=True)
    for command, what in next_commands(result, folder):
        console.print(Text.assemble(("next  ", "bold"), command, (f"  {what}", "dim")), soft_wrap=True)


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, expand=False
    )


def _checks(result: Result, width: int) -> Table:
    """Narrow terminals leave out the numbers, which the reason repeats."""
    table = _table("Checks")
    table.add_column("", no_wrap=True)
    table.add_column("check", overflow="fold")
    wide = width >= _WIDE
    if wide:
        table.add_column("measured", justify="right", no_wrap=True)
        table.add_column("", justify="right", no_wrap=True)
        table.add_column("", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for check, row in zip(result.checks, _check_rows(result), strict=True):
        verdict = Text(row[0], style=f"bold {_STYLE[check.verdict]}")
        numbers = [Text(cell) for cell in row[2:5]] if wide else []
        table.add_row(verdict, Text(row[1]), *numbers, Text(row[5]))
    return table


def _evictions(result: Result, width: int) -> Table:
    picked = _shown(result.evictions)
    left = len(result.evictions) - len(picked)
    more = f"; the {len(picked)} worst" if left else ""
    table = _table(f"Evictions: {tally(result.evictions)}{more}")
    if sentence := replanned(result.evictions):
        table.caption = f"against the plan: {sentence}"
    keep = range(len(_EVICTION_HEADER)) if width >= _WIDE else (0, 1, 2, 3)
    for at in keep:
        right = at >= 2
        table.add_column(_EVICTION_HEADER[at], justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in picked:
        style = "red" if row.verdict in VIOLATIONS else "yellow" if row.verdict is PodVerdict.UNKNOWN else "green"
        cells = _eviction_cells(row)
        table.add_row(*(Text(cells[at], style=style if at == 0 else "") for at in keep))
    return table


def _phases(result: Result) -> Table:
    table = _table("Traffic")
    for at, name in enumerate(_PHASE_HEADER):
        table.add_column(name, justify="right" if 0 < at < 6 else "left")
    for row in _phase_rows(result):
        table.add_row(*(Text(cell, style="dim" if cell == NO_DATA or at == 6 else "") for at, cell in enumerate(row)))
    return table
