"""Experiment files: found, read, checked, and made into the model, or every problem of them at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import InvalidFile, Problem
from harness.formats.document import Parsed, is_file, is_folder, parse, read_text
from harness.formats.experiment.expectations import ExpectKeys, check_keys, with_keys
from harness.formats.experiment.fields import KIND, Written, file_shape
from harness.formats.experiment.kinds import Kinds
from harness.formats.experiment.semantic import check
from harness.formats.experiment.workload import read_workload
from harness.formats.nodes import START, Node, Scalar, Table, shorten
from harness.formats.problems import Problems, TooMany
from harness.formats.read import Reading, read
from harness.model.experiment import Experiment, LabWish, Manifest

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Examined:
    """What became of one file: the experiment, or what is wrong (then `experiment` is None)."""

    file: Path
    experiment: Experiment | None
    problems: tuple[Problem, ...]


def read_experiment(path: Path | str, kinds: Kinds, expect_keys: ExpectKeys) -> Experiment:
    """The experiment in the file `path`, with faults of `kinds` and `expect_keys` among the keys of `expect`.
    InvalidFile with every problem of it and of the manifests it names.
    """
    examined = examine(Path(path), kinds, expect_keys)
    if examined.experiment is None:
        raise InvalidFile(examined.problems)
    return examined.experiment


def read_experiment_text(text: str, kinds: Kinds, expect_keys: ExpectKeys, *, name: str) -> Experiment:
    """The experiment of a text that is no file, called `name` in problems. Nothing is read from disk: a text that names
    a file is an InvalidFile too. Its workload is empty; whoever has the objects puts them in.
    """
    examined = examine_text(text, Path(name), kinds, expect_keys, from_disk=False)
    if examined.experiment is None:
        raise InvalidFile(examined.problems)
    return examined.experiment


def validate(paths: Iterable[Path | str], kinds: Kinds, expect_keys: ExpectKeys) -> list[Problem]:
    """Every problem of these experiment files; a folder stands for the experiments in it. Empty when all is well."""
    return [problem for file in experiment_files(paths) for problem in examine(file, kinds, expect_keys).problems]


def experiment_files(paths: Iterable[Path | str]) -> list[Path]:
    """`paths` with every folder replaced by the experiments under it, sorted; other files in it are passed over, and so
    are folders whose name starts with a dot. InvalidFile for a folder that holds none.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if not is_folder(path):
            files.append(path)
            continue
        within = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and is_file(p))
        visible = (p for p in within if not any(part.startswith(".") for part in p.relative_to(path).parts))
        found = [p for p in visible if _is_experiment(p)]
        if not found:
            problems = Problems(str(path))
            problems.add(START, f"no experiment in this folder: no YAML file in it has kind: {KIND}", "check the path")
            raise InvalidFile(problems.found)
        files.extend(found)
    return files


def examine(path: Path, kinds: Kinds, expect_keys: ExpectKeys) -> Examined:
    """Read one experiment file and the manifests it names; never raises for what is in them."""
    try:
        return examine_text(read_text(path), path, kinds, expect_keys)
    except InvalidFile as error:
        return Examined(path, None, error.problems)


def examine_text(text: str, path: Path, kinds: Kinds, expect_keys: ExpectKeys, *, from_disk: bool = True) -> Examined:
    """As `examine`, for a text that is (or might be) at `path`; only the manifests it names are read from disk. Without
    `from_disk` it is a problem to name any.
    """
    parsed = parse(text, file=str(path))
    problems = Problems(str(path), parsed.problems)
    document = _only_document(parsed, problems)
    if document is None:
        return Examined(path, None, problems.found)
    try:
        reading = read(with_keys(file_shape(kinds), expect_keys), document, problems)
        check(reading, problems, kinds)
        check_keys(expect_keys, reading, problems)
        if from_disk:
            workload = read_workload(path.parent, reading, problems, kinds)
            _check_topology(path.parent, reading, problems)
        else:
            workload = ()
            _refuse_files(reading, problems)
    except TooMany:
        problems.stopped()
        return Examined(path, None, problems.found)
    written = reading.one(Written)
    if problems.found or written is None:
        return Examined(path, None, problems.found)
    return Examined(path, _resolve(path, written, workload, reading), ())


def _only_document(parsed: Parsed, problems: Problems) -> Node | None:
    """The one experiment of a file; None, with one clear problem, for a file that is something else."""
    if parsed.broken:
        return None
    if not parsed.documents:
        problems.add(START, "the file is empty", "taintlab schema and experiments/ show what belongs into it")
        return None
    first, *others = parsed.documents
    if others:
        problems.add(others[0].at, "a second document: one file holds one experiment", "put it into a file of its own")
        return None
    kind = first.get("kind") if isinstance(first, Table) else None
    if isinstance(kind, Scalar) and isinstance(kind.value, str) and kind.value != KIND:
        fix = f"write kind: {KIND}" if kind.value.lower() == KIND.lower() else "name an experiment file"
        problems.add(kind.at, f"kind is {shorten(kind.value)}, not {KIND}", fix)
        return None
    return first


def _check_topology(folder: Path, reading: Reading, problems: Problems) -> None:
    """The file must be there; what is in it is for the lab to read."""
    topology = reading.one(str, "spec", "lab", "topology")
    if topology is not None and not is_file(folder / topology):
        at = reading.place("spec", "lab", "topology")
        problems.add(at, f"topology: there is no file {folder / topology}", "paths count from the experiment file")


def _refuse_files(reading: Reading, problems: Problems) -> None:
    """A text that came without a folder, from somebody else perhaps, opens no file of ours."""
    named = [path for path, _ in reading.each(str, "spec", "workload")]
    if reading.one(str, "spec", "lab", "topology") is not None:
        named.append(("spec", "lab", "topology"))
    for path in named:
        problems.add(reading.place(*path), "names a file, and this experiment is none", "put it into a file")


def _resolve(path: Path, written: Written, workload: tuple[Manifest, ...], reading: Reading) -> Experiment:
    """The model: paths made findable, and evictions not expected where no target could have any."""
    spec = written.spec
    judges_evictions = spec.expect.evictions and spec.target is not None
    return Experiment(
        name=written.metadata.name,
        description=written.metadata.description,
        source=str(path),
        workload=workload,
        target=spec.target,
        load=spec.load,
        phases=spec.phases,
        faults=spec.faults,
        expect=replace(spec.expect, evictions=judges_evictions),
        guard=spec.guard,
        lab=_lab(path.parent, spec.lab),
    )


def _lab(folder: Path, wish: LabWish) -> LabWish:
    return wish if wish.topology is None else replace(wish, topology=str(folder / wish.topology))


_KIND_LINE = re.compile(rf"""(?m)(?:^|[{{,])[\s"']{{0,100}}kind["']?\s{{0,100}}:\s{{0,100}}["']?{KIND}\b""")


def _is_experiment(path: Path) -> bool:
    """Whether a file in a folder means to be an experiment; also told for one whose YAML is broken."""
    try:
        text = read_text(path)
    except InvalidFile:
        return False
    if not _KIND_LINE.search(text):
        return False
    parsed = parse(text, file=str(path))
    return parsed.broken or any(_has_kind(document) for document in parsed.documents)


def _has_kind(document: Node) -> bool:
    kind = document.get("kind") if isinstance(document, Table) else None
    return isinstance(kind, Scalar) and kind.value == KIND
