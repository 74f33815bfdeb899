"""When requests are due: a schedule fixed before the first one is sent, so that a slow service cannot slow its judge.

The schedule is stored with the run (``arrivals.bin``) instead of being derived again from the seed: a logarithm may
differ in its last bit between C libraries, and a run must be judged from its folder alone. Arrival `i` belongs to
process ``i % processes``; the schedule itself does not depend on the number of processes.
"""

from __future__ import annotations

import hashlib
import math
import random
import sys
from array import array
from pathlib import Path

from harness.errors import UsageError
from harness.files import read_regular, write_whole
from loadgen.config import MAX_ARRIVALS, ArrivalKind

FILE_NAME = "arrivals.bin"
"""In the run's load folder: little-endian int64 nanoseconds after the start of traffic, ascending."""

NS_PER_S = 1_000_000_000


def schedule(kind: ArrivalKind, *, rate_per_s: float, duration_s: float, seed: int) -> array[int]:
    """Offsets in ns from the start of traffic, ascending, all below `duration_s`; at least one.

    ``poisson``: exponential gaps with mean 1/rate from ``random.Random(seed)``; ``uniform``: arrival k at k/rate.
    A poisson schedule whose first gap is longer than the run has its one arrival at 0.
    """
    match kind:
        case ArrivalKind.UNIFORM:
            count = max(1, math.ceil(rate_per_s * duration_s))
            return array("q", (round(k * NS_PER_S / rate_per_s) for k in range(count)))
        case ArrivalKind.POISSON:
            return _poisson(rate_per_s, duration_s=duration_s, seed=seed)


def _poisson(rate_per_s: float, *, duration_s: float, seed: int) -> array[int]:
    draw = random.Random(seed).random  # noqa: S311 - chance that must repeat, not chance that must surprise
    offsets = array("q")
    at_s = 0.0
    while True:
        at_s -= math.log(1.0 - draw()) / rate_per_s
        if at_s >= duration_s:
            return offsets or array("q", [0])
        offsets.append(round(at_s * NS_PER_S))


def stripe(offsets: array[int], *, process: int, processes: int) -> array[int]:
    """The offsets that process `process` of `processes` sends; its k-th is arrival ``process + k * processes``."""
    return offsets[process::processes]


def digest(offsets: array[int]) -> str:
    """SHA-256 (hex) of the schedule as stored."""
    return hashlib.sha256(_little_endian(offsets).tobytes()).hexdigest()


def write(offsets: array[int], path: Path) -> None:
    """Store the schedule; an existing file is replaced."""
    write_whole(path, _little_endian(offsets).tobytes())


def read(path: Path) -> array[int]:
    """Read what `write` wrote. Raises UsageError when it is missing or torn."""
    offsets = array("q")
    try:
        offsets.frombytes(read_regular(path, cap=2 * MAX_ARRIVALS * offsets.itemsize))
    except (UsageError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as an arrival schedule: {error}") from error
    return _little_endian(offsets)


def _little_endian(offsets: array[int]) -> array[int]:
    """The same offsets in the file's byte order; its own inverse."""
    if sys.byteorder == "little":
        return offsets
    swapped = offsets[:]
    swapped.byteswap()
    return swapped
