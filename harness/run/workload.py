"""The experiment's own objects: applied before the run, waited for, removed after it."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from harness.clock import Clock, SystemClock
from harness.cluster.ledger import Ledger
from harness.cluster.ledger_record import RUN_LABEL
from harness.cluster.patience import FIRST_PAUSE_S, Patience
from harness.cluster.ports import Cluster, Json
from harness.cluster.resources import Resources
from harness.cluster.undo import Holder
from harness.errors import ClusterError, NotFound, Refused
from harness.model.experiment import Manifest
from harness.run.labelling import check_names, labelled
from harness.run.observe import Observer
from harness.run.workload_ready import Readiness
from harness.run.workload_removal import Made, WorkloadRemoval

_LOOK_AGAIN_S = 5.0


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
        self._readiness = Readiness(manifests)
        self._removal = WorkloadRemoval(cluster, ledger, run_id=run_id, manifests=manifests, clock=self._clock)

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
            made = Made(f"{manifest.kind} {manifest.name}", f"{collection}/{quote(manifest.name, safe='')}", namespace)
            await self._refuse_existing(made.path, manifest)
            self._removal.made.append(made)
            await self._ledger.intend_soon(made.record)
            await self._create(collection, made, manifest)
        return [made.path for made in self._removal.made]

    async def _create(self, collection: str, made: Made, manifest: Manifest) -> None:
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

    async def _look_again(self, made: Made) -> Json | None:
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
            fix = f"it is left from run {owner}: revert it with `taintlab recover`"
        else:
            fix = "delete it, or leave `workload` out of the experiment to meet what is there"
        raise Refused(
            f"{manifest.file}:{manifest.line}: {manifest.kind} {manifest.name} exists already: {fix}", status=409
        )

    def unready(self, observer: Observer) -> list[str]:
        """What is not there yet, one line each; empty when all of it is (`Readiness.unready`)."""
        return self._readiness.unready(observer)

    async def wait_ready(self, observer: Observer, *, timeout_s: float) -> None:
        """Wait until `unready` is empty; ClusterError with what was last seen when it takes longer than `timeout_s`."""
        if not await observer.until(lambda: not self.unready(observer), timeout_s=timeout_s):
            seen = self._readiness.words(observer)
            raise ClusterError(f"the workload is not Ready after {timeout_s:.0f} s: {seen}")

    async def remove(self, *, deadline_ns: int, give_up: asyncio.Event | None = None) -> list[str]:
        """Delete what we created and wait until it and its pods are seen gone (`WorkloadRemoval.remove`); what is not,
        or not known to be, one line each. Never raises.
        """
        return await self._removal.remove(deadline_ns=deadline_ns, give_up=give_up)
