"""A row of the conformance table against a replay of it: both bounds, and what a busy machine may do to the upper one.

Four things hold on any machine: lower bounds, outcomes, the distance between the pods of one script, and that somebody
of each rule leaves as soon as on a quiet machine. The rest is `tests.slowness`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from harness.plan.allowance import CAP_S, needed_s
from harness.replay.replayer import Replayed
from harness.semantics.eviction import predict
from tests.conformance.rows import Expected, Row, rows
from tests.fuzz.differential import EARLY_S, Comparison, compare
from tests.slowness import Found, after, restarts

LATE_S = 0.1
"""A write answered so much later than its row says, or a first one that took so long, made another script of it."""
EVEN_S, UNEVEN_SHARE = 0.25, 0.5
"""Pods of one script may be late by so much more than each other, and by this share of what the machine needed."""
QUICK_S = 0.6
"""Rows that expect a pod within so little of its time wait for nothing: no client limits, no restart."""
MANY, SOONEST_SHARE = 5, 0.5
"""So many scripts in which all are late by more than this share of what the machine needed at least are no accident."""


def quick_rules(row: Row) -> dict[str, str]:
    """The rule by which each pod leaves that must leave at once when it is due."""
    found = predict(row.scenario, row.settings).by_name
    return {
        name: str(found[name].rule)
        for name, each in row.pods.items()
        if each.earliest_s is not None and each.latest_s is not None and each.latest_s - each.earliest_s <= QUICK_S
    }


QUICK = {row.id: quick_rules(row) for row in rows()}
RULES = tuple(
    rule
    for rule in sorted({rule for found in QUICK.values() for rule in found.values()})
    if sum(rule in found.values() for found in QUICK.values()) >= MANY
)
"""Those of which there are scripts enough."""


def always_late(rule: str, results: Sequence[tuple[Row, Replayed]]) -> Found:
    """Whether nobody who leaves by `rule` left as soon as on a quiet machine."""
    soonest_s: dict[str, float] = {}
    need_s: list[float] = []
    for row, result in results:
        names = [name for name, each in QUICK[row.id].items() if each == rule]
        beyond_s = _beyond_s(row, result) if names else {}
        for name in names:
            at_s = result.pods[name].at_s
            if name in beyond_s and at_s is not None:
                soonest_s[row.id] = min(soonest_s.get(row.id, beyond_s[name]), beyond_s[name])
                need_s.append(needed_s(result.measured, at_s - beyond_s[name], at_s))
    allowed_s = SOONEST_SHARE * min((CAP_S, *need_s))
    if soonest_s and min(soonest_s.values()) <= allowed_s:
        return Found()
    line = f"{rule}: more than {allowed_s:.3f} s late in {len(soonest_s)} of {len(soonest_s)} scripts: {soonest_s}"
    if len(soonest_s) < MANY or min(need_s) > CAP_S:
        return Found(too_busy=(line,))
    return Found(wrong=(line,))


def _beyond_s(row: Row, result: Replayed) -> Mapping[str, float]:
    """How much later than on a quiet machine each pod left, or how much sooner (negative)."""
    if was_late(result):
        return as_it_went(row, result).beyond_s
    ends = ((name, result.pods[name].at_s, expected.latest_s) for name, expected in row.pods.items())
    return {name: at_s - latest_s for name, at_s, latest_s in ends if at_s is not None and latest_s is not None}


def was_late(result: Replayed) -> bool:
    """Whether the writes went out otherwise than the row says."""
    return lateness_s(result) > LATE_S


def lateness_s(result: Replayed) -> float:
    """How long a write took at most to be answered, beyond its time; the first one is answered at its time."""
    first_s = [done.acknowledged_s - done.sent_s for done in result.performed[:1]]
    return max((result.late_s, *first_s))


def differences(row: Row, result: Replayed) -> Found:
    """What the real controllers did differently from what the row expects."""
    if was_late(result):
        return _of_another_script(row, result)
    wrong = [
        f"{name}: {result.pods[name].outcome} at {result.pods[name].at_s}, expected {expected}"
        for name, expected in row.pods.items()
        if result.pods[name].outcome != expected.outcome
    ]
    if row.refused is not None and result.refused != row.refused:
        wrong.append(f"refused writes {result.refused}, expected {row.refused}")
    if wrong:
        return _open_or_wrong(row, result, tuple(wrong))
    found = Found()
    for name, expected in row.pods.items():
        found += _in_time(row, name, expected, result)
    last_s = max((end.at_s for end in result.pods.values() if end.at_s is not None), default=0.0)
    if row.last_after_s is not None and last_s < row.last_after_s:
        found += Found(wrong=(f"all over after {last_s} s, not before {row.last_after_s} s were expected",))
    return found if found != Found() else _uneven(row, result)


def _open_or_wrong(row: Row, result: Replayed, lines: tuple[str, ...]) -> Found:
    """Whether that outcome would be open, by the predictor, on a machine as slow as this one was."""
    said = compare(row.scenario, result, row.settings)
    is_open = not said.found.wrong and (said.found.too_busy or said.unsure)
    return Found(too_busy=lines) if is_open else Found(wrong=lines)


def _of_another_script(row: Row, result: Replayed) -> Found:
    """The writes went out late: the predictor says what must become of the script as it went. Where that is open, or
    something else than the row's, the replay tells nothing of the row.
    """
    said = as_it_went(row, result)
    same = all(result.pods[name].outcome == expected.outcome for name, expected in row.pods.items())
    same = same and row.refused in (None, result.refused)
    if said.found != Found() or (same and not said.unsure):
        return said.found
    return Found(too_busy=(f"a write was {lateness_s(result):.3f} s late",))


def as_it_went(row: Row, result: Replayed) -> Comparison:
    """What the predictor says of the script as it went."""
    known = row.settings
    together = replace(known.latency, together_s=max(known.latency.together_s, 0.01))
    return compare(row.scenario, result, replace(known, latency=together))


def _in_time(row: Row, name: str, expected: Expected, result: Replayed) -> Found:
    """Whether the deletion was seen in time, where a time is expected."""
    earliest_s, latest_s, at_s = expected.earliest_s, expected.latest_s, result.pods[name].at_s
    if earliest_s is None or latest_s is None:
        return Found()
    line = f"{name}: evicted at {at_s}, expected {expected}"
    if at_s is None or at_s < earliest_s - EARLY_S:
        return Found(wrong=(line,))
    due_s = earliest_s if name in QUICK[row.id] else latest_s
    restarted = restarts(row.scenario)
    return after(line, due_s=due_s, latest_s=latest_s, at_s=at_s, replayed=result, restarted=restarted)


def _uneven(row: Row, result: Replayed) -> Found:
    """A busy machine makes the pods of a script late together: two of them keep their distance."""
    late: dict[str, tuple[float, float]] = {}
    for name in QUICK[row.id]:
        at_s, due_s = result.pods[name].at_s, row.pods[name].earliest_s
        if at_s is not None and due_s is not None:
            late[name] = at_s - due_s, needed_s(result.measured, due_s, at_s)
    out = []
    for (one, (one_s, one_need_s)), (other, (other_s, other_need_s)) in combinations(late.items(), 2):
        allowed_s = EVEN_S + UNEVEN_SHARE * min(CAP_S, max(one_need_s, other_need_s))
        if abs(one_s - other_s) > allowed_s:
            out.append(f"{one} late by {one_s:.3f} s, {other} by {other_s:.3f} s: more than {allowed_s:.3f} s apart")
    return Found(late=tuple(out))
