"""Verbs that look at a cluster or take things off it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.clock import Clock, SystemClock
from harness.cluster.ledger import LedgerRead, is_held, read_ledger
from harness.cluster.patience import Patience
from harness.cluster.ports import Cluster
from harness.cluster.survey import claimed_nodes, labelled_objects
from harness.errors import ClusterError, UsageError
from harness.faults.registry import UNDO
from harness.history import folder as folders
from harness.history.read import read_history
from harness.wiring.alive import this_process
from harness.wiring.reaching import is_where, lab_is_gone, named, of_folder, open_cluster
from harness.wiring.recovering import Recovered, Site, alive_error, recover_claims
from harness.wiring.recovering_ledger import Folder, recover_ledger
from harness.wiring.sessions import ClusterRef
from reports.words import one_line

WHOLE_S = 600.0
"""The longest that a recovery or a look may take: each of its parts has a time of its own, far below."""


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
class Seen:
    """`leftovers`: what runs left. `unknown`: what could not be looked at, one line each."""

    leftovers: tuple[Leftover, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be recovered: the run of `folder`, or run `run`, or (`everything`) every run. `force`: also of a run
    that is still alive.
    """

    folder: Path | None = None
    run: str | None = None
    everything: bool = False
    force: bool = False


def _patience(clock: Clock) -> Patience:
    return Patience(clock, asyncio.sleep, clock.now().mono_ns + int(WHOLE_S * 1e9))


async def status_verb(where: ClusterRef) -> Seen:
    """What runs left on the named cluster. Reads only, and says what it could not read."""
    where, clock = named(where), SystemClock()
    try:
        async with open_cluster(where, clock=clock) as cluster:
            return await look_around(cluster, _patience(clock))
    except ClusterError as error:
        return Seen((), (one_line(error, 500),))


async def look_around(cluster: Cluster, patience: Patience, *, run: str | None = None) -> Seen:
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
    return Seen(tuple(found), tuple(one_line(text, 500) for text in (*unknown, *seen.unknown)))


def _leftover(*texts: str) -> Leftover:
    """Names, runs and deadlines are text of strangers: one clean line each."""
    return Leftover(*(one_line(text, 500) for text in texts))


async def recover_verb(wanted: Wanted, where: ClusterRef, say: Callable[[str], None]) -> Recovered:
    """Take off what is wanted; `say` gets each line before it is done.

    UsageError when it is not clear what is meant, may not be touched, or belongs to a run that is still alive.
    """
    try:
        return await _recover(wanted, where, say)
    except ClusterError as error:
        return Recovered(remaining=(one_line(f"not known: {error}", 500),))


async def _recover(wanted: Wanted, where: ClusterRef, say: Callable[[str], None]) -> Recovered:
    if wanted.folder is not None:
        return await _recover_folder(wanted.folder, wanted, where, say)
    where = named(where)
    clock = SystemClock()
    async with open_cluster(where, clock=clock) as cluster:
        if where.context is not None and wanted.run is None and not wanted.everything:
            return await _list_only(cluster, _patience(clock))
        return await recover_claims(_site(cluster, clock, wanted, say), run=wanted.run)


def _site(cluster: Cluster, clock: Clock, wanted: Wanted, say: Callable[[str], None]) -> Site:
    def clean(text: str) -> None:
        say(one_line(text, 500))

    return Site(cluster, _patience(clock), this_process(), clean, force=wanted.force)


async def _list_only(cluster: Cluster, patience: Patience) -> Recovered:
    seen = await look_around(cluster, patience)
    lines = [f"{item.kind} {item.name}: {item.what}, of run {item.run}" for item in seen.leftovers]
    lines += [f"not known: {text}" for text in seen.unknown]
    refused = "nothing was undone: say whose it is, --run ID or --all (of every run), or name a run's folder"
    return Recovered(remaining=tuple(lines), refused=refused)


async def _recover_folder(path: Path, wanted: Wanted, where: ClusterRef, say: Callable[[str], None]) -> Recovered:
    folder = folders.RunFolder(path)
    missing = not folder.ledger.exists() and not folder.ledger.is_symlink()
    if missing or folder.ledger.is_dir():
        raise UsageError(f"{path}: no run to recover here (no {folder.ledger.name}); run folders hold one")
    written_ns = folder.ledger.lstat().st_mtime_ns
    read = read_ledger(folder.ledger)
    run = read.header.run if read.header else _run_of_history(folder)
    if not wanted.force and is_held(folder.ledger):
        raise alive_error(run or "(unnamed)", "it holds its ledger")
    if not read.records and not read.problems:
        return Recovered(notes=("the ledger names nothing that the run changed",))
    reach = _reach(folder, read)
    meant = of_folder(where, reach)
    if lab_is_gone(meant):
        return Recovered(notes=(one_line(f"the lab {meant.lab} is not up any more, and everything went with it"),))
    same = is_where(reach, meant)
    clock = SystemClock()
    async with open_cluster(meant, clock=clock) as cluster:
        site = _site(cluster, clock, wanted, say)
        return await recover_ledger(site, Folder(folder.ledger, read, run, written_ns, same))


def _reach(folder: folders.RunFolder, read: LedgerRead) -> Mapping[str, Any]:
    """What the folder says about its cluster: the ledger, else (taintlab 0.1.0) versions.json."""
    if read.header is not None and read.header.reach:
        return read.header.reach
    try:
        reach = folders.read_json(folder.versions)["reach"]
    except (UsageError, KeyError, TypeError, RecursionError):
        return {}
    return reach if isinstance(reach, dict) else {}


def _run_of_history(folder: folders.RunFolder) -> str:
    """The run's id as the history of a ledger without a header (taintlab 0.1.0) says it; "" when it cannot be read."""
    try:
        return read_history(folder.history).started.run_id
    except Exception:  # however damaged it is: the claims say the run as well, and recovering needs no history
        return ""
