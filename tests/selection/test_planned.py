"""What selectors say that they will do, against what they do, epoch by epoch."""

import pytest
from toys import Small, make_run, split, toy

from leanat.core.planned import innermost, planned
from leanat.papers.coreset.method import WarmStart
from leanat.selection.basic import Every, Everything, LossRank, Once, Random
from leanat.selection.ranked import EL2N, RandomPerClass

EPOCHS = 12


class Counted:
    """An inner selector that notes at which epochs it is asked."""

    def __init__(self, inner, asked):
        self.inner, self.fraction, self.asked = inner, inner.fraction, asked

    def __call__(self, run, split):
        self.asked.append(run.epoch)
        return self.inner(run, split)


SELECTORS = {
    "everything": (Everything(), None),
    "random": (Random(0.25), None),
    "left out": (Random(count=10), None),
    "per class": (RandomPerClass(0.25), None),
    "loss": (LossRank(10), None),
    "once": (lambda inner: Once(3, inner), EL2N(0.25, "example")),
    "every": (lambda inner: Every(4, 3, inner, before=Once(0, Random(0.5))), EL2N(0.5, "example")),
    "warm start": (lambda inner: WarmStart(0.5, 2, inner), EL2N(0.5, "example")),
    "idle": (lambda inner: WarmStart(0.5, 4, inner, idle=True), EL2N(0.5, "example")),
}


@pytest.mark.parametrize("name", SELECTORS)
def test_the_plan_is_what_happens(name):
    make, rule = SELECTORS[name]
    asked = []
    selector = make(Counted(rule, asked)) if rule else make
    data, run = split(toy(80)), make_run(Small(), epochs=EPOCHS)
    plan = [planned(selector, epoch, EPOCHS, 80) for epoch in range(EPOCHS)]
    kept = []
    for run.epoch in range(EPOCHS):
        run.subset = selector(run, data)
        kept.append(len(run.subset.index) / 80)
    assert kept == pytest.approx([epoch.share for epoch in plan])
    if rule:
        assert asked == [number for number, epoch in enumerate(plan) if epoch.selects]
        assert isinstance(innermost(selector), EL2N)
