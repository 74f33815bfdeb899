"""Bringing a lab up.

The order is what was measured to be quickest (two cores, six nodes, median of several, before the nodes had a runtime
of their own): 8.5 s with everything but the controllers started at once; 4.8 s when the controllers' ServiceAccounts
are there before the controller manager asks for them (harness.lab.bootstrap); 4.4 s when the kubelets start only once
the API server answers, so that it has both cores until then. With the real runtime it is 5 to 6 s.

What did not pay: a copy of an initialised etcd (what is waited for is the API server's RBAC hook, which looks for the
first time after a second whatever it finds: pkg/registry/rbac/rest, PostStartHook); controllers started before that
(without their roles they end at once); a larger GOGC (70 MB more, no time less).
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from harness.errors import LabError, UsageError
from harness.files import write_whole
from harness.lab import (
    bootstrap,
    build,
    control,
    files,
    launch,
    namespace,
    nodes,
    packages,
    port_forwards,
    ready,
    state,
    teardown,
)
from harness.lab.api import MERGE_PATCH, Api
from harness.lab.build import Binaries
from harness.lab.control import Operation, Program, Run
from harness.lab.deadline import Deadline
from harness.lab.launch import Setting
from harness.lab.namespace import Maker
from harness.lab.packages import Tools
from harness.lab.processes import ProcessId, boot_id
from harness.lab.state import Condition, Record
from harness.lab.topology import Node
from harness.lab.trust import root_notice
from harness.lab.values import Lab, LabSpec
from harness.lab.view import lab_of

Report = Callable[[str], None]
"""Takes one line for a person; one that ends in a carriage return is progress, which the next line may overwrite."""

_SUPERVISOR_TIMEOUT_S = 20.0
_LOG_TAIL_LINES = 12


def up(spec: LabSpec, *, owner: ProcessId | None, report: Report) -> Lab:
    """Builds what is missing, starts a lab, and returns when every node is Ready and pods can be created.

    `owner`: a process whose death makes the lab an orphan, which the next `up` of any lab takes down; None: the lab
    stays until `down`. `report` gets lines for a person. UsageError when a lab of that name is up; LabError when the
    machine forbids namespaces, a component dies or the deadline passes (the logs then stay in the folder).
    """
    state.folder_of(spec.name)  # refuses a bad name before a long build
    if notice := root_notice():
        report(notice)
    maker = namespace.find_maker()
    with ThreadPoolExecutor(max_workers=1) as pool:  # packages are fetched while Go compiles
        fetched = pool.submit(
            packages.ensure, prometheus=spec.prometheus, with_prometheus=spec.with_prometheus, report=report
        )
        binaries = build.ensure(spec.kubernetes, named=spec.binaries, in_use=state.binaries_in_use(), report=report)
        tools = fetched.result()
    teardown.clean_orphans(report=report)
    with state.claim(spec.name):
        _make_room(spec.name, report=report)
        deadline = Deadline(spec.timeout_s)
        record = _record(spec, owner=owner, maker=maker, binaries=binaries, tools=tools)
        try:
            record = _start(spec, record, podinfo=binaries.podinfo, maker=maker, deadline=deadline)
        except BaseException:
            begun = state.read(spec.name)
            if begun is not None:
                teardown.end_processes(begun)
            raise
        if tools.why:
            report(f"no Prometheus in this lab: {tools.why}")
        report(
            f"lab {spec.name}: Kubernetes {record.kubernetes_version}, {len(record.nodes)} nodes Ready "
            f"in {deadline.spent_s:.1f} s"
        )
        return lab_of(record)


def _make_room(name: str, *, report: Report) -> None:
    """Clears what an earlier lab of the name left; UsageError when that lab is in use."""
    record = state.read(name)
    condition = record.condition if record is not None else Condition.DEAD
    if condition is Condition.UP:
        raise UsageError(f"lab {name!r} is up already: use it, or taintlab lab down --name {name}, or another --name")
    if record is not None:
        report(f"clearing what is left of an earlier lab {name!r}")
        teardown.end_processes(record)
    state.clear(name)


def _record(spec: LabSpec, *, owner: ProcessId | None, maker: Maker, binaries: Binaries, tools: Tools) -> Record:
    return Record(
        name=spec.name,
        id=uuid.uuid4().hex,
        kubernetes_version="",
        sockets=str(state.sockets_folder(spec.name)),
        boot=boot_id(),
        up=False,
        rootless=maker.rootless,
        supervisor=None,
        owner=owner,
        nodes=tuple(node.name for node in spec.topology.nodes),
        ports={},
        programs={
            "kubeplane": str(binaries.kubeplane),
            "noderuntime": str(binaries.noderuntime),
            "path": ":".join(map(str, tools.path)),
            "prometheus": str(tools.prometheus or ""),
            "prometheus_web": str(tools.prometheus_web or ""),
        },
        flags=tuple(f"{flag.component}={flag.text}" for flag in spec.flags),
    )


def _start(spec: LabSpec, record: Record, *, podinfo: Path, maker: Maker, deadline: Deadline) -> Record:
    """Files, supervisor, cluster; the record of the finished lab, on disk."""
    sockets = Path(record.sockets)
    setting = Setting.of(record)
    with port_forwards.open_socket() as api_socket, port_forwards.open_socket() as prometheus_socket:
        ports = {"api": port_forwards.port_of(api_socket), "prometheus": port_forwards.port_of(prometheus_socket)}
        record = replace(record, ports=ports)
        state.write(record)
        files.prepare(setting, spec.topology, sockets=sockets, podinfo=podinfo, api_port=ports["api"])
        forwards = launch.host_port_forwards(setting, api_port=ports["api"], prometheus_port=ports["prometheus"])
        supervisor = _supervise(
            setting,
            maker=maker,
            sockets=sockets,
            setup=launch.network_setup(setting, [node.index for node in spec.topology.nodes]),
            programs=[forwards, *launch.control_plane(setting)],
            fds={forwards.name: (api_socket.fileno(), prometheus_socket.fileno())},
        )
    record = replace(record, supervisor=supervisor)
    state.write(record)
    api = Api(setting.folder.kubeconfig)
    try:
        version = _bring_up(setting, spec, api=api, sockets=sockets, deadline=deadline)
    finally:
        api.close()
    record = replace(record, kubernetes_version=version, up=True)
    state.write(record)
    return record


def _supervise(
    setting: Setting,
    *,
    maker: Maker,
    sockets: Path,
    setup: list[str],
    programs: list[Program],
    fds: dict[str, tuple[int, ...]],
) -> ProcessId:
    """Starts the supervisor in a new namespace, on its own (no child of ours); its identity once it serves.

    `fds`: listening sockets that a program inherits, by the program's name.
    """
    folder = setting.folder.path
    launch_file = folder / "launch.json"
    content = {
        "socket": str(sockets / control.SOCKET_NAME),
        "setup": [setup],
        "programs": [control.program_to_json(program) for program in programs],
        "fds": fds,
    }
    write_whole(launch_file, json.dumps(content, indent=1).encode(), durable=False)
    read_end, write_end = os.pipe()
    argv = ["setsid", "--fork", *maker.argv, sys.executable, "-m", "harness.lab.supervisor", str(launch_file)]
    with (setting.folder.logs / "supervisor.log").open("ab") as log, os.fdopen(read_end, "rb") as answer:
        try:
            subprocess.run(
                [*argv, str(write_end)],
                cwd="/",
                env={**setting.env, **launch.python_env()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[write_end, *(fd for each in fds.values() for fd in each)],
                check=True,
            )
        finally:
            os.close(write_end)
        if not select.select([answer], [], [], _SUPERVISOR_TIMEOUT_S)[0]:
            raise LabError(f"the lab's supervisor did not start in {_SUPERVISOR_TIMEOUT_S:.0f} s: see {folder}/logs")
        said = json.loads(answer.read() or b"{}")
    if "pid" not in said:
        why = said.get("error") or _tail(setting.folder.logs / "supervisor.log")
        raise LabError(f"the lab's supervisor did not start: {why}")
    return ProcessId(pid=said["pid"], start_ticks=said["start_ticks"])


def _bring_up(setting: Setting, spec: LabSpec, *, api: Api, sockets: Path, deadline: Deadline) -> str:
    """Drives the cluster to readiness; the API server's version."""
    by_name: dict[str, Node] = {node.name: node for node in spec.topology.nodes}
    registered: list[str] = []

    def alive() -> None:
        for state_ in control.ask(sockets, Operation.STATUS):
            if state_.run is Run.DIED:
                tail = _tail(launch.log_file(setting.folder, state_.name))
                raise LabError(f"{state_.name} ended by itself ({state_.exit}); its last words:\n{tail}")

    def on_seen(name: str) -> None:
        if not registered:
            control.ask(sockets, Operation.START, programs=[launch.proxy(setting, name)])
        registered.append(name)
        api.request(
            "PATCH", f"{ready.NODES}/{name}", nodes.administrators_patch(by_name[name]), content_type=MERGE_PATCH
        )

    ready.api_answers(api, deadline=deadline, alive=alive)
    control.ask(sockets, Operation.START, programs=[each for name in by_name for each in launch.node(setting, name)])
    for item in bootstrap.controller_accounts():
        ready.created(api, item, deadline=deadline, alive=alive)
    ready.healthy(api, deadline=deadline, alive=alive)
    control.ask(sockets, Operation.START, programs=launch.controllers(setting))
    for item in bootstrap.objects(ca=(setting.folder.pki / "ca.crt").read_text()):
        ready.created(api, item, deadline=deadline, alive=alive)
    ready.nodes_ready(api, by_name, deadline=deadline, alive=alive, on_seen=on_seen)
    alive()  # what nodes do not need to be Ready may have ended as well
    control.ask(sockets, Operation.START, programs=launch.monitoring(setting))
    return str(api.request("GET", "/version")["gitVersion"])


def _tail(file: Path) -> str:
    """The last lines of a log."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return f"({file} cannot be read)"
    return "\n".join(f"    {line}" for line in lines[-_LOG_TAIL_LINES:]) or "    (it said nothing)"
