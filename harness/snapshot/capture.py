"""A cluster read whole: into memory for a plan, or page by page into a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from harness.clock import Clock
from harness.cluster.ports import Cluster
from harness.errors import ClusterError
from harness.model.state import ClusterState
from harness.snapshot.collect import Reading, pages
from harness.snapshot.convert import Builder
from harness.snapshot.worldfile import VERSION, Header, WorldWriter


async def capture(cluster: Cluster, *, kubernetes_version: str, clock: Clock) -> ClusterState:
    """The state of `cluster`, as far as plans look at it; ClusterError when nodes or pods cannot be had, or an object
    cannot be read.
    """
    builder, reading = Builder(), Reading()
    try:
        async for page in pages(cluster, reading):
            builder.add(page)
        return builder.build(kubernetes_version=kubernetes_version, taken=clock.now().wall, missing=reading.missing)
    except ValueError as error:
        raise ClusterError(f"{cluster.name} has an object that plans cannot read: {error}") from error


async def save(
    cluster: Cluster,
    stream: IO[bytes],
    *,
    packed: bool,
    kubernetes_version: str,
    flags: Sequence[str],
    clock: Clock,
) -> Header:
    """Write the state of `cluster` to `stream` (gzip when `packed`), a page at a time; the header written. `flags`:
    those of its components that decide evictions.
    """
    taken, reading = clock.now().wall, Reading()
    writer = WorldWriter(stream, packed=packed)
    async for page in pages(cluster, reading):
        writer.add(page)
    header = Header(
        version=VERSION,
        kubernetes=kubernetes_version,
        taken=taken,
        cluster=cluster.name,
        missing={subject.value: why for subject, why in reading.missing.items()},
        flags=list(flags),
    )
    writer.close(header)
    return header
