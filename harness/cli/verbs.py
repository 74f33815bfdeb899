"""The table of verbs: what each does in one line, an example, and its exit codes. Help and docs are held to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.errors import ExitCode


class Group(StrEnum):
    """The headings under which verbs are listed, in this order."""

    RUN = "Run an experiment"
    PLAN = "Plan, before anything is touched"
    LAB = "The lab, a real Kubernetes on this machine"
    AFTER = "After a run"
    TOOLS = "Shell and editor"
    START = "Start and end"
    LOOK = "Look inside"
    BREAK = "Break it"


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb, as it is taught.

    `summary`: one line, without a full stop. `examples`: whole command lines; the first one stands in the list of
    verbs. `exits`: exit code -> what it means for this verb; that 2 is wrong usage too, and 130 Ctrl-C, is
    added by help. `module`: has `add_parser(subparsers)`; "" for a verb of `lab`, whose parsers one module makes.
    """

    group: Group
    summary: str
    examples: tuple[str, ...]
    module: str = ""
    exits: Mapping[int, str] = field(default_factory=lambda: {ExitCode.PASS: "done"})


_AS_RUN = {
    0: "PASS",
    1: "FAIL",
    3: "INCONCLUSIVE (evidence is missing) or INVALID (the measurement is broken)",
    4: "aborted by a guard, healed",
    5: "heal failed: something is left on the cluster, or may be",
}

VERBS: dict[str, Verb] = {
    "run": Verb(
        Group.RUN,
        "run an experiment and judge it",
        (
            "taintlab run experiments/01-noexecute-evicts.yaml --lab demo",
            "taintlab run experiments/01-noexecute-evicts.yaml --context kind-kind --out runs/first",
        ),
        "harness.cli.run",
        _AS_RUN | {2: "an invalid experiment; nothing was touched", 130: "interrupted, healed"},
    ),
    "validate": Verb(
        Group.RUN,
        "check experiment files without a cluster",
        ("taintlab validate experiments",),
        "harness.cli.validate",
        {0: "all files are valid", 2: "at least one problem"},
    ),
    "plan": Verb(
        Group.PLAN,
        "who would leave, when and why, where to, and what breaks",
        (
            "taintlab plan --drain --nodes node-7 --lab demo",
            "taintlab plan --taint spot=true:NoExecute --nodes pool=spot --context prod",
            "taintlab plan --lose-node node-7 --world world.json.gz --expect no-outage,no-pending",
            "taintlab plan experiments/01-noexecute-evicts.yaml",
            "taintlab plan --diff strict.json lenient.json",
        ),
        "harness.cli.plan",
        {
            0: "nothing that --expect (or the experiment) names breaks",
            1: "something does",
            2: "an invalid file",
            3: "it cannot be told: something that matters could not be read",
        },
    ),
    "snapshot": Verb(
        Group.PLAN,
        "write a cluster's state to a file, for plan --world",
        ("taintlab snapshot --context prod --out world.json.gz",),
        "harness.cli.snapshot",
        {0: "written", 3: "the cluster could not be read"},
    ),
    "predict": Verb(
        Group.PLAN,
        "what a script of API writes does to its pods, without a cluster",
        ("taintlab predict script.yaml",),
        "harness.cli.predict",
        {0: "predicted (unsure too)", 2: "a script that cannot be read"},
    ),
    "replay": Verb(
        Group.PLAN,
        "perform such a script on a real control plane",
        ("taintlab replay script.yaml --lab demo",),
        "harness.cli.replay",
        {
            0: "every script was performed",
            2: "a script that cannot be read",
            3: "the cluster could not show one of them",
        },
    ),
    "explain": Verb(
        Group.PLAN,
        "the rules behind predictions, with their sources",
        ("taintlab explain no-toleration",),
        "harness.cli.explain",
        {0: "written", 2: "an unknown rule"},
    ),
    "lab": Verb(
        Group.LAB,
        "start it, break its nodes, take it down (taintlab lab lists more)",
        ("taintlab lab up --name demo",),
        "harness.cli.lab",
        {0: "done", 2: "an invalid topology", 3: "the lab could not do it"},
    ),
    "check": Verb(
        Group.AFTER,
        "judge a finished run again, from its folder alone",
        ("taintlab check runs/noexecute-evicts/20261126T022859Z-7",),
        "harness.cli.check",
        _AS_RUN
        | {
            2: "a folder that holds no run, is damaged beyond reading, or has another format",
            5: "the run left something on the cluster, or may have",
        },
    ),
    "report": Verb(
        Group.AFTER,
        "render a finished run again, from its folder alone",
        ("taintlab report runs/noexecute-evicts/20261126T022859Z-7",),
        "harness.cli.report",
        {0: "written"},
    ),
    "status": Verb(
        Group.AFTER,
        "list taints, cordons and objects that taintlab left on a cluster",
        ("taintlab status --context prod",),
        "harness.cli.status",
        {0: "it could look everywhere, whether something is there or not", 3: "something could not be looked at"},
    ),
    "recover": Verb(
        Group.AFTER,
        "revert what taintlab left on a cluster",
        (
            "taintlab recover runs/noexecute-evicts/20261126T022859Z-7",
            "taintlab recover --all --lab demo",
        ),
        "harness.cli.recover",
        {
            0: "nothing is left",
            2: "refused: the run is still alive, or it is not clear what may be touched; nothing was reverted",
            5: "something is left, or could not be looked at",
        },
    ),
    "completion": Verb(
        Group.TOOLS,
        "a script that completes verbs, options and files: bash, zsh, fish",
        (
            'eval "$(taintlab completion bash)"',
            "taintlab completion bash > ~/.local/share/bash-completion/completions/taintlab",
            'taintlab completion zsh > "${fpath[1]}/_taintlab"',
            "taintlab completion fish > ~/.config/fish/completions/taintlab.fish",
        ),
        "harness.cli.completion",
        {0: "written"},
    ),
    "schema": Verb(
        Group.TOOLS,
        "the JSON Schema of experiment files, for editors",
        ("taintlab schema > experiment.schema.json",),
        "harness.cli.schema",
        {0: "written"},
    ),
}
"""Verb -> what is taught of it, in the order of the list. Only the module of the verb that was asked for is loaded."""

_DONE = {0: "done", 3: "the lab could not do it"}

LAB_VERBS: dict[str, Verb] = {
    "up": Verb(
        Group.START,
        "start a lab; returns when pods can be created",
        (
            "taintlab lab up --name demo",
            "taintlab lab up --nodes 6 --kubernetes 1.35 --flag kube-controller-manager=--kube-api-qps=100",
        ),
        exits={0: "it is up", 2: "an invalid topology", 3: "it could not be built or started"},
    ),
    "status": Verb(
        Group.START,
        "show a lab's components and nodes",
        ("taintlab lab status --name demo",),
        exits={0: "all is well", 3: "a component or a node is not well"},
    ),
    "list": Verb(Group.START, "show all labs of this user", ("taintlab lab list",)),
    "down": Verb(Group.START, "end a lab and delete its files", ("taintlab lab down --name demo",), exits=_DONE),
    "kubeconfig": Verb(
        Group.LOOK,
        "print the path of a kubeconfig, for the host and inside",
        ('export KUBECONFIG="$(taintlab lab kubeconfig --name demo)"',),
        exits=_DONE,
    ),
    "exec": Verb(
        Group.LOOK,
        "run a command inside the lab's network; exits with its status",
        ("taintlab lab exec --name demo -- kubectl get nodes",),
        exits={0: "the command ended with 0; every other status is its own, or 128 plus the signal that ended it"},
    ),
    "logs": Verb(
        Group.LOOK,
        "print the log of a component (of a dead lab too)",
        ("taintlab lab logs kube-scheduler --name demo --follow",),
        exits=_DONE,
    ),
    "port-forward": Verb(
        Group.LOOK,
        "print a 127.0.0.1 URL that leads to a Service",
        ("taintlab lab port-forward web.shop:80 --name demo",),
        exits=_DONE,
    ),
    "pressure": Verb(
        Group.BREAK,
        "set the free memory, disk, pids that a kubelet believes",
        (
            "taintlab lab pressure spot-1 memory.available=50Mi --name demo",
            "taintlab lab pressure spot-1 --reset --name demo",
        ),
        exits=_DONE,
    ),
    "node": Verb(
        Group.BREAK,
        "kill and start, pause and resume, or add a node",
        ("taintlab lab node kill spot-1 --name demo", "taintlab lab node pause spot-1 --name demo"),
        exits=_DONE,
    ),
    "restart": Verb(
        Group.BREAK,
        "kill a component (SIGKILL) and start it again",
        ("taintlab lab restart kube-apiserver --name demo",),
        exits=_DONE,
    ),
    "kill": Verb(
        Group.BREAK,
        "kill a component (SIGKILL); it stays down until it is restarted",
        ("taintlab lab kill kube-scheduler --name demo",),
        exits=_DONE,
    ),
}
"""The same for the verbs of `lab`."""
