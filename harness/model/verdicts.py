"""The words a judgement is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from harness.errors import ExitCode

Measured = Annotated[float, Meta(ge=-1e18, le=1e18)]
"""A measurement, where it comes from a file: what is larger is none of ours, and arithmetic with it overflows."""


class Verdict(StrEnum):
    """What a check, or a whole run, comes to."""

    PASS = "PASS"  # noqa: S105 -- a verdict
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a run that ends with this verdict and heals."""
        return {"PASS": ExitCode.PASS, "FAIL": ExitCode.FAIL}.get(self.value, ExitCode.INCONCLUSIVE)


_ORDER = (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.INVALID)


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """INVALID if anything is (the measurement itself is broken), else FAIL, else INCONCLUSIVE, else PASS; nothing
    judged is INCONCLUSIVE.
    """
    return max(verdicts, key=_ORDER.index, default=Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One judgement, as the judge makes it and as ``result.json`` keeps it. `measured`, `limit` are numbers for
    display, None where there is none.
    """

    id: Annotated[str, Meta(description="Name of the check, such as evictions or slo/latency/fault.")]
    verdict: Annotated[Verdict, Meta(description="What this check comes to.")]
    reason: Annotated[str, Meta(description="One sentence a person can act on.")]
    n: Annotated[int, Meta(description="How many observations it rests on.")]
    what_would_decide: Annotated[str, Meta(description="What would decide it.")] = ""
    measured: Annotated[Measured | None, Meta(description="The number that was judged, in unit.")] = None
    limit: Annotated[Measured | None, Meta(description="The number it was held against, in unit.")] = None
    unit: Annotated[
        str,
        Meta(description="Unit of measured, limit and interval: s, ms, bytes, anything that ends in ratio, or free."),
    ] = ""
    interval: Annotated[
        tuple[Measured, Measured] | None, Meta(description="One-sided 95 % bounds of measured, low and high.")
    ] = None


class PodVerdict(StrEnum):
    """What became of one pod against its prediction."""

    ON_TIME = "on time"
    EARLY = "early"
    LATE = "late"
    SURVIVED_WRONGLY = "survived wrongly"
    EVICTED_WRONGLY = "evicted wrongly"
    SURVIVED = "survived"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class EvictionRow:
    """One pod of the eviction table. Seconds count from the acknowledged write of the first taint; None: did not
    happen or not seen. `planned` is empty for a pod that was not there when the plan was made, None when it is not
    known.
    """

    pod: Annotated[str, Meta(description="namespace/name.")]
    uid: Annotated[str, Meta(description="UID of the pod.")]
    node: Annotated[str, Meta(description="Node it ran on.")]
    verdict: Annotated[PodVerdict, Meta(description="What became of it against the prediction.")]
    rule: Annotated[str, Meta(description="Id of the rule that decided the prediction.")]
    predicted_s: Annotated[
        tuple[Measured, Measured] | None,
        Meta(description="Earliest and latest moment at which it had to leave; null when it had to stay."),
    ]
    observed_s: Annotated[
        Measured | None, Meta(description="When its deletionTimestamp was first seen; null when it was not.")
    ] = None
    gone_s: Annotated[Measured | None, Meta(description="When the object vanished.")] = None
    replacement: Annotated[str | None, Meta(description="namespace/name of the pod that took its place.")] = None
    replacement_scheduled_s: Annotated[Measured | None, Meta(description="When that pod was bound to a node.")] = None
    replacement_ready_s: Annotated[Measured | None, Meta(description="When that pod was Ready.")] = None
    workload: Annotated[str, Meta(description="Kind/name of its owner.")] = ""
    tolerations: Annotated[str, Meta(description="What it tolerates, in words.")] = ""
    reason: Annotated[str, Meta(description="Why this verdict, in words.")] = ""
    planned: Annotated[
        str | None,
        Meta(
            description="What the plan foresaw before anything was touched: evicted, survives, unsure, ...; "
            "empty: the pod came later."
        ),
    ] = None
    planned_s: Annotated[
        tuple[Measured, Measured] | None,
        Meta(
            description="Its interval in the plan, when that was to be evicted; what really happened may have moved "
            "it, see predicted_s."
        ),
    ] = None
