"""What every format tells beside the numbers: key figures, why something is missing, how good the data is, what to type
next.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.files import shown
from harness.model.result import Phase, Result
from harness.model.verdicts import PodVerdict
from harness.model.words import RunState
from reports.evictions import VIOLATIONS, tally
from reports.folder import Fact, RunFolder
from reports.words import NO_DATA, count, milliseconds, offset, one_line, percent, plural, seconds

EVICTIONS = "evictions"
"""Id of the check that judges pods against their predictions."""

_EXPECTED = (PodVerdict.ON_TIME, PodVerdict.SURVIVED)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number worth a second look. `is_bad` only for what a check already calls a violation."""

    label: str
    value: str
    note: str
    is_bad: bool = False


def figures(result: Result, missing: Mapping[str, str]) -> tuple[Figure, ...]:
    """The four figures below the verdict. `missing`: as from `why_missing`."""
    return (_pods(result), _moments(result), *_traffic(result, missing["load"]))


def _pods(result: Result) -> Figure:
    rows = result.evictions
    if not rows:
        check = next((check for check in result.checks if check.id == EVICTIONS), None)
        return Figure("Pods as predicted", NO_DATA, one_line(check.reason, 120) if check else "no pod was judged")
    expected = sum(row.verdict in _EXPECTED for row in rows)
    wrong = any(row.verdict in VIOLATIONS for row in rows)
    return Figure("Pods as predicted", f"{expected:,} of {len(rows):,}", tally(rows), is_bad=wrong)


def _moments(result: Result) -> Figure:
    seen = [row.observed_s for row in result.evictions if row.observed_s is not None]
    back = [row.replacement_ready_s for row in result.evictions if row.replacement_ready_s is not None]
    if not seen:
        return Figure("First eviction", NO_DATA, "no eviction was seen")
    note = f"last replacement Ready {offset(max(back))}" if back else "no replacement was seen Ready"
    return Figure("First eviction", offset(min(seen)), f"after the taint; {note}")


def _traffic(result: Result, why_not: str) -> tuple[Figure, Figure]:
    fault = result.phase("fault") or (result.phases[-1] if result.phases else None)
    if fault is None or not fault.requests:
        return Figure("Bad requests", NO_DATA, why_not), Figure("p99 latency", NO_DATA, why_not)
    during = f"in the {one_line(fault.name, 30)} phase"
    bad = Figure(f"Bad requests {during}", percent(fault.bad_ratio), f"{count(fault.bad)} of {count(fault.requests)}")
    return bad, Figure(f"p99 latency {during}", milliseconds(fault.p99_ms), _compared(fault, result.phase("baseline")))


def _compared(fault: Phase, baseline: Phase | None) -> str:
    rough = "rough; " if fault.rough else ""
    if baseline is None or baseline is fault:
        return f"{rough}median {milliseconds(fault.p50_ms)}"
    return f"{rough}{milliseconds(baseline.p99_ms)} in the baseline"


def why_missing(folder: RunFolder) -> dict[str, str]:
    """Why there is no "load", "endpoints", "saturation" or "signals" to show, in a sentence each, as far as the
    folder knows.
    """
    told = dict.fromkeys(one_line(row.why, 240) for row in folder.result.golden_signals if row.why)
    return {
        "load": _why_no_load(folder),
        "endpoints": _failed(folder, "endpoint") or "the run recorded no endpoints of a Service",
        "saturation": _why_no_saturation(folder),
        "signals": "; ".join(told) if told else "no golden signal was collected",
    }


def _why_no_load(folder: RunFolder) -> str:
    if folder.has_load is False:
        return "this experiment sends no traffic"
    ended = folder.history.of("LoadEnded") if folder.history else ()
    if ended and ended[-1].fields.get("ok") is not True:
        return one_line(f"the load process ended without its summary: {ended[-1].text('message')}", 240)
    return _failed(folder, "load") or f"{folder.result.run or 'the run'} recorded no traffic"


def _why_no_saturation(folder: RunFolder) -> str:
    told = [row.why for row in folder.result.golden_signals if row.why]
    sampled = [fact.text("why") for fact in (folder.history.of("Sample") if folder.history else ()) if fact.text("why")]
    return one_line((told or sampled or ["the run recorded no saturation"])[0], 240)


def _failed(folder: RunFolder, what: str) -> str:
    """The message of a recorder of `what` that died, "" if none did."""
    facts = folder.history.of("RecorderFailed") if folder.history else ()
    return next((one_line(f"{f.text('what')}: {f.text('message')}", 240) for f in facts if what in f.text("what")), "")


def data_quality(folder: RunFolder) -> tuple[tuple[str, str], ...]:
    """(what, finding) for everything that makes the evidence worse or shows that it is whole."""
    out = [("Run folder", note) for note in folder.notes]
    history = folder.history
    if history is not None:
        out.append(("History", f"{plural(history.lines, 'fact')}, {plural(history.damaged, 'damaged line')}"))
        gaps = history.of("WatchGap")
        out += [("Watch gap", _gap(fact)) for fact in gaps]
        if history.lines > history.damaged and not gaps:
            out.append(("Watches", "no gap was recorded"))
        failed = history.of("RecorderFailed")
        out += [
            ("Recorder failed", one_line(f"{f.text('what')} at {f.t_s:.1f} s: {f.text('message')}", 300))
            for f in failed
        ]
        out += [("Clock offset", _skew(fact)) for fact in history.of("SkewMeasured")[-1:]]
    series = folder.result.series
    if series and series.t_s and folder.has_load is not False:
        silent = sum(value is None for value in series.sent)
        out.append(
            ("Traffic", f"{plural(len(series.t_s), 'second')} recorded, {plural(silent, 'second')} without a figure")
        )
    return tuple(out)


def _gap(fact: Fact) -> str:
    from_ns = fact.number("from_ns")
    length = seconds(fact.t_s - from_ns / 1e9) if from_ns is not None else "an unknown time"
    return one_line(f"{fact.text('resource')} blind for {length}, up to {fact.t_s:.1f} s: {fact.text('why')}", 300)


def _skew(fact: Fact) -> str:
    offset_ms, error_ms = fact.number("offset_ms"), fact.number("error_ms")
    return f"API server's wall clock {milliseconds(offset_ms)} from ours, give or take {milliseconds(error_ms)}"


def healed_words(result: Result) -> str:
    """Whether the cluster is as it was before, in words."""
    if result.healed is None:
        return "not recorded"
    if result.healed:
        return "yes"
    return f"no: {plural(len(result.leftovers), 'thing')} left on the cluster" if result.leftovers else "no"


def state_words(result: Result) -> str:
    """How the run ended."""
    return {
        None: "not recorded",
        RunState.COMPLETED: "completed",
        RunState.ABORTED: "aborted by a guard",
        RunState.INTERRUPTED: "interrupted",
        RunState.FAILED: "failed",
        RunState.KILLED: "killed before it could end",
    }[result.state]


def next_commands(result: Result, folder: Path) -> tuple[tuple[str, str], ...]:
    """(command, what it does), most urgent first."""
    place = shlex.quote(shown(folder))
    heal = () if result.healed else ((f"taintlab recover {place}", "revert what is still on the cluster"),)
    return (
        *heal,
        (f"taintlab report {place}", "write the page again"),
        (f"taintlab check {place}", "judge the run again from its folder"),
    )
