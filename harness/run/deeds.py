"""How each kind of fault is done to the cluster and undone: the only writes a run makes beside its own workload."""

from __future__ import annotations

from typing import Any

from harness.errors import LabError
from harness.faults.claim import CORDON, Change, cordon, put_taint
from harness.faults.nodes import change_node, heal_node
from harness.history.record import Recorder
from harness.model import events
from harness.model.experiment import (
    CordonFault,
    Fault,
    Requirement,
    RestartFault,
    TaintFault,
    TolerationsFault,
)
from harness.run.ledger import Ledger, Record, RecordKind
from harness.run.observe import Observer
from harness.run.ports import Cluster, Components, Json


class Deeds:
    """Does and undoes faults. Every node changed is in the ledger before, and claimed on the node in the same write."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        components: Components | None,
        observer: Observer,
        recorder: Recorder,
        ledger: Ledger,
        run_id: str,
        deadline: str,
        namespaces: frozenset[str],
    ) -> None:
        """`deadline`: RFC 3339, when the fault should be over. `namespaces`: where the workload's pods are."""
        self._cluster = cluster
        self._components = components
        self._observer = observer
        self._recorder = recorder
        self._ledger = ledger
        self._run_id = run_id
        self._deadline = deadline
        self._namespaces = namespaces
        self._touched: dict[str, Record] = {}

    async def inject(self, fault: Fault, subject: str) -> dict[str, Any]:
        """Do `fault` to `subject`; what the answer said. Refused, Conflict and Indeterminate go to the caller."""
        match fault:
            case TaintFault(taint=taint):
                return await self._change(subject, lambda node: put_taint(node, taint, **self._owner()), str(taint))
            case CordonFault():
                return await self._change(subject, lambda node: cordon(node, **self._owner()), "cordon")
            case TolerationsFault(selector=selector, tolerations=tolerations):
                return await self._set_tolerations(selector, [t.to_api() for t in tolerations])
            case RestartFault(component=component):
                if self._components is None:
                    raise LabError(f"restart {component}: only the lab's components can be restarted")
                await self._components.restart(component)
                return {}

    async def heal(self, fault: Fault, node: str) -> dict[str, Any]:
        """Undo one fault on one node, others of this run stay; what the answer said."""
        match fault:
            case TaintFault(taint=taint):
                return await self._undo(node, what=taint.identity)
            case CordonFault():
                return await self._undo(node, what=CORDON)
            case _:
                return {}

    async def heal_all(self) -> list[str]:
        """Undo whatever is still ours on any node we touched; what could not be undone, one line each. Never raises."""
        failures = []
        for name, record in list(self._touched.items()):
            try:
                await self._undo(name)
            except Exception as error:
                failures.append(f"node {name}: {error}")
            else:
                self._ledger.healed(record.id)
                del self._touched[name]
        return failures

    def _owner(self) -> dict[str, str]:
        return {"run": self._run_id, "deadline": self._deadline}

    async def _change(self, name: str, compute: Any, what: str) -> dict[str, Any]:
        if name not in self._touched:
            record = Record(f"node:{name}", RecordKind.NODE, name, what)
            self._ledger.intend(record)
            self._touched[name] = record
        _, after = await change_node(self._cluster, name, compute)
        return {"resourceVersion": after["metadata"]["resourceVersion"]}

    async def _undo(self, name: str, *, what: Change | None = None) -> dict[str, Any]:
        record_id = f"node:{name}"
        self._recorder.record(events.HealInvoked(record_id, name), source="run")
        try:
            healed = await heal_node(self._cluster, name, run=self._run_id, what=what)
        except Exception as error:
            self._recorder.record(events.HealDone(record_id, ok=False, message=str(error)), source="run")
            raise
        self._recorder.record(events.HealDone(record_id, ok=True, message="; ".join(healed.left_alone)), source="run")
        return {"resourceVersion": healed.resource_version}

    async def _set_tolerations(self, selector: tuple[Requirement, ...], tolerations: list[Json]) -> dict[str, Any]:
        changed = []
        for pod in self._observer.pods:
            meta = pod["metadata"]
            ours = meta["namespace"] in self._namespaces and all(
                term.matches(meta.get("labels") or {}) for term in selector
            )
            if ours and not meta.get("deletionTimestamp"):
                path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
                await self._cluster.merge_patch(path, {"spec": {"tolerations": tolerations}})
                changed.append(f"{meta['namespace']}/{meta['name']}")
        return {"pods": changed}
