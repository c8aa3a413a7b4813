"""What only looks at a network, with an attack in training mode, leaves BatchNorm's averages to the training."""

import json

import pytest
from measures import FGSM, MEASURES, few_pictures, network_for
from toys import Small, make_run, same, split, toy, weights

from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.core.loop import train
from leanat.evaluation.measured import Measure
from leanat.papers.advprune.method import Groups
from leanat.plan import components
from leanat.training.overfitting import OverfittingMonitor

MOVING = PGD(Linf(0.1), 1, 0.1, "uniform", training_mode=True)


@pytest.mark.parametrize("extra", [Groups(MOVING), OverfittingMonitor(MOVING, MOVING, 16)], ids=lambda e: e.name)
def test_an_extra_that_observes_changes_nothing_of_the_training(extra):
    nets = []
    for extras in ((), (extra,)):
        run = make_run(Small(), epochs=2, attack=MOVING, extras=extras)
        train(run, split(toy(20)))
        nets.append(weights(run.net))
    assert same(*nets)


@pytest.mark.parametrize("name", [name for name, fields in MEASURES.items() if '"pgd"' in json.dumps(fields)])
def test_a_measure_leaves_the_network_as_it_was(name):
    attack = json.dumps(FGSM)
    moving = attack.replace('"start"', '"training_mode": true, "start"')
    fields = json.loads(json.dumps(MEASURES[name]).replace(attack, moving))
    measure, pictures = components.build(Measure, {name: fields}, "measure"), few_pictures()
    net = network_for(pictures)
    before = weights(net)
    measure(net, pictures, 0)
    assert same(before, weights(net))
    assert not any(module.training for module in net.modules())
