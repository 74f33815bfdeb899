"""A plan for people: what breaks first, then who leaves and who stays; one screen unless everything is asked for.

On a terminal with rich's tables; elsewhere as plain lines in columns, so that logs can be searched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.impact import PolicyPlan, Replacement
from harness.impact.encode import summary, workload_rows
from harness.model.finding import Finding, Severity
from harness.model.plan_file import FindingRow, PlanDiff, WorkloadRow
from harness.semantics.scheduling import PlacementOutcome
from reports.words import DASH, one_line, plural

_OF_A_KIND = 3
_FINDINGS = 14
_WORKLOADS = 6
_OTHERS = 4
_PODS = 10
_MARK = {Severity.BREAKS: "BREAKS", Severity.HURTS: "hurts", Severity.NOTE: "note"}
_STYLE = {Severity.BREAKS: "bold red", Severity.HURTS: "yellow", Severity.NOTE: "dim"}
_FATES = {
    PlacementOutcome.FITS: "fit",
    PlacementOutcome.EVICTION_LOOP: "fit only for another eviction",
    PlacementOutcome.PREEMPTS: "preempting others",
    PlacementOutcome.PENDING: "Pending",
    PlacementOutcome.UNKNOWN: "unknown",
}
_BACKS = {
    Replacement.STUCK_TERMINATING: "waiting for a dead node",
    Replacement.SAME_NODE: "back on the same node",
    Replacement.EVICT_LOOP: "back on the same node for another eviction",
    Replacement.NOT_RECREATED: "of DaemonSets not back",
    Replacement.DONE: "finished or leaving already",
    Replacement.NONE: "with no replacement",
}


def print_plan(plan: PolicyPlan, *, everything: bool = False, console: Console | None = None) -> None:
    """Print `plan` to `console` (standard output); `everything`: not one screen of it, but all findings and
    workloads.
    """
    out = console or Console()
    rich = out.is_terminal
    _line(out, Text(one_line(plan.title), style="bold"))
    for line in _facts(plan):
        _line(out, Text(one_line(line)))
    for held in plan.held:
        word, style = {True: ("holds", "green"), False: ("BREAKS", "bold red"), None: ("unknown", "magenta")}[
            held.holds
        ]
        text = Text(f"expect {held.expectation.name}: ").append(word, style=style)
        _line(out, text.append(f": {one_line(held.because, 0 if everything else 160)}"))
    _print_findings(out, plan, everything=everything, rich=rich)
    _print_workloads(out, plan, everything=everything, rich=rich)
    for line in _staying(plan):
        _line(out, Text(line))
    for question in plan.unknown:
        _line(out, Text("unknown ", style="magenta").append(one_line(question)))
    _line(out, Text(_verdict(plan), style="bold"))


def _line(out: Console, text: Text) -> None:
    out.print(text, soft_wrap=True, highlight=False)


def _facts(plan: PolicyPlan) -> Iterator[str]:
    impact, figures = plan.impact, summary(plan)
    inventory = impact.inventory
    size = f"{plural(len(inventory.nodes), 'node')}, {plural(len(inventory.pods), 'pod')}"
    version = f", Kubernetes {inventory.kubernetes_version}" if inventory.kubernetes_version else ""
    yield f"on {plan.source} ({size}{version}): {', '.join(impact.words) or 'nothing'}"
    targets = impact.targets
    named = ", ".join(targets[:_OTHERS]) + (f" and {len(targets) - _OTHERS:,} more" if len(targets) > _OTHERS else "")
    unsure = f", unsure {figures.unsure:,}" if figures.unsure else ""
    yield (
        f"{plural(len(targets), 'node')} ({named}): leaving {plural(figures.leaving, 'pod')}, "
        f"staying {figures.staying:,}{unsure}"
    )
    parts = [f"{figures.replacements[f.value]:,} {word}" for f, word in _FATES.items() if figures.replacements[f.value]]
    parts += [
        f"{figures.without_replacement[back.value]:,} {word}"
        for back, word in _BACKS.items()
        if figures.without_replacement.get(back.value)
    ]
    if parts:
        yield f"replacements: {', '.join(parts)}"


def _verdict(plan: PolicyPlan) -> str:
    breaks = sum(finding.severity is Severity.BREAKS for finding in plan.findings)
    hurts = sum(finding.severity is Severity.HURTS for finding in plan.findings)
    if not plan.impact.leaving and not plan.impact.unsure:
        first = "nobody leaves"
    elif not breaks and not hurts:
        first = "nothing breaks"
    else:
        first = f"{plural(breaks, 'thing')} would break, {hurts:,} would be hurt"
    if plan.unknown:
        first += f", as far as is known ({plural(len(plan.unknown), 'question')} open)"
    return f"{first}; nothing was written to the cluster (exit code {int(plan.exit_code)})"


# --- findings ---


def shown_findings(findings: Sequence[Finding]) -> tuple[list[Finding], Counter[tuple[Severity, str]]]:
    """One screen of findings, with room for every kind; and how many of each are not among them."""
    by_rule: Counter[tuple[Severity, str]] = Counter()
    shown: list[Finding] = []
    for finding in findings:
        known_as = finding.severity, finding.rule
        by_rule[known_as] += 1
        if by_rule[known_as] <= _OF_A_KIND and len(shown) < _FINDINGS:
            shown.append(finding)
    for finding in shown:
        by_rule[finding.severity, finding.rule] -= 1
    return shown, +by_rule


def _print_findings(out: Console, plan: PolicyPlan, *, everything: bool, rich: bool) -> None:
    shown, rest = (list(plan.findings), Counter()) if everything else shown_findings(plan.findings)
    if not shown:
        return
    limit = 0 if everything else 200
    rows = [(_MARK[f.severity], f.rule, one_line(f.subject), one_line(f.message, limit)) for f in shown]
    if rich:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
        for finding, row in zip(shown, rows, strict=True):
            table.add_row(Text(row[0], style=_STYLE[finding.severity]), row[1], Text(row[2]), Text(row[3]))
        out.print(table)
    else:
        for line in _columns(rows):
            _line(out, Text(line))
    if rest:
        counted = ", ".join(f"{count:,} {rule}" for (_, rule), count in sorted(rest.items()))
        _line(out, Text(f"  and {sum(rest.values()):,} more: {counted} (--all shows them)", style="dim"))


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """`rows` padded into columns, indented by two; the last column is as long as it likes."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield ("  " + "  ".join(cells)).rstrip()


# --- workloads ---


def _print_workloads(out: Console, plan: PolicyPlan, *, everything: bool, rich: bool) -> None:
    rows = [row for row in workload_rows(plan) if row.leaving]
    shown = rows if everything else rows[:_WORKLOADS]
    if not shown:
        return
    cells = [("leave", "stay", "when", "workload", "replacements", "rule"), *map(_workload_cells, shown)]
    if rich:
        table = Table(*cells[0], box=box.SIMPLE_HEAD, pad_edge=False)
        for row in cells[1:]:
            table.add_row(*map(Text, row))
        out.print(table)
    else:
        for line in _columns(cells):
            _line(out, Text(line))
    if len(shown) < len(rows):
        pods = sum(row.leaving for row in rows[len(shown) :])
        rest = f"  and {plural(pods, 'pod')} of {plural(len(rows) - len(shown), 'workload')} more (--all shows them)"
        _line(out, Text(rest, style="dim"))


def _workload_cells(row: WorkloadRow) -> tuple[str, ...]:
    fates = ", ".join(f"{count:,} {fate}" for fate, count in sorted(row.replacements.items()))
    rules = ", ".join(sorted(row.rules))
    return (
        f"{row.leaving:,}",
        f"{row.staying:,}",
        "" if row.at is None else _when(row.at),
        one_line(row.workload),
        one_line(fates),
        rules,
    )


def _when(at: Sequence[float | None]) -> str:
    """``0 – 1.2 s``; an end that is not known stays open."""
    earliest, latest = at
    if earliest is None:
        return DASH
    return f"{earliest:g} {DASH} {latest:.4g} s" if latest is not None else f"from {earliest:g} s on"


def _staying(plan: PolicyPlan) -> Iterator[str]:
    """Who stays, by reason; blanket tolerations named as such."""
    reasons: Counter[str] = Counter()
    for each in plan.impact.staying:
        reasons["a blanket toleration" if each.blanket else str(each.prediction.rule)] += 1
    if reasons:
        yield "stay because of: " + ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common())


# --- differences ---


def print_diff(diff: PlanDiff, *, everything: bool = False, console: Console | None = None) -> None:
    """Print what the second plan does differently from the first."""
    out = console or Console()
    first, second = map(one_line, diff.plans)
    _line(out, Text(f"- {first}\n+ {second}", style="bold"))
    for finding in diff.findings_gone:
        _line(out, _difference("-", finding, "green"))
    for finding in diff.findings_new:
        _line(out, _difference("+", finding, "red"))
    limit = None if everything else _PODS
    for sign, pods in (("-", diff.only_first), ("+", diff.only_second)):
        _list(out, f"{sign} leave only then: {plural(len(pods), 'pod')}", pods, limit)
    moved = [f"{each.pod}: {_when(each.first)} {_ARROW} {_when(each.second)}" for each in diff.moved]
    _list(out, f"leave at another time: {plural(len(moved), 'pod')}", moved, limit)
    placed = [f"{each.pod}: {each.first} {_ARROW} {each.second}" for each in diff.replacements]
    _list(out, f"replacements fare differently: {plural(len(placed), 'pod')}", placed, limit)
    counts = [f"leaving {plural(one.leaving, 'pod')}, breaking {plural(one.breaks, 'thing')}" for one in diff.summaries]
    _line(out, Text(f"- {counts[0]}\n+ {counts[1]}", style="bold"))


_ARROW = "\N{RIGHTWARDS ARROW}"


def _difference(sign: str, finding: FindingRow, style: str) -> Text:
    text = f"{sign} {finding.severity} {finding.kind} {finding.subject} {finding.message}"
    return Text(one_line(text), style=style)


def _list(out: Console, head: str, items: Sequence[str], limit: int | None) -> None:
    if not items:
        return
    _line(out, Text(head))
    shown = items if limit is None else items[:limit]
    for item in shown:
        _line(out, Text(f"    {one_line(item)}"))
    if len(shown) < len(items):
        _line(out, Text(f"    and {len(items) - len(shown):,} more (--all shows them)", style="dim"))
