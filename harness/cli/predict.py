"""``taintlab predict``: what a write script does to its pods, without a cluster."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.cli.parser import verb_parser
from harness.errors import ExitCode, InvalidFile, Problem, UsageError
from harness.formats.script import read_script, scripts_in
from harness.semantics.eviction import Forecast, Settings, predict, settings_for
from harness.semantics.eviction.cost import MAX_WORK, work
from harness.semantics.eviction.settings import DEFAULT_VERSION, Gate
from harness.terminal import json_text, one_line


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser = verb_parser(
        subparsers, "predict", description="Tell what a script of API writes does to its pods, without a cluster."
    )
    parser.add_argument("scripts", nargs="+", type=Path, metavar="SCRIPT", help="a file, or a folder of them")
    parser.add_argument(
        "--json",
        action="store_true",
        help='one object on stdout; for several scripts or a folder one object a line, each with "script"',
    )
    parser.add_argument("--kubernetes", default=DEFAULT_VERSION, metavar="VERSION", help="default: %(default)s")
    parser.add_argument("--kube-api-qps", type=float, metavar="N", help="of kube-controller-manager (default 20)")
    parser.add_argument("--kube-api-burst", type=int, metavar="N", help="of kube-controller-manager (default 30)")
    parser.add_argument(
        "--feature-gate", action="append", default=[], metavar="NAME", help=f"on everywhere; known: {', '.join(Gate)}"
    )
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """0 when every script could be read; 2 with every problem of every script otherwise."""
    settings = _settings(options)
    files = scripts_in(options.scripts)
    if not files:
        raise UsageError(f"{options.scripts[0]}: no .yaml, .yml or .json file in it")
    single = files == tuple(options.scripts) and len(files) == 1
    problems: list[Problem] = []
    for file in files:
        try:
            forecast = _forecast(file, settings)
        except InvalidFile as error:
            problems += error.problems
            continue
        if options.json:
            found = forecast.to_json()
            print(json_text(found if single else {"script": str(file)} | found, indent=1 if single else None))
        else:
            print(_table(forecast) if single else f"{one_line(file)}\n{_table(forecast)}\n")
    if problems:
        raise InvalidFile(problems)
    return int(ExitCode.PASS)


def _forecast(file: Path, settings: Settings) -> Forecast:
    """InvalidFile also for a script that would take too long."""
    scenario = read_script(file)
    needed = work(scenario, settings)
    if needed > MAX_WORK:
        words = f"this would take about {needed / MAX_WORK:,.0f} times as long as a script may"
        raise InvalidFile([Problem(str(file), 1, 1, words, "use fewer pods, writes, taints or restarts")])
    return predict(scenario, settings)


def _settings(options: argparse.Namespace) -> Settings:
    settings = settings_for(options.kubernetes)
    try:
        gates = frozenset(Gate(name) for name in options.feature_gate)
    except ValueError as error:
        raise UsageError(f"{error}: known gates: {', '.join(Gate)}") from error
    qps = settings.kcm_qps if options.kube_api_qps is None else options.kube_api_qps
    burst = settings.kcm_burst if options.kube_api_burst is None else options.kube_api_burst
    if qps <= 0 or burst < 1:
        raise UsageError("--kube-api-qps must be above 0 and --kube-api-burst at least 1")
    return replace(settings, gates=gates, api_gates=gates, kcm_qps=qps, kcm_burst=burst)


def _table(forecast: Forecast) -> str:
    """One line a pod: name, outcome, interval, rule, reason; then the writes that are refused."""
    rows = [("POD", "OUTCOME", "AT", "RULE", "BECAUSE")]
    for each in forecast.predictions:
        at = "" if each.earliest_s is None else f"{each.earliest_s:.2f}..{each.latest_s:.2f} s"
        rows.append((one_line(each.pod), str(each.outcome), at, str(each.rule), one_line(each.because)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows
    ]
    lines += [
        f"write {each.index} {'is' if each.certain else 'may be'} refused: {each.rule}" for each in forecast.refusals
    ]
    return "\n".join(lines)
