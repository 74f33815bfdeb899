"""``result.json`` (version 1), typed once: the judge fills these values, reports read them, and the JSON Schema and the
reference page are held to them.

Times: `Series.t_s`, `Event.t_s`, `Phase` and `FaultWindow` count seconds from the start of the run; evictions count
from the acknowledged write of the first taint, which is at `FaultWindow.acknowledged_s` of the run. What was not
measured is None or empty, never 0. Pure: msgspec is a codec, it opens no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from harness.errors import ExitCode
from harness.model.verdicts import CheckResult, EvictionRow, Measured, Verdict

VERSION: Final = 1
FILE = "result.json"
SCHEMA_ID = "urn:taintlab:result:1"

_Values = tuple[Measured | None, ...]


class RunState(StrEnum):
    """How the run itself ended, whatever the verdict. KILLED is said by who finds the folder, not by the run."""

    COMPLETED = "completed"
    ABORTED = "aborted"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    KILLED = "killed"


class Phase(Struct, frozen=True, kw_only=True):
    """Traffic of one phase, by the intended start of each request. Latencies count a failure as the time limit."""

    name: Annotated[str, Meta(description="warmup, baseline, fault or recovery.")]
    start_s: Annotated[Measured | None, Meta(description="Start of the phase.")] = None
    end_s: Annotated[Measured | None, Meta(description="End of the phase.")] = None
    requests: Annotated[int | None, Meta(description="Requests due in it.")] = None
    bad: Annotated[int | None, Meta(description="Those that did not end well.")] = None
    rate_per_s: Annotated[Measured | None, Meta(description="Requests due a second.")] = None
    p50_ms: Annotated[Measured | None, Meta(description="Median latency, failures at the time limit.")] = None
    p90_ms: Annotated[Measured | None, Meta(description="90th percentile.")] = None
    p99_ms: Annotated[Measured | None, Meta(description="99th percentile.")] = None
    p999_ms: Annotated[
        Measured | None, Meta(description="99.9th percentile; null with fewer than 10 requests above it.")
    ] = None
    max_ms: Annotated[Measured | None, Meta(description="Highest latency.")] = None
    success_p99_ms: Annotated[Measured | None, Meta(description="99th percentile of good requests alone.")] = None
    rough: Annotated[bool, Meta(description="Fewer than 100 requests above the p99: an order of magnitude only.")] = (
        False
    )
    outcomes: Annotated[Mapping[str, int], Meta(description="How many requests ended how.")] = {}

    @property
    def bad_ratio(self) -> float | None:
        """Bad over all requests; None without a request."""
        return self.bad / self.requests if self.requests and self.bad is not None else None


class Saturation(Struct, frozen=True):
    """One saturation series beside `Series.t_s`."""

    name: Annotated[str, Meta(description="What is saturated.")]
    unit: Annotated[str, Meta(description="Unit of the values.")]
    values: Annotated[_Values, Meta(description="One value a window.")]


class Series(Struct, frozen=True, kw_only=True):
    """One value a window; None: not measured, () for a series that was not kept. ValueError when a series that was kept
    is not as long as `t_s`.
    """

    t_s: Annotated[tuple[Measured, ...], Meta(description="Start of each window, seconds from the start of the run.")]
    due: Annotated[_Values, Meta(description="Requests due by plan.")] = ()
    sent: Annotated[_Values, Meta(description="Requests sent.")] = ()
    bad: Annotated[_Values, Meta(description="Requests that did not end well.")] = ()
    bad_ratio: Annotated[_Values, Meta(description="Their share.")] = ()
    p50_ms: Annotated[_Values, Meta(description="Median latency.")] = ()
    p99_ms: Annotated[_Values, Meta(description="99th percentile, failures at the time limit.")] = ()
    success_p99_ms: Annotated[_Values, Meta(description="99th percentile of good requests alone.")] = ()
    ready_endpoints: Annotated[_Values, Meta(description="Lowest number of ready endpoints.")] = ()
    saturation: Annotated[tuple[Saturation, ...], Meta(description="Saturation series.")] = ()

    def __post_init__(self) -> None:
        beside = [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in ("t_s", "saturation")]
        beside += [(f"saturation {part.name}", part.values) for part in self.saturation]
        for name, values in beside:
            if values and len(values) != len(self.t_s):
                raise ValueError(f"{name[:80]} has {len(values)} values beside {len(self.t_s)} of t_s")


class Event(Struct, frozen=True):
    """Something to mark on the time axis."""

    t_s: Annotated[Measured, Meta(description="Seconds from the start of the run.")]
    kind: Annotated[
        str, Meta(description="inject, heal, first-eviction, last-ready, guard, gap; others are shown as they are.")
    ] = ""
    label: Annotated[str, Meta(description="What happened.")] = ""


class FaultWindow(Struct, frozen=True, kw_only=True):
    """The fault window; null without a fault."""

    start_s: Annotated[
        Measured | None, Meta(description="Start of the fault window, seconds from the start of the run.")
    ] = None
    end_s: Annotated[Measured | None, Meta(description="End of the fault window.")] = None
    acknowledged_s: Annotated[
        Measured | None, Meta(description="The acknowledged write of the first taint: zero of the evictions.")
    ] = None


class Gate(Struct, frozen=True):
    """One condition that the measurement itself had to meet."""

    id: Annotated[str, Meta(description="Name of the gate.")]
    ok: Annotated[bool | None, Meta(description="Whether it holds; null when it could not be told.")] = None
    measured: Annotated[str, Meta(description="What was found, for showing.")] = ""
    limit: Annotated[str, Meta(description="What it must be, for showing.")] = ""


class SignalRow(Struct, frozen=True, kw_only=True):
    """The golden signals of one phase from one source."""

    phase: Annotated[str, Meta(description="Name of the phase.")]
    latency_p99_ms: Annotated[Measured | None, Meta(description="Latency.")] = None
    traffic_per_s: Annotated[Measured | None, Meta(description="Traffic.")] = None
    errors_ratio: Annotated[Measured | None, Meta(description="Errors.")] = None
    saturation: Annotated[Mapping[str, Measured | None], Meta(description="Saturation by name.")] = {}
    source: Annotated[str, Meta(description="prometheus or client.")] = ""
    why: Annotated[str, Meta(description="Why something is missing.")] = ""


class LedgerLine(Struct, frozen=True, kw_only=True):
    """One undo record and whether it was undone."""

    record: Annotated[str, Meta(description="Id of the record.")] = ""
    subject: Annotated[str, Meta(description="What was changed.")] = ""
    what: Annotated[str, Meta(description="How.")] = ""
    healed: Annotated[bool | None, Meta(description="Whether it was undone.")] = None


class NodeFact(Struct, frozen=True):
    """A node of the cluster as it was before the fault."""

    name: Annotated[str, Meta(description="Name of the node.")]
    labels: Annotated[Mapping[str, str], Meta(description="Labels.")] = {}
    taints: Annotated[tuple[str, ...], Meta(description="Taints, in kubectl's spelling.")] = ()


class Environment(Struct, frozen=True, kw_only=True):
    """Where it ran."""

    cluster: Annotated[str, Meta(description="Name of the cluster.")] = ""
    nodes: Annotated[tuple[NodeFact, ...], Meta(description="Its nodes before the fault.")] = ()


class Result(Struct, frozen=True, kw_only=True):
    """The judgement of one run, with everything a report shows. Keys that are not named here are ignored by readers.
    Null and absent mean not measured, never 0.
    """

    version: Annotated[
        Literal[1],
        Meta(description="Version of this schema. It changes only when a key is removed or changes its meaning."),
    ]
    experiment: Annotated[str, Meta(description="metadata.name of the experiment.")]
    description: Annotated[str, Meta(description="What the experiment proves, in its author's words.")] = ""
    run: Annotated[str, Meta(description="Id of the run.")] = ""
    verdict: Annotated[Verdict, Meta(description="What all checks come to.")]
    exit_code: Annotated[
        int,
        Meta(
            description="What the command ended with; it also tells of aborted, interrupted and not healed runs.",
        ),
    ]
    reason: Annotated[str, Meta(description="One sentence: why this verdict.")]
    what_would_decide: Annotated[
        str, Meta(description="What would decide an open verdict, empty when it is decided.")
    ] = ""
    state: Annotated[RunState | None, Meta(description="How the run itself ended.")] = None
    started: Annotated[str, Meta(description="Start of the run, RFC 3339 in UTC.")] = ""
    checks: Annotated[tuple[CheckResult, ...], Meta(description="Every judgement.")]
    evictions: Annotated[
        tuple[EvictionRow, ...],
        Meta(
            description="Every pod of the targets. Seconds count from the acknowledged write of the first taint.",
        ),
    ] = ()
    phases: Annotated[
        tuple[Phase, ...],
        Meta(
            description="Traffic by phase, by the intended start of each request. "
            "Seconds count from the start of the run."
        ),
    ] = ()
    series: Annotated[
        Series | None, Meta(description="One value a window; every list is as long as t_s, or empty.")
    ] = None
    events: Annotated[tuple[Event, ...], Meta(description="Marks on the time axis.")] = ()
    fault: Annotated[FaultWindow | None, Meta(description="The fault window; null without a fault.")] = None
    gates: Annotated[tuple[Gate, ...], Meta(description="Conditions of a sound measurement.")] = ()
    golden_signals: Annotated[tuple[SignalRow, ...], Meta(description="The golden signals by phase.")] = ()
    leftovers: Annotated[
        tuple[str, ...], Meta(description="What the run left on the cluster, or may have left, in words.")
    ] = ()
    healed: Annotated[
        bool | None, Meta(description="Whether the cluster is as it was before; null when that was not recorded.")
    ] = None
    targets: Annotated[tuple[str, ...], Meta(description="Names of the target nodes.")] = ()
    versions: Annotated[Mapping[str, str], Meta(description="Versions by name.")] = {}
    environment: Annotated[Environment, Meta(description="Where it ran.")] = Environment()
    ledger: Annotated[
        tuple[LedgerLine, ...] | None, Meta(description="Undo records; null when they were not recorded.")
    ] = None

    @property
    def origin_s(self) -> float | None:
        """The acknowledged taint, in seconds from the start of the run: zero of every eviction time. None without a
        taint.
        """
        return self.fault.acknowledged_s if self.fault else None

    @property
    def exit_meaning(self) -> str:
        """What the exit code says beyond the verdict: ``heal failed``; "" when it only repeats it."""
        verdicts = (Verdict.PASS.exit_code, Verdict.FAIL.exit_code, Verdict.INCONCLUSIVE.exit_code)
        if self.exit_code in verdicts or self.exit_code not in set(ExitCode):
            return ""
        return ExitCode(self.exit_code).name.replace("_", " ").lower()

    def phase(self, name: str) -> Phase | None:
        """The phase of that name, if it was run."""
        return next((phase for phase in self.phases if phase.name == name), None)
