"""What a person sees while a run goes on: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import deque
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.clock import Clock
from harness.cluster.ports import Progress, Tick
from harness.terminal import one_line

_PLAIN_EVERY_S = 5


def progress_for(stream: TextIO, clock: Clock) -> LiveProgress | PlainProgress:
    """The live line when `stream` is a terminal, plain lines otherwise."""
    console = Console(file=stream)
    return LiveProgress(console, clock) if console.is_terminal else PlainProgress(stream)


class PlainProgress:
    """A line for each phase, each eviction, and every five seconds of traffic. Made for logs."""

    def __init__(self, stream: TextIO) -> None:
        """Lines go to `stream`, flushed one by one."""
        self._stream = stream
        self._ticks: deque[Tick] = deque(maxlen=_PLAIN_EVERY_S)
        self._count = 0

    def __enter__(self) -> Progress:
        """Nothing to set up."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to take down."""

    def say(self, message: str) -> None:
        """One line."""
        print(f"  {one_line(message)}", file=self._stream, flush=True)

    def phase(self, name: str, *, length_s: float) -> None:
        """A phase begins."""
        print(f"{name} ({length_s:g} s)", file=self._stream, flush=True)

    def tick(self, tick: Tick) -> None:
        """Every fifth second, the five together."""
        self._ticks.append(tick)
        self._count += 1
        if self._count % _PLAIN_EVERY_S == 0:
            self.say(traffic_text(list(self._ticks)))

    def evicted(self, pod: str, *, seconds: float) -> None:
        """A pod leaves."""
        self.say(f"{one_line(pod)} leaves {seconds:.2f} s after the taint")


def traffic_text(ticks: list[Tick]) -> str:
    """``99/s, 0 bad, p99 4.1 ms`` of the last seconds (p99: the worst second's)."""
    due, bad = sum(t.due for t in ticks), sum(t.bad for t in ticks)
    slowest = max((t.p99_ms for t in ticks if t.p99_ms is not None), default=None)
    p99 = "no answers" if slowest is None else f"p99 {slowest:.1f} ms"
    return f"{due / max(1, len(ticks)):.0f}/s, {bad} bad, {p99}"


class LiveProgress:
    """Phase, countdown, rate, bad requests, p99 and evictions, redrawn in place; what is worth keeping scrolls
    above.
    """

    def __init__(self, console: Console, clock: Clock) -> None:
        """Nothing is drawn before the context is entered."""
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._render, transient=True)
        self._clock = clock
        self._phase, self._phase_ends_ns = "", 0
        self._length_s = 0.0
        self._ticks: deque[Tick] = deque(maxlen=_PLAIN_EVERY_S)
        self._bad = 0
        self._evictions = 0

    def __enter__(self) -> Progress:
        """Take over the bottom of the terminal."""
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._live.__exit__(None, None, None)

    def say(self, message: str) -> None:
        """One line that stays."""
        self._live.console.print(Text(f"  {one_line(message)}", style="dim"))

    def phase(self, name: str, *, length_s: float) -> None:
        """A phase begins."""
        self._phase, self._length_s = name, length_s
        self._phase_ends_ns = self._clock.now().mono_ns + int(length_s * 1e9)

    def tick(self, tick: Tick) -> None:
        """Another second."""
        self._ticks.append(tick)
        self._bad += tick.bad

    def evicted(self, pod: str, *, seconds: float) -> None:
        """A pod leaves; it stays on the screen."""
        self._evictions += 1
        self._live.console.print(Text(f"  {one_line(pod)} leaves {seconds:.2f} s after the taint"))

    def _render(self) -> RenderableType:
        if not self._phase:
            return Text("  preparing ...", style="dim")
        left_s = max(0.0, (self._phase_ends_ns - self._clock.now().mono_ns) / 1e9)
        done = 1 - left_s / self._length_s if self._length_s else 1.0
        bar = Text("━" * int(24 * done), style="cyan") + Text("━" * (24 - int(24 * done)), style="grey37")
        line = Table.grid(padding=(0, 2))
        name = Text(f"{self._phase:9}", style="bold red" if self._phase == "fault" else "bold")
        cells: list[RenderableType] = [name, bar, f"{left_s:4.0f} s left"]
        if self._ticks:
            cells.append(traffic_text(list(self._ticks)))
            cells.append(Text(f"{self._bad} bad so far", style="red" if self._bad else "green"))
        cells.append(f"{self._evictions} evictions")
        line.add_row(*cells)
        return Group(line)
