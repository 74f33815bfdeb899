"""``taintlab lab``: the embedded lab, up, down and everything in between."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import lab
from harness.errors import ExitCode, UsageError
from harness.lab.dials import NODE_SIGNALS, POD_FIGURES
from harness.lab.progress import Progress
from harness.lab.topology import parse_taint

_COMPONENTS = ", ".join(lab.Component)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Registers the verb with all its own verbs; each sets `handler`, a function of the parsed arguments."""
    parser = subparsers.add_parser(
        "lab", help="a real Kubernetes on this machine, without containers", description=__doc__
    )
    verbs = parser.add_subparsers(dest="lab_verb", required=True, metavar="VERB", parser_class=_Parser)
    _add_up(verbs)
    _add_readers(verbs)
    _add_deeds(verbs)


class _Parser(argparse.ArgumentParser):
    """Takes the figures of `dial` wherever they stand: argparse alone (before 3.13) ends a list at the first option."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As upstream, but words that are left over and hold ``=`` go on filling `figures`."""
        parsed, left = super().parse_known_args(args, namespace)
        figures = getattr(parsed, "figures", None)
        if figures is None:
            return parsed, left
        more = [word for word in left if "=" in word and not word.startswith("-")]
        parsed.figures = [*figures, *more]
        return parsed, [word for word in left if word not in more]


def _verb(
    verbs: argparse._SubParsersAction[_Parser],
    name: str,
    handler: Callable[[argparse.Namespace], int],
    text: str,
) -> _Parser:
    parser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("--name", default="default", help="which lab (default: %(default)s)")
    parser.set_defaults(handler=handler)
    return parser


def _add_up(verbs: argparse._SubParsersAction[_Parser]) -> None:
    up = _verb(verbs, "up", _up, "start a lab; returns when all nodes are Ready and pods can be created")
    up.add_argument("--kubernetes", metavar="1.35", help="Kubernetes version, minor or full (default: the lab's own)")
    size = up.add_mutually_exclusive_group()
    size.add_argument("--topology", type=Path, metavar="FILE", help="nodes, capacities and programs, as YAML")
    size.add_argument("--nodes", type=int, metavar="K", help="K plain nodes: node-1, node-2, ...")
    up.add_argument(
        "--flag",
        action="append",
        default=[],
        metavar="COMPONENT=--flag=value",
        help=f"an extra flag for one of {', '.join(lab.FLAGGABLE)}; replaces ours of the same name; may be repeated",
    )
    up.add_argument("--binaries", type=Path, metavar="DIR", help="use the programs in DIR instead of building them")
    up.add_argument("--prometheus", type=Path, metavar="PROGRAM", help="use this Prometheus")
    up.add_argument("--no-prometheus", action="store_true", help="run the lab without Prometheus")
    up.add_argument(
        "--timeout", type=float, default=90.0, metavar="S", help="wait this long for Ready nodes (default: %(default)s)"
    )


def _add_readers(verbs: argparse._SubParsersAction[_Parser]) -> None:
    status = _verb(verbs, "status", _status, "show a lab's components and nodes; exit 3 when one of them is not well")
    status.add_argument("--json", action="store_true")
    listing = verbs.add_parser("list", help="show all labs of this user")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(handler=_list)
    _verb(verbs, "kubeconfig", _kubeconfig, "print the path of a kubeconfig that works from the host and inside")
    logs = _verb(verbs, "logs", _logs, "print the log of a component (of a dead lab too)")
    logs.add_argument("component", metavar="COMPONENT", help=f"audit, supervisor, kubelet/NODE or one of {_COMPONENTS}")
    logs.add_argument("--follow", "-f", action="store_true", help="and go on as it grows")


def _add_deeds(verbs: argparse._SubParsersAction[_Parser]) -> None:
    run = _verb(verbs, "exec", _exec, "run a command inside the lab's network; exits with its status")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD")
    dial = _verb(verbs, "dial", _dial, "set what a node's kubelet believes")
    dial.add_argument("node", metavar="NODE")
    dial.add_argument(
        "figures",
        nargs="*",
        metavar="FIGURE=QUANTITY",
        help=f"of the node: {', '.join(NODE_SIGNALS)}; with --pod: {', '.join(POD_FIGURES)}",
    )
    dial.add_argument("--pod", metavar="NAMESPACE/NAME", help="a pod's figures instead of the node's")
    dial.add_argument("--reset", action="store_true", help="take the figures off again (with --pod: that pod's)")
    node = _verb(verbs, "node", _node, "take a node's power, give it back, freeze it, thaw it, or add one")
    node.add_argument("action", choices=[*lab.NodeAction, "add"])
    node.add_argument("node", metavar="NODE")
    node.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="of a node that is added")
    node.add_argument(
        "--taint", action="append", default=[], metavar="KEY=VALUE:EFFECT", help="of a node that is added"
    )
    for name, handler, text in (
        ("restart", _restart, "kill a component (SIGKILL) and start it again"),
        ("kill", _kill, "kill a component (SIGKILL); it stays down until it is restarted"),
    ):
        parser = _verb(verbs, name, handler, text)
        parser.add_argument("component", metavar="COMPONENT", help=f"kubelet/NODE or one of {_COMPONENTS}")
    door = _verb(verbs, "door", _door, "print a 127.0.0.1 URL that leads to a Service until the lab goes down")
    door.add_argument("target", metavar="SERVICE[.NAMESPACE]:PORT")
    down = _verb(verbs, "down", _down, "end a lab and delete its files")
    down.add_argument("--keep-logs", action="store_true", help="leave its logs and its audit log in its folder")


def _up(args: argparse.Namespace) -> int:
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


def _status(args: argparse.Namespace) -> int:
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


def _list(args: argparse.Namespace) -> int:
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


def _kubeconfig(args: argparse.Namespace) -> int:
    print(lab.get(args.name).kubeconfig)
    return ExitCode.PASS


def _logs(args: argparse.Namespace) -> int:
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


def _exec(args: argparse.Namespace) -> int:
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


def _dial(args: argparse.Namespace) -> int:
    if args.reset == bool(args.figures):
        raise UsageError("either figures (memory.available=200Mi) or --reset")
    figures: dict[str, str] = {}
    for text in args.figures:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{text!r}: write FIGURE=QUANTITY, for example memory.available=200Mi")
        figures[key] = value
    lab.dial(lab.get(args.name), args.node, None if args.reset else figures, pod=args.pod)
    return ExitCode.PASS


def _node(args: argparse.Namespace) -> int:
    running = lab.get(args.name)
    if args.action != "add":
        if args.label or args.taint:
            raise UsageError("--label and --taint are for `node add`")
        lab.node(running, args.node, lab.NodeAction(args.action))
        return ExitCode.PASS
    labels = dict(text.partition("=")[::2] for text in args.label)
    try:
        taints = tuple(parse_taint(text) for text in args.taint)
    except ValueError as error:
        raise UsageError(str(error)) from error
    lab.add_node(running, lab.Node(name=args.node, index=0, labels=labels, taints=taints))
    return ExitCode.PASS


def _restart(args: argparse.Namespace) -> int:
    lab.restart(lab.get(args.name), args.component)
    return ExitCode.PASS


def _kill(args: argparse.Namespace) -> int:
    lab.kill(lab.get(args.name), args.component)
    return ExitCode.PASS


def _door(args: argparse.Namespace) -> int:
    print(lab.open_door(lab.get(args.name), args.target))
    return ExitCode.PASS


def _down(args: argparse.Namespace) -> int:
    """A lab that is not there is down already."""
    lab.down_named(args.name, keep_logs=args.keep_logs)
    return ExitCode.PASS
