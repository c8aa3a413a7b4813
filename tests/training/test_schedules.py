import math

import pytest
import torch

from leanat.training.schedules import Constant, Cosine, Linear, Steps, Triangle


def by_torch(make, lr, epochs):
    """The rates that a scheduler of torch gives at the start of each epoch."""
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler, rates = make(opt), []
    for _ in range(epochs):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    return rates


S = torch.optim.lr_scheduler


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Steps(0.1, (3, 7, 8), 0.2), lambda o: S.MultiStepLR(o, [3, 7, 8], 0.2)),
        (Cosine(0.1, 1e-3), lambda o: S.CosineAnnealingLR(o, 12, 1e-3)),
        (Linear(0.1, 0.001), lambda o: S.LinearLR(o, 1.0, 0.01, 12)),
        (Triangle(0.1, 0.0), lambda o: S.CyclicLR(o, 0.0, 0.1, 6, cycle_momentum=False)),
        (Constant(0.1), lambda o: S.ConstantLR(o, 1.0)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_as_torch(ours, theirs):
    assert [ours(e, 12) for e in range(12)] == pytest.approx(by_torch(theirs, 0.1, 12), abs=1e-9)


def test_steps_drop_exactly_at_the_epoch():
    lr = Steps(0.1, (90, 180), 0.1)
    assert lr(89.9999, 300) == 0.1
    assert lr(90, 300) == pytest.approx(0.01)
    assert lr(299.9, 300) == pytest.approx(0.001)


def test_warm_ups():
    lr = Steps(0.2, (4,), 0.5, warmup_epochs=2)
    assert [lr(e, 10) for e in (0, 0.5, 1, 2, 4)] == pytest.approx([0, 0.05, 0.1, 0.2, 0.1])
    lr = Cosine(0.1, 0.0, warmup_share=0.3)
    assert [lr(e, 20) for e in (0, 3, 6)] == pytest.approx([0, 0.05, 0.1])
    assert lr(13, 20) == pytest.approx(0.05)  # half of what remains
    assert lr(19.999, 20) < 1e-6


def test_triangle_has_its_peak_at_half():
    lr = Triangle(0.2, 0.01)
    assert lr(0, 30) == pytest.approx(0.01)
    assert lr(15, 30) == pytest.approx(0.2)
    assert lr(7.5, 30) == lr(22.5, 30) == pytest.approx(0.105)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Constant(-1), "lr -1"),
        (lambda: Constant(math.nan), "lr nan"),
        (lambda: Steps(0.1, (9, 3), 0.1), "drops"),
        (lambda: Steps(0.1, (3,), 0), "factor 0"),
        (lambda: Cosine(0.1, 0.2), "lr_min"),
        (lambda: Cosine(0.1, warmup_share=1.0), "warmup_share"),
        (lambda: Triangle(0.1, 0.2), "lr_min"),
        (lambda: Linear(math.inf, 0), "lr inf"),
    ],
)
def test_impossible_values(make, words):
    with pytest.raises(ValueError, match=words):
        make()
