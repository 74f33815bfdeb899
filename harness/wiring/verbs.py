"""Verbs that look at a cluster or take things off it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness import lab as labs
from harness.clock import SystemClock
from harness.errors import UsageError
from harness.history import folder as folders
from harness.history.read import read_history
from harness.wiring.place import Where, open_place
from harness.wiring.recovering import Leftover, Recovered, leftovers, recover


async def status_verb(where: Where) -> list[Leftover]:
    """What of ours is on the named cluster. Reads only."""
    async with open_place(where, clock=SystemClock(), for_writing=False) as place:
        return await leftovers(place.cluster)


async def recover_verb(path: Path | None, where: Where) -> Recovered:
    """Take off what is ours: of the run in `path` if given, on the cluster it ran on unless another is named.

    A lab that is no longer up took everything with it.
    """
    folder = None if path is None else folders.existing(path)
    run = None
    if folder is not None:
        run = read_history(folder.history).started.run_id
        where = _where_it_ran(folder, where)
    if where.lab is not None and labs.find(where.lab) is None and folder is not None:
        return Recovered((), (), ())
    async with open_place(where, clock=SystemClock(), for_writing=True) as place:
        return await recover(place.cluster, folder=folder, run=run)


def _where_it_ran(folder: folders.RunFolder, where: Where) -> Where:
    if where.lab is not None or where.context is not None:
        return where
    reach = folders.read_json(folder.versions)["reach"]
    if "lab" in reach:
        return replace(where, lab=reach["lab"])
    if "context" in reach:
        kubeconfig = Path(reach["kubeconfig"]) if reach.get("kubeconfig") else None
        # The run was allowed to change this context; taking its changes off again needs no second permission.
        return replace(where, context=reach["context"], kubeconfig=kubeconfig, allow=(reach["context"],))
    raise UsageError(f"{folder.versions} does not say where the run was: name it with --lab or --context")
