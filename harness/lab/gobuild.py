"""One `go build`, followed closely enough that a person sees it move."""

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from harness.errors import BuildFailed
from harness.lab.build_meter import FIELDS, Meter, Package, ProgressLine, clock_text, packages_of

TICK_S = 1.0
"""How often progress is reported, at most."""
SILENCE_S = 1.0
"""So long go may be silent before progress is reported all the same (it says nothing while it links)."""
_LAST_WORDS = 15


def environment() -> dict[str, str]:
    """The caller's, but always without cgo (one binary for every machine) and with the toolchain that was chosen."""
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def compile_packages(
    go: Path,
    module: Path,
    packages: Sequence[str],
    *,
    flags: Sequence[str],
    out: Path,
    what: str,
    report: Callable[[str], None],
    monotonic_s: Callable[[], float] = time.monotonic,
) -> None:
    """`go build` of main packages into the folder `out`; BuildFailed with the compiler's last words and the fix.

    `report` gets a ProgressLine each second, and two lines that stay: what there is to compile, and that it is built.
    """
    started_s = monotonic_s()
    known = _list(go, module, packages, flags=flags, what=what, report=report)
    meter = Meter(what, known, in_flight=len(os.sched_getaffinity(0)))
    report(f"{what}: {meter.needed:,} of {len(known):,} packages to compile" + _cached_text(meter.needed, len(known)))
    argv = [str(go), "build", "-v", *flags, "-o", f"{out}/", *packages]
    words: deque[str] = deque(maxlen=_LAST_WORDS)
    with subprocess.Popen(
        argv, cwd=module, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        try:
            follow(lines_of(process.stderr), meter, words=words, monotonic_s=monotonic_s, report=report)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise _failed(what, words)
    report(f"{what}: built in {clock_text(monotonic_s() - started_s)} ({meter.begun:,} packages compiled)")


def _cached_text(needed: int, known: int) -> str:
    return "; Go has the others cached" if needed < known else ""


def follow(
    lines: Iterable[str | None],
    meter: Meter,
    *,
    words: deque[str],
    monotonic_s: Callable[[], float],
    report: Callable[[str], None],
) -> None:
    """Reads what `go build -v` says to its end: the import path of each package that it begins to compile, alone on a
    line, and else words, which go to `words`. `lines` has None for each SILENCE_S without a line.
    """
    started_s = reported_s = monotonic_s()
    for line in lines:
        if line is not None and meter.knows(line.strip()):
            meter.begin(line.strip())
        elif line is not None:
            words.append(line.rstrip())
        now_s = monotonic_s()
        if now_s - reported_s >= TICK_S:
            reported_s = now_s
            report(meter.line(now_s - started_s))


def lines_of(stream: IO[bytes]) -> Iterator[str | None]:
    """The lines of a pipe as they come, without their ends; None whenever none came for SILENCE_S."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(timeout=SILENCE_S):
                yield None
                continue
            chunk = os.read(stream.fileno(), 65536)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")
            if not chunk:
                break
    if rest:
        yield rest.decode(errors="replace")


def _list(
    go: Path,
    module: Path,
    packages: Sequence[str],
    *,
    flags: Sequence[str],
    what: str,
    report: Callable[[str], None],
) -> list[Package]:
    """All packages of the build and which of them must be compiled; downloads modules that are missing on the way."""
    words: deque[str] = deque(maxlen=_LAST_WORDS)
    downloads = 0
    argv = [str(go), "list", "-deps", f"-json={','.join(FIELDS)}", *flags, *packages]
    report(ProgressLine.of(f"{what}: looking up modules"))
    with tempfile.TemporaryFile() as listed:
        with subprocess.Popen(argv, cwd=module, env=environment(), stdout=listed, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            try:
                for line in lines_of(process.stderr):
                    if line is not None and line.startswith("go: downloading "):
                        downloads += 1
                        report(ProgressLine.of(f"{what}: downloading modules, {downloads} so far"))
                    elif line is not None:
                        words.append(line.rstrip())
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            raise _failed(what, words)
        listed.seek(0)
        return packages_of(listed.read().decode(), lambda file: file.stat().st_size)


def _failed(what: str, words: Sequence[str] | deque[str]) -> BuildFailed:
    said = "\n".join(f"    {word}" for word in words) or "    (nothing)"
    return BuildFailed(
        f"{what} could not be built; the compiler's last words:\n{said}\n"
        "  fix: a download that failed: try again, or set GOPROXY; a full disk: 5 GB are needed in GOCACHE and "
        "GOMODCACHE (go env);\n  or name a folder with finished binaries: TAINTLAB_LAB_BINARIES=FOLDER"
    )
