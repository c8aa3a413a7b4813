"""Rows of one block differ in what the item is about, and not by accident in recipe, data, network or the rest of a method."""

import copy
import json
from fnmatch import fnmatchcase

import pytest
from test_scales import SCALES, by_cell, family, grids  # noqa: F401

# Entries of rows that name a difference of the recipe themselves: rows with other values of these are not compared.
NAMED_BY = {
    "advprune/table3": ("epochs", "the table compares 100 epochs with 200"),
    "advprune/figure2": ("objective", "TRADES and MART have curves, learning rates and weight decays of their own"),
    "coreset/table1": ("objective", "three trainings, each with the recipe of its own (appendix C, code)"),
    "coreset/figure3": ("settings", "a coreset of share c has E (1 - kappa + kappa c) epochs"),
    "coreset/sweeps": ("series", "without warm start all epochs are on the coreset, at the same cost"),
    "sat/supplement": ("view", "ESAT from scratch, and heads on frozen networks: the authors' configurations of each"),
}

# Methods that have values of their own: papers, fields, methods in groups alike among themselves (the rest is one more), why;
# but not in these items, which set one for all.
ONE_FOR_ALL = {("advprune/variants", "recipe.lr")}
OWN = [
    (
        "advprune",
        "data.validation",
        [["*glister*"]],
        "equation 5 has a validation set of 10 % (section 4.1); the caption of variants says so",
    ),
    (
        "advprune",
        "recipe.lr",
        [["trades_glister*", "mart_glister*"], ["trades", "trades_bullet*", "trades_tracked"], ["mart", "mart_bullet"]],
        "section 4.1: 0.02 for Adv-GLISTER, 0.01 for Adv-GRAD-MATCH (random subsets as this), 0.1 and 0.01 without pruning",
    ),
    (
        "coreset",
        "recipe.epochs recipe.lr",
        [["linf"], ["trades", "trades_evaluation_mode"], ["l2"], ["pat"], ["fat"], ["*_gradmatch_idle"]],
        "a coreset run costs c E of the full one's E epochs (section 3.3); idle epochs, as in the code, are counted",
    ),
    ("coreset", "recipe.weight_decay", [["trades", "trades_evaluation_mode"]], "code, of TRADES (autopsy)"),
    (
        "qtart",
        "data.augment recipe.batch recipe.epochs recipe.lr recipe.nesterov recipe.weight_decay",
        [["dihcl"]],
        "Tables 6 and 7: DIHCL's own recipe, trained by its authors' code",
    ),
    (
        "qtart",
        "recipe.epochs recipe.lr recipe.nesterov",
        [["*free"], ["*fgsm_rs"], ["dihcl"]],
        "Table 8: Free-AT's epochs are outer passes of 8 replays; Figure 3 has standard trainings beside both",
    ),
    (
        "saliency",
        "recipe.epochs recipe.lr recipe.batch recipe.decays recipe.weight_decay",
        [["phase2*"], ["teacher_a"], ["at"], ["free"], ["fat"], ["trades"], ["mart"], ["awp"], ["igam*"]],
        "each as its authors' code (marked), phases as section 5; phase 1 and standard training are alike",
    ),
    (
        "saliency",
        "data.augment model.standardise",
        [["fat"]],
        "FAT's code pads by 4 and standardises no image (marked); TRADES, MART and AWP have another network",
    ),
    (
        "sat",
        "early_stop recipe.precision",
        [["entropy"], ["at"]],
        "the ranking is not stopped early and has no mixed precision (code); full AT on ImageNet-200 as ESAT (marked)",
    ),
    ("sat", "early_stop", [["*_linf"]], "transfers of l_inf training are stopped by l_inf (code)"),
]

# Fields of a component that rows share by name and that may differ, by paper, since the items are about them.
VARIED = {
    "advprune": {
        "fraction": "Figure 2: the size of the subset",
        "granularity": "variants: what is chosen among",
        "keep": "variants: lowest or highest loss",
        "period": "Table 4: how often a subset is chosen",
        "warmup": "random subsets are drawn from epoch 0 on, as the chosen runs' first subset is",
        "beta": "the paper changes it with the data (Table 3's caption); variants has both for all",
        "step_size": "Bullet-Train's steps are 2/255",
    },
    "coreset": {
        "fraction": "Figure 3: the size of the subset",
        "granularity": "variants and sweeps",
        "kappa": "Figure 3 and sweeps: the warm start",
        "period": "sweeps: how often a coreset is chosen; drawn once is a long period",
        "start": "TRADES starts from a Gaussian",
        "step_size": "of TRADES, PGD and Fast AT",
        "steps": "Fast AT has one",
    },
    "qtart": {
        "smoothing": "half of what the paper changes; decomposition has each half alone",
        "gamma": "the number removed: Table 2, decomposition, and appendix B.3 with [6] and [7]",
        "count": "the number removed: decomposition",
        "window": "Table 2",
        "tau": "of epochs that are outer passes with Free-AT; the row of tau = 100",
        "drop": "the guarded row",
    },
    "saliency": {
        "beta": "Table 9, weights, IGAM",
        "gamma": "Figure 5, Table 9, weights; 10 in the first phase, 20 or 15 in the second (section 5)",
        "ks": "one k alone",
        "epochs_each": "one k alone",
        "sign": "equation 18 as printed, and corrected",
        "statistics": "IGAM's teacher (its code)",
        "layers": "of a discriminator: IGAM's is that of its own script",
        "width": "likewise",
        "loss": "TRADES and MART",
        "start": "AWP, TRADES and MART: each its own",
    },
    "sat": {
        "share": "the size of A",
        "classes": "the one class of A",
        "draw": "random sets",
        "first": "hardest or easiest",
        "rule": "Figure 7: the weights",
        "beta": "the item of TRADES' beta; by share in the supplement (marked)",
        "start": "of PGD-7, TRADES and FGSM-RS",
        "step_size": "of PGD-7, FGSM-RS and l_inf",
        "steps": "FGSM-RS has one; the authors' l_inf ESAT ten",
        "attacks": "CIFAR-100's tests (code)",
    },
}


def threats(value):
    """Every ball inside a method, as text."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from [json.dumps(part)] if key == "threat" else threats(part)


def fields(spec):
    """What rows of a block share, by name, but for the method itself; the balls that are attacked in among them."""
    found = {f"{part}.{key}": value for part in ("data", "model", "recipe") for key, value in spec[part].items()}
    found["early_stop"] = spec.get("early_stop")
    if balls := sorted(set(threats(spec["method"]["attack"]))):
        found["threat"] = balls
    return {key: json.dumps(value, sort_keys=True) for key, value in found.items()}


def inside(value, path=()):
    """(path, value) of every field of the components of a method; runs that it reads are not compared."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from inside(part, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for part in value:
            yield from inside(part, (*path, "[]"))
    elif not (isinstance(value, str) and value.startswith("run:")):
        yield path, json.dumps(value)


def blocks(grid, name):
    """Methods and specs of an item's runs on one data set and network, and of the same value of what rows name."""
    found, named = {}, NAMED_BY.get(name, ("", ""))[0]
    base = grid.papers[name.partition("/")[0]].items[name.partition("/")[2]].base
    for (_, _, of, _), (facts, run) in by_cell(grid, name).items():
        facts = {**base, **facts}
        method = facts["method"] if of == "own" else family(run)
        key = facts.get("data"), facts.get("model"), json.dumps(facts.get(named), default=str)
        found.setdefault(key, {})[run.id] = method, run.spec
    return found


def group(name, field, method):
    """The number of the first group of ``OWN`` that a method of an item belongs to; None for the rest."""
    if (name, field) in ONE_FOR_ALL:
        return None
    paper = name.partition("/")[0]
    for k, (of, names, groups, _) in enumerate(OWN):
        if of == paper and field in names.split():
            for j, patterns in enumerate(groups):
                if any(fnmatchcase(method, pattern) for pattern in patterns):
                    return k, j
    return None


def accidents(grid, name):
    """Fields that rows of one block should share and do not: (field, {value: methods})."""
    paper = name.partition("/")[0]
    for runs in blocks(grid, name).values():
        seen = {}
        for method, spec in runs.values():
            for field, value in fields(spec).items():
                seen.setdefault((field, group(name, field, method)), {}).setdefault(value, set()).add(method)
            for path, value in set(inside(spec["method"])):
                if path[-1] not in VARIED[paper]:
                    seen.setdefault((".".join(path), None), {}).setdefault(value, set()).add(method)
        yield from ((field, values) for (field, _), values in seen.items() if len(values) > 1)


@pytest.mark.parametrize("scale", SCALES)
def test_rows_of_one_block_differ_in_what_the_item_is_about_alone(grids, scale):  # noqa: F811
    grid = grids[scale]
    assert {name: list(found) for name in grid.items if (found := list(accidents(grid, name)))} == {}


def test_a_row_with_another_recipe_data_or_selector_is_an_accident(grids):  # noqa: F811
    """As decomposition once had them: another schedule and other filters in one of its rows."""
    grid = copy.copy(grids["demo"])
    grid.runs = copy.deepcopy(grid.runs)
    for run, row in grid.runs.items():
        if "-qtart_bare-" in run:
            row.spec["recipe"]["lr"] = {"steps": {"lr": 0.1, "drops": [4, 7], "factor": 0.2}}
            row.spec["method"]["selector"]["once"]["inner"]["instability"]["filters"] = 17
            row.spec["data"]["augment"] = ["flip"]
    found = [field for field, _ in accidents(grid, "qtart/decomposition")]
    assert set(found) == {"recipe.lr", "selector.once.inner.instability.filters", "data.augment"}
