"""Every process of a lab, as the supervisor is told to run it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import harness
from harness.lab import flags, port_forwards, prometheus
from harness.lab.addresses import API_ADDRESS, API_PORT, PROMETHEUS_PORT, node_ip
from harness.lab.control import Program
from harness.lab.processes import LAB_VARIABLE
from harness.lab.state import Folder, Record, folder_of
from harness.lab.values import Component, Flag

SEPARATOR = "/"
"""Between component and node in a program's name: ``kubelet/spot-1``."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all processes of one lab have in common.

    `path`: folders that go first on their PATH (nft). `prometheus`: its program, None for a lab without;
    `prometheus_web`: its page files.
    """

    lab_id: str
    folder: Folder
    sockets: Path
    kubeplane: Path
    noderuntime: Path
    path: tuple[Path, ...]
    prometheus: Path | None
    prometheus_web: Path | None
    user_flags: tuple[Flag, ...]

    @staticmethod
    def of(record: Record) -> Setting:
        """The setting of a lab that has been started."""

        def path(key: str) -> Path | None:
            return Path(record.programs[key]) if record.programs.get(key) else None

        return Setting(
            lab_id=record.id,
            folder=folder_of(record.name),
            sockets=Path(record.sockets),
            kubeplane=Path(record.programs["kubeplane"]),
            noderuntime=Path(record.programs["noderuntime"]),
            path=tuple(Path(each) for each in record.programs["path"].split(":") if each),
            prometheus=path("prometheus"),
            prometheus_web=path("prometheus_web"),
            user_flags=tuple(flags.parse_flag(each) for each in record.flags),
        )

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of a component: nothing of the user's own leaks in."""
        path = [*map(str, self.path), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        return {
            "PATH": ":".join(path),
            "HOME": str(self.folder.path),
            "TMPDIR": str(self.folder.path / "tmp"),
            LAB_VARIABLE: self.lab_id,
        }

    @property
    def paths(self) -> flags.Paths:
        """The files that the components' command lines name."""
        return flags.Paths(
            kubeplane=self.kubeplane,
            pki=self.folder.pki,
            etcd_data=self.folder.path / "etcd",
            sockets=self.sockets,
            audit_policy=self.folder.path / "audit-policy.yaml",
            audit_log=self.folder.audit_log,
        )


def on_node(component: Component, node: str) -> str:
    """The program name of a node's kubelet or runtime."""
    return f"{component}{SEPARATOR}{node}"


def log_file(folder: Folder, name: str) -> Path:
    """The log of the program called `name`."""
    return folder.logs / f"{name.replace(SEPARATOR, '-')}.log"


def network_setup(setting: Setting, indices: Sequence[int]) -> list[str]:
    """The command that gives the namespace its addresses; `indices` of all nodes."""
    ips = [API_ADDRESS, "172.30.0.2", *(node_ip(index) for index in indices)]
    return [str(setting.noderuntime), "network", "up", "--node-ips", ",".join(ips)]


def control_plane(setting: Setting) -> list[Program]:
    """etcd and the API server."""
    paths, user = setting.paths, setting.user_flags
    return [
        _program(setting, Component.ETCD, flags.etcd(paths, user)),
        _program(setting, Component.API_SERVER, flags.api_server(paths, user)),
    ]


def controllers(setting: Setting) -> list[Program]:
    """What works against a healthy API server."""
    paths, user = setting.paths, setting.user_flags
    return [
        _program(setting, Component.CONTROLLER_MANAGER, flags.controller_manager(paths, user)),
        _program(setting, Component.SCHEDULER, flags.scheduler(paths, user)),
        _program(setting, Component.DNS, flags.dns(paths)),
    ]


def node(setting: Setting, name: str) -> list[Program]:
    """A node's two processes, each in the node's own folder (a kubelet's clean-up globs its working directory)."""
    root = setting.folder.node(name)
    file = root / "node.json"
    runtime = (str(setting.noderuntime), "serve", "--node", str(file))
    kubelet = flags.kubelet(setting.kubeplane, file, setting.user_flags)
    return [
        _program(setting, on_node(Component.RUNTIME, name), runtime, cwd=root),
        _program(setting, on_node(Component.KUBELET, name), kubelet, cwd=root),
    ]


def proxy(setting: Setting, node_name: str) -> Program:
    """kube-proxy, once `node_name` is registered."""
    return _program(setting, Component.PROXY, flags.proxy(setting.paths, setting.user_flags, node=node_name))


def monitoring(setting: Setting) -> list[Program]:
    """Prometheus, and what tells it its targets; nothing in a lab without."""
    if setting.prometheus is None:
        return []
    folder = setting.folder
    server = prometheus.command(
        setting.prometheus,
        config_file=folder.path / "prometheus.yml",
        data=folder.path / "prometheus",
        web=setting.prometheus_web,
    )
    finder = ("-m", "harness.lab.discovery", f"{folder.pki}/prometheus.kubeconfig", str(folder.discovered))
    discovery = _program(setting, Component.DISCOVERY, (sys.executable, *finder))
    return [
        _program(setting, Component.PROMETHEUS, server),
        replace(discovery, env={**setting.env, **python_env()}),
    ]


def python_env() -> dict[str, str]:
    """What a Python of ours needs to find this package, installed or not."""
    root = str(Path(harness.__file__).parent.parent)
    return {"PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}


def host_port_forwards(setting: Setting, *, api_port: int, prometheus_port: int) -> Program:
    """The port-forwards that every lab has."""
    leads = {api_port: f"{API_ADDRESS}:{API_PORT}", prometheus_port: f"{API_ADDRESS}:{PROMETHEUS_PORT}"}
    return port_forwards.program(
        setting.noderuntime, name=Component.PORT_FORWARDS, forwards=leads, folder=setting.folder.path, env=setting.env
    )


def _program(setting: Setting, name: str, argv: tuple[str, ...], *, cwd: Path | None = None) -> Program:
    return Program(
        name=str(name),
        argv=argv,
        cwd=str(cwd or setting.folder.path),
        log=str(log_file(setting.folder, name)),
        env=setting.env,
    )
