"""How far a `go build` is, and how long it may still take: pure, told of each package that go begins to compile.

A share of packages would mislead: k8s.io/api/core/v1 takes as long as a hundred small ones. So packages have a weight,
and only those count that Go has not cached. Over 691 packages compiled by Go 1.26 (``go build -debug-actiongraph``) one
took 80 ms and 2.4 s a megabyte of Go, and a file of data (34 MB in swaggo/files) next to nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOUNDED_SHARE = 0.1
FOUNDED_S = 20.0
"""No time left is named before so much of the weight is compiled, in so long: the first packages are runtime's, small
and unlike the rest.
"""

_PACKAGE_WEIGHT = 33_000
_MOST_CODE_BYTES = 4_000_000
FIELDS = ("ImportPath", "Dir", "GoFiles", "Stale", "StaleReason", "DepOnly")
"""Of `go help list`; those that `packages_of` reads."""

_CACHED = "not installed but available in build cache"
"""`go list`: a stale package that need not be compiled for all that (cmd/go/internal/work/buildid.go, useCache)."""
_NOT_BLANK = re.compile(r"\S")


class ProgressLine(str):
    """A line of progress, which the next one may overwrite: it ends in a carriage return.

    `share`: how much is done, 0 to 1; None when that is not known.
    """

    __slots__ = ("share",)
    share: float | None

    @staticmethod
    def of(text: str, share: float | None = None) -> ProgressLine:
        """`text` without line end."""
        line = ProgressLine(f"{text}\r")
        line.share = share
        return line


@dataclass(frozen=True, slots=True)
class Package:
    """One package of a build. `needed`: must be compiled (or so it seems: what its dependencies compile to may turn out
    to be cached); `weight`: the work of that, in bytes of Go; `asked`: named on the command line, no mere dependency.
    """

    path: str
    weight: int
    needed: bool
    asked: bool = False


def packages_of(listed: str, size_bytes: Callable[[Path], int]) -> list[Package]:
    """What ``go list -deps -json=...`` printed of the fields FIELDS: JSON objects, one after another.

    `size_bytes`: of a file. Without unsafe, which the compiler knows by heart: nobody ever compiles it.
    """
    found = []
    for each in _objects(listed):
        if each["ImportPath"] == "unsafe":
            continue
        files = each.get("GoFiles") or []
        needed = bool(each.get("Stale")) and each.get("StaleReason") != _CACHED
        code_bytes = sum(size_bytes(Path(each.get("Dir", ""), name)) for name in files) if needed else 0
        weight = _PACKAGE_WEIGHT + min(code_bytes, _MOST_CODE_BYTES)
        found.append(Package(each["ImportPath"], weight, needed, asked=not each.get("DepOnly")))
    return found


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while (found := _NOT_BLANK.search(text, at)) is not None:
        value, at = decoder.raw_decode(text, found.start())
        yield value


class Meter:
    """Counts the packages that go begins; see `line`."""

    def __init__(self, what: str, packages: Collection[Package], *, in_flight: int) -> None:
        """`what`: the name of what is built. `in_flight`: how many packages go compiles at a time, at most."""
        self._what = what
        self._weights: Mapping[str, int] = {each.path: each.weight for each in packages}
        self._needed = {each.path for each in packages if each.needed}
        self._needed_weight = sum(self._weights[path] for path in self._needed)
        self._last = {each.path for each in packages if each.asked and each.needed}
        self._of = "of" if len(self._needed) >= len(packages) else "of at most"
        self._in_flight = in_flight
        self._begun: list[str] = []

    @property
    def needed(self) -> int:
        """Packages to compile."""
        return len(self._needed)

    @property
    def begun(self) -> int:
        """Packages that were begun, and compiled once go has ended well."""
        return len(self._begun)

    def knows(self, word: str) -> bool:
        """Whether it is a package of this build."""
        return word in self._weights

    def begin(self, path: str) -> None:
        """Go begins to compile a package; one that was thought to be cached counts among those needed from now on."""
        if path not in self._needed:
            self._needed.add(path)
            self._needed_weight += self._weights[path]
        self._begun.append(path)
        self._last.discard(path)

    @property
    def share(self) -> float:
        """Of the weight, what is compiled for certain: the last `in_flight` packages may still be in work."""
        done = self._begun[: max(0, len(self._begun) - self._in_flight)]
        return sum(self._weights[path] for path in done) / self._needed_weight if self._needed_weight else 0.0

    def line(self, elapsed_s: float) -> ProgressLine:
        """How far it is after so many seconds; a time left only when it is founded, and without the linking."""
        if not self._last:  # all that they import is compiled
            text = f"{self._what}: 99 %, linking, {clock_text(elapsed_s)}"
            return ProgressLine.of(text, 0.99)
        share = min(0.99, self.share)
        done = max(0, len(self._begun) - self._in_flight)
        left = ""
        if share >= FOUNDED_SHARE and elapsed_s >= FOUNDED_S:
            left = f"about {left_text(elapsed_s * (1 - share) / share)} left, "
        count = f"{done:,} {self._of} {self.needed:,} packages"
        text = f"{self._what}: {int(100 * share)} %, {left}{count}, {clock_text(elapsed_s)}"
        return ProgressLine.of(text, share)


def clock_text(seconds: float) -> str:
    """``2:41``"""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def left_text(seconds: float) -> str:
    """``40 s`` below 90 s, in tens; ``7 min`` above."""
    return f"{max(10, round(seconds, -1)):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
