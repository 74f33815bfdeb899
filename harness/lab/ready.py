"""Waiting until a fresh lab is good for use: by watch where the API can be watched, always with a deadline.

Every wait calls `alive` in between, which raises when a component has died, and a deadline that passes says what was
last seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from harness.errors import LabError
from harness.lab.api import NO_ANSWER, Api, ApiRefused
from harness.lab.bootstrap import Object
from harness.lab.deadline import Deadline
from harness.model import wellknown

NODES = "/api/v1/nodes"
_RETRY_S = 0.025
_WATCH_S = 2.0
"""How long one watch lasts before `alive` is asked again."""
_NOT_READY_TAINTS = (wellknown.NOT_READY, wellknown.NETWORK_UNAVAILABLE)


class TimedOut(LabError):
    """A deadline passed; the message says what was waited for and what was last seen."""


def api_answers(api: Api, *, deadline: Deadline, alive: Callable[[], None]) -> None:
    """Returns when the API server serves the default namespace.

    There is nothing to watch before it listens: it is asked every 25 ms.
    """
    last = "nothing"
    while not deadline.passed:
        try:
            api.request("GET", "/api/v1/namespaces/default")
            return
        except ApiRefused as refused:
            last = str(refused)
        except NO_ANSWER as error:
            last = f"{type(error).__name__}: {error}"
        alive()
        _pause(deadline)
    raise TimedOut(f"the API server did not answer in time; last seen: {last}")


def created(api: Api, item: Object, *, deadline: Deadline, alive: Callable[[], None]) -> None:
    """Creates an object, again while its namespace is not there yet or the API server is still settling."""
    path, body = item
    name = f"{body['kind']} {body['metadata']['name']}"
    last = ""
    while not deadline.passed:
        try:
            api.ensure(path, body)
            return
        except ApiRefused as refused:
            if refused.status not in (403, 404, 429, 500, 503):
                raise LabError(f"{name} could not be created: {refused}") from refused
            last = str(refused)
        except NO_ANSWER as error:
            last = str(error)
        alive()
        _pause(deadline)
    raise TimedOut(f"{name} could not be created in time: {last}")


def healthy(api: Api, *, deadline: Deadline, alive: Callable[[], None]) -> None:
    """Returns when the API server calls itself healthy, which is what the controller manager waits for."""
    last = ""
    while not deadline.passed:
        try:
            api.request("GET", "/healthz")
            return
        except (ApiRefused, *NO_ANSWER) as error:
            last = str(error)
        alive()
        _pause(deadline)
    raise TimedOut(f"the API server did not become healthy in time: {last}")


def nodes_ready(
    api: Api,
    wanted: Collection[str],
    *,
    deadline: Deadline,
    alive: Callable[[], None],
    on_seen: Callable[[str], None],
) -> None:
    """Returns when every node in `wanted` is Ready and without the taints that keep pods off a new node.

    The second is the controller manager's work, so it also says that the controllers run. `on_seen` is called once
    with each node's name when it is registered.
    """
    states: dict[str, str] = dict.fromkeys(wanted, "not registered")
    seen: set[str] = set()

    def note(node: Mapping[str, Any]) -> None:
        name = node["metadata"]["name"]
        if name not in states:
            return
        states[name] = node_state(node)
        if name not in seen:
            seen.add(name)
            on_seen(name)

    while not deadline.passed:
        try:
            listed = api.request("GET", NODES)
            for node in listed["items"]:
                note(node)
            version = listed["metadata"]["resourceVersion"]
            window_s = min(_WATCH_S, deadline.left_s)
            with api.watch(NODES, resource_version=version, timeout_s=window_s) as events:
                while not _all_ready(states):
                    event = next(events, None)
                    if event is None:
                        break
                    if event["type"] in ("ADDED", "MODIFIED"):
                        note(event["object"])
        except (ApiRefused, *NO_ANSWER):
            _pause(deadline)
        if _all_ready(states):
            return
        alive()
    unready = ", ".join(f"{name} {state}" for name, state in states.items() if state != "Ready")
    raise TimedOut(f"not all nodes became Ready in time; last seen: {unready}")


def node_state(node: Mapping[str, Any]) -> str:
    """``Ready``, ``tainted KEY``, or the Ready condition's status with its reason and message."""
    taints = [taint["key"] for taint in node["spec"].get("taints") or [] if taint["key"] in _NOT_READY_TAINTS]
    for condition in node.get("status", {}).get("conditions") or []:
        if condition["type"] == "Ready":
            if condition["status"] != "True":
                return f"Ready={condition['status']} ({condition.get('reason')}: {condition.get('message')})"
            return f"tainted {taints[0]}" if taints else "Ready"
    return "without a Ready condition"


def _all_ready(states: Mapping[str, str]) -> bool:
    return all(state == "Ready" for state in states.values())


def _pause(deadline: Deadline) -> None:
    time.sleep(min(_RETRY_S, deadline.left_s))  # between two questions to something that cannot be watched yet
