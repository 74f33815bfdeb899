"""How each kind of fault is done to the cluster and undone: the only writes a run makes beside its own workload."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, assert_never

from harness.clock import Clock, SystemClock
from harness.cluster.ledger import Ledger, Record, RecordKind
from harness.cluster.node_writes import Healed, Held, StillThere, change_node, heal_node, node_path
from harness.cluster.patience import Patience, to_the_end
from harness.cluster.ports import Cluster, Components, Json
from harness.cluster.undo import CORDON, Change, Claim, Holder, cordon, put_taint, renew
from harness.errors import ClusterError, Conflict, LabError, Refused
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
from harness.run.observe import Observer

HEAL_STEP_S = 30.0
"""Seconds that a timed heal step keeps trying; what it did not manage is tried again at the end of the run."""
AT_ONCE = 20
"""Nodes that are healed or renewed at the same time."""
_RENEW_TRIES = 5


class Drivers:
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
        holder: Holder | None = None,
        heartbeat: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`deadline`: RFC 3339, when the fault should be over. `namespaces`: where the workload's pods are. `holder`:
        this process. `heartbeat`: RFC 3339, now. `clock`: for waiting between tries.
        """
        self._cluster = cluster
        self._components = components
        self._observer = observer
        self._recorder = recorder
        self._ledger = ledger
        self._run_id = run_id
        self._deadline = deadline
        self._namespaces = namespaces
        self._holder = holder
        self._heartbeat = heartbeat
        self._clock = clock or SystemClock()
        self._held: dict[str, Held] = {}
        self._intended: dict[str, tuple[str, str]] = {}
        self._lost: set[str] = set()

    async def inject(self, fault: Fault, subject: str) -> dict[str, Any]:
        """Do `fault` to `subject`; what the answer said. Refused, Conflict, Indeterminate and OSError (the ledger
        cannot be written: nothing was changed) go to the caller.
        """
        match fault:
            case TaintFault(taint=taint):
                return await self._change(subject, lambda node: put_taint(node, taint, **self._owner()))
            case CordonFault():
                return await self._change(subject, lambda node: cordon(node, **self._owner()))
            case TolerationsFault(selector=selector, tolerations=tolerations):
                return await self._set_tolerations(selector, [t.to_api() for t in tolerations])
            case RestartFault(component=component):
                if self._components is None:
                    raise LabError(f"restart {component}: only the lab's components can be restarted")
                await self._components.restart(component)
                return {}
            case _ as never:
                assert_never(never)

    async def heal(
        self, fault: Fault, node: str, *, deadline_ns: int | None = None, give_up: asyncio.Event | None = None
    ) -> dict[str, Any]:
        """Undo one fault on one node, others of this run stay; what was found. ClusterError when it is not undone.

        Tries until `deadline_ns` (monotonic; default `HEAL_STEP_S` from now) or until `give_up` is set. The answer has
        ``found_missing`` when somebody else had taken our change off, ``gone`` when the node is not there any more,
        ``left_alone`` when somebody else changed it since.
        """
        if deadline_ns is None:
            deadline_ns = self._clock.now().mono_ns + int(HEAL_STEP_S * 1e9)
        patience = Patience(self._clock, deadline_ns, give_up)
        match fault:
            case TaintFault(taint=taint):
                return await self._heal_one(node, taint.identity, patience)
            case CordonFault():
                return await self._heal_one(node, CORDON, patience)
            case TolerationsFault() | RestartFault():
                return {}  # pods go with the workload; a restarted component is back by itself
            case _ as never:
                assert_never(never)

    async def heal_all(self, deadline_ns: int, give_up: asyncio.Event | None = None) -> list[str]:
        """Undo whatever is still ours on any node we touched; what is not undone, or not known to be, one line each.

        Never raises: not for a failure, and not when its task is cancelled (`give_up` is the way to end it). Nodes are
        healed on their own, `AT_ONCE` at a time. `deadline_ns`: monotonic, of the clock port.
        """
        patience = Patience(self._clock, deadline_ns, give_up)
        try:
            return await to_the_end(self._heal_nodes(patience))
        except (Exception, asyncio.CancelledError) as error:  # every node has its own line; this is for the rest
            return [f"node {name}: not known whether it is healed: {error!r}" for name in self._held]

    async def renew(self, heartbeat: str) -> None:
        """Write `heartbeat` (RFC 3339) into every claim that this run holds; for a task that repeats it.

        A claim that is gone is recorded (`events.ClaimLost`), once for each node. What cannot be written now is left to
        the next time.
        """
        self._heartbeat = heartbeat
        places = asyncio.Semaphore(AT_ONCE)

        async def one(held: Held) -> None:
            async with places, held.lock:
                try:
                    await self._renew(held, heartbeat)
                except ClusterError:
                    return  # nothing is known of the claim; the next heartbeat tries again

        await asyncio.gather(*(one(held) for held in list(self._held.values())))

    def _owner(self) -> dict[str, Any]:
        return {
            "run": self._run_id,
            "deadline": self._deadline,
            "holder": self._holder,
            "heartbeat": self._heartbeat,
        }

    async def _change(self, name: str, compute: Callable[[Json], dict[str, Any]]) -> dict[str, Any]:
        held = self._held.setdefault(name, Held(name))

        async def intend(uid: str, claim: Claim) -> None:
            await self._intend(name, uid, claim)

        async with held.lock:
            before = held.claim
            try:
                after = await change_node(self._cluster, held, compute, intend=intend, clock=self._clock)
            except Refused:
                # What the ledger says must not outlive the refusal: it would be undone on a later recovery.
                await self._best_effort_intend(held, before or Claim(self._run_id, self._deadline))
                raise
        return {"resourceVersion": after["metadata"]["resourceVersion"]}

    async def _intend(self, name: str, uid: str, claim: Claim) -> None:
        """Into the ledger, unless it says so already. In a thread: an fsync may take long."""
        undo = claim.to_json()
        if self._intended.get(name) == (uid, undo):
            return
        record = Record(f"node:{name}", RecordKind.NODE, name, claim.words(), uid, undo)
        await self._ledger.intend_soon(record)
        self._intended[name] = (uid, undo)

    async def _best_effort_intend(self, held: Held, claim: Claim) -> None:
        if held.name in self._intended:
            try:
                await self._intend(held.name, held.uid, claim)
            except (OSError, RuntimeError):
                return  # the ledger then says more than there is: a heal finds nothing of it and says so

    async def _heal_one(self, name: str, what: Change, patience: Patience) -> dict[str, Any]:
        held = self._held.get(name)
        if held is None:
            return {}  # its injection never began
        async with held.lock:
            healed = await self._undo(held, patience, what)
            if held.claim is not None:
                held.claim = held.claim.without(what)
                if not healed.gone:
                    await self._best_effort_intend(held, held.claim)
        out: dict[str, Any] = {"resourceVersion": healed.resource_version}
        if healed.gone:
            return {"gone": healed.gone}
        if healed.missing:
            out["found_missing"] = ", ".join(healed.missing)
        if healed.left_alone:
            out["left_alone"] = "; ".join(healed.left_alone)
        return out

    async def _heal_nodes(self, patience: Patience) -> list[str]:
        places = asyncio.Semaphore(AT_ONCE)
        lines = await asyncio.gather(*(self._heal_whole(held, patience, places) for held in list(self._held.values())))
        return [line for line in lines if line]

    async def _heal_whole(self, held: Held, patience: Patience, places: asyncio.Semaphore) -> str:
        """Heal one node; "" when nothing of ours is on it, else the line that says what is."""
        words = held.claim.words() if held.claim is not None else "what a lost write brings"
        how = ""
        try:
            async with places, held.lock:
                if not held.is_clean:
                    how = (await self._undo(held, patience, None)).gone
        except StillThere as error:
            return str(error)
        except Exception as error:  # whatever it is: this node's line, and the others go on
            return f"node {held.name} may still have {words}: {error or type(error).__name__}"
        del self._held[held.name]
        try:
            if held.name in self._intended or held.uid:
                await self._ledger.healed_soon(f"node:{held.name}", how=how)
        except (OSError, RuntimeError):
            return ""  # the node was seen healed; the ledger keeps the record open, and recover looks again
        return ""

    async def _undo(self, held: Held, patience: Patience, what: Change | None) -> Healed:
        """Heal with the lock held, told in the history as far as that can be written."""
        record_id = f"node:{held.name}"
        self._tell(events.HealInvoked(record_id, held.name))
        sent_before, held.undo_sent = held.undo_sent, True
        try:
            healed = await heal_node(
                self._cluster,
                held.name,
                held.claim,
                run=self._run_id,
                patience=patience,
                uid=held.uid,
                what=what,
                fence_first=held.unsettled,
            )
        except Exception as error:
            self._tell(events.HealDone(record_id, ok=False, message=str(error)))
            raise
        if sent_before:
            healed = replace(healed, missing=(), claim_missing=False)  # it may be our own earlier undo that took it off
        due = held.acknowledged and held.claim is not None and not held.claim.is_empty
        if healed.claim_missing and not healed.gone and due:
            self._tell_lost(held.name)
        held.unsettled = held.undo_sent = False
        self._tell(events.HealDone(record_id, ok=True, message=healed.gone or "; ".join(healed.left_alone)))
        return healed

    async def _renew(self, held: Held, heartbeat: str) -> None:
        if not held.acknowledged or held.undo_sent or held.claim is None or held.claim.is_empty:
            return
        for _ in range(_RENEW_TRIES):
            node = await self._cluster.get(node_path(held.name))
            if node["metadata"]["uid"] != held.uid:
                return  # another node: ours is gone, and its claim with it
            patch = renew(node, self._run_id, heartbeat)
            if patch is None:
                self._tell_lost(held.name)
                return
            before, held.unsettled = held.unsettled, True
            try:
                await self._cluster.merge_patch(node_path(held.name), patch)
            except Conflict:
                held.unsettled = before
                continue
            except Refused:
                held.unsettled = before
                raise
            held.unsettled = before
            return

    def _tell_lost(self, name: str) -> None:
        if name not in self._lost:
            self._lost.add(name)
            self._tell(events.ClaimLost(name, "our claim is not on the node any more: somebody else took it off"))

    def _tell(self, fact: events.Fact) -> None:
        """Best effort: no heal depends on the history."""
        try:
            self._recorder.record(fact, source="run")
        except (OSError, ValueError):
            return  # the recorder remembers that it failed; a full disk must not leave a taint on a node

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
