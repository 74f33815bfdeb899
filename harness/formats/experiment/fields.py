"""The experiment file, declared once: every key with its type, default and meaning, and the model value it fills.

`harness.formats.read`, `harness.formats.experiment.schema` and `harness.formats.experiment.reference` all walk this
table from `file_shape` down; the kinds of faults that it has are handed in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from harness.formats import values
from harness.formats.experiment.fields_faults import fault_shape
from harness.formats.experiment.fields_traffic import EXPECT, GUARD, LOAD
from harness.formats.experiment.kinds import Kinds
from harness.formats.leaves import ANY_TEXT, DURATION, NAME, SEED, SELECTOR, constant, pattern, text, whole
from harness.formats.problems import BadValue
from harness.formats.shapes import Field, ListOf, OneOf, Record
from harness.model.experiment import Expect, Guard, LabWish, Load, Phases, Requirement, Target
from harness.model.faults import Fault, Need

API_VERSION = "taintlab.dev/v1alpha1"
KIND = "Experiment"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the experiment is called."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    """The spec as written: `workload` and `lab.topology` are still paths relative to the file."""

    phases: Phases
    workload: tuple[str, ...] = ()
    target: Target | None = None
    load: Load | None = None
    faults: tuple[Fault, ...] = ()
    expect: Expect = field(default_factory=Expect)
    guard: Guard = field(default_factory=Guard)
    lab: LabWish = field(default_factory=LabWish)


@dataclass(frozen=True, slots=True)
class Written:
    """The whole file."""

    metadata: Metadata
    spec: Spec


PATH = text("a path", minLength=1)
MINOR_VERSION = r"1\.[1-9][0-9]*"


def _minor_version(written: str) -> str:
    if re.fullmatch(MINOR_VERSION, written):
        return written
    short = re.match(rf"v?({MINOR_VERSION})", written)
    raise BadValue(f'"{written}" is not a minor version of Kubernetes', f'write "{short[1] if short else "1.35"}"')


def _file(api_version: str, kind: str, metadata: Metadata, spec: Spec) -> Written:
    return Written(metadata, spec)


METADATA = Record(
    "Metadata",
    "What the experiment is called.",
    (
        Field(
            "name", "name", NAME, "Names the run folder and the marks left on nodes; an RFC 1123 label.", required=True
        ),
        Field("description", "description", ANY_TEXT, "What it proves, for people.", default='""'),
    ),
    Metadata,
)


def _target(nodes: tuple[tuple[str, ...], tuple[Requirement, ...], int | None], seed: int) -> Target:
    names, selector, count = nodes
    return Target(names=names, selector=selector, count=count, seed=seed)


def _nodes(
    names: tuple[str, ...] = (), selector: tuple[Requirement, ...] = (), count: int | None = None
) -> tuple[tuple[str, ...], tuple[Requirement, ...], int | None]:
    return names, selector, count


TARGET = Record(
    "Target",
    "Which nodes the faults are for. Nothing else is touched.",
    (
        Field(
            "nodes",
            "nodes",
            OneOf(
                "Nodes",
                "Nodes by label or by name.",
                (
                    Record(
                        "NodesBySelector",
                        "Some or all of the nodes with certain labels.",
                        (
                            Field(
                                "selector",
                                "selector",
                                SELECTOR,
                                "kubectl's syntax: `pool=spot`, `zone in (a,b),!gpu`. All terms must hold.",
                                required=True,
                            ),
                            Field(
                                "count",
                                "count",
                                whole("a whole number", least=1),
                                "How many of them, drawn with `seed`; without it, every node that matches.",
                            ),
                        ),
                        _nodes,
                    ),
                    Record(
                        "NodesByName",
                        "Exactly these nodes.",
                        (
                            Field(
                                "names",
                                "names",
                                ListOf(text("a node's name", minLength=1), distinct=True, most=5000),
                                "Node names; each must exist when the run starts.",
                                required=True,
                            ),
                        ),
                        _nodes,
                        slips={"count": "names already says which nodes, so take count out"},
                    ),
                ),
            ),
            "The nodes.",
            required=True,
        ),
        Field("seed", "seed", SEED, "Draws the nodes when `count` is less than what matches.", default="0"),
    ),
    _target,
    slips={"selector": "put it under nodes", "names": "put it under nodes", "count": "put it under nodes"},
)

PHASES = Record(
    "Phases",
    "How long each phase lasts, in this order. A phase of 0s is left out.",
    (
        Field(
            "warmup", "warmup_s", DURATION, "Traffic that is not judged: connections open, caches fill.", default="0s"
        ),
        Field("baseline", "baseline_s", DURATION, "How things are without a fault.", default="0s"),
        Field(
            "fault",
            "fault_s",
            DURATION,
            "Faults happen; whatever is still in place at its end is healed.",
            default="0s",
        ),
        Field("recovery", "recovery_s", DURATION, "How things come back.", default="0s"),
    ),
    Phases,
)

LAB = Record(
    "Lab",
    "What the lab must be like when the run starts one. Ignored when a running lab or a context is named.",
    (
        Field("topology", "topology", PATH, "The nodes: a topology file; its path counts from this file."),
        Field(
            "kubernetes",
            "kubernetes",
            text("a version", _minor_version, minLength=1, pattern=pattern(MINOR_VERSION)),
            'The minor version, in quotes: `"1.35"`.',
        ),
        Field(
            "flags",
            "flags",
            ListOf(text("COMPONENT=--flag=value", values.lab_flag, minLength=1, pattern=pattern(values.LAB_FLAG))),
            "As `taintlab lab up --flag`: `kube-controller-manager=--kube-api-qps=50`.",
        ),
    ),
    LabWish,
)


def _needing_nodes(kinds: Kinds) -> str:
    """``taint and cordon``."""
    *names, last = (kind.value.kind for kind in kinds if Need.NODES in kind.value.needs)
    return f"{', '.join(names)} and {last}" if names else last


def _spec_shape(kinds: Kinds) -> Record:
    return Record(
        "Spec",
        "The experiment.",
        (
            Field(
                "workload",
                "workload",
                ListOf(PATH, distinct=True),
                "Manifests (YAML, several objects in one file are fine), applied before and removed after, in this "
                "order. Paths count from this file. Without it the run meets what is already there.",
            ),
            Field("target", "target", TARGET, f"The nodes the faults are for; needed by {_needing_nodes(kinds)}."),
            Field("load", "load", LOAD, "Traffic. Without it nothing is sent."),
            Field("phases", "phases", PHASES, "The time table.", required=True),
            Field(
                "faults",
                "faults",
                ListOf(fault_shape(kinds)),
                "What is done in the fault phase. Without it the run only measures.",
            ),
            Field("expect", "expect", EXPECT, "What must hold."),
            Field("guard", "guard", GUARD, "When to stop early."),
            Field("lab", "lab", LAB, "What the lab must have."),
        ),
        Spec,
        slips={"workloads": "write workload", "steps": "write faults", "description": "it belongs into metadata"},
    )


@lru_cache
def file_shape(kinds: Kinds) -> Record:
    """The whole file, whose faults are of `kinds`."""
    return Record(
        "Experiment",
        "An experiment of taintlab: a fault on named nodes, traffic, and what must hold.",
        (
            Field("apiVersion", "api_version", constant(API_VERSION), "The version of this format.", required=True),
            Field("kind", "kind", constant(KIND), "What this file is.", required=True),
            Field("metadata", "metadata", METADATA, "Name and description.", required=True),
            Field("spec", "spec", _spec_shape(kinds), "The experiment itself.", required=True),
        ),
        _file,
    )
