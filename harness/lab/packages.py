"""nft (which kube-proxy calls) and Prometheus: the host's own, or the distribution's packages unpacked into our cache.

Unpacking (``apt-get download``, ``dpkg-deb -x``) installs nothing, runs no package's scripts and needs no rights: apt
gets private state and cache folders, and fetches the package lists into them when the host has none or stale ones.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import LabError, UsageError
from harness.lab import manifest
from harness.lab.cache import cache_home, one_at_a_time, private

PROMETHEUS_VARIABLE = "TAINTLAB_PROMETHEUS"
"""Names a Prometheus program to use instead of looking for one."""

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HOST_LIBRARIES = ("libc6", "libgcc-s1", "libcrypt1", "libstdc++6")
"""Never unpacked: the host's own fit its loader."""


@dataclass(frozen=True, slots=True)
class Tools:
    """`path`: folders to put on PATH so that ``nft`` is found (none when the host has it).

    `prometheus` None: none to be had, `why` says why. `prometheus_web`: the Debian package's page files; None for a
    Prometheus that carries its own.
    """

    path: tuple[Path, ...]
    prometheus: Path | None = None
    prometheus_web: Path | None = None
    why: str = ""


def ensure(*, prometheus: Path | None, with_prometheus: bool, report: Callable[[str], None]) -> Tools:
    """Both tools. LabError when there is no nft and none can be fetched; a missing Prometheus is only reported.

    `prometheus`, or else TAINTLAB_PROMETHEUS, names the program; UsageError when it cannot be run.
    """
    path = _nft_path(report=report)
    if not with_prometheus:
        return Tools(path=path)
    variable = os.environ.get(PROMETHEUS_VARIABLE)
    named = prometheus or (Path(variable) if variable else None)
    if named is not None:
        if not os.access(named, os.X_OK):
            raise UsageError(f"{named} is no program: name the prometheus executable itself")
        return Tools(path=path, prometheus=named.resolve(), prometheus_web=_web_beside(named.resolve()))
    found = shutil.which("prometheus")
    if found:
        return Tools(path=path, prometheus=Path(found), prometheus_web=_web_beside(Path(found)))
    try:
        root = _unpacked("prometheus", probe="usr/bin/prometheus", libraries=False, report=report)
    except LabError as error:
        return Tools(path=path, why=f"{error}\n  fix: install prometheus, or set {PROMETHEUS_VARIABLE}")
    program = root / "usr/bin/prometheus"
    return Tools(path=path, prometheus=program, prometheus_web=_web_beside(program))


def _web_beside(program: Path) -> Path | None:
    """The page files of the Debian package that `program` came from: without them ``/`` answers 500."""
    web = program.parent.parent / "share" / "prometheus" / "web"
    return web if web.is_dir() else None


def _nft_path(*, report: Callable[[str], None]) -> tuple[Path, ...]:
    """What to put on PATH for nft to be found there: nothing when the host has one."""
    if shutil.which("nft", path=_SYSTEM_PATH):
        return ()
    try:
        root = _unpacked("nftables", probe="usr/sbin/nft", libraries=True, report=report)
    except LabError as error:
        raise LabError(f"kube-proxy needs the program nft: {error}\n  fix: install the package nftables") from error
    wrapper = root / "wrapped" / "nft"
    said = subprocess.run([wrapper, "--version"], capture_output=True, text=True, check=False)
    if said.returncode != 0:
        raise LabError(f"the unpacked nft does not run ({said.stderr.strip()}): install the package nftables")
    return (wrapper.parent,)


def _unpacked(package: str, *, probe: str, libraries: bool, report: Callable[[str], None]) -> Path:
    """The folder into which `package` is unpacked, fetched when it is not there or not what was unpacked any more.

    With `libraries`, so are those that it needs, and ``wrapped/NAME`` runs `probe` with them.
    """
    place = private(cache_home()) / "packages" / package
    if (place / probe).exists() and not manifest.difference(place):
        return place
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise LabError(f"this machine has neither {package} nor apt-get to fetch it with")
    with one_at_a_time(place, report=report):
        trouble = manifest.difference(place)
        if trouble or not (place / probe).exists():
            if (place / probe).exists():
                report(f"the package in {place} is not used: {trouble}")
            report(f"fetching the distribution's package {package} into {place}")
            _fill(place, package, probe, libraries=libraries)
    return place


def _fill(place: Path, package: str, probe: str, *, libraries: bool) -> None:
    """Downloads and unpacks beside `place`, then renames: it is complete whenever it is there."""
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{package}.") as scratch_name:
        scratch = Path(scratch_name)
        root = scratch / "root"
        root.mkdir(mode=0o755)
        for archive in _download(package, scratch, libraries=libraries):
            _run(["dpkg-deb", "-x", str(archive), str(root)], cwd=scratch)
        if not (root / probe).exists():
            raise LabError(f"the package {package} holds no {probe}")
        if libraries:
            _write_wrapper(root, place, probe)
        manifest.seal(root)
        shutil.rmtree(place, ignore_errors=True)
        root.replace(place)


def _write_wrapper(root: Path, place: Path, probe: str) -> None:
    """A script in root/wrapped (to be moved to `place`) that runs `probe` with the libraries unpacked beside it."""
    folders = {file.parent.relative_to(root) for file in root.rglob("*.so.*")}
    libraries = ":".join(str(place / folder) for folder in sorted(folders))
    script = root / "wrapped" / Path(probe).name
    script.parent.mkdir()
    program = shlex.quote(str(place / probe))
    script.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={shlex.quote(libraries)} exec {program} "$@"\n')
    script.chmod(0o755)


def _download(package: str, scratch: Path, *, libraries: bool) -> list[Path]:
    """The package, and the libraries that it needs if wanted, as .deb files in `scratch`.

    First by the host's package lists; when those are absent or name files that are gone, by fresh ones of our own.
    """
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    options = [
        f"-oDir::State={scratch}/state",
        f"-oDir::Cache={scratch}/cache",
        "-oDir::State::status=/var/lib/dpkg/status",
        "-oDebug::NoLocking=1",
        "-oAPT::Sandbox::User=root",  # no change of user: the folders are only ours
        "-oAcquire::Retries=1",
        "-oAcquire::http::Timeout=20",
        "-q",
    ]
    host_lists = [*options, "-oDir::State::Lists=/var/lib/apt/lists"]
    try:
        return _fetch(package, scratch, host_lists, libraries=libraries)
    except LabError:
        _run(["apt-get", *options, "update"], cwd=scratch)
        return _fetch(package, scratch, options, libraries=libraries)


def _fetch(package: str, scratch: Path, options: Sequence[str], *, libraries: bool) -> list[Path]:
    names = [package, *(_libraries_of(package, scratch, options) if libraries else ())]
    _run(["apt-get", *options, "download", *names], cwd=scratch)
    return sorted(scratch.glob("*.deb"))


def _libraries_of(package: str, scratch: Path, options: Sequence[str]) -> list[str]:
    """The shared libraries' packages among all that `package` depends on, but for those the host's loader brings."""
    relations = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    without = [f"--no-{relation}" for relation in relations]
    said = _run(["apt-cache", *options, "depends", "--recurse", *without, package], cwd=scratch)
    # One name a line at the margin; their relations are indented; virtual packages are in angle brackets.
    names = {line.strip() for line in said.splitlines() if line and line[0].isalnum()}
    return sorted(name for name in names if name.startswith("lib") and name not in _HOST_LIBRARIES and ":" not in name)


def _run(argv: Sequence[str], *, cwd: Path) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise LabError(f"{argv[0]} failed: {last[0]}")
    return done.stdout
