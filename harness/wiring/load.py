"""The load port over `loadgen.process`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from harness.clock import Clock
from harness.cluster.ports import Traffic
from harness.errors import LoadFailed
from harness.model.events import LoadWindow
from harness.model.experiment import Experiment, Load
from loadgen.config import ArrivalKind, ConnectionKind, LoadConfig
from loadgen.process import LoadProcess
from loadgen.protocol import Second, to_json

#: Steps take time too: the schedule is longer than the phases together, and the run stops it.
_SPARE_S = 60.0


def load_config(experiment: Experiment, load: Load) -> LoadConfig:
    """What the load process is told. UsageError naming every field that cannot be sent."""
    thresholds_s = [slo.threshold_s for slo in experiment.expect.slos if slo.threshold_s is not None]
    return LoadConfig(
        url=load.url,
        rate_per_s=load.rate_per_s,
        duration_s=experiment.phases.total_s + _SPARE_S,
        seed=load.seed,
        name=experiment.name,
        method=load.method,
        headers=load.headers,
        body=load.body.encode(),
        timeout_s=load.timeout_s,
        threshold_s=min(thresholds_s, default=None),
        arrivals=ArrivalKind(load.arrivals),
        connection=ConnectionKind(load.connection),
        processes=load.processes,
    )


class LoadgenDriver:
    """See `harness.cluster.ports.LoadDriver`."""

    def __init__(
        self, config: LoadConfig, folder: Path, *, prefix: tuple[str, ...], clock: Clock, keep_secrets: bool = False
    ) -> None:
        """`prefix`: argv that puts the load process where the service can be reached. `keep_secrets`: store what is
        sent as it is, rather than hashed.
        """
        self._config = config
        self._folder = folder
        self._prefix = prefix
        self._keep_secrets = keep_secrets
        self._process = LoadProcess(clock=clock)

    async def start(self) -> None:
        """LoadFailed when it does not come up."""
        await self._process.start(self._config, self._folder, prefix=self._prefix, keep_secrets=self._keep_secrets)

    async def ticks(self) -> AsyncIterator[LoadWindow]:
        """Live seconds."""
        async for second in self._process.seconds():
            yield tick_of(second)

    async def stop(self) -> Traffic:
        """Stop; the summary, or why there is none."""
        try:
            summary = await self._process.stop()
        except LoadFailed as error:
            return Traffic(ok=False, message=str(error))
        finally:
            await self._process.close()
        plain = to_json(replace(summary, lateness_buckets={}))
        return Traffic(ok=True, summary=plain)


def tick_of(second: Second) -> LoadWindow:
    """A live second in the run's words. Bad is what an objective calls bad (failed, or slower than the strictest
    threshold), counted as soon as that is certain: a guard that waited for answers would see a hang only one timeout
    later.
    """
    return LoadWindow(
        due=second.due,
        sent=second.sent,
        done=second.done,
        bad=second.slo_bad,
        p50_ms=second.p50_ms,
        p99_ms=second.p99_ms,
        in_flight=second.in_flight,
        lateness_p99_ms=second.lateness_p99_ms,
        cpu=second.cpu,
    )
