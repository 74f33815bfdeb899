"""The fault ``evict``: pods of the workload are asked to leave through the Eviction API, as a drain does it.

Upstream: pkg/registry/core/pod/storage/eviction.go. The API server answers 429 while a PodDisruptionBudget allows no
disruption; else it sets the condition DisruptionTarget (EvictionByEvictionAPI) and deletes the pod.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from harness.cluster.ports import Json
from harness.errors import ClusterError, Conflict, Indeterminate, NotFound, Refused, TryLater
from harness.faults.kind import Driver, FaultContext, FaultKind, Receipt
from harness.formats.experiment.fields_faults import AT, PODS
from harness.formats.experiment.kinds import FaultEntry
from harness.formats.leaves import DURATION
from harness.formats.shapes import Field, Record
from harness.formats.values import format_duration
from harness.model.experiment import Phases
from harness.model.faults import Fault, Need, PlannedCluster, Right
from harness.model.requirement import Requirement
from harness.model.scenario import DeletePod, Write
from harness.model.wellknown import DisruptionReason

AGAIN_S = 1.0
"""Between two rounds of asking (kubectl drain waits 5 s)."""


@dataclass(frozen=True, slots=True)
class EvictFault(Fault):
    """Evict the workload's pods that match `selector`; what a budget holds back is asked for again, for `timeout_s`
    seconds. Not undone: whoever owns the pods makes new ones.
    """

    kind: ClassVar = "evict"
    is_undone: ClassVar = False
    needs: ClassVar = frozenset((Need.WORKLOAD,))
    rights: ClassVar = (Right(("create",), "pods/eviction"), Right(("get",), "pods"))
    departs_by: ClassVar = DisruptionReason.EVICTION_API
    unplanned: ClassVar = "the pods leave unless a PodDisruptionBudget holds them back, which is not weighed here"

    selector: tuple[Requirement, ...]
    timeout_s: float = 10.0

    def subjects(self, targets: Sequence[str]) -> Sequence[str]:
        """The workload."""
        return ("",)

    @property
    def holds(self) -> str:
        """Nothing: evicting twice is evicting the newcomers."""
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
        """The deletion of each pod at once, as if no budget held it back (`unplanned` says so)."""
        return tuple(DeletePod(at_s, pod.key) for pod in cluster.matching(self.selector))

    def undo_writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """None."""
        return ()

    def __str__(self) -> str:
        """``evict app=web``."""
        return "evict " + ",".join(map(str, self.selector))


def _pods_and_timeout(pods: tuple[Requirement, ...], timeout_s: float) -> tuple[tuple[Requirement, ...], float]:
    return pods, timeout_s


def _build(what: tuple[tuple[Requirement, ...], float], at_s: float) -> EvictFault:
    selector, timeout_s = what
    return EvictFault(selector=selector, timeout_s=timeout_s, at_s=at_s)


SHAPE = Record(
    "EvictFault",
    "Evict running pods of the workload through the Eviction API, which asks the PodDisruptionBudgets. Not undone: "
    "whoever owns the pods makes new ones.",
    (
        Field(
            "evict",
            "what",
            Record(
                "Eviction",
                "Which pods, and for how long a pod that a budget holds back is asked for again.",
                (
                    PODS,
                    Field(
                        "timeout",
                        "timeout_s",
                        DURATION,
                        "Asked again every second for so long while the API server answers 429; with `0s`, once.",
                        default="10s",
                    ),
                ),
                _pods_and_timeout,
            ),
            "The eviction.",
            required=True,
        ),
        AT,
    ),
    _build,
    slips={"for": "an eviction is not undone, so take for out; evict.timeout says how long it is asked for"},
)


def _check(fault: EvictFault, entry: FaultEntry) -> None:
    """It must not ask beyond the fault phase."""
    phases = entry.reading.one(Phases, "spec", "phases")
    if phases is None or fault.at_s >= phases.fault_s or fault.at_s + fault.timeout_s <= phases.fault_s:
        return
    entry.note(
        ("evict", "timeout"),
        f"timeout: it would ask until {format_duration(fault.at_s + fault.timeout_s)}, but the fault phase ends at "
        f"{format_duration(phases.fault_s)}",
        f"write timeout: {format_duration(phases.fault_s - fault.at_s)}, or make phases.fault longer",
    )


@dataclass(slots=True)
class _Asking:
    """One injection while it goes on; pods as ``namespace/name``."""

    waiting: dict[str, Json]
    evicted: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)


class EvictDriver(Driver[EvictFault]):
    """Asks for all pods in turn, and again for those that were held back."""

    async def inject(self, fault: EvictFault, subject: str, context: FaultContext) -> Receipt:
        """What came of it: ``evicted`` (UIDs), ``gone`` (they left by themselves) and ``refused`` (the API server's
        last words on each pod that it did not let go).

        Refused when there is no such pod, or none was evicted and the server forbids it; Indeterminate when it is not
        known of a pod whether it was evicted.
        """
        pods = {pod["metadata"]["uid"]: pod for pod in context.pods(fault.selector)}
        if not pods:
            raise Refused(f"{fault}: no pod of the workload has these labels", status=404)
        patience, asking = context.patience(fault.timeout_s), _Asking(pods)
        while True:
            for uid, pod in list(asking.waiting.items()):
                await self._ask(uid, pod, asking, context)
            if not asking.waiting or not await patience.pause(AGAIN_S):
                break
        if asking.unanswered:
            words = "; ".join(f"{name}: {why}" for name, why in asking.unanswered.items())
            raise Indeterminate(f"{fault}: not known whether these pods were evicted: {words}")
        return {"evicted": asking.evicted, "gone": asking.gone, "refused": asking.refused}

    async def _ask(self, uid: str, pod: Json, asking: _Asking, context: FaultContext) -> None:
        """Ask once for one pod, and keep the books."""
        meta = pod["metadata"]
        name, path = f"{meta['namespace']}/{meta['name']}", _path(pod)
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }
        asking.refused.pop(name, None)
        asking.unanswered.pop(name, None)
        try:
            await context.cluster.create(f"{path}/eviction", body)
        except TryLater as error:
            asking.refused[name] = str(error)
            return
        except NotFound:
            asking.gone.append(name)
        except Conflict as error:
            if await _is_there(path, uid, context):
                asking.refused[name] = str(error)
                return
            asking.gone.append(name)
        except Refused as error:
            if not asking.evicted:
                raise
            asking.refused[name] = str(error)
        except ClusterError as error:
            if not await _is_evicted(path, uid, context):
                asking.unanswered[name] = str(error)
                return
            asking.evicted.append(uid)
        else:
            asking.evicted.append(uid)
        del asking.waiting[uid]


async def _is_there(path: str, uid: str, context: FaultContext) -> bool:
    """Whether that very pod is there, as far as that can be told: only a 404 or another UID says no."""
    try:
        pod = await context.cluster.get(path)
    except NotFound:
        return False
    except ClusterError:
        return True
    return bool(pod["metadata"].get("uid") == uid)


async def _is_evicted(path: str, uid: str, context: FaultContext) -> bool:
    """After an answer that was lost: whether the pod itself shows that the Eviction API took it."""
    try:
        pod = await context.cluster.get(path)
    except ClusterError:
        return False
    conditions = pod.get("status", {}).get("conditions") or ()
    reasons = [c.get("reason") for c in conditions if c.get("type") == "DisruptionTarget" and c.get("status") == "True"]
    same = pod["metadata"].get("uid") == uid and bool(pod["metadata"].get("deletionTimestamp"))
    return same and DisruptionReason.EVICTION_API in reasons


def _path(pod: Json) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


KIND = FaultKind(EvictFault, SHAPE, EvictDriver(), check=_check)
