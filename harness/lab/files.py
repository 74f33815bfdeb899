"""Writes every file that a lab's processes read, before any of them starts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from harness.files import write_whole
from harness.lab import flags, nodes, pki, programs, prometheus
from harness.lab.addresses import API_ADDRESS, API_PORT, CLUSTER_DOMAIN, DNS_ADDRESS
from harness.lab.hiding import of_machine
from harness.lab.launch import Setting
from harness.lab.pki import Authority
from harness.lab.topology import Node, Topology

INSIDE_SERVER = f"https://{API_ADDRESS}:{API_PORT}"


def prepare(setting: Setting, topology: Topology, *, sockets: Path, podinfo: Path, api_port: int) -> None:
    """Certificates, kubeconfigs, node files and the settings of all components, into the lab's folder.

    `api_port`: the API server's port on the host's 127.0.0.1, which the administrator's kubeconfig names.
    """
    folder = setting.folder
    for place in (folder.logs, folder.bin, folder.discovered, folder.path / "tmp", folder.path / "etcd"):
        place.mkdir(mode=0o700, exist_ok=True)
    authority = pki.make(folder.pki, inside_server=INSIDE_SERVER)
    authority.write_kubeconfig(folder.kubeconfig, identity=pki.ADMIN, server=f"https://127.0.0.1:{api_port}")
    table = programs.table(podinfo=podinfo, extra=topology.programs)
    _write(folder.programs, json.dumps(table, indent=1))
    _write(folder.path / "audit-policy.yaml", flags.AUDIT_POLICY)
    _write(folder.path / "prometheus.yml", prometheus.config(pki=folder.pki, discovered=folder.discovered))
    search = f"default.svc.{CLUSTER_DOMAIN} svc.{CLUSTER_DOMAIN} {CLUSTER_DOMAIN}"
    _write(folder.resolv_conf, f"nameserver {DNS_ADDRESS}\nsearch {search}\noptions ndots:5\n", mode=0o644)
    kubectl = f'#!/bin/sh\nexec {shlex.quote(str(setting.kubeplane))} kubectl "$@"\n'
    _write(folder.bin / "kubectl", kubectl, mode=0o755)
    prepare_nodes(setting, topology.nodes, sockets=sockets, authority=authority)


def prepare_nodes(setting: Setting, new: Sequence[Node], *, sockets: Path, authority: Authority) -> None:
    """Each node's folder, kubeconfig and node.json. The programs table is there already."""
    hiding = of_machine(sockets=sockets, programs=json.loads(setting.folder.programs.read_text()))
    for node in new:
        root = setting.folder.node(node.name)
        root.mkdir(parents=True, mode=0o700, exist_ok=True)
        known_as = nodes.root_of(node, folder=setting.folder, sockets=sockets)
        if known_as != root:
            known_as.symlink_to(root)
        identity = pki.kubelet_identity(node.name)
        path = nodes.kubelet_kubeconfig(setting.folder, node.name)
        authority.write_kubeconfig(path, identity=identity, server=INSIDE_SERVER)
        content = nodes.node_file(node, folder=setting.folder, sockets=sockets, hiding=hiding)
        _write(root / "node.json", json.dumps(content, indent=1))


def _write(path: Path, content: str, *, mode: int = 0o600) -> None:
    write_whole(path, content.encode(), mode=mode, durable=False)
