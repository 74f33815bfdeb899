"""Making a plan: where the world comes from, what is asked of it, and the way from one to the other. Reads only."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import msgspec

from harness.clock import Clock
from harness.errors import ClusterError, UsageError
from harness.files import read_regular
from harness.formats.labels import selector
from harness.formats.problems import BadValue
from harness.impact import Change, PolicyPlan, assess, evictions_by, judge
from harness.impact.diff import PlanDiff, check_plan, compare
from harness.impact.evictions import world_node
from harness.model.experiment import Target
from harness.model.finding import Expectation
from harness.model.state import ClusterState, Node
from harness.plan.targets import choose_targets
from harness.semantics.eviction.settings import Settings
from harness.snapshot import Builder, Header, Reading, WorldWriter, pages, read_world
from harness.snapshot.control_plane import settings_of
from harness.snapshot.worldfile import VERSION as WORLD_VERSION
from harness.wiring.sessions import ClusterRef, open_session

_NOTHING = Change(())


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """A policy from the command line. `nodes`: a label selector, or node names with commas; "" with a single node.
    `change`: what is done to them, its targets yet to be found.
    """

    nodes: str = ""
    change: Change = _NOTHING


@dataclass(frozen=True, slots=True)
class PlanInput:
    """A world with what is known of its control plane. `source`: how people would call it."""

    inventory: ClusterState
    settings: Settings
    source: str
    notes: tuple[str, ...] = ()


@contextmanager
def no_cycle_collector() -> Iterator[None]:
    """A plan makes millions of small values and no cycles: the cycle collector would look at them over and over."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


async def read_input(where: ClusterRef, world: Path | None, *, clock: Clock) -> PlanInput:
    """The world in a file, or of the cluster that was named. UsageError when neither or both were named."""
    if world is not None:
        if where.lab is not None or where.context is not None:
            raise UsageError("--world is a world already: leave --lab and --context out")
        inventory = read_world(world)
        settings, notes = settings_of(inventory.kubernetes_version or f"1.{Settings().minor}", inventory.flags)
        return PlanInput(inventory, settings, world.name, notes)
    async with open_session(where, clock=clock, for_writing=False) as place:
        builder, reading = Builder(), Reading()
        try:
            async for page in pages(place.cluster, reading):
                builder.add(page)
            inventory = builder.build(
                kubernetes_version=place.kubernetes_version, taken=clock.now().wall, missing=reading.missing
            )
        except ValueError as error:
            raise ClusterError(f"{place.cluster.name} has an object that plans cannot read: {error}") from error
        return PlanInput(inventory, place.settings, place.cluster.name, place.notes)


async def save_snapshot(where: ClusterRef, stream: IO[bytes], *, packed: bool, clock: Clock) -> Header:
    """Read the cluster into a world file on `stream` (gzip when `packed`), page by page; the header written."""
    async with open_session(where, clock=clock, for_writing=False) as place:
        taken, reading = clock.now().wall, Reading()
        writer = WorldWriter(stream, packed=packed)
        async for page in pages(place.cluster, reading):
            writer.add(page)
        header = Header(
            version=WORLD_VERSION,
            kubernetes=place.kubernetes_version,
            taken=taken,
            cluster=place.cluster.name,
            missing={subject.value: why for subject, why in reading.missing.items()},
            flags=list(place.flags),
        )
        writer.close(header)
        return header


# --- plans ---


def plan_policy(seen: PlanInput, asked: PlanRequest, expectations: Sequence[Expectation]) -> PolicyPlan:
    """What a policy from the command line would do. UsageError when it names no node, or nothing to do."""
    targets = _targets(asked.nodes, seen.inventory.nodes)
    change = replace(asked.change, targets=targets)
    if not change.words:
        raise UsageError(
            "say what is to be done: --taint key=value:NoExecute, --cordon, --drain, --lose-node, --condition"
        )
    impact = assess(seen.inventory, change, evictions_by(seen.inventory, change, seen.settings), seen.settings)
    title = f"{', '.join(change.words)} on {asked.nodes or targets[0]}"
    return judge(replace(impact, notes=seen.notes), expectations, source=seen.source, title=title)


def _targets(text: str, nodes: Sequence[Node]) -> tuple[str, ...]:
    """Node names, or a selector; a cluster of one node needs neither."""
    names = {node.name for node in nodes}
    if not text and len(nodes) == 1:
        return (nodes[0].name,)
    if not text:
        raise UsageError("say which nodes are meant: --nodes pool=spot, or --nodes node-1,node-2")
    words = tuple(word.strip() for word in text.split(","))
    if set(words) <= names:
        return words
    try:
        terms = selector(text)
    except BadValue as error:
        raise UsageError(f"--nodes {text}: {error}") from error
    return choose_targets(Target(selector=terms), [world_node(node) for node in nodes])


def read_plans(first: Path, second: Path) -> PlanDiff:
    """Two plans in files, compared. UsageError for what is no plan."""
    return compare(_read_plan(first), _read_plan(second))


def _read_plan(path: Path) -> dict[str, Any]:
    try:
        return dict(check_plan(msgspec.json.decode(read_regular(path, follow_link=True)), where=str(path)))
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    except (RecursionError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no plan: {error}") from error
