"""Taking the experiment's own objects off the cluster, until they and their pods are seen gone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import quote

from harness.clock import Clock
from harness.cluster.ledger import Ledger
from harness.cluster.ledger_record import Record, RecordKind
from harness.cluster.patience import Patience, to_the_end
from harness.cluster.ports import Cluster
from harness.cluster.removal import (
    CREATE_SETTLES_S,
    GONE_WITHIN_S,
    labelled_in,
    pod_path,
    pods_left,
    remove_object,
    why_left,
)
from harness.model.experiment import Manifest
from harness.run.labelling import has_claims, longest_grace_s

_AT_ONCE = 20
_CLAIMS = "persistentvolumeclaims"


@dataclass(slots=True)
class Made:
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


class WorkloadRemoval:
    """Removes what one run has made. `made`: what it has to remove, in the order of its creation; it grows while the
    workload is applied, and what was seen gone is taken out of it.
    """

    def __init__(
        self, cluster: Cluster, ledger: Ledger, *, run_id: str, manifests: tuple[Manifest, ...], clock: Clock
    ) -> None:
        """Nothing is made yet."""
        self._cluster = cluster
        self._ledger = ledger
        self._run_id = run_id
        self._manifests = manifests
        self._clock = clock
        self._gone_within_s = GONE_WITHIN_S + max(0, longest_grace_s(manifests) - 30)
        self.made: list[Made] = []

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
            return [f"{made.what}: not known whether it is gone: {error!r}" for made in self.made]

    async def _remove(self, patience: Patience) -> list[str]:
        made = [one for one in reversed(self.made) if one.sent_ns is not None]
        for never in (one for one in self.made if one.sent_ns is None):
            await self._told_healed(never, "never created")
        if not made:
            return []
        places = asyncio.Semaphore(_AT_ONCE)
        lines = list(await asyncio.gather(*(self._remove_one(one, patience, places) for one in made)))
        lines += await self._remove_pods(made, patience)
        lines += await self._remove_claims(made, patience)
        return [line for line in lines if line]

    async def _remove_one(self, made: Made, patience: Patience, places: asyncio.Semaphore) -> str:
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
                    gone_within_s=self._gone_within_s,
                    lands_by_ns=made.sent_ns + int(CREATE_SETTLES_S * 1e9),
                )
        except Exception as error:  # whatever it is: this object's line, and the others go on
            return f"{made.what}: not known whether it is gone: {error or type(error).__name__}"
        if removal.gone:
            self.made.remove(made)
            await self._told_healed(made, removal.why)
            return ""
        if removal.uid and removal.uid != made.uid:
            made.uid = removal.uid
            await self._intended(made.record)
        return f"{made.what} ({made.path}): {removal.why}"

    async def _remove_pods(self, made: list[Made], patience: Patience) -> list[str]:
        """Wait for the pods of the run; a line and a ledger record for each that stays."""
        namespaces = {one.namespace for one in made}
        gone_by_ns = self._clock.now().mono_ns + int(self._gone_within_s * 1e9)
        try:
            pods = await pods_left(self._cluster, self._run_id, namespaces, patience=patience, gone_by_ns=gone_by_ns)
        except Exception as error:
            return [
                f"pods of the workload in {', '.join(sorted(namespaces))}: not known whether they are gone: {error}"
            ]
        lines = []
        told = {one.path for one in self.made}
        for pod in pods:
            path, meta = pod_path(pod), pod["metadata"]
            if path not in told:
                name = f"{meta['namespace']}/{meta['name']}"
                await self._intended(Record(f"object:{path}", RecordKind.OBJECT, path, f"Pod {name}", meta["uid"]))
                lines.append(f"pod {name}: {await why_left(self._cluster, pod)}")
        return lines

    async def _remove_claims(self, made: list[Made], patience: Patience) -> list[str]:
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
            one = Made(f"PersistentVolumeClaim {meta['name']}", path, meta["namespace"], 0, meta["uid"])
            self.made.append(one)
            await self._intended(one.record)
            found.append(one)
        places = asyncio.Semaphore(_AT_ONCE)
        return list(await asyncio.gather(*(self._remove_one(one, patience, places) for one in found)))

    async def _told_healed(self, made: Made, how: str) -> None:
        try:
            await self._ledger.healed_soon(made.record.id, how=how)
        except (OSError, RuntimeError):
            return  # it was seen gone; the ledger keeps the record open, and recover looks again

    async def _intended(self, record: Record) -> None:
        try:
            await self._ledger.intend_soon(record)
        except (OSError, RuntimeError):
            return  # the line that is told, and the label on the object, say it too
