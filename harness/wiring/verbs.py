"""The verbs that look at a cluster or revert what runs left on it: `harness.engine.recovering` on this machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from harness.clock import SystemClock
from harness.cluster.reference import ClusterRef
from harness.engine.recovering import RecoverPorts, RecoverRequest, look, recover
from harness.run.recover.context import Recovered
from harness.run.recover.leftovers import ClusterLeftovers
from harness.wiring.sessions import default_kubeconfigs, lab_is_gone, named, open_cluster
from harness.wiring.this_process import local_processes


async def status_verb(where: ClusterRef) -> ClusterLeftovers:
    """What runs left on the named cluster (`look`)."""
    return await look(where, _ports(lambda line: None))


async def recover_verb(request: RecoverRequest, where: ClusterRef, say: Callable[[str], None]) -> Recovered:
    """Revert what is asked for (`recover`); `say` gets each line before it is done."""
    return await recover(request, where, _ports(say))


def _ports(say: Callable[[str], None]) -> RecoverPorts:
    clock = SystemClock()
    return RecoverPorts(
        clock=clock,
        processes=local_processes(),
        open=partial(open_cluster, clock=clock),
        named=named,
        is_gone=lab_is_gone,
        kubeconfigs=default_kubeconfigs,
        say=say,
    )
