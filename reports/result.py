"""``result.json`` as frozen values: the contract between the judge and every reader (version 1,
``assets/result.schema.json``).

Times: `Series.t_s`, `Event.t_s`, `Phase.start_s` and `Fault` count seconds from the start of the run; evictions count
from the acknowledged write of the first taint, which is at `Fault.acknowledged_s` of the run. Absent parts are None or
empty, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.errors import ExitCode
from harness.model.verdicts import CheckResult, EvictionRow, Verdict

VERSION = 1
FILE = "result.json"


class RunState(StrEnum):
    """How the run itself ended, whatever the verdict."""

    COMPLETED = "completed"
    ABORTED = "aborted"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Phase:
    """Traffic of one phase, by intended start of the request.

    Latencies in ms, failures counted as the time limit; `success_p99_ms` leaves failures out. `rough`: too few requests
    above the p99 to rely on it.
    """

    name: str
    start_s: float | None
    end_s: float | None
    requests: int | None
    bad: int | None
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    max_ms: float | None
    success_p99_ms: float | None
    rate_per_s: float | None
    rough: bool
    outcomes: Mapping[str, int]

    @property
    def bad_ratio(self) -> float | None:
        """Bad over all requests; None without a request."""
        return self.bad / self.requests if self.requests and self.bad is not None else None


@dataclass(frozen=True, slots=True)
class Saturation:
    """One saturation series beside `Series.t_s`."""

    name: str
    unit: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One value a second for the window that starts at `t_s`; None: not measured, () for a series that was not kept.

    Requests: `due` by plan, `sent`, `done` (answered), `bad`. Latencies count failures as the time limit, but for
    `success_p99_ms`, which leaves them out. `ready_endpoints`: the lowest number in the window.
    """

    t_s: tuple[float, ...]
    due: tuple[float | None, ...]
    sent: tuple[float | None, ...]
    done: tuple[float | None, ...]
    bad: tuple[float | None, ...]
    bad_ratio: tuple[float | None, ...]
    p50_ms: tuple[float | None, ...]
    p99_ms: tuple[float | None, ...]
    success_p99_ms: tuple[float | None, ...]
    ready_endpoints: tuple[float | None, ...]
    saturation: tuple[Saturation, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something to mark on the time axis. `kind`: inject, heal, first-eviction, last-ready, guard, gap (others are
    shown as they are).
    """

    t_s: float
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault window and the acknowledged write of the first taint."""

    start_s: float | None
    end_s: float | None
    acknowledged_s: float | None


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition the measurement itself had to meet. `ok` None: could not be told."""

    id: str
    ok: bool | None
    measured: str
    limit: str


@dataclass(frozen=True, slots=True)
class SignalRow:
    """The golden signals of one phase from one source (prometheus or client); `why` explains what is missing."""

    phase: str
    latency_p99_ms: float | None
    traffic_per_s: float | None
    errors_ratio: float | None
    saturation: Mapping[str, float | None]
    source: str
    why: str


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One undo record and whether it was undone."""

    record: str
    subject: str
    what: str
    healed: bool | None


@dataclass(frozen=True, slots=True)
class NodeFact:
    """A node of the cluster as it was before the fault. `taints` in kubectl's spelling."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Environment:
    """Where it ran: a name for the cluster, its nodes, and whatever else was noted."""

    cluster: str = ""
    nodes: tuple[NodeFact, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """A judged run. `healed` None: not recorded, which is not the same as healed; `ledger` None likewise."""

    experiment: str
    run: str
    description: str
    verdict: Verdict
    exit_code: int
    reason: str
    decider: str
    state: RunState | None
    started: str
    checks: tuple[CheckResult, ...]
    evictions: tuple[EvictionRow, ...]
    phases: tuple[Phase, ...]
    series: Series | None
    events: tuple[Event, ...]
    fault: Fault | None
    gates: tuple[Gate, ...]
    leftovers: tuple[str, ...]
    healed: bool | None
    targets: tuple[str, ...]
    golden_signals: tuple[SignalRow, ...]
    versions: Mapping[str, str]
    environment: Environment
    ledger: tuple[LedgerLine, ...] | None

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
