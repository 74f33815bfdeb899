"""How many endpoints of a Service were ready, and when that is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.check.record import RunRecord

Points = Sequence[tuple[int, int]]
"""(t_ns, ready endpoints) at every change."""


def endpoint_counts(record: RunRecord) -> Mapping[str, Points]:
    """Ready endpoints of each Service the experiment applied, by ``namespace/name``, summed over its slices."""
    ours = {(m.namespace or "default", m.name) for m in record.experiment.workload if m.kind == "Service"}
    seen = record.index.endpoints.items()
    return {f"{namespace}/{name}": points for (namespace, name), points in seen if (namespace, name) in ours}


def ready_at(points: Points, t_ns: int) -> int:
    """The count at that instant; 0 before any was seen."""
    return next((count for at_ns, count in reversed(points) if at_ns <= t_ns), 0)


def not_listed(record: RunRecord) -> str:
    """Why the silence of the watch of the EndpointSlices proves nothing; "" when they were listed at the end."""
    listed = record.index.closing_list("endpointslices")
    if listed is not None and listed[1].ok:
        return ""
    message = listed[1].message if listed else ""
    return "the EndpointSlices were not listed at the end" + (f": {message}" if message else "")
