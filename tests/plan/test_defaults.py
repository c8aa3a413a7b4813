"""What a spec does not say is a dataclass's default: each is an idea that is off, or named here with where it is from."""

from dataclasses import MISSING, fields, is_dataclass

import pytest
from grids import grid_of

from leanat.plan import components

NAMES = {name: kind for _, kinds in components.SLOTS.values() for name, kind in kinds.items() if is_dataclass(kind)}

OFF = {  # what is not there unless a spec asks for it
    "pgd": {"only_correct", "restarts", "training_mode", "use_best"},
    "fast_lpa": {"project", "self_bounded"},
    "grad_match": {"all_layers", "as_published", "training_mode"},
    "craig": {"all_layers", "as_published", "training_mode"},
    "random": {"count", "fraction", "whole_batches"},  # one of count and fraction is given
    "every": {"before"},
    "warm_start": {"idle"},
    "steps": {"warmup_epochs"},
    "cosine": {"lr_min", "warmup_share"},
    "awp": {"warmup_epochs"},
    "cross_entropy": {"smoothing"},
    "saliency": {"epochs_each", "first_phase", "ks", "warmup_epochs"},  # the second phase's
    "glister": {"validation_attack"},  # the training's own
    "cutout": {"fill"},
    "rotation": {"mode"},  # as torchvision's
}
SOURCES = {
    ("pgd", "loss"): "the cross-entropy is what PGD maximises (Madry et al., equation 2.1)",
    ("glister", "adversarial"): "advprune, equation 5",
    ("glister", "rounds"): "CORDS' RGreedy, said beside `variant`",
    ("grad_match", "adversarial"): "coreset, equation 9; advprune, equation 6",
    ("grad_match", "features"): "marked: gradients of a selection; the code of coreset takes them",
    ("craig", "adversarial"): "coreset, equation 9",
    ("fast_lpa", "h"): "the code of PAT (Laidlaw et al.)",
    ("fast_lpa", "lam"): "the code of PAT",
    ("fast_lpa", "noise"): "the code of PAT",
    ("trades", "clean_twice"): "the official code of TRADES",
    ("trades", "training_mode"): "the official code of TRADES; marked in coreset, whose code has it otherwise",
    ("fat", "start"): "Algorithm 1 of FAT",
    ("saliency", "align"): "the saliency paper, equation 14",
    ("saliency", "sign"): "marked: equation 18 as printed",
    ("ensemble", "queries"): "AutoAttack's standard version",
    ("ensemble", "steps"): "AutoAttack's standard version",
    ("ensemble", "targets"): "AutoAttack's standard version",
    **dict.fromkeys(
        [("bandit", name) for name in ("decay", "noise", "survey_scale")]
        + [
            ("episodes", name)
            for name in (
                *(
                    "alpha",
                    "alpha_rate",
                    "dk",
                    "explore",
                    "k",
                    "lr_max",
                    "lr_max_decay",
                    "lr_min",
                    "lr_min_decay",
                    "min_k",
                ),
                *("temperature", "temperature_rate"),
            )
        ],
        "marked: settings of DIHCL that Tables 6 and 7 do not have",
    ),
}


def silent(value):
    """(component, field) of every default that is taken somewhere inside a spec."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in NAMES and isinstance(inner, dict):
                own = {f.name: f for f in fields(NAMES[key]) if f.init}
                if inner.keys() <= own.keys():
                    left = (f for name, f in own.items() if name not in inner)
                    yield from ((key, f.name) for f in left if (f.default, f.default_factory) != (MISSING, MISSING))
            yield from silent(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from silent(inner)


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_no_value_is_a_silent_choice(scale):
    grid = grid_of(scale)
    taken = {pair: run.id for run in grid.runs.values() for pair in silent(run.spec)}
    unknown = {p: run for p, run in taken.items() if p not in SOURCES and p[1] not in OFF.get(p[0], ())}
    assert not unknown, f"write these into the paper's YAML, with a mark where they are ours: {unknown}"
    assert len(taken) > 40


def test_a_silent_value_is_seen():
    spec = {"method": {"selector": {"once": {"tau": 3, "inner": {"craig": {"fraction": 0.5, "granularity": "batch"}}}}}}
    assert ("craig", "features") in set(silent(spec))
