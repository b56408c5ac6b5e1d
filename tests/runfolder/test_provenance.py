"""With which code a run is made."""

import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from lit_resnet.runfolder import provenance


def git(folder: Path, *words: str) -> str:
    user = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(["git", "-C", folder, *user, *words], check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> str:
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in a folder of its own, in place of ours."""
    package = tmp_path / "house" / "lit_resnet"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(provenance.lit_resnet, "__file__", str(package / "__init__.py"))
    fresh()
    yield package
    fresh()


def fresh() -> None:
    """As in a new process."""
    provenance.code.cache_clear()
    provenance.of_package.cache_clear()


def test_the_commit_and_what_differs_from_it(package: Path):
    assert provenance.of_package() is None, "no checkout"
    (package / "page.css").write_text("a {}\n")
    first = commit(package.parent)
    assert provenance.of_package() is None, "as when this process first asked"
    fresh()
    (package / "untracked.txt").write_text("")
    assert provenance.of_package() == provenance.Checkout(first, False, "")
    fresh()
    (package / "page.css").write_text("b {}\n")
    (package / "new.py").write_text("ANSWER = 42\n")
    found = provenance.of_package()
    assert (found.commit, found.dirty) == (first, True)
    git(package.parent, "stash", "-qu")
    subprocess.run(["git", "-C", package.parent, "apply"], input=found.patch, text=True, check=True)
    assert (package / "page.css").read_text() == "b {}\n"
    assert (package / "new.py").read_text() == "ANSWER = 42\n"


def test_a_patch_is_cut(package: Path, monkeypatch: pytest.MonkeyPatch):
    commit(package.parent)
    (package / "__init__.py").write_text("x = 1\n" * 1000)
    monkeypatch.setattr(provenance, "MOST_BYTES", 500)
    patch = provenance.of_package().patch
    assert len(patch) < 600
    assert patch.endswith(" characters\n")


def test_ones_own_checkout_counts_by_its_python_files(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    commit(package.parent)
    own = tmp_path / "own"
    (own / "deep").mkdir(parents=True)
    monkeypatch.chdir(own / "deep")
    assert provenance.of_user() is None
    (own / "mine.py").write_text("")
    (own / "secret.txt").write_text("")
    first = commit(own)
    (own / "secret.txt").write_text("password\n")
    assert provenance.of_user() == provenance.Checkout(first, False, "")
    (own / "mine.py").write_text("x = 1\n")
    (own / "deep" / "new.py").write_text("y = 1\n")
    found = provenance.of_user()
    assert (found.commit, found.dirty) == (first, True)
    assert "+x = 1" in found.patch
    assert "+y = 1" in found.patch
    assert "password" not in found.patch
    monkeypatch.chdir(package)
    assert provenance.of_user() is None, "that is the package's own"


def test_where_git_cannot_tell(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (package.parent / ".git").mkdir()
    assert provenance.of_package() is None
    commit(package.parent)
    fresh()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.of_package() is None


def test_the_digest_of_the_code_changes_with_it(package: Path):
    before = provenance.code()
    (package / "deep").mkdir()
    (package / "deep" / "a.py").write_text("x = 1\n")
    assert provenance.code() == before, "as when this process first asked"
    fresh()
    after = provenance.code()
    assert (len(after), after == before) == (16, False)
    (package / "deep" / "a.py").rename(package / "deep" / "b.py")
    (package / "notes.txt").write_text("no code")
    fresh()
    renamed = provenance.code()
    assert renamed not in (before, after)


def test_the_versions_of_all_that_is_installed():
    head, *lines = provenance.installed().splitlines()
    assert head.startswith("# Python 3.")
    assert f"torch=={version('torch')}" in lines
    assert all(line.count("==") == 1 and "/" not in line and " " not in line for line in lines)
    assert lines == sorted(lines, key=str.lower)
