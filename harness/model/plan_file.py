"""What ``taintlab plan --json`` prints (version 1), typed once: impact fills these values, ``--diff`` reads them, and
the JSON Schema is made from them. Not the ``plan.json`` of a run folder, which is a `harness.model.plan.Plan`.

Seconds count from the acknowledged write of the change; an interval is (earliest, latest), None where an end is not
known. Within version 1, keys and words may be added, never taken away. Words are plain text here, for their enums stand
above model; a test holds the schema's lists to them. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

VERSION: Final = 1
KIND: Final = "taintlab-plan"
DIFF_KIND: Final = "taintlab-plan-diff"
SCHEMA_ID = "https://taintlab.dev/schemas/plan-1.json"

Interval = tuple[float | None, float | None]
_Count = Annotated[int, Meta(ge=0)]
_Counts = Mapping[str, int]


def _one_of(*values: str | int) -> Meta:
    """What a value is one of, for the schema."""
    return Meta(extra_json_schema={"enum": list(values)})


class WorldRow(Struct, frozen=True, kw_only=True):
    """The cluster that was planned on."""

    source: Annotated[str, Meta(description="A file, or how people would call the cluster.")]
    kubernetes: Annotated[str | None, Meta(description="gitVersion of the API server.")]
    taken: Annotated[str | None, Meta(description="RFC 3339: when the snapshot was begun.")]
    nodes: _Count
    pods: _Count
    missing: Annotated[Mapping[str, str], Meta(description="What could not be read, by resource, and why.")]


class ChangeRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is done, and to which nodes."""

    faults: Annotated[tuple[str, ...], Meta(description="What is done, each in a few words.")]
    nodes: Annotated[tuple[str, ...], Meta(description="Names of the target nodes.")]
    times: Annotated[
        tuple[Interval, ...],
        Meta(
            description="For each of faults, when it is done and when it is undone (null: never). "
            "Left out when all are done at second 0 and none is undone."
        ),
    ] = ()


class Summary(Struct, frozen=True, kw_only=True):
    """The figures of a plan."""

    nodes: int
    leaving: int
    staying: int
    unsure: int
    replacements: Annotated[_Counts, Meta(description="Pods by fate.")]
    without_replacement: Annotated[_Counts, Meta(description="Pods for which nothing looks for a node, by comes_back.")]
    displaced: int
    findings: Annotated[_Counts, Meta(description="Findings by kind.")]
    breaks: Annotated[int, Meta(description="Findings of severity breaks.")]


class FindingRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One warning."""

    kind: Annotated[str, Meta(description="Id of the rule, such as outage or pending; more may come.")]
    severity: Annotated[str, _one_of("breaks", "hurts", "note")]
    subject: str
    message: str
    pods: tuple[str, ...]
    detail: Annotated[Mapping[str, Any], Meta(description="Figures.")]
    place: Annotated[str | None, Meta(description="file:line, or the path of an object or field.")] = None
    fix: Annotated[str | None, Meta(description="What would do away with it.")] = None
    proves_with: Annotated[str | None, Meta(description="An experiment that would show it on a cluster.")] = None


class WorkloadRow(Struct, kw_only=True):
    """How many pods of a workload leave and stay, and what becomes of those that leave."""

    workload: Annotated[str, Meta(description="Kind namespace/name; a ReplicaSet counts as its Deployment.")]
    leaving: int = 0
    staying: int = 0
    unsure: int = 0
    at: Annotated[Interval | None, Meta(description="The hull of its pods' intervals.")] = None
    rules: Annotated[dict[str, int], Meta(description="Pods by rule id.")] = {}
    replacements: Annotated[
        dict[str, int], Meta(description="Pods by fate, or by comes_back where nothing looks for a node.")
    ] = {}


class PlacementRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What becomes of a pod that looks for a node."""

    fate: Annotated[str, _one_of("fits", "eviction-loop", "preempts", "pending", "unknown")]
    node: Annotated[
        str | None, Meta(description="One node that would do; which of several is taken is the scheduler's choice.")
    ]
    may_be_evicted_again: bool
    reason: Annotated[str, Meta(description="pending: the scheduler's own words; unknown: what is not known.")] = ""
    victims: tuple[str, ...] = ()


class LeavingRow(Struct, frozen=True, kw_only=True):
    """A pod that leaves."""

    pod: Annotated[str, Meta(description="namespace/name")]
    uid: str
    node: str
    workload: str
    outcome: Annotated[
        str,
        _one_of("evicted", "deleted"),
        Meta(description="deleted: by somebody else, before the change takes effect."),
    ]
    at: Annotated[Interval, Meta(description="When deletionTimestamp is set.")]
    rule: Annotated[str, Meta(description="Rule id: taintlab explain RULE.")]
    because: str
    grace_s: Annotated[
        int, Meta(description="terminationGracePeriodSeconds: how long it may take to be gone after that.")
    ]
    comes_back: Annotated[
        str,
        _one_of("new", "same-name", "stuck-terminating", "same-node", "evict-loop", "not-recreated", "done", "none"),
    ]
    replacement: Annotated[PlacementRow | None, Meta(description="null: nothing looks for a node.")]


class StayingRow(Struct, frozen=True, kw_only=True):
    """A pod on a target that stays, or of which that cannot be told."""

    pod: Annotated[str, Meta(description="namespace/name")]
    uid: str
    node: str
    workload: str
    outcome: Annotated[str, _one_of("survives", "unsure")]
    rule: Annotated[str, Meta(description="Rule id: taintlab explain RULE.")]
    because: str
    blanket: Annotated[bool, Meta(description="Kept by a toleration of everything.")]


class DisplacedRow(Struct, frozen=True, kw_only=True):
    """A pod on another node that is preempted for a more important replacement."""

    pod: Annotated[str, Meta(description="namespace/name")]
    node: str
    workload: str
    by: str
    replacement: PlacementRow | None


class ExpectRow(Struct, frozen=True, kw_only=True):
    """What the plan was held to."""

    name: str
    holds: Annotated[bool | None, Meta(description="null: it cannot be told.")]
    because: str


class PlanFile(Struct, frozen=True, kw_only=True):
    """What `taintlab plan --json` prints. Seconds count from the acknowledged write of the change (the first, if there
    are several); an interval is [earliest, latest], null where an end is not known. Within version 1, keys and
    enumerated words may be added, never taken away.
    """

    version: Literal[1]
    kind: Literal["taintlab-plan"]
    title: Annotated[str, Meta(description="What was asked, in a few words.")]
    world: WorldRow
    change: ChangeRow
    summary: Summary
    findings: Annotated[tuple[FindingRow, ...], Meta(description="The gravest first.")]
    workloads: Annotated[
        tuple[WorkloadRow, ...],
        Meta(description="One row for each workload with pods on the targets; those that lose most first."),
    ]
    leaving: tuple[LeavingRow, ...]
    staying: tuple[StayingRow, ...]
    unsure: Annotated[tuple[StayingRow, ...], Meta(description="Where Kubernetes itself races.")]
    displaced: tuple[DisplacedRow, ...]
    unknown: Annotated[tuple[str, ...], Meta(description="Each question that could not be answered, and why.")]
    expect: tuple[ExpectRow, ...]
    exit_code: Annotated[
        int,
        _one_of(0, 1, 3),
        Meta(description="1: something in expect breaks. 3: nothing does, but something cannot be told."),
    ]


class Moved(Struct, frozen=True):
    """A pod that leaves in both plans, but not at the same time."""

    pod: str
    first: Interval
    second: Interval


class Placed(Struct, frozen=True):
    """A pod whose replacement fares differently."""

    pod: str
    first: str
    second: str


class PlanDiff(Struct, frozen=True, kw_only=True):
    """What the second of two plans does that the first does not, and the other way round, as ``plan --diff --json``
    prints it. Pods by key; `only_first`, `only_second`: leave in that plan only.
    """

    version: Literal[1] = VERSION
    kind: Literal["taintlab-plan-diff"] = DIFF_KIND
    plans: tuple[str, str]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    moved: tuple[Moved, ...]
    replacements: tuple[Placed, ...]
    findings_gone: tuple[FindingRow, ...]
    findings_new: tuple[FindingRow, ...]
    summaries: tuple[Summary, Summary]
