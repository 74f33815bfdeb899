"""The experiment's own objects: applied before the run, waited for, removed after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import ClusterError, NotFound, Refused
from harness.model.experiment import Manifest
from harness.run.ledger import RUN_LABEL, Ledger, Record, RecordKind
from harness.run.observe import Observer
from harness.run.ports import Cluster, Json
from harness.run.resources import Resources


@dataclass(frozen=True, slots=True)
class Wish:
    """How many Ready pods with these labels a manifest asks for."""

    what: str
    namespace: str
    labels: Mapping[str, str]
    replicas: int

    def ready(self, pods: list[Json]) -> int:
        """Ready, not terminating pods of it."""
        return sum(self.owns(pod) and _is_ready(pod) for pod in pods)

    def owns(self, pod: Json) -> bool:
        """Whether a pod object carries the labels."""
        labels = pod["metadata"].get("labels") or {}
        same = all(labels.get(key) == value for key, value in self.labels.items())
        return same and pod["metadata"]["namespace"] == self.namespace


def _is_ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def wishes(manifests: tuple[Manifest, ...]) -> list[Wish]:
    """Ready pods to wait for: Deployments, StatefulSets and ReplicaSets by their replicas, bare Pods by themselves.

    DaemonSets and Jobs are not waited for (how many pods they get is the cluster's business).
    """
    out = []
    for manifest in manifests:
        namespace = manifest.namespace or "default"
        spec: Mapping[str, Any] = manifest.body.get("spec") or {}
        if manifest.kind in ("Deployment", "StatefulSet", "ReplicaSet"):
            labels = (spec.get("selector") or {}).get("matchLabels") or {}
            replicas = 1 if spec.get("replicas") is None else int(spec["replicas"])
            out.append(Wish(f"{manifest.kind}/{manifest.name}", namespace, labels, replicas))
        elif manifest.kind == "Pod":
            labels = (manifest.body.get("metadata") or {}).get("labels") or {}
            if labels:
                out.append(Wish(f"Pod/{manifest.name}", namespace, labels, 1))
    return out


class Workload:
    """Applies, awaits and removes the manifests of one run."""

    def __init__(self, cluster: Cluster, ledger: Ledger, *, run_id: str, manifests: tuple[Manifest, ...]) -> None:
        """Nothing is touched yet."""
        self._cluster = cluster
        self._ledger = ledger
        self._run_id = run_id
        self._manifests = manifests
        self._resources = Resources(cluster)
        self._wishes = wishes(manifests)

    async def apply(self) -> list[str]:
        """Create every object, labelled with the run, each in the ledger first; their paths.

        Refused when an object of that name exists: what is not ours is never changed.
        """
        paths = []
        for manifest in self._manifests:
            where = f"{manifest.file}:{manifest.line}"
            resource = await self._resources.find(manifest.api_version, manifest.kind, where=where)
            collection = resource.collection(manifest.namespace or "default")
            path = f"{collection}/{manifest.name}"
            await self._refuse_existing(path, manifest)
            record = Record(f"object:{path}", RecordKind.OBJECT, path, f"{manifest.kind} {manifest.name}")
            self._ledger.intend(record)
            await self._cluster.create(collection, self._labelled(manifest))
            paths.append(path)
        return paths

    async def _refuse_existing(self, path: str, manifest: Manifest) -> None:
        try:
            there = await self._cluster.get(path)
        except NotFound:
            return
        owner = (there["metadata"].get("labels") or {}).get(RUN_LABEL)
        if owner:
            mend = f"it is left from run {owner}: take it off with `taintlab recover`"
        else:
            mend = "delete it, or leave `workload` out of the experiment to meet what is there"
        raise Refused(
            f"{manifest.file}:{manifest.line}: {manifest.kind} {manifest.name} exists already: {mend}", status=409
        )

    def _labelled(self, manifest: Manifest) -> dict[str, Any]:
        body = dict(manifest.body)
        meta = dict(body.get("metadata") or {})
        meta["labels"] = {**(meta.get("labels") or {}), RUN_LABEL: self._run_id}
        if manifest.namespace:
            meta["namespace"] = manifest.namespace
        body["metadata"] = meta
        return body

    def unready(self, observer: Observer) -> list[str]:
        """What is not there yet, one line each; empty when every wish is met and every Service of ours has a ready
        endpoint.
        """
        pods = observer.pods
        out = [
            f"{wish.what}: {wish.ready(pods)} of {wish.replicas} pods Ready"
            for wish in self._wishes
            if wish.ready(pods) < wish.replicas
        ]
        for manifest in self._manifests:
            selects = manifest.kind == "Service" and (manifest.body.get("spec") or {}).get("selector")
            if selects and not _has_endpoint(observer, manifest.namespace or "default", manifest.name):
                out.append(f"Service/{manifest.name}: no ready endpoint")
        return out

    async def wait_ready(self, observer: Observer, *, timeout_s: float) -> None:
        """Wait until `unready` is empty; ClusterError with what was last seen when it takes longer than `timeout_s`."""
        if not await observer.until(lambda: not self.unready(observer), timeout_s=timeout_s):
            seen = "; ".join(self.unready(observer)) + _why_not(observer, self._wishes)
            raise ClusterError(f"the workload is not Ready after {timeout_s:.0f} s: {seen}")

    async def remove(self, observer: Observer, *, timeout_s: float) -> list[str]:
        """Delete what we created, last first, and wait until its pods are gone; what remains, one line each."""
        remaining = []
        for manifest in reversed(self._manifests):
            resource = await self._resources.find(manifest.api_version, manifest.kind, where=manifest.file)
            path = f"{resource.collection(manifest.namespace or 'default')}/{manifest.name}"
            try:
                await delete_ours(self._cluster, path, run_id=self._run_id)
            except ClusterError as error:
                remaining.append(str(error))
            else:
                self._ledger.healed(f"object:{path}")

        def gone() -> bool:
            return not any(wish.owns(pod) for wish in self._wishes for pod in observer.pods)

        if not await observer.until(gone, timeout_s=timeout_s):
            remaining.append(f"pods of the workload are still terminating after {timeout_s:.0f} s")
        return remaining


async def delete_ours(cluster: Cluster, path: str, *, run_id: str | None) -> None:
    """Delete the object at `path` if it carries our label (of run `run_id`, or of any run); somebody else's is left
    alone.
    """
    try:
        there = await cluster.get(path)
        owner = (there["metadata"].get("labels") or {}).get(RUN_LABEL)
        if owner and (run_id is None or owner == run_id):
            await cluster.delete(path, uid=there["metadata"]["uid"])
    except NotFound:
        return


def _has_endpoint(observer: Observer, namespace: str, service: str) -> bool:
    for item in observer.slices:
        labels = item["metadata"].get("labels") or {}
        if item["metadata"]["namespace"] == namespace and labels.get("kubernetes.io/service-name") == service:
            for endpoint in item.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready", True) is not False:
                    return True
    return False


def _why_not(observer: Observer, asked: list[Wish]) -> str:
    """The scheduler's or kubelet's own words about the first pod that is not Ready."""
    unready: Callable[[Json], bool] = lambda pod: any(w.owns(pod) for w in asked) and not _is_ready(pod)  # noqa: E731
    for pod in filter(unready, observer.pods):
        for condition in pod.get("status", {}).get("conditions") or ():
            if condition["status"] != "True" and condition.get("message"):
                return f"; {pod['metadata']['name']}: {condition['message']}"
    return ""
