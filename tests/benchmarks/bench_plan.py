"""How long a plan takes, and how much memory: ``python -m tests.benchmarks.bench_plan [--plain] [NODES/PODS ...]``.

Each size is a process of its own, as a user would start it: ``taintlab plan --world FILE --taint spot=true:NoExecute
--nodes pool=spot``, where pool spot is 30 % of the nodes. Seconds are wall and processor time of the whole process,
start of the interpreter included; memory is its peak. ``--plain`` plans on a plain v1 List of complete Nodes and Pods,
as kubectl prints it, instead of a snapshot. Worlds are generated (seed 1) and kept in a folder of their own meanwhile.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.worlds import write_kubectl_list, write_world

SIZES = ("500/15000", "5000/150000")
_REPEATS = 3
_KIB_PER_MIB = 1024


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    wall_s: float
    processor_s: float
    peak_mib: float
    summary: str


def measure(world: Path) -> Cost:
    """Plan once on `world`, in a process of its own."""
    command = [sys.executable, "-m", "harness.cli", "plan", "--world", str(world)]
    command += ["--taint", "spot=true:NoExecute", "--nodes", "pool=spot"]
    start_ns = time.monotonic_ns()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = (time.monotonic_ns() - start_ns) / 1e9
    assert process.returncode == 0, f"exit code {process.returncode}"
    return Cost(
        wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / _KIB_PER_MIB, lines[2] if len(lines) > 2 else ""
    )


def main() -> None:
    """Print one line for each size: the best of three runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", default=SIZES, metavar="NODES/PODS")
    parser.add_argument("--plain", action="store_true", help="plan on what kubectl prints")
    parser.add_argument("--folder", type=Path, help="keep the worlds here, and use those that are there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        for size in options.sizes:
            nodes, pods = map(int, size.split("/"))
            world = (
                folder / f"{'list' if options.plain else 'world'}-{nodes}-{pods}.json{'' if options.plain else '.gz'}"
            )
            if not world.exists():
                make = write_kubectl_list if options.plain else write_world
                make(world, nodes=nodes, pods=pods)
            costs = [measure(world) for _ in range(_REPEATS)]
            best = min(costs, key=lambda cost: cost.wall_s)
            print(
                f"{nodes:>6,} nodes {pods:>8,} pods ({world.stat().st_size / 2**20:7.1f} MiB file): "
                f"{best.wall_s:6.2f} s wall, {best.processor_s:6.2f} s processor, {best.peak_mib:6.0f} MiB peak"
            )
            print(f"       {best.summary}")


if __name__ == "__main__":
    main()
