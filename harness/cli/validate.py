"""``taintlab validate FILE…``: everything that is wrong with experiment files, or what each of them would do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness.cli.parser import verb_parser
from harness.errors import ExitCode, InvalidFile, Problem, shown
from harness.formats.values import format_rate
from harness.model.experiment import Experiment
from harness.terminal import json_text, one_line
from harness.wiring.experiments import Examined, examine, experiment_files


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(
        subparsers,
        "validate",
        description="Check experiment files and the manifests they name, without a cluster. A folder stands for the "
        "experiments in it. Exit 0: all are valid. Exit 2: each problem is printed as file:line:column: what (fix).",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="an experiment file, or a folder of them")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Print what was found to standard output; ExitCode.PASS or ExitCode.USAGE."""
    found = [one for path in options.files for one in _examine(Path(path))]
    if options.json:
        whole = {"version": 1, "valid": _all_valid(found), "files": [_to_json(one) for one in found]}
        print(json_text(whole, indent=1))
    else:
        for one in found:
            for line in _lines(one):
                print(line)
    return int(ExitCode.PASS if _all_valid(found) else ExitCode.USAGE)


def _examine(path: Path) -> list[Examined]:
    """One file, or all experiments of a folder; a folder without any counts as a file with that problem."""
    try:
        return [examine(file) for file in experiment_files([path])]
    except InvalidFile as error:
        return [Examined(path, None, error.problems)]


def _all_valid(found: list[Examined]) -> bool:
    return all(one.experiment is not None for one in found)


def _lines(one: Examined) -> list[str]:
    if one.experiment is None:
        return shown(one.problems)
    return [one_line(f"ok {one.file}: {summary(one.experiment)}")]


def summary(experiment: Experiment) -> str:
    """What it would do, in a few words: ``web, 2 objects, load 100/s, 75 s``."""
    count = len(experiment.workload)
    objects = "1 object" if count == 1 else f"{count} objects"
    load = f"load {format_rate(experiment.load.rate_per_s)}" if experiment.load else "no load"
    return f"{experiment.name}, {objects}, {load}, {experiment.phases.total_s:g} s"


def _to_json(one: Examined) -> dict[str, Any]:
    out: dict[str, Any] = {"file": str(one.file), "valid": one.experiment is not None}
    if one.experiment is not None:
        load = one.experiment.load
        out |= {
            "name": one.experiment.name,
            "objects": len(one.experiment.workload),
            "rate_per_s": load.rate_per_s if load else None,
            "total_s": one.experiment.phases.total_s,
        }
    return out | {"problems": [_problem_to_json(problem) for problem in one.problems]}


def _problem_to_json(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
        "fix": problem.fix,
    }
