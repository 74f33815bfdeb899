"""The embedded lab: a real Kubernetes without containers, in one private network namespace.

::

    from harness import lab
    spec = lab.LabSpec(name="try", topology=lab.plain_topology(3))
    running = lab.up(spec, owner=lab.this_process(), report=print)
    lab.pressure(running, "node-1", {"memory.available": "50Mi"})
    lab.down(running)

`up` returns when every node is Ready and pods can be created. A `Lab` is a plain value: its kubeconfig, its audit log,
its Prometheus, and an argv that runs a program inside its network. Everything else is done to it by the functions
here. What goes wrong is a LabError (exit code 3), or a UsageError (2) for what cannot be meant.

The parts: topology, flags, pki, programs, nodes, node_pressure, port_forwards, bootstrap (what to run, as pure
functions and files) · build, toolchain, packages, manifest, cache (the programs) · hiding, trust (what pods do not see,
and what is said about it) · start, ready (coming up) · supervisor, control (the one process that stays, and how it is
asked) · operate, view, teardown (afterwards) · plane/ (the Go side: kubelet, runtime, network).

The names below are imported when they are first used: the supervisor, a module of this package that lives as long as
its lab, then needs neither YAML nor certificates (15 MB instead of 45, and a tenth of a second less at each start).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.lab.flags import parse_flag
    from harness.lab.operate import add_node, kill, logs_of, node, port_forward, pressure, restart
    from harness.lab.processes import ProcessId, this_process
    from harness.lab.start import Report, up
    from harness.lab.state import Condition
    from harness.lab.teardown import down, down_named
    from harness.lab.topology import Node, Topology, default_topology, plain_topology, read_topology, read_topology_file
    from harness.lab.trust import root_notice
    from harness.lab.values import FLAGGABLE, Component, Flag, Lab, LabSpec, NodeAction
    from harness.lab.view import Row, Status, find, get, listing, status

_HOMES = {
    "flags": ("parse_flag",),
    "operate": ("add_node", "kill", "logs_of", "node", "port_forward", "pressure", "restart"),
    "processes": ("ProcessId", "this_process"),
    "start": ("Report", "up"),
    "state": ("Condition",),
    "teardown": ("down", "down_named"),
    "topology": ("Node", "Topology", "default_topology", "plain_topology", "read_topology", "read_topology_file"),
    "trust": ("root_notice",),
    "values": ("FLAGGABLE", "Component", "Flag", "Lab", "LabSpec", "NodeAction"),
    "view": ("Row", "Status", "find", "get", "listing", "status"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "FLAGGABLE",
    "Component",
    "Condition",
    "Flag",
    "Lab",
    "LabSpec",
    "Node",
    "NodeAction",
    "ProcessId",
    "Report",
    "Row",
    "Status",
    "Topology",
    "add_node",
    "default_topology",
    "down",
    "down_named",
    "find",
    "get",
    "kill",
    "listing",
    "logs_of",
    "node",
    "parse_flag",
    "plain_topology",
    "port_forward",
    "pressure",
    "read_topology",
    "read_topology_file",
    "restart",
    "root_notice",
    "status",
    "this_process",
    "up",
]


def __getattr__(name: str) -> Any:
    """The public names, from the modules that they live in."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
