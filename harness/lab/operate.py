"""What can be done to a lab that is up."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from harness.errors import LabError, UsageError
from harness.files import write_whole
from harness.lab import addresses, control, files, launch, nodes, port_forwards, ready, state
from harness.lab.api import MERGE_PATCH, Api, ApiRefused
from harness.lab.control import Operation, Run
from harness.lab.deadline import Deadline
from harness.lab.launch import Setting
from harness.lab.node_pressure import merged, parse_figures
from harness.lab.pki import Authority
from harness.lab.state import Record
from harness.lab.topology import Node
from harness.lab.values import Component, Lab, NodeAction
from harness.lab.view import record_of

_NODE_TIMEOUT_S = 30.0


def pressure(lab: Lab, node: str, figures: Mapping[str, str] | None, pod: str | None = None) -> None:
    """Sets what the node's kubelet believes from its next look on; returns when it is written.

    `figures`: signal -> quantity, added to those set before; None removes them again (those of `pod`, else all).
    Of a node: harness.lab.node_pressure.NODE_SIGNALS. With `pod` (NAMESPACE/NAME): POD_FIGURES. UsageError for others.
    """
    record = record_of(lab)
    _known_node(record, node)
    file = state.folder_of(lab.name).node(node) / "dials.json"
    try:
        present = json.loads(file.read_text())
    except FileNotFoundError:
        present = {}
    checked = None if figures is None else parse_figures(figures, pod=pod)
    content = merged(present, checked, pod=pod)
    write_whole(file, json.dumps(content, indent=1).encode(), durable=False)


def restart(lab: Lab, component: str) -> None:
    """SIGKILL to a component (harness.lab.values.Component, or kubelet/NODE) and a new start; kubelet: every node's."""
    _ask_about(lab, Operation.RESTART, component)


def kill(lab: Lab, component: str) -> None:
    """SIGKILL to a component; it stays down until it is restarted."""
    _ask_about(lab, Operation.KILL, component)


def node(lab: Lab, name: str, action: NodeAction) -> None:
    """Power loss, power back, pause or resume of a node; returns when the processes are gone, started, stopped."""
    record = record_of(lab)
    _known_node(record, name)
    operations = {
        NodeAction.KILL: Operation.KILL,
        NodeAction.START: Operation.START,
        NodeAction.PAUSE: Operation.PAUSE,
        NodeAction.RESUME: Operation.RESUME,
    }
    # The kubelet first: paused or killed after its runtime, it would see its containers go.
    names = [launch.on_node(Component.KUBELET, name), launch.on_node(Component.RUNTIME, name)]
    if action in (NodeAction.START, NodeAction.RESUME):
        names.reverse()
    control.ask(Path(record.sockets), operations[action], names=names)


def add_node(lab: Lab, new: Node) -> None:
    """Starts one more node and returns when it is Ready. `new.index` does not count: the next free one is taken."""
    record = record_of(lab)
    if new.name in record.nodes:
        raise UsageError(f"lab {lab.name!r} has a node {new.name!r} already")
    if len(record.nodes) >= addresses.MAX_NODES:
        raise UsageError(f"a lab has at most {addresses.MAX_NODES} nodes")
    new = replace(new, index=len(record.nodes) + 1)
    setting = Setting.of(record)
    files.prepare_nodes(setting, [new], sockets=Path(record.sockets), authority=Authority(setting.folder.pki))
    command = [str(setting.noderuntime), "network", "add-ip", addresses.node_ip(new.index)]
    done = subprocess.run([*lab.namespace_prefix, *command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"the new node's address could not be added: {done.stderr.strip()}")
    state.write(replace(record, nodes=(*record.nodes, new.name)))
    control.ask(Path(record.sockets), Operation.START, programs=launch.node(setting, new.name))
    with closing(Api(lab.kubeconfig)) as api:

        def on_seen(name: str) -> None:
            patch = nodes.administrators_patch(new)
            api.request("PATCH", f"{ready.NODES}/{name}", patch, content_type=MERGE_PATCH)

        def alive() -> None:
            if gone := died(lab):
                raise LabError(f"node {new.name} cannot become Ready: {', '.join(gone)} ended by itself")

        ready.nodes_ready(api, [new.name], deadline=Deadline(_NODE_TIMEOUT_S), alive=alive, on_seen=on_seen)


def port_forward(lab: Lab, target: str) -> str:
    """A URL on 127.0.0.1 for ``SERVICE[.NAMESPACE]:PORT``, good on the host and inside until the lab goes down."""
    record = record_of(lab)
    service, namespace, port = port_forwards.parse_service(target)
    with closing(Api(lab.kubeconfig)) as api:
        try:
            found = api.request("GET", f"/api/v1/namespaces/{namespace}/services/{service}")
        except ApiRefused as refused:
            raise UsageError(f"no port-forward to {target}: {refused}") from refused
    address = port_forwards.service_target(found, port)
    setting = Setting.of(record)
    with port_forwards.open_socket() as listening:
        number = port_forwards.port_of(listening)
        name = f"port-forward/{service}.{namespace}:{port}@{number}"
        program = port_forwards.program(
            setting.noderuntime, name=name, forwards={number: address}, folder=setting.folder.path, env=setting.env
        )
        control.ask(Path(record.sockets), Operation.START, programs=[program], fds=[listening.fileno()])
    return f"http://127.0.0.1:{number}"


def logs_of(lab_name: str, component: str) -> list[Path]:
    """The log files of a component, whether the lab is up or dead; UsageError when there is none."""
    folder = state.folder_of(lab_name)
    if component == "audit":
        return [folder.audit_log]
    stem = component.replace(launch.SEPARATOR, "-")
    exact = folder.logs / f"{stem}.log"
    found = [exact] if exact.exists() else sorted(folder.logs.glob(f"{stem}-*.log"))
    if not found:
        there = ", ".join(sorted(file.stem for file in folder.logs.glob("*.log"))) or "none"
        raise UsageError(f"lab {lab_name!r} has no log of {component!r}; there are: audit, {there}")
    return found


def _ask_about(lab: Lab, operation: Operation, component: str) -> None:
    record = record_of(lab)
    sockets = Path(record.sockets)
    control.ask(sockets, operation, names=_programs_of(sockets, component))


def _programs_of(sockets: Path, component: str) -> Sequence[str]:
    """The supervisor's names for a component: itself, or one a node."""
    known = [each.name for each in control.ask(sockets, Operation.STATUS)]
    if component in known:
        return [component]
    below = [name for name in known if name.startswith(component + launch.SEPARATOR)]
    if below:
        return below
    raise UsageError(f"this lab has no {component!r}; it has: {', '.join(known)}")


def _known_node(record: Record, name: str) -> None:
    if name not in record.nodes:
        raise UsageError(f"lab {record.name!r} has no node {name!r}; it has: {', '.join(record.nodes)}")


def died(lab: Lab) -> list[str]:
    """The components that ended by themselves, with how: ``kube-scheduler (exit 1)``."""
    record = record_of(lab)
    states = control.ask(Path(record.sockets), Operation.STATUS)
    return [f"{each.name} ({each.exit})" for each in states if each.run is Run.DIED]
