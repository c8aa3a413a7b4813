import copy
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from attack_bed import digits, network, robust, same, standard, step_on
from torch import Tensor, nn

from leanat.attacks.autoattack import AutoAttack, Ensemble
from leanat.attacks.pgd import EACH_ALONE, PGD, Clean
from leanat.attacks.threat import Linf
from leanat.core.meter import Passes
from leanat.evaluation import evaluate as evaluation
from leanat.evaluation.evaluate import batch_statistics, evaluate, sample, transfer
from leanat.evaluation.outcome import Outcome, arrays, load, over_sources, summary

LINF = Linf(0.15)
ATTACK = PGD(LINF, 5, 0.05, "uniform")
RESTARTS = replace(ATTACK, restarts=3)


@pytest.fixture(scope="module")
def bed():
    return standard(), digits()[1]


def test_outcome_against_the_plain_way(bed):
    net, test = bed
    outcome = evaluate(net, test, ATTACK, seed=0, batch=100)
    x_adv = ATTACK(net, step_on(test.x, test.labels))
    clean, adv = net(test.x), net(x_adv)
    right = clean.argmax(1) == test.labels
    assert 0 < outcome.correct.sum() < right.sum() < len(test)
    assert np.array_equal(outcome.index, np.arange(len(test)))
    assert np.array_equal(outcome.label, test.labels)
    assert np.array_equal(outcome.clean_correct, right)
    assert np.array_equal(outcome.correct, right & (adv.argmax(1) == test.labels))
    expected = torch.where(right, adv.argmax(1), clean.argmax(1))
    assert np.array_equal(outcome.predicted, expected)
    loss = torch.where(right[:, None], adv, clean)
    np.testing.assert_allclose(outcome.loss, F.cross_entropy(loss, test.labels, reduction="none").detach(), atol=1e-4)
    size = (x_adv - test.x).flatten(1) * right[:, None]
    np.testing.assert_allclose(outcome.linf, size.abs().amax(1), atol=1e-6)
    np.testing.assert_allclose(outcome.l2, size.norm(dim=1), atol=1e-5)
    assert np.array_equal(outcome.broken_by, np.where(outcome.clean_correct & ~outcome.correct, 0, -1))


@pytest.mark.parametrize("attack", [Clean(), ATTACK, RESTARTS], ids=repr)
def test_batch_size_changes_nothing(bed, attack):
    net, test = bed
    index = torch.arange(90)
    outcomes = [evaluate(net, test, attack, seed=1, batch=b, index=index) for b in (90, 17, 1)]
    same(outcomes[0], outcomes[1])
    same(outcomes[0], outcomes[2])


@pytest.mark.parametrize("steps", [49, 50])
@pytest.mark.parametrize("start", ["none", "uniform"])
def test_images_whose_iterates_repeat_leave_with_the_last_iterate(start, steps):
    """Of a robust network most do. The same images as by all steps on all of them, and fewer passes."""
    net, test = robust(), digits()[1]
    attack = PGD(LINF, steps, 0.05, start)
    step = step_on(test.x, test.labels)
    expected = attack(net, step)
    step.aux[EACH_ALONE] = True
    with Passes().of(net) as passes:
        found = attack(net, step)
    assert torch.equal(found, expected)
    assert passes.backward < 0.8 * steps * len(test.x)


def test_an_example_keeps_its_outcome_in_another_selection(bed):
    net, test = bed
    whole = evaluate(net, test, ATTACK, seed=1)
    some = torch.tensor([200, 7, 31])
    kept = {k: v if k in ("parts", "notes") else v[some.numpy()] for k, v in vars(whole).items()}
    same(evaluate(net, test, ATTACK, seed=1, index=some), Outcome(**kept))
    assert not np.array_equal(evaluate(net, test, ATTACK, seed=2).loss, whole.loss)


@pytest.fixture
def itself(monkeypatch):
    """Attacks on the network itself, so that its passes can be counted."""
    monkeypatch.setattr(evaluation, "folded", lambda net, x: net)


def test_only_what_is_still_right_is_attacked(bed, itself):
    net, test = bed
    first = evaluate(net, test, ATTACK, seed=0)
    with Passes().of(net) as passes:
        outcome = evaluate(net, test, RESTARTS, seed=0)
    still = [outcome.clean_correct.sum()]
    for part in range(2):
        still.append((outcome.clean_correct & ~((outcome.broken_by >= 0) & (outcome.broken_by <= part))).sum())
    assert still[2] < still[1] < still[0]
    assert passes.backward == 5 * sum(still)
    assert passes.forward == len(test) + 6 * sum(still)
    assert np.array_equal(first.correct, outcome.clean_correct & (outcome.broken_by != 0))
    assert summary(outcome)["after"]["restart-0"] == summary(first)["accuracy"]


@dataclass(frozen=True)
class Greedy:
    """Does not fit into memory beyond ``most`` examples."""

    most: int
    attack: PGD
    error: Exception | None = None

    def __call__(self, net: nn.Module, step) -> Tensor:
        if len(step.x) > self.most:
            raise self.error or torch.OutOfMemoryError(f"{len(step.x)} do not fit")
        return self.attack(net, step)


def test_out_of_memory_halves_the_batch_and_changes_nothing(bed):
    net, test = bed
    outcome = evaluate(net, test, Greedy(30, ATTACK), seed=0, batch=128, limit=200)
    same(outcome, replace(evaluate(net, test, ATTACK, seed=0, limit=200), parts=("Greedy",)))
    with pytest.raises(torch.OutOfMemoryError):
        evaluate(net, test, Greedy(0, ATTACK), seed=0, limit=200)
    with pytest.raises(torch.OutOfMemoryError):
        evaluate(net, test, Greedy(30, ATTACK), seed=0, batch=100, limit=200, statistics="batch")


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    ],
    ids=lambda error: str(error).partition("CU")[2],
)
def test_memory_that_other_libraries_find_full_halves_the_batch_too(bed, error):
    outcome = evaluate(*bed, Greedy(30, ATTACK, error), seed=0, batch=128, limit=100)
    same(outcome, replace(evaluate(*bed, ATTACK, seed=0, limit=100), parts=("Greedy",)))
    with pytest.raises(RuntimeError, match="illegal"):
        evaluate(*bed, Greedy(30, ATTACK, RuntimeError("an illegal memory access")), seed=0, batch=128, limit=100)


@pytest.mark.parametrize("attack", [RESTARTS, Ensemble(LINF, ("apgd-ce", "apgd-t", "square"), 4, 3, 10)], ids=repr)
def test_resumed_after_any_part_it_ends_the_same(bed, attack, tmp_path, itself):
    net, test = bed
    states = []
    whole = evaluate(net, test, attack, seed=0, batch=50, limit=120, after_part=states.append)
    assert [len(s.parts) for s in states] == [1, 2, 3]
    for state in states:
        np.savez(tmp_path / "state.npz", **arrays(state))
        resumed = load(tmp_path / "state.npz")
        with Passes().of(net) as passes:
            same(evaluate(net, test, attack, seed=0, batch=50, limit=120, resume=resumed), whole, tolerance=0)
        assert (passes.forward == 0) == (len(state.parts) == 3)
    with pytest.raises(ValueError, match="other examples"):
        evaluate(net, test, attack, seed=0, limit=119, resume=states[0])
    with pytest.raises(ValueError, match="attack"):
        evaluate(net, test, ATTACK, seed=0, limit=120, resume=states[1])


def test_nothing_about_the_network_changes(bed):
    _, test = bed
    net = network(10, 2).train()
    net[1].eval()
    before, modes = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    rng = torch.get_rng_state()
    for statistics in ("running", "batch"):
        evaluate(net, test, RESTARTS, seed=0, limit=30, statistics=statistics)
    evaluate(net, test, Ensemble(LINF, ("apgd-ce", "square"), 2, 3, 4), seed=0, limit=30)
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))
    assert list(before) == list(net.state_dict())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), rng)


def test_batch_statistics_are_those_of_the_batch(bed):
    layer = nn.BatchNorm2d(3).eval()
    layer.running_mean += 5
    x = torch.randn(8, 3, 4, 4)
    with batch_statistics(layer):
        z = layer(x)
    expected = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(z, expected)
    assert (layer.running_mean == 5).all()
    assert layer.num_batches_tracked == 0

    net, test = copy.deepcopy(bed[0]), bed[1]
    net[1].running_mean += 3  # running statistics that fit no batch
    got = evaluate(net, test, ATTACK, seed=0, batch=100, limit=200, statistics="batch")
    assert evaluate(net, test, Clean(), seed=0, limit=200).correct.mean() < 0.7 < got.clean_correct.mean()
    index = sample(len(test), 200)
    expected = []
    for chunk in index.split(100):  # the authors' way: training mode, the adversarial batch scored together
        trained = copy.deepcopy(net).train()
        step = step_on(test.x[chunk], test.labels[chunk])
        step.draws = step.draws.of(chunk)
        clean_right = trained(step.x).argmax(1) == step.y
        x_adv = replace(ATTACK, training_mode=True)(trained, step)
        expected.append((trained(x_adv).argmax(1) == step.y) & clean_right)
    assert np.array_equal(got.correct, torch.cat(expected))


def test_bf16_is_a_setting_and_fp32_the_default(bed):
    net, test = bed
    seen = []
    hook = net[0].register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    full = evaluate(net, test, ATTACK, seed=0)
    assert set(seen) == {torch.float32}
    seen.clear()
    half = evaluate(net, test, ATTACK, seed=0, precision="bf16")
    hook.remove()
    assert set(seen) == {torch.bfloat16}
    assert abs(full.correct.mean() - half.correct.mean()) < 0.05


def test_sample_is_fixed_nested_and_ascending():
    small, large = sample(1000, 50), sample(1000, 200)
    assert len(small.unique()) == 50
    assert torch.isin(small, large).all()
    assert (large.diff() > 0).all()
    assert abs(large.float().mean() - 500) < 80
    assert torch.equal(sample(10, None), torch.arange(10))
    assert torch.equal(sample(10, 99), torch.arange(10))


def test_no_example_and_one_example(bed):
    net, test = bed
    for attack in (ATTACK, AutoAttack(LINF), Ensemble(LINF, ("square",), queries=3)):
        none = evaluate(net, test, attack, seed=0, index=torch.tensor([], dtype=torch.long))
        assert len(none) == 0
        assert math.isnan(summary(none)["accuracy"])
    assert len(evaluate(net, test, ATTACK, seed=0, index=torch.tensor([3]))) == 1


@pytest.mark.parametrize("wrong", [{"precision": "fp16"}, {"statistics": "mean"}, {"batch": 0}], ids=str)
def test_impossible_values_are_named(bed, wrong):
    with pytest.raises(ValueError, match="allowed"):
        evaluate(*bed, Clean(), seed=0, **wrong)


def test_targets_answer_plain_images_once_for_several_sources(bed, itself):
    nets, clean, target = {"robust": robust(), "standard": standard()}, {}, copy.deepcopy(standard())
    together = transfer(nets, {"t": target}, ATTACK, bed[1], seed=0, limit=100)
    with Passes().of(target) as passes:
        apart = {
            name: transfer({name: net}, {"t": target}, ATTACK, bed[1], seed=0, limit=100, clean=clean)["t"][name]
            for name, net in nets.items()
        }
    assert passes.forward == 100 + 2 * 100
    for name, outcome in apart.items():
        same(outcome, together["t"][name])


def test_transfer_against_the_plain_way(bed, itself):
    sources, targets = {"robust": robust(), "standard": standard()}, {"standard": standard()}
    test = bed[1]
    with Passes().of(sources["robust"]) as passes:
        found = transfer(sources, targets, ATTACK, test, seed=0, batch=64, limit=150)
    assert passes.backward == 5 * 150
    index = sample(len(test), 150)
    step = step_on(test.x[index], test.labels[index])
    step.draws = step.draws.of(index)
    for name, source in sources.items():
        expected = standard()(ATTACK(source, step)).argmax(1)
        got = found["standard"][name]
        assert np.array_equal(got.predicted, expected)
        assert np.array_equal(got.correct, expected == step.y)
        assert (got.linf > 0).all()
    own, other = found["standard"]["standard"].correct.mean(), found["standard"]["robust"].correct.mean()
    assert own < other
    spread = over_sources(found["standard"])
    assert spread["mean"] == pytest.approx((own + other) / 2)
    assert spread["sd"] == pytest.approx(abs(own - other) / math.sqrt(2))
    assert math.isnan(over_sources({"one": found["standard"]["robust"]})["sd"])
