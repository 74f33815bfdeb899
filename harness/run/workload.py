"""The experiment's own objects: applied before the run, waited for, removed after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from harness.clock import Clock, SystemClock
from harness.cluster.ledger import Ledger
from harness.cluster.ledger_record import RUN_LABEL, Record, RecordKind
from harness.cluster.patience import FIRST_PAUSE_S, Patience, to_the_end
from harness.cluster.ports import Cluster, Json
from harness.cluster.removal import (
    CREATE_SETTLES_S,
    GONE_WITHIN_S,
    labelled_in,
    pod_path,
    pods_left,
    remove_object,
    why_left,
)
from harness.cluster.resources import Resources
from harness.cluster.undo import Holder
from harness.errors import ClusterError, NotFound, Refused
from harness.model import wellknown
from harness.model.experiment import Manifest
from harness.run.labelling import check_names, has_claims, labelled, longest_grace_s
from harness.run.observe import Observer

_LOOK_AGAIN_S = 5.0
_AT_ONCE = 20
_CLAIMS = "persistentvolumeclaims"


@dataclass(frozen=True, slots=True)
class ReadyCondition:
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


def ready_conditions(manifests: tuple[Manifest, ...]) -> list[ReadyCondition]:
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
            out.append(ReadyCondition(f"{manifest.kind}/{manifest.name}", namespace, labels, replicas))
        elif manifest.kind == "Pod":
            labels = (manifest.body.get("metadata") or {}).get("labels") or {}
            if labels:
                out.append(ReadyCondition(f"Pod/{manifest.name}", namespace, labels, 1))
    return out


@dataclass(slots=True)
class _Made:
    """One object that this run creates. `sent_ns`: when its create was sent (monotonic); None: none that may have
    happened. `uid`: "" as long as no answer told it.
    """

    what: str
    path: str
    namespace: str
    sent_ns: int | None = None
    uid: str = ""

    @property
    def record(self) -> Record:
        """As the ledger has it."""
        return Record(f"object:{self.path}", RecordKind.OBJECT, self.path, self.what, self.uid)


class Workload:
    """Applies, awaits and removes the manifests of one run."""

    def __init__(
        self,
        cluster: Cluster,
        ledger: Ledger,
        *,
        run_id: str,
        manifests: tuple[Manifest, ...],
        experiment: str = "",
        holder: Holder | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Nothing is touched yet. `experiment`: its full name, and `holder`: this process, both for annotations.
        `clock`: for waiting.
        """
        self._cluster = cluster
        self._ledger = ledger
        self._run_id = run_id
        self._manifests = manifests
        self._experiment = experiment
        self._holder = holder
        self._clock = clock or SystemClock()
        self._resources = Resources(cluster)
        self._wishes = ready_conditions(manifests)
        self._made: list[_Made] = []

    async def apply(self) -> list[str]:
        """Create every object, labelled with the run, each in the ledger first and again with its UID; their paths.

        UsageError for a name that is none, before anything is created. Refused when an object of that name exists: what
        is not ours is never changed. Indeterminate when an answer was lost and the object was not seen since: `remove`
        looks for it. OSError when the ledger cannot be written.
        """
        for manifest in self._manifests:
            check_names(manifest)
        for manifest in self._manifests:
            where = f"{manifest.file}:{manifest.line}"
            resource = await self._resources.find(manifest.api_version, manifest.kind, where=where)
            namespace = manifest.namespace or "default"
            collection = resource.collection(namespace)
            made = _Made(f"{manifest.kind} {manifest.name}", f"{collection}/{quote(manifest.name, safe='')}", namespace)
            await self._refuse_existing(made.path, manifest)
            self._made.append(made)
            await self._ledger.intend_soon(made.record)
            await self._create(collection, made, manifest)
        return [made.path for made in self._made]

    async def _create(self, collection: str, made: _Made, manifest: Manifest) -> None:
        body = labelled(manifest, run=self._run_id, experiment=self._experiment, holder=self._holder)
        made.sent_ns = self._clock.now().mono_ns
        try:
            stored = await self._cluster.create(collection, body)
        except Refused as error:
            mine = await self._look_again(made) if error.reason == "AlreadyExists" else None
            if mine is None:
                made.sent_ns = None
                raise
            stored = mine
        except ClusterError:
            mine = await self._look_again(made)
            if mine is None:
                raise
            stored = mine
        made.uid = stored["metadata"]["uid"]
        await self._ledger.intend_soon(made.record)

    async def _look_again(self, made: _Made) -> Json | None:
        """The object whose create was not answered, if it is seen within `_LOOK_AGAIN_S`."""
        until_ns = self._clock.now().mono_ns + int(_LOOK_AGAIN_S * 1e9)
        patience = Patience(self._clock, until_ns)
        while True:
            try:
                there = await patience.keep_trying(lambda: self._cluster.get(made.path))
            except NotFound:
                if await patience.pause(FIRST_PAUSE_S * 5):
                    continue
                return None
            except ClusterError:
                return None
            return there if (there["metadata"].get("labels") or {}).get(RUN_LABEL) == self._run_id else None

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

    async def remove(self, *, deadline_ns: int, give_up: asyncio.Event | None = None) -> list[str]:
        """Delete what we created and wait until it and its pods are seen gone; what is not, or not known to be, one
        line each. Never raises, not when its task is cancelled either: `give_up` is the way to end it.

        What is throttled, or not answered, is tried again until `deadline_ns` (monotonic). Objects and pods may take
        `GONE_WITHIN_S` to be gone (more if their grace period is above 30 s), a create that was not answered
        `CREATE_SETTLES_S` to land.
        """
        patience = Patience(self._clock, deadline_ns, give_up)
        try:
            return await to_the_end(self._remove(patience))
        except (Exception, asyncio.CancelledError) as error:  # each object has its own line; this is for the rest
            return [f"{made.what}: not known whether it is gone: {error!r}" for made in self._made]

    async def _remove(self, patience: Patience) -> list[str]:
        made = [one for one in reversed(self._made) if one.sent_ns is not None]
        for never in (one for one in self._made if one.sent_ns is None):
            await self._told_healed(never, "never created")
        if not made:
            return []
        places = asyncio.Semaphore(_AT_ONCE)
        lines = list(await asyncio.gather(*(self._remove_one(one, patience, places) for one in made)))
        lines += await self._remove_pods(made, patience)
        lines += await self._remove_claims(made, patience)
        return [line for line in lines if line]

    async def _remove_one(self, made: _Made, patience: Patience, places: asyncio.Semaphore) -> str:
        """Remove one object; "" when it is seen gone."""
        assert made.sent_ns is not None
        try:
            async with places:
                removal = await remove_object(
                    self._cluster,
                    made.path,
                    run=self._run_id,
                    uid=made.uid,
                    patience=patience,
                    gone_within_s=self._gone_within_s(),
                    lands_by_ns=made.sent_ns + int(CREATE_SETTLES_S * 1e9),
                )
        except Exception as error:  # whatever it is: this object's line, and the others go on
            return f"{made.what}: not known whether it is gone: {error or type(error).__name__}"
        if removal.gone:
            self._made.remove(made)
            await self._told_healed(made, removal.why)
            return ""
        if removal.uid and removal.uid != made.uid:
            made.uid = removal.uid
            await self._intended(made.record)
        return f"{made.what} ({made.path}): {removal.why}"

    async def _remove_pods(self, made: list[_Made], patience: Patience) -> list[str]:
        """Wait for the pods of the run; a line and a ledger record for each that stays."""
        namespaces = {one.namespace for one in made}
        gone_by_ns = self._clock.now().mono_ns + int(self._gone_within_s() * 1e9)
        try:
            pods = await pods_left(self._cluster, self._run_id, namespaces, patience=patience, gone_by_ns=gone_by_ns)
        except Exception as error:
            return [
                f"pods of the workload in {', '.join(sorted(namespaces))}: not known whether they are gone: {error}"
            ]
        lines = []
        told = {one.path for one in self._made}
        for pod in pods:
            path, meta = pod_path(pod), pod["metadata"]
            if path not in told:
                name = f"{meta['namespace']}/{meta['name']}"
                await self._intended(Record(f"object:{path}", RecordKind.OBJECT, path, f"Pod {name}", meta["uid"]))
                lines.append(f"pod {name}: {await why_left(self._cluster, pod)}")
        return lines

    async def _remove_claims(self, made: list[_Made], patience: Patience) -> list[str]:
        """Remove the PersistentVolumeClaims of our StatefulSets, which outlive them; a line for each that stays."""
        namespaces = {manifest.namespace or "default" for manifest in self._manifests if has_claims(manifest)}
        namespaces &= {one.namespace for one in made}
        if not namespaces:
            return []
        try:
            claims = await patience.keep_trying(
                lambda: labelled_in(self._cluster, self._run_id, namespaces, plural=_CLAIMS)
            )
        except Exception as error:
            where = ", ".join(sorted(namespaces))
            return [f"PersistentVolumeClaims of the workload in {where}: not known whether they are gone: {error}"]
        found = []
        for claim in claims:
            meta = claim["metadata"]
            path = f"/api/v1/namespaces/{quote(meta['namespace'], safe='')}/{_CLAIMS}/{quote(meta['name'], safe='')}"
            one = _Made(f"PersistentVolumeClaim {meta['name']}", path, meta["namespace"], 0, meta["uid"])
            self._made.append(one)
            await self._intended(one.record)
            found.append(one)
        places = asyncio.Semaphore(_AT_ONCE)
        return list(await asyncio.gather(*(self._remove_one(one, patience, places) for one in found)))

    def _gone_within_s(self) -> float:
        return GONE_WITHIN_S + max(0, longest_grace_s(self._manifests) - 30)

    async def _told_healed(self, made: _Made, how: str) -> None:
        try:
            await self._ledger.healed_soon(made.record.id, how=how)
        except (OSError, RuntimeError):
            return  # it was seen gone; the ledger keeps the record open, and recover looks again

    async def _intended(self, record: Record) -> None:
        try:
            await self._ledger.intend_soon(record)
        except (OSError, RuntimeError):
            return  # the line that is told, and the label on the object, say it too


def _has_endpoint(observer: Observer, namespace: str, service: str) -> bool:
    for item in observer.slices:
        labels = item["metadata"].get("labels") or {}
        if item["metadata"]["namespace"] == namespace and labels.get(wellknown.SERVICE_NAME) == service:
            for endpoint in item.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready", True) is not False:
                    return True
    return False


def _why_not(observer: Observer, asked: list[ReadyCondition]) -> str:
    """The scheduler's or kubelet's own words about the first pod that is not Ready."""
    unready: Callable[[Json], bool] = lambda pod: any(w.owns(pod) for w in asked) and not _is_ready(pod)  # noqa: E731
    for pod in filter(unready, observer.pods):
        for condition in pod.get("status", {}).get("conditions") or ():
            if condition["status"] != "True" and condition.get("message"):
                return f"; {pod['metadata']['name']}: {condition['message']}"
    return ""
