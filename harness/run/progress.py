"""Progress that cannot hurt: whoever listens may be gone."""

from __future__ import annotations

from collections.abc import Callable

from harness.cluster.ports import Progress, Tick


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

    def tick(self, tick: Tick) -> None:
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
