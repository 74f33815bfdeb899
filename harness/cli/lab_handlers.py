"""What each verb of ``taintlab lab`` does: a function of the parsed arguments that returns the exit code."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import lab
from harness.errors import ExitCode, UsageError
from harness.lab.progress import Progress
from harness.lab.topology import parse_taint


def up(args: argparse.Namespace) -> int:
    """Starts the lab; the last lines tell what to do with it."""
    if args.topology is not None:
        topology = _read_topology(args.topology)
    else:
        topology = lab.default_topology() if args.nodes is None else lab.plain_topology(args.nodes)
    spec = lab.LabSpec(
        name=args.name,
        kubernetes=args.kubernetes,
        topology=topology,
        flags=tuple(lab.parse_flag(text) for text in args.flag),
        binaries=args.binaries,
        prometheus=args.prometheus,
        with_prometheus=not args.no_prometheus,
        timeout_s=args.timeout,
    )
    running = lab.up(spec, owner=None, report=Progress(sys.stderr))
    name = "" if args.name == "default" else f" --name {args.name}"
    print(f'export KUBECONFIG="$(taintlab lab kubeconfig{name})"')
    if running.prometheus_url:
        print(f"Prometheus: {running.prometheus_url}")
    print(f"taintlab lab down{name}")
    return ExitCode.PASS


def _read_topology(file: Path) -> lab.Topology:
    try:
        return lab.read_topology_file(file)
    except UsageError as error:
        raise UsageError(f"--topology {error}") from error


def status(args: argparse.Namespace) -> int:
    """0 when every component runs and every node is Ready, else 3."""
    running = lab.get(args.name)
    now = lab.status(running)
    well = not now.problem and all(each.run == "running" for each in now.components)
    well = well and all(state == "Ready" for state in now.nodes.values())
    if args.json:
        fields = dataclasses.asdict(now)
        print(json.dumps({"name": args.name, "kubernetes": running.kubernetes_version, "well": well, **fields}))
    else:
        print(f"lab {args.name}: {now.condition}, Kubernetes {running.kubernetes_version}, {running.folder}")
        for each in now.components:
            tail = f" ({each.exit})" if each.exit and each.run != "running" else f" pid {each.pid}"
            again = f", started {each.starts} times" if each.starts > 1 else ""
            print(f"  {each.name:34} {each.run}{tail}{again}")
        for name, state in now.nodes.items():
            print(f"  node {name:29} {state}")
        if now.problem:
            print(f"  {now.problem}")
    return ExitCode.PASS if well else ExitCode.INCONCLUSIVE


def listing(args: argparse.Namespace) -> int:
    """All labs, one a line, or a JSON list."""
    rows = lab.listing()
    if args.json:
        print(json.dumps([{**dataclasses.asdict(row), "folder": str(row.folder)} for row in rows]))
        return ExitCode.PASS
    for row in rows:
        owner = f"  owner {row.owner}" if row.owner else ""
        print(
            f"{row.name:20} {row.condition:9} {row.kubernetes_version:9} {len(row.nodes):3} nodes{owner}  {row.folder}"
        )
    return ExitCode.PASS


def kubeconfig(args: argparse.Namespace) -> int:
    """The path, alone on a line."""
    print(lab.get(args.name).kubeconfig)
    return ExitCode.PASS


def logs(args: argparse.Namespace) -> int:
    """The files as they are; several (one a node) with a heading each."""
    files = lab.logs_of(args.name, args.component)
    if args.follow:
        return subprocess.call(["tail", "-n", "+1", "-F", *map(str, files)])
    for file in files:
        if len(files) > 1:
            print(f"==> {file.name} <==", flush=True)
        with file.open("rb") as content:
            shutil.copyfileobj(content, sys.stdout.buffer)
    return ExitCode.PASS


def execute(args: argparse.Namespace) -> int:
    """The command's own exit status; 128 plus the signal's number when one ended it, as a shell says it."""
    command: Sequence[str] = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise UsageError("no command: taintlab lab exec --name NAME -- CMD ...")
    running = lab.get(args.name)
    with subprocess.Popen([*running.namespace_prefix, *command]) as process:
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:  # the terminal told the command as well: it decides
                continue
    return code if code >= 0 else 128 - code


def pressure(args: argparse.Namespace) -> int:
    """Figures or --reset, not both; UsageError for a figure that is not KEY=QUANTITY."""
    if args.reset == bool(args.figures):
        raise UsageError("either figures (memory.available=200Mi) or --reset")
    figures: dict[str, str] = {}
    for text in args.figures:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{text!r}: write FIGURE=QUANTITY, for example memory.available=200Mi")
        figures[key] = value
    lab.pressure(lab.get(args.name), args.node, None if args.reset else figures, pod=args.pod)
    return ExitCode.PASS


def node(args: argparse.Namespace) -> int:
    """One of lab.NodeAction, or `add`."""
    running = lab.get(args.name)
    if args.action != "add":
        if args.label or args.taint:
            raise UsageError("--label and --taint are for node add")
        lab.node(running, args.node, lab.NodeAction(args.action))
        return ExitCode.PASS
    labels = dict(text.partition("=")[::2] for text in args.label)
    try:
        taints = tuple(parse_taint(text) for text in args.taint)
    except ValueError as error:
        raise UsageError(str(error)) from error
    lab.add_node(running, lab.Node(name=args.node, index=0, labels=labels, taints=taints))
    return ExitCode.PASS


def restart(args: argparse.Namespace) -> int:
    """Returns when the new process is started."""
    lab.restart(lab.get(args.name), args.component)
    return ExitCode.PASS


def kill(args: argparse.Namespace) -> int:
    """Returns when the process is gone."""
    lab.kill(lab.get(args.name), args.component)
    return ExitCode.PASS


def port_forward(args: argparse.Namespace) -> int:
    """The URL, alone on a line."""
    print(lab.port_forward(lab.get(args.name), args.target))
    return ExitCode.PASS


def down(args: argparse.Namespace) -> int:
    """A lab that is not there is down already."""
    lab.down_named(args.name, keep_logs=args.keep_logs)
    return ExitCode.PASS
