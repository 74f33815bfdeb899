"""Where pods can go: kube-scheduler's filters over a snapshot, replacements placed one after the other.

``place_all(engine, requests, ...)`` answers for each pod whether it fits, fits only where it will be evicted again,
fits by throwing out others, or stays Pending, with the scheduler's own words. Built for size: filters run once for each
class of equal nodes and template of equal pods (`nodes`, `grounds`), nodes wait in heaps (`candidates`), and only rules
that look at other pods (`rules`, `rulebook`, `company`) are asked node by node. Pure.
"""

from harness.semantics.scheduling.candidates import Spot
from harness.semantics.scheduling.placement_queue import Fate, Placed, Placement, Request, place_all
from harness.semantics.scheduling.scheduler import Engine

__all__ = ["Engine", "Fate", "Placed", "Placement", "Request", "Spot", "place_all"]
