"""Noticing that answers come late: the way to the API server stands still, or everything on it is slow.

A watch that is late by less than whole-second stamps can tell looks alive. A request beside it that is answered late
says that what the watch showed meanwhile may be late as well. It shares the way with the watches, not the connection: a
single connection that is late by so little, alone, is not noticed.
"""

from __future__ import annotations

from harness.clock import sleep
from harness.cluster.ports import Cluster
from harness.errors import ClusterError, Indeterminate
from harness.history.record import Recorder
from harness.model import events

EVERY_S = 1.0
SLOW_S = 0.75
"""An answer that took longer is late. Verdicts allow a second from the instant a deletion is due to the instant it is
seen, of which a quiet control plane needs a tenth: what is later by less than this makes no pod late."""
DRAIN_S = 0.25
"""What was held up comes at the same time as the late answer, give or take this."""


async def watch_answers(cluster: Cluster, recorder: Recorder) -> None:
    """Ask until cancelled; each late answer is a WatchGap of `events.ANSWERS`, from when the last prompt one was asked
    for: what was sent before that had come by the time it was answered.
    """
    prompt_ns = recorder.now_ns()
    while True:
        asked_ns = recorder.now_ns()
        answered = await _is_answered(cluster)
        now_ns = recorder.now_ns()
        took_s = (now_ns - asked_ns) / 1e9
        if took_s > SLOW_S:
            why = f"an answer of the API server took {took_s:.2f} s"
            gap = events.WatchGap(events.ANSWERS, prompt_ns, why, now_ns + round(DRAIN_S * 1e9))
            recorder.record(gap, source="watch")
        elif answered:
            prompt_ns = asked_ns
        # After a late one at once: only a prompt one says that the lateness is over.
        await sleep(recorder.clock, EVERY_S if took_s <= SLOW_S else 0.0)


async def _is_answered(cluster: Cluster) -> bool:
    """A refusal is an answer; a lost connection is none, and says nothing of the watches, which have their own."""
    try:
        await cluster.clock_offset_ms()
    except Indeterminate:
        return False
    except ClusterError:
        return True
    return True
