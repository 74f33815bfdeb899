"""``taintlab lab``: the parsers of its verbs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import lab
from harness.cli import lab_handlers as handlers
from harness.cli.parser import Parser, lab_menu, verb_parser
from harness.cli.verbs import LAB_VERBS
from harness.errors import ExitCode
from harness.lab.node_pressure import NODE_SIGNALS, POD_FIGURES

_COMPONENTS = ", ".join(lab.Component)
_OLD_ACTIONS = {"freeze": lab.NodeAction.PAUSE, "thaw": lab.NodeAction.RESUME}
_OLD_COMPONENTS = {"doors": lab.Component.PORT_FORWARDS}
_Verbs = Any
"""What `add_subparsers` returns; its type has no public name."""


def add_parser(subparsers: Any) -> None:
    """Registers the verb with all its own verbs; each sets `handler`, a function of the parsed arguments."""
    parser = verb_parser(subparsers, "lab")
    parser.menu = lab_menu()

    def without_verb(_: argparse.Namespace) -> int:
        parser.print_help()
        return int(ExitCode.USAGE)

    parser.set_defaults(handler=without_verb)
    verbs = parser.add_subparsers(dest="lab_verb", metavar="VERB", parser_class=_Parser)
    _add_start(verbs)
    _add_readers(verbs)
    _add_faults(verbs)


class _Parser(Parser):
    """Takes the figures of `pressure` wherever they stand: argparse alone (before 3.13) ends a list at the first
    option.
    """

    def take(self, parsed: argparse.Namespace, left: list[str]) -> list[str]:
        """Words that are left over and hold ``=`` go on filling `figures`."""
        figures = getattr(parsed, "figures", None)
        if figures is None:
            return left
        more = [word for word in left if "=" in word and not word.startswith("-")]
        parsed.figures = [*figures, *more]
        return [word for word in left if word not in more]


def _verb(
    verbs: _Verbs, name: str, handler: Callable[[argparse.Namespace], int], *, alias: str = "", described: str = ""
) -> _Parser:
    parser: _Parser = verb_parser(verbs, name, table=LAB_VERBS, alias=alias, description=described)
    parser.add_argument("--name", default="default", help="which lab (default: %(default)s)")
    parser.set_defaults(handler=handler)
    return parser


def _add_start(verbs: _Verbs) -> None:
    up = _verb(
        verbs, "up", handlers.up, described="Start a lab. Returns when all nodes are Ready and pods can be created."
    )
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
    status = _verb(verbs, "status", handlers.status)
    status.add_argument("--json", action="store_true", help="one JSON object on stdout")
    listing = verb_parser(verbs, "list", table=LAB_VERBS)
    listing.add_argument("--json", action="store_true", help="a JSON list on stdout")
    listing.set_defaults(handler=handlers.listing)
    down = _verb(verbs, "down", handlers.down)
    down.add_argument("--keep-logs", action="store_true", help="leave its logs and its audit log in its folder")


def _add_readers(verbs: _Verbs) -> None:
    _verb(verbs, "kubeconfig", handlers.kubeconfig)
    run = _verb(verbs, "exec", handlers.execute)
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command and its arguments")
    logs = _verb(verbs, "logs", handlers.logs)
    logs.add_argument(
        "component",
        type=_component,
        metavar="COMPONENT",
        help=f"audit, supervisor, kubelet/NODE or one of {_COMPONENTS}",
    )
    logs.add_argument("--follow", "-f", action="store_true", help="and go on as it grows")
    for alias in ("", "door"):
        forward = _verb(
            verbs,
            "port-forward",
            handlers.port_forward,
            alias=alias,
            described="Print a 127.0.0.1 URL that leads to a Service, good until the lab goes down.",
        )
        forward.add_argument("target", metavar="SERVICE[.NAMESPACE]:PORT", help="the port by its number or its name")


def _add_faults(verbs: _Verbs) -> None:
    for alias in ("", "dial"):
        _add_pressure(verbs, alias)
    node = _verb(
        verbs,
        "node",
        handlers.node,
        described="Kill a node (SIGKILL to its kubelet, its runtime and every container: power loss), start it again, "
        "pause it (SIGSTOP to all of them), resume it (SIGCONT), or add one.",
    )
    actions = [*map(str, lab.NodeAction), "add"]
    node.add_argument("action", type=_action, choices=actions, metavar="ACTION", help=", ".join(actions))
    node.add_argument("node", metavar="NODE", help="its name")
    node.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="of a node that is added")
    node.add_argument(
        "--taint", action="append", default=[], metavar="KEY=VALUE:EFFECT", help="of a node that is added"
    )
    for name, handler in (("restart", handlers.restart), ("kill", handlers.kill)):
        parser = _verb(verbs, name, handler)
        parser.add_argument(
            "component", type=_component, metavar="COMPONENT", help=f"kubelet/NODE or one of {_COMPONENTS}"
        )


def _add_pressure(verbs: _Verbs, alias: str) -> None:
    pressure = _verb(
        verbs,
        "pressure",
        handlers.pressure,
        alias=alias,
        described="Set what a node's kubelet believes of its free memory, disk and pids, from its next look on. What "
        "is not set is what is really used.",
    )
    pressure.add_argument("node", metavar="NODE", help="its name")
    pressure.add_argument(
        "figures",
        nargs="*",
        metavar="FIGURE=QUANTITY",
        help=f"of the node: {', '.join(NODE_SIGNALS)}; with --pod: {', '.join(POD_FIGURES)}",
    )
    pressure.add_argument("--pod", metavar="NAMESPACE/NAME", help="a pod's figures instead of the node's")
    pressure.add_argument("--reset", action="store_true", help="back to what is really used (with --pod: by that pod)")


def _action(word: str) -> str:
    """What can be done to a node, under its old names too."""
    return _OLD_ACTIONS.get(word, word)


def _component(word: str) -> str:
    """A component's name, under its old name too."""
    return _OLD_COMPONENTS.get(word, word)
