"""How often an ordinary run is spoilt by a gate of ours: many short runs on real control planes, on a busy machine.

    python -m tests.benchmarks.bench_false_alarms --runs 50 --labs 2 --busy 2

`--labs` runs go on at once, each on a lab of its own, beside `--busy` processes that only burn a core. Prints a line
for each run and a summary: verdicts, and for every run that is not a PASS its reason.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness import lab as labs
from tests.lab.cli import taintlab
from tests.lab.experiments import web

PHASES = {"warmup": "1s", "baseline": "4s", "fault": "5s", "recovery": "6s"}
GRACE = {"key": "taintlab.test/spot", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3}


def one(lab: str, number: int, folder: Path) -> dict[str, Any]:
    """An ordinary run; every other one has pods that stay for three of the fault's five seconds. A pod that comes back
    to the node after its eviction is then due after the heal, not about then, where nobody could say what must happen.
    """
    place = folder / f"{lab}-{number}"
    place.mkdir()
    made = web(f"ordinary-{number}", phases=PHASES)
    if number % 2:
        made.objects[0]["spec"]["template"]["spec"]["tolerations"] = [GRACE]
    ended = taintlab("run", made.write(place), "--lab", lab, "--out", place / "run")
    try:
        result: dict[str, Any] = json.loads((place / "run" / "result.json").read_text())
    except OSError:
        return {"verdict": "none", "exit_code": ended.code, "reason": ended.err.strip()[-300:], "events": []}
    return result


def series(lab: str, count: int, folder: Path) -> list[dict[str, Any]]:
    """One run after the other on one lab."""
    found = []
    for number in range(count):
        began_s = time.monotonic()
        result = one(lab, number, folder)
        gaps = sum(event["kind"] == "gap" for event in result["events"])
        took_s = time.monotonic() - began_s
        print(
            f"{lab} {number:3} {result['verdict']:13} {took_s:5.1f} s, gaps {gaps}: {result['reason'][:120]}",
            flush=True,
        )
        found.append(result)
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--labs", type=int, default=2)
    parser.add_argument("--busy", type=int, default=2)
    options = parser.parse_args()
    names = [f"ordinary-{number}" for number in range(options.labs)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in names:
            labs.up(labs.LabSpec(name=name), owner=labs.this_process(), report=lambda _: None)
            stack.callback(labs.down_named, name)
        for _ in range(options.busy):
            burning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(burning.wait)
            stack.callback(burning.kill)
        with ThreadPoolExecutor(len(names)) as threads:
            shares = [options.runs // len(names) + (i < options.runs % len(names)) for i in range(len(names))]
            results = [r for some in threads.map(series, names, shares, [folder] * len(names)) for r in some]
    print(dict(Counter(result["verdict"] for result in results)))
    for result in results:
        if result["verdict"] != "PASS":
            print(f"  {result['verdict']} (exit {result['exit_code']}): {result['reason']}")


if __name__ == "__main__":
    main()
