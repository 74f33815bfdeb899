"""What a scripted API server is told to do wrong: troubles of requests, and the weather of its watches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Match:
    """Which requests. `path`: a regular expression that must match all of the path; `watch` None: watch or not;
    `query`: parameters that must be there with that value.
    """

    method: str = "*"
    path: str = ".*"
    watch: bool | None = None
    query: Mapping[str, str] = field(default_factory=dict)

    def hits(self, method: str, path: str, query: Mapping[str, str]) -> bool:
        """Whether a request is meant."""
        watching = query.get("watch") in ("true", "1")
        return (
            self.method in ("*", method)
            and re.fullmatch(self.path, path) is not None
            and self.watch in (None, watching)
            and all(query.get(key) == value for key, value in self.query.items())
        )


@dataclass(frozen=True)
class Answer:
    """Answers this instead of doing it. `body`: JSON, or bytes as they are; None: a Status object of that code."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Hold:
    """Waits `seconds` before doing it, and does it even when the client has gone: a write that lands late."""

    seconds: float


@dataclass(frozen=True)
class HoldAnswer:
    """Does it at once and answers `seconds` later."""

    seconds: float


@dataclass(frozen=True)
class Drop:
    """Cuts the connection without an answer; `after` True: having done it."""

    after: bool = False


@dataclass(frozen=True)
class Drip:
    """Does it, and sends the answer a byte each `seconds`."""

    seconds: float


Trouble = Answer | Hold | HoldAnswer | Drop | Drip


@dataclass
class Rule:
    """`what` happens to the matching requests number `first` to `first + times - 1` (`times` None: all from there).

    `seen` counts the matching requests; a rule that is `off` counts nothing.
    """

    match: Match
    what: Trouble
    first: int = 1
    times: int | None = None
    off: bool = False
    seen: int = 0

    def takes(self, method: str, path: str, query: Mapping[str, str]) -> bool:
        """Count a request; whether this rule has it."""
        if self.off or not self.match.hits(method, path, query):
            return False
        self.seen += 1
        return self.seen >= self.first and (self.times is None or self.seen < self.first + self.times)


@dataclass(frozen=True)
class Weather:
    """How watches of a path are served, new and open ones, until it changes.

    `silent`: open, and no bytes (half-open connections look like that). `late_s`: every line that much later.
    `loses`: a regular expression on ``TYPE path`` (``DELETED /api/v1/namespaces/a/pods/b``): those lines are never
    sent. `bookmarks` False: none.
    """

    silent: bool = False
    late_s: float = 0.0
    loses: str = ""
    bookmarks: bool = True

    def drops(self, change: str, path: str) -> bool:
        """Whether a line is lost."""
        return bool(self.loses) and re.fullmatch(self.loses, f"{change} {path}") is not None


FAIR = Weather()
