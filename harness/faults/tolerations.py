"""The fault ``tolerations``: the tolerations of running pods of the workload are replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from harness.faults.kind import Driver, FaultContext, FaultKind, Receipt
from harness.formats.experiment.fields_faults import AT, PODS, TOLERATION
from harness.formats.experiment.kinds import FaultEntry, PodMaker
from harness.formats.experiment.semantic_faults import check_tolerations
from harness.formats.shapes import Field, ListOf, Record
from harness.model.faults import Fault, Need, PlannedCluster, Right
from harness.model.requirement import Requirement
from harness.model.scenario import SetTolerations, Write
from harness.model.taints import Toleration, toleration_from_api


@dataclass(frozen=True, slots=True)
class TolerationsFault(Fault):
    """Replace the tolerations of the workload's pods that match `selector`. Not undone: pods are the workload's own,
    applied and removed by the run.
    """

    kind: ClassVar = "tolerations"
    is_undone: ClassVar = False
    needs: ClassVar = frozenset((Need.WORKLOAD,))
    rights: ClassVar = (Right(("patch",), "pods"),)
    departs_by: ClassVar = None
    unplanned: ClassVar = ""

    selector: tuple[Requirement, ...]
    tolerations: tuple[Toleration, ...]

    def subjects(self, targets: Sequence[str]) -> Sequence[str]:
        """The workload."""
        return ("",)

    @property
    def holds(self) -> str:
        """Nothing: a later change replaces an earlier one."""
        return ""

    @property
    def pods_with(self) -> tuple[Requirement, ...]:
        """The selector."""
        return self.selector

    @property
    def mark(self) -> None:
        """It puts nothing on a node."""
        return None

    def writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """One for each pod."""
        return tuple(SetTolerations(at_s, pod.key, self.tolerations) for pod in cluster.matching(self.selector))

    def undo_writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """None."""
        return ()

    def __str__(self) -> str:
        """``tolerations of app=web``."""
        return "tolerations of " + ",".join(f"{term.key}={'|'.join(term.values)}" for term in self.selector)


def _pods_and_set(
    pods: tuple[Requirement, ...], tolerations: tuple[Toleration, ...]
) -> tuple[tuple[Requirement, ...], tuple[Toleration, ...]]:
    return pods, tolerations


def _build(what: tuple[tuple[Requirement, ...], tuple[Toleration, ...]], at_s: float) -> TolerationsFault:
    selector, tolerations = what
    return TolerationsFault(selector=selector, tolerations=tolerations, at_s=at_s)


SHAPE = Record(
    "TolerationsFault",
    "Replace the tolerations of running pods of the workload. The API lets tolerations be added and re-ordered "
    "and tolerationSeconds be edited; it refuses to take one away. Not undone: the pods go with the run.",
    (
        Field(
            "tolerations",
            "what",
            Record(
                "TolerationsChange",
                "Which pods, and what they tolerate from then on.",
                (PODS, Field("set", "tolerations", ListOf(TOLERATION), "The whole list, in order.", required=True)),
                _pods_and_set,
            ),
            "The change.",
            required=True,
        ),
        AT,
    ),
    _build,
    slips={"for": "a change of tolerations is not undone, so take for out"},
)


def _check(fault: TolerationsFault, entry: FaultEntry) -> None:
    check_tolerations(entry.reading, entry.problems, (*entry.path, "tolerations", "set"))


def _check_pods(fault: TolerationsFault, makers: Sequence[PodMaker], entry: FaultEntry) -> None:
    """It must keep what the pods have: the API takes no toleration away (422)."""
    kept = {_identity(toleration) for toleration in fault.tolerations}
    for maker in makers:
        for lost in sorted(_own_tolerations(maker.template) - kept, key=str):
            entry.note(
                ("tolerations", "set"),
                f"set: {maker.manifest.kind} {maker.manifest.name} already tolerates {lost}, "
                "and the API server lets no toleration be removed from a running pod",
                "add it to the list; only its tolerationSeconds may differ",
            )


def _identity(toleration: Toleration) -> Toleration:
    """What the API server holds it by: everything but how long."""
    return replace(toleration, seconds=None)


def _own_tolerations(template: Mapping[str, Any]) -> set[Toleration]:
    """The identities of those in a template. What is no toleration is left out: the check of the workload tells of
    it.
    """
    spec = template.get("spec")
    tolerations = spec.get("tolerations") if isinstance(spec, Mapping) else None
    found = set()
    for item in tolerations if isinstance(tolerations, list | tuple) else ():
        if isinstance(item, Mapping):
            with suppress(ValueError, TypeError):
                found.add(_identity(toleration_from_api(item)))
    return found


class TolerationsDriver(Driver[TolerationsFault]):
    """Patches the pods, one after the other."""

    async def inject(self, fault: TolerationsFault, subject: str, context: FaultContext) -> Receipt:
        """The pods that were changed, as ``namespace/name``."""
        tolerations = [toleration.to_api() for toleration in fault.tolerations]
        changed = []
        for pod in context.pods(fault.selector):
            meta = pod["metadata"]
            path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
            await context.cluster.merge_patch(path, {"spec": {"tolerations": tolerations}})
            changed.append(f"{meta['namespace']}/{meta['name']}")
        return {"pods": changed}


KIND = FaultKind(TolerationsFault, SHAPE, TolerationsDriver(), check=_check, check_pods=_check_pods)
