"""One `go build`, followed closely enough that a person sees it move."""

from __future__ import annotations

import os
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.errors import BuildFailed

_REPORT_EVERY_S = 1.0
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
) -> None:
    """`go build` of main packages into the folder `out`; BuildFailed with the compiler's last words and the mend.

    Progress lines count compiled packages of all that are needed; those that Go has cached are not compiled, so a
    build may end well before the whole number.
    """
    module_flags = [flag for flag in flags if flag.startswith("-modfile")]
    report(f"{what}: looking up modules, downloading those that are missing\r")
    listed = _run([str(go), "list", "-deps", *module_flags, *packages], module, what=what)
    total = len(listed.splitlines())
    argv = [str(go), "build", "-v", *flags, "-o", f"{out}/", *packages]
    started_s = time.monotonic()
    last_report_s = 0.0
    compiled = 0
    words: deque[str] = deque(maxlen=_LAST_WORDS)
    with subprocess.Popen(
        argv, cwd=module, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if _is_package(line):
                    compiled += 1
                else:
                    words.append(line.rstrip())
                now_s = time.monotonic()
                if now_s - last_report_s >= _REPORT_EVERY_S:
                    last_report_s = now_s
                    report(f"{what}: {compiled} of at most {total} packages compiled, {now_s - started_s:.0f} s\r")
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise _failed(what, words)
    report(f"{what}: built in {time.monotonic() - started_s:.0f} s ({compiled} of {total} packages compiled)")


def _is_package(line: str) -> bool:
    """`go build -v` prints the import path of each package that it compiles, and nothing else of one word."""
    return " " not in line.strip() and not line.startswith("#")


def _run(argv: list[str], module: Path, *, what: str) -> str:
    done = subprocess.run(argv, cwd=module, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise _failed(what, done.stderr.splitlines()[-_LAST_WORDS:])
    return done.stdout


def _failed(what: str, words: Sequence[str] | deque[str]) -> BuildFailed:
    said = "\n".join(f"    {word}" for word in words) or "    (nothing)"
    return BuildFailed(
        f"{what} could not be built; the compiler's last words:\n{said}\n"
        "  mend: a download that failed: try again, or set GOPROXY; a full disk: 5 GB are needed in GOCACHE and "
        "GOMODCACHE (go env);\n  or name a folder with finished binaries: TAINTLAB_LAB_BINARIES=FOLDER"
    )
