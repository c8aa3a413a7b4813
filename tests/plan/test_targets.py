"""What the workflow checks before its first job is checked again whenever something that the check reads has changed."""

import errno
from importlib import metadata
from types import SimpleNamespace

import pytest

from leanat.plan import targets

FILES = ("config/config.yaml", "config/datasets.yaml", "published/qtart.csv", "src/leanat/papers/a.py")


@pytest.fixture
def root(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"of {name}")
    return tmp_path


@pytest.fixture
def checks(root, monkeypatch):
    """How often ``leanat check`` is run by a start of the workflow: 0 or 1."""
    counted = []
    done = SimpleNamespace(returncode=0, stderr="")
    monkeypatch.setattr(targets, "subprocess", SimpleNamespace(run=lambda *_, **__: counted.append(0) or done))
    monkeypatch.setattr(targets.leanat, "__file__", str(root / "src/leanat/__init__.py"))

    def start(**settings):
        before = len(counted)
        targets.check_values(root, SimpleNamespace(folder=root / "config", settings=settings), root / "results")
        return len(counted) - before

    assert (start(), start()) == (1, 0)
    return start


@pytest.mark.parametrize("name", FILES)
def test_another_content(root, checks, name):
    (root / name).write_text("another")
    assert (checks(), checks()) == (1, 0)


def test_another_name(root, checks):
    """Python finds another module; the contents in order are the same."""
    (root / "src/leanat/papers/a.py").rename(root / "src/leanat/papers/b.py")
    assert (checks(), checks()) == (1, 0)


def test_a_line_that_goes_from_one_file_to_the_next(root, checks):
    first, second = root / FILES[0], root / FILES[1]
    text = first.read_text() + second.read_text()
    first.write_text(text[:-3])
    second.write_text(text[-3:])
    assert checks() == 1


def test_other_settings(checks):
    assert (checks(seeds=2), checks(seeds=2)) == (1, 0)


def test_another_torch(checks, monkeypatch):
    other = SimpleNamespace(name="torch", version="0.0")
    monkeypatch.setattr(metadata, "distributions", lambda name: [other] if name == "torch" else [])
    assert (checks(), checks()) == (1, 0)


def test_results_that_are_read_only_are_checked_each_time(root, checks, monkeypatch):
    """A dry run looks at somebody else's results."""

    def refused(path, *more, **other):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(targets.Path, "mkdir", refused)
    assert (checks(seeds=5), checks(seeds=5)) == (1, 1)
