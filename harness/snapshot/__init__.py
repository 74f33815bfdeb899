"""A cluster's snapshot: read from an API server by pages, kept in a file, made into a `ClusterState`.

::

    reading = Reading()
    async for page in pages(cluster, reading):   # wire objects, pruned
        builder.add(page)
    state = builder.build(kubernetes_version=..., taken=..., missing=reading.missing)

A file is a v1 List in JSON; `read_world` also takes what ``kubectl get nodes,pods -A -o json`` prints.
"""

from harness.snapshot.collect import Reading, pages
from harness.snapshot.convert import Builder
from harness.snapshot.live import LiveSnapshot, nodes_of
from harness.snapshot.worldfile import Header, WorldWriter, read_world

__all__ = ["Builder", "Header", "LiveSnapshot", "Reading", "WorldWriter", "nodes_of", "pages", "read_world"]
