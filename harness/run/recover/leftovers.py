"""What runs left on a cluster, as one list for people and programs. Reads only."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from harness.cluster.patience import Patience
from harness.cluster.ports import Cluster
from harness.cluster.survey import claimed_nodes, labelled_objects
from harness.faults.registry import UNDO
from harness.run.recover.context import Recovered
from harness.terminal import one_line

_REFUSED = "nothing was undone: say whose it is, --run ID or --all (of every run), or name a run's folder"


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that a run left on the cluster. `run`: whose it is; `what`: for people, with what holds it; `path`: the
    object's API path.
    """

    kind: str
    name: str
    run: str
    what: str
    path: str

    def to_json(self) -> dict[str, str]:
        """As `taintlab status --json` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ClusterLeftovers:
    """`leftovers`: what runs left. `unknown`: what could not be looked at, one line each."""

    leftovers: tuple[Leftover, ...]
    unknown: tuple[str, ...]


async def find_leftovers(cluster: Cluster, patience: Patience, *, run: str | None = None) -> ClusterLeftovers:
    """Everything on the cluster that carries our claim or label, of run `run` or of any."""
    nodes, unknown = await claimed_nodes(cluster, patience, UNDO)
    found = []
    for node in nodes:
        path = f"/api/v1/nodes/{node.name}"
        if node.claim is None:
            found.append(_leftover("Node", node.name, "unknown", node.problem, path))
        elif run in (None, node.claim.run):
            what = f"{node.claim.words()} (due off by {node.claim.deadline})"
            found.append(_leftover("Node", node.name, node.claim.run, what, path))
    seen = await labelled_objects(cluster, patience)
    for thing in seen.left:
        if run in (None, thing.run):
            what = f"{thing.kind} {thing.name}" + (f", {thing.held}" if thing.held else "")
            found.append(_leftover(thing.kind, thing.name.rpartition("/")[2], thing.run, what, thing.path))
    return ClusterLeftovers(tuple(found), tuple(one_line(text, 500) for text in (*unknown, *seen.unknown)))


async def list_only(cluster: Cluster, patience: Patience) -> Recovered:
    """What would be reverted, when nobody said whose it is: refused, with everything that is there."""
    seen = await find_leftovers(cluster, patience)
    lines = [f"{item.kind} {item.name}: {item.what}, of run {item.run}" for item in seen.leftovers]
    lines += [f"not known: {text}" for text in seen.unknown]
    return Recovered(remaining=tuple(lines), refused=_REFUSED)


def _leftover(*texts: str) -> Leftover:
    """Names, runs and deadlines are text of strangers: one clean line each."""
    return Leftover(*(one_line(text, 500) for text in texts))
