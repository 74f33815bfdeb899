"""The client of kube-controller-manager that all evictions go through: a token bucket with a queue before it.

Each deletion takes three requests; its event (and each "Cancelling deletion" event) trails behind when tokens are left
over. Requests are served in the order they came, but a pod's three come one after the other, so pods due at once leave
in no order: what can be said of each is when the queue is empty again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.semantics.eviction.settings import Settings

REQUESTS_PER_DELETION = 3
"""GET, PATCH of the status, DELETE (measured: the event does not hold them up)."""
REQUESTS_AFTER_RESTART = 6
"""At most, until the DELETE of a pod that is due when the process has just begun: its node and the pod itself are both
news, each cancels what it finds and starts a deletion, and either DELETE may be the last of all (taint_eviction.go,
handleNodeUpdate and handlePodUpdate; measured: the last of 30 and of 100 pods after 4.4 to 5.9 requests for each).
"""
REQUESTS_TRAILING = 4
"""Of such a pod, at most, when it is deleted: what finds nothing is tried five times."""
REQUESTS_PER_RETRY = 5
"""At most, for a pod that is deleted once more while it waits: five GETs that find nothing."""

EVENTS_PER_S = 200.0
"""They are written one after the other, each waiting for its answer."""


@dataclass(slots=True)
class DeleteBurst:
    """Deletions that wait for each other. `end_s`: when the last of their requests is let through, as known so far."""

    start_s: float
    end_s: float
    deletions: int = 0
    each_s: float = 0.0
    slack_s: float = 0.0

    @property
    def wait_s(self) -> float:
        """How long the throttle holds the last of them back."""
        return self.end_s - self.start_s

    @property
    def done_s(self) -> float:
        """By when every one of them has been deleted."""
        return max(self.end_s, self.start_s + self.deletions * self.each_s) + self.slack_s


@dataclass(slots=True)
class Throttle:
    """The bucket's state at `now_s`: `tokens` (negative: requests that wait), `events` that wait behind them.

    `_trailing`: of the requests that wait, those that stand behind every deletion of this instant.
    """

    settings: Settings
    now_s: float = float("-inf")
    tokens: float = 0.0
    events: float = 0.0
    _rush: DeleteBurst = field(init=False)
    _trailing: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """A fresh client starts with a full bucket."""
        self.reset(0.0)

    def reset(self, at_s: float) -> None:
        """A new process: full bucket, nothing waits."""
        self.now_s, self.tokens, self.events = at_s, float(self.settings.kcm_burst), 0.0
        self._rush = DeleteBurst(float("-inf"), float("-inf"))
        self._trailing = 0

    def delete(
        self, at_s: float, count: int = 1, requests: int = REQUESTS_PER_DELETION, *, trailing: int = 0
    ) -> DeleteBurst:
        """`count` deletions of so many requests become due at `at_s` (not before the last call's); the burst they
        belong to. `trailing`: requests of each that follow, and hold up only what comes later.
        """
        self._advance(at_s)
        if at_s > self._rush.end_s:
            latency = self.settings.latency
            self._rush = DeleteBurst(at_s, at_s, 0, latency.delete_each_s, latency.delete_s)
        self.tokens -= count * requests
        self.events += count
        burst = self._rush
        burst.deletions += count
        burst.end_s = max(burst.end_s, at_s + max(0.0, -self.tokens - self._trailing) / self.settings.kcm_qps)
        self.tokens -= count * trailing
        self._trailing += count * trailing
        return burst

    def event(self, at_s: float) -> None:
        """One more event to write ("Cancelling deletion")."""
        self._advance(at_s)
        self.events += 1

    def _advance(self, at_s: float) -> None:
        passed_s = at_s - self.now_s
        if passed_s <= 0:
            return
        self.tokens += self.settings.kcm_qps * passed_s
        written = min(self.events, max(0.0, self.tokens), EVENTS_PER_S * passed_s)
        self.events -= written
        self.tokens = min(float(self.settings.kcm_burst), self.tokens - written)
        self._trailing = 0
        self.now_s = at_s
