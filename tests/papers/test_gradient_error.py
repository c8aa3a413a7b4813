import pytest
import torch
import torch.nn.functional as F
from test_coresets import STEADY, planted
from toys import Small, make_run, same, split, toy, weights

from leanat.attacks.pgd import PGD, Clean
from leanat.attacks.threat import Linf
from leanat.core.loop import make_step
from leanat.data import load
from leanat.papers.coreset.gradient_error import GradientError, NamedSelector, of_all_layers
from leanat.papers.coreset.method import SubsetCounts
from leanat.selection.basic import Random, everyone, unweighted
from leanat.selection.craig import Craig
from leanat.selection.grad_match import GradMatch
from leanat.selection.last_layer import gradients
from leanat.training.objectives import TRADES, CrossEntropy


def error(selectors, fractions=(0.5,), attack=STEADY, objective=None, batch=5):
    named = tuple(NamedSelector(name, selector) for name, selector in selectors.items())
    return GradientError(objective or CrossEntropy(), attack, batch, fractions, named)


@pytest.mark.parametrize("objective", [CrossEntropy(), TRADES(6.0)], ids=repr)
def test_numbers_are_those_of_equation_6_by_brute_force(objective):
    data, net = toy(23).plain(), Small()
    selector = GradMatch(0.5, "batch")
    found, _ = error({"gm": selector}, objective=objective)(net, data, 3)
    run = make_run(net, objective=objective, attack=STEADY, batch=5, seed=3)
    index, weight, _ = selector(run, split(data))
    whole = make_step(run, data, unweighted(everyone(data)), slice(None))
    whole.x_adv = STEADY(net, whole)
    net.eval()
    rows = []
    for i in range(23):  # each example by itself
        alone = make_step(run, data, unweighted(torch.tensor([i])), slice(None))
        alone.x_adv = whole.x_adv[i : i + 1]
        grads = torch.autograd.grad(objective(net, alone).sum(), tuple(net.parameters()))
        rows.append(torch.cat([g.flatten() for g in grads]))
    rows = torch.stack(rows)
    for suffix, part in (("", rows[:, -18:]), ("_all", rows)):
        full, coreset = part.sum(0), (weight[:, None] * part[index]).sum(0)
        assert found[f"gm_50_cosine{suffix}"] == pytest.approx(
            float(F.cosine_similarity(full, coreset, dim=0)), abs=1e-4
        )
        assert found[f"gm_50_error{suffix}"] == pytest.approx(float((full - coreset).norm() / full.norm()), abs=1e-4)
    assert found["gm_50_kept"] == len(index)


def test_copies_are_stood_for_without_error_and_random_subsets_are_not():
    data, _ = planted([6, 2, 3, 5, 1, 7], [0, 0, 1, 1, 2, 2])
    selectors = {"gm": GradMatch(0.5, "example"), "craig": Craig(0.5, "example"), "random": Random(0.5)}
    found, _ = error(selectors, (0.25, 1.0))(Small(), data, 0)
    for name in ("gm", "craig"):  # one of each cluster, at the weight of its size
        assert found[f"{name}_25_cosine"] == pytest.approx(1, abs=1e-5)
        assert found[f"{name}_25_error_all"] < 1e-3
    assert found["random_25_error"] > 0.05
    assert found["random_100_error"] < 1e-5  # everything, at weight 1


def test_the_network_stays_as_it_was_whatever_the_attack_does():
    net, data = Small(), toy(24).plain()
    net.train()
    before = weights(net)
    moving = PGD(Linf(0.1), 2, 0.05, "uniform", training_mode=True)
    error({"gm": GradMatch(0.5, "batch", all_layers=True), "random": Random(0.5, whole_batches=True)}, attack=moving)(
        net, data, 0
    )
    assert same(before, weights(net))
    assert net.training
    assert all(p.grad is None for p in net.parameters())


def test_all_layers_end_with_the_last_one():
    data, run = toy(24).plain(), make_run(Small(), attack=Clean(), batch=5)
    found = of_all_layers(run, data, unweighted(everyone(data)))
    last = gradients(run, data).sum().view(3, -1)
    torch.testing.assert_close(found[-18:-3].view(3, 5), last[:, :-1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[-3:], last[:, -1], atol=1e-5, rtol=1e-4)


def test_kept_counts_originals_and_planted_examples():
    data = load("digits-copies", "train")
    run = make_run(Small(channels=1, n_classes=10), extras=(SubsetCounts(),))
    run.memory["kept"] = SubsetCounts().start(run, split(data))
    one = int(data.origin[~data.planted["rare"]][0])
    copies, rare = (data.origin == one).nonzero()[:, 0], data.planted["rare"].nonzero()[:3, 0]
    run.subset = unweighted(torch.cat([copies, rare]))
    assert SubsetCounts().columns(run) == {"kept_distinct": 4, "kept_planted": 3}
    run.memory["kept"] = SubsetCounts().start(run, split(load("digits", "train")))
    assert SubsetCounts().columns(run) == {}
