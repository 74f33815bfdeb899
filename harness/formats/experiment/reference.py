"""docs/reference/experiment.md, made from the declaration: every key with its type, default and meaning."""

from __future__ import annotations

from harness.errors import MAX_SHOWN
from harness.files import MIB
from harness.formats.compose import MAX_DEPTH, MAX_NODES
from harness.formats.document import MAX_BYTES
from harness.formats.experiment.expectations import ExpectKeys, with_keys
from harness.formats.experiment.fields import API_VERSION, file_shape
from harness.formats.experiment.kinds import Kinds
from harness.formats.experiment.semantic import MAX_ARRIVALS
from harness.formats.experiment.workload import MAX_OBJECTS, MAX_WORKLOAD_BYTES
from harness.formats.labels import MAX_TERMS
from harness.formats.problems import MAX_KEPT
from harness.formats.reference import sections

_HEAD = f"""# The experiment file

<!-- Made by `taintlab schema --markdown` from harness/formats/experiment/fields*.py, harness/faults/ and the checks
that have a key of their own. Do not edit: a test holds it to the code. -->

`{API_VERSION}`, kind `Experiment`, one to a file. How to write one: [write an
experiment](../how-to/write-an-experiment.md).
`taintlab validate FILE` says everything that is wrong with one, at file:line:column; `taintlab schema` prints its JSON
Schema for editors.

**Reading is strict.** A key that is not listed here, a key given twice, a value of another type: errors, all at once.
Durations are `250ms`, `5s`, `1m30s`, `2h` (at most a day), rates `100/s`, `50/m`, `0.5/s`; a bare number is neither.
YAML reads `true`, `on`, `yes` and `y` as booleans and `1.35` as a number: where text is needed, quote them. Label
selectors are kubectl's: `k=v`, `k!=v`, `k`, `!k`, `k in (a,b)`, `k notin (a,b)`, joined by commas. Anchors, aliases and
merge keys work.

Bounds: {MAX_BYTES // 1024} KiB a file, {MAX_DEPTH} levels of nesting, {MAX_NODES:,} values with aliases expanded;
200 entries a list (5,000 node names), 200 headers; 4,096 characters a text (8,192 a header, 1 MiB a description or
body); {MAX_TERMS} terms a selector; {MAX_WORKLOAD_BYTES // MIB} MiB of manifests with {MAX_OBJECTS:,} objects;
{MAX_ARRIVALS // 10**6} million requests. Reading stops after {MAX_KEPT:,} problems, of which {MAX_SHOWN} are printed.
"""


def reference(kinds: Kinds, expect_keys: ExpectKeys) -> str:
    """The page, in Markdown."""
    return "\n".join((_HEAD, *sections(with_keys(file_shape(kinds), expect_keys)), _RULES))


_RULES = """## Rules that need more than one key

- `taint` and `cordon` need a `target`; `slos` and `guard.badRatio` need a `load`; `recovery` needs faults.
- Every fault starts before the fault phase ends, and `at` + `for` is not beyond its end. One taint of each key and
  effect, and one cordon, at a time.
- A phase that a check looks at lasts longer than 0s. `recovery.within` fits into the recovery phase. A latency
  threshold is shorter than `load.timeout`. No two checks have the same name.
- Tolerations obey the API server: `tolerationSeconds` only with effect `NoExecute`; `Exists` without a value; no key
  only with `Exists`; `Gt` and `Lt` with a plain whole number. A `tolerations` fault finds pods in the workload and
  keeps what they already tolerate.
- A taint `node.kubernetes.io/...:NoSchedule` with the key of a node condition is refused: the node lifecycle
  controller removes it within milliseconds. With `NoExecute` it is allowed: `not-ready` and `unreachable` are removed
  within seconds, too late for the pods.

## Metrics

A query is asked once, after the recovery phase, for each second of the run, of the lab's own Prometheus or that of
`--prometheus`. In each phase every value must lie within the bounds; `+Inf` is a value, NaN is none. INCONCLUSIVE, with
the reason, and never a PASS:

- no sample, or samples for less than 90 % of the seconds of a phase;
- several series: the labels by which they differ are named (`max(...)` or `sum(...)` makes one of them);
- Prometheus was not looking. A range query answers with values up to five minutes old, so the scrapes themselves (`up`)
  are asked for: a hole of more than three scrape intervals, failed scrapes, or fewer than three scrapes of a phase. A
  target that comes or goes with its pod is no hole. Targets are those whose `up` has the namespace of the workload;
  where there are none, all. So a metric that is scraped elsewhere (cAdvisor of a kubelet, an exporter in another
  namespace) is vouched for by the workload's own targets only;
- the experiment has no `workload`: nothing is asked then;
- an answer that is none: not had within 15 s, above 64 MiB or a million samples, no matrix.

## Manifests

Each document needs `apiVersion`, `kind` and `metadata.name`; a v1 `List` stands for its items; no object may be there
twice. Labels, annotations, selectors, `env` values, `command` and `args` must be text (quote `"9898"` and `"true"`),
and pod tolerations obey the rules above. Names are RFC 1123 names (of RBAC objects: any path segment), which is checked
before anything is created. What else the API server asks, it asks when the run applies them.
"""
