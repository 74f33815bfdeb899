"""What a plan warns of, and what may be demanded of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from harness.model.state import Subject


class Severity(IntEnum):
    """BREAKS: something stops working. HURTS: something is lost or at risk. NOTE: worth knowing."""

    BREAKS = 0
    HURTS = 1
    NOTE = 2


class Kind(StrEnum):
    """Every kind of finding, in the order in which those of equal severity are shown."""

    OUTAGE = "outage"
    PENDING = "pending"
    UNMANAGED = "unmanaged"
    VOLUME = "volume"
    JOB = "job"
    BUDGET = "budget"
    DRAIN = "drain"
    EVICTION_LOOP = "eviction-loop"
    SINGLE = "single-replica"
    DAEMON_SET = "daemonset"
    PREEMPTION = "preemption"
    QUOTA = "quota"
    WINDOW = "window"
    ADMISSION = "admission"
    ACCELERATOR = "accelerator"
    UNSURE = "unsure"
    GRACE = "grace"
    THROTTLE = "throttle"
    PRESSURE = "pressure"
    BLANKET = "blanket"


@dataclass(frozen=True, slots=True)
class Finding:
    """One warning. `subject`: what it is about (a workload, a Service, a budget ...). `pods`: keys of the pods in it.
    `detail`: figures, as JSON values.
    """

    kind: Kind
    severity: Severity
    subject: str
    message: str
    pods: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)


def counted(number: int, noun: str) -> str:
    """``1 pod``, ``3 pods``."""
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


class Expectation(StrEnum):
    """What a plan may be held to: ``--expect``."""

    NO_EVICTION = "no-eviction"
    NO_OUTAGE = "no-outage"
    NO_PENDING = "no-pending"
    NO_EVICTION_LOOP = "no-eviction-loop"
    NO_BUDGET_BREACH = "no-budget-breach"
    NO_JOB_LOSS = "no-job-loss"
    NO_SINGLE_REPLICA = "no-single-replica"
    NO_STUCK_VOLUME = "no-stuck-volume"
    NO_UNMANAGED_LOSS = "no-unmanaged-loss"
    NO_DAEMONSET_LOSS = "no-daemonset-loss"
    NO_PREEMPTION = "no-preemption"
    NO_LATE_EXIT = "no-late-exit"
    NO_ACCELERATOR_LOSS = "no-accelerator-loss"


BROKEN_BY: Mapping[Expectation, tuple[Kind, ...]] = {
    Expectation.NO_OUTAGE: (Kind.OUTAGE,),
    Expectation.NO_PENDING: (Kind.PENDING,),
    Expectation.NO_EVICTION_LOOP: (Kind.EVICTION_LOOP,),
    Expectation.NO_BUDGET_BREACH: (Kind.BUDGET, Kind.DRAIN),
    Expectation.NO_JOB_LOSS: (Kind.JOB,),
    Expectation.NO_SINGLE_REPLICA: (Kind.SINGLE,),
    Expectation.NO_STUCK_VOLUME: (Kind.VOLUME,),
    Expectation.NO_UNMANAGED_LOSS: (Kind.UNMANAGED,),
    Expectation.NO_DAEMONSET_LOSS: (Kind.DAEMON_SET,),
    Expectation.NO_PREEMPTION: (Kind.PREEMPTION,),
    Expectation.NO_LATE_EXIT: (Kind.WINDOW,),
    Expectation.NO_ACCELERATOR_LOSS: (Kind.ACCELERATOR,),
}
"""Which findings break a expectation (notes do not). NO_EVICTION is broken by any pod that leaves."""

NEEDS: Mapping[Kind, tuple[Subject, ...]] = {
    Kind.OUTAGE: (Subject.SERVICES, Subject.ENDPOINT_SLICES),
    Kind.BUDGET: (Subject.BUDGETS,),
    Kind.DRAIN: (Subject.BUDGETS,),
    Kind.JOB: (Subject.JOBS,),
    Kind.QUOTA: (Subject.QUOTAS,),
    Kind.VOLUME: (Subject.CLAIMS, Subject.VOLUMES),
    Kind.ADMISSION: (Subject.WEBHOOKS, Subject.POLICIES),
}
"""What must have been read for the absence of a finding to mean anything. Pods and nodes are needed for all."""
