"""The facts a run writes down. One frozen class per kind; `harness.history` turns them into JSON lines and back.

Facts only: what was done, what answered, what was seen. Evictions and recoveries are derived by
`harness.history.stories`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.model.needs import Watched
from harness.model.words import Action, Change, RunState

FORMAT = 3
"""The format of a history that is written today. What the earlier ones lack:

1. closing lists, so that nothing in it proves that a pod stayed: it is read, and not judged;
2. spec.terminationGracePeriodSeconds and labels of pods, whether one is a mirror pod, labels and conditions of nodes,
   and which watches there were (it had all of them): it is judged, and what depends on one of these is `unsure`.
"""
FIRST_JUDGED = 2
"""The first format that is judged."""
WATCHES_SAID = 3
"""The first format that says what was watched."""

ALL_WATCHES = "*"
ANSWERS = "answers"
"""As `resource` of a gap: nobody was looking, whatever the watch."""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """First line of every history. `mono_ns`: CLOCK_MONOTONIC at t_ns = 0, to join the load process's rows.

    `format`: FORMAT of the writer; absent: 1.
    """

    run_id: str
    mono_ns: int
    format: int = 1


@dataclass(frozen=True, slots=True)
class StepInvoked:
    """We are about to do step `step` (an id of the plan); written and fsynced before the change is asked for."""

    step: str
    action: Action
    subject: str = ""


@dataclass(frozen=True, slots=True)
class StepDone:
    """The step is acknowledged. `detail`: what the answer said (resource versions and the like)."""

    step: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepRefused:
    """The step was refused and changed nothing."""

    step: str
    message: str


@dataclass(frozen=True, slots=True)
class StepIndeterminate:
    """No answer: it may or may not have happened."""

    step: str
    message: str


@dataclass(frozen=True, slots=True)
class HealInvoked:
    """We are about to undo ledger record `record`."""

    record: str
    subject: str


@dataclass(frozen=True, slots=True)
class HealDone:
    """Record `record` is undone; `ok` False: it could not be, see `message`."""

    record: str
    ok: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node as the watch showed it. `taints` are core/v1 objects in order. `taints_by`, `unschedulable_by`: who wrote
    that field last and when, of metadata.managedFields (``kubectl-taint 2026-01-02T03:04:05Z``), "" when nobody owns
    it. `conditions`: status by type. `labels`, `conditions` None: not recorded (format 2).
    """

    change: Change
    name: str
    uid: str
    taints: tuple[Mapping[str, Any], ...]
    unschedulable: bool
    ready: bool
    resource_version: str
    taints_by: str = ""
    unschedulable_by: str = ""
    labels: Mapping[str, str] | None = None
    conditions: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A pod as the watch showed it. t_ns of the line is when the bytes arrived, the best stamp we have for a
    deletion. `grace_s`: metadata.deletionGracePeriodSeconds. `spec_grace_s`: spec.terminationGracePeriodSeconds.
    `mirror`: it stands for a static pod. `spec_grace_s`, `mirror`, `labels` None: not recorded (format 2).
    """

    change: Change
    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    ready: bool
    deletion_timestamp: str | None
    grace_s: int | None
    disruption_reason: str | None
    tolerations: tuple[Mapping[str, Any], ...]
    owner_kind: str
    owner_name: str
    owner_uid: str
    resource_version: str
    spec_grace_s: int | None = None
    mirror: bool | None = None
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class EndpointSeen:
    """An EndpointSlice of the workload: how many endpoints are ready, and serving while terminating."""

    change: Change
    namespace: str
    service: str
    slice: str
    ready: int
    terminating: int
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class WatchStarted:
    """`resource` is watched from here on, in `namespaces` (None: in the whole cluster). Of what has no such line
    nothing is known.
    """

    resource: Watched
    namespaces: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class WatchLost:
    """The watch of `resource` gives no sign of life since `from_ns`. A WatchGap follows when it is regained; without
    one it was blind to the end.
    """

    resource: str
    from_ns: int
    why: str


@dataclass(frozen=True, slots=True)
class WatchGap:
    """Between `from_ns` and `to_ns` (None: the line's t_ns) the watch of `resource` (`ALL_WATCHES`: every one) was
    blind: what happened then was learnt afterwards, and its stamp is only an upper bound. `ANSWERS`: answers came late
    then, and so perhaps did the lines of every watch.
    """

    resource: str
    from_ns: int
    why: str
    to_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ClosingList:
    """What was there when nothing of the run had been removed yet, asked for anew and compared with what was seen.

    `resource`: pods, nodes or endpointslices. `present`: UIDs of what was there and not being deleted (pods: those on
    the targets and in the namespaces of the workload). `ok` False: it could not be listed, see `message`.
    """

    resource: str
    ok: bool
    present: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class Scraped:
    """When Prometheus really scraped a target: raw samples of ``up``, (seconds of the run, 1 or 0), without lookback.

    `why`: why they are not known.
    """

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class LatencyMeasured:
    """How long this control plane needed for something that we can time ourselves. `what`: ``write-to-watch`` (answer
    of a write of ours to its line in the watch) or ``delete-to-watch``.
    """

    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ClaimLost:
    """The undo record that we had put on `node` is not there any more: somebody else reverted our change."""

    node: str
    message: str


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something of the run that is still on the cluster at the end, or of which that is not known. `message`: what
    holds it.
    """

    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one golden signal. `signal`: latency, traffic, errors, saturation. `value` None: no data, `why`
    says so.
    """

    signal: str
    name: str
    value: float | None
    unit: str
    labels: Mapping[str, str] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True, slots=True)
class LoadWindow:
    """One second of traffic as the load process tells it live (rows on disk are the truth)."""

    due: int
    sent: int
    done: int
    bad: int
    p50_ms: float | None
    p99_ms: float | None
    in_flight: int
    lateness_p99_ms: float | None
    cpu: float


@dataclass(frozen=True, slots=True)
class LoadEnded:
    """How the load process ended: its summary, or why there is none."""

    ok: bool
    summary: Mapping[str, Any]
    message: str = ""


@dataclass(frozen=True, slots=True)
class SkewMeasured:
    """Offset of the API server's wall clock to ours in ms (Date header, whole seconds: half-width `error_ms`)."""

    offset_ms: float
    error_ms: float


@dataclass(frozen=True, slots=True)
class GuardTripped:
    """A guard ended the fault early."""

    guard: str
    message: str


@dataclass(frozen=True, slots=True)
class RecorderFailed:
    """Something that observes died: what it would have seen from here on is missing."""

    what: str
    message: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """Last line."""

    state: RunState
    message: str = ""


Fact = (
    RunStarted
    | StepInvoked
    | StepDone
    | StepRefused
    | StepIndeterminate
    | HealInvoked
    | HealDone
    | NodeSeen
    | PodSeen
    | EndpointSeen
    | WatchStarted
    | WatchLost
    | WatchGap
    | ClosingList
    | Scraped
    | LatencyMeasured
    | ClaimLost
    | Leftover
    | Sample
    | LoadWindow
    | LoadEnded
    | SkewMeasured
    | GuardTripped
    | RecorderFailed
    | RunEnded
)


@dataclass(frozen=True, slots=True)
class Retired:
    """A fact of an earlier format that nobody reads any more: only its place in the order is kept. Never written."""

    kind: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact with its envelope. `t_ns`: monotonic since run start; `source`: who wrote it; `cause`: id of the entry
    that led to it.
    """

    id: int
    t_ns: int
    wall: str
    source: str
    fact: Fact | Retired
    origin_wall: str | None = None
    cause: int | None = None
