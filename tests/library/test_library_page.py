"""docs/library.md as a reader would type it."""

import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```python *(\w*)\n(.*?)^```", (ROOT / "docs" / "library.md").read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def names():
    """What a reader has who typed every snippet that needs nothing else."""
    torch.manual_seed(0)
    scope = {"__name__": "reader"}
    for number, (what, code) in enumerate(BLOCKS):
        if not what:
            exec(compile(code, f"snippet {number}", "exec"), scope)
    return scope


def test_the_snippets_run_and_show_what_the_page_says(names, capsys):
    assert len([what for what, _ in BLOCKS if not what]) >= 10
    x, x_adv = names["x"], names["x_adv"]
    assert (x_adv - x).abs().max() <= 4 / 255 + 1e-6
    assert names["same"]
    assert len(names["sampler"].index) == 8
    assert names["history"][-1]["kept"] == 16
    assert [epoch["kept"] for epoch in names["without_noisy"]] == [32, 30], "the rules of the papers take any network"
    assert "hand over the pixels before they are" in str(names.get("error", "")) or "error" not in names


@pytest.mark.parametrize("what", ["lightning", "accelerate"])
def test_the_loops_of_others(names, what):
    pytest.importorskip(what, reason=f"{what} is not installed: pip install 'leanat[test]'")
    (code,) = [code for kind, code in BLOCKS if kind == what]
    scope = dict(names)
    exec(compile(code, what, "exec"), scope)
    sampler = scope["trainer"].model.sampler if what == "lightning" else scope["sampler"]
    assert sampler.epoch == 2
    assert len(sampler.index) == 8
