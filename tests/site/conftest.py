"""One site for the tests of its pages, and a browser where there is one."""

import shutil
from pathlib import Path

import made_up
import pytest

from leanat.plan import structure
from leanat.site import build

ROOT = Path(__file__).parents[2]
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def grid():
    return structure.load(ROOT / "config", {"papers": ["qtart"], "seeds": 2})


@pytest.fixture(scope="session")
def results(grid, tmp_path_factory):
    """A folder with ``results`` and ``figures``."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("made")
    made_up.write(grid, folder / "results")
    (folder / "figures/qtart").mkdir(parents=True)
    for name in made_up.ITEMS:
        kind = "" if grid.items[name].kind == "figure" else ".overview"
        Image.new("RGB", (2000, 900), "white").save(folder / "figures" / f"{name}{kind}.png")
        (folder / "figures" / f"{name}.csv").write_text("a,b\n1,2\n")
    return folder


@pytest.fixture(scope="session")
def site(grid, results, tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "site"
    build.write(grid, results / "results", ROOT, results / "figures", out)
    return out


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium without a network; the test is skipped where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium in the PATH: apt install chromium")
    with playwright.sync_playwright() as made:
        opened = made.chromium.launch(executable_path=program, args=QUIET)
        yield opened
        opened.close()
