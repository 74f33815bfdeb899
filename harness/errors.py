"""What can go wrong, and the exit code each thing ends with.

The tree::

    TaintlabError                 anything we explain to a person; never shown as a traceback
    ├── UsageError          2     the command line, or a name that does not exist
    ├── InvalidFile         2     a file that says something we cannot accept; carries every Problem found
    ├── LabError            3     the embedded lab could not be built, started or reached
    │   └── BuildFailed     3     compiling the lab's binaries failed
    ├── ClusterError        3     the cluster answered no, or not at all
    │   ├── Refused         3     an answer was had, and it was no (4xx); the write did not happen
    │   ├── Conflict        3     the object changed since it was read (409)
    │   ├── NotFound        3     404
    │   ├── TryLater        3     not now (429, or 401 with fresh credentials); the write did not happen
    │   └── Indeterminate   3     no answer was had; the write may or may not have happened
    ├── CannotRecord        3     the run folder cannot hold what must be written down
    ├── LoadFailed          3     the load process ended without its summary
    └── HealFailed          5     something that taintlab put there is still on the cluster
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from harness.terminal import indented, one_line


class ExitCode(IntEnum):
    """The process exit codes of every verb that judges or touches a cluster."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    INCONCLUSIVE = 3
    ABORTED = 4
    HEAL_FAILED = 5
    INTERRUPTED = 130


_SEVERITY = (
    ExitCode.PASS,
    ExitCode.INCONCLUSIVE,
    ExitCode.FAIL,
    ExitCode.ABORTED,
    ExitCode.USAGE,
    ExitCode.INTERRUPTED,
    ExitCode.HEAL_FAILED,
)


def worst(codes: Sequence[ExitCode]) -> ExitCode:
    """The exit code of a suite: the gravest of its members' (5 > 130 > 2 > 4 > 1 > 3 > 0); PASS for none."""
    return max(codes, key=_SEVERITY.index, default=ExitCode.PASS)


class TaintlabError(Exception):
    """Base of every error that a person is meant to read: one message, and how to fix it."""

    exit_code: ExitCode = ExitCode.INCONCLUSIVE


class UsageError(TaintlabError):
    """A command line that cannot be meant, or a named thing that does not exist."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one place of a file; lines and columns count from 1."""

    file: str
    line: int
    column: int
    message: str
    fix: str = ""

    def __str__(self) -> str:
        """``file:line:column: message (fix)``, the form editors can jump to; always one line."""
        tail = f" ({self.fix})" if self.fix else ""
        return one_line(f"{self.file}:{self.line}:{self.column}: {self.message}{tail}", _LONGEST)


_LONGEST = 1000
"""Characters of one problem on the screen."""
MAX_SHOWN = 100
"""Problems that are shown of one file; the others are counted."""


def shown(problems: Sequence[Problem]) -> list[str]:
    """A line for each of the first MAX_SHOWN problems, and one that counts the rest."""
    lines = [str(problem) for problem in problems[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        lines.append(f"and {len(problems) - MAX_SHOWN:,} more problems")
    return lines


def told(error: TaintlabError) -> str:
    """The error as it is printed: without control characters, and no line of it starts with foreign text."""
    return str(error) if isinstance(error, InvalidFile) else indented(error)


class InvalidFile(TaintlabError):
    """A file we cannot accept; `problems` holds everything found, in file order, never only the first."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[Problem]) -> None:
        """`problems` must not be empty."""
        self.problems = tuple(problems)
        super().__init__("\n".join(shown(self.problems)))


class LabError(TaintlabError):
    """The embedded lab could not be started, found or reached."""


class BuildFailed(LabError):
    """Compiling the lab's binaries failed; the message holds the compiler's last words."""


class ClusterError(TaintlabError):
    """The cluster said no, or could not be reached. `status` is the HTTP status, 0 when there was no answer."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        """`reason` is the API's machine-readable word (``Forbidden``, ``Invalid``, ``Expired`` ...)."""
        super().__init__(message)
        self.status = status
        self.reason = reason


class Refused(ClusterError):
    """The API server answered and refused: the write did not happen."""


class Conflict(Refused):
    """409: the object changed since it was read; read it again before another try."""


class NotFound(Refused):
    """404: no such object."""


class TryLater(Refused):
    """Not now: 429, or a 401 that fresh credentials did not cure. The write did not happen and may be tried again.

    `retry_after_s`: what the server asked for (Retry-After), None when it did not say.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "", retry_after_s: float | None = None) -> None:
        """As ClusterError."""
        super().__init__(message, status=status, reason=reason)
        self.retry_after_s = retry_after_s


class Indeterminate(ClusterError):
    """No answer: the write may or may not have happened. Read before deciding anything.

    `retry_after_s`: what a 5xx asked for (Retry-After), None when it did not say.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "", retry_after_s: float | None = None) -> None:
        """As ClusterError."""
        super().__init__(message, status=status, reason=reason)
        self.retry_after_s = retry_after_s


class CannotRecord(TaintlabError):
    """The run folder cannot hold what must be written down; the message says whether anything was touched."""


class LoadFailed(TaintlabError):
    """The load process ended without its summary record: what it sent cannot be vouched for."""


class HealFailed(TaintlabError):
    """Something that a run put there is still on the cluster; the message lists it, and how to revert it."""

    exit_code = ExitCode.HEAL_FAILED
