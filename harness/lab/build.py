"""The lab's three binaries: from a named folder, from the cache, or built from harness/lab/plane with Go.

A build of one Kubernetes version takes 5 to 10 minutes on two cores the first time, and is kept under
``XDG_CACHE_HOME/taintlab/lab/<version>-<hash of sources, modfile and flags>/``, with a manifest: programs that are no
longer what was built are built anew.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BuildFailed, UsageError
from harness.lab import manifest
from harness.lab.cache import cache_home, one_at_a_time, private
from harness.lab.gobuild import compile_packages
from harness.lab.toolchain import Version, find_go

BINARIES_VARIABLE = "TAINTLAB_LAB_BINARIES"
"""Names a folder with the three programs; nothing is looked up or built then."""

PLANE = Path(__file__).parent / "plane"
_PROGRAMS = ("kubeplane", "noderuntime", "podinfo")
_BUILD_FLAGS = ("-trimpath", "-buildvcs=false")
_REQUIRED = re.compile(r"^\s*(?:require\s+)?k8s\.io/kubernetes\s+v(\d+\.\d+\.\d+)\b", re.MULTILINE)
_GO_LINE = re.compile(r"^go (\d+)\.(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Binaries:
    """Absolute paths of the programs; contract of the first two: harness/lab/plane."""

    kubeplane: Path
    noderuntime: Path
    podinfo: Path

    @staticmethod
    def within(folder: Path) -> Binaries:
        """The programs under their usual names."""
        return Binaries(*(folder.resolve() / name for name in _PROGRAMS))

    @property
    def missing(self) -> list[str]:
        """Those that are not there or may not be run."""
        return [path.name for path in (self.kubeplane, self.noderuntime, self.podinfo) if not os.access(path, os.X_OK)]


@dataclass(frozen=True, slots=True)
class Release:
    """One Kubernetes version that can be built. `version`: ``1.35.4``; `modfile`: the go.mod that pins it."""

    version: str
    modfile: Path

    @property
    def minor(self) -> str:
        """``1.35``"""
        return self.version.rpartition(".")[0]

    @property
    def go(self) -> Version:
        """The Go that the modfile asks for."""
        match = _GO_LINE.search(self.modfile.read_text())
        return (int(match[1]), int(match[2])) if match else (1, 25)

    @property
    def ldflags(self) -> str:
        """Stripped, and with the version that components say they are (without it they say v0.0.0)."""
        major, minor, _ = self.version.split(".")
        package = "k8s.io/component-base/version"
        stamps = {"gitVersion": f"v{self.version}", "gitMajor": major, "gitMinor": minor}
        return " ".join(["-s", "-w", *(f"-X {package}.{key}={value}" for key, value in stamps.items())])


def ensure(
    kubernetes: str | None, *, named: Path | None, in_use: Collection[Path], report: Callable[[str], None]
) -> Binaries:
    """The binaries for a Kubernetes version (``1.35``, ``1.35.4``, ``v1.35.4``; None: the default one).

    `named`, or else TAINTLAB_LAB_BINARIES, is a folder that must hold all three. UsageError for a version or a folder
    that is not there; BuildFailed with the compiler's last words. A new build takes the place of older ones of its
    version, but for those `in_use`.
    """
    variable = os.environ.get(BINARIES_VARIABLE)
    folder = named or (Path(variable) if variable else None)
    if folder is not None:
        binaries = Binaries.within(folder)
        if binaries.missing:
            raise UsageError(
                f"{folder} holds no runnable {', '.join(binaries.missing)}: name a folder with all of them"
            )
        return binaries
    release = choose(kubernetes)
    place = private(cache_home()) / "lab" / f"{release.version}-{key_of(release)}"
    binaries = Binaries.within(place)
    if place.exists() and not _trouble(place):
        return binaries
    with one_at_a_time(place.with_name(release.version), report=report):
        trouble = _trouble(place) if place.exists() else "not built yet"
        if trouble:
            if place.exists():
                report(f"the programs in {place} are not used: {trouble}")
            _build(release, place, report=report)
            for older in place.parent.glob(f"{release.version}-*"):
                if older != place and older not in in_use:
                    shutil.rmtree(older, ignore_errors=True)
                    manifest.forget(older)
    return binaries


def _trouble(place: Path) -> str:
    """What is wrong with built programs; "" when nothing is."""
    missing = Binaries.within(place).missing
    return f"{', '.join(missing)} cannot be run" if missing else manifest.difference(place)


def releases(plane: Path = PLANE) -> list[Release]:
    """Every version there is a modfile for; go.mod's, the default, first."""
    out = []
    for modfile in [plane / "go.mod", *sorted(plane.glob("kubernetes-*.mod"))]:
        match = _REQUIRED.search(modfile.read_text()) if modfile.exists() else None
        if match:
            out.append(Release(version=match[1], modfile=modfile))
    return out


def choose(kubernetes: str | None, *, among: list[Release] | None = None) -> Release:
    """The release meant by a minor or a full version; UsageError with what there is."""
    known = releases() if among is None else among
    if not known:
        raise BuildFailed(f"the Go sources of the lab are missing ({PLANE}): install taintlab anew")
    if kubernetes is None:
        return known[0]
    wanted = kubernetes.removeprefix("v")
    for release in known:
        if wanted in (release.version, release.minor):
            return release
    there = ", ".join(f"{release.minor} ({release.version})" for release in known)
    raise UsageError(f"the lab cannot be built for Kubernetes {kubernetes}; there are: {there}")


def key_of(release: Release) -> str:
    """16 hex digits over the Go sources, the modfile, the build flags and the machine's architecture."""
    digest = hashlib.sha256()
    digest.update(f"{release.ldflags} {_BUILD_FLAGS} {platform.machine()}".encode())
    plane = release.modfile.parent
    sources = [path for path in plane.rglob("*.go") if not path.name.endswith("_test.go")]
    mods = [release.modfile, release.modfile.with_suffix(".sum"), *sorted(plane.glob("*/**/go.*"))]
    for path in [*sorted(sources), *mods]:
        digest.update(f"\0{path.relative_to(plane)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(release: Release, place: Path, *, report: Callable[[str], None]) -> None:
    """Builds into a folder beside `place` and renames it, so that `place` is complete whenever it is there."""
    go = find_go(release.go, report=report)
    report(
        f"building Kubernetes {release.version} for the lab with {go}: once for this version, "
        "some 7 to 10 minutes on two cores and 4 GB of disk when nothing is cached"
    )
    plane = release.modfile.parent
    flags = [*_BUILD_FLAGS, f"-ldflags={release.ldflags}"]
    if release.modfile.name != "go.mod":
        flags.append(f"-modfile={release.modfile}")
    fresh = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        packages = ["./cmd/kubeplane", "./cmd/noderuntime"]
        compile_packages(go, plane, packages, flags=flags, out=fresh, what="Kubernetes", report=report)
        podinfo = ["github.com/stefanprodan/podinfo/cmd/podinfo"]
        flags = [*_BUILD_FLAGS, "-ldflags=-s -w"]
        compile_packages(go, plane / "podinfo", podinfo, flags=flags, out=fresh, what="podinfo", report=report)
        missing = Binaries.within(fresh).missing
        if missing:
            raise BuildFailed(f"the build made no {', '.join(missing)}")
        manifest.seal(fresh)
        shutil.rmtree(place, ignore_errors=True)
        fresh.chmod(0o755)
        fresh.replace(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
