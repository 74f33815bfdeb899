"""Who must leave, and how soon: the rules of upstream's taint eviction once more, each with one way to get it wrong.

Written over the API's own JSON and sharing nothing with `harness.semantics.eviction`: an experiment that passes against
this, and against upstream's controller, was not judged by the rules that made it pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]


class Defect(StrEnum):
    """One rule broken; each value says what the controller then does."""

    NONE = "keeps every rule"
    SECONDS_IGNORED = "ignores tolerationSeconds"
    COUNTDOWN_RESET = "sets a running countdown anew"
    EDITS_HONOURED = "honours edited seconds"
    LAST_MATCH_WINS = "takes the last match"
    RESTART_OUTLIVED = "outlives a restart"
    NEWCOMERS_SPARED = "spares newcomers"
    BUDGET_RESPECTED = "asks for evictions"
    NO_SCHEDULE_EVICTS = "evicts for NoSchedule too"
    TWO_SECONDS_LATE = "is two seconds late"


def evicting(taints: Sequence[Json], defect: Defect) -> list[Json]:
    """Those of a node's taints that evict, in order."""
    effects = ("NoExecute", "NoSchedule") if defect is Defect.NO_SCHEDULE_EVICTS else ("NoExecute",)
    return [taint for taint in taints if taint["effect"] in effects]


def patience_s(taints: Sequence[Json], tolerations: Sequence[Json], defect: Defect) -> float | None:
    """Seconds that a pod may stay with `taints` (all of them evict, at least one); inf: for ever; None: not at all.

    Of the tolerations that match a taint the first decides; of the taints the one with the fewest seconds
    (getMinTolerationTime in pkg/controller/tainteviction/taint_eviction.go).
    """
    shortest_s = math.inf
    for taint in taints:
        matching = [toleration for toleration in tolerations if tolerates(toleration, taint)]
        if not matching:
            return None
        seconds = matching[-1 if defect is Defect.LAST_MATCH_WINS else 0].get("tolerationSeconds")
        if seconds is not None and defect is Defect.SECONDS_IGNORED:
            return None
        if seconds is not None:
            shortest_s = min(shortest_s, max(0.0, float(seconds)))
    return shortest_s


def tolerates(toleration: Json, taint: Json) -> bool:
    """Whether one toleration matches one taint; Exists and Equal only (Gt and Lt are behind an alpha gate)."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    operator = toleration.get("operator") or "Equal"
    same_value = (toleration.get("value") or "") == (taint.get("value") or "")
    return operator == "Exists" or (operator == "Equal" and same_value)
