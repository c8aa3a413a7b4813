"""One site for the tests of its pages, and a browser where there is one."""

import shutil
from pathlib import Path

import made_up
import pytest

from leanat.plan import structure
from leanat.site import build

ROOT = Path(__file__).parents[2]
TRIAL = """row_group,row_label,column,mean,low,high,seeds
FGSM-RS,Random,robust,20.31,18.0,22.62,"[0, 1, 2]"
FGSM-RS,Random,above random,,,,"[0, 1, 2]"
FGSM-RS,"EL2N, by class",robust,11.74,10.0,13.5,"[0, 1, 2]"
FGSM-RS,"EL2N, by class",above random,-8.57,-20.0,2.8,"[0, 1, 2]"
"""
VERDICTS = """training,method,judged_by,above_random,low,high,seeds,p_holm,verdict
fgsm_rs,el2n:class,robust,-8.57,-20.0,2.8,3,1.0,undecided
fgsm_rs,All (my.py),robust,,,,,,"not comparable: keeps 540, random 54"
"""
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
        (folder / "figures" / f"{name}.csv").write_text(made_up.cells(grid.items[name], 2))
    trial = folder / "figures" / "bench"
    trial.mkdir()
    (trial / "digits.csv").write_text(TRIAL)
    (trial / "digits-verdicts.csv").write_text(VERDICTS)
    (trial / "settings.json").write_text("[]")
    Image.new("RGB", (900, 500), "white").save(trial / "digits-above-random.png")
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
