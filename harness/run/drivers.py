"""Doing faults to the cluster and undoing them: the only writes a run makes beside its own workload.

What each kind of fault does is its driver's (`harness.faults`); here is what they act with, and what is held on nodes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.clock import Clock, SystemClock
from harness.cluster.ledger import Ledger
from harness.cluster.ledger_record import Record, RecordKind
from harness.cluster.node_writes import Healed, Held, StillThere, change_node, heal_node, node_path
from harness.cluster.patience import Patience, to_the_end
from harness.cluster.ports import Cluster, Components, Json
from harness.cluster.undo import Holder, NodeUndo, Put, UndoKinds, changed, ours_on, own_claim, renew
from harness.errors import ClusterError, Conflict, NotFound, Refused
from harness.faults.kind import Driver, FaultKind, Receipt, UndoingDriver
from harness.history.record import Recorder
from harness.model import events
from harness.model.faults import Fault
from harness.model.requirement import Requirement
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
        kinds: Sequence[FaultKind[Any]],
        run_id: str,
        deadline: str,
        namespaces: frozenset[str],
        holder: Holder | None = None,
        heartbeat: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`kinds`: those that the faults may be of. `deadline`: RFC 3339, when the fault should be over. `namespaces`:
        where the workload's pods are. `holder`: this process. `heartbeat`: RFC 3339, now. `clock`: for waiting
        between tries.
        """
        self._drivers: dict[type[Fault], Driver[Any]] = {kind.value: kind.driver for kind in kinds}
        self._undo_kinds: UndoKinds = {kind.change.kind: kind.change for kind in kinds if kind.change is not None}
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

    async def inject(self, fault: Fault, subject: str) -> Receipt:
        """Do `fault` to `subject`; what the answer said. Refused, Conflict, Indeterminate and OSError (the ledger
        cannot be written: nothing was changed) go to the caller; KeyError for a kind that was not handed in.
        """
        return await self._drivers[type(fault)].inject(fault, subject, self._context(HEAL_STEP_S))

    async def heal(
        self, fault: Fault, node: str, *, deadline_ns: int | None = None, give_up: asyncio.Event | None = None
    ) -> Receipt:
        """Undo one fault on one subject, others of this run stay; what was found. ClusterError when it is not undone,
        TypeError for a kind that is never undone.

        Tries until `deadline_ns` (monotonic; default `HEAL_STEP_S` from now) or until `give_up` is set. The answer has
        ``found_missing`` when somebody else had reverted our change, ``gone`` when the node is not there any more,
        ``left_alone`` when somebody else changed it since.
        """
        driver = self._drivers[type(fault)]
        if not isinstance(driver, UndoingDriver):
            raise TypeError(f"{fault} is not undone: the plan has no heal for it")
        return await driver.heal(fault, node, self._context(HEAL_STEP_S, deadline_ns, give_up))

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

    def _context(
        self, seconds: float, deadline_ns: int | None = None, give_up: asyncio.Event | None = None
    ) -> _Context:
        if deadline_ns is None:
            deadline_ns = self._clock.now().mono_ns + int(seconds * 1e9)
        reverting = Patience(self._clock, deadline_ns, give_up)
        return _Context(self, self._cluster, self._components, reverting)

    def _pods(self, selector: Sequence[Requirement]) -> list[Json]:
        return [
            pod
            for pod in self._observer.pods
            if pod["metadata"]["namespace"] in self._namespaces
            and not pod["metadata"].get("deletionTimestamp")
            and all(term.matches(pod["metadata"].get("labels") or {}) for term in selector)
        ]

    async def _change(self, name: str, put: Put) -> Receipt:
        held = self._held.setdefault(name, Held(name))
        ours = NodeUndo(self._run_id, self._deadline, holder=self._holder, heartbeat=self._heartbeat)

        async def intend(uid: str, claim: NodeUndo) -> None:
            await self._intend(name, uid, claim)

        def compute(node: Json) -> tuple[dict[str, Any], NodeUndo]:
            return changed(node, put, ours, self._undo_kinds)

        async with held.lock:
            before = held.claim
            try:
                after = await change_node(self._cluster, held, compute, intend=intend, clock=self._clock)
            except Refused:
                # What the ledger says must not outlive the refusal: it would be undone on a later recovery.
                await self._best_effort_intend(held, before or NodeUndo(self._run_id, self._deadline))
                raise
        return {"resourceVersion": after["metadata"]["resourceVersion"]}

    async def _is_reverted(self, name: str, what: str) -> bool:
        held = self._held.get(name)
        try:
            node = await self._cluster.get(node_path(name))
        except NotFound:
            return True
        if held is not None and held.uid and node["metadata"]["uid"] != held.uid:
            return True
        claim = own_claim(node, self._run_id, self._undo_kinds) or NodeUndo(self._run_id, self._deadline)
        if held is not None and held.claim is not None:
            claim = claim.joined(held.claim)
        return not ours_on(node, claim, self._undo_kinds, what)

    async def _intend(self, name: str, uid: str, claim: NodeUndo) -> None:
        """Into the ledger, unless it says so already. In a thread: an fsync may take long."""
        undo = claim.to_json()
        if self._intended.get(name) == (uid, undo):
            return
        record = Record(f"node:{name}", RecordKind.NODE, name, claim.words(), uid, undo)
        await self._ledger.intend_soon(record)
        self._intended[name] = (uid, undo)

    async def _best_effort_intend(self, held: Held, claim: NodeUndo) -> None:
        if held.name in self._intended:
            try:
                await self._intend(held.name, held.uid, claim)
            except (OSError, RuntimeError):
                return  # the ledger then says more than there is: a heal finds nothing of it and says so

    async def _revert(self, name: str, what: str, patience: Patience) -> Receipt:
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
        """Heal one node; "" when nothing of the run is on it, else the line that says what is."""
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

    async def _undo(self, held: Held, patience: Patience, what: str | None) -> Healed:
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
                kinds=self._undo_kinds,
                uid=held.uid,
                what=what,
                fence_first=held.unsettled,
            )
        except Exception as error:
            self._tell(events.HealDone(record_id, ok=False, message=str(error)))
            raise
        if sent_before:
            healed = replace(healed, missing=(), claim_missing=False)  # it may be our own earlier undo that removed it
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
            patch = renew(node, self._run_id, heartbeat, self._undo_kinds)
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
            self._tell(events.ClaimLost(name, "our claim is not on the node any more: somebody else removed it"))

    def _tell(self, fact: events.Fact) -> None:
        """Best effort: no heal depends on the history."""
        try:
            self._recorder.record(fact, source="run")
        except (OSError, ValueError):
            return  # the recorder remembers that it failed; a full disk must not leave a taint on a node


@dataclass(frozen=True, slots=True)
class _Context:
    """See `harness.faults.kind.FaultContext`. `reverting`: until when a revert is tried again."""

    drivers: Drivers
    cluster: Cluster
    components: Components | None
    reverting: Patience

    def patience(self, seconds: float) -> Patience:
        """See `FaultContext`."""
        return self.reverting.until(self.reverting.clock.now().mono_ns + int(seconds * 1e9))

    def pods(self, selector: Sequence[Requirement]) -> list[Json]:
        """See `FaultContext`."""
        return self.drivers._pods(selector)

    async def change_node(self, name: str, put: Put) -> Receipt:
        """See `FaultContext`."""
        return await self.drivers._change(name, put)

    async def revert_node(self, name: str, what: str) -> Receipt:
        """See `FaultContext`."""
        return await self.drivers._revert(name, what, self.reverting)

    async def is_reverted(self, name: str, what: str) -> bool:
        """See `FaultContext`."""
        return await self.drivers._is_reverted(name, what)
