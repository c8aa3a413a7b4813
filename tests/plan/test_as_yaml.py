"""A setting of --config means what it means after --set, though Snakemake leaves true, null and inner numbers as text."""

from types import SimpleNamespace

import pytest
from snakemake.cli import parse_config

from leanat import options
from leanat.plan import settings, targets

PAIRS = [
    "deterministic=true", "other_counts=false", "deterministic=True", "seeds=null", "seeds=3", "data_dir=null", "data_dir=/data",
    "papers=[qtart, sat]", "papers=null", "more_seeds={sat/figure7: 5}", "more_seeds={}", "results=a b", "scale=lite",
    "change={qtart: {sgd: {recipe.lr.lr: 0.05, recipe.nesterov: false, recipe.clip_value: null}}}",
    "change={qtart: {sgd: {data.augment: [{crop: {pad: 2}}, flip]}}}",
    "change={qtart: {all: {recipe.lr.lr: 1e-3, method.attack.threat.eps: 8/255, recipe.precision: fp32}}}", "device=cuda:1",
]  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS, ids=[pair[:30] for pair in PAIRS])
def test_a_setting_of_the_workflow_is_that_of_a_verb(pair):
    by_hand = options.overrides(SimpleNamespace(set=[pair]))
    assert settings.as_yaml(parse_config([pair])) == by_hand


def test_what_a_file_says_stays_as_it_is():
    said = {"results": "2026", "data_dir": "2026", "scale": "demo", "seeds": 3}
    said |= {"change": {"qtart": {"sgd": {"recipe.epochs": 4}}}}
    assert settings.as_yaml(said) == said


@pytest.mark.parametrize("text", ["010", "1:30", "2026-01-01", "{", "2026-13-01"])
def test_a_text_that_is_no_plain_number_stays_text(text):
    said = {"change": {"qtart": {"sgd": {"recipe.epochs": text}}}}
    assert settings.as_yaml(said) == said


FOLDERS = ["results", "/a/b c.d", "run #2", "2026", "1e5", "a: b", "[x", "True", "null", "é", "- a", ".5", "nan"]


@pytest.mark.parametrize("text", FOLDERS)
def test_a_folder_reaches_the_workflow_as_it_is(text):
    """What ``leanat decide`` hands over: it reads the results in that folder, and so do the jobs."""
    assert settings.as_yaml(parse_config([targets.for_snakemake("results", text)])) == {"results": text}


def test_a_number_that_is_not_finite_is_none():
    assert settings.number("1e999") == "1e999"
    assert settings.number("1e-3") == 0.001
