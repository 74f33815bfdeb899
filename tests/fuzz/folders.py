"""Run folders of strangers: damaged at random, then checked and reported.

``python -m tests.fuzz.folders --files 2000 [--seed 1]`` prints how many ended how, what took longest, and the peak
memory; it exits with 1 when a folder was called a defect of taintlab, ended with a code that no verb has, took more
than 5 s of a core, let the process grow by more than 500 MB, had a file outside of it changed, or passed though its
evidence is not what was sealed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cli import main
from harness.errors import TaintlabError
from harness.history.folder import RunFolder
from harness.history.seal import seal
from tests.fakes.memory import peak_kib
from tests.pure.run_folders import write_run

ALLOWED = frozenset((0, 1, 2, 3, 4, 5, 130))
MAX_S, MAX_MB = 5.0, 500
FILES = (
    "history.jsonl",
    "experiment.json",
    "plan.json",
    "versions.json",
    "world.json",
    "spec.yaml",
    "ledger.jsonl",
    "result.json",
    "verdicts.json",
    "evidence.json",
    "load/config.json",
    "load/rows-0.bin",
)
WRITTEN = ("report.html", "junit.xml", "report.md", "result.json", "verdicts.json")
_DEFECT = re.compile(r"taintlab: a defect of taintlab itself \((.*?)\): please report it with (\S+?);")


@dataclass
class Outcome:
    """How one verb ended on one folder."""

    case: int
    what: str
    verb: str
    code: int
    took_s: float
    defect: str = ""


@dataclass
class Tally:
    """All of them."""

    outcomes: list[Outcome] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    believed: list[str] = field(default_factory=list)
    """Passed, though the evidence is not what was sealed."""

    @property
    def defects(self) -> list[Outcome]:
        """Called a defect of taintlab, or with an exit code that no verb has."""
        return [one for one in self.outcomes if one.defect or one.code not in ALLOWED]

    @property
    def slow(self) -> list[Outcome]:
        """Longer than MAX_S."""
        return [one for one in self.outcomes if one.took_s > MAX_S]


class Mutator:
    """Damages copies of one good folder; everything it does follows from the seed."""

    def __init__(self, seed: int, victim: Path) -> None:
        self._chance = random.Random(seed)
        self._victim = victim

    def damage(self, folder: Path) -> str:
        """Do one to three things to `folder`; in words."""
        hands: list[Callable[[Path], str]] = [self._bytes, self._kind, self._special, *[self._json] * 3]
        words = [self._chance.choice(hands)(folder) for _ in range(self._chance.choice((1, 1, 1, 2, 3)))]
        if self._chance.random() < 0.5:  # a stranger can write digests too
            with contextlib.suppress(TaintlabError, OSError):
                seal(RunFolder(folder))
            words.append("sealed anew")
        return ", ".join(words)

    def _file(self, folder: Path) -> Path | None:
        path = folder / self._chance.choice(FILES)
        return path if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 22 else None

    def _bytes(self, folder: Path) -> str:
        path = self._file(folder)
        if path is None:
            return "nothing"
        data, chance = bytearray(path.read_bytes()), self._chance
        at = chance.randrange(len(data) + 1)
        length = chance.choice((1, 1, 8, 100, 5_000))
        match chance.randrange(6):
            case 0:
                data[at : at + length] = chance.randbytes(min(length, len(data) - at))
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = chance.randbytes(length)
            case 3:
                del data[at:]
            case 4:
                data[at:at] = data[max(0, at - length) : at]
            case _:
                data[at : at + length] = bytes(min(length, len(data) - at))
        path.write_bytes(data)
        return f"bytes of {path.name}"

    def _json(self, folder: Path) -> str:
        path = self._file(folder)
        if path is None or path.suffix not in (".json", ".jsonl"):
            return "nothing"
        lines = path.read_bytes().split(b"\n") if path.suffix == ".jsonl" else [path.read_bytes()]
        number = self._chance.randrange(len(lines))
        try:
            value = json.loads(lines[number])
        except (ValueError, RecursionError):
            return "nothing"
        words = self._node(value)
        lines[number] = json.dumps(value).replace('"@raw@', "").replace('@raw@"', "").encode()
        path.write_bytes(b"\n".join(lines))
        return f"{path.name}: {words}"

    def _node(self, value: Any) -> str:
        """Change one place below `value`."""
        chance, place, at = self._chance, value, "$"
        while isinstance(place, dict | list) and place:
            key: Any = chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))
            at += f".{key}"[:40]
            if not isinstance(place[key], dict | list) or not place[key] or chance.random() < 0.15:
                match chance.randrange(6):
                    case 0:
                        del place[key]
                    case 1 if isinstance(place, dict):
                        place[f"{key}x"] = place.pop(key)
                    case 2 if isinstance(place, list):
                        place.extend([place[key]] * chance.choice((1, 50)))
                    case _:
                        place[key] = self._odd()
                return at
            place = place[key]
        return "nothing"

    def _odd(self) -> Any:
        deep: Any = []
        for _ in range(self._chance.choice((5, 70, 500))):
            deep = [deep]
        odd: list[Any] = [
            None,
            True,
            False,
            0,
            -1,
            1,
            3,
            7,
            255,
            0.5,
            1e300,
            -1e-300,
            2**31,
            2**63,
            -(2**63) - 1,
            10**30,
        ]
        odd += [3 * 10**16, 86_400 * 10**9, "@raw@NaN@raw@", "@raw@1e999@raw@", "@raw@" + "9" * 5_000 + "@raw@"]
        odd += ["", "x", "1e999", "\u0000", "\ud800", "x" * 10_000, "\x1b[31m", "PASS", "phase", "inject", "fault"]
        odd += ["2026-01-01T00:00:00Z", "http://a:b@c/?d", [], {}, [None], {"a": 1}, ["x"] * 3, deep]
        return self._chance.choice(odd)

    def _kind(self, folder: Path) -> str:
        """Another kind of thing in the place of a file."""
        path = folder / self._chance.choice(FILES + WRITTEN + ("load", "report.html.part", "result.json.part"))
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True)
        what = self._chance.choice(("gone", "empty", "fifo", "folder", "link", "device", "loop", "sparse", "name"))
        match what:
            case "gone":
                pass
            case "empty":
                path.touch()
            case "fifo":
                os.mkfifo(path)
            case "folder":
                (path / "x").mkdir(parents=True)
            case "link":
                path.symlink_to(self._victim)
            case "device":
                path.symlink_to("/dev/zero")
            case "loop":
                path.symlink_to(path.name)
            case "sparse":
                with path.open("wb") as file:
                    file.truncate(self._chance.choice((10 << 20, 600 << 20, 10 << 30)))
            case _:
                (folder / os.fsdecode(b"\xff\xfe\n.txt")).touch()
        return f"{path.name}: {what}"

    def _special(self, folder: Path) -> str:
        """Small files that cost a reader much."""
        chance = self._chance
        aliases = "a0: &a0 [x, x]\n" + "".join(
            f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
        )
        contents = {
            "brackets": b"[" * 100_000,
            "braces": b'{"a":' * 100_000,
            "digits": b'{"version": ' + b"9" * 5_000 + b"}",
            "surrogate": b'{"version": 1, "experiment": "\\ud800"}',
            "not-utf-8": b"\xff\xfe" * 100,
            "aliases": aliases.encode(),
            "many": b"- {a: [b]}\n" * (12 << 20 >> 4),
            "million": b"[" + b"0," * 500_000 + b"0]",
            "nul": bytes(1 << 20),
            "lines": b"{}\n" * 200_000,
        }
        name = chance.choice(list(contents))
        path = folder / chance.choice(FILES)
        if path.is_dir() or not path.parent.is_dir() or (path.exists() and not path.is_file()):
            return "nothing"
        path.unlink(missing_ok=True)
        path.write_bytes(contents[name])
        return f"{path.name}: {name}"


def good_folder(path: Path) -> Path:
    """A judged and rendered run."""
    write_run(path)
    for verb in ("check", "report"):
        run_verb(0, "good", verb, path)
    return path


def run_verb(case: int, what: str, verb: str, folder: Path) -> Outcome:
    """Call ``taintlab VERB FOLDER`` in this process, its output as strict as a pipe."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    began = time.process_time()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([verb, str(folder)])
            out.flush()
    except BaseException as error:
        return Outcome(case, what, verb, -1, time.process_time() - began, f"{type(error).__name__}: {error}")
    took_s = time.process_time() - began
    err.flush()
    text = err.buffer.getvalue().decode()  # type: ignore[attr-defined]
    found = _DEFECT.search(text)
    if found:
        last = [line.strip() for line in Path(found[2]).read_text().splitlines() if line.startswith("  File")][-1]
        Path(found[2]).unlink()
        return Outcome(case, what, verb, code, took_s, f"{found[1][:160]} at {last}")
    return Outcome(case, what, verb, code, took_s)


def cases(count: int, seed: int, base: Path) -> Iterator[tuple[int, str, Path]]:
    """(number, what was done, damaged copy) of ``base/good``; each copy is removed when the next is asked for."""
    good = base / "good"
    victim = base / "victim"
    victim.write_text("keep me")
    for number in range(count):
        chance = random.Random(seed * 1_000_003 + number)
        name = os.fsdecode(b"run\xff") if number % 50 == 49 else "run\nline" if number % 50 == 48 else "run"
        copy = base / name
        shutil.copytree(good, copy, symlinks=True)
        what = Mutator(chance.randrange(1 << 62), victim).damage(copy)
        yield number, what, copy
        shutil.rmtree(copy)


def fuzz(count: int, seed: int, base: Path) -> Tally:
    """Check and report `count` damaged folders."""
    tally = Tally()
    good = _evidence(good_folder(base / "good"))
    for number, what, folder in cases(count, seed, base):
        verbs = ("check", "report") if number % 2 else ("report", "check")
        before = _evidence(folder)
        for verb in verbs:
            ended = run_verb(number, what, verb, folder)
            tally.outcomes.append(ended)
            if verb == "check" and ended.code == 0 and before != good and "sealed anew" not in what:
                tally.believed.append(f"case {number}: {what}")
        if (base / "victim").read_text() != "keep me":
            tally.touched.append(f"case {number}: {what}")
            (base / "victim").write_text("keep me")
    return tally


def _evidence(folder: Path) -> dict[str, bytes | None]:
    """The bytes of what is sealed; None for what is no regular file."""
    sealed = (*FILES[:6], "load/config.json", "load/rows-0.bin")
    plain = {name: folder / name for name in sealed}
    return {
        name: path.read_bytes() if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 25 else None
        for name, path in plain.items()
    }


def peak_mb() -> float:
    """The most memory this process had so far."""
    return peak_kib() / 1024


def run(argv: Sequence[str] | None = None) -> int:
    """Print what came of it; 1 when something must be fixed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.folders")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    before_mb = peak_mb()
    with tempfile.TemporaryDirectory() as base:
        tally = fuzz(options.files, options.seed, Path(base))
    grown_mb = peak_mb() - before_mb
    for verb in ("check", "report"):
        codes = Counter(one.code for one in tally.outcomes if one.verb == verb)
        print(f"{verb}: {sum(codes.values())} folders, exit codes {dict(sorted(codes.items()))}")
    print(f"defects {len(tally.defects)}, slower than {MAX_S:g} s {len(tally.slow)}, victims {len(tally.touched)}")
    print(f"passed with evidence that is not what was sealed: {len(tally.believed)} {tally.believed[:5]}")
    for one in sorted(tally.outcomes, key=lambda one: -one.took_s)[:5]:
        print(f"  {one.took_s:5.2f} s  {one.verb} {one.case}: {one.what}")
    for one in tally.defects[:30]:
        print(f"  DEFECT {one.verb} {one.case} ({one.code}): {one.what}: {one.defect}")
    print(f"peak memory {peak_mb():.0f} MB, {grown_mb:.0f} MB more than at the start")
    bad = tally.defects or tally.slow or tally.touched or tally.believed or grown_mb > MAX_MB
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(run())
