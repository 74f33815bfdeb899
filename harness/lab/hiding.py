"""What of this machine no pod sees: the labs' own files, and what homes keep under names that begin with a dot.

Pods are programs of this machine and see its files, read-only. The runtime puts something empty in the place of what is
named here, and refuses to mount it (harness/lab/plane/internal/mounts, hide.go). That keeps keys from a program that
looks around; it is no sandbox, and an experiment stays code (docs/reference/lab.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.lab.cache import cache_home
from harness.lab.state import labs_home

TOOLS = (
    ".asdf/installs",
    ".cargo/bin",
    ".conda",
    ".local/bin",
    ".local/lib",
    ".local/share/mise/installs",
    ".local/share/pipx",
    ".local/share/uv/python",
    ".local/share/uv/tools",
    ".nvm/versions",
    ".pyenv",
    ".rustup/toolchains",
    ".sdkman/candidates",
    ".venv",
    ".virtualenvs",
)
"""Below a home: where programs and their libraries are installed, and nothing else is kept."""

_ALSO = ("snap",)
"""Below a home, without a dot: the data of programs that are packed as snaps, browsers' among them."""


@dataclass(frozen=True, slots=True)
class Hiding:
    """For node.json. `paths`: hidden with everything below; `homes`: whose dot entries are; `kept`: what stays visible
    in those.
    """

    paths: tuple[str, ...]
    homes: tuple[str, ...]
    kept: tuple[str, ...]


def of_machine(*, sockets: Path, programs: Mapping[str, Sequence[str]]) -> Hiding:
    """For a lab with this folder of sockets and this programs table (image -> argv), as the machine is now.

    The homes are the user's, and for root's labs all of /home: root reads those as well.
    """
    homes = _homes()
    paths = [labs_home().parent, *_beside_state(sockets), *_named_kubeconfigs()]
    paths += [home / name for home in homes for name in _ALSO if (home / name).exists()]
    kept = [home / tool for home in homes for tool in TOOLS if (home / tool).exists()]
    kept += [cache_home() / "lab", *_trees(word for argv in programs.values() for word in argv)]
    return Hiding(paths=_texts(paths), homes=_texts(homes), kept=_texts(kept))


def _homes() -> list[Path]:
    homes = [Path.home()]
    if os.geteuid() == 0 and Path("/home").is_dir():
        homes += sorted(each for each in Path("/home").iterdir() if each.is_dir())
    return homes


def _beside_state(sockets: Path) -> list[Path]:
    """The folder of all labs' sockets, when they do not lie in the state folder (harness.lab.state.sockets_folder)."""
    return [] if sockets.is_relative_to(labs_home()) else [sockets.parent]


def _named_kubeconfigs() -> list[Path]:
    """Those that KUBECONFIG names: they may lie anywhere."""
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)
    return [Path(each).absolute() for each in named if each and Path(each).is_file()]


def _trees(words: Iterable[str]) -> list[Path]:
    """Where the table's programs and the files they are given lie: their folders, whole virtual environments, and what
    those link to (an environment's Python).
    """
    trees = []
    for word in dict.fromkeys(words):
        if word.startswith("/"):
            trees += [_tree(Path(word)), _tree(Path(os.path.realpath(word)))]
    return trees


def _tree(program: Path) -> Path:
    above = program.parent.parent
    is_environment = (above / "pyvenv.cfg").is_file()
    is_installation = program.parent.name == "bin" and (above / "lib").is_dir() and above.name != ".local"
    return above if is_environment or is_installation else program.parent


def _texts(paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(path) for path in paths))
