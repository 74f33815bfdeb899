"""Port-forwards: sockets that listen on the host's 127.0.0.1 and lead into the lab's network.

A socket opened here keeps its network namespace when a process of another namespace inherits it: ``noderuntime door``
accepts on it outside and connects inside. The same port is opened inside as well, so that one URL holds on both sides.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.lab.control import Program

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""Names of Services, namespaces and ports: they become part of a path."""

INSIDE_HOST = "127.0.0.1"


def open_socket() -> socket.socket:
    """A socket that listens on a free port of the caller's 127.0.0.1."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind((INSIDE_HOST, 0))
    listening.listen(128)
    return listening


def port_of(listening: socket.socket) -> int:
    """The port that it listens on."""
    return int(listening.getsockname()[1])


def program(
    noderuntime: Path, *, name: str, forwards: Mapping[int, str], folder: Path, env: Mapping[str, str]
) -> Program:
    """The process behind `forwards`: port on 127.0.0.1 -> HOST:PORT inside. It inherits one listening socket for each
    port from outside, in this order, and gets one for each from inside.
    """
    argv = [str(noderuntime), "door"]
    for index, address in enumerate([*forwards.values(), *forwards.values()]):
        argv += ["--door", f"{{{index}}}={address}"]
    return Program(
        name=name,
        argv=tuple(argv),
        cwd=str(folder),
        log=str(folder / "logs" / f"{name.replace('/', '-')}.log"),
        env=env,
        mirror_ports=tuple(forwards),
    )


def parse_service(text: str) -> tuple[str, str, str]:
    """(service, namespace, port) of ``SERVICE[.NAMESPACE]:PORT``; the port is a number or a name."""
    left, colon, port = text.rpartition(":")
    service, _, namespace = left.partition(".")
    names = (service, namespace or "default", port)
    if not colon or not all(_LABEL.fullmatch(name) for name in names):
        raise UsageError(f"{text!r} names no port of a Service: write SERVICE:PORT or SERVICE.NAMESPACE:PORT")
    return service, namespace or "default", port


def service_target(service: Mapping[str, Any], port: str) -> str:
    """HOST:PORT behind a port (number or name) of a core/v1 Service object; UsageError when it has none such."""
    name = f"{service['metadata']['namespace']}/{service['metadata']['name']}"
    address = service["spec"].get("clusterIP") or "None"
    if address == "None":
        raise UsageError(f"Service {name} is headless: it has no address of its own; use `taintlab lab exec`")
    ports = service["spec"].get("ports") or []
    for each in ports:
        if port in (str(each["port"]), each.get("name")):
            return f"{address}:{each['port']}"
    known = ", ".join(str(each["port"]) for each in ports) or "none"
    raise UsageError(f"Service {name} has no port {port}; it has: {known}")
