"""The verbs that look at a cluster or revert what runs left on it: what they need is opened, `harness.run.recover` does
the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.cluster.patience import Patience
from harness.cluster.ports import Cluster
from harness.cluster.reference import ClusterRef
from harness.errors import ClusterError
from harness.run.recover.by_claims import recover_claims
from harness.run.recover.by_ledger import RunLedger, recover_ledger
from harness.run.recover.context import Recovered, RecoveryContext
from harness.run.recover.folder import folder_to_recover
from harness.run.recover.leftovers import ClusterLeftovers, find_leftovers, list_only
from harness.run.recover.where import is_where, of_folder
from harness.terminal import one_line
from harness.wiring.sessions import default_kubeconfigs, lab_is_gone, named, open_cluster
from harness.wiring.this_process import local_processes

WHOLE_S = 600.0
"""The longest that a recovery or a look may take: each of its parts has a time of its own, far below."""


@dataclass(frozen=True, slots=True)
class RecoverRequest:
    """What is to be recovered: the run of `folder`, or run `run`, or (`everything`) every run. `force`: also of a run
    that is still alive.
    """

    folder: Path | None = None
    run: str | None = None
    everything: bool = False
    force: bool = False


async def status_verb(where: ClusterRef) -> ClusterLeftovers:
    """What runs left on the named cluster. Reads only, and says what it could not read."""
    where, clock = named(where), SystemClock()
    try:
        async with open_cluster(where, clock=clock) as cluster:
            return await find_leftovers(cluster, _patience(clock))
    except ClusterError as error:
        return ClusterLeftovers((), (one_line(error, 500),))


async def recover_verb(request: RecoverRequest, where: ClusterRef, say: Callable[[str], None]) -> Recovered:
    """Revert what is asked for; `say` gets each line before it is done.

    UsageError when it is not clear what is meant, may not be touched, or belongs to a run that is still alive.
    """
    try:
        if request.folder is not None:
            return await _recover_folder(request.folder, request, where, say)
        return await _recover_cluster(request, named(where), say)
    except ClusterError as error:
        return Recovered(remaining=(one_line(f"not known: {error}", 500),))


async def _recover_cluster(request: RecoverRequest, where: ClusterRef, say: Callable[[str], None]) -> Recovered:
    clock = SystemClock()
    async with open_cluster(where, clock=clock) as cluster:
        if where.context is not None and request.run is None and not request.everything:
            return await list_only(cluster, _patience(clock))
        return await recover_claims(_context(cluster, clock, request, say), run=request.run)


async def _recover_folder(
    path: Path, request: RecoverRequest, where: ClusterRef, say: Callable[[str], None]
) -> Recovered:
    found = folder_to_recover(path, force=request.force)
    if found.names_nothing:
        return Recovered(notes=("the ledger names nothing that the run changed",))
    defaults = default_kubeconfigs()
    meant = of_folder(where, found.reach, defaults=defaults)
    if lab_is_gone(meant):
        return Recovered(notes=(one_line(f"the lab {meant.lab} is not up any more, and everything went with it"),))
    same = is_where(found.reach, meant, defaults=defaults)
    clock = SystemClock()
    async with open_cluster(meant, clock=clock) as cluster:
        ledger = RunLedger(found.ledger, found.read, found.run, found.written_ns, same)
        return await recover_ledger(_context(cluster, clock, request, say), ledger)


def _patience(clock: Clock) -> Patience:
    return Patience(clock, clock.now().mono_ns + int(WHOLE_S * 1e9))


def _context(cluster: Cluster, clock: Clock, request: RecoverRequest, say: Callable[[str], None]) -> RecoveryContext:
    def clean(text: str) -> None:
        say(one_line(text, 500))

    return RecoveryContext(cluster, _patience(clock), local_processes(), clean, force=request.force)
