"""The lab of a run that named no cluster: the running one called ``default``, or one of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import lab as labs
from harness.lab.flags import parse_flag
from harness.lab.topology import Topology, default_topology, read_topology_file
from harness.lab.values import LabSpec
from harness.model.experiment import Experiment, LabWish

DEFAULT_LAB = "default"


@contextmanager
def lab_for(experiment: Experiment, *, keep: bool, report: Callable[[str], None]) -> Iterator[str]:
    """The name of a lab to run on. One that is up and fits is used and left; otherwise one is started, and taken down
    at the end unless `keep`. A lab of an experiment that wants flags or a topology of its own is named after it.

    The started lab belongs to this process: if we are killed, the next `lab up` takes it down.
    """
    wish = experiment.lab
    name = DEFAULT_LAB if wish == LabWish() else f"run-{experiment.name}"[:40].rstrip("-")
    if labs.find(name) is not None:
        report(f"using lab {name}, which is up")
        if notice := labs.root_notice():
            report(notice)
        yield name
        return
    owner = None if keep else labs.this_process()
    labs.up(_spec(name, experiment), owner=owner, report=report)
    try:
        yield name
    finally:
        if keep:
            report(f"lab {name} stays up: taintlab lab down --name {name}")
        else:
            labs.down_named(name)


def _spec(name: str, experiment: Experiment) -> LabSpec:
    wish = experiment.lab
    flags = tuple(parse_flag(flag) for flag in wish.flags)
    return LabSpec(name=name, kubernetes=wish.kubernetes, topology=topology_of(experiment), flags=flags)


def topology_of(experiment: Experiment) -> Topology:
    """The nodes that the experiment's lab has; InvalidFile for a file that is no topology, or cannot be read."""
    if experiment.lab.topology is None:
        return default_topology()
    return read_topology_file(Path(experiment.lab.topology))
