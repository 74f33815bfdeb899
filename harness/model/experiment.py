"""An experiment as it was meant: what `harness.formats.experiment` makes of a YAML file, resolved and with every
default filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from harness.model.faults import Fault
from harness.model.requirement import Requirement as Requirement  # selectors are part of an experiment's words


class PhaseName(StrEnum):
    """The four phases, in the order they happen."""

    WARMUP = "warmup"
    BASELINE = "baseline"
    FAULT = "fault"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Phases:
    """How long each phase lasts, in seconds; 0 leaves it out."""

    warmup_s: float
    baseline_s: float
    fault_s: float
    recovery_s: float

    def of(self, name: PhaseName) -> float:
        """The length of one phase in seconds."""
        return {
            PhaseName.WARMUP: self.warmup_s,
            PhaseName.BASELINE: self.baseline_s,
            PhaseName.FAULT: self.fault_s,
            PhaseName.RECOVERY: self.recovery_s,
        }[name]

    @property
    def total_s(self) -> float:
        """All four together."""
        return self.warmup_s + self.baseline_s + self.fault_s + self.recovery_s


@dataclass(frozen=True, slots=True)
class Target:
    """Which nodes are meant. `names` (exact) or `selector` (all requirements must hold); `count` None means all that
    match.
    """

    names: tuple[str, ...] = ()
    selector: tuple[Requirement, ...] = ()
    count: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """Open-model traffic. `rate_per_s` arrivals a second whatever the answers; a request not answered in `timeout_s`
    is bad.
    """

    url: str
    rate_per_s: float
    timeout_s: float = 2.0
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    arrivals: str = "poisson"
    connection: str = "reuse"
    seed: int = 0
    processes: int = 1


class SloKind(StrEnum):
    """What makes an event good: answered with success; or answered with success within a threshold."""

    SUCCESS = "success"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Slo:
    """In each of `phases`, at least `ratio` of the requests must be good. A failed request is never good;
    `threshold_s` only for LATENCY.
    """

    name: str
    phases: tuple[PhaseName, ...]
    kind: SloKind
    ratio: float
    threshold_s: float | None = None


@dataclass(frozen=True, slots=True)
class RecoveryExpectation:
    """After the fault ends, the service and its pods must be back within `within_s` and stay so."""

    within_s: float


@dataclass(frozen=True, slots=True)
class MetricExpectation:
    """A PromQL query whose every sample in `phases` must be within [`minimum`, `maximum`]; no data is INCONCLUSIVE,
    never PASS.
    """

    name: str
    query: str
    phases: tuple[PhaseName, ...]
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Expect:
    """What must hold. `evictions`: judge every pod of the targets against its prediction. `checks`: what is written
    under the key of a check that declares its own, by key; as the check built it, or plain JSON from a run's folder.
    """

    evictions: bool = True
    slos: tuple[Slo, ...] = ()
    recovery: RecoveryExpectation | None = None
    metrics: tuple[MetricExpectation, ...] = ()
    checks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One Kubernetes object to apply: the API object as a plain JSON value, and where it was written (file, line
    from 1).
    """

    api_version: str
    kind: str
    name: str
    namespace: str | None
    body: Mapping[str, Any]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Guard:
    """When to stop early: more than `bad_ratio` bad over both 5 s and 30 s (load-and-slo C3). None: never."""

    bad_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class LabWish:
    """What the lab must be like when the run starts one itself; ignored (after a check) when a lab or context is
    named.
    """

    topology: str | None = None
    kubernetes: str | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Experiment:
    """A whole experiment. `workload` is in the order to apply. `source` is the file it was read from."""

    name: str
    description: str
    source: str
    workload: tuple[Manifest, ...]
    target: Target | None
    load: Load | None
    phases: Phases
    faults: tuple[Fault, ...]
    expect: Expect
    guard: Guard
    lab: LabWish
