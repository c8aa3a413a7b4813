"""Whatever a scale changes in the trainings of an item stands in the item's foot."""

import re

import pytest
from grids import grid_of

from leanat.experiments.scales import COUNT_FIELDS, EPOCH_FIELDS

# Parts of a field's path, with the words of which one has to be in the foot; the first entry that the path has counts.
EPOCHS = ("epochs x", "two for each k", "outer passes", "for 300", "all the paper's epochs")
WORDS = {
    "early_stop.checks": EPOCHS,
    "early_stop": ("early stopping",),
    "mixup": ("DIHCL",),
    "bandit": ("DIHCL",),
    "method.objective.saliency.beta": ("beta x",),
    "method.objective.saliency.gamma": ("gamma x",),
    **dict.fromkeys(COUNT_FIELDS, ("share of",)),
    **dict.fromkeys(("epochs", "epochs_each", *EPOCH_FIELDS), EPOCHS),
    "recipe.lr": ("learning rate", "FGSM-RS", "Free-AT", *EPOCHS),
    "step_size": ("radii", "in l_2 becomes", "radius", "training attack"),  # it shrinks with the radius
    "eps": ("radii", "in l_2 becomes", "radius"),
    "validation_attack": ("validation examples",),
    "method.attack": ("training attack",),
    "method.extras": ("radii", *EPOCHS),
    "weight_decay": ("weight decay",),
    "nesterov": ("Nesterov",),
    "batch": ("batch",),
    "precision": ("bf16", "fp32"),
    "augment": ("augment", "crop", "flip"),
    "validation": ("held out",),
    "standardise": ("standardise",),
    "filters": ("filters",),
    "layers": ("discriminator",),
    "width": ("discriminator",),
}


def leaves(value, path=()):
    if isinstance(value, dict) and value:
        return {k: v for key, part in value.items() for k, v in leaves(part, (*path, str(key))).items()}
    return {".".join(path): value}


def changed(small, paper):
    """Fields that differ between the runs of a cell at two scales; names of networks, data and other runs left out."""
    ours, theirs = leaves(small), leaves(paper)
    for field in sorted(ours.keys() | theirs.keys()):
        values = ours.get(field), theirs.get(field)
        if field in ("data.name", "model.name") or any("run:" in str(value) for value in values):
            continue
        if values[0] != values[1]:
            yield field


def words_for(field):
    return next((words for key, words in WORDS.items() if f".{key}." in f".{field}."), ())


@pytest.fixture(scope="module")
def paper():
    return grid_of("paper")


@pytest.mark.parametrize("scale", ["demo", "lite", "cpu"])
def test_what_a_scale_changes_is_in_the_foot(scale, paper):
    grid, silent = grid_of(scale), set()
    for name, item in grid.items.items():
        foot = " ".join(item.factors)
        for cells, printed in zip(item.cells, paper.items[name].cells, strict=False):
            for cell, other in zip(cells, printed, strict=False):
                if not cell.runs or not other.runs:
                    continue
                specs = grid.runs[cell.runs[0]].spec, paper.runs[other.runs[0]].spec
                silent |= {(name, f) for f in changed(*specs) if not any(word in foot for word in words_for(f))}
    assert not silent, "\n".join(f"{name}: {field}" for name, field in sorted(silent))


def test_a_size_of_mini_batches_in_a_foot_is_that_of_a_training_of_the_item():
    """The foot of coreset/redundancy said 16, and 32 before, which no training of it has."""
    grid = grid_of()
    for name, item in grid.items.items():
        sizes = {str(grid.runs[run].spec["recipe"]["batch"]) for run in item.all_runs}
        # "batch 32 (decomposition: 64)"
        said = re.findall(r"batch (\d+)(?: \(\w+: (\d+)\))?", " ".join(item.factors))
        assert all(sizes & set(mention) for mention in said), name


def test_a_shorter_training_keeps_every_drop_of_its_rate(paper):
    """Two drops that fall on one epoch are one."""
    ours, printed = _drops(grid_of("lite")), _drops(paper)
    common = [key for key in ours if ours[key] and printed.get(key)]
    assert common
    assert [key for key in common if ours[key] != printed[key]] == []


def _drops(grid):
    """How many drops of the rate the first run of each cell has."""
    found = {}
    for name, item in grid.items.items():
        for i, row in enumerate(item.cells):
            for j, cell in enumerate(row):
                rate = grid.runs[cell.runs[0]].spec["recipe"]["lr"] if cell.runs else {}
                found[name, i, j] = len(set(rate.get("steps", {}).get("drops", [])))
    return found
