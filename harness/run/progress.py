"""Progress that cannot fail a run (whoever listens may be gone), and what is told of evictions while they happen."""

from __future__ import annotations

from collections.abc import Callable

from harness.clock import Instant
from harness.cluster.ports import Progress
from harness.model import events
from harness.run.context import RunContext


class SafeProgress:
    """See `harness.cluster.ports.Progress`. Passes everything on to `inner`, and goes silent for good when that raises
    (a closed terminal, ``| head``, a full disk): a run must end in order whether or not somebody still reads.
    """

    def __init__(self, inner: Progress) -> None:
        """Nothing is said yet."""
        self._inner = inner
        self._silent = False

    def say(self, message: str) -> None:
        """One line worth keeping."""
        self._try(lambda: self._inner.say(message))

    def phase(self, name: str, *, length_s: float) -> None:
        """A phase begins."""
        self._try(lambda: self._inner.phase(name, length_s=length_s))

    def tick(self, tick: events.LoadWindow) -> None:
        """A second of traffic."""
        self._try(lambda: self._inner.tick(tick))

    def evicted(self, pod: str, *, seconds: float) -> None:
        """A pod on a target leaves."""
        self._try(lambda: self._inner.evicted(pod, seconds=seconds))

    def _try(self, speak: Callable[[], None]) -> None:
        if self._silent:
            return
        try:
            speak()
        except Exception:  # whatever it is, it is no reason to leave a taint on a node
            self._silent = True


class Evictions:
    """Tells of each pod on a target that is seen to leave after the first injection; each once."""

    def __init__(self, context: RunContext, injected_ns: Callable[[], int | None]) -> None:
        """`injected_ns`: when the first injection was acknowledged, by the recorder's count; None: not yet."""
        self._context = context
        self._injected_ns = injected_ns
        self._told: set[str] = set()

    def tell(self, seen: events.PodSeen, arrived: Instant) -> None:
        """For `Observer.on_pod`."""
        injected_ns = self._injected_ns()
        if injected_ns is None or not seen.deletion_timestamp or seen.node not in self._context.targets:
            return
        if seen.uid not in self._told:
            self._told.add(seen.uid)
            seconds = (self._context.recorder.at_ns(arrived) - injected_ns) / 1e9
            self._context.progress.evicted(f"{seen.namespace}/{seen.name}", seconds=seconds)
