"""``taintlab plan``: what a taint policy would do to a cluster, before anything is touched."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.cli.options import add_where, where_of
from harness.cli.parser import verb_parser
from harness.clock import SystemClock
from harness.collector import no_cycle_collector
from harness.errors import ExitCode, UsageError
from harness.impact import EXPECTATIONS, RULES
from harness.impact.encode import plan_file as as_file
from harness.impact.request import PlanRequest, plan_policy
from harness.model.finding import Expectation
from harness.terminal import safe_json
from harness.wiring.planning import policy_faults, read_input, read_plans
from reports.plan_text import print_diff, print_plan

_WORDS = tuple(dict.fromkeys(rule.demanded_as for rule in RULES if rule.demanded_as is not None))


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(
        subparsers,
        "plan",
        description="Who would leave, when and why; where the replacements go; what breaks. Nothing is ever written.",
    )
    parser.add_argument("experiment", nargs="?", type=Path, metavar="EXPERIMENT", help="plan this experiment file")
    what = parser.add_argument_group("the policy, if it is not an experiment")
    what.add_argument("--nodes", default="", metavar="NODES", help="a label selector (pool=spot), or names with commas")
    what.add_argument("--taint", action="append", default=[], metavar="KEY=VALUE:EFFECT", help="may be repeated")
    for name, text in (
        ("cordon", "no new pods"),
        ("drain", "cordon, and evict as kubectl drain does"),
        ("lose-node", "power off"),
    ):
        what.add_argument(f"--{name}", nargs="?", const="", metavar="NODES", help=f"{text}; may name the nodes itself")
    what.add_argument(
        "--condition", action="append", default=[], metavar="TYPE[=STATUS]", help="MemoryPressure, Ready=False ..."
    )
    what.add_argument("--window", type=float, metavar="SECONDS", help="the nodes end that long after (spot: 120)")
    parser.add_argument("--world", type=Path, metavar="FILE", help="a file of taintlab snapshot, or a v1 List in JSON")
    add_where(parser)
    parser.add_argument(
        "--expect", action="append", default=[], metavar="WHAT", help=f"with commas: {', '.join(_WORDS)}"
    )
    parser.add_argument("--json", action="store_true", help="the whole plan as JSON (version 1)")
    parser.add_argument("--all", action="store_true", help="every finding and workload, not one screen of them")
    parser.add_argument("--diff", nargs=2, type=Path, metavar=("PLAN_A", "PLAN_B"), help="compare two --json plans")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Print the plan, or the difference of two; see the exit codes above."""
    if options.diff is not None:
        difference = read_plans(*options.diff)
        if options.json:
            _print_json(difference)
        else:
            print_diff(difference, everything=options.all)
        return int(ExitCode.PASS)
    expectations = _expectations(options.expect)
    asked = _asked(options)
    with no_cycle_collector():
        if options.experiment is not None:
            if asked != PlanRequest():
                raise UsageError("an experiment says itself what is done: leave --nodes, --taint and the like out")
            from harness.wiring.planning_experiments import plan_file  # the YAML side, which worlds do not need

            made = plan_file(options.experiment, where_of(options), options.world, expectations, clock=SystemClock())
            plan = asyncio.run(made)
        else:
            plan = plan_policy(
                asyncio.run(read_input(where_of(options), options.world, clock=SystemClock())), asked, expectations
            )
        if options.json:
            _print_json(as_file(plan))
        else:
            print_plan(plan, everything=options.all)
    return int(plan.exit_code)


def _print_json(value: object) -> None:
    print(safe_json(msgspec.json.encode(value).decode()), flush=True)


def _asked(options: argparse.Namespace) -> PlanRequest:
    flags = {name: getattr(options, name) for name in ("cordon", "drain", "lose_node")}
    named = [options.nodes, *(value for value in flags.values() if value)]
    nodes = sorted({name for name in named if name})
    if len(nodes) > 1:
        raise UsageError(f"the nodes are named twice, as {' and as '.join(nodes)}: name them once, with --nodes")
    faults = policy_faults(
        taints=options.taint,
        cordon=flags["cordon"] is not None,
        drain=flags["drain"] is not None,
        lose_node=flags["lose_node"] is not None,
        conditions=options.condition,
        window_s=options.window,
    )
    return PlanRequest(nodes[0] if nodes else "", faults)


def _expectations(texts: Sequence[str]) -> tuple[Expectation, ...]:
    words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
    unknown = [word for word in words if word not in EXPECTATIONS]
    if unknown:
        raise UsageError(f"--expect {', '.join(unknown)}: not known; there are: {', '.join(_WORDS)}")
    return tuple(EXPECTATIONS[word] for word in dict.fromkeys(words))
