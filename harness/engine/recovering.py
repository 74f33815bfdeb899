"""The use case after a run: what runs left on a cluster, and taking it off again. The clusters come in as ports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from harness.clock import Clock
from harness.cluster.patience import Patience
from harness.cluster.ports import Cluster
from harness.cluster.reference import ClusterRef
from harness.errors import ClusterError
from harness.run.recover.by_claims import recover_claims
from harness.run.recover.by_ledger import RunLedger, recover_ledger
from harness.run.recover.context import Recovered, RecoveryContext
from harness.run.recover.folder import folder_to_recover
from harness.run.recover.leftovers import ClusterLeftovers, find_leftovers, list_only
from harness.run.recover.liveness import LocalProcesses
from harness.run.recover.where import is_where, of_folder
from harness.terminal import one_line

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


@dataclass(frozen=True, slots=True)
class RecoverPorts:
    """The outside of a recovery. `open`: connects, asks nothing; UsageError when there is no such cluster. `named`: the
    cluster that is meant when none is named; UsageError when that is not clear. `is_gone`: whether it is a lab that is
    not up any more. `kubeconfigs`: the files in force when none is named. `say`: gets each line before it is done.
    """

    clock: Clock
    processes: LocalProcesses
    open: Callable[[ClusterRef], AbstractAsyncContextManager[Cluster]]
    named: Callable[[ClusterRef], ClusterRef]
    is_gone: Callable[[ClusterRef], bool]
    kubeconfigs: Callable[[], Sequence[Path]]
    say: Callable[[str], None]

    def patience(self) -> Patience:
        """Until `WHOLE_S` from now."""
        return Patience(self.clock, self.clock.now().mono_ns + int(WHOLE_S * 1e9))


async def look(where: ClusterRef, ports: RecoverPorts) -> ClusterLeftovers:
    """What runs left on the named cluster. Reads only, and says what it could not read."""
    where = ports.named(where)
    try:
        async with ports.open(where) as cluster:
            return await find_leftovers(cluster, ports.patience())
    except ClusterError as error:
        return ClusterLeftovers((), (one_line(error, 500),))


async def recover(request: RecoverRequest, where: ClusterRef, ports: RecoverPorts) -> Recovered:
    """Revert what is asked for.

    UsageError when it is not clear what is meant, may not be touched, or belongs to a run that is still alive.
    """
    try:
        if request.folder is not None:
            return await _recover_folder(request.folder, request, where, ports)
        return await _recover_cluster(request, ports.named(where), ports)
    except ClusterError as error:
        return Recovered(remaining=(one_line(f"not known: {error}", 500),))


async def _recover_cluster(request: RecoverRequest, where: ClusterRef, ports: RecoverPorts) -> Recovered:
    async with ports.open(where) as cluster:
        if where.context is not None and request.run is None and not request.everything:
            return await list_only(cluster, ports.patience())
        return await recover_claims(_context(cluster, request, ports), run=request.run)


async def _recover_folder(path: Path, request: RecoverRequest, where: ClusterRef, ports: RecoverPorts) -> Recovered:
    found = folder_to_recover(path, force=request.force)
    if found.names_nothing:
        return Recovered(notes=("the ledger names nothing that the run changed",))
    defaults = ports.kubeconfigs()
    meant = of_folder(where, found.reach, defaults=defaults)
    if ports.is_gone(meant):
        return Recovered(notes=(one_line(f"the lab {meant.lab} is not up any more, and everything went with it"),))
    same = is_where(found.reach, meant, defaults=defaults)
    async with ports.open(meant) as cluster:
        ledger = RunLedger(found.ledger, found.read, found.run, found.written_ns, same)
        return await recover_ledger(_context(cluster, request, ports), ledger)


def _context(cluster: Cluster, request: RecoverRequest, ports: RecoverPorts) -> RecoveryContext:
    def clean(text: str) -> None:
        ports.say(one_line(text, 500))

    return RecoveryContext(cluster, ports.patience(), ports.processes, clean, force=request.force)
