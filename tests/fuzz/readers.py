"""Hostile files through the real entry points: ``python -m tests.fuzz.readers --kind worlds --files 2000``.

Every file must end in an answer or in one message with the right exit code: no traceback, no "defect", nothing that
steers a terminal or commands CI, and no long wait. Seconds are the processor's, so that busy neighbours do not count.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from harness.cli import main as taintlab
from harness.cluster.undo import CLAIM_ANNOTATION, claim_of
from harness.errors import ClusterError, TaintlabError, told
from harness.faults.registry import UNDO
from harness.lab.topology import read_topology_file
from harness.terminal import clean, clean_output, one_line
from tests.fakes.memory import peak_kib
from tests.fuzz import seeds
from tests.fuzz.hostile import hostile, hostile_json

LIMIT_S = 5.0
_KIB_PER_MIB = 1024
POLICY = ("plan", "--taint", "spot=true:NoExecute", "--nodes", "a", "--world")

Case = tuple[int, str]
"""Exit code and everything that was printed."""


@dataclass
class Tally:
    """What came of the files of one kind."""

    kind: str
    cases: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)
    wrong_codes: list[str] = field(default_factory=list)
    steering: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slow: list[str] = field(default_factory=list)

    @property
    def bad(self) -> int:
        """How many findings there are."""
        return len(self.defects) + len(self.wrong_codes) + len(self.steering) + len(self.slow)

    def row(self) -> str:
        """One line of the table."""
        peak = peak_kib() // _KIB_PER_MIB
        codes = ", ".join(f"{code}: {number}" for code, number in sorted(self.codes.items()))
        return (
            f"{self.kind:12} cases {self.cases:5}  defects {len(self.defects):3}  wrong codes {len(self.wrong_codes):3}"
            f"  ESC/C1/commands {len(self.steering):3}  slowest {self.slowest_s:5.2f} s  over 5 s {len(self.slow):3}"
            f"  peak {peak} MiB  (codes {codes})"
        )


def _command(*arguments: str) -> Case:
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out), clean_output():
        code = taintlab(list(arguments))
    return code, out.getvalue()


def _called(read: Callable[[], object]) -> Case:
    """A reader that no verb calls without a cluster, as a verb would."""
    out = io.StringIO()
    with redirect_stdout(out), clean_output():
        try:
            print(one_line(read()))
        except TaintlabError as error:
            print(told(error))
            return int(error.exit_code), out.getvalue()
    return 0, out.getvalue()


def _experiments(folder: Path, rng: Random) -> Case:
    file = folder / "experiments" / "x.yaml"
    if not file.parent.exists():
        shutil.copytree(seeds.MANIFESTS, file.parent / "manifests")
    file.write_bytes(hostile(rng.choice(seeds.EXPERIMENTS), rng))
    return _command("validate", str(file), *(["--json"] if rng.random() < 0.2 else []))


def _scripts(folder: Path, rng: Random) -> Case:
    file = folder / "script.yaml"
    file.write_bytes(hostile(rng.choice(seeds.SCRIPTS), rng))
    return _command("predict", str(file), *(["--json"] if rng.random() < 0.2 else []))


def _topologies(folder: Path, rng: Random) -> Case:
    file = folder / "topology.yaml"
    file.write_bytes(hostile(rng.choice(seeds.TOPOLOGIES), rng))
    return _called(lambda: read_topology_file(file))


def _worlds(folder: Path, rng: Random) -> Case:
    file = folder / "world.json"
    data = hostile_json(seeds.WORLD, rng)
    file.write_bytes(gzip.compress(data) if rng.random() < 0.2 else data)
    return _command(*POLICY, str(file), *(["--json"] if rng.random() < 0.2 else []))


def _plans(folder: Path, rng: Random) -> Case:
    file = folder / "plan.yaml"
    file.write_text(seeds.PLAN_EXPERIMENT)
    (folder / "manifests.yaml").write_bytes(hostile(seeds.manifests(rng), rng))
    return _command("plan", str(file), *(["--json"] if rng.random() < 0.2 else []))


def _diffs(folder: Path, rng: Random) -> Case:
    good, bad, world = folder / "good.json", folder / "bad.json", folder / "good-world.json"
    if not good.exists():
        world.write_text(json.dumps(seeds.WORLD))
        code, text = _command(*POLICY, str(world), "--json")
        assert code == 0, text
        good.write_text(text)
    bad.write_bytes(hostile_json(json.loads(good.read_text()), rng))
    pair = (good, bad) if rng.random() < 0.5 else (bad, good)
    return _command("plan", "--diff", *map(str, pair), *(["--json"] if rng.random() < 0.2 else []))


def _claims(_folder: Path, rng: Random) -> Case:
    text = hostile_json(seeds.CLAIM, rng).decode("utf-8", "replace")
    node = {"metadata": {"name": "n", "annotations": {CLAIM_ANNOTATION: text}}, "spec": {}}
    return _called(partial(claim_of, node, UNDO))


KINDS: dict[str, tuple[Callable[[Path, Random], Case], frozenset[int]]] = {
    "experiments": (_experiments, frozenset({0, 2})),
    "scripts": (_scripts, frozenset({0, 2})),
    "topologies": (_topologies, frozenset({0, 2})),
    "worlds": (_worlds, frozenset({0, 2})),
    "plans": (_plans, frozenset({0, 1, 2, 3})),
    "diffs": (_diffs, frozenset({0, 2})),
    "claims": (_claims, frozenset({0, int(ClusterError.exit_code)})),
}
"""How each kind is read, and the exit codes that may come of it."""


def fuzz(kind: str, *, files: int, seed: int, folder: Path, keep: Path | None = None) -> Tally:
    """`files` spoiled files of `kind`, read in `folder`. Those that end badly are copied to `keep`."""
    read, codes = KINDS[kind]
    tally = Tally(kind)
    for number in range(files):
        case = f"{kind} seed {seed + number}"
        before = tally.bad
        begin_s = time.process_time()
        try:
            with _temporary_files_in(folder):  # main leaves the tracebacks of defects there
                code, said = read(folder, Random(seed + number))
        except Exception:  # whatever gets out of a reader is what is looked for
            tally.defects.append(f"{case}: {traceback.format_exc()}")
        else:
            _judge(tally, case, code, said, codes)
        took_s = time.process_time() - begin_s
        tally.slowest_s = max(tally.slowest_s, took_s)
        if took_s > LIMIT_S:
            tally.slow.append(f"{case}: {took_s:.1f} s")
        tally.cases += 1
        if keep is not None and tally.bad > before:
            shutil.copytree(folder, keep / case.replace(" ", "-"), dirs_exist_ok=True)
    return tally


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _judge(tally: Tally, case: str, code: int, said: str, codes: frozenset[int]) -> None:
    tally.codes[code] += 1
    if "a defect of taintlab itself" in said:
        tally.defects.append(f"{case}: {said}")
    elif code not in codes or (code == 3 and said.startswith("taintlab: ")):
        tally.wrong_codes.append(f"{case}: {code}: {said[:300]}")
    commands = [line for line in said.splitlines() if line.lstrip().startswith("::") or "##[" in line]
    if clean(said) != said or commands:
        tally.steering.append(f"{case}: {said[:300]!r}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and every finding; 1 when there is any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: every kind")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="where files that end badly are copied to")
    options = parser.parse_args(arguments)
    bad = 0
    for kind in options.kind or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            tally = fuzz(kind, files=options.files, seed=options.seed, folder=Path(folder), keep=options.keep)
        print(tally.row(), flush=True)
        for finding in (*tally.defects, *tally.wrong_codes, *tally.steering, *tally.slow):
            print(f"  {finding}")
        bad += tally.bad
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
