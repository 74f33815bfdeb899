"""A summary in GitHub's Markdown, for ``$GITHUB_STEP_SUMMARY``: the verdict, the checks, the worst pods, the traffic.

GitHub drops a whole upload above 1024 kB (all steps together), so this one stays below `MAX_BYTES`. Foreign text is
escaped: no markup, no HTML, no mentions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.model.result import Result
from harness.model.verdicts import CheckResult, Verdict
from reports.evictions import VIOLATIONS, replanned, tally, worst_first
from reports.story import healed_words, state_words
from reports.words import DASH, NO_DATA, count, milliseconds, offset, one_line, percent, plural, quantity, window

MAX_BYTES = 60_000
_MAX_PODS, _MAX_CHECKS = 25, 40
_SIGN = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.INCONCLUSIVE: "❔", Verdict.INVALID: "⚠️"}
_CUT = "\n\n*Cut to fit a step summary; the page has all of it.*\n"


def markdown(result: Result) -> str:
    """The summary as text of at most `MAX_BYTES` bytes in UTF-8; when it must be cut, it is cut after a whole line and
    says so.
    """
    text = "\n".join(_lines(result)).rstrip() + "\n"
    raw = text.encode()
    if len(raw) <= MAX_BYTES:
        return text
    kept = raw[: MAX_BYTES - len(_CUT.encode())]
    return kept[: kept.rfind(b"\n")].decode() + _CUT


def escaped(text: object, limit: int = 200) -> str:
    """Foreign text as literal Markdown on one line; bare URLs in it do not become links."""
    flat = re.sub(r"([\\`*_\[\]~|#!])", r"\\\1", one_line(text, limit))
    return re.sub(r"[&<>@]|:(?=//)|(?<=www)\.", lambda found: f"&#{ord(found[0])};", flat)


def _lines(result: Result) -> Iterator[str]:
    yield f"## {_SIGN[result.verdict]} {result.verdict} {DASH} {escaped(result.experiment)}"
    yield ""
    yield escaped(result.reason, 600)
    yield ""
    if result.what_would_decide:
        yield f"**What would decide it:** {escaped(result.what_would_decide, 600)}"
        yield ""
    if result.healed is False:
        yield f"**The cluster is not as it was before** ({escaped(healed_words(result))}): run `taintlab recover`."
        yield ""
    yield from _checks(result.checks)
    yield from _evictions(result)
    yield from _phases(result)
    yield from _gates(result)
    known = [f"{escaped(name)} {escaped(value)}" for name, value in result.versions.items()]
    facts = [
        f"exit code {result.exit_code}",
        f"run {state_words(result)}",
        f"cluster as before: {healed_words(result)}",
    ]
    yield " · ".join([*facts, *known])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> Iterator[str]:
    """A table; `right`: columns aligned to the right, from 0."""
    yield "| " + " | ".join(header) + " |"
    yield "|" + "|".join(" ---: " if at in right else " --- " for at in range(len(header))) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _checks(checks: Sequence[CheckResult]) -> Iterator[str]:
    rows = [
        (
            f"{_SIGN[check.verdict]} {check.verdict}",
            escaped(check.id, 80),
            "" if check.measured is None else escaped(quantity(check.measured, check.unit)),
            "" if check.limit is None else escaped(quantity(check.limit, check.unit)),
            count(check.n),
            escaped(check.reason, 300),
        )
        for check in checks[:_MAX_CHECKS]
    ]
    if rows:
        yield from _table(("Verdict", "Check", "Measured", "Limit", "n", "Why"), rows, right=(2, 3, 4))
    if len(checks) > _MAX_CHECKS:
        yield f"… and {len(checks) - _MAX_CHECKS} more checks."
        yield ""


def _evictions(result: Result) -> Iterator[str]:
    if not result.evictions:
        return
    ranked = worst_first(result.evictions)
    wrong = [row for row in ranked if row.verdict in VIOLATIONS]
    shown = (wrong or ranked)[:_MAX_PODS]
    yield "### Evictions"
    yield ""
    yield f"{plural(len(ranked), 'pod')}: {tally(ranked)}. Seconds from the acknowledged taint."
    if sentence := replanned(ranked):
        yield f"Against the plan: {sentence}."
    yield ""
    rows = [
        (
            row.verdict.value,
            escaped(row.pod, 120),
            window(row.predicted_s, none="stays"),
            DASH if row.observed_s is None else offset(row.observed_s),
            DASH if row.gone_s is None else offset(row.gone_s),
            DASH if row.replacement_ready_s is None else offset(row.replacement_ready_s),
            escaped(row.tolerations or row.rule, 120),
        )
        for row in shown
    ]
    header = ("Verdict", "Pod", "Predicted", "Seen", "Gone", "Replacement Ready", "Toleration")
    yield from _table(header, rows, right=(2, 3, 4, 5))
    left = len(ranked) - len(shown)
    if left:
        yield f"… and {left:,} more" + (", violations first." if wrong else ".")
        yield ""


def _phases(result: Result) -> Iterator[str]:
    rows = [
        (
            escaped(phase.name, 40),
            count(phase.requests),
            count(phase.bad),
            percent(phase.bad_ratio),
            milliseconds(phase.p50_ms),
            milliseconds(phase.p99_ms) + (" (rough)" if phase.rough and phase.p99_ms is not None else ""),
            milliseconds(phase.max_ms),
        )
        for phase in result.phases
    ]
    if not rows:
        return
    yield "### Traffic"
    yield ""
    if all(row[1] == NO_DATA for row in rows):
        yield "No data."
        yield ""
        return
    header = ("Phase", "Requests", "Bad", "Share", "p50", "p99", "Max")
    yield from _table(header, rows, right=range(1, 7))


def _gates(result: Result) -> Iterator[str]:
    """Only the gates that do not hold: the others are on the page."""
    broken = [gate for gate in result.gates if gate.ok is not True]
    if broken:
        yield "### The measurement is not sound"
        yield ""
        rows = [(escaped(gate.id, 80), escaped(gate.measured), escaped(gate.limit)) for gate in broken]
        yield from _table(("Gate", "Measured", "Must be"), rows)
