"""Which labs there are, and how they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import LabError, UsageError
from harness.lab import control, namespace, ready, state
from harness.lab.api import NO_ANSWER, Api, ApiRefused
from harness.lab.control import Operation, ProgramState
from harness.lab.state import Condition, Record, folder_of
from harness.lab.values import Lab


@dataclass(frozen=True, slots=True)
class Row:
    """One lab as `lab list` shows it. `owner`: the pid of the process that it belongs to, None: nobody's."""

    name: str
    condition: Condition
    kubernetes_version: str
    nodes: tuple[str, ...]
    owner: int | None
    folder: Path


@dataclass(frozen=True, slots=True)
class Status:
    """How a lab is at this moment. `nodes`: each node's Ready condition in words, {} with `problem` when the API
    server does not answer.
    """

    condition: Condition
    components: tuple[ProgramState, ...]
    nodes: Mapping[str, str]
    problem: str = ""


def condition_of(name: str) -> Condition:
    """The condition of the lab whose folder is called `name`. One that was being started by a command which is gone
    is orphaned; a folder without a record is dead.
    """
    record = state.read(name)
    if record is None:
        return Condition.DEAD
    condition = record.condition
    if condition is Condition.STARTING and not state.is_claimed(name):
        return Condition.ORPHANED
    return condition


def listing() -> list[Row]:
    """All labs of this user, dead ones too, by name."""
    rows = []
    for name in state.names():
        record = state.read(name)
        rows.append(
            Row(
                name=name,
                condition=condition_of(name),
                kubernetes_version=record.kubernetes_version if record else "",
                nodes=record.nodes if record else (),
                owner=record.owner.pid if record and record.owner else None,
                folder=folder_of(name).path,
            )
        )
    return rows


def find(name: str) -> Lab | None:
    """The lab of that name if it is up (an orphan counts while it runs); None otherwise."""
    record = state.read(name)
    if record is None or not record.up or record.condition not in (Condition.UP, Condition.ORPHANED):
        return None
    return lab_of(record)


def get(name: str) -> Lab:
    """As `find`; UsageError, with the labs that there are, when it is not up."""
    lab = find(name)
    if lab is not None:
        return lab
    rows = {row.name: row.condition for row in listing()}
    if name in rows:
        raise UsageError(f"lab {name!r} is {rows[name]}: taintlab lab down --name {name}, then lab up")
    others = ", ".join(sorted(rows)) or "none"
    raise UsageError(f"there is no lab {name!r} (there are: {others}): taintlab lab up --name {name}")


def lab_of(record: Record) -> Lab:
    """What the record of a running lab says, for those who use it."""
    folder = folder_of(record.name)
    if record.supervisor is None:
        raise LabError(f"lab {record.name!r} has no supervisor")
    prometheus = f"http://127.0.0.1:{record.ports['prometheus']}" if record.programs.get("prometheus") else None
    return Lab(
        name=record.name,
        folder=folder.path,
        kubeconfig=folder.kubeconfig,
        audit_log=folder.audit_log,
        prometheus_url=prometheus,
        kubernetes_version=record.kubernetes_version,
        namespace_prefix=namespace.prefix(
            pid=record.supervisor.pid,
            rootless=record.rootless,
            folder=folder,
            lab_id=record.id,
        ),
    )


def record_of(lab: Lab) -> Record:
    """The lab's present record; LabError when the lab is gone."""
    record = state.read(lab.name)
    if record is None or record.condition is Condition.DEAD:
        raise LabError(f"lab {lab.name!r} is gone")
    return record


def status(lab: Lab) -> Status:
    """Asks the supervisor for the components and the API server for the nodes."""
    record = record_of(lab)
    components = tuple(control.ask(Path(record.sockets), Operation.STATUS))
    api = Api(lab.kubeconfig, timeout_s=3.0)
    try:
        listed = api.request("GET", ready.NODES)
        nodes = {node["metadata"]["name"]: ready.node_state(node) for node in listed["items"]}
        problem = ""
    except (ApiRefused, *NO_ANSWER) as error:
        nodes, problem = {}, f"the API server does not answer: {error}"
    finally:
        api.close()
    return Status(condition=condition_of(lab.name), components=components, nodes=nodes, problem=problem)
