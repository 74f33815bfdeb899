"""Where pods can go: kube-scheduler's filters over a snapshot, replacements placed one after the other.

``place_all(scheduler, requests, ...)`` answers for each pod whether it fits, fits only where it will be evicted again,
fits by preempting others, or stays Pending, with the scheduler's own words. Built for size: filters run once for each
class of equal nodes and template of equal pods (`nodes`, `static_filters`), nodes wait in heaps (`candidates`), and
only rules that look at other pods (`plugins`, `filters`, `existing_pods`) are asked node by node. Pure.
"""

from harness.semantics.scheduling.candidates import Placed
from harness.semantics.scheduling.placement_queue import Placement, PlacementOutcome, Placements, Request, place_all
from harness.semantics.scheduling.scheduler import Scheduler

__all__ = ["Placed", "Placement", "PlacementOutcome", "Placements", "Request", "Scheduler", "place_all"]
